"""Special functions: `scipy.special`, where SciPy is installed. Also known as `tinygrad_lr.special`.

The engine imports this chapter the first time that one of SciPy's functions meets a tensor; without SciPy
nothing asks for it. SciPy's ufuncs answer NumPy's protocols and take tensors as NumPy's own do. A few of its
functions are plain ones that make arrays of what they get; here they are made differentiable. All other names
of `scipy.special` are found here too.

Most functions have a derivative in terms of their neighbours, and so one row serves all orders. In the order
of a Bessel function, and in parameters of that kind, none is known (`...`). The formulas are those of NIST's
Digital Library of Mathematical Functions (https://dlmf.nist.gov), "DLMF" below.

>>> from tinygrad_lr import record, special, tensor
>>> x = tensor([1.0, 2.0, 3.0])
>>> x.attach_grad()
>>> with record():
...     y = special.logsumexp(x)
>>> y.backward()
>>> x.grad
tensor([0.09003057, 0.24472847, 0.66524096])
"""

import math
from importlib import import_module
from typing import Any

import numpy as np

from . import table
from .reductions import _axes, _spread
from .table import DERIVATIVES, constant, differentiable, spreading

try:
    sc: Any = import_module("scipy.special")  # which has no types
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("tinygrad_lr.special needs SciPy: pip install scipy") from error

hurwitz_zeta = sc._ufuncs._zeta  # the ufunc that SciPy's plain function `zeta` calls


def derivative(function: Any, *rules: Any) -> None:
    """A row, unless the user has already given the function one."""
    if function not in DERIVATIVES:
        table.derivative(function, *rules)


# ---- densities: what the functions that are integrals have as derivatives ---------------------------------


@differentiable(lambda g, y, x: np.clip(x, -30, 30) * y * (-2 * g))
def gaussian(x: Any) -> Any:
    """exp(-x²), of which nothing is left beyond |x| = 30.

    >>> gaussian(np.array([0.0, 1.0, 1e200]))
    array([1.        , 0.36787944, 0.        ])
    """
    return np.exp(-np.square(np.clip(x, -30, 30)))


def _inverse_mills(g: Any, y: Any, x: Any) -> Any:
    """-y (x + y), where the sum is √π y i¹erfc: it would cancel where x < 0. Far out it is -1, or 0."""
    x, y = np.clip(x.astype(y.dtype), -1e8, 1e8), np.minimum(y, 1e8)
    near = np.where(x < 0, x, 0)
    total = np.where(x < 0, y * repeated_erfc(near * -math.sqrt(0.5), 1) * math.sqrt(math.pi), x + y)
    return -g * y * total


@differentiable(_inverse_mills)
def inverse_mills(x: Any) -> Any:
    """The normal distribution's density over its cumulative distribution function, also far down its tail.

    >>> print(inverse_mills(-1000.0), inverse_mills(1000.0))
    1000.0009999980... 0.0
    """
    return math.sqrt(2 / math.pi) / sc.erfcx(-x * math.sqrt(0.5))


def _gamma_density_x(g: Any, y: Any, a: Any, p: Any, x: Any) -> Any:
    """p - (p != 0) is p - 1, but 0 at p = 0, whose factor p would not cancel 1 / x at x = 0."""
    return g * (p * gamma_density(a, p - (p != 0), x) - y)


@differentiable(..., ..., _gamma_density_x)
def gamma_density(a: Any, p: Any, x: Any) -> Any:
    """x**p exp(-x) / Γ(a); the derivative of `gammainc(a, x)` for p = a - 1."""
    far = np.isposinf(x)
    within = np.where(far, 1, x)
    return np.where(far, 0, np.exp(sc.xlogy(p, within) - within - sc.gammaln(a)))


def _beta_density_x(g: Any, y: Any, a: Any, b: Any, p: Any, q: Any, x: Any) -> Any:
    return g * (p * beta_density(a, b, p - (p != 0), q, x) - q * beta_density(a, b, p, q - (q != 0), x))


@differentiable(..., ..., ..., ..., _beta_density_x)
def beta_density(a: Any, b: Any, p: Any, q: Any, x: Any) -> Any:
    """x**p (1 - x)**q / B(a, b); the derivative of `betainc(a, b, x)` for p = a - 1, q = b - 1."""
    density = np.exp(sc.xlogy(p, x) + sc.xlog1py(q, -x) - sc.betaln(a, b))
    return density.astype(x.dtype)


