"""Every row of the table of derivatives, checked on calls that Hypothesis draws.

A row is tested by giving it a domain, in the folder `domains`: a strategy for calls of the function at which
it is differentiable.

    DOMAINS[np.exp] = Domain(elementwise(normal), analytic=True)

The rest is the same for all rows. A row without a domain fails the suite. What a function does where it is
not differentiable, at ties and kinks, is said in tests of its own beside this file.

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

from domains import DOMAINS
from domains.basics import generators, lying
from tinygrad_lr import Tensor, asarray, autograd, record, tensor
from tinygrad_lr.derivatives import DERIVATIVES, Derivative, cast
from tinygrad_lr.errors import name_of
from truths import Slope, central_difference, complex_step, gradient

# there are two thousand of these tests: a few examples each, the more the profile asks for
quick = settings(max_examples=settings().max_examples // 16, deadline=None)

# Rows that examples and other tests add are not the table's own.
ROWS = {
    function: row
    for function, row in DERIVATIVES.items()
    if any(
        callable(rule) and getattr(rule, "func", rule).__module__.startswith("tinygrad_lr.derivatives.")
        for rule in row.rules
    )
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
        """The function of the variables alone; several results are strung together."""
        value = self.function(*put(self.arguments, self.paths, variables), **self.options)
        return np.concatenate([np.ravel(part) for part in value]) if several(value) else value

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


def several(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def every_path(arguments: Any) -> list[Path]:
    paths: list[Path] = []
    for position, argument in enumerate(arguments):
        inner = every_path(argument) if several(argument) else [()]
        paths += [(position, *path) for path in inner]
    return paths


def at(arguments: Any, path: Path) -> Any:
    for step in path:
        arguments = arguments[step]
    return arguments


def put(arguments: Any, paths: Sequence[Path], values: Sequence[Any]) -> Any:
    """The arguments with other values at some paths."""
    new = dict(zip(paths, values, strict=True))

    def rebuilt(argument: Any, path: Path) -> Any:
        if path in new:
            return new[path]
        if not several(argument):
            return argument
        parts = [rebuilt(part, (*path, i)) for i, part in enumerate(argument)]
        return parts if isinstance(argument, list) else tuple(parts)

    return rebuilt(arguments, ())


def is_variable(array: Any) -> bool:
    return isinstance(array, np.ndarray) and np.issubdtype(array.dtype, np.floating)


@st.composite
def examples(draw: st.DrawFn, function: Any) -> Example:
    arguments, options = draw(DOMAINS[function].calls)
    rules = ROWS[function].rules
    paths = [
        path
        for path in every_path(arguments)
        if path[0] < len(rules) and callable(rules[path[0]]) and is_variable(at(arguments, path))
    ]
    layouts = st.sampled_from(["C", "Fortran", "permuted", "reversed", "strided"])
    arguments = put(arguments, paths, [lying(at(arguments, path), draw(layouts)) for path in paths])
    chosen = [path for path in paths if draw(st.booleans())] or paths  # the others are constants
    as_tensors = function is np.full_like or draw(st.booleans())  # full_like asks its first argument only
    rng = draw(generators)
    example = Example(DOMAINS[function].call or function, arguments, options, chosen, as_tensors, None, rng)
    return example._replace(head=frozen(rng.uniform(-2, 2, np.shape(example.value(example.variables)))))


# ---- the truths -------------------------------------------------------------------------------------------


def moved(variable: Any, index: Any, step: Any) -> Any:
    copied = np.array(variable, np.result_type(variable, type(step)), order="K", copy=True)
    copied[index] += step
    return copied


def assert_gradient(example: Example, gradients: Sequence[Any], slope_of: Callable[..., Slope]) -> None:
    """Each element of each gradient is the slope in its direction, contracted with the head."""
    variables = example.variables
    for k, (variable, got) in enumerate(zip(variables, gradients, strict=True)):
        truth, size, error = (np.zeros(variable.shape) for _ in range(3))
        for index in np.ndindex(variable.shape):

            def along(step: Any, k: int = k, index: Any = index) -> Any:
                return example.value([*variables[:k], moved(variables[k], index, step), *variables[k + 1 :]])

            slope = slope_of(along)
            truth[index] = np.sum(slope.value * example.head)
            size[index] = np.sum(np.abs(slope.value * example.head))  # what rounding is relative to
            error[index] = np.sum(np.abs(slope.error * example.head))
        bound = error + 1e-11 * size + 1e-14 * np.max(size, initial=0)
        assert np.shape(got) == variable.shape
        wrong = np.abs(got - truth) > bound
        assert not np.any(wrong), (
            f"the gradient for argument {example.paths[k]} is\n{got}\nbut should be\n{truth}\n"
            f"(within {bound})"
        )


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
    expected = example.value(example.variables)
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


def shared(arrays: Sequence[Any]) -> list[tuple[int, int]]:
    return [(i, j) for i, a in enumerate(arrays) for j, b in enumerate(arrays[:i]) if np.shares_memory(a, b)]


@each_row
@quick
@given(data=st.data())
def test_gradients_are_arrays_of_their_own(function: Any, data: st.DataObject) -> None:
    """In the variable's shape and dtype, shared with nothing; the value cannot be written either."""
    example, dtype = data.draw(examples(function)), data.draw(st.sampled_from(DOMAINS[function].floats))
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
    np.testing.assert_array_equal(value.array, example.value(variables), strict=True)
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
    for leaf, expected in zip(leaves, ones, strict=True):
        assert_close(leaf.grad.array, expected, size)
    with record():
        total = value.sum()
    for again, expected in zip(autograd.grad(total, leaves), ones, strict=True):
        assert_close(again.array, expected, size)


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
        (lambda g, y, a, axis=None, dtype=None, out=None, keepdims=False, initial=0, where=True: np.sum(g),),
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
        (lambda g, y, x: np.negative(g, out=g if g.ndim else None),),
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


@pytest.mark.parametrize("function", [f for f in ROWS if f in DOMAINS and ROWS[f].moves], ids=name_of)
@quick
@given(data=st.data())
def test_moving_rows_never_cancel(function: Any, data: st.DataObject) -> None:
    """Their gradient is zero exactly where the result does not depend on an element."""
    example = data.draw(examples(function))
    ones = np.ones_like(example.head)
    used = [got != 0 for got in example.gradients(example.variables, ones)]
    other = example.gradients(example.variables, example.rng.uniform(0.5, 2, ones.shape))
    for mask, got in zip(used, other, strict=True):
        np.testing.assert_array_equal(got != 0, mask)
        if not ROWS[function].selects and "where" not in example.options and ones.size:
            assert np.all(mask)
