"""Every row of the table of derivatives, checked on calls that Hypothesis draws.

A row is tested by giving it a domain: a strategy for calls of the function at which it is differentiable.

    DOMAINS[np.exp] = Domain(elementwise(normal), analytic=True)

The rest is the same for all rows. A row without a domain fails the suite. What a function does where it is
not differentiable, at ties and kinks, is said in tests of its own at the end.

The truths do not know the engine: central differences, extrapolated by Richardson's scheme, with an error
bound that comes from the extrapolation and the size of the Jacobian; and, where the function is analytic, the
complex step, which is exact to rounding (Squire and Trapp, SIAM Review 40, 1998).
"""

import operator
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_lr import Tensor, asarray, autograd, record, tensor
from tinygrad_lr.derivatives import DERIVATIVES, Derivative, cast, scatter
from tinygrad_lr.errors import name_of

quick = settings(max_examples=20, deadline=None)

# ---- numbers ----------------------------------------------------------------------------------------------

Numbers = Callable[[np.random.Generator, int], Any]  # how many numbers from which generator


def normal(rng: np.random.Generator, n: int) -> Any:
    """Numbers of either sign."""
    return rng.uniform(-2, 2, n)


def positive(rng: np.random.Generator, n: int) -> Any:
    return rng.uniform(0.3, 3, n)


def nonzero(rng: np.random.Generator, n: int) -> Any:
    return rng.uniform(0.3, 2, n) * rng.choice([-1, 1], n)


