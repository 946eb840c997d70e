"""The Tensor: an array that can remember where it came from.

All of NumPy's functions and operators work on Tensors. Every one of them ends in `apply`, which calls the
function on the arrays inside and, where recording is on, puts the call on the tape.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple
from typing import cast as cast_type

import numpy as np

from . import errors
from .derivatives import DERIVATIVES, Derivative, cast
from .scope import LOCAL, MODE, RECORDING, Scope
from .sweep import lifted_arguments, sweep
from .tape import FREED, INPUT, LEAVES, PART, WRITES, Attachment, Tape, current_tape, new_leaf

OUTSIDE, UNATTACHED = -1, -2  # why a tensor is on no tape
NO_OPTIONS: dict[str, Any] = {}


class Origin(NamedTuple):
    """Where a tensor came from: the call that made it."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    options: dict[str, Any]


def _method(function: Any) -> Callable[..., Tensor]:
    """NumPy's function as a method: the tensor is its first argument."""

    def method(self: Tensor, *args: Any, **options: Any) -> Tensor:
        return call(function, (self, *args), options)

    method.__name__ = method.__qualname__ = function.__name__
    method.__doc__ = f"`np.{function.__name__}` of this tensor, with the same arguments."
    return method


def _unary(function: Any) -> Callable[[Tensor], Tensor]:
    """NumPy's function as the method of an operator."""
    row = DERIVATIVES[function]
    return lambda self: apply(row, (self,))


def _binary(function: Any) -> Callable[[Tensor, Any], Tensor]:
    """The same for two operands. It does what `apply` does, but faster: most calls are of this kind."""
    row = DERIVATIVES[function]
    if not row.rules:
        return lambda self, other: apply(row, (self, other))

    def method(self: Tensor, other: Any) -> Tensor:
        x = self.array
        if isinstance(other, Tensor):
            y, tape = other.array, other.tape
        else:
            y, tape = other, None
        value = function(x, y)
        if not MODE.get() & RECORDING:
            return Tensor(value)
        if self.tape is None and tape is None:
            return Tensor(value, None, UNATTACHED)
        return _record_pair(row, self, other, x, y, value)

    return method


def _reflected(function: Any) -> Callable[[Tensor, Any], Tensor]:
    """The same with the operands swapped; the other one is no Tensor."""
    row = DERIVATIVES[function]

    def method(self: Tensor, other: Any) -> Tensor:
        value = function(other, self.array)
        if not MODE.get() & RECORDING:
            return Tensor(value)
        if self.tape is None or not row.rules:
            return Tensor(value, None, UNATTACHED)
        return _record_pair(row, other, self, other, self.array, value)

    return method


def _in_place(function: Any, symbol: str) -> Callable[[Tensor, Any], Tensor]:
    """An operator that writes into its left operand."""

    def method(self: Tensor, other: Any) -> Tensor:
        self._check_writable(other, f"`x = x {symbol} ...` instead of `x {symbol}= ...`")
        array = function(self.array, other.array if isinstance(other, Tensor) else other)
        if array is not self.array:  # immutable arrays, such as Dask's, are replaced
            if array.shape != self.shape:
                raise ValueError(f"a value of shape {array.shape} cannot be put into {errors.describe(self)}")
            self.array = array.astype(self.dtype)
        return self

    return method


def _record_pair(row: Derivative, a: Any, b: Any, x: Any, y: Any, value: Any) -> Tensor:
    """`_record` for a call of two arguments a and b, with the arrays x and y inside."""
    if value.dtype.kind != "f":
        return _constant(row, value)
    if isinstance(y, (list, tuple)):
        y = np.asarray(y)
    first = a.tape if isinstance(a, Tensor) else None
    second = b.tape if isinstance(b, Tensor) else None
    tape = LOCAL.tape
    if tape is None or (first or tape).number > tape.number or (second or tape).number > tape.number:
        tape = LOCAL.tape = Tape()
    i = -1 if first is None else a.index if first is tape else tape.index_of(a)
    j = -1 if second is None else b.index if second is tape else tape.index_of(b)
    calls = tape.calls
    index = len(calls)
    calls += (row, value, (x, y), (i, j), NO_OPTIONS, WRITES.now)
    if tape.places is not None:
        tape.places[index] = errors.place()
    return Tensor(value, tape, index)


