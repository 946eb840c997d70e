"""The examples in docs/ run, and show what they say."""

import doctest
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"


def test_your_own_function() -> None:
    pytest.importorskip("scipy", reason="SciPy is not installed: docs/your_own_function.md is NOT tested")
    done = doctest.testfile(str(DOCS / "your_own_function.md"), module_relative=False)
    assert done.attempted > 20
    assert done.failed == 0
