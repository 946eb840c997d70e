"""The package's own names: the book's vocabulary, and NumPy's functions lifted to Tensors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import tinygrad_lr as d2l

finite = st.floats(-10, 10)
some_array = arrays(np.float64, array_shapes(min_dims=1, max_dims=3, max_side=4), elements=finite)


@given(some_array, st.sampled_from(["exp", "sin", "sum", "mean", "argmax", "sort", "cumsum", "transpose"]))
def test_a_lifted_function_gives_numpys_values_as_a_tensor(x, name):
    result = getattr(d2l, name)(d2l.tensor(x))
    assert isinstance(result, d2l.Tensor)
    np.testing.assert_array_equal(result.numpy(), getattr(np, name)(x))
    np.testing.assert_array_equal(getattr(d2l, name)(x).numpy(), getattr(np, name)(x))


def test_the_modules_linalg_and_random_are_lifted():
    assert d2l.linalg.norm(d2l.tensor([3.0, 4.0])).item() == 5.0
    np.random.seed(3)
    first = d2l.random.normal(0, 1, (2, 3))
    np.random.seed(3)
    np.testing.assert_array_equal(first.numpy(), d2l.normal(0, 1, (2, 3)).numpy())
    assert isinstance(first, d2l.Tensor)


def test_a_lifted_function_of_an_attached_tensor_is_recorded():
    x = d2l.tensor([1.0, 2.0])
    x.attach_grad()
    with d2l.record():
        y = d2l.reduce_sum(d2l.exp(x))
    y.backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.exp([1.0, 2.0]))


def test_types_and_numbers_are_numpys_own():
    for name in ("float32", "pi", "e", "inf", "nan", "newaxis", "little_endian"):
        assert getattr(d2l, name) is getattr(np, name)


@pytest.mark.parametrize("name", ["nonsense", "test", "_core"])
def test_a_name_that_nobody_has_is_an_attribute_error(name):
    with pytest.raises(AttributeError, match=f"neither tinygrad_lr nor numpy has the name '{name}'"):
        getattr(d2l, name)


def test_every_exported_name_is_there_and_listed():
    for name in d2l.__all__:
        assert getattr(d2l, name) is not None
        assert name in dir(d2l)


TABLE = np.arange(6.0, dtype=np.float32).reshape(2, 3)
RANGES = [(3,), (0,), (-3,), (1, 0), (-3, 0), (0, 0), (3, 0, -1), (0, 3, 2), (1, 2.5, 0.5), (3, None, 2)]


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda: d2l.zeros((2, 1)), np.zeros((2, 1))),
        *((lambda shape=shape: d2l.ones(shape), np.ones(shape)) for shape in (3, 0, (), (0, 2), (2, 1))),
        *((lambda shape=shape: d2l.zeros(shape), np.zeros(shape)) for shape in (3, 0, (), (0, 2))),
        (lambda: d2l.arange(0, 3, 0.5, dtype=int), np.array([0, 0, 1, 1, 2, 2])),
        (lambda: d2l.full((2,), 7.0), np.full(2, 7.0)),
        (lambda: d2l.arange(2, 8, 2), np.arange(2.0, 8.0, 2.0)),
        (lambda: d2l.arange(3, dtype=int), np.arange(3)),
        (lambda: d2l.arange(5, step=2), np.array([0.0, 2.0, 4.0])),
        (lambda: d2l.linspace(0, 1, 5), np.linspace(0, 1, 5)),
        (lambda: d2l.eye(2, 3), np.eye(2, 3)),
        (lambda: d2l.reshape(d2l.arange(6), 2, 3), np.arange(6.0).reshape(2, 3)),
        (lambda: d2l.reshape([1, 2], (2, 1)), np.array([[1], [2]])),
        (lambda: d2l.reduce_mean(d2l.tensor([[1.0, 3.0]]), axis=1), np.array([2.0])),
        (lambda: d2l.reduce_max(d2l.tensor([1.0, 3.0])), np.array(3.0)),
        (lambda: d2l.reduce_sum([[1, 2], [3, 4]], axis=[0, 1]), np.array(10)),
        (lambda: d2l.concat([d2l.ones(1), d2l.zeros(2)]), np.array([1.0, 0.0, 0.0])),
        (lambda: d2l.matmul(d2l.ones((2, 3)), np.ones((3, 1))), np.full((2, 1), 3.0)),
        (lambda: d2l.astype(d2l.tensor([1.5]), "int64"), np.array([1])),
        (lambda: d2l.tensor([1, 2], dtype="float32"), np.array([1, 2], np.float32)),
        (lambda: d2l.concat([[[1.0], [2.0]], [[3.0]]], axis=None), np.array([1.0, 2.0, 3.0])),
        *((lambda ends=ends: d2l.arange(*ends), np.arange(*ends, dtype=float)) for ends in RANGES),
        *((lambda s=s: d2l.eye(*s), np.eye(*s)) for s in [(0,), (2,), (2, 0), (0, 2), (2, 1), (2, None)]),
        *(
            (lambda dtype=dtype: d2l.linspace(-1, 1, 4, dtype), np.linspace(-1, 1, 4, dtype=dtype))
            for dtype in (int, np.float32, np.float64, np.int8)
        ),
        *(
            (lambda make=make, given=given: make(d2l)(*given, dtype=np.float32), make(np)(*given, dtype="f"))
            for make, given in [
                (lambda module: module.zeros, (2,)),
                (lambda module: module.ones, ((2, 1),)),
                (lambda module: module.full, ((2,), 7)),
                (lambda module: module.eye, (2, 3)),
                (lambda module: module.arange, (3,)),
            ]
        ),
        *(
            (lambda made=made, how=how: made(TABLE, *how[0], **how[1]), expected(TABLE, *how[0], **how[1]))
            for how in [((), {}), ((0,), {}), ((), {"axis": 1, "keepdims": True})]
            for made, expected in [
                (d2l.reduce_sum, np.sum),
                (d2l.reduce_mean, np.mean),
                (d2l.reduce_max, np.max),
            ]
        ),
        (lambda: d2l.cumsum(TABLE, axis=0, dtype=float), np.cumsum(TABLE, 0, float)),
        (
            lambda: d2l.linalg.norm(d2l.tensor(TABLE), axis=1, keepdims=True),
            np.sqrt([[5.0], [50.0]], dtype="f"),
        ),
        (lambda: d2l.full((2,), 7), np.full(2, 7)),
        (lambda: d2l.concat([TABLE, TABLE], 1), np.concatenate([TABLE, TABLE], 1)),
        (lambda: d2l.random.randint(3, 4), np.array(3)),
        (lambda: d2l.random.uniform(2, 2), np.array(2.0)),
    ],
)
def test_the_books_names(made, expected):
    result = made()
    assert isinstance(result, d2l.Tensor)
    assert result.dtype == expected.dtype
    np.testing.assert_array_equal(result.numpy(), expected)


def test_random_numbers_are_those_of_numpys_generator():
    for shape in ((), (3,), (2, 3), (0,)):
        for ours, theirs in (
            (lambda shape: d2l.rand(*shape), lambda shape: np.random.uniform(0, 1, shape)),
            (lambda shape: d2l.randn(*shape), lambda shape: np.random.normal(0, 1, shape)),
            (lambda shape: d2l.normal(2, 0.5, shape), lambda shape: np.random.normal(2, 0.5, shape)),
            (lambda shape: d2l.random.rand(*shape), lambda shape: np.random.rand(*shape)),
        ):
            np.random.seed(5)
            made = ours(shape)
            np.random.seed(5)
            assert isinstance(made, d2l.Tensor)
            np.testing.assert_array_equal(made.array, np.array(theirs(shape)), strict=True)


def test_numbers_that_are_no_arrays_stay():
    assert type(d2l.ndim([1, 2])) is type(d2l.size(d2l.ones(3))) is int
    assert [d2l.size(x) for x in (3.0, [[1, 2], [3, 4]], [], np.ones((2, 0)), d2l.ones((2, 3)))] == [
        1,
        4,
        0,
        0,
        6,
    ]
    assert d2l.result_type(np.float32, np.int8) == np.float32


def test_reshaped_arrays_are_copies_and_tensors_are_not():
    """So that what is recorded stays so, and NumPy's array is not written unnoticed."""
    a, x = np.zeros(4), d2l.tensor(np.zeros(4))
    for own, made in ((a, d2l.reshape(a, (2, 2))), (x.array, d2l.reshape(x, 2, 2))):
        made[0, 0] = 5.0
        assert own[0] == (0 if own is a else 5)
    x.attach_grad()
    with d2l.record():
        y = d2l.reduce_sum(d2l.reshape(x, -1, 2), 0) @ np.array([1.0, 2.0])
        assert d2l.size(x) == 4
    y.backward()
    np.testing.assert_array_equal(x.grad.array, [1, 2, 1, 2])


