"""Calculus on points: differences, slopes and integrals, interpolation, sliding products, polynomials."""

import warnings
from typing import Any

import numpy as np

from .indexing import along, counting, scatter
from .reductions import ABSENT, _axes
from .table import composed, derivative, each

# ---- differences and integrals ----------------------------------------------------------------------------


def _cut(a: Any, axis: int, start: int | None, stop: int | None = None) -> Any:
    """A part of `a` along an axis."""
    return a[along(axis, slice(start, stop), a.ndim)]


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
    extended = np.concatenate(ends, axis=along) / 2
    counts = _cut(extended, along, 2) - _cut(extended, along, None, -2)
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
    f = f + 0.0  # whole numbers may have no differences below 0
    if np.ndim(spacing):
        distances = np.diff(np.add(spacing, 0.0))
    else:
        distances = np.ones_like(f, shape=f.shape[-1:])[1:] * spacing
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
    xp, fp = xp + 0.0, fp + 0.0  # truth values have no differences, and some whole numbers none below 0
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


def _interp_x(g: Any, x: Any, xp: Any, fp: Any, left: Any, right: Any, period: Any) -> Any:
    *_, slope = _segments(x, xp, fp, period)
    return g * slope


def _interp_xp(g: Any, x: Any, xp: Any, fp: Any, left: Any, right: Any, period: Any) -> Any:
    """A point that moves to the right takes its value along: the line comes down by the slope."""
    before, after, share, slope = _segments(x, xp, fp, period)
    return _to_points(-g * slope, before, after, share, xp)


def _interp_fp(g: Any, x: Any, xp: Any, fp: Any, left: Any, right: Any, period: Any) -> Any:
    before, after, share, _ = _segments(x, xp, fp, period)
    if period is None:
        g = g if left is None else np.where(x < xp[0], 0, g)
        g = g if right is None else np.where(x > xp[-1], 0, g)
    return _to_points(g, before, after, share, fp)


def _interp_left(g: Any, x: Any, xp: Any, fp: Any, left: Any, right: Any, period: Any) -> Any:
    return 0 * g if period is not None else np.where(x < xp[0], g, 0)


def _interp_right(g: Any, x: Any, xp: Any, fp: Any, left: Any, right: Any, period: Any) -> Any:
    return 0 * g if period is not None else np.where(x > xp[-1], g, 0)


def _interpolating(of: Any) -> Any:
    return lambda g, y, x, xp, fp, left=None, right=None, period=None: of(g, x, xp, fp, left, right, period)


# ---- sliding products and polynomials ---------------------------------------------------------------------


def _in_full(g: Any, a: Any, v: Any, correlated: bool = False) -> Any:
    """The gradient of what mode="full" gives, of which other modes give the middle, rounded either way."""
    missing = np.size(a) + np.size(v) - 1 - g.size
    before = (missing + (correlated and np.size(a) < np.size(v))) // 2
    return _joined(np.zeros_like(g, shape=(before,)), g, np.zeros_like(g, shape=(missing - before,)))


def _flat(a: Any) -> Any:
    return np.reshape(a, (-1,))


def _vander(g: Any, y: Any, x: Any, N: Any = None, increasing: Any = False) -> Any:
    g = g if increasing else g[:, ::-1]
    degrees = counting(g.shape[1], g)[1:]
    return np.sum(g[:, 1:] * (degrees * np.vander(x, degrees.size, increasing=True)), axis=1)


def _check_coefficients(function: str, p: Any) -> None:
    if p.ndim > 1:
        raise ValueError(
            f"{function} of coefficients of shape {p.shape} has no derivative; give them in one dimension"
        )


def _polyval_p(g: Any, y: Any, p: Any, x: Any) -> Any:
    _check_coefficients("np.polyval", p)
    return _flat(g) @ np.vander(_flat(x), p.size).astype(g.dtype)


def _polyval_x(g: Any, y: Any, p: Any, x: Any) -> Any:
    degrees = counting(len(p), y)[:0:-1].astype(y.dtype)
    return g * np.polyval(p[:-1] * np.reshape(degrees, (-1,) + (1,) * (p.ndim - 1)), x)


def _polyadd(a1: Any, a2: Any, joined: Any = np.add) -> Any:
    """np.polyadd: the coefficients of the highest powers come first, so the shorter list is the end."""
    a1, a2 = np.atleast_1d(a1, a2)
    missing = len(a2) - len(a1)
    if missing > 0:
        a1 = _joined(np.zeros_like(a1, shape=(missing,)), a1)
    elif missing < 0:
        a2 = _joined(np.zeros_like(a2, shape=(-missing,)), a2)
    return joined(a1, a2)


def _polymul(a1: Any, a2: Any) -> Any:
    """np.polymul, which does without the zeros before the highest power."""

    def trimmed(a: Any) -> Any:
        made = np.trim_zeros(np.atleast_1d(a), "f")
        return made if made.size else np.zeros_like(made, shape=(1,))

    if np.ndim(a1) > 1 or np.ndim(a2) > 1:
        return NotImplemented  # NumPy says what is wrong
    return np.convolve(trimmed(a1), trimmed(a2))


def _polyder(p: Any, m: int = 1) -> Any:
    """np.polyder."""
    m = int(m)
    if m < 0 or np.ndim(p) == 0:
        return NotImplemented  # NumPy says what is wrong
    for _ in range(m):
        p = p[:-1] * np.arange(len(p) - 1, 0, -1)
    return p


