"""Functions that make derivatives of functions: against closed forms, and against each other."""

import tracemalloc
from collections import OrderedDict
from contextlib import nullcontext
from functools import partial
from typing import Any, NamedTuple

import dask.array
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import compositions
from search import examples
from tinygrad_lr import (
    Module,
    Tensor,
    autograd,
    batching,
    compile,
    differentiable,
    errors,
    is_recording,
    is_training,
    pause,
    record,
    tensor,
)
from tinygrad_lr.func import elementwise_grad, grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from truths import central_difference

quick = examples(25)
seeds = st.integers(0, 2**16).map(np.random.default_rng)
sizes = st.integers(1, 4)


def quadratic(A: Any, x: Any) -> Any:
    return x @ A @ x / 2


def field(x: Any) -> Any:
    """A map from R^n to R^(n, 2) with a full Jacobian."""
    return np.stack([np.sin(x) * np.sum(x * x), np.exp(-x) + x[0]], axis=1)


@examples(12)
@given(compositions.programs, compositions.shapes, st.integers(0, 2**16))
@example([("concatenate", 0, 0), ("add", 0, 0), ("add", 0, 0), ("add", 7, 7)], (1,), 0)
@example(
    [("square", 0, 1), ("add", 6, 9), ("add", 3, 2), ("add", 2, 4), ("concatenate", 2, 2), ("power", 6, 9)],
    (1,),
    9,
)
def test_second_derivatives_all_at_once_are_those_one_by_one(program: Any, shape: Any, seed: int) -> None:
    x = np.asarray(np.random.default_rng(seed).normal(size=shape))

    def f(x: Any) -> Any:
        return compositions.run(program, x)

    units = np.reshape(np.eye(x.size), (x.size, *shape))
    rows = np.stack([hvp(f, x, unit) for unit in units])
    truth = np.reshape(rows, shape + shape)
    np.testing.assert_allclose(hessian(f)(x), truth, rtol=1e-9, atol=1e-11)
    compiled = compile(hessian(f))
    for _ in range(2):
        np.testing.assert_allclose(compiled(x), truth, rtol=1e-9, atol=1e-11)


@quick
@given(seeds, sizes)
def test_gradient_hessian_and_their_products_of_a_quadratic_form(rng: Any, n: int) -> None:
    A, x, v = rng.normal(size=(n, n)), rng.normal(size=n), rng.normal(size=n)
    symmetric = (A + A.T) / 2
    value, gradient = value_and_grad(quadratic, 1)(A, x)
    np.testing.assert_allclose(value, quadratic(A, x))
    np.testing.assert_allclose(gradient, symmetric @ x, atol=1e-12)
    np.testing.assert_allclose(grad(quadratic)(A, x), np.outer(x, x) / 2)
    np.testing.assert_allclose(hessian(quadratic, 1)(A, x), symmetric, atol=1e-12)
    np.testing.assert_allclose(hvp(lambda x: quadratic(A, x), x, v), symmetric @ v, atol=1e-12)
    for got, expected in zip(grad(quadratic, (0, 1))(A, x), (np.outer(x, x) / 2, symmetric @ x), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-12)


@differentiable(lambda g, y, x: g * 2 if np.all(x > 0) else g)
def by_values(x: Any) -> Any:
    return 2 * x


def cautious(g: Any) -> Any:
    try:
        return 2 * g if np.sum(g) == 1 else 0 * g
    except RuntimeError:
        return np.nan * g


without_the_answer = differentiable(lambda g, y, x: cautious(g))(by_values.__wrapped__)  # type: ignore[attr-defined]


@pytest.mark.parametrize("function", [by_values, without_the_answer])
def test_rules_that_ask_for_values_are_asked_row_by_row(function: Any) -> None:
    np.testing.assert_array_equal(jacobian(function)(np.ones(3)), 2 * np.eye(3))


@pytest.mark.parametrize("transform", [jacobian, hessian])
def test_errors_of_decompositions_are_not_lost(transform: Any) -> None:
    """In code that is compiled they are NaN; the rows of a Jacobian are not."""

    def f(a: Any) -> Any:
        vectors = np.linalg.eigh(a)[1] * np.arange(4.0).reshape(2, 2)
        return vectors if transform is jacobian else np.sum(vectors)

    with pytest.raises(np.linalg.LinAlgError, match="eigenvectors of equal eigenvalues are not determined"):
        transform(f)(np.eye(2))


@differentiable(lambda g, y, x: np.concatenate(np.split(g, 2)[::-1]))
def exchanged(x: Any) -> Any:
    return x[::-1]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.concatenate([np.split(x, 2)[1] ** 2, x[:1]]),
        lambda x: np.stack(np.split(x, 2)[::-1])[0] * x,
        lambda x: np.block([x * x, x[1]]),
        lambda x: x @ np.arange(12.0).reshape(3, 2, 2),
        lambda x: np.transpose(np.reshape(x, (1, 2, 1)) * np.arange(12.0).reshape(3, 2, 2), (2, 0, 1)),
        lambda x: np.transpose(x * np.arange(6.0).reshape(3, 2)) ** 2,
        lambda x: np.sum(np.outer(x, x * x), axis=0),
        exchanged,
    ],
)
def test_all_rows_at_once_or_one_by_one(f: Any) -> None:
    x = np.array([1.0, 2.0])
    columns = [jvp(f, [x], [unit])[1] for unit in np.eye(2)]
    np.testing.assert_allclose(jacobian(f)(x), np.stack(columns, axis=-1))


def put(g: Any) -> Any:
    made = np.zeros_like(g)
    made[...] = g
    return made


def by_rule(rule: Any, shape: tuple[int, ...]) -> Any:
    """The linear function of a matrix of shape (2, 3) that has this rule; its value has this shape."""

    def forward(x: Any) -> Any:
        units = np.reshape(np.eye(int(np.prod(shape))), (-1, *shape))
        return np.reshape([np.sum(rule(unit) * x) for unit in units], shape)

    return differentiable(lambda g, y, x: rule(g))(forward)


