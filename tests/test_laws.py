"""What is known of gradients without computing any: closed forms, identities, and the laws of calculus.

None of these needs a truth by differences: each is a line of a textbook, checked to rounding.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search import examples
from tinygrad_lr import Module, autograd, nn, record, tensor
from tinygrad_lr.func import grad, hessian, hvp, jacobian, jvp, vjp
from tinygrad_lr.linear import LinearRegressionScratch
from tinygrad_lr.models import WeightDecayScratch
from tinygrad_lr.optim import SGD
from tinygrad_lr.testing.strategies import Program, arrays, expression_graphs, shapes

seeds = st.integers(0, 2**32 - 1)
quick = examples(20)


def assert_close(got: Any, expected: Any, size: Any = 0.0, digits: float = 1e-11) -> None:
    """To rounding, of numbers of the size of what is expected, or of an intermediate result."""
    largest = max(np.max(np.abs(expected), initial=0.0), np.max(np.abs(size), initial=0.0), 1e-300)
    np.testing.assert_allclose(got, expected, rtol=0, atol=digits * largest)


# ---- linear regression ------------------------------------------------------------------------------------


class Problem(NamedTuple):
    """Examples, targets, and parameters somewhere."""

    X: Any
    y: Any
    w: Any
    b: Any

    @property
    def A(self) -> Any:
        """The examples with a one for the bias."""
        return np.column_stack([self.X, np.ones(len(self.X))])

    @property
    def parameters(self) -> Any:
        return np.append(self.w, self.b)

    @property
    def residual(self) -> Any:
        return self.X @ self.w + self.b - self.y


@st.composite
def problems(draw: st.DrawFn, condition: float = 1e6, determined: bool = False) -> Problem:
    """Of any shape, also with fewer examples than features; up to some condition number of X."""
    n, d = draw(st.integers(1, 12)), draw(st.integers(1, 5))
    n = n + d + 1 if determined else n
    rng = np.random.default_rng(draw(seeds))
    U, _, V = np.linalg.svd(rng.normal(size=(n, d)), full_matrices=False)
    singular = condition ** rng.uniform(-0.5, 0.5, min(n, d))
    y, w, b = rng.normal(size=n), rng.normal(size=d), rng.normal()
    return Problem(U * singular @ V * np.sqrt(n), y, w, b)


def mean_squared_error(w: Any, b: Any, X: Any, y: Any) -> Any:
    return np.mean((X @ w + b - y) ** 2) / 2


def joint_loss(problem: Problem) -> Callable[[Any], Any]:
    """As a function of the weights and the bias in one vector."""
    return lambda p: np.mean((problem.A @ p - problem.y) ** 2) / 2


@quick
@given(problems())
def test_the_gradient_of_least_squares(problem: Problem) -> None:
    X, y, w, b = problem
    slopes = grad(mean_squared_error, (0, 1))(w, b, X, y)
    size = np.abs(X).T @ np.abs(problem.residual) / len(y)
    assert_close(slopes[0], X.T @ problem.residual / len(y), size)
    assert_close(slopes[1], np.mean(problem.residual), np.abs(problem.residual))


@quick
@given(problems())
def test_the_gradient_of_the_chapters_model(problem: Problem) -> None:
    X, y, w, b = problem
    model = LinearRegressionScratch(len(w), lr=0.1)
    model.w[:, 0], model.b[:] = w, b
    with record():
        loss = model.loss(model(X), y[:, None])
    loss.backward()
    size = np.abs(X).T @ np.abs(problem.residual) / len(y)
    assert_close(model.w.grad.numpy()[:, 0], X.T @ problem.residual / len(y), size)
    assert_close(model.b.grad.numpy()[0], np.mean(problem.residual), np.abs(problem.residual))


@quick
@given(problems())
def test_the_gradient_is_zero_at_the_least_squares_solution(problem: Problem) -> None:
    A, y = problem.A, problem.y
    best = np.linalg.lstsq(A, y, rcond=None)[0]
    size = np.linalg.norm(A) * (np.linalg.norm(A) * np.linalg.norm(best) + np.linalg.norm(y)) / len(y)
    assert_close(grad(joint_loss(problem))(best), 0 * best, size)


@quick
@given(problems())
def test_the_hessian_of_least_squares(problem: Problem) -> None:
    X, y, w, b = problem
    expected = X.T @ X / len(y)
    assert_close(hessian(lambda w: mean_squared_error(w, b, X, y))(w), expected)
    full = hessian(joint_loss(problem))
    expected = problem.A.T @ problem.A / len(y)
    assert_close(full(problem.parameters), expected)
    assert_close(full(2 - problem.parameters), expected)  # the same everywhere


@quick
@given(problems(condition=100, determined=True))
def test_one_newton_step_from_anywhere_reaches_the_solution(problem: Problem) -> None:
    loss, here = joint_loss(problem), problem.parameters
    reached = here - np.linalg.solve(hessian(loss)(here), grad(loss)(here))
    best = np.linalg.lstsq(problem.A, problem.y, rcond=None)[0]
    assert_close(reached, best, here, digits=1e-13 * np.linalg.cond(problem.A) ** 2 + 1e-12)


@quick
@given(problems(condition=30, determined=True), st.floats(0.1, 1.9), st.integers(1, 20))
def test_gradient_descent_converges_at_the_rate_of_the_eigenvalues(
    problem: Problem, fraction: float, steps: int
) -> None:
    """Along an eigenvector of the Hessian the distance shrinks by 1 - lr * eigenvalue at each step."""
    A, y = problem.A, problem.y
    eigenvalues, vectors = np.linalg.eigh(A.T @ A / len(y))
    lr = fraction / eigenvalues[-1]  # it converges where this is below 2
    best = np.linalg.lstsq(A, y, rcond=None)[0]
    p = tensor(problem.parameters)
    p.attach_grad()
    for _ in range(steps):
        with record():
            loss = np.mean((A @ p - y) ** 2) / 2
        loss.backward()
        p -= lr * p.grad
    expected = vectors.T @ (problem.parameters - best) * (1 - lr * eigenvalues) ** steps
    assert_close(vectors.T @ (p.numpy() - best), expected, problem.parameters - best, digits=1e-9)


@quick
@given(problems(determined=True, condition=30), st.floats(0.01, 10), st.sampled_from(["loss", "optimizer"]))
def test_weight_decay_stands_still_at_the_ridge_solution_only(
    problem: Problem, decay: float, way: str
) -> None:
    """The bias is not decayed. Of the book's two ways, one adds a penalty, the other is in the optimizer."""
    A, y, d = problem.A, problem.y, len(problem.w)
    penalty = decay * np.diag([1.0] * d + [0.0])
    ridge = np.linalg.solve(A.T @ A / len(y) + penalty, A.T @ y / len(y))
    scale = np.linalg.norm(A) ** 2 / len(y) + decay
    for start in (ridge, problem.parameters):
        model: Any = WeightDecayScratch(d, decay, lr=1.0 / scale) if way == "loss" else None
        model = model or LinearRegressionScratch(d, lr=1.0 / scale)
        model.w[:, 0], model.b[:] = start[:-1], start[-1]
        with record():
            loss = model.loss(model(problem.X), y[:, None])
        loss.backward()
        penalties = 0.0 if way == "loss" else [decay, 0.0]
        SGD([model.w, model.b], lr=1 / scale, weight_decay=penalties).step()
        after = np.append(model.w.numpy(), model.b.numpy())
        slope = A.T @ (A @ start - y) / len(y) + penalty @ start
        assert_close(after, start - slope / scale, start)
    assert_close(
        grad(lambda p: joint_loss(problem)(p) + p @ penalty @ p / 2)(ridge), 0 * ridge, scale * ridge
    )


