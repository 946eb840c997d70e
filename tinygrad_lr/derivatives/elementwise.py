"""Elementwise functions: the derivatives of a page of calculus.

Where a function has a kink, the rule takes the subgradient that DESIGN names: ties of maximum and minimum
split evenly, abs'(0) = 0, clip passes at its bounds, and x**0 has the derivative 0 also at 0.
"""

import math
from typing import Any

import numpy as np

from .table import constant, derivative


def _slope_of_power(a: Any, b: Any) -> Any:
    """The derivative of a**b with respect to a; 0 where b = 0, where the formula says 0 * a**-1."""
    if isinstance(b, (int, float)):
        return b * a ** (b - 1) if b else 0 * a
    return b * a ** np.where(b == 0, 1, b - 1)


def _log_of_base(a: Any) -> Any:
    """log a, and 0 at a = 0, where a**b does not move with b."""
    if isinstance(a, (int, float)):
        return math.log(a) if a > 0 else 0.0 if a == 0 else math.nan
    return np.log(np.where(a == 0, 1, a))


def _inside(a: Any, low: Any, high: Any) -> Any:
    """Where a is within its bounds, of which either may be None."""
    return (True if low is None else a >= low) & (True if high is None else a <= high)


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
                           lambda g, y, a, b: -g * y / b)
derivative(np.reciprocal,  lambda g, y, x: -g * y * y)
derivative(np.remainder,   lambda g, y, a, b: g,
                           lambda g, y, a, b: -g * np.floor_divide(a, b))

# powers
derivative(np.square,      lambda g, y, x: g * (2 * x))
derivative(np.sqrt,        lambda g, y, x: g / (2 * y))
derivative(np.power,       lambda g, y, a, b: g * _slope_of_power(a, b),
                           lambda g, y, a, b: g * (y * _log_of_base(a)))

# exponentials and logarithms
derivative(np.exp,         lambda g, y, x: g * y)
derivative(np.log,         lambda g, y, x: g / x)

# trigonometric and hyperbolic
derivative(np.sin,         lambda g, y, x: g * np.cos(x))
derivative(np.cos,         lambda g, y, x: -g * np.sin(x))
derivative(np.tanh,        lambda g, y, x: g * (1 - y * y))

# kinks
derivative(np.absolute,    lambda g, y, x: g * np.sign(x))
derivative(np.maximum,     lambda g, y, a, b: np.where(a > b, g, np.where(a == b, g / 2, 0)),
                           lambda g, y, a, b: np.where(b > a, g, np.where(a == b, g / 2, 0)))
derivative(np.minimum,     lambda g, y, a, b: np.where(a < b, g, np.where(a == b, g / 2, 0)),
                           lambda g, y, a, b: np.where(b < a, g, np.where(a == b, g / 2, 0)))
derivative(np.where,       None,
                           lambda g, y, condition, a, b: np.where(condition, g, 0),
                           lambda g, y, condition, a, b: np.where(condition, 0, g))
derivative(np.clip,        lambda g, y, a, a_min=None, a_max=None, out=None, *, min=None, max=None: (
                               np.where(_inside(a, a_min, a_max) & _inside(a, min, max), g, 0)))

# fmt: on

constant(
    *(np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal),
    *(np.logical_and, np.logical_or, np.logical_xor, np.logical_not),
    *(np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert),
    *(np.isfinite, np.isinf, np.isnan, np.signbit),
    *(np.sign, np.floor, np.ceil, np.trunc, np.rint, np.round, np.floor_divide),
)
