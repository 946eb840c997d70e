"""The Tensor: an array that can remember where it came from.

All of NumPy's functions and operators work on Tensors. Every one of them ends in `call`, which calls the
function on the arrays inside and, where recording is on, puts the call on the tape.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import get_ident
from typing import Any, NamedTuple
from typing import cast as cast_type

import numpy as np

from . import errors
from .array_methods import ArrayMethods
from .calls import (
    ARRAYS,
    FIXED,
    PLAIN,
    asker,
    copied,
    each_part,
    is_fixed,
    operands,
    row_of,
    tensors_in,
    unwrapped,
)
from .derivatives import DERIVATIVES, Derivative, cast
from .scope import ANOMALY, LOCAL, MODE, RECORDING, TAPE, TRACER, TRACING, Scope
from .sweep import lifted_arguments, sweep
from .tape import CONSTANT, FREED, LEAVES, NO_OPTIONS, PACK, PART, WRITES, Attachment, Tape, new_leaf

OUTSIDE, UNATTACHED = -1, -2  # why a tensor is on no tape
REMEMBERING = RECORDING | TRACING  # of these bits one is set where calls are remembered
USUAL = REMEMBERING | ANOMALY  # of these bits the first is set where calls go straight to the tape
OBJECT = np.dtype(object)
NO_OUT = "np.where(mask, value, x), and no out="


class Origin(NamedTuple):
    """Where a tensor came from: the call that made it.

    >>> from tinygrad_lr import record, tensor
    >>> x = tensor(2.0)
    >>> x.attach_grad()
    >>> with record():
    ...     y = np.exp(x)
    >>> y.origin.function, y.origin.arguments
    (<ufunc 'exp'>, (tensor(2.),))
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    options: dict[str, Any]


def _goes_first(other: Any) -> bool:
    """Whether NumPy leaves an operator to the other operand, such as a sparse matrix."""
    protocol = getattr(other, "__array_ufunc__", hasattr(other, "__array_priority__"))
    return protocol is None or (protocol is True and not isinstance(other, np.generic))


def _operator(function: Any, symbol: Any, reflected: bool = False) -> Callable[..., Tensor]:
    """The method of an operator: the operator on the arrays, recorded as a call of NumPy's function.

    It does what `call` does, but faster where nothing is unusual: most calls are of this kind.
    """
    row = DERIVATIVES[function]
    if function.nargs != 3 or not row.rules:

        def usual(*operands: Any) -> Any:
            if any(map(_goes_first, operands)):
                return NotImplemented
            return call(function, operands[::-1] if reflected else operands)

        return usual

    def method(self: Tensor, other: Any) -> Any:
        x, y = self.array, other
        if isinstance(other, Tensor):
            y = other.array
        elif type(other) not in PLAIN:
            if _goes_first(other):
                return NotImplemented
            return call(function, (other, self) if reflected else (self, other))
        value = symbol(y, x) if reflected else symbol(x, y)
        mode = MODE.get()
        if not mode & REMEMBERING:
            return Tensor(value)
        arrays = (y, x) if reflected else (x, y)
        if mode & USUAL == RECORDING:
            tape: Any = LOCAL.tape or _new_tape()
            i = self.index if self.tape is tape else tape.place_of(self)
            j = CONSTANT if y is other else other.index if other.tape is tape else tape.place_of(other)
            if i == j == CONSTANT:
                return Tensor(value, None, UNATTACHED)
            if i is not None and j is not None and row.rules and value.dtype.kind == "f":
                calls = tape.calls
                index = len(calls)
                calls += (row, value, arrays, (j, i) if reflected else (i, j), NO_OPTIONS, WRITES.now)
                return Tensor(value, tape, index)
        return recorded(row, (other, self) if reflected else (self, other), arrays, value)

    return method


def _operators(function: Any, symbol: Any) -> tuple[Callable[..., Tensor], Callable[..., Tensor]]:
    """The method for a tensor on the left, and the one for a tensor on the right of something else."""
    return _operator(function, symbol), _operator(function, symbol, reflected=True)


