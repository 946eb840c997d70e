"""The examples in NumPy's own documentation, with tensors in place of arrays.

They give the same; inside record(), with attached leaves, some raise one of the engine's errors instead. The
gradients of what they compute agree with central differences, and compiled they are those of the eager mode.
"""

import contextlib
import doctest
import io
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import tinygrad_lr
from search import examples
from test_compile import run_source
from tinygrad_lr import Tensor, record, tensor
from tinygrad_lr.errors import AutogradError, TraceError
from tinygrad_lr.func import value_and_grad
from tinygrad_lr.tensor import gradients_at, with_gradients

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
#: a fit of degree 30 to six points, whose rank is a matter of rounding; and arrays like those that move
NOT_SMOOTH = {"numpy.polyfit", "numpy.full_like", "numpy.ones_like", "numpy.zeros_like"}
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


class Changed:
    """NumPy, with something else in place of the arrays that its functions make."""

    def __init__(self, change: Callable[[Any], Any]) -> None:
        self.change = change

    def __getattr__(self, name: str) -> Any:
        value = getattr(np, name)
        if name not in CREATION:
            return value

        def made(*args: Any, **options: Any) -> Any:
            array = value(*args, **options)
            known = isinstance(array, np.ndarray) and array.dtype.kind in "biuf"
            return self.change(array) if known else array

        return made


def attached(array: Any) -> Any:
    x = tensor(array)
    if array.dtype.kind == "f":
        x.attach_grad()
    return x


def plain(value: Any) -> Any:
    """A result as it is now: later examples may write into it."""
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    array = getattr(value, "array", value)
    return array.copy() if isinstance(array, np.ndarray) else array


def sources(text: str) -> list[str]:
    found = [example.source.strip() for example in doctest.DocTestParser().get_examples(text)]
    return [s for s in found if s != "import numpy as np" and not any(part in s for part in OMITTED)]


