"""Instructions per step and stage, as Valgrind's callgrind counts them: `python -m benchmarks.instructions`.

Unlike times they do not depend on what else the machine does. A stage is run many times, and few times; the
difference leaves out what starting up costs. One step takes a few minutes in all.
"""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

FEW, MANY = 20, 520


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


def counted(stage: str, times: int) -> int:
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable, "-m"]
    environment = os.environ | {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    arguments = ["benchmarks.instructions", "--stage", stage, "--times", str(times)]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, env=environment, check=True)
    found = re.search(r"refs:\s*([\d,]+)", done.stderr)
    assert found is not None, done.stderr
    return int(found[1].replace(",", ""))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instructions", description=__doc__)
    parser.add_argument("--stage", help="run this one, without Valgrind")
    parser.add_argument("--times", type=int, default=MANY)
    arguments = parser.parse_args()
    if arguments.stage:
        run = stages()[arguments.stage]
        for _ in range(arguments.times):
            run()
        return
    for stage in stages():
        each = (counted(stage, MANY) - counted(stage, FEW)) / (MANY - FEW)
        print(f"{stage:<34}{each:10,.0f}", flush=True)


if __name__ == "__main__":
    main()
