"""The command line, `tinygrad-lr`: the chapter's run, regression on a CSV file, and predictions.

Whatever is wrong with the input becomes one line on stderr and exit status 2; Ctrl-C becomes 130.
"""

import argparse
import csv
import io
import logging
import os
import shlex
import sys
import unicodedata
from argparse import SUPPRESS, ArgumentTypeError, Namespace
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import numpy as np

from . import __version__, cluster, run
from .closed_form import Standardisation
from .cluster import ClusterData, ClusterError
from .compiler import compile
from .data import DataModule, SyntheticRegressionData
from .linear import LinearRegressionScratch
from .run import Checkpoint, Parameters, Problem, ProblemData, Results, RunError, RunFolder, Settings
from .scope import record
from .tables import DataError, Table, check_regression, read_header, read_table

T = TypeVar("T")

CHAPTER = Settings(lr=0.03, epochs=10, batch_size=32, seed=0)
FIT = Settings(lr=0.03, epochs=100, batch_size=32, seed=0)
CLUSTER = Settings(lr=0.2, epochs=30, batch_size=1_000_000, seed=0)
VALIDATION_SHARE = 0.2

DESCRIPTION = """\
Linear regression from scratch, trained by minibatch SGD with gradients from
this project's own automatic differentiation, and compared with the closed
form (least squares).

Without a command it is the book chapter's run, on 1000 examples that
w = [2, -3.4], b = 4.2 and noise of 0.01 have made. Parameters, losses and
pictures go into a new folder, runs/chapter unless --out names another."""
FIT_DESCRIPTION = """\
Learn to predict one column of a CSV file from the others.

The file has a header row. A fifth of its rows, chosen by --seed, is kept for
validation. For training, columns are standardised; what is reported is in the
units of the data. Parameters, losses and pictures go into a new folder,
runs/NAME for NAME.csv unless --out names another."""
PREDICT_DESCRIPTION = """\
Predict with the parameters of an earlier run.

Writes a CSV file with a row for each row of DATA.csv: the columns that the
run has learned from, found by their names, and the prediction. (The chapter's
run has learned from columns x0 and x1.)"""
SOURCE_DESCRIPTION = """\
Print one training step of the chapter as the NumPy code that it comes to:
the loss, its gradients, and the update of the parameters by SGD. The code is
a file to run or to paste: it needs NumPy alone."""
EXAMPLES = """\
examples:
  tinygrad-lr                                         the chapter's run
  tinygrad-lr fit DATA.csv --target price             learn to predict the price
  tinygrad-lr predict runs/DATA NEW.csv --out OUT.csv predict it for other rows

Ctrl-C stops a run and keeps its finished epochs; --resume goes on from there.
The exit status is 0, or 2 if the input is not usable or training diverges, or
130 after Ctrl-C."""


