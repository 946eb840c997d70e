"""Every row of the table of derivatives, checked on calls that Hypothesis draws.

A row is tested by giving it a domain, in the folder `domains`: a strategy for calls of the function at which
it is differentiable.

    DOMAINS[np.exp] = Domain(elementwise(normal), analytic=True)

The rest is the same for all rows: see factory.py. A row without a domain fails the suite.

The truths do not know the engine: central differences, extrapolated by Richardson's scheme, with an error
bound that comes from the extrapolation and the size of the Jacobian; where the function is analytic, the
complex step, which is exact to rounding (Squire and Trapp, SIAM Review 40, 1998); and dual numbers.
"""

import contextlib
import inspect
import itertools
import math
import operator
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import duals
import search
from domains import DOMAINS
from domains.basics import lying
from factory import (
    ARRIVED,
    ASK_THE_FIRST,
    BESIDE,
    ROWS,
    Example,
    assert_close,
    attached,
    chapter_of,
    check_arrays_of_their_own,
    check_linear_in_the_head,
    check_second_order,
    check_ties,
    check_two_calls_in_one_graph,
    check_value_and_gradient,
    examples,
    heard,
    is_variable,
)
from slopes import assert_slopes
from tinygrad_lr import Tensor, asarray, autograd, compile, record, tensor
from tinygrad_lr.derivatives import DERIVATIVES, Derivative, derivative
from tinygrad_lr.errors import NoRuleError, name_of
from tinygrad_lr.func import grad
from tinygrad_lr.testing import check_gradients
from truths import central_difference, gradient


def test_every_row_has_a_domain() -> None:
    assert not [name_of(function) for function in ROWS if function not in DOMAINS]


def test_every_domain_belongs_to_a_row() -> None:
    assert not [name_of(function) for function in DOMAINS if function not in ROWS]


def calls_at_a_time(function: Any) -> int:
    """About as many as there are pairs of options; but those of ufuncs are the same for all of them."""
    count = max(len(ROWS[function].options), 1)
    if isinstance(function, np.ufunc) or isinstance(getattr(function, "__self__", None), np.ufunc):
        return min(count, 5)
    return min(max(count, math.comb(count, 2)), 8)


@pytest.mark.parametrize("function", [f for f in ROWS if f in DOMAINS], ids=name_of)
@search.examples(6)
@given(data=st.data())
def test_row(function: Any, data: st.DataObject) -> None:
    for _ in range(calls_at_a_time(function)):
        example = data.draw(examples(function))
        check_value_and_gradient(example)
        check_second_order(example)
        data.draw(st.sampled_from(BESIDE))(example)


def test_options_of_rules_have_the_defaults_of_numpy() -> None:
    """But where NumPy has none, or does not say which."""
    compared = 0
    for function, row in [*ROWS.items(), *((f, r) for f, r in DERIVATIVES.items() if r.written)]:
        with contextlib.suppress(ValueError):  # of ufuncs and their methods nothing is known
            known = inspect.signature(function).parameters
            for rule in filter(callable, (*row.rules, *row.named_rules.values(), row.written)):
                for name, parameter in inspect.signature(rule).parameters.items():
                    default = known[name].default if name in known else np._NoValue
                    if (
                        inspect.Parameter.empty not in (parameter.default, default)
                        and default is not np._NoValue
                    ):
                        assert parameter.default == default, f"{name} of {name_of(function)}"
                        compared += 1
    assert compared > 500


def test_arguments_of_rules_have_the_names_of_numpy() -> None:
    """So that they can be given by name, and by position in NumPy's order."""
    compared = 0
    for function, row in [*ROWS.items(), *((f, r) for f, r in DERIVATIVES.items() if r.written)]:
        if isinstance(function, np.ufunc) or function in (np.einsum, np.block):
            continue  # whose arguments have no name, are any number, or go another way by name
        rules = [(rule, 2) for rule in (*row.rules, *row.named_rules.values())]
        for rule, first in [*rules, (row.written, 0)]:
            if callable(rule):
                names = list(inspect.signature(rule).parameters)[first:]
                for own, (name, parameter) in zip(names, parameters(function).items(), strict=False):
                    if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
                        assert own == name, f"{own} of {name_of(function)}"
                        compared += 1
    assert compared > 500


def parameters(function: Any) -> dict[str, inspect.Parameter]:
    """Those of a function of NumPy's; methods of ufuncs tell only their documentation."""
    with contextlib.suppress(ValueError):
        return dict(inspect.signature(function).parameters)
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    names = {"reduce": "a axis dtype out keepdims initial where", "accumulate": "a axis dtype out"}
    defaults = {
        "axis": 0,
        "dtype": None,
        "out": None,
        "keepdims": False,
        "initial": np._NoValue,
        "where": True,
    }
    found = names.get(function.__name__, "").split()
    return {n: inspect.Parameter(n, kind, default=defaults.get(n, inspect.Parameter.empty)) for n in found}


def in_order(function: Any) -> list[str]:
    """What a function takes by position."""
    return [
        n for n, p in parameters(function).items() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]


def by_position(example: Example) -> Example:
    """An example with all options by position that can be, those in between at their defaults."""
    arguments, known = example.arguments, in_order(example.row)
    given = [key for key in arguments if isinstance(key, int)]
    last = max((known.index(name) for name in arguments if name in known), default=-1)
    places = {known[place]: place for place in range(len(given), last + 1)}
    made = {places.get(key, key): value for key, value in arguments.items()}
    for name, place in places.items():  # what NumPy has for no value of keepdims is no value to give
        made.setdefault(place, False if name == "keepdims" else parameters(example.row)[name].default)
    paths = [(places.get(first, first), *rest) for first, *rest in example.paths]
    return example._replace(arguments=made, paths=paths)


WITH_OPTIONS = [
    f
    for f in ROWS
    if f in DOMAINS
    and not isinstance(f, np.ufunc)
    and any(
        parameters(f)[name].default is not inspect.Parameter.empty for name in in_order(f) if name != "out"
    )
]


@pytest.mark.parametrize("function", WITH_OPTIONS, ids=name_of)
@search.examples(3)
@given(data=st.data())
def test_options_by_position(function: Any, data: st.DataObject) -> None:
    """Also behind others that are at their defaults, such as out=None."""
    example = data.draw(examples(function))
    pairs = zip(*(e.gradients(e.variables, e.head) for e in (by_position(example), example)), strict=True)
    for one, two in pairs:
        np.testing.assert_array_equal(one, two)


def in_tuples(array: Any) -> Any:
    return tuple(map(in_tuples, array)) if np.ndim(array) else np.asarray(array).item()


OF_SEVERAL = [
    f
    for f in ROWS
    if f in DOMAINS
    and not isinstance(f, np.ufunc)
    and sum(map(callable, ROWS[f].rules)) + len(ROWS[f].named_rules) > 1
]


@pytest.mark.parametrize("function", OF_SEVERAL, ids=name_of)
@search.examples(3)
@given(data=st.data())
def test_tuples_of_numbers_are_as_good_as_arrays(function: Any, data: st.DataObject) -> None:
    """Beside one tensor, given by name or by position."""
    example, names = data.draw(examples(function))._replace(wrapped=False), in_order(function)
    for kept in example.paths:
        if function in ASK_THE_FIRST and kept[0] != 0:
            continue
        arguments = {
            key: in_tuples(value) if key != kept[0] and np.ndim(value) and np.size(value) else value
            for key, value in example.arguments.items()
        }
        places = [key for key in arguments if isinstance(key, int)]
        named = {k: names[k] for k in places[1:]} if len(places) <= len(names) else {}
        by_name = {named.get(key, key): value for key, value in arguments.items()}
        one = example._replace(paths=[kept])
        plain = example._replace(arguments=arguments, paths=[kept])
        path = named.get(kept[0], kept[0]), *kept[1:]
        for other in (plain, plain._replace(arguments=by_name, paths=[path]), by_position(plain)):
            try:
                same = np.shape(other.value(other.variables)) == example.head.shape
            except (TypeError, ValueError):  # NumPy's
                continue
            if same:
                got, expected = (e.gradients(e.variables, e.head)[0] for e in (other, one))
                np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-14)


def test_options_of_numpy_are_known() -> None:
    """Each of them, also one that no gradient depends on."""
    compared = 0
    for function, row in ROWS.items():
        if isinstance(function, np.ufunc):
            continue
        with contextlib.suppress(ValueError):  # of methods of ufuncs nothing is known
            for name, p in inspect.signature(function).parameters.items():
                by_name = p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
                if by_name and function not in (np.block, np.linalg.vecdot):  # that go another way by name
                    assert name in row.options, f"{name} of {name_of(function)}"
                    compared += 1
    assert compared > 500


@pytest.mark.parametrize(
    "function",
    [f for f in ROWS if isinstance(f, np.ufunc) and f.signature is None and f.nin > 1],
    ids=name_of,
)
def test_arguments_without_a_rule_have_no_slope_or_say_that_it_is_not_known(function: Any) -> None:
    for i, rule in enumerate(ROWS[function].rules):
        points = np.random.default_rng(0).uniform(0.2, 0.8, (function.nin, 5))
        if rule is None and function is not np.ldexp:  # which takes whole numbers
            moved = points.copy()
            moved[i] += 1e-4
            np.testing.assert_array_equal(function(*moved), function(*points))
        if rule is ...:
            x = tensor(points[i])
            x.attach_grad()
            with warnings.catch_warnings(action="ignore"), record(), pytest.raises(NoRuleError):
                function(*points[:i], x, *points[i + 1 :])  # some take whole numbers, and warn


def flags(function: Any) -> set[str]:
    """The options of a row that are true or false by default."""
    rules = (*ROWS[function].rules, *ROWS[function].named_rules.values())
    signatures = [inspect.signature(rule).parameters for rule in rules if callable(rule)]
    return {
        n for known in signatures for n, p in known.items() if isinstance(p.default, bool) or n == "density"
    }


@pytest.mark.parametrize("function", [f for f in ROWS if f in DOMAINS and flags(f)], ids=name_of)
@search.examples(3)
@given(data=st.data())
def test_what_is_true_need_not_be_true_itself(function: Any, data: st.DataObject) -> None:
    """Flags may be 0 and 1, or NumPy's, where NumPy takes these."""
    for kind in (int, np.bool_, int):
        example = data.draw(examples(function))
        arguments = {k: kind(v) if isinstance(v, bool) else v for k, v in example.arguments.items()}
        other = example._replace(arguments=arguments)
        try:
            other.value(example.variables)
        except (TypeError, DeprecationWarning):  # NumPy's, and that of NumPy 2.0
            continue
        pairs = zip(*(e.gradients(e.variables, e.head) for e in (other, example)), strict=True)
        for one, two in pairs:
            np.testing.assert_array_equal(one, two)


FLAGGED: dict[str, Callable[[Any, Any], Any]] = {
    "increasing": lambda x, flag: np.vander(x[0], 4, flag),
    "returned": lambda x, flag: strung(np.average(x, 0, np.cos(x), flag)),
    "rowvar": lambda x, flag: np.cov(x, x[::-1] ** 2, flag),
    "columns": lambda x, flag: np.cov(x, x[::-1] ** 2, flag ^ True),
    "bias": lambda x, flag: np.cov(x, None, True, flag),
    "rowvar of corrcoef": lambda x, flag: np.corrcoef(x, None, flag),
    "columns of corrcoef": lambda x, flag: np.corrcoef(x, None, flag ^ True),
    "sparse": lambda x, flag: strung(np.meshgrid(x[0], x[1], sparse=flag)),
    "full": lambda x, flag: np.polyfit(np.arange(3.0), x[0], 1, full=flag)[0],
    "endpoint": lambda x, flag: np.linspace(x, 2.0, 4, flag),
    "no endpoint": lambda x, flag: np.geomspace(x, 4.0, 4, flag ^ True),
    "retstep": lambda x, flag: np.linspace(x, 4.0, 4, True, flag)[1],
    "endpoint of logspace": lambda x, flag: np.logspace(x, 2.0, 4, flag),
    "full_matrices": lambda x, flag: strung(np.linalg.svd(x[:2], flag)),
    "reduced": lambda x, flag: strung(np.linalg.svd(x[:2], flag ^ True)),
    "compute_uv": lambda x, flag: np.linalg.svd(x, True, flag)[0],
    "values alone": lambda x, flag: np.linalg.svd(x, True, flag ^ True),
    "hermitian": lambda x, flag: np.linalg.svd(x, False, True, flag)[0],
    "hermitian values": lambda x, flag: np.linalg.svd(x, True, flag ^ True, flag),
    "hermitian of pinv": lambda x, flag: np.linalg.pinv(x, hermitian=flag),
    "upper": lambda x, flag: np.linalg.cholesky(x + 9 * np.eye(3), upper=flag),
    "lower": lambda x, flag: np.linalg.cholesky(x + 9 * np.eye(3), upper=flag ^ True),
    "keepdims of matrix_norm": lambda x, flag: np.linalg.matrix_norm(x, keepdims=flag, ord=1),
    "density": lambda x, flag: np.histogram([0.0, 1, 3], [0, 2, 5], None, flag, x[0])[0],
}


@pytest.mark.parametrize("name", FLAGGED)
def test_flags_of_any_kind(name: str) -> None:
    """1 and NumPy's truth are as good as True."""
    function, x = FLAGGED[name], np.random.default_rng(0).uniform(0.5, 2, (3, 3))
    head = np.random.default_rng(1).uniform(0.5, 2, np.shape(function(x, True)))
    expected = gradient(lambda x: function(x, True), x, head=head)
    for flag in (1, np.True_):
        np.testing.assert_array_equal(gradient(lambda x, f=flag: function(x, f), x, head=head), expected)


# ---- dual numbers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "function", [f for f in duals.RULES if isinstance(f, np.ufunc) and f in DOMAINS], ids=name_of
)
@search.examples(10)
@given(data=st.data())
def test_dual_numbers_agree(function: Any, data: st.DataObject) -> None:
    """To rounding, in one random direction."""
    example = data.draw(examples(function))
    directions = [example.rng.uniform(-1, 1, v.shape) for v in example.variables]
    leaves = [duals.Dual(v, d) for v, d in zip(example.variables, directions, strict=True)]
    value = example.value(leaves)
    gradients = example.gradients(example.variables, example.head)
    terms = [g * d for g, d in zip(gradients, directions, strict=True)]
    size = sum(np.sum(np.abs(term)) for term in terms) + np.sum(np.abs(value.slope * example.head))
    assert_close(sum(map(np.sum, terms)), np.sum(value.slope * example.head), size)
    assert_close(value.real, example.value(example.variables), 1)


WHOLE_ORDERS = {f for f in ROWS if name_of(f) in ("scipy.special.yn", "scipy.special.kn")}
BROADCAST = [f for f in ROWS if ROWS[f].elementwise and f.nin > 1 and f is not np.ldexp]

# ---- ties and kinks ---------------------------------------------------------------------------------------

