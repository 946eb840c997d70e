"""Measuring programs side by side: alternating, in CPU time, as ratios to the first of them."""

import gc
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

Program = Callable[[], Any]

SLICE = 0.01  # seconds of each program per round, so that the clock's grain does not matter
BUDGET = 4.0  # seconds of each program in all: slow ones get fewer rounds, but at least MIN_ROUNDS
MIN_ROUNDS = 3


def results(made: Any) -> list[Any]:
    """What a program returned, as plain NumPy arrays in one dimension."""
    parts = made if isinstance(made, (list, tuple)) else [made]
    return [np.ravel(np.array(p.detach() if hasattr(p, "detach") else getattr(p, "data", p))) for p in parts]


def check(programs: dict[str, Program], tolerance: float, calls: int) -> None:
    """Raise AssertionError unless all programs return the same, call after call."""
    for _ in range(calls):
        first, *others = [(name, results(program())) for name, program in programs.items()]
        for name, made in others:
            if len(made) != len(first[1]):
                raise AssertionError(f"{name} returns {len(made)} results, {first[0]} {len(first[1])}")
            for a, b in zip(made, first[1], strict=True):
                np.testing.assert_allclose(a, b, tolerance, tolerance, err_msg=f"{name} and {first[0]}")


def seconds(program: Program, repeats: int, clock: Callable[[], float]) -> float:
    """CPU seconds of one call; the garbage that it leaves is collected on its account."""
    start = clock()
    for _ in range(repeats):
        program()
    return (clock() - start) / repeats


def measure(
    programs: dict[str, Program], rounds: int, clock: Callable[[], float] = time.process_time
) -> dict[str, list[float]]:
    """Seconds per call of each program in every round; the programs take turns, each round in another order.

    A slow program takes part in the first rounds only.
    """
    once = {name: seconds(program, 1, clock) for name, program in programs.items()}
    repeats = {name: max(1, round(SLICE / max(t, 1e-7))) for name, t in once.items()}
    turns = {
        name: min(rounds, max(MIN_ROUNDS, int(BUDGET / max(t * repeats[name], 1e-7))))
        for name, t in once.items()
    }
    times: dict[str, list[float]] = {name: [] for name in programs}
    names = list(programs)
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            if number < turns[name]:
                gc.collect()
                times[name].append(seconds(programs[name], repeats[name], clock))
    return times


def ratios(times: dict[str, list[float]]) -> dict[str, float]:
    """The median over the rounds of a program's time by that of the first program in the same round."""
    first: Iterable[float] = next(iter(times.values()))
    return {
        name: statistics.median(a / b for a, b in zip(own, first, strict=False))
        for name, own in times.items()
    }
