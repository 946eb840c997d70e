"""What a model is: its parameters, its loss and its training step, in the book's vocabulary."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from reprlib import recursive_repr
from textwrap import indent
from typing import TYPE_CHECKING, Any

import numpy as np

from .board import ProgressBoard
from .hyperparameters import HyperParameters as HyperParameters
from .hyperparameters import add_to_class as add_to_class
from .hyperparameters import missing_method
from .optim import SGD
from .scope import pause
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
        """The predictions for a minibatch of inputs; by default those of `self.net`.

        Raises NotImplementedError if there is no such attribute.
        """
        if not hasattr(self, "net"):
            raise missing_method(self, "forward(self, X)", "the predictions")
        return self.net(*inputs, **options)

    def loss(self, y_hat: Any, y: Any) -> Any:
        """The loss of the predictions `y_hat` where the truth is `y`: a Tensor, usually with one element.

        Raises NotImplementedError where no subclass has written it.
        """
        raise missing_method(self, "loss(self, y_hat, y)", "the mean loss of the minibatch")

    def configure_optimizers(self) -> Any:
        """The optimizer that trains this model, an object with a method `step`; or a pair of an optimizer and
        a schedule. By default SGD, if the model has a learning rate `lr`; else it raises NotImplementedError.
        """
        if (lr := getattr(self, "lr", None)) is not None:
            return SGD(self.parameters(), lr)
        optimizer = "an optimizer: SGD(self.parameters(), self.lr)"
        raise missing_method(self, "configure_optimizers(self)", optimizer)

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
            draw = partial(self.board.draw, x, value, label, every_n=max(1, int(batches / points)))
            trainer.after_step(value, draw) if train else draw()

    # ---- parameters ----------------------------------------------------------------------------------------

    def _parts(self) -> dict[str, Any]:
        """Where parameters and other modules are looked for: the attributes."""
        return {name: part for name, part in vars(self).items() if name != "hparams"}

    def parameters(self) -> list[Tensor]:
        """The model's attached tensors, each once, in the order in which they became attributes.

        They are looked for in the attributes, in lists, tuples and dicts there, and in Modules there.
        """
        return list(self.named_parameters().values())

    def named_parameters(self) -> dict[str, Tensor]:
        """The same parameters by name: `w`, `layers.0.w`, `blocks.first.b`."""
        found = walk(self)
        return {name: t for name, t in found if isinstance(t, Tensor) and t.grad is not None}

    def modules(self) -> list[Module]:
        """This module and all those in it, found as the parameters are."""
        return [part for _, part in walk(self) if isinstance(part, Module)]

    def reset_parameters(self, init: Any = None) -> None:
        """Draw the parameters of all layers anew: see `nn.Linear` for `init`."""
        for module in self.modules():
            if type(module).reset_parameters is not Module.reset_parameters:
                module.reset_parameters(init)

    def initialize(self, init: Any = None, ctx: Any = None, force_reinit: bool = False) -> None:
        """`reset_parameters` under Gluon's name; `ctx` and `force_reinit` have no effect."""
        self.reset_parameters(init)

    def collect_params(self, select: str = "") -> ParameterDict:
        """Gluon's `named_parameters`, of those whose names match a regular expression."""
        return ParameterDict({k: p for k, p in self.named_parameters().items() if re.match(select, k)})

    def get_scratch_params(self) -> list[Tensor]:
        """All tensors that are found, attached or not."""
        return [part for _, part in walk(self) if isinstance(part, Tensor)]

    def state_dict(self) -> dict[str, Any]:
        """A copy of the parameters' values, by name.

        >>> from tinygrad_lr.linear import LinearRegressionScratch
        >>> LinearRegressionScratch(2, lr=0.03, sigma=0).state_dict()
        {'w': array([[0.],
               [0.]]), 'b': array([0.])}
        """
        return {name: p.numpy().copy() for name, p in self.named_parameters().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Give the parameters the values of a `state_dict`, in their own dtypes. A parameter of a lazy layer
        that is still empty takes shape and dtype from there.

        Raises ValueError that names every entry which is missing, unexpected, of another shape or no number.
        Nothing is changed then.
        """
        parameters = self.named_parameters()
        arrays = {name: np.asarray(getattr(value, "array", value)) for name, value in state.items()}
        wrong = [f"{name} is missing" for name in parameters if name not in arrays]
        wrong += [f"{name} is unexpected" for name in arrays if name not in parameters]
        for name, array in arrays.items():
            shape = parameters[name].shape if name in parameters else array.shape
            if array.dtype.kind not in "iufb":
                wrong.append(f"{name} has dtype {array.dtype}")
            elif not fits(array.shape, shape):
                wrong.append(f"{name} has shape {array.shape} instead of {shape}")
        if wrong:
            raise ValueError(f"this state is not of this {type(self).__name__}: {', '.join(wrong)}")
        for name, parameter in parameters.items():
            array = arrays[name]
            assign(parameter, array.astype(parameter.dtype if parameter.size else array.dtype))

    @recursive_repr()
    def __repr__(self) -> str:
        simple = {k: v for k, v in getattr(self, "hparams", {}).items() if isinstance(v, (int, float, str))}
        simple = {k: v for k, v in simple.items() if not k.startswith("plot_")}
        number = sum(parameter.size for parameter in self.named_parameters().values())
        lines = [
            f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in simple.items())})"
            + (f": {number:,} parameter{'s' if number != 1 else ''}" if number else "")
        ]
        for name, part in walk(self, inner=False):
            if isinstance(part, Module) and part is not self:
                lines += indent(f"{name}: {part!r}", "  ").splitlines()
            elif isinstance(part, Tensor) and part.grad is not None:
                lines.append(f"  {name}: {part.shape}")
        return "\n".join(lines)


nn_Module = Module  # noqa: N816  # what the book's own Module is derived from


class ParameterDict(dict[str, Any]):
    """Parameters by name, as Gluon collects them.

    >>> from tinygrad_lr import nn
    >>> net = nn.Linear(2, 1)
    >>> net.collect_params(".*bias").setattr("wd_mult", 0.0)  # for `gluon.Trainer`
    >>> net.bias.wd_mult
    0.0
    """

    def setattr(self, name: str, value: Any) -> None:
        """Set an attribute of all of them."""
        for parameter in self.values():
            setattr(parameter, name, value)


def walk(root: Any, inner: bool = True) -> Iterator[tuple[str, Any]]:
    """What a model is made of, by name and each once: modules, tensors and random generators.

    Without `inner` the modules in it are not gone through.
    """
    seen: set[int] = set()

    def visit(value: Any, name: str) -> Iterator[tuple[str, Any]]:
        if not isinstance(value, PARTS) or id(value) in seen:
            return
        seen.add(id(value))
        if isinstance(value, LEAVES):
            yield name, value
        if isinstance(value, Module):
            value = value._parts() if inner or value is root else {}
        if isinstance(value, CONTAINERS):
            for key, part in value.items() if isinstance(value, dict) else enumerate(value):
                yield from visit(part, f"{name}.{key}" if name else str(key))

    yield from visit(root, "")


LEAVES = (Tensor, Module, np.random.Generator)
CONTAINERS = (list, tuple, dict)
PARTS = LEAVES + CONTAINERS


def fits(shape: tuple[int, ...], parameter: tuple[int, ...]) -> bool:
    """Whether values of a shape can be those of a parameter, which has zeros for lengths not known yet."""
    return len(shape) == len(parameter) and all(p in (0, n) for p, n in zip(parameter, shape, strict=True))


def assign(parameter: Tensor, array: Any) -> None:
    """Write new values into a parameter, or if its shape or dtype changes, make them its array."""
    if (parameter.shape, parameter.dtype) == (array.shape, array.dtype):
        with pause():  # a layer may learn its shape inside record()
            parameter[...] = array
    else:
        parameter.array = array
        parameter.attach_grad(parameter.attachment.grad_req if parameter.attachment else "write")
