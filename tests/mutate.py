"""How many faults the suite notices: plants them one at a time, and runs the tests that come by.

    pip install cosmic-ray pytest-cov
    python tests/mutate.py --minutes 30 tinygrad_lr/derivatives/*.py

The faults are those of cosmic-ray (other operators, comparisons, numbers; conditions negated; loops without a
turn; decorators gone), in random order until the time is up. Its own runner starts Python and imports
everything anew for each fault; here a process that has imported NumPy, SciPy and Hypothesis is forked, the
module is replaced on import, and only the tests that reach the line are run, the quickest first. What these
are is recorded once, in `.mutation`, to be removed when the suite has changed. Needs a system with fork.

Printed are the faults that no test noticed, each with its line, and those with which the tests came to no
end: an endless loop, or a machine with too much to do. Most of the former are none: another program that
computes the same.
"""

import argparse
import ast
import difflib
import importlib.abc
import importlib.util
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

HERE = Path(__file__).parent.parent
RECORD = HERE / ".mutation"
#: what the engine and the table are tested by
# fmt: off
SUITE = ["rules", "elementwise", "shape", "reductions", "products", "linalg", "indexing", "special",
         "semantics", "programs", "machine", "laws", "testing", "func", "other_arrays", "adjoints"]
# fmt: on
AT_IMPORT = ("tests/test_rules.py", "tests/test_semantics.py")
#: operators of cosmic-ray whose faults are mostly none, or no Python
LEFT_OUT = (
    "Shift",
    "Bit",
    "Mod",
    "FloorDiv",
    "_Is_",
    "IsNot_",
    "_Is",
    "VariableInserter",
    "VariableReplacer",
)


class Fault(NamedTuple):
    """The occurrence of an operator of cosmic-ray in a module."""

    path: Path
    operator: Any
    occurrence: int
    line: int

    @property
    def source(self) -> str | None:
        """The module with the fault; None where that is no Python, or no other program."""
        from cosmic_ray.mutating import mutate_code

        code = self.path.read_text()
        source: str | None = mutate_code(code, self.operator, self.occurrence)
        try:
            return source if source and ast.dump(ast.parse(source)) != ast.dump(ast.parse(code)) else None
        except SyntaxError:
            return None

    def __str__(self) -> str:
        old, new = self.path.read_text().splitlines(), (self.source or "").splitlines()
        changes = list(difflib.unified_diff(old, new, n=0, lineterm=""))[3:]
        return "\n".join([f"{self.path.relative_to(HERE)}:{self.line}", *changes])


def faults(path: Path) -> Iterator[Fault]:
    """All that cosmic-ray can plant in a module."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator, operator_names

    nodes = list(ast_nodes(get_ast(path.read_text())))
    for name in operator_names():
        if not any(word in name for word in LEFT_OUT):
            operator = get_operator(name)()
            places = [start for node in nodes for start, _ in operator.mutation_positions(node)]
            for occurrence, (line, _) in enumerate(places):
                yield Fault(path, operator, occurrence, line)


class Planted(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module another source when it is imported."""

    def __init__(self, fault: Fault, source: str) -> None:
        self.path = fault.path
        self.name = ".".join(fault.path.relative_to(HERE).with_suffix("").parts).removesuffix(".__init__")
        self.code = compile(source, str(fault.path), "exec")

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name != self.name:
            return None
        package = [str(self.path.parent)] if self.path.name == "__init__.py" else None
        return importlib.util.spec_from_file_location(
            name, self.path, loader=self, submodule_search_locations=package
        )

    def create_module(self, spec: Any) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(self.code, module.__dict__)


def recorded() -> tuple[dict[str, float], dict[Path, dict[int, list[str]]]]:
    """How long each test takes, and which tests come by each line."""
    from coverage import CoverageData

    data, times = RECORD / "coverage", RECORD / "times.xml"
    if not times.exists():
        RECORD.mkdir(exist_ok=True)
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-n",
            "auto",
            "--cov=tinygrad_lr",
            "--cov-context=test",
        ]
        tests = [f"tests/test_{name}.py" for name in SUITE]
        subprocess.run(
            [*command, "--cov-report=", f"--junitxml={times}", *tests],
            env={**os.environ, "COVERAGE_FILE": str(data)},
            cwd=HERE,
        )
    seconds = {}
    for case in ET.parse(times).getroot().iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            continue  # what fails without a fault notices none
        folder, file, *classes = case.attrib["classname"].split(".")
        name = "::".join([f"{folder}/{file}.py", *classes, case.attrib["name"]])
        seconds[name] = float(case.attrib["time"])
    coverage = CoverageData(basename=str(data))
    coverage.read()
    return seconds, {
        Path(file): {
            line: [context.partition("|")[0] for context in contexts]
            for line, contexts in coverage.contexts_by_lineno(file).items()
        }
        for file in coverage.measured_files()
    }


def noticed(fault: Fault, source: str, tests: list[str], limit: float) -> bool | None:
    """Whether a test fails where the fault is planted; None if the tests had no end within the limit."""
    child = os.fork()
    if not child:
        os.setsid()
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1), os.dup2(silence, 2)
        status = 1
        try:
            sys.meta_path.insert(0, Planted(fault, source))
            os.chdir(HERE)
            with tempfile.TemporaryDirectory() as folder:  # nothing is learned from the faults before
                os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = folder
                import pytest
                from hypothesis import Phase, settings

                # whether there is a failing example, not the smallest one
                found = [Phase.explicit, Phase.reuse, Phase.generate]
                settings.register_profile("found", phases=found)
                settings.load_profile("found")

                quiet = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
                options = ["-x", "-q", "-n", "0", "-p", "no:cacheprovider", *quiet]
                status = int(pytest.main([*options, *tests]))
                if status == pytest.ExitCode.USAGE_ERROR:  # the fault has changed the names of tests
                    files = {test.partition("::")[0] for test in tests}
                    status = int(pytest.main([*options, *files]))
        finally:
            os._exit(status)
    end = time.monotonic() + limit
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) != 0
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("modules", nargs="+", type=Path)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=60, help="of tests, at most, for each fault")
    arguments = parser.parse_args()
    sys.path[:0] = [str(HERE), str(HERE / "viz"), str(HERE / "tests")]
    seconds, reaching = recorded()
    import hypothesis.extra.numpy  # noqa: F401  # shared by all forks
    import scipy.special  # noqa: F401

    planted = [fault for path in arguments.modules for fault in faults(path.resolve())]
    random.Random(arguments.seed).shuffle(planted)
    end = time.monotonic() + 60 * arguments.minutes
    count = dict.fromkeys(("noticed", "missed", "endless"), 0)
    for fault in planted:
        if time.monotonic() > end:
            break
        if (source := fault.source) is None:
            continue
        contexts = set(reaching[fault.path].get(fault.line, []))
        reach = contexts & set(seconds)
        if not reach or "" in contexts:  # a line that is run on import, such as a row of the table
            reach |= {test for test in seconds if test.startswith(AT_IMPORT)}
        tests, total = [], 0.0
        for test in sorted(reach, key=seconds.__getitem__):
            tests.append(test)
            total += seconds[test]
            if total > arguments.seconds:
                break
        failed = noticed(fault, source, tests, 10 * total + 300)
        verdict = "endless" if failed is None else "noticed" if failed else "missed"
        count[verdict] += 1
        if not failed:
            print(f"{verdict}: {fault}\n", flush=True)
    print(f"{sum(count.values())} of {len(planted)} faults planted:", count)


if __name__ == "__main__":
    main()
