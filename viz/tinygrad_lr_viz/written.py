"""Arrays that write down, as lines of NumPy, what is computed with them.

A rule of the table of derivatives is plain NumPy. Called with these arrays it runs as ever, and leaves behind
the source of what it did, in the program's own names: `grad_w = X.T @ grad_y`.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from tinygrad_lr.derivatives import cast, scatter
from tinygrad_lr.errors import name_of

from .reading import is_array

__all__ = ["ATOM", "Transcript", "Written", "call_text", "literal"]

WIDTH = 72  # characters, beyond which part of an expression gets a line of its own

# how tightly Python's operators bind; names, calls and indexing bind tightest
ATOM, POWER, SIGN, PRODUCT, SUM, LOOSE = 9, 8, 7, 6, 5, 0
OPERATORS: dict[Any, tuple[str, int, Callable[[Any, Any], Any]]] = {
    np.add: (" + ", SUM, operator.add),
    np.subtract: (" - ", SUM, operator.sub),
    np.multiply: (" * ", PRODUCT, operator.mul),
    np.divide: (" / ", PRODUCT, operator.truediv),
    np.matmul: (" @ ", PRODUCT, operator.matmul),
    np.floor_divide: (" // ", PRODUCT, operator.floordiv),
    np.remainder: (" % ", PRODUCT, operator.mod),
    np.power: ("**", POWER, operator.pow),
    np.equal: (" == ", LOOSE, operator.eq),
    np.not_equal: (" != ", LOOSE, operator.ne),
    np.less: (" < ", LOOSE, operator.lt),
    np.less_equal: (" <= ", LOOSE, operator.le),
    np.greater: (" > ", LOOSE, operator.gt),
    np.greater_equal: (" >= ", LOOSE, operator.ge),
    np.bitwise_and: (" & ", LOOSE, operator.and_),
    np.bitwise_or: (" | ", LOOSE, operator.or_),
    np.bitwise_xor: (" ^ ", LOOSE, operator.xor),
}


class Transcript:
    """The calls made so far with the arrays that belong to it, each able to become a line of source."""

    def __init__(self) -> None:
        self._calls: list[tuple[Any, tuple[Any, ...], dict[str, Any]] | str] = []

    def name(self, array: Any, name: str) -> Any:  # a Written, which passes for an array
        """An array under the name, or the call, by which the lines shall speak of it."""
        self._calls.append(name)
        return Written(array, self, len(self._calls) - 1)

    def call(self, function: Any, args: Sequence[Any], options: dict[str, Any]) -> Any:
        """Call a function on the arrays inside its arguments, and write that down."""
        symbol = OPERATORS.get(function) if len(args) == 2 and not options else None
        compute = symbol[2] if symbol else function
        result = compute(*map(_bare, args), **{name: _bare(value) for name, value in options.items()})
        if not isinstance(result, (list, tuple)) or not any(map(is_array, result)):
            return self._written(result, (function, tuple(args), options))
        whole = self._written(np.empty(0), (function, tuple(args), options))
        parts = [self._written(part, (operator.getitem, (whole, i), {})) for i, part in enumerate(result)]
        return type(result)(*parts) if hasattr(result, "_fields") else type(result)(parts)

    def _written(self, result: Any, call: Any) -> Any:
        if not isinstance(result, np.generic) and not is_array(result):
            return result  # a shape, a number of elements, a dtype: nothing that depends on values
        self._calls.append(call)
        return Written(result, self, len(self._calls) - 1)

    def _needed(self, result: Written) -> Counter[int]:
        """The calls and names that a result is made of, with how often each is used."""
        uses = Counter({result.index: 1})
        for index in range(result.index, -1, -1):
            call = self._calls[index]
            if index in uses and not isinstance(call, str):
                uses.update(part.index for part in _written_in((*call[1], *call[2].values())))
        return uses

    def reads(self, result: Written) -> list[str]:
        """The names that a result is made of, each once."""
        calls = (self._calls[index] for index in sorted(self._needed(result)))
        return list(dict.fromkeys(call for call in calls if isinstance(call, str)))

    def lines(self, target: str, result: Written) -> list[str]:
        """The statements that compute `result` under the name `target`.

        What is used twice, and a part of what would be too long, has a statement of its own, under a name
        such as `_1` for this one result.
        """
        uses = self._needed(result)
        texts: dict[int, tuple[str, int]] = {}
        lines: list[str] = []

        def text(array: Any) -> tuple[str, int]:
            return texts[array.index] if isinstance(array, Written) else (literal(array), ATOM)

        for index in sorted(uses):
            call = self._calls[index]
            if isinstance(call, str):
                texts[index] = call, ATOM
                continue
            name = target if index == result.index else f"_{len(lines) + 1}"
            if call[0] is scatter:
                values, key, shape = call[1]
                lines += _scattered(name, values, key, shape, text)
                texts[index] = name, ATOM
                continue
            texts[index] = call_text(*call, text)
            source = texts[index][0]
            if len(source) > WIDTH or (uses[index] > 1 and not source.endswith(".T")):
                lines.append(f"{name} = {source}")
                texts[index] = name, ATOM
        source = texts[result.index][0]
        return lines if source == target else [*lines, f"{target} = {source}"]


class Written(NDArrayOperatorsMixin):
    """An array inside, and its place in a transcript."""

    is_tensor = True  # by this, functions made by `differentiable` know to go through the protocol

    def __init__(self, array: Any, transcript: Transcript, index: int) -> None:
        self.array, self.transcript, self.index = array, transcript, index

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **options: Any) -> Any:
        return self.transcript.call(ufunc if method == "__call__" else getattr(ufunc, method), args, options)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: Sequence[Any], options: dict[str, Any]
    ) -> Any:
        return self.transcript.call(function, args, options)

    def __getitem__(self, key: Any) -> Any:
        return self.transcript.call(operator.getitem, (self, key), {})

    def __getattr__(self, name: str) -> Any:
        if name in ("shape", "ndim", "dtype", "size", "tolist", "item"):
            return getattr(self.array, name)
        if name in ("T", "mT"):
            return self.transcript.call(np.transpose if name == "T" else np.matrix_transpose, (self,), {})
        function = cast if name == "astype" else getattr(np, name, None)
        if name.startswith("_") or not callable(function):
            raise AttributeError(name)
        return lambda *args, **options: self.transcript.call(function, (self, *args), options)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.array(self.array, dtype)  # for code that knows arrays only: a value without its source

    def __len__(self) -> int:
        return len(self.array)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self.array)

    def __float__(self) -> float:
        return float(self.array)

    def __index__(self) -> int:
        return operator.index(self.array)


def _bare(value: Any) -> Any:
    """The same value with the array in place of what is written."""
    if isinstance(value, Written):
        return value.array
    if isinstance(value, (list, tuple)):
        return type(value)(map(_bare, value))
    return value


def _written_in(values: Any) -> Iterator[Written]:
    for value in values:
        if isinstance(value, Written):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _written_in(value)


# ---- source -----------------------------------------------------------------------------------------------

ArrayText = Callable[[Any], tuple[str, int]]  # of an array: its text, and how tightly that binds


def call_text(
    function: Any, args: Sequence[Any], options: dict[str, Any], array_text: ArrayText
) -> tuple[str, int]:
    """A call as NumPy source, and how tightly it binds."""

    def bound(value: Any, tightness: int) -> str:
        text, own = _argument(value, array_text)
        return text if own >= tightness else f"({text})"

    if _changes_nothing(function, args):
        return _argument(args[0], array_text)
    if function in OPERATORS and len(args) == 2 and not options:
        symbol, tightness, _ = OPERATORS[function]
        left, right = tightness, tightness + 1  # a - (b - c)
        if tightness == POWER:  # the one that is read from the right
            left, right = ATOM, SIGN
        elif tightness == LOOSE:
            left = right = SUM
        return f"{bound(args[0], left)}{symbol}{bound(args[1], right)}", tightness
    if function is np.negative and not options:
        return f"-{bound(args[0], SIGN)}", SIGN
    if function is operator.getitem:
        return f"{bound(args[0], ATOM)}[{_key(args[1], array_text)}]", ATOM
    if function is cast:
        return f"{bound(args[0], ATOM)}.astype({_argument(args[1], array_text)[0]})", ATOM
    if _is_transpose(function, args) and not options:
        return f"{bound(args[0], ATOM)}.T", ATOM
    words = [_argument(value, array_text)[0] for value in args]
    words += [f"{name}={_argument(value, array_text)[0]}" for name, value in options.items()]
    return f"{name_of(function).removeprefix('__main__.')}({', '.join(words)})", ATOM


def _argument(value: Any, array_text: ArrayText) -> tuple[str, int]:
    if is_array(value):
        return array_text(value)
    if isinstance(value, slice) or (isinstance(value, tuple) and any(isinstance(v, slice) for v in value)):
        return f"np.s_[{_key(value, array_text)}]", ATOM
    if isinstance(value, (list, tuple)):
        items = ", ".join(_argument(item, array_text)[0] for item in value)
        return f"[{items}]" if isinstance(value, list) else f"({items}{',' * (len(value) == 1)})", ATOM
    if isinstance(value, (np.dtype, type)) and np.dtype(value).name in vars(np):
        return f"np.{np.dtype(value).name}", ATOM
    if value is ...:
        return "...", ATOM
    text = repr(value.item() if isinstance(value, np.generic) else value)
    if text in ("nan", "inf", "-inf"):
        text = f"np.{text}" if text[0] != "-" else "-np.inf"
    return text, SIGN if text.startswith("-") else ATOM


def _key(key: Any, array_text: ArrayText) -> str:
    """What stands in the brackets of an indexing."""

    def part(value: Any) -> str:
        if not isinstance(value, slice):
            return _argument(value, array_text)[0]
        start, stop = ("" if bound is None else str(bound) for bound in (value.start, value.stop))
        return f"{start}:{stop}" if value.step is None else f"{start}:{stop}:{value.step}"

    return ", ".join(map(part, key)) if isinstance(key, tuple) and key else part(key)


def _scattered(name: str, values: Any, key: Any, shape: tuple[int, ...], array_text: ArrayText) -> list[str]:
    """What `scatter` does, in NumPy's own words."""
    dtype = "" if values.dtype == np.float64 else f", np.{values.dtype}"
    source = _argument(values, array_text)[0]
    parts = key if isinstance(key, tuple) else (key,)
    repeats = any(is_array(part) or isinstance(part, list) for part in parts)
    put = (
        f"np.add.at({name}, {_argument(key, array_text)[0]}, {source})"
        if repeats
        else f"{name}[{_key(key, array_text)}] = {source}"
    )
    return [f"{name} = np.zeros({shape}{dtype})", put]


def _changes_nothing(function: Any, args: Sequence[Any]) -> bool:
    """Whether the result is the first argument: a power of 1, or a mask without another one beside it."""
    if function is np.power:
        return type(args[1]) is int and args[1] == 1
    neutral = {np.bitwise_and: True, np.bitwise_or: False}
    if function not in neutral or not isinstance(args[1], (bool, np.bool_)):
        return False
    return args[0].dtype == bool and bool(args[1]) == neutral[function]


def _is_transpose(function: Any, args: Sequence[Any]) -> bool:
    """Whether the call is what `.T` does to this array."""
    if function is np.swapaxes:
        return args[0].ndim == 2 and {axis % 2 for axis in args[1:]} == {0, 1}
    return len(args) == 1 and (
        function is np.transpose or (function is np.matrix_transpose and args[0].ndim == 2)
    )


def literal(array: Any) -> str:
    """A constant that was made on the way, as far as it is small."""
    dtype = "" if array.dtype in (bool, int, float) else f", np.{array.dtype}"
    if not array.size:
        return f"np.zeros({array.shape}, np.{array.dtype})"
    return f"np.array({array.tolist()}{dtype})" if array.size <= 12 else f"<array of shape {array.shape}>"
