"""Files that hold the state of a run and survive crashes: written whole or not at all, and checked when they
are read.

A file is an ordinary .npz archive, which `numpy.load` reads as well, without pickles. Its comment, the last
bytes of the file, is the SHA-256 of all bytes before that. The array `format` says what the file is.
"""

import glob
import hashlib
import io
import json
import os
import random
import re
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .board import Point, as_number
from .module import walk

if TYPE_CHECKING:
    from .trainer import Trainer

VERSION = 1  # of the files: to be raised when an older version of this package could not read them
DIGEST = 64  # hexadecimal digits
MARK = b"sha256:"

State = Mapping[str, Any]


class CheckpointError(ValueError):
    """A file that is damaged, foreign, or of a later version; nothing of it was used."""


class VersionError(CheckpointError):
    """A file that another version of the package wrote."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to, in the same folder; it takes the place of `path` if nothing goes wrong.

    Whenever the process or the machine stops, `path` is the old file or the new one, whole. A pipe or a
    device, such as /dev/null, is written to directly.
    """
    place = path.resolve()  # a link stays one
    if place.exists() and not place.is_file() and not place.is_dir():
        yield place
        return
    remove_remains(place)
    temporary = place.with_name(f".{os.getpid()}-{threading.get_ident()}-{place.name}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())  # the contents before the name, or a power cut could leave an empty file
        temporary.replace(place)
        with suppress(OSError):  # not every system lets a folder be opened
            folder = os.open(place.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    finally:
        temporary.unlink(missing_ok=True)


def remove_remains(place: Path) -> None:
    """Remove what processes that are gone have left behind when they were killed while writing to `place`."""
    if os.name != "posix":  # elsewhere os.kill is not to be asked whether a process lives
        return
    for remains in place.parent.glob(f".*-*-{glob.escape(place.name)}"):
        process = remains.name[1:].partition("-")[0]
        if process.isdecimal():
            try:
                os.kill(int(process), 0)
            except ProcessLookupError:
                remains.unlink(missing_ok=True)
            except (OSError, OverflowError):  # it is somebody else's, but lives; or no process's
                pass


def save_arrays(path: Path, kind: str, arrays: Mapping[str, Any], version: int = VERSION) -> None:
    """Write arrays to a file of some kind, which replaces one that is there.

    Raises TypeError for arrays of Python objects, and OSError if the file cannot be written.
    """
    if objects := [name for name, array in arrays.items() if np.asarray(array).dtype.hasobject]:
        raise TypeError(f"{', '.join(objects)}: an array of Python objects cannot be saved without pickle")
    buffer = io.BytesIO()
    np.savez(buffer, format=np.array(f"{kind} {version}"), **arrays)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = MARK + b"0" * DIGEST
    contents = buffer.getvalue()[:-DIGEST]
    with replacing(path) as temporary:
        temporary.write_bytes(contents + digest(contents))


def load_arrays(path: Path, kind: str, version: int = VERSION) -> dict[str, Any]:
    """The arrays that `save_arrays` wrote.

    Raises CheckpointError for any other file, and OSError if it cannot be read.
    """
    contents = path.read_bytes()
    if MARK not in contents[-len(MARK) - DIGEST :]:
        raise CheckpointError(f"{path} is damaged, or no file of tinygrad_lr: it does not end in a checksum")
    if digest(contents[:-DIGEST]) != contents[-DIGEST:]:
        raise CheckpointError(f"{path} is damaged: its checksum does not agree with its contents")
    try:
        with np.load(io.BytesIO(contents), allow_pickle=False) as archive:
            members = archive.zip.infolist()
            stored = all(member.compress_type == zipfile.ZIP_STORED for member in members)
            if not stored or sum(member.file_size for member in members) > len(contents):
                raise ValueError("it is compressed")  # and might be larger than memory
            arrays = dict(archive)
        found, number = arrays.pop("format").item().split()
    except Exception as error:  # a hostile file makes zipfile and NumPy raise almost anything
        raise CheckpointError(f"{path} is no {kind} of tinygrad_lr: {error}") from error
    if found != kind:
        raise CheckpointError(f"{path} is no {kind}, but a {found}")
    if number != str(version):
        raise VersionError(
            f"{path} has format {number}, but this version reads {version}; update tinygrad_lr"
        )
    return arrays


def digest(contents: bytes) -> bytes:
    return hashlib.sha256(contents).hexdigest().encode()


# ---- states -----------------------------------------------------------------------------------------------


def save_state(path: str | os.PathLike[str], kind: str, state: State) -> None:
    """Write a state: a dict of arrays, numbers, strings, None, and lists and dicts of them.

    Raises TypeError for anything else in it, and OSError if the file cannot be written.

    >>> import numpy as np, tempfile
    >>> path = Path(tempfile.mkdtemp(), "example.npz")
    >>> save_state(path, "example", {"w": np.zeros(3), "epoch": 7})
    >>> load_state(path, "example")
    {'w': array([0., 0., 0.]), 'epoch': 7}
    """
    arrays: dict[str, Any] = {}

    def facts(value: Any, name: str) -> Any:
        """The same in words of JSON: an array by the name that it has in the file."""
        if isinstance(value, (np.ndarray, np.generic)):
            name = re.sub(r"[^\w./-]", "_", name)
            if name in ("", "state", "format", "file", "allow_pickle", *arrays):  # of ours, and of np.savez
                name += f"_{len(arrays)}"
            arrays[name] = value
            return {"array": name}
        if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
            return {
                "dict": {key: facts(part, f"{name}/{key}" if name else key) for key, part in value.items()}
            }
        if isinstance(value, (list, tuple)):
            return [facts(part, f"{name}/{i}") for i, part in enumerate(value)]
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        raise TypeError(
            f"{name or 'this'} is of type {type(value).__name__}; a checkpoint holds arrays, numbers, "
            "strings, None, and lists and dicts of them, by string"
        )

    text = json.dumps(facts(state, ""))
    save_arrays(Path(path), kind, arrays | {"state": np.array(text.encode())})


def load_state(path: str | os.PathLike[str], kind: str) -> dict[str, Any]:
    """The state that `save_state` wrote; tuples have become lists.

    Raises CheckpointError for any other file, and OSError if it cannot be read.
    """
    arrays = load_arrays(Path(path), kind)

    def value(facts: Any) -> Any:
        if isinstance(facts, list):
            return [value(part) for part in facts]
        if not isinstance(facts, dict):
            return facts
        return arrays[facts["array"]] if "array" in facts else {k: value(v) for k, v in facts["dict"].items()}

    try:
        state = value(json.loads(arrays["state"].item()))
        return dict(state)
    except Exception as error:
        raise CheckpointError(f"{path} is no {kind}: it does not hold the state of one") from error


# ---- runs -------------------------------------------------------------------------------------------------


def run_state(trainer: "Trainer") -> dict[str, Any]:
    """All that the rest of a run depends on, after a step or between two epochs: parameters, optimizer and
    schedule, the position in the data, random generators, callbacks, and what has been plotted.

    The generators are NumPy's and Python's global ones, and those that are attributes of the model, of the
    data or of its loaders. A loader of one's own that has another position tells it by the methods
    `state_dict` and `load_state_dict`; within an epoch only a `TensorLoader` can be continued.

    Raises TypeError if something would be lost, and RuntimeError if the position in an epoch is not known.
    """
    board = trainer.model.board
    version, numbers, gauss = random.getstate()
    return {
        "epoch": trainer.finished_epochs,
        "train_batch_idx": trainer.train_batch_idx,
        "val_batch_idx": trainer.val_batch_idx,
        "num_train_batches": trainer.num_train_batches,
        "history": {name: list(means) for name, means in trainer.history.items()},
        "model": trainer.model.state_dict(),
        "added_gradients": {name: np.array(p.grad.array) for name, p in _adding(trainer).items()},
        "optimizer_class": type(trainer.optim).__name__,
        "optimizer": part_state(trainer.optim),
        "schedule": part_state(trainer.schedule),
        "loaders": _positions(trainer),
        "steps_in_epoch": trainer.steps_in_epoch,
        "sums": {name: list(sums) for name, sums in trainer._sums.items()},
        "generators": {name: g.bit_generator.state for name, g in _generators(trainer)},
        "numpy.random": np.random.get_state(legacy=False),
        "random": [version, numbers, gauss],
        "callbacks": [[type(c).__name__, c.state_dict()] for c in _callbacks(trainer)],
        "board": {label: list(line) for label, line in board.data.items()},
        "waiting": {
            label: [list(map(as_number, point)) for point in points]
            for label, points in board.raw_points.items()
        },
    }


def load_run_state(trainer: "Trainer", state: State) -> None:
    """Put a run where another one was when `run_state` was asked for.

    Raises ValueError if the state is of another model, optimizer or data.
    """
    name, number = type(trainer.optim).__name__, trainer.num_train_batches
    if name != state["optimizer_class"]:
        raise ValueError(f"the checkpoint is of training with {state['optimizer_class']}, not with {name}")
    if number != state["num_train_batches"]:
        raise ValueError(
            f"the checkpoint is of training with {state['num_train_batches']} minibatches per epoch, but "
            f"this data has {number}"
        )
    check_like(state, run_state(trainer) | {"model": {}})  # which says more itself
    trainer.model.load_state_dict(state["model"])
    for name, parameter in _adding(trainer).items():
        parameter.grad = state["added_gradients"][name]
    load_part_state(trainer.optim, state["optimizer"])
    load_part_state(trainer.schedule, state["schedule"])
    for loader, position in zip(_loaders(trainer), state["loaders"], strict=True):
        if position is not None:
            loader.load_state_dict(position)
    saved = list(state["callbacks"])
    for callback in _callbacks(trainer):
        for entry in [entry for entry in saved if entry[0] == type(callback).__name__][:1]:
            check_like(entry[1], callback.state_dict())
            callback.load_state_dict(entry[1])
            saved.remove(entry)
    for name, generator in _generators(trainer):
        generator.bit_generator.state = state["generators"][name]
    np.random.set_state(state["numpy.random"])
    version, numbers, gauss = state["random"]
    random.setstate((version, tuple(numbers), gauss))
    board = trainer.model.board
    for lines, kept in ((board.data, state["board"]), (board.raw_points, state["waiting"])):
        lines.clear()
        lines |= {label: [Point(float(x), float(y)) for x, y in line] for label, line in kept.items()}
    for name, means in state["history"].items():
        trainer.history[name] = [(int(epoch), float(mean)) for epoch, mean in means]
    trainer.epoch = trainer.finished_epochs = state["epoch"]
    trainer.train_batch_idx, trainer.val_batch_idx = state["train_batch_idx"], state["val_batch_idx"]
    trainer.steps_in_epoch = state["steps_in_epoch"]
    for name, (epoch, total, number) in state["sums"].items():
        trainer._sums[name] = int(epoch), float(total), int(number)


def _adding(trainer: "Trainer") -> dict[str, Any]:
    """The parameters to whose gradients the next ones are added."""
    parameters: dict[str, Any] = trainer.model.named_parameters()
    return {name: p for name, p in parameters.items() if p.attachment.grad_req == "add"}


def check_like(state: Any, begun: Any, name: str = "it") -> None:
    """See that a state has what one of a run that has just begun has, and of the same types. Lists may have
    other entries, and None may have become anything.

    Raises ValueError that names what has not.
    """
    kinds = (Mapping, str, list | tuple, np.ndarray, int | float, type(None))
    kind = next(kind for kind in kinds if isinstance(begun, kind))
    if begun is not None and not isinstance(state, kind):
        raise ValueError(
            f"this is not the state of such a run: {name} is a {type(state).__name__} instead of a "
            f"{type(begun).__name__}"
        )
    if isinstance(begun, Mapping):
        for key, part in begun.items():
            if key not in state:
                raise ValueError(f"this is not the state of such a run: {name} has no {key!r}")
            check_like(state[key], part, key)


def _loaders(trainer: "Trainer") -> list[Any]:
    return [trainer.train_dataloader, trainer.val_dataloader]


def _positions(trainer: "Trainer") -> list[Any]:
    """The position in each loader. Within an epoch, that is its start and the number of minibatches done."""
    loaders = _loaders(trainer)
    positions = [loader.state_dict() if hasattr(loader, "state_dict") else None for loader in loaders]
    if trainer.in_epoch:
        loader, done = trainer.train_dataloader, trainer.steps_in_epoch
        if getattr(loader, "taken", None) != done:
            raise RuntimeError(
                f"{done} steps of epoch {trainer.epoch + 1} are done, but the minibatches that "
                f"{type(loader).__name__} gave for them are not known, and a checkpoint would lose them: "
                "save it in a callback's on_epoch_end, or take a TensorLoader and a step for each minibatch"
            )
        positions[0] = loader.state_dict() | {"epoch": loader.epoch - 1, "skip": done}
    return positions


def _callbacks(trainer: "Trainer") -> list[Any]:
    return [callback for callback in trainer.callbacks if hasattr(callback, "state_dict")]


def _generators(trainer: "Trainer") -> list[tuple[str, np.random.Generator]]:
    train, val = (getattr(loader, "__dict__", None) for loader in _loaders(trainer))
    found = walk(
        {"model": trainer.model, "data": getattr(trainer.data, "__dict__", None), "train": train, "val": val}
    )
    return [(name, part) for name, part in found if isinstance(part, np.random.Generator)]


def part_state(part: Any) -> Any:
    """The `state_dict` of an optimizer or a schedule; of one that has none, the numbers among its attributes.

    Raises TypeError if it has other attributes than those and its hyperparameters: they would be lost.
    """
    if part is None or hasattr(part, "state_dict"):
        return part and part.state_dict()
    given = getattr(part, "hparams", {})
    state = {
        name: value
        for name, value in getattr(part, "__dict__", {}).items()
        if name not in ("params", "hparams") and (name not in given or value is not given[name])
    }
    for name, value in state.items():
        if not isinstance(value, int | float | str | None):
            raise TypeError(
                f"a checkpoint would lose {type(part).__name__}.{name}, which is of type "
                f"{type(value).__name__}: give {type(part).__name__} the methods state_dict(self) and "
                "load_state_dict(self, state)"
            )
    return state


def load_part_state(part: Any, state: Any) -> None:
    if hasattr(part, "load_state_dict"):
        part.load_state_dict(state)
    elif part is not None:
        check_like(state, {name: vars(part)[name] for name in state})
        vars(part).update(state)
