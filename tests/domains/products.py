"""Domains of the products."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from .basics import Call, Domain, filled, normal, shapes


@st.composite
def matrix_products(draw: st.DrawFn) -> Call:
    drawn = draw(
        hnp.mutually_broadcastable_shapes(
            signature=np.matmul.signature,
            max_dims=1,
            min_side=0,
            max_side=3,
        )
    )
    a, b = (filled(draw, shape, normal) for shape in drawn.input_shapes)
    return Call((a, b))


@st.composite
def dots(draw: st.DrawFn) -> Call:
    left, right = draw(shapes(max_dims=3)), draw(shapes(max_dims=3))
    if left and right:
        right = (*right[:-2], left[-1], *right[-1:]) if len(right) > 1 else left[-1:]
    return Call((filled(draw, left, normal), filled(draw, right, normal)))


DOMAINS: dict[Any, Domain] = {
    np.matmul: Domain(matrix_products(), analytic=True),
    np.dot: Domain(dots(), analytic=True),
}
