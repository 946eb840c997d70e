"""Indexing, selecting and sorting: every element of the result is one of the elements of the arguments.

So a gradient goes back to where its element was taken from, and adds up where that was taken more than once.
`scatter` does so for a key: it is the counterpart of indexing. `collect` does so for any function that moves
elements: it need only be asked where it puts the numbers 0, 1, 2, ...
"""

import operator
from functools import reduce
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .table import composed, constant, derivative, differentiable, each, moving


@differentiable(lambda g, y, values, key, shape: g[key])
def scatter(values: Any, key: Any, shape: tuple[int, ...]) -> Any:
    """Zeros of the given shape with the values added at `key`; where indices repeat, they add up.

    >>> scatter(np.array([1.0, 2.0, 3.0]), [0, 2, 2], (4,))
    array([1., 0., 5., 0.])
    """
    made: Any = np.zeros_like(values, shape=shape)
    parts = key if isinstance(key, tuple) else (key,)
    if not all(_takes_once(part) for part in parts):
        np.add.at(made, key, values)
        return made
    if not isinstance(made, np.ndarray) and any(part is None for part in parts):  # Dask cannot write there
        key = tuple(part for part in parts if part is not None)
        values = np.reshape(values, made[key].shape)
    made[key] = values
    return made


def _takes_once(part: Any) -> bool:
    """Whether a key of such parts takes no element twice: they are anything but integer arrays."""
    basic = isinstance(part, (slice, int, np.integer, type(None), type(...)))
    return basic or getattr(part, "dtype", None) == np.dtype(bool)


def count(n: int, like: Any) -> Any:
    """The numbers 0, 1, ..., n - 1, in the same kind of array as `like`."""
    return np.cumsum(np.ones_like(like, dtype=np.intp, shape=(n,))) - 1


def numbered(a: Any, order: Any = "C") -> Any:
    """The numbers 0, 1, 2, ... of the elements of `a`, in its shape, and in memory in the given order."""
    numbers = np.zeros_like(a, dtype=np.intp, order=order)
    for axis, n in enumerate(a.shape):
        numbers = numbers * n + np.reshape(count(n, a), (n,) + (1,) * (a.ndim - axis - 1))
    return numbers


def collect(g: Any, places: Any, a: Any) -> Any:
    """The gradient of `a`, of which `places` holds the numbers of those elements that `g` belongs to.

    The number -1 stands for an element that came from elsewhere.
    """
    sums = scatter(np.ravel(g), np.ravel(places), (a.size + 1,))  # the last one is for -1
    return np.reshape(sums[:-1], a.shape)


def along(axis: int, key: Any, ndim: int) -> tuple[Any, ...]:
    """The key that takes `key` on one axis, and all of the others."""
    return (*(slice(None),) * (axis % ndim), key)


def _taken(g: Any, a: Any, places: Any, axis: Any) -> Any:
    """The gradient of `a`, when `places` were taken of it on one axis, or of all its elements in a row."""
    if axis is None or a.ndim == 0:
        return np.reshape(scatter(g, places, (a.size,)), a.shape)
    return scatter(g, along(axis, places, a.ndim), a.shape)


def _indices(a: Any, axis: Any, indices: Any, mode: Any) -> Any:
    """The indices that np.take uses, whatever its mode makes of the given ones."""
    n = a.size if axis is None or a.ndim == 0 else a.shape[axis]
    return np.take(count(n, a), indices, mode=mode)


def _taken_along(g: Any, arr: Any, indices: Any, axis: Any) -> Any:
    """The same for indices that differ from line to line."""
    if axis is None:
        return _taken(g, arr, indices, None)
    lines = [np.reshape(count(n, arr), (n,) + (1,) * (arr.ndim - i - 1)) for i, n in enumerate(arr.shape)]
    lines[axis] = indices
    return scatter(g, tuple(lines), arr.shape)


def _chosen(g: Any, arrays: Any, choose: Any) -> Any:
    """What of g belongs to each of the arrays that a function chooses from: ask it to choose numbers."""
    if not isinstance(arrays, (list, tuple)):  # one array, as the list of its parts
        return collect(g, choose(list(numbered(arrays))), arrays)
    chosen = choose(list(range(len(arrays))))
    return [np.where(chosen == i, g, 0) for i in range(len(arrays))]


def _by_number(a: Any, mode: Any) -> Any:
    return lambda choices: np.choose(a, choices, mode=mode)


def _reordered(g: Any, y: Any, a: Any, axis: Any = -1) -> Any:
    """What is k-th among the elements of y was k-th among those of a; equal ones may stand for each other."""
    if axis is None:
        return np.reshape(_reordered(g, y, np.ravel(a)), a.shape)
    rank = np.argsort(np.argsort(a, axis=axis, kind="stable"), axis=axis)
    in_order = np.take_along_axis(g, np.argsort(y, axis=axis, kind="stable"), axis)
    return np.take_along_axis(in_order, rank, axis)