LEFT, RIGHT = np.arange(8.0).reshape(4, 2) - 3, np.arange(12.0).reshape(3, 4) - 5
ROWS, TALL, SIX = np.array([1, 0]), np.arange(21.0).reshape(7, 3) - 9, np.arange(1.0, 7.0).reshape(2, 3)
CHOSEN = np.array([[True, False, True], [False, False, True]])
#: functions of a gradient, and its shape; they make what has the shape (2, 3)
RULES: dict[str, tuple[Any, tuple[int, ...]]] = {
    "reshape": (lambda g: np.reshape(g, (2, 3)), (3, 2)),
    "reshape, in order F": (lambda g: np.reshape(g, (2, 3), order="F"), (3, 2)),
    "reshape, in order F by position": (lambda g: np.reshape(g, (2, 3), "F"), (3, 2)),
    "ravel, in order F": (lambda g: np.reshape(np.ravel(g, order="F"), (2, 3)), (3, 2)),
    "ravel, in order F by position": (lambda g: np.reshape(np.ravel(g, "F"), (2, 3)), (3, 2)),
    "expand_dims": (lambda g: np.expand_dims(g, -1) * np.ones(3), (2,)),
    "expand_dims, several": (
        lambda g: np.sum(np.expand_dims(g, (0, -1)) * SIX[:, None, None], (0, -2)),
        (3,),
    ),
    "squeeze": (lambda g: np.squeeze(g, -1), (2, 3, 1)),
    "squeeze, all": (lambda g: np.squeeze(g), (1, 2, 1, 3)),
    "transpose": (lambda g: np.transpose(g), (3, 2)),
    "transpose, by name": (lambda g: np.transpose(g, axes=(1, 0)), (3, 2)),
    "transpose, three by name": (lambda g: np.transpose(g, axes=(1, 2, 0))[..., 1], (4, 2, 3)),
    "transpose, three": (lambda g: np.transpose(g, (2, 0, -2))[0], (2, 3, 4)),
    "transpose, without axes": (lambda g: np.transpose(g, None), (3, 2)),
    "swapaxes": (lambda g: np.swapaxes(g, 0, 1), (3, 2)),
    "swapaxes, from the end": (lambda g: np.swapaxes(g, -1, -3)[1], (3, 2, 4)),
    "moveaxis": (lambda g: np.moveaxis(g, -1, 0), (3, 2)),
    "broadcast_to": (lambda g: np.broadcast_to(g, (2, 3)), (3,)),
    "broadcast_to, a column": (lambda g: np.broadcast_to(g, (2, 3)), (2, 1)),
    "broadcast_to, a number": (lambda g: np.broadcast_to(g, (2, 3)), ()),
    "sum": (lambda g: np.sum(g) * SIX, (2, 2)),
    "sum, an axis": (lambda g: np.sum(g, axis=1), (2, 4, 3)),
    "sum, an axis from the end": (lambda g: np.sum(g, axis=-1), (2, 3, 4)),
    "sum, an axis by position": (lambda g: np.sum(g, 0), (4, 2, 3)),
    "sum, several axes": (lambda g: np.sum(g, axis=(0, -1)), (4, 2, 3, 2)),
    "sum, axes kept": (lambda g: np.sum(g, axis=(-1,), keepdims=True) * SIX, (2, 2)),
    "sum, all axes kept": (lambda g: np.sum(g, keepdims=True) * SIX, (3, 2)),
    "sum, where": (lambda g: np.sum(g, axis=0, where=CHOSEN) * SIX, (2, 3)),
    "sum, in single precision": (lambda g: np.sum(g, axis=0, dtype=np.float32) * SIX, (4, 3)),
    "mean": (lambda g: np.mean(g, axis=(1, -2)), (2, 4, 2, 3)),
    "mean, all": (lambda g: np.mean(g) * SIX, (5,)),
    "cumsum": (lambda g: np.cumsum(g, axis=1), (2, 3)),
    "flip": (lambda g: np.flip(g, 0), (2, 3)),
    "take": (lambda g: np.take(g, [1, 0, 1], axis=1), (2, 2)),
    "concatenate": (lambda g: np.concatenate([g, 2 * g]), (1, 3)),
    "where": (lambda g: np.where(CHOSEN, g, 0), (2, 3)),
    "where not": (lambda g: np.where(CHOSEN, 0, g), (3,)),
    "where, by a row": (lambda g: np.where(CHOSEN[0], g, 2 * g), (2, 1)),
    "times a matrix": (lambda g: g * SIX, (3,)),
    "by a matrix": (lambda g: np.negative(g) / SIX + 2 * g, (2, 1)),
    "a matrix by it": (lambda g: SIX * g.astype(np.float32).astype(float), ()),
    "less than two axes": (lambda g: (g * ROWS)[:, None] * SIX, (2,)),
    "an option of an elementwise function": (lambda g: np.multiply(g, SIX, where=True), (2, 3)),
    "copies": (lambda g: np.copy(g) + np.zeros_like(g) + 0 * np.ones_like(g), (2, 3)),
    "product on the right": (lambda g: g @ TALL, (2, 7)),
    "product on the left": (lambda g: LEFT.T @ g, (4, 3)),
    "product of a vector": (lambda g: (g @ TALL) * SIX, (7,)),
    "product with a vector": (lambda g: (TALL.T @ g) * SIX, (7,)),
    "product with a vector on the right": (lambda g: (g @ ROWS)[:, None] * SIX, (2, 2)),
    "product with a vector on the left": (lambda g: ROWS @ g * SIX, (2, 3)),
    "inner product": (lambda g: (g @ TALL[:, 0]) * SIX, (7,)),
    "product with a stack": (lambda g: (g @ np.stack([TALL, 2 * TALL]))[1], (2, 7)),
    "product of a stack": (lambda g: (g @ TALL)[1], (2, 2, 7)),
    "stack on the right": (lambda g: (LEFT.T @ g)[1], (2, 4, 3)),
    "product with ones like it": (lambda g: SIX @ (np.ones_like(g).T @ g), (3, 3)),
    "elements at places made of it": (lambda g: g[np.zeros_like(g[:, 0], int)] * SIX, (2, 3)),
    "others at places made of it": (lambda g: SIX[np.zeros_like(g[:, 0], int) + 1] * g, (2, 3)),
    "product along other axes": (lambda g: np.matmul(g, TALL, axes=[(1, 0), (0, 1), (0, 1)]), (7, 2)),
    "product of a vector that is cast": (lambda g: ((2 * g).astype(float) @ TALL) * SIX, (7,)),
    "product with a vector that is cast": (lambda g: (TALL.T @ (2 * g).astype(float)) * SIX, (7,)),
    "a vector's axis by its number": (lambda g: np.transpose(g, 0) * SIX, (3,)),
    "other shapes": (lambda g: g + np.zeros_like(g, shape=(2, 1)) + np.ones_like(g, shape=()) * 0, (2, 3)),
    "axes in an array": (lambda g: np.transpose(g, np.array([1, 0])) * SIX, (3, 2)),
    "axes of None": (lambda g: np.transpose(g, None) * SIX, (3, 2)),
    "exchanged by name": (lambda g: np.swapaxes(g, axis1=1, axis2=0), (3, 2)),
    "summed by name": (lambda g: np.sum(a=g, axis=0), (4, 2, 3)),
    "summed by rows": (lambda g: np.sum(g, axis=0), (4, 2, 3)),
    "parts in another order": (lambda g: np.concatenate(np.split(g, 3)[::-1]).T * SIX, (3, 2)),
    "product with itself apart": (lambda g: np.sum(g) @ SIX if np.ndim(np.sum(g)) else np.sum(g) * SIX, (2,)),
}
INDICES: list[Any] = [
    0, -1, ..., None, slice(None, None, -1), (slice(None), 1), (..., 0), (None, 1, ..., None), (1, slice(2)),
    ROWS, [1, 1, 0], (ROWS, ROWS), (ROWS, slice(None), 1), (slice(None), ROWS), (slice(None), 0, ROWS),
    (0, slice(None), ROWS), (ROWS, slice(None), ROWS), (ROWS, None, ROWS), (..., ROWS), (None, ROWS),
    (0, ROWS), (ROWS, 0), ([0, 1], slice(None), [1, 2]), (ROWS[:, None], ROWS), (slice(1, None), [0, 2, 0]),
    np.array([True, False]), (np.array([True, False]), ROWS[:1]),
    (True, slice(None), 0), (0, True),
    (slice(None), np.array([True, True, False, False])), (0, np.array([True, False, True, False])),
]  # fmt: skip
RULES |= {
    f"g[{key}]": (lambda g, key=key: np.sum(np.arange(24.0).reshape(2, 4, 3)[key] * g[key]) * SIX, (2, 4, 3))
    for key in INDICES
}
one_sum = differentiable(lambda g, y, x: np.sum(g, axis=-1))(np.copy)
#: linear functions of a matrix of shape (2, 3): the rules of some are written in another way than the table's
LINEAR: dict[str, Any] = {
    "product on the right": lambda x: x @ RIGHT,
    "product on the left": lambda x: LEFT @ x,
    "product of a row": lambda x: RIGHT[:, 0] @ x.T,
    "product with a column": lambda x: x @ RIGHT[:, 1],
    "same product twice": lambda x: (x @ RIGHT)[0] + (x @ RIGHT)[1],
    "elements": lambda x: x[[0, 1, 0], [2, 0, 2]],
    "elements apart": lambda x: (x[:, None, :] * LEFT[:, :1])[[0, 1], :, [2, 0]],
    "mask": lambda x: x[CHOSEN],
    "row of a product": lambda x: TALL @ x[0],
    "mirrored": lambda x: np.fliplr(x) @ RIGHT,
    "upside down": lambda x: np.flipud(x) @ RIGHT,
    "turned by a quarter": lambda x: np.rot90(x),
    "lower": lambda x: np.tril(x, -1),
    "upper": lambda x: np.triu(x),
    "rolled": lambda x: np.roll(x, 1) + np.roll(x, 1, axis=0),
    "part of a product with a row": lambda x: (TALL @ x[0])[1:-2],
    "some of a product with a row": lambda x: (TALL @ x[0])[[3, 1, 1]],
    "part of a product": lambda x: (LEFT @ x)[1:, 1:],
    "part of a product, turned": lambda x: (x @ RIGHT).T[1:],
    "row of a product from the left": lambda x: x[1] @ TALL.T,
    "row of a product of single precision": lambda x: (
        (TALL @ x[0]).astype(np.float32) @ np.eye(7, 5, dtype="f")
    ),
    "in order F": lambda x: np.ravel(x, order="F") * np.ravel(np.reshape(x * 0 + 2, (3, 2), order="F")),
    "layers": lambda x: x[::-1, None, 1:],
    "other digits": lambda x: x.astype(np.float32) * np.float32(3),
    "shapes": lambda x: np.broadcast_to(np.squeeze(x.reshape(3, 1, 2), 1).ravel(), (2, 6)),
    "means": lambda x: np.mean(x, axis=-1) + np.sum(x, axis=(0, 1), keepdims=True),
    "nothing of an index": lambda x: np.sum(x[False, :, 0], axis=0) * np.ones(2),
    "an axis of a number": lambda x: np.stack([one_sum(x[0, 0]), 2 * one_sum(x[1, 1])]),
    "turned": differentiable(lambda g, y, x: np.transpose(g, (-1, -2)))(np.transpose),
    "turned back": differentiable(lambda g, y, x: np.transpose(g))(np.transpose),
    "exchanged": differentiable(lambda g, y, x: np.swapaxes(g, -1, -2))(np.transpose),
    "layered": differentiable(lambda g, y, x: np.sum(g, axis=-1))(lambda x: np.stack([x, x], -1)),
    "summed": differentiable(lambda g, y, x: np.sum(g, axis=-2, keepdims=True) * np.ones_like(x))(
        lambda x: np.zeros_like(x) + np.sum(x, axis=0)
    ),
    "written": differentiable(lambda g, y, x: put(g))(np.copy),
    "an array as an option of a constant": differentiable(
        lambda g, y, x: g * np.sum(x * 0 + 1, axis=0, where=CHOSEN)
    )(lambda x: x * np.sum(CHOSEN, axis=0)),
    "summed up": differentiable(lambda g, y, x: np.sum(g) * np.ones_like(x))(
        lambda x: np.full((4, 1), np.sum(x))
    ),
}