#: what sort, medians, norms and clip do is said in the tests of their chapters
KINKED = [
    *(np.absolute, np.fabs, np.maximum, np.minimum, np.fmax, np.fmin, np.std, np.nanstd),
    *(np.max, np.min, np.amax, np.amin, np.nanmax, np.nanmin, np.ptp),
    *(np.maximum.reduce, np.minimum.reduce, np.fmax.reduce, np.fmin.reduce),
    *(np.maximum.accumulate, np.minimum.accumulate, np.fmax.accumulate, np.fmin.accumulate),
    *(np.maximum.outer, np.minimum.outer),
]


@pytest.mark.parametrize("function", KINKED, ids=name_of)
@search.examples(20)
@given(data=st.data())
def test_ties_and_kinks(function: Any, data: st.DataObject) -> None:
    check_ties(data.draw(examples(function)))


@pytest.mark.parametrize(
    "function", [f for f in ROWS if ROWS[f].elementwise and f is not np.ldexp], ids=name_of
)
def test_a_zero_of_either_sign_is_the_same_zero(function: Any) -> None:
    """Where the value is the same at -0.0 as at 0.0, so is the gradient; an infinite one has either sign."""
    places = [i for i, rule in enumerate(ROWS[function].rules) if callable(rule)]

    def slopes(points: Any) -> tuple[Any, list[Any]]:
        given = [attached(p) if i in places else asarray(p) for i, p in enumerate(points)]
        with record():
            y = function(*given)
        return y.array, [g.array for g in autograd.grad(y, [given[i] for i in places])]

    points = np.array(list(itertools.product([-1.0, -0.0, 0.0, 1.0, 2.0], repeat=function.nin))).T
    with np.errstate(all="ignore"):
        (value, of_signed), (other, of_plain) = slopes(points), slopes(points + 0.0)
    same = np.isfinite(value) & (value == other)
    for one, two in zip(of_signed, of_plain, strict=True):
        one, two = (np.where(np.isinf(g), np.inf, g)[same] for g in (one, two))
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    "function",
    [f for f in BROADCAST if f.nout == 1 and callable(ROWS[f].rules[0]) and callable(ROWS[f].rules[1])],
    ids=name_of,
)
def test_mixed_derivatives_do_not_depend_on_the_order(function: Any) -> None:
    """Also at zeros, ties and kinks, where conventions decide; but where x log x is a part of them."""
    points = np.array(list(itertools.product([-2.5, -1.0, -0.5, 0.0, 0.25, 0.5, 1.0, 2.0, 3.0], repeat=2))).T
    a, b = map(attached, points)
    with np.errstate(all="ignore"):
        with record():
            y = function(a, b)
            firsts = [g + 0 * (a + b) for g in autograd.grad(y, [a, b], create_graph=True)]
        mixed = [autograd.grad(g, z, retain_graph=True).array for g, z in zip(firsts, (b, a), strict=True)]
    here = np.logical_and.reduce([np.isfinite(made.array) for made in (y, *firsts)])
    here &= points[0] != {"boxcox": 0, "boxcox1p": -1}.get(function.__name__, np.inf)
    here &= np.isfinite(mixed[0]) & np.isfinite(mixed[1])
    assert here.sum() > 15
    np.testing.assert_allclose(*(m[here] for m in mixed), rtol=1e-9, atol=1e-12)


# ---- far from zero, and close to it -----------------------------------------------------------------------

UNARY = [*(f for f in ROWS if ROWS[f].elementwise and f.nin == 1), np.i0]
LINEAR = {np.positive, np.negative, np.conjugate, np.deg2rad, np.rad2deg, np.radians, np.degrees}
#: where formulas overflow, cancel, or give way to others
FAR = np.multiply.outer([-1, 1], [1e-6, 0.03, 0.9, 2.7, 5.3, 11.3, 26.7, 91.3, 290.2, 1e4]).ravel()
FARTHER = np.array([*FAR, -720.4, 720.4, -1e30, 1e30, -np.inf, np.inf])


def with_values(function: Any, points: Any) -> Any:
    """Those of some points at which a function has a finite value, and is no gamma function far to the left.

    Its poles come there by the dozen, as far apart as the steps of differences are long.
    """
    with np.errstate(all="ignore"):
        has = np.isfinite(function(points))
    return (
        points[has & (points > -100)]
        if "gamma" in name_of(function) or function.__name__ == "psi"
        else points[has]
    )


@pytest.mark.parametrize("function", UNARY, ids=name_of)
def test_derivatives_far_from_zero(function: Any) -> None:
    """To second order; of those that are tiny beside a value as many digits as differences have."""
    points = with_values(function, FAR)
    with warnings.catch_warnings(action="ignore"):
        check_gradients(function, points[function(points) != 0], strict=False, analytic=False)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("function", [*UNARY, np.sinc], ids=name_of)
def test_where_there_is_a_value_there_is_a_slope_without_a_warning(function: Any, dtype: Any) -> None:
    """None of these points is one where the derivative is infinite. At infinity it is 0."""
    points = with_values(function, FARTHER.astype(dtype))
    leaf = attached(points)
    with record():
        y = function(leaf)
    slopes = autograd.grad(y, leaf).array
    assert np.all(np.isfinite(slopes))
    assert np.all(slopes[np.isinf(points)] == 0)
    with np.errstate(invalid="ignore"):  # by np.arccosh itself
        beside = gradient(function, points.dtype.type([points[0], np.nan]))
    assert beside[0] == beside[1] if function in LINEAR else np.isnan(beside[1])


EXPONENTS = np.array([-300, -200, -100, -30, -10, -3, -1.5, -0.5, 0.1, 0.5, 1, 1.3, 1.7, 2, 2.2, 2.5, 2.8, 3])
EXPONENTS = np.append(EXPONENTS, [10, 50, 100, 150, 200, 300])


def passing(function: Any, power: float) -> Iterator[float]:
    """Where the size of a function passes a power of ten, each to the last digits, by bisection."""
    for sign in (1, -1):

        def beyond(t: Any, sign: int = sign) -> Any:
            return np.log10(np.abs(function(sign * 10.0**t))) - power

        ends = beyond(EXPONENTS)
        for k in np.flatnonzero(ends[:-1] * ends[1:] < 0):
            low, high = EXPONENTS[k : k + 2]
            for _ in range(60):
                middle = (low + high) / 2
                low, high = (low, middle) if beyond(middle) * ends[k] <= 0 else (middle, high)
            if abs(beyond(low)) < 1:  # else it is where the function changes its sign
                yield sign * 10.0**low


@pytest.mark.parametrize("function", UNARY, ids=name_of)
@np.errstate(all="ignore")
def test_slopes_where_values_are_nearly_too_large_or_too_small(function: Any) -> None:
    """As long as the slope is a number; by differences of the logarithm."""
    for power in (-300, -290, 290, 300, 304, 307, 307.9):
        for x in passing(function, power):
            step = 1e-5
            logs = np.log(np.abs(function(x * (1 + step * np.array([-2, -1, 1, 2])))))
            expected = (8 * (logs[2] - logs[1]) - (logs[3] - logs[0])) / (12 * step) * function(x) / x
            if np.isfinite(expected) and abs(expected) > 1e-305:
                assert gradient(function, x) == pytest.approx(expected, rel=1e-3, abs=0), x


@pytest.mark.parametrize("function", UNARY, ids=name_of)
@np.errstate(all="ignore")
def test_third_order_at_whole_numbers(function: Any) -> None:
    """Where formulas in |x| have kinks, though their functions have none."""
    for x in (0.0, 1.0, -1.0, 2.0):
        made = [gradient(function, x, order=order) for order in (1, 2, 3)]
        if np.all(np.isfinite([function(x), *made])) and function.__name__ != "i1e":  # |x| counts in it
            truth = central_difference(lambda t, x=x: gradient(function, x + t / 8, order=2))
            assert abs(made[2] - 8 * truth.value) <= 1e-6 * (1 + abs(made[2])) + 8 * truth.error


@pytest.mark.parametrize(
    "function", [f for f in BROADCAST if f.nin == 2 and f.nout == 1 and f not in WHOLE_ORDERS], ids=name_of
)
@np.errstate(all="ignore")
def test_slopes_in_every_quadrant(function: Any) -> None:
    for i in (k for k, rule in enumerate(ROWS[function].rules) if callable(rule)):
        points = np.array(list(itertools.product([-2.3, -1.55, -0.65, 0.35, 0.85, 1.65, 3.4], repeat=2))).T
        points[1 - i] *= 1.16
        if ROWS[function].rules[1 - i] is ...:
            points[1 - i] = np.rint(points[1 - i])

        def along(t: float, points: Any = points, i: int = i) -> Any:
            moved = points + t * np.array([[i == 0], [i == 1]])
            return function(*moved)

        truth, leaf = central_difference(along), attached(points[i])
        with record():
            y = function(*(leaf if k == i else points[k] for k in (0, 1)))
        got = autograd.grad(y, leaf).array
        here = np.isfinite(y.array) & np.isfinite(truth.value)
        assert here.sum() > 5
        assert np.all((np.abs(got - truth.value) <= 1e-7 * (1 + np.abs(got)) + truth.error)[here])


# ---- the checks find wrong rules --------------------------------------------------------------------------

Check = Callable[[Example], None]
PLANTED: dict[str, tuple[Check, Any, tuple[Any, ...]]] = {
    "sign": (check_value_and_gradient, np.cos, (lambda g, y, x: g * np.sin(x),)),
    "factor": (check_value_and_gradient, np.square, (lambda g, y, x: g * x,)),
    "1% off": (check_value_and_gradient, np.exp, (lambda g, y, x: g * y * 1.01,)),
    "1e-9 off": (check_value_and_gradient, np.exp, (lambda g, y, x: g * y * (1 + 1e-9),)),
    "operands swapped": (
        check_value_and_gradient,
        np.multiply,
        (lambda g, y, a, b: g * a, lambda g, y, a, b: g * b),
    ),
    "the second operand": (
        check_value_and_gradient,
        np.subtract,
        (lambda g, y, a, b: g, lambda g, y, a, b: g),
    ),
    "no sum over a broadcast axis": (
        check_value_and_gradient,
        np.vecdot,
        (
            lambda g, y, x1, x2, **ufunc: g[..., None] * x2,
            lambda g, y, x1, x2, **ufunc: (g[..., None] * x1)[:1],
        ),
    ),
    "axes swapped": (
        check_value_and_gradient,
        np.transpose,
        (lambda g, y, a, axes=None: np.transpose(g, axes),),
    ),
    "axis ignored": (
        check_value_and_gradient,
        np.sum,
        (lambda g, y, a, axis=None, dtype=None, out=None, keepdims=False, initial=0, where=True: np.sum(g),),
    ),
    "repeated indices": (
        check_value_and_gradient,
        operator.getitem,
        (lambda g, y, x, key: _put(np.zeros(x.shape), key, g),),
    ),
    "head ignored": (check_linear_in_the_head, np.sin, (lambda g, y, x: np.cos(x),)),
    "wrong in second order only": (
        check_second_order,
        np.sin,
        (lambda g, y, x: g * np.cos(getattr(x, "array", x)),),
    ),
    "wrong in the second derivative by the head only": (
        check_second_order,
        np.sin,
        (lambda g, y, x: getattr(g, "array", g) * np.cos(x),),
    ),
    "wrong only at ties": (
        check_ties,
        np.maximum,
        (lambda g, y, a, b: g * (1 + (a == b)) * (a >= b), lambda g, y, a, b: g * (b > a)),
    ),
    "shared buffer": (
        check_two_calls_in_one_graph,
        np.exp,
        (lambda g, y, x: np.multiply(g, y, out=BUFFERS.setdefault(y.shape, np.zeros(y.shape))),),
    ),
    "head written": (
        check_arrays_of_their_own,
        np.negative,
        (lambda g, y, x: np.negative(g, out=g) if g.ndim else -g,),
    ),
    "argument written": (
        check_value_and_gradient,
        np.square,
        (lambda g, y, x: g * np.multiply(x, 2, out=x),),
    ),
    "value written": (
        check_arrays_of_their_own,
        np.exp,
        (lambda g, y, x: np.multiply(g, y, out=y) if y.ndim else g * y,),
    ),
}
BUFFERS: dict[Any, Any] = {}


def _put(array: Any, key: Any, values: Any) -> Any:
    array[key] = values
    return array


@pytest.mark.parametrize(("check", "function", "rules"), PLANTED.values(), ids=PLANTED)
def test_wrong_rules_are_found(
    monkeypatch: pytest.MonkeyPatch, check: Check, function: Any, rules: tuple[Any, ...]
) -> None:
    monkeypatch.setattr(DERIVATIVES[function], "rules", rules)

    @settings(max_examples=500, phases=[Phase.generate], database=None)
    @given(examples(function))
    def test(example: Example) -> None:
        check(example)

    with pytest.raises((AssertionError, ValueError)):
        test()


def test_a_tiny_gradient_that_is_all_wrong_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = np.array([0.5, 0.5]), np.array([1.0, 1e-12])
    rng = np.random.default_rng(0)
    example = Example(np.multiply, np.multiply, {0: a, 1: b}, [(0,)], False, float, np.ones(2), rng)
    check_value_and_gradient(example)
    monkeypatch.setattr(
        DERIVATIVES[np.multiply], "rules", (lambda g, y, a, b: g * np.where(b < 1e-6, 0, b), None)
    )
    with pytest.raises(AssertionError):
        check_value_and_gradient(example)


# ---- operators and methods are the same functions ---------------------------------------------------------

BINARY = {
    operator.add: np.add,
    operator.sub: np.subtract,
    operator.mul: np.multiply,
    operator.truediv: np.divide,
    operator.mod: np.remainder,
    operator.pow: np.power,
    operator.matmul: np.matmul,
    operator.floordiv: np.floor_divide,
    operator.lt: np.less,
    operator.le: np.less_equal,
    operator.gt: np.greater,
    operator.ge: np.greater_equal,
    operator.eq: np.equal,
    operator.ne: np.not_equal,
}
OPERANDS: list[tuple[Any, Any]] = [
    pair
    for other in (asarray, np.asarray, list, np.float64, float, bool)
    for pair in dict.fromkeys([(asarray, other), (other, asarray)])
]


@pytest.mark.parametrize("symbol", BINARY, ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    ("left", "right"), OPERANDS, ids=[f"{left.__name__}-{right.__name__}" for left, right in OPERANDS]
)
def test_operators(symbol: Any, left: Any, right: Any) -> None:
    """With a Tensor on either side, and an array, a list, a NumPy scalar or a number on the other."""
    numbers = {
        asarray: np.array([[1.5, 2.5], [0.75, 0.5]]),
        np.asarray: np.array([[2.25, 2.5], [3.5, 0.25]]),
        list: [[2.25, 2.5], [3.5, 0.25]],
        np.float64: 2.5,
        float: 2.5,
        bool: True,
    }
    a, b = left(numbers[left]), right(numbers[right])
    if symbol is operator.matmul and (np.ndim(a) == 0 or np.ndim(b) == 0):
        with pytest.raises(ValueError, match="matmul"):
            symbol(a, b)
        return
    leaves = [x for x in (a, b) if isinstance(x, Tensor)]
    for leaf in leaves:
        leaf.attach_grad()
    with record():
        by_operator, by_function = symbol(a, b), BINARY[symbol](a, b)
    assert isinstance(by_operator, Tensor)
    raw = [x.array if isinstance(x, Tensor) else x for x in (a, b)]
    np.testing.assert_array_equal(by_operator.array, symbol(*raw), strict=True)
    if not DERIVATIVES[BINARY[symbol]].rules:
        assert by_operator.node is None
        return
    for one, other in zip(
        autograd.grad(by_operator, leaves), autograd.grad(by_function, leaves), strict=True
    ):
        np.testing.assert_array_equal(one.array, other.array)


