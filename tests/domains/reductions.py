"""Domains of the reductions, and of what is called with them: differences, integrals, covariances."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from .basics import (
    Call,
    Domain,
    Numbers,
    arrays,
    distinct,
    filled,
    generators,
    nonzero,
    normal,
    passed,
    positive,
    shapes,
    truths,
)

# ---- numbers ----------------------------------------------------------------------------------------------


def factors(rng: np.random.Generator, n: int) -> Any:
    """Numbers whose products stay moderate, zeros among them."""
    return rng.choice([-1, 1], n) * rng.uniform(0.5, 1.5, n) * (rng.random(n) < 0.9)


def with_nan(numbers: Numbers) -> Numbers:
    return lambda rng, n: np.where(rng.random(n) < 0.2, np.nan, numbers(rng, n))


def ascending(rng: np.random.Generator, n: int) -> Any:
    """Numbers at least 0.3 apart."""
    return np.cumsum(rng.uniform(0.3, 1, n)) - 1


def scalar(draw: st.DrawFn, numbers: Numbers) -> Any:
    """One number, as an array, of which a gradient is wanted, or as a Python number."""
    made = filled(draw, (), numbers)
    return made if draw(st.booleans()) else made.item()


# ---- options ----------------------------------------------------------------------------------------------

ABSENT = object()
DEFAULTS: dict[str, Any] = {"axis": None, "dtype": None, "out": None, "ddof": 0, "keepdims": False}


def with_options(
    draw: st.DrawFn, arguments: Iterable[Any], options: dict[str, Any], by_name: Iterable[str] = ()
) -> Call:
    """Options in NumPy's order, by name or, up to one that is absent, by position; some at their defaults."""
    positional = []
    for name, value in options.items():
        if value is ABSENT or name in by_name:
            break
        positional.append(name)
    count = draw(st.integers(0, len(positional)))
    left = {
        name: value
        for name, value in options.items()
        if value is not ABSENT and name not in positional[:count]
    }
    if draw(st.booleans()):
        left = {name: value for name, value in left.items() if value is not DEFAULTS.get(name, ABSENT)}
    return Call((*arguments, *(options[name] for name in positional[:count])), left)


def drawn_axis(draw: st.DrawFn, ndim: int) -> Any:
    axes = st.none() | hnp.valid_tuple_axes(ndim)
    return draw(axes | st.integers(-ndim, ndim - 1) if ndim else axes)


def mask(draw: st.DrawFn, a: Any, axis: Any, least: int) -> Any:
    """For `where`: at least so many numbers everywhere along the axis; of a smaller shape at times."""
    shape = tuple(n if draw(st.booleans()) else 1 for n in a.shape)
    made = filled(draw, shape, truths)
    enough = np.sum(np.broadcast_to(made, a.shape) & ~np.isnan(a), axis=axis) >= least
    return made if np.all(enough) else np.ones(shape, bool)


def of_numbers(draw: st.DrawFn, numbers: Numbers, axis: Any, shape: tuple[int, ...], least: int) -> Any:
    """An array with at least so many numbers that are not NaN along the axis."""
    a = filled(draw, shape, numbers)
    enough = np.all(np.sum(~np.isnan(a), axis=axis) >= least)
    return a if enough else np.where(np.isnan(a), 0.1 + 0.5 * np.reshape(np.arange(a.size), shape), a)


# ---- reductions -------------------------------------------------------------------------------------------


@st.composite
def reductions(
    draw: st.DrawFn, numbers: Numbers, of_empty: bool = False, ddof: bool = False, dtype: bool = True
) -> Call:
    """An array with axis, keepdims, ...; of no elements only where the function has a value there."""
    a = filled(draw, draw(shapes(min_side=0 if of_empty else 1)), numbers)
    axes = st.none() | hnp.valid_tuple_axes(a.ndim)
    if a.ndim:
        axes |= st.integers(-a.ndim, a.ndim - 1)
    options: dict[str, Any] = {"axis": draw(axes)}
    order = ["axis"]
    if dtype:
        options["dtype"] = None
        order.append("dtype")
    options["out"] = None
    order.append("out")
    if ddof:
        reduced = range(a.ndim) if options["axis"] is None else np.atleast_1d(options["axis"]).astype(int)
        count = int(np.prod([a.shape[i] for i in reduced]))
        options["ddof"] = draw(st.integers(0, min(2, count - 1)))
        order.append("ddof")
    options["keepdims"] = draw(st.booleans())
    order.append("keepdims")
    rest, keywords = passed(draw, options, order)
    return Call((a, *rest), keywords)


