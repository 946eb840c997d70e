"""Truths that do not know the engine, and the engine's own answer to compare with them."""

from collections.abc import Callable
from typing import Any

from tinygrad_lr import autograd, record, tensor
from tinygrad_lr.testing.truths import STEP, Slope, central_difference, complex_step

__all__ = ["STEP", "Slope", "central_difference", "complex_step", "gradient"]


def gradient(function: Callable[..., Any], *points: Any, head: Any = None, order: int = 1) -> Any:
    """The derivative with respect to the first point (a tensor for each; constants otherwise)."""
    x, *others = (tensor(p, float) for p in points)
    x.attach_grad()
    with record():
        y = function(x, *others)
        for _ in range(order - 1):
            y = autograd.grad(y, x, create_graph=True) + 0 * x  # also where the derivative is a constant
    return autograd.grad(y, x, head).array
