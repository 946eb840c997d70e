"""Products: contractions of two or more arrays.

All of them are linear in each factor, so the gradient of one factor is a product of `g` with the others: the
same contraction, with other axes summed over.
"""

import re
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np

from .table import composed, constant, derivative, each, moving


def transposed(a: Any) -> Any:
    """The transposed matrices."""
    return a.swapaxes(-1, -2)


def ones_on_diagonal(like: Any, rows: int, columns: int, offset: int = 0) -> Any:
    """Ones on a diagonal, in the dtype and of the kind of another array."""
    return np.tril(np.triu(np.ones_like(like, shape=(rows, columns)), offset), offset)


# ---- matrix products --------------------------------------------------------------------------------------


def outer(a: Any, b: Any) -> Any:
    """The matrices of all products of a's last axis with b's."""
    return np.expand_dims(a, -1) * np.expand_dims(b, -2)


def _matmul_a(g: Any, y: Any, a: Any, b: Any, **ufunc: Any) -> Any:
    """y = a b, so the gradient of a is g bᵀ; a vector stands for a row on the left, a column on the right."""
    if b.ndim == 1:
        return np.expand_dims(g, -1) * b
    if a.ndim == 1:
        return np.squeeze(b @ np.expand_dims(g, -1), -1)
    if a.ndim == 2 < b.ndim:  # one matrix for a stack of them: the product sums over the stack as well
        summed = (*range(b.ndim - 2), b.ndim - 1)
        return np.tensordot(g, b, (summed, summed))
    return g @ transposed(b)


def _matmul_b(g: Any, y: Any, a: Any, b: Any, **ufunc: Any) -> Any:
    """y = a b, so the gradient of b is aᵀ g."""
    if a.ndim == 2 or (a.ndim > 1 and b.ndim > 2):
        return transposed(a) @ g
    if b.ndim > 2:
        return outer(a, g)
    rows = tuple(range(a.ndim - 1))
    return np.tensordot(a, g, (rows, rows))


def _along_axes(function: np.ufunc) -> Callable[..., Any]:
    """A product along given axes: they are moved to the end, and those of the result from there."""

    def written(x1: Any, x2: Any, **options: Any) -> Any:
        given = {name: options.pop(name) for name in ("axes", "axis", "keepdims") if name in options}
        function(*(np.empty((0,) * np.ndim(x)) for x in (x1, x2)), **given)  # NumPy says what is wrong
        keepdims, axis = given.get("keepdims", False), given.get("axis", -1)
        axes = given.get("axes", [axis, axis])
        if len(axes) == 2:
            axes = [*axes, axis if keepdims else ()]
        first, second = (
            np.moveaxis(x, along, range(-np.size(along), 0)) for x, along in zip((x1, x2), axes, strict=False)
        )
        y = function(first, second, **options)
        if keepdims:
            y = np.expand_dims(y, -1)
        return np.moveaxis(y, range(-np.size(axes[2]), 0), axes[2])

    return written


# fmt: off

function: Any  # np.linalg has functions of its own for some of NumPy's
for function in (np.matmul, np.linalg.matmul):
    derivative(function, _matmul_a, _matmul_b)
for function in (np.vecdot, np.linalg.vecdot):
    derivative(function, lambda g, y, x1, x2, **ufunc: np.expand_dims(g, -1) * x2,
                         lambda g, y, x1, x2, **ufunc: np.expand_dims(g, -1) * x1)
    composed(function, _along_axes(np.vecdot), "axes", "axis", "keepdims")
composed(np.matmul, _along_axes(np.matmul), "axes")
if hasattr(np, "matvec"):  # since NumPy 2.2
    derivative(np.matvec, lambda g, y, x1, x2, **ufunc: outer(g, x2),
                          lambda g, y, x1, x2, **ufunc: np.vecmat(g, x1))
    derivative(np.vecmat, lambda g, y, x1, x2, **ufunc: np.matvec(x2, g),
                          lambda g, y, x1, x2, **ufunc: outer(x1, g))
    composed(np.matvec, _along_axes(np.matvec), "axes")
    composed(np.vecmat, _along_axes(np.vecmat), "axes")