# ---- arguments --------------------------------------------------------------------------------------------


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, like all others of this command."""

    def error(self, message: str) -> NoReturn:
        if message.startswith("unrecognized arguments") and ".parquet" in message:  # the shell's expansion
            message += "; write a pattern in quotes, as in 'data/*.parquet'"
        raise RunError(message if ";" in message else f"{message}; see {self.prog} --help")


def number(kind: Callable[[str], T], is_valid: Callable[[T], bool], wanted: str) -> Callable[[str], T]:
    """A type for argparse: the number, or the error that says what is `wanted`."""

    def parse(text: str) -> T:
        with suppress(ValueError):
            value = kind(text)
            if is_valid(value):
                return value
        raise ArgumentTypeError(f"{text!r} is not {wanted}")

    return parse


positive = number(float, lambda x: 0 < x < np.inf, "a positive number; write one such as 0.03")
at_least_1 = number(int, lambda n: n >= 1, "a whole number, 1 or more; write one such as 10")
at_least_0 = number(int, lambda n: n >= 0, "a whole number, 0 or more; write one such as 1")


def build_parser() -> Parser:
    """The parser of all commands. Options that are not given leave nothing in the namespace."""
    layout: dict[str, Any] = {
        "formatter_class": argparse.RawDescriptionHelpFormatter,
        "argument_default": SUPPRESS,
        "allow_abbrev": False,
    }
    parser = Parser(
        "tinygrad-lr",
        usage="tinygrad-lr [options]\n"
        "       tinygrad-lr fit DATA.csv --target COLUMN [options]\n"
        "       tinygrad-lr predict RUN DATA.csv [--out FILE.csv]\n"
        "       tinygrad-lr source [--executed]",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        **layout,
    )
    parser.add_argument("--version", action="version", version=f"tinygrad-lr {__version__}")
    add_training_options(parser, CHAPTER)
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", prog="tinygrad-lr")
    parser.set_defaults(command=None)

    # argparse's own usage has DATA last, where it would be taken for one of the features
    fit = commands.add_parser(
        "fit",
        usage="tinygrad-lr fit DATA --target COLUMN [options]",
        help="learn to predict a column of a CSV file",
        description=FIT_DESCRIPTION,
        **layout,
    )
    fit.add_argument(
        "data", metavar="DATA", help="the table: a CSV file with a header row, or Parquet files on a cluster"
    )
    fit.add_argument("--target", required=True, metavar="COLUMN", help="the column to predict")
    fit.add_argument(
        "--features",
        nargs="+",
        metavar="COLUMN",
        help="the columns to predict it from (default: all others); the rest may hold text",
    )
    where = fit.add_mutually_exclusive_group()
    where.add_argument(
        "--workers",
        type=at_least_1,
        metavar="N",
        help="read Parquet files, such as 'data/*.parquet', by as many processes of a Dask cluster here",
    )
    where.add_argument("--cluster", metavar="ADDRESS", help="the same by the Dask cluster of this scheduler")
    add_training_options(fit, FIT)

    predict = commands.add_parser(
        "predict", help="predict with the parameters of a run", description=PREDICT_DESCRIPTION, **layout
    )
    predict.add_argument("run", type=Path, metavar="RUN", help="the folder of a run, such as runs/chapter")
    predict.add_argument("data", type=Path, metavar="DATA.csv", help="the rows to predict for")
    predict.add_argument(
        "--out",
        type=Path,
        metavar="FILE.csv",
        help="where to write to; replaced if it exists (default: stdout)",
    )
    predict.add_argument("--quiet", action="store_true", help="print nothing but errors (and predictions)")

    source = commands.add_parser(
        "source", help="print the chapter's step as NumPy code", description=SOURCE_DESCRIPTION, **layout
    )
    source.add_argument(
        "--executed",
        action="store_true",
        help="in the form that a compiled function runs: each result in a buffer that is made once",
    )
    return parser


def add_training_options(parser: argparse.ArgumentParser, default: Settings) -> None:
    add = parser.add_argument
    add("--lr", type=positive, metavar="RATE", help=f"learning rate of SGD (default: {default.lr:g})")
    add("--epochs", type=at_least_1, metavar="N", help=f"passes over the data (default: {default.epochs})")
    add(
        "--batch-size",
        type=at_least_1,
        metavar="N",
        help=f"rows in a minibatch (default: {default.batch_size}); as many as there are make full batches",
    )
    add(
        "--seed",
        type=at_least_0,
        metavar="N",
        help=f"of all random numbers: the same seed gives the same result (default: {default.seed})",
    )
    add("--out", type=Path, metavar="FOLDER", help="a new or empty folder for the run, or the one to resume")
    add("--resume", action="store_true", help="go on with a run that was stopped, or on to a higher --epochs")
    add("--open", action="store_true", help="show the run in the browser when it is done")
    add("--quiet", action="store_true", help="print nothing but errors")


# ---- commands ---------------------------------------------------------------------------------------------


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line with these arguments, those of the process by default; returns the exit status.

    Raises SystemExit after --help and --version, as argparse does.

    >>> main(["--epochs", "many"])  # and one line on stderr
    2
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for a terminal that lacks a column's letters
    try:
        arguments = build_parser().parse_args(argv)
        commands = {None: chapter, "fit": fit, "predict": predict, "source": source}
        commands[arguments.command](arguments)
    except (RunError, DataError, ClusterError) as error:
        print(f"tinygrad-lr: error: {printable(str(error))}", file=sys.stderr)
        return 2
    except OSError as error:  # rare ones, such as a folder on the way that may not be searched
        print(f"tinygrad-lr: error: {printable(f'{error.filename}: {error.strerror}')}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        after_echo = "\n" if sys.stderr.isatty() else ""  # the terminal has written ^C
        print(f"{after_echo}tinygrad-lr: {printable(str(stop)) or 'interrupted'}", file=sys.stderr)
        return 130
    return 0


def chapter(arguments: Namespace) -> None:
    """The chapter's run."""

    def read(settings: Settings, start: Checkpoint | None) -> tuple[Problem, DataModule]:
        w, b = np.array([2, -3.4]), 4.2
        data = SyntheticRegressionData(w, b, batch_size=settings.batch_size, seed=settings.seed)
        as_is = Standardisation(np.zeros(2), np.ones(2)), Standardisation(np.zeros(()), np.ones(()))
        X, y = np.asarray(data.X), np.asarray(data.y)[:, 0]
        return Problem(("x0", "x1"), "y", X, y, data.num_train, *as_is, true=(w, b)), data

    learn(arguments, "chapter", CHAPTER, read, again=[])


