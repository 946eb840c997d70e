"""How a run is shown while it goes on: a plot in a notebook, a bar in a terminal, nothing elsewhere."""

from __future__ import annotations

import io
import shutil
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .hyperparameters import HyperParameters
from .tensor import Tensor

if TYPE_CHECKING:
    from .trainer import Trainer

PAUSE = 0.25  # seconds between two pictures, or two texts on the bar: faster than that nobody reads


class Point(NamedTuple):
    x: float
    y: float


class ProgressBoard(HyperParameters):
    """A plot of lines that grow while it is being watched.

    In a notebook the picture appears below the cell and is renewed there a few times per second; what else
    the cell prints stays. Elsewhere the points are only collected, in `data`, and matplotlib is not imported.

    Parameters
    ----------
    xlabel, ylabel, xlim, ylim, xscale, yscale : of the axes, in matplotlib's words.
    ls, colors : the lines' styles and colours, in the order of their labels.
    fig, axes : where to draw, if not on a figure of its own.
    figsize : width and height in inches.
    display : whether to show anything at all.

    Attributes
    ----------
    data : dict from a line's label to its points (x, y).

    >>> from tinygrad_lr.board import ProgressBoard
    >>> board = ProgressBoard("x")
    >>> for x in range(4):
    ...     board.draw(x, x**2, "square", every_n=2)
    >>> board.data["square"]
    [Point(x=0.5, y=0.5), Point(x=2.5, y=6.5)]
    """

    xlabel: str | None
    ylabel: str | None
    xlim: Sequence[float] | None
    ylim: Sequence[float] | None
    xscale: str
    yscale: str
    ls: Sequence[str]
    colors: Sequence[str]
    fig: Any
    axes: Any
    figsize: tuple[float, float]
    display: bool
    _waiting = False  # for a picture of the last points
    _listening = False  # for the end of the cell

    def __init__(
        self,
        xlabel: str | None = None,
        ylabel: str | None = None,
        xlim: Sequence[float] | None = None,
        ylim: Sequence[float] | None = None,
        xscale: str = "linear",
        yscale: str = "linear",
        ls: Sequence[str] = ("-", "--", "-.", ":"),
        colors: Sequence[str] = ("C0", "C1", "C2", "C3"),
        fig: Any = None,
        axes: Any = None,
        figsize: tuple[float, float] = (3.5, 2.5),
        display: bool = True,
    ) -> None:
        self.save_hyperparameters()
        self.clear()

    def clear(self) -> None:
        """Forget the lines, and show the next ones in a new picture."""
        if self._waiting:
            self._show()
        self.raw_points: dict[str, list[tuple[Any, Any]]] = {}
        self.data: dict[str, list[Point]] = {}
        self._output: Any = None  # IPython's handle of the picture
        self._shown_at = -np.inf

    def draw(self, x: Any, y: Any, label: str, every_n: int = 1) -> None:
        """Add a point to the line `label`: the mean of `every_n` calls makes one point.

        `x` and `y` are numbers, or arrays or Tensors with one element.
        """
        raw = self.raw_points.setdefault(label, [])
        line = self.data.setdefault(label, [])
        raw.append((x, y))
        if len(raw) < every_n:
            return
        line.append(Point(*(sum(map(as_number, values)) / len(raw) for values in zip(*raw, strict=True))))
        raw.clear()
        if self.display and (shell := notebook()) is not None:
            self._show_soon(shell)

    def _show_soon(self, shell: Any) -> None:
        """Show the picture now, or if the last is too recent, with a later point or when the cell ends."""
        if not self._listening:
            self._listening = True

            def at_the_end(*_: Any) -> None:
                shell.events.unregister("post_run_cell", at_the_end)
                self._listening = False
                if self._waiting:
                    self._show()

            shell.events.register("post_run_cell", at_the_end)
        self._waiting = True
        if time.monotonic() - self._shown_at >= PAUSE:
            self._show()

    def _show(self) -> None:
        ipython: Any = sys.modules["IPython"]
        picture = ipython.display.SVG(self.svg())
        if self._output is None:
            self._output = ipython.display.display(picture, display_id=True)
        else:
            self._output.update(picture)
        self._shown_at, self._waiting = time.monotonic(), False

    def svg(self) -> str:
        """The picture as it is now.

        Raises ModuleNotFoundError if matplotlib is not installed.
        """
        if self.axes is not None:
            self.fig, axes = self.axes.figure, self.axes
        else:
            if self.fig is None:
                self.fig = _new_figure(self.figsize)
            axes = self.fig.gca()
        axes.clear()
        for i, (label, line) in enumerate(self.data.items()):
            style, color = self.ls[i % len(self.ls)], self.colors[i % len(self.colors)]
            axes.plot([p.x for p in line], [p.y for p in line], linestyle=style, color=color, label=label)
        axes.set(xlabel=self.xlabel, ylabel=self.ylabel, xscale=self.xscale, yscale=self.yscale)
        axes.set(xlim=self.xlim, ylim=self.ylim)
        if self.data:
            axes.legend()
        file = io.StringIO()
        self.fig.savefig(file, format="svg", bbox_inches="tight")
        return file.getvalue()


