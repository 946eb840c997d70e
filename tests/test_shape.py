"""Shape, assembly and dtype beyond the domains."""

import itertools
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import test_other_arrays
from domains.basics import generators
from search import examples
from slopes import assert_slopes
from tinygrad_lr import Tensor, asarray, autograd, record, tensor
from tinygrad_lr.compiler import compile
from tinygrad_lr.derivatives import DERIVATIVES
from tinygrad_lr.func import value_and_grad
from truths import gradient

quick = examples(20)


# ---- dtypes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("convert", [lambda x, dtype: x.astype(dtype), np.astype])
def test_cast_returns_the_gradient_in_the_dtype_of_the_variable(convert: Any) -> None:
    x = tensor([1.0, 2.0], np.float32)
    x.attach_grad()
    with record():
        y = convert(convert(x, np.float64) * np.array([1e-2, 20.0]) * 0.1, np.float16)
    assert y.dtype == np.float16
    y.backward()
    assert x.grad.dtype == np.float32
    np.testing.assert_allclose(x.grad.array, [1e-3, 2], rtol=1e-6)


@pytest.mark.parametrize("dtype", [int, bool, np.uint8])
def test_nothing_flows_through_a_dtype_without_fractions(dtype: Any) -> None:
    """x.astype(int) is piecewise constant."""
    np.testing.assert_array_equal(gradient(lambda x: x * x.astype(dtype), [1.5, 1.25]), [1, 1])


def test_fill_value_of_full_like() -> None:
    np.testing.assert_array_equal(gradient(lambda x: np.full_like(x, x), [2.0, 3.0]), [1, 1])
    np.testing.assert_array_equal(gradient(lambda x: np.full_like(x, x[0]) * x, [2.0, 3.0]), [7, 2])
    for like in (tensor([1, 2]), tensor([1.0, 2.0], np.float16)):
        got = gradient(lambda x, a=like: np.full_like(a, x, dtype=float), [2.0, 3.0], head=[0.3, 0.7])
        np.testing.assert_array_equal(got, [0.3, 0.7])


# ---- memory -----------------------------------------------------------------------------------------------


@st.composite
def anyhow_in_memory(draw: st.DrawFn) -> Any:
    """An array of different numbers, whose axes lie in memory in any order, with steps, backwards."""
    shape = draw(st.lists(st.integers(0, 3), max_size=3))
    order = draw(st.permutations(range(len(shape))))
    data = np.arange(2.0 ** len(shape) * np.prod(shape)).reshape([2 * shape[axis] for axis in order])
    data = np.moveaxis(data, range(len(shape)), order)
    steps = st.sampled_from([slice(None, None, 2), slice(None, None, -2)])
    return data[tuple(slice(n) if draw(st.booleans()) else draw(steps) for n in shape)]


@pytest.mark.parametrize(
    "function",
    [
        *(lambda a: np.ravel(a, "K"), lambda a: np.ravel(a, order="A"), lambda a: a.flatten("K")),
        lambda a: np.reshape(a, (1, a.size), order="A"),
        lambda a: a.reshape(a.shape[::-1], order="A"),
        lambda a: a.reshape(a.shape[::-1], order="F"),
        *(lambda a, order=order: a.flatten(order) for order in "AF"),
    ],
    ids=range(8),
)
@quick
@given(data=anyhow_in_memory(), rng=generators)
@example(data=np.arange(6.0).reshape(2, 3).T, rng=np.random.default_rng(0))
@example(data=np.arange(24.0).reshape(4, 6).T[::2], rng=np.random.default_rng(0))
@example(data=np.arange(24.0).reshape(2, 3, 4).transpose(1, 0, 2), rng=np.random.default_rng(0))
@example(data=np.arange(24.0).reshape(2, 3, 4).transpose(0, 2, 1)[:, ::-1], rng=np.random.default_rng(0))
@example(data=np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1), rng=np.random.default_rng(0))
def test_orders_that_follow_the_memory(function: Any, data: Any, rng: Any) -> None:
    """In which order elements are read depends on where they lie, also when a gradient is differentiated."""
    value = function(data)
    head = rng.uniform(-1, 1, value.shape)
    x = asarray(data)
    x.attach_grad()
    with record():
        y = function(x)
        first = autograd.grad(y**2, x, asarray(head), create_graph=True)
    np.testing.assert_array_equal(y.array, value, strict=True)
    second = autograd.grad(first, x)
    for index, number in np.ndenumerate(data):
        arrived = head[value == number].item()
        assert first.array[index] == pytest.approx(2 * arrived * number)
        assert second.array[index] == pytest.approx(2 * arrived)


