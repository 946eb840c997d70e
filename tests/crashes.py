"""Kills training runs, and writers of files, at many moments; run as a script by test_checkpoints.

Each victim is a fork of this process, so that a hundred of them take a second. What is left on the disk is
looked at after each death.
"""

import os
import random
import resource
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_lr import (
    MLP,
    Adam,
    Checkpoint,
    CosineAnnealingLR,
    DataModule,
    Trainer,
    nn,
)
from tinygrad_lr.checkpoints import load_state, save_state

EPOCHS = 6


class Net(MLP):
    """With dropout, so that a random generator is part of the state."""

    def __init__(self) -> None:
        super().__init__(num_outputs=3, num_hiddens=5, lr=0.02)
        self.net.layers.insert(3, nn.Dropout(0.3))

    def configure_optimizers(self) -> Any:
        optimizer = Adam(self.parameters(), self.lr, weight_decay=0.01)
        return optimizer, CosineAnnealingLR(optimizer, EPOCHS)


class Data(DataModule):
    """Its order comes from NumPy's global generator."""

    def __init__(self) -> None:
        super().__init__()
        draw = np.random.default_rng(0)
        self.X, self.y, self.batch_size = draw.normal(size=(20, 4)), draw.integers(0, 3, 20), 6

    def get_dataloader(self, train: bool) -> Any:
        return self.get_tensorloader((self.X, self.y), train)


class Clock:
    """Counts what happens, and kills the process at a given count."""

    def __init__(self, last: int) -> None:
        self.now, self.last = 0, last

    def tick(self) -> None:
        self.now += 1
        if self.now == self.last:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_step_end(self, trainer: Trainer, loss: float) -> None:
        self.tick()

    def heed(self, event: str, arguments: Any) -> None:
        if event in ("open", "os.rename", "os.remove"):  # around a file that is being written, and replaced
            self.tick()


def train(path: Path, done: Path, every_steps: int | None, last: int) -> None:
    """Train, from the checkpoint if there is one; the steps that were saved are written down in `done`."""

    class Diary:
        hears_last = True  # after the checkpoint was written

        def on_step_end(self, trainer: Trainer, loss: float) -> None:
            if every_steps:
                self.on_epoch_end(trainer)

        def on_epoch_end(self, trainer: Trainer) -> None:
            done.write_text(str(trainer.train_batch_idx))

    np.random.seed(5 if not path.exists() else 99)  # a resumed run does not depend on the new process's
    random.seed(np.random.randint(100))
    clock = Clock(last)
    checkpoint = Checkpoint(path, every_steps=every_steps)
    trainer = Trainer(EPOCHS, callbacks=[clock, checkpoint, Diary()], progress=False)
    sys.addaudithook(clock.heed)
    trainer.fit(Net(), Data(), resume=path if path.exists() else None)


def fork(work: Callable[[], None]) -> int:
    """Do something in a child process. Returns its status: 0, or minus the signal that killed it."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:
            print(f"unexpected: {error!r}", file=sys.stderr, flush=True)
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill_training(folder: Path) -> None:
    whole, path, done = folder / "whole.npz", folder / "killed.npz", folder / "done"
    assert fork(partial(train, whole, done, None, last=0)) == 0
    expected = load_state(whole, "checkpoint")
    assert expected["epoch"] == EPOCHS
    draw, deaths = random.Random(1), 0
    for every_steps in [None, 1] * 3:  # runs, each killed again and again until it is through
        path.unlink(missing_ok=True)
        done.write_text("0")
        saved = 0
        while (status := fork(partial(train, path, done, every_steps, last=draw.randint(1, 40)))) != 0:
            assert status == -signal.SIGKILL, status
            deaths += 1
            saved = max(saved, int(done.read_text() or "0"))
            if saved:
                assert load_state(path, "checkpoint")["train_batch_idx"] >= saved
        np.testing.assert_equal(load_state(path, "checkpoint"), expected)
    print(f"{deaths} deaths of training")


def kill_writing(folder: Path) -> None:
    path, old = folder / "state.npz", {"w": np.zeros(100)}

    def write(limit: int) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # which kills at the first byte beyond the limit
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        save_state(path, "example", {"w": np.ones(100)})

    save_state(path, "example", old)
    size = path.stat().st_size
    limits = [0, 1, *range(10, size, 71), size - 1]
    for limit in limits:
        assert fork(partial(write, limit)) == -signal.SIGXFSZ
        np.testing.assert_equal(load_state(path, "example"), old)
    assert fork(partial(write, size)) == 0
    np.testing.assert_equal(load_state(path, "example"), {"w": np.ones(100)})
    print(f"{len(limits)} deaths of writing")


if __name__ == "__main__":
    kill_training(Path(sys.argv[1]))
    kill_writing(Path(sys.argv[1]))
    print(*sorted(path.name for path in Path(sys.argv[1]).iterdir()))
