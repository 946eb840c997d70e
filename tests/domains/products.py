"""Domains of the products."""

import re
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from .basics import Call, Domain, filled, generators, normal, shapes

sizes = st.integers(0, 3)


@st.composite
def by_signature(draw: st.DrawFn, function: Any) -> Call:
    """Stacks that broadcast, of vectors and matrices as a generalized ufunc takes them."""
    signature = function.signature
    drawn = draw(hnp.mutually_broadcastable_shapes(signature=signature, max_dims=1, min_side=0, max_side=3))
    return Call(tuple(filled(draw, shape, normal) for shape in drawn.input_shapes))


@st.composite
def along_axes(draw: st.DrawFn, function: Any) -> Call:
    """The same along axes anywhere, and with keywords of ufuncs."""
    arrays = draw(by_signature(function)).arguments
    options = draw(st.sampled_from([{}, {"casting": "unsafe", "order": "C"}]))
    if draw(st.booleans()):
        return Call(arrays, options)
    made = function(*arrays)
    parts = re.findall(r"\((.*?)\)", function.signature)
    cores = [part.count(",") + 1 if part else 0 for part in parts]
    if function is np.matmul:
        first, second = (min(a.ndim, 2) for a in arrays)
        cores = [first, second, first + second - 2]
    places = [
        draw(st.permutations(range(-x.ndim, 0)))[:n] for x, n in zip((*arrays, made), cores, strict=True)
    ]
    moved = [np.moveaxis(a, range(-n, 0), to) for a, n, to in zip(arrays, cores, places, strict=False)]
    axes: list[Any] = [tuple(to) for to in places]
    if function is np.vecdot:
        axes = axes[: draw(st.integers(2, 3))]
        axes[0] = axes[0][0]  # a number will do
        if len(axes) == 2 and draw(st.booleans()):
            options = {**options, "keepdims": draw(st.booleans())}
    return Call(tuple(moved), {**options, "axes": axes})


@st.composite
def vector_dots(draw: st.DrawFn, keepdims: bool) -> Call:
    a, b = draw(by_signature(np.vecdot)).arguments
    if draw(st.booleans()) and a.ndim == b.ndim == 2:
        return Call((np.swapaxes(a, 0, 1), np.swapaxes(b, 0, 1)), {"axis": 0})
    options = st.sampled_from([{}, {"axis": -1}, {"keepdims": True}] if keepdims else [{}, {"axis": -1}])
    return Call((a, b), draw(options))


@st.composite
def dots(draw: st.DrawFn, inner: bool = False) -> Call:
    left, right = draw(shapes(max_dims=3)), draw(shapes(max_dims=3))
    if left and right:
        met = 1 if inner or len(right) == 1 else 2
        right = (*right[:-met], left[-1], *right[len(right) - met + 1 :])
    a, b = filled(draw, left, normal), filled(draw, right, normal)
    return Call(draw(st.sampled_from([(a, b), (a, b), (a, b), (a, 1.5), (0.5, b)])))


@st.composite
def pairs(draw: st.DrawFn) -> Call:
    """Two arrays of any shapes, or an array and a number."""
    a, b = (filled(draw, draw(shapes(max_dims=2)), normal) for _ in range(2))
    return Call(draw(st.sampled_from([(a, b), (a, b), (a, 1.5), (0.5, b)])))


@st.composite
def flat_pairs(draw: st.DrawFn) -> Call:
    """Two arrays with equally many elements."""
    a = filled(draw, draw(shapes()), normal)
    b = filled(draw, a.shape, normal)
    return Call((a, draw(st.sampled_from([b, np.reshape(b, (1, -1)), np.ravel(b)]))) if a.size else (a, b))


@st.composite
def vector_pairs(draw: st.DrawFn) -> Call:
    return Call(tuple(filled(draw, (draw(sizes),), normal) for _ in range(2)))