def test_random_shapes_size_and_numpy():
    assert d2l.rand(2, 3).shape == (2, 3)
    assert d2l.randn(4).shape == (4,)
    assert d2l.size(d2l.ones((2, 3))) == 6
    assert type(d2l.numpy(d2l.ones(2))) is np.ndarray


def test_values_out_of_a_recorded_graph_and_dtypes_within_it():
    x = d2l.tensor([1.5, 2.5])
    x.attach_grad()
    with d2l.record():
        y = d2l.astype(x * 3, np.float32)
        np.testing.assert_array_equal(d2l.numpy(y), [4.5, 7.5])  # meant to leave the graph, and so no error
    assert not d2l.numpy(y).flags.writeable
    assert y.dtype == np.float32
    y.backward()
    np.testing.assert_array_equal(x.grad.numpy(), [3.0, 3.0])


@pytest.mark.parametrize("reduce", [d2l.reduce_sum, d2l.reduce_mean, d2l.reduce_max])
def test_reductions_are_recorded(reduce):
    x = d2l.tensor([1.0, 3.0])
    x.attach_grad()
    with d2l.record():
        y = reduce(x)
    y.backward()
    np.testing.assert_array_equal(
        x.grad.numpy(), {d2l.reduce_sum: [1, 1], d2l.reduce_mean: [0.5, 0.5]}.get(reduce, [0, 1])
    )


