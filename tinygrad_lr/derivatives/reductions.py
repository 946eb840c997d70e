"""Reductions: many elements become one, and the gradient goes back to each of them.

Most rules here are written once for a family of functions of the same signature, in terms of

- `g` and `y`, with the reduced axes put back, of size 1, so that they broadcast against `a`,
- `axes`, the reduced axes, and `where`, the elements that take part: those that the call's own `where=`
  selects, and for the functions whose names begin with nan only the numbers among them.

Where elements tie, max, min, median and the like share the gradient evenly between them, the initial value
counted as one of them. Products are exact with zeros among the factors: no rule divides by an element.
"""

import math
from typing import Any

import numpy as np

from .indexing import counting, scatter
from .table import constant, derivative, each

ABSENT: Any = np._NoValue  # NumPy's default where None has a meaning
Axes = tuple[int, ...]


def _axes(axis: Any, ndim: int) -> Axes:
    """The reduced axes, counted from the end."""
    if axis is None or ndim == 0:  # NumPy lets a number be reduced along its axis 0
        return tuple(range(-ndim, 0))
    return tuple(i % ndim - ndim for i in (axis if isinstance(axis, tuple) else (axis,)))


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


def _mean(g: Any, y: Any, a: Any, axes: Axes, where: Any) -> Any:
    return _only(where, g * _share(g, a, axes, where))


def _deviations(a: Any, axes: Axes, where: Any, mean: Any) -> Any:
    """The deviations from the mean, which may be given."""
    if mean is not ABSENT:
        return _only(where, a) - mean
    if where is True:
        return a - np.mean(a, axis=axes, keepdims=True)
    a = np.where(where, a, 0)  # first of all: what is left out may be NaN
    total = np.sum(a, axis=axes, keepdims=True, dtype=np.result_type(a.dtype, np.float32))
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
    return _only(where, np.where(still, 0, g * _share(g, a, axes, where, ddof) * slopes))


def _all_equal(a: Any, axes: Axes, where: Any) -> Any:
    largest = np.max(_only(where, a, -math.inf), axis=axes, keepdims=True)
    return largest == np.min(_only(where, a, math.inf), axis=axes, keepdims=True)


def _average_a(
    g: Any,
    y: Any,
    a: Any,
    axis: Any = None,
    weights: Any = None,
    returned: Any = False,
    *,
    keepdims: Any = False,
) -> Any:
    axes = _axes(axis, a.ndim)
    g = _spread(g[0] if returned else g, axes, keepdims)
    if weights is None:
        return _mean(g, y, a, axes, True)
    weights = _aligned(weights, a, axes)
    return g * (weights / np.sum(weights, axis=axes, keepdims=True))


def _average_weights(
    g: Any,
    y: Any,
    a: Any,
    axis: Any = None,
    weights: Any = None,
    returned: Any = False,
    *,
    keepdims: Any = False,
) -> Any:
    """The second result, if it is returned, is the sum of the weights."""
    axes = _axes(axis, a.ndim)
    g, g_sum = g if returned else (g, None)
    y = _spread(y[0] if returned else y, axes, keepdims)
    total = np.sum(_aligned(weights, a, axes), axis=axes, keepdims=True)
    made = _spread(g, axes, keepdims) * ((a - y) / total)
    if returned:
        made = made + _spread(g_sum, axes, keepdims)
    if weights.shape == a.shape:
        return made
    made = np.sum(made, axis=tuple(i for i in range(-a.ndim, 0) if i not in axes))
    return np.transpose(made, tuple(sorted(axes).index(i) for i in axes))


def _aligned(weights: Any, a: Any, axes: Axes) -> Any:
    """Weights that were given for some axes, such that they broadcast to `a`."""
    if weights.shape == a.shape:
        return weights
    ordered = np.transpose(weights, sorted(range(len(axes)), key=axes.__getitem__))
    return np.reshape(ordered, tuple(a.shape[i] if i in axes else 1 for i in range(-a.ndim, 0)))


