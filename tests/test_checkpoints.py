"""Checkpoints: nothing is lost, nothing is run, and a resumed run is the uninterrupted one bit for bit."""

import io
import os
import pickle
import random
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_lr as d2l
from search import examples
from tinygrad_lr import (
    MLP,
    SGD,
    Adam,
    Checkpoint,
    CheckpointError,
    CosineAnnealingLR,
    DataModule,
    EarlyStopping,
    HyperParameters,
    LinearRegression,
    LinearRegressionScratch,
    StepLR,
    SyntheticRegressionData,
    Trainer,
    checkpoints,
    nn,
)
from tinygrad_lr.callbacks import History
from tinygrad_lr.checkpoints import digest, load_state, remove_remains, replacing, save_arrays, save_state

STATE: dict[str, Any] = {"w": np.arange(3.0), "facts": {"epoch": 7, "names": ["a", "b"], "none": None}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.npz"


def signed(contents: bytes) -> bytes:
    """A file with a right checksum, as a hostile one would have."""
    return contents + digest(contents)


def archive(compression: int = zipfile.ZIP_STORED, **members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, member in members.items():
            file.writestr(f"{name}.npy", member)
        file.comment = b"sha256:" + b"0" * 64
    return signed(buffer.getvalue()[:-64])


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


# ---- files ------------------------------------------------------------------------------------------------

arrays = hnp.arrays(
    st.sampled_from([np.float16, np.float32, np.float64, np.int64, np.uint8, np.bool_, np.complex128]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
)
values = st.recursive(
    arrays | st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)


@examples(50)
@given(st.dictionaries(st.text(max_size=4), values, max_size=4))
def test_any_state_comes_back(tmp_path_factory: pytest.TempPathFactory, state: dict[str, Any]) -> None:
    path = tmp_path_factory.getbasetemp() / "any.npz"
    save_state(path, "example", state)
    assert_same(load_state(path, "example"), state)


def assert_same(one: Any, other: Any) -> None:
    if isinstance(other, np.ndarray):
        np.testing.assert_array_equal(one, other, strict=True)
    elif isinstance(other, Mapping):
        assert list(one) == list(other)
        for key in other:
            assert_same(one[key], other[key])
    elif isinstance(other, list):
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    else:
        assert type(one) is type(other)
        assert one == other or one != one


def test_names_that_mean_something_else(path: Path) -> None:
    names = ["", "state", "format", "file", "allow_pickle", "a/b", "a b", "a_b", "..", "/x", "ä", "x.npy"]
    state = {name: np.full(2, float(i)) for i, name in enumerate(names)} | {"a": {"b": np.zeros(1)}}
    save_state(path, "example", state)
    assert_same(load_state(path, "example"), state)


def test_numpy_reads_the_files_too(path: Path) -> None:
    save_state(path, "example", {"model": {"w": np.arange(3.0)}})
    with np.load(path, allow_pickle=False) as file:
        assert file["model/w"].tolist() == [0, 1, 2]
        assert file["format"].item() == "example 1"


def test_flipped_bits_and_cuts_are_found_wherever_they_are(path: Path) -> None:
    save_state(path, "example", STATE)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    for position in range(0, len(whole), 13):
        flipped[position] ^= 1 << position % 8
        for damaged in (whole[:position], flipped, whole + bytes(position)):
            if damaged != whole:
                path.write_bytes(damaged)
                with pytest.raises(CheckpointError, match=r"state\.npz is damaged"):
                    load_state(path, "example")
        flipped[position] = whole[position]
    path.write_bytes(whole)
    assert_same(load_state(path, "example"), STATE)


class Trap:
    """Whoever unpickles this runs a command."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("trap",)


def huge() -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (1 << 50,)}
    )
    return header.getvalue()


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "is damaged, or no file of tinygrad_lr: it does not end in a checksum"),
        (b"hello", "is damaged, or no file of tinygrad_lr"),
        (pickle.dumps(Trap()), "is damaged, or no file of tinygrad_lr"),
        (npy(np.ones(3)), "is damaged, or no file of tinygrad_lr"),
        (signed(pickle.dumps(Trap()) + b"sha256:"), "is no example of tinygrad_lr: "),
        (signed(b"sha256:"), "is no example of tinygrad_lr: "),
        (archive(format=npy(np.array([Trap()], object))), "is no example of tinygrad_lr: Object arrays"),
        (archive(format=b"junk"), "is no example of tinygrad_lr: "),
        (archive(format=npy(np.array("example 1")), state=huge()), "is no example of tinygrad_lr: "),
        (archive(zipfile.ZIP_DEFLATED, format=npy(np.zeros(10**6))), "tinygrad_lr: it is compressed"),
        (archive(w=npy(np.ones(2))), "is no example of tinygrad_lr: 'format'"),
        (archive(format=npy(np.array("chapter 1"))), "is no example, but a chapter"),
        (archive(format=npy(np.array("example 2"))), "has format 2, but this version reads 1; update"),
        (archive(format=npy(np.array("example 1"))), "is no example: it does not hold the state of one"),
        (
            archive(format=npy(np.array("example 1")), state=npy(np.array("[" * 100_000))),
            "is no example: it does not hold the state of one",
        ),
        (
            archive(format=npy(np.array("example 1")), state=npy(np.array('{"array": "w"}'))),
            "is no example: it does not hold the state of one",
        ),
    ],
)
def test_a_foreign_or_hostile_file_is_an_error_and_runs_nothing(
    path: Path, contents: bytes, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    path.write_bytes(contents)
    with pytest.raises(CheckpointError) as caught:
        load_state(path, "example")
    assert str(caught.value).startswith(f"{path} ")
    assert message in str(caught.value)
    assert list(path.parent.iterdir()) == [path]


def test_what_a_file_cannot_hold_is_named(path: Path) -> None:
    with pytest.raises(TypeError) as caught:
        save_state(path, "example", {"a": [1, {"b": d2l.tensor(1.0)}]})
    assert str(caught.value) == (
        "a/1/b is of type Tensor; a checkpoint holds arrays, numbers, strings, None, and lists and dicts of "
        "them, by string"
    )
    with pytest.raises(TypeError, match=r"^a: an array of Python objects cannot be saved without pickle$"):
        save_state(path, "example", {"a": np.array([object()])})
    assert list(path.parent.iterdir()) == []


def test_a_failing_write_keeps_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_state(path, "example", STATE)

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    for target, name in ((Path, "write_bytes"), (os, "fsync"), (Path, "replace")):
        with monkeypatch.context() as patch:
            patch.setattr(target, name, fail)
            with pytest.raises(OSError, match="No space left"):
                save_state(path, "example", {"w": 2})
    assert list(path.parent.iterdir()) == [path]
    assert_same(load_state(path, "example"), STATE)
    with pytest.raises(FileNotFoundError):
        save_state(path.parent / "no" / "folder", "example", STATE)


def test_links_stay_links_and_devices_devices(path: Path) -> None:
    link = path.with_name("link")
    link.symlink_to(path)
    save_state(link, "example", STATE)
    assert link.is_symlink()
    assert_same(load_state(path, "example"), STATE)
    save_state("/dev/null", "example", STATE)


@pytest.mark.skipif(os.name != "posix", reason="forks, limits and SIGKILL are POSIX's")
def test_killed_at_any_moment_nothing_is_lost() -> None:
    script = Path(__file__).with_name("crashes.py")
    package = str(Path(d2l.__file__).parent.parent)
    in_memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # hundreds of files wait for no disk there
    with tempfile.TemporaryDirectory(dir=in_memory) as folder:
        done = subprocess.run(
            [sys.executable, script, folder],
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": package},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    training, writing, left = done.stdout.splitlines()
    assert int(training.split()[0]) > 10
    assert int(writing.split()[0]) > 20
    assert left == "done killed.npz state.npz whole.npz"  # no half files


NONE = 2**30  # no system gives a process such a number


@pytest.mark.skipif(os.name != "posix", reason="elsewhere remains are left")
def test_remains_of_processes_that_are_gone_are_removed_but_not_of_living_ones(path: Path) -> None:
    path.with_name(f".{NONE}-1-{path.name}").touch()
    mine = path.with_name(f".{os.getpid()}-1-{path.name}")
    init = path.with_name(f".1-1-{path.name}")
    other = path.with_name(f".x-1-{path.name}")
    none = path.with_name(f".{10**30}-1-{path.name}")
    for remains in (mine, init, other, none):
        remains.touch()
    with replacing(path) as temporary:
        temporary.touch()
    assert set(path.parent.iterdir()) == {path, mine, init, other, none}


def test_where_processes_cannot_be_asked_for_remains_are_left(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remains = path.with_name(f".{NONE}-1-{path.name}")
    remains.touch()
    with monkeypatch.context() as patch:
        patch.setattr(os, "name", "nt")
        remove_remains(path)
    assert remains.exists()


# ---- runs -------------------------------------------------------------------------------------------------


class Data(DataModule):
    """Examples of three classes. Without a seed their order comes from NumPy's global generator."""

    def __init__(self, seed: int | None, dtype: Any = float, n: int = 20) -> None:
        super().__init__()
        draw = np.random.default_rng(0)
        self.X, self.y = draw.normal(size=(n, 4)).astype(dtype), draw.integers(0, 3, n)
        self.seed, self.batch_size = seed, 6

    def get_dataloader(self, train: bool) -> Any:
        return self.get_tensorloader((self.X, self.y), train)


class Momentum(HyperParameters):
    """An optimizer as in the chapter, with numbers that change, and no `state_dict`."""

    def __init__(self, params: Any, lr: float) -> None:
        self.save_hyperparameters()
        self.t: int = 0

    params: Any
    lr: float

    def step(self, _: Any) -> None:
        self.t += 1
        self.lr *= 0.9
        for param in self.params:
            param -= self.lr / self.t * param.grad


class Net(MLP):
    def __init__(self, optimizer: str) -> None:
        super().__init__(num_outputs=3, num_hiddens=5, lr=0.1)
        self.optimizer = optimizer
        self.net.layers.insert(3, nn.Dropout(0.3))

    def configure_optimizers(self) -> Any:
        if self.optimizer == "momentum":
            sgd = SGD(self.parameters(), self.lr, momentum=0.9, weight_decay=0.01)
            return sgd, StepLR(sgd, 2)
        if self.optimizer == "adam":
            adam = Adam(self.parameters(), self.lr)
            return adam, CosineAnnealingLR(adam, 5)
        return (
            Momentum(self.parameters(), self.lr)
            if self.optimizer == "own"
            else super().configure_optimizers()
        )

    def training_step(self, batch: Any) -> Any:
        self.noise = np.random.normal() + random.random()  # the global generators count too
        return super().training_step(batch) * (1 + 0.1 * self.noise)


@examples(6)
@example(seed=0, optimizer="adam", stop=9, every_steps=1, clip=0, dtype=np.float64)
@given(
    seed=st.none() | st.integers(0, 9),
    optimizer=st.sampled_from(["sgd", "momentum", "adam", "own"]),
    stop=st.integers(3, 24),
    every_steps=st.sampled_from([1, 2, 3, None]),
    clip=st.sampled_from([0, 0.5]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int | None,
    optimizer: str,
    stop: int,
    every_steps: int | None,
    clip: float,
    dtype: Any,
) -> None:
    path = tmp_path_factory.getbasetemp() / "run.npz"
    path.unlink(missing_ok=True)

    class Stop:
        def on_step_end(self, trainer: Trainer, loss: float) -> None:
            if trainer.train_batch_idx == stop:
                raise KeyboardInterrupt

    def fit(start: int, *more: Any, **options: Any) -> tuple[Trainer, History]:
        np.random.seed(start)
        random.seed(start)
        history, checkpoint = History(), Checkpoint(path, every_steps=every_steps)
        callbacks = [*more, history, EarlyStopping(9, monitor="train"), checkpoint, EarlyStopping(8)]
        trainer = Trainer(5, gradient_clip_val=clip, callbacks=callbacks, progress=False)
        trainer.fit(Net(optimizer), Data(seed, dtype, n=28), **options)
        return trainer, history

    with pytest.raises(KeyboardInterrupt):
        fit(1, Stop())
    resumed, history = fit(2, resume=path) if path.exists() else fit(1)
    first = load_state(path, "checkpoint")
    whole, expected = fit(1)
    last = load_state(path, "checkpoint")
    assert {array.dtype for array in last["model"].values()} == {np.dtype(dtype)}
    assert_same(first, last)
    assert resumed.history == whole.history
    assert resumed.model.board.data == whole.model.board.data
    assert (history.losses, history.lrs) == (expected.losses, expected.lrs)
    assert (resumed.epoch, resumed.train_batch_idx, resumed.val_batch_idx) == (4, 25, 25)
    assert (
        np.random.random()
        == (np.random.seed(0), np.random.set_state(last["numpy.random"]), np.random.random())[2]
    )


def test_the_chapters_own_optimizer_can_be_resumed(path: Path) -> None:
    data = SyntheticRegressionData([2, -3.4], 4.2, num_train=64, num_val=0, seed=0)

    class Hand(HyperParameters):
        def __init__(self, params: Any, lr: float) -> None:
            self.save_hyperparameters()
            self.steps = 0

        params: Any
        lr: float

        def step(self, _: Any) -> None:
            self.steps += 1
            for param in self.params:
                param -= self.lr / self.steps * param.grad

    class Model(LinearRegressionScratch):
        def configure_optimizers(self) -> Any:
            return Hand([self.w, self.b], self.lr)

    np.random.seed(0)
    whole, first, second = (Model(2, lr=0.03, sigma=0) for _ in range(3))
    Trainer(4).fit(whole, data)
    Trainer(2, callbacks=[Checkpoint(path)]).fit(first, data)
    Trainer(4).fit(second, data, resume=path)
    assert_same(second.state_dict(), whole.state_dict())


def test_a_state_in_memory_is_no_part_of_the_run(path: Path) -> None:
    trainer = Trainer(2, callbacks=[History()])
    np.random.seed(0)
    trainer.fit(Net("adam"), Data(0))
    trainer.save(path)
    state = trainer.state_dict()
    trainer.max_epochs = 3
    trainer.fit(Net("adam"), Data(0), resume=state)
    assert len(trainer.history["train"]) == 3
    save_state(path.with_name("other.npz"), "checkpoint", state)
    assert_same(load_state(path.with_name("other.npz"), "checkpoint"), load_state(path, "checkpoint"))


def test_a_generator_of_the_data_is_part_of_the_state(path: Path) -> None:
    class Shuffled:
        def __init__(self, X: Any) -> None:
            self.X, self.generator = X, np.random.default_rng(3)

        def __len__(self) -> int:
            return 2

        def __iter__(self) -> Any:
            order = self.generator.permutation(len(self.X))
            return iter(
                [(self.X[order[:4]], self.X[order[:4], :1]), (self.X[order[4:]], self.X[order[4:], :1])]
            )

    class Noisy(DataModule):
        def __init__(self) -> None:
            super().__init__()
            self.X = np.random.default_rng(0).normal(size=(8, 2))

        def get_dataloader(self, train: bool) -> Any:
            return Shuffled(d2l.tensor(self.X)) if train else None

    def fit(epochs: int, **options: Any) -> Any:
        model = LinearRegressionScratch(2, lr=0.1, sigma=0)
        trainer = Trainer(epochs, callbacks=[Checkpoint(path)])
        trainer.fit(model, Noisy(), **options)
        return model.state_dict()

    whole = fit(4)
    fit(2)
    assert_same(fit(4, resume=path), whole)


def test_checkpoints_every_few_epochs_and_at_the_end(path: Path) -> None:
    saved: list[int] = []

    class Watched(Trainer):
        def save(self, path: Any) -> None:
            saved.append(self.finished_epochs)

    Watched(7, callbacks=[Checkpoint(path, every=3)]).fit(Net("sgd"), Data(0))
    assert saved == [3, 6, 7]


def regression(seed: int = 0) -> SyntheticRegressionData:
    return SyntheticRegressionData([1.0, 2.0], 0.5, num_train=64, num_val=0, seed=seed)


class Lists(HyperParameters):
    def __init__(self, params: Any) -> None:
        self.save_hyperparameters()
        self.velocity = [0 * p.numpy() for p in params]

    def step(self, _: Any) -> None: ...


class Odd(LinearRegression):
    def configure_optimizers(self) -> Any:
        return Lists(self.parameters())


def test_what_a_checkpoint_would_lose_is_an_error(path: Path) -> None:
    with pytest.raises(TypeError) as caught:
        Trainer(1, callbacks=[Checkpoint(path)]).fit(Odd(0.1), regression())
    assert str(caught.value) == (
        "a checkpoint would lose Lists.velocity, which is of type list: give Lists the methods "
        "state_dict(self) and load_state_dict(self, state)"
    )
    assert not path.exists()


def two_at_once(self: Any) -> None:
    """An epoch whose steps have two minibatches each."""
    batches = iter(self.train_dataloader)
    for first, second in zip(batches, batches, strict=True):
        for batch in (first, second):
            with d2l.record():
                loss = self.model.training_step(batch)
            loss.backward()
        self.optim.step()
        self.train_batch_idx += 1


NOT_KNOWN = (
    "steps of epoch 1 are done, but the minibatches that {} gave for them are not known, and a checkpoint "
    "would lose them: save it in a callback's on_epoch_end, or take a TensorLoader and a step for each "
    "minibatch"
)


@pytest.mark.parametrize(
    ("hasty", "message"),
    [
        (
            {"training_step": lambda model, batch: model.trainer.save("nowhere")},
            "epoch 1 is not finished, and a checkpoint would lose its minibatches: save it in a callback's "
            "on_step_end or on_epoch_end, or after fit",
        ),
        ({"get_dataloader": lambda data, train: [(data.X, data.y)] * 4}, "3 " + NOT_KNOWN.format("list")),
        ({"fit_epoch": two_at_once}, "1 " + NOT_KNOWN.format("TensorLoader")),
    ],
)
def test_where_the_position_is_not_known_a_checkpoint_is_an_error(
    hasty: dict[str, Any], message: str, path: Path
) -> None:
    model, data = LinearRegression(0.1), regression()
    steps = 1 if "fit_epoch" in hasty else 3
    trainer = Trainer(3, callbacks=[Checkpoint(path, every_steps=steps)], progress=False)
    for part in (model, data, trainer):
        for name, method in hasty.items():
            if hasattr(part, name):
                setattr(part, name, partial(method, part))
    with pytest.raises(RuntimeError) as caught:
        trainer.fit(model, data)
    assert str(caught.value) == message
    assert not path.exists()


class Other(LinearRegression):
    def configure_optimizers(self) -> Any:
        return Adam(self.parameters())


@pytest.mark.parametrize(
    ("fit", "error", "message"),
    [
        (
            lambda path: Trainer(2).fit(Other(0.1), regression(), resume=path),
            ValueError,
            "the checkpoint is of training with SGD, not with Adam",
        ),
        (
            lambda path: Trainer(2).fit(LinearRegression(0.1), Data(0), resume=path),
            ValueError,
            "the checkpoint is of training with 2 minibatches per epoch, but this data has 4",
        ),
        (
            lambda path: Trainer(2).fit(LinearRegressionScratch(2, 0.1), regression(), resume=path),
            ValueError,
            "this state is not of this LinearRegressionScratch: w is missing, b is missing, net.weight is "
            "unexpected, net.bias is unexpected",
        ),
        (
            lambda path: Trainer(2).fit(LinearRegression(0.1), regression(), resume={}),
            ValueError,
            "this is not the state of such a run: KeyError('optimizer_class')",
        ),
        (
            lambda path: Trainer(2).fit(LinearRegression(0.1), regression(), resume=path.parent / "none"),
            FileNotFoundError,
            None,
        ),
        (lambda path: Checkpoint(path, every=0), ValueError, "every must be at least 1 epoch, not 0"),
        (lambda path: Checkpoint(path, 1, 0), ValueError, "every_steps must be at least 1 step, not 0"),
    ],
)
def test_a_checkpoint_of_another_run_is_an_error(
    path: Path, fit: Any, error: type[Exception], message: str | None
) -> None:
    Trainer(1, callbacks=[Checkpoint(path)]).fit(LinearRegression(0.1), regression())
    with pytest.raises(error) as caught:
        fit(path)
    assert message is None or str(caught.value) == message


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        (["epoch"], "1", "epoch is a str instead of a int"),
        (["optimizer", "lr"], None, "lr is a NoneType instead of a float"),
        (["optimizer"], {"lr": 0.1}, "optimizer has no 'steps'"),
        (["loaders", 0, "epoch"], [], "TypeError(\"'list' object cannot be interpreted as an integer\")"),
        (["random", 1, 0], -1, 'OverflowError("can\'t convert negative value to unsigned int")'),
        (["sums", "train"], [1, None, 2], 'TypeError("float() argument must be a string or a real number, '),
    ],
)
def test_a_state_that_was_tampered_with_is_an_error(
    path: Path, where: list[Any], value: Any, message: str
) -> None:
    Trainer(1, callbacks=[Checkpoint(path)]).fit(LinearRegression(0.1), regression())
    state = part = load_state(path, "checkpoint")
    for key in where[:-1]:
        part = part[key]
    part[where[-1]] = value
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the message is looked at
        Trainer(2).fit(LinearRegression(0.1), regression(), resume=state)
    assert str(caught.value).startswith(f"this is not the state of such a run: {message}")


def test_a_file_of_the_command_line_is_no_checkpoint_of_the_trainer(path: Path) -> None:
    save_arrays(path, "run", {"w": np.ones(2)})
    with pytest.raises(CheckpointError, match=r"state\.npz is no checkpoint, but a run"):
        Trainer(1).fit(LinearRegression(0.1), regression(), resume=path)
    assert issubclass(checkpoints.VersionError, CheckpointError)


def test_gradients_that_add_up_are_kept(tmp_path: Path) -> None:
    def fit(epochs: int, **options: Any) -> Trainer:
        np.random.seed(0)
        random.seed(0)
        trainer = Trainer(epochs, progress=False)
        model = Net("sgd")
        for parameter in model.parameters():
            parameter.attach_grad("add")
        trainer.fit(model, Data(0, np.float64, n=28), **options)
        return trainer

    fit(2).save(tmp_path / "run.npz")
    whole, resumed = fit(4), fit(4, resume=tmp_path / "run.npz")
    for one, other in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one.grad, other.grad)


@pytest.mark.parametrize("name", ["epoch", "skip"])
def test_a_loader_cannot_have_gone_through_fewer_than_no_epochs_or_minibatches(name: str) -> None:
    loader = regression().train_dataloader()
    before = loader.state_dict()
    with pytest.raises(ValueError, match=r"epoch and skip must be 0 or more, not .*-1"):
        loader.load_state_dict(before | {name: -1})
    assert loader.state_dict() == before


def test_an_optimizer_cannot_have_taken_fewer_than_no_steps() -> None:
    adam = Adam(Net("adam").parameters(), 0.1)
    with pytest.raises(ValueError, match="says that -1 steps were taken"):
        adam.load_state_dict(
            adam.state_dict()
            | {
                "steps": -1,
                **{
                    f"{i}.{name}": np.zeros(p.shape)
                    for i, p in enumerate(adam.params)
                    for name in adam.arrays
                },
            }
        )
