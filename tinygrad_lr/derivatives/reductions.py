"""Reductions: many elements become one, and the gradient goes back to each of them.

A gradient arrives without the axes that were reduced; `_spread` puts them back with size 1, which is all that
is needed for it to broadcast.
"""

import math
from typing import Any

import numpy as np

from .table import constant, derivative


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """The reduced axes, counted from the front."""
    if axis is None:
        return tuple(range(ndim))
    return tuple(a % ndim for a in (axis if isinstance(axis, tuple) else (axis,)))


def _spread(g: Any, axis: Any, ndim: int, keepdims: Any) -> Any:
    """`g` with the reduced axes put back, of size 1."""
    if keepdims or (axis is None and np.ndim(g) == 0):
        return g
    return np.expand_dims(g, _axes(axis, ndim))


def _count(a: Any, axis: Any) -> int:
    """How many elements went into one."""
    return math.prod(a.shape[i] for i in _axes(axis, a.ndim))


def _deviations(a: Any, axis: Any, ddof: int) -> Any:
    """Deviations from the mean over the number of degrees of freedom."""
    return (a - np.mean(a, axis=axis, keepdims=True)) / (_count(a, axis) - ddof)


def _ties(g: Any, y: Any, a: Any, axis: Any, keepdims: Any) -> Any:
    """The gradient of a maximum or minimum, evenly split between the elements that reach it."""
    best = a == _spread(y, axis, a.ndim, keepdims)
    share = np.sum(best, axis=axis, keepdims=True, dtype=a.dtype)
    return np.where(best, _spread(g, axis, a.ndim, keepdims) / share, 0)


# fmt: off

derivative(np.sum,  lambda g, y, a, axis=None, dtype=None, keepdims=False:
                        _spread(g, axis, a.ndim, keepdims))
derivative(np.mean, lambda g, y, a, axis=None, dtype=None, keepdims=False:
                        _spread(g, axis, a.ndim, keepdims) / _count(a, axis))
derivative(np.max,  lambda g, y, a, axis=None, keepdims=False: _ties(g, y, a, axis, keepdims))
derivative(np.min,  lambda g, y, a, axis=None, keepdims=False: _ties(g, y, a, axis, keepdims))
derivative(np.var,  lambda g, y, a, axis=None, dtype=None, ddof=0, keepdims=False:
                        _spread(g, axis, a.ndim, keepdims) * _deviations(a, axis, ddof) * 2)
derivative(np.std,  lambda g, y, a, axis=None, dtype=None, ddof=0, keepdims=False:
                        _spread(np.where(y == 0, 0, g / np.where(y == 0, 1, y)), axis, a.ndim, keepdims)
                        * _deviations(a, axis, ddof))

# fmt: on

constant(np.argmax, np.argmin, np.all, np.any, np.count_nonzero)
