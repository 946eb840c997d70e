"""Data: minibatches, and the synthetic data set whose true parameters are known."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from operator import index
from typing import Any, cast

import numpy as np

from .hyperparameters import HyperParameters, missing_method
from .lazy import is_lazy
from .names import matmul
from .tensor import Tensor, asarray


class TensorLoader:
    """Minibatches of tensors that have one row per example: every iteration is one epoch.

    With a `seed` the examples are shuffled anew for each epoch, in an order that depends on nothing but the
    seed and the number of the epoch. Setting `epoch` so continues where another run stopped; and `skip`, the
    number of minibatches that the next iteration leaves out, continues within an epoch.

    Parameters
    ----------
    tensors : of equal length. A path of a .npy file stands for the array in it, which is mapped into memory:
        of a file larger than memory only the rows of one minibatch are held at a time.
    batch_size : number of examples in a minibatch; the last one of an epoch has what is left.
    seed : of the order, or None for the order of the rows.
    indices : the rows to go through, as a slice, an array of numbers or a mask.

    Raises ValueError for unequal lengths, for no examples, and for a file that is no array.

    >>> from tinygrad_lr import arange
    >>> from tinygrad_lr.data import TensorLoader
    >>> loader = TensorLoader([arange(5, dtype=int)], batch_size=3)
    >>> len(loader), list(loader)
    (2, [(tensor([0, 1, 2]),), (tensor([3, 4]),)])
    """

    def __init__(
        self,
        tensors: Sequence[Any],
        batch_size: int,
        seed: int | None = None,
        indices: Any = slice(0, None),
    ) -> None:
        self.tensors = tuple(asarray(mapped(t)) for t in tensors)
        self.batch_size, self.seed, self.epoch, self.skip = batch_size, seed, 0, 0
        self.taken = 0  # minibatches of the last iteration
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {batch_size}")
        self.rows = self._choose(indices)
        if not len(self.rows):
            raise ValueError("a loader needs at least one example, but there is none")

    def _choose(self, indices: Any) -> Any:
        """The numbers of the rows to go through."""
        lengths = [len(t) for t in self.tensors]
        if len(set(lengths)) > 1:
            raise ValueError(f"the tensors need one row per example each, but their lengths are {lengths}")
        return np.arange(lengths[0] if lengths else 0)[indices]

    @property
    def num_examples(self) -> int:
        """The number of examples that an epoch goes through."""
        return len(self.rows)

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        rows = self.rows
        if self.seed is not None:
            rows = rows[np.random.default_rng([self.seed, self.epoch]).permutation(len(rows))]
        self.epoch, self.taken, self.skip = self.epoch + 1, self.skip, 0
        return self._batches(rows, self.taken)

    def _batches(self, rows: Any, first: int) -> Iterator[tuple[Tensor, ...]]:
        for start in range(first * self.batch_size, len(rows), self.batch_size):
            self.taken += 1
            batch = rows[start : start + self.batch_size]
            yield tuple(self._take(tensor, batch) for tensor in self.tensors)

    def _take(self, tensor: Tensor, rows: Any) -> Tensor:
        return cast(Tensor, tensor[rows])

    def state_dict(self) -> dict[str, Any]:
        """The position in the data: what the next iteration depends on."""
        return {"seed": self.seed, "epoch": self.epoch, "skip": self.skip}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state_dict`. Raises ValueError and TypeError for other numbers."""
        seed, epoch, skip = state["seed"], index(state["epoch"]), index(state["skip"])
        if epoch < 0 or skip < 0:
            raise ValueError(f"epoch and skip must be 0 or more, not {epoch} and {skip}")
        self.seed, self.epoch, self.skip = None if seed is None else index(seed), epoch, skip


