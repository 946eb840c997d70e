"""Arrays whose values are not known yet: Dask's, which are computed on a cluster when they are asked for."""

from collections.abc import Iterable
from importlib import import_module
from typing import Any

import numpy as np

from .tensor import Tensor


def is_lazy(array: Any) -> bool:
    """Whether this is a Dask array, by Dask's own protocol."""
    return hasattr(array, "__dask_graph__")


def compute(tensors: Iterable[Any]) -> None:
    """Compute the Dask arrays inside these tensors, all in one go; NumPy arrays take their place.

    What they share is computed once, such as the data that a loss and its gradients are made from. Whatever
    is not a tensor of a Dask array is left as it is.

    >>> import dask.array
    >>> from tinygrad_lr import asarray, record
    >>> w = asarray(2.0)
    >>> w.attach_grad()
    >>> with record():
    ...     loss = (w * dask.array.arange(4, chunks=2)).sum()
    >>> loss.backward()
    >>> compute([loss, w.grad])
    >>> loss, w.grad
    (tensor(12.), tensor(6.))
    """
    lazy = [t for t in tensors if isinstance(t, Tensor) and is_lazy(t.array)]
    if not lazy:
        return
    arrays = import_module("dask").compute(*(t.array for t in lazy))
    for t, array in zip(lazy, arrays, strict=True):
        t.array = np.array(array)  # a copy: a worker in this process may have handed out its own data
