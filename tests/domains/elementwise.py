"""Domains of the elementwise functions."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from .basics import (
    Call,
    Domain,
    distinct,
    dividends,
    divisors,
    elementwise,
    exponents,
    nonzero,
    normal,
    positive,
    truths,
)


@st.composite
def clips(draw: st.DrawFn) -> Call:
    (a, low, high), _ = draw(elementwise(distinct(0), distinct(0.25), distinct(0.25)))
    bounds = draw(st.sampled_from([(low, high), (low, None), (None, high)]))
    if not isinstance(a, np.ndarray):
        a = np.array(a)
    form = draw(st.sampled_from(["position", "min, max", "a_min, a_max"]))
    if form == "position":
        return Call((a, *bounds))
    return Call((a,), dict(zip(form.split(", "), bounds, strict=True)))


DOMAINS: dict[Any, Domain] = {
    np.positive: Domain(elementwise(normal), analytic=True),
    np.negative: Domain(elementwise(normal), analytic=True),
    np.add: Domain(elementwise(normal, normal), analytic=True),
    np.subtract: Domain(elementwise(normal, normal), analytic=True),
    np.multiply: Domain(elementwise(normal, normal), analytic=True),
    np.divide: Domain(elementwise(normal, nonzero), analytic=True),
    np.reciprocal: Domain(elementwise(nonzero), analytic=True),
    np.remainder: Domain(elementwise(dividends, divisors)),
    np.square: Domain(elementwise(normal), analytic=True),
    np.sqrt: Domain(elementwise(positive), analytic=True),
    np.power: Domain(elementwise(positive, normal) | elementwise(nonzero, exponents), analytic=True),
    np.exp: Domain(elementwise(normal), analytic=True),
    np.log: Domain(elementwise(positive), analytic=True),
    np.sin: Domain(elementwise(normal), analytic=True),
    np.cos: Domain(elementwise(normal), analytic=True),
    np.tanh: Domain(elementwise(normal), analytic=True),
    np.absolute: Domain(elementwise(nonzero)),
    np.maximum: Domain(elementwise(distinct(0), distinct(0.25))),
    np.minimum: Domain(elementwise(distinct(0), distinct(0.25))),
    np.where: Domain(elementwise(truths, normal, normal), analytic=True),
    np.clip: Domain(clips()),
}
