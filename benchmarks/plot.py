"""The plot of the README: each workload's ratios to hand-written NumPy."""

from typing import Any

import numpy as np

COLOURS = {
    "eager": "C0",
    "compiled": "C1",
    "NumPy preallocated": "C7",
    "PyTorch eager": "C3",
    "JAX jit": "C2",
}


def draw(table: dict[str, dict[str, float]], path: str) -> None:
    """Write the plot; the format is that of the file's ending."""
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(9, 0.62 * len(table) + 1.2), layout="constrained")
    axes = figure.subplots()
    rows = np.arange(len(table))[::-1]
    names = list(dict.fromkeys(name for ratios in table.values() for name in list(ratios)[1:]))
    others = iter(("C4", "C5", "C6", "C8", "C9"))
    for name in names:
        own = name in ("eager", "compiled")
        points = [
            (ratios[name], row) for ratios, row in zip(table.values(), rows, strict=True) if name in ratios
        ]
        axes.plot(
            *zip(*points, strict=True),
            "D" if own else "o",
            color=COLOURS.get(name) or next(others),
            markersize=9 if own else 6,
            label=f"tinygrad_lr, {name}" if own else name,
            zorder=3 if own else 2,
        )
    axes.axvline(1, color="black", linewidth=1)
    axes.set(xscale="log", xlabel="CPU time, hand-written NumPy = 1 (less is faster)")
    axes.set_yticks(rows, list(table))
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="upper center", bbox_to_anchor=(0.3, -0.08), ncols=4, frameon=False)
    figure.savefig(path, metadata={"Date": None} if path.endswith(".svg") else None)
