"""The command line: what it learns, what it writes, what it says, and how it goes on after a stop."""

import contextlib
import csv
import html
import io
import json
import math
import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
import webbrowser
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search import examples
from tinygrad_lr import __version__, board, checkpoints, is_recording, run
from tinygrad_lr.cli import main
from tinygrad_lr.optim import SGD
from tinygrad_lr_viz import layout, plots

EXAMPLES = Path(__file__).parent.parent / "examples" / "data"
PENGUINS = ["fit", str(EXAMPLES / "penguins.csv"), "--target", "body_mass_g"]
ENGEL = ["fit", str(EXAMPLES / "engel.csv"), "--target", "foodexp"]
FILES = {"parameters.npz", "checkpoint.npz", "summary.json", "index.html"}
PICTURES = {"graph.svg", "curves.svg", "surface.svg"}
EXPLANATION = {"explanation.html"}


class Outcome(NamedTuple):
    status: int
    stdout: str
    stderr: str


def tinygrad_lr(*arguments: str | Path) -> Outcome:
    """The command in this process."""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        status = main([str(argument) for argument in arguments])
    return Outcome(status, out.getvalue(), err.getvalue())


@pytest.fixture(autouse=True)
def without_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run on a busy machine would write some lines of it."""
    monkeypatch.setattr(board, "LINES", math.inf)


def start(*arguments: str | Path, cwd: Path) -> "subprocess.Popen[str]":
    """Python in a process of its own."""
    path = os.pathsep.join(str(EXAMPLES.parent.parent / folder) for folder in (".", "viz"))
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: "subprocess.Popen[str]") -> Outcome:
    stdout, stderr = process.communicate(timeout=120)
    return Outcome(process.returncode, stdout, stderr)


def ok(*arguments: str | Path) -> str:
    """What the command prints if all goes well."""
    outcome = tinygrad_lr(*arguments)
    assert (outcome.status, outcome.stderr) == (0, "")
    return outcome.stdout


def arrays(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file if name != "format"}


def assert_same_run(one: Path, other: Path) -> None:
    """That two folders hold the same numbers, bit for bit."""
    for name in ("parameters.npz", "checkpoint.npz"):
        a, b = arrays(one / name), arrays(other / name)
        assert a.keys() == b.keys()
        for key, value in a.items():
            np.testing.assert_array_equal(value, b[key], err_msg=f"{name}: {key}", strict=True)
    assert (one / "summary.json").read_text("utf-8") == (other / "summary.json").read_text("utf-8")


def write_csv(path: Path, columns: dict[str, Any]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def some_data(folder: Path, rows: int = 20, slope: float = 3.0) -> Path:
    """A table with the columns a, b and y."""
    rng = np.random.default_rng(1)
    a, b, noise = rng.standard_normal((3, rows))
    return write_csv(
        folder / "some.csv", {"a": a, "b": 100 * b + 7, "y": slope * a - 2 * b + 5 + 0.1 * noise}
    )


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


draw = run.draw


@pytest.fixture(autouse=True)
def _without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take seconds. The tests of pictures put `draw` back."""
    monkeypatch.setattr(run, "draw", lambda *_: {})


# ---- the chapter's run -------------------------------------------------------------------------------------


def test_chapter_run_learns_the_true_parameters() -> None:
    printed = ok()
    parameters = arrays(Path("runs/chapter/parameters.npz"))
    np.testing.assert_allclose(parameters["w"], [2, -3.4], atol=0.01)
    np.testing.assert_allclose(parameters["b"], 4.2, atol=0.01)
    assert {path.name for path in Path("runs/chapter").iterdir()} == FILES

    lines = printed.splitlines()
    header = next(i for i, line in enumerate(lines) if line.startswith("parameter"))
    assert lines[header].split() == ["parameter", "true", "learned", "error", "least", "squares", "error"]
    rows = {line.split()[0]: list(map(float, line.split()[1:])) for line in lines[header + 1 : header + 4]}
    assert rows.keys() == {"w[0]", "w[1]", "b"}
    for true, learned, error, closed_form, closed_form_error in rows.values():
        assert learned - true == pytest.approx(error, abs=1e-5)
        assert closed_form - true == pytest.approx(closed_form_error, abs=1e-5)
    assert len({len(line) for line in lines[header : header + 4]}) == 1  # aligned
    assert re.search(r"^training +0\.9999\d\d +0\.9999\d\d$", printed, re.MULTILINE)
    assert re.search(r"loss on the training rows is [\d.]+ % above the least possible", printed)
    assert "Written to runs/chapter:\n  parameters.npz" in printed


def test_chapter_run_is_the_chapters() -> None:
    ok()
    summary = json.loads(Path("runs/chapter/summary.json").read_text("utf-8"))
    assert summary["settings"] == {"lr": 0.03, "epochs": 10, "batch_size": 32, "seed": 0}
    assert summary["data"]["training_rows"] == summary["data"]["validation_rows"] == 1000
    assert [parameter["true"] for parameter in summary["parameters"]] == [2, -3.4, 4.2]
    assert [parameter["name"] for parameter in summary["parameters"]] == ["w[0]", "w[1]", "b"]
    assert [len(losses) for losses in summary["loss"]["mean_by_epoch"].values()] == [10, 10]
    assert summary["loss"]["all_training_rows"] == pytest.approx(0.01**2 / 2, rel=0.1)
    assert summary["versions"]["tinygrad_lr"] == __version__


def test_same_seed_same_bits_and_another_seed_others() -> None:
    for out, seed in (("one", "3"), ("two", "3"), ("other", "4")):
        ok("--seed", seed, "--epochs", "2", "--out", out)
    assert_same_run(Path("one"), Path("two"))
    one, other = arrays(Path("one/parameters.npz")), arrays(Path("other/parameters.npz"))
    assert not np.array_equal(one["w"], other["w"])