@pytest.mark.parametrize("order", [None, "c", "f", "a", "k"])
@pytest.mark.parametrize("lies", [np.asarray, np.asfortranarray], ids=["C", "F"])
def test_orders_may_be_small_letters(lies: Any, order: str | None) -> None:
    data, head = lies(np.arange(6.0).reshape(2, 3)), np.arange(1.0, 7.0)
    for function in (
        lambda x, order: np.ravel(x, order),
        lambda x, order: np.reshape(x, 6, order=order),
        lambda x, order: np.reshape(x, (3, 2), order=order),
        lambda x, order: x.flatten(order),
    ):
        large = order.upper() if order else "C"
        try:
            shaped = np.reshape(head, function(data, large).shape)
        except ValueError:  # K is no order to shape by
            continue
        got, expected = (
            gradient(lambda x, o=o, f=function: f(x, o), data, head=shaped) for o in (order, large)
        )
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("order", "AK")
def test_orders_of_strangers(order: Any) -> None:
    """No NumPy array is made that a library without one would meet."""
    data, head = np.arange(12.0).reshape(3, 2, 2), np.arange(1.0, 13.0)
    x = asarray(test_other_arrays.Stranger(data))
    x.attach_grad()
    with record():
        y = np.ravel(x, order)
    got = autograd.grad(y, x, test_other_arrays.Stranger(head)).array
    assert isinstance(got, test_other_arrays.Stranger)
    np.testing.assert_array_equal(got.array, head.reshape(3, 2, 2))


def test_rolled_axes_come_back() -> None:
    data = np.arange(24.0).reshape(2, 3, 4)
    for axis, start in itertools.product(range(-3, 3), range(-3, 4)):
        got = gradient(
            lambda x, i=axis, j=start: np.rollaxis(x, i, j), data, head=np.rollaxis(data, axis, start)
        )
        np.testing.assert_array_equal(got, data)


VIEWS: list[tuple[Any, ...]] = [
    *[(np.reshape, (6,)), (np.ravel,), (np.expand_dims, 0), (np.squeeze,), (np.atleast_3d,)],
    *[(np.transpose, (1, 0)), (np.swapaxes, 0, 1), (np.moveaxis, 0, 1), (np.rollaxis, 1), (np.flip, 0)],
    *[(np.rot90,), (np.pad, 1), (np.copy,), (np.broadcast_to, (2, 3))],
]


@pytest.mark.parametrize("function_and_arguments", VIEWS, ids=lambda view: view[0].__name__)
def test_gradients_through_views_are_views(function_and_arguments: Any) -> None:
    function, *arguments = function_and_arguments
    data = np.arange(6.0).reshape(2, 3)
    y = function(data, *arguments)
    g = np.ones_like(y)
    assert np.shares_memory(_rule(function)(g, y, data, *arguments), g)


@pytest.mark.parametrize(
    "function", [np.concatenate, np.vstack, np.block, np.stack], ids=lambda f: f.__name__
)
def test_gradients_of_what_was_joined_are_views(function: Any) -> None:
    arrays = [[np.ones((2, 3))], [np.ones((2, 3))]] if function is np.block else [np.ones((2, 3))] * 2
    g = np.ones_like(function(arrays))
    for made in _rule(function)(g, None, arrays):
        assert np.shares_memory(made[0] if isinstance(made, list) else made, g)


def _rule(function: Any) -> Any:
    return next(filter(callable, DERIVATIVES[function].rules))


# ---- joining and splitting --------------------------------------------------------------------------------


