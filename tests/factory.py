"""What every row of the table of derivatives must fulfil, as functions of an example: a drawn call of it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from domains import DOMAINS
from domains.basics import generators, lying
from tinygrad_lr import Tensor, asarray, autograd, differentiable, record
from tinygrad_lr.derivatives import DERIVATIVES, cast
from tinygrad_lr.testing.truths import one_sided_difference
from truths import Slope, central_difference, complex_step

# Rows that examples and other tests add are not the table's own.
ROWS = {
    function: row
    for function, row in DERIVATIVES.items()
    if any(
        callable(rule) and getattr(rule, "func", rule).__module__.startswith("tinygrad_lr.derivatives.")
        for rule in row.rules
    )
}


def chapter_of(function: Any) -> str:
    """The module of the table that has the rules of a row."""
    rule: Any = next(filter(callable, ROWS[function].rules))
    return str(getattr(rule, "func", rule).__module__).rpartition(".")[2]


# ---- an example: a call whose arrays lie in memory in any way, and cannot be written ----------------------

Arguments = dict[int | str, Any]  # of a call, by position and by name
Path = tuple[Any, ...]  # of an array among the arguments: its position or name, and its place in a list there


class Example(NamedTuple):
    row: Any  # the function whose row it is
    function: Any  # what is called: itself, or another that calls it
    arguments: Arguments
    paths: list[Path]  # of the arrays to differentiate with respect to
    wrapped: bool  # whether the other arrays are given as Tensors as well
    dtype: Any  # a floating dtype that the function takes
    head: Any
    rng: np.random.Generator

    @property
    def variables(self) -> list[Any]:
        return [at(self.arguments, path) for path in self.paths]

    def value(self, variables: Sequence[Any]) -> Any:
        """The function of the variables alone; several results are strung together."""
        arguments = put(self.arguments, self.paths, variables)
        options = {name: value for name, value in arguments.items() if isinstance(name, str)}
        value = self.function(*[arguments[i] for i in range(len(arguments) - len(options))], **options)
        return np.concatenate([np.ravel(part) for part in value]) if several(value) else value

    def recorded(self, variables: Sequence[Any]) -> tuple[list[Tensor], Tensor]:
        """The variables as attached tensors, and the value that was recorded from them."""
        leaves = [attached(v) for v in variables]
        with record():
            return leaves, self.with_tensors().value(leaves)

    def with_tensors(self) -> "Example":
        """The example with its constant arrays as Tensors, if it is one for that."""
        if not self.wrapped:
            return self
        others = [path for path in every_path(self.arguments) if path not in self.paths]
        arrays = [at(self.arguments, path) for path in others]
        constants = [asarray(a) if isinstance(a, np.ndarray) else a for a in arrays]
        return self._replace(arguments=put(self.arguments, others, constants))

    def gradients(self, variables: Sequence[Any], head: Any) -> list[Any]:
        """The engine's gradients there, as arrays."""
        leaves, value = self.recorded(variables)
        return [g.array for g in autograd.grad(value, leaves, head)]


@st.composite
def examples(draw: st.DrawFn, function: Any) -> Example:
    domain = DOMAINS[function]
    call = draw(domain.calls)
    arguments: Arguments = {**dict(enumerate(call.arguments)), **call.options}
    floating = [path for path in every_path(arguments) if is_variable(at(arguments, path))]
    rules = {path: ROWS[function].rule_of(path[0]) for path in floating}
    missing = [path for path in floating if rules[path] is ... and isinstance(path[0], int)]
    assert not missing, "an argument that could be differentiated has no rule, nor None for one"
    paths = [path for path in floating if callable(rules[path])]
    layouts = st.sampled_from(["C", "Fortran", "permuted", "reversed", "strided"])
    arguments = put(arguments, paths, [lying(at(arguments, path), draw(layouts)) for path in paths])
    chosen = [path for path in paths if draw(st.booleans())] or paths  # the others are constants
    as_tensors = function in ASK_THE_FIRST or draw(st.booleans())
    dtype, rng = draw(st.sampled_from(domain.floats)), draw(generators)
    example = Example(function, domain.call or function, arguments, chosen, as_tensors, dtype, None, rng)
    return example._replace(head=frozen(rng.uniform(-2, 2, np.shape(example.value(example.variables)))))


