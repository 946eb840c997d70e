"""Functions of neural networks, which NumPy lacks: the book's `npx`.

Called with a Tensor they return one, and gradients flow through; called with an array they return an array.
"""

from typing import Any

import numpy as np

from .derivatives import differentiable
from .lazy import is_lazy


def set_np(*_: Any, **__: Any) -> None:
    """Nothing: NumPy's semantics, which the book's programs switch on by this, are always on here.

    >>> set_np()
    """


def reset_np() -> None:
    """Nothing, as `set_np`.

    >>> reset_np()
    """


@differentiable(lambda g, y, x: g * (y > 0))
def relu(x: Any) -> Any:
    """max(x, 0), element by element. Its derivative at 0 is taken to be 0.

    >>> import numpy as np
    >>> relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    return np.maximum(x, 0)


def _sigmoid_rule(g: Any, y: Any, x: Any) -> Any:
    return g * y * sigmoid(-x)  # 1 - y would lose its digits where y rounds to 1


@differentiable(_sigmoid_rule)
def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)), element by element, without overflow and to full relative precision.

    >>> sigmoid(0.0).item(), sigmoid(-1000.0).item()
    (0.5, 0.0)
    """
    power = np.exp(-np.abs(x))  # at most 1
    return np.where(np.less(x, 0), power, 1) / (1 + power)


@differentiable(lambda g, y, x: g * sigmoid(x))
def softplus(x: Any) -> Any:
    """log(1 + exp(x)), element by element, without overflow.

    >>> softplus(1000.0).item()
    1000.0
    """
    return np.logaddexp(x, 0)


@differentiable(lambda g, y, x, axis=-1: y * (g - np.sum(g * y, axis, keepdims=True)))
def softmax(x: Any, axis: int = -1) -> Any:
    """exp(x) / sum(exp(x)) along an axis, without overflow.

    >>> import numpy as np
    >>> softmax(np.array([0.0, np.log(3.0), -np.inf]))
    array([0.25, 0.75, 0.  ])
    """
    power = np.exp(x - np.max(x, axis, keepdims=True))
    return power / np.sum(power, axis, keepdims=True)


@differentiable(lambda g, y, x, axis=-1: g - np.exp(y) * np.sum(g, axis, keepdims=True))
def log_softmax(x: Any, axis: int = -1) -> Any:
    """The logarithm of `softmax`: x - log(sum(exp(x))) along an axis, without overflow and without log(0).

    >>> import numpy as np
    >>> log_softmax(np.array([0.0, -1000.0]))
    array([    0., -1000.])
    """
    shifted = x - np.max(x, axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis, keepdims=True))


@differentiable()
def one_hot(x: Any, depth: int) -> Any:
    """A vector of `depth` numbers for each whole number of `x`: 1 at that index and 0 elsewhere.

    Raises ValueError for numbers that are no index below `depth`.

    >>> import numpy as np
    >>> one_hot(np.array([0, 2]), 3)
    array([[1., 0., 0.],
           [0., 0., 1.]])
    """
    return np.eye(depth)[as_index(x, depth)]


def pick(x: Any, index: Any, axis: int = -1) -> Any:
    """The element at `index` along an axis: index has the shape of x without that axis.

    Raises ValueError for numbers that are no index.

    >>> import numpy as np
    >>> pick(np.array([[0.1, 0.3, 0.6], [0.3, 0.2, 0.5]]), [0, 2])
    array([0.1, 0.5])
    """
    index = as_index(index, x.shape[axis])
    if is_lazy(index):  # Dask has no keys of several arrays
        x = np.moveaxis(x, axis, -1)
        return np.sum(np.where(index[..., np.newaxis] == np.arange(x.shape[-1]), x, 0), axis=-1)
    key: list[Any] = list(np.indices(index.shape, sparse=True))
    key.insert(axis % x.ndim, index)
    return x[tuple(key)]


def as_index(values: Any, size: int) -> Any:
    """The values as an array of whole numbers from 0 to size - 1, which they may also be as floats.

    Raises ValueError if they are anything else: a negative index would count from the end, in silence.
    """
    array = getattr(values, "array", values)
    if is_lazy(array):  # then it is looked at where it is computed
        return array.map_blocks(as_index, size, dtype=np.intp)
    array = np.asarray(array)
    if array.dtype.kind not in "iufb" or np.any(array != np.floor(array)):
        raise ValueError(f"classes must be whole numbers from 0 to {size - 1}, not {array.dtype} fractions")
    if array.size and not (array.min() >= 0 and array.max() < size):
        raise ValueError(
            f"classes must be whole numbers from 0 to {size - 1}, but they go from {array.min()} to "
            f"{array.max()}. Is the number of outputs right?"
        )
    return array.astype(np.intp)
