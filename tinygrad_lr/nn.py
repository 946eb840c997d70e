"""Layers and losses: what the chapter builds by hand, ready to use.

>>> import numpy as np
>>> from tinygrad_lr import nn, tensor
>>> net = nn.Sequential(nn.Flatten(), nn.LazyLinear(3), nn.ReLU(), nn.LazyLinear(1))
>>> net(tensor(np.ones((5, 2, 2)))).shape
(5, 1)
>>> net
Sequential(): 19 parameters
  0: Flatten()
  1: LazyLinear(num_outputs=3): 15 parameters
    weight: (3, 4)
    bias: (3,)
  2: ReLU()
  3: LazyLinear(num_outputs=1): 4 parameters
    weight: (1, 3)
    bias: (1,)
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .hyperparameters import HyperParameters, missing_method
from .init import Uniform
from .module import Module, assign
from .npx import log_softmax, pick, relu, sigmoid, softplus
from .scope import is_training
from .tensor import Tensor, asarray

Init = Callable[[tuple[int, ...]], Any]
Block = Module  # Gluon's name


class Parameter(Tensor):
    """An attached tensor of a layer. It also answers to what Gluon's programs ask of a parameter.

    >>> from tinygrad_lr import nn
    >>> nn.Linear(2, 1).bias.data().shape
    (1,)
    """

    __slots__ = ("wd_mult",)

    def __init__(self, array: Any) -> None:
        super().__init__(array)
        self.attach_grad()
        self.wd_mult = 1.0  # what the weight decay of `gluon.Trainer` is multiplied by for it

    def data(self) -> Tensor:
        """The parameter itself."""
        return self

    def __reduce__(self) -> Any:
        return (*super().__reduce__(), (None, {"wd_mult": self.wd_mult}))


# ---- layers -----------------------------------------------------------------------------------------------


class Linear(Module):
    """The affine map X @ weight.T + bias of the last axis.

    Parameters
    ----------
    num_inputs, num_outputs : the lengths of the last axis of X and of the result.
    bias : whether there is one.
    dtype : of the parameters.
    init : draws weights of the shape that it is given, as the functions of `tinygrad_lr.init` do; the bias
        then starts at zero. By default both are uniform between -1/sqrt(num_inputs) and 1/sqrt(num_inputs),
        from NumPy's global generator.

    Attributes
    ----------
    weight : shape (num_outputs, num_inputs).
    bias : shape (num_outputs,), or None.

    Raises ValueError for a number below 1 and for inputs of another length.

    >>> from tinygrad_lr import init, tensor
    >>> from tinygrad_lr.nn import Linear
    >>> Linear(2, 1, init=init.Constant(3))(tensor([[1.0, 10.0]]))
    tensor([[33.]])
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(
        self,
        num_inputs: int,
        num_outputs: int,
        bias: bool = True,
        dtype: Any = np.float64,
        init: Init | None = None,
    ) -> None:
        self.save_hyperparameters(ignore=["bias", "dtype", "init"])
        if num_inputs < 1:
            raise ValueError(f"Linear needs at least one input, not {num_inputs}")
        self._make(num_inputs, num_outputs, bias, dtype)
        self.reset_parameters(init)

    def _make(self, num_inputs: int, num_outputs: int, bias: bool, dtype: Any) -> None:
        if num_outputs < 1:
            raise ValueError(f"{type(self).__name__} needs at least one output, not {num_outputs}")
        self.weight = Parameter(np.zeros((num_outputs, num_inputs), dtype))
        self.bias = Parameter(np.zeros(num_outputs if num_inputs else 0, dtype)) if bias else None

    def reset_parameters(self, init: Init | None = None) -> None:
        """Draw the parameters anew."""
        limit = 1 / math.sqrt(self.weight.shape[1])
        for parameter in self.named_parameters().values():
            if init is None:
                values: Any = np.random.uniform(-limit, limit, parameter.shape)
            else:
                values = init(parameter.shape) if parameter is self.weight else 0
            assign(parameter, np.broadcast_to(values, parameter.shape).astype(parameter.dtype))

    def forward(self, X: Any) -> Tensor:
        """X of shape (..., num_inputs) gives (..., num_outputs). Raises ValueError for another length."""
        num_inputs = self.weight.shape[1]
        if X.shape[-1:] != (num_inputs,):
            raise ValueError(
                f"{type(self).__name__} has a weight of shape {self.weight.shape}: it takes inputs of shape "
                f"(..., {num_inputs}), not {X.shape}"
            )
        product: Tensor = X @ self.weight.T
        return product if self.bias is None else product + self.bias