# fmt: on


def _multi_dot(g: Any, y: Any, arrays: Any, *, out: Any = None) -> Any:
    """For each factor lᵀ g rᵀ, with l the product of the factors before it, r of those after it."""
    matrices = list(arrays)
    if arrays[0].ndim == 1:
        matrices[0] = np.expand_dims(arrays[0], 0)
    if arrays[-1].ndim == 1:
        matrices[-1] = np.expand_dims(arrays[-1], 1)
    g = np.reshape(g, (matrices[0].shape[0], matrices[-1].shape[1]))
    turned = [transposed(m) for m in matrices]
    gradients = [
        np.reshape(np.linalg.multi_dot([*turned[:i][::-1], g, *turned[i + 1 :][::-1]]), a.shape)
        for i, a in enumerate(arrays)
    ]
    return gradients if isinstance(arrays, (list, tuple)) else np.stack(gradients)


derivative(np.linalg.multi_dot, _multi_dot)


def _matrix_power(g: Any, y: Any, a: Any, n: int) -> Any:
    """The gradient is the sum of pᵏ g pⁿ⁻¹⁻ᵏ, p = aᵀ, for k from 0 to n - 1.

    That sum is the upper right corner of [[p, g], [0, p]]ⁿ, also for n <= 0 (Mathias, A chain rule for matrix
    functions, 1996).
    """
    p, size = transposed(a), a.shape[-1]
    g = np.concatenate([p, g], -1), np.concatenate([np.zeros_like(p), p], -1)
    return np.linalg.matrix_power(np.concatenate(g, -2), n)[..., :size, size:]


derivative(np.linalg.matrix_power, _matrix_power)


# ---- sums over chosen axes --------------------------------------------------------------------------------

Axes = Sequence[int]


def _free(ndim: int, contracted: Axes) -> list[int]:
    """The axes that are not summed over."""
    return [axis for axis in range(ndim) if axis not in contracted]


def _contracted(axes: Any, a: Any, b: Any) -> tuple[Axes, Axes]:
    """The axes of a and of b that tensordot sums over, counted from the front."""
    if not np.iterable(axes):
        return range(np.ndim(a) - axes, np.ndim(a)), range(axes)
    ours, theirs = (np.ravel(part).tolist() for part in axes)
    return [axis % a.ndim for axis in ours], [axis % b.ndim for axis in theirs]


def _contraction_a(g: Any, a: Any, b: Any, ours: Axes, theirs: Axes) -> Any:
    """Where y is summed over some axes (ours) of a and b (theirs): the gradient of a.

    Its axes come as a's free ones, then those that met b's, in b's order; they are put back into a's order.
    """
    free = _free(np.ndim(b), theirs)
    made = np.tensordot(g, b, (range(g.ndim - len(free), g.ndim), free))
    order = _free(np.ndim(a), ours) + [our for _, our in sorted(zip(theirs, ours, strict=True))]
    return np.moveaxis(made, range(made.ndim), order)


def _contraction_b(g: Any, a: Any, b: Any, ours: Axes, theirs: Axes) -> Any:
    """The same for b: the axes of y that are b's come last, so they are moved to where a's are."""
    first = np.ndim(a) - len(ours)
    return _contraction_a(np.moveaxis(g, range(first), range(-first, 0)), b, a, theirs, ours)


def _last(a: Any) -> Axes:
    return (np.ndim(a) - 1,)


def _last_but_one(a: Any) -> Axes:
    return (np.ndim(a) - 2,)


def _dot_a(g: Any, y: Any, a: Any, b: Any, out: Any = None) -> Any:
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return g * b
    return _matmul_a(g, y, a, b) if b.ndim < 3 else _contraction_a(g, a, b, _last(a), _last_but_one(b))


def _dot_b(g: Any, y: Any, a: Any, b: Any, out: Any = None) -> Any:
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return g * a
    return _matmul_b(g, y, a, b) if b.ndim < 3 else _contraction_b(g, a, b, _last(a), _last_but_one(b))