def _new_figure(figsize: tuple[float, float]) -> Any:
    try:
        from matplotlib.figure import Figure  # not pyplot: no figure is left behind, and no display is needed
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the live plot needs matplotlib: pip install 'tinygrad_lr[viz]', or switch it off with "
            "model.board.display = False",
            name=error.name,
        ) from None
    return Figure(figsize)


def as_number(value: Any) -> float:
    """A number, or the mean of an array or a Tensor, as a float."""
    array: Any = value.array if isinstance(value, Tensor) else value
    return float(array if np.ndim(array) == 0 else array.mean())


def notebook() -> Any:
    """IPython's shell if it belongs to a notebook, else None."""
    ipython = sys.modules.get("IPython")  # whoever runs in a notebook has imported it
    shell = ipython and ipython.get_ipython()
    return shell if hasattr(shell, "kernel") else None


class ProgressBar:
    """A callback for `Trainer` that shows the steps and the losses in one line on the terminal.

    It uses tqdm and writes to stderr. Where that is not a terminal, in a notebook, and without tqdm it shows
    nothing.
    """

    def __init__(self) -> None:
        self._bar: Any = None

    def on_fit_start(self, trainer: Trainer) -> None:
        self._bar = None
        if not sys.stderr.isatty() or notebook() is not None:
            return
        try:
            from tqdm import tqdm  # type: ignore[import-untyped, unused-ignore]
        except ModuleNotFoundError:
            return  # it would be a pity to stop the training for its bar
        size = shutil.get_terminal_size()  # unlike tqdm's own, 80 by 24 where the terminal does not tell
        self._bar = tqdm(
            total=trainer.max_epochs * trainer.num_train_batches,
            initial=trainer.train_batch_idx,
            bar_format="{desc} |{bar}| {elapsed}<{remaining}{postfix}",
            file=sys.stderr,
            ncols=size.columns,
            nrows=size.lines,
        )
        self._written_at = -np.inf

    def on_step_end(self, trainer: Trainer, loss: float) -> None:
        if self._bar is not None:
            self._bar.update()
            self._write(trainer, loss)

    def on_epoch_end(self, trainer: Trainer) -> None:
        if self._bar is not None:
            if trainer.epoch + 1 == trainer.max_epochs:
                self._written_at = -np.inf  # the last losses are always written
            for _, loss in trainer.history["train"][-1:]:
                self._write(trainer, loss)

    def _write(self, trainer: Trainer, loss: float) -> None:
        if time.monotonic() - self._written_at < PAUSE:
            return
        losses = [
            f"train loss {loss:.3g}",
            *(f"val loss {mean:.3g}" for _, mean in trainer.history["val"][-1:]),
        ]
        self._bar.set_description_str(f"epoch {trainer.epoch + 1}/{trainer.max_epochs}", refresh=False)
        self._bar.set_postfix_str(", ".join(losses))
        self._written_at = time.monotonic()

    def on_fit_end(self, trainer: Trainer) -> None:
        if self._bar is not None:
            self._bar.close()
