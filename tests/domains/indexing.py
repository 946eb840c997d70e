"""Domains of indexing, selecting and sorting."""

import operator
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.lib.stride_tricks import sliding_window_view

from tinygrad_lr.derivatives import scatter

from .basics import Call, Domain, Numbers, distinct, filled, generators, normal, shapes, truths


@st.composite
def arrays(draw: st.DrawFn, numbers: Numbers = normal, **limits: int) -> Any:
    """Arrays of some number of dimensions and size of them."""
    return filled(draw, draw(shapes(**limits)), numbers)


@st.composite
def keys(draw: st.DrawFn, shape: tuple[int, ...]) -> Any:
    """A key of any of the kinds that NumPy's indexing knows."""
    kinds = ["basic", "truth"]
    if shape and 0 not in shape:
        kinds += ["integers", "list", "mixed", "mask", "rows"]
    kind = draw(st.sampled_from(kinds))
    if kind == "basic":
        return draw(hnp.basic_indices(shape, allow_newaxis=True))
    if kind == "truth":
        return draw(st.sampled_from([True, False, np.True_, np.False_]))
    if kind == "integers":
        return draw(hnp.integer_array_indices(shape, result_shape=shapes(max_dims=2)))
    rng = draw(generators)
    if kind == "mask":
        return rng.random(shape) < 0.5
    count = draw(st.integers(1, 4))
    if kind == "list":
        return rng.integers(-shape[0], shape[0], count).tolist()
    mask = rng.random(shape[:1]) < 0.5
    if kind == "rows":  # among them masks beside integers, which may take an element twice
        which = np.flatnonzero(mask)
        seconds = [np.zeros(len(which), int), slice(1), ..., None] if len(shape) > 1 else [..., None]
        return draw(st.sampled_from([mask, mask.tolist(), *((mask, second) for second in seconds)]))
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


def some_axis(a: Any) -> st.SearchStrategy[Any]:
    """None, or an axis of the array."""
    return st.none() | st.integers(-a.ndim, a.ndim - 1) if a.ndim else st.none()


@st.composite
def takes(draw: st.DrawFn) -> Call:
    """Indices as numbers, lists and arrays, with the modes that allow them to be out of range."""
    a = draw(arrays(min_side=1))
    axis = draw(some_axis(a))
    n = a.size if axis is None else a.shape[axis]
    mode = draw(st.sampled_from(["raise", "clip", "wrap"]))
    reach = n if mode == "raise" else 3 * n
    indices = draw(generators).integers(-reach, reach, draw(shapes(max_dims=2)))
    form = draw(st.sampled_from([np.asarray, np.ndarray.tolist]))
    if mode == "raise" and draw(st.booleans()):
        return Call((a, form(indices), axis))
    return Call((a, form(indices)), {"axis": axis, "mode": mode})


@st.composite
def takes_along_an_axis(draw: st.DrawFn) -> Call:
    """Also where the indices or the array have one line for all lines of the other."""
    a = draw(arrays(min_dims=1, min_side=1))
    axis = draw(some_axis(a))
    if axis is None:
        return Call((np.ravel(a), draw(generators).integers(-a.size, a.size, 4), None))
    shape = [1 if draw(st.booleans()) else n for n in a.shape]
    if a.shape[0] == 1 and a.ndim > 1:
        shape[0] = 2
    shape[axis] = draw(st.integers(0, 3))
    n = a.shape[axis]
    return Call((a, draw(generators).integers(-n, n, shape), axis))


@st.composite
def compressions(draw: st.DrawFn) -> Call:
    """The condition may be shorter than the axis."""
    a = draw(arrays())
    axis = draw(some_axis(a))
    n = a.size if axis is None else a.shape[axis]
    condition = truths(draw(generators), draw(st.integers(0, n)))
    if draw(st.booleans()):
        return Call((condition.tolist(), a), {"axis": axis})
    return Call((condition, a, axis))


@st.composite
def extractions(draw: st.DrawFn) -> Call:
    a = draw(arrays())
    return Call((filled(draw, a.shape, truths), a))


@st.composite
def windows(draw: st.DrawFn) -> Call:
    a = draw(arrays(min_dims=1, min_side=1))
    if draw(st.booleans()):
        return Call((a, tuple(draw(st.integers(1, n)) for n in a.shape)))
    axis = draw(st.integers(-a.ndim, a.ndim - 1))
    return Call((a, draw(st.integers(1, a.shape[axis]))), {"axis": axis})


@st.composite
def choices(draw: st.DrawFn) -> Call:
    """A list of arrays that broadcast against the numbers, or one array as the list of its parts."""
    drawn = draw(hnp.mutually_broadcastable_shapes(num_shapes=4, max_dims=2, min_side=0, max_side=3))
    which, *chosen = drawn.input_shapes
    mode = draw(st.sampled_from(["raise", "clip", "wrap"]))
    reach = (0, 3) if mode == "raise" else (-4, 7)
    numbers = draw(generators).integers(*reach, which)
    if draw(st.booleans()):
        parts = filled(draw, (3, *chosen[0]), normal)
    else:
        parts = [filled(draw, shape, normal) for shape in chosen]
    return Call((numbers, parts), {"mode": mode} if mode != "raise" else {})


@st.composite
def selections(draw: st.DrawFn) -> Call:
    """The default is a number: NumPy does not ask it whether it is a Tensor."""
    shape = draw(shapes(max_dims=2))
    count = draw(st.integers(1, 3))
    conditions = [filled(draw, shape, truths) for _ in range(count)]
    chosen = [filled(draw, shape, normal) for _ in range(count)]
    default = draw(st.sampled_from([(), (1.5,)]))
    return Call((conditions, np.array(chosen) if draw(st.booleans()) else chosen, *default))


@st.composite
def sorts(draw: st.DrawFn) -> Call:
    a = draw(arrays(numbers=distinct(0)))
    axis = draw(some_axis(a))
    options = draw(st.sampled_from([{}, {"kind": "heapsort"}, {"stable": True}]))
    if axis == -1 or draw(st.booleans()):
        return Call((a, axis), options)
    return Call((a,), {"axis": axis, **options})


@st.composite
def partitions(draw: st.DrawFn) -> Call:
    a = draw(arrays(min_side=1, numbers=distinct(0)))
    axis = draw(some_axis(a))
    n = a.size if axis is None else a.shape[axis]
    kth = draw(st.integers(-n, n - 1) | st.lists(st.integers(0, n - 1), min_size=1, max_size=2))
    return Call((a, kth, axis))


DOMAINS: dict[Any, Domain] = {
    operator.getitem: Domain(indexings(), analytic=True),
    scatter: Domain(scatterings(), analytic=True),
    np.take: Domain(takes(), analytic=True),
    np.take_along_axis: Domain(takes_along_an_axis(), analytic=True),
    np.compress: Domain(compressions(), analytic=True),
    np.extract: Domain(extractions(), analytic=True),
    np.ix_: Domain(st.builds(lambda a, b: Call((a, b)), *2 * (arrays(min_dims=1, max_dims=1, min_side=1),))),
    sliding_window_view: Domain(windows(), analytic=True),
    np.choose: Domain(choices(), analytic=True),
    np.select: Domain(selections(), analytic=True),
    np.sort: Domain(sorts()),
    np.partition: Domain(partitions()),
}
