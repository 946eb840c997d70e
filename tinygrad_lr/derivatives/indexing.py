"""Indexing, and its counterpart `scatter`, which puts elements back to where indexing took them from."""

import operator
from typing import Any

import numpy as np

from .table import derivative, differentiable


@differentiable(lambda g, y, values, key, shape: g[key])
def scatter(values: Any, key: Any, shape: tuple[int, ...]) -> Any:
    """Zeros of the given shape with the values added at `key`; where indices repeat, they add up.

    >>> scatter(np.array([1.0, 2.0, 3.0]), [0, 2, 2], (4,))
    array([1., 0., 5., 0.])
    """
    made = np.zeros_like(values, shape=shape)
    if _is_basic(key):
        made[key] = values
    else:
        np.add.at(made, key, values)
    return made


def _is_basic(key: Any) -> bool:
    """Whether a key consists of slices, integers, None and `...` only, and so takes no element twice."""
    parts = key if isinstance(key, tuple) else (key,)
    return all(isinstance(p, (slice, int, np.integer, type(None), type(...))) for p in parts)


derivative(operator.getitem, lambda g, y, x, key: scatter(g, key, x.shape))
