"""Reductions where Hypothesis does not look: ties, zeros, NaN, equal elements, tensors as options, dtypes."""

import itertools
import re
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from domains.basics import shapes
from domains.reductions import drawn_axis, mask
from factory import ROWS, attached
from search import examples
from slopes import assert_slopes, gradients_in
from tinygrad_lr import Tensor, asarray, autograd, compile, func, record, tensor
from tinygrad_lr.derivatives import DERIVATIVES, statistics
from tinygrad_lr.errors import ComplexResultError, InPlaceError, NoDerivativeError, name_of
from tinygrad_lr.testing import check_gradients
from truths import gradient

quick = examples(20)
small_integers = hnp.arrays(int, shapes(min_side=1), elements=st.integers(-1, 1))


def gradients(function: Callable[..., Any], *points: Any, order: int = 1) -> list[Any]:
    """The derivatives up to an order with respect to each of several points, under a head of 1, 2, 3, ..."""
    leaves = [tensor(p, float) for p in points]
    for leaf in leaves:
        leaf.attach_grad()
    with record():
        found: list[Any] = []
        value = function(*leaves)
        for _ in range(order):
            weighted = value * (1 + np.arange(value.size).reshape(value.shape))
            grads = autograd.grad(weighted.sum(), leaves, create_graph=True)
            found += grads
            value = np.concatenate(
                [np.ravel(g + np.where(False, x, 0)) for g, x in zip(grads, leaves, strict=True)]
            )
    return [g.array for g in found]


def differences(function: Callable[[Any], Any], a: Any) -> Any:
    """The same for one point, with a head of 1, 2, 3, ..., of a function that is nearly linear there."""
    a, step = np.array(a, float), 1e-4
    slopes = []
    for index in np.ndindex(a.shape):
        moved = np.zeros(a.shape)
        moved[index] = step
        change = function(a + moved) - function(a - moved)
        slopes.append(np.sum(np.ravel(change) * (1 + np.arange(change.size))) / (2 * step))
    return np.reshape(slopes, a.shape)


def assert_same(one: list[Any], other: list[Any]) -> None:
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-13)


# ---- ties -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [np.max, np.amax, np.nanmax], ids=name_of)
def test_ties_split_evenly_between_the_largest(function: Any) -> None:
    np.testing.assert_array_equal(gradient(function, [1, 3, 3, 3]), [0, 1 / 3, 1 / 3, 1 / 3])


@pytest.mark.parametrize("function", [np.min, np.amin, np.nanmin], ids=name_of)
def test_ties_split_evenly_between_the_smallest(function: Any) -> None:
    np.testing.assert_array_equal(gradient(function, [2, 1, 1, 4]), [0, 0.5, 0.5, 0])


@quick
@given(small_integers, st.data())
def test_ties_along_axes(a: Any, data: st.DataObject) -> None:
    """What the elements that tie get is equal, adds up to the head, and nothing else gets any."""
    axis = drawn_axis(data.draw, a.ndim)
    for function in (np.max, np.min, np.median):
        best = function(a, axis=axis, keepdims=True)
        head = np.reshape(np.arange(1.0, 1 + best.size), best.shape)
        got = gradient(lambda x, f=function: f(x, axis=axis, keepdims=True), a, head=head)
        np.testing.assert_allclose(np.sum(got, axis=axis, keepdims=True), head, rtol=1e-14)
        for value in (-1, 0, 1):
            shares = np.where(a == value, got, np.nan)
            with warnings.catch_warnings(action="ignore"):  # nowhere is this value
                np.testing.assert_array_equal(
                    np.nanmax(shares, axis=axis), np.nanmin(shares, axis=axis), strict=True
                )
        if function is not np.median:
            assert not np.any(got[a != best])


@quick
@given(small_integers, st.integers(-1, 1), st.data())
def test_the_initial_value_is_one_of_them(a: Any, initial: int, data: st.DataObject) -> None:
    """As if it were an element: also in the share of ties, and to second order."""
    where = mask(data.draw, a.astype(float), None, least=0)
    for function in (np.sum, np.prod, np.max, np.min, np.nanmax, np.nansum, np.nanprod):

        def given_apart(x: Any, t: Any, f: Any = function) -> Any:
            return f(x, initial=t, where=where)

        def joined(x: Any, t: Any, f: Any = function) -> Any:
            return f(np.concatenate([x[np.broadcast_to(where, a.shape)], np.ravel(t)]))

        assert_same(gradients(given_apart, a, initial, order=2), gradients(joined, a, initial, order=2))


@pytest.mark.parametrize(
    "function",
    [np.sum, np.nansum, np.prod, np.nanprod, np.max, np.min, np.nanmax, np.nanmin, np.logaddexp.reduce],
    ids=name_of,
)
@pytest.mark.parametrize("keepdims", [False, True])
def test_the_initial_value_of_each_row(function: Any, keepdims: bool) -> None:
    def given_apart(x: Any, t: Any) -> Any:
        return function(x, axis=1, initial=t, keepdims=keepdims)

    def joined(x: Any, t: Any) -> Any:
        return function(np.concatenate([x, t * np.ones((2, 1))], axis=1), axis=1)

    a, initial = [[0.5, 2.0, 1.5], [0.7, 1.2, -0.3]], 1.2
    assert_same(gradients(given_apart, a, initial, order=2), gradients(joined, a, initial, order=2))


def test_the_initial_value_ties_with_one_element() -> None:
    """Alone among the elements, it does not have all of the gradient."""
    np.testing.assert_array_equal(gradient(lambda x: np.max(x, initial=3), [1, 3]), [0, 0.5])


def test_initial_value_alone() -> None:
    """Where nothing was selected, the result is the initial value."""
    x, t = gradients(lambda x, t: np.max(x, axis=1, initial=t, where=x > 5), [[1, 9], [2, 3]], 4)
    np.testing.assert_array_equal(x, [[0, 1], [0, 0]])
    assert t == 2


MEDIANS: list[Any] = [
    np.median,
    lambda x, **options: np.percentile(x, [30, 80], **options),
    *(lambda x, m=m, **options: np.quantile(x, 0.3, method=m, **options) for m in statistics.INTERPOLATING),
    *(lambda x, m=m, **options: np.quantile(x, 0.3, method=m, **options) for m in statistics.SELECTING),
]


@pytest.mark.parametrize("function", [np.max, np.min, np.amax, np.amin, *MEDIANS])
def test_nan_makes_the_result_nan_and_gets_its_gradient(function: Any) -> None:
    """As of the maximum of two; also beside infinite numbers. What looks for numbers only passes over it."""
    rows = [[np.nan, 1, np.nan, -2], [np.nan, np.inf, -np.inf, 1], [4.0, 4.0, 4.0, 4.0]]
    with np.errstate(invalid="ignore"):
        got = gradient(lambda x: function(x, axis=1), rows)
    total = np.size(function(np.ones(4)))
    np.testing.assert_allclose(got, total * np.array([[0.5, 0, 0.5, 0], [1, 0, 0, 0], [0.25] * 4]))


def test_what_passes_over_nan_has_the_gradient_of_the_numbers() -> None:
    np.testing.assert_array_equal(gradient(np.nanmax, [np.nan, 1, 2]), [0, 0, 1])
    np.testing.assert_array_equal(gradient(np.nanmedian, [np.nan, 1, np.inf, 2]), [0, 0, 0, 1])


@given(hnp.arrays(float, 5, elements=st.floats(-1e3, 1e3)))
@example(np.array([0.1, 0.7, 1.3]))
def test_ptp_is_the_greatest_less_the_least(a: Any) -> None:
    """Also where their difference is rounded."""
    np.testing.assert_array_equal(gradient(np.ptp, a), gradient(lambda x: np.max(x) - np.min(x), a))


@pytest.mark.parametrize("f", [np.prod, np.var, np.std, np.mean, np.sum, np.cumsum], ids=name_of)
def test_reductions_of_single_precision_in_double(f: Any) -> None:
    """What would overflow in the dtype of the elements does not in the one that is asked for."""
    x = np.array([1e30, 3e30, 2e-30, 1e-30] if f is np.prod else [1e30, -3e30, 2e30], np.float32)
    (got,) = gradients_in(np.float32, lambda x: f(x, dtype=float), [x], 1)
    np.testing.assert_allclose(got, gradient(f, x), rtol=1e-6)


def test_ties_of_ptp() -> None:
    np.testing.assert_array_equal(gradient(np.ptp, [1, 5, 1, 5]), [-0.5, 0.5, -0.5, 0.5])
    np.testing.assert_array_equal(gradient(np.ptp, [2, 2]), [0, 0])


@quick
@given(hnp.arrays(int, st.integers(1, 9), elements=st.integers(0, 2)))
def test_ties_of_running_extremes(a: Any) -> None:
    """Each of the results is a maximum of its own."""
    for function, extreme in ((np.maximum, np.max), (np.minimum, np.min)):
        apart = gradients(lambda x, f=extreme: np.stack([f(x[: i + 1]) for i in range(a.size)]), a)
        assert_same(gradients(lambda x, f=function: f.accumulate(x), a), apart)


@pytest.mark.parametrize("function", [np.maximum, np.minimum, np.fmax, np.fmin], ids=name_of)
def test_many_ties_of_running_extremes(function: Any) -> None:
    """The last of them is shared by all, as the extreme of all is."""
    head = np.zeros(300)
    head[-1] = 600
    np.testing.assert_allclose(gradient(function.accumulate, np.ones(300), head=head), np.full(300, 2))
    np.testing.assert_allclose(gradient(function.reduce, np.ones(300), head=600.0), np.full(300, 2))


def test_gradient_of_a_median() -> None:
    np.testing.assert_array_equal(gradient(np.median, [4, 1, 3]), [0, 0, 1])
    np.testing.assert_array_equal(gradient(np.median, [4, 1, 3, 2]), [0, 0, 0.5, 0.5])
    np.testing.assert_array_equal(gradient(np.median, [1, 2, 2, 3]), [0, 0.5, 0.5, 0])
    np.testing.assert_array_equal(gradient(np.median, [2, 2, 2, 3]), [1 / 3, 1 / 3, 1 / 3, 0])
    np.testing.assert_array_equal(gradient(np.nanmedian, [4, np.nan, 1, 3]), [0, 0, 0, 1])


def test_quantile_between_neighbouring_floats() -> None:
    """It is rounded to one of them, and still lies between both."""
    one, next_one = 1.0, np.nextafter(1.0, 2)
    np.testing.assert_array_equal(gradient(np.median, [one, next_one]), [0.5, 0.5])
    for q in (0.25, 0.75):
        np.testing.assert_array_equal(gradient(lambda x, q=q: np.quantile(x, q), [next_one, one]), [q, 1 - q])


