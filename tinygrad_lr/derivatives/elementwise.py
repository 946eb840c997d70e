"""Elementwise functions: the derivatives of a page of calculus.

Where a function has a kink, the rule takes the subgradient that DESIGN names: ties of maximum and minimum
split evenly, abs'(0) = 0, hypot'(0, 0) = 0, clip passes at its bounds, and x**0 has the derivative 0 also
at 0. Where a formula can be written in several ways, the rule takes one that neither overflows nor cancels
before the derivative itself does: (1 - x) * (1 + x) for 1 - x*x, the square of np.hypot(1, x) for 1 + x*x.
The one exception is tanh: 1 - y*y costs a third of 1 / cosh(x)**2, and is exact to 1e-16, not to 16 digits.
"""

import math
import operator
from typing import Any

import numpy as np

from .methods import accumulates, of_outer, reduces, reduces_slices
from .table import DERIVATIVES, Rule, constant, derivative, differentiable, moving, spreading

_LN2, _LN10 = math.log(2), math.log(10)


# powers


def _slope_of_power(power: Any, y: Any, a: Any, b: Any) -> Any:
    """The derivative of y = a**b with respect to a; 0 where b = 0, also at a = 0, where a**-1 is infinite."""
    if isinstance(b, (int, float)):
        return b * (a if b == 2 else power(a, b - 1)) if b else 0
    return power_slope(a, b * y.dtype.type(1), 1)


def _falling(b: Any, k: int, without: int | None = None) -> Any:
    """b (b - 1) ... (b - k + 1), without one of the factors."""
    return math.prod(b - i for i in range(k) if i != without)


def _of_power_slope(g: Any, y: Any, a: Any, b: Any, k: int) -> Any:
    """The factor changes with b also where it is 0; the power changes with b only where a is not 0."""
    change = sum(_falling(b, k, without=i) for i in range(k))
    moves = a != 0
    return g * (np.where(moves, change * a ** (np.where(moves, b, k) - k), 0) + y * _log_of_base(y, a, b))


def _next_power_slope(g: Any, y: Any, a: Any, b: Any, k: int) -> Any:
    return g * power_slope(a, b, k + 1)


@differentiable(_next_power_slope, _of_power_slope)
def power_slope(a: Any, b: Any, k: int) -> Any:
    """The k-th derivative of a**b with respect to a, which is 0 for b = 0, 1, ..., k - 1, whatever `a` is.

    >>> power_slope(np.array([0.0, 0.0, 5.0]), np.array([1.0, 2.0, 2.0]), 2)
    array([0., 2., 2.])
    """
    factor = _falling(b, k)
    return factor * a ** (np.where(factor == 0, k, b) - k)


def _log_of_base(y: Any, a: Any, b: Any) -> Any:
    """log a, and 0 at a = 0, where y = a**b does not move with b."""
    if isinstance(a, (int, float)) and a > 0:
        return math.log(a)
    return np.log(np.where((a == 0) & (b >= 0), y.dtype.type(1), a))


def _share_of_hypot(a: Any, y: Any) -> Any:
    """a / y, the slope of y = hypot(a, b): 0 where both are 0, and 1 or -1 where `a` is infinite."""
    fixed = (y == 0) | np.isinf(y)
    return np.where(fixed, np.where(np.isinf(a), np.sign(a), 0), a / np.where(fixed, 1, y))


def _inverted(a: Any, b: Any) -> Any:
    """a / (a**2 + b**2), and 0 where both are 0, or one is infinite."""
    radius = np.hypot(a, b)
    still = (radius == 0) | np.isinf(radius)
    radius = np.where(still, 1, radius)
    return np.where(still, 0, a / radius / radius)


# one of two operands


def kept_where(condition: Any, g: Any, holds: bool = True) -> Any:
    """g where a condition holds, or does not, and 0 elsewhere.

    As a product, which takes a tenth of the time of np.where, if g is finite: 0 * inf is NaN.
    """
    arrays = isinstance(g, np.ndarray) and isinstance(condition, np.ndarray)
    if arrays and condition.dtype == bool and np.isfinite(g).all():
        return g * (condition if holds else ~condition)
    return np.where(condition, g, 0) if holds else np.where(condition, 0, g)


