"""Reductions: many elements become one, and the gradient goes back to each of them.

Most rules here are written once for a family of functions of the same signature, in terms of

- `g` and `y`, with the reduced axes put back, of size 1, so that they broadcast against `a`,
- `axes`, the reduced axes, and `where`, the elements that take part: those that the call's own `where=`
  selects, and for the functions whose names begin with nan only the numbers among them.

Where elements tie, max, min and the like share the gradient evenly between them, the initial value counted
as one of them. Of NaN, which makes the result NaN, those that are NaN share it, unless the function passes
over them. Products are exact with zeros among the factors: no rule divides by an element.
"""

import math
from typing import Any

import numpy as np

from .elementwise import kept_where, share_of_two
from .indexing import along
from .table import constant, derivative, moving

ABSENT: Any = np._NoValue  # NumPy's default where None has a meaning
Axes = tuple[int, ...]


def _axes(axis: Any, ndim: int) -> Axes:
    """The reduced axes, counted from the end."""
    if axis is None or ndim == 0:  # NumPy lets a number be reduced along its axis 0
        return tuple(range(-ndim, 0))
    return tuple(i % ndim - ndim for i in (axis if np.iterable(axis) else (axis,)))


def _spread(g: Any, axes: Axes, keepdims: Any) -> Any:
    """`g` with the reduced axes put back, of size 1; a single number broadcasts as it is."""
    return g if keepdims or g.ndim == 0 else np.expand_dims(g, axes)


def _only(where: Any, values: Any, otherwise: Any = 0) -> Any:
    """The values that `where` selects."""
    return values if where is True else np.where(where, values, otherwise)


def _as_given(a: Any, where: Any) -> Any:
    return where


def _numbers(a: Any, where: Any) -> Any:
    """What `where` selects, NaN excepted."""
    return ~np.isnan(a) & where


def _as(a: Any, dtype: Any) -> Any:
    return a if a.dtype == dtype else a.astype(dtype)


def _like(a: Any, y: Any) -> Any:
    """`a` in the dtype that the result was computed in, but float16 as float32: more is needed in between."""
    return _as(a, np.result_type(y.dtype, np.float32))


# ---- sums, means and variances ----------------------------------------------------------------------------


def _sum(g: Any, y: Any, a: Any, axes: Axes, initial: Any, where: Any) -> Any:
    return _only(where, g)


def _sum_initial(g: Any, y: Any, a: Any, axes: Axes, initial: Any, where: Any) -> Any:
    return g


def _share(g: Any, a: Any, axes: Axes, where: Any, ddof: Any = 0) -> Any:
    """One over the number of elements that went into one: float16 holds 1/70000, but not 70000."""
    if where is True:
        count = (a.size if len(axes) == a.ndim else math.prod(a.shape[i] for i in axes)) - ddof
        return 1 / count if count > 0 else math.nan
    counts = np.sum(np.broadcast_to(where, a.shape), axis=axes, keepdims=True) - ddof
    return (1 / np.where(counts > 0, counts, math.nan)).astype(g.dtype)


def _mean(g: Any, a: Any, axis: Any, keepdims: Any, where: Any) -> Any:
    axes = _axes(axis, a.ndim)
    return _only(where, _spread(g, axes, keepdims) * _share(g, a, axes, where))


def _deviations(a: Any, axes: Axes, where: Any, mean: Any) -> Any:
    """The deviations from the mean, which may be given."""
    if mean is not ABSENT:
        return _only(where, a) - mean
    if where is True:
        return a - np.mean(a, axis=axes, keepdims=True)
    a = np.where(where, a, 0)  # first of all: what is left out may be NaN
    total = np.sum(a, axis=axes, keepdims=True)
    counts = np.sum(np.broadcast_to(where, a.shape), axis=axes, keepdims=True)
    return a - (total / np.maximum(counts, 1)).astype(a.dtype)


def _var(g: Any, y: Any, a: Any, axes: Axes, where: Any, mean: Any, ddof: Any) -> Any:
    slopes = 2 * _deviations(_like(a, y), axes, where, mean)
    return _only(where, g * _share(g, a, axes, where, ddof) * slopes)


def _std(g: Any, y: Any, a: Any, axes: Axes, where: Any, mean: Any, ddof: Any) -> Any:
    """The derivative of the root of var, and 0 where all elements are equal.

    There y can be 1e-17 instead of 0, as the mean of equal numbers is rounded.
    """
    still = y == 0
    if mean is ABSENT:
        still = still | _all_equal(a, axes, where)
    slopes = _deviations(_like(a, y), axes, where, mean) / np.where(still, 1, y)
    return _only(where, g * _share(g, a, axes, where, ddof) * np.where(still, 0, slopes))


