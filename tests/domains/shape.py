"""Domains of shape, assembly and dtype."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_lr.derivatives import cast

from .basics import Call, Domain, elementwise, filled, generators, nonzero, normal, shapes
from .indexing import arrays, some_axis

# ---- the order of axes, and shape -------------------------------------------------------------------------


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
    """The other orders depend on more than values: test_shape.py tests them."""
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
def axis_rolls(draw: st.DrawFn) -> Call:
    a = draw(arrays(min_dims=1) | arrays(min_dims=3))
    axis = draw(st.integers(-a.ndim, a.ndim - 1))
    return Call((a, axis, *draw(st.just(()) | st.tuples(st.integers(-a.ndim, a.ndim)))))


@st.composite
def broadcasts(draw: st.DrawFn) -> Call:
    a = draw(arrays())
    wider = hnp.broadcastable_shapes(a.shape, min_dims=a.ndim, max_dims=3, min_side=0, max_side=3)
    shape = draw(wider.filter(lambda shape: np.broadcast_shapes(shape, a.shape) == shape))
    return Call((a, shape), draw(st.sampled_from([{}, {"subok": True}])))


@st.composite
def mutual_broadcasts(draw: st.DrawFn) -> Call:
    drawn = draw(hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=3, min_side=0, max_side=3))
    return Call(tuple(filled(draw, shape, normal) for shape in drawn.input_shapes[: draw(st.integers(1, 3))]))


@st.composite
def several(draw: st.DrawFn) -> Call:
    """From one to three arrays of different shapes."""
    return Call(tuple(draw(arrays(max_dims=4)) for _ in range(draw(st.integers(1, 3)))))


@st.composite
def meshes(draw: st.DrawFn) -> Call:
    """Of numbers, vectors and, as NumPy flattens them, matrices."""
    count = draw(st.integers(1, 3))
    vectors = tuple(draw(arrays(max_dims=1) | arrays(max_dims=2)) for _ in range(count))
    options = {"indexing": ["xy", "ij"], "sparse": [False, True], "copy": [True, False]}
    return Call(vectors, {n: draw(st.sampled_from(v)) for n, v in options.items() if draw(st.booleans())})


# ---- joining and splitting --------------------------------------------------------------------------------


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
    chosen = None if flat else axis
    options = draw(st.sampled_from([{}, {"casting": "unsafe"}]))
    return draw(st.sampled_from([Call((made, chosen), options), Call((made,), {"axis": chosen, **options})]))


@st.composite
def piles(draw: st.DrawFn, axis: int, ndim: int, max_dims: int = 3) -> Call:
    """Arrays that differ in size along one axis; or of less dimensions than it takes to have that axis."""
    if draw(st.booleans()):
        lower = draw(shapes(max_dims=ndim - 1))
        parts = [filled(draw, lower, normal) for _ in range(draw(st.integers(1, 3)))]
        if draw(st.booleans()):
            parts.append(np.ones(lower, int))
        return Call((parts,))
    shape = list(draw(shapes(min_dims=ndim, max_dims=max_dims)))
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        shape[axis] = draw(st.integers(0, 3))
        parts.append(filled(draw, tuple(shape), normal))
    return Call((tuple(parts),))


@st.composite
def mixed_piles(draw: st.DrawFn) -> Call:
    """For column_stack: vectors are columns beside matrices."""
    n = draw(st.integers(0, 3))
    kinds = st.sampled_from([(n,), (n, 1), (n, 2)])
    return Call(([filled(draw, draw(kinds), normal) for _ in range(draw(st.integers(1, 3)))],))


@st.composite
def blocks(draw: st.DrawFn) -> Call:
    """Lists to a depth from none to three, with the ones that NumPy adds to shapes left away or written."""
    depth = draw(st.integers(0, 3))
    if depth == 0:
        return Call((draw(arrays()),))
    rows, columns = (draw(st.lists(st.integers(0, 2), min_size=1, max_size=2)) for _ in range(2))

    def leaf(*shape: int) -> Any:
        while shape and shape[0] == 1 and draw(st.booleans()):
            shape = shape[1:]
        return filled(draw, shape, normal)

    if depth == 1:
        return Call(([leaf(1, n) for n in columns],))
    flat = [[leaf(m, n) for n in columns] for m in rows]
    return Call((flat,)) if depth == 2 else Call(([flat, [[leaf(2, sum(rows), sum(columns))]]],))


@st.composite
def appends(draw: st.DrawFn) -> Call:
    """Values of any shape, as an array or a number; with an axis they differ along it."""
    if draw(st.booleans()):
        values = draw(arrays() | st.just(2.5))
        return Call((draw(arrays()), values))
    a = draw(arrays(min_dims=1))
    axis = draw(st.integers(-a.ndim, a.ndim - 1))
    shape = list(a.shape)
    shape[axis] = draw(st.integers(0, 3))
    return Call((a, filled(draw, tuple(shape), normal), axis))


@st.composite
def insertions(draw: st.DrawFn) -> Call:
    """At numbers, lists and slices (older NumPy takes masks for numbers); values that broadcast."""
    a = draw(arrays(min_side=1, max_dims=2))
    axis = draw(some_axis(a))
    n = a.size if axis is None else a.shape[axis]
    place = st.integers(-n, n)
    places: Any = draw(place | st.lists(place, min_size=1, max_size=3))
    if draw(st.booleans()):
        places = draw(st.sampled_from([slice(None, None, 2), np.array(places)]))
    across = () if axis is None else a.shape[: axis % a.ndim] + a.shape[axis % a.ndim + 1 :]
    if isinstance(places, int):  # the values' first axis is the one that is inserted, unless it is left away
        shapes = [(), across, (1, *across), (3, *across), (0, *across)]
    else:
        count = np.insert(np.zeros(n), places, 0.0).size - n
        layers = (count, *across) if axis is None or axis % a.ndim == 0 else (*across, count)
        shapes = [(), layers, tuple(1 if draw(st.booleans()) else m for m in layers)]
    values = filled(draw, draw(st.sampled_from(shapes)), normal)
    return Call((a, places, values if draw(st.booleans()) or values.ndim else values.item(), axis))


@st.composite
def deletions(draw: st.DrawFn) -> Call:
    a = draw(arrays(min_side=1))
    axis = draw(some_axis(a))
    n = a.size if axis is None else a.shape[axis]
    index = st.integers(-n, n - 1)
    places: Any = draw(index | st.lists(index, max_size=3))
    if draw(st.booleans()):
        places = draw(st.sampled_from([slice(None, None, 2), slice(1, -1), np.arange(n) % 2 == 0]))
    return Call((a, places, axis))


@st.composite
def splits(draw: st.DrawFn, axis: int | None = None, min_dims: int = 1, even: bool = True) -> Call:
    """Into a number of parts; or at given places, of which parts may overlap or leave elements out."""
    a = draw(arrays(min_dims=min_dims))
    along = draw(st.integers(-a.ndim, a.ndim - 1)) if axis is None else min(axis, a.ndim - 1)
    n = a.shape[along]
    sections = [k for k in (1, 2, 3) if n % k == 0 or not even]
    places: Any = draw(st.sampled_from(sections) | st.lists(st.integers(-n - 1, n + 1), max_size=3))
    if axis is not None or (along == 0 and draw(st.booleans())):
        return Call((a, places))
    return draw(st.sampled_from([Call((a, places, along)), Call((a, places), {"axis": along})]))


@st.composite
def unstackings(draw: st.DrawFn) -> Call:
    a = draw(arrays(min_dims=1, min_side=1))
    return Call((a,), draw(st.sampled_from([{}, {"axis": a.ndim - 1}, {"axis": -1}])))


# ---- adding and removing elements -------------------------------------------------------------------------


@st.composite
def paddings(draw: st.DrawFn) -> Call:
    """The modes that move elements, and all forms of the widths."""
    a = draw(arrays(min_side=1))
    mode = draw(st.sampled_from(["constant", "edge", "reflect", "symmetric", "wrap"]))
    width = st.integers(0, 4)
    pair = st.tuples(width, width)
    forms = width | st.tuples(width) | pair | st.tuples(pair)
    if a.ndim:
        forms |= st.lists(pair, min_size=a.ndim, max_size=a.ndim).map(tuple) | st.lists(
            width, min_size=2 * a.ndim, max_size=2 * a.ndim
        ).map(lambda widths: np.reshape(widths, (a.ndim, 2)))
    options: dict[str, Any] = {}
    if mode == "constant":
        options = draw(st.sampled_from([{}, {"constant_values": 1.5}, {"constant_values": ((2, 3),)}]))
    elif mode in ("reflect", "symmetric"):
        options = draw(st.sampled_from([{}, {"reflect_type": "even"}]))
    widths = draw(forms)
    if mode == "constant" and draw(st.booleans()):
        return Call((a, widths), options)
    return draw(
        st.sampled_from([Call((a, widths, mode), options), Call((a, widths), {"mode": mode, **options})])
    )


@st.composite
def tilings(draw: st.DrawFn) -> Call:
    count = st.integers(0, 2)
    return Call((draw(arrays()), draw(count | st.lists(count, max_size=4).map(tuple))))


@st.composite
def repetitions(draw: st.DrawFn) -> Call:
    a = draw(arrays())
    axis = draw(some_axis(a))
    n = a.size if axis is None else a.shape[axis]
    repeats = draw(generators).integers(0, 3, n)
    form = draw(st.sampled_from([repeats, repeats.tolist(), 0, 1, 2, np.array(3), [2]]))
    return Call((a, form, axis))


@st.composite
def resizings(draw: st.DrawFn) -> Call:
    return Call((draw(arrays()), draw(shapes() | st.integers(0, 9))))


@st.composite
def trimmings(draw: st.DrawFn) -> Call:
    """What is left between the zeros, how many zeros are at each end, and which of them are trimmed."""
    core = filled(draw, draw(shapes(min_dims=1, max_dims=1)), nonzero)
    zeros = st.integers(0, 2)
    return Call((core, (draw(zeros), draw(zeros)), draw(st.sampled_from(["fb", "f", "b", "FB"]))))


def trimmed(core: Any, zeros: tuple[int, int], trim: Any) -> Any:
    """trim_zeros of numbers among which the zeros stay zero."""
    return np.trim_zeros(np.pad(core, zeros), trim)


# ---- rearranging elements, triangles and diagonals --------------------------------------------------------


@st.composite
def flips(draw: st.DrawFn) -> Call:
    a = draw(arrays())
    axes = some_axis(a) | hnp.valid_tuple_axes(a.ndim)
    return draw(st.sampled_from([Call((a, draw(axes))), Call((a,))]))


@st.composite
def rotations(draw: st.DrawFn) -> Call:
    a = draw(arrays(min_dims=2))
    k = draw(st.integers(-5, 5))
    first, second = draw(st.permutations(range(a.ndim)))[:2]
    return draw(st.sampled_from([Call((a,)), Call((a, k)), Call((a, k, (first, second - a.ndim)))]))


@st.composite
def rolls(draw: st.DrawFn) -> Call:
    a = draw(arrays())
    shift = st.integers(-5, 5)
    choices = [Call((a, draw(shift))), Call((a, draw(shift), None))]
    if a.ndim:
        axis = st.integers(-a.ndim, a.ndim - 1)
        shifts, axes = (draw(shift), draw(shift)), (draw(axis), draw(axis))  # an axis may be rolled twice
        choices += [Call((a, shifts, axes)), Call((a, draw(shift), axes)), Call((a, draw(shift), axes[0]))]
        choices += [Call((a, np.array(shifts), axes[0]))]
    return draw(st.sampled_from(choices))


@st.composite
def shifts_by_half(draw: st.DrawFn) -> Call:
    a = filled(draw, draw(shapes(min_dims=1)), normal)
    axis = st.integers(-a.ndim, a.ndim - 1)
    return Call((a,), draw(st.sampled_from([{}, {"axes": draw(axis)}, {"axes": (draw(axis),)}])))


@st.composite
def triangles(draw: st.DrawFn) -> Call:
    """Of matrices; NumPy takes a vector for one whose rows are equal."""
    a = draw(arrays(min_dims=1))
    return draw(st.sampled_from([Call((a,)), Call((a, draw(st.integers(-3, 3))))]))


@st.composite
def diags(draw: st.DrawFn, max_dims: int = 2) -> Call:
    a = draw(arrays(min_dims=1, max_dims=max_dims))
    return draw(st.sampled_from([Call((a,)), Call((a, draw(st.integers(-3, 3))))]))


@st.composite
def diagonals(draw: st.DrawFn) -> Call:
    a = draw(arrays(min_dims=2) | arrays(min_dims=3))
    offset = draw(st.integers(-3, 3))
    first, second = draw(st.permutations(range(a.ndim)))[:2]
    calls = [Call((a,)), Call((a, offset)), Call((a, offset, first, second - a.ndim))]
    return draw(st.sampled_from([*calls, Call((a,), {"axis2": second, "axis1": first})]))


@st.composite
def last_diagonals(draw: st.DrawFn) -> Call:
    return Call((draw(arrays(min_dims=2)),), draw(st.sampled_from([{}, {"offset": 1}, {"offset": -2}])))


@st.composite
def fills(draw: st.DrawFn) -> Call:
    (a, value), _ = draw(elementwise(normal, normal))
    shape = np.broadcast_shapes(np.shape(a), np.shape(value))
    return Call((np.zeros(shape), value if isinstance(value, np.ndarray) else np.array(value)))


def plain(min_dims: int = 0) -> st.SearchStrategy[Call]:
    """Calls with one array and nothing else."""
    return st.builds(lambda a: Call((a,)), arrays(min_dims=min_dims))


DOMAINS: dict[Any, Domain] = {
    np.transpose: Domain(transposes(), analytic=True),
    np.swapaxes: Domain(axis_swaps(), analytic=True),
    np.moveaxis: Domain(axis_moves(), analytic=True),
    np.rollaxis: Domain(axis_rolls(), analytic=True),
    np.matrix_transpose: Domain(plain(min_dims=2), analytic=True),
    np.linalg.matrix_transpose: Domain(plain(min_dims=2), analytic=True),
    np.reshape: Domain(reshapes(), analytic=True),
    np.ravel: Domain(ravels(), analytic=True),
    np.expand_dims: Domain(expansions(), analytic=True),
    np.squeeze: Domain(squeezes(), analytic=True),
    np.atleast_1d: Domain(several(), analytic=True),
    np.atleast_2d: Domain(several(), analytic=True),
    np.atleast_3d: Domain(several(), analytic=True),
    np.broadcast_to: Domain(broadcasts(), analytic=True),
    np.broadcast_arrays: Domain(mutual_broadcasts(), analytic=True),
    np.meshgrid: Domain(meshes(), analytic=True),
    np.concatenate: Domain(assemblies(stacked=False), analytic=True),
    np.stack: Domain(assemblies(stacked=True), analytic=True),
    np.hstack: Domain(piles(0, 1, max_dims=1) | piles(1, 2), analytic=True),
    np.vstack: Domain(piles(0, 2), analytic=True),
    np.dstack: Domain(piles(2, 3), analytic=True),
    np.column_stack: Domain(mixed_piles() | piles(1, 2), analytic=True),
    np.block: Domain(blocks(), analytic=True),
    np.append: Domain(appends(), analytic=True),
    np.insert: Domain(insertions()),
    np.split: Domain(splits(), analytic=True),
    np.array_split: Domain(splits(even=False), analytic=True),
    np.hsplit: Domain(splits(axis=1), analytic=True),
    np.vsplit: Domain(splits(axis=0, min_dims=2), analytic=True),
    np.dsplit: Domain(splits(axis=2, min_dims=3), analytic=True),
    np.pad: Domain(paddings(), analytic=True),
    np.tile: Domain(tilings(), analytic=True),
    np.repeat: Domain(repetitions(), analytic=True),
    np.delete: Domain(deletions(), analytic=True),
    np.resize: Domain(resizings(), analytic=True),
    np.trim_zeros: Domain(trimmings(), analytic=True, call=trimmed),
    np.flip: Domain(flips(), analytic=True),
    np.fliplr: Domain(plain(min_dims=2), analytic=True),
    np.flipud: Domain(plain(min_dims=1), analytic=True),
    np.rot90: Domain(rotations(), analytic=True),
    np.roll: Domain(rolls(), analytic=True),
    np.fft.fftshift: Domain(shifts_by_half(), analytic=True),
    np.fft.ifftshift: Domain(shifts_by_half(), analytic=True),
    np.tril: Domain(triangles(), analytic=True),
    np.triu: Domain(triangles(), analytic=True),
    np.diag: Domain(diags(), analytic=True),
    np.diagflat: Domain(diags(max_dims=3), analytic=True),
    np.diagonal: Domain(diagonals(), analytic=True),
    np.linalg.diagonal: Domain(last_diagonals(), analytic=True),
    np.copy: Domain(plain(), analytic=True),
    # NumPy 2.0 has no np.astype of a scalar, which a computed number is
    np.astype: Domain(
        st.builds(
            lambda a: Call((a, np.dtype(float))),
            arrays().filter(lambda a: a.ndim > 0 or np.__version__ >= "2.1"),
        )
    ),
    cast: Domain(st.builds(lambda a: Call((a, np.dtype(float))), arrays())),
    np.full_like: Domain(fills()),
}
if hasattr(np, "unstack"):  # NumPy 2.1
    DOMAINS[np.unstack] = Domain(unstackings(), analytic=True)
