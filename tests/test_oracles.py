"""Derivatives by others: PyTorch and JAX on random programs and on the rows of the table, mpmath at points.

None of the three is needed for the other tests: where one is not installed its tests are skipped, and say so.

    pip install torch jax mpmath
"""

import importlib
import importlib.util
import itertools
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import scipy.special
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.lib.mixins import NDArrayOperatorsMixin

from domains import DOMAINS
from factory import ROWS, Example
from factory import examples as examples_of
from search import examples
from tinygrad_lr import autograd, record
from tinygrad_lr.errors import name_of
from tinygrad_lr.tensor import asarray
from tinygrad_lr.testing.strategies import Program, expression_graphs
from truths import gradient

seeds = st.integers(0, 2**32 - 1)


def needs(module: str, project: str) -> Any:
    """Leave a test out where a library is not installed, and say that in the summary."""
    missing = importlib.util.find_spec(module) is None
    return pytest.mark.skipif(missing, reason=f"{project} IS NOT INSTALLED: nothing is compared with it")


# ---- arrays of other libraries under NumPy's names ---------------------------------------------------------


class Library:
    """A library that has functions with NumPy's names and can differentiate."""

    modules: dict[str, str]

    def function(self, function: Any) -> Any:
        """The library's own function of that name. Raises LookupError if there is none."""
        path, name = name_of(function).rpartition(".")[::2]
        if function is operator.getitem:
            return operator.getitem
        module = importlib.import_module(self.modules[path])
        if not hasattr(module, name):
            raise LookupError(name)
        return getattr(module, name)

    def array(self, array: Any) -> Any:
        raise NotImplementedError

    def derivatives(self, f: Callable[..., Any], points: Any, directions: Any) -> tuple[list[Any], list[Any]]:
        """The gradients of a function with one number as its value, and of <gradients, directions>."""
        raise NotImplementedError


class JAX(Library):
    modules = {  # noqa: RUF012  # never written
        "np": "jax.numpy",
        "np.linalg": "jax.numpy.linalg",
        "np.fft": "jax.numpy.fft",
        "scipy.special": "jax.scipy.special",
    }

    def __init__(self) -> None:
        importlib.import_module("jax").config.update("jax_enable_x64", True)

    def array(self, array: Any) -> Any:
        return array

    def derivatives(self, f: Callable[..., Any], points: Any, directions: Any) -> tuple[list[Any], list[Any]]:
        import jax

        def slope(points: Any) -> Any:
            return sum((g * d).sum() for g, d in zip(jax.grad(f)(points), directions, strict=True))

        points = [jax.numpy.asarray(p) for p in points]
        return [np.asarray(g) for g in jax.grad(f)(points)], [np.asarray(s) for s in jax.grad(slope)(points)]


class PyTorch(Library):
    modules = {  # noqa: RUF012  # never written
        "np": "torch",
        "np.linalg": "torch.linalg",
        "np.fft": "torch.fft",
        "scipy.special": "torch.special",
    }

    def __init__(self) -> None:
        importlib.import_module("torch").set_num_threads(1)

    def array(self, array: Any) -> Any:
        import torch

        return torch.from_numpy(array.copy()) if isinstance(array, np.ndarray) else array

    def function(self, function: Any) -> Any:
        import torch

        others: dict[Any, Any] = {  # that are known under other names, or by other arguments
            np.concatenate: torch.cat,
            np.power: torch.pow,
            np.expand_dims: torch.unsqueeze,
            np.transpose: lambda a: a.permute(tuple(range(a.ndim))[::-1]),
            np.max: torch.amax,
            np.sort: lambda a, axis: torch.sort(a, dim=axis).values,
            np.var: lambda a: torch.var(a, correction=0),
            np.outer: lambda a, b: torch.outer(a.ravel(), b.ravel()),
            np.dot: dot,
            np.split: lambda a, at: torch.tensor_split(a, at),
            np.linalg.norm: torch.linalg.vector_norm,
            np.take: lambda a, i, axis: torch.index_select(torch.atleast_1d(a), axis, i),
            np.reshape: lambda a, shape: torch.reshape(a, tuple(np.atleast_1d(shape).tolist())),
            np.tile: lambda a, n: torch.tile(a, (*(1,) * (a.ndim - 1), n)),
            np.shape: lambda a: tuple(a.shape),
            operator.getitem: getitem,
        }
        return others.get(function) or super().function(function)

    def derivatives(self, f: Callable[..., Any], points: Any, directions: Any) -> tuple[list[Any], list[Any]]:
        import torch

        leaves = [torch.from_numpy(np.array(p, order="C")).requires_grad_() for p in points]
        nothing = sum((0 * leaf).sum() for leaf in leaves)  # so that each is reached
        gradients = torch.autograd.grad(f(leaves) + nothing, leaves, create_graph=True)
        slope = sum((g * torch.from_numpy(d)).sum() for g, d in zip(gradients, directions, strict=True))
        again = torch.autograd.grad(slope + nothing, leaves)
        return [g.detach().numpy() for g in gradients], [s.numpy() for s in again]