def _all_equal(a: Any, axes: Axes, where: Any) -> Any:
    largest = np.max(_only(where, a, -math.inf), axis=axes, keepdims=True)
    return largest == np.min(_only(where, a, math.inf), axis=axes, keepdims=True)


def _exponentials(y: Any, a: Any, axes: Axes, initial: Any, where: Any) -> tuple[Any, Any, Any]:
    """Of y = log(sum(exp(a))): exp(a - y), that of the initial value, and what they add up to.

    That is 1 but for the rounding of y, which alone is 1e-16 of y: of equal elements of 1e16 each would be 1.
    """
    infinite = np.isinf(y)

    def exponential(exponents: Any) -> Any:
        return np.exp(np.where(infinite, 0, exponents - np.where(infinite, 0, y)))

    of_a = exponential(_only(where, a, -math.inf))
    of_initial = 0 if initial is ABSENT else exponential(initial)
    return of_a, of_initial, np.sum(of_a, axis=axes, keepdims=True) + of_initial


def _logsumexp(g: Any, y: Any, a: Any, axes: Axes, initial: Any, where: Any) -> Any:
    """Where y is infinite, the gradient of the maximum."""
    term, _, total = _exponentials(y, a, axes, initial, where)
    limit = _shared(g, y, _reaching(y, a, where), axes, initial)
    return _only(where, np.where(np.isinf(y), limit, g * term / total))


def _logsumexp_initial(g: Any, y: Any, a: Any, axes: Axes, initial: Any, where: Any) -> Any:
    _, term, total = _exponentials(y, a, axes, initial, where)
    return np.where(np.isinf(y), _extreme_initial(g, y, a, axes, initial, where), g * term / total)


# ---- products ---------------------------------------------------------------------------------------------


def _others(a: Any, axes: Axes) -> Any:
    """For each element the product of all others: of those before it and those after it, axis by axis."""
    made: Any = 1
    for axis in axes:
        line = np.moveaxis(a, axis, 0)
        one = np.ones_like(line[:1])
        before = np.cumprod(np.concatenate([one, line[:-1]]), axis=0)
        after = np.cumprod(np.concatenate([one, line[:0:-1]]), axis=0)[::-1]
        made = made * np.moveaxis(before * after, 0, axis)
        a = np.prod(a, axis=axis, keepdims=True)
    return made


def _prod(g: Any, y: Any, a: Any, axes: Axes, initial: Any, where: Any) -> Any:
    if initial is not ABSENT:
        g = g * initial
    return _only(where, g * _others(_only(where, _like(a, y), 1), axes))


def _prod_initial(g: Any, y: Any, a: Any, axes: Axes, initial: Any, where: Any) -> Any:
    return g * np.prod(_only(where, _like(a, y), 1), axis=axes, keepdims=True)


def _recurrence(g: Any, a: Any) -> Any:
    """r with r[j] = g[j] + a[j] r[j + 1] along axis 0, where `a`, which may be a mask, is shorter by one.

    In as many steps as the length has binary digits: after each, r[j] is right up to twice as far as before,
    and `a` is the product of twice as many factors (Kogge and Stone, IEEE Trans. Comput. C-22, 1973).
    """
    step, times = 1, kept_where if a.dtype == bool else np.multiply
    while step < len(g):
        g = np.concatenate([g[:-step] + times(a, g[step:]), g[-step:]])
        a = a[:-step] * a[step:]
        step *= 2
    return g


def _cumsum(g: Any, y: Any, a: Any, axis: Any) -> Any:
    """What comes later contains what comes before: a sum from the end."""
    axis = axis or 0
    return np.reshape(np.flip(np.cumsum(np.flip(g, axis), axis=axis), axis), a.shape)


def _cumprod(g: Any, y: Any, a: Any, axis: Any) -> Any:
    """dy[i]/da[j] is the product of the factors before j times that of the factors from j+1 to i."""
    axis = axis or 0
    factors = np.moveaxis(np.reshape(_like(a, y), y.shape), axis, 0)
    g, y = np.moveaxis(g, axis, 0), np.moveaxis(y, axis, 0)
    before = np.concatenate([np.ones_like(y[:1]), y[:-1]])
    made = np.moveaxis(before * _recurrence(g, factors[1:]), 0, axis)
    return _as(np.reshape(made, a.shape), g.dtype)


