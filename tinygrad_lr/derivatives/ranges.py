"""Ranges between two ends: each number of a range is a mean of its ends.

With a weight t from 0 to 1 it is (1 - t) start + t stop in `np.linspace`, the base to that power in
`np.logspace`, and the geometric mean start**(1 - t) stop**t in `np.geomspace`.
"""

import math
from typing import Any

import numpy as np

from .indexing import along, counting
from .table import composed, derivative


def _mean(end: int, g: Any, num: int, endpoint: Any, axis: int) -> Any:
    """The gradient of a weighted mean of two ends for one, start (0) or stop (1), summed over the range.

    Either end has no part in the other: what may be infinite there does not reach it.
    """
    t = (counting(num, g) / max(num - bool(endpoint), 1)).astype(g.dtype)
    some = slice(1, None) if end else slice(None, -1 if endpoint and num > 1 else None)
    return np.tensordot((t if end else 1 - t)[some], g[along(axis, some, g.ndim)], (0, axis))


def _linspace(end: int, g: Any, num: int, endpoint: Any, retstep: Any, axis: int) -> Any:
    if not retstep:
        return _mean(end, g, num, endpoint, axis)
    sign = 1 if end else -1  # of the end in the step, (stop - start) / (num - 1)
    return _mean(end, g[0], num, endpoint, axis) + g[1] * (sign / (num - bool(endpoint)))


def _without_a_step(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: Any = True,
    retstep: Any = False,
    dtype: Any = None,
    axis: int = 0,
    **options: Any,
) -> Any:
    """np.linspace of so few numbers that they have no step: NumPy gives NaN for it, not an array."""
    if not retstep or num > bool(endpoint):
        return NotImplemented
    return np.linspace(start, stop, num, endpoint, dtype=dtype, axis=axis, **options), math.nan


# fmt: off

derivative(np.linspace,
    lambda g, y, start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0, *, device=None:
        _linspace(0, g, num, endpoint, retstep, axis),
    lambda g, y, start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0, *, device=None:
        _linspace(1, g, num, endpoint, retstep, axis))
composed(np.linspace, _without_a_step)
derivative(np.logspace,
    lambda g, y, start, stop, num=50, endpoint=True, base=10.0, dtype=None, axis=0:
        _mean(0, g * y, num, endpoint, axis) * np.log(base, dtype=g.dtype),
    lambda g, y, start, stop, num=50, endpoint=True, base=10.0, dtype=None, axis=0:
        _mean(1, g * y, num, endpoint, axis) * np.log(base, dtype=g.dtype))
derivative(np.geomspace,
    lambda g, y, start, stop, num=50, endpoint=True, dtype=None, axis=0:
        _mean(0, g * y, num, endpoint, axis) / start,
    lambda g, y, start, stop, num=50, endpoint=True, dtype=None, axis=0:
        _mean(1, g * y, num, endpoint, axis) / stop)

# fmt: on
