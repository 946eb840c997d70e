"""Domains of the elementwise functions."""

import inspect
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tinygrad_lr.derivatives.elementwise import i0_derivative, power_slope

from .basics import (
    Call,
    Domain,
    Numbers,
    arrays,
    distinct,
    dividends,
    divisors,
    elementwise,
    exponents,
    nonzero,
    normal,
    positive,
    truths,
)
from .reductions import factors, folds, running, with_nan

# ---- numbers ----------------------------------------------------------------------------------------------


def between(low: float, high: float) -> Numbers:
    return lambda rng, n: rng.uniform(low, high, n)


def mantissas(rng: np.random.Generator, n: int) -> Any:
    """Of either sign, and away from the powers of two, where frexp jumps."""
    return rng.uniform(1.1, 1.9, n) * rng.choice([-4, -1, -0.5, 0.5, 1, 4], n)


def beside_halves(rng: np.random.Generator, n: int) -> Any:
    """Also near 0, and on either side of 0.5 in size, where a rule changes its formula."""
    return rng.choice([-1.7, -0.6, -0.4, 0.0, 1e-9, 0.4, 0.6, 2.3], n) + rng.uniform(-0.05, 0.05, n)


# ---- calls ------------------------------------------------------------------------------------------------


def in_pairs(function: np.ufunc, *numbers: Numbers) -> st.SearchStrategy[Call]:
    """Arguments of a function of two, at least one of which it is differentiated by."""
    calls = elementwise(*numbers)
    if function in (np.power, np.float_power):
        return calls | elementwise(nonzero, exponents)
    if function in (np.nextafter, np.copysign):  # constant in their second argument
        return calls.filter(lambda call: isinstance(call.arguments[0], np.ndarray))
    return calls


def outers(*numbers: Numbers) -> st.SearchStrategy[Call]:
    """Two arrays, each element of one to be combined with each of the other."""
    return st.tuples(*(arrays(0, kind) for kind in numbers)).map(Call)


def names_of_bounds() -> list[tuple[str, str]]:
    """What np.clip calls its bounds: also min and max since NumPy 2.1."""
    known = inspect.signature(np.clip).parameters
    return [names for names in (("a_min", "a_max"), ("min", "max")) if names[0] in known]


@st.composite
def clips(draw: st.DrawFn) -> Call:
    (a, low, high), _ = draw(elementwise(distinct(0), distinct(0.25), distinct(0.125)))
    bounds = draw(st.sampled_from([(low, high), (low, None), (None, high)]))
    form = draw(st.sampled_from(["position", *names_of_bounds()]))
    if form == "min, max":
        # gradients for bounds given by these names are not the engine's yet
        return Call(
            (a if isinstance(a, np.ndarray) else np.array(a),), dict(zip(("min", "max"), bounds, strict=True))
        )
    if form == "a_min, a_max" and isinstance(a, np.ndarray):
        return Call((a,), dict(zip(form.split(", "), bounds, strict=True)))
    return Call((a, *bounds))


@st.composite
def replacements(draw: st.DrawFn) -> Call:
    """Calls of nan_to_num. No infinities: the checks compute with all of the numbers."""
    x = draw(arrays(numbers=lambda rng, n: rng.choice([-1.5, 0.5, 2.0, np.nan], n)))
    options = list({"copy": True, "nan": 0.5, "posinf": 3.0, "neginf": -4.0}.items())
    count = draw(st.integers(0, 4))
    return Call(
        (x, *(value for _, value in options[:count])), dict(options[count : draw(st.integers(count, 4))])
    )


@st.composite
def phases(draw: st.DrawFn) -> Call:
    """Angles along an axis that never turn by about half a period from one to the next."""
    a = draw(arrays(1, lambda rng, n: rng.choice([-5, -1, 0, 1, 5], n) + rng.uniform(-0.1, 0.1, n)))
    options: dict[str, Any] = draw(st.sampled_from([{}, {"discont": 3.5}, {"period": 3.0}, {"axis": -1}]))
    return Call(
        (a,), options if draw(st.booleans()) else {**options, "axis": draw(st.integers(-a.ndim, a.ndim - 1))}
    )


#: for each function of two arguments the numbers that it is given, and whether it is analytic
PAIRS: dict[np.ufunc, tuple[Numbers, Numbers, bool]] = {
    np.add: (normal, normal, True),
    np.subtract: (normal, normal, True),
    np.multiply: (normal, normal, True),
    np.divide: (normal, nonzero, True),
    np.remainder: (dividends, divisors, False),
    np.fmod: (dividends, divisors, False),
    np.ldexp: (normal, exponents, False),
    np.nextafter: (normal, normal, False),
    np.power: (positive, normal, True),
    np.float_power: (positive, normal, True),
    np.hypot: (nonzero, nonzero, False),
    np.logaddexp: (normal, normal, False),
    np.logaddexp2: (normal, normal, False),
    np.arctan2: (nonzero, nonzero, False),
    np.copysign: (nonzero, nonzero, False),
    np.heaviside: (exponents, normal, False),
    np.maximum: (distinct(0), distinct(0.25), False),
    np.minimum: (distinct(0), distinct(0.25), False),
    np.fmax: (distinct(0), distinct(0.25), False),
    np.fmin: (distinct(0), distinct(0.25), False),
}


