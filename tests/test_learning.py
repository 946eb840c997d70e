"""Learning: what is learned is what the closed form says, whatever part of the training the user replaces."""

import math
import runpy
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_lr as d2l
from search import examples
from tinygrad_lr import (
    SGD,
    DataModule,
    LinearRegressionScratch,
    Module,
    SyntheticRegressionData,
    Tensor,
    Trainer,
)
from tinygrad_lr.data import TensorLoader

EXAMPLE = Path(__file__).parent.parent / "examples" / "linear_regression_scratch.py"
seeds = st.integers(0, 2**31)


def train(
    model: Module, data: DataModule, epochs: int = 3, *, first_epoch: int = 0, **options: Any
) -> Trainer:
    trainer = Trainer(epochs, **options)
    trainer.fit(model, data, first_epoch)
    return trainer


def linear_model(num_inputs: int = 2, lr: float = 0.03, seed: int = 0) -> LinearRegressionScratch:
    np.random.seed(seed)
    return LinearRegressionScratch(num_inputs, lr)


def values(model: Module) -> list[float]:
    return [float(x) for p in model.parameters() for x in p.numpy().ravel()]


def least_squares(data: SyntheticRegressionData) -> list[float]:
    """Weights and bias by NumPy, for the training examples."""
    X, y = data.X.numpy()[: data.num_train], data.y.numpy()[: data.num_train]
    A = np.hstack([X, np.ones((len(X), 1))])
    return [float(x) for x in np.linalg.lstsq(A, y)[0].ravel()]


class Weights(Module):
    """Linear regression without a bias, from given weights."""

    def __init__(self, w: Any, lr: float) -> None:
        super().__init__()
        self.lr = lr
        self.w = d2l.tensor(w)
        self.w.attach_grad()

    def forward(self, X: Tensor) -> Tensor:
        return X @ self.w

    def loss(self, y_hat: Tensor, y: Tensor) -> Tensor:
        return ((y_hat - y) ** 2 / 2).mean()

    def configure_optimizers(self) -> SGD:
        return SGD([self.w], self.lr)


class Given(DataModule):
    """The same examples for training and validation, in minibatches of 5 that are shuffled from a seed."""

    def __init__(self, X: Any, y: Any, seed: int = 0) -> None:
        super().__init__()
        self.X, self.y, self.seed, self.batch_size = d2l.tensor(X), d2l.tensor(y), seed, 5

    def get_dataloader(self, train: bool) -> TensorLoader:
        return self.get_tensorloader((self.X, self.y), train)


def normal_examples(seed: int, n: int = 12, d: int = 3) -> tuple[Any, Any, Any]:
    """X, y, and weights to start from."""
    draw = np.random.default_rng(seed)
    return draw.standard_normal((n, d)), draw.standard_normal((n, 1)), draw.standard_normal((d, 1))


@pytest.fixture
def restored() -> Iterator[None]:
    """What the test adds to a class is taken away again."""
    classes = (Trainer, LinearRegressionScratch, Module, SGD, SyntheticRegressionData, DataModule, Weights)
    before = [dict(vars(cls)) for cls in classes]
    yield
    for cls, attributes in zip(classes, before, strict=True):
        for name, value in list(vars(cls).items()):
            if name not in attributes:
                delattr(cls, name)
            elif value is not attributes[name]:
                setattr(cls, name, attributes[name])


# ---- what is learned --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, None])
def test_the_default_run_learns_the_truth(seed: int | None) -> None:
    np.random.seed(7)
    model, data = LinearRegressionScratch(2, lr=0.03), SyntheticRegressionData([2, -3.4], 4.2, seed=seed)
    train(model, data, epochs=10)
    np.testing.assert_allclose(values(model), [2, -3.4, 4.2], atol=0.01)


@pytest.mark.usefixtures("restored")
def test_the_chapters_program(capsys: pytest.CaptureFixture[str]) -> None:
    np.random.seed(0)
    names = runpy.run_path(str(EXAMPLE))
    np.testing.assert_allclose(values(names["model"]), [2, -3.4, 4.2], atol=0.01)
    output = capsys.readouterr()
    assert [line.split(":")[0] for line in output.out.splitlines()] == [
        "error in estimating w",
        "error in estimating b",
    ]
    assert output.err == ""
    assert [epoch for epoch, _ in names["trainer"].history["train"]] == list(range(1, 11))
    assert [epoch for epoch, _ in names["trainer"].history["val"]] == list(range(1, 11))


