"""Draw how a Tensor was computed: its graph in Graphviz's DOT language, and pictures of that."""

from __future__ import annotations

import operator
import sys
import unicodedata
from collections import Counter, deque
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from tinygrad_lr import Tensor
from tinygrad_lr.errors import GraphFreedError, NotRecordedError
from tinygrad_lr.tensor import Origin

from .layout import LayoutError, render

__all__ = ["Drawing", "draw_graph"]

# Okabe and Ito's colours, which stay apart for colour-blind readers (https://jfly.uni-koeln.de/color/)
FORWARD, BACKWARD, PARAMETER, NEUTRAL, INK = "#0072B2", "#D55E00", "#E69F00", "#767676", "#222222"
FONT = 'fontname="Helvetica,Arial,sans-serif"'

# the kinds of nodes differ in their outlines too
LEAF = f'shape=box, style="rounded,filled", fillcolor="{PARAMETER}", penwidth=2.2'
DATA, FREED, FOLD, OPERATION = (
    "shape=box, style=dashed",
    "shape=box, style=dotted",
    "shape=box3d",
    "shape=Mrecord",
)
BOTH_WAYS = f'color="{FORWARD}:{BACKWARD}", dir=both'

NEAREST = 30  # nodes drawn of a graph that is folded: what still fits on a page
STUB = (
    6  # uses, beyond which a leaf is drawn again at each: one node with many edges takes very long to lay out
)
LEAVES_AT_FOLD = 8  # leaves drawn at the folded part, the others are counted
NAME, ARGUMENT, LINE = 24, 12, 32  # characters of a name, an argument and a line, beyond which they are cut


@dataclass(frozen=True)
class Drawing:
    """A picture of a graph. It shows itself in Jupyter, as the text of its DOT where nothing can lay it out.

    Attributes
    ----------
    dot : the graph in Graphviz's DOT language, the same for the same program.
    title : what is drawn, in one sentence: the picture's alternative text.
    """

    dot: str = field(repr=False)
    title: str

    def svg(self) -> str:
        """The picture as SVG. Raises :class:`~tinygrad_lr_viz.layout.LayoutError` if no Graphviz is here."""
        # Graphviz has the title in it already; screen readers look for it on the picture as a whole
        label = f'<svg role="img" aria-label="{_xml(self.title)}" '
        return render(self.dot, "svg").decode().replace("<svg ", label, 1)

    def save(self, path: str | Path) -> None:
        """Write the picture to ``path``; its suffix says what: ``.svg``, ``.png``, ``.pdf`` or ``.dot``.

        Raises ValueError for another suffix, and :class:`~tinygrad_lr_viz.layout.LayoutError` when no
        renderer here makes that format; nothing is written then.
        """
        suffix = Path(path).suffix.lower()
        if suffix == ".dot":
            picture = self.dot.encode()
        elif suffix == ".svg":
            picture = self.svg().encode()
        elif suffix in (".png", ".pdf"):
            picture = render(self.dot, suffix[1:])
        else:
            raise ValueError(f"{str(path)!r}: name the picture .svg, .png, .pdf or .dot")
        Path(path).write_bytes(picture)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        try:
            return {"image/svg+xml": self.svg(), "text/plain": repr(self)}
        except LayoutError as error:
            return {"text/plain": f"{error}\n\n{self.dot}"}