@st.composite
def tensor_dots(draw: st.DrawFn, positional: bool = True) -> Call:
    summed = draw(st.lists(sizes, max_size=2))
    left, right = draw(st.lists(sizes, max_size=2)), draw(st.lists(sizes, max_size=2))
    if draw(st.booleans()):
        axes: Any = len(summed)
        a, b = (*left, *summed), (*summed, *right)
    else:
        orders = [draw(st.permutations(range(len(free) + len(summed)))) for free in (left, right)]
        a, b = (
            tuple((*summed, *free)[i] for i in order)
            for free, order in zip((left, right), orders, strict=True)
        )
        places = [[order.index(i) for i in range(len(summed))] for order in orders]
        places[0] = [i - len(a) if draw(st.booleans()) else i for i in places[0]]
        axes = (places[0], tuple(places[1]))
        if len(summed) == 1 and draw(st.booleans()):
            axes = (places[0][0], places[1][0])
    arrays = filled(draw, a, normal), filled(draw, b, normal)
    if positional and draw(st.booleans()):
        return Call((*arrays, axes))
    return Call(arrays, {} if axes == 2 else {"axes": axes})


@st.composite
def traces(draw: st.DrawFn) -> Call:
    a = filled(draw, draw(shapes(min_dims=2)), normal)
    first, second = draw(st.permutations(range(a.ndim)))[:2]
    given = (draw(st.integers(-2, 2)), first, second - draw(st.sampled_from([0, a.ndim])))
    count = draw(st.integers(0, 3))
    keywords: dict[str, Any] = dict(zip(("offset", "axis1", "axis2")[count:], given[count:], strict=True))
    return Call((a, *given[:count]), draw(st.sampled_from([keywords, {}])) if count in (0, 3) else keywords)


@st.composite
def stacked_traces(draw: st.DrawFn) -> Call:
    a = filled(draw, draw(shapes(min_dims=2)), normal)
    return Call((a,), draw(st.sampled_from([{}, {"offset": 1}, {"offset": -1}])))


@st.composite
def crosses(draw: st.DrawFn) -> Call:
    """Vectors of space along any axis; NumPy is about to drop those of the plane."""
    stack = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=2, max_side=2))
    shapes = stack.input_shapes
    form, axis = draw(st.sampled_from(["last", "each", "axis"])), -1
    if form == "last":
        return Call(tuple(filled(draw, (*shape, 3), normal) for shape in shapes))
    if form == "axis":  # counted from the end, it means the same axis in both
        axis = -1 - draw(st.integers(0, min(map(len, shapes))))
        places = [len(shape) + 1 + axis for shape in shapes]
    else:
        places = [draw(st.integers(0, len(shape))) for shape in shapes]
    arrays = [
        filled(draw, (*shape[:place], 3, *shape[place:]), normal)
        for shape, place in zip(shapes, places, strict=True)
    ]
    if form == "axis":
        return Call(tuple(arrays), {"axis": axis})
    axisc = draw(st.integers(0, len(stack.result_shape)))
    return draw(
        st.sampled_from(
            [Call((*arrays, *places, axisc)), Call(tuple(arrays), {"axisa": places[0], "axisb": places[1]})]
        )
    )


@st.composite
def space_vectors(draw: st.DrawFn) -> Call:
    stack = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=1, max_side=2))
    arrays = tuple(filled(draw, (*shape, 3), normal) for shape in stack.input_shapes)
    if min(len(shape) for shape in stack.input_shapes) and draw(st.booleans()):
        return Call(tuple(np.swapaxes(a, -1, -2) for a in arrays), {"axis": -2})
    return Call(arrays)


CONTRACTIONS = """
i-> i->i ij->ji ij-> ij ba ii ii->i iij->ji iji-> iii->i ijij->ij
i,i i,j i,j-> ij,jk ij,jk->ki ij,ij->i ij,kj->ik ji,jki->k ,i->i i,->
ii,i->i ii,ij->j ii,jj->ij ij,jj iij,j->i i,i,i->i ij,jk,kl->il bij,bjk->bik
... ...i->... i...->...i ...ii->... ...ii->...i ...ij,...jk ...ij,...jk->...ik
...,... i...,i->... i...,j...->ij... ...,...i->i... ...ij,kj ij...,jk...->ik...
"""


