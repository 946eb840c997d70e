"""The loss around the path that a training took, on the plane that shows the path best: its numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinygrad_lr import asarray, autograd
from tinygrad_lr.data import DataModule
from tinygrad_lr.errors import AutogradError
from tinygrad_lr.module import Module

__all__ = ["ParameterPath", "Surface", "model_surface", "surface_data"]

Array = NDArray[np.float64]
Losses = Callable[[Array], Array]  # of points in parameter space, shape (n, k): the loss at each

ASPECT = 0.78  # height by width of a surface's panel
EVALUATED = 200  # points of a path at which a sampled loss is computed
LARGEST_HESSIAN = 200  # parameters, beyond which the loss is sampled even if it is quadratic


@dataclass(frozen=True, eq=False)
class Surface:
    """The loss on a plane in parameter space, and a path seen in that plane.

    Coordinates count from the optimum along `directions`. Where the loss is quadratic, at (a, c) it is
    `minimum + [a, c] @ curvature @ [a, c] / 2`, which is exact; elsewhere it is sampled.
    """

    optimum: Array
    """The minimiser of the loss nearest to the path's start, shape (k,), bias last; of a loss that is not
    quadratic, of which it is not known, the point of the path with the lowest loss."""
    directions: Array
    """The plane's two orthonormal directions in parameter space, shape (2, k)."""
    share: float
    """How much of the path's squared distance from the optimum the plane holds, from 0 to 1."""
    curvature: Array | None
    """The loss's Hessian within the plane, shape (2, 2); None if the loss is sampled."""
    minimum: float
    """The loss at the optimum."""
    path: Array
    """The path's steps, projected onto the plane, shape (steps, 2)."""
    path_loss: Array
    """The loss at the path's steps themselves, not at their projections, shape (steps,); NaN for steps at
    which it was not sampled, which are never the first and the last one."""
    x: Array
    """The grid's coordinates along the first direction, shape (m,)."""
    y: Array
    """The grid's coordinates along the second direction, shape (m,)."""
    loss: Array
    """The loss at the grid's points, shape (m, m): `loss[j, i]` belongs to `x[i]`, `y[j]`."""
    losses: Losses | None = None
    """The loss at any points, if it is sampled."""

    def excess(self, x: Array, y: Array) -> Array:
        """How far the loss at a point of the plane lies above that at the optimum; x and y broadcast."""
        if self.losses is not None:
            x, y = np.broadcast_arrays(x, y)
            points = self.optimum + np.stack([x, y], axis=-1).reshape(-1, 2) @ self.directions
            return self.losses(points).reshape(x.shape) - self.minimum
        assert self.curvature is not None
        xx, xy, yy = (float(c) for c in self.curvature[np.triu_indices(2)])
        return (xx * x * x + 2 * xy * x * y + yy * y * y) / 2


