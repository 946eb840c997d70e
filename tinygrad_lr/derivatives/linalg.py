"""Linear algebra: `numpy.linalg`, on matrices and on stacks of them.

Where a derivative does not exist, or is a matter of convention:

- *Symmetric matrices.* cholesky, eigh and eigvalsh, and pinv and svd with `hermitian=True`, read one triangle
  of their argument and take the other for its mirror image. So has their gradient: an element that is read
  counts twice, one that is not has 0. The symmetric gradient G that other libraries give is (g + gᵀ) / 2.
- *Singular matrices.* det has its exact gradient, the cofactors, at singular matrices of any rank as well,
  and exact higher derivatives. inv and solve have no value there, slogdet and cond are infinite: LinAlgError.
- *Rank.* pinv and lstsq are smooth only among matrices of one rank. The gradient is exact in all directions
  at full rank; at lower rank, in those that keep the rank. qr needs its leading columns to be independent.
- *Repeated eigenvalues or singular values.* The vectors are not determined there and have no derivative:
  LinAlgError if a gradient arrives at such a vector. The values have one-sided derivatives, and the gradient
  is an average of these. Their second derivatives do not exist, and those of smooth functions of them all,
  such as the sum of their squares, are not to be had from them: LinAlgError in directions that would need
  them. Equal means closer than rounding lets them be known.
- *Complex eigenvalues.* They have no derivative here: an error. Real ones are real numbers to tensors that
  are being differentiated, also since NumPy 2.5, whose eig and eigvals make complex numbers of all.
- *Signs.* Eigenvectors, singular vectors and the columns of q are determined up to a sign, which LAPACK
  chooses; the derivative is that of the branch it chose. Where only the space of some columns is determined
  (more than one column beyond the square part in qr's "complete" and svd's `full_matrices`), a gradient that
  depends on more is a LinAlgError.
- *Zero.* A norm has the gradient 0 at 0, and where powers of numbers make its value 0 or infinite by the
  range of the dtype; so has a singular value at 0, from svdvals. Ties of the orders 2, -2, 1, -1, inf and
  -inf split evenly.
- *Compiled code* cannot ask for values: there NaN stands for these errors, and det is for regular matrices.

The derivatives of the decompositions are those of M. Giles, An extended collection of matrix derivative
results for forward and reverse mode AD (2008), if no other source is given.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .products import ones_on_diagonal, outer, transposed
from .table import composed, constant, derivative, differentiable, spreading

# ---- inverses and solutions -------------------------------------------------------------------------------


def _mirrored(a: Any) -> Any:
    """The symmetric matrix with a's lower triangle."""
    return np.tril(a) + transposed(np.tril(a, -1))


def _on_triangle(g: Any, upper: bool = False) -> Any:
    """The gradient of a, from that of the symmetric matrix that has a's lower triangle, or its upper one."""
    folded = g + transposed(g) - g * ones_on_diagonal(g, *g.shape[-2:])
    return np.triu(folded) if upper else np.tril(folded)


def _inv(g: Any, y: Any) -> Any:
    return -transposed(y) @ g @ transposed(y)


def _tensorinv(g: Any, y: Any, a: Any, ind: int = 2) -> Any:
    size = (math.prod(a.shape[ind:]),) * 2
    return np.reshape(_inv(np.reshape(g, size), np.reshape(y, size)), a.shape)


def _pinv(g: Any, y: Any, a: Any, hermitian: bool = False) -> Any:
    """G. Golub and V. Pereyra, The differentiation of pseudo-inverses and nonlinear least squares (1973)."""
    a = _mirrored(a) if hermitian else a
    p, q, h = y, transposed(y), transposed(g)
    outside = (h - a @ (p @ h)) @ p @ q + q @ p @ (h - (h @ p) @ a)  # what a's columns and rows do not span
    gradient = outside - q @ g @ q
    return _on_triangle(gradient) if hermitian else gradient


def _solve_b(g: Any, a: Any, b: Any) -> Any:
    """y = a⁻¹ b, so the gradient of b is a⁻ᵀ g; as for NumPy, b is a vector if it has just one axis."""
    if b.ndim == 1:
        return np.squeeze(np.linalg.solve(transposed(a), np.expand_dims(g, -1)), -1)
    return np.linalg.solve(transposed(a), g)