def _inner_a(g: Any, y: Any, a: Any, b: Any) -> Any:
    return g * b if np.ndim(a) == 0 or np.ndim(b) == 0 else _contraction_a(g, a, b, _last(a), _last(b))


def _inner_b(g: Any, y: Any, a: Any, b: Any) -> Any:
    return g * a if np.ndim(a) == 0 or np.ndim(b) == 0 else _contraction_b(g, a, b, _last(a), _last(b))


def _kron(g: Any, a: Any, b: Any) -> tuple[Any, Any, Any]:
    """With pairs of axes in g, one of a's and one of b's; and a and b with equally many axes."""
    ndim = max(np.ndim(a), np.ndim(b))
    a, b = (np.reshape(x, (1,) * (ndim - np.ndim(x)) + np.shape(x)) for x in (a, b))
    return np.reshape(g, tuple(chain(*zip(a.shape, b.shape, strict=True)))), a, b


def _kron_a(g: Any, y: Any, a: Any, b: Any) -> Any:
    pairs, _, other = _kron(g, a, b)
    axes = range(other.ndim)
    return np.reshape(np.tensordot(pairs, other, ([2 * i + 1 for i in axes], axes)), a.shape)


def _kron_b(g: Any, y: Any, a: Any, b: Any) -> Any:
    pairs, other, _ = _kron(g, a, b)
    axes = range(other.ndim)
    return np.reshape(np.tensordot(pairs, other, ([2 * i for i in axes], axes)), b.shape)


def _trace(g: Any, a: Any, offset: int, axis1: int, axis2: int) -> Any:
    diagonal = ones_on_diagonal(a, a.shape[axis1], a.shape[axis2], offset)
    made = np.where(diagonal == 1, np.expand_dims(g, (-2, -1)), 0)
    return np.moveaxis(made, (-2, -1), (axis1, axis2))


# fmt: off

derivative(np.dot,       _dot_a, _dot_b)
derivative(np.inner,     _inner_a, _inner_b)
derivative(np.vdot,      lambda g, y, a, b: g * np.reshape(b, np.shape(a)),
                         lambda g, y, a, b: g * np.reshape(a, np.shape(b)))
for function in (np.outer, np.linalg.outer):
    derivative(function, lambda g, y, a, b, out=None: np.reshape(g @ np.ravel(b), a.shape),
                         lambda g, y, a, b, out=None: np.reshape(np.ravel(a) @ g, b.shape))
derivative(np.kron,      _kron_a, _kron_b)
for function in (np.tensordot, np.linalg.tensordot):
    derivative(function, lambda g, y, a, b, axes=2: _contraction_a(g, a, b, *_contracted(axes, a, b)),
                         lambda g, y, a, b, axes=2: _contraction_b(g, a, b, *_contracted(axes, a, b)))
derivative(np.trace,        lambda g, y, a, offset=0, axis1=0, axis2=1, dtype=None, out=None: (
                                _trace(g, a, offset, axis1, axis2)))
derivative(np.linalg.trace, lambda g, y, x, *, offset=0, dtype=None: _trace(g, x, offset, -2, -1))
moving(np.trace, np.linalg.trace, selects=True)

# fmt: on


# ---- the vector product -----------------------------------------------------------------------------------


def _in_space(a: Any, axis: int) -> Any:
    """Vectors along the last axis; those in the plane with a third component, 0."""
    a = np.moveaxis(a, axis, -1)
    return a if a.shape[-1] == 3 else np.concatenate([a, np.zeros_like(a[..., :1])], -1)


def _cross(g: Any, a: Any, b: Any, axisa: int, axisb: int, axisc: int) -> Any:
    """The gradient of a is the vector product of b and g, that of b the one of g and a."""
    if a.shape[axisa] == b.shape[axisb] == 2:  # y is the third component, the others being 0
        g = np.expand_dims(g, -1)
        g = np.concatenate([np.zeros_like(g), np.zeros_like(g), g], -1)
    else:
        g = np.moveaxis(g, axisc, -1)
    made = np.cross(_in_space(b, axisb), g)[..., : a.shape[axisa]]
    return np.moveaxis(made, -1, axisa % a.ndim - a.ndim)


