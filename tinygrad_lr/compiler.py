"""A function of tensors, compiled to straight-line NumPy code: traced once, simplified, printed and run.

>>> import numpy as np
>>> from tinygrad_lr import compile
>>> from tinygrad_lr.func import value_and_grad
>>> def loss(w, X, y):
...     r = X @ w - y
...     return np.mean(r**2) / 2
>>> step = compile(value_and_grad(loss))
>>> value, gradient = step(np.zeros(2), np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 2.0]))
>>> print(value, gradient)
1.25 [-3.5 -5. ]
>>> print(step.source)
import numpy as np
<BLANKLINE>
<BLANKLINE>
def loss(w, X, y):
    r = X @ w - y             # (2,) float64
    grad_w = X.T @ (0.5 * r)  # (2,) float64
    return (0.5 * np.mean(r * r), grad_w)
<BLANKLINE>

While it is traced, the function runs as always, on tensors for the arrays of the first call, and each call of
NumPy's is noted, those of the rules in `backward` as well. Simplifications keep results equal to rounding;
only where values come near the largest or smallest numbers of their dtype may one more or less overflow.
"""

import builtins
import functools
import inspect
import keyword
import operator
import pickle
import sys
import types
import typing
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import get_ident, local
from typing import Any, NamedTuple

import numpy as np

from .calls import ARRAYS, unwrapped
from .derivatives import cast, scatter
from .errors import PACKAGE, TraceError, describe, name_of
from .executable import Writer, executed, lowered
from .program import (
    VIEWING,
    Answer,
    Line,
    Program,
    Variable,
    called,
    lies_by_rows,
    mapped,
    simplified,
    source,
    variables_in,
)
from .scope import MODE, RECORDING, TRACER, TRACING, Scope
from .tape import WRITES
from .tensor import UNATTACHED, Tensor, asarray, recorded, tracked

CACHE_SIZE = 16
MISSED = object()  # what code returns that does not fit
#: functions whose results have as many elements as the values say
SELECTING = {np.nonzero, np.flatnonzero, np.argwhere, np.compress, np.extract, np.trim_zeros}
SELECTING |= {np.unique, np.unique_all, np.unique_counts, np.unique_inverse, np.unique_values, np.union1d}
SELECTING |= {np.intersect1d, np.setdiff1d, np.setxor1d, np.bincount}
#: functions that make a number of a number of NumPy's, where they would make an array of an array
SAME_NUMBER = {np.transpose, np.moveaxis, np.reshape, np.broadcast_to, np.copy, cast}
#: parameters of NumPy's functions whose values say which shape comes out, or whether the argument itself does
STEERING = {"axis", "axes", "axis1", "axis2", "axisa", "axisb", "axisc", "source", "destination", "shape"}
STEERING |= {"new_shape", "newshape", "reps", "indices_or_sections", "pad_width", "window_shape"}
STEERING |= {"n", "s", "N", "num"}
#: functions that may read an array in the order of its memory, and the position of the argument for that
ORDERED = {np.ravel: 1, np.reshape: 2}
#: files whose functions' names for tensors mean nothing to the user
LIBRARIES = (PACKAGE, str(Path(np.__file__).parent), typing.__file__)


