"""Derivatives of any order at chosen points, each compared with differences of the one before."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lr import autograd, record, tensor
from truths import central_difference


def slope(function: Callable[..., Any], points: Sequence[Any], head: Any, directions: Sequence[Any]) -> Any:
    """The derivative of <head, function> in one direction, that of this in the next, and so on."""
    leaves = [tensor(p) for p in points]
    for leaf in leaves:
        leaf.attach_grad()
    with record():
        y: Any = np.sum(function(*leaves) * head)
        for direction in directions:
            y = y + sum(0 * np.sum(leaf) for leaf in leaves)  # so that each is reached
            gradients = autograd.grad(y, leaves, create_graph=True)
            y = sum(np.sum(g * d) for g, d in zip(gradients, direction, strict=True))
    return y.item()


def assert_slopes(function: Callable[..., Any], *points: Any, orders: int = 1, head: Any = None) -> None:
    """The derivatives of the first orders are right, in random directions, of a random element of the result.

    The function gives one array. Without the engine it gives the truth for the first of them.
    """
    rng = np.random.default_rng(0)
    points = tuple(np.asarray(p, float) for p in points)
    if head is None:
        head = rng.uniform(-1, 1, np.shape(function(*points)))
    directions = [[rng.uniform(-1, 1, p.shape) for p in points] for _ in range(orders)]
    for order, direction in enumerate(directions):

        def along(t: float, order: int = order, direction: Any = direction) -> Any:
            moved = [p + t * d for p, d in zip(points, direction, strict=True)]
            return (
                slope(function, moved, head, directions[:order]) if order else np.sum(function(*moved) * head)
            )

        truth = central_difference(along)
        found = slope(function, points, head, directions[: order + 1])
        assert abs(found - truth.value) <= truth.error + 1e-11 * (1 + abs(found)), (
            f"the derivative of order {order + 1} is {found}, but should be {truth.value}"
        )


def gradients_in(dtype: Any, function: Callable[..., Any], points: Sequence[Any], head: Any) -> list[Any]:
    """The gradients at some points in a dtype, which they keep; several results are strung together."""
    leaves = [tensor(p, dtype) for p in points]
    for leaf in leaves:
        leaf.attach_grad()
    with record():
        y = function(*leaves)
        y = np.concatenate([np.ravel(part) for part in y]) if isinstance(y, tuple) else y
    found = autograd.grad(y, leaves, np.broadcast_to(head, y.shape).astype(y.dtype))
    assert all(g.dtype == dtype for g in found)
    return [g.array for g in found]
