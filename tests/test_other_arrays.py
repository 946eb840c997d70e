"""Tensors of other arrays than NumPy's: Dask's, which compute nothing until they are asked, and CuPy's."""

import copy
import importlib.util
import pickle
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import dask
import dask.array
import numpy as np
import pytest
from hypothesis import example, given, reject
from hypothesis import strategies as st

import search
from domains.basics import Call
from domains.indexing import indexings
from factory import ROWS, at, attached, every_path, examples, put
from strangers import Stranger
from tinygrad_lr import Tensor, asarray, autograd, errors, func, record, tensor
from tinygrad_lr.errors import name_of
from tinygrad_lr.lazy import compute

PROGRAMS: dict[str, Callable[[Any, Any], Any]] = {
    "arithmetic": lambda a, b: 2 * a + b / (1 + b * b) - a * 3,
    "powers": lambda a, b: (a * a + 1) ** 1.5 + np.sqrt(b * b + 1) + (b * b + 1) ** -a,
    "exp, log": lambda a, b: np.exp(-a) * np.log(2 + b * b) + np.tanh(a) + np.logaddexp(a, b),
    "trigonometric": lambda a, b: np.sin(a) * np.cos(b) + np.arctan2(a, b + 3),
    "kinks": lambda a, b: np.maximum(a, b) + np.minimum(a, 0.1) + np.abs(b) + np.clip(a, -0.5, 0.5),
    "where": lambda a, b: np.where(a > 0, a * b, a - b),
    "piecewise": lambda a, b: np.piecewise(a, [a > 0, a < -1], [np.exp, 3.0, lambda t: t * t]) * b,
    "broadcast": lambda a, b: a * b[0] + a[:, :1] * b,
    "sum": lambda a, b: np.sum(a * b, axis=0) + np.sum(a),
    "mean": lambda a, b: np.mean(a * a, axis=1, keepdims=True) * b,
    "var": lambda a, b: np.var(a, axis=0) + np.std(b),
    "max": lambda a, b: np.max(a, axis=1) + np.min(b),
    "cumsum": lambda a, b: np.cumsum(a, axis=0) * b,
    "matmul": lambda a, b: a @ b.T + b @ a.T,
    "vectors": lambda a, b: np.sum(a @ b[0]) + a[:, 0] @ b,
    "tensordot": lambda a, b: np.tensordot(a, b, axes=2) + np.dot(a, b.T),
    "einsum": lambda a, b: np.einsum("ij,kj->ik", a, b),
    "shape": lambda a, b: np.transpose(a).reshape(-1)[:5] + np.ravel(b)[1:6],
    "assembly": lambda a, b: np.concatenate([a, b], axis=1) * np.stack([a, b], axis=1).reshape(4, 6),
    "slices": lambda a, b: a[1:] * b[:-1] + a[::-1][:3, ::2].sum(),
    "flip, roll": lambda a, b: np.flip(a, 0) * np.roll(b, 1, axis=1),
    "expand": lambda a, b: np.expand_dims(a, 1) * np.squeeze(np.expand_dims(b, 0), 0),
    "broadcast_to": lambda a, b: np.broadcast_to(a, (2, 4, 3)) * b,
}
A, B = np.random.default_rng(0).normal(size=(2, 4, 3))


def gradients(program: Any, a: Any, b: Any, order: int = 1) -> tuple[Tensor, list[Tensor]]:
    """The value of a program and the gradients of the sum of its sines, or those of their squares."""
    leaves = [asarray(a), asarray(b)]
    for leaf in leaves:
        leaf.attach_grad()
    with record():
        value = program(*leaves)
        head = np.sin(value).sum()
        if order == 2:
            head = sum(np.sum(g * g) for g in autograd.grad(head, leaves, create_graph=True))
    return value, autograd.grad(head, leaves)


@pytest.fixture
def nothing_is_computed() -> Iterator[None]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a Dask array was computed")

    with dask.config.set(scheduler=refuse):
        yield


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", PROGRAMS)
def test_dask_arrays_stay_lazy_and_have_the_same_gradients(name: str, order: int) -> None:
    program = PROGRAMS[name]
    value, expected = gradients(program, A, B, order)

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a Dask array was computed")

    with dask.config.set(scheduler=refuse):
        lazy = [dask.array.from_array(x, chunks=(2, 3)) for x in (A, B)]
        lazy_value, lazy_gradients = gradients(program, *lazy, order)
    for got, truth in zip([lazy_value, *lazy_gradients], [value, *expected], strict=True):
        assert isinstance(got.array, dask.array.Array), "NumPy came out"
        assert got.shape == truth.shape
        np.testing.assert_allclose(got.array.compute(scheduler="sync"), truth.array, rtol=1e-12, atol=1e-12)


