"""Compiled functions: the same values, gradients and updates, and source that runs with NumPy alone."""

import asyncio
import contextlib
import copy
import cProfile
import enum
import inspect
import itertools
import operator
import sys
import types
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st

import compositions
import tinygrad_lr
from search import examples
from tinygrad_lr import (
    Module,
    SyntheticRegressionData,
    Tensor,
    autograd,
    blocks,
    differentiable,
    record,
    tensor,
)
from tinygrad_lr.calls import unwrapped
from tinygrad_lr.cli import main
from tinygrad_lr.compiler import CACHE_SIZE, STEERING, _watcher, compile
from tinygrad_lr.derivatives.linalg import real_eig
from tinygrad_lr.derivatives.selections import LEFT_OUT
from tinygrad_lr.errors import (
    GraphFreedError,
    InPlaceError,
    LostInWriteError,
    NothingAttachedError,
    TraceError,
)
from tinygrad_lr.func import elementwise_grad, grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from tinygrad_lr.optim import StepLR
from tinygrad_lr.program import Answer, Line, Program, Variable, simplified, source

close = {"rtol": 1e-10, "atol": 1e-12}


def run_source(compiled: Any, *arrays: Any, form: str = "source") -> Any:
    """What the source computes in a namespace of its own."""
    code = getattr(compiled, form)
    assert "tinygrad" not in code
    space: dict[str, Any] = {}
    exec(code, space)
    captured = compiled._last.program.captured
    constants = {v.name: v.source for v in captured if isinstance(v.source, np.ndarray)}
    return space[compiled.name](*arrays, **constants)


def ways(compiled: Any) -> list[Any]:
    """Traced, executed, and by its source in both forms."""
    return [
        compiled,
        compiled,
        *(partial(run_source, compiled, form=form) for form in ("source", "executed")),
    ]


@contextmanager
def blocks_of(large: int, block: int) -> Iterator[None]:
    """Arrays of so many elements count as large, and go by blocks of so many."""
    before = blocks.LARGE, blocks.BLOCK
    blocks.LARGE, blocks.BLOCK = large, block
    try:
        yield
    finally:
        blocks.LARGE, blocks.BLOCK = before


@examples(80)
@given(compositions.programs, compositions.shapes, st.integers(0, 2**16), st.booleans())
def test_random_programs(program: Any, shape: Any, seed: int, small_blocks: bool) -> None:
    first, second = np.random.default_rng(seed).normal(size=(2, *shape))
    first, second = np.asarray(first), np.asarray(second)
    compiled = compile(value_and_grad(lambda x: compositions.run(program, x)))
    compiled.name = "f"
    for x in (first, second, first):
        with blocks_of(2, 2) if small_blocks else nullcontext():
            value, gradient = compiled(x)
        np.testing.assert_allclose(value, compositions.run(program, x), **close)
        np.testing.assert_allclose(gradient, compositions.gradient(program, x), **close)
        for form in ("source", "executed"):
            again, gradient_again = run_source(compiled, x, form=form)
            np.testing.assert_allclose(again, value, **close)
            np.testing.assert_allclose(gradient_again, gradient, **close)
    assert compiled.traces == 1


SPECIAL = [-np.inf, -1.0, -0.0, 0.0, 0.5, 1.0, np.inf, np.nan]
special = st.lists(st.sampled_from(SPECIAL), min_size=2, max_size=9)
KINKS: list[Any] = [
    lambda x, y: np.maximum(x, 0),
    lambda x, y: np.minimum(x, 0.5),
    lambda x, y: np.maximum(x, y),
    lambda x, y: np.fmax(x, 0.0),
    lambda x, y: np.clip(x, -1, 0.5),
    lambda x, y: np.where(x == 0, 3 * x, x),
    lambda x, y: np.where(x == y, 0.25, x * y),
    lambda x, y: np.where(y > 0, x, 0),
    lambda x, y: np.where(y > 0, 0, x),
    lambda x, y: np.where(np.isnan(x), 0, np.abs(x) * y),
    lambda x, y: np.max(np.stack([x, y]), axis=0),
]


@examples(60)
@given(st.sampled_from(KINKS), special, special, st.sampled_from([np.float64, np.float32]), st.booleans())
def test_selections_with_ties_and_what_is_not_finite(
    kink: Any, xs: Any, heads: Any, dtype: Any, small_blocks: bool
) -> None:
    """Elements that are not selected get a gradient of zero whatever arrives there, as eagerly."""
    n = min(len(xs), len(heads))
    x, head = np.array(xs[:n], dtype), np.array(heads[:n], dtype)
    function = value_and_grad(lambda x, y, h: np.sum(np.where(h == h, kink(x, y) * h, kink(x, y))))
    compiled = compile(function)
    with np.errstate(all="ignore"), blocks_of(2, 2) if small_blocks else nullcontext():
        for y in (x[::-1].copy(), x, np.ones_like(x)):
            for got, truth in zip(compiled(x, y, head), function(x, y, head), strict=True):
                np.testing.assert_array_equal(got, truth, strict=True)
    assert compiled.traces <= 2  # one array given twice is another program


def test_comparisons_of_numbers_are_not_taken_for_each_other() -> None:
    compiled = compile(lambda x: np.where(x < 0, 1, np.where(x > 2, 2, np.where(x == 1, 3, 4.0))))
    for x, truth in ((5.0, 2), (-1.0, 1), (1.0, 3), (0.0, 4)):
        assert compiled(np.array(x)) == truth


def test_stored_gradients_that_somebody_holds_stay_as_they_are() -> None:
    w = tensor([1.0, 2.0])
    w.attach_grad()

    def step(x: Any) -> Any:
        with record():
            loss = (w * w * x).sum()
        loss.backward()
        return loss

    compiled = compile(step)
    for take in (
        lambda: w.grad,
        lambda: w.grad.array,
        lambda: w.grad.numpy(),
        lambda: w.grad[1:],
        lambda: None,
    ):
        held = []
        for n in (1.0, 2.0, 3.0):
            compiled(np.array(n))
            assert w.grad.numpy().tolist() == [2 * n, 4 * n]
            held.append(take())
        expected = [[2 * n, 4 * n] for n in (1.0, 2.0, 3.0)]
        for part, truth in zip(held, expected, strict=True):
            if part is not None:
                np.testing.assert_array_equal(np.asarray(part), truth[-len(part) :])


def test_large_arrays_go_by_blocks() -> None:
    """Rows and columns beside them, a remainder, an update in place, an array that is needed as a whole."""

    def f(w: Any, x: Any, row: Any, column: Any) -> Any:
        y = np.tanh(x * row + column) * np.exp(-x * x)
        w -= 0.5 * (y * y)
        return np.sum(y), y, np.sum(w * x), np.max(y, axis=0)

    rng, held = np.random.default_rng(0), list[Any]()
    with blocks_of(20, 9):
        compiled = compile(f)
        for _ in range(3):
            x, row, column = rng.normal(size=(7, 3)), rng.normal(size=3), rng.normal(size=(7, 1))
            start = rng.normal(size=(7, 3))
            w, eager = start.copy(), tensor(start)
            truths = f(eager, *map(tensor, (x, row, column)))
            held += zip(compiled(w, x, row, column), truths, strict=True)
            np.testing.assert_allclose(w, eager.numpy(), **close)
            for got, truth in held:  # those of the calls before, too
                np.testing.assert_allclose(got, truth.numpy(), **close)
    assert "for s in" in compiled._last.run.__doc__


def read_before(w: Any, x: Any) -> Any:
    """The largest elements are those from before the update."""
    y = np.sin(x) * 2
    top = np.max(w, axis=0)
    w -= y
    return top, y * w


def turned_round(w: Any, x: Any) -> Any:
    """Each row is updated by another one."""
    y = np.sin(x) * w[::-1]
    w -= y
    return np.sum(y), y * w


@pytest.mark.parametrize("f", [read_before, turned_round])
def test_blocks_write_into_nothing_that_is_still_to_be_read(f: Any) -> None:
    x, start = np.random.default_rng(0).normal(size=(2, 7, 3))
    compiled, eager = compile(f), tensor(start)
    truths = f(eager, tensor(x))
    with blocks_of(20, 9):
        for _ in range(2):
            w = start.copy()
            for got, truth in zip(compiled(w, x), truths, strict=True):
                np.testing.assert_allclose(got, truth.numpy(), **close)
            np.testing.assert_allclose(w, eager.numpy(), **close)
    assert "for s in" in compiled._last.run.__doc__


class Linear(Module):
    def __init__(self, dtype: Any = float) -> None:
        super().__init__()
        self.w, self.b = tensor([[0.5], [-0.25]], dtype), tensor([0.0], dtype)
        self.w.attach_grad()
        self.b.attach_grad()

    def forward(self, X: Any) -> Any:
        return X @ self.w + self.b

    def loss(self, y_hat: Any, y: Any) -> Any:
        return ((y_hat - y) ** 2 / 2).mean()


def training_step(model: Linear, momentum: list[Tensor], X: Any, y: Any) -> Any:
    with record():
        loss = model.loss(model(X), y)
    loss.backward()
    for p, v in zip((model.w, model.b), momentum, strict=True):
        v *= 0.9
        v += p.grad
        p -= 0.1 * v
    return loss


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_many_training_steps_with_updates_in_place(dtype: Any) -> None:
    data = SyntheticRegressionData(w=tensor([2.0, -3.4]), b=4.2, num_train=96, seed=1)
    runs = []
    for compiling in (False, True):
        model = Linear(dtype)
        momentum = [tensor(np.zeros((2, 1)), dtype), tensor(np.zeros(1), dtype)]
        step: Any = compile(training_step) if compiling else training_step
        losses = []
        for epoch in range(3):
            for start in range(0, 96, 32):
                X, y = (np.asarray(a[start : start + 32], dtype) for a in (data.X.numpy(), data.y.numpy()))
                losses.append(step(model, momentum, X, y))
                assert losses[-1].dtype == model.w.dtype == model.w.grad.dtype == dtype, epoch
        tolerance = {"rtol": 1e-10 if dtype is np.float64 else 1e-4}
        runs.append(
            [np.array([float(x) for x in losses]), model.w.numpy(), model.b.numpy(), model.w.grad.numpy()]
        )
    assert step.traces == 1
    for eager, fast in zip(*runs, strict=True):
        np.testing.assert_allclose(fast, eager, **tolerance)


OPTIMIZERS: dict[str, Any] = {
    "sgd": lambda params: tinygrad_lr.SGD(params, 0.1),
    "momentum": lambda params: tinygrad_lr.SGD(params, 0.1, momentum=0.9, weight_decay=[0.1, 0.0]),
    "nesterov": lambda params: tinygrad_lr.SGD(params, 0.1, momentum=0.9, nesterov=True),
    "adam": lambda params: tinygrad_lr.Adam(params, 0.1, weight_decay=0.1),
}
optimizers = pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)


@optimizers
@pytest.mark.parametrize("clip", [0.0, 0.5])
def test_trainer_with_compile(make: Any, clip: float) -> None:
    """Losses, parameters and points of the board are those of the eager run to rounding.

    Also where the learning rate and the limit of the gradients change on the way.
    """

    class Tighten:
        def on_epoch_end(self, trainer: tinygrad_lr.Trainer) -> None:
            trainer.gradient_clip_val /= 2

    results = []
    for compiling in (False, True):
        np.random.seed(0)
        model = Linear()
        optimizer = make([model.w, model.b])
        model.configure_optimizers = lambda o=optimizer: (o, StepLR(o, 1))  # type: ignore[misc]
        options: Any = {"callbacks": [Tighten()], "progress": False, "compile": compiling}
        trainer = tinygrad_lr.Trainer(3, gradient_clip_val=clip, **options)
        trainer.fit(model, SyntheticRegressionData([1.0, 2.0], 0.5, num_train=40, num_val=8, seed=0))
        curves = [[float(y) for _, y in points] for points in model.board.data.values()]
        results.append([*trainer.history["train"], *trainer.history["val"], model.w.numpy(), model.b.numpy()])
        results[-1] += [*curves, model.w.grad.numpy(), model.b.grad.numpy(), optimizer.steps, optimizer.lr]
    assert trainer._compiled_step.traces == (6 if clip else 2)  # the last minibatch is smaller
    for eager, fast in zip(*results, strict=True):
        np.testing.assert_allclose(fast, eager, rtol=1e-9)


def test_an_optimizer_that_a_callback_exchanges_takes_the_next_steps() -> None:
    class Exchange:
        def on_epoch_end(self, trainer: tinygrad_lr.Trainer) -> None:
            trainer.optim = tinygrad_lr.Adam(trainer.model.parameters(), 0.1)

    results = []
    for compiling in (False, True):
        np.random.seed(0)
        model = tinygrad_lr.LinearRegressionScratch(2, lr=0.1)
        trainer = tinygrad_lr.Trainer(2, callbacks=[Exchange()], progress=False, compile=compiling)
        trainer.fit(model, SyntheticRegressionData([1.0, 2.0], 0.5, num_train=64, num_val=0, seed=0))
        results.append([model.w.numpy(), model.b.numpy()])
    for eager, fast in zip(*results, strict=True):
        np.testing.assert_allclose(fast, eager, rtol=1e-9)


def test_a_trainer_that_clips_in_its_own_way_does_so_when_compiled() -> None:
    model, clipped = tinygrad_lr.LinearRegressionScratch(2, lr=0.1), list[float]()
    trainer = tinygrad_lr.Trainer(1, gradient_clip_val=1.0, progress=False, compile=True)
    trainer.clip_gradients = lambda value, model: clipped.append(value)  # type: ignore[method-assign]
    trainer.fit(model, SyntheticRegressionData([1.0, 2.0], 0.5, num_train=64, num_val=0, seed=0))
    assert clipped == [1.0, 1.0]


@optimizers
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_steps_of_optimizers(make: Any, dtype: Any) -> None:
    """Learning rate, count and state are those of each call; what else changes is another program."""
    runs = []
    for compiling in (False, True):
        model = Linear(dtype)
        optimizer = make([model.w, model.b])

        def step(X: Any, y: Any, model: Any = model, optimizer: Any = optimizer) -> Any:
            with record():
                loss = model.loss(model(X), y)
            loss.backward()
            optimizer.step()
            return loss

        run: Any = compile(step) if compiling else step
        rng, kept = np.random.default_rng(0), []
        for i in range(30):
            X, y = rng.normal(size=(8, 2)).astype(dtype), rng.normal(size=(8, 1)).astype(dtype)
            if i == 25:
                optimizer.rescale = 0.5
            optimizer.lr = 0.1 / (1 + i)
            kept.append([float(run(X, y)), *model.w.numpy().ravel(), model.b.item(), optimizer.steps])
            if i == 10:
                state = optimizer.state_dict()
            if i == 20:
                optimizer.load_state_dict(state)
        runs.append(kept)
    assert run.traces == 2
    np.testing.assert_allclose(
        runs[1], runs[0], rtol=10 * np.finfo(dtype).eps, atol=100 * np.finfo(dtype).eps
    )
    captured = [v for v in run._last.program.captured if not isinstance(v.source, Answer)]
    given = {v.name: np.copy(getattr(v.source, "array", v.source)) for v in captured}
    step(X, y)
    for form in ("source", "executed"):
        arrays = {name: a.copy() for name, a in given.items()}
        numbers = {"lr": optimizer.lr, "t": optimizer.steps}
        space: dict[str, Any] = {}
        exec(getattr(run, form), space)
        space["step"](X, y, **arrays, **numbers)
        for array, truth in zip((arrays["w"], arrays["b"]), (model.w, model.b), strict=True):
            np.testing.assert_allclose(array, truth.numpy(), rtol=100 * np.finfo(dtype).eps)


def test_source_of_an_optimizers_step() -> None:
    w = tensor([1.0, 2.0])
    w.attach_grad()
    adam = tinygrad_lr.Adam([w], 0.1)

    def step(x: Any) -> None:
        with record():
            loss = (w * x).sum()
        loss.backward()
        adam.step()

    compiled = compile(step)
    compiled(np.ones(2))
    rows = [row.split("  #")[0].strip() for row in compiled.source.splitlines()]
    assert "def step(x, w, lr, t, mean_w, square_w):" in rows
    assert "mean_w *= 0.9" in rows
    assert "t1 = np.sqrt(square_w) / (1 - 0.999 ** t) ** 0.5 + 1e-08" in rows
    assert "w -= mean_w / t1 * (lr / (1 - 0.9 ** t))" in rows


def test_an_exception_while_a_step_is_traced_leaves_the_optimizer_as_it_was() -> None:
    w = tensor([1.0, 2.0])
    w.attach_grad()
    adam = tinygrad_lr.Adam([w], 0.1)
    adam.step()
    before = adam.state_dict()

    def step(x: Any) -> float:
        adam.step()
        return float(x.sum())

    with pytest.raises(TraceError):
        compile(step)(np.ones(2))
    for name, value in adam.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_optimizers_of_ones_own_are_compiled_or_raise() -> None:
    class Sign(tinygrad_lr.optim.Optimizer):
        def update(self, param: Any, grad: Any, state: Any, scratch: Any) -> None:
            param -= np.multiply(np.sign(grad), self.lr, out=scratch)

    class Halving(tinygrad_lr.optim.Optimizer):
        def update(self, param: Any, grad: Any, state: Any, scratch: Any) -> None:
            param -= grad * self.lr if self.steps % 2 else 0 * grad

    class Peeping(tinygrad_lr.optim.Optimizer):
        arrays = ("mean",)

        def update(self, param: Any, grad: Any, state: Any, scratch: Any) -> None:
            param -= getattr(state["mean"], "array", state["mean"]) + 1

    class Fixed(tinygrad_lr.optim.Optimizer):
        def update(self, param: Any, grad: Any, state: Any, scratch: Any) -> None:
            param -= getattr(self.steps, "array", 1.0)

    w = tensor([1.0, 2.0], np.float32)
    w.attach_grad()
    w.grad = [3.0, -4.0]
    sign, halving = Sign([w], 0.5, 0), Halving([w], 0.5, 0)
    for peeping in (Peeping([w], 0.5, 0), Fixed([w], 0.5, 0)):
        with pytest.raises(TraceError, match=r"\.array needs the value"):
            compile(peeping.step)()
    compiled = compile(sign.step)
    for n in (0.5, 1.0):
        compiled()
        assert w.tolist() == [1 - n, 2 + n]
    assert w.dtype == np.float32
    with pytest.raises(TraceError, match="asking whether it is true"):
        compile(halving.step)()
    assert (halving.lr, halving.steps) == (0.5, 0)