class Tensor:
    """An array, the place on a tape where it was computed, and the gradient that belongs to it.

    Made by `tensor` (copies its data), by `asarray` (shares it) and by computing. Whatever answers NumPy's
    protocols can be the array inside.

    Attributes
    ----------
    array : the array inside. A write to it is not seen by the engine and can make a gradient wrong: write to
        the tensor, or read through `numpy()`.
    """

    __slots__ = ("__weakref__", "array", "attachment", "index", "tape")
    __hash__ = object.__hash__  # a tensor is itself, whatever its values
    is_tensor = True

    def __init__(
        self, array: Any, tape: Tape | None = None, index: int = OUTSIDE, attachment: Attachment | None = None
    ) -> None:
        self.array = array
        self.tape = tape
        self.index = index
        self.attachment = attachment

    # ---- the gradient -------------------------------------------------------------------------------------

    def attach_grad(self, grad_req: str = "write") -> None:
        """Make `backward` store the gradient with respect to this tensor in `.grad`, which starts as zeros.

        With `grad_req="add"` later gradients are added, with "null" none is stored. A tensor that was
        computed inside `record()` keeps its graph, and gets the gradient that flows through it.

        Raises TypeError unless the dtype is a real floating one, and ValueError for another `grad_req`.

        >>> from tinygrad_lr import tensor
        >>> w = tensor([1.0, 2.0])
        >>> w.attach_grad()
        >>> w.grad
        tensor([0., 0.])
        """
        if grad_req not in ("write", "add", "null"):
            raise ValueError(f'grad_req must be "write", "add" or "null", not {grad_req!r}')
        if np.issubdtype(self.dtype, np.complexfloating):
            raise TypeError(
                f"{errors.describe(self)} is complex; only real tensors have gradients here. "
                "Keep the real and the imaginary part in two tensors."
            )
        if not np.issubdtype(self.dtype, np.floating):
            raise TypeError(
                f"{errors.describe(self)} cannot have a gradient: that needs a floating dtype. "
                "Cast it first: x = x.astype(float)"
            )
        self.drop_grad()
        self.attachment = Attachment(Tensor(np.zeros_like(self.array)), grad_req)
        if grad_req != "null":
            if self.tape is None:
                self.tape, self.index = LEAVES, new_leaf()
            else:
                self.tape.attachments[self.index] = self.attachment

    def drop_grad(self) -> None:
        """Undo `attach_grad`: `.grad` becomes None; the graph of a computed tensor stays."""
        self.attachment = None
        if self.tape is LEAVES:
            self.tape, self.index = None, UNATTACHED
        elif self.tape is not None:
            self.tape.attachments.pop(self.index, None)

    @property
    def grad(self) -> Any:
        """The gradient, a Tensor of the same shape and dtype; None unless `attach_grad` was called."""
        return self.attachment and self.attachment.grad

    @grad.setter
    def grad(self, gradient: Any) -> None:
        if self.attachment is None:
            raise AttributeError(f"{errors.describe(self)} has no gradient to set; call attach_grad() first")
        gradient = asarray(gradient)
        if gradient.shape != self.shape:
            raise ValueError(f"a gradient of shape {gradient.shape} for {errors.describe(self)}")
        self.attachment.grad = Tensor(gradient.array.astype(self.dtype))
        self.attachment.written = True

    def backward(self, out_grad: Any = None, retain_graph: bool = False, create_graph: bool = False) -> None:
        """Differentiate this tensor with respect to every attached tensor it depends on, into their `.grad`.

        Parameters
        ----------
        out_grad : the gradient of the final result with respect to this tensor, in this tensor's shape; ones
            by default.
        retain_graph : keep the graph for another `backward`; otherwise it is freed on the way.
        create_graph : record the gradients' own computation, so that they can be differentiated again.

        Raises an `AutogradError` that says what to mend: see `tinygrad_lr.errors`.

        >>> from tinygrad_lr import record, tensor
        >>> x = tensor(3.0)
        >>> x.attach_grad()
        >>> with record():
        ...     y = x**2
        >>> y.backward()
        >>> x.grad
        tensor(6.)
        """
        backward([self], [out_grad], retain_graph, create_graph)

    def detach(self) -> Tensor:
        """The same values as a constant: no gradient flows through. Shares memory."""
        return Tensor(self.array, None, UNATTACHED)

    @property
    def is_leaf(self) -> bool:
        """Whether this is an attached tensor that was not itself computed from one."""
        return self.tape is LEAVES

    @property
    def node(self) -> tuple[int, int] | None:
        """The place in the graph, equal for two tensors that are the same result; None for a constant."""
        return None if self.tape is None else (self.tape.number, self.index)

    @property
    def origin(self) -> Origin | None:
        """The call that made this tensor; None for a leaf, a constant, and after the graph was freed.

        Among the arguments, those that a gradient flows back to are Tensors, the others plain arrays.

        >>> from tinygrad_lr import record, tensor
        >>> x = tensor([1.0, 2.0])
        >>> x.attach_grad()
        >>> with record():
        ...     y = x * 3
        >>> y.origin
        Origin(function=<ufunc 'multiply'>, arguments=(tensor([1., 2.]), 3), options={})
        """
        if self.tape is None or self.tape is LEAVES:
            return None
        call = self.tape[self.index]
        if call.derivative is PART:  # one of several results of the same call
            call = self.tape[call.parents[0]]
        if call.derivative is FREED:
            return None
        arguments = lifted_arguments(tensor_at, self.tape, call.arguments, call.parents)
        return Origin(call.derivative.function, tuple(arguments), call.options)

    # ---- in place -----------------------------------------------------------------------------------------

    def _check_writable(self, value: Any, instead: str) -> None:
        if MODE.get() & RECORDING:
            if self.tape is not None:
                raise errors.InPlaceError(
                    f"{errors.describe(self)} is being differentiated: it cannot be changed in place inside "
                    f"record(). Write {instead}, or do it after the with block or under pause()."
                )
            if any(t.tape is not None for t in tensors_in((value,))):
                raise errors.LostGradientError(
                    f"writing a differentiated value into {errors.describe(self)} would lose its gradient. "
                    f"Write {instead}."
                )
        if isinstance(self.array, np.generic):  # a 0-d result: NumPy hands those out as immutable scalars
            self.array = np.array(self.array)
        WRITES.note(self.array)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._check_writable(value, "np.where(mask, value, x), or build it with np.concatenate or np.stack,")
        self.array[unwrapped(key)] = unwrapped(value)

    __iadd__, __isub__ = _in_place(operator.iadd, "+"), _in_place(operator.isub, "-")
    __imul__, __itruediv__ = _in_place(operator.imul, "*"), _in_place(operator.itruediv, "/")
    __ifloordiv__, __imod__ = _in_place(operator.ifloordiv, "//"), _in_place(operator.imod, "%")
    __ipow__, __imatmul__ = _in_place(operator.ipow, "**"), _in_place(operator.imatmul, "@")

    # ---- out of the graph ---------------------------------------------------------------------------------

    def _check_not_lost(self, how: str, instead: str) -> None:
        if self.tape is not None and MODE.get() & RECORDING:
            raise errors.LostGradientError(
                f"{how} would turn {errors.describe(self)}, which is being differentiated, into a plain "
                f"value without a gradient. {instead}, or say x.detach(), x.numpy() or x.item() if meant."
            )

    def numpy(self) -> Any:
        """The values as a NumPy array: a view that cannot be written."""
        view = np.asarray(self.array).view()
        view.flags.writeable = False
        return view

    asnumpy = numpy

    def item(self, *index: int) -> Any:
        """The only element, or the one at `index`, as a Python number."""
        return self.array.item(*index)

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers."""
        return self.array.tolist()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        self._check_not_lost(
            "np.asarray", "Call NumPy's functions on the tensor itself (np.stack for a list)"
        )
        if copy or (dtype is not None and np.dtype(dtype) != self.dtype):
            return np.array(self.array, dtype, copy=copy)
        return self.numpy()

    def __float__(self) -> float:
        self._check_not_lost("float() or a function of math", "Use NumPy's function: np.sin, not math.sin")
        return float(self.array)

    def __int__(self) -> int:
        self._check_not_lost("int()", "Use np.floor or np.trunc")
        return int(self.array)

    def __complex__(self) -> complex:
        self._check_not_lost("complex()", "Work with real tensors")
        return complex(self.array)

    def __index__(self) -> int:
        return operator.index(self.array.item())

    def __bool__(self) -> bool:
        return bool(self.array)

    def __reduce__(self) -> Any:  # copying and pickling keep the values and the attachment, not the graph
        if self.tape is not LEAVES:
            self._check_not_lost("copying or pickling", "Write x.copy()")
        return _rebuilt, (np.array(self.array), self.attachment and self.attachment.grad_req)

    def __repr__(self) -> str:
        array = self.array if hasattr(self.array, "__array_function__") else np.asarray(self.array)
        text = repr(array)
        return f"tensor{text[5:]}".replace("\n ", "\n  ") if text.startswith("array(") else f"tensor({text})"

    def __str__(self) -> str:
        return str(self.array)

    def __format__(self, spec: str) -> str:
        return format(self.array, spec)

    # ---- what an array has --------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape  # type: ignore[no-any-return]  # of any array type

    @property
    def dtype(self) -> Any:
        return self.array.dtype

    @property
    def ndim(self) -> int:
        return self.array.ndim  # type: ignore[no-any-return]

    @property
    def size(self) -> int:
        return self.array.size  # type: ignore[no-any-return]

    @property
    def T(self) -> Tensor:
        return call(np.transpose, (self,))

    @property
    def mT(self) -> Tensor:
        return call(np.matrix_transpose, (self,))

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key: Any) -> Tensor:
        return apply(GETITEM, (self, key))

    def reshape(self, *shape: Any, order: str = "C") -> Tensor:
        """The same elements in another shape, given as numbers or as a tuple."""
        new = shape[0] if len(shape) == 1 else shape
        return call(np.reshape, (self, new), NO_OPTIONS if order == "C" else {"order": order})

    def transpose(self, *axes: Any) -> Tensor:
        """The axes in another order (reversed by default), given as numbers or as a tuple."""
        return call(np.transpose, (self, axes[0] if len(axes) == 1 else axes or None))

    def flatten(self, order: str = "C") -> Tensor:
        """A copy in one dimension."""
        return self.ravel(order).copy()

    def astype(self, dtype: Any) -> Tensor:
        """The values in another dtype; a gradient flows back in this tensor's own."""
        return call(cast, (self, np.dtype(dtype)))

    # ---- NumPy's functions --------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **options: Any) -> Any:
        if method == "at":
            return _write(ufunc.at, args[0], args, options)
        return call(ufunc if method == "__call__" else getattr(ufunc, method), args, options)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: Sequence[Any], options: dict[str, Any]
    ) -> Any:
        return call(function, args, options)

    __neg__, __pos__, __abs__, __invert__ = map(_unary, (np.negative, np.positive, np.absolute, np.invert))
    __add__, __radd__ = _binary(np.add), _reflected(np.add)
    __sub__, __rsub__ = _binary(np.subtract), _reflected(np.subtract)
    __mul__, __rmul__ = _binary(np.multiply), _reflected(np.multiply)
    __truediv__, __rtruediv__ = _binary(np.divide), _reflected(np.divide)
    __floordiv__, __rfloordiv__ = _binary(np.floor_divide), _reflected(np.floor_divide)
    __mod__, __rmod__ = _binary(np.remainder), _reflected(np.remainder)
    __matmul__, __rmatmul__ = _binary(np.matmul), _reflected(np.matmul)
    __rpow__ = _reflected(np.power)
    __and__, __rand__ = _binary(np.bitwise_and), _reflected(np.bitwise_and)
    __or__, __ror__ = _binary(np.bitwise_or), _reflected(np.bitwise_or)
    __xor__, __rxor__ = _binary(np.bitwise_xor), _reflected(np.bitwise_xor)
    __lt__, __le__ = _binary(np.less), _binary(np.less_equal)
    __gt__, __ge__ = _binary(np.greater), _binary(np.greater_equal)
    __eq__, __ne__ = _binary(np.equal), _binary(np.not_equal)  # type: ignore[assignment]  # elementwise

    def __pow__(self, exponent: Any) -> Tensor:
        whole = type(exponent) is int or (type(exponent) is float and self.dtype.kind == "f")
        if whole and exponent == 2:  # as for arrays: 15 times faster than np.power
            return apply(DERIVATIVES[np.square], (self,))
        return apply(DERIVATIVES[np.power], (self, exponent))

    sum, prod, mean, var, std = map(_method, (np.sum, np.prod, np.mean, np.var, np.std))
    max, min, argmax, argmin = map(_method, (np.max, np.min, np.argmax, np.argmin))
    all, any, argsort, nonzero = map(_method, (np.all, np.any, np.argsort, np.nonzero))
    cumsum, cumprod, ptp, round, clip = map(_method, (np.cumsum, np.cumprod, np.ptp, np.round, np.clip))
    dot, trace, diagonal, take, repeat = map(_method, (np.dot, np.trace, np.diagonal, np.take, np.repeat))
    squeeze, swapaxes, ravel = map(_method, (np.squeeze, np.swapaxes, np.ravel))
    copy, conj, searchsorted = map(_method, (np.copy, np.conj, np.searchsorted))