@pytest.mark.parametrize("symbol", BINARY, ids=lambda f: f.__name__)
@pytest.mark.parametrize("way", [{"__array_ufunc__": None}, {"__array_priority__": 1.0}], ids=str)
def test_operators_are_left_to_an_operand_that_asks_for_it(symbol: Any, way: dict[str, Any]) -> None:
    """With the attributes by which it asks NumPy's arrays."""
    name = symbol.__name__.strip("_")
    mirrored = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "eq": "eq", "ne": "ne"}.get(name, f"r{name}")
    likeness = {"array": np.ones(2), "tape": None, "index": 0}  # a tensor's attributes make no tensor of it
    other = type("Other", (), {**way, **likeness, f"__{mirrored}__": lambda self, left: (self, left)})()
    x = tensor([1.5, 2.5])
    assert symbol(x, other) == (other, x)
    x.attach_grad()
    with record():
        assert symbol(x, other) == (other, x)


@pytest.mark.parametrize(
    "symbol", [f for f in BINARY if DERIVATIVES[BINARY[f]].rules], ids=lambda f: f.__name__
)
def test_a_rule_in_place_of_another_counts_for_the_operator_too(symbol: Any) -> None:
    row = DERIVATIVES[BINARY[symbol]]
    before = {name: getattr(row, name) for name in row.__slots__}
    a, b = attached(np.ones((1, 1))), attached(np.ones((1, 1)))
    try:
        derivative(BINARY[symbol], lambda g, y, a, b: 5 * g, lambda g, y, a, b: 7 * g)
        with record():
            y = symbol(a, b)
        np.testing.assert_array_equal(autograd.grad(y, [a, b]), [[[5]], [[7]]])
    finally:
        DERIVATIVES[BINARY[symbol]] = row
        for name, value in before.items():
            setattr(row, name, value)


@pytest.mark.parametrize("symbol", [operator.neg, operator.pos, abs])
def test_unary_operators(symbol: Any) -> None:
    function = {operator.neg: np.negative, operator.pos: np.positive, abs: np.absolute}[symbol]
    x = tensor([-1.5, 2.0])
    x.attach_grad()
    with record():
        by_operator, by_function = symbol(x), function(x)
    np.testing.assert_array_equal(by_operator.array, symbol(x.array))
    for a, b in zip(autograd.grad(by_operator, [x]), autograd.grad(by_function, [x]), strict=True):
        np.testing.assert_array_equal(a.array, b.array)


@pytest.mark.parametrize(
    "array", [np.array([3, 4]), np.array([True, False]), np.float32([1.5, 2.0])], ids=str
)
@pytest.mark.parametrize("exponent", [2, 2.0, 0, 3, np.float64(2), np.int64(2)], ids=repr)
def test_powers_have_the_dtype_of_numpy(array: Any, exponent: Any) -> None:
    np.testing.assert_array_equal((tensor(array) ** exponent).array, array**exponent, strict=True)


METHODS: dict[str, tuple[Any, ...]] = {
    "sum": (0,),
    "mean": (1,),
    "max": (),
    "min": (0,),
    "var": (0,),
    "std": (1,),
    "argmax": (0,),
    "argmin": (),
    "all": (),
    "any": (1,),
    "round": (1,),
    "clip": (0.0, 0.5),
    "dot": (np.array([1.0, 2.0, 3.0]),),
    "squeeze": (),
    "swapaxes": (0, 1),
    "ravel": (),
    "flatten": ("F",),
    "copy": (),
    "reshape": (3, 2),
    "transpose": (1, 0),
    "astype": (np.float32,),
    "T": (),
    "mT": (),
    "argsort": (0,),
    "compress": ([True, False], 0),
    "conj": (),
    "conjugate": (),
    "cumprod": (1,),
    "cumsum": (0,),
    "diagonal": (1,),
    "imag": (),
    "nonzero": (),
    "prod": (1,),
    "real": (),
    "repeat": (2, 1),
    "take": ([0, 2], -1),
    "trace": (1,),
}
#: the functions of those that are called in another way than the method
FUNCTIONS: dict[str, Any] = {
    "T": np.transpose,
    "mT": np.matrix_transpose,
    "flatten": np.ravel,
    "reshape": lambda x, *shape: np.reshape(x, shape),
    "transpose": lambda x, *axes: np.transpose(x, axes),
    "compress": lambda x, condition, axis: np.compress(condition, x, axis),
    "astype": getattr(np, "astype", lambda x, dtype: Tensor.astype(x, dtype)),  # NumPy 2.1
}
CONSTANT_METHODS = {"argmax", "argmin", "argsort", "all", "any", "nonzero", "round", "imag"}
#: what a tensor has of its own, or gives out as NumPy's
OWN = {"dtype", "fill", "item", "itemsize", "nbytes", "ndim", "shape", "size", "tolist"}


def test_every_method_that_an_array_has_too_is_tested() -> None:
    shared = {name for name in dir(np.ndarray) if not name.startswith("_") and hasattr(Tensor, name)}
    assert shared - {"ptp"} == METHODS.keys() | OWN  # NumPy 2.0 has a ptp that but raises


@pytest.mark.parametrize("shape", [(2, 3), (2, 1, 3)], ids=str)
@pytest.mark.parametrize("lies", [np.ascontiguousarray, np.asfortranarray], ids=["C", "F"])
@pytest.mark.parametrize("numbers", [[0.3, -1.2, 2.0, 0.7, 0.1, -0.4], [np.nan, 0, 1, 0, 3, np.nan]], ids=str)
@pytest.mark.parametrize("name", METHODS)
def test_methods(name: str, numbers: list[float], lies: Any, shape: tuple[int, ...]) -> None:
    """Methods are NumPy's functions, and do what the methods of an array do; also with fewer arguments."""
    data = lies(np.reshape(numbers, shape))
    of_tensor, of_array = getattr(asarray(data), name), getattr(data, name)
    pairs = [] if callable(of_array) else [(of_tensor, of_array)]
    calls: list[tuple[Any, Any]] = [(METHODS[name][:count], {}) for count in range(len(METHODS[name]) + 1)]
    for arguments, options in [*calls, ((), {"axis": None})] if callable(of_array) else ():
        try:
            expected = of_array(*arguments, **options)
        except (TypeError, ValueError):  # the others have no defaults, or no axis
            continue
        got = of_tensor(*arguments, **options)
        pairs += zip(got, expected, strict=True) if name == "nonzero" else [(got, expected)]
    assert pairs
    for one, other in pairs:
        assert isinstance(one, Tensor)
        np.testing.assert_array_equal(one.array, other, strict=True)
        if name != "copy":  # which is np.copy, and that keeps the order
            assert one.array.strides == other.strides
        if name not in ("conj", "conjugate"):  # of which NumPy has a method that copies nothing
            assert np.shares_memory(one.array, data) == np.shares_memory(other, data)


@pytest.mark.parametrize(
    "method",
    [
        lambda x: x.conj(),
        lambda x: x.conjugate(),
        lambda x: x.dot(np.ones((2, 2, 3))),
        lambda x: x.dot(2.0),
        lambda x: abs((x * 100).real).round(-1),
        lambda x: x.real,
        lambda x: x.real.clip(0, 1),
        lambda x: x.real.clip(max=0),
    ],
)
def test_methods_of_complex_numbers_and_of_three_axes(method: Any) -> None:
    data = np.array([[[0.3 + 1j, -1.26], [2.0, -1j]]])
    np.testing.assert_array_equal(method(tensor(data)).array, method(data), strict=True)


@pytest.mark.parametrize("digits", [(), (None,), (-1,), (0,), (1,)])
def test_rounding_by_pythons_function(digits: Any) -> None:
    data = np.array([123.45, 17.0, -2.5])
    places = digits[0] or 0 if digits else 0
    np.testing.assert_array_equal(round(tensor(data), *digits).array, np.round(data, places), strict=True)


@pytest.mark.parametrize("axes", [[0, 2], [2, 0], [-1], [], [0, 0], [0, -3], [3]], ids=str)
@pytest.mark.parametrize("name", ["all", "any", "max", "mean", "min", "prod", "squeeze", "std", "sum", "var"])
def test_methods_take_a_list_of_axes_for_a_tuple(name: str, axes: list[int]) -> None:
    data = np.array([[[0.3, -1.2]]])
    options: list[Any] = [{}] if name == "squeeze" else [{}, {"keepdims": True}]

    def outcome(method: Any, axis: Any) -> Any:
        try:
            return [np.asarray(method(axis=axis, **beside)).tolist() for beside in options]
        except ValueError as error:
            return type(error), str(error)

    assert outcome(getattr(tensor(data), name), axes) == outcome(getattr(data, name), tuple(axes))


@pytest.mark.parametrize("name", METHODS)
def test_methods_have_the_gradients_of_the_functions(name: str) -> None:
    x = tensor([[0.3, -1.2, 2.0], [0.7, 0.1, -0.4]])
    x.attach_grad()
    function = FUNCTIONS.get(name) or getattr(np, name)
    with record():
        by_method, by_function = getattr(x, name), function(x, *METHODS[name])
        if callable(by_method):
            by_method = by_method(*METHODS[name])
    pairs = zip(by_method, by_function, strict=True) if name == "nonzero" else [(by_method, by_function)]
    for one, other in pairs:
        np.testing.assert_array_equal(one.array, other.array, strict=True)
        assert (one.node is None) == (other.node is None) == (name in CONSTANT_METHODS)
        if one.node is not None:
            head = np.linspace(0.5, 2, one.size).reshape(one.shape)
            got, expected = (autograd.grad(y, x, tensor(head, dtype=y.dtype)) for y in (one, other))
            np.testing.assert_array_equal(got.array, expected.array, strict=True)
            assert np.any(got.array)


@pytest.mark.parametrize("shape", [(-1,), (3, 2), ((3, 2),), ([6, 1],), (6,), ((1, 2, 3),)], ids=repr)
def test_reshape_takes_numbers_or_a_tuple(shape: Any) -> None:
    data = np.arange(6.0)
    np.testing.assert_array_equal(tensor(data).reshape(*shape).array, data.reshape(*shape), strict=True)


@pytest.mark.parametrize("axes", [(), (None,), (2, 0, 1), ((2, 0, 1),), ([-1, 0, 1],), (-2, -1, 0)], ids=repr)
def test_transpose_takes_numbers_or_a_tuple(axes: Any) -> None:
    data = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(tensor(data).transpose(*axes).array, data.transpose(*axes), strict=True)
    np.testing.assert_array_equal(tensor(data[0, 0]).transpose(0).array, data[0, 0])


def test_a_rule_that_is_not_needed_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """In X @ w the gradient of X would be as large as the data."""

    def never(*args: Any) -> Any:
        raise AssertionError("called for a constant")

    monkeypatch.setitem(
        DERIVATIVES, np.arctan2, Derivative(np.arctan2, (never, lambda g, y, a, b: -g * a / (a * a + b * b)))
    )
    got = gradient(lambda x: np.arctan2(np.array([1.0, 2.0]), x), [2.0, 1.0])
    np.testing.assert_allclose(got, [-0.2, -0.4])


def test_no_warning_where_the_derivative_is_finite() -> None:
    """Warnings are errors throughout; this makes sure that they are."""
    with pytest.raises(RuntimeWarning):
        warnings.warn("heard", RuntimeWarning, stacklevel=1)


# ---- which rows only move elements ------------------------------------------------------------------------


#: the functions whose results are elements of their arguments, or sums of these
MOVING = {
    *(f for f in ROWS if chapter_of(f) in ("indexing", "shape")),
    *(np.positive, np.negative, np.add, np.subtract, np.unwrap, np.real, np.real_if_close, np.conjugate),
    *(np.sum, np.mean, np.cumsum, np.nansum, np.nanmean, np.nancumsum, np.bincount),
    *(np.trace, np.linalg.trace),
    *(np.add.reduce, np.add.accumulate, np.add.outer, np.subtract.outer),
    *(np.where, np.clip, np.nan_to_num, np.heaviside, np.heaviside.outer),
    *(f for f in KINKED if f not in (np.absolute, np.fabs, np.std, np.nanstd, np.ptp)),
    *(np.fmax.outer, np.fmin.outer, np.median, np.nanmedian),
    *([np.cumulative_sum] if hasattr(np, "cumulative_sum") else []),
}


NOT_FINITE = st.sampled_from([np.inf, -np.inf, np.nan])
#: x itself for a sign of the sign of x, said to have an infinite derivative where the sign is not 1 or -1
STEEP = Derivative(np.copysign, (lambda g, y, x, sign: g * np.where(np.abs(sign) > 1, np.inf, 1), None))


@pytest.mark.parametrize(
    "function", [f for f in ROWS if f in DOMAINS and (ROWS[f].moves or f in MOVING)], ids=name_of
)
@pytest.mark.filterwarnings("ignore:All-NaN axis")  # NumPy's, of a masked scalar, not of an array
@search.examples(4)
@given(data=st.data())
def test_moving_rows_never_cancel(function: Any, data: st.DataObject) -> None:
    """Their gradient is zero exactly where what is taken of the result does not depend on an element.

    It stays zero there where a derivative before it is infinite, and where that behind it is. What is
    infinite or NaN in one place of it reaches no element but those.
    """
    example = data.draw(examples(function))
    shape = example.head.shape
    ones = np.ones(shape) if data.draw(st.booleans()) else example.rng.integers(0, 2, shape).astype(float)
    used = [got != 0 for got in example.gradients(example.variables, ones)]
    other = example.gradients(example.variables, ones * example.rng.uniform(0.5, 2, shape))
    with np.errstate(invalid="ignore"):
        infinite = example.gradients(example.variables, np.where(ones != 0, np.inf, 0))
    leaves = [attached(v) for v in example.variables]
    signs = [np.copysign(np.where(mask, 1, 2), x) for mask, x in zip(used, example.variables, strict=True)]
    with pytest.MonkeyPatch.context() as patch, record():
        patch.setitem(DERIVATIVES, np.copysign, STEEP)
        value = example.with_tensors().value(list(map(np.copysign, leaves, signs)))
        np.where(ones != 0, value, 0).backward()
    for mask, got, endless, leaf in zip(used, other, infinite, leaves, strict=True):
        np.testing.assert_array_equal(got != 0, mask)
        np.testing.assert_array_equal(endless != 0, mask)
        np.testing.assert_array_equal(leaf.grad.array != 0, mask)
        masked = {"where", ROWS[function].where} & set(example.arguments)
        if not ROWS[function].selects and not masked and np.all(ones) and ones.size:
            assert np.all(mask)
    if ones.size:
        one = np.reshape(np.arange(ones.size) == example.rng.integers(ones.size), shape)
        bad, rest = (np.where(one, value, example.head) for value in (data.draw(NOT_FINITE), 0))
        with np.errstate(invalid="ignore"):
            made = [example.gradients(example.variables, head) for head in (one * 1.0, bad, rest)]
        for reached, got, expected in zip(*made, strict=True):
            np.testing.assert_array_equal(np.isfinite(got), reached == 0)
            np.testing.assert_allclose(got[reached == 0], expected[reached == 0], rtol=1e-12, atol=1e-14)


