"""Docstrings as Markdown, for the reference: examples as code blocks, lists of parameters as lists.

A Griffe extension, which `mkdocs.yml` names.
"""

import re
from collections.abc import Iterator
from textwrap import dedent
from typing import Any

import griffe


def blocks(text: str) -> Iterator[str]:
    """The paragraphs of a docstring; lines that an empty one parts."""
    return iter(re.split(r"\n\s*\n", text.strip("\n")))


def markdown(docstring: str) -> str:
    """A docstring as Markdown.

    >>> print(markdown("Sum.\\n\\nParameters\\n----------\\nx : an array\\n    of numbers."))
    Sum.
    <BLANKLINE>
    **Parameters**
    <BLANKLINE>
    - `x`: an array
      of numbers.
    """
    made = []
    listing = False
    for block in blocks(docstring):
        heading = re.match(r"([A-Z][a-z]+)\n-+(?:\n|$)", block)
        if heading:
            made.append(f"**{heading[1]}**")
            block, listing = block[heading.end() :], True
        if block.lstrip().startswith(">>>"):
            made.append(f"```pycon\n{dedent(block)}\n```")
            listing = False
        elif listing and block:
            items = re.split(r"\n(?=\S)", block)
            made.append("\n".join(item(lines) for lines in items))
        elif block:
            made.append(block)
    return "\n\n".join(made)


def item(text: str) -> str:
    """`a, b : what they are` as an item of a list; a line without a colon may be a name or an error."""
    names, _, description = text.partition(" : ")
    if not description:
        names, _, description = text.partition("\n")
    names = ", ".join(f"`{name}`" for name in names.split(", "))
    lines = [line.strip() for line in description.strip().splitlines()]
    return f"- {names}: " + "\n  ".join(lines) if lines else f"- {names}"


class AsMarkdown(griffe.Extension):
    """Rewrites every docstring that Griffe reads."""

    def on_instance(self, *, obj: Any, **_: Any) -> None:
        if obj.docstring and not obj.is_alias:
            obj.docstring.value = markdown(obj.docstring.value)