def test_schedules_are_not_compiled() -> None:
    w = tensor([1.0])
    w.attach_grad()
    schedule = StepLR(tinygrad_lr.SGD([w], 0.1), 1)
    with pytest.raises(TraceError, match=r"StepLR\.step\(\) within .* done once only\. Call it outside"):
        compile(schedule.step)()
    assert schedule.epoch == 0


def test_trainer_with_compile_wants_the_usual_training_step() -> None:
    class Own(Linear):
        def training_step(self, batch: Any) -> Any:
            return super().training_step(batch)

    with pytest.raises(TypeError, match=r"cannot use the training_step of Own.*leave compile away"):
        tinygrad_lr.Trainer(1, compile=True).fit(Own(), SyntheticRegressionData([1.0, 2.0], 0.5))


@pytest.mark.parametrize("run", [lambda f: f, compile])
def test_a_graph_is_freed_by_a_backward_that_is_compiled_as_well(run: Any) -> None:
    x = tensor([1.0, 2.0])
    x.attach_grad()

    def twice(c: Any, retain_graph: bool) -> Any:
        with record():
            y = np.sum(c * x * x)
        y.backward(retain_graph=retain_graph)
        y.backward()
        return y

    run(twice)(tensor(3.0), True)
    np.testing.assert_array_equal(x.grad.array, [6, 12])
    with pytest.raises(GraphFreedError):
        run(twice)(tensor(3.0), False)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(np.polyder(x) ** 2),
        lambda x: np.sum(np.linspace(x, 2 * x, 3) ** 2),
        lambda x: np.sum(
            np.piecewise(x, [np.array([True, False, True])], [lambda v: v * v, lambda v: 3 * v])
        ),
    ],
    ids=["polyder", "linspace", "piecewise"],
)
def test_functions_made_of_others(f: Any) -> None:
    x, gradient = np.array([2.0, 3.0, 4.0]), grad(f)
    compiled = compile(gradient)
    for factor in (1, -2, 3):
        np.testing.assert_allclose(compiled(factor * x), gradient(factor * x))


def test_writes_while_recording_in_compiled_functions() -> None:
    def f(x: Any) -> Any:
        s, total = np.sum(tensor(np.ones(2)) * x), np.sum(x)
        with record():
            s[...] = 5.0
            total += 1.0
            return s * 1, total * 2

    compiled = compile(f)
    for k in (1.0, 3.0):
        np.testing.assert_array_equal(compiled(k * np.ones(2)), [5, 2 * (2 * k + 1)])


def test_gradients_have_the_names_of_what_they_belong_to() -> None:
    def f(x: Any, w: Any) -> Any:
        x.attach_grad()
        w.attach_grad()
        with record():
            y = np.sum(np.exp(x) * w)
        return [*autograd.grad(y, [x, w])]

    compiled = compile(f)
    compiled(tensor([1.0, 2.0]), tensor([3.0, 4.0]))
    assert "return [grad_x, grad_w]" in compiled.source
    cubes = compile(grad(lambda x: np.sum(x**3)))
    cubes(np.ones(2))
    assert "return grad_x" in cubes.source


@pytest.mark.parametrize("options", [[], ["--executed"]])
def test_printed_step_of_the_chapter(options: list[str], capsys: Any) -> None:
    assert main(["source", *options]) == 0
    assert main(["--seed", "1", "source"]) == 2  # an option of training
    space: dict[str, Any] = {}
    exec(capsys.readouterr().out, space)
    X, w, b = np.random.default_rng(0).normal(size=(32, 2)), np.ones((2, 1)), np.ones(1)
    truth = X @ [[2.0], [-3.4]] + 4.2
    for _ in range(2000):
        loss, *_ = space["training_step"](X, truth, w, b)
    np.testing.assert_allclose([loss, w[0, 0], w[1, 0], b[0]], [0, 2, -3.4, 4.2], atol=1e-6)


def test_source_of_the_chapters_step() -> None:
    model = Linear()

    def step(X: Any, y: Any) -> Any:
        with record():
            loss = model.loss(model(X), y)
        loss.backward()
        for p in (model.w, model.b):
            p -= 0.03 * p.grad
        return loss

    compiled = compile(step)
    compiled(np.ones((4, 2)), np.zeros((4, 1)))
    lines = [line.split("#")[0].strip() for line in compiled.source.splitlines()]
    assert lines[:4] == ["import numpy as np", "", "", "def step(X, y, w, b):"]
    assert "y_hat = X @ w + b" in lines
    assert "w -= 0.03 * grad_w" in lines
    assert lines[-1] == "return loss, grad_w, grad_b"
    w, b = np.array([[0.5], [-0.25]]), np.array([0.0])
    loss, grad_w, grad_b = run_source(compiled, np.ones((4, 2)), np.zeros((4, 1)), w, b)
    np.testing.assert_allclose([loss, grad_w[0, 0], grad_b[0]], [0.25**2 / 2, 0.25, 0.25])
    np.testing.assert_allclose([w[0, 0], b[0]], [model.w.numpy()[0, 0], model.b.numpy()[0]])


def test_traced_again_for_other_shapes_dtypes_and_static_values() -> None:
    compiled = compile(lambda x, n: np.sum(x**n))
    x = np.array([1.0, 2.0])
    for arguments, traces in (
        ((x, 2), 1),
        ((x, 2), 1),
        ((x, 3), 2),
        ((x.astype(np.float32), 2), 3),
        ((x[:1], 2), 4),
    ):
        assert compiled(*arguments) == np.sum(arguments[0] ** arguments[1])
        assert compiled.traces == traces
    assert compiled(x, 2) == 5
    assert compiled.traces == 4
    for n in range(2 * CACHE_SIZE):
        compiled(x, n + 10)
    assert compiled.programs == CACHE_SIZE
    traces = compiled.traces
    for n in range(CACHE_SIZE, 2 * CACHE_SIZE):  # the last ones are kept
        compiled(x, n + 10)
    assert compiled.traces == traces
    twice = compile(lambda x: 2 * x)
    for dtype in ("f4", "f8", ">f8", "f2", "i4", "i8", "u8", "?") * 2:
        for repeated in (0, 1):
            assert twice(x.astype(dtype)).dtype == (2 * x.astype(dtype)).dtype, repeated


def test_one_array_given_twice_is_another_program() -> None:
    compiled = compile(lambda a, b: np.sum(a * b + b))
    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    for a, b in ((x, x), (x, y), (y, y), (y, x)):
        assert compiled(a, b) == np.sum(a * b + b)


@pytest.mark.parametrize("order", ["A", "K", "a", "k"])
def test_the_order_of_memory_raises(order: Any) -> None:
    """The same program serves arrays that lie otherwise, and has buffers of its own."""
    x = np.arange(6.0).reshape(2, 3)
    functions = [lambda x: np.ravel(x.T, order), lambda x: x.ravel(order=order), lambda x: x.flatten(order)]
    if order in "Aa":
        functions += [lambda x: x.reshape(6, order=order), lambda x: np.reshape(x, 6, order)]
    for function in functions:
        with pytest.raises(
            TraceError, match=rf"order='{order}' depends on how .* Write order=\"C\" or order=\"F\""
        ):
            compile(function)(x)
    compiled = compile(lambda x: (np.ravel(np.exp(x.T), "F"), np.ravel(x.T, "C")))
    for _ in range(2):
        for got, expected in zip(compiled(x), (np.ravel(np.exp(x)), np.ravel(x.T)), strict=True):
            np.testing.assert_array_equal(got, expected)


OWN, MASK = tensor([1.0, 2.0]), tensor([True, False, True])
RESULTS: dict[str, Any] = {
    "the argument": lambda x: x,
    "a view of it": lambda x: x[1:],
    "made of constants": lambda x: np.array([1.0, 2.0]),
    "a tensor of constants": lambda x: tensor([1.0, 2.0]),
    "made of it": lambda x: 2 * x,
    "several": lambda x: (2 * x, x.T),
}


@pytest.mark.parametrize("function", RESULTS.values(), ids=RESULTS)
@pytest.mark.parametrize("wrap", [np.array, tensor])
def test_results_can_be_written(function: Any, wrap: Any) -> None:
    """Also those of the first call: neither the arguments nor later results change with them."""
    compiled = compile(function)
    for start in (1.0, 2.0, 3.0):
        x = wrap([start, 5.0])
        given = np.array(getattr(x, "array", x))
        for result in made if isinstance(made := compiled(x), tuple) else (made,):
            expected = np.array(getattr(result, "array", result))
            if result is not x:  # as a tensor is that is passed on
                result[...] = 7.0
                np.testing.assert_array_equal(getattr(x, "array", x), given)
            truth = function(tensor(given))
            assert any(
                np.array_equal(expected, part) for part in (truth if isinstance(truth, tuple) else [truth])
            )


def test_tensors_from_elsewhere_are_passed_on() -> None:
    compiled = compile(lambda x: (OWN, x))
    for _ in range(3):
        own, given = compiled(x := tensor([1.0]))
        assert own is OWN
        assert given is x
        own, given = compiled(np.ones(1))
        assert own is OWN
        np.testing.assert_array_equal(given, [1])


def test_numbers_made_of_constants_are_results() -> None:
    compiled = compile(lambda x: (np.prod([2.0, 3.0]), 2 * x, np.float32(1)))
    for _ in range(3):
        product, twice, one = compiled(np.ones(2))
        assert (product, one) == (6, 1)
        assert (type(product), type(one)) == (np.float64, np.float32)
        np.testing.assert_array_equal(twice, [2, 2])
    value, slope = compile(value_and_grad(lambda x: np.prod([2.0, 3.0])))(np.ones(2))
    assert value == 6
    np.testing.assert_array_equal(slope, [0, 0])


def forms_of_one(x: Any) -> Any:
    y = 2 * x
    return {"list": [y, y], "tuple": (y, Pair(y, y)), "view": y[..., :1], "turned": y.T, "given": (x, x, x.T)}


def test_a_result_that_is_returned_twice_is_two_arrays() -> None:
    """In whatever nesting, and with its views."""
    compiled, held = compile(forms_of_one), list[Any]()
    for n in (1.0, 2.0, 3.0):
        x = np.array([[n, 4.0]])
        for a, b in zip(parts(compiled(x)), parts(forms_of_one(x)), strict=True):
            np.testing.assert_array_equal(a, b)
            assert not any(np.shares_memory(a, other) for other in (*held, x))
            held.append(a)
    assert compiled.traces == 1


class Kind(enum.Enum):
    ONE = 1


def test_results_in_dicts_have_the_keys_of_the_function() -> None:
    keys = ["a", 2, ("b", 1.5), None, np.nan, float("inf"), Kind.ONE, np.float64(3), frozenset({1})]
    compiled = compile(lambda x: {key: x * i for i, key in enumerate(keys)})
    for x in (np.ones(2), np.zeros(2), np.ones(2)):
        for i, (key, value) in enumerate(compiled(x).items()):
            assert key is keys[i]
            np.testing.assert_array_equal(value, i * x)


def test_an_argument_that_an_object_among_the_arguments_has_too() -> None:
    """By position or by keyword; the object is fixed, and its tensors are found."""
    for by_keyword in (False, True):
        model = Linear()

        def f(x: Any, model: Any) -> Any:
            before = 2 * x
            model.w += 1
            return before, 2 * x

        for order in ([model.w, tensor([[1.0], [2.0]])], [tensor([[1.0], [2.0]]), model.w]):
            compiled = compile(f)
            for x in order * 2:
                made = compiled(x, model=model) if by_keyword else compiled(x, model)
                after = x.numpy()
                np.testing.assert_array_equal(made[0].numpy(), 2 * after - (2 if x is model.w else 0))
                np.testing.assert_array_equal(made[1].numpy(), 2 * after)


def test_results_belong_to_the_caller() -> None:
    compiled = compile(lambda x: {"twice": 2 * x, "also": (2 * x).T, "same": x, "number": 3})
    x = np.array([[1.0, 2.0]])
    first, second = compiled(x), compiled(x + 1)
    third = compiled(x + 2)
    np.testing.assert_array_equal(first["twice"], [[2, 4]])
    np.testing.assert_array_equal(second["also"], [[4], [6]])
    np.testing.assert_array_equal(second["same"], [[2, 3]])
    assert third["number"] == 3
    arrays = [made[key] for made in (second, third) for key in ("twice", "also", "same")]
    for i, a in enumerate(arrays):
        assert not any(np.shares_memory(a, b) for b in (*arrays[:i], x))


def test_tensors_in_tensors_out() -> None:
    x = tensor([1.0, 2.0])
    compiled = compile(lambda x: np.exp(x) * 2)
    for _ in range(2):
        made = compiled(x)
        assert isinstance(made, Tensor)
        np.testing.assert_allclose(made.numpy(), np.exp([1, 2]) * 2)


def test_what_the_function_finds_elsewhere_is_read_at_each_call() -> None:
    scale, table = tensor([2.0, 3.0]), np.array([1.0, 1.0])
    compiled = compile(lambda x: x * scale + table)
    x = np.array([1.0, 1.0])
    np.testing.assert_array_equal(compiled(x), [3, 4])
    scale += 1
    table[0] = 5
    np.testing.assert_array_equal(compiled(x), [8, 5])
    assert compiled.traces == 1


def test_order_of_reads_and_writes_is_kept() -> None:
    """Before and after an update, through views, of equal expressions."""

    def program(v: Any, x: Any) -> Any:
        before = v * x
        view = v[1:]
        v += 1
        after = v * x
        view *= 10
        copy = v.copy()
        v[0] = 7
        return before, after, v * x, copy, view * 1

    compiled = compile(program)
    for start in ([1.0, 2.0], [3.0, 4.0]):
        eager, fast, x = tensor(start), tensor(start), np.array([2.0, 5.0])
        expected = [t.numpy() for t in program(eager, x)]
        for got, truth in zip(compiled(fast, x), expected, strict=True):
            np.testing.assert_array_equal(got.numpy(), truth)
        np.testing.assert_array_equal(fast.numpy(), eager.numpy())
        plain = np.array(start)
        for got, truth in zip(run_source(compiled, plain, x), expected, strict=True):
            np.testing.assert_array_equal(got, truth)


def test_gradients_that_are_added_and_clipped() -> None:
    results = []
    for compiling in (False, True):
        w = tensor([1.0, 2.0])
        w.attach_grad("add")

        def step(x: Any, w: Any = w) -> None:
            with record():
                loss = (w * x).sum()
            loss.backward()
            w.grad[:] = np.clip(w.grad, -5.0, 5.0)

        run: Any = compile(step) if compiling else step
        for x in ([1.0, 2.0], [3.0, -4.0], [3.0, -9.0]):
            assert run(np.array(x)) is None
        results.append(w.grad.numpy())
    np.testing.assert_array_equal(*results)


def test_an_update_is_seen_by_backward() -> None:
    """The engine's guard against values that were changed holds for compiled updates too."""
    w = tensor([1.0])
    w.attach_grad()

    def update(step: Any) -> None:
        w.__isub__(step)

    compiled = compile(update)
    compiled(np.array([0.5]))
    with record():
        y = w * w
    compiled(np.array([0.5]))
    with pytest.raises(autograd_error := tinygrad_lr.errors.ModifiedError, match="changed in place"):
        y.backward()
    assert issubclass(autograd_error, RuntimeError)
    v = tensor([2.0])
    both = compile(lambda x: (w.__isub__(x), v.__isub__(x))[:0])
    both(np.array([0.5]))
    for t in (w, v):  # each of several
        t.attach_grad()
        with record():
            y = t * t
        both(np.array([0.5]))
        with pytest.raises(autograd_error, match="changed in place"):
            y.backward()


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (lambda x: x if x.sum() > 0 else -x, "asking whether it is true"),
        (lambda x: x * x.sum().item(), r"item\(\)"),
        (lambda x: x * float(x.sum()), r"float\(\)"),
        (lambda x: x * x.numpy(), r"numpy\(\)"),
        (lambda x: x * np.asarray(x), "np.asarray"),
        (lambda x: x.tolist(), r"tolist\(\)"),
        (lambda x: [1, 2, 3][np.argmax(x)], "index"),
        (lambda x: x * np.random.normal(size=2), "random numbers"),
        (lambda x: x * np.median(x, overwrite_input=True), "result of np.median, which may overwrite"),
    ],
)
def test_what_would_be_frozen_raises(function: Any, what: str) -> None:
    compiled = compile(function)
    for _ in range(2):
        with pytest.raises(TraceError, match=what):
            compiled(np.array([1.0, 2.0]))
    assert not compiled._cache


def test_other_errors() -> None:
    compiled = compile(lambda x, extra: x)
    with pytest.raises(RuntimeError, match=r"no source yet: .* when it is called first"):
        _ = compiled.source
    with pytest.raises(TypeError, match=r"unhashable.*argument of a compiled function"):
        compiled(np.ones(2), {1, 2})


