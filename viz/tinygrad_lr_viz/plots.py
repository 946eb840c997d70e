"""Plots of a training run: its losses, the path of SGD over the loss surface, and the fit over the data.

Everything comes in as NumPy arrays and goes out as a `matplotlib.figure.Figure`, written to a file when a
path is given. pyplot and its global state are never touched: nothing here needs a display or leaks figures.
"""

from __future__ import annotations

import logging
import math
import re
import unicodedata
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, product
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Surface", "fit_plot", "loss_surface", "save", "surface_data", "training_curves"]

Array = NDArray[np.float64]

# Okabe and Ito's colours, which stay apart for colour-blind readers (https://jfly.uni-koeln.de/color/)
MINUS = "\N{MINUS SIGN}"  # as matplotlib's own tick labels have it
BLUE, VERMILLION, ORANGE, GREY, INK = "#0072B2", "#D55E00", "#E69F00", "#767676", "#222222"

STYLE: dict[str, Any] = {
    # in points, as relative sizes would be read again when the figure is drawn outside this style
    "font.size": 13,
    "axes.labelsize": 13,
    "legend.fontsize": 13,
    "figure.titlesize": 16,
    "figure.titleweight": "bold",
    "axes.titlesize": 12,
    "axes.titlecolor": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.handlelength": 3.2,
    # text stays text: the SVG is small, can be searched, and the viewer's fonts cover every script
    "svg.fonttype": "none",
    "svg.hashsalt": "tinygrad_lr",
}
VALIDATION = re.compile(r"(?<![a-z])val(id(ation)?)?(?![a-z])", re.IGNORECASE)
LARGEST = 1e150  # beyond it, the margins of a logarithmic axis overflow
# matplotlib's own font has no Chinese, Japanese or Korean: the first of these that is installed helps out
CJK_FONTS = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Hiragino Sans",
    "PingFang SC",
    "Yu Gothic",
    "Microsoft YaHei",
    "Malgun Gothic",
    "WenQuanYi Zen Hei",
)


@contextmanager
def _drawing() -> Iterator[None]:
    """matplotlib in this module's style, whatever the caller's settings; they are restored afterwards."""
    try:
        from matplotlib import font_manager, style
    except ImportError as error:
        raise ImportError(
            f"plots need matplotlib, which could not be imported ({error}): pip install 'tinygrad_lr[viz]'"
        ) from error
    installed = set(font_manager.get_font_names())
    fonts = ["DejaVu Sans", *(font for font in CJK_FONTS if font in installed), "sans-serif"]
    with style.context(["default", STYLE | {"font.family": fonts}]), warnings.catch_warnings():
        # a script that no font on this machine covers: boxes in PNG and PDF, right in SVG
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        log = logging.getLogger("matplotlib.font_manager")  # it tells of a font that lacks a bold face
        level = log.level
        log.setLevel(logging.ERROR)
        try:
            yield
        finally:
            log.setLevel(level)


def _figure(
    title: str, notes: Sequence[str], width: float, height: float, panels: int = 1
) -> tuple[Figure, list[Axes]]:
    """A figure of this many panels side by side under a heading, sizes in inches."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    text = "\n".join(fill(note, int(10.5 * width)) for note in notes)
    heading = 0.55 + 0.21 * len(text.splitlines()) if text else 0.42
    layout = ConstrainedLayoutEngine(rect=(0, 0, 0.99, height / (height + heading)), w_pad=0.08, h_pad=0.08)
    figure = Figure(figsize=(width, height + heading), dpi=100, facecolor="white", layout=layout)
    look: dict[str, Any] = {"ha": "left", "va": "top", "color": INK, "parse_math": False, "in_layout": False}
    figure.suptitle(title, x=0.012, y=1 - 0.12 / (height + heading), **look)
    figure.text(0.012, 1 - 0.5 / (height + heading), text, fontsize=12, linespacing=1.25, **look)
    every = list(figure.subplots(1, panels, squeeze=False)[0])
    for axes in every:
        axes.tick_params(labelsize=STYLE["font.size"])
    return figure, every


def _width(text: str) -> int:
    """The columns that a text takes in print; Chinese, Japanese and Korean characters take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _short(name: object, width: int = 32) -> str:
    """The name on one line, without control characters, cut to so many columns."""
    text = "".join(" " if unicodedata.category(c)[0] == "C" else c for c in str(name)[: 4 * width])
    text = " ".join(text.split()) or "unnamed"
    if _width(text) <= width:
        return text
    while _width(text) >= width:
        text = text[:-1]
    return text.rstrip() + "…"


