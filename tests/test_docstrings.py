"""Docstrings of what is public: there, with an example, and with the errors that are raised.

Public is what a page of docs/reference shows; and everything that is offered for import has to be on one.
The examples themselves run as doctests, like those of every module.
"""

import ast
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tinygrad_lr
import tinygrad_lr.testing
import tinygrad_lr_viz
from tinygrad_lr.trainer import HOOKS

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"
DIRECTIVE = re.compile(r"^::: (\S+)\n(?: +options:\n +members: \[([^\]]*)\])?", re.MULTILINE)


def shown() -> Iterator[tuple[str, Any]]:
    """What the pages show, by its full name."""
    for page in sorted(REFERENCE.glob("*.md")):
        for name, members in DIRECTIVE.findall(page.read_text("utf-8")):
            module = importlib.import_module(name)
            own = [n for n, v in vars(module).items() if getattr(v, "__module__", "") == name and n[0] != "_"]
            for member in members.split(", ") if members else own:
                value = getattr(module, member)
                if callable(value):  # not a constant, or the variable of a type
                    yield f"{name}.{member}", value


def methods(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The public methods and properties that a class has written itself."""
    for attribute, part in vars(value).items() if inspect.isclass(value) else ():
        known = isinstance(part, (property, classmethod, staticmethod)) or inspect.isfunction(part)
        if known and not attribute.startswith("_") and attribute not in HOOKS:  # `Trainer` tells of those
            yield f"{name}.{attribute}", getattr(value, attribute)


PUBLIC = dict(shown())
METHODS = {name: part for of, value in PUBLIC.items() for name, part in methods(of, value)}


def doc(value: Any) -> str:
    return inspect.getdoc(value) or ""


def raises(value: Any) -> bool:
    """Whether a function, or the making or calling of an object, raises anything but NotImplementedError."""
    if isinstance(value, type):
        return any(raises(vars(value)[name]) for name in ("__init__", "__call__") if name in vars(value))
    function = value.fget if isinstance(value, property) else value
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError):  # made by another function, or written in C
        return False
    raised = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and node.exc]
    return any(ast.unparse(error) != "NotImplementedError" for error in raised)


def test_everything_public_has_an_example() -> None:
    """In its own docstring, or a class in that of a method. An exception is shown where it is raised."""
    missing = [
        name
        for name, value in PUBLIC.items()
        if not value.__doc__
        or (
            not (isinstance(value, type) and issubclass(value, Exception))
            and not any(">>>" in doc(v) for v in (value, *dict(methods(name, value)).values()))
        )
    ]
    assert missing == []


def test_every_public_method_has_a_docstring() -> None:
    assert [name for name, value in METHODS.items() if not doc(value)] == []


def test_a_function_that_raises_says_so() -> None:
    everything = PUBLIC | METHODS
    missing = [
        name
        for name, value in everything.items()
        if raises(value) and not re.search("raise|error", doc(value), re.IGNORECASE)
    ]
    assert missing == []


def test_everything_that_is_offered_is_in_the_reference() -> None:
    shown = {id(value) for value in PUBLIC.values()}
    missing = [
        f"{package.__name__}.{name}"
        for package in (tinygrad_lr, tinygrad_lr.autograd, tinygrad_lr.testing, tinygrad_lr_viz)
        for name in getattr(package, "__all__", [n for n in vars(package) if n[0] != "_"])
        if callable(value := getattr(package, name)) and id(value) not in shown
    ]
    assert missing == []


def test_a_docstring_without_its_errors_is_found() -> None:
    class Faulty:
        """Something.

        >>> Faulty
        """

        def half(self, x: int) -> int:
            """Half of x."""
            if x % 2:
                raise ValueError(x)
            return x // 2

    [(_, half)] = methods("Faulty", Faulty)
    assert raises(half)
    assert not re.search("raise|error", doc(half), re.IGNORECASE)
