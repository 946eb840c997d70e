"""NumPy's names on Tensors, for programs that take everything from one place, as the book's do.

Arguments may be Tensors, results are Tensors. The names below are written out, because NumPy lacks them or to
have them typed; all others are lifted from NumPy when they are asked for.
"""

import functools
from types import ModuleType
from typing import Any

import numpy as np

from .derivatives import cast
from .tensor import Tensor, asarray, call, tensor

array = tensor
ndarray = Tensor


def lift(module: ModuleType, name: str) -> Any:
    """What NumPy, or one of its modules, has under a name; its functions wrapped so as to return Tensors.

    Raises AttributeError for a name that it lacks.

    >>> from tinygrad_lr import lift
    >>> lift(np, "cumsum")([1.0, 2.0])
    tensor([1., 3.])
    """
    if name.startswith("_") or name == "test" or not hasattr(module, name):
        raise AttributeError(f"neither tinygrad_lr nor {module.__name__} has the name {name!r}")
    value = getattr(module, name)
    if isinstance(value, ModuleType):
        return Lifted(value)
    if not callable(value) or isinstance(value, type):
        return value

    @functools.wraps(value)
    def function(*args: Any, **options: Any) -> Any:
        result = call(value, args, options)
        return tensor(result) if module is np.random and isinstance(result, (float, int)) else result

    return function


class Lifted:
    """A module of NumPy's, such as `linalg` or `random`, whose functions take and return Tensors."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return lift(self._module, name)

    def __dir__(self) -> list[str]:
        return dir(self._module)

    def __repr__(self) -> str:
        return f"<{self._module.__name__} on Tensors>"


def zeros(shape: int | tuple[int, ...], dtype: Any = None) -> Tensor:
    """A tensor of zeros.

    >>> from tinygrad_lr import zeros
    >>> zeros(2)
    tensor([0., 0.])
    """
    return tensor(np.zeros(shape), dtype)


def ones(shape: int | tuple[int, ...], dtype: Any = None) -> Tensor:
    """A tensor of ones.

    >>> from tinygrad_lr import ones
    >>> ones((1, 2))
    tensor([[1., 1.]])
    """
    return tensor(np.ones(shape), dtype)


def full(shape: int | tuple[int, ...], value: float, dtype: Any = None) -> Tensor:
    """A tensor with the same value everywhere.

    >>> from tinygrad_lr import full
    >>> full((2,), 7)
    tensor([7, 7])
    """
    return tensor(np.full(shape, value), dtype)


def arange(start: float, stop: float | None = None, step: float = 1, dtype: Any = np.float64) -> Tensor:
    """Evenly spaced values: `arange(stop)`, `arange(start, stop)` or `arange(start, stop, step)`.

    They are floats unless a dtype is given, as in the book, where they are differentiated and changed in
    place; `np.arange` makes whole numbers of whole numbers.

    >>> from tinygrad_lr import arange
    >>> arange(3), arange(1, 3, dtype=int)
    (tensor([0., 1., 2.]), tensor([1, 2]))
    """
    start, stop = (0, start) if stop is None else (start, stop)
    return tensor(np.arange(start, stop, step), dtype)


def linspace(start: float, stop: float, num: int = 50, dtype: Any = None) -> Tensor:
    """`num` evenly spaced values from `start` to `stop`, both included.

    >>> from tinygrad_lr import linspace
    >>> linspace(0, 1, 3)
    tensor([0. , 0.5, 1. ])
    """
    return tensor(np.linspace(start, stop, num, dtype=dtype))


def eye(n: int, m: int | None = None, dtype: Any = None) -> Tensor:
    """A matrix of shape (n, m), or (n, n), with ones on the diagonal.

    >>> from tinygrad_lr import eye
    >>> eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    return tensor(np.eye(n, m), dtype)


def normal(loc: float = 0.0, scale: float = 1.0, size: int | tuple[int, ...] | None = None) -> Tensor:
    """Draws from a normal distribution with mean `loc` and standard deviation `scale`.

    They come from NumPy's global generator: `np.random.seed` makes them reproducible.

    >>> from tinygrad_lr import normal
    >>> normal(0, 0.01, (2, 1)).shape
    (2, 1)
    """
    return tensor(np.random.normal(loc, scale, size))


def rand(*shape: int) -> Tensor:
    """Draws from the uniform distribution on [0, 1), from NumPy's global generator.

    >>> from tinygrad_lr import rand
    >>> rand(2, 3).shape
    (2, 3)
    """
    return tensor(np.random.uniform(size=shape))


def randn(*shape: int) -> Tensor:
    """Draws from the standard normal distribution, from NumPy's global generator.

    >>> from tinygrad_lr import randn
    >>> randn(2, 3).shape
    (2, 3)
    """
    return tensor(np.random.standard_normal(shape))


def matmul(a: Any, b: Any) -> Tensor:
    """The matrix product: `np.matmul` on Tensors.

    >>> from tinygrad_lr import matmul
    >>> matmul([[1.0, 2.0]], [[3.0], [4.0]])
    tensor([[11.]])
    """
    result: Tensor = call(np.matmul, (a, b))
    return result


def reshape(x: Any, *shape: Any) -> Tensor:
    """The same elements in another shape, given as numbers or as a tuple.

    >>> from tinygrad_lr import reshape
    >>> reshape([1, 2, 3, 4], (2, 2))
    tensor([[1, 2],
            [3, 4]])
    """
    result: Tensor = (x if isinstance(x, Tensor) else tensor(x)).reshape(*shape)
    return result


def reduce_sum(x: Any, *args: Any, **options: Any) -> Tensor:
    """`np.sum`, under the book's name.

    >>> from tinygrad_lr import reduce_sum
    >>> reduce_sum([[1.0, 2.0], [3.0, 4.0]], axis=0)
    tensor([4., 6.])
    """
    result: Tensor = asarray(x).sum(*args, **options)
    return result


def reduce_mean(x: Any, *args: Any, **options: Any) -> Tensor:
    """`np.mean`, under the book's name.

    >>> from tinygrad_lr import reduce_mean
    >>> reduce_mean([1.0, 2.0])
    tensor(1.5)
    """
    result: Tensor = asarray(x).mean(*args, **options)
    return result


def reduce_max(x: Any, *args: Any, **options: Any) -> Tensor:
    """`np.max`, under the book's name.

    >>> from tinygrad_lr import reduce_max
    >>> reduce_max([1.0, 2.0])
    tensor(2.)
    """
    result: Tensor = asarray(x).max(*args, **options)
    return result


def concat(tensors: Any, axis: int = 0) -> Tensor:
    """`np.concatenate`, under the book's name.

    >>> from tinygrad_lr import concat
    >>> concat([[1.0], [2.0, 3.0]])
    tensor([1., 2., 3.])
    """
    result: Tensor = call(np.concatenate, (tensors, axis))
    return result


def astype(x: Tensor, dtype: Any) -> Tensor:
    """The values in another dtype.

    >>> from tinygrad_lr import astype, tensor
    >>> astype(tensor([1.5]), "int64")
    tensor([1])
    """
    result: Tensor = call(cast, (x, np.dtype(dtype)))
    return result


def numpy(x: Tensor) -> Any:
    """The values as a NumPy array that cannot be written.

    >>> from tinygrad_lr import numpy, tensor
    >>> numpy(tensor([1.5]))
    array([1.5])
    """
    return x.numpy()


def size(x: Any) -> int:
    """The number of elements.

    >>> from tinygrad_lr import size
    >>> size([[1, 2], [3, 4]])
    4
    """
    return int(np.size(x.array if isinstance(x, Tensor) else x))
