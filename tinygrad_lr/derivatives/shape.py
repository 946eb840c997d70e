"""Shape, assembly and dtype: the elements stay what they are, and the gradient moves back to its place."""

import math
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from .indexing import along, collect, counting, numbered, scatter, total
from .table import composed, constant, derivative, differentiable, each, moving


@differentiable(lambda g, y, a, dtype: g.astype(a.dtype))
def cast(a: Any, dtype: Any) -> Any:
    """a in another dtype: the method `astype` as a function."""
    made = a.astype(dtype)
    return made.copy() if made is a else made  # Dask's own would be written with it


# ---- the order of axes and elements -----------------------------------------------------------------------


def _at_least_one_by_one(function: Any) -> Any:
    """np.atleast_1d and its like, for more arrays than `each` makes rules for."""
    return lambda *arys: tuple(map(function, arys)) if len(arys) > len(each(function)) else NotImplemented


def _broadcast_one_by_one(*args: Any, subok: bool = False) -> Any:
    """np.broadcast_arrays, likewise."""
    if len(args) <= len(each(np.broadcast_to)):
        return NotImplemented
    shape = np.broadcast_shapes(*map(np.shape, args))
    return tuple(np.broadcast_to(a, shape) for a in args)


def _inverse(axes: Any) -> Any:
    """The order of axes that undoes the given one."""
    return None if axes is None else tuple(sorted(range(len(axes)), key=lambda i: axes[i] % len(axes)))


def _rolled_back(g: Any, axis: int, start: int) -> Any:
    """`axis` was moved to before the axis with the number `start`."""
    axis, start = axis % g.ndim, start + (g.ndim if start < 0 else 0)
    return np.moveaxis(g, start - (axis < start), axis)


def _unshaped(g: Any, a: Any, order: Any) -> Any:
    """g in the shape of a again; the orders "A" and "K" are those of a's memory."""
    order = order.upper() if order else "C"
    if order == "C":
        return np.reshape(g, a.shape)
    if order == "F":
        return np.reshape(g, a.shape, order=order)
    numbers = np.zeros_like(a, dtype=np.intp, order=order)
    for axis, n in enumerate(a.shape):  # the numbers of the elements, which lie in memory as these do
        numbers = numbers * n + np.reshape(counting(n, a), (n,) + (1,) * (a.ndim - axis - 1))
    if order == "A":
        return collect(g, np.reshape(numbers, g.shape, order=order), a)
    return collect(g, np.ravel(numbers, order=order), a)


# ---- joining ----------------------------------------------------------------------------------------------


def _cut(g: Any, sizes: list[int], axis: int) -> list[Any]:
    """g in pieces of the given sizes along an axis."""
    ends = pairwise(accumulate(sizes, initial=0))
    return [g[along(axis, slice(begin, end), g.ndim)] for begin, end in ends]


def _pieces(g: Any, arrays: Any, axis: Any, ndim: int = 1) -> Any:
    """What of g belongs to each of the arrays that were joined; one of less than ndim axes is one layer."""
    if axis is None:
        pieces = _cut(g, [math.prod(np.shape(a)) for a in arrays], 0)
    else:
        pieces = _cut(g, [np.shape(a)[axis] if np.ndim(a) >= ndim else 1 for a in arrays], axis)
    return _as_given([np.reshape(p, np.shape(a)) for p, a in zip(pieces, arrays, strict=True)], arrays)


def _layers(g: Any, arrays: Any, axis: int) -> Any:
    """What of g belongs to each of the arrays that were stacked."""
    return _as_given([g[along(axis, i, g.ndim)] for i in range(len(arrays))], arrays)


def _as_given(gradients: list[Any], arrays: Any) -> Any:
    """A list of gradients for a list of arrays; one for one array that was given as the list of its parts."""
    return gradients if isinstance(arrays, list) else np.stack(gradients)


def _blocks(g: Any, nested: Any) -> Any:
    """What of g belongs to each of the arrays in nested lists, of which the innermost join the last axis."""
    if not isinstance(nested, list):
        return np.reshape(g, np.shape(nested))
    firsts, axis = nested, -1  # of each part the first array, which has its size
    while isinstance(firsts[0], list):
        firsts, axis = [part[0] for part in firsts], axis - 1
    sizes = [np.shape(a)[axis] if np.ndim(a) >= -axis else 1 for a in firsts]
    return [_blocks(piece, part) for piece, part in zip(_cut(g, sizes, axis), nested, strict=True)]