def test_names_of_the_program() -> None:
    def f(weights: Any, data: Any) -> Any:
        hidden = np.tanh(data @ weights)
        return np.sum(hidden * hidden)

    compiled = compile(value_and_grad(f))
    weights, data = np.array([[0.5, 1.0]]), np.array([[1.0], [2.0]])
    value, gradient = compiled(weights, data)
    assert "def f(weights, data):" in compiled.source
    assert "hidden = np.tanh(data @ weights)" in compiled.source
    assert "grad_weights = " in compiled.source
    for got, truth in zip(run_source(compiled, weights, data), (value, gradient), strict=True):
        np.testing.assert_allclose(got, truth)


def test_the_package_has_it_by_name() -> None:
    assert tinygrad_lr.compile is compile
    step = compile(training_step)
    assert (step.__name__, step.__doc__, step.__wrapped__) == ("training_step", None, training_step)
    assert compile(ends).__name__ == "ends"
    assert inspect.signature(compile(ends)) == inspect.signature(ends)
    assert autograd.is_recording() is False


def test_signs_of_zeros_and_of_static_arguments() -> None:
    x = np.array([2.0, 3.0])

    def signs(x: Any) -> Any:
        return np.copysign(x, 0.0) * 10 + np.copysign(x, -0.0)

    by_sign, static = compile(signs), compile(np.copysign)
    for _ in range(2):
        np.testing.assert_array_equal(by_sign(x), 9 * x)
        np.testing.assert_array_equal(static(x, 0.0), x)
        np.testing.assert_array_equal(static(x, -0.0), -x)


STATIC: list[Any] = [2, 2.0, 1, 1.0, True, 0, 0.0, -0.0, False, np.nan, None, "s", 2 + 0j]


@pytest.mark.parametrize("nest", [lambda k: k, lambda k: [k], lambda k: (k, "t"), lambda k: {"k": (k,)}])
def test_static_arguments_that_are_equal_are_not_taken_for_each_other(nest: Any) -> None:
    """After any other one, also where Python says that they are equal: their types and signs count."""
    compiled = compile(lambda x, k: x * np.array(str(k) == str(nest(2)), int) + len(str(k)))
    repeated = compile(lambda k, x: (x, repr(k)))
    x = np.array([1, 2])
    for one in STATIC:
        for other in STATIC:
            for k in (one, other):
                assert repeated(nest(k), x)[1] == repr(nest(k))
                np.testing.assert_array_equal(
                    compiled(x, nest(k)), x * (str(nest(k)) == str(nest(2))) + len(str(nest(k)))
                )
    assert repeated.programs == len(STATIC)


@pytest.mark.parametrize("x", [np.array([1, 2]), np.array([True, False]), np.array([1, 2], np.float32)])
def test_the_dtype_of_a_result_is_that_of_each_number(x: Any) -> None:
    numbers: list[Any] = [2, 2.0, True, np.float64(2), np.float32(2), np.int8(2), np.int64(2), 2 + 0j]
    product = compile(lambda x, k: x * k)
    together = compile(lambda x: [x * k for k in numbers] + [x + k for k in numbers])
    for _ in range(2):
        for k in numbers:
            for other in numbers:
                product(x, other)
                assert product(x, k).dtype == (x * k).dtype
        for made, k in zip(together(x), numbers * 2, strict=True):
            assert made.dtype == (x * k).dtype


def test_dicts_whose_keys_come_in_another_order() -> None:
    difference = compile(lambda p: p["a"] - p["b"])
    x, y = np.array([5.0, 6.0]), np.array([1.0, 3.0])
    for p in ({"a": x, "b": y}, {"b": y, "a": x}, {"b": x, "a": y}, {"a": y, "b": x}):
        np.testing.assert_array_equal(difference(p), p["a"] - p["b"])
    by_name = compile(lambda a, b: a - b)
    np.testing.assert_array_equal(by_name(a=x, b=y), x - y)
    np.testing.assert_array_equal(by_name(b=y, a=x), x - y)
    np.testing.assert_array_equal(by_name(x, b=y), x - y)
    first = compile(lambda p: next(iter(p.values())) * 1)
    for p in ({"a": x, "b": y}, {"b": y, "a": x}, {"a": x, "b": y}, {"c": y, "b": x}):
        np.testing.assert_array_equal(first(p), next(iter(p.values())))


def test_source_and_executed_are_those_of_the_last_call() -> None:
    compiled = compile(lambda x, k: x * k)
    x = np.ones(2)
    for k in (2.0, 3.0, 2.0, 2.0, 3.0):
        compiled(x, k)
        assert f"{k} * x" in compiled.source
        assert str(k) in compiled.executed


def test_modes_are_programs_of_their_own() -> None:
    compiled = compile(lambda x: x * 2 if tinygrad_lr.is_training() else x * 3)
    x = np.ones(2)
    for _ in range(2):
        with tinygrad_lr.train_mode():
            np.testing.assert_array_equal(compiled(x), [2, 2])
        np.testing.assert_array_equal(compiled(x), [3, 3])


def test_numbers_are_not_multiplied_beyond_what_numbers_can_be() -> None:
    small, large = compile(lambda x: x * 1e-200 * 1e-200), compile(lambda x: x * 1e200 * 1e200)
    for _ in range(2):
        np.testing.assert_allclose(small(np.array([1e300])), [1e-100])
        np.testing.assert_array_equal(large(np.array([0.0])), [0])


def test_arguments_that_share_memory() -> None:
    def program(w: Any, v: Any) -> Any:
        before = v * 2
        w += 1
        return before, v * 2

    compiled = compile(program)
    for _ in range(2):
        for shared in (True, False):
            w = np.array([1.0, 2.0, 3.0])
            before, after = compiled(w, w[1:] if shared else np.array([2.0, 3.0]))
            np.testing.assert_array_equal(before, [4, 6])
            np.testing.assert_array_equal(after, [6, 8] if shared else [4, 6])


def test_a_compiled_function_is_not_recorded() -> None:
    w, x = tensor([1.0, 2.0]), np.ones(2)
    w.attach_grad()
    by_argument, by_closure = compile(lambda w: np.sum(w**2)), compile(lambda x: np.sum(w * x))
    by_closure(x)
    for _ in range(2):
        with record(), pytest.raises(TraceError, match=r"cannot be recorded, but `w` .*value_and_grad"):
            by_argument(w)
        with record(), pytest.raises(TraceError, match="cannot be recorded"):
            by_closure(x)
        assert by_argument(w).item() == 5


def test_attached_tensors_are_another_program() -> None:
    def step(w: Any) -> Any:
        with record():
            y = np.sum(w * w)
        y.backward()
        return y

    compiled = compile(step)
    for _ in range(2):
        attached = tensor([1.0, 2.0])
        attached.attach_grad()
        compiled(attached)
        np.testing.assert_array_equal(attached.grad.numpy(), [2, 4])
        with pytest.raises(NothingAttachedError):
            compiled(tensor([3.0, 4.0]))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.mean(x[x > 0]),
        lambda x: x[np.nonzero(x > 0)],
        lambda x: np.extract(x > 0, x),
        lambda x: np.compress(x > 0, x),
        lambda x: x[np.where(x > 0)],
        lambda x: np.argwhere(x),
        lambda x: x[MASK],
        lambda x: np.repeat(x, MASK),
        value_and_grad(lambda x: np.mean(x[x > 0] ** 2)),
    ],
)
def test_shapes_that_depend_on_values_raise(function: Any) -> None:
    with pytest.raises(TraceError, match=r"depends on values.*np\.where\(mask, x, 0\)"):
        compile(function)(np.array([1.0, -2.0, 3.0]))


def test_a_list_of_one_result() -> None:
    compiled = compile(lambda x: (np.split(x, 1)[0] * 2, np.meshgrid(x)[0] + 1))
    x = np.array([1.0, 2.0])
    for _ in range(2):
        for got, truth in zip(compiled(x), (2 * x, x + 1), strict=True):
            np.testing.assert_array_equal(got, truth)
    for got, truth in zip(run_source(compiled, x), (2 * x, x + 1), strict=True):
        np.testing.assert_array_equal(got, truth)


def test_constant_masks_and_slices() -> None:
    mask = np.array([True, False, True])
    compiled = compile(lambda x, part: (x[mask], x[part]))
    for x in (np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])):
        chosen, part = compiled(x, slice(1, None))
        np.testing.assert_array_equal(chosen, x[mask])
        np.testing.assert_array_equal(part, x[1:])


def test_a_number_that_is_written_in_place() -> None:
    def f(x: Any) -> Any:
        s = x.sum()
        s += 1
        return s, x.sum()

    compiled = compile(f)
    for x in (np.array([0.5, 1.5]), np.array([2.0, 3.0]), np.array([2.0, 3.0])):
        for _ in range(2):
            assert compiled(x) == (np.sum(x) + 1, np.sum(x))
            assert run_source(compiled, x) == (np.sum(x) + 1, np.sum(x))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.repeat(np.ones(3), np.argsort(x)),
        lambda x: np.delete(np.ones(3), np.argsort(x)[:1]),
        lambda x: np.repeat(np.ones(3), repeats=np.argsort(x)),
        lambda x: np.repeat(x, repeats=np.argsort(x)),
        lambda x: np.delete(x, obj=np.argsort(x)[:1]),
        lambda x: np.delete(arr=x, obj=np.argsort(x)[:1]),
        lambda x: np.compress(a=x, condition=x > 0),
        lambda x: np.extract(condition=x > 0, arr=x),
        lambda x: np.trim_zeros(filt=np.trunc(x)),
        lambda x: np.unique(ar=x),
        lambda x: np.flatnonzero(a=x),
        lambda x: np.union1d(x, x),
        lambda x: np.bincount(np.argsort(x)),
        lambda x: np.intersect1d(x, x),
        lambda x: np.setdiff1d(x, 2 * x),
        lambda x: np.setxor1d(x, 2 * x),
        *(
            lambda x, name=name: getattr(np, name)(x)[0]
            for name in ("unique_all", "unique_counts", "unique_inverse", "unique_values")
            if hasattr(np, name)
        ),
    ],
)
def test_more_shapes_that_depend_on_values_raise(function: Any) -> None:
    with pytest.raises(TraceError, match=r"depends on values|needs the value of"):
        compile(function)(np.array([1.0, -2.0, 3.0]))


def test_a_mask_that_takes_another_number_later_raises() -> None:
    mask = np.array([True, False, True])
    compiled = compile(lambda x: np.mean(x[mask]))
    x = np.array([1.0, 2.0, 3.0])
    assert compiled(x) == compiled(x) == 2
    mask[1] = True
    with pytest.raises(TraceError, match="a mask takes 3 elements now"):
        compiled(x)

    index, mask = np.array([0]), np.array([True, False, False])
    beside = compile(lambda x: np.sum(x[index, mask]))
    assert beside(x[None]) == beside(x[None]) == 1
    mask[1] = True
    with pytest.raises(TraceError, match="a mask takes 2 elements now"):
        beside(x[None])


#: functions whose results have a shape that depends on values, and two calls for which it is another
SHAPED_BY_VALUES: dict[str, tuple[Any, Any, Any]] = {
    "roots": (lambda x: np.roots(x), ([1.0, -3.0, 2.0],), ([0.0, 1.0, -2.0],)),
    "polydiv": (lambda x: np.polydiv(x, np.array([1.0, 2.0]))[1], ([1.0, 2.0, 3.0],), ([1.0, 2.0, 0.0],)),
    "polymul": (lambda x: np.polymul(x, x), ([1.0, 2.0],), ([0.0, 2.0],)),
    "polymul by numbers": (lambda x: np.polymul(x, [1.0, 2.0]), ([1.0, 2.0],), ([0.0, 2.0],)),
    "lstsq": (
        lambda x: np.linalg.lstsq(np.stack([x, np.ones(3)]).T, np.array([1.0, 2.0, 4.0]))[1],
        ([1.0, 2.0, 3.0],),
        ([1.0, 1.0, 1.0],),
    ),
    "insert": (lambda x: np.insert(x, x > 2, 0.0), ([1.0, 2.0, 3.0],), ([1.0, 2.0, 1.0],)),
    "ix_": (lambda x: x[np.ix_(x > 2)], ([1.0, 2.0, 3.0],), ([3.0, 3.0, 3.0],)),
    "diag": (lambda x, i: np.diag(x, i), ([1.0, 2.0], 0), ([1.0, 2.0], 1)),
    "rot90": (lambda x, i: np.rot90(x, i), ([[1.0, 2.0]], 1), ([[1.0, 2.0]], 2)),
    "tile": (lambda x, i: np.tile(x, i), ([1.0, 2.0], [2, 1]), ([1.0, 2.0], [1, 1])),
    "reps=": (lambda x, i: np.tile(x, reps=(i, 1)), ([1.0, 2.0], 2), ([1.0, 2.0], 1)),
    "resize": (lambda x, i: np.resize(x, i), ([1.0, 2.0], [2, 1]), ([1.0, 2.0], [1, 1])),
    "reshape": (lambda x, i: np.reshape(x, i), ([1.0, 2.0], [2, 1]), ([1.0, 2.0], [1, 2])),
    "x.reshape": (lambda x, i: x.reshape((i, -1)), ([1.0, 2.0], 2), ([1.0, 2.0], 1)),
    "broadcast_to": (lambda x, i: np.broadcast_to(x, i), ([1.0, 2.0], [2, 2]), ([1.0, 2.0], [1, 2])),
    "ones_like": (lambda x, i: np.ones_like(x, shape=i), ([1.0, 2.0], [2, 2]), ([1.0, 2.0], [1, 2])),
    "split": (lambda x, i: np.split(x, i)[0], ([1.0, 2.0, 3.0], [2]), ([1.0, 2.0, 3.0], [1])),
    "array_split": (lambda x, i: np.array_split(x, i)[0], ([1.0, 2.0, 3.0], 1), ([1.0, 2.0, 3.0], 3)),
    "pad": (lambda x, i: np.pad(x, i), ([1.0], [0, 0]), ([1.0], [0, 1])),
    "vander": (lambda x, i: np.vander(x, i), ([1.0, 2.0], 2), ([1.0, 2.0], 1)),
    "linspace": (lambda x, i: np.linspace(x, 2 * x, i), ([1.0], 1), ([1.0], 2)),
    "sum": (lambda x, i: np.sum(x, axis=i), ([[1.0, 2.0]], 0), ([[1.0, 2.0]], 1)),
    "max": (lambda x, i: np.max(x, i), ([[1.0, 2.0]], 0), ([[1.0, 2.0]], 1)),
    "mean": (lambda x, i: x.mean((i,)), ([[1.0, 2.0]], 0), ([[1.0, 2.0]], 1)),
    "cumsum": (lambda x, i: np.cumsum(x, i), ([[1.0, 2.0]], 0), ([[1.0, 2.0]], 1)),
    "flip": (lambda x, i: np.flip(x, i), ([[1.0, 2.0]], 0), ([[1.0, 2.0]], 1)),
    "transpose": (lambda x, i: np.transpose(x, i), ([[1.0, 2.0]], [0, 1]), ([[1.0, 2.0]], [1, 0])),
    "swapaxes": (lambda x, i: np.swapaxes(x, 0, i), ([[1.0, 2.0]], 0), ([[1.0, 2.0]], 1)),
    "moveaxis": (lambda x, i: np.moveaxis(x, i, 0), ([[1.0, 2.0]], 0), ([[1.0, 2.0]], 1)),
    "its end": (lambda x, i: np.moveaxis(x, 0, i), ([[1.0, 2.0]], 0), ([[1.0, 2.0]], 1)),
    "expand_dims": (lambda x, i: np.expand_dims(x, i), ([1.0, 2.0], 0), ([1.0, 2.0], 1)),
    "stack": (lambda x, i: np.stack([x, x], i), ([1.0, 2.0, 3.0], 0), ([1.0, 2.0, 3.0], 1)),
    "fft": (lambda x, i: np.abs(np.fft.fft(x, i)), ([1.0, 2.0], 2), ([1.0, 2.0], 1)),
    "diff": (lambda x, i: np.diff(x, i), ([1.0, 2.0, 4.0], 1), ([1.0, 2.0, 4.0], 0)),
    "matrix_power": (lambda x, i: np.linalg.matrix_power(x, i), ([[2.0]], 1), ([[2.0]], 2)),
    "norm": (lambda x, i: np.linalg.norm(x, i), ([3.0, 4.0], 1), ([3.0, 4.0], 2)),
    "trace": (lambda x, i: np.trace(x, i), ([[2.0, 3.0]], 0), ([[2.0, 3.0]], 1)),
    "tril": (lambda x, i: np.tril(x, i), ([[2.0, 3.0]], 0), ([[2.0, 3.0]], 1)),
    "roll": (lambda x, i: np.roll(x, i), ([1.0, 2.0, 4.0], 1), ([1.0, 2.0, 4.0], 0)),
    "rollaxis": (lambda x, i: np.rollaxis(x, 1, i), ([[1.0], [2.0]], 0), ([[1.0], [2.0]], 1)),
    "tensorinv": (
        lambda x, i: np.linalg.tensorinv(x, ind=i),
        (np.ones((1, 1, 1)), 1),
        (np.ones((1, 1, 1)), 2),
    ),
    "partition": (lambda x, i: np.partition(x, i)[:1], ([4.0, 2.0, 1.0], 0), ([4.0, 2.0, 1.0], 2)),
    "polyder": (lambda x, i: np.polyder(x, i), ([1.0, 2.0, 4.0], 1), ([1.0, 2.0, 4.0], 2)),
    "polyint": (lambda x, i: np.polyint(x, i), ([1.0, 2.0, 4.0], 1), ([1.0, 2.0, 4.0], 2)),
    "polyfit": (lambda x, i: np.polyfit(x, 2 * x, i), ([1.0, 2.0, 4.0], 1), ([1.0, 2.0, 4.0], 0)),
    "var": (lambda x, i: np.var(x, ddof=i), ([1.0, 2.0, 4.0], 1), ([1.0, 2.0, 4.0], 0)),
    "cov": (lambda x, i: np.cov(x, ddof=i), ([1.0, 2.0, 4.0], 1), ([1.0, 2.0, 4.0], 0)),
    "round": (lambda x, i: np.round(x, i), ([0.25, 1.5], 1), ([0.25, 1.5], 0)),
    "quantile": (lambda x, i: np.quantile(x, i), ([0.25, 1.5], 1), ([0.25, 1.5], 0)),
}


