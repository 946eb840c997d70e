"""An array type of its own, as strict as one on a GPU: nothing falls back to NumPy's arrays."""

import operator
from typing import Any

import numpy as np

ARRAYS = np.ndarray, np.generic


class Stranger:
    """An array that answers NumPy's protocols. It refuses to become NumPy's, to meet one, and out=."""

    def __init__(self, array: Any) -> None:
        self.array = np.asarray(array)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("np.asarray of an array that is not NumPy's")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **options: Any) -> Any:
        assert method == "__call__", f"{ufunc.__name__}.{method}: CuPy's arrays do not know it"
        return answer(ufunc, args, options)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        return answer(function, args, options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = getattr(self.array, name)
        return (lambda *args, **options: answer(found, args, options)) if callable(found) else wrapped(found)

    def __getitem__(self, key: Any) -> Any:
        return wrapped(self.array[plain(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        refuse_numpy(operator.setitem, value)
        self.array[plain(key)] = plain(value)

    def __len__(self) -> int:
        return len(self.array)

    def __bool__(self) -> bool:
        return bool(self.array)

    def __float__(self) -> float:
        return float(self.array)

    def __index__(self) -> int:
        return int(self.array)


def parts(value: Any) -> list[Any]:
    return [v for part in value for v in parts(part)] if isinstance(value, (list, tuple)) else [value]


def refuse_numpy(function: Any, *values: Any) -> None:
    for value in parts(values):
        mixed = isinstance(value, np.ndarray)
        assert not mixed, f"{function} mixes an array with one of NumPy's, of shape {value.shape}"


def answer(function: Any, args: Any, options: dict[str, Any]) -> Any:
    if any(hasattr(value, "is_tensor") for value in parts([args, list(options.values())])):
        return NotImplemented
    refuse_numpy(function, args, list(options.values()))
    assert all(target is None for target in parts([options.get("out")])), "a rule wrote into an array"
    return wrapped(function(*plain(args), **{name: plain(value) for name, value in options.items()}))


def plain(value: Any) -> Any:
    if isinstance(value, Stranger):
        return value.array
    return type(value)(map(plain, value)) if isinstance(value, (list, tuple)) else value


def wrapped(value: Any) -> Any:
    if isinstance(value, ARRAYS):
        return Stranger(value)
    if not isinstance(value, (list, tuple)) or not any(isinstance(part, ARRAYS) for part in value):
        return value
    made = map(wrapped, value)
    return type(value)(*made) if hasattr(value, "_fields") else type(value)(made)


def _operator(function: Any, reflected: bool = False) -> Any:
    def method(*operands: Any) -> Any:
        return answer(function, operands[::-1] if reflected else operands, {})

    return method


for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor"):
    function = getattr(operator, f"__{name}__")
    setattr(Stranger, f"__{name}__", _operator(function))
    setattr(Stranger, f"__r{name}__", _operator(function, reflected=True))
for name in ("lt", "le", "gt", "ge", "eq", "ne", "neg", "pos", "abs", "invert"):
    setattr(Stranger, f"__{name}__", _operator(getattr(operator, f"__{name}__")))
Stranger.__hash__ = object.__hash__  # type: ignore[method-assign]  # which __eq__ took away