class LazyLinear(Linear):
    """A `Linear` that learns the number of its inputs, and their dtype unless one is given, from its first
    call. Until then its parameters are empty; an optimizer can have them already.

    >>> from tinygrad_lr import tensor
    >>> from tinygrad_lr.nn import LazyLinear
    >>> layer = LazyLinear(3)
    >>> layer(tensor([[1.0, 2.0]])).shape, layer.weight.shape
    ((1, 3), (3, 2))
    """

    def __init__(
        self, num_outputs: int, bias: bool = True, dtype: Any = None, init: Init | None = None
    ) -> None:
        self.save_hyperparameters(ignore=["bias", "dtype", "init"])
        self._dtype, self._init = dtype, init
        self._make(0, num_outputs, bias, dtype)

    def reset_parameters(self, init: Init | None = None) -> None:
        self._init = init
        if self.weight.shape[1]:
            super().reset_parameters(init)

    def forward(self, X: Any) -> Tensor:
        if not self.weight.shape[1] and X.shape[-1:] > (0,):
            dtype = self._dtype or (X.dtype if np.issubdtype(X.dtype, np.floating) else np.float64)
            assign(self.weight, np.zeros((self.weight.shape[0], X.shape[-1]), dtype))
            if self.bias is not None:
                assign(self.bias, np.zeros(self.weight.shape[0], dtype))
            self.reset_parameters(self._init)
        return super().forward(X)


class Dense(LazyLinear):
    """`LazyLinear` as in Gluon: it flattens inputs to shape (n, num_inputs), and may end in an activation.

    Parameters
    ----------
    units : the number of outputs.
    activation : None, "relu", "sigmoid", "tanh" or "softrelu".
    use_bias : whether there is a bias.
    flatten : whether to flatten; otherwise the map is of the last axis.
    weight_initializer : draws the weights, by default uniform between -0.07 and 0.07; the bias starts at
        zero.
    in_units : the number of inputs, where it is to be known before the first call.

    Raises ValueError for another activation.

    >>> import numpy as np
    >>> from tinygrad_lr import tensor
    >>> from tinygrad_lr.nn import Dense
    >>> Dense(3, activation="relu")(tensor(np.ones((2, 4, 5)))).shape
    (2, 3)
    """

    def __init__(
        self,
        units: int,
        activation: str | None = None,
        use_bias: bool = True,
        flatten: bool = True,
        dtype: Any = None,
        weight_initializer: Init | None = None,
        in_units: int = 0,
    ) -> None:
        super().__init__(units, use_bias, dtype, weight_initializer or Uniform())
        self.save_hyperparameters(ignore=["use_bias", "dtype", "weight_initializer"])
        if activation not in ACTIVATIONS:
            names = ", ".join(map(repr, ACTIVATIONS))
            raise ValueError(f"activation must be one of {names}, not {activation!r}")
        if in_units:
            self(Tensor(np.zeros((0, in_units), dtype)))

    activation: str | None
    flatten: bool

    def reset_parameters(self, init: Init | None = None) -> None:
        super().reset_parameters(init or Uniform())

    def forward(self, X: Any) -> Tensor:
        if self.flatten and X.ndim != 2:
            X = Flatten()(X)
        result: Tensor = ACTIVATIONS[self.activation](super().forward(X))
        return result


ACTIVATIONS: dict[str | None, Callable[[Any], Any]] = {
    None: lambda X: X,
    "relu": relu,
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "softrelu": softplus,
}


class Sequential(Module):
    """Layers, or any functions of a tensor, each on what the one before it returns.

    >>> import numpy as np
    >>> from tinygrad_lr import tensor
    >>> from tinygrad_lr.nn import Sequential, Tanh
    >>> net = Sequential(np.exp, Tanh())
    >>> net(tensor(-np.inf)), len(net), net[1]
    (tensor(0.), 2, Tanh())
    """

    def __init__(self, *layers: Callable[[Any], Any]) -> None:
        self.layers: list[Any] = []
        self.add(*layers)

    def add(self, *layers: Callable[[Any], Any]) -> None:
        """Put layers at the end. Raises TypeError for what cannot be called."""
        for layer in layers:
            if not callable(layer):
                raise TypeError(
                    f"a layer must be callable, but got {layer!r}. Write Sequential(first, second), "
                    "without a list."
                )
            self.layers.append(layer)

    def _parts(self) -> dict[str, Any]:
        return {str(i): layer for i, layer in enumerate(self.layers)}

    def forward(self, X: Any) -> Any:
        for layer in self.layers:
            X = layer(X)
        return X

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.layers)

    def __getitem__(self, index: int) -> Any:
        return self.layers[index]