# ---- derivatives of any order, of functions whose own formulas cancel far out -----------------------------
#
# They compute in float64, so that float32 has all of its digits; and where even that would lose too many,
# by a series or a continued fraction.


def _next_dawson(g: Any, y: Any, x: Any, n: int) -> Any:
    return g * dawson_derivative(x, n + 1)


@differentiable(_next_dawson)
def dawson_derivative(x: Any, n: int) -> Any:
    """The n-th derivative of Dawson's integral D, n > 0.

    Since D' = 1 - 2x D, it is -2 (x D⁽ⁿ⁻¹⁾ + (n - 1) D⁽ⁿ⁻²⁾) (DLMF 7.10.3 with 7.5.1). Beyond 7 the
    asymptotic series in 1/x (DLMF 7.12.1 with 7.5.1), differentiated term by term, is exact to rounding.

    >>> print(dawson_derivative(np.array([0.0, 1e8]), 1))
    [ 1.e+00 -5.e-17]
    """
    z = x.astype(float)
    close = np.clip(z, -7, 7)
    before, near = sc.dawsn(close), 1 - 2 * close * sc.dawsn(close)
    for k in range(1, n):
        before, near = near, -2 * (close * near + k * before)
    far = np.abs(z) > 7
    inverse = 1 / np.where(far, z, np.inf)
    total: Any = 0.0
    term = 0.5 * (-inverse) ** n * math.factorial(n) * inverse
    for k in range(24):  # (2k - 1)!! (2k + n)! / ((2k)! 2ᵏ⁺¹ (-1)ⁿ x²ᵏ⁺ⁿ⁺¹)
        total = total + term
        term = term * inverse * inverse * ((2 * k + n + 1) * (2 * k + n + 2) / (4 * (k + 1)))
    return np.where(far, total, near).astype(x.dtype)


def _next_erfc(g: Any, y: Any, x: Any, n: int) -> Any:
    return -2 * (n + 1) * g * repeated_erfc(x, n + 1)


@differentiable(_next_erfc)
def repeated_erfc(x: Any, n: int) -> Any:
    """exp(x²) iⁿerfc(x), of which `erfcx` is the case n = 0; DLMF 7.18.

    Up to 2 by the recurrence 2n iⁿerfc = iⁿ⁻²erfc - 2x iⁿ⁻¹erfc (7.18.7), which cancels beyond; there by the
    continued fraction for the ratio of two neighbours (7.18.13).

    >>> print(repeated_erfc(np.array([-1.0, 1e8]), 1))  # doctest: +ELLIPSIS
    [5.57316...e+00 2.82094...e-17]
    """
    z = x.astype(float)
    close, far = np.minimum(z, 2), np.maximum(z, 2)
    before, near = 2 / math.sqrt(math.pi), sc.erfcx(close)
    ratio: Any = 0.0
    product = sc.erfcx(far)
    for k in range(n + 50, 0, -1):
        ratio = 0.5 / (far + (k + 1) * ratio)  # of the k-th and the one before
        if k <= n:
            product = product * ratio
    for k in range(1, n + 1):
        before, near = near, (before - 2 * close * near) / (2 * k)
    return np.where(z > 2, product, near).astype(x.dtype)


def _next_bessel(g: Any, y: Any, v: Any, x: Any, first: bool, n: int) -> Any:
    return g * scaled_bessel(v, x, first, n + 1)