class BlockLoader(TensorLoader):
    """Minibatches of Dask arrays: whole chunks of rows, so that each is used where it lies.

    As `TensorLoader`, but it is the chunks that are shuffled for every epoch; within a chunk the examples
    stay in order. So shuffle those of a sorted file when it is written.

    Parameters
    ----------
    tensors : of Dask arrays, chunked alike along the rows.
    batch_size : number of examples in a minibatch, roughly: so many chunks as have them on average.
    seed : of the order, or None for the order of the rows.
    indices : the rows to go through, as a slice.

    Attributes
    ----------
    chunks : the numbers of the chunks in the last minibatch.

    Raises ValueError for chunks of unknown or unequal lengths and for no examples, and TypeError for other
    arrays and other indices.

    >>> import dask.array
    >>> from tinygrad_lr.data import BlockLoader
    >>> loader = BlockLoader([dask.array.arange(8, chunks=2)], batch_size=4, seed=0)
    >>> [batch.array.compute().tolist() for (batch,) in loader]
    [[0, 1, 4, 5], [2, 3, 6, 7]]
    """

    def _choose(self, indices: Any) -> Any:
        """The numbers of the chunks; the tensors lose the other rows, and the batch size counts chunks."""
        check_chunks(self.tensors)
        if not isinstance(indices, slice):
            raise TypeError(
                f"rows of Dask arrays are chosen by a slice, not by {type(indices).__name__}, which would "
                "take some out of every chunk. Write slice(0, n), and the data in an order it can split."
            )
        self.tensors = tuple(t[indices] for t in self.tensors)
        chunks = np.flatnonzero(self.tensors[0].array.chunks[0])  # others have no rows
        self.batch_size = math.ceil(self.batch_size * len(chunks) / max(1, self.num_examples))
        return chunks

    @property
    def num_examples(self) -> int:
        return len(self.tensors[0])

    def _take(self, tensor: Tensor, rows: Any) -> Tensor:
        # what comes over a network may lie at any address, and then NumPy adds in another order
        self.chunks = np.sort(rows)
        array = tensor.array.blocks[self.chunks]
        return asarray(array.map_blocks(np.require, requirements="A", dtype=array.dtype))


def check_chunks(tensors: Sequence[Tensor]) -> None:
    """See that all arrays are Dask's, and chunked alike along the rows, in known lengths.

    Raises TypeError and ValueError that say how to make them so.
    """
    chunks = next(t.array.chunks[0] for t in tensors if is_lazy(t.array))
    for i, array in enumerate(t.array for t in tensors):
        if not is_lazy(array):
            raise TypeError(
                f"tensors[{i}] is a {type(array).__name__} among Dask arrays. Chunk it as they are: "
                "dask.array.from_array(y, chunks=(X.chunks[0], *y.shape[1:]))"
            )
        if unknown := sum(map(math.isnan, array.chunks[0])):
            raise ValueError(
                f"{unknown} of the {array.numblocks[0]} chunks of tensors[{i}] are of unknown length. Write "
                "X = X.compute_chunk_sizes(), which computes it once."
            )
        if array.chunks[0] != chunks:
            raise ValueError(
                f"tensors[{i}] has {array.numblocks[0]} chunks of up to {max(array.chunks[0])} rows, but "
                f"others have {len(chunks)} of up to {max(chunks)}. Write y = y.rechunk({{0: X.chunks[0]}})."
            )