def distinct(offset: float) -> Numbers:
    """Numbers at least 0.5 apart, and 0.25 from those with an offset of 0.25: no ties, no kinks nearby."""
    return lambda rng, n: (rng.permutation(n) - n // 2) * 0.5 + offset


def dividends(rng: np.random.Generator, n: int) -> Any:
    return rng.choice([-5, -3, -1, 1, 3, 5], n) + rng.uniform(-0.1, 0.1, n)


def divisors(rng: np.random.Generator, n: int) -> Any:
    """Such that no dividend is near a multiple of a divisor."""
    return rng.choice([-4, -2, 2, 4], n) + rng.uniform(-0.1, 0.1, n)


def truths(rng: np.random.Generator, n: int) -> Any:
    return rng.random(n) < 0.5


def exponents(rng: np.random.Generator, n: int) -> Any:
    return rng.integers(-3, 4, n)


# ---- calls ------------------------------------------------------------------------------------------------


class Call(NamedTuple):
    """Arguments (arrays, lists of arrays, and whatever else the function takes) and keywords."""

    arguments: tuple[Any, ...]
    options: dict[str, Any] = {}  # noqa: RUF012  # never written


class Domain(NamedTuple):
    calls: st.SearchStrategy[Call]
    analytic: bool = False  # whether the function also takes complex numbers, and is analytic there


generators = st.integers(0, 2**20).map(np.random.default_rng)


def shapes(min_dims: int = 0, min_side: int = 0, max_dims: int = 3) -> st.SearchStrategy[tuple[int, ...]]:
    return hnp.array_shapes(min_dims=min_dims, max_dims=max_dims, min_side=min_side, max_side=3)


def filled(draw: st.DrawFn, shape: tuple[int, ...], numbers: Numbers) -> Any:
    return np.reshape(numbers(draw(generators), int(np.prod(shape))), shape)


@st.composite
def arrays(draw: st.DrawFn, min_dims: int = 0, numbers: Numbers = normal) -> Any:
    return filled(draw, draw(shapes(min_dims)), numbers)


@st.composite
def elementwise(draw: st.DrawFn, *numbers: Numbers) -> Call:
    """Arrays that broadcast against each other, and numbers of Python's beside the first of them."""
    drawn = draw(
        hnp.mutually_broadcastable_shapes(num_shapes=len(numbers), max_dims=3, min_side=0, max_side=3)
    )
    made = [filled(draw, shape, kind) for shape, kind in zip(drawn.input_shapes, numbers, strict=True)]
    if len(made) > 1 and draw(st.booleans()):
        plain = draw(st.integers(0, len(made) - 1))
        others = [a for i, a in enumerate(made) if i != plain]
        if made[plain].size and any(a.dtype == float for a in others):
            made[plain] = made[plain].flat[0].item()
    return Call(tuple(made))


DEFAULTS = {"axis": None, "dtype": None, "out": None, "ddof": 0, "keepdims": False}


def passed(draw: st.DrawFn, options: dict[str, Any], positional: Sequence[str]) -> Call:
    """Options as keywords, the first of them by position, and defaults left away."""
    count = draw(st.integers(0, len(positional)))
    left = {name: options[name] for name in options if name not in positional[:count]}
    if draw(st.booleans()):
        left = {name: value for name, value in left.items() if value != DEFAULTS[name]}
    return Call(tuple(options[name] for name in positional[:count]), left)


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
def clips(draw: st.DrawFn) -> Call:
    (a, low, high), _ = draw(elementwise(distinct(0), distinct(0.25), distinct(0.25)))
    bounds = draw(st.sampled_from([(low, high), (low, None), (None, high)]))
    if not isinstance(a, np.ndarray):
        a = np.array(a)
    form = draw(st.sampled_from(["position", "min, max", "a_min, a_max"]))
    if form == "position":
        return Call((a, *bounds))
    return Call((a,), dict(zip(form.split(", "), bounds, strict=True)))


@st.composite
def keys(draw: st.DrawFn, shape: tuple[int, ...]) -> Any:
    """A key of any of the kinds that NumPy's indexing knows."""
    kinds = ["basic"]
    if shape and 0 not in shape:
        kinds += ["integers", "list", "mixed", "mask", "rows"]
    kind = draw(st.sampled_from(kinds))
    if kind == "basic":
        return draw(hnp.basic_indices(shape, allow_newaxis=True))
    if kind == "integers":
        return draw(hnp.integer_array_indices(shape, result_shape=shapes(max_dims=2)))
    rng = draw(generators)
    if kind == "mask":
        return rng.random(shape) < 0.5
    if kind == "rows":
        return rng.random(shape[:1]) < 0.5
    count = draw(st.integers(1, 4))
    if kind == "list":
        return rng.integers(-shape[0], shape[0], count).tolist()
    parts: list[Any] = []  # integers that repeat beside slices, numbers, None and ...
    for n in shape:
        integers, number = rng.integers(-n, n, count), int(rng.integers(-n, n))
        parts += draw(
            st.sampled_from([[integers], [slice(None)], [slice(None, None, -1)], [number], [None, integers]])
        )
    return tuple(parts)


@st.composite
def indexings(draw: st.DrawFn) -> Call:
    shape = draw(shapes() | shapes(min_dims=1, min_side=1))
    return Call((filled(draw, shape, normal), draw(keys(shape))))


@st.composite
def scatterings(draw: st.DrawFn) -> Call:
    shape = draw(shapes() | shapes(min_dims=1, min_side=1))
    key = draw(keys(shape))
    return Call((filled(draw, np.zeros(shape)[key].shape, normal), key, shape))


@st.composite
def matrix_products(draw: st.DrawFn) -> Call:
    drawn = draw(
        hnp.mutually_broadcastable_shapes(
            signature=np.matmul.signature,
            max_dims=1,
            min_side=0,
            max_side=3,
        )
    )
    a, b = (filled(draw, shape, normal) for shape in drawn.input_shapes)
    return Call((a, b))


@st.composite
def dots(draw: st.DrawFn) -> Call:
    left, right = draw(shapes(max_dims=3)), draw(shapes(max_dims=3))
    if left and right:
        right = (*right[:-2], left[-1], *right[-1:]) if len(right) > 1 else left[-1:]
    return Call((filled(draw, left, normal), filled(draw, right, normal)))


@st.composite
def reshapes(draw: st.DrawFn) -> Call:
    a = draw(arrays())
    n = a.size
    options = [(n,), (1, n), (n, 1, 1), -1, n]
    if n % 2 == 0 and n:
        options += [(2, -1), (n // 2, 2)]
    if n == 1:
        options.append(())
    if n == 0:
        options = [(0,), (3, 0), 0]
    shape = draw(st.sampled_from(options))
    order: dict[str, Any] = draw(st.sampled_from([{}, {"order": "C"}, {"order": "F"}]))
    return Call((a, shape), order)


@st.composite
def ravels(draw: st.DrawFn) -> Call:
    return Call((draw(arrays()), *draw(st.sampled_from([(), ("C",), ("F",)]))))


@st.composite
def expansions(draw: st.DrawFn) -> Call:
    a = draw(arrays())
    axes = hnp.valid_tuple_axes(a.ndim + 2, min_size=2, max_size=2) | st.integers(-a.ndim - 1, a.ndim)
    return Call((a, draw(axes)))


@st.composite
def squeezes(draw: st.DrawFn) -> Call:
    shape = draw(st.lists(st.sampled_from([1, 1, 2, 3]), max_size=4))
    ones = [i for i, n in enumerate(shape) if n == 1]
    choices: list[dict[str, Any]] = [{}, {"axis": None}, {"axis": tuple(ones)}]
    if ones:
        choices += [{"axis": ones[-1]}, {"axis": ones[0] - len(shape)}]
    return Call((filled(draw, tuple(shape), normal),), draw(st.sampled_from(choices)))


@st.composite
def transposes(draw: st.DrawFn) -> Call:
    a = draw(arrays() | arrays(min_dims=3))  # with less than three axes every order undoes itself
    order = draw(st.permutations(range(a.ndim)))
    mixed = tuple(i - a.ndim if draw(st.booleans()) else i for i in order)
    return Call((a, *draw(st.sampled_from([(mixed,), (list(mixed),), (None,), ()]))))


@st.composite
def axis_swaps(draw: st.DrawFn) -> Call:
    a = draw(arrays(min_dims=1))
    axis = st.integers(-a.ndim, a.ndim - 1)
    return Call((a, draw(axis), draw(axis)))


@st.composite
def axis_moves(draw: st.DrawFn) -> Call:
    a = draw(arrays(min_dims=1) | arrays(min_dims=3))
    if draw(st.booleans()):
        return Call((a, draw(st.integers(-a.ndim, a.ndim - 1)), draw(st.integers(-a.ndim, a.ndim - 1))))
    count = draw(st.integers(1, a.ndim))
    source, target = draw(st.permutations(range(a.ndim))), draw(st.permutations(range(a.ndim)))
    return Call((a, source[:count], [i - a.ndim for i in target[:count]]))


@st.composite
def broadcasts(draw: st.DrawFn) -> Call:
    a = draw(arrays())
    return Call(
        (
            a,
            draw(
                hnp.broadcastable_shapes(a.shape, min_dims=a.ndim, max_dims=3, min_side=0, max_side=3).filter(
                    lambda shape: np.broadcast_shapes(shape, a.shape) == shape
                )
            ),
        )
    )


@st.composite
def assemblies(draw: st.DrawFn, stacked: bool) -> Call:
    """A list or tuple of arrays, some of them integers, and an axis (None joins arrays of any shape)."""
    shape = draw(shapes(min_dims=0 if stacked else 1, max_dims=2))
    axis = draw(st.integers(-len(shape) - stacked, len(shape) - 1 + stacked))
    flat = not stacked and draw(st.booleans())
    count = draw(st.integers(1, 3))
    parts = []
    for _ in range(count):
        own = list(shape)
        if flat:
            own = list(draw(shapes()))
        elif not stacked:
            own[axis] = draw(st.integers(0, 3))
        parts.append(filled(draw, tuple(own), normal))
    if count > 1 and draw(st.booleans()):
        parts[-1] = np.ones(parts[-1].shape, int)
    made = parts if draw(st.booleans()) else tuple(parts)
    return draw(
        st.sampled_from(
            [Call((made, None if flat else axis)), Call((made,), {"axis": None if flat else axis})]
        )
    )


@st.composite
def fills(draw: st.DrawFn) -> Call:
    (a, value), _ = draw(elementwise(normal, normal))
    shape = np.broadcast_shapes(np.shape(a), np.shape(value))
    return Call((np.zeros(shape), value if isinstance(value, np.ndarray) else np.array(value)))


# ---- the domains ------------------------------------------------------------------------------------------

DOMAINS: dict[Any, Domain] = {
    np.positive: Domain(elementwise(normal), analytic=True),
    np.negative: Domain(elementwise(normal), analytic=True),
    np.add: Domain(elementwise(normal, normal), analytic=True),
    np.subtract: Domain(elementwise(normal, normal), analytic=True),
    np.multiply: Domain(elementwise(normal, normal), analytic=True),
    np.divide: Domain(elementwise(normal, nonzero), analytic=True),
    np.reciprocal: Domain(elementwise(nonzero), analytic=True),
    np.remainder: Domain(elementwise(dividends, divisors)),
    np.square: Domain(elementwise(normal), analytic=True),
    np.sqrt: Domain(elementwise(positive), analytic=True),
    np.power: Domain(elementwise(positive, normal) | elementwise(nonzero, exponents), analytic=True),
    np.exp: Domain(elementwise(normal), analytic=True),
    np.log: Domain(elementwise(positive), analytic=True),
    np.sin: Domain(elementwise(normal), analytic=True),
    np.cos: Domain(elementwise(normal), analytic=True),
    np.tanh: Domain(elementwise(normal), analytic=True),
    np.absolute: Domain(elementwise(nonzero)),
    np.maximum: Domain(elementwise(distinct(0), distinct(0.25))),
    np.minimum: Domain(elementwise(distinct(0), distinct(0.25))),
    np.where: Domain(elementwise(truths, normal, normal), analytic=True),
    np.clip: Domain(clips()),
    operator.getitem: Domain(indexings(), analytic=True),
    scatter: Domain(scatterings(), analytic=True),
    np.matmul: Domain(matrix_products(), analytic=True),
    np.dot: Domain(dots(), analytic=True),
    np.sum: Domain(reductions(normal, of_empty=True), analytic=True),
    np.mean: Domain(reductions(normal), analytic=True),
    np.max: Domain(reductions(distinct(0), dtype=False)),
    np.min: Domain(reductions(distinct(0), dtype=False)),
    np.var: Domain(reductions(normal, ddof=True)),
    np.std: Domain(reductions(distinct(0.1), ddof=True)),
    cast: Domain(st.builds(lambda a: Call((a, np.dtype(float))), arrays())),
    np.expand_dims: Domain(expansions(), analytic=True),
    np.squeeze: Domain(squeezes(), analytic=True),
    np.reshape: Domain(reshapes(), analytic=True),
    np.ravel: Domain(ravels(), analytic=True),
    np.transpose: Domain(transposes(), analytic=True),
    np.matrix_transpose: Domain(st.builds(lambda a: Call((a,)), arrays(min_dims=2)), analytic=True),
    np.swapaxes: Domain(axis_swaps(), analytic=True),
    np.moveaxis: Domain(axis_moves(), analytic=True),
    np.broadcast_to: Domain(broadcasts(), analytic=True),
    np.copy: Domain(st.builds(lambda a: Call((a,)), arrays()), analytic=True),
    np.concatenate: Domain(assemblies(stacked=False), analytic=True),
    np.stack: Domain(assemblies(stacked=True), analytic=True),
    np.full_like: Domain(fills()),
}

# Rows that examples and other tests add are not the table's own.
ROWS = {
    function: row
    for function, row in DERIVATIVES.items()
    if any(rule is not None and rule.__module__.startswith("tinygrad_lr.") for rule in row.rules)
}

# ---- an example: a call whose arrays lie in memory in any way, and cannot be written ----------------------

Path = tuple[int, ...]  # of an array among the arguments: its position, and its place in a list there


class Example(NamedTuple):
    function: Any
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    paths: list[Path]  # of the arrays to differentiate with respect to
    wrapped: bool  # whether the other arrays are given as Tensors as well
    head: Any
    rng: np.random.Generator

    @property
    def variables(self) -> list[Any]:
        return [at(self.arguments, path) for path in self.paths]

    def value(self, variables: Sequence[Any]) -> Any:
        """The function of the variables alone."""
        return self.function(*put(self.arguments, self.paths, variables), **self.options)

    def gradients(self, variables: Sequence[Any], head: Any) -> list[Any]:
        """The engine's gradients there, as arrays."""
        leaves, value = recorded(self, variables)
        return [g.array for g in autograd.grad(value, leaves, head)]


def recorded(example: Example, variables: Sequence[Any]) -> tuple[list[Tensor], Tensor]:
    """The variables as attached tensors, and the value that was recorded from them."""
    leaves = [asarray(v) for v in variables]
    for leaf in leaves:
        leaf.attach_grad()
    with record():
        return leaves, wrapped(example).value(leaves)


def wrapped(example: Example) -> Example:
    """The example with its constant arrays as Tensors, if it is one for that."""
    if not example.wrapped:
        return example
    others = [path for path in every_path(example.arguments) if path not in example.paths]
    arrays = [at(example.arguments, path) for path in others]
    constants = [asarray(a) if isinstance(a, np.ndarray) else a for a in arrays]
    return example._replace(arguments=put(example.arguments, others, constants))


def every_path(arguments: tuple[Any, ...]) -> list[Path]:
    paths: list[Path] = []
    for position, argument in enumerate(arguments):
        if isinstance(argument, (list, tuple)):
            paths += [(position, i) for i in range(len(argument))]
        else:
            paths.append((position,))
    return paths


def at(arguments: Any, path: Path) -> Any:
    for step in path:
        arguments = arguments[step]
    return arguments


def put(arguments: tuple[Any, ...], paths: Sequence[Path], values: Sequence[Any]) -> tuple[Any, ...]:
    made = [list(a) if isinstance(a, list) else a for a in arguments]
    for (position, *inner), value in zip(paths, values, strict=True):
        if inner:
            parts = list(made[position])
            parts[inner[0]] = value
            made[position] = type(arguments[position])(parts)
        else:
            made[position] = value
    return tuple(made)


def lying(array: Any, how: str) -> Any:
    """An equal array in another memory layout, which cannot be written."""
    if array.ndim == 0:
        how = "C"
    if how == "Fortran":
        array = np.asfortranarray(array)
    elif how == "permuted":
        array = np.ascontiguousarray(np.moveaxis(array, 0, -1))
        array = np.moveaxis(array, -1, 0)
    elif how == "reversed":
        array = np.ascontiguousarray(np.flip(array))
        array = np.flip(array)
    elif how == "strided":
        array = np.repeat(array, 2, axis=-1)[..., ::2]
    array = array.view()
    array.flags.writeable = False
    return array


def is_variable(array: Any) -> bool:
    return isinstance(array, np.ndarray) and np.issubdtype(array.dtype, np.floating)


@st.composite
def examples(draw: st.DrawFn, function: Any) -> Example:
    arguments, options = draw(DOMAINS[function].calls)
    paths: list[Path] = []
    for position, (rule, argument) in enumerate(zip(ROWS[function].rules, arguments, strict=False)):
        if isinstance(argument, (list, tuple)):
            paths += [(position, i) for i, part in enumerate(argument) if is_variable(part)]
        elif rule is not None and is_variable(argument):
            paths.append((position,))
    layouts = st.sampled_from(["C", "Fortran", "permuted", "reversed", "strided"])
    arguments = put(arguments, paths, [lying(at(arguments, path), draw(layouts)) for path in paths])
    chosen = [path for path in paths if draw(st.booleans())] or paths  # the others are constants
    as_tensors = function is np.full_like or draw(st.booleans())  # full_like asks its first argument only
    rng = draw(generators)
    head = frozen(rng.uniform(-2, 2, np.shape(function(*arguments, **options))))
    return Example(function, arguments, options, chosen, as_tensors, head, rng)


# ---- the truths -------------------------------------------------------------------------------------------

STEP = 2.0**-7  # a power of two: adding it to a number of order 1 is nearly exact


class Slope(NamedTuple):
    """A derivative in one direction, and a bound for its error."""

    value: Any
    error: Any


def central_difference(f: Callable[[float], Any]) -> Slope:
    """The derivative of f at 0: central differences at three steps, extrapolated to step 0."""
    rows: list[list[Any]] = []
    largest = 0.0
    for level in range(3):
        step = STEP / 2**level
        ahead, behind = f(step), f(-step)
        largest = np.maximum(largest, np.maximum(np.abs(ahead), np.abs(behind)))
        row = [(ahead - behind) / (2 * step)]
        for k, rougher in enumerate(rows[-1] if rows else [], start=1):
            row.append(row[-1] + (row[-1] - rougher) / (4**k - 1))
        rows.append(row)
    best, before = rows[-1][-1], rows[-1][-2]
    rounding = 16 * np.finfo(float).eps * largest / STEP
    return Slope(best, np.abs(best - before) + rounding)


def moved(variable: Any, index: Any, step: Any) -> Any:
    copied = np.array(variable, np.result_type(variable, type(step)), order="K", copy=True)
    copied[index] += step
    return copied


def assert_gradient(example: Example, gradients: Sequence[Any], slope_of: Callable[..., Slope]) -> None:
    """Each element of each gradient is the slope in its direction, contracted with the head."""
    variables = example.variables
    for k, (variable, gradient) in enumerate(zip(variables, gradients, strict=True)):
        truth, size, error = (np.zeros(variable.shape) for _ in range(3))
        for index in np.ndindex(variable.shape):

            def along(step: Any, k: int = k, index: Any = index) -> Any:
                return example.value([*variables[:k], moved(variables[k], index, step), *variables[k + 1 :]])

            slope = slope_of(along)
            truth[index] = np.sum(slope.value * example.head)
            size[index] = np.sum(np.abs(slope.value * example.head))  # what rounding is relative to
            error[index] = np.sum(np.abs(slope.error * example.head))
        bound = error + 1e-11 * size + 1e-14 * np.max(size, initial=0)
        assert np.shape(gradient) == variable.shape
        wrong = np.abs(gradient - truth) > bound
        assert not np.any(wrong), (
            f"the gradient for argument {example.paths[k]} is\n{gradient}\nbut should be\n{truth}\n"
            f"(within {bound})"
        )


def complex_step(f: Callable[[complex], Any]) -> Slope:
    """The derivative of f at 0: no difference is taken, so nothing cancels."""
    return Slope(np.imag(f(1e-30j)) / 1e-30, 0.0)


# ---- what every row must fulfil ---------------------------------------------------------------------------


def test_every_row_has_a_domain() -> None:
    assert not [name_of(function) for function in ROWS if function not in DOMAINS]


def test_every_domain_belongs_to_a_row() -> None:
    assert not [name_of(function) for function in DOMAINS if function not in ROWS]


each_row = pytest.mark.parametrize("function", [f for f in ROWS if f in DOMAINS], ids=name_of)


@each_row
@quick
@given(data=st.data())
def test_value_and_gradient(function: Any, data: st.DataObject) -> None:
    example = data.draw(examples(function))
    leaves, value = recorded(example, example.variables)
    expected = function(*example.arguments, **example.options)
    np.testing.assert_array_equal(value.array, expected, strict=True)
    gradients = [g.array for g in autograd.grad(value, leaves, example.head)]
    assert_gradient(example, gradients, central_difference)
    if DOMAINS[function].analytic:
        assert_gradient(example, gradients, complex_step)


@each_row
@quick
@given(data=st.data())
def test_second_order(function: Any, data: st.DataObject) -> None:
    """The gradient, as a function of the variables and the head, in one random direction."""
    example = data.draw(examples(function))
    rng = example.rng
    inputs = [*example.variables, example.head]
    weights = [rng.uniform(-2, 2, v.shape) for v in example.variables]
    directions = [rng.uniform(-1, 1, np.shape(v)) for v in inputs]

    def along(step: float) -> Any:
        *variables, head = (v + step * d for v, d in zip(inputs, directions, strict=True))
        gradients = example.gradients(variables, head)
        return sum(np.sum(w * g) for w, g in zip(weights, gradients, strict=True))

    leaves, value = recorded(example, example.variables)
    head = asarray(example.head)
    head.attach_grad()
    with record():
        gradients = autograd.grad(value, leaves, head, create_graph=True)
        total: Tensor = sum((w * g).sum() for w, g in zip(weights, gradients, strict=True))
        for variable in (*leaves, head):
            total = total + 0 * variable.sum()  # so that a derivative that is zero is reached as well
    seconds = autograd.grad(total, [*leaves, head])
    terms = [np.sum(s.array * d) for s, d in zip(seconds, directions, strict=True)]
    size = sum(np.sum(np.abs(s.array * d)) for s, d in zip(seconds, directions, strict=True))
    truth = central_difference(along)
    assert abs(sum(terms) - truth.value) <= 1e-10 * size + 4 * truth.error


FLOATS = [np.float64, np.float32, np.float16]


def shared(arrays: Sequence[Any]) -> list[tuple[int, int]]:
    return [(i, j) for i, a in enumerate(arrays) for j, b in enumerate(arrays[:i]) if np.shares_memory(a, b)]


@each_row
@quick
@given(data=st.data())
def test_gradients_are_arrays_of_their_own(function: Any, data: st.DataObject) -> None:
    """In the variable's shape and dtype, shared with nothing; the value cannot be written either."""
    example, dtype = data.draw(examples(function)), data.draw(st.sampled_from(FLOATS))
    if function is cast:
        example = example._replace(options={}, arguments=(example.arguments[0], np.dtype(dtype)))
    exact = example.gradients(example.variables, example.head)
    paths = [path for path in every_path(example.arguments) if is_variable(at(example.arguments, path))]
    narrow = put(
        example.arguments, paths, [frozen(at(example.arguments, path).astype(dtype)) for path in paths]
    )
    example = example._replace(arguments=narrow)
    variables = example.variables
    leaves, value = recorded(example, variables)
    np.testing.assert_array_equal(value.array, function(*narrow, **example.options), strict=True)
    if isinstance(value.array, np.ndarray):
        value.array.flags.writeable = False
    head = frozen(example.head.astype(value.dtype))
    value.backward(head, retain_graph=True)
    stored = [leaf.grad for leaf in leaves]
    returned = autograd.grad(value, leaves, head)
    for variable, one, other, truth in zip(variables, stored, returned, exact, strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype) == (variable.shape, dtype)
        np.testing.assert_array_equal(one.array, other.array)
        tolerance = 64 * np.finfo(dtype).eps * np.max(np.abs(truth), initial=1)
        np.testing.assert_allclose(one.array, truth, rtol=0, atol=tolerance)
    parts = [np.asarray(g) for g in (*stored, *returned)]
    assert not shared([*parts, head]), "a gradient shares its memory"
    assert not any(np.shares_memory(g, a) for g in parts for a in (*variables, np.asarray(value)))


def frozen(array: Any) -> Any:
    array = np.asarray(array)
    array.flags.writeable = False
    return array


def assert_close(got: Any, expected: Any, size: float) -> None:
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-13 * size)


@each_row
@quick
@given(data=st.data())
def test_linear_in_the_head(function: Any, data: st.DataObject) -> None:
    """Also for a head gradient that is smaller than its tensor, as that of a sum is."""
    example = data.draw(examples(function))
    other = example.rng.uniform(-2, 2, example.head.shape)
    one, two, both, ones = (
        example.gradients(example.variables, head)
        for head in (example.head, other, 3 * example.head - other, np.ones_like(example.head))
    )
    size = 1 + sum(float(np.sum(np.abs(g))) for g in (*one, *two, *ones)) * 10
    for a, b, c in zip(one, two, both, strict=True):
        assert_close(c, 3 * a - b, size)
    leaves, value = recorded(example, example.variables)
    value.backward(retain_graph=True)
    for leaf, gradient in zip(leaves, ones, strict=True):
        assert_close(leaf.grad.array, gradient, size)
    with record():
        total = value.sum()
    for again, gradient in zip(autograd.grad(total, leaves), ones, strict=True):
        assert_close(again.array, gradient, size)


@each_row
@quick
@given(data=st.data())
def test_repeated_operand(function: Any, data: st.DataObject) -> None:
    """One tensor in several places gets the sum of what separate tensors get there."""
    example = data.draw(examples(function))
    first = example.variables[0]
    same = [path for path in example.paths if at(example.arguments, path).shape == first.shape]
    example = example._replace(paths=same)
    if np.shape(example.value([first] * len(same))) != example.head.shape:  # pragma: no cover
        return
    separate = example.gradients([first] * len(same), example.head)
    leaf = asarray(first)
    leaf.attach_grad()
    with record():
        value = wrapped(example).value([leaf] * len(same))
    value.backward(example.head)
    size = 1 + sum(float(np.sum(np.abs(g))) for g in separate)
    assert_close(leaf.grad.array, sum(separate), size)


# ---- the checks find wrong rules --------------------------------------------------------------------------

PLANTED: dict[str, tuple[Any, Any, tuple[Any, ...]]] = {
    "sign": (test_value_and_gradient, np.cos, (lambda g, y, x: g * np.sin(x),)),
    "1% off": (test_value_and_gradient, np.exp, (lambda g, y, x: g * y * 1.01,)),
    "1e-9 off": (test_value_and_gradient, np.exp, (lambda g, y, x: g * y * (1 + 1e-9),)),
    "operands swapped": (
        test_value_and_gradient,
        np.multiply,
        (lambda g, y, a, b: g * a, lambda g, y, a, b: g * b),
    ),
    "the second operand": (
        test_value_and_gradient,
        np.subtract,
        (lambda g, y, a, b: g, lambda g, y, a, b: g),
    ),
    "axes swapped": (
        test_value_and_gradient,
        np.transpose,
        (lambda g, y, a, axes=None: np.transpose(g, axes),),
    ),
    "axis ignored": (
        test_value_and_gradient,
        np.sum,
        (lambda g, y, a, axis=None, dtype=None, out=None, keepdims=False: np.sum(g),),
    ),
    "repeated indices": (
        test_value_and_gradient,
        operator.getitem,
        (lambda g, y, x, key: _put(np.zeros(x.shape), key, g),),
    ),
    "head ignored": (test_linear_in_the_head, np.sin, (lambda g, y, x: np.cos(x),)),
    "wrong in second order only": (
        test_second_order,
        np.sin,
        (lambda g, y, x: g * np.cos(getattr(x, "array", x)),),
    ),
    "wrong in the second derivative by the head only": (
        test_second_order,
        np.sin,
        (lambda g, y, x: getattr(g, "array", g) * np.cos(x),),
    ),
    "head written": (
        test_gradients_are_arrays_of_their_own,
        np.negative,
        (lambda g, y, x: np.negative(g, out=g),),
    ),
    "argument written": (test_value_and_gradient, np.square, (lambda g, y, x: g * np.multiply(x, 2, out=x),)),
    "value written": (
        test_gradients_are_arrays_of_their_own,
        np.exp,
        (lambda g, y, x: np.multiply(g, y, out=y) if y.ndim else g * y,),
    ),
}


def _put(array: Any, key: Any, values: Any) -> Any:
    array[key] = values
    return array


@pytest.mark.parametrize(("check", "function", "rules"), PLANTED.values(), ids=PLANTED)
def test_wrong_rules_are_found(
    monkeypatch: pytest.MonkeyPatch, check: Any, function: Any, rules: tuple[Any, ...]
) -> None:
    monkeypatch.setattr(DERIVATIVES[function], "rules", rules)
    search = settings(max_examples=500, phases=[Phase.generate], database=None, deadline=None)
    with pytest.raises((AssertionError, ValueError)):
        given(st.data())(search(lambda data: check.hypothesis.inner_test(function, data)))()


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


@pytest.mark.parametrize("symbol", BINARY, ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    "left", [asarray, np.asarray, np.float64, float], ids=["tensor", "array", "scalar", "float"]
)
@pytest.mark.parametrize(
    "right", [asarray, np.asarray, np.float64, float], ids=["tensor", "array", "scalar", "float"]
)
def test_operators(symbol: Any, left: Any, right: Any) -> None:
    """With a Tensor on either side, and an array, a NumPy scalar or a number on the other."""
    if asarray not in (left, right):
        return
    numbers = {
        asarray: np.array([1.5, 2.5, 0.75]),
        np.asarray: np.array([2.25, 2.5, 3.5]),
        np.float64: 2.5,
        float: 2.5,
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
    "clip": (-0.5, 0.5),
    "dot": (np.array([1.0, 2.0, 3.0]),),
    "squeeze": (),
    "swapaxes": (0, 1),
    "ravel": (),
    "flatten": (),
    "copy": (),
    "reshape": (3, 2),
    "transpose": (1, 0),
    "astype": (np.float32,),
    "T": (),
    "mT": (),
}


@pytest.mark.parametrize("name", METHODS)
def test_methods(name: str) -> None:
    """Methods are NumPy's functions, and do what the methods of an array do."""
    data = np.array([[0.3, -1.2, 2.0], [0.7, 0.1, -0.4]])
    x = asarray(data)
    arguments = METHODS[name]
    got, expected = getattr(x, name), getattr(data, name)
    if arguments or callable(got):
        got, expected = got(*arguments), expected(*arguments)
    assert isinstance(got, Tensor)
    np.testing.assert_array_equal(got.array, expected, strict=True)
    assert np.shares_memory(got.array, data) == np.shares_memory(expected, data)


@pytest.mark.parametrize("shape", [(-1,), (3, 2), ((3, 2),), ([6, 1],), (6,), ((1, 2, 3),)], ids=repr)
def test_reshape_takes_numbers_or_a_tuple(shape: Any) -> None:
    data = np.arange(6.0)
    np.testing.assert_array_equal(tensor(data).reshape(*shape).array, data.reshape(*shape), strict=True)


# ---- ties and kinks ---------------------------------------------------------------------------------------


def gradient(function: Callable[..., Any], *points: Any, head: Any = None, order: int = 1) -> Any:
    """The derivative with respect to the first point (a tensor for each; constants otherwise)."""
    x, *others = (tensor(p, float) for p in points)
    x.attach_grad()
    with record():
        y = function(x, *others)
        for _ in range(order - 1):
            y = autograd.grad(y, x, create_graph=True) + 0 * x  # also where the derivative is a constant
    return autograd.grad(y, x, head).array


def test_ties_split_evenly_between_the_largest() -> None:
    np.testing.assert_array_equal(gradient(np.max, [1, 3, 3, 3]), [0, 1 / 3, 1 / 3, 1 / 3])
    np.testing.assert_array_equal(gradient(np.min, [2, 1, 1, 4]), [0, 0.5, 0.5, 0])


@quick
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


def test_square_root_at_zero_is_infinite_and_numpy_says_so() -> None:
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        assert gradient(np.sqrt, 0.0) == np.inf


# ---- dtypes -----------------------------------------------------------------------------------------------


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


def test_promotion_is_that_of_numpy() -> None:
    x = tensor([1.0, 2.0], np.float32)
    for other in (2, 2.0, np.float32(2), np.float64(2), np.array([1, 2]), np.float16([1, 2])):
        assert (x * other).dtype == (x.array * other).dtype
        assert (other * x).dtype == (other * x.array).dtype


# ---- options and positions --------------------------------------------------------------------------------


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


def test_a_rule_that_is_not_needed_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """In X @ w the gradient of X would be as large as the data."""

    def never(*args: Any) -> Any:
        raise AssertionError("called for a constant")

    monkeypatch.setitem(
        DERIVATIVES, np.arctan2, Derivative(np.arctan2, (never, lambda g, y, a, b: -g * a / (a * a + b * b)))
    )
    got = gradient(lambda x: np.arctan2(np.array([1.0, 2.0]), x), [2.0, 1.0])
    np.testing.assert_allclose(got, [-0.2, -0.4])


def test_scatter_adds_where_indices_repeat() -> None:
    np.testing.assert_array_equal(scatter(np.array([1.0, 2.0, 4.0]), [1, 1, 0], (3,)), [4, 3, 0])
    np.testing.assert_array_equal(scatter(np.array([1.0, 2.0]), slice(None, None, 2), (3,)), [1, 0, 2])


def test_no_warning_where_the_derivative_is_finite() -> None:
    """Warnings are errors throughout; this makes sure that they are."""
    with pytest.raises(RuntimeWarning):
        warnings.warn("heard", RuntimeWarning, stacklevel=1)
