"""Elementwise functions where Hypothesis does not look: ties, kinks, zeros, extremes, dtypes, methods."""

import math
import operator
from array import array
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import product
from typing import Any

import dask
import dask.array
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domains import special
from domains.elementwise import DOMAINS, names_of_bounds
from search import examples
from strangers import Stranger
from tinygrad_lr import Tensor, asarray, autograd, record, tensor
from tinygrad_lr.derivatives import DERIVATIVES
from tinygrad_lr.errors import InPlaceError, name_of
from truths import central_difference, gradient

inf, nan = math.inf, math.nan


def partials(function: Callable[..., Any], *points: Any, head: Any = None) -> list[Any]:
    """The gradients with respect to all points, as arrays."""
    leaves = [tensor(p, None if isinstance(p, np.ndarray) else float) for p in points]
    for leaf in leaves:
        leaf.attach_grad()
    with record():
        y = function(*leaves)
    return [g.array for g in autograd.grad(y, leaves, head)]


def partial(function: Callable[..., Any], *points: Any, by: str) -> Any:
    """A derivative of any order at numbers: by="ab" by the first, then by the second."""
    leaves = [tensor(p, float) for p in points]
    for leaf in leaves:
        leaf.attach_grad()
    with record():
        y = function(*leaves)
        for name in by[:-1]:
            y = autograd.grad(y, leaves["ab".index(name)], create_graph=True)
            y = sum((0 * leaf for leaf in leaves), y)  # also where the derivative is a constant
    return autograd.grad(y, leaves["ab".index(by[-1])]).item()


# ---- one of two arguments ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (np.maximum, [0.5, 0, 1, 1, 0, 0.5, 0.5]),
        (np.minimum, [0.5, 1, 0, 1, 0, 0.5, 0.5]),
        (np.fmax, [0.5, 0, 1, 0, 1, 0.5, 0.5]),
        (np.fmin, [0.5, 1, 0, 0, 1, 0.5, 0.5]),
    ],
    ids=lambda f: getattr(f, "__name__", ""),
)
def test_what_is_chosen_gets_the_gradient(function: Any, expected: list[float]) -> None:
    """Ties split evenly; maximum and minimum choose NaN, fmax and fmin the other one."""
    a, b = [1.0, 2.0, 3.0, nan, 1.0, nan, 0.0], [1.0, 3.0, 2.0, 1.0, nan, nan, -0.0]
    got_a, got_b = partials(function, a, b)
    np.testing.assert_array_equal(got_a, expected)
    np.testing.assert_array_equal(got_b, 1 - np.array(expected))
    np.testing.assert_array_equal(partials(function, b, a)[1], expected)
    np.testing.assert_array_equal(gradient(lambda x: function(x, x), a), np.ones(7))
    np.testing.assert_array_equal(gradient(lambda x: function(x, 0), [0.0, -0.0]), [0.5, 0.5])
    for x, number, slope in zip(a, b, expected, strict=True):
        assert gradient(lambda x, n=number: function(x, n), [x]) == slope
        assert gradient(lambda x, n=number: function(n, x), [x]) == slope


def test_what_is_not_chosen_stays_at_zero_where_its_own_derivative_is_infinite() -> None:
    """0 * inf would be NaN, and a warning."""
    assert gradient(lambda x: np.fmax(np.sqrt(x), 1.0), 0.0) == 0
    assert gradient(lambda x: np.max(np.fmin.outer(np.cbrt(x), [-2.0, -1.0])), 0.0) == 0
    with np.errstate(divide="ignore"):
        assert gradient(lambda x: np.nan_to_num(np.log(x), neginf=-1.0), 0.0) == 0


@pytest.mark.parametrize("function", [np.maximum, np.fmin])
def test_choice_in_another_dtype(function: Any) -> None:
    a, b = [0.1, 0.7], [0.3, 0.2]
    expected = partials(function, a, b)
    got = partials(lambda x, y: function(x, y, dtype=np.float32), a, b)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("number", [0.1, 0.2, 0.3, 0.7], ids=str)
def test_a_tie_is_one_in_the_dtype_of_the_result(dtype: Any, number: float) -> None:
    """0.1 beside a float32 is the float32 nearest to 0.1, be that larger or smaller."""
    calls: dict[Callable[[Any], Any], float] = {
        **{lambda x, f=f: f(x, number): 0.5 for f in (np.maximum, np.minimum, np.fmax, np.fmin)},
        **{lambda x, f=f: f(number, x): 0.5 for f in (np.maximum, np.minimum, np.fmax, np.fmin)},
        lambda x: np.clip(x, number, 1.0): 1,
        lambda x: np.clip(x, -1.0, number): 1,
        lambda x: np.clip(x, number, number): 1,
        # of a number np.clip makes float64
        lambda x: np.clip(number, x, 1.0): float(dtype(number)) > number,
        lambda x: np.clip(number, -1.0, x): float(dtype(number)) < number,
        lambda x: np.heaviside(number - x, x): 1,
    }
    for function, expected in calls.items():
        x = tensor([number], dtype)
        x.attach_grad()
        with record():
            y = function(x)
        assert autograd.grad(y, x).item() == expected


@pytest.mark.parametrize("zero", [0.0, -0.0])
@pytest.mark.parametrize("function", [np.absolute, np.fabs, lambda x: np.copysign(x, -1.0)])
def test_absolute_at_zero(function: Any, zero: float) -> None:
    assert gradient(function, zero) == 0
    assert gradient(function, zero, order=2) == 0


def test_copysign_takes_the_sign_of_zeros() -> None:
    np.testing.assert_array_equal(
        gradient(np.copysign, [2, 2, -2, -2], [0.0, -0.0, 0.0, -0.0]), [1, -1, -1, 1]
    )


def test_heaviside_moves_with_its_value_at_zero_only() -> None:
    at, half = [-1.0, 0.0, 2.0, nan], [0.5, 0.5, 0.5, 0.5]
    np.testing.assert_array_equal(gradient(lambda h: np.heaviside(at, h), half), [0, 1, 0, 0])


# ---- clip and nan_to_num ----------------------------------------------------------------------------------


def test_clip_passes_at_its_bounds() -> None:
    points = [-2.0, -1.0, 0.0, 1.0, 2.0]
    for call in (
        lambda x: np.clip(x, -1, 1),
        lambda x: x.clip(-1, 1),
        *(
            lambda x, low=low, high=high: np.clip(x, **{low: -1, high: np.ones(5)})
            for low, high in names_of_bounds()
        ),
    ):
        np.testing.assert_array_equal(gradient(call, points), [0, 1, 1, 1, 0])
    np.testing.assert_array_equal(gradient(lambda x: np.clip(x, None, 1), points), [1, 1, 1, 1, 0])
    np.testing.assert_array_equal(gradient(lambda x: np.clip(x, -1, None), points), [0, 1, 1, 1, 1])
    np.testing.assert_array_equal(gradient(lambda x: np.clip(x, 1, -1), points), [0, 0, 0, 0, 0])