def test_options_may_stand_before_the_command() -> None:
    ok("--lr", "0.2", "--seed", "5", *ENGEL, "--epochs", "2", "--out", "run")
    summary = json.loads(Path("run/summary.json").read_text("utf-8"))
    assert summary["settings"] == {"lr": 0.2, "epochs": 2, "batch_size": 32, "seed": 5}


# ---- fit ---------------------------------------------------------------------------------------------------


def test_fit_reports_coefficients_by_name_in_the_units_of_the_data() -> None:
    printed = ok(*PENGUINS)
    summary = json.loads(Path("runs/penguins/summary.json").read_text("utf-8"))
    names = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "intercept"]
    assert [parameter["name"] for parameter in summary["parameters"]] == names
    for parameter in summary["parameters"]:
        row = next(line for line in printed.splitlines() if line.startswith(parameter["name"] + " "))
        learned, closed_form, difference = map(float, row.split()[1:])
        assert learned == pytest.approx(parameter["learned"], rel=1e-5)
        assert closed_form == pytest.approx(parameter["least_squares"], rel=1e-5)
        assert difference == pytest.approx(parameter["learned"] - parameter["least_squares"], rel=1e-2)
    assert summary["data"]["training_rows"] == 274
    assert summary["data"]["validation_rows"] == 68
    r_squared = summary["r_squared"]
    assert 0 < r_squared["learned"]["training"] <= r_squared["least_squares"]["training"] < 1
    # the defaults do well on the examples
    assert summary["distance_from_optimum"]["relative_excess_of_loss"] < 1e-3


def test_distance_from_the_optimum_is_that_of_the_losses_and_predictions() -> None:
    ok(*ENGEL, "--epochs", "1", "--out", "run")
    summary = json.loads(Path("run/summary.json").read_text("utf-8"))
    unexplained = {name: 1 - r["training"] for name, r in summary["r_squared"].items()}
    distance = summary["distance_from_optimum"]
    assert distance["relative_excess_of_loss"] == pytest.approx(
        unexplained["learned"] / unexplained["least_squares"] - 1, rel=1e-9
    )
    parameters = run.Parameters.load(Path("run/parameters.npz"))
    assert parameters.outputs.scale**2 * summary["loss"]["all_training_rows"] == pytest.approx(
        unexplained["learned"] * parameters.outputs.scale**2 / 2, rel=1e-9
    )


@pytest.mark.parametrize("example", [PENGUINS, ENGEL], ids=["penguins", "engel"])
def test_full_batches_reach_least_squares(example: list[str]) -> None:
    ok(*example, "--lr", "0.5", "--epochs", "600", "--batch-size", "1000", "--out", "run")
    summary = json.loads(Path("run/summary.json").read_text("utf-8"))
    for parameter in summary["parameters"]:
        assert parameter["learned"] == pytest.approx(parameter["least_squares"], rel=1e-8)


def test_closed_form_is_numpys() -> None:
    ok("fit", some_data(Path()), "--target", "y", "--epochs", "1", "--out", "run")
    summary = json.loads(Path("run/summary.json").read_text("utf-8"))
    table = np.loadtxt("some.csv", delimiter=",", skiprows=1)
    order = run.generator(0, 2).permutation(20)[:16]
    design = np.column_stack([table[order, :2], np.ones(16)])
    expected = np.linalg.lstsq(design, table[order, 2])[0]
    np.testing.assert_allclose([p["least_squares"] for p in summary["parameters"]], expected, rtol=1e-9)


@examples(15)
@given(powers=st.tuples(*[st.integers(-30, 30)] * 3))
def test_units_do_not_matter(powers: tuple[int, int, int]) -> None:
    # Powers of two scale without rounding, so that training sees the same standardised numbers.
    with TemporaryDirectory() as name:
        folder = Path(name)
        path = some_data(folder)
        table = np.loadtxt(path, delimiter=",", skiprows=1)
        fitted = []
        for factors in (np.ones(3), 2.0 ** np.array(powers)):
            a, b, y = (table * factors).T
            write_csv(path, {"a": a, "b": b, "y": y})
            out = folder / f"run{len(fitted)}"
            ok("fit", path, "--target", "y", "--epochs", "3", "--out", out)
            w = arrays(out / "parameters.npz")["w"]
            fitted.append(w * factors[:2] / factors[2])
        np.testing.assert_array_equal(*fitted)


def test_features_are_chosen_by_name_and_the_rest_may_hold_text() -> None:
    write_csv(
        Path("t.csv"), {"name": list("abcdefgh"), "y": range(8), "x": [3, 1, 4, 1, 5, 9, 2, 6], "z": range(8)}
    )
    assert "column 'name': no row has a number" in tinygrad_lr("fit", "t.csv", "--target", "y").stderr
    ok("fit", "t.csv", "--target", "y", "--features", "x", "--epochs", "2")
    assert arrays(Path("runs/t/parameters.npz"))["columns"].tolist() == ["x"]


def test_a_perfect_fit_is_said_to_be_one() -> None:
    write_csv(Path("line.csv"), {"x": range(10), "y": [2 * x + 1 for x in range(10)]})
    assert "Least squares fits the training rows without any error.\n" in ok(
        "fit", "line.csv", "--target", "y"
    )


def test_r_squared_of_one_row_is_undefined() -> None:
    printed = ok("fit", some_data(Path(), rows=6), "--target", "y", "--epochs", "2")
    assert re.search(r"^validation +undefined +undefined$", printed, re.MULTILINE)
    summary = json.loads(Path("runs/some/summary.json").read_text("utf-8"))
    assert summary["r_squared"]["learned"]["validation"] is None


def test_names_are_printed_on_one_line_in_aligned_columns() -> None:
    x, z, y = np.random.default_rng(0).standard_normal((3, 12))
    write_csv(Path("t.csv"), {"体重": x, "a\x1b[31m\nb": z, "y": y})
    lines = ok("fit", "t.csv", "--target", "y", "--epochs", "2").splitlines()
    wide, escaped, intercept = (
        next(line for line in lines if line.startswith(name))
        for name in ("体重 ", "a\\x1b[31m\\nb ", "intercept ")
    )
    assert len(wide) + 2 == len(escaped) == len(intercept)