@differentiable(..., _next_bessel)
def scaled_bessel(v: Any, x: Any, first: bool, n: int) -> Any:
    """The n-th derivative by x of exp(-|x|) I(v, x), of the first kind, or else of exp(x) K(v, x).

    I' is the mean of both neighbours, and so is -K' (DLMF 10.29.1); so it is 2⁻ⁿ, with a sign for K, times a
    difference of order 2n over the neighbours. That cancels far out; there by Hankel's expansion in 1/x, term
    by term (DLMF 10.40.1 and 10.40.2, differentiated).

    >>> print(scaled_bessel(0, np.array([1.0, 1e8]), False, 1))  # doctest: +ELLIPSIS
    [-4.91...e-01 -6.26...e-13]
    """
    order, z = np.float64(1) * v, x.astype(float)
    function, sign = (sc.ive, np.sign(z)) if first else (sc.kve, 1)
    near: Any = 0.0
    for j in range(2 * n + 1):
        near = near + math.comb(2 * n, j) * (-sign) ** (j % 2) * function(order + (j - n), z)
    near = near * (0.5 if first else -0.5) ** n
    beyond = np.maximum(20, order * order)
    inverse = 1 / np.maximum(np.abs(z), beyond)
    term: Any = np.sqrt(inverse * (1 / (2 * math.pi) if first else math.pi / 2))
    for i in range(n):
        term = term * inverse * -(i + 0.5)
    total: Any = 0.0
    for k in range(1, 36):
        total = total + term
        change = (4 * order**2 - (2 * k - 1) ** 2) / (8 * k) * ((k + n - 0.5) / (k - 0.5))
        term = term * inverse * (-change if first else change)
    if first:  # of either parity
        total = total * sign**n * np.sign(sc.ive(order, np.clip(z, -beyond, beyond)))
    return np.where(np.abs(z) > beyond, total, near).astype(x.dtype)


# ---- helpers of the rules ---------------------------------------------------------------------------------


def _next(v: Any, y: Any, step: int = 1) -> Any:
    """v + step in the dtype of y: whole numbers may wrap, as np.uint8(0) - 1 and abs(np.int8(-128))."""
    return v + y.dtype.type(step)


def _mean_of_neighbours(function: Any, sign: int, v: Any, x: Any, y: Any) -> Any:
    """The mean of two Bessel functions of the orders beside v. A sum would overflow before the mean does."""
    return function(_next(v, y, -1), x) / 2 + sign * (function(_next(v, y), x) / 2)


def _counts(y: Any, a: Any, b: Any) -> Any:
    """1, and 0 where y = a log b is 0 by convention: where a = 0 and log b is not finite."""
    return ((a != 0) | (b > 0)).astype(y.dtype)


def _ratio(y: Any, a: Any, b: Any) -> Any:
    """a / b, and 0 where a log b is 0 by convention."""
    counts = _counts(y, a, b)
    return a * counts / np.where(counts, b, 1)


def _log_ratio(y: Any, a: Any, b: Any) -> Any:
    """log(a / b), and 0 where a log b is 0 by convention."""
    counts = _counts(y, a, b)
    return sc.xlogy(counts, counts * a) - sc.xlogy(counts, counts * b)


def _by_lambda(y: Any, base: Any, log: Any, lmbda: Any) -> Any:
    """The derivative of (base**lambda - 1) / lambda by lambda, given log(base), also at lambda = 0.

    With h(t) = (exp(t) - 1) / t that is log(base)² h'(lambda log(base)), and 1 / lambda² at base = 0.
    """
    return np.where(base == 0, y * y, log * log / 2 * _hyp1f1(lmbda * log))


def _hyp1f1(x: Any) -> Any:
    """sc.hyp1f1(2, 3, x), which comes to no end where it has long been infinite."""
    return sc.hyp1f1(2, 3, np.minimum(x, 1e3))


def _inverse_by_x(base: Any, x: Any, lmbda: Any) -> Any:
    """The derivative of base = (1 + lambda x)**(1 / lambda) by x, also at base = 0, the end of its domain."""
    one = base.dtype.type(1)
    power = 1 + lmbda * x
    end = power == 0
    return np.where(end, base ** np.where(end, 1 - lmbda * one, 1), base / np.where(end, 1, power))


def _inverse_by_lambda(base: Any, x: Any, lmbda: Any) -> Any:
    """The same by lambda: where lambda x is small, as at lambda = 0, as a series.

    At the end of the domain it is x**2 times as large, which there changes nothing: 0, infinity, or x = -1.
    """
    one = base.dtype.type(1)
    x, lmbda = x * one, lmbda * one
    product = lmbda * x
    near, end = np.abs(product) < 0.5, product == -1
    small, far = np.where(near, product, 0), np.where(near | end, 1, product)
    series = np.square(np.where(near, x, 0)) / -2 * _hyp2f1(base, 2, 2, 3, -small)
    direct = (far / (1 + far) - np.log1p(far)) / np.square(np.where(near, 1, lmbda))
    return np.where(end, -_inverse_by_x(base, x, lmbda), base * np.where(near, series, direct))