def draw_graph(
    head: Tensor,
    *,
    names: Mapping[str, Any] | None = None,
    values: bool = True,
    gradients: bool = True,
    direction: str = "LR",
    legend: bool = True,
    max_nodes: int = 500,
) -> Drawing:
    """Draw how ``head`` was computed, and along which of its edges ``backward`` passes gradients.

    Tensors have the names of the caller's variables (``w``) or of attributes of objects in them
    (``model.w``, or ``w`` for ``self.w``). The graph has to be there still: draw before ``backward()``, or
    after ``backward(retain_graph=True)``, which also shows the gradients.

    Parameters
    ----------
    head : the tensor whose graph is drawn; of any shape.
    names : names that go before all others: ``{"w": w}``, with Tensors or with arrays as values.
    values : show the number in a tensor of one element, and all, or the range and mean, of a larger one.
    gradients : show the attached tensors' gradients, "grad -" while there is none, and where they flow.
    direction : ``"LR"`` draws from left to right, ``"TB"`` from top to bottom.
    legend : explain the kinds of nodes and edges in a corner.
    max_nodes : a graph of more nodes is folded. The part nearest to the head is drawn, and one node stands
        for everything before it and says so.

    Raises TypeError if ``head`` is not a Tensor or ``names`` not names of Tensors and arrays, ValueError for
    another direction, NotRecordedError and GraphFreedError if there is no graph, or none any more.

    >>> from tinygrad_lr import record, tensor
    >>> w = tensor([2.0, -3.4])
    >>> w.attach_grad()
    >>> with record():
    ...     loss = (w * w).sum()
    >>> drawing = draw_graph(loss)
    >>> drawing
    Drawing(title='Computation graph of loss: 2 operations from w')
    >>> drawing.dot.count('"w" -> "multiply(w, w)"')
    2
    """
    if not isinstance(head, Tensor):
        raise TypeError(f"draw_graph draws the graph of a Tensor, not of {type(head).__name__}")
    if direction not in ("LR", "TB"):
        raise ValueError(f'direction must be "LR" (left to right) or "TB" (top to bottom), not {direction!r}')
    for name, value in (names or {}).items():
        if not (isinstance(name, str) and name.strip() and hasattr(value, "shape")):
            raise TypeError(
                f'names must be like {{"w": w}}, a Tensor or an array for each, not {name!r}: {value!r}'
            )
    if head.node is None:
        raise NotRecordedError(
            "there is no graph to draw: this tensor was computed outside record(), or from nothing with an "
            "attached gradient. Call w.attach_grad() and compute it inside `with record():`."
        )
    if head.origin is None and not head.is_leaf:
        raise GraphFreedError(
            "there is no graph to draw any more: backward() has freed it. Draw before backward(), or call "
            "backward(retain_graph=True)."
        )
    graph = _read(head)
    frame = sys._getframe(1)
    scopes = [names or {}, _public(frame.f_locals), _public(frame.f_globals)]
    return _Writer(graph, head, values, gradients, direction).write(scopes, legend, max_nodes)


# ---- reading the graph ------------------------------------------------------------------------------------


@dataclass
class _Graph:
    origins: dict[Hashable, Origin]  # of the operations, the last to be computed first
    inputs: dict[Hashable, list[Any]]  # the Tensors and arrays that each operation read, in order, repeated
    tensors: dict[Hashable, Tensor]

    @property
    def size(self) -> int:
        """How many nodes it takes to draw all of it."""
        return len(self.origins.keys() | {_key(value) for values in self.inputs.values() for value in values})


def _is_array(value: Any) -> bool:
    """Whether an argument is drawn as a node; numbers, NumPy's own too, are written into the operation's."""
    return hasattr(value, "shape") and not isinstance(value, (np.generic, np.dtype, type))


def _arrays(values: Any) -> Iterator[Any]:
    """The Tensors and arrays among some arguments, also inside lists and tuples."""
    for value in values:
        if _is_array(value):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _arrays(value)


def _key(value: Any) -> Hashable:
    """What is equal for the same result and for the same constant."""
    return value.node if isinstance(value, Tensor) else id(value)


def _read(head: Tensor) -> _Graph:
    """Find all operations, and order them so that each comes after everything that used its result."""
    origins: dict[Hashable, Origin] = {}
    inputs: dict[Hashable, list[Any]] = {}
    tensors: dict[Hashable, Tensor] = {head.node: head}
    uses: Counter[Hashable] = Counter()
    todo = [head]
    while todo:
        tensor = todo.pop()
        if (origin := tensor.origin) is None:
            continue
        key = tensor.node
        origins[key], inputs[key] = origin, list(_arrays(origin.arguments))
        for value in inputs[key]:
            if isinstance(value, Tensor):
                source = value.node
                uses[source] += 1
                if source not in tensors:
                    tensors[source] = value
                    todo.append(value)
    order: dict[Hashable, Origin] = {}
    ready = deque[Hashable]([head.node] if origins else [])
    while ready:
        done = ready.popleft()
        order[done] = origins[done]
        for value in inputs[done]:
            if isinstance(value, Tensor):
                source = value.node
                uses[source] -= 1
                if not uses[source] and source in origins:
                    ready.append(source)
    return _Graph(order, inputs, tensors)


def _names(wanted: set[Hashable], scopes: list[Mapping[str, Any]]) -> dict[Hashable, str]:
    """Name what is wanted by the variables that hold it, else by attributes and items of what they hold.

    Names nearest to a scope win, so the search goes one level deeper at a time; the objects it looks at are
    limited, because a variable may hold anything.
    """
    found: dict[Hashable, str] = {}
    for scope in scopes:
        level = list(scope.items())
        seen: set[int] = set()
        for _ in range(5):
            deeper: list[tuple[str, Any]] = []
            for name, value in level:
                for key in (value.node, id(value.array)) if isinstance(value, Tensor) else (id(value),):
                    if key in wanted:
                        found.setdefault(key, name)
                if id(value) not in seen and len(deeper) < 10_000:
                    seen.add(id(value))
                    deeper += _parts(name, value)
            level = deeper
    return found