# ---- what selections left out, past other functions -------------------------------------------------------

SPREADING = [f for f in ROWS if f in DOMAINS and ROWS[f].follows and not ROWS[f].moves]


@pytest.mark.parametrize("function", SPREADING, ids=name_of)
@search.examples(2)
@given(data=st.data())
def test_spreading_rows_lose_nothing_of_what_was_selected(function: Any, data: st.DataObject) -> None:
    """Behind an infinite derivative only what has no part in the selected results has the gradient 0."""
    example = data.draw(examples(function))
    selected = example.rng.uniform(size=example.head.shape) < 0.5
    head = np.where(selected, example.head, 0)
    leaves = [attached(v) for v in example.variables]
    with pytest.MonkeyPatch.context() as steep, np.errstate(all="ignore"):
        steep.setattr(DERIVATIVES[np.positive], "rules", (lambda g, y, x: g * np.inf,))
        steep.setattr(DERIVATIVES[np.positive], "follows", False)
        steep.setattr(DERIVATIVES[np.positive], "moves", False)
        with record():
            value = np.where(
                selected, example.with_tensors().value([np.positive(leaf) for leaf in leaves]), 0
            )
        got = autograd.grad(value, leaves, example.head)
    for one, slope in zip(got, example.gradients(example.variables, head), strict=True):
        assert not np.any(np.isfinite(one.array) & (slope != 0))
        assert np.all(one.array[np.isfinite(one.array)] == 0)
        if not selected.any() and not ROWS[function].selects:
            np.testing.assert_array_equal(one.array, 0)


def test_what_is_left_out_is_followed_past_every_function() -> None:
    """Elementwise functions are no obstacle, but each of the others must say how it is followed."""
    assert not [name_of(function) for function, row in ROWS.items() if not (row.elementwise or row.follows)]


ROWS_OF_ROOTS = np.array([[0.0, 4.0, 1.0], [1.0, 4.0, 9.0]])
MASK = np.array([[False, True, True], [True, True, True]])
#: what of two rows, or two columns for one array of them, is taken does not depend on the first element
PAST: dict[str, Callable[[Any], Any]] = {
    "prod": lambda y: np.prod(y, axis=1)[np.array([False, True])],
    "prod where, by position": lambda y: np.prod(y, 1, None, None, False, 1.0, MASK),
    "prod where": lambda y: np.prod(y, axis=1, where=MASK),
    "multiply.reduce": lambda y: np.multiply.reduce(y, axis=1, where=MASK),
    "var": lambda y: np.where([False, True], np.var(y, axis=1), 1),
    "var where": lambda y: np.var(y, axis=1, where=MASK),
    "std": lambda y: np.std(y, axis=1, ddof=1)[1],
    "std where": lambda y: np.std(y, where=MASK),
    "nanvar": lambda y: np.nanvar(y, axis=1)[1],
    "nanvar where": lambda y: np.nanvar(y, axis=1, where=MASK),
    "nanprod": lambda y: np.nanprod(y, axis=1)[1],
    "nanprod where": lambda y: np.nanprod(y, where=MASK),
    "norm": lambda y: np.linalg.norm(y, axis=1)[1],
    "largest": lambda y: np.linalg.norm(y, np.inf, axis=1)[1],
    "matmul": lambda y: (y @ np.zeros((3, 2)))[1],
    "vector": lambda y: (np.zeros(2) @ y)[1:],
    "einsum": lambda y: np.einsum("ij,jk->ik", y, np.ones((3, 2)))[1:],
    "tensordot": lambda y: np.tensordot(y, np.ones((3, 2)), 1)[1:],
    "outer": lambda y: np.outer(y, np.ones(2))[1:],
    "cross": lambda y: np.cross(y, [1.0, 0.0, 2.0])[1],
    "kron": lambda y: np.kron(y, np.ones(2))[1:],
    "convolve": lambda y: np.convolve(y[0], np.ones(2))[2:],
    "cumprod": lambda y: np.cumprod(y, axis=1)[1],
    "diff": lambda y: np.diff(y[0])[1:],
    "gradient": lambda y: np.gradient(y)[0][:, 1],
    "gradient at points": lambda y: np.gradient(y, np.array([0.0, 1.0, 3.0]), axis=1)[:, 2],
    "trapezoid": lambda y: np.trapezoid(y)[1],
    "average": lambda y: np.average(y, axis=1, weights=[1.0, 2.0, 3.0], returned=True)[0][1],
    "ptp": lambda y: np.ptp(y, axis=1)[1],
    "interp": lambda y: np.interp(1.5, np.arange(3.0), y[0]),
    "quantile": lambda y: np.quantile(-y[0], 0.5),
    "percentile": lambda y: np.percentile(-y[0], 50),
    "nanquantile": lambda y: np.nanquantile(-y[0], 0.5),
    "nanpercentile": lambda y: np.nanpercentile(-y[0], 50),
    "det": lambda y: np.linalg.det(np.stack([y[:, :2], y[:, 1:]]))[1],
    "inv": lambda y: np.linalg.inv(np.stack([y[:, :2], y[:, 1:]]))[1],
    "solve": lambda y: np.linalg.solve(np.stack([y[:, :2], y[:, 1:]]), np.ones((2, 1)))[1],
    "right side": lambda y: np.linalg.solve(np.eye(3) + np.ones((2, 3, 3)), y[:, :, None])[1],
    "slogdet": lambda y: np.linalg.slogdet(np.stack([y[:, :2], y[:, 1:]]))[1][1],
    "eigh": lambda y: np.linalg.eigh(np.stack([y[:, :2], y[:, 1:]]))[1][1],
    "svd": lambda y: np.linalg.svd(np.stack([y[:, :2], y[:, 1:]]))[1][1],
    "tensorsolve": lambda y: np.linalg.tensorsolve(y[:, 1:], [1.0, 2.0])[1:],
    "tensorinv": lambda y: np.linalg.tensorinv(y[:, 1:], 1)[1:],
    "one matrix inverted": lambda y: np.linalg.inv(y[:, 1:])[1:],
    "one matrix to a power": lambda y: np.linalg.matrix_power(y[:, 1:], -2)[1:],
    "one pseudo-inverse": lambda y: np.linalg.pinv(y[:, 1:])[1:],
    "one system": lambda y: np.linalg.solve(y[:, 1:], [1.0, 2.0])[1:],
    "one triangle": lambda y: np.linalg.cholesky(y[:, 1:] @ y[:, 1:].T + np.eye(2))[1],
    "two factors": lambda y: np.linalg.qr(y[:, 1:])[1][1:],
    "cov": lambda y: np.cov(y)[1, 1],
    "corrcoef": lambda y: np.corrcoef(y, np.sin(y[1:]))[1, 2],
    "polyval": lambda y: np.polyval([3.0, 2.0, 1.0], y[0])[1:],
    "vander": lambda y: np.vander(y[0])[1:],
    "multi_dot": lambda y: np.linalg.multi_dot([y, np.ones((3, 2)), np.ones((2, 2))])[1],
    "lstsq": lambda y: np.linalg.lstsq(np.array([[1.0], [2.0]]), y)[0][0, 1:],
    "linspace": lambda y: np.linspace(y[0], 5.0, 3)[:, 1],
    "power.outer": lambda y: np.power.outer(y[0], [2.0, 3.0])[1:],
    "modf": lambda y: np.modf(0.3 * y[0])[0][1:],
    "sinc": lambda y: np.sinc(1.3 * y[0])[1:],
    "product with itself": lambda y: (y @ y.T)[1, 1],
    "dot": lambda y: np.dot(y, np.ones((3, 2)))[1:],
    "inner": lambda y: np.inner(y, np.ones((2, 3)))[1:],
    "vdot": lambda y: np.stack([np.vdot(y[0], np.ones(3)), np.vdot(y[1], np.ones(3))])[1:],
    "vecdot": lambda y: np.vecdot(y, np.ones(3))[1:],
    "correlate": lambda y: np.correlate(y[0], np.ones(2), "full")[2:],
    "ediff1d": lambda y: np.ediff1d(y)[1:],
    "multiply.accumulate": lambda y: np.multiply.accumulate(y, axis=1)[1],
    "nancumprod": lambda y: np.nancumprod(y, axis=1)[1],
    "logaddexp.reduce": lambda y: np.logaddexp.reduce(y, axis=1)[1],
    "logaddexp.accumulate": lambda y: np.logaddexp.accumulate(y, axis=1)[1],
    "logspace": lambda y: np.logspace(y[0], 1.0, 3)[:, 1],
    "geomspace": lambda y: np.geomspace(1.0 + y[0], 5.0, 3)[:, 1],
    "i0": lambda y: np.i0(y[0])[1:],
    "divmod": lambda y: np.divmod(y[0], 0.7)[1][1:],
    "frexp": lambda y: np.frexp(0.7 * y[0])[0][1:],
    "matrix_norm": lambda y: np.linalg.matrix_norm(np.stack([y, y[::-1] + 1])[:, :, 1:])[1],
    "several": lambda y: np.where([False, True], np.linalg.norm(y @ np.ones((3, 2)), axis=1), 1),
}
if hasattr(np, "cumulative_prod"):
    PAST["cumulative_prod"] = lambda y: np.cumulative_prod(y, axis=1)[1]
if hasattr(np, "matvec"):
    PAST |= {
        "matvec": lambda y: np.matvec(y, np.ones(3))[1:],
        "vecmat": lambda y: np.vecmat(np.ones(2), y)[1:],
    }
#: of these to first order only: what the first gradient leaves out of a product is not known to the second
TO_FIRST_ORDER = {"cov", "corrcoef", "product with itself"}


@pytest.mark.parametrize("name", PAST)
def test_what_is_left_out_later_has_the_gradient_zero(name: str) -> None:
    """Also where its own derivative is infinite; to second order as well."""

    def function(x: Any) -> Any:
        return PAST[name](np.sqrt(x))

    near = ROWS_OF_ROOTS.copy()
    near[0, 0] = 1e-4
    for order in (1,) if name in TO_FIRST_ORDER else (1, 2):
        with np.errstate(divide="ignore", over="ignore"):
            got, expected = (gradient(function, at, order=order) for at in (ROWS_OF_ROOTS, near))
        assert got[0, 0] == 0
        np.testing.assert_allclose(got, expected, atol=1e-12)


def test_leaving_out_later_is_silent() -> None:
    """NumPy's own warning about the logarithm of 0 is the only one: none comes from the sweep."""
    x = attached(np.array([0.0, 0.0, 1.0, 2.0, 3.0]))
    for later in (np.gradient, np.diff, np.cumsum, lambda y: np.convolve(y, [1.0, -1.0])):
        with record(), np.errstate(divide="ignore", invalid="ignore"):
            y = later(np.log(x))[3:]
        if later is not np.cumsum:  # of which each number is in all that come later
            assert np.isfinite(autograd.grad(y, x).array).all()
    x = attached(np.array([1e-200, 2.0]))
    for steep in (np.reciprocal, lambda x: x**-1.25, lambda x: 1 / x, lambda x: np.log(1e-120 * x)):
        with record():
            y = np.where([False, True], steep(x), 0.0)
        assert autograd.grad(y, x).array[0] == 0


def test_what_is_left_out_is_followed_only_where_it_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind an infinite slope: else a rule that moves elements is called once for each of its calls."""
    calls = []

    def turned(g: Any, y: Any, m: Any, axis: Any = None) -> Any:
        calls.append(g)
        return np.flip(g, axis)

    monkeypatch.setattr(DERIVATIVES[np.flip], "rules", (turned,))
    for left_out, number in ((9.0, 3), (0.0, 6)):
        x = attached(np.array([left_out, 4.0]))
        with record():
            y = np.where([True, False], np.flip(np.flip(np.flip(np.sqrt(x)))), 0.0)
        with np.errstate(divide="ignore"):
            y.backward()
        np.testing.assert_array_equal(x.grad.array, [0, 0.25])
        assert len(calls) == number
        calls.clear()


@pytest.mark.parametrize(
    "function",
    [
        lambda y: np.prod(y, axis=1) * np.zeros(2),
        lambda y: np.prod(np.concatenate([y, np.zeros((2, 1))], axis=1), axis=1)[:1],
        lambda y: (y @ np.zeros((3, 2)))[:1],
        lambda y: np.where([True, False], y @ np.zeros(3), 1),
        lambda y: np.einsum("ij,jk", y, np.zeros((3, 2)))[:1],
        lambda y: np.std(0 * y, axis=1)[:1],
        lambda y: np.linalg.norm(0 * y, axis=1)[:1],
        lambda y: np.cross(y, np.zeros(3))[0],
        lambda y: np.var(y - y, axis=1, where=MASK[:, ::-1]),
        lambda y: np.cumprod(np.concatenate([y, np.zeros((2, 1))], axis=1), axis=1)[:1, -1],
        lambda y: np.nancumprod(np.concatenate([y, np.zeros((2, 1))], axis=1), axis=1)[:1, -1],
        lambda y: np.multiply.accumulate(np.concatenate([y, np.zeros((2, 1))], axis=1), axis=1)[:1, -1],
        lambda y: np.multiply.reduce(np.concatenate([y, np.zeros((2, 1))], axis=1), axis=1)[:1],
        lambda y: np.nanprod(np.concatenate([y, np.zeros((2, 1))], axis=1), axis=1)[:1],
    ],
    ids=range(14),
)
def test_a_zero_of_a_product_is_no_selection(function: Callable[[Any], Any]) -> None:
    """0 * inf is NaN where the element was used."""
    with np.errstate(divide="ignore", invalid="ignore"):
        assert np.isnan(gradient(lambda x: function(np.sqrt(x)), ROWS_OF_ROOTS)[0, 0])


BESIDES: dict[Any, tuple[Any, ...]] = {np.take: ([0, 0],), np.repeat: (3,), np.insert: (0, 7.0)}


def test_an_axis_of_a_number() -> None:
    """Where NumPy lets a number have one, the gradient is that of an array of one element."""
    found = []
    for function in (f for f in ROWS if "axis" in ROWS[f].options):
        for axis in (0, -1):
            call = partial(lambda f, axis, x: f(x, *BESIDES.get(f, ()), axis=axis), function, axis)
            try:
                value = call(np.array(0.7))
            except (TypeError, ValueError, IndexError):
                continue
            found.append(name_of(function))
            head = np.arange(1.0, 1 + np.size(value))
            number = gradient(lambda x, call=call: np.ravel(call(x)), 0.7, head=head)
            alone = gradient(lambda x, call=call: np.ravel(call(x[None])), 0.7, head=head)
            assert number == alone, found[-1]
    assert {"np.repeat", "np.take", "np.max", "np.cumprod", "np.expand_dims"} <= {*found}


def strung(parts: Any) -> Any:
    return np.concatenate([np.ravel(part) for part in parts])


FORMS_OF_AXES: list[Any] = [[0, 2], [2, 0], [-1, 0], [1], [], range(2), np.array([1, 0]), np.int64(1)]
FORMS_OF_AXES += [np.array(-1), [np.int64(2), 1], [1, 2, 0], np.array([2, -3, 1]), range(2, -1, -1)]
BESIDE_AXES: dict[Any, tuple[Any, ...]] = {
    **dict.fromkeys((np.quantile, np.nanquantile), (0.3,)),
    **{f: ([30, 60],) for f in (np.percentile, np.nanpercentile)},
    np.roll: (1,),
}


@pytest.mark.parametrize("function", [f for f in ROWS if {"axis", "axes"} & ROWS[f].options], ids=name_of)
def test_axes_in_every_form(function: Any) -> None:
    """As a list, a range, an array or NumPy's number, where NumPy takes these: as the tuple or the number."""
    x = np.random.default_rng(0).permutation(np.linspace(0.5, 2, 12)).reshape(2, 3, 2)
    name = "axis" if "axis" in ROWS[function].options else "axes"

    def call(x: Any, axes: Any) -> Any:
        y = function(x, *BESIDE_AXES.get(function, ()), **{name: axes})
        return strung(y) if isinstance(y, (list, tuple)) else np.ravel(y)

    for form in FORMS_OF_AXES:
        try:
            head = np.arange(1.0, 1 + call(x, form).size)
        except (TypeError, ValueError, IndexError):  # NumPy's
            continue
        plain = tuple(map(int, form)) if np.iterable(form) else int(form)
        got, expected = (gradient(lambda x, a=a: call(x, a), x, head=head) for a in (form, plain))
        np.testing.assert_array_equal(got, expected, err_msg=repr(form))