GETITEM = DERIVATIVES[operator.getitem]


def tensor_at(array: Any, tape: Tape, index: int) -> Tensor:
    """The tensor at a place on a tape: the very one that entered there, or one made for the purpose."""
    call = tape[index]
    if call.derivative is INPUT:
        entered: Tensor = call.arguments
        return entered
    return Tensor(array, tape, index, tape.attachments.get(index))


def tensors_in(values: Any) -> Iterator[Tensor]:
    """The tensors among some arguments, also inside lists and tuples."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from tensors_in(value)


def unwrapped(value: Any) -> Any:
    """The same value with the array in place of each tensor."""
    if isinstance(value, Tensor):
        return value.array
    if isinstance(value, (list, tuple)):
        parts = [unwrapped(part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value


def wrapped(value: Any, index: int = OUTSIDE) -> Any:
    """The same value with a constant Tensor in place of each array."""
    if isinstance(value, np.generic) or hasattr(value, "__array_ufunc__"):
        return Tensor(value, None, index)
    if isinstance(value, (list, tuple)):
        parts = [wrapped(part, index) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value


def call(function: Callable[..., Any], args: Sequence[Any], options: dict[str, Any] = NO_OPTIONS) -> Tensor:
    """Any function of NumPy's with a Tensor somewhere among its arguments: where its protocols lead."""
    if options.get("out") is not None:
        return cast_type(Tensor, _into(function, args, options))
    row = DERIVATIVES.get(function)
    if row is not None:
        if row.out is not None and len(args) > row.out:  # given by position
            names = list(row.parameters)[row.out : len(args)]
            return call(
                function, args[: row.out], {**options, **dict(zip(names, args[row.out :], strict=True))}
            )
        return apply(row, args, options)
    if function in WRITERS:
        target = args[0] if args else options[WRITERS[function]]
        return cast_type(Tensor, _write(function, target, args, options))
    if MODE.get() & RECORDING:
        for t in tensors_in((*args, *options.values())):
            if t.tape is not None:
                raise errors.NoDerivativeError(
                    f"{errors.name_of(function)} has no derivative in the table, and {errors.describe(t)} is "
                    "being differentiated. Add one with `tinygrad_lr.derivative(function, rule)`, or pass "
                    "x.detach() if its result counts as a constant."
                )
    options = {name: unwrapped(value) for name, value in options.items()}
    return cast_type(Tensor, wrapped(function(*map(unwrapped, args), **options)))