def test_parameters_of_numpy_and_data_of_dask() -> None:
    """The gradient of a NumPy parameter is computed when it is asked for, with all others in one go."""
    X, y = dask.array.from_array(A, chunks=(2, 3)), dask.array.from_array(B[:, 0], chunks=2)
    w = asarray(np.ones(3))
    w.attach_grad()
    with record():
        loss = np.mean((X @ w - y) ** 2) / 2
    loss.backward()
    found, gradient = dask.compute(loss.array, w.grad.array, scheduler="sync")
    residual = A @ np.ones(3) - B[:, 0]
    np.testing.assert_allclose(found, np.mean(residual**2) / 2)
    np.testing.assert_allclose(gradient, A.T @ residual / 4)


@pytest.mark.parametrize("program", [lambda t: t, lambda t: t.sum(), lambda t: -2 * t.sum()])
def test_a_gradient_that_is_one_number_becomes_a_dask_array(program: Any) -> None:
    data = A.copy()
    data[0, 0], data[1, 1] = np.inf, np.nan
    t, same = (asarray(a) for a in (dask.array.from_array(data, chunks=(2, 3)), data))
    for leaf in (t, same):
        leaf.attach_grad()
        with record():
            y = program(leaf)
        y.backward()
    assert isinstance(t.grad.array, dask.array.Array)
    np.testing.assert_array_equal(t.grad.array.compute(scheduler="sync"), same.grad.array, strict=True)
    with record():
        gradient = autograd.grad(program(t), t)
    np.testing.assert_array_equal(gradient.array.compute(scheduler="sync"), same.grad.array, strict=True)


@pytest.mark.usefixtures("nothing_is_computed")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("attach", [False, True])
def test_updates_of_dask_arrays(attach: bool, dtype: Any) -> None:
    """They cannot be written into: another one takes their place, of the same shape and dtype."""
    data = dask.array.from_array(A.astype(dtype), chunks=(2, 3))
    t = u = tensor(data)
    if attach:
        t.attach_grad()
    gradient = t.grad
    t -= np.arange(3.0)  # of float64
    t *= tensor(2.0)
    assert t is u
    assert t.is_leaf == attach
    assert t.grad is gradient
    assert isinstance(t.array, dask.array.Array)
    assert t.dtype == dtype
    expected = (A.astype(dtype) - np.arange(3.0, dtype=dtype)) * 2
    np.testing.assert_allclose(t.array.compute(scheduler="sync"), expected, rtol=1e-6)
    t[1:] = tensor([7.0, 8.0, 9.0])
    t[0, [0, 2]] = 5.0
    expected[1:], expected[0, [0, 2]] = [7, 8, 9], 5
    np.testing.assert_allclose(t.array.compute(scheduler="sync"), expected, rtol=1e-6)
    np.testing.assert_array_equal(data.compute(scheduler="sync"), A.astype(dtype))
    for length in (5, 1):
        with pytest.raises(
            ValueError, match=rf"a value of shape \({length}, 4, 3\) cannot be put into `t` \(shape \(4, 3\)"
        ):
            t += np.ones((length, 1, 3))
    row = tensor(dask.array.ones((1, 3)))
    with pytest.raises(ValueError, match=r"a value of shape \(4, 3\) cannot be put into `row`"):
        row += np.ones((4, 3))


@pytest.mark.usefixtures("nothing_is_computed")
def test_tensors_of_dask_arrays() -> None:
    data = dask.array.from_array(A, chunks=(2, 3))
    for make in (tensor, asarray):
        assert isinstance(make(data).array, dask.array.Array)
        assert make(data).dtype == np.float64
        for kind in (data, make(data)):
            changed = make(kind, np.float32)
            assert isinstance(changed.array, dask.array.Array)
            assert changed.dtype == np.float32
            np.testing.assert_array_equal(changed.array.compute(scheduler="sync"), A.astype(np.float32))
    assert asarray(data).array is asarray(data).detach().array is data
    x = tensor(data)
    assert str(x) == f"{x}" == str(data)
    assert repr(x) == f"tensor({data!r})"
    x.attach_grad()
    assert isinstance(x.grad.array, dask.array.Array)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
