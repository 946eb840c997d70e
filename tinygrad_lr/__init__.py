"""Reverse-mode automatic differentiation from scratch, on NumPy.

>>> import numpy as np
>>> from tinygrad_lr import record, tensor
>>> x = tensor([0.0, 1.0, 2.0])
>>> x.attach_grad()
>>> with record():
...     y = np.sum(x * np.exp(-x))
>>> y.backward()
>>> x.grad
tensor([ 1.        ,  0.        , -0.13533528])

Every name of NumPy's that is not written out here is lifted from NumPy on demand (`tinygrad_lr.exp`,
`tinygrad_lr.linalg.norm`), so that a program can use one name for everything:
`import tinygrad_lr as d2l`, or `as np`.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING, Any

import numpy as _np

from . import autograd
from .autograd import (
    detect_anomaly,
    is_recording,
    is_training,
    pause,
    predict_mode,
    record,
    train_mode,
)
from .derivatives import constant, derivative, differentiable
from .names import (
    arange,
    array,
    astype,
    concat,
    eye,
    full,
    lift,
    linspace,
    matmul,
    ndarray,
    normal,
    numpy,
    ones,
    rand,
    randn,
    reduce_max,
    reduce_mean,
    reduce_sum,
    reshape,
    size,
    zeros,
)
from .tensor import Tensor, asarray, tensor

if TYPE_CHECKING:
    from .board import ProgressBoard
    from .book import Timer, plot, set_axes, set_figsize, use_svg_display
    from .callbacks import Checkpoint, EarlyStopping
    from .checkpoints import CheckpointError
    from .compiler import compile
    from .data import DataModule, SyntheticRegressionData
    from .hyperparameters import HyperParameters, add_to_class
    from .linear import LinearRegressionScratch
    from .models import (
        MLP,
        Classifier,
        LinearRegression,
        SoftmaxRegression,
        WeightDecayScratch,
    )
    from .module import Module
    from .npx import log_softmax, one_hot, pick, relu, set_np, sigmoid, softmax
    from .optim import SGD, Adam, CosineAnnealingLR, StepLR
    from .trainer import DivergenceError, Trainer

__version__ = "0.1.0"

#: where the names for learning are; they are imported when they are first used
_LEARNING = {
    "compile": "compiler",
    "Adam": "optim",
    "Checkpoint": "callbacks",
    "CheckpointError": "checkpoints",
    "Classifier": "models",
    "CosineAnnealingLR": "optim",
    "DataModule": "data",
    "DivergenceError": "trainer",
    "EarlyStopping": "callbacks",
    "HyperParameters": "hyperparameters",
    "LinearRegression": "models",
    "LinearRegressionScratch": "linear",
    "MLP": "models",
    "Module": "module",
    "ProgressBoard": "board",
    "SGD": "optim",
    "SoftmaxRegression": "models",
    "StepLR": "optim",
    "SyntheticRegressionData": "data",
    "Timer": "book",
    "Trainer": "trainer",
    "WeightDecayScratch": "models",
    "add_to_class": "hyperparameters",
    "log_softmax": "npx",
    "nn_Module": "module",
    "one_hot": "npx",
    "pick": "npx",
    "plot": "book",
    "plt": "book",
    "relu": "npx",
    "set_axes": "book",
    "set_figsize": "book",
    "set_np": "npx",
    "sigmoid": "npx",
    "softmax": "npx",
    "use_svg_display": "book",
}

#: modules that are imported when they are first used
_MODULES = {"callbacks", "func", "gluon", "init", "nn", "npx", "optim"}

__all__ = [
    "MLP",
    "SGD",
    "Adam",
    "Checkpoint",
    "CheckpointError",
    "Classifier",
    "CosineAnnealingLR",
    "DataModule",
    "DivergenceError",
    "EarlyStopping",
    "HyperParameters",
    "LinearRegression",
    "LinearRegressionScratch",
    "Module",
    "ProgressBoard",
    "SoftmaxRegression",
    "StepLR",
    "SyntheticRegressionData",
    "Tensor",
    "Timer",
    "Trainer",
    "WeightDecayScratch",
    "add_to_class",
    "arange",
    "array",
    "asarray",
    "astype",
    "autograd",
    "compile",
    "concat",
    "constant",
    "derivative",
    "detect_anomaly",
    "differentiable",
    "eye",
    "full",
    "is_recording",
    "is_training",
    "lift",
    "linspace",
    "log_softmax",
    "matmul",
    "ndarray",
    "normal",
    "numpy",
    "one_hot",
    "ones",
    "pause",
    "pick",
    "plot",
    "predict_mode",
    "rand",
    "randn",
    "record",
    "reduce_max",
    "reduce_mean",
    "reduce_sum",
    "relu",
    "reshape",
    "set_axes",
    "set_figsize",
    "set_np",
    "sigmoid",
    "size",
    "softmax",
    "tensor",
    "train_mode",
    "use_svg_display",
    "zeros",
]


def __getattr__(name: str) -> Any:
    if name in _LEARNING:
        value = getattr(_import_module(f".{_LEARNING[name]}", __name__), name)
    elif name == "np":  # for programs that say `from mxnet import np`
        value = _import_module(__name__)
    elif name == "special":  # scipy.special on tensors
        value = _import_module(".derivatives.special", __name__)
    elif name in _MODULES:
        value = _import_module(f".{name}", __name__)
    else:
        value = lift(_np, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LEARNING, *_MODULES, *dir(_np)})