class Tracer:
    """Notes the calls that tensors go through, as lines of a program."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        # by the id of an array: its variable, or its value if it is a constant
        self.known: dict[int, Any] = {}
        self.kept: list[Any] = []  # the arrays, so that their ids stay theirs
        self.captured: list[Variable] = []
        self.asked = False  # whether somebody wanted to know a value
        self.passed_on: set[int] = set()  # results that are tensors from elsewhere
        self.reachable: set[int] = set()  # the ids of arrays that the function can write into
        self.owners: dict[int, Tensor] = {}  # the tensors found by a name, by the id of the array
        self.places: dict[int, int] = {}  # of the arguments, by the id of the tensor
        self.numbers: set[int] = set()  # the ids of arrays that stand for NumPy's scalars
        self.attached: dict[Tensor, Any] = {}  # whose gradients the program may store; those from before
        self.gradients: list[tuple[Variable, Variable]] = []  # what was differentiated, and the gradient
        self.facts: list[tuple[Callable[[], Any], Any]] = []  # what the program is for
        self.names: dict[int, tuple[str, Any]] = {}  # of arrays, by their id, and the tensor they are for
        self._guarded: list[Tensor] = []
        self._undo: list[Callable[[], Any]] = []  # what brings everything back as it was

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Be told of every call."""
        token = TRACER.set(self)
        try:
            with Scope(TRACING):
                yield
        finally:
            TRACER.reset(token)
            for t in self._guarded:
                t.__class__ = Tensor

    def undo(self) -> None:
        """Give tensors and gradients the values that they had before."""
        for undo in reversed(self._undo):
            undo()

    def guard(self, tensor: Any) -> None:
        """Let nobody have the array of a tensor, or of those in a list."""
        if type(tensor) is Tensor:
            tensor.__class__ = Guarded
            self._guarded.append(tensor)
        elif isinstance(tensor, (list, tuple)):
            for part in tensor:
                self.guard(part)

    def attach(self, tensor: Tensor) -> None:
        """Note a tensor from elsewhere, the gradient of which the program may store."""
        self.guard(tensor)
        attachment: Any = tensor.attachment
        if attachment is not None and tensor not in self.attached:
            self.attached[tensor] = attachment.grad
            grad, written = attachment.grad, attachment.written

            def undo() -> None:
                attachment.grad, attachment.written = grad, written

            self.undo_by(undo)
            self.guard(grad)

    def undo_by(self, undo: Callable[[], Any]) -> None:
        """Have this called if tracing fails."""
        self._undo.append(undo)

    def keep(self, fact: Callable[[], Any]) -> None:
        """Let the program be for what this is now: when it is another, the function is traced again."""
        self.facts.append((fact, fact()))

    def ask(self, numbers: Callable[[], Sequence[np.float64]], names: Sequence[str]) -> list[Tensor]:
        """Tensors for numbers that the program is to ask for at each call."""
        source, made = Answer(numbers), []
        for name, number in zip(names, numbers(), strict=True):
            array = np.array(number, float)
            self.captured.append(self.add(array, source))
            self.names[id(array)] = name, None
            made.append(Tensor(array))
        self.guard(made)
        return made

    def state(self, array: Any, name: str, of: Tensor) -> Tensor:
        """A tensor for an array that belongs to another, and keeps what the program writes into it."""
        self.reachable.add(id(array))
        self.names[id(array)] = name, of
        self.guard(made := Tensor(array))
        if id(array) not in self.known:
            self.captured.append(self.add(array, array))
        return made

    def gradient(self, tensor: Tensor, gradient: Tensor | None) -> None:
        """Note which of the values is the gradient of which tensor."""
        if gradient is not None:
            self.gradients.append((self.operand(tensor), self.operand(gradient)))

    def add(self, array: Any, source: Any = None, base: Variable | None = None) -> Variable:
        variable = Variable(array, source, base)
        self.known[id(array)] = variable
        self.kept.append(array)
        return variable

    def operand(self, value: Any) -> Any:
        """An argument of a call: a variable, or a constant."""
        array = value.array if isinstance(value, Tensor) else value
        if isinstance(array, ARRAYS) and id(array) in self.known:
            return self.known[id(array)]
        attached = getattr(value, "attachment", None) is not None
        if isinstance(array, np.generic) and not attached and id(array) not in self.reachable:
            return array  # it was made within the function, of constants
        if not isinstance(array, ARRAYS):
            return array
        owners = (self.places.get(id(t), t) for t in self.attached if t.grad is value)
        source = next(map(GradientOf, owners), self.owners.get(id(array), value))
        if isinstance(value, Tensor):
            self.attach(value)
        variable = self.add(array, source)
        self.captured.append(variable)
        return variable

    def call(self, row: Any, args: Any, arrays: Any, value: Any, options: Any, plain: Any) -> Any:
        """Note a call, and do what is done without a tracer."""
        order = options.get("order", *args[ORDERED[row.function] :][:1]) if row.function in ORDERED else None
        if str(order).upper() in ("A", "K"):
            raise TraceError(
                f"{name_of(row.function)} with order={order!r} depends on how its argument lies in memory, "
                'and compiled code makes arrays that lie otherwise. Write order="C" or order="F".'
            )
        if isinstance(value, np.bool_):  # of which there are two only, not one for each result
            value = np.array(value)
            self.numbers.add(id(value))
        token = MODE.set(MODE.get() & ~TRACING)
        try:
            made = recorded(row, args, arrays, value, options, plain)
        finally:
            MODE.reset(token)
        several = isinstance(value, (list, tuple))
        self.check_steering(row, args, options)
        if several or id(value) not in self.known:  # some functions return their argument itself
            given = {name: o for name, o in options.items() if o is not None or name != "out"}
            noted = mapped(self.operand, tuple(args)), mapped(self.operand, given)
            values = list(value) if several else [value]
            if not several and np.ndim(value) == 0 and not variables_in(noted):
                self.known[id(value)] = value  # made of constants, it is one itself
                self.kept.append(value)
            elif not self.expanded(row.function, args, options, values):
                reads = variables_in(noted)
                line = Line(row.function, *noted, [self.made(array, reads) for array in values])
                line.several = several
                number = any(id(v.array) in self.numbers for v in reads[:1]) and row.function in SAME_NUMBER
                number |= row.function is cast and any(v.array.dtype != values[0].dtype for v in reads)
                if number and np.ndim(value) == 0:
                    self.numbers.add(id(value))
                self.check_shape(line, value)
                self.lines.append(line)
        self.guard(made)
        return made

    def expanded(self, function: Any, args: Any, options: Any, values: list[Any]) -> bool:
        """Note the calls within a function that only the table of derivatives has: its body is NumPy."""
        body = getattr(function, "__wrapped__", None)
        if (
            body is None
            or function in (cast, scatter)
            or not function.__module__.startswith(f"{__package__}.")
        ):
            return False
        plain = [a.detach() if isinstance(a, Tensor) else a for a in args]
        token = MODE.set(MODE.get() & ~RECORDING | TRACING)
        try:
            result = body(*plain, **options)
            made = list(map(self.operand, result if isinstance(result, (list, tuple)) else [result]))
        finally:
            MODE.reset(token)
        self.known |= zip(map(id, values), made, strict=True)
        self.kept += values
        for v, value in zip(made, values, strict=True):
            if isinstance(v, Variable) and v.source is None:  # what shares memory with it is made of this
                self.kept.append(v.array)
                v.array = value
        return all(isinstance(v, Variable) for v in made)

    def check_steering(self, row: Any, args: Any, options: Any) -> None:
        """Raise where what a function of NumPy's does depends on a value that may be another one later."""
        function = row.function
        if isinstance(function, np.ufunc) or not str(getattr(function, "__module__", "")).startswith("numpy"):
            return
        given = {**dict(zip(row.names, args, strict=False)), **options}
        for name in STEERING & given.keys():
            steering = variables_in(mapped(self.operand, given[name]))
            if any(not isinstance(v.source, np.ndarray) for v in steering):
                raise TraceError(
                    f"what {name_of(function)} does depends on the value of {name}, and a compiled function "
                    "is the same for all values of arrays. Pass numbers of Python's to the function."
                )

    def check_shape(self, line: Line, value: Any) -> None:
        """Raise where the shape of a result depends on values: later ones may be others."""
        key = line.args[1] if line.function is operator.getitem else ()
        steering = line.reads if line.function in SELECTING else variables_in(key)
        if line.function is np.where and len(line.args) == 1:
            steering = line.reads
        if line.function in (np.repeat, np.delete):
            steering = variables_in((line.args[1:], line.options))
        masks = line.function in SELECTING or line.function in (np.where, np.repeat, np.delete)
        for v in steering:
            if not isinstance(v.source, np.ndarray) and (masks or v.array.dtype.kind == "b"):
                raise TraceError(
                    f"how many elements {name_of(line.function)} takes depends on values, and a compiled "
                    "function is the same for all. Keep all elements: np.where(mask, x, 0), not x[mask]."
                )

    def made(self, array: Any, reads: list[Variable]) -> Variable:
        shares = isinstance(array, np.ndarray) and array.base is not None
        return self.add(
            array, None, next((v for v in reads if shares and np.may_share_memory(array, v.array)), None)
        )

    def copied(self, scalar: Any, tensor: Tensor) -> None:
        """Note that a tensor's NumPy scalar became an array, to be written."""
        array = tensor.array
        if id(scalar) not in self.known and id(scalar) in self.reachable:
            self.captured.append(self.add(scalar, tensor))
        variable, copy = self.operand(scalar), self.add(array)
        if isinstance(variable, Variable) and variable.source is not None:
            # the tensor is from elsewhere and stays what it is; others with this scalar keep the value
            variable.array, self.known[id(array)] = array, variable
            copy.array, self.known[id(scalar)] = scalar, copy
            self.reachable.add(id(array))
        self.lines.append(Line(np.array, (variable,), {}, [copy]))

    def write(self, function: Any, target: Any, args: Any, options: Any) -> None:
        """Note that a call writes into a tensor, or into several."""
        targets = target if isinstance(target, tuple) else (target,)
        for array in (getattr(t, "array", t) for t in targets):
            made = self.known.get(id(array))
            number = id(array) in self.numbers and isinstance(array, np.ndarray)
            if number and isinstance(made, Variable) and made.source is None:
                self.numbers.remove(id(array))  # a truth value of NumPy's, which becomes an array
                self.lines.append(Line(np.array, (made,), {}, [self.add(array)]))
        args, options = mapped(self.operand, tuple(args)), mapped(self.operand, dict(options))
        for t in targets:
            variable = self.operand(t)
            if variable.root.source is not None and id(variable.root.array) not in self.reachable:
                raise TraceError(
                    f"{name_of(function)} writes into an array of shape {variable.array.shape} that is none "
                    "of the function's arguments, nor found by a name: made within it, it would keep what is "
                    "written from call to call. Make it of a tensor, np.zeros_like(x), or pass it in."
                )
            if variable.root.source is not None:
                array = variable.root.array
                self.undo_by(partial(np.copyto, array, array.copy()))
            self.lines.append(Line(function, args, options, [], variable))