def _write(function: Any, target: Any, args: Sequence[Any], options: dict[str, Any]) -> Any:
    """A function that writes into one of its arguments."""
    if isinstance(target, Tensor):
        target._check_writable((*args, *options.values()), "np.where(mask, value, x)")
    elif MODE.get() & RECORDING and any(t.tape is not None for t in tensors_in((*args, *options.values()))):
        raise errors.LostGradientError(
            f"{errors.name_of(function)} into an array would lose a gradient: an array cannot remember where "
            "its values came from. Write np.where(mask, value, x)."
        )
    return function(*map(unwrapped, args), **{name: unwrapped(value) for name, value in options.items()})


def _into(function: Callable[..., Any], args: Sequence[Any], options: dict[str, Any]) -> Any:
    """A call with `out=`: the same as writing its results in place."""
    out = options["out"]
    if "where" in options:  # what the mask leaves out stays as it is
        target = out[0] if isinstance(out, tuple) else out
        _write(function, target, args, options)
        return target
    results = call(function, args, {name: value for name, value in options.items() if name != "out"})
    single = not isinstance(out, tuple) or len(out) == 1
    targets = out if isinstance(out, tuple) else (out,)
    for target, result in zip(targets, (results,) if single else results, strict=True):
        if result.tape is not None and not isinstance(target, Tensor):
            raise errors.LostGradientError(
                f"{errors.name_of(function)} with out= would lose a gradient: an array cannot remember where "
                "its values came from. Leave out= away, and use what the function returns."
            )
        if target is not None:
            target[...] = result if isinstance(target, Tensor) else result.array
    return targets[0] if single else out


