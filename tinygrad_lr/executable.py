"""Programs as code to run: NumPy's quickest calls, on buffers that are made once.

Two steps lead from a simplified program to that code. `lowered` writes means and sums in terms of what
computes them quickest, such as products of matrices. `Writer` then writes every line as a row of Python:

- results lie in buffers, which are taken again as soon as nothing needs their content;
- arrays of one element are computed with as NumPy's scalars, whose operators cost a tenth of a ufunc's call;
- what does not depend on the arguments, such as a view of a buffer, is made once;
- chains of elementwise functions on large arrays go block by block, so that what comes between stays in the
  processor's cache.
"""

import math
import operator
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .blocks import Block, blocked
from .derivatives import cast, scatter
from .errors import TraceError, name_of
from .program import (
    IN_PLACE,
    RESHAPING,
    SCATTER,
    Line,
    Program,
    Rescue,
    Variable,
    are_moderate,
    constant,
    factor_of,
    function_text,
    imported,
    is_number,
    is_zero,
    nested,
    parameters,
    variables_in,
)

#: operators on NumPy's scalars
OPERATORS = {np.add: "+", np.subtract: "-", np.multiply: "*", np.divide: "/", np.power: "**"}
#: what NumPy's reductions come to
REDUCTIONS = {np.sum: np.add.reduce, np.max: np.maximum.reduce, np.min: np.minimum.reduce}
#: functions whose results have shapes that those of their arguments say
SHAPED = {np.where, np.stack, np.concatenate, np.take_along_axis, operator.getitem, scatter}
#: and those of whose arguments but the first one there are to be no variables for that
SHAPED_BY_FIRST = RESHAPING | REDUCTIONS.keys() | {cast, np.copy, np.mean, np.ones_like, np.zeros_like}
KEYWORD_OUT = {np.maximum, np.minimum}  # positional is deprecated, and slow
#: functions of two arguments that do not compute in the dtype of both
OWN_DTYPE = {np.ldexp, np.logical_and, np.logical_or, np.logical_xor}
BITS: dict[int, Any] = {4: np.int32, 8: np.int64}  # integers as long as a floating number
FLAT = 2048  # up to as many elements a product with ones is quicker than a sum
SHORT = 32  # rows of up to as many elements have their extremes found quicker if they are turned to columns
Kind = tuple[tuple[int, ...], Any]


def kind(v: Variable) -> Kind:
    return v.array.shape, v.array.dtype


def dtype_of(line: Line) -> Any:
    return line.made[0].array.dtype


def is_float(v: Any) -> bool:
    return isinstance(v, Variable) and v.array.dtype in (np.float32, np.float64)


def is_one(v: Any) -> bool:
    """Whether a variable is one floating number, in an array of any shape."""
    return is_float(v) and v.array.size == 1


# ---- sums as products -------------------------------------------------------------------------------------