def _solve_a(g: Any, y: Any, a: Any, b: Any) -> Any:
    """d(a⁻¹ b) = -a⁻¹ da y, so it is -(a⁻ᵀ g) yᵀ."""
    gb = _solve_b(g, a, b)
    return -outer(gb, y) if b.ndim == 1 else -gb @ transposed(y)


def _tensorsolve(g: Any, y: Any, a: Any, b: Any, axes: Any) -> tuple[Any, Any]:
    """The gradients of a and of b."""
    moved = [] if axes is None else list(axes)
    a = np.moveaxis(a, moved, range(-len(moved), 0))
    square = np.reshape(a, (b.size, b.size))
    gb = _solve_b(np.ravel(g), square, np.ravel(b))
    ga = np.reshape(-outer(gb, np.ravel(y)), a.shape)
    return np.moveaxis(ga, range(-len(moved), 0), moved), np.reshape(gb, b.shape)


def _lstsq(g: Any, y: Any, a: Any, b: Any, rcond: float | None) -> tuple[Any, Any]:
    """The gradients of a and b, from those of the solution, the sums of squares and the singular values.

    The solution is x = a⁺ b, differentiated as pinv is. The sums |b - a x|², where they are given, do not
    change with x, which makes them least.
    """
    (x, squares, _, _), (gx, g_squares, _, g_values) = y, g
    a = a.astype(x.dtype)  # with b of another one nothing is lost
    if b.ndim == 1:
        x, b, gx = np.expand_dims(x, -1), np.expand_dims(b, -1), np.expand_dims(gx, -1)
    eps = np.finfo(float).eps  # in which NumPy computes, whatever the dtype
    cutoff: float = max(a.shape) * eps if rcond is None else rcond
    p = np.linalg.pinv(a, cutoff if 0 < cutoff < 1 else eps / 2)  # LAPACK takes no others
    q, rest = transposed(p), b - a @ x
    gb = q @ gx
    ga = rest @ transposed(p @ gb) + q @ x @ transposed(gx - p @ (a @ gx)) - gb @ transposed(x)
    if squares.size:
        slope = 2 * rest * g_squares
        ga, gb = ga - slope @ transposed(x), gb + slope
    return ga + _svdvals(lambda s: g_values, a), gb


def _lstsq_b(g: Any, y: Any, a: Any, b: Any, rcond: float | None = None) -> Any:
    return np.reshape(_lstsq(g, y, a, b, rcond)[1], b.shape)


# fmt: off

derivative(np.linalg.inv,   lambda g, y, a: _inv(g, y))
derivative(np.linalg.pinv,  lambda g, y, a, rcond=None, hermitian=False, *, rtol=None: (
                                _pinv(g, y, a, hermitian)))
derivative(np.linalg.solve, _solve_a,
                            lambda g, y, a, b: _solve_b(g, a, b))
derivative(np.linalg.lstsq, lambda g, y, a, b, rcond=None: _lstsq(g, y, a, b, rcond)[0],
                            _lstsq_b)
derivative(np.linalg.tensorinv,   _tensorinv)
derivative(np.linalg.tensorsolve, lambda g, y, a, b, axes=None: _tensorsolve(g, y, a, b, axes)[0],
                                  lambda g, y, a, b, axes=None: _tensorsolve(g, y, a, b, axes)[1])

# fmt: on


def _unless(wrong: Any, message: str, made: Any) -> Any:
    """What was made, or an error if something is wrong; in compiled code, which cannot ask, NaN."""
    anywhere = np.any(wrong)
    try:
        known = bool(anywhere)
    except RuntimeError:
        return np.where(anywhere, made.dtype.type(np.nan), made)
    if known:
        raise np.linalg.LinAlgError(message)
    return made


# ---- determinants -----------------------------------------------------------------------------------------