@st.composite
def folds(
    draw: st.DrawFn,
    numbers: Numbers,
    initial: Numbers,
    dtype: bool = True,
    least: int = 0,
    first_axis: bool = False,
) -> Call:
    """Calls with the options of np.sum or, without dtype, of np.max, which cannot do without numbers."""
    shape = draw(shapes(min_dims=int(first_axis), min_side=1 if least else 0))
    axis = drawn_axis(draw, len(shape))
    a = of_numbers(draw, numbers, axis, shape, least)
    options = {"axis": axis, "dtype": None, "out": None, "keepdims": draw(st.booleans())}
    if not dtype:
        del options["dtype"]
    options |= {"initial": ABSENT, "where": ABSENT}
    if draw(st.booleans()):
        options["initial"] = filled(draw, (), initial).item()
    if draw(st.booleans()) and (dtype or options["initial"] is not ABSENT):
        options["where"] = mask(draw, a, axis, least if dtype else 0)
    call = with_options(draw, (a,), options)
    if first_axis and len(call.arguments) == 1:  # by default it is the first axis
        call.options["axis"] = axis
        if axis == 0 and draw(st.booleans()):
            del call.options["axis"]
    return call


@st.composite
def moments(draw: st.DrawFn, numbers: Numbers, ddof: bool = True, least: int = 1) -> Call:
    """Calls with the options of np.mean or, with ddof, of np.var."""
    shape = draw(shapes(min_side=1))
    axis = drawn_axis(draw, len(shape))
    a = of_numbers(draw, numbers, axis, shape, least)
    options: dict[str, Any] = {"axis": axis, "dtype": None, "out": None}
    where: Any = mask(draw, a, axis, least) if draw(st.booleans()) else True
    if ddof:
        taken = np.sum(np.broadcast_to(where, shape) & ~np.isnan(a), axis=axis)
        options["ddof"] = draw(st.integers(0, min(2, int(np.min(taken)) - 1)))
    options |= {"keepdims": draw(st.booleans()), "where": ABSENT if where is True else where}
    if ddof:
        if draw(st.booleans()):
            options["ddof"], options["correction"] = 0, options["ddof"] / 2
        if draw(st.booleans()):
            options["mean"] = np.max(np.where(np.isnan(a), 0, a), axis=axis, keepdims=True) + 0.25
    return with_options(draw, (a,), options, by_name=("where", "correction", "mean"))


@st.composite
def running(draw: st.DrawFn, numbers: Numbers, none: bool = True, by_name: bool = False) -> Call:
    """Calls with the options of np.cumsum; along an axis only, or by name as those of cumulative_sum."""
    a = filled(draw, draw(shapes(min_dims=0 if none else 1)), numbers)
    axes = st.integers(-a.ndim, a.ndim - 1) if a.ndim else st.none()
    axis = draw(st.none() | axes if none and (a.ndim < 2 or not by_name) else axes)
    if not none:  # of NaN alone so far, the largest is NaN
        first = np.moveaxis(a, axis, 0)[:1]
        first[np.isnan(first)] = 0.25
    if not none and axis == 0 and draw(st.booleans()):
        return Call((a,))  # the default of methods `accumulate`
    if not by_name:
        return with_options(draw, (a,), {"axis": axis, "dtype": None, "out": None})
    return Call((a,), {"axis": axis, "include_initial": draw(st.booleans())})


# ---- by order ---------------------------------------------------------------------------------------------


@st.composite
def medians(draw: st.DrawFn, numbers: Numbers) -> Call:
    shape = draw(shapes(min_side=1))
    axis = drawn_axis(draw, len(shape))
    a = of_numbers(draw, numbers, axis, shape, least=1)
    options = {"axis": axis, "out": None, "overwrite_input": False, "keepdims": draw(st.booleans())}
    return with_options(draw, (a,), options)


METHODS: list[Any] = [
    *("inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf", "hazen"),
    *("weibull", "linear", "median_unbiased", "normal_unbiased", "lower", "higher", "midpoint", "nearest"),
]