class Guarded(Tensor):
    """A tensor while a function is traced: its array is for the engine alone, as it would be frozen."""

    __slots__ = ()

    @property
    def array(self) -> Any:
        return _ARRAY.__get__(self._asked_by_engine())

    @array.setter
    def array(self, array: Any) -> None:
        _ARRAY.__set__(self._asked_by_engine(), array)

    def _asked_by_engine(self) -> "Tensor":
        if MODE.get() & TRACING and not sys._getframe(2).f_code.co_filename.startswith(PACKAGE):
            raise TraceError(tensor=describe(self), how=".array")
        return self

    def detach(self) -> Tensor:
        made = super().detach()
        TRACER.get().guard(made)
        return made


_ARRAY: Any = Tensor.__dict__["array"]


class Traced:
    """A program for arguments of certain shapes, dtypes and static values.

    Attributes
    ----------
    run : called with the arguments and the options, does what the function does; or returns MISSED if they,
        or what the function has found elsewhere, are not such that the code fits.
    """

    def __init__(
        self,
        program: Program,
        args: Any,
        options: Any,
        written: list[Any],
        facts: list[Any],
        pinned: dict[int, Any],
    ) -> None:
        self.program, self.facts = program, facts
        self.args, self.options = mapped(_shell, args), mapped(_shell, options)
        self.lowered = lowered(program)
        self.written = written
        self.mode = MODE.get()
        sources = [_tensor(v.source) for v in program.captured]
        self.found = [t for t in sources if isinstance(t, (Tensor, *ARRAYS))]
        self.kinds = list(map(_kind, self.found))
        leaves: list[Any] = []
        _key((args, options), leaves)
        self.pinned = pinned
        self.among, self.overlap = _overlap(leaves), _overlap((*leaves, *self.found))
        self.by_rows = [lies_by_rows(getattr(leaf, "array", leaf)) for leaf in leaves]
        for line in (*program.lines, *self.lowered.lines):
            for v in (*line.reads, *line.made, *program.arguments):  # let go of the values
                v.array = np.broadcast_to(np.empty((), v.array.dtype), v.array.shape)
        self.bind()

    def fits(self, leaves: Sequence[Any]) -> bool:
        """Whether what the function found elsewhere is such as it was: shapes, dtypes, and certain facts.

        And whether the arguments share memory with it as they did.
        """
        facts = all(fact() == value for fact, value in self.facts)
        kinds = list(map(_kind, self.found)) == self.kinds
        return facts and kinds and _overlap((*leaves, *self.found)) == self.overlap

    def bind(self) -> None:
        """Write the code for what the function finds elsewhere now."""
        code = Code(self)
        exec(builtins.compile(code.text, f"<compiled {self.program.name}>", "exec"), code.space)
        self.run: Callable[..., Any] = code.space["run"]
        self.run.__doc__ = code.text


