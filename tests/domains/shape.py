"""Domains of shape, assembly and dtype."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_lr.derivatives import cast

from .basics import Call, Domain, arrays, elementwise, filled, normal, shapes


@st.composite
def reshapes(draw: st.DrawFn) -> Call:
    a = draw(arrays())
    n = a.size
    options = [(n,), (1, n), (n, 1, 1), -1, n]
    if n % 2 == 0 and n:
        options += [(2, -1), (n // 2, 2)]
    if n == 1:
        options.append(())
    if n == 0:
        options = [(0,), (3, 0), 0]
    shape = draw(st.sampled_from(options))
    order: dict[str, Any] = draw(st.sampled_from([{}, {"order": "C"}, {"order": "F"}]))
    return Call((a, shape), order)


@st.composite
def ravels(draw: st.DrawFn) -> Call:
    return Call((draw(arrays()), *draw(st.sampled_from([(), ("C",), ("F",)]))))


@st.composite
def expansions(draw: st.DrawFn) -> Call:
    a = draw(arrays())
    axes = hnp.valid_tuple_axes(a.ndim + 2, min_size=2, max_size=2) | st.integers(-a.ndim - 1, a.ndim)
    return Call((a, draw(axes)))


@st.composite
def squeezes(draw: st.DrawFn) -> Call:
    shape = draw(st.lists(st.sampled_from([1, 1, 2, 3]), max_size=4))
    ones = [i for i, n in enumerate(shape) if n == 1]
    choices: list[dict[str, Any]] = [{}, {"axis": None}, {"axis": tuple(ones)}]
    if ones:
        choices += [{"axis": ones[-1]}, {"axis": ones[0] - len(shape)}]
    return Call((filled(draw, tuple(shape), normal),), draw(st.sampled_from(choices)))


@st.composite
def transposes(draw: st.DrawFn) -> Call:
    a = draw(arrays() | arrays(min_dims=3))  # with less than three axes every order undoes itself
    order = draw(st.permutations(range(a.ndim)))
    mixed = tuple(i - a.ndim if draw(st.booleans()) else i for i in order)
    return Call((a, *draw(st.sampled_from([(mixed,), (list(mixed),), (None,), ()]))))


@st.composite
def axis_swaps(draw: st.DrawFn) -> Call:
    a = draw(arrays(min_dims=1))
    axis = st.integers(-a.ndim, a.ndim - 1)
    return Call((a, draw(axis), draw(axis)))


@st.composite
def axis_moves(draw: st.DrawFn) -> Call:
    a = draw(arrays(min_dims=1) | arrays(min_dims=3))
    if draw(st.booleans()):
        return Call((a, draw(st.integers(-a.ndim, a.ndim - 1)), draw(st.integers(-a.ndim, a.ndim - 1))))
    count = draw(st.integers(1, a.ndim))
    source, target = draw(st.permutations(range(a.ndim))), draw(st.permutations(range(a.ndim)))
    return Call((a, source[:count], [i - a.ndim for i in target[:count]]))


@st.composite
def broadcasts(draw: st.DrawFn) -> Call:
    a = draw(arrays())
    return Call(
        (
            a,
            draw(
                hnp.broadcastable_shapes(a.shape, min_dims=a.ndim, max_dims=3, min_side=0, max_side=3).filter(
                    lambda shape: np.broadcast_shapes(shape, a.shape) == shape
                )
            ),
        )
    )


@st.composite
def assemblies(draw: st.DrawFn, stacked: bool) -> Call:
    """A list or tuple of arrays, some of them integers, and an axis (None joins arrays of any shape)."""
    shape = draw(shapes(min_dims=0 if stacked else 1, max_dims=2))
    axis = draw(st.integers(-len(shape) - stacked, len(shape) - 1 + stacked))
    flat = not stacked and draw(st.booleans())
    count = draw(st.integers(1, 3))
    parts = []
    for _ in range(count):
        own = list(shape)
        if flat:
            own = list(draw(shapes()))
        elif not stacked:
            own[axis] = draw(st.integers(0, 3))
        parts.append(filled(draw, tuple(own), normal))
    if count > 1 and draw(st.booleans()):
        parts[-1] = np.ones(parts[-1].shape, int)
    made = parts if draw(st.booleans()) else tuple(parts)
    return draw(
        st.sampled_from(
            [Call((made, None if flat else axis)), Call((made,), {"axis": None if flat else axis})]
        )
    )


@st.composite
def fills(draw: st.DrawFn) -> Call:
    (a, value), _ = draw(elementwise(normal, normal))
    shape = np.broadcast_shapes(np.shape(a), np.shape(value))
    return Call((np.zeros(shape), value if isinstance(value, np.ndarray) else np.array(value)))


DOMAINS: dict[Any, Domain] = {
    cast: Domain(st.builds(lambda a: Call((a, np.dtype(float))), arrays())),
    np.expand_dims: Domain(expansions(), analytic=True),
    np.squeeze: Domain(squeezes(), analytic=True),
    np.reshape: Domain(reshapes(), analytic=True),
    np.ravel: Domain(ravels(), analytic=True),
    np.transpose: Domain(transposes(), analytic=True),
    np.matrix_transpose: Domain(st.builds(lambda a: Call((a,)), arrays(min_dims=2)), analytic=True),
    np.swapaxes: Domain(axis_swaps(), analytic=True),
    np.moveaxis: Domain(axis_moves(), analytic=True),
    np.broadcast_to: Domain(broadcasts(), analytic=True),
    np.copy: Domain(st.builds(lambda a: Call((a,)), arrays()), analytic=True),
    np.concatenate: Domain(assemblies(stacked=False), analytic=True),
    np.stack: Domain(assemblies(stacked=True), analytic=True),
    np.full_like: Domain(fills()),
}
