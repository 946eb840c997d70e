"""Linear algebra beyond the domains: singular, degenerate and symmetric cases, and what is not determined."""

import math
import re
from fractions import Fraction
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest

from slopes import assert_slopes, gradients_in
from tinygrad_lr import compile, errors, record, tensor
from tinygrad_lr.derivatives import DERIVATIVES
from tinygrad_lr.derivatives.linalg import ALWAYS_COMPLEX, always_complex, real_eig, real_eigvals
from tinygrad_lr.func import grad, hvp
from truths import gradient

LinAlgError = np.linalg.LinAlgError
EPS = np.finfo(float).eps
RNG = np.random.default_rng(0)
SQUARE = np.array([[2.0, 0.5, -0.3], [0.4, -1.0, 0.7], [0.3, -0.2, 1.1]])
SYMMETRIC = np.array([[2.0, 0.5, -0.3], [0.5, -1.0, 0.7], [-0.3, 0.7, 0.6]])
TALL = np.array([[1.0, 0.3], [-0.4, 2.0], [0.5, -0.7], [1.2, 0.4]])
SINGULAR = np.arange(1.0, 10.0).reshape(3, 3)  # of rank 2


def mirrored(a: Any) -> Any:
    return (a + np.swapaxes(a, -1, -2)) / 2


# ---- determinants -----------------------------------------------------------------------------------------


def cofactors(a: Any) -> Any:
    """By definition, in exact fractions."""
    exact = [[Fraction(x) for x in row] for row in a.tolist()]

    def det(rows: Any) -> Any:
        if not rows:
            return Fraction(1)
        minors = ([row[:j] + row[j + 1 :] for row in rows[1:]] for j in range(len(rows)))
        return sum((-1) ** j * rows[0][j] * det(minor) for j, minor in enumerate(minors))

    def cofactor(i: int, j: int) -> float:
        return float((-1) ** (i + j) * det([row[:j] + row[j + 1 :] for k, row in enumerate(exact) if k != i]))

    n = len(exact)
    return np.array([[cofactor(i, j) for j in range(n)] for i in range(n)])


SINGULAR_MATRICES = {
    "0": np.zeros((1, 1)),
    "rank 1 of 2": np.array([[1.0, 2.0], [2.0, 4.0]]),
    "rank 0 of 2": np.zeros((2, 2)),
    "rank 2 of 3": SINGULAR,
    "rank 1 of 3": np.ones((3, 3)),
    "rank 0 of 3": np.zeros((3, 3)),
    "rank 2 of 4": np.outer([1, 2, 3, 4], [1, -1, 2, 0]) + np.outer([0, 1, 1, -1], [3, 1, 0, 2]),
    "a row of zeros": SQUARE * [[1], [0], [1]],
    "nearly": SINGULAR + np.diag([0, 0, 1e-9]),
    "graded": np.diag([1.0, 1e-5, 1e-10, 1e-15]),
    "Hilbert's": 1 / (np.arange(6) + np.arange(6)[:, None] + 1.0),
    "large": SINGULAR * 1e90,
    "small": SINGULAR * 1e-90,
}


@pytest.mark.parametrize("name", SINGULAR_MATRICES)
def test_gradient_of_the_determinant_of_a_singular_matrix(name: str) -> None:
    a = SINGULAR_MATRICES[name]
    exact = cofactors(a)
    s = np.append(1, np.linalg.svdvals(a))
    bound = (
        1e-14 * s[1] * np.prod(s[1:-2])
    )  # rounding changes each singular value by that part of the largest
    np.testing.assert_allclose(gradient(np.linalg.det, a), exact, rtol=0, atol=bound)


@pytest.mark.parametrize("name", list(SINGULAR_MATRICES)[:9])
def test_higher_derivatives_of_the_determinant_of_a_singular_matrix(name: str) -> None:
    assert_slopes(np.linalg.det, SINGULAR_MATRICES[name], orders=3)


def test_the_highest_derivative_of_the_determinant() -> None:
    """It is a polynomial of the matrix, of its degree."""
    for n in (2, 4, 5):
        a = np.random.default_rng(n).uniform(-1, 1, (n, n))
        found = gradient(lambda t, a=a: np.linalg.det(t * a), 0.0, order=n)
        np.testing.assert_allclose(found, math.factorial(n) * np.linalg.det(a), rtol=1e-12)


def test_determinants_of_a_stack_with_singular_matrices() -> None:
    stack = np.stack([SQUARE, SINGULAR, np.zeros((3, 3)), np.ones((3, 3)), np.eye(3)])
    expected = [cofactors(a) for a in stack]
    for shape in ((5, 3, 3), (5, 1, 3, 3), (1, 5, 3, 3)):
        found = gradient(np.linalg.det, np.reshape(stack, shape))
        np.testing.assert_allclose(found, np.reshape(expected, shape), atol=1e-13)
    assert_slopes(np.linalg.det, stack, orders=2)
    assert gradient(np.linalg.det, np.zeros((0, 2, 2))).shape == (0, 2, 2)


def test_determinant_of_a_large_singular_matrix() -> None:
    """There each algorithm that is not backward stable would fail."""
    q, s = np.linalg.qr(RNG.normal(size=(40, 40)))[0], np.linspace(0, 1.5, 40)
    expected = np.prod(s[1:]) * np.outer(q[:, 0], q[:, 0]) * np.linalg.det(q) ** 2
    got = gradient(np.linalg.det, (q * s) @ q.T)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12 * np.max(np.abs(expected)))


@pytest.mark.parametrize(
    ("dtype", "size", "least", "digits", "scale"),
    [
        *((np.float64, 40, 0.001, 1e-11, scale) for scale in (1, 2.0**27)),
        *((np.float32, 16, 0.03, 3e-5, scale) for scale in (1, 2.0**10)),
    ],
)
def test_determinant_of_a_large_matrix_with_one_large_singular_value(
    dtype: Any, size: int, least: float, digits: float, scale: float
) -> None:
    """Of the others nothing is lost beside it, in which an algorithm without divisions would end.

    And no product of it alone is made, which may overflow where the determinant does not.
    """
    u, v = np.linalg.qr(np.random.default_rng(0).normal(size=(2, size, size)))[0]
    s = scale * np.append(1, np.linspace(0.09, least, size - 1))
    expected = np.linalg.det(u) * np.linalg.det(v) * (u * (np.prod(s) / s)) @ v.T
    (got,) = gradients_in(dtype, np.linalg.det, [(u * s) @ v.T], 1)
    np.testing.assert_allclose(got, expected, rtol=0, atol=digits * np.max(np.abs(expected)))


def test_determinants_of_matrices_of_negative_numbers() -> None:
    a = -np.random.default_rng(0).uniform(0.5, 1.5, (12, 12))
    got, expected = gradient(np.linalg.det, a), np.linalg.det(a) * np.linalg.inv(a).T
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12 * np.max(np.abs(expected)))


@pytest.mark.parametrize("x", [0.0, -2.0, np.inf, np.nan])
def test_the_determinant_of_one_number_is_the_number(x: float) -> None:
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(gradient(np.linalg.det, [[[x]], [[1.0]]]), np.ones((2, 1, 1)))


def test_sign_and_logarithm_of_the_determinant() -> None:
    np.testing.assert_allclose(
        gradient(lambda a: np.linalg.slogdet(a).logabsdet, SQUARE), np.linalg.inv(SQUARE).T, rtol=1e-13
    )
    np.testing.assert_array_equal(gradient(lambda a: np.linalg.slogdet(a)[0], SQUARE), np.zeros((3, 3)))


# ---- inverses and solutions -------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [np.linalg.inv, lambda a: np.linalg.solve(a, np.ones(2))])
def test_singular_matrices_have_no_inverse(function: Any) -> None:
    with pytest.raises(LinAlgError, match="Singular"):
        gradient(function, np.zeros((2, 2)))


def test_the_infinite_slope_of_the_logarithm_of_a_determinant() -> None:
    with pytest.raises(LinAlgError, match=r"determinant is 0.* infinite .*np\.linalg\.det has a finite") as e:
        gradient(lambda a: np.linalg.slogdet(a)[1], np.stack([np.eye(2), np.zeros((2, 2))]))
    assert e.value.__suppress_context__


def test_right_sides_that_are_vectors_have_one_axis() -> None:
    """As in NumPy since 2.0: b of shape (2, 3) is one matrix for all systems of the stack."""
    stack = np.stack([SQUARE, SQUARE.T])
    for shape, expected in {(3,): (2, 3), (3, 2): (2, 3, 2), (2, 3, 1): (2, 3, 1)}.items():
        b = RNG.uniform(-1, 1, shape)
        assert np.linalg.solve(stack, b).shape == expected
        assert_slopes(np.linalg.solve, stack, b, orders=2)
    with pytest.raises(ValueError, match="solve"):
        gradient(lambda a: np.linalg.solve(a, np.ones((2, 3))), stack)