def _nowhere(a: Any) -> Any:
    """-1 for each element, in place of the numbers of those that `collect` shall leave out."""
    return np.full(np.shape(a), -1)


# ---- splitting --------------------------------------------------------------------------------------------


def _joined(g: Any, a: Any, sections: Any, axis: int) -> Any:
    """The gradients of the parts that `a` was split into, in its shape."""
    if sum(part.shape[axis] for part in g) == a.shape[axis]:
        return np.concatenate(g, axis=axis)
    begins, ends = (0, *sections), (*sections, None)  # the parts overlap or leave something out
    keys = (along(axis, slice(begin, end), a.ndim) for begin, end in zip(begins, ends, strict=True))
    return sum(scatter(part, key, a.shape) for part, key in zip(g, keys, strict=True))


# ---- padding ----------------------------------------------------------------------------------------------


def _pairs(widths: Any, ndim: int) -> Any:
    """Numbers for the two ends of every axis, in whatever form NumPy takes them."""
    if isinstance(widths, dict):
        given = {axis % ndim: width for axis, width in widths.items()}
        widths = [np.broadcast_to(given.get(axis, 0), 2) for axis in range(ndim)]
    return np.broadcast_to(widths, (ndim, 2))


STATISTICS: dict[str, Any] = {"maximum": np.max, "minimum": np.min, "mean": np.mean, "median": np.median}
#: the modes that compute with elements, and the option that each of them takes
COMPUTING = {
    **dict.fromkeys(STATISTICS, "stat_length"),
    "linear_ramp": "end_values",
    "reflect": "reflect_type",
    "symmetric": "reflect_type",
}


def _unpadded(g: Any, array: Any, pad_width: Any, mode: Any) -> Any:
    """The part of g inside the padding, and what the modes that repeat elements have padded with them."""
    if mode in ("constant", "empty"):
        ends = zip(_pairs(pad_width, array.ndim).tolist(), array.shape, strict=True)
        return g[tuple(slice(before, before + n) for (before, _), n in ends)]
    return collect(g, np.pad(numbered(array), pad_width, mode), array)


def _padding(g: Any, array: Any, pad_width: Any, constant_values: Any) -> Any:
    """The part of g outside, for the numbers that were put there."""
    places = np.pad(_nowhere(array), pad_width, constant_values=numbered(constant_values))
    return collect(g, places, constant_values)


def _padded(array: Any, pad_width: Any, mode: Any = "constant", **options: Any) -> Any:
    """np.pad in the modes that compute with elements: axis by axis, what they compute joined to the array."""
    if callable(mode):
        raise NotImplementedError(
            "np.pad with a function as its mode has no derivative: the function writes into an array. Join "
            "what it writes to the tensor with np.concatenate instead."
        )
    even = mode in ("reflect", "symmetric") and options.get("reflect_type") != "odd"
    if even or mode not in COMPUTING or options.keys() - {COMPUTING[mode]}:
        return NotImplemented
    pairs, lengths = _pairs(pad_width, array.ndim), options.get("stat_length")
    widths = pairs.tolist()
    padded = [axis for axis in range(array.ndim) if any(widths[axis])]
    valid = (
        pairs.dtype.kind == "i" and np.all(pairs >= 0) and (lengths is None or np.all(np.rint(lengths) > 0))
    )
    if not valid or 0 in [array.shape[axis] for axis in padded]:
        return NotImplemented  # NumPy says what is wrong, or that nothing can be extended
    lengths = _pairs(None if lengths is None else np.rint(lengths).astype(int), array.ndim).tolist()
    ends = np.broadcast_to(options.get("end_values", 0), (array.ndim, 2)).astype(array.dtype)
    for axis in padded:
        first, last = (
            _margin(a, axis, widths[axis][i], mode, ends[axis, i], lengths[axis][i])
            for i, a in enumerate((array, np.flip(array, axis)))
        )
        array = np.concatenate([first, array, np.flip(last, axis)], axis=axis)
    return array