def test_a_tensor_as_the_list_of_arrays() -> None:
    """Functions of a list of arrays also take one array, as the sequence of its parts."""
    point = np.arange(12.0).reshape(2, 3, 2) / 8
    for function in (
        *(np.concatenate, np.stack, np.hstack, np.vstack, np.dstack, np.column_stack, np.block),
        lambda x: np.block(arrays=x),
        *(lambda x: np.concatenate(x, axis=1), lambda x: np.stack(x, axis=-1)),
        *(lambda x: np.concatenate(x, axis=None), lambda x: np.choose([[0], [1], [1]], x)),
        lambda x: np.select([np.array([[True], [False], [True]])] * 2, x),
    ):
        assert_slopes(lambda x, f=function: f(x) ** 3, point, orders=2)


@pytest.mark.parametrize(
    "function", [np.hstack, np.vstack, np.dstack, np.column_stack], ids=lambda f: f.__name__
)
def test_lists_by_name(function: Any) -> None:
    x = tensor([1.0, 2.0])
    x.attach_grad()
    with record():
        y = function(tup=[x, [3.0, 4.0], x])
    y.backward()
    np.testing.assert_array_equal(x.grad.array, [2, 2])


def test_lists_with_tensors_as_one_of_two_arrays() -> None:
    def joined(x: Any) -> Any:
        inserted = np.insert(x * x, 1, [x[0], x[1] * x[0]])
        return np.append(inserted, [x[1] ** 2, 3.0])

    assert_slopes(joined, [0.5, 2.0], orders=2)


def test_some_of_the_parts() -> None:
    """Where nothing arrives at a part, its elements get zero."""
    for split in (
        lambda x: np.split(x, 3)[1],
        lambda x: np.array_split(x, [1, 2])[1],
        lambda x: np.hsplit(x, 3)[1],
    ):
        np.testing.assert_array_equal(gradient(lambda x, f=split: f(x) ** 2, [1.0, 2.0, 3.0]), [0, 4, 0])
    np.testing.assert_array_equal(gradient(lambda x: np.split(x, [2, 1])[2], [1.0, 2.0, 3.0]), [0, 1, 1])
    np.testing.assert_array_equal(gradient(lambda x: np.split(x, [-1, 1])[0], [1.0, 2.0, 3.0]), [1, 1, 0])
    x, unused = tensor([1.0, 2.0]), tensor([1.0, 2.0, 3.0])
    x.attach_grad()
    unused.attach_grad()
    with record():
        row, _ = np.meshgrid(x, unused, sparse=True)
        one, _ = np.atleast_1d(x, unused)
        wide, _ = np.broadcast_arrays(x, unused[:, None])
        y = np.sum(row) + np.sum(one) + np.sum(wide)
    y.backward()
    np.testing.assert_array_equal(x.grad.array, [5, 5])
    np.testing.assert_array_equal(unused.grad.array, [0, 0, 0])


@pytest.mark.parametrize("function", [np.broadcast_arrays, np.atleast_1d, np.atleast_2d, np.atleast_3d])
@pytest.mark.parametrize("n", [64, 65, 130])
def test_any_number_of_arrays(function: Any, n: int) -> None:
    leaves = [tensor(np.ones(2) if i == 1 else 1.0) for i in range(n)]
    for leaf in leaves:
        leaf.attach_grad()
    with record():
        made = function(*leaves)
        total: Any = sum((k * part).sum() for k, part in enumerate(made))
    total.backward()
    by_numpy = function(*[leaf.numpy() for leaf in leaves])
    assert type(made) is type(by_numpy)
    for part, expected in zip(made, by_numpy, strict=True):
        np.testing.assert_array_equal(part.array, expected, strict=True)
    copies = 2 if function is np.broadcast_arrays else 1
    expected_grads = [k if leaf.ndim else k * copies for k, leaf in enumerate(leaves)]
    assert [leaf.grad.array.flat[0] for leaf in leaves] == expected_grads


@pytest.mark.parametrize("function", [np.stack, np.hstack])
@pytest.mark.parametrize("n", [64, 65, 300])
def test_a_list_of_any_number_of_arrays(function: Any, n: int) -> None:
    leaves = [tensor([1.0]) for _ in range(n)]
    for leaf in leaves:
        leaf.attach_grad()
    with record():
        y = np.ravel(function(leaves))
    autograd.backward([y], [np.arange(n)])
    np.testing.assert_array_equal(np.concatenate([leaf.grad for leaf in leaves]), np.arange(n))


