"""The plots: their numbers exactly, their layout by measuring it, and whatever a caller may throw at them."""

from __future__ import annotations

import functools
import itertools
import sys
import warnings
import xml.etree.ElementTree as ET
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from tinygrad_lr import SGD, Module, SyntheticRegressionData, Tensor, Trainer, tensor
from tinygrad_lr_viz import plots
from tinygrad_lr_viz.figure import Plot
from tinygrad_lr_viz.markup import fitted
from tinygrad_lr_viz.plots import (
    ParameterPath,
    fit_plot,
    loss_surface,
    model_surface,
    save,
    surface_data,
    training_curves,
)

Array = NDArray[np.float64]
HOSTILE = [
    "$",
    "$x_{$",
    "\\frac",
    "_hidden",
    "100%",
    "</svg><b>",
    "a&b",
    "名前" * 500,
    "x" * 1000,
    "",
    "a\nb\0\ud800",
]


def numbers(values: Any) -> Array:
    return np.array(values, dtype=np.float64)


def loss(X: Array, y: Array, parameters: Array) -> Array:
    """The squared loss at each row of parameters, straight from its definition."""
    errors = parameters[..., :-1] @ X.T + parameters[..., -1:] - y
    return numbers(np.mean(errors**2, axis=-1) / 2)


