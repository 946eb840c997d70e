"""Callbacks for `Trainer`: what happens beside the training itself. It adds the `ProgressBar` on its own."""

import math
import os
from collections.abc import Mapping
from typing import Any

from .board import ProgressBar as ProgressBar
from .board import ProgressBoard
from .trainer import Trainer


class Checkpoint:
    """Writes the state of the run to a file at the end of epochs, for `fit(..., resume=path)`.

    Parameters
    ----------
    path : of the file; a new checkpoint replaces the older one, whole or not at all.
    every : number of epochs between two; one is also written when the run ends between two epochs.
    every_steps : number of steps between two, where an epoch takes so long that its beginning should not be
        lost; None for none within epochs. The minibatches have to come from a `TensorLoader`.

    Raises ValueError for numbers below 1.

    >>> import tempfile
    >>> from tinygrad_lr import LinearRegression, SyntheticRegressionData, Trainer
    >>> path = tempfile.mkdtemp() + "/run.npz"
    >>> data = SyntheticRegressionData(w=[2, -3.4], b=4.2)
    >>> Trainer(2, callbacks=[Checkpoint(path)]).fit(LinearRegression(lr=0.03), data)
    >>> trainer = Trainer(3)
    >>> trainer.fit(LinearRegression(lr=0.03), data, resume=path)
    >>> [epoch for epoch, loss in trainer.history["train"]]
    [1, 2, 3]
    """

    hears_last = True  # when the other callbacks, whose state it saves too, have heard

    def __init__(self, path: str | os.PathLike[str], every: int = 1, every_steps: int | None = None) -> None:
        if every < 1:
            raise ValueError(f"every must be at least 1 epoch, not {every}")
        if every_steps is not None and every_steps < 1:
            raise ValueError(f"every_steps must be at least 1 step, not {every_steps}")
        self.path, self.every, self.every_steps, self._saved = path, every, every_steps, 0

    def on_fit_start(self, trainer: Trainer) -> None:
        self._saved = trainer.finished_epochs

    def on_step_end(self, trainer: Trainer, loss: float) -> None:
        if self.every_steps and trainer.train_batch_idx % self.every_steps == 0:
            trainer.save(self.path)

    def on_epoch_end(self, trainer: Trainer) -> None:
        if trainer.finished_epochs % self.every == 0:
            self._save(trainer)

    def on_fit_end(self, trainer: Trainer) -> None:
        if not trainer.in_epoch and trainer.finished_epochs != self._saved:
            self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        trainer.save(self.path)
        self._saved = trainer.finished_epochs


class EarlyStopping:
    """Ends the run when the loss has not become smaller for some epochs.

    Parameters
    ----------
    patience : the number of epochs.
    min_delta : by how much it has to become smaller to count.
    monitor : "val" or "train", whose mean losses by epoch are watched.

    Attributes
    ----------
    best : the smallest loss so far, which counted.

    Raises ValueError for `patience` below 1, for another `monitor`, and in the run if there is no such loss.

    >>> from tinygrad_lr import LinearRegression, SyntheticRegressionData, Trainer
    >>> trainer = Trainer(max_epochs=1000, callbacks=[EarlyStopping(patience=2)])
    >>> trainer.fit(LinearRegression(lr=0.1), SyntheticRegressionData(w=[2, -3.4], b=4.2, num_train=64))
    >>> trainer.finished_epochs < 1000
    True
    """

    def __init__(self, patience: int = 3, min_delta: float = 0.0, monitor: str = "val") -> None:
        if patience < 1:
            raise ValueError(f"patience must be at least 1 epoch, not {patience}")
        if monitor not in ("val", "train"):
            raise ValueError(f'monitor must be "val" or "train", not {monitor!r}')
        self.patience, self.min_delta, self.monitor = patience, min_delta, monitor
        self.best, self.waited = math.inf, 0

    def on_fit_start(self, trainer: Trainer) -> None:
        if not trainer.finished_epochs:
            self.best, self.waited = math.inf, 0
        self._decide(trainer)  # a resumed run may have ended already

    def _decide(self, trainer: Trainer) -> None:
        trainer.should_stop = trainer.should_stop or self.waited >= self.patience

    def on_epoch_end(self, trainer: Trainer) -> None:
        if not trainer.history[self.monitor]:
            raise ValueError(
                f'there is no loss to watch: the data has no minibatches for "{self.monitor}"; '
                'write EarlyStopping(monitor="train")'
            )
        loss = trainer.history[self.monitor][-1][1]
        if loss < self.best - self.min_delta:
            self.best, self.waited = loss, 0
        else:
            self.waited += 1
        self._decide(trainer)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps of it."""
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint's `state_dict`."""
        self.best, self.waited = state["best"], state["waited"]


class History:
    """The loss and the learning rate of every step; `Trainer.history` has the epochs.

    Attributes
    ----------
    losses, lrs : lists of numbers; a learning rate is None if the optimizer has no `lr`.

    >>> from tinygrad_lr import LinearRegression, SyntheticRegressionData, Trainer
    >>> history = History()
    >>> data = SyntheticRegressionData(w=[2, -3.4], b=4.2, num_train=64)
    >>> Trainer(max_epochs=2, callbacks=[history]).fit(LinearRegression(lr=0.03), data)
    >>> len(history.losses), history.lrs
    (4, [0.03, 0.03, 0.03, 0.03])
    """

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.lrs: list[float | None] = []

    def on_fit_start(self, trainer: Trainer) -> None:
        if not trainer.train_batch_idx:
            self.losses, self.lrs = [], []

    def on_step_end(self, trainer: Trainer, loss: float) -> None:
        self.losses.append(loss)
        self.lrs.append(getattr(trainer.optim, "lr", None))

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps of it."""
        return {"losses": list(self.losses), "lrs": list(self.lrs)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint's `state_dict`."""
        self.losses, self.lrs = list(state["losses"]), list(state["lrs"])


class Board:
    """Draws the mean losses by epoch on a board, for models whose steps do not call `Module.plot`.

    Parameters
    ----------
    board : a `ProgressBoard`; by default a new one.

    >>> from tinygrad_lr import LinearRegression, SyntheticRegressionData, Trainer
    >>> board = Board()
    >>> Trainer(max_epochs=3, callbacks=[board]).fit(
    ...     LinearRegression(lr=0.03), SyntheticRegressionData(w=[2, -3.4], b=4.2)
    ... )
    >>> [point.x for point in board.board.data["train_loss"]]
    [1.0, 2.0, 3.0]
    """

    def __init__(self, board: ProgressBoard | None = None) -> None:
        self.board = board or ProgressBoard(xlabel="epoch")

    def on_fit_start(self, trainer: Trainer) -> None:
        self.board.clear()

    def on_epoch_end(self, trainer: Trainer) -> None:
        for name, means in trainer.history.items():
            drawn = len(self.board.data.get(f"{name}_loss", ()))
            for epoch, mean in means[drawn:]:
                self.board.draw(epoch, mean, f"{name}_loss")