def _choice(function: Any, ahead: Any, behind: Any, of_nan: bool) -> None:
    """The row of a function that chooses the argument that is ahead; NaN, or what is beside NaN.

    Where either would do, each gets half of the gradient.
    """

    def chosen(g: Any, a: Any, b: Any) -> Any:
        if of_nan and isinstance(b, (int, float)) and b == b:  # a number, not NaN: quicker
            tie = np.equal(a, b)
            if isinstance(tie, np.ndarray) and not tie.any():  # as most often
                return kept_where(behind(a, b), g, False)
            return np.where(behind(a, b), 0, np.where(tie, g / 2, g))
        one = ahead(a, b) | np.isnan(a if of_nan else b)
        tie = one & (ahead(b, a) | np.isnan(b if of_nan else a))
        if isinstance(tie, np.ndarray) and not tie.any():
            return kept_where(one, g)
        return np.where(tie, g / 2, np.where(one, g, 0))

    derivative(function, lambda g, y, a, b: chosen(g, a, b), lambda g, y, a, b: chosen(g, b, a))


def share_of_two(log_add: Any, exp: Any, y: Any, a: Any, b: Any) -> Any:
    """exp(a) / (exp(a) + exp(b)) without overflow; 1/2 where both are the same infinity."""
    alike, zero = (a == b) & np.isinf(y), y.dtype.type(0)
    return exp(-log_add(0, np.where(alike, zero, b) - np.where(alike, zero, a)))


def _beaten(a: Any, bound: Any, by: Any) -> Any:
    """Where a bound takes the place of a: also one that is NaN, unless `a` is. It may be None."""
    if bound is None:
        return np.zeros_like(a, bool)
    beaten = by(a, bound)
    if isinstance(bound, (int, float)) and bound == bound:  # a number, not NaN: quicker
        return beaten
    return beaten | ((bound != bound) & (a == a))


def _above(a: Any, low: Any, high: Any) -> Any:
    """Where clip answers with its upper bound: it wins over a lower one that is above it."""
    return _beaten(a if low is None else np.maximum(a, low), high, operator.gt)


def _below(a: Any, low: Any, high: Any) -> Any:
    """Where clip answers with its lower bound."""
    return _beaten(a, low, operator.lt) & ~_above(a, low, high)


def _inside(a: Any, low: Any, high: Any) -> Any:
    """Where clip leaves `a` as it is."""
    return ~(_beaten(a, low, operator.lt) | _beaten(a, high, operator.gt))


def _of_clip(passed: Any) -> Rule:
    """The rule for the argument of clip that is passed on where the given condition holds."""

    def rule(
        g: Any,
        y: Any,
        a: Any,
        a_min: Any = None,
        a_max: Any = None,
        out: Any = None,
        *,
        min: Any = None,
        max: Any = None,
        **ufunc: Any,
    ) -> Any:
        if isinstance(a, (int, float)):  # of which np.clip makes float64, also beside float32
            a = y.dtype.type(a)
        return kept_where(passed(a, min if a_min is None else a_min, max if a_max is None else a_max), g)

    return rule


def _of_nan_to_num(passed: Any) -> Rule:
    """The rule for the argument of nan_to_num that is passed on where the given condition on x holds."""
    return lambda g, y, x, copy=True, nan=0.0, posinf=None, neginf=None: kept_where(passed(x), g)


# functions with a derivative that NumPy lacks


def _slope_of_sinc(y: Any, x: Any) -> Any:
    """The derivative of sin(πx)/(πx): (cos(πx) - y) / x, or its Taylor series near 0, where that cancels."""
    near = abs(x) < 0.5
    z = np.where(near, np.pi * x, 0)
    square, series = z * z, 0
    for k in range(12, 0, -1):  # sin z / z is the sum of (-1)**k z**2k / (2k + 1)!
        series = series * square + (-1) ** k * 2 * k / math.factorial(2 * k + 1)
    return np.where(near, np.pi * z * series, (np.cos(np.pi * x) - y) / np.where(near, 1, x))


def _of_i0_derivative(g: Any, y: Any, x: Any, n: int) -> Any:
    return g * i0_derivative(x, n + 1)


@differentiable(_of_i0_derivative)
def i0_derivative(x: Any, n: int) -> Any:
    """The n-th derivative of `np.i0`, with respect to x, a floating array of any shape.

    I0(x) is the mean of cosh(x cos t) over 0 < t < π/2 (NIST Digital Library of Mathematical Functions,
    10.32.1), and can be differentiated under the integral. As the integrand is periodic, the midpoint rule
    converges geometrically (Trefethen and Weideman, "The exponentially convergent trapezoidal rule", SIAM
    Review 56, 2014): 64 points are exact to rounding up to x = 710, where exp overflows.

    >>> i0_derivative(np.array([0.0, 1.0]), 1)  # I1
    array([0.       , 0.5651591])
    """
    function = np.sinh if n % 2 else np.cosh
    cosines = np.cos((np.arange(64) + 0.5) * (np.pi / 128))
    mean: Any = sum(c**n * function(c * x) for c in cosines) / 64
    return mean.astype(x.dtype)