def is_smooth(q: float, method: Any, counts: Iterable[int]) -> bool:
    """Whether the quantiles of so many numbers, such as squares, move on a straight line near q."""
    steps = np.linspace(-0.012, 0.012, 9)
    for n in counts:
        near = np.quantile(np.arange(n) ** 2, np.clip(q + steps, 0, 1), method=method)
        if np.any(np.abs(np.diff(near, 2)) > 1e-9):
            return False
    return True


@st.composite
def quantiles(draw: st.DrawFn, numbers: Numbers, scale: int, nan: bool = False) -> Call:
    shape = draw(shapes(min_side=1))
    axis = drawn_axis(draw, len(shape))
    a = of_numbers(draw, with_nan(numbers) if nan else numbers, axis, shape, least=1)
    method = draw(st.sampled_from([*METHODS, "linear", "linear"]))
    counts = set(np.ravel(np.sum(~np.isnan(a), axis=axis)).tolist())
    pool = [q for q in np.linspace(0.05, 0.95, 31) if is_smooth(q, method, counts)]
    q: Any = draw(st.sampled_from([0.25, 0, 1, [0.5, 0.75], [], *([] if nan else [[[0.5, 1], [0.25, 0.5]]])]))
    q = (np.array(q) * scale).tolist()
    if pool and draw(st.booleans()):
        shapes_of_q: list[Any] = [(), (2,), (4,), (0,)] if nan else [(), (2,), (4,), (0,), (2, 1)]
        shape_of_q = draw(st.sampled_from([s for s in shapes_of_q if s != shape]))  # a is no quantile
        q = filled(draw, shape_of_q, lambda rng, n: rng.choice(pool, n) * scale)
    options = {"axis": axis, "out": None, "overwrite_input": False, "method": method}
    options |= {"keepdims": draw(st.booleans()), "weights": ABSENT}
    if method == "inverted_cdf" and axis != () and draw(st.booleans()):  # NumPy 2.0 takes none along no axis
        options["weights"] = np.ones(a.shape)
    return with_options(draw, (a, q), options, by_name=("weights",))


# ---- means with weights, differences, integrals -----------------------------------------------------------


@st.composite
def averages(draw: st.DrawFn) -> Call:
    a = filled(draw, draw(shapes(min_side=1)), normal)
    axis = drawn_axis(draw, a.ndim)
    reduced = [axis] if isinstance(axis, int) else list(range(a.ndim) if axis is None else axis)
    along = tuple(a.shape[i] for i in reduced)
    kinds = [None, a.shape] if axis is None else [None, a.shape, along, along, along]
    shape = draw(st.sampled_from(kinds))
    weights = None if shape is None else filled(draw, shape, positive)
    options = {"axis": axis, "weights": weights, "returned": draw(st.booleans())}
    return with_options(draw, (a,), options | {"keepdims": draw(st.booleans())}, by_name=("keepdims",))


@st.composite
def differences(draw: st.DrawFn) -> Call:
    a = filled(draw, draw(shapes(min_dims=1)), normal)
    axis = draw(st.integers(-a.ndim, a.ndim - 1))

    def beside() -> Any:
        kind = draw(st.sampled_from(["absent", "number", "array"]))
        if kind == "absent":
            return ABSENT
        if kind == "number":
            return scalar(draw, normal)
        size = draw(st.integers(0, 2))
        return filled(draw, tuple(size if i == axis % a.ndim else n for i, n in enumerate(a.shape)), normal)

    options = {"n": draw(st.integers(0, 3)), "axis": axis, "prepend": beside(), "append": beside()}
    return with_options(draw, (a,), options)


@st.composite
def flat_differences(draw: st.DrawFn) -> Call:
    ends = st.none() | arrays()
    return with_options(draw, (draw(arrays()),), {"to_end": draw(ends), "to_begin": draw(ends)})


@st.composite
def slopes(draw: st.DrawFn) -> Call:
    edge_order = draw(st.integers(1, 2))
    f = filled(
        draw, draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=edge_order + 1, max_side=5)), normal
    )
    axis = draw(st.none() | hnp.valid_tuple_axes(f.ndim, min_size=1) | st.integers(-f.ndim, f.ndim - 1))
    axes = range(f.ndim) if axis is None else [axis] if isinstance(axis, int) else axis

    def spacing(i: int) -> Any:
        return filled(draw, (f.shape[i],), ascending) if draw(st.booleans()) else scalar(draw, positive)

    kind = draw(st.sampled_from(["default", "one", "each", "each", "each"]))
    spacings = [] if kind == "default" else [scalar(draw, positive)] if kind == "one" else map(spacing, axes)
    return Call((f, *spacings), {"axis": axis, "edge_order": edge_order})