def lowered(program: Program) -> Program:
    """The same program with means as sums, sums of products as products of matrices, and factors last."""
    made = Program(program.name, program.arguments, program.captured, [])
    made.result, made.stored, made.tensors, made.same = (
        program.result,
        program.stored,
        program.tensors,
        program.same,
    )
    uses = Counter(id(v) for line in program.lines for v in line.reads)
    uses.update(id(v) for v in program.outputs)
    makers: dict[int, Line] = {}
    # arrays, also of one number: what is written, and gradients that zeros are written into
    arrays = {id(line.args[0]) for line in program.lines if isinstance(line.function, Rescue)}
    arrays |= {id(line.written.root) for line in program.lines if line.written is not None}

    def add(line: Line) -> None:
        if line.written is not None:
            makers.clear()  # from here on a line before it cannot be moved
        makers.update((id(v), line) for v in line.made)
        made.lines.append(line)

    def new(
        function: Any,
        args: Any,
        shape: tuple[int, ...],
        like: Variable,
        base: Any = None,
        options: dict[str, Any] | None = None,
    ) -> Variable:
        v = Variable(np.broadcast_to(np.empty((), like.array.dtype), shape), None, base)
        add(Line(function, args, options or {}, [v]))
        return v

    def product(v: Variable) -> Any:
        """The factors of a variable that is used here only; none if it is no product."""
        line = makers.get(id(v))
        alone = uses[id(v)] == 1 and line is not None and line.function is np.multiply and not line.options
        return line.args if line is not None and alone else ()

    def put_off(factor: Any, x: Any, result: Variable) -> Any:
        """The factors of what is used here only that can be multiplied with the result, and the rest."""
        dtype = result.array.dtype
        while uses[id(x)] == 1 and (number := factor_of(makers.get(id(x)))) is not None:
            inner = makers[id(x)].args[1]
            if inner.array.dtype != dtype or not are_moderate(dtype, factor * number):
                break
            factor, x = factor * number, inner
        return factor, x

    def outer(shapes: Any, shape: Any) -> bool:
        """Whether factors were broadcast as those of a matrix product are, A[:, :, None] * B."""
        left, right = (*shape[:2], 1), shape[1:]
        return (
            any(a == left and b in (right, (1, *right)) for a, b in (shapes, shapes[::-1]))
            if shapes
            else False
        )

    def summed(line: Line) -> None:
        (x,), (result,) = line.args, line.made
        shape, axis = x.array.shape, line.options.get("axis")
        axes = {i % len(shape) for i in np.ravel(range(len(shape)) if axis is None else axis).tolist()}
        factor, x = put_off(1.0, x, result)
        factor *= result.array.size / line.args[0].array.size if line.function is np.mean else 1
        factors = product(x)
        floats = bool(factors) and all(is_float(a) and a.array.dtype == x.array.dtype for a in factors)
        shapes = [a.array.shape for a in factors] if floats else []
        column = (shape[0], 1)
        how: Line
        if result.array.size == 1 and not (result.array.ndim and id(result) in arrays):  # a number
            how = Line(np.vdot, factors, {}, []) if shapes == [shape] * 2 else Line(np.sum, (x,), {}, [])
        elif len(shape) == 2 and len(axes) == 1:
            row, flat = (1, shape[1]), result.array.ndim == 1  # the others keep an axis of length 1
            if not flat:
                ones = np.ones((1, shape[0]) if axes == {0} else (shape[1], 1), x.array.dtype)
                how = Line(np.matmul, (ones, x) if axes == {0} else (x, ones), {}, [])
            elif axes == {0} and sorted(shapes) == sorted([shape, column]):
                u, V = factors if shapes[0] == column else factors[::-1]
                how = Line(np.matmul, (new(np.reshape, (u, (-1,)), shape[:1], x, u), V), {}, [])
            elif axes == {1} and sorted(shapes) in (sorted([shape, row]), sorted([shape, row[1:]])):
                V, u = factors if shapes[0] == shape else factors[::-1]
                how = Line(np.matmul, (V, new(np.reshape, (u, (-1,)), shape[1:], x, u)), {}, [])
            else:
                ones = np.ones(shape[min(axes)], x.array.dtype)
                how = Line(np.matmul, (ones, x) if axes == {0} else (x, ones), {}, [])
        elif len(shape) == 3 and axes == {1} and result.array.ndim == 2 and outer(shapes, shape):
            A, B = factors if shapes[0] == (*shape[:2], 1) else factors[::-1]
            A, B = (
                new(np.reshape, (A, shape[:2]), shape[:2], x, A),
                new(np.reshape, (B, shape[1:]), shape[1:], x, B),
            )
            how = Line(np.matmul, (A, B), {}, [])
        else:
            how = Line(np.sum, (x,), line.options, [])
        if factor == 1:
            how.made = [result]
            add(how)
        else:
            how.made = [part := Variable(result.array)]
            add(how)
            add(Line(np.multiply, (factor, part), {}, [result]))

    def turned(line: Line) -> None:
        """The extremes of short rows, as those of columns."""
        (x,), (result,), shape = line.args, line.made, line.args[0].array.shape
        columns = new(np.copy, (new(np.transpose, (x,), shape[::-1], x, x),), shape[::-1], x)
        if result.array.ndim == 1:
            add(Line(line.function, (columns,), {"axis": 0}, [result]))
        else:
            flat = new(line.function, (columns,), shape[:1], x, options={"axis": 0})
            result.base = flat
            add(Line(np.reshape, (flat, result.array.shape), {}, [result]))

    def is_short(line: Line) -> bool:
        shape = np.shape(getattr(line.args[0], "array", 0)) if line.args else ()
        along = line.function in (np.max, np.min) and line.options.keys() <= {"axis", "keepdims"}
        return (
            along
            and len(shape) == 2
            and line.options.get("axis") in (1, -1)
            and 1 < shape[1] <= SHORT < shape[0]
            and is_float(line.args[0])
        )

    def multiplied(line: Line) -> None:
        """A matrix product; factors of what is larger than the result are put off until there is one."""
        args, (result,) = list(line.args), line.made
        factor = 1.0
        for i, x in enumerate(args):
            if np.size(getattr(x, "array", x)) > result.array.size:
                factor, args[i] = put_off(factor, x, result)
        if factor == 1:
            add(line)
        else:
            part = new(np.matmul, tuple(args), result.array.shape, result)
            add(Line(np.multiply, (factor, part), {}, [result]))

    def scaling(line: Line) -> Any:
        """The arguments of `scaled` that does what a selection does; () if none does."""
        if line.function is not np.where or len(line.args) != 3 or not isinstance(line.args[1], Variable):
            return ()
        condition, product_, x = line.args
        alone = uses[id(product_)] == 1 and kind(product_) == kind(line.made[0])
        k = factor_of(makers.get(id(product_))) if alone else None
        return (condition, k, x) if k is not None and makers[id(product_)].args[1] is x else ()

    for line in program.lines:
        x: Any = line.args[0] if len(line.args) == 1 else None
        if arguments := scaling(line):
            line = Line(scaled, arguments, {}, line.made)
        plain = line.function in (np.sum, np.mean) and line.options.keys() <= {"axis", "keepdims"}
        plain = plain and not variables_in(line.options)
        if plain and is_float(x) and x.array.size and x.array.ndim and x.array.dtype == dtype_of(line):
            summed(line)
        elif line.function is np.matmul and not line.options and is_float(line.made[0]):
            multiplied(line)
        elif is_short(line):
            turned(line)
        else:
            add(line)
    made.without_dead_code()
    _rescue_in_place(made)
    blocked(made)
    return made


