"""How large the gradients are that flow along the edges of a graph."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np

from tinygrad_lr import Tensor, asarray, autograd, record
from tinygrad_lr.errors import AutogradError
from tinygrad_lr.lazy import is_lazy

from .reading import Graph, is_array

Flow = dict[tuple[Hashable, int], float]  # the operation and which of its operands -> the size


def flow(graph: Graph) -> Flow:
    """The Euclidean norm of the gradient of the head that each operation passes to each of its operands.

    The gradient at an operation's result is the engine's. What of it goes to which operand is found by doing
    the operation once more, by itself, on operands of its own. Nothing is found, and nothing raised, where
    the engine cannot go through the graph any more, as after a parameter was changed in place, or where
    values are not computed. Operations with several results are left out.
    """
    places = [place for place in graph.origins if graph.tensors[place].part is None]
    sizes: Flow = {}
    if any(is_lazy(graph.tensors[place].array) for place in places):
        return sizes
    try:
        with np.errstate(all="ignore"):
            results = [graph.tensors[place] for place in places]
            gradients = autograd.grad(graph.head, results, retain_graph=True)
            for place, gradient in zip(places, gradients, strict=True):
                sizes.update({(place, i): size for i, size in _passed(graph, place, gradient).items()})
    except AutogradError:
        return {}
    return sizes


def _passed(graph: Graph, place: Hashable, gradient: Tensor) -> dict[int, float]:
    """What one operation passes on of the gradient of its result, by the number of the operand."""
    own: list[Tensor | None] = []

    def copy(argument: Any) -> Any:
        if isinstance(argument, (list, tuple)):
            return type(argument)(map(copy, argument))
        if not isinstance(argument, Tensor):
            own.extend([None] * is_array(argument))
            return argument
        operand = asarray(argument.array)
        operand.attach_grad()
        own.append(operand)
        return operand

    function, arguments, options = graph.origins[place]
    with record():
        result = function(*map(copy, arguments), **{name: copy(value) for name, value in options.items()})
    operands = {i: operand for i, operand in enumerate(own) if operand is not None}
    passed = autograd.grad(result, list(operands.values()), gradient)
    return {i: float(np.linalg.norm(g.numpy())) for i, g in zip(operands, passed, strict=True)}