@pytest.mark.parametrize("most", [1 << 22, 20])
@pytest.mark.parametrize("name", LINEAR)
def test_rows_of_a_jacobian_are_gradients(name: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All at once, and also in parts where they take too much memory; to second order as well."""
    monkeypatch.setattr(batching, "MOST", most)
    f, x = LINEAR[name], np.arange(6.0).reshape(2, 3) / 4
    J, (value, pullback) = jacobian(f)(x), vjp(f, x)
    units = np.eye(value.size, dtype=value.dtype).reshape(value.size, *value.shape)
    np.testing.assert_allclose(J.reshape(-1, 2, 3), [pullback(unit)[0] for unit in units])
    np.testing.assert_allclose(np.tensordot(J, x, 2), value)
    assert J.dtype == x.dtype
    with record():
        recorded = jacobian(f)(tensor(x))
    assert isinstance(recorded, Tensor)
    np.testing.assert_array_equal(recorded.array, J)
    if most > 20:
        of_tensor = jacobian(f)(tensor(x))
        assert isinstance(of_tensor, Tensor)
        several = jacobian(lambda x, y: f(x - y), (0, 1, 0))(x, 0 * x)
        for i, one in enumerate(several):
            np.testing.assert_allclose(one, J * (-1) ** i)
            assert not any(np.may_share_memory(one, other) for other in several[:i])
    J[...] = 7  # it belongs to nothing else
    np.testing.assert_allclose(f(x), value)
    slopes, t = jacobian(lambda x: f(x * x)), np.linspace(-1, 2, 6).reshape(2, 3)
    second = np.tensordot(jacobian(slopes)(x), t, 2)
    np.testing.assert_allclose(second, (slopes(x + t) - slopes(x - t)) / 2, rtol=1e-6, atol=1e-6)


EACH = {
    **{f"x[{key}]": lambda x, key=key: np.stack([x, 2 * x, -x, x], 1)[key] for key in INDICES},
    **{name: by_rule(*how) for name, how in RULES.items()},
}


@pytest.mark.parametrize("name", EACH)
def test_whatever_a_rule_does_is_done_for_each_row(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    f, x = EACH[name], np.arange(6.0).reshape(2, 3) / 4
    value, pullback = vjp(f, x)
    units = np.eye(value.size).reshape(value.size, *value.shape)
    rows = np.reshape([pullback(unit)[0] for unit in units], (*value.shape, 2, 3))
    np.testing.assert_allclose(np.tensordot(rows, x, 2), value)
    for most in (1 << 22, 100):
        monkeypatch.setattr(batching, "MOST", most)
        np.testing.assert_allclose(jacobian(f)(x), rows)


@pytest.mark.parametrize("f", [lambda x, W: W @ x, lambda x, W: x @ W.T, lambda x, W: (x[None] @ W.T)[0]])
def test_a_jacobian_is_no_view_of_what_it_was_made_of(f: Any) -> None:
    W = RIGHT.copy()
    J = jacobian(f)(np.ones(4), W)
    np.testing.assert_array_equal(J, RIGHT)
    J += 1
    np.testing.assert_array_equal(W, RIGHT)
    V = tensor(W)
    of_tensors: Any = jacobian(f)(tensor(np.ones(4)), V)
    of_tensors += 1
    np.testing.assert_array_equal(V.array, RIGHT)


@pytest.mark.parametrize(
    "rule",
    [
        lambda g, y, x: g * np.concatenate(np.split(x, 3)[::-1]),
        lambda g, y, x: np.where(x > 1, 0 * x, g),
        lambda g, y, x: np.multiply(g, x / 3, dtype=np.float32),
        lambda g, y, x: np.add(g, 0, where=[True, False, True], out=0 * g),
    ],
    ids=["parts of the argument", "the third argument", "other digits", "a mask"],
)
def test_rows_by_a_rule_that_reads_the_argument(rule: Any) -> None:
    x = np.array([0.5, 1.5, 3.0])
    f = differentiable(rule)(lambda x: 2 * x)
    rows = [vjp(f, x)[1](unit)[0] for unit in np.eye(3)]
    np.testing.assert_array_equal(jacobian(f)(x), rows)
    np.testing.assert_array_equal(jacobian(f)(tensor(x)).numpy(), rows)


def test_jacobians_beside_what_has_no_elements() -> None:
    x = np.arange(1.0, 4.0)
    for f, shape in (
        (lambda x, y: np.concatenate([x * x, np.reshape(y, (0,))]), (0, 2)),
        (lambda x, y: x * np.sum(np.reshape(y, (0, 3)), axis=0) + x, (3, 0)),
    ):
        assert [J.shape for J in jacobian(f, (0, 1))(x, np.ones(shape))] == [(3, 3), (3, *shape)]


def test_dicts_of_any_class() -> None:
    p = OrderedDict(a=2.0, b=3.0)
    assert grad(lambda p: p["a"] * p["b"])(p) == {"a": 3.0, "b": 2.0}
    value, pullback = vjp(lambda x: OrderedDict(a=x, b=x * x), 3.0)
    assert value == {"a": 3.0, "b": 9.0}
    assert pullback({"a": 1.0, "b": 10.0}) == (61.0,)
    pair = vjp(lambda x: (x * x, [x]), 3.0)[0]
    assert pair == (9.0, [3.0])
    assert not isinstance(pair[0], Tensor)
    assert not isinstance(pair[1][0], Tensor)


@pytest.mark.parametrize("kind", [bool, np.int8, np.uint8, np.float16, np.float32, int, float])
@pytest.mark.parametrize("dtype", [np.float32, float])
def test_a_jacobian_has_the_digits_of_the_gradient(kind: Any, dtype: Any) -> None:
    """Not those of the matrix that it is: 255 + 1 is 0 in np.uint8."""
    W, x = np.array([[100, 1, 0], [2, 60, 30]]).astype(kind), np.ones(3, dtype)
    for f in (lambda x: W @ (-3 * x), lambda x: (-3 * x) @ W.T):
        J = jacobian(f)(x)
        assert J.dtype == dtype
        np.testing.assert_array_equal(J, [grad(lambda x, f=f, i=i: f(x)[i])(x) for i in range(2)])
        np.testing.assert_array_equal(jacobian(f)(tensor(x)).numpy(), J)


def test_so_many_rows_at_once_as_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if what takes the most is made between the value and the variable."""
    monkeypatch.setattr(batching, "MOST", 1 << 15)
    wide, x = np.random.default_rng(0).normal(size=(1, 1 << 11)), np.linspace(1, 2, 40)

    def f(x: Any) -> Any:
        return np.mean(np.exp(x[:, None] * wide), axis=1)

    f(x)
    tracemalloc.start()
    J = jacobian(f)(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_allclose(J, np.diag(np.mean(wide * np.exp(x[:, None] * wide), axis=1)))
    assert peak < 20 * (x.size * wide.size * 8)


def test_a_jacobian_of_an_array_of_dask_s_is_one() -> None:
    x = dask.array.ones(3, chunks=2)
    assert repr(tensor(x)).startswith("tensor(dask.array<")  # nothing is computed to print it
    for J in (jacobian(lambda x: 2 * x * x)(x), hessian(lambda x: np.sum(x**3) * 2 / 3)(x)):
        assert isinstance(J, dask.array.Array)
        np.testing.assert_array_equal(J.compute(), 4 * np.eye(3))
    for a, b in ((x, np.ones(3)), (np.ones(3), x)):
        for J in jacobian(lambda a, b: a * b, (0, 1))(a, b):
            assert isinstance(J, dask.array.Array)
            np.testing.assert_array_equal(J.compute(), np.eye(3))


def test_arguments_by_name_are_passed_on() -> None:
    def power(x: Any, y: Any, n: int = 2) -> Any:
        return y * x**n

    x = np.array([1.0, 2.0])
    assert grad(power)(2.0, 5.0, n=3) == 60
    assert value_and_grad(power)(2.0, y=5.0, n=3) == (40, 60)
    np.testing.assert_allclose(elementwise_grad(power)(x, 1.0, n=3), 3 * x**2)
    np.testing.assert_allclose(jacobian(power)(x, 1.0, n=3), np.diag(3 * x**2))
    np.testing.assert_allclose(hessian(lambda x, n: np.sum(power(x, 1.0, n)))(x, n=3), np.diag(6 * x))
    cubes = partial(power, n=3)  # which has no name
    assert grad(cubes)(2.0, 5.0) == 60
    np.testing.assert_allclose(jacobian(cubes)(x, 1.0), np.diag(3 * x**2))
    np.testing.assert_allclose(vjp(cubes, x, 1.0)[1](x)[0], 3 * x**3)
    with pytest.raises(IndexError, match=r"but functools\.partial\(.* was given 2 arguments"):
        grad(cubes, 2)(2.0, 5.0)


def test_a_rule_that_makes_the_same_of_any_gradient() -> None:
    held = differentiable(lambda g, y, x: np.zeros_like(x))(np.copy)
    np.testing.assert_array_equal(jacobian(held)(np.array([1.0, 2.0])), np.zeros((2, 2)))


@quick
@given(seeds, sizes)
def test_products_with_the_jacobian_are_products_with_the_jacobian(rng: Any, n: int) -> None:
    """Three ways to the same: rows, vᵀJ and Jt; and differences know none of them."""
    x, t, v = rng.normal(size=n), rng.normal(size=n), rng.normal(size=(n, 2))
    J = jacobian(field)(x)
    assert J.shape == (n, 2, n)
    value, pullback = vjp(field, x)
    np.testing.assert_allclose(value, field(x))
    np.testing.assert_allclose(pullback(v)[0], np.tensordot(v, J, 2), atol=1e-12)
    value, slope = jvp(field, [x], [t])
    np.testing.assert_allclose(value, field(x))
    np.testing.assert_allclose(slope, J @ t, atol=1e-12)
    truth = central_difference(lambda s: field(x + s * t))
    assert np.all(np.abs(slope - truth.value) <= truth.error + 1e-10)


@pytest.mark.parametrize("x", [0.3, -1.2])
def test_derivatives_of_derivatives(x: float) -> None:
    f: Any = np.sin
    for expected in (np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x), np.sin, np.cos):
        f = grad(f)
        np.testing.assert_allclose(f(x), expected(x), rtol=1e-13)
    np.testing.assert_allclose(grad(lambda x: grad(lambda y: x * y**3)(x))(x), 9 * x**2)  # d/dx 3 x x^2
    np.testing.assert_allclose(elementwise_grad(elementwise_grad(np.tanh))(np.array([x, 0])), [
        -2 * np.tanh(x) / np.cosh(x) ** 2, 0
    ])  # fmt: skip
    np.testing.assert_allclose(grad(lambda x: hvp(np.exp, x, 2.0))(x), 2 * np.exp(x))


class Line(NamedTuple):
    w: Any
    b: Any


def squared(line: Line, X: Any, y: Any) -> Any:
    return np.mean((X @ line.w + line.b - y) ** 2) / 2


def test_nestings_keep_their_form() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(9, 2)), rng.normal(size=9)
    line = Line(np.array([1.0, 2.0]), 0.5)
    residual = X @ line.w + line.b - y
    got = grad(squared)(line, X, y)
    assert isinstance(got, Line)
    np.testing.assert_allclose(got.w, X.T @ residual / 9)
    np.testing.assert_allclose(got.b, np.mean(residual))
    second = hessian(squared)(line, X, y)
    np.testing.assert_allclose(second.w.w, X.T @ X / 9)
    np.testing.assert_allclose(second.w.b, np.mean(X, axis=0))
    np.testing.assert_allclose(second.b.w, np.mean(X, axis=0))
    np.testing.assert_allclose(second.b.b, 1)
    nested = grad(lambda p: p["a"][0] * p["a"][1]["c"] ** 2)({"a": [2.0, {"c": 3.0}], "unused": np.ones(2)})
    assert nested == {"a": [9, {"c": 12}], "unused": pytest.approx(np.zeros(2))}
    product = hvp(lambda p: p[0] * p[1] ** 2, (2.0, 3.0), (1.0, -1.0))
    assert product == (-6, 6 - 4)


