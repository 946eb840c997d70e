"""The backward sweep: the tape read backwards, each call passing its gradient on to what it was made from."""

import heapq
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import numpy as np

from . import errors
from .derivatives.indexing import total
from .derivatives.selections import Partial, add, depth_of, partly, use_of, used, whole
from .scope import ANOMALY, MODE, TRACING
from .tape import (
    CONSTANT,
    ENTRY,
    FREED,
    FREED_CALL,
    LEAVES,
    NO_OPTIONS,
    PACK,
    WRITES,
    Attachment,
    Call,
    Tape,
    Traceable,
)

Lift = Callable[[Any, Tape, int], Any]
Gradients = dict[Any, Any]  # by place on a tape
Attachments = dict[int, Attachment]  # by place on a tape


def sweep(
    heads: Iterable[tuple[Traceable, Any]],
    retain_graph: bool,
    lift: Lift | None = None,
    listeners: dict[Tape, Attachments] | None = None,
) -> dict[Attachment, Any]:
    """The gradient for every attachment that the heads depend on, from each head's own gradient.

    These are the leaves' own, and those of computed tensors; or in place of the latter the given listeners.

    A call stands on its tape after the calls that made its arguments, and a tape reads older tapes only. So
    with the youngest tape read from its end, then the next, a call's turn comes when everything that used its
    result has passed its gradient on. What the sweep is done with it frees, unless `retain_graph`.

    The rules get arrays; or, with `lift`, which makes a tensor of a place on a tape, tensors, and so are
    recorded themselves. A gradient may be smaller than its tensor as long as it broadcasts to it.
    """
    received: Gradients = {}
    waiting: dict[Tape, Gradients] = {}  # for tapes still to be read
    order: list[tuple[int, Tape]] = []  # the youngest of them first
    while True:
        for tensor, gradient in heads:
            tape = tensor.tape
            if tape is LEAVES:
                own = tensor.attachment
                received[own] = received[own] + gradient if own in received else gradient
            elif tape is not None:  # it is where drop_grad() came after the call
                if tape not in waiting:
                    waiting[tape] = {}
                    heapq.heappush(order, (-tape.number, tape))
                gradients, place = waiting[tape], tensor.index
                gradients[place] = add(gradients[place], gradient) if place in gradients else gradient
        if not order:
            return received
        _, tape = heapq.heappop(order)
        gradients = waiting.pop(tape)
        attachments = tape.attachments if listeners is None else listeners.get(tape, {})
        _sweep_tape(tape, gradients, attachments, received, retain_graph, lift)
        heads = [(tape.source(place), gradient) for place, gradient in gradients.items()]