def _softly(g: Any, y: Any, exponents: Any, limit: Any) -> Any:
    """The gradient of the terms of y = log(sum(exp(exponents))); where y is infinite that of the maximum."""
    infinite = np.isinf(y)
    return np.where(infinite, limit, g * np.exp(np.where(infinite, 0, exponents - np.where(infinite, 0, y))))


def _logsumexp(g: Any, y: Any, a: Any, axes: Axes, initial: Any, where: Any) -> Any:
    return _softly(g, y, _only(where, a, -math.inf), _extreme(g, y, a, axes, initial, where))


def _logsumexp_initial(g: Any, y: Any, a: Any, axes: Axes, initial: Any, where: Any) -> Any:
    return _softly(g, y, initial, _extreme_initial(g, y, a, axes, initial, where))


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
    """r with r[j] = g[j] + a[j] r[j + 1] along axis 0, where `a` is shorter by one.

    In as many steps as the length has binary digits: after each, r[j] is right up to twice as far as before,
    and `a` is the product of twice as many factors (Kogge and Stone, IEEE Trans. Comput. C-22, 1973).
    """
    step = 1
    while step < len(g):
        g = np.concatenate([g[:-step] + a * g[step:], g[-step:]])
        a = a[:-step] * a[step:]
        step *= 2
    return g


def _cumsum(g: Any, y: Any, a: Any, axis: Any) -> Any:
    """What comes later contains what comes before: a sum from the end."""
    axis = 0 if axis is None else axis
    return np.reshape(np.flip(np.cumsum(np.flip(g, axis), axis=axis), axis), a.shape)


def _cumprod(g: Any, y: Any, a: Any, axis: Any) -> Any:
    """dy[i]/da[j] is the product of the factors before j times that of the factors from j+1 to i."""
    axis = 0 if axis is None else axis
    factors = np.moveaxis(np.reshape(_like(a, y), y.shape), axis, 0)
    g, y = np.moveaxis(g, axis, 0), np.moveaxis(y, axis, 0)
    before = np.concatenate([np.ones_like(y[:1]), y[:-1]])
    made = np.moveaxis(before * _recurrence(g, factors[1:]), 0, axis)
    return _as(np.reshape(made, a.shape), g.dtype)


# ---- the largest, the smallest, and what stands at a given rank -------------------------------------------


def _one_over(count: Any, g: Any) -> Any:
    """1/count in the dtype of g. Where nothing is counted, nothing will use it."""
    return (1 / np.maximum(count, 1)).astype(g.dtype)


def _evenly(g: Any, among: Any, axes: Axes) -> Any:
    """g shared evenly among the elements for which `among` holds."""
    return np.where(among, g * _one_over(np.sum(among, axis=axes, keepdims=True), g), 0)


def _reaching(y: Any, a: Any, where: Any) -> Any:
    """The elements that make the result what it is; if it is NaN, those that are NaN."""
    return ((a == y) | np.isnan(a)) & where


def _extreme(g: Any, y: Any, a: Any, axes: Axes, initial: Any, where: Any) -> Any:
    among = _reaching(y, a, where)
    count = np.sum(among, axis=axes, keepdims=True) + (0 if initial is ABSENT else initial == y)
    return np.where(among, g * _one_over(count, g), 0)


def _extreme_initial(g: Any, y: Any, a: Any, axes: Axes, initial: Any, where: Any) -> Any:
    count = np.sum(_reaching(y, a, where), axis=axes, keepdims=True) + 1
    return np.where(initial == y, g * _one_over(count, g), 0)


def _ptp(g: Any, y: Any, a: Any, axes: Axes) -> Any:
    largest, smallest = np.max(a, axis=axes, keepdims=True), np.min(a, axis=axes, keepdims=True)
    return _evenly(g, a == largest, axes) - _evenly(g, a == smallest, axes)