def _legend(axes: Axes, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """A legend above the plot, where it can cover no data."""
    columns = len(labels) if sum(map(_width, labels)) + 8 * len(labels) < 66 else 1
    # the labels come in afterwards, as matplotlib would leave out those with a leading underscore
    placeholders = [str(i) for i in range(len(labels))]
    legend = axes.legend(
        handles,
        placeholders,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=columns,
        borderpad=0.2,
        borderaxespad=0.2,
    )
    for text, label in zip(legend.get_texts(), labels, strict=True):
        text.set(text=label, parse_math=False, color=INK)


@_drawing()
def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as SVG, PNG or PDF, as the path's suffix says: on white, the same bytes each time.

    Raises
    ------
    ValueError
        if the path has another suffix.
    """
    path = Path(path)
    metadata: dict[str, dict[str, Any]] = {
        ".svg": {"Date": None, "Title": figure.get_suptitle()},
        ".png": {},
        ".pdf": {"CreationDate": None},
    }
    if path.suffix.lower() not in metadata:
        raise ValueError(f"cannot tell how to save {path.name!r}: let its name end in .svg, .png or .pdf")
    figure.savefig(path, metadata=metadata[path.suffix.lower()], dpi=200)


def _finish(figure: Figure, path: str | Path | None) -> Figure:
    """Settle the layout, so that each drawing from now on is the same, and save where a path is given."""
    layout = figure.get_layout_engine()
    assert layout is not None
    for _ in range(6):  # a panel that shrinks has other tick labels, which leave it another size, and so on
        before = [axes.get_position().bounds for axes in figure.axes]
        layout.execute(figure)
        if np.allclose(before, [axes.get_position().bounds for axes in figure.axes], atol=1e-3):
            break
    figure.set_layout_engine("none")
    if path is not None:
        save(figure, path)
    return figure


@_drawing()
def training_curves(
    history: Mapping[str, Sequence[tuple[float, float]]],
    path: str | Path | None = None,
    *,
    ylabel: str = "loss",
) -> Figure:
    """Draw losses against epochs: one line for each name, with its last value in the legend.

    Names with the word "val", "valid" or "validation" in them are dashed, with open markers. The axis is
    logarithmic where the values are positive and span more than a factor of 20. A value that is not finite,
    or above 1e150, leaves a gap.

    Parameters
    ----------
    history
        name -> (epoch, value) pairs in the order of the epochs.
    path
        where to save the figure, as `.svg`, `.png` or `.pdf`.
    ylabel
        what the values are.

    Examples
    --------
    >>> figure = training_curves({"train": [(1, 0.9), (2, 0.02)], "validation": [(1, 1.1), (2, 0.03)]})
    >>> figure.axes[0].get_yscale()
    'log'
    """
    from matplotlib.ticker import MaxNLocator

    ylabel = _short(ylabel, 44)
    figure, (axes,) = _figure(f"{ylabel[:1].upper()}{ylabel[1:]} by epoch", [], 8, 4.8)
    counts = {True: count(), False: count()}  # of the validation curves and the others
    handles, labels, values = [], [], []
    for name, points in history.items():
        table = np.array(points, dtype=np.float64)
        if table.size and (table.ndim != 2 or table.shape[1] != 2):
            raise ValueError(f"history[{name!r}] has shape {table.shape}: expected (epoch, value) pairs")
        epoch, value = table.reshape(-1, 2).T.copy()
        value[~(np.abs(value) < LARGEST)] = np.nan
        validation = bool(VALIDATION.search(str(name)))
        i = next(counts[validation])
        if validation:
            look: dict[str, Any] = {"color": VERMILLION, "linestyle": (0, (4, 2)), "marker": "sph*8X"[i % 6]}
            look |= {"markerfacecolor": "white", "markersize": 6, "zorder": 3}
        else:
            colour, line = [(BLUE, "-"), (INK, "-."), (GREY, ":")][i % 3]
            look = {"color": colour, "linestyle": line, "marker": "oD^vP<"[i % 6], "markersize": 7}
        marked = [*range(0, len(value) - 1, 1 + len(value) // 25), len(value) - 1] if len(value) else []
        handles += axes.plot(epoch, value, linewidth=2.2, markevery=marked, **look)
        labels.append(
            f"{_short(name)}, last {table[-1, 1]:.3g}" if len(table) else f"{_short(name)}, nothing yet"
        )
        values.append(value[np.isfinite(value)])
    drawn = np.concatenate([*values, np.empty(0)])
    if drawn.size and drawn.min() > 1 / LARGEST and drawn.max() > 20 * drawn.min():
        axes.set_yscale("log")
        ylabel += ", log scale"
    axes.set_xlabel("epoch")
    axes.set_ylabel(ylabel, parse_math=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.grid(visible=True)
    _legend(axes, handles, labels)
    return _finish(figure, path)


@dataclass(frozen=True, eq=False)
class Surface:
    """The squared loss of a linear model on a plane through its optimum, and a path seen in that plane.

    Coordinates count from the optimum along `directions`; the loss at (a, c) is
    `minimum + [a, c] @ curvature @ [a, c] / 2`, which is exact.
    """

    optimum: Array
    """The minimiser of the loss nearest to the path's start, shape (k,), bias last."""
    directions: Array
    """The plane's two orthonormal directions in parameter space, shape (2, k)."""
    share: float
    """How much of the path's squared distance from the optimum the plane holds, from 0 to 1."""
    curvature: Array
    """The loss's Hessian within the plane, shape (2, 2)."""
    minimum: float
    """The loss at the optimum."""
    path: Array
    """The path's steps, projected onto the plane, shape (steps, 2)."""
    path_loss: Array
    """The loss at the path's steps themselves, not at their projections, shape (steps,)."""
    x: Array
    """The grid's coordinates along the first direction, shape (m,)."""
    y: Array
    """The grid's coordinates along the second direction, shape (m,)."""
    loss: Array
    """The loss at the grid's points, shape (m, m): `loss[j, i]` belongs to `x[i]`, `y[j]`."""

    def excess(self, x: Array, y: Array) -> Array:
        """How far the loss at a point of the plane lies above its minimum; x and y broadcast."""
        xx, xy, yy = (float(c) for c in self.curvature[np.triu_indices(2)])
        return (xx * x * x + 2 * xy * x * y + yy * y * y) / 2


def _columns(X: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    """X as (n, d) and y as (n,) in double precision, checked."""
    inputs, targets = np.array(X, dtype=np.float64), np.array(y, dtype=np.float64)
    if inputs.ndim == 1:
        inputs = inputs[:, np.newaxis]
    if inputs.ndim != 2 or 0 in inputs.shape or targets.size != len(inputs):
        raise ValueError(
            f"X has shape {np.shape(X)} and y {np.shape(y)}: expected (n, features), with at least one "
            "example and one feature, and n targets"
        )
    if not (np.isfinite(inputs).all() and np.isfinite(targets).all()):
        raise ValueError("X or y holds values that are not finite: leave those examples out")
    return inputs, targets.reshape(-1)


ASPECT = 0.78  # height by width of a surface's panel


def _view(path: Array, curvature: Array, optimum: Array) -> tuple[Array, Array]:
    """Two opposite corners of a view of a path about the optimum, and of the optimum, at (0, 0).

    Both axes get one scale, unless the path is so narrow in a direction which is so steep that its steps
    could then not be told apart although their losses differ.
    """
    low, high = np.minimum(path.min(axis=0), 0.0), np.maximum(path.max(axis=0), 0.0)
    size = np.maximum(high - low, 1e-9 * (float(np.linalg.norm(optimum)) or 1.0))
    steep = np.diag(curvature)
    ratio = np.ones(2)
    if steep.min() < 0.01 * steep.max():
        ratio = np.sqrt(steep[::-1] / np.maximum(steep, 1e-12 * steep.max()))
    size = np.maximum(size, 0.6 * size[::-1] * np.minimum(ratio, 1.0))
    if size.min() > 0.25 * size.max():
        size = max(size[0], size[1] / ASPECT) * np.array([1.0, ASPECT])
    middle = (low + high) / 2
    return middle - 0.65 * size, middle + 0.65 * size


def _axes_of(low: Array, high: Array, points: int) -> tuple[Array, Array]:
    return np.linspace(low[0], high[0], points), np.linspace(low[1], high[1], points)


def surface_data(X: ArrayLike, y: ArrayLike, parameters: ArrayLike, *, grid: int = 201) -> Surface:
    """The loss of a linear model on the plane that shows a path of its parameters best.

    The loss is L(w, b) = |Xw + b - y|^2 / (2n). With the Hessian H = [X 1]^T [X 1] / n and an optimum p*,
    where the gradient is zero, it is exactly L(p) = L(p*) + (p - p*)^T H (p - p*) / 2: a quadratic is its own
    second-order Taylor polynomial. The plane goes through p*. With two parameters it is the whole space;
    otherwise it is spanned by the path's first two right singular vectors about p*, and where the path leaves
    a direction open, by the steepest one. Where least squares has many solutions, p* is the one nearest to
    the path's start, which is where gradient descent from there leads.

    Parameters
    ----------
    X
        inputs, shape (n, d), or (n,) for one feature.
    y
        targets, n of them.
    parameters
        the path, shape (steps, d + 1): the weights, then the bias.
    grid
        points along each side of the grid.

    Raises
    ------
    ValueError
        if shapes do not fit, a value is not finite, or the loss overflows.

    Examples
    --------
    >>> X = np.array([[0.0], [1.0], [2.0]])
    >>> surface = surface_data(X, [1.0, 3.0, 5.0], [[0.0, 0.0], [1.5, 0.5], [1.9, 1.1]])
    >>> surface.optimum.round(6)
    array([2., 1.])
    >>> surface.path_loss[0].round(6)  # (1 + 9 + 25) / 6
    np.float64(5.833333)
    """
    inputs, targets = _columns(X, y)
    steps = np.array(parameters, dtype=np.float64)
    k = inputs.shape[1] + 1
    if steps.ndim != 2 or steps.shape[1] != k or not len(steps):
        raise ValueError(
            f"the path of parameters has shape {steps.shape}: expected (steps, {k}), "
            f"a row for each step with {k - 1} weight(s) and the bias last"
        )
    bad = ~np.isfinite(steps).all(axis=1)
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(f"step {row} of the path is not finite: training diverged; draw parameters[:{row}]")

    with np.errstate(over="ignore", invalid="ignore"):
        design = np.column_stack([inputs, np.ones(len(inputs))])
        optimum = steps[0] + np.linalg.lstsq(design, targets - design @ steps[0])[0]
        minimum = float(np.mean((design @ optimum - targets) ** 2) / 2)
        root = np.linalg.qr(design).R / math.sqrt(len(design))  # root^T root is the Hessian
        moves = steps - optimum
        scale = float(np.abs(moves).max()) or 1.0
        if k == 2:
            directions = np.eye(2)
        else:
            # the appended rows are too small to turn the path's own directions, and fill in missing ones
            steepest = 1e-9 * root / np.abs(root).max()
            directions = np.linalg.svd(np.vstack([moves / scale, steepest]), full_matrices=False)[2][:2]
            directions *= np.where(directions @ moves[0] > 0, -1.0, 1.0)[:, np.newaxis]  # start at lower left
        path = moves @ directions.T
        total = float(np.sum((moves / scale) ** 2))
        half = root @ directions.T
        curvature = half.T @ half
        curvature[np.abs(curvature) < 1e-20 * np.sum(root**2)] = 0.0  # rounding, where the loss is flat
        low, high = _view(path, curvature, optimum)
        x, c = _axes_of(low, high, grid)
        surface = Surface(
            optimum=optimum,
            directions=directions,
            share=min(1.0, float(np.sum((path / scale) ** 2)) / total) if total else 1.0,
            curvature=curvature,
            minimum=minimum,
            path=path,
            path_loss=minimum + np.sum((moves @ root.T) ** 2, axis=1) / 2,
            x=x,
            y=c,
            loss=np.empty((grid, grid)),
        )
        surface.loss[:] = minimum + surface.excess(x, c[:, np.newaxis])
    if not (np.isfinite(surface.loss).all() and np.isfinite(surface.path_loss).all()):
        raise ValueError("the loss overflows on this path: draw only its steps before training diverged")
    return surface


def _levels(lowest: float, highest: float) -> Array:
    """The numbers 1, 2 and 5 times a power of ten between two positive bounds."""
    powers = np.arange(math.floor(math.log10(lowest)), math.ceil(math.log10(highest)) + 1)
    levels: Array = np.outer(10.0**powers, [1.0, 2.0, 5.0]).reshape(-1)
    return levels[(levels >= lowest) & (levels <= highest)]


def _room(points: Array, taken: Array) -> Array:
    """How far points are from what is taken, in the panel's width; -1 near or beyond the panel's border."""
    inside = (np.abs(points - [0.5, ASPECT / 2]) < [0.45, ASPECT / 2 - 0.04]).all(axis=-1)
    gaps = np.linalg.norm(points[..., np.newaxis, :] - taken, axis=-1).min(axis=-1)
    return np.where(inside, gaps, -1.0)


def _trace(path: Array, points: int) -> Array:
    """Points at equal distances along a path."""
    along = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1)))
    return np.column_stack([np.interp(np.linspace(0.0, along[-1], points), along, c) for c in path.T])


