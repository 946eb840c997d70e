"""The examples in NumPy's own documentation give the same with tensors as with arrays, whatever they call.

Inside record(), with attached leaves, some raise one of the engine's errors instead.
"""

import contextlib
import doctest
import io
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tinygrad_lr import record, tensor
from tinygrad_lr.errors import AutogradError

MODULES = (np, np.linalg, np.fft, np.lib.stride_tricks, np.polynomial.polynomial, np.emath)
# fmt: off
CREATION = {
    "arange", "array", "eye", "full", "full_like", "geomspace", "identity", "linspace", "logspace",
    "ones", "ones_like", "tri", "zeros", "zeros_like"
}
#: they read or write files, change NumPy's settings, or show numbers that nobody chose
SKIPPED = {
    "dump", "dumps", "empty", "empty_like", "errstate", "fromfile", "fromregex", "genfromtxt",
    "get_include", "get_printoptions", "getbufsize", "geterr", "geterrcall", "info", "load",
    "loadtxt", "memmap", "open_memmap", "printoptions", "save", "savetxt", "savez",
    "savez_compressed", "set_printoptions", "setbufsize", "seterr", "seterrcall", "setflags",
    "show_config", "show_runtime", "test", "tofile"
}
# fmt: on
SKIPPED |= {"shares_memory"}  # its examples show how long that can take
SKIPPED |= {"polyvalfromroots"}  # it asks whether it got one of NumPy's arrays, and not for its shape
#: what is another object, is not meant for tensors, or takes long
OMITTED = (
    " is ",
    "id(",
    ".flags",
    "np.ma.",
    "np.testing",
    "shares_memory(np.asarray",
    "matplotlib",
    "plt.",
    "scipy",
    "for iteration in",
    "500",
    "1000",
)


def documented() -> Iterator[tuple[str, str]]:
    """The public functions and the methods of arrays, with their documentation."""
    found = {}
    for module in MODULES:
        for name in dir(module):
            function = getattr(module, name)
            if callable(function) and not isinstance(function, type) and name[0] != "_":
                found.setdefault(id(function), (f"{module.__name__}.{name}", function.__doc__))
    methods = [(f"ndarray.{name}", getattr(np.ndarray, name).__doc__) for name in dir(np.ndarray)]
    for name, text in [*found.values(), *methods]:
        seeded = text and "default_rng()" not in text
        if seeded and ">>>" in text and name.split(".")[-1].lstrip("_") not in SKIPPED:
            yield name, text


class WithTensors:
    """NumPy, whose functions that make arrays make tensors."""

    def __init__(self, module: ModuleType, attached: bool) -> None:
        self.module, self.attached = module, attached

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.module, name)
        if name not in CREATION:
            return value

        def made(*args: Any, **options: Any) -> Any:
            array = value(*args, **options)
            if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
                return array
            x = tensor(array)
            if self.attached and array.dtype.kind == "f":
                x.attach_grad()
            return x

        return made


def results(text: str, numpy: Any) -> Iterator[tuple[str, Any]]:
    """What each of the examples gives; up to the first error, which then comes in place of a result."""
    scope: dict[str, Any] = {"np": numpy}
    np.random.seed(0)
    for example in doctest.DocTestParser().get_examples(text):
        source = example.source.strip()
        if source == "import numpy as np" or any(part in source for part in OMITTED):
            continue
        try:
            with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    result = eval(source, scope)
                except SyntaxError:
                    result = exec(compile(source + "\n", "example", "single"), scope)
        except Exception as error:
            yield source, error
            return
        yield source, plain(result)


def plain(value: Any) -> Any:
    """A result as it is now: later examples may write into it."""
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    array = getattr(value, "array", value)
    return array.copy() if isinstance(array, np.ndarray) else array


def assert_same(got: Any, expected: Any) -> None:
    if isinstance(expected, (list, tuple)):
        assert len(got) == len(expected)
        for pair in zip(got, expected, strict=True):
            assert_same(*pair)
    elif isinstance(expected, (np.ndarray, np.generic)) and expected.dtype.kind in "biufc":
        assert np.shape(got) == expected.shape
        real = got.dtype.kind == "f" and expected.dtype.kind == "c" and np.all(np.imag(expected) == 0)
        assert real or got.dtype == expected.dtype  # eigenvalues of tensors are real also from NumPy 2.5 on
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-12)
    elif isinstance(expected, (bool, int, float, str)):
        assert got == expected or expected != expected


DOCUMENTED = dict(documented())


@pytest.fixture
def _settings() -> Iterator[None]:
    """NumPy's settings afterwards, and its random numbers, are what they were."""
    state = np.random.get_state()
    with np.printoptions(), np.errstate():
        yield
    np.random.set_state(state)


@pytest.mark.parametrize("name", DOCUMENTED)
@pytest.mark.usefixtures("_settings")
def test_examples_of_numpy(name: str) -> None:
    expected = list(results(DOCUMENTED[name], np))
    for attached in (False, True):
        with record() if attached else contextlib.nullcontext():
            got = list(results(DOCUMENTED[name], WithTensors(np, attached)))
        for (source, value), (_, truth) in zip(got, expected, strict=False):
            if isinstance(truth, Exception):
                break
            if not isinstance(value, Exception):
                assert_same(value, truth)
            elif isinstance(value, AttributeError):
                assert " of 'Tensor' object has no setter" in str(value) or "a Tensor has no" in str(value)
            elif not (attached and isinstance(value, (AutogradError, np.linalg.LinAlgError))):
                raise AssertionError(f"{source}: {value!r}") from value
