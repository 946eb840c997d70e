"""The backward sweep: the tape read backwards, each call passing its gradient on to what it was made from."""

from collections.abc import Callable, Iterable, Iterator
from heapq import heapify, heappop, heappush
from typing import Any

import numpy as np

from . import errors
from .scope import ANOMALY, MODE
from .tape import ENTRY, FREED, FREED_CALL, INPUT, LEAVES, PART, WRITES, Attachment, Call, Tape, Traceable

Lift = Callable[[Any, Tape, int], Any]


def sweep(
    heads: Iterable[tuple[Traceable, Any]], retain_graph: bool, lift: Lift | None = None
) -> dict[Attachment, Any]:
    """The gradient for every attachment that the heads depend on, from each head's own gradient.

    A call stands on its tape after the calls that made its arguments, and a tape reads older tapes only. So
    with the youngest tape read from its end, then the next, a call's turn comes when everything that used its
    result has passed its gradient on. What the sweep is done with it frees, unless `retain_graph`.

    The rules get arrays; or, with `lift`, which makes a tensor of a place on a tape, tensors, and so are
    recorded themselves. A gradient may be smaller than its tensor as long as it broadcasts to it.
    """
    received: dict[Attachment, Any] = {}
    waiting: dict[Tape, dict[int, Any]] = {}  # gradients so far, for places on tapes still to be read

    def give(tensor: Traceable, gradient: Any) -> None:
        if tensor.tape is LEAVES:
            if (leaf := tensor.attachment) is not None:
                received[leaf] = received[leaf] + gradient if leaf in received else gradient
        elif tensor.tape is not None:
            places, index = waiting.setdefault(tensor.tape, {}), tensor.index
            places[index] = places[index] + gradient if index in places else gradient

    for head, gradient in heads:
        give(head, gradient)
    while waiting:
        tape = max(waiting, key=lambda tape: tape.number)
        for tensor, gradient in _sweep_tape(tape, waiting.pop(tape), received, retain_graph, lift):
            give(tensor, gradient)
    return received


def _sweep_tape(
    tape: Tape,
    gradients: dict[int, Any],
    received: dict[Attachment, Any],
    retain_graph: bool,
    lift: Lift | None,
) -> Iterator[tuple[Traceable, Any]]:
    """Sweep one tape from the places that have a gradient; yields what arrives at its inputs."""
    calls, attachments, anomaly = tape.calls, tape.attachments, MODE.get() & ANOMALY
    turns = [-index for index in gradients]  # a heap: the place nearest to the end comes first
    heapify(turns)

    shape: tuple[int, ...] | None = None

    def give(parent: int, argument: Any, gradient: Any) -> None:
        try:
            fits = gradient.shape == argument.shape and (shape is None or shape == argument.shape)
        except AttributeError:
            fits = False
        if not fits:
            gradient = _fitted(gradient, argument, value, row)
        if anomaly and not np.all(np.isfinite(gradient)):
            raise errors.AnomalyError(
                _anomaly(row, gradient, value, tape.places.get(index) if tape.places else None)
            )
        if parent in gradients:
            gradients[parent] = gradients[parent] + gradient
        else:
            gradients[parent] = gradient
            heappush(turns, -parent)

    while turns:
        index = -heappop(turns)
        gradient = gradients.pop(index)
        row, value, arguments, parents, options, moment = calls[index : index + ENTRY]
        if attachments and index in attachments:
            received[attachments[index]] = gradient
        if row is INPUT:
            yield arguments, gradient
            continue
        if row is FREED:
            raise errors.GraphFreedError(
                "the graph was already freed: an earlier backward() went through it. "
                "Call that one with retain_graph=True, or record the computation again."
            )
        if moment != WRITES.now:
            _check_unmodified(tape[index])
        if not retain_graph:
            calls[index : index + ENTRY] = FREED_CALL
        if row is PART:  # one of several results: its gradient waits for those of the others
            parent, part = parents[0], arguments[1]
            if parent not in gradients:
                gradients[parent] = {}
                heappush(turns, -parent)
            gradients[parent][part] = gradient
            continue
        if lift is not None:
            value, arguments = _lifted(lift, tape, index, value, arguments, parents)
        if row.elementwise:
            shape = value.shape  # an argument of another shape was broadcast
        else:
            shape, gradient = None, _in_full(gradient, value)
        for rule, parent, argument in zip(row.rules, parents, arguments, strict=False):
            if parent == -1:
                continue
            made = (
                rule(gradient, value, *arguments, **options) if options else rule(gradient, value, *arguments)
            )
            if type(parent) is int:
                give(parent, argument, made)
                continue
            for part, one_argument, one_made in zip(parent, argument, made, strict=True):  # a list of arrays
                if part != -1:
                    give(part, one_argument, one_made)


