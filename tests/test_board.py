"""The board and the progress bar: how much of the time they take, any label, lines without a terminal."""

from __future__ import annotations

import io
import itertools
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask.array
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search import examples
from tinygrad_lr import LinearRegressionScratch, SyntheticRegressionData, Trainer, asarray
from tinygrad_lr import board as board_module
from tinygrad_lr.board import COLORS, SHOWN, ProgressBoard, as_number

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = ["$x_{$", "\\frac", "_hidden", "100%", "</svg><script>alert(1)</script>", "a&b", "名前", "a\nb"]


class Clock:
    """A clock that only goes on when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(board_module.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def in_notebook(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """As if in a notebook; returns the list of the times at which a picture is shown there."""
    shown: list[float] = []

    def note(picture: str) -> None:
        shown.append(board_module.time.monotonic())

    def display(picture: str, display_id: bool) -> Any:
        note(picture)
        return SimpleNamespace(update=note)

    events = SimpleNamespace(register=lambda event, hook: None, unregister=lambda event, hook: None)
    shell = SimpleNamespace(kernel=object(), events=events)
    fake = SimpleNamespace(
        get_ipython=lambda: shell, display=SimpleNamespace(SVG=str, display=display), version_info=(9, 0)
    )
    monkeypatch.setitem(sys.modules, "IPython", fake)
    return shown


# ---- how much of the time it takes ------------------------------------------------------------------------


@examples(30)
@given(picture=st.floats(1e-4, 3.0), step=st.floats(1e-3, 1.0))
def test_drawing_takes_less_than_a_tenth_of_the_time(picture: float, step: float) -> None:
    """Whatever a picture and a step take."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        clock, shown = Clock(monkeypatch), in_notebook(monkeypatch)

        def svg(board: ProgressBoard) -> str:
            clock.now += picture
            return ""

        monkeypatch.setattr(ProgressBoard, "svg", svg)
        board = ProgressBoard()
        for i in range(2000):
            clock.now += step
            board.draw(i, 1.0, "loss")
        training = 2000 * step
        assert shown[0] >= 1000.0 + board_module.START
        assert picture * (len(shown) - 1) <= 0.05 * (shown[-1] - shown[0]) + 1e-9
        assert all(later - earlier >= board_module.PAUSE for earlier, later in itertools.pairwise(shown))
        assert len(shown) >= (training - 3) / (21 * picture + step + board_module.PAUSE) - 1


def test_a_quick_run_shows_its_last_picture_only(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    pytest.importorskip("matplotlib", reason="the picture needs the extra viz")
    shown, board = in_notebook(monkeypatch), ProgressBoard()
    for x in range(10):
        clock.now += 0.05
        board.draw(x, x, "loss")
    assert shown == []
    board.clear()  # as at the end of the cell
    assert shown == [clock.now]


def test_a_line_of_very_many_points_is_drawn_with_some_of_them() -> None:
    pytest.importorskip("matplotlib", reason="the picture needs the extra viz")
    board = ProgressBoard()
    for x in range(10 * SHOWN + 7):
        board.draw(x, x % 100, "loss")
    board.svg()
    (line,) = board.fig.axes[0].lines
    xs = line.get_xdata()
    assert SHOWN / 2 < len(xs) <= SHOWN + 1
    assert (xs[0], xs[-1]) == (0, 10 * SHOWN + 6)
    assert len(board.data["loss"]) == 10 * SHOWN + 7


# ---- the picture ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "of", [np.asarray, dask.array.asarray, asarray, lambda a: asarray(dask.array.asarray(a))]
)
def test_what_is_drawn_is_a_number_of_any_array(of: Any) -> None:
    assert as_number(of([1.0, 2.0])) == 1.5
    assert as_number(of(3.0)) == 3.0


def test_any_label_is_drawn_as_it_is() -> None:
    pytest.importorskip("matplotlib", reason="the picture needs the extra viz")
    board = ProgressBoard()
    for label in HOSTILE:
        board.draw(1, 2, label)
    board.draw(2, 3, HOSTILE[0])
    svg = board.svg()
    root = ET.fromstring(svg)
    texts = {"".join(text.itertext()) for text in root.iter(f"{SVG}text")}
    assert set(HOSTILE[:-1]) <= texts
    assert "<script" not in svg
    legend = board.fig.axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == HOSTILE


