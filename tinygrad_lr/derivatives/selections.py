"""What selections leave out of a gradient.

`np.where(x > 0, np.sqrt(x), 0)` does not depend on np.sqrt(x) at x = 0, so its gradient there is 0, although
0 * sqrt'(0) is NaN. A gradient that only happens to be 0 is another thing: it keeps the NaN.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .table import Derivative

DEEPEST = 50
#: the zero by which a compiler knows a selection again that changes nothing where the gradient is finite
LEFT_OUT = float("0")


class Partial:
    """A gradient at a place of which later calls left out some elements.

    `use()` is positive at those that they used. A gradient of zero there is a number like any other. At an
    element that nothing used it stays zero, even where the derivative of the function that made the element
    is infinite. It is computed when a function asks for it, as few do.
    """

    __slots__ = ("depth", "gradient", "uses")
    shape = None  # unlike that of any array: the sweep looks into it

    def __init__(self, gradient: Any, use: Callable[[], Any], depth: int = 0) -> None:
        self.gradient, self.uses, self.depth = gradient, [use], depth
        if depth > DEEPEST:  # of those that wait for one another: Python's stack is not endless
            self.use()

    def also(self, use: Callable[[], Any], depth: int) -> None:
        """Add the uses of one more call."""
        self.uses.append(use)
        self.depth = max(self.depth, depth)

    def use(self) -> Any:
        total = self.uses[0]()
        for use in self.uses[1:]:
            total = np.maximum(total, use())
        self.uses, self.depth = [lambda: total], 0
        return total

    def mapped(self, function: Callable[[Any], Any]) -> "Partial":
        return Partial(function(self.gradient), lambda: function(self.use()), self.depth + 1)


def add(before: Any, more: Any) -> Any:
    """The sum of a gradient that arrived at a place and the next; either may be partial."""
    if before.__class__ is more.__class__ is Partial:
        before.gradient = before.gradient + more.gradient
        before.also(more.use, more.depth + 1)
        return before
    return whole(before) + whole(more)  # one of them uses all of it


def whole(gradient: Any) -> Any:
    return gradient.gradient if gradient.__class__ is Partial else gradient


def depth_of(gradient: Any) -> int:
    return gradient.depth if gradient.__class__ is Partial else -1


def used(gradient: Any) -> Any:
    """What later calls used of a place: all of it, unless its gradient is partial."""
    return gradient.use() if gradient.__class__ is Partial else np.ones_like(gradient)


def use_of(
    row: Derivative, gradient: Any, rule: Any, given: tuple[Any, ...], options: dict[str, Any]
) -> Callable[[], Any]:
    """The uses of an argument, by a rule that moves or spreads elements, from those of the result."""

    def moved() -> Any:
        made = rule(used(gradient), *given[1:], **options)
        # a rule may negate; and many means would make nothing of it, as many sums infinity
        return made if isinstance(made, list) else np.where(made, 1.0, 0.0)

    def spread() -> Any:
        rest = given[1:] if row.selects else [_nested(_ones, part) for part in given[1:]]
        with np.errstate(all="ignore"):
            made = (row.like or rule)(_nested(_marks, used(gradient)), *rest, **options)
        return _nested(lambda part: np.where(np.isnan(part), 1.0, 0.0), made)

    return moved if row.moves else spread


def _nested(function: Callable[..., Any], first: Any, *others: Any) -> Any:
    """The function of arrays, or of each of those in lists and tuples."""
    if not isinstance(first, (list, tuple)):
        return function(first, *others)
    made = [_nested(function, *parts) for parts in zip(first, *others, strict=True)]
    return made if isinstance(first, list) else tuple(made)


def _marks(use: Any) -> Any:
    """NaN for what was used."""
    return np.where(use, math.nan, 0.0)


def _ones(argument: Any) -> Any:
    """Ones for the numbers of an array."""
    return np.ones_like(argument) if getattr(argument, "dtype", np.dtype(int)).kind == "f" else argument


def partly(
    row: Derivative, gradient: Any, rule: Any, given: tuple[Any, ...], options: dict[str, Any], arrays: bool
) -> Partial:
    """What a rule makes of a gradient if some elements are left out: before its call, or by it."""
    depth = depth_of(gradient) + 1
    use = use_of(row, gradient, rule, given, options) if row.follows else gradient.use
    if row.moves:
        return Partial(rule(*given, **options), use, depth)
    with np.errstate(all="ignore"):
        made = Partial(rule(*given, **options), use, depth)
    finite = (
        arrays and isinstance(made.gradient, (np.ndarray, np.generic)) and np.isfinite(made.gradient).all()
    )
    if not finite:
        made.gradient = _nested(lambda use, g: np.where(use, g, LEFT_OUT), made.use(), made.gradient)
    return made