def _in_place(function: Any, symbol: str) -> Callable[[Tensor, Any], Tensor]:
    """An operator that writes into its left operand."""
    instead = f"`x = x {symbol} ...` instead of `x {symbol}= ...`"

    def method(self: Tensor, other: Any) -> Any:
        if MODE.get() & REMEMBERING or type(self.array) is not np.ndarray:
            _before_write(function, self, (self, other), NO_OPTIONS, instead)
        else:
            WRITES.note(self.array)
        array = function(self.array, other.array if isinstance(other, Tensor) else other)
        if array is not self.array:  # immutable arrays, such as Dask's, are replaced
            if array.shape != self.shape:
                raise ValueError(f"a value of shape {array.shape} cannot be put into {errors.describe(self)}")
            self.array = array.astype(self.dtype)
        return self

    return method


class Tensor(ArrayMethods):
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
            raise errors.ComplexLeafError(tensor=errors.describe(self))
        if not np.issubdtype(self.dtype, np.floating):
            raise errors.NotFloatingError(tensor=errors.describe(self))
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
        self.attachment.grad = gradient.astype(self.dtype, casting="same_kind")
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
        if call.derivative is PART:  # one of several results of a call
            call = self.tape[call.parents[0]]
        if call.derivative is FREED:
            return None
        arguments, options = lifted_arguments(
            tensor_at, self.tape, call.arguments, call.parents, call.options
        )
        return Origin(call.derivative.function, arguments, options)

    @property
    def part(self) -> int | None:
        """Which one of several results of its call this is; None if it is the only one."""
        if self.tape is None or self.tape is LEAVES or self.tape.calls[self.index] is not PART:
            return None
        return cast_type(int, self.tape[self.index].arguments[1])

    @property
    def sweep(self) -> int:
        """0, or the number of the `backward` or `grad` with `create_graph` that made this tensor."""
        return 0 if self.tape is None else self.tape.sweep

    # ---- in place -----------------------------------------------------------------------------------------

    def __setitem__(self, key: Any, value: Any) -> None:
        _before_write(operator.setitem, self, (self, key, value), NO_OPTIONS, "np.where or np.concatenate")
        self.array[unwrapped(key)] = unwrapped(value)

    def fill(self, value: Any) -> None:
        """Write one value everywhere."""
        self[...] = value

    __iadd__, __isub__ = _in_place(operator.iadd, "+"), _in_place(operator.isub, "-")
    __imul__, __itruediv__ = _in_place(operator.imul, "*"), _in_place(operator.itruediv, "/")
    __ifloordiv__, __imod__ = _in_place(operator.ifloordiv, "//"), _in_place(operator.imod, "%")
    __ipow__, __imatmul__ = _in_place(operator.ipow, "**"), _in_place(operator.imatmul, "@")

    # ---- out of the graph ---------------------------------------------------------------------------------

    def _check_not_lost(self, how: str, instead: str) -> None:
        self._check_not_traced(how)
        if self.tape is not None and MODE.get() & RECORDING:
            raise errors.LostGradientError(how=how, tensor=errors.describe(self), instead=instead)

    def _check_not_traced(self, how: str) -> None:
        if MODE.get() & TRACING:
            TRACER.get().asked = True
            raise errors.TraceError(tensor=errors.describe(self), how=how)

    def numpy(self) -> Any:
        """The values as a NumPy array: a view that cannot be written."""
        self._check_not_traced("numpy()")
        view = np.asarray(self.array).view()
        view.flags.writeable = False
        return view

    asnumpy = numpy

    def item(self, *index: int) -> Any:
        """The only element, or the one at `index`, as a Python number."""
        self._check_not_traced("item()")
        return self.array.item(*index)

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers."""
        self._check_not_traced("tolist()")
        return self.array.tolist()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        if self.tape is not None and MODE.get() & RECORDING:
            self._check_not_lost(*asker())
        self._check_not_traced("np.asarray")
        if copy or (dtype is not None and np.dtype(dtype) != self.dtype):
            return np.array(self.array, dtype, copy=copy)
        return self.numpy()

    def __float__(self) -> float:
        self._check_not_lost("float() or a function of math", "Use NumPy's function: np.sin, not math.sin")
        return float(self.array.item())

    def __int__(self) -> int:
        self._check_not_lost("int()", "Use np.floor or np.trunc")
        return int(self.array.item())

    def __complex__(self) -> complex:
        self._check_not_lost("complex()", "Work with real tensors")
        return complex(self.array.item())

    def __index__(self) -> int:
        self._check_not_traced("using it as an index")
        array: Any = self.array
        return operator.index(array)  # of a 0-d one only

    def __bool__(self) -> bool:
        self._check_not_traced("asking whether it is true")
        return bool(self.array)

    def __reduce__(self) -> Any:  # copying and pickling keep the values and the attachment, not the graph
        self._check_not_traced("copying or pickling")
        if self.tape is not LEAVES:
            self._check_not_lost("copying or pickling", "Write x.copy()")
        attachment = self.attachment and (self.attachment.grad_req, self.attachment.grad.array)
        return _rebuilt, (type(self), tensor(self.array).array, attachment)

    def __repr__(self) -> str:
        array = self.array if hasattr(self.array, "__array_function__") else np.asarray(self.array)
        text = repr(array)
        return f"tensor{text[5:]}".replace("\n ", "\n  ") if text.startswith("array(") else f"tensor({text})"

    def __str__(self) -> str:
        return str(self.array)

    def __format__(self, spec: str) -> str:
        return format(self.array, spec)

    def __contains__(self, value: Any) -> bool:
        self._check_not_traced("asking whether a value is in it")
        return bool(np.any(self.array == unwrapped(value)))

    # ---- NumPy's functions --------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **options: Any) -> Any:
        if method == "at":
            return _write(ufunc.at, args[0], args, options)
        if options:
            if options.get("where") is True:  # as by default
                del options["where"]
            for name in ("array", "indices"):  # NumPy gives them by position as well
                options.pop(name, None)
        return call(ufunc if method == "__call__" else getattr(ufunc, method), args, options)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: Sequence[Any], options: dict[str, Any]
    ) -> Any:
        return call(function, args, options)

    __neg__, __pos__ = _operator(np.negative, operator.neg), _operator(np.positive, operator.pos)
    __abs__, __invert__ = _operator(np.absolute, abs), _operator(np.invert, operator.invert)
    __add__, __radd__ = _operators(np.add, operator.add)
    __sub__, __rsub__ = _operators(np.subtract, operator.sub)
    __mul__, __rmul__ = _operators(np.multiply, operator.mul)
    __truediv__, __rtruediv__ = _operators(np.divide, operator.truediv)
    __floordiv__, __rfloordiv__ = _operators(np.floor_divide, operator.floordiv)
    __mod__, __rmod__ = _operators(np.remainder, operator.mod)
    __divmod__, __rdivmod__ = _operators(np.divmod, divmod)
    __pow__, __rpow__ = _operators(np.power, operator.pow)
    __matmul__, __rmatmul__ = _operators(np.matmul, operator.matmul)
    __and__, __rand__ = _operators(np.bitwise_and, operator.and_)
    __or__, __ror__ = _operators(np.bitwise_or, operator.or_)
    __xor__, __rxor__ = _operators(np.bitwise_xor, operator.xor)
    __lshift__, __rlshift__ = _operators(np.left_shift, operator.lshift)
    __rshift__, __rrshift__ = _operators(np.right_shift, operator.rshift)
    __lt__, __gt__ = _operators(np.less, operator.lt)
    __le__, __ge__ = _operators(np.less_equal, operator.le)
    __eq__ = _operator(np.equal, operator.eq)  # type: ignore[assignment]  # elementwise
    __ne__ = _operator(np.not_equal, operator.ne)  # type: ignore[assignment]


def tensor_at(array: Any, tape: Tape, place: int) -> Any:
    """The tensor at a place on a tape: the very one that entered there, or one made for the purpose."""
    if place == CONSTANT:
        return wrapped(array, UNATTACHED)
    if place >= 0:
        return Tensor(array, tape, place, tape.attachments.get(place))
    source: Any = tape.source(place)  # whose array may be another since, if the old one could not be written
    return source if source.array is array else Tensor(array, source.tape, source.index, source.attachment)


def tracked(values: Any) -> Iterator[Tensor]:
    """The tensors among some arguments that are being differentiated here."""
    if MODE.get() & RECORDING:
        yield from (t for t in tensors_in(values) if t.tape is not None)


def wrapped(value: Any, index: int) -> Any:
    """The same value with a constant Tensor in place of each array."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, ARRAYS) or hasattr(value, "__array_ufunc__"):
        return Tensor(value, None, index)
    return each_part(lambda part: wrapped(part, index), value) if isinstance(value, (list, tuple)) else value


