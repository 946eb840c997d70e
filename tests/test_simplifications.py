"""What compiled code does in another way than it was written: results are those of eager code, in every form.

A function runs eagerly, traced, compiled, and as its source in both forms. Compared are its results, with
dtype, shape and the signs of zeros, and what it writes into its arguments.
"""

import contextlib
import itertools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search import examples
from tinygrad_lr import Tensor, blocks, record, tensor
from tinygrad_lr.compiler import compile
from tinygrad_lr.errors import TraceError


def parts(value: Any) -> list[Any]:
    """The arrays in a nesting."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [a for part in value for a in parts(part)]
    return [np.asarray(value.array if isinstance(value, Tensor) else value)]


def assert_same(got: Any, expected: Any, digits: float = 16) -> None:
    """Equal to rounding, however large or small, with dtype, shape and the signs of zeros."""
    for a, b in zip(parts(got), parts(expected), strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        if a.tobytes() == b.tobytes():
            continue
        if b.dtype.kind == "c":
            assert_same([a.real, a.imag], [b.real, b.imag], digits)
            continue
        rtol = digits * float(np.finfo(b.dtype).eps) if b.dtype.kind == "f" else 0
        np.testing.assert_allclose(a, b, rtol=rtol)
        if b.dtype.kind == "f":
            zeros = b == 0
            np.testing.assert_array_equal(np.signbit(a)[zeros], np.signbit(b)[zeros])


def check(function: Callable[..., Any], *calls: tuple[Any, ...]) -> Any:
    """Compare all forms for every call; the first one is traced, the others use its program."""
    compiled = compile(function)
    compiled.name = "f"
    truths = []
    with np.errstate(all="ignore"):
        for arrays in calls:
            eager = [tensor(a) if isinstance(a, np.ndarray) else a for a in arrays]
            truths.append((arrays, function(*eager), eager))
        for i, (arrays, truth, eager) in enumerate((*truths, *truths)):
            forms = [compiled]
            if i >= len(calls):
                space: dict[str, dict[str, Any]] = {"source": {}, "executed": {}}
                for form in space:
                    exec(getattr(compiled, form), space[form])
                captured = compiled._last.program.captured  # small ones are written out
                large = {v.name: v.source for v in captured if v.source.size > 16}
                forms += [lambda *a, f=made["f"], large=large: f(*a, **large) for made in space.values()]
            for form in forms:
                given = [np.copy(a) if isinstance(a, np.ndarray) else a for a in arrays]
                assert_same(form(*given), truth)
                assert_same(given, eager)
    assert compiled.traces == 1
    return compiled


# ---- numbers beside arrays --------------------------------------------------------------------------------

f16, f32, f64, inf, nan = np.float16, np.float32, np.float64, np.inf, np.nan
NUMBERS: dict[str, list[Any]] = {
    "d": [0, 1, 2, -1, True, 0.0, -0.0, 1.0, 0.1, 1e-310, 1e-200, 1e308, inf, nan, f32(0.1), f64(2), -inf],
    "f": [2, 1.0, -0.0, 0.1, 1e-40, 1e5, 1e-200, f16(3), f32(0.1), f32(1e-40), f32(1),
          *map(f64, (0, 0.1, 1, 2))],
    "e": [0.1, 1e-7, 2, -0.0, f16(3), f64(0.1), np.array(0.5), np.array(2, "f")],
    "g": [3, 0.1],
    "q": [2, 1, 0, -1, True, 1.0, 2.0, f32(0.1), np.int8(2)],
    "b": [2, True, np.int64(3)],
    "B": [2, 1, 0, True],
    "?": [2, 1, 0, True, False],
}  # fmt: skip
BESIDE: list[Callable[[Any, Any], Any]] = [
    lambda x, k: x * k,
    lambda x, k: k * x,
    lambda x, k: x / k,
    lambda x, k: k / x,
    lambda x, k: x**k,
    lambda x, k: k**x,
    lambda x, k: x // k,
    lambda x, k: k % x,
    lambda x, k: (x < k) | (k == x),
    lambda x, k: np.arctan2(k, x) + np.hypot(x, k),
    lambda x, k: np.ldexp(x, k),
    lambda x, k: np.ldexp(k, (x > 0).astype(np.int8)),
    lambda x, k: np.logical_xor(x, k),
    lambda x, k: x + k,
    lambda x, k: k + x,
    lambda x, k: x - k,
    lambda x, k: k - x,
    lambda x, k: (x * k) * k,
    lambda x, k: k * (3 * x),
    lambda x, k: 0.5 * (k * x),
    lambda x, k: (k * x) / k,
    lambda x, k: (x / k) * k,
    lambda x, k: -(k * x),
    lambda x, k: (-x) * k,
    lambda x, k: x | k,
    lambda x, k: k & x,
    lambda x, k: np.logical_or(x, k),
    lambda x, k: np.logical_and(k, x),
    lambda x, k: np.where(x > 0, x, k),
    lambda x, k: np.where(x > 0, k, x),
    lambda x, k: 1 / np.where(x > 0, x, k),
    lambda x, k: np.where(x == 0, k, x) * 2,
    lambda x, k: np.where(np.where(x > 1, k, 0), x, 3) + 1,
    lambda x, k: np.where(np.where(x > 1, 0, k), x, 3) + 1,
    lambda x, k: np.where(np.logical_not(np.where(x > 1, k, 0)), x, 3) + 1,
    lambda x, k: np.maximum(x, k),
    lambda x, k: np.minimum(k, x),
    lambda x, k: np.broadcast_to(k, np.shape(x)) * x,
    lambda x, k: x / np.broadcast_to(np.reshape(x.dtype.type(k), (1,)), np.shape(x)),
    lambda x, k: np.full_like(x, k) * x,
    lambda x, k: np.copysign(x, k),
    lambda x, k: np.sum(k * x * x.dtype.type(1)),
    lambda x, k: np.mean(k * x),
    lambda x, k: np.sum(np.stack([k * x, x]), axis=0),
    lambda x, k: np.stack([k * x, x]) @ np.ones(x.size, x.dtype),
]
SPECIAL = {
    "f": [-np.inf, -3.0, -1.0, -0.0, 0.0, 0.3, 1.0, 2.0, np.inf, np.nan],
    "i": [-3, -1, 0, 1, 2, 5],
    "u": [0, 1, 2, 5],
    "b": [False, True, True],
}


def those_that_take(functions: Any, *args: Any) -> Any:
    """Those of some functions that NumPy takes these arguments for."""
    taken = []
    for f in functions:
        with contextlib.suppress(TypeError, ValueError, IndexError, OverflowError), np.errstate(all="ignore"):
            f(*args)
            taken.append(f)
    return taken


@pytest.mark.parametrize(("dtype", "k"), [(d, k) for d, ks in NUMBERS.items() for k in ks], ids=repr)
def test_numbers_beside_arrays(dtype: str, k: Any) -> None:
    """Whatever becomes of a number: one factor of many, a product in place of a power, another selection."""
    x = np.array(SPECIAL[np.dtype(dtype).kind], dtype)
    taken = those_that_take(BESIDE, x, k)
    for functions in (taken[i::6] for i in range(6)):
        check(lambda x, functions=functions: [f(x, k) for f in functions], (x,))


@pytest.mark.parametrize("k", [-2.0, -2, 3, 0.5])
def test_numbers_beside_one_number(k: Any) -> None:
    """Which is computed with Python's operators: of a power of a negative number, the sign is in the base."""
    for x in (np.array(2.0), np.array([[-3.0]])):
        functions = [lambda x, k, f=f: f(np.sum(x), k) for f in BESIDE]
        taken = those_that_take([*BESIDE, *functions], x, k)
        check(lambda x, taken=taken: [f(x, k) for f in taken], (x,))


