"""Random programs: whatever is composed, the gradient is that of the whole.

Hypothesis composes programs of rows of the table, with operands that are shared, repeated, indexed and
broadcast, of several leaves and heads. Their first and second derivatives must agree with complex steps,
with extrapolated differences and with dual numbers. A failing program shrinks to a few lines and is printed
as one that can be pasted and run.
"""

import itertools
import operator
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st

import duals
import tinygrad_lr.derivatives.special
from domains import DOMAINS
from domains.basics import Call
from search import examples
from tinygrad_lr import Tensor, asarray, autograd, pause, record, tensor
from tinygrad_lr.derivatives import DERIVATIVES
from tinygrad_lr.errors import ComplexResultError, name_of
from tinygrad_lr.tensor import with_gradients
from tinygrad_lr.testing import check_gradients
from tinygrad_lr.testing.gradients import terms
from tinygrad_lr.testing.strategies import OPERATIONS, Program, expression_graphs
from tinygrad_lr.testing.truths import EPS

# ---- any row of the table as a step of a program ----------------------------------------------------------

MODULES = {"np": np, "operator": operator, "scipy": scipy, "tinygrad_lr": tinygrad_lr}
IMPORTS = ["import operator", "import scipy.special", "import tinygrad_lr.derivatives.special"]


def path_of(function: Any) -> str:
    """What the function is called in a program that has the imports above."""
    path, name = name_of(function), getattr(function, "__name__", "")
    if function is operator.getitem:
        return "operator.getitem"
    if hasattr(function, "__wrapped__"):  # SciPy's plain functions are differentiable under another name
        return path.replace("scipy.special", "tinygrad_lr.derivatives.special")
    return path.replace("special._", "special._ufuncs._") if name.startswith("_") else path


ROWS = {function: path_of(function) for function, domain in DOMAINS.items() if domain.call is None}
del ROWS[np.full_like]  # which asks its first argument only whether it is a Tensor


def source(value: Any) -> str:
    """A value in words of NumPy."""
    if isinstance(value, np.ndarray):
        if not value.size:
            return f"np.zeros({value.shape}, np.{value.dtype})"
        return f"np.array({value.tolist()})".replace("nan", "np.nan")
    if isinstance(value, np.generic):
        return source(value.item())
    if isinstance(value, np.dtype):
        return f"np.{value}"
    if isinstance(value, list):
        return f"[{', '.join(map(source, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(source, value))},)" if value else "()"
    return repr(value)


def varied(value: Any, operands: list[str]) -> str:
    """The same, with floating arrays that vary a little with the operands of a step, taken in turn."""
    if isinstance(value, list):
        return f"[{', '.join(varied(part, operands) for part in value)}]"
    if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.size:
        operands.append(operands.pop(0))
        return f"{source(value)} + 0.01 * np.tanh(np.resize({operands[-1]}, {value.shape}))"
    return source(value)


@st.composite
def rows(draw: st.DrawFn) -> str:
    """A call of some row of the table, as a template for `expression_graphs`."""
    function = draw(st.sampled_from(list(ROWS)))
    call: Call = draw(DOMAINS[function].calls)
    operands = ["{a}", "{b}"]
    rules = DERIVATIVES[function].rules
    arguments = [
        varied(value, operands) if i < len(rules) and callable(rules[i]) else source(value)
        for i, value in enumerate(call.arguments)
    ]
    options = [f"{name}={source(value)}" for name, value in call.options.items()]
    return f"{ROWS[function]}({', '.join([*arguments, *options])})"


def test_every_row_can_be_a_step() -> None:
    """But for those whose domain is that of another function, such as one of what signs cannot change."""
    assert {name_of(function) for function in DOMAINS if function not in ROWS} == {
        *(f"np.linalg.{name}" for name in ("qr", "svd")),
        *(f"np.linalg.{name}" for name in ("eig", "eigh", "eigvals")),
        *(f"tinygrad_lr.derivatives.linalg.{name}" for name in ("real_eig", "real_eigvals")),
        "np.trim_zeros",
        "np.full_like",
    }
    for function, path in ROWS.items():
        assert eval(path, MODULES) == function, path


# ---- first and second derivatives -------------------------------------------------------------------------

any_program = expression_graphs(st.sampled_from(OPERATIONS) | rows(), imports=IMPORTS)


def leaves_of(program: Program) -> list[Tensor]:
    leaves = [asarray(array) for array in program.arguments]
    for leaf in leaves:
        leaf.attach_grad()
    return leaves


def check(program: Program) -> None:
    """By complex steps and differences."""
    check_gradients(program, *program.arguments, elements=6, strict=False)


@examples(60)
@given(expression_graphs())
def test_programs(program: Program) -> None:
    check(program)


@examples(60)
@given(any_program)
def test_programs_of_any_row(program: Program) -> None:
    check(program)


def product(arrays: Sequence[Any], others: Sequence[Any]) -> Any:
    """The sum of the products of all elements."""
    return sum(np.sum(a * b) for a, b in zip(arrays, others, strict=True))


#: scopes in which the first derivative of what was recorded can be taken
SCOPES: dict[str, Any] = {"no scope": nullcontext, "another record()": record, "pause()": pause}