def call(function: Callable[..., Any], args: Sequence[Any], options: dict[str, Any] = NO_OPTIONS) -> Any:
    """Any function of NumPy's with a Tensor somewhere among its arguments: where its protocols lead.

    Returns what NumPy returns, with a Tensor in place of each array.
    """
    row = DERIVATIVES.get(function) or row_of(function)
    if options or row.target is not None or len(args) > row.out:
        target = row.written_by(args, options)
        if target is not None:
            return _write(function, target, args, options)
    if (
        row.written is not None
        and (row.written_for is None or not row.written_for.isdisjoint(options))
        and next(tracked((*args, *options.values())), None) is not None
    ):
        result = row.written(*args, **options)
        if result is not NotImplemented:
            return wrapped(result, UNATTACHED)
    arrays: Any = []
    for a in args:  # quicker than a comprehension, as below
        arrays.append(a.array if isinstance(a, Tensor) else a)
    plain = options
    steering = options or len(args) > row.known
    fixed = (
        not steering
        or (
            row.ruled.isdisjoint(options)  # a tuple there is an array
            and len(args) <= row.later
            and all(map(is_fixed, (*args[row.known :], *options.values())))
        )
    )
    if not PLAIN.issuperset(map(type, arrays[: row.known] if fixed else (*arrays, *options.values()))):
        args, options = operands(row, args, options)
        arrays = map(unwrapped, args)
        plain = {name: unwrapped(v) for name, v in options.items()}
    arrays = tuple(arrays)
    return recorded(row, args, arrays, function(*arrays, **plain), options, plain, fixed)


