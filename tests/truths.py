"""Truths that do not know the engine, and the engine's own answer to compare with them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr import autograd, record, tensor

STEP = 2.0**-7  # a power of two: adding it to a number of order 1 is nearly exact


class Slope(NamedTuple):
    """A derivative in one direction, and a bound for its error."""

    value: Any
    error: Any


def central_difference(f: Callable[[float], Any]) -> Slope:
    """The derivative of f at 0: central differences at three steps, extrapolated to step 0."""
    rows: list[list[Any]] = []
    largest = 0.0
    for level in range(3):
        step = STEP / 2**level
        ahead, behind = f(step), f(-step)
        largest = np.maximum(largest, np.maximum(np.abs(ahead), np.abs(behind)))
        row = [(ahead - behind) / (2 * step)]
        for k, rougher in enumerate(rows[-1] if rows else [], start=1):
            row.append(row[-1] + (row[-1] - rougher) / (4**k - 1))
        rows.append(row)
    best, before = rows[-1][-1], rows[-1][-2]
    rounding = 16 * np.finfo(float).eps * largest / STEP
    return Slope(best, np.abs(best - before) + rounding)


def complex_step(f: Callable[[complex], Any]) -> Slope:
    """The derivative of f at 0: no difference is taken, so nothing cancels."""
    return Slope(np.imag(f(1e-30j)) / 1e-30, 0.0)


def gradient(function: Callable[..., Any], *points: Any, head: Any = None, order: int = 1) -> Any:
    """The derivative with respect to the first point (a tensor for each; constants otherwise)."""
    x, *others = (tensor(p, float) for p in points)
    x.attach_grad()
    with record():
        y = function(x, *others)
        for _ in range(order - 1):
            y = autograd.grad(y, x, create_graph=True) + 0 * x  # also where the derivative is a constant
    return autograd.grad(y, x, head).array