def apply(row: Derivative, args: Sequence[Any], options: dict[str, Any] = NO_OPTIONS) -> Tensor:
    """Call a function of the table on the arrays inside its arguments, and record the call if need be.

    Returns a Tensor, or several in a list or tuple where NumPy returns several arrays.
    """
    if options:
        args, options = _by_position(row, args, options)
    arrays, tapes = [], []
    for a in args:
        if isinstance(a, Tensor):
            arrays.append(a.array)
            if a.tape is not None:
                tapes.append(a.tape)
        elif isinstance(a, (list, tuple)):
            arrays.append(unwrapped(a))
            tapes += [t.tape for t in tensors_in(a) if t.tape is not None]
        else:
            arrays.append(a)
    value = row.function(*arrays, **options)
    recording = MODE.get() & RECORDING
    if recording and tapes and row.rules:
        return _record(row, args, tuple(arrays), options, value, current_tape(tapes))
    result: Tensor = wrapped(value, UNATTACHED if recording else OUTSIDE)
    return result


def _record(
    row: Derivative, args: Sequence[Any], arrays: Any, options: dict[str, Any], value: Any, tape: Tape
) -> Tensor:
    """Put a call on the tape, and make tensors of its results."""
    several = isinstance(value, (list, tuple))
    if not several and value.dtype.kind != "f":
        return _constant(row, value)
    parents = _parents(row, args, tape)
    if parents.count(-1) == len(parents):
        return cast_type(Tensor, wrapped(value, UNATTACHED))
    arrays = tuple(
        np.asarray(x) if i < len(row.rules) and parents[i] == -1 and isinstance(x, (list, tuple)) else x
        for i, x in enumerate(arrays)
    )
    if options and (unknown := options.keys() - row.options):
        raise errors.NoDerivativeError(
            f"{errors.name_of(row.function)} has no derivative when called with {min(unknown)}=. "
            "Leave it away."
        )
    moment = WRITES.now
    index = tape.append(row, tuple(value) if several else value, arrays, parents, options, moment)
    if tape.places is not None:
        tape.places[index] = errors.place()
    if not several:
        return Tensor(value, tape, index)
    parts = [
        Tensor(part, tape, tape.append(PART, part, (None, i), (index, -1), NO_OPTIONS, moment))
        for i, part in enumerate(value)
    ]
    return cast_type(Tensor, type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts))


