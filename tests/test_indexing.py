"""Indexing, selecting and sorting where Hypothesis does not look: ties, iteration, functions of functions."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import dask
import dask.array
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from domains.basics import generators
from domains.indexing import keys
from search import examples
from slopes import assert_slopes
from strangers import Stranger
from tinygrad_lr import Tensor, asarray, autograd, record, tensor
from tinygrad_lr.derivatives import scatter
from tinygrad_lr.errors import NoDerivativeError
from truths import gradient

quick = examples(20)


# ---- scatter, and Python's own ways to index --------------------------------------------------------------


def test_gradients_of_float16_that_arrive_one_by_one_are_not_lost() -> None:
    """Beyond 2048 one more is less than float16 tells apart: it may add neither part element by element."""
    x = tensor([1.0, 2.0], np.float16)
    x.attach_grad()
    with record():
        y = x[np.zeros(3000, int)].sum() + x[np.ones(3000, int)].sum()
    y.backward()
    assert x.grad.dtype == np.float16
    np.testing.assert_array_equal(x.grad.array, [3000, 3000])


def test_scatter_adds_where_indices_repeat() -> None:
    np.testing.assert_array_equal(scatter(np.array([1.0, 2.0, 4.0]), [1, 1, 0], (3,)), [4, 3, 0])
    np.testing.assert_array_equal(scatter(np.array([1.0, 2.0]), slice(None, None, 2), (3,)), [1, 0, 2])
    both = scatter(np.ones((2, 2)), (np.array([True, True, False]), np.array([1, 1])[:, None]), (3, 2))
    np.testing.assert_array_equal(both, [[0, 2], [0, 2], [0, 0]])


@pytest.mark.parametrize("kind", [np.asarray, Stranger, dask.array.from_array], ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_scatter_in_every_kind_of_array(kind: Any, dtype: Any) -> None:
    values = np.arange(1, 10, dtype=dtype).reshape(3, 3)
    keys: list[Any] = [[2, 0, 2], (slice(None), [1, 1, 3]), ([[0], [0], [1]], [3, 1, 3]), slice(1, 4)]
    for key in keys:
        expected = np.zeros((4, 3) if isinstance(key, (list, slice)) else (3, 4), dtype)
        np.add.at(expected, key, values)
        made: Any = scatter(kind(values), key, expected.shape)
        assert made.dtype == dtype
        found = made.compute(scheduler="sync") if hasattr(made, "compute") else getattr(made, "array", made)
        np.testing.assert_array_equal(found, expected, strict=True)


def test_rows_of_a_loop_and_unpacking() -> None:
    data = np.arange(1.0, 7).reshape(3, 2)
    got = gradient(lambda t: sum(k * np.sum(row**2) for k, row in enumerate(t, start=1)), data)
    np.testing.assert_array_equal(got, 2 * data * [[1], [2], [3]])

    def unpacked(t: Any) -> Any:
        (a, b), _, last = t
        return a * b + last[0]

    np.testing.assert_array_equal(gradient(unpacked, data), [[2, 1], [0, 0], [1, 0]])
    with pytest.raises(TypeError, match="0-d"):
        iter(tensor(1.0)).__next__()


def test_an_index_may_be_a_tensor() -> None:
    got = gradient(lambda x: x[tensor([2, 0, 2])] ** 2, [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(got, [2, 0, 12])
    got = gradient(lambda x: x[x > 1.5], [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(got, [0, 1, 1])
    got = gradient(lambda x: x[np.argmax(x)] * x[np.argsort(-x)[1]], [1.0, 3.0, 2.0])
    np.testing.assert_array_equal(got, [0, 2, 3])
    got = gradient(lambda x: np.take(x, tensor([[0, -1]])) ** 2, [1.0, 3.0])
    np.testing.assert_array_equal(got, [2, 6])


def test_as_many_axes_as_numpy_has() -> None:
    leaves = [tensor([float(i)]) for i in range(64)]
    for leaf in leaves:
        leaf.attach_grad()
    with record():
        y = sum(np.sum(part) * i for i, part in enumerate(np.ix_(*leaves)))
    np.testing.assert_array_equal([g.item() for g in autograd.grad(y, leaves)], np.arange(64))


def test_a_number_has_one_element_to_take() -> None:
    for take in (
        lambda x: np.take(x, [0, 0, -1]),
        lambda x: np.take(x, [0, 0, 0], axis=0),
        lambda x: np.compress([True], x) * 3,
        lambda x: x[()] * 3,
        lambda x: x[None, ...] * 3,
        lambda x: np.repeat(x, 3),
        lambda x: np.repeat(x, [3], axis=0),
    ):
        np.testing.assert_array_equal(gradient(take, 2.0), 3)


TABLE = np.arange(24.0).reshape(4, 3, 2)
#: each with what it takes twice, if anything
KEYS: list[Any] = [
    *(
        [0, 0],
        (slice(None), [1, 1]),
        ([2, 2], slice(1)),
        ([0, 0], 1),
        (1, [1, 1]),
        (..., [0, 0]),
        ([3, 3], None),
    ),
    *(([[0, 0], [1, 0]], slice(None), 1), ([0, 0], slice(None), [1, 1]), (None, [2, 2, 2]), ([1, 1], ...)),
    *(TABLE > 5, (TABLE[:, 0, 0] > 5, 1), (slice(1, 3), TABLE[0] > 2), 1, (slice(None), -1), ..., None, ()),
    *((slice(None, None, -2), 0), (np.array(2), [0, 0]), (1, 2, 1), (slice(0, 0), [0, 0]), True),
]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
def test_parts_that_are_taken_beside_other_uses(key: Any, dtype: Any) -> None:
    """What arrives at a part is added to what has arrived at the array, each repeated element as often."""
    once = np.zeros(TABLE.shape)
    np.add.at(once, key, 1.0)
    with_key: dict[str, tuple[Callable[[Any], Any], Any]] = {
        "alone": (lambda x: np.sum(x[key]), once),
        "twice": (lambda x: np.sum(x[key] * 2) + np.sum(x[key]), 3 * once),
        "after all": (lambda x: np.sum(x * 2) + np.sum(x[key]), 2 + once),
        "before all": (lambda x: np.sum(x[key]) + np.sum(x * 2), 2 + once),
        "after another": (
            lambda x: np.sum(x[1:, ::2]) + np.sum(x[key]),
            np.add(once, [[[0], [0], [0]], *[[[1], [0], [1]]] * 3]),
        ),
        "before another": (
            lambda x: np.sum(x[key]) + np.sum(x[[1, 1]]),
            once + np.reshape([0, 2, 0, 0], (4, 1, 1)),
        ),
    }
    for name, (function, expected) in with_key.items():
        x = tensor(TABLE, dtype)
        x.attach_grad()
        with record():
            y = function(x)
        y.backward()
        np.testing.assert_array_equal(x.grad.array, expected, err_msg=name)


@quick
@given(st.data(), generators)
def test_two_parts_of_one_array(data: st.DataObject, rng: Any) -> None:
    shape = data.draw(hnp.array_shapes(max_dims=3, max_side=4))
    expected, sums, x = np.zeros(shape), [], tensor(rng.uniform(-1, 1, shape))
    x.attach_grad()
    with record():
        for key in data.draw(st.lists(keys(shape), min_size=2, max_size=3)):
            head = rng.uniform(-1, 1, np.shape(x.array[key]))
            np.add.at(expected, key, head)
            sums.append(np.sum(x[key] * head))
        y = sum(sums)
    y.backward()
    np.testing.assert_allclose(x.grad.array, expected, rtol=1e-12, atol=1e-14)


# ---- sorting ----------------------------------------------------------------------------------------------


@quick
@given(hnp.arrays(float, st.integers(1, 6), elements=st.integers(0, 2)), generators, st.data())
def test_equal_elements_may_stand_for_each_other(a: Any, rng: Any, data: st.DataObject) -> None:
    """The gradients that arrive at places with equal elements go to these elements, in any order."""
    kth = data.draw(st.integers(0, len(a) - 1))
    head = rng.uniform(-1, 1, len(a))
    for function in (np.sort, lambda x: np.partition(x, kth), lambda x: np.sort(x, axis=None)):
        got = gradient(function, a, head=head)
        for value in a:
            np.testing.assert_array_equal(np.sort(got[a == value]), np.sort(head[function(a) == value]))


def test_sorting_nan() -> None:
    np.testing.assert_array_equal(gradient(np.sort, [2, np.nan, 1], head=np.array([5.0, 6, 7])), [6, 7, 5])


@pytest.mark.parametrize(
    "function",
    [
        *(np.argsort, np.nonzero, np.flatnonzero, np.argwhere, lambda x: np.argpartition(x, 1)),
        *(lambda x: np.searchsorted(x, 2.5), lambda x: np.searchsorted([1.0, 2.0], x)),
        *(lambda x: np.digitize(x, [1.5, 2.5]), lambda x: np.lexsort((x,)), lambda x: np.isin(x, [2.0])),
        *(lambda x: np.tril_indices_from(np.outer(x, x)), lambda x: np.diag_indices_from(x[:, None] * x)),
        *(lambda x: np.ix_(x > 1.5),),
    ],
    ids=range(13),
)
def test_indices_are_constants(function: Any) -> None:
    x = tensor([1.0, 2.0, 3.0])
    x.attach_grad()
    with record():
        made = function(x)
    expected = function(x.array)
    made, expected = (m if isinstance(m, tuple) else (m,) for m in (made, expected))
    for one, other in zip(made, expected, strict=True):
        np.testing.assert_array_equal(one, other)
        assert (x[:1] * one.array[:1] if one.ndim else x).dtype == float  # a constant like any other


@pytest.mark.parametrize("function", [np.unique, np.union1d, np.histogram], ids=lambda f: f.__name__)
def test_what_depends_on_which_numbers_are_equal_has_no_derivative(function: Any) -> None:
    x = tensor([1.0, 2.0])
    x.attach_grad()
    with record(), pytest.raises(NoDerivativeError, match=function.__name__):
        function(x, x) if function is np.union1d else function(x)


# ---- selecting --------------------------------------------------------------------------------------------


def test_default_of_select() -> None:
    conditions = [np.array([True, False, False]), np.array([True, True, False])]

    def selected(x: Any) -> Any:
        return np.select(conditions, [x, x**2], x[::-1] ** 3)

    assert_slopes(selected, [0.5, 2.0, 3.0], orders=2)
    x, default = tensor([1.0, 2.0, 3.0]), tensor(5.0)
    default.attach_grad()
    with record():
        y: Any = np.select(conditions, [x, x], default) * np.array([3.0, 5.0, 7.0])
    y.backward()
    assert default.grad.item() == 7


def test_select_with_shapes_that_broadcast() -> None:
    conditions = [np.array([[True], [False]]), np.array([False, True, True])]
    assert_slopes(lambda x: np.select(conditions, [x[:, None], np.sum(x) * x[0]], x[1]), [0.5, 2.0])


@pytest.mark.parametrize(
    ("choices", "which"),
    [
        *[((2,), (3,)), ((2, 1), (3,)), ((2, 3), (3,)), ((2, 3), ()), ((2, 3), (4, 1)), ((2, 1), (4, 3))],
        *[
            ((2, 1), (1, 3)),
            ((2, 1, 1), (1, 4, 3)),
            ((2, 3, 1), (4,)),
            ((2, 1, 4), (3, 1)),
            ((2, 1, 1), (3, 4)),
            ((2, 1, 4), (2, 3, 4)),
        ],
    ],
)
def test_one_array_of_choices_that_are_broadcast(choices: tuple[int, ...], which: tuple[int, ...]) -> None:
    numbers = np.random.default_rng(0).integers(0, 2, which)
    assert_slopes(lambda x: np.choose(numbers, x), np.arange(float(np.prod(choices))).reshape(choices))


def test_parts_of_lists_may_have_shapes_of_their_own() -> None:
    """Those that broadcast, or that are put together; by position and by keyword."""
    a, b = np.array([[0, 1, 2], [1, 0, 1]]), np.array([True, False, True])
    calls: list[tuple[Any, tuple[Any, ...], str, Any]] = [
        (np.choose, (a,), "choices", lambda x, y: [x, y[:, None], 3.0]),
        (np.select, ([b, ~b],), "choicelist", lambda x, y: [np.sum(x), y[:, None]]),
        (np.concatenate, (), "", lambda x, y: [x, y, [1.0]]),
        (np.block, (), "arrays", lambda x, y: [[x, y], [np.stack([y[0]] * 5)]]),
        (np.hstack, (), "tup", lambda x, y: [x, y, 2.0]),
        (np.vstack, (), "tup", lambda x, y: (x, np.stack([x, x]), [y[0], 1.0, 2.0])),
        (np.dstack, (), "tup", lambda x, y: (x, np.stack([x, x], axis=1)[None])),
        (np.column_stack, (), "tup", lambda x, y: (x, np.stack([x, x, x]))),
    ]
    for function, before, name, parts in calls:
        ways = [lambda parts, f=function, before=before: f(*before, parts)]
        if name:
            ways.append(lambda parts, f=function, before=before, name=name: f(*before, **{name: parts}))
        for way in ways:
            assert_slopes(lambda x, y, f=way, parts=parts: f(parts(x, y)), [1.0, 2.0, 4.0], [3.0, 5.0])


@pytest.mark.parametrize("dtype", [bool, int, float, np.uint8])
def test_any_number_is_a_condition(dtype: Any) -> None:
    """All but 0 are true."""
    numbers = np.array([2, 0, -3]).astype(dtype)
    for function, expected in {
        lambda x: np.where(numbers, x, 5 * x): [1, 5, 1],
        lambda x: np.piecewise(x, [numbers], [lambda v: 2 * v, lambda v: 3 * v]): [2, 3, 2],
        lambda x: np.compress(numbers, x): [1, 0, 1],
        lambda x: np.extract(numbers, x): [1, 0, 1],
    }.items():
        np.testing.assert_array_equal(gradient(function, [1.0, 2.0, 3.0]), expected)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.where(x > 0, np.sqrt(x), 2 * x),
        lambda x: np.piecewise(x, [x > 0], [np.sqrt, lambda v: 2 * v]),
        lambda x: np.select([x > 0], [np.sqrt(x)], 2 * x),
        lambda x: np.choose((x > 0).array.astype(int), [2 * x, np.sqrt(x)]),
    ],
    ids=["where", "piecewise", "select", "choose"],
)
def test_the_branch_not_taken_does_not_matter(function: Any) -> None:
    """At 0 the derivative of the square root is infinite, but 2 x was taken there."""
    with np.errstate(invalid="ignore", divide="ignore"):
        np.testing.assert_array_equal(gradient(function, [-1.0, 0.0, 4.0]), [2, 2, 0.25])


@pytest.mark.parametrize(
    "take",
    [
        *(lambda y: y[1:], lambda y: y[[1, 1]], lambda y: y[np.array([False, True])]),
        *(lambda y: np.take(y, 1), lambda y: np.take_along_axis(y, np.array([1]), 0)),
        *(lambda y: np.compress([False, True], y), lambda y: np.extract(np.array([False, True]), y)),
        *(lambda y: np.delete(y, 0), lambda y: np.repeat(y, [0, 2]), lambda y: np.resize(y[::-1], 1)),
        *(lambda y: np.trim_zeros(y), lambda y: np.split(y, 2)[1], lambda y: np.roll(y, 1)[0]),
        *(lambda y: np.pad(y, 1)[2:], lambda y: np.tril(y, -1)[1:, :1] + y[1], lambda y: np.flip(y)[:1]),
        *(lambda y: np.diag(np.stack([y[::-1], y]))[1:], lambda y: np.sort(y)[1]),
        *(lambda y: np.diagonal(np.stack([y[::-1], y]))[1:], lambda y: np.block([[y], [y]])[:, 1]),
    ],
    ids=range(20),
)
def test_what_was_left_out_does_not_matter(take: Any) -> None:
    with np.errstate(divide="ignore"):
        got = gradient(lambda x: take(np.sqrt(x)), [0.0, 4.0])
    assert got[0] == 0 or np.isposinf(got[0])
    assert np.isfinite(got[1])
    assert got[1] > 0


# ---- functions of functions -------------------------------------------------------------------------------


PIECES: dict[str, Callable[[Any], Any]] = {
    "two": lambda x: np.piecewise(x, [x < 0, x >= 0], [lambda v: v**2, lambda v: np.exp(v)]),
    "otherwise": lambda x: np.piecewise(x, [x < 0], [lambda v: v**2, lambda v: np.exp(v)]),
    "one condition": lambda x: np.piecewise(x, x < 0, [lambda v: v**2, lambda v: np.exp(v)]),
    "the last one wins": lambda x: np.piecewise(x, [x < 1, x < 0], [lambda v: v**2, lambda v: v**3]),
    "two that overlap, and otherwise": lambda x: np.piecewise(
        x, [x > 0, x > 1], [np.exp, np.square, lambda v: 9 * v]
    ),
    "numbers": lambda x: np.piecewise(x, [x < 0, x > 0.9], [3, 2.5, lambda v: v * v]),
    "conditions in a tuple": lambda x: np.piecewise(
        x, (x < 0, x >= 0), (lambda v: v**2, lambda v: np.exp(v))
    ),
    "numbers of NumPy": lambda x: np.piecewise(x, [x < 0, x > 1], [np.float32(3), np.array(2.5), np.int8(2)]),
    "nowhere": lambda x: np.piecewise(x, [x > 9], [lambda v: v * v]),
    "one number of each": lambda x: np.piecewise(x, [x < 0], [np.sum, lambda v: 0.5]),
    "never": lambda x: np.piecewise(x, [x > 9], [lambda v: v / np.max(v), lambda v: v * v]),
    "arguments": lambda x: np.piecewise(
        x, [x < 0], [lambda v, a, b=1: a * v * b, lambda v, a, b: a + b * v], 2, b=3
    ),
    "zeros of either sign": lambda x: np.piecewise(x, [x < 0], [-0.0, lambda v: -0.0 * v]),
    "list of truths": lambda x: np.piecewise(x, [True, False, True], [lambda v: v**2, lambda v: v**3]),
}


@pytest.mark.parametrize("name", PIECES)
def test_piecewise(name: str) -> None:
    function, point = PIECES[name], np.array([-1.5, 0.75, 1.25])
    for dtype in (np.float32, np.float64):
        x = tensor(point, dtype)
        x.attach_grad()
        with record():
            value, expected = function(x).array, function(x.array)
        np.testing.assert_array_equal(value, expected, strict=True)
        np.testing.assert_array_equal(np.signbit(value), np.signbit(expected))
    assert_slopes(function, point, orders=2)


@pytest.mark.parametrize(
    "name", [n for n in PIECES if n not in ("never", "one number of each", "list of truths")]
)
def test_piecewise_of_dask_arrays(name: str) -> None:
    """Whose functions get all elements, as it is not known which they are to get."""
    point = np.array([-1.5, 0.75, 1.25])
    x = asarray(dask.array.from_array(point, chunks=2))
    x.attach_grad()
    with dask.config.set(scheduler=pytest.fail), record():
        y = PIECES[name](x) + 0 * x
    np.testing.assert_array_equal(y.array.compute(scheduler="sync"), PIECES[name](point))
    got = autograd.grad(y, x).array.compute(scheduler="sync")
    np.testing.assert_array_equal(got, gradient(lambda x: PIECES[name](x) + 0 * x, point))


def test_piecewise_of_a_matrix_a_number_and_another_dtype() -> None:
    rows = np.array([True, False])
    assert_slopes(
        lambda x: np.piecewise(x, [rows], [lambda v: v**2, lambda v: v**3]), [[1.0, 2.0], [3.0, 4.0]]
    )
    assert gradient(lambda x: np.piecewise(x, [x < 0, x >= 0], [lambda v: -v, lambda v: 3 * v]), 2.0) == 3
    assert gradient(lambda x: np.piecewise(x, x < 0, [lambda v: -v, lambda v: 3 * v]), -2.0) == -1
    assert gradient(lambda x: np.piecewise(x, [True], [np.square]), [3.0]) == 6
    truths = np.array([False, True])
    assert gradient(lambda x: np.piecewise(x, truths, [lambda v: -v, lambda v: 3 * v]), -2.0) == 3
    x = tensor([1.0, 2.0], np.float32)
    x.attach_grad()
    with record():
        assert np.piecewise(x, [x < 1.5], [1, lambda v: v * np.float64(2)]).dtype == np.float32


def test_piecewise_of_another_tensor() -> None:
    x, slope = tensor([-1.0, 2.0]), tensor(0.1)
    slope.attach_grad()
    x.attach_grad()
    with record():
        y: Any = np.piecewise(x, [x < 0], [lambda v: slope * v, lambda v: v])
    y.backward()
    assert slope.grad.item() == -1
    np.testing.assert_array_equal(x.grad.array, [0.1, 1])


def test_piecewise_with_a_condition_of_another_length() -> None:
    x = tensor([1.0, 2.0, 3.0])
    x.attach_grad()
    for conditions in ([True], [[True, False]]):
        with pytest.raises(IndexError):
            np.piecewise(x.array, conditions, [np.square])
        with record(), pytest.raises(IndexError):
            np.piecewise(x, conditions, [np.square])


@pytest.mark.parametrize("number", [1, 4])
def test_piecewise_with_too_few_functions_or_too_many(number: int) -> None:
    x = tensor([1.0])
    x.attach_grad()
    with record(), pytest.raises(ValueError, match=f"{number} functions for 2 conditions"):
        np.piecewise(x, [x > 0, x < 0], [np.sqrt] * number)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize(
    "function",
    [
        lambda v: np.sum(v**3),
        lambda v: v**2 * v[0],
        lambda v: np.stack([v, v * v]),
        lambda v: [v[0], v[1] * 2],
        lambda v: (v[0], v[1] * 2),
    ],
    ids=["number", "vector", "matrix", "list", "tuple"],
)
def test_apply_along_axis(axis: int, function: Any) -> None:
    point = np.array([[1.0, 2.0, 0.5], [0.7, 0.3, 1.5]])

    def applied(x: Any) -> Any:
        return np.apply_along_axis(function, axis, x)

    x = tensor(point)
    x.attach_grad()
    with record():
        np.testing.assert_array_equal(applied(x).array, applied(point), strict=True)
    assert_slopes(applied, point, orders=2)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 1, 3), (2, 1, 3, 2)], ids=len)
def test_apply_along_each_axis(shape: tuple[int, ...]) -> None:
    """What is made of a line takes the place of its axis."""
    point = np.random.default_rng(0).uniform(0.5, 2, shape)
    for axis in range(-len(shape), len(shape)):
        for function in (np.sum, np.square, lambda v: np.multiply.outer(v[:1], [v, v * v])):
            x = tensor(point)
            x.attach_grad()
            with record():
                y = np.apply_along_axis(function, axis, x)
            expected = np.apply_along_axis(function, axis, point)
            np.testing.assert_array_equal(y.array, expected, strict=True)
        y.backward(expected)  # of v0 * v and v0 * v * v
        first = np.take(point, [0], axis)
        slope = first**2 * (point + 2 * point**3)
        np.moveaxis(slope, axis, 0)[0] += np.sum(first * (point**2 + point**4), axis)
        np.testing.assert_allclose(x.grad.array, slope)


def test_apply_along_axis_with_arguments() -> None:
    def scaled(line: Any, factor: float, *, power: int) -> Any:
        return factor * line**power

    assert_slopes(lambda x: np.apply_along_axis(scaled, 1, x, 2.5, power=3), [[1.0, 2.0], [0.7, 0.3]])


@pytest.mark.parametrize(("shape", "axis"), [((3, 0), 1), ((0, 3), 0), ((0, 3), -2), ((0,), 0)])
def test_apply_along_axis_to_lines_without_elements(shape: tuple[int, ...], axis: int) -> None:
    x = tensor(np.zeros(shape))
    x.attach_grad()
    with record():
        y = np.apply_along_axis(np.sum, axis, x)
    np.testing.assert_array_equal(y.array, np.apply_along_axis(np.sum, axis, x.array), strict=True)
    assert autograd.grad(y, x).shape == shape


def test_apply_along_axis_without_a_line() -> None:
    x = tensor(np.zeros((0, 3)))
    x.attach_grad()
    with record(), pytest.raises(ValueError, match=r"no line in an array of shape \(0, 3\)"):
        np.apply_along_axis(lambda line: np.sum(line), 1, x)


def test_apply_over_axes() -> None:
    point = np.arange(1.0, 9).reshape(2, 2, 2)
    for axes in (0, [0, -1], (1, 2), np.array([0, -1]), range(2), np.array(1)):
        assert_slopes(lambda x, axes=axes: np.apply_over_axes(np.sum, x, axes), point)
        assert_slopes(lambda x, axes=axes: np.apply_over_axes(np.cumsum, x, axes), point)
    x, axes = tensor(point), [0, -1, np.int8(1)]
    x.attach_grad()
    seen: list[Any] = []
    with record():
        np.apply_over_axes(lambda a, axis: seen.append(axis) or np.sum(a, axis), x, axes)
    np.apply_over_axes(lambda a, axis: seen.append(axis) or np.sum(a, axis), point, axes)
    assert seen[:3] == seen[3:]
    for function in (lambda a, axis: np.sum(a), np.expand_dims):
        with record(), pytest.raises(ValueError, match="must keep them or remove one"):
            np.apply_over_axes(function, x, [2])


# ---- higher orders ----------------------------------------------------------------------------------------

THIRD: dict[str, Callable[[Any], Any]] = {
    "indexing": lambda x: x[[0, 2, 2]] * x[0],
    "take": lambda x: np.take(x, [[3, -7]], mode="wrap") * x[1],
    "take_along_axis": lambda x: np.take_along_axis(x, np.array([1, 1]), 0) * x[2],
    "compress": lambda x: np.compress([True, False, True], x) * x[1],
    "select": lambda x: np.select([x > 1], [x * x], x[0] * x),
    "choose": lambda x: np.choose([1, 0, 1], [x, x * x]),
    "sort": lambda x: np.sort(x) * x,
    "windows": lambda x: np.prod(np.lib.stride_tricks.sliding_window_view(x, 2), axis=1),
    "piecewise": lambda x: np.piecewise(x, [x > 1], [lambda v: v**3, lambda v: v**4]),
}


@pytest.mark.parametrize("name", THIRD)
def test_third_order(name: str) -> None:
    assert_slopes(THIRD[name], [0.5, 2.0, 1.25], orders=3)


def test_results_are_tensors() -> None:
    x = tensor([1.0, 2.0])
    x.attach_grad()
    with record():
        numbers: Any = [1, 2]
        made: Any = np.piecewise(x, [x > 9], numbers)
        assert isinstance(made, Tensor)
        np.testing.assert_array_equal(autograd.grad(made + x, x).array, [1, 1])


# ---- memory -----------------------------------------------------------------------------------------------

PARTS = st.one_of(st.integers(-50, 49), st.slices(50), st.none(), st.just(...))
BASIC_KEYS = st.lists(PARTS, max_size=3).filter(
    lambda key: key.count(...) < 2 and len(key) - key.count(None) < 3
)


WIDE = 100, 8000  # beside it, what other threads do in that time is little


@examples(5)
@given(key=BASIC_KEYS.map(tuple), of_leaf=st.booleans())
def test_parts_of_an_array_cost_no_memory_of_their_own(key: Any, of_leaf: bool) -> None:
    """However often it is used: gradients are added up in one array of its size, and copied into .grad."""

    def peak(uses: int) -> float:
        x = tensor(np.ones(WIDE))
        x.attach_grad()
        with record():
            whole = x if of_leaf else 2 * x
            total = sum(np.sum(whole[key]) for _ in range(uses))
        tracemalloc.start()
        total.backward()
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        np.testing.assert_array_equal(x.grad.array, uses * (2 - of_leaf) * _marked(key))
        return found / x.array.nbytes

    def numpys_own() -> float:
        """What NumPy itself takes for a while to add to that part: up to two of its size, if it has steps."""
        whole = np.zeros(WIDE)
        tracemalloc.start()
        whole[key] += np.broadcast_to(1.0, whole[key].shape)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found / whole.nbytes

    assert peak(20) < peak(1) + numpys_own() + 0.1 < 4


def _marked(key: Any) -> Any:
    marks = np.zeros(WIDE)
    marks[key] = 1
    return marks


def test_many_equal_elements_keep_their_order() -> None:
    """As under a stable sort: more of them than the other kinds of sort leave as they are."""
    x, head = np.arange(100) % 2, np.arange(100.0)
    got = gradient(np.sort, x, head=head)
    np.testing.assert_array_equal(got[::2], head[:50])
    np.testing.assert_array_equal(got[1::2], head[50:])


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.intp])
def test_small_index_types_of_long_arrays(dtype: Any) -> None:
    """Whose length is none of the index's own numbers."""
    x = np.linspace(1, 2, 300)
    places = np.array([0, 5, 5, 120], dtype)
    expected = np.bincount(places, [1.0, 2, 3, 4], 300)
    for take in (
        lambda x: x[places],
        lambda x: np.take(x, places),
        lambda x: np.take(x, places, mode="wrap"),
        lambda x: np.take(x, places, mode="clip"),
        lambda x: np.take(x, places, axis=0),
        lambda x: np.take_along_axis(x, places, 0),
        lambda x: (
            np.choose(places % 2, [x[:4], x[places]])
            - np.choose(places % 2, [x[:4], 0])
            + (np.choose(places % 2, [x[places], 0]))
        ),
    ):
        got = gradient(take, x, head=[1.0, 2, 3, 4])
        np.testing.assert_array_equal(got, expected)