class Code:
    """The function that `Traced.run` is, as text."""

    def __init__(self, traced: Traced) -> None:
        program = traced.lowered
        self.space: dict[str, Any] = {"MISSED": MISSED, "mode": MODE.get, "T": Tensor, "W": WRITES}
        self.space["refs"] = sys.getrefcount
        self.rows: list[str] = []
        self._bound: dict[int, str] = {}  # names of objects, by their id
        self.misses = [f"mode() != {traced.mode}"]
        self.leaves: list[Any] = []
        self.names: list[str] = []  # of the arrays of the leaves
        self._unpack_parts(traced.args, "args")
        if traced.options:
            self._unpack_parts(traced.options, "options")
        else:
            self.misses.append("options")
        self.misses += [f"a{place} is not {self._bind(leaf)}" for place, leaf in traced.pinned.items()]
        every = "".join(f"a{place}, " for place in range(len(self.leaves)))
        found = "".join(f"{self._bind(t)}, " for t in traced.found)
        if traced.program.by_memory:
            for array, by_rows in zip(self.names, traced.by_rows, strict=True):
                self.misses.append(f"{array}.flags.c_contiguous is not {by_rows}")
        attached = any(leaf.grad_req for leaf in self.leaves)
        if traced.among or attached or any(isinstance(place, int) for place in traced.written):
            self.misses.append(f"{self._bind(_overlap)}(({every})) != {traced.among}")
        given = {id(v): self.names[place] for place, v in enumerate(program.arguments)}
        fixed: dict[int, Any] = {}
        arrays = []
        answers: dict[Any, list[str]] = {}
        for v in program.captured:
            t = _tensor(v.source)
            if isinstance(t, Answer):
                given[id(v)] = f"x{len(given)}_"
                answers.setdefault(t, []).append(given[id(v)])
                continue
            if isinstance(t, Tensor):
                self.misses.append(f"{self._bind(t)}.attachment is not {self._bind(t.attachment)}")
            if isinstance(v.source, GradientOf):
                given[id(v)] = f"x{len(given)}_"
                arrays.append(f"{given[id(v)]} = {self._attachment(t)}.grad.array")
            else:
                if isinstance(t, Tensor) and isinstance(t.array, np.generic):
                    t.array = np.array(t.array)  # which can be written
                fixed[id(v)] = array = t.array if isinstance(t, Tensor) else t
                if isinstance(t, Tensor):
                    self.misses.append(f"{self._bind(t)}.array is not {self._bind(array)}")
        if len(traced.overlap) != len(traced.among) + len(_overlap(traced.found)):
            self.misses.append(f"{self._bind(_overlap)}(({every}{found})) != {traced.overlap}")
        elif traced.written or program.stored:
            self._keep_apart(traced.found, program)
        for fact, value in traced.facts:
            self.misses.append(f"{self._bind(fact)}() != {self._bind(value)}")
        self._check()
        if traced.mode & RECORDING:
            self.rows.append(f"{self._bind(partial(_check_not_recorded, program.name))}(({every}{found}))")
        self.rows += arrays
        self.rows += [
            f"{', '.join(names)}, = {self._bind(answer.ask)}()" for answer, names in answers.items()
        ]
        self._note_writes(traced, given, fixed)
        targets = self._targets(program)
        body = len(self.rows)
        writer = Writer(program, given, fixed, self.rows, self.space, targets)
        changing = min(writer.writing, self._finish(program, writer, targets))
        if changing < len(self.rows) - 1:  # before it returns
            self.rows[body:] = ["try:", *(f"    {row}" for row in self.rows[body:])]
            note = self._bind(partial(_note_changes, program, changing + 3))  # after two lines, from 1
            self.rows += ["except BaseException as error:", f"    {note}(error)", "    raise"]
        self.text = "def run(args, options):\n    " + "\n    ".join(self.rows) + "\n"

    def _bind(self, value: Any) -> str:
        if value is None:
            return "None"
        key = id(value)
        if key not in self._bound:
            self._bound[key] = f"o{len(self._bound)}"
            self.space[self._bound[key]] = value
        return self._bound[key]

    def _keep_apart(self, found: list[Any], program: Program) -> None:
        """Let no argument lie in the memory of what the function finds elsewhere; quicker than `_overlap`."""
        owners = self._bind(frozenset(_memory(t.array if isinstance(t, Tensor) else t) for t in found))
        read = [v.source.tensor for v in program.captured if isinstance(v.source, GradientOf)]
        grads = [f"{self._attachment(of)}.grad.array" for of in read if not isinstance(of, int)]
        for name in self.names if found else ():
            for one in (name, f"{name}.base"):
                self.misses += [f"id({one}) in {owners}", *(f"{one} is {grad}" for grad in grads)]

    def _attachment(self, of: Any) -> str:
        """The attachment of an argument, by its place, or of a tensor from elsewhere."""
        return f"a{of}.attachment" if isinstance(of, int) else self._bind(of.attachment)

    def _check(self) -> None:
        """Return MISSED where what was noted so far is not as it was."""
        if self.misses:
            self.rows.append(f"if {' or '.join(self.misses)}: return MISSED")
            self.misses = []

    def _unpack(self, value: Any, name: str) -> None:
        """Look at a part of the arguments, which has a name by now."""
        if isinstance(value, Shell):
            own = value.type is Tensor
            array = f"x{name[1:]}" if own else name
            self.leaves.append(value)
            self.names.append(array)
            self.misses.append(f"type({name}) is not {self._bind(value.type)}")
            got = f"({array} := {name}.array)" if own else name
            if not issubclass(value.type, np.generic):
                self.misses.append(f"{got}.shape != {value.shape}")
                dtype = self._bind(value.dtype)
                self.misses.append(f"({array}.dtype is not {dtype} and {array}.dtype != {dtype})")
            if own and value.grad_req is None:
                self.misses.append(f"{name}.attachment is not None")
            elif own:
                attachment = f"{name}.attachment"
                self.misses.append(f"{attachment} is None or {attachment}.grad_req != {value.grad_req!r}")
        elif isinstance(value, (list, tuple, dict)):
            self.misses.append(f"type({name}) is not {self._bind(type(value))}")
            self._unpack_parts(value, name)
        else:
            self.misses.append(f"type({name}) is not {self._bind(type(value))}")
            numbers = [value] if isinstance(value, float) else []
            numbers += [value.real, value.imag] if isinstance(value, complex) else []
            exact = any(number == 0 or number != number for number in numbers)
            self.misses.append(
                f"repr({name}) != {repr(value)!r}" if exact else f"{name} != {self._bind(value)}"
            )

    def _unpack_parts(self, value: Any, name: str) -> None:
        """Take a nesting apart, down to the arrays, which are called a0, a1, ..."""
        self.misses.append(f"len({name}) != {len(value)}")
        keys = isinstance(value, dict)
        if keys:
            self.misses.append(f"tuple({name}) != {self._bind(tuple(value))}")
        self._check()
        values = list(value.values() if keys else value)
        counts = [len(_shells(part)) for part in values]
        firsts = [len(self.leaves) + sum(counts[:i]) for i in range(len(values))]
        names = [
            f"a{first}" if isinstance(part, Shell) else f"{name}_{i}"
            for i, (part, first) in enumerate(zip(values, firsts, strict=True))
        ]
        if names:
            self.rows.append(f"{', '.join(names)}{',' * (len(names) == 1)} = {name}{'.values()' * keys}")
        for part, part_name in zip(values, names, strict=True):
            self._unpack(part, part_name)

    def _targets(self, program: Program) -> dict[int, str]:
        """The arrays of the gradients that were stored last time, for those who are to be stored now.

        They are used again if nobody else holds them.
        """
        uses = Counter(id(v) for v in program.outputs)
        single = [line.made[0] for line in program.lines if not line.written and not line.several]
        made = {id(v) for v in single if v.base is None}
        targets = {}
        for i, (place, v) in enumerate(program.stored):
            if uses[id(v)] > 1 or id(v) not in made or v.array.ndim == 0:
                continue
            attachment = self._attachment(place)
            self.space[f"g{i}"] = None
            targets[id(v)] = f"h{i}"
            held = f"refs(g{i}) == {HELD[0]} and refs(h{i} := g{i}.array) == {HELD[1]}"
            fresh = f"{self._bind(np.empty)}({v.array.shape}, {self._bind(v.array.dtype)})"
            self.rows += [
                f"global g{i}",
                f"if not ({attachment}.grad is g{i} and {held}): h{i} = {fresh}; g{i} = T(h{i})",
            ]
        return targets

    def _note_writes(self, traced: Traced, given: dict[int, str], fixed: dict[int, Any]) -> None:
        """Tell the clock of writes what will be written."""
        places = {id(v): v for v in (*traced.program.arguments, *traced.program.captured)}
        last = []
        for v in places.values():
            if not any(v.source is source for source in traced.written):
                continue
            if id(v) in fixed:
                key, reference = WRITES.entry(fixed[id(v)])
                last.append(f"last[{key}] = now, {self._bind(reference)}")
            else:
                own = isinstance(v.source, int)
                holder = f"a{v.source}" if own else f"{self._attachment(v.source.tensor)}.grad"
                if v.array.ndim == 0 and (not own or self.leaves[v.source].type is Tensor):
                    array = self._bind(np.array)
                    self.rows.append(f"{given[id(v)]} = {holder}.array = {array}({given[id(v)]}, copy=None)")
                self.rows.append(f"W.note({given[id(v)]})")
        if last:
            self.rows += ["now = W.now = W.now + 1", "last = W.last", *last]

    def _finish(self, program: Program, writer: Writer, targets: dict[int, str]) -> int:
        """Store the gradients and return the result, in arrays that nothing else holds.

        Returns the number of the row from which on it stores.
        """
        making = [line for line in program.lines if not line.written and line.function not in VIEWING]
        owned = {id(v) for line in making for v in line.made if v.base is None}
        gone: set[int] = set()
        held: dict[int, str] = {}  # tensors that were made of variables

        def own(v: Variable) -> str:
            fresh = id(v) in owned and id(v) not in gone
            gone.add(id(v))
            return writer.name(v) if fresh else f"{writer.name(v)}.copy()"

        def text(value: Any, same: Iterator[Any]) -> str:
            if isinstance(value, Variable):
                tensor = next(same)
                new = any(tensor is kind for kind in (None, ARRAYS, GradientOf))
                if tensor is ARRAYS or (new and not program.tensors):
                    return own(value)
                if not new:
                    return f"a{tensor}" if isinstance(tensor, int) else self._bind(tensor)
                own_gradient = held.get(id(value), "") if tensor is GradientOf else ""
                return own_gradient or f"T({own(value)}, None, {UNATTACHED})"
            if isinstance(value, (list, tuple)):
                parts = "".join(f"{text(part, same)}, " for part in value)
                if hasattr(value, "_fields"):
                    return f"{self._bind(type(value))}({parts})"
                return f"[{parts}]" if isinstance(value, list) else f"({parts})"
            if isinstance(value, dict):
                return f"{{{', '.join(f'{self._bind(k)}: {text(v, same)}' for k, v in value.items())}}}"
            return self._bind(value)

        stored = []
        for i, (place, v) in enumerate(program.stored):
            attachment = self._attachment(place)
            if id(v) not in targets:
                stored.append(f"g{i} = T({own(v)})")
                held[id(v)] = f"g{i}"
            stored += [f"{attachment}.grad = g{i}", f"{attachment}.written = True"]
        result = text(program.result, iter(program.same))
        self.rows += [*stored, f"return {result}"]
        return len(self.rows) - len(stored) - 1