METHODS: list[Any] = [
    *("inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf", "hazen"),
    *("weibull", "linear", "median_unbiased", "normal_unbiased", "lower", "higher", "midpoint", "nearest"),
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [1, 4, 5])
def test_methods_of_quantiles(method: Any, n: int) -> None:
    """Also at the ends, and where a quantile is one of the numbers or half-way between two of them."""
    a = np.array([7.0, 1.0, 4.0, 2.0, 11.0])[:n]
    for q in (0, 0.1, 0.25, 0.3, 0.5, 0.75, 0.8, 0.97, 1):
        with_nan = np.append(a, np.nan)
        expected = differences(lambda x, q=q: np.quantile(x, q, method=method), a)
        np.testing.assert_allclose(
            gradient(lambda x, q=q: np.quantile(x, q, method=method), a), expected, atol=1e-9
        )
        for function in (np.nanquantile, lambda x, q, method: np.nanpercentile(x, 100 * q, method=method)):
            got = gradient(lambda x, q=q, f=function: f(x, q, method=method), with_nan)
            np.testing.assert_allclose(got, [*expected, 0], atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_shares_in_many_quantiles(monkeypatch: pytest.MonkeyPatch, method: Any) -> None:
    """They add up to one, and with the numbers to the quantile: also where a rank is whole but for rounding.

    NumPy's versions round it in their own ways, and a share may not be lost by that.
    """
    rank, off = statistics._rank, 0.0
    monkeypatch.setattr(statistics, "_rank", lambda n, q, method: rank(n, q * (1 + off), method))
    whole = np.array([k / n for n in (1, 2, 6, 7, 11, 12) for k in range(n)])
    parts = np.concatenate([whole * (1 + 1e-11), whole * (1 - 1e-11), whole, [1]])
    for n, (function, scale) in itertools.product([2, 7, 12], [(np.percentile, 100), (np.nanquantile, 1)]):
        a, head = np.random.default_rng(n).normal(size=n), 1 + np.arange(parts.size)
        values, slopes = function(a, scale * parts, method=method), None
        for off in (0, 1e-10, -1e-10):
            by_a, by_q = gradients(partial(function, method=method), a, scale * parts)
            np.testing.assert_allclose(np.sum(by_a), np.sum(head))
            if off == 0 or method in statistics.INTERPOLATING:  # others jump there
                np.testing.assert_allclose(by_a @ a, head @ values)
            between = by_q[~np.isin(values, a)]
            slopes = between if slopes is None else slopes
            np.testing.assert_allclose(between, slopes)


@pytest.mark.parametrize("method", METHODS)
def test_slopes_of_quantiles_by_their_probability(method: Any) -> None:
    """To the right, also at 0 and 1; none where the quantile is always a number itself, or half-way."""
    a, step = np.array([7.0, 1.0, 4.0, 2.0, 11.0]), 1e-6
    smooth = method.startswith(("interpolated", "hazen", "weibull", "linear")) or "unbiased" in method
    for q in (0.0, 0.33, 0.62, 1.0):
        before, after = np.quantile(a, [q, min(q + step, 1)], method=method)
        slope = (after - before) / step if smooth else 0
        got = gradient(lambda q: np.quantile(a, q, method=method), q)
        np.testing.assert_allclose(got, slope, rtol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_equal_numbers_have_equal_parts_in_a_quantile(method: Any) -> None:
    """And where all grow by 1, so does the quantile."""
    a, weights = np.array([2.0, 1, 2, 5, 2, 1]), np.array([1.0, 2, 3, 4, 5, 6])
    calls: list[Any] = [partial(f, method=method) for f in (np.quantile, np.nanquantile)]
    if method == "inverted_cdf":
        calls.append(partial(np.quantile, method=method, weights=weights))
    for call in calls:
        for q in (0, 0.1, 0.3, 0.5, 0.8, 1):
            got = gradient(lambda x, call=call, q=q: call(x, q), a)
            np.testing.assert_allclose(np.sum(got), 1, rtol=1e-15)
            np.testing.assert_allclose(got @ a, call(a, q), rtol=1e-14)
            assert all(np.ptp(got[a == value]) == 0 for value in a)


@quick
@given(data=st.data())
def test_mixed_derivatives_of_quantiles_do_not_depend_on_the_order(data: st.DataObject) -> None:
    """Also where the quantile is one of the numbers, and the next one is about to have a share in it."""
    function, scale = data.draw(
        st.sampled_from(
            [(np.quantile, 1), (np.percentile, 100), (np.nanquantile, 1), (np.nanpercentile, 100)]
        )
    )
    a = np.array(data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=5, unique=True)), float)
    q = data.draw(st.sampled_from([0.25, 1 / 3, 0.4, 0.5, 0.75])) * scale
    weights = np.random.default_rng(len(a)).uniform(-1, 1, a.shape)
    x, t = (tensor(v) for v in (a, q))
    for leaf in (x, t):
        leaf.attach_grad()
    with record():
        by_x, by_q = autograd.grad(function(np.sqrt(x), t), [x, t], create_graph=True)
        one, other = (by_x * weights).sum() + 0 * t, by_q + 0 * x.sum()
    by_x_and_q, by_q_and_x = autograd.grad(one, t, retain_graph=True), autograd.grad(other, x)
    np.testing.assert_allclose(by_x_and_q.array, np.sum(by_q_and_x.array * weights), rtol=1e-12)


POLYNOMIALS: list[tuple[Callable[..., Any], tuple[int, ...]]] = [
    (np.polyadd, (3, 5)),
    (np.polysub, (5, 2)),
    (lambda p: np.polysub(2.0, p), (3,)),
    (lambda p, q: np.polysub(p, q[0]), (3, 1)),
    (lambda p, q: np.polyadd(p[0], q), (1, 3)),
    (lambda p, q: np.polyadd(p[0], q[0]), (1, 1)),
    (np.polymul, (3, 4)),
    (lambda p: np.polymul([0.0, 1.0, 2.0], p), (3,)),
    (lambda p: np.polymul([0.0], p), (3,)),
    (lambda p, q: np.polymul(p, q[0]), (3, 1)),
    (lambda p, q: np.polymul(p[0], q), (1, 3)),
    (lambda p, q: np.polymul(p[0], q[0]), (1, 1)),
    (np.polyder, (5,)),
    (np.polyder, (1,)),
    (lambda p: np.polyder(p, 0), (3,)),
    (lambda p: np.polyder(p, 3), (5,)),
    (np.polyint, (4,)),
    (lambda p: np.polyint(p, 0), (3,)),
    (lambda p: np.polyint(p, 2, 3.0), (2,)),
    (lambda p, k: np.polyint(p, 3, k), (2, 3)),
    (lambda p, k: np.polyint(p, 3, k), (2, 1)),
    (lambda p, k: np.polyint(p, 2, k), (2, 3)),  # one more than it takes
    (lambda p: np.polyint(p, 2.0), (2,)),
    (lambda p: np.polyint(p, 0, []), (2,)),
    (lambda p: np.polyder(p, 2.0), (4,)),
    (lambda p: np.polyder(p, 3), (2,)),
    (np.poly, (4,)),
    (np.poly, (1,)),
    (lambda u, v: np.polydiv(u, v)[0], (5, 3)),
    (lambda u, v: np.polydiv(u, v)[1], (5, 3)),
    (lambda u, v: np.polydiv(u, v)[0], (3, 1)),
    (lambda u, v: np.polydiv(u, v)[0], (2, 3)),  # 0
    (lambda u, v: np.polydiv(u, v)[1], (2, 3)),
    *((lambda u, v, k=k: np.polydiv(u, v)[k], sizes) for sizes in [(1, 3), (3, 3), (1, 1)] for k in (0, 1)),
]


@pytest.mark.parametrize(("function", "sizes"), POLYNOMIALS)
def test_arithmetic_of_polynomials(function: Any, sizes: tuple[int, ...]) -> None:
    points = [
        np.random.default_rng(i).uniform(1, 2, n) * (-1.0) ** np.arange(1, 1 + n) for i, n in enumerate(sizes)
    ]
    leaves = [tensor(p) for p in points]
    for leaf in leaves:
        leaf.attach_grad()
    with record():
        value = function(*leaves)
    np.testing.assert_array_equal(value.array, function(*points), strict=True)
    for k, got in enumerate(gradients(function, *points)):
        expected = differences(lambda p, k=k: function(*points[:k], p, *points[k + 1 :]), points[k])
        np.testing.assert_allclose(got, expected, atol=1e-7)


