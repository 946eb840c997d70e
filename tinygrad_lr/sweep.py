"""The backward sweep: the tape read backwards, each call passing its gradient on to what it was made from."""

import functools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from . import errors
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
DEEPEST = 50


class Partial:
    """A gradient at a place of which later calls left out some elements.

    `use()` is positive at those that they used. A gradient of zero there is a number like any other. At an
    element that nothing used it stays zero, even where the derivative of the function that made the element
    is infinite. It is computed when a function asks for it, as few do.
    """

    __slots__ = ("depth", "gradient", "uses")

    def __init__(self, gradient: Any, use: Callable[[], Any], depth: int = 0) -> None:
        self.gradient, self.uses, self.depth = gradient, [use], depth
        if depth > DEEPEST:  # of those that wait for one another: Python's stack is not endless
            self.use()

    def use(self) -> Any:
        total = self.uses[0]()
        for use in self.uses[1:]:
            total = total + use()
        self.uses, self.depth = [lambda: total], 0
        return total

    def mapped(self, function: Callable[[Any], Any]) -> "Partial":
        return Partial(function(self.gradient), lambda: function(self.use()), self.depth + 1)


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
    received: Gradients = {}
    waiting: dict[Tape, Gradients] = {}  # for tapes still to be read
    while True:
        for tensor, gradient in heads:
            if tensor.tape is not LEAVES:
                gradients = waiting.setdefault(tensor.tape, {})
                gradients[tensor.index] = _sum(gradients.get(tensor.index), gradient)
            elif tensor.attachment is not None:
                received[tensor.attachment] = _sum(received.get(tensor.attachment), _whole(gradient))
        if not waiting:
            return received
        tape = max(waiting, key=lambda tape: tape.number)
        gradients = waiting.pop(tape)
        _sweep_tape(tape, gradients, received, retain_graph, lift)
        heads = [(tape.source(place), gradient) for place, gradient in gradients.items()]


def _sweep_tape(
    tape: Tape, gradients: Gradients, received: Gradients, retain_graph: bool, lift: Lift | None
) -> None:
    """Sweep one tape from the places that have a gradient; what is left then are those of its inputs."""
    calls, attachments, now = tape.calls, tape.attachments, WRITES.now
    anomaly = MODE.get() & (ANOMALY | TRACING) == ANOMALY
    buffers: set[int] = set()  # places whose gradient is an array that nothing else holds
    index = max(gradients) + ENTRY
    waiting = len(gradients)  # calls whose gradient is to be passed on
    partial = any(gradient.__class__ is Partial for gradient in gradients.values())
    while waiting:
        index -= ENTRY
        gradient = gradients.pop(index, None)
        if gradient is None:
            continue
        waiting -= 1
        row, value, arguments, parents, options, moment = calls[index : index + ENTRY]
        if attachments and index in attachments:
            received[attachments[index]] = _whole(gradient)
        if moment != now:
            _check_unmodified(tape[index])
        rules, inputs = row.rules, arguments
        if not rules:
            if row is FREED:
                raise errors.GraphFreedError
            whole, part = parents[0], arguments[1]  # of several results: its gradient waits for the others'
            waiting += whole not in gradients
            gradients.setdefault(whole, {})[part] = gradient
        if not retain_graph:
            calls[index : index + ENTRY] = FREED_CALL
        if lift is not None:
            if isinstance(value, tuple):  # the entries of its parts follow it
                value = tuple([lift(part, tape, index + ENTRY * i) for i, part in enumerate(value, start=1)])
            elif not isinstance(value, list):
                value = lift(value, tape, index)
            arguments, options = lifted_arguments(lift, tape, arguments, parents, options)
        if options:
            inputs = (*arguments, *options.values())
            if len(parents) > len(arguments):  # a gradient flows back to options as well
                rules = [row.rule_of(key) for key in (*range(len(arguments)), *options)]
        if row.elementwise:
            broadcast, options = value.shape, NO_OPTIONS  # dtype and the like do not concern its rules
        else:
            broadcast, gradient = None, _in_full(gradient, value, row.moves)
        selected = row.selects or gradient.__class__ is Partial or ("where" in options and row.moves)
        partial = partial or selected
        into = row.into if lift is None else None
        given = (_whole(gradient) if selected else gradient, value, *arguments)
        for rule, parent, argument in zip(rules, parents, inputs, strict=False):
            if parent == CONSTANT:
                continue
            if into is not None and parent in buffers:
                into(_whole(total := gradients[parent]), *given)
                if total.__class__ is Partial:
                    total.uses.append(_use(gradient, rule, given, options))
                continue
            made: Any
            if selected:
                made = _partial(row.moves, gradient, rule, given, options, lift is None)
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
                _check_finite(made, row, value, (tape.places or {}).get(index))
            if parent not in gradients:
                gradients[parent] = made
                waiting += parent > CONSTANT
            elif partial:
                gradients[parent] = _sum(gradients[parent], made)
            else:
                gradients[parent] = gradients[parent] + made
            if into is not None and isinstance(_whole(gradients[parent]), np.ndarray):
                buffers.add(parent)