def _hyp2f1(y: Any, a: float, b: float, c: float, x: Any) -> Any:
    """sc.hyp2f1, which makes float64 of float32 beside numbers of Python's."""
    number = y.dtype.type
    return sc.hyp2f1(number(a), number(b), number(c), x.astype(y.dtype))


def _slope_of_spence(y: Any, x: Any) -> Any:
    """log(x) / (1 - x), near x = 1 as a series."""
    near = np.abs(x - 1) < 0.5
    far = np.where(near, 2, x)
    return np.where(near, -_hyp2f1(y, 1, 1, 2, np.where(near, 1 - x, 0)), np.log(far) / (1 - far))


def _slope_of_ci(g: Any, x: Any) -> Any:
    """g cos(x) / x, and 0 for the cosine integral of 0 that nobody asked for beside the sine integral."""
    return g * np.cos(x) / np.where((x == 0) & (g == 0), np.inf, x)


def _asked(g: Any, slope: Any) -> Any:
    """g * slope, and 0 of one of several results that nobody asked for, where that has overflowed."""
    return g * np.where((g == 0) & ~np.isfinite(slope), 0, slope)


def _huber_delta(y: Any, delta: Any, r: Any) -> Any:
    """By how much |r| is beyond delta."""
    beyond = abs(_next(r, y, 0)) - delta
    return np.where(beyond > 0, beyond, 0)


def _share(a: Any, total: Any) -> Any:
    """a / total, and 0 where both are 0."""
    return a / np.where(total == 0, 1, total)


def _pseudo_huber_delta(delta: Any, r: Any, hypotenuse: Any) -> Any:
    """2 (hypotenuse - delta) - r² / hypotenuse, without cancellation."""
    tangent = _share(r, hypotenuse + delta)
    return tangent * tangent * r * _share(r, hypotenuse)


def _rgamma(g: Any, y: Any, x: Any) -> Any:
    """-ψ(x) / Γ(x); left of 1/2, where both have poles, after reflection; DLMF 5.5."""
    is_left = x < 0.5
    right, left = np.where(is_left | np.isposinf(x), 0.5, x), np.where(is_left, x, 0.5)
    turned = np.cos(math.pi * left) - np.sin(math.pi * left) / math.pi * sc.psi(1 - left)
    return g * np.where(is_left, sc.gamma(1 - left) * turned, -y * sc.psi(right))


def _polygamma(n: Any, x: Any) -> Any:
    """(-1)**(n + 1) n! ζ(n + 1, x) for n > 0; DLMF 25.11.12."""
    return (-1.0) ** (n + 1) * sc.gamma(n + 1.0) * sc.zeta(n + 1, x)


def _total(a: Any, axis: Any) -> Any:
    return np.sum(a, axis=axis, keepdims=True)


def _shares(
    g: Any, y: Any, a: Any, axis: Any, b: Any, keepdims: Any, return_sign: Any
) -> tuple[Any, Any, Any]:
    """The gradient of logsumexp at each of its terms b exp(a); log of exp(a - y); and the terms' shares.

    The shares add up to 1 but for the rounding of y, which alone is 1e-16 of y: two equal terms of 1e16 each
    had all. So the gradient is divided by what they add up to. Where b = 0, `a` may be anything and adds
    nothing: so one masks, says SciPy.
    """
    if return_sign:
        g, y = g[0] * y[1], y[0]
    if b is not None:
        a = np.broadcast_to(a, np.broadcast_shapes(np.shape(a), np.shape(b)))
    axes = _axes(axis, np.ndim(a))
    g, y = _spread(g, axes, keepdims), _spread(y, axes, keepdims)
    endless = np.isposinf(a) & np.isposinf(y)
    log_share = np.where(endless, 0, a) - np.where(endless | (a == -np.inf), 0, y)
    if b is None:
        shares = np.exp(log_share)
    else:
        largest = math.log(np.finfo(g.dtype).max)
        shares = b * np.exp(np.where((b == 0) & ~(log_share < largest), 0, log_share))
    total = np.abs(np.sum(shares, axis=axes, keepdims=True))
    return g / np.where(total > 0, total, 1), log_share, shares