class Flatten(Module):
    """All axes but the first made one: shape (n, a, b) becomes (n, a * b).

    >>> from tinygrad_lr import nn, zeros
    >>> nn.Flatten()(zeros((5, 2, 3))).shape
    (5, 6)
    """

    def forward(self, X: Any) -> Any:
        return X.reshape(X.shape[0], math.prod(X.shape[1:]))


class ReLU(Module):
    """max(X, 0); its derivative at 0 is 0.

    >>> from tinygrad_lr import nn, tensor
    >>> nn.ReLU()(tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    def forward(self, X: Any) -> Any:
        return relu(X)


class Sigmoid(Module):
    """1 / (1 + exp(-X)).

    >>> from tinygrad_lr import nn, tensor
    >>> nn.Sigmoid()(tensor([0.0, 1000.0]))
    tensor([0.5, 1. ])
    """

    def forward(self, X: Any) -> Any:
        return sigmoid(X)


class Tanh(Module):
    """The hyperbolic tangent.

    >>> from tinygrad_lr import nn, tensor
    >>> nn.Tanh()(tensor([0.0, 1000.0]))
    tensor([0., 1.])
    """

    def forward(self, X: Any) -> Any:
        return np.tanh(X)


class Dropout(Module):
    """In training each element becomes zero with probability `p`, and the others grow by 1 / (1 - p) to make
    up for it; in prediction nothing is changed (Srivastava et al., Dropout, 2014).

    Training is where `is_training()`: inside `record()`, but not inside `predict_mode()`.

    Parameters
    ----------
    p : from 0 to 1.
    seed : of the layer's own generator; by default drawn from NumPy's global one.

    Raises ValueError for another `p`.

    >>> from tinygrad_lr import tensor, train_mode
    >>> from tinygrad_lr.nn import Dropout
    >>> layer = Dropout(0.5, seed=1)
    >>> layer(tensor([1.0, 1.0, 1.0, 1.0]))
    tensor([1., 1., 1., 1.])
    >>> with train_mode():
    ...     layer(tensor([1.0, 1.0, 1.0, 1.0]))
    tensor([2., 2., 0., 2.])
    """

    p: float

    def __init__(self, p: float = 0.5, seed: int | None = None) -> None:
        self.save_hyperparameters(ignore=["seed"])
        if not 0 <= p <= 1:
            raise ValueError(f"a probability is between 0 and 1, but p={p}")
        self.generator = np.random.default_rng(np.random.randint(2**31) if seed is None else seed)

    def forward(self, X: Any) -> Any:
        if not is_training() or self.p == 0:
            return X
        kept = self.generator.random(X.shape) >= self.p
        return X * (kept.astype(X.dtype) / (1 - self.p or 1))


# ---- losses -----------------------------------------------------------------------------------------------


class Loss(HyperParameters):
    """A function of predictions and truth of the same shape; each subclass has one for the elements.

    Parameters
    ----------
    reduction : "mean" of all elements, "sum" of them, or "none" to return them all.

    Raises ValueError for another reduction, and if the shapes differ, as they would broadcast to a loss of
    all pairs.

    >>> from tinygrad_lr import nn, tensor
    >>> class QuarticLoss(nn.Loss):
    ...     def elements(self, y_hat, y):
    ...         return (y_hat - y) ** 4
    >>> QuarticLoss(reduction="sum")(tensor([1.0, 2.0]), tensor([2.0, 4.0]))
    tensor(17.)
    """

    reduction: str

    def __init__(self, reduction: str = "mean") -> None:
        self.save_hyperparameters()
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f'reduction must be "mean", "sum" or "none", not {reduction!r}')

    def elements(self, y_hat: Any, y: Any) -> Any:
        """The loss of each element.

        Raises NotImplementedError where no subclass has written it.
        """
        losses = "the loss of each element: (y_hat - y) ** 2"
        raise missing_method(self, "elements(self, y_hat, y)", losses)

    def __call__(self, y_hat: Any, y: Any) -> Tensor:
        y_hat, y = asarray(y_hat), asarray(y)
        self.check(y_hat.shape, y.shape)
        losses: Tensor = self.elements(y_hat, y)
        return losses if self.reduction == "none" else getattr(losses, self.reduction)()

    def check(self, predicted: tuple[int, ...], true: tuple[int, ...]) -> None:
        """Raise ValueError if predictions and truth do not have the shapes that they should."""
        if predicted != true:
            raise ValueError(
                f"{type(self).__name__}: the predictions have shape {predicted}, but y has {true}. "
                "Make y a column: y = y.reshape(-1, 1)"
            )


class MSELoss(Loss):
    """The mean squared error, mean((y_hat - y)^2).

    >>> from tinygrad_lr import tensor
    >>> from tinygrad_lr.nn import MSELoss
    >>> MSELoss()(tensor([1.0, 2.0]), tensor([1.0, 4.0]))
    tensor(2.)
    """

    def elements(self, y_hat: Any, y: Any) -> Any:
        return (y_hat - y) ** 2


class L1Loss(Loss):
    """The mean absolute error, mean(|y_hat - y|); its derivative where the two are equal is 0.

    >>> from tinygrad_lr import nn, tensor
    >>> nn.L1Loss()(tensor([1.0, 2.0]), tensor([1.0, 4.0]))
    tensor(1.)
    """

    def elements(self, y_hat: Any, y: Any) -> Any:
        return np.abs(y_hat - y)


class HuberLoss(Loss):
    """Half the squared error up to an error of `delta`, and from there on a straight line (Huber, Robust
    estimation of a location parameter, 1964).

    >>> from tinygrad_lr import tensor
    >>> from tinygrad_lr.nn import HuberLoss
    >>> HuberLoss(reduction="none")(tensor([0.5, -3.0]), tensor([0.0, 0.0]))
    tensor([0.125, 2.5  ])
    """

    delta: float

    def __init__(self, delta: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.save_hyperparameters()
        if not delta > 0:
            raise ValueError(f"delta must be positive, not {delta}")

    def elements(self, y_hat: Any, y: Any) -> Any:
        error = y_hat - y
        clipped = np.clip(error, -self.delta, self.delta)
        return clipped * (error - clipped / 2)


class BCEWithLogitsLoss(Loss):
    """The binary cross-entropy of sigmoid(y_hat), where y is 0 or 1, or the probability of 1. Computed from
    the logits y_hat, it stays finite where the sigmoid rounds to 0 or 1.

    >>> from tinygrad_lr import tensor
    >>> from tinygrad_lr.nn import BCEWithLogitsLoss
    >>> BCEWithLogitsLoss()(tensor([1000.0]), tensor([0.0]))
    tensor(1000.)
    """

    def elements(self, y_hat: Any, y: Any) -> Any:
        return softplus(y_hat) - y_hat * y


class CrossEntropyLoss(Loss):
    """The cross-entropy of softmax(y_hat). Computed from the logits y_hat, it stays finite where a
    probability rounds to 0.

    `y_hat` has the shape (n, classes), and `y` is the class of each example, shape (n,), or the probabilities
    of all classes, shape (n, classes). Each example has one loss.

    Raises ValueError for other shapes, and for a class that is not a whole number from 0 to classes - 1.

    >>> from tinygrad_lr import tensor
    >>> from tinygrad_lr.nn import CrossEntropyLoss
    >>> CrossEntropyLoss()(tensor([[1000.0, 0.0], [1000.0, 0.0]]), tensor([0, 1]))
    tensor(500.)
    """

    def elements(self, y_hat: Any, y: Any) -> Any:
        logs = log_softmax(y_hat)
        return -(pick(logs, y) if y.ndim == 1 else (y * logs).sum(-1))

    def check(self, predicted: tuple[int, ...], true: tuple[int, ...]) -> None:
        if len(predicted) != 2 or true not in (predicted, predicted[:1]):
            raise ValueError(
                f"CrossEntropyLoss: the predictions have shape {predicted}, but y has {true}. It takes "
                "logits of shape (n, classes), and the class of each example, shape (n,): y = y.reshape(-1), "
                "or the probability of each class, shape (n, classes)."
            )