def _constant(row: Derivative, value: Any) -> Tensor:
    """A result that has no derivative: of whole numbers, or an error if it is complex."""
    if value.dtype.kind in "cO":
        raise errors.NoDerivativeError(
            f"{errors.name_of(row.function)} makes complex numbers or objects of a tensor that is being "
            "differentiated; only real numbers have derivatives here."
        )
    return Tensor(value, None, UNATTACHED)


def _parents(row: Derivative, args: Sequence[Any], tape: Tape) -> tuple[Any, ...]:
    """The place on the tape of each argument that a gradient flows back to, -1 for the others."""
    parents: list[Any] = []
    parent: int | tuple[int, ...]
    for position, a in enumerate(args):
        if isinstance(a, Tensor):
            parent = -1 if a.tape is None else tape.index_of(a)
        elif isinstance(a, (list, tuple)) and any(t.tape is not None for t in tensors_in(a)):
            parent = tuple(-1 if getattr(t, "tape", None) is None else tape.index_of(t) for t in a)
            names = tuple(row.parameters)
            nested = any(isinstance(part, (list, tuple)) for part in a)
            if nested or position >= len(names) or names[position] not in LISTS:
                raise errors.LostGradientError(
                    f"{errors.name_of(row.function)} got a list with a differentiated tensor in it, and "
                    "would lose its gradient. Make one tensor of the list first: np.stack(list)."
                )
        else:
            parent = -1
        if parent != -1 and position >= len(row.rules):
            raise errors.NoDerivativeError(
                f"{errors.name_of(row.function)} has no derivative with respect to its argument {position}. "
                "Pass x.detach() if that counts as a constant."
            )
        parents.append(-1 if parent == -1 or row.rules[position] is None else parent)
    return tuple(parents)