STEERED_BY: dict[str, Any] = {
    "axis": lambda x, i: np.sum(x, i),
    "axes": lambda x, i: np.transpose(x, axes=(i, 1 - i)),
    "axis1": lambda x, i: np.trace(x[None], axis1=i, axis2=2),
    "axis2": lambda x, i: np.diagonal(x[None], 0, 2, i),
    "axisa": lambda x, i: np.cross(x, [1.0, 2.0, 3.0], i),
    "axisb": lambda x, i: np.cross([1.0, 2.0, 3.0], x, axisb=i),
    "axisc": lambda x, i: np.cross(x, [1.0, 2.0, 3.0], axisc=i),
    "source": lambda x, i: np.moveaxis(x, i, 0),
    "destination": lambda x, i: np.moveaxis(x, 0, destination=i),
    "shape": lambda x, i: np.broadcast_to(x, (i + 1, 3, 3)),
    "new_shape": lambda x, i: np.resize(x, (i + 1, 2)),
    "newshape": lambda x, i: np.reshape(x, (-1, 3 - 2 * i)),  # as it was called up to NumPy 2.0
    "reps": lambda x, i: np.tile(x, reps=i),
    "indices_or_sections": lambda x, i: np.split(x, [i]),
    "pad_width": lambda x, i: np.pad(x, i),
    "window_shape": lambda x, i: np.lib.stride_tricks.sliding_window_view(x, (1, i + 1)),
    "n": lambda x, i: np.diff(x, n=i),
    "s": lambda x, i: np.fft.fft2(x, s=(i + 1, 1)),
    "N": lambda x, i: np.vander(x[0], i),
    "num": lambda x, i: np.linspace(x, 1.0, num=i),
}


@pytest.mark.parametrize(("function", "first", "second"), SHAPED_BY_VALUES.values(), ids=SHAPED_BY_VALUES)
def test_code_for_one_shape_is_not_run_for_another(function: Any, first: Any, second: Any) -> None:
    """Whichever is traced: a later call gives the same as eager code, or raises."""
    for f in (
        function,
        lambda *args: np.sum(2 * function(*args)),
        lambda *args: 2 * function(*args) + [[1.0]],
    ):
        for one, other in ((first, second), (second, first)):
            compiled = compile(f)
            with contextlib.suppress(TraceError):
                for call in (one, one, other, one):
                    arrays = [np.array(a) for a in call]
                    truth = f(*map(tensor, arrays))
                    np.testing.assert_allclose(unwrapped(compiled(*arrays)), unwrapped(truth), **close)


def test_every_parameter_that_steers_has_a_call() -> None:
    assert set(STEERED_BY) == STEERING


@pytest.mark.parametrize("parameter", STEERED_BY)
def test_what_says_the_shape_is_a_number_of_python_s(parameter: str) -> None:
    """Which makes other code for another; one in an array would be taken for data."""
    x, call = np.arange(9.0).reshape(3, 3), STEERED_BY[parameter]
    compiled = compile(call)
    for i in (0, 1, 0):
        truth = call(x, i)
        for got, expected in zip(compiled(x, i), truth, strict=True):
            np.testing.assert_array_equal(got, expected)
        with pytest.raises(TraceError, match=r"does depends on the value of \w+, and a compiled"):
            compiled(x, np.array(i))


@pytest.mark.parametrize(
    ("write", "sign"),
    [
        *((operator.iadd, "+="), (operator.isub, "-="), (operator.imul, "*=")),
        *((operator.itruediv, "/="), (operator.ipow, "**=")),
    ],
)
def test_each_operator_that_writes(write: Any, sign: str) -> None:
    def f(x: Any, other: Any) -> Any:
        y = x + 1.5
        return write(write(y, other), 3)

    compiled, x, other = compile(f), np.array([1.0, 2.0]), np.array([2.0, 0.5])
    for way in ways(compiled):
        np.testing.assert_array_equal(way(x, other), f(x, other))
    assert f"y {sign} other\n    y {sign} 3\n" in compiled.source


def test_what_says_the_shape_may_be_found_elsewhere() -> None:
    """As long as it says the same; the source does as it says."""
    axis, shape, x = np.array(1), np.array([3, 2]), np.arange(6.0).reshape(2, 3)
    compiled = compile(lambda x: (np.sum(x, axis=axis) * 2, np.tile(x, shape) * 2, np.max(3 * x, (axis,))))
    truth = 2 * x.sum(1), np.tile(2 * x, (3, 2)), 3 * x.max(1)
    for way in ways(compiled):
        for got, expected in zip(way(x), truth, strict=True):
            np.testing.assert_array_equal(got, expected)
    for run in (
        lambda x: np.sum(x, axis=axis) * 2,
        lambda x: 2 * np.max(3 * x, (axis,)),
        lambda x: 1 + x.mean(axis),
    ):
        axis[...] = 1
        other = compile(run)
        other(x), other(x)
        axis[...] = 0
        with pytest.raises(TraceError, match=r"makes an array of shape \(3,\) now, but made one of"):
            other(x)
    axis[...] = 1
    shape[1] = 1
    with pytest.raises(TraceError, match=r"np\.tile makes an array of shape \(6, 3\) now, but made one of"):
        compiled(x)
    space: dict[str, Any] = {}
    exec(compiled.executed, space)
    given = {v.name: v.source for v in compiled._last.program.captured}
    with pytest.raises(ValueError, match=r"np\.tile makes an array of shape \(6, 3\), other than before"):
        space[compiled.name](x, **given)


def creating(x: Any) -> Any:
    y = tensor(np.zeros(2))
    y += x
    return y


def creating_an_array(x: Any) -> Any:
    y = np.zeros(2)
    np.add(y, x, out=y)
    return x * y


def creating_a_view(x: Any) -> Any:
    total = tensor(np.zeros(3))
    view = total[:2]
    view += x
    return total


def creating_a_part(x: Any) -> Any:
    parts = np.split(tensor(np.zeros(4)), 2)
    parts[1][...] = x
    return x * parts[1]


@pytest.mark.parametrize("function", [creating, creating_an_array, creating_a_view, creating_a_part])
def test_what_is_made_within_and_written_raises(function: Any) -> None:
    with pytest.raises(TraceError, match=r"made within it, it would keep what is written.*np.zeros_like"):
        compile(function)(np.array([1.0, 2.0]))


@pytest.mark.parametrize(
    "function",
    [
        lambda a, b, c: np.sum(a[:, :, None] * b, axis=1),
        lambda a, b, c: np.sum(b[None] * a[:, :, None], axis=1),
        lambda a, b, c: np.sum(a * c, axis=1),
        lambda a, b, c: np.mean(b * c[:, None], axis=0),
    ],
)
def test_sums_over_what_was_broadcast_are_products(function: Any) -> None:
    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=(2, 3)), rng.normal(size=(3, 4)), rng.normal(size=3)
    compiled = compile(function)
    for _ in range(2):
        np.testing.assert_allclose(compiled(a, b, c), function(a, b, c), **close)
    assert ".dot(" in compiled.executed
    assert "multiply(" not in compiled.executed.partition("def ")[2].partition("dot")[0]


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: np.sum(np.exp(-np.sum(x) / 2) * x),
        lambda x, y: np.sum(np.exp(x * np.sum(x)) + np.sin(x / np.sum(x))),
        lambda x, y: np.sum(np.sum(x[:, :1] * y, axis=0) ** 2),
        lambda x, y: np.sum(np.where((x > 0) & True, x**3, 2.0)),
    ],
    ids=["sign of a number", "number used twice", "sum over the first of three axes", "and with a constant"],
)
def test_fixed_programs(function: Any) -> None:
    """Some of what random programs have, whatever is drawn."""
    compiled = compile(f := value_and_grad(function, (0, 1)))
    for seed in range(3):
        rng = np.random.default_rng(seed)
        arrays = rng.normal(size=(3, 2)), rng.normal(size=(2, 3, 2))
        (value, slopes), (truth, true_slopes) = compiled(*arrays), f(*arrays)
        np.testing.assert_allclose(value, truth, **close)
        for got, expected in zip(slopes, true_slopes, strict=True):
            np.testing.assert_allclose(got, expected, **close)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, row, column: np.where(x > 0, row, 0),
        lambda x, row, column: np.where(x > 0, 0, column),
        lambda x, row, column: np.where(x > 0, np.float32(0.5) * row, np.float32(0)),
        lambda x, row, column: np.where(x > 0, x.astype(np.float32), 0.0) * x,
    ],
)
def test_selections_of_another_shape_or_dtype(function: Any) -> None:
    rng = np.random.default_rng(0)
    f = value_and_grad(lambda *args: np.sum(np.exp(function(*args)) * args[0]), (0, 1, 2))
    compiled = compile(f)
    for _ in range(2):
        arrays = rng.normal(size=(4, 3)), rng.normal(size=3), rng.normal(size=(4, 1))
        (value, slopes), (truth, true_slopes) = compiled(*arrays), f(*arrays)
        np.testing.assert_allclose(value, truth, **close)
        for got, expected in zip(slopes, true_slopes, strict=True):
            np.testing.assert_allclose(got, expected, **close)


def test_a_view_of_the_first_array_that_is_none_of_the_buffer() -> None:
    """What elementwise functions make of an array by columns lies by columns, but buffers lie by rows."""
    compiled = compile(lambda x: np.sum(np.ravel(np.exp(x), order="F") * np.arange(6.0)))
    for n in (1.0, 2.0):
        x = np.asfortranarray(n * np.arange(6.0).reshape(2, 3))
        np.testing.assert_allclose(compiled(x), np.exp(x).ravel(order="F") @ np.arange(6.0), **close)


def test_names_that_the_executed_form_has_for_itself() -> None:
    def f(b1: Any, v4: Any, add: Any, s: Any, c0: Any) -> Any:
        return np.sum((b1 + v4) * add) + np.sum(s * c0 + v4)

    compiled = compile(f)
    arrays = np.random.default_rng(0).normal(size=(5, 8))
    with blocks_of(2, 3):
        for form in ("source", "executed"):
            np.testing.assert_allclose(compiled(*arrays), f(*arrays))
            np.testing.assert_allclose(run_source(compiled, *arrays, form=form), f(*arrays))


NAMES = [
    "np",
    "operator",
    "scatter",
    "scipy",
    "inf",
    "f0",
    "t1",
    "t2",
    "c1",
    "f",
    "values",
    "key",
    "shape",
    "x1",
]
NAMES += [
    "d1",
    "gradient",
    "rescue1",
    "rescue2",
    "total",
    "args",
    "options",
    "mode",
    "MISSED",
    "now",
    "last",
    "T",
    "float",
]


@pytest.mark.parametrize("name", NAMES)
def test_arguments_and_locals_that_have_the_names_of_other_things(name: str) -> None:
    """Of modules, of functions that the source has or calls, and of what it numbers itself."""
    scope: dict[str, Any] = {"N": np, "ldexp": np.ldexp, "digamma": scipy.special.digamma}
    body = f"N.sum(N.where({name} > 2, N.sqrt({name} - 2) @ N.ones((2, 2)), 0)[N.array([0, 0, 1])])"
    body += f" + N.sum(digamma({name}).astype(float))"
    exec(f"def g({name}, other): return {body} + N.sum(N.tanh(other) * {name})", scope)
    exec(f"def h(first, other):\n    {name} = 2 * first\n    return {body} + N.sum({name} * {name})", scope)
    for function in (scope["g"], scope["h"]):
        f = value_and_grad(function)
        compiled, x = compile(f), np.array([2.0, 3.0])
        for way in ways(compiled):
            with np.errstate(divide="ignore", invalid="ignore"):
                made = way(x, x + 1)
            for got, truth in zip(made, f(x, x + 1), strict=True):
                np.testing.assert_allclose(got, truth, **close)


@differentiable(lambda g, y, x, powers: sum(n * g * x ** (n - 1) for n in powers))
def sum_of_powers(x: Any, powers: set[int]) -> Any:
    return sum(x**n for n in powers)


def use_after_write(w: Any, x: Any) -> Any:
    before = np.sin(w)
    top = np.max(np.cos(w), axis=0)
    w -= x
    return before * w + top


@differentiable(lambda g, y, x, axis=(0,), keepdims=True: g + 0 * x)
def total(x: Any, axis: Any = (0,), keepdims: bool = True) -> Any:
    return np.sum(x, axis, keepdims=keepdims)


def test_options_of_ones_own_functions_are_passed_as_they_are() -> None:
    """Though NumPy's own would do the same without them."""
    compiled = compile(
        lambda x: [total(x, keepdims=False) * 2, total(x, axis=(1,), keepdims=False), total(x)]
    )
    x = np.arange(6.0).reshape(2, 3)
    for _ in range(2):
        for got, truth in zip(compiled(x), (2 * x.sum(0), x.sum(1), x.sum(0, keepdims=True)), strict=True):
            np.testing.assert_array_equal(got, truth, strict=True)


def test_arrays_found_elsewhere_that_share_memory() -> None:
    """What is written into one is seen in the others."""
    w = tensor([1.0, 2.0, 4.0])
    turned, part = tinygrad_lr.asarray(w.array[::-1]), tinygrad_lr.asarray(w.array[1:])

    def f(x: Any) -> Any:
        before = 2 * turned, 3 * part
        w.__iadd__(x)
        return *before, 2 * turned, 3 * part

    compiled, x = compile(f), np.array([1.0, -1.0, 0.5])
    for _ in range(3):
        before, after = w.numpy().copy(), w.numpy() + x
        truths = 2 * before[::-1], 3 * before[1:], 2 * after[::-1], 3 * after[1:]
        for got, truth in zip(compiled(x), truths, strict=True):
            np.testing.assert_array_equal(got, truth)


def ends(a: Any) -> Any:
    return a[0] + a[-1]


WRITTEN: dict[str, tuple[Any, str]] = {
    "x[i, 1:]": (lambda x, i: 2 * x[i, 1:], "2 * x[i, 1:]"),
    "x[(0, 1),]": (lambda x, i: 2 * x[(0, 1),], "2 * x[(0, 1),]"),
    "x[(0, 1), (2, 0)]": (lambda x, i: 2 * x[(0, 1), (2, 0)], "2 * x[(0, 1), (2, 0)]"),
    "x[[0, 1], None]": (lambda x, i: 2 * x[[0, 1], None], "2 * x[[0, 1], None]"),
    "x[()]": (lambda x, i: 2 * x[()], "2 * x[()]"),
    "x[..., ::-1]": (lambda x, i: 2 * x[..., ::-1], "2 * x[..., ::-1]"),
    "astype": (lambda x, i: 2 * x.astype(np.float32), "2 * x.astype(np.float32)"),
    "x[i + 0]": (lambda x, i: 2 * x[i + 0], "2 * x[i]"),
    "where what is not 0": (
        lambda x, i: np.where(np.where(x < 4, np.where(x < 2, -1.0, 3.0), 0), x, 0),
        "np.where(x < 4, x, 0)",
    ),
    "a sign": (lambda x, i: -(0.5 * x) * np.sum(i), "-0.5 * x * "),
    "no value": (
        lambda x, i: 2 * np.max(x, axis=(0, 1), initial=np._NoValue),
        "2 * np.max(x, axis=(0, 1), initial=np._NoValue)",
    ),
    "x[computed]": (lambda x, i: 2 * x[np.argsort(i)], "2 * x[np.argsort(i)]"),
    "x[computed, 1:]": (lambda x, i: 2 * x[1 - i, 1:], "2 * x[1 - i, 1:]"),
    "x[computed] = ": (lambda x, i: (operator.setitem(x, 1 - i, 7.0), 2 * x)[1], "x[1 - i] = 7.0"),
    "x[computed, 1:] = ": (
        lambda x, i: (operator.setitem(x, (1 - i, slice(1, None)), 7.0), 2 * x)[1],
        "x[1 - i, 1:] = 7.0",
    ),
    "x //= 2": (lambda x, i: (operator.ifloordiv(x, 2), 2 * x)[1], "operator.ifloordiv(x, 2)"),
    "comparisons": (lambda x, i: np.where((x < 5) == (x < 3), x, 0.0), "(x < 5) == (x < 3)"),
    "dtype=float": (lambda x, i: 2 * np.cumsum(x, dtype=float), "2 * np.cumsum(x, dtype=float)"),
    "a function": (lambda x, i: 2 * np.apply_over_axes(np.sum, x, [0]), "np.apply_over_axes(np.sum, x, [0])"),
    "one of a module": (
        lambda x, i: 2 * np.apply_along_axis(ends, 1, x),
        "2 * np.apply_along_axis(test_compile.ends, 1, x)",
    ),
    "add.at": (lambda x, i: (np.add.at(x, i, 1.5), 2 * x)[1], "np.add.at(x, i, 1.5)"),
    "out": (lambda x, i: (np.exp(x, out=x), 2 * x)[1], "np.exp(x, out=(x,))"),
    "written later": (lambda x, i: use_after_write(x, i[:, None] / 2), "return before * x + top"),
}