def _write(function: Callable[..., Any], target: Any, args: Sequence[Any], options: dict[str, Any]) -> Any:
    """A call that writes into some of its arguments, and so cannot be recorded."""
    if isinstance(target, tuple) and len(target) > 1 and MODE.get() & TRACING:
        return _write_each(function, target, args, options)
    _before_write(function, target, args, options, NO_OUT)
    index = UNATTACHED if MODE.get() & RECORDING else OUTSIDE
    value = function(*map(unwrapped, args), **{name: unwrapped(v) for name, v in options.items()})
    if not isinstance(target, tuple):
        if value is unwrapped(target):
            return target
        if value is not None and MODE.get() & TRACING:
            how = f"the result of {errors.name_of(function)}, which may overwrite its argument,"
            raise errors.TraceError(tensor=errors.describe(target), how=how)
        return wrapped(value, index)
    values = value if len(target) > 1 else (value,)
    made = [wrapped(v, index) if t is None else t for t, v in zip(target, values, strict=True)]
    return tuple(made) if len(made) > 1 else made[0]


def _write_each(
    function: Callable[..., Any], target: tuple[Any, ...], args: Sequence[Any], options: dict[str, Any]
) -> Any:
    """The same where it is traced: a call that makes several arrays, and a write into each target."""
    made = list(call(function, args, {k: o for k, o in options.items() if k not in ("out", "where")}))
    how: dict[str, Any] = {name: options[name] for name in ("where", "casting") if name in options}
    for i, t in enumerate(target):
        if t is not None:
            call(np.copyto, (t, made[i]), how)
            made[i] = t
    return tuple(made)


def _before_write(
    function: Callable[..., Any], target: Any, args: Sequence[Any], options: dict[str, Any], instead: str
) -> None:
    """Refuse a write that would make a gradient wrong, or lose one; and note all others."""
    mode = MODE.get()
    for t in target if isinstance(target, tuple) else (target,):
        own = isinstance(t, Tensor)
        if mode & RECORDING:
            if own and t.tape is not None:
                raise errors.InPlaceError(tensor=errors.describe(t), instead=instead)
            row = DERIVATIVES.get(function)
            losable = row is None or row.rules or row.written  # what np.isfinite(x, out) writes is not
            for lost in tracked((*args, *options.values())) if losable else ():
                into = errors.describe(t) if own else "an array"
                raise errors.LostInWriteError(tensor=errors.describe(lost), target=into, instead=instead)
        if own and isinstance(t.array, np.generic):  # NumPy hands 0-d results out as immutable scalars
            t.array = np.array(scalar := t.array)
            if mode & TRACING:
                TRACER.get().copied(scalar, t)
            if t.tape is not None and t.tape is not LEAVES:
                t.tape.calls[t.index + 1] = t.array  # for the write to be noticed
        if own or isinstance(t, np.ndarray):
            WRITES.note(t.array if own else t)
    if mode & TRACING:
        TRACER.get().write(function, target, args, options)