def _margin(a: Any, axis: int, width: int, mode: str, end: Any, length: Any) -> Any:
    """What np.pad puts before an array along an axis."""

    def layers(begin: int, end: Any) -> Any:
        return made[along(axis, slice(begin, end), a.ndim)]

    made = a
    if mode in STATISTICS:
        return np.repeat(STATISTICS[mode](layers(0, length), axis=axis, keepdims=True), width, axis)
    if mode == "linear_ramp":
        weights = np.reshape(np.arange(width) / width, (width,) + (1,) * (a.ndim - axis - 1))
        return end + (layers(0, 1) - end) * weights.astype(a.dtype)
    if a.shape[axis] == 1:
        return np.repeat(a, width, axis)
    begin = 1 if mode == "reflect" else 0  # the edge itself is not mirrored
    while (missing := width + a.shape[axis] - made.shape[axis]) > 0:
        mirrored = np.flip(layers(begin, begin + missing), axis)
        made = np.concatenate([2 * layers(0, 1) - mirrored, made], axis=axis)
    return layers(0, width)


# ---- repeating --------------------------------------------------------------------------------------------


def _untiled(g: Any, a: Any) -> Any:
    """The sum of the copies of a that g consists of."""
    shape = (1,) * (g.ndim - a.ndim) + a.shape
    apart = [k for n, m in zip(shape, g.shape, strict=True) for k in (m // max(n, 1), n)]
    return np.reshape(total(np.reshape(g, apart), tuple(range(0, len(apart), 2))), a.shape)


def _unrepeated(g: Any, a: Any, repeats: Any, axis: Any) -> Any:
    """The sum of what arrives at the copies of each element or layer."""
    shape, axis = ((a.size,), 0) if axis is None or a.ndim == 0 else (a.shape, axis % a.ndim)
    if isinstance(repeats, int):
        apart = np.reshape(g, (*shape[: axis + 1], int(repeats), *shape[axis + 1 :]))
        return np.reshape(total(apart, axis + 1), a.shape)
    places = np.repeat(np.arange(shape[axis]), repeats)
    return np.reshape(scatter(g, along(axis, places, len(shape)), shape), a.shape)


# ---- diagonals --------------------------------------------------------------------------------------------


def _on_diagonal(g: Any, a: Any, offset: int, axis1: int = 0, axis2: int = 1) -> Any:
    """Zeros in the shape of a, with g on its diagonal."""
    rows, columns = a.shape[axis1], a.shape[axis2]
    begin = max(-offset, 0)
    column = scatter(g, (..., slice(begin, begin + g.shape[-1])), (*g.shape[:-1], rows))
    on = np.expand_dims(counting(rows, g), 1) + offset == counting(columns, g)
    return np.moveaxis(np.where(on, np.expand_dims(column, -1), 0), (-2, -1), (axis1, axis2))


# ---- the rest ---------------------------------------------------------------------------------------------


def _unmeshed(i: int, g: Any, x: Any, indexing: str) -> Any:
    """The sum over all axes of a grid but the one that x varies along: the first two swap for "xy"."""
    axis = 1 - i if indexing == "xy" and i < 2 <= len(g) else i
    others = tuple(k for k in range(len(g)) if k != axis)
    return np.reshape(total(g[i], others), x.shape)


def _untrimmed(g: Any, filt: Any, trim: str) -> Any:
    """g between the zeros that were trimmed away; an axis that was not trimmed has kept its size."""
    key = []
    for axis, (n, m) in enumerate(zip(filt.shape, g.shape, strict=True)):
        others = tuple(k for k in range(filt.ndim) if k != axis)
        first = int(np.argmax(np.any(filt != 0, axis=others))) if "f" in trim.lower() and m else 0
        begin = min(first, n - m)
        key.append(slice(begin, begin + m))
    return scatter(g, tuple(key), filt.shape)


# fmt: off

# the order of axes
derivative(np.transpose,        lambda g, y, a, axes=None: np.transpose(g, _inverse(axes)))
derivative(np.swapaxes,         lambda g, y, a, axis1, axis2: np.swapaxes(g, axis1, axis2))
derivative(np.moveaxis,         lambda g, y, a, source, destination: np.moveaxis(g, destination, source))
derivative(np.rollaxis,         lambda g, y, a, axis, start=0: _rolled_back(g, axis, start))
derivative(np.matrix_transpose, lambda g, y, x: np.swapaxes(g, -1, -2))
derivative(np.linalg.matrix_transpose,
                                lambda g, y, x: np.swapaxes(g, -1, -2))

# shape
derivative(np.reshape,          lambda g, y, a, shape=None, order="C", *, newshape=None, copy=None: (
                                    _unshaped(g, a, order)))
derivative(np.ravel,            lambda g, y, a, order="C": _unshaped(g, a, order))
derivative(np.expand_dims,      lambda g, y, a, axis: np.reshape(g, a.shape))
derivative(np.squeeze,          lambda g, y, a, axis=None: np.reshape(g, a.shape))
for at_least in (np.atleast_1d, np.atleast_2d, np.atleast_3d):
    derivative(at_least, *each( lambda i, g, y, *arys: (
                                    np.reshape(g[i] if isinstance(g, tuple) else g, arys[i].shape))))
    composed(at_least,          _at_least_one_by_one(at_least))
derivative(np.broadcast_to,     lambda g, y, array, shape, subok=False: g)
derivative(np.broadcast_arrays, *each(
                                lambda i, g, y, *args, subok=False: g[i]))
composed(np.broadcast_arrays,   _broadcast_one_by_one)
derivative(np.meshgrid,         *each(
                                lambda i, g, y, *xi, copy=True, sparse=False, indexing="xy": (
                                    _unmeshed(i, g, xi[i], indexing))))

# joining
derivative(np.concatenate,      lambda g, y, arrays, axis=0, out=None, *, dtype=None, casting="same_kind": (
                                    _pieces(g, arrays, axis)))
derivative(np.stack,            lambda g, y, arrays, axis=0, out=None, *, dtype=None, casting="same_kind": (
                                    _layers(g, arrays, axis)))
derivative(np.hstack,           lambda g, y, tup, *, dtype=None, casting="same_kind": (
                                    _pieces(g, tup, min(g.ndim - 1, 1))))
derivative(np.vstack,           lambda g, y, tup, *, dtype=None, casting="same_kind": (
                                    _pieces(g, tup, 0, ndim=2)))
derivative(np.dstack,           lambda g, y, tup: _pieces(g, tup, 2, ndim=3))
derivative(np.column_stack,     lambda g, y, tup: _pieces(g, tup, 1, ndim=2))
derivative(np.block,            lambda g, y, nested: _blocks(g, nested))
composed(np.block,              lambda arrays: np.block(arrays), "arrays")  # elsewhere these are no nesting
derivative(np.append,           lambda g, y, arr, values, axis=None: _pieces(g, [arr, values], axis)[0],
                                lambda g, y, arr, values, axis=None: _pieces(g, [arr, values], axis)[1])
derivative(np.insert,           lambda g, y, arr, obj, values, axis=None: collect(
                                    g, np.insert(numbered(arr), obj, _nowhere(values), axis), arr),
                                None,
                                lambda g, y, arr, obj, values, axis=None: collect(
                                    g, np.insert(_nowhere(arr), obj, numbered(values), axis), values))

# splitting
for split in (np.split, np.array_split):
    derivative(split,           lambda g, y, ary, indices_or_sections, axis=0: (
                                    _joined(g, ary, indices_or_sections, axis)))
derivative(np.hsplit,           lambda g, y, ary, indices_or_sections: (
                                    _joined(g, ary, indices_or_sections, min(ary.ndim - 1, 1))))
derivative(np.vsplit,           lambda g, y, ary, indices_or_sections: (
                                    _joined(g, ary, indices_or_sections, 0)))
derivative(np.dsplit,           lambda g, y, ary, indices_or_sections: (
                                    _joined(g, ary, indices_or_sections, 2)))
if hasattr(np, "unstack"):  # NumPy 2.1
    derivative(np.unstack,      lambda g, y, x, *, axis=0: np.moveaxis(np.stack(g), 0, axis))

# adding and removing elements
derivative(np.pad,              lambda g, y, array, pad_width, mode="constant", *, constant_values=0,
                                       reflect_type="even": _unpadded(g, array, pad_width, mode),
                                None,
                                None,
          constant_values=      lambda g, y, array, pad_width, mode="constant", *, constant_values: (
                                    _padding(g, array, pad_width, constant_values)))
composed(np.pad,                _padded)
derivative(np.tile,             lambda g, y, A, reps: _untiled(g, A))
derivative(np.repeat,           lambda g, y, a, repeats, axis=None: _unrepeated(g, a, repeats, axis))
derivative(np.delete,           lambda g, y, arr, obj, axis=None: (
                                    collect(g, np.delete(numbered(arr), obj, axis), arr)))
derivative(np.resize,           lambda g, y, a, new_shape: collect(g, np.resize(numbered(a), new_shape), a))
derivative(np.trim_zeros,       lambda g, y, filt, trim="fb", axis=None: _untrimmed(g, filt, trim))

# rearranging elements
derivative(np.flip,             lambda g, y, m, axis=None: np.flip(g, axis))
derivative(np.fliplr,           lambda g, y, m: np.fliplr(g))
derivative(np.flipud,           lambda g, y, m: np.flipud(g))
derivative(np.rot90,            lambda g, y, m, k=1, axes=(0, 1): np.rot90(g, -k, axes))
derivative(np.fft.fftshift,     lambda g, y, x, axes=None: np.fft.ifftshift(g, axes))
derivative(np.fft.ifftshift,    lambda g, y, x, axes=None: np.fft.fftshift(g, axes))
derivative(np.roll,             lambda g, y, a, shift, axis=None: (
                                    np.roll(g, np.negative(shift, dtype=int).tolist(), axis)))

# triangles and diagonals
derivative(np.tril,             lambda g, y, m, k=0: np.tril(g, k))
derivative(np.triu,             lambda g, y, m, k=0: np.triu(g, k))
derivative(np.diag,             lambda g, y, v, k=0: (
                                    np.diagonal(g, k) if v.ndim == 1 else _on_diagonal(g, v, k)))
derivative(np.diagflat,         lambda g, y, v, k=0: np.reshape(np.diagonal(g, k), v.shape))
derivative(np.diagonal,         lambda g, y, a, offset=0, axis1=0, axis2=1: (
                                    _on_diagonal(g, a, offset, axis1, axis2)))
derivative(np.linalg.diagonal,  lambda g, y, x, *, offset=0: _on_diagonal(g, x, offset, -2, -1))

# copies and dtypes
derivative(np.copy,             lambda g, y, a, order="K", subok=False: g)
derivative(np.astype,           lambda g, y, x, dtype, *, copy=True, device=None: g.astype(x.dtype))
derivative(np.full_like,        None,
                                lambda g, y, a, fill_value, dtype=None, order="K", subok=True, shape=None, *,
                                       device=None: g)

moving(
    *(np.transpose, np.swapaxes, np.moveaxis, np.rollaxis, np.matrix_transpose, np.linalg.matrix_transpose),
    *(np.reshape, np.ravel, np.expand_dims, np.squeeze, np.atleast_1d, np.atleast_2d, np.atleast_3d),
    *(np.broadcast_to, np.broadcast_arrays, np.meshgrid),
    *(np.concatenate, np.stack, np.hstack, np.vstack, np.dstack, np.column_stack, np.block, np.append),
    *(np.insert, np.split, np.array_split, np.hsplit, np.vsplit, np.dsplit, np.pad, np.tile),
    *(np.fft.fftshift, np.fft.ifftshift),
    *(np.flip, np.fliplr, np.flipud, np.rot90, np.roll, np.diagflat, np.copy, np.astype, cast, np.full_like),
)
moving(
    *(np.repeat, np.delete, np.resize, np.trim_zeros),
    *(np.tril, np.triu, np.diag, np.diagonal, np.linalg.diagonal),
    selects=True,
)
if hasattr(np, "unstack"):
    moving(np.unstack)

# fmt: on

constant(np.shape, np.ndim, np.size, np.zeros_like, np.ones_like, np.empty_like, np.result_type)
