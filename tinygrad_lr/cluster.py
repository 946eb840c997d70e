"""A Dask cluster: how to connect to one, tables in Parquet files that are read on it, and regression on them.

The scheduler, the transport and the formats are Dask's and Arrow's. Models train on Dask arrays as on others:
see `tinygrad_lr.data.BlockLoader`. It needs `pip install 'tinygrad_lr[cluster]'`.
"""

import os
import platform
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from . import __version__, run
from .closed_form import Standardisation, moments
from .data import DataModule
from .tables import DataError, Table, check_regression

PATIENCE = 10  # seconds to wait for a scheduler to answer
SAMPLE = 1000  # rows that are drawn


class ClusterError(RuntimeError):
    """A cluster that cannot be used, or not any longer: one line that says why, and the mend."""


def imported(name: str) -> Any:
    """A module of the extra [cluster]. Raises ModuleNotFoundError that names the extra."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"a cluster needs {error.name}: pip install 'tinygrad_lr[cluster]'", name=error.name
        ) from None


# ---- the cluster ------------------------------------------------------------------------------------------


@contextmanager
def connect(address: str | None = None, workers: int = 1, **options: Any) -> Iterator[Any]:
    """A `distributed.Client`; what Dask computes within the block is computed by its cluster.

    Parameters
    ----------
    address : of a scheduler that runs already, such as "tcp://10.0.0.1:8786"; None for a cluster of processes
        on this machine, which ends with the block.
    workers : the number of those processes. Each has one thread, as NumPy's own would compete.
    options : of `distributed.LocalCluster`, such as memory_limit="2GB", for each worker.

    Raises ClusterError if no scheduler answers, if it has no workers or workers of other versions, and if in
    the block the cluster is lost or workers die of a task again and again.

    >>> import dask.array
    >>> with connect(processes=False, dashboard_address=None):  # threads: quick, for an example
    ...     dask.array.arange(4, chunks=2).sum().compute().item()
    6
    """
    distributed = imported("distributed")
    with ExitStack() as stack:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other versions: check_workers says more; of ports in use
            try:
                scheduler: Any = address
                if address is None:
                    options = {"n_workers": workers, "threads_per_worker": 1, **options}
                    scheduler = distributed.LocalCluster(**options)
                    stack.callback(_close, scheduler)
                client = stack.enter_context(distributed.Client(scheduler, timeout=PATIENCE))
            except (OSError, ValueError) as error:
                raise ClusterError(
                    f"no Dask scheduler answers at {address}: {error}; start one with `dask scheduler`, and "
                    "give the address that it prints"
                ) from error
        check_workers(client)
        client.register_worker_callbacks(align)
        try:
            yield client
        except distributed.KilledWorker as error:
            raise ClusterError(
                f"several workers died of one task, most likely for lack of memory: {error}; write the data "
                "in smaller chunks (Parquet: row groups), or give each worker more memory"
            ) from error
        except (distributed.comm.CommClosedError, CancelledError) as error:
            raise ClusterError(
                f"the cluster was lost: {error}; what is finished is kept, go on with --resume"
            ) from error


def _close(cluster: Any) -> None:
    with suppress(TimeoutError):  # a worker that is slow to end is killed
        cluster.close()


def align() -> None:
    """Have arrays that come from other workers lie at multiples of their items' size, as NumPy's own do.

    Elsewhere NumPy computes the same in another order, so that the last digits would depend on which worker
    did what.
    """
    protocol = import_module("distributed.protocol")
    original = import_module("distributed.protocol.numpy").deserialize_numpy_ndarray

    def aligned(header: Any, frames: Any) -> Any:
        return np.require(original(header, frames), requirements="A")

    protocol.dask_deserialize.register(np.ndarray, aligned)


def facts() -> dict[str, str]:
    """The versions that client and workers need to share."""
    names = "numpy", "dask", "distributed"
    versions = {name: str(imported(name).__version__) for name in names}
    python = ".".join(platform.python_version_tuple()[:2])  # what is pickled depends on no more of it
    return {"python": python, "tinygrad_lr": __version__, **versions}


def check_workers(client: Any) -> None:
    """See that the cluster has workers, with the versions of this process.

    Raises ClusterError that names a worker, its versions and the client's.
    """
    found: Mapping[str, Any] = client.run(facts, on_error="return")
    if not found:
        raise ClusterError(
            f"the scheduler at {client.scheduler.address} has no workers; start some with `dask worker "
            f"{client.scheduler.address}`"
        )
    own = facts()
    for address, theirs in sorted(found.items()):
        if isinstance(theirs, Exception):
            raise ClusterError(
                f"the worker {address} cannot run tinygrad_lr ({theirs}); install there what is here: "
                + ", ".join(f"{name} {version}" for name, version in own.items())
            )
        if other := [f"{k} {theirs.get(k)} instead of {v}" for k, v in own.items() if theirs.get(k) != v]:
            raise ClusterError(
                f"the worker {address} has {', '.join(other)}; install the same there as here, and start it "
                "again"
            )


def memory(client: Any) -> int:
    """The memory of all workers together, in bytes."""
    return sum(client.run(_memory).values())


def _memory(dask_worker: Any) -> int:
    return int(dask_worker.memory_manager.memory_limit or 0)


# ---- Parquet ----------------------------------------------------------------------------------------------


def read_parquet(
    pattern: str | os.PathLike[str], columns: Sequence[str] | None = None
) -> tuple[Table, tuple[str, ...]]:
    """A table in Parquet files, and for each of its chunks where that lies.

    Its `values` are a Dask array of float64s with a chunk for each row group of a file, to be read when they
    are computed; so far only the ends of the files are, which tell what is in them.

    Parameters
    ----------
    pattern : a file, a folder or a pattern such as "data/*.parquet", on a disk that all workers see, or an
        address that fsspec knows. Files come in the order of their names.
    columns : the names of those to read, by default all that the first file has.

    Raises DataError if there is no such file, if one of them cannot be read or lacks a column, or if a column
    holds something else than numbers.

    >>> import pyarrow.parquet, tempfile
    >>> path = tempfile.mkdtemp() + "/pets.parquet"
    >>> pyarrow.parquet.write_table(pyarrow.table({"name": ["Rex", "Tom"], "age": [3, 5]}), path)
    >>> table, places = read_parquet(path, ["age"])
    >>> table.values.compute().tolist()
    [[3.0], [5.0]]
    """
    dask, pattern = imported("dask"), os.fspath(pattern)
    imported("pyarrow.parquet")
    files, root = imported("fsspec.core").url_to_fs(pattern)
    found = files.glob(f"{root}/*.parquet" if files.isdir(root) else root)
    if not found:
        raise DataError(f"no file is named {pattern}; check the path, and put the pattern in quotes")
    here = f"{Path.cwd()}{os.sep}"
    names = {files.unstrip_protocol(path): path.removeprefix(here) for path in sorted(found)}
    ends = dask.compute(*(dask.delayed(_end)(url, name) for url, name in names.items()))
    types, first = ends[0][0], names[next(iter(names))]
    wanted = tuple(columns or types)
    Table(Path(first), tuple(types), np.empty((0, len(types))), ()).select(wanted)  # that they are there
    for name, (kinds, _) in zip(names.values(), ends, strict=True):
        for column in wanted:
            if column not in kinds:
                raise DataError(
                    f"{name} has no column {column!r}, which {first} has; add it, or leave it out of the "
                    "features"
                )
            if kinds[column] is not None:
                raise DataError(
                    f"{name}, column {column!r}: its type is {kinds[column]}, not a number; encode it as "
                    "numbers, or leave it out of the features"
                )
    pieces = [(url, i, n) for url, (_, groups) in zip(names, ends, strict=True) for i, n in enumerate(groups)]
    key = f"parquet-{dask.base.tokenize(pieces, wanted)}"
    graph = {(key, i, 0): (_rows, url, group, wanted) for i, (url, group, _) in enumerate(pieces)}
    chunks = tuple(n for *_, n in pieces), (len(wanted),)
    values = imported("dask.array").Array(graph, key, chunks, dtype=np.float64)
    places = tuple(f"{names[url]}, row group {group}" for url, group, _ in pieces)
    return Table(Path(pattern), wanted, values, ()), places


def _end(url: str, name: str) -> tuple[dict[str, str | None], list[int]]:
    """The columns of a file, each with its type unless that is one of numbers, and the rows of its groups."""
    pyarrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    try:
        with import_module("fsspec").open(url, "rb") as opened:
            file = parquet.ParquetFile(opened)
            schema, end = file.schema_arrow, file.metadata
    except FileNotFoundError:
        raise DataError(f"{name} is not there for a worker; put it on a disk that all workers see") from None
    except (OSError, pyarrow.ArrowInvalid) as error:
        raise DataError(f"{name} cannot be read as a Parquet file: {error}") from None
    of = pyarrow.types
    numeric = (of.is_integer, of.is_floating, of.is_boolean, of.is_decimal)
    types = {f.name: None if any(is_(f.type) for is_ in numeric) else str(f.type) for f in schema}
    return types, [end.row_group(i).num_rows for i in range(end.num_row_groups)]


def _rows(url: str, group: int, columns: Sequence[str]) -> Any:
    """The values of a row group, shape (rows, columns); a missing one is NaN."""
    with import_module("fsspec").open(url, "rb") as opened:
        file = import_module("pyarrow.parquet").ParquetFile(opened)
        table = file.read_row_group(group, list(columns), use_threads=False)
    return np.column_stack([table[name].to_numpy().astype(np.float64) for name in columns])


# ---- regression -------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ClusterProblem(run.Problem):
    """A problem whose rows are on a cluster: `X` and `y` are a few that stand in for them.

    See `Moments.stand_in`: losses, R^2 and least squares are the same. `rows` are the numbers of those for
    training and validation, `digest` tells them from others, and `chunks` are the Dask arrays of features and
    target side by side, standardised.
    """

    rows: tuple[int, int] = (0, 0)
    digest: str = ""
    chunks: tuple[Any, Any] = ()  # type: ignore[assignment]

    @property
    def counts(self) -> tuple[int, int]:
        return self.rows

    def fingerprint(self) -> str:
        return f"{super().fingerprint()[:16]} {self.digest}"

    def sample(self) -> tuple[Any, Any]:
        z = self.chunks[0][:SAMPLE].compute()
        return (
            self.inputs.mean + self.inputs.scale * z[:, :-1],
            self.outputs.mean + self.outputs.scale * z[:, -1],
        )


class ClusterData(DataModule):
    """The minibatches of a problem on a cluster."""

    def __init__(self, problem: ClusterProblem, batch_size: int, seed: int) -> None:
        super().__init__()
        self.batch_size, self.seed, self.problem = batch_size, seed, problem

    def get_dataloader(self, train: bool) -> Any:
        z = self.problem.chunks[0 if train else 1]
        return self.get_tensorloader((z[:, :-1], z[:, -1:]), train)


def split(
    table: Table, places: Sequence[str], features: tuple[str, ...], target: str, share: float, seed: int
) -> ClusterProblem:
    """A table of `read_parquet` as a problem: a share of its chunks, chosen by the seed, is for validation.

    Every row is read, once. Raises DataError if a value is missing or infinite, if there are not two chunks
    at least, or if those for training do not determine every parameter.
    """
    names = (*features, target)
    values, number = table.select(names).values, len(places)
    if number < 2:
        raise DataError(
            f"{table.path} has only {number} row group, and validation takes some; write it in several"
        )
    order = run.generator(seed, 2).permutation(number)
    num_validation = max(1, round(share * number))
    parts = np.sort(order[num_validation:]), np.sort(order[:num_validation])
    chunks: Any = values
    arrays = [chunks.blocks[part] for part in parts]
    train, validation = (
        moments(array, places=[places[int(i)] for i in part], columns=names)
        for array, part in zip(arrays, parts, strict=True)
    )
    rows, more = train.stand_in(), validation.stand_in()
    check_regression(Table(table.path, names, rows, ()), features, target)
    both = Standardisation.fit(rows)
    inputs = Standardisation(both.mean[:-1], both.scale[:-1])
    outputs = Standardisation(both.mean[-1], both.scale[-1])
    few = np.concatenate([rows, more])
    return ClusterProblem(
        *(features, target, few[:, :-1], few[:, -1], len(rows), inputs, outputs),
        rows=(train.rows, validation.rows),
        digest=(train + validation).digest.hex(),
        chunks=(both.apply(arrays[0]), both.apply(arrays[1])),
    )


def kept(problem: ClusterProblem, client: Any) -> tuple[ClusterProblem, bool]:
    """The problem with its chunks in the workers' memory, if they fill no more than half of it.

    Else they are read again whenever they are needed.
    """
    if sum(chunks.nbytes for chunks in problem.chunks) > memory(client) / 2:
        return problem, False
    return replace(problem, chunks=imported("dask").persist(*problem.chunks)), True
