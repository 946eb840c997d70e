"""Small programs of a few operations, for the tests of compiled functions: the same for any arrays."""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tinygrad_lr import autograd, record, tensor

OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / (1 + b * b),
    "power": lambda a, b: (2 + np.sin(a)) ** np.tanh(b),
    "square": lambda a, b: np.sin(a) ** 2 - b,
    "tanh": lambda a, b: np.tanh(a) + 2 * b,
    "sin, exp": lambda a, b: np.sin(a) * np.exp(-b * b),
    "sqrt, log, cos": lambda a, b: np.sqrt(1 + a * a) * np.log(2 + np.cos(b)),
    "sum": lambda a, b: np.sum(a * b, axis=0) - a,
    "sum of all": lambda a, b: np.sum(a) / 5 + b,
    "mean": lambda a, b: np.mean(a, axis=-1, keepdims=True) + b,
    "var": lambda a, b: np.var(a) + b,
    "where": lambda a, b: np.where(np.arange(np.size(a)).reshape(np.shape(a)) % 2 == 0, a, 3 * b),
    "maximum": lambda a, b: np.maximum(a, 0) * b + np.minimum(b, 0.5),
    "maximum of two": lambda a, b: np.maximum(a, 2 * b) - np.abs(a),
    "selection": lambda a, b: np.where(np.sin(3 * a) > 0, a * b, 0) - np.where(b < a, 0, b),
    "weighted sum": lambda a, b: np.sum(a * b, axis=-1, keepdims=True) + np.sum(b, axis=-1)[..., None] * a,
    "matmul": lambda a, b: a @ np.swapaxes(b, -1, -2),
    "dot": lambda a, b: np.dot(a, np.transpose(b)),
    "concatenate": lambda a, b: np.concatenate([a, b, a]),
    "stack": lambda a, b: np.mean(np.stack([a, a * b], axis=-1), axis=-1),
    "index": lambda a, b: a[..., :1] * b,
    "index with repeats": lambda a, b: np.reshape(a, -1)[[0, -1, 0]].sum() * b,
    "reshape": lambda a, b: np.reshape(np.reshape(a, (-1, 1)) + 1, np.shape(a)) * b,
    "broadcast_to": lambda a, b: np.broadcast_to(a, (2, *np.shape(a))) * b,
    "expand_dims, squeeze": lambda a, b: np.squeeze(np.expand_dims(a, 0) * 2, 0) * b,
}

GROWING = {"multiply", "sum", "matmul", "dot", "index", "index with repeats", "reshape", "broadcast_to"}
GROWING |= {"maximum", "selection", "weighted sum"}

Step = tuple[str, int, int]
programs = st.lists(
    st.tuples(st.sampled_from(sorted(OPERATIONS)), st.integers(0, 9), st.integers(0, 9)),
    min_size=1,
    max_size=6,
)
shapes = st.sampled_from([(), (1,), (3,), (2, 3), (1, 3), (2, 1, 3)])


def run(program: list[Step], x: Any) -> Any:
    """The program's result as one number; a step whose operands do not fit together is left out."""
    results = [x, 0.5 * x + 1]
    for name, i, j in program:
        a, b = results[i % len(results)], results[j % len(results)]
        try:
            result = OPERATIONS[name](a, b)
        except (ValueError, IndexError):
            continue
        if np.size(result) <= 200:
            # products are kept of moderate size; sums are not, so that gradients stay one number for a while
            results.append(np.tanh(result / 3) if name in GROWING else result / 2)
    return np.sum(np.sin(results[-1])) + np.sum(results[-2] * 0.7)


def gradient(program: list[Step], x: Any) -> Any:
    t = tensor(x)
    t.attach_grad()
    with record():
        y = run(program, t)
    return autograd.grad(y, t).numpy()