@quick
@given(
    roots=st.lists(st.integers(-4, 4), min_size=1, max_size=4, unique=True),
    leading=st.integers(0, 2),
    seed=st.integers(0, 2**16),
)
def test_roots_follow_the_polynomial(roots: list[int], leading: int, seed: int) -> None:
    """To first order, p + dp has the roots z + dz if p'(z) dz = -dp(z)."""
    coefficients = 1.5 * np.poly(roots)
    change = np.random.default_rng(seed).normal(size=coefficients.size) * (coefficients != 0)
    points = np.concatenate([np.zeros(leading), coefficients])
    found, moved = func.jvp(np.roots, (points,), (np.concatenate([np.zeros(leading), change]),))
    np.testing.assert_array_equal(found, np.roots(points))
    expected = -np.polyval(change, found) / np.polyval(np.polyder(coefficients), found)
    expected = np.where(found == 0, 0, expected)  # its coefficient is 0, and stays so
    np.testing.assert_allclose(moved, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("p", [[0.0, 2.0], [3.0], [0.0, 2.0, 0.0, 0.0]])
def test_roots_of_a_power_do_not_move(p: list[float]) -> None:
    np.testing.assert_array_equal(func.grad(lambda p: np.sum(np.roots(p)))(np.array(p)), np.zeros(len(p)))


@pytest.mark.parametrize("p", [[], [0.0, 0.0], [[1.0, 2.0]]])
def test_roots_of_what_is_no_polynomial(p: Any) -> None:
    x = tensor(p, float)
    x.attach_grad()
    with record():
        if x.ndim == 1:
            assert np.roots(x).shape == np.roots(x.array).shape == (0,)
        else:
            with pytest.raises(ValueError, match="Input must be a rank-1 array"):
                np.roots(x)


def test_complex_roots_have_no_derivative() -> None:
    x = tensor([1.0, 0.0, 1.0])
    x.attach_grad()
    with record(), pytest.raises((np.linalg.LinAlgError, ComplexResultError), match="only real numbers"):
        np.roots(x)


def as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


@example(n=5, deg=1, columns=(), weighted=True, options={}, seed=0)
@example(n=5, deg=1, columns=(), weighted=False, options={"full": True}, seed=0)
@example(n=5, deg=1, columns=(2,), weighted=True, options={"cov": True}, seed=0)
@example(n=5, deg=1, columns=(), weighted=False, options={"cov": "unscaled"}, seed=0)
@examples(4)
@given(
    n=st.integers(4, 7),
    deg=st.integers(0, 2),
    columns=st.sampled_from([(), (1,), (2,)]),
    weighted=st.booleans(),
    options=st.sampled_from([{}, {"full": True}, {"cov": True}, {"cov": "unscaled"}, {"rcond": 1e-9}]),
    seed=st.integers(0, 2**16),
)
def test_fits_of_polynomials(
    n: int, deg: int, columns: tuple[int, ...], weighted: bool, options: dict[str, Any], seed: int
) -> None:
    """To all that np.polyfit returns, gradients flow from the points, and from their weights."""
    rng = np.random.default_rng(seed)
    x, y, w = np.arange(n) / n + rng.uniform(0, 0.1, n), rng.normal(size=(n, *columns)), rng.uniform(1, 2, n)

    def fit(x: Any, y: Any, w: Any) -> Any:
        return np.polyfit(x, y, deg, w=w if weighted else None, **options)

    leaves = [tensor(v) for v in (x, y, w)]
    for leaf in leaves:
        leaf.attach_grad()
    with record():
        made = as_tuple(fit(*leaves))
    truth = as_tuple(fit(x, y, w))
    for got, expected in zip(made, truth, strict=True):
        np.testing.assert_allclose(getattr(got, "array", got), expected, rtol=1e-7, atol=1e-10)
        assert np.shape(got) == np.shape(expected)

    def number(x: Any, y: Any, w: Any) -> Any:
        return sum(np.sum(np.sin(part)) for part in as_tuple(fit(x, y, w))[:2]) + 0 * np.sum(w)

    check_gradients(number, x, y, w, order=1)


@pytest.mark.parametrize("cov", [0, 1, False, True, np.False_, np.True_, "unscaled", "", None, "scaled"])
def test_whatever_is_true_asks_for_the_covariances_of_a_fit(cov: Any) -> None:
    """Of five points by four coefficients: one more than those is enough."""
    y = np.array([1.0, 3.0, 2.0, 5.0, 4.0])
    leaf = tensor(y)
    leaf.attach_grad()
    with record():
        made = as_tuple(np.polyfit(np.arange(5.0), leaf, 3, cov=cov))
    for got, expected in zip(made, as_tuple(np.polyfit(np.arange(5.0), y, 3, cov=cov)), strict=True):
        np.testing.assert_allclose(getattr(got, "array", got), expected, rtol=1e-10)


@pytest.mark.parametrize(
    ("x", "y", "deg", "w"),
    [
        ((3,), (3,), -1, None),
        ((0,), (0,), 1, None),
        ((3,), (2,), 1, None),
        ((2,), (3,), 1, None),
        ((2,), (3, 2), 1, None),
        ((3, 1), (3,), 1, None),
        ((3,), (3, 1, 1), 1, None),
        ((3,), (), 1, None),
        ((3,), (3,), 1, (2,)),
        ((3,), (3,), 1, (3, 1)),
        ((3,), (2,), 1, (2,)),
        ((2,), (3,), 1, (3,)),
    ],
)
def test_fits_of_what_is_not_fitting_raise_as_numpys_do(x: Any, y: Any, deg: int, w: Any) -> None:
    arrays = [np.ones(x), np.ones(y), w and np.ones(w)]
    with pytest.raises((TypeError, ValueError)) as expected:
        np.polyfit(*arrays[:2], deg, w=arrays[2])
    leaves = [None if a is None else tensor(a) for a in arrays]
    for leaf in leaves[:2]:
        leaf.attach_grad()
    with record(), pytest.raises(expected.type, match=f"^{re.escape(str(expected.value))}$"):
        np.polyfit(*leaves[:2], deg, w=leaves[2])


@pytest.mark.parametrize("deg", [1, 2])
def test_fits_of_too_few_points(deg: int) -> None:
    x = tensor(np.ones(4))
    x.attach_grad()
    with record():
        with pytest.warns(np.exceptions.RankWarning, match="poorly conditioned") as warned:
            np.polyfit(x, np.arange(4.0), deg)
        with pytest.raises(ValueError, match="number of data points must exceed order"):
            np.polyfit(x * np.arange(4.0), np.arange(4.0), 3, cov=True)
        with (
            pytest.warns(np.exceptions.RankWarning, match="poorly conditioned"),
            pytest.raises(ValueError, match="number of data points must exceed order"),
        ):
            np.polyfit(x * np.arange(4.0), np.arange(4.0), 4, cov=True)
    assert warned[0].filename == __file__


@pytest.mark.parametrize("rcond", [None, 0.0, 1e-3, 1e-12])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_fits_drop_what_numpys_do(dtype: Any, rcond: Any) -> None:
    """Powers that are nearly the same in the dtype, and the number of points, decide."""
    x, y = np.arange(1000, 1008).astype(dtype), np.sin(np.arange(8.0))
    for deg, kind in itertools.product((1, 2, 3), (dtype, float)):
        y = y.astype(kind)
        leaf = attached(y)
        with warnings.catch_warnings(action="ignore", category=np.exceptions.RankWarning):
            expected, *_, rank, s, cutoff = np.polyfit(x, y, deg, rcond, full=True)
            with record():
                got, *_, own_rank, own_s, own_cutoff = np.polyfit(x, leaf, deg, rcond, full=True)
        assert (int(own_rank), own_cutoff) == (rank, cutoff)
        np.testing.assert_allclose(own_s.array, s, rtol=1e-3, atol=1e-6)
        if rcond == 1e-3:  # what is kept is well conditioned
            np.testing.assert_allclose(got.array, expected, rtol=1e-2)


def test_the_polynomial_of_a_matrix() -> None:
    """Its zeros are the eigenvalues: with one sign, their sum is the trace, their product the determinant."""
    a = np.array([[2.0, 1.0, 0.5], [1.0, 3.0, 0.25], [0.5, 0.25, 1.0]])
    np.testing.assert_allclose(gradient(lambda a: np.poly(a)[1], a), -np.eye(3), atol=1e-12)
    last, det = gradient(lambda a: np.poly(a)[3], a), gradient(lambda a: -np.linalg.det(a), a)
    np.testing.assert_allclose(last, det, atol=1e-12)


@pytest.mark.parametrize("shape", [(2, 3), (2, 2, 2), (0, 0)], ids=str)
def test_what_has_no_polynomial(shape: Any) -> None:
    x = tensor(np.zeros(shape))
    x.attach_grad()
    with record():
        np.testing.assert_array_equal(np.poly(np.ravel(x)[:0]), 1.0, strict=True)
        with pytest.raises(ValueError, match="input must be 1d or non-empty square 2d array"):
            np.poly(x)


@pytest.mark.parametrize("first", [0.0, 1e-13, -1e-10, 5e-9, -5e-9, 2e-8, -1e-3])
def test_remainders_begin_where_numpys_do(first: float) -> None:
    """What is nearly nothing before them is left away."""
    u, v = np.array([1.0, 0.0, 1.0 + first, 0.5]), np.array([1.0, 0.0, 1.0])
    leaf = tensor(u)
    leaf.attach_grad()
    with record():
        made = np.polydiv(leaf, v)
    for got, expected in zip(made, np.polydiv(u, v), strict=True):
        np.testing.assert_allclose(got.array, expected, rtol=1e-14, strict=True)


@pytest.mark.parametrize(
    "call",
    [
        *(np.polyadd, np.polysub, np.polymul, np.polyval, np.corrcoef),
        *(lambda u, v, k=k: np.polydiv(u, v)[k] for k in (0, 1)),
        *(lambda u, v, k=k: np.polydiv(u[:2], v)[k] for k in (0, 1)),
        lambda u, v: np.polyfit(u, v, 1),
    ],
    ids=range(10),
)
@pytest.mark.parametrize("dtypes", list(itertools.permutations([np.float16, np.float32, np.float64], 2)))
def test_dtypes_of_functions_of_two_dtypes(call: Any, dtypes: Any) -> None:
    u, v = (np.array([0.5, 2.0, -1.0], dtype) for dtype in dtypes)
    for tensors in ((True, False), (False, True), (True, True)):
        arguments = [attached(a) if one else a for a, one in zip((u, v), tensors, strict=True)]
        try:
            expected = call(u, v)
        except TypeError:  # NumPy's, of half precision
            return
        with record():
            made = call(*arguments)
        np.testing.assert_allclose(made.array, expected, rtol=1e-2, strict=True)


COEFFICIENTS: list[Any] = [0.0, 2.0, [], [0.0], [2.0], [0.0, 0.0], [0.0, 2.0], [2.0, 0.0], [0.0, 0.0, 3.0]]
COEFFICIENTS += [[0.0, 3.0, 2.0], [2.0, 0.0, 1.0], [0.0, 2.0, 0.0, -1.0, 0.0], [np.nan, 1.0], [0.0, np.inf]]
#: how many polynomials each of them takes
OF_POLYNOMIALS: dict[str, tuple[int, Callable[..., Any]]] = {
    "add": (2, np.polyadd),
    "sub": (2, np.polysub),
    "mul": (2, np.polymul),
    "div": (2, np.polydiv),
    **{f"der {m}": (1, lambda p, m=m: np.polyder(p, m)) for m in (0, 1, 3)},
    **{
        f"int {m}, {k}": (1, lambda p, m=m, k=k: np.polyint(p, m, k))
        for m, k in [(0, None), (1, None), (1, 0), (1, [2.0]), (2, None), (2, [0.0, 0.0]), (3, 1.5)]
    },
    "poly": (1, np.poly),
    "roots": (1, np.roots),
    "val": (1, lambda p: np.polyval(p, [0.0, 2.0])),
}


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("name", OF_POLYNOMIALS)
@pytest.mark.filterwarnings("ignore")
def test_polynomials_with_zeros_anywhere(name: str, dtype: Any) -> None:
    """Zeros of the highest powers are left away where NumPy does so, whichever of the two is a tensor.

    Shapes and dtypes are NumPy's, and so are the errors.
    """
    number, function = OF_POLYNOMIALS[name]
    compared = 0
    for arrays in itertools.product([np.asarray(p, dtype) for p in COEFFICIENTS], repeat=number):
        for some in ((1,), (0, 1)) if number == 2 else ((0,),):
            points = [attached(p) if i in some else p for i, p in enumerate(arrays)]
            try:
                expected = function(*arrays)
            except Exception as error:
                with record(), pytest.raises(type(error)):
                    function(*points)
                continue
            if name == "roots" and np.iscomplexobj(expected):
                continue
            with record():
                value = function(*points)
            for one, other in zip(as_tuple(value), as_tuple(expected), strict=True):
                one = one.array if isinstance(one, Tensor) else one  # NumPy makes some of nothing
                np.testing.assert_array_equal(one, other, strict=np.ndim(other) > 0)
                compared += 1
    assert compared > 5


@pytest.mark.parametrize("function", [np.polyadd, np.polysub], ids=name_of)
def test_sums_of_polynomials_side_by_side(function: Any) -> None:
    """NumPy adds matrices of coefficients, if they have one shape."""
    a = np.arange(6.0).reshape(3, 2)
    of_a, of_b = gradients(function, a, a[::-1])
    expected = gradients(np.add if function is np.polyadd else np.subtract, a, a[::-1])
    assert_same([of_a, of_b], expected)
    np.testing.assert_array_equal(gradient(lambda p: function(p, np.ones((2, 2))), [2.0]), [2])


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        *((lambda p, k=k: np.polyint(p, 3, k), (3,)) for k in ([], [1.0, 2.0])),
        *((lambda p, f=f: f(p, -1), (3,)) for f in (np.polyint, np.polyder)),
        *((lambda p, f=f: f(p, [1.0, 2.0, 3.0]), (1, 2)) for f in (np.polyadd, np.polysub)),
        *((lambda p, s=s: np.polymul(np.ones(s), p), t) for s, t in [((2, 2), (2,)), ((2,), (2, 2))]),
    ],
    ids=range(8),
)
def test_polynomials_that_numpy_does_not_take(function: Any, shape: Any) -> None:
    """Are errors of its own."""
    with pytest.raises((TypeError, ValueError)) as expected:
        function(np.ones(shape))
    x = tensor(np.ones(shape))
    x.attach_grad()
    with record(), pytest.raises(expected.type, match=f"^{re.escape(str(expected.value))}$"):
        function(x)


@pytest.mark.parametrize("shapes", [((3, 1), (2,)), ((2,), (1, 1))])
def test_polynomials_side_by_side_are_not_divided(shapes: Any) -> None:
    u, v = (tensor(np.ones(shape)) for shape in shapes)
    v.attach_grad()
    with record(), pytest.raises(ValueError, match=r"np\.polydiv of coefficients of shape .* no derivative"):
        np.polydiv(u, v)


# ---- zeros ------------------------------------------------------------------------------------------------


@quick
@given(a=hnp.arrays(int, (4,), elements=st.integers(-2, 2)))
def test_products_are_exact_with_zeros(a: Any) -> None:
    """To every order what multiplication gives, one factor after the other."""

    def running(x: Any) -> Any:
        parts = [x[0]]
        for i in range(1, 4):
            parts.append(parts[-1] * x[i])
        return np.stack(parts)

    assert_same(gradients(np.prod, a, order=4), gradients(lambda x: running(x)[-1], a, order=4))
    assert_same(gradients(np.cumprod, a, order=4), gradients(running, a, order=4))


def test_products_of_zeros() -> None:
    np.testing.assert_array_equal(gradient(np.prod, [0, 2, 3]), [6, 0, 0])
    np.testing.assert_array_equal(gradient(np.prod, [0, 2, 0]), [0, 0, 0])
    np.testing.assert_array_equal(gradient(np.prod, [0, 2, 0], order=2), [2, 0, 2])
    np.testing.assert_array_equal(gradient(np.prod, [0, 0, 0], order=3), [2, 2, 2])
    np.testing.assert_array_equal(gradient(np.prod, [[np.inf, 2], [3, 4]]), [[24, np.inf], [np.inf, np.inf]])
    rows = np.array([[0.0, 2.0], [3.0, 0.0]])
    np.testing.assert_array_equal(gradient(lambda x: np.prod(x, axis=1), rows), [[2, 0], [0, 3]])
    np.testing.assert_array_equal(gradient(lambda x: np.prod(x, axis=(1, 0)), rows), np.zeros((2, 2)))


def test_product_without_some_factors() -> None:
    got = gradient(lambda x: np.prod(x, where=[True, False, True], initial=5), [2, 0, 3])
    np.testing.assert_array_equal(got, [15, 0, 10])
    np.testing.assert_array_equal(gradient(np.nanprod, [2, np.nan, 3]), [3, 0, 2])
    np.testing.assert_array_equal(gradient(np.nancumprod, [2, np.nan, 3], head=[1, 1, 1]), [5, 0, 2])


def test_product_of_float16_numbers_of_which_parts_overflow() -> None:
    """The product of the two on the right is more than a float16 can hold."""
    factors = np.float16([0.01, 0.01, 300, 300])
    for function in (np.prod, lambda x: np.cumprod(x)[-1]):
        x = tensor(factors)
        x.attach_grad()
        with record():
            y = function(x)
        y.backward()
        np.testing.assert_allclose(x.grad.array, 9 / factors.astype(float), rtol=1e-2)
    columns = attached(np.stack([factors[:0:-1]] * 2, axis=1)), attached(factors[0])
    with record():
        y = np.prod(columns[0], axis=0, initial=columns[1])[1]
    of_columns, of_initial = (leaf.array for leaf in autograd.grad(y, columns))
    expected = 9 / factors[[3, 2, 1, 0]].astype(float)
    np.testing.assert_allclose(np.append(of_columns[:, 1], of_initial), expected, rtol=1e-2)


# ---- equal elements ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "constant", [0.0, 1.0, 1e300, *(c * 2.0**k for c in (0.1, -0.1, 1 / 3) for k in (0, 400, -400))]
)
@pytest.mark.parametrize(
    "options",
    [{}, {"axis": 0}, {"axis": 1, "keepdims": True}, {"ddof": 1}, {"where": np.eye(3) == 0}],
    ids=["", "axis", "keepdims", "ddof", "where"],
)
def test_std_of_equal_numbers_has_the_slope_zero(constant: float, options: dict[str, Any]) -> None:
    """Also where their mean, and so their deviations, are not exact: np.std([0.1] * 3) is 1.4e-17."""
    for function in (np.std, np.nanstd):
        for order in (1, 2):
            got = gradient(lambda x, f=function: f(x, **options), np.full((3, 3), constant), order=order)
            np.testing.assert_array_equal(got, np.zeros((3, 3)))


def test_the_correlation_of_a_constant_with_itself_is_not_known() -> None:
    x = tensor([1.0, 1.0])
    x.attach_grad()
    with record(), np.errstate(invalid="ignore"):
        assert np.isnan(np.corrcoef(x).array)