def _sum(before: Any, more: Any) -> Any:
    """The sum of a gradient that arrived at a place, if one did, and the next; either may be partial."""
    if before is None:
        return more
    if before.__class__ is more.__class__ is Partial:
        before.gradient = before.gradient + more.gradient
        before.uses.append(more.use)
        before.depth = max(before.depth, more.depth + 1)
        return before
    return _whole(before) + _whole(more)  # one of them uses all of it


def _whole(gradient: Any) -> Any:
    return gradient.gradient if gradient.__class__ is Partial else gradient


def _use(gradient: Any, rule: Any, given: tuple[Any, ...], options: dict[str, Any]) -> Callable[[], Any]:
    """The uses of an argument, by a rule that moves elements, from those of the result."""

    def use() -> Any:
        used = gradient.use() if gradient.__class__ is Partial else np.ones_like(gradient)
        made = rule(used, *given[1:], **options)
        return made if isinstance(made, (list, tuple)) else np.abs(made)  # a rule may negate

    return use


def _partial(
    moves: bool, gradient: Any, rule: Any, given: tuple[Any, ...], options: dict[str, Any], arrays: bool
) -> Partial:
    """What a rule makes of a gradient if some elements are left out: before its call, or by it."""
    depth = getattr(gradient, "depth", -1) + 1
    if moves:
        return Partial(rule(*given, **options), _use(gradient, rule, given, options), depth)
    with np.errstate(all="ignore"):
        made = rule(*given, **options)
    if not (arrays and isinstance(made, (np.ndarray, np.generic)) and np.all(np.isfinite(made))):
        made = np.where(gradient.use(), made, 0)
    return Partial(made, gradient.use, depth)


def _in_full(gradient: Any, value: Any, moves: bool) -> Any:
    """The gradient in the shape of the output; a tuple for several outputs, zeros where nothing arrived."""
    if isinstance(value, list):  # one for each array of it
        return gradient
    if isinstance(value, tuple):
        parts = [gradient.get(i, Partial(zero := y.dtype.type(0), zero.copy)) for i, y in enumerate(value)]
        whole = tuple(_in_full(_whole(part), y, False) for part, y in zip(parts, value, strict=True))
        if not moves:
            return whole
        uses = [
            part.use if part.__class__ is Partial else functools.partial(np.ones_like, part) for part in parts
        ]
        return Partial(
            whole, lambda: tuple(_in_full(u(), y, False) for u, y in zip(uses, value, strict=True))
        )
    if gradient.__class__ is Partial:
        if moves:
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
    if gradient is None:
        raise TypeError(f"a rule of {errors.name_of(function)} returned None instead of a gradient")
    if isinstance(argument, list):
        return gradient
    if not hasattr(gradient, "shape"):
        gradient = np.asarray(gradient, argument.dtype)
    shape = argument.shape
    if broadcast is not None and shape != broadcast and gradient.shape != broadcast:
        gradient = _spread(gradient, broadcast)
    sizes, extra = gradient.shape, gradient.ndim - len(shape)
    if axes := [i for i, n in enumerate(sizes) if i < extra or (n != 1 and shape[i - extra] == 1)]:
        total = np.add.reduce if type(gradient) is np.ndarray else np.sum  # the former is quicker
        gradient = total(gradient, axis=tuple(axes), keepdims=len(axes) > extra)
    if gradient.ndim > len(shape):
        gradient = gradient.reshape(gradient.shape[extra:])
    if gradient.shape != shape and any(
        n not in (1, m) for n, m in zip(gradient.shape[::-1], shape[::-1], strict=False)
    ):
        raise ValueError(
            f"a rule of {errors.name_of(function)} returned a gradient of shape {gradient.shape} "
            f"for an argument of shape {shape}"
        )
    return gradient


def lifted_arguments(
    lift: Lift, tape: Tape, arguments: Any, places: Any, options: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments and the options of a call with those that are on the tape as tensors."""
    values = tuple(_lifted_parts(lift, tape, (*arguments, *options.values()), places))
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
        elif isinstance(array, np.generic) or not hasattr(array, "shape"):
            continue
        elif WRITES.since(call.moment, array):
            function = errors.name_of(call.derivative.function)
            raise errors.ModifiedError(what=what, function=function, shape=array.shape)


def _check_finite(gradient: Any, row: Any, value: Any, place: str | None) -> None:
    """Raise if a rule made NaN or infinity."""
    gradient = _whole(gradient)
    if isinstance(gradient, list) or np.all(np.isfinite(gradient)):
        return
    then = "" if place else " Put the computation under detect_anomaly() too, to see the line that called it."
    raise errors.AnomalyError(
        function=errors.name_of(row.function),
        at=f", called at {place}," if place else "",
        kind="NaN" if np.any(np.isnan(gradient)) else "infinite",
        bad=np.sum(~np.isfinite(gradient)),
        size=np.size(gradient),
        shape=gradient.shape,
        output=np.shape(value),
        then=then,
    )
