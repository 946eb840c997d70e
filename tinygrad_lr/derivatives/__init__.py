"""The table of derivatives, a module for each chapter of NumPy's manual; `table` says how a row reads."""

from . import elementwise, indexing, linalg, products, reductions, shape
from .indexing import scatter
from .shape import cast
from .table import DERIVATIVES, Derivative, constant, derivative, differentiable, each

__all__ = [
    "DERIVATIVES",
    "Derivative",
    "cast",
    "constant",
    "derivative",
    "differentiable",
    "each",
    "elementwise",
    "indexing",
    "linalg",
    "products",
    "reductions",
    "scatter",
    "shape",
]