@examples(10)
@given(seeds, st.integers(1, 4))
def test_full_batches_reach_the_least_squares_solution(seed: int, d: int) -> None:
    w = np.random.default_rng(seed).normal(size=d)
    data = SyntheticRegressionData(w, 4.2, noise=1, num_train=100, num_val=0, batch_size=100, seed=seed)
    model = linear_model(d, lr=0.5)
    train(model, data, epochs=300)
    np.testing.assert_allclose(values(model), least_squares(data), rtol=0, atol=1e-8)


@examples(5)
@given(seeds)
def test_minibatches_reach_the_least_squares_solution_of_exact_data(seed: int) -> None:
    data = SyntheticRegressionData(
        [2, -3.4], 4.2, noise=0, num_train=100, num_val=0, batch_size=10, seed=seed
    )
    model = linear_model(lr=0.1)
    train(model, data, epochs=60)
    np.testing.assert_allclose(values(model), least_squares(data), rtol=0, atol=1e-8)


@given(seeds, st.integers(1, 5))
def test_the_gradient_is_zero_at_the_least_squares_solution(seed: int, d: int) -> None:
    w = np.random.default_rng(seed).normal(size=d)
    data = SyntheticRegressionData(w, -1.5, noise=1, num_train=30, num_val=0, seed=seed)
    *weights, bias = least_squares(data)
    model = linear_model(d)
    model.w[:, 0], model.b[:] = weights, bias
    with d2l.record():
        loss = model.training_step((data.X, data.y))
    loss.backward()
    for p in model.parameters():
        np.testing.assert_allclose(p.grad.numpy(), 0, atol=1e-12)
    model.w[0] += 0.1  # elsewhere it is not
    with d2l.record():
        loss = model.training_step((data.X, data.y))
    loss.backward()
    assert abs(model.w.grad.numpy()).max() > 1e-3


@settings(deadline=None, max_examples=20)
@given(seeds, st.permutations(range(3)))
def test_the_order_of_features_does_not_matter(seed: int, order: list[int]) -> None:
    X, y, w = normal_examples(seed)
    plain, permuted = Weights(w, 0.05), Weights(w[order], 0.05)
    train(plain, Given(X, y))
    train(permuted, Given(X[:, order], y))
    np.testing.assert_allclose(permuted.w.numpy(), plain.w.numpy()[order], rtol=1e-12, atol=1e-14)


@settings(deadline=None, max_examples=20)
@given(seeds, st.integers(-3, 3))
def test_scaled_inputs_or_targets_scale_the_weights(seed: int, power: int) -> None:
    X, y, w = normal_examples(seed)
    c = 2.0**power  # a power of two scales without rounding
    plain, inputs, targets = Weights(w, 0.05), Weights(w / c, 0.05 / c**2), Weights(w * c, 0.05)
    train(plain, Given(X, y))
    train(inputs, Given(X * c, y))
    train(targets, Given(X, y * c))
    np.testing.assert_array_equal(inputs.w.numpy() * c, plain.w.numpy())
    np.testing.assert_array_equal(targets.w.numpy(), plain.w.numpy() * c)


@settings(deadline=None, max_examples=10)
@given(seeds, st.integers(-8, 8))
def test_shifted_targets_shift_the_bias(seed: int, shift: int) -> None:
    X, y, _ = normal_examples(seed)
    plain, shifted = linear_model(3, seed=seed), linear_model(3, seed=seed)
    shifted.b += shift
    train(plain, Given(X, y))
    train(shifted, Given(X, y + shift))
    np.testing.assert_allclose(shifted.w.numpy(), plain.w.numpy(), atol=1e-12)
    np.testing.assert_allclose(shifted.b.numpy(), plain.b.numpy() + shift, atol=1e-12)


def test_float32_stays_float32() -> None:
    X, y, w = (a.astype(np.float32) for a in normal_examples(0))
    model = Weights(w, 0.05)
    train(model, Given(X, y), gradient_clip_val=0.1)
    assert model.w.dtype == model.w.grad.dtype == np.float32


# ---- the same numbers again -------------------------------------------------------------------------------


def chapter_run(seed: int | None) -> tuple[list[float], Any]:
    model = LinearRegressionScratch(2, lr=0.03)
    data = SyntheticRegressionData([2, -3.4], 4.2, num_train=50, num_val=20, seed=seed)
    return values(model), train(model, data).history


def test_seeds_reproduce() -> None:
    np.random.seed(3)
    first = chapter_run(None)
    np.random.seed(3)
    again, other = chapter_run(None), chapter_run(None)
    assert first == again != other