def _new_tape(newer: bool = False) -> Tape:
    """A tape for the calls from now on. It ends with a scope of this thread, or else with the context."""
    tape: Tape | None = None if LOCAL.scopes or newer else TAPE.get()
    if tape is None or tape.thread != get_ident():
        tape = Tape()
        if LOCAL.scopes:
            LOCAL.tape = tape
        else:
            TAPE.set(tape)
    return tape


def recorded(
    row: Derivative,
    args: Sequence[Any],
    arrays: tuple[Any, ...],
    value: Any,
    options: dict[str, Any] = NO_OPTIONS,
    plain: dict[str, Any] = NO_OPTIONS,
    fixed: bool = False,
) -> Any:
    """The value of a call with tensors for arrays; and the call on the tape, if a gradient can flow back.

    `fixed` says that no option, and no argument beyond those with a rule, is an array or can be changed.
    """
    mode = MODE.get()
    if mode & TRACING:
        return TRACER.get().call(row, args, arrays, value, options, plain)
    if not mode & RECORDING:
        return wrapped(value, OUTSIDE)
    if not row.rules:
        return wrapped(value, UNATTACHED)
    tape: Tape = LOCAL.tape or _new_tape()
    fixed = row.options.issuperset(options) if fixed else not options and len(args) <= row.known
    given = args if fixed else (*args, *options.values())
    places: Any = []
    for a in given:
        places.append(a.index if isinstance(a, Tensor) and a.tape is tape else _place(a, tape))
    if None in places:  # one is on a newer tape
        _new_tape(newer=True)
        return recorded(row, args, arrays, value, options, plain, fixed)
    if places.count(CONSTANT) == len(places):
        return wrapped(value, UNATTACHED)
    several = False
    if getattr(value, "dtype", OBJECT).kind != "f":
        several = isinstance(value, (list, tuple))
        kinds = {getattr(part, "dtype", OBJECT).kind for part in (value if several else (value,))}
        if kinds & {"c", "O"}:
            raise errors.ComplexResultError(function=errors.name_of(row.function))
        if "f" not in kinds:
            return wrapped(value, UNATTACHED)
    if not fixed:
        arrays, plain, places = _kept(row, given, (*arrays, *plain.values()), [*options], places)
        if places.count(CONSTANT) == len(places):
            return wrapped(value, UNATTACHED)
    index = tape.append(row, tuple(value) if several else value, arrays, tuple(places), plain)
    if tape.places is not None:
        tape.places[index] = errors.place()
    if not several:
        return Tensor(value, tape, index)
    parts = [
        Tensor(part, tape, tape.append(PART, part, (None, i), (index, CONSTANT)))
        for i, part in enumerate(value)
    ]
    made = iter([part if part.dtype.kind == "f" else part.detach() for part in parts])
    return each_part(lambda _: next(made), value)


def _place(value: Any, tape: Tape) -> int | None:
    """The place of an argument on the tape, also of a list with tensors; None if one is on a newer tape."""
    if isinstance(value, Tensor):
        return tape.place_of(value)
    if not isinstance(value, (list, tuple)) or next(tensors_in(value), None) is None:
        return CONSTANT
    places = tuple([_place(part, tape) for part in value])
    if None in places:
        return None
    if places.count(CONSTANT) == len(places):
        return CONSTANT
    arrays = tuple(map(unwrapped, value))
    return tape.append(PACK, list(arrays), arrays, places)


def _kept(
    row: Derivative, given: Sequence[Any], values: Sequence[Any], names: list[str], places: tuple[Any, ...]
) -> tuple[tuple[Any, ...], dict[str, Any], tuple[Any, ...]]:
    """The arrays and the options of a call as `backward` will need them, and the places that get gradients.

    Of an argument that steers the call, such as an index, a copy: it may change before. A change of a tensor,
    or of what is differentiated, is noticed. A tracer needs to know the array again.
    """
    if not row.options.issuperset(names):
        unknown = {*names} - row.options
        instead = "Write np.where(mask, f(x), x)" if unknown == {"where"} else "Leave it away"
        raise errors.OptionError(function=errors.name_of(row.function), option=min(unknown), instead=instead)
    count, tracer = len(given) - len(names), TRACER.get()
    kept, found = [], []
    for argument, tensor, value, place in zip((*range(count), *names), given, values, places, strict=True):
        rule = row.rule_of(argument)
        if place != CONSTANT and (rule is ... or isinstance(rule, str)):
            instead = "Pass x.detach() if that counts as a constant" if rule is ... else rule
            function = errors.name_of(row.function)
            raise errors.NoRuleError(function=function, argument=argument, instead=instead)
        known = callable(rule) or type(value) in FIXED or isinstance(tensor, Tensor)
        kept.append(value if known else copied(value, tracer is None))
        found.append(place if rule else CONSTANT)
    if found[count:].count(CONSTANT) == len(names):
        found = found[:count]
    return tuple(kept[:count]), dict(zip(names, kept[count:], strict=True)), tuple(found)