def _by_position(
    row: Derivative, args: Sequence[Any], options: dict[str, Any]
) -> tuple[Sequence[Any], dict[str, Any]]:
    """The same call with its tensors given by position, where the rules look for them."""
    names = list(row.parameters)
    last = max(
        (
            names.index(name)
            for name, value in options.items()
            if name in names and next(tensors_in((value,)), None) is not None
        ),
        default=-1,
    )
    options = dict(options)
    missing = names[len(args) : last + 1]
    args = (*args, *(options.pop(name, row.parameters[name]) for name in missing))
    for name, value in options.items():
        if row.rules and MODE.get() & RECORDING and any(t.tape is not None for t in tensors_in((value,))):
            raise errors.NoDerivativeError(
                f"{errors.name_of(row.function)} has no derivative with respect to {name}=. "
                "Pass x.detach() if that counts as a constant."
            )
    return args, {name: unwrapped(value) for name, value in options.items()}


def _rebuilt(array: Any, grad_req: str | None) -> Tensor:
    tensor = Tensor(array)
    if grad_req:
        tensor.attach_grad(grad_req)
    return tensor


#: what rules call an argument that is a list of arrays
LISTS = {"arrays"}

#: functions that write into their first argument, and its name
WRITERS = dict(
    zip(
        (np.copyto, np.put, np.place, np.putmask, np.fill_diagonal, np.put_along_axis),
        ("dst", "a", "arr", "a", "a", "arr"),
        strict=True,
    )
)


def tensor(data: Any, dtype: Any = None) -> Tensor:
    """A Tensor holding a copy of `data`: a number, nested lists, an array or a Tensor.

    >>> from tinygrad_lr import tensor
    >>> tensor([[1, 2], [3, 4]]).shape
    (2, 2)
    """
    if isinstance(data, Tensor):
        data._check_not_lost("tensor()", "Use x.copy()")
        data = data.array
    if hasattr(data, "__array_function__") and not isinstance(data, np.ndarray):
        return Tensor(data.copy() if dtype is None else data.astype(dtype), None, UNATTACHED)
    return Tensor(np.array(data, dtype), None, UNATTACHED)


def asarray(data: Any, dtype: Any = None) -> Tensor:
    """A Tensor on the memory of `data` where that is possible: no copy is made of an array.

    A write to that array by other means is not seen by the engine: between `record()` and `backward()` it
    would make a gradient wrong.

    >>> import numpy as np
    >>> from tinygrad_lr import asarray
    >>> data = np.zeros(3)
    >>> asarray(data).array is data
    True
    """
    if isinstance(data, Tensor):
        return data if dtype is None else data.astype(dtype)
    if not hasattr(data, "__array_function__") or isinstance(data, np.ndarray):
        data = np.asarray(data, dtype)
    elif dtype is not None:
        data = data.astype(dtype)
    return Tensor(data, None, UNATTACHED)


def _with_gradients(heads: Sequence[Tensor], head_grads: Sequence[Any]) -> list[tuple[Tensor, Any]]:
    """Each head with its gradient: the one given, or ones, as one number that broadcasts."""
    if len(heads) != len(head_grads):
        raise ValueError(f"{len(heads)} heads but {len(head_grads)} head gradients")
    pairs = []
    for head, gradient in zip(heads, head_grads, strict=True):
        if not isinstance(head, Tensor):
            raise TypeError(f"a head must be a Tensor, not {type(head).__name__}")
        if head.tape is None and head.index == UNATTACHED:
            raise errors.NothingAttachedError(
                f"{errors.describe(head)} depends on no tensor with an attached gradient. "
                "Call x.attach_grad() before the computation."
            )
        if head.tape is None:
            raise errors.NotRecordedError(
                f"{errors.describe(head)} was computed outside record() (or under pause()), so nothing is "
                "known of how. Compute it inside `with record():`."
            )
        if gradient is None:
            gradient = head.dtype.type(1)
        elif np.shape(gradient) != head.shape:
            raise ValueError(
                f"the head gradient has shape {np.shape(gradient)}; {errors.describe(head)} needs its own"
            )
        elif not isinstance(gradient, Tensor):
            gradient = np.asarray(gradient, head.dtype)
        pairs.append((head, gradient))
    return pairs