def regression(features: int, seed: int = 0, examples: int = 40) -> tuple[Array, Array, Array]:
    """Data, and a path as gradient descent with noise takes it."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(examples, features)) * np.linspace(1, 0.2, features)
    y = X @ np.arange(1, features + 1) + 4.2 + 0.1 * rng.normal(size=examples)
    design = np.column_stack([X, np.ones(examples)])
    steps = [np.zeros(features + 1)]
    for _ in range(60):
        gradient = design.T @ (design @ steps[-1] - y) / examples
        steps.append(steps[-1] - 0.2 * gradient - 0.01 * rng.normal(size=features + 1))
    return X, y, np.array(steps)


shapes = st.tuples(st.integers(1, 12), st.integers(1, 5), st.integers(1, 9), st.integers(0, 2**32 - 1))


def draw(shape: tuple[int, int, int, int]) -> tuple[Array, Array, Array]:
    examples, features, steps, seed = shape
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(examples, features)).round(
        rng.integers(0, 3)
    )  # coarse enough to be singular at times
    return X, rng.normal(size=examples), rng.normal(size=(steps, features + 1)).round(rng.integers(0, 3))


class TestSurfaceData:
    @given(shapes)
    def test_losses_are_those_of_the_definition(self, shape: tuple[int, int, int, int]) -> None:
        X, y, path = draw(shape)
        surface = surface_data(X, y, path, grid=7)
        grid = np.stack(np.meshgrid(surface.x, surface.y), axis=-1) @ surface.directions + surface.optimum
        expected = loss(X, y, grid)
        np.testing.assert_allclose(surface.loss, expected, rtol=1e-7, atol=1e-9 * expected.max() + 1e-12)
        np.testing.assert_allclose(surface.path_loss, loss(X, y, path), rtol=1e-7, atol=1e-9)
        assert surface.minimum <= expected.min() + 1e-12

    @given(shapes)
    def test_the_optimum_is_the_minimiser_nearest_to_the_start(
        self, shape: tuple[int, int, int, int]
    ) -> None:
        X, y, path = draw(shape)
        optimum = surface_data(X, y, path, grid=2).optimum
        design = np.column_stack([X, np.ones(len(X))])
        np.testing.assert_allclose(design.T @ (design @ optimum - y), 0, atol=1e-7)
        np.testing.assert_allclose(
            optimum, path[0] + np.linalg.pinv(design) @ (y - design @ path[0]), atol=1e-6
        )

    @given(shapes)
    def test_no_other_plane_holds_more_of_the_path(self, shape: tuple[int, int, int, int]) -> None:
        X, y, path = draw(shape)
        surface = surface_data(X, y, path, grid=2)
        moves = path - surface.optimum
        total = np.sum(moves**2)
        np.testing.assert_allclose(surface.directions @ surface.directions.T, np.eye(2), atol=1e-12)
        np.testing.assert_allclose(surface.path, moves @ surface.directions.T, atol=1e-9)
        np.testing.assert_allclose(surface.share * total, np.sum(surface.path**2), atol=1e-9 * total)
        other = np.linalg.qr(np.random.default_rng(1).normal(size=(path.shape[1], 2))).Q.T
        assert np.sum((moves @ other.T) ** 2) <= surface.share * total * (1 + 1e-9)

    @given(shapes)
    def test_the_view_holds_the_path_and_the_optimum(self, shape: tuple[int, int, int, int]) -> None:
        X, y, path = draw(shape)
        surface = surface_data(X, y, path, grid=2)
        points = np.vstack([surface.path, np.zeros(2)])
        for axis, values in ((surface.x, points[:, 0]), (surface.y, points[:, 1])):
            assert axis[0] < values.min()
            assert values.max() < axis[1]

    def test_two_parameters_are_the_axes_themselves(self) -> None:
        X, y, path = regression(1)
        surface = surface_data(X, y, path)
        np.testing.assert_array_equal(surface.directions, np.eye(2))
        assert surface.share == 1

    def test_a_path_starts_at_the_lower_left(self) -> None:
        assert (surface_data(*regression(4)).path[0] <= 0).all()

    def test_a_straight_path_is_drawn_with_the_steepest_other_direction(self) -> None:
        X = np.array([[1.0, 0, 0], [-1, 0, 0], [0, 9, 0], [0, -9, 0], [0, 0, 2], [0, 0, -2]])
        path = np.outer(np.linspace(1, 0, 5), [1.0, 0, 0, 0])  # towards the optimum at zero, along w[0]
        surface = surface_data(X, np.zeros(6), path)
        np.testing.assert_allclose(np.abs(surface.directions), [[1, 0, 0, 0], [0, 1, 0, 0]], atol=1e-6)

    def test_a_narrow_path_across_a_steep_valley_gets_its_own_scale(self) -> None:
        X = np.array([[1.0], [-1.0]]) * 1e3
        surface = surface_data(X, np.zeros(2), np.array([[-1e-3, -1.0], [1e-3, -0.5]]))
        assert np.ptp(surface.x) < 0.01 * np.ptp(surface.y)
        flat = surface_data(X / 1e3, np.zeros(2), np.array([[-1e-3, -1.0], [1e-3, -0.5]]))
        assert np.ptp(flat.y) == pytest.approx(plots.ASPECT * np.ptp(flat.x))

    @pytest.mark.parametrize(
        ("X", "y", "path", "message"),
        [
            (np.ones((3, 2)), np.ones(2), np.zeros((1, 3)), r"X has shape \(3, 2\) and y \(2,\): expected"),
            (np.ones((0, 2)), np.ones(0), np.zeros((1, 3)), "at least one example"),
            (np.ones((3, 0)), np.ones(3), np.zeros((1, 1)), "at least one example and one feature"),
            ([[1.0], [np.nan]], [1.0, 2.0], np.zeros((1, 2)), "leave those examples out"),
            (np.ones((3, 2)), np.ones(3), np.zeros((4, 2)), r"expected \(steps, 3\), a row .* bias last"),
            (np.ones((3, 2)), np.ones(3), np.zeros((0, 3)), r"shape \(0, 3\)"),
            (np.ones(2), np.ones(2), [[0.0, 0], [1, 1], [np.inf, 1]], r"step 2 .* draw parameters\[:2\]"),
            (np.arange(2.0), np.ones(2), [[0.0, 0], [1e200, 1]], "before training diverged"),
        ],
    )
    def test_errors(self, X: Any, y: Any, path: Any, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            surface_data(X, y, path)


def attached(*shape: int, seed: int = 0) -> Tensor:
    t = tensor(np.random.default_rng(seed).normal(size=shape))
    t.attach_grad()
    return t


class Linear(Module):
    """A linear model with the squared loss, and two features."""

    def __init__(self) -> None:
        self.w, self.b = attached(2, 1), attached(1)

    def forward(self, X: Any) -> Any:
        return X @ self.w + self.b

    def loss(self, y_hat: Any, y: Any) -> Any:
        return ((y_hat - y) ** 2 / 2).mean()

    def configure_optimizers(self) -> SGD:
        return SGD(self.parameters(), 0.1)


class Robust(Linear):
    def loss(self, y_hat: Any, y: Any) -> Any:
        return np.log1p((y_hat - y) ** 2).mean()


class Logistic(Linear):
    def loss(self, y_hat: Any, y: Any) -> Any:
        return np.logaddexp(0.0, -y_hat * np.sign(y)).mean()


class Cone(Linear):
    """No derivative where all parameters are 0."""

    def loss(self, y_hat: Any, y: Any) -> Any:
        return np.sqrt(np.sum(self.w**2) + np.sum(self.b**2))


class Unused(Linear):
    def forward(self, X: Any) -> Any:
        return X @ self.w


class Layers(Linear):
    def __init__(self) -> None:
        self.v, self.w, self.b = attached(2, 3, seed=1), attached(3, 1, seed=2), attached(1)

    def forward(self, X: Any) -> Any:
        return super().forward(np.tanh(X @ self.v))


@functools.cache
def trained(kind: type[Linear]) -> tuple[Linear, SyntheticRegressionData, ParameterPath]:
    model, data, path = kind(), SyntheticRegressionData([2, -3.4], 4.2, num_train=96, seed=0), ParameterPath()
    Trainer(4, callbacks=[path], progress=False).fit(model, data)
    return model, data, path


class TestModelSurface:
    def test_of_a_linear_model_it_is_that_of_least_squares(self) -> None:
        model, data, path = trained(Linear)
        surface = model_surface(model, data, path)
        X, y = data.X.numpy()[:96], data.y.numpy()[:96]
        expected = surface_data(X, y, path, grid=41)
        assert len(path.points) == 13
        for name in ("optimum", "directions", "share", "curvature", "minimum", "path", "path_loss", "loss"):
            np.testing.assert_allclose(getattr(surface, name), getattr(expected, name), rtol=1e-6, atol=1e-9)

    @pytest.mark.parametrize("kind", [Robust, Logistic, Layers])
    def test_any_other_loss_is_sampled(self, kind: type[Linear]) -> None:
        model, data, path = trained(kind)
        surface = model_surface(model, data, path, grid=5)
        assert surface.curvature is None
        steps = numbers(path)
        np.testing.assert_allclose(surface.optimum, steps[np.argmin(surface.path_loss)])
        for i, j in ((0, 0), (4, 2)):
            point = surface.optimum + numbers([surface.x[i], surface.y[j]]) @ surface.directions
            other, start = kind(), 0
            for parameter in other.parameters():
                parameter[...] = point[start : start + parameter.size].reshape(parameter.shape)
                start += parameter.size
            loss = other.loss(other(data.X[:96]), data.y[:96]).item()
            assert surface.loss[j, i] == pytest.approx(loss)
        np.testing.assert_allclose(surface.path, (steps - surface.optimum) @ surface.directions.T, atol=1e-12)

    def test_the_plane_is_that_of_the_two_main_directions(self) -> None:
        model, data, path = trained(Layers)
        surface = model_surface(model, data, path, grid=2)
        moves = numbers(path) - surface.optimum
        values = np.linalg.svd(moves, compute_uv=False) ** 2
        assert surface.share == pytest.approx(values[:2].sum() / values.sum())

    def test_model_and_random_numbers_are_left_as_they_were(self) -> None:
        model, _, path = trained(Layers)
        data = SyntheticRegressionData([2, -3.4], 4.2, num_train=64)
        before, state = [p.numpy().copy() for p in model.parameters()], np.random.get_state(legacy=True)[1]
        gradients = [p.grad.numpy().copy() for p in model.parameters()]
        model_surface(model, data, path, grid=2)
        for p, values, gradient in zip(model.parameters(), before, gradients, strict=True):
            np.testing.assert_array_equal(p.numpy(), values)
            np.testing.assert_array_equal(p.grad.numpy(), gradient)
        np.testing.assert_array_equal(np.random.get_state(legacy=True)[1], state)

    def test_arrays_instead_of_a_data_module(self) -> None:
        model, data, path = trained(Linear)
        surface = model_surface(model, (data.X[:96], data.y[:96]), path, grid=2)
        np.testing.assert_allclose(surface.loss, model_surface(model, data, path, grid=2).loss)

    def test_a_loss_without_a_minimum_is_sampled(self) -> None:
        class Downhill(Linear):
            def loss(self, y_hat: Any, y: Any) -> Any:
                return y_hat.mean() + 0.0 * (y_hat * y_hat).mean()

        model, data, path = trained(Linear)
        assert model_surface(Downhill(), data, path, grid=2).curvature is None
        assert model.parameters()

    @pytest.mark.parametrize("kind", [Cone, Unused])
    def test_without_second_derivatives_it_is_sampled(self, kind: type[Linear]) -> None:
        model, data, _ = trained(Linear)
        surface = model_surface(kind(), data, np.array([[0.0, 0.0, 0.0], [1.0, 0.5, 0.0]]), grid=2)
        assert surface.curvature is None
        assert np.isfinite(surface.loss).all()
        assert model.parameters()

    def test_errors(self) -> None:
        model, data, path = trained(Linear)
        with pytest.raises(
            ValueError, match=r"shape \(13, 2\): expected \(steps, 3\), .* all elements of w, b"
        ):
            model_surface(model, data, numbers(path)[:, :2])

        class Single(Linear):
            def __init__(self) -> None:
                self.w = attached(1)

        with pytest.raises(ValueError, match="two parameters or more, but Single has 1"):
            model_surface(Single(), data, np.zeros((3, 1)))

        class Undefined(Linear):
            def loss(self, y_hat: Any, y: Any) -> Any:
                return np.log(y_hat - 1e9).mean()

        with pytest.raises(ValueError, match="not finite everywhere around this path: draw a shorter part"):
            model_surface(Undefined(), data, path, grid=2)


@given(st.floats(1e-290, 1e290), st.floats(2.5, 1e6))
def test_levels_are_round_numbers(lowest: float, factor: float) -> None:
    levels = plots._levels(lowest, lowest * factor)
    assert levels.size >= 1
    assert (levels >= lowest).all()
    assert (levels <= lowest * factor).all()
    assert {f"{level:.6e}"[:8] for level in levels} <= {"1.000000", "2.000000", "5.000000"}


def texts(figure: Figure) -> str:
    return "\n".join(t.get_text() for t in figure.findobj(Text) if isinstance(t, Text))


def assert_well_laid_out(figure: Figure) -> None:
    """Nothing is cut off, no mark's label is covered by another, no heading and no legend covers the data."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # of fonts that this machine may lack
        _assert_well_laid_out(figure)