@pytest.mark.parametrize("dtype", ["e", "f", "d"])
def test_what_lies_near_the_limits_of_its_dtype_overflows_or_not_as_it_is_written(dtype: str) -> None:
    """A number is moved past others, into a factor or behind a sum only where it makes no difference."""
    limits = np.finfo(dtype)
    large, small = float(limits.max) ** 0.6, float(limits.tiny) ** 0.6
    arrays = [np.full((2, 2), n, dtype) for n in (limits.max / 2, limits.tiny, large, small, 1.0, 0.0)]
    pairs = [(float(limits.max) ** k, float(limits.max) ** -k) for k in (0.13, 0.26, 0.51, 0.6)]
    pairs = [*pairs, *(pair[::-1] for pair in pairs), (float(limits.max) / 2, large)]
    ones = np.ones((1, 2), dtype)
    functions: list[Callable[[Any], Any]] = [
        function
        for k, other in pairs
        for function in (
            lambda x, k=k, other=other: other * (k * x),
            lambda x, k=k: (k * x) / k,
            lambda x, k=k: k * (x / k),
            lambda x, k=k: x / k,
            lambda x, k=k: x / x.dtype.type(k),
            lambda x, k=k: np.sum(k * x),
            lambda x, k=k: np.mean(k * x, axis=0),
            lambda x, k=k: np.sum(k * (k * x), axis=1, keepdims=True),
            lambda x, k=k: ones @ (k * x),
            lambda x, k=k, other=other: (k * x) @ (other * x)[:, :1],
            lambda x, k=k, other=other: ones @ (k * x) @ (other * ones.T),
            lambda x, k=k: np.sum(k * (x * ones)),
            lambda x, k=k: -(k * (-x)),
        )
    ]
    for i in range(4):
        check(lambda x, i=i: [f(x) for f in functions[i::4]], *((x,) for x in arrays))
    if dtype != "e":  # two factors of moderate size, which together are not
        k, x = float(limits.max) ** 0.1, np.full((1, 4), float(limits.tiny) ** 0.53, dtype)
        check(lambda x, y: (k * x) @ (k * y), (x, x.T))


# ---- sums, extremes and products of matrices --------------------------------------------------------------