@pytest.mark.parametrize("function", [np.broadcast_arrays, np.atleast_1d, np.atleast_2d, np.atleast_3d])
@pytest.mark.parametrize("n", [2, 64, 65])
@pytest.mark.parametrize("constant", [np.ones(2), [1.0, 1.0], 1.0, np.float32(1)], ids=repr)
def test_what_is_made_of_constants_beside_a_tensor_is_tensors_too(
    function: Any, n: int, constant: Any
) -> None:
    x = tensor(constant, float)
    x.attach_grad()
    with record():
        made = function(x, *[constant] * (n - 1))
    expected = function(x.array, *[constant] * (n - 1))
    for part, other in zip(made, expected, strict=True):
        assert isinstance(part, Tensor)
        np.testing.assert_array_equal(part.array, other, strict=True)


@pytest.mark.parametrize("n", [3, 65])
@pytest.mark.parametrize("shapes", [((3, 1), (1, 4)), ((3, 1), (4,)), ((4,), (3, 1)), ((), (2, 1), (3,))])
def test_arrays_that_are_all_broadcast(n: int, shapes: Any) -> None:
    leaves = [tensor(np.ones(shapes[i % len(shapes)])) for i in range(n)]
    for leaf in leaves:
        leaf.attach_grad()
    with record():
        made = np.broadcast_arrays(*leaves)
        total = sum((k * part).sum() for k, part in enumerate(made))
    total.backward()
    size = np.prod(np.broadcast_shapes(*shapes))
    for k, (leaf, part) in enumerate(zip(leaves, made, strict=True)):
        assert part.shape == np.broadcast_shapes(*shapes)
        np.testing.assert_array_equal(leaf.grad.array, np.full(leaf.shape, k * size / leaf.size))


# ---- padding ----------------------------------------------------------------------------------------------

COMPUTED: dict[str, dict[str, Any]] = {
    "odd about the edge": {"mode": "reflect", "reflect_type": "odd"},
    "odd beside the edge": {"mode": "symmetric", "reflect_type": "odd"},
    "ramp": {"mode": "linear_ramp"},
    "ramp to ends": {"mode": "linear_ramp", "end_values": ((1, 2.5),)},
    "mean": {"mode": "mean"},
    "mean of some": {"mode": "mean", "stat_length": ((2, 1),)},
    "mean of more than is padded": {"mode": "mean", "stat_length": ((3, 9),)},
    "maximum": {"mode": "maximum"},
    "minimum of some": {"mode": "minimum", "stat_length": 2},
    "median": {"mode": "median"},
}


@pytest.mark.parametrize("name", COMPUTED)
@pytest.mark.parametrize("shape", [(1,), (4,), (2, 3), (1, 3), (3, 1)], ids=str)
@pytest.mark.parametrize("widths", [(2, 0), (0, 2), (3, 7)], ids=str)
def test_padding_that_computes(name: str, shape: tuple[int, ...], widths: Any) -> None:
    """np.pad is done by other functions then: the same values, but for rounding."""
    options = COMPUTED[name]
    point = np.random.default_rng(0).permutation(np.arange(1.0, np.prod(shape) + 1)).reshape(shape) / 4
    x = tensor(point, np.float32)
    x.attach_grad()
    with record():
        y: Any = np.pad(x, widths, **options)
    assert y.dtype == np.float32
    expected: Any = np.pad(x.array, widths, **options)
    np.testing.assert_allclose(y.array, expected, rtol=1e-6)
    assert_slopes(lambda x: np.pad(x, widths, **options) ** 2, point, orders=2 if widths == (3, 7) else 1)


@pytest.mark.parametrize("mode", ["mean", "maximum", "minimum", "median"])
@pytest.mark.parametrize("size", [np.inf, -np.inf, np.nan])
def test_paddings_with_statistics_of_infinite_numbers(mode: Any, size: float) -> None:
    """As NumPy's, in silence."""
    for point in ([size, size, 1.0, 2.0], [size, 1.0, 2.0, size], [1.0, 2.0, 3.0, size]):
        x = tensor(point)
        x.attach_grad()
        with record():
            y: Any = np.pad(x, 1, mode)
        np.testing.assert_array_equal(y.array, np.pad(point, 1, mode))