# ---- the largest and the smallest --------------------------------------------------------------------------


def _one_over(count: Any, g: Any) -> Any:
    """1/count in the dtype of g. Where nothing is counted, nothing will use it."""
    return (1 / np.maximum(count, 1)).astype(g.dtype)


def _evenly(g: Any, among: Any, axes: Axes) -> Any:
    """g shared evenly among the elements for which `among` holds."""
    return np.where(among, g * _one_over(np.sum(among, axis=axes, keepdims=True), g), 0)


def _reaching(y: Any, a: Any, where: Any) -> Any:
    """The elements that make the result what it is; if it is NaN, those that are NaN."""
    return ((a == y) | np.isnan(a)) & where


def _equal(a: Any, b: Any) -> Any:
    """Whether two are the same number, or both NaN."""
    return (a == b) | (np.isnan(a) & np.isnan(b))


def _extreme(g: Any, y: Any, a: Any, axes: Axes, initial: Any, where: Any) -> Any:
    among = _reaching(y, a, where)
    alone = where is True and initial is ABSENT and isinstance(among, np.ndarray)
    if alone and np.count_nonzero(among) == y.size:  # no ties, as most often: quicker
        return np.where(among, g, 0)
    return _shared(g, y, among, axes, initial)


def _shared(g: Any, y: Any, among: Any, axes: Axes, initial: Any) -> Any:
    """g shared evenly among the elements that reach y, the initial value counted as one if it does."""
    count = np.sum(among, axis=axes, keepdims=True) + (0 if initial is ABSENT else _equal(initial, y))
    return np.where(among, g * _one_over(count, g), 0)


def _extreme_initial(g: Any, y: Any, a: Any, axes: Axes, initial: Any, where: Any) -> Any:
    count = np.sum(_reaching(y, a, where), axis=axes, keepdims=True) + 1
    return np.where(_equal(initial, y), g * _one_over(count, g), 0)


def _ptp(g: Any, y: Any, a: Any, axes: Axes) -> Any:
    largest, smallest = np.max(a, axis=axes, keepdims=True), np.min(a, axis=axes, keepdims=True)
    return _evenly(g, a == largest, axes) - _evenly(g, a == smallest, axes)


def _running_extreme(g: Any, y: Any, a: Any, axis: Any) -> Any:
    """Each of the results is shared evenly among the elements so far that reach it; NaN among those."""
    g, y, a = (np.moveaxis(x, axis, 0) for x in (g, np.reshape(y, a.shape), a))
    among, same = _equal(a, y), _equal(y[1:], y[:-1])
    count = np.cumsum(among, axis=0)
    earlier = np.where(np.concatenate([np.zeros_like(among[:1]), same]), 0, count - 1)
    shares = g * _one_over(count - np.maximum.accumulate(earlier, axis=0), g)
    return np.moveaxis(np.where(among, _recurrence(shares, same), 0), 0, axis)


def _running_logsumexp(g: Any, y: Any, a: Any, axis: Any) -> Any:
    """Each of the results is shared between the one before it and its own element."""
    g, y, a = (np.moveaxis(x, axis, 0) for x in (g, y, a))
    before, own = y[:-1], a[1:]
    reached = _recurrence(g, share_of_two(np.logaddexp, np.exp, y[1:], before, own))
    shares = np.concatenate([np.ones_like(y[:1]), share_of_two(np.logaddexp, np.exp, y[1:], own, before)])
    return np.moveaxis(reached * shares, 0, axis)


# ---- the table --------------------------------------------------------------------------------------------


def _rule(of: Any, g: Any, y: Any, a: Any, axis: Any, keepdims: Any, *options: Any) -> Any:
    """A rule for many functions, applied to one of them."""
    axes = _axes(axis, a.ndim)
    if of is not _sum:  # which does not look at y
        y = _spread(y, axes, keepdims)
    return _as(of(_spread(g, axes, keepdims), y, a, axes, *options), g.dtype)


def _sums(function: Any, a: Any, initial: Any, select: Any = _as_given, axis: Any = None) -> None:
    """A row for sum, prod and what has the same options; a and initial are their rules."""

    def with_options(of: Any, axis: Any = axis) -> Any:
        return lambda g, y, a, axis=axis, dtype=None, out=None, keepdims=False, initial=ABSENT, where=True: (
            _rule(of, g, y, a, axis, keepdims, initial, select(a, where))
        )

    derivative(function, with_options(a), None, None, None, None, with_options(initial))


