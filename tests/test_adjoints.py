"""Functions that are linear in an array, on every small call: <h, f(v)> = <v, the gradient for the head h>.

The domains of test_rules.py draw some calls of each function; here are all its axes, offsets and the like, of
arrays whose axes have different lengths.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tinygrad_lr import Tensor, autograd, record, tensor
from tinygrad_lr.errors import name_of

Shape = tuple[int, ...]
Call = tuple[Any, Shape, tuple[Any, ...]]  # a function, the shape of its first argument, and the others
OFFSETS = range(-4, 5)


def of_any_shape(shape: Shape) -> Iterator[Call]:
    n = int(np.prod(shape))
    for function, arguments in {
        np.flip: [()],
        np.roll: [(k,) for k in OFFSETS],
        np.repeat: [(2,), ([3],), (np.arange(n) % 3,)],
        np.tile: [(2,), (0,), ((1, 2),), ((3, 1, 2),), ((2, 1, 1, 3),)],
        np.resize: [((5,),), ((3, 3),), ((2,),), ((),)],
        np.expand_dims: [(0,), (-1,), ((0, -1),)],
        np.append: [(np.ones(2),), (np.ones((2, 1)),)],
        np.pad: [(1,), ((2, 1),), (1, "edge"), (1, "symmetric"), (1, "mean"), ((0, 3), "linear_ramp")],
        np.take: [([0, -1, 0],), ([[5, -7]], None, None, "wrap"), ([9, -9], None, None, "clip")],
        np.ediff1d: [(), (np.ones(2),), (None, 7.0)],
        np.cumsum: [()],
        np.sum: [()],
        np.mean: [()],
        np.ravel: [(), ("F",)],
        np.outer: [(np.array([2.0, -3.0]),)],
        np.multiply.outer: [(np.array([[2.0, -3.0]]),)],
    }.items():
        yield from ((function, shape, rest) for rest in arguments)


def of_nothing(shape: Shape) -> Iterator[Call]:
    """Calls for arrays without elements."""
    some, axis = np.zeros(shape), shape.index(0)
    for function, arguments in {
        np.ravel: [(), ("F",)],
        np.reshape: [(shape[::-1],), (0,)],
        np.flip: [(), (0,)],
        np.roll: [(1,), (1, axis)],
        np.tile: [(2,), (0,), ((3, 1, 2),), ((2, 1, 1, 3),)],
        np.repeat: [(2,), (0,), (2, axis), ([], axis), (2, 0)],
        np.resize: [((0,),), ((3, 0),)],
        np.append: [(np.ones(2),), (some, axis), (np.concatenate([some, some + 1], axis), axis)],
        np.insert: [([], 7.0, axis), (0, 7.0, axis), ([0, 0], 7.0, axis)],
        np.delete: [([], axis), (slice(None), axis)],
        np.pad: [(0,), (1,), ([(0, 0)] * len(shape), "edge")],
        np.split: [(1, axis), ([], axis), ([1, 2], axis)],
        np.take: [([], axis), ([[]], axis)],
        np.sum: [(), (axis,), (0,)],
        np.cumsum: [(), (axis,)],
        np.ediff1d: [(), (1.0, np.ones(2))],
        np.outer: [(np.ones(2),)],
        np.multiply.outer: [(np.ones((1, 2)),)],
        piled: [(np.hstack,), (np.vstack,), (np.dstack,), (np.stack,), (np.block,)],
        nested: [(1,), (2,)],
    }.items():
        yield from ((function, shape, rest) for rest in arguments)


def of_an_axis(shape: Shape) -> Iterator[Call]:
    """Calls along each axis, counted from the front and from the end."""
    for axis in range(-len(shape), len(shape)):
        n = shape[axis]
        some, beside = np.arange(n) % 3, np.ones_like(np.take(np.empty(shape), [0, 0], axis))
        for function, arguments in {
            np.flip: [(axis,)],
            np.roll: [(1, axis), (-5, axis), ((1, 2), (axis, axis))],
            np.repeat: [(2, axis), (0, axis), (some, axis)],
            np.rollaxis: [(axis, start) for start in range(-len(shape), len(shape) + 1)],
            np.delete: [(0, axis), ([0, -1], axis), (slice(None, None, 2), axis)],
            np.insert: [(1, 7.0, axis), ([0, n], 7.0, axis)],
            np.append: [(beside, axis)],
            np.take: [
                ([0, -1, 0], axis),
                (-1, axis),
                ([[5, -7]], axis, None, "wrap"),
                ([9, -9], axis, None, "clip"),
            ],
            np.split: [(n, axis), ([1], axis), ([-1, 1], axis), ([3, 1, -1], axis)],
            np.array_split: [(2, axis), (n + 1, axis)],
            np.cumsum: [(axis,)],
            np.sum: [(axis,), (axis, None, None, True)],
            np.mean: [(axis,), (axis, None, None, True)],
            np.diff: [(k, axis, *ends) for k in range(4) for ends in [(), (1.0, beside), (beside, 2.0)]],
            np.trapezoid: [(None, 0.5, axis), (np.cumsum(some + 1.0), 1.0, axis)],
            np.add.reduce: [(axis,)],
            np.add.accumulate: [(axis,)],
            np.add.reduceat: [([0, n - 1, 0, 0], axis)],
            np.expand_dims: [(axis,)],
        }.items():
            yield from ((function, shape, rest) for rest in arguments)


def of_two_axes(shape: Shape) -> Iterator[Call]:
    ndim = len(shape)
    for i, j in itertools.product(range(-ndim, ndim), repeat=2):
        if (i - j) % ndim:
            for function, arguments in {
                np.swapaxes: [(i, j)],
                np.moveaxis: [(i, j), ((i, j), (j, i)), ((i, j), (0, -1)), ((-1, 0), (i, j))],
                np.rot90: [(k, (i, j)) for k in OFFSETS],
                np.diagonal: [(k, i, j) for k in OFFSETS],
                np.trace: [(k, i, j) for k in OFFSETS],
                np.roll: [((1, 2), (i, j)), (1, (i, j))],
                np.flip: [((i, j),)],
                np.sum: [((i, j),), ((i, j), None, None, True)],
                np.mean: [((i, j),)],
            }.items():
                yield from ((function, shape, rest) for rest in arguments)


def of_axes_of_products(shape: Shape) -> Iterator[Call]:
    """A stack of vectors or matrices along any axes, with another along others."""
    values = np.arange(np.prod(shape)).reshape(shape) % 5 - 1.5
    for i, j, k in itertools.product(range(-3, 3), repeat=3):
        other = np.moveaxis(values, i, j)
        yield by_name, shape, (np.vecdot, other, {"axes": [i, (j,)], "keepdims": k < 0})
        yield by_name, shape, (np.vecdot, other, {"axes": [(i,), j, k], "keepdims": True})
    for i, j, k in itertools.permutations(range(3)):
        last = i - 3 * (j < k)
        yield by_name, shape, (np.vecdot, values, {"axis": last, "keepdims": j == 1})
        stack = np.transpose(values, (k, j, i))[..., :2]
        matrices = np.moveaxis(stack, range(3), (k, i, j))
        yield by_name, shape, (np.matmul, matrices, {"axes": [(i, j), (i, j), (last, k)]})
        if hasattr(np, "matvec"):
            yield by_name, shape, (np.matvec, stack[..., 0].T, {"axes": [(i, j), 0, k % 2]})
            yield by_name, shape, (np.vecmat, stack[0].T, {"axes": [j, (1, 0), last]})


def of_known_axes(shape: Shape) -> Iterator[Call]:
    ndim = len(shape)
    for split, least, axis in ((np.hsplit, 1, min(ndim - 1, 1)), (np.vsplit, 2, 0), (np.dsplit, 3, 2)):
        if ndim >= least:
            yield from ((split, shape, (parts,)) for parts in (shape[axis], [1], [-1, 1], [3, 1, -1], []))
    yield from ((piled, shape, (f,)) for f in (np.hstack, np.vstack, np.dstack, np.column_stack, np.block))


def of_matrices(shape: Shape) -> Iterator[Call]:
    for function in (np.tril, np.triu, np.diagflat, *([np.diag] if len(shape) < 3 else [])):
        yield from ((function, shape, (k,)) for k in OFFSETS)


def calls() -> dict[Any, list[Call]]:
    """The calls of each function."""
    made: dict[Any, list[Call]] = defaultdict(list)
    shapes: list[Shape] = [(), (4,), (2, 3), (2, 3, 4)]
    found = itertools.chain(
        *map(of_any_shape, shapes),
        *map(of_nothing, [(0,), (2, 0), (0, 3), (2, 0, 3)]),
        *map(of_an_axis, shapes),
        ((nested, shape, (depth,)) for shape in shapes for depth in range(4)),
        *map(of_two_axes, shapes),
        *map(of_axes_of_products, shapes[3:]),
        *map(of_known_axes, shapes),
        *map(of_matrices, [(3,), (2, 3), (3, 2), (3, 3), (2, 3, 4)]),
        ((np.transpose, (2, 3, 4), (order,)) for order in itertools.permutations(range(3))),
        ((np.transpose, (2, 3, 4), ((i, j - 3, k - 3),)) for i, j, k in itertools.permutations(range(3))),
        ((np.squeeze, (1, 2, 1, 3), rest) for rest in [(), (0,), (-2,), ((2, 0),)]),
        ((np.pad, (2, 3), (widths, mode)) for widths in WIDTHS for mode in MODES),
        ((trimmed, (3,), ((2, 1), trim)) for trim in ("fb", "f", "B")),
        ((trimmed, (2, 3), (ends, trim)) for ends in WIDTHS[1:] for trim in ("fb", "F", "b")),
    )
    for call in found:
        made[call[0]].append(call)
    return made


def by_name(array: Any, function: Any, other: Any, options: Any) -> Any:
    return function(array, other, **options)


def nested(array: Any, depth: int) -> Any:
    """A block of blocks, each of them with the same parts in another order."""
    parts = [array, 2 * array, -array]
    for _ in range(depth):
        parts = [parts, [*parts[1:], parts[0]], parts]
    return np.block(parts)


def piled(array: Any, function: Any) -> Any:
    return function([array, 2 * array, np.ones_like(array), -array])


def trimmed(core: Any, zeros: Any, trim: Any) -> Any:
    return np.trim_zeros(np.pad(core, zeros), trim)


MODES = ("constant", "edge", "reflect", "symmetric", "wrap", "mean", "linear_ramp")
WIDTHS = ((2, 0), ((1, 2), (0, 3)), ((0, 1), (4, 0)))
CALLS = calls()


@pytest.mark.parametrize("function", CALLS, ids=name_of)
def test_a_gradient_is_the_adjoint(function: Any) -> None:
    rng = np.random.default_rng(0)
    for _, shape, arguments in CALLS[function]:
        v = rng.choice([-3.0, -2, -1, 1, 2, 3, 5], shape)
        value, double = strung(function(v, *arguments)), strung(function(2 * v, *arguments))
        x = tensor(v)
        x.attach_grad()
        with record():
            y: Tensor = strung(function(x, *arguments))
        head = rng.choice([-3.0, -2, -1, 1, 2, 3, 5], value.shape)
        gradient = autograd.grad(y, x, head).array
        assert gradient.shape == shape
        difference = np.sum(gradient * v) - np.sum(head * (double - value))
        assert abs(difference) <= 1e-12 * (1 + np.sum(np.abs(head * value))), (shape, arguments)


def strung(value: Any) -> Any:
    """One array of one or several results."""
    return np.concatenate([np.ravel(part) for part in value]) if isinstance(value, (list, tuple)) else value
