"""The training loop."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from .board import ProgressBar, as_number
from .hyperparameters import HyperParameters
from .lazy import compute, is_lazy
from .module import Module
from .optim import SGD, Adam, listed
from .scope import record

HOOKS = ("on_fit_start", "on_step_end", "on_epoch_end", "on_fit_end")
CHECKPOINT = "checkpoint"  # the kind of a checkpoint's file


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
        on_epoch_end(trainer) and on_fit_end(trainer); the last one is called after an exception, too. An
        exception that one of them raises ends the run, with a note that names it.
    progress : whether to show a progress bar, if stderr is a terminal.
    compile : whether to trace a step once for each shape of a minibatch, and to run the NumPy code that
        comes of it from then on: see `tinygrad_lr.compile`. The model's forward and loss must not depend on
        anything that changes but the minibatch and the values of tensors. The step of an optimizer other than
        `SGD` and `Adam` is not part of that code.

    Attributes
    ----------
    epoch : the number of the epoch, from 0.
    finished_epochs : their number.
    in_epoch : whether an epoch was begun, but not finished.
    steps_in_epoch : the number of training minibatches done in this epoch.
    train_batch_idx, val_batch_idx : numbers of minibatches done in the whole run.
    num_train_batches, num_val_batches : in one epoch.
    model, optim, schedule, train_dataloader, val_dataloader : of the run.
    history : the mean losses of the minibatches: {"train": [(epoch, mean), ...], "val": [...]}, epochs from
        1. It grows during the run.
    should_stop : set to True, it makes this epoch the last one.

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
    compile: bool
    num_train_batches: int = 0
    num_val_batches: int = 0
    model: Module
    data: Any = None
    optim: Any = None
    schedule: Any = None
    should_stop: bool = False

    def __init__(
        self,
        max_epochs: int,
        num_gpus: int = 0,
        gradient_clip_val: float = 0,
        callbacks: Iterable[Any] = (),
        progress: bool = True,
        compile: bool = False,
    ) -> None:
        self.save_hyperparameters(ignore=["callbacks"])
        self.callbacks = list(callbacks)
        if not max_epochs >= 0 or max_epochs % 1:
            raise ValueError(f"max_epochs must be a whole number, 0 or more, not {max_epochs}")
        if num_gpus:
            raise ValueError(f"num_gpus={num_gpus}, but NumPy computes on the CPU: leave num_gpus away")
        if not gradient_clip_val >= 0:
            raise ValueError(f"gradient_clip_val must be 0 or more, not {gradient_clip_val}")
        for position, callback in enumerate(self.callbacks):
            if not any(hasattr(callback, hook) for hook in HOOKS):
                raise TypeError(f"callbacks[{position}] has none of the methods {', '.join(HOOKS)}")
            if isinstance(callback, type):
                raise TypeError(f"callbacks[{position}] is a class; write {callback.__name__}(...)")
        self._watchers: list[Any] = self.callbacks
        self._compiled: Any = None  # the loss and its gradients
        self._compiled_step: Any = None  # the step of the optimizer `_compiled_for` as well
        self._compiled_for: Any = None
        self._begin(0)

    def _begin(self, first_epoch: int) -> None:
        """Start counting: epochs, minibatches, losses."""
        self.epoch = self.finished_epochs = first_epoch
        self.in_epoch = False
        self._train_batch_idx = first_epoch * self.num_train_batches
        self.steps_in_epoch = 0
        self._counting = False  # a step that is done
        self.val_batch_idx = first_epoch * self.num_val_batches
        self._step_losses: list[Any] = []  # of the step that is being taken
        self._step_points: list[tuple[Any, Callable[[], None]]] = []  # what it plots, and how
        self._sums = {"train": (-1, 0.0, 0), "val": (-1, 0.0, 0)}  # epoch, its losses' sum and their number
        self.history: dict[str, list[tuple[int, float]]] = {"train": [], "val": []}

    # ---- the loop ------------------------------------------------------------------------------------------

    def fit(
        self,
        model: Module,
        data: Any,
        first_epoch: int = 0,
        resume: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    ) -> None:
        """Train `model` on `data` up to epoch `max_epochs`.

        With `resume` the run goes on from a checkpoint that `save` or the callback `Checkpoint` wrote, bit
        for bit as if it had never stopped; what was done after the checkpoint is done again.

        With `first_epoch` only the data goes on: a model in the state that it had after so many epochs sees
        the same minibatches as if it had never stopped, provided that the data has a seed.

        Raises DivergenceError after a step whose loss is NaN or infinite, ValueError and TypeError if
        there is nothing to train on, or no way to, and CheckpointError and ValueError for a checkpoint that
        is damaged or of another run.
        """
        if first_epoch < 0:
            raise ValueError(f"first_epoch must be 0 or more, not {first_epoch}")
        if not isinstance(resume, Mapping | None):
            from . import checkpoints  # here, as a run without them has no need of it

            resume = checkpoints.load_state(resume, CHECKPOINT)
        self.data = data
        self.prepare_data(data)
        self.prepare_model(model)
        self._begin(first_epoch)
        self.prepare_optimizers(model)
        if hasattr(self.train_dataloader, "epoch"):
            self.train_dataloader.epoch = first_epoch
        model.board.clear()
        watchers = [*([ProgressBar()] if self.progress else []), *self.callbacks]
        self._watchers = sorted(watchers, key=lambda watcher: getattr(watcher, "hears_last", False))
        self.should_stop = False
        if resume is not None:
            self.load_state_dict(resume)
        try:
            with quiet_overflow():
                self._tell("on_fit_start")
                while self.finished_epochs < self.max_epochs and not self.should_stop:
                    self.epoch = self.finished_epochs
                    self.in_epoch = True
                    self.fit_epoch()
                    self._end_epoch()
        except BaseException as error:
            self._tell_end(error)
            raise
        self._tell_end(None)

    def _end_epoch(self) -> None:
        self._end_step()  # in case that fit_epoch did not count it
        if self.schedule is not None:
            self.schedule.step()
        self.finished_epochs += 1
        self.in_epoch, self.steps_in_epoch = False, 0
        self._tell("on_epoch_end")

    def fit_epoch(self) -> None:
        """Go through the training data, with a step for each minibatch, then through the validation data."""
        for batch in self.train_dataloader:
            batch = self.prepare_batch(batch)
            if self._compiled_step is not None and self.optim is self._compiled_for:
                self.model.plot("loss", self._compiled_step(batch, self.gradient_clip_val), train=True)
            else:
                self.differentiate(batch)
                self.compute_step()
                if self.gradient_clip_val > 0:
                    self.clip_gradients(self.gradient_clip_val, self.model)
                self.optim.step(1)
            self.train_batch_idx += 1
        if self.val_dataloader is None:
            return
        for batch in self.val_dataloader:
            self.model.validation_step(self.prepare_batch(batch))
            self.val_batch_idx += 1

    def differentiate(self, batch: Any) -> None:
        """Compute the loss of a minibatch, and store its gradients in the parameters."""
        if self._compiled is not None:
            self.model.plot("loss", self._compiled(batch), train=True)
            return
        with record():
            loss = self.model.training_step(batch)
        self.check_loss(loss)
        loss.backward()

    def compiled(self, model: Module, optimizer: Any = None) -> Any:
        """The compiled function that stores the gradients of a minibatch and returns its loss.

        With an optimizer it also takes its step.

        Raises TypeError if the model has a training_step of its own: what it does beside computing the loss,
        such as plotting, would be done when it is traced only.
        """
        if type(model).training_step is not Module.training_step:
            raise TypeError(
                f"Trainer(compile=True) cannot use the training_step of {type(model).__name__}. Leave it "
                "away, so that the loss is model.loss(model(X), y), or leave compile away."
            )

        def training_step(batch: Any, clip_val: float = 0) -> Any:
            with record():
                loss = model.loss(model(*batch[:-1]), batch[-1])
            loss.backward()
            if optimizer is not None:
                if clip_val > 0:
                    self.clip_gradients(clip_val, model)
                optimizer.step(1)
            return loss

        from .compiler import compile  # not needed otherwise

        return compile(training_step)

    def prepare_data(self, data: Any) -> None:
        """Get the minibatches from a DataModule.

        Raises TypeError if they have no length, and ValueError if there is none to train on.
        """
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
        self._compiled = self.compiled(model) if self.compile else None

    def prepare_optimizers(self, model: Module) -> None:
        """Get the optimizer from a model, and the schedule of its learning rate if there is one.

        Raises TypeError for one without a method `step`.
        """
        returned = model.configure_optimizers()
        self.optim, self.schedule = returned if isinstance(returned, tuple) else (returned, None)
        for part in (self.optim, *([] if self.schedule is None else [self.schedule])):
            if not hasattr(part, "step"):
                raise TypeError(
                    f"{type(model).__name__}.configure_optimizers returned {part!r}, which has no method "
                    "step. Write `return SGD(self.parameters(), self.lr)`."
                )
        # what is the reader's own is not traced
        own = all(getattr(getattr(self, part.__name__), "__func__", None) is part for part in TRACED)
        known = type(self.optim) in (SGD, Adam) and own
        self._compiled_for = self.optim  # a callback may exchange it
        self._compiled_step = self.compiled(model, self.optim) if self.compile and known else None

    def prepare_batch(self, batch: Any) -> Any:
        """What becomes of each minibatch before the model gets it."""
        return batch

    def clip_gradients(self, grad_clip_val: float, model: Module) -> None:
        """Shorten the gradient of all parameters together, in place, to the norm `grad_clip_val` at most.

        Its direction stays (Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural
        networks, 2013, algorithm 1).
        """
        gradients = [g for parameter in listed(model.parameters()) if (g := parameter.grad).size]
        if not gradients:
            return
        largest: Any = functools.reduce(np.maximum, [abs(g).max().astype(float) for g in gradients])
        unit = np.where(largest == 0, 1, largest)  # of parts of it, as their squares do not overflow
        squares = [((g / unit.astype(g.dtype)) ** 2).sum().astype(float) for g in gradients]
        norm = largest * np.sqrt(sum(squares[1:], squares[0]))
        factor = grad_clip_val / np.fmax(norm, grad_clip_val)
        for gradient in gradients:
            gradient *= factor.astype(gradient.dtype)

    # ---- keeping account -----------------------------------------------------------------------------------

    @property
    def train_batch_idx(self) -> int:
        """The number of training minibatches done in the whole run.

        Counting one ends a step: its loss is checked, and the callbacks hear of it.
        """
        return self._train_batch_idx

    @train_batch_idx.setter
    def train_batch_idx(self, value: int) -> None:
        self.steps_in_epoch += value - self._train_batch_idx
        self._train_batch_idx = value
        self._counting = True
        try:
            self._end_step()
        finally:
            self._counting = False

    def note_loss(self, loss: Any, train: bool) -> None:
        """Take a loss into account; `Module.plot` calls this, inside `record()` if it is the training's.

        So a training loss waits there until its step is done.
        """
        if train:
            self._step_losses.append(loss)
        else:
            self._add("val", as_number(loss))

    def after_step(self, value: Any, draw: Callable[[], None]) -> None:
        """Call `draw`, which plots `value`, when the step is done: a Dask array has its value by then."""
        self._step_points.append((value, draw))

    def compute_step(self) -> None:
        """Of Dask arrays, compute what a step needs: its losses and the gradient of every parameter, in one
        `dask.compute`. The parameters are NumPy's, and stay in this process.
        """
        values = [*self._step_losses, *(value for value, _ in self._step_points)]
        if any(is_lazy(getattr(value, "array", None)) for value in values):
            compute([*values, *(p.grad for p in listed(self.model.parameters()))])

    def check_loss(self, loss: Any) -> None:
        """See that `training_step` returned a loss, and take it into account if it was not plotted.

        Raises TypeError if it returned None.
        """
        if loss is None:
            raise TypeError(
                f"{type(self.model).__name__}.training_step returned None. Does it lack its `return`?"
            )
        if not self._step_losses:
            self.note_loss(loss.detach(), train=True)

    def _add(self, name: str, loss: float) -> None:
        epoch, total, number = self._sums[name]
        if epoch == self.epoch:
            self.history[name].pop()
        else:
            total, number = 0.0, 0
        self._sums[name] = self.epoch, total + loss, number + 1
        self.history[name].append((self.epoch + 1, (total + loss) / (number + 1)))

    def _end_step(self) -> None:
        points, self._step_points = self._step_points, []
        for _, draw in points:
            draw()
        if not self._step_losses:
            return
        losses, self._step_losses = self._step_losses, []
        loss = sum(map(as_number, losses)) / len(losses)
        if not math.isfinite(loss):
            step, epoch = max(1, self.train_batch_idx), self.epoch + 1
            lr = getattr(self.optim, "lr", None)
            chunks = getattr(self.train_dataloader, "chunks", None)
            where = "" if chunks is None else f", in chunks {', '.join(map(str, chunks))} of the data"
            raise DivergenceError(
                f"the training loss became {loss} at step {step} (epoch {epoch} of {self.max_epochs}"
                f"{where}). If the data has no NaN or infinity, the steps are too long: take a smaller lr"
                f"{'' if lr is None else f' than {lr}'}.",
                step,
                epoch,
                loss,
            )
        self._add("train", loss)
        self._tell("on_step_end", loss)

    def _tell(self, hook: str, *facts: Any) -> None:
        for watcher in self._watchers:
            self._call(watcher, hook, *facts)

    def _tell_end(self, error: BaseException | None) -> None:
        """Tell every callback that the run has ended, whatever the others raise; then raise the first
        exception of theirs, unless the run itself has ended by one.
        """
        first = error
        for watcher in self._watchers:
            try:
                self._call(watcher, "on_fit_end")
            except Exception as another:
                if first is None:
                    first = another
                else:
                    first.add_note(f"and then {another!r} was {another.__notes__[-1]}")
        if error is None and first is not None:
            raise first

    def _call(self, watcher: Any, hook: str, *facts: Any) -> None:
        try:
            if (method := getattr(watcher, hook, None)) is not None:
                method(self, *facts)
        except Exception as error:
            error.add_note(f"raised by {type(watcher).__name__}.{hook}, a callback of the Trainer")
            raise

    # ---- checkpoints ---------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a checkpoint for `fit(..., resume=path)`; it replaces an older one, whole or not at all.

        Within an epoch it is to be called by a callback's `on_step_end`.

        Raises RuntimeError elsewhere within an epoch, and where the data cannot be continued there; TypeError
        for an optimizer whose state cannot be saved; and OSError if the file cannot be written.
        """
        from . import checkpoints

        checkpoints.save_state(path, CHECKPOINT, self.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """All that the rest of the run depends on: see `checkpoints.run_state`.

        Raises RuntimeError within an epoch as `save` does, and TypeError if something would be lost.
        """
        if self.in_epoch and not self._counting:
            raise RuntimeError(
                f"epoch {self.epoch + 1} is not finished, and a checkpoint would lose its minibatches: "
                "save it in a callback's on_step_end or on_epoch_end, or after fit"
            )
        from . import checkpoints

        return checkpoints.run_state(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state_dict`; `fit` does it for `resume`.

        Raises ValueError if it is of another model, optimizer or data.
        """
        try:
            from . import checkpoints

            checkpoints.load_run_state(self, state)
        except (LookupError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"this is not the state of such a run: {error!r}") from error


#: the parts of a step that are traced with it
TRACED = (Trainer.differentiate, Trainer.compute_step, Trainer.clip_gradients)


def quiet_overflow() -> np.errstate:
    """Without NumPy's warnings of overflow: the loss is checked at every step, and the error says more."""
    now = np.geterr()
    return np.errstate(
        over="ignore" if now["over"] == "warn" else None,
        invalid="ignore" if now["invalid"] == "warn" else None,
    )