def test_std_where_only_one_row_is_constant() -> None:
    rows = [[0.1, 0.1, 0.1], [1.0, 2.0, 3.0]]
    got = gradient(lambda x: np.std(x, axis=1), rows)
    np.testing.assert_array_equal(got[0], 0)
    np.testing.assert_allclose(got[1], np.array([-1, 0, 1]) / 3 / np.std(rows[1]))
    for other in (5.0, -5.0):
        chosen = gradient(lambda x: np.std(x, where=[True, True, True, False]), [0.1, 0.1, 0.1, other])
        np.testing.assert_array_equal(chosen, 0)


@pytest.mark.parametrize("function", [np.max, np.min, np.maximum.reduce, np.minimum.reduce])
def test_an_initial_value_that_is_nan_is_the_extreme(function: Any) -> None:
    """It shares the gradient with elements that are NaN."""
    for x, expected in (([1.0, 2.0], [0, 0, 1]), ([1.0, np.nan], [0, 0.5, 0.5])):
        got = gradients(lambda x, t: function(x, initial=t), x, np.nan)
        np.testing.assert_array_equal(np.append(*got), expected)


@pytest.mark.parametrize("function", [np.var, np.std, np.nanvar, np.nanstd], ids=name_of)
def test_a_mean_that_is_given_can_be_differentiated(function: Any) -> None:
    """With the mean computed apart all is as without, also to third order."""
    a = [[0.5, 2.0, -1.0], [3.0, 0.25, 1.0]]

    def apart(x: Any) -> Any:
        return function(x, axis=1, mean=np.mean(x, axis=1, keepdims=True), correction=1)

    together = gradients(lambda x: function(x, axis=1, ddof=1), a, order=3)
    assert_same(gradients(apart, a, order=3), together)


@pytest.mark.parametrize("options", [{}, {"ddof": 1}, {"where": np.array([[True], [False]])}], ids=range(3))
def test_any_mean_that_is_given(options: dict[str, Any]) -> None:
    """Of which the deviations do not add up to zero."""
    a, mean = [[0.5, 2.0, -1.0], [3.0, 0.25, 1.0]], [[0.75], [1.5]]
    where, count = options.get("where", True), 3 - options.get("ddof", 0)

    def written_out(x: Any, m: Any) -> Any:
        return np.sum((x - m) ** 2, axis=1, where=where) / count

    with warnings.catch_warnings(action="ignore"):  # NumPy warns of the row of which nothing is taken
        got = gradients(lambda x, m: np.var(x, axis=1, mean=m, **options), a, mean, order=2)
    expected = gradients(written_out, a, mean, order=2)
    assert_same([g[:1] for g in got], [g[:1] for g in expected])
    if not options:
        assert_same(got, expected)
        squared = gradients(lambda x, m: np.std(x, axis=1, mean=m) ** 2, a, mean, order=2)
        assert_same(squared, expected)


# ---- what is left out -------------------------------------------------------------------------------------


ABOUT = {"mean": np.array([0.75])}


@pytest.mark.parametrize(
    ("function", "options"),
    [
        *((f, {}) for f in (np.sum, np.mean, np.var, np.std, np.prod, np.logaddexp.reduce)),
        *[(np.var, ABOUT), (np.std, ABOUT), (np.max, {"initial": 0.25}), (np.min, {"initial": 9.0})],
    ],
)
@pytest.mark.parametrize("left_out", [np.nan, np.inf, 1e100])
def test_what_where_leaves_out_has_no_say(function: Any, options: Any, left_out: float) -> None:
    """To third order, compiled too, and without a warning."""
    a, where = [1.0, left_out, 4.0, 0.5], np.array([True, False, True, True])
    without = gradients(lambda x: function(x[where], **options), a, order=3)
    assert_same(gradients(lambda x: function(x, where=where, **options), a, order=3), without)

    def slope(x: Any) -> Any:
        return func.grad(lambda x: function(x, where=where, **options))(x)

    def along(x: Any) -> Any:
        return np.sum(np.where(where, slope(x), 0) ** 2)

    x = np.array(a)
    for derivative in (slope, func.grad(along)):
        compiled = compile(derivative)
        for _ in range(2):  # what runs is made by the first call
            np.testing.assert_allclose(compiled(x), derivative(x), rtol=1e-12)


#: the first two and the fourth are taken
SPECIAL = [
    *([1.0, np.nan, 3.0, 5.0, 2.0], [1.0, np.nan, np.nan, 5.0, np.inf], [np.nan, np.nan, 1.0, np.nan, 2.0]),
    *([1.0, np.inf, 3.0, 5.0, -np.inf], [1.0, -np.inf, np.nan, np.inf, 0.0], [1.0, 2.0, np.nan, 4.0, np.inf]),
    *([0.0, 2.0, 0.0, 3.0, 1.0], [0.0, 0.0, 0.0, 3.0, 1.0], [3.0, 1.0, 9.0, 3.0, np.nan], [2.0] * 5),
    *([-np.inf, -np.inf, 1.0, -np.inf, 5.0], [2.0, 2.0, np.nan, 2.0, 5.0]),
]
WITH_WHERE = [f for f in ROWS if "where" in ROWS[f].options and not isinstance(f, np.ufunc)]


@pytest.mark.parametrize("function", WITH_WHERE, ids=name_of)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_where_takes_what_an_index_takes(function: Any) -> None:
    """Whatever is among what it takes, or leaves out; that gets the gradient 0."""
    where, options = np.array([True, True, False, True, False]), ROWS[function].options
    besides: list[dict[str, Any]] = [{}, {"ddof": 1}, {"correction": 0.5}, {"correction": 2.5}]
    besides += [{"initial": t} for t in (1.5, 2.0, np.nan, -np.inf)]
    besides += [{"mean": np.float64(t)} for t in (2.0, np.nan, np.inf)]
    for a, beside in itertools.product(map(np.array, SPECIAL), besides):
        if not beside.keys() <= options:
            continue
        try:
            function(a, where=where, **beside)
        except ValueError:  # max and min do not do without an initial value
            continue
        got = gradient(lambda x, o=beside: function(x, where=where, **o), a)
        np.testing.assert_array_equal(got[~where], 0)
        expected = gradient(lambda x, o=beside: function(x, axis=0, **o), a[where])
        np.testing.assert_allclose(got[where], expected, rtol=1e-13)


@pytest.mark.parametrize(
    "function", [np.nansum, np.nanmean, np.nanvar, np.nanstd, np.nanmax, np.nanmin, np.nanmedian], ids=name_of
)
def test_a_row_of_nothing_but_nan(function: Any) -> None:
    """The other rows get their gradients, and this one none."""
    with warnings.catch_warnings(action="ignore"):  # NumPy warns of the value
        got = gradient(lambda x: function(x, axis=1), [[np.nan, np.nan], [1.0, 2.0]])
    np.testing.assert_array_equal(got[0], 0)
    np.testing.assert_array_equal(got[1], gradient(function, [1.0, 2.0]))


def test_only_the_sweep_is_silent_about_nan() -> None:
    """Where NumPy warned of the value, the gradient does not warn again."""
    x = tensor([[np.nan, np.nan], [1.0, 2.0]])
    x.attach_grad()
    for function in (np.nanmean, np.nanvar, np.nanstd, np.nanmax, np.nanmedian):
        with record(), pytest.warns(RuntimeWarning):
            y = function(x, axis=1)
        y.backward()
        assert np.all(np.isfinite(x.grad.array))


@pytest.mark.parametrize("function", [np.nanmean, np.nanvar], ids=name_of)
def test_a_compiled_gradient_of_some_rows_is_silent_about_nan_in_others(function: Any) -> None:
    slope = compile(func.grad(lambda x: np.sum(np.where([False, True], function(x, axis=1), 0))))
    x = np.array([[np.nan, np.nan], [1.0, 2.0]])
    with pytest.warns(RuntimeWarning):
        expected = slope(x)  # with the value, of which NumPy warns
    np.testing.assert_array_equal(slope(x), expected)


@pytest.mark.parametrize(
    "function", [np.sum, np.prod, np.mean, np.var, np.std, np.median, np.nanquantile], ids=name_of
)
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_of_nothing(function: Any, axis: Any) -> None:
    x, q = tensor(np.zeros((0, 2))), tensor(0.3)
    x.attach_grad()
    q.attach_grad()
    with record(), warnings.catch_warnings(action="ignore"):
        y = function(x, q, axis=axis) if function is np.nanquantile else function(x, axis=axis) + 0 * q
    y.backward()
    assert x.grad.shape == (0, 2)
    assert q.grad.item() == 0


MASKED = [f for f in ROWS if "where" in ROWS[f].options]


@pytest.mark.parametrize("function", MASKED, ids=name_of)
@pytest.mark.parametrize("selected", [True, False])
def test_one_truth_for_all_is_a_mask(function: Any, selected: bool) -> None:
    """Also as a number of Python's or NumPy's, and as an array of no dimensions."""
    a, head = np.array([[0.5, 2.0, -1.0], [1.5, 0.25, 3.0]]), np.array([2.0, -3.0, 0.5])
    options = {"axis": 0, **({"initial": 0.75} if "initial" in ROWS[function].options else {})}

    def slope(where: Any) -> Any:
        return gradient(lambda x: function(x, where=where, **options), a, head=head)

    with warnings.catch_warnings(action="ignore"):  # of NumPy's, about means of nothing
        expected = slope(np.full((2, 3), selected))
        for where in (selected, np.bool_(selected), np.array(selected), np.array([selected])):
            np.testing.assert_array_equal(slope(where), expected)


THREE = np.ones((2, 3), bool)  # of them in a row
WITH_DEGREES: dict[str, Any] = {
    **{
        f"{name_of(f)} {[*options]}": lambda x, ddof, f=f, options=options: f(x, axis=1, ddof=ddof, **options)
        for f in (np.var, np.std, np.nanvar, np.nanstd)
        for options in ({}, {"where": THREE}, {"mean": np.zeros((2, 1))}, {"where": THREE[:1]})
    },
    **{
        f"np.cov {[*options]}": lambda x, ddof, options=options: np.cov(x, ddof=ddof, **options)
        for options in ({}, {"fweights": [1, 1, 1]}, {"aweights": np.ones(3)})
    },
}


@pytest.mark.parametrize("ddof", [3, 4, 7])
@pytest.mark.parametrize("name", WITH_DEGREES)
def test_no_degrees_of_freedom_are_left(name: str, ddof: int) -> None:
    """Where the value is none, the gradient is no number that could be taken for one."""
    x = tensor([[1.0, 2.0, 4.0], [0.0, -1.0, 3.0]])
    x.attach_grad()
    with record(), warnings.catch_warnings(action="ignore"):  # NumPy warns of the value
        y = WITH_DEGREES[name](x, ddof)
    assert not np.any(np.isfinite(y.array))
    y.backward()
    assert np.all(np.isnan(x.grad.array))


def test_logarithms_of_sums_at_infinity() -> None:
    """The limit, in which only the largest count."""
    got = gradient(lambda x: np.logaddexp.reduce(x), [-np.inf, 0.0, 0.0])
    np.testing.assert_allclose(got, [0, 0.5, 0.5])
    np.testing.assert_array_equal(gradient(np.logaddexp.reduce, [np.inf, 5.0]), [1, 0])
    for infinite in (np.inf, -np.inf):
        got = gradient(lambda x: np.logaddexp.reduce(x, where=[True, False, True]), [infinite] * 3)
        np.testing.assert_array_equal(got, [0.5, 0, 0.5])
    np.testing.assert_array_equal(gradient(np.logaddexp.reduce, [-np.inf, -np.inf]), [0.5, 0.5])
    np.testing.assert_allclose(gradient(np.logaddexp.reduce, [1000.0, 1000.0]), [0.5, 0.5])
    x, t = gradients(lambda x, t: np.logaddexp.reduce(x, initial=t, where=x < 3), [0.0, 5.0], 0.0)
    np.testing.assert_allclose([*x, t], [0.5, 0, 0.5])
    for end in (np.inf, -np.inf):
        some = partial(np.logaddexp.reduce, where=np.array([True, False]))
        x, t = gradients(lambda x, t, f=some: f(x, initial=t), [end, end], end)
        np.testing.assert_array_equal([*x, t], [0.5, 0, 0.5])