def test_a_module_stands_for_its_parameters() -> None:
    class Model(Module):
        def __init__(self) -> None:
            super().__init__()
            self.w, self.b = tensor([1.0, 2.0]), tensor(0.5)
            for parameter in (self.w, self.b):
                parameter.attach_grad()

        def forward(self, X: Any) -> Any:
            return X @ self.w + self.b

    model, X = Model(), np.array([[1.0, 2.0], [3.0, 4.0]])
    gradient = grad(lambda model: np.sum(model(X) ** 2))(model)
    residual = X @ [1, 2] + 0.5
    assert list(gradient) == ["w", "b"]
    np.testing.assert_allclose(gradient["w"], 2 * X.T @ residual)
    np.testing.assert_allclose(gradient["b"], 2 * np.sum(residual))
    nested = grad(lambda p: p["scale"] * np.sum(p["models"][0](X) ** 2))({"models": [model], "scale": 3.0})
    assert nested == {
        "models": [{"w": pytest.approx(3 * gradient["w"]), "b": pytest.approx(3 * gradient["b"])}],
        "scale": pytest.approx(np.sum(residual**2)),
    }
    J = np.append(X, np.ones((2, 1)), axis=1)
    second = hessian(lambda model: np.sum(model(X) ** 2))(model)
    np.testing.assert_allclose(np.block([[second["w"]["w"], second["w"]["b"][:, None]]]), 2 * J.T[:2] @ J)
    np.testing.assert_allclose(np.append(second["b"]["w"], second["b"]["b"]), 2 * J.T[2] @ J)
    t = {"b": 0.5, "w": np.array([1.0, -1.0])}
    np.testing.assert_allclose(jvp(lambda model: model(X), [model], [t])[1], J @ [1, -1, 0.5])
    product = hvp(lambda model: np.sum(model(X) ** 2), model, t)
    np.testing.assert_allclose(np.append(product["w"], product["b"]), 2 * J.T @ J @ [1, -1, 0.5])
    assert not np.any(model.w.grad.array)  # nothing was stored
    model.w.attach_grad("null")
    frozen = grad(lambda model: np.sum(model(X) ** 2))(model)
    np.testing.assert_array_equal(frozen["w"], [0, 0])
    assert frozen["b"] == gradient["b"]


