"""How a run is shown while it goes on: a plot in a notebook, a bar in a terminal, lines elsewhere."""

from __future__ import annotations

import io
import os
import sys
import time
import warnings
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .hyperparameters import HyperParameters
from .lazy import compute, is_lazy
from .tensor import Tensor

if TYPE_CHECKING:
    from .trainer import Trainer

PAUSE = 0.25  # seconds between two pictures, or two texts on the bar, at least: faster nobody reads
START = 1.5  # seconds before the first picture: a run that is over by then needs only its last
SHARE = 20  # times as long as a picture took, nothing is drawn after it: that slows training by 1/21 at most
LINES = 5.0  # seconds between two lines where there is no terminal; a quick run needs none
SHOWN = 1000  # points of a line that are drawn: more could not be told apart


# Okabe and Ito's colours, which stay apart for colour-blind readers (https://jfly.uni-koeln.de/color/)
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")


class Point(NamedTuple):
    x: float
    y: float


class ProgressBoard(HyperParameters):
    """A plot of lines that grow while it is being watched.

    In a notebook the picture appears below the cell and is renewed in its place, a few times per second but
    so that drawing takes less than a tenth of the time; what else the cell prints stays. Elsewhere the points
    are only collected, in `data`, and matplotlib is not imported.

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
        colors: Sequence[str] = COLORS,
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
        self._show_from: float | None = None  # the time before which it is too early for the next picture

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
        if self._show_from is None:
            self._show_from = time.monotonic() + START
        if time.monotonic() >= self._show_from:
            self._show()

    def _show(self) -> None:
        ipython: Any = sys.modules["IPython"]
        begun = time.monotonic()
        picture = ipython.display.SVG(self.svg())
        if self._output is None:
            self._output = ipython.display.display(picture, display_id=True)
        else:
            self._output.update(picture)
        now = time.monotonic()
        self._show_from, self._waiting = now + max(PAUSE, SHARE * (now - begun)), False

    def svg(self) -> str:
        """The picture as it is now.

        Raises ModuleNotFoundError if matplotlib is not installed.
        """
        file = io.StringIO()
        self.save(file, format="svg")
        return file.getvalue()

    def save(self, path: str | os.PathLike[str] | IO[str], format: str | None = None) -> None:
        """Write the picture as it is now; the suffix of `path` says how, or `format`: "svg", "png", "pdf".

        The same points give the same bytes.

        Raises ModuleNotFoundError if matplotlib is not installed, and ValueError for other suffixes.
        """
        figure = self._draw()
        from matplotlib import rc_context

        # text stays text, which is quick and small, and right in scripts that matplotlib's font has not
        look: Any = {"svg.fonttype": "none", "svg.hashsalt": "tinygrad_lr"}
        dates = {
            "svg": {"Date": None},
            "pdf": {"CreationDate": None},
        }  # without them, it is a new one each time
        kind = format or str(path).rpartition(".")[2]
        with rc_context(look), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from")
            figure.savefig(path, format=format, dpi=200, metadata=dates.get(kind.lower()))

    def _draw(self) -> Any:
        """The figure with the lines as they are now."""
        if self.axes is not None:
            self.fig, axes = self.axes.figure, self.axes
        else:
            if self.fig is None:
                self.fig = _new_figure(self.figsize)
            axes = self.fig.gca()
        axes.clear()
        for i, line in enumerate(self.data.values()):
            style, color = self.ls[i % len(self.ls)], self.colors[i % len(self.colors)]
            shown = [*line[: -1 : 1 + len(line) // SHOWN], *line[-1:]]
            axes.plot([p.x for p in shown], [p.y for p in shown], linestyle=style, color=color)
        axes.set(xlabel=self.xlabel, ylabel=self.ylabel, xscale=self.xscale, yscale=self.yscale)
        axes.set(xlim=self.xlim, ylim=self.ylim)
        if self.data:
            # the labels come in afterwards, as they are: matplotlib would leave out those with a leading
            # underscore, and take dollars for formulas
            legend = axes.legend(axes.lines, [str(i) for i in range(len(self.data))])
            for text, label in zip(legend.get_texts(), self.data, strict=True):
                text.set(text=label, parse_math=False)
        return self.fig


def _new_figure(figsize: tuple[float, float]) -> Any:
    try:
        from matplotlib.figure import Figure  # not pyplot: no figure is left behind, and no display is needed
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the live plot needs matplotlib: pip install 'tinygrad_lr[viz]', or switch it off with "
            "model.board.display = False",
            name=error.name,
        ) from None
    return Figure(figsize, layout="constrained")  # of one size always: the page does not jump


def as_number(value: Any) -> float:
    """A number, or the mean of an array or a Tensor, as a float."""
    array: Any = value.array if isinstance(value, Tensor) else value
    if isinstance(value, Tensor) and is_lazy(array):
        compute([value])
        array = value.array
    return float(array.mean() if getattr(array, "ndim", 0) else array)


def notebook() -> Any:
    """IPython's shell if it belongs to a notebook, else None."""
    ipython = sys.modules.get("IPython")  # whoever runs in a notebook has imported it
    shell = ipython and ipython.get_ipython()
    return shell if hasattr(shell, "kernel") else None