def columns(X: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
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


def _steps(path: ArrayLike, k: int, what: str) -> Array:
    """A path as (steps, k) in double precision, checked."""
    steps = np.array(path, dtype=np.float64)
    if steps.ndim != 2 or steps.shape[1] != k or not len(steps):
        raise ValueError(f"the path of parameters has shape {steps.shape}: expected (steps, {k}), {what}")
    bad = ~np.isfinite(steps).all(axis=1)
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(f"step {row} of the path is not finite: training diverged; draw parameters[:{row}]")
    return steps


def view(path: Array, curvature: Array | None, optimum: Array) -> tuple[Array, Array]:
    """Two opposite corners of a view of a path about the optimum, and of the optimum, at (0, 0).

    Both axes get one scale, unless the path is so narrow in a direction which is so steep that its steps
    could then not be told apart although their losses differ.
    """
    low, high = np.minimum(path.min(axis=0), 0.0), np.maximum(path.max(axis=0), 0.0)
    size = np.maximum(high - low, 1e-9 * (float(np.linalg.norm(optimum)) or 1.0))
    steep = np.ones(2) if curvature is None else np.diag(curvature)
    ratio = np.ones(2)
    if steep.min() < 0.01 * steep.max():
        ratio = np.sqrt(steep[::-1] / np.maximum(steep, 1e-12 * steep.max()))
    size = np.maximum(size, 0.6 * size[::-1] * np.minimum(ratio, 1.0))
    if size.min() > 0.25 * size.max():
        size = max(size[0], size[1] / ASPECT) * np.array([1.0, ASPECT])
    middle = (low + high) / 2
    return middle - 0.65 * size, middle + 0.65 * size


def axes_of(low: Array, high: Array, points: int) -> tuple[Array, Array]:
    """The coordinates of a grid between two corners."""
    return np.linspace(low[0], high[0], points), np.linspace(low[1], high[1], points)


def _directions(moves: Array, root: Array) -> Array:
    """The plane through the origin that holds the most of some moves: their first two singular vectors.

    Where they leave a direction open, it is the steepest one by `root`, whose square is the curvature.
    """
    if moves.shape[1] == 2:
        return np.eye(2)
    scale = float(np.abs(moves).max()) or 1.0
    # the appended rows are too small to turn the path's own directions, and fill in missing ones
    steepest = 1e-9 * root / (np.abs(root).max() or 1.0)
    directions = np.linalg.svd(np.vstack([moves / scale, steepest]), full_matrices=False)[2][:2]
    return directions * np.where(directions @ moves[0] > 0, -1.0, 1.0)[:, np.newaxis]  # start at lower left


def _share(path: Array, moves: Array) -> float:
    scale = float(np.abs(moves).max()) or 1.0
    total = float(np.sum((moves / scale) ** 2))
    return min(1.0, float(np.sum((path / scale) ** 2)) / total) if total else 1.0


def _quadratic(steps: Array, optimum: Array, minimum: float, root: Array, grid: int) -> Surface:
    """The surface of a loss that is `minimum + |root @ (p - optimum)|^2 / 2`."""
    moves = steps - optimum
    directions = _directions(moves, root)
    path = moves @ directions.T
    half = root @ directions.T
    curvature = half.T @ half
    curvature[np.abs(curvature) < 1e-20 * np.sum(root**2)] = 0.0  # rounding, where the loss is flat
    x, y = axes_of(*view(path, curvature, optimum), grid)
    surface = Surface(
        optimum=optimum,
        directions=directions,
        share=_share(path, moves),
        curvature=curvature,
        minimum=minimum,
        path=path,
        path_loss=minimum + np.sum((moves @ root.T) ** 2, axis=1) / 2,
        x=x,
        y=y,
        loss=np.empty((grid, grid)),
    )
    surface.loss[:] = minimum + surface.excess(x, y[:, np.newaxis])
    if not (np.isfinite(surface.loss).all() and np.isfinite(surface.path_loss).all()):
        raise ValueError("the loss overflows on this path: draw only its steps before training diverged")
    return surface


def surface_data(X: ArrayLike, y: ArrayLike, parameters: ArrayLike, *, grid: int = 201) -> Surface:
    """The squared loss of a linear model on the plane that shows a path of its parameters best.

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
    inputs, targets = columns(X, y)
    k = inputs.shape[1] + 1
    steps = _steps(parameters, k, f"a row for each step with {k - 1} weight(s) and the bias last")
    with np.errstate(over="ignore", invalid="ignore"):
        design = np.column_stack([inputs, np.ones(len(inputs))])
        optimum = steps[0] + np.linalg.lstsq(design, targets - design @ steps[0])[0]
        minimum = float(np.mean((design @ optimum - targets) ** 2) / 2)
        root = np.linalg.qr(design).R / math.sqrt(len(design))  # root^T root is the Hessian
        return _quadratic(steps, optimum, minimum, root, grid)


# ---- any model --------------------------------------------------------------------------------------------


class ParameterPath:
    """A callback for `Trainer` that keeps the path of the model's parameters through their space.

    Attributes
    ----------
    points : the parameters at the start and after each step, each time one row of all their elements.
    names : of these elements: `w[0, 0]`, `b[0]`.

    >>> from tinygrad_lr import LinearRegressionScratch, SyntheticRegressionData, Trainer
    >>> path = ParameterPath()
    >>> data = SyntheticRegressionData(w=[2, -3.4], b=4.2, num_train=64)
    >>> Trainer(3, callbacks=[path]).fit(LinearRegressionScratch(2, lr=0.03), data)
    >>> np.shape(path.points), path.names
    ((7, 3), ['w[0, 0]', 'w[1, 0]', 'b[0]'])
    """

    def __init__(self) -> None:
        self.points: list[Array] = []
        self.names: list[str] = []

    def on_fit_start(self, trainer: Any) -> None:
        self.points, self.names = [_point(trainer.model)], names_of(trainer.model)

    def on_step_end(self, trainer: Any, loss: float) -> None:
        self.points.append(_point(trainer.model))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.array(self.points, dtype)


def _point(model: Module) -> Array:
    return np.concatenate([np.asarray(p.numpy(), np.float64).reshape(-1) for p in model.parameters()])


def names_of(model: Module) -> list[str]:
    """The names of all elements of a model's parameters, in their order: `w[0, 0]`, `b[0]`.

    >>> from tinygrad_lr import LinearRegressionScratch
    >>> names_of(LinearRegressionScratch(2, lr=0.03))
    ['w[0, 0]', 'w[1, 0]', 'b[0]']
    """
    return [
        f"{name}[{', '.join(map(str, place))}]" if place else name
        for name, parameter in model.named_parameters().items()
        for place in np.ndindex(parameter.shape)
    ]


class _Training:
    """The loss of a model on all its training data, as one minibatch, as a function of its parameters.

    It writes into the parameters, and restores them before it returns.
    """

    def __init__(self, model: Module, data: Any) -> None:
        self.model, self.parameters = model, model.parameters()
        if not isinstance(data, DataModule):
            batches = [tuple(data)]
        else:
            state = np.random.get_state()  # a new loader may draw its seed: not at the cost of the program
            batches = list(data.train_dataloader())
            np.random.set_state(state)
        self.batch = [
            np.concatenate([asarray(part).array for part in parts]) for parts in zip(*batches, strict=True)
        ]

    def _loss(self) -> Any:
        *inputs, truth = map(asarray, self.batch)
        return self.model.loss(self.model(*inputs), truth).mean()

    def _move(self, point: Array) -> None:
        start = 0
        for parameter in self.parameters:
            parameter[...] = point[start : start + parameter.size].reshape(parameter.shape)
            start += parameter.size

    def losses(self, points: Array) -> Array:
        before = _point(self.model)
        result = np.empty(len(points))
        try:
            with autograd.predict_mode(), np.errstate(all="ignore"):
                for i, point in enumerate(points):
                    self._move(point)
                    result[i] = self._loss().item()
        finally:
            self._move(before)
        return result

    def derivatives(self, point: Array) -> tuple[Array, Array]:
        """The gradient and the Hessian of the loss, shapes (k,) and (k, k)."""
        before, rows = _point(self.model), []
        try:
            self._move(point)
            with np.errstate(all="ignore"):
                with autograd.record(train_mode=False):
                    slopes = autograd.grad(self._loss(), self.parameters, create_graph=True)
                for slope in slopes:
                    for one in np.eye(slope.size, dtype=slope.dtype):
                        one = one.reshape(slope.shape)
                        rows.append(_flat(autograd.grad(slope, self.parameters, one, retain_graph=True)))
        finally:
            self._move(before)
        return _flat(slopes), np.array(rows)


def _flat(tensors: Sequence[Any]) -> Array:
    return np.concatenate([np.asarray(t.numpy(), np.float64).reshape(-1) for t in tensors])


def model_surface(model: Module, data: Any, path: ArrayLike, *, grid: int = 41) -> Surface:
    """The training loss of any model on the plane that shows a path of its parameters best.

    If the loss is quadratic, as the squared loss of a linear model is, its surface is exact, with the
    minimiser from the gradient g and the Hessian H at the path's start p: p - H^+ g. This is found out by
    comparing that quadratic with the loss. Any other loss is sampled on the grid, and the plane goes through
    the point of the path where it is lowest.

    Parameters
    ----------
    model : with two elements of parameters, or more.
    data : a DataModule, whose training minibatches are taken all together, or the tuple (inputs, ..., truth).
    path : shape (steps, elements): a `ParameterPath`, or rows of all elements in the order of
        `model.parameters()`.
    grid : points along each side of the grid.

    Raises ValueError if the path does not fit to the model, or if the loss is not finite on the grid.
    """
    training = _Training(model, data)
    k = sum(parameter.size for parameter in training.parameters)
    if k < 2:
        raise ValueError(f"a surface needs two parameters or more, but {type(model).__name__} has {k}")
    steps = _steps(path, k, f"a row for each step with all elements of {', '.join(model.named_parameters())}")
    exact = _as_quadratic(training, steps, grid) if k <= LARGEST_HESSIAN else None
    if exact is not None:
        return exact
    chosen = np.unique(np.linspace(0, len(steps) - 1, EVALUATED).round().astype(int))
    path_loss = np.full(len(steps), np.nan)
    path_loss[chosen] = training.losses(steps[chosen])
    lowest = int(np.nanargmin(path_loss)) if np.isfinite(path_loss).any() else 0
    moves = steps - steps[lowest]
    directions = _directions(moves, np.eye(k))
    flat = moves @ directions.T
    x, y = axes_of(*view(flat, None, steps[lowest]), grid)
    surface = Surface(
        optimum=steps[lowest],
        directions=directions,
        share=_share(flat, moves),
        curvature=None,
        minimum=float(path_loss[lowest]),
        path=flat,
        path_loss=path_loss,
        x=x,
        y=y,
        loss=np.empty((grid, grid)),
        losses=training.losses,
    )
    surface.loss[:] = surface.minimum + surface.excess(x, y[:, np.newaxis])
    if not np.isfinite(surface.loss).all():
        raise ValueError(
            "the loss is not finite everywhere around this path: draw a shorter part of the path"
        )
    return surface


def _as_quadratic(training: _Training, steps: Array, grid: int) -> Surface | None:
    """The exact surface if the loss is quadratic and has a minimum, else None."""
    try:
        gradient, hessian = training.derivatives(steps[0])
    except AutogradError:  # some parameter has no second derivative
        return None
    if not (np.isfinite(gradient).all() and np.isfinite(hessian).all()):
        return None
    precision = math.sqrt(min(float(np.finfo(p.dtype).eps) ** -1 for p in training.parameters)) ** -1
    curvatures, axes = np.linalg.eigh((hessian + hessian.T) / 2)
    if curvatures.min() < -precision * curvatures.max():
        return None  # a saddle
    root = np.sqrt(np.maximum(curvatures, 0.0))[:, np.newaxis] * axes.T
    step = np.linalg.lstsq(hessian, -gradient, rcond=precision)[0]
    if np.linalg.norm(hessian @ step + gradient) > 10 * precision * np.linalg.norm(gradient):
        return None  # it goes on downwards
    optimum = steps[0] + step
    surface = _quadratic(steps, optimum, float(training.losses(optimum[np.newaxis])[0]), root, grid)
    corners = np.array([[surface.x[i], surface.y[j]] for i in (0, -1) for j in (0, -1)])
    points = np.vstack([steps[[0, len(steps) // 2, -1]], optimum + corners @ surface.directions])
    expected = surface.minimum + np.sum(((points - optimum) @ root.T) ** 2, axis=1) / 2
    if not np.allclose(
        training.losses(points), expected, rtol=10 * precision, atol=precision * expected.max()
    ):
        return None
    return surface