# ---- predict -----------------------------------------------------------------------------------------------


@pytest.fixture
def fitted() -> run.Parameters:
    """What is learned from some.csv, in the folder runs/some."""
    ok("fit", some_data(Path()), "--target", "y", "--epochs", "200")
    return run.Parameters.load(Path("runs/some/parameters.npz"))


def test_predictions_are_of_the_named_columns(fitted: run.Parameters) -> None:
    b, a = [1.5, 1e-7, 250], [0.1, 2, -3]
    write_csv(Path("new.csv"), {"b": b, "id": ["p", "q", "r"], "a": a})
    printed = ok("predict", "runs/some", "new.csv")
    rows = list(csv.reader(io.StringIO(printed)))
    assert rows[0] == ["a", "b", "predicted_y"]
    assert [row[:2] for row in rows[1:]] == [["0.1", "1.5"], ["2", "1e-07"], ["-3", "250"]]
    expected = fitted.predict(np.column_stack([a, b]))
    assert [float(row[2]) for row in rows[1:]] == expected.tolist()
    np.testing.assert_allclose(expected, np.column_stack([a, b]) @ fitted.w + fitted.b)

    printed = ok("predict", "runs/some", "new.csv", "--out", "out.csv")
    assert printed == "Wrote 3 predictions of y to out.csv\n"
    assert list(csv.reader(Path("out.csv").read_text("utf-8").splitlines())) == rows
    assert ok("predict", "runs/some", "new.csv", "--out", "out.csv", "--quiet") == ""


def test_predictions_of_the_training_rows_are_those_that_were_learned(fitted: run.Parameters) -> None:
    ok("predict", "runs/some", "some.csv", "--out", "out.csv")
    table, predicted = (np.loadtxt(name, delimiter=",", skiprows=1) for name in ("some.csv", "out.csv"))
    r_squared = 1 - np.sum((table[:, 2] - predicted[:, 2]) ** 2) / np.sum(
        (table[:, 2] - table[:, 2].mean()) ** 2
    )
    assert r_squared > 0.9


def test_predict_with_the_chapters_run() -> None:
    ok("--epochs", "3")
    write_csv(Path("new.csv"), {"x0": [0], "x1": [1]})
    assert float(ok("predict", "runs/chapter", "new.csv").split(",")[-1]) == pytest.approx(0.8, abs=0.5)


@pytest.mark.usefixtures("fitted")
def test_predict_writes_through_links_and_to_devices() -> None:
    Path("file.csv").write_text("old", "utf-8")
    Path("link.csv").symlink_to("file.csv")
    ok("predict", "runs/some", "some.csv", "--out", "link.csv")
    assert Path("link.csv").is_symlink()
    assert Path("file.csv").read_text("utf-8").startswith("a,b,predicted_y\n")
    ok("predict", "runs/some", "some.csv", "--out", os.devnull)
    assert not Path(os.devnull).is_file()


@pytest.mark.usefixtures("fitted")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["runs/nope", "some.csv"], ["runs/nope/parameters.npz does not exist", "name the folder of a run"]),
        (["some.csv", "some.csv"], ["some.csv/parameters.npz does not exist"]),
        (["runs/some", "nope.csv"], ["nope.csv does not exist"]),
        (["runs/some", "other.csv"], ["other.csv has no column 'b'", "its columns are 'a', 'y'"]),
        (["runs/some", "text.csv"], ["text.csv, line 3, column 'b': 'x' is not a number"]),
        (
            ["runs/some", "words.csv"],
            ["no row has a number", "encode it as numbers, as it was when fitted"],
        ),
        (["runs/some", "huge.csv"], ["huge.csv, line 3: the prediction overflows", "correct the row"]),
        (["runs/some", "some.csv", "--out", "some.csv"], ["--out some.csv is the file with the data itself"]),
        (["runs/some", "some.csv", "--out", "no/o.csv"], ["no/o.csv cannot be written (No such", "--out"]),
        (["runs/some", "some.csv", "--out", "runs"], ["runs cannot be written (Is a directory)", "--out"]),
        (["runs/some"], ["required: DATA.csv; see tinygrad-lr predict --help"]),
        (["runs/some", "some.csv", "--lr", "1"], ["unrecognized arguments: --lr 1; see tinygrad-lr"]),
    ],
    ids=lambda value: " ".join(value) if value[0].startswith(("runs", "some")) else "",
)
def test_errors_of_predict(arguments: list[str], words: list[str]) -> None:
    write_csv(Path("other.csv"), {"a": [1, 2], "y": [3, 4]})
    write_csv(Path("text.csv"), {"a": [1, 2], "b": [3, "x"]})
    write_csv(Path("words.csv"), {"a": ["x", "y"], "b": [3, 3]})
    write_csv(Path("huge.csv"), {"a": [1, 1e308], "b": [3, 3]})
    assert_error(["predict", *arguments], words)


def test_options_of_training_are_errors_before_predict() -> None:
    assert_error(["--lr", "0.1", "predict", "run", "t.csv"], ["--lr is an option of training; leave it out"])
    assert_error(["--open", "predict", "run", "t.csv"], ["--open is an option of training; leave it out"])