def joins(function: Any) -> Callable[..., Any]:
    return lambda x, axis: function([x, 2 * x, x], axis=axis)


#: the functions that are called in another way than with an array and an axis
BY_AXIS: dict[Any, Callable[..., Any]] = {
    np.concatenate: joins(np.concatenate),
    np.stack: joins(np.stack),
    np.append: lambda x, axis: np.append(x, 2 * x, axis),
    np.insert: lambda x, axis: np.insert(x, 1, 7.0, axis),
    np.delete: lambda x, axis: np.delete(x, 1, axis),
    np.take: lambda x, axis: np.take(x, [1, 0, 1], axis),
    np.take_along_axis: lambda x, axis: np.take_along_axis(x, np.argsort(x, axis), axis),
    np.compress: lambda x, axis: np.compress([True, False], x, axis),
    np.repeat: lambda x, axis: np.repeat(x, 3, axis),
    np.roll: lambda x, axis: np.roll(x, 1, axis),
    np.rollaxis: np.rollaxis,
    np.fft.fftshift: np.fft.fftshift,
    np.fft.ifftshift: np.fft.ifftshift,
    np.split: lambda x, axis: strung(np.split(x, [1], axis)),
    np.array_split: lambda x, axis: strung(np.array_split(x, 2, axis)),
    np.partition: lambda x, axis: np.partition(x, 1, axis),
    np.quantile: lambda x, axis: np.quantile(x, 0.3, axis),
    np.percentile: lambda x, axis: np.percentile(x, [30, 60], axis),
    np.gradient: lambda x, axis: np.gradient(x, axis=axis),
    np.moveaxis: lambda x, axis: np.moveaxis(x, axis, 1),
    np.swapaxes: lambda x, axis: np.swapaxes(x, axis, 1),
    np.average: lambda x, axis: np.average(x, axis, weights=np.arange(1.0, 1 + x.shape[axis])),
    **{f: lambda x, axis, f=f: f(x, axis=axis) for f in (np.sum, np.prod, np.mean, np.var, np.std, np.max)},
    **{f: lambda x, axis, f=f: f(x, axis=axis) for f in (np.min, np.ptp, np.median, np.nansum, np.nanmax)},
    **{f: lambda x, axis, f=f: f(x, axis=axis) for f in (np.nanvar, np.cumsum, np.cumprod, np.sort, np.flip)},
    **{f: lambda x, axis, f=f: f(x, axis=axis) for f in (np.diff, np.trapezoid, np.linalg.norm)},
}


@pytest.mark.parametrize("function", BY_AXIS, ids=name_of)
def test_every_axis_of_four(function: Any) -> None:
    """Each counts alike, from either end."""
    x = np.random.default_rng(0).permutation(np.linspace(0.5, 2, 36)).reshape(2, 3, 2, 3)
    for axis in range(-x.ndim, x.ndim):
        head = np.random.default_rng(1).uniform(0.5, 2, np.shape(BY_AXIS[function](x, axis)))
        got = gradient(lambda x, axis=axis: BY_AXIS[function](x, axis), x, head=head)
        for number in np.random.default_rng(2).permutation(x.size)[:3]:
            step = 1e-3 * np.reshape(np.arange(x.size) == number, x.shape)
            ends = [np.sum(head * BY_AXIS[function](x + sign * step, axis)) for sign in (1, -1)]
            assert abs(got[step > 0] - (ends[0] - ends[1]) / 2e-3).item() < 1e-4


SUMMING = [np.sum, np.nansum, np.prod, np.nanprod, np.add.reduce, np.multiply.reduce, np.logaddexp.reduce]
EXTREME = [np.max, np.min, np.amax, np.amin, np.nanmax, np.nanmin]
EXTREME += [np.maximum.reduce, np.minimum.reduce, np.fmax.reduce, np.fmin.reduce]
QUANTILES = {np.quantile: 1, np.nanquantile: 1, np.percentile: 100, np.nanpercentile: 100}
Beside = Callable[[Any, Any], dict[str, Any]]


def weights_of_axes(a: Any, axes: Any) -> dict[str, Any]:
    shape = a.shape if axes is None else tuple(a.shape[i] for i in np.atleast_1d(axes))
    return {"weights": np.cos(np.arange(np.prod(shape))).reshape(shape) + 2}


#: what functions with keepdims= can be given beside an array and the reduced axes
BESIDE_KEPT: dict[Any, list[Beside]] = {
    **{f: [lambda a, axes: {"initial": np.array(0.7)}] for f in SUMMING},
    **{f: [lambda a, axes, t=t: {"initial": np.array(t)} for t in (0.1, 9.0)] for f in EXTREME},
    **{
        f: [lambda a, axes: {"mean": np.max(a, axis=axes, keepdims=True)}, lambda a, axes: {"where": a > 0.5}]
        for f in (np.var, np.std, np.nanvar, np.nanstd)
    },
    **{
        f: [lambda a, axes, q=q, n=n: {"q": n * q} for q in (np.array(0.3), np.array([0.3, 0.65]))]
        for f, n in QUANTILES.items()
    },
    np.average: [
        lambda a, axes: {"weights": np.cos(a)},
        weights_of_axes,
        lambda a, axes: weights_of_axes(a, axes) | {"returned": True},
    ],
}


@pytest.mark.parametrize("function", [f for f in ROWS if "keepdims" in ROWS[f].options], ids=name_of)
def test_axes_that_are_kept(function: Any) -> None:
    """Every argument gets what it gets if they are not, whichever axes they are."""
    a = np.random.default_rng(0).permutation(np.linspace(0.5, 2, 24)).reshape(2, 3, 4)
    compared = 0
    forms: list[Any] = [0, 1, -1, (0, 2), (2, 0), (1, 2, 0), (1,), None]
    for axes, beside in itertools.product(forms, [lambda a, axes: {}, *BESIDE_KEPT.get(function, [])]):
        options = beside(a, axes)
        options |= {"axis": axes} if "axis" in ROWS[function].options else {}
        if function in QUANTILES and "q" not in options:
            continue
        names = [name for name, value in options.items() if is_variable(value)]
        points = [a, *(options[name] for name in names)]

        def call(leaves: Any, keep: Any, names: Any = names, options: Any = options) -> Any:
            y = function(leaves[0], **options | dict(zip(names, leaves[1:], strict=True)), keepdims=keep)
            return strung(y) if isinstance(y, tuple) else np.ravel(y)

        try:
            head = np.random.default_rng(1).uniform(0.5, 2, call(points, False).shape)
        except (TypeError, ValueError):  # norms have one or two axes
            continue
        made = []
        for keep in (False, True, 1):
            leaves = [attached(p) for p in points]
            with record():
                y = call(leaves, keep)
            made.append(autograd.grad(y, leaves, head))
        for one, *others in zip(*made, strict=True):
            for other in others:
                np.testing.assert_allclose(one.array, other.array, rtol=1e-14)
                compared += 1
    assert compared > 0


#: functions that know their axes, and of more than three take some only
OF_FOUR_AXES: dict[Any, Callable[..., Any]] = {
    **{f: lambda x, f=f: strung(f(x, [1])) for f in (np.hsplit, np.vsplit, np.dsplit)},
    **{f: lambda x, f=f: f([x, x * x]) for f in (np.hstack, np.vstack, np.dstack, np.column_stack, np.stack)},
    **{
        f: lambda x, f=f: f(x, 1) for f in (np.tril, np.triu, np.rot90, np.diagonal, np.trace, np.expand_dims)
    },
    **{f: lambda x, f=f: f(x) for f in (np.fliplr, np.flipud, np.atleast_3d, np.squeeze, np.transpose)},
    **{f: lambda x, f=f: f(x) for f in (np.linalg.diagonal, np.linalg.trace, np.ravel)},
    **{f: lambda x, f=f: f(x) for f in (np.matrix_transpose, np.linalg.matrix_transpose)},
    np.block: lambda x: np.block([[x, x * x], [x, x]]),
    np.tile: lambda x: np.tile(x, (2, 1, 3)),
    np.pad: lambda x: np.pad(x, ((0, 1), (1, 0), (2, 1), (0, 0)), mode="edge"),
    np.resize: lambda x: np.resize(x, (3, 1, 2, 2, 4)),
}


@pytest.mark.parametrize("function", OF_FOUR_AXES, ids=name_of)
def test_four_axes(function: Any) -> None:
    assert_slopes(OF_FOUR_AXES[function], np.random.default_rng(0).uniform(0.5, 2, (2, 3, 2, 3)))


#: with the axis None, of all elements in a row
OF_NO_AXIS: dict[str, Callable[..., Any]] = {
    **{name_of(f): partial(f, axis=None) for f in (np.sort, np.sum, np.cumsum, np.cumprod, np.flip, np.max)},
    **{name_of(f): partial(f, axis=None) for f in (np.median, np.prod, np.var, np.ptp, np.linalg.norm)},
    **{name_of(f): f for f in (np.diagflat, np.ravel, np.unwrap, np.ediff1d, np.sinc, np.i0)},
    "partition": lambda x: np.partition(x, 3, axis=None),
    "take": lambda x: np.take(x, [0, 5, 5, 2]),
    "take_along_axis": lambda x: np.take_along_axis(x, np.array([4, 4, 1]), None),
    "repeat": lambda x: np.repeat(x, np.arange(x.size) % 3),
    "insert": lambda x: np.insert(x, [1, 3], x[0, 0]),
    "inserted": lambda x: np.insert(np.arange(10.0), 1, x[0, 0]),
    "delete": lambda x: np.delete(x, [0, 4]),
    "append": lambda x: np.append(x, x * x),
    "concatenate": lambda x: np.concatenate([x, x * x], axis=None),
    "compress": lambda x: np.compress(np.arange(7) % 3 == 0, x),
    "extract": lambda x: np.extract(x > 1, x),
    "roll": lambda x: np.roll(x, 2),
    "resize": lambda x: np.resize(x, (5, 8)),
    "reshape": lambda x: np.reshape(x, (3, -1)) * np.reshape(x, (3, -1), order="F"),
    "mask": lambda x: x[x.array > 1] if isinstance(x, Tensor) else x[x > 1],
    "index": lambda x: x[[1, 0, 1], :, [0, 1, 1]],
    "pad": lambda x: np.pad(x, 1, mode="reflect", reflect_type="odd"),
    "tile": lambda x: np.tile(x, (2, 1, 1)),
    "quantile": lambda x: np.quantile(x, [0.3, 0.6]),
    "average": lambda x: np.average(x, weights=x * x),
    "bincount": lambda x: np.bincount([0, 2, 2, 1], np.ravel(x)[:4]),
    "einsum": lambda x: np.einsum("ijk->kj", x),
    "tensordot": lambda x: np.tensordot(x, x, ([0, 2], [0, 2])),
    "vdot, outer, kron": lambda x: np.vdot(x, x * x) * np.outer(x, x) + np.kron(x, x).reshape(x.size, x.size),
    "windows": lambda x: np.lib.stride_tricks.sliding_window_view(x, (2, 2), (1, 2)),
    "interp": lambda x: np.interp(x, [0.0, 1.0, 3.0], [2.0, 5.0, 4.0]),
    "select": lambda x: np.select([x > 1.5, x > 0.8], [x, x * x], 1.0),
    "choose": lambda x: np.choose(np.arange(18).reshape(9, 2) % 2, x.swapaxes(0, 2)),
    "piecewise": lambda x: np.piecewise(x, [x > 1], [np.square, np.exp]),
    "norm": lambda x: np.linalg.norm(x, 1, axis=(2, 0)),
    "trapezoid": lambda x: np.trapezoid(x, x * x, axis=1),
    "gradient": lambda x: strung(np.gradient(x, axis=(0, 2))),
    "histogram": lambda x: np.histogram(np.arange(x.size) % 5.0, 3, weights=np.ravel(x))[0],
    "trim": lambda x: np.trim_zeros(np.ravel(x)),
}


@pytest.mark.parametrize(
    "function",
    [
        *OF_NO_AXIS.values(),
        *OF_FOUR_AXES.values(),
        *(lambda x, f=f: f(x, 1) for f in BY_AXIS.values()),
    ],
    ids=[*OF_NO_AXIS, *map(name_of, OF_FOUR_AXES), *(f"{name_of(f)} of an axis" for f in BY_AXIS)],
)
def test_where_elements_lie_in_memory_does_not_matter(function: Any) -> None:
    x = np.random.default_rng(0).permutation(np.linspace(0.5, 2, 36)).reshape(2, 9, 2)
    x = x.reshape(2, 3, 2, 3) if function in OF_FOUR_AXES.values() else x
    head = np.random.default_rng(1).uniform(0.5, 2, np.shape(function(x)))
    expected = gradient(function, x, head=head)
    for how in ("Fortran", "permuted", "reversed", "strided"):
        leaf = attached(lying(x, how))
        with record():
            y = function(leaf)
        got = autograd.grad(y, leaf, lying(head, how)).array
        np.testing.assert_allclose(got, expected, rtol=1e-13, err_msg=how)