def mapped(source: Any) -> Any:
    """The array in a .npy file, read where it is used; anything else as it is."""
    if not isinstance(source, (str, os.PathLike)):
        return source
    try:
        array = np.load(source, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise ValueError(f"{source} is no .npy file of numbers: {error}") from None
    if not isinstance(array, np.ndarray):
        array.close()
        raise ValueError(f"{source} is no .npy file but an archive of several; save each with np.save")
    return array


class DataModule(HyperParameters):
    """Data for training and validation. A subclass says in `get_dataloader` where its minibatches come from.

    Parameters
    ----------
    root : folder of the files, for subclasses that read some.
    num_workers : has no effect. In the book it is the number of processes that load; here minibatches are
        rows of arrays, which the training process takes itself.

    >>> import numpy as np
    >>> from tinygrad_lr.data import DataModule
    >>> class Squares(DataModule):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.batch_size, self.seed = 4, 0
    ...     def get_dataloader(self, train):
    ...         x = np.arange(10.0)[:, None]
    ...         return self.get_tensorloader((x, x**2), train, slice(0, 8) if train else slice(8, 10))
    >>> [len(x) for x, y in Squares().train_dataloader()]
    [4, 4]
    >>> [(x.tolist(), y.tolist()) for x, y in Squares().val_dataloader()]
    [([[8.0], [9.0]], [[64.0], [81.0]])]
    """

    batch_size: int = 32
    seed: int | None = None

    def __init__(self, root: str = "../data", num_workers: int = 4) -> None:
        self.save_hyperparameters()

    def get_dataloader(self, train: bool) -> Any:
        """The minibatches for training, or those for validation: something with `len()` to iterate over.

        Raises NotImplementedError where no subclass has written it.
        """
        minibatches = "minibatches: self.get_tensorloader((X, y), train)"
        raise missing_method(self, "get_dataloader(self, train)", minibatches)

    def train_dataloader(self) -> Any:
        """The minibatches for training."""
        return self.get_dataloader(train=True)

    def val_dataloader(self) -> Any:
        """The minibatches for validation, or None."""
        return self.get_dataloader(train=False)

    def get_tensorloader(
        self, tensors: Sequence[Any], train: bool, indices: Any = slice(0, None)
    ) -> TensorLoader:
        """Minibatches of `self.batch_size` from the rows `indices` of the tensors, shuffled for training.

        The order depends on `self.seed`; if that is None, on NumPy's global generator. For the tensors, which
        can also be paths of .npy files, see `TensorLoader`; for those of Dask arrays, `BlockLoader`.
        """
        seed = self.seed
        if train and seed is None:
            seed = int(np.random.randint(2**31))
        lazy = any(is_lazy(getattr(t, "array", t)) for t in tensors)
        loader = BlockLoader if lazy else TensorLoader
        return loader(tensors, self.batch_size, seed if train else None, indices)


class SyntheticRegressionData(DataModule):
    """Data that a linear model made: y = Xw + b + noise.

    Parameters
    ----------
    w : the true weights, shape (d,) or (d, 1).
    b : the true bias, a number.
    noise : the standard deviation of the normal noise.
    num_train, num_val : numbers of examples; without validation examples, `val_dataloader()` is None.
    batch_size : number of examples in a minibatch.
    seed : of the inputs, the noise and the order of the minibatches; None for NumPy's global generator, which
        np.random.seed sets.

    Attributes
    ----------
    X : inputs, drawn from the standard normal distribution, shape (n, d).
    y : shape (n, 1).
    n : num_train + num_val.

    >>> from tinygrad_lr.data import SyntheticRegressionData
    >>> data = SyntheticRegressionData(w=[2, -3.4], b=4.2, seed=0)
    >>> X, y = next(iter(data.train_dataloader()))
    >>> X.shape, y.shape
    ((32, 2), (32, 1))
    """

    b: Any
    noise: float
    num_train: int
    num_val: int

    def __init__(
        self,
        w: Any,
        b: Any,
        noise: float = 0.01,
        num_train: int = 1000,
        num_val: int = 1000,
        batch_size: int = 32,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["w"])
        self.w = asarray(w)
        self.n = num_train + num_val
        # the third number tells this stream from those of the epochs' orders, which have two
        draw: Any = np.random if seed is None else np.random.default_rng([seed, 0, 1])
        self.X = asarray(draw.standard_normal((self.n, self.w.size)))
        errors = noise * draw.standard_normal((self.n, 1))
        self.y = matmul(self.X, self.w.reshape(-1, 1)) + b + errors

    def get_dataloader(self, train: bool) -> Any:
        if not train and self.num_val == 0:
            return None
        rows = slice(0, self.num_train) if train else slice(self.num_train, None)
        return self.get_tensorloader((self.X, self.y), train, rows)