def _rescue_in_place(program: Program) -> None:
    """Let zeros be written into gradients themselves, or where they are needed as they are, into copies."""
    uses = Counter(id(v) for line in program.lines for v in line.reads)
    uses.update(id(v) for v in program.outputs)
    makers: dict[int, int] = {}
    lines: list[Line] = []
    for line in program.lines:
        if isinstance(line.function, Rescue):
            (v,), (gradient, *others) = line.made, line.args
            number = makers.get(id(gradient))
            if number is not None and uses[id(gradient)] == 1:
                maker = lines[number]
                lines[number] = Line(maker.function, maker.args, maker.options, [v])
            else:
                lines.append(Line(np.copy, (gradient,), {}, [v]))
            lines.append(Line(line.function, (v, *others), line.options, [], v))
        else:
            if len(line.made) == 1 and not line.several and line.made[0].base is None:
                makers[id(line.made[0])] = len(lines)
            lines.append(line)
    program.lines = lines


def scaled(condition: Any, factor: Any, x: Any) -> Any:
    """x, times a factor where a condition holds."""
    return np.where(condition, factor * x, x)


scaled.selects = True  # type: ignore[attr-defined]


# ---- lines as rows of code --------------------------------------------------------------------------------


class Writer:
    """Writes the lines of a program as rows of Python.

    Attributes
    ----------
    rows : the code.
    writing : the number of the first row that changes what was there before.
    space : the objects that the code knows by name.
    """

    def __init__(
        self,
        program: Program,
        given: dict[int, str],
        fixed: dict[int, Any],
        rows: list[str],
        space: dict[str, Any],
        targets: dict[int, str] | None = None,
    ) -> None:
        """`given` has the names of variables that come in, `fixed` the arrays of those that stay the same.

        `targets` has the names of arrays that some of the results are to be put into.
        """
        self._targets = targets or {}
        self._makers = {id(v): line.function for line in program.lines for v in line.made}
        self.program, self.rows, self.space = program, rows, space
        self.writing = sys.maxsize
        self._names = dict(given)
        self._given = set(given.values())
        self._fixed = dict(fixed)  # arrays that are the same at every call: buffers, captured ones, views
        self._bound: dict[int, str] = {}  # of fixed arrays, by their id
        self.origins: dict[int, str] = {}  # how objects that the code knows by name are made, by their id
        self.imports = {"import numpy as np"}  # what the code as text begins with
        # variables that are NumPy's scalars, whatever their shape; also those that come in as numbers
        self._scalars = {id(v) for v in program.numbers}
        self._derived: dict[tuple[str, int], str] = {}  # other forms of variables, until something is written
        self._last: dict[int, int] = {}  # of each memory, the line that reads it last
        self._free: dict[Kind, list[Any]] = {}
        self._held: dict[int, Any] = {}  # the buffer of a memory
        self._changed = {id(line.written.root) for line in program.lines if line.written is not None}
        for number, line in enumerate(program.lines):
            for v in (*line.reads, *line.made):
                self._last[id(v.root)] = number
        for v in program.outputs:
            self._last[id(v.root)] = len(program.lines)
        self._read = {id(v) for line in program.lines for v in line.reads}
        for number, line in enumerate(program.lines):
            dying = {id(v.root): v.root for v in line.reads if self._last[id(v.root)] == number}
            outside = line.written is not None and line.written.root.source is not None
            if outside or any(id(v) in self._targets for v in line.made):
                self.writing = min(self.writing, len(rows))
            self._line(line, dying)
            for i in dying:
                if i in self._held:
                    buffer = self._held.pop(i)
                    self._free.setdefault((buffer.shape, buffer.dtype), []).append(buffer)

    # names

    def bind(self, value: Any, prefix: str = "c") -> str:
        """A name for an object; one and the same for one array or function."""
        key = id(value)
        if not (isinstance(value, np.ndarray) or callable(value)) or key not in self._bound:
            name = getattr(value, "__name__", "") if callable(value) else ""
            free = name not in self.space and name not in self._given
            own = getattr(np, name, None) is value and free  # one of NumPy's
            self._bound[key] = name if own else self._new(prefix, self.space)
            self.space[self._bound[key]] = value
        return self._bound[key]

    def _new(self, prefix: str, others: Any) -> str:
        """A name numbered by what there is already."""
        return self._apart(f"{prefix}{len(others)}")

    def _apart(self, name: str) -> str:
        """A name that is none of those that were given."""
        while name in self._given:
            name += "_"
        return name

    def name(self, v: Variable) -> str:
        """A variable as an array, or 0-d as a scalar."""
        if id(v) in self._fixed:
            return self.bind(self._fixed[id(v)], "b")
        name = self._names[id(v)]
        if id(v) in self._scalars and v.array.ndim:
            brackets = "[" * v.array.ndim + name + "]" * v.array.ndim
            return self._derive("array", v, f"{self.bind(np.array)}({brackets})")
        return name

    def _derive(self, form: str, v: Variable, code: str) -> str:
        """The name of another form of a variable, which is made where it is used first."""
        key = (form, id(v))
        if key not in self._derived:
            self._derived[key] = self._new("d", self.rows)
            self.rows.append(f"{self._derived[key]} = {code}")
        return self._derived[key]

    def scalar(self, value: Any) -> str:
        """A number, or a variable of one element, as a scalar."""
        if not isinstance(value, Variable):
            return self.text(value)
        if id(value) in self._scalars:
            return self._names[id(value)]
        index = ", ".join("0" * value.array.ndim) or "()"
        return self._derive("scalar", value, f"{self.name(value)}[{index}]")

    def flat(self, v: Variable) -> str:
        """A variable with its elements in one dimension."""
        if v.array.ndim == 1:
            return self.name(v)
        if id(v) in self._fixed and self._fixed[id(v)].flags.c_contiguous:
            return self._view("flat", v, lambda a: a.reshape(-1), ".reshape(-1)")
        return self._derive("flat", v, f"{self.name(v)}.reshape(-1)")

    def _view(self, form: str, v: Variable, of: Callable[[Any], Any], code: str) -> str:
        key = (form, id(self._fixed[id(v)]))
        if key not in self._bound:  # type: ignore[comparison-overlap]
            view = of(self._fixed[id(v)])
            self.origins[id(view)] = self.name(v) + code
            self._bound[key] = self.bind(view, "b")  # type: ignore[index]
        return self._bound[key]  # type: ignore[index]

    def beside(self, value: Any, other: Variable) -> str:
        """An operand of an elementwise function whose other operand has the shape of the result.

        NumPy takes one element quickest as an array without axes.
        """
        if (
            is_number(value)
            and is_float(other)
            and getattr(value, "dtype", other.array.dtype) == other.array.dtype
        ):
            return self.bind(np.array(value, other.array.dtype))
        if is_one(value) and other.array.size > 1:
            if id(value) in self._fixed:
                return self._view("cell", value, lambda a: a.reshape(()), ".reshape(())")
            if id(value) not in self._scalars:
                return self._derive("cell", value, f"{self.name(value)}.reshape(())")
            if ("cell", id(value)) not in self._derived:
                cell = self._derived["cell", id(value)] = self.bind(np.empty((), value.array.dtype))
                self.rows.append(f"{cell}[()] = {self._names[id(value)]}")
            return self._derived["cell", id(value)]
        return self.text(value)

    def text(self, value: Any) -> str:
        """An argument of a call."""
        if isinstance(value, Variable):
            return self.name(value)
        if isinstance(value, (list, tuple)):
            inner = "".join(f"{self.text(part)}, " for part in value)
            return f"[{inner}]" if isinstance(value, list) else f"({inner})"
        if isinstance(value, (bool, int)) or value is None:
            return repr(value)
        if type(value) is float and math.isfinite(value):
            return repr(value)
        return self.bind(value)

    # lines

    def _line(self, line: Line, dying: dict[int, Variable]) -> None:
        if isinstance(line.function, Block):
            self._by_blocks(line.function)
            return
        if line.written is not None:
            self._write(line)
            return
        if self._is_fixed_view(line) or self._as_scalar(line) or self._select(line, dying):
            return
        if line.several:
            for v in line.made:
                self._names[id(v)] = self._new("v", self._names)
            names = "".join(f"{self._names[id(v)]}, " for v in line.made)
            self.rows.append(f"{names}= {self._call(line)}")
            self._check_shapes(line)
            return
        (v,) = line.made
        code, out = self._quick(line)
        copied = line.function is np.copy and len(line.args) == 1 and not line.options
        if id(v) in self._targets:
            target = self._names[id(v)] = self._targets[id(v)]
            self.rows.append(f"{code[:-1]}{out}{target})" if out else f"{target}[...] = {code}")
        elif (
            (out or copied)
            and v.base is None
            and v.array.ndim
            and self._last[id(v)] < len(self.program.lines)
        ):
            over = []
            if isinstance(line.function, np.ufunc) and line.function.signature is None and v.array.size > 1:
                # NumPy is slow where one element is operand and result
                over = [w for w in line.reads if all(u is w for u in line.reads if u.root is w)]
            buffer = self._fixed[id(v)] = self._buffer(v, dying, over)
            name = self.bind(buffer, "b")
            self.rows.append(
                f"{name}[...] = {self.text(line.args[0])}" if copied else f"{code[:-1]}{out}{name})"
            )
        else:
            self._names[id(v)] = self._new("v", self._names)
            self.rows.append(f"{self._names[id(v)]} = {code}")
            if line.function is operator.getitem and any(w.array.dtype.kind == "b" for w in line.reads[1:]):
                name = self._names[id(v)]
                self.rows.append(f"if {name}.shape != {v.array.shape}: {self.bind(_refuse, 'f')}({name})")
            self._check_shapes(line)

    def _check_shapes(self, line: Line) -> None:
        """Refuse results of another shape than before: what reads them has buffers for that."""
        function = line.function
        if isinstance(function, (np.ufunc, Rescue)) or function in (SHAPED | {scaled}):
            return
        if function in SHAPED_BY_FIRST and not variables_in((line.args[1:], line.options)):
            return
        for v in line.made:
            if v.array.ndim and id(v) in self._read:
                name = self._names[id(v)]
                refuse = f"{self.bind(_refuse_result, 'f')}({name_of(function)!r}, {name})"
                self.rows.append(f"if {name}.shape != {v.array.shape}: {refuse}")

    def _by_blocks(self, block: Block) -> None:
        """Call a function for each block, and one for what remains."""
        for v in block.full:
            if self._last[id(v)] < len(self.program.lines):
                self._fixed[id(v)] = self._buffer(v, {}, ())
            else:
                self._names[id(v)] = self._new("v", self._names)
                shape, dtype = kind(v)
                self.rows.append(f"{self.name(v)} = {self.bind(np.empty)}({shape}, {self.bind(dtype)})")
        one = self._apart("s")
        names = [self.name(v) + f"[{one}]" * block.is_cut(v) for v in (*block.inputs, *block.full)]
        totals = []
        for v in block.totals:
            self._scalars.add(id(v))
            self._names[id(v)] = self._new("v", self._names)
            totals.append(self._names[id(v)])
        if totals:
            self.rows.append(f"{' = '.join(totals)} = 0.0")
        whole, remaining = divmod(block.shape[0], block.rows)
        cuts = [slice(i * block.rows, (i + 1) * block.rows) for i in range(whole)]
        origin = f"[slice({block.rows} * i, {block.rows} * (i + 1)) for i in range({whole})]"
        self.origins[id(cuts)] = origin
        steps = [(block.rows, self.bind(cuts))]
        if remaining:
            steps.append((remaining, self.bind([slice(whole * block.rows, block.shape[0])])))
        parts = [self._apart(f"p{i}") for i in range(len(totals))]
        for rows, cuts_name in steps:
            call = f"{self._block_function(block, rows)}({', '.join(names)})"
            self.rows.append(f"for {one} in {cuts_name}:")
            self.rows.append(f"    {''.join(f'{part}, ' for part in parts)}{'= ' * bool(parts)}{call}")
            self.rows += [f"    {name} += {part}" for name, part in zip(totals, parts, strict=True)]
        self._derived.clear()

    def _block_function(self, block: Block, rows: int) -> str:
        """The name of a function that does what is done with a block."""
        program = block.program(rows)
        totals, full = program.result
        arrays = [f"x{i}" for i in range(len(program.arguments))]
        outputs = [f"y{i}" for i in range(len(full))]
        body: list[str] = []
        writer = Writer(
            program,
            {id(v): name for v, name in zip(program.arguments, arrays, strict=True)},
            {},
            body,
            self.space,
            {id(v): name for v, name in zip(full, outputs, strict=True)},
        )
        self.origins |= writer.origins
        self.imports |= writer.imports
        body.append(f"return ({''.join(f'{writer.scalar(v)}, ' for v in totals)})")
        text = f"def block({', '.join(arrays + outputs)}):\n    " + "\n    ".join(body) + "\n"
        exec(compile(text, "<block>", "exec"), self.space)
        function = self.space.pop("block")
        name = self.bind(function, "block")
        self.origins[id(function)] = text.replace("def block(", f"def {name}(")
        return name

    def _rescue(self, rescue: Rescue, args: Any, suspect: Variable) -> None:
        """Look whether something is finite by the sum of its squares, which then is finite, too."""
        gradient, inf = self.name(args[0]), self._apart("inf")
        squares = self._derived.get(("squares", id(suspect))) or "{0}.dot({0})".format(self.flat(suspect))
        self.space[inf] = math.inf
        name = rescue.program.name = self._new("rescue", self.space)
        functions, space = list[str](), dict[str, Any]()
        text = function_text(rescue.program, self.imports, functions)
        text = "\n\n".join([*functions, text])
        exec("\n".join([*sorted(self.imports), text]), space)
        self.space[name] = space[name]
        self.origins[id(space[name])] = text
        row = f"{name}({', '.join(map(self.text, args))})"
        row = f"{self.bind(np.copyto)}({gradient}, {row})" if args[0].array.ndim else f"{gradient} = {row}"
        self.rows.append(f"if not {squares} < {inf}: {row}")

    def _write(self, line: Line) -> None:
        if isinstance(line.function, Rescue):
            self._rescue(line.function, line.args, line.options.get("suspect", line.args[0]))
            return
        target: Variable = line.written  # type: ignore[assignment]
        value = line.args[-1]
        if line.function in IN_PLACE:
            ufunc = IN_PLACE[line.function][1]
            same = is_number(value) or (is_one(value) and kind(value)[1] == kind(line.args[0])[1])
            if is_one(target) and line.args[0] is target and ufunc in OPERATORS and same:
                index = ", ".join("0" * target.array.ndim) or "()"
                cell = f"{self.name(target)}[{index}]"
                self.rows.append(f"{cell} = {cell} {OPERATORS[ufunc]} {self.scalar(value)}")
            else:
                own = self.name(line.args[0])
                self.rows.append(f"{self.bind(ufunc, 'f')}({own}, {self.beside(value, line.args[0])}, {own})")
        else:
            self.rows.append(self._call(line))
        self._derived.clear()

    def _is_fixed_view(self, line: Line) -> bool:
        """Make a view of what is fixed now, once."""
        if len(line.made) != 1 or line.several or line.made[0].base is None:
            return False
        if len(line.reads) != 1 or id(line.reads[0]) not in self._fixed:
            return False
        (v,), source = line.made, self._fixed[id(line.reads[0])]
        args = [source if isinstance(a, Variable) else a for a in line.args]
        view = line.function(*args, **line.options)
        if not np.may_share_memory(view, source):
            return False
        self.origins[id(view)] = self._quick(line)[0]
        self._fixed[id(v)] = view
        return True

    def _select(self, line: Line, dying: dict[int, Variable]) -> bool:
        """Select elements of arrays without a branch for each, or if the condition is rare, for all."""
        if line.function not in (np.where, scaled) or len(line.args) != 3 or line.options:
            return False
        (v,), (condition, a, b) = line.made, line.args
        alike = is_float(v) and isinstance(condition, Variable) and kind(condition) == (v.array.shape, bool)
        inside = v.array.size > 1 and self._last[id(v)] < len(self.program.lines)
        if not alike or not inside or v.array.dtype.itemsize not in BITS:
            return False
        if line.function is scaled:
            return self._select_rarely(line, v, dying)
        if any(isinstance(x, Variable) and kind(x) != kind(v) for x in (a, b)):
            return False
        if self._makers.get(id(condition)) is np.equal:
            return self._select_rarely(line, v, dying)
        x = a if isinstance(a, Variable) else b
        if not isinstance(x, Variable) or not is_zero(b if x is a else a):
            return False
        bits = BITS[v.array.dtype.itemsize]
        bytes_, mask = self._scratch(v.array.shape, np.int8), self._scratch(v.array.shape, bits)
        one = "" if x is a else f", {self.bind(np.array(1, np.int8))}"  # -1 keeps all bits, 0 none
        turn = self.bind(np.negative if x is a else np.subtract)
        self.rows.append(f"{turn}({self._as_bits(condition, np.int8)}{one}, {bytes_})")
        self.rows.append(f"{mask}[...] = {bytes_}")
        source = self._as_bits(x, bits)
        self._fixed[id(v)] = self._buffer(v, dying, (x,))
        self.rows.append(f"{self.bind(np.bitwise_and)}({source}, {mask}, {self._as_bits(v, bits)})")
        return True

    def _scratch(self, shape: tuple[int, ...], dtype: Any) -> str:
        """The name of an array whose content is needed by the next rows only."""
        pool = self._free.setdefault((shape, np.dtype(dtype)), [])
        if not pool:
            pool.append(self._empty((shape, np.dtype(dtype))))
        return self.bind(pool[-1], "b")

    def _as_bits(self, v: Variable, bits: Any) -> str:
        """A variable as integers of the same bits."""
        if id(v) in self._fixed:
            return self._view("bits", v, lambda a: a.view(bits), f".view(np.{bits.__name__})")
        return self._derive("bits", v, f"{self.name(v)}.view({self.bind(bits)})")

    def _select_rarely(self, line: Line, v: Variable, dying: dict[int, Variable]) -> bool:
        condition, a, b = line.args
        if isinstance(b, Variable):
            source = self.name(b)
            alone = all(w is b for w in line.reads if w.root is b)
            self._fixed[id(v)] = buffer = self._buffer(v, dying, (b,) if alone else ())
            if buffer is not self._fixed.get(id(b)):
                self.rows.append(f"{self.bind(np.copyto)}({self.name(v)}, {source})")
        else:
            self._fixed[id(v)] = self._buffer(v, {}, ())
            self.rows.append(f"{self.name(v)}.fill({self.text(b)})")
        own, where = self.name(v), f"where={self.name(condition)}"
        if line.function is scaled:
            row = f"{self.bind(np.multiply)}({self.text(a)}, {own}, {own}, {where})"
        else:
            row = f"{self.bind(np.copyto)}({own}, {self.text(a)}, {where})"
        self.rows.append(f"if {self.bind(np.count_nonzero)}({self.name(condition)}): {row}")
        return True

    def _as_scalar(self, line: Line) -> bool:
        """Compute one number with operators."""
        if len(line.made) != 1 or not is_one(line.made[0]):
            return False
        (v,), args = line.made, line.args
        if id(v) in self._changed:
            return False
        alike = all(is_number(a) or (is_one(a) and a.array.dtype == v.array.dtype) for a in args)
        if line.function in OPERATORS and alike and not line.options and len(args) == 2:
            left, right = map(self.scalar, args)
            left = f"({left})" if left.startswith("-") else left  # -2 ** x is -(2**x)
            code = f"{left} {OPERATORS[line.function]} {right}"
        elif line.function is cast and is_one(args[0]):
            code = f"{self.bind(v.array.dtype.type)}({self.scalar(args[0])})"
        elif line.function is np.negative and not line.options:
            code = f"-{self.scalar(args[0])}"
        elif line.function is np.vdot:
            code = f"{self.flat(args[0])}.dot({self.flat(args[1])})"
            if args[0] is args[1]:
                self._derived["squares", id(args[0])] = self._new("v", self._names)
        elif line.function is np.sum and not line.options and is_float(args[0]):
            x = args[0]
            ones = self.bind(np.ones(x.array.size, x.array.dtype)) if x.array.size <= FLAT else ""
            flat = self.flat(x)
            code = f"{flat}.dot({ones})" if ones else f"{self.bind(np.add.reduce, 'f')}({flat})"
        else:
            return False
        self._scalars.add(id(v))
        self._names[id(v)] = self._new("v", self._names)
        self.rows.append(f"{self._names[id(v)]} = {code}")
        if id(v) in self._targets:
            cell = f"{self._targets[id(v)]}[{', '.join('0' * v.array.ndim)}]"
            self.rows.append(f"{cell} = {self._names[id(v)]}")
        return True

    def _quick(self, line: Line) -> tuple[str, str]:
        """A call past the Python that NumPy puts before some functions; and what introduces a buffer."""
        function, args, options, (made,) = line.function, line.args, line.options, line.made
        a = args[0] if args else None
        if function is operator.getitem:
            return f"{self.text(a)}[{self.text(args[1])}]", ""
        ndim = a.array.ndim if isinstance(a, Variable) else -1
        if not options and ndim >= 0:
            if function is np.transpose and (len(args) == 1 or args[1] is None):
                return f"{self.text(a)}.T", ""
            if function is np.swapaxes and ndim == 2 and (int(args[1]) - int(args[2])) % 2:
                return f"{self.text(a)}.T", ""
            if function is np.reshape and len(args) == 2:
                return f"{self.text(a)}.reshape({self.text(args[1])})", ""
            if function is cast and ndim:
                return f"{self.text(a)}.astype({self.text(args[1])})", ""
            if function is cast:  # of what may be one of Python's numbers
                return f"{self.bind(made.array.dtype.type)}({self.text(a)})", ""
        if function is np.matmul and not options and is_float(made):
            arrays = [getattr(x, "array", x) for x in args]
            if all(np.ndim(x) in (1, 2) and x.dtype == made.array.dtype for x in arrays):
                return f"{self.text(a)}.dot({self.text(args[1])})", ", "
        fixed = len(args) == 1 and options.keys() <= {"axis", "keepdims"} and not variables_in(options)
        if function in REDUCTIONS and ndim >= 0 and fixed:
            words = [f"{k}={self.text(v)}" for k, v in ({"axis": None} | options).items()]
            return f"{self.bind(REDUCTIONS[function], 'f')}({', '.join([self.text(a), *words])})", ", out="
        if isinstance(function, np.ufunc) and function.nout == 1 and not options:
            pair = len(args) == 2 and function.signature is None and function not in OWN_DTYPE
            words = [self._beside(args, i, made) if pair else self.text(x) for i, x in enumerate(args)]
            return (
                f"{self.bind(function, 'f')}({', '.join(words)})",
                ", out=" if function in KEYWORD_OUT else ", ",
            )
        return self._call(line), ""

    def _beside(self, args: Any, i: int, made: Variable) -> str:
        """One of two operands; the other may alone have the shape of the result."""
        other = args[1 - i]
        if isinstance(other, Variable) and other.array.shape == made.array.shape:
            return self.beside(args[i], other)
        return self.text(args[i])

    def _call(self, line: Line) -> str:
        words = [*map(self.text, line.args), *(f"{k}={self.text(v)}" for k, v in line.options.items())]
        return f"{self.bind(line.function, 'f')}({', '.join(words)})"

    def _buffer(self, v: Variable, dying: dict[int, Variable], over: Sequence[Variable]) -> Any:
        """Where a result goes: over an operand that is no longer needed, or else where nothing is.

        `over` are the operands that it may go over, each as often as it is one.
        """
        for root in {id(w): w for w in over}.values():
            buffer = self._held.get(id(root)) if id(root) in dying else None
            if buffer is not None and (buffer.shape, buffer.dtype) == kind(v):
                self._held[id(v)] = self._held.pop(id(root))
                return buffer
        pool = self._free.get(kind(v), [])
        self._held[id(v)] = pool.pop() if pool else self._empty(kind(v))
        return self._held[id(v)]

    def _empty(self, kind: Kind) -> Any:
        buffer, (shape, dtype) = np.empty(*kind), kind
        self.origins[id(buffer)] = f"np.empty({shape}, {constant(dtype)})"
        return buffer


