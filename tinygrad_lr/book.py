"""Small helpers of the book's programs: plots with one call, and a timer."""

import time
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from .board import notebook
from .tensor import Tensor


def __getattr__(name: str) -> Any:
    """`plt`, matplotlib's pyplot, which is imported when it is first used."""
    if name != "plt":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        import matplotlib.pyplot as plt
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "plots need matplotlib: pip install 'tinygrad_lr[viz]'", name=error.name
        ) from None
    return plt


def use_svg_display() -> None:
    """Show the plots of a notebook as SVG; elsewhere nothing changes.

    >>> use_svg_display()
    """
    if notebook() is not None:
        import_module("matplotlib_inline.backend_inline").set_matplotlib_formats("svg")


def set_figsize(figsize: tuple[float, float] = (3.5, 2.5)) -> None:
    """Set the size of the figures to come, in inches.

    Raises ModuleNotFoundError if matplotlib is not installed.

    >>> import matplotlib
    >>> with matplotlib.rc_context():
    ...     set_figsize((4, 3))
    ...     matplotlib.rcParams["figure.figsize"]
    [4.0, 3.0]
    """
    use_svg_display()
    __getattr__("plt").rcParams["figure.figsize"] = figsize


def set_axes(
    axes: Any, xlabel: Any, ylabel: Any, xlim: Any, ylim: Any, xscale: str, yscale: str, legend: Sequence[str]
) -> None:
    """Label and scale matplotlib's axes, and add a legend if it has entries.

    >>> from matplotlib.figure import Figure
    >>> axes = Figure().add_subplot()
    >>> set_axes(axes, "x", "f(x)", [1, 100], None, "log", "linear", legend=())
    >>> axes.get_xlabel(), axes.get_xscale()
    ('x', 'log')
    """
    axes.set(xlabel=xlabel, ylabel=ylabel, xscale=xscale, yscale=yscale, xlim=xlim, ylim=ylim)
    if legend:
        axes.legend(legend)
    axes.grid()


def plot(
    X: Any,
    Y: Any = None,
    xlabel: str | None = None,
    ylabel: str | None = None,
    legend: Sequence[str] = (),
    xlim: Any = None,
    ylim: Any = None,
    xscale: str = "linear",
    yscale: str = "linear",
    fmts: Sequence[str] = ("-", "m--", "g-.", "r:"),
    figsize: tuple[float, float] = (3.5, 2.5),
    axes: Any = None,
) -> None:
    """Plot lines on matplotlib's current axes, which are cleared before.

    Parameters
    ----------
    X, Y : the points of one line, or lists of those of several; one X serves for all Y, and without Y the X
        are plotted over their indices. They may be tensors, arrays and lists.
    xlabel, ylabel, legend, xlim, ylim, xscale, yscale, fmts : in matplotlib's words.
    figsize : in inches.
    axes : where to plot instead.

    Raises ModuleNotFoundError if matplotlib is not installed, and ValueError for numbers of lines that do not
    agree.

    >>> from matplotlib.figure import Figure
    >>> axes = Figure().add_subplot()
    >>> plot([1, 2, 3], [[1, 4, 9], [1, 8, 27]], "x", legend=["square", "cube"], axes=axes)
    >>> [text.get_text() for text in axes.get_legend().get_texts()]
    ['square', 'cube']
    """
    set_figsize(figsize)
    axes = axes or __getattr__("plt").gca()
    xs, ys = lines(X), [] if Y is None else lines(Y)
    if Y is None:
        xs, ys = [np.arange(len(y)) for y in xs], xs
    if len(xs) == 1:
        xs *= len(ys)
    if len(xs) != len(ys):
        raise ValueError(f"{len(xs)} lines of x but {len(ys)} of y: give one x for all, or one for each y")
    axes.cla()
    for i, (x, y) in enumerate(zip(xs, ys, strict=True)):
        axes.plot(x, y, fmts[i % len(fmts)])
    set_axes(axes, xlabel, ylabel, xlim, ylim, xscale, yscale, legend)


def lines(values: Any) -> list[Any]:
    """One line, or several in a list or the rows of an array, as a list of arrays."""
    several = len(values) and np.ndim(values[0])
    return [array(line) for line in values] if several else [array(values)]


def array(values: Any) -> Any:
    """An array for matplotlib, also of a list of tensors, which no longer need their gradients here."""
    if isinstance(values, (list, tuple)):
        return np.array([array(value) for value in values])
    return values.numpy() if isinstance(values, Tensor) else np.asarray(values)


class Timer:
    """A stopwatch; `times` has the seconds of every run.

    >>> timer = Timer()
    >>> timer.stop() == timer.sum() == timer.avg()
    True
    """

    def __init__(self) -> None:
        self.times: list[float] = []
        self.start()

    def start(self) -> None:
        """Start a run."""
        self._started = time.perf_counter()

    def stop(self) -> float:
        """End the run, and return its seconds."""
        self.times.append(time.perf_counter() - self._started)
        return self.times[-1]

    def avg(self) -> float:
        """The mean of the runs, in seconds."""
        return sum(self.times) / len(self.times)

    def sum(self) -> float:
        """All runs together, in seconds."""
        return sum(self.times)

    def cumsum(self) -> list[float]:
        """The seconds until the end of each run."""
        return list(map(float, np.cumsum(self.times)))