def _rebuilt(cls: type[Tensor], array: Any, attachment: tuple[str, Any] | None) -> Tensor:
    tensor = cls(array)
    tensor.index = UNATTACHED
    if attachment:
        tensor.attach_grad(attachment[0])
        tensor.grad = attachment[1]
    return tensor


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
        return Tensor(data.copy() if dtype is None else cast(data, dtype), None, UNATTACHED)
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
        return data if dtype is None or data.dtype == dtype else data.astype(dtype)
    if not hasattr(data, "__array_function__") or isinstance(data, np.ndarray):
        data = np.asarray(data, dtype)
    elif dtype is not None:
        data = data.astype(dtype)
    return Tensor(data, None, UNATTACHED)


def with_gradients(heads: Any, head_grads: Any) -> list[tuple[Tensor, Any]]:
    """Each head with its gradient: the one given, or ones, as one number that broadcasts.

    That in a Tensor may have another dtype: its cast is a part of the sweep.
    """
    if not isinstance(heads, (list, tuple)):
        heads, head_grads = [heads], [head_grads]
    elif head_grads is None:
        head_grads = [None] * len(heads)
    if not isinstance(head_grads, (list, tuple)) or len(heads) != len(head_grads):
        raise ValueError(f"{len(heads)} heads need a list of {len(heads)} head gradients, not {head_grads!r}")
    pairs = []
    for head, gradient in zip(heads, head_grads, strict=True):
        if not isinstance(head, Tensor):
            raise TypeError(f"a head must be a Tensor, not {type(head).__name__}")
        if head.tape is None:
            outside = head.index == OUTSIDE
            why = errors.NotRecordedError if outside else errors.NothingAttachedError
            raise why(tensor=errors.describe(head))
        if gradient is None:
            gradient = head.dtype.type(1)
        elif (shape := np.shape(gradient)) != head.shape:
            raise ValueError(f"the head gradient has shape {shape}; {errors.describe(head)} needs its own")
        elif np.iscomplexobj(unwrapped(gradient)):
            raise TypeError(f"the head gradient is complex; {errors.describe(head)} needs real numbers")
        elif not isinstance(gradient, Tensor):
            gradient = asarray(gradient, head.dtype).array[()]
        pairs.append((head, gradient))
    return pairs


def _gradients(
    pairs: list[tuple[Tensor, Any]],
    retain_graph: bool,
    create_graph: bool,
    listeners: dict[Tape, dict[int, Attachment]] | None = None,
) -> dict[Attachment, Any]:
    """Sweep from the heads: arrays, or with `create_graph` Tensors that can be differentiated again."""
    if not create_graph and not MODE.get() & TRACING:
        plain = [
            (head, asarray(g.array, head.dtype).array if isinstance(g, Tensor) else g) for head, g in pairs
        ]
        gradients = sweep(plain, retain_graph, None, listeners)
        if not retain_graph:
            LOCAL.tape = None  # it has gaps now: go on with a new one, so that this one can be freed
        return gradients
    with _recording_sweep():
        lifted = [
            (head, asarray(g, head.dtype) if isinstance(g, Tensor) else Tensor(g, None, UNATTACHED))
            for head, g in pairs
        ]
        return sweep(lifted, retain_graph, tensor_at, listeners)


@contextmanager
def _recording_sweep(number: int = 0) -> Iterator[None]:
    """Record on a tape that tells: these calls make gradients, in a sweep of that number or in a new one."""
    with Scope(RECORDING):
        LOCAL.tape = tape = Tape()
        tape.sweep = number or tape.number
        yield


