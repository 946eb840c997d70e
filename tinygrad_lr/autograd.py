"""The functions of automatic differentiation, under the names that the book uses.

>>> from tinygrad_lr import autograd, tensor
>>> x = tensor(2.0)
>>> x.attach_grad()
>>> with autograd.record():
...     y = x**3
>>> autograd.grad(y, x)
tensor(12.)
"""

from .scope import detect_anomaly, is_recording, is_training, pause, predict_mode, record, train_mode
from .tensor import backward, grad

__all__ = [
    "backward",
    "detect_anomaly",
    "grad",
    "is_recording",
    "is_training",
    "pause",
    "predict_mode",
    "record",
    "train_mode",
]
