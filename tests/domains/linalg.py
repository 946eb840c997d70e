"""Domains of linear algebra: well conditioned matrices whose eigenvalues or singular values lie apart."""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from tinygrad_lr.derivatives.linalg import of_values, real_eig, real_eigvals

from .basics import Call, Domain, filled, generators, nonzero, normal, shapes

FLOATS = (np.float64, np.float32)  # np.linalg does not take float16

sides = st.integers(0, 3)
stacks = shapes(max_dims=2, min_side=0)


def orthogonal(rng: np.random.Generator, stack: tuple[int, ...], n: int) -> Any:
    return np.linalg.qr(rng.normal(size=(*stack, n, n)))[0]


def apart(rng: np.random.Generator, stack: tuple[int, ...], n: int) -> Any:
    """Positive numbers, no two of which are close."""
    values = np.broadcast_to(0.6 + 0.9 * np.arange(n), (*stack, n)) + rng.uniform(-0.1, 0.1, (*stack, n))
    return rng.permuted(values, axis=-1)


@st.composite
def matrices(draw: st.DrawFn, min_side: int = 0, square: bool = False, spread: int = 3) -> Any:
    """Any matrices; their sides differ by no more than `spread`."""
    stack, rng = draw(stacks), draw(generators)
    m = draw(st.integers(min_side, 3))
    n = m if square else draw(st.integers(max(min_side, m - spread), min(3, m + spread)))
    k = min(m, n)
    u, v = orthogonal(rng, stack, m)[..., :k], orthogonal(rng, stack, n)[..., :k, :]
    return (u * apart(rng, stack, k)[..., None, :]) @ v


@st.composite
def one_triangle(draw: st.DrawFn, positive: bool = False, upper: bool = False) -> Any:
    """Symmetric matrices in one triangle; the other, with anything in it, is never read."""
    stack, n, rng = draw(stacks), draw(sides), draw(generators)
    q, values = orthogonal(rng, stack, n), apart(rng, stack, n)
    if not positive:
        values = values * rng.choice([-1, 1], values.shape)
    a = (q * values[..., None, :]) @ np.swapaxes(q, -1, -2)
    read = np.tri(n, dtype=bool)
    return np.where(read.T if upper else read, a, rng.normal(size=a.shape))


@st.composite
def with_real_eigenvalues(draw: st.DrawFn) -> Call:
    stack, n, rng = draw(stacks), draw(sides), draw(generators)
    v = np.eye(n) + rng.uniform(-0.2, 0.2, (*stack, n, n))
    values = apart(rng, stack, n) - 1.5
    return Call(((v * values[..., None, :]) @ np.linalg.inv(v),))


def alone(arrays: st.SearchStrategy[Any], *options: dict[str, Any]) -> st.SearchStrategy[Call]:
    """Calls with one array, and one of some sets of options."""
    return st.builds(lambda a, given: Call((a,), given), arrays, st.sampled_from(options or ({},)))


@st.composite
def singular_too(draw: st.DrawFn) -> Call:
    """Square matrices, some with columns that are not independent."""
    a = draw(matrices(square=True))
    n, rng = a.shape[-1], draw(generators)
    if n and draw(st.booleans()):
        a = a * (np.arange(n) > 0) @ orthogonal(rng, (), n)
    return Call((a,))


@st.composite
def systems(draw: st.DrawFn) -> Call:
    a = draw(matrices(square=True))
    n = a.shape[-1]
    b = draw(st.sampled_from([(n,), (n, 2), (n, 0), (1, n, 1), (*a.shape[:-2], n, 2)]))
    return Call((a, filled(draw, b, normal)))


@st.composite
def overdetermined(draw: st.DrawFn) -> Call:
    """Least squares with more, as many, or fewer equations than unknowns."""
    a = draw(matrices(min_side=1).filter(lambda a: a.ndim == 2))
    b = filled(draw, (a.shape[0], *draw(st.sampled_from([(), (1,), (2,)]))), normal)
    return Call((a, b), draw(st.sampled_from([{}, {"rcond": None}, {"rcond": -1}, {"rcond": 1e-3}])))


@st.composite
def tensor_inverses(draw: st.DrawFn) -> Call:
    a = draw(matrices(min_side=1, square=True).filter(lambda a: a.ndim == 2))
    n = a.shape[-1]
    shape, ind = draw(st.sampled_from([((n, n), 1), ((n, n, 1), 1), ((1, n, n), 2), ((n, 1, 1, n), 2)]))
    return Call((np.reshape(a, shape), *draw(st.sampled_from([(ind,), ()] if ind == 2 else [(ind,)]))))