def _extremes(function: Any, select: Any = _as_given) -> None:
    """A row for max, min and their like."""

    def with_options(of: Any) -> Any:
        return lambda g, y, a, axis=None, out=None, keepdims=False, initial=ABSENT, where=True: _rule(
            of, g, y, a, axis, keepdims, initial, select(a, where)
        )

    derivative(function, with_options(_extreme), None, None, None, with_options(_extreme_initial))


def _moments(function: Any, of_a: Any, select: Any = _as_given) -> None:
    """A row for var, std and their like. A mean that is given moves against all elements at once."""

    def rule(
        g: Any, y: Any, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0,
        keepdims: Any = False, *, where: Any = True, mean: Any = ABSENT, correction: Any = ABSENT,
    ) -> Any:  # fmt: skip
        ddof = ddof if correction is ABSENT else correction
        return _rule(of_a, g, y, a, axis, keepdims, select(a, where), mean, ddof) if a.size else 0 * a

    derivative(function, rule, mean=lambda *args, **options: -rule(*args, **options))


def _running(of: Any, axis: Any = None, fill: Any = None) -> Any:
    """The rule of a function with the options of np.cumsum; for the nan functions, what stands for NaN."""

    def rule(g: Any, y: Any, a: Any, axis: Any = axis, dtype: Any = None, out: Any = None) -> Any:
        if fill is None:
            return of(g, y, a, axis)
        return np.where(np.isnan(a), 0, of(g, y, np.where(np.isnan(a), fill, a), axis))

    return rule


def _cumulative(of: Any) -> Any:
    """The rule of cumulative_sum or cumulative_prod, which can include the initial value."""

    def rule(
        g: Any, y: Any, x: Any, *, axis: Any = None, dtype: Any = None, out: Any = None,
        include_initial: Any = False,
    ) -> Any:  # fmt: skip
        if include_initial:
            later = along(axis or 0, slice(1, None), g.ndim)
            g, y = g[later], y[later]
        return of(g, y, x, axis)

    return rule


# fmt: off

# sums and means
_sums(np.sum,                 _sum,     _sum_initial)
_sums(np.nansum,              _sum,     _sum_initial,     _numbers)
derivative(np.mean,           lambda g, y, a, axis=None, dtype=None, out=None, keepdims=False, *, where=True:
                                  _mean(g, a, axis, keepdims, where))
derivative(np.nanmean,        lambda g, y, a, axis=None, dtype=None, out=None, keepdims=False, *, where=True:
                                  _mean(g, a, axis, keepdims, _numbers(a, where)))
_moments(np.var,              _var)
_moments(np.std,              _std)
_moments(np.nanvar,           _var, _numbers)
_moments(np.nanstd,           _std, _numbers)
_sums(np.logaddexp.reduce,    _logsumexp, _logsumexp_initial, axis=0)

# products
_sums(np.prod,                _prod,    _prod_initial)
_sums(np.nanprod,             _prod,    _prod_initial,    _numbers)

# running
derivative(np.cumsum,              _running(_cumsum))
derivative(np.nancumsum,           _running(_cumsum, fill=0))
derivative(np.cumprod,             _running(_cumprod))
derivative(np.nancumprod,          _running(_cumprod, fill=1))
derivative(np.maximum.accumulate,  _running(_running_extreme, axis=0))
derivative(np.minimum.accumulate,  _running(_running_extreme, axis=0))
derivative(np.fmax.accumulate,     _running(_running_extreme, axis=0, fill=math.nan))
derivative(np.fmin.accumulate,     _running(_running_extreme, axis=0, fill=math.nan))
derivative(np.logaddexp.accumulate, _running(_running_logsumexp, axis=0))
if hasattr(np, "cumulative_sum"):  # since NumPy 2.1
    derivative(np.cumulative_sum,  _cumulative(_cumsum))
    derivative(np.cumulative_prod, _cumulative(_cumprod))
    moving(np.cumulative_sum)

# by order
_extremes(np.max)
_extremes(np.min)
_extremes(np.amax)
_extremes(np.amin)
_extremes(np.nanmax,          _numbers)
_extremes(np.nanmin,          _numbers)
derivative(np.ptp,            lambda g, y, a, axis=None, out=None, keepdims=False:
                                  _rule(_ptp, g, y, a, axis, keepdims))

# fmt: on

constant(
    *(np.argmax, np.argmin, np.nanargmax, np.nanargmin, np.argsort, np.argpartition, np.lexsort),
    *(np.all, np.any, np.count_nonzero, np.searchsorted, np.digitize),
)