SHAPES = [(3, 3), (40, 3), (3, 40), (2, 3, 3), (40, 1), (1, 3), (1, 1), (5,), (1,), (), (0,), (0, 3), (3, 0)]
OPTIONS: list[dict[str, Any]] = [
    {}, {"axis": 0}, {"axis": 1}, {"axis": -1}, {"axis": -2}, {"axis": (1,)}, {"axis": (0, -1)}, {"axis": ()},
    {"axis": 0, "keepdims": True}, {"axis": -1, "keepdims": True}, {"keepdims": True}, {"axis": (1, 0)},
    {"initial": 2.5}, {"axis": 1, "initial": 2.5}, {"axis": -1, "where": np.array(True), "initial": -2.5},
    {"axis": 0, "where": np.array([True]), "initial": 0.5}, {"axis": 1, "dtype": "d"}, {"dtype": "f"},
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
@pytest.mark.parametrize("dtype", ["d", "f", "e", "i", "?"])
@pytest.mark.parametrize("reduction", [np.sum, np.mean, np.max, np.min])
def test_reductions(reduction: Any, dtype: str) -> None:
    """Along every axis of every shape, from either end, with every option."""
    functions: list[Callable[[Any], Any]] = [
        function
        for k, options in enumerate(OPTIONS)
        for function in (
            lambda x, options=options: reduction(x, **options),
            lambda x, options=options, k=k: reduction((2 + k) * x, **options),
        )
    ]
    for shape in SHAPES if dtype == "d" else SHAPES[:3]:
        x = np.reshape(np.arange(np.prod(shape)) % 7 + 1, shape).astype(dtype)
        taken = those_that_take(functions, x)
        check(lambda x, taken=taken: [f(x) for f in taken], (x,), (np.array(3 - x if dtype != "?" else ~x),))
    for options in ({}, {"axis": 0}, {"axis": 1, "keepdims": True}):
        check(lambda x, options=options: reduction(-1 * x, **options), (np.arange(6.0).reshape(2, 3),))


def test_sums_in_another_dtype_than_that_of_the_result() -> None:
    """A mean of what has few digits or exponents: its sum has more than the result could."""
    x = np.full((1000, 2), 100, "e")
    check(lambda x: [np.mean(x), np.mean(x, axis=0), np.mean(3 * x, axis=0, keepdims=True), np.sum(x)], (x,))


OPTIONED: list[Callable[[Any, Any], Any]] = [
    lambda x, m: np.reshape(x, (3, 2), "F"),
    lambda x, m: np.reshape(x, (3, 2), order="F"),
    lambda x, m: np.reshape(x, (2, 3), "F"),
    lambda x, m: np.ravel(x, "F"),
    lambda x, m: np.transpose(x, (0, 1)),
    lambda x, m: np.transpose(x, axes=(1, 0)),
    lambda x, m: np.copy(x, "F"),
    lambda x, m: np.squeeze(x[:1], 0),
    lambda x, m: np.sum(x, 1),
    lambda x, m: np.sum(x, 1, "d"),
    lambda x, m: np.sum(x, axis=1),
    lambda x, m: np.sum(x, initial=1),
    lambda x, m: np.sum(x, where=m),
    lambda x, m: np.sum(x, where=m, axis=1),
    lambda x, m: np.sum(x, where=x > 1) + np.max(x, where=x > 1, initial=1),
    lambda x, m: np.sum(3 * x, where=m, axis=0, keepdims=True),
    lambda x, m: np.sum(x, dtype="d"),
    lambda x, m: np.sum(x, keepdims=True),
    lambda x, m: np.sum(x, keepdims=1),
    lambda x, m: np.mean(x, 1),
    lambda x, m: np.mean(x, where=m),
    lambda x, m: np.mean(x, axis=-1, where=m),
    lambda x, m: np.max(x, 1),
    lambda x, m: np.max(x, where=m, initial=-1),
    lambda x, m: np.min(x, axis=0, where=m, initial=9),
    lambda x, m: np.var(x, ddof=1),
    lambda x, m: np.var(x, axis=1),
    lambda x, m: np.sort(x, axis=None),
    lambda x, m: np.concatenate([x, x], axis=None),
    lambda x, m: np.clip(x, a_min=None, a_max=1),
    *(
        function
        for dtype in "def"
        for function in (
            lambda x, m, d=dtype: -np.multiply(2.0, x, dtype=d, casting="same_kind"),
            lambda x, m, d=dtype: 3.0 * np.multiply(2.0, x, dtype=d, casting="same_kind"),
            lambda x, m, d=dtype: np.multiply(np.multiply(2.0, x), 3.0, dtype=d, casting="same_kind"),
            lambda x, m, d=dtype: np.sum(np.multiply(2.0, x, dtype=d, casting="same_kind"), axis=0),
            lambda x, m, d=dtype: np.sum(np.multiply(x, x + 1, dtype=d, casting="same_kind")),
            lambda x, m, d=dtype: np.multiply(x[0, 0], x[:1, 0], dtype=d, casting="same_kind"),
            lambda x, m, d=dtype: np.negative(np.multiply(2.0, x), dtype=d, casting="same_kind"),
            lambda x, m, d=dtype: np.negative(x[:1, 0] + 1, dtype=d, casting="same_kind"),
            lambda x, m, d=dtype: np.add(x[:1, 0], 1, dtype=d, casting="same_kind"),
            lambda x, m, d=dtype: np.add(x, x, dtype=d, casting="same_kind"),
            lambda x, m, d=dtype: np.square(x, dtype=d, casting="same_kind"),
            lambda x, m, d=dtype: np.power(x, 2, dtype=d, casting="same_kind"),
            lambda x, m, d=dtype: np.positive(x, dtype=d, casting="same_kind"),
            lambda x, m, d=dtype: np.divide(x, 2, dtype=d, casting="same_kind"),
            lambda x, m, d=dtype: np.multiply(x, 1, dtype=d, casting="same_kind"),
            lambda x, m, d=dtype: np.maximum(x, 1.5, dtype=d, casting="same_kind"),
            lambda x, m, d=dtype: np.matmul(x, x.T, dtype=d, casting="same_kind"),
            lambda x, m, d=dtype: np.matmul(2.0 * x[:, :1], x[:1], dtype=d, casting="same_kind"),
            lambda x, m, d=dtype: np.matmul(x[:1], x[:1].T * 3.0, dtype=d, casting="same_kind"),
        )
    ),
]


@pytest.mark.parametrize("dtype", ["d", "f", "e", "i"])
def test_what_has_options_does_what_they_say(dtype: str) -> None:
    """By name and by position; and another option with the same value is another thing."""
    x, m = np.array([[1.0, 2.25, 3.125], [4.75, -5.5, 0.1]]).astype(dtype), np.array([True, False, True])
    taken = those_that_take(OPTIONED, x, m)
    check(lambda x, m: [f(x, m) for f in taken], (x, m), (x[::-1], ~m))


BETWEEN: list[Callable[[Any, Any], Any]] = [
    lambda x, y: x + y,
    lambda x, y: y - x,
    lambda x, y: x / y,
    lambda x, y: np.maximum(x, y),
    lambda x, y: x < y,
    lambda x, y: np.arctan2(y, x),
    lambda x, y: np.exp(2 * x) * -y,
    lambda x, y: np.sum(x * y),
    lambda x, y: np.mean(x + y),
    lambda x, y: np.where(x > 0.7, y, 0),
    lambda x, y: np.where(y > 0.7, 0, x),
    lambda x, y: np.where(x > 0.7, x, y),
    lambda x, y: np.where(x == y, 2 * y, y),
    lambda x, y: np.where(x == x, 2 * y, y),
    lambda x, y: np.where(x == x, y, 0.5),
    lambda x, y: np.where(x == y, np.exp(x + 1), np.exp(x + 1)[::-1]) * 2,
    lambda x, y: np.where(x == x, np.exp(x + 2), np.exp(x + 2)[::-1]) * 2,
    lambda x, y: np.where(y == x, np.exp(x + 3)[::-1], np.exp(x + 3)) * 2,
    lambda x, y: np.where(y > 0.8, 0.5 * np.exp(x)[::-1], np.exp(x)[::-1]) * 2,
    lambda x, y: np.where(x > 0.8, np.where(y > 0.8, x, 0), 0),
    lambda x, y: np.where(np.where(x > 0.8, np.where(y > 0.8, 2.0, 3.0), 0), 1, x),
    lambda x, y: np.where(np.where(y > 0.8, 0, 1), x, -x),
    lambda x, y: (w := np.where(x > 0.8, np.where(x > 0.8, x, 0) * y, 0)) * w,
    lambda x, y: np.where(x > 0.8, -np.where(x > 0.8, y, 0), 0),
    lambda x, y: np.where(x > 0.8, np.where(x > 0.8, y.astype("f"), 0), 0),
    lambda x, y: np.where(x > 0.8, np.where(x > 0.8, y.astype("i"), 0.0), 0),
    lambda x, y: np.where(x > 0.8, np.where(x > 0.8, (9 * y).astype("i"), 0.0), 0),
    lambda x, y: np.where(x > 0.8, np.where(x > 0.8, (9 * y).astype("i"), 0.0) * x, 0),
    lambda x, y: np.where(x > 0.8, 0, np.where(x > 0.8, 0.0, (9 * y).astype("i"))),
    lambda x, y: x**2 + y,
    lambda x, y: (x + y) ** 1,
    lambda x, y: 2 * x + 3 * (2 * y),
    lambda x, y: np.broadcast_to(x, (3, 3)) * y,
    lambda x, y: np.full_like(x, 2.0) * y,
    lambda x, y: np.ones_like(x) * np.zeros_like(y),
]


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
@pytest.mark.parametrize("first", [(), (1,), (1, 1), (3,), (1, 3), (3, 1), (3, 3), (0,), (2, 1, 1)], ids=repr)
def test_shapes_that_broadcast(first: Any) -> None:
    """Against one another: of one element, none, more axes; numbers have the shape of what they stand for."""
    rng = np.random.default_rng(0)
    seconds = [(), (1,), (1, 1), (3,), (3, 1), (3, 3), (2, 3, 3)]
    for second, dtype in zip(seconds, "dfdfdfd", strict=True):
        x, y = (rng.uniform(0.5, 1.2, shape).astype(dtype) for shape in (first, second))
        x, y = np.asarray(x), np.asarray(y)
        taken = those_that_take(BETWEEN, x, y)
        check(lambda x, y, taken=taken: [f(x, y) for f in taken], (x, y))


UNIFORM: list[Callable[[Any], Any]] = [  # whose gradients are one number all over, or sums of such
    lambda w: np.mean(w) + np.sum(w),
    lambda w: 2 * np.mean(w) - np.sum(3 * w) / 7,
    lambda w: -np.sum(-w) + np.mean(w) * -0.0,
    lambda w: np.sum(w.T) + np.mean(np.reshape(w, -1)),
    lambda w: np.sum(w.astype("f") * 3) + np.mean(w),
    lambda w: np.sum(w.astype("d") * 3) + np.mean(w) + np.sum(w * w),
    lambda w: np.sum(np.expand_dims(w, 0) / 2) + np.sum(np.squeeze(w)),
    lambda w: np.sum(w) * 1e9 + np.sum(w * 1e9),
    lambda w: np.sum(w / 3) + np.sum(np.maximum(w, 0)),
    lambda w: np.sum(np.dot(w, np.full(2 * w.shape[-1:], 2.0, w.dtype))),
    lambda w: np.sum(np.dot(np.full(2 * w.shape[:1], 2.0, w.dtype), w)),
]


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (3,), (2, 3), (3, 3)], ids=repr)
def test_numbers_that_were_spread_over_arrays(shape: Any) -> None:
    """Stay arrays of their shape and dtype where there is no array beside them."""
    for loss, dtype in itertools.product(UNIFORM, "df"):

        def step(w: Any, loss: Any = loss) -> Any:
            with record():
                y = loss(w)
            y.backward()
            g = w.grad
            return (
                y,
                g * 1,
                3 * g,
                -g,
                g**2,
                g + 0.5,
                g / 4,
                g - w,
                -g * w,
                g + g,
                np.maximum(g, 0),
                g.T,
                g[...],
            )

        w = tensor(np.ones(shape, dtype))
        w.attach_grad()
        compiled, truth = compile(step), step(w)
        gradient = w.grad.numpy()
        for _ in range(3):
            w.grad.array = np.full(shape, 7, dtype)
            assert_same([*compiled(w), w.grad], [*truth, gradient])


