"""HTML from text and from the files in `assets`; the size of pictures."""

import re
from html import escape
from importlib.resources import files
from string import Template

__all__ = ["SIZE", "asset", "escaped", "filled", "fitted"]

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


#: the size of a picture, as Graphviz and matplotlib write it
SIZE = re.compile(r' width="([\d.]+)pt" height="([\d.]+)pt"')
NOTEBOOK = 720.0  # points: as wide as a notebook's outputs usually are; many viewers cut off what is wider
SMALLEST = 0.6  # of the size that a picture is made for: what can still be read


def fitted(svg: str) -> str:
    """A picture in the size that it should have in a notebook.

    >>> fitted('<svg width="900.00pt" height="100.00pt" viewBox="0 0 900 100"></svg>')
    '<svg width="720pt" height="80pt" viewBox="0 0 900 100"></svg>'
    """

    def smaller(size: re.Match[str]) -> str:
        width, height = map(float, size.groups())
        scale = min(1.0, max(SMALLEST, NOTEBOOK / width))
        return f' width="{scale * width:.0f}pt" height="{scale * height:.0f}pt"'

    return SIZE.sub(smaller, svg, count=1)