def _public(scope: Mapping[str, Any]) -> dict[str, Any]:
    """Variables without Python's own and Jupyter's `_`, `__` and `_1`, which hold results a second time."""
    return {name: value for name, value in scope.items() if not name.startswith("_")}


def _parts(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What an object holds, each with the Python that a reader would write for it."""
    if isinstance(value, dict):
        yield from ((f"{name}[{key!r}]", part) for key, part in value.items() if isinstance(key, (str, int)))
    elif isinstance(value, (list, tuple)):
        yield from ((f"{name}[{i}]", part) for i, part in enumerate(value[:1000]))
    elif not isinstance(value, (ModuleType, FunctionType, type)):
        prefix = "" if name == "self" else f"{name}."
        yield from ((f"{prefix}{part}", v) for part, v in getattr(value, "__dict__", {}).items())


# ---- words ------------------------------------------------------------------------------------------------


def _short(text: str, length: int = LINE) -> str:
    """A text on one line, with what cannot be printed, or would reorder the line, as Python's escapes."""
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[: length + 1])
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _number(value: Any, digits: int = 3) -> str:
    return f"{value:.{digits}g}" if isinstance(value, (float, np.floating)) else str(value)


def _summary(array: Any) -> str:
    """The values of an array in a few words."""
    if not isinstance(array, (np.ndarray, np.generic)):
        return type(array).__name__  # its values may be on a cluster, or not yet computed
    if array.size <= 3:
        return ", ".join(_number(number, 3 if array.ndim else 4) for number in array.ravel()) or "empty"
    if array.dtype.kind not in "biuf":
        return ""
    counts = [(np.isnan(array).sum(), "NaN"), (np.isinf(array).sum(), "inf")]
    if any(n for n, _ in counts):  # a range would hide them
        return f"{', '.join(f'{n} {word}' for n, word in counts if n)} of {array.size}"
    return f"{_number(array.min())} … {_number(array.max())}"


def _gradient(tensor: Tensor) -> str:
    """The gradient in a few words; a dash before a first backward: the zeros it starts as are none."""
    attachment = tensor.attachment
    return f"grad {_summary(attachment.grad.array)}" if attachment and attachment.written else "grad -"


def _text(argument: Any, names: Mapping[Hashable, str]) -> str:
    """An argument as it stands in the call: by its name, a dot for an array without one."""
    if _is_array(argument):
        return _short(names.get(_key(argument), "·"), ARGUMENT)
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
    return _number(argument, 4) if isinstance(argument, (float, np.generic)) else repr(argument)


def _call(origin: Origin, names: Mapping[Hashable, str]) -> str:
    """A call in a few words: `mean`, `matmul(X, w)`, `sum(axis=0)`, `divide(·, 2)`, `[1:3]`."""
    function, arguments, options = origin
    if function is operator.getitem:
        key = arguments[1] if isinstance(arguments[1], tuple) else (arguments[1],)
        return _short(f"[{', '.join(_text(part, names) for part in key)}]")
    words = [_text(argument, names) for argument in arguments]
    if not set("".join(words)) - set("·[](), "):  # nothing that the edges do not say
        words = []
    words += [f"{name}={_text(value, names)}" for name, value in options.items()]
    name = getattr(function, "__name__", type(function).__name__)
    return _short(f"{name}({', '.join(words)})" if words else name)


# ---- writing DOT ------------------------------------------------------------------------------------------


def _quoted(text: str, special: str = "") -> str:
    """A text as a quoted string of DOT that means nothing but itself, whatever is in it."""
    text = text.replace("\\", "\\\\").replace("&", "&amp;").replace('"', '\\"')
    for character in special:
        text = text.replace(character, f"\\{character}")
    return text