def test_modules_within_modules_are_lifted_and_numpys_stay_as_they_are():
    assert isinstance(d2l.polynomial.polynomial.polyval([2.0], [1.0, 2.0]), d2l.Tensor)
    assert isinstance(d2l.polynomial.polynomial.polyval(d2l.ones(2), [1.0, 2.0]), d2l.Tensor)
    norm = np.linalg.norm
    assert isinstance(d2l.linalg.norm(d2l.ones(2)), d2l.Tensor)
    assert np.linalg.norm is norm


def test_tensor_copies_and_asarray_shares():
    data = np.zeros(2)
    x = d2l.tensor(data)
    for copy in (x.array, d2l.array(data).array, d2l.astype(x, float).array, d2l.array(x).array):
        assert not np.may_share_memory(copy, data)
    assert not np.may_share_memory(d2l.astype(x, float).array, x.array)
    assert d2l.asarray(data).array is data
    t = d2l.tensor(data)
    assert d2l.asarray(t) is t
    assert d2l.asarray(t, t.dtype) is t
    assert d2l.asarray(t, float) is t
    assert d2l.asarray(t, "float32").dtype == np.float32


def test_lifted_modules_list_numpys_names_and_say_what_they_are():
    assert {"normal", "seed"} <= set(dir(d2l.random))
    assert repr(d2l.linalg) == "<numpy.linalg on Tensors>"