@differentiable()
def _border(a: Any) -> tuple[Any, Any, Any]:
    """Constants u, v and s such that a / s + u v is well conditioned, with as few columns in u as that needs.

    Each small singular value is raised by 1; the largest is about as large, s being a power of two.
    """
    u, s, v = np.linalg.svd(a)
    small = np.sum(s < s[..., :1] / 10, axis=-1)
    large = a.shape[-1] - int(np.max(small, initial=0))
    largest = s[..., None, :1]
    return u[..., large:], v[..., large:, :], largest / (2 * np.frexp(largest)[0])


def _cofactors(a: Any, negligible: Any = 0) -> Any:
    """The gradient of det a: the transposed adjugate, a polynomial, here for singular matrices as well.

    With b = a / s + u v and k = s - s v b⁻¹ u, for whatever constants u, v and s, det a = det b det k times a
    power of s (the matrix determinant lemma). So b can be made regular, of sizes about 1, and k is smaller
    than a. k is as large as what is small in a, lest its products vanish beside those of s.
    """
    size = a.shape[-1]
    if size < 2:
        return np.ones_like(a)
    zero = np.all(np.abs(a) <= negligible, axis=(-2, -1), keepdims=True)
    try:
        any_zero = bool(np.any(zero))
    except RuntimeError:  # compiled code cannot ask, and is for regular matrices
        return np.expand_dims(np.linalg.det(a), (-2, -1)) * transposed(np.linalg.inv(a))
    if any_zero:
        one = ones_on_diagonal(a, size, size)
        return np.where(zero, _cofactors_near_zero(a), _cofactors(np.where(zero, one, a)))
    u, v, scale = _border(a)
    b = a / scale + u @ v
    adjugate = inverse = np.linalg.inv(b)
    if few := u.shape[-1]:
        k = scale * (ones_on_diagonal(a, few, few) - v @ inverse @ u)
        cofactors = _cofactors(k, 100 * np.finfo(a.dtype).eps * scale)  # of a lower rank, k is but rounding
        det = np.sum(k * cofactors, axis=(-2, -1), keepdims=True) / few
        adjugate = det / scale * inverse + inverse @ u @ transposed(cofactors) @ v @ inverse
    factor = scale ** (size - max(few, 1)) * np.expand_dims(np.linalg.det(b), (-2, -1))
    return factor * transposed(adjugate)


def _cofactors_near_zero(a: Any) -> Any:
    """By the algorithm of Faddeev and Le Verrier, which divides by whole numbers only."""
    one = ones_on_diagonal(a, *a.shape[-2:])
    adjugate = one
    for i in range(1, a.shape[-1]):
        adjugate = a @ adjugate
        trace = np.expand_dims(np.trace(adjugate, axis1=-2, axis2=-1), (-2, -1))
        adjugate = trace / i * one - adjugate
    return transposed(adjugate)


def _slope_of_logarithm(a: Any) -> Any:
    """The gradient of log |det a|: the transposed inverse."""
    try:
        return transposed(np.linalg.inv(a))
    except np.linalg.LinAlgError:
        raise np.linalg.LinAlgError(
            "the determinant is 0, and its logarithm has an infinite derivative there; np.linalg.det has a "
            "finite one"
        ) from None


# fmt: off

derivative(np.linalg.det,     lambda g, y, a: np.expand_dims(g, (-2, -1)) * _cofactors(a))
derivative(np.linalg.slogdet, lambda g, y, a: np.expand_dims(g[1], (-2, -1)) * _slope_of_logarithm(a))

# fmt: on


# ---- decompositions ---------------------------------------------------------------------------------------


def _cholesky(g: Any, y: Any, a: Any, *, upper: bool = False) -> Any:
    """I. Murray, Differentiation of the Cholesky decomposition (2016), equation 10."""
    lt, g = (y, transposed(g)) if upper else (transposed(y), g)
    half = np.linalg.solve(lt, _mirrored(lt @ np.tril(g)))  # the zeros of l depend on nothing
    return _on_triangle(np.linalg.solve(lt, transposed(half)) / 2, upper)


