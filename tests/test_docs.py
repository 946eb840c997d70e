"""The examples in README.md and docs/ run, and show what they say."""

import contextlib
import doctest
import io
import re
import shlex
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from test_floors import FLOORS
from tinygrad_lr import func
from tinygrad_lr.cli import main
from tinygrad_lr.derivatives import DERIVATIVES
from tinygrad_lr.testing import WrongGradientError

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
COMING_FROM = (DOCS / "coming_from.md").read_text("utf-8")
LIBRARIES = re.findall(r"^\| task \| ([^|]+) \| here \|$", COMING_FROM, re.MULTILINE)
TASKS = [
    "import",
    "a variable",
    "compute",
    "its gradient",
    "a function's gradient",
    "a second derivative",
    "a constant",
    "without recording",
    "a step",
    "an operation of your own",
]


def test_your_own_function() -> None:
    pytest.importorskip("scipy", reason="SciPy is not installed: docs/your_own_function.md is NOT tested")
    rows = set(DERIVATIVES)
    done = doctest.testfile(str(DOCS / "your_own_function.md"), module_relative=False)
    for function in set(DERIVATIVES) - rows:  # other tests count them
        del DERIVATIVES[function]
    assert done.attempted > 20
    assert done.failed == 0


def readme_blocks(language: str) -> list[str]:
    text = (ROOT / "README.md").read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_readmes_python_runs() -> None:
    ten_lines, program, printed = readme_blocks("python")
    outputs = []
    for block in (ten_lines, program, printed):
        with contextlib.redirect_stdout(io.StringIO()) as output:
            exec(block, {"__name__": "__main__"})
        outputs.append(output.getvalue())
    assert outputs[1].strip() == printed.strip()  # the source that the second block prints


def test_the_readmes_commands_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The program's, without the pictures; `.ci/run` runs the lines as they stand, with pictures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tinygrad_lr.run.draw", lambda *_: {})
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    lines = [line for block in readme_blocks("sh") for line in block.splitlines()]
    commands = [line.split(" && ")[-1] for line in lines if "pytest" not in line]
    assert len(commands) == 3
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == ".venv/bin/tinygrad-lr"
        assert main(arguments) == 0
    [table] = readme_blocks("text")
    assert table in capsys.readouterr().out


def test_the_design_page_has_every_module_on_its_floor() -> None:
    rows = re.findall(r"^\| (\d) \| ([^|]+) \|", (DOCS / "design.md").read_text("utf-8"), re.MULTILINE)
    written = {name: int(floor) for floor, names in rows for name in re.findall(r"`(\w+)(?:\.py|/)`", names)}
    modules = {name: floor for name, floor in FLOORS.items() if not name.startswith("__")}
    assert written == modules, "the table at the end of docs/design.md is to have a row for each module"


def test_the_layer_that_is_tested_in_the_documentation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tests pass, and find the fault that is spoken of."""
    page = (DOCS / "testing.md").read_text("utf-8")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE))
    quick = "@settings(max_examples=6, phases=[Phase.generate])\n@given("  # whatever is found, found quickly
    code = code.replace("@given(", quick).replace("import given", "import Phase, given, settings")
    rule = " - y * np.mean(g * y, axis=-1, keepdims=True)"
    assert rule in code
    rows = set(DERIVATIVES)
    for source, right in ((code, True), (code.replace(rule, ""), False)):
        module: Any = types.ModuleType("test_unit")
        monkeypatch.setitem(sys.modules, "test_unit", module)
        exec(source, module.__dict__)
        tests = [test for name, test in vars(module).items() if name.startswith("test_")]
        assert len(tests) == 4
        if right:
            for test in tests:
                test()
        else:
            with pytest.raises(WrongGradientError, match=r"UnitRows with respect to x .* is wrong in"):
                module.test_gradients()
    for function in set(DERIVATIVES) - rows:  # other tests count them
        del DERIVATIVES[function]


def table(library: str) -> list[list[str]]:
    """The rows of a library's table: the task, the code there, the code here."""
    rows = COMING_FROM.split(f"| task | {library} | here |\n")[1].split("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


def run(cell: str, names: dict[str, Any]) -> None:
    """Run the code in a cell of a table; names and what is no program are left out."""
    for code in re.findall(r"`([^`]+)`", cell):
        if re.search(r"[=:] |^import |^from |\.backward\(\)", code):
            exec(code, names)


def numbers(value: Any) -> Any:
    return np.asarray(getattr(value, "data", value) if not hasattr(value, "detach") else value.detach())


@pytest.mark.parametrize("library", LIBRARIES)
def test_what_is_written_here_does_the_ten_tasks(library: str) -> None:
    names: dict[str, Any] = {}
    rows = table(library)
    assert [task for task, _, _ in rows] == TASKS
    for task, _, here in rows:
        run(here, names)
        if task == "a constant":
            assert np.allclose(names["c"], [1, 2])
        if task == "a step":
            assert np.allclose(names["x"], [0.8, 1.6])
    for name, value in {"y": 5, "g": [2, 4], "slope": [2, 4], "second": [6, 12], "z": [2, 4]}.items():
        assert np.allclose(names[name], value), name
    assert names["c"].node is None
    assert names["square"](3.0) == 9
    assert func.grad(names["square"])(3.0) == 6


@pytest.mark.parametrize("library", [name for name in LIBRARIES if name not in ("MXNet 2", "micrograd")])
def test_what_is_written_of_other_libraries_is_so(library: str) -> None:
    module = {"PyTorch": "torch"}.get(library, library.lower())
    pytest.importorskip(module, reason=f"{library} is not installed: its column is NOT tested")
    names: dict[str, Any] = {}
    for task, there, _ in table(library):
        run(there, names)
        if task == "a constant":
            assert np.allclose(numbers(names["c"]), [1, 2])
        if task == "a step":
            assert np.allclose(numbers(names["x"]), [0.8, 1.6])
    expected = {"y": 5, "g": [2, 4], "slope": [2, 4], "second": [6, 12], "z": [2, 4]}
    for name in expected.keys() & names.keys():
        assert np.allclose(numbers(names[name]), expected[name]), name
    assert names.keys() >= {"y", "g", "z"}
    if "square" in names:
        assert (names.get("grad") or names["jax"].grad)(names["square"])(3.0) == 6


def test_what_is_written_of_micrograd_is_so() -> None:
    pytest.importorskip("micrograd", reason="micrograd is not installed: its column is NOT tested")
    names: dict[str, Any] = {}
    for _, there, _ in table("micrograd"):
        run(there, names)
    assert names["y"].data == 5
    assert names["g"] == [2, 4]
    assert np.allclose([names["a"].data, names["b"].data], [0.8, 1.6])
    assert names["a"].grad == names["b"].grad == 0


def test_there_is_a_table_for_each_library() -> None:
    assert LIBRARIES == ["MXNet 2", "PyTorch", "JAX", "autograd", "MyGrad", "micrograd"]
