"""Domains of the reductions."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from .basics import Call, Domain, Numbers, distinct, filled, normal, passed, shapes


@st.composite
def reductions(
    draw: st.DrawFn, numbers: Numbers, of_empty: bool = False, ddof: bool = False, dtype: bool = True
) -> Call:
    """An array with axis, keepdims, ...; of no elements only where the function has a value there."""
    a = filled(draw, draw(shapes(min_side=0 if of_empty else 1)), numbers)
    axes = st.none() | hnp.valid_tuple_axes(a.ndim)
    if a.ndim:
        axes |= st.integers(-a.ndim, a.ndim - 1)
    options: dict[str, Any] = {"axis": draw(axes)}
    order = ["axis"]
    if dtype:
        options["dtype"] = None
        order.append("dtype")
    options["out"] = None
    order.append("out")
    if ddof:
        reduced = range(a.ndim) if options["axis"] is None else np.atleast_1d(options["axis"]).astype(int)
        count = int(np.prod([a.shape[i] for i in reduced]))
        options["ddof"] = draw(st.integers(0, min(2, count - 1)))
        order.append("ddof")
    options["keepdims"] = draw(st.booleans())
    order.append("keepdims")
    rest, keywords = passed(draw, options, order)
    return Call((a, *rest), keywords)


DOMAINS: dict[Any, Domain] = {
    np.sum: Domain(reductions(normal, of_empty=True), analytic=True),
    np.mean: Domain(reductions(normal), analytic=True),
    np.max: Domain(reductions(distinct(0), dtype=False)),
    np.min: Domain(reductions(distinct(0), dtype=False)),
    np.var: Domain(reductions(normal, ddof=True)),
    np.std: Domain(reductions(distinct(0.1), ddof=True)),
}