#: functions that NumPy takes for a Tensor's only if one of their first arguments is one
ASK_THE_FIRST = {np.full_like, np.nanvar, np.nanstd, np.interp}


def attached(array: Any) -> Tensor:
    leaf = asarray(array)
    leaf.attach_grad()
    return leaf


def several(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def every_path(arguments: Any) -> list[Path]:
    paths: list[Path] = []
    for position, argument in arguments.items() if isinstance(arguments, dict) else enumerate(arguments):
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
        if isinstance(argument, dict):
            return {key: rebuilt(part, (*path, key)) for key, part in argument.items()}
        if not several(argument):
            return argument
        parts = [rebuilt(part, (*path, i)) for i, part in enumerate(argument)]
        return parts if isinstance(argument, list) else tuple(parts)

    return rebuilt(arguments, ())


def is_variable(array: Any) -> bool:
    return isinstance(array, np.ndarray) and np.issubdtype(array.dtype, np.floating)


def frozen(array: Any) -> Any:
    array = np.asarray(array)
    array.flags.writeable = False
    return array


def moved(variables: Sequence[Any], directions: Sequence[Any], step: Any) -> list[Any]:
    """Variables a step further; those whose direction is None stay as they are."""
    pairs = zip(variables, directions, strict=True)
    return [v if d is None else frozen(v + step * d) for v, d in pairs]


# ---- the checks -------------------------------------------------------------------------------------------


def check_value_and_gradient(example: Example) -> None:
    """The value is NumPy's, and the gradient the slope, along elements and a random direction.

    The slope is a complex step where the function is analytic, else it is by central differences.
    """
    variables, head = example.variables, example.head
    leaves, value = example.recorded(variables)
    np.testing.assert_array_equal(value.array, example.value(variables), strict=True)
    gradients = [g.array for g in autograd.grad(value, leaves, head)]
    for g, v in zip(gradients, variables, strict=True):
        assert g.shape == v.shape
    truth = complex_step if DOMAINS[example.row].analytic else central_difference
    for directions in random_directions(example):
        slope: Slope = truth(lambda t, d=directions: example.value(moved(variables, d, t)))
        terms = [np.sum(g * d) for g, d in zip(gradients, directions, strict=True) if d is not None]
        size = np.sum(np.abs(slope.value * head))  # what rounding is relative to
        size += sum(
            np.sum(np.abs(g * d)) for g, d in zip(gradients, directions, strict=True) if d is not None
        )
        bound = np.sum(np.abs(slope.error * head)) + 1e-11 * size + 1e-40  # the square of a complex step
        expected = np.sum(slope.value * head)
        assert abs(sum(terms) - expected) <= bound, (
            f"the derivative along {directions} is {expected} (within {bound}), but {sum(terms)} by the "
            f"gradients {gradients}"
        )


def random_directions(example: Example, number: int = 4) -> Iterator[list[Any]]:
    """A direction of all variables, and some of single elements of each."""
    rng, variables = example.rng, example.variables
    # no small step in any of them, beside which a function's own last digits would count
    yield [rng.choice([-1, 1], v.shape) * rng.uniform(0.3, 1, v.shape) for v in variables]
    for k, variable in enumerate(variables):
        for i in rng.permutation(variable.size)[:number]:
            one = np.reshape(np.arange(variable.size) == i, variable.shape) * 1.0
            yield [one if j == k else None for j in range(len(variables))]


def check_second_order(example: Example) -> None:
    """The gradient, as a function of the variables and the head, in one random direction.

    The head has zeros, where it must still be linear.
    """
    rng = example.rng
    example = example._replace(head=frozen(example.head * (rng.random(example.head.shape) < 0.8)))
    inputs = [*example.variables, example.head]
    weights = [rng.uniform(-2, 2, v.shape) for v in example.variables]
    directions = [rng.uniform(-1, 1, np.shape(v)) for v in inputs]

    def along(step: float) -> Any:
        gradients = example.gradients(*split_last(moved(inputs, directions, step)))
        return sum(np.sum(w * g) for w, g in zip(weights, gradients, strict=True))

    leaves, value = example.recorded(example.variables)
    head = attached(example.head)
    gradients = autograd.grad(value, leaves, head, create_graph=True)  # records itself
    with record():
        total: Tensor = sum((w * g).sum() for w, g in zip(weights, gradients, strict=True))
        for variable in (*leaves, head):
            total = total + 0 * variable.sum()  # so that a derivative that is zero is reached as well
    seconds = autograd.grad(total, [*leaves, head])
    terms = [np.sum(s.array * d) for s, d in zip(seconds, directions, strict=True)]
    size = sum(np.sum(np.abs(s.array * d)) for s, d in zip(seconds, directions, strict=True))
    truth = central_difference(along)
    met = np.abs(example.head) + np.abs(directions[-1])
    rounding = 1e-13 * np.sum(np.abs(value.array) * met)  # of zeros that are differences, as a - mean(a)
    assert abs(sum(terms) - truth.value) <= 1e-10 * size + 4 * truth.error + rounding


def split_last(values: list[Any]) -> tuple[list[Any], Any]:
    return values[:-1], values[-1]


#: the dtypes in which gradients have arrived at what a function was called with
ARRIVED: list[Any] = []
heard = differentiable(lambda g, y, x: (ARRIVED.append(g.dtype), g)[1])(lambda x: x.copy())


def check_arrays_of_their_own(example: Example) -> None:
    """Gradients have the variable's shape and dtype, and share memory with nothing.

    Neither the value nor the head is written, which the rules are given as they are. They compute in the
    dtype of the one or the other: float32 stays so also within a program.
    """
    dtype = example.dtype
    if example.row is cast:
        example = example._replace(arguments={0: example.arguments[0], 1: np.dtype(dtype)})
    if example.row is np.partition:  # whose order within the parts is another for another dtype
        example = example._replace(head=example.value(example.variables))
    exact = example.gradients(example.variables, example.head)
    paths = [path for path in every_path(example.arguments) if is_variable(at(example.arguments, path))]
    narrow = [frozen(at(example.arguments, path).astype(dtype)) for path in paths]
    example = example._replace(arguments=put(example.arguments, paths, narrow))
    variables = example.variables
    leaves, value = example.recorded(variables)
    np.testing.assert_array_equal(value.array, example.value(variables), strict=True)
    if isinstance(value.array, np.ndarray):
        value.array.flags.writeable = False
    head = frozen(np.array(value) if example.row is np.partition else example.head.astype(value.dtype))
    value.backward(head, retain_graph=True)
    stored = [leaf.grad for leaf in leaves]
    returned = autograd.grad(value, leaves, head)
    for variable, one, other, truth in zip(variables, stored, returned, exact, strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype) == (variable.shape, dtype)
        np.testing.assert_array_equal(one.array, other.array)
        tolerance = 64 * np.finfo(dtype).eps * np.max(np.abs(truth), initial=1)
        np.testing.assert_allclose(one.array, truth, rtol=0, atol=tolerance)
    ARRIVED.clear()
    with record():
        within = example.with_tensors().value([heard(leaf) for leaf in leaves])
    within.backward()
    assert {*ARRIVED} <= {np.dtype(dtype), value.dtype}
    parts = [np.asarray(g) for g in (*stored, *returned)]
    pairs = [(a, b) for i, a in enumerate([*parts, head]) for b in parts[:i]]
    pairs += [(g, a) for g in parts for a in (*variables, np.asarray(value))]
    assert not any(np.shares_memory(a, b) for a, b in pairs), "a gradient shares its memory"


def check_linear_in_the_head(example: Example) -> None:
    """Also for a head gradient that is smaller than its tensor, as that of a sum is."""
    other = example.rng.uniform(-2, 2, example.head.shape)
    one, two, both, ones = (
        example.gradients(example.variables, head)
        for head in (example.head, other, 3 * example.head - other, np.ones_like(example.head))
    )
    size = 1 + sum(float(np.sum(np.abs(g))) for g in (*one, *two, *ones)) * 10
    for a, b, c in zip(one, two, both, strict=True):
        assert_close(c, 3 * a - b, size)
    leaves, value = example.recorded(example.variables)
    value.backward(retain_graph=True)
    for leaf, expected in zip(leaves, ones, strict=True):
        assert_close(leaf.grad.array, expected, size)
    with record():
        total = value.sum()
    for again, expected in zip(autograd.grad(total, leaves), ones, strict=True):
        assert_close(again.array, expected, size)


def assert_close(got: Any, expected: Any, size: float) -> None:
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-13 * size)