LAYOUTS: dict[str, Callable[[], Any]] = {
    "in rows": lambda: np.arange(9.0).reshape(3, 3) + 1,
    "in columns": lambda: np.asfortranarray(np.arange(9.0).reshape(3, 3) + 1),
    "every other": lambda: (np.arange(18.0).reshape(3, 6) + 1)[:, ::2],
    "backwards": lambda: (np.arange(9.0).reshape(3, 3) + 1)[::-1],
    "broadcast in memory": lambda: np.array(np.broadcast_to(np.arange(3.0), (3, 3)).T),
    "a column": lambda: (np.arange(9.0).reshape(3, 3) + 1)[:, 1:2],
    "one of many": lambda: (np.arange(9.0).reshape(3, 3) + 1)[1:2, 1:2],
    "one": lambda: np.array([2.0]),
    "a number": lambda: np.array(2.0),
}
OF_LAYOUT: list[Callable[[Any, Any], Any]] = [
    lambda w, x: np.sum(w * w) * x,
    lambda w, x: np.sum(w) * x,
    lambda w, x: np.mean(w.T, axis=0) + x,
    lambda w, x: np.sum(w * x, axis=-1),
    lambda w, x: np.where(x > 1.2, w, 0),
    lambda w, x: np.where(w > x, 0, w),
    lambda w, x: np.reshape(w, -1) * 2,
    lambda w, x: np.ravel(w) * 2,
    lambda w, x: np.ravel(w.T, "F") * x[0],
    lambda w, x: w.T * x,
    lambda w, x: w[..., None] * x,
    lambda w, x: w[..., ::-1] - x,
    lambda w, x: w @ x,
    lambda w, x: np.max(w, axis=-1) + x,
    lambda w, x: w**2 * x,
    lambda w, x: np.float32(3) * w / x,
    lambda w, x: np.copy(w) * x,
]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_captured_arrays_in_every_layout(layout: str) -> None:
    """Are read at each call, though what is made of them is prepared as far as can be; or are arguments."""
    x = np.array([1.0, 1.5, 0.5])
    w, start = tensor(0.0), LAYOUTS[layout]()
    w.array = start
    taken = those_that_take(OF_LAYOUT, w.array, x)
    compiled = compile(lambda x: [f(w, x) for f in taken])
    given = compile(lambda w, x: [f(w, x) for f in taken])
    for _ in range(3):
        truth = [f(w.array, x) for f in taken]
        assert_same(compiled(x), truth)
        assert_same(given(w.array, x), truth)
        w.array *= -1.25
        w.array += 0.5
    assert w.array is start
    assert compiled.traces == given.traces == 1


FLAT: list[Callable[[Any], Any]] = [
    *(np.ravel, lambda y: np.ravel(y, "F"), lambda y: np.ravel(y.T)),
    *(lambda y: np.reshape(y, -1), lambda y: np.reshape(y, -1, order="F"), lambda y: y.T.reshape((1, -1))),
    *(lambda y: y.flatten(), lambda y: np.reshape(y, np.shape(y)), lambda y: np.reshape(y[1:], -1)),
]
SQUARES = [name for name, layout in LAYOUTS.items() if layout().shape == (3, 3)]


@pytest.mark.parametrize("first", SQUARES)
def test_what_is_a_view_or_a_copy_as_its_argument_lies_in_memory(first: str) -> None:
    """Keeps its values, though compiled code has its arguments elsewhere; results are nobody else's."""

    def f(x: Any) -> Any:
        made = [flat(np.exp(x + k)) for k, flat in enumerate(FLAT)]
        later = [np.sum(np.sin(x + k)) for k in range(4)]
        return [np.cos(y) for y in made], later, [flat(x) for flat in FLAT], [flat(-x) for flat in FLAT]

    compiled = compile(f)
    for layout in (first, first, *SQUARES):
        x = LAYOUTS[layout]()
        results = parts(compiled(x))
        assert_same(results, f(x))
        assert not any(np.shares_memory(a, b) for a, b in itertools.pairwise([x, *results, x]))
    assert compiled.traces == 1


@pytest.mark.parametrize("layout", SQUARES)
@pytest.mark.parametrize("write", [0, 1])
def test_writes_into_what_is_a_view_or_a_copy_as_its_argument_lies_in_memory(layout: str, write: int) -> None:
    """Reach the argument where they do without compiling, or are refused."""
    kept = 0
    for make, flat in itertools.product([np.exp, lambda x: -x.T, lambda x: x[::-1], lambda x: x], FLAT):

        def f(x: Any, make: Any = make, flat: Any = flat) -> Any:
            y = make(x)
            both = y, flat(y)
            both[write].__imul__(3)
            return [t + 1 for t in both]

        x = tensor(0.0)
        x.array = LAYOUTS[layout]()
        truth = f(x)
        with contextlib.suppress(TraceError):
            compiled = compile(f)
            for _ in range(3):
                given = LAYOUTS[layout]()
                assert_same(compiled(given), truth)
                assert_same(given, x)
            kept += 1
    assert kept > 20
    with pytest.raises(TraceError, match=r"what np\.ravel makes is a view, .* np\.copy\(x, 'C'\)"):
        compile(lambda x: np.ravel(np.exp(x.T).T).__imul__(3))(np.ones((2, 3)))
    mended = compile(lambda x: np.ravel(np.copy(np.exp(x.T).T, "C")).__imul__(3))
    for _ in range(2):
        assert_same(mended(np.zeros((2, 3))), np.full(6, 3.0))


