"""Training on data of Dask's: in this process, on a cluster in threads, and on one of processes that die."""

import itertools
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import dask
import dask.array
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search import examples
from tinygrad_lr import DataModule, Trainer, asarray, cluster, nn, record, run
from tinygrad_lr.callbacks import Checkpoint, History
from tinygrad_lr.cli import main
from tinygrad_lr.closed_form import least_squares
from tinygrad_lr.cluster import ClusterError, check_workers, connect, facts, read_parquet
from tinygrad_lr.data import BlockLoader
from tinygrad_lr.func import value_and_grad
from tinygrad_lr.linear import LinearRegressionScratch
from tinygrad_lr.models import MLP, LinearRegression, WeightDecayScratch
from tinygrad_lr.optim import SGD, Adam
from tinygrad_lr.trainer import DivergenceError
from tinygrad_lr_viz import draw_graph, explain

WHY = "THE CLUSTER IS NOT TESTED: pip install 'tinygrad_lr[cluster]'"
distributed = pytest.importorskip("distributed", reason=WHY)
pyarrow = pytest.importorskip("pyarrow", reason=WHY)
pytest.importorskip("pyarrow.parquet", reason=WHY)

# some tests need no cluster, while that of others runs; older versions of Dask warn of it
pytestmark = pytest.mark.filterwarnings("ignore:Running on a single-machine scheduler:UserWarning")

Client = Any
X = np.random.default_rng(0).normal(size=(60, 3))
Y = X @ np.array([[2.0], [-3.4], [1.0]]) + 4.2 + 0.01 * np.random.default_rng(1).normal(size=(60, 1))


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A cluster of two workers in this process."""
    with connect(workers=2, processes=False) as client:
        yield client


class Data(DataModule):
    """The first 40 rows for training, the others for validation."""

    def __init__(self, X: Any, y: Any, batch_size: int = 16, seed: int | None = 0) -> None:
        super().__init__()
        self.save_hyperparameters()

    def get_dataloader(self, train: bool) -> Any:
        return self.get_tensorloader((self.X, self.y), train, slice(0, 40) if train else slice(40, None))


def chunked(*arrays: Any, rows: Any = 20) -> list[Any]:
    return [dask.array.from_array(a, chunks=(rows, *a.shape[1:])) for a in arrays]


class Counter:
    """A scheduler for Dask that computes in this thread, and counts how often it is asked to."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, graph: Any, keys: Any, **options: Any) -> Any:
        self.calls += 1
        return dask.get(graph, keys, **options)


@pytest.fixture
def counter() -> Iterator[Counter]:
    counter = Counter()
    with dask.config.set(scheduler=counter):
        yield counter


# ---- a step -----------------------------------------------------------------------------------------------


class Robust(LinearRegressionScratch):
    """A loss whose gradient is not a sum over the examples."""

    def loss(self, y_hat: Any, y: Any) -> Any:
        error = y_hat - y
        return np.sqrt(np.mean(error**2)) + np.max(np.abs(error))


class Net(LinearRegression):
    def __init__(self) -> None:
        super().__init__(lr=0.03)
        self.net = nn.Sequential(nn.LazyLinear(4), nn.Tanh(), nn.LazyLinear(1))


MODELS: dict[str, Callable[[], Any]] = {
    "scratch": lambda: LinearRegressionScratch(3, lr=0.03),
    "concise": lambda: LinearRegression(lr=0.03),
    "decay": lambda: WeightDecayScratch(3, lambd=0.1, lr=0.03),
    "robust": lambda: Robust(3, lr=0.03),
    "net": Net,
    "classifier": lambda: MLP(num_outputs=2, num_hiddens=4, lr=0.1),
}