@pytest.mark.parametrize("shape", [(3, 3), (4, 3), (3, 5)])
def test_pseudoinverses_among_matrices_of_lower_rank(shape: tuple[int, int]) -> None:
    """The product of a (m, 2) and a (2, n) matrix keeps its rank."""
    left, right = RNG.uniform(-1, 1, (shape[0], 2)), RNG.uniform(-1, 1, (2, shape[1]))
    b = RNG.uniform(-1, 1, (shape[0], 2))
    for cutoff in ({"rcond": 1e-9}, {"rtol": 1e-9}, {}):
        assert_slopes(lambda x, y, given=cutoff: np.linalg.pinv(x @ y, **given), left, right, orders=2)
    assert_slopes(lambda x, y, b: np.linalg.lstsq(x @ y, b, rcond=1e-9)[0], left, right, b, orders=2)
    assert_slopes(
        lambda x: np.linalg.pinv(x @ np.swapaxes(x, -1, -2), rcond=1e-9, hermitian=True), left, orders=2
    )


def test_pseudoinverses_without_what_the_cutoff_leaves_out() -> None:
    """Of singular values that are not 0 but count as that, and are small."""
    a, b = np.diag([1.0, 0.9, 1e-13]), np.array([1.0, -2.0, 3.0])
    for options in ({"rcond": 0.5}, {"rtol": 0.5}, {"rcond": 0.5, "hermitian": True}):
        assert_slopes(lambda a, options=options: np.linalg.pinv(a, **options), a)
    assert_slopes(lambda a: np.linalg.pinv(a, 0.5), a[:2])
    assert_slopes(lambda a: np.linalg.pinv(a, [0.5, 1e-9]), np.stack([a, np.eye(3)]))
    assert_slopes(lambda a, b: np.linalg.lstsq(a, b, 0.5)[0], a, b)


def test_pseudoinverse_of_zero() -> None:
    np.testing.assert_array_equal(gradient(np.linalg.pinv, np.zeros((2, 3))), np.zeros((2, 3)))


@pytest.mark.parametrize(
    "b", [np.array([1.0, -2.0, 0.5, 3.0]), *(RNG.uniform(-1, 1, (4, n)) for n in (1, 2))]
)
def test_all_results_of_least_squares(b: Any) -> None:
    for part in (0, 1, 3):
        assert_slopes(lambda a, b, i=part: np.linalg.lstsq(a, b)[i], TALL, b, orders=2)
    a = tensor(TALL)
    a.attach_grad()
    with record():
        x, squares, rank, _ = np.linalg.lstsq(a, b)
    assert (x.shape, squares.shape, rank.item()) == ((2, *b.shape[1:]), b.shape[1:] or (1,), 2)


def test_singular_values_of_a_symmetric_matrix_are_those_of_its_lower_triangle() -> None:
    a = np.array([[2.0, 9.0], [1.0, -3.0]])
    assert_slopes(lambda a: np.linalg.svd(a, compute_uv=False, hermitian=True), a)


def test_axes_of_tensorsolve_in_any_order() -> None:
    a = RNG.uniform(-1, 1, (2, 2, 4))
    for axes in ((0, 1), (1, 0), np.array([1, 0]), range(2)):
        assert_slopes(lambda a, b, axes=axes: np.linalg.tensorsolve(a, b, axes), a, np.ones(4))
    assert_slopes(lambda a, b: np.linalg.tensorsolve(a, b, np.array([0])), a[0, :, :2], np.ones(2))
    for shape in ((2, 2), (4, 1), (1, 2, 2)):
        assert_slopes(np.linalg.tensorsolve, np.reshape(a, (*shape, 2, 2)), RNG.uniform(-1, 1, shape))


@pytest.mark.parametrize("rcond", [None, -1, 0, 1, 2, 0.999, 1e-3, 1e-20])
@pytest.mark.parametrize("dtype", [float, np.float32])
def test_least_squares_take_the_rank_that_numpy_finds(rcond: float | None, dtype: Any) -> None:
    """By default the longer side decides: of 40 rows a singular value of ten rounding errors counts as 0."""
    for small in (1e-25, 0.1 * EPS, 0.5 * EPS, 0.75 * EPS, 2 * EPS, 10 * EPS, 1e-8, 1e-4, 1e-2):
        tall = np.asarray(np.eye(40, 2) * [1, small], dtype)
        for a in (tall, tall.T):
            b = np.ones(len(a), dtype)
            rank = np.linalg.lstsq(a, b, rcond)[2]
            found = gradient(lambda b, a=a: np.linalg.lstsq(a, b, rcond)[0], b)
            np.testing.assert_allclose(found[:2], [1, 1 / small if rank == 2 else 0], rtol=1e-6)
            assert not np.any(found[2:])


def test_least_squares_without_a_remainder() -> None:
    """For a square matrix the sums of squares are not given, and the solution is that of solve."""
    b = np.array([1.0, 2.0, 3.0])
    for a in (SQUARE, SQUARE[:2]):
        assert_slopes(lambda a, b: np.linalg.lstsq(a, b)[0], a, b[: len(a)], orders=2)
    np.testing.assert_allclose(
        gradient(lambda a: np.linalg.lstsq(a, b)[0], SQUARE),
        gradient(lambda a: np.linalg.solve(a, b), SQUARE),
    )


# ---- symmetric matrices -----------------------------------------------------------------------------------

POSITIVE = TALL.T @ TALL
SYMMETRIC_FUNCTIONS = {
    "cholesky": np.linalg.cholesky,
    "cholesky, upper": lambda a: np.linalg.cholesky(a, upper=True),
    "eigvalsh": np.linalg.eigvalsh,
    "eigvalsh, U": lambda a: np.linalg.eigvalsh(a, "U"),
    "eigvalsh, U as u": lambda a: np.linalg.eigvalsh(a, "u"),
    "eigenvalues": lambda a: np.linalg.eigh(a).eigenvalues,
    "eigenvectors": lambda a: np.linalg.eigh(a).eigenvectors,
    "eigenvectors, U": lambda a: np.linalg.eigh(a, UPLO="U")[1],
    "eigenvectors, U as u": lambda a: np.linalg.eigh(a, UPLO="u")[1],
    "pinv": lambda a: np.linalg.pinv(a, hermitian=True),
    "svd": lambda a: np.linalg.svd(a, hermitian=True)[0],
    "singular values": lambda a: np.linalg.svd(a, compute_uv=False, hermitian=True),
}


@pytest.mark.parametrize("name", SYMMETRIC_FUNCTIONS)
def test_gradients_of_functions_that_read_one_triangle(name: str) -> None:
    """The other has a gradient of 0; the mean of both is the gradient for the symmetric part."""
    function = SYMMETRIC_FUNCTIONS[name]
    head = RNG.uniform(-1, 1, np.shape(function(POSITIVE)))
    found = gradient(function, POSITIVE, head=head)
    unread = (np.tril if "upper" in name or "U" in name else np.triu)(np.ones((2, 2)), k=0) - np.eye(2)
    np.testing.assert_array_equal(found * unread, 0)
    for other in (7, np.inf, np.nan):
        same = gradient(function, np.where(unread, other, POSITIVE), head=head)
        np.testing.assert_allclose(same, found, atol=1e-13)
    np.testing.assert_allclose(
        gradient(lambda a: function(mirrored(a)), POSITIVE, head=head), mirrored(found), atol=1e-14
    )
    assert_slopes(function, POSITIVE, orders=3)


@pytest.mark.parametrize("zeros", [2.0, np.inf, np.nan])
@pytest.mark.parametrize(
    ("function", "half", "a"),
    [
        (np.linalg.cholesky, np.tril, POSITIVE),
        (lambda a: np.linalg.cholesky(a, upper=True), np.triu, POSITIVE),
        *((lambda a: np.linalg.qr(a)[1], np.triu, a) for a in (SQUARE, TALL, TALL.T)),
        (lambda a: np.linalg.qr(a, "r"), np.triu, SQUARE),
        (lambda a: np.linalg.qr(a, "complete")[1], np.triu, TALL),
    ],
)
def test_zeros_of_triangular_factors_depend_on_nothing(
    function: Any, half: Any, a: Any, zeros: float
) -> None:
    """Whatever gradient arrives there, such as the infinite one of a root."""
    head = np.random.default_rng(0).uniform(1, 2, function(a).shape)
    expected = gradient(function, a, head=half(head))
    found = gradient(function, a, head=np.where(half(head), head, zeros))
    np.testing.assert_allclose(found, expected, rtol=1e-14)


# ---- decompositions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "a", [SQUARE, TALL, TALL.T, TALL[:3], np.stack([TALL, -2 * TALL])], ids=lambda a: a.shape
)
def test_decompositions_as_they_are(a: Any) -> None:
    """With the signs that LAPACK chooses."""
    for part in (0, 1):
        assert_slopes(lambda a, i=part: np.linalg.qr(a)[i], a, orders=2)
    assert_slopes(lambda a: np.linalg.qr(a, "r"), a, orders=2)
    for part in (0, 1, 2):
        assert_slopes(lambda a, i=part: np.linalg.svd(a, full_matrices=False)[i], a, orders=2)
    assert_slopes(np.linalg.svdvals, a, orders=2)


