"""The errors of the engine, one class for each mistake, and how they name what they speak of."""

import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

PACKAGE = __file__.removesuffix("errors.py")  # with the separator: not a neighbour of a longer name


class AutogradError(RuntimeError):
    """Something that would have made a gradient wrong or lost it; the message says what to write instead."""


class NotRecordedError(AutogradError):
    """`backward` was asked of a tensor that was computed outside `record()`."""


class NothingAttachedError(AutogradError):
    """`backward` was asked of a tensor that depends on nothing with an attached gradient."""


class GraphFreedError(AutogradError):
    """`backward` needs a part of the graph that an earlier `backward` has freed."""


class ModifiedError(AutogradError):
    """A value was changed in place between its use in a recorded call and `backward`."""


class InPlaceError(AutogradError):
    """A tensor that is being differentiated was to be changed in place inside `record()`."""


class LostGradientError(AutogradError):
    """A differentiated tensor was about to become a plain number or array inside `record()`."""


class NoDerivativeError(AutogradError):
    """A function without a row in the table of derivatives was called on a differentiated tensor."""


class UnreachedError(AutogradError):
    """A gradient was asked for with respect to a tensor that the heads do not depend on."""


class AnomalyError(AutogradError):
    """Under `detect_anomaly()`, a derivative was NaN or infinite."""


def callers() -> Iterator[FrameType]:
    """The stack outside this package, from the innermost frame outwards."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if not frame.f_code.co_filename.startswith(PACKAGE):
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
                    if part is tensor and isinstance(value, object) and not isinstance(value, type(sys)):
                        return f"`{name}.{attribute}` ({facts})"
    return f"a tensor of {facts}"


def name_of(function: Any) -> str:
    """A function as the user writes it: `np.exp`, `np.linalg.norm`, `scipy.special.erf`, `my_module.f`."""
    name = getattr(function, "__name__", str(function))
    if (owner := getattr(function, "__self__", None)) is not None and hasattr(owner, "nargs"):
        return f"{name_of(owner)}.{name}"  # a method of a ufunc
    module = getattr(function, "__module__", None) or "numpy"
    if isinstance(function, type(max)) and module in ("_operator", "builtins"):
        return {"getitem": "indexing"}.get(name, name)
    return f"{'np' if module == 'numpy' else module.replace('numpy', 'np', 1)}.{name}"