def _logsumexp_a(
    g: Any, y: Any, a: Any, axis: Any = None, b: Any = None, keepdims: Any = False, return_sign: Any = False
) -> Any:
    g, _, shares = _shares(g, y, a, axis, b, keepdims, return_sign)
    return g * shares


def _logsumexp_b(
    g: Any, y: Any, a: Any, axis: Any = None, b: Any = None, keepdims: Any = False, return_sign: Any = False
) -> Any:
    g, log_share, _ = _shares(g, y, a, axis, b, keepdims, return_sign)
    return g * np.exp(log_share)


# fmt: off

# exponentials, logarithms, powers
derivative(sc.expm1,        lambda g, y, x: g * np.exp(x))
derivative(sc.exp2,         lambda g, y, x: g * y * math.log(2))
derivative(sc.exp10,        lambda g, y, x: g * y * math.log(10))
derivative(sc.log1p,        lambda g, y, x: g / (1 + x))
derivative(sc.cbrt,         lambda g, y, x: g / (3 * y * y))
derivative(sc.cosm1,        lambda g, y, x: -g * np.sin(x))
derivative(sc.exprel,       lambda g, y, x: g / 2 * np.where(np.isneginf(x), 0, _hyp1f1(x)))
derivative(sc.boxcox,       lambda g, y, x, lmbda: g * x ** _next(lmbda, y, -1),
                            lambda g, y, x, lmbda: g * _by_lambda(
                                y, x, np.log(np.where(x == 0, y.dtype.type(1), x)), lmbda))
derivative(sc.boxcox1p,     lambda g, y, x, lmbda: g * (1 + x) ** _next(lmbda, y, -1),
                            lambda g, y, x, lmbda: g * _by_lambda(
                                y, _next(x, y), np.log1p(np.where(x == -1, y.dtype.type(0), x)), lmbda))
derivative(sc.inv_boxcox,   lambda g, y, x, lmbda: g * _inverse_by_x(y, x, lmbda),
                            lambda g, y, x, lmbda: g * _inverse_by_lambda(y, x, lmbda))
derivative(sc.inv_boxcox1p, lambda g, y, x, lmbda: g * _inverse_by_x(sc.inv_boxcox(x, lmbda), x, lmbda),
                            lambda g, y, x, lmbda: g * _inverse_by_lambda(sc.inv_boxcox(x, lmbda), x, lmbda))

# logistic: 1 - expit(x) is expit(-x), which does not round to 0
derivative(sc.expit,        lambda g, y, x: g * y * sc.expit(-x))
derivative(sc.log_expit,    lambda g, y, x: g * sc.expit(-x))
derivative(sc.logit,        lambda g, y, x: g / (x * (1 - x)))

# entropies: x log y is 0 at x = 0, also where y = 0
derivative(sc.xlogy,        lambda g, y, a, b: g * sc.xlogy(_counts(y, a, b), b),
                            lambda g, y, a, b: g * _ratio(y, a, b))
derivative(sc.xlog1py,      lambda g, y, a, b: g * sc.xlog1py(_counts(y, a, _next(b, y)), b),
                            lambda g, y, a, b: g * _ratio(y, a, 1 + b))
derivative(sc.entr,         lambda g, y, x: -g * (np.log(x) + 1))
derivative(sc.rel_entr,     lambda g, y, a, b: g * (_log_ratio(y, a, b) + _counts(y, a, b)),
                            lambda g, y, a, b: -g * _ratio(y, a, b))
derivative(sc.kl_div,       lambda g, y, a, b: g * _log_ratio(y, a, b),
                            lambda g, y, a, b: g * (1 - _ratio(y, a, b)))

# robust losses
derivative(sc.huber,        lambda g, y, delta, r: g * _huber_delta(y, delta, r),
                            lambda g, y, delta, r: g * np.where(abs(r) > delta, delta * np.sign(r), r))
derivative(sc.pseudo_huber, lambda g, y, delta, r: g * _pseudo_huber_delta(delta, r, np.hypot(delta, r)),
                            lambda g, y, delta, r: g * (_share(delta, np.hypot(delta, r)) * r))