def test_the_picture_keeps_its_size() -> None:
    """So that a page does not jump while it is renewed."""
    pytest.importorskip("matplotlib", reason="the picture needs the extra viz")
    board, sizes = ProgressBoard(), set()
    for y in (1.0, 123456.789, -1e-9):
        board.draw(y, y, "loss")
        root = ET.fromstring(board.svg())
        sizes.add((root.get("width"), root.get("height")))
    assert sizes == {("252pt", "180pt")}


def test_lines_differ_in_colour_and_in_style() -> None:
    pytest.importorskip("matplotlib", reason="the picture needs the extra viz")
    board = ProgressBoard()
    for label in "abcd":
        board.draw(1, 1, label)
    board.svg()
    lines = board.fig.axes[0].lines
    assert tuple(line.get_color() for line in lines) == COLORS
    assert len({line.get_linestyle() for line in lines}) == 4


@pytest.mark.parametrize(("suffix", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_the_picture_can_be_saved(suffix: str, start: bytes, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the picture needs the extra viz")
    board = ProgressBoard(xlabel="epoch")
    board.draw(1, 2, "loss")
    again = ProgressBoard(xlabel="epoch")
    again.draw(1, 2, "loss")
    for name, drawn in (("loss", board), ("again", again)):
        drawn.save(tmp_path / f"{name}.{suffix}")
    picture = (tmp_path / f"loss.{suffix}").read_bytes()
    assert picture.startswith(start)
    assert picture == (tmp_path / f"again.{suffix}").read_bytes()
    assert b"dc:date" not in picture
    assert b"/CreationDate" not in picture


# ---- lines where there is no terminal ---------------------------------------------------------------------


class Slow:
    """A callback that makes each epoch take some time by the clock."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.clock, self.seconds = clock, seconds

    def on_epoch_end(self, trainer: Trainer) -> None:
        self.clock.now += self.seconds


def lines_of(
    clock: Clock, seconds: float, epochs: int, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[str], Trainer]:
    monkeypatch.setattr(sys, "stderr", piped := io.StringIO())
    trainer = Trainer(epochs, callbacks=[Slow(clock, seconds)])
    data = SyntheticRegressionData([2, -3.4], 4.2, num_train=32, num_val=32)
    trainer.fit(LinearRegressionScratch(2, lr=0.03), data)
    return piped.getvalue().splitlines(), trainer


def test_piped_a_long_run_writes_lines(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    lines, trainer = lines_of(clock, 2.0, 10, monkeypatch)
    losses = zip(trainer.history["train"], trainer.history["val"], strict=True)
    rates = [0, *(f"{32 * epoch / (2 * (epoch - 1)):.3g}" for epoch in range(2, 11))]  # Slow hears it later
    expected = [
        f"epoch {epoch}/10: train loss {train:.3g}, val loss {val:.3g}, {rate} rows/s"
        for rate, ((epoch, train), (_, val)) in zip(rates, losses, strict=True)
    ]
    assert lines == [expected[i - 1] for i in (4, 7, 10)]


def test_the_last_line_tells_of_the_last_epoch(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    lines, _ = lines_of(clock, 2.0, 6, monkeypatch)
    assert [line.split(":")[0] for line in lines] == ["epoch 4/6", "epoch 6/6"]


def test_of_other_loaders_no_rate_is_told(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def lists(self: SyntheticRegressionData, train: bool) -> Any:
        return [(self.X, self.y)]

    monkeypatch.setattr(SyntheticRegressionData, "get_dataloader", lists)
    lines, trainer = lines_of(clock, 2.0, 4, monkeypatch)
    (*_, (_, train)), (*_, (_, val)) = trainer.history["train"], trainer.history["val"]
    assert lines == [f"epoch 4/4: train loss {train:.3g}, val loss {val:.3g}"]


def test_piped_a_quick_run_writes_nothing(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lines_of(clock, 0.4, 10, monkeypatch)[0] == []


def test_a_terminal_without_tqdm_gets_lines(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    data = SyntheticRegressionData([2, -3.4], 4.2, num_train=32, num_val=0)
    Trainer(3, callbacks=[Slow(clock, 6.0)]).fit(LinearRegressionScratch(2, lr=0.03), data)
    lines = terminal.getvalue().splitlines()
    assert [line.split(",")[0].split(":")[0] for line in lines] == ["epoch 2/3", "epoch 3/3"]
    assert "val" not in terminal.getvalue()