@given(seeds)
def test_a_seed_of_the_data_is_enough_for_the_data(seed: int) -> None:
    a, b, c = (
        SyntheticRegressionData([1.0], 0, num_train=9, num_val=2, seed=s) for s in (seed, seed, seed + 1)
    )
    for _ in range(2):
        for batch, same in zip(a.train_dataloader(), b.train_dataloader(), strict=True):
            np.testing.assert_array_equal(batch[0].numpy(), same[0].numpy())
    assert not np.array_equal(a.X.numpy(), c.X.numpy())


@settings(deadline=None, max_examples=15)
@given(seeds, st.integers(0, 4))
def test_a_resumed_run_is_the_uninterrupted_run_bit_for_bit(seed: int, stop: int) -> None:
    def data() -> DataModule:
        return SyntheticRegressionData([2, -3.4], 4.2, num_train=40, num_val=10, batch_size=16, seed=seed)

    whole, first, second = (linear_model(seed=seed) for _ in range(3))
    expected = train(whole, data(), epochs=4)
    before = train(first, data(), epochs=stop)
    second.w[:], second.b[:] = first.w.numpy(), first.b.numpy()
    after = train(second, data(), epochs=4, first_epoch=stop)
    assert values(second) == values(whole)
    for name in ("train", "val"):
        assert before.history[name] + after.history[name] == expected.history[name]
    assert (after.train_batch_idx, after.val_batch_idx) == (expected.train_batch_idx, expected.val_batch_idx)


