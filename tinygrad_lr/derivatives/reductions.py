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
    if axis is None or ndim == 0:  # NumPy lets a number be reduced along its axis 0
        return tuple(range(ndim))
    return tuple(a % ndim for a in (axis if isinstance(axis, tuple) else (axis,)))


def _spread(g: Any, axis: Any, ndim: int, keepdims: Any) -> Any:
    """`g` with the reduced axes put back, of size 1."""
    if keepdims or (axis is None and np.ndim(g) == 0):
        return g
    return np.expand_dims(g, _axes(axis, ndim))


def _share(a: Any, axis: Any, ddof: int = 0) -> float:
    """One over the number of elements that went into one: float16 holds 1/70000, but not 70000."""
    count = math.prod(a.shape[i] for i in _axes(axis, a.ndim)) - ddof
    return 1 / count if count > 0 else math.nan


def _deviations(a: Any, axis: Any, ddof: int) -> Any:
    """Deviations from the mean over the number of degrees of freedom."""
    return (a - np.mean(a, axis=axis, keepdims=True)) * _share(a, axis, ddof)


def _over_std(g: Any, y: Any, a: Any, axis: Any, keepdims: Any) -> Any:
    """g / y, and 0 where all elements are equal: there y can be 1e-17, as their mean is rounded."""
    g, y = _spread(g, axis, a.ndim, keepdims), _spread(y, axis, a.ndim, keepdims)
    equal = (np.max(a, axis=axis, keepdims=True) == np.min(a, axis=axis, keepdims=True)) | (y == 0)
    return np.where(equal, 0, g / np.where(equal, 1, y))


def _ties(g: Any, y: Any, a: Any, axis: Any, keepdims: Any) -> Any:
    """The gradient of a maximum or minimum, evenly split between the elements that reach it."""
    best = a == _spread(y, axis, a.ndim, keepdims)
    share = np.sum(best, axis=axis, keepdims=True, dtype=a.dtype)
    return np.where(best, _spread(g, axis, a.ndim, keepdims) / share, 0)


# fmt: off

derivative(np.sum,  lambda g, y, a, axis=None, dtype=None, out=None, keepdims=False:
                        _spread(g, axis, a.ndim, keepdims))
derivative(np.mean, lambda g, y, a, axis=None, dtype=None, out=None, keepdims=False:
                        _spread(g, axis, a.ndim, keepdims) * _share(a, axis))
derivative(np.max,  lambda g, y, a, axis=None, out=None, keepdims=False: _ties(g, y, a, axis, keepdims))
derivative(np.min,  lambda g, y, a, axis=None, out=None, keepdims=False: _ties(g, y, a, axis, keepdims))
derivative(np.var,  lambda g, y, a, axis=None, dtype=None, out=None, ddof=0, keepdims=False:
                        _spread(g, axis, a.ndim, keepdims) * _deviations(a, axis, ddof) * 2)
derivative(np.std,  lambda g, y, a, axis=None, dtype=None, out=None, ddof=0, keepdims=False:
                        _over_std(g, y, a, axis, keepdims) * _deviations(a, axis, ddof))

# fmt: on

constant(np.argmax, np.argmin, np.all, np.any, np.count_nonzero)
