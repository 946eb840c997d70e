"""The methods of ufuncs: `reduce` and `accumulate` are reductions, `outer` is the ufunc on all pairs.

`reduceat` is a reduction of each of some slices.
"""

from typing import Any

import numpy as np

from .table import DERIVATIVES, Rule, Rules, composed, derivative


def reduces(reduce: Any, function: Any) -> None:
    """A row for a method `reduce` that means the given reduction, such as np.sum."""

    def of(argument: int | str) -> Rule:
        def rule(
            g: Any,
            y: Any,
            array: Any,
            axis: Any = 0,
            dtype: Any = None,
            out: Any = None,
            keepdims: bool = False,
            initial: Any = None,
            where: Any = True,
        ) -> Any:
            given = {} if initial is None else {"initial": initial}
            return _rule(function, argument)(g, y, array, axis=axis, keepdims=keepdims, where=where, **given)

        return rule

    derivative(reduce, of(0), None, None, None, None, of("initial"))


def accumulates(accumulate: Any, function: Any) -> None:
    """A row for a method `accumulate` that means the given function, such as np.cumsum."""

    def rule(g: Any, y: Any, array: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
        return _rule(function, 0)(g, y, array, axis=axis)

    derivative(accumulate, rule)


def reduces_slices(ufunc: np.ufunc) -> None:
    """The method `reduceat` of a ufunc whose method `reduce` has a row.

    An index begins a slice that goes on to the next index; if that is not beyond it, an element stands alone.
    """

    def written(array: Any, indices: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
        if array.ndim == 0 or not all(0 <= i < array.shape[axis] for i in indices):
            return NotImplemented  # NumPy says what is wrong
        before = (slice(None),) * (axis % array.ndim)
        if len(indices) == 0:
            return np.add(array[*before, :0], 0, dtype=dtype)
        ends = [*indices[1:], array.shape[axis]]
        slices = [slice(i, max(i + 1, end)) for i, end in zip(indices, ends, strict=True)]
        return np.stack([ufunc.reduce(array[*before, s], axis=axis, dtype=dtype) for s in slices], axis=axis)

    composed(ufunc.reduceat, written)


def _rule(function: Any, argument: int | str) -> Any:
    """The function's own rule; looked up when it is needed, so that the order of the rows is free."""
    return DERIVATIVES[function].rule_of(argument)


def of_outer(ufunc: np.ufunc) -> list[Rules]:
    """The rules of the method `outer` of a ufunc of two arguments that has a row itself."""

    def aligned(A: Any, B: Any) -> Any:
        """A with axes of size 1 at the end, so that it meets all of B."""
        return np.reshape(A, np.shape(A) + (1,) * np.ndim(B))

    def of_first(rule: Rule) -> Rule:
        return lambda g, y, A, B, **ufunc: np.sum(
            rule(g, y, aligned(A, B), B), axis=tuple(range(A.ndim, y.ndim))
        )

    def of_second(rule: Rule) -> Rule:
        return lambda g, y, A, B, **ufunc: rule(g, y, aligned(A, B), B)  # the sweep sums what is broadcast

    of = [of_first, of_second]
    return [of[i](rule) if callable(rule) else rule for i, rule in enumerate(DERIVATIVES[ufunc].rules)]
