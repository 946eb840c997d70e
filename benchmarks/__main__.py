"""The table of ratios, and the plot of it: `python -m benchmarks [WORKLOAD ...] [--plot FILE]`."""

import argparse
import os

for library in ("OMP", "OPENBLAS", "MKL"):  # one thread each; read when NumPy is imported
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

from .libraries import INSTALLED, MODULES  # noqa: E402
from .measure import check, measure, ratios  # noqa: E402
from .workloads import WORKLOADS  # noqa: E402

PLOT = "docs/images/benchmarks.svg"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("workloads", nargs="*", choices=[[], *WORKLOADS], metavar="WORKLOAD")
    parser.add_argument("--rounds", type=int, help="how often the programs take turns")
    parser.add_argument("--only", help="programs to measure beside the first, separated by commas")
    parser.add_argument("--plot", nargs="?", const=PLOT, help="file for the plot (default: the README's)")
    arguments = parser.parse_args()
    absent = sorted(set(MODULES) - INSTALLED)
    print(f"not installed: {', '.join(absent)}" if absent else "all libraries are installed")
    table: dict[str, dict[str, float]] = {}
    for key in arguments.workloads or WORKLOADS:
        workload = WORKLOADS[key]
        programs = workload.make()
        if arguments.only:
            kept = arguments.only.split(",")
            programs = {n: p for i, (n, p) in enumerate(programs.items()) if i == 0 or n in kept}
        check(programs, workload.tolerance, 2)
        times = measure(programs, arguments.rounds or workload.rounds, workload.clock)
        found = ratios(times)
        table[workload.title] = found
        first, own = next(iter(times.items()))
        print(f"\n{workload.title}: {first} {1e6 * sorted(own)[len(own) // 2]:,.1f} µs = 1")
        for name, ratio in list(found.items())[1:]:
            limit = workload.limits.get(name)
            verdict = "" if limit is None else f"   at most {limit}" + ("" if ratio <= limit else "  MISSED")
            print(f"  {name:<20}{ratio:10.3g}{verdict}", flush=True)
    if arguments.plot:
        from .plot import draw

        draw(table, arguments.plot)


if __name__ == "__main__":
    main()
