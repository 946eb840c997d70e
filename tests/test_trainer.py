"""The Trainer's callbacks, schedules and history; several runs at once; data larger than memory."""

import asyncio
import math
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_lr as d2l
from tinygrad_lr import (
    MLP,
    SGD,
    Adam,
    Checkpoint,
    DataModule,
    DivergenceError,
    EarlyStopping,
    LinearRegression,
    LinearRegressionScratch,
    ProgressBoard,
    StepLR,
    SyntheticRegressionData,
    Trainer,
    nn,
)
from tinygrad_lr.callbacks import Board, History


def regression(**options: Any) -> SyntheticRegressionData:
    return SyntheticRegressionData([1.0, 2.0], 0.5, **{"num_train": 64, "num_val": 32, "seed": 0, **options})


def fit(epochs: int, *callbacks: Any, model: Any = None, **options: Any) -> Trainer:
    trainer = Trainer(epochs, callbacks=callbacks, progress=False)
    trainer.fit(model or LinearRegressionScratch(2, lr=0.1, sigma=0), regression(), **options)
    return trainer


# ---- callbacks --------------------------------------------------------------------------------------------


class Scripted(d2l.Module):
    """Has the validation losses that it is given, whatever it learns."""

    def __init__(self, losses: list[float]) -> None:
        super().__init__()
        self.losses = losses
        self.w = d2l.tensor(0.0)
        self.w.attach_grad()

    def training_step(self, batch: Any) -> Any:
        loss = self.w + 5.0
        self.plot("loss", loss, train=True)
        return loss

    def validation_step(self, batch: Any) -> None:
        self.plot("loss", self.losses[self.trainer.epoch if self.trainer else 0], train=False)

    def configure_optimizers(self) -> Any:
        return SGD([self.w], lr=0.0)


@pytest.mark.parametrize(
    ("losses", "options", "epochs"),
    [
        ([5, 4, 3, 2, 1, 0], {}, 6),
        ([5, 4, 4, 4, 4, 4], {"patience": 2}, 4),
        ([5, 4, 4.5, 3, 3.5, 3.2, 9], {"patience": 2}, 6),
        ([5, 4.5, 4, 3.6, 1, 0], {"patience": 1, "min_delta": 1}, 2),
        ([5, 4, 3, 2, 1, 0], {"patience": 3, "monitor": "train"}, 4),
        ([math.inf, math.inf, 1, 1], {"patience": 1}, 1),
    ],
)
def test_a_run_stops_when_the_loss_does_not_become_smaller(
    losses: list[float], options: dict[str, Any], epochs: int
) -> None:
    stopping = EarlyStopping(**options)
    for _ in range(2):  # a second run starts anew
        trainer = fit(len(losses), stopping, model=Scripted(losses))
        assert trainer.finished_epochs == epochs
        assert trainer.history["val"] == list(enumerate(losses[:epochs], 1))


def test_a_stopped_run_stays_stopped_when_it_is_resumed_unless_it_may_wait_longer(tmp_path: Path) -> None:
    path, losses = tmp_path / "run.npz", [5.0, 6.0, 7.0, 8.0]
    fit(4, EarlyStopping(1), Checkpoint(path, every=9), model=Scripted(losses))
    for patience, epochs in ((1, 2), (2, 3), (9, 4)):
        trainer = fit(4, EarlyStopping(patience), model=Scripted(losses), resume=path)
        assert trainer.finished_epochs == epochs


def test_stopping_needs_a_loss_to_watch() -> None:
    with pytest.raises(ValueError, match=r'no minibatches for "val"; write EarlyStopping\(monitor="train"\)'):
        Trainer(2, callbacks=[EarlyStopping()]).fit(LinearRegression(0.1), regression(num_val=0))
    with pytest.raises(ValueError, match="patience must be at least 1 epoch, not 0"):
        EarlyStopping(0)
    with pytest.raises(ValueError, match='monitor must be "val" or "train", not \'loss\''):
        EarlyStopping(monitor="loss")


