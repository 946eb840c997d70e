"""Find what a computation repeats, so that a loop of a thousand steps is drawn as one step.

The operations are taken in the order in which they were computed. A stretch of them repeats with period p if
each does the same as the one p places later, and reads its operands from the same place (a constant of the
loop), from p places later (the loop's own values, or carried ones), or by any other fixed stride (the
backward part of a loop reads its forward part from the end).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .reading import Graph, key, no_collection

Integers = NDArray[np.int64]

LEAST = 3  # repetitions, below which nothing is gained
OPERANDS = 8  # array operands up to which an operation can be part of a repetition
TRIES = 6  # periods that are tried for each length of what comes again
FAR = 1000  # operations back, beyond which an operand counts as a constant when periods are sought
LONGEST_SEARCH = 100  # beginnings of a repeat that are tried, from either end
EFFORT = 30  # times that all operations are looked at, before the search ends


@dataclass(eq=False)  # each is itself: it stands in frames, which are hashed
class Repeat:
    """The operations numbered from `start`, `count` times `period` of them. The last repetition is drawn."""

    start: int
    period: int
    count: int
    inner: list[Repeat] = field(default_factory=list)  # repeats within the last repetition

    @property
    def stop(self) -> int:
        return self.start + self.period * self.count

    def turn(self, number: int) -> int:
        """Which repetition an operation belongs to."""
        return (number - self.start) // self.period


class Program:
    """The operations of a graph as numbers in the order of the computation, and what repeats in them."""

    def __init__(self, graph: Graph, fold: bool) -> None:
        self.keys = list(graph.origins)
        self.numbers = {place: number for number, place in enumerate(self.keys)}
        self.repeats: list[Repeat] = []
        if fold:
            with no_collection():
                self._describe(graph)
                self.repeats = self._find(0, len(self.keys))

    def around(self, number: int) -> list[Repeat]:
        """The repeats that an operation belongs to, the outermost first; the inner ones as far as they are
        known: within the last repetition."""
        found, level = [], self.repeats
        while level:
            i = bisect_right([repeat.start for repeat in level], number) - 1
            if i < 0 or number >= level[i].stop:
                break
            found.append(level[i])
            level = level[i].inner if level[i].turn(number) == level[i].count - 1 else []
        return found

    def drawn(self) -> Iterator[int]:
        """The operations left when each repeat is drawn once."""
        todo = [(0, len(self.keys), self.repeats)]
        while todo:
            start, stop, repeats = todo.pop()
            if not repeats:
                yield from range(start, stop)
                continue
            repeat, *later = repeats
            yield from range(start, repeat.start)
            todo.append((repeat.stop, stop, later))
            todo.append((repeat.stop - repeat.period, repeat.stop, repeat.inner))

    def representative(self, number: int) -> int:
        """The operation that is drawn for an operation."""
        level = self.repeats
        while level:
            i = bisect_right([repeat.start for repeat in level], number) - 1
            if i < 0 or number >= level[i].stop:
                break
            repeat = level[i]
            number += (repeat.count - 1 - repeat.turn(number)) * repeat.period
            level = repeat.inner
        return number

    # ---- finding repeats ----------------------------------------------------------------------------------

    def _describe(self, graph: Graph) -> None:
        """What each operation does, as a number, and what it reads: operations by their numbers, which count
        from 0, and what was not computed here by numbers below 0."""
        does: dict[Any, int] = {}
        reads: dict[Any, int] = {}
        others: dict[Hashable, int] = {}
        n = len(self.keys)
        self.does: Integers = np.empty(n, np.int64)  # function, options, shapes
        self.kinds: Integers = np.empty(n, np.int64)  # the same, and which operands were computed
        width = min(OPERANDS, max((len(graph.inputs[place]) for place in self.keys), default=0))
        self.operands: Integers = np.full((n, width), np.iinfo(np.int64).min)
        numbers, tensors = self.numbers, graph.tensors
        for number, place in enumerate(self.keys):
            function, arguments, options = graph.origins[place]
            inputs = graph.inputs[place]
            row = []
            for value in inputs:
                source = key(value)
                operand = numbers.get(source)
                row.append(others.setdefault(source, -1 - len(others)) if operand is None else operand)
            if len(row) > OPERANDS:
                self.does[number] = self.kinds[number] = -1 - number  # like no other
                continue
            what = (
                function,
                tensors[place].shape,
                tuple([value.shape for value in inputs]),
                tuple([None if hasattr(a, "shape") else type(a) for a in arguments]),
                tuple([(name, None if hasattr(v, "shape") else repr(v)) for name, v in options.items()]),
            )
            self.does[number] = same = does.setdefault(what, len(does))
            self.kinds[number] = reads.setdefault(
                (same, tuple([operand >= 0 for operand in row])), len(reads)
            )
            self.operands[number, : len(row)] = row
        computed = self.operands >= 0
        distances = np.where(computed, np.minimum(np.arange(n)[:, np.newaxis] - self.operands, FAR), 0)
        self.wirings = self.kinds.copy()
        for column in distances.T:  # an overflow is welcome: what must not be equal by chance are neighbours
            self.wirings = self.wirings * (2 * FAR + 1) + column

    def _find(self, start: int, stop: int) -> list[Repeat]:
        """The repeats between two operations, in order, each with those inside it."""
        found: list[Repeat] = []
        todo = [(start, stop, found)]
        levels = [found]
        effort = EFFORT * (stop - start + 1000)
        while todo and effort > 0:  # by number, so that the result is the same on every machine
            start, stop, level = todo.pop()
            effort -= stop - start
            found_here = self._best(start, stop)
            for repeat in found_here:
                level.append(repeat)
                levels.append(repeat.inner)
                todo.append((start, repeat.start, level))
                todo.append((repeat.stop - repeat.period, repeat.stop, repeat.inner))
                start = repeat.stop
            if found_here:
                todo.append((start, stop, level))
        for level in levels:
            level.sort(key=lambda repeat: repeat.start)
        return found

    def _best(self, start: int, stop: int) -> list[Repeat]:
        """All repeats with the period that covers the most operations: an outer loop rather than an inner.

        The first two repetitions of a loop may read what was computed before it, and so be left out where
        loops within them are covered wholly: they count as covered.
        """
        most, period, chosen = 0, 0, []
        for p in self._periods(start, stop):
            stretches = list(self._stretches(start, stop, p))
            covered = sum(last - first for first, last in stretches) + 2 * p
            if stretches and covered > most:
                most, period, chosen = covered, p, stretches
        repeats: list[Repeat] = []
        for first, last in chosen:
            parts = (p for p in range(1, period) if period % p == 0)
            whole = (p for p in parts if list(self._stretches(first, last, p)) == [(first, last)])
            repeats.append(self._aligned(first, last, next(whole, period), start))
            start = repeats[-1].stop
        return repeats

    def _periods(self, start: int, stop: int) -> list[int]:
        """Periods worth trying: the distances at which an operation, or a few in a row, come again."""
        votes: dict[int, int] = {}
        for words in (self.kinds[start:stop], self.wirings[start:stop]):
            length = 1
            while len(words) > 1:
                order = np.argsort(words, kind="stable")
                new = np.diff(words[order]) != 0
                distances, counts = np.unique(np.diff(order)[~new], return_counts=True)
                for i in np.argsort(-counts, kind="stable")[:TRIES]:
                    period = int(distances[i])
                    votes[period] = max(votes.get(period, 0), int(counts[i]))
                if not counts.size or counts.max() > 0.95 * len(words):
                    break
                # words twice as long, each known by the pair of its halves
                ranks = np.empty_like(words)
                ranks[order] = np.concatenate([[0], np.cumsum(new)])
                words = ranks[:-length] * len(ranks) + ranks[length:]
                length *= 2
        return sorted(votes, key=lambda period: (-votes[period], period))[: 4 * TRIES]

    def _stretches(self, start: int, stop: int, period: int) -> Iterator[tuple[int, int]]:
        """The beginning and the end of all that repeats with one period, none of it twice."""
        if stop - start < LEAST * period:
            return
        kinds, operands = self.kinds[start:stop], self.operands[start:stop]
        same = kinds[period:] == kinds[:-period]
        strides = np.where(operands[period:] < 0, 0, operands[period:] - operands[:-period])
        regular = same[period:] & same[:-period] & (strides[period:] == strides[:-period]).all(axis=1)
        edges = np.diff(np.concatenate([[0], regular.astype(np.int8), [0]]))
        firsts = np.flatnonzero(edges == 1) + start
        lasts = np.flatnonzero(edges == -1) + start + 2 * period
        long = lasts - firsts >= LEAST * period
        for first, last in zip(firsts[long].tolist(), lasts[long].tolist(), strict=True):
            first = max(first, start)
            if last - first >= LEAST * period:
                yield first, last
                start = last

    def _aligned(self, first: int, last: int, period: int, start: int) -> Repeat:
        """The repeat in a stretch whose beginning leaves the fewest values to carry and operations outside.

        A loop's first repetition reads something else where the others read what the one before computed. It
        is taken in if that is the only difference.
        """
        choices = []
        offsets = range(min(period, last - first - LEAST * period + 1))
        for offset in {*offsets[:LONGEST_SEARCH], *offsets[-LONGEST_SEARCH:]}:
            begin = first + offset
            count = (last - begin) // period
            carried = self._carried(begin, period)
            if begin - period >= start and self._is_first(begin, period):
                begin, count = begin - period, count + 1
            choices.append((carried - count * period, offset, begin, count))
        _, _, begin, count = min(choices)
        return Repeat(begin, period, count)

    def _is_first(self, first: int, period: int) -> bool:
        """Whether the `period` operations before `first` do the same but for what is carried to them."""
        if not np.array_equal(self.does[first - period : first], self.does[first : first + period]):
            return False
        now, then, later = (self.operands[first + i * period :][:period] for i in (-1, 0, 1))
        carried = (then >= 0) & (then < first) & (later - then == period)
        computed = (then >= 0) & (now == then - (later - then))
        return bool((carried | computed | ((then < 0) & (now < 0))).all())

    def _carried(self, first: int, period: int) -> int:
        """How many values the operations from `first` on read from the repetition before."""
        now, later = (self.operands[first + i * period :][:period] for i in (0, 1))
        return len(np.unique(now[(now >= 0) & (now < first) & (later - now == period)]))