@pytest.mark.parametrize(("function", "text"), WRITTEN.values(), ids=WRITTEN)
def test_how_calls_are_written(function: Any, text: str) -> None:
    """The source computes the same, and writes the same into its arguments."""
    x, i = np.arange(1.0, 7.0).reshape(2, 3), np.array([1, 0])
    eager = tensor(x)
    truth = function(eager, tensor(i)).numpy()
    compiled = compile(function)
    compiled.name = "f"
    ways: list[Any] = [compiled, compiled]
    ways += [partial(run_source, compiled, form=form) for form in ("source", "executed")]
    for way in ways:
        given = x.copy()
        np.testing.assert_allclose(way(given, i), truth, **close)
        np.testing.assert_allclose(given, eager.numpy(), **close)
    assert text in compiled.source


@pytest.mark.parametrize(
    "write",
    [
        lambda x, y: np.modf(x, out=(x, y)),
        lambda x, y: np.modf(x, out=(y, x)),
        lambda x, y: np.modf(x, out=(x, None)),
        lambda x, y: np.modf(x, out=(None, x)),
        lambda x, y: np.modf(x, out=(x, y), where=x > 2),
        lambda x, y: np.divmod(x, 2, out=(x, y), casting="unsafe"),
        lambda x, y: np.divmod(x + 5, x, out=(y, x[::-1])),
        lambda x, y: np.frexp(x, out=(x, y), casting="unsafe"),
        lambda x, y: np.divmod(x + 2049, 2, out=(x, y), dtype=np.float16, casting="unsafe"),
    ],
)
def test_a_call_that_writes_into_several_arrays(write: Any) -> None:
    """Each of which is an argument, made within, a view or found elsewhere."""
    found = np.array([1.0, 2.0, 3.0])

    def f(x: Any, y: Any) -> Any:
        z, made = 0 * x + 1, 0 * y + 2
        results = [write(x, y), write(y * 1.5, z), write(made, z[::-1]), write(x, found)]
        return [*results, x, y * 1, z, made]

    compiled = compile(f)
    for n in (0.0, 1.0, 2.0):
        x, y = np.array([1.25, 2.5, 3.75 + n]), np.array([5.0, 6.5, 7.25])
        start, eager = found.copy(), (tensor(x), tensor(y))
        with np.errstate(all="ignore"):
            truths = parts(unwrapped(f(*eager)))
            after, found[...] = found.copy(), start
            made = compiled(x, y)
        assert [isinstance(result, tuple) for result in made] == [True] * 4 + [False] * 4
        for got, truth in zip(parts(made), truths, strict=True):
            np.testing.assert_array_equal(got, truth)
        for got, truth in zip((x, y, found), (*eager, after), strict=True):
            np.testing.assert_array_equal(got, unwrapped(truth))
    assert compiled.traces == 1


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (-2.0) ** x,
        lambda x: np.power(-2.0, x),
        lambda x: -(2.0**x),
        lambda x: (-x) ** 2,
        lambda x: -(x**2),
        lambda x: -1.5 - x,
        lambda x: x ** (-2.0),
        lambda x: (-1.5 * x) ** 3,
        lambda x: 3.0 - (-x),
    ],
)
def test_signs_and_powers_of_numbers(function: Any) -> None:
    for x in (np.float64(3.0), np.array(3.0), np.array([3.0]), np.array([3.0, 4.0])):
        compiled = compile(function)
        compiled.name = "f"
        for got in (
            compiled(x),
            compiled(x),
            *(run_source(compiled, x, form=f) for f in ("source", "executed")),
        ):
            np.testing.assert_allclose(got, function(x), rtol=1e-14)


@pytest.mark.parametrize("function", [scipy.special.digamma, tinygrad_lr.special.logsumexp])
def test_functions_of_scipy_are_imported(function: Any) -> None:
    compiled = compile(f := value_and_grad(lambda x: np.sum(function(x) ** 2)))
    compiled.name = "f"
    x = np.array([0.5, 1.5])
    for way in (
        compiled,
        compiled,
        *(partial(run_source, compiled, form=form) for form in ("source", "executed")),
    ):
        for got, expected in zip(way(x), f(x), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["f", "d"])
def test_gradients_of_what_is_picked_have_its_dtype_in_every_form(dtype: str) -> None:
    i, x = np.array([0, 2, 0]), np.array([1.0, 2.0, 3.0], dtype)
    compiled = compile(f := grad(lambda x: np.sum(x[i] ** 2)))
    compiled.name = "f"
    for way in ways(compiled):
        np.testing.assert_array_equal(way(x), f(x), strict=True)


def test_an_array_of_no_elements_is_passed_to_the_source() -> None:
    """Written out it would lose its shape."""
    empty, x = np.zeros((0, 2)), np.ones((1, 2))
    compiled = compile(lambda x: np.concatenate([x, empty]))
    compiled.name = "f"
    for way in ways(compiled):
        np.testing.assert_array_equal(way(x), x, strict=True)
    assert "def f(x, c0):" in compiled.source


def test_an_array_that_the_source_writes_is_passed_to_it() -> None:
    """As a default it would keep what was written from call to call."""
    found = np.ones(2)
    compiled = compile(lambda x: (np.add(found, x, out=found), found * x)[1])
    compiled(np.ones(2))
    assert "np.array([" not in compiled.source


WEIGHTS = np.arange(9.0).reshape(3, 3) ** 2
LINEAR_ALGEBRA: dict[str, tuple[Any, Any]] = {
    "eigh": (lambda a: np.sum(np.linalg.eigh(a)[1] * WEIGHTS), np.eye(3)),
    "eigvalsh, second": (
        lambda a: np.sum(grad(lambda a: np.linalg.eigvalsh(a)[0] ** 2)(a) * WEIGHTS),
        np.eye(3),
    ),
    "svd": (lambda a: np.sum(np.linalg.svd(a)[0] * WEIGHTS), np.eye(3)),
    "qr": (lambda a: np.sum(np.linalg.qr(a)[0] * WEIGHTS), np.ones((3, 3))),
    "qr, complete": (lambda a: np.sum(np.linalg.qr(a[:, :1], "complete")[0] * WEIGHTS), None),
    "slogdet": (lambda a: np.linalg.slogdet(a)[1], None),
    "cond": (lambda a: np.linalg.cond(a), None),
    "det": (lambda a: np.linalg.det(a), None),
    "det of a stack": (lambda a: np.sum(np.linalg.det(np.stack([a, a.T @ a]))), None),
}


POINT = np.array([0.5, -1.5, 2.0])
#: what closes over the argument of a compiled function, and differentiates by arrays that are no tensors
CLOSED_OVER: dict[str, Any] = {
    "grad": lambda x: grad(lambda w: np.sum(w**2 * x))(POINT),
    "value_and_grad": lambda x: np.stack([*value_and_grad(lambda w: np.sum(w**2 * x))(POINT)[1]]),
    "elementwise_grad": lambda x: elementwise_grad(lambda w: w**2 * x)(POINT),
    "jacobian": lambda x: jacobian(lambda w: w**2 * x)(POINT),
    "jacobian of one number": lambda x: jacobian(lambda w: np.sum(w**2 * x))(POINT),
    "jacobian of one of none": lambda x: jacobian(lambda w: w * w[0] * x)(POINT[:1]),
    "jacobian one by one": lambda x: jacobian(lambda w: np.cumprod(w * x))(POINT),
    "hessian": lambda x: hessian(lambda w: np.sum(w**3 * x))(POINT),
    "hvp": lambda x: hvp(lambda w: np.sum(w**3 * x), POINT, POINT),
    "jvp": lambda x: np.stack(jvp(lambda w: w**2 * x, (POINT,), (POINT,))),
    "vjp": lambda x: vjp(lambda w: w**2 * x, POINT)[1](POINT)[0],
    "value of vjp": lambda x: vjp(lambda w: w**2 * x, POINT)[0],
}


@pytest.mark.parametrize("kind", [np.array, tensor])
@pytest.mark.parametrize("name", CLOSED_OVER)
def test_gradients_by_other_arrays_follow_the_argument(name: str, kind: Any) -> None:
    """They are arrays that were made of it, and no constants; so is what is made of them."""

    def f(x: Any) -> Any:
        made = CLOSED_OVER[name](x)
        return made, 2 * made, np.stack([made, made])

    compiled = compile(f)
    for x in ([1.0, 2.0, 3.0], [2.0, -4.0, 0.5], [0.25, 7.0, 1.0]):
        for made, expected in zip(compiled(kind(x)), f(np.array(x)), strict=True):
            assert isinstance(made, Tensor) == (kind is tensor)
            np.testing.assert_allclose(unwrapped(made), expected, rtol=1e-13)


def test_a_compiled_step_with_a_tensor_for_an_option() -> None:
    """What is recorded while it is traced is of arrays, not of tensors in tensors."""

    def step(x: Any, w: Any) -> None:
        with record():
            y = np.prod(x * x, initial=w * w) + np.var(x, mean=w)
        y.backward()

    made = []
    for run in (step, compile(step)):
        x, w = tensor([0.5, 2.0]), tensor(1.5)
        for t in (x, w):
            t.attach_grad()
        for _ in range(2):
            run(x, w)
            assert isinstance(x.grad.array, np.ndarray)
            made.append([x.grad.array.copy(), w.grad.item()])
    for gradients in made[1:]:
        for got, expected in zip(gradients, made[0], strict=True):
            np.testing.assert_allclose(got, expected)


def test_a_compiled_gradient_of_the_determinant_is_for_regular_matrices() -> None:
    compiled = compile(value_and_grad(np.linalg.det))
    compiled(np.eye(2))
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        compiled(np.zeros((2, 2)))


@pytest.mark.parametrize(("function", "without"), LINEAR_ALGEBRA.values(), ids=LINEAR_ALGEBRA)
def test_decompositions_have_compiled_gradients(function: Any, without: Any) -> None:
    """Where there is no derivative it is NaN: compiled code cannot ask."""
    a = np.array([[2.0, 0.5, 0.25], [0.5, 1.0, 0.125], [0.25, 0.125, 3.0]])
    compiled = compile(f := value_and_grad(function))
    compiled.name = "f"
    if without is None:
        try:
            expected = f(a)
        except np.linalg.LinAlgError:
            assert np.any(np.isnan(compiled(a)[1]))
            return
    unsymmetric = a + np.array([[0.0, 0.125, 0.0], [0.0, 0.0, 0.5], [0.0, -0.25, 0.0]])
    for matrix in (a, unsymmetric):
        for way in ways(compiled):
            for got, expected in zip(way(matrix), f(matrix), strict=True):
                np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)
    if without is not None:
        with pytest.raises(np.linalg.LinAlgError):
            f(without)
        assert np.any(np.isnan(compiled(without)[1]))


def test_names_that_are_words_of_python() -> None:
    found = {"lambda": tensor([1.0, 2.0]), "a name": tensor([3.0, 4.0])}
    compiled, x = (
        compile(lambda *args, **options: args[0] * options["if"] * found["lambda"] + found["a name"]),
        np.ones(2),
    )
    compiled(x, **{"if": 2 * x})
    np.testing.assert_array_equal(run_source(compiled, x, 2 * x, *(t.array for t in found.values())), [5, 8])


def test_functions_that_no_module_has_are_named_as_they_are() -> None:
    def own(a: Any) -> Any:
        return a[0] + a[-1]

    x = np.arange(6.0).reshape(2, 3)
    for function, name in ((own, "own"), (lambda a: a[0] + a[-1], "function")):
        compiled = compile(lambda x, function=function: 2 * np.apply_along_axis(function, 1, x))
        for _ in range(2):
            np.testing.assert_array_equal(compiled(x), 2 * (x[:, 0] + x[:, -1]))
        for form in (compiled.source, compiled.executed):
            space: dict[str, Any] = {name: function}
            exec(form, space)
            np.testing.assert_array_equal(space[compiled.name](x), 2 * (x[:, 0] + x[:, -1]))


def test_complex_eigenvalues_are_not_taken_for_real_ones() -> None:
    """NaN, where eager code raises an error."""
    compiled = compile(lambda a: real_eig(a)[0])
    np.testing.assert_allclose(np.sort(compiled(np.diag([3.0, 2.0, 1.0]))), [1, 2, 3])
    turned = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 3.0]])
    assert sorted(np.nan_to_num(compiled(turned), nan=-1)) == [-1, -1, 3]


def test_a_function_of_the_table_with_several_results_is_written_in_numpy() -> None:
    def product(a: Any) -> Any:
        w, v = real_eig(a)
        return v * w @ np.linalg.inv(v)

    compiled, a = compile(product), np.array([[2.0, 0.5], [0.25, -1.0]])
    for got in (compiled(a), run_source(compiled, a), run_source(compiled, a, form="executed")):
        np.testing.assert_allclose(got, a, **close)
    assert "real_eig" not in compiled.source


def test_calls_that_cannot_be_compared_are_each_made() -> None:
    compiled = compile(lambda x: sum_of_powers(x, {1, 2}) * sum_of_powers(x, {1, 3}))
    for x in (np.array([2.0, 3.0]), np.array([1.0, -1.0])):
        np.testing.assert_allclose(compiled(x), (x + x**2) * (x + x**3), **close)
    assert compiled.source.count("sum_of_powers(x, {1, 2})") == 1
    assert compiled.source.count("sum_of_powers(x, {1, 3})") == 1


def test_what_tells_what_was_left_out_is_not_put_off_beyond_a_write() -> None:
    """A program by hand: a selection by what is written before its gradient arrives."""
    mask, x = np.array([True, False]), np.array([0.0, 0.0])
    c, v = Variable(mask, 0), Variable(x, 1)
    left, slope, made = Variable(~mask), Variable(1 / np.array([1.0, 2.0])), Variable(x)
    c.name, v.name = "c", "x"
    program = Program("f", [c, v], [], [])
    program.lines = [
        Line(np.logical_not, (c,), {}, [left]),
        Line(operator.setitem, (c, slice(None), True), {}, [], c),
        Line(np.divide, (1.0, v), {}, [slope]),
        Line(np.where, (left, slope, LEFT_OUT), {}, [made]),
    ]
    program.result = made
    simplified(program)
    space: dict[str, Any] = {}
    exec(source(program), space)
    with np.errstate(divide="ignore"):
        np.testing.assert_array_equal(space["f"](mask.copy(), x), [0, np.inf])


def test_names_are_those_that_the_users_functions_hold_when_they_return() -> None:
    """Called by itself: what a profiler calls is not traced, so that coverage would not be measured."""
    t, other = tensor([1.0]), tensor([2.0])

    def users(first: Any) -> Any:
        second, number = first, 3
        return second, number, other, sys._getframe()

    frame = users(t)[-1]
    for event, expected in (("call", {}), ("return", {id(t.array): "first", id(other.array): "other"})):
        seen: dict[int, str] = {}
        _watcher(len, seen)(frame, event, None)
        assert seen == expected
    copied: dict[int, str] = {}
    own = eval("lambda x: (x, sys._getframe())", {"sys": sys})
    library = types.FunctionType(own.__code__.replace(co_filename=np.__file__), {"sys": sys})
    for f, expected in ((len, {}), (library, {id(t.array): "x"})):
        copied.clear()
        _watcher(f, copied)(library(t)[-1], "return", None)
        assert copied == expected


def test_under_a_profiler() -> None:
    profile = cProfile.Profile()
    profile.enable()
    own = sys.getprofile()  # None since Python 3.12, whose profiler is another kind of hook
    try:
        compiled = compile(lambda x: np.sum(x * x))
        assert compiled(np.ones(3)) == compiled(np.ones(3)) == 3
        assert sys.getprofile() is own
    finally:
        profile.disable()


def test_what_is_made_of_an_argument_may_be_written() -> None:
    def f(x: Any) -> Any:
        y = np.zeros_like(x)
        y += x
        y[0] = 5
        return y

    compiled = compile(f)
    for x in (np.array([1.0, 2.0]), np.array([3.0, 4.0]), np.array([3.0, 4.0])):
        np.testing.assert_array_equal(compiled(x), [5, x[1]])


def test_compiled_functions_in_compiled_functions() -> None:
    inner = compile(value_and_grad(lambda w: np.sum(w**2)))
    outer = compile(lambda w: w - 0.25 * inner(w)[1])
    for w in (np.array([1.0, 2.0]), np.array([3.0, 4.0]), np.array([5.0, 6.0])):
        np.testing.assert_allclose(outer(w), w / 2)
        np.testing.assert_allclose(inner(w)[1], 2 * w)


def test_attachments_that_change() -> None:
    w = tensor([1.0, 2.0])
    w.attach_grad()

    def step() -> None:
        with record():
            y = (w * w).sum()
        y.backward()

    compiled = compile(step)
    compiled()
    compiled()
    w.attach_grad("add")
    compiled()
    compiled()
    np.testing.assert_array_equal(w.grad.numpy(), [4, 8])


def test_under_detect_anomaly() -> None:
    with tinygrad_lr.detect_anomaly():
        compiled = compile(value_and_grad(lambda x: np.sum(x**3)))
        np.testing.assert_array_equal(compiled(np.array([1.0, 2.0]))[1], [3, 12])


def test_parameters_in_lists_and_state_in_objects_may_be_written() -> None:
    class Momentum:
        def __init__(self, parameters: list[Tensor]) -> None:
            self.velocities = [tensor(np.zeros_like(p.numpy())) for p in parameters]
            self.steps = np.zeros(())

    results = []
    for compiling in (False, True):
        parameters = [tensor([1.0, 2.0]), tensor([3.0])]
        for p in parameters:
            p.attach_grad()
        state = Momentum(parameters)

        def step(x: Any, parameters: Any = parameters, state: Any = state) -> Any:
            with record():
                loss = (parameters[0] * x).sum() + (parameters[1] ** 2).sum()
            loss.backward()
            for p, v in zip(parameters, state.velocities, strict=True):
                v *= 0.5
                v += p.grad
                p -= 0.1 * v
            return loss

        run: Any = compile(step) if compiling else step
        losses = [float(run(np.array([1.0, n]))) for n in range(4)]
        results.append([np.array(losses), *(p.numpy() for p in parameters)])
    for eager, fast in zip(*results, strict=True):
        np.testing.assert_allclose(fast, eager)


