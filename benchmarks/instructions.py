"""Instructions per step and stage, as Valgrind's callgrind counts them: `python -m benchmarks.instructions`.

Unlike times they do not depend on what else the machine does. It takes a minute.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

WARM, TIMES = 20, 500


def stages() -> dict[str, Callable[[], Any]]:
    """The chapter's step, batch 32, float64, up to a stage."""
    from tinygrad_lr import asarray, compile, record

    from .workloads import chapter

    rng = np.random.default_rng(0)
    X, y = asarray(rng.normal(size=(32, 2))), asarray(rng.normal(size=(32, 1)))
    w, b = asarray(np.zeros((2, 1))), asarray(np.zeros(1))
    w.attach_grad()
    b.attach_grad()

    def forward() -> Any:
        r = X @ w + b - y
        return np.mean(r**2 / 2)

    def recorded() -> Any:
        with record():
            return forward()

    def gradients() -> Any:
        recorded().backward()

    def step(X: Any, y: Any) -> Any:
        with record():
            r = X @ w + b - y
            loss = np.mean(r**2 / 2)
        loss.backward()
        for p in (w, b):
            p -= 0.03 * p.grad
        return loss

    compiled = compile(step)
    compiled(X, y)
    space: dict[str, Any] = {}
    exec(compiled.executed, space)
    arrays = [t.array for t in (X, y, w, b)]
    by_hand = chapter(np.float64)
    return {
        "hand-written NumPy": by_hand["NumPy"],
        "hand-written NumPy, preallocated": by_hand["NumPy preallocated"],
        "eager, forward, not recorded": forward,
        "eager, forward, recorded": recorded,
        "eager, forward and backward": gradients,
        "eager, the whole step": lambda: step(X, y),
        "compiled, its NumPy calls alone": lambda: space["step"](*arrays),
        "compiled, the whole step": lambda: compiled(X, y),
    }


def count(name: str) -> None:
    """Have callgrind write down what it has counted in this process, and start from zero."""
    subprocess.run(["callgrind_control", f"--dump={name}", str(os.getpid())], capture_output=True, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instructions", description=__doc__)
    parser.add_argument("--within", action="store_true", help="this process is run by Valgrind")
    if parser.parse_args().within:
        for stage, run in stages().items():
            for times, name in ((WARM, "other"), (TIMES, stage)):
                for _ in range(times):
                    run()
                count(name)
        return
    environment = os.environ | {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/counts"]
        program = [sys.executable, "-m", "benchmarks.instructions", "--within"]
        subprocess.run([*valgrind, *program], capture_output=True, env=environment, check=True)
        for path in sorted(Path(folder).iterdir(), key=lambda path: int(path.suffix[1:] or 0)):
            text = path.read_text()
            name, total = (
                re.search(r"Trigger: dump (.*)", text),
                re.search(r"^(?:totals|summary): (\d+)", text, re.M),
            )
            if name is not None and name[1] != "other" and total is not None:
                print(f"{name[1]:<34}{int(total[1]) / TIMES:10,.0f}")


if __name__ == "__main__":
    main()
