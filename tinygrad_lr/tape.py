"""The tape: the calls that were recorded, in the order in which they were made.

A recorded tensor is a place on a tape, so it only needs to know the tape and its index there. The tape is one
flat list, and all that it holds of a call are functions, numbers and arrays: Python's cyclic garbage
collector has nothing to follow in it, however long it grows.

A tensor from elsewhere, an attached leaf or a tensor on another tape, enters a tape as an input. A tape has
inputs from older tapes only, so that tapes never refer to each other in a circle.
"""

import itertools
import operator
import weakref
from collections.abc import Callable
from threading import get_ident
from typing import Any, NamedTuple, Protocol

from .derivatives import Derivative
from .derivatives.table import Rule
from .scope import ANOMALY, MODE


class Traceable(Protocol):
    """What the tape and the sweep know of a tensor."""

    array: Any
    tape: Any
    index: int
    attachment: "Attachment | None"

    def __hash__(self) -> int: ...


class Call(NamedTuple):
    """One entry of a tape: six items of its list."""

    derivative: Any  # the row of the table; FREED after a backward that went past it
    value: Any
    arguments: Any  # arrays, in the order of the call
    # for each argument its place: where it was computed on this tape, -1 for a constant, less for an input.
    # Those of the options follow if there is one among them.
    parents: Any
    options: Any
    moment: int  # of the clock of writes


ENTRY = len(Call._fields)
CONSTANT = -1
NO_OPTIONS: dict[str, Any] = {}


class Picks:
    """The rules of a list of arrays, however long: of its gradients each array gets the one in its place."""

    def __getitem__(self, number: int) -> Rule:
        return lambda g, y, *arrays: g[number]


#: a list of arrays, made of them for the call that follows
PACK = Derivative(list, ())
PACK.rules = Picks()  # type: ignore[assignment]  # without end
PACK.moves = PACK.follows = True
#: one of several results of a call: arguments (None, its number)
PART = Derivative(operator.getitem, ())
FREED = Derivative(lambda: None, ())
FREED_CALL: tuple[Any, ...] = (FREED, None, (), (), NO_OPTIONS, 0)


class Writes:
    """A clock that ticks at every write in place, and when each array still alive was last written.

    A view counts as the array that owns its memory.
    """

    def __init__(self) -> None:
        self.now = 0
        self.last: dict[int, tuple[int, Any]] = {}

    @staticmethod
    def _owner(array: Any) -> Any:
        while hasattr(base := getattr(array, "base", None), "__array_ufunc__") or hasattr(
            base := getattr(base, "base", None),
            "__array_ufunc__",  # stride_tricks put a holder in between
        ):
            array = base
        return array

    def entry(self, array: Any) -> tuple[int, Any]:
        """The key of an array in `last`, and what removes it there when the array is gone."""
        owner = array if getattr(array, "base", self) is None else self._owner(array)
        key = id(owner)
        last = self.last.get(key)
        return key, last[1] if last else weakref.ref(owner, lambda _: self.last.pop(key, None))

    def note(self, array: Any) -> None:
        """`array` is about to be written."""
        key, forget = self.entry(array)
        self.now += 1
        self.last[key] = (self.now, forget)

    def since(self, moment: int, array: Any) -> bool:
        """Whether `array` was written after `moment`."""
        last = self.last.get(id(self._owner(array)))
        return last is not None and last[0] > moment


WRITES = Writes()


class Attachment:
    """The gradient that belongs to an attached tensor, and what `backward` shall do with it."""

    __slots__ = ("grad", "grad_req", "written")

    def __init__(self, grad: Any, grad_req: str) -> None:
        self.grad, self.grad_req = grad, grad_req
        self.written = False  # whether a backward has stored a gradient yet


class Tape:
    """Calls in the order in which they were made, ENTRY items each, in one list."""

    __slots__ = ("attachments", "calls", "inputs", "number", "places", "sources", "sweep", "thread")
    _numbers = itertools.count()

    def __init__(self) -> None:
        self.number = next(Tape._numbers)  # newer tapes have higher ones
        self.thread = get_ident()  # the only one that writes on it
        self.sweep = 0  # its number if a sweep with create_graph writes on it
        self.calls: list[Any] = []
        self.sources: list[Traceable] = []  # the tensors that entered as inputs: the first has the place -2
        self.inputs: dict[Traceable, int] = {}  # their places
        self.attachments: dict[int, Attachment] = {}  # of tensors on this tape that have their own .grad
        # the user's file and row of each call, under detect_anomaly()
        self.places: dict[int, str] | None = {} if MODE.get() & ANOMALY else None

    def __getitem__(self, index: int) -> Call:
        return Call(*self.calls[index : index + ENTRY])

    def append(
        self, row: Derivative, value: Any, arguments: Any, parents: Any, options: Any = NO_OPTIONS
    ) -> int:
        """Write down a call; returns its place."""
        self.calls += (row, value, arguments, parents, options, WRITES.now)
        return len(self.calls) - ENTRY

    def place_of(self, tensor: Traceable) -> int | None:
        """Where a tensor stands on this tape, after entering it as an input if need be.

        None if it is on a newer tape, which this one must not read.
        """
        if tensor.tape is None:
            return CONSTANT
        if tensor.tape is self:
            return tensor.index
        place = self.inputs.get(tensor)
        if place is None:
            if tensor.tape.number > self.number:
                return None
            self.sources.append(tensor)
            self.inputs[tensor] = place = CONSTANT - len(self.sources)
        return place

    def source(self, place: int) -> Traceable:
        """The tensor that entered as an input at a place."""
        return self.sources[CONSTANT - 1 - place]


LEAVES = Tape()  # the tape of those who were not computed: an attached leaf is one of its (unwritten) entries
new_leaf: Callable[[], int] = itertools.count().__next__