@np.errstate(divide="ignore", invalid="ignore")
def check_repeated_operand(example: Example) -> None:
    """One tensor in several places gets the sum of what separate tensors get there.

    The numbers of one place may be outside the domain of another.
    """
    first = example.variables[0]
    same = [path for path in example.paths if at(example.arguments, path).shape == first.shape]
    example = example._replace(paths=same)
    try:
        head = example.rng.uniform(-2, 2, np.shape(example.value([first] * len(same))))
    except ZeroDivisionError:  # NumPy's, of weights that sum to zero
        return
    separate = example.gradients([first] * len(same), head)
    leaf = attached(first)
    with record():
        value = example.with_tensors().value([leaf] * len(same))
    value.backward(head)
    size = 1 + sum(float(np.sum(np.abs(g), where=np.isfinite(g))) for g in separate)
    assert_close(leaf.grad.array, sum(separate), size)


def check_two_calls_in_one_graph(example: Example) -> None:
    """Neither disturbs the other, as a rule would that keeps a buffer."""
    alone = example.gradients(example.variables, example.head)
    one, other = example.recorded(example.variables), example.recorded(example.variables)
    gradients = autograd.grad([one[1], other[1]], [*one[0], *other[0]], [example.head, -example.head])
    for k, expected in enumerate(alone):
        np.testing.assert_array_equal(gradients[k].array, expected)
        np.testing.assert_array_equal(gradients[len(alone) + k].array, -expected)