def _held() -> tuple[int, int]:
    """What `sys.getrefcount` says of a gradient and of its array, if nobody else holds them."""
    space: dict[str, Any] = {"refs": sys.getrefcount, "g": Tensor(np.empty(1))}
    holder = Tensor(space["g"])  # as the attachment does
    exec("def run(): return refs(g), refs(h := g.array)", space)
    held: tuple[int, int] = space["run"]()
    del holder
    return held


HELD = _held()


class Shell(NamedTuple):
    """What a program depends on of an array among the arguments."""

    shape: tuple[int, ...]
    dtype: Any
    type: Any
    grad_req: Any


def _shell(leaf: Any) -> Any:
    return Shell(*_kind(leaf)) if isinstance(leaf, (Tensor, *ARRAYS)) else leaf


def _shells(value: Any) -> list[Shell]:
    """The shells in a nesting."""
    if isinstance(value, Shell):
        return [value]
    if isinstance(value, (list, tuple, dict)):
        return [s for part in (value.values() if isinstance(value, dict) else value) for s in _shells(part)]
    return []


def _tensor(source: Any) -> Any:
    """The tensor that a captured variable belongs to, or its place; or the array, if it has none."""
    return source.tensor if isinstance(source, GradientOf) else source


def _leaves(value: Any) -> list[Any]:
    """The arrays and tensors in a nesting."""
    found: list[Any] = []
    mapped(lambda leaf: found.append(leaf) if isinstance(leaf, (Tensor, *ARRAYS)) else None, value)
    return found


class GradientOf:
    """The gradient of a tensor, or of the argument at a place, whichever it is when the program runs."""

    def __init__(self, tensor: Tensor | int) -> None:
        self.tensor: Any = tensor


def _note_changes(program: Program, line: int, error: BaseException) -> None:
    """Add to an exception what may have been changed, if that is so from this line of the code on."""
    trace = error.__traceback__
    if trace is not None and trace.tb_lineno >= line:
        names = {
            v.source: v.name
            for v in (*program.arguments, *program.captured)
            if not isinstance(v.source, np.ndarray)
        }
        changed = [v.root.name for line in program.lines if (v := line.written) and v.root.source is not None]
        changed += [f"the gradient of {names.get(place, 'a tensor')}" for place, _ in program.stored]
        what = ", ".join(dict.fromkeys(changed))
        error.add_note(f"{program.name} is compiled and stopped half-way: {what} may be changed in part")