def results(text: str, numpy: Any, take: Callable[[Any], Any] = plain) -> list[tuple[str, Any]]:
    """What each of the examples gives; up to the first error, which then comes in place of a result."""
    scope: dict[str, Any] = {"np": numpy}
    found = []
    state = np.random.get_state()
    np.random.seed(0)
    with np.printoptions(), np.errstate(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for source in sources(text):
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    try:
                        result = eval(source, scope)
                    except SyntaxError:
                        result = exec(compile(source + "\n", "example", "single"), scope)
            except Exception as error:
                found.append((source, error))
                break
            found.append((source, take(result)))
    np.random.set_state(state)
    return found


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
SMOOTH = [name for name in DOCUMENTED if name not in NOT_SMOOTH]


@pytest.mark.parametrize("name", DOCUMENTED)
def test_examples_of_numpy(name: str) -> None:
    expected = results(DOCUMENTED[name], np)
    constants = results(DOCUMENTED[name], Changed(tensor))
    with record():
        variables = results(DOCUMENTED[name], Changed(attached))
    for got in (constants, variables):
        for (source, value), (_, truth) in zip(got, expected, strict=False):  # one may have ended earlier
            if isinstance(truth, Exception):
                break
            if not isinstance(value, Exception):
                assert_same(value, truth)
            elif isinstance(value, AttributeError):
                assert " of 'Tensor' object has no setter" in str(value) or "a Tensor has no" in str(value)
            elif got is constants or not isinstance(value, (AutogradError, np.linalg.LinAlgError)):
                raise AssertionError(f"{source}: {value!r}") from value


def parts(value: Any) -> list[Any]:
    return [v for part in value for v in parts(part)] if isinstance(value, (list, tuple)) else [value]


def moves(array: Any) -> bool:
    return array.dtype.kind != "b" and array.dtype.itemsize >= 8


class Points:
    """Numbers near those of the examples, away from ties and kinks, on a line through them."""

    def __init__(self, seed: int, step: float, variables: bool = False) -> None:
        self.random, self.step = np.random.default_rng(seed), step
        self.leaves: list[Any] | None = [] if variables else None
        self.directions: list[Any] = []

    def __call__(self, array: Any) -> Any:
        direction, shift = self.random.normal(size=array.shape), self.random.uniform(-1, 1, array.shape)
        if not moves(array):
            return array
        point = np.asarray(array + 1e-3 * shift + self.step * direction)
        if self.leaves is None:
            return point
        self.leaves.append(attached(point))
        self.directions.append(direction)
        return self.leaves[-1]


STEP = 1e-6


@examples(100)
@given(st.sampled_from(SMOOTH), st.integers(0, 2**16))
def test_gradients_of_examples_of_numpy(name: str, seed: int) -> None:
    here = Points(seed, 0, variables=True)
    with record():
        got = results(DOCUMENTED[name], Changed(here), take=lambda value: value)
    around = [results(DOCUMENTED[name], Changed(Points(seed, k * STEP))) for k in (1, -1, 2, -2)]
    for (source, value), *values in zip(got, *around, strict=False):
        truths = [parts(truth) for _, truth in values]
        for i, y in enumerate(parts(value)):
            if not isinstance(y, Tensor) or y.tape is None:
                continue
            numbers = [np.asarray(truth[i]) for truth in truths if i < len(truth)]
            if [(n.shape, n.dtype) for n in numbers] != [(y.shape, y.dtype)] * 4:
                continue
            head = np.random.default_rng(seed).normal(size=y.shape)
            with np.errstate(all="ignore"):
                slope, wider = (
                    np.sum(head * (b - a)) / (b_step * STEP)
                    for a, b, b_step in ((numbers[1], numbers[0], 2), (numbers[3], numbers[2], 4))
                )
                scale = 1e-3 + abs(slope) + np.sum(np.abs(head * numbers[0])) * 1e-9 / STEP
            if not abs(slope - wider) <= 1e-3 * scale:
                continue  # a jump, or numbers that are none
            terms = [
                0 if g is None else np.sum(g.array * d)
                for g, d in zip(slopes(y, here.leaves, head), here.directions, strict=True)
            ]
            assert abs(np.sum(terms) - slope) <= 1e-4 * (scale + np.sum(np.abs(terms))), source


def slopes(y: Tensor, leaves: Any, head: Any) -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return gradients_at(leaves, with_gradients(y, tensor(head)), retain_graph=True, create_graph=False)


@examples(60)
@given(st.sampled_from(SMOOTH), st.integers(0, 2**16))
def test_compiled_examples_of_numpy(name: str, seed: int) -> None:
    """One of the examples, after those before it, as a function of all arrays that these make."""
    here = Points(seed, 0, variables=True)
    found = results(DOCUMENTED[name], Changed(here), take=lambda value: value)
    numbers = [i for i, (_, y) in enumerate(found) if isinstance(y, Tensor) and y.dtype == float]
    assume(numbers and here.leaves)
    lines = sources(DOCUMENTED[name])[: numbers[seed % len(numbers)] + 1]

    def last(*arrays: Any) -> Any:
        given = iter(arrays)
        scope: dict[str, Any] = {"np": Changed(lambda array: next(given) if moves(array) else array)}
        with contextlib.redirect_stdout(io.StringIO()):
            for line in lines[:-1]:
                exec(compile(line + "\n", "example", "single"), scope)
            y = eval(lines[-1], scope)
        return np.sum(np.cos(np.arange(y.size)).reshape(y.shape) * y)

    points = [[leaf.array + i / 64 for leaf in here.leaves] for i in range(2)]
    points.append([np.asarray(array, order="F") for array in points[0]])
    function = value_and_grad(last, tuple(range(len(here.leaves))))
    compiled = tinygrad_lr.compile(function)
    compiled.name = "f"
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for point in points:
            try:
                expected = function(*point)
            except Exception:
                assume(False)
            try:
                got = compiled(*point)
            except TraceError:
                assume(False)
            forms = ("source", "executed") if point is points[-1] else ()
            for way in (got, *(run_source(compiled, *point, form=form) for form in forms)):
                for one, truth in zip(parts(way), parts(expected), strict=True):
                    np.testing.assert_allclose(one, truth, rtol=1e-9, atol=1e-11)
