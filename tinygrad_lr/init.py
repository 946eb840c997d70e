"""How a layer's weights are drawn at the start: functions of a shape (outputs, inputs).

They draw from NumPy's global generator, which `np.random.seed` makes reproducible.
"""

from typing import Any

import numpy as np

from .hyperparameters import HyperParameters


class Initializer(HyperParameters):
    """A function from a shape to an array of that shape."""

    def __call__(self, shape: tuple[int, ...]) -> Any:
        raise NotImplementedError


class Constant(Initializer):
    """The same value everywhere."""

    value: float

    def __init__(self, value: float = 0.0) -> None:
        self.save_hyperparameters()

    def __call__(self, shape: tuple[int, ...]) -> Any:
        return np.full(shape, float(self.value))


class Zero(Constant):
    """Zeros."""

    def __init__(self) -> None:
        super().__init__(0.0)


class One(Constant):
    """Ones."""

    def __init__(self) -> None:
        super().__init__(1.0)


class Normal(Initializer):
    """A normal distribution with mean 0 and standard deviation `sigma`.

    >>> from tinygrad_lr import init, nn
    >>> nn.Linear(2, 1, init=init.Normal(sigma=0.01)).weight.shape
    (1, 2)
    """

    sigma: float

    def __init__(self, sigma: float = 0.01) -> None:
        self.save_hyperparameters()

    def __call__(self, shape: tuple[int, ...]) -> Any:
        return np.random.normal(0.0, self.sigma, shape)


class Uniform(Initializer):
    """The uniform distribution from -scale to scale."""

    scale: float

    def __init__(self, scale: float = 0.07) -> None:
        self.save_hyperparameters()

    def __call__(self, shape: tuple[int, ...]) -> Any:
        return np.random.uniform(-self.scale, self.scale, shape)


class Xavier(Initializer):
    """The uniform distribution with variance 2 / (inputs + outputs), which keeps the size of what flows
    forwards and backwards (Glorot and Bengio, Understanding the difficulty of training deep feedforward
    neural networks, 2010, equation 16).
    """

    def __call__(self, shape: tuple[int, ...]) -> Any:
        limit = np.sqrt(6 / sum(shape))
        return np.random.uniform(-limit, limit, shape)
