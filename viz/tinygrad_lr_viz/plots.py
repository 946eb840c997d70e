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
from io import BytesIO
from itertools import count, product
from pathlib import Path
from textwrap import fill
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from tinygrad_lr.module import Module

from .reading import number
from .surface import (
    ASPECT,
    Array,
    ParameterPath,
    Surface,
    axes_of,
    columns,
    model_surface,
    names_of,
    surface_data,
    view,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "ParameterPath",
    "Surface",
    "fit_plot",
    "loss_surface",
    "model_surface",
    "save",
    "surface_data",
    "training_curves",
]

# Okabe and Ito's colours, which stay apart for colour-blind readers (https://jfly.uni-koeln.de/color/)
DASHED = (0, (5, 3))
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
# matplotlib's own font has no Chinese, Japanese or Korean: the first of these that are installed help out
CJK_FONTS = (
    "Noto Sans CJK JP",
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
    fonts = ["DejaVu Sans", *[font for font in CJK_FONTS if font in installed][:2]]  # each costs time
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
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    from .figure import Plot

    text = "\n".join(fill(note, int(10.5 * width)) for note in notes)
    heading = 0.55 + 0.21 * len(text.splitlines()) if text else 0.42
    layout = ConstrainedLayoutEngine(rect=(0, 0, 0.99, height / (height + heading)), w_pad=0.08, h_pad=0.08)
    figure = Plot(figsize=(width, height + heading), dpi=100, facecolor="white", layout=layout)
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
def save(figure: Figure, file: str | Path | IO[bytes], format: str | None = None) -> None:
    """Write a figure as SVG, PNG or PDF, as the file's suffix says: on white, the same bytes each time.

    Parameters
    ----------
    figure
        any figure of matplotlib's.
    file
        a path, or a binary file together with its `format`: `"svg"`, `"png"` or `"pdf"`.

    Raises
    ------
    ValueError
        if the path has another suffix.

    Examples
    --------
    >>> import tempfile
    >>> figure = training_curves({"train": [(1, 0.9), (2, 0.02)]})
    >>> save(figure, Path(tempfile.mkdtemp(), "curves.svg"))
    """
    kind = format or Path(str(file)).suffix.lower()[1:]
    metadata: dict[str, dict[str, Any]] = {
        "svg": {"Date": None, "Title": figure.get_suptitle()},
        "png": {},
        "pdf": {"CreationDate": None},
    }
    if kind not in metadata:
        name = Path(str(file)).name
        raise ValueError(f"cannot tell how to save {name!r}: let its name end in .svg, .png or .pdf")
    picture = BytesIO()
    figure.savefig(picture, format=kind, metadata=metadata[kind], dpi=200)
    content = picture.getvalue()
    if kind == "svg":
        content = _rounded(content)
    if isinstance(file, (str, Path)):
        Path(file).write_bytes(content)
    else:
        file.write(content)


def _rounded(svg: bytes) -> bytes:
    """An SVG with two decimals in its tags, where matplotlib writes six: they would be half of the file."""
    return re.sub(rb"<[^<>]*>", lambda tag: re.sub(rb"(\.\d\d)\d+(?![\d.])", rb"\1", tag[0]), svg)


def _finish(figure: Figure, path: str | Path | None) -> Figure:
    """Settle the layout, so that each drawing from now on is the same, and save where a path is given."""
    layout = figure.get_layout_engine()
    assert layout is not None
    for _ in range(4):  # a panel that shrinks has other tick labels, which leave it another size, and so on
        before = [axes.get_position().bounds for axes in figure.axes]
        layout.execute(figure)
        if np.allclose(before, [axes.get_position().bounds for axes in figure.axes], atol=4e-3):
            break
    figure.set_layout_engine("none")
    for heading in figure.texts:  # Jupyter crops figures to what is in the layout
        heading.set_in_layout(True)
    if path is not None:
        save(figure, path)
    return figure


@_drawing()
def training_curves(
    history: Mapping[str, Sequence[tuple[float, float]]],
    path: str | Path | None = None,
    *,
    ylabel: str = "loss",
    note: str = "",
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
    note
        a sentence that stands under the heading.

    Raises
    ------
    ValueError
        if a history is not one of pairs.

    Examples
    --------
    >>> figure = training_curves({"train": [(1, 0.9), (2, 0.02)], "validation": [(1, 1.1), (2, 0.03)]})
    >>> figure.axes[0].get_yscale()
    'log'
    """
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    ylabel = _short(ylabel, 44)
    figure, (axes,) = _figure(f"{ylabel[:1].upper()}{ylabel[1:]} by epoch", [note] if note else [], 8, 4.8)
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
            f"{_short(name)}, last {number(table[-1, 1])}" if len(table) else f"{_short(name)}, nothing yet"
        )
        values.append(value[np.isfinite(value)])
    drawn = np.concatenate([*values, np.empty(0)])
    if drawn.size and drawn.min() > 1 / LARGEST and drawn.max() > 20 * drawn.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda at, _: _ten_to(round(math.log10(at)))))
        ylabel += ", log scale"
    axes.set_xlabel("epoch")
    axes.set_ylabel(ylabel, parse_math=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.grid(visible=True)
    _legend(axes, handles, labels)
    return _finish(figure, path)


def _ten_to(power: int) -> str:
    """10⁻³: as a formula it would be slow, and no plain text in an SVG."""
    return "10" + str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _number(value: float) -> str:
    """0.5 and 2·10⁻⁷: a number that needs no offset and no factor at the end of the axis."""
    digits, _, power = f"{abs(value):g}".partition("e")
    if power:
        digits = ("" if digits == "1" else f"{digits}·") + _ten_to(int(power))
    return MINUS + digits if value < 0 else digits


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


def _apart(path: Array, unit: Array) -> Array:
    """The path without the points that stand less than a unit from the last one kept; its end stays."""
    kept = [0]
    for i, gap in enumerate(path / unit):
        if np.abs(gap - path[kept[-1]] / unit).max() >= 1 or i == len(path) - 1:
            kept.append(i)
    return path[kept[-4000:]]


def _corners(points: Array) -> list[int]:
    """The points that are left of a line if it may move by 1/5000 (the method of Douglas and Peucker)."""
    kept, todo = {0, len(points) - 1}, [(0, len(points) - 1)]
    while todo:
        first, last = todo.pop()
        (x, y), away = points[last] - points[first], points[first + 1 : last] - points[first]
        length = math.hypot(x, y)
        gaps = np.abs(away @ [-y, x]) / length if length else np.linalg.norm(away, axis=1)
        if gaps.size and gaps.max() > 1 / 5000:
            middle = first + 1 + int(gaps.argmax())
            kept.add(middle)
            todo += [(first, middle), (middle, last)]
    return sorted(kept)


def _lighten(contours: Any, unit: Array) -> None:
    """Leave out the points of contours that nobody would miss: they would be most of the file."""
    from matplotlib.path import Path as Lines

    lighter = []
    for path in contours.get_paths():
        parts = []
        for line in np.split(path.vertices, np.flatnonzero(path.codes == Lines.MOVETO)[1:]):
            closed = len(line) > 0 and bool((line[0] == line[-1]).all())
            parts.append(Lines(line[_corners(line / unit)], closed=closed) if len(line) else Lines(line))
        lighter.append(Lines.make_compound_path(*parts))
    contours.set_paths(lighter)


# the directions, as unit vectors, in which texts around a point are tried
CIRCLE = np.column_stack([f(np.linspace(0.0, 2 * np.pi, 64, endpoint=False)) for f in (np.cos, np.sin)])


def _draw_surface(axes: Axes, surface: Surface, first: int, offset: Array) -> None:
    """Contours around the path from its step `first` on, the path, and its marks, with their texts."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    path = surface.path[first:]
    low, high = view(path, surface.curvature, surface.optimum)
    unit = (high - low) / [1.0, ASPECT]
    axes.set(xlim=(low[0] + offset[0], high[0] + offset[0]), ylim=(low[1] + offset[1], high[1] + offset[1]))
    axes.set_box_aspect(ASPECT)
    axes.xaxis.set_major_locator(MaxNLocator(5))  # with more, long numbers would run into each other
    for axis, span in zip((axes.xaxis, axes.yaxis), high - low, strict=True):
        axis.set_major_formatter(
            FuncFormatter(lambda at, _, least=1e-6 * span: _number(at if abs(at) > least else 0.0))
        )

    path = _apart(path, 0.002 * unit)
    axes.plot(*(path + offset).T, "-o", color=BLUE, linewidth=1.2, markersize=2.5)
    marks = [("end", path[-1], "s", 8, BLUE, "white")]
    if surface.curvature is not None:
        marks.insert(0, ("optimum", np.zeros(2), "*", 19, ORANGE, INK))
    if first == 0:
        marks.append(("start", path[0], "o", 9, "white", BLUE))
    for _, at, marker, size, colour, edge in marks:
        axes.plot(*(at + offset), marker, markersize=size, markerfacecolor=colour, markeredgecolor=edge)

    # a path that comes to the same place again takes no more of it
    walked = np.unique(_trace((path - low) / unit, 1000).round(2), axis=0)
    taken = np.vstack([walked, [(at - low) / unit for _, at, *_ in marks]])
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

    exact = surface.curvature is not None
    x, y = axes_of(low, high, 101 if exact else len(surface.x))
    sampled = surface.loss - surface.loss.min() if not exact and first == 0 else None
    excess = surface.excess(x, y[:, np.newaxis]) if sampled is None else sampled
    excess = excess if exact else excess - excess.min()
    highest = float(excess.max())
    if highest <= 0:  # the loss is the same everywhere
        return
    levels = _levels(highest / 150, highest)
    shades = [tuple(1 - t * np.array([0.30, 0.24, 0.18])) for t in np.linspace(0.0, 1.0, len(levels) + 1)]
    grid = offset[0] + x, offset[1] + y, excess
    axes.set_facecolor(shades[-1])
    for level, shade in zip(levels[::-1], shades[-2::-1], strict=True):  # one over the other: no seams
        _lighten(axes.contourf(*grid, levels=[-highest, level], colors=[shade], antialiased=True), unit)
    contours = axes.contour(*grid, levels=levels, colors=GREY, linewidths=0.8)
    _lighten(contours, unit)
    if exact:
        # where each contour crosses each ray from the optimum; its label stands where there is room, as near
        # as can be to the ray that has room for the most labels
        rise = np.maximum(surface.excess(*(CIRCLE * unit).T), 1e-12 * highest)
        crossings = -low / unit + np.sqrt(levels[:, np.newaxis] / rise)[..., np.newaxis] * CIRCLE
        ray = np.argmax((_room(crossings, taken) > 0.05).sum(axis=0))
        spots = list(crossings[:, np.argsort(-CIRCLE @ CIRCLE[ray], kind="stable")])
    else:
        lines = [np.asarray(line.vertices, dtype=np.float64) for line in contours.get_paths()]
        spots = [(line - offset - low) / unit for line in lines]
    labels = []
    for contour in reversed(spots):
        room = _room(contour, taken)
        if len(contour) and room.max() > 0.05:
            spot = contour[np.argmax(room > 0.05) if exact else np.argmax(room)]
            labels.append(tuple(offset + low + spot * unit))
            taken = np.vstack([taken, spot])
    axes.clabel(contours, fmt=_number, fontsize=10, colors=INK, manual=labels)


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
    model: Module | ArrayLike,
    data: Any,
    path: ArrayLike,
    file: str | Path | None = None,
    *,
    names: Sequence[str] | None = None,
    steps: int | None = None,
) -> Figure:
    """Draw the training loss of a model as contours, with the path that SGD took over it.

    The squared loss of a linear model is drawn exactly, around its optimum, any other loss as sampled:
    `model_surface` says how, and what the plane is. Contours are spaced like 1, 2, 5, 10 and so on above the
    minimum. Where the last tenth of the path's points is too small to see, a second panel enlarges it.

    Parameters
    ----------
    model, data, path
        as for `model_surface`: a Module, its DataModule, and a `ParameterPath` or an array of its kind. Of a
        linear model with the squared loss, inputs, targets and path as for `surface_data` will do.
    file
        where to save the figure, as `.svg`, `.png` or `.pdf`.
    names
        the parameters' names, one for each element; of inputs their features' names, without the bias.
    steps
        how many steps the path took, where not each of them is given.

    Raises
    ------
    ValueError
        as `model_surface` and `surface_data` do, and if there are too few or too many names.

    Examples
    --------
    >>> from tinygrad_lr import LinearRegressionScratch, SyntheticRegressionData, Trainer
    >>> from tinygrad_lr_viz.surface import ParameterPath
    >>> model, data = LinearRegressionScratch(1, lr=0.1), SyntheticRegressionData([2], 4.2)
    >>> path = ParameterPath()
    >>> Trainer(3, callbacks=[path]).fit(model, data)
    >>> figure = loss_surface(model, data, path)
    >>> figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()
    ('w[0, 0]', 'b[0]')
    """
    if isinstance(model, Module):
        surface = model_surface(model, data, path)
        labels = names_of(model) if names is None else list(names)
        expected = f"{len(surface.optimum)} parameters: give one name for each of their elements"
    else:
        surface = surface_data(model, data, path)
        features = [f"w[{i}]" for i in range(len(surface.optimum) - 1)] if names is None else list(names)
        prefix = "weight of " if names and len(surface.optimum) == 2 else ""
        labels = [*(prefix + _short(feature) for feature in features), "bias"]
        expected = f"{len(surface.optimum) - 1} features: give one name for each column of X"
    k = len(surface.optimum)
    if len(labels) != k:
        raise ValueError(f"{len(names or ())} names for {expected}")
    exact = surface.curvature is not None
    lowest = (
        f"its minimum, {number(surface.minimum)}" if exact else "the lowest value in the panel, as sampled"
    )
    before, after = (number(surface.path_loss[i]) for i in (0, -1))
    count = len(surface.path) - 1 if steps is None else steps
    notes = [
        f"{count} {'step takes' if count == 1 else 'steps take'} the loss from {before} to {after}. "
        f"Contours: how far it is above {lowest}."
    ]
    if k == 2:
        offset = surface.optimum
        labels = [_short(label, 44) for label in labels]
    else:
        offset = np.zeros(2)
        labels = [_direction(direction, labels) for direction in surface.directions]
        share = "over 99.9%" if surface.share > 0.999 else f"{100 * surface.share:.1f}%"
        centre = "the optimum" if exact else "the path's lowest point"
        notes.append(
            f"Of the {k} dimensions of the parameters, the plane shown keeps the most of the path: "
            f"{share} of its squared distance from {centre}, which is at (0, 0)."
        )
    tail = len(surface.path) - len(surface.path) // 10
    whole, last = (
        np.prod(np.subtract(*view(surface.path[first:], surface.curvature, surface.optimum)))
        for first in (0, min(tail, len(surface.path) - 1))
    )
    enlarge = len(surface.path) >= 20 and last < 0.03 * whole

    size = (12.0, 5.1, 2) if enlarge else (7.6, 5.9, 1)
    figure, panels = _figure("SGD's path over the loss surface", notes, *size)
    for axes, first in zip(panels, (0, tail), strict=False):
        low, high = view(surface.path[first:], surface.curvature, surface.optimum)
        near = high - low < 1e-3 * np.abs(offset)  # the numbers would differ in their last digits only
        _draw_surface(axes, surface, first, np.where(near, 0.0, offset))
        x, y = (
            f"{label} {'+' if at < 0 else MINUS} {_number(abs(at))}" if close else label
            for label, at, close in zip(labels, offset, near, strict=True)
        )
        axes.set_xlabel(x, parse_math=False)
        if axes is panels[0] or near[1]:
            axes.set_ylabel(y, parse_math=False)
    if enlarge:
        panels[0].set_title("The whole path", loc="left")
        panels[1].set_title("Enlarged: its end", loc="left")
    return _finish(figure, file)


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

    On the left, for one feature: the data and the learned line, with the least-squares line where it is
    given; for two: the data and the learned plane; for more: observed values against predicted ones. On the
    right the residuals, observed minus predicted, against the predicted values. R^2 stands above.

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
    inputs, targets = columns(X, y)
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
    dots |= {"linewidths": 0, "rasterized": size > 1000}
    titles = ["The data and the fitted line", "The data and the fitted plane"]
    titles += [f"How well {features} features predict {_short(target)}"] * (features - len(titles))
    figure, (left, right) = _figure(titles[features - 1], notes, 12, 5, 2)
    predicted = predictions["learned"]
    if features == 1:
        _draw_line(left, inputs, targets, lines, names[0], dots)
        left.set_ylabel(_short(target), parse_math=False)
    elif features == 2:
        spec = left.get_subplotspec()
        left.remove()
        left = figure.add_subplot(spec, projection="3d", computed_zorder=False)
        _draw_plane(left, inputs, targets, predicted, lines["learned"], names, dots)
        left.set_zlabel(_short(target, 24), parse_math=False, labelpad=8)
    else:
        left.scatter(predicted, targets, color=BLUE, **dots)
        ends = np.array([predicted.min(), predicted.max()])
        left.plot(ends, ends, color=INK, lw=1.5, ls=DASHED)
        left.set_title("Observed against predicted; dashed: equal", loc="left")
        left.set_xlabel(f"predicted {_short(target)}", parse_math=False)
        left.set_ylabel(f"observed {_short(target)}", parse_math=False)
        left.grid(visible=True)
    right.scatter(predicted, targets - predicted, color=BLUE, **dots)
    right.axhline(0, color=INK, lw=1.5, ls=DASHED)
    right.set_title("Residuals: observed minus predicted", loc="left")
    right.set_xlabel(f"predicted {_short(target)}", parse_math=False)
    right.set_ylabel(f"residual of {_short(target)}", parse_math=False)
    right.grid(visible=True)
    return _finish(figure, path)


def _draw_line(
    axes: Axes,
    inputs: Array,
    targets: Array,
    lines: Mapping[str, tuple[Array, float]],
    name: str,
    dots: Mapping[str, Any],
) -> None:
    """The data of one feature, and lines over it."""
    handles: list[Any] = [axes.scatter(inputs, targets, color=GREY, **dots)]
    labels = ["data"]
    ends = np.array([inputs.min(), inputs.max()])
    looks: list[dict[str, Any]] = [{"color": BLUE, "lw": 3.5}, {"color": INK, "lw": 1.5, "ls": DASHED}]
    for (label, (weights, bias)), look in zip(lines.items(), looks, strict=False):
        handles += axes.plot(ends, weights[0] * ends + bias, **look)
        sign = MINUS if bias < 0 else "+"
        labels.append(f"{label}: {weights[0]:.4g} · {_short(name, 14)} {sign} {abs(bias):.4g}")
    axes.set_xlabel(_short(name), parse_math=False)
    axes.grid(visible=True)
    _legend(axes, handles, labels)


def _draw_plane(
    axes: Any,
    inputs: Array,
    targets: Array,
    predicted: Array,
    line: tuple[Array, float],
    names: Sequence[str],
    dots: Mapping[str, Any],
) -> None:
    """The data of two features, and a plane through it; a triangle points down to where it lies under it."""
    (first, second), bias = line
    x, y = (np.linspace(column.min(), column.max(), 9) for column in inputs.T)
    x, y = np.meshgrid(x, y)
    axes.plot_surface(x, y, first * x + second * y + bias, color=ORANGE, alpha=0.35, edgecolor=GREY, lw=0.4)
    above, handles = targets >= predicted, []
    for side, marker, colour in (
        (above, "o", BLUE),
        (~above, "v", VERMILLION),
    ):
        at = (*inputs[side].T, targets[side])
        handles.append(axes.scatter(*at, marker=marker, color=colour, depthshade=False, zorder=2, **dots))
    axes.set_xlabel(_short(names[0], 24), parse_math=False, labelpad=8)
    axes.set_ylabel(_short(names[1], 24), parse_math=False, labelpad=8)
    axes.tick_params(labelsize=10)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_rotate_label(True)  # along its axis; matplotlib lays short ones across, over the numbers
    _legend(axes, handles, ["above the plane", "below it"])
