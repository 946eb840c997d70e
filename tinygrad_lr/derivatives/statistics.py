"""Statistics: averages with weights, quantiles, covariances, weighted counts.

Quantiles are rows of the kind that the chapter of reductions describes: elements that tie share the gradient.
"""

import math
from typing import Any

import numpy as np

from .reductions import Axes, _as, _axes, _evenly, _like, _mean, _numbers, _reaching, _spread
from .table import composed, derivative

# ---- averages with weights ---------------------------------------------------------------------------------


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
    axes, g = _axes(axis, a.ndim), g[0] if returned else g
    if weights is None:
        return _mean(g, a, axis, keepdims, True)
    weights = _as(_aligned(weights, a, axes), g.dtype)
    return _spread(g, axes, keepdims) * (weights / np.sum(weights, axis=axes, keepdims=True))


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
    total = np.sum(_as(_aligned(weights, a, axes), y.dtype), axis=axes, keepdims=True)
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


# ---- quantiles ---------------------------------------------------------------------------------------------

#: alpha and beta of the quantile methods that interpolate (Hyndman and Fan, American Statistician 50, 1996)
INTERPOLATING = {
    "interpolated_inverted_cdf": (0, 1),
    "hazen": (1 / 2, 1 / 2),
    "weibull": (0, 0),
    "linear": (1, 1),
    "median_unbiased": (1 / 3, 1 / 3),
    "normal_unbiased": (3 / 8, 3 / 8),
}