def _piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **options: Any) -> Any:
    """np.piecewise: each function of the elements at which its condition holds; the last one wins."""
    listed = isinstance(condlist, (list, tuple)) or np.ndim(condlist) > 0
    if not listed or (np.ndim(condlist[0]) == 0 and x.ndim > 0):
        condlist = [condlist]  # a single condition
    conditions = [np.not_equal(condition, 0) for condition in condlist]
    if len(funclist) == len(conditions) + 1:
        conditions.append(~reduce(np.logical_or, conditions))
    elif len(funclist) != len(conditions):
        raise ValueError(
            f"np.piecewise got {len(funclist)} functions for {len(conditions)} conditions: it needs one for "
            "each, and may have another for where none of them holds"
        )
    y = np.zeros_like(x)
    for condition, function in zip(conditions, funclist, strict=True):
        if callable(function):
            inside = x[condition]
            if inside.size == 0:
                continue
            function = function(inside, *args, **options)
        values = scatter(function, condition, x.shape).astype(x.dtype)
        y = np.where(np.reshape(condition, condition.shape + (1,) * (x.ndim - condition.ndim)), values, y)
    return y


def _along_axis(func1d: Any, axis: int, arr: Any, *args: Any, **options: Any) -> Any:
    """np.apply_along_axis: the results of all lines, with their axes in place of the axis of the lines."""
    lines = np.moveaxis(arr, axis, -1)
    outer = lines.shape[:-1]
    if 0 in outer:
        raise ValueError(f"np.apply_along_axis finds no line in an array of shape {arr.shape}")
    results = [func1d(lines[index], *args, **options) for index in np.ndindex(outer)]
    made = np.stack([np.stack(r) if isinstance(r, (list, tuple)) else r for r in results])
    made = np.reshape(made, (*outer, *made.shape[1:]))
    inner = range(len(outer), made.ndim)
    return np.moveaxis(made, inner, [i - len(outer) + axis % arr.ndim for i in inner])


def _over_axes(func: Any, a: Any, axes: Any) -> Any:
    """np.apply_over_axes: a function of one axis after the other, each of which it may remove."""
    made = a
    for axis in axes if np.ndim(axes) else (axes,):
        result = func(made, axis % a.ndim)
        made = result if result.ndim == a.ndim else np.expand_dims(result, axis % a.ndim)
        if made.ndim != a.ndim:
            raise ValueError(f"{func} made {result.ndim} axes of {a.ndim}: it must keep them or remove one")
    return made


# fmt: off

# indexing
derivative(operator.getitem,   lambda g, y, x, key: scatter(g, key, x.shape))
derivative(np.take,            lambda g, y, a, indices, axis=None, out=None, mode="raise": (
                                   _taken(g, a, _indices(a, axis, indices, mode), axis)))
derivative(np.take_along_axis, lambda g, y, arr, indices, axis=-1: _taken_along(g, arr, indices, axis))
derivative(np.compress,        None,
                               lambda g, y, condition, a, axis=None, out=None: (
                                   _taken(g, a, np.flatnonzero(condition), axis)))
derivative(np.extract,         None,
                               lambda g, y, condition, arr: _taken(g, arr, np.flatnonzero(condition), None))
derivative(np.ix_,             *each(lambda i, g, y, *args: np.reshape(g[i], args[i].shape)))
derivative(sliding_window_view,
                               lambda g, y, x, window_shape, axis=None, *, subok=False, writeable=False: (
                                   collect(g, sliding_window_view(numbered(x), window_shape, axis), x)))
derivative(np.bincount,        None,
                               lambda g, y, x, weights=None, minlength=0: g[x])

# selecting
derivative(np.choose,          None,
                               lambda g, y, a, choices, out=None, mode="raise": (
                                   _chosen(g, choices, _by_number(a, mode))))
derivative(np.select,          None,
                               lambda g, y, condlist, choicelist, default=0: (
                                   _chosen(g, choicelist, lambda numbers: np.select(condlist, numbers, -1))),
                               lambda g, y, condlist, choicelist, default=0: (
                                   np.where(np.select(condlist, [True] * len(condlist), False), 0, g)))

# sorting
derivative(np.sort,            lambda g, y, a, axis=-1, kind=None, order=None, *, stable=None: (
                                   _reordered(g, y, a, axis)))
derivative(np.partition,       lambda g, y, a, kth, axis=-1, kind="introselect", order=None: (
                                   _reordered(g, y, a, axis)))

# functions of functions
composed(np.piecewise,         _piecewise)
composed(np.apply_along_axis,  _along_axis)
composed(np.apply_over_axes,   _over_axes)

moving(scatter, np.ix_, sliding_window_view, np.bincount, np.sort, np.partition)
moving(
    operator.getitem, np.take, np.take_along_axis, np.compress, np.extract, np.choose, np.select,
    selects=True,
)

# fmt: on

# their results are indices
constant(
    *(np.argsort, np.argpartition, np.lexsort, np.searchsorted, np.digitize, np.isin),
    *(np.nonzero, np.flatnonzero, np.argwhere, np.unravel_index, np.ravel_multi_index),
    *(np.tril_indices_from, np.triu_indices_from, np.diag_indices_from),
)
