"""The order of the modules: imports point down only, and importing the package imports NumPy alone."""

import ast
import functools
import graphlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import tinygrad_lr

ROOT = Path(tinygrad_lr.__file__).parent

FLOORS = {
    "scope": 0,
    "errors": 0,
    "derivatives": 0,
    "array_methods": 0,
    "calls": 1,
    "tape": 1,
    "sweep": 1,
    "tensor": 2,
    "autograd": 2,
    "names": 2,
    "checkpoints": 3,
    "gluon": 3,
    "hyperparameters": 3,
    "init": 3,
    "models": 3,
    "module": 3,
    "nn": 3,
    "npx": 3,
    "data": 3,
    "lazy": 3,
    "optim": 3,
    "board": 3,
    "book": 3,
    "linear": 3,
    "func": 3,
    "batching": 3,
    "program": 3,
    "blocks": 3,
    "executable": 3,
    "compiler": 3,
    "testing": 3,
    "callbacks": 4,
    "trainer": 4,
    "tables": 4,
    "closed_form": 4,
    "cluster": 4,
    "run": 4,
    "cli": 4,
    "__main__": 4,
    "__init__": 4,  # the front of the package; nothing below the top floor may import from it
}
KNOWS_VIZ = {"cli", "run"}  # and only where they draw, in functions


class Import(NamedTuple):
    """An import of a module, for running or for type checkers only."""

    module: str  # "tape" for .tape, "derivatives" for .derivatives.table; with its package for others
    own: bool  # of this package
    in_function: bool = False
    for_types: bool = False