@pytest.mark.parametrize("name", MODELS)
def test_gradients_are_those_of_the_data_in_memory(client: Client, name: str) -> None:
    y = (Y[:, 0] > 4).astype(int) if name == "classifier" else Y
    np.random.seed(0)
    model = MODELS[name]()
    found = []
    for pair in ((X, y), chunked(X, y)):
        with record():
            loss = model.training_step(tuple(map(asarray, pair)))
        loss.backward()
        found.append(dask.compute(loss.array, *(p.grad.array for p in model.parameters())))
    for memory, lazy in zip(*found, strict=True):
        np.testing.assert_allclose(lazy, memory, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("clip", [0, 0.5])
def test_one_computation_for_every_step(counter: Counter, clip: float) -> None:
    """And one for every minibatch of validation; the parameters stay arrays of NumPy's."""
    data, model = Data(*chunked(X, Y)), LinearRegressionScratch(3, lr=0.03)
    trainer = Trainer(3, gradient_clip_val=clip)
    trainer.fit(model, data)
    assert (trainer.num_train_batches, trainer.num_val_batches) == (2, 1)
    assert counter.calls == 3 * (2 + 1)
    assert all(type(p.array) is np.ndarray and type(p.grad.array) is np.ndarray for p in model.parameters())
    assert len(model.board.data["train_loss"]) == 6


@pytest.mark.parametrize("optimizer", [SGD, Adam])
def test_full_batches_train_as_in_memory(counter: Counter, optimizer: Any) -> None:
    found = []
    for arrays in ((X, Y), chunked(X, Y)):
        model, history = LinearRegressionScratch(3, lr=0.1, sigma=0), History()
        model.configure_optimizers = lambda model=model: optimizer(model.parameters(), 0.1)  # type: ignore
        Trainer(3, callbacks=[history]).fit(model, Data(*arrays, batch_size=40))
        found.append([*model.state_dict().values(), np.array(history.losses)])
        assert len(history.losses) == 3
    for memory, lazy in zip(*found, strict=True):
        np.testing.assert_allclose(lazy, memory, rtol=1e-12)


@pytest.mark.parametrize("kind", ["zarr", "npy"])
def test_data_in_files(counter: Counter, tmp_path: Path, kind: str) -> None:
    """They are read when a step needs them, and not kept."""
    if kind == "zarr":
        pytest.importorskip("zarr", reason="ZARR IS NOT TESTED: pip install zarr")
    read = {"zarr": dask.array.from_zarr, "npy": dask.array.from_npy_stack}[kind]
    found = []
    for array, name in zip(chunked(X, Y), "Xy", strict=True):
        path = str(tmp_path / name)
        array.to_zarr(path) if kind == "zarr" else dask.array.to_npy_stack(path, array)
        found.append(read(path))
    assert trained(Data(*found)) == trained(Data(*chunked(X, Y)))


def test_scipys_l_bfgs_asks_once_for_loss_and_gradient(counter: Counter) -> None:
    optimize = pytest.importorskip("scipy.optimize", reason="L-BFGS IS NOT TESTED: pip install scipy")
    lazy_X, lazy_y = chunked(X, Y)

    def loss(v: Any) -> Any:
        return np.mean((lazy_X @ v[:3] + v[3] - lazy_y[:, 0]) ** 2) / 2

    def both(v: Any) -> Any:
        return dask.compute(value_and_grad(loss)(v))[0]

    tight = {"gtol": 1e-9, "ftol": 1e-15}
    fit = optimize.minimize(both, np.zeros(4), jac=True, method="L-BFGS-B", options=tight)
    assert counter.calls == fit.nfev
    w, b = least_squares(X, Y[:, 0])
    np.testing.assert_allclose(fit.x, [*w, b], rtol=1e-6)


# ---- minibatches ------------------------------------------------------------------------------------------


@examples(30)
@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=8).filter(sum),
    st.integers(1, 40),
    st.integers(0, 3) | st.none(),
)
def test_an_epoch_takes_every_chunk_once(chunks: list[int], batch_size: int, seed: int | None) -> None:
    rows = dask.array.arange(sum(chunks), chunks=(tuple(chunks),))
    loader = BlockLoader([rows, 2 * rows], batch_size, seed)
    assert loader.num_examples == sum(chunks)
    for _ in range(2):
        batches = list(loader)
        assert len(batches) == len(loader)
        assert all(batch[0].array.chunks == batch[1].array.chunks for batch in batches)
        taken = [batch[0].array.compute(scheduler="sync").tolist() for batch in batches]
        assert sorted(itertools.chain(*taken)) == list(range(sum(chunks)))
        if batch_size >= sum(chunks):
            assert taken == [list(range(sum(chunks)))]