def _in_full(gradient: Any, value: Any) -> Any:
    """The gradient in the shape of the output; a tuple for several outputs, zeros where nothing arrived."""
    if isinstance(value, tuple):
        return tuple(_in_full(gradient.get(i, y.dtype.type(0)), y) for i, y in enumerate(value))
    return gradient if gradient.shape == value.shape else np.broadcast_to(gradient, value.shape)


def _fitted(gradient: Any, argument: Any, value: Any, row: Any) -> Any:
    """What a rule made, summed where its argument was broadcast; it may stay smaller than the argument."""
    if gradient is None:
        raise TypeError(f"a rule of {errors.name_of(row.function)} returned None instead of a gradient")
    if not hasattr(gradient, "shape"):
        gradient = np.asarray(gradient, argument.dtype)
    if row.elementwise and argument.shape != value.shape:
        gradient = np.broadcast_to(gradient, value.shape)
    extra = gradient.ndim - argument.ndim
    if extra > 0:
        gradient = np.sum(gradient, axis=tuple(range(extra)))
    sizes = (1,) * -extra + gradient.shape
    axes = tuple(axis for axis, n in enumerate(argument.shape) if n == 1 and sizes[axis] != 1)
    if axes:
        gradient = np.sum(gradient, axis=axes, keepdims=True)
    if any(n != 1 and m not in (1, n) for n, m in zip(argument.shape, sizes, strict=True)):
        raise ValueError(
            f"a rule of {errors.name_of(row.function)} returned a gradient of shape {gradient.shape} "
            f"for an argument of shape {argument.shape}"
        )
    return gradient


def _lifted(
    lift: Lift, tape: Tape, index: int, value: Any, arguments: Any, parents: Any
) -> tuple[Any, list[Any]]:
    """The output and the arguments of a call as tensors, where they are on the tape."""
    if isinstance(value, tuple):  # the entries of its parts follow it
        value = tuple(lift(part, tape, index + ENTRY * i) for i, part in enumerate(value, start=1))
    else:
        value = lift(value, tape, index)
    return value, lifted_arguments(lift, tape, arguments, parents)


def lifted_arguments(lift: Lift, tape: Tape, arguments: Any, parents: Any) -> list[Any]:
    """The arguments of a call with those that are on the tape as tensors."""
    return [
        lifted_arguments(lift, tape, argument, parent)
        if isinstance(parent, tuple)
        else argument
        if parent == -1
        else lift(argument, tape, parent)
        for argument, parent in zip(arguments, parents, strict=True)
    ]


def _check_unmodified(call: Call) -> None:
    """Raise if an array that a call read or made was written after it."""
    arrays = [("the result", call.value), *((f"argument {i}", a) for i, a in enumerate(call.arguments))]
    while arrays:
        what, array = arrays.pop()
        if isinstance(array, (list, tuple)):
            arrays += [(what, part) for part in array]
        elif isinstance(array, np.generic) or not hasattr(array, "shape"):
            continue
        elif WRITES.since(call.moment, array):
            raise errors.ModifiedError(
                f"{what} of {errors.name_of(call.derivative.function)} (shape {array.shape}) was changed in "
                "place after it was recorded, so its derivative is no longer known. Change it after "
                "backward(), or make a new tensor instead: `x = x - step`, not `x -= step`."
            )


def _anomaly(row: Any, gradient: Any, value: Any, place: str | None) -> str:
    bad = np.sum(~np.isfinite(gradient))
    kind = "NaN" if np.any(np.isnan(gradient)) else "infinite"
    at = f", called at {place}," if place else ""
    then = "" if place else " Put the computation under detect_anomaly() too, to see the line that called it."
    return (
        f"the derivative of {errors.name_of(row.function)}{at} is {kind} in {bad} of {np.size(gradient)} "
        f"elements (gradient shape {gradient.shape}, output shape {value.shape}).{then}"
    )