def fit(arguments: Namespace) -> None:
    """A regression on a CSV file, or on Parquet files."""
    if {"workers", "cluster"} & vars(arguments).keys():
        fit_on_cluster(arguments)
        return
    if arguments.data.endswith(".parquet"):
        raise RunError(
            f"{arguments.data}: Parquet files are read by a cluster; add --workers 2, or --cluster ADDRESS"
        )
    target = arguments.target

    def read(settings: Settings, start: Checkpoint | None) -> tuple[Problem, DataModule]:
        chosen = getattr(arguments, "features", start.features if start else None)
        features = tuple(chosen or (name for name in read_header(arguments.data) if name != target))
        table = read_table(arguments.data, [*features, target])
        problem = split(table, features, target, settings.seed)
        return problem, ProblemData(problem, settings.batch_size, settings.seed)

    again = ["fit", arguments.data, "--target", target]
    learn(arguments, Path(arguments.data).stem, FIT, read, again)


def fit_on_cluster(arguments: Namespace) -> None:
    """A regression on Parquet files that a Dask cluster reads."""
    target, given, say = arguments.target, vars(arguments), printer(arguments)
    if arguments.data.endswith(".csv"):
        raise RunError(
            f"{arguments.data}: a cluster reads Parquet files; write the table as such, or leave "
            "--workers and --cluster out"
        )
    place = ["--cluster", given["cluster"]] if "cluster" in given else ["--workers", str(given["workers"])]
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # of its trouble one line tells
    with cluster.connect(given.get("cluster"), given.get("workers", 0)) as client:
        say(f"Dask dashboard: {client.dashboard_link}")

        def read(settings: Settings, start: Checkpoint | None) -> tuple[Problem, DataModule]:
            chosen = getattr(arguments, "features", start.features if start else None)
            table, places = cluster.read_parquet(arguments.data, chosen and [*chosen, target])
            table.column(target)  # that it is there
            features = tuple(chosen or (name for name in table.columns if name != target))
            problem = cluster.split(table, places, features, target, VALIDATION_SHARE, settings.seed)
            problem, in_memory = cluster.kept(problem, client)
            size = 8 * sum(problem.counts) * (len(features) + 1) / 1e6
            where = "kept in the workers' memory" if in_memory else "read again in every epoch"
            say(f"{size:,.0f} MB in {len(places)} chunks, {where}.")
            return problem, ClusterData(problem, settings.batch_size, settings.seed)

        path = Path(arguments.data)
        name = path.parent.resolve().name if "*" in path.name else path.stem
        learn(arguments, name, CLUSTER, read, ["fit", arguments.data, "--target", target, *place])


