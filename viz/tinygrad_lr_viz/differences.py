"""Finite differences: the gradients of a recorded computation by moving its leaves a little."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_lr import Tensor
from tinygrad_lr.tensor import Origin

from .reading import Graph, is_array

__all__ = ["AGREE", "Check", "array_of", "finite_differences", "run_again"]

AGREE = "they agree"
BY_ELEMENT = 8  # elements of a leaf, beyond which it is moved along one direction only
COST = 2e8  # of all replays, beyond which the rest is left out; about a nanosecond each


@dataclass(frozen=True, slots=True)
class Check:
    """The gradient of a leaf beside finite differences."""

    gradient: Any
    difference: Any  # an array like the gradient, or the slope along a direction; None if not computed
    along: float | None  # the gradient's own slope along that direction; None if element by element
    verdict: str


def array_of(value: Any) -> Any:
    return value.array if isinstance(value, Tensor) else value


def run_again(origin: Origin, value_of: Callable[[Any], Any] = array_of) -> Any:
    """Make a call again, with what `value_of` makes of each Tensor and array."""

    def bare(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return type(value)(map(bare, value))
        return value_of(value) if is_array(value) else value

    options = {name: bare(value) for name, value in origin.options.items()}
    return origin.function(*map(bare, origin.arguments), **options)


class Replay:
    """The computation of a graph as a function of its leaves, in float64."""

    def __init__(self, head: Tensor, out_grad: Any, graph: Graph) -> None:
        self._head, self._origins = head, graph.origins
        self._parts = {node: graph.tensors[node].part for node in graph.origins}
        self._weights = 1.0 if out_grad is None else np.asarray(array_of(out_grad))
        self.cost = sum(2000 + tensor.size for tensor in graph.tensors.values())
        self.precision = 0.0  # the relative rounding error of the last replay

    def __call__(self, moved: Mapping[Hashable, Any]) -> float:
        """The head, weighted with its own gradient and summed, for some leaves moved, by node."""
        results = dict(moved)

        def value_of(value: Any) -> Any:
            if isinstance(value, Tensor) and value.node in results:
                return results[value.node]
            array = array_of(value)
            return array.astype(float) if array.dtype.kind == "f" else array

        self.precision = float(np.finfo(float).eps)
        for node, origin in self._origins.items():
            made, part = run_again(origin, value_of), self._parts[node]
            results[node] = result = made if part is None else made[part]
            self.precision = max(self.precision, float(np.finfo(result.dtype).eps))  # narrow where it is cast
        return float(np.sum(value_of(self._head) * self._weights))


def finite_differences(
    head: Tensor, out_grad: Any, graph: Graph, leaves: Sequence[Tensor], gradients: Sequence[Any]
) -> list[Check]:
    """Compare each leaf's gradient with (f(x + h) - f(x - h)) / 2h.

    Small leaves are moved element by element, larger ones along one random direction. What would take too
    long is left out.
    """
    arrays = (array_of(value) for value in (*graph.tensors.values(), *graph.sources.values()))
    if not all(isinstance(array, (np.ndarray, np.generic)) for array in arrays):  # they may be on a cluster
        reason = "not checked: not all of its arrays are NumPy's"
        return [Check(gradient, None, None, reason) for gradient in gradients]
    replay = Replay(head, out_grad, graph)
    here = replay({}) if replay.cost < COST else np.nan
    spent = replay.cost
    checks: list[Check] = []
    for leaf, gradient in zip(leaves, gradients, strict=True):
        by_element = leaf.size <= BY_ELEMENT
        spent += 2 * replay.cost * (leaf.size if by_element else 1)
        if spent > COST:
            checks.append(Check(gradient, None, None, "not checked: recomputing would take too long"))
        elif by_element:
            found = [
                _slope(replay, leaf, _unit(leaf.shape, index), float(gradient[index]), here)
                for index in np.ndindex(leaf.shape)
            ]
            slopes = np.array([slope for slope, _ in found]).reshape(leaf.shape)
            doubts = [verdict for _, verdict in found if verdict != AGREE]
            checks.append(Check(gradient, slopes, None, doubts[0] if doubts else AGREE))
        else:
            direction = np.random.default_rng(0).standard_normal(leaf.shape)
            direction /= np.linalg.norm(direction)
            along = float(np.sum(gradient * direction))
            slope, verdict = _slope(replay, leaf, direction, along, here)
            checks.append(Check(gradient, slope, along, verdict))
    return checks


def _unit(shape: tuple[int, ...], index: tuple[int, ...]) -> Any:
    direction = np.zeros(shape)
    direction[index] = 1
    return direction


def _slope(replay: Replay, leaf: Tensor, direction: Any, gradient: float, here: float) -> tuple[float, str]:
    """The slope of the head along a direction of a leaf, and how it compares with the gradient's.

    The step h is where truncation and rounding are about equal, the cube root of the precision, relative to
    the values (Press et al., Numerical Recipes, section 5.7). Smaller ones are tried if that one disagrees.
    At a kink the slopes on its two sides stay apart, however small the step.
    """
    x = leaf.array.astype(float)
    size = float(np.max(np.abs(x), initial=0))
    wanted_precision = 1e-5 + 32 * float(np.finfo(leaf.dtype).eps)
    slope, jump, verdict = np.nan, np.inf, "they differ"
    for scale in dict.fromkeys((max(1.0, size), max(1.0, size) / 16, size or 1.0)):
        h = scale * replay.precision ** (1 / 3)
        above, below = (replay({leaf.node: x + step * direction}) for step in (h, -h))
        slope = (above - below) / (2 * h)
        rounding = 100 * replay.precision * max(abs(above), abs(below)) / h
        error = wanted_precision * (abs(slope) + abs(gradient)) + rounding
        if abs(slope - gradient) <= error:
            return slope, AGREE
        sides = sorted([(here - below) / h, (above - here) / h])
        before, jump = jump, sides[1] - sides[0]
        between = sides[0] - error <= gradient <= sides[1] + error
        if between and 0.5 * before < jump < np.inf and jump > 100 * error:
            verdict = f"at a kink, with slopes of {sides[0]:.4g} and {sides[1]:.4g} on its two sides"
    return slope, verdict if np.isfinite(slope) else "not checked: the values are not finite nearby"