@pytest.mark.usefixtures("fitted")
@examples(60)
@given(data=st.data())
def test_damaged_files_give_an_error_or_change_nothing(data: st.DataObject) -> None:
    expected = ok("predict", "runs/some", "some.csv")
    name = data.draw(st.sampled_from(["parameters.npz", "checkpoint.npz"]))
    path = Path("runs/some", name)
    whole = path.read_bytes()
    damaged = bytearray(whole)
    if data.draw(st.booleans()):
        del damaged[data.draw(st.integers(0, len(whole) - 1)) :]
    else:
        damaged[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(damaged)
    try:
        if name == "parameters.npz":
            outcome = tinygrad_lr("predict", "runs/some", "some.csv")
        else:
            outcome = tinygrad_lr("fit", "some.csv", "--target", "y", "--resume")
        if outcome.status:
            assert outcome.status == 2
            assert re.fullmatch(
                r"tinygrad-lr: error: .*(damaged|has format|started with).*\n", outcome.stderr
            )
        elif name == "parameters.npz":
            assert outcome.stdout == expected
    finally:
        path.write_bytes(whole)


@pytest.mark.usefixtures("fitted")
def test_files_of_a_later_format_are_not_guessed_at() -> None:
    path = Path("runs/some/parameters.npz")
    checkpoints.save_arrays(path, "run", arrays(path), version=2)
    assert_error(["predict", "runs/some", "some.csv"], ["has format 2, but this version reads 1", "update"])


@pytest.mark.usefixtures("fitted")
@pytest.mark.parametrize("w", [np.zeros(2, np.float32), np.zeros((2, 1)), np.zeros(3)])
def test_files_with_other_arrays_are_damaged(w: Any) -> None:
    path = Path("runs/some/parameters.npz")
    run.save_arrays(path, **(arrays(path) | {"w": w}))
    assert_error(["predict", "runs/some", "some.csv"], ["runs/some/parameters.npz is damaged, or not a file"])


# ---- errors ------------------------------------------------------------------------------------------------


def everything_here() -> dict[Path, bytes]:
    return {path: path.read_bytes() if path.is_file() else b"" for path in Path().rglob("*")}


def assert_error(arguments: list[str], words: list[str]) -> None:
    """One line on stderr with these words, exit status 2, and nothing written."""
    before = everything_here()
    outcome = tinygrad_lr(*arguments)
    assert outcome.status == 2
    assert re.fullmatch(r"tinygrad-lr: error: .+\n", outcome.stderr), outcome.stderr
    for part in words:
        assert part in outcome.stderr
    assert everything_here() == before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, ["t.csv does not exist", "check the path"]),
        ("", ["t.csv is empty"]),
        ("a,b\n1,2\n2,3\n", ["t.csv has no column 'y'", "its columns are 'a', 'b'"]),
        ("a,name,Y\n1,Tom,2\n2,Rex,3\n", ["t.csv has no column 'y'; did you mean 'Y'?"]),
        ("a,y\n1,2\n2,x\n3,5\n", ["t.csv, line 3, column 'y': 'x' is not a number", "remove the row"]),
        ("a,y\n1,2\n,3\n3,5\n", ["t.csv, line 3, column 'a': the cell is empty", "fill it in"]),
        ("a,y\n1,2\nnan,3\n3,5\n", ["t.csv, line 3, column 'a': 'nan' stands for a missing value"]),
        ("a,y\n1,2\n3,inf\n3,5\n", ["t.csv, line 3, column 'y': 'inf' is infinite"]),
        ("a,y\n1,2\n", ["t.csv has only 1 row", "at least two"]),
        ("y\n1\n2\n3\n", ["t.csv has no features beside the target 'y'"]),
        (
            "a,c,y\n1,7,2\n2,7,3\n3,7,5\n4,7,6\n",
            ["t.csv, column 'c': constant, 7 in every row", "leave it out"],
        ),
        ("a,y\n1,7\n2,7\n3,7\n4,7\n", ["t.csv, column 'y': constant", "choose another (--target)"]),
        ("a,b,y\n1,2,3\n2,4,5\n3,6,8\n4,8,9\n", ["t.csv: column 'b' equals 2*'a'", "leave one of them out"]),
        ("a,y\n1,2\n2,3\n", ["t.csv has only 1 row", "only the 1 of 2 rows that are for training count"]),
    ],
)
def test_errors_of_data(text: str | None, words: list[str]) -> None:
    if text is not None:
        Path("t.csv").write_text(text, "utf-8")
    assert_error(["fit", "t.csv", "--target", "y"], words)


def test_a_column_that_is_constant_in_the_training_rows_only() -> None:
    def in_the_only_row_for_validation(seed: int) -> int:
        return int(run.generator(seed, 2).permutation(6)[-1])

    c = [0] * 6
    c[in_the_only_row_for_validation(0)] = 1
    write_csv(Path("t.csv"), {"a": range(6), "c": c, "y": [0, 2, 1, 4, 3, 5]})
    words = ["column 'c': constant, 0 in every row", "only the 5 of 6 rows", "--seed chooses others"]
    assert_error(["fit", "t.csv", "--target", "y", "--seed", "0"], words)
    seed = next(seed for seed in range(1, 100) if c[in_the_only_row_for_validation(seed)] == 0)
    ok("fit", "t.csv", "--target", "y", "--seed", str(seed))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        *(
            (["--lr", lr], [f"--lr: '{lr}' is not a positive number", "0.03"])
            for lr in ("0", "-1", "nan", "inf", "x")
        ),
        *(
            (["--epochs", n], [f"--epochs: '{n}' is not a whole number, 1 or more"])
            for n in ("0", "-1", "1.5")
        ),
        *(
            (["--batch-size", n], [f"--batch-size: '{n}' is not a whole number, 1 or more"])
            for n in ("0", "x")
        ),
        (["--seed", "-1"], ["--seed: '-1' is not a whole number, 0 or more"]),
        (["--foo"], ["unrecognized arguments: --foo; see tinygrad-lr --help"]),
        (["fti"], ["invalid choice: 'fti'", "fit", "predict", "see tinygrad-lr --help"]),
        (["fit", "t.csv"], ["required: --target; see tinygrad-lr fit --help"]),
        ([*PENGUINS, "--features", "bill"], ["no column 'bill'", "its columns are 'bill_length_mm'"]),
        ([*PENGUINS, "--features", "body_mass_g"], ["column 'body_mass_g' is used twice"]),
        (["--resume"], ["there is no run to resume in runs/chapter", "--out", "without --resume"]),
        (["--out", "file"], ["file cannot be used (Not a directory); name another folder with --out"]),
        (["--out", "file/run"], ["file/run cannot be used (Not a directory); name another folder"]),
        (["--out", "link/run"], ["the folder link/run cannot be made (", "name another with --out"]),
        (
            ["--out", "full"],
            ["full holds files that are no run of tinygrad-lr's; name a new or an empty folder"],
        ),
    ],
    ids=lambda value: " ".join(value[-2:]) if value[0].startswith(("-", "f")) else "",
)
def test_errors_of_arguments(arguments: list[str], words: list[str]) -> None:
    Path("file").touch()
    Path("link").symlink_to("nowhere/at/all")
    Path("full").mkdir()
    Path("full/thesis.txt").write_text("two years of work", "utf-8")
    assert_error(arguments, words)


