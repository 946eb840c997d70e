"""Pictures of what tinygrad_lr computes."""

from .explanation import Explanation, explain
from .graph import Drawing, draw_graph
from .layout import LayoutError
from .plots import fit_plot, loss_surface, training_curves
from .surface import ParameterPath

__all__ = [
    "Drawing",
    "Explanation",
    "LayoutError",
    "ParameterPath",
    "draw_graph",
    "explain",
    "fit_plot",
    "loss_surface",
    "training_curves",
]