@pytest.mark.parametrize(
    ("tensors", "indices", "error", "message"),
    [
        (lambda X, y: (X, Y), slice(0, 4), TypeError, r"^tensors\[1\] is a ndarray .*from_array\(y, chunks="),
        (
            lambda X, y: (X[y[:, 0] > 4], y),
            slice(0, 4),
            ValueError,
            "^3 of the 3 chunks of tensors.0. are of unknown",
        ),
        (
            lambda X, y: (X, y.rechunk({0: 30})),
            slice(0, 4),
            ValueError,
            r"^tensors\[1\] has 2 chunks of up to 30 ",
        ),
        (lambda X, y: (X, y), [1, 2], TypeError, "^rows of Dask arrays are chosen by a slice, not by list"),
        (lambda X, y: (X, y), slice(4, 4), ValueError, "^a loader needs at least one example"),
    ],
)
def test_what_cannot_be_loaded(tensors: Any, indices: Any, error: type[Exception], message: str) -> None:
    data = Data(*tensors(*chunked(X, Y)))
    with pytest.raises(error, match=message):
        data.get_tensorloader((data.X, data.y), True, indices)


def test_labels_that_are_no_classes(counter: Counter) -> None:
    """They are looked at where they are; in silence they would count as no class."""
    model = MLP(num_outputs=2, num_hiddens=4, lr=0.1)
    labels = np.zeros(60, int)
    labels[7] = 2
    with pytest.raises(ValueError, match="whole numbers from 0 to 1, but they go from 0 to 2"):
        Trainer(1).fit(model, Data(*chunked(X, labels)))


def test_nan_in_one_chunk_is_found_at_its_first_step(counter: Counter) -> None:
    bad = X.copy()
    bad[25, 1] = np.nan
    data = Data(*chunked(bad, Y))
    with pytest.raises(
        DivergenceError, match=r"became nan at step . \(epoch 1 of 9, in chunks 1 of the data\)"
    ):
        Trainer(9).fit(LinearRegressionScratch(3, lr=0.03), data)


# ---- pictures ---------------------------------------------------------------------------------------------


def test_a_step_is_drawn_and_explained_without_computing_it(counter: Counter) -> None:
    model = LinearRegressionScratch(3, lr=0.03)
    inputs, y = map(asarray, chunked(X, Y))
    with record():
        loss = model.loss(model(inputs), y)
    drawn, explained = draw_graph(loss).dot, explain(loss).text()
    loss.backward(retain_graph=True)
    again = draw_graph(loss).dot
    assert counter.calls == 0
    for source in (drawn, again):
        assert "(60, 3)" in source
        assert "not computed" in source
    assert "not computed here" in explained


# ---- whatever happens to the workers ----------------------------------------------------------------------


def trained(data: Data, *callbacks: Any, epochs: int = 3, resume: Any = None) -> list[bytes]:
    """The bits of parameters and losses after training with Adam and minibatches."""
    model, history = LinearRegression(lr=0.1), History()
    model.configure_optimizers = lambda: Adam(model.parameters(), 0.1)  # type: ignore[method-assign]
    np.random.seed(0)
    Trainer(epochs, callbacks=[history, *callbacks]).fit(model, data, resume=resume)
    return [array.tobytes() for array in (*model.state_dict().values(), np.array(history.losses))]