def test_errors_of_the_system_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied", "there")

    monkeypatch.setattr(run, "check_free", refuse)
    assert_error(["--out", "run"], ["error: there: Permission denied"])
    monkeypatch.setattr(checkpoints, "load_arrays", refuse)
    words = ["error: run/parameters.npz cannot be read (Permission denied); check its permissions"]
    assert_error(["predict", "run", "some.csv"], words)


def test_a_full_disk_is_one_line_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "save_arrays", refuse)
    assert_error([], ["runs/chapter/checkpoint.npz cannot be written (No space left on device)", "not full"])


# ---- divergence --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["--lr", "1e300"],  # infinite at once
        ["--lr", "3"],  # beyond all measure soon
        ["--lr", "2.2", "--batch-size", "1000"],  # not far above the start when the epochs are done
        [*PENGUINS, "--lr", "3"],
        [*PENGUINS, "--lr", "0.9", "--batch-size", "1"],  # full batches would converge
    ],
    ids=" ".join,
)
def test_a_diverging_run_stops_says_where_and_leaves_nothing(arguments: list[str]) -> None:
    outcome = tinygrad_lr(*arguments)
    assert outcome.status == 2
    message = re.fullmatch(
        r"tinygrad-lr: error: training diverged: the loss, [\d.]+ at the start, was (\S+) at step (\d+), "
        r"in epoch (\d+); --lr (\S+) is too large "
        r"(here, where even full batches need less than \S+|for minibatches of 1); try --lr (\S+)\n",
        outcome.stderr,
    )
    assert message, outcome.stderr
    assert list(Path().iterdir()) == []
    # the advice helps
    position = arguments.index("--lr")
    ok(*arguments[:position], "--lr", message[6], *arguments[position + 2 :], "--epochs", "3")


def test_where_a_run_diverged_is_the_first_step_with_such_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    step, steps = SGD.step, iter(range(1, 1000))

    def spoil(self: SGD, *arguments: Any) -> None:
        step(self, *arguments)
        if next(steps) == 40:
            self.params[0][:] = np.nan

    monkeypatch.setattr(SGD, "step", spoil)
    assert_error([], ["the loss, 16.5 at the start, was nan at step 41, in epoch 2;"])


def test_a_diverging_run_leaves_an_empty_folder_as_it_was() -> None:
    Path("mine").mkdir()
    assert_error(["--lr", "3", "--out", "mine"], ["training diverged"])


def test_bound_of_the_learning_rate_is_where_full_batches_diverge() -> None:
    arguments = ["--batch-size", "1000", "--epochs", "500"]
    error = tinygrad_lr("--lr", "5", *arguments).stderr
    found = re.search(r"less than (\S+);", error)
    assert found
    ok("--lr", str(float(found[1]) * 0.97), *arguments)  # of two digits
    assert "training diverged" in tinygrad_lr("--lr", str(float(found[1]) * 1.03), *arguments).stderr


# ---- pictures ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def piped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Path]:
    """What a run with pictures says to a pipe, as a process of its own, and its folder.

    All pictures are drawn without pyplot, which would choose how to show them, and keep them.
    """
    program = """
import sys
from tinygrad_lr.cli import main
import tinygrad_lr_viz.plots, tinygrad_lr_viz.surface
assert "matplotlib" not in sys.modules  # only to draw
status = main(sys.argv[1:])
assert "matplotlib" in sys.modules and "matplotlib.pyplot" not in sys.modules
sys.exit(status)
"""
    folder = tmp_path_factory.mktemp("piped")
    outcome = finish(start("-c", program, *ENGEL, "--epochs", "2", "--out", "run", cwd=folder))
    return outcome, folder / "run"


def test_piped_output_is_plain_text(piped: tuple[Outcome, Path]) -> None:
    outcome, _ = piped
    assert (outcome.status, outcome.stderr) == (0, "")
    assert "\x1b" not in outcome.stdout
    assert "\r" not in outcome.stdout
    assert outcome.stdout.startswith("Learning foodexp from income: 188 rows for training, 47 for ")
    assert outcome.stdout.endswith("  index.html       all of this together, for the browser\n")


def test_pictures(piped: tuple[Outcome, Path]) -> None:
    (_, printed, _), folder = piped
    expected = PICTURES | {"fit.svg"}
    assert {path.name for path in folder.iterdir()} == FILES | EXPLANATION | expected
    texts = {}
    for name in expected:
        assert f"\n  {name} " in printed
        elements = ElementTree.parse(folder / name).iter()
        texts[name] = {element.text for element in elements if element.text}
    assert {"X", "w", "b", "y", "mean", "loss"} <= texts["graph.svg"]
    assert "epoch" in texts["curves.svg"]
    assert any(text.startswith("12 steps take the loss from ") for text in texts["surface.svg"])
    assert "foodexp" in texts["fit.svg"]
    explanation = (folder / "explanation.html").read_text("utf-8")
    for line in ("grad_w = X.T @ grad_v1", "grad_b = np.sum(grad_v2, axis=0)", "they agree</p>"):
        assert line in explanation