@quick
@given(problems(), st.integers(1, 4), seeds)
def test_minibatch_gradients_average_to_the_full_gradient(problem: Problem, size: int, seed: int) -> None:
    """Each weighed by its number of examples, as the last minibatch may be smaller."""
    X, y, w, b = problem
    order = np.random.default_rng(seed).permutation(len(y))
    batches = [order[i : i + size] for i in range(0, len(y), size)]
    parts = [len(batch) * grad(mean_squared_error)(w, b, X[batch], y[batch]) for batch in batches]
    scale = np.abs(X).T @ np.abs(problem.residual) / len(y)
    assert_close(sum(parts) / len(y), grad(mean_squared_error)(w, b, X, y), scale)


@quick
@given(problems(), seeds)
def test_permuted_examples_and_features(problem: Problem, seed: int) -> None:
    """The gradient does not know the order of the examples, and has its elements in that of the features."""
    X, y, w, b = problem
    rng = np.random.default_rng(seed)
    rows, columns = rng.permutation(len(y)), rng.permutation(len(w))
    plain = grad(mean_squared_error)(w, b, X, y)
    scale = np.abs(X).T @ np.abs(problem.residual) / len(y)
    assert_close(grad(mean_squared_error)(w, b, X[rows], y[rows]), plain, scale)
    assert_close(grad(mean_squared_error)(w[columns], b, X[:, columns], y), plain[columns], scale)