def _gradients(
    pairs: list[tuple[Tensor, Any]], retain_graph: bool, create_graph: bool
) -> dict[Attachment, Any]:
    """Sweep from the heads: arrays, or with `create_graph` Tensors that can be differentiated again."""
    if not create_graph:
        gradients = sweep([(head, unwrapped(g)) for head, g in pairs], retain_graph)
        if not retain_graph:
            LOCAL.tape = None  # it has gaps now: go on with a new one, so that this one can be freed
        return gradients
    with Scope(RECORDING):
        return sweep([(head, asarray(g)) for head, g in pairs], True, tensor_at)


def _as_own(gradient: Any, array: Any) -> Tensor:
    """What a sweep made for an array, in its shape and dtype, and shared with no other gradient."""
    if gradient.shape != array.shape:
        gradient = np.broadcast_to(gradient, array.shape)
    if isinstance(gradient, Tensor):
        with Scope(RECORDING):
            return gradient.astype(array.dtype)
    return Tensor(gradient.astype(array.dtype))


def backward(
    heads: Tensor | Sequence[Tensor],
    head_grads: Any = None,
    retain_graph: bool = False,
    create_graph: bool = False,
) -> None:
    """Differentiate several heads at once, as `Tensor.backward` does one.

    With one head gradient for each head, the gradients are those of the sum of `head_grads[i] * heads[i]`.
    """
    if not isinstance(heads, (list, tuple)):
        heads, head_grads = [cast_type(Tensor, heads)], [head_grads]
    pairs = _with_gradients(heads, [None] * len(heads) if head_grads is None else head_grads)
    for attachment, gradient in _gradients(pairs, retain_graph or create_graph, create_graph).items():
        own = _as_own(gradient, attachment.grad.array)
        if attachment.grad_req == "add":
            with Scope(RECORDING * create_graph):
                own = attachment.grad + own
        attachment.grad = own
        attachment.written = True


def grad(
    heads: Tensor | Sequence[Tensor],
    variables: Any,
    head_grads: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> Any:
    """The gradients of the heads with respect to the variables; nothing is stored in any `.grad`.

    Returns one Tensor for a single variable, a list for a list. A variable is any tensor of the graph. The
    graph is kept if `retain_graph`, by default if `create_graph`.

    Raises UnreachedError if the heads do not depend on a variable.

    >>> from tinygrad_lr import autograd, record, tensor
    >>> x = tensor(3.0)
    >>> x.attach_grad()
    >>> with record():
    ...     y = x**3
    ...     slope = autograd.grad(y, x, create_graph=True)
    >>> slope, autograd.grad(slope, x)
    (tensor(27.), tensor(18.))
    """
    if not isinstance(heads, (list, tuple)):
        heads, head_grads = [cast_type(Tensor, heads)], [head_grads]
    pairs = _with_gradients(heads, [None] * len(heads) if head_grads is None else head_grads)
    single = isinstance(variables, Tensor)
    wanted: list[Tensor] = [variables] if single else list(variables)
    slots, borrowed = [], []
    for position, variable in enumerate(wanted):
        if variable.tape is None:
            raise errors.UnreachedError(
                f"{_unreached(position, variable)} It is a constant: attach it first."
            )
        slot = variable.attachment
        if slot is None or variable.tape is not LEAVES:  # a computed tensor: listen there during this sweep
            listeners = variable.tape.attachments
            slot = listeners.get(variable.index)
            if slot is None:
                slot = listeners[variable.index] = Attachment(None, "null")
                borrowed.append((listeners, variable.index))
        slots.append(slot)
    try:
        gradients = _gradients(pairs, create_graph if retain_graph is None else retain_graph, create_graph)
    finally:
        for listeners, index in borrowed:
            del listeners[index]
    for position, (variable, slot) in enumerate(zip(wanted, slots, strict=True)):
        if slot not in gradients:
            raise errors.UnreachedError(_unreached(position, variable))
    result = [_as_own(gradients[slot], v.array) for v, slot in zip(wanted, slots, strict=True)]
    return result[0] if single else result


def _unreached(position: int, variable: Tensor) -> str:
    return f"the heads do not depend on variables[{position}], {errors.describe(variable)}."
