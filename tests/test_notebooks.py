"""The notebooks in examples/: they run, as scripts and in a kernel, and their exercises can be solved.

Here their cells run in this process, which takes a second or so each. `python docs/notebooks.py --check` runs
them in kernels of their own, as `.ci/run` does; what it does is tested here.
"""

import contextlib
import importlib.util
import io
import json
import re
import warnings
from pathlib import Path
from typing import Any

import pytest

from tinygrad_lr import is_recording

spec = importlib.util.spec_from_file_location(
    "notebooks", Path(__file__).parent.parent / "docs" / "notebooks.py"
)
assert spec
assert spec.loader
notebooks: Any = importlib.util.module_from_spec(spec)
spec.loader.exec_module(notebooks)

EXAMPLES = Path(__file__).parent.parent / "examples"
SCRIPTS = sorted(p for p in EXAMPLES.glob("*.py") if p.read_text("utf-8").startswith("# %% [markdown]"))
UNANSWERED = "answers = {1: ..., 2: ..., 3: ...}\n"
RIGHT = "".join(f"{number} right\n" for number in (1, 2, 3))


def ran(program: str, path: Path) -> str:
    """What a program prints."""
    pytest.importorskip("matplotlib", reason=f"matplotlib is not installed: {path.name} is NOT tested")
    import matplotlib.pyplot as plt

    printed = io.StringIO()
    plt.switch_backend("Agg")
    with contextlib.redirect_stdout(printed), warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(compile(program, str(path), "exec"), {"__name__": "__main__"})
    plt.close("all")
    assert not is_recording()
    return printed.getvalue()


def solution(program: str) -> str:
    """The code under "Answers", which comes last."""
    hidden = program.split("# <details><summary>Answers</summary>")[1]
    code = re.search(r"# ```python\n(.*?)# ```\n", hidden, re.DOTALL)
    assert code is not None
    return re.sub(r"^# ?", "", code[1], flags=re.MULTILINE)


def source(cell: Any) -> str:
    return "".join(cell["source"]).strip()


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_the_notebook_runs_and_its_answers_are_right(path: Path) -> None:
    program = path.read_text("utf-8")
    assert program.count(UNANSWERED) == 1
    printed = ran(program.replace(UNANSWERED, solution(program)), path)
    assert printed.endswith(RIGHT)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_the_notebook_is_that_of_the_script_and_was_run(path: Path) -> None:
    """`python docs/notebooks.py` makes it anew."""
    notebook = json.loads(path.with_suffix(".ipynb").read_text("utf-8"))
    cells = [source(cell) for cell in notebook["cells"]]
    parts = re.split(r"^# %%(?: \[markdown\])?\n", path.read_text("utf-8"), flags=re.MULTILINE)[1:]
    kinds = re.findall(r"^# %%( \[markdown\])?$", path.read_text("utf-8"), flags=re.MULTILINE)
    texts = [
        re.sub(r"^# ?", "", part, flags=re.MULTILINE) if kind else part
        for part, kind in zip(parts, kinds, strict=True)
    ]
    assert cells == [text.strip() for text in texts]
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert not any(o["output_type"] == "error" for cell in code for o in cell["outputs"])
    assert "You will be able to" in cells[0]
    unanswered = [f"{number} not answered yet\n" for number in (1, 2, 3)]
    assert [line for o in code[-1]["outputs"] for line in o["text"]] == unanswered


def test_a_notebook_runs_in_a_kernel_and_a_warning_ends_it() -> None:
    reason = "nbclient and ipykernel are not installed: notebooks are NOT run in a kernel"
    for module in ("nbclient", "nbformat", "ipykernel"):
        pytest.importorskip(module, reason=reason)
    import nbclient.exceptions
    import nbformat

    imports = "from pathlib import Path; import numpy as np; from tinygrad_lr import tensor\n"
    code = [imports + "print(Path.cwd().name, repr(tensor([1.0])))", "np.float64(1) / 0"]
    notebook = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, code)))
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="RuntimeWarning"):
        notebooks.run(notebook)
    assert notebook.cells[1].outputs[0].text == "examples tensor([1.])\n"


def test_a_wrong_answer_is_not_right() -> None:
    path = next(p for p in SCRIPTS if p.name == "2_linear_regression.py")
    wrong = "answers = {1: 6.0, 2: 0.4, 3: 31}\n"
    printed = ran(path.read_text("utf-8").replace(UNANSWERED, wrong), path)
    assert printed.endswith("1 not yet right\n2 not yet right\n3 not yet right\n")


def test_there_are_notebooks() -> None:
    numbers = sorted(int(path.stem.split("_")[0]) for path in SCRIPTS)
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 9