# ---- classification ---------------------------------------------------------------------------------------


@quick
@given(problems())
def test_the_gradient_of_logistic_regression(problem: Problem) -> None:
    """Also its Hessian, Xᵀ diag(p (1 - p)) X / n."""
    X, _, w, b = problem
    y, n = (problem.y > 0).astype(float), len(X)
    loss = nn.BCEWithLogitsLoss()
    p = 1 / (1 + np.exp(-np.clip(X @ w + b, -700, 700)))
    slopes = grad(lambda w, b: loss(X @ w + b, y), (0, 1))(w, b)
    assert_close(slopes[0], X.T @ (p - y) / n, np.abs(X).max())
    assert_close(slopes[1], np.mean(p - y), 1)
    curvature = hessian(lambda w: loss(X @ w + b, y))(w)
    assert_close(curvature, X.T @ (X * (p * (1 - p))[:, None]) / n, np.abs(X).max() ** 2, digits=1e-10)


@quick
@given(problems(), st.integers(2, 4), seeds)
def test_the_gradient_of_softmax_regression(problem: Problem, classes: int, seed: int) -> None:
    X, n = problem.X, len(problem.X)
    rng = np.random.default_rng(seed)
    W, y = rng.normal(size=(X.shape[1], classes)), rng.integers(0, classes, n)
    logits = X @ W
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    slope = grad(lambda W: nn.CrossEntropyLoss()(X @ W, y))(W)
    assert_close(slope, X.T @ (p - np.eye(classes)[y]) / n, np.abs(X).max())


# ---- identities -------------------------------------------------------------------------------------------


@quick
@given(arrays(shapes(min_side=0)))
def test_the_gradient_of_a_sum_is_ones(x: Any) -> None:
    np.testing.assert_array_equal(grad(np.sum)(x), np.ones(x.shape))


def product(xs: Any, ys: Any) -> Any:
    return sum(np.sum(x * y) for x, y in zip(xs, ys, strict=True))


def vectors(program: Program, seed: int) -> tuple[list[Any], list[Any]]:
    """Random directions: of the leaves, and of the heads."""
    rng, heads = np.random.default_rng(seed), program(*program.arguments)
    return (
        [rng.uniform(-1, 1, np.shape(a)) for a in program.arguments],
        [rng.uniform(-1, 1, np.shape(y)) for y in heads],
    )


def loss_of(program: Program, weights: list[Any]) -> Callable[[Any], Any]:
    """A function of the list of all leaves, with one number as its value."""
    return lambda leaves: product(program(*leaves), weights)


@quick
@given(expression_graphs(max_steps=5), seeds)
def test_forward_and_backward_are_adjoint(program: Program, seed: int) -> None:
    """<u, Jv> = <Jᵀu, v>."""
    v, u = vectors(program, seed)
    _, slopes = jvp(program, program.arguments, v)
    _, pullback = vjp(program, *program.arguments)
    pulled = pullback(u)
    size = product([np.abs(p) for p in pulled], [np.abs(a) for a in v])
    assert_close(product(u, slopes), product(pulled, v), size)


@quick
@given(expression_graphs(max_steps=5), seeds)
def test_second_derivatives_are_symmetric(program: Program, seed: int) -> None:
    """A. C. Clairaut: <u, Hv> = <v, Hu>."""
    (v, weights), (u, _) = vectors(program, seed), vectors(program, seed + 1)
    f = loss_of(program, weights)
    one, other = (hvp(f, program.arguments, direction) for direction in (u, v))
    size = product([np.abs(a) for a in one], [np.abs(a) for a in v])
    size += product([np.abs(a) for a in other], [np.abs(a) for a in u])
    assert_close(product(one, v), product(other, u), size)


