"""The table of derivatives, a module for each chapter of NumPy's manual; `table` says how a row reads."""

import operator
from typing import Any

import numpy as np

from . import (
    calculus,
    elementwise,
    indexing,
    linalg,
    products,
    ranges,
    reductions,
    shape,
    statistics,
    uncovered,
)
from .indexing import scatter
from .shape import cast
from .table import (
    DERIVATIVES,
    INSTEAD,
    Derivative,
    adds_into,
    composed,
    constant,
    derivative,
    differentiable,
    each,
    moving,
    spreading,
    writes,
)

__all__ = [
    "DERIVATIVES",
    "INSTEAD",
    "Derivative",
    "adds_into",
    "calculus",
    "cast",
    "composed",
    "constant",
    "derivative",
    "differentiable",
    "each",
    "elementwise",
    "indexing",
    "linalg",
    "moving",
    "products",
    "ranges",
    "reductions",
    "scatter",
    "shape",
    "spreading",
    "statistics",
    "uncovered",
    "writes",
]


def _add_part(total: Any, g: Any, y: Any, x: Any, key: Any) -> None:
    """What `scatter` makes for indexing, added to an array in place."""
    parts = key if isinstance(key, tuple) else (key,)
    if all(isinstance(part, (slice, int, np.integer, type(None), type(...))) for part in parts):
        total[key] += g
    elif total.dtype == np.float16:
        total += scatter(g, key, total.shape)
    else:  # which may take an element twice
        np.add.at(total, key, g)


adds_into(operator.getitem, _add_part)

# fmt: off
moving(np.add, np.subtract, np.negative, np.positive, np.sum, np.mean, np.cumsum, np.bincount)
moving(np.where, np.maximum, np.minimum, np.clip, np.max, np.min, np.amax, np.amin, np.nanmax, np.nanmin,
       np.maximum.accumulate, np.minimum.accumulate, np.fmax.accumulate, np.fmin.accumulate,
       np.nansum, np.nanmean, np.nancumsum, np.median, np.nanmedian, selects=True)
spreading(np.prod, np.var, np.std, np.average, np.cumprod, np.logaddexp.reduce, np.logaddexp.accumulate)
spreading(np.nanprod, np.nanvar, np.nanstd, np.nancumprod, np.ptp, np.interp, np.histogram, np.gradient,
          np.quantile, np.percentile, np.nanquantile, np.nanpercentile, selects=True)
spreading(np.matmul, np.dot, np.inner, np.vdot, np.outer, np.vecdot, np.kron, np.cross,
          np.tensordot, np.einsum, np.convolve, np.correlate, np.diff, np.ediff1d, np.trapezoid,
          np.multiply.reduce, np.multiply.accumulate, np.vander, np.polyval, np.cov,
          np.linspace, np.logspace, np.geomspace, np.sinc, np.i0, np.divmod, np.modf, np.frexp)
spreading(np.linalg.matmul, np.linalg.outer, np.linalg.vecdot, np.linalg.cross, np.linalg.tensordot,
          np.linalg.norm, np.linalg.vector_norm, np.linalg.matrix_norm, np.linalg.multi_dot)
if hasattr(np, "cumulative_prod"):  # since NumPy 2.1
    spreading(np.cumulative_prod)
if hasattr(np, "matvec"):  # since NumPy 2.2
    spreading(np.matvec, np.vecmat)

writes("dst", np.copyto)
writes("a", np.put, np.putmask, np.fill_diagonal)
writes("arr", np.place, np.put_along_axis)
writes("x", np.nan_to_num, when=lambda x, copy=True, *_, **__: not copy)
writes("a", np.median, np.nanmedian,
       when=lambda a, axis=None, out=None, overwrite_input=False, *_, **__: overwrite_input)
writes("a", np.quantile, np.percentile, np.nanquantile, np.nanpercentile,
       when=lambda a, q, axis=None, out=None, overwrite_input=False, *_, **__: overwrite_input)
# fmt: on