def dot(a: Any, b: Any) -> Any:
    if not a.ndim or not b.ndim:
        return a * b
    return importlib.import_module("torch").tensordot(a, b, dims=([-1], [max(b.ndim - 2, 0)]))


def getitem(array: Any, key: Any) -> Any:
    """Indexing for PyTorch, which does not know negative steps."""
    if key == (..., slice(None, None, -1)):
        return array.flip([-1])
    return array[key]


class Foreign(NDArrayOperatorsMixin):
    """An array of a library, which NumPy's functions take."""

    def __init__(self, array: Any, library: Library) -> None:
        self.array, self.library = array, library

    shape = property(lambda self: tuple(self.array.shape))
    ndim = property(lambda self: len(self.shape))
    dtype = property(lambda self: np.dtype(str(self.array.dtype).removeprefix("torch.")))

    def __len__(self) -> int:
        return len(self.array)

    def __iter__(self) -> Iterator[Any]:  # JAX has an element at every index, so to ask for them has no end
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key: Any) -> Any:
        return self.called(operator.getitem, (self, key), {})

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **options: Any) -> Any:
        args = tuple(np.asarray(a) if isinstance(a, float) else a for a in args)
        return self.called(ufunc if method == "__call__" else getattr(ufunc, method), args, options)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        return self.called(function, args, options)

    def called(self, function: Any, args: Any, options: Any) -> Any:
        found = self.library.function(function)
        return self.wrapped(
            found(*map(self.plain, args), **{name: self.plain(value) for name, value in options.items()})
        )

    def plain(self, value: Any) -> Any:
        if isinstance(value, list) and not any(isinstance(part, Foreign) for part in value):
            value = np.asarray(value)
        if isinstance(value, (list, tuple)):
            return type(value)(map(self.plain, value))
        return value.array if isinstance(value, Foreign) else self.library.array(value)

    def wrapped(self, value: Any) -> Any:
        if isinstance(value, (list, tuple)) and any(hasattr(part, "dtype") for part in value):
            return [self.wrapped(part) for part in value]
        return Foreign(value, self.library) if hasattr(value, "dtype") else value


def compared(
    library: Library,
    f: Callable[[Sequence[Any]], Sequence[Any]],
    points: list[Any],
    heads: list[Any],
    seed: int,
) -> bool:
    """Check that what the library computes, if it is what NumPy computes, it differentiates alike.

    To rounding, to second order. Returns whether there was something to compare.
    """
    rng = np.random.default_rng(seed)
    directions = [rng.uniform(-1, 1, np.shape(p)) for p in points]

    def theirs(arrays: Sequence[Any]) -> Any:
        results = f([Foreign(a, library) for a in arrays])
        return sum((y.array * library.array(h)).sum() for y, h in zip(results, heads, strict=True))

    try:
        values = [
            np.asarray(y.array) for y in f([Foreign(library.array(np.array(p)), library) for p in points])
        ]
        expected = library.derivatives(theirs, points, directions)
    except Exception:  # of whatever kind: the library has other functions, options or types
        return False
    if any(np.isnan(g).any() for part in expected for g in part):
        return False  # it has no derivative there, as of the deviation of one number, which is 0 here
    pairs = zip(f(points), values, strict=True)
    if not all(np.shape(y) == z.shape and np.allclose(y, z, rtol=1e-8, atol=1e-10) for y, z in pairs):
        return False  # it is another function
    leaves = [asarray(p) for p in points]
    for leaf in leaves:
        leaf.attach_grad()
    with record():
        nothing = sum(0 * np.sum(leaf) for leaf in leaves)  # so that each is reached
        value = sum(np.sum(y * h) for y, h in zip(f(leaves), heads, strict=True)) + nothing
        gradients = autograd.grad(value, leaves, create_graph=True)
        slope = sum(np.sum(g * d) for g, d in zip(gradients, directions, strict=True)) + nothing
    for mine, other in zip((gradients, autograd.grad(slope, leaves)), expected, strict=True):
        size = max(1.0, *(np.max(np.abs(g), initial=0.0) for g in other))
        for got, wanted in zip(mine, other, strict=True):
            np.testing.assert_allclose(got.array, wanted, rtol=0, atol=1e-9 * size)
    return True


def check_program(library: Library, program: Program, seed: int) -> None:
    rng = np.random.default_rng(seed)
    heads = [rng.uniform(-2, 2, np.shape(y)) for y in program(*program.arguments)]
    assume(compared(library, lambda leaves: program(*leaves), program.arguments, heads, seed))


@needs("torch", "PyTorch")
@examples(60)
@given(expression_graphs(), seeds)
def test_pytorch_agrees_on_programs(program: Program, seed: int) -> None:
    check_program(PyTorch(), program, seed)


@needs("jax", "JAX")
@examples(15)
@given(expression_graphs(max_steps=5), seeds)
def test_jax_agrees_on_programs(program: Program, seed: int) -> None:
    check_program(JAX(), program, seed)


# ---- PyTorch and JAX: rows of the table -------------------------------------------------------------------


