"""A training run as the command line starts it: its problem, its folder, and how it goes on after a stop.

A folder belongs to one run. Each of its files is written beside its place and then moved there by
`os.replace`, so that it is whole whenever the run is stopped.
"""

import hashlib
import json
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from itertools import count, takewhile
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from . import __version__, checkpoints
from .closed_form import Standardisation, least_squares, r_squared
from .data import DataModule
from .linear import LinearRegressionScratch
from .scope import record
from .tensor import asarray
from .trainer import DivergenceError, Trainer

Array = NDArray[np.float64]
T = TypeVar("T")

FORMAT = 1  # of the files: to be raised when an older version could not read them
PARAMETERS, CHECKPOINT, SUMMARY = "parameters.npz", "checkpoint.npz", "summary.json"
GRAPH, CURVES, SURFACE, FIT = "graph.svg", "curves.svg", "surface.svg", "fit.svg"
EXPLANATION, INDEX = "explanation.html", "index.html"
PARTS = "training", "validation"
FILES = {
    PARAMETERS: "the learned parameters, for predict",
    CHECKPOINT: "where training stands, for --resume",
    SUMMARY: "settings, losses, parameters, R²",
    CURVES: "training and validation loss by epoch",
    SURFACE: "SGD's path over the loss surface",
    FIT: "the data and the fit",
    GRAPH: "the computation graph of the first training step",
    EXPLANATION: "the chain rule in the first training step, line by line",
    INDEX: "all of this together, for the browser",
}


class RunError(Exception):
    """A run that cannot be started, finished, read or continued: one line that says why, and the mend."""


# ---- the problem ------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Problem:
    """Numbers to learn from, in their own units, the rows for training before those for validation.

    `X` has the shape (rows, features) and `y` (rows,). The model learns from `inputs.apply(X)` and
    `outputs.apply(y)`; `true` are the parameters (w, b) that made the data, where they are known.
    """

    features: tuple[str, ...]
    target: str
    X: Array
    y: Array
    num_train: int
    inputs: Standardisation
    outputs: Standardisation
    true: tuple[Array, float] | None = None

    @property
    def training(self) -> slice:
        return slice(0, self.num_train)

    @property
    def validation(self) -> slice:
        return slice(self.num_train, None)

    @property
    def parameter_names(self) -> tuple[str, ...]:
        if self.true is None:
            return (*self.features, "intercept")
        return (*(f"w[{i}]" for i in range(len(self.features))), "b")

    @property
    def counts(self) -> tuple[int, int]:
        """The numbers of rows for training and for validation."""
        return self.num_train, len(self.y) - self.num_train

    def sample(self) -> tuple[Array, Array]:
        """Rows for training to be drawn, X and y."""
        return self.X[self.training], self.y[self.training]

    def fingerprint(self) -> str:
        """A hash of names, numbers and split: the same for the same ones only."""
        names = json.dumps([self.features, self.target, self.num_train]).encode()
        return hashlib.sha256(names + self.X.tobytes() + self.y.tobytes()).hexdigest()

    def standardised(self) -> tuple[Array, Array]:
        """The training rows as the model sees them, X and y."""
        return self.inputs.apply(self.X[self.training]), self.outputs.apply(self.y[self.training])


class ProblemData(DataModule):
    """The minibatches of a problem, as the model sees them."""

    def __init__(self, problem: Problem, batch_size: int, seed: int) -> None:
        super().__init__()
        self.batch_size, self.seed, self.problem = batch_size, seed, problem
        self.X = asarray(problem.inputs.apply(problem.X))
        self.y = asarray(problem.outputs.apply(problem.y)[:, np.newaxis])

    def get_dataloader(self, train: bool) -> Any:
        rows = self.problem.training if train else self.problem.validation
        return self.get_tensorloader((self.X, self.y), train, rows)


def generator(seed: int, purpose: int) -> np.random.Generator:
    """Random numbers of one purpose: 2 the split, 3 the first weights.

    SyntheticRegressionData has number 1, and the epochs' orders have seeds of two numbers.
    """
    return np.random.default_rng([seed, 0, purpose])


