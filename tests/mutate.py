"""How many faults the suite notices: plants them one at a time, and runs the tests that come by.

    pip install cosmic-ray pytest-cov
    python tests/mutate.py --minutes 30 tinygrad_lr/sweep.py tinygrad_lr/derivatives/*.py

The faults are those of cosmic-ray (other operators, comparisons, numbers; conditions negated; loops without a
turn; decorators gone), in random order until the time is up. Its own runner starts Python and imports
everything anew for each fault, which takes seconds. Here one process imports everything once, tests and all.
For a fault within functions it forks, and the child exchanges their code and runs the tests that reach the
line, the quickest first: most faults are noticed in a fifth of a second. What is run on import, such as a
number in a row of the table, takes a fork without the package, which imports the module with the fault in it.
Which tests reach a line is recorded once, in `.mutation`, to be removed when the suite has changed. Needs a
system with fork.

With `--written FILE` faults that a person wrote are planted instead: a list in JSON, of objects with the
"path" of a module, an "old" text that it has once, and the "new" one.

Printed are the faults that no test noticed, each with its line, and those with which the tests came to no
end: an endless loop, or a machine with too much to do. Most of the former are none: another program that
computes the same.
"""

import argparse
import ast
import difflib
import gc
import importlib.abc
import importlib.util
import json
import marshal
import os
import random
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from functools import partial
from inspect import CO_NEWLOCALS
from multiprocessing import Pipe
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

HERE = Path(__file__).parent.parent
RECORD = HERE / ".mutation"
#: what the engine and the table are tested by
# fmt: off
SUITE = ["rules", "elementwise", "shape", "reductions", "products", "linalg", "indexing", "special",
         "semantics", "programs", "machine", "laws", "testing", "func", "other_arrays", "adjoints",
         "compile", "digits", "closed_form", "names", "numpy_docs", "explain", "oracles", "simplifications"]
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
    """A fault in some lines of a module."""

    path: Path
    lines: range
    planted: Callable[[str], str | None]

    @property
    def source(self) -> str | None:
        """The module with the fault; None where that is no Python, or no other program."""
        code = self.path.read_text()
        source = self.planted(code)
        try:
            return source if source and ast.dump(ast.parse(source)) != ast.dump(ast.parse(code)) else None
        except SyntaxError:
            return None

    def __str__(self) -> str:
        old, new = self.path.read_text().splitlines(), (self.source or "").splitlines()
        changes = list(difflib.unified_diff(old, new, n=0, lineterm=""))[3:]
        return "\n".join([f"{self.path.relative_to(HERE)}:{self.lines.start}", *changes])


def faults(path: Path) -> Iterator[Fault]:
    """All that cosmic-ray can plant in a module."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator, operator_names

    nodes = list(ast_nodes(get_ast(path.read_text())))
    for name in operator_names():
        if not any(word in name for word in LEFT_OUT):
            operator = get_operator(name)()
            places = [start for node in nodes for start, _ in operator.mutation_positions(node)]
            for occurrence, (line, _) in enumerate(places):
                plant = partial(mutate_code, operator=operator, occurrence=occurrence)
                yield Fault(path, range(line, line + 1), plant)


def written(file: Path) -> Iterator[Fault]:
    """Those in a file that a person wrote."""
    for fault in json.loads(file.read_text()):
        path, old = HERE / fault["path"], fault["old"]
        before, *rest = path.read_text().split(old)
        if len(rest) != 1:
            sys.exit(f"{file}: {path} has {len(rest)} times, instead of once: {old}")
        line = before.count("\n") + 1
        yield Fault(path, range(line, line + old.count("\n") + 1), partial(replaced, old, fault["new"]))


def replaced(old: str, new: str, code: str) -> str:
    return code.replace(old, new)


def identity(code: CodeType) -> Any:
    """What tells the code of one function from that of another, in the process and in the file."""
    return code.co_filename, code.co_qualname, code.co_code, tuple(code.co_positions())


def exchanged(old: CodeType, new: CodeType) -> dict[Any, CodeType] | None:
    """The code of the functions that differ in two versions of a module; None if more than that differs."""
    found = {}

    def same(old: CodeType, new: CodeType, within: bool) -> bool:
        """Whether both are the same but for functions; `within` one the same is not asked for."""
        if len(old.co_consts) != len(new.co_consts) or old.co_code != new.co_code:
            return within
        for a, b in zip(old.co_consts, new.co_consts, strict=True):
            if not (isinstance(a, CodeType) and isinstance(b, CodeType)):
                if not within and repr(a) != repr(b):
                    return False
            elif a.co_flags & CO_NEWLOCALS:
                if a.co_freevars != b.co_freevars:
                    return False  # no function of the one can be given the other
                if a != b or identity(a) != identity(b):
                    found[identity(a)] = b
                    same(a, b, True)
            elif not same(a, b, within):  # a class
                return False
        return within or old.co_names == new.co_names

    return found if same(old, new, False) and found else None


def around(fault: Fault, functions: dict[Any, CodeType]) -> set[int]:
    """The lines of those functions that the fault is in."""
    lines = [{place[0] or 0 for place in positions} for *_, positions in functions]
    return {line for within in lines if min(within) <= fault.lines.start <= max(within) for line in within}


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


def outcome(run: Callable[[], int], limit: float) -> bool | None:
    """Whether a run, in a fork, ends with anything but 0; None if it has no end within the limit."""
    child = os.fork()
    if not child:
        os.setsid()
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1), os.dup2(silence, 2)
        status = 1
        try:
            status = run()
        finally:
            os._exit(status)
    end = time.monotonic() + limit
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) != 0
        time.sleep(0.005)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def pytest_run(*arguments: str, plugins: Any = ()) -> int:
    """pytest, in this process, without a word of it kept."""
    import pytest
    from hypothesis import Phase, settings

    from conftest import dev

    # whether there is a failing example, not the smallest one; and nothing is learned from the faults before
    settings.register_profile("found", dev, phases=[Phase.explicit, Phase.generate], database=None)
    quiet = ["-W", "ignore::pytest.PytestAssertRewriteWarning", "--hypothesis-profile=found"]
    options = ["-x", "-q", "-n", "0", "-p", "no:cacheprovider", *quiet]
    return int(pytest.main([*options, *arguments], plugins))


def on_import(fault: Fault, source: str, tests: list[str]) -> int:
    """The tests with the fault in the module when it is imported."""
    sys.meta_path.insert(0, Planted(fault, source))
    status = pytest_run(*tests)
    if status == 4:  # a usage error: the fault has changed the names of tests
        status = pytest_run(*{test.partition("::")[0] for test in tests})
    return status


class Collected:
    """A plugin of pytest that runs no test of its own accord, but those that it is told to, in forks."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def pytest_runtestloop(self, session: Any) -> bool:
        items = {item.nodeid: item for item in session.items}
        live: dict[Any, list[FunctionType]] = {}
        gc.unfreeze()  # see conftest.py: what is frozen is not found
        for function in [f for f in gc.get_objects() if isinstance(f, FunctionType)]:
            if function.__code__.co_filename.startswith(str(HERE)):
                live.setdefault(identity(function.__code__), []).append(function)
        gc.freeze()
        self.connection.send((set(items), set(live)))
        while job := self.connection.recv():
            code, tests, limit = marshal.loads(job)
            run = partial(self.run, items, live, code, tests)
            self.connection.send(outcome(run, limit))
        return True

    def run(self, items: Any, live: Any, code: dict[Any, CodeType], tests: list[str]) -> int:
        for place, new in code.items():
            for function in live.get(place, ()):
                function.__code__ = new
        for test in tests:
            items[test].config.hook.pytest_runtest_protocol(item=items[test], nextitem=None)
        return 0

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            os._exit(1)


