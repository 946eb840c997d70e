"""Straight-line programs of NumPy calls, and how they are written: as source to read, and as code to run."""

import itertools
import operator
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .derivatives import cast, scatter
from .derivatives.selections import LEFT_OUT
from .errors import TraceError, name_of

Plain = Any  # anything but a variable: a number, a slice, None, a dtype


class Answer:
    """Numbers that a program asks for at each call; the source of as many variables, in this order."""

    def __init__(self, ask: Callable[[], Sequence[np.float64]]) -> None:
        self.ask = ask


class Variable:
    """A value of a program.

    Attributes
    ----------
    name : what it is called; a made one that nobody named gets a number.
    array : the value that it had when the program was traced; of use for its shape and dtype only.
    source : where the program gets it from: the position of an argument, a Tensor or an array that the
        function found elsewhere, an Answer; None for what the program makes.
    base : the variable in whose memory it lies, if it is a view.
    """

    def __init__(self, array: Any, source: Any = None, base: "Variable | None" = None) -> None:
        self.name = ""
        self.array = array
        self.source = source
        self.base = base

    @property
    def root(self) -> "Variable":
        """Whose memory it is."""
        return self if self.base is None else self.base.root


class Line:
    """A call: function, arguments and options with variables in them, and what it makes or writes.

    `several` tells that it makes a list or tuple, if only of one.
    """

    several = False

    def __init__(
        self, function: Any, args: Any, options: Any, made: list[Variable], written: Variable | None = None
    ) -> None:
        self.function, self.args, self.options, self.made, self.written = (
            function,
            args,
            options,
            made,
            written,
        )

    @property
    def reads(self) -> list[Variable]:
        return variables_in((self.args, self.options))


class Program:
    """Lines, and what comes out: `result` is a nesting with variables, `stored` the gradients of tensors."""

    def __init__(
        self, name: str, arguments: list[Variable], captured: list[Variable], lines: list[Line]
    ) -> None:
        self.name, self.arguments, self.captured, self.lines = name, arguments, captured, lines
        self.result: Any = None
        self.tensors = False  # whether tensors come out
        self.same: list[Any] = []  # of each variable in the result, the source whose tensor it is, or None
        self.stored: list[tuple[Any, Variable]] = []
        self.shared: set[int] = set()  # the ids of variables from outside that share memory with others
        self.by_memory = False  # whether it is right only for arguments that lie in memory as they did

    @property
    def numbers(self) -> list[Variable]:
        """What comes in as numbers: the program asks for them."""
        return [v for v in self.captured if isinstance(v.source, Answer)]

    @property
    def outputs(self) -> list[Variable]:
        return [*variables_in(self.result), *(v for _, v in self.stored)]

    def without_dead_code(self) -> None:
        """Drop the lines that nothing needs."""
        needed = {id(w) for v in self.outputs for w in (v, v.root)}  # a view has what is written there
        outside = {id(v) for v in (*self.arguments, *self.captured)}
        kept = []
        for line in reversed(self.lines):
            target = line.written and line.written.root
            if any(id(v) in needed for v in line.made) or (target and id(target) in needed | outside):
                kept.append(line)
                needed |= {id(w) for v in line.reads for w in (v, v.root)}
        self.lines = kept[::-1]