# ---- as source --------------------------------------------------------------------------------------------


def executed(program: Program) -> str:
    """A lowered program as a function of NumPy alone, which computes in buffers that are made once.

    What the code of a compiled function does, but for the checks of its arguments.
    """
    rows: list[str] = []
    space: dict[str, Any] = {}
    given = {id(v): v.name for v in (*program.arguments, *program.captured)}
    writer = Writer(program, given, {}, rows, space)

    def text(value: Any) -> str:
        return writer.name(value) if isinstance(value, Variable) else nested(value, text)

    result = [text(program.result)] if program.result is not None else []
    last = f"return {', '.join([*result, *(writer.name(v) for _, v in program.stored)]) or None}"
    made, imports = [], writer.imports
    for name, value in space.items():
        if name == "__builtins__":
            continue
        origin = writer.origins.get(id(value)) or _origin(value).replace("def f(", f"def {name}(")
        own = "def " in origin
        if callable(value) and not own and value is not scaled and not isinstance(value, type):
            imports |= imported(value)
        made.append(f"\n\n{origin}" if own else f"{name} = {origin}")
    head = f"def {program.name}({parameters(program, given)}):"
    return "\n".join(
        [*sorted(imports), "", *made, "", "", head, *(f"    {row}" for row in (*rows, last)), ""]
    )