# fmt: off

# arithmetic
derivative(np.positive,    lambda g, y, x: g)
derivative(np.negative,    lambda g, y, x: -g)
derivative(np.add,         lambda g, y, a, b: g,
                           lambda g, y, a, b: g)
derivative(np.subtract,    lambda g, y, a, b: g,
                           lambda g, y, a, b: -g)
derivative(np.multiply,    lambda g, y, a, b: g * b,
                           lambda g, y, a, b: g * a)
derivative(np.divide,      lambda g, y, a, b: g / b,
                           lambda g, y, a, b: -g / b * y)
derivative(np.reciprocal,  lambda g, y, x: -g * y * y)
derivative(np.remainder,   lambda g, y, a, b: g,
                           lambda g, y, a, b: -g * np.floor_divide(a, b))
derivative(np.fmod,        lambda g, y, a, b: g,
                           lambda g, y, a, b: -g * np.rint((a - y) / b))
derivative(np.divmod,      lambda g, y, a, b, **ufunc: g[1],
                           lambda g, y, a, b, **ufunc: -g[1] * y[0])
derivative(np.modf,        lambda g, y, x, **ufunc: g[0])
derivative(np.frexp,       lambda g, y, x, **ufunc: np.ldexp(g[0], -y[1]))
derivative(np.ldexp,       lambda g, y, a, b: np.ldexp(g, b),
                           None)
derivative(np.nextafter,   lambda g, y, a, b: g,
                           None)

# powers
derivative(np.square,      lambda g, y, x: g * (2 * x))
derivative(np.sqrt,        lambda g, y, x: g / (2 * y))
derivative(np.cbrt,        lambda g, y, x: g / (3 * y * y))
derivative(np.power,       lambda g, y, a, b: g * _slope_of_power(operator.pow, y, a, b),
                           lambda g, y, a, b: g * (y * _log_of_base(y, a, b)))
derivative(np.float_power, lambda g, y, a, b: g * _slope_of_power(np.float_power, y, a, b),
                           lambda g, y, a, b: g * (y * _log_of_base(y, a, b)))
derivative(np.hypot,       lambda g, y, a, b: g * _share_of_hypot(a, y),
                           lambda g, y, a, b: g * _share_of_hypot(b, y))

# exponentials and logarithms
derivative(np.exp,         lambda g, y, x: g * y)
derivative(np.exp2,        lambda g, y, x: g * _LN2 * y)
derivative(np.expm1,       lambda g, y, x: g * np.exp(x))
derivative(np.log,         lambda g, y, x: g / x)
derivative(np.log2,        lambda g, y, x: g / x / _LN2)
derivative(np.log10,       lambda g, y, x: g / _LN10 / x)
derivative(np.log1p,       lambda g, y, x: g / (1 + x))
derivative(np.logaddexp,   lambda g, y, a, b: g * share_of_two(np.logaddexp, np.exp, y, a, b),
                           lambda g, y, a, b: g * share_of_two(np.logaddexp, np.exp, y, b, a))
derivative(np.logaddexp2,  lambda g, y, a, b: g * share_of_two(np.logaddexp2, np.exp2, y, a, b),
                           lambda g, y, a, b: g * share_of_two(np.logaddexp2, np.exp2, y, b, a))

# trigonometric
derivative(np.sin,         lambda g, y, x: g * np.cos(x))
derivative(np.cos,         lambda g, y, x: -g * np.sin(x))
derivative(np.tan,         lambda g, y, x: g + g * y * y)
derivative(np.arcsin,      lambda g, y, x: g / np.sqrt((1 - x) * (1 + x)))
derivative(np.arccos,      lambda g, y, x: -g / np.sqrt((1 - x) * (1 + x)))
derivative(np.arctan,      lambda g, y, x: g * np.square(1 / np.hypot(1, x)))
derivative(np.arctan2,     lambda g, y, a, b: g * _inverted(b, a),
                           lambda g, y, a, b: -g * _inverted(a, b))
derivative(np.deg2rad,     lambda g, y, x: np.deg2rad(g))
derivative(np.radians,     lambda g, y, x: np.radians(g))
derivative(np.rad2deg,     lambda g, y, x: np.rad2deg(g))
derivative(np.degrees,     lambda g, y, x: np.degrees(g))
derivative(np.unwrap,      lambda g, y, p, discont=None, axis=-1, *, period=2 * np.pi: g)