#: of a tensor of rows and columns, beside those above
OF_SOME: dict[str, Callable[..., Any]] = {
    "default of select": lambda x: np.select([x > 1.5, x > 0.8], [1.0, x], x[::-1]),
    "meshgrid": lambda x: strung(np.meshgrid(x[0, 0], x[:, 0, 0], x[0, :, 0])),
    "meshgrid, sparse": lambda x: strung(np.meshgrid(x[0, 0], x[0, :, 0], sparse=True, indexing="ij")),
    "ix_": lambda x: strung(np.ix_(x[0, 0], x[:, 0, 0])),
    "broadcast_arrays": lambda x: strung(np.broadcast_arrays(x[0, 0], x)),
    "trace": np.trace,
    "choose of one array": lambda x: np.choose([1, 0], x),
    "where": lambda x: np.where(np.arange(2) > 0, x, x[::-1]),
    "cross": lambda x: np.cross(x[:, :3], x[::-1, 3:6], axis=1),
    "pad of edges": lambda x: np.pad(x, ((0, 1), (1, 0), (2, 1)), mode="edge"),
    "pad of means": lambda x: np.pad(x, 1, mode="mean", stat_length=1),
    "column_stack": lambda x: np.column_stack([x[0], x[1, :, 0]]),
    "einsum of a diagonal": lambda x: np.einsum("iji->j", x),
    "vander": lambda x: np.vander(x[0, 0]),
    "cov": lambda x: np.cov(x[0])[1:],
    "diff": lambda x: np.diff(x, 2, 1, x[:, :1], x[:, :2]),
    "ediff1d": lambda x: np.ediff1d(x, x[0, 0], x[:, 0, 0]),
    "linspace": lambda x: np.linspace(x, x[::-1] + 3.0, 4, axis=1),
    "values of interp": lambda x: np.interp([-1.0, 0.25, 1.5, 1.75, 9.0], [0, 1, 2], x[0, 1:4, 0], 1.0, 2.0),
    "values outside": lambda x: np.interp(
        [-1.0, 0.5, 5.0], [0, 1, 2], x[0, 3:6, 0], left=x[0, 0, 0], right=x[1, 1, 1]
    ),
    "apply_along_axis": lambda x: np.apply_along_axis(np.cumsum, 1, x),
}


REACHING: dict[str, Callable[..., Any]] = {
    **OF_NO_AXIS,
    **OF_SOME,
    **{f"{name_of(f)} of four axes": called for f, called in OF_FOUR_AXES.items()},
    **{f"{name_of(f)} of an axis": lambda x, c=called: c(x, 1) for f, called in BY_AXIS.items()},
}
del REACHING["norm"], REACHING["np.gradient of an axis"]  # slopes are 0 times it, differences cancel


@pytest.mark.parametrize("name", REACHING)
def test_an_infinite_gradient_reaches_only_what_it_belongs_to(name: str) -> None:
    """From each place the elements that it depends on; so does NaN."""
    function = REACHING[name]
    x = np.random.default_rng(0).permutation(np.linspace(0.5, 2, 36)).reshape(2, 9, 2)
    leaf = attached(x.reshape(2, 3, 2, 3) if name.endswith("four axes") else x)
    with record():
        y = function(leaf)
    head = np.random.default_rng(1).uniform(0.5, 2, y.shape)
    places = np.random.default_rng(2).permutation(y.size)
    for place in {0, y.size - 1, *places[:8].tolist()}:
        one = np.reshape(np.arange(y.size) == place, y.shape)
        heads = one * 1.0, np.where(one, np.inf, head), np.where(one, np.nan, head), np.where(one, 0, head)
        with np.errstate(invalid="ignore"):
            reached, *bad, rest = (autograd.grad(y, leaf, h, retain_graph=True).array for h in heads)
        for got in bad:
            np.testing.assert_array_equal(np.isfinite(got), reached == 0)
            np.testing.assert_allclose(got[reached == 0], rest[reached == 0], rtol=1e-12, atol=1e-14)


#: functions of whole numbers that steer them
STEERED: dict[str, Callable[..., Any]] = {
    **{f"{f.__name__}": f for f in (np.roll, np.rot90, np.diag, np.diagflat, np.diagonal, np.tril, np.triu)},
    **{f"{f.__name__}": f for f in (np.trace, np.take, np.delete, np.pad, np.diff, np.tile, np.repeat)},
    **{f"{f.__name__} by axis": f for f in (np.sort, np.flip, np.cumsum, np.rollaxis, np.expand_dims)},
    **{
        f"{f.__name__} of an axis": lambda x, k, f=f: f(x, axis=k)
        for f in (np.sum, np.prod, np.var, np.max, np.median, np.linalg.norm, np.diff, np.gradient, np.mean)
    },
    "roll of an axis": lambda x, k: np.roll(x, k, 1),
    "roll of two": lambda x, k: np.roll(x, (k, k), (0, 1)),
    "linalg.diagonal": lambda x, k: np.linalg.diagonal(x, offset=k),
    "linalg.trace": lambda x, k: np.linalg.trace(x, offset=k),
    "diag of a vector": lambda x, k: np.diag(x[0], k),
    "take of an axis": lambda x, k: np.take(x, [k, 1], k),
    "repeat each": lambda x, k: np.repeat(x, [k, 2, k], 0),
    "item": lambda x, k: x[k, k],
    "moveaxis": lambda x, k: np.moveaxis(x, k, 0),
    "swapaxes": lambda x, k: np.swapaxes(x, 0, k),
    "rollaxis to": lambda x, k: np.rollaxis(x, 0, k),
    "ddof": lambda x, k: np.var(x, ddof=k, axis=0),
    "quantile": lambda x, k: np.quantile(x, 0.3, axis=k),
    "concatenate": lambda x, k: np.concatenate([x, x * x], k),
    "stack": lambda x, k: np.stack([x, x * x], k),
    "insert": lambda x, k: np.insert(x, k, 7.0, k),
    "split": lambda x, k: strung(np.split(x, [k], k)),
    "mean of some": lambda x, k: np.pad(x, 2, mode="mean", stat_length=k + 2),
    "partition": lambda x, k: np.partition(x, k, k),
    "resize": lambda x, k: np.resize(x, (k, 5)),
    "linspace": lambda x, k: np.linspace(x, 2.0, k, axis=k),
    "logspace": lambda x, k: np.logspace(x, 2.0, k),
    "geomspace": lambda x, k: np.geomspace(x, 2.0, k),
    "trapezoid": lambda x, k: np.trapezoid(x, axis=k),
    "matrix_power": np.linalg.matrix_power,
    "polyder": lambda x, k: np.polyder(x[0], k),
    "tensordot": lambda x, k: np.tensordot(x, x, k),
    "shift": lambda x, k: np.fft.fftshift(x, k),
    "choose": lambda x, k: np.choose([k, 0, k], [x, x * x, x + 1], mode="wrap"),
    "window": lambda x, k: np.lib.stride_tricks.sliding_window_view(x, 2, k),
    "power": operator.pow,
    "ldexp": np.ldexp,
    "vander": lambda x, k: np.vander(x[0], k),
}


def in_an_array(k: int) -> Any:
    return np.array(k, np.uint8)


@pytest.mark.parametrize("name", STEERED)
def test_whole_numbers_may_be_of_any_kind(name: str) -> None:
    """Those of NumPy that have no sign, or few digits, do as Python's do."""
    function, x = STEERED[name], np.random.default_rng(0).permutation(np.linspace(0.5, 2, 9)).reshape(3, 3)
    compared = 0
    for kind in (np.uint8, np.int8, np.uint64, np.bool_, in_an_array):
        for k in (0, 1, *((2,) if kind is not np.bool_ else ()), *((-1, -128) if kind is np.int8 else ())):
            if kind is in_an_array and name == "rollaxis to":
                continue  # NumPy itself changes the number in the array
            try:
                value, expected = function(x, kind(k)), function(x, k)
            except (TypeError, ValueError, IndexError, np.linalg.LinAlgError, RuntimeWarning):  # NumPy's
                continue
            if np.shape(value) != np.shape(expected):
                continue
            head = np.cos(np.arange(np.size(value))).reshape(np.shape(value))
            got, other = (gradient(lambda x, n=n: function(x, n), x, head=head) for n in (kind(k), k))
            np.testing.assert_allclose(got, other, rtol=1e-14)
            compared += 1
    assert compared


@pytest.mark.parametrize("name", STEERED)
def test_whole_numbers_of_numpy_in_compiled_functions(name: str) -> None:
    """They are numbers there too, not arrays that may have other values at the next call."""
    function, x = STEERED[name], np.random.default_rng(0).permutation(np.linspace(0.5, 2, 9)).reshape(3, 3)
    compiled = compile(lambda x, number: grad(lambda x: np.sum(np.sin(function(x, number(1)))))(x))
    expected = gradient(lambda x: np.sin(function(x, 1)), x)
    for number in (int, np.int64, np.int64, np.uint64):
        try:
            function(x, number(1))
        except (TypeError, IndexError, RuntimeWarning):  # NumPy's
            continue
        np.testing.assert_allclose(compiled(x, number), expected, rtol=1e-12)


def test_indices_that_have_no_sign_reach_far() -> None:
    """A uint8 holds no length of 300."""
    which = np.array([0, 255, 7], np.uint8)
    for mode in ("wrap", "clip", "raise"):
        got = gradient(lambda x, m=mode: np.take(x, which, mode=m), np.arange(300.0))
        np.testing.assert_array_equal(np.flatnonzero(got), np.sort(which))
    got = gradient(lambda x: x[which] + np.take_along_axis(x, which, 0), np.arange(300.0))
    np.testing.assert_array_equal(np.flatnonzero(got), np.sort(which))


MANY = 260, 260
#: functions that move elements and know where by numbers, of more than 2**16 of them
OF_MANY: dict[str, Callable[..., Any]] = {
    "orders of memory": lambda x: np.ravel(x.T, "K"),
    "orders of one axis": lambda x: np.ravel(np.ravel(x), "K"),
    "shapes by the order of memory": lambda x: np.reshape(x.T, (130, 520), order="A"),
    "indices": lambda x: x[np.arange(259, -1, -1)],
    "pairs of indices": lambda x: x[np.arange(260), np.arange(260)[:, None]],
    "take": lambda x: np.take(x, np.arange(2**16, 2**16 + 2000)),
    "take of an axis": lambda x: np.take(x, [3, 259, 3], 1),
    "take_along_axis": lambda x: np.take_along_axis(x, np.full((260, 1), 259), 1),
    "compress": lambda x: np.compress(np.arange(260**2) % 3 == 0, x),
    "extract": lambda x: np.extract(np.arange(260**2).reshape(MANY) % 3 == 0, x),
    "choose": lambda x: np.choose(np.arange(260**2).reshape(MANY) % 2, [x, x]),
    "windows": lambda x: np.lib.stride_tricks.sliding_window_view(x, (2, 1))[-2:],
    "partition": lambda x: np.partition(x, 130, axis=None),
    "sort": lambda x: np.sort(x, axis=None),
    "insert": lambda x: np.insert(x, 1, 7.0),
    "inserted": lambda x: np.insert(np.arange(3.0), 1, np.ravel(x)),
    "delete": lambda x: np.delete(x, [0, -1]),
    "resize": lambda x: np.resize(x, 260**2 + 9),
    "pad": lambda x: np.pad(x, 1, mode="wrap"),
    "repeat": lambda x: np.repeat(x, np.arange(260**2) % 2),
    "diagonal": lambda x: np.diagonal(x, -3),
    "trim_zeros": lambda x: np.trim_zeros(np.ravel(x)),
    "split": lambda x: strung(np.split(np.ravel(x), [2**16, 3])),
}


@pytest.mark.parametrize("name", OF_MANY)
def test_elements_have_numbers_however_many_there_are(name: str) -> None:
    """No small kind of whole numbers counts them."""
    function, x = OF_MANY[name], np.arange(1.0, 1 + math.prod(MANY)).reshape(MANY)
    got, times = gradient(function, x, head=function(x)), gradient(function, x)
    np.testing.assert_array_equal(got, x * times)


#: functions of so many arrays that are no ufuncs
OTHERS = {np.where: 3, np.clip: 3, np.linspace: 2, np.logspace: 2, np.geomspace: 2}


@pytest.mark.parametrize(
    "shapes", [((3, 1), (1, 4)), ((3, 1), (4,)), ((1,), (2, 3)), ((), (3,)), ((2, 1, 3), (4, 1))], ids=str
)
@pytest.mark.parametrize("function", [*BROADCAST, *OTHERS], ids=name_of)
def test_what_is_broadcast_gets_the_sum(function: Any, shapes: Any) -> None:
    """Of what all of it gets if it is as large as the result; whichever argument it is."""
    rules = [i for i, rule in enumerate(ROWS[function].rules) if callable(rule)]
    number = OTHERS.get(function) or function.nin
    for turn in range(number):
        rng = np.random.default_rng(turn)
        points = [rng.uniform(0.2, 0.7, shapes[0 if i == turn else 1]) for i in range(number)]
        if function in WHOLE_ORDERS:
            points[0] = np.rint(points[0])
        large = [np.broadcast_to(p, np.broadcast_shapes(*shapes)).copy() for p in points]
        made = []
        for arguments in (points, large):
            leaves = [attached(p) if i in rules else p for i, p in enumerate(arguments)]
            with record():
                y = function(*leaves)
            head = np.random.default_rng(9).uniform(0.5, 2, y.shape)
            made.append(autograd.grad(y, [leaves[i] for i in rules], head))
        for i, small, whole in zip(rules, *made, strict=True):
            extra = whole.ndim - small.ndim
            axes = [k for k in range(whole.ndim) if k < extra or small.shape[k - extra] != whole.shape[k]]
            expected = np.sum(whole.array, axis=tuple(axes)).reshape(small.shape)
            assert small.shape == points[i].shape
            np.testing.assert_allclose(small.array, expected, rtol=1e-12)