@pytest.mark.parametrize(
    ("function", "how"),
    [
        (lambda x, w: x * (x.array + 1), r"\.array needs the value of `x`"),
        (lambda x, w: (2 * x) if (x * 2).array[0] > 1 else x, r"\.array needs"),
        (lambda x, w: x * w.array.sum(), r"\.array needs the value of `w`"),
        (lambda x, w: x * w.grad.array.sum(), r"\.array needs"),
        (lambda x, w: x * np.modf(x)[1].array, r"\.array needs"),
        (lambda x, w: setattr(w, "array", np.ones(2)), r"\.array needs the value of `w`"),
        (lambda x, w: x * x.detach().array.sum(), r"\.array needs"),
        (lambda x, w: x * np.split(x, 2)[0].array.sum(), r"\.array needs"),
        (lambda x, w: x * w.grad.detach().array.sum(), r"\.array needs"),
        (lambda x, w: x * copy.deepcopy(w), "copying or pickling needs"),
        (lambda x, w: x if 2.0 in x else -x, "asking whether a value is in it needs"),
    ],
)
def test_arrays_do_not_get_out_of_what_is_traced(function: Any, how: str) -> None:
    w = tensor([1.0, 2.0])
    w.attach_grad()
    for compiled in (compile(lambda x: function(x, w)), compile(lambda x, w: function(x, w))):
        args = (np.array([1.0, 2.0]), w)[: compiled.function.__code__.co_argcount]
        with pytest.raises(TraceError, match=how):
            compiled(*args)
    assert {type(w), type(w.grad)} == {Tensor}
    np.testing.assert_array_equal(w.array, [1, 2])


def test_tensors_that_were_traced_are_as_before() -> None:
    w, hidden = tensor([1.0, 2.0]), Slots(tensor([5.0, 6.0]))
    w.attach_grad()

    def step(x: Any) -> Any:
        with record():
            y = x * w
        y.backward()
        return y, w, np.split(y, 2), hidden.w

    for _ in range(2):
        y, same, halves, made = (compiled := compile(step))(tensor([3.0, 4.0]))
        assert same is w
        for t in (y, w, w.grad, *halves, made, hidden.w):
            assert type(t) is Tensor
            assert t.array is not None
    assert compiled.traces == 1


@pytest.mark.parametrize("kind", [int, np.int64, np.uint8])
def test_slices_are_fixed_arguments(kind: Any) -> None:
    compiled, x = compile(lambda x, part: x[part] * 2 + np.sum(x[part])), np.arange(6.0)
    for part in [slice(kind(0), kind(2)), slice(kind(1), None, kind(2)), slice(None, kind(2))] * 2:
        np.testing.assert_array_equal(compiled(x, part), x[part] * 2 + np.sum(x[part]))
        np.testing.assert_array_equal(compiled(x, part=part), x[part] * 2 + np.sum(x[part]))
    assert compiled.traces == 6


class Odd:
    """Not equal to itself."""

    def __repr__(self) -> str:
        return "odd"

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return False


@pytest.mark.parametrize("z", [complex("nan"), complex(1, np.nan), float("nan"), Odd()], ids=str)
def test_arguments_that_are_not_equal_to_themselves(z: Any) -> None:
    compiled, x = compile(lambda x, z: x * 2), np.array([1.0, 2.0])
    for _ in range(3):
        np.testing.assert_array_equal(compiled(x, z), 2 * x)


def test_zeros_of_either_sign_in_fixed_arguments() -> None:
    compiled, x = compile(lambda x, z: np.copysign(x, z.imag) * np.copysign(1, z.real)), np.array([1.0, 2.0])
    for z in [complex(a, b) for a in (0.0, -0.0, 1.0) for b in (0.0, -0.0, 1.0)] * 2:
        np.testing.assert_array_equal(compiled(x, z), np.copysign(x, z.imag) * np.copysign(1, z.real))
    assert compiled.traces == 9


def test_traced_in_another_thread_of_the_same_context() -> None:
    def step(x: Any) -> Any:
        return x * asyncio.run(asyncio.to_thread(np.exp, x))

    compiled = compile(step)
    for x in (np.array([1.0, 2.0]), np.array([3.0, 4.0])):
        np.testing.assert_array_equal(compiled(x), x * np.exp(x))
        np.testing.assert_array_equal(asyncio.run(asyncio.to_thread(compiled, x)), x * np.exp(x))
    assert 2 <= compiled.traces <= 3  # one for each thread, whose buffers are its own


def changing(w: Any, v: Any, x: Any, i: Any) -> Any:
    """The gradient is stored, an array is written, and then something may fail."""
    with record():
        loss = (w * x).sum()
    loss.backward()
    v += 1
    w -= w.grad
    return x[i]


def test_an_exception_while_tracing_leaves_all_as_it_was() -> None:
    w, v, x = tensor([1.0, 2.0]), tensor([3.0, 4.0]), np.array([5.0, 6.0])
    w.attach_grad()
    grad = w.grad
    compiled = compile(changing)
    for _ in range(2):
        with pytest.raises(IndexError):
            compiled(w, v, x, np.array([2]))
        assert w.grad is grad
        assert (w.tolist(), v.tolist(), grad.tolist()) == ([1, 2], [3, 4], [0, 0])
    drawing = compile(lambda x: (w.__isub__(x), np.random.normal()))
    with pytest.raises(TraceError, match="random numbers"):
        drawing(x)
    assert w.tolist() == [1, 2]


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_whatever_is_raised_while_tracing_brings_everything_back(error: Any) -> None:
    """The values from before the first of several writes, whichever way they were made."""

    def f(w: Any, v: Any, number: Any) -> None:
        w += 1
        w *= 3
        w[0] = 9.0
        v[1:] -= w[0]
        np.exp(v, out=v)
        number += 1
        number *= 2
        for _ in range(2):
            with record():
                loss = (w * w).sum()
            loss.backward()
        raise error

    w, v, number = tensor([1.0, 2.0]), np.array([3.0, 4.0]), tensor([1.0, 2.0]).sum()
    w.attach_grad("add")
    w.grad += 5
    assert w.attachment is not None
    w.attachment.written = False
    with pytest.raises(error):
        compile(f)(w, v, number)
    assert (w.tolist(), v.tolist(), number.item(), w.grad.tolist()) == ([1, 2], [3, 4], 3, [5, 5])
    assert not w.attachment.written
    assert {type(w), type(w.grad), type(number)} == {Tensor}


def test_an_exception_in_the_row_that_writes_first_is_noted() -> None:
    w = tensor([1.0, 2.0])
    adding, then = compile(lambda x: (w.__iadd__(x), None)[1]), compile(lambda x: np.sum(w.__iadd__(x)))
    matrix = tensor(np.eye(2))
    solving = compile(lambda x: (matrix.__iadd__(np.linalg.inv(x)), None)[1])
    scaled = compile(lambda x: (w.__imul__(x), w.__imul__(x), None)[2])
    for compiled in (adding, then, scaled):
        compiled(np.ones(2))
        w[...] = [1e308, 1.0]
        with np.errstate(all="raise"), pytest.raises(FloatingPointError) as caught:
            compiled(np.array([1.7e308, 1.0]))
        assert "w may be changed in part" in caught.value.__notes__[0]
        w[...] = [1.0, 2.0]
    solving(np.eye(2))
    with pytest.raises(np.linalg.LinAlgError) as caught:
        solving(np.zeros((2, 2)))
    assert not hasattr(caught.value, "__notes__")


@pytest.mark.parametrize("wrap", [tensor, lambda x: tensor(x)[:], np.array])
@pytest.mark.parametrize("shape", [(2,), ()])
def test_an_argument_that_compiled_code_writes_is_seen_by_backward(wrap: Any, shape: Any) -> None:
    def written(z: Any) -> None:
        z += 1

    compiled, x = compile(written), tensor(np.ones(shape))
    x.attach_grad()
    compiled(wrap(np.ones(shape)) if shape or wrap is np.array else tensor(1.0))
    z = wrap(np.full(shape, 3.0)) if shape or wrap is np.array else tensor(3.0)
    with record():
        y = (x * z).sum()
    compiled(z)
    with pytest.raises(tinygrad_lr.errors.ModifiedError, match="changed in place"):
        y.backward()


def test_an_exception_of_compiled_code_says_what_it_may_have_changed() -> None:
    w, v, x = tensor([1.0, 2.0]), tensor([3.0, 4.0]), np.array([5.0, 6.0])
    w.attach_grad()
    compiled = compile(changing)
    compiled(w, v, x, np.array([1]))
    with pytest.raises(IndexError) as caught:
        compiled(w, v, x, np.array([2]))
    assert caught.value.__notes__ == [
        "changing is compiled and stopped half-way: v, w, the gradient of w may be changed in part"
    ]

    def storing(w: Any, x: Any, i: Any) -> Any:
        with record():
            loss = (w * w * x).sum()
        loss.backward()
        return x[i]

    stored = compile(storing)
    for _ in range(3):
        stored(w, x, np.array([1]))
    with pytest.raises(IndexError) as caught:
        stored(w, x, np.array([2]))
    assert caught.value.__notes__ == [
        "storing is compiled and stopped half-way: the gradient of w may be changed in part"
    ]
    before = compile(lambda v, x, i: (v.__iadd__(x[i]), None)[1])
    before(v, x, np.array([0]))
    start = v.tolist()
    with pytest.raises(IndexError) as caught:
        before(v, x, np.array([2]))
    assert not hasattr(caught.value, "__notes__")
    assert v.tolist() == start


@pytest.mark.parametrize(
    "function",
    [
        lambda x, W, c: np.sum(np.where(c, np.sqrt(x) @ W, 0)),
        lambda x, W, c: np.sum(np.where(c, np.sqrt(np.sqrt(x) @ W), 0)),
        lambda x, W, c: np.sum(
            np.where(c.reshape(2, 2, 1), np.sqrt(x).reshape(2, 2, 3) @ np.stack([W, 2 * W]), 0)
        ),
        lambda x, W, c: np.sum(np.where(c[:, 0], np.prod(np.sqrt(x), axis=1), 1)),
        lambda x, W, c: np.sum(np.where(c, (np.sqrt(x) @ W) @ W, 0)) + np.sum(np.sqrt(x[0]) * W[0]),
        lambda x, W, c: np.sum(grad(lambda x: np.sum(np.where(c, np.sqrt(x**3) @ W, 0)))(x) ** 2),
    ],
)
@pytest.mark.parametrize("small_blocks", [False, True])
def test_zeros_where_a_selection_left_out_what_is_not_finite(function: Any, small_blocks: bool) -> None:
    """Which elements these are is computed only where a gradient is not finite; the same code serves both."""
    rng = np.random.default_rng(0)
    W, c = np.abs(rng.normal(size=(3, 3))), np.array([[True], [False], [True], [False]])
    smooth, zeros = np.abs(rng.normal(size=(2, 4, 3)))
    zeros[1], zeros[3, 0] = 0, 0
    derivative = value_and_grad(function)
    compiled = compile(derivative)
    compiled.name = "f"
    with np.errstate(all="ignore"), blocks_of(2, 2) if small_blocks else nullcontext():
        for x in (smooth, zeros, smooth):
            truth = derivative(x, W, c)
            assert np.all(np.isfinite(truth[1]))
            for made in (
                compiled(x, W, c),
                run_source(compiled, x, W, c),
                run_source(compiled, x, W, c, form="executed"),
            ):
                np.testing.assert_allclose(made[0], truth[0], **close)
                np.testing.assert_allclose(made[1], truth[1], **close)
    assert compiled.traces == 1
    assert "rescue1(" in compiled.source
    assert "rescue" in compiled.executed


@pytest.mark.parametrize("n", [2, 9])
def test_zeros_where_a_selection_left_out_products_with_what_is_not_finite(n: int) -> None:
    """In a product of matrices it is the other factor that is looked at, if it is the smaller one."""
    derivative = value_and_grad(lambda w, x, c: np.sum(np.where(c, x @ w, 0)) + np.sum(x * x) * np.sum(w))
    masked = value_and_grad(lambda w, x, c: np.sum(np.where(c, x @ w, 0)))
    c, w = np.array([[True], [False], [True]]), np.ones((2, n))
    finite = np.arange(6.0).reshape(3, 2)
    infinite, missing = finite.copy(), finite.copy()
    infinite[1], missing[1, 0] = np.inf, np.nan
    for function in (derivative, masked):
        compiled = compile(function)
        compiled.name = "f"
        with np.errstate(all="ignore"):
            for x in (finite, infinite, missing, finite):
                truth = function(w, x, c)
                for made in (
                    compiled(w, x, c),
                    run_source(compiled, w, x, c),
                    run_source(compiled, w, x, c, form="executed"),
                ):
                    np.testing.assert_array_equal(made[1], truth[1])
        assert f"np.isfinite({'x' if n == 9 else 'grad_w' if function is masked else 't'}" in compiled.source
    assert np.all(np.isfinite(truth[1]))


def two_steps(x: Any, parameter: Any, optimizer: Any) -> Any:
    for _ in range(2):
        with record():
            loss = (parameter * parameter * x).sum()
        loss.backward()
        optimizer.step()
    return loss


def test_two_steps_of_an_optimizer_in_one_function() -> None:
    results = []
    for compiling in (False, True):
        parameter = tensor([1.0, 2.0])
        parameter.attach_grad()
        adam = tinygrad_lr.Adam([parameter], 0.1)
        run: Any = compile(two_steps) if compiling else two_steps
        losses = [float(run(np.array([1.0, n]), parameter, adam)) for n in range(3)]
        results.append([*losses, *parameter.numpy(), adam.steps])
    np.testing.assert_allclose(*results)


class Pair(NamedTuple):
    low: Any
    high: Any


DISTINCT: dict[str, tuple[Any, Any]] = {
    "options": (lambda x, y: x * y, lambda x: ((x,), {"y": x + 1})),
    "empty options": (lambda x, y: x * 2, lambda x: ((x,), {"y": []})),
    "dicts": (lambda d: d["a"] * d["b"], lambda x: (({"a": x, "b": x + 1},), {})),
    "nestings": (
        lambda d, e: d[0]["a"] * d[1] + e["b"][0],
        lambda x: (([{"a": x}, x + 1], {"b": (x * x,)}), {}),
    ),
    "numbers": (lambda x, k: x * k, lambda x: ((x, np.float64(x[0, 0])), {})),
    "named tuples": (lambda x: Pair(x - 1, high=x + 1), lambda x: ((x,), {})),
    "no signature": (dict, lambda x: ((), {"a": x, "b": x + 1})),
    "turned twice": (lambda x: np.transpose(x.T) + np.swapaxes(x, 0, 1).T, lambda x: ((x,), {})),
    "factors of a product": (lambda x, y: (3.0 * x) @ (y * 0.5), lambda x: ((x, x.T[:, :2].copy()), {})),
    "short rows": (lambda x: (x.max(axis=1), x.min(axis=1, keepdims=True) * x), lambda x: ((x,), {})),
    "single precision": (lambda x: np.float32(0.1) * x, lambda x: ((x.astype(np.float32),), {})),
    "arrays of one number": (lambda x: np.where(x > 1, x, np.array(0.5)), lambda x: ((x,), {})),
    "SciPy": (lambda x: tinygrad_lr.special.erf(x), lambda x: ((x,), {})),
    "views of what is not in order": (lambda x: np.ravel((x * 2).T) + 1, lambda x: ((x,), {})),
    "an unused argument": (grad(lambda x, y: np.sum(x * x), argnums=(0, 1)), lambda x: ((x, x + 1), {})),
    "infinite": (lambda x: np.where(x > 1, np.inf, np.where(x < -1, -np.inf, x)), lambda x: ((x,), {})),
}


@pytest.mark.parametrize(("function", "call"), DISTINCT.values(), ids=DISTINCT)
def test_arguments_and_results_of_every_form(function: Any, call: Any) -> None:
    """Compiled code returns what the function does, and so does its source, for other values as well."""
    compiled = compile(function)
    compiled.name = "f"
    rng = np.random.default_rng(0)
    for _ in range(3):
        args, options = call(rng.normal(size=(40, 3)))
        truth = function(*args, **options)
        made = compiled(*args, **options)
        assert type(made) is type(truth)
        given = [a for a in parts([*args, options]) if a.size]
        for got in (made, run_source(compiled, *given), run_source(compiled, *given, form="executed")):
            for a, b in zip(parts(got), parts(truth), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-6 if a.dtype == np.float32 else 1e-12)
    assert compiled.traces == 1


def test_arguments_are_given_in_another_way_each_time() -> None:
    def f(x: Any, k: Any = 2.0, **more: Any) -> Any:
        return x * k + sum(more.values())

    x, y = np.array([1.0, 2.0]), np.array([3.0, 5.0])
    calls: list[Any] = [
        *(lambda f: f(x), lambda f: f(y), lambda f: f(x, 3.0), lambda f: f(x, y), lambda f: f(x=x)),
        *(lambda f: f(x, k=3.0), lambda f: f(x, k=y), lambda f: f(k=x, x=y), lambda f: f(x, a=y)),
        *(lambda f: f(x, b=y), lambda f: f(x, a=y, b=x), lambda f: f(x, b=x, a=1.0)),
    ]
    for one, other in itertools.permutations(calls, 2):
        compiled = compile(f)
        for call in (one, one, other, one, other):
            np.testing.assert_array_equal(call(compiled), call(f))


