"""Decide what of a graph is drawn: which operations have nodes of their own, and where their edges begin."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tinygrad_lr.module import Module

from .folding import Program, Repeat
from .reading import Graph, Names, common, find_modules, find_names, key

NEAREST = 30  # nodes drawn of a graph that does not fold: what still fits on a page
CROWD, SHOWN = 16, 8  # leaves that one call reads, beyond which only so many are drawn and the others counted
EARLIER = "earlier"

# the frames around a node, the outermost first: ("module", name), ("sweep", n), Repeats
Frame = tuple[Any, ...]

# What stands in the picture for an operation: a node of its own, by its number; the node of a collapsed
# Module, by its frame; or the one node of all that is EARLIER than what is drawn.
Unit = int | Frame | str


class Result(NamedTuple):
    """An operand that was computed here; in all, this call reads so many different ones of the same unit."""

    unit: Unit
    different: int = 1


class Source(NamedTuple):
    """An operand that was not. In a repeat it may be another one each time: so many, from the `first` on."""

    key: Hashable
    first: Hashable
    different: int


class Carried(NamedTuple):
    """An operand that each repetition reads from the one `lag` before it, but the first from elsewhere."""

    repeat: Repeat
    lag: int
    number: int  # the operation that computes it, as drawn
    unit: Unit
    first: Any  # where the first repetition has it from: a Result, a Source or a Carried
    key: Hashable  # of the value that it has there


class Others(NamedTuple):
    """The leaves that a call reads, without those that are drawn."""

    number: int
    more: int


Operand = Result | Source | Carried | Others


class Plan:
    """What is drawn of a graph.

    Attributes
    ----------
    numbers : the operations that are drawn, in the order of the computation, by their numbers in `program`.
    units : what stands for each of them.
    frames : the frames around each of them.
    named : the program's names.
    sweeps : the numbers of the sweeps in the drawing, from 1, by the engine's.
    size : the number of nodes that it takes to draw the whole graph.
    """

    def __init__(
        self,
        graph: Graph,
        scopes: Sequence[Mapping[str, Any]],
        depth: int | None,
        collapse: Collection[Module],
        fold: bool | None,
        max_nodes: int,
    ) -> None:
        self.graph, self.depth, self.collapse = graph, depth, collapse
        self.size = len(graph.origins) + len(graph.sources)
        self.program = Program(graph, self.size > max_nodes if fold is None else fold)
        self.keys = self.program.keys
        self.numbers = list(self.program.drawn())
        results = {self.keys[number]: graph.tensors[self.keys[number]] for number in self.numbers}
        self.named: Names = find_names(graph.sources | results | {graph.head.node: graph.head}, scopes)
        owners = self.named.owners
        self._modules = find_modules(graph, owners) if owners else {}
        self.sweeps: dict[int, int] = {}
        self._shared: dict[Repeat, int] = {}
        self.frames = {number: self._frame(number) for number in self.numbers}
        self.units: dict[int, Unit] = {
            number: self._unit(self.frames[number]) or number for number in self.numbers
        }
        self._keep_nearest(max_nodes)

    # ---- frames and units ---------------------------------------------------------------------------------

    def _path(self, number: int) -> Frame:
        """The Modules around an operation, or the sweep that made it; counted from 1 in each drawing."""
        place = self.keys[number]
        if sweep := self.graph.tensors[place].sweep:
            return (("sweep", self.sweeps.setdefault(sweep, len(self.sweeps) + 1)),)
        return tuple(("module", name) for name in self._modules.get(place, ()))

    def _frame(self, number: int) -> Frame:
        """The frames around an operation. A Module is around a repeat if all that is repeated is in it."""
        path, frame, done = self._path(number), (), 0
        for repeat in self.program.around(number):
            if repeat not in self._shared:
                inside = range(repeat.stop - repeat.period, repeat.stop)
                self._shared[repeat] = len(common([self._path(other) for other in inside]))
            frame += (*path[done : self._shared[repeat]], repeat)
            done = max(done, self._shared[repeat])
        return frame + path[done:]

    def _unit(self, frame: Frame) -> Frame:
        """The frame of the outermost Module in it that is collapsed; () if none is."""
        level = 0
        for i, part in enumerate(frame, start=1):
            if isinstance(part, tuple) and part[0] == "module":
                module = self.named.modules[part[1]]
                if level == self.depth or any(module is other for other in self.collapse):
                    return frame[:i]
                level += 1
        return ()

    def frame_of_source(self, source: Source, reader: Frame) -> Frame:
        """The frames around a leaf: those of the Module that holds it, as far as they are drawn."""
        modules = tuple(("module", name) for name in self.named.owners.get(source.key, ()))
        if source.different > 1 or not modules:
            return ()
        if modules[-1] in reader:
            return reader[: reader.index(modules[-1]) + 1]
        return modules[: len(self._unit(modules)) - 1] if self._unit(modules) else modules

    def _keep_nearest(self, max_nodes: int) -> None:
        """Leave the operations nearest to the head, if all would take too many nodes."""

        def nodes(number: int) -> set[Hashable]:
            values = self.graph.inputs[self.keys[number]]
            return {self.units[number], *(("source", key(v)) for v in values if key(v) in self.graph.sources)}

        if len({node for number in self.numbers for node in nodes(number)}) <= max_nodes:
            return
        kept: set[Unit] = set()
        drawn: set[Hashable] = {EARLIER}
        for number in reversed(self.numbers):
            drawn |= nodes(number)
            if kept and len(drawn) > min(NEAREST, max_nodes):
                break
            kept.add(self.units[number])
        for number in self.numbers:
            if self.units[number] not in kept:
                self.units[number] = EARLIER

    def weight(self, number: int) -> int:
        """How many operations of the program one that is drawn stands for."""
        count = 1
        for repeat in self.program.around(number):
            count *= repeat.count
        return count

    # ---- operands -----------------------------------------------------------------------------------------

    def operands(self, number: int) -> Iterator[tuple[int, Any, Operand]]:
        """What an operation that is drawn reads, in order: which operand, its value, and where it is from.

        Different results that one unit stands for are given as one.
        """
        values = self.graph.inputs[self.keys[number]]
        origins = [self._origin(number, i, value) for i, value in enumerate(values)]
        different: dict[Operand, set[Hashable]] = {}
        for value, origin in zip(values, origins, strict=True):
            different.setdefault(origin, set()).add(key(value))
        leaves = [origin for origin in different if isinstance(origin, Source)]
        hidden = set(leaves[SHOWN:] if len(leaves) > CROWD else [])
        done: set[Operand] = set()
        for i, (value, origin) in enumerate(zip(values, origins, strict=True)):
            if origin in hidden:
                origin = Others(number, len(hidden))
            elif isinstance(origin, Result) and len(different[origin]) > 1:
                origin = Result(origin.unit, len(different[origin]))
            merged = isinstance(origin, Others) or (isinstance(origin, Result) and origin.different > 1)
            if merged and origin in done:
                continue
            done.add(origin)
            yield i, value, origin

    def _origin(
        self, number: int, operand: int, value: Any, around: Sequence[Repeat] | None = None
    ) -> Operand:
        """Where an operand is from; `around` are the repeats to be considered, by default all."""
        around = self.program.around(number) if around is None else around
        source = self.program.numbers.get(key(value))
        if source is None:
            return self._source(number, operand, value, around)
        for i, repeat in enumerate(around):
            if not repeat.start <= source < repeat.stop:
                break
            if repeat.turn(source) < repeat.turn(number):
                before = self._input(number - repeat.period, operand)
                if self.program.numbers.get(key(before)) == source - repeat.period:
                    return self._carried(number, operand, source, repeat, around[:i])
                break  # each repetition reads the same result of one of them
        return Result(self.units[self.program.representative(source)])

    def _input(self, number: int, operand: int) -> Any:
        return self.graph.inputs[self.keys[number]][operand]

    def _carried(
        self, number: int, operand: int, source: int, repeat: Repeat, outside: Sequence[Repeat]
    ) -> Carried:
        first = number - repeat.turn(number) * repeat.period
        value = self._input(first, operand)
        drawn = self.program.representative(source)
        lag = repeat.turn(number) - repeat.turn(source)
        return Carried(
            repeat, lag, drawn, self.units[drawn], self._origin(first, operand, value, outside), key(value)
        )

    def _source(self, number: int, operand: int, value: Any, around: Sequence[Repeat]) -> Source:
        first, different = number, 1
        for repeat in around:
            turns = range(repeat.turn(number) + 1)
            values = [self._input(number - turn * repeat.period, operand) for turn in turns]
            different *= len({key(value) for value in values})
            first -= repeat.turn(number) * repeat.period
        return Source(key(value), key(self._input(first, operand)), different)