def test_what_does_not_depend_has_the_derivative_zero() -> None:
    x = np.array([1.0, 2.0])
    np.testing.assert_array_equal(grad(lambda x: 3.0)(x), [0, 0])
    np.testing.assert_array_equal(grad(lambda x, y: np.sum(y), (0, 1))(x, x)[0], [0, 0])
    np.testing.assert_array_equal(jacobian(lambda x: np.ones(3))(x), np.zeros((3, 2)))
    np.testing.assert_array_equal(hessian(lambda x: np.sum(3 * x))(x), np.zeros((2, 2)))
    np.testing.assert_array_equal(jacobian(lambda x: x[:0])(x), np.zeros((0, 2)))
    np.testing.assert_array_equal(grad(lambda x: np.sum(x > 0))(x), [0, 0])
    assert jvp(lambda x: np.array(2.0), [x], [x]) == (2, 0)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtypes_stay(dtype: Any) -> None:
    x = np.array([1.0, 2.0], dtype)
    value, gradient = value_and_grad(lambda x: np.sum(x * x))(x)
    assert type(value) is dtype
    assert type(gradient) is np.ndarray
    assert gradient.dtype == jacobian(np.square)(x).dtype == hessian(lambda x: np.sum(x**3))(x).dtype == dtype
    assert jacobian(lambda x: x[:0])(x).dtype == jacobian(lambda x: np.ones(3))(x).dtype == dtype
    assert grad(lambda x: 3.0)(x).dtype == elementwise_grad(np.exp)(x).dtype == dtype
    one_by_one = jacobian(lambda x: np.stack([np.cumsum(x), x], axis=1))(x)
    np.testing.assert_array_equal(one_by_one, [[[1, 0], [1, 0]], [[1, 1], [0, 1]]])
    assert one_by_one.dtype == jacobian(lambda x: x * x * x + np.flip(x))(x).dtype == dtype
    assert vjp(np.sin, x)[1](x)[0].dtype == jvp(np.sin, [x], [x])[1].dtype == dtype
    assert hvp(lambda x: np.sum(x**3), x, x).dtype == dtype


@pytest.mark.parametrize("made", [(0,), (0, 3), (2, 0)], ids=repr)
@pytest.mark.parametrize("shape", [(), (2,), (2, 3), (0,)], ids=repr)
def test_jacobians_of_nothing_have_the_shape_of_any(made: Any, shape: Any) -> None:
    x = np.ones(shape)
    for f in (lambda x: np.resize(x, made), lambda x: np.sum(x) * np.ones(made), lambda x: np.ones(made)):
        assert jacobian(f)(x).shape == (*made, *shape)
        assert hessian(lambda x, f=f: np.sum(f(x)))(x).shape == 2 * shape


@pytest.mark.parametrize("dtype", [bool, *"bBhHiIlLqQ"])
def test_whole_numbers_count_as_floating_ones(dtype: Any) -> None:
    """Of double precision, however short they are: a gradient may be no whole number, or a large one."""
    assert grad(lambda x: x**2)(3) == 6
    x = np.array([0, 1], dtype)

    def cubes(x: Any) -> Any:
        return 1000 * x**3 / 7

    def total(x: Any) -> Any:
        return np.sum(cubes(x))

    slope, curvature = np.array([0, 3000 / 7]), np.array([0, 6000 / 7])
    for got, expected in (
        (grad(total)(x), slope),
        (value_and_grad(total)(x)[1], slope),
        (elementwise_grad(cubes)(x), slope),
        (jacobian(cubes)(x), np.diag(slope)),
        (jvp(cubes, [x], [x])[1], slope),
        (vjp(cubes, x)[1](x)[0], slope),
        (hessian(total)(x), np.diag(curvature)),
        (hvp(total, x, x), curvature),
    ):
        assert got.dtype == np.float64
        np.testing.assert_allclose(got, expected, rtol=1e-15)


@pytest.mark.parametrize("x", [None, "2", ["2", None], {"x": object()}, np.array([1, 2], object)])
@pytest.mark.parametrize("transform", [grad, elementwise_grad, value_and_grad, jacobian, hessian])
def test_what_is_no_number_has_no_derivative(transform: Any, x: Any) -> None:
    """Also where it could be cast: None would be NaN."""
    with pytest.raises(
        errors.NotFloatingError, match=r"a tensor of shape .*, dtype (object|<U1) cannot have"
    ):
        transform(lambda x: 1.0)(x)


