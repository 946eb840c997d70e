"""The chain rule, operation by operation: forward through the values of a graph, back through its gradients.

This is a backward of its own, over the public facts of Tensors. It calls the same rules as the engine's, but
on arrays that write down what is computed with them, and so each step comes with its line of NumPy.
"""

from __future__ import annotations

import keyword
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_lr import Tensor, autograd
from tinygrad_lr.derivatives import DERIVATIVES

from .differences import Check, array_of, finite_differences, run_again
from .reading import Graph, arrays, find_names, is_array, key, summary
from .written import ATOM, Transcript, Written, call_text, literal

__all__ = ["Names", "Step", "Walk", "last_part", "leaves_of", "numbers", "walk"]

NAME = 24  # characters of a name, beyond which it is cut
SHOWN = 24  # elements of an array, beyond which it is summarised


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the walk: what gets its value here, and how."""

    phase: str  # "given", "forward" or "backward"
    name: str  # of the value or the gradient
    lines: tuple[str, ...]  # of NumPy; none for what is given
    shape: tuple[int, ...]
    numbers: str  # as they are now: the array may be written later
    notes: tuple[str, ...]
    node: Hashable  # whose value or gradient it is
    uses: tuple[str, ...] = ()  # names of what the lines read
    through: str = ""  # the forward line that a gradient is passed back through
    at: Hashable = None  # the operation that this step is about,
    edges: tuple[int, ...] = ()  # and those of its edges that it goes along, counted from 1


@dataclass(frozen=True, slots=True)
class Walk:
    """All steps in their order, and what they come to."""

    head: str
    operations: int  # of the whole graph
    walked: int  # of these, the last ones, which the steps go through
    steps: tuple[Step, ...]
    leaves: tuple[tuple[str, str], ...]  # the name of each, and of its gradient
    checks: tuple[Check, ...]  # of the leaves, in the same order


def walk(graph: Graph, out_grad: Any, part: Graph, names: Names) -> Walk:
    """Walk through a `part` of a graph, its last operations, forward and back again.

    Raises the engine's own errors if there is no graph, or none any more; RuntimeError if the rules lead
    elsewhere here than in the engine.
    """
    leaves = leaves_of(graph)
    wanted = [*leaves, *(graph.tensors[node] for node in part.origins)]
    found = autograd.grad(graph.head, wanted, out_grad, retain_graph=True)
    gradients: dict[Hashable, Any] = {
        tensor.node: gradient.array for tensor, gradient in zip(wanted, found, strict=True)
    }
    walker = Walker(graph, part, names, gradients)
    steps = (
        *map(walker.given, part.sources.values()),
        *map(walker.forward, part.origins),
        walker.seed(out_grad),
        *walker.backward(),
    )
    own = [gradients[leaf.node] for leaf in leaves]
    return Walk(
        head=names.of(graph.head),
        operations=len(graph.origins),
        walked=len(part.origins),
        steps=steps,
        leaves=tuple((names.of(leaf), names.gradient(leaf)) for leaf in leaves),
        checks=tuple(finite_differences(graph.head, out_grad, graph, leaves, own)),
    )


def leaves_of(graph: Graph) -> list[Tensor]:
    """The leaves, in the order in which they were attached."""
    found: dict[Any, Tensor] = {
        node: value for node, value in graph.sources.items() if isinstance(value, Tensor) and value.is_leaf
    }
    return [found[node] for node in sorted(found)]


def last_part(graph: Graph, operations: int) -> Graph:
    """The last operations of a graph, with what they read as sources."""
    nodes = list(graph.origins)[-operations:]
    inputs = {node: graph.inputs[node] for node in nodes}
    read = {key(value): value for values in inputs.values() for value in values}
    sources = {place: value for place, value in read.items() if place not in inputs} or graph.sources
    tensors = {place: value for place, value in read.items() if isinstance(value, Tensor)}
    tensors |= {node: graph.tensors[node] for node in [*nodes, graph.head.node]}
    origins = {node: graph.origins[node] for node in nodes}
    return Graph(graph.head, origins, inputs, tensors, sources)


def numbers(array: Any, digits: int = 4, width: int = 60) -> str:
    """An array as NumPy prints it; a large one by its first and last elements and its range."""
    if not isinstance(array, (np.ndarray, np.generic)):
        return f"{type(array).__module__.split('.')[0]} {type(array).__name__}, not computed here"
    if array.ndim == 0:
        return f"{array:.{digits + 2}g}" if array.dtype.kind == "f" else str(array)
    if array.size > SHOWN and array.ndim > 2:
        return summary(array)
    array = np.asarray(array)
    text = np.array2string(array, precision=digits, threshold=SHOWN, edgeitems=2, max_line_width=width)
    return text if array.size <= SHOWN else f"{text}\nin all: {summary(array).removeprefix('all ')}"


# ---- names ------------------------------------------------------------------------------------------------


class Names:
    """What the lines call the values and their gradients: as the program does, as far as that is Python."""

    def __init__(self, leaves: Sequence[Tensor], part: Graph, scopes: list[Mapping[str, Any]]) -> None:
        #: names for the picture, with their values
        self.shown: dict[str, Any] = {}
        self._taken = {"np", "out_grad"}
        self._invented_so_far = Counter[str]()
        self._names: dict[Hashable, str] = {}
        self._gradients: dict[Hashable, str] = {}
        values = part.sources | {leaf.node: leaf for leaf in leaves}
        values |= {node: part.tensors[node] for node in part.origins}
        found = find_names(values, scopes).names
        for place in sorted(values, key=lambda place: place not in found):  # the program's names go first
            name = found.get(place) or self._invented(values[place])
            self._names[place] = code = self._free(_identifier(name))
            self.shown[code if name in self.shown else name] = values[place]
        for place, value in values.items():
            if isinstance(value, Tensor):
                self._gradients[place] = self._free("grad_" + self._names[place].replace(".", "_"))

    def of(self, value: Any) -> str:
        return self._names[key(value)]

    def gradient(self, tensor: Tensor) -> str:
        return self._gradients[tensor.node]

    def _free(self, name: str) -> str:
        """The name, with a number if it is taken already."""
        number, unique = 1, name
        while unique in self._taken:
            number += 1
            unique = f"{name}_{number}"
        self._taken.add(unique)
        return unique

    def _invented(self, value: Any) -> str:
        """A name for what has none: v1, v2, ... for results."""
        kind = kind_of(value)
        prefix = kind if kind in ("data", "parameter") else "v"
        while True:
            self._invented_so_far[prefix] += 1
            name = f"{prefix}{self._invented_so_far[prefix]}"
            if name not in self._taken:
                return name


def kind_of(value: Any) -> str:
    if not isinstance(value, Tensor):
        return "data"
    return "parameter" if value.is_leaf else "computed before"


def _identifier(name: str) -> str:
    """A name as it is if the lines can use it: `w`, `model.w`; else what is left of it: `layers_0_w`."""
    parts = name.split(".")
    if len(name) <= NAME and all(p.isidentifier() and not keyword.iskeyword(p) for p in parts):
        return name
    words = "".join(c if f"a{c}".isidentifier() else " " for c in name[: 10 * NAME]).split()
    name = "_".join(words)[:NAME].strip("_")
    return name if name.isidentifier() and not keyword.iskeyword(name) else f"v_{name}".rstrip("_")


# ---- the walk ---------------------------------------------------------------------------------------------


class Walker:
    """Makes the steps. `gradients` are the engine's, to be met wherever all of a gradient has arrived."""

    def __init__(
        self,
        graph: Graph,
        part: Graph,
        names: Names,
        gradients: Mapping[Hashable, Any],
    ) -> None:
        self.graph, self.part, self.names, self.gradients = graph, part, names, gradients
        self.received: dict[Hashable, Any] = {}  # the gradients so far
        inputs = (value for values in graph.inputs.values() for value in values)
        self.paths = Counter(value.node for value in inputs if isinstance(value, Tensor))
        self.arrived = Counter[Hashable]()

    def given(self, value: Any) -> Step:
        array = array_of(value)
        return Step(
            "given", self.names.of(value), (), array.shape, numbers(array), (kind_of(value),), key(value)
        )

    def forward(self, node: Hashable) -> Step:
        result, origin = self.graph.tensors[node], self.graph.origins[node]
        inputs = list(arrays((*origin.arguments, *origin.options.values())))
        elementwise = DERIVATIVES[origin.function].elementwise
        return Step(
            phase="forward",
            name=self.names.of(result),
            lines=(self._line(node),),
            shape=result.shape,
            numbers=numbers(result.array),
            notes=tuple(
                f"{self.names.of(value)} of shape {value.shape} is broadcast to {result.shape}."
                for value in inputs
                if elementwise and value.shape != result.shape
            ),
            node=node,
            uses=tuple(dict.fromkeys(map(self.names.of, inputs))),
            at=node,
            edges=tuple(range(1, len(inputs) + 1)),
        )

    def _line(self, node: Hashable) -> str:
        """The line that computes a result."""
        return f"{self.names.of(self.graph.tensors[node])} = {self._source(node)}"

    def _source(self, node: Hashable, part: int | None = None) -> str:
        """The call that made a result; or another `part` of the results of that call."""
        text, _ = call_text(*self.graph.origins[node], lambda value: (self.names.of(value), ATOM))
        part = self.graph.tensors[node].part if part is None else part
        return text if part is None else f"{text}[{part}]"

    def seed(self, out_grad: Any) -> Step:
        """The first step backward: the head's own gradient."""
        head = self.graph.head
        name, gradient = self.names.of(head), self.names.gradient(head)
        self.received[head.node] = array = self.gradients[head.node]
        if out_grad is not None:
            source, note = "out_grad", f"The gradient for {name} that was given."
        elif head.ndim == 0:
            source, note = "1.0", f"Whatever changes {name} changes {name} by just as much."
        else:
            source = f"np.ones({head.shape})"
            note = f"{name} is more than one number: the gradients are those of the sum of its elements."
        line = f"{gradient} = {source}"
        return Step("backward", gradient, (line,), head.shape, numbers(array), (note,), head.node)

    def backward(self) -> Iterator[Step]:
        """A step for each edge that a gradient flows back along."""
        for at in reversed(self.part.origins):
            for edge, target, transcript, made, note in self._passed_back(at):
                node, name = target.node, self.names.gradient(target)
                if node in self.received:
                    made = transcript.name(self.received[node], name) + made
                self.arrived[node] += 1
                self.received[node] = self._checked(target, made.array)
                yield Step(
                    phase="backward",
                    name=name,
                    lines=tuple(transcript.lines(name, made)),
                    shape=target.shape,
                    numbers=numbers(self.received[node]),
                    notes=tuple(filter(None, (note, self._so_far(target)))),
                    node=node,
                    uses=tuple(transcript.reads(made)),
                    through=self._line(at),
                    at=at,
                    edges=(edge,),
                )

    def _so_far(self, target: Tensor) -> str:
        """Which of several gradients has arrived."""
        name, paths, arrived = self.names.of(target), self.paths[target.node], self.arrived[target.node]
        if paths == 1:
            return ""
        if arrived == 1:
            return f"{name} is used {paths} times: this is the first of {paths} gradients that add up."
        rest = "that is all of them" if arrived == paths else f"{paths - arrived} still to come"
        return f"Gradient {arrived} of {paths} for {name}, added to what has come so far; {rest}."

    def _checked(self, target: Tensor, made: Any) -> Any:
        """A gradient, which must be the engine's if all of it has arrived."""
        whole = self.arrived[target.node] == self.paths[target.node] and target.node in self.gradients
        if not whole or not isinstance(made, (np.ndarray, np.generic)) or target.dtype.kind != "f":
            return made
        expected = self.gradients[target.node]
        finite = np.isfinite(expected)
        made = np.where(finite, made, expected)
        tolerance = 1e-2 if expected.dtype.itemsize == 2 else 1e-4 if expected.dtype.itemsize == 4 else 1e-8
        scale = np.max(np.abs(expected), where=finite, initial=0)
        if not np.allclose(made, expected, rtol=tolerance, atol=tolerance * scale, equal_nan=True):
            raise RuntimeError(
                f"the steps lead to another gradient of {self.names.of(self.graph.head)} with respect to "
                f"{self.names.of(target)} than backward() does. Does a rule of yours ask for the type of an "
                "array? Write plain NumPy."
            )
        return made

    def _passed_back(self, node: Hashable) -> Iterator[tuple[int, Tensor, Transcript, Any, str]]:
        """What an operation passes back: along which edge, to which Tensor, what, and a note about it."""
        origin, edge = self.graph.origins[node], 0
        row = DERIVATIVES[origin.function]
        named: list[tuple[Any, Any]] = [*enumerate(origin.arguments), *origin.options.items()]
        for place, value in named:
            inputs = list(arrays((value,)))
            if not any(isinstance(one, Tensor) for one in inputs):
                edge += len(inputs)
                continue
            transcript = Transcript()

            def write(value: Any, transcript: Transcript = transcript) -> Any:
                if isinstance(value, (list, tuple)):
                    return type(value)(map(write, value))
                return transcript.name(array_of(value), self.names.of(value)) if is_array(value) else value

            rule, options = row.rule_of(place), {} if row.elementwise else origin.options
            assert callable(rule)  # else the engine would have made the argument a constant
            g, y = self._output(node, transcript)
            named_values = {name: write(option) for name, option in options.items()}
            gradients = rule(g, y, *map(write, origin.arguments), **named_values)
            for one, made in _pairs(value, gradients):
                edge += is_array(one)
                if isinstance(one, Tensor):
                    fitted, note = self._fitted(one, made, transcript)
                    if row.elementwise and self._left_out(one, fitted.array):
                        fitted, note = self._fitted(one, np.where(g != 0, made, 0), transcript)
                        note = f"{note} What nothing uses later gets 0, whatever the derivative.".strip()
                    yield edge, one, transcript, fitted, note

    def _left_out(self, target: Tensor, made: Any) -> bool:
        """Whether a rule has made NaN of the zero that arrives at elements that nothing uses.

        The engine leaves them out. A derivative that is infinite there would make NaN of 0 * inf.
        """
        if not isinstance(made, (np.ndarray, np.generic)) or target.node not in self.gradients:
            return False
        return bool(np.any(~np.isfinite(made) & np.isfinite(self.gradients[target.node])))

    def _output(self, node: Hashable, transcript: Transcript) -> tuple[Any, Any]:
        """The gradient and the value of an operation's result, as rules take them.

        Of several results each has its own node and passes on its own gradient: those of the others count as
        zeros, and what they pass back adds up.
        """
        result = self.graph.tensors[node]
        g = transcript.name(self.received[node], self.names.gradient(result))
        y = transcript.name(result.array, self.names.of(result))
        if result.part is None:
            return g, y
        gradients, values = [], []
        for i, value in enumerate(run_again(self.graph.origins[node])):
            zeros = transcript.name(np.zeros_like(value), f"np.zeros({value.shape})")
            gradients.append(g if i == result.part else zeros)
            values.append(y if i == result.part else transcript.name(value, self._source(node, i)))
        return tuple(gradients), tuple(values)

    def _fitted(self, target: Tensor, made: Any, transcript: Transcript) -> tuple[Any, str]:
        """What a rule made, in the shape of the argument: summed where that was broadcast; and a note."""
        if not isinstance(made, Written):
            array = np.asarray(made, target.dtype)
            made = transcript.name(array, literal(array))
        name, shape = self.names.of(target), made.shape
        extra = made.ndim - target.ndim
        if extra > 0:
            made = np.sum(made, axis=_one_or_all(tuple(range(extra))))
        sizes = (1,) * -extra + made.shape
        axes = tuple(axis for axis, n in enumerate(target.shape) if n == 1 and sizes[axis] != 1)
        if axes:
            made = np.sum(made, axis=_one_or_all(axes), keepdims=True)
        if made.shape == target.shape:
            summed = f"{name} of shape {target.shape} was broadcast to {shape}: its gradient is summed."
            return made, "" if made.shape == shape else summed
        same = "" if made.size == 1 else " along one axis"
        return np.broadcast_to(made, target.shape), f"All elements of {name}{same} get the same gradient."


def _one_or_all(axes: tuple[int, ...]) -> int | tuple[int, ...]:
    return axes[0] if len(axes) == 1 else axes


def _pairs(value: Any, made: Any) -> Iterator[tuple[Any, Any]]:
    """Each array of an argument, which may be nested lists, with its gradient."""
    if isinstance(value, (list, tuple)):
        for one, gradient in zip(value, made, strict=True):
            yield from _pairs(one, gradient)
    else:
        yield value, made