@pytest.mark.parametrize("flat", [np.ravel, lambda y: np.reshape(y, (3, -1)), lambda y: np.reshape(y.T, -1)])
@pytest.mark.parametrize("written", ["what is flat", "what it is made of"])
def test_views_or_copies_as_the_arguments_lie_in_memory(flat: Any, written: str) -> None:
    """Whichever is traced first, or refused; also beside an argument that lies otherwise, or a number."""

    def f(x: Any, w: Any, k: Any) -> Any:
        y = x * k
        z = flat(y)
        if written == "what is flat":
            z += 1
        else:
            y += w
        return y, z, w * 1

    by_rows, by_columns = np.arange(6.0).reshape(2, 3), np.asfortranarray(np.arange(1.0, 7).reshape(2, 3))
    layouts = list(itertools.product([by_rows, by_columns], repeat=2))
    for first, second in itertools.permutations(layouts, 2):
        compiled, found = compile(f), tensor(0.0)
        finding = compile(lambda w, found=found: f(found, w, 2.0))
        with contextlib.suppress(TraceError):
            for x, w in (first, first, second, second, first):
                truth = f(x, w, 2.0)
                assert_same(compiled(x, w, np.float64(2.0)), truth)
                found.array = x
                assert_same(finding(w), truth)


FACTORS: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    *(((3, 3), s) for s in [(3, 3), (3, 1), (1, 3), (3,), (1, 1), (1,), ()]),
    *(((4, 3), s) for s in [(4, 3), (4, 1), (1, 3), (3,), (1, 1)]),
    ((4, 1), (1, 3)),
    ((4, 1), (3,)),
    *(((2, 3, 1), s) for s in [(3, 4), (1, 3, 4), (2, 3, 4), (2, 1, 4), (3, 1), (4,)]),
    *(((3, 3, 1), s) for s in [(3, 3), (1, 3, 3), (3, 3, 3), (3,)]),
    ((5,), (5,)),
    ((1, 5), (1, 5)),
    ((5, 1), (5, 1)),
    ((1, 1), (1, 1)),
]


@pytest.mark.parametrize("shapes", FACTORS, ids=repr)
def test_sums_of_products(shapes: Any) -> None:
    """Whatever was broadcast, in either order, over every axis; and with another factor before."""
    rng = np.random.default_rng(0)
    a, b = (np.ones(shape) for shape in shapes)
    options = [{}, {"axis": 0}, {"axis": 1}, {"axis": -1}, *({"axis": i, "keepdims": True} for i in (0, 1))]
    options = [o for o in options if those_that_take([lambda a, b, o=o: np.sum(a * b, **o)], a, b)]

    def f(*arrays: Any) -> list[Any]:
        rest, made = iter(arrays), []
        for o in options:
            made.append(np.sum(next(rest) * next(rest), **o))
            b, a = next(rest), next(rest)
            made.append(np.mean(3 * (a * (0.5 * b)), **o))
        return made

    for dtype in "df":
        calls = [[rng.uniform(0.5, 1.5, s).astype(dtype) for _ in options for s in shapes * 2] for _ in "12"]
        check(f, *map(tuple, calls))


@pytest.mark.parametrize("dtype", ["d", "f", "e", "i"])
def test_products_of_matrices(dtype: str) -> None:
    """With factors on either side, of vectors and stacks, and of what has another dtype."""
    rng = np.random.default_rng(0)
    shapes: list[Any] = [
        (a, b)
        for a in [(3,), (4, 3), (1, 3), (2, 4, 3), (1, 4, 3)]
        for b in [(3,), (3, 5), (3, 1), (2, 3, 5), (1, 3, 4)]
    ]

    def f(*arrays: Any) -> list[Any]:
        pairs = list(zip(arrays[::2], arrays[1::2], strict=True))
        made = [a @ b for a, b in pairs] + [(5 * a) @ (7 * b) for a, b in pairs]
        made += [(2 * a) @ (0.5 * (3 * b)) for a, b in pairs]
        return [*made, *((0.25 * a) @ (4.0 * b.astype("d")) for a, b in pairs)]

    check(f, *(tuple(rng.uniform(0.5, 3.5, s).astype(dtype) for p in shapes for s in p) for _ in range(2)))


# ---- how expressions are written --------------------------------------------------------------------------

SYMBOLS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "//": operator.floordiv,
    "%": operator.mod, "@": operator.matmul, "**": operator.pow, "&": operator.and_, "|": operator.or_,
    "^": operator.xor, "<<": operator.lshift, "<": operator.lt, "<=": operator.le, ">": operator.gt,
    ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
PLACES: list[Callable[..., Any]] = [  # with no name for what is within
    lambda f, a, b, c: f(a, b)[0],
    lambda f, a, b, c: f(a, b)[c],
    lambda f, a, b, c: f(a, b).T + c,
    lambda f, a, b, c: f(a, b).astype(float) + c,
    lambda f, a, b, c: -f(a, b) + c,
    lambda f, a, b, c: c - (-f(a, b)),
    lambda f, a, b, c: (-f(a, b)) ** c,
    lambda f, a, b, c: -(f(a, b) ** c),
    lambda f, a, b, c: f(-a, b),
    lambda f, a, b, c: f(a, -b),
]


@pytest.mark.parametrize("outer", SYMBOLS)
def test_expressions_within_expressions(outer: str) -> None:
    """With parentheses where Python needs them, on either side, between all pairs of operators."""
    a, b, c = np.array([[1, 2], [3, 1]]), np.array([[2, 1], [1, 3]]), np.array([[0, 1], [1, 1]])
    pairs: list[Callable[..., Any]] = [
        lambda f, g, k, a, b, c: f(g(a, b), c),
        lambda f, g, k, a, b, c: f(c, g(a, b)),
        lambda f, g, k, a, b, c: g(f(-a, -2 - k), 3),
        lambda f, g, k, a, b, c: g(f(-2.0 - k, a), -b),
    ]
    for pair in pairs:  # in no two of these together is there the same operation, which would get a name
        inners = enumerate(SYMBOLS.values())
        functions = [
            lambda a, b, c, g=g, k=k, pair=pair: pair(SYMBOLS[outer], g, k, a, b, c) for k, g in inners
        ]
        taken = those_that_take(functions, a, b, c)
        check(lambda a, b, c, taken=taken: [f(a, b, c) for f in taken], (a, b, c))
    within = [lambda a, b, c, f=f: f(SYMBOLS[outer], a, b, c) for f in PLACES]
    for f in those_that_take(within, a, b, c):
        check(f, (a, b, c))


# ---- before and after a write -----------------------------------------------------------------------------