@st.composite
def tensor_systems(draw: st.DrawFn) -> Call:
    a = draw(matrices(square=True).filter(lambda a: a.ndim == 2))
    n = a.shape[-1]
    if draw(st.booleans()):
        return Call((np.reshape(a, (1, n, n, 1)), filled(draw, (1, n), normal)))
    axes = draw(st.sampled_from([(0,), [0]]))
    return Call((a, filled(draw, (n,), normal)), {"axes": axes})


@st.composite
def decompositions(draw: st.DrawFn) -> Call:
    mode = draw(st.sampled_from(["reduced", "complete", "r"]))
    a = draw(matrices(spread=1 if mode == "complete" else 3))
    if a.shape[-2] < a.shape[-1]:  # its first columns shall be well conditioned as well
        a[..., : a.shape[-2]] += 3 * np.eye(a.shape[-2])
    return Call((a, mode)) if draw(st.booleans()) else Call((a,), {"mode": mode})


@st.composite
def singular_value_decompositions(draw: st.DrawFn) -> Call:
    if draw(st.booleans()):
        return Call((draw(one_triangle()),), {"hermitian": True, "compute_uv": draw(st.booleans())})
    full = draw(st.booleans())
    a = draw(matrices(spread=1 if full else 3))
    options = {} if full and draw(st.booleans()) else {"full_matrices": full}
    return Call((a,), options | draw(st.sampled_from([{}, {}, {"compute_uv": False}])))


def without_ties(rng: np.random.Generator, n: int) -> Any:
    """Numbers of either sign whose sizes are at least 0.3 apart, as are the sums of some of them."""
    return (0.3 * 2 ** rng.permutation(n) if n < 7 else nonzero(rng, n)) * rng.choice([-1, 1], n)


ORDERS = [None, 2, 1, np.inf, -np.inf, 3, 2.5, 1.5, -1, 0.5, 0, -2, np.float64(4)]
MATRIX_ORDERS = ["fro", "f", None, 1, -1, np.inf, -np.inf]
SPECTRAL_ORDERS = [2, -2, "nuc"]


@st.composite
def vector_norms(draw: st.DrawFn, tuples: bool) -> Call:
    """Of vectors along one axis, of all elements, or, in vector_norm, along any axes."""
    shape = draw(shapes(min_dims=1, min_side=1).filter(lambda shape: np.prod(shape) < 7))
    x = filled(draw, shape, without_ties)
    order = draw(st.sampled_from(ORDERS[tuples:]))
    axis: Any = st.integers(-x.ndim, x.ndim - 1)
    if tuples:
        axis |= st.sampled_from([None, (0,), tuple(range(-x.ndim, 0))])
    elif x.ndim == 1 or order is None:
        axis |= st.none()
    options = {"ord": order, "axis": draw(axis), "keepdims": draw(st.booleans())}
    if tuples or draw(st.booleans()):
        return Call((x,), options)
    return Call((x, *options.values()))


@st.composite
def norms_of_matrices(draw: st.DrawFn, axes: bool) -> Call:
    """Of matrices along two axes, by default the only two or, in matrix_norm, the last two."""
    order = draw(st.sampled_from(MATRIX_ORDERS + SPECTRAL_ORDERS))
    if order in SPECTRAL_ORDERS:
        x = draw(matrices(min_side=1))
    else:
        x = filled(draw, draw(shapes(min_dims=2, min_side=1).filter(lambda s: np.prod(s) < 7)), without_ties)
    options: dict[str, Any] = {"ord": order, "keepdims": draw(st.booleans())}
    if axes and (x.ndim > 2 or draw(st.booleans())):
        first, second = draw(st.permutations([-2, -1]))
        options["axis"] = (first, second + draw(st.sampled_from([0, x.ndim])))
        if order not in SPECTRAL_ORDERS and x.ndim > 2 and draw(st.booleans()):
            options["axis"] = (0, 2)
    return Call((x,), options)


@st.composite
def conditions(draw: st.DrawFn) -> Call:
    p: Any = draw(st.sampled_from([None, 2, -2, "fro", "nuc", 1, -1, np.inf, -np.inf]))
    a = draw(matrices(min_side=2, square=p not in (None, 2, -2)))  # a single number has the condition 1
    assume(a.size)
    if p not in (None, 2, -2, "fro", "nuc"):
        inverse = np.linalg.inv(a)
        for x in (a, inverse):
            sums = np.sort(np.sum(np.abs(x), axis=-2 if abs(p) == 1 else -1), axis=-1)
            assume(np.all(np.diff(sums) > 0.1) and np.all(np.abs(x) > 0.05))
    return Call((a,), {} if p is None else {"p": p})


def products(a: Any, b: Any) -> Any:
    """The products a[i, j] * b[k, j]: the same if column j changes its sign in both."""
    return np.expand_dims(a, -2) * np.expand_dims(b, -3)