def _assert_well_laid_out(figure: Figure) -> None:
    figure.draw_without_rendering()
    renderer: Any = figure._get_renderer()  # type: ignore[attr-defined]
    inked = Bbox.union([axes.get_tightbbox(renderer) for axes in figure.axes])  # without the headings
    assert inked.x0 >= 0
    assert inked.y0 >= 0
    assert inked.x1 <= figure.bbox.x1
    assert inked.y1 <= figure.bbox.y1
    headings = [t.get_window_extent(renderer) for t in figure.texts if t.get_text()]
    assert all(box.x0 > 0 and box.x1 < figure.bbox.x1 and box.y1 < figure.bbox.y1 for box in headings)
    lowest = min(box.y0 for box in headings)
    assert inked.y1 <= lowest
    for axes in figure.axes:
        boxes = [patch.get_window_extent(renderer) for t in axes.texts if (patch := t.get_bbox_patch())]
        assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
        if legend := axes.get_legend():
            assert legend.get_window_extent(renderer).y0 >= axes.get_window_extent(renderer).y1


SURFACES: dict[str, tuple[Any, Any, Any]] = {
    f"{features} features": regression(features) for features in (1, 2, 3, 10)
}
_X, _y, _path = regression(3)
_optimum = surface_data(_X, _y, _path).optimum
SURFACES |= {
    "one step": (_X, _y, _path[:1]),
    "one step, at the optimum": (_X, _y, _optimum[np.newaxis]),
    "constant": (_X, _y, _path[[0] * 5]),
    "constant, at the optimum": (_X, _y, np.tile(_optimum, (5, 1))),
    "constant, exactly at the optimum": ([[1.0], [-1.0]], [0.0, 0.0], np.zeros((5, 2))),
    "straight": (_X, _y, np.linspace(_path[0], _optimum, 20)),
    "ill-conditioned": (_X * [1, 1e-6, 1e6], _y, _path * [1, 1e6, 1e-6, 1]),
    "collinear": (_X[:, [0, 0, 0]], _y, _path),
    "flat": (_X[:, [0, 0, 0]], _X[:, 0], [[1.0, 0, 0, 0], [2, -1, 0, 0], [2, -2, 1, 0]]),
    "one example": (_X[:1], _y[:1], _path),
    "diverging": (_X, _y, np.outer(10.0 ** np.arange(60), np.ones(4))),
    "constant column": (np.zeros((4, 1)), np.arange(4.0), [[0.0, 0], [0, 1]]),
}


