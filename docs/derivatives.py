"""Writes derivatives.md: what the derivative of each of NumPy's public functions is here, or why it has none.

    python docs/derivatives.py    # with the newest NumPy, and SciPy

The suite fails while the file is not what this script makes of the table of derivatives, and while a function
is neither in the table nor among the reasons below.
"""

import re
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tinygrad_lr.derivatives import DERIVATIVES, INSTEAD, Derivative

FILE = Path(__file__).with_suffix(".md")

INTRODUCTION = """\
# The derivatives of NumPy's functions

Made by `python docs/derivatives.py` from the table of derivatives; the suite fails while it is out of date.

- **differentiable**: gradients flow back to the named arguments, to every order. The chapter has the row, and
  says what holds at kinks and ties.
- **constant**: the result is piecewise constant, or made of whole numbers, truth values or text, and counts
  as a constant.
- **not covered**: inside `record()`, the function does not take a tensor that is being differentiated, and an
  error says so. [A rule for a function of your own](your_own_function.md) tells how to add a row.

Complex numbers are out of scope, and with them `numpy.fft`.

The same rows serve other arrays that answer NumPy's protocols. What such arrays cannot do without a gradient,
they cannot do with one: Dask's know no `where=` and `initial=` in reductions and no `np.interp`, and want
chunks of certain shapes in linear algebra. And no gradient reaches what a mask selects from a Dask array, as
nobody knows how much that is: write `np.where(mask, x, 0)` instead of `x[mask]`.
"""

MODULES = (np, np.linalg, np.fft)

#: functions that not every NumPy has, and which NumPy does
VERSIONS = {
    "in1d": "before 2.4",
    "trapz": "before 2.4",
    "row_stack": "before 2.5",
    "cumulative_prod": "from 2.1",
    "cumulative_sum": "from 2.1",
    "unstack": "from 2.1",
    "matvec": "from 2.2",
    "vecmat": "from 2.2",
}

#: why functions are not covered, other than those of which the error itself says it
REASONS = {
    "makes an array, of what is none yet": """
        arange array asanyarray asarray asarray_chkfinite ascontiguousarray asfortranarray asmatrix bmat empty
        eye from_dlpack frombuffer fromfunction fromiter identity ones require tri zeros
        fft.fftfreq fft.rfftfreq""",
    "makes an array; write `np.full_like` or `np.broadcast_to`": "full",
    "makes a window, of a number of points": "bartlett blackman hamming hanning kaiser",
    "makes indices, of a shape": "diag_indices indices mask_indices tril_indices triu_indices",
    "writes into its argument; write `np.where`": "copyto fill_diagonal place put put_along_axis putmask",
    "makes a function or an iterator": "frompyfunc nested_iters",
    "bits of whole numbers": "packbits unpackbits",
    "reads or writes files": """
        fromfile fromregex fromstring genfromtxt load loadtxt""",
    "makes text": """
        base_repr binary_repr datetime_as_string format_float_positional format_float_scientific typename""",
    "dates": "busday_count busday_offset datetime_data is_busday",
    "tells of dtypes, shapes or memory": """
        broadcast_shapes isdtype isfortran isscalar issubdtype iterable mintypecode promote_types""",
    "NumPy's own settings": """
        get_include get_printoptions getbufsize geterr geterrcall info printoptions set_printoptions
        setbufsize seterr seterrcall show_config show_runtime test""",
    "old name of `np.vstack`": "row_stack",
    "old name of `np.isin`": "in1d",
    "old name of `np.trapezoid`": "trapz",
}

REASON_OF = {name: reason for reason, names in REASONS.items() for name in names.split()}

TABLE = "| function | derivative | in which arguments; chapter. Or why not |\n| --- | --- | --- |\n"
SCIPY = """
## scipy.special

{counts} The others have no row. To differentiate these, take them from `tinygrad_lr.special`, as SciPy's own
begin by making plain arrays of what they get: {plain}.

"""


def functions(module: Any, names: Iterable[str]) -> dict[Any, list[str]]:
    """The functions among the names of a module, each with all of its names."""
    found: dict[Any, list[str]] = {}
    for name in sorted(set(names)):
        value = getattr(module, name)
        if callable(value) and not isinstance(value, type) and not name.startswith("_"):
            found.setdefault(value, []).append(name)
    return found