@quick
@given(expression_graphs(max_steps=4, max_leaves=1), seeds)
def test_hessians_are_symmetric(program: Program, seed: int) -> None:
    [x], (_, weights) = program.arguments, vectors(program, seed)
    full = hessian(lambda x: product(program(x), weights))(x)
    assert full.shape == (*x.shape, *x.shape)
    square = np.reshape(full, (x.size, x.size))
    assert_close(square, square.T)


@quick
@given(expression_graphs(max_steps=4), seeds)
def test_the_chain_rule(program: Program, seed: int) -> None:
    """The gradient of h(f(x)) is f'(x)ᵀ h'(f(x))."""
    _, weights = vectors(program, seed)
    outer = [lambda y: np.sum(weights[0] * np.sin(y) ** 2), lambda y: np.sum(np.tanh(y) * y)]
    outer = [outer[i % 2] for i in range(len(program.heads))]

    def whole(leaves: Any) -> Any:
        return sum(h(y) for h, y in zip(outer, program(*leaves), strict=True))

    heads, pullback = vjp(program, *program.arguments)
    inner = [grad(h)(y) for h, y in zip(outer, heads, strict=True)]
    # what is expected is itself the sum of terms that may cancel
    for got, expected in zip(grad(whole)(program.arguments), pullback(inner), strict=True):
        assert_close(got, expected, 1)


@quick
@given(expression_graphs(max_steps=4, max_heads=1), expression_graphs(max_steps=4, max_heads=1))
def test_the_product_and_the_quotient_rule(one: Program, other: Program) -> None:
    """(fg)' = f'g + fg' and (f/g)' = (f'g - fg') / g², of programs of their own leaves."""

    def f(leaves: Any) -> Any:
        return np.sum(one(*leaves)[0])

    def g(leaves: Any) -> Any:
        return 2 + np.tanh(np.sum(other(*leaves)[0]))

    # the second program is applied to the leaves of the first where they fit, else to its own
    x = one.arguments
    same = [np.shape(a) for a in x] == [np.shape(b) for b in other.arguments]
    y = x if same else other.arguments
    df, dg, value_f, value_g = grad(f)(x), grad(g)(y), f(x), g(y)
    multiplied = grad(lambda x, y: f(x) * g(y), (0, 1))(x, y)
    divided = grad(lambda x, y: f(x) / g(y), (0, 1))(x, y)
    for k, slope in enumerate(df):
        assert_close(multiplied[0][k], slope * value_g, 1)
        assert_close(divided[0][k], slope / value_g, 1)
    for k, slope in enumerate(dg):
        assert_close(multiplied[1][k], slope * value_f, 1)
        assert_close(divided[1][k], -value_f * slope / value_g**2, 1)
    if same:
        together = grad(lambda x: f(x) * g(x))(x)
        for got, a, b in zip(together, df, dg, strict=True):
            assert_close(got, a * value_g + value_f * b, 1)


@quick
@given(expression_graphs(max_steps=4, max_heads=1), st.floats(-3, 3), st.floats(-3, 3))
def test_derivatives_are_linear_in_the_function(program: Program, a: float, b: float) -> None:
    def f(leaves: Any) -> Any:
        return np.sum(np.sin(program(*leaves)[0]))

    def g(leaves: Any) -> Any:
        return np.sum(program(*leaves)[0] ** 2)

    x = program.arguments
    both = grad(lambda leaves: a * f(leaves) + b * g(leaves))(x)
    for got, one, other in zip(both, grad(f)(x), grad(g)(x), strict=True):
        assert_close(got, a * one + b * other, np.abs(a * one) + np.abs(b * other) + 1e-3)


#: functions f with f(s x) = s^k f(x) for s > 0, and their k
HOMOGENEOUS: dict[str, tuple[Callable[[Any], Any], float]] = {
    "norm": (np.linalg.norm, 1),
    "max": (np.max, 1),
    "sum of squares": (lambda x: np.sum(x * x), 2),
    "product": (np.prod, 4),
    "geometric mean": (lambda x: np.exp(np.mean(np.log(x))), 1),
    "Cobb-Douglas": (lambda x: np.prod(x ** np.array([0.1, 0.2, 0.3, 0.15])), 0.75),
    "ratio": (lambda x: x[0] / np.sum(x), 0),
    "determinant": (lambda x: np.linalg.det(np.reshape(x, (2, 2))), 2),
    "elements of the inverse": (
        lambda x: np.sum(np.linalg.inv(np.reshape(x, (2, 2)) + 3 * x[0] * np.eye(2))),
        -1,
    ),
    "cubic": (lambda x: np.sum(np.outer(x, x) @ x), 3),
    "standard deviation": (np.std, 1),
    "hypotenuses": (lambda x: np.sum(np.hypot(x[:2], x[2:])) / x[3], 0),
}