def mapped(function: Callable[[Any], Any], value: Any) -> Any:
    """The same nesting of tuples, lists, dicts and slices with the function of each leaf.

    But for a scalar of NumPy's in a slice, which is a number there.
    """
    if isinstance(value, (list, tuple)):
        parts = [mapped(function, part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if isinstance(value, dict):
        return {key: mapped(function, part) for key, part in value.items()}
    if isinstance(value, slice):
        ends = value.start, value.stop, value.step
        return slice(*(end if isinstance(end, np.generic) else mapped(function, end) for end in ends))
    return function(value)


def variables_in(value: Any) -> list[Variable]:
    """The variables in a nesting, in order."""
    if isinstance(value, Variable):
        return [value]
    if isinstance(value, dict):
        value = value.values()
    elif isinstance(value, slice):
        value = value.start, value.stop, value.step
    elif not isinstance(value, (list, tuple)):
        return []
    return [v for part in value for v in variables_in(part)]


# ---- simplifications --------------------------------------------------------------------------------------


def simplified(program: Program) -> None:
    """Simplify a program in place; its results stay equal up to rounding, or see `are_moderate`.

    What a line makes is taken from an earlier line that makes the same, copies of what nobody writes are left
    out, numbers are multiplied first, `x**2` is a product and a division by a number a multiplication, a
    number that was spread over an array stays a number, and a selection says once what it selects.
    """
    written = {id(line.written.root) for line in program.lines if line.written is not None}
    _settle_memory(program, written)
    outside = list({id(v): v for v in (*program.arguments, *program.captured)}.values())
    # an array that shares memory with one that is written is written too
    for v in outside if written else ():
        if any(w is not v and np.may_share_memory(v.array, w.array) for w in outside):
            written.add(id(v))
            program.shared.add(id(v))
    instead: dict[int, Any] = {}  # of variables that are no longer made
    found = Found()
    seen: dict[Any, list[Variable]] = {}

    def current(leaf: Any) -> Any:
        if isinstance(leaf, np.ndarray) and leaf.ndim == 0 and leaf.dtype.kind == "f":
            return leaf[()]  # a constant
        return instead.get(id(leaf), leaf) if isinstance(leaf, Variable) else leaf

    kept = []
    for line in program.lines:
        line.args, line.options = mapped(current, line.args), _options(line, mapped(current, line.options))
        if line.written is not None:
            line.written = current(line.written)
            found.writes += 1
            kept.append(line)
            continue
        fixed = not any(id(v.root) in written for v in line.made)
        if fixed and len(line.made) == 1:
            same = _simpler(line, found)
            if isinstance(same, Variable):
                if id(same.root) not in written:
                    same.name = same.name or line.made[0].name
                    instead[id(line.made[0])] = same
                    continue
                same = None
            line = same or line
        changing = any(id(v.root) in written for v in line.reads)  # what it makes depends on when
        key = _key(line) if fixed else None
        if key is not None:
            key = (key, found.writes if changing else None)
            if key in seen:
                for v, first in zip(line.made, seen[key], strict=True):
                    first.name = first.name or v.name
                    instead[id(v)] = first
                continue
            seen[key] = line.made
        for v in line.made:
            found.makers[id(v)] = line, found.writes if changing or not fixed else None
            v.base = current(v.base) if v.base is not None else None
        kept.append(line)
    program.lines = kept
    program.result = mapped(current, program.result)
    program.stored = [(place, current(v)) for place, v in program.stored]
    _unnest_selections(program)
    program.without_dead_code()
    _rescue(program)


def _settle_memory(program: Program, written: set[int]) -> None:
    """Say of what NumPy copies or not, as its argument lies in memory, how it is here.

    In compiled code the argument may lie otherwise. What was a copy counts as a view, in the memory of the
    argument; if something is written there or into the copy, it is copied again. Only of what comes from
    outside it is then for NumPy to say, as it is without compiling.
    """
    lines: list[Line] = []
    for line in program.lines:
        lines.append(line)
        source = line.args[0] if line.function in VIEWING and line.args else None
        if not isinstance(source, Variable):
            continue
        (made,) = line.made
        if made.base is not None:
            if id(made.root) in written and made.root.source is None and not lies_by_rows(made.root.array):
                raise TraceError(
                    f"what {name_of(line.function)} makes is a view, as its argument lies in memory, and it "
                    "or its argument is written; in compiled code, where arrays lie otherwise, it would be a "
                    "copy. Write before it is made, or make it of a copy by rows, np.copy(x, 'C')."
                )
        elif not written & {id(made), id(source.root)}:
            made.base = source
        elif source.root.source is None:
            program.by_memory = True
            line.made = [Variable(made.array, None, source)]
            lines.append(Line(np.copy, (line.made[0],), {}, [made]))
    program.lines = lines


def lies_by_rows(array: Any) -> bool:
    return not isinstance(array, np.ndarray) or array.flags.c_contiguous


class Found:
    """What is known of the variables that were made so far.

    Attributes
    ----------
    makers : the line that made a variable, and how many writes there were before, if that matters.
    uniform : the number that all elements of a variable are.
    """

    def __init__(self) -> None:
        self.makers: dict[int, tuple[Line, int | None]] = {}
        self.uniform: dict[int, float] = {}
        self.writes = 0

    def maker(self, v: Any) -> Line | None:
        """The line that made a variable, if it would still make the same."""
        line, moment = self.makers.get(id(v), (None, None))
        return line if moment in (None, self.writes) else None


def _options(line: Line, options: dict[str, Any]) -> dict[str, Any]:
    """The options of a call without those that say what goes without saying."""
    if line.function not in (np.sum, np.mean, np.max, np.min):
        return options
    kept = {name: value for name, value in options.items() if (name, value) != ("keepdims", False)}
    axis = kept.get("axis")
    return {**kept, "axis": axis[0]} if isinstance(axis, tuple) and len(axis) == 1 else kept


def _key(line: Line) -> Any:
    """What is equal for lines that make the same; None if that cannot be said."""

    def part(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return (type(value), *map(part, value))
        if isinstance(value, dict):
            return tuple((name, part(v)) for name, v in value.items())
        if isinstance(value, slice):
            return (slice, part(value.start), part(value.stop), part(value.step))
        if isinstance(value, (float, complex, np.inexact)):
            return (type(value), repr(value))  # 0.0 == -0.0
        return id(value) if isinstance(value, Variable) else (type(value), value)

    key = part((line.function, line.args, line.options))
    try:
        hash(key)
    except TypeError:
        return None
    return key


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.floating)) and not isinstance(value, bool)


def factor_of(line: Line | None) -> Any:
    """The number that a line multiplies something by; None if it does something else."""
    product = line is not None and line.function is np.multiply and not line.options
    return line.args[0] if line is not None and product and is_number(line.args[0]) else None


def are_moderate(dtype: Any, *factors: Any) -> bool:
    """Whether numbers may be multiplied at another place than before: together, behind a sum, as inverses.

    What comes between may then overflow or underflow where it did not before, or the other way round. If each
    takes no more than an eighth of the exponents, so only does what comes as near to their limits.
    """
    limit = np.float64(2) ** (np.finfo(dtype).maxexp // 8)
    return all(1 / limit <= abs(factor) <= limit for factor in factors)


#: functions that put the elements of an array into another shape
RESHAPING = {np.broadcast_to, np.reshape, np.expand_dims, np.squeeze, np.ravel, np.transpose, np.swapaxes}
#: those whose result is a view or not, as the argument lies in memory
VIEWING = {np.reshape, np.ravel}
OR, AND = (np.bitwise_or, np.logical_or), (np.bitwise_and, np.logical_and)


def _simpler(line: Line, found: Found) -> Variable | Line | None:
    """The variable that is equal to what a line makes, or a simpler line; None if there is neither."""
    made, args = line.made[0], line.args
    shape, dtype = np.shape(made.array), getattr(made.array, "dtype", None)

    def like(value: Any) -> bool:
        """Whether a value has the shape and dtype of the result."""
        return isinstance(value, Variable) and (value.array.shape, value.array.dtype) == (shape, dtype)

    if line.options or dtype is None or not args:
        return None
    first, inner = args[0], found.maker(args[0])
    if line.function in RESHAPING and dtype.kind == "f":
        number: Any = found.uniform.get(id(first), first)
        if is_number(number):
            found.uniform[id(made)] = float(number)
    if line.function in (cast, np.copy, np.positive, np.broadcast_to, np.reshape) and like(first):
        return first if isinstance(first, Variable) else None
    if line.function is np.where and len(args) == 3:
        return _selection(line, found)
    if inner is not None and _transposes(line) and _transposes(inner):
        return inner.args[0]  # type: ignore[no-any-return]
    if line.function is np.square and like(first):
        return Line(np.multiply, (first, first), {}, line.made)
    if line.function is np.negative and dtype.kind == "f" and inner is not None:
        number = factor_of(inner)  # not an integer 0, of which there is none with a sign
        return Line(np.multiply, (-number, inner.args[1]), {}, line.made) if number else None
    if len(args) != 2:
        return None
    if line.function is np.power and dtype == np.int8 and is_number(args[1]) and args[1] == 2:
        return Line(np.square, (first,), {}, line.made)  # as ** does with truth values; np.power: int64
    a: Any
    b: Any
    for a, b in (args, args[::-1]):
        neutral = False if line.function in OR else True if line.function in AND else None
        if like(a) and isinstance(b, (bool, np.bool_)) and dtype.kind == "b" and b == neutral:
            return a  # type: ignore[no-any-return]
        if like(a) and line.function is np.add and dtype.kind == "i" and type(b) is int and b == 0:
            return a  # type: ignore[no-any-return]
    if dtype.kind != "f" or dtype.itemsize > 8:  # numbers of Python's have digits for no more
        return None
    if getattr(line.function, "signature", None) is not None:  # a product of matrices takes no numbers
        return None
    # NumPy computes with a number in the dtype of the array beside it, if there is one
    if any(like(a) and id(a) not in found.uniform for a in args):
        args = tuple([found.uniform.get(id(a), a) for a in args])
        args = tuple([float(a) if isinstance(a, np.floating) else a for a in args])
    a, b = args
    if line.function is np.add and a is b and like(a):
        line = Line(np.multiply, (2, a), {}, line.made)
        a, b = line.args
    if line.function is np.power and is_number(b) and like(a) and b in (1, 2):
        return a if b == 1 else Line(np.multiply, (a, a), {}, line.made)
    if line.function is np.divide and is_number(b) and like(a) and are_moderate(dtype, b):
        line = Line(np.multiply, (a, 1 / b), {}, line.made)
        a, b = line.args
    if line.function is np.multiply:
        a, b = (b, a) if is_number(b) else (a, b)
        if is_number(a) and like(b):
            inner = found.maker(b)
            number = factor_of(inner)
            if inner and number is not None and like(inner.args[1]) and are_moderate(dtype, a, number):
                a, b = a * number, inner.args[1]
            alone: Any = b
            return alone if a == 1 else Line(np.multiply, (a, b), {}, line.made)
    return Line(line.function, (a, b), {}, line.made) if isinstance(line.function, np.ufunc) else None


def _transposes(line: Line) -> bool:
    """Whether a line turns all axes of an array round."""
    if line.options or not isinstance(line.args[0], Variable):
        return False
    flipped = line.function is np.transpose and line.args[1:] in ((), (None,))
    matrix = np.ndim(line.args[0].array) == 2 and line.function is np.swapaxes
    return flipped or (matrix and set(line.args[1:]) in ({-1, -2}, {0, 1}))


# selections


def is_zero(value: Any) -> bool:
    return is_number(value) and value == 0 and not np.signbit(value)


def _selection(line: Line, found: Found) -> Line | None:
    """A selection by a condition that is no more than one: where |-where(c, 2, 0)| is not 0, c holds."""
    condition, a, b = line.args
    start = condition
    while (maker := found.maker(condition)) is not None and not maker.options:
        inner = maker.args
        opposite = maker.function is np.logical_not
        opposite |= maker.function is np.invert and condition.array.dtype.kind == "b"
        if maker.function is np.where and len(inner) == 3:
            opposite = is_zero(inner[1])
            one, other = inner[1:] if opposite else inner[:0:-1]
            if not is_zero(one) or not _is_something(other, found):
                break
        elif not opposite and maker.function not in (np.absolute, np.negative):
            break
        condition = inner[0]
        a, b = (b, a) if opposite else (a, b)
    fits = condition is not start and condition.array.shape == start.array.shape
    return Line(np.where, (condition, a, b), {}, line.made) if fits else None


def _is_something(value: Any, found: Found) -> bool:
    """Whether no element of a value is 0, as far as is known."""
    maker = found.maker(value)
    if maker is not None and maker.function is np.where and len(maker.args) == 3:
        return all(_is_something(part, found) for part in maker.args[1:])
    return is_number(value) and value != 0


def _unnest_selections(program: Program) -> None:
    """In `where(c, -where(c, x, 0) * y, 0)` leave out the inner selection.

    The other way round as well, where it is c that leaves out.
    """
    uses = Counter(id(v) for line in program.lines for v in line.reads)
    uses.update(id(v) for v in program.outputs)
    makers: dict[int, Line] = {}
    for line in program.lines:
        if line.written is not None:
            makers.clear()  # what a selection within has read may be another now
        elif len(line.made) == 1:
            makers[id(line.made[0])] = line
        if line.function is not np.where or len(line.args) != 3 or not any(map(is_zero, line.args[1:])):
            continue
        chosen = 2 if is_zero(line.args[1]) else 1
        pending = [(line, chosen)]
        while pending:
            outer, place = pending.pop()
            v = outer.args[place]
            inner = makers.get(id(v)) if isinstance(v, Variable) and uses[id(v)] == 1 else None
            if inner is None or inner.options or v.array.shape != line.made[0].array.shape:
                continue
            if inner.function in (np.negative, np.multiply):
                pending += [(inner, i) for i in range(len(inner.args))]
            elif inner.function is np.where and len(inner.args) == 3:
                same = inner.args[0] is line.args[0] and is_zero(inner.args[3 - chosen])
                x = inner.args[chosen]
                if same and isinstance(x, Variable) and x.array.dtype == v.array.dtype:
                    outer.args = (*outer.args[:place], x, *outer.args[place + 1 :])


# what selections left out


class Rescue:
    """Makes zeros of a gradient that is not finite, at the elements that later selections left out.

    `program` is that of a function of the gradient and of what tells which elements they are. A line with a
    Rescue has these arguments, and the option `suspect`: if that is finite, so are these elements.
    """

    def __init__(self, gradient: Variable, lines: list[Line]) -> None:
        """`lines` end with the selection; none of them writes."""
        made = {id(v) for line in lines for v in line.made}
        inputs = {id(v): v for line in lines for v in line.reads if id(v) not in made | {id(gradient)}}
        self.inputs = (gradient, *inputs.values())
        copies: dict[int, Variable] = {}

        def copied(leaf: Any) -> Any:
            if not isinstance(leaf, Variable):
                return leaf
            if id(leaf) not in copies:
                array = np.broadcast_to(np.empty((), leaf.array.dtype), leaf.array.shape)
                copies[id(leaf)] = Variable(array)
            return copies[id(leaf)]

        arguments = list(map(copied, self.inputs))
        for i, v in enumerate(arguments):
            v.name = f"x{i}" if i else "gradient"
        self.program = Program("rescue", arguments, [], [])
        for line in lines:
            args, options = mapped(copied, line.args), mapped(copied, line.options)
            self.program.lines.append(Line(line.function, args, options, list(map(copied, line.made))))
            self.program.lines[-1].several = line.several
        self.program.result = copied(lines[-1].made[0])


def _rescue(program: Program) -> None:
    """Take apart what is needed only where a gradient is not finite: which elements were left out."""
    needed, conditions = {id(v) for v in program.outputs}, set()
    apart: dict[int, int] = {}  # the numbers of the lines that make what only conditions need
    for number, line in reversed(list(enumerate(program.lines))):
        reads = {id(w) for v in line.reads for w in (v, v.root)}
        made = {id(v) for v in line.made}
        if line.written is None and not made & needed:
            conditions |= reads
            apart |= dict.fromkeys(made, number)
        elif _is_rescue(line):
            conditions |= {id(w) for v in variables_in(line.args[0]) for w in (v, v.root)}
            needed |= {id(w) for v in variables_in(line.args[1]) for w in (v, v.root)}
        else:
            needed |= reads
    for number, line in enumerate(program.lines):
        if not (line.made and id(line.made[0]) not in apart and _is_rescue(line)):
            continue
        numbers: set[int] = set()
        pending = variables_in(line.args[0])
        while pending:
            n = apart.get(id(pending.pop()))
            if n is not None and n not in numbers:
                numbers.add(n)
                pending += program.lines[n].reads
        lines = [program.lines[n] for n in sorted(numbers)]
        if lines and isinstance(line.args[1], Variable):
            rescue = Rescue(line.args[1], [*lines, line])
            suspect = _suspect(program, [*lines, line])
            options = {} if suspect is line.args[1] else {"suspect": suspect}
            roots = {id(v.root) for v in rescue.inputs}
            between = program.lines[min(numbers) : number]
            if not any(other.written is not None and id(other.written.root) in roots for other in between):
                program.lines[number] = Line(rescue, rescue.inputs, options, line.made)
    program.without_dead_code()


def _suspect(program: Program, lines: list[Line]) -> Variable:
    """What makes a gradient other than finite where it is to be zero: the gradient itself tells.

    In a product of matrices with a gradient, which is zero there, it can only be the other matrix.
    """
    gradient: Variable = lines[-1].args[1]
    makers = {id(line.made[0]): line for line in (*program.lines, *lines) if len(line.made) == 1}

    def made_by(v: Any, function: Any) -> Line | None:
        """The line with this function that made a variable, if need be turned round."""
        line = makers.get(id(v))
        while line is not None and line.function is not function and _transposes(line):
            line = makers.get(id(line.args[0]))
        return line if line is not None and line.function is function else None

    product, marks = made_by(gradient, np.matmul), made_by(lines[-1].args[0], np.isnan)
    marked = marks and made_by(marks.args[0], np.matmul)
    if product is None or marked is None:
        return gradient
    for factor, ones, other in zip(product.args, marked.args, marked.args[::-1], strict=True):
        known, use = made_by(ones, np.ones_like), made_by(other, np.where)
        if known is not None and use is not None and known.args[0].root is factor.root:
            matrix: Variable = known.args[0]
            return matrix if matrix.array.size < gradient.array.size else gradient
    return gradient


def _is_rescue(line: Line) -> bool:
    return line.function is np.where and len(line.args) == 3 and line.args[2] is LEFT_OUT


# ---- as source --------------------------------------------------------------------------------------------

COMPARISON, SUM, PRODUCT, SIGN, POWER, ATOM = 5, 10, 11, 12, 13, 20
BINARY: dict[Any, tuple[str, int]] = {
    np.add: ("+", SUM),
    np.subtract: ("-", SUM),
    np.multiply: ("*", PRODUCT),
    np.divide: ("/", PRODUCT),
    np.floor_divide: ("//", PRODUCT),
    np.remainder: ("%", PRODUCT),
    np.matmul: ("@", PRODUCT),
    np.power: ("**", POWER),
    np.bitwise_and: ("&", 8),
    np.bitwise_or: ("|", 6),
    **{
        f: (s, COMPARISON)
        for f, s in ((np.less, "<"), (np.less_equal, "<="), (np.greater, ">"), (np.greater_equal, ">="))
    },
    **{f: (s, COMPARISON) for f, s in ((np.equal, "=="), (np.not_equal, "!="))},
}
IN_PLACE: dict[Any, tuple[str, Any]] = {
    operator.iadd: ("+=", np.add),
    operator.isub: ("-=", np.subtract),
    operator.imul: ("*=", np.multiply),
    operator.itruediv: ("/=", np.divide),
    operator.ipow: ("**=", np.power),
}
SCATTER = """def scatter(values, key, shape):
    total = np.zeros(shape, values.dtype)
    np.add.at(total, key, values)
    return total
"""


def called(function: Any) -> str:
    """A function as code calls it; one that no module has by name is for whoever runs the code to provide."""
    home, name = module_of(function), name_of(function).rpartition(".")[2]
    return f"{home}.{name}" if home else name.replace("<lambda>", "function")


def module_of(function: Any) -> str:
    """The module that code imports to call a function; none has what was made within another function."""
    if getattr(function, "__module__", None) == "_operator":
        return "operator"
    home, _, name = name_of(function).rpartition(".")
    if home == "scipy.special" and not hasattr(sys.modules.get(home), name):
        return "scipy.special._ufuncs"  # where those are that have no public name
    return "" if home == "__main__" or "<" in getattr(function, "__qualname__", "") else home


def imported(function: Any) -> set[str]:
    """The lines that import its module."""
    home = module_of(function)
    return {f"import {home}"} if home and not home.startswith("np") else set()


def constant(value: Any) -> str:
    """A value that is no variable, as Python writes it."""
    if isinstance(value, np.dtype):
        return f"np.{value.name}"
    if isinstance(value, type):
        return f"np.{value.__name__}" if issubclass(value, np.generic) else value.__name__
    if callable(value):
        return called(value)
    if value is np._NoValue:
        return "np._NoValue"
    if isinstance(value, np.ndarray) and value.ndim:
        dtype = "" if value.dtype in (np.float64, np.bool_, np.int64) else f", {constant(value.dtype)}"
        return f"np.array({constant(value.tolist())}{dtype})"
    if isinstance(value, np.ndarray):
        value = value[()]
    if isinstance(value, np.generic):
        if value.dtype == np.longdouble:  # whose item is itself
            return f"np.longdouble('{value!s}')"
        number = constant(value.item())
        return number if value.dtype == bool else f"np.{value.dtype.name}({number})"
    if isinstance(value, float) and not np.isfinite(value):
        return "np.nan" if np.isnan(value) else "np.inf" if value > 0 else "-np.inf"
    if isinstance(value, complex):  # what Python prints loses signs of zeros
        return f"complex({constant(value.real)}, {constant(value.imag)})"
    if isinstance(value, list):
        return f"[{', '.join(map(constant, value))}]"
    return "..." if value is ... else repr(value)


def key_text(key: Any, text: Callable[[Any, int], str]) -> str:
    """What stands between the brackets of an index."""
    if isinstance(key, tuple) and key:
        parts = [text(part, 0) if isinstance(part, tuple) else key_text(part, text) for part in key]
        return ", ".join(parts) + ("," if len(key) == 1 else "")
    if isinstance(key, slice):
        parts = ["" if p is None else text(p, 0) for p in (key.start, key.stop, key.step)]
        return ":".join(parts if parts[2] else parts[:2])
    return text(key, 0)


def expression(line: Line, text: Callable[[Any, int], str]) -> tuple[str, int]:
    """A call as Python writes it, and how tightly it binds.

    `text(operand, level)` writes an operand for a place that binds so tightly.
    """
    function, args = line.function, line.args
    if function in BINARY and len(args) == 2 and not line.options:
        symbol, level = BINARY[function]
        left, right = (level + 1, level) if symbol == "**" else (level, level + 1)
        left += level == COMPARISON  # a < b < c would be another thing
        return f"{text(args[0], left)} {symbol} {text(args[1], right)}", level
    if function is np.negative and not line.options:
        return f"-{text(args[0], SIGN)}", SIGN
    if function is operator.getitem:
        return f"{text(args[0], ATOM)}[{key_text(args[1], text)}]", ATOM
    if function is cast and isinstance(args[0], Variable) and args[0].array.ndim:
        return f"{text(args[0], ATOM)}.astype({constant(args[1])})", ATOM
    if function is cast:  # a number, which may be one of Python's
        return f"{constant(args[1])}({text(args[0], 0)})", ATOM
    if args and _transposes(line):
        return f"{text(args[0], ATOM)}.T", ATOM
    name = "scatter" if function is scatter else called(function)
    words = [*(text(a, 0) for a in args), *(f"{k}={text(v, 0)}" for k, v in line.options.items())]
    return f"{name}({', '.join(words)})", ATOM


def source(program: Program) -> str:
    """The program as a function of NumPy alone, one operation a line, with shapes as comments.

    What was made, is used once and has no name of its own, stands where it is used.
    """
    imports, functions = {"import numpy as np"}, list[str]()
    text = function_text(program, imports, functions)
    head = "\n".join(sorted(imports))
    return "\n\n\n".join([head, *dict.fromkeys(functions), text])


def function_text(program: Program, imports: set[str], functions: list[str]) -> str:
    """The function, without the imports and the functions that it needs, which are added to the others."""
    uses = Counter(id(v) for line in program.lines for v in line.reads)
    uses.update(id(v) for v in program.outputs)
    inlined: dict[int, tuple[str, int]] = {}
    memories: dict[int, set[int]] = {}  # of what is inlined, all that its text reads
    rows: list[tuple[str, str]] = []
    taken = {v.name for line in program.lines for v in (*line.reads, *line.made)}
    changed = {id(line.args[0]) for line in program.lines if line.function in IN_PLACE}  # x.T += 1 is none
    new = (name for number in itertools.count(1) if (name := f"t{number}") not in taken)

    def text(value: Any, level: int) -> str:
        if not isinstance(value, Variable):
            if callable(value) and not isinstance(value, type):
                imports.update(imported(value))
            written = nested(value, lambda part: text(part, 0))
            return f"({written})" if written.startswith("-") and level > SIGN else written
        if id(value) in inlined:
            written, own = inlined[id(value)]
            return f"({written})" if own < level else written
        return value.name

    for number, line in enumerate(program.lines):
        for v in line.made if line.several or isinstance(line.function, Rescue) else ():
            v.name = v.name or next(new)
        if isinstance(line.function, Rescue):
            (v,), rescue = line.made, line.function.program
            rescue.name = f"rescue{1 + sum(f.startswith('def rescue') for f in functions)}"
            rescue.name += "_" * (rescue.name in taken)
            functions.append(function_text(rescue, imports, functions))
            words = ", ".join([v.name, *(text(a, 0) for a in line.args[1:])])
            rows.append((f"{v.name} = {text(line.args[0], 0)}", f"{np.shape(v.array)} {v.array.dtype}"))
            suspect = line.options.get("suspect")
            finite = f"np.isfinite({v.name if suspect is None else text(suspect, 0)})"
            rows.append((f"if not np.all({finite}):  # where a selection left out, zero", ""))
            rows.append((f"    {v.name} = {rescue.name}({words})", ""))
            continue
        if line.function is scatter:
            functions.append(SCATTER)
        if line.function not in (scatter, cast, operator.getitem, operator.setitem, *IN_PLACE):
            imports |= imported(line.function)
        if line.written is not None:
            rows.append((_writing(line, text), ""))
            continue
        written, level = expression(line, text)
        if line.several:
            rows.append((f"{''.join(v.name + ', ' for v in line.made).strip()} = {written}", ""))
            continue
        (v,) = line.made
        made_from = {i for w in line.reads for i in (id(w.root), *memories.get(id(w), ()))}
        plain = not v.name and (id(v) not in changed or line.function is operator.getitem)
        if plain and uses[id(v)] == 1 and len(written) < 50 and _movable(program, number, v, made_from):
            inlined[id(v)], memories[id(v)] = (written, level), made_from
            continue
        v.name = v.name or next(new)
        rows.append((f"{v.name} = {written}", f"{np.shape(v.array)} {v.array.dtype}"))
    result = text(program.result, 0) if program.result is not None else ""
    stored = ", ".join(v.name for _, v in program.stored)
    last = f"return {', '.join(filter(None, [result, stored])) or None}"
    names = parameters(program, {id(v): v.name for v in (*program.arguments, *program.captured)})
    width = min(max((len(code) for code, shape in rows if shape), default=0), 60)
    body = [f"    {code:{width}}  # {shape}" if shape else f"    {code}" for code, shape in rows]
    return "\n".join([f"def {program.name}({names}):", *body, f"    {last}", ""])


def parameters(program: Program, names: dict[int, str]) -> str:
    """What stands between the parentheses of a program's function."""
    changed = {id(line.written.root) for line in program.lines if line.written is not None}

    def is_fixed(v: Variable) -> bool:
        """Whether a captured variable is an array that can be written out."""
        array = isinstance(v.source, np.ndarray) and 0 < v.source.size <= 16 and id(v) not in changed
        return array and v.source.dtype.kind in "fiub"

    written = []
    for i, v in enumerate((*program.arguments, *sorted(program.captured, key=is_fixed))):
        again = any(v is other for other in program.arguments[:i])  # the same array, given twice
        default = f"={constant(v.source)}" if is_fixed(v) else ""
        written.append(f"_{i}" if again else names[id(v)] + default)
    return ", ".join(written)


def nested(value: Any, text: Callable[[Any], str]) -> str:
    """A value that is no variable, with the text of each part of a list, tuple or dict."""
    if isinstance(value, (list, tuple)):
        inner = ", ".join(map(text, value))
        return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' if len(value) == 1 else ''})"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key!r}: {text(part)}' for key, part in value.items())}}}"
    return constant(value)


def _writing(line: Line, text: Callable[[Any, int], str]) -> str:
    """A line that writes into a variable."""
    if line.function in IN_PLACE:
        return f"{text(line.args[0], 0)} {IN_PLACE[line.function][0]} {text(line.args[1], 0)}"
    if line.function is operator.setitem:
        return f"{text(line.args[0], ATOM)}[{key_text(line.args[1], text)}] = {text(line.args[2], 0)}"
    return expression(line, text)[0]


def _movable(program: Program, number: int, v: Variable, made_from: set[int]) -> bool:
    """Whether what a line makes may be computed where it is used: its memories are not written before."""
    for later in program.lines[number + 1 :]:
        if any(w is v for w in later.reads):
            return True
        written = set() if later.written is None else {id(later.written.root)}
        if written & program.shared:
            written |= program.shared
        if written & made_from:
            return False
    return not any(line.written is not None for line in program.lines[number + 1 :])
