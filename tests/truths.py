"""Truths that do not know the engine, and the engine's own answer to compare with them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lr import autograd, record, tensor
from tinygrad_lr.testing.truths import STEP, Slope, central_difference

__all__ = ["STEP", "Slope", "central_difference", "complex_step", "gradient"]


def complex_step(f: Callable[[complex], Any]) -> Slope:
    """The derivative of f at 0, if it is analytic: no difference is taken, so nothing cancels."""
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
