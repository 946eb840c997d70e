"""The errors of the engine: one class for each mistake, whose docstring is what it tells the user.

In braces stands what is known of the case at hand.
"""

import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

PACKAGE = __file__.removesuffix("errors.py")  # with the separator: not a neighbour of a longer name


class AutogradError(RuntimeError):
    """What would have made a gradient wrong, or lost it: {facts}."""

    def __init__(self, text: str = "", **facts: Any) -> None:
        template = self.__doc__ or "{facts}"  # python -OO has no docstrings
        super().__init__(text or " ".join(template.split()).format(**facts, facts=facts))


class NotFloatingError(AutogradError, TypeError):
    """{tensor} cannot have a gradient: that needs a floating dtype. Cast it first: x = x.astype(float)"""


class ComplexLeafError(AutogradError, TypeError):
    """{tensor} is complex; only real tensors have gradients here. Keep the real and the imaginary part in two
    tensors."""


class NotRecordedError(AutogradError):
    """{tensor} was computed outside record() (or under pause()), so nothing is known of how. Compute it
    inside `with record():`."""


class NothingAttachedError(AutogradError):
    """{tensor} depends on no tensor with an attached gradient. Call x.attach_grad() before the computation.
    (Comparisons, argmax and the like count as constants; `w = w - step` makes a new tensor that is not
    attached: write `w -= step`.)"""


class GraphFreedError(AutogradError):
    """the graph was already freed: an earlier backward() went through it. Call that one with
    retain_graph=True, or record the computation again."""


class ModifiedError(AutogradError):
    """{what} of {function} (shape {shape}) was changed in place after it was recorded, so its derivative is
    no longer known. Change it after backward(), or make a new tensor instead: `x = x - step`, not `x -=
    step`."""


class InPlaceError(AutogradError):
    """{tensor} is being differentiated: it cannot be changed in place inside record(). Write {instead}, or do
    it after the with block or under pause()."""


class LostGradientError(AutogradError):
    """{how} would turn {tensor}, which is being differentiated, into a plain value without a gradient.
    {instead}, or say x.detach(), x.numpy() or x.item() if meant."""


class LostInWriteError(LostGradientError):
    """writing a value that depends on {tensor} into {target} would lose its gradient: only the result of a
    call remembers where it came from. Write {instead}."""


class NoDerivativeError(AutogradError):
    """{function} has no derivative in the table, and {tensor} is being differentiated. {instead}."""


class NoRuleError(NoDerivativeError):
    """{function} has no derivative with respect to its argument {argument}. {instead}."""


class OptionError(NoDerivativeError):
    """{function} has no derivative when called with {option}=. {instead}."""


class ComplexResultError(NoDerivativeError):
    """{function} makes complex numbers or objects of a tensor that is being differentiated; only real numbers
    have derivatives here."""


class UnknownShapeError(AutogradError, ValueError):
    """a gradient cannot reach the elements that a mask selects from an array that is not computed yet, such
    as one of Dask's: nobody knows how many they are. Write np.where(mask, x, 0) instead of x[mask]."""


class UnreachedError(AutogradError):
    """the heads do not depend on variables[{position}], {tensor}.{why}"""


class TraceError(AutogradError):
    """{how} needs the value of {tensor}, but while a function is compiled its values stand for those of every
    later call. Keep it in NumPy's functions (np.where instead of if), or compute it before and pass it in."""


class AnomalyError(AutogradError):
    """the derivative of {function}{at} is {kind} in {bad} of {size} elements (gradient shape {shape}, output
    shape {output}).{then}"""


ZERO_TIMES_INFINITY = (
    " There a gradient of 0 met an infinite derivative. Where the result does not depend on these elements, "
    "put others in their place before the call: np.sqrt(np.where(x > 0, x, 1)), not np.sqrt(x)."
)


def callers() -> Iterator[FrameType]:
    """The stack outside this package and of what it compiles, from the innermost frame outwards."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if not frame.f_code.co_filename.startswith((PACKAGE, "<compiled ")):
            yield frame
        frame = frame.f_back


def place() -> str:
    """File and row of the user's code that led here."""
    return next((f'file "{f.f_code.co_filename}", line {f.f_lineno}' for f in callers()), "an unknown place")


def describe(tensor: Any) -> str:
    """A tensor as an error names it: by the caller's variable if there is one, by shape and dtype.

    Looks through the local and global variables of the calling code and one attribute deep (`self.w`), so it
    costs nothing until there is an error to report.
    """
    facts = f"shape {tuple(tensor.shape)}, dtype {tensor.dtype}"
    for frame in callers():
        for scope in (frame.f_locals, frame.f_globals):
            for name, value in list(scope.items()):
                if value is tensor:
                    return f"`{name}` ({facts})"
                for attribute, part in list(getattr(value, "__dict__", {}).items()):
                    if part is tensor and not isinstance(value, type(sys)):
                        return f"`{name}.{attribute}` ({facts})"
    return f"a tensor of {facts}"


def name_of(function: Any) -> str:
    """A function as the user writes it: `np.exp`, `np.linalg.norm`, `scipy.special.erf`, `my_module.f`."""
    name = getattr(function, "__name__", str(function))
    if (owner := getattr(function, "__self__", None)) is not None and hasattr(owner, "nargs"):
        return f"{name_of(owner)}.{name}"  # a method of a ufunc
    module = getattr(function, "__module__", None)
    if module is None:  # a ufunc
        if not hasattr(function, "nargs") or name.endswith(" (vectorized)"):  # by exec, or by np.frompyfunc
            return name
        module = "numpy" if getattr(sys.modules["numpy"], name, None) is function else "scipy.special"
    if module == "_operator":
        return {"getitem": "indexing"}.get(name, name)
    first, *others = module.split(".")
    public = [part for part in ("np" if first == "numpy" else first, *others) if not part.startswith("_")]
    return ".".join([*public, name])