# ---- what is saved ----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Parameters:
    """The learned model in the data's own units, and how the data were standardised to learn it."""

    features: tuple[str, ...]
    target: str
    w: Array
    b: float
    inputs: Standardisation
    outputs: Standardisation

    def predict(self, X: Array) -> Array:
        """The target for features of shape (rows, features), all in the data's own units."""
        return X @ self.w + self.b

    def save(self, path: Path) -> None:
        save_arrays(
            path,
            columns=np.array(self.features),
            target=np.array(self.target),
            w=self.w,
            b=np.array(self.b),
            input_mean=self.inputs.mean,
            input_scale=self.inputs.scale,
            target_mean=self.outputs.mean,
            target_scale=self.outputs.scale,
        )

    @classmethod
    def load(cls, path: Path) -> "Parameters":
        """Raises RunError unless the file holds whole parameters."""

        def parse(arrays: Mapping[str, Any]) -> "Parameters":
            features = tuple(arrays["columns"].tolist())
            shape = (len(features),)
            return cls(
                features,
                arrays["target"].item(),
                numbers(arrays["w"], *shape),
                numbers(arrays["b"]).item(),
                Standardisation(
                    numbers(arrays["input_mean"], *shape), numbers(arrays["input_scale"], *shape)
                ),
                Standardisation(numbers(arrays["target_mean"]), numbers(arrays["target_scale"])),
            )

        return load_arrays(path, parse)


@dataclass(frozen=True)
class Settings:
    """What decides the numbers of a run, beside its problem."""

    lr: float
    epochs: int
    batch_size: int
    seed: int


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Where training stands after `epoch` epochs: all it takes to go on as if it had never stopped.

    The parameters are those of the standardised problem. `history` has an epoch's mean losses in each row,
    NaN where there is none: training, validation. `path` has the parameters (w, then b) after some of the
    steps, by number of the step, 0 being the start.
    """

    command: str
    settings: Settings
    features: tuple[str, ...]
    target: str
    fingerprint: str
    epoch: int
    w: Array
    b: float
    history: Array
    path: dict[int, Array]

    @classmethod
    def start(cls, command: str, problem: Problem, settings: Settings) -> "Checkpoint":
        """Before the first step: small random weights and no bias."""
        w = 0.01 * generator(settings.seed, 3).standard_normal(len(problem.features))
        facts = command, settings, problem.features, problem.target, problem.fingerprint()
        return cls(*facts, epoch=0, w=w, b=0.0, history=np.empty((0, 2)), path={0: np.append(w, 0.0)})

    def parameters(self, problem: Problem) -> Parameters:
        """What has been learned, in the data's own units."""
        w, b = problem.inputs.to_data_units(self.w, self.b, problem.outputs)
        return Parameters(problem.features, problem.target, w, b.item(), problem.inputs, problem.outputs)

    def save(self, path: Path) -> None:
        facts = {name: getattr(self, name) for name in ("command", "features", "target", "fingerprint")}
        save_arrays(
            path,
            facts=np.array(json.dumps(facts | {"settings": asdict(self.settings)})),
            epoch=np.array(self.epoch),
            w=self.w,
            b=np.array(self.b),
            history=self.history,
            path_steps=np.array(list(self.path)),
            path=np.array(list(self.path.values())),
        )

    @classmethod
    def load(cls, path: Path) -> "Checkpoint":
        """Raises RunError unless the file is a whole checkpoint."""

        def parse(arrays: Mapping[str, Any]) -> "Checkpoint":
            facts = json.loads(arrays["facts"].item())
            facts |= {"settings": Settings(**facts["settings"]), "features": tuple(facts["features"])}
            steps, epoch, size = arrays["path_steps"].tolist(), arrays["epoch"].item(), len(facts["features"])
            return cls(
                **facts,
                epoch=epoch,
                w=numbers(arrays["w"], size),
                b=numbers(arrays["b"]).item(),
                history=numbers(arrays["history"], epoch, 2),
                path=dict(zip(steps, numbers(arrays["path"], len(steps), size + 1), strict=True)),
            )

        return load_arrays(path, parse)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Raises RunError for an OSError of writing a file."""
    try:
        yield
    except OSError as error:
        raise RunError(
            f"{path} cannot be written ({error.strerror}); "
            "check that its folder exists, is writable and not full, or name another with --out"
        ) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to that takes the place of `path` if nothing goes wrong: see `checkpoints.replacing`.

    Raises RunError if the file cannot be written.
    """
    with explained(path), checkpoints.replacing(path) as temporary:
        yield temporary