@pytest.fixture(scope="module")
def expected() -> list[bytes]:
    """What comes out without a cluster."""
    with dask.config.set(scheduler="sync"):
        return trained(Data(*chunked(X, Y)))


def test_the_number_of_workers_does_not_matter(client: Client, expected: list[bytes]) -> None:
    data = Data(*chunked(X, Y))
    with dask.config.set(scheduler="threads", num_workers=3):
        assert trained(data) == expected
    assert trained(data) == expected
    data.X, data.y = dask.persist(data.X, data.y)
    assert trained(data) == expected


class Kill:
    """A callback that kills a worker in the middle of an epoch."""

    def __init__(self, pids: Any) -> None:
        self.pids = pids

    def on_step_end(self, trainer: Trainer, loss: float) -> None:
        if trainer.train_batch_idx == 3:
            os.kill(self.pids.pop(), signal.SIGKILL)


def test_a_killed_worker_loses_nothing(expected: list[bytes]) -> None:
    """With data that only the workers hold: Dask makes what is lost again."""
    with connect(workers=2) as client:
        data = Data(*dask.persist(*chunked(X, Y)))
        pids = client.run(os.getpid)
        assert len(pids) == 2
        kill = Kill([min(pids.values())])
        assert trained(data, kill) == expected
        assert not kill.pids


class Died(BaseException):
    """What no code catches."""


def test_a_client_that_died_goes_on_from_its_checkpoint(
    client: Client, expected: list[bytes], tmp_path: Path
) -> None:
    """From what was on the disk at that moment, computed in another way until then."""
    file, left = tmp_path / "run.npz", tmp_path / "left.npz"

    class Die:
        def on_step_end(self, trainer: Trainer, loss: float) -> None:
            if trainer.train_batch_idx == 3:
                shutil.copy(file, left)
                raise Died

    with dask.config.set(scheduler="sync"), pytest.raises(Died):
        trained(Data(*chunked(X, Y)), Checkpoint(file), Die())
    assert trained(Data(*chunked(X, Y)), resume=left)[:-1] == expected[:-1]


# ---- Parquet files and the command ------------------------------------------------------------------------


