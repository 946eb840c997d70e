"""How many examples a test draws, in the proportion that the profile in use (see conftest.py) sets."""

from typing import Any

from hypothesis import settings


def examples(number: int, **options: Any) -> settings:
    """Settings for a test that draws so many examples under a profile that draws a hundred by default."""
    return settings(max_examples=max(1, number * settings().max_examples // 100), **options)