@given(hnp.arrays(float, 3, elements=st.floats(-5, 5)), st.floats(-1e300, 1e300) | st.floats(-1e9, 1e9))
def test_logarithms_of_sums_grow_by_what_all_terms_grow_by(a: Any, shift: float) -> None:
    """However large they are: slopes add up to 1, and come of their differences only; the second too."""
    both = gradients(lambda x, t: np.logaddexp.reduce(x, initial=t), a + shift, shift, order=2)
    slopes, curves = (np.append(*both[i : i + 2]) for i in (0, 2))
    terms = np.append(a + shift, shift) - max(np.max(a + shift), shift)
    parts = np.exp(terms) / np.sum(np.exp(terms))
    np.testing.assert_allclose(slopes, parts, rtol=1e-14)
    weights = 1 + np.arange(4)
    np.testing.assert_allclose(curves, parts * (weights - parts @ weights), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "function",
    [
        *(np.sum, np.mean, np.var, np.std, np.prod, np.max, np.min, np.nanmax, np.ptp, np.maximum.reduce),
        *(np.nansum, np.nanmean, np.nanvar, np.nanstd, np.nanprod, np.nanmin, np.median, np.nanmedian),
        *(np.logaddexp.reduce, np.maximum.accumulate, np.fmin.accumulate, np.cumsum, np.cumprod, np.average),
        *(np.nancumsum, np.nancumprod, np.logaddexp.accumulate, np.diff, np.gradient, np.trapezoid),
        *(np.linalg.norm, partial(np.linalg.norm, ord=1), partial(np.linalg.norm, ord=3)),
        *(partial(np.linalg.norm, ord=p) for p in (np.inf, -np.inf, 0.5, 0)),
        *(partial(f, q=q) for f, q in ((np.quantile, 0.5), (np.percentile, 80), (np.nanquantile, [0.3]))),
        *(partial(np.quantile, q=0.5, method=method) for method in ("lower", "hazen", "midpoint")),
    ],
    ids=lambda f: name_of(getattr(f, "func", f)),
)
@pytest.mark.filterwarnings("ignore:All-NaN", "ignore:Mean of empty", "ignore:Degrees of freedom")
@quick
@given(hnp.arrays(float, (3, 2), elements=st.sampled_from([-np.inf, 0.0, 1.0, np.inf, np.nan])))
@example(np.array([[np.inf, np.inf], [0.0, 1.0], [np.inf, 0.0]]))
@example(np.array([[np.nan, np.nan], [1.0, 1.0], [1.0, 0.0]]))
@example(np.array([[np.nan, 0.0], [1.0, 1.0], [0.0, np.nan]]))
def test_a_row_beside_others_has_the_gradient_that_it_has_alone(function: Any, rows: Any) -> None:
    """With ties in one of them and none in the next, and infinite numbers in either."""
    with np.errstate(invalid="ignore", divide="ignore"):
        together = gradient(lambda x: function(x, axis=1), rows)
        alone = [gradient(function, row) for row in rows]
    np.testing.assert_allclose(together, np.reshape(alone, rows.shape), rtol=1e-14)


@pytest.mark.parametrize(
    "function",
    [
        *(np.nansum, np.nanmean, np.nanvar, np.nanstd, np.nanprod, np.nanmax, np.nanmin, np.nanmedian),
        *(np.nancumsum, np.nancumprod, np.fmax.accumulate, np.fmin.accumulate),
        *(partial(np.nanquantile, q=[0.3, 0.8], method=method) for method in statistics.INTERPOLATING),
        *(partial(np.nanpercentile, q=30, method=method) for method in ("lower", "midpoint", "linear")),
        partial(np.nanvar, ddof=1),
        partial(np.nanstd, ddof=0.5),
    ],
    ids=lambda f: name_of(getattr(f, "func", f)),
)
def test_rows_with_different_numbers_of_numbers(function: Any) -> None:
    """Are as they are alone, and without what is NaN."""
    rows = [[1.0, np.nan, 4.0, 6.0, 0.5], [3.0, np.nan, np.nan, 7.0, np.nan], [2.0, 9.0, 1.0, 5.0, 4.0]]
    together = gradient(lambda x: function(x, axis=1), rows)
    for got, row in zip(together, np.array(rows), strict=True):
        np.testing.assert_allclose(got, gradient(function, row), rtol=1e-14)
        kept = ~np.isnan(row)
        if function not in (np.nancumsum, np.nancumprod, np.fmax.accumulate, np.fmin.accumulate):
            np.testing.assert_allclose(got[kept], gradient(function, row[kept]), rtol=1e-14)
        assert not np.any(got[~kept])


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4)])
def test_integrals_over_places_of_any_number_of_axes(shape: tuple[int, ...]) -> None:
    """Along each axis, counted from either end, which is that of the places as well if they have several."""
    rng = np.random.default_rng(0)
    y = rng.uniform(-1, 1, shape)
    for axis in range(-y.ndim, y.ndim):
        assert_slopes(partial(np.trapezoid, axis=axis), y, np.sort(rng.uniform(0, 2, shape[axis])))
        for ndim in range(max(2, -axis), y.ndim + 1):
            if axis < 0 or ndim == y.ndim:
                places = np.cumsum(rng.uniform(0.5, 1, shape[y.ndim - ndim :]), axis)
                assert_slopes(partial(np.trapezoid, axis=axis), y, places)


@given(hnp.arrays(float, 4, elements=st.floats(-5, 5) | st.floats(-1e4, 1e4) | st.just(-np.inf)))
@example(np.array([0.0, -50.0, 3.0, -100.0]))
@example(np.array([-np.inf, -np.inf, 3.0, -np.inf]))
@example(np.array([-np.inf, -np.inf, -np.inf, 3.0]))
@example(np.array([-np.inf, 1e4, -np.inf, 1e4]))
@example(np.array([0.0, 0.0, 0.0, 737.125]))
def test_each_of_the_running_sums_is_a_sum(a: Any) -> None:
    """But how the sum of -inf alone is shared, depends on the order in which it is made."""
    for i in range(a.size):
        running = gradient(np.logaddexp.accumulate, a, head=np.arange(a.size) == i)
        if np.any(np.isfinite(a[: i + 1])):
            whole = gradient(np.logaddexp.reduce, a[: i + 1])
            expected = np.append(whole, np.zeros(a.size - i - 1))
            np.testing.assert_allclose(running, expected, rtol=1e-12, atol=np.finfo(float).tiny)  # subnormal
        else:
            assert np.sum(running) == 1
            assert not np.any(running[i + 1 :])


def test_running_extremes_pass_over_nan() -> None:
    """Until there is a number they are NaN, and nothing gets their gradient."""
    numbers, head = [np.nan, 1.0, np.nan, 2.0, 0.0], [8.0, 1.0, 2.0, 3.0, 4.0]
    np.testing.assert_array_equal(gradient(np.fmax.accumulate, numbers, head=head), [0, 3, 0, 7, 0])
    np.testing.assert_array_equal(gradient(np.fmin.accumulate, numbers, head=head), [0, 6, 0, 0, 4])


@quick
@given(hnp.arrays(float, st.integers(1, 6), elements=st.sampled_from([np.nan, -np.inf, 0.0, 1.0, np.inf])))
@example(np.array([-np.inf, np.nan]))
@example(np.array([np.inf, np.nan]))
@example(np.array([np.nan, 1.0, np.nan, np.nan]))
@example(np.array([1.0, 1.0, np.nan, 1.0, np.nan, 0.0]))
def test_running_extremes_of_any_numbers(a: Any) -> None:
    """Each of the results is an extreme of its own."""
    pairs: list[Any] = [
        (np.maximum, np.max),
        (np.minimum, np.min),
        (np.fmax, np.nanmax),
        (np.fmin, np.nanmin),
    ]
    for function, extreme in pairs:
        with warnings.catch_warnings(action="ignore"):  # of the sum of infinities, and where there is but NaN
            apart = gradients(lambda x, f=extreme: np.stack([f(x[: i + 1]) for i in range(a.size)]), a)
            together = gradients(lambda x, f=function: f.accumulate(x), a)
        assert_same(together, apart)


# ---- large and small numbers, and head gradients of very different sizes ----------------------------------

MIXED = np.array([[0.5, 2.0, -1.25, 0.875], [1.5, -0.375, 3.0, 0.25]])
HOLES = np.array([[0.5, 2.0, np.nan, 0.875], [1.5, -0.375, 3.0, np.nan]])
PLACES = np.array([0.25, 0.75, 1.5, 1.0])
SPACES = [np.array([0.0, 1.25]), np.array([0.0, 0.5, 2.0, 3.75])]
#: by name a function, its degree in some arrays (if all grow c times, the result does c to that power; None
#: if it has none), and these arrays
CALLS: dict[str, tuple[Any, ...]] = {
    **{
        name_of(f): (partial(f, axis=1), 1, MIXED)
        for f in (
            *(np.sum, np.mean, np.std, np.max, np.min, np.amax, np.amin, np.ptp, np.median, np.cumsum),
            *(np.maximum.accumulate, np.minimum.accumulate, np.fmax.accumulate, np.fmin.accumulate, np.diff),
        )
    },
    **{
        name_of(f): (partial(f, axis=1), 1, HOLES)
        for f in (np.nansum, np.nanmean, np.nanstd, np.nanmax, np.nanmin, np.nanmedian, np.nancumsum)
    },
    "var": (partial(np.var, axis=1), 2, MIXED),
    "nanvar": (partial(np.nanvar, axis=1), 2, HOLES),
    "std of a sample": (partial(np.std, axis=1, ddof=1), 1, MIXED),
    "std where": (partial(np.std, axis=1, where=MIXED != 0.25), 1, MIXED),
    "var where": (partial(np.var, axis=1, where=MIXED != 0.25), 2, MIXED),
    "std about a mean": (lambda x, m: np.std(x, axis=1, mean=m), 1, MIXED, MIXED[:, :1] + 0.0625),
    "var about a mean": (lambda x, m: np.var(x, axis=1, mean=m), 2, MIXED, MIXED[:, :1] + 0.0625),
    "std along all": (np.std, 1, MIXED),
    "cov": (np.cov, 2, MIXED),
    "cov of both": (np.cov, 2, MIXED, MIXED[:, ::-1]),
    "cov with weights": (lambda m: np.cov(m, aweights=PLACES, fweights=[1, 2, 3, 1]), 2, MIXED),
    "cov by weights": (lambda w: np.cov(MIXED, aweights=w), 0, PLACES),
    "cov by weights alone": (lambda w: np.cov(MIXED, aweights=w, ddof=0), 0, PLACES),
    "average": (lambda a: np.average(a, axis=1, weights=PLACES), 1, MIXED),
    "average by weights": (lambda w: np.average(MIXED, axis=1, weights=w, returned=True)[0], 0, PLACES),
    "sum of weights": (lambda w: np.average(MIXED, axis=1, weights=w, returned=True)[1], 1, PLACES),
    "histogram": (lambda w: np.histogram(PLACES, [0, 0.3, 0.9, 1.2], weights=w)[0], 1, PLACES),
    "density": (lambda w: np.histogram(PLACES, [0, 0.3, 0.9, 1.2], None, True, w)[0], 0, PLACES),
    "bincount": (lambda w: np.bincount([0, 2, 1, 0], w), 1, PLACES),
    **{
        f"quantile, {method}": (partial(np.quantile, q=[0.3, 0.8], axis=1, method=method), 1, MIXED)
        for method in (*statistics.INTERPOLATING, "averaged_inverted_cdf", "midpoint", *statistics.SELECTING)
    },
    "percentile": (partial(np.percentile, q=30, axis=1), 1, MIXED),
    "nanpercentile": (partial(np.nanpercentile, q=[30, 60], axis=1), 1, HOLES),
    "quantile by its share": (lambda q: np.quantile(MIXED, q, axis=1), None, np.array([0.3, 0.6])),
    "prod": (partial(np.prod, axis=0), 2, MIXED),
    "nanprod": (partial(np.nanprod, axis=0), 2, MIXED),
    **{
        f"{name_of(f)} with an initial value": (
            lambda x, t, f=f: f(x, axis=0, initial=t),
            degree,
            MIXED,
            np.array(0.5),
        )
        for f, degree in ((np.sum, 1), (np.prod, 3), (np.max, 1), (np.nanmin, 1), (np.logaddexp.reduce, None))
    },
    "cumprod": (lambda x: np.cumprod(x, axis=0)[1], 2, MIXED),
    "cumprod of four": (partial(np.cumprod, axis=1), None, MIXED),
    "nancumprod": (lambda x: np.nancumprod(x, axis=0)[1], 2, MIXED),
    "logaddexp": (partial(np.logaddexp.reduce, axis=1), None, MIXED),
    "logaddexp.accumulate": (partial(np.logaddexp.accumulate, axis=1), None, MIXED),
    "ediff1d": (np.ediff1d, 1, MIXED),
    "gradient": (lambda f: np.stack(np.gradient(f, *SPACES)), 1, MIXED),
    "gradient of order 2": (lambda f: np.gradient(f, SPACES[1], axis=1, edge_order=2), 1, MIXED),
    "gradient by places": (lambda x: np.gradient(MIXED, x, axis=1, edge_order=2), -1, SPACES[1]),
    "gradient by distance": (lambda h: np.gradient(MIXED, h, axis=1, edge_order=2), -1, np.array(0.5)),
    "trapezoid": (np.trapezoid, 2, MIXED, PLACES),
    "trapezoid by distance": (lambda y, dx: np.trapezoid(y, dx=dx), 2, MIXED, np.array(0.5)),
    "interp": (lambda fp: np.interp([0.2, 0.3, 1.2], [0, 0.5, 1, 2], fp), 1, PLACES),
    "interp at": (
        lambda x, xp: np.interp(x, xp, [3.0, 1, 2, 7]),
        0,
        PLACES - 0.125,
        np.array([0, 0.5, 1, 2]),
    ),
    "interp, periodic": (lambda fp: np.interp([0.2, 1.2, 5.25], [0, 0.5, 1, 2], fp, period=3.0), 1, PLACES),
    "convolve": (np.convolve, 2, PLACES, MIXED[0]),
    "correlate": (partial(np.correlate, mode="same"), 2, PLACES, MIXED[0, :3]),
    "vander": (lambda x: np.vander(x, 3)[:, 0], 2, PLACES),
    "vander of all": (np.vander, None, PLACES),
    "polyval": (lambda p: np.polyval(p, [0.5, 2.0]), 1, PLACES),
    "polyval at": (lambda x: np.polyval([2.0, 0.0, 0.0], x), 2, PLACES),
    "add.reduceat": (partial(np.add.reduceat, indices=[0, 2, 1], axis=1), 1, MIXED),
}
if hasattr(np, "cumulative_sum"):  # since NumPy 2.1
    CALLS["cumulative_sum"] = partial(np.cumulative_sum, axis=1, include_initial=True), 1, MIXED
    CALLS["cumulative_prod"] = lambda x: np.cumulative_prod(x, axis=0)[1], 2, MIXED