@functools.cache
def drawn(case: str) -> Figure:
    """A figure that is only looked at."""
    return loss_surface(*SURFACES[case])


class TestLossSurface:
    @pytest.mark.parametrize("case", SURFACES)
    def test_typical_and_degenerate_paths(self, case: str) -> None:
        figure = drawn(case)
        assert_well_laid_out(figure)
        labels = [t.get_text() for t in figure.axes[0].texts]
        assert {"start", "end", "optimum"} <= set(labels)

    def test_it_says_how_much_the_plane_holds(self) -> None:
        share = surface_data(*SURFACES["10 features"]).share
        assert 0.5 < share < 0.999
        assert f"{100 * share:.1f}%" in texts(drawn("10 features"))

    def test_it_says_how_many_steps_the_path_took(self) -> None:
        X, y, path = regression(2)
        assert "\n60 steps take the loss from " in texts(drawn("2 features"))
        assert "\n5000 steps take the loss from " in texts(loss_surface(X, y, path, steps=5000))
        assert "\n1 step takes the loss from " in texts(loss_surface(X, y, path, steps=1))

    def test_two_parameters_are_drawn_in_their_own_values(self) -> None:
        X, y, path = regression(1)
        axes = loss_surface(X, y, path, names=["dose"]).axes[0]
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("weight of dose", "bias")
        drawn_path = numbers(axes.lines[0].get_data()).T
        gaps = np.abs(path[:, np.newaxis] - drawn_path) / [np.ptp(axes.get_xlim()), np.ptp(axes.get_ylim())]
        assert gaps.max(axis=2).min(axis=1).max() < 0.005  # each step is drawn, or one that looks the same
        np.testing.assert_allclose(drawn_path[[0, -1]], path[[0, -1]], atol=1e-12)

    def test_the_end_is_enlarged_where_it_is_too_small_to_see(self) -> None:
        X, y, path = regression(2)
        assert len(drawn("2 features").axes) == 1
        optimum = surface_data(X, y, path).optimum
        assert len(loss_surface(X, y, [path[0], optimum]).axes) == 1  # one step is no walk to look at
        settled = np.vstack([path, optimum + 1e-4 * np.random.default_rng(0).normal(size=(60, 3))])
        left, right = loss_surface(X, y, settled).axes
        assert right.get_title("left") == "Enlarged: its end"
        assert np.ptp(right.get_xlim()) < 0.1 * np.ptp(left.get_xlim())

    def test_places_that_differ_in_their_last_digits_are_told_from_the_optimum(self) -> None:
        x, path = np.linspace(-1, 1, 9), np.outer(1 - 0.5 ** np.arange(41), [70.0, -6.0])
        whole, end = loss_surface(x, 70 * x - 6, path).axes
        assert (whole.get_xlabel(), whole.get_ylabel()) == ("w[0]", "bias")
        assert (end.get_xlabel(), end.get_ylabel()) == ("w[0] \N{MINUS SIGN} 70", "bias + 6")
        assert end.get_xlim()[0] < 0 < end.get_xlim()[1] < 1e-6
        assert not [t for t in end.texts if "e-" in t.get_text()]

    @given(st.floats(-1e300, 1e300))
    def test_numbers_at_axes_are_those_of_python(self, value: float) -> None:
        text = plots._number(value).replace("\N{MINUS SIGN}", "-")
        digits, _, power = text.rpartition("10") if set(text) & set("⁰¹²³⁴⁵⁶⁷⁸⁹") else (text, "", "")
        power = power.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
        sign, digits = digits[:1] == "-", digits.removeprefix("-").removesuffix("·") or "1"
        assert float(f"{'-' * sign}{digits}e{power or 0}") == pytest.approx(value, rel=1e-5, abs=1e-300)

    def test_contours_lie_where_the_loss_has_their_value(self) -> None:
        X, y, path = regression(1)
        axes = drawn("1 features").axes[0]
        minimum = surface_data(X, y, path).minimum
        contours = next(c for c in axes.collections if isinstance(c, QuadContourSet) and not c.filled)
        assert numbers(contours.levels).size >= 4
        for level, contour in zip(contours.levels, contours.get_paths(), strict=True):
            np.testing.assert_allclose(loss(X, y, numbers(contour.vertices)) - minimum, level, rtol=0.02)

    def test_a_file_is_small(self, tmp_path: Path) -> None:
        X, y, path = regression(2)
        noise = np.random.default_rng(0).normal(size=(5000, 3))
        path = np.vstack([path, path[-1] + 1e-3 * noise])
        loss_surface(X, y, path, tmp_path / "surface.svg")
        assert (tmp_path / "surface.svg").stat().st_size < 100_000

    def test_a_sampled_surface_has_no_optimum_and_says_how_it_was_made(self) -> None:
        figure = loss_surface(*trained(Layers))
        assert_well_laid_out(figure)
        labels = {t.get_text() for t in figure.axes[0].texts}
        assert {"start", "end"} <= labels
        assert "optimum" not in labels
        words = texts(figure).replace("\n", " ")
        assert "above the lowest value in the panel, as sampled." in words
        assert "of its squared distance from the path's lowest point" in words

    def test_parameters_have_the_names_of_the_model(self) -> None:
        model, data, path = trained(Linear)
        assert loss_surface(model, data, path, names=["a", "b", "c"]).axes[0].get_xlabel() != ""
        with pytest.raises(ValueError, match="1 names for 3 parameters: give one name for each of their ele"):
            loss_surface(model, data, path, names=["a"])

    def test_a_wrong_number_of_names(self) -> None:
        with pytest.raises(ValueError, match="2 names for 3 features: give one name for each column"):
            loss_surface(*regression(3), names=["a", "b"])