@pytest.mark.parametrize("made", [np.matrix, np.ma.array])
@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_arguments_with_operators_of_their_own_are_errors(made: Any) -> None:
    """With an array in its place, the function would be another one."""
    x = made([[1.0, 2.0], [3.0, 4.0]])

    def f(x: Any) -> Any:
        return np.sum(x * x)

    for call in (
        lambda: grad(f)(x),
        lambda: value_and_grad(lambda y, p: f(p["x"][0]), 1)(1.0, {"x": [x]}),
        lambda: hessian(f)(x),
        lambda: vjp(f, x),
        lambda: jvp(f, [np.ones((2, 2))], [x]),
    ):
        with pytest.raises(TypeError, match=r"has operators of its own: pass np\.asarray"):
            call()


def test_a_rule_that_reads_a_gradient() -> None:
    """As it is when the rows are made."""
    w, x = tensor([2.0, 5.0]), np.array([1.0, 2.0])
    w.attach_grad()
    scaled = differentiable(lambda g, y, x: 0 * w * g + g * w.grad)(lambda x: x * w.grad.array)
    for factors in ([3.0, 7.0], [1.0, -1.0]):
        w.grad = factors
        for at in (x, tensor(x)):
            np.testing.assert_array_equal(tensor(jacobian(scaled)(at)).array, np.diag(factors))


def test_arguments_are_neither_attached_nor_written() -> None:
    x = np.array([1.0, 2.0])
    x.flags.writeable = False
    t = tensor([1.0, 2.0])
    assert type(grad(lambda x: np.sum(np.exp(x)))(x)) is np.ndarray
    result = grad(lambda x: np.sum(np.exp(x)))(t)
    np.testing.assert_allclose(result.array, np.exp(t.array))
    assert t.grad is None


def test_inside_record_the_derivative_is_recorded() -> None:
    x = tensor([1.0, 2.0])
    x.attach_grad()
    with record():
        y = (grad(lambda x: np.sum(x**3))(x) * [1, 10]).sum()
    np.testing.assert_array_equal(autograd.grad(y, x).array, [6, 120])


def test_a_gradient_of_more_than_one_number_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"value of square has shape \(2,\).*Sum it, or use jacobian"):
        grad(np.square)(np.ones(2))
    with pytest.raises(ValueError, match=r"value of .* is a nesting"):
        grad(lambda x: [x])(1.0)
    with pytest.raises(TypeError, match="complex"):
        grad(np.abs)(1j)


def test_of_an_attached_tensor_outside_record() -> None:
    x = tensor([1.0, 2.0])
    x.attach_grad()
    np.testing.assert_array_equal(grad(lambda z: np.sum(z**2))(x).array, [2, 4])
    with record():
        y = x * 3
    np.testing.assert_array_equal(grad(lambda z: np.sum(z**2))(y).array, [6, 12])
    assert not np.any(x.grad.array)


CURVED: dict[str, Any] = {
    "products": lambda a: np.prod(a, axis=0),
    "powers": lambda a: a ** np.transpose(a),
    "several results": lambda a: np.concatenate([np.ravel(part) for part in np.divmod(a, 0.7)]),
    "singular values": lambda a: np.linalg.svd(a)[1],
    "singular values alone": np.linalg.svdvals,
    "eigenvalues": lambda a: np.linalg.eigvalsh(a + a.T),
    "an inverse": np.linalg.inv,
    "a solution": lambda a: np.linalg.solve(a, a[0] ** 2),
    "a least squares solution": lambda a: np.linalg.lstsq(a[:, :2], a[:, 2], rcond=None)[0],
    "a determinant": lambda a: np.linalg.det(a) * a[0],
    "a norm": lambda a: np.linalg.norm(a, "nuc") * a[0],
    "orthogonal": lambda a: np.linalg.qr(a)[0],
    "variances": lambda a: np.var(a, axis=1, ddof=1),
    "medians": lambda a: np.median(a, axis=1),
    "running products": lambda a: np.cumprod(a, axis=1),
    "the greatest": lambda a: np.max(a, axis=1),
    "where": lambda a: np.where(a > 1, a**2, np.sin(a)),
    "sums of exponentials": lambda a: np.logaddexp.reduce(a),
    "convolution": lambda a: np.convolve(a[0], a[1]),
    "interpolation": lambda a: np.interp(a[0], [0.0, 1.0, 3.0], a[1]),
    "several contracted": lambda a: np.einsum("ij,jk,kl->il", a, a, a),
}


@pytest.mark.parametrize("name", CURVED)
def test_jacobians_of_curved_functions_are_made_of_gradients(name: str) -> None:
    f, a = CURVED[name], np.random.default_rng(0).uniform(0.5, 2, (3, 3))
    value, pullback = vjp(f, a)
    rows = [pullback(unit)[0] for unit in np.reshape(np.eye(value.size), (-1, *value.shape))]
    np.testing.assert_allclose(np.reshape(jacobian(f)(a), (-1, 3, 3)), rows, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "reshape",
            "expand_dims",
            "squeeze, all",
            "transpose",
            "transpose, three",
            "swapaxes",
            "broadcast_to",
        ),
        *(
            "sum",
            "sum, several axes",
            "sum, axes kept",
            "mean",
            "mean, all",
            "where",
            "times a matrix",
            "copies",
        ),
        *("product on the right", "product on the left", "product of a vector", "product with a vector"),
        *(f"g[{key}]" for key in (0, (slice(None), 1), ROWS)),
    ],
)
def test_the_rows_of_a_jacobian_are_made_all_at_once(name: str) -> None:
    """A rule is called once for all of them."""
    calls: list[Any] = []

    def rule(g: Any, y: Any, x: Any) -> Any:
        calls.append(g)
        return 3 * g

    f, triple, x = by_rule(*RULES[name]), differentiable(rule)(lambda x: 3 * x), np.arange(6.0).reshape(2, 3)
    np.testing.assert_allclose(jacobian(lambda x: f(triple(x)))(x), 3 * jacobian(f)(x))
    assert len(calls) == 1


WAYS: dict[str, Any] = {
    "grad": lambda x, y, v: grad(lambda x, y: np.sum(x**3 * y), (0, 1))(x, y),
    "value_and_grad": lambda x, y, v: value_and_grad(lambda x, y: np.sum(x**3 * y))(x, y),
    "elementwise_grad": lambda x, y, v: elementwise_grad(lambda x, y: x**3 * y)(x, y),
    "jacobian": lambda x, y, v: jacobian(lambda x, y: x**3 * y, (0, 1))(x, y),
    "jacobian of nothing": lambda x, y, v: jacobian(lambda x, y: (x * y)[:0])(x, y),
    "nested": lambda x, y, v: tuple(grad(lambda p: np.sum(p["x"] ** 3 * p["y"][0]))({"x": x, "y": [y]})["y"]),
    "hessian": lambda x, y, v: hessian(lambda x, y: np.sum(x**3 * y))(x, y),
    "hvp": lambda x, y, v: hvp(lambda x: np.sum(x**3), x, y),
    "jvp": lambda x, y, v: jvp(lambda x, y: x**3 * y, (x, y), (v, v))[1],
    "vjp": lambda x, y, v: vjp(lambda x, y: x**3 * y, x, y)[1](v),
    "vjp's value": lambda x, y, v: vjp(lambda x, y: x**3 * y, x, y)[0],
}