def with_degree(calls: dict[str, tuple[Any, ...]]) -> list[str]:
    return [name for name, (_, degree, *_) in calls.items() if degree is not None]


@pytest.mark.parametrize("name", with_degree(CALLS))
def test_gradients_in_other_units_of_measure(name: str) -> None:
    """Of numbers that are all 1e-150, 1e-12 or 1e150 times as large, in every element; and in float32."""
    function, degree, *points = CALLS[name]
    head = np.resize([1.0, -0.5, 2.0, 0.25, -3.0], np.shape(function(*points)))
    expected = gradients_in(float, function, points, head)
    scales = {np.float64: (-500, -40, 40, 500), np.float32: (-60, -20, 0, 20, 60)}
    for dtype, power in ((dtype, power) for dtype, powers in scales.items() for power in powers):
        with np.errstate(over="ignore"):  # of a value of a higher degree
            found = gradients_in(dtype, function, [p * 2.0**power for p in points], head)
        for got, truth in zip(found, expected, strict=True):
            truth = (truth * 2.0 ** (power * (degree - 1))).astype(dtype)
            np.testing.assert_allclose(
                got, truth, rtol=32 * np.finfo(dtype).eps, atol=0, err_msg=f"2**{power}"
            )


@pytest.mark.parametrize("name", [name for name, (f, _, *p) in CALLS.items() if np.size(f(*p)) > 1])
def test_head_gradients_of_very_different_sizes(name: str) -> None:
    """No gradient is a difference of what belongs to others; and infinite ones leave the others alone."""
    function, _, *points = CALLS[name]
    y = function(*points)
    ones = np.reshape(np.eye(y.size), (y.size, *y.shape))
    parts = [
        np.stack(part) for part in zip(*(gradients_in(float, function, points, e) for e in ones), strict=True)
    ]
    sizes = np.random.default_rng(0).permutation(2.0 ** np.linspace(-60, 60, y.size))
    for got, part in zip(gradients_in(float, function, points, sizes.reshape(y.shape)), parts, strict=True):
        terms = part * sizes.reshape(-1, *(1,) * (part.ndim - 1))
        bound = 1e-14 * np.sum(np.abs(terms), axis=0)
        assert np.all(np.abs(got - np.sum(terms, axis=0)) <= bound)
    for k, one in enumerate(ones):
        with np.errstate(invalid="ignore"):
            endless = gradients_in(float, function, points, np.where(one, np.inf, 1))
        for got, part in zip(endless, parts, strict=True):
            others = np.sum(part, axis=0)
            np.testing.assert_array_equal(np.isfinite(got), part[k] == 0)
            np.testing.assert_allclose(got[part[k] == 0], others[part[k] == 0], rtol=1e-14, atol=1e-15)


# ---- options that are tensors, and results in a tuple -----------------------------------------------------


def test_both_results_of_average() -> None:
    def both(x: Any, w: Any) -> Any:
        mean, total = np.average(x, weights=w, returned=True)
        return mean * total  # the weighted sum

    a, w = [1.0, -2.0, 0.5], [0.5, 2.0, 3.0]
    assert_same(gradients(both, a, w, order=2), gradients(lambda x, w: (x * w).sum(), a, w, order=2))


@pytest.mark.parametrize("options", [{}, {"axis": 1}, {"axis": (1, 0)}, {"axis": 1, "keepdims": True}])
def test_an_average_without_weights_is_a_mean(options: dict[str, Any]) -> None:
    a = np.arange(6.0).reshape(2, 3)
    for function in (np.average, lambda x, **options: np.average(x, returned=True, **options)[0]):
        assert_same(gradients(partial(function, **options), a), gradients(partial(np.mean, **options), a))


def test_weights_of_each_row_of_their_own() -> None:
    a, weights = np.sin(np.arange(6.0)).reshape(2, 3), np.arange(1.0, 7.0).reshape(2, 3)
    _, of_weights = gradients(lambda x, w: np.average(x, axis=1, weights=w), a, weights)
    slopes = differences(lambda w: np.average(a, axis=1, weights=w), weights)
    np.testing.assert_allclose(of_weights, slopes, atol=1e-7)


@pytest.mark.parametrize("axis", [(0, 2), (2, 0), (-1, 1), (2, 1, 0), (1, 2, 0)], ids=str)
def test_weights_for_some_axes(axis: tuple[int, ...]) -> None:
    """Their axes stand for those of `axis`, in that order."""
    a = np.sin(np.arange(24.0)).reshape(2, 3, 4)
    weights = np.reshape(
        1 + np.arange(float(np.prod([a.shape[i] for i in axis]))), [a.shape[i] for i in axis]
    )
    of_a, of_weights = gradients(lambda x, w: np.average(x, axis=axis, weights=w), a, weights)
    np.testing.assert_allclose(
        of_a, differences(lambda x: np.average(x, axis=axis, weights=weights), a), atol=1e-9
    )
    np.testing.assert_allclose(
        of_weights, differences(lambda w: np.average(a, axis=axis, weights=w), weights), atol=1e-7
    )


def test_polynomials_at_points_in_any_layout() -> None:
    x, head = np.arange(6.0).reshape(2, 3), np.array([[1.0, 2.0, 5.0], [3.0, 7.0, 4.0]])
    for points in (x, np.asfortranarray(x)):
        got = gradient(lambda p, points=points: np.polyval(p, points), [1.0, 2.0, 3.0], head=head)
        np.testing.assert_array_equal(got, [np.sum(head * x**2), np.sum(head * x), np.sum(head)])


def test_width_of_panels() -> None:
    x, dx = gradients(lambda y, dx: np.trapezoid(y, dx=dx), [1.0, 2.0, 4.0], 0.5)
    np.testing.assert_array_equal(x, [0.25, 0.5, 0.25])
    assert dx == 4.5
    assert gradients(lambda y, dx: np.trapezoid(y, [0, 1, 3], dx), [1.0, 2.0, 4.0], 0.5)[1] == 0


@pytest.mark.parametrize("function", [np.convolve, np.correlate], ids=name_of)
@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_sliding_products_of_all_sizes(function: Any, mode: str) -> None:
    for n in range(1, 6):
        for m in range(1, 6):
            a, v = np.sin(np.arange(1.0, n + 1)), np.cos(np.arange(1.0, m + 1))
            of_a, of_v = gradients(lambda a, v: function(a, v, mode), a, v)
            expected = differences(lambda a, v=v: function(a, v, mode), a)
            np.testing.assert_allclose(of_a, expected, atol=1e-9, err_msg=f"{n}, {m}")
            expected = differences(lambda v, a=a: function(a, v, mode), v)
            np.testing.assert_allclose(of_v, expected, atol=1e-9, err_msg=f"{n}, {m}")


def test_covariances_by_columns_of_one_row() -> None:
    """As NumPy's versions take it: of n variables, or of one that was observed n times."""
    row, rows = [[1.0, 3.0, 7.0]], [[1.0, 2.0], [3.0, 2.5], [7.0, 0.0]]
    got = gradients(lambda m: np.cov(m, rowvar=False, bias=True), row)[0]
    np.testing.assert_allclose(got, differences(lambda m: np.cov(m, rowvar=False, bias=True), row), atol=1e-6)
    of_m, of_y = gradients(lambda m, y: np.cov(m, y, rowvar=False), rows, row)
    by_rows_m, by_rows_y = gradients(np.cov, np.transpose(rows), row)
    assert_same([of_m, of_y], [by_rows_m.T, by_rows_y])


@pytest.mark.parametrize("rowvar", [True, False])
@pytest.mark.parametrize("second", [None, 1, 2], ids=repr)
def test_correlations(rowvar: bool, second: int | None) -> None:
    """NumPy's own to the last bit, of one set of variables and of two; with derivatives of both orders."""
    rng = np.random.default_rng(7)
    data = [rng.normal(size=(n, 5) if rowvar else (5, n)) for n in (3, second) if n]

    def function(*arrays: Any, **options: Any) -> Any:
        return np.corrcoef(*arrays, rowvar=rowvar, **options)

    for options in ({}, {"dtype": np.float32}):
        leaves = [tensor(array) for array in data]
        leaves[-1].attach_grad()
        with record():
            got = function(*leaves, **options)
        np.testing.assert_array_equal(got.array, function(*data, **options), strict=True)
    check_gradients(function, *data)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("ddof", [None, 0, 1])
@pytest.mark.parametrize("counts", [None, np.array([1, 3, 1, 2])], ids=["each once", "counts"])
def test_covariances_by_weights(bias: bool, ddof: int | None, counts: Any) -> None:
    """With all that says what they are divided by; with derivatives of both orders."""
    rows, weights = np.sin(np.arange(8.0)).reshape(2, 4), np.array([1.0, 3.0, 2.0, 0.5])
    options = {"bias": bias, "ddof": ddof, "fweights": counts}
    check_gradients(lambda m: np.cov(m, **options), rows)
    check_gradients(lambda m, w: np.cov(m, aweights=w, **options), rows, weights)


@pytest.mark.parametrize("ddof", [0, 1])
def test_the_scale_of_weights_of_covariances_has_no_say(ddof: int) -> None:
    rows, weights = np.sin(np.arange(8.0)).reshape(2, 4), np.array([1.0, 3.0, 2.0, 0.5])

    def cov(m: Any, w: Any) -> Any:
        return np.cov(m, ddof=ddof, aweights=w)

    of_m, of_w = gradients(cov, rows, weights)
    for scale in (1 / 8, 8):
        assert_same(gradients(cov, rows, scale * weights), [of_m, of_w / scale])


def test_correlations_are_never_beyond_one() -> None:
    """As some would be by rounding alone, to either side; NumPy's own to the last bit."""
    for scale in np.arange(0.1, 2, 0.1):
        x = scale * np.arange(1.0, 6.0)
        rows = np.stack([x, -x, 3 * x])
        m = tensor(rows)
        m.attach_grad()
        with record():
            got = np.corrcoef(m)
        assert np.max(np.abs(got.array)) <= 1
        np.testing.assert_array_equal(got.array, np.corrcoef(rows), strict=True)


def test_correlation_of_one_variable_with_itself() -> None:
    np.testing.assert_allclose(gradient(np.corrcoef, [1.0, 3.0, 7.0]), 0, atol=1e-15)


def test_interpolation_at_and_beyond_the_points() -> None:
    """At a point the slope is the one to its right; at the last one that to the left; beyond it is 0."""
    xp, fp = [0.0, 1.0, 3.0], [1.0, 2.0, 8.0]
    x = [-1.0, 0.0, 1.0, 2.0, 3.0, 4.0]
    np.testing.assert_array_equal(gradient(lambda x: np.interp(x, xp, fp), x), [0, 1, 3, 3, 3, 0])
    np.testing.assert_array_equal(gradient(lambda x: np.interp(x, xp[1:], fp[1:]), x), [0, 0, 3, 3, 3, 0])
    np.testing.assert_array_equal(gradient(lambda x: np.interp(x, xp[2:], fp[2:]), x), np.zeros(6))
    _, _, of_fp, left, right = gradients(np.interp, x, xp, fp, -5.0, 7.0)
    np.testing.assert_array_equal(of_fp, [2, 3 + 4 / 2, 4 / 2 + 5])
    assert (left, right) == (1, 6)
    np.testing.assert_array_equal(gradients(np.interp, x, xp, fp)[2], [3, 5, 13])