HISTORY = {"train_loss": [(1, 9.0), (2, 0.5), (3, 0.01)], "val_loss": [(1, 8.0), (2, 0.6), (3, 0.012)]}


class TestTrainingCurves:
    def test_it_draws_the_numbers_and_says_the_last(self) -> None:
        figure = training_curves(HISTORY)
        for line, points in zip(figure.axes[0].lines, HISTORY.values(), strict=True):
            np.testing.assert_array_equal(numbers(line.get_data()).T, points)
        assert "train_loss, last 0.01" in texts(figure)
        assert_well_laid_out(figure)

    def test_train_and_validation_differ_without_colour(self) -> None:
        for names in itertools.permutations(HISTORY):
            lines = training_curves({name: HISTORY[name] for name in names}).axes[0].lines
            looks = {name: (x.get_linestyle(), x.get_marker()) for name, x in zip(names, lines, strict=True)}
            assert looks == {"train_loss": ("-", "o"), "val_loss": ("--", "s")}

    def test_names_of_validation(self) -> None:
        validation = ["val", "Validation loss", "loss/valid", "epoch_val_loss"]
        other = ["value", "interval", "train", "loss"]
        lines = training_curves({name: [(0, 1.0)] for name in [*validation, *other]}).axes[0].lines
        assert [line.get_linestyle() == "--" for line in lines] == [True] * 4 + [False] * 4

    def test_no_two_of_many_curves_look_the_same(self) -> None:
        history = {f"{kind} {i}": [(0, i)] for kind in ("train", "val") for i in range(6)}
        assert len({str(line.get_marker()) for line in training_curves(history).axes[0].lines}) == 12

    @pytest.mark.parametrize(
        ("values", "scale"),
        [([1.0, 0.06], "linear"), ([1.0, 0.04], "log"), ([1.0, 0.0], "linear"), ([9.0, -9.0], "linear")],
    )
    def test_the_scale_is_logarithmic_for_wide_positive_values(self, values: list[float], scale: str) -> None:
        axes = training_curves({"loss": list(enumerate(values))}).axes[0]
        assert axes.get_yscale() == scale
        assert ("log scale" in axes.get_ylabel()) == (scale == "log")

    @pytest.mark.parametrize(
        "history",
        [
            {},
            {"train": []},
            {"train": [(1, 2.0)]},
            {"train": [(1, np.nan)], "val": [(1, np.inf)]},
            {"train": [(0, 1.0), (1, np.nan), (2, 3.0)]},
            {"train": [(0, 1e300), (1, 1e-300)]},
            {"train": [(0, 1.0), (1, 1e308)]},
            {"train": [(0, 0.0), (1, 0.0)]},
            {f"{'val' if i % 2 else 'train'} {i}": [(0, i), (1, i)] for i in range(8)},
            {"train": [(i / 100, 1.0 / (1 + i)) for i in range(2000)]},
        ],
        ids=lambda history: str(history)[:40],
    )
    def test_odd_histories(self, history: dict[str, list[tuple[float, float]]]) -> None:
        assert_well_laid_out(training_curves(history))

    def test_a_history_without_pairs(self) -> None:
        with pytest.raises(
            ValueError, match=r"history\['train'\] has shape \(2,\): expected \(epoch, value\)"
        ):
            training_curves({"train": [1.0, 2.0]})  # type: ignore[list-item]


