"""Shape, assembly and dtype: the elements stay what they are, and the gradient moves back to its place."""

from typing import Any

import numpy as np

from .table import constant, derivative, differentiable


@differentiable(lambda g, y, a, dtype: g.astype(a.dtype))
def cast(a: Any, dtype: Any) -> Any:
    """a in another dtype: the method `astype` as a function."""
    return a.astype(dtype)


def _inverse(axes: Any) -> Any:
    """The order of axes that undoes the given one."""
    return None if axes is None else tuple(sorted(range(len(axes)), key=lambda i: axes[i] % len(axes)))


def _unshaped(g: Any, a: Any, order: Any) -> Any:
    """g in the shape of a again. The orders "A" and "K" follow the memory, where g does not lie as a does."""
    if order not in ("C", "F"):
        raise ValueError(f'reshaping with order="{order}" has no derivative; write order="C" or order="F"')
    return np.reshape(g, a.shape, order=order)


def _pieces(g: Any, y: Any, arrays: Any, axis: Any = 0, out: Any = None) -> Any:
    """What of g belongs to each of the arrays that were concatenated."""
    if axis is None:
        pieces = _pieces(g, y, [np.ravel(a) for a in arrays])
        return _as_given([np.reshape(p, np.shape(a)) for p, a in zip(pieces, arrays, strict=True)], arrays)
    pieces, end = [], 0
    for a in arrays:
        begin, end = end, end + np.shape(a)[axis]
        pieces.append(g[(slice(None),) * (axis % g.ndim) + (slice(begin, end),)])
    return _as_given(pieces, arrays)


def _layers(g: Any, y: Any, arrays: Any, axis: int = 0, out: Any = None) -> Any:
    """What of g belongs to each of the arrays that were stacked."""
    layers = [g[(slice(None),) * (axis % g.ndim) + (i,)] for i in range(len(arrays))]
    return _as_given(layers, arrays)


def _as_given(gradients: list[Any], arrays: Any) -> Any:
    """A list of gradients for a list of arrays; one for one array that was given as the list of its parts."""
    return gradients if isinstance(arrays, (list, tuple)) else np.stack(gradients)


def _same(function: Any) -> None:
    """A row for a function that only reshapes: the gradient takes the argument's shape again."""
    derivative(function, lambda g, y, a, axis=None: np.reshape(g, a.shape))


# fmt: off

_same(np.expand_dims)
_same(np.squeeze)
derivative(np.reshape,      lambda g, y, a, shape=None, order="C": _unshaped(g, a, order))
derivative(np.ravel,        lambda g, y, a, order="C": _unshaped(g, a, order))
derivative(np.transpose,    lambda g, y, a, axes=None: np.transpose(g, _inverse(axes)))
derivative(np.matrix_transpose, lambda g, y, x: np.swapaxes(g, -1, -2))
derivative(np.swapaxes,     lambda g, y, a, axis1, axis2: np.swapaxes(g, axis1, axis2))
derivative(np.moveaxis,     lambda g, y, a, source, destination: np.moveaxis(g, destination, source))
derivative(np.broadcast_to, lambda g, y, array, shape: g)
derivative(np.copy,         lambda g, y, a, order="K": g)
derivative(np.concatenate,  _pieces)
derivative(np.stack,        _layers)
derivative(np.full_like,    None,
                            lambda g, y, a, fill_value, dtype=None, order="K", subok=True, shape=None: g)

# fmt: on

constant(np.shape, np.ndim, np.size, np.zeros_like, np.ones_like, np.empty_like, np.result_type)