def _xml(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def _width(lines: list[str]) -> float:
    """Inches that the widest of the lines takes at most, at 12 points.

    Graphviz would measure it by the metrics of Helvetica, and knows none for most scripts; the browser may
    then use a wider font, and the text would stick out of its box.
    """

    def ems(character: str) -> float:
        if unicodedata.combining(character):
            return 0.0
        if unicodedata.east_asian_width(character) in "WF":
            return 1.05
        return 0.4 if character in " .,()[]:-|il" else 1.0 if character in "mwMW@%…" else 0.66

    return max(sum(map(ems, line)) for line in lines) * 12 / 72 + 0.25


class _Writer:
    """The DOT of a graph, line by line in the order of the computation."""

    def __init__(self, graph: _Graph, head: Tensor, values: bool, gradients: bool, direction: str) -> None:
        self.graph, self.head = graph, head
        self.values, self.gradients, self.direction = values, gradients, direction
        self.names: dict[Hashable, str] = {}
        self.ids: dict[Hashable, str] = {}  # of the nodes written so far
        self.taken: set[str] = set()
        self.lines: list[str] = []

    def write(self, scopes: list[Mapping[str, Any]], legend: bool, max_nodes: int) -> Drawing:
        graph = self.graph
        drawn = self._nearest(max_nodes)
        folded = list(graph.origins)[len(drawn) :]
        used = [value for key in drawn for value in graph.inputs[key]]
        before = [value for key in folded for value in graph.inputs[key] if isinstance(value, Tensor)]
        leaves = {value.node: value for value in before if value.is_leaf}
        self.names = _names({self.head.node, *drawn, *leaves, *map(_key, used)}, scopes)

        uses = Counter(_key(value) for value in used)
        often = {key for key, n in uses.items() if n > STUB and key not in graph.origins}
        if not drawn:
            self._leaf(self.head)
        if folded:
            self._fold(len(folded), list(leaves.values()), graph.size)
        for key in reversed(drawn):
            stubs: dict[Hashable, str] = {}
            sources = []
            for value in graph.inputs[key]:
                place = _key(value)
                if place in graph.origins:
                    sources.append(self.ids[place if place in self.ids else "fold"])
                elif place in often and place in self.ids:
                    if place not in stubs:
                        stubs[place] = self._leaf(value, stub=True)
                    sources.append(stubs[place])
                else:
                    sources.append(self.ids[place] if place in self.ids else self._leaf(value))
            target = self._operation(key)
            label = self._number_at(key)
            for i, (source, value) in enumerate(zip(sources, graph.inputs[key], strict=True), start=1):
                self._edge(source, target, value, key, f'{label}="{i}", labeldistance=1.6' if label else "")

        title = self._title()
        head = [
            f'digraph "{_quoted(title)}" {{',
            f"rankdir={self.direction}; ordering=in; bgcolor=white; nodesep=0.25; ranksep=0.5; pad=0.15",
            f'node [{FONT}, fontsize=12, fontcolor="{INK}", color="{INK}", style=filled, fillcolor=white]',
            f'edge [{FONT}, fontsize=10, fontcolor="{NEUTRAL}", color="{FORWARD}"]',
            "edge [arrowsize=0.7, penwidth=1.3]",
        ]
        lines = [*head, *self.lines, *(self._legend() if legend else [])]
        return Drawing("\n  ".join(lines) + "\n}\n", title)

    def _nearest(self, max_nodes: int) -> list[Hashable]:
        """The operations to draw, from the head backwards: all of them, or the nearest."""
        if self.graph.size <= max_nodes:
            return list(self.graph.origins)
        drawn: list[Hashable] = []
        nodes: set[Hashable] = set()
        for key in self.graph.origins:
            nodes |= {key, *map(_key, self.graph.inputs[key])}
            if drawn and len(nodes) > min(NEAREST, max_nodes):
                break
            drawn.append(key)
        return drawn

    def _title(self) -> str:
        operations, tensors = len(self.graph.origins), self.graph.tensors
        leaves = [name for key, name in self.ids.items() if key in tensors and tensors[key].is_leaf]
        name = _short(self.names.get(self.head.node, "a tensor"), NAME)
        count = f"{operations:,} operation{'s' * (operations != 1)}"
        return f"Computation graph of {name}: {count} from {', '.join(leaves[:LEAVES_AT_FOLD])}"

    def _number_at(self, key: Hashable) -> str:
        """Where to number the edges of an operation if only their order says which input is which, else "".

        They are drawn in order, but not always: words at an edge, or a crowd, can make Graphviz leave it.
        """
        places = {_key(value) for value in self.graph.inputs[key]}
        if len(places - self.names.keys()) < 2 or self.graph.origins[key].function in (np.add, np.multiply):
            return ""
        return "headlabel" if len(places) <= 6 else "taillabel"  # where they do not lie over each other

    def _add(self, key: Hashable, name: str, attributes: str) -> str:
        """Write a node, under a name that no other node has."""
        number, unique = 1, name
        while unique in self.taken:
            number += 1
            unique = f"{name} {number}"
        self.taken.add(unique)
        self.ids.setdefault(key, unique)
        self.lines.append(f'"{_quoted(unique)}" [{attributes}]')
        return unique

    def _facts(self, value: Any) -> list[str]:
        """Shape, values and gradient of a Tensor or an array, a line each."""
        array = value.array if isinstance(value, Tensor) else value
        lines = [str(tuple(array.shape))]
        if self.values and (summary := _summary(array)):
            lines.append(summary)
        if self.gradients and isinstance(value, Tensor) and value.attachment is not None:
            lines.append(_gradient(value))
        return [_short(line) for line in lines]

    def _leaf(self, value: Any, stub: bool = False) -> str:
        """Write what was not computed here: a parameter, data, or the result of a part that was freed."""
        if not isinstance(value, Tensor):
            kind, shape = "data", DATA
        elif value.is_leaf:
            kind, shape = "parameter", LEAF
        else:
            kind, shape = "freed by backward()", FREED
        name = _short(self.names.get(_key(value), kind), NAME)
        lines = [name] if stub else [name, *self._facts(value)]
        label = "\\n".join(map(_quoted, lines))
        return self._add(_key(value), name, f'{shape}, label="{label}", width={_width(lines):.2f}')

    def _operation(self, key: Hashable) -> str:
        """Write an operation together with its result."""
        call, lines = _call(self.graph.origins[key], self.names), self._facts(self.graph.tensors[key])
        name = call
        if key in self.names:
            name = _short(self.names[key], NAME)
            lines.insert(0, name)
        result = "\\n".join(_quoted(line, "{}|<>") for line in lines)
        label = f"{_quoted(call, '{}|<>')}|{result}"
        if self.direction == "TB":
            label = f"{{{label}}}"
        return self._add(key, name, f'{OPERATION}, label="{label}", width={_width([call, *lines]):.2f}')

    def _fold(self, operations: int, leaves: list[Tensor], total: int) -> None:
        """Write the one node that stands for all operations before those that are drawn."""
        shown = leaves[:LEAVES_AT_FOLD]
        sources = [self._leaf(leaf) for leaf in shown]
        lines = [f"… {operations:,} earlier operations"]
        if len(leaves) > len(shown):
            lines.append(f"from {len(leaves) - len(shown):,} more parameters")
        lines += ["folded here; to draw them all:", f"draw_graph(…, max_nodes={total})"]
        label = "\\n".join(lines)
        fold = self._add("fold", lines[0], f'{FOLD}, label="{label}", width={_width(lines):.2f}')
        for source, leaf in zip(sources, shown, strict=True):
            self._edge(source, fold, leaf, None)

    def _edge(self, source: str, target: str, value: Any, key: Hashable, number: str = "") -> None:
        """Write the edge by which an operation, or the folded part, reads a value."""
        attributes = [number] if number else []
        if self.gradients and isinstance(value, Tensor):
            attributes.append(BOTH_WAYS)
            function = self.graph.origins[key].function if key in self.graph.origins else None
            elementwise = isinstance(function, np.ufunc) and function.signature is None
            if elementwise and value.shape != self.graph.tensors[key].shape:
                # blanks keep it off the edge: the font may be wider than Graphviz expects
                attributes.append('label="    broadcast,    \\n    gradient summed    \\n "')
        line = f'"{_quoted(source)}" -> "{_quoted(target)}"'
        self.lines.append(f"{line} [{', '.join(attributes)}]" if attributes else line)

    def _legend(self) -> list[str]:
        """A small graph of one node of each kind.

        It has no frame and no words at its edges: with either, Graphviz keeps less to `ordering=in`.
        """
        back = "gradients flow back" if self.gradients else "what is learned"
        result = "operation|its result" if self.direction == "LR" else "{operation|its result}"
        return [
            "subgraph legend {",
            f'  node [fontsize=10, fontcolor="{NEUTRAL}", color="{NEUTRAL}", height=0.3]',
            f'  "legend: data" [label="data\\nvalues flow forward", {DATA}, width=1.7]',
            f'  "legend: parameter" [label="parameter\\n{back}", {LEAF}, fontcolor="{INK}", width=1.7]',
            f'  "legend: operation" [label="{result}", {OPERATION}, width=1.1]',
            '  "legend: data" -> "legend: operation"',
            f'  "legend: parameter" -> "legend: operation" [{BOTH_WAYS if self.gradients else ""}]',
            "}",
        ]