def collected() -> tuple[Any, set[str], set[Any]]:
    """A process with everything imported: the connection to it, the tests it has, and the functions."""
    here, there = Pipe()
    if not os.fork():
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os._exit(pytest_run(*(f"tests/test_{name}.py" for name in SUITE), plugins=[Collected(there)]))
    return here, *here.recv()


def quickest(tests: set[str], seconds: dict[str, float], limit: float) -> tuple[list[str], float]:
    """The quickest of some tests, as many as fit into a limit, and how long they take."""
    found, total = [], 0.0
    for test in sorted(tests, key=seconds.__getitem__):
        found.append(test)
        total += seconds[test]
        if total > limit:
            break
    return found, 10 * total + 300


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("modules", nargs="*", type=Path)
    parser.add_argument("--written", type=Path, help="a file of faults to be planted instead")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=60, help="of tests, at most, for each fault")
    arguments = parser.parse_args()
    os.chdir(HERE)
    sys.path[:0] = [str(HERE), str(HERE / "viz"), str(HERE / "tests")]
    seconds, reaching = recorded()
    import hypothesis.extra.numpy  # noqa: F401  # shared by all forks
    import scipy.special  # noqa: F401

    connection, known, live = collected()
    seconds = {test: time for test, time in seconds.items() if test in known}
    if arguments.written:
        planted = list(written(arguments.written))
    else:
        planted = [fault for path in arguments.modules for fault in faults(path.resolve())]
    random.Random(arguments.seed).shuffle(planted)
    end = time.monotonic() + 60 * arguments.minutes
    count = dict.fromkeys(("noticed", "missed", "endless"), 0)
    for fault in planted:
        if time.monotonic() > end:
            break
        if (source := fault.source) is None:
            continue
        old, new = (compile(text, str(fault.path), "exec") for text in (fault.path.read_text(), source))
        functions = exchanged(old, new) or {}
        by_line = reaching[fault.path]
        contexts = {test for line in fault.lines for test in by_line.get(line, [])}
        contexts = contexts or {test for line in around(fault, functions) for test in by_line.get(line, [])}
        reach = contexts & set(seconds)
        failed: bool | None = False
        if reach and not live.isdisjoint(functions):
            connection.send(marshal.dumps((functions, *quickest(reach, seconds, arguments.seconds))))
            failed = connection.recv()
        at_import = not reach or live.isdisjoint(functions) or "" in contexts
        if failed is False and at_import:
            anywhere = {test for test in seconds if test.startswith(AT_IMPORT)}
            anywhere |= set().union(*by_line.values()) & set(seconds)  # where a number or a table may be read
            for some in (reach, anywhere):  # the former are few, and would not be among the quickest
                if some and failed is False:
                    tests, limit = quickest(some, seconds, arguments.seconds)
                    failed = outcome(partial(on_import, fault, source, tests), limit)
        verdict = "endless" if failed is None else "noticed" if failed else "missed"
        count[verdict] += 1
        if not failed:
            print(f"{verdict}: {fault}\n", flush=True)
    connection.send(None)
    print(f"{sum(count.values())} of {len(planted)} faults planted:", count)


if __name__ == "__main__":
    main()
