"""Large arrays by blocks: what elementwise functions make on the way stays in the processor's cache.

`blocked` puts lines of a program together into one: elementwise functions of arrays of one large shape, sums
of all that they make, and updates by it in place. The arrays are cut along their first axis.
"""

from typing import Any

import numpy as np

from .program import IN_PLACE, Line, Program, Variable

BLOCK = 1 << 14  # elements of a block
LARGE = 1 << 17  # elements of arrays that are gone through by blocks


class Block:
    """Lines that are gone through block by block, all on arrays of one shape.

    Attributes
    ----------
    inputs : what the lines read, and what they write in place.
    totals : sums over all blocks, each one number.
    full : arrays that are needed as a whole.
    """

    def __init__(self, shape: tuple[int, ...], lines: list[Line], needed: set[int]) -> None:
        self.shape, self.lines = shape, lines
        made = {id(v): v for line in lines for v in line.made}
        reads = {id(v): v for line in lines for v in line.reads}
        self.inputs = [v for i, v in reads.items() if i not in made]
        self.totals = [v for v in made.values() if v.array.shape != shape]
        self.full = [v for i, v in made.items() if i in needed and v.array.shape == shape]
        self.rows = max(1, BLOCK // max(1, int(np.prod(shape[1:]))))

    def is_cut(self, v: Variable) -> bool:
        """Whether a variable is cut into blocks; others are needed as they are by each block."""
        shape: tuple[int, ...] = v.array.shape
        return len(shape) == len(self.shape) and shape[0] == self.shape[0]

    def program(self, rows: int) -> Program:
        """What is done with a block of so many rows."""
        copies: dict[int, Variable] = {}

        def cut(v: Any) -> Any:
            if not isinstance(v, Variable):
                return v
            if id(v) not in copies:
                shape = (rows, *v.array.shape[1:]) if self.is_cut(v) else v.array.shape
                array = np.broadcast_to(np.empty((), v.array.dtype), shape)
                copies[id(v)] = Variable(array)
            return copies[id(v)]

        inputs = list(map(cut, self.inputs))
        lines = []
        for line in self.lines:
            args, results = tuple(map(cut, line.args)), list(map(cut, line.made))
            lines.append(Line(line.function, args, {}, results, line.written and cut(line.written)))
        made = Program("block", inputs, [], lines)
        made.result = [*map(cut, self.totals)], [*map(cut, self.full)]
        return made


def blocked(program: Program) -> None:
    """Put lines on large arrays together, in place of the program's lines."""
    lines, kept = program.lines, []
    outputs = {id(v) for v in program.outputs}
    while lines:
        shape = _shape(lines[0])
        group, rest = _group(lines, shape) if shape else ([], lines)
        if sum(_shape(line) is not None for line in group) < 2:
            kept.append(lines[0])
            lines = lines[1:]
            continue
        needed = outputs | {id(w) for line in rest for v in line.reads for w in (v, v.root)}
        block = Block(shape, group, needed)  # type: ignore[arg-type]
        made = Line(block, tuple(block.inputs), {}, [*block.totals, *block.full])
        made.several = True
        kept.append(made)
        lines = rest
    program.lines = kept


def _shape(line: Line) -> tuple[int, ...] | None:
    """The shape that a line computes in element by element, if that is worth while."""
    if line.options or line.several:
        return None
    if line.written is not None:
        v, fits = line.written, line.function in IN_PLACE and line.args[0] is line.written
    else:
        f = line.function
        plain = isinstance(f, np.ufunc) and f.signature is None and f.nout == 1
        selection = len(line.args) == 3 and getattr(f, "selects", f is np.where)
        v, fits = line.made[0], plain or selection
    large = v.array.size >= LARGE and v.array.shape[0] > 1
    known = all(isinstance(a, (Variable, int, float, np.generic)) for a in line.args)
    return v.array.shape if fits and large and known and v.base is None else None


def _group(lines: list[Line], shape: tuple[int, ...]) -> tuple[list[Line], list[Line]]:
    """The lines that can be taken together with the first one, and the others, which can follow them."""
    group: list[Line] = []
    rest: list[Line] = []
    waiting: list[Variable] = []  # what the rest reads and makes
    made_rest: set[int] = set()
    inside: set[int] = set()  # what the group makes, block by block
    totals: set[int] = set()
    over = False

    def joins(line: Line) -> bool:
        if any(id(w) in made_rest or id(w) in totals for v in line.reads for w in (v, v.root)):
            return False
        if line.function in (np.vdot, np.sum) and not line.options and line.written is None:
            total = line.made[0].array
            # whole numbers would become floating ones, and half precision be rounded with each block
            fits = total.size == 1 and total.dtype in (np.float32, np.float64)
            fits = fits and all(isinstance(a, Variable) and a.array.shape == shape for a in line.args)
            return fits and any(id(a) in inside for a in line.args)
        if _shape(line) != shape:
            return False
        if line.written is not None:
            target, others = line.written, [v for part in (*group, line) for v in part.reads]
            others = [v for v in others if v is not target and id(v) not in inside] + waiting
            if any(v is target or np.may_share_memory(v.array, target.array) for v in others):
                return False
        return True

    for line in lines:
        if not over and joins(line):
            group.append(line)
            for v in line.made:
                (inside if v.array.shape == shape else totals).add(id(v))
        else:
            rest.append(line)
            over = over or line.written is not None
            made_rest |= {id(v) for v in line.made}
            waiting += [w for v in (*line.reads, *line.made) for w in (v, v.root)]
    return group, rest
