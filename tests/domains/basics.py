"""What the domains of all functions are made of: kinds of numbers, shapes, arrays, and calls."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

# ---- numbers ----------------------------------------------------------------------------------------------

Numbers = Callable[[np.random.Generator, int], Any]  # how many numbers from which generator


def normal(rng: np.random.Generator, n: int) -> Any:
    """Numbers of either sign, and some zeros of either sign."""
    return rng.uniform(-2, 2, n) * (rng.random(n) < 0.85)


def positive(rng: np.random.Generator, n: int) -> Any:
    return rng.uniform(0.3, 3, n)


def nonzero(rng: np.random.Generator, n: int) -> Any:
    return rng.uniform(0.3, 2, n) * rng.choice([-1, 1], n)


def distinct(offset: float) -> Numbers:
    """Numbers at least 0.5 apart, and 0.25 from those with an offset of 0.25: no ties, no kinks nearby."""
    return lambda rng, n: (rng.permutation(n) - n // 2) * 0.5 + offset


def dividends(rng: np.random.Generator, n: int) -> Any:
    return rng.choice([-5, -3, -1, 1, 3, 5], n) + rng.uniform(-0.1, 0.1, n)


def divisors(rng: np.random.Generator, n: int) -> Any:
    """Such that no dividend is near a multiple of a divisor."""
    return rng.choice([-4, -2, 2, 4], n) + rng.uniform(-0.1, 0.1, n)


def truths(rng: np.random.Generator, n: int) -> Any:
    return rng.random(n) < 0.5


def exponents(rng: np.random.Generator, n: int) -> Any:
    return rng.integers(-3, 4, n)


# ---- calls ------------------------------------------------------------------------------------------------


class Call(NamedTuple):
    """Arguments (arrays, lists of arrays, and whatever else the function takes) and keywords."""

    arguments: tuple[Any, ...]
    options: dict[str, Any] = {}  # noqa: RUF012  # never written


class Domain(NamedTuple):
    calls: st.SearchStrategy[Call]
    analytic: bool = False  # whether the function also takes complex numbers, and is analytic there
    floats: tuple[Any, ...] = (np.float64, np.float32, np.float16)  # the dtypes that the function takes
    call: Any = None  # what is called in its place, such as a function of its result that has no signs


generators = st.integers(0, 2**20).map(np.random.default_rng)


def shapes(min_dims: int = 0, min_side: int = 0, max_dims: int = 3) -> st.SearchStrategy[tuple[int, ...]]:
    return hnp.array_shapes(min_dims=min_dims, max_dims=max_dims, min_side=min_side, max_side=3)


def filled(draw: st.DrawFn, shape: tuple[int, ...], numbers: Numbers) -> Any:
    return np.reshape(numbers(draw(generators), int(np.prod(shape))), shape)


@st.composite
def arrays(draw: st.DrawFn, min_dims: int = 0, numbers: Numbers = normal) -> Any:
    return filled(draw, draw(shapes(min_dims)), numbers)


@st.composite
def elementwise(draw: st.DrawFn, *numbers: Numbers) -> Call:
    """Arrays that broadcast against each other, and numbers of Python's beside the first of them."""
    base = draw(shapes(min_side=1))  # without it nearly all would be of one element, or of one row
    drawn = hnp.mutually_broadcastable_shapes(
        num_shapes=len(numbers), base_shape=base, max_dims=3, min_side=0, max_side=3
    )
    pairs = zip(draw(drawn).input_shapes, numbers, strict=True)
    made = [filled(draw, shape, kind) for shape, kind in pairs]
    if len(made) > 1 and draw(st.booleans()):
        plain = draw(st.integers(0, len(made) - 1))
        others = [a for i, a in enumerate(made) if i != plain]
        if made[plain].size and any(a.dtype == float for a in others):
            made[plain] = made[plain].flat[0].item()
    return Call(tuple(made))


DEFAULTS = {"axis": None, "dtype": None, "out": None, "ddof": 0, "keepdims": False}


def passed(draw: st.DrawFn, options: dict[str, Any], positional: Sequence[str]) -> Call:
    """Options as keywords, the first of them by position, and defaults left away."""
    count = draw(st.integers(0, len(positional)))
    left = {name: options[name] for name in options if name not in positional[:count]}
    if draw(st.booleans()):
        left = {name: value for name, value in left.items() if value != DEFAULTS[name]}
    return Call(tuple(options[name] for name in positional[:count]), left)


def lying(array: Any, how: str) -> Any:
    """An equal array in another memory layout, which cannot be written."""
    if array.ndim == 0:
        how = "C"
    if how == "Fortran":
        array = np.asfortranarray(array)
    elif how == "permuted":
        array = np.ascontiguousarray(np.moveaxis(array, 0, -1))
        array = np.moveaxis(array, -1, 0)
    elif how == "reversed":
        array = np.ascontiguousarray(np.flip(array))
        array = np.flip(array)
    elif how == "strided":
        array = np.repeat(array, 2, axis=-1)[..., ::2]
    array = array.view()
    array.flags.writeable = False
    return array
