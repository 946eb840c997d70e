"""Least squares without a gradient step: what training is measured against."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class Standardisation:
    """z = (x - mean) / scale, column by column, as fitted to some data (often written "z-score").

    `mean` and `scale` have the shape (features,), or () for a single column of shape (rows,). The scale is
    the standard deviation sqrt(sum((x - mean)^2) / rows), so that standardised columns have mean 0 and mean
    square 1; a column that does not vary gets the scale 1 instead of 0. Gradient descent on standardised
    columns does not depend on the units of the data (Hastie, Tibshirani, Friedman, The Elements of
    Statistical Learning, 2nd ed., section 11.5.3).

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
    def fit(cls, x: ArrayLike) -> "Standardisation":
        """Mean and scale of the columns of `x`, shape (rows, features) or (rows,).

        Raises ValueError if `x` has no rows.
        """
        x = np.asarray(x, dtype=np.float64)
        if x.ndim == 0 or len(x) == 0:
            raise ValueError(f"no mean without rows: x has shape {x.shape}; pass at least one row")
        # Asked of the range, as rounding gives the mean of equal numbers a deviation that is not quite zero.
        deviation = x.std(axis=0)
        varies = (np.ptp(x, axis=0) > 0) & (deviation > 0)  # squares of tiny differences underflow to zero
        return cls(np.asarray(x.mean(axis=0)), np.where(varies, deviation, 1.0))

    def apply(self, x: ArrayLike) -> NDArray[np.float64]:
        """Standardised `x`, of the same shape."""
        return np.asarray((np.asarray(x, dtype=np.float64) - self.mean) / self.scale)

    def to_data_units(
        self, w: ArrayLike, b: ArrayLike, target: "Standardisation | None" = None
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


def least_squares(X: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The (w, b) that minimise sum((X @ w + b - y)^2).

    `X` has the shape (rows, features); `y` (rows,) gives `w` (features,) and `b` (), and `y` (rows, 1) gives
    `w` (features, 1) and `b` (1,). They solve the normal equations [X 1]^T ([X 1] (w, b) - y) = 0 (Hastie,
    Tibshirani, Friedman, The Elements of Statistical Learning, 2nd ed., section 3.2), here by a singular
    value decomposition (`numpy.linalg.lstsq`), which unlike those does not square the condition number.

    Columns and target are centred first, which leaves w as it is and makes b = mean(y) - mean(X) @ w (Frisch
    and Waugh 1933, Econometrica 1(4)): a column of years then counts by its variation, not by its 2000.
    Columns are scaled as well, so that the rank does not depend on units. Where the columns are dependent and
    many w do equally well, it is the one whose weights of the standardised columns are smallest.

    Raises ValueError if the shapes do not fit.

    >>> w, b = least_squares([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
    >>> w.round(12).tolist(), b.round(12).tolist()
    ([2.0], 1.0)
    """
    X, y = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if X.ndim != 2 or y.shape not in ((len(X),), (len(X), 1)):
        shapes = f"X has shape {X.shape} and y {y.shape}"
        raise ValueError(f"{shapes}; write X as (rows, features) and y as (rows,) or (rows, 1)")
    standardisation = Standardisation.fit(X)
    mean = y.mean(axis=0)
    w = np.linalg.lstsq(standardisation.apply(X), y - mean)[0]
    return standardisation.to_data_units(w, mean)


def r_squared(y: ArrayLike, y_hat: ArrayLike) -> float:
    """The coefficient of determination, 1 - sum((y - y_hat)^2) / sum((y - mean(y))^2).

    It is the share of the variance of `y` that the predictions `y_hat` explain: 1 for perfect ones, 0 for the
    mean, negative for worse than the mean (the first of the eight forms in Kvalseth 1985, The American
    Statistician 39(4)). NaN if `y` does not vary: there is nothing to explain.

    Raises ValueError if the shapes differ: NumPy would make (rows, rows) of (rows,) and (rows, 1).

    >>> r_squared([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
    0.5
    """
    y, y_hat = np.asarray(y, dtype=np.float64), np.asarray(y_hat, dtype=np.float64)
    if y.shape != y_hat.shape:
        raise ValueError(f"y has shape {y.shape} and y_hat {y_hat.shape}; reshape one to the other's shape")
    if y.size == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(1 - np.sum((y - y_hat) ** 2) / np.sum((y - y.mean()) ** 2))