def _running_extreme(g: Any, y: Any, a: Any, axis: Any) -> Any:
    """Each of the results is shared evenly among the elements so far that reach it."""
    g, y, a = (np.moveaxis(x, axis, 0) for x in (g, np.reshape(y, a.shape), a))
    among, same = a == y, y[1:] == y[:-1]
    count = np.cumsum(among, axis=0)
    earlier = np.where(np.concatenate([np.zeros_like(among[:1]), same]), 0, count - 1)
    shares = g * _one_over(count - np.maximum.accumulate(earlier, axis=0), g)
    return np.moveaxis(np.where(among, _recurrence(shares, same.astype(g.dtype)), 0), 0, axis)


#: alpha and beta of the quantile methods that interpolate (Hyndman and Fan, American Statistician 50, 1996)
INTERPOLATING = {
    "interpolated_inverted_cdf": (0, 1),
    "hazen": (1 / 2, 1 / 2),
    "weibull": (0, 0),
    "linear": (1, 1),
    "median_unbiased": (1 / 3, 1 / 3),
    "normal_unbiased": (3 / 8, 3 / 8),
}


#: those that pick an element
SELECTING = {"inverted_cdf", "closest_observation", "lower", "higher", "nearest"}


def _rank(n: Any, q: Any, method: str) -> tuple[Any, Any, Any]:
    """Where the quantile q is among n numbers in order.

    Returns the rank of the number before it, counted from 0, the weight of the next one, and how fast that
    grows with q. The ranks may be beyond either end.
    """
    if method in INTERPOLATING:
        alpha, beta = INTERPOLATING[method]
        rank = n * q + (alpha + q * (1 - alpha - beta)) - 1
        return np.floor(rank), rank - np.floor(rank), n + (1 - alpha - beta)
    rank, halfway, between = ((n - 1) * q, 0, 0.5) if method == "midpoint" else (n * q - 1, 0.5, 1)
    return np.floor(rank), np.where(rank == np.floor(rank), halfway, between), 0


def _beside(y: Any, a: Any, q: Any, axes: Axes, method: str, nan: bool) -> tuple[Any, Any, Any, Any]:
    """The elements on both sides of the quantile y, the weight of the second, and how fast it grows with q.

    y is one of them, or else the next ones to it: how many elements are beyond y tells.
    """
    n = np.sum(~np.isnan(a), axis=axes, keepdims=True) if nan else math.prod(a.shape[i] for i in axes)
    q = np.reshape(q, np.shape(q) + (1,) * a.ndim) if np.ndim(q) else q
    rank, weight, rate = _rank(n, q, method)
    below, above = np.clip(rank, 0, n - 1), np.clip(rank + 1, 0, n - 1)
    before = np.max(np.where(a < y, a, -math.inf), axis=axes, keepdims=True)
    after = np.min(np.where(a > y, a, math.inf), axis=axes, keepdims=True)
    lower = np.where(np.sum(a < y, axis=axes, keepdims=True) > below, before, y)
    upper = np.where(np.sum(a <= y, axis=axes, keepdims=True) > above, y, after)
    return lower, upper, weight, rate


def _quantile(
    g: Any, y: Any, a: Any, q: Any, axis: Any, keepdims: Any, method: str, weights: Any, nan: bool
) -> Any:
    """The elements that the quantile lies between share the gradient as they share in the quantile."""
    axes = _axes(axis, a.ndim)
    g, y = _spread(g, axes, keepdims), _spread(y, axes, keepdims)
    if weights is not None or method in SELECTING or a.size == 0:
        return _evenly(g, a == y, axes)
    lower, upper, weight, _ = _beside(y, a, q, axes, method, nan)
    weight = weight.astype(g.dtype)
    return _evenly(g * (1 - weight), a == lower, axes) + _evenly(g * weight, a == upper, axes)


def _quantile_q(
    g: Any, y: Any, a: Any, q: Any, axis: Any, keepdims: Any, method: str, weights: Any, nan: bool
) -> Any:
    axes = _axes(axis, a.ndim)
    g, y = _spread(g, axes, keepdims), _spread(y, axes, keepdims)
    if weights is not None or method not in INTERPOLATING or a.size == 0:
        return 0 * q
    lower, upper, _, rate = _beside(y, a, q, axes, method, nan)
    return np.sum(g * (upper - lower) * rate, axis=tuple(range(-a.ndim, 0)))


