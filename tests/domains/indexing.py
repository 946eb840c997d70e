"""Domains of indexing and of its counterpart."""

import operator
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_lr.derivatives import scatter

from .basics import Call, Domain, filled, generators, normal, shapes


@st.composite
def keys(draw: st.DrawFn, shape: tuple[int, ...]) -> Any:
    """A key of any of the kinds that NumPy's indexing knows."""
    kinds = ["basic"]
    if shape and 0 not in shape:
        kinds += ["integers", "list", "mixed", "mask", "rows"]
    kind = draw(st.sampled_from(kinds))
    if kind == "basic":
        return draw(hnp.basic_indices(shape, allow_newaxis=True))
    if kind == "integers":
        return draw(hnp.integer_array_indices(shape, result_shape=shapes(max_dims=2)))
    rng = draw(generators)
    if kind == "mask":
        return rng.random(shape) < 0.5
    if kind == "rows":
        return rng.random(shape[:1]) < 0.5
    count = draw(st.integers(1, 4))
    if kind == "list":
        return rng.integers(-shape[0], shape[0], count).tolist()
    parts: list[Any] = []  # integers that repeat beside slices, numbers, None and ...
    for n in shape:
        integers, number = rng.integers(-n, n, count), int(rng.integers(-n, n))
        parts += draw(
            st.sampled_from([[integers], [slice(None)], [slice(None, None, -1)], [number], [None, integers]])
        )
    return tuple(parts)


@st.composite
def indexings(draw: st.DrawFn) -> Call:
    shape = draw(shapes() | shapes(min_dims=1, min_side=1))
    return Call((filled(draw, shape, normal), draw(keys(shape))))


@st.composite
def scatterings(draw: st.DrawFn) -> Call:
    shape = draw(shapes() | shapes(min_dims=1, min_side=1))
    key = draw(keys(shape))
    return Call((filled(draw, np.zeros(shape)[key].shape, normal), key, shape))


DOMAINS: dict[Any, Domain] = {
    operator.getitem: Domain(indexings(), analytic=True),
    scatter: Domain(scatterings(), analytic=True),
}