@pytest.mark.parametrize("name", HOMOGENEOUS)
@quick
@given(seed=seeds)
def test_eulers_theorem(name: str, seed: int) -> None:
    """L. Euler: if f(s x) = s^k f(x) then <x, f'(x)> = k f(x), and f''(x) x = (k - 1) f'(x)."""
    f, degree = HOMOGENEOUS[name]
    x = np.random.default_rng(seed).uniform(0.5, 2, 4)
    gradient = grad(f)(x)
    assert_close(x @ gradient, degree * f(x), np.abs(x) @ np.abs(gradient), digits=1e-10)
    curvature = hvp(f, x, x)
    size = np.abs(hessian(f)(x)) @ x + np.abs(gradient)
    assert_close(curvature, (degree - 1) * gradient, size, digits=1e-9)


def log_softmax(x: Any, axis: int) -> Any:
    shifted = x - np.max(x, axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


@quick
@given(seeds, st.sampled_from([0, 1, -1]), st.floats(-50, 50))
def test_log_softmax_does_not_see_a_shift(seed: int, axis: int, shift: float) -> None:
    """So its gradient sums to zero under any head; shifting does not change it, nor its curvature."""
    rng = np.random.default_rng(seed)
    x, head = rng.uniform(-3, 3, (3, 4)), rng.uniform(-2, 2, (3, 4))

    def f(x: Any) -> Any:
        return np.sum(head * log_softmax(x, axis))

    gradient = grad(f)(x)
    assert_close(np.sum(gradient, axis=axis), 0, head)
    assert_close(grad(f)(x + shift), gradient, head, digits=1e-10)
    p = np.exp(log_softmax(x, axis))
    assert_close(gradient, head - p * np.sum(head, axis=axis, keepdims=True), head)
    assert_close(hvp(f, x, np.ones_like(x)), 0 * x, head)


@quick
@given(seeds, st.integers(1, 3))
def test_the_inverse_function_has_the_inverse_jacobian(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(n, n)) * 0.3 + np.eye(n)

    def f(x: Any) -> Any:
        return np.sinh(A @ x)

    def inverse(y: Any) -> Any:
        return np.linalg.solve(A, np.arcsinh(y))

    x = rng.uniform(-1, 1, n)
    J, K = jacobian(f)(x), jacobian(inverse)(f(x))
    assert_close(J @ K, np.eye(n), np.abs(J) @ np.abs(K), digits=1e-10)


@quick
@given(seeds)
def test_a_change_of_coordinates_changes_the_gradient_by_its_transpose(seed: int) -> None:
    rng = np.random.default_rng(seed)
    Q, x = rng.normal(size=(3, 3)), rng.normal(size=3)

    def f(x: Any) -> Any:
        return np.sum(np.sin(x) * np.roll(x, 1) ** 2)

    assert_close(grad(lambda x: f(Q @ x))(x), Q.T @ grad(f)(Q @ x), 10)
    assert_close(hessian(lambda x: f(Q @ x))(x), Q.T @ hessian(f)(Q @ x) @ Q, 100)


def test_a_model_is_the_sum_of_its_uses() -> None:
    """A layer used twice gets the sum of what two equal layers get."""

    class Twice(Module):
        def __init__(self, first: Any, second: Any) -> None:
            self.first, self.second = first, second

        def forward(self, x: Any) -> Any:
            return self.second(np.tanh(self.first(x)))

    rng = np.random.default_rng(0)
    x, layers = rng.normal(size=(4, 3)), [nn.Linear(3, 3) for _ in range(2)]
    layers[1].load_state_dict(layers[0].state_dict())
    found = []
    for model in (Twice(layers[0], layers[0]), Twice(*layers)):
        parameters = list(model.parameters())
        with record():
            loss = np.sum(model(x) ** 2)
        found.append([g.numpy() for g in autograd.grad(loss, parameters)])
    assert (len(found[0]), len(found[1])) == (2, 4)
    for k in range(2):
        assert_close(found[0][k], found[1][k] + found[1][k + 2])