def save_arrays(file: Path, **arrays: NDArray[Any]) -> None:
    with explained(file):
        checkpoints.save_arrays(file, "run", arrays, FORMAT)


def load_arrays(path: Path, parse: Callable[[Mapping[str, Any]], T]) -> T:
    """What `parse` makes of a file that `save_arrays` has written. Raises RunError for any other file."""
    try:
        return parse(checkpoints.load_arrays(path, "run", FORMAT))
    except (FileNotFoundError, NotADirectoryError):
        raise RunError(f"{path} does not exist; name the folder of a run of tinygrad-lr") from None
    except PermissionError as error:
        raise RunError(f"{path} cannot be read ({error.strerror}); check its permissions") from None
    except checkpoints.VersionError as error:
        raise RunError(str(error)) from None
    except Exception as error:  # arrays of another file make `parse` raise almost anything
        raise RunError(
            f"{path} is damaged, or not a file of tinygrad-lr's; train again into a new folder"
        ) from error


def numbers(array: Any, *shape: int) -> Array:
    """The array, if it has float64s and this shape; else ValueError."""
    if array.dtype != np.float64 or array.shape != shape:
        raise ValueError(f"float64 of shape {shape} are expected, not {array.dtype} of {array.shape}")
    result: Array = array
    return result


# ---- folders ----------------------------------------------------------------------------------------------


class RunFolder:
    """The folder of one run. A new run never writes into a folder that holds something already."""

    def __init__(self, path: Path, may_exist: bool) -> None:
        self.path, self._may_exist = path, may_exist
        self._made: list[Path] = []  # the folder and those above it, as far as this run has made them

    @classmethod
    def new(cls, out: Path | None, name: str) -> "RunFolder":
        """`out`, or else the first of runs/name, runs/name-2, ... that does not exist. Not made yet.

        Raises RunError if `out` holds something.
        """
        if out is None:
            return cls(next(path for path in numbered(name) if not path.exists()), may_exist=False)
        check_free(out)
        return cls(out, may_exist=True)

    @classmethod
    def existing(cls, out: Path | None, name: str) -> "RunFolder":
        """`out`, or if that is None the last of runs/name, runs/name-2, ... that exists.

        Raises RunError if it holds no run.
        """
        paths = [out] if out is not None else list(takewhile(Path.exists, numbered(name)))
        path = paths[-1] if paths else next(numbered(name))
        if not (path / CHECKPOINT).is_file():
            raise RunError(
                f"there is no run to resume in {path}; "
                "name its folder with --out, or start anew without --resume"
            )
        return cls(path, may_exist=True)

    def make(self) -> None:
        """Make the folder unless it exists. Raises RunError if it cannot be made."""
        self._made = list(takewhile(lambda path: not path.exists(), (self.path, *self.path.parents)))
        try:
            self.path.mkdir(parents=True, exist_ok=self._may_exist)
        except OSError as error:
            raise RunError(
                f"the folder {self.path} cannot be made ({error.strerror}); name another with --out"
            ) from error

    def discard(self) -> None:
        """Remove the run's files, and the folders that were made for it."""
        for name in FILES:
            with suppress(OSError):
                (self.path / name).unlink()
        for folder in self._made:
            with suppress(OSError):
                folder.rmdir()


def numbered(name: str) -> Iterator[Path]:
    """runs/name, runs/name-2, runs/name-3, ..."""
    return (Path("runs", name if i == 1 else f"{name}-{i}") for i in count(1))


def check_free(out: Path) -> None:
    """Raise RunError if a run cannot be started in the folder `out` because something is there."""
    try:
        names = {path.name for path in out.iterdir()}
    except FileNotFoundError:
        return
    except OSError as error:
        raise RunError(f"{out} cannot be used ({error.strerror}); name another folder with --out") from error
    if names & {CHECKPOINT, PARAMETERS}:
        raise RunError(
            f"{out} holds a run already; name another folder with --out, or go on with that run by --resume"
        )
    if names:
        raise RunError(
            f"{out} holds files that are no run of tinygrad-lr's; name a new or an empty folder with --out"
        )


# ---- training ---------------------------------------------------------------------------------------------