def write(path: Path, groups: int = 2, **columns: Any) -> None:
    """A Parquet file of so many row groups."""
    table = pyarrow.table(columns)
    pyarrow.parquet.write_table(table, path, row_group_size=-(-len(table) // groups))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the 60 rows in data/0.parquet to data/2.parquet, in six row groups."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    for i, (rows, groups) in enumerate([(slice(0, 20), 2), (slice(20, 30), 1), (slice(30, 60), 3)]):
        write(Path(f"data/{i}.parquet"), groups, a=X[rows, 0], b=X[rows, 1], c=X[rows, 2], y=Y[rows, 0])
    return tmp_path


def test_a_table_in_several_files(folder: Path) -> None:
    with dask.config.set(scheduler="sync"):
        for pattern in ("data/*.parquet", "data", (folder / "data").as_uri()):
            table, places = read_parquet(pattern)
            assert table.columns == ("a", "b", "c", "y")
            np.testing.assert_array_equal(table.values.compute(), np.hstack([X, Y]))
        assert places[1:4] == (
            "data/0.parquet, row group 1",
            "data/1.parquet, row group 0",
            "data/2.parquet, row group 0",
        )
        some, _ = read_parquet("data/*.parquet", ["y", "b"])
        np.testing.assert_array_equal(some.values.compute(), np.hstack([Y, X[:, 1:2]]))


def test_whole_numbers_truth_values_and_decimals_are_numbers(folder: Path) -> None:
    decimals = pyarrow.array([Decimal("1.5"), None], pyarrow.decimal128(4, 2))
    write(Path("one.parquet"), i=[1, 2], t=[True, False], f=np.float32([0.5, 1]), d=decimals)
    with dask.config.set(scheduler="sync"):
        found = read_parquet("one.parquet")[0].values.compute()
    np.testing.assert_array_equal(found, [[1, 1, 0.5, 1.5], [2, 0, 1, np.nan]])


def cli(*arguments: str, client: Client) -> int:
    return main([*arguments, "--cluster", client.scheduler.address])


def test_fit_on_a_cluster(folder: Path, client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    """Standardisation, least squares and R² are those of the rows in memory, split in the same way."""
    assert cli("fit", "data/*.parquet", "--target", "y", "--epochs", "6", "--lr", "0.9", client=client) == 0
    out = capsys.readouterr().out
    assert "Dask dashboard: " in out
    assert "0 MB in 6 chunks, kept in the workers' memory.\n" in out
    assert "Learning y from a, b, c: " in out
    summary = json.loads(Path("runs/data/summary.json").read_text("utf-8"))
    rows = summary["data"]["training_rows"], summary["data"]["validation_rows"]
    assert sum(rows) == 60
    assert 4 <= rows[1] <= 20
    w = [entry["least_squares"] for entry in summary["parameters"]]
    np.testing.assert_allclose(w, [2, -3.4, 1, 4.2], atol=0.02)
    assert [entry["learned"] for entry in summary["parameters"]] == pytest.approx(w, rel=0.05)
    assert 0.9 < summary["r_squared"]["learned"]["validation"] <= 1
    assert summary["not_drawn"] == {}
    assert "not computed" in Path("runs/data/graph.svg").read_text("utf-8")


def test_resumed_it_is_as_if_it_had_never_stopped(
    folder: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "draw", lambda *_: {})
    fit = "fit", "data", "--target", "y", "--batch-size", "48", "--quiet", "--out"
    assert cli(*fit, "whole", "--epochs", "2", client=client) == 0
    monkeypatch.setattr(cluster, "memory", lambda _: 0)  # and read again in every epoch
    assert cli(*fit, "parts", "--epochs", "1", client=client) == 0
    assert cli(*fit, "parts", "--epochs", "2", "--resume", client=client) == 0
    assert Path("whole/checkpoint.npz").read_bytes() == Path("parts/checkpoint.npz").read_bytes()


def missing_column() -> None:
    write(Path("data/1.parquet"), a=X[:10, 0], b=X[:10, 1], y=Y[:10, 0])


def text_column() -> None:
    write(Path("data/1.parquet"), a=X[:10, 0], b=X[:10, 1], c=["x"] * 10, y=Y[:10, 0])


def missing_value() -> None:
    b = [*X[:13, 1], None, *X[14:20, 1]]
    write(Path("data/1.parquet"), 2, a=X[:20, 0], b=b, c=X[:20, 2], y=Y[:20, 0])


def constant_column() -> None:
    for path in Path("data").iterdir():
        write(path, a=X[:, 0], b=X[:, 1], c=np.full(60, 0.1), y=Y[:, 0])


def dependent_column() -> None:
    for path in Path("data").iterdir():
        write(path, a=X[:, 0], b=X[:, 1], c=X[:, 0] - 2 * X[:, 1] + 1, y=Y[:, 0])


def another_file() -> None:
    Path("data/1.parquet").write_text("a,b,c,y\n1,2,3,4\n")


def one_group() -> None:
    for path in Path("data").glob("[12].parquet"):
        path.unlink()
    write(Path("data/0.parquet"), 1, a=X[:, 0], b=X[:, 1], c=X[:, 2], y=Y[:, 0])


def no_file() -> None:
    for path in Path("data").iterdir():
        path.unlink()


def dangling_link() -> None:
    Path("data/1.parquet").unlink()
    Path("data/1.parquet").symlink_to("gone")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            missing_column,
            "data/1.parquet has no column 'c', which data/0.parquet has; add it, or leave it out",
        ),
        (text_column, "data/1.parquet, column 'c': its type is string, not a number; encode it as numbers"),
        (
            missing_value,
            "data/1.parquet, row group 1, row 3, column 'b': the value is missing or NaN; fill it in",
        ),
        (constant_column, "data/*.parquet, column 'c': constant, 0.1 in every row"),
        (dependent_column, "data/*.parquet: column 'c' equals 'a' - 2*'b' + 1, so least squares cannot tell"),
        (another_file, "data/1.parquet cannot be read as a Parquet file: "),
        (one_group, "data/*.parquet has only 1 row group, and validation takes some; write it in several"),
        (no_file, "no file is named data/*.parquet; check the path"),
        (dangling_link, "data/1.parquet is not there for a worker; put it on a disk that all workers see"),
    ],
)
def test_bad_files(
    folder: Path, client: Client, capsys: pytest.CaptureFixture[str], spoil: Callable[[], None], message: str
) -> None:
    """One line that names the file, and nothing is left behind."""
    spoil()
    assert cli("fit", "data/*.parquet", "--target", "y", client=client) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"tinygrad-lr: error: {message}")
    assert error.count("\n") == 1
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data.csv", "--workers", "2"], "data.csv: a cluster reads Parquet files; write the table as such"),
        (
            ["a.parquet"],
            "a.parquet: Parquet files are read by a cluster; add --workers 2, or --cluster ADDRESS",
        ),
        (["a.parquet", "b.parquet"], "unrecognized arguments: b.parquet; write a pattern in quotes, as in "),
        (["a.parquet", "--workers", "0"], "argument --workers: '0' is not a whole number, 1 or more"),
        (["a.parquet", "--cluster", "tcp://127.0.0.1:9"], "no Dask scheduler answers at tcp://127.0.0.1:9: "),
    ],
)
def test_bad_arguments(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 0.1)
    assert main(["fit", *arguments, "--target", "y"]) == 2
    assert capsys.readouterr().err.startswith(f"tinygrad-lr: error: {message}")


