"""Products: contractions of two arrays."""

import math
from typing import Any

import numpy as np

from .table import derivative


def _matmul_a(g: Any, y: Any, a: Any, b: Any) -> Any:
    """y = a b, so the gradient of a is g bᵀ; a vector stands for a row on the left, a column on the right."""
    if b.ndim == 1:
        return np.expand_dims(g, -1) * b
    if a.ndim == 1:
        return np.squeeze(b @ np.expand_dims(g, -1), -1)
    return g @ np.swapaxes(b, -1, -2)


def _matmul_b(g: Any, y: Any, a: Any, b: Any) -> Any:
    """y = a b, so the gradient of b is aᵀ g."""
    if a.ndim == 1:
        return g * a if b.ndim == 1 else np.expand_dims(a, -1) * np.expand_dims(g, -2)
    if b.ndim == 1:
        return np.squeeze(np.swapaxes(a, -1, -2) @ np.expand_dims(g, -1), -1)
    return np.swapaxes(a, -1, -2) @ g


derivative(np.matmul, _matmul_a, _matmul_b)


def _split(a: Any, contracted: int) -> tuple[int, tuple[int, ...]]:
    """The size of the axis that is summed over, and the shape of the others."""
    return a.shape[contracted], a.shape[:contracted] + a.shape[contracted + 1 :]


def _rows(a: Any) -> Any:
    """a as a matrix whose rows meet the columns of the other factor."""
    size, others = _split(a, a.ndim - 1)
    return np.reshape(a, (math.prod(others), size))


def _columns(b: Any) -> Any:
    """b as a matrix whose columns meet the rows of the other factor."""
    contracted = max(b.ndim - 2, 0)
    size, others = _split(b, contracted)
    return np.reshape(np.moveaxis(b, contracted, 0), (size, math.prod(others)))


def _dot_a(g: Any, y: Any, a: Any, b: Any, out: Any = None) -> Any:
    if a.ndim == 0 or b.ndim == 0:
        return g * b
    columns = _columns(b)
    return np.reshape(np.reshape(g, (math.prod(a.shape[:-1]), columns.shape[1])) @ columns.T, a.shape)


def _dot_b(g: Any, y: Any, a: Any, b: Any, out: Any = None) -> Any:
    if a.ndim == 0 or b.ndim == 0:
        return g * a
    contracted = max(b.ndim - 2, 0)
    size, others = _split(b, contracted)
    rows = _rows(a)
    made = rows.T @ np.reshape(g, (rows.shape[0], math.prod(others)))
    return np.moveaxis(np.reshape(made, (size, *others)), 0, contracted)


derivative(np.dot, _dot_a, _dot_b)
