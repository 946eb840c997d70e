"""Elementwise functions where Hypothesis does not look: ties, kinks, zeros, dtypes."""

from typing import Any

import numpy as np
import pytest

from tinygrad_lr import record, tensor
from truths import central_difference, gradient


def test_ties_of_two_arguments_split_evenly() -> None:
    a, b = [1.0, 2.0, 3.0], [1.0, 3.0, 2.0]
    np.testing.assert_array_equal(gradient(np.maximum, a, b), [0.5, 0, 1])
    np.testing.assert_array_equal(gradient(np.minimum, a, b), [0.5, 1, 0])
    np.testing.assert_array_equal(gradient(lambda x, y: np.maximum(y, x), a, b), [0.5, 0, 1])
    np.testing.assert_array_equal(gradient(lambda x, y: np.minimum(y, x), a, b), [0.5, 1, 0])
    np.testing.assert_array_equal(gradient(lambda x: np.maximum(x, x), a), [1, 1, 1])


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_absolute_at_zero(zero: float) -> None:
    assert gradient(np.abs, zero) == 0
    assert gradient(np.abs, zero, order=2) == 0


def test_clip_passes_at_its_bounds() -> None:
    points = [-2.0, -1.0, 0.0, 1.0, 2.0]
    for call in (
        lambda x: np.clip(x, -1, 1),
        lambda x: np.clip(x, min=-1, max=1),
        lambda x: x.clip(-1, 1),
        lambda x: np.clip(x, a_min=-1, a_max=np.ones(5)),
    ):
        np.testing.assert_array_equal(gradient(call, points), [0, 1, 1, 1, 0])
    np.testing.assert_array_equal(gradient(lambda x: np.clip(x, None, 1), points), [1, 1, 1, 1, 0])
    np.testing.assert_array_equal(gradient(lambda x: np.clip(x, -1, None), points), [0, 1, 1, 1, 1])
    np.testing.assert_array_equal(gradient(lambda x: np.clip(x, 1, -1), points), [0, 0, 0, 0, 0])


@pytest.mark.parametrize("exponent", [0, 0.0, np.float64(0), np.zeros(3), np.zeros(3, np.uint8)], ids=repr)
def test_power_zero_has_the_slope_zero(exponent: Any) -> None:
    for order in (1, 2):
        got = gradient(lambda x: np.power(x, exponent), [0.0, 2.0, -1.0], order=order)
        np.testing.assert_array_equal(got, [0, 0, 0])


@pytest.mark.parametrize(
    ("exponent", "expected"), [(1, [1, 0, 0]), (2, [0, 2, 0]), (3, [0, 0, 6]), (1.5, [0]), (4.0, [0, 0, 0])]
)
@pytest.mark.parametrize("as_array", [False, True])
def test_powers_at_zero(exponent: Any, expected: list[float], as_array: bool) -> None:
    """The first derivatives of x**n at 0, and no warning on the way."""
    n = np.array(exponent, float) if as_array else exponent
    for order, slope in enumerate(expected, start=1):
        assert gradient(lambda x: np.power(x, n), 0.0, order=order) == slope
        assert gradient(lambda x: x**n, 0.0, order=order) == slope


@pytest.mark.parametrize("base", [0.0, [0.0, 2.0], 0, [0, 2]], ids=repr)
def test_zero_to_a_power_does_not_move_with_it(base: Any) -> None:
    """0**b is 0 for every b > 0."""
    got = gradient(lambda b: np.power(base, b), [3.0, 3.0])
    np.testing.assert_allclose(got, [0, 8 * np.log(2)] if np.ndim(base) else [0, 0])


def test_exponent_and_base_both_differentiated_at_zero() -> None:
    a, b = tensor([0.0, 0.0, 2.0]), tensor([0.0, 2.0, 0.0])
    a.attach_grad()
    b.attach_grad()
    with record():
        y = a**b
    y.backward()
    np.testing.assert_array_equal(a.grad.array, [0, 0, 0])
    np.testing.assert_allclose(b.grad.array, [0, 0, np.log(2)])


def test_square_root_at_zero_is_infinite_and_numpy_says_so() -> None:
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        assert gradient(np.sqrt, 0.0) == np.inf


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x @ [[1.0, 2.0], [3.0, 4.0]],
        lambda x: np.matmul([[1.0, 2.0], [3.0, 4.0]], x),
        lambda x: np.dot(x, [[1.0, 2.0], [3.0, 4.0]]),
        lambda x: np.dot([1.0, 2.0], x),
        lambda x: x * [2.0, 3.0] + (1, 2),
        lambda x: [2.0, 3.0] - x,
        lambda x: (1.0, 2.0) / x,
        lambda x: [2.0, 3.0] ** x,
        lambda x: x ** [2, 3],
        lambda x: np.maximum(x, [1.0, 1.0]),
        lambda x: np.where([True, False], x, [1.0, 2.0]),
        lambda x: np.clip(x, [0.5, 0.6], [3.0, 3.5]),
        lambda x: np.remainder([5.0, 7.0], x),
    ],
    ids=range(13),
)
def test_lists_as_constants(function: Any) -> None:
    """A list stands for an array, for NumPy and so here."""
    x = tensor([1.5, 2.7])
    x.attach_grad()
    with record():
        y = function(x)
    np.testing.assert_array_equal(y.array, function(x.array))
    head = np.arange(1.0, y.size + 1).reshape(y.shape)
    y.backward(head)
    steps = [np.array([1.0, 0.0]), np.array([0.0, 1.0])]
    truth = [central_difference(lambda t, d=d: np.sum(head * function(x.array + t * d))) for d in steps]
    for got, slope in zip(x.grad.array, truth, strict=True):
        assert abs(got - slope.value) <= slope.error + 1e-11 * abs(got)


def test_promotion_is_that_of_numpy() -> None:
    x = tensor([1.0, 2.0], np.float32)
    for other in (2, 2.0, np.float32(2), np.float64(2), np.array([1, 2]), np.float16([1, 2])):
        assert (x * other).dtype == (x.array * other).dtype
        assert (other * x).dtype == (other * x.array).dtype
