"""What a model is: its parameters, its loss and its training step, in the book's vocabulary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .board import ProgressBoard
from .hyperparameters import HyperParameters as HyperParameters
from .hyperparameters import add_to_class as add_to_class
from .tensor import Tensor

if TYPE_CHECKING:
    from .trainer import Trainer


class Module(HyperParameters):
    """A model. A subclass makes its parameters in `__init__` and says how it predicts, what its loss is and
    which optimizer trains it.

    Parameters
    ----------
    plot_train_per_epoch, plot_valid_per_epoch : how many points per epoch the board shows of the training and
        the validation loss. They are class attributes too: a subclass need not call `super().__init__()`.

    >>> from tinygrad_lr import normal, tensor
    >>> from tinygrad_lr.module import Module
    >>> class Scale(Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.factor = tensor(3.0)
    ...         self.factor.attach_grad()
    ...     def forward(self, x):
    ...         return self.factor * x
    >>> Scale()(tensor([1.0, 2.0]))
    tensor([3., 6.])
    >>> Scale().named_parameters()
    {'factor': tensor(3.)}
    """

    plot_train_per_epoch: float = 2
    plot_valid_per_epoch: float = 1
    trainer: Trainer | None = None
    net: Any

    def __init__(self, plot_train_per_epoch: float = 2, plot_valid_per_epoch: float = 1) -> None:
        self.save_hyperparameters()

    @cached_property
    def board(self) -> ProgressBoard:
        """Where `plot` draws; made when it is first asked for."""
        return ProgressBoard()

    # ---- what a subclass writes ----------------------------------------------------------------------------

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """The predictions for a minibatch of inputs; by default those of `self.net`."""
        if not hasattr(self, "net"):
            raise self._lacks("forward", "self, X", "the predictions")
        return self.net(*inputs, **options)

    def loss(self, y_hat: Any, y: Any) -> Any:
        """The loss of the predictions `y_hat` where the truth is `y`: a Tensor, usually with one element."""
        raise self._lacks("loss", "self, y_hat, y", "the mean loss of the minibatch")

    def configure_optimizers(self) -> Any:
        """The optimizer that trains this model: an object with a method `step`."""
        raise self._lacks("configure_optimizers", "self", "an optimizer: SGD(self.parameters(), self.lr)")

    def _lacks(self, name: str, arguments: str, result: str) -> NotImplementedError:
        cls = type(self).__name__
        return NotImplementedError(
            f"{cls} has no method {name}. Write `def {name}({arguments}):` in the class, or after "
            f"@add_to_class({cls}); it returns {result}."
        )

    def _returned(self, value: Any, name: str) -> Any:
        if value is None:
            raise TypeError(f"{type(self).__name__}.{name} returned None. Does it lack its `return`?")
        return value

    # ---- what the Trainer calls ----------------------------------------------------------------------------

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        return self._returned(self.forward(*inputs, **options), "forward")

    def training_step(self, batch: Sequence[Any]) -> Any:
        """The loss of one minibatch (inputs, ..., truth), which is also plotted."""
        loss = self._returned(self.loss(self(*batch[:-1]), batch[-1]), "loss")
        self.plot("loss", loss, train=True)
        return loss

    def validation_step(self, batch: Sequence[Any]) -> None:
        """Plot the loss of one minibatch that the model is not trained on."""
        loss = self._returned(self.loss(self(*batch[:-1]), batch[-1]), "loss")
        self.plot("loss", loss, train=False)

    def plot(self, key: str, value: Any, train: bool) -> None:
        """Add a value to the board: `key` names the line, `train` says on which data it was computed.

        The values named "loss" are also what `Trainer.history` is made of. Without a Trainer there is no
        epoch to plot against, and nothing happens.
        """
        trainer = self.trainer
        if trainer is None:
            return
        value = value.detach() if isinstance(value, Tensor) else value  # lets go of the graph
        if key == "loss":
            trainer.note_loss(value, train)
        if train:
            x, batches = trainer.train_batch_idx / trainer.num_train_batches, trainer.num_train_batches
            points = self.plot_train_per_epoch
        else:
            x, batches = trainer.epoch + 1, trainer.num_val_batches
            points = self.plot_valid_per_epoch
        if points > 0:
            label = ("train_" if train else "val_") + key
            self.board.draw(x, value, label, every_n=max(1, int(batches / points)))

    # ---- parameters ----------------------------------------------------------------------------------------

    def parameters(self) -> list[Tensor]:
        """The model's attached tensors, each once, in the order in which they became attributes.

        They are looked for in the attributes, in lists, tuples and dicts there, and in Modules there.
        """
        return list(self.named_parameters().values())

    def named_parameters(self) -> dict[str, Tensor]:
        """The same parameters by name: `w`, `layers.0.w`, `blocks.first.b`."""
        seen: set[int] = set()

        def walk(value: Any, name: str) -> Iterator[tuple[str, Tensor]]:
            if not isinstance(value, (Tensor, Module, list, tuple, dict)) or id(value) in seen:
                return
            seen.add(id(value))
            if isinstance(value, Tensor):
                if value.grad is not None:
                    yield name, value
            else:
                if isinstance(value, Module):
                    value = {key: part for key, part in vars(value).items() if key != "hparams"}
                parts = value.items() if isinstance(value, dict) else enumerate(value)
                for key, part in parts:
                    yield from walk(part, f"{name}.{key}" if name else str(key))

        return dict(walk(self, ""))