class ProgressBar:
    """A callback for `Trainer` that shows the steps and the losses in one line on the terminal.

    It uses tqdm and writes to stderr. Where that is not a terminal, or without tqdm, it writes a line every
    few seconds, so that a quick run writes none. In a notebook it shows nothing, as the board does.
    """

    def __init__(self) -> None:
        self._bar: Any = None
        self._lines = False  # whether lines are to be written
        self._written = 0  # the epochs that the last line told of
        self._write_from = 0.0  # the time before which it is too early to write again
        self._begun = 0.0, 0  # when training began, and after how many steps of the whole run

    def on_fit_start(self, trainer: Trainer) -> None:
        self._bar = None
        self._lines, self._written = notebook() is None, 0
        self._begun = time.monotonic(), trainer.train_batch_idx
        self._write_from = time.monotonic() + LINES
        if not self._lines or not sys.stderr.isatty():
            return
        try:
            from tqdm import tqdm  # type: ignore[import-untyped, unused-ignore]
        except ModuleNotFoundError:
            return  # it would be a pity to stop the training for its bar
        from shutil import get_terminal_size  # here, as `import tinygrad_lr` is to be quick

        size = get_terminal_size()  # unlike tqdm's own, 80 by 24 where the terminal does not tell
        self._bar = tqdm(
            total=trainer.max_epochs * trainer.num_train_batches,
            initial=trainer.train_batch_idx,
            bar_format="{desc} |{bar}| {elapsed}<{remaining}{postfix}",
            file=sys.stderr,
            ncols=size.columns,
            nrows=size.lines,
        )
        self._lines, self._write_from = False, -np.inf

    def on_step_end(self, trainer: Trainer, loss: float) -> None:
        if self._bar is not None:
            self._bar.update()
            self._write_on_bar(trainer, loss)

    def on_epoch_end(self, trainer: Trainer) -> None:
        means = trainer.history["train"][-1:]
        if self._bar is not None:
            if trainer.epoch + 1 == trainer.max_epochs:
                self._write_from = -np.inf  # the last losses are always written
            for _, loss in means:
                self._write_on_bar(trainer, loss)
        elif self._lines and time.monotonic() >= self._write_from:
            self._write_line(trainer)

    def on_fit_end(self, trainer: Trainer) -> None:
        if self._bar is not None:
            self._bar.close()
        elif self._written and trainer.history["train"][-1][0] > self._written:
            self._write_line(trainer)  # who has read of the run also wants to read how it ended

    def _write_on_bar(self, trainer: Trainer, loss: float) -> None:
        if (now := time.monotonic()) < self._write_from:
            return
        self._bar.set_description_str(f"epoch {trainer.epoch + 1}/{trainer.max_epochs}", refresh=False)
        self._bar.set_postfix_str(self._words(trainer, loss))
        self._write_from = now + PAUSE

    def _write_line(self, trainer: Trainer) -> None:
        epoch, loss = trainer.history["train"][-1]
        print(
            f"epoch {epoch}/{trainer.max_epochs}: {self._words(trainer, loss)}", file=sys.stderr, flush=True
        )
        self._written, self._write_from = epoch, time.monotonic() + LINES

    def _words(self, trainer: Trainer, train_loss: float) -> str:
        words = [
            f"train loss {train_loss:.3g}",
            *(f"val loss {mean:.3g}" for _, mean in trainer.history["val"][-1:]),
        ]
        since, first = self._begun
        if (seconds := time.monotonic() - since) > 0 and hasattr(trainer.train_dataloader, "num_examples"):
            epochs = (trainer.train_batch_idx - first) / trainer.num_train_batches
            words.append(f"{short(epochs * trainer.train_dataloader.num_examples / seconds)} rows/s")
        return ", ".join(words)


def short(number: float) -> str:
    """A number to three digits, in thousands, millions or more.

    >>> short(42), short(999.7), short(1.234e7), short(5e9)
    ('42', '1k', '12.3M', '5G')
    """
    for unit in ("", "k", "M"):
        if float(f"{number:.3g}") < 1000:
            return f"{number:.3g}{unit}"
        number /= 1000
    return f"{number:.3g}G"
