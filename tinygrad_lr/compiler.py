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
NumPy's is noted, those of the rules in `backward` as well. Simplifications keep results equal to rounding.
"""

import functools
import inspect
import operator
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .errors import PACKAGE, TraceError, describe, name_of
from .program import Line, Program, Variable, mapped, runnable, simplified, source, variables_in
from .scope import LOCAL, MODE, TRACING, Scope
from .tape import WRITES
from .tensor import ARRAYS, Tensor, asarray, recorded, tracked

CACHE_SIZE = 16
#: functions whose results have as many elements as the values say
SELECTING = {np.nonzero, np.flatnonzero, np.argwhere, np.compress, np.extract, np.trim_zeros}
SELECTING |= {np.unique, np.unique_all, np.unique_counts, np.unique_inverse, np.unique_values, np.union1d}
SELECTING |= {np.intersect1d, np.setdiff1d, np.setxor1d, np.bincount}
LIBRARIES = (PACKAGE, str(Path(np.__file__).parent))


class Tracer:
    """Notes the calls that tensors go through, as lines of a program."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.known: dict[
            int, Any
        ] = {}  # by the id of an array: its variable, or its value if it is a constant
        self.kept: list[Any] = []  # the arrays, so that their ids stay theirs
        self.captured: list[Variable] = []
        self.reachable: set[int] = set()  # the ids of arrays that the function can write into
        self.attached: list[Tensor] = []  # whose gradients the program may read or store
        self.gradients: list[tuple[Variable, Variable]] = []  # what was differentiated, and the gradient

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
        if isinstance(array, np.generic) and getattr(value, "attachment", None) is None:
            return array
        if not isinstance(array, ARRAYS):
            return array
        source = next((GradientOf(t) for t in self.attached if t.grad is value), value)
        if getattr(value, "attachment", None) is not None:
            self.attached.append(value)
        variable = self.add(array, source)
        self.captured.append(variable)
        return variable

    def call(self, row: Any, args: Any, arrays: Any, value: Any, options: Any, plain: Any) -> Any:
        """Note a call, and do what is done without a tracer."""
        token = MODE.set(MODE.get() & ~TRACING)
        try:
            made = recorded(row, args, arrays, value, options, plain)
        finally:
            MODE.reset(token)
        several = isinstance(value, (list, tuple))
        if several or id(value) not in self.known:  # some functions return their argument itself
            noted = mapped(self.operand, tuple(args)), mapped(self.operand, dict(options))
            values = list(value) if several else [value]
            if not several and np.ndim(value) == 0 and not any(True for _ in variables_in(noted)):
                self.known[id(value)] = value  # made of constants, it is one itself
                self.kept.append(value)
            else:
                reads = list(variables_in(noted))
                line = Line(row.function, *noted, [self.made(array, reads) for array in values])
                line.several = several
                self.check_shape(line, value)
                self.lines.append(line)
        return made

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

    def copied(self, scalar: Any, array: Any) -> None:
        """Note that a NumPy scalar became an array, to be written."""
        self.lines.append(Line(np.array, (self.operand(scalar),), {}, [self.add(array)]))

    def write(self, function: Any, target: Any, args: Any, options: Any) -> None:
        """Note that a call writes into a tensor, or into several."""
        args, options = mapped(self.operand, tuple(args)), mapped(self.operand, dict(options))
        for t in target if isinstance(target, tuple) else (target,):
            variable = self.operand(t)
            if variable.root.source is not None and id(variable.root.array) not in self.reachable:
                raise TraceError(
                    f"{name_of(function)} writes into an array of shape {variable.array.shape} that is none "
                    "of the function's arguments, nor found by a name: made within it, it would keep what is "
                    "written from call to call. Make it of a tensor, np.zeros_like(x), or pass it in."
                )
            self.lines.append(Line(function, args, options, [], variable))


