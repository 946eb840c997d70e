"""NumPy's functions as methods: all that an array has beside its operators."""

import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .derivatives import cast


def _method(function: Any) -> Callable[..., Any]:
    """NumPy's function as a method: the array is its first argument."""

    def method(self: "ArrayMethods", *args: Any, **options: Any) -> Any:
        if options and isinstance(options.get("axis"), list):  # as MXNet's may be
            options["axis"] = tuple(options["axis"])
        return self.__array_function__(function, (), (self, *args), options)

    method.__name__ = method.__qualname__ = function.__name__
    method.__doc__ = f"`np.{function.__name__}` of this tensor, with the same arguments."
    return method


class ArrayMethods:
    """The methods of a NumPy array, for what has an array inside: each calls the function of the same name.

    >>> from tinygrad_lr import tensor
    >>> x = tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> x.shape, x.T[0], x.sum(axis=1)
    ((2, 2), tensor([1., 3.]), tensor([3., 7.]))
    """

    __slots__ = ()
    array: Any
    __array_function__: Callable[..., Any]  # what each of the methods ends in

    def _call(self, function: Any, *args: Any, **options: Any) -> Any:
        return self.__array_function__(function, (), (self, *args), options)

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""
        return self.array.shape  # type: ignore[no-any-return]  # of any array type

    @property
    def dtype(self) -> Any:
        """The type of the elements."""
        return self.array.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.array.ndim  # type: ignore[no-any-return]

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.array.size  # type: ignore[no-any-return]

    @property
    def itemsize(self) -> int:
        """The number of bytes of an element."""
        return self.array.itemsize  # type: ignore[no-any-return]

    @property
    def nbytes(self) -> int:
        """The number of bytes of all elements."""
        return self.array.nbytes  # type: ignore[no-any-return]

    T = property(lambda self: self._call(np.transpose), doc="The axes in reverse order.")
    mT = property(lambda self: self._call(np.swapaxes, -1, -2), doc="The last two axes swapped.")  # noqa: N815
    real = property(lambda self: self._call(np.real), doc="The real part.")
    imag = property(lambda self: self._call(np.imag), doc="The imaginary part.")

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key: Any) -> Any:
        return self._call(operator.getitem, key)

    def __round__(self, digits: int = 0) -> Any:
        return self._call(np.round, digits)

    def reshape(self, shape: Any, *more: Any, order: str = "C") -> Any:
        """The same elements in another shape, given as numbers or as a tuple."""
        new = shape if isinstance(shape, (list, tuple)) else (shape, *more)  # Dask's needs a tuple
        return self._call(np.reshape, new, **({} if order == "C" else {"order": order}))

    def transpose(self, *axes: Any) -> Any:
        """The axes in another order (reversed by default), given as numbers or as a tuple."""
        return self._call(np.transpose, axes[0] if len(axes) == 1 else axes or None)

    def copy(self, order: Any = "K") -> Any:
        """A copy, as of `np.copy`."""
        if hasattr(self.array, "__dask_graph__"):  # np.copy would compute it
            return self.astype(self.dtype)
        return self._call(np.copy, **({} if order == "K" else {"order": order}))

    def flatten(self, order: str = "C") -> Any:
        """A copy in one dimension."""
        return (self.ravel() if order == "C" else self.ravel(order)).copy()  # Dask's knows no order

    def astype(self, dtype: Any, copy: bool = True, *, casting: Any = "unsafe") -> Any:
        """The values in another dtype; a gradient flows back in this tensor's own."""
        if casting != "unsafe":
            self.array.astype(dtype, casting=casting)  # which NumPy refuses or not
        return self._call(cast, np.dtype(dtype)) if copy or self.dtype != dtype else self

    def clip(self, min: Any = None, max: Any = None) -> Any:
        """The values between two bounds, of which either may be None."""
        return self._call(np.clip, min, max)

    def compress(self, condition: Any, axis: int | None = None) -> Any:
        """`np.compress` of this tensor, which there is the second argument."""
        return self.__array_function__(np.compress, (), (condition, self), {"axis": axis})

    sum, prod, mean, var, std = map(_method, (np.sum, np.prod, np.mean, np.var, np.std))
    max, min, argmax, argmin = map(_method, (np.max, np.min, np.argmax, np.argmin))
    all, any, argsort, nonzero = map(_method, (np.all, np.any, np.argsort, np.nonzero))
    cumsum, cumprod, ptp, round = map(_method, (np.cumsum, np.cumprod, np.ptp, np.round))
    dot, trace, diagonal, take, repeat = map(_method, (np.dot, np.trace, np.diagonal, np.take, np.repeat))
    squeeze, swapaxes, ravel = map(_method, (np.squeeze, np.swapaxes, np.ravel))
    conj, conjugate = map(_method, (np.conj, np.conj))


class Missing:
    """An attribute of NumPy's arrays that is not there: the error says what to write instead.

    `__getattr__` would do, but makes every attribute slower, and unknown to type checkers.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        in_numpy = f"np.{name}(x, ...)" if hasattr(np, name) else f"x.numpy().{name}"
        self.instead = "x.ravel()" if name == "flat" else in_numpy

    def __get__(self, array: Any, owner: type) -> Any:
        what = f"a Tensor has no attribute {self.name!r}: write {self.instead}"
        raise AttributeError(what, name=self.name, obj=array)


for _name in dir(np.ndarray):
    if not _name.startswith("_") and not hasattr(ArrayMethods, _name):
        setattr(ArrayMethods, _name, Missing(_name))