class TestFitPlot:
    def test_one_feature(self) -> None:
        X, y, _ = regression(1)
        figure = fit_plot(X, y, [2.0], -1.0, ["dose"], "growth", closed_form=([1.0], 4.2))
        learned, exact = figure.axes[0].lines
        for line, w, b in ((learned, 2.0, -1.0), (exact, 1.0, 4.2)):
            x, values = numbers(line.get_data())
            np.testing.assert_allclose(values, w * x + b)
        assert learned.get_linestyle() != exact.get_linestyle()
        assert "learned: 2 · dose \N{MINUS SIGN} 1" in texts(figure)
        predicted = 2 * X[:, 0] - 1
        residuals = numbers(figure.axes[1].collections[0].get_offsets())
        np.testing.assert_allclose(residuals, np.column_stack([predicted, y - predicted]))
        assert_well_laid_out(figure)

    def test_two_features(self) -> None:
        X, y, _ = regression(2)
        figure = fit_plot(X, y, [1.1, 2.0], 4.0, ["dose", "time"], "growth")
        space: Any = figure.axes[1]  # the panel in three dimensions came after that of the residuals
        assert space.name == "3d"
        assert (space.get_xlabel(), space.get_ylabel(), space.get_zlabel()) == ("dose", "time", "growth")
        plane, above, below = space.collections
        predicted = X @ [1.1, 2.0] + 4.0
        assert len(plane.get_facecolor()) == 64
        for dots, side in ((above, y >= predicted), (below, y < predicted)):
            np.testing.assert_allclose(numbers(dots._offsets3d), [*X[side].T, y[side]])
        assert_well_laid_out(figure)

    def test_several_features(self) -> None:
        X, y, _ = regression(3)
        w, b = np.array([[1.1], [2.0], [2.9]]), 4.0
        figure = fit_plot(X, y[:, np.newaxis], w, b, ["a", "b", "c"], "growth", closed_form=([1, 2, 3], 4.2))
        left, right = figure.axes
        predicted = (X @ w).reshape(-1) + b
        np.testing.assert_allclose(
            numbers(left.collections[0].get_offsets()), np.column_stack([predicted, y])
        )
        np.testing.assert_allclose(
            numbers(right.collections[0].get_offsets()), np.column_stack([predicted, y - predicted])
        )
        assert f"{1 - np.sum((y - predicted) ** 2) / np.sum((y - y.mean()) ** 2):.4f} (learned)" in texts(
            figure
        )
        assert_well_laid_out(figure)

    def test_many_examples_stay_a_small_file(self, tmp_path: Path) -> None:
        X, y, _ = regression(2, examples=4000)
        fit_plot(X, y, [1, 2], 4.2, ["a", "b"], "growth", tmp_path / "fit.svg")
        assert (tmp_path / "fit.svg").stat().st_size < 450_000

    @pytest.mark.parametrize("size", [1, 2])
    def test_constant_targets(self, size: int) -> None:
        assert "R² = nan" in texts(fit_plot(np.ones(size), np.ones(size), [1.0], 0.0, ["a"], "b"))

    @pytest.mark.parametrize(
        ("w", "names", "message"),
        [
            ([1.0], ["a", "b"], r"X has 2 feature\(s\), but there are 2 names and 1 weights"),
            ([1.0, 2.0], ["a"], "1 names and 2 weights"),
            ([1.0, np.nan], ["a", "b"], "smaller learning rate"),
            ([1e308, 1e308], ["a", "b"], "smaller learning rate"),
        ],
    )
    def test_errors(self, w: list[float], names: list[str], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            fit_plot([[10.0, 20.0], [30.0, 40.0]], [1.0, 2.0], w, 0.0, names, "y")


class TestNames:
    @given(st.text() | st.sampled_from(HOSTILE), st.integers(8, 40))
    def test_short_names_fit_on_a_line(self, name: str, width: int) -> None:
        short = plots._short(name, width)
        assert 0 < plots._width(short) <= width
        assert short.isprintable()
        short.encode()  # no half of a surrogate pair
        if plots._width(name) <= width and name.isprintable() and name == " ".join(name.split()):
            assert short == (name or "unnamed")

    @pytest.mark.parametrize("names", [HOSTILE[i : i + 4] for i in range(0, len(HOSTILE), 4)])
    def test_curves_show_any_name_as_it_is(self, names: list[str], tmp_path: Path) -> None:
        figure = training_curves({name: [(0, 1.0)] for name in names}, tmp_path / "plot.svg")
        assert_well_laid_out(figure)
        svg = ET.parse(tmp_path / "plot.svg")
        shown = [t.text for t in svg.iter("{http://www.w3.org/2000/svg}text")]
        assert {f"{plots._short(name)}, last 1" for name in names} <= set(shown)

    @pytest.mark.parametrize("names", [("$x_{$", "</svg><b>"), ("名前" * 500, "x" * 1000)])
    def test_surfaces_and_fits_show_any_name(self, names: tuple[str, str], tmp_path: Path) -> None:
        X, y, path = regression(2)
        for figure in (
            loss_surface(X, y, path, names=names),
            fit_plot(X, y, path[-1, :-1], path[-1, -1], names, names[0], tmp_path / "plot.svg"),
            fit_plot(X[:, 0], y, [1.0], 1.0, names[:1], names[1], closed_form=([1.0], 2.0)),
        ):
            assert_well_laid_out(figure)
            assert plots._short(names[0], 14).removesuffix("…") in texts(figure)
        ET.parse(tmp_path / "plot.svg")


class TestFiles:
    def test_the_same_bytes_whatever_the_settings(self, tmp_path: Path) -> None:
        changed: Any = {
            "svg.hashsalt": None,
            "font.size": 40,
            "axes.facecolor": "red",
            "savefig.transparent": True,
        }
        figure = training_curves(HISTORY)
        with matplotlib.rc_context(changed):
            before = dict(matplotlib.rcParams)
            other = training_curves(HISTORY, tmp_path / "2.svg")
            for suffix in ("png", "pdf", "svg"):
                save(other, tmp_path / f"1.{suffix}")
            assert dict(matplotlib.rcParams) == before
        for suffix in ("png", "pdf", "svg"):
            save(figure, tmp_path / f"0.{suffix}")
            assert (tmp_path / f"0.{suffix}").read_bytes() == (tmp_path / f"1.{suffix}").read_bytes()
        assert (tmp_path / "2.svg").read_bytes() == (tmp_path / "0.svg").read_bytes()
        svg = (tmp_path / "0.svg").read_text(encoding="utf-8")
        assert "dc:date" not in svg
        assert "<title>Loss by epoch</title>" in svg

    def test_jupyter_shows_the_figure_with_its_heading(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        figure = training_curves(HISTORY, tmp_path / "curves.svg")
        assert isinstance(figure, Plot)
        assert figure._repr_svg_() == fitted((tmp_path / "curves.svg").read_text("utf-8"))
        heading = figure.texts[0].get_window_extent()  # matplotlib's own inline mode crops to the tight box
        assert figure.get_tightbbox().y1 * figure.dpi >= heading.y1
        assert figure.get_tightbbox().x0 * figure.dpi <= heading.x0
        inline = SimpleNamespace(formatters={"image/png": SimpleNamespace(type_printers={Figure: print})})
        ipython = SimpleNamespace(get_ipython=lambda: SimpleNamespace(display_formatter=inline))
        monkeypatch.setitem(sys.modules, "IPython", ipython)
        assert figure._repr_svg_() is None  # where that mode is on, once is enough

    @given(st.lists(st.floats(-1e6, 1e6) | st.floats(), min_size=1, max_size=3), st.sampled_from(HOSTILE))
    def test_rounding_leaves_texts_alone(self, values: list[float], name: str) -> None:
        """Numbers between tags are texts, those within tags are places."""
        text = "".join(f"{value:.9f}" for value in values)
        svg = (
            f'<g transform="translate(1.23456 -0.001234)"><!-- a --><text x="7.5">{text}</text></g>'.encode()
        )
        rounded = plots._rounded(svg).decode()
        assert f">{text}<" in rounded
        assert rounded.startswith('<g transform="translate(1.23 -0.00)"><!-- a --><text x="7.5">')

    def test_surfaces_are_the_same_each_time(self, tmp_path: Path) -> None:
        for name in ("first.svg", "second.svg"):
            loss_surface(*regression(2), tmp_path / name)
        assert (tmp_path / "first.svg").read_bytes() == (tmp_path / "second.svg").read_bytes()

    @pytest.mark.parametrize("changed", [{}, {"font.size": 4, "xtick.labelsize": 4, "ytick.labelsize": 4}])
    def test_a_figure_keeps_its_layout_outside_the_style(self, changed: Any) -> None:
        figure = training_curves({f"series {i}": [(0, i), (1, i)] for i in range(5)})
        with matplotlib.rc_context(changed):
            assert_well_laid_out(figure)

    def test_a_layout_that_never_settles_ends(self) -> None:
        class Restless(ConstrainedLayoutEngine):
            def execute(self, fig: Figure) -> None:
                (axes,) = fig.axes
                axes.set_position((0.1, 0.1, 1.3 - axes.get_position().width, 0.8))

        figure = Figure(layout=Restless())
        figure.add_subplot().set_position((0.1, 0.1, 0.8, 0.8))
        assert plots._finish(figure, None) is figure

    def test_the_background_is_white(self, tmp_path: Path) -> None:
        training_curves({"train": [(0, 1.0)]}, tmp_path / "plot.png")
        np.testing.assert_array_equal(imread(tmp_path / "plot.png")[0, 0], 1)

    def test_an_unknown_suffix(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"'plot.jpg': let its name end in .svg, .png or .pdf"):
            training_curves({}, tmp_path / "plot.jpg")
        assert not list(tmp_path.iterdir())

    def test_without_matplotlib(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        with pytest.raises(ImportError, match=r"pip install 'tinygrad_lr\[viz\]'"):
            training_curves({})