#: those that pick an element, also the only one that knows weights
SELECTING = "inverted_cdf", "closest_observation", "lower", "higher", "nearest"


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

    y is one of them, or else the next ones to it: how many elements are beyond y tells, as NumPy may have
    rounded the rank to a whole number where this does not, or not where this does.
    """
    n = np.sum(~np.isnan(a), axis=axes, keepdims=True) if nan else math.prod(a.shape[i] for i in axes)
    q = np.reshape(q, np.shape(q) + (1,) * a.ndim) if np.ndim(q) else q
    rank, weight, rate = _rank(n, q, method)
    less, up_to = (np.sum(x, axis=axes, keepdims=True) for x in (a < y, a <= y))
    below = np.maximum(np.clip(rank, less - 1, up_to - 1), 0)
    above = np.clip(rank + 1, less, n - 1)
    before = np.max(np.where(a < y, a, -math.inf), axis=axes, keepdims=True)
    after = np.min(np.where(a > y, a, math.inf), axis=axes, keepdims=True)
    lower, upper = np.where(less > below, before, y), np.where(up_to > above, y, after)
    return lower, upper, weight + (rank - below), rate


def _quantile(g: Any, y: Any, a: Any, q: Any, axis: Any, keepdims: Any, method: str, nan: bool) -> Any:
    """The elements that the quantile lies between share the gradient as they share in the quantile.

    Where NaN among them made it NaN, those that are NaN share it, as of the largest.
    """
    axes = _axes(axis, a.ndim)
    g, y = _spread(g, axes, keepdims), _spread(y, axes, keepdims)
    if method in SELECTING or a.size == 0:
        return _evenly(g, _reaching(y, a, _numbers(a, True) if nan else True), axes)
    lower, upper, weight, _ = _beside(y, a, q, axes, method, nan)
    weight = weight.astype(g.dtype)

    def shared(weight: Any, among: Any) -> Any:
        # without a share an element is left out, but not if q may move and give it one
        return _evenly(g * weight, among if getattr(q, "is_tensor", False) else among & (weight != 0), axes)

    made = shared(1 - weight, a == lower) + shared(weight, a == upper)
    return made if nan else np.where(np.isnan(y), _evenly(g, np.isnan(a), axes), made)


def _quantile_q(g: Any, y: Any, a: Any, q: Any, axis: Any, keepdims: Any, method: str, nan: bool) -> Any:
    axes = _axes(axis, a.ndim)
    g, y = _spread(g, axes, keepdims), _spread(y, axes, keepdims)
    if method not in INTERPOLATING or a.size == 0:
        return 0 * q
    lower, upper, _, rate = _beside(y, a, q, axes, method, nan)
    return np.sum(g * (upper - lower) * rate, axis=tuple(range(-a.ndim, 0))).astype(g.dtype)


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
            hundred = a.dtype.type(scale) if scale > 1 and a.dtype.kind == "f" else scale  # as in NumPy
            return of(g, y, a, q / hundred, axis, keepdims, method, nan)

        return rule

    derivative(function, with_options(_quantile), with_options(lambda *args: _quantile_q(*args) / scale))


def _median(nan: bool) -> Any:
    return lambda g, y, a, axis=None, out=None, overwrite_input=False, keepdims=False: _quantile(
        g, y, a, 0.5, axis, keepdims, "linear", nan
    )


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


def _variables(count: int, m: Any, y: Any, rowvar: Any) -> Any:
    """A row for each variable, those of y after those of m."""
    turned = _turned(m, y, count, rowvar)
    rows = [_by_rows(a, t) for a, t in zip((m, y), turned, strict=True) if a is not None]
    return np.concatenate(rows)


def _back(made: Any, which: int, m: Any, y: Any, rowvar: Any) -> Any:
    """What belongs to m (which=0) or y (which=1) of a gradient for the variables of both."""
    turned = _turned(m, y, len(made), rowvar)
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
    divisor = total - ddof * np.sum(w * aweights) / total
    return w, total, np.where(divisor > 0, divisor, math.nan)


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
    g = _square(g)
    x = _variables(len(g), m, y, rowvar)
    w, total, divisor = _weights(x.shape[1], (0 if bias else 1) if ddof is None else ddof, fweights, aweights)
    return _back((g + g.T) @ (_centred(x, w, total) * w) / divisor, which, m, y, rowvar)


def _cov_aweights(
    g: Any, c: Any, m: Any, y: Any, rowvar: Any, bias: Any, ddof: Any, fweights: Any, aweights: Any
) -> Any:
    """A weight is in the sum of products and in what divides it; that it moves the means has no effect."""
    g = _square(g)
    x = _variables(len(g), m, y, rowvar)
    ddof = (0 if bias else 1) if ddof is None else ddof
    w, total, divisor = _weights(x.shape[1], ddof, fweights, aweights)
    x = _centred(x, w, total)
    divisor_slopes = 1 - ddof * (2 * aweights / total - np.sum(w * aweights) / total**2)
    slopes = (np.sum(x * (g @ x), axis=0) - np.sum(g * c) * divisor_slopes) / divisor
    return slopes if fweights is None else np.multiply(slopes, fweights)


def _covariance(of: Any, *which: int) -> Any:
    def rule(
        g: Any, c: Any, m: Any, y: Any = None, rowvar: Any = True, bias: Any = False, ddof: Any = None,
        fweights: Any = None, aweights: Any = None, *, dtype: Any = None,
    ) -> Any:  # fmt: skip
        m, y, aweights = (None if x is None else _like(x, c) for x in (m, y, aweights))  # as NumPy does
        return of(*which, g, c, m, y, rowvar, bias, ddof, fweights, aweights)

    return rule


def _corrcoef(x: Any, y: Any = None, rowvar: Any = True, *, dtype: Any = None) -> Any:
    """np.corrcoef: covariances over the standard deviations of both variables."""
    c = np.cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return c / c
    deviations = np.sqrt(np.diag(c))
    return np.clip(c / deviations[:, None] / deviations, -1, 1)


# ---- counts -----------------------------------------------------------------------------------------------


def _histogram_weights(
    g: Any, y: Any, a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> Any:
    """A weight is in the count of the one bin that its element is in; the last bin has its right edge too.

    A density is each count over the width of its bin and over the sum of all.
    """
    (g, _), (counts, edges) = g, y
    inside = (a >= edges[0]) & (a <= edges[-1])
    if density:
        g = (g / np.diff(edges) - np.sum(g * counts)) / np.sum(np.where(inside, weights, 0))
    bin_of = np.minimum(np.searchsorted(edges, a, side="right"), counts.size) - 1
    return np.where(inside, g[bin_of], 0)


# ---- the table ---------------------------------------------------------------------------------------------

# fmt: off

# averages and quantiles
derivative(np.average,        _average_a, None, _average_weights)
derivative(np.median,         _median(nan=False))
derivative(np.nanmedian,      _median(nan=True))
_quantiles(np.quantile,       1,   nan=False)
_quantiles(np.percentile,     100, nan=False)
_quantiles(np.nanquantile,    1,   nan=True)
_quantiles(np.nanpercentile,  100, nan=True)

# covariances
derivative(np.cov,            _covariance(_cov, 0), _covariance(_cov, 1), None, None, None, None,
                              _covariance(_cov_aweights))
composed(np.corrcoef,         _corrcoef)

# counts
derivative(np.bincount,       None,
                              lambda g, y, x, weights=None, minlength=0: np.take(g, x))
derivative(np.histogram,
    "The counts jump, and the edges of a number of bins move with the extremes of a: write "
    "np.histogram(a.detach(), ...), with weights=w for sums of w to differentiate",
    ..., ..., None,           _histogram_weights)

# fmt: on