def test_index_shows_the_run_together(monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(folder: Path, *_: Any) -> dict[str, str]:
        for name in ("curves.svg", "explanation.html"):
            (folder / name).touch()
        return {"graph.svg": "no <Graphviz>"}

    monkeypatch.setattr(run, "draw", draw)
    printed = ok("--epochs", "2", "--out", "run")
    page = Path("run/index.html").read_text("utf-8")
    for shown in re.findall(r"\S+(?: +\S+)+", printed.split("Written to")[0]):
        assert html.escape(shown) in page  # the parameters, R², and what is said of them
    assert '<img src="curves.svg" alt="training and validation loss by epoch">' in page
    assert '<iframe src="explanation.html"' in page
    assert "No graph.svg: no &lt;Graphviz&gt;" in page
    assert '<a href="checkpoint.npz">checkpoint.npz</a>: where training stands, for --resume' in page
    assert "\n  index.html       all of this together, for the browser\n" in printed


def test_index_escapes_the_names_of_columns() -> None:
    name = "</pre><script>alert(1)</script>"
    write_csv(Path("data.csv"), {name: np.arange(9.0), "y": np.arange(9.0) % 4})
    ok("fit", "data.csv", "--target", "y", "--epochs", "1", "--out", "run")
    page = Path("run/index.html").read_text("utf-8")
    assert html.escape(name) in page
    assert "<script" not in page


def test_open_shows_the_index_in_the_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: bool(opened.append(url)) or len(opened) == 1)
    ok("--epochs", "1", "--out", "a run", "--open", "--quiet")
    assert opened == [Path("a run/index.html").resolve().as_uri()]
    outcome = tinygrad_lr("--epochs", "1", "--out", "other", "--open", "--quiet")
    assert outcome == (0, "", "tinygrad-lr: no browser could be started here; open other/index.html\n")


def test_missing_extra_leaves_pictures_out_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "draw", draw)
    monkeypatch.setattr(layout, "_commands", lambda *_: {})
    for name in [*sys.modules, "matplotlib"]:
        if name.split(".")[0] == "matplotlib":
            monkeypatch.setitem(sys.modules, name, None)
    printed = ok(*ENGEL, "--epochs", "2", "--out", "run")
    assert {path.name for path in Path("run").iterdir()} == FILES | EXPLANATION
    assert "no Graphviz is here" in Path("run/explanation.html").read_text("utf-8")
    (line,) = (line for line in printed.splitlines() if line.startswith("Not drawn: "))
    parts = line.removeprefix("Not drawn: ").split("; curves")
    assert parts[0].startswith("graph.svg (no Graphviz is here")
    assert parts[1].startswith(".svg, surface.svg, fit.svg (plots need matplotlib")
    assert all("pip install 'tinygrad_lr[viz]'" in part for part in parts)
    not_drawn = json.loads(Path("run/summary.json").read_text("utf-8"))["not_drawn"]
    assert not_drawn.keys() == PICTURES | {"fit.svg"}


def test_failing_layout_leaves_the_graph_out_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "draw", draw)
    for plot in ("training_curves", "loss_surface"):
        monkeypatch.setattr(plots, plot, lambda *arguments, **_: arguments[-1].touch())
    command = [sys.executable, "-c", "raise SystemExit('no memory for this')"]
    monkeypatch.setattr(layout, "_commands", lambda *_: {"dot": command})
    printed = ok("--epochs", "2", "--out", "run")
    assert re.search(
        r"^Not drawn: graph.svg \(the graph could not be laid out.* no memory for this\)$", printed, re.M
    )
    assert {path.name for path in Path("run").iterdir()} == (FILES | EXPLANATION | PICTURES) - {"graph.svg"}


# ---- folders -----------------------------------------------------------------------------------------------


def test_runs_get_folders_of_their_own() -> None:
    for _ in range(3):
        ok("--epochs", "1")
    assert {path.name for path in Path("runs").iterdir()} == {"chapter", "chapter-2", "chapter-3"}
    ok("--resume", "--epochs", "2")  # the last one
    done = [run.Checkpoint.load(path / "checkpoint.npz").epoch for path in sorted(Path("runs").iterdir())]
    assert done == [1, 1, 2]


def test_a_run_is_never_written_into_another() -> None:
    ok("--epochs", "1", "--out", "a/b/run")
    assert_error(["--epochs", "1", "--out", "a/b/run"], ["a/b/run holds a run already", "--out", "--resume"])


def test_two_runs_that_start_together_do_not_share_a_folder() -> None:
    one, other = run.RunFolder.new(None, "chapter"), run.RunFolder.new(None, "chapter")
    one.make()
    with pytest.raises(
        run.RunError, match=r"runs/chapter cannot be made \(File exists\); name another with --out"
    ):
        other.make()
    other.discard()
    assert one.path.is_dir()


@pytest.mark.parametrize("failure", [KeyboardInterrupt, ValueError])
def test_a_file_is_replaced_whole_or_not_at_all(failure: type[BaseException]) -> None:
    path = Path("file")
    path.write_text("old", "utf-8")

    def fail_halfway() -> None:
        with run.replacing(path) as place:
            place.write_text("half", "utf-8")
            raise failure

    with pytest.raises(failure):
        fail_halfway()
    assert everything_here() == {path: b"old"}
    with run.replacing(path) as place:
        place.write_text("new", "utf-8")
        assert path.read_text("utf-8") == "old"
    assert everything_here() == {path: b"new"}


# ---- going on after a stop ---------------------------------------------------------------------------------