@pytest.mark.parametrize("name", COMPUTED)
def test_padding_that_computes_compiled(name: str) -> None:
    eager = value_and_grad(lambda x: np.sum(np.pad(x, ((1, 0), (3, 2)), **COMPUTED[name]) ** 2))
    point = np.random.default_rng(0).uniform(-1, 1, (2, 3))
    for got, expected in zip(compile(eager)(tensor(point)), eager(tensor(point)), strict=True):
        np.testing.assert_array_equal(got.array, expected.array)


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "linear_ramp", "end_values": ((1, 2.5), (-1, 0.5))},
        {"mode": "mean", "stat_length": ((1, 2), (3, 2))},
        {"mode": "symmetric", "reflect_type": "odd"},
    ],
)
def test_each_end_of_each_axis_is_padded_in_its_own_way(options: Any) -> None:
    assert_slopes(lambda x: np.pad(x, ((1, 2), (4, 0)), **options) ** 2, [[0.5, 2.0, 1.25], [0.75, 3.0, 1.0]])


@pytest.mark.parametrize(
    ("values", "expected"), [(1.0, 16), ([1.0, 2.0], [3, 13]), ([[1.0, 2.0]], [[3, 13]]), ([[1.0]], [[16]])]
)
@pytest.mark.parametrize("options", [{}, {"mode": "constant"}], ids=["", "mode"])
def test_the_values_of_a_padding(values: Any, expected: Any, options: Any) -> None:
    x, ends = tensor([1.0, 2.0, 3.0]), tensor(values)
    x.attach_grad()
    ends.attach_grad()
    with record():
        y: Any = np.pad(x, 2, **options, constant_values=ends) * np.arange(1.0, 8)
    y.backward()
    np.testing.assert_array_equal(ends.grad.array, expected)
    np.testing.assert_array_equal(x.grad.array, [3, 4, 5])


@pytest.mark.parametrize(
    "options",
    [
        *({"mode": mode} for mode in ("mean", "maximum", "linear_ramp", "edge", "wrap", "constant", "empty")),
        *({"mode": mode, "reflect_type": "odd"} for mode in ("reflect", "symmetric")),
        *({"mode": mode, "stat_length": 1} for mode in ("mean", "median")),
        {"mode": "linear_ramp", "end_values": 2.5},
        {"constant_values": 2.5},
    ],
    ids=str,
)
@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("width", [(1, 2), (0, 2), (2, 0)], ids=str)
def test_paddings_of_nothing(options: Any, shape: tuple[int, ...], axis: int, width: Any) -> None:
    """As NumPy's: other axes can be extended, but an axis of length 0 with numbers from elsewhere only."""
    x, widths = tensor(np.zeros(shape)), [(0, 0), (0, 0)]
    x.attach_grad()
    widths[axis] = width
    with record():
        if shape[axis] or "constant" in str(options) or options["mode"] == "empty":
            y: Any = np.pad(x, widths, **options)
            assert y.shape == np.pad(x.array, widths, **options).shape
            assert autograd.grad(y, x).shape == shape
        else:
            with pytest.raises(ValueError, match="can't extend empty axis"):
                np.pad(x, widths, **options)


def test_values_around_nothing() -> None:
    for shape, widths in (((0, 3), ((1, 2), (0, 0))), ((3, 0), ((1, 0), (0, 2))), ((0,), (2, 1))):
        x, ends = tensor(np.zeros(shape)), tensor([2.0, 3.0])
        ends.attach_grad()
        with record():
            y: Any = np.pad(x, widths, constant_values=ends)
        y.backward()
        np.testing.assert_array_equal(ends.grad.array, [np.sum(y.array == 2), np.sum(y.array == 3)])


def test_paddings_with_anything() -> None:
    """What np.pad does not fill has no part in a gradient."""
    head = np.arange(20.0).reshape(4, 5)
    got = gradient(lambda x: np.pad(x, ((1, 1), (2, 0)), mode="empty"), np.ones((2, 3)), head=head)
    np.testing.assert_array_equal(got, head[1:3, 2:])