WHOLE = np.array([[3, 1, 2], [5, 4, 7]])
#: functions of an array of whole numbers and another
BESIDE_WHOLE: dict[str, tuple[Callable[..., Any], Any]] = {
    "weights of some axes": (lambda a, w: np.average(a, axis=1, weights=w), [0.5, 0.25, 1.5]),
    "weights of all": (lambda a, w: np.average(a, weights=w), WHOLE / 4),
    "probabilities": (lambda a, q: np.quantile(a, q, axis=1), [0.3, 0.6]),
    "weights of observations": (lambda a, w: np.cov(a, aweights=w), [0.5, 0.25, 1.5]),
    "weights of counts": (
        lambda a, w: np.histogram(a, [0, 2, 4.5, 8], weights=w, density=True)[0],
        WHOLE / 4,
    ),
    "distance of heights": (lambda a, dx: np.trapezoid(a, dx=dx), 0.5),
    "places of heights": (lambda a, x: np.trapezoid(a, x), [0.5, 0.75, 1.5]),
    "distance of points": (lambda a, h: np.gradient(a, h, axis=1), 0.5),
    "interpolated at": (lambda a, x: np.interp(x, [0, 2, 5], a[0]), [0.5, 3.5]),
    "interpolated between": (lambda a, x: np.interp(a, x, [1, 5, 2]), [0.5, 2.5, 5.5]),
    "factors": (lambda a, x: a @ x, [0.5, 0.25, 1.5]),
    "places of fitted heights": (lambda a, x: np.polyfit(x, a.T, 1), [0.5, 0.25, 1.5]),
    "weights of fitted heights": (lambda a, w: np.polyfit([0, 1, 3], a.T, 1, w=w), [0.5, 0.25, 1.5]),
    "slid along": (lambda a, x: np.convolve(a[0], x, "same"), [0.5, 0.25]),
    "divided": (lambda a, x: a / x, [0.5, 0.25, 1.5]),
    "exponents": (lambda a, x: x**a, [0.5, 0.25, 1.5]),
    "bases": (lambda a, x: a**x, [0.5, 0.25, 1.5]),
    "mean that is given": (lambda a, m: np.var(a, axis=1, mean=m), [[2.5], [5.5]]),
    "where of polynomials": (lambda a, x: np.polyval(a[0], x), [0.5, 0.25]),
    "ends": (lambda a, x: np.linspace(a[0], x, 4), [0.5, 0.25, 1.5]),
}


@pytest.mark.parametrize("name", BESIDE_WHOLE)
def test_whole_numbers_beside_a_tensor(name: str) -> None:
    """The gradient is that beside the same numbers as floating ones."""
    function, at = BESIDE_WHOLE[name]
    assert_slopes(partial(function, WHOLE), at, orders=2)
    got, expected = (gradient(lambda x, a=a: function(a, x), at) for a in (WHOLE, WHOLE.astype(float)))
    np.testing.assert_allclose(got, expected, rtol=1e-14)


SOME = np.random.default_rng(0).uniform(0.5, 2, (4, 3, 2))
#: calls that are drawn rarely: what is called, and where
CUBE = np.random.default_rng(2).uniform(0.5, 2, (2, 2, 2))
#: methods with which a quantile does not grow with q between two of its places
STEPWISE = "midpoint", "averaged_inverted_cdf", "inverted_cdf", "closest_observation", "nearest", "lower"
RARE: dict[str, tuple[Any, ...]] = {
    "ends of ediff1d": (lambda x, a, b: np.ediff1d(x, b, a), SOME[0], SOME[1, 0], SOME[2]),
    "no ends of ediff1d": (lambda x, a, b: np.ediff1d(x, b, a), SOME[0], SOME[1, :0], SOME[2, :0]),
    "one end of ediff1d": (lambda x, a, b: np.ediff1d(x, b, a), SOME[0], SOME[1], SOME[2, :0]),
    "a distance that has no part": (np.trapezoid, SOME, [0.5, 2.0], 0.0),
    "places of rows": (lambda y, x: np.trapezoid(y, np.cumsum(x, axis=1), axis=1), SOME[0], SOME[1]),
    "places of rows, from the end": (
        lambda y, x: np.trapezoid(y, np.cumsum(x, axis=1), axis=-1),
        SOME[0],
        SOME[1],
    ),
    "vector, inner": (np.inner, SOME[0, :, 0], SOME[:3, :, 0]),
    "vector, inner of stacks": (np.inner, SOME[0, 0], SOME),
    "inner with a vector": (np.inner, SOME, SOME[0, 0]),
    "places between places of a method": (
        lambda x, q: np.stack([np.quantile(x, q, axis=1, method=m) for m in STEPWISE]),
        SOME,
        [0.3, 0.6],
    ),
    "bins in a tuple": (lambda w: np.bincount((0, 2, 2, 1), w), SOME[:, 0, 0]),
    "bins in a list": (lambda w: np.bincount([0, 2, 2, 1], w, minlength=6), SOME[:, 0, 0]),
    "quotient of nothing": (lambda u, v: strung(np.polydiv(u, v)), [0.0], [1.0, 2]),
    "quotient of less": (lambda u, v: strung(np.polydiv(u, v)), [3.0], [1.0, 2]),
    "numbers among the choices": (
        lambda x: np.choose([0, 1, 2, 0], [x, 5.0, [[1.0], [2.0]]]) * np.select([x > 1], [x, 1.5][:1], 2.0),
        SOME[:, 0, 0],
    ),
    "numbers among what is joined": (lambda x: np.hstack([x, 5.0, [1.0, 2.0]]) ** 2, SOME[:, 0, 0]),
    **{
        f"over axis {axis}": (lambda x, axis=axis: np.apply_over_axes(np.cumprod, x, axis), SOME)
        for axis in (0, 1, -1)
    },
    "weights of one variable": (lambda x, w: np.cov(x, aweights=w) * x, SOME[:, 0, 0], SOME[:, 1, 0]),
    "powers of 0": (np.vander, [0.0, 0.5, -1.0]),
    "powers of 0, the lowest first": (lambda x: np.vander(x, 4, increasing=True), [0.5, 0.0]),
    "weights that are 0": (lambda a, w: np.average(a, axis=0, weights=w), SOME, [0.0, 0.5, 2.0, 0.0]),
    "bases of each": (
        lambda a, b: np.logspace(a, b, 4, base=np.array([2.0, 3.0])) + np.logspace(a, b, 4, base=5),
        *(SOME[0, 0], SOME[1, 0]),
    ),
    "weights of either sign": (lambda a, w: np.average(a, 0, w), SOME, [-0.5, 0.75, 2.0, -0.125]),
    "both results by weights of either sign": (
        lambda a, w: np.stack(np.average(a, 0, w, True)),
        *(SOME, SOME - np.array([0.25, 2.25])),
    ),
    "a density of counts of either sign": (
        lambda w: np.histogram(np.arange(4), [0, 1, 2.5], None, True, w)[0],
        [-0.5, 0.75, 2.0, -0.125],
    ),
    "bins of weights of either sign": (lambda w: np.bincount([0, 2, 2, 1], w), SOME[:, 0, 0] - 1),
    "one axis in a tuple": (
        lambda x: np.stack([np.linalg.norm(x, p, axis=(1,)) for p in (1, 2, 3, np.inf, -np.inf, 0)]),
        SOME,
    ),
    "a named tuple of numbers": (
        lambda x, m: x * np.linalg.slogdet(m) + np.stack(np.linalg.slogdet(m)),
        SOME[0, 0],
        SOME[:2, 0],
    ),
    "first axes across": (lambda a, b: np.cross(a, b, axis=0), SOME[:3], SOME[1:]),
    "last axes across, whatever else is given": (
        lambda a, b: np.cross(a, b, 0, 0, 0, axis=-1),
        SOME[..., 0],
        SOME[::-1, :, 1],
    ),
    "axes across, of the first and of the result": (
        lambda a, b: np.cross(a, b, axisa=0, axisc=1),
        SOME[:3, 0],
        SOME[0, :, 0],
    ),
    "first axes across, of linalg": (lambda a, b: np.linalg.cross(a, b, axis=0), SOME[:3], SOME[1:]),
    "columns across": (lambda a, b: np.linalg.cross(a, b, axis=1), SOME, SOME[::-1]),
    "a distance that does not count": (lambda y, x: np.trapezoid(y, x, 2.0), SOME, [0.5, 2.0]),
    "places for each height": (lambda y, x: np.trapezoid(y, np.cumsum(x, axis=0), axis=0), SOME, SOME[::-1]),
    "places along an axis": (lambda y, x: np.trapezoid(y, x, axis=0), SOME, np.cumsum(SOME[:, 0, 0])),
    "one distance": (lambda x, h: np.gradient(x, h, axis=1), SOME, 0.5),
    "one distance from right to left": (lambda x, h: np.gradient(x, h, axis=1, edge_order=2), SOME, -0.5),
    "distance from right to left": (lambda x, h: np.trapezoid(x, dx=h, axis=1), SOME, -0.5),
    "no distance": (lambda x, h: np.trapezoid(x, dx=h, axis=0), SOME, 0.0),
    "points five times, with a period": (
        lambda x, fp: np.interp(x, [9.0, 2.0, 8.0, 2.0, 11.0, -4.0, 2.0, 6.0], fp, period=-6.0),
        [-5.1, 1.3, 2.7, 4.4, 5.7],
        [1.0, 3.0, 5.5, 2.5, 8.0, 0.5, 7.0, 4.0],
    ),
    "points and values": (
        lambda *a: np.interp(*a, 7.0, 9.0),
        [-1.0, 0.25, 1.5, 3.0],
        [0.0, 1, 2],
        [1.0, 5, 2],
    ),
    "one point": (lambda *a: np.interp(*a), [-1.0, 2.0], [0.5], [3.0]),
    "beside nothing": (lambda x, a, b: np.diff(x, 2, 1, a, b), SOME[0], SOME[0, :, :0], SOME[1, :, :0]),
    **{
        f"contracted with {axes}": (lambda a, b, axes=axes: np.tensordot(a, b, axes), CUBE, CUBE[::-1])
        for axes in [((0, 1), (1, 0)), ((1, 0), (0, 2)), ((0, 1), (1, 2)), ((-1, 0), (1, 0))]
    },
    **{
        f"all contracted, with {axes}": (
            lambda a, b, axes=axes: np.tensordot(a, b, (axes, (2, 0, 1))) * a,
            CUBE,
            CUBE,
        )
        for axes in [(0, 1, 2), (1, 2, 0), (2, 0, 1), (1, 0, 2), (-1, 0, 1)]
    },
    "covariances of no variables": (lambda x, y: np.sum(np.cov(x)) + y, np.zeros((0, 3)), 0.5),
    **{
        f"places of narrow numbers, {dtype.__name__}": (
            lambda x, dtype=dtype: np.gradient(np.array([100, -100, 7, -120]).astype(dtype), x),
            [0.0, 0.5, 2.0, 2.25],
        )
        for dtype in (np.int8, np.uint8)
    },
    "one distance below 0": (np.gradient, SOME[:, 0, 0], -0.5),
    "one distance for all": (lambda x, h: np.stack(np.gradient(x, h)), SOME[:2], 0.5),
    "distances of each axis": (lambda x, *h: np.stack(np.gradient(x, *h)), SOME[:2], 0.5, 2.0, [0.0, 3.0]),
    "matrix, matrices": (np.matmul, SOME[0, :2], SOME[:, :2]),
    "vector, matrices": (np.matmul, SOME[0, :, 0], SOME),
    "matrices, vector": (np.matmul, SOME, SOME[0, 0]),
    "axis of vecdot": (lambda a, b: np.vecdot(a, b, axis=0, keepdims=True), SOME, SOME[::-1]),
    "axes of matmul": (
        lambda a, b: np.matmul(a, b, axes=[(0, 1), (-1, 1), (0, 2)]),
        SOME,
        SOME.reshape(2, 4, 3),
    ),
    "dot with a vector": (np.dot, SOME, SOME[0, 0]),
    "dot of matrices with stacks": (np.dot, SOME[0], SOME.swapaxes(1, 2)),
    "turns about other axes": (lambda x: np.rot90(x, 3, axes=(2, 0)), SOME),
    "filled in another shape": (
        lambda a, value: np.full_like(a, value, shape=(4, 3, 2), order="C"),
        SOME[0, 0],
        SOME[:, :1],
    ),
    "one number in another shape": (lambda a, value: np.full_like(a, value, shape=(2, 3)), SOME[0, 0], 0.5),
    "real if close, by a tolerance": (lambda x: np.real_if_close(x, tol=1000), SOME),
    "largest and smallest of some": (
        lambda x, t: np.max(x, axis=1, initial=t, where=SOME < 1) - np.min(x, 1, initial=9, where=SOME < 1.5),
        SOME,
        0.1,
    ),
    "places of a matrix for stacks": (
        lambda y, x: np.trapezoid(y, np.cumsum(x, axis=0), axis=-2),
        SOME,
        SOME[0],
    ),
    "places of a row for stacks": (
        lambda y, x: np.trapezoid(y, np.cumsum(x)[:, None], axis=-2),
        SOME,
        SOME[0, :, 0],
    ),
    "vdot of unlike shapes": (np.vdot, SOME, SOME.reshape(3, 8)[::-1]),
    "vdot of a row": (np.vdot, SOME.ravel(), SOME),
    "outer of stacks": (np.outer, SOME[:2], SOME[2]),
    "kron of unlike shapes": (np.kron, SOME[:2], SOME[2]),
    "cov of a number": (lambda x: np.cov(x, ddof=0) + x, 0.7),
    "cov of two numbers": (lambda x, y: np.cov(x, y, ddof=0) + x, 0.7, 0.2),
    "ends beside no differences": (lambda x, a, b: np.diff(x, 0, 1, a, b), SOME[0], SOME[1, :, :1], SOME[2]),
    "polynomials side by side": (lambda x: np.polyval(SOME, x), SOME[0]),
    "many of ix_": (lambda *x: strung(np.ix_(*x)), *(SOME[0, 0, :1] + k for k in range(40))),
    "numbers around an array": (
        lambda x, a, b: np.pad(x, 1, constant_values=a) ** 2 + np.pad(x, 1, constant_values=b) ** 3,
        *(SOME[0], SOME[0, 0], SOME[1, :2]),
    ),
    "two numbers around an array": (
        lambda x, a, b: np.pad(x, 1, constant_values=(a, b)) ** 2,
        *(SOME[0], 0.5, 2.0),
    ),
    "ends of ramps": (
        lambda x, a, b: (
            np.pad(x, 2, "linear_ramp", end_values=a) * np.pad(x, 2, mode="linear_ramp", end_values=b)
        ),
        *(SOME[0], SOME[0, 0], 0.5),
    ),
    "turns of more than a round": (
        lambda x: np.stack([np.rot90(x, k) for k in (-9, -7, -6, -5, 4, 5, 6, 7, 11)]),
        SOME[:3, :, 0],
    ),
    "rolls of more than a round": (
        lambda x: np.stack([np.roll(x, (k, -k), (0, 1)) for k in (-9, 7, 200, 2**40 + 1)]),
        SOME,
    ),
    "taken far outside": (
        lambda x: np.stack([np.take(x, [-9, 1, 40], 1, mode=mode) for mode in ("wrap", "clip")]),
        SOME,
    ),
    "dot with a stack of stacks": (np.dot, SOME[0].T, np.stack([SOME, SOME[::-1]])),
    "dot of stacks": (np.dot, SOME[:2], SOME[:2].swapaxes(1, 2)),
    "dot with matrices": (np.dot, SOME[0, 0], SOME.swapaxes(1, 2)[:, :, :2]),
    "linspace and its step": (
        lambda a, b: np.vstack(np.linspace(a, b, 5, retstep=True)),
        SOME[0, 0],
        SOME[1, 0],
    ),
    "without the end": (
        lambda a, b: np.concatenate(
            [np.ravel(part) for part in np.linspace(a, b, 4, endpoint=False, retstep=True)]
        ),
        SOME[0],
        SOME[1],
    ),
    "probabilities": (
        lambda x, q: np.quantile(x, q, axis=1, method="weibull"),
        SOME,
        [0.3, 0.6],
    ),
    "probabilities of a step": (lambda x, q: np.quantile(x, q, method="nearest"), SOME[0], 0.4),
    "weighted probabilities": (
        lambda x, q: np.quantile(x, q, weights=np.arange(1.0, 7.0).reshape(3, 2), method="inverted_cdf"),
        SOME[0],
        0.3,
    ),
    "average and sum of weights": (
        lambda a, w: np.stack(np.average(a, axis=1, weights=w, returned=True)),
        SOME,
        SOME[::-1],
    ),
    "cov with weights": (
        lambda x, w: np.cov(x, aweights=w, fweights=[1, 2, 3, 1]),
        SOME[:, 0].T,
        SOME[:, 1, 0],
    ),
    "cov with weights alone": (lambda x, w: np.cov(x, ddof=0, aweights=w), SOME[:, 0].T, SOME[:, 1, 0]),
    "cov of columns": (lambda x, y: np.cov(x, y, rowvar=False), SOME[:, 0], SOME[:, 1]),
    "a density": (
        lambda w: np.histogram(np.arange(12.0) % 5, bins=[0.0, 1, 3, 3.5], weights=w, density=1)[0],
        SOME[0].repeat(2),
    ),
}
SIX = [np.random.default_rng(n).uniform(0.5, 2, n) for n in (1, 3, 2, 1, 2, 3)]
OF_LENGTH_3 = [np.linspace(1, k, 3) for k in range(2, 8)]


