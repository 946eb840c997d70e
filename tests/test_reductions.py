"""Reductions where Hypothesis does not look: ties, equal elements, dtypes."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from domains.basics import shapes
from tinygrad_lr import record, tensor
from truths import gradient


def test_ties_split_evenly_between_the_largest() -> None:
    np.testing.assert_array_equal(gradient(np.max, [1, 3, 3, 3]), [0, 1 / 3, 1 / 3, 1 / 3])
    np.testing.assert_array_equal(gradient(np.min, [2, 1, 1, 4]), [0, 0.5, 0.5, 0])


@settings(max_examples=20, deadline=None)
@given(hnp.arrays(int, shapes(min_dims=1, min_side=1), elements=st.integers(0, 1)), st.data())
def test_ties_along_an_axis(a: Any, data: st.DataObject) -> None:
    """What the elements that tie get is equal, adds up to the head, and nothing else gets any."""
    axis = data.draw(st.integers(-a.ndim, a.ndim - 1))
    for function in (np.max, np.min):
        head = np.arange(1.0, 1 + function(a, axis=axis).size).reshape(function(a, axis=axis).shape)
        got = gradient(lambda x, f=function: f(x, axis=axis), a, head=head)
        best = a == function(a, axis=axis, keepdims=True)
        np.testing.assert_allclose(np.sum(got, axis=axis), head, rtol=1e-14)
        assert not np.any(got[~best])
        shares = np.where(best, got, np.expand_dims(head, axis))
        np.testing.assert_array_equal(np.max(np.where(best, got, 0), axis=axis), np.min(shares, axis=axis))


@pytest.mark.parametrize("constant", [0.0, 1.0, 0.1, 1 / 3, 1e300])
@pytest.mark.parametrize("options", [{}, {"axis": 0}, {"axis": 1, "keepdims": True}, {"ddof": 1}], ids=str)
def test_std_of_equal_numbers_has_the_slope_zero(constant: float, options: dict[str, Any]) -> None:
    """Also where their mean, and so their deviations, are not exact: np.std([0.1] * 3) is 1.4e-17."""
    for order in (1, 2):
        got = gradient(lambda x: np.std(x, **options), np.full((3, 3), constant), order=order)
        np.testing.assert_array_equal(got, np.zeros((3, 3)))


def test_std_where_only_one_row_is_constant() -> None:
    rows = [[0.1, 0.1, 0.1], [1.0, 2.0, 3.0]]
    got = gradient(lambda x: np.std(x, axis=1), rows)
    np.testing.assert_array_equal(got[0], 0)
    np.testing.assert_allclose(got[1], np.array([-1, 0, 1]) / 3 / np.std(rows[1]))


def test_nothing_flows_through_an_integer_sum() -> None:
    np.testing.assert_array_equal(gradient(lambda x: x * np.sum(x, dtype=int), [1.5, 2.5]), [3, 3])


def test_mean_of_more_float16_numbers_than_float16_can_count() -> None:
    """1/70000 is a float16, 70000 is not."""
    x = tensor(np.zeros(70_000), np.float16)
    x.attach_grad()
    with record():
        y = np.mean(x)
    y.backward()
    np.testing.assert_allclose(x.grad.array, 1 / 70_000, rtol=1e-2)