def without_signs(function: Any) -> Callable[..., Any]:
    """A decomposition in terms that do not depend on signs: LAPACK may choose others for a matrix nearby."""

    def call(a: Any, *args: Any, **options: Any) -> Any:
        result = function(a, *args, **options)
        if not isinstance(result, tuple):  # r alone, or the singular values
            r = np.swapaxes(result, -1, -2) if "r" in (*args, *options.values()) else None
            return result if r is None else products(r, r)
        first, *values, last = result
        if function is np.linalg.qr or values:  # the last factor has its vectors in rows
            k = min(a.shape[-2:])
            last = np.swapaxes(last, -1, -2)
            return (
                products(first, first),
                products(last, last),
                *values,
                products(first[..., :k], last[..., :k]),
            )
        return first, products(last, last)

    return call


def sums_of_eigenvalues(eigvals: Any) -> Any:
    """What does not depend on the order of the eigenvalues, which LAPACK may change for a matrix nearby.

    Since NumPy 2.5 they are complex numbers, be they real. The truths count rounding by the size of the
    result; that of the eigenvalues is larger, whence the 10.
    """

    def call(a: Any) -> Any:
        w = np.real(eigvals(a))
        return tuple(10 + np.sum(f(w), axis=-1) for f in (np.square, np.exp))

    return call


def sums_over_eigenvalues(eig: Any) -> Any:
    def call(a: Any) -> Any:
        w, v = map(np.real, eig(a))
        vt = np.swapaxes(v, -1, -2)
        return 10 + np.sum(np.exp(w), axis=-1), *(
            10 + v * np.expand_dims(f(w), -2) @ vt for f in (np.square, np.exp)
        )

    return call


@st.composite
def values_and_gradients(draw: st.DrawFn) -> Call:
    stack, n, rng = draw(stacks), draw(sides), draw(generators)
    return Call((filled(draw, (*stack, n), normal), apart(rng, stack, n)))


def domain(calls: st.SearchStrategy[Call], analytic: bool = False, call: Any = None) -> Domain:
    return Domain(calls, analytic, FLOATS, call)


one_triangle_given = alone(one_triangle(), {}, {"UPLO": "L"}, {"UPLO": "l"}) | alone(
    one_triangle(upper=True), {"UPLO": "U"}, {"UPLO": "u"}
)

DOMAINS: dict[Any, Domain] = {
    np.linalg.inv: domain(alone(matrices(square=True)), analytic=True),
    np.linalg.pinv: domain(
        alone(matrices(), {}, {"rcond": 1e-3}, {"rtol": 1e-3}) | alone(one_triangle(), {"hermitian": True}),
    ),
    np.linalg.solve: domain(systems(), analytic=True),
    np.linalg.lstsq: domain(overdetermined()),
    np.linalg.tensorinv: domain(tensor_inverses(), analytic=True),
    np.linalg.tensorsolve: domain(tensor_systems(), analytic=True),
    np.linalg.det: domain(singular_too(), analytic=True),
    np.linalg.slogdet: domain(alone(matrices(square=True))),
    np.linalg.cholesky: domain(
        alone(one_triangle(positive=True), {}, {"upper": False})
        | alone(one_triangle(positive=True, upper=True), {"upper": True}),
    ),
    np.linalg.qr: domain(decompositions(), call=without_signs(np.linalg.qr)),
    np.linalg.eigh: domain(one_triangle_given, call=without_signs(np.linalg.eigh)),
    np.linalg.eigvalsh: domain(one_triangle_given),
    np.linalg.eig: domain(with_real_eigenvalues(), call=sums_over_eigenvalues(np.linalg.eig)),
    np.linalg.eigvals: domain(with_real_eigenvalues(), call=sums_of_eigenvalues(np.linalg.eigvals)),
    real_eig: domain(with_real_eigenvalues(), call=sums_over_eigenvalues(real_eig)),
    real_eigvals: domain(with_real_eigenvalues(), call=sums_of_eigenvalues(real_eigvals)),
    np.linalg.svd: domain(
        singular_value_decompositions(),
        call=without_signs(np.linalg.svd),
    ),
    of_values: Domain(values_and_gradients(), analytic=True),
    np.linalg.svdvals: domain(alone(matrices())),
    np.linalg.norm: Domain(vector_norms(tuples=False) | norms_of_matrices(axes=True), floats=FLOATS),
    np.linalg.vector_norm: Domain(vector_norms(tuples=True)),
    np.linalg.matrix_norm: Domain(norms_of_matrices(axes=False), floats=FLOATS),
    np.linalg.cond: domain(conditions()),
}
