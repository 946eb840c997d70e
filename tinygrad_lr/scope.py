"""Where recording is on: the scopes `record`, `pause`, `train_mode`, `predict_mode` and `detect_anomaly`.

The mode is one `ContextVar`, so it is local to the thread and to the asyncio task, and each scope puts back
what it found, also after an exception.
"""

import threading
from contextvars import ContextVar
from types import TracebackType
from typing import Any

RECORDING, TRAINING, ANOMALY, TRACING = 1, 2, 4, 8  # bits of the mode: to test one is quick

MODE: ContextVar[int] = ContextVar("tinygrad_lr_mode", default=0)
#: the modes around the scopes that are entered here, the innermost first: (mode, those around it)
AROUND: ContextVar[Any] = ContextVar("tinygrad_lr_around", default=None)
#: the tape of what records in a scope that was entered elsewhere, as with `asyncio.to_thread`
TAPE: ContextVar[Any] = ContextVar("tinygrad_lr_tape", default=None)
#: while a function is traced, what is told of each call; also of those in a thread of `asyncio.to_thread`
TRACER: ContextVar[Any] = ContextVar("tinygrad_lr_tracer", default=None)


class Local(threading.local):
    """What belongs to one thread: the tape that calls are recorded on, None until the next recorded call."""

    tape: Any = None
    scopes: int = 0  # entered in this thread, and not yet left


LOCAL = Local()


class Scope:
    """A `with` block that sets some bits of the mode, clears others and leaves the rest."""

    __slots__ = ("_clear", "_set")

    def __init__(self, set_bits: int, clear_bits: int = 0) -> None:
        self._set, self._clear = set_bits, ~clear_bits

    def __enter__(self) -> None:
        mode = MODE.get()
        AROUND.set((mode, AROUND.get()))
        MODE.set(mode & self._clear | self._set)
        LOCAL.tape = None
        LOCAL.scopes += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        mode, around = AROUND.get()
        AROUND.set(around)
        MODE.set(mode)
        LOCAL.scopes -= 1
        LOCAL.tape = None  # a tape ends with its scope, and lives as long as a tensor that stands on it


def record(train_mode: bool = True) -> Scope:
    """Record what is computed from attached tensors, so that `backward` can differentiate it.

    Also switches to training mode, or to prediction mode with `train_mode=False`. NumPy arrays that take part
    are read again by `backward`, so do not write into them before it: a change of a Tensor is noticed, that
    of an array is not.

    >>> from tinygrad_lr import tensor, record
    >>> x = tensor([1.0, 2.0])
    >>> x.attach_grad()
    >>> with record():
    ...     y = (x * x).sum()
    >>> y.backward()
    >>> x.grad
    tensor([2., 4.])
    """
    return Scope(RECORDING | TRAINING) if train_mode else Scope(RECORDING, TRAINING)


def pause(train_mode: bool = False) -> Scope:
    """Stop recording for a block inside `record()`; its results count as constants.

    Also switches to prediction mode, or to training mode with `train_mode=True`.

    >>> from tinygrad_lr import is_recording, pause, record
    >>> with record(), pause():
    ...     is_recording()
    False
    """
    return Scope(TRAINING, RECORDING) if train_mode else Scope(0, RECORDING | TRAINING)


def train_mode() -> Scope:
    """Behave as in training (dropout drops, ...) without changing whether calls are recorded.

    >>> from tinygrad_lr import is_training, train_mode
    >>> with train_mode():
    ...     is_training()
    True
    """
    return Scope(TRAINING)


def predict_mode() -> Scope:
    """Behave as in prediction without changing whether calls are recorded.

    >>> from tinygrad_lr import is_training, predict_mode, record
    >>> with record(), predict_mode():
    ...     is_training()
    False
    """
    return Scope(0, TRAINING)


def detect_anomaly() -> Scope:
    """Make `backward` raise `AnomalyError` at the first derivative that is NaN or infinite.

    Put it around the forward computation as well as around `backward`: the error then names the operation
    and the file and line that called it. Slower; meant for finding a bug.

    >>> import numpy as np
    >>> from tinygrad_lr import detect_anomaly, is_recording, record, tensor
    >>> x = tensor([0.0])
    >>> x.attach_grad()
    >>> with detect_anomaly(), record(), np.errstate(divide="ignore"):  # doctest: +ELLIPSIS
    ...     np.sqrt(x).backward()
    Traceback (most recent call last):
    ...
    tinygrad_lr.errors.AnomalyError: the derivative of np.sqrt, called at ..., is infinite in 1 of ...
    """
    return Scope(ANOMALY)


def is_recording() -> bool:
    """Whether calls on attached tensors are being recorded here.

    >>> from tinygrad_lr import is_recording, record
    >>> with record():
    ...     is_recording()
    True
    """
    return bool(MODE.get() & RECORDING)


def is_training() -> bool:
    """Whether layers should behave as in training here.

    >>> from tinygrad_lr import is_training, record
    >>> with record():
    ...     is_training()
    True
    """
    return bool(MODE.get() & TRAINING)