# ---- differences and integrals ----------------------------------------------------------------------------


def _cut(a: Any, axis: int, start: int | None, stop: int | None = None) -> Any:
    """A part of `a` along an axis."""
    return a[(slice(None),) * (axis % a.ndim) + (slice(start, stop),)]


def _undiff(g: Any, axis: int = -1) -> Any:
    """The gradient of what np.diff was taken of: each element is added once and subtracted once."""
    zero = g.dtype.type(0)
    return -np.diff(g, axis=axis, prepend=zero, append=zero)


def _diff(part: int, g: Any, a: Any, n: int, axis: int, prepend: Any, append: Any) -> Any:
    """The gradient of one of prepend, a and append, which are joined before differences are taken."""
    if n == 0:  # then np.diff joins nothing
        return g if part == 1 else 0 * (prepend, a, append)[part]
    sizes = [0 if x is ABSENT else np.shape(x)[axis] if np.ndim(x) else 1 for x in (prepend, a, append)]
    for _ in range(n):
        g = _undiff(g, axis)
    return _cut(g, axis, sum(sizes[:part]), sum(sizes[: part + 1]))


def _ediff1d(part: int, g: Any, ary: Any, *ends: Any) -> Any:
    """The gradient of one of to_begin, ary and to_end."""
    begin, after = (0 if end is None else np.size(end) for end in ends)
    end = g.size - after
    if part == 1:
        return np.reshape(_undiff(g[begin:end])[: ary.size], ary.shape)
    return np.reshape(g[:begin] if part == 0 else g[end:], np.shape(ends[part // 2]))


def _heights(y: Any, axis: int) -> Any:
    """The mean heights of the panels that the trapezoidal rule adds up."""
    return (_cut(y, axis, 1) + _cut(y, axis, None, -1)) / 2


def _trapezoid_y(g: Any, area: Any, y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """Each height counts for half the distance between its neighbours."""
    places, along = (counting(y.shape[axis], y), 0) if x is None else (x, 0 if x.ndim == 1 else axis)
    ends = _cut(places, along, None, 1), places, _cut(places, along, -1)
    extended = np.concatenate(ends, axis=along)
    counts = (_cut(extended, along, 2) - _cut(extended, along, None, -2)) / 2
    if counts.ndim == 1:
        counts = np.reshape(counts, [-1 if i == axis % y.ndim else 1 for i in range(y.ndim)])
    return np.expand_dims(g, axis) * (counts.astype(y.dtype) * dx if x is None else counts)


def _trapezoid_x(g: Any, area: Any, y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    made = _undiff(np.expand_dims(g, axis) * _heights(y, axis), axis)
    return made if x.ndim > 1 else np.moveaxis(made, axis, -1)  # the sweep sums over the axes before the last


def _trapezoid_dx(g: Any, area: Any, y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    return np.expand_dims(g, axis) * _heights(y, axis) if x is None else 0 * dx


def _gradient_along(g: Any, f: Any, spacing: Any, edge_order: int) -> tuple[Any, Any]:
    """For np.gradient along the last axis the gradients of f and of the distances between its points.

    Inside, the result is a mean of the slopes on both sides, each weighted with the distance on the other
    side. At an end it is the slope s there; with edge_order=2 that of a parabola, 2 s less the next result.
    """
    distances = np.diff(spacing) if np.ndim(spacing) else np.ones_like(f, shape=f.shape[-1:])[1:] * spacing
    slopes = np.diff(f) / distances
    both = distances[1:] + distances[:-1]
    left, right = distances[1:] / both, distances[:-1] / both
    first, inner, last = g[..., :1], g[..., 1:-1], g[..., -1:]
    if edge_order == 2:
        none = np.zeros_like(inner[..., 1:])
        inner = inner - _joined(first, none) - _joined(none, last)
    g_slopes = _joined(inner * left, edge_order * last) + _joined(edge_order * first, inner * right)
    none, turn = np.zeros_like(first), inner * (slopes[..., :-1] - slopes[..., 1:]) / both
    g_distances = _joined(-turn * left, none) + _joined(none, turn * right) - g_slopes * slopes / distances
    return _undiff(g_slopes / distances), g_distances


def _joined(*parts: Any) -> Any:
    return np.concatenate(parts, axis=-1)


def _gradient(i: int, g: Any, y: Any, f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    axes = _axes(axis, f.ndim)
    if len(axes) == 1:
        g, y = (g,), (y,)
    if i > 0 and np.ndim(varargs[i - 1]) == 0:  # results are inversely proportional to a distance
        parts = zip(g, y, strict=True) if len(varargs) == 1 else [(g[i - 1], y[i - 1])]
        return sum(np.sum(-g * y) for g, y in parts) / varargs[i - 1]
    spacings = varargs * len(axes) if len(varargs) == 1 else varargs or (1.0,) * len(axes)
    if i > 0:
        g, f = (np.moveaxis(x, axes[i - 1], -1) for x in (g[i - 1], f))
        return _undiff(_gradient_along(g, f, spacings[i - 1], edge_order)[1])
    made: Any = 0
    for axis, one, spacing in zip(axes, g, spacings, strict=True):
        along, _ = _gradient_along(np.moveaxis(one, axis, -1), np.moveaxis(f, axis, -1), spacing, edge_order)
        made = made + np.moveaxis(along, -1, axis)
    return made


def _segments(x: Any, xp: Any, fp: Any, period: Any) -> tuple[Any, Any, Any, Any]:
    """For np.interp: which points are before and after x, the share of the one after, and the slope."""
    order = counting(xp.size, xp)
    if period is not None:
        period = abs(period)
        x, xp = x % period, xp % period
        order = np.argsort(xp)
        order = np.concatenate([order[-1:], order, order[:1]])  # the last one once more before the first, ...
        xp = xp[order] + period * ((counting(xp.size + 2, xp) - 1) // xp.size)
    last = xp.size - 1
    j = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, max(last - 1, 0))
    k = np.minimum(j + 1, last)
    before, after = np.take(order, j), np.take(order, k)
    start, width = np.take(xp, j), np.take(xp, k) - np.take(xp, j)
    inside = (x >= xp[0]) & (x <= xp[last]) & (width > 0)
    width = np.where(inside, width, 1)
    slope = np.where(inside, (np.take(fp, after) - np.take(fp, before)) / width, 0)
    return before, after, np.where(inside, (x - start) / width, x >= xp[last]), slope


def _to_points(g: Any, before: Any, after: Any, share: Any, points: Any) -> Any:
    """What was interpolated between points goes back to them."""
    return scatter(g * (1 - share), before, points.shape) + scatter(g * share, after, points.shape)


def _interp_x(
    g: Any, y: Any, x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Any:
    *_, slope = _segments(x, xp, fp, period)
    return g * slope


def _interp_xp(
    g: Any, y: Any, x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Any:
    """A point that moves to the right takes its value along: the line comes down by the slope."""
    before, after, share, slope = _segments(x, xp, fp, period)
    return _to_points(-g * slope, before, after, share, xp)


def _interp_fp(
    g: Any, y: Any, x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Any:
    before, after, share, _ = _segments(x, xp, fp, period)
    if period is None:
        g = g if left is None else np.where(x < xp[0], 0, g)
        g = g if right is None else np.where(x > xp[-1], 0, g)
    return _to_points(g, before, after, share, fp)


def _interp_left(
    g: Any, y: Any, x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Any:
    return 0 * g if period is not None else np.where(x < xp[0], g, 0)


def _interp_right(
    g: Any, y: Any, x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Any:
    return 0 * g if period is not None else np.where(x > xp[-1], g, 0)


# ---- covariances ------------------------------------------------------------------------------------------


def _turned(m: Any, y: Any, count: int, rowvar: Any) -> tuple[bool, bool]:
    """Whether not the rows but the columns are variables, in m and in y, with `count` variables in all.

    NumPy's versions differ for an m of one row, so that the result has to tell.
    """
    columns_of_y = y is not None and y.ndim == 2 and not rowvar and y.shape[0] != 1
    of_y = 0 if y is None else len(_by_rows(y, columns_of_y))
    return m.ndim == 2 and not rowvar and m.shape[1] == count - of_y, columns_of_y


def _by_rows(a: Any, turned: bool) -> Any:
    return a.T if turned else np.reshape(a, (math.prod(a.shape[:-1]), a.shape[-1] if a.ndim else 1))


def _variables(c: Any, m: Any, y: Any, rowvar: Any) -> Any:
    """A row for each variable, those of y after those of m; c is their matrix of covariances."""
    turned = _turned(m, y, c.shape[0] if c.ndim else 1, rowvar)
    rows = [_by_rows(a, t) for a, t in zip((m, y), turned, strict=True) if a is not None]
    return np.concatenate(rows)


def _back(made: Any, which: int, c: Any, m: Any, y: Any, rowvar: Any) -> Any:
    """What belongs to m (which=0) or y (which=1) of a gradient for the variables of both."""
    turned = _turned(m, y, c.shape[0] if c.ndim else 1, rowvar)
    own = len(_by_rows(m, turned[0]))
    part = (made[:own], made[own:])[which]
    return part.T if turned[which] else np.reshape(part, (m, y)[which].shape)


def _weights(n: int, ddof: Any, fweights: Any, aweights: Any) -> tuple[Any, Any, Any]:
    """The weight of each of n observations, their sum, and what the sum of products is divided by."""
    if fweights is None and aweights is None:
        return 1, n, n - ddof if n > ddof else math.nan
    aweights = 1 if aweights is None else aweights
    w = np.multiply(1 if fweights is None else fweights, aweights)
    total = np.sum(w)
    return w, total, total - ddof * np.sum(w * aweights) / total


def _centred(x: Any, w: Any, total: Any) -> Any:
    return x - np.sum(x * w, axis=1, keepdims=True) / total


def _square(g: Any) -> Any:
    """The gradient of a matrix, which NumPy gives as a number if it is one by one."""
    return g if g.ndim else np.reshape(g, (1, 1))


def _cov(
    which: int,
    g: Any,
    c: Any,
    m: Any,
    y: Any,
    rowvar: Any,
    bias: Any,
    ddof: Any,
    fweights: Any,
    aweights: Any,
) -> Any:
    """c is x w xᵀ over a number, with x centred, so the gradient of x is (g + gᵀ) x w over it.

    Its rows are centred as well: that x was centred needs no further care.
    """
    x, g = _variables(c, m, y, rowvar), _square(g)
    w, total, divisor = _weights(x.shape[1], (0 if bias else 1) if ddof is None else ddof, fweights, aweights)
    return _back((g + g.T) @ (_centred(x, w, total) * w) / divisor, which, c, m, y, rowvar)


def _cov_aweights(
    g: Any, c: Any, m: Any, y: Any, rowvar: Any, bias: Any, ddof: Any, fweights: Any, aweights: Any
) -> Any:
    """A weight is in the sum of products and in what divides it; that it moves the means has no effect."""
    x, g = _variables(c, m, y, rowvar), _square(g)
    ddof = (0 if bias else 1) if ddof is None else ddof
    w, total, divisor = _weights(x.shape[1], ddof, fweights, aweights)
    x = _centred(x, w, total)
    divisor_slopes = 1 - ddof * (2 * aweights / total - np.sum(w * aweights) / total**2)
    slopes = (np.sum(x * (g @ x), axis=0) - np.sum(g * c) * divisor_slopes) / divisor
    return slopes if fweights is None else np.multiply(slopes, fweights)


def _corrcoef(which: int, g: Any, r: Any, x: Any, y: Any, rowvar: Any) -> Any:
    """r is z zᵀ, where each row of z is centred and has the length 1, which nothing can change."""
    rows, g = _variables(r, x, y, rowvar), _square(g)
    centred = _centred(rows, 1, rows.shape[1])
    lengths = np.sqrt(np.sum(centred * centred, axis=1, keepdims=True))
    z = centred / lengths
    g_z = (g + g.T) @ z
    return _back((g_z - z * np.sum(z * g_z, axis=1, keepdims=True)) / lengths, which, r, x, y, rowvar)


# ---- sliding products and polynomials ---------------------------------------------------------------------


def _in_full(g: Any, a: Any, v: Any, later: bool = False) -> Any:
    """The gradient of what mode="full" gives, the middle of which, or later by a half, other modes give."""
    missing = a.size + v.size - 1 - g.size
    before = (missing + later) // 2
    return _joined(np.zeros_like(g, shape=(before,)), g, np.zeros_like(g, shape=(missing - before,)))


def _flat(a: Any) -> Any:
    return np.reshape(a, (-1,))


def _vander(g: Any, y: Any, x: Any, N: Any = None, increasing: Any = False) -> Any:
    g = g if increasing else g[:, ::-1]
    degrees = counting(max(g.shape[1], 1), g)[1:].astype(g.dtype)
    return np.sum(g[:, 1:] * (degrees * np.vander(x, degrees.size, increasing=True)), axis=1)


def _polyval_p(g: Any, y: Any, p: Any, x: Any) -> Any:
    if p.ndim != 1:
        raise ValueError(
            f"np.polyval of coefficients of shape {p.shape} has no derivative; give them in one dimension"
        )
    return _flat(g) @ np.vander(_flat(x), p.size).astype(g.dtype)


def _polyval_x(g: Any, y: Any, p: Any, x: Any) -> Any:
    degrees = counting(len(p), y)[:0:-1].astype(y.dtype)
    return g * np.polyval(p[:-1] * np.reshape(degrees, (-1,) + (1,) * (p.ndim - 1)), x)


# ---- the table --------------------------------------------------------------------------------------------


def _rule(of: Any, g: Any, y: Any, a: Any, axis: Any, keepdims: Any, *options: Any) -> Any:
    """A rule for many functions, applied to one of them."""
    axes = _axes(axis, a.ndim)
    if of not in (_sum, _mean):  # which do not look at y
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


def _quantiles(function: Any, scale: int, nan: bool) -> None:
    """A row for quantile (with a scale of 1) or percentile (of 100)."""

    def with_options(of: Any) -> Any:
        def rule(
            g: Any, y: Any, a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: Any = False,
            method: str = "linear", keepdims: Any = False, *, weights: Any = None,
        ) -> Any:  # fmt: skip
            if nan and np.ndim(q) > 1:
                raise ValueError(
                    f"np.{function.__name__} has no derivative for q of shape {np.shape(q)}: the axes of its "
                    "result come in an order of their own. Give q in one dimension, and reshape the result"
                )
            return of(g, y, a, q / scale, axis, keepdims, method, weights, nan)

        return rule

    derivative(function, with_options(_quantile), with_options(lambda *args: _quantile_q(*args) / scale))


def _median(nan: bool) -> Any:
    return lambda g, y, a, axis=None, out=None, overwrite_input=False, keepdims=False: _quantile(
        g, y, a, 0.5, axis, keepdims, "linear", None, nan
    )


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
            g, y = _cut(g, axis or 0, 1), _cut(y, axis or 0, 1)
        return of(g, y, x, axis)

    return rule


# fmt: off

# sums and means
_sums(np.sum,                 _sum,     _sum_initial)
_sums(np.nansum,              _sum,     _sum_initial,     _numbers)
derivative(np.mean,           lambda g, y, a, axis=None, dtype=None, out=None, keepdims=False, *, where=True:
                                  _rule(_mean, g, y, a, axis, keepdims, where))
derivative(np.nanmean,        lambda g, y, a, axis=None, dtype=None, out=None, keepdims=False, *, where=True:
                                  _rule(_mean, g, y, a, axis, keepdims, _numbers(a, where)))
derivative(np.average,        _average_a, None, _average_weights)
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
if hasattr(np, "cumulative_sum"):  # since NumPy 2.1
    derivative(np.cumulative_sum,  _cumulative(_cumsum))
    derivative(np.cumulative_prod, _cumulative(_cumprod))

# by order
_extremes(np.max)
_extremes(np.min)
_extremes(np.amax)
_extremes(np.amin)
_extremes(np.nanmax,          _numbers)
_extremes(np.nanmin,          _numbers)
derivative(np.ptp,            lambda g, y, a, axis=None, out=None, keepdims=False:
                                  _rule(_ptp, g, y, a, axis, keepdims))
derivative(np.median,         _median(nan=False))
derivative(np.nanmedian,      _median(nan=True))
_quantiles(np.quantile,       1,   nan=False)
_quantiles(np.percentile,     100, nan=False)
_quantiles(np.nanquantile,    1,   nan=True)
_quantiles(np.nanpercentile,  100, nan=True)

# differences and integrals
derivative(np.diff,
    lambda g, y, a, n=1, axis=-1, prepend=ABSENT, append=ABSENT: _diff(1, g, a, n, axis, prepend, append),
    None, None,
    lambda g, y, a, n=1, axis=-1, prepend=ABSENT, append=ABSENT: _diff(0, g, a, n, axis, prepend, append),
    lambda g, y, a, n=1, axis=-1, prepend=ABSENT, append=ABSENT: _diff(2, g, a, n, axis, prepend, append))
derivative(np.ediff1d,
    lambda g, y, ary, to_end=None, to_begin=None: _ediff1d(1, g, ary, to_begin, to_end),
    lambda g, y, ary, to_end=None, to_begin=None: _ediff1d(2, g, ary, to_begin, to_end),
    lambda g, y, ary, to_end=None, to_begin=None: _ediff1d(0, g, ary, to_begin, to_end))
derivative(np.gradient,       *each(_gradient))
derivative(np.trapezoid,      _trapezoid_y, _trapezoid_x, _trapezoid_dx)
derivative(np.interp,         _interp_x, _interp_xp, _interp_fp, _interp_left, _interp_right)

# covariances
derivative(np.cov,
    lambda g, c, m, y=None, rowvar=True, bias=False, ddof=None, fweights=None, aweights=None, *, dtype=None:
        _cov(0, g, c, m, y, rowvar, bias, ddof, fweights, aweights),
    lambda g, c, m, y=None, rowvar=True, bias=False, ddof=None, fweights=None, aweights=None, *, dtype=None:
        _cov(1, g, c, m, y, rowvar, bias, ddof, fweights, aweights),
    None, None, None, None,
    lambda g, c, m, y=None, rowvar=True, bias=False, ddof=None, fweights=None, aweights=None, *, dtype=None:
        _cov_aweights(g, c, m, y, rowvar, bias, ddof, fweights, aweights))
derivative(np.corrcoef,
    lambda g, r, x, y=None, rowvar=True, *, dtype=None: _corrcoef(0, g, r, x, y, rowvar),
    lambda g, r, x, y=None, rowvar=True, *, dtype=None: _corrcoef(1, g, r, x, y, rowvar))

# sliding products and polynomials
derivative(np.convolve,
    lambda g, y, a, v, mode="full": np.correlate(_in_full(g, a, v), _flat(v), "valid"),
    lambda g, y, a, v, mode="full": np.correlate(_in_full(g, a, v), _flat(a), "valid"))
derivative(np.correlate,
    lambda g, y, a, v, mode="valid": np.convolve(_in_full(g, a, v, later=a.size < v.size), _flat(v), "valid"),
    lambda g, y, a, v, mode="valid": np.convolve(
        _in_full(g, a, v, later=a.size < v.size)[::-1], _flat(a), "valid"))
derivative(np.vander,         _vander)
derivative(np.polyval,        _polyval_p, _polyval_x)
derivative(np.bincount,       None,
                              lambda g, y, x, weights=None, minlength=0: g[x])

# fmt: on

constant(
    *(np.argmax, np.argmin, np.nanargmax, np.nanargmin, np.argsort, np.argpartition, np.lexsort),
    *(np.all, np.any, np.count_nonzero, np.searchsorted, np.digitize),
)