def parts(value: Any) -> list[Any]:
    """The arrays in a nesting."""
    if isinstance(value, dict):
        value = list(value.values())
    return (
        [a for part in value for a in parts(part)]
        if isinstance(value, (list, tuple))
        else [np.asarray(value)]
    )


@pytest.mark.parametrize("view", [lambda t: t, Tensor.detach])
def test_a_parameter_whose_array_is_another(view: Any) -> None:
    w = tensor([1.0, 2.0])
    compiled = compile(lambda x: x * view(w))
    x = np.array([3.0, 4.0])
    for array in ([1.0, 2.0], [5.0, 6.0], [7.0, 8.0]):
        w.array = np.array(array)
        np.testing.assert_array_equal(compiled(x), x * array)
    assert compiled.traces == 1


def test_within_record_what_is_not_differentiated_is_compiled() -> None:
    compiled = compile(lambda x: x * x)
    for n in (1.0, 2.0, 3.0):
        with record():
            np.testing.assert_array_equal(compiled(np.array([n])), [n * n])
    assert compiled.traces == 1


def test_a_number_among_the_arguments_that_is_written() -> None:
    def halve(w: Any) -> Any:
        before = w.detach()
        w *= 0.5
        return before + 0, w * 1

    compiled = compile(halve)
    for n in (1.0, 3.0, 5.0):
        w = tensor([1.0, n]).sum()
        before, after = compiled(w)
        assert (before.item(), after.item(), w.item()) == (1 + n, (1 + n) / 2, (1 + n) / 2)
    assert compiled.traces == 1
    found = tensor([1.0, 3.0]).sum()
    shrinking = compile(lambda x: (found.__imul__(x), None)[1])
    for n in (0.5, 0.25, 2.0):
        expected = n * found.item()
        shrinking(np.array(n))
        assert found.item() == expected
    found.array = np.float64(7.0)
    for expected in (14.0, 28.0):
        shrinking(np.array(2.0))
        assert found.item() == expected


def test_a_gradient_without_create_graph_is_a_constant_in_compiled_code_too() -> None:
    def step(x: Any) -> Any:
        x.attach_grad()
        with record():
            slope = autograd.grad((x**3).sum(), x)
            again = (slope * x).sum()
        return autograd.grad(again, x)

    compiled = compile(step)
    for n in (1.0, 2.0):
        np.testing.assert_allclose(compiled(np.array([1.0, n])), step(tensor([1.0, n])).array)


REFUSED: dict[str, Any] = {
    "x += 1": lambda x, y, c: operator.iadd(x, 1),
    "y += 1": lambda x, y, c: operator.iadd(y, 1),
    "x[0] = 1": lambda x, y, c: operator.setitem(x, 0, 1.0),
    "y.fill(1)": lambda x, y, c: y.fill(1.0),
    "out=y": lambda x, y, c: np.exp(c, out=y),
    "out=x": lambda x, y, c: np.exp(y, out=x),
    "copyto": lambda x, y, c: np.copyto(y, c),
    "c += x": lambda x, y, c: operator.iadd(c, x),
    "c[0] = y[0]": lambda x, y, c: operator.setitem(c, 0, y[0]),
    "out=c": lambda x, y, c: np.exp(x, out=c),
    "copyto c": lambda x, y, c: np.copyto(c, y),
    "a write of what surrounds": lambda x, y, c: operator.iadd(OUTER, 1),
    "a write into what surrounds": lambda x, y, c: operator.iadd(OUTER_CONSTANT, y),
}
OUTER, OUTER_CONSTANT = tensor([1.0, 2.0]), tensor([1.0, 2.0])
OUTER.attach_grad()


@pytest.mark.parametrize("write", REFUSED.values(), ids=REFUSED)
def test_writes_that_would_make_a_gradient_wrong_are_refused_in_compiled_code_too(write: Any) -> None:
    def step(x: Any) -> Any:
        x.attach_grad()
        with record():
            y, c = x * OUTER, x.detach() * 2
            write(x, y, c)
        return y

    for run in (step, compile(step)):
        with pytest.raises((InPlaceError, LostInWriteError)):
            run(tensor([1.0, 2.0]))
    np.testing.assert_array_equal([OUTER.array, OUTER_CONSTANT.array], [[1, 2], [1, 2]])


@pytest.mark.parametrize("indices", [([0, 2], [1, 2]), ([True, False, True], [False, False, True])])
def test_a_write_at_an_index_among_the_arguments(indices: Any) -> None:
    def written(x: Any, i: Any) -> Any:
        x[i] = 7.0
        return x + 1

    compiled = compile(written)
    for index in map(np.array, (indices[0], *indices)):
        x, expected = tensor([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0])
        expected[index] = 7
        np.testing.assert_array_equal(compiled(x, index), expected + 1)
        np.testing.assert_array_equal(x.array, expected)


@pytest.mark.parametrize("key", [lambda i: i, lambda i: (i,), lambda i: (i, None), lambda i: (None, i)])
def test_an_index_found_elsewhere_is_read_at_each_call(key: Any) -> None:
    """In the gradient as in the value."""
    index = np.array([0])
    compiled = compile(value_and_grad(lambda x: np.sum(x[key(index)] ** 2)))
    x = np.array([1.0, 2.0, 3.0])
    for i in range(3):
        index[0] = i
        value, gradient = compiled(x)
        assert value == x[i] ** 2
        np.testing.assert_array_equal(gradient, np.where(np.arange(3) == i, 2 * x, 0))
    assert compiled.traces == 1


@pytest.mark.parametrize("order", [1, 2, 3])
def test_an_exponent_found_elsewhere_is_read_at_each_call(order: int) -> None:
    """In gradients of every order, in which numbers are computed of it alone."""
    x, exponent = np.array([1.5, 2.0]), np.array([3.0, 4.0])
    made = lambda x: x**exponent  # noqa: E731
    for _ in range(order):
        made = elementwise_grad(made)
    compiled = compile(made)
    for _ in range(3):
        factor = np.prod([exponent - i for i in range(order)], axis=0)
        np.testing.assert_allclose(compiled(x), factor * x ** (exponent - order), rtol=1e-12)
        exponent += 0.5
    assert compiled.traces == 1


def test_gradients_of_large_arrays_are_stored_by_blocks() -> None:
    w, x = tensor(np.arange(12.0).reshape(6, 2)), np.ones((6, 2))
    w.attach_grad()

    def step(x: Any) -> Any:
        with record():
            loss = (np.tanh(w) * x).sum()
        loss.backward()
        return loss

    with blocks_of(4, 4):
        compiled = compile(step)
        for n in (1.0, 2.0, 3.0):
            compiled(n * x)
            np.testing.assert_allclose(w.grad.numpy(), n / np.cosh(w.numpy()) ** 2)
    assert "for s in" in compiled._last.run.__doc__


