"""The backward sweep: the tape read backwards, each call passing its gradient on to what it was made from."""

from collections.abc import Callable, Iterable, Iterator
from heapq import heapify, heappop, heappush
from typing import Any

import numpy as np

from . import errors
from .scope import ANOMALY, MODE, TRACING
from .tape import ENTRY, FREED, FREED_CALL, INPUT, LEAVES, PART, WRITES, Attachment, Call, Tape, Traceable

Lift = Callable[[Any, Tape, int], Any]
Gradients = dict[int, Any]  # for places on a tape


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
    waiting: dict[Tape, tuple[Gradients, Gradients]] = {}  # gradients and uses on tapes still to be read

    def give(tensor: Traceable, gradient: Any, use: Any = None) -> None:
        if tensor.tape is LEAVES:
            if (leaf := tensor.attachment) is not None:
                received[leaf] = received[leaf] + gradient if leaf in received else gradient
        elif tensor.tape is not None:
            _add(*waiting.setdefault(tensor.tape, ({}, {})), tensor.index, gradient, use)

    for head, gradient in heads:
        give(head, gradient)
    while waiting:
        tape = max(waiting, key=lambda tape: tape.number)
        for arrived in _sweep_tape(tape, *waiting.pop(tape), received, retain_graph, lift):
            give(*arrived)
    return received


def _sweep_tape(
    tape: Tape,
    gradients: Gradients,
    uses: Gradients,
    received: dict[Attachment, Any],
    retain_graph: bool,
    lift: Lift | None,
) -> Iterator[tuple[Traceable, Any, Any]]:
    """Sweep one tape from the places that have a gradient; yields what arrives at its inputs.

    `uses` knows of the places of which later calls left out some elements: it is positive at those that they
    used. A gradient of zero there is a number like any other. At an element that nothing used it stays zero,
    even where the derivative of the function that made the element is infinite.
    """
    calls, attachments, anomaly = tape.calls, tape.attachments, MODE.get() & (ANOMALY | TRACING) == ANOMALY
    turns = [-index for index in gradients]  # a heap: the place nearest to the end comes first
    heapify(turns)
    buffers: set[int] = set()  # places whose gradient is an array that nothing else holds

    def give(parent: int, argument: Any, made: Any, use: Any) -> None:
        given, wanted = getattr(made, "shape", None), argument.shape
        # one number fits everywhere, unless it stands for many that are to be summed
        if broadcast not in (None, wanted) or given not in (wanted, ()):
            made = _fitted(made, argument, broadcast, row.function)
        if anomaly and not np.all(np.isfinite(made)):
            raise _anomaly(row, made, value, (tape.places or {}).get(index))
        if use is not None:
            use = _fitted(np.abs(use), argument, broadcast, row.function)
        if parent not in gradients:
            heappush(turns, -parent)
        _add(gradients, uses, parent, made, use)

    def matters(parent: Any) -> bool:
        """Whether the function that made a place asks which of its elements were used."""
        if isinstance(parent, tuple):
            return True
        maker = calls[parent]
        if maker is INPUT:
            return calls[parent + 2].tape is not LEAVES
        return maker is PART or (maker is not FREED and (maker.elementwise or maker.moves))

    while turns:
        index = -heappop(turns)
        gradient, use = gradients.pop(index), uses.pop(index, None)
        row, value, arguments, parents, options, moment = calls[index : index + ENTRY]
        if attachments and index in attachments:
            received[attachments[index]] = gradient
        if row is INPUT:
            yield arguments, gradient, use
            continue
        if row is FREED:
            raise errors.GraphFreedError
        if moment != WRITES.now:
            _check_unmodified(tape[index])
        if not retain_graph:
            calls[index : index + ENTRY] = FREED_CALL
        if row is PART:  # one of several results: its gradient waits for those of the others
            parent, part = parents[0], arguments[1]
            if parent not in gradients:
                gradients[parent], uses[parent] = {}, {}
                heappush(turns, -parent)
            gradients[parent][part] = gradient
            uses[parent][part] = np.ones_like(gradient) if use is None else use
            continue
        rules = row.rules
        if len(parents) > len(arguments):  # a gradient flows back to options as well
            named = zip(options, parents[len(arguments) :], strict=True)
            first = [*rules, *[None] * len(arguments)][: len(arguments)]
            rules = [*first, *(p != -1 and row.rule_of(name) for name, p in named)]
        if lift is not None:
            value, arguments, options = _lifted(lift, tape, index)
        broadcast = value.shape if row.elementwise else None  # what the arguments were broadcast to
        if not row.elementwise:
            gradient = _in_full(gradient, value)
            use = None if use is None or not row.moves else _in_full(use, value)
        inputs = (*arguments, *options.values()) if options else arguments
        if row.elementwise:
            options = {}  # dtype and the like do not concern its rules
        for rule, parent, argument in zip(rules, parents, inputs, strict=False):
            if parent == -1:
                continue
            if row.into is not None and parent in buffers:
                row.into(gradients[parent], gradient, value, *arguments)
                if parent in uses:
                    row.into(uses[parent], np.ones_like(gradient) if use is None else use, value, *arguments)
                continue
            used = None
            if use is None:
                made = rule(gradient, value, *arguments, **options)
                if (row.selects or (row.moves and "where" in options)) and matters(parent):
                    used = rule(np.ones_like(gradient), value, *arguments, **options)
            elif row.moves:
                made = rule(gradient, value, *arguments, **options)
                used = rule(use, value, *arguments, **options)
            else:
                with np.errstate(all="ignore"):
                    made = np.where(use, rule(gradient, value, *arguments, **options), 0)
                used = use
            if type(parent) is int:
                give(parent, argument, made, used)
            else:
                for part in _parts(parent, argument, made, used):
                    give(*part)
            if row.into is not None and lift is None and isinstance(made, np.ndarray) and argument.ndim:
                buffers.add(parent)