@pytest.mark.parametrize("way", WAYS)
def test_tensors_come_out_where_one_goes_in(way: str) -> None:
    """Whichever of the arguments it is, and inside record(); arrays otherwise."""
    arrays = np.array([1.0, 2.0]), np.array([3.0, 5.0]), np.array([7.0, -1.0])
    expected = WAYS[way](*arrays)
    expected = expected if isinstance(expected, tuple) else (expected,)
    assert all(isinstance(part, (np.ndarray, np.generic)) for part in expected)
    used = {"jvp": 3, "vjp": 3}.get(way, 2)
    for number in range(2**used):
        args = [tensor(a) if number >> i & 1 else a for i, a in enumerate(arrays)]
        for scope in (record, pause) if number else (record,):
            with scope():
                made = WAYS[way](*args)
            made = made if isinstance(made, tuple) else (made,)
            for part, truth in zip(made, expected, strict=True):
                assert isinstance(part, Tensor), (number, scope)
                np.testing.assert_allclose(part.array, truth)


def test_a_jacobian_of_determinants_of_singular_matrices() -> None:
    """Compiled code cannot tell them from others, and does not take them."""
    for a in (np.ones((2, 2)), np.zeros((3, 3)), np.diag([1.0, 2.0, 0.0])):
        J = jacobian(lambda a: np.linalg.det(a) * np.array([1.0, -2.0]))(a)
        np.testing.assert_allclose(J, np.multiply.outer([1, -2], grad(np.linalg.det)(a)))


def test_arguments_counted_from_the_end() -> None:
    assert grad(lambda a, b: a * b, argnums=-1)(2.0, 3.0) == 2
    assert grad(lambda a, b: a * b, argnums=(0, -1))(2.0, 3.0) == (3, 2)
    with pytest.raises(IndexError, match=r"argnums=1, but .* was given 1 arguments by position"):
        grad(lambda a, b: a, argnums=1)(1.0, b=2.0)


TRANSFORMS: dict[str, Any] = {
    "grad": grad,
    "value_and_grad": lambda f, argnums: lambda *args: value_and_grad(f, argnums)(*args)[1],
    "elementwise_grad": elementwise_grad,
    "jacobian": jacobian,
    "hessian": lambda f, argnums: (
        lambda *args: hessian(
            lambda *xs: sum(a * x for a, x in zip(args, xs, strict=True)) ** 2 / 2, argnums
        )(*args)
    ),
}


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_every_way_to_say_which_arguments(transform: Any) -> None:
    """One by a number, from either end; several by a list or tuple, each as often as it is there."""
    args = 2.0, 3.0, 5.0

    def f(*args: Any) -> Any:
        return 7 * args[0] + 11 * args[1] + 13 * args[2]

    slopes = (7, 11, 13) if transform is not TRANSFORMS["hessian"] else None
    for i in range(-3, 3):
        for position in (i, np.int64(i), np.int8(i)):
            got = transform(f, position)(*args)
            assert got == (slopes[i] if slopes else args[i] ** 2)
            assert not isinstance(got, tuple)
    for several in ((0, 2), [2, 0], (0, -3), [1, 1, 1], (-1,), np.array([2, 1]), range(3), ()):
        got = transform(f, several)(*args)
        if slopes:
            assert got == tuple(slopes[i] for i in several)
        else:
            assert got == tuple(tuple(args[i] * args[j] for j in several) for i in several)
    for outside in (3, -4, np.int64(3), (0, 3), [-4]):
        with pytest.raises(IndexError, match=r"argnums=-?\d, but .* was given 3 arguments by position"):
            transform(f, outside)(*args)


def test_dicts_are_paired_by_key() -> None:
    p, v = {"a": 2.0, "b": 3.0}, {"b": 10.0, "a": 1.0}
    assert jvp(lambda p: p["a"] * p["b"], [p], [v])[1] == 1 * 3 + 10 * 2
    assert hvp(lambda p: p["a"] ** 2 * p["b"], p, v) == {"a": 46, "b": 4}


@pytest.mark.parametrize("shape", [(), (2,)], ids=str)
@pytest.mark.parametrize("kind", [np.array, tensor])
@pytest.mark.parametrize(("function", "slope"), [(np.exp, np.exp), (np.sin, np.cos)])
def test_a_pullback_remembers_its_own_values(
    function: Any, slope: Any, kind: Any, shape: tuple[int, ...]
) -> None:
    """Also of one number, and of what is inside of something; and it may be asked again."""
    x, inside = (kind(np.full(shape, number)) for number in (1.0, 2.0))
    (value, more), pullback = vjp(lambda x, p: (function(x), function(p["a"][0])), x, {"a": [inside]})
    expected = [slope(np.full(shape, number)) for number in (1.0, 2.0)]
    for changed in (x, inside, value, more):
        if not isinstance(changed, np.generic):
            changed[...] = 9
    for _ in range(2):
        by_x, by_p = pullback((np.ones(shape), np.ones(shape)))
        for got, truth in zip((by_x, by_p["a"][0]), expected, strict=True):
            assert isinstance(got, Tensor) == (kind is tensor)
            np.testing.assert_array_equal(tensor(got).array, truth)


def test_inside_record_captured_tensors_keep_their_gradient() -> None:
    w = tensor([1.0, 2.0])
    w.attach_grad()
    with record():
        value, gradient = value_and_grad(lambda z: np.sum(z * w**2))(np.array([3.0, 4.0]))
        loss = value + np.sum(gradient)
    loss.backward()
    np.testing.assert_array_equal(w.grad.array, [2 * 3 + 2, 4 * 4 + 4])


#: of a function and an array, their derivatives along the ones, if it is (w x)**3 in each element
DERIVATIVES_OF: dict[str, Any] = {
    "grad": lambda f, x: grad(lambda x: np.sum(f(x)))(x),
    "value_and_grad": lambda f, x: value_and_grad(lambda x: np.sum(f(x)))(x)[1],
    "elementwise_grad": lambda f, x: elementwise_grad(f)(x),
    "jacobian": lambda f, x: np.sum(jacobian(f)(x), axis=1),
    "jacobian, row by row": lambda f, x: np.sum(jacobian(lambda x: np.cumsum(f(x))[::-1])(x), axis=1)[0],
    "hessian": lambda f, x: np.sum(hessian(lambda x: np.sum(f(x) * x))(x), axis=1) / 4 * x,
    "vjp": lambda f, x: vjp(f, x)[1](np.ones(2))[0],
    "jvp": lambda f, x: jvp(f, [x], [np.ones(2)])[1],
    "hvp": lambda f, x: hvp(lambda x: np.sum(f(x) * x), x, np.ones(2)) / 4 * x,
}


@pytest.mark.parametrize("name", DERIVATIVES_OF)
def test_what_is_captured_by_a_function_is_recorded(name: str) -> None:
    """Inside record(), also where what the function is given are arrays."""
    w, x = tensor([2.0, -1.0]), np.array([3.0, 5.0])
    w.attach_grad()
    for at in (x, tensor(x)):
        with record():
            loss = np.sum(DERIVATIVES_OF[name](lambda x: (w * x) ** 3, at))
        loss.backward()
        expected = 9 * w.array**2 * x**2
        if name in ("hessian", "hvp"):
            expected = expected * x
        np.testing.assert_allclose(w.grad.array, expected)
        made = DERIVATIVES_OF[name](lambda x: (w * x) ** 3, at)
        assert isinstance(made, Tensor) == isinstance(at, Tensor)