def _sweep_tape(
    tape: Tape,
    gradients: Gradients,
    attachments: Attachments,
    received: Gradients,
    retain_graph: bool,
    lift: Lift | None,
) -> None:
    """Sweep one tape from the places that have a gradient; what is left then are those of its inputs."""
    calls, now = tape.calls, WRITES.now
    anomaly = MODE.get() & (ANOMALY | TRACING) == ANOMALY
    buffers: set[int] = set()  # places whose gradient is an array that nothing else holds
    index = max(gradients) + ENTRY
    waiting = len(gradients)  # calls whose gradient is to be passed on
    careful = Partial in map(type, gradients.values())
    backwards: Any = reversed(calls)
    backwards.__setstate__(index - 1)  # where it begins: at the last item of the youngest head
    # the items of one call after another; `strict` would double the time that zip takes
    for moment, options, parents, arguments, value, row in zip(*[backwards] * ENTRY):  # noqa: B905
        if not waiting:
            break
        index -= ENTRY
        gradient = gradients.pop(index, None)
        if gradient is None:
            continue
        waiting -= 1
        if index in attachments:
            received[attachments[index]] = whole(gradient)
        if moment != now:
            _check_unmodified(tape[index])
        rules, inputs, into = row.rules, arguments, None
        if not retain_graph:
            calls[index : index + ENTRY] = FREED_CALL
        if row.usual and lift is None and not options and gradient.__class__ is not Partial:
            broadcast, selected = value.shape, False
        else:
            if not rules:
                if row is FREED:
                    raise errors.GraphFreedError
                call, part = parents[0], arguments[1]  # one of several results waits for the gradients of all
                waiting += call not in gradients
                gradients.setdefault(call, {})[part] = gradient
                continue
            if value.__class__ is tuple and not retain_graph:  # its parts too, also those without a gradient
                entries = 1 + len(value)
                calls[index : index + ENTRY * entries] = FREED_CALL * entries
            if lift is None:
                into = row.into
            else:
                value = _lifted_value(lift, tape, index, value)
                arguments, options = lifted_arguments(lift, tape, arguments, parents, options)
                inputs = arguments
            if options:
                inputs = (*arguments, *options.values())
                if len(parents) > len(arguments):  # a gradient flows back to options as well
                    rules = [row.rule_of(key) for key in (*range(len(arguments)), *options)]
            if row.elementwise:
                # one array; dtype and the like do not concern its rules
                broadcast, options, masked = value.shape, NO_OPTIONS, False
            else:
                broadcast, gradient = None, _in_full(gradient, value, row.follows)
                masked = row.follows and ("where" in options or len(arguments) > row.where)
            selected = masked or row.selects or gradient.__class__ is Partial
        given = (whole(gradient) if selected else gradient, value, *arguments)
        number = -1
        for parent in parents:  # counted by hand: quicker than enumerate
            number += 1
            if parent == CONSTANT:
                continue
            rule, argument = rules[number], inputs[number]
            if into is not None and parent in buffers and _takes(whole(held := gradients[parent]), given[0]):
                into(whole(held), *given)
                if held.__class__ is Partial:
                    held.also(use_of(row, gradient, rule, given, options), depth_of(gradient) + 1)
                continue
            made: Any
            if selected:
                careful = True
                made = partly(row, gradient, rule, given, options, lift is None)
                if parent < CONSTANT and tape.source(parent).tape is LEAVES:  # nobody asks for its uses
                    made = made.gradient
            else:
                made = rule(*given, **options) if options else rule(*given)
            try:  # one number fits everywhere, unless it stands for many that are to be summed
                shape = argument.shape
                fits = (made.shape == shape or made.shape == ()) and (broadcast is None or broadcast == shape)
            except AttributeError:  # no array
                fits = False
            if not fits:
                made = _fitted(made, argument, broadcast, row.function)
            if anomaly:
                for part in _reaching(whole(made), tape, parent):
                    _check_finite(part, given[0], row, value, (tape.places or {}).get(index))
            if parent not in gradients:
                gradients[parent] = made
                waiting += parent > CONSTANT
            elif careful:
                gradients[parent] = add(gradients[parent], made)
            else:
                gradients[parent] = gradients[parent] + made
            if into is not None:
                buffers.add(parent)


def _takes(total: Any, gradient: Any) -> bool:
    """Whether a gradient can be added to another in place."""
    return isinstance(total, np.ndarray) and total.dtype == gradient.dtype


def _in_full(gradient: Any, value: Any, follows: bool) -> Any:
    """The gradient in the shape of the output; a tuple for several outputs, zeros where nothing arrived."""
    if isinstance(value, list):  # one for each array of it
        return gradient
    if isinstance(value, tuple):
        parts = [gradient.get(i, Partial(zero := y.dtype.type(0), zero.copy)) for i, y in enumerate(value)]
        made = tuple(_in_full(whole(part), y, False) for part, y in zip(parts, value, strict=True))
        if not follows:
            return made
        depth = max(map(depth_of, parts)) + 1
        return Partial(made, lambda: _in_full(dict(enumerate(map(used, parts))), value, False), depth)
    if gradient.__class__ is Partial:
        if follows:
            return gradient.mapped(lambda g: _in_full(g, value, False))
        gradient = gradient.gradient
    return gradient if gradient.shape == value.shape else _spread(gradient, value.shape)


def _spread(gradient: Any, shape: Any) -> Any:
    """The gradient broadcast to a shape, which not all arrays know."""
    if any(n != n for n in shape):
        raise errors.UnknownShapeError
    return np.broadcast_to(gradient, shape)