@pytest.mark.parametrize("xp", [[1.0], [0.0, 2.0], [0.0, 0.0, 2.0, 2.0], [0.0, 1.0, 1.0, 3.0]])
def test_interpolation_is_linear_in_the_values(xp: list[float]) -> None:
    """Also where two points are at one place: there NumPy takes one of their values, or a mean."""
    fp, x = np.array([2.0, 3.0, 5.0, 7.0])[: len(xp)], np.arange(-0.5, 4, 0.5)
    for at in x:
        slopes = gradient(lambda fp, at=at: np.interp(at, xp, fp), fp)
        assert slopes @ fp == np.interp(at, xp, fp)
        assert np.sum(slopes) == 1
    all_slopes = func.grad(lambda *points: np.sum(np.interp(*points) ** 2), (0, 1, 2))
    compiled, points = compile(all_slopes), (x, np.array(xp), fp)
    for _ in range(2):  # what runs is made by the first call, and does not warn either
        for got, expected in zip(compiled(*points), all_slopes(*points), strict=True):
            np.testing.assert_allclose(got, expected)


def test_ends_of_a_periodic_interpolation_are_ignored() -> None:
    for sign in (1, -1, 0):
        values = gradients(
            lambda x, left, right, sign=sign: sign * np.interp(x, [0, 1], [3, 5], left, right, 2.5),
            [7.25, -0.25, 0.5],
            1.0,
            1.0,
        )
        np.testing.assert_allclose(values[0], np.array([-2 / 1.5, 2 * -2 / 1.5, 3 * 2]) * sign)
        assert values[1:] == [0, 0]
    points = [7.25, -0.25, 0.5], [0.0, 1.0], [3.0, 5.0]
    expected = gradients(lambda *points: np.interp(*points, period=2.5), *points)
    assert_same(gradients(lambda *points: np.interp(*points, 1.0, 1.0, 2.5), *points), expected)


def test_a_period_may_be_negative() -> None:
    points = [0.5, 3.25, -4.5], [0.25, 6.0, -3.0], [1.0, 5.0, -2.0]
    one, other = (gradients(lambda *args, p=p: np.interp(*args, period=p), *points) for p in (2.5, -2.5))
    assert_same(one, other)
    np.testing.assert_allclose(
        one[0], differences(lambda x: np.interp(x, *points[1:], period=2.5), points[0])
    )


@pytest.mark.parametrize(
    "axis", [*itertools.permutations((0, -2, 2)), (1, 0), (-1, 0), (2, 1), None], ids=str
)
@pytest.mark.parametrize("edge_order", [1, 2])
def test_slopes_along_axes_in_any_order(axis: Any, edge_order: int) -> None:
    """Each with a distance, or places, of its own; results come in the order of the axes."""
    f = np.random.default_rng(0).uniform(-1, 1, (3, 4, 5))
    lengths = [f.shape[i] for i in (range(3) if axis is None else axis)]
    spacings = [np.cumsum(0.5 + np.sin(np.arange(n)) ** 2) if n != 4 else 0.7 for n in lengths]

    def function(f: Any, *distances: Any) -> Any:
        return np.stack(np.gradient(f, *distances, axis=axis, edge_order=edge_order))

    for distances in (spacings, [0.5 + n for n in lengths], [0.3], []):
        assert_slopes(function, f, *distances)


def test_nothing_flows_through_an_integer_sum() -> None:
    np.testing.assert_array_equal(gradient(lambda x: x * np.sum(x, dtype=int), [1.5, 2.5]), [3, 3])


CONSTANTS: dict[Any, Callable[[Any], Any]] = {
    np.argmax: np.argmax,
    np.argmin: np.argmin,
    np.nanargmax: np.nanargmax,
    np.nanargmin: np.nanargmin,
    np.argsort: np.argsort,
    np.argpartition: lambda x: np.argpartition(x, 1),
    np.lexsort: lambda x: np.lexsort((x, x)),
    np.all: np.all,
    np.any: np.any,
    np.count_nonzero: np.count_nonzero,
    np.searchsorted: lambda x: np.searchsorted(np.sort(x), x),
    np.digitize: lambda x: np.digitize(x, [0.0, 1.0]),
}


@pytest.mark.parametrize("function", CONSTANTS, ids=name_of)
def test_constants(function: Any) -> None:
    data = np.array([3.0, -1.0, 0.5])
    x = tensor(data)
    x.attach_grad()
    with record():
        y = CONSTANTS[function](x)
    assert not isinstance(y, Tensor) or y.node is None
    np.testing.assert_array_equal(np.asarray(y), CONSTANTS[function](data))


# ---- what has no derivative -------------------------------------------------------------------------------


def of(function: Callable[[Any], Any]) -> None:
    """Differentiate where an error is expected."""
    x = tensor([1.0, 3.0, 2.0])
    x.attach_grad()
    with record():
        y = function(x)
    y.backward()


@pytest.mark.parametrize("function", [np.median, np.nanmedian], ids=name_of)
def test_median_that_reorders_its_argument(function: Any) -> None:
    for flag in (True, 1, np.True_):
        with pytest.raises(InPlaceError, match="cannot be changed in place"):
            of(lambda x, flag=flag: function(x, overwrite_input=flag))
        with pytest.raises(InPlaceError, match="cannot be changed in place"):
            of(lambda x, flag=flag: np.quantile(x, 0.5, overwrite_input=flag))


TAKES_Q = [np.quantile, np.percentile, np.nanquantile, np.nanpercentile]


@pytest.mark.parametrize("name", ["a", "out"])
@pytest.mark.parametrize("function", [np.median, np.nanmedian, *TAKES_Q], ids=name_of)
def test_one_call_does_not_write_into_two_arrays(function: Any, name: str) -> None:
    """Whichever of them is a tensor: one of the two would not be noticed."""
    a, out = (
        asarray(x) if n == name else x for n, x in (("a", np.array([1.0, 3.0])), ("out", np.array(0.0)))
    )
    with pytest.raises(
        ValueError, match="would write into out= and into its argument a: leave overwrite_inp"
    ):
        function(a, *[0.5] * (function in TAKES_Q), out=out, overwrite_input=True)
    function(a, *[50 if "percentile" in name_of(function) else 0.5] * (function in TAKES_Q), out=out)
    assert out.item() == 2


@pytest.mark.parametrize("q", [[[0.25, 0.5]], [[0.25]], [[0.25], [0.5]]])
def test_quantiles_in_several_dimensions_of_what_is_not_nan(q: Any) -> None:
    """There NumPy (at least up to 2.4) puts some axes of the result into the wrong places."""
    shape = re.escape(str(np.shape(q)))
    for function in (np.nanquantile, np.nanpercentile):
        name = re.escape(name_of(function))
        with pytest.raises(ValueError, match=f"{name} has no derivative for q of shape {shape}.*one dim"):
            of(lambda x, f=function: f(x, q))


def test_polynomials_with_coefficients_in_two_dimensions() -> None:
    with pytest.raises(ValueError, match=r"np.polyval of coefficients of shape \(3, 1\).*one dimension"):
        of(lambda p: np.polyval(p[:, None], 2.0))


def test_histograms_have_no_derivative() -> None:
    """Their bins move with the smallest and the largest number: neither constant nor smooth."""
    instead = r"np\.histogram.*argument (0|a)\. .*: write np\.histogram\(a\.detach\(\).*weights=w"
    for call in (lambda x: np.histogram(x), lambda x: np.histogram(a=x, bins=3)):
        with pytest.raises(NoDerivativeError, match=instead):
            of(lambda x, call=call: call(x)[0])

    def sums(x: Any) -> Any:
        return np.histogram(x.detach(), 2, weights=x)[0]

    np.testing.assert_array_equal(gradients(sums, [1.0, 2.0, 3.0, 4.0])[0], [1, 1, 2, 2])


# ---- dtypes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (np.mean, 1 / 70_000),
        (lambda x: np.mean(x, where=np.ones(70_000, bool)), 1 / 70_000),
        (np.nanmean, 1 / 70_000),
        (np.max, 1 / 70_000),
        (np.min, 1 / 70_000),
        (np.median, 1 / 70_000),
        (np.var, 0),
        (np.std, 0),
    ],
    ids=range(8),
)
def test_more_float16_numbers_than_float16_can_count(function: Any, expected: float) -> None:
    """1/70000 is a float16, 70000 is not."""
    x = tensor(np.zeros(70_000), np.float16)
    x.attach_grad()
    with record():
        y = function(x)
    y.backward()
    np.testing.assert_allclose(x.grad.array, expected, rtol=1e-2)


def test_deviations_of_float16_numbers_far_from_zero() -> None:
    """They are small beside the mean, which as a float16 would be off by as much as they are."""
    a = np.float16([100, 100.0625, 100.125, 100.1875])
    x = tensor(a)
    x.attach_grad()
    with record():
        y = np.var(x)
    np.testing.assert_allclose(autograd.grad(y, x).array, gradient(np.var, a), rtol=1e-2)
    a = (300 + np.random.default_rng(0).normal(size=(2, 400))).astype(np.float16)  # whose sum is too much
    (got,) = gradients_in(np.float16, np.cov, [a], 1)
    np.testing.assert_allclose(got, gradient(np.cov, a), rtol=1e-2, atol=1e-5)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x + np.zeros((5000, 2), np.float16),
        lambda x: np.broadcast_to(x, (5000, 2)),
        lambda x: np.tile(x, 5000),
        lambda x: np.repeat(x[None], 5000, axis=0),
        lambda x: x[np.arange(10_000) % 2],
        lambda x: np.take(x, np.arange(10_000) % 2) + np.take(x, np.arange(10_000) % 2) * 0,
        lambda x: np.repeat(x, [5000, 5000]),
        lambda x: np.meshgrid(x, np.zeros(5000, np.float16))[0],
        lambda x: np.multiply.outer(np.ones(5000, np.float16), x),
    ],
    ids=range(9),
)
def test_float16_gradients_that_add_up_to_more_than_it_counts_to(function: Any) -> None:
    """2048 + 1 is 2048 in float16: one by one, 5000 ones would add up to 2048."""
    x = tensor([1.0, 1.0], np.float16)
    x.attach_grad()
    for create_graph in (False, True):
        with record():
            y = np.sum(function(x))
            (got,) = autograd.grad(y, [x], create_graph=create_graph)
        np.testing.assert_array_equal(got.array, np.float16([5000, 5000]), strict=True)


TABLE = np.float32([[1.0, 3.0, 2.0], [0.5, 4.0, 6.0]])
ROW = TABLE[0]


@pytest.mark.parametrize(
    ("function", "arguments", "options"),
    [
        (np.sum, (TABLE,), {"where": TABLE > 1}),
        (np.mean, (TABLE,), {}),
        (np.mean, (TABLE,), {"where": TABLE > 1}),
        (np.nanmean, (TABLE,), {}),
        (np.average, (TABLE, None, TABLE), {}),
        (np.var, (TABLE,), {"ddof": 1}),
        (np.std, (TABLE,), {}),
        (np.nanvar, (TABLE,), {}),
        (np.nanstd, (TABLE,), {}),
        (np.logaddexp.reduce, (TABLE,), {}),
        (np.prod, (TABLE,), {}),
        (np.cumprod, (TABLE,), {}),
        (np.cumsum, (TABLE,), {}),
        (np.maximum.accumulate, (TABLE,), {}),
        (np.max, (TABLE,), {}),
        (np.nanmin, (TABLE,), {}),
        (np.ptp, (TABLE,), {}),
        (np.median, (TABLE,), {}),
        (np.nanmedian, (TABLE,), {}),
        (np.quantile, (TABLE, 0.3), {}),
        (np.percentile, (TABLE, 30.0), {"method": "hazen"}),
        (np.quantile, (TABLE, np.float32([0.25, 0.625])), {}),
        (np.nanquantile, (TABLE, np.float32([0.25, 0.625])), {"axis": 1}),
        (np.nanpercentile, (TABLE, np.float32(30)[None]), {"method": "weibull"}),
        (np.nansum, (TABLE,), {}),
        (np.nanprod, (TABLE,), {}),
        (np.nancumsum, (TABLE,), {}),
        (np.nancumprod, (TABLE,), {}),
        (np.logaddexp.accumulate, (TABLE,), {}),
        (np.fmin.accumulate, (TABLE,), {}),
        (np.var, (TABLE,), {"where": TABLE > 1, "axis": 1}),
        (np.std, (TABLE,), {"where": TABLE > 1}),
        (np.diff, (TABLE,), {"prepend": np.float16(1)}),
        (np.ediff1d, (TABLE,), {}),
        (np.gradient, (ROW, 2.0), {}),
        (np.gradient, (ROW, np.float32([0.0, 1.0, 3.0])), {"edge_order": 2}),
        (np.trapezoid, (TABLE, ROW), {}),
        (np.trapezoid, (TABLE,), {"dx": 0.5}),
        (np.convolve, (ROW, ROW), {}),
        (np.correlate, (ROW, ROW), {"mode": "same"}),
        (np.polyval, (ROW, TABLE), {}),
    ],
    ids=lambda value: name_of(value) if callable(value) else "",
)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_precision_is_kept(
    function: Any, arguments: tuple[Any, ...], options: dict[str, Any], dtype: Any
) -> None:
    """No rule makes a wider dtype of it on the way: neither by a count nor by an index."""
    narrow = [a.astype(dtype) if isinstance(a, np.ndarray) else a for a in arguments]
    y = function(*narrow, **options)
    assert y.dtype == dtype
    for rule, argument in zip(DERIVATIVES[function].rules, narrow, strict=False):
        if callable(rule) and isinstance(argument, np.ndarray):
            assert rule(np.ones_like(y), y, *narrow, **options).dtype == dtype


