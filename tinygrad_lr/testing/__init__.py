"""Proof of one's own gradients: of a function, a model, or a rule added to the table.

`check_gradients` compares what the engine says with truths that do not know the engine:

>>> import numpy as np
>>> from tinygrad_lr.testing import check_gradients
>>> check_gradients(lambda w, b: np.tanh(w @ np.ones(2) + b), np.array([0.3, -0.2]), 0.5)

`tinygrad_lr.testing.strategies` draws tensors and whole programs for property-based tests. It needs
Hypothesis (`pip install hypothesis`), and is the only module that does.
"""

from .gradients import NoTruthError, WrongGradientError, check_gradients
from .truths import Slope, adaptive_difference, central_difference, complex_step

__all__ = [
    "NoTruthError",
    "Slope",
    "WrongGradientError",
    "adaptive_difference",
    "central_difference",
    "check_gradients",
    "complex_step",
]