def _from_square_part(g: Any, q: Any, size: int) -> tuple[Any, Any]:
    """Orthogonal q with its first columns only, and its gradient g in which that of the others is taken up.

    The others span what the first do not, and turn with them. How they turn among themselves is not
    determined, so g must not depend on it.
    """
    rest, g_rest = q[..., size:], g[..., size:]
    q, g = q[..., :size], g[..., :size]
    if rest.shape[-1] == 0:
        return g, q
    turn = transposed(rest) @ g_rest
    bound = np.finfo(q.dtype).eps ** 0.5 * np.sum(np.abs(g_rest), axis=(-2, -1), keepdims=True)
    message = (
        f"the last {rest.shape[-1]} columns of an orthogonal matrix are not determined, only the space "
        "that they span, and so have no derivative. Use the reduced decomposition: np.linalg.qr(a), "
        "np.linalg.svd(a, full_matrices=False)."
    )
    wrong = turn - transposed(turn) > bound  # for one of two elements, as they are of either sign
    return _unless(wrong, message, g - rest @ (transposed(g_rest) @ q)), q


def _qr(g: Any, y: Any, a: Any, mode: str = "reduced") -> Any:
    """S. Walter and L. Lehmann, Algorithmic differentiation of linear algebra functions (2018).

    Of a wide matrix the first columns x are decomposed, and the others are q times the rest of r.
    """
    if mode == "r":
        q, r = np.linalg.qr(a)
        gq, gr = np.zeros_like(q), g
    elif mode in ("reduced", "complete"):
        (gq, gr), (q, r) = g, y
    else:
        raise np.linalg.LinAlgError(
            f'np.linalg.qr(a, mode="{mode}") has no derivative. Use mode="reduced", "complete" or "r".'
        )
    size = min(a.shape[-2:])
    gq, q = _from_square_part(gq, q, size)
    r, gr, gr_rest = r[..., :size, :size], np.triu(gr[..., :size, :size]), gr[..., :size, size:]
    scales = np.abs(np.einsum("...ii->...i", r))
    rounding = max(a.shape[-2:]) * np.finfo(r.dtype).eps
    message = (
        f"np.linalg.qr has no derivative where the first {size} columns of the matrix are not independent"
    )
    gq = _unless(scales <= rounding * np.sum(scales, axis=-1, keepdims=True), message, gq)
    gq = gq + a[..., size:] @ transposed(gr_rest)
    gx = gq + q @ _mirrored(r @ transposed(gr) - transposed(gq) @ q)
    gx = transposed(np.linalg.solve(r, transposed(gx)))
    return np.concatenate([gx, q @ gr_rest], -1)


def _quotient(x: Any, d: Any, values: Any, vectors: str) -> Any:
    """x / d, for d made of the given values; where d counts as 0, x must be 0."""
    size = np.expand_dims(np.sum(np.abs(values), axis=-1, keepdims=True), -1)
    unknown = np.abs(d) <= np.finfo(d.dtype).eps * size
    message = (
        f"{vectors} are not determined and so have no derivative, nor have the values a second one. "
        "First derivatives of the values alone can be had: np.linalg.eigvalsh, eigvals, svdvals."
    )
    return _unless(unknown & (x != 0), message, x / np.where(unknown, 1, d))


def _gaps(values: Any) -> Any:
    """The differences of all values, those of the columns minus those of the rows."""
    return np.expand_dims(values, -2) - np.expand_dims(values, -1)


def _turns(vectors: Any, g: Any) -> Any:
    """How much a small turn of each vector towards each other one moves what g is the gradient of."""
    made = transposed(vectors) @ g
    return made * (1 - ones_on_diagonal(made, *made.shape[-2:]))


def always_complex(version: str) -> bool:
    """Whether eig and eigvals of a version of NumPy make complex numbers of real eigenvalues as well."""
    return tuple(map(int, version.split(".")[:2])) >= (2, 5)


ALWAYS_COMPLEX = always_complex(np.__version__)
EIGENVECTORS = "the eigenvectors of equal eigenvalues"
SINGULAR_VECTORS = "the singular vectors of equal singular values, or of 0,"


