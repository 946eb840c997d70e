"""Steps on a Dask cluster: time and memory as data grow, and what chunks of other sizes cost.

    python -m benchmarks.cluster                 # both tables, in about ten minutes
    python -m benchmarks.cluster --largest 400   # no data above 400 MB

Data are written into a folder that is removed in the end. Needs `pip install 'tinygrad_lr[cluster]'`.
"""

import argparse
import resource
import tempfile
import time
from collections import Counter
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
LIMIT = 500  # MB that a worker may use
SIZES = (100, 250, 500, 1000, 2000)  # MB of data
CHUNKS = (64.0, 16.0, 4.0, 1.0, 0.25)  # MB


def write(folder: Path, size: int) -> None:
    """Files of one row group each, `size` MB in all as float64s."""
    rows = CHUNK * 1_000_000 // (8 * COLUMNS)
    for i in range(-(-size // CHUNK)):
        values = np.random.default_rng(i).normal(size=(rows, COLUMNS))
        columns = {f"x{j}": values[:, j] for j in range(COLUMNS)}
        pyarrow.parquet.write_table(pyarrow.table(columns), folder / f"{i:04}.parquet", compression="none")


def step(model: LinearRegressionScratch, z: Any) -> tuple[float, int]:
    """Loss and gradients of all rows: seconds to put the computation together, and its number of tasks."""
    began = time.perf_counter()
    [(X, y)] = BlockLoader([z[:, :-1], z[:, -1:]], len(z))
    with record():
        loss = model.loss(model(X), y)
    loss.backward()
    wanted = [loss, model.w.grad, model.b.grad]
    arrays = [t.array for t in wanted]
    seconds = time.perf_counter() - began
    tasks = len(dask.base.collections_to_expr(arrays).optimize().__dask_graph__())
    compute(wanted)
    return seconds, tasks


def peak(dask_worker: Any) -> float:
    """The most memory that this worker's process ever had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def growing(sizes: list[int]) -> None:
    print(f"\nOne step on all rows, read from Parquet; chunks of {CHUNK} MB, {LIMIT} MB for each worker")
    print(f"{'MB':>6}{'workers':>9}{'seconds':>9}{'MB/s':>7}{'peak MB of a worker: idle':>27}{'then':>7}")
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), size)
            for workers in (1, 2):
                with connect(workers=workers, memory_limit=f"{LIMIT}MB") as client:
                    table, _ = read_parquet(folder)
                    model = LinearRegressionScratch(COLUMNS - 1, lr=0.1)
                    step(model, table.values.blocks[:workers])  # imports, first connections
                    idle = max(client.run(peak).values())
                    began = time.perf_counter()
                    step(model, table.values)
                    seconds = time.perf_counter() - began
                    most = max(client.run(peak).values())
                real = table.values.nbytes / 1e6
                print(
                    f"{real:6.0f}{workers:9}{seconds:9.2f}{real / seconds:7.0f}{idle:27.0f}{most:7.0f}",
                    flush=True,
                )


def shrinking(size: int) -> None:
    print(f"\nOne step on {size} MB in the workers' memory, two workers: where their time goes")
    head = f"{'MB of a chunk':>14}{'chunks':>8}{'tasks':>7}{'build s':>9}{'seconds':>9}"
    print(f"{head}{'in tasks':>10}{'transfer':>10}{'the rest':>10}")
    for chunk in CHUNKS:
        rows = int(chunk * 1e6) // (8 * COLUMNS)
        number = round(size / chunk)
        with connect(workers=2, memory_limit="1GB") as client:
            from distributed import get_task_stream

            random = dask.array.random.default_rng(0)
            z = random.normal(size=(rows * number, COLUMNS), chunks=(rows, COLUMNS)).persist()
            model = LinearRegressionScratch(COLUMNS - 1, lr=0.1)
            step(model, z)
            with get_task_stream(client=client) as stream:
                began = time.perf_counter()
                build, tasks = step(model, z)
                seconds = time.perf_counter() - began
        spent: Counter[str] = Counter()
        for task in stream.data:
            for part in task["startstops"]:
                spent[part["action"]] += part["stop"] - part["start"]
        share = {name: spent[name] / (2 * seconds) for name in ("compute", "transfer")}
        print(
            f"{chunk:14g}{number:8}{tasks:7}{build:9.3f}{seconds:9.3f}{share['compute']:10.0%}"
            f"{share['transfer']:10.0%}{1 - sum(share.values()):10.0%}",
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