def _origin(value: Any) -> str:
    """How a constant or a function is written."""
    if value is scaled:
        return "lambda condition, factor, x: np.where(condition, factor * x, x)"
    if value is _refuse:
        return "def f(made):\n    raise ValueError(f'a mask takes {len(made)} elements, other than before')\n"
    if value is _refuse_result:
        what = "{function} makes an array of shape {made.shape}, other than before"
        return f"def f(function, made):\n    raise ValueError(f'{what}')\n"
    if value is scatter:
        return SCATTER.replace("scatter(", "f(")
    if isinstance(value, np.ndarray) and value.ndim and value.size > 1 and np.all(value == 1):
        return f"np.ones({value.shape}, {constant(value.dtype)})"
    if isinstance(value, np.ndarray) and not value.ndim:
        return f"np.array({constant(value.item())}, {constant(value.dtype)})"
    return constant(value)


def _refuse(made: Any) -> None:
    raise TraceError(
        f"a mask takes {len(made)} elements now, but took another number when the function was traced. Keep "
        "all elements: np.where(mask, x, 0), not x[mask]."
    )


def _refuse_result(function: str, made: Any) -> None:
    raise TraceError(
        f"{function} makes an array of shape {made.shape} now, but made one of another shape when the "
        "function was traced, and compiled code is for that. Leave this call out of what is compiled."
    )