@pytest.fixture
def _ctrl_c() -> Iterator[None]:
    """SIGINT as a terminal's processes have it, also where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt_at(step: int, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    """Ctrl-C at a step of the run, before or after its update, or as a signal."""
    original, steps = SGD.step, iter(range(1, 10**6))

    def step_and_stop(self: SGD, *arguments: Any) -> None:
        now = next(steps) == step
        if now and when == "before":
            raise KeyboardInterrupt
        original(self, *arguments)
        if now and when == "after":
            raise KeyboardInterrupt
        if now:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(SGD, "step", step_and_stop)


@pytest.mark.parametrize("arguments", [[], PENGUINS], ids=["chapter", "fit"])
@pytest.mark.usefixtures("_ctrl_c")
@pytest.mark.parametrize("when", ["before", "after", "signal"])
@pytest.mark.parametrize("part", [0.2, 0.5, 0.77, 1.0])
def test_resumed_run_equals_one_never_stopped(
    arguments: list[str], when: str, part: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--epochs", "6", "--seed", "7"]
    ok(*arguments, *options, "--out", "whole")
    batches = 32 if not arguments else 9
    step = round(part * 6 * batches)
    with monkeypatch.context() as patch:
        interrupt_at(step, patch, when)
        outcome = tinygrad_lr(*arguments, *options, "--out", "stopped")
    done = (step - 1) // batches
    again = f"tinygrad-lr {' '.join(arguments)}{' ' if arguments else ''}--out stopped --resume"
    assert outcome.status == 130
    assert (
        outcome.stderr
        == f"tinygrad-lr: interrupted; {done} of 6 epochs are kept in stopped; to go on: {again}\n"
    )
    assert {path.name for path in Path("stopped").iterdir()} == {"parameters.npz", "checkpoint.npz"}
    assert run.Checkpoint.load(Path("stopped/checkpoint.npz")).epoch == done

    ok(*arguments, *options[:2], "--out", "as-long", "--seed", "7", *("--epochs", str(done)))
    for name in ("w", "b"):
        np.testing.assert_array_equal(
            arrays(Path("stopped/parameters.npz"))[name], arrays(Path("as-long/parameters.npz"))[name]
        )

    assert f"Going on after epoch {done} of 6." in ok(*again.split()[1:])
    assert_same_run(Path("whole"), Path("stopped"))


def test_resumed_twice_and_to_more_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    ok("--epochs", "9", "--out", "whole")
    ok("--epochs", "2", "--out", "parts")
    with monkeypatch.context() as patch:
        interrupt_at(100, patch, "after")
        assert tinygrad_lr("--epochs", "9", "--out", "parts", "--resume").status == 130
    ok("--out", "parts", "--resume")  # it knows that 9 are wanted
    assert_same_run(Path("whole"), Path("parts"))
    ok("--out", "parts", "--resume")  # nothing is left to do
    assert_same_run(Path("whole"), Path("parts"))


def test_stopped_in_the_first_epoch_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_at(32, monkeypatch, "after")
    outcome = tinygrad_lr()
    assert outcome.status == 130
    assert outcome.stderr == "tinygrad-lr: interrupted before the first epoch was done; nothing is kept\n"
    assert list(Path().iterdir()) == []


def test_stopped_while_drawing_all_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run, "draw", stop)
        outcome = tinygrad_lr("--epochs", "2")
    assert outcome.status == 130
    assert (
        "2 of 2 epochs are kept in runs/chapter; to go on: tinygrad-lr --out runs/chapter --resume"
        in outcome.stderr
    )
    ok("--resume")
    ok("--epochs", "2", "--out", "whole")
    assert_same_run(Path("runs/chapter"), Path("whole"))


@pytest.mark.usefixtures("_ctrl_c")
def test_ctrl_c_waits_for_the_end_of_a_step_but_not_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = []

    def step(self: SGD, _: int) -> None:
        signal.raise_signal(signal.SIGINT)
        counted.append("once")
        if len(counted) == 2:
            signal.raise_signal(signal.SIGINT)
            counted.append("twice")

    monkeypatch.setattr(SGD, "step", step)
    assert tinygrad_lr().status == 130
    assert counted == ["once"]
    assert tinygrad_lr().status == 130
    assert counted == ["once", "once"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert not is_recording()


@pytest.mark.usefixtures("_ctrl_c")
def test_ctrl_c_after_the_last_step_is_not_lost() -> None:
    with pytest.raises(KeyboardInterrupt), run.noting([]):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.usefixtures("_ctrl_c")
def test_sigint_stays_ignored_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    interrupt_at(40, monkeypatch, "signal")
    ok("--epochs", "2")


def test_training_in_another_thread() -> None:
    with ThreadPoolExecutor() as threads:
        threads.submit(ok, "--epochs", "1").result()


def test_stopped_before_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "check_free", stop)
    assert tinygrad_lr("--out", "run") == (130, "", "tinygrad-lr: interrupted\n")


def test_a_resumed_run_that_fails_keeps_what_it_had(monkeypatch: pytest.MonkeyPatch) -> None:
    ok("--epochs", "2", "--out", "run")
    monkeypatch.setattr(SGD, "step", lambda self, _: self.params[0].__setitem__(slice(None), np.nan))
    assert_error(
        ["--epochs", "3", "--out", "run", "--resume"], ["training diverged", "nan at step 66, in epoch 3"]
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--lr", "0.1"], ["--lr 0.1, but the run in run was started with 0.03; leave --lr as it was"]),
        (["--batch-size", "5"], ["--batch-size 5, but", "started with 32"]),
        (["--seed", "5"], ["--seed 5, but", "started with 0", "without --resume"]),
        (["--features", "b"], ["--features b, but", "started with a b"]),
        (["--target", "b"], ["--target b, but", "started with y"]),
        (["--epochs", "1"], ["--epochs 1, but the run in run has done 2 already; give a higher number"]),
    ],
    ids=lambda value: value[0],
)
def test_errors_of_resuming_with_other_settings(arguments: list[str], words: list[str]) -> None:
    fit = ["fit", str(some_data(Path())), "--target", "y", "--out", "run"]
    ok(*fit, "--epochs", "2")
    assert_error([*fit, "--resume", *arguments], words)


@pytest.mark.parametrize("change", ["a number", "a row less", "the order", "the names"])
def test_errors_of_resuming_with_other_data(change: str) -> None:
    fit = ["fit", str(some_data(Path())), "--target", "y", "--out", "run"]
    ok(*fit, "--epochs", "2")
    header, *rows = Path("some.csv").read_text("utf-8").splitlines()
    changed = {
        "a number": [header, rows[0].replace("1", "2"), *rows[1:]],
        "a row less": [header, *rows[1:]],
        "the order": [header, *rows[::-1]],
        "the names": ["a,c,y", *rows],
    }
    Path("some.csv").write_text("\n".join(changed[change]), "utf-8")
    words = ["no column 'b'"] if change == "the names" else ["the data are not those", "run was started with"]
    assert_error([*fit, "--resume"], words)


def test_errors_of_resuming_with_another_command() -> None:
    ok("--epochs", "1", "--out", "chapter")
    ok(*ENGEL, "--epochs", "1", "--out", "engel")
    assert_error(
        ["--resume", "--out", "engel"], ["engel holds a run of `tinygrad-lr fit`", "resume it with that"]
    )
    assert_error([*ENGEL, "--resume", "--out", "chapter"], ["chapter holds a run of `tinygrad-lr`;", "--out"])


def test_data_may_be_resumed_from_another_file_with_the_same_numbers() -> None:
    fit = ["fit", str(some_data(Path())), "--target", "y", "--out", "run"]
    ok(*fit, "--epochs", "1")
    Path("moved.csv").write_text(Path("some.csv").read_text("utf-8").replace(",", ";"), "utf-8")
    ok("fit", "moved.csv", *fit[2:], "--epochs", "2", "--resume")


def test_a_long_path_is_thinned() -> None:
    ok("--epochs", "1")
    first = run.Checkpoint.load(Path("runs/chapter/checkpoint.npz"))
    model = run.build_model(first.settings, first.w, first.b)
    trainer: Any = SimpleNamespace(
        model=model, epoch=0, num_train_batches=9000, history={"train": [], "val": []}
    )
    keeper = run.Keeper(replace(first, path={0: first.path[0]}), trainer, lambda _: None)
    for trainer.train_batch_idx in range(1, 9001):
        keeper.on_step_end(trainer, 0.5)
    keeper.on_epoch_end(trainer)
    kept = [*range(2048), *range(2048, 4096, 2), *range(4096, 8192, 4), *range(8192, 9001, 8)]
    assert list(keeper.checkpoint().path) == kept


def test_checkpoints_are_saved_at_once_and_then_each_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(run.time, "monotonic", lambda: now)
    saved: list[int] = []

    def save(self: run.Checkpoint, path: Path) -> None:
        nonlocal now
        saved.append(self.epoch)
        now += 0.3

    step = SGD.step

    def slow(self: SGD, *arguments: Any) -> None:
        nonlocal now
        now += 0.4 / 32
        step(self, *arguments)

    monkeypatch.setattr(SGD, "step", slow)
    monkeypatch.setattr(run.Checkpoint, "save", save)
    ok()
    assert saved == [1, 4, 7, 10, 10]


# ---- as a process ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_ctrl_c")
def test_ctrl_c_keeps_the_finished_epochs(tmp_path: Path) -> None:
    process = start("-m", "tinygrad_lr", *PENGUINS, "--epochs", "1000000", "--out", "run", cwd=tmp_path)
    checkpoint = tmp_path / "run" / "checkpoint.npz"
    while not checkpoint.exists():
        with pytest.raises(subprocess.TimeoutExpired):  # it goes on
            process.wait(0.01)
    process.send_signal(signal.SIGINT)
    outcome = finish(process)
    assert outcome.status == 130
    message = re.fullmatch(
        r"tinygrad-lr: interrupted; (\d+) of 1000000 epochs are kept in run; to go on: "
        r"python -m tinygrad_lr (fit .* --out run --resume)\n",
        outcome.stderr,
    )
    assert message, outcome
    done = int(message[1])
    assert run.Checkpoint.load(checkpoint).epoch == done >= 1
    ok(*shlex.split(message[2]), "--epochs", str(done + 3))
    ok(*PENGUINS, "--epochs", str(done + 3), "--out", "whole")
    assert_same_run(Path("run"), Path("whole"))


def test_a_reader_that_has_seen_enough_does_not_stop_the_run(tmp_path: Path) -> None:
    program = (
        "import sys; from tinygrad_lr import cli, run; run.draw = lambda *_: {};"
        "sys.exit(cli.main(['--epochs', '2']))"
    )
    process = start("-c", program, cwd=tmp_path)
    assert process.stdout
    process.stdout.close()
    process.stdout = None
    assert finish(process) == (0, None, "")
    assert {path.name for path in (tmp_path / "runs/chapter").iterdir()} == FILES


# ---- what is shown -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["--epochs", "2"], [*ENGEL, "--epochs", "2"]], ids=["chapter", "fit"])
def test_quiet(arguments: list[str]) -> None:
    assert ok(*arguments, "--quiet") == ""
    assert tinygrad_lr("--quiet", *arguments, "--resume", "--lr", "0.5").stderr.startswith(
        "tinygrad-lr: error: "
    )


@pytest.mark.parametrize("quiet", [False, True])
def test_progress_on_a_terminal(quiet: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert main(["--epochs", "2", *(["--quiet"] if quiet else [])]) == 0
    shown = sys.stderr.getvalue()
    assert shown == "" if quiet else ("epoch 2/2" in shown and "train loss" in shown and "val loss" in shown)


@pytest.mark.parametrize("command", [[], ["fit"], ["predict"]], ids=" ".join)
def test_help(
    command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as exit_:
        main([*command, "--help"])
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: tinygrad-lr {' '.join(command)}".rstrip())
    assert (" --target COLUMN [options]" in text) == ("predict" not in command)  # not after --features
    assert max(map(len, text.splitlines())) <= 80
    for option in (
        "--out",
        "--quiet",
        *(["--lr", "--epochs", "--batch-size", "--seed"] if "predict" not in command else []),
    ):
        assert f"\n  {option} " in text


def test_where_the_command_starts() -> None:
    """What pyproject.toml says, which pip makes a program of."""
    with (EXAMPLES.parents[1] / "pyproject.toml").open("rb") as file:
        module, _, name = tomllib.load(file)["project"]["scripts"]["tinygrad-lr"].partition(":")
    assert getattr(import_module(module), name) is main


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"tinygrad-lr {__version__}\n"
