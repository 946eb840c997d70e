"""Domains of the ranges between two ends."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from .basics import Call, Domain, Numbers, elementwise, normal, positive


def negative(rng: np.random.Generator, n: int) -> Any:
    return -positive(rng, n)


@st.composite
def ranges(draw: st.DrawFn, numbers: Numbers, **more: st.SearchStrategy[Any]) -> Call:
    ends, _ = draw(elementwise(numbers, numbers))
    ndim = max(map(np.ndim, ends)) + 1
    drawn = {"num": st.integers(0, 5), "endpoint": st.booleans(), **more}
    options = {name: draw(values) for name, values in drawn.items()}
    if draw(st.booleans()):
        options["axis"] = draw(st.integers(-ndim, ndim - 1))
    count = draw(st.integers(0, 2))
    return Call((*ends, *list(options.values())[:count]), dict(list(options.items())[count:]))


DOMAINS: dict[Any, Domain] = {
    np.linspace: Domain(ranges(normal) | ranges(normal, num=st.integers(2, 5), retstep=st.booleans())),
    np.logspace: Domain(ranges(normal, base=st.sampled_from([2, 10.0]))),
    np.geomspace: Domain(ranges(positive) | ranges(negative)),
}
