"""Read how a Tensor was computed, and say it in a few words: the public facts that pictures are made of."""

from __future__ import annotations

import gc
import operator
import re
import sys
from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr import Tensor
from tinygrad_lr.derivatives import cast
from tinygrad_lr.lazy import is_lazy
from tinygrad_lr.module import Module
from tinygrad_lr.tensor import Origin

NAME, ARGUMENT, LINE = 24, 12, 32  # characters of a name, an argument and a line, beyond which they are cut


# ---- the graph --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Graph:
    """Everything that a tensor was computed from."""

    head: Tensor
    origins: dict[Hashable, Origin]  # of the operations, in the order of the computation
    inputs: dict[Hashable, list[Any]]  # the Tensors and arrays that each operation read, in order, repeated
    tensors: dict[Hashable, Tensor]  # results and leaves
    sources: dict[Hashable, Any]  # what was not computed here: leaves, constants, results of a freed part


def read(head: Tensor) -> Graph:
    """Find all operations that `head` depends on, without recursion."""
    origins: dict[Any, Origin] = {}
    inputs: dict[Hashable, list[Any]] = {}
    tensors: dict[Hashable, Tensor] = {head.node: head}
    sources: dict[Hashable, Any] = {}
    todo = [head]
    with no_collection():
        while todo:
            tensor = todo.pop()
            origin = tensor.origin
            if origin is None:
                sources[tensor.node] = tensor
                continue
            place = tensor.node
            read_here = list(arrays((*origin.arguments, *origin.options.values())))
            origins[place], inputs[place] = origin, read_here
            for value in read_here:
                if not isinstance(value, Tensor):
                    sources[id(value)] = value
                elif (source := value.node) not in tensors:
                    tensors[source] = value
                    todo.append(value)
    return Graph(head, {place: origins[place] for place in sorted(origins)}, inputs, tensors, sources)


@contextmanager
def no_collection() -> Iterator[None]:
    """Python's cyclic garbage collector pauses: where nothing becomes garbage, it would double the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def is_array(value: Any) -> bool:
    """Whether an argument is drawn as a node; numbers, NumPy's own too, are written into the operation's."""
    return hasattr(value, "shape") and not isinstance(value, (np.generic, np.dtype, type))


def arrays(values: Iterable[Any]) -> Iterator[Any]:
    """The Tensors and arrays among some arguments, also inside lists and tuples."""
    for value in values:
        if isinstance(value, Tensor) or is_array(value):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from arrays(value)


def key(value: Any) -> Hashable:
    """What is equal for the same result and for the same constant."""
    return value.node if isinstance(value, Tensor) else id(value)


# ---- names ------------------------------------------------------------------------------------------------


class Names(NamedTuple):
    """What the program calls its tensors and arrays, and the Modules that hold them."""

    names: dict[Hashable, str]
    owners: dict[Hashable, tuple[str, ...]]  # the attribute paths of the Modules, the outermost first
    modules: dict[str, Module]


def scopes_of(names: Mapping[str, Any] | None, depth: int) -> list[Mapping[str, Any]]:
    """Where names are looked for: among the given ones, then in the variables of the caller `depth` up.

    Python's own and Jupyter's `_`, `__` and `_1`, which hold results a second time, are left out.
    """
    frame = sys._getframe(depth + 1)
    variables = (frame.f_locals, frame.f_globals)
    return [
        names or {},
        *({n: value for n, value in scope.items() if not n.startswith("_")} for scope in variables),
    ]


def find_names(wanted: Mapping[Hashable, Any], scopes: Iterable[Mapping[str, Any]]) -> Names:
    """Name what is wanted, given by its `key`, by the variables that hold it, else by attributes and items of
    what they hold.

    Names nearest to a scope win, so the search goes one level deeper at a time; the objects it looks at are
    limited, because a variable may hold anything. Of an array of whole numbers or truth values the engine may
    have kept a copy, as the program could change it; those are found by what is in them.
    """
    copies: dict[Any, list[tuple[Hashable, Any]]] = {}
    for place, value in wanted.items():
        if (kind := _may_be_a_copy(value)) is not None:
            copies.setdefault(kind, []).append((place, value))
    found = Names({}, {}, {})

    def note(name: str, value: Any, owners: tuple[str, ...]) -> None:
        array = value.array if isinstance(value, Tensor) else value
        places = {key(value), id(array)} & wanted.keys()
        if copies and not places and (kind := _may_be_a_copy(array)) in copies:
            places = {place for place, copy in copies[kind] if np.array_equal(copy, array)}
        for place in places:
            found.names.setdefault(place, name)
            if owners:
                found.owners.setdefault(place, owners)

    for scope in scopes:
        level: list[tuple[str, Any, tuple[str, ...]]] = [(*item, ()) for item in scope.items()]
        seen: set[int] = set()
        for _ in range(5):
            deeper: list[tuple[str, Any, tuple[str, ...]]] = []
            for name, value, owners in level:
                note(name, value, owners)
                if id(value) not in seen and len(deeper) < 10_000:
                    seen.add(id(value))
                    if isinstance(value, Module):
                        found.modules.setdefault(name, value)
                        owners = (*owners, name)
                    deeper += ((*part, owners) for part in _parts(name, value))
            level = deeper
    return found


def _may_be_a_copy(value: Any) -> Hashable:
    """What a copy has in common with the array it was made of, None for those that are not copied."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "biu" and value.size <= 1_000_000:
        return value.shape, value.dtype.str
    return None