# the directions, as unit vectors, in which texts around a point are tried
CIRCLE = np.column_stack([f(np.linspace(0.0, 2 * np.pi, 64, endpoint=False)) for f in (np.cos, np.sin)])


def _draw_surface(axes: Axes, surface: Surface, first: int, offset: Array) -> None:
    """Contours around the path from its step `first` on, the path, and its marks, with their texts."""
    path = surface.path[first:]
    low, high = _view(path, surface.curvature, surface.optimum)
    unit = (high - low) / [1.0, ASPECT]
    axes.set(xlim=(low[0] + offset[0], high[0] + offset[0]), ylim=(low[1] + offset[1], high[1] + offset[1]))
    axes.set_box_aspect(ASPECT)

    path = path[[*range(0, len(path) - 1, 1 + len(path) // 4000), -1]]  # more could not be told apart
    axes.plot(*(path + offset).T, "-o", color=BLUE, linewidth=1.2, markersize=2.5)
    marks = [("optimum", np.zeros(2), "*", 19, ORANGE, INK), ("end", path[-1], "s", 8, BLUE, "white")]
    if first == 0:
        marks.append(("start", path[0], "o", 9, "white", BLUE))
    for _, at, marker, size, colour, edge in marks:
        axes.plot(*(at + offset), marker, markersize=size, markerfacecolor=colour, markeredgecolor=edge)

    taken = np.vstack([_trace((path - low) / unit, 500), [(at - low) / unit for _, at, *_ in marks]])
    for name, at, *_ in marks:
        width = 0.023 * len(name)
        rings = np.vstack(
            [CIRCLE * [width / 2 + gap, gap + 0.035] for gap in (0.035, 0.08, 0.16, 0.24, 0.32, 0.4)]
        )
        centres = (at - low) / unit + rings
        boxes = centres[:, np.newaxis] + np.array(list(product([-width / 2, 0, width / 2], [-0.02, 0.02])))
        best = np.argmax(
            np.minimum(_room(boxes, taken).min(axis=1), 0.03)
        )  # the first with enough, or the freest
        taken = np.vstack([taken, boxes[best]])
        axes.annotate(
            name,
            xy=at + offset,
            xytext=offset + low + centres[best] * unit,
            ha="center",
            va="center",
            color=INK,
            weight="bold",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 1.5},
            arrowprops={"arrowstyle": "-", "color": INK, "shrinkA": 0, "shrinkB": 6},
        )

    x, y = _axes_of(low, high, 151)
    excess = surface.excess(x, y[:, np.newaxis])
    highest = float(excess.max())
    if highest <= 0:  # the loss is the same everywhere
        return
    levels = _levels(highest / 150, highest)
    shades = [tuple(1 - t * np.array([0.30, 0.24, 0.18])) for t in np.linspace(0.0, 1.0, len(levels) + 1)]
    grid = offset[0] + x, offset[1] + y, excess
    axes.contourf(*grid, levels=levels, colors=shades, extend="both")
    contours = axes.contour(*grid, levels=levels, colors=GREY, linewidths=0.8)
    # where each contour crosses each ray from the optimum; its label stands where there is room, as near as
    # can be to the ray that has room for the most labels
    rise = np.maximum(surface.excess(*(CIRCLE * unit).T), 1e-12 * highest)
    spots = -low / unit + np.sqrt(levels[:, np.newaxis] / rise)[..., np.newaxis] * CIRCLE
    ray = np.argmax((_room(spots, taken) > 0.05).sum(axis=0))
    order = np.argsort(-CIRCLE @ CIRCLE[ray], kind="stable")
    labels = []
    for contour in spots[::-1, order]:
        room = _room(contour, taken)
        if room.max() > 0.05:
            spot = contour[np.argmax(room > 0.05)]
            labels.append(tuple(offset + low + spot * unit))
            taken = np.vstack([taken, spot])
    axes.clabel(contours, fmt="%g", fontsize=10, colors=INK, manual=labels)


def _direction(direction: Array, names: Sequence[str]) -> str:
    """A direction in parameter space as the sum of its three largest components."""
    order = [i for i in np.argsort(-np.abs(direction), kind="stable") if abs(direction[i]) >= 0.005]
    terms = [
        f"{MINUS if direction[i] < 0 else '+'} {abs(direction[i]):.2f} {_short(names[i], 18)}"
        for i in order[:3]
    ]
    terms[0] = terms[0].removeprefix("+ ").replace(MINUS + " ", MINUS, 1)
    if len(order) > 3:
        terms.append("+ …")
    line = " ".join(terms)
    return line if _width(line) < 46 else " ".join(terms[:2]) + "\n" + " ".join(terms[2:])


@_drawing()
def loss_surface(
    X: ArrayLike,
    y: ArrayLike,
    parameters: ArrayLike,
    path: str | Path | None = None,
    *,
    names: Sequence[str] | None = None,
    steps: int | None = None,
) -> Figure:
    """Draw the squared loss of a linear model as contours, with the path that SGD took over it.

    `surface_data` says what the plane is and why the contours are exact. They are spaced like 1, 2, 5, 10 and
    so on above the minimum. Where the last tenth of the path's points is too small to see, a second panel
    enlarges it.

    Parameters
    ----------
    X, y, parameters
        as for `surface_data`.
    path
        where to save the figure, as `.svg`, `.png` or `.pdf`.
    names
        the features' names, d of them.
    steps
        how many steps the path took, where not each of them is given.

    Raises
    ------
    ValueError
        as `surface_data` does, and if the number of names is not d.

    Examples
    --------
    >>> figure = loss_surface([0.0, 1.0, 2.0], [1.0, 3.0, 5.0], [[0.0, 0.0], [1.5, 0.5], [1.9, 1.1]])
    >>> figure.axes[0].get_xlabel()
    'w[0]'
    """
    surface = surface_data(X, y, parameters)
    k = len(surface.optimum)
    weights = [f"w[{i}]" for i in range(k - 1)] if names is None else list(names)
    if len(weights) != k - 1:
        raise ValueError(f"{len(weights)} names for {k - 1} features: give one name for each column of X")
    notes = [
        f"{len(surface.path) - 1 if steps is None else steps} steps take the loss from "
        f"{surface.path_loss[0]:.3g} to {surface.path_loss[-1]:.3g}. "
        f"Contours: how far it is above its minimum, {surface.minimum:.3g}."
    ]
    if k == 2:
        offset = surface.optimum
        labels = [("weight of " if names else "") + _short(weights[0]), "bias"]
    else:
        offset = np.zeros(2)
        labels = [_direction(direction, [*weights, "bias"]) for direction in surface.directions]
        share = "over 99.9%" if surface.share > 0.999 else f"{100 * surface.share:.1f}%"
        notes.append(
            f"Of the {k} dimensions of the parameters, the plane shown keeps the most of the path: "
            f"{share} of its squared distance from the optimum, which is at (0, 0)."
        )
    tail = len(surface.path) - len(surface.path) // 10
    whole, last = (
        np.prod(np.subtract(*_view(surface.path[first:], surface.curvature, surface.optimum)))
        for first in (0, min(tail, len(surface.path) - 1))
    )
    enlarge = len(surface.path) >= 20 and last < 0.03 * whole

    size = (12.0, 5.1, 2) if enlarge else (7.6, 5.9, 1)
    figure, panels = _figure("SGD's path over the loss surface", notes, *size)
    for axes, first in zip(panels, (0, tail), strict=False):
        _draw_surface(axes, surface, first, offset)
        axes.set_xlabel(labels[0], parse_math=False)
    panels[0].set_ylabel(labels[1], parse_math=False)
    if enlarge:
        panels[0].set_title("The whole path", loc="left")
        panels[1].set_title("Enlarged: its end", loc="left")
    return _finish(figure, path)


def _r_squared(residuals: Array, targets: Array) -> float:
    """The share of the targets' variance that is explained; NaN where they have none."""
    total = float(np.sum((targets - targets.mean()) ** 2))
    return 1 - float(residuals @ residuals) / total if total else math.nan


@_drawing()
def fit_plot(
    X: ArrayLike,
    y: ArrayLike,
    w: ArrayLike,
    b: float,
    names: Sequence[str],
    target: str,
    path: str | Path | None = None,
    *,
    closed_form: tuple[ArrayLike, float] | None = None,
) -> Figure:
    """Draw how a linear model fits its data.

    One feature: the data and the learned line, with the least-squares line where it is given. More features:
    observed values and residuals (observed minus predicted) against predicted ones. R^2 stands above.

    Parameters
    ----------
    X, y
        inputs, shape (n, d), or (n,) for one feature, and n targets, in the units to be shown.
    w, b
        the learned weights, d of them, and bias.
    names, target
        the features' names, d of them, and the target's.
    path
        where to save the figure, as `.svg`, `.png` or `.pdf`.
    closed_form
        the weights and the bias of the least-squares solution.

    Raises
    ------
    ValueError
        if shapes do not fit or a value or prediction is not finite.

    Examples
    --------
    >>> figure = fit_plot([0.0, 1.0, 2.0], [1.0, 3.1, 4.9], [2.0], 1.0, ["dose"], "growth")
    >>> figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()
    ('dose', 'growth')
    """
    inputs, targets = _columns(X, y)
    features = inputs.shape[1]
    models = {"learned": (w, b)} | ({} if closed_form is None else {"least squares": closed_form})
    lines = {
        name: (np.array(weights, dtype=np.float64).reshape(-1), float(bias))
        for name, (weights, bias) in models.items()
    }
    if len(names) != features or any(len(weights) != features for weights, _ in lines.values()):
        sizes = ", ".join(str(len(weights)) for weights, _ in lines.values())
        raise ValueError(f"X has {features} feature(s), but there are {len(names)} names and {sizes} weights")
    with np.errstate(over="ignore", invalid="ignore"):
        predictions = {name: inputs @ weights + bias for name, (weights, bias) in lines.items()}
        scores = [f"{_r_squared(targets - p, targets):.4f} ({name})" for name, p in predictions.items()]
    if not all(np.isfinite(prediction).all() for prediction in predictions.values()):
        raise ValueError(
            "a prediction is not finite: training diverged; fit again with a smaller learning rate"
        )
    notes = ["R² = " + ", ".join(scores) + f", on {len(targets)} examples."]

    size = len(targets)
    # thousands of dots would swell an SVG: they become a picture within it
    dots: dict[str, Any] = {"s": 22 if size < 2000 else 8, "alpha": max(0.1, min(0.7, 20 / math.sqrt(size)))}
    dots |= {"linewidths": 0, "rasterized": size > 3000}
    if features == 1:
        name = _short(names[0])
        figure, (axes,) = _figure("The data and the fitted line", notes, 8, 5)
        handles: list[Any] = [axes.scatter(inputs, targets, color=GREY, **dots)]
        labels = ["data"]
        ends = np.array([inputs.min(), inputs.max()])
        looks: list[dict[str, Any]] = [
            {"color": BLUE, "lw": 3.5},
            {"color": INK, "lw": 1.5, "ls": (0, (5, 3))},
        ]
        for (label, (weights, bias)), look in zip(lines.items(), looks, strict=False):
            handles += axes.plot(ends, weights[0] * ends + bias, **look)
            sign = MINUS if bias < 0 else "+"
            labels.append(f"{label}: {weights[0]:.4g} · {_short(names[0], 14)} {sign} {abs(bias):.4g}")
        axes.set_xlabel(name, parse_math=False)
        axes.set_ylabel(_short(target), parse_math=False)
        axes.grid(visible=True)
        _legend(axes, handles, labels)
    else:
        figure, (left, right) = _figure(
            f"How well {features} features predict {_short(target)}", notes, 12, 5, 2
        )
        predicted = predictions["learned"]
        left.scatter(predicted, targets, color=BLUE, **dots)
        right.scatter(predicted, targets - predicted, color=BLUE, **dots)
        ends = np.array([predicted.min(), predicted.max()])
        left.plot(ends, ends, color=INK, lw=1.5, ls=(0, (5, 3)))
        right.axhline(0, color=INK, lw=1.5, ls=(0, (5, 3)))
        left.set_title("Observed against predicted; dashed: equal", loc="left")
        right.set_title("Residuals: observed minus predicted", loc="left")
        for axes, label in ((left, "observed"), (right, "residual of")):
            axes.set_xlabel(f"predicted {_short(target)}", parse_math=False)
            axes.set_ylabel(f"{label} {_short(target)}", parse_math=False)
            axes.grid(visible=True)
    return _finish(figure, path)