def test_threads_train_at_once_without_touching_each_other() -> None:
    def run(i: int) -> list[float]:
        model = Weights(np.full((3, 1), float(i)), 0.05)
        train(model, Given(*normal_examples(i, n=40)[:2], seed=i), epochs=4, progress=False)
        return values(model)

    alone = [run(i) for i in range(4)]
    together: list[Any] = [None] * 4
    start = threading.Barrier(4)

    def work(i: int) -> None:
        start.wait()
        together[i] = run(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone


# ---- minibatches ------------------------------------------------------------------------------------------


@given(st.integers(1, 30), st.integers(1, 12), st.none() | seeds)
def test_an_epoch_is_every_example_once(n: int, batch_size: int, seed: int | None) -> None:
    rows = np.arange(n)
    loader = TensorLoader([d2l.tensor(rows), rows[:, None] * 10], batch_size, seed)
    for _ in range(2):
        batches = [(x.numpy(), y.numpy()) for x, y in loader]
        assert len(batches) == len(loader)
        assert [len(x) for x, _ in batches[:-1]] == [batch_size] * (len(loader) - 1)
        for x, y in batches:
            np.testing.assert_array_equal(y, x[:, None] * 10)
        x = np.concatenate([x for x, _ in batches])
        np.testing.assert_array_equal(np.sort(x) if seed is not None else x, rows)


def test_each_epoch_has_its_own_order_which_is_known_by_its_number() -> None:
    def order(loader: TensorLoader) -> list[int]:
        return [i for (x,) in loader for i in x.tolist()]

    loader, other = (TensorLoader([np.arange(50)], 7, seed=5) for _ in range(2))
    orders = [order(loader) for _ in range(3)]
    assert orders[0] != orders[1] != orders[2]
    assert loader.epoch == 3
    other.epoch = 2
    assert order(other) == orders[2]
    assert orders[1] == np.random.default_rng([5, 1]).permutation(50).tolist()


def test_writing_into_a_minibatch_leaves_the_data() -> None:
    loader = TensorLoader([np.zeros(4)], 2)
    for (x,) in loader:
        x += 1
    assert all((x.numpy() == 0).all() for (x,) in loader)


def test_synthetic_data() -> None:
    data = SyntheticRegressionData(d2l.tensor([[2], [-3.4]]), 4.2, noise=0, num_train=70, num_val=30, seed=1)
    assert (data.n, data.X.shape, data.y.shape, data.w.shape) == (100, (100, 2), (100, 1), (2, 1))
    np.testing.assert_allclose(data.y.numpy(), data.X.numpy() @ [[2], [-3.4]] + 4.2)
    assert (len(data.train_dataloader()), len(data.val_dataloader())) == (3, 1)
    validation = np.concatenate([X.numpy() for X, _ in data.val_dataloader()])
    np.testing.assert_array_equal(validation, data.X.numpy()[70:])
    noisy = SyntheticRegressionData([0.0], 0, noise=0.5, num_train=4000, seed=1)
    assert abs(np.std(noisy.y.numpy()) - 0.5) < 0.02


def test_without_validation_data() -> None:
    trainer = train(linear_model(), SyntheticRegressionData([1, 2], 0, num_val=0))
    assert trainer.val_dataloader is None
    assert trainer.num_val_batches == trainer.val_batch_idx == 0
    assert trainer.history["val"] == []


# ---- the Trainer ------------------------------------------------------------------------------------------


class Log:
    """A callback that writes down what it is told."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def on_fit_start(self, trainer: Trainer) -> None:
        self.events.append("start")

    def on_step_end(self, trainer: Trainer, loss: float) -> None:
        assert not d2l.is_recording()
        self.events.append((trainer.epoch, trainer.train_batch_idx, loss))

    def on_epoch_end(self, trainer: Trainer) -> None:
        self.events.append(("epoch", trainer.epoch, trainer.history["train"][-1], trainer.history["val"][-1]))

    def on_fit_end(self, trainer: Trainer) -> None:
        self.events.append("end")


class Interrupt:
    """A callback that presses Ctrl-C after some steps."""

    def __init__(self, after: int) -> None:
        self.after = after

    def on_step_end(self, trainer: Trainer, loss: float) -> None:
        if trainer.train_batch_idx == self.after:
            raise KeyboardInterrupt


def test_callbacks_hear_of_steps_and_epochs() -> None:
    log = Log()
    model, data = Weights(np.zeros((3, 1)), 0.05), Given(*normal_examples(0)[:2])
    trainer = train(model, data, epochs=2, callbacks=[log])
    start, *steps, end = log.events
    assert (start, end) == ("start", "end")
    losses = [event[2] for event in steps if event[0] != "epoch"]
    heard = [event[:2] for event in steps]
    assert heard == [(0, 1), (0, 2), (0, 3), ("epoch", 0), (1, 4), (1, 5), (1, 6), ("epoch", 1)]
    (_, first), (_, second) = trainer.history["train"]
    assert (first, second) == pytest.approx((sum(losses[:3]) / 3, sum(losses[3:]) / 3), rel=1e-15)
    assert [event[2:] for event in steps if event[0] == "epoch"] == list(
        zip(trainer.history["train"], trainer.history["val"], strict=True)
    )
    assert (trainer.train_batch_idx, trainer.val_batch_idx, trainer.epoch) == (6, 6, 1)
    assert (trainer.num_train_batches, trainer.num_val_batches) == (3, 3)


def test_the_first_loss_is_that_of_the_first_parameters() -> None:
    X, y, w = normal_examples(0, n=5)
    trainer = train(Weights(w, 0.05), Given(X, y), epochs=1)
    assert trainer.history["train"][0][1] == pytest.approx(((X @ w - y) ** 2).mean() / 2, rel=1e-12)


@examples(10)
@given(st.integers(1, 9))
def test_ctrl_c_keeps_what_was_learned(after: int) -> None:
    X, y, w = normal_examples(0)
    log, model, other = Log(), Weights(w, 0.05), Weights(w, 0.05)
    with pytest.raises(KeyboardInterrupt):
        train(model, Given(X, y), callbacks=[Interrupt(after), log])
    assert log.events[-1] == "end"
    assert not d2l.is_recording()
    steps = 0
    data = Given(X, y)
    loader = data.train_dataloader()
    while steps < after:  # the same steps by hand
        for batch in loader:
            if steps < after:
                with d2l.record():
                    loss = other.training_step(batch)
                loss.backward()
                other.w -= 0.05 * other.w.grad
                steps += 1
    assert values(model) == values(other)
    train(model, data)  # and it can go on
    assert np.isfinite(values(model)).all()


def first_bad_step(lr: float, data: DataModule) -> tuple[int, float]:
    """By plain NumPy: at which step the loss of `Weights` is not finite."""
    w, step = np.zeros((3, 1)), 0
    loader = data.train_dataloader()
    with np.errstate(all="ignore"):
        while True:
            for X, y in loader:
                step += 1
                error = X.numpy() @ w - y.numpy()
                if not math.isfinite(loss := float((error**2 / 2).mean())):
                    return step, loss
                w = w - lr * X.numpy().T @ error / len(error)


@pytest.mark.parametrize("lr", [1e3, 1e30, 50])
@pytest.mark.parametrize("chapter", [False, True])
@pytest.mark.usefixtures("restored")
def test_a_diverging_run_stops_and_says_where(
    lr: float, chapter: bool, recwarn: pytest.WarningsRecorder
) -> None:
    if chapter:
        runpy.run_path(str(EXAMPLE))  # leaves its own fit_epoch in Trainer
    data, log = Given(*normal_examples(0)[:2]), Log()
    step, loss = first_bad_step(lr, data)
    with pytest.raises(d2l.DivergenceError) as caught:
        train(Weights(np.zeros((3, 1)), lr), data, epochs=1000, callbacks=[log])
    error, epoch = caught.value, (step - 1) // 3 + 1
    assert isinstance(error, ArithmeticError)
    assert (error.step, error.epoch) == (step, epoch)
    assert str(error.loss) == str(loss)
    assert str(error) == (
        f"the training loss became {loss} at step {step} (epoch {epoch} of 1000). If the data has no NaN or "
        f"infinity, the steps are too long: take a smaller lr than {lr}."
    )
    assert len([e for e in log.events if isinstance(e[0], int)]) == step - 1
    assert log.events[-1] == "end"
    assert len(recwarn) == 0


def test_nan_in_the_data_stops_the_run() -> None:
    X, y, w = normal_examples(0)
    y[3] = np.nan
    with pytest.raises(d2l.DivergenceError, match=r"became nan at step [123] "):
        train(Weights(w, 0.05), Given(X, y))


def test_a_users_own_floating_point_errors_are_kept() -> None:
    data = Given(*normal_examples(0)[:2])
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        train(Weights(np.zeros((3, 1)), 1e30), data, epochs=100)


@given(seeds, st.floats(1e-3, 10))
def test_clipping_shortens_the_whole_gradient_and_keeps_its_direction(seed: int, limit: float) -> None:
    draw = np.random.default_rng(seed)
    model = linear_model(3)
    before = [draw.normal(size=p.shape) for p in model.parameters()]
    for p, g in zip(model.parameters(), before, strict=True):
        p.grad = d2l.tensor(g)
    arrays = [p.grad.array for p in model.parameters()]
    Trainer(1).clip_gradients(limit, model)
    norm = math.sqrt(sum((g**2).sum() for g in before))
    for p, g, array in zip(model.parameters(), before, arrays, strict=True):
        np.testing.assert_allclose(p.grad.numpy(), g * min(1, limit / norm), rtol=1e-12)
        assert p.grad.array is array


def test_a_gradient_that_two_parameters_share_is_clipped_once() -> None:
    model = linear_model(1)
    model.w = model.w.reshape(1)
    model.w.attach_grad()
    model.b.grad = model.w.grad
    model.w.grad[:] = 8.0
    Trainer(1).clip_gradients(2.0, model)
    assert (model.w.grad.item(), model.b.grad.item()) == (2.0, 0.0)  # setting a gradient copied it


def test_clipped_training_takes_shorter_steps() -> None:
    X, y, w = normal_examples(0)
    model = Weights(w, 1.0)
    train(model, Given(X, y, seed=1), epochs=1, gradient_clip_val=1e-3)
    assert 0 < np.linalg.norm(model.w.numpy() - w) <= 3e-3 + 1e-12


# ---- parts that the user replaces -------------------------------------------------------------------------

REPLACEABLE = [
    *((LinearRegressionScratch, name) for name in ("forward", "loss", "configure_optimizers")),
    *((Module, name) for name in ("training_step", "validation_step", "plot")),
    *((Trainer, name) for name in ("fit", "fit_epoch", "prepare_data", "prepare_model", "prepare_batch")),
    *((Trainer, name) for name in ("clip_gradients", "note_loss", "check_loss")),
    *((DataModule, name) for name in ("train_dataloader", "val_dataloader", "get_tensorloader")),
    (SyntheticRegressionData, "get_dataloader"),
    (SGD, "step"),
]


@pytest.mark.parametrize(("cls", "name"), REPLACEABLE, ids=lambda x: getattr(x, "__name__", x))
@pytest.mark.usefixtures("restored")
def test_a_replaced_method_is_used(cls: type, name: str) -> None:
    original, calls = getattr(cls, name), []

    def replacement(self: Any, *args: Any, **options: Any) -> Any:
        calls.append(name)
        return original(self, *args, **options)

    replacement.__name__ = name
    model, data = linear_model(), SyntheticRegressionData([2, -3.4], 4.2, num_train=64, num_val=32, seed=0)
    trainer = Trainer(2, gradient_clip_val=1)
    assert d2l.add_to_class(cls)(replacement) is replacement
    trainer.fit(model, data)  # objects that were made before
    assert calls
    assert len(trainer.history["train"]) == len(trainer.history["val"]) == 2


@pytest.mark.parametrize("name", ["parameters", "named_parameters"])
@pytest.mark.usefixtures("restored")
def test_replaced_parameters_are_used_for_clipping(name: str) -> None:
    model = linear_model()

    def only_w(self: Any) -> Any:
        return [self.w] if name == "parameters" else {"w": self.w}

    only_w.__name__ = name
    d2l.add_to_class(LinearRegressionScratch)(only_w)
    model.w.grad[:], model.b.grad[:] = 1.0, 5.0
    Trainer(1).clip_gradients(1e-3, model)
    assert model.b.grad.numpy() == 5
    assert model.w.grad.numpy()[0, 0] < 1e-3


@pytest.mark.usefixtures("restored")
def test_what_prepare_batch_returns_is_trained_on() -> None:
    data = SyntheticRegressionData([2, -3.4], 4.2, seed=0)
    model = linear_model()

    @d2l.add_to_class(Trainer)
    def prepare_batch(self: Trainer, batch: Any) -> Any:
        X, y = batch
        return X, -y

    train(model, data, epochs=10)
    np.testing.assert_allclose(values(model), [-2, 3.4, -4.2], atol=0.01)


@pytest.mark.usefixtures("restored")
def test_a_bare_fit_as_in_the_book() -> None:
    @d2l.add_to_class(Trainer)
    def fit(self: Any, model: Any, data: Any) -> None:
        self.prepare_data(data)
        self.prepare_model(model)
        self.optim = model.configure_optimizers()
        self.epoch = 0
        self.train_batch_idx = 0
        self.val_batch_idx = 0
        for self.epoch in range(self.max_epochs):  # noqa: B020
            self.fit_epoch()

    model, trainer = linear_model(), Trainer(10)
    trainer.fit(model, SyntheticRegressionData([2, -3.4], 4.2, seed=0))
    np.testing.assert_allclose(values(model), [2, -3.4, 4.2], atol=0.01)
    assert len(trainer.history["train"]) == 10


@pytest.mark.parametrize("replaced", ["plot", "training_step"])
@pytest.mark.usefixtures("restored")
def test_losses_are_watched_without_a_plot(replaced: str) -> None:
    def plot(self: Module, key: str, value: Any, train: bool) -> None:
        pass

    def training_step(self: Module, batch: Any) -> Any:
        return self.loss(self(batch[0]), batch[1])

    d2l.add_to_class(Weights)({"plot": plot, "training_step": training_step}[replaced])
    X, y, w = normal_examples(0)
    assert len(train(Weights(w, 0.05), Given(X, y)).history["train"]) == 3
    with pytest.raises(d2l.DivergenceError):
        train(Weights(w, 1e30), Given(X, y), epochs=100)


def test_a_fit_epoch_that_does_not_count_is_checked_after_the_epoch() -> None:
    class Uncounted(Trainer):
        def fit_epoch(self) -> None:
            for batch in self.train_dataloader:
                with d2l.record():
                    loss = self.model.training_step(batch)
                loss.backward()
                self.optim.step()

    X, y, w = normal_examples(0)
    trainer = Uncounted(2)
    trainer.fit(Weights(w, 0.05), Given(X, y))
    assert [epoch for epoch, _ in trainer.history["train"]] == [1, 2]
    y[0] = np.nan
    with pytest.raises(d2l.DivergenceError, match="at step 1 "):
        trainer.fit(Weights(w, 0.05), Given(X, y))


def test_gradients_of_two_minibatches_in_one_step() -> None:
    class Accumulating(Trainer):
        def fit_epoch(self) -> None:
            batches = iter(self.train_dataloader)
            for pair in zip(batches, batches, strict=False):
                self.optim.zero_grad()
                for batch in pair:
                    with d2l.record():
                        loss = self.model.training_step(batch) / 2
                    loss.backward()
                self.optim.step()
                self.train_batch_idx += 1

    X, y, w = normal_examples(0, n=10)
    model = Weights(w, 0.05)
    model.w.attach_grad("add")
    trainer = Accumulating(1)
    trainer.fit(model, Given(X, y))
    np.testing.assert_allclose(model.w.numpy(), w - 0.05 * X.T @ (X @ w - y) / 10, rtol=1e-12)
    assert trainer.history["train"][0][1] == pytest.approx(((X @ w - y) ** 2).mean() / 2, rel=1e-12)