def _check_not_recorded(name: str, values: Sequence[Any]) -> None:
    for t in tracked(values):
        raise TraceError(
            f"{name} is compiled and cannot be recorded, but {describe(t)} is being differentiated. "
            "Compile value_and_grad of it, or the whole step with its record() and backward()."
        )


class Here(local):
    """The code that ran last in a thread."""

    run: Any = None


class Compiled:
    """What `compile` returns: called like the function.

    Attributes
    ----------
    source : the program of the last call as a NumPy function, ready to be pasted into a file.
    executed : the same in the form that is run, which puts results into buffers.
    traces : how often the function was traced.
    programs : how many programs are kept.

    Called, it raises what `compile` says, and TypeError for arguments that are neither arrays nor fixed.

    >>> from tinygrad_lr import compile
    >>> double = compile(lambda x: 2 * x)
    >>> double(np.ones(2)), double(np.ones(3)), double(np.zeros(3))
    (array([2., 2.]), array([2., 2., 2.]), array([0., 0., 0.]))
    >>> double.traces  # once for each shape
    2
    """

    def __init__(self, f: Callable[..., Any]) -> None:
        functools.update_wrapper(self, f)
        self.function = f
        self.name = name if (name := getattr(f, "__name__", "")).isidentifier() else "f"
        self.traces = 0
        self._cache: dict[Any, Traced] = {}
        self._found_too: dict[int, Any] = {}  # arguments that the function finds elsewhere, by their id
        self._last: Traced | None = None
        self._here = Here()

    def __call__(self, *args: Any, **options: Any) -> Any:
        run = self._here.run
        if run is not None and (made := run(args, options)) is not MISSED:
            return made
        if MODE.get() & TRACING:  # called by a function that is traced itself, of which it is a part
            return self.function(*args, **options)
        leaves: list[Any] = []
        kinds = _key((args, options), leaves)
        _check_not_recorded(self.name, leaves)
        try:
            key = self._key(kinds, leaves)
            traced = self._cache.get(key)
        except TypeError as error:
            raise TypeError(
                f"{error}: an argument of a compiled function is an array, or a nesting of arrays in lists, "
                "tuples and dicts, or something fixed that can be hashed"
            ) from None
        if traced is None or not traced.fits(leaves):
            return self._trace(kinds, leaves, args, options)
        if (made := traced.run(args, options)) is MISSED:
            traced.bind()  # what it finds elsewhere is in other arrays now
            if (made := traced.run(args, options)) is MISSED:  # of an argument that is not equal to itself
                return self._trace(kinds, leaves, args, options)
        self._last, self._here.run = traced, traced.run
        return made

    @property
    def source(self) -> str:
        """The program of the last call. Raises RuntimeError before the first one."""
        return source(self._traced().program)

    @property
    def executed(self) -> str:
        """The same in the form that is run: its results are put into buffers that are made once."""
        return executed(self._traced().lowered)

    @property
    def programs(self) -> int:
        """How many programs are kept now, at most CACHE_SIZE."""
        return len(self._cache)

    def _traced(self) -> "Traced":
        if self._last is None:
            raise RuntimeError("there is no source yet: the function is traced when it is called first")
        return self._last

    def _key(self, kinds: Any, leaves: Sequence[Any]) -> Any:
        """By what a program is kept: the buffers of one are for one thread, and some are for one tensor."""
        own = tuple([id(leaf) if id(leaf) in self._found_too else None for leaf in leaves])
        return kinds, MODE.get(), _overlap(leaves), own, get_ident()

    def _trace(self, kinds: Any, leaves: list[Any], args: Any, options: Any) -> Any:
        self.traces += 1
        tracer = Tracer()
        try:
            program, value, written = self._traced_program(tracer, args, options)
            pinned = self._pinned(leaves, args, options)
            traced = Traced(program, args, options, written, tracer.facts, pinned)
        except BaseException:
            tracer.undo()
            raise
        if len(self._cache) >= CACHE_SIZE:
            del self._cache[next(iter(self._cache))]
        self._found_too |= {id(leaf): leaf for leaf in pinned.values()}
        self._last = self._cache[self._key(kinds, leaves)] = traced
        self._here.run = traced.run

        def given_out(leaf: Any) -> Any:
            """A result in memory of its own, as those of later calls are."""
            if id(leaf) in tracer.passed_on or not isinstance(leaf, (Tensor, np.ndarray)):
                return leaf
            array = leaf.array if isinstance(leaf, Tensor) else leaf
            v = tracer.known.get(id(array))
            own = array[()] if id(array) in tracer.numbers else array.copy()
            if not isinstance(leaf, Tensor) or not program.tensors:
                return own
            if isinstance(v, Variable) and v.source is not None:
                return Tensor(own, None, UNATTACHED)
            leaf.array = own  # it may be a gradient that is stored as well
            return leaf

        return mapped(given_out, value)

    def _pinned(self, leaves: Sequence[Any], args: Any, options: Any) -> dict[int, Any]:
        """The arguments that the function finds elsewhere too, by their places: the program is for these."""
        static = mapped(lambda leaf: None if isinstance(leaf, (Tensor, *ARRAYS)) else leaf, (args, options))
        elsewhere = {id(getattr(t, "array", t)) for _, t in _named_arrays(self.function, static)}
        return {i: leaf for i, leaf in enumerate(leaves) if id(getattr(leaf, "array", leaf)) in elsewhere}

    def _traced_program(self, tracer: Tracer, args: Any, options: Any) -> tuple[Program, Any, list[Any]]:
        """The program, what the function returned, and the sources of the variables that are written."""
        leaves: list[Any] = []
        _key((args, options), leaves)
        held = list(_named_arrays(self.function, (args, options)))
        named = {name: t for name, t in held if isinstance(t, Tensor)}
        at_hand = (*(t for _, t in held), *leaves)
        _tell_apart(t for t in at_hand if isinstance(t, Tensor))
        tracer.facts += [(partial(_are_one, ways), True) for ways in _shared(t for _, t in held)]
        tracer.reachable = {id(getattr(t, "array", t)) for t in at_hand}
        grads = {id(t.grad.array) for t in at_hand if getattr(t, "attachment", None) is not None}
        tracer.reachable |= grads
        tracer.owners = {id(t.array): t for t in at_hand if isinstance(t, Tensor)}
        arguments = []
        wrapped: dict[int, Tensor] = {}
        numbers = []  # one and the same may be given twice, as np.True_ is, and be two others later
        for place, leaf in enumerate(leaves):
            tensor = leaf if isinstance(leaf, Tensor) else asarray(unwrapped(leaf))
            if id(tensor.array) in grads:  # not to be taken for each other later
                tensor = Tensor(tensor.array[...], None, UNATTACHED)
                tracer.reachable.add(id(tensor.array))
            if isinstance(leaf, np.generic):
                numbers.append(tensor)
            elif tensor is not leaf:
                tensor = wrapped.setdefault(id(leaf), tensor)
            tracer.kept.append(tensor)
            tracer.places[id(tensor)] = place
            if isinstance(leaf, np.generic):
                tracer.numbers.add(id(tensor.array))
            arguments.append(tracer.known.get(id(tensor.array)) or tracer.add(tensor.array, place))
        each_number = iter(numbers)

        def traced(leaf: Any) -> Any:
            if isinstance(leaf, np.generic):
                return next(each_number)
            return wrapped.get(id(leaf), leaf) if isinstance(leaf, (Tensor, np.ndarray)) else leaf

        traced_args, traced_options = mapped(traced, (args, options))
        locals_seen: dict[int, str] = {}
        with tracer.listening():
            for t in (*at_hand, *wrapped.values(), *numbers):
                if isinstance(t, Tensor):
                    tracer.attach(t)
            value = self._watched(locals_seen, traced_args, traced_options)
            result = mapped(tracer.operand, value)
        program = Program(self.name, arguments, tracer.captured, tracer.lines)
        program.result = result
        program.tensors = any(isinstance(leaf, Tensor) for leaf in leaves)
        outside = {id(v): v.source for v in (*program.arguments, *program.captured)}
        for t in _leaves(value):
            if not isinstance(v := tracer.operand(t), Variable):
                continue  # a number that was made of constants
            source = outside.get(id(v))
            given = leaves[source] if isinstance(source, int) else source
            passed_on = isinstance(t, Tensor) and t is given and id(v.array) in tracer.reachable
            kind = GradientOf if any(t is owner.grad for owner in tracer.attached) else None
            program.same.append(source if passed_on else kind if isinstance(t, Tensor) else ARRAYS)
            if passed_on:
                tracer.passed_on.add(id(t))
        for t, before in tracer.attached.items():
            number = t.grad.array
            made = tracer.known.get(id(number))
            if t.grad is not before and not isinstance(made, Variable):  # it is made of constants
                made = tracer.add(number)
                tracer.lines.append(Line(np.positive, (number,), {}, [made]))
            if isinstance(made, Variable) and made.source is None:
                program.stored.append((tracer.places.get(id(t), t), made))
        self._name(program, tracer, locals_seen, named, (args, options))
        simplified(program)
        _check_not_recorded(self.name, [_tensor(v.source) for v in program.captured])
        written = {id(line.written.root): line.written.root for line in program.lines if line.written}
        return program, value, [outside[i] for i in written if i in outside]

    def _watched(self, locals_seen: dict[int, str], args: Any, options: Any) -> Any:
        """What the function returns, and under which names it and the user's functions hold their tensors."""
        random = _random_state()
        profiled = sys.getprofile() is not None  # then the names go missing, but not the user's profile
        if not profiled:
            sys.setprofile(_watcher(self.function, locals_seen))
        try:
            value = self.function(*args, **options)
        finally:
            if not profiled:
                sys.setprofile(None)
        if random != _random_state():
            raise TraceError(
                f"{self.name} draws random numbers, and a compiled function would use the same ones at every "
                "call. Draw them before, and pass them in."
            )
        return value

    def _name(self, program: Program, tracer: Tracer, seen: dict[int, str], named: Any, call: Any) -> None:
        """Give variables the names that they have in the program, each to one."""
        taken = {"np", "scatter", *keyword.kwlist}

        def take(leaf: Any) -> None:
            """The names by which the source calls a function."""
            taken.update({called(leaf).partition(".")[0]} if callable(leaf) else ())

        for line in program.lines:
            mapped(take, (line.function, line.args, line.options))

        def give(variable: Any, name: str) -> None:
            if isinstance(variable, Variable) and not variable.name and name.isidentifier():
                while name in taken:
                    name += "_"
                variable.name = name
                taken.add(name)

        args, options = call
        try:
            bound = inspect.signature(self.function).bind(*args, **options).arguments
        except (TypeError, ValueError):
            bound = {f"x{i}": a for i, a in enumerate(args)} | options
        places = iter(program.arguments)
        for name, value in bound.items():
            leaves: list[Any] = []
            _key(value, leaves)
            for i, _ in enumerate(leaves):
                give(next(places, None), name if len(leaves) == 1 else f"{name}_{i}")
        for name, tensor in named.items():
            give(tracer.known.get(id(tensor.array)), name)
            if tensor.attachment:
                give(tracer.known.get(id(tensor.attachment.grad.array)), f"grad_{name}")
        for key, (name, of) in tracer.names.items():
            owner = None if of is None else tracer.known.get(id(of.array))
            give(tracer.known[key], name if owner is None else f"{name}_{owner.name}")
        for variable, gradient in tracer.gradients:
            give(gradient, f"grad_{variable.name}" if variable.name else "")
        for key, name in seen.items():
            give(tracer.known.get(key), name)
        for i, variable in enumerate(program.captured):
            give(variable, f"c{i}")