@given(expression_graphs(), st.integers(0, 2**16), st.sampled_from(["the same record()", *SCOPES]))
def test_dual_numbers_agree(program: Program, seed: int, scope: str) -> None:
    """To rounding, in random directions of the leaves and of the heads, to second order.

    The bounds are relative to the derivatives, but for the rounding of terms that cancel in them.
    """
    rng = np.random.default_rng(seed)
    u, v = ([rng.uniform(-1, 1, np.shape(a)) for a in program.arguments] for _ in "uv")
    first, second = duals.derivatives(program, program.arguments, u, v)
    head_grads = [rng.uniform(-1, 1, np.shape(slope)) for slope in first]
    leaves = leaves_of(program)
    with record():
        nothing = sum(0 * np.sum(leaf) for leaf in leaves)  # so that each is reached
        total = product(program(*leaves), head_grads) + nothing
        size = terms(with_gradients(total, None))
        if scope not in SCOPES:
            gradients = autograd.grad(total, leaves, create_graph=True)
    if scope in SCOPES:
        with SCOPES[scope]():
            gradients = autograd.grad(total, leaves, create_graph=True)
    with record():
        slope = product(gradients, u) + nothing
    again_size = terms(with_gradients(slope, None))
    again = autograd.grad(slope, leaves)
    bound = 64 * EPS * (size + again_size) + 1e-12 * product([abs(g.array) for g in gradients], map(abs, u))
    assert abs(slope.item() - product(first, head_grads)) <= bound
    bound += 1e-12 * product([abs(g.array) for g in again], map(abs, v))
    assert abs(product([g.array for g in again], v) - product(second, head_grads)) <= bound


# ---- training: the same program again and again, its leaves changed in place in between --------------------

UPDATES = (
    "{a} -= 0.1 * np.tanh({a}.grad)",
    "{a} *= 0.9",
    "{a} += 0.01 * np.tanh({b}.grad).sum()",
    "{a}[...] = np.tanh({a}.detach())",
    "{a}.reshape(-1)[:1] = {number}",
    "{a}.grad[...] = 0",
    "np.copyto({a}, np.cos({a}.numpy()))",
    "np.multiply({a}, 0.5, out={a})",
)


def gradients_by_duals(program: Program, values: Sequence[Any]) -> list[Any]:
    """Of the sum of all heads: the derivative in the direction of every element."""
    gradients = [np.zeros(np.shape(value)) for value in values]
    for gradient in gradients:
        for index in np.ndindex(gradient.shape):
            directions = [np.zeros(np.shape(value)) for value in values]
            for direction, other in zip(directions, gradients, strict=True):
                if other is gradient:
                    direction[index] = 1
            first, _ = duals.derivatives(program, values, directions, directions)
            gradient[index] = sum(map(np.sum, first))
    return gradients


@examples(60)
@given(expression_graphs(max_leaves=2), st.data())
def test_updates_between_steps(program: Program, data: st.DataObject) -> None:
    """Each backward gives the gradient at the values of that time, written or added as was asked for."""
    leaves = {name: tensor(array) for name, array in program.leaves.items()}
    added = {name: data.draw(st.booleans(), f"gradients of {name} are added") for name in leaves}
    for name, leaf in leaves.items():
        leaf.attach_grad("add" if added[name] else "write")
    expected = {name: np.zeros(leaf.shape) for name, leaf in leaves.items()}
    numbers = itertools.count(1)
    for _ in range(3):
        values = [leaf.numpy().copy() for leaf in leaves.values()]
        with record():
            heads = program(*leaves.values())
        autograd.backward(heads)
        for (name, leaf), new in zip(leaves.items(), gradients_by_duals(program, values), strict=True):
            expected[name] = expected[name] + new if added[name] else new
            atol = 1e-11 * (1 + np.max(np.abs(expected[name])))
            np.testing.assert_allclose(leaf.grad.array, expected[name], rtol=0, atol=atol)
        for update in data.draw(st.lists(st.sampled_from(UPDATES), max_size=3), "updates"):
            a, b = (data.draw(st.sampled_from(list(leaves)), which) for which in "ab")
            exec(update.format(a=a, b=b, number=0.0123 * next(numbers)), {"np": np, **leaves})
            if update == "{a}.grad[...] = 0":
                expected[a] = np.zeros(leaves[a].shape)


# ---- beside -----------------------------------------------------------------------------------------------


@examples(60)
@given(expression_graphs())
def test_single_precision_stays_and_agrees_with_double(program: Program) -> None:
    single = [asarray(array.astype(np.float32)) for array in program.arguments]
    double = [asarray(leaf.array.astype(np.float64)) for leaf in single]
    for leaf in (*single, *double):
        leaf.attach_grad()
    with record():
        narrow, wide = program(*single), program(*double)
    assert {head.dtype for head in narrow} == {np.dtype(np.float32)}
    autograd.backward(narrow)
    autograd.backward(wide)
    for leaf, other in zip(single, double, strict=True):
        assert leaf.grad.dtype == np.float32
        expected = other.grad.array
        np.testing.assert_allclose(leaf.grad.array, expected, atol=2e-4 * (1 + np.max(np.abs(expected))))


def test_a_place_that_several_later_tapes_use_is_used() -> None:
    """Found by a random program: one of the uses, of no element, took the other's place."""
    check_gradients(lambda a: np.prod(np.exp(a), axis=0), np.array([[1.5, -0.5]]))


def test_masked_out_keeps_what_the_mask_leaves_out() -> None:
    mask = np.array([True, False])
    out = tensor([10.0, 10.0])
    assert np.add(tensor([1.0, 2.0]), 1, out=out, where=mask) is out
    np.testing.assert_array_equal(out.numpy(), [2.0, 10.0])


def test_lists_within_lists_keep_their_gradient_and_objects_raise() -> None:
    x = tensor([1.0, 2.0])
    x.attach_grad()
    with record():
        listed = np.concatenate([[x[0], 3.0], x]) * [1, 10, 100, 1000]
        with pytest.raises(ComplexResultError, match=r"np.multiply makes complex numbers or objects"):
            x * np.array([1, 2], object)
    np.testing.assert_array_equal(autograd.grad(listed, x).array, [101, 1000])