def _add(gradients: Gradients, uses: Gradients, place: int, gradient: Any, use: Any) -> None:
    """Add a gradient to those that arrived at a place before; without a use it says: all is used."""
    if place not in gradients:
        gradients[place] = gradient
        if use is not None:
            uses[place] = use
    else:
        gradients[place] = gradients[place] + gradient
        if use is None:
            uses.pop(place, None)
        elif place in uses:
            uses[place] = uses[place] + use


def _parts(parents: Any, arguments: Any, made: Any, used: Any) -> Iterator[tuple[int, Any, Any, Any]]:
    """The arrays of a list, also of one within a list, that a gradient flows back to."""
    for parent, argument, one, use in zip(
        parents, arguments, made, used or [None] * len(parents), strict=True
    ):
        if type(parent) is tuple:
            yield from _parts(parent, argument, one, use)
        elif parent != -1:
            yield parent, argument, one, use


def _in_full(gradient: Any, value: Any) -> Any:
    """The gradient in the shape of the output; a tuple for several outputs, zeros where nothing arrived."""
    if isinstance(value, tuple):
        return tuple(_in_full(gradient.get(i, y.dtype.type(0)), y) for i, y in enumerate(value))
    return gradient if gradient.shape == value.shape else np.broadcast_to(gradient, value.shape)


def _fitted(gradient: Any, argument: Any, broadcast: Any, function: Any) -> Any:
    """What a rule made, summed where its argument was broadcast.

    It may stay smaller than the argument, as long as it broadcasts to it.
    """
    if gradient is None:
        raise TypeError(f"a rule of {errors.name_of(function)} returned None instead of a gradient")
    shape = argument.shape
    gradient = gradient if hasattr(gradient, "shape") else np.asarray(gradient, argument.dtype)
    if broadcast is not None and shape != broadcast:
        gradient = np.broadcast_to(gradient, broadcast)
    if (extra := gradient.ndim - len(shape)) > 0:
        gradient = np.sum(gradient, axis=tuple(range(extra)))
    sizes = (1,) * -extra + gradient.shape
    if axes := tuple(axis for axis, n in enumerate(shape) if n == 1 and sizes[axis] != 1):
        gradient = np.sum(np.reshape(gradient, sizes), axis=axes, keepdims=True)
    if any(n != 1 and m not in (1, n) for n, m in zip(shape, sizes, strict=True)):
        raise ValueError(
            f"a rule of {errors.name_of(function)} returned a gradient of shape {gradient.shape} "
            f"for an argument of shape {shape}"
        )
    return gradient


def _lifted(lift: Lift, tape: Tape, index: int) -> tuple[Any, list[Any], dict[str, Any]]:
    """The output, the arguments and the options of a call as tensors, where they are on the tape."""
    call = tape[index]
    value = call.value
    if isinstance(value, tuple):  # the entries of its parts follow it
        value = tuple(lift(part, tape, index + ENTRY * i) for i, part in enumerate(value, start=1))
    else:
        value = lift(value, tape, index)
    return value, *lifted_arguments(lift, tape, call)


def lifted_arguments(lift: Lift, tape: Tape, call: Call) -> tuple[list[Any], dict[str, Any]]:
    """The arguments and the options of a call with those that are on the tape as tensors."""
    arguments = _lifted_parts(lift, tape, call.arguments, call.parents)
    named = _lifted_parts(lift, tape, call.options.values(), call.parents[len(call.arguments) :])
    return arguments, {**call.options, **dict(zip(call.options, named, strict=False))}


def _lifted_parts(lift: Lift, tape: Tape, values: Any, parents: Any) -> list[Any]:
    tracing = MODE.get() & TRACING  # then constants are tensors as well, so that nothing escapes the tracer
    return [
        _lifted_parts(lift, tape, value, parent)
        if isinstance(parent, tuple)
        else value
        if parent == -1 and not tracing
        else lift(value, tape, parent)
        for value, parent in zip(values, parents, strict=False)
    ]


def _check_unmodified(call: Call) -> None:
    """Raise if an array that a call read or made was written after it."""
    arrays = [("the result", call.value), *((f"argument {i}", a) for i, a in enumerate(call.arguments))]
    arrays += [(f"argument {name}", option) for name, option in call.options.items()]
    while arrays:
        what, array = arrays.pop()
        if isinstance(array, (list, tuple)):
            arrays += [(what, part) for part in array]
        elif isinstance(array, np.generic) or not hasattr(array, "shape"):
            continue
        elif WRITES.since(call.moment, array):
            function = errors.name_of(call.derivative.function)
            raise errors.ModifiedError(what=what, function=function, shape=array.shape)


def _anomaly(row: Any, gradient: Any, value: Any, place: str | None) -> errors.AnomalyError:
    then = "" if place else " Put the computation under detect_anomaly() too, to see the line that called it."
    return errors.AnomalyError(
        function=errors.name_of(row.function),
        at=f", called at {place}," if place else "",
        kind="NaN" if np.any(np.isnan(gradient)) else "infinite",
        bad=np.sum(~np.isfinite(gradient)),
        size=np.size(gradient),
        shape=gradient.shape,
        output=np.shape(value),
        then=then,
    )