@st.composite
def integrals(draw: st.DrawFn) -> Call:
    y = filled(draw, draw(shapes(min_dims=1)), normal)
    axis = draw(st.integers(-y.ndim, y.ndim - 1))
    x = draw(st.sampled_from([None, y.shape, (y.shape[axis],)]))
    points = None if x is None else filled(draw, x, normal)
    dx = scalar(draw, positive) if x is None else 1.0  # it has no effect beside x
    return with_options(draw, (y,), {"x": points, "dx": dx, "axis": axis})


@st.composite
def interpolations(draw: st.DrawFn) -> Call:
    """Points between those that are known, and outside."""
    xp = filled(draw, (draw(st.integers(1, 5)),), ascending)
    fp = filled(draw, xp.shape, normal)
    places = draw(generators).choice(np.arange(-2.03, 6, 0.11), draw(shapes()))
    period = draw(st.none() | st.sampled_from([-6.0, 6.0, 7.5]))
    known = xp if period is None else xp[:, None] + np.array([-1, 0, 1]) * period
    beside = np.min(np.abs(places[..., None] - np.ravel(known)), axis=-1, initial=1) < 0.03
    x = np.where(beside, places + 0.06, places)
    if period is not None:  # in any order, and in any turn
        order = draw(st.permutations(range(xp.size)))
        turns = draw(generators).integers(-1, 2, xp.size) * period
        xp, fp = xp[order] + turns, fp[order]
    options = {"left": draw(st.none() | st.just(0.5)), "right": None, "period": period}
    if draw(st.booleans()):
        options["left"], options["right"] = (filled(draw, (), normal) for _ in range(2))
    return with_options(draw, (x, xp, fp), options)


# ---- covariances ------------------------------------------------------------------------------------------


@st.composite
def covariances(draw: st.DrawFn) -> Call:
    rowvar, n = draw(st.booleans()), draw(st.integers(3, 5))

    def variables() -> Any:
        count = draw(st.integers(0, 3))
        shape = (n,) if count == 0 else (count, n) if rowvar else (n, count)
        return filled(draw, shape, positive)  # such that they could be weights

    options: dict[str, Any] = {"y": variables() if draw(st.booleans()) else None, "rowvar": rowvar}
    options |= {"bias": draw(st.booleans()), "ddof": draw(st.sampled_from([None, 0, 1]))}
    fweights = st.none() | st.lists(st.integers(1, 3), min_size=n, max_size=n).map(np.array)
    options |= {"fweights": draw(fweights)}
    options |= {"aweights": filled(draw, (n,), positive) if draw(st.booleans()) else None}
    return with_options(draw, (variables(),), options)


# ---- sliding products and polynomials ---------------------------------------------------------------------


@st.composite
def sliding(draw: st.DrawFn, numbers: bool) -> Call:
    a, v = (filled(draw, (draw(st.integers(1, 5)),), normal) for _ in range(2))
    if numbers:
        a, v = draw(st.sampled_from([(a, v), (a, v), (a, 1.5), (0.5, v)]))
    return with_options(draw, (a, v), {"mode": draw(st.sampled_from(["full", "same", "valid"]))})


@st.composite
def vandermonde(draw: st.DrawFn) -> Call:
    x = filled(draw, draw(shapes(min_dims=1, max_dims=1)), nonzero)
    return with_options(
        draw, (x,), {"N": draw(st.none() | st.integers(0, 4)), "increasing": draw(st.booleans())}
    )


@st.composite
def polynomials(draw: st.DrawFn) -> Call:
    p = filled(draw, (draw(st.integers(1, 4)),), normal)
    x = draw(arrays())
    return Call((p, x if draw(st.booleans()) or not x.size else x.flat[0].item()))


@st.composite
def counts(draw: st.DrawFn) -> Call:
    n = draw(st.integers(1, 5))  # of nothing NumPy makes whole numbers
    x, weights = filled(draw, (n,), lambda rng, n: rng.integers(0, 4, n)), filled(draw, (n,), normal)
    return with_options(draw, (x, weights), {"minlength": draw(st.integers(0, 6))})