class Traced:
    """A program for arguments of certain shapes, dtypes and static values."""

    def __init__(self, program: Program, args: Sequence[Any], written: list[Any], tensors: bool) -> None:
        self.program = program
        plain = all(isinstance(arg, (Tensor, *ARRAYS)) for arg in args)
        plain = plain and len({id(arg) for arg in args}) == len(args)
        self.kinds = tuple([_kind(arg) for arg in args]) if plain else ()
        self.mode = MODE.get() & ~TRACING
        self.writes = any(line.written is not None for line in program.lines)
        self.tensors = tensors  # whether tensors come out
        self.written = written
        self.run = runnable(program)
        self.captured = [v.source for v in program.captured]
        self.kinds_captured = [_kind_of_source(source) for source in self.captured]

    def takes(self, args: Sequence[Any]) -> bool:
        """Whether the arguments are arrays of the kinds that they were, and nothing else; a quick look."""
        if len(args) != len(self.kinds) or self.kinds == ():
            return False
        for arg, kind in zip(args, self.kinds, strict=True):
            if type(arg) is not kind[2] or arg.shape != kind[0] or arg.dtype != kind[1]:
                return False
            if kind[2] is not np.ndarray and _kind(arg) != kind:
                return False
        if len(args) > 1 and (len({id(arg) for arg in args}) < len(args) or (self.writes and _overlap(args))):
            return False
        return MODE.get() == self.mode

    def fits(self) -> bool:
        """Whether what the function found elsewhere has the shapes and dtypes that it had."""
        return all(
            _kind_of_source(source) == kind
            for source, kind in zip(self.captured, self.kinds_captured, strict=True)
        )

    def __call__(self, leaves: Sequence[Any]) -> Any:
        arrays = [leaf.array if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        made = self.run(*arrays, *map(_array, self.captured))
        for place in self.written:
            WRITES.note(arrays[place] if isinstance(place, int) else _array(place))
        stored = self.program.stored
        if stored:
            for (place, _), gradient in zip(stored, made[-len(stored) :], strict=True):
                attachment = (leaves[place] if isinstance(place, int) else place).attachment
                attachment.grad, attachment.written = Tensor(gradient), True
        result = self.program.result
        if isinstance(result, Variable):
            return asarray(made[0]) if self.tensors else made[0]
        values = iter(made)
        wrap: Callable[[Any], Any] = asarray if self.tensors else lambda array: array
        return mapped(lambda leaf: wrap(next(values)) if isinstance(leaf, Variable) else leaf, result)


def _array(source: Any) -> Any:
    """What a captured variable holds now."""
    if isinstance(source, GradientOf):
        return source.tensor.grad.array
    return source.array if isinstance(source, Tensor) else source


class GradientOf:
    """The gradient of a tensor, whichever it is when the program runs."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


class Compiled:
    """What `compile` returns: called like the function.

    Attributes
    ----------
    source : the program of the last call as a NumPy function, ready to be pasted into a file.
    traces : how often the function was traced.
    """

    def __init__(self, f: Callable[..., Any]) -> None:
        functools.update_wrapper(self, f)
        self.function = f
        self.name = name if (name := getattr(f, "__name__", "")).isidentifier() else "f"
        self.traces = 0
        self._cache: dict[Any, Traced] = {}
        self._last: Traced | None = None

    def __call__(self, *args: Any, **options: Any) -> Any:
        if MODE.get() & TRACING:  # called by a function that is being compiled
            return self.function(*args, **options)
        last = self._last
        if last is not None and not options and last.takes(args) and last.fits():
            self._check_not_recorded((*args, *last.captured))
            return last(args)
        leaves: list[Any] = []
        key = _key((args, options), leaves)
        key = (key, MODE.get(), _overlap(leaves))
        self._check_not_recorded(leaves)
        try:
            traced = self._cache.get(key)
        except TypeError as error:
            raise TypeError(
                f"{error}: an argument of a compiled function is an array, or a nesting of arrays in lists, "
                "tuples and dicts, or something fixed that can be hashed"
            ) from None
        if traced is None or not traced.fits():
            return self._trace(key, args, options)
        self._check_not_recorded(traced.captured)
        self._last = traced
        return traced(leaves)

    def _check_not_recorded(self, values: Sequence[Any]) -> None:
        for t in tracked(values):
            raise TraceError(
                f"{self.name} is compiled and cannot be recorded, but {describe(t)} is being differentiated. "
                "Compile value_and_grad of it, or the whole step with its record() and backward()."
            )

    @property
    def source(self) -> str:
        if self._last is None:
            raise RuntimeError("there is no source yet: the function is traced when it is called first")
        return source(self._last.program)

    def _trace(self, key: Any, args: Any, options: Any) -> Any:
        self.traces += 1
        tracer = Tracer()
        leaves: list[Any] = []
        _key((args, options), leaves)
        held = list(_named_arrays(self.function, (args, options)))
        named = {name: t for name, t in held if isinstance(t, Tensor)}
        at_hand = (*(t for _, t in held), *leaves)
        tracer.attached = [t for t in at_hand if getattr(t, "attachment", None) is not None]
        tracer.reachable = {id(getattr(t, "array", t)) for t in at_hand}
        tracer.reachable |= {id(t.grad.array) for t in tracer.attached}
        arguments = []
        wrapped: dict[int, Tensor] = {}
        for place, leaf in enumerate(leaves):
            tensor = leaf if isinstance(leaf, Tensor) else wrapped.setdefault(id(leaf), asarray(leaf))
            tracer.kept.append(tensor)
            arguments.append(tracer.known.get(id(tensor.array)) or tracer.add(tensor.array, place))
        traced_args, traced_options = mapped(
            lambda leaf: wrapped.get(id(leaf), leaf) if isinstance(leaf, ARRAYS) else leaf, (args, options)
        )
        outer, LOCAL.tracer, random = LOCAL.tracer, tracer, _random_state()
        locals_seen: dict[int, str] = {}
        profile = sys.getprofile()
        sys.setprofile(_watcher(locals_seen))
        try:
            with Scope(TRACING):
                value = self.function(*traced_args, **traced_options)
        finally:
            sys.setprofile(profile)
            LOCAL.tracer = outer
        if not all(np.array_equal(a, b) for a, b in zip(random, _random_state(), strict=True)):
            raise TraceError(
                f"{self.name} draws random numbers, and a compiled function would use the same ones at every "
                "call. Draw them before, and pass them in."
            )
        program = Program(self.name, arguments, tracer.captured, tracer.lines)
        program.result = mapped(tracer.operand, value)
        places = {id(leaf): place for place, leaf in enumerate(leaves)}
        for t in dict.fromkeys(tracer.attached):
            made = tracer.known.get(id(t.grad.array))
            if isinstance(made, Variable) and made.source is None:
                program.stored.append((places.get(id(t), t), made))
        self._name(program, tracer, locals_seen, named, (args, options))
        simplified(program)
        outside = {id(v): v.source for v in (*program.arguments, *program.captured)}
        self._check_not_recorded([v.source for v in program.captured])
        written = {id(line.written.root): line.written.root for line in program.lines if line.written}
        written_places = [outside[i] for i in written if i in outside]
        tensors = any(isinstance(leaf, Tensor) for leaf in leaves)
        if len(self._cache) >= CACHE_SIZE:
            del self._cache[next(iter(self._cache))]
        self._last = self._cache[key] = Traced(program, () if options else args, written_places, tensors)
        if tensors:
            return value
        return mapped(lambda leaf: leaf.array if isinstance(leaf, Tensor) else leaf, value)

    def _name(self, program: Program, tracer: Tracer, seen: dict[int, str], named: Any, called: Any) -> None:
        """Give variables the names that they have in the program, each to one."""
        taken: set[str] = {"np"}

        def give(variable: Any, name: str) -> None:
            if isinstance(variable, Variable) and not variable.name and name.isidentifier():
                while name in taken:
                    name += "_"
                variable.name = name
                taken.add(name)

        args, options = called
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
    """
    return Compiled(f)


def _random_state() -> Any:
    state: Any = np.random.get_state()
    return state[1:3]


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
    return (type(value), repr(value) if isinstance(value, float) else value)  # 0.0 == -0.0


def _kind(leaf: Any) -> tuple[Any, ...]:
    """What a program depends on of an array or tensor."""
    attachment = getattr(leaf, "attachment", None)
    return (leaf.shape, leaf.dtype, type(leaf), attachment and attachment.grad_req)


def _kind_of_source(source: Any) -> tuple[Any, ...]:
    return _kind(source if isinstance(source, (Tensor, *ARRAYS)) else _array(source))


def _overlap(leaves: Sequence[Any]) -> tuple[tuple[int, int], ...]:
    """Which of the arrays may share memory; a program that writes depends on it."""
    arrays = [leaf.array if isinstance(leaf, Tensor) else leaf for leaf in leaves]
    pairs = ((i, j) for j in range(len(arrays)) for i in range(j))
    return tuple([(i, j) for i, j in pairs if np.may_share_memory(arrays[i], arrays[j])])


def _named_arrays(f: Any, called: Any) -> Iterator[tuple[str, Any]]:
    """The tensors and arrays that a function can reach by a name: in its arguments, closure and globals."""
    seen: set[int] = set()
    found: list[tuple[Any, Any]] = [(None, part) for part in called]
    inner = inspect.unwrap(f)
    inner = getattr(inner, "__func__", inner)
    if hasattr(f, "__self__"):
        found.append((None, f.__self__))
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


def _watcher(seen: dict[int, str]) -> Callable[..., None]:
    """Remembers under which local names the functions that run hold their tensors when they return."""

    def watch(frame: Any, event: str, _: Any) -> None:
        if event == "return" and not frame.f_code.co_filename.startswith(LIBRARIES):
            for name, value in frame.f_locals.items():
                if isinstance(value, Tensor):
                    seen.setdefault(id(value.array), name)

    return watch
