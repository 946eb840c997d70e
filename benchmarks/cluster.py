"""Steps on a Dask cluster: time and memory as data grow, and what chunks of other sizes cost.

CPU time tells more than the clock does where other programs run as well.

    python -m benchmarks.cluster                 # both tables, in about ten minutes
    python -m benchmarks.cluster --largest 400   # no data above 400 MB

Data are written into a folder that is removed in the end. Needs `pip install 'tinygrad_lr[cluster]'`.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import dask
import dask.array
import numpy as np
import pyarrow
import pyarrow.parquet

from tinygrad_lr import record
from tinygrad_lr.cluster import connect, read_parquet
from tinygrad_lr.data import BlockLoader
from tinygrad_lr.lazy import compute
from tinygrad_lr.linear import LinearRegressionScratch

COLUMNS = 10  # nine features and the target
CHUNK = 16  # MB of a row group
LIMIT = 400  # MB that a worker may use
SIZES = (100, 200, 400, 800, 1600)  # MB of data
CHUNKS = (64.0, 16.0, 4.0, 1.0, 0.25)  # MB


def write(folder: Path, size: int) -> None:
    """Files of one row group each, `size` MB in all as float64s."""
    rows = CHUNK * 1_000_000 // (8 * COLUMNS)
    for i in range(-(-size // CHUNK)):
        values = np.random.default_rng(i).normal(size=(rows, COLUMNS))
        columns = {f"x{j}": values[:, j] for j in range(COLUMNS)}
        pyarrow.parquet.write_table(pyarrow.table(columns), folder / f"{i:04}.parquet", compression="none")


def step(model: LinearRegressionScratch, z: Any) -> int:
    """Loss and gradients of all rows; returns the number of tasks."""
    [(X, y)] = BlockLoader([z[:, :-1], z[:, -1:]], len(z))
    with record():
        loss = model.loss(model(X), y)
    loss.backward()
    wanted = [loss, model.w.grad, model.b.grad]
    tasks = len(dask.base.collections_to_expr([t.array for t in wanted]).optimize().__dask_graph__())
    compute(wanted)
    return tasks


def by_hand(z: Any, w: Any, b: Any) -> tuple[Any, Any, Any]:
    """The same in NumPy for a chunk, but for the last division."""
    X, y = z[:, :-1], z[:, -1:]
    residual = X @ w + b - y
    return np.sum(residual**2), X.T @ residual, residual.sum()


class Cost:
    """Seconds on the clock, CPU seconds of the workers, and of this process with the scheduler in it."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.before = self.now()

    def now(self) -> Any:
        workers = sum(self.client.run(time.process_time).values())
        return np.array([time.perf_counter(), workers, time.process_time()])

    def __call__(self) -> list[float]:
        return list(self.now() - self.before)


def peak() -> float:
    """The most memory that this process has had so far, in MB, as Linux tells it."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def growing(sizes: list[int]) -> None:
    print(f"\nOne step on all rows, read from Parquet; chunks of {CHUNK} MB, {LIMIT} MB for each worker")
    head = f"{'MB':>6}{'workers':>9}{'seconds':>9}{'CPU: workers':>14}{'here':>7}{'MB per CPU s':>14}"
    print(f"{head}{'peak MB of a worker: idle':>27}{'then':>6}")
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), size)
            for workers in (1, 2):
                with connect(workers=workers, memory_limit=f"{LIMIT}MB") as client:
                    values: Any = read_parquet(folder)[0].values
                    model = LinearRegressionScratch(COLUMNS - 1, lr=0.1)
                    idle = max(client.run(peak).values())
                    step(model, values.blocks[:workers])  # imports, first connections
                    cost = Cost(client)
                    step(model, values)
                    seconds, there, here = cost()
                    most = max(client.run(peak).values())
                real = values.nbytes / 1e6
                print(
                    f"{real:6.0f}{workers:9}{seconds:9.1f}{there:14.2f}{here:7.2f}"
                    f"{real / (there + here):14.0f}{idle:27.0f}{most:6.0f}",
                    flush=True,
                )


def shrinking(size: int) -> None:
    print(f"\nOne step on {size} MB in the workers' memory, two workers: CPU seconds")
    head = f"{'MB of a chunk':>14}{'chunks':>8}{'tasks':>7}{'NumPy alone':>13}{'workers':>9}{'here':>7}"
    print(f"{head}{'not NumPy':>11}{'ms per task':>13}")
    for chunk in CHUNKS:
        rows, number = int(chunk * 1e6) // (8 * COLUMNS), round(size / chunk)
        with connect(workers=2, memory_limit="1GB") as client:
            random = dask.array.random.default_rng(0)
            z = random.normal(size=(rows * number, COLUMNS), chunks=(rows, COLUMNS)).persist()
            model = LinearRegressionScratch(COLUMNS - 1, lr=0.1)
            step(model, z)
            cost = Cost(client)
            tasks = step(model, z)
            _, there, here = cost()
        one = np.random.default_rng(0).normal(size=(rows, COLUMNS))
        began = time.process_time()
        for _ in range(number):
            by_hand(one, model.w.array, model.b.array)
        alone = time.process_time() - began
        rest = there + here - alone
        print(
            f"{chunk:14g}{number:8}{tasks:7}{alone:13.3f}{there:9.3f}{here:7.3f}"
            f"{rest / (there + here):11.0%}{1000 * rest / tasks:13.2f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--largest", type=int, default=SIZES[-1], help="MB of the largest data")
    largest = parser.parse_args().largest
    growing([size for size in SIZES if size <= largest])
    shrinking(min(256, largest))


if __name__ == "__main__":
    main()