def test_history_has_every_step() -> None:
    history = History()

    class Scheduled(LinearRegressionScratch):
        def configure_optimizers(self) -> Any:
            sgd = SGD(self.parameters(), self.lr)
            return sgd, StepLR(sgd, 1, 0.5)

    trainer = fit(3, history, model=Scheduled(2, lr=0.5, sigma=0))
    assert history.lrs == [0.5, 0.5, 0.25, 0.25, 0.125, 0.125]
    assert len(history.losses) == 6
    means = np.reshape(history.losses, (3, 2)).mean(1)
    np.testing.assert_allclose([mean for _, mean in trainer.history["train"]], means, rtol=1e-15)
    fit(1, history)
    assert len(history.losses) == 2


def test_a_board_for_models_that_do_not_plot() -> None:
    class Quiet(LinearRegressionScratch):
        def training_step(self, batch: Any) -> Any:
            return self.loss(self(batch[0]), batch[1])

        def validation_step(self, batch: Any) -> None:
            assert self.trainer is not None
            self.trainer.note_loss(self.loss(self(batch[0]), batch[1]), train=False)

    board = Board(mine := ProgressBoard())
    trainer = fit(3, board, model=Quiet(2, lr=0.1, sigma=0))
    assert {name: [tuple(p) for p in line] for name, line in mine.data.items()} == {
        f"{name}_loss": means for name, means in trainer.history.items()
    }
    assert trainer.model.board.data == {}
    assert Board().board.xlabel == "epoch"


class Failing:
    def __init__(self, hook: str, error: BaseException | None = None) -> None:
        self.error = error or ValueError("something is wrong")
        setattr(self, hook, self.fail)

    def fail(self, trainer: Trainer, *facts: Any) -> None:
        if trainer.finished_epochs >= 1 or not hasattr(self, "on_epoch_end"):
            raise self.error


class Ended:
    def __init__(self) -> None:
        self.times = 0

    def on_fit_end(self, trainer: Trainer) -> None:
        self.times += 1


@pytest.mark.parametrize("hook", ["on_fit_start", "on_step_end", "on_epoch_end", "on_fit_end"])
def test_an_exception_names_the_callback_and_leaves_the_run_usable(hook: str, tmp_path: Path) -> None:
    failing, first, last = Failing(hook), Ended(), Ended()
    path = tmp_path / "run.npz"
    trainer = Trainer(3, callbacks=[first, Checkpoint(path), failing, last], progress=False)
    model = LinearRegressionScratch(2, lr=0.1, sigma=0)
    with pytest.raises(ValueError, match="something is wrong") as caught:
        trainer.fit(model, regression())
    assert caught.value.__notes__ == [f"raised by Failing.{hook}, a callback of the Trainer"]
    assert (first.times, last.times) == (1, 1)
    assert not d2l.is_recording()
    trainer.callbacks.remove(failing)
    trainer.fit(model, regression(), resume=path if path.exists() else None)
    whole = LinearRegressionScratch(2, lr=0.1, sigma=0)
    trainer.fit(whole, regression())
    if hook != "on_step_end":  # whose step was taken before
        assert model.w.tolist() == whole.w.tolist()
    assert [epoch for epoch, _ in trainer.history["train"]] == [1, 2, 3]


def test_an_error_of_the_run_is_not_hidden_by_one_of_a_callback() -> None:
    class Bad(LinearRegressionScratch):
        def loss(self, y_hat: Any, y: Any) -> Any:
            raise KeyError("the first error")

    last = Ended()
    with pytest.raises(KeyError, match="the first error") as caught:
        fit(1, Failing("on_fit_end"), Failing("on_fit_end", OSError("full")), last, model=Bad(2, 0.1))
    assert caught.value.__notes__ == [
        "and then ValueError('something is wrong') was raised by Failing.on_fit_end, a callback of the "
        "Trainer",
        "and then OSError('full') was raised by Failing.on_fit_end, a callback of the Trainer",
    ]
    assert last.times == 1
    with pytest.raises(ValueError, match="something is wrong") as also:
        fit(1, Failing("on_fit_end"), Failing("on_fit_end", OSError("full")), last)
    assert "and then OSError('full')" in also.value.__notes__[-1]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), DivergenceError("", 1, 1, 0.0)])
def test_a_callback_can_end_the_run_by_an_exception(error: BaseException) -> None:
    last = Ended()
    with pytest.raises(type(error)) as caught:
        fit(3, Failing("on_epoch_end", error), last)
    assert caught.value is error
    assert last.times == 1