MADE: list[Callable[[Any, Any, Any], Any]] = [
    lambda k, x, y: k * x,
    lambda k, x, y: k * (x * y),
    lambda k, x, y: k * (3 * x),
    lambda k, x, y: -(k * x),
    lambda k, x, y: x / k,
    lambda k, x, y: np.where(x > k, x, 0),
    lambda k, x, y: np.where(y > 4, x, 0),
    lambda k, x, y: np.where(y > 4, k * x, 0),
    lambda k, x, y: np.where(y > k, x, 0),
    lambda k, x, y: np.where(y > k, 0, x),
    lambda k, x, y: np.logical_not(x > k) * 1.0,
    lambda k, x, y: np.where(y > k, k * x, x),
    lambda k, x, y: np.sum(k * x),
    lambda k, x, y: x**2 + k,
    lambda k, x, y: x,
    lambda k, x, y: x.T,
    lambda k, x, y: np.reshape(x, -1)[:1],
    lambda k, x, y: np.reshape(x, np.shape(x)),
    lambda k, x, y: np.copy(x),
    lambda k, x, y: x.astype(x.dtype),
    lambda k, x, y: +x,
]
USED: list[Callable[[Any, Any, Any], Any]] = [
    lambda r, x, y: r,
    lambda r, x, y: np.sum(r),
    lambda r, x, y: 3 * r,
    lambda r, x, y: r + x,
    lambda r, x, y: -np.mean(r * y),
    lambda r, x, y: np.where(y > 4, r, 0),
    lambda r, x, y: np.where(y > 7, r, 0),
    lambda r, x, y: np.where(y > 7, 0, r),
    lambda r, x, y: np.where(r, y, 1.5),
]
WRITES: dict[str, Callable[[Any], Any]] = {
    "+=": lambda x: x.__iadd__(1),
    "[...] =": lambda x: operator.setitem(x, ..., 7.0),
    "a view *=": lambda x: np.reshape(x, -1)[:1].__imul__(10),
    "out=": lambda x: np.multiply(x, 2.0, out=x),
}
TARGETS: dict[str, Callable[[Any], Any]] = {
    "an argument": lambda x: x,
    "a view of one": lambda x: x[...],
    "made": lambda x: x * 2.5,
    "a view of what is made": lambda x: (x * 2.5)[...],
}


def test_views_see_what_is_written_through_others() -> None:
    """Whichever was taken first, and whichever the result is made of."""
    views: list[Callable[[Any], Any]] = [
        lambda y: y,
        lambda y: y[:2],
        lambda y: y[1:],
        lambda y: np.reshape(y, (3, 1)),
        lambda y: y[::-1],
    ]
    ways = itertools.cycle(itertools.product(TARGETS.values(), WRITES.values()))
    for (one, other), (target, write) in zip(itertools.permutations(views, 2), ways, strict=False):

        def f(x: Any, one: Any = one, other: Any = other, target: Any = target, write: Any = write) -> Any:
            y = target(x)
            first, second = one(y), other(y)
            before = first * 3
            write(second)
            return before, first * 3

        check(f, (np.array([1.0, 2.0, 4.0]),))


def test_views_of_what_is_left_out() -> None:
    """Of copies that nobody writes, or of what was made before: whose memory it is nobody takes again."""

    def f(x: Any) -> Any:
        y = np.exp(x)
        copies = [+y, np.copy(y), y.astype(float), np.reshape(y, np.shape(y)), np.exp(x), 1 * y]
        views = [view for copy in copies for view in (copy[1:], copy.T, copy[::-1].T)]
        later = [np.sum(np.sin(x + k) * np.cos(x - k)) for k in range(3)]
        return [view * k for k, view in enumerate(views)], later

    check(f, (np.array([[1.0, 2.0], [0.5, 3.0]]),))


IN_PLACE = [operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ifloordiv, operator.imod]
IN_PLACE += [operator.ipow, lambda x, y: operator.setitem(x, ..., y), lambda x, y: np.maximum(x, y, out=x)]


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [*itertools.product("dfi?", [(3,), (1,), (), (2, 3)]), ("e", (3,)), ("B", (3,))],
    ids=repr,
)
def test_operators_in_place(dtype: str, shape: Any) -> None:
    """By numbers, and by arrays of one element or as many, of the same dtype and of others."""
    x = np.reshape(np.arange(1, 1 + np.prod(shape)), shape).astype(dtype)
    others: list[Any] = [lambda y: 2, lambda y: 0.5, lambda y: y, lambda y: y[:1], lambda y: np.sum(y)]
    others += [
        lambda y: y.astype("f"),
        lambda y: np.sum(y.astype("d")),
        lambda y: y > 1,
        lambda y: y[..., ::-1],
    ]
    functions = [
        lambda x, y, op=op, other=other: [op(z := x * x, other(y)), op(z[...], other(y)), z * 2]
        for op, other in itertools.product(IN_PLACE, others)
    ]
    taken = those_that_take(functions, tensor(x), tensor(x))
    check(lambda x, y: [f(x, y) for f in taken], (x, np.array(x)))