@pytest.mark.parametrize("mode", ["reflect", "symmetric"])
@pytest.mark.parametrize("kind", ["even", "mirrored", None])
def test_reflections_are_even_unless_they_are_odd(mode: Any, kind: Any) -> None:
    """As NumPy takes them."""
    assert_slopes(lambda x: np.pad(x, 2, mode, reflect_type=kind) ** 2, [0.5, 2.0, 1.25])


def test_paddings_that_have_no_derivative() -> None:
    x, unknown = tensor([1.0, 2.0]), cast(Any, "around")
    x.attach_grad()
    with record():
        with pytest.raises(NotImplementedError, match=r"function writes into an array.*np\.concatenate"):
            np.pad(x, 1, lambda *args: None)
        with pytest.raises(ValueError, match="mode 'around' is not supported"):
            np.pad(x, 1, unknown)
        with pytest.raises(ValueError, match="mode 'None' is not supported"):
            np.pad(x, 1, cast(Any, None))
        with pytest.raises(ValueError, match="unsupported keyword arguments for mode 'mean'"):
            np.pad(x, 1, "mean", end_values=3)


@pytest.mark.parametrize("mode", ["mean", "maximum", "median", "linear_ramp", "odd reflect", "odd symmetric"])
@pytest.mark.parametrize(
    "width",
    [-1, (0, -1), (3, -1), ((1, -2),), 1.0, True, [[1.0]], np.uint8(1), (1, 2, 3), "1", None],
    ids=repr,
)
def test_widths_that_numpy_does_not_take(mode: str, width: Any) -> None:
    options = {"mode": mode.split()[-1]} | ({"reflect_type": "odd"} if "odd" in mode else {})
    check_error(lambda x: np.pad(x, width, **options), np.arange(3.0))


@pytest.mark.parametrize("mode", ["mean", "maximum", "minimum", "median"])
@pytest.mark.parametrize("length", [-1, (1, -1), ((-2, 3),), "1"], ids=repr)
def test_lengths_that_numpy_does_not_take(mode: Any, length: Any) -> None:
    check_error(lambda x: np.pad(x, 1, mode, stat_length=length), np.arange(3.0))
    if mode in ("maximum", "minimum"):
        check_error(lambda x: np.pad(x, 1, mode, stat_length=0), np.arange(3.0))


def test_lengths_are_rounded() -> None:
    for length in (1.6, np.float64(2.4), ((0.6, 2.0),), np.uint8(1)):
        assert_slopes(lambda x, n=length: np.pad(x, 2, "mean", stat_length=n) ** 2, np.arange(4.0))


def check_error(function: Any, point: Any) -> None:
    """It is NumPy's, before `backward`."""
    x = asarray(point)
    x.attach_grad()
    with pytest.raises((TypeError, ValueError)) as expected:
        function(point)
    with record(), pytest.raises(type(expected.value)) as error:
        function(x)
    assert str(error.value) == str(expected.value)


def test_forms_of_the_width() -> None:
    point = np.arange(6.0).reshape(2, 3)
    modes: list[Any] = ["constant", "edge", "mean"]
    forms: list[Any] = [2, (1, 2), ((1, 2),), ((1, 2), (0, 3)), [[1], [2]], np.array([[1, 2], [3, 0]]), (2,)]
    if np.lib.NumpyVersion(np.__version__) >= "2.2.0":
        forms += [{0: (1, 2)}, {-1: 2}, {1: (0, 1), -2: 3}]
    for form in forms:
        for mode in modes:
            assert_slopes(lambda x, form=form, mode=mode: np.pad(x, form, mode) ** 2, point)


# ---- the rest ---------------------------------------------------------------------------------------------