OF_MATRICES: dict[str, Any] = {
    **{f.__name__: f for f in (np.linalg.inv, np.linalg.pinv, np.linalg.det, np.linalg.svdvals)},
    **{f.__name__: f for f in (np.linalg.cond, np.linalg.eigvalsh, np.linalg.cholesky)},
    **{f"eigh, {i}": lambda a, i=i: np.linalg.eigh(a)[i] for i in (0, 1)},
    **{f"eig, {i}": lambda a, i=i: real_eig(a)[i] for i in (0, 1)},
    **{f"qr, {i}": lambda a, i=i: np.linalg.qr(a)[i] for i in (0, 1)},
    **{f"svd, {i}": lambda a, i=i: np.linalg.svd(a)[i] for i in (0, 1, 2)},
    "q of tall ones": lambda a: np.linalg.qr(a[..., :2])[0],
    "u of tall ones": lambda a: np.linalg.svd(a[..., :2], full_matrices=False)[0],
    "u of tall ones, full": lambda a: np.linalg.svd(a[..., :2])[0],
    "v of wide ones": lambda a: np.linalg.svd(a[..., :2, :], full_matrices=False)[2],
    "log det": lambda a: np.linalg.slogdet(a)[1],
    "eigvals": real_eigvals,
    "solve": lambda a: np.linalg.solve(a, np.ones(3)),
    "spectral norm": lambda a: np.linalg.matrix_norm(a, ord=2),
    "condition": lambda a: np.linalg.cond(a, 1),
    "cube": lambda a: np.linalg.matrix_power(a, 3),
    "inverted square": lambda a: np.linalg.matrix_power(a, -2),
}
OF_ONE_MATRIX: dict[str, Any] = {
    **{
        f"lstsq, {i}": lambda a, i=i: np.linalg.lstsq(a[:, :2], np.arange(9.0).reshape(3, 3))[i]
        for i in (0, 1, 3)
    },
    "multi_dot": lambda a: np.linalg.multi_dot([a[0], a, a]),
    "tensorsolve": lambda a: np.linalg.tensorsolve(a, a[0]),
    "tensorinv": lambda a: np.linalg.tensorinv(a, 1),
    **{f.__name__: lambda a, f=f: f(a, a) for f in (np.matmul, np.dot, np.inner, np.kron, np.outer, np.vdot)},
    **{f"{f.__name__} again": lambda a, f=f: f(a, a[::-1]) for f in (np.cross, np.vecdot, np.tensordot)},
    "einsum": lambda a: np.einsum("ii,ij->ij", a, a),
    "trace": lambda a: np.trace(a) * a,
    **{f"norm {p}": lambda a, p=p: np.linalg.norm(a, p, axis=0) for p in (1, 2, 3, 0.5, -1, np.inf)},
    **{f"norm {p}": lambda a, p=p: np.linalg.norm(a, p) for p in ("nuc", "fro", -2)},
}


@pytest.mark.parametrize("name", OF_MATRICES)
def test_each_matrix_of_a_stack_is_by_itself(name: str) -> None:
    """Also one that is tiny beside another: what is but rounding of the one is not of the other."""
    function = OF_MATRICES[name]
    scales = np.array([[1.0, 1e-20], [1e20, 1e-3]])[..., None, None]
    positive = SQUARE @ np.swapaxes(SQUARE, -1, -2)
    stack = scales * np.stack([[positive, np.diag([1.0, 2, 4])], [positive**2, positive + np.eye(3)]])
    head = np.random.default_rng(0).uniform(-1, 1, np.shape(function(stack)))
    direction = np.random.default_rng(1).uniform(-1, 1, stack.shape)

    def first_and_second(a: Any, head: Any, direction: Any) -> Any:
        of_a = partial(lambda head, a: np.sum(function(a) * head), head)
        return gradient(function, a, head=head), hvp(of_a, a, direction)

    found = first_and_second(stack, head, direction)
    for i in np.ndindex(2, 2):
        for whole, own in zip(found, first_and_second(stack[i], head[i], direction[i]), strict=True):
            np.testing.assert_allclose(whole[i], own, rtol=1e-10, atol=1e-12 * np.max(np.abs(own)))


@pytest.mark.parametrize("name", [name for name in OF_MATRICES if name not in ("cholesky", "eigvalsh")])
def test_gradients_in_compiled_functions(name: str) -> None:
    """Of matrices that are not symmetric, and of stacks."""
    function, stack = OF_MATRICES[name], np.stack([SQUARE, SQUARE @ np.diag([1.0, 2, 3])])
    head = np.random.default_rng(0).uniform(-1, 1, np.shape(function(stack)))
    slopes = grad(lambda a: np.sum(function(a) * head))
    compiled = compile(slopes)
    for a in (stack, stack, stack[::-1] + 0.01):
        np.testing.assert_allclose(compiled(a), slopes(a), rtol=1e-11, atol=1e-12)


OF_ONE = [name for name in OF_MATRICES if not re.search("tall|wide|condition", name)]


@pytest.mark.parametrize("name", OF_ONE)
def test_stacks_of_matrices_of_one_element(name: str) -> None:
    """Axes of size 1 are axes."""
    function = OF_MATRICES[name]
    if name == "solve":
        function = lambda a: np.linalg.solve(a, np.ones(1))  # noqa: E731
    stack = np.array([[2.0], [3.0], [0.5]])[..., None, None]
    for a in (stack, stack[:1], stack[:, 0]):
        head = np.random.default_rng(0).uniform(-1, 1, np.shape(function(a)))
        found = gradient(function, a, head=head)
        for i in np.ndindex(a.shape[:-2]):
            np.testing.assert_allclose(found[i], gradient(function, a[i], head=head[i]), rtol=1e-14)


@pytest.mark.parametrize("name", [*OF_MATRICES, *OF_ONE_MATRIX])
def test_what_the_gradient_owes_to_a_head_that_is_zero(name: str) -> None:
    """It is linear in its head: so its derivative by that is the same everywhere."""
    function, positive = (OF_MATRICES | OF_ONE_MATRIX)[name], SQUARE @ SQUARE.T
    rng = np.random.default_rng(0)
    direction, head = rng.uniform(-1, 1, (3, 3)), rng.uniform(-1, 1, np.shape(function(positive)))

    def along(head: Any) -> Any:
        slope = grad(lambda a: np.sum(function(a) * head))(positive)
        return np.sum(slope * direction)

    expected = np.sum(gradient(function, positive, head=head) * direction)
    np.testing.assert_allclose(np.sum(gradient(along, 0 * head) * head), expected, rtol=1e-10)


