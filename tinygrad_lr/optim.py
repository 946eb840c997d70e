"""Optimizers: what a step does with the gradients."""

from collections.abc import Iterable
from typing import Any

from .hyperparameters import HyperParameters
from .tensor import Tensor


class SGD(HyperParameters):
    """Minibatch stochastic gradient descent: every parameter goes `lr` times its gradient downhill.

    Parameters
    ----------
    params : attached tensors, as `Module.parameters()` gives them.
    lr : the learning rate.

    Raises TypeError for something else than attached tensors, and ValueError if there are none.

    >>> from tinygrad_lr import record, tensor
    >>> from tinygrad_lr.optim import SGD
    >>> x = tensor(4.0)
    >>> x.attach_grad()
    >>> with record():
    ...     y = x**2
    >>> y.backward()
    >>> SGD([x], lr=0.1).step()
    >>> x
    tensor(3.2)
    """

    lr: float

    def __init__(self, params: Iterable[Tensor], lr: float) -> None:
        if isinstance(params, Tensor):
            raise TypeError("SGD takes a list of parameters, not a tensor. Write SGD([w, b], lr).")
        self.save_hyperparameters(ignore=["params"])
        self.params = list(params)
        if not self.params:
            raise ValueError(
                "SGD got no parameters. Make them attributes of the model, and call attach_grad() on each."
            )
        for position, param in enumerate(self.params):
            if getattr(param, "grad", None) is None:
                raise TypeError(
                    f"params[{position}] has no gradient. Make it a Tensor and call attach_grad() on it."
                )

    def step(self, _: Any = 1) -> None:
        """Take one step; its argument is the book's batch size, which a mean loss has divided by already."""
        for param in self.params:
            param -= self.lr * param.grad

    def zero_grad(self) -> None:
        """Set the gradients to zero, for parameters whose `grad_req` is "add"."""
        for param in self.params:
            param.grad[...] = 0