@pytest.mark.parametrize("kind", [Stranger, dask.array.from_array], ids=["unknown", "dask"])
def test_copies_of_tensors_keep_the_type_of_array(kind: Any, duplicate: Any) -> None:
    for grad_req in (None, "add"):
        x = tensor(kind(A))
        if grad_req:
            x.attach_grad(grad_req)
            x.grad = kind(B)
        twin = duplicate(x)
        twin[0] = 7.0
        assert type(twin.array) is type(x.array)
        pairs = [(x, A), (twin, np.concatenate([np.full((1, 3), 7.0), A[1:]]))]
        if grad_req:
            assert twin.attachment.grad_req == grad_req
            twin.grad[0] = 7.0
            pairs += [(x.grad, B), (twin.grad, np.concatenate([np.full((1, 3), 7.0), B[1:]]))]
        for made, expected in pairs:
            assert type(made.array) is type(x.array)
            values = made.array.array if kind is Stranger else made.array.compute(scheduler="sync")
            np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize(
    "duplicate",
    [
        Tensor.copy,
        Tensor.flatten,
        lambda x: x.astype(float),
        lambda x: tensor(x, float),
        tensor,
        copy.copy,
        lambda x: x + 0,
    ],
)
def test_a_write_into_a_copy_of_a_dask_array_does_not_reach_it(duplicate: Any) -> None:
    x = tensor(dask.array.ones(3))
    y = duplicate(x)
    y[0] = 7.0
    np.testing.assert_array_equal(x.array.compute(scheduler="sync"), 1)
    np.testing.assert_array_equal(y.array.compute(scheduler="sync"), [7, 1, 1])


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("factor", [1.0, dask.array.from_array(A)])
def test_gradients_of_dask_arrays_are_shared_by_no_two(factor: Any, create_graph: bool) -> None:
    a, b = (attached(dask.array.from_array(x)) for x in (A, B))
    head = asarray(dask.array.from_array(B))
    with record():
        y = a + b
        y.attach_grad()
        z = y * factor if np.ndim(factor) else y
    z.backward(head, create_graph=create_graph)
    kept = [t.array.compute(scheduler="sync") for t in (b.grad, y.grad, head)]
    a.grad[...] = 7.0
    for t, before in zip((b.grad, y.grad, head), kept, strict=True):
        np.testing.assert_array_equal(t.array.compute(scheduler="sync"), before)


def test_a_copy_of_an_array_of_an_unknown_type_is_its_own() -> None:
    array = Stranger(A.copy())
    x = tensor(array)
    x[0] = 7.0
    np.testing.assert_array_equal(array.array, A)
    assert asarray(array).array is array


def test_dask_arrays_stay_what_they_are() -> None:
    x = asarray(dask.array.full(3, 1.5, chunks=2))
    for made, dtype in (
        (tensor(x), float),
        (asarray(x, int), int),
        (asarray(x.array, int), int),
        (tensor(x, int), int),
    ):
        assert isinstance(made.array, dask.array.Array)
        assert made.dtype == dtype
    x.attach_grad()
    with record():
        y = x + 0.0
    y.backward(np.array([1.0, 2.0, 3.0]))
    assert isinstance(x.grad.array, dask.array.Array)
    np.testing.assert_array_equal(x.grad.array, [1, 2, 3])


def test_what_is_not_lazy_needs_no_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dask", None)  # as if it were not installed
    t, array = tensor(A), np.ones(2)
    before = t.array
    compute([t, array, None, 3.0])
    assert t.array is before


def test_copies_of_dask_arrays_are_not_computed() -> None:
    x = asarray(dask.array.ones((2, 3), chunks=2))
    x.attach_grad()
    with record():
        y = (x.copy() * 2 + x.flatten().reshape(2, 3)).sum()
    y.backward()
    value, pullback = func.vjp(lambda x: x * 3, x)
    for made in (x.copy(), x.flatten(), y, x.grad, value, *pullback(value)):
        assert isinstance(made.array, dask.array.Array)
    np.testing.assert_array_equal(x.grad.array.compute(), np.full((2, 3), 3.0))


