"""The methods of ufuncs: `reduce` and `accumulate` are reductions, `outer` is the ufunc on all pairs."""

from typing import Any

import numpy as np

from .table import DERIVATIVES, Rule, Rules


def _rule(function: Any) -> Any:
    """What the table says of the function's first argument, when the rule is called."""
    return DERIVATIVES[function].rules[0]


def of_reduce(function: Any) -> Rule:
    """The rule of a `reduce` that means the given reduction, such as np.sum."""

    def of_array(
        g: Any,
        y: Any,
        array: Any,
        axis: Any = 0,
        dtype: Any = None,
        out: Any = None,
        keepdims: bool = False,
        *,
        initial: Any = None,
        where: Any = True,
    ) -> Any:
        given = {} if initial is None else {"initial": initial}
        if where is not True:
            given["where"] = where
        return _rule(function)(g, y, array, axis=axis, keepdims=keepdims, **given)

    return of_array


def of_accumulate(function: Any) -> Rule:
    """The rule of an `accumulate` that means the given function, such as np.cumsum."""

    def of_array(g: Any, y: Any, array: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
        return _rule(function)(g, y, array, axis=axis)

    return of_array


def of_outer(ufunc: np.ufunc) -> list[Rules]:
    """The rules of the method `outer` of a ufunc of two arguments that has a row itself."""

    def aligned(A: Any, B: Any) -> Any:
        """A with axes of size 1 at the end, so that it meets all of B."""
        return np.reshape(A, np.shape(A) + (1,) * np.ndim(B))

    def of_first(rule: Rule) -> Rule:
        return lambda g, y, A, B: np.sum(rule(g, y, aligned(A, B), B), axis=tuple(range(A.ndim, y.ndim)))

    def of_second(rule: Rule) -> Rule:
        return lambda g, y, A, B: rule(g, y, aligned(A, B), B)  # the sweep sums what is broadcast

    of = [of_first, of_second]
    return [of[i](rule) if callable(rule) else rule for i, rule in enumerate(DERIVATIVES[ufunc].rules)]
