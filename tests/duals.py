"""Forward-mode differentiation by dual numbers, written for itself: one more truth for the tests.

A dual number a + bε with ε² = 0 carries a derivative along: f(a + bε) = f(a) + f'(a) b ε (W. K. Clifford,
1873). It knows neither the engine nor its table, goes in the other direction, and is exact to rounding. The
parts of a Dual may be Duals themselves, which gives second derivatives.

>>> import numpy as np
>>> x = Dual(np.array([0.0, 2.0]), np.array([1.0, 1.0]))
>>> np.exp(x) * x
Dual(array([ 0.       , 14.7781122]), array([ 1.       , 22.1671683]))
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin


class Dual(NDArrayOperatorsMixin):
    """Numbers, and their derivative along something: two arrays of one shape, or two Duals."""

    def __init__(self, real: Any, slope: Any) -> None:
        self.real, self.slope = real, slope

    def __repr__(self) -> str:
        return f"Dual({self.real!r}, {self.slope!r})"

    @property
    def shape(self) -> Any:
        return np.shape(self.real)

    @property
    def dtype(self) -> Any:
        return self.real.dtype

    def __len__(self) -> int:
        return len(self.real)

    def __getitem__(self, key: Any) -> "Dual":
        return Dual(self.real[key], self.slope[key])

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **options: Any) -> Any:
        if method != "__call__" or (options and ufunc.signature is None):
            return NotImplemented
        return called(ufunc, args, options)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        return called(function, args, options)


def called(function: Any, args: Any, options: Any) -> Any:
    if function in CONSTANT:
        return function(*(real(a) for a in args), **options)
    if function in LINEAR:
        return linear(function, args, options)
    if function not in RULES:
        raise NotImplementedError(f"dual numbers do not know {function.__name__}")
    return RULES[function](*args, **options)


def real(x: Any) -> Any:
    """Without any derivative, also in lists."""
    if isinstance(x, (list, tuple)):
        return type(x)(map(real, x))
    return real(x.real) if isinstance(x, Dual) else x


def split(x: Any) -> tuple[Any, Any]:
    """A number's two parts; in lists of them too. A constant has the slope zero."""
    if isinstance(x, (list, tuple)):
        pairs = [split(part) for part in x]
        return [a for a, _ in pairs], [b for _, b in pairs]
    return (x.real, x.slope) if isinstance(x, Dual) else (x, np.zeros(np.shape(x)))


def linear(function: Any, args: Any, options: Any) -> Any:
    """A linear function of its first argument, an array or a list of arrays, and its own derivative."""
    value, slope = (function(part, *args[1:], **options) for part in split(args[0]))
    if isinstance(value, (list, tuple)):
        return [Dual(v, s) for v, s in zip(value, slope, strict=True)]
    return Dual(value, slope)


def elementwise(function: Any, derivative: Callable[[Any], Any]) -> Callable[[Any], Dual]:
    return lambda x: Dual(function(x.real), derivative(x.real) * x.slope)


def bilinear(function: Any) -> Callable[..., Dual]:
    """A function that is linear in each of its two arguments: the product rule."""

    def rule(x: Any, y: Any, **options: Any) -> Dual:
        (a, da), (b, db) = split(x), split(y)
        slope = function(da, b, **options) + function(a, db, **options)
        return Dual(function(a, b, **options), slope)

    return rule


def plus(x: Any, y: Any) -> Dual:
    (a, da), (b, db) = split(x), split(y)
    return Dual(a + b, da + db)


def divide(x: Any, y: Any) -> Dual:
    (a, da), (b, db) = split(x), split(y)
    return Dual(a / b, (da * b - a * db) / (b * b))


def power(x: Any, y: Any) -> Any:
    """For a positive base, or a whole exponent that is constant."""
    if isinstance(y, Dual):
        return np.exp(np.log(x) * y)
    return Dual(x.real**y, y * x.real ** (y - 1) * x.slope)


def arctan2(x: Any, y: Any) -> Dual:
    (a, da), (b, db) = split(x), split(y)
    return Dual(np.arctan2(a, b), (da * b - a * db) / (a * a + b * b))


def where(condition: Any, x: Any, y: Any) -> Dual:
    (a, da), (b, db) = split(x), split(y)
    return Dual(np.where(real(condition), a, b), np.where(real(condition), da, db))


def sort(x: Any, axis: int = -1) -> Any:
    if not np.shape(x):
        return x
    return np.take_along_axis(x, np.argsort(real(x), axis=axis, kind="stable"), axis=axis)


def largest(x: Any, axis: int) -> Any:
    if not np.shape(x):  # where NumPy allows an axis too
        return x
    return np.squeeze(np.take_along_axis(x, np.argmax(real(x), axis=axis, keepdims=True), axis), axis)


def prod(x: Any, axis: int) -> Any:
    if not np.shape(x):
        return x
    factors = np.split(x, np.shape(x)[axis], axis=axis)
    return np.squeeze(functools.reduce(np.multiply, factors), axis)


