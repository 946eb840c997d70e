"""The training loop."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from .board import ProgressBar, as_number
from .hyperparameters import HyperParameters
from .module import Module
from .scope import record

HOOKS = ("on_fit_start", "on_step_end", "on_epoch_end", "on_fit_end")


class DivergenceError(ArithmeticError):
    """The training loss became NaN or infinite.

    Attributes
    ----------
    step : of the whole run, from 1.
    epoch : from 1.
    loss : NaN or infinite.
    """

    def __init__(self, message: str, step: int, epoch: int, loss: float) -> None:
        super().__init__(message)
        self.step, self.epoch, self.loss = step, epoch, loss


class Trainer(HyperParameters):
    """Trains a Module on a DataModule, by epochs.

    Every method can be replaced with `add_to_class`. If a new `fit_epoch` adds one to `train_batch_idx` after
    each step, as the book's does, the losses are checked and the callbacks called as by the one written here.

    Parameters
    ----------
    max_epochs : number of passes over the training data.
    num_gpus : only 0, as in the book's code for a CPU.
    gradient_clip_val : the largest norm that the gradient of all parameters together may have; 0 for any.
    callbacks : objects that may have any of the methods on_fit_start(trainer), on_step_end(trainer, loss),
        on_epoch_end(trainer) and on_fit_end(trainer); the last one is called after an exception, too.
    progress : whether to show a progress bar, if stderr is a terminal.

    Attributes
    ----------
    epoch : the number of the epoch, from 0.
    train_batch_idx, val_batch_idx : numbers of minibatches done in the whole run.
    num_train_batches, num_val_batches : in one epoch.
    model, optim, train_dataloader, val_dataloader : of the run.
    history : the losses by epoch.

    >>> from tinygrad_lr.data import SyntheticRegressionData
    >>> from tinygrad_lr.linear import LinearRegressionScratch
    >>> model = LinearRegressionScratch(2, lr=0.03)
    >>> Trainer(max_epochs=10).fit(model, SyntheticRegressionData(w=[2, -3.4], b=4.2))
    >>> model.b.numpy().round(1)
    array([4.2])
    """

    max_epochs: int
    num_gpus: int
    gradient_clip_val: float
    progress: bool
    num_train_batches: int = 0
    num_val_batches: int = 0
    model: Module
    optim: Any = None

    def __init__(
        self,
        max_epochs: int,
        num_gpus: int = 0,
        gradient_clip_val: float = 0,
        callbacks: Iterable[Any] = (),
        progress: bool = True,
    ) -> None:
        self.save_hyperparameters(ignore=["callbacks"])
        self.callbacks = list(callbacks)
        if max_epochs < 0:
            raise ValueError(f"max_epochs must be 0 or more, not {max_epochs}")
        if num_gpus:
            raise ValueError(f"num_gpus={num_gpus}, but NumPy computes on the CPU: leave num_gpus away")
        for position, callback in enumerate(self.callbacks):
            if not any(hasattr(callback, hook) for hook in HOOKS):
                raise TypeError(f"callbacks[{position}] has none of the methods {', '.join(HOOKS)}")
        self._watchers: list[Any] = self.callbacks
        self._begin(0)

    def _begin(self, first_epoch: int) -> None:
        """Start counting: epochs, minibatches, losses."""
        self.epoch = first_epoch
        self._train_batch_idx = first_epoch * self.num_train_batches
        self.val_batch_idx = first_epoch * self.num_val_batches
        self._step_losses: list[Any] = []  # of the step that is being taken
        self._sums: dict[str, dict[int, list[float]]] = {"train": {}, "val": {}}  # epoch: [sum, number]

    # ---- the loop ------------------------------------------------------------------------------------------

    def fit(self, model: Module, data: Any, first_epoch: int = 0) -> None:
        """Train `model` on `data` up to epoch `max_epochs`.

        With `first_epoch` a run goes on that was stopped after so many epochs: a model in the state that it
        had then sees the same minibatches as if it had never stopped, provided that the data has a seed.

        Raises DivergenceError if the training loss becomes NaN or infinite, ValueError and TypeError if
        there is nothing to train on, or no way to.
        """
        if first_epoch < 0:
            raise ValueError(f"first_epoch must be 0 or more, not {first_epoch}")
        self.prepare_data(data)
        self.prepare_model(model)
        self._begin(first_epoch)
        self.optim = model.configure_optimizers()
        if not hasattr(self.optim, "step"):
            raise TypeError(
                f"{type(model).__name__}.configure_optimizers returned {self.optim!r}, which has no method "
                "step. Write `return SGD(self.parameters(), self.lr)`."
            )
        if hasattr(self.train_dataloader, "epoch"):
            self.train_dataloader.epoch = first_epoch
        model.board.clear()
        self._watchers = [*([ProgressBar()] if self.progress else []), *self.callbacks]
        try:
            with quiet_overflow():
                self._tell("on_fit_start")
                for self.epoch in range(first_epoch, self.max_epochs):  # noqa: B020
                    self.fit_epoch()
                    self._end_step()  # in case that fit_epoch did not count it
                    self._tell("on_epoch_end")
        finally:
            self._tell("on_fit_end")

    def fit_epoch(self) -> None:
        """Go through the training data, with a step for each minibatch, then through the validation data."""
        for batch in self.train_dataloader:
            with record():
                loss = self.model.training_step(self.prepare_batch(batch))
            self.check_loss(loss)
            loss.backward()
            if self.gradient_clip_val > 0:
                self.clip_gradients(self.gradient_clip_val, self.model)
            self.optim.step(1)
            self.train_batch_idx += 1
        if self.val_dataloader is None:
            return
        for batch in self.val_dataloader:
            self.model.validation_step(self.prepare_batch(batch))
            self.val_batch_idx += 1

    def prepare_data(self, data: Any) -> None:
        """Get the minibatches from a DataModule."""
        self.train_dataloader = data.train_dataloader()
        self.val_dataloader = data.val_dataloader()
        for name, loader in (("train", self.train_dataloader), ("val", self.val_dataloader)):
            if not hasattr(loader, "__len__") and (loader is not None or name == "train"):
                raise TypeError(
                    f"{type(data).__name__}.{name}_dataloader() returned an object of type "
                    f"{type(loader).__name__}, which has no len(). Return something to go through once per "
                    "epoch: a list of minibatches, or self.get_tensorloader((X, y), train)."
                )
        self.num_train_batches = len(self.train_dataloader)
        self.num_val_batches = len(self.val_dataloader) if self.val_dataloader is not None else 0
        if not self.num_train_batches:
            raise ValueError(f"{type(data).__name__}.train_dataloader() has no minibatch to train on")

    def prepare_model(self, model: Module) -> None:
        """Tell the model and its board which run they belong to."""
        model.trainer = self
        model.board.xlabel = "epoch"
        model.board.xlim = [0, self.max_epochs]
        self.model = model

    def prepare_batch(self, batch: Any) -> Any:
        """What becomes of each minibatch before the model gets it."""
        return batch

    def clip_gradients(self, grad_clip_val: float, model: Module) -> None:
        """Shorten the gradient of all parameters together, in place, to the norm `grad_clip_val` at most."""
        gradients = [parameter.grad for parameter in model.parameters()]
        norm = math.sqrt(sum(as_number((g**2).sum()) for g in gradients))
        if norm > grad_clip_val:
            for gradient in gradients:
                gradient *= grad_clip_val / norm

    # ---- keeping account -----------------------------------------------------------------------------------

    @property
    def train_batch_idx(self) -> int:
        """The number of training minibatches done in the whole run.

        Counting one ends a step: its loss is checked, and the callbacks hear of it.
        """
        return self._train_batch_idx

    @train_batch_idx.setter
    def train_batch_idx(self, value: int) -> None:
        self._train_batch_idx = value
        self._end_step()

    @property
    def history(self) -> dict[str, list[tuple[int, float]]]:
        """The mean loss of the minibatches: {"train": [(epoch, mean), ...], "val": [...]}, epochs from 1."""
        return {
            name: [(epoch + 1, total / number) for epoch, (total, number) in sums.items()]
            for name, sums in self._sums.items()
        }

    def note_loss(self, loss: Any, train: bool) -> None:
        """Take a loss into account; `Module.plot` calls this, inside `record()` if it is the training's.

        So a training loss waits there until its step is done.
        """
        if train:
            self._step_losses.append(loss)
        else:
            self._add("val", as_number(loss))

    def check_loss(self, loss: Any) -> None:
        """See that `training_step` returned a loss, and take it into account if it was not plotted."""
        if loss is None:
            raise TypeError(
                f"{type(self.model).__name__}.training_step returned None. Does it lack its `return`?"
            )
        if not self._step_losses:
            self.note_loss(loss.detach(), train=True)

    def _add(self, name: str, loss: float) -> None:
        sums = self._sums[name].setdefault(self.epoch, [0.0, 0])
        sums[0] += loss
        sums[1] += 1

    def _end_step(self) -> None:
        if not self._step_losses:
            return
        losses, self._step_losses = self._step_losses, []
        loss = sum(map(as_number, losses)) / len(losses)
        if not math.isfinite(loss):
            step, epoch = max(1, self.train_batch_idx), self.epoch + 1
            lr = getattr(self.optim, "lr", None)
            raise DivergenceError(
                f"the training loss became {loss} at step {step} (epoch {epoch} of {self.max_epochs}). "
                f"If the data has no NaN or infinity, the steps are too long: take a smaller lr"
                f"{'' if lr is None else f' than {lr}'}.",
                step,
                epoch,
                loss,
            )
        self._add("train", loss)
        self._tell("on_step_end", loss)

    def _tell(self, hook: str, *facts: Any) -> None:
        for watcher in self._watchers:
            if (method := getattr(watcher, hook, None)) is not None:
                method(self, *facts)


def quiet_overflow() -> np.errstate:
    """Without NumPy's warnings of overflow: the loss is checked at every step, and the error says more."""
    now = np.geterr()
    return np.errstate(
        over="ignore" if now["over"] == "warn" else None,
        invalid="ignore" if now["invalid"] == "warn" else None,
    )
