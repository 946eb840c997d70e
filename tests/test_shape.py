"""Shape, assembly, indexing and dtype beyond the domains."""

from typing import Any

import numpy as np
import pytest

from domains.basics import lying
from tinygrad_lr import asarray, autograd, record, tensor
from tinygrad_lr.derivatives import scatter
from truths import gradient


def test_cast_returns_the_gradient_in_the_dtype_of_the_variable() -> None:
    x = tensor([1.0, 2.0], np.float32)
    x.attach_grad()
    with record():
        y = (x.astype(np.float64) * np.array([1e-3, 2.0])).astype(np.float16)
    assert y.dtype == np.float16
    y.backward()
    assert x.grad.dtype == np.float32
    np.testing.assert_allclose(x.grad.array, [1e-3, 2], rtol=1e-6)


@pytest.mark.parametrize("dtype", [int, bool, np.uint8])
def test_nothing_flows_through_a_dtype_without_fractions(dtype: Any) -> None:
    """x.astype(int) is piecewise constant."""
    np.testing.assert_array_equal(gradient(lambda x: x * x.astype(dtype), [1.5, 1.25]), [1, 1])


@pytest.mark.parametrize("order", ["A", "K"])
@pytest.mark.parametrize(
    "function", [np.ravel, lambda a, order: np.reshape(a, (3, 2), order=order)], ids=["ravel", "reshape"]
)
@pytest.mark.parametrize("layout", ["C", "Fortran", "permuted", "reversed", "strided"])
def test_orders_that_follow_the_memory(order: str, function: Any, layout: str) -> None:
    """Right, or an error: in which order elements are read depends on the array's memory."""
    data = lying(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), layout)
    x = asarray(data)
    x.attach_grad()
    try:
        expected = function(data, order=order)
        with record():
            y = function(x, order=order)
        y.backward(expected)
    except ValueError as error:
        assert "order" in str(error)  # noqa: PT017  # either outcome is right
    else:
        np.testing.assert_array_equal(x.grad.array, data)  # the head is the value: each element comes back


def test_a_tensor_as_the_list_of_arrays() -> None:
    """np.concatenate and np.stack also take one array, as the sequence of its parts."""
    data = np.arange(12.0).reshape(2, 3, 2)
    weights = data + 1
    for function in (np.concatenate, np.stack):
        for axis in (0, 1):
            shape = function(data, axis=axis).shape
            x = tensor(data)
            x.attach_grad()
            with record():
                y = (function(x, axis=axis) * weights.reshape(shape)) ** 3
                first = autograd.grad(y, x, create_graph=True)
            second = autograd.grad(first, x)
            parts = [tensor(part) for part in data]
            for part in parts:
                part.attach_grad()
            with record():
                z = (function(parts, axis=axis) * weights.reshape(shape)) ** 3
                firsts = autograd.grad(z, parts, create_graph=True)
            np.testing.assert_allclose(first.array, [p.array for p in firsts])
            for i, part in enumerate(firsts):
                own = autograd.grad(part, parts[i], retain_graph=True)
                np.testing.assert_allclose(second.array[i], own.array)


def test_fill_value_of_full_like() -> None:
    np.testing.assert_array_equal(gradient(lambda x: np.full_like(x, x), [2.0, 3.0]), [1, 1])
    np.testing.assert_array_equal(gradient(lambda x: np.full_like(x, x[0]) * x, [2.0, 3.0]), [7, 2])


def test_scatter_adds_where_indices_repeat() -> None:
    np.testing.assert_array_equal(scatter(np.array([1.0, 2.0, 4.0]), [1, 1, 0], (3,)), [4, 3, 0])
    np.testing.assert_array_equal(scatter(np.array([1.0, 2.0]), slice(None, None, 2), (3,)), [1, 0, 2])
