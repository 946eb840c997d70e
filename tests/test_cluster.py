"""Training on data of Dask's: in this process, on a cluster in threads, and on one of processes that die."""

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask
import dask.array
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_lr import DataModule, Trainer, asarray, nn, record
from tinygrad_lr.callbacks import History
from tinygrad_lr.cluster import connect
from tinygrad_lr.data import BlockLoader
from tinygrad_lr.linear import LinearRegressionScratch
from tinygrad_lr.models import MLP, LinearRegression, WeightDecayScratch
from tinygrad_lr.optim import SGD, Adam
from tinygrad_lr_viz import draw_graph, explain

distributed = pytest.importorskip("distributed", reason="THE CLUSTER IS NOT TESTED: there is no distributed")

Client = Any
X = np.random.default_rng(0).normal(size=(60, 3))
Y = X @ np.array([[2.0], [-3.4], [1.0]]) + 4.2 + 0.01 * np.random.default_rng(1).normal(size=(60, 1))


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A cluster of two workers in this process."""
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


class Data(DataModule):
    """The first 40 rows for training, the others for validation."""

    def __init__(self, X: Any, y: Any, batch_size: int = 16, seed: int | None = 0) -> None:
        super().__init__()
        self.save_hyperparameters()

    def get_dataloader(self, train: bool) -> Any:
        return self.get_tensorloader((self.X, self.y), train, slice(0, 40) if train else slice(40, None))


def chunked(*arrays: Any, rows: Any = 10) -> list[Any]:
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
    for memory, cluster in zip(*found, strict=True):
        np.testing.assert_allclose(cluster, memory, rtol=1e-12, atol=1e-12)


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
        Trainer(5, callbacks=[history]).fit(model, Data(*arrays, batch_size=40))
        found.append([*model.state_dict().values(), np.array(history.losses)])
        assert len(history.losses) == 5
    for memory, cluster in zip(*found, strict=True):
        np.testing.assert_allclose(cluster, memory, rtol=1e-12)


# ---- minibatches ------------------------------------------------------------------------------------------


@settings(max_examples=30)
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
            "^6 of the 6 chunks of tensors.0. are of unknown",
        ),
        (
            lambda X, y: (X, y.rechunk({0: 20})),
            slice(0, 4),
            ValueError,
            r"^tensors\[1\] has 3 chunks of up to 20 ",
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
    with connect(workers=2, dashboard_address=None) as client:
        data = Data(*dask.persist(*chunked(X, Y)))
        pids = client.run(os.getpid)
        assert len(pids) == 2
        kill = Kill([min(pids.values())])
        assert trained(data, kill) == expected
        assert not kill.pids


RUN = """
import dask, os, sys
dask.config.set(scheduler="sync")
sys.path[:0] = {path!r}
from test_cluster import *
from tinygrad_lr.callbacks import Checkpoint
trained(Data(*chunked(X, Y)), Checkpoint({file!r}), Kill([os.getpid()]))
"""


def test_a_killed_client_goes_on_from_its_checkpoint(
    client: Client, expected: list[bytes], tmp_path: Path
) -> None:
    file = tmp_path / "run.npz"
    code = RUN.format(path=sys.path, file=str(file))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert trained(Data(*chunked(X, Y)), resume=file)[:-1] == expected[:-1]
