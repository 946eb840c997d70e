"""Indexing, selecting and sorting: every element of the result is one of the elements of the arguments.

So a gradient goes back to where its element was taken from, and adds up where that was taken more than once.
`scatter` does so for a key: it is the counterpart of indexing. `collect` does so for any function that moves
elements: it need only be asked where it puts the numbers 0, 1, 2, ...
"""

import math
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
    basic = all(isinstance(part, (slice, int, type(None), type(...))) for part in parts)
    is_lazy = hasattr(made, "__dask_graph__")
    if is_lazy and 0 in values.shape:  # which Dask can neither write nor reshape
        return made
    if basic and is_lazy:  # it can write neither beside None, nor at a number beside a step back
        parts = tuple(slice(i, i + 1 or None) if isinstance(i, int) else i for i in parts)
        key = tuple(part for part in parts if part is not None)
        values = np.reshape(values, made[key].shape)
    if basic or (isinstance(made, np.ndarray) and all(map(_is_mask, parts))):  # nothing is taken twice
        made[key] = values
    elif isinstance(made, np.ndarray):
        sums = made.astype(np.float32) if made.dtype == np.float16 else made  # float16 does not count to 2049
        np.add.at(sums, key, values)
        made = sums.astype(made.dtype, copy=False)
    elif is_lazy:
        return _sums(values, np.arange(math.prod(shape)).reshape(shape)[key], made)
    else:  # CuPy's arrays and others do not know the method `at`
        places = counting(made.size, values).reshape(shape)[key]
        sums = np.bincount(np.ravel(places), np.ravel(values), minlength=made.size)
        return np.reshape(sums, shape).astype(made.dtype)
    return made


def total(g: Any, axis: Any, keepdims: bool = False) -> Any:
    """The sum of a gradient over some axes; float16, in which 2048 + 1 is 2048, is summed as float32."""
    sum_: Any = np.add.reduce if type(g) is np.ndarray else np.sum  # the former is quicker
    if g.dtype != np.float16:
        return sum_(g, axis=axis, keepdims=keepdims)
    return sum_(g, axis=axis, keepdims=keepdims, dtype=np.float32).astype(np.float16)


def _is_mask(part: Any) -> bool:
    return getattr(part, "dtype", None) == np.dtype(bool)


def counting(n: int, like: Any) -> Any:
    """The numbers 0, 1, ..., n - 1, in the same kind of array as `like`."""
    return np.cumsum(np.ones_like(like, dtype=np.intp, shape=(n,))) - 1


def _sums(values: Any, places: Any, zeros: Any) -> Any:
    """The values added to zeros at the places with some numbers, for arrays whose values are not there yet.

    It is done from the other side: every place takes the first value that belongs to it, the second, and so
    on, and a zero where there are no more.
    """
    order = np.argsort(places, axis=None, kind="stable")
    counts = np.bincount(places.ravel(), minlength=zeros.size)
    firsts = np.cumsum(counts) - counts
    values = np.concatenate([np.ravel(values), np.zeros_like(values, shape=(1,))])
    sums = np.ravel(zeros)
    for k in range(counts.max()):
        taken = np.where(k < counts, order[np.minimum(firsts + k, order.size - 1)], order.size)
        sums = sums + np.take(values, taken)
    return np.reshape(sums, zeros.shape)


def numbered(a: Any) -> Any:
    """The numbers 0, 1, 2, ... of the elements of `a`, in its shape."""
    return np.arange(math.prod(np.shape(a))).reshape(np.shape(a))


def collect(g: Any, places: Any, a: Any) -> Any:
    """The gradient of `a`, of which `places` holds the numbers of those elements that `g` belongs to.

    The number -1 stands for an element that came from elsewhere.
    """
    if 0 not in g.shape:  # of which Dask cannot make a row
        g, places = np.ravel(g), np.ravel(places)
    sums = scatter(g, places, (a.size + 1,))  # the last one is for -1
    return np.reshape(sums[:-1], a.shape)


def within(indices: Any, n: int, mode: str) -> Any:
    """The index from 0 to n - 1 that the modes of np.take and np.choose make of any index."""
    indices = np.clip(indices, 0, n - 1) if mode == "clip" else np.remainder(indices, np.intp(n))
    return indices.astype(np.intp)


def along(axis: int, key: Any, ndim: int) -> tuple[Any, ...]:
    """The key that takes `key` on one axis, and all of the others."""
    return (*(slice(None),) * (axis % ndim), key)


def _length(a: Any, axis: Any) -> Any:
    """How many elements or layers can be taken: a number has one."""
    return a.size if axis is None or a.ndim == 0 else a.shape[axis]


def _taken(g: Any, a: Any, places: Any, axis: Any) -> Any:
    """The gradient of `a`, when `places` were taken of it on one axis, or of all its elements in a row."""
    if axis is None or a.ndim == 0:
        return np.reshape(scatter(g, places, (a.size,)), a.shape)
    return scatter(g, along(axis, places, a.ndim), a.shape)


