"""Certified regression problems of NIST, by digits reached; and the examples that use second derivatives."""

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinygrad_lr.closed_form import least_squares

ROOT = Path(__file__).parent.parent
PROBLEMS = json.loads((ROOT / "tests" / "data" / "nist.json").read_text("utf-8"))

pytest.importorskip("scipy", reason="SciPy is not installed: the certified problems are NOT tested")
EXAMPLE = runpy.run_path(str(ROOT / "examples" / "nist.py"))

#: digits that double precision leaves of the linear problems, one less than were reached; by default 9
HARD = {"Filip": 6.5, "Wampler3": 8.5, "Wampler4": 6.5, "Wampler5": 4.5}


@pytest.mark.parametrize("name", PROBLEMS["linear"])
def test_linear_problems(name: str) -> None:
    problem = PROBLEMS["linear"][name]
    reached = EXAMPLE["digits"](EXAMPLE["linear"](problem), problem["certified"])
    longer = np.finfo(np.longdouble).eps < 1e-18  # than double precision
    assert reached > (9 if longer else HARD.get(name, 9))


@pytest.mark.parametrize("name", [n for n in PROBLEMS["linear"] if not n.startswith("NoInt")])
def test_the_closed_form_solves_the_linear_problems(name: str) -> None:
    problem = PROBLEMS["linear"][name]
    x, y = np.array(problem["x"]), np.array(problem["y"])
    X = np.stack([x**k for k in problem["powers"][1:]], 1) if problem["powers"] else x.T
    w, b = least_squares(X, y)
    assert EXAMPLE["digits"](np.append(b, w), problem["certified"]) > HARD.get(name, 8)


@pytest.mark.parametrize("start", [0, 1], ids=["far", "near"])
@pytest.mark.parametrize("name", PROBLEMS["nonlinear"])
def test_nonlinear_problems(name: str, start: int) -> None:
    problem = PROBLEMS["nonlinear"][name]
    fitted, polished = EXAMPLE["nonlinear"](name, problem, problem["starts"][start])
    assert EXAMPLE["digits"](fitted, problem["certified"]) > 5
    assert EXAMPLE["digits"](polished, problem["certified"]) > 9.5


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("newton", ["before", "after a step", "least squares", *(f"step {i}" for i in range(1, 8))]),
        ("scipy_minimize", ["curve", "perceptron"]),
        (
            "linear_regression_concise",
            [
                "LinearRegression(lr=0.03)",
                "  net",
                "    weight",
                "    bias",
                "error in estimating w",
                "error in estimating b",
            ],
        ),
    ],
)
def test_examples(name: str, printed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = runpy.run_path(str(ROOT / "examples" / f"{name}.py"))
    output = capsys.readouterr()
    assert [line.split(":")[0] for line in output.out.splitlines()] == printed
    assert output.err == ""
    if name == "newton":
        step, exact = (line.split(":")[1].split("]")[0].strip() for line in output.out.splitlines()[1:3])
        assert step == exact
        assert np.linalg.norm(names["grad"](names["cross_entropy"])(names["w"])) < 1e-8
    elif name == "linear_regression_concise":
        np.testing.assert_allclose(names["model"].net.weight.numpy(), [[2, -3.4]], atol=0.01)
        np.testing.assert_allclose(names["model"].net.bias.numpy(), [4.2], atol=0.01)
    else:
        assert names["accuracy"] > 0.95
        assert abs(names["fit"].fun) < 0.2
