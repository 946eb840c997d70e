"""The table of derivatives, a module for each chapter of NumPy's manual; `table` says how a row reads."""

import operator
from typing import Any

import numpy as np

from . import elementwise, indexing, linalg, products, reductions, shape
from .indexing import scatter
from .shape import cast
from .table import (
    DERIVATIVES,
    Derivative,
    adds_into,
    composed,
    constant,
    derivative,
    differentiable,
    each,
    moving,
)

__all__ = [
    "DERIVATIVES",
    "Derivative",
    "adds_into",
    "cast",
    "composed",
    "constant",
    "derivative",
    "differentiable",
    "each",
    "elementwise",
    "indexing",
    "linalg",
    "moving",
    "products",
    "reductions",
    "scatter",
    "shape",
]

# fmt: off
moving(
    np.add, np.subtract, np.negative, np.positive, np.sum, np.mean, cast, np.copy, np.full_like,
    scatter, np.concatenate, np.stack, np.broadcast_to, np.reshape, np.ravel, np.transpose,
    np.matrix_transpose, np.swapaxes, np.moveaxis, np.expand_dims, np.squeeze,
)
moving(np.where, np.maximum, np.minimum, np.clip, np.max, np.min, operator.getitem, selects=True)
# fmt: on


def _add_part(total: Any, g: Any, y: Any, x: Any, key: Any) -> None:
    parts = key if isinstance(key, tuple) else (key,)
    if any(isinstance(part, (list, np.ndarray)) for part in parts):  # which may take an element twice
        np.add.at(total, key, g)
    else:
        total[key] += g


adds_into(operator.getitem, _add_part)