def _as_own(gradient: Any, array: Any, create_graph: bool) -> Tensor:
    """What a sweep made for an array, in its shape and dtype, and shared with no other gradient."""
    if isinstance(gradient, Tensor):
        with _recording_sweep(gradient.sweep):
            own = cast_type(Tensor, _in_shape(gradient, array.shape).astype(array.dtype))
        return own if create_graph else own.detach()
    if not isinstance(array, ARRAYS) and isinstance(gradient, ARRAYS):  # ones, for a Dask array and the like
        gradient = np.zeros_like(array) + gradient
    if gradient.shape == array.shape and gradient.dtype == array.dtype and _references(gradient) == ALONE:
        return Tensor(gradient)
    return Tensor(cast(_in_shape(gradient, array.shape), array.dtype))


def _in_shape(gradient: Any, shape: tuple[int, ...]) -> Any:
    return gradient if gradient.shape == shape else np.broadcast_to(gradient, shape)


def _references(array: Any) -> int:
    """How often an array that owns its memory is referred to."""
    return sys.getrefcount(array) if type(array) is np.ndarray and array.base is None else 0


#: if only the function that asks refers to it
ALONE = (lambda array: _references(array))(np.empty(0))


def backward(
    heads: Tensor | Sequence[Tensor],
    head_grads: Any = None,
    retain_graph: bool = False,
    create_graph: bool = False,
) -> None:
    """Differentiate several heads at once, as `Tensor.backward` does one.

    With one head gradient for each head, the gradients are those of the sum of `head_grads[i] * heads[i]`.

    Raises what `Tensor.backward` does, and ValueError unless there are as many head gradients as heads.

    >>> from tinygrad_lr import autograd, record, tensor
    >>> x = tensor(3.0)
    >>> x.attach_grad()
    >>> with record():
    ...     y, z = x**2, 10 * x
    >>> autograd.backward([y, z])
    >>> x.grad
    tensor(16.)
    """
    pairs = with_gradients(heads, head_grads)
    gradients = _gradients(pairs, retain_graph or create_graph, create_graph)
    for attachment in list(gradients):
        own = _as_own(gradients.pop(attachment), attachment.grad.array, create_graph)
        if attachment.grad_req == "add":
            with Scope(RECORDING * create_graph, RECORDING):
                own = attachment.grad + own
        attachment.grad, attachment.written = own, True


def grad(
    heads: Tensor | Sequence[Tensor],
    variables: Any,
    head_grads: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> Any:
    """The gradients of the heads with respect to the variables; nothing is stored in any `.grad`.

    Returns one Tensor for a single variable, a list for a list. A variable is any tensor of the graph. The
    graph is kept if `retain_graph` or `create_graph`: what is made of it then still needs it.

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
    single = isinstance(variables, Tensor)
    wanted: list[Tensor] = [variables] if single else list(variables)
    for position, v in enumerate(wanted):
        if v.tape is None:
            raise _unreached(position, v, " It is a constant: attach it first.")
    kept = bool(retain_graph) or create_graph
    result = gradients_at(wanted, with_gradients(heads, head_grads), kept, create_graph)
    for position, (v, gradient) in enumerate(zip(wanted, result, strict=True)):
        if gradient is None:
            raise _unreached(position, v)
    return result[0] if single else result


def gradients_at(
    wanted: list[Tensor], heads: list[tuple[Tensor, Any]], retain_graph: bool, create_graph: bool
) -> list[Tensor | None]:
    """The gradient at each of some tensors of the graph; None where the heads do not depend on it."""
    slots: list[Attachment] = []
    listeners: dict[Tape, dict[int, Attachment]] = {}
    for v in wanted:
        places = listeners.setdefault(cast_type(Tape, v.tape), {})
        own = v.attachment if v.is_leaf else None
        slots.append(own or places.setdefault(v.index, Attachment(None, "null")))
    gradients = _gradients(heads, retain_graph, create_graph, listeners)
    pairs = zip(wanted, slots, strict=True)
    found = [_as_own(gradients[s], v.array, create_graph) if s in gradients else None for v, s in pairs]
    if MODE.get() & TRACING:
        for v, gradient in zip(wanted, found, strict=True):
            TRACER.get().gradient(v, gradient)
    return found


def _unreached(position: int, variable: Tensor, why: str = "") -> errors.UnreachedError:
    return errors.UnreachedError(position=position, tensor=errors.describe(variable), why=why)