def test_sums_in_another_precision() -> None:
    x = tensor([1.0, 2.0], np.float16)
    x.attach_grad()
    with record():
        y = np.std(x, dtype=np.float64) + np.prod(x, dtype=np.float32)
    assert y.dtype == np.float64
    y.backward()
    np.testing.assert_array_equal(x.grad.array, np.float16([1.5, 1.5]), strict=True)


METHODS_OF_UFUNCS = [
    f for f in ROWS if isinstance(getattr(f, "__self__", None), np.ufunc) and "axis" in ROWS[f].options
]


@pytest.mark.parametrize("function", METHODS_OF_UFUNCS, ids=name_of)
def test_methods_of_ufuncs_take_the_first_axis_by_default(function: Any) -> None:
    a = np.array([[0.5, 2.0, 1.5], [0.7, 1.2, 0.3]])
    np.testing.assert_array_equal(gradient(function, a), gradient(partial(function, axis=0), a))
    by_name = gradient(lambda x: function(array=x, axis=1), a)
    np.testing.assert_array_equal(by_name, gradient(partial(function, axis=1), a))
    reduceat = function.__self__.reduceat
    np.testing.assert_array_equal(
        gradient(lambda x: reduceat(array=x, indices=[0, 1]), a), gradient(lambda x: reduceat(x, [0, 1]), a)
    )
    np.testing.assert_array_equal(
        gradient(lambda x: reduceat(x, [0, 1]), a), gradient(lambda x: reduceat(x, [0, 1], axis=0), a)
    )


# ---- arrays of other kinds beside a tensor ----------------------------------------------------------------

COUNTS = np.array([[3, 1, 2, 0], [5, 4, 7, 1]])
ORDERED = np.array([0, 2, 3, 7])
#: by name a function of some arrays, and these: whole numbers, of which each but one can be given as anything
OF_MANY: dict[str, tuple[Any, ...]] = {
    "average": (lambda a, w: np.average(a, axis=1, weights=w), COUNTS, ORDERED + 1),
    "average of all": (lambda a, w: np.average(a, weights=w), COUNTS, COUNTS + 1),
    "average by uneven weights": (lambda a, w: np.average(a, 1, w), COUNTS, ORDERED * 3 + 1),
    "sum of weights": (lambda a, w: np.average(a, 1, w, returned=True)[1], COUNTS, COUNTS + 1),
    "quantile": (lambda a, q: np.quantile(a, np.divide(q, 4), axis=1), COUNTS, np.array([1, 2])),
    "nanpercentile": (lambda a, q: np.nanpercentile(a, q, axis=1), COUNTS, np.array([30, 60])),
    "cov": (np.cov, COUNTS, COUNTS[::-1] ** 2),
    "cov of weighted": (lambda m, w: np.cov(m, aweights=w), COUNTS, ORDERED + 1),
    "cov by large weights": (
        lambda m, w: np.cov(m, fweights=ORDERED.astype(np.uint8) * 30, aweights=w),
        *(COUNTS, ORDERED * 30 + 20),
    ),
    "corrcoef": (np.corrcoef, COUNTS[:1], COUNTS[1:]),
    "histogram": (lambda a, w: np.histogram(a, [0, 2, 5, 9], weights=w, density=True)[0], COUNTS, COUNTS + 1),
    "std": (lambda a, m: np.std(a, axis=1, mean=m), COUNTS, np.array([[2], [3]])),
    "diff": (lambda e, a, f: np.diff(a, 2, 1, e, f), COUNTS[:, :1], COUNTS**2, COUNTS),
    "ediff1d": (np.ediff1d, COUNTS**2, ORDERED, COUNTS[0]),
    "trapezoid": (np.trapezoid, COUNTS, ORDERED),
    "trapezoid by distance": (lambda y, dx: np.trapezoid(y, dx=dx), COUNTS, np.array(3)),
    "gradient": (lambda f, x: np.gradient(f, x, axis=1), COUNTS, ORDERED),
    "gradient at places in descending order": (lambda f, x: np.gradient(f, x, axis=1), COUNTS, ORDERED[::-1]),
    "gradient by distances": (lambda f, *h: np.stack(np.gradient(f, *h)), COUNTS, np.array(2), ORDERED),
    "interp": (np.interp, np.array([1, 4, 2, 9]), ORDERED, COUNTS[0]),
    "interp, with ends": (lambda x, fp: np.interp(x, ORDERED, fp, 2, 5), ORDERED * 2 - 1, COUNTS[0]),
    "interp, periodic": (
        lambda x, xp, fp: np.interp(x, xp, fp, period=11),
        *(np.array([1, 40, 2, 9]), ORDERED[::-1] * 3, COUNTS[0]),
    ),
    "convolve": (np.convolve, COUNTS[0], ORDERED),
    "correlate": (np.correlate, COUNTS[0], ORDERED[1:3]),
    "polyval": (np.polyval, COUNTS[1], COUNTS),
    "polyadd": (np.polyadd, COUNTS[0], ORDERED[1:]),
    "polysub": (np.polysub, COUNTS[0], ORDERED[1:]),
    "polymul": (np.polymul, COUNTS[0], ORDERED[1:]),
    "polyint": (lambda p, k: np.polyint(p, 2, k), COUNTS[0], ORDERED[1:3]),
    "polydiv": (lambda u, v: np.concatenate(np.polydiv(u, v)), COUNTS[1], ORDERED[1:3]),
    "polyfit": (lambda x, y, w: np.polyfit(x, y, 1, w=w), ORDERED, COUNTS[0], COUNTS[0] + 1),
    "polyfit of columns": (lambda x, y: np.polyfit(x, y, 1), ORDERED, COUNTS.T),
    "solve": (np.linalg.solve, COUNTS[:, :2], np.array([1, 2])),
    "lstsq": (lambda a, b: np.linalg.lstsq(a, b)[0], COUNTS.T, ORDERED),
    "squares": (lambda a, b: np.linalg.lstsq(a, b)[1], COUNTS.T, ORDERED),
    "tensorsolve": (np.linalg.tensorsolve, COUNTS[:, :2], np.array([1, 2])),
    "multi_dot": (lambda *x: np.linalg.multi_dot(x), COUNTS, COUNTS.T, COUNTS[0, :2]),
    "einsum": (lambda a, b, c: np.einsum("ij,jk,ik->k", a, b, c), COUNTS, COUNTS.T, COUNTS[:, :2]),
    "linspace": (lambda a, b: np.linspace(a, b, 4), COUNTS[1], ORDERED),
    "divided": (np.divide, COUNTS, ORDERED + 1),
    "subtracted": (np.subtract, COUNTS, ORDERED),
    "power": (np.power, COUNTS + 1, ORDERED),
    "maximum": (np.maximum, COUNTS, ORDERED),
}


NARROW = bool, np.uint8, np.float16
KINDS = [int, *NARROW, np.float32, list]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("name", OF_MANY)
def test_whole_numbers_truth_values_and_lists_beside_a_tensor(name: str, kind: Any) -> None:
    """The gradient is that beside the same numbers in float64, if the value is."""
    function, *arrays = OF_MANY[name]
    compared = 0
    for i, at in enumerate(arrays):
        if (name, i) in (("histogram", 0), ("polyint", 1)):  # its counts jump; and NumPy does not look at k
            continue
        given = [a.tolist() if kind is list else a.astype(kind) for a in arrays]
        plain = [np.asarray(a, float) for a in given]
        given[i] = plain[i] = at + 0.125 * np.cos(np.arange(at.size)).reshape(at.shape)
        try:
            value, expected = function(*given), function(*plain)
        except (
            TypeError,
            RuntimeWarning,
            np.linalg.LinAlgError,
        ):  # NumPy's: of truth values, or of two dtypes
            continue
        if not np.allclose(value, expected, rtol=1e-6):
            assert kind in NARROW  # in which NumPy computed with them: 1 + 1 is 1, or 2 - 3 is 255
            continue
        head = np.random.default_rng(0).uniform(-1, 1, np.shape(value))
        call = partial(lambda i, others, x: function(*others[:i], x, *others[i + 1 :]), i)
        got, truth = (gradient(partial(call, others), given[i], head=head) for others in (given, plain))
        rtol = 1e-5 if kind in (np.float16, np.float32) else 1e-12
        np.testing.assert_allclose(got, truth, rtol=rtol, atol=1e-12)
        (leaf := tensor(given[i])).attach_grad()
        with record():
            recorded = call(given, leaf)
        np.testing.assert_allclose(recorded.array, value, rtol=1e-6)
        compared += 1
    assert compared or kind in NARROW


# ---- slices -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ufunc", [np.add, np.multiply, np.maximum, np.fmin, np.logaddexp], ids=name_of)
@quick
@given(data=st.data())
def test_reductions_of_slices(ufunc: np.ufunc, data: st.DataObject) -> None:
    """Of any slices, some of which are one element, in any order."""
    x = np.random.default_rng(0).permutation(12).reshape(3, 4) / 4 + 0.1
    axis = data.draw(st.integers(-2, 1))
    indices = data.draw(st.lists(st.integers(0, x.shape[axis] - 1), max_size=5))
    own, dtype = data.draw(
        st.sampled_from([(float, None), (float, np.float32), (np.float32, None), (np.float32, float)])
    )
    leaf = attached(x.astype(own))
    with record():
        y = ufunc.reduceat(leaf, indices, axis, dtype=dtype)
    expected = ufunc.reduceat(leaf.array, indices, axis, dtype=dtype)
    np.testing.assert_allclose(y.array, expected, rtol=16 * np.finfo(expected.dtype).eps, strict=True)
    assert y.node is not None
    assert_slopes(lambda x: ufunc.reduceat(x, indices, axis=axis), x, orders=2)


@pytest.mark.parametrize("ufunc", [np.add, np.multiply, np.maximum, np.fmin, np.logaddexp], ids=name_of)
@pytest.mark.parametrize(
    ("indices", "axis", "shape"),
    [([0, 2, 3], 0, (3, 2)), ([-1], 0, (3, 2)), ([0, 2], 1, (3, 2)), ([0], 0, ()), ([], 0, ())],
    ids=str,
)
def test_slices_that_begin_nowhere_are_errors(
    ufunc: np.ufunc, indices: Any, axis: int, shape: tuple[int, ...]
) -> None:
    """NumPy's own."""
    x = np.ones(shape)
    with pytest.raises((IndexError, TypeError)) as expected:
        ufunc.reduceat(x, indices, axis)
    leaf = tensor(x)
    leaf.attach_grad()
    with record(), pytest.raises(expected.type, match=f"^{re.escape(str(expected.value))}$"):
        ufunc.reduceat(leaf, indices, axis)


def test_weights_of_what_is_in_no_bin() -> None:
    for a in ([0.5, np.nan, 1.5, -1.0], [0.5, np.inf, 1.5, -np.inf]):
        got = gradient(lambda w, a=a: np.histogram(a, [0, 1, 2], weights=w)[0], np.ones(4), head=[2.0, 3.0])
        np.testing.assert_array_equal(got, [2, 0, 3, 0])


def test_singular_values_of_a_weighted_fit() -> None:
    x, w = np.array([0.0, 1.0, 2.5, 4.0]), np.array([1.0, 0.5, 3.0, 0.1])
    y = attached(np.array([1.0, 3.0, 2.0, 5.0]))
    with record():
        made = np.polyfit(x, y, 1, full=True, w=w)
    for got, expected in zip(made, np.polyfit(x, y.array, 1, full=True, w=w), strict=True):
        np.testing.assert_allclose(getattr(got, "array", got), expected, rtol=1e-12)


@pytest.mark.parametrize(("initial", "share"), [(-np.inf, 0.25), (0.5, 1.0)])
def test_a_sum_of_exponentials_of_nothing_but_minus_infinity(initial: float, share: float) -> None:
    """Equal ones have equal shares, the initial value as well; and no warning."""
    x, i = attached(np.full((2, 3), -np.inf)), attached(np.array(initial))
    with record():
        y = np.logaddexp.reduce(x, axis=1, initial=i)
    by_x, by_initial = autograd.grad(y, [x, i])
    np.testing.assert_array_equal(by_x, np.full((2, 3), (1 - share) / 3))
    assert by_initial.item() == 2 * share