def test_a_column_that_is_nowhere(folder: Path, client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("fit", "data", "--target", "Y", client=client) == 2
    assert "data has no column 'Y'; did you mean 'y'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("missing", "use"),
    [("distributed", lambda: connect().__enter__()), ("pyarrow.parquet", lambda: read_parquet("data"))],
)
def test_without_the_extra(missing: str, use: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(
        ModuleNotFoundError, match=rf"^a cluster needs {missing}: .*'tinygrad_lr\[cluster\]'$"
    ):
        use()


# ---- workers that are not fit for it ----------------------------------------------------------------------


class Workers:
    """A client whose workers answer as they are told."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.scheduler = type("Scheduler", (), {"address": "tcp://10.0.0.1:8786"})

    def run(self, function: Any, on_error: str) -> dict[str, Any]:
        return self.answers


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({}, r"^the scheduler at tcp://10.0.0.1:8786 has no workers; start some with `dask worker tcp"),
        ({"one": {}, "two": {"numpy": "1.26.4"}}, r"^the worker two has numpy 1\.26\.4 instead of "),
        (
            {"one": {}, "two": {"python": "3.10"}},
            r"^the worker two has python 3\.10 instead of 3\.\d+; install",
        ),
        (
            {"one": ModuleNotFoundError("No module named 'tinygrad_lr'")},
            "^the worker one cannot run tinygrad_lr",
        ),
    ],
)
def test_workers_that_lack_something(answers: dict[str, Any], message: str) -> None:
    complete = {k: {**facts(), **v} if isinstance(v, dict) else v for k, v in answers.items()}
    with pytest.raises(ClusterError, match=message):
        check_workers(Workers(**complete))


NAMED: Any = type("Worker", (), {"address": "tcp://10.0.0.2:40001"})


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            distributed.KilledWorker("step", NAMED, 3),
            "^several workers died of one task, .* row groups",
        ),
        (distributed.comm.CommClosedError("gone"), "^the cluster was lost: gone; what is finished is kept"),
    ],
)
def test_a_cluster_that_is_lost(client: Client, error: Exception, message: str) -> None:
    with pytest.raises(ClusterError, match=message), connect(client.scheduler.address):
        raise error