# ---- history ----------------------------------------------------------------------------------------------


def test_history_is_kept_and_not_made_anew() -> None:
    seen: list[Any] = []

    class Watch:
        def on_step_end(self, trainer: Trainer, loss: float) -> None:
            seen.append((id(trainer.history["train"]), trainer.history["train"][-1]))

    trainer = fit(2, Watch())
    assert {place for place, _ in seen} == {id(trainer.history["train"])}
    (_, first), (_, second) = seen[1][1], seen[3][1]
    assert trainer.history["train"] == [(1, first), (2, second)]


def test_an_optimizer_and_its_schedule() -> None:
    class Scheduled(LinearRegressionScratch):
        schedule: Any = None

        def configure_optimizers(self) -> Any:
            sgd = SGD(self.parameters(), self.lr)
            return sgd, StepLR(sgd, 2) if self.schedule is None else self.schedule

    trainer = fit(5, model=Scheduled(2, lr=0.1))
    assert trainer.optim.lr == pytest.approx(0.001)
    assert trainer.schedule.epoch == 5
    model = Scheduled(2, lr=0.1)
    model.schedule = "never"
    with pytest.raises(TypeError, match=r"configure_optimizers returned 'never', which has no method step"):
        fit(1, model=model)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clipping_gradients_whose_squares_overflow(dtype: Any) -> None:
    model = nn.Linear(3, 1, dtype=dtype)
    huge = float(np.finfo(dtype).max) / 4
    model.weight.grad[:] = huge
    Trainer(1).clip_gradients(2.0, model)
    np.testing.assert_allclose(model.weight.grad.numpy(), 2 / math.sqrt(3), rtol=1e-6)
    model.weight.grad[:] = 0
    Trainer(1).clip_gradients(2.0, model)
    assert (model.weight.grad.numpy() == 0).all()


def test_clipping_where_there_is_nothing_to_clip() -> None:
    model = d2l.Module()
    model.empty = nn.Parameter(np.zeros((0, 2)))
    Trainer(1).clip_gradients(1.0, model)
    assert model.empty.grad.shape == (0, 2)


# ---- at the same time -------------------------------------------------------------------------------------


class Classes(DataModule):
    def __init__(self, seed: int) -> None:
        super().__init__()
        draw = np.random.default_rng(seed)
        self.X, self.y = draw.normal(size=(30, 4)), draw.integers(0, 3, 30)
        self.seed, self.batch_size = seed, 7

    def get_dataloader(self, train: bool) -> Any:
        return self.get_tensorloader((self.X, self.y), train)


class Net(MLP):
    """With everything that could be shared: dropout, running means, a learning rate that changes."""

    def __init__(self, seed: int) -> None:
        super().__init__(num_outputs=3, num_hiddens=8, lr=0.01 * (seed + 1))
        draw = np.random.default_rng(seed)
        self.net = nn.Sequential(
            nn.LazyLinear(8, init=draw.standard_normal),
            nn.Tanh(),
            nn.Dropout(0.3, seed=seed),
            nn.LazyLinear(3, init=draw.standard_normal),
        )

    def configure_optimizers(self) -> Any:
        adam = Adam(self.parameters(), self.lr)
        return adam, StepLR(adam, 2, 0.5)


def learned(model: Net) -> dict[str, list[Any]]:
    return {name: array.tolist() for name, array in model.state_dict().items()}


def run(seed: int, tick: Callable[[], None] = lambda: None) -> dict[str, list[Any]]:
    class Tick:
        def on_step_end(self, trainer: Trainer, loss: float) -> None:
            tick()

    model = Net(seed)
    Trainer(4, gradient_clip_val=1, callbacks=[Tick()], progress=False).fit(model, Classes(seed))
    return learned(model)


def test_threads_train_different_models_at_the_same_time() -> None:
    alone = [run(seed) for seed in range(3)]
    together: list[Any] = [None] * 3
    barrier = threading.Barrier(3)  # every step waits for one of the others

    def work(seed: int) -> None:
        together[seed] = run(seed, tick=lambda: [barrier.wait(timeout=60)].clear())

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone


def test_asyncio_tasks_train_different_models_at_the_same_time() -> None:
    async def train(seed: int, turn: Callable[[], Any]) -> dict[str, list[Any]]:
        model, data = Net(seed), Classes(seed)
        optimizer, schedule = model.configure_optimizers()
        for _ in range(4):
            for X, y in data.train_dataloader():
                with d2l.record():
                    hidden = model.net[0](X)
                    await turn()  # another task goes on in the middle of this one's forward computation
                    assert d2l.is_recording()
                    for layer in model.net.layers[1:]:
                        hidden = layer(hidden)
                    loss = model.loss(hidden, y)
                    with d2l.pause():
                        await turn()
                        assert not d2l.is_recording()
                await turn()
                assert not d2l.is_recording()
                loss.backward()
                await turn()
                optimizer.step()
            schedule.step()
        return learned(model)

    async def gathered() -> list[Any]:
        return await asyncio.gather(*(train(seed, lambda: asyncio.sleep(0)) for seed in range(3)))

    async def nothing() -> None:
        pass

    alone = [asyncio.run(train(seed, nothing)) for seed in range(3)]
    assert asyncio.run(gathered()) == alone


# ---- data -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [None, 3])
def test_files_are_read_as_arrays_are(tmp_path: Path, seed: int | None) -> None:
    class Files(DataModule):
        def __init__(self, X: Any, y: Any) -> None:
            super().__init__()
            self.tensors, self.seed, self.batch_size = (X, y), 7, 4

        def get_dataloader(self, train: bool) -> Any:
            if seed is None:
                return self.get_tensorloader(self.tensors, train=False, indices=np.arange(10) % 3 == 0)
            return self.get_tensorloader(self.tensors, train, slice(0, 7) if train else [8, 7])

    X, y = np.arange(30.0).reshape(10, 3), np.arange(10)
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", y)
    mapped, held = Files(tmp_path / "X.npy", str(tmp_path / "y.npy")), Files(X, y)
    for train in (True, False):
        for one, other in zip(mapped.get_dataloader(train), held.get_dataloader(train), strict=True):
            for a, b in zip(one, other, strict=True):
                np.testing.assert_array_equal(a.numpy(), b.numpy(), strict=True)
    rows = [int(i) for _, y in mapped.val_dataloader() for i in y.tolist()]
    assert rows == ([0, 3, 6, 9] if seed is None else [8, 7])


def test_files_that_are_no_arrays_are_errors(tmp_path: Path) -> None:
    (tmp_path / "text.npy").write_text("hello")
    np.savez(tmp_path / "several.npz", a=np.ones(2), b=np.ones(2))
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    for name, message in (
        ("text.npy", "is no .npy file of numbers: "),
        ("objects.npy", "is no .npy file of numbers: "),
        ("several.npz", "is no .npy file but an archive of several; save each with np.save"),
    ):
        with pytest.raises(ValueError, match=message):
            d2l.data.TensorLoader([tmp_path / name], 2)
    with pytest.raises(FileNotFoundError):
        d2l.data.TensorLoader([tmp_path / "nothing.npy"], 2)


LARGE = """
import resource, sys
import numpy as np
from tinygrad_lr import DataModule, LinearRegression, Trainer

X = np.lib.format.open_memmap(sys.argv[1] + "/X.npy", "w+", np.float32, (1 << 17, 1 << 14))  # 8 GiB, sparse
y = np.lib.format.open_memmap(sys.argv[1] + "/y.npy", "w+", np.float32, (1 << 17, 1))
X[::50000, 0] = 1.0
del X, y
resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))  # of memory that is not a file's

class Large(DataModule):
    seed, batch_size = 0, 16

    def get_dataloader(self, train):
        files = [sys.argv[1] + "/X.npy", sys.argv[1] + "/y.npy"]
        return self.get_tensorloader(files, train, slice(0, 100_000) if train else slice(100_000, None))

class Enough(Exception):
    pass

class Stop:
    def on_step_end(self, trainer, loss):
        if trainer.train_batch_idx == 2:
            raise Enough

model = LinearRegression(lr=1e-4)
try:
    Trainer(1, callbacks=[Stop()], progress=False).fit(model, Large())
except Enough:
    print(model.net.weight.shape)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory that is not a file's are Linux's")
def test_a_file_larger_than_memory_is_trained_on(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LARGE, tmp_path],
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(Path(d2l.__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "(1, 16384)\n", done.stderr