def test_trimmed_boxes() -> None:
    """From NumPy 2.2 on, trim_zeros takes arrays of more dimensions, and the axes to trim."""
    box = np.array([[0.0, 0, 0, 0], [0, 2, 0, 0], [0, 0, 3, 0]])
    calls: list[dict[str, Any]] = [{}, {"axis": 0}, {"axis": 1, "trim": "b"}, {"axis": (0, 1), "trim": "f"}]
    if np.lib.NumpyVersion(np.__version__) < "2.2.0":
        box, calls = box[1], [{}, {"trim": "b"}]
    for options in calls:
        kept = np.trim_zeros(box, **options)
        weights = np.arange(1.0, kept.size + 1).reshape(kept.shape)
        got = gradient(lambda x, o=options: np.trim_zeros(x, **o), box, head=weights)
        np.testing.assert_array_equal(got[box != 0], weights[kept != 0])
        assert np.sum(got) == np.sum(weights)
    assert not np.any(gradient(lambda x: np.sum(np.trim_zeros(x)) + 0 * np.sum(x), [0.0, 0.0]))


@pytest.mark.parametrize("first", [-0.5, 5e-324, np.nan, -np.inf])
@pytest.mark.parametrize("trim", ["fb", "f", "b"])
def test_what_is_no_zero_is_not_trimmed(first: float, trim: Any) -> None:
    x, head = np.array([0.0, first, 0, 2, first, 0]), np.arange(1.0, 7)
    kept = np.trim_zeros(x, trim)
    got = gradient(lambda x: np.trim_zeros(x, trim), x, head=head[: len(kept)])
    np.testing.assert_array_equal(got[got != 0], head[: len(kept)])
    np.testing.assert_array_equal(x[got != 0], kept)


THIRD: dict[str, Callable[[Any], Any]] = {
    "block": lambda x: np.block([[x, x[:, :1]], [x[:1], x[1:, 1:2]]]),
    "split": lambda x: np.multiply(*np.split(x, 2)),
    "pad": lambda x: np.pad(x, 2, "reflect"),
    "tile": lambda x: np.tile(x, (2, 1, 2)),
    "repeat": lambda x: np.repeat(x, [2, 0, 1], axis=1),
    "insert": lambda x: np.insert(x, [0, 2], x[:, :2], axis=1),
    "delete": lambda x: np.delete(x, [0, -1], axis=1),
    "roll": lambda x: np.roll(x, (1, 2), (0, 1)) * x,
    "diagonal": lambda x: np.diagonal(x, 1) * np.diag(x),
    "tril": lambda x: np.tril(x) * x[0],
    "meshgrid": lambda x: np.multiply(*np.meshgrid(x[0], x[1])),
    "order A": lambda x: np.ravel(x, "A") * np.ravel(x, "F"),
    "resize": lambda x: np.resize(x, (4, 2)),
    "full_like": lambda x: np.full_like(x, x[0]) * x,
}


@pytest.mark.parametrize("name", THIRD)
def test_third_order(name: str) -> None:
    assert_slopes(lambda x: THIRD[name](x) ** 2 * np.sum(x), [[0.5, 2.0, 1.25], [0.75, 1.5, 0.25]], orders=3)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("name", THIRD)
def test_no_dtype_grows(name: str, dtype: Any) -> None:
    """Inside the sweep too: a gradient that is doubled on the way costs twice the time and memory."""
    x = tensor([[0.5, 2.0, 1.25], [0.75, 1.5, 0.25]], dtype)
    x.attach_grad()
    with record():
        y = x * 1
        z = THIRD[name](y)
        first = autograd.grad(z, y, create_graph=True)
    assert z.dtype == first.dtype == dtype


MANY: dict[str, Callable[[Any], Any]] = {
    "broadcast_to": lambda x: np.broadcast_to(x, (500, 3)),
    "broadcast": lambda x: x + np.zeros((500, 3), np.float16),
    "broadcast in columns": lambda x: x[:, None] * np.ones((3, 500), np.float16),
    "broadcast_arrays": lambda x: np.broadcast_arrays(x, np.zeros((500, 3)))[0],
    "meshgrid": lambda x: np.meshgrid(x, np.zeros(500))[0],
    "meshgrid, ij": lambda x: np.meshgrid(x, np.zeros(500), indexing="ij")[0],
    "tile": lambda x: np.tile(x, 500),
    "tile in rows": lambda x: np.tile(x, (500, 1)),
    "repeat": lambda x: np.repeat(x, 500),
    "repeat each": lambda x: np.repeat(x, [500, 501, 502]),
    "repeat rows": lambda x: np.repeat(x[None], 500, axis=0),
    "resize": lambda x: np.resize(x, (300, 3)),
    "pad": lambda x: np.pad(x, 600, mode="edge"),
    "indices": lambda x: x[np.arange(1500) % 3],
    "take": lambda x: np.take(x, np.arange(1500) % 3),
    "outer": lambda x: np.multiply.outer(np.ones(500, np.float16), x),
    "choose": lambda x: np.choose(np.arange(500)[:, None] % 3, np.broadcast_to(x, (3, 3))),
    "full_like": lambda x: np.full_like(x, x, shape=(500, 3)),
    "pad with": lambda x: np.pad(x, 600, constant_values=x[:2]),
}