def split(table: Table, features: tuple[str, ...], target: str, seed: int) -> Problem:
    """The table as a problem: its rows shuffled, and a fifth of them for validation.

    Raises DataError unless the others determine every parameter.
    """
    check_regression(table, features, target)
    order = run.generator(seed, 2).permutation(len(table.lines))
    num_train = len(order) - max(1, round(VALIDATION_SHARE * len(order)))
    rows = order[:num_train]
    train = Table(table.path, table.columns, table.values[rows], tuple(table.lines[i] for i in rows))
    try:
        check_regression(train, features, target)
    except DataError as error:
        raise DataError(
            f"{error} (only the {num_train} of {len(order)} rows that are for training count; "
            "--seed chooses others)"
        ) from None
    X, y = table.select(features).values[order], table.column(target)[order]
    scales = Standardisation.fit(X[:num_train]), Standardisation.fit(y[:num_train])
    return Problem(features, target, X, y, num_train, *scales)


def learn(
    arguments: Namespace,
    name: str,
    default: Settings,
    read: Callable[[Settings, Checkpoint | None], tuple[Problem, DataModule]],
    again: list[str],
) -> None:
    """Train, print the results and fill the run's folder.

    `name` is that of a folder that is not named by the user, `again` are the arguments for the same problem.
    """
    given, command = vars(arguments), arguments.command or "chapter"
    say = printer(arguments)
    out = given.get("out")
    if "resume" in given:
        folder = RunFolder.existing(out, name)
        start = continued(folder.path, Checkpoint.load(folder.path / run.CHECKPOINT), given, command)
        problem, data = read(start.settings, start)
        if problem.fingerprint() != start.fingerprint:
            raise RunError(
                f"the data are not those that the run in {folder.path} was started with; "
                "resume it with the same, or start anew without --resume"
            )
    else:
        settings = replace(default, **{key: given[key] for key in asdict(default) if key in given})
        problem, data = read(settings, None)
        start = Checkpoint.start(command, problem, settings)
        folder = RunFolder.new(out, name)

    def save(checkpoint: Checkpoint) -> None:
        checkpoint.save(folder.path / run.CHECKPOINT)
        checkpoint.parameters(problem).save(folder.path / run.PARAMETERS)

    try:
        try:
            folder.make()
            say(introduction(problem, start))
            end = run.train(problem, data, start, save, progress="quiet" not in given)
        except Exception as error:
            unusable = isinstance(error, RunError | DataError) or not (folder.path / run.CHECKPOINT).exists()
            if unusable and not start.epoch:
                folder.discard()
            raise
        results = Results.of(problem, end)
        say(report(problem, results))
        not_drawn = run.draw(folder.path, problem, data, end)
        with run.replacing(folder.path / run.SUMMARY) as path:
            path.write_text(run.summary(problem, end, results, not_drawn), encoding="utf-8")
        title = f"{printable(problem.target)}, learned with tinygrad_lr"
        texts = introduction(problem, start), report(problem, results).strip("\n")
        run.write_index(folder.path, title, *texts, not_drawn)
        say(contents(folder.path, not_drawn))
        if "open" in given:
            open_in_browser(folder.path / run.INDEX)
    except KeyboardInterrupt:
        if not (folder.path / run.CHECKPOINT).exists():
            folder.discard()
            raise KeyboardInterrupt("interrupted before the first epoch was done; nothing is kept") from None
        done = Checkpoint.load(folder.path / run.CHECKPOINT)
        raise KeyboardInterrupt(
            f"interrupted; {done.epoch} of {done.settings.epochs} epochs are kept in {folder.path}; "
            "to go on: " + command_line(*again, "--out", str(folder.path), "--resume")
        ) from None


def open_in_browser(page: Path) -> None:
    """Show a page; where no browser can be started, say so."""
    import webbrowser

    if not webbrowser.open(page.resolve().as_uri()):
        print(f"tinygrad-lr: no browser could be started here; open {printable(str(page))}", file=sys.stderr)