def _parts(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What an object holds, each with the Python that a reader would write for it."""
    if isinstance(value, dict):
        yield from ((f"{name}[{key!r}]", part) for key, part in value.items() if isinstance(key, (str, int)))
    elif isinstance(value, (list, tuple)):
        yield from ((f"{name}[{i}]", part) for i, part in enumerate(value[:1000]))
    elif not isinstance(value, (ModuleType, FunctionType, type)):
        prefix = "" if name == "self" else f"{name}."
        yield from ((f"{prefix}{part}", v) for part, v in getattr(value, "__dict__", {}).items())


def find_modules(graph: Graph, owners: Mapping[Hashable, tuple[str, ...]]) -> dict[Hashable, tuple[str, ...]]:
    """The Modules, the outermost first, that each operation belongs to, as far as the graph tells.

    An operation that reads parameters belongs to the innermost Module that holds all of them. Any other
    belongs to the Modules that have a part both in what it was computed from and in what uses it: so an
    activation between two layers is their model's own, and the loss, which nothing uses, is no Module's.
    """
    before: dict[Hashable, tuple[str, ...] | None] = {}
    own: set[Hashable] = set()
    for place, values in graph.inputs.items():
        held = [owners[key(v)] for v in values if isinstance(v, Tensor) and key(v) in owners and v.is_leaf]
        own |= {place} if held else set()
        before[place] = common(held) if held else None
    for place in graph.origins:  # in order, so that what it was computed from is known
        if place not in own:
            values = [v for v in graph.inputs[place] if isinstance(v, Tensor)]
            before[place] = common([before.get(v.node) or () for v in values])
    uses: dict[Hashable, list[tuple[str, ...]]] = {}
    belongs: dict[Hashable, tuple[str, ...]] = {}
    for place in reversed(graph.origins):
        mine = before[place] or ()
        if place not in own:
            mine = common([mine, *uses.get(place, [()])])
        belongs[place] = mine
        for value in graph.inputs[place]:
            if isinstance(value, Tensor):
                uses.setdefault(value.node, []).append(mine)
    return belongs


def common(paths: list[tuple[str, ...]]) -> tuple[str, ...]:
    """The beginning that all paths share."""
    shortest, longest = min(paths, default=()), max(paths, default=())
    same = next((i for i, step in enumerate(shortest) if longest[i] != step), len(shortest))
    return shortest[:same]


# ---- words ------------------------------------------------------------------------------------------------


def short(text: str, length: int = LINE) -> str:
    """A text on one line, with what cannot be printed, or would reorder the line, as Python's escapes."""
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[: length + 1])
    return text if len(text) <= length else f"{text[: length - 1]}…"