def check_ties(example: Example) -> None:
    """Where there are ties and kinks the gradient is between the slopes to the left and to the right.

    The example is one with its variables rounded to whole numbers.
    """
    tied = [frozen(np.round(v)) for v in example.variables]
    example = example._replace(arguments=put(example.arguments, example.paths, tied))
    head = example.rng.uniform(-2, 2, np.shape(example.value(tied)))
    for k, gradient in enumerate(example.gradients(tied, head)):
        for index, got in np.ndenumerate(gradient):
            one = np.zeros(gradient.shape)
            one[index] = 1
            directions = [one if j == k else None for j in range(len(tied))]
            left, right = (
                one_sided_difference(lambda t, d=directions: example.value(moved(tied, d, t)), step)
                for step in (-(2.0**-10), 2.0**-10)
            )
            terms = np.array([left.value * head, right.value * head])
            error = 1e-10 + np.sum((left.error + right.error) * np.abs(head))
            assert np.sum(terms.min(axis=0)) - error <= got <= np.sum(terms.max(axis=0)) + error


#: of these one is enough for an example, beside the value and the derivatives of two orders
BESIDE: list[Callable[[Example], None]] = [
    check_arrays_of_their_own,
    check_linear_in_the_head,
    check_repeated_operand,
    check_two_calls_in_one_graph,
]