def _of_diagonal(h: Any, y: Any, g: Any, values: Any) -> Any:
    """The diagonal of h; an error where the gradient g of equal values were to change with other elements."""
    size = np.expand_dims(np.sum(np.abs(values), axis=-1, keepdims=True), -1)
    equal = np.abs(_gaps(values)) <= np.finfo(values.dtype).eps * size
    noise = values.shape[-1] * np.finfo(values.dtype).eps * np.sum(np.abs(h), axis=(-2, -1), keepdims=True)
    elsewhere = ones_on_diagonal(h, *h.shape[-2:]) == 0
    message = (
        "equal eigenvalues or singular values have no second derivative. A function of all of them may "
        "have one: write it without them, as np.sum(a * a) for the sum of the squares of singular values."
    )
    wrong = equal & (np.abs(h) > noise) & elsewhere
    return _unless(wrong, message, np.diagonal(h, axis1=-2, axis2=-1))


@differentiable(_of_diagonal, None)
def of_values(g: Any, values: Any) -> Any:
    """The diagonal matrix of the gradient of some values."""
    return np.expand_dims(g, -2) * ones_on_diagonal(g, g.shape[-1], g.shape[-1])


def _eigh(g: Any, y: Any, a: Any, UPLO: Any = "L") -> Any:
    (gw, gv), (w, v) = g, y
    turns = _quotient(_turns(v, gv), _gaps(w), w, EIGENVECTORS)
    return _on_triangle(v @ (of_values(gw, w) + turns) @ transposed(v), UPLO in "Uu")


def _eigvalsh(g: Any, y: Any, a: Any, UPLO: Any = "L") -> Any:
    w, v = np.linalg.eigh(a, UPLO)
    return _on_triangle(v @ of_values(g, w) @ transposed(v), UPLO in "Uu")


def _eig(g: Any, y: Any, a: Any) -> Any:
    """As eigh, but v⁻ᵀ stands for v; the vectors keep the length 1."""
    (gw, gv), (w, v) = g, y
    vt = transposed(v)
    along = np.sum(v * gv, axis=-2, keepdims=True)  # a vector does not become longer
    turns = _quotient(_turns(v, gv - v * along), _gaps(w), w, EIGENVECTORS)
    return np.linalg.solve(vt, (of_values(gw, w) + turns) @ vt)


def _eigvals(g: Any, y: Any, a: Any) -> Any:
    w, v = real_eig(a) if ALWAYS_COMPLEX else np.linalg.eig(a)
    vt = transposed(v)
    return np.linalg.solve(vt, of_values(g, w) @ vt)


def _real(found: Any) -> Any:
    """Complex numbers as real ones. While a function is compiled nobody knows whether they are: then NaN."""
    if not hasattr(found, "is_tensor") and np.any(np.imag(found)):
        raise np.linalg.LinAlgError(
            "np.linalg.eig and eigvals have no derivative where eigenvalues are complex; only real numbers "
            "have derivatives here"
        )
    return np.where(np.imag(found) == 0, np.real(found), np.nan)


@differentiable(_eig)
def real_eig(a: Any) -> Any:
    """np.linalg.eig of a matrix with real eigenvalues.

    NumPy makes complex numbers of them since 2.5, and before only where there are complex ones.
    """
    found = np.linalg.eig(a)
    return type(found)(*map(_real, found))


@differentiable(_eigvals)
def real_eigvals(a: Any) -> Any:
    """np.linalg.eigvals of a matrix with real eigenvalues, as `real_eig`."""
    return _real(np.linalg.eigvals(a))


def _svdvals(slope: Callable[[Any], Any], a: Any, hermitian: bool = False) -> Any:
    """The gradient from that of the singular values s, slope(s). Like |x|, s has the derivative 0 at 0."""
    u, s, vt = np.linalg.svd(a, full_matrices=False, hermitian=hermitian)
    positive = s > max(a.shape[-2:]) * np.finfo(s.dtype).eps * s[..., :1]
    gradient = u @ of_values(np.where(positive, slope(s), 0), s) @ vt
    return _on_triangle(gradient) if hermitian else gradient