#: rows for which the libraries decided otherwise, or are wrong
TRIANGLES = "NumPy reads one triangle; there the gradient is spread over both"
SPREAD = dict.fromkeys((np.linalg.cholesky, np.linalg.eigvalsh, np.linalg.pinv), TRIANGLES)
APART: dict[str, dict[Any, str]] = {
    "PyTorch": {
        np.ldexp: "its derivative is 0 for negative exponents",
        np.nextafter: "a constant there",
        **SPREAD,
    },
    "JAX": SPREAD,
}
#: rows of which JAX has wrong second derivatives where the two arguments are equal (mpmath has those of here)
UNEQUAL = (np.hypot, scipy.special.beta, scipy.special.betaln)


def check_row(library: Library, function: Any, number: int) -> None:
    name = type(library).__name__
    if function in APART[name]:
        pytest.skip(f"{name_of(function)} of {name}: {APART[name][function]}")
    try:
        library.function(function)
    except LookupError:
        pytest.skip(f"{name} has no {name_of(function)}")
    number_compared = 0

    @examples(number)
    @given(examples_of(function), seeds)
    def test(example: Example, seed: int) -> None:
        nonlocal number_compared
        if name == "JAX" and function in UNEQUAL:
            assume(not np.any(np.equal(example.arguments[0], example.arguments[1])))
        f = lambda leaves: [example.value(leaves)]  # noqa: E731
        number_compared += compared(library, f, example.variables, [example.head], seed)

    test()
    if not number_compared:
        pytest.skip(f"{name_of(function)} is something else in {name}, or not differentiable")


TESTED = [f for f in ROWS if f in DOMAINS and DOMAINS[f].call is None]


def rows_for(library: str) -> Any:
    """Parametrizes a test with every row; with one, to be skipped, where the library is not installed."""
    rows = TESTED if importlib.util.find_spec(library) else TESTED[:1]
    return pytest.mark.parametrize("function", rows, ids=name_of)


@needs("torch", "PyTorch")
@rows_for("torch")
def test_pytorch_agrees_on_rows(function: Any) -> None:
    check_row(PyTorch(), function, 10)


@needs("jax", "JAX")
@rows_for("jax")
def test_jax_agrees_on_rows(function: Any) -> None:
    check_row(JAX(), function, 4)


# ---- mpmath: derivatives to any number of digits ----------------------------------------------------------

#: a function of the table, what mpmath calls it, and where: also far out, where differences find nothing
POINTS: dict[str, tuple[str, list[float]]] = {
    "np.exp": ("exp", [-700.0, 1e-8, 300.0]),
    "np.expm1": ("expm1", [-40.0, 1e-12, 30.0]),
    "np.log1p": ("log1p", [-0.999, 1e-12, 1e12]),
    "np.tanh": ("tanh", [-2.0, 1e-9, 0.3]),
    "np.sinh": ("sinh", [-50.0, 1e-9, 3.0]),
    "np.arctan": ("atan", [-1e8, 1e-9, 1e5]),
    "np.arcsinh": ("asinh", [-1e9, 1e-9, 1e3]),
    "np.arccosh": ("acosh", [1.001, 1e6]),
    "np.arctanh": ("atanh", [-0.999, 0.3]),
    "np.sinc": ("sincpi", [0.0, 0.25, 3.7]),
    "np.sqrt": ("sqrt", [1e-20, 1e20]),
    "scipy.special.erf": ("erf", [-3.0, 1e-9, 5.0]),
    "scipy.special.erfc": ("erfc", [-3.0, 20.0]),
    "scipy.special.erfinv": ("erfinv", [-0.999, 1e-9, 0.9]),
    "scipy.special.gamma": ("gamma", [-1.5, 0.1, 20.0]),
    "scipy.special.gammaln": ("loggamma", [0.01, 3.0, 1e8]),
    "scipy.special.psi": ("digamma", [0.01, 3.0, 1e4]),
    "scipy.special.rgamma": ("rgamma", [-2.5, 0.1, 5.0]),
    "scipy.special.j0": ("j0", [0.1, 7.0]),
    "scipy.special.j1": ("j1", [0.1, 7.0]),
    "scipy.special.expi": ("ei", [-3.0, 0.1, 20.0]),
    "scipy.special.exp1": ("e1", [0.1, 20.0]),
    "scipy.special.ndtr": ("ncdf", [-8.0, 0.3, 4.0]),
}


@needs("mpmath", "mpmath")
@pytest.mark.parametrize("name", POINTS)
def test_mpmath_agrees_at_points(name: str) -> None:
    """First and second derivatives, to twelve digits."""
    import mpmath

    other, points = POINTS[name]
    path, attribute = name.rsplit(".", 1)
    function = getattr({"np": np, "scipy.special": importlib.import_module("scipy.special")}[path], attribute)
    with mpmath.workdps(100):
        for point, order in itertools.product(points, (1, 2)):
            expected = float(
                mpmath.re(mpmath.diff(getattr(mpmath, other), mpmath.mpf(point), order, relative=point != 0))
            )
            got = gradient(function, point, order=order)
            np.testing.assert_allclose(
                got, expected, rtol=1e-12, atol=1e-300, err_msg=f"order {order} at {point}"
            )