# fmt: off
LINEAR = {
    np.positive, np.negative, np.sum, np.mean, np.cumsum, np.diff, np.trace, np.diagonal, np.tril, np.triu,
    np.concatenate, np.stack, np.hstack, np.vstack, np.split, np.reshape, np.ravel, np.transpose, np.swapaxes,
    np.moveaxis, np.broadcast_to, np.expand_dims, np.squeeze, np.roll, np.flip, np.tile, np.repeat, np.take,
    np.take_along_axis, np.copy, np.rot90, np.deg2rad, np.rad2deg, np.fft.fft, np.matrix_transpose,
}
CONSTANT = {
    np.shape, np.size, np.ndim, np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.sign,
}
RULES: dict[Any, Callable[..., Any]] = {
    np.add:        plus,
    np.subtract:   lambda x, y: plus(x, -1 * y),
    np.divide:     divide,
    np.power:      power,
    np.arctan2:    arctan2,
    np.where:      where,
    np.maximum:    lambda x, y: where(real(x) >= real(y), x, y),
    np.minimum:    lambda x, y: where(real(x) <= real(y), x, y),
    np.clip:       lambda x, low, high: np.minimum(np.maximum(x, low), high),
    np.hypot:      lambda x, y: np.sqrt(x * x + y * y),
    np.logaddexp:  lambda x, y: np.log(np.exp(x) + np.exp(y)),
    np.var:        lambda x: np.mean(np.square(x - np.mean(x))),
    np.linalg.norm: lambda x: np.sqrt(np.sum(x * x)),
    np.max:        largest,
    np.sort:       sort,
    np.prod:       prod,
    np.einsum:     lambda subscripts, x, y: bilinear(functools.partial(np.einsum, subscripts))(x, y),
    **{f: bilinear(f) for f in (np.multiply, np.matmul, np.dot, np.outer, np.inner, np.kron, np.vdot)},
    np.square:     elementwise(np.square, lambda a: 2 * a),
    np.reciprocal: elementwise(np.reciprocal, lambda a: -1 / (a * a)),
    np.sqrt:       elementwise(np.sqrt, lambda a: 0.5 / np.sqrt(a)),
    np.cbrt:       elementwise(np.cbrt, lambda a: 1 / (3 * np.square(np.cbrt(a)))),
    np.exp:        elementwise(np.exp, np.exp),
    np.exp2:       elementwise(np.exp2, lambda a: np.exp2(a) * np.log(2)),
    np.expm1:      elementwise(np.expm1, np.exp),
    np.log:        elementwise(np.log, lambda a: 1 / a),
    np.log2:       elementwise(np.log2, lambda a: 1 / (a * np.log(2))),
    np.log10:      elementwise(np.log10, lambda a: 1 / (a * np.log(10))),
    np.log1p:      elementwise(np.log1p, lambda a: 1 / (1 + a)),
    np.sin:        elementwise(np.sin, np.cos),
    np.cos:        elementwise(np.cos, lambda a: -np.sin(a)),
    np.tan:        elementwise(np.tan, lambda a: 1 / np.square(np.cos(a))),
    np.arcsin:     elementwise(np.arcsin, lambda a: 1 / np.sqrt(1 - a * a)),
    np.arccos:     elementwise(np.arccos, lambda a: -1 / np.sqrt(1 - a * a)),
    np.arctan:     elementwise(np.arctan, lambda a: 1 / (1 + a * a)),
    np.sinh:       elementwise(np.sinh, np.cosh),
    np.cosh:       elementwise(np.cosh, np.sinh),
    np.tanh:       elementwise(np.tanh, lambda a: 1 / np.square(np.cosh(a))),
    np.arcsinh:    elementwise(np.arcsinh, lambda a: 1 / np.sqrt(1 + a * a)),
    np.arccosh:    elementwise(np.arccosh, lambda a: 1 / np.sqrt(a * a - 1)),
    np.arctanh:    elementwise(np.arctanh, lambda a: 1 / (1 - a * a)),
    np.absolute:   elementwise(np.absolute, np.sign),
    np.logaddexp2: lambda x, y: np.log2(np.exp2(x) + np.exp2(y)),
}
# fmt: on


def derivatives(function: Callable[..., Any], points: Any, directions: Any, second: Any) -> tuple[Any, Any]:
    """The derivative of a function along some directions, and the derivative of that along others.

    Of a list of results: two lists.
    """
    inner = [Dual(np.asarray(p), np.asarray(s)) for p, s in zip(points, second, strict=True)]
    results = function(
        *(Dual(p, Dual(d, np.zeros(np.shape(d)))) for p, d in zip(inner, directions, strict=True))
    )
    slopes = [split(split(y)[1]) for y in results]
    return [first for first, _ in slopes], [then for _, then in slopes]