def continued(folder: Path, start: Checkpoint, given: Mapping[str, Any], command: str) -> Checkpoint:
    """The checkpoint with the settings to go on with: only `epochs` may be another than at the start.

    Raises RunError for other settings.
    """
    if start.command != command:
        own = command_line() if start.command == "chapter" else command_line(start.command)
        raise RunError(
            f"{folder} holds a run of `{own}`; resume it with that, or name another folder with --out"
        )
    facts = asdict(start.settings) | {"target": start.target, "features": list(start.features)}
    for key, value in facts.items():
        if key != "epochs" and given.get(key, value) != value:
            option = "--" + key.replace("_", "-")
            raise RunError(
                f"{option} {shown(given[key])}, but the run in {folder} was started with {shown(value)}; "
                f"leave {option} as it was, or start anew without --resume"
            )
    epochs = given.get("epochs", start.settings.epochs)
    if epochs < start.epoch:
        raise RunError(
            f"--epochs {epochs}, but the run in {folder} has done {start.epoch} already; give a higher number"
        )
    return replace(start, settings=replace(start.settings, epochs=epochs))


def shown(value: Any) -> str:
    return (
        shlex.join(value)
        if isinstance(value, list)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def source(arguments: Namespace) -> None:
    """The chapter's step as NumPy code."""
    given = vars(arguments)
    for key in sorted(given.keys() - {"command", "executed"}):
        raise RunError(f"--{key.replace('_', '-')} is an option of training; leave it out")
    step = chapter_step()
    print(step.executed if given.get("executed") else step.source, end="")


def chapter_step() -> Any:
    """The compiled training step of the chapter, traced for a minibatch of 32 examples.

    >>> print(chapter_step().source)  # doctest: +ELLIPSIS
    import numpy as np
    <BLANKLINE>
    <BLANKLINE>
    def training_step(X, y, w, b):
        ...
        w -= 0.03 * grad_w
        b -= 0.03 * grad_b
        return loss, grad_w, grad_b
    <BLANKLINE>
    """
    model = LinearRegressionScratch(2, lr=CHAPTER.lr)

    def training_step(X: Any, y: Any) -> Any:
        with record():
            loss = model.loss(model(X), y)
        loss.backward()
        for p in (model.w, model.b):
            p -= CHAPTER.lr * p.grad
        return loss

    step = compile(training_step)
    step(np.zeros((CHAPTER.batch_size, 2)), np.zeros((CHAPTER.batch_size, 1)))
    return step


def predict(arguments: Namespace) -> None:
    """Predictions from saved parameters."""
    given = vars(arguments)
    for key in sorted(given.keys() & {*asdict(FIT), "open", "resume"}):
        raise RunError(f"--{key.replace('_', '-')} is an option of training; leave it out")
    parameters = Parameters.load(arguments.run / run.PARAMETERS)
    table = read_table(arguments.data, parameters.features, others=False)
    with np.errstate(over="ignore", invalid="ignore"):
        predictions = parameters.predict(table.values)
    if not np.isfinite(predictions).all():
        line = table.lines[int(np.argmin(np.isfinite(predictions)))]
        raise DataError(f"{table.path}, line {line}: the prediction overflows; correct the row or remove it")

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*table.columns, f"predicted_{parameters.target}"])
    for row in np.column_stack([table.values, predictions]).tolist():
        writer.writerow([repr(value).removesuffix(".0") for value in row])
    if "out" not in given:
        write(text.getvalue().removesuffix("\n"))
        return
    if arguments.out.exists() and arguments.out.samefile(arguments.data):
        raise RunError(f"--out {arguments.out} is the file with the data itself; name another")
    with run.replacing(arguments.out) as path:
        path.write_text(text.getvalue(), encoding="utf-8")
    printer(arguments)(
        f"Wrote {len(predictions)} predictions of {printable(parameters.target)} to {arguments.out}"
    )


# ---- what is printed --------------------------------------------------------------------------------------