def _cross_a(
    g: Any, y: Any, a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Any:
    return _cross(g, a, b, *((axisa, axisb, axisc) if axis is None else (axis, axis, axis)))


def _cross_b(
    g: Any, y: Any, a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Any:
    return -_cross(g, b, a, *((axisb, axisa, axisc) if axis is None else (axis, axis, axis)))


derivative(np.cross, _cross_a, _cross_b)
derivative(
    np.linalg.cross,
    lambda g, y, x1, x2, *, axis=-1: _cross(g, x1, x2, axis, axis, axis),
    lambda g, y, x1, x2, *, axis=-1: -_cross(g, x2, x1, axis, axis, axis),
)


# ---- Einstein's sums --------------------------------------------------------------------------------------

Labels = list[int]  # a number for each axis


def _labels(subscripts: Any, ndim: int) -> Labels:
    """The labels of an array's axes; those that "..." stands for are -1, -2, ... from the last one."""
    if isinstance(subscripts, str):
        found = re.findall(r"\.\.\.|\w", subscripts)
        subscripts = [... if label == "..." else ord(label) for label in found]
    dots = range(len(subscripts) - 1 - ndim, 0)
    return list(chain(*(dots if label is ... else (label,) for label in subscripts)))


def _read(operands: Sequence[Any], y: Any) -> tuple[Sequence[Any], list[Labels], Labels]:
    """The arrays of a call of einsum, the labels of each, and those of its result y."""
    inputs: Sequence[Any]
    result: Any = None
    if isinstance(operands[0], str):
        left, arrow, right = operands[0].partition("->")
        arrays, inputs = operands[1:], left.split(",")
        if arrow:
            result = right
    else:
        arrays, inputs = operands[: len(operands) // 2 * 2 : 2], operands[1::2]
        if len(operands) % 2:
            result = operands[-1]
    labels = [_labels(part, np.ndim(array)) for part, array in zip(inputs, arrays, strict=True)]
    if result is not None:
        return arrays, labels, _labels(result, y.ndim)
    every = list(chain(*labels))
    once = [label for label in every if label >= 0 and every.count(label) == 1]
    return arrays, labels, [*range(min([0, *every]), 0), *sorted(once)]


def _einsum(
    i: int,
    g: Any,
    y: Any,
    *operands: Any,
    out: Any = None,
    dtype: Any = None,
    order: str = "K",
    casting: str = "safe",
    optimize: Any = False,
) -> Any:
    """The gradient of one array is an einsum as well: of g and the other arrays, to the array's own labels.

    A label that repeats within the array stands for its diagonal. A label of this array only was summed over,
    and the gradient is the same along it.
    """
    arrays, labels, result = _read(operands, y)
    i = i - 1 if isinstance(operands[0], str) else i // 2
    pairs = list(zip(arrays, labels, strict=True))
    factors = [(g, result), *pairs[:i], *pairs[i + 1 :]]
    own = list(dict.fromkeys(labels[i]))
    known = dict.fromkeys(chain(*(part for _, part in factors)))
    number = {label: n for n, label in enumerate(known)}  # einsum knows 52 labels
    call = chain(*((array, [number[label] for label in part]) for array, part in factors))
    plan = optimize if isinstance(optimize, (bool, str)) else True  # an order of products was meant for y
    made = np.einsum(*call, [number[label] for label in own if label in number], optimize=plan)
    made = np.expand_dims(made, tuple(axis for axis, label in enumerate(own) if label not in number))
    for axis, label in enumerate(labels[i]):
        first, size = labels[i].index(label), np.shape(arrays[i])[axis]
        if first < axis:
            made = np.expand_dims(made, axis)
            on = np.reshape(
                ones_on_diagonal(g, size, size), [size if k in (first, axis) else 1 for k in range(made.ndim)]
            )
            made = np.where(on == 1, made, 0)
    return made


derivative(np.einsum, *each(_einsum, 2 * 64))  # with a list of labels for each array
constant(np.einsum_path)
