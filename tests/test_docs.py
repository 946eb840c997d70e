"""The examples in README.md and docs/ run, and show what they say."""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinygrad_lr.derivatives import DERIVATIVES

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


def test_the_readmes_python_runs() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL | re.M)
    assert blocks
    for block in blocks:
        path = os.pathsep.join([str(ROOT), str(ROOT / "viz")])
        run = [sys.executable, "-W", "error", "-c", block]
        done = subprocess.run(
            run, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path}, check=False
        )
        assert done.returncode == 0, done.stderr
        assert not done.stderr


def table(library: str) -> list[list[str]]:
    """The rows of a library's table: the task, the code there, the code here."""
    rows = COMING_FROM.split(f"| task | {library} | here |\n")[1].split("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


@pytest.mark.parametrize("library", LIBRARIES)
def test_what_is_written_here_does_the_ten_tasks(library: str) -> None:
    names: dict[str, Any] = {}
    rows = table(library)
    assert [task for task, _, _ in rows] == TASKS
    for task, _, here in rows:
        for code in re.findall(r"`([^`]+)`", here):
            if code != "record()":
                exec(code, names)
        if task == "a step":
            expected = np.array([1.0, 2.0]) - 0.1 * np.array([2.0, 4.0])
            assert np.allclose(names["x"], expected)
    assert names["y"].item() == 5
    for name, value in {"g": [2, 4], "slope": [2, 4], "second": [6, 12], "c": [1, 2], "z": [2, 4]}.items():
        if name != "c":  # which shares the memory that the step wrote, where there is one to write
            assert np.allclose(names[name], value), name
    assert names["c"].node is None
    assert names["square"](3.0) == 9


def test_there_is_a_table_for_each_library() -> None:
    assert LIBRARIES == ["MXNet 2", "PyTorch", "JAX", "autograd", "MyGrad", "micrograd"]