@contextmanager
def noting(interrupts: list[int]) -> Iterator[None]:
    """Put Ctrl-C into a list, which is looked at between two steps, and raise it at the end at the latest.

    An exception that comes just anywhere can be lost, in the callback of a weak reference, or can leave
    `record()` without ending it. The second Ctrl-C is raised at once.
    """

    def note(number: int, frame: object) -> None:
        if interrupts:
            raise KeyboardInterrupt
        interrupts.append(number)

    # It may be ignored, as in a background job, or somebody else's; and only the main thread may ask for it.
    is_default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    is_ours = is_default and threading.current_thread() is threading.main_thread()
    if is_ours:
        signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        if is_ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
    if interrupts:
        raise KeyboardInterrupt


class Keeper:
    """A callback for `Trainer` that keeps what the last finished epoch has learned.

    It has a checkpoint saved at the end of its first epoch, and later at most once per second. It raises
    KeyboardInterrupt when there is something in `interrupts`, and DivergenceError at a loss above `limit`, as
    `Trainer` does at an infinite one.
    """

    def __init__(
        self,
        start: Checkpoint,
        trainer: Trainer,
        save: Callable[[Checkpoint], None],
        limit: float = np.inf,
        interrupts: Sequence[int] = (),
    ) -> None:
        self._start, self._trainer, self._save = start, trainer, save
        self._done = start.epoch, start.w, start.b
        self._path = dict(start.path)
        self._saved_at = -np.inf
        self._limit, self._interrupts = limit, interrupts

    def on_step_end(self, trainer: Trainer, loss: float) -> None:
        if self._interrupts:
            raise KeyboardInterrupt
        if loss > self._limit:
            raise DivergenceError("", trainer.train_batch_idx, trainer.epoch + 1, loss)
        # The first 2048 steps, then ever fewer: 1024 up to each doubling, however long the run is.
        step = trainer.train_batch_idx
        if step % (1 << max(0, step.bit_length() - 11)) == 0:
            self._path[step] = np.append(*self._parameters())

    def on_epoch_end(self, trainer: Trainer) -> None:
        self._done = trainer.epoch + 1, *self._parameters()
        if time.monotonic() - self._saved_at > 1:
            self._save(self.checkpoint())
            self._saved_at = time.monotonic()

    def checkpoint(self) -> Checkpoint:
        """The state after the last finished epoch."""
        epochs, w, b = self._done
        history = np.full((epochs, 2), np.nan)
        history[: len(self._start.history)] = self._start.history
        for column, name in enumerate(("train", "val")):
            for epoch, loss in self._trainer.history[name]:
                if epoch <= epochs:
                    history[epoch - 1, column] = loss
        steps = epochs * self._trainer.num_train_batches
        path = {step: point for step, point in self._path.items() if step <= steps}
        return replace(self._start, epoch=epochs, w=w, b=b, history=history, path=path)

    def _parameters(self) -> tuple[Array, float]:
        model: Any = self._trainer.model
        return model.w.array[:, 0].copy(), model.b.array.item()


def build_model(settings: Settings, w: Array, b: float) -> LinearRegressionScratch:
    """The chapter's model, with these parameters."""
    model = LinearRegressionScratch(len(w), settings.lr, sigma=0)
    model.w[:] = w[:, np.newaxis]
    model.b[:] = b
    return model


def train(
    problem: Problem,
    data: DataModule,
    start: Checkpoint,
    save: Callable[[Checkpoint], None],
    progress: bool,
) -> Checkpoint:
    """Train from a checkpoint to the last epoch of its settings.

    `save` gets checkpoints on the way, and the last one.

    On Ctrl-C, `save` gets that of the last finished epoch, if there is one, and KeyboardInterrupt goes on.

    Raises RunError if training diverges.
    """
    settings = start.settings
    first = start.path[0]
    at_start = loss(problem, first[:-1], first[-1])
    trainer = Trainer(settings.epochs, progress=progress)
    interrupts: list[int] = []
    keeper = Keeper(start, trainer, save, 1e10 * at_start, interrupts)
    trainer.callbacks.append(keeper)
    try:
        with noting(interrupts):
            trainer.fit(build_model(settings, start.w, start.b), data, first_epoch=start.epoch)
        end = keeper.checkpoint()
        at_end = loss(problem, end.w, end.b)
        if not at_end <= 2 * at_start:  # useless, though it may be far from overflow
            raise DivergenceError("", trainer.train_batch_idx, settings.epochs, at_end)
    except DivergenceError as error:
        raise RunError(
            f"training diverged: the loss, {at_start:.3g} at the start, was {error.loss:.3g} "
            f"at step {error.step}, in epoch {error.epoch}; {smaller_lr(problem, settings)}"
        ) from None
    except KeyboardInterrupt:
        if keeper.checkpoint().epoch:
            save(keeper.checkpoint())
        raise
    save(end)
    return end