def test_sums_before_and_after_a_write_by_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an array whose elements have to be put into a row for that."""
    monkeypatch.setattr(blocks, "LARGE", 12)
    monkeypatch.setattr(blocks, "BLOCK", 8)

    def f(w: Any, x: Any) -> Any:
        before = np.sum(w), np.sum(w * w)
        w -= np.exp(x) * x
        return before, np.sum(w), np.sum(w * w)

    compiled, x = compile(f), np.linspace(0, 1, 12).reshape(4, 3)
    for _ in range(3):
        w, eager = (np.arange(12.0).reshape(3, 4).T for _ in range(2))
        t = tensor(0.0)
        t.array = eager
        assert_same(compiled(w, x), f(t, x))
        assert_same(w, eager)


RETURNED: dict[str, Callable[[Any, Any], Any]] = {
    "the one": lambda one, other: one,
    "the other": lambda one, other: other,
    "both": lambda one, other: (other, one),
    "nested": lambda one, other: {"a": [one], "b": ({"c": one[::-1]},)},
    "the last": lambda one, other: [one[-1:], other[..., 0] * 1.0],
}


@pytest.mark.parametrize("target", TARGETS)
def test_results_that_are_views_have_what_is_written_afterwards(target: str) -> None:
    """Into what they are views of, or into other views of it, by a write that nothing else needs."""
    views: list[Callable[[Any], Any]] = [
        lambda y: y,
        lambda y: y[:2],
        lambda y: np.reshape(y, (3, 1))[1:],
        lambda y: y[::-1][:2],
    ]
    writes = itertools.cycle(WRITES.values())
    for one, other in itertools.product(views, repeat=2):
        write = next(writes)

        def f(x: Any, one: Any = one, other: Any = other, write: Any = write) -> Any:
            found = []
            for give in RETURNED.values():
                y = TARGETS[target](x)
                first, second = one(y), other(y)
                write(second)
                found.append(give(first, second))
            return found

        check(f, (np.array([1.0, 2.0, 4.0]),))


def test_gradients_that_are_views_have_what_they_had_when_they_were_stored() -> None:
    """Whatever is written afterwards into what was given for them, or into themselves."""
    x = np.arange(6.0).reshape(2, 3) + 1

    def step(w: Any, x: Any, early: bool) -> None:
        g = x * 2
        with record():
            y = w.T
        if early:
            g += 1
        y.backward(g.T)
        g *= 3
        w.grad[0] += 5

    for early in (False, True):
        compiled = compile(step)
        grads = []
        for f in (step, compiled, compiled):
            w = tensor(x)
            w.attach_grad()
            f(w, tensor(x), early)
            grads.append(w.grad)
        for g in grads[1:]:
            assert_same(g, grads[0])


def test_gradients_that_are_views_of_what_is_found_elsewhere() -> None:
    """Are copies of it as it is at each call."""
    head, w = tensor(np.arange(6.0).reshape(3, 2)), tensor(np.ones((2, 3)))
    w.attach_grad()

    def step() -> None:
        with record():
            y = w.T
        y.backward(head)

    compiled = compile(step)
    for _ in range(4):
        compiled()
        assert_same(w.grad, head.array.T)
        w.grad[...] = -1
        head[...] += 1
        assert head.array[0, 0] >= 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf, -0.0])
def test_extremes_and_sums_of_what_is_not_finite(special: float, dtype: Any) -> None:
    functions: list[Any] = [np.max, np.min, np.sum, np.mean, np.nanmax, np.nanmin]
    pairs: list[Any] = [np.maximum, np.minimum, np.fmax, np.fmin, np.add, np.subtract, np.multiply]

    def function(x: Any) -> Any:
        axes = [{}, {"axis": 0}, {"axis": 1, "keepdims": True}]
        return [f(x, **axis) for f in functions for axis in axes], [f(x, x[::-1]) for f in pairs]

    x = np.array([[1.0, special, 0.5], [0.0, 3.0, -2.0], [0.5, -special, special]], dtype)
    check(function, (np.abs(x),), (x,), (-x,))
    check(function, (np.ones((3, 3), dtype),), (x,))


MADE_OF: list[Callable[[Any], Any]] = [
    *(lambda x: 2 * x, lambda x: x * 3, lambda x: x / 4, lambda x: -x, lambda x: x.T.copy(), np.copy, np.exp),
    *(np.ones_like, np.zeros_like, lambda x: np.where(x > 1, x, 0), lambda x: x**2, lambda x: x + 0.0),
    *(lambda x: np.sum(x, axis=0, keepdims=True), lambda x: x @ np.ones((x.shape[-1], 2))),
    *(lambda x: np.sum(x, keepdims=True), lambda x: np.sum(x * x, keepdims=True)),
    lambda x: np.mean(4 * x, axis=(0, 1), keepdims=True),
]
READS: list[Callable[[Any], Any]] = [
    *(*MADE_OF, lambda x: x.T.copy().T, lambda x: x > 1, np.isnan, lambda x: x == 0),
    *(lambda x: np.where(np.isnan(x), 0, x), lambda x: np.where(x != 0, 3 * x, 0)),
]


@pytest.mark.parametrize("read", READS, ids=range(len(READS)))
def test_what_is_written_is_no_longer_what_made_it(read: Any) -> None:
    def function(x: Any, write: Any) -> list[Any]:
        results = []
        for make in MADE_OF:
            a = make(x)
            before = read(a)
            write(a)
            results += [before, read(a)]
        return results

    x = np.array([[1.0, -2.0], [0.5, 3.0]])
    for write in (lambda a: operator.iadd(a, 1), lambda a: operator.setitem(a, 0, 5)):
        check(lambda x, write=write: function(x, write), (x,), (x - 1,))


@pytest.mark.parametrize(
    ("target", "shape"),
    [*itertools.product(TARGETS, [(3,)]), *itertools.product(["an argument", "made"], [(1,), ()])],
    ids=repr,
)
def test_what_is_made_before_a_write_has_the_values_from_before(target: str, shape: Any) -> None:
    """But for views; whatever is made of it afterwards, and whatever is made in the same way again."""
    x = np.reshape(np.arange(4.0, 4 + np.prod(shape)), shape)
    y = np.asarray(x - 0.5)
    first = list(TARGETS).index(target)
    for write in list(WRITES.values()) if shape == (3,) else [list(WRITES.values())[first]]:
        first += 1

        def f(x: Any, y: Any, first: int = first, write: Any = write) -> Any:
            z, before = TARGETS[target](x), []
            for i, make in enumerate(MADE):
                for j in range((first + i) % 3, len(USED), 3):
                    before.append((USED[j], make(j + 2, z, y)))
            nested = np.where(y > 4.5, z, 0), np.where(y < 5, 0, z)
            write(z)
            nested = np.where(y > 4.5, nested[0], 0), np.where(y < 5, 0, nested[1])
            return (
                nested,
                [use(r, z, y) for use, r in before],
                [make(i + 2, z, y) for i, make in enumerate(MADE)],
            )

        check(f, (x, y), (np.array(2 * y), np.array(x)))


CALLS: dict[str, tuple[Callable[..., Any], int]] = {
    **{f.__name__: (f, 1) for f in (np.tanh, np.arctan, np.transpose)},
    **{f.__name__: (f, 2) for f in (np.add, np.minimum, operator.iadd)},
}


@examples(60)
@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(CALLS)), *2 * [st.integers(0, 3)]).map(
            lambda step: (step[0], step[1:])
        ),
        min_size=3,
        max_size=8,
    )
)
def test_what_has_no_name_is_computed_before_what_it_is_made_of_is_written(steps: Any) -> None:
    """Though the source has it where it is used; each step takes some of the last that were made."""

    def f(x: Any, y: Any) -> Any:
        made = [x, y]
        for name, places in steps:
            made.append(CALLS[name][0](*(made[-1 - i % len(made)] for i in places[: CALLS[name][1]])))
        return made[-2:]

    x = np.array([[1.0, 2.0], [0.5, 3.0]])
    check(f, (x, x[::-1] + 1))


# ---- axes, conditions, constants and blocks ---------------------------------------------------------------


def test_indices_and_options_that_differ_in_one_part() -> None:
    """Are not taken for one another."""
    ends: list[Any] = [None, 0, 1, 3, -1]
    keys: list[Any] = [slice(*key) for key in itertools.product(ends, ends, [None, 1, 2, -1])]
    keys += [1, (1,), [1], [1, 2], (1, 2), [True, False, True, False], (slice(1, 2), 0), (0, slice(1, 2))]
    x = np.arange(16.0).reshape(4, 4)
    check(lambda x: [x[key] * 2 for key in keys], (x,))
    several = [
        lambda x: np.modf(x),
        lambda x: np.modf(x)[::-1],
        lambda x: np.split(x, 2),
        lambda x: np.split(x, 4),
    ]
    check(lambda x: [f(x) for f in several], (x / 3,))


def test_every_ufunc_is_one_of_its_own() -> None:
    """Of what could be another function, or none at all."""
    ufuncs = [f for f in vars(np).values() if isinstance(f, np.ufunc) and f.signature is None]
    for dtype in "dfi?":
        x = np.array([[-2.5, -1.0, 0.3], [0.0, 1.5, 3.0]]).astype(dtype)
        for n in (1, 2):
            arrays = (x, x[::-1] + x.dtype.type(1))[:n]
            with contextlib.ExitStack() as stack:
                stack.enter_context(np.errstate(all="ignore"))
                taken = those_that_take([f for f in ufuncs if f.nin == n], *map(tensor, arrays))
            for i in range(2):
                check(lambda *a, some=taken[i::2]: [f(*a) for f in some], arrays)


def test_axes_that_are_exchanged_twice() -> None:
    """By every pair of axes after every other one, of squares, stacks and what has one axis."""
    turns: list[Callable[[Any], Any]] = [np.transpose, lambda x: x.T, lambda x: np.transpose(x, None)]
    turns += [lambda x, i=i, j=j: np.swapaxes(x, i, j) for i in (-2, -1, 0, 1) for j in (-1, 0, 1)]
    turns += [lambda x, axes=axes: np.transpose(x, axes) for axes in ((1, 0), (-1, 0, 1))]
    turns += [lambda x, axes=axes: np.transpose(x, axes=axes) for axes in (None, (0, 1), (0, 2, 1))]
    for shape in [(2, 3), (2, 2, 2), (2,)]:
        x = np.reshape(np.arange(np.prod(shape)), shape) + 0.5
        taken = those_that_take(turns, x)
        check(lambda x, taken=taken: [turn(x) * 2 for turn in taken], (x,))
        for first in taken:
            compiled = compile(lambda x, first=first, taken=taken: [turn(first(x)) for turn in taken])
            for _ in range(2):
                assert_same(compiled(x), [turn(first(x)) for turn in taken])


CONDITIONS: list[Callable[[Any, Any], Any]] = [
    lambda x, y: ~x,
    lambda x, y: np.invert(x),
    lambda x, y: np.logical_not(x),
    lambda x, y: np.logical_not(np.logical_not(x)),
    lambda x, y: -x,
    lambda x, y: np.abs(x),
    lambda x, y: np.sign(x),
    lambda x, y: np.floor(np.where(x, 0.5, 0)),
    lambda x, y: np.where(x, 0, 2),
    lambda x, y: np.where(x, 0.0, 0),
    lambda x, y: np.where(x, 2, 3),
    lambda x, y: np.where(x, 0, y),
    lambda x, y: np.where(x, y, 0),
    lambda x, y: np.where(x, -0.0, 1),
    lambda x, y: np.where(x, np.where(y, 1, 2), 0),
    lambda x, y: np.where(x, np.where(y, 0, 2), 0),
    lambda x, y: np.where(x, np.where(y, 2, 0), 0),
    lambda x, y: np.where(x, 0, np.where(y, 2, 0)),
    lambda x, y: np.where(x, 0, np.where(y, 0, 2)),
    lambda x, y: np.where(x, 0, np.where(y, -1, np.where(x > 1, 2, 0))),
    lambda x, y: np.where(np.stack([x, x]), 0, 1),
    lambda x, y: -np.where(np.logical_not(x), 0, np.nan),
    lambda x, y: x & y if x.dtype.kind in "bi" else x * y,
]


@pytest.mark.parametrize("dtype", ["?", "i", "d"])
def test_conditions_of_selections(dtype: str) -> None:
    """Of truth values, whole numbers and others; negated, selected and within one another."""
    x, y = np.array([-1, -1, 0, 0, 5, 5]).astype(dtype), np.array([1.0, 0.0, 1.0, 0.0, -1.0, np.nan])
    for k, condition in enumerate(those_that_take(CONDITIONS, x, y)):

        def f(x: Any, y: Any, k: int = k, condition: Any = condition) -> Any:
            c, d, z = condition(x, y), x > 0, y + k
            return [
                np.where(c, z, 0),
                np.where(c, 0, 3 * z),
                np.where(c, z + 9, 0) * y,
                np.where(c, 1.5, z * z),
                np.where(c, np.where(d, z - 1, 0), 0),
                np.where(c, -np.where(c, z - 2, 0) * y, 0),
                np.where(d, -np.where(d, z - 3, 0) * y, 0),
                np.where(d, 0, np.where(d, 0, z - 4) * np.where(d, 7.0, z - 5)),
                np.where(d, np.where(y > 0, z - 6, 0), 0),
                np.where(d, np.where(d, 0, z - 7), 0),
                (twice := np.where(d, z - 8, 0) * y),
                np.where(d, twice, 0),
                np.where(d, np.where(d, z.astype("f"), 0) * np.ones((2, 6)), 0),
            ]

        check(f, (x, y))


def test_constants_of_every_dtype() -> None:
    """Written out in the source, as arrays and numbers, as defaults and options, with their dtype."""
    x = np.array([1, 2, 3], np.int8)
    arrays: list[Any] = [np.array([0, 1, 2]).astype(dtype) for dtype in "?bhilqBHILQefdg"]
    arrays += [np.array([np.nan, np.inf, -np.inf], d) for d in "efd"] + [np.array([-0.0, 1e-7, 0.1], "d")]
    for array in arrays:
        check(
            lambda x, array=array: [
                x + array,
                x * array[1],
                np.where(x > 1, array, x),
                np.maximum(x, array[0]),
            ],
            (x,),
        )
        check(lambda x, array=array: np.sum(x + np.zeros(3, array.dtype), dtype=array.dtype), (x,))
        check(lambda x, array=array: [x.astype(array.dtype), np.full_like(x, 1, dtype=array.dtype)], (x,))
    numbers = [complex(a, b) for a in (0.0, -0.0, 0.1) for b in (-0.0, 0.0, inf, nan)]
    for several in ([0.0, -0.0], numbers):  # equal, and not the same
        check(lambda x, several=several: [np.where(x > 1, n, 0) for n in several], (x,))


BLOCKED: dict[str, Callable[..., Any]] = {
    "a vector beside a square": lambda x, v: (x * v + 1) * v,
    "a column": lambda x, v: (x * v[:, None] + 1) * v[:, None],
    "both": lambda x, v: (x * v[:, None] + v) * v[None, :],
    "a row of one": lambda x, v: (x * v[:1] + v[None, :1]) * v[0],
    "another square": lambda x, v: (x * x.T + v) * x,
    "a total": lambda x, v: (x * 2 + np.sum(x * 2 * v)) * v,
    "totals": lambda x, v: (np.sum(np.exp(-x) * v), np.sum(x * v * x * v), np.mean(x * v + 1)),
    "a selection": lambda x, v: np.where(x > v, x * 2, 0) + np.where(v > 4, x, v),
    "rows": lambda x, v: (x[:3] * v + 1) * v,
    "a stack": lambda x, v: (np.stack([x, x * v]) * v + 1) * np.stack([x, x]),
    "a stack by its first axis": lambda x, v: (np.stack([x] * v.size) * v + 1) * v[:, None],
}


@pytest.mark.parametrize("f", BLOCKED.values(), ids=BLOCKED)
def test_squares_by_blocks(f: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has as many elements as there are rows is a row all the same; with every remainder."""
    monkeypatch.setattr(blocks, "LARGE", 12)
    rng = np.random.default_rng(0)
    for n, block in itertools.product((4, 5), (1, 5, 8, 12, 1000)):
        monkeypatch.setattr(blocks, "BLOCK", block)
        check(f, *((rng.uniform(0.5, 1.5, (n, n)), rng.uniform(0.5, 1.5, n)) for _ in range(2)))


@pytest.mark.parametrize("dtype", ["?", "b", "B", "i", "q", "e", "f", "d", "g"])
def test_sums_by_blocks_have_the_dtype_and_the_digits_of_the_whole(
    dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "LARGE", 12)
    monkeypatch.setattr(blocks, "BLOCK", 2)
    functions: list[Callable[[Any], Any]] = [
        lambda x: np.sum(x * x),
        lambda x: np.sum((x > 0) & (x < 3)) + np.sum(x + x),
        lambda x: np.mean(3 * x),
        lambda x: np.vdot(x * x * x, x),
    ]
    check(lambda x: [f(x) for f in functions], (np.ones((3000, 2), dtype),))