def compile(f: Callable[..., Any]) -> Compiled:
    """The function as straight-line NumPy code, which is traced at the first call and run at later ones.

    Parameters
    ----------
    f : a function that computes with NumPy on tensors; also one that records and calls `backward`, that
        changes parameters in place, or that `value_and_grad` made. Its arguments are arrays, tensors,
        nestings of them, and static values such as numbers and Modules. It is traced again when shapes,
        dtypes or static values change; the last 16 programs are kept.

    Returns a `Compiled`, whose attribute `source` is the code. Raises TraceError where the code would depend
    on values: an `if` on a tensor, `.item()`, fresh random numbers of `np.random`. What it does outside of
    NumPy's functions on tensors it does when it is traced only; so the numbers that a Generator of its own
    draws would stay the same: draw them before, and pass them in. A tensor or array that it finds in a
    closure or an attribute is the one that was there when it was traced; its values are read at each call.
    Where a gradient of linear algebra raises LinAlgError, that of compiled code is NaN.

    >>> from tinygrad_lr import compile
    >>> from tinygrad_lr.func import grad
    >>> slope = compile(grad(lambda x: np.sum(x**3)))
    >>> slope(np.array([1.0, 2.0]))
    array([ 3., 12.])
    """
    return Compiled(f)


def _random_state() -> bytes:
    """All of it: also the second one of the normal numbers that are drawn in pairs."""
    return pickle.dumps(np.random.get_state(legacy=False))


