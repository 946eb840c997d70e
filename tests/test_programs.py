"""Random programs: whatever is composed, the gradient is that of the whole.

Hypothesis composes a program from the operations below: each step applies one of them to earlier results, so
that operands are shared, repeated and broadcast. The gradient along a random direction must agree with
central differences, and so must the gradient of the gradient. A failing program shrinks to a few steps and is
printed.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from tinygrad_lr import autograd, record, tensor
from tinygrad_lr.errors import ComplexResultError

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


def slope(function: Callable[[Any], float], x: Any, direction: Any) -> tuple[float, float]:
    """The derivative along a direction and its error: central differences, extrapolated after Richardson."""
    h = 1e-3

    def central(h: float) -> float:
        return (function(x + h * direction) - function(x - h * direction)) / (2 * h)

    coarse, fine, finest = central(2 * h), central(h), central(h / 2)
    better = (4 * fine - coarse) / 3, (4 * finest - fine) / 3
    return (16 * better[1] - better[0]) / 15, abs(better[1] - better[0])


def gradient(program: list[Step], x: Any) -> Any:
    t = tensor(x)
    t.attach_grad()
    with record():
        y = run(program, t)
    return autograd.grad(y, t).numpy()


@given(programs, shapes, st.integers(0, 2**16))
@example([("var", 1, 1)], (3,), 0)  # a number that is broadcast, under a gradient that is one number too
def test_first_and_second_derivatives_of_random_programs(program, shape, seed):
    rng = np.random.default_rng(seed)
    x, u, v = rng.normal(size=(3, *shape))
    t = tensor(x)
    t.attach_grad()
    with record():
        y = run(program, t)
        first = autograd.grad(y, t, create_graph=True)
        along = np.sum(first * u)
    assert first.shape == shape
    expected, error = slope(lambda x: float(run(program, x)), x, u)
    assert abs(along.item() - expected) <= 1e-7 * (1 + abs(expected)) + 10 * error

    event(f"{len(program)} steps")
    second = autograd.grad(along, t).numpy()
    expected, error = slope(lambda x: float(np.sum(gradient(program, x) * u)), x, v)
    assert abs(np.sum(second * v) - expected) <= 1e-7 * (1 + abs(expected)) + 10 * error


@given(programs, shapes, st.integers(0, 2**16))
def test_single_precision_stays_and_agrees_with_double(program, shape, seed):
    x = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    t = tensor(x)
    t.attach_grad()
    with record():
        y = run(program, t)
    assert y.dtype == np.float32
    y.backward()
    assert t.grad.dtype == np.float32
    expected = gradient(program, x.astype(np.float64))
    np.testing.assert_allclose(t.grad.numpy(), expected, atol=2e-4 * (1 + np.max(np.abs(expected))))


def test_masked_out_keeps_what_the_mask_leaves_out():
    mask = np.array([True, False])
    out = tensor([10.0, 10.0])
    assert np.add(tensor([1.0, 2.0]), 1, out=out, where=mask) is out
    np.testing.assert_array_equal(out.numpy(), [2.0, 10.0])


def test_lists_within_lists_keep_their_gradient_and_objects_raise() -> None:
    x = tensor([1.0, 2.0])
    x.attach_grad()
    with record():
        listed = np.concatenate([[x[0], 3.0], x]) * [1, 10, 100, 1000]
        with pytest.raises(ComplexResultError, match=r"np.multiply makes complex numbers or objects"):
            x * np.array([1, 2], object)
    np.testing.assert_array_equal(autograd.grad(listed, x).array, [101, 1000])
