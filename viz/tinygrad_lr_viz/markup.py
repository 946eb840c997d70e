"""HTML from text and from the files in `assets`."""

import re
from html import escape
from importlib.resources import files
from string import Template

__all__ = ["asset", "escaped", "filled"]

#: words with letters that are written from right to left: beside one another they would change the order of
#: what stands between them
RIGHT_TO_LEFT = re.compile(
    r"\w*[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]\w*"
)


def asset(name: str) -> str:
    """The text of a file in `assets`."""
    return (files("tinygrad_lr_viz") / "assets" / name).read_text(encoding="utf-8")


def escaped(text: str) -> str:
    """A text as HTML that means nothing but itself, whatever is in it.

    >>> escaped("a < b")
    'a &lt; b'
    """
    return RIGHT_TO_LEFT.sub(lambda word: f"<bdi>{word[0]}</bdi>", escape(text))


def filled(name: str, **values: str) -> str:
    """A template in `assets` with its `$names` replaced by HTML."""
    return Template(asset(name)).substitute(values)
