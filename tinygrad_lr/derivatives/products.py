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


def _rows(a: Any) -> Any:
    """a as a matrix whose rows meet the columns of the other factor."""
    return np.reshape(a, (-1, a.shape[-1]))


def _columns(b: Any) -> Any:
    """b as a matrix whose columns meet the rows of the other factor: its next-to-last axis comes first."""
    b = np.moveaxis(b, max(b.ndim - 2, 0), 0)
    return np.reshape(b, (b.shape[0], -1))


def _dot_a(g: Any, y: Any, a: Any, b: Any) -> Any:
    if a.ndim == 0 or b.ndim == 0:
        return g * b
    rows, columns = math.prod(a.shape[:-1]), math.prod(b.shape) // max(a.shape[-1], 1)
    return np.reshape(np.reshape(g, (rows, columns)) @ _columns(b).T, a.shape)


def _dot_b(g: Any, y: Any, a: Any, b: Any) -> Any:
    if a.ndim == 0 or b.ndim == 0:
        return g * a
    contracted = max(b.ndim - 2, 0)
    others = b.shape[:contracted] + b.shape[contracted + 1 :]
    made = _rows(a).T @ np.reshape(g, (math.prod(a.shape[:-1]), math.prod(others)))
    return np.moveaxis(np.reshape(made, (b.shape[contracted], *others)), 0, contracted)


derivative(np.dot, _dot_a, _dot_b)