def _svd(
    g: Any, y: Any, a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Any:
    """J. Townsend, Differentiating the singular value decomposition (2016)."""
    if not compute_uv:
        return _svdvals(lambda s: g, a, hermitian)
    (gu, gs, gvt), (u, s, vt) = g, y
    gu, u = _from_square_part(gu, u, s.shape[-1])
    gv, v = _from_square_part(transposed(gvt), transposed(vt), s.shape[-1])
    sums = np.expand_dims(s, -2) + np.expand_dims(s, -1)
    left, right = _turns(u, gu), _turns(v, gv)
    left, right = left - transposed(left), right - transposed(right)
    inner = _quotient(left + right, _gaps(s), s, SINGULAR_VECTORS) / 2
    inner = inner + _quotient(left - right, sums, s, SINGULAR_VECTORS) / 2
    values = np.expand_dims(s, -2)
    gradient = u @ (of_values(gs, s) + inner)
    if a.shape[-2] > a.shape[-1]:
        gradient = gradient + _quotient(gu - u @ (transposed(u) @ gu), values, s, SINGULAR_VECTORS)
    gradient = gradient @ transposed(v)
    if a.shape[-2] < a.shape[-1]:
        outside = _quotient(gv - v @ (transposed(v) @ gv), values, s, SINGULAR_VECTORS)
        gradient = gradient + u @ transposed(outside)
    return _on_triangle(gradient) if hermitian else gradient


# fmt: off

derivative(np.linalg.cholesky, _cholesky)
derivative(np.linalg.qr,       _qr)
derivative(np.linalg.eigh,     _eigh)
derivative(np.linalg.eigvalsh, _eigvalsh)
derivative(np.linalg.eig,      _eig)
derivative(np.linalg.eigvals,  _eigvals)
composed(np.linalg.eig,        lambda a: real_eig(a) if ALWAYS_COMPLEX else NotImplemented)
composed(np.linalg.eigvals,    lambda a: real_eigvals(a) if ALWAYS_COMPLEX else NotImplemented)
derivative(np.linalg.svd,      _svd)
derivative(np.linalg.svdvals,  lambda g, y, x: _svdvals(lambda s: g, x))

# fmt: on


# ---- norms ------------------------------------------------------------------------------------------------


def _evenly(best: Any, axes: Any, like: Any) -> Any:
    """One, split evenly between all that are best."""
    best = best.astype(like.dtype)
    return best / np.sum(best, axis=axes, keepdims=True)


def _vector_norm(y: Any, x: Any, p: float, axes: tuple[int, ...]) -> Any:
    """The gradient of the p-norm over some axes, which y has with size 1."""
    if p == 2:
        return np.where(y == 0, 0, x / np.where(y == 0, 1, y))
    if p == 1:
        return np.sign(x)
    if p == 0:  # the number of elements that are not 0
        return np.zeros_like(x)
    if math.isinf(p):
        return np.sign(x) * _evenly(np.abs(x) == y, axes, x)
    still = (y == 0) | (np.isinf(y) & np.isfinite(x)) | ((x == 0) & (p < 1))
    size, y, sign = np.where(still, 1, np.abs(x)), np.where(still, 1, y), np.where(still, 0, np.sign(x))
    if 0 < p < 2:  # where the second derivative at x = 0 is infinite, this keeps it from the other elements
        return sign * size ** (p - 1) / y ** (p - 1)
    return sign * (size / y if p > 0 else y / size) ** abs(p - 1)  # no larger than 1, without overflow


def _matrix_norm(x: Any, p: Any, axes: tuple[int, ...]) -> Any:
    """The gradient of a norm of the matrices along two axes, rows first."""
    if p in ("nuc", 2, -2):
        slopes: dict[Any, Callable[[Any], Any]] = {
            "nuc": np.ones_like,
            2: lambda s: _evenly(s == s[..., :1], -1, s),
            -2: lambda s: _evenly(s == s[..., -1:], -1, s),
        }
        return np.moveaxis(_svdvals(slopes[p], np.moveaxis(x, axes, (-2, -1))), (-2, -1), axes)
    along, across = axes if abs(p) == 1 else axes[::-1]
    sums = np.sum(np.abs(x), axis=along, keepdims=True)
    if 0 in sums.shape:
        return x
    best = (np.max if p > 0 else np.min)(sums, axis=across, keepdims=True)
    return np.sign(x) * _evenly(sums == best, across, x)


def _norm(g: Any, y: Any, x: Any, p: Any, axes: tuple[int, ...], matrix: bool | None, keepdims: bool) -> Any:
    matrix = len(axes) == 2 if matrix is None else matrix
    if not keepdims:
        g, y = np.expand_dims(g, axes), np.expand_dims(y, axes)
    if p in (None, "fro", "f"):
        return g * _vector_norm(y, x, 2, axes)
    return g * (_matrix_norm(x, p, axes) if matrix else _vector_norm(y, x, float(p), axes))


def _axes(x: Any, axis: Any) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(x.ndim))
    return axis if isinstance(axis, tuple) else (axis,)


