"""First and second derivatives over many magnitudes, each to its own digits: see data/record_mpmath.py.

A derivative may be off by a few roundings of itself, and by what it moves if an argument is rounded another
way. So neither 1 - expit(x) passes for expit(-x), nor a series with too few terms.
"""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_lr
from tinygrad_lr import asarray, autograd, record

SLOPES: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "mpmath.json").read_text("utf-8"))
#: other functions that have the same derivatives
SLOPES |= {name.replace("power", "float_power"): SLOPES[name] for name in [*SLOPES] if "power" in name}
SLOPES |= {f"special.{f}(x)": SLOPES[f"np.{f}(x)"] for f in ("expm1", "exp2", "log1p", "cbrt", "i0")}
SLOPES |= {"special.polygamma(0, x)": SLOPES["special.psi(x)"]}
SLOPES |= {"special.loggamma(x)": SLOPES["special.gammaln(x)"]}  # NaN where x < 0
if importlib.util.find_spec("scipy") is None:
    SLOPES = {name: rows for name, rows in SLOPES.items() if name.startswith("np.")}

#: whose values, or those of their neighbours, have lost some digits already
ROUGH = (
    "np.sinc",
    *(f"special.{f}" for f in ("gamma", "polygamma", "beta", "j", "y", "airy", "expi", "fr", "hyp0")),
)
#: whose second derivatives are differences of terms as large as the first, or as its quotient by the argument
DIFFERENCES = {"np.arcsin(x)", "np.arccos(x)", "np.arctanh(x)", "special.expit(x)", "special.boxcox1p(a, b)"}
QUOTIENTS = {"np.hypot(a, b)", "np.arctan2(a, b)", "special.pseudo_huber(a, b)"}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", SLOPES)
@np.errstate(all="ignore")
def test_digits(name: str, dtype: Any) -> None:
    rows = np.array(SLOPES[name], float)
    count = 1 if rows.shape[1] == 5 else 2
    eps, largest = np.finfo(dtype).eps, float(np.finfo(dtype).max) / 1e3
    least = max(1e3 / largest, 2e-300)  # what is smaller is recorded as 0
    arguments = [asarray(a.astype(dtype)) for a in rows[:, :count].T]
    for a in arguments:
        a.attach_grad()

    def by_each(y: Any) -> list[Any]:
        return autograd.grad(y + sum(0 * a for a in arguments), arguments, create_graph=True)

    names = {"np": np, "special": tinygrad_lr.special} if "special" in name else {"np": np}
    with record():
        y = eval(name, names | dict(zip("xb" if count == 1 else "ab", arguments, strict=False)))
        firsts = by_each(y)
        seconds = [second for first in firsts for second in by_each(first)]
    if count == 2:
        del seconds[2]  # by b, then a
    given = np.abs([*rows[:, :count].T, np.where(y.array == 0, 1, y.array)])
    held = np.all((given < largest) & (given > 1 / largest) | (given == 0), axis=0)
    digits, roundings = (3e-12, 2) if dtype is np.float64 else (2e-5, 8)
    if dtype is np.float64 and not name.startswith(ROUGH):
        digits, roundings = 3e-12 if "special" in name else 2e-13, 0
    for k, made in enumerate(firsts + seconds):
        expected, moves = rows[:, count + 2 * k], rows[:, count + 2 * k + 1]
        moves = np.where(np.isnan(moves), 0, moves)  # larger than a number can be
        bound = digits * np.abs(expected) + roundings * eps * moves + least
        if name in DIFFERENCES and k >= count:
            bound += 2 * eps * np.abs(rows[:, count])
        if name in QUOTIENTS and k >= count:
            bound += 2 * eps * np.abs(rows[:, count + 2] / rows[:, 1])
        if name == "np.tanh(x)":
            bound += 2 * eps  # 1 - y * y, as the table says
        sure = held & (np.abs(expected) < largest) & (roundings * eps * moves <= np.abs(expected) + least)
        np.testing.assert_array_less(np.abs(made.array - expected)[sure], bound[sure], f"derivative {k}")