def test_values_that_are_nestings() -> None:
    def f(x: Any) -> Any:
        return {"twice": 2 * x, "square": x**2}

    x, t = np.array([1.0, 3.0]), np.array([1.0, -1.0])
    value, slope = jvp(f, [x], [t])
    np.testing.assert_array_equal(value["square"], x**2)
    np.testing.assert_array_equal(slope["twice"], 2 * t)
    np.testing.assert_array_equal(slope["square"], 2 * x * t)
    _, pullback = vjp(f, x)
    for one, other in ((t, t), (tensor(t), t), (t, tensor(t))):
        gradient = pullback({"square": one, "twice": other})[0]
        assert isinstance(gradient, Tensor) != (one is other)
        np.testing.assert_array_equal(tensor(gradient).array, 2 * t + 2 * x * t)


def test_the_gradient_of_a_sum_of_all_parts() -> None:
    """Of functions that work element by element, and make several of each; also numbers and nothing."""
    x = np.array([1.0, 3.0])
    for f in (lambda x: {"square": x**2, "more": [x**3, 5.0]}, lambda x: (x**2, [], x**3)):
        np.testing.assert_array_equal(elementwise_grad(f)(x), 2 * x + 3 * x**2)
    np.testing.assert_array_equal(elementwise_grad(lambda x: [])(x), [0, 0])


@pytest.mark.parametrize("nested", [lambda x: {"a": x}, lambda x: [x], lambda x: (x,), lambda x: ()])
def test_the_gradient_of_a_nesting_is_an_error(nested: Any) -> None:
    for of in (grad, value_and_grad, lambda f: hessian(f), lambda f: lambda x: hvp(f, x, x)):
        with pytest.raises(ValueError, match=r"is that of one number, but the value of .* is a nesting"):
            of(nested)(1.0)


def test_vectors_of_another_form_are_errors() -> None:
    with pytest.raises(ValueError, match=r"vector of shape \(3, 2\) for an argument of shape \(2,\)"):
        hvp(lambda x: np.sum(x**3), np.ones(2), np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"vector of shape \(3,\) for an argument of shape \(2,\)"):
        hvp(lambda x: np.sum(3 * x), np.ones(2), np.ones(3))
    with pytest.raises(ValueError, match=r"vector of shape \(\) for an argument of shape \(2,\)"):
        hvp(lambda x: np.sum(3 * x), np.ones(2), 1.0)
    with pytest.raises(ValueError, match=r"vector of shape \(2, 1\) for an argument of shape \(2,\)"):
        hvp(lambda x: np.sum(x**3), np.ones(2), np.ones((2, 1)))
    with pytest.raises(ValueError, match="2 arguments need 2 tangents, not 1"):
        jvp(lambda a, b: a * b, [1.0, 2.0], [1.0])


FORMS: dict[str, tuple[Any, list[Any]]] = {
    "a dict": (
        {"u": 1.0, "v": 2.0},
        [{"u": 1.0}, {"u": 1.0, "v": 2.0, "w": 3.0}, {"u": 1.0, "w": 2.0}, [1.0, 2.0], 1.0, {}],
    ),
    "a list": ([1.0, 2.0], [[1.0], [1.0, 2.0, 3.0], {0: 1.0, 1: 2.0}, np.ones(2), 1.0, ()]),
    "a tuple": ((1.0, [2.0]), [(1.0,), (1.0, [2.0], 3.0), (1.0, [2.0, 3.0]), (1.0, 2.0), (1.0, [])]),
    "a dict in another order": ({"v": 1.0, "u": 2.0}, [{"u": 1.0}, {"v": 1.0, "w": 2.0}]),
    "a dict of lists": ({"u": [1.0, 2.0]}, [{"u": [1.0]}, {"u": [1.0, 2.0, 3.0]}, {"u": {}}, [[1.0, 2.0]]]),
}


def leaves_of(tree: Any) -> list[Any]:
    """In the order of the keys."""
    if isinstance(tree, dict):
        return [leaf for key in sorted(tree) for leaf in leaves_of(tree[key])]
    return [leaf for part in tree for leaf in leaves_of(part)] if isinstance(tree, (list, tuple)) else [tree]


@pytest.mark.parametrize(("form", "others"), FORMS.values(), ids=FORMS)
def test_vectors_in_the_form_of_another_nesting_are_errors(form: Any, others: list[Any]) -> None:
    """Too few parts or too many, other keys, another kind: in arguments and in values, at any depth."""

    def squares(tree: Any) -> Any:
        return sum(leaf**2 for leaf in leaves_of(tree))

    def same(tree: Any) -> Any:
        if isinstance(tree, dict):
            return {key: same(part) for key, part in tree.items()}
        return [same(part) for part in tree] if isinstance(tree, (list, tuple)) else 3 * tree

    _, pullback = vjp(same, form)
    assert leaves_of(pullback(form)[0]) == [3 * leaf for leaf in leaves_of(form)]
    assert leaves_of(hvp(squares, form, form)) == [2 * leaf for leaf in leaves_of(form)]
    for other in others:
        for call in (
            lambda other=other: pullback(other),
            lambda other=other: hvp(squares, form, other),
            lambda other=other: jvp(squares, [form], [other]),
        ):
            with pytest.raises(ValueError, match=r"a vector in the form of a.*, for a|of shape|has shape"):
                call()


@pytest.mark.parametrize("transform", [grad, value_and_grad, hessian, lambda f: lambda x: hvp(f, x, x)])
def test_only_one_number_has_a_gradient(transform: Any) -> None:
    """An array with one element is none."""
    x = np.array([1.0, 2.0])
    transform(lambda x: np.sum(x * x))(x)
    for shape in ((1,), (1, 1), (0,), (2,)):
        with pytest.raises(ValueError, match=r"shape"):
            transform(lambda x, shape=shape: np.resize(x * x, shape) if shape != (0,) else x[:0])(x)


@pytest.mark.parametrize("transform", [grad, elementwise_grad, value_and_grad, jacobian, hessian])
def test_a_gradient_by_what_does_not_matter_is_a_tensor_too(transform: Any) -> None:
    """Among tensors, or while things are recorded."""

    def f(x: Any, unused: Any) -> Any:
        return np.sum(x * x)

    for x in (tensor([1.0, 2.0]), np.array([1.0, 2.0])):
        with record() if isinstance(x, np.ndarray) else nullcontext():
            made = transform(f, 1)(x, x)
        assert isinstance(made[1] if transform is value_and_grad else made, Tensor)
    plain = transform(f, 1)(np.ones(2), np.ones(2))
    assert isinstance(plain[1] if transform is value_and_grad else plain, np.ndarray)


def test_a_zero_keeps_its_sign_in_a_derivative_of_a_derivative() -> None:
    x = tensor(-0.0)
    x.attach_grad()
    with record(), np.errstate(divide="ignore"):
        value, slope = value_and_grad(lambda x: np.copysign(2.0, x) * x)(x)
    assert np.signbit(value.array) == np.signbit(np.float64(-2.0) * -0.0)
    assert slope.item() == -2


@pytest.mark.parametrize(
    "transform",
    [
        *(grad, value_and_grad, elementwise_grad, jacobian, hessian),
        lambda f: lambda x: vjp(f, x),
        lambda f: lambda x: jvp(f, (x,), (x,)),
        lambda f: lambda x: hvp(f, x, x),
    ],
)
def test_what_is_differentiated_is_trained(transform: Any) -> None:
    """As in record(): what behaves otherwise in training does so."""
    asked = []

    def f(x: Any) -> Any:
        asked.append((is_training(), is_recording()))
        return np.sum(x * x)

    transform(f)(np.array([1.0, 2.0]))
    assert set(asked) == {(True, True)}