def _taken_along(g: Any, arr: Any, indices: Any, axis: Any) -> Any:
    """The same for indices that differ from line to line."""
    if axis is None:
        return _taken(g, arr, indices, None)
    lines = [np.arange(n).reshape((n,) + (1,) * (arr.ndim - i - 1)) for i, n in enumerate(arr.shape)]
    lines[axis] = indices
    return scatter(g, tuple(lines), arr.shape)


def _equal(a: Any, n: int) -> list[Any]:
    """Where each of the numbers from 0 to n - 1 is."""
    return [a == i for i in range(n)]


def _first(condlist: Any) -> list[Any]:
    """Where each of the conditions is the first that holds, and at last where none of them does."""
    firsts: list[Any] = []
    none: Any = True
    for condition in condlist:
        firsts.append(np.logical_and(none, condition))
        none = np.logical_and(none, np.logical_not(condition))
    return [*firsts, none]


def _chosen(g: Any, where: list[Any], choices: Any) -> Any:
    """What of g belongs to each of the arrays that were chosen at some places."""
    gradients = [np.where(chosen, g, 0) for chosen in where]
    if isinstance(choices, list):
        return gradients
    extra = g.ndim - choices.ndim + 1  # one array, as the list of its parts, which may have been broadcast
    broadcast = [extra + i for i, n in enumerate(choices.shape[1:], start=1) if n == 1]
    summed = total(np.stack(gradients), (*range(1, extra + 1), *broadcast))
    return np.reshape(summed, choices.shape)


def _unsorted(g: Any, a: Any, axis: Any) -> Any:
    """The k-th element of g belongs to the k-th smallest one of a; equal ones may stand for each other."""
    if axis is None:
        return np.reshape(_unsorted(g, np.ravel(a), 0), a.shape)
    rank = np.argsort(np.argsort(a, axis=axis, kind="stable"), axis=axis)
    return np.take_along_axis(g, rank, axis)


def _unpartitioned(g: Any, y: Any, a: Any, axis: Any) -> Any:
    """The same when y has not all elements in order."""
    along_y = axis or 0
    return _unsorted(np.take_along_axis(g, np.argsort(y, axis=along_y), along_y), a, axis)


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
        values: Any = function
        if callable(function):
            inside = x[condition]
            if inside.size == 0:
                continue
            if np.isnan(inside.size):  # of a Dask array: not known before it is computed
                values = function(x, *args, **options)
            else:
                values = scatter(function(inside, *args, **options), condition, x.shape)
        where = np.reshape(condition, condition.shape + (1,) * (x.ndim - condition.ndim))
        y = np.where(where, values, y).astype(x.dtype)
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
        if result.ndim not in (a.ndim, a.ndim - 1):
            raise ValueError(f"{func} made {result.ndim} axes of {a.ndim}: it must keep them or remove one")
        made = result if result.ndim == a.ndim else np.expand_dims(result, axis)
    return made


# fmt: off

# indexing
derivative(operator.getitem,   lambda g, y, x, key: scatter(g, key, x.shape))
derivative(np.take,            lambda g, y, a, indices, axis=None, out=None, mode="raise": (
                                   _taken(g, a, within(indices, _length(a, axis), mode), axis)))
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

# selecting
derivative(np.choose,          None,
                               lambda g, y, a, choices, out=None, mode="raise": (
                                   _chosen(g, _equal(within(a, len(choices), mode), len(choices)), choices)))
derivative(np.select,          None,
                               lambda g, y, condlist, choicelist, default=0: (
                                   _chosen(g, _first(condlist)[:-1], choicelist)),
                               lambda g, y, condlist, choicelist, default=0: (
                                   np.where(_first(condlist)[-1], g, 0)))

# sorting
derivative(np.sort,            lambda g, y, a, axis=-1, kind=None, order=None, *, stable=None: (
                                   _unsorted(g, a, axis)))
derivative(np.partition,       lambda g, y, a, kth, axis=-1, kind="introselect", order=None: (
                                   _unpartitioned(g, y, a, axis)))

# functions of functions
composed(np.piecewise,         _piecewise)
composed(np.apply_along_axis,  _along_axis)
composed(np.apply_over_axes,   _over_axes)

moving(scatter, np.ix_, sliding_window_view, np.sort, np.partition)
moving(
    operator.getitem, np.take, np.take_along_axis, np.compress, np.extract, np.choose, np.select,
    selects=True,
)

# fmt: on

# their results are indices
constant(
    *(np.nonzero, np.flatnonzero, np.argwhere, np.isin, np.unravel_index, np.ravel_multi_index),
    *(np.tril_indices_from, np.triu_indices_from, np.diag_indices_from),
)