def test_the_executed_source_refuses_another_mask() -> None:
    mask = np.array([True, False, True])
    compiled = compile(lambda x: x[mask] * 2)
    x = np.array([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(compiled(x), [2, 6])
    space: dict[str, Any] = {}
    exec(compiled.executed, space)
    name = compiled._last.program.captured[0].name
    f = space[compiled.name]
    np.testing.assert_array_equal(f(x, **{name: mask}), [2, 6])
    with pytest.raises(ValueError, match="a mask takes 3 elements, other than before"):
        f(x, **{name: np.ones(3, bool)})


@pytest.mark.parametrize("view", [lambda t: t, Tensor.detach])
def test_a_number_found_elsewhere_is_read_at_each_call(view: Any) -> None:
    scale = tensor([1.0, 3.0]).sum()
    compiled = compile(lambda x: x * view(scale))
    x = np.array([1.0, 2.0])
    for expected in (4, 8, 16):
        np.testing.assert_array_equal(compiled(x), x * expected)
        scale *= 2
    scale.array = np.float64(3.0)
    np.testing.assert_array_equal(compiled(x), 3 * x)
    assert compiled.traces == 1


@pytest.mark.parametrize("dtype", [np.float64, np.float16])
def test_a_result_that_is_an_array_or_a_multiple_of_it(dtype: Any) -> None:
    """Elsewhere such a selection is done in place."""
    compiled = compile(lambda x: (np.where(x > 0, 0.5 * x, x), np.where(x > 1, 4 * x, x) + 1))
    for x in (
        np.array([-1, 0, 1, 4], dtype),
        np.array(4, dtype),
        np.array([np.nan, -np.inf, 1, np.inf], dtype),
    ):
        expected = np.where(x > 0, x / 2, x), np.where(x > 1, 4 * x, x) + 1
        for got in (compiled(x), run_source(compiled, x), run_source(compiled, x, form="executed")):
            for one, truth in zip(got, expected, strict=True):
                np.testing.assert_array_equal(one, truth)


def one_backward(w: Any, v: Any, own: Any) -> Any:
    with record():
        y = (w * w * v).sum() + (own * w).sum()
    y.backward()
    return y


def two_backwards_and_an_update(w: Any, v: Any, own: Any) -> Any:
    for _ in range(2):
        with record():
            y = (w * w * v * own).sum()
        y.backward()
        w -= 0.125 * w.grad
    return y, w.grad * 1


def what_was_there(w: Any, v: Any, own: Any) -> Any:
    return w.grad * 2, v.grad + own.grad, own * w - v


def a_head(w: Any, v: Any, own: Any) -> Any:
    with record():
        y = w * w
    y.backward(v.detach() + own.detach())
    return y


def gradients_in_place(w: Any, v: Any, own: Any) -> Any:
    before = w.grad * 1
    w.grad[...] = np.clip(v.grad, -2.0, 2.0)
    own.grad *= 0.5
    return before, w.grad * 1, v.grad * 1


def a_gradient_that_is_set(w: Any, v: Any, own: Any) -> Any:
    w.grad = v * 3 + own
    return w.grad * 1, v.grad * 1, v.grad + w


def updates_in_place(w: Any, v: Any, own: Any) -> Any:
    before = w * own
    own += v
    v[...] = 7.0
    w *= 0.5
    return before, w * own, v - w, w, v, own


def all_are_heads(w: Any, v: Any, own: Any) -> Any:
    with record():
        y, z = w * own, v * own + w
    autograd.backward([y, z])
    return w.grad + v.grad, own.grad * 1


OF_THE_ARGUMENTS = [
    one_backward,
    two_backwards_and_an_update,
    what_was_there,
    a_head,
    gradients_in_place,
    a_gradient_that_is_set,
    updates_in_place,
    all_are_heads,
]
PLACES: dict[str, Any] = {
    "positions": (lambda w, v: ((w, v), {}), lambda args, options: args),
    "keywords": (lambda w, v: ((), {"v": v, "w": w}), lambda args, options: (options["w"], options["v"])),
    "list": (lambda w, v: (([w], v), {}), lambda args, options: (*args[0], args[1])),
    "nested": (
        lambda w, v: (({"a": [v, (w,)]},), {}),
        lambda args, options: (args[0]["a"][1][0], args[0]["a"][0]),
    ),
    "module": (lambda w, v: ((w, v), {}), lambda args, options: args),
}


REQUESTS = [["write"] * 4, ["add"] * 4, ["write", "add", "null", "null"], ["add"] * 4]
CASES = [
    (f, list(PLACES)[(i + j) % len(PLACES)], requests, () if j == 3 else (2,))
    for i, f in enumerate(OF_THE_ARGUMENTS)
    for j, requests in enumerate(REQUESTS)
]


@pytest.mark.parametrize(("f", "place", "requests", "shape"), CASES)
def test_all_that_a_call_reads_and_writes_is_of_its_own_arguments(
    f: Any, place: str, requests: Any, shape: tuple[int, ...]
) -> None:
    """Whichever tensors were passed before, also one twice, and one that the function finds elsewhere."""
    put, taken = PLACES[place]
    kept = []
    for compiling in (False, True):
        tensors = [tensor(np.array([1.0 + i, -2.0 + i])[(0,) if shape == () else ...]) for i in range(4)]
        for t, grad_req in zip(tensors, requests, strict=True):
            t.attach_grad(grad_req)
        own = tensors[0]

        class Model(Module):
            def forward(self, *args: Any, **options: Any) -> Any:
                return f(*taken(args, options), self.own)

        def plain(*args: Any, own: Any = own, **options: Any) -> Any:
            return f(*taken(args, options), own)

        model = Model()
        model.own = own
        function: Any = model if place == "module" else plain
        run: Any = compile(function) if compiling else function
        rows = []
        for i, j in (
            (1, 2),
            (1, 2),
            (2, 3),
            (2, 3),
            (3, 1),
            (2, 2),
            (1, 1),
            (0, 1),
            (1, 2),
            (3, 0),
            (0, 0),
            (2, 1),
        ):
            args, options = put(tensors[i], tensors[j])
            try:
                made = run(*args, **options)
            except NothingAttachedError as error:
                made = len(str(error))
            rows += [np.array(a.array if isinstance(a, Tensor) else a) for a in parts_of(made)]
            rows += [np.array(a) for t in tensors for a in (t.array, t.grad.array)]
            rows += [np.array(t.attachment.written) for t in tensors if t.attachment]
            for t in tensors:  # so that nothing becomes too large
                t[...] = np.arctan(t)
                t.attachment.written = False  # type: ignore[union-attr]
        kept.append(rows)
    for eager, fast in zip(*kept, strict=True):
        np.testing.assert_allclose(fast, eager, rtol=1e-12, atol=1e-14)
    assert run.traces <= 5 or "null" in requests  # once for others, for one twice, and for what it finds


def parts_of(value: Any) -> list[Any]:
    return [a for part in value for a in parts_of(part)] if isinstance(value, (list, tuple)) else [value]


def writing_the_first(a: Any, b: Any) -> Any:
    before = b * 2
    a += 1
    return before, b * 2, a - b


SLICES = [slice(0, 3), slice(2, None, -1), slice(1, 4), slice(3, 6)]
OVERLAPS: dict[str, Any] = {
    "views": lambda whole, part: whole[part],
    "strides": lambda whole, part: np.lib.stride_tricks.as_strided(whole[part], (3,), whole[part].strides),
    "a buffer": lambda whole, part: np.frombuffer(memoryview(whole), float)[part],
    "tensors": lambda whole, part: tinygrad_lr.asarray(whole[part]),
}


@pytest.mark.parametrize("take", OVERLAPS.values(), ids=OVERLAPS)
@pytest.mark.parametrize("f", [lambda a, b: (a - 2 * b, b), writing_the_first])
def test_arguments_that_share_memory_in_another_way(f: Any, take: Any) -> None:
    """One array twice, a view of it, the same turned round: nothing of it is taken for what it was before."""
    pairs = [(a, b) for a in SLICES[:1] + SLICES[2:] for b in SLICES]
    for first in range(len(pairs)):
        compiled = compile(f)
        for a, b in (pairs[first], *pairs, pairs[first]):
            eager, fast = tensor(np.arange(6.0)), np.arange(6.0)
            truths = f(eager[a], eager[b])
            same = take(fast, a) if first % 2 else fast[a]
            made = compiled(same, same if a == b else take(fast, b))
            for got, truth in zip(parts(made), parts_of(truths), strict=True):
                np.testing.assert_array_equal(got, truth.array)
            np.testing.assert_array_equal(fast, eager.array)


def test_tensors_on_one_array_have_gradients_of_their_own() -> None:
    def step(a: Any, b: Any) -> None:
        with record():
            y = (a * a * b).sum()
        y.backward()

    a = tensor([1.0, 2.0])
    b = tinygrad_lr.asarray(a.array)
    for order in ([(a, a), (a, b), (b, a), (a, a)], [(a, b), (b, b), (b, a)]):
        compiled = compile(step)
        for pair in order * 2:
            kept = []
            for run in (step, compiled):
                a.attach_grad()
                b.attach_grad()
                run(*pair)
                kept.append([a.grad.tolist(), b.grad.tolist()])
            assert kept[0] == kept[1]
    a.grad = [3.0, 4.0]
    held = a.grad
    for order in ("hah", "aha") * 2:
        reading = compile(lambda a, b: (a.grad * (3 * b), a.grad.__imul__(2.0), 3 * b)[::2])
        for one in order * 2:
            other = held if one == "h" else tensor([1.0, 1.0])
            before, product = held.numpy().copy(), held.numpy() * (3 * other.numpy())
            made, after = reading(a, other)
            np.testing.assert_array_equal(held.numpy(), 2 * before)
            np.testing.assert_array_equal(made.numpy(), product)
            np.testing.assert_array_equal(after.numpy(), 3 * other.numpy())


def found_by_partial(x: Any, w: Any, table: Any) -> Any:
    before, sine = x * w, np.sin(x)
    w += 1
    return before, sine, x * w, np.sin(x), x - table


class Finding:
    def __init__(self, w: Any, table: Any) -> None:
        self.w, self.table = w, table

    def __call__(self, x: Any) -> Any:
        return found_by_partial(x, self.w, self.table)

    def method(self, x: Any) -> Any:
        return found_by_partial(x, self.w, self.table)


FINDERS: list[Any] = [
    lambda w, table: lambda x: found_by_partial(x, w, table),
    lambda w, table: (lambda inner: lambda x: inner(x))(lambda x: found_by_partial(x, w, table)),
    lambda w, table: lambda x, w=w, table=table: found_by_partial(x, w, table),
    lambda w, table: lambda x, found=({"w": [w]}, table): found_by_partial(x, found[0]["w"][0], found[1]),
    lambda w, table: partial(found_by_partial, w=w, table=table),
    lambda w, table: partial(lambda w, table, x: found_by_partial(x, w, table), w, table),
    lambda w, table: partial(lambda x, n: found_by_partial(x, w, table), n=1),
    Finding,
    lambda w, table: Finding(w, table).method,
]


@pytest.mark.parametrize("find", FINDERS)
@pytest.mark.parametrize("turned", [1, -1])
def test_an_argument_that_the_function_finds_elsewhere_too(find: Any, turned: int) -> None:
    """A call with it says nothing of calls with others, nor the other way round."""
    w, table, other = tinygrad_lr.asarray(np.array([1.0, 2.0])[::turned]), np.array([5.0, 6.0]), np.ones(2)
    on_it, apart = w.array[::-1] if turned == 1 else w.array.base, tensor(other)
    for order in (
        [w, other, table, on_it],
        [other, on_it, w, table, other],
        [table, w, other, table],
        [apart, w, apart, tinygrad_lr.asarray(on_it)],
    ):
        compiled = compile(find(w, table))
        for x in order * 2:
            start = w.numpy().copy()
            eager = tensor(w)
            lies_on_it = x is on_it or (isinstance(x, Tensor) and x.array is on_it)
            truths = found_by_partial(
                eager if x is w else eager[::-1] if lies_on_it else tensor(x), eager, table
            )
            made = compiled(x)
            for got, truth in zip(made, truths, strict=True):
                np.testing.assert_array_equal(got, truth.array)
            np.testing.assert_array_equal(w.array, start + 1)
        for x in (w, other, table, w, other, table):
            traces = compiled.traces if x is table else 0
            compiled(x)
        assert compiled.traces == traces  # each has a program that is kept


def test_the_source_for_arguments_that_share_memory() -> None:
    """Computes what has no name before it is written through another argument."""

    def f(x: Any, y: Any) -> Any:
        made = [np.sin(y)]
        x.__iadd__(1)
        return made[0] * x

    compiled = compile(f)
    for way in ways(compiled):
        x = np.array([1.0, 2.0, 4.0])
        np.testing.assert_array_equal(way(x, x[::-1]), np.sin([4.0, 2.0, 1.0]) * [2, 3, 5])


def test_an_argument_that_lies_on_an_array_that_the_function_writes() -> None:
    """Whether it is traced with such a one or with another."""
    for order in ("ab", "ba"):
        table = np.array([1.0, 2.0])

        def f(x: Any, table: Any = table) -> Any:
            before = 2 * x
            np.add(table, np.ones_like(x), out=table)
            return before, 2 * x

        compiled = compile(f)
        for one in order * 3:
            x = table[::-1] if one == "a" else np.array([5.0, 6.0])
            expected = 2 * x, 2 * x + (2 if one == "a" else 0)
            for got, truth in zip(compiled(x), expected, strict=True):
                np.testing.assert_array_equal(got, truth)


#: what leads to one array from two tensors, or from a tensor and an array, and what ends that
SHARED: dict[str, tuple[Any, Any, Any]] = {
    "two tensors": (lambda w: w, Tensor.detach, lambda w, v: setattr(w, "array", np.array([7.0, 8.0]))),
    "the other one": (lambda w: w, Tensor.detach, lambda w, v: setattr(v, "array", np.array([7.0, 8.0]))),
    "an array": (lambda w: w, lambda w: w.array, lambda w, v: setattr(w, "array", np.array([7.0, 8.0]))),
    "a gradient": (lambda w: w.grad, lambda w: w.grad, lambda w, v: setattr(w, "grad", [7.0, 8.0])),
    "on its array": (
        lambda w: w.grad,
        lambda w: w.grad.detach(),
        lambda w, v: setattr(w, "grad", [7.0, 8.0]),
    ),
    "none later": (
        lambda w: w.grad,
        lambda w: w.grad.detach(),
        lambda w, v: (w.drop_grad(), w.attach_grad()),
    ),
}


@pytest.mark.parametrize(("one", "other", "end"), SHARED.values(), ids=SHARED)
@pytest.mark.parametrize("turned", [1, -1])
def test_what_was_one_array_when_it_was_traced_may_be_two_later(
    one: Any, other: Any, end: Any, turned: int
) -> None:
    w = tensor([1.0, 2.0])
    w.attach_grad()
    w.grad = [3.0, 4.0]
    v = other(w)

    def f(x: Any) -> Any:
        return [x * t for t in (one(w), v)[::turned]]

    compiled, x = compile(f), np.array([1.0, 10.0])
    for calls in range(6):
        if calls == 3:
            end(w, v)
        for got, expected in zip(compiled(x), f(x), strict=True):
            np.testing.assert_array_equal(got, unwrapped(expected))
    assert compiled.traces == 2
    read = compile(lambda x: x * v)
    v = other(w)
    for ended in (False, True, True):
        if ended:
            end(w, v)
        np.testing.assert_array_equal(read(x), unwrapped(x * v))


FLAGS: dict[str, Any] = {
    "scalars": lambda on: np.bool_(on),
    "arrays": lambda on: np.array(on),
    "tensors of scalars": lambda on: Tensor(np.bool_(on)),
    "tensors": lambda on: tensor(on),
}


@pytest.mark.parametrize("make", FLAGS.values(), ids=FLAGS)
def test_one_truth_value_given_twice_is_not_one_argument(make: Any) -> None:
    """Nor is it what the function finds elsewhere or has written in it: there are two of NumPy's only."""
    for first in itertools.product((True, False), repeat=3):
        found = [make(False), make(False)]

        def f(a: Any, b: Any, c: Any, found: Any = found) -> Any:
            own = np.where(c[0], np.True_, np.False_)
            return np.stack([a, b, c[0], found[0] ^ a, found[1] | b, own, np.logical_and(a, np.True_)])

        compiled = compile(f)
        for flags in (first, *itertools.product((True, False), repeat=3)):
            a, b, c = map(make, flags)
            made = compiled(a, b, c=[c])
            truth = [*flags, flags[0], flags[1], flags[2], flags[0]]
            np.testing.assert_array_equal(unwrapped(made), truth)
        if make is FLAGS["tensors of scalars"]:
            found[0].array = np.True_
            np.testing.assert_array_equal(compiled(a, b, c=[c])[3:5], [not flags[0], flags[1]])


def test_the_source_of_arguments_that_are_given_several_times() -> None:
    """Has a parameter for each."""
    compiled = compile(lambda a, b, c, d, e: a + 2 * b + 3 * c + 4 * d + 5 * e)
    x, y = np.array([1.0, 2.0]), np.array([3.0, 5.0])
    for arrays in ((x, y, y, x, x), (y, y, y, x, x), (x, y, x, y, y)):
        compiled(*arrays)
        compiled.name = "f"
        for way in ways(compiled):
            np.testing.assert_array_equal(way(*arrays), sum(n * a for n, a in enumerate(arrays, 1)))


def test_one_number_given_twice_is_not_one_argument() -> None:
    compiled, x = compile(lambda x, y: x - 2 * y), np.float64(3.0)
    for a, b in ((x, x), (x, np.float64(5.0)), (np.float64(7.0), x)):
        for wrap in (lambda n: n, Tensor):
            assert compiled(wrap(a), wrap(b)) == a - 2 * b


def test_arrays_with_operators_of_their_own_are_not_taken_for_others() -> None:
    compiled, x = compile(lambda x: x * x), np.ones((2, 2))
    for _ in range(2):
        np.testing.assert_array_equal(compiled(x), x)
        with pytest.raises(TypeError, match="MaskedArray has operators of its own"):
            compiled(np.ma.masked_array(x, x > 0))


def test_results_of_the_first_call_are_of_the_kinds_of_later_ones() -> None:
    """And of those of the function itself: scalars of NumPy's, arrays, tensors."""

    def kinds(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [*map(kinds, value)]
        array = value.array if isinstance(value, Tensor) else value
        return type(value), type(array), getattr(array, "dtype", None)

    def f(x: Any) -> Any:
        total = np.sum(x)
        made = [
            x * 2,
            np.exp(x),
            total,
            total > 1,
            np.any(x > 0),
            (total > 1) & (total < 5),
            -total,
            3.0,
            None,
        ]
        made += [
            np.max(x),
            np.argmax(x),
            x > 0,
            np.isnan(x),
            np.logical_not(x),
            x,
            np.transpose(x),
            np.squeeze(x),
            np.moveaxis(x, (), ()),
            np.reshape(x, np.shape(x)),
            np.reshape(x, (1, -1)),
        ]
        return [*made, np.ravel(x)[0], np.ravel(x), np.allclose(x, x), np.ones(2), np.prod([2.0, 3.0])]

    numbers = [
        np.float64(1.5),
        np.float32(1.5),
        np.int64(3),
        np.True_,
        np.array(1.5),
        np.array(True),
        np.array(3),
    ]
    arrays = [np.array([1.5]), np.array([1.5, 0.0]), np.array([True, False]), np.array([1, 2])]
    for x in (*numbers, *arrays, tensor([1.5, 2.0]), tensor(1.5), tensor([1.5, 2.0]).sum()):
        compiled = compile(f)
        expected = kinds(f(x))
        for _ in range(3):
            assert kinds(compiled(x)) == expected
    for x in numbers:
        copies = compile(lambda x: [np.copy(x), np.broadcast_to(x, ()), x.astype("f"), x.astype("d")])
        assert kinds(copies(x)) == kinds(copies(x))
    flat = compile(lambda x: [np.ravel(x), np.ravel(x)])(np.float64(2.0))
    assert not np.shares_memory(*flat)


@pytest.mark.parametrize(
    "draw",
    [
        np.random.normal,
        np.random.randn,
        np.random.rand,
        lambda: np.random.randint(9),
        lambda: np.random.permutation(3),
        lambda: np.random.choice(5),
        lambda: np.random.shuffle([1, 2, 3]),
        lambda: np.random.rand(312),  # as many as there are at a time
        lambda: np.random.seed(1),
    ],
)
@pytest.mark.parametrize("before", [0, 1])
def test_any_draw_of_random_numbers_raises(draw: Any, before: int) -> None:
    """Also of the second one of two normal numbers, which is waiting after the first."""
    np.random.seed(0)
    np.random.randn(before)
    with pytest.raises(TraceError, match="draws random numbers"):
        compile(lambda x: (draw(), x * 2)[1])(np.ones(2))
    state = np.random.get_state()
    assert compile(lambda x: x * 2)(np.ones(1)) == 2
    assert state[2:] == np.random.get_state()[2:]  # type: ignore[index]


def test_an_error_of_compiled_code_names_the_users_tensor() -> None:
    """Whether the code runs already when the tensor gets attached, or not yet; also behind an argument."""
    mine, x = tensor([1.0, 2.0]), np.ones(2)
    by_closure, by_argument = compile(lambda x, mine=mine: x * mine), compile(lambda x, w: x * w)
    for calls in range(3):
        mine.drop_grad()
        with record():
            for _ in range(calls):
                by_closure(x)
                by_argument(x, mine)
            mine.attach_grad()
            for run in (by_closure, partial(by_argument, w=mine)):
                with pytest.raises(TraceError, match=r"cannot be recorded, but `mine` \(shape"):
                    run(x)


class Slots:
    """Whose attributes nobody finds by looking."""

    __slots__ = ("w",)

    def __init__(self, w: Any) -> None:
        self.w = w


@pytest.mark.parametrize("grad_req", ["write", "add", "null"])
def test_a_number_in_an_attached_tensor_is_no_constant(grad_req: str) -> None:
    """One of NumPy's scalars, where no name leads to it."""
    o = Slots(np.exp(tensor(0.0)))
    o.w.attach_grad(grad_req)
    compiled = compile(lambda x: x * o.w)
    for n in range(3):
        np.testing.assert_array_equal(compiled(np.ones(2)), [1 + n, 1 + n])
        o.w += 1


def test_what_may_be_changed_in_part_is_named_by_its_array() -> None:
    """If it was written through a view of it."""
    compiled = compile(lambda first, matrix: (first[1:].__iadd__(1.0), np.linalg.inv(matrix))[1])
    for wrap in (np.array, tensor):
        compiled(wrap([1.0, 2.0, 3.0]), np.eye(2))
        with pytest.raises(np.linalg.LinAlgError) as caught:
            compiled(wrap([1.0, 2.0, 3.0]), np.zeros((2, 2)))
        assert "stopped half-way: first may be changed in part" in caught.value.__notes__[0]


def test_an_argument_that_is_a_gradient_of_what_the_function_finds() -> None:
    w = tensor([1.0, 2.0])
    w.attach_grad()

    def halving(x: Any) -> Any:
        before, g = x * 1, w.grad
        g *= 0.5
        return before, x * 1, g * 1

    for first in (0, 1, 2):
        compiled = compile(halving)
        w.grad = [8.0, -6.0]
        xs = [tensor([3.0, 4.0]), w.grad, tinygrad_lr.asarray(w.grad.array[::-1])]
        for x in (xs[first], *xs, *xs):
            x[...] = [3.0, 4.0]
            before, start = x.numpy().copy(), w.grad.numpy().copy()
            truths = before, before if x is xs[0] else before / 2, start / 2
            for got, truth in zip(compiled(x), truths, strict=True):
                np.testing.assert_array_equal(got.numpy(), truth)
        doubling = compile(lambda x: (x.__imul__(2.0), w.grad * 1)[1])
        for x in (xs[first], *xs, *xs):
            start, expected = x.numpy().copy(), w.grad.numpy() * (1 if x is xs[0] else 2)
            np.testing.assert_array_equal(doubling(x).numpy(), expected)
            np.testing.assert_array_equal(x.numpy(), 2 * start)


def test_an_argument_that_is_one_of_several_gradients() -> None:
    w, v = tensor([1.0, 2.0]), tensor([3.0, 4.0])
    for t in (w, v):
        t.attach_grad()

    def f(x: Any) -> Any:
        before = 2 * x
        for t in (w, v):
            t.grad.__imul__(0.5)
        return before, 2 * x

    for order in ("owv", "wov", "vow"):
        compiled = compile(f)
        w.grad, v.grad = [8.0, 16.0], [32.0, 64.0]
        for one in order * 3:
            x = {"o": tensor([5.0, 6.0]), "w": w.grad, "v": v.grad}[one]
            start = x.numpy().copy()
            before, after = compiled(x)
            np.testing.assert_array_equal(before.numpy(), 2 * start)
            np.testing.assert_array_equal(after.numpy(), 2 * start if one == "o" else start)


def test_a_view_of_the_second_argument_is_written() -> None:
    def f(x: Any, y: Any) -> Any:
        before = 2 * y
        np.meshgrid(x, y, copy=False, sparse=True)[1].__iadd__(1)
        return before, 2 * y, 2 * x

    compiled = compile(f)
    for n in (1.0, 2.0, 3.0):
        x, y = np.array([n, 5.0]), np.array([6.0, 7.0, n])
        truths = 2 * y, 2 * y + 2, 2 * x
        for got, truth in zip(compiled(x, y), truths, strict=True):
            np.testing.assert_array_equal(got, truth)
        np.testing.assert_array_equal(y, [7, 8, n + 1])


def test_results_are_copies_of_what_stays_where_it_is() -> None:
    """Gradients, and constants with the values of arguments: from the first call on."""
    own = tensor([3.0, 4.0])
    compiled = compile(lambda w: (w.grad, own.grad, w.detach(), own.detach()))
    for t in (own, w := tensor([1.0, 2.0])):
        t.attach_grad()
    for _ in range(3):
        grads = own.grad.array, w.grad.array
        for result in compiled(w):
            result[...] = 7.0
        assert (w.tolist(), own.tolist(), w.grad.tolist(), own.grad.tolist()) == (
            [1, 2],
            [3, 4],
            [0, 0],
            [0, 0],
        )
        assert own.grad.array is grads[0]
        assert w.grad.array is grads[1]


def test_a_gradient_that_is_returned_is_that_of_the_tensor_and_a_copy_of_it_is_none() -> None:
    """What is done to the gradient later, such as zeros, does not reach a copy that was returned before."""
    w = tensor([1.0, 2.0])
    w.attach_grad()

    def step(x: Any) -> Any:
        with record():
            y = (w * w * x).sum()
        y.backward()
        return w.grad.copy(), +w.grad, w.grad * 1, w.grad, w.grad

    compiled = compile(step)
    for n in (1.0, 2.0, 3.0):
        *copies, own, again = compiled(tensor([n, n]))
        assert own is again is w.grad
        w.grad[...] = 0
        for one in copies:
            np.testing.assert_array_equal(one.numpy(), [2 * n, 4 * n])
            one[...] = 7.0


def test_what_is_made_of_constants_and_written() -> None:
    def f(x: Any, start: Any) -> Any:
        total = np.exp(tensor(start))
        total += np.sum(x)
        return total, total

    for start in (0.0, (0.0, 0.0), ((0.0,),)):
        compiled = compile(f)
        for n in (1.0, 2.0, 3.0):
            made, other = compiled(np.array([n, n]), start)
            np.testing.assert_array_equal(made, np.full(np.shape(start), 1 + 2 * n))
            np.testing.assert_array_equal(other, made)
            assert not np.shares_memory(made, other)


def test_a_program_keeps_no_array_that_it_was_traced_with() -> None:
    compiled, x, unused = (
        compile(lambda x, unused: np.mean(np.exp(x) * x, axis=0)),
        np.ones((3, 2)),
        np.ones(3),
    )
    gone = weakref.ref(x), weakref.ref(unused)
    compiled(x, unused)
    del x, unused
    assert [one() for one in gone] == [None, None]
    for line in (*compiled._last.program.lines, *compiled._last.lowered.lines):
        for v in line.made:  # nor any that was made
            assert not any(v.array.strides)


def test_with_and_without_a_gradient_are_programs_of_their_own() -> None:
    compiled = compile(lambda w: w * 2 if w.grad is None else w * w.grad)
    plain, attached = tensor([1.0, 2.0]), tensor([1.0, 2.0])
    attached.attach_grad()
    attached.grad = [5.0, 6.0]
    for _ in range(2):
        assert compiled(plain).tolist() == [2, 4]
        assert compiled(attached).tolist() == [5, 12]