# error function and normal distribution; DLMF 7.2
derivative(sc.erf,          lambda g, y, x: g * (2 / math.sqrt(math.pi)) * gaussian(x))
derivative(sc.erfc,         lambda g, y, x: g * (-2 / math.sqrt(math.pi)) * gaussian(x))
derivative(sc.erfcx,        lambda g, y, x: g * (-2 * repeated_erfc(x, 1)))
derivative(sc.erfi,         lambda g, y, x: g * (2 / math.sqrt(math.pi)) * np.exp(x * x))
derivative(sc.dawsn,        lambda g, y, x: g * dawson_derivative(x, 1))
derivative(sc.erfinv,       lambda g, y, x: g * (math.sqrt(math.pi) / 2) * np.exp(y * y))
derivative(sc.erfcinv,      lambda g, y, x: g * (-math.sqrt(math.pi) / 2) * np.exp(y * y))
derivative(sc.ndtr,         lambda g, y, x: g * math.sqrt(0.5 / math.pi) * gaussian(x * math.sqrt(0.5)))
derivative(sc.ndtri,        lambda g, y, x: g * math.sqrt(2 * math.pi) * np.exp(y * y / 2))
derivative(sc.log_ndtr,     lambda g, y, x: g * inverse_mills(x))
derivative(sc.ndtri_exp,    lambda g, y, x: g / inverse_mills(y))

# gamma and beta functions; DLMF 5.2, 5.12, 5.15, 8.2, 8.17, 25.11
derivative(sc.gamma,        lambda g, y, x: g * y * sc.psi(x))
derivative(sc.rgamma,       _rgamma)
derivative(sc.gammaln,      lambda g, y, x: g * sc.psi(x))
derivative(sc.loggamma,     lambda g, y, x: g * sc.psi(x))
derivative(sc.psi,          lambda g, y, x: g * sc.zeta(2, x))
derivative(hurwitz_zeta,    ...,
                            lambda g, y, s, a: -g * s * sc.zeta(_next(s, y), a))
derivative(sc.beta,         lambda g, y, a, b: g * y * (sc.psi(a) - sc.psi(a + b)),
                            lambda g, y, a, b: g * y * (sc.psi(b) - sc.psi(a + b)))
derivative(sc.betaln,       lambda g, y, a, b: g * (sc.psi(a) - sc.psi(a + b)),
                            lambda g, y, a, b: g * (sc.psi(b) - sc.psi(a + b)))
derivative(sc.gammainc,     ...,
                            lambda g, y, a, x: g * gamma_density(a, a - 1, x))
derivative(sc.gammaincc,    ...,
                            lambda g, y, a, x: -g * gamma_density(a, a - 1, x))
derivative(sc.gammaincinv,  ...,
                            lambda g, y, a, p: g / gamma_density(a, a - 1, y))
derivative(sc.gammainccinv, ...,
                            lambda g, y, a, p: -g / gamma_density(a, a - 1, y))
derivative(sc.betainc,      ..., ...,
                            lambda g, y, a, b, x: g * beta_density(a, b, a - 1, b - 1, x))
derivative(sc.betaincc,     ..., ...,
                            lambda g, y, a, b, x: -g * beta_density(a, b, a - 1, b - 1, x))
derivative(sc.betaincinv,   ..., ...,
                            lambda g, y, a, b, p: g / beta_density(a, b, a - 1, b - 1, y))
derivative(sc.betainccinv,  ..., ...,
                            lambda g, y, a, b, p: -g / beta_density(
                                b, a, b - 1, a - 1, sc.betaincinv(b, a, p)))  # 1 - y, with all of its digits

# Bessel functions; DLMF 10.6, 10.29
derivative(sc.j0,           lambda g, y, x: -g * sc.j1(x))
derivative(sc.j1,           lambda g, y, x: g / 2 * (sc.j0(x) - sc.jv(2, x)))
derivative(sc.jv,           ...,
                            lambda g, y, v, x: g * _mean_of_neighbours(sc.jv, -1, v, x, y))
derivative(sc.y0,           lambda g, y, x: -g * sc.y1(x))
derivative(sc.y1,           lambda g, y, x: g / 2 * (sc.y0(x) - sc.yv(2, x)))
derivative(sc.yv,           ...,
                            lambda g, y, v, x: g * _mean_of_neighbours(sc.yv, -1, v, x, y))
derivative(sc.yn,           ...,
                            lambda g, y, n, x: g * _mean_of_neighbours(sc.yn, -1, n, x, y))