def write(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:  # who read this has seen enough, as `head` does; the work goes on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def printer(arguments: Namespace) -> Callable[[str], None]:
    return (lambda text: None) if "quiet" in arguments else write


def printable(text: str) -> str:
    """The text on one line and without control characters."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def command_line(*arguments: str) -> str:
    """How the user starts this command with these arguments."""
    as_module = Path(sys.argv[0]).parts[-2:] == ("tinygrad_lr", "__main__.py")
    return shlex.join([*(["python", "-m", "tinygrad_lr"] if as_module else ["tinygrad-lr"]), *arguments])


def introduction(problem: Problem, start: Checkpoint) -> str:
    names = ", ".join(problem.features) if len(problem.features) <= 8 else f"{len(problem.features)} columns"
    rows = "{} rows for training, {} for validation".format(*problem.counts)
    going_on = f"\nGoing on after epoch {start.epoch} of {start.settings.epochs}." if start.epoch else ""
    return f"Learning {printable(problem.target)} from {printable(names)}: {rows}.{going_on}"


def report(problem: Problem, results: Results) -> str:
    """The parameters, R² and the distance from the optimum."""
    learned, closed_form = results.learned.values, results.closed_form.values
    names = [printable(name) for name in problem.parameter_names]
    columns = [names, map(value, learned), map(value, closed_form)]
    if problem.true is None:
        header = ["coefficient", "learned", "least squares", "difference"]
        columns += [map(difference, learned, closed_form)]
    else:
        true = [*problem.true[0].tolist(), problem.true[1]]
        header = ["parameter", "true", "learned", "error", "least squares", "error"]
        columns.insert(1, map(value, true))
        columns.insert(3, map(difference, learned, true))
        columns.append(map(difference, closed_form, true))
    parameters = aligned(header, list(zip(*columns, strict=True)))
    r_squared = aligned(
        ["R²", "learned", "least squares"],
        [
            [part, *("undefined" if np.isnan(r) else f"{r:.6f}" for r in pair)]
            for part, *pair in zip(
                run.PARTS, results.learned.r_squared, results.closed_form.r_squared, strict=True
            )
        ],
    )
    return f"\n{parameters}\n\n{r_squared}\n\n{distance(problem, results)}\n"


def distance(problem: Problem, results: Results) -> str:
    """How far SGD is from the optimum, in two sentences."""
    target = printable(problem.target)
    if results.excess is None:
        loss = "Least squares fits the training rows without any error."
    else:
        percent = f"{100 * results.excess:.3g} %"
        loss = (
            f"SGD's loss on the training rows is {percent} above the least possible, that of least squares."
        )
    return (
        f"{loss}\nThe two predict {target} {results.difference:.3g} apart (root mean square), "
        f"its standard deviation being {results.spread:.3g}."
    )


def contents(folder: Path, not_drawn: Mapping[str, str]) -> str:
    """The files of a run, and the pictures that are not among them."""
    files = [(name, meaning) for name, meaning in run.FILES.items() if (folder / name).exists()]
    lines = [f"Written to {folder}:", *(f"  {name:<16} {meaning}" for name, meaning in files)]
    reasons = {reason: [n for n, r in not_drawn.items() if r == reason] for reason in not_drawn.values()}
    if reasons:
        parts = [f"{', '.join(names)} ({' '.join(reason.split())})" for reason, names in reasons.items()]
        lines.append(f"Not drawn: {'; '.join(parts)}")
    return "\n".join(lines)


def value(x: float) -> str:
    """A parameter, to six digits."""
    return f"{x:#.6g}".removesuffix(".")


def difference(x: float, from_y: float) -> str:
    return f"{x - from_y:+.3g}"


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in plain text: names to the left, numbers to the right.

    >>> print(aligned(["parameter", "value"], [["w", "2.5"], ["b", "-10.0"]]))
    parameter  value
    w            2.5
    b          -10.0
    """
    table = [header, *rows]
    widths = [max(map(width, column)) for column in zip(*table, strict=True)]
    lines = []
    for name, *cells in table:
        padded = [name + " " * (widths[0] - width(name))]
        padded += [" " * (w - width(cell)) + cell for w, cell in zip(widths[1:], cells, strict=True)]
        lines.append("  ".join(padded))
    return "\n".join(lines)


def width(text: str) -> int:
    """Columns of a terminal: East Asian characters take two, combining ones none."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )
