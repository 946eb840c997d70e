"""Training on data of Dask's: in this process, on a cluster in threads, and on one of processes that die."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import dask
import dask.array
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_lr import DataModule, Trainer, asarray, nn, record
from tinygrad_lr.callbacks import History
from tinygrad_lr.data import BlockLoader
from tinygrad_lr.linear import LinearRegressionScratch
from tinygrad_lr.models import MLP, LinearRegression, WeightDecayScratch
from tinygrad_lr.optim import SGD, Adam

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


def chunked(*arrays: Any, rows: Any = 8) -> list[Any]:
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
    assert (trainer.num_train_batches, trainer.num_val_batches) == (3, 1)
    assert counter.calls == 3 * (3 + 1)
    assert all(type(p.array) is np.ndarray and type(p.grad.array) is np.ndarray for p in model.parameters())
    assert len(model.board.data["train_loss"]) == 9


@pytest.mark.parametrize("optimizer", [SGD, Adam])
def test_full_batches_train_as_in_memory(client: Client, optimizer: Any) -> None:
    found = []
    for arrays in ((X, Y), chunked(X, Y)):
        model, history = LinearRegressionScratch(3, lr=0.1, sigma=0), History()
        model.configure_optimizers = lambda model=model: optimizer(model.parameters(), 0.1)  # type: ignore
        Trainer(20, callbacks=[history]).fit(model, Data(*arrays, batch_size=40))
        found.append([*model.state_dict().values(), np.array(history.losses)])
        assert len(history.losses) == 20
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
