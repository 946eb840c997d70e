"""Derivatives that are found by computing the function alone: nothing here knows the engine.

Each takes a function of one number, which may return an array, and gives its derivative at 0 with a bound for
the error of that.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

STEP = 2.0**-7  # a power of two: adding it to a number of order 1 is nearly exact
EPS = float(np.finfo(float).eps)
STEPS = tuple(STEP / 2.0**n for n in range(0, 45, 5))


class Slope(NamedTuple):
    """A derivative in one direction, and a bound for its error.

    Attributes
    ----------
    value, error : of the shape of the function's result.
    rounding : the part of the error that comes from rounding the function's values.

    >>> complex_step(lambda t: 3 * t).value
    3.0
    """

    value: Any
    error: Any
    rounding: Any = 0.0


def central_difference(f: Callable[[float], Any], step: float = STEP) -> Slope:
    """The derivative of f at 0: central differences at three steps, extrapolated to step 0 (Richardson 1927).

    >>> import numpy as np
    >>> slope = central_difference(lambda t: np.exp(2 * t))
    >>> print(abs(slope.value - 2) < slope.error < 1e-9)
    True
    """
    steps = step / 2.0 ** np.arange(3)
    pairs = [(f(h), f(-h)) for h in steps]
    largest = np.max(np.abs(pairs), axis=(0, 1))
    differences = [(ahead - behind) / (2 * h) for h, (ahead, behind) in zip(steps, pairs, strict=True)]
    return _extrapolated(differences, 4, largest / step)


def one_sided_difference(f: Callable[[float], Any], step: float = STEP) -> Slope:
    """The derivative of f at 0 from the right, or from the left with a negative step.

    Where f has a kink it has two of them.

    >>> print(one_sided_difference(abs).value, one_sided_difference(abs, -0.01).value)
    1.0 -1.0
    """
    steps = step / 2.0 ** np.arange(3)
    here, values = f(0.0), [f(h) for h in steps]
    largest = np.max(np.abs([here, *values]), axis=0)
    differences = [(value - here) / h for h, value in zip(steps, values, strict=True)]
    return _extrapolated(differences, 2, 4 * largest / abs(step))


def _extrapolated(differences: list[Any], ratio: int, size: Any) -> Slope:
    """The limit of differences at step 0, each of them taken with half the step of the one before.

    Their error is a series in powers of the step, of which halving the step divides the first by `ratio`, the
    second by `ratio` squared, and so on; so the first two can be removed (L. F. Richardson, "The deferred
    approach to the limit", Phil. Trans. R. Soc. A 226, 1927). What it changed to remove them bounds what
    remains, also where the function is less smooth than the series supposes.
    """
    first, second, third = differences
    rough = second + (second - first) / (ratio - 1)
    better = third + (third - second) / (ratio - 1)
    best = better + (better - rough) / (ratio**2 - 1)
    rounding = 16 * EPS * size
    return Slope(best, np.abs(best - better) + np.abs(better - rough) + rounding, rounding)


def adaptive_difference(f: Callable[[float], Any], noise: Any = 0.0) -> Slope:
    """The derivative of f at 0: central differences with a step that is small enough for f.

    Begins with the step 2⁻⁷, whose rounding is least, and goes on to smaller ones until the result is
    `resolved`. Where none will do the error is large, and it is infinite where f has no value on either side.

    Parameters
    ----------
    f : takes a number and returns an array.
    noise : what rounding does to its values, if that is more than to store them, as where large terms cancel.

    >>> import numpy as np
    >>> print(adaptive_difference(lambda t: np.log(1e-4 + t)).error < 1e-3)  # of 10,000
    True
    """
    best, least = Slope(np.nan, np.inf), 0.0
    with np.errstate(all="ignore"):
        for step in STEPS:
            new = central_difference(f, step)
            # beside the slope over some distance, a much smaller one counts as zero
            least = np.fmax(least, 1e-12 * np.abs(new.value))
            new = Slope(new.value, new.error + noise / step, np.fmax(new.rounding + noise / step, least))
            better = ~resolved(best) & (resolved(new) | (new.error < best.error))
            best = Slope(*(np.where(better, a, b) for a, b in zip(new, best, strict=True)))
            if np.all(resolved(best)):
                break
    return best


def resolved(slope: Slope) -> Any:
    """Where the error of a derivative is small beside it, or no more than rounding; never at NaN."""
    return (slope.error <= 1e-7 * np.abs(slope.value)) | (slope.error <= 32 * slope.rounding)


def complex_step(f: Callable[[complex], Any]) -> Slope:
    """The derivative of f at 0 from a complex step: no difference is taken, so nothing cancels.

    Exact to rounding, however small the derivative, if f is analytic: it must compute with complex numbers,
    without absolute values, conjugates or comparisons (W. Squire and G. Trapp, "Using complex variables to
    estimate derivatives of real functions", SIAM Review 40, 1998).

    >>> import numpy as np
    >>> print(f"{complex_step(lambda t: 1 + 1e-20 * np.sin(t)).value:.3}")
    1e-20
    """
    h = 1e-100
    value = np.imag(f(h * 1j)) / h
    rounding = 4 * EPS * np.abs(value) + h * h
    return Slope(value, rounding, rounding)
