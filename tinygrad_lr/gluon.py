"""The names of MXNet's Gluon that the book's programs use, for `nn`, the losses and the optimizers here.

>>> import numpy as np
>>> from tinygrad_lr import gluon, init, record, tensor
>>> from tinygrad_lr.gluon import nn
>>> net = nn.Dense(1)
>>> net.initialize(init.Normal(sigma=0.01))
>>> trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1})
>>> X, y = tensor(np.ones((4, 2))), tensor(np.ones((4, 1)))
>>> with record():
...     loss = gluon.loss.L2Loss()(net(X), y)
>>> loss.backward()
>>> trainer.step(batch_size=4)
>>> loss.shape
(4,)
"""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from . import nn as nn
from .data import TensorLoader
from .module import ParameterDict
from .optim import SGD, Adam, Parameters, listed
from .tensor import Tensor

parameter = SimpleNamespace(Parameter=nn.Parameter, ParameterDict=ParameterDict)


class Trainer:
    """An optimizer under Gluon's name, of the parameters and with the hyperparameters that it is given.

    The formulas are those of `SGD` and `Adam` here. MXNet's differ from them where the learning rate changes
    under momentum, whose velocity contains it there, and by where Adam adds epsilon: to the root before the
    correction of its bias.

    Parameters
    ----------
    params : the parameters, or a dict of them, as `collect_params()` returns.
    optimizer : "sgd" or "adam".
    optimizer_params : "learning_rate", "wd" (weight decay), and for sgd "momentum", for adam "beta1", "beta2"
        and "epsilon".

    Raises ValueError for another optimizer, and TypeError for another hyperparameter.

    >>> from tinygrad_lr import gluon, tensor
    >>> w = tensor([4.0, 2.0])
    >>> w.attach_grad()
    >>> w.grad = [10.0, 20.0]  # of a loss that is the sum over ten examples
    >>> gluon.Trainer([w], "sgd", {"learning_rate": 0.1}).step(batch_size=10)
    >>> w
    tensor([3.9, 1.8])
    """

    def __init__(
        self,
        params: Parameters,
        optimizer: str,
        optimizer_params: Mapping[str, Any] | None = None,
    ) -> None:
        params = listed(params)
        given = {"learning_rate": 0.01 if optimizer == "sgd" else 0.001, **(optimizer_params or {})}
        options: dict[str, Any] = {"lr": given.pop("learning_rate")}
        decay = given.pop("wd", 0.0)
        options["weight_decay"] = [decay * getattr(p, "wd_mult", 1.0) for p in params]
        if optimizer == "adam":
            options["betas"] = given.pop("beta1", 0.9), given.pop("beta2", 0.999)
            options["eps"] = given.pop("epsilon", 1e-8)
        elif optimizer == "sgd":
            options["momentum"] = given.pop("momentum", 0.0)
        else:
            raise ValueError(f'the optimizer must be "sgd" or "adam", not {optimizer!r}')
        if given:
            raise TypeError(f"{optimizer} has no hyperparameter {', '.join(given)}")
        self.optimizer = (SGD if optimizer == "sgd" else Adam)(params, **options)

    def step(self, batch_size: int) -> None:
        """Take a step along the gradients, divided by `batch_size` as for a loss that sums over one."""
        self.optimizer.rescale = 1 / batch_size
        self.optimizer.step()

    @property
    def learning_rate(self) -> float:
        """That of the next step."""
        return self.optimizer.lr

    def set_learning_rate(self, lr: float) -> None:
        """Take the next steps with another learning rate."""
        self.optimizer.lr = lr

    def state_dict(self) -> dict[str, Any]:
        """What the next steps depend on, as of the optimizer inside."""
        return self.optimizer.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state_dict`. Raises ValueError if it is of other parameters."""
        self.optimizer.load_state_dict(state)


# ---- data --------------------------------------------------------------------------------------------------


class ArrayDataset:
    """Arrays or tensors that have one row per example: example i is a tuple of their rows i.

    >>> from tinygrad_lr import gluon, tensor
    >>> dataset = gluon.data.ArrayDataset(tensor([[1.0], [2.0], [3.0]]), tensor([0, 1, 0]))
    >>> len(dataset), dataset[1]
    (3, (tensor([2.]), tensor(1)))
    """

    def __init__(self, *arrays: Any) -> None:
        self.arrays = arrays

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, index: Any) -> Any:
        rows = [array[index] for array in self.arrays]
        return tuple(rows) if len(rows) > 1 else rows[0]


def data_loader(
    dataset: ArrayDataset, batch_size: int, shuffle: bool = False, num_workers: int = 0
) -> TensorLoader:
    """Minibatches of a dataset: a `TensorLoader`, shuffled by a seed from NumPy's global generator;
    `num_workers` has no effect.

    >>> from tinygrad_lr import gluon, tensor
    >>> dataset = gluon.data.ArrayDataset(tensor([[1.0], [2.0], [3.0]]), tensor([0, 1, 0]))
    >>> len(gluon.data.DataLoader(dataset, batch_size=2, shuffle=True))
    2
    """
    return TensorLoader(dataset.arrays, batch_size, int(np.random.randint(2**31)) if shuffle else None)


data = SimpleNamespace(ArrayDataset=ArrayDataset, DataLoader=data_loader)


# ---- losses: one number for each example ------------------------------------------------------------------


def _of_examples(losses: Tensor) -> Tensor:
    """The mean over all axes but the first."""
    result: Tensor = losses.reshape(len(losses), -1).mean(1)
    return result


class L2Loss:
    """Half the squared error of each example: predictions (n, ...) and as many true values give (n,).

    >>> from tinygrad_lr import gluon, tensor
    >>> gluon.loss.L2Loss()(tensor([[1.0], [5.0]]), tensor([1.0, 3.0]))
    tensor([0., 2.])
    """

    def __call__(self, y_hat: Tensor, y: Any) -> Tensor:
        return _of_examples((y_hat - y.reshape(y_hat.shape)) ** 2 / 2)


class L1Loss:
    """The absolute error of each example: predictions (n, ...) and as many true values give (n,).

    >>> from tinygrad_lr import gluon, tensor
    >>> gluon.loss.L1Loss()(tensor([[1.0], [5.0]]), tensor([1.0, 3.0]))
    tensor([0., 2.])
    """

    def __call__(self, y_hat: Tensor, y: Any) -> Tensor:
        return _of_examples(abs(y_hat - y.reshape(y_hat.shape)))


class HuberLoss:
    """Up to an error of `rho` its square over 2 rho, and from there on a straight line of slope 1.

    Predictions (n, ...) and as many true values give (n,).

    >>> from tinygrad_lr import gluon, tensor
    >>> gluon.loss.HuberLoss(rho=1)(tensor([[1.5], [5.0]]), tensor([1.0, 3.0]))
    tensor([0.125, 1.5  ])
    """

    def __init__(self, rho: float = 1.0) -> None:
        self.rho = rho

    def __call__(self, y_hat: Tensor, y: Any) -> Tensor:
        return _of_examples(nn.HuberLoss(self.rho, "none")(y_hat, y.reshape(y_hat.shape)) / self.rho)


class SoftmaxCrossEntropyLoss:
    """The cross-entropy of each example, from logits (n, classes) and classes (n,); gives (n,).

    >>> from tinygrad_lr import gluon, tensor
    >>> gluon.loss.SoftmaxCrossEntropyLoss()(tensor([[0.0, 0.0], [1000.0, 0.0]]), tensor([0, 1]))
    tensor([6.93147181e-01, 1.00000000e+03])
    """

    def __call__(self, y_hat: Tensor, y: Any) -> Tensor:
        return nn.CrossEntropyLoss("none")(y_hat, y.reshape(-1))


class SigmoidBinaryCrossEntropyLoss:
    """The binary cross-entropy of each example, from logits (n, ...) and labels of 0 or 1; gives (n,).

    >>> from tinygrad_lr import gluon, tensor
    >>> gluon.loss.SigmoidBinaryCrossEntropyLoss()(tensor([1000.0, 1000.0]), tensor([1.0, 0.0]))
    tensor([   0., 1000.])
    """

    def __call__(self, y_hat: Tensor, y: Any) -> Tensor:
        return _of_examples(nn.BCEWithLogitsLoss("none")(y_hat, y.reshape(y_hat.shape)))


loss = SimpleNamespace(
    L1Loss=L1Loss,
    L2Loss=L2Loss,
    HuberLoss=HuberLoss,
    SoftmaxCrossEntropyLoss=SoftmaxCrossEntropyLoss,
    SoftmaxCELoss=SoftmaxCrossEntropyLoss,
    SigmoidBinaryCrossEntropyLoss=SigmoidBinaryCrossEntropyLoss,
    SigmoidBCELoss=SigmoidBinaryCrossEntropyLoss,
)