@st.composite
def einsums(draw: st.DrawFn) -> Call:
    """Each contraction with axes of random sizes, some of them 1 in one array only, in both forms of call."""
    subscripts = draw(st.sampled_from(CONTRACTIONS.split()))
    left, arrow, right = subscripts.replace("...", ".").partition("->")
    size = {label: draw(sizes) for label in sorted({*left} - {*".,"})}
    dots = draw(st.lists(sizes, max_size=2))
    options = draw(st.sampled_from([{}, {"optimize": True}, {"optimize": "greedy"}]))
    as_lists = draw(st.booleans())
    arguments: list[Any] = [] if as_lists else [f" {subscripts} "]
    for part in left.split(","):
        shape: list[int] = []
        ones = {label for label in part if draw(st.integers(0, 7)) == 0}  # broadcast against the others
        for label in part:
            full = dots[draw(st.integers(0, 2)) :] if label == "." else [size[label]]
            shape += [1] * len(full) if label in ones else full
        arguments.append(filled(draw, tuple(shape), normal))
        if as_lists:
            arguments.append(numbered(part))
    return Call((*arguments, numbered(right)) if as_lists and arrow else tuple(arguments), options)


def numbered(labels: str) -> list[Any]:
    """Labels as einsum's second form of call takes them."""
    return [... if label == "." else ord(label) - ord("a") for label in labels]


@st.composite
def chains(draw: st.DrawFn) -> Call:
    """Two to four matrices; the first or the last may be a vector."""
    count = draw(st.integers(2, 4))
    size = [draw(sizes) for _ in range(count + 1)]
    matrices = [filled(draw, (size[i], size[i + 1]), normal) for i in range(count)]
    if draw(st.integers(0, 3)) == 0:
        matrices[0] = filled(draw, (size[1],), normal)
    if draw(st.integers(0, 3)) == 0:
        matrices[-1] = filled(draw, (size[-2],), normal)
    return Call((draw(st.sampled_from([matrices, tuple(matrices)])),))


@st.composite
def square(draw: st.DrawFn, min_side: int = 0, max_dims: int = 1) -> Any:
    """A stack of well conditioned square matrices."""
    stack, n = draw(shapes(max_dims=2)), draw(st.integers(min_side, 3))
    off = draw(generators).uniform(-0.5, 0.5, (*stack, n, n))
    return off + np.eye(n) * draw(st.sampled_from([-2.0, 1.5, 2.0]))


@st.composite
def powers(draw: st.DrawFn) -> Call:
    return Call((draw(square()), draw(st.integers(0, 5))))


DOMAINS: dict[Any, Domain] = {
    np.matmul: Domain(along_axes(np.matmul), analytic=True),
    np.linalg.matmul: Domain(by_signature(np.matmul), analytic=True),
    np.vecdot: Domain(vector_dots(keepdims=True) | along_axes(np.vecdot)),
    np.linalg.vecdot: Domain(vector_dots(keepdims=False)),
    np.linalg.multi_dot: Domain(chains(), analytic=True),
    np.linalg.matrix_power: Domain(powers(), analytic=True),
    np.dot: Domain(dots(), analytic=True),
    np.inner: Domain(dots(inner=True), analytic=True),
    np.vdot: Domain(flat_pairs()),
    np.outer: Domain(pairs(), analytic=True),
    np.linalg.outer: Domain(vector_pairs(), analytic=True),
    np.kron: Domain(pairs(), analytic=True),
    np.tensordot: Domain(tensor_dots(), analytic=True),
    np.linalg.tensordot: Domain(tensor_dots(positional=False), analytic=True),
    np.trace: Domain(traces(), analytic=True),
    np.linalg.trace: Domain(stacked_traces(), analytic=True),
    np.cross: Domain(crosses(), analytic=True),
    np.linalg.cross: Domain(space_vectors(), analytic=True),
    np.einsum: Domain(einsums(), analytic=True),
}
if hasattr(np, "matvec"):
    DOMAINS[np.matvec] = Domain(along_axes(np.matvec), analytic=True)
    DOMAINS[np.vecmat] = Domain(along_axes(np.vecmat))