def _cond(g: Any, y: Any, x: Any, p: Any = None) -> Any:
    """The ratio of the first and the last singular value, or the norm of x times that of its inverse."""
    infinite = y == np.inf
    if p in (None, 2):  # but for rounding, in which the last singular value is lost
        infinite = max(x.shape[-2:]) * np.finfo(y.dtype).eps * y >= 1
    g = _unless(infinite, "np.linalg.cond is infinite at a singular matrix, and has no derivative", g)
    if p in (None, 2, -2):
        g, y = np.expand_dims(g, -1), np.expand_dims(y, -1)
        large, small = (0, -1) if p != -2 else (-1, 0)
        return _svdvals(lambda s: g * (_only(large, s) - y * _only(small, s)) / s[..., small, None], x)
    axes, inverse = (-2, -1), np.linalg.inv(x)
    one, other = (np.linalg.norm(a, p, axes) for a in (x, inverse))
    through_inverse = _inv(_norm(g * one, other, inverse, p, axes, True, False), inverse)
    return _norm(g * other, one, x, p, axes, True, False) + through_inverse


def _only(index: int, s: Any) -> Any:
    """One at an index of the last axis, 0 elsewhere."""
    size = s.shape[-1]
    return ones_on_diagonal(s, 1, size, index % size)[0]


# fmt: off

derivative(np.linalg.norm,        lambda g, y, x, ord=None, axis=None, keepdims=False: (
                                      _norm(g, y, x, ord, _axes(x, axis), None, keepdims)))
derivative(np.linalg.matrix_norm, lambda g, y, x, *, keepdims=False, ord="fro": (
                                      _norm(g, y, x, ord, (-2, -1), True, keepdims)))
derivative(np.linalg.vector_norm, lambda g, y, x, *, axis=None, keepdims=False, ord=2: (
                                      _norm(g, y, x, ord, _axes(x, axis), False, keepdims)))
derivative(np.linalg.cond,        _cond)

# fmt: on

constant(np.linalg.matrix_rank)


# ---- which matrices were used -----------------------------------------------------------------------------


def _whole_matrices(g: Any, y: Any, a: Any, *others: Any, **options: Any) -> Any:
    """Every element of a matrix is in all that is made of it; not so in what is made of others of a stack."""
    parts = g if isinstance(g, tuple) else (g,)
    stack = a.ndim - 2
    total = sum(np.sum(part, axis=tuple(range(stack, part.ndim))) for part in parts)
    return np.expand_dims(total, (-2, -1))


def _whole_systems(g: Any, y: Any, a: Any, b: Any) -> Any:
    """The same for systems of equations, whose matrix and right side are in all of their solution."""
    own = tuple(range(-min(b.ndim, 2), 0))
    total = np.sum(g, axis=own)
    return np.expand_dims(total, (-2, -1))


def _whole(g: Any, *arguments: Any, **options: Any) -> Any:
    """Every element is in all of the result."""
    return np.sum(g)


spreading(of_values)
spreading(np.linalg.lstsq, selects=True)
spreading(np.linalg.tensorinv, np.linalg.tensorsolve, like=_whole)
spreading(np.linalg.solve, like=_whole_systems)
spreading(
    *(
        np.linalg.inv,
        np.linalg.pinv,
        np.linalg.det,
        np.linalg.slogdet,
        np.linalg.cond,
        np.linalg.matrix_power,
    ),
    *(np.linalg.cholesky, np.linalg.qr, np.linalg.eigh, np.linalg.eigvalsh, np.linalg.eig, np.linalg.eigvals),
    *(real_eig, real_eigvals, np.linalg.svd, np.linalg.svdvals),
    like=_whole_matrices,
)
