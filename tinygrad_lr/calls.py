"""How NumPy's functions are called: with tensors in lists, lists for arrays, and what may change later."""

import operator
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from . import errors
from .array_methods import ArrayMethods
from .derivatives import DERIVATIVES, INSTEAD, Derivative

ARRAYS = (np.ndarray, np.generic)
FIXED = {float, int, bool, str, type(None)}  # types of arguments that cannot be changed in place
PLAIN = FIXED | {slice, np.ndarray, np.float64, np.float32}  # and of those that no tensor is inside
LISTS = {"arrays", "choicelist", "choices", "tup"}  # how the rules, and NumPy, call a list of arrays
ADD_ONE = (
    "Add one with `tinygrad_lr.derivative(function, rule)`, or pass x.detach() if its result counts as a "
    "constant"
)


def tensors_in(values: Any) -> Iterator[Any]:
    """The tensors among some arguments, also inside lists and tuples."""
    for value in values:
        if isinstance(value, ArrayMethods):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from tensors_in(value)


def each_part(function: Callable[[Any], Any], parts: Any) -> Any:
    """A list or tuple of the same type, with the function of each part."""
    made = map(function, parts)
    return type(parts)(*made) if hasattr(parts, "_fields") else type(parts)(made)


def unwrapped(value: Any) -> Any:
    """The same value with the array in place of each tensor."""
    if isinstance(value, ArrayMethods):
        return value.array
    if isinstance(value, np.ndarray) and type(value).__mul__ is not np.ndarray.__mul__:
        kind = type(value).__name__  # no rule knows what `*` means to a matrix, nor what a mask does
        raise TypeError(
            f"a {kind} has operators of its own: pass np.asarray(...) of it to take part with tensors"
        )
    return each_part(unwrapped, value) if isinstance(value, (list, tuple)) else value


def operands(
    row: Derivative, args: Sequence[Any], options: dict[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """The arguments with an array in place of each list that NumPy makes one of, also with tensors in it."""
    names = [name if rule else "" for name, rule in zip(row.names, row.rules, strict=False)]
    first = [*map(_operand, names, args), *args[len(names) :]]
    names += row.named_rules
    return first, {n: _operand(n, v) if n in names else v for n, v in options.items()}


def is_list(value: Any) -> bool:
    """Whether NumPy makes an array of it: of a list, a range, and what can be one without its protocols."""
    if isinstance(value, (list, tuple)) or hasattr(value, "__array_ufunc__"):
        return isinstance(value, (list, tuple))
    sequence = isinstance(value, Sequence) and not isinstance(value, (str, bytes))
    return sequence or hasattr(value, "__array__")


def _operand(name: str, value: Any) -> Any:
    if not name or name == "nested" or not is_list(value):
        return value
    if name in LISTS:
        return [_operand("part", part) for part in value]
    if next(tensors_in([value]), None) is None:
        return np.asarray(value)
    return np.stack([_operand("part", part) for part in value])


def is_fixed(value: Any) -> bool:
    """Whether an argument is no array, and cannot be changed in place."""
    if isinstance(value, slice):
        value = (value.start, value.stop, value.step)
    return type(value) in FIXED or (type(value) is tuple and all(map(is_fixed, value)))


def copied(value: Any, arrays: bool = True) -> Any:
    """An argument that steers a call as it is now: it may be changed before `backward` asks for it.

    NumPy's whole numbers become Python's, of which a rule can take the negative. Arrays are left as they are
    where they are known by their identity: while a function is compiled.
    """
    if isinstance(value, (list, tuple)):
        parts = [copied(part, arrays) for part in value]
        return parts if isinstance(value, list) else tuple(parts)
    if isinstance(value, slice):
        ends = (value.start, value.stop, value.step)
        return slice(*[None if end is None else operator.index(end) for end in ends])
    if isinstance(value, (np.integer, np.bool_)):
        return value.item()
    if isinstance(value, np.ndarray) and arrays:
        return value.item() if value.ndim == 0 and value.dtype.kind in "iub" else value.copy()
    return value


def table() -> dict[Any, Derivative]:
    """The table of derivatives, with SciPy's rows as soon as they are of use."""
    if "scipy.special" in sys.modules:
        import_module(".derivatives.special", __package__)
    return DERIVATIVES


def row_of(function: Callable[..., Any]) -> Derivative:
    """The row of a function; of one that is not in the table, a row that refuses what needs a gradient."""
    if function in table():
        return DERIVATIVES[function]

    def refuse(*args: Any, **options: Any) -> None:
        tensor = next(t for t in tensors_in((*args, *options.values())) if t.tape is not None)
        raise errors.NoDerivativeError(
            function=errors.name_of(function),
            tensor=errors.describe(tensor),
            instead=INSTEAD.get(function, ADD_ONE),
        )

    row = Derivative(function, ())
    row.written = refuse
    return row


def asker() -> tuple[str, str]:
    """Who asked a tensor for a plain array, and what to write instead."""
    own = (f for f in table() if not str(getattr(f, "__module__", None)).startswith("numpy"))
    inner = ((f, getattr(f, "__wrapped__", None)) for f in own)
    plain = {code: f for f, of in inner if (code := getattr(of, "__code__", None)) is not None}
    for frame in errors.callers():
        if (function := plain.get(frame.f_code)) is not None:  # one that was made differentiable: no protocol
            of_scipy = errors.name_of(function).startswith("scipy.special.")
            where = (
                "tinygrad_lr.special." + function.__name__ if of_scipy else "what `differentiable` returned"
            )
            return errors.name_of(function), f"Call {where}"
    also = "; a function that needs plain arrays can be made `differentiable`"
    return "np.asarray", f"Call NumPy's functions on the tensor itself (np.stack for a list){also}"