def test_gradients_of_the_bounds_of_clip() -> None:
    """Each gradient goes to exactly one of the three; the upper bound wins over a lower one above it."""
    a, low, high = [-2.0, -1.0, 0.0, 1.0, 2.0, nan, 0.0], [-1.0] * 6 + [3.0], [1.0] * 7
    got = partials(np.clip, a, low, high)
    np.testing.assert_array_equal(got[0], [0, 1, 1, 1, 0, 1, 0])
    np.testing.assert_array_equal(got[1], [1, 0, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(got[2], [0, 0, 0, 0, 1, 0, 1])
    got = partials(np.clip, [0.0, 1.0, 2.0], [1.0] * 3, [1.0] * 3)
    np.testing.assert_array_equal(got, [[0, 1, 0], [1, 0, 0], [0, 0, 1]])
    for names in names_of_bounds():
        for k, bound in enumerate((-1.0, 1.0)):
            slope = gradient(
                lambda t, k=k, names=names: np.clip(a, **{names[k]: t, names[1 - k]: None}), bound
            )
            assert slope == 1
    assert gradient(lambda t: np.clip(a, t, None), -1.0) == 1
    assert gradient(lambda t: np.clip(a, None, t), 1.0) == 1
    assert gradient(lambda t: t.clip(-1.0, 1.0), 0.5) == 1


def test_a_bound_of_clip_that_is_not_a_number_is_what_moves_the_result() -> None:
    """Of bounds too, exactly one of the three gets the gradient."""
    numbers = [-1.0, 0.0, 1.0, inf, nan]
    a, low, high = map(np.ravel, np.meshgrid(numbers, numbers, numbers))
    got = partials(np.clip, a, low, high)
    np.testing.assert_array_equal(sum(got), 1)
    np.testing.assert_array_equal(got[0][np.isnan(a)], 1)
    passed = sum(np.where(g == 1, p, 0) for g, p in zip(got, (a, low, high), strict=True))
    np.testing.assert_array_equal(passed, np.clip(a, low, high))
    for bounds in ((None, 2.0), (0.5, None), (0.5, 2.0), (None, nan), (nan, nan)):
        assert gradient(lambda x, bounds=bounds: np.clip(x, *bounds), nan) == 1
    for low, high, expected in ((nan, 2.0, 0), (0.5, nan, 0), (nan, None, 0), (None, nan, 0), (0.5, 2.0, 1)):
        assert gradient(lambda x, low=low, high=high: np.clip(x, low, high), 1.0) == expected


def test_nan_to_num_passes_what_it_does_not_replace() -> None:
    points = [1.0, nan, inf, -inf]
    for call in (
        np.nan_to_num,
        lambda x: np.nan_to_num(x, True, 1.0, 2.0, 3.0),
        lambda x: np.nan_to_num(x, nan=1.0, neginf=2.0),
    ):
        np.testing.assert_array_equal(gradient(call, points), [1, 0, 0, 0])


@pytest.mark.parametrize(("name", "place"), [("nan", 1), ("posinf", 2), ("neginf", 3)])
def test_nan_to_num_moves_with_what_it_puts_in(name: str, place: int) -> None:
    points = tensor([1.0, nan, inf, -inf])
    head = np.array([2.0, 3.0, 5.0, 7.0])
    assert gradient(lambda t: np.nan_to_num(points, **{name: t}), 0.5, head=head) == head[place]


def test_nan_to_num_in_place_is_an_error() -> None:
    with pytest.raises(InPlaceError, match=r"np\.where"):
        gradient(lambda x: np.nan_to_num(x, copy=False), [1.0, nan])


# ---- powers -----------------------------------------------------------------------------------------------

POWERS = pytest.mark.parametrize("power", [np.power, np.float_power])


@POWERS
@pytest.mark.parametrize("exponent", [0, 0.0, np.float64(0), np.zeros(4), np.zeros(4, np.uint8)], ids=repr)
def test_power_zero_has_the_slope_zero(power: Any, exponent: Any) -> None:
    for order in (1, 2):
        got = gradient(lambda x: power(x, exponent), [0.0, 2.0, -1.0, 1e100], order=order)
        np.testing.assert_array_equal(got, [0, 0, 0, 0])


@POWERS
@pytest.mark.parametrize("exponent", [0, np.zeros(3), np.zeros(3, int)], ids=repr)
def test_power_zero_of_what_is_not_an_ordinary_number(power: Any, exponent: Any) -> None:
    np.testing.assert_array_equal(gradient(lambda x: power(x, exponent), [inf, nan, 5e-324]), [0, 0, 0])


@pytest.mark.parametrize(
    ("exponent", "expected"), [(1, [1, 0, 0]), (2, [0, 2, 0]), (3, [0, 0, 6]), (1.5, [0]), (4.0, [0, 0, 0])]
)
@pytest.mark.parametrize("as_array", [False, True])
def test_powers_at_zero(exponent: Any, expected: list[float], as_array: bool) -> None:
    """The first derivatives of x**n at 0, and no warning on the way."""
    n = np.array(exponent, float) if as_array else exponent
    for order, slope in enumerate(expected, start=1):
        assert gradient(lambda x: np.power(x, n), 0.0, order=order) == slope
        assert gradient(lambda x: np.float_power(x, n), 0.0, order=order) == slope
        assert gradient(lambda x: x**n, 0.0, order=order) == slope


@POWERS
@pytest.mark.parametrize("base", [0.0, [0.0, 2.0], 0, [0, 2]], ids=repr)
def test_zero_to_a_power_does_not_move_with_it(power: Any, base: Any) -> None:
    """0**b is 0 for every b > 0."""
    got = gradient(lambda b: power(base, b), [3.0, 3.0])
    np.testing.assert_allclose(got, [0, 8 * np.log(2)] if np.ndim(base) else [0, 0])


@POWERS
def test_exponent_and_base_both_differentiated_at_zero(power: Any) -> None:
    by_base, by_exponent = partials(power, [0.0, 0.0, 2.0], [0.0, 2.0, 0.0])
    np.testing.assert_array_equal(by_base, [0, 0, 0])
    np.testing.assert_allclose(by_exponent, [0, 0, np.log(2)])


@POWERS
def test_mixed_derivatives_of_a_power_at_exponent_zero(power: Any) -> None:
    """b * a**(b - 1) is 0 at b = 0, but moves with b."""
    assert partial(power, 2.0, 0.0, by="ab") == partial(power, 2.0, 0.0, by="ba") == 0.5
    assert partial(power, 2.0, 0.0, by="aab") == -0.25
    assert partial(power, 2.0, 0.0, by="abb") == pytest.approx(math.log(2))


@POWERS
@given(x=st.floats(-1e-150, 1e-150), n=st.integers(0, 3))
def test_powers_of_tiny_numbers(power: Any, x: float, n: int) -> None:
    """Of a polynomial all derivatives are finite, also where x**(n - 2) would not be."""
    slope, factor = n * np.power(x, max(n - 1, 0)), float(n)
    for order in (1, 2, 3):
        got = gradient(lambda x: power(x, np.array([float(n), 1.0])), np.full(2, x), order=order)[0]
        assert got == pytest.approx(slope, rel=1e-12)
        factor *= n - order
        slope = factor * np.power(x, max(n - order - 1, 0))


@POWERS
def test_powers_with_an_infinite_derivative_say_so(power: Any) -> None:
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        np.testing.assert_array_equal(partials(power, 0.0, -1.0), [-inf, -inf])
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        assert gradient(lambda x: power(x, 0.5), 0.0) == inf
    with pytest.warns(RuntimeWarning, match="invalid value"):
        assert np.all(np.isnan(gradient(lambda b: power(-2.0, b), [2.0, 3.0])))


def test_square_root_at_zero_is_infinite_and_numpy_says_so() -> None:
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        assert gradient(np.sqrt, 0.0) == np.inf


def test_float_power_keeps_its_precision() -> None:
    """It computes in float64, whatever it is given."""
    a, b = np.float32([1.1, 300.0]), np.float32([2.0, 10.0])
    a64, b64 = a.astype(float), b.astype(float)
    x, n = tensor(a), tensor(b)
    x.attach_grad()
    n.attach_grad()
    with record():
        y = np.float_power(x, n)
    np.testing.assert_allclose(autograd.grad(y, x).array, np.float32(b64 * a64 ** (b64 - 1)), rtol=1e-7)


@pytest.mark.parametrize("function", [np.hypot, np.arctan2])
def test_at_the_origin_the_slope_is_zero(function: Any) -> None:
    for by in ("a", "b", "aa", "ab", "ba", "bb", "aab"):
        assert partial(function, 0.0, 0.0, by=by) == 0
    assert partial(np.hypot, 0.0, -2.0, by="b") == -1
    assert partial(np.arctan2, 0.0, -2.0, by="a") == -0.5


# ---- extreme arguments ------------------------------------------------------------------------------------

LN2 = math.log(2)

#: a function, where, and its first derivatives there, by mpmath 1.4 where they are not evident
EXTREMES: list[tuple[Any, float, list[float]]] = [
    (np.tanh, 1000.0, [0, 0, 0]),
    (np.tanh, -1e308, [0, 0, 0]),
    (np.exp, -1000.0, [0, 0, 0]),
    (np.exp2, -2000.0, [0, 0, 0]),
    (np.expm1, -50.0, [math.exp(-50)] * 3),
    (np.log1p, 1e-300, [1, -1, 2]),
    (np.arctan, 1e200, [0, 0, 0]),
    (np.arctan, 1e100, [1e-200, -2e-300, 0]),
    (np.arctan, 1e-200, [1, -2e-200, -2]),
    (np.arcsinh, -1e200, [1e-200, 0, 0]),
    (np.arcsinh, 1e100, [1e-100, -1e-200, 2e-300]),
    (np.arccosh, 1e200, [1e-200, 0, 0]),
    (np.arcsin, 1 - 2.0**-40, [741455.200189633844, 407619307041556762.0, 6.72273251697382727e29]),
    (np.arcsin, 0.99999999, [7071.06781177793816, 353553387044.609277, 5.30330078786016427e19]),
    (np.arccos, 0.99999999, [-7071.06781177793816, -353553387044.609277, -5.30330078786016427e19]),
    (np.arctanh, 1 - 1e-9, [500000014.390966132, 500000028281932663.0, 1.00000008484579919e27]),
    (np.reciprocal, 1e200, [0, 0, 0]),
    (np.cbrt, -1e30, [1e-20 / 3, 2e-50 / 9, 1e-79 / 27]),
    (np.log, 1e-100, [1e100, -1e200, 2e300]),
    (np.log2, 1e-100, [1e100 / LN2, -1e200 / LN2, 2e300 / LN2]),
    (np.log10, 1e100, [1e-100 / math.log(10), -1e-200 / math.log(10), 2e-300 / math.log(10)]),
    (np.i0, 0.0, [0, 0.5, 0]),
    (np.i0, 1e-200, [0.5e-200, 0.5, 0.375e-200]),
    (np.i0, -30.0, [-768532038938.956999, 756054563192.678923, -744184144653.577654]),
    (lambda x: np.copysign(x, -1e-300), 1e-300, [-1, 0]),
    (np.sinc, 0.0, [0, -(np.pi**2) / 3, 0]),
    (np.sinc, 1e-9, [-(np.pi**2) / 3 * 1e-9, -(np.pi**2) / 3, np.pi**4 / 5 * 1e-9]),
    (np.sinc, 1e-300, [-(np.pi**2) / 3 * 1e-300, -(np.pi**2) / 3, np.pi**4 / 5 * 1e-300]),
    (np.sinc, 0.5 - 2.0**-54, [-4 / np.pi, 16 / np.pi - 2 * np.pi, 12 * np.pi - 96 / np.pi]),
    (np.sinc, 1.5 - 2.0**-52, [4 / 9 / np.pi, *((2 * np.pi / 3 - 16 / 27 / np.pi) * np.array([1, -2]))]),
    (np.sinc, 3.0, [-1 / 3, 2 / 9, np.pi**2 / 3 - 2 / 9]),
]


@pytest.mark.parametrize(("function", "x", "expected"), EXTREMES)
def test_extreme_arguments(function: Any, x: float, expected: list[float]) -> None:
    """No warning, and the derivatives to rounding, where powers of x overflow or cancel."""
    for order, slope in enumerate(expected, start=1):
        got = gradient(function, x, order=order)
        assert got == pytest.approx(slope, rel=1e-10 if slope else 0, abs=0 if slope else 1e-300), order


PI = Fraction(31415926535897932384626433832795028841971693993751, 10**49)


def slope_of_sinc(x: Fraction, order: int) -> float:
    """By the series of sin(z) / z, in which nothing is rounded."""
    return float(
        sum(
            (-1) ** k
            * PI ** (2 * k)
            / math.factorial(2 * k + 1)
            * math.perm(2 * k, order)
            * x ** (2 * k - order)
            for k in range((order + 1) // 2, 24)
        )
    )


@pytest.mark.parametrize(("order", "atol"), [(1, 6e-16), (2, 3e-15), (3, 1e-14)])
def test_sinc_has_all_digits_where_its_formula_changes(order: int, atol: float) -> None:
    x = np.concatenate([np.arange(1, 5) / 64, np.arange(3, 39) / 32])
    expected = [slope_of_sinc(Fraction(number), order) for number in x.tolist()]
    np.testing.assert_allclose(gradient(np.sinc, x, order=order), expected, rtol=1e-15, atol=atol)


def test_bessel_function_has_the_digits_of_its_dtype() -> None:
    """Also far out, where what is in the exponent counts."""
    x = np.float32([0.3, 2.1, 30.7, 80.3])
    for order in (1, 2):
        leaf = tensor(x)
        leaf.attach_grad()
        with record():
            y = np.i0(leaf)
            if order == 2:
                y = autograd.grad(y, leaf, create_graph=True)
        got = autograd.grad(y, leaf).array
        np.testing.assert_allclose(got, gradient(np.i0, x.astype(float), order=order), rtol=2e-7)


PAIRS: list[tuple[Any, float, float, dict[str, float]]] = [
    (np.power, 0.0, 0.0, {"a": 0, "ab": 0, "ba": 0}),
    (np.power, 0.0, 1.0, {"a": 1, "ab": 0, "ba": 0}),
    (np.power, 0.0, 2.0, {"a": 0, "aa": 2, "ab": 0, "ba": 0}),
    (np.logaddexp, 1000.0, 1000.0, {"a": 0.5, "b": 0.5, "aa": 0.25, "ab": -0.25, "aab": 0, "abb": 0}),
    (np.logaddexp, 1e17, 1e17, {"a": 0.5, "b": 0.5, "aa": 0.25, "ab": -0.25, "aab": 0, "abb": 0}),
    (np.logaddexp, -1e5, 1e5, {"a": 0, "b": 1, "aa": 0, "ab": 0, "bb": 0, "abb": 0}),
    (np.logaddexp, -80.0, 0.0, {"a": math.exp(-80), "b": 1, "aa": math.exp(-80), "bb": math.exp(-80)}),
    (np.logaddexp, -inf, 0.0, {"a": 0, "b": 1}),
    (np.logaddexp, -inf, -inf, {"a": 0.5, "b": 0.5}),
    (np.logaddexp, inf, 0.0, {"a": 1, "b": 0}),
    (np.logaddexp, inf, inf, {"a": 0.5, "b": 0.5}),
    (np.logaddexp2, 3000.0, 3000.0, {"a": 0.5, "aa": LN2 / 4, "ab": -LN2 / 4, "aab": 0}),
    (np.logaddexp2, -inf, -inf, {"a": 0.5, "b": 0.5}),
    (np.hypot, 3e200, 4e200, {"a": 0.6, "b": 0.8, "aa": 1.28e-201, "ab": -0.96e-201, "aaa": 0}),
    (np.hypot, inf, 1.0, {"a": 1, "b": 0}),
    (np.hypot, 1e200, -inf, {"a": 0, "b": -1}),
    (np.hypot, 3e-200, 4e-200, {"a": 0.6, "b": 0.8, "aa": 1.28e199, "ab": -0.96e199}),
    (np.arctan2, 1e200, 1e200, {"a": 5e-201, "b": -5e-201, "aa": 0, "ab": 0}),
    (np.arctan2, 3e-150, 4e-150, {"a": 16e148, "b": -12e148, "aa": -3.84e298, "ab": -1.12e298}),
    (np.arctan2, 1e-200, 1.0, {"a": 1, "b": -1e-200, "ab": -1}),
    (np.arctan2, 1.0, inf, {"a": 0, "b": 0}),
    (np.arctan2, -inf, inf, {"a": 0, "b": 0}),
    (np.divide, 1e200, 1e200, {"a": 1e-200, "b": -1e-200, "bb": 0}),
]


@pytest.mark.parametrize(("function", "a", "b", "expected"), PAIRS)
def test_extreme_pairs(function: Any, a: float, b: float, expected: dict[str, float]) -> None:
    for by, slope in expected.items():
        got = partial(function, a, b, by=by)
        assert got == pytest.approx(slope, rel=1e-12 if slope else 0, abs=0 if slope else 1e-16), by


@pytest.mark.parametrize(
    ("function", "x", "expected"),
    [
        (np.arctan, 300.0, 1 / 90001),
        (np.arcsinh, 300.0, 1 / 300),
        (np.arccosh, 300.0, 1 / 300),
        (np.reciprocal, 300.0, -1 / 90000),
        (lambda x: np.hypot(x, 400.0), 300.0, 0.6),
        (lambda x: np.arctan2(x, 400.0), 300.0, 400 / 250000),
        (lambda x: np.logaddexp(x, 1000.0), 1000.0, 0.5),
        (lambda x: np.logaddexp2(1000.0, x), 1000.0, 0.5),
        (np.square, 200.0, 400.0),
        (lambda x: 0.001 * np.tan(x), 1.5673828125, 85.8),
        (lambda x: 100 * (30000 / x), 3000.0, -1 / 3),
        (lambda x: 2 * np.log10(x), 2e-5, 43429.4),
    ],
)
def test_float16_overflows_only_with_the_result(function: Any, x: float, expected: float) -> None:
    leaf = tensor(x, np.float16)
    leaf.attach_grad()
    with record():
        y = function(leaf)
    y.backward()
    assert leaf.grad.dtype == np.float16
    assert leaf.grad.item() == pytest.approx(expected, rel=3e-3)


SIZES = [
    1e-42,
    1e-39,
    1e-36,
    1e-25,
    1e-12,
    1e-5,
    0.3,
    1.0,
    2.5,
    7.0,
    30.0,
    80.0,
    300.0,
    1e5,
    1e12,
    1e25,
    3e37,
]


@pytest.mark.parametrize(
    "function",
    [
        *(f for f in DOMAINS if isinstance(f, np.ufunc) and f.nin == 1),
        *(lambda x, n=n: np.float_power(x, n) for n in (-2, 0.5, 3, np.array(3.0))),
        *(lambda x, n=n: x**n for n in (-2, 0.5, 2, 3, np.array(3.0))),
        *(lambda x, f=f: f(x, 0.7) for f in (np.multiply, np.divide, np.hypot, np.arctan2)),
        *(lambda x, f=f: f(1e20, x) for f in (np.divide, np.hypot, np.arctan2)),
        *(lambda x, f=f: f(0.7, x) for f in (np.divide, np.power, np.float_power, np.hypot, np.logaddexp)),
    ],
    ids=name_of,
)
@pytest.mark.parametrize("head", [1e-20, 3e36, 3e38])
def test_a_gradient_overflows_only_with_the_result(function: Any, head: float) -> None:
    """In float32 it is what it is in float64, as far as that is a float32: small ones of steep functions, and
    large ones of flat functions."""
    points = np.multiply.outer([-1, 1], SIZES).ravel().astype(np.float32)
    slopes = []
    with np.errstate(all="ignore"):
        several = isinstance(function(points), tuple)
        points = points[np.isfinite(function(points)[0] if several else function(points))]
        for dtype in (np.float32, np.float64):
            x = tensor(points, dtype)
            x.attach_grad()
            with record():
                y = function(x)
            y = y[0] if several else y
            slopes.append(autograd.grad(y, x, np.full(y.shape, head)).array)
    narrow, wide = slopes
    held = np.isfinite(wide) & (np.abs(wide) < 3.3e38)
    assert np.all(np.isfinite(narrow[held]))


@pytest.mark.parametrize(
    "function",
    [f for f in DOMAINS if isinstance(f, np.ufunc) and f.nin == 1 and f is not np.tanh],
    ids=name_of,
)
def test_slopes_have_the_digits_of_single_precision(function: Any) -> None:
    """From the smallest to the largest numbers, and without a warning."""
    ends = np.finfo(np.float32).max * np.array([0.2, 0.45, 0.7, 1], np.float32)
    points = np.concatenate([SIZES, ends, [0.7, 0.95, 88.6, 127.9]]).astype(np.float32)
    points = np.concatenate([-points, points])
    slopes = []
    for dtype in (np.float64, np.float32):
        x = tensor(points, dtype)
        x.attach_grad()
        with np.errstate(all="ignore" if dtype is np.float64 else None), record():
            y = function(x)
            y = y[0] if isinstance(y, tuple) else y
            slopes.append(autograd.grad(y, x).array)
            if dtype is np.float64:
                held = np.all(np.abs([y.array, *slopes]) < ends[-1] / 4, axis=0)
                points, slopes = points[held], [slopes[0][held]]
    np.testing.assert_allclose(slopes[1], slopes[0], rtol=1e-6, atol=1e-38)


@pytest.mark.parametrize(
    "function",
    [f for f in DOMAINS if isinstance(f, np.ufunc) and f.nout == 1 and f is not np.heaviside],
    ids=name_of,
)
@pytest.mark.parametrize("head", [inf, -inf, nan])
def test_infinite_gradients_of_smooth_functions(function: Any, head: float) -> None:
    """Are infinite where the slope is not 0; no difference of theirs is taken."""
    points = [[1.3, 0.3, -0.4], [2, 2, 1]] if function is np.ldexp else [[1.3, 0.3, -0.4], [0.6, 2.5, 0.2]]
    with np.errstate(invalid="ignore"):
        x = tensor(points[0])
        x.attach_grad()
        with record():
            y = function(x, *points[1 : function.nin])
        slope, got = (autograd.grad(y, x, np.full(3, h), retain_graph=True).array for h in (1.0, head))
    told = np.isfinite(slope) & (slope != 0)
    assert told.any()
    np.testing.assert_array_equal(got[told], slope[told] * head)


@pytest.mark.parametrize("options", [{"dtype": float}, {"casting": "same_kind"}, {"subok": False}], ids=str)
def test_options_of_functions_of_several_results(options: Any) -> None:
    functions: list[Callable[..., Any]] = [
        lambda x, **options: np.divmod(x, 0.7, **options)[1],
        lambda x, **options: np.divmod(2.3, x, **options)[1],
        lambda x, **options: np.modf(x, **options)[0],
    ]
    if "dtype" not in options:  # frexp makes floats and whole numbers
        functions.append(lambda x, **options: np.frexp(x, **options)[0])
    for function in functions:
        got, expected = (gradient(lambda x, f=function, o=o: f(x, **o), [1.2, -2.3]) for o in (options, {}))
        np.testing.assert_array_equal(got, expected)


#: how many numbers functions take that are no ufuncs
TAKES = {
    np.sinc: 1,
    np.i0: 1,
    np.nan_to_num: 1,
    np.clip: 3,
    **{f: 2 for f in special.DOMAINS if name_of(f) == "polygamma"},
}


def takes(function: Any) -> int:
    return TAKES.get(function) or getattr(function, "nin", 0)


def rules_of(function: Any) -> dict[int, Any]:
    """By the place of the argument."""
    return {
        k: rule for k, rule in enumerate(DERIVATIVES[function].rules[: takes(function)]) if callable(rule)
    }


def slope(function: Any, place: int, arguments: Sequence[Any]) -> Any:
    """What the rule for one argument makes of a gradient of one."""
    with np.errstate(all="ignore"):
        y = function(*arguments)
        g = tuple(np.ones_like(part) for part in y) if isinstance(y, tuple) else np.ones_like(y)
        return rules_of(function)[place](g, y, *arguments)


def grid(*numbers: Any) -> list[Any]:
    """Each with each."""
    return [np.ravel(a) for a in np.meshgrid(*numbers)]


@pytest.mark.parametrize("narrow", [np.float32, np.float64])
@pytest.mark.parametrize("function", [*filter(takes, DOMAINS)], ids=name_of)
def test_subnormal_numbers_are_numbers(function: Any, narrow: Any) -> None:
    """Slopes at them are what they are in a dtype with more exponents, as far as they can be told."""
    wide = np.float64 if narrow is np.float32 else np.longdouble
    kind = np.finfo(narrow)
    sizes = np.append(np.array([0, 0.003, 0.3, 0.4, 0.9, 1, 20], narrow) * kind.tiny, narrow([0.7, 3]))
    if function in (np.divide, np.power, np.float_power):
        sizes = sizes[sizes > kind.tiny / 4]  # of less 1 / x overflows
    arguments = grid(*[np.concatenate([-sizes, sizes])] * takes(function))
    if function is np.ldexp:
        arguments[1] = np.round(arguments[1]).astype(int)
    widened = [a.astype(wide) if a.dtype == narrow else a for a in arguments]
    lost = float(kind.smallest_subnormal)  # of what the arguments and the value are known to
    rounding = 64 * kind.eps + 2 * lost / np.min(sizes[sizes > 0])
    for place in rules_of(function):
        found, expected = (np.asarray(slope(function, place, a)) for a in (arguments, widened))
        with np.errstate(over="ignore", invalid="ignore"):
            expected = expected.astype(found.dtype)
        np.testing.assert_allclose(found, expected, rtol=rounding, atol=1000 * lost)


@pytest.mark.parametrize("function", [f for f in DOMAINS if takes(f) > 1 and f is not np.ldexp], ids=name_of)
def test_a_number_is_what_an_array_of_it_is(function: Any) -> None:
    """Beside which some rules have a shorter way."""
    numbers = [0.0, -0.0, 5e-324, 1.0, -1.0, 2.0, 0.5, 3.0, -2.5, inf, -inf, nan]
    points = np.array(numbers)
    for place in rules_of(function):
        for others in product(numbers, repeat=takes(function) - 1):
            as_they_are, as_arrays = [*others], [np.full(points.shape, n) for n in others]
            as_they_are.insert(place, points)
            as_arrays.insert(place, points)
            found, expected = (slope(function, place, a) for a in (as_they_are, as_arrays))
            np.testing.assert_allclose(found, expected, rtol=1e-15, atol=0)


@pytest.mark.parametrize(
    "function", [f for f in {**DOMAINS, **special.DOMAINS} if takes(f) > 1 and f is not np.ldexp], ids=name_of
)
@pytest.mark.parametrize("number", [2, 3.0])
@pytest.mark.parametrize("shape", [(), (2,)])
def test_numbers_of_python_do_not_widen(function: Any, number: Any, shape: Any) -> None:
    """Beside float32 all stays in the dtype of the value."""
    for place in rules_of(function):
        arguments = [
            np.full(shape, 0.75, np.float32) if k == place else number for k in range(takes(function))
        ]
        with np.errstate(all="ignore"):
            y = function(*arguments)
        dtype = y[0].dtype if isinstance(y, tuple) else y.dtype
        assert slope(function, place, arguments).dtype == dtype


WHOLE = {np.bool: (0, 1), np.uint8: (0, 1, 2, 255), np.int8: (-128, -2, 0, 1, 3, 127), np.uint64: (0, 1, 2)}


@pytest.mark.parametrize(
    "function", [f for f in {**DOMAINS, **special.DOMAINS} if takes(f) > 1 and f is not np.ldexp], ids=name_of
)
def test_constants_of_whole_numbers_are_numbers(function: Any) -> None:
    """Nothing wraps: not the order before np.uint8(0), nor the one after np.int8(127)."""
    for place, (dtype, numbers) in product(rules_of(function), WHOLE.items()):
        drawn = grid(*([-1.5, 0.3, 2.5] if k == place else numbers for k in range(takes(function))))
        with np.errstate(all="ignore"):
            y = function(*drawn)
        known = np.isfinite(y[-1] if isinstance(y, tuple) else y)
        drawn = [a[known] for a in drawn]
        whole = [a if k == place else a.astype(dtype) for k, a in enumerate(drawn)]
        found, expected = (slope(function, place, a) for a in (whole, drawn))
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=0)


SYMMETRIC = [
    np.add,
    np.multiply,
    np.hypot,
    np.logaddexp,
    np.logaddexp2,
    np.maximum,
    np.minimum,
    np.fmax,
    np.fmin,
]


@pytest.mark.parametrize("function", SYMMETRIC, ids=name_of)
def test_what_takes_two_alike_has_two_rules_alike(function: Any) -> None:
    """To the last digit, also where one of the two hardly counts."""
    numbers = [-inf, -1e200, -800.0, -60.0, -1.5, 0.0, 1e-200, 0.3, 2.0, 2.0, 70.0, 900.0, 1e200, inf, nan]
    a, b = map(np.ravel, np.meshgrid(numbers, numbers))
    with np.errstate(all="ignore"):
        for one, other in zip(partials(function, a, b), partials(function, b, a)[::-1], strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("exponent", [-1100, -40, 0, 40, 1100])
def test_ldexp_takes_large_exponents(exponent: int) -> None:
    """The power of two alone would be infinite, or 0."""
    size = 2.0 ** (-exponent // 2)
    assert gradient(lambda x: np.ldexp(x, exponent), size, head=size) == np.ldexp(size, exponent)
    np.testing.assert_array_equal(
        gradient(lambda x: np.ldexp(x, [exponent, 1]), [size, 1.0], head=np.array([size, 1.0])),
        [np.ldexp(size, exponent), 2],
    )


def test_quotients_of_remainders_are_those_that_were_taken() -> None:
    """1.0 / 0.1 is 10 rounded, but 0.1 goes into 1.0 only nine times."""
    assert partial(np.fmod, 1.0, 0.1, by="b") == partial(np.remainder, 1.0, 0.1, by="b") == -9
    assert partial(lambda a, b: np.divmod(a, b)[1], 1.0, 0.1, by="b") == -9
    assert partial(np.fmod, -7.0, 2.0, by="b") == 3
    assert partial(np.remainder, -7.0, 2.0, by="b") == 4
    for function in (np.fmod, np.remainder, lambda a, b: np.divmod(a, b)[1]):  # where they jump
        assert partial(function, 6.0, 2.0, by="a") == partial(function, 0.0, 2.0, by="a") == 1
        assert partial(function, 6.0, 2.0, by="b") == -3
    for by, slope in (("a", 1), ("b", 0)):
        assert partial(np.fmod, 5.0, inf, by=by) == partial(np.remainder, 5.0, inf, by=by) == slope


# ---- parts, constants, and other dtypes -------------------------------------------------------------------


def test_the_parts_of_a_number() -> None:
    points = [2.75, -0.3, 96.0]
    np.testing.assert_array_equal(gradient(lambda x: np.modf(x)[0], points), [1, 1, 1])
    np.testing.assert_array_equal(gradient(lambda x: np.modf(x)[1] + 0 * x, points), [0, 0, 0])
    np.testing.assert_array_equal(gradient(lambda x: np.divmod(x, 2)[0] + 0 * x, points), [0, 0, 0])
    np.testing.assert_array_equal(gradient(lambda x: np.frexp(x)[0], points), [1 / 4, 2, 1 / 128])
    np.testing.assert_array_equal(gradient(lambda x: np.ldexp(*np.frexp(x)), points), [1, 1, 1])
    np.testing.assert_array_equal(gradient(lambda x: np.nextafter(x, 0), points), [1, 1, 1])


def is_variable(array: Any) -> bool:
    return isinstance(array, np.ndarray) and array.dtype.kind == "f"


CONSTANTS: list[Any] = [
    *(np.sign, np.floor, np.ceil, np.trunc, np.rint, np.fix, np.round, np.around, np.spacing, np.signbit),
    *(np.imag, np.angle, np.isreal, np.iscomplex, np.isfinite, np.isinf, np.isnan, np.isposinf, np.isneginf),
    *(lambda x: np.round(x, 1), lambda x: x // 0.7, lambda x: np.around(x, decimals=1)),
    *(lambda x: np.isclose(x, 1.5), lambda x: np.logical_and(x, True), lambda x: np.greater.outer(x, x)),
    *(f.reduce for f in (np.logical_and, np.logical_or, np.logical_xor)),
    *(f.accumulate for f in (np.logical_and, np.logical_or, np.logical_xor)),
    lambda x: np.floor_divide.outer(x, x),
]


@pytest.mark.parametrize("function", CONSTANTS)
@pytest.mark.filterwarnings("ignore:numpy.fix is deprecated")  # since NumPy 2.5
def test_constants(function: Any) -> None:
    x = tensor([1.5, -2.5])
    x.attach_grad()
    with record():
        y = function(x)
    assert isinstance(y, Tensor)
    assert y.node is None
    np.testing.assert_array_equal(y.array, function(x.array), strict=True)


@pytest.mark.parametrize(
    "function",
    [np.allclose, np.array_equal, np.array_equiv, lambda a, b: np.isrealobj(a) != np.iscomplexobj(b)],
)
def test_answers_are_plain(function: Any) -> None:
    x = tensor([1.5, -2.5])
    x.attach_grad()
    with record():
        assert function(x, x) is True


@pytest.mark.parametrize("function", [np.real, np.conj, np.conjugate, np.real_if_close])
def test_complex_functions_on_real_numbers(function: Any) -> None:
    np.testing.assert_array_equal(gradient(lambda x: function(x) ** 2, [1.5, -2.0]), [3, -4])


@pytest.mark.parametrize("function", DOMAINS, ids=name_of)
@examples(8)
@given(data=st.data())
@np.errstate(over="ignore")  # of float16, in derivatives of high degree
def test_rules_compute_in_the_dtype_of_the_result(function: Any, data: st.DataObject) -> None:
    """No float64 comes in by way of a constant."""
    drawn, options = data.draw(DOMAINS[function].calls)
    for dtype in (np.float16, np.float32, np.float64):
        arguments = tuple(a.astype(dtype) if is_variable(a) else a for a in drawn)
        y = function(*arguments, **options)
        several = isinstance(y, tuple)
        g = tuple(np.ones_like(part) for part in y) if several else np.ones_like(y)
        for rule, argument in zip(DERIVATIVES[function].rules, arguments, strict=False):
            if rule and is_variable(argument):
                assert rule(g, y, *arguments, **options).dtype == (y[0] if several else y).dtype


# ---- methods ----------------------------------------------------------------------------------------------

A = np.array([[0.0, 2.0, 2.0], [0.0, 0.0, -1.0]])


@pytest.mark.parametrize(
    "options",
    [{}, {"axis": 1}, {"axis": None}, *({"axis": i, "keepdims": True} for i in (0, 1, (0, 1)))],
    ids=str,
)
@pytest.mark.parametrize(
    ("reduce", "function"),
    [
        (np.add.reduce, np.sum),
        (np.multiply.reduce, np.prod),
        (np.maximum.reduce, np.max),
        (np.minimum.reduce, np.min),
        (np.fmax.reduce, np.nanmax),
        (np.fmin.reduce, np.nanmin),
    ],
    ids=name_of,
)
def test_a_reduce_is_the_reduction(reduce: Any, function: Any, options: dict[str, Any]) -> None:
    """At ties and zeros as well; along the first axis by default."""
    like = {"axis": 0, **options}
    for order in (1, 2):
        got = gradient(lambda x: reduce(x, **options), A, order=order)
        np.testing.assert_array_equal(got, gradient(lambda x: function(x, **like), A, order=order))
    holed = np.where(A == 2, np.nan, A)
    got = gradient(lambda x: reduce(x, **options), holed)
    np.testing.assert_array_equal(got, gradient(lambda x: function(x, **like), holed))
    by_a, by_initial = partials(lambda x, t: reduce(x, initial=t, **options), A, 0.0)
    expected = partials(lambda x, t: function(x, initial=t, **like), A, 0.0)
    np.testing.assert_array_equal(by_a, expected[0])
    np.testing.assert_array_equal(by_initial, expected[1])
    where = A < 2
    got = gradient(lambda x: reduce(x, initial=1.0, where=where, **options), A)
    np.testing.assert_array_equal(got, gradient(lambda x: function(x, initial=1.0, where=where, **like), A))


@pytest.mark.parametrize(
    ("accumulate", "function"),
    [(np.add.accumulate, np.cumsum), (np.multiply.accumulate, np.cumprod)],
    ids=name_of,
)
def test_an_accumulate_is_the_running_function(accumulate: Any, function: Any) -> None:
    head = np.arange(6.0).reshape(2, 3)
    for axis in (0, 1, -2):
        for order in (1, 2):
            got = gradient(lambda x, axis=axis: accumulate(x, axis), A, head=head, order=order)
            expected = gradient(lambda x, axis=axis: function(x, axis=axis), A, head=head, order=order)
            np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(gradient(accumulate, A), gradient(lambda x: function(x, axis=0), A))


SELECTIONS: dict[str, Callable[..., Any]] = {
    "where": lambda x: np.where([True, False, True], x, 0.0),
    "where not": lambda x: np.where([False, True, False], 0.0, x),
    "where of numbers": lambda x: np.where(np.array([2, 0, -1]), x, 0.0),
    "where not of numbers": lambda x: np.where(np.array([0, 3, 0], np.uint8), 0.0, x),
    "maximum of a number": lambda x: np.maximum(x, [0.0, 9.0, 0.0]),
    "maximum": lambda x: np.maximum(x, 2.5),
    "fmin": lambda x: np.fmin(x, [9.0, 0.0, 9.0]),
    "clip": lambda x: np.clip(x, 2.5, 5.0),
    "select": lambda x: np.select([[True, False, True]], [x], 0.0),
    "select otherwise": lambda x: np.select([np.array([False, True, False])], [tensor(np.zeros(3))], x),
    "choose": lambda x: np.choose([1, 0, 1], [np.zeros(3), x]),
    "piecewise": lambda x: np.piecewise(x, [[True, False, True]], [lambda v: v]),
    "nan_to_num": lambda x: np.nan_to_num(np.where([True, False, True], x, np.nan), nan=0.0),
}


@pytest.mark.parametrize("function", SELECTIONS.values(), ids=SELECTIONS)
@pytest.mark.parametrize(
    "head", [-1.5, inf, -inf, nan, [inf, 1, -inf], [1, inf, 2], [2, nan, 1], [1e308] * 3], ids=str
)
def test_a_selection_passes_on_what_it_selects_and_zeros(function: Any, head: Any) -> None:
    """Without a warning, whatever the gradient is."""
    x, head = [3.0, 2.0, 4.0], np.broadcast_to(np.asarray(head, float), 3)
    (got,) = partials(function, x, head=head)
    np.testing.assert_array_equal(got, [head[0], 0.0, head[2]])


@pytest.mark.parametrize("name", [n for n in SELECTIONS if n not in ("nan_to_num", "select otherwise")])
def test_selections_of_dask_arrays_compute_nothing(name: str) -> None:
    """Also where NumPy's arrays say what is selected. The others are not Dask's."""
    x = asarray(dask.array.from_array([3.0, 2.0, 4.0]))
    x.attach_grad()
    head = asarray(dask.array.from_array([5.0, 6.0, 7.0]))
    with dask.config.set(scheduler=pytest.fail), record():
        got = autograd.grad(SELECTIONS[name](x), x, head, create_graph=True)
    np.testing.assert_array_equal(got.array.compute(scheduler="sync"), [5, 0, 7])


@pytest.mark.parametrize("bounds", [(1.0, None), (None, 1.0), (0.5, 1.0), (1.0, 0.5)], ids=str)
@pytest.mark.parametrize("kind", [Stranger, dask.array.from_array], ids=lambda f: f.__name__)
def test_bounds_of_other_arrays(kind: Any, bounds: Any) -> None:
    """Also one that is not there is no NumPy array beside them."""
    points = np.array([-1.0, 0.75, 2.0])
    arguments = [points, *(b if b is None else np.full(3, b) for b in bounds)]
    made = []
    for convert in (np.asarray, kind):
        leaves = [None if a is None else asarray(convert(a)) for a in arguments]
        known = [leaf for leaf in leaves if leaf is not None]
        for leaf in known:
            leaf.attach_grad()
        with dask.config.set(scheduler=pytest.fail), record():
            y = np.clip(*leaves)
            got = autograd.grad(y, known, convert(np.arange(1.0, 4)), create_graph=True)
        made.append([g.array for g in got])
    for one, other in zip(*made, strict=True):
        assert type(other) is type(kind(points))
        other = other.compute(scheduler="sync") if hasattr(other, "compute") else other.array
        np.testing.assert_array_equal(one, other)


def test_ties_among_all_pairs() -> None:
    by_a, by_b = partials(np.maximum.outer, [1.0, 2.0], [2.0, 1.0, 0.0])
    np.testing.assert_array_equal(by_a, [1.5, 2.5])
    np.testing.assert_array_equal(by_b, [1.5, 0.5, 0])


def test_outer_of_numbers_and_of_one_tensor_twice() -> None:
    assert partials(np.multiply.outer, 3.0, 5.0) == [5, 3]
    np.testing.assert_array_equal(gradient(lambda x: np.multiply.outer(x, x), [1.0, 2.0]), [6, 6])
    np.testing.assert_array_equal(gradient(lambda x: np.subtract.outer(2.0, x), [1.0, 2.0]), [-1, -1])
    np.testing.assert_array_equal(gradient(lambda x: np.power.outer(x, [0, 1, 2]), [0.0, 3.0]), [1, 7])
    np.testing.assert_array_equal(gradient(lambda x: np.add.outer(x, np.ones((0, 2))), [1.0, 2.0]), [0, 0])


# ---- arguments of other kinds -----------------------------------------------------------------------------


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
        lambda x: np.heaviside([0, 1], x),
        lambda x: np.ldexp(x, [0, 1]),
        lambda x: np.logaddexp([1.0, 2.0], x),
        lambda x: np.arctan2([1.0, 2.0], x),
        lambda x: np.float_power([3, 2], x),
        lambda x: np.multiply.outer([3.0, 2.0], x),
        lambda x: np.subtract.outer(x, [3, 2]),
    ],
    ids=range(20),
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


class Foreign:
    """An array of a library that knows no protocol of NumPy's but this one."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.arange(3)


@pytest.mark.parametrize(
    "function",
    [
        np.power,
        operator.pow,
        operator.matmul,
        lambda r, x: x**r,
        lambda r, x: r - x,
        lambda r, x: np.where([True, False, True], r, x),
        lambda r, x: np.concatenate([r, x]),
        lambda r, x: np.einsum("i,i", r, x),
    ],
    ids=range(8),
)
@pytest.mark.parametrize(
    "like",
    [range(3), array("d", range(3)), memoryview(array("d", range(3))), Foreign()],
    ids=lambda like: type(like).__name__,
)
def test_what_numpy_makes_arrays_of_stands_for_them(function: Any, like: Any) -> None:
    made = []
    for r in (like, np.asarray(like)):
        x = tensor([0.5, 1.5, 2.5])
        x.attach_grad()
        with record(), np.errstate(divide="ignore", invalid="ignore"):
            y = function(r, x)
        y.backward(np.cos(np.arange(y.size)).reshape(y.shape))
        made.append((y.array, x.grad.array))
    for got, expected in zip(*made, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_promotion_is_that_of_numpy() -> None:
    x = tensor([1.0, 2.0], np.float32)
    for other in (2, 2.0, np.float32(2), np.float64(2), np.array([1, 2]), np.float16([1, 2])):
        assert (x * other).dtype == (x.array * other).dtype
        assert (other * x).dtype == (other * x.array).dtype


@pytest.mark.parametrize("scale", [1e-290, 1e-160, 1e-80, 1e80, 1e160, 1e290])
def test_slopes_of_lengths_and_angles_at_any_scale(scale: float) -> None:
    """An angle does not change with the scale, a length grows with it; so each slope has a power of it."""
    a, b = np.array([3.0, -0.1, 0.0, 2.0]), np.array([4.0, 2.0, -1.0, -2.0])
    for function, power in ((np.hypot, 0), (np.arctan2, -1)):
        for got, expected in zip(
            partials(function, scale * a, scale * b), partials(function, a, b), strict=True
        ):
            np.testing.assert_allclose(got, expected * scale**power, rtol=1e-13)


@pytest.mark.parametrize(
    "function",
    [
        *(np.absolute, np.fabs, np.real_if_close, np.nan_to_num, np.ptp, np.max, np.min, np.median, np.sort),
        *(np.cumsum, np.maximum.accumulate, np.fmin.accumulate, np.maximum.reduce),
        *(lambda x: np.maximum(x, 0), lambda x: np.minimum(0.0, x), lambda x: np.fmax(x, 0)),
        *(lambda x: np.fmin(x, 0), lambda x: np.copysign(x, 1), lambda x: np.heaviside(x, x)),
        *(lambda x: np.heaviside(x[::-1], x), lambda x: np.clip(x, 0, 1), lambda x: np.clip(2.0, -1, x)),
        *(lambda x: np.clip(-2.0, x, 0), lambda x: np.maximum(x, -x), lambda x: np.maximum(x, x[::-1])),
        *(lambda x: np.where(x > 0, x, 2 * x), lambda x: np.max(x, initial=0.0)),
        *(lambda x: np.linalg.norm(x, 1), lambda x: np.linalg.norm(x, np.inf), lambda x: np.remainder(x, 3)),
        *(lambda x: np.percentile(x, [0, 100]), lambda x: np.interp(x, [-1.0, 0.0, 1.0], [3.0, 5.0, 9.0])),
    ],
    ids=lambda f: name_of(f) if f.__module__ != __name__ else None,
)
def test_beside_a_kink_the_slope_is_that_of_its_side(function: Any) -> None:
    """However near: only equal numbers are tied."""
    x = np.array([1.0, -1.0, -3.0, 2.0])
    slopes = gradient(function, x / 4)
    for near in (5e-324, 1e-300, 1e-9):
        np.testing.assert_array_equal(gradient(function, x * near), slopes)