# hyperbolic
derivative(np.sinh,        lambda g, y, x: g * np.cosh(x))
derivative(np.cosh,        lambda g, y, x: g * np.sinh(x))
derivative(np.tanh,        lambda g, y, x: g * (1 - y * y))
derivative(np.arcsinh,     lambda g, y, x: g / np.hypot(1, x))
derivative(np.arccosh,     lambda g, y, x: g / (np.sqrt(x - 1) * np.sqrt(x + 1)))
derivative(np.arctanh,     lambda g, y, x: g / ((1 - x) * (1 + x)))

# other
derivative(np.sinc,        lambda g, y, x: g * _slope_of_sinc(y, x))
derivative(np.i0,          lambda g, y, x: g * i0_derivative(x, 1))

# kinks
derivative(np.absolute,    lambda g, y, x: g * np.sign(x))
derivative(np.fabs,        lambda g, y, x: g * np.sign(x))
derivative(np.copysign,    lambda g, y, a, b: g * (np.sign(a) * np.sign(y)),
                           None)
derivative(np.heaviside,   None,
                           lambda g, y, a, b: np.where(np.equal(a, 0), g, 0))
_choice(np.maximum,      operator.ge, operator.lt, of_nan=True)
_choice(np.minimum,      operator.le, operator.gt, of_nan=True)
_choice(np.fmax,         operator.ge, operator.lt, of_nan=False)
_choice(np.fmin,         operator.le, operator.gt, of_nan=False)
derivative(np.where,       None,
                           lambda g, y, condition, a, b: kept_where(condition, g),
                           lambda g, y, condition, a, b: kept_where(condition, g, False))

derivative(np.clip,        _of_clip(_inside), _of_clip(_below), _of_clip(_above),
                           min=_of_clip(_below), max=_of_clip(_above))
derivative(np.nan_to_num,  _of_nan_to_num(np.isfinite), None,
                           _of_nan_to_num(np.isnan), _of_nan_to_num(np.isposinf), _of_nan_to_num(np.isneginf))

# complex numbers, of which only the real ones have derivatives here
derivative(np.real,        lambda g, y, val: g)
derivative(np.conjugate,   lambda g, y, x: g)
derivative(np.real_if_close, lambda g, y, a, tol=100: g)

# fmt: on

constant(
    *(np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal),
    *(np.isclose, np.allclose, np.array_equal, np.array_equiv),
    *(np.logical_and, np.logical_or, np.logical_xor, np.logical_not),
    *(np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert, np.left_shift, np.right_shift),
    *(np.bitwise_count, np.gcd, np.lcm),
    *(np.isfinite, np.isinf, np.isposinf, np.isneginf, np.isnan, np.isnat),
    *(np.isreal, np.iscomplex, np.isrealobj, np.iscomplexobj, np.imag, np.angle),
    *(np.sign, np.signbit, np.spacing),
    *(np.floor, np.ceil, np.trunc, np.rint, np.fix, np.round, np.around, np.floor_divide),
)

# methods of ufuncs
reduces(np.add.reduce, np.sum)
reduces(np.multiply.reduce, np.prod)
reduces(np.maximum.reduce, np.max)
reduces(np.minimum.reduce, np.min)
reduces(np.fmax.reduce, np.nanmax)
reduces(np.fmin.reduce, np.nanmin)
accumulates(np.add.accumulate, np.cumsum)
accumulates(np.multiply.accumulate, np.cumprod)
for function in (np.add, np.multiply, np.maximum, np.minimum, np.fmax, np.fmin, np.logaddexp):
    reduces_slices(function)
constant(
    *(np.logical_and.reduce, np.logical_or.reduce, np.logical_xor.reduce),
    *(np.logical_and.accumulate, np.logical_or.accumulate, np.logical_xor.accumulate),
)
for function in list(DERIVATIVES):
    if isinstance(function, np.ufunc) and (function.nin, function.nout, function.signature) == (2, 1, None):
        derivative(function.outer, *of_outer(function))
        spreading(function.outer)

spreading(power_slope, i0_derivative)
moving(
    np.real, np.real_if_close, np.unwrap, np.add.reduce, np.add.accumulate, np.add.outer, np.subtract.outer
)
moving(
    *(np.fmax, np.fmin, np.heaviside, np.heaviside.outer, np.nan_to_num),
    *(np.maximum.reduce, np.minimum.reduce, np.fmax.reduce, np.fmin.reduce),
    *(np.maximum.outer, np.minimum.outer, np.fmax.outer, np.fmin.outer),
    selects=True,
)