@st.composite
def histograms(draw: st.DrawFn) -> Call:
    shape = draw(shapes())
    a = filled(draw, shape, lambda rng, n: rng.integers(0, 7, n))
    options = {"bins": draw(st.sampled_from([1, 4, [0.0, 0.5, 3.0, 5.0], [2, 6]])), "range": (1, 6)}
    options |= {"density": draw(st.booleans()), "weights": filled(draw, shape, positive)}
    if not np.any((a >= 2) & (a <= 5)):  # what all of these bins hold; a density of nothing is NaN
        options["density"] = None
    return Call((a,), options)


DOMAINS: dict[Any, Domain] = {
    # sums and means
    np.sum: Domain(folds(normal, normal), analytic=True),
    np.nansum: Domain(folds(with_nan(normal), normal)),
    np.mean: Domain(moments(normal, ddof=False), analytic=True),
    np.nanmean: Domain(moments(with_nan(normal), ddof=False)),
    np.average: Domain(averages()),
    np.var: Domain(moments(normal)),
    np.nanvar: Domain(moments(with_nan(normal))),
    np.std: Domain(moments(distinct(0.1))),
    np.nanstd: Domain(moments(with_nan(distinct(0.1)))),
    np.logaddexp.reduce: Domain(folds(normal, normal, least=1, first_axis=True)),
    # products
    np.prod: Domain(folds(factors, normal), analytic=True),
    np.nanprod: Domain(folds(with_nan(factors), normal)),
    # running
    np.cumsum: Domain(running(normal), analytic=True),
    np.nancumsum: Domain(running(with_nan(normal))),
    np.cumprod: Domain(running(factors), analytic=True),
    np.nancumprod: Domain(running(with_nan(factors))),
    np.maximum.accumulate: Domain(running(distinct(0), none=False)),
    np.minimum.accumulate: Domain(running(distinct(0), none=False)),
    np.fmax.accumulate: Domain(running(with_nan(distinct(0)), none=False)),
    np.fmin.accumulate: Domain(running(with_nan(distinct(0)), none=False)),
    np.logaddexp.accumulate: Domain(running(normal, none=False)),
    # by order
    np.max: Domain(folds(distinct(0), distinct(0.25), dtype=False, least=1)),
    np.min: Domain(folds(distinct(0), distinct(0.25), dtype=False, least=1)),
    np.amax: Domain(folds(distinct(0), distinct(0.25), dtype=False, least=1)),
    np.amin: Domain(folds(distinct(0), distinct(0.25), dtype=False, least=1)),
    np.nanmax: Domain(folds(with_nan(distinct(0)), distinct(0.25), dtype=False, least=1)),
    np.nanmin: Domain(folds(with_nan(distinct(0)), distinct(0.25), dtype=False, least=1)),
    np.ptp: Domain(reductions(distinct(0), dtype=False)),
    np.median: Domain(medians(distinct(0))),
    np.nanmedian: Domain(medians(with_nan(distinct(0)))),
    np.quantile: Domain(quantiles(distinct(0), 1)),
    np.percentile: Domain(quantiles(distinct(0), 100)),
    np.nanquantile: Domain(quantiles(distinct(0), 1, nan=True)),
    np.nanpercentile: Domain(quantiles(distinct(0), 100, nan=True)),
    # differences and integrals
    np.diff: Domain(differences(), analytic=True),
    np.ediff1d: Domain(flat_differences()),
    np.gradient: Domain(slopes()),
    np.trapezoid: Domain(integrals(), analytic=True),
    np.interp: Domain(interpolations()),
    # covariances
    np.cov: Domain(covariances()),
    # sliding products and polynomials
    np.convolve: Domain(sliding(numbers=True), analytic=True),
    np.correlate: Domain(sliding(numbers=False)),
    np.vander: Domain(vandermonde(), analytic=True),
    np.polyval: Domain(polynomials(), analytic=True),
    np.bincount: Domain(counts()),
    np.histogram: Domain(histograms()),
}
if hasattr(np, "cumulative_sum"):
    DOMAINS |= {
        np.cumulative_sum: Domain(running(normal, by_name=True), analytic=True),
        np.cumulative_prod: Domain(running(factors, by_name=True), analytic=True),
    }
