"""Linear regression from scratch: the chapter's model."""

from typing import Any

from .module import Module
from .names import matmul, normal, reduce_mean, zeros
from .optim import SGD
from .tensor import Tensor


class LinearRegressionScratch(Module):
    """Linear regression with the squared loss, trained by minibatch SGD.

    Parameters
    ----------
    num_inputs : number of features d.
    lr : the learning rate.
    sigma : standard deviation of the weights at the start; they come from NumPy's global generator.

    Attributes
    ----------
    w : weights, shape (d, 1).
    b : bias, shape (1,), zero at the start.

    >>> from tinygrad_lr import tensor
    >>> from tinygrad_lr.linear import LinearRegressionScratch
    >>> model = LinearRegressionScratch(2, lr=0.03, sigma=0)
    >>> model(tensor([[1.0, 2.0]]))
    tensor([[0.]])
    """

    num_inputs: int
    lr: float
    sigma: float

    def __init__(self, num_inputs: int, lr: float, sigma: float = 0.01) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.w = normal(0, sigma, (num_inputs, 1))
        self.b = zeros(1)
        self.w.attach_grad()
        self.b.attach_grad()

    def forward(self, X: Any) -> Tensor:
        """The predictions Xw + b, shape (n, 1), for inputs of shape (n, d)."""
        return matmul(X, self.w) + self.b

    def loss(self, y_hat: Any, y: Any) -> Tensor:
        """Half the squared error, averaged over the minibatch.

        Raises ValueError if the shapes differ: they would broadcast, to a loss of all pairs.
        """
        if y_hat.shape != y.shape:
            raise ValueError(
                f"the predictions have shape {y_hat.shape}, but y has {y.shape}. "
                "Make y a column: y = y.reshape(-1, 1)"
            )
        return reduce_mean((y_hat - y) ** 2 / 2)

    def configure_optimizers(self) -> SGD:
        return SGD([self.w, self.b], self.lr)