def _polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    """np.polyint, with a constant of integration for each time, or the same for all."""
    m, constants = int(m), np.atleast_1d(0 if k is None else k)
    if m < 0 or 1 != len(constants) < m:
        return NotImplemented  # NumPy says what is wrong
    for i in range(m):
        p = _joined(p / np.arange(len(p), 0, -1), constants[i % len(constants), None])
    return p


def _poly(seq_of_zeros: Any) -> Any:
    """np.poly: the product of x - z for each zero z; those of a matrix are its eigenvalues."""
    shape = np.shape(seq_of_zeros)
    if len(set(shape)) != 1 or len(shape) > 2:
        return NotImplemented
    zeros = np.linalg.eigvals(seq_of_zeros) if len(shape) == 2 else seq_of_zeros
    zeros = zeros.astype(np.mintypecode(zeros.dtype.char))
    one = made = np.ones_like(zeros, shape=(1,))
    for zero in zeros:
        made = np.convolve(made, _joined(one, np.reshape(-zero, (1,))))
    return made


def _roots(p: Any) -> Any:
    """np.roots, where they are real: the eigenvalues of a matrix that has the polynomial for its own."""
    (used,) = np.nonzero(np.ravel(p))
    if np.ndim(p) != 1 or len(used) == 0:
        return NotImplemented
    first, last = int(used[0]), int(used[-1])
    p, zeros = p[first : last + 1], np.zeros_like(p, shape=(len(p) - 1 - last,))
    if first == last:
        return zeros.astype(float)
    companion = np.concatenate([(-p[1:] / p[0])[None], np.eye(last - first - 1, last - first, dtype=p.dtype)])
    return _joined(np.linalg.eigvals(companion), zeros)


def _polydiv(u: Any, v: Any) -> tuple[Any, Any]:
    """np.polydiv: long division, of which the remainder begins with what is not 0."""
    rest, v = np.atleast_1d(u, v)
    _check_coefficients("np.polydiv", rest)
    _check_coefficients("np.polydiv", v)
    rest = rest + np.where(False, v[0], 0.0)  # in the dtype of both
    steps, scale = len(rest) - len(v) + 1, 1 / v[0]
    quotient = [np.where(False, rest[0], 0)] * (steps < 1)
    for k in range(steps):
        quotient.append(scale * rest[k])
        rest = rest - np.pad(quotient[k] * v, (k, steps - 1 - k))
    while len(rest) > 1 and np.allclose(rest[0], 0):
        rest = rest[1:]
    return np.stack(quotient), rest


def _polyfit(
    x: Any, y: Any, deg: int, rcond: Any = None, full: bool = False, w: Any = None, cov: Any = False
) -> Any:
    """np.polyfit: least squares over the powers of x, which are scaled to one length."""
    n, columns = np.size(x), (slice(None),) + (None,) * (np.ndim(y) - 1)
    weighted = np.shape(x) if w is None else np.shape(w)
    if n == 0 or deg < 0 or not np.shape(x) == weighted == np.shape(y)[:1] or np.ndim(y) > 2:
        return NotImplemented  # NumPy says what is wrong
    x, y = np.add(x, 0.0), np.add(y, 0.0)
    powers = np.vander(x, deg + 1)
    if w is not None:
        w = np.add(w, 0.0)
        powers, y = powers * w[:, None], y * w[columns]
    lengths = np.sqrt(np.sum(powers * powers, axis=0))
    rcond = n * np.finfo(x.dtype).eps if rcond is None else rcond
    p, squares, rank, s = np.linalg.lstsq(powers / lengths, y, rcond)
    p = p / lengths[columns]
    if full:
        return p, squares, rank, s, rcond
    if rank <= deg:
        warnings.warn("Polyfit may be poorly conditioned", np.exceptions.RankWarning, stacklevel=4)
    if not cov:
        return p
    scaled = powers / lengths
    covariance = np.linalg.inv(scaled.T @ scaled) / (lengths[:, None] * lengths)
    covariance = covariance[(..., *columns)]
    if cov == "unscaled":
        return p, covariance
    if n <= deg + 1:
        raise ValueError("the number of data points must exceed order to scale the covariance matrix")
    return p, covariance * (squares / (n - deg - 1))


# ---- the table ---------------------------------------------------------------------------------------------

# fmt: off

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
derivative(np.interp,         *map(_interpolating, [_interp_x, _interp_xp, _interp_fp, _interp_left,
                                                    _interp_right]))

# sliding products and polynomials
derivative(np.convolve,
    lambda g, y, a, v, mode="full": np.correlate(_in_full(g, a, v), _flat(v), "valid"),
    lambda g, y, a, v, mode="full": np.correlate(_in_full(g, a, v), _flat(a), "valid"))
derivative(np.correlate,
    lambda g, y, a, v, mode="valid": np.convolve(_in_full(g, a, v, correlated=True), _flat(v), "valid"),
    lambda g, y, a, v, mode="valid": np.convolve(
        _in_full(g, a, v, correlated=True)[::-1], _flat(a), "valid"))
derivative(np.vander,         _vander)
derivative(np.polyval,        _polyval_p, _polyval_x)
composed(np.polyadd,          _polyadd)
composed(np.polysub,          lambda a1, a2: _polyadd(a1, a2, np.subtract))
composed(np.polymul,          _polymul)
composed(np.polyder,          _polyder)
composed(np.polyint,          _polyint)
composed(np.poly,             _poly)
composed(np.roots,            _roots)
composed(np.polydiv,          _polydiv)
composed(np.polyfit,          _polyfit)

# fmt: on