@search.examples(20)
@given(indexings())
@example(Call((A, (-1, slice(None, None, -1)))))
@example(Call((A, (slice(0), None))))
@example(Call((A, ([],))))
@example(Call((A[:0], ([],))))
def test_keys_of_dask_arrays(call: Call) -> None:
    """Those that Dask answers as NumPy does."""
    data, key = call.arguments
    lazy, part = dask.array.from_array(data, chunks=2), data[key]
    try:
        assert lazy[key].shape == part.shape
        np.testing.assert_array_equal(lazy[key].compute(scheduler="sync"), part)
    except (AssertionError, AttributeError, IndexError, NotImplementedError, TypeError, ValueError):
        reject()
    x, head = asarray(lazy), np.reshape(1.0 + np.arange(part.size), part.shape)
    x.attach_grad()
    with record():
        y = np.sum(np.sin(x[key]) * head)
    y.backward()
    expected = np.zeros(data.shape)
    np.add.at(expected, key, np.cos(part) * head)
    np.testing.assert_allclose(x.grad.array.compute(scheduler="sync"), expected, rtol=1e-12)


#: of one array, each of whose results is one of its elements, or their sum
MOVING: dict[str, Callable[[Any], Any]] = {
    "rows that repeat": lambda x: x[[0, 2, 2]],
    "columns that repeat": lambda x: x[:, [1, 1, -1]],
    "every other row from the end": lambda x: x[::-2],
    "rows of another axis": lambda x: x[None, 1:],
    "item": lambda x: x[1, 2],
    "take": lambda x: np.take(x, [0, 2, 0], axis=1),
    "compress": lambda x: np.compress([True, False, True], x, axis=1),
    "concatenate": lambda x: np.concatenate([x, x[:0], x], axis=0),
    "stack": lambda x: np.stack([x, x], axis=1),
    "block": lambda x: np.block([[x, x], [x, x]]),
    "roll": lambda x: np.roll(x, 2),
    "tile": lambda x: np.tile(x, (2, 3)),
    "repeat": lambda x: np.repeat(x, 2, axis=0),
    "pad": lambda x: np.pad(x, 1),
    "pad with edges": lambda x: np.pad(x, ((1, 0), (0, 2)), mode="edge"),
    "pad with reflections": lambda x: np.pad(x, 2, mode="reflect"),
    "triangle": np.tril,
    "diagonal": lambda x: np.diagonal(x, -1),
    "diag": lambda x: np.diag(x[0]),
    "trace": np.trace,
    "insert": lambda x: np.insert(x, 1, x[0], axis=0),
    "delete": lambda x: np.delete(x, 1, axis=0),
    "select": lambda x: np.select([B > 0, B > -1], [x, x[::-1]], 1.0),
    "choose": lambda x: np.choose(np.eye(4, 3, dtype=int), [x, x[::-1]]),
    "where": lambda x: np.where(B > 0, x, x[::-1]),
    "windows": lambda x: np.lib.stride_tricks.sliding_window_view(x, 2, 1),
    "broadcast": lambda x: np.broadcast_to(x, (2, 4, 3)),
    "sum": lambda x: np.sum(x, axis=0),
    "cumsum": lambda x: np.cumsum(x, axis=0),
    "max": lambda x: np.max(x, axis=0),
}
MOVING_NOTHING: dict[str, Callable[[Any], Any]] = {
    "no row": lambda x: x[:0],
    "no column": lambda x: x[:, :0],
    "neither": lambda x: x[1:1, 2:2],
    "no row of a list": lambda x: x[[]],
    "nothing beside a new axis": lambda x: x[:0, None],
    "nothing of a row": lambda x: x[1, 3:],
    "take": lambda x: np.take(x, [], axis=1),
    "compress": lambda x: np.compress([False] * 3, x, axis=1),
    "delete": lambda x: np.delete(x, slice(None), axis=0),
    "repeat": lambda x: np.repeat(x, 0, axis=0),
    "tile": lambda x: np.tile(x, (0, 1)),
    "diagonal": lambda x: np.diagonal(x, 5),
    "flip": lambda x: np.flip(x[:0]),
    "transpose": lambda x: np.transpose(x[:0]),
    "concatenate": lambda x: np.concatenate([x[:0], x[:0]]),
    "pad": lambda x: np.pad(x[:0], ((0, 0), (1, 1))),
    "triangle": lambda x: np.tril(x[:, :0]),
    "sum": lambda x: np.sum(x[:, :0], axis=1),
}


def gradients_by_dask(function: Any, head: Any) -> tuple[Any, Any]:
    """The gradient at A for NumPy's array and for Dask's."""
    made = []
    for array, arrives in ((A, head), (dask.array.from_array(A, chunks=(2, 3)), dask.array.from_array(head))):
        x = attached(array)
        with record(), np.errstate(invalid="ignore"):
            y = function(x)
            made.append(autograd.grad(y, x, asarray(arrives)).array)
    return made[0], made[1].compute(scheduler="sync")