def shown(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def cells(row: Derivative) -> str:
    """Whether a function is differentiable or constant, in which arguments, and which chapter has its row."""
    rules = {**dict(zip(row.names or ["all"], row.rules, strict=False)), **row.named_rules}
    rules = {name: rule for name, rule in rules.items() if callable(rule)}
    if row.written and not rules:
        rules = {"all": row.written}
    if not rules:
        return "constant |"
    first = next(iter(rules.values()))
    chapter = getattr(first, "func", first).__module__.split(".")[-1]
    return f"differentiable | {'all' if 'all' in rules else shown(rules)}; [{chapter}]"


def line(function: Any, names: list[str], prefix: str) -> str:
    row, version = DERIVATIVES.get(function), VERSIONS.get(names[0])
    reason = INSTEAD.get(function) or REASON_OF.get(prefix + names[0])
    name = shown(names) + (f" (NumPy {version})" if version else "")
    return f"| {name} | {cells(row) if row else f'not covered | {reason}'} |\n"


def check() -> None:
    """Raise LookupError unless each of NumPy's functions has either a row or a reason why not."""
    wrong = []
    for module in MODULES:
        for function, [name, *_] in functions(module, module.__all__).items():
            row, reason = function in DERIVATIVES, function in INSTEAD or prefix(module) + name in REASON_OF
            if row == reason:
                has = "both a row and" if row else "neither a row nor"
                wrong.append(f"np.{prefix(module)}{name} has {has} a reason why it is not covered")
    if wrong:
        raise LookupError("; ".join(wrong) + f": see REASONS in {__file__}")


def prefix(module: ModuleType) -> str:
    """`linalg.` for numpy.linalg, and nothing for numpy itself."""
    return f"{module.__name__}.".removeprefix("numpy.")


def counts(lines: list[str]) -> str:
    states = ("differentiable", "constant", "not covered")
    numbers = [(sum(f" {state} |" in line for line in lines), state) for state in states]
    return ", ".join(f"{number} {state}" for number, state in numbers if number) + "."


def table(lines: list[str]) -> str:
    return TABLE + "".join(sorted(lines, key=lambda line: line.replace("`", "")))


def numpy_section(module: ModuleType, before: str) -> str:
    """The functions of a module. What only newer NumPys have is kept from before."""
    lines = [line(f, names, prefix(module)) for f, names in functions(module, module.__all__).items()]
    for name in VERSIONS.keys() - dir(module) if module is np else ():
        kept = re.findall(rf"^\| `{name}` .*\n", before, re.MULTILINE)
        lines += [line(None, [name], "")] if name in REASON_OF else kept
    return f"\n## {module.__name__}\n\n{counts(lines)}\n\n{table(lines)}"


def methods_section() -> str:
    """The methods of ufuncs."""
    found: dict[str, list[str]] = {}
    for function, row in DERIVATIVES.items():
        if (row.rules or row.written) and isinstance(ufunc := getattr(function, "__self__", None), np.ufunc):
            found.setdefault(function.__name__, []).append(ufunc.__name__)
    lines = [f"- `{method}` of {shown(sorted(ufuncs))}\n" for method, ufuncs in sorted(found.items())]
    return "\n## Methods of ufuncs\n\nDifferentiable:\n\n" + "".join(lines)


def scipy_section() -> str:
    from tinygrad_lr.derivatives import special

    names = sorted({name for name in special.sc.__all__ if getattr(special, name) in DERIVATIVES})
    found = {**functions(special, names), special.hurwitz_zeta: ["zeta"]}
    lines = [f"| {shown(names)} | {cells(DERIVATIVES[f])} |\n" for f, names in found.items()]
    plain = shown(name for name in names if getattr(special, name) is not getattr(special.sc, name))
    return SCIPY.format(counts=counts(lines), plain=plain) + table(lines)


def text(before: str) -> str:
    """The file as it should be, given what it is: what takes a newer NumPy, or SciPy, is kept."""
    check()
    sections = [numpy_section(module, before) for module in MODULES]
    scipy = (
        scipy_section() if find_spec("scipy") else before[before.index("\n## scipy") : before.index("\n[")]
    )
    written = "".join([INTRODUCTION, *sections, methods_section(), scipy])
    chapters = sorted(set(re.findall(r"\[(\w+)\] \|", written)))
    return written + "\n" + "".join(f"[{c}]: ../tinygrad_lr/derivatives/{c}.py\n" for c in chapters)


if __name__ == "__main__":
    FILE.write_text(text(FILE.read_text() if FILE.exists() else ""))