def loss(problem: Problem, w: Array, b: float) -> float:
    """The model's loss on all training rows."""
    X, y = problem.standardised()
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.mean((X @ w + b - y) ** 2) / 2)


def smaller_lr(problem: Problem, settings: Settings) -> str:
    """What to do about a learning rate that made training diverge.

    With full batches gradient descent converges below 2 / lambda, lambda being the largest eigenvalue of the
    loss's Hessian H (Boyd and Vandenberghe, Convex Optimization, section 9.3). With B normally distributed
    inputs in a minibatch its variance stays finite below about 2 / (lambda + trace(H) / B); half of that is
    proposed.
    """
    X, _ = problem.standardised()
    design = np.column_stack([X, np.ones(len(X))])
    hessian = design.T @ design / len(design)
    largest = float(np.linalg.eigvalsh(hessian)[-1])
    proposal = min(1 / (largest + np.trace(hessian) / settings.batch_size), settings.lr / 2)
    if settings.lr < 2 / largest:
        bound = f"for minibatches of {settings.batch_size}"
    else:
        bound = f"here, where even full batches need less than {2 / largest:.2g}"
    return f"--lr {settings.lr:g} is too large {bound}; try --lr {proposal:.1g}"


# ---- results ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Fit:
    """A linear model in the data's own units, and its R² on the rows for training and for validation."""

    w: Array
    b: float
    r_squared: tuple[float, float]

    @property
    def values(self) -> list[float]:
        """All parameters, in the order of `Problem.parameter_names`."""
        return [*self.w.tolist(), self.b]

    @classmethod
    def of(cls, problem: Problem, w: Array, b: float) -> "Fit":
        y, y_hat = problem.y, problem.X @ w + b
        rows = problem.training, problem.validation
        return cls(w, b, (r_squared(y[rows[0]], y_hat[rows[0]]), r_squared(y[rows[1]], y_hat[rows[1]])))


@dataclass(frozen=True, eq=False)
class Results:
    """What SGD has learned, beside the closed form, and how far apart they are on the rows for training.

    `difference` is that of their predictions and `spread` that of the target from its mean, as root mean
    squares in the target's unit. `excess` is how far the loss lies above the least possible one, relative to
    that; None if that is zero but for rounding.
    """

    learned: Fit
    closed_form: Fit
    loss: float
    excess: float | None
    difference: float
    spread: float

    @classmethod
    def of(cls, problem: Problem, checkpoint: Checkpoint) -> "Results":
        parameters = checkpoint.parameters(problem)
        X, y = problem.standardised()
        w, b = least_squares(X, y)
        own_w, own_b = problem.inputs.to_data_units(w, b, problem.outputs)
        # The closed form's residuals are orthogonal to every column, so the mean squares differ by this one.
        difference = np.mean((X @ (checkpoint.w - w) + (checkpoint.b - b)) ** 2)
        least = np.mean((X @ w + b - y) ** 2)
        return cls(
            learned=Fit.of(problem, parameters.w, parameters.b),
            closed_form=Fit.of(problem, own_w, own_b.item()),
            loss=loss(problem, checkpoint.w, checkpoint.b),
            excess=float(difference / least) if least > 1e-20 * np.var(y) else None,
            difference=float(np.sqrt(difference) * problem.outputs.scale),
            spread=float(np.std(problem.y[problem.training])),
        )


def finite(x: float) -> float | None:
    """The number if it is one, as JSON has no others."""
    return x if np.isfinite(x) else None