@pytest.mark.parametrize("name", MOVING)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_an_infinite_gradient_stays_where_it_belongs_in_dask_arrays(name: str) -> None:
    """As in NumPy's, of which test_rules.py has the truth."""
    shape = np.shape(MOVING[name](A))
    head = 1.0 + np.arange(np.prod(shape))
    head[-1] = np.nan
    head[0] = np.inf
    truth, got = gradients_by_dask(MOVING[name], head.reshape(shape))
    np.testing.assert_allclose(got, truth, rtol=1e-12)


@pytest.mark.parametrize("name", MOVING_NOTHING)
def test_nothing_of_a_dask_array_has_the_gradient_zero(name: str) -> None:
    def function(x: Any) -> Any:
        return np.exp(MOVING_NOTHING[name](x)).sum()

    _, got = gradients_by_dask(function, np.array(1.0))
    np.testing.assert_array_equal(got, np.zeros((4, 3)))


@pytest.mark.parametrize(
    "program",
    [
        lambda a: a[a > 0].sum(),
        lambda a: (2 * a[a > 0]).sum(),
        lambda a: a[a[:, 0] > 0].sum(),
        lambda a: a[:, a[0] > 0].sum(),
    ],
)
def test_what_a_mask_selects_from_dask_arrays_has_no_known_shape(program: Any) -> None:
    a = asarray(dask.array.from_array(A, chunks=(2, 3)))
    a.attach_grad()
    with record():
        y = program(a)
    with pytest.raises(errors.UnknownShapeError, match=r"np\.where\(mask, x, 0\) instead of x\[mask\]"):
        y.backward()


# ---- arrays of an unknown type ----------------------------------------------------------------------------

#: functions that make NumPy's arrays of lists or numbers among their arguments, and methods of ufuncs
UNFIT = {np.quantile, np.percentile, np.nanquantile, np.nanpercentile, np.pad, np.repeat, np.full_like}
UNFIT |= {
    np.outer,
    np.histogram,
    np.polyval,
    np.convolve,
    *(f for f in ROWS if isinstance(getattr(f, "__self__", None), np.ufunc)),
}
#: those of SciPy's that are no ufuncs take NumPy's arrays only
UNFIT |= {f for f in ROWS if name_of(f).startswith("scipy") and not isinstance(f, np.ufunc)}


@pytest.mark.parametrize("function", [f for f in ROWS if f not in UNFIT], ids=name_of)
@search.examples(1)
@given(data=st.data())
def test_rules_keep_to_the_type_of_array_that_they_are_given(function: Any, data: st.DataObject) -> None:
    """As on a GPU: nothing becomes NumPy's array or meets one, and no rule writes into an array."""
    example = data.draw(examples(function))
    expected = example.gradients(example.variables, example.head)
    paths = [p for p in every_path(example.arguments) if isinstance(at(example.arguments, p), np.ndarray)]
    strangers = [Stranger(at(example.arguments, path)) for path in paths]
    example = example._replace(arguments=put(example.arguments, paths, strangers), wrapped=False)
    leaves = [attached(v) for v in example.variables]
    with warnings.catch_warnings(), record():
        warnings.simplefilter("ignore")
        value = example.value(leaves)
    for got, truth in zip(autograd.grad(value, leaves, Stranger(example.head)), expected, strict=True):
        assert isinstance(got.array, Stranger)
        np.testing.assert_allclose(got.array.array, truth, rtol=1e-10, atol=1e-12)


# ---- CuPy -------------------------------------------------------------------------------------------------


def has_cupy() -> bool:
    if importlib.util.find_spec("cupy") is None:
        return False
    import cupy

    return bool(cupy.cuda.runtime.getDeviceCount())


@pytest.mark.skipif(not has_cupy(), reason="CUPY IS NOT TESTED: there is no CuPy with a GPU on this machine")
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", PROGRAMS)
def test_cupy_arrays(name: str, order: int) -> None:
    import cupy

    value, expected = gradients(PROGRAMS[name], A, B, order)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gpu_value, gpu_gradients = gradients(PROGRAMS[name], cupy.asarray(A), cupy.asarray(B), order)
    for got, truth in zip([gpu_value, *gpu_gradients], [value, *expected], strict=True):
        assert isinstance(got.array, cupy.ndarray), "NumPy came out"
        np.testing.assert_allclose(got.array.get(), truth.array, rtol=1e-10, atol=1e-10)