def number(value: Any, digits: int = 3) -> str:
    if not isinstance(value, (float, np.floating)):
        return str(value)
    return f"{value:.0f}" if 1000 <= abs(float(value)) < 1e6 else f"{value:.{digits}g}"


def summary(array: Any) -> str:
    """The values of an array in a few words."""
    if not isinstance(array, (np.ndarray, np.generic)):
        return "not computed" if is_lazy(array) else type(array).__name__
    if array.size <= 3:
        return ", ".join(number(element, 3 if array.ndim else 4) for element in array.ravel()) or "empty"
    if array.dtype.kind not in "biuf":
        return ""
    counts = [(np.isnan(array).sum(), "NaN"), (np.isinf(array).sum(), "inf")]
    if any(n for n, _ in counts):  # a range would hide them
        return f"{', '.join(f'{n} {word}' for n, word in counts if n)} of {array.size}"
    least, most = array.min(), array.max()
    return f"all {number(least)}" if least == most else f"{number(least)} … {number(most)}"


def gradient(tensor: Tensor) -> str:
    """The gradient in a few words; a dash before a first backward: the zeros it starts as are none."""
    attachment = tensor.attachment
    return f"grad {summary(attachment.grad.array)}" if attachment and attachment.written else "grad -"


def function_name(function: Any) -> str:
    """A function's name as in NumPy's manual, without the `numpy.`: `exp`, `linalg.norm`, `add.reduce`."""
    name = getattr(function, "__name__", type(function).__name__)
    owner = getattr(function, "__self__", None)
    if isinstance(owner, np.ufunc):
        return f"{owner.__name__}.{name}"
    package = (getattr(function, "__module__", None) or "").removeprefix("numpy.")
    if package in ("linalg", "fft"):
        return f"{package}.{name}"
    return "astype" if function is cast else name


def _end(name: str) -> str:
    """A name as an argument; of a long path of attributes the end, as `…first.w`."""
    while len(name) > ARGUMENT and "." in name.removeprefix("…")[1:]:
        name = "…" + name.removeprefix("…").split(".", 1)[1]
    return short(name, ARGUMENT)


def _text(argument: Any, names: Mapping[Hashable, str]) -> str:
    """An argument as it stands in the call: by its name, a dot for an array without one."""
    if is_array(argument):
        return _end(names.get(key(argument), "·"))
    if isinstance(argument, (list, tuple)):
        items = ", ".join(_text(item, names) for item in argument[:LINE])
        return f"[{items}]" if isinstance(argument, list) else f"({items})"
    if isinstance(argument, slice):
        parts = ["" if part is None else str(part) for part in (argument.start, argument.stop, argument.step)]
        return ":".join(parts[: 2 if argument.step is None else 3])
    if isinstance(argument, (type, np.dtype)):
        return np.dtype(argument).name
    if argument is ...:
        return "..."
    if isinstance(argument, (float, np.generic)):
        return number(argument, 4)
    return re.sub(" at 0x[0-9A-Fa-f]+", "", repr(argument))  # an address is another one in each process


def call_text(origin: Origin, names: Mapping[Hashable, str]) -> str:
    """A call in a few words: `mean`, `matmul(X, w)`, `sum(axis=0)`, `divide(·, 2)`, `x[1:3]`."""
    function, arguments, options = origin
    if function is operator.getitem:
        place = arguments[1] if isinstance(arguments[1], tuple) else (arguments[1],)
        return short(f"{_text(arguments[0], names)}[{', '.join(_text(part, names) for part in place)}]")
    words = [_text(argument, names) for argument in arguments]
    if not set("".join(words)) - set("·[](), "):  # nothing that the edges do not say
        words = []
    words += [f"{name}={_text(value, names)}" for name, value in options.items()]
    name = function_name(function)
    return short(f"{name}({', '.join(words)})" if words else name)