def extremes(numbers: Numbers) -> st.SearchStrategy[Call]:
    """Calls of the `reduce` of maximum and its like: those of np.max, by name."""
    calls = folds(numbers, distinct(0.25), dtype=False, least=1, first_axis=True)
    names = "axis", "out", "keepdims", "initial", "where"

    def by_name(call: Call) -> Call:
        a, *positional = call.arguments
        return Call((a,), {**dict(zip(names, positional, strict=False)), **call.options})

    return calls.map(by_name)


DOMAINS: dict[Any, Domain] = {
    **{f: Domain(in_pairs(f, *numbers), analytic) for f, (*numbers, analytic) in PAIRS.items()},
    # arithmetic
    np.positive: Domain(elementwise(normal), analytic=True),
    np.negative: Domain(elementwise(normal), analytic=True),
    np.reciprocal: Domain(elementwise(nonzero), analytic=True),
    np.divmod: Domain(elementwise(dividends, divisors)),
    np.modf: Domain(elementwise(distinct(0.25))),
    np.frexp: Domain(elementwise(mantissas)),
    # powers
    np.square: Domain(elementwise(normal), analytic=True),
    np.sqrt: Domain(elementwise(positive), analytic=True),
    np.cbrt: Domain(elementwise(nonzero)),
    # exponentials and logarithms
    np.exp: Domain(elementwise(normal), analytic=True),
    np.exp2: Domain(elementwise(normal), analytic=True),
    np.expm1: Domain(elementwise(normal), analytic=True),
    np.log: Domain(elementwise(positive), analytic=True),
    np.log2: Domain(elementwise(positive), analytic=True),
    np.log10: Domain(elementwise(positive), analytic=True),
    np.log1p: Domain(elementwise(between(-0.7, 2)), analytic=True),
    # trigonometric
    np.sin: Domain(elementwise(normal), analytic=True),
    np.cos: Domain(elementwise(normal), analytic=True),
    np.tan: Domain(elementwise(between(-1.2, 1.2)), analytic=True),
    np.arcsin: Domain(elementwise(between(-0.7, 0.7)), analytic=True),
    np.arccos: Domain(elementwise(between(-0.7, 0.7)), analytic=True),
    np.arctan: Domain(elementwise(normal), analytic=True),
    np.deg2rad: Domain(elementwise(normal)),
    np.radians: Domain(elementwise(normal)),
    np.rad2deg: Domain(elementwise(normal)),
    np.degrees: Domain(elementwise(normal)),
    np.unwrap: Domain(phases()),
    # hyperbolic
    np.sinh: Domain(elementwise(normal), analytic=True),
    np.cosh: Domain(elementwise(normal), analytic=True),
    np.tanh: Domain(elementwise(normal), analytic=True),
    np.arcsinh: Domain(elementwise(normal), analytic=True),
    np.arccosh: Domain(elementwise(between(1.3, 4)), analytic=True),
    np.arctanh: Domain(elementwise(between(-0.7, 0.7)), analytic=True),
    # other
    np.sinc: Domain(elementwise(beside_halves)),
    np.i0: Domain(elementwise(nonzero)),
    power_slope: Domain(
        st.builds(
            lambda call, k: Call((*call.arguments, k)), elementwise(positive, normal), st.integers(1, 3)
        ),
        analytic=True,
    ),
    i0_derivative: Domain(st.builds(lambda x, n: Call((x, n)), arrays(), st.integers(0, 3))),
    # kinks
    np.absolute: Domain(elementwise(nonzero)),
    np.fabs: Domain(elementwise(nonzero)),
    np.where: Domain(elementwise(truths, normal, normal), analytic=True),
    np.clip: Domain(clips()),
    np.nan_to_num: Domain(replacements()),
    # complex numbers
    np.real: Domain(elementwise(normal)),
    np.conjugate: Domain(elementwise(normal)),
    np.real_if_close: Domain(elementwise(normal)),
    # methods
    **{f.outer: Domain(outers(*numbers), analytic) for f, (*numbers, analytic) in PAIRS.items()},
    np.add.reduce: Domain(folds(normal, normal, first_axis=True), analytic=True),
    np.multiply.reduce: Domain(folds(factors, normal, first_axis=True), analytic=True),
    **{f.reduce: Domain(extremes(distinct(0))) for f in (np.maximum, np.minimum)},
    **{f.reduce: Domain(extremes(with_nan(distinct(0)))) for f in (np.fmax, np.fmin)},
    np.add.accumulate: Domain(running(normal, none=False), analytic=True),
    np.multiply.accumulate: Domain(running(factors, none=False), analytic=True),
}