def summary(problem: Problem, checkpoint: Checkpoint, results: Results, not_drawn: Mapping[str, str]) -> str:
    """The run in numbers, as JSON; null stands for what is not known or not defined."""
    fits = {"learned": results.learned, "least_squares": results.closed_form}
    columns = {name: fit.values for name, fit in fits.items()}
    if problem.true is not None:
        columns["true"] = [*problem.true[0].tolist(), problem.true[1]]
    names = problem.parameter_names
    facts = {
        "format": FORMAT,
        "command": checkpoint.command,
        "settings": asdict(checkpoint.settings),
        "data": {
            "features": problem.features,
            "target": problem.target,
            "training_rows": problem.counts[0],
            "validation_rows": problem.counts[1],
            "sha256": checkpoint.fingerprint,
        },
        "parameters": [
            {"name": name} | {column: values[i] for column, values in columns.items()}
            for i, name in enumerate(names)
        ],
        "r_squared": {
            name: dict(zip(PARTS, map(finite, fit.r_squared), strict=True)) for name, fit in fits.items()
        },
        "distance_from_optimum": {
            "relative_excess_of_loss": results.excess,
            "rms_difference_of_predictions": results.difference,
        },
        "loss": {  # as trained on: times target_scale squared, it is in the unit of the target squared
            "target_scale": problem.outputs.scale.item(),
            "all_training_rows": results.loss,
            "mean_by_epoch": {
                part: [finite(loss) for loss in losses]
                for part, losses in zip(PARTS, checkpoint.history.T.tolist(), strict=True)
            },
        },
        "not_drawn": dict(not_drawn),
        "versions": {
            "tinygrad_lr": __version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }
    return json.dumps(facts, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def draw(folder: Path, problem: Problem, data: DataModule, checkpoint: Checkpoint) -> dict[str, str]:
    """Draw a run into its folder. Returns the names of the pictures that cannot be drawn here, and why."""
    from tinygrad_lr_viz.explanation import explain
    from tinygrad_lr_viz.graph import draw_graph
    from tinygrad_lr_viz.layout import LayoutError

    def graph(path: Path) -> None:
        draw_graph(loss, names=names).save(path)

    def explanation(path: Path) -> None:
        explain(loss, names=names).save(path)

    def curves(path: Path) -> None:
        from tinygrad_lr_viz.plots import training_curves

        epochs = range(1, checkpoint.epoch + 1)
        train, validation = (
            list(zip(epochs, losses, strict=True)) for losses in checkpoint.history.T.tolist()
        )
        scale = "" if problem.true else " (of the standardised target)"
        losses = {"train": train, "validation": validation}
        note = "Training: the mean over each epoch, while the model learns. Validation: after it."
        training_curves(losses, path, ylabel="loss" + scale, note=note)

    def surface(path: Path) -> None:
        from tinygrad_lr_viz.plots import loss_surface

        last = checkpoint.epoch * len(data.train_dataloader())
        steps = checkpoint.path | {last: np.append(checkpoint.w, checkpoint.b)}
        names = None if problem.true else problem.features
        loss_surface(*problem.standardised(), list(steps.values()), path, names=names, steps=last)

    def fit(path: Path) -> None:
        from tinygrad_lr_viz.plots import fit_plot

        learned = checkpoint.parameters(problem)
        w, b = least_squares(problem.X[problem.training], problem.y[problem.training])
        X, y = problem.sample()
        names = problem.features, problem.target
        fit_plot(X, y, learned.w, learned.b, *names, path, closed_form=(w, b.item()))

    start = checkpoint.path[0]
    model = build_model(checkpoint.settings, start[:-1], start[-1])
    X, y = next(iter(data.train_dataloader()))
    with record():
        loss = model.loss(model(X), y)
    loss.backward(retain_graph=True)
    names = {"X": X, "w": model.w, "b": model.b, "y": y, "loss": loss}
    pictures = {GRAPH: graph, EXPLANATION: explanation, CURVES: curves, SURFACE: surface}
    if checkpoint.command == "fit":
        pictures[FIT] = fit
    not_drawn = {}
    for name, picture in pictures.items():
        try:
            with replacing(folder / name) as path:
                picture(path)
        except (ImportError, LayoutError) as error:
            not_drawn[name] = str(error)
    return not_drawn


def write_index(
    folder: Path, title: str, introduction: str, report: str, not_drawn: Mapping[str, str]
) -> None:
    """Write the page that shows the run together, the last of its files."""
    from tinygrad_lr_viz.index import index_page

    files = {name: what for name, what in FILES.items() if name != INDEX and (folder / name).exists()}
    with replacing(folder / INDEX) as path:
        path.write_text(index_page(title, introduction, report, files, not_drawn), encoding="utf-8")