@pytest.mark.parametrize("name", OF_MATRICES)
def test_a_matrix_of_a_stack_that_is_left_out_has_no_part_in_the_gradient(name: str) -> None:
    """Also where its own slope is infinite."""
    squares = np.stack([np.diag([4.0, 1, 9]), [[9.0, 1, 2], [1, 25, 4], [3, 1, 64]]])
    head = np.random.default_rng(0).uniform(-1, 1, np.shape(OF_MATRICES[name](squares[1])))
    with np.errstate(divide="ignore"):
        both = gradient(lambda a: OF_MATRICES[name](np.sqrt(a))[1:], squares, head=head[None])
    own = gradient(lambda a: OF_MATRICES[name](np.sqrt(a)), squares[1], head=head)
    np.testing.assert_array_equal(both[0], np.zeros((3, 3)))
    np.testing.assert_allclose(both[1], own, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_condition_numbers_of_nearly_singular_matrices(dtype: Any) -> None:
    """The slopes are right up to where rounding hides the smallest singular value, and are errors beyond."""
    eps = np.finfo(dtype).eps
    for p, small in product((None, 2, 1, np.inf, "fro"), (1e-3, 1e-6, 1e-9, 1e-15, 1e-17)):
        a = tensor(np.diag([1, small]), dtype)
        a.attach_grad()
        with record():
            y = np.linalg.cond(a, p)
        if p in (None, 2) and small < 2 * eps:
            with pytest.raises(LinAlgError, match=r"cond is infinite at a singular"):
                y.backward()
        else:
            y.backward()
            expected = [1 / small, -1 / small**2]
            np.testing.assert_allclose(np.diag(a.grad.array), expected, rtol=20 * max(small, eps))


def test_eigenvectors_as_they_are() -> None:
    for part in (0, 1):
        for eig in (np.linalg.eig, real_eig):  # what the former is to tensors since NumPy 2.5
            assert_slopes(lambda a, i=part, eig=eig: np.real(eig(a)[i]), SQUARE, orders=3)
        stack = np.stack([SYMMETRIC, SYMMETRIC - np.eye(3)])
        assert_slopes(lambda a, i=part: np.linalg.eigh(a)[i], stack, orders=2)
    for eigvals in (np.linalg.eigvals, real_eigvals):
        assert_slopes(lambda a, eigvals=eigvals: np.real(eigvals(a)), SQUARE, orders=3)


def test_whether_eigenvalues_are_always_complex_is_known_of_this_numpy() -> None:
    """It is told by the version alone, not found out on import."""
    assert np.iscomplexobj(np.linalg.eigvals(np.eye(2))) == ALWAYS_COMPLEX
    versions = ["1.26.4", "2.0.2", "2.4.6", "2.5.0rc1", "2.6.0", "2.10.0", "3.0.0", "3.1.2"]
    assert [*map(always_complex, versions)] == [False] * 3 + [True] * 5


def test_complex_eigenvalues_have_no_derivative() -> None:
    rotation = np.array([[0.0, -1.0], [1.0, 0.0]])
    kind = np.linalg.LinAlgError if ALWAYS_COMPLEX else errors.ComplexResultError
    for function in (np.linalg.eigvals, lambda a: np.abs(np.linalg.eig(a)[0])):
        with pytest.raises(kind, match="only real numbers have derivatives here"):
            gradient(function, rotation)
    beside_a_real_one = np.pad(rotation, (0, 1)) + np.diag([0, 0, 2])
    for a in (rotation, np.eye(2) + 1e-9 * rotation, beside_a_real_one, np.stack([np.eye(2), rotation])):
        for found in (real_eig, real_eigvals):
            with pytest.raises(np.linalg.LinAlgError, match="eigenvalues are complex"):
                found(a)
    assert type(real_eig(SQUARE)) is type(np.linalg.eig(SQUARE))


@pytest.mark.parametrize("shape", [(4, 2), (5, 2), (2, 4), (3, 4, 2), (2, 2, 5)])
def test_spaces_that_a_matrix_leaves_out(shape: tuple[int, int]) -> None:
    """The last columns of q and of the full u and v are determined as a space, or alone up to a sign."""
    a = RNG.uniform(-1, 1, shape)

    def rest(q: Any) -> Any:
        return q[..., 2:] @ np.swapaxes(q[..., 2:], -1, -2)

    if shape[-2] > shape[-1]:
        assert_slopes(lambda a: rest(np.linalg.qr(a, mode="complete")[0]), a, orders=2)
        assert_slopes(lambda a: np.linalg.qr(a, mode="complete")[1], a, orders=2)
        assert_slopes(lambda a: rest(np.linalg.svd(a)[0]), a, orders=2)
        assert_slopes(lambda a: np.linalg.svd(a)[0][..., :2], a, orders=2)
        head = np.arange(np.prod(shape[:-1]) * shape[-2]).reshape(*shape[:-1], -1)
        for function in (lambda a: np.linalg.qr(a, mode="complete")[0], lambda a: np.linalg.svd(a)[0]):
            message = rf"last {shape[-2] - 2} columns of an orthogonal .*full_matrices=False"
            with pytest.raises(LinAlgError, match=message):
                gradient(function, a, head=head)
    else:
        assert_slopes(lambda a: rest(np.swapaxes(np.linalg.svd(a)[2], -1, -2)), a, orders=2)


@pytest.mark.parametrize("shape", [(3, 2), (4, 3), (2, 3, 2), (1, 2)])
def test_one_direction_that_a_matrix_leaves_out(shape: tuple[int, ...]) -> None:
    """It is determined up to a sign, and turns with the others."""
    a = RNG.uniform(-1, 1, shape)
    if shape[-2] > shape[-1]:
        assert_slopes(lambda a: np.linalg.qr(a, "complete")[0], a, orders=2)
        assert_slopes(lambda a: np.linalg.svd(a)[0], a, orders=2)
    assert_slopes(lambda a: np.linalg.svd(np.swapaxes(a, -1, -2))[2], a, orders=2)


@pytest.mark.filterwarnings("ignore:The '.*' option is deprecated")
@pytest.mark.parametrize("mode", ["raw", "economic", "e", "full", "f"])
def test_a_mode_of_qr_without_a_derivative(mode: Any) -> None:
    with pytest.raises(LinAlgError, match=rf'mode="{mode}"\) has no derivative. Use mode="reduced"'):
        gradient(lambda a: np.linalg.qr(a, mode=mode)[0], TALL)


def test_dependent_columns_have_no_decomposition() -> None:
    nearly = np.eye(40, 2) * [1, 10 * EPS]
    dependent = (np.outer([1, 1.1, 0.7], [0.3, 0.9]), np.ones((2, 3)), np.zeros((2, 2)), nearly, nearly.T)
    for a in (np.eye(3, 1) * [1, 0], *dependent):
        with pytest.raises(LinAlgError, match=r"np\.linalg\.qr .* first 2 columns .* not independent"):
            gradient(lambda a: np.linalg.qr(a)[1], a)
    first_two = np.array([[1.0, 1, 0], [2, 2, 1], [3, 3, 5]])
    for a in (first_two, np.hstack([first_two, np.eye(3)]), np.vstack([first_two, np.eye(3)[2:]])):
        with pytest.raises(LinAlgError, match=r"first 3 columns .* not independent"):
            gradient(lambda a: np.linalg.qr(a)[0], a)


# ---- equal eigenvalues and singular values ----------------------------------------------------------------


@pytest.mark.parametrize("function", [np.linalg.eigvalsh, np.linalg.eigvals, lambda a: np.linalg.eigh(a)[0]])
@pytest.mark.parametrize("a", [np.eye(3), np.zeros((3, 3)), np.diag([2.0, 1.0, 1.0])], ids=str)
def test_sums_of_equal_eigenvalues(function: Any, a: Any) -> None:
    """The values have derivatives even where the vectors have none."""
    np.testing.assert_allclose(gradient(lambda a: np.sum(function(a)), a), np.eye(3), atol=1e-15)
    np.testing.assert_allclose(gradient(lambda a: np.sum(function(a) ** 2), a), 2 * a, atol=1e-14)


def test_singular_values_that_are_equal() -> None:
    for function in (np.linalg.svdvals, lambda a: np.linalg.svd(a)[1]):
        np.testing.assert_allclose(gradient(function, np.eye(3)), np.eye(3), atol=1e-15)


OF_VALUES = {
    "eigvalsh": np.linalg.eigvalsh,
    "eigvals": np.linalg.eigvals,
    "eigh": lambda a: np.linalg.eigh(a)[0],
    "eig": lambda a: np.linalg.eig(a)[0],
    "svdvals": np.linalg.svdvals,
    "svd": lambda a: np.linalg.svd(a)[1],
}


@pytest.mark.parametrize("name", OF_VALUES)
def test_equal_values_have_no_second_derivative(name: str) -> None:
    """Not a silent zero where the sum of the squares has one; along the diagonal it can be had."""

    def squares(a: Any) -> Any:
        return np.sum((OF_VALUES[name](a) - 1) ** 2)  # of slope 0 at 1, which must not hide it

    a, off, along = np.eye(2), np.array([[0.0, 1.0], [1.0, 0.0]]), np.diag([1.0, -3.0])
    for direction in (off, -off, along + 1e-10 * off):
        for at in (a, 0 * a):
            with pytest.raises(LinAlgError, match=r"no second derivative.*np\.sum\(a \* a\)"):
                hvp(squares, at, direction)
    many = (np.stack(1000 * [x]) for x in (a, along + 1e-13 * off))  # in whose number there is no rounding
    with pytest.raises(LinAlgError, match="no second derivative"):
        hvp(squares, *many)
    np.testing.assert_allclose(hvp(squares, a, along), 2 * along, atol=1e-12)


def test_the_nuclear_norm_of_a_rotation_has_a_second_derivative() -> None:
    """The sum of singular values; only those of 0 have none."""
    turned = np.linalg.qr(SQUARE)[0]
    assert_slopes(lambda a: np.linalg.norm(a, "nuc"), turned, orders=1)
    turn = np.array([[0.0, 1.0], [-1.0, 0.0]])
    np.testing.assert_allclose(hvp(lambda a: np.linalg.norm(a, "nuc"), np.eye(2), turn), turn, atol=1e-14)


@pytest.mark.parametrize("function", [np.linalg.eigh, np.linalg.eig], ids=["eigh", "eig"])
@pytest.mark.parametrize("noise", [0, 2.0**-52, 2.0**-51])
@pytest.mark.parametrize("scale", [1, 2.0**-20, 2.0**20])
def test_vectors_of_equal_eigenvalues_have_no_derivative(function: Any, noise: float, scale: float) -> None:
    """Not even if the values differ by rounding; but all others have, however small they are."""
    head = np.arange(9.0).reshape(3, 3)
    for sign in (1, -1):
        with pytest.raises(LinAlgError, match=r"eigenvectors of equal eigenvalues .* np\.linalg\.eigvalsh"):
            gradient(lambda a: function(a)[1], scale * np.diag([1.0, 1.0 + noise, 2.0]), head=sign * head)
    with pytest.raises(LinAlgError, match="eigenvectors of equal eigenvalues"):
        hvp(lambda a: function(a)[1][0, 1] ** 2, np.diag([1.0, 1, 2]), np.ones((3, 3)))
    apart = np.diag([1.0, 1.5, 2.0])
    of_apart, scaled = (gradient(lambda a: function(a)[1], a, head=head) for a in (apart, scale * apart))
    np.testing.assert_allclose(scale * scaled, of_apart)


def test_vectors_of_equal_singular_values_have_no_derivative() -> None:
    head = np.arange(9.0).reshape(3, 3)
    for a in (np.eye(3), np.diag([1.0, 0.0, 0.0])):
        with pytest.raises(LinAlgError, match="singular vectors of equal singular values"):
            gradient(lambda a: np.linalg.svd(a)[0], a, head=head)
    for head in (np.ones((3, 2)), -np.ones((3, 2))):
        with pytest.raises(LinAlgError, match="or of 0"):
            gradient(lambda a: np.linalg.svd(a, full_matrices=False)[0], np.eye(3, 2) * [1, 0], head=head)


def test_the_first_component_where_the_others_are_equal() -> None:
    """Principal components of few points: the values beyond them are all zero."""

    def first(x: Any) -> Any:
        v = np.linalg.eigh(np.swapaxes(x, -1, -2) @ x).eigenvectors[:, -1]
        return v[:, None] * v

    points = np.array([[1.0, 2.0, -1.0, 0.5, 0.3], [0.2, 1.0, 0.3, -0.4, 2.0]])
    assert_slopes(first, points)
    assert_slopes(lambda x: np.linalg.svd(x)[2][0] ** 2, points, orders=2)


@pytest.mark.parametrize("a", [np.outer(TALL[:3, 0], TALL[0]), np.outer(TALL[0], TALL[:3, 0])], ids=str)
def test_a_singular_value_of_zero_and_the_side_that_it_has_a_vector_of(a: Any) -> None:
    """Of two vectors in a plane the one determines the other; of the three in space it does not."""
    plane, space = (2, 0) if len(a) == 3 else (0, 2)
    assert_slopes(lambda a: np.linalg.svd(a, full_matrices=False)[plane] ** 2, a)
    with pytest.raises(LinAlgError, match=r"singular vectors of .* or of 0"):
        gradient(lambda a: np.linalg.svd(a, full_matrices=False)[space] ** 2, a)


def test_a_singular_value_of_zero_in_a_square_matrix() -> None:
    """Its vectors are determined up to a sign, so all is smooth but the value, which is like |x| at 0."""
    u, s, v = np.linalg.svd(SQUARE)
    a = (u * [s[0], s[1], 0]) @ v
    assert_slopes(lambda a: np.linalg.svd(a)[0][:, :2], a)
    for which in (0, 2):
        assert_slopes(lambda a, which=which: np.linalg.svd(a)[which] ** 2, a)
    slopes = gradient(np.linalg.svdvals, a)
    np.testing.assert_allclose(slopes, (u * [1, 1, 0]) @ v, atol=1e-13)
    np.testing.assert_array_equal(gradient(np.linalg.svdvals, np.zeros((2, 3))), np.zeros((2, 3)))
    for head in (np.inf, np.nan):  # such as the slope of a root
        found = gradient(np.linalg.svdvals, np.diag([2.0, 0.0]), head=np.array([3.0, head]))
        np.testing.assert_array_equal(found, np.diag([3.0, 0.0]))


def test_the_rotation_of_a_matrix() -> None:
    """Of its polar decomposition: it is determined where no two singular values are 0."""

    def rotation(a: Any) -> Any:
        u, _, vt = np.linalg.svd(a)
        return u @ vt

    for a in (np.diag([3.0, 2, 1]), SQUARE, 2 * np.eye(3)):
        assert_slopes(rotation, a)
    for a in (np.diag([1.0, 0, 0]), np.zeros((3, 3))):
        with pytest.raises(LinAlgError, match="singular vectors of equal singular values, or of 0"):
            gradient(rotation, a, head=np.arange(9.0).reshape(3, 3))


def test_the_longer_side_of_a_matrix_decides_which_singular_value_is_zero() -> None:
    """As of least squares. Not how many matrices there are."""
    nearly = np.eye(40, 2) * [1, 10 * EPS]
    for a in (nearly, nearly.T):
        np.testing.assert_array_equal(gradient(np.linalg.svdvals, a), np.sign(a) * (a == 1))
    few = nearly[:2]
    for function in (np.linalg.svdvals, lambda a: np.linalg.qr(a)[1]):
        found = gradient(function, np.stack(40 * [few]))
        np.testing.assert_allclose(found, np.broadcast_to(gradient(function, few), found.shape))
    np.testing.assert_array_equal(gradient(np.linalg.svdvals, few), np.eye(2))


# ---- norms ------------------------------------------------------------------------------------------------

VECTOR_ORDERS = [None, 2, 1, 3, 2.5, 1.5, 1, 0.5, 0, np.inf, -np.inf]
MATRIX_ORDERS: list[Any] = [None, "fro", "f", "nuc", 1, -1, 2, -2, np.inf, -np.inf]


@pytest.mark.parametrize("order", VECTOR_ORDERS)
def test_norms_of_the_vector_zero(order: Any) -> None:
    """Gradient and second derivative are 0."""
    for derivative in (1, 2):
        found = gradient(lambda x: np.linalg.norm(x, order), np.zeros(3), order=derivative)
        np.testing.assert_array_equal(found, np.zeros(3))
        if order is not None:
            found = gradient(lambda x: np.linalg.vector_norm(x, ord=order), np.zeros(3), order=derivative)
            np.testing.assert_array_equal(found, np.zeros(3))


@pytest.mark.parametrize("order", MATRIX_ORDERS)
@pytest.mark.parametrize("shape", [(2, 2), (3, 2), (2, 2, 3)])
def test_norms_of_the_matrix_zero(order: Any, shape: Any) -> None:
    found = gradient(lambda x: np.linalg.norm(x, order, (-2, -1)), np.zeros(shape))
    np.testing.assert_array_equal(found, np.zeros(shape))


@pytest.mark.parametrize(
    ("order", "x", "expected"),
    [
        (np.inf, [1.0, -3.0, 3.0], [0, -0.5, 0.5]),
        (-np.inf, [1.0, -3.0, 1.0], [0.5, 0, 0.5]),
        (np.inf, [2.0, -2.0, 2.0], np.array([1, -1, 1]) / 3),
        (-np.inf, [2.0, -2.0, 2.0, 3.0], np.array([1, -1, 1, 0]) / 3),
        (1, [[2.0, -2.0, 2.0]], np.array([[1, -1, 1]]) / 3),
        (2, 2 * np.eye(3), np.eye(3) / 3),
        (-2, 2 * np.eye(3), np.eye(3) / 3),
        (-np.inf, [0.0, 1.0], [0, 0]),
        (1, [0.0, -1.0], [0, -1]),
        (0, [0.0, -1.0], [0, 0]),
        (3, [0.0, -2.0], [0, -1]),
        (0.5, [0.0, 4.0], [0, 1]),
        (np.inf, [1.0, -1 - EPS], [0, -1]),
        (-np.inf, [-1.0, 1 + EPS], [-1, 0]),
        (1, [[1.0, 1 + EPS], [0.0, -2.0]], [[0, 1], [0, -1]]),
        (1, [[1.0, 1 + EPS], [0.0, 0.0]], [[0, 1], [0, 0]]),
        (-np.inf, [[1.0, 0.0], [1 + EPS, 0.0]], [[1, 0], [0, 0]]),
        (2, [[1.0, 0.0], [0.0, 1 + 4 * EPS]], [[0, 0], [0, 1]]),
        (300, [1.0, 2.0], [0, 1]),
        (1, [[1.0, 2.0], [-2.0, 1.0]], [[0.5, 0.5], [-0.5, 0.5]]),
        (np.inf, [[1.0, 2.0], [0.0, -1.0]], [[1, 1], [0, 0]]),
        (-1, [[1.0, 2.0], [0.0, -1.0]], [[1, 0], [0, 0]]),
        (2, [[2.0, 0.0], [0.0, 2.0]], [[0.5, 0], [0, 0.5]]),
        (2, [[2.0, 0.0], [0.0, 1.0]], [[1, 0], [0, 0]]),
        (-2, [[2.0, 0.0], [0.0, 2.0]], [[0.5, 0], [0, 0.5]]),
        (-2, [[3.0, 0, 0], [0, 2.0, 0], [0, 0, 2.0]], [[0, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]),
        (2, [[2.0, 0, 0], [0, 2.0, 0], [0, 0, 1.0]], [[0.5, 0, 0], [0, 0.5, 0], [0, 0, 0]]),
        (-1, [[1.0, -2.0, 5.0], [1.0, 0.0, 1.0]], [[0.5, -0.5, 0], [0.5, 0, 0]]),
        (-np.inf, [[1.0, -1.0], [2.0, 0.0], [5.0, 1.0]], [[0.5, -0.5], [0.5, 0], [0, 0]]),
        ("f", [[3.0, 4.0], [0.0, 0.0]], [[0.6, 0.8], [0, 0]]),
        (-2, [[2.0, 0.0], [0.0, 1.0]], [[0, 0], [0, 1]]),
        ("nuc", [[2.0, 0.0], [0.0, 2.0]], [[1, 0], [0, 1]]),
        ("nuc", [[1.0, 1.0], [1.0, 1.0]], [[0.5, 0.5], [0.5, 0.5]]),
        ("fro", [[3.0, 4.0], [0.0, 0.0]], [[0.6, 0.8], [0, 0]]),
    ],
    ids=str,
)
def test_ties_and_zeros_in_norms(order: Any, x: Any, expected: Any) -> None:
    got = gradient(lambda x: np.linalg.norm(x, order), x)
    np.testing.assert_allclose(got, expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("order", [*VECTOR_ORDERS, -1, -2.5])
def test_norms_of_one_element(order: Any) -> None:
    """They are its size, but the number of elements that are not 0."""
    x = np.array([[2.0], [-0.25], [1e-5]])
    for norm in (np.linalg.norm, np.linalg.vector_norm):
        given = {} if order is None else {"ord": order}
        for derivative, expected in ((1, np.sign(x) * (order != 0)), (2, 0 * x)):
            found = gradient(lambda x, f=norm, d=given: f(x, axis=1, **d), x, order=derivative)
            np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-9)


@pytest.mark.parametrize("order", [2, 2.5, 3, 4])
def test_second_derivative_of_a_norm_with_a_zero(order: float) -> None:
    x = np.array([0.0, 1.0, -2.0])
    share = np.abs(x) / np.linalg.norm(x, order)
    slope = np.sign(x) * share ** (order - 1)
    hessian = (
        (order - 1) / np.linalg.norm(x, order) * (np.diag(share ** (order - 2)) - np.outer(slope, slope))
    )
    found = gradient(lambda x: np.linalg.norm(x, order), x, order=2)
    np.testing.assert_allclose(found, np.sum(hessian, axis=0), atol=1e-15)


@pytest.mark.parametrize("order", [None, 2, 2.5, 3, 1.5])
@pytest.mark.parametrize(("dtype", "power"), [(np.float64, -1000), (np.float64, 1000), (np.float32, -140)])
def test_norms_that_overflow_or_underflow_have_the_slope_zero(order: Any, dtype: Any, power: int) -> None:
    """As at 0, which such a value cannot be told from: of whatever order."""
    x = tensor([2.0**power, -(2.0 ** (power + 1))], dtype)
    x.attach_grad()
    with record(), np.errstate(over="ignore"):
        y: Any = np.linalg.norm(x, order)
    assert y.item() in (0, np.inf)
    y.backward()
    np.testing.assert_array_equal(x.grad.array, [0, 0])


@pytest.mark.parametrize(
    "order", [-300, -7.5, -3, -2, -1.5, -1, -0.5, 0.25, 0.5, 1.5, 2, 2.5, 3, 7.5, 50, 300]
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_norms_of_any_order_and_size(order: float, dtype: Any) -> None:
    """The slope is 0 where the value is 0 or infinite, as at zeros. No warning but NumPy's of the value."""
    large, sizes = (660, (-660, -300, 0, 300, 660)) if dtype is np.float64 else (80, (-80, -38, 0, 38, 80))
    alike = np.array([1.0, -2.0, 3.0, 0.75])
    points = [alike * 2.0**k for k in sizes]
    points += [np.array([2.0**large, -(2.0**-large)]), np.array([0.0, 1.0]), np.array([-1.5, 0.0, 2.0, 0.5])]
    for point in points:
        x = tensor(point, dtype)
        x.attach_grad()
        with record(), np.errstate(over="ignore", divide="ignore"):
            y: Any = np.linalg.norm(x, order)
        y.backward()
        expected = np.zeros(len(point))
        if 0 < y.item() < np.inf:
            moves = point != 0
            share = np.log(np.abs(point[moves])) - np.log(y.item())
            expected[moves] = np.sign(point[moves]) * np.exp((order - 1) * share)
        np.testing.assert_allclose(x.grad.array, expected, rtol=3e4 * np.finfo(dtype).eps, atol=1e-36)


def test_an_infinite_second_derivative_stays_in_its_place() -> None:
    """That of |x|**1.5 at 0."""
    with pytest.warns(RuntimeWarning, match="divide by zero|invalid value"):
        found = gradient(lambda x: np.linalg.norm(x, 1.5), [0.0, 2.0], order=2)
    np.testing.assert_array_equal(np.isfinite(found), [False, True])


def test_norms_of_arrays_of_any_number_of_axes() -> None:
    assert gradient(np.linalg.norm, -3.0) == -1
    x = RNG.uniform(0.5, 1, (2, 3, 2))
    assert_slopes(np.linalg.norm, x, orders=3)
    assert_slopes(lambda x: np.linalg.vector_norm(x, axis=(0, 2), ord=3), x, orders=2)
    for order in MATRIX_ORDERS:
        for axes in ((2, 0), (-1, -2), (0, 2)):  # rows first
            assert_slopes(lambda x, order=order, axes=axes: np.linalg.norm(x, order, axes), x)
    assert_slopes(lambda x: np.linalg.matrix_norm(x, ord=2, keepdims=True), x, orders=2)


@pytest.mark.parametrize("order", [None, 1, 2, 3, 0.5, 0])
def test_norms_of_nothing(order: Any) -> None:
    for shape, axis in (((0,), None), ((0, 3), 0), ((3, 0), -1)):
        x = np.zeros(shape)
        assert gradient(lambda x, axis=axis: np.linalg.norm(x, order, axis), x, order=2).shape == shape


@pytest.mark.skipif(
    np.lib.NumpyVersion(np.__version__) < "2.4.0", reason="NumPy has no such norms before 2.4"
)
@pytest.mark.parametrize("order", [1, np.inf, "fro"])
def test_norms_of_empty_matrices(order: Any) -> None:
    for shape in ((0, 0), (3, 0), (2, 3, 0)) if order == 1 else ((0, 0), (0, 3), (2, 0, 3)):
        assert gradient(lambda x: np.linalg.matrix_norm(x, ord=order), np.zeros(shape)).shape == shape


def test_large_numbers_do_not_overflow_in_a_norm() -> None:
    x = tensor([3.0, 4.0], np.float16) * np.float16(1000)
    x.attach_grad()
    with record():
        y: Any = np.linalg.norm(x, np.inf)
    y.backward()
    np.testing.assert_array_equal(x.grad.array, [0, 1])
    np.testing.assert_allclose(gradient(lambda x: np.linalg.norm(x, 50), [3e5, 4e5]), [0, 1], atol=1e-5)


def test_condition_numbers() -> None:
    for p in MATRIX_ORDERS:
        assert_slopes(lambda a, p=p: np.linalg.cond(a, p), np.stack([SQUARE, SQUARE.T @ SQUARE]), orders=2)
    for p in (None, 2, -2):
        assert_slopes(lambda a, p=p: np.linalg.cond(a, p), TALL, orders=2)
        assert_slopes(lambda a, p=p: np.linalg.cond(a, p), TALL.T, orders=2)


def test_the_inverse_of_an_infinite_condition_number() -> None:
    """It is 0 where the smallest singular value is, and has the derivative 0 as that has."""
    np.testing.assert_array_equal(
        gradient(lambda a: np.linalg.cond(a, -2), np.diag([1.0, 0.0])), np.zeros((2, 2))
    )


@pytest.mark.parametrize("p", [None, 1, "fro"])
def test_infinite_condition_numbers(p: Any) -> None:
    with pytest.raises(LinAlgError, match=r"np\.linalg\.cond is infinite at a singular matrix"):
        gradient(lambda a: np.linalg.cond(a, p), np.diag([1.0, 0.0]))


def test_the_rank_is_a_constant() -> None:
    a = tensor(TALL)
    a.attach_grad()
    with record():
        rank = np.linalg.matrix_rank(a)
    assert rank.node is None
    assert rank.item() == 2


# ---- how close is equal, and how small is nothing ---------------------------------------------------------

#: by name a function of a matrix, the matrix with a small number in it, and from how many rounding errors
#: of that on it has a derivative
FROM: dict[str, tuple[Any, Any, float]] = {
    "qr, tall": (lambda a: np.linalg.qr(a)[1], lambda t: np.eye(40, 2) * [1, t], 40),
    "qr, wide": (lambda a: np.linalg.qr(a)[0], lambda t: np.eye(2, 40) * [[1], [-t]], 40),
    "qr, of four": (lambda a: np.linalg.qr(a)[1], lambda t: np.eye(40, 4) * [1, 1, 1, t], 120),
    **{
        f"{name} {sign}": (lambda a, f=f: f(a)[1], lambda t, sign=sign: np.diag([1 + t, 1, 2 * sign]), 4)
        for name, f in (("eigh", np.linalg.eigh), ("eig", real_eig))
        for sign in (1, -1)
    },
    "u, equal": (lambda a: np.linalg.svd(a)[0], lambda t: np.diag([2, 1 + t, 1]), 4),
    "v, equal": (lambda a: np.linalg.svd(a)[2], lambda t: np.diag([2, 1 + t, -1]), 4),
    "u, hermitian": (lambda a: np.linalg.svd(a, hermitian=True)[0], lambda t: np.diag([2, 1 + t, -1]), 4),
    "u, zeros": (lambda a: np.linalg.svd(a)[0], lambda t: np.diag([3, t, 0]), 3),
    "v, zeros": (lambda a: np.linalg.svd(a)[2], lambda t: np.diag([3, t, 0]), 3),
    "u, tall": (lambda a: np.linalg.svd(a, full_matrices=False)[0], lambda t: np.eye(5, 2) * [3, t], 3),
    "v, wide": (lambda a: np.linalg.svd(a, full_matrices=False)[2], lambda t: np.eye(2, 5) * [[3], [t]], 3),
    "condition": (np.linalg.cond, lambda t: np.diag([1, t]), 2),
    "condition, tall": (np.linalg.cond, lambda t: np.eye(40, 2) * [1, t], 40),
    "condition, wide": (np.linalg.cond, lambda t: np.eye(2, 40) * [[1], [-t]], 40),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", FROM)
@pytest.mark.parametrize("scale", [1, 2.0**-20, 2.0**20])
def test_from_where_on_there_is_a_derivative(name: str, dtype: Any, scale: float) -> None:
    """The rounding of the dtype decides, and the size of the matrix; not how many matrices there are."""
    function, matrix, bound = FROM[name]
    eps = float(np.finfo(dtype).eps)
    head = np.random.default_rng(0).uniform(1, 2, np.shape(function(matrix(1))))
    (got,) = gradients_in(dtype, function, [scale * matrix(2 * bound * eps)], head)
    assert np.all(np.isfinite(got))
    many = np.stack(200 * [scale * matrix(2 * bound * eps)])
    (of_many,) = gradients_in(dtype, function, [many], head)
    np.testing.assert_allclose(of_many[-1], got, rtol=1e-3)
    with pytest.raises(LinAlgError, match=r"no derivative|not independent"):
        gradients_in(dtype, function, [scale * matrix(bound * eps / 2)], head)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", OF_VALUES)
def test_from_where_on_there_is_a_second_derivative(name: str, dtype: Any) -> None:
    """Of values that differ by more than rounding, or in directions that do not by more than that."""
    eps = float(np.finfo(dtype).eps)

    def along(gap: float, off: float) -> Any:
        direction = np.array([[1, off, 0], [off, -2, 0], [0, 0, 1]], dtype)
        at = np.diag([1 + gap, 1, 2]).astype(dtype)
        return hvp(lambda a: np.sum(OF_VALUES[name](a) ** 2), at, direction)

    np.testing.assert_allclose(np.diag(along(0, 0)), [2, -4, 2], rtol=8 * eps)
    assert np.all(np.isfinite(along(8 * eps, 1)))
    assert np.all(np.isfinite(along(0, eps if name.startswith("svd") else 0)))
    for gap, off in ((2 * eps, 1), (0, 100 * eps), (0, 1)):
        with pytest.raises(LinAlgError, match="no second derivative"):
            along(gap, off)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_from_where_on_a_singular_value_is_not_zero(dtype: Any) -> None:
    """The longer side decides."""
    for times, used in ((20, 0), (80, 1)):
        small = times * np.finfo(dtype).eps
        tall, expected = np.eye(40, 2) * [1, small], np.eye(40, 2) * [1, used]
        (of_tall,) = gradients_in(dtype, np.linalg.svdvals, [tall], 1)
        (of_wide,) = gradients_in(dtype, np.linalg.svdvals, [tall.T], 1)
        np.testing.assert_array_equal([of_tall, of_wide.T], [expected, expected])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "function", [lambda a: np.linalg.qr(a, "complete")[0], lambda a: np.linalg.svd(a)[0]]
)
def test_how_much_a_space_may_depend_on_its_vectors(function: Any, dtype: Any) -> None:
    """Half the digits of the dtype."""
    a = np.random.default_rng(0).uniform(-1, 1, (4, 2))
    rest, root = function(a)[:, 2:], float(np.finfo(dtype).eps) ** 0.5

    def gradient_of_turn(turn: float, size: float) -> Any:
        head = size * rest @ [[1, turn], [-turn, 1]]
        return gradients_in(dtype, function, [a], np.concatenate([0 * head, head], axis=1))[0]

    for size in (1, 1e-9, 1e9):
        assert np.all(np.isfinite(gradient_of_turn(root / 5, size)))
        for sign in (1, -1):
            with pytest.raises(LinAlgError, match="last 2 columns"):
                gradient_of_turn(sign * 10 * root, size)
    heads = np.concatenate([np.zeros((2, 4, 2)), [rest, 1e-9 * rest @ [[1, 1], [-1, 1]]]], axis=2)
    with pytest.raises(LinAlgError, match="last 2 columns"):
        gradients_in(dtype, function, [np.stack([a, a])], heads)


@pytest.mark.parametrize("name", SINGULAR_MATRICES)
def test_determinants_of_singular_matrices_in_float32(name: str) -> None:
    a = SINGULAR_MATRICES[name] * (1e-90 if name == "large" else 1e90 if name == "small" else 1)
    a = a.astype(np.float32).astype(float)
    s = np.append(1, np.linalg.svdvals(a))
    (found,) = gradients_in(np.float32, np.linalg.det, [a], 1)
    np.testing.assert_allclose(found, cofactors(a), rtol=0, atol=6e-6 * s[1] * np.prod(s[1:-2]))
    if a.shape[0] < 5:

        def third(dtype: Any) -> Any:
            v, w = np.random.default_rng(0).uniform(-1, 1, (2, *a.shape)).astype(dtype)
            return grad(lambda a: np.sum(hvp(np.linalg.det, a, v) * w))(a.astype(dtype))

        np.testing.assert_allclose(
            third(np.float32), third(float), rtol=0, atol=1e-5 * s[1] ** max(len(a) - 3, 0)
        )


# ---- of all rows ------------------------------------------------------------------------------------------

SIDES = np.array([[1.0, -2.0], [0.5, 0.25], [3.0, 1.0]])
EXACT = np.array([[2.0, 0.5, -0.25], [0.375, -1.0, 0.75], [0.3125, -0.25, 1.125]])  # in float32 as well
DEFINITE = np.array([[3.0, 0.5, 0.25], [0.5, 2.0, -0.75], [0.25, -0.75, 1.5]])
LONG = np.array([[1.0, 0.3125], [-0.375, 2.0], [0.5, -0.75], [1.25, 0.375]])


def space(q: Any) -> Any:
    """That of the last columns."""
    return q[..., 2:] @ np.swapaxes(q[..., 2:], -1, -2)


#: by name a function, its degree in some matrices, and these
OF_DEGREE: dict[str, tuple[Any, ...]] = {
    "inv": (np.linalg.inv, -1, EXACT),
    "pinv": (np.linalg.pinv, -1, LONG),
    "pinv, hermitian": (lambda a: np.linalg.pinv(a, hermitian=True), -1, DEFINITE),
    "solve": (lambda a: np.linalg.solve(a, SIDES.astype(a.dtype)), -1, EXACT),
    "solve by the right side": (lambda b: np.linalg.solve(EXACT.astype(b.dtype), b), 1, SIDES),
    "lstsq": (lambda a: np.linalg.lstsq(a, np.ones((4, 2), a.dtype))[0], -1, LONG),
    "lstsq, by both": (lambda a, b: np.linalg.lstsq(a, b)[0], 0, LONG, LONG**2),
    "lstsq, squares": (lambda a, b: np.linalg.lstsq(a, b)[1], 2, LONG, LONG**2),
    "lstsq, values": (lambda a: np.linalg.lstsq(a, np.ones(4, a.dtype))[3], 1, LONG),
    "tensorinv": (lambda a: np.linalg.tensorinv(a, 1), -1, EXACT),
    "tensorsolve": (lambda a: np.linalg.tensorsolve(a, np.ones(3, a.dtype)), -1, EXACT),
    "det": (np.linalg.det, 3, EXACT),
    "det, singular": (np.linalg.det, 3, SINGULAR),
    "slogdet": (lambda a: np.linalg.slogdet(a)[1], 0, EXACT),
    "cholesky": (lambda a: np.linalg.cholesky(a) ** 2, 1, DEFINITE),
    "cholesky, upper": (lambda a: np.linalg.cholesky(a, upper=True) ** 2, 1, DEFINITE),
    "q": (lambda a: np.linalg.qr(a)[0], 0, LONG),
    "r": (lambda a: np.linalg.qr(a)[1], 1, LONG),
    "r, alone": (lambda a: np.linalg.qr(a, "r"), 1, LONG.T),
    "q, complete": (lambda a: space(np.linalg.qr(a, "complete")[0]), 0, LONG),
    "eigh, values": (lambda a: np.linalg.eigh(a)[0], 1, DEFINITE),
    "eigh, vectors": (lambda a: np.linalg.eigh(a)[1] ** 2, 0, DEFINITE),
    "eigvalsh": (np.linalg.eigvalsh, 1, DEFINITE),
    "eig, values": (lambda a: np.sort(real_eig(a)[0]), 1, EXACT),
    "eig, vectors": (lambda a: np.sort(real_eig(a)[1] ** 2), 0, EXACT),
    "eigvals": (lambda a: np.sort(real_eigvals(a)), 1, EXACT),
    "svd, u": (lambda a: np.linalg.svd(a, full_matrices=False)[0] ** 2, 0, LONG),
    "svd, s": (lambda a: np.linalg.svd(a)[1], 1, LONG),
    "svd, v": (lambda a: np.linalg.svd(a)[2] ** 2, 0, LONG),
    "svd, full": (lambda a: space(np.linalg.svd(a)[0]), 0, LONG),
    "svd, full v": (lambda a: space(np.swapaxes(np.linalg.svd(a)[2], -1, -2)), 0, LONG.T),
    "svd, hermitian": (lambda a: np.linalg.svd(a, hermitian=True)[0] ** 2, 0, DEFINITE),
    "svdvals": (np.linalg.svdvals, 1, LONG),
    **{f"norm {p}": (partial(np.linalg.norm, ord=p), 1, LONG) for p in MATRIX_ORDERS},
    **{f"matrix norm {p}": (partial(np.linalg.matrix_norm, ord=p), 1, LONG) for p in MATRIX_ORDERS[1:]},
    **{f"condition {p}": (partial(np.linalg.cond, p=p), 0, EXACT) for p in MATRIX_ORDERS if p},
    "condition, tall": (np.linalg.cond, 0, LONG),
    "power 3": (lambda a: np.linalg.matrix_power(a, 3), 3, EXACT),
    "power -2": (lambda a: np.linalg.matrix_power(a, -2), -2, EXACT),
    "multi_dot": (lambda a, b: np.linalg.multi_dot([a, b, a]), 3, EXACT, DEFINITE),
    "roots": (lambda p: np.sort(np.roots(p)), 0, np.array([1.0, -1.25, -0.5, 0.25])),
    "polyfit": (lambda y: np.polyfit(np.array([0, 1.0, 2, 4], y.dtype), y, 1), 1, np.array([1.0, 3, 2, 4])),
    **{
        f"vector {p}": (lambda x, p=p: np.linalg.norm(x, p, axis=1), 1, LONG)
        for p in (*VECTOR_ORDERS, -1, -2)
        if p != 0
    },
    **{
        f"vector_norm {p}": (lambda x, p=p: np.linalg.vector_norm(x, axis=1, ord=p), 1, LONG)
        for p in (*VECTOR_ORDERS[1:], -1, -2)
        if p != 0
    },
}


@pytest.mark.parametrize("name", OF_DEGREE)
def test_gradients_in_other_units_of_measure_and_in_float32(name: str) -> None:
    """Of norms of vectors, in every element."""
    function, degree, *points = OF_DEGREE[name]
    head = np.resize([1.0, -0.5, 2.0, 0.25, -3.0], np.shape(function(*points)))
    expected = gradients_in(float, function, points, head)
    scales = {np.float64: (-300, -40, 40, 300), np.float32: (-30, -12, 0, 12, 30)}
    for dtype, power in ((dtype, power) for dtype, powers in scales.items() for power in powers):
        found = gradients_in(dtype, function, [p * 2.0**power for p in points], head)
        for got, truth in zip(found, expected, strict=True):
            truth = truth * 2.0 ** (power * (degree - 1))
            size = np.abs(truth) if name.startswith("vector") else np.max(np.abs(truth))
            assert np.all(np.abs(got - truth) <= 500 * np.finfo(dtype).eps * size), (
                f"2**{power} in {got.dtype}"
            )


@pytest.mark.parametrize(
    "function",
    [np.linalg.inv, np.linalg.det, np.linalg.pinv, lambda a: np.linalg.slogdet(a)[1], np.linalg.svdvals],
    ids=["inv", "det", "pinv", "slogdet", "svdvals"],
)
def test_third_order(function: Any) -> None:
    assert_slopes(function, SQUARE, orders=3)


OF_TWO: dict[str, tuple[Any, Any, Any]] = {
    "solve": (np.linalg.solve, EXACT, SIDES),
    "solve a vector": (np.linalg.solve, EXACT, SIDES[:, 0]),
    "tensorsolve": (np.linalg.tensorsolve, EXACT, SIDES[:, 0]),
    **{f"lstsq, {i}": (lambda a, b, i=i: np.linalg.lstsq(a, b)[i], LONG, LONG**2) for i in (0, 1)},
    "multi_dot": (lambda a, b: np.linalg.multi_dot([b, a, b]), EXACT, DEFINITE),
    "cross": (np.linalg.cross, EXACT, DEFINITE),
    "matmul": (np.matmul, EXACT, DEFINITE),
    "einsum": (lambda a, b: np.einsum("ij,jk->ki", a, b), EXACT, DEFINITE),
}


@pytest.mark.parametrize("name", OF_TWO)
def test_a_matrix_in_float32_beside_one_in_float64(name: str) -> None:
    """Nothing is lost of the latter: it gets what it gets beside the same numbers in float64."""
    function, *pair = OF_TWO[name]
    pair = [p + p / 3 for p in pair]
    head = np.random.default_rng(0).uniform(-1, 1, np.shape(function(*pair)))
    for i in (0, 1):
        x, beside = pair[i], pair[1 - i].astype(np.float32)
        got, expected = (
            gradient(lambda x, c=c, i=i: function(*((x, c) if i == 0 else (c, x))), x, head=head)
            for c in (beside, beside.astype(float))
        )
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-13)


SINGLE = SQUARE.astype(np.float32)
CALLS_IN_FLOAT32: list[tuple[Any, tuple[Any, ...]]] = [
    *(
        (f, (SINGLE,))
        for f in (np.linalg.inv, np.linalg.pinv, np.linalg.det, np.linalg.slogdet, np.linalg.cond)
    ),
    *(
        (f, (SINGLE,))
        for f in (np.linalg.qr, np.linalg.svd, np.linalg.svdvals, np.linalg.eig, np.linalg.eigh)
    ),
    *((f, (SINGLE @ SINGLE.T,)) for f in (np.linalg.cholesky, np.linalg.eigvalsh, np.linalg.eigvals)),
    *((np.linalg.norm, (SINGLE, order)) for order in MATRIX_ORDERS),
    *((np.linalg.norm, (SINGLE[0], np.float64(order))) for order in VECTOR_ORDERS[1:]),
    *((np.linalg.cond, (SINGLE, p)) for p in (1, "fro", -2)),
    *(
        (f, (SINGLE, SINGLE))
        for f in (np.linalg.solve, np.linalg.lstsq, np.matmul, np.dot, np.kron, np.inner)
    ),
    *((f, (SINGLE, SINGLE)) for f in (np.tensordot, np.cross, np.vdot, np.outer, np.vecdot)),
    (np.linalg.det, (SINGULAR.astype(np.float32),)),
    (np.linalg.det, (np.zeros((3, 3), np.float32),)),
    (np.linalg.lstsq, (TALL.astype(np.float32), np.ones(4, np.float32))),
    (np.linalg.matrix_power, (SINGLE, 3)),
    (np.linalg.multi_dot, ([SINGLE, SINGLE, SINGLE],)),
    (np.einsum, ("ii,ij", SINGLE, SINGLE)),
    (np.trace, (SINGLE,)),
    (np.linalg.tensorinv, (SINGLE, 1)),
    (np.linalg.tensorsolve, (SINGLE, SINGLE[0])),
]


@pytest.mark.parametrize(("function", "arguments"), CALLS_IN_FLOAT32)
def test_rules_stay_in_float32(function: Any, arguments: tuple[Any, ...]) -> None:
    """Not only the gradients, which have their variable's dtype anyway, but all that leads to them."""
    y = function(*arguments)
    parts = tuple(map(np.real, y if isinstance(y, tuple) else (y,)))
    y = parts if isinstance(y, tuple) else parts[0]
    g = tuple(np.ones_like(part) for part in parts)
    for rule, argument in zip(DERIVATIVES[function].rules, arguments, strict=False):
        if callable(rule) and not isinstance(argument, str):
            made: Any = rule(g if isinstance(y, tuple) else g[0], y, *arguments)
            for one in made if isinstance(made, list) else [made]:
                assert one.dtype == np.float32


@pytest.mark.parametrize("p", [2.5, 3, 4, 5])
def test_the_slope_of_a_norm_by_a_small_element_is_no_zero(p: float) -> None:
    """Where its power is one."""
    slopes = gradient(lambda x: np.linalg.norm(x, p), [1e-60, -1e-130])
    np.testing.assert_allclose(slopes, [1, -((1e-70) ** (p - 1))], rtol=1e-9)


@pytest.mark.parametrize("p", [1, -1, np.inf, -np.inf, "fro", None])
def test_a_norm_that_is_nan_has_no_finite_slope(p: Any) -> None:
    with np.errstate(invalid="ignore"):
        slopes = gradient(lambda x: np.linalg.norm(x, p), [[np.nan, 1.0], [2.0, 3.0]])
    assert not np.isfinite(slopes).any()


@pytest.mark.parametrize("p", VECTOR_ORDERS[:-2])
def test_the_slope_by_an_infinite_element_is_not_known(p: Any) -> None:
    """Those by the others are 0; but of the sum of sizes all slopes are signs."""
    expected = {1: [1, -1], 0: [0, 0]}.get(p, [np.nan, 0])
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(gradient(lambda x: np.linalg.norm(x, p), [np.inf, -2.0]), expected)


@pytest.mark.parametrize("p", [1, -1, np.inf, -np.inf, "fro"])
def test_a_condition_number_that_is_nan_is_no_error(p: Any) -> None:
    with np.errstate(invalid="ignore"):
        slopes = gradient(lambda a: np.linalg.cond(a, p), [[np.nan, 1.0], [2.0, 3.0]])
    assert not np.isfinite(slopes).any()
