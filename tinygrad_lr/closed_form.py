"""Least squares without a gradient step: what training is measured against.

Of Dask arrays only the `Moments` are computed, chunk by chunk where they lie, in one pass.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .lazy import is_lazy
from .tables import DataError


@dataclass(frozen=True, eq=False)
class Standardisation:
    """z = (x - mean) / scale, column by column, as fitted to some data (often written "z-score").

    `mean` and `scale` have the shape (features,), or () for a single column of shape (rows,). The scale is
    the standard deviation sqrt(sum((x - mean)^2) / rows), so that standardised columns have mean 0 and mean
    square 1; a column that does not vary gets the scale 1 instead of 0. Gradient descent on standardised
    columns does not depend on the units of the data (Hastie, Tibshirani, Friedman, The Elements of
    Statistical Learning, 2nd ed., section 11.5.3). Of a Dask array they are computed on the cluster.

    >>> X = np.array([[1.0, 200.0], [3.0, 600.0]])
    >>> standardisation = Standardisation.fit(X)
    >>> standardisation.mean.tolist(), standardisation.scale.tolist()
    ([2.0, 400.0], [1.0, 200.0])
    >>> standardisation.apply(X).tolist()
    [[-1.0, -1.0], [1.0, 1.0]]
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def fit(cls, x: Any) -> Standardisation:
        """Mean and scale of the columns of `x`, shape (rows, features) or (rows,).

        Raises ValueError if `x` has no rows, or if it is a Dask array with NaN or infinity in it.
        """
        if is_lazy(x):
            whole = moments(x).stand_in()
            return cls.fit(whole if np.ndim(x) == 2 else whole[:, 0])
        x = np.asarray(x, dtype=np.float64)
        if x.ndim == 0 or len(x) == 0:
            raise ValueError(f"no mean without rows: x has shape {x.shape}; pass at least one row")
        # Asked of the range, as rounding gives the mean of equal numbers a deviation that is not quite zero.
        deviation = x.std(axis=0)
        varies = (np.ptp(x, axis=0) > 0) & (deviation > 0)  # squares of tiny differences underflow to zero
        return cls(np.asarray(x.mean(axis=0)), np.where(varies, deviation, 1.0))

    def apply(self, x: Any) -> Any:
        """Standardised `x`, of the same shape: float64s, or a Dask array of them that is not computed yet."""
        x = x if is_lazy(x) else np.asarray(x, dtype=np.float64)
        z = (x - self.mean) / self.scale
        return z if is_lazy(z) else np.asarray(z)

    def to_data_units(
        self, w: ArrayLike, b: ArrayLike, target: Standardisation | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The parameters (w, b) of a model of standardised features, for features in the data's own units.

        With z = (x - m) / s and, if the target was standardised too, y = m_y + s_y * (z @ w + b):

            y = x @ w' + b',   w' = s_y * w / s,   b' = m_y + s_y * b - m @ w'

        `w` (features,) goes with `b` (), and `w` (features, 1) with `b` (1,); the results have these shapes.
        Of a single column of shape (rows,) `w` is a number too, with the shape ().

        >>> X, y = np.array([[1.0], [3.0]]), np.array([10.0, 50.0])
        >>> w, b = Standardisation.fit(X).to_data_units([1.0], 0.0, target=Standardisation.fit(y))
        >>> w.tolist(), b.tolist()  # the line through (1, 10) and (3, 50)
        ([20.0], -10.0)
        """
        target = target or Standardisation(np.zeros(()), np.ones(()))
        w = np.asarray((target.scale * np.asarray(w, dtype=np.float64).T / self.scale).T)
        b = target.mean + target.scale * np.asarray(b, dtype=np.float64) - np.dot(self.mean, w)
        return w, np.asarray(b)


def least_squares(X: Any, y: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The (w, b) that minimise sum((X @ w + b - y)^2).

    `X` has the shape (rows, features); `y` (rows,) gives `w` (features,) and `b` (), and `y` (rows, 1) gives
    `w` (features, 1) and `b` (1,). They solve the normal equations [X 1]^T ([X 1] (w, b) - y) = 0 (Hastie,
    Tibshirani, Friedman, The Elements of Statistical Learning, 2nd ed., section 3.2), here by a singular
    value decomposition (`numpy.linalg.lstsq`), which unlike those does not square the condition number.

    Columns and target are centred first, which leaves w as it is and makes b = mean(y) - mean(X) @ w (Frisch
    and Waugh 1933, Econometrica 1(4)): a column of years then counts by its variation, not by its 2000.
    Columns are scaled as well, so that the rank does not depend on units. Where the columns are dependent and
    many w do equally well, it is the one whose weights of the standardised columns are smallest.

    Of Dask arrays it is computed from X^T X and X^T y, summed over the chunks: see `Moments`.

    Raises ValueError if the shapes do not fit, or if there is NaN or infinity in a Dask array.

    >>> w, b = least_squares([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
    >>> w.round(12).tolist(), b.round(12).tolist()
    ([2.0], 1.0)
    """
    lazy = is_lazy(X) and is_lazy(y)
    if not lazy:
        X, y = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
    X_shape, y_shape = np.shape(X), np.shape(y)
    if len(X_shape) != 2 or y_shape not in (X_shape[:1], (*X_shape[:1], 1)):
        shapes = f"X has shape {X_shape} and y {y_shape}"
        raise ValueError(f"{shapes}; write X as (rows, features) and y as (rows,) or (rows, 1)")
    if lazy:
        whole = moments(X, y).stand_in()
        X, y = whole[:, :-1], whole[:, -1].reshape(-1, *y_shape[1:])
    standardisation = Standardisation.fit(X)
    mean = y.mean(axis=0)
    w = np.linalg.lstsq(standardisation.apply(X), y - mean)[0]
    return standardisation.to_data_units(w, mean)


def r_squared(y: Any, y_hat: Any) -> float:
    """The coefficient of determination, 1 - sum((y - y_hat)^2) / sum((y - mean(y))^2).

    It is the share of the variance of `y` that the predictions `y_hat` explain: 1 for perfect ones, 0 for the
    mean, negative for worse than the mean (the first of the eight forms in Kvalseth 1985, The American
    Statistician 39(4)). NaN if `y` does not vary: there is nothing to explain.

    Raises ValueError if the shapes differ: NumPy would make (rows, rows) of (rows,) and (rows, 1).

    >>> r_squared([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
    0.5
    """
    if is_lazy(y) and is_lazy(y_hat) and y.shape == y_hat.shape:
        whole = moments(y, y - y_hat)
        (total, _), (_, errors) = whole.products
        return float(1 - (errors + whole.rows * whole.mean[1] ** 2) / total) if total else float("nan")
    y, y_hat = np.asarray(y, dtype=np.float64), np.asarray(y_hat, dtype=np.float64)
    if y.shape != y_hat.shape:
        raise ValueError(f"y has shape {y.shape} and y_hat {y_hat.shape}; reshape one to the other's shape")
    if y.size == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(1 - np.sum((y - y_hat) ** 2) / np.sum((y - y.mean()) ** 2))


@dataclass(frozen=True, eq=False)
class Moments:
    """What least squares sees of a table: the number of rows, the mean of each column, and the sums of
    products of deviations from it, sum((x_i - mean_i) (x_j - mean_j)), shape (columns, columns).

    The moments of two parts of a table add up to those of the whole (Chan, Golub and LeVeque 1983, The
    American Statistician 37(3)), so that each part is read once, wherever it is. `digest` tells tables apart.

    >>> x = np.array([[1.0, 2.0], [3.0, 2.0], [5.0, 8.0]])
    >>> (Moments.of(x[:1]) + Moments.of(x[1:])).products.tolist()
    [[8.0, 12.0], [12.0, 24.0]]
    """

    rows: int
    mean: NDArray[np.float64]
    products: NDArray[np.float64]
    digest: bytes

    @classmethod
    def of(cls, x: Any, place: str = "", columns: Sequence[str] = ()) -> Moments:
        """The moments of an array of shape (rows, columns), or (rows,) for one column.

        Raises DataError if a number is NaN or infinite. It names the place and the column.
        """
        x = np.ascontiguousarray(x, dtype=np.float64)
        digest = hashlib.sha256(x).digest()
        x = x if x.ndim == 2 else x[:, np.newaxis]
        if not len(x):
            return cls(0, np.zeros(x.shape[1]), np.zeros((x.shape[1], x.shape[1])), digest)
        first = x[0]  # deviations from it have all digits, and are exactly 0 in a constant column
        with np.errstate(invalid="ignore", over="ignore"):
            x = x - first
            mean = x.mean(axis=0)
            if not np.isfinite(mean).all():
                _refuse(x + first, place, columns)
            x -= mean
            return cls(len(x), first + mean, x.T @ x, digest)

    def __add__(self, other: Moments) -> Moments:
        rows = self.rows + other.rows
        step, share = other.mean - self.mean, other.rows / max(1, rows)
        mean = self.mean + step * share
        products = self.products + other.products + np.outer(step, step) * (self.rows * share)
        return Moments(rows, mean, products, hashlib.sha256(self.digest + other.digest).digest())

    def stand_in(self) -> NDArray[np.float64]:
        """A few rows, shape (2 * columns, columns), with the same means and mean products of deviations.

        Standardisation, least squares, R^2 and the loss of every linear model are the same for them as for
        the whole table. They are the mean plus and minus the rows of a square root of the covariance. The
        products hold squares, so that half of the digits are left for directions in which the table hardly
        varies: by less than 1e-7 of a column's deviation, and the columns count as dependent.

        >>> Moments.of([[1.0], [3.0]]).stand_in().tolist()
        [[3.0], [1.0]]
        """
        deviation = np.sqrt(np.diag(self.products) / max(1, self.rows))
        scale = np.where(deviation > 0, deviation, 1)
        values, vectors = np.linalg.eigh(self.products / max(1, self.rows) / np.outer(scale, scale))
        values[values < 1e-14 * len(values)] = 0
        root = np.sqrt(len(values) * values[:, np.newaxis]) * vectors.T * scale
        return np.concatenate([self.mean + root, self.mean - root])


def moments(*arrays: Any, places: Sequence[str] = (), columns: Sequence[str] = ()) -> Moments:
    """The moments of the columns of Dask arrays side by side, computed where their chunks are, in one pass.

    `places` and `columns` are the names of chunks and columns for errors.

    The parts are added in the order of the chunks, so that the result does not depend on the workers.

    Raises DataError if a number is NaN or infinite.

    >>> import dask.array
    >>> moments(dask.array.arange(4, chunks=2)).mean
    array([1.5])
    """
    da: Any = import_module("dask.array")
    delayed: Any = import_module("dask").delayed
    columnar = [array[:, np.newaxis] if array.ndim == 1 else array for array in arrays]
    x = da.concatenate(columnar, axis=1, allow_unknown_chunksizes=True)
    blocks = x.rechunk({1: -1}).to_delayed().ravel()
    names = places or [f"chunk {i}" for i in range(len(blocks))]
    parts = [delayed(Moments.of)(b, name, columns) for b, name in zip(blocks, names, strict=True)]
    while len(parts) > 1:
        parts = [delayed(_total)(parts[i : i + 8]) for i in range(0, len(parts), 8)]
    whole: Moments = parts[0].compute()
    return whole


def _total(parts: Sequence[Moments]) -> Moments:
    first, *rest = parts
    return sum(rest, start=first)


def _refuse(x: NDArray[np.float64], place: str, columns: Sequence[str]) -> None:
    """Raise DataError that names the first number which is not finite, or the column that overflows."""
    bad = np.argwhere(~np.isfinite(x))
    row, i = bad[0] if len(bad) else (0, int(np.argmax(abs(x).max(axis=0))))
    name = f"column {columns[i]!r}" if columns else f"column {i}"
    where = f"{place}, row {row}, {name}" if len(bad) else f"{place}, {name}"
    if len(bad) and np.isnan(x[row, i]):
        raise DataError(f"{where}: the value is missing or NaN; fill it in or remove the row")
    if len(bad):
        raise DataError(f"{where}: the value is infinite; correct it or remove the row")
    raise DataError(f"{where}: the sum of its values overflows; use another unit")