def imports(source: str, package: bool = False) -> Iterator[Import]:
    """The imports of one module of the package; of a module of a package inside it, with `package`."""

    def walk(node: ast.AST, in_function: bool, for_types: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for name in node.names:
                yield from of(name.name, in_function, for_types)
        elif isinstance(node, ast.ImportFrom):
            above = node.level - package  # 0: a sibling within the inner package, or absolute
            if node.level and above == 0:
                return
            if above == 1 and not node.module:  # from . import a, b
                for name in node.names:
                    yield Import(
                        name.name if name.name in FLOORS else "__init__", True, in_function, for_types
                    )
            elif above == 1:
                yield Import(str(node.module).split(".")[0], True, in_function, for_types)
            else:
                yield from of(str(node.module), in_function, for_types)
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for child in node.body:
                yield from walk(child, in_function, True)
            for child in node.orelse:
                yield from walk(child, in_function, for_types)
        else:
            inside = in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for child in ast.iter_child_nodes(node):
                yield from walk(child, inside, for_types)

    def of(name: str, in_function: bool, for_types: bool) -> Iterator[Import]:
        first, *rest = name.split(".")
        if first == ROOT.name:
            yield Import(rest[0] if rest else "__init__", True, in_function, for_types)
        else:
            yield Import(first, False, in_function, for_types)

    return walk(ast.parse(source), False, False)


def faults(module: str, found: Iterator[Import]) -> list[str]:
    """What a module imports although its floor forbids it."""
    if module not in FLOORS:
        return [f"{module} is on no floor: give it one in FLOORS"]
    floor, wrong = FLOORS[module], []
    for name, own, in_function, for_types in found:
        if own:
            if name not in FLOORS:
                wrong.append(f"{module} imports {name}, which is on no floor")
            elif FLOORS[name] > floor and not (for_types and floor >= 3):
                wrong.append(f"{module} (floor {floor}) imports {name} (floor {FLOORS[name]})")
            elif module == "derivatives":
                wrong.append(f"derivatives knows NumPy only, but imports {name}")
        elif name == "tinygrad_lr_viz":
            if module not in KNOWS_VIZ or not (in_function or for_types):
                wrong.append(f"{module} imports {name}{'' if in_function else ' at its top'}")
        elif name not in sys.stdlib_module_names and name != "numpy" and not (in_function or for_types):
            wrong.append(f"{module} imports {name} at its top")
        elif name not in sys.stdlib_module_names and name != "numpy" and floor < 3:
            wrong.append(f"{module} (floor {floor}) imports {name}")
    return wrong


@functools.cache
def modules() -> list[tuple[str, list[Import]]]:
    every = []
    for path in sorted(ROOT.rglob("*.py")):
        inner = path.parent != ROOT
        found = imports(path.read_text("utf-8"), inner)
        if path == ROOT / "testing" / "strategies.py":  # which nothing imports, and is for Hypothesis alone
            found = (i for i in found if i.module != "hypothesis")
        every.append((path.parent.name if inner else path.stem, list(found)))
    return every


def test_imports_point_down() -> None:
    assert not [fault for module, found in modules() for fault in faults(module, iter(found))]


def test_no_two_modules_import_each_other() -> None:
    graph: dict[str, set[str]] = {}
    for module, found in modules():
        needs = {i.module for i in found if i.own and not i.for_types and i.module != "__init__"}
        graph.setdefault(module, set()).update(needs)
    graphlib.TopologicalSorter(graph).prepare()  # CycleError names the circle


@pytest.mark.parametrize(
    ("module", "source", "fault"),
    [
        ("tape", "from .tensor import Tensor", "tape (floor 1) imports tensor (floor 2)"),
        ("tape", "def f():\n    from .tensor import Tensor", "tape (floor 1) imports tensor (floor 2)"),
        (
            "tape",
            "if TYPE_CHECKING:\n    from .tensor import Tensor",
            "tape (floor 1) imports tensor (floor 2)",
        ),
        ("sweep", "from . import tape, trainer", "sweep (floor 1) imports trainer (floor 4)"),
        ("tensor", "import tinygrad_lr.module as m", "tensor (floor 2) imports module (floor 3)"),
        ("tensor", "from tinygrad_lr import Tensor", "tensor (floor 2) imports __init__ (floor 4)"),
        ("tensor", "import numpy, scipy", "tensor imports scipy at its top"),
        ("tensor", "def f():\n    import scipy", "tensor (floor 2) imports scipy"),
        ("module", "from .trainer import Trainer", "module (floor 3) imports trainer (floor 4)"),
        ("module", "from . import __version__", "module (floor 3) imports __init__ (floor 4)"),
        ("board", "import matplotlib.pyplot", "board imports matplotlib at its top"),
        ("board", "def f():\n    import tinygrad_lr_viz.plots", "board imports tinygrad_lr_viz"),
        ("run", "from tinygrad_lr_viz import plots", "run imports tinygrad_lr_viz at its top"),
        ("new", "", "new is on no floor: give it one in FLOORS"),
        ("cli", "from .new import f", "cli imports new, which is on no floor"),
    ],
)
def test_what_is_forbidden_is_found(module: str, source: str, fault: str) -> None:
    assert faults(module, imports(source)) == [fault]


def test_the_table_of_derivatives_knows_numpy_only() -> None:
    assert faults("derivatives", imports("from .table import derivative\nimport numpy, math", True)) == []
    assert faults("derivatives", imports("from ..errors import AutogradError", True)) == [
        "derivatives knows NumPy only, but imports errors"
    ]


def test_what_is_allowed_is_not_found() -> None:
    source = """
import math
import numpy as np
from .tensor import Tensor
if TYPE_CHECKING:
    from .trainer import Trainer
    from matplotlib.axes import Axes
def draw():
    import matplotlib
"""
    assert faults("board", imports(source)) == []
    assert faults("run", imports("def f():\n    from tinygrad_lr_viz import plots")) == []


def test_importing_the_package_imports_numpy_alone() -> None:
    """And nothing more is needed for the checks of gradients, and for an error of the command."""
    script = """
import json, sys, numpy.random
before = set(sys.modules)
import tinygrad_lr, tinygrad_lr.testing
from tinygrad_lr.cli import main
assert main(["--lr", "0"]) == 2
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    new = {name.split(".")[0] for name in json.loads(done.stdout)}
    assert "tinygrad_lr" in new
    unnamed = {"_missing_stdlib_info"}  # Python 3.15 has it, and does not list it
    assert new - sys.stdlib_module_names - unnamed - {"numpy", "tinygrad_lr"} == set()
