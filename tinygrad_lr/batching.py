"""A linear function of an array, such as a pullback, for many arrays at once.

`each` notes the calls that the function makes for one array. Then it makes the same calls for a stack of
arrays, with one more axis in front, where it knows what becomes of that axis; for other functions it says so.
"""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from .compiler import GradientOf, Tracer
from .derivatives import cast, scatter
from .program import Line, Program, Variable, mapped
from .tensor import Tensor, asarray

#: functions that put an array into the shape of their result, with as many arguments; another says the order
SHAPING = {np.reshape: 2, np.expand_dims: 2, np.squeeze: 2, np.ravel: 1}
ALONE = {cast, np.copy, np.zeros_like, np.ones_like}  # of one array, element by element
MOST = 1 << 22  # elements of the largest stack


class Stack:
    """Arrays of one shape, in one that has an axis more in front.

    `ndim` is the number of the others. `unit` tells that they are the unit vectors, in order.
    """

    def __init__(self, array: Any, ndim: int, unit: bool = False) -> None:
        self.array, self.ndim, self.unit = array, ndim, unit


class NotKnownError(Exception):
    """There is no rule for a stack of arguments of a function."""


def each(f: Callable[[Tensor], list[Any]], like: Any, plain: bool) -> list[Any] | None:
    """What a linear function makes of every unit array of the shape of `like`, stacked.

    Parameters
    ----------
    f : takes a Tensor and returns a list of them.
    plain : whether to return arrays instead of Tensors.

    Returns None if a function that f calls is not known here, or depends on values.
    """
    count, shape = like.size, like.shape
    one = Tensor(np.zeros(shape, like.dtype))
    tracer = Tracer()
    variable = tracer.add(one.array)
    try:
        with tracer.listening():
            results = [tracer.operand(made) for made in f(one)]
    except Exception:  # for arrays one by one it is raised again, but if it is of tracing
        return None
    if tracer.asked:  # by a rule that does without the answer, but raises an error where it gets one
        return None
    program = Program("each", [variable], tracer.captured, tracer.lines)
    program.result = results
    program.without_dead_code()
    size = max([like.size, *(np.size(v.array) for line in program.lines for v in line.made)])
    step = max(1, MOST // size)
    units = np.eye(count, dtype=like.dtype)
    parts: list[list[Any]] = []
    try:
        for start in range(0, count, step):
            some = units[start : start + step]
            stack = Stack(np.reshape(some, (len(some), *shape)), len(shape), len(some) == count)
            parts.append(_run(program, {id(variable): stack}, plain))
    except NotKnownError:
        return None
    return parts[0] if len(parts) == 1 else [np.concatenate(rows) for rows in zip(*parts, strict=True)]


def _run(program: Program, known: dict[int, Any], plain: bool) -> list[Any]:
    """Make the calls that were noted, with the stack that is known."""
    (stack,) = known.values()

    def value(leaf: Any) -> Any:
        if not isinstance(leaf, Variable):
            return leaf
        if id(leaf) not in known:
            source = leaf.source.tensor.grad if isinstance(leaf.source, GradientOf) else leaf.source
            known[id(leaf)] = source.array if plain and isinstance(source, Tensor) else source
        return known[id(leaf)]

    for line in program.lines:
        args, options = tuple(_values(value, line.args)), {k: value(v) for k, v in line.options.items()}
        stacked = any(isinstance(known.get(id(v)), Stack) for v in line.reads)
        if stacked and (line.several or line.written is not None):
            raise NotKnownError
        made = _stacked(line, args, options) if stacked else line.function(*args, **options)
        parts: Any = made if line.several else [made]
        for v, part in zip(line.made, parts, strict=True):
            known[id(v)] = part
    found: list[Any] = []
    for leaf in program.result:
        made = value(leaf)
        if isinstance(made, Stack):
            made = made.array
        else:  # the same for all
            made = np.broadcast_to(made, (len(stack.array), *np.shape(leaf.array)))
        others = (*found, *known.values())
        shared = not (plain and made.flags.writeable) or any(np.may_share_memory(made, a) for a in others)
        made = np.copy(made) if shared else made
        found.append(made if plain else asarray(made))
    return found


def _values(value: Callable[[Any], Any], args: Any) -> Any:
    return [mapped(value, a) for a in args]


def _stacked(line: Line, args: tuple[Any, ...], options: dict[str, Any]) -> Stack:
    """A call with a stack among its arguments."""
    function, ndim = line.function, np.ndim(line.made[0].array)
    shape = np.shape(line.made[0].array)
    first: Any = args[0] if args else None
    stacks = [a for a in (*args, *options.values()) if isinstance(a, Stack)]
    if not stacks:  # but in a list
        raise NotKnownError
    count = len(stacks[0].array)
    alone = stacks[0] is first and len(stacks) == 1
    elementwise = isinstance(function, np.ufunc) and function.signature is None and function.nout == 1
    if elementwise or (function is np.where and len(args) == 3) or (function in ALONE and not options):
        if function is cast and first.array.dtype == args[1]:
            return Stack(first.array, first.ndim, first.unit)
        return Stack(function(*(_aligned(a, ndim) for a in args), **options), ndim)
    if function is np.matmul and not options:
        return Stack(_product(*args), ndim)
    if not alone:
        raise NotKnownError
    x, inner = first.array, first.ndim
    if function in (np.sum, np.mean) and options.keys() <= {"axis", "keepdims"} and len(args) == 1:
        axis = options.get("axis")
        axes = np.atleast_1d(axis).tolist() if axis is not None and inner else range(inner)
        return Stack(function(x, **{**options, "axis": tuple([i % inner + 1 for i in axes])}), ndim)
    if len(args) <= SHAPING.get(function, 0) and not options:
        return Stack(np.reshape(x, (count, *shape)), ndim)
    if function is np.broadcast_to:
        return Stack(np.broadcast_to(_aligned(first, ndim), (count, *shape)), ndim)
    if function is np.transpose and not options:
        given = args[1] if len(args) > 1 else None
        axes = range(inner)[::-1] if given is None else np.ravel(given).tolist()
        return Stack(np.transpose(x, (0, *(i % inner + 1 for i in axes))), ndim)
    if function is np.swapaxes and not options:
        return Stack(np.swapaxes(x, *(i % inner + 1 for i in args[1:])), ndim)
    if function is operator.getitem and _is_plain(args[1]):
        return Stack(x[_behind(args[1])], ndim)
    if function is scatter and _is_plain(args[1]):
        return Stack(scatter(x, _behind(args[1]), (count, *args[2])), ndim)
    raise NotKnownError


def _behind(key: Any) -> tuple[Any, ...]:
    """An index for what lies behind the first axis."""
    return (slice(None), *(key if isinstance(key, tuple) else (key,)))


def _is_plain(key: Any) -> bool:
    """Whether an index keeps the axes in order: arrays in several places do not."""
    parts = key if isinstance(key, tuple) else (key,)
    plain = int, slice, type(None), type(...)  # of which a truth value is none
    return len(parts) == 1 or all(isinstance(part, plain) and not isinstance(part, bool) for part in parts)


def _aligned(value: Any, ndim: int) -> Any:
    """A stack with axes of length 1, so that it broadcasts as each of its arrays does."""
    if not isinstance(value, Stack):
        return value
    count, *shape = value.array.shape
    extra = ndim - value.ndim
    return np.reshape(value.array, (count, *[1] * extra, *shape)) if extra else value.array


def _product(a: Any, b: Any) -> Any:
    """The matrix product with a stack on one side."""
    other = b if isinstance(a, Stack) else a
    if isinstance(other, Stack) or other.ndim > 2:  # both, if one is np.ones_like of it
        raise NotKnownError
    if isinstance(a, Stack):
        return cast(b, np.result_type(a.array, b)) if a.unit and a.ndim == 1 else a.array @ b
    if b.ndim == 1:
        return _product(b, np.transpose(a))
    return a @ b.array
