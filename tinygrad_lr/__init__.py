"""Reverse-mode automatic differentiation from scratch, on NumPy."""

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
from .tensor import Tensor, asarray, tensor

__version__ = "0.1.0"
