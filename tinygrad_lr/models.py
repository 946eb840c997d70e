"""The book's models: linear regression in two lines, with weight decay, and classifiers.

>>> import numpy as np
>>> from tinygrad_lr import SyntheticRegressionData, Trainer
>>> from tinygrad_lr.models import LinearRegression
>>> np.random.seed(0)
>>> model, data = LinearRegression(lr=0.03), SyntheticRegressionData(w=[2, -3.4], b=4.2)
>>> Trainer(max_epochs=3).fit(model, data)
>>> w, b = model.get_w_b()
>>> w.numpy().round(1), b.numpy().round(1)
(array([[ 2. , -3.4]]), array([4.2]))
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import init, nn
from .linear import LinearRegressionScratch
from .module import Module
from .names import reduce_sum
from .tensor import Tensor


class LinearRegression(Module):
    """Linear regression with the mean squared error, without the half of `LinearRegressionScratch`, by a
    layer that learns the number of features from its first minibatch.

    Parameters
    ----------
    lr : the learning rate.
    sigma : standard deviation of the weights at the start.

    >>> from tinygrad_lr import tensor
    >>> from tinygrad_lr.models import LinearRegression
    >>> model = LinearRegression(lr=0.03, sigma=0)
    >>> model(tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[0.],
            [0.]])
    >>> model.get_w_b()
    (tensor([[0., 0.]]), tensor([0.]))
    """

    lr: float

    def __init__(self, lr: float, sigma: float = 0.01) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.LazyLinear(1, init=init.Normal(sigma))

    def loss(self, y_hat: Any, y: Any) -> Tensor:
        return nn.MSELoss()(y_hat, y)

    def get_w_b(self) -> tuple[Tensor, Tensor]:
        """The weights, shape (1, d), and the bias, shape (1,)."""
        return self.net.weight, self.net.bias


class WeightDecayScratch(LinearRegressionScratch):
    """`LinearRegressionScratch` with the penalty lambd / 2 * |w|^2 in its loss: ridge regression
    (Hoerl and Kennard 1970, Technometrics 12(1)).

    Parameters
    ----------
    num_inputs : number of features d.
    lambd : strength of the penalty, 0 for none; the bias is not penalised.
    lr, sigma : as in LinearRegressionScratch.

    >>> from tinygrad_lr import tensor
    >>> from tinygrad_lr.models import WeightDecayScratch
    >>> model = WeightDecayScratch(2, lambd=10, lr=0.03, sigma=0)
    >>> model.w[:] = [[3.0], [4.0]]
    >>> y = tensor([[1.0]])
    >>> model.loss(y, y)  # 10 / 2 * (9 + 16)
    tensor(125.)
    """

    lambd: float

    def __init__(self, num_inputs: int, lambd: float, lr: float, sigma: float = 0.01) -> None:
        super().__init__(num_inputs, lr, sigma)
        self.save_hyperparameters()

    def loss(self, y_hat: Any, y: Any) -> Tensor:
        return super().loss(y_hat, y) + self.lambd * reduce_sum(self.w**2) / 2


class Classifier(Module):
    """A model whose predictions are a score (logit) for each class, trained with the cross-entropy."""

    def validation_step(self, batch: Sequence[Any]) -> None:
        """Plot the loss and the accuracy of one minibatch that the model is not trained on."""
        Y_hat = self(*batch[:-1])
        self.plot("loss", self.loss(Y_hat, batch[-1]), train=False)
        self.plot("acc", self.accuracy(Y_hat, batch[-1]), train=False)

    def loss(self, y_hat: Any, y: Any, averaged: bool = True) -> Tensor:
        """The cross-entropy of logits (..., classes) and classes (...): its mean, or that of each example."""
        loss = nn.CrossEntropyLoss("mean" if averaged else "none")
        return loss(y_hat.reshape(-1, y_hat.shape[-1]), y.reshape(-1))

    def accuracy(self, Y_hat: Any, Y: Any, averaged: bool = True) -> Tensor:
        """The part of the examples whose class has the highest score; not averaged, a 1 or 0 for each.

        >>> from tinygrad_lr import tensor
        >>> from tinygrad_lr.models import Classifier
        >>> Classifier().accuracy(tensor([[0.1, 0.9], [0.8, 0.2]]), tensor([1, 1]))
        tensor(0.5, dtype=float32)
        """
        hits: Tensor = Y_hat.reshape(-1, Y_hat.shape[-1]).argmax(1) == Y.reshape(-1)
        hits = hits.astype(np.float32)
        return hits.mean() if averaged else hits


class SoftmaxRegression(Classifier):
    """Multinomial logistic regression: one linear layer on the flattened inputs.

    Parameters
    ----------
    num_outputs : number of classes.
    lr : the learning rate.

    >>> import numpy as np
    >>> from tinygrad_lr import tensor
    >>> from tinygrad_lr.models import SoftmaxRegression
    >>> SoftmaxRegression(num_outputs=10, lr=0.1)(tensor(np.zeros((3, 28, 28)))).shape
    (3, 10)
    """

    lr: float

    def __init__(self, num_outputs: int, lr: float) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(nn.Flatten(), nn.LazyLinear(num_outputs))


class MLP(Classifier):
    """A multilayer perceptron with one hidden layer of rectified linear units.

    Parameters
    ----------
    num_outputs : number of classes.
    num_hiddens : number of hidden units.
    lr : the learning rate.

    >>> import numpy as np
    >>> from tinygrad_lr import tensor
    >>> from tinygrad_lr.models import MLP
    >>> MLP(num_outputs=10, num_hiddens=16, lr=0.1)(tensor(np.zeros((3, 28, 28)))).shape
    (3, 10)
    """

    lr: float

    def __init__(self, num_outputs: int, num_hiddens: int, lr: float) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(
            nn.Flatten(), nn.LazyLinear(num_hiddens), nn.ReLU(), nn.LazyLinear(num_outputs)
        )
