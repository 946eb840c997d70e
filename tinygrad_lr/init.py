"""How a layer's weights are drawn at the start: functions of a shape (outputs, inputs).

They draw from NumPy's global generator, which `np.random.seed` makes reproducible.
"""

from typing import Any

import numpy as np

from .hyperparameters import HyperParameters, missing_method


class Initializer(HyperParameters):
    """A function from a shape to an array of that shape: what a subclass has to write is `__call__`.

    Raises NotImplementedError when called where no subclass has written it.

    >>> import numpy as np
    >>> from tinygrad_lr import init, nn
    >>> class Identity(init.Initializer):
    ...     def __call__(self, shape):
    ...         return np.eye(*shape)
    >>> nn.Linear(2, 2, init=Identity()).weight
    tensor([[1., 0.],
            [0., 1.]])
    """

    def __call__(self, shape: tuple[int, ...]) -> Any:
        raise missing_method(self, "__call__(self, shape)", "an array of that shape: np.zeros(shape)")


class Constant(Initializer):
    """The same value everywhere.

    >>> from tinygrad_lr import init, nn
    >>> nn.Linear(2, 1, init=init.Constant(0.5)).weight
    tensor([[0.5, 0.5]])
    """

    value: float

    def __init__(self, value: float = 0.0) -> None:
        self.save_hyperparameters()

    def __call__(self, shape: tuple[int, ...]) -> Any:
        return np.full(shape, float(self.value))


class Zero(Constant):
    """Zeros.

    >>> from tinygrad_lr import init
    >>> init.Zero()((1, 2))
    array([[0., 0.]])
    """

    def __init__(self) -> None:
        super().__init__(0.0)


class One(Constant):
    """Ones.

    >>> from tinygrad_lr import init
    >>> init.One()((1, 2))
    array([[1., 1.]])
    """

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
    """The uniform distribution from -scale to scale.

    >>> from tinygrad_lr import init
    >>> abs(init.Uniform(0.07)((10, 10))).max() <= 0.07
    np.True_
    """

    scale: float

    def __init__(self, scale: float = 0.07) -> None:
        self.save_hyperparameters()

    def __call__(self, shape: tuple[int, ...]) -> Any:
        return np.random.uniform(-self.scale, self.scale, shape)


class Xavier(Initializer):
    """The uniform distribution with variance 2 / (inputs + outputs), which keeps the size of what flows
    forwards and backwards (Glorot and Bengio, Understanding the difficulty of training deep feedforward
    neural networks, 2010, equation 16).

    >>> import numpy as np
    >>> from tinygrad_lr import init
    >>> abs(init.Xavier()((4, 2))).max() <= np.sqrt(6 / (4 + 2))
    np.True_
    """

    def __call__(self, shape: tuple[int, ...]) -> Any:
        limit = np.sqrt(6 / sum(shape))
        return np.random.uniform(-limit, limit, shape)