derivative(sc.i0,           lambda g, y, x: g * sc.i1(x))
derivative(sc.i1,           lambda g, y, x: g * (sc.i0(x) / 2 + sc.iv(2, x) / 2))
derivative(sc.iv,           ...,
                            lambda g, y, v, x: g * _mean_of_neighbours(sc.iv, 1, v, x, y))
derivative(sc.k0,           lambda g, y, x: -g * sc.k1(x))
derivative(sc.k1,           lambda g, y, x: -g * (sc.k0(x) + y / x))  # kv(2, x) would underflow before
derivative(sc.kv,           ...,
                            lambda g, y, v, x: -g * _mean_of_neighbours(sc.kv, 1, v, x, y))
derivative(sc.kn,           ...,
                            lambda g, y, n, x: -g * _mean_of_neighbours(sc.kn, 1, n, x, y))
# ... times exp(-|x|) or, those of the second kind, exp(x)
derivative(sc.i0e,          lambda g, y, x: g * scaled_bessel(0, x, True, 1))
derivative(sc.i1e,          lambda g, y, x: g * scaled_bessel(1, x, True, 1))
derivative(sc.ive,          ...,
                            lambda g, y, v, x: g * scaled_bessel(v, x, True, 1))
derivative(sc.k0e,          lambda g, y, x: g * scaled_bessel(0, x, False, 1))
derivative(sc.k1e,          lambda g, y, x: g * scaled_bessel(1, x, False, 1))
derivative(sc.kve,          ...,
                            lambda g, y, v, x: g * scaled_bessel(v, x, False, 1))

# Airy functions Ai, Ai', Bi, Bi', with Ai'' = x Ai; DLMF 9.2
derivative(sc.airy,         lambda g, y, x: (
                                g[0] * y[1] + g[1] * x * y[0] + _asked(g[2], y[3]) + _asked(g[3], x * y[2])))

# integrals of exponentials, sines and Gaussians; DLMF 6.2, 7.2
derivative(sc.expi,         lambda g, y, x: g * np.exp(x / 2) / x * np.exp(x / 2))  # exp(x) overflows before
derivative(sc.exp1,         lambda g, y, x: -g * np.exp(-x) / x)
derivative(sc.sici,         lambda g, y, x: g[0] * np.sinc(x / math.pi) + _slope_of_ci(g[1], x))
derivative(sc.fresnel,      lambda g, y, x: (
                                g[0] * np.sin(math.pi / 2 * x * x) + g[1] * np.cos(math.pi / 2 * x * x)))
derivative(sc.spence,       lambda g, y, x: g * _slope_of_spence(y, x))

# hypergeometric functions; DLMF 13.3, 15.5, 16.3
derivative(sc.hyp0f1,       ...,
                            lambda g, y, v, x: g / v * sc.hyp0f1(_next(v, y), x))
derivative(sc.hyp1f1,       ..., ...,
                            lambda g, y, a, b, x: g * a / b * sc.hyp1f1(_next(a, y), _next(b, y), x))
derivative(sc.hyp2f1,       ..., ..., ...,
                            lambda g, y, a, b, c, x: (
                                g * a * b / c * sc.hyp2f1(_next(a, y), _next(b, y), _next(c, y), x)))

# plain functions
polygamma    = differentiable(..., lambda g, y, n, x: g * _polygamma(_next(n, y), x))(sc.polygamma)
multigammaln = differentiable(lambda g, y, a, d: g*sum(sc.psi(a - j / 2) for j in range(d)))(sc.multigammaln)
softmax      = differentiable(lambda g, y, x, axis=None: y * (g - _total(g * y, axis)))(sc.softmax)
log_softmax  = differentiable(lambda g, y, x, axis=None: g - np.exp(y) * _total(g, axis))(sc.log_softmax)
logsumexp    = differentiable(_logsumexp_a, None, _logsumexp_b)(sc.logsumexp)

# fmt: on

spreading(softmax, log_softmax, logsumexp, polygamma)
spreading(sc.airy, sc.sici, sc.fresnel, gaussian, inverse_mills)
spreading(dawson_derivative, repeated_erfc, scaled_bessel)
spreading(multigammaln, gamma_density, beta_density, selects=True)  # some of them infinite at ones
constant(sc.round, sc.gammasgn)


def __getattr__(name: str) -> Any:
    return getattr(sc, name)