def _key(value: Any, leaves: list[Any]) -> Any:
    """What must be equal for a program to fit; the arrays go into `leaves`."""
    if isinstance(value, (np.ndarray, Tensor, np.generic)):
        leaves.append(value)
        return _kind(value)
    if isinstance(value, (list, tuple)):
        return (type(value), *[_key(part, leaves) for part in value])
    if isinstance(value, dict):
        return tuple([(name, _key(part, leaves)) for name, part in value.items()])
    if isinstance(value, slice):
        return (slice, value.start, value.stop, value.step)
    return (type(value), repr(value) if isinstance(value, (float, complex)) else value)  # 0.0 == -0.0


def _kind(leaf: Any) -> tuple[Any, ...]:
    """What a program depends on of an array or tensor."""
    attachment = getattr(leaf, "attachment", None)
    return (leaf.shape, leaf.dtype, type(leaf), attachment and attachment.grad_req)


def _memory(array: Any) -> int:
    """Equal for arrays that may share memory; 0 if that cannot be said."""
    while (base := getattr(array, "base", None)) is not None:
        array = base
    return id(array) if isinstance(array, ARRAYS) else 0


def _tell_apart(tensors: Iterable[Tensor]) -> None:
    """Give tensors that hold one and the same of NumPy's scalars arrays of their own, as truth values do."""
    seen = {id(np.True_), id(np.False_)}
    for t in {id(t): t for t in tensors}.values():
        if isinstance(t.array, np.generic):
            if id(t.array) in seen:
                t.array = np.array(t.array)
            seen.add(id(t.array))


def _shared(found: Iterable[Any]) -> list[list[Callable[[], Any]]]:
    """Ways to one array from several of what a function finds: as long as it is one, it is one variable."""
    ways: dict[int, list[Callable[[], Any]]] = {}
    for t in {id(t): t for t in found}.values():
        own: list[Callable[[], Any]] = [partial(getattr, t, "array", t)]
        if getattr(t, "attachment", None) is not None:
            own.append(partial(_gradient_in, t))
        for way in own:
            ways.setdefault(id(way()), []).append(way)
    return [several for several in ways.values() if len(several) > 1]


def _gradient_in(tensor: Tensor) -> Any:
    return getattr(tensor.grad, "array", None)


def _are_one(ways: Sequence[Callable[[], Any]]) -> bool:
    return len({id(way()) for way in ways}) == 1


def _overlap(leaves: Sequence[Any]) -> tuple[tuple[int, int, bool], ...]:
    """Which of the arrays, and of their gradients behind them, may share memory, and which are the same."""
    found = [*leaves, *[t.attachment.grad for t in leaves if getattr(t, "attachment", None) is not None]]
    arrays = [leaf.array if isinstance(leaf, Tensor) else leaf for leaf in found]
    memories = set(map(_memory, arrays))
    if len(memories) == len(arrays) and 0 not in memories:
        return ()
    pairs = ((i, j) for j in range(len(arrays)) for i in range(j))
    shared = (pair for pair in pairs if np.may_share_memory(*(arrays[i] for i in pair)))
    return tuple([(i, j, found[i] is found[j]) for i, j in shared])


def _named_arrays(f: Any, called: Any) -> Iterator[tuple[str, Any]]:
    """The tensors and arrays that a function can reach by a name: in its arguments, closure and globals."""
    seen: set[int] = set()
    found: list[tuple[Any, Any]] = [(None, part) for part in called]
    inner = inspect.unwrap(f)
    if isinstance(inner, partial):
        found += [(None, inner.args), (None, inner.keywords)]
        inner = inner.func
    found.append((None, getattr(f, "__self__", inner)))  # of a method, or itself if it is an object
    if hasattr(inner, "__code__"):
        scopes = inspect.getclosurevars(inner)
        bound = inspect.signature(inner).parameters.values()
        found += [(p.name, p.default) for p in bound if p.default is not p.empty]
        found += [*scopes.nonlocals.items(), *scopes.globals.items()]
    while found:
        name, value = found.pop(0)
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, (Tensor, np.ndarray)):
            yield name or "x", value
        elif hasattr(value, "named_parameters"):
            found += [(key.replace(".", "_"), t) for key, t in value.named_parameters().items()]
        elif isinstance(value, dict):
            found += [(str(key), part) for key, part in value.items()]
        elif isinstance(value, (list, tuple)):
            found += [(f"{name}_{i}" if len(value) > 1 else name, part) for i, part in enumerate(value)]
        elif isinstance(value, type(_key)) and value.__module__ == inner.__module__:
            found += inspect.getclosurevars(value).nonlocals.items()
        elif not isinstance(value, (type, types.ModuleType, types.FunctionType)):  # an object of the user's
            found += getattr(value, "__dict__", {}).items()


def _watcher(f: Callable[..., Any], seen: dict[int, str]) -> Callable[..., None]:
    """Remembers under which local names the user's functions, and f, hold their tensors when they return."""
    own = getattr(inspect.unwrap(f), "__code__", None)

    def watch(frame: Any, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "return" and (code is own or not code.co_filename.startswith(LIBRARIES)):
            for name, value in frame.f_locals.items():
                if isinstance(value, Tensor):
                    seen.setdefault(id(value.array), name)

    return watch