@pytest.mark.parametrize("name", MANY)
def test_what_is_used_often_keeps_its_digits(name: str) -> None:
    """A sum of hundreds of numbers in float16 would have two digits."""
    rng, point = np.random.default_rng(0), np.array([0.5, 0.75, 1.5])
    head = rng.uniform(0.5, 1.5, np.shape(MANY[name](point.astype(np.float16)))).astype(np.float16)
    x = tensor(point, np.float16)
    x.attach_grad()
    with record():
        y = MANY[name](x)
    y.backward(head)
    np.testing.assert_allclose(x.grad.array, gradient(MANY[name], point, head=head), rtol=1e-3)


# ---- Dask arrays ------------------------------------------------------------------------------------------

LAZY: dict[str, Callable[[Any, Any], Any]] = {
    "axes": lambda a, b: np.swapaxes(a, 0, 1) * np.moveaxis(b, 1, 0) * np.rollaxis(a, 1),
    "atleast, broadcast_arrays": lambda a, b: np.atleast_3d(a)[..., 0] * np.broadcast_arrays(a, b[0])[1],
    "meshgrid": lambda a, b: np.multiply(*np.meshgrid(a[0], b[0])),
    "piles": lambda a, b: np.hstack([a, b]) * np.vstack([a, b])[:4, :1] + np.dstack([a, b])[0, 0, 1],
    "norms": lambda a, b: np.linalg.norm(a, np.inf) * b + np.linalg.norm(b, -1) * np.linalg.norm(a, axis=0),
    "block": lambda a, b: np.block([[a, b], [b, a]]) ** 2,
    "append, insert, delete": lambda a, b: (
        np.delete(np.insert(np.append(a, b, axis=0), 1, b[0], axis=0), 0, 1) ** 2
    ),
    "pad": lambda a, b: np.pad(a, ((1, 0), (2, 1)))[:4, :3] * np.pad(b, 1, mode="reflect")[:4, :3],
    "pad with means": lambda a, b: np.pad(a, 1, mode="mean")[:4, :3] * b,
    "tile, repeat": lambda a, b: np.tile(a, (2, 2)) * np.repeat(np.repeat(b, 2, axis=1), 2, axis=0),
    "flips": lambda a, b: np.fliplr(a) * np.flipud(b) * np.rot90(a, 2),
    "rolls": lambda a, b: np.roll(a, (1, 2), (0, 1)) * np.roll(b, 1),
    "triangles": lambda a, b: np.tril(a) * np.triu(b, -1),
    "diagonals": lambda a, b: np.diag(a[0]) * np.diag(np.diagonal(b)) * np.diag(a @ b.T)[:3],
    "select, choose": lambda a, b: (
        np.select([a > 0, b > 0], [a * a, b], 1.0) * np.choose(np.eye(4, 3, dtype=int), [a, b])
    ),
    "take, compress": lambda a, b: (
        np.take(a, [0, 2, 0], axis=1) * np.compress([True, False, False], b, axis=1)
    ),
    "lists": lambda a, b: a[[0, 2, 2]] * b[:, [1, 1, -1]][1:] + a[..., None, 1, :2].sum(),
    "rows": lambda a, b: sum(row * other for row, other in zip(a, b, strict=True)),
}


@pytest.mark.parametrize("name", LAZY)
def test_dask_arrays_stay_lazy(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dask arrays cannot be added to in place, so that `scatter` goes another way."""
    monkeypatch.setitem(test_other_arrays.PROGRAMS, name, LAZY[name])
    test_other_arrays.test_dask_arrays_stay_lazy_and_have_the_same_gradients(name, order=2)