def _fitted(gradient: Any, argument: Any, broadcast: Any, function: Any) -> Any:
    """What a rule made, summed where its argument was broadcast.

    It may stay smaller than the argument, as long as it broadcasts to it.
    """
    if gradient.__class__ is Partial:
        return gradient.mapped(lambda made: _fitted(made, argument, broadcast, function))
    if isinstance(argument, list):
        return gradient
    if not hasattr(gradient, "shape"):
        if gradient is None:
            raise TypeError(f"a rule of {errors.name_of(function)} returned None instead of a gradient")
        gradient = np.asarray(gradient, argument.dtype)
    shape = argument.shape
    if broadcast is not None and shape != broadcast and gradient.shape != broadcast:
        gradient = _spread(gradient, broadcast)
    axes, extra = _summed(gradient.shape, shape), gradient.ndim - len(shape)
    if axes is None:
        raise ValueError(
            f"a rule of {errors.name_of(function)} returned a gradient of shape {gradient.shape} "
            f"for an argument of shape {shape}"
        )
    if axes:
        gradient = total(gradient, axes, len(axes) > extra)
    return gradient if gradient.ndim <= len(shape) else gradient.reshape(gradient.shape[extra:])


@lru_cache(maxsize=4096)
def _summed(sizes: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """The axes to sum a gradient over so that it broadcasts to a shape; None if none would do."""
    if any(n not in (1, m) and m != 1 for n, m in zip(sizes[::-1], shape[::-1], strict=False)):
        return None
    extra = len(sizes) - len(shape)
    return tuple(i for i, n in enumerate(sizes) if i < extra or (n != 1 and shape[i - extra] == 1))


def _lifted_value(lift: Lift, tape: Tape, index: int, value: Any) -> Any:
    if isinstance(value, tuple):  # the entries of its parts follow it
        return tuple([lift(part, tape, index + ENTRY * i) for i, part in enumerate(value, start=1)])
    return value if isinstance(value, list) else lift(value, tape, index)


def lifted_arguments(
    lift: Lift, tape: Tape, arguments: Any, places: Any, options: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments and the options of a call with those that are on the tape as tensors."""
    values = tuple(_lifted_parts(lift, tape, (*arguments, *options.values()), places))
    if not options:
        return values, options
    named = zip(options, values[len(arguments) :], strict=False)
    return values[: len(arguments)], {**options, **dict(named)}


def _lifted_parts(lift: Lift, tape: Tape, values: Any, places: Any) -> list[Any]:
    tracing = MODE.get() & TRACING  # then constants are tensors as well, so that nothing escapes the tracer
    return [
        _lifted_parts(lift, tape, tape[place].arguments, tape[place].parents)
        if place >= 0 and tape.calls[place] is PACK
        else value
        if place == CONSTANT and not tracing
        else lift(value, tape, place)
        for value, place in zip(values, places, strict=False)
    ]


def _check_unmodified(call: Call) -> None:
    """Raise if an array that a call read or made was written after it."""
    arrays = [("the result", call.value), *((f"argument {i}", a) for i, a in enumerate(call.arguments))]
    arrays += [(f"argument {name}", option) for name, option in call.options.items()]
    while arrays:
        what, array = arrays.pop()
        if isinstance(array, (list, tuple)):
            arrays += [(what, part) for part in array]
        elif WRITES.since(call.moment, array):
            function = errors.name_of(call.derivative.function)
            raise errors.ModifiedError(what=what, function=function, shape=array.shape)


def _reaching(gradient: Any, tape: Tape, place: int) -> list[Any]:
    """A gradient; or of those of a list of arrays the ones that arrive at a tensor."""
    if not isinstance(gradient, (list, tuple)):
        return [gradient]
    parts = zip(gradient, tape[place].parents, strict=False)
    return [made for part, at in parts if at != CONSTANT for made in _reaching(part, tape, at)]


def _check_finite(gradient: Any, arrived: Any, row: Any, value: Any, place: str | None) -> None:
    """Raise if a rule made NaN or infinity of what arrived."""
    if np.all(np.isfinite(gradient)):
        return
    same = row.elementwise and np.shape(arrived) in ((), np.shape(gradient))
    why = errors.ZERO_TIMES_INFINITY if same and np.any(np.isnan(gradient) & (arrived == 0)) else ""
    then = "" if place else " Put the computation under detect_anomaly() too, to see the line that called it."
    raise errors.AnomalyError(
        function=errors.name_of(row.function),
        at=f", called at {place}," if place else "",
        kind="NaN" if np.any(np.isnan(gradient)) else "infinite",
        bad=np.sum(~np.isfinite(gradient)),
        size=np.size(gradient),
        shape=gradient.shape,
        output=tuple(map(np.shape, value)) if isinstance(value, tuple) else np.shape(value),
        then=why + then,
    )