#: what takes any number of arrays, of six
RARE |= {
    "six of ix_": (lambda *x: strung(np.ix_(*x)), *SIX),
    "six of meshgrid": (lambda *x: strung(np.meshgrid(*x)), *SIX),
    "six of meshgrid, sparse": (lambda *x: strung(np.meshgrid(*x, indexing="ij", sparse=True)), *SIX),
    "six of broadcast_arrays": (
        lambda *x: strung(np.broadcast_arrays(*x[:2], *(part[:, None] for part in x[2:]))),
        *(SIX[0], SIX[1], SIX[2], SIX[4], SIX[3], SIX[0]),
    ),
    "six of atleast_1d": (lambda *x: strung(np.atleast_1d(*x[:-1], x[-1][0])), *SIX),
    "six of atleast_3d": (lambda *x: strung(np.atleast_3d(*x)), *SIX),
    "six of einsum": (lambda *x: np.einsum("a,b,c,d,e,b->ec", *x), *SIX),
    "six of concatenate": (lambda *x: np.concatenate(x), *SIX),
    "six of block": (lambda *x: np.block([list(x[:3]), list(x[3:])]), *SIX),
    "six of stack": (lambda *x: np.stack(x, axis=1), *OF_LENGTH_3),
    "six of choose": (lambda *x: np.choose([5, 2, 3], x), *OF_LENGTH_3),
    "six of select": (lambda *x: np.select([np.arange(3) == k % 3 for k in range(6)], x), *OF_LENGTH_3),
    "six of multi_dot": (
        lambda *x: np.linalg.multi_dot([x[0], *(np.outer(a, b) for a, b in pairwise(x)), x[-1]]),
        *SIX,
    ),
    "capitals of einsum": (lambda a, b: np.einsum("Ij,Jj->JI", a, b), SOME[0], SOME[1]),
    "parts of one array, of one row each": (lambda x: np.choose([0, 2, 1, 2], x), SOME[:, :1, 0]),
    **{
        f"matrix norm {p}, columns first": (lambda x, p=p: np.linalg.norm(x, p, axis=(2, 0)), SOME)
        for p in (1, -1, np.inf, -np.inf)
    },
    "grid of one": (lambda x: np.meshgrid(x)[0], SIX[1]),
    "linspace without a step": (
        lambda x: np.stack([np.linspace(x, 2.0, n, e, True)[0][0] for n, e in ((1, True), (1, False))]),
        0.5,
    ),
    "no difference is taken": (lambda x, p: np.diff(x, 0, 1, p, p), SOME, 0 * SOME[:, :1]),
    "distances of many points": (np.gradient, SOME.ravel()[:6], [0.0, 0.5, 0.7, 2.0, 2.5, 4.0]),
    "distances of points from right to left": (np.gradient, SOME.ravel()[:5], [2.0, 1.5, 0.7, 0.0, -1.0]),
    "dots for fewer axes": (lambda a, b: np.einsum("...i,...i", a, b), SOME, SOME[0]),
    "quotients that are rounded": (np.fmod, [2.2, -2.4], 0.7),
    "roots": (np.roots, [2.0, -3, -4, 1]),
    "roots that are 0": (lambda p: np.roots(np.concatenate([p, [0.0, 0.0]])), [2.0, -3, -4]),
    "polynomial from roots": (np.poly, SOME[0, :, 0]),
    "product of polynomials": (np.polymul, SOME[0, :, 0], SOME[1, 0]),
    "quotient of polynomials": (lambda u, v: strung(np.polydiv(u, v)), [2.0, -3, -4, 1], [1.0, 2]),
    "powers": (lambda x: np.vander(x, 4, increasing=True), SOME[0, :, 0]),
    "fitted with weights of either sign": (
        lambda x, y, w: strung(np.polyfit(x, y, 1, w=w, cov=True)),
        *(SOME[:, 0, 0], SOME[:, 1, 1], [0.5, -1.5, 2.0, -0.25]),
    ),
    "fitted polynomial": (lambda x, y: np.polyfit(x, y, 1), SOME[:, 0, 0], SOME[:, 1, 1]),
    "derivative of a polynomial": (lambda p: np.polyder(p, 2), SOME[:, 0, 0]),
    "integral of a polynomial": (lambda p, k: np.polyint(p, 2, k), SOME[:, 0, 0], SOME[0, 0]),
}
if hasattr(np, "cumulative_sum"):  # NumPy 2.1
    RARE["initial sum"] = lambda x: np.cumulative_sum(x, axis=1, include_initial=True), SOME
    RARE["initial product"] = lambda x: np.cumulative_prod(x, axis=1, include_initial=True), SOME


@pytest.mark.parametrize("name", RARE)
def test_rare_calls(name: str) -> None:
    function, *points = RARE[name]
    assert_slopes(function, *points, orders=2)


def test_moving_all_points_of_an_interpolation_changes_nothing() -> None:
    """Neither inside, nor at the points, where the line has a kink, nor at their ends."""
    x, xp, fp = [-0.5, 0.0, 0.25, 1.0, 2.0, 2.5, 3.0, 7.0], [0.0, 1.0, 2.0, 3.0], [1.0, 4.0, 2.0, 2.5]
    for period in (None, 5.0):
        leaves = attached(np.array(x)), attached(np.array(xp))
        with record():
            y = np.interp(*leaves, fp, period=period)
        for k in range(y.size):
            of_x, of_points = autograd.grad(y, leaves, np.eye(y.size)[k], retain_graph=True)
            assert of_x[k] == pytest.approx(-np.sum(of_points.array), abs=1e-13)


@pytest.mark.parametrize("function", [np.polyadd, np.polysub, np.polymul, np.polydiv, np.convolve])
@pytest.mark.parametrize("sizes", [(1, 3), (3, 1), (2, 2)])
def test_coefficients_of_two_precisions(function: Any, sizes: Any) -> None:
    """Make what NumPy makes of them, whichever has more."""
    for dtypes in itertools.product([np.float32, np.float64], repeat=2):
        given = [np.linspace(1, 2, n, dtype=dtype) for n, dtype in zip(sizes, dtypes, strict=True)]
        with record():
            made = function(*map(attached, given))
        expected = function(*given)
        pairs = zip(made, expected, strict=True) if function is np.polydiv else [(made, expected)]
        for one, other in pairs:
            np.testing.assert_array_equal(one.array, other, strict=True)


def test_many_points_and_powers() -> None:
    """No small kind of whole numbers counts them."""
    at, points, values = np.arange(300, 990, 7.3), np.arange(1000.0), np.cos(np.arange(1000.0))
    for period in (None, 1000.0):
        got = gradient(lambda fp, p=period: np.interp(at, points, fp, period=p), values)
        np.testing.assert_allclose(got @ values, np.sum(np.interp(at, points, values, period=period)))
    for function in (lambda x: np.vander(x, 200), lambda x: np.polyval(np.ones(200), x)):
        np.testing.assert_array_equal(gradient(function, [1.0]), [199 * 100])


def test_all_that_a_fit_of_several_columns_returns() -> None:
    x, y = np.linspace(0.5, 2, 5), np.cos(np.arange(15.0)).reshape(5, 3)
    with record():
        made = np.polyfit(x, attached(y), 1, full=True)
    for one, other in zip(made, np.polyfit(x, y, 1, full=True), strict=True):
        np.testing.assert_allclose(asarray(one).array, other, rtol=1e-12)


@pytest.mark.parametrize("name", RARE)
def test_where_the_arrays_of_rare_calls_lie_in_memory(name: str) -> None:
    """Each in another way than the others."""
    function, *points = RARE[name]
    points = [np.asarray(p, float) for p in points]
    head = np.random.default_rng(0).uniform(-1, 1, np.shape(function(*points)))
    made = []
    for turn in range(4):
        ways = itertools.cycle(["Fortran", "reversed", "permuted", "strided"])
        leaves = [
            attached(lying(p, how) if turn else p)
            for p, how in zip(points, itertools.islice(ways, turn, None), strict=False)
        ]
        with record():
            y = function(*leaves)
        y.backward(head)
        made.append([leaf.grad.array for leaf in leaves])
    for others in made[1:]:
        for one, other in zip(made[0], others, strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", RARE)
def test_single_precision_in_rare_calls(name: str) -> None:
    """The result has the dtype that NumPy gives it; gradients are those of double precision."""
    function, *points = RARE[name]
    made = []
    for dtype in (np.float32, float):
        leaves = [attached(np.asarray(p, dtype)) for p in points]
        ARRIVED.clear()
        with record():
            y = function(*map(heard, leaves))
        assert y.dtype == np.asarray(function(*(leaf.array for leaf in leaves))).dtype
        head = np.random.default_rng(0).uniform(-1, 1, y.shape)
        y.backward(head)
        made.append([leaf.grad for leaf in leaves])
        assert {*ARRIVED} <= {np.dtype(dtype), y.dtype}
    for single, double in zip(*made, strict=True):
        assert single.dtype == np.float32
        scale = np.max(np.abs(double.array), initial=0)
        np.testing.assert_allclose(single.array, double.array, rtol=1e-4, atol=1e-4 * scale)


TIMES, HALF = 3000, np.float16
NOUGHTS = np.zeros((TIMES, 2), HALF)
#: what uses each number of a row many times
USED_OFTEN: dict[str, Callable[[Any], Any]] = {
    "broadcast_to": lambda x: np.broadcast_to(x, NOUGHTS.shape),
    "broadcast_arrays": lambda x: np.broadcast_arrays(x, NOUGHTS)[0],
    "meshgrid": lambda x: np.meshgrid(x, NOUGHTS[:, 0])[0],
    **{f.__name__: lambda x, f=f: f(x, NOUGHTS) for f in (np.add, np.subtract, np.hypot, np.logaddexp)},
    **{f.__name__: lambda x, f=f: f(x, NOUGHTS - 9) for f in (np.maximum, np.fmax, np.copysign)},
    **{f"{f.__name__}.outer": lambda x, f=f: f.outer(NOUGHTS[:, 0] + 1, x) for f in (np.add, np.multiply)},
    "where": lambda x: np.where(NOUGHTS == 0, x, HALF(0)),
    "clip": lambda x: np.clip(x, NOUGHTS - 9, None),
    "bound of clip": lambda x: np.clip(NOUGHTS, x, None),
    "select": lambda x: np.select([NOUGHTS == 0], [x]),
    "choose": lambda x: np.choose(NOUGHTS.astype(int), [x, x]),
    "choices in one array": lambda x: np.choose(NOUGHTS.astype(int), x[None, None]),
    "take": lambda x: np.take(x[None], [0] * TIMES, axis=0),
    "index": lambda x: x[None][[0] * TIMES],
    "take_along_axis": lambda x: np.take_along_axis(x[None], NOUGHTS.astype(int), 0),
    "repeat": lambda x: np.repeat(x, TIMES),
    "tile": lambda x: np.tile(x, TIMES),
    "resize": lambda x: np.resize(x, NOUGHTS.shape),
    "pad": lambda x: np.pad(x, (2 * TIMES - 2, 0), mode="wrap"),
    "full_like": lambda x: np.full_like(x, x, shape=NOUGHTS.shape),
    "linspace": lambda x: np.linspace(x, x, TIMES),
    "matmul": lambda x: (NOUGHTS + 1)[:, :1] @ x[None],
    "dot": lambda x: np.dot((NOUGHTS + 1)[:, :1], x[None]),
    "outer": lambda x: np.outer((NOUGHTS + 1)[:, 0], x),
    "kron": lambda x: np.kron((NOUGHTS + 1)[:, 0], x),
    "tensordot": lambda x: np.tensordot((NOUGHTS + 1)[:, :1], x[None], 1),
    "convolve": lambda x: np.convolve(x, (NOUGHTS + 1)[:, 0]),
    "piecewise": lambda x: np.piecewise(x + NOUGHTS, [NOUGHTS == 0], [lambda part: part]),
}


@pytest.mark.parametrize("name", USED_OFTEN)
def test_many_gradients_of_half_precision_add_up(name: str) -> None:
    """Beyond 2048 one more is less than it tells apart: the sums are made in single precision."""
    x = tensor([1.0, 1.0], HALF)
    x.attach_grad()
    with record():
        y = USED_OFTEN[name](x)
    assert y.dtype == HALF
    y.backward()
    single = gradient(lambda x: USED_OFTEN[name](x), [1.0, 1.0])
    assert x.grad.dtype == HALF
    np.testing.assert_allclose(x.grad.array, single, rtol=2e-3)
    assert np.all(np.abs(single) > TIMES / 2)


@pytest.mark.parametrize("endpoint", [True, False, 1, np.False_])
@pytest.mark.parametrize("num", [0, 1, 2, np.uint8(1)])
def test_the_step_of_a_range_of_one_number(num: int, endpoint: Any) -> None:
    """It is NaN, and not an array, as NumPy's."""
    leaf = attached(np.array([1.5, 2.5]))
    for options in ({"retstep": True, "axis": 1}, {"retstep": 1, "axis": -1, "dtype": np.float32}):
        with record():
            made = np.linspace(leaf, 4.0, num, endpoint, **options)
        expected = np.linspace(leaf.array, 4.0, num, endpoint, **options)
        assert (
            isinstance(made[1], Tensor) == isinstance(expected[1], np.ndarray) == (num - bool(endpoint) > 0)
        )
        np.testing.assert_array_equal(made[0].array, expected[0], strict=True)
        np.testing.assert_array_equal(made[1], expected[1])
