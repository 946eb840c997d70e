"""`tinygrad_lr.testing`: it finds what is wrong, passes what is right, and says what it cannot tell."""

import contextlib
import io
import re
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from search import examples
from tinygrad_lr import Tensor, asarray, differentiable, func, is_training, nn, tensor
from tinygrad_lr.errors import ComplexLeafError
from tinygrad_lr.module import Module
from tinygrad_lr.testing import NoTruthError, WrongGradientError, check_gradients
from tinygrad_lr.testing.gradients import names_of_arguments
from tinygrad_lr.testing.strategies import (
    OPERATIONS,
    Program,
    arrays,
    broadcastable,
    expression_graphs,
    shapes,
    tensors,
)
from tinygrad_lr.testing.truths import STEP, adaptive_difference, one_sided_difference

X = np.array([[0.3, -1.2, 0.7], [1.1, 0.4, -0.5]])

# ---- wrong rules, each with a function whose derivative it is not -----------------------------------------

BUFFER = np.zeros(3)


def plain(x: Any) -> Any:
    """What a rule gets, without its graph."""
    return x.numpy() if isinstance(x, Tensor) else x


def twice_at_ties(g: Any, y: Any, x: Any) -> Any:
    """For the sum of the sorted elements: right but where two are equal."""
    return g * np.where(np.sum(plain(x) == plain(x)[:, None], axis=0) > 1, 2, 1)


PLANTED: dict[str, tuple[Callable[..., Any], tuple[Any, ...], tuple[Any, ...]]] = {
    "sign": (np.cos, (lambda g, y, x: g * np.sin(x),), (X,)),
    "factor": (np.square, (lambda g, y, x: g * x,), (X,)),
    "1% off": (np.exp, (lambda g, y, x: 1.01 * g * y,), (X,)),
    "a millionth off": (np.exp, (lambda g, y, x: (1 + 1e-6) * g * y,), (X,)),
    "missing sum over a broadcast axis": (np.add, (lambda g, y, a, b: g, lambda g, y, a, b: g[0]), (X, X[0])),
    "operands swapped": (np.multiply, (lambda g, y, a, b: g * a, lambda g, y, a, b: g * b), (X, X[::-1])),
    "axes swapped": (np.transpose, (lambda g, y, a: np.reshape(g, a.shape),), (X,)),
    "wrong head": (np.sin, (lambda g, y, x: np.cos(x),), (X,)),
    "wrong only at ties": (lambda x: np.sum(np.sort(x)), (twice_at_ties,), (np.array([1.0, 2.0, 1.0]),)),
    "wrong in second order": (np.sin, (lambda g, y, x: g * np.cos(plain(x)),), (X,)),
    "wrong by the head in second order": (np.sin, (lambda g, y, x: plain(g) * np.cos(x),), (X,)),
    "head written": (np.negative, (lambda g, y, x: np.negative(g, out=g),), (X,)),
    "argument written": (np.square, (lambda g, y, x: g * np.multiply(x, 2, out=x),), (X,)),
    "value written": (np.exp, (lambda g, y, x: np.multiply(g, y, out=y),), (X,)),
    "shared buffer": (np.exp, (lambda g, y, x: np.multiply(g, y, out=BUFFER),), (np.array([0.1, 0.2, 0.3]),)),
    "no gradient": (np.exp, (lambda g, y, x: g * 0,), (X,)),
    "infinite": (np.exp, (lambda g, y, x: np.full(x.shape, np.inf),), (X,)),
    "nan in one element": (np.exp, (lambda g, y, x: np.where(np.arange(3) == 1, np.nan, g * y),), (X,)),
    "wrong beside what is missing": (
        np.nanmean,
        (lambda g, y, x: g * np.where(np.isnan(x), 0, 1 / 3),),
        (np.array([1.0, np.nan, 2.0]),),
    ),
    "tiny, and all wrong": (
        lambda x: x * np.array([1.0, 1e-13]),
        (lambda g, y, x: g * np.array([1.0, -1e-13]),),
        (np.array([0.5, 0.5]),),
    ),
    "tiny beside a large value": (lambda x: 1e5 + 1e-20 * x, (lambda g, y, x: g * 3e-20,), (X,)),
    "complex numbers taken for real ones": (
        lambda x: np.where(np.real(x) > 0, x, np.real(x) * 2),
        (lambda g, y, x: g * np.where(x > 0, 1, 0),),
        (X,),
    ),
}


@pytest.mark.parametrize(("function", "rules", "inputs"), PLANTED.values(), ids=PLANTED)
def test_wrong_rules_are_found(function: Any, rules: Any, inputs: Any) -> None:
    planted = differentiable(*rules)(lambda *args: function(*args))
    with pytest.raises((WrongGradientError, ValueError), match=r"is wrong in|read-only"):
        check_gradients(planted, *inputs)


def by_two_ways(x: Any) -> Any:
    """The same twice, with other roundings: nothing is left of it but these, in the gradient too."""
    outer = x + np.outer(np.broadcast_to(x, (2,)), x)
    return (outer[0] - outer[-1]).sum() + np.sin(x) * 3 - 3 * np.sin(x)


def test_what_is_wrong_is_found_beside_terms_that_cancel() -> None:
    tiny = differentiable(lambda g, y, x: g * -1e-12)(lambda x: 1e-12 * x)
    at_ties = differentiable(twice_at_ties)(lambda x: np.sum(np.sort(x)))
    factor = differentiable(lambda g, y, x: 1.01 * g * y)(np.exp)
    x = np.array([0.548])
    check_gradients(by_two_ways, x)
    with pytest.raises(WrongGradientError, match=r"-1\.38\d*e-12 +1\.38\d*e-12"):
        check_gradients(lambda x: by_two_ways(x) + tiny(x), x)
    with pytest.raises(WrongGradientError, match="is wrong in 2 of 3"):
        check_gradients(lambda x: 1e6 * x - x * 1e6 + at_ties(x), np.array([1.0, 2.0, 1.0]))
    with pytest.raises(WrongGradientError):  # the two factors differ by 1%, their difference by all
        check_gradients(lambda x: factor(x) - np.exp(x), x)


@pytest.mark.parametrize("name", ["wrong in second order", "wrong by the head in second order"])
def test_the_first_order_alone_can_be_checked(name: str) -> None:
    function, rules, inputs = PLANTED[name]
    check_gradients(differentiable(*rules)(lambda *args: function(*args)), *inputs, order=1)


def test_an_error_of_third_order_needs_the_third_order() -> None:
    def rule(g: Any, y: Any, x: Any) -> Any:
        return g * second(x)

    second = differentiable(lambda g, y, x: g * np.exp(plain(x)))(np.exp)
    planted = differentiable(rule)(np.exp)
    check_gradients(planted, X[0])
    with pytest.raises(WrongGradientError, match=r"the gradient of the gradient of the gradient of np\.exp"):
        check_gradients(planted, X[0], order=3)
    check_gradients(np.exp, X[0], order=3)


# ---- what the message says --------------------------------------------------------------------------------


def test_the_message_shows_where_and_by_how_much() -> None:
    @differentiable(lambda g, y, a, b: g * b, lambda g, y, a, b: g * np.array([1.0, 2.0, 1.0]) * a)
    def product(a: Any, b: Any) -> Any:
        return a * b

    with pytest.raises(WrongGradientError) as caught:
        check_gradients(product, np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0]), seed=1)
    assert re.fullmatch(
        r"the gradient of .*product with respect to b \(shape \(3,\)\) is wrong in 1 of 3:\n"
        r" +element +got +expected +error\n"
        r" +b\[1\] +(\S+) +(\S+) +\S+\n"
        r" +got is 2 times what is expected",
        str(caught.value),
    )
    got, expected = map(float, str(caught.value).splitlines()[2].split()[1:3])
    assert got == pytest.approx(2 * expected, rel=1e-11)


def test_only_the_first_elements_are_shown() -> None:
    planted = differentiable(lambda g, y, x: g * x)(np.square)
    with pytest.raises(WrongGradientError, match=r"is wrong in 20 of 20:(\n.*){9}\n +\.\.\. and 12 more\n"):
        check_gradients(planted, np.linspace(1, 2, 20))
    partly = differentiable(lambda g, y, x: g * np.where(x > 0, 2.0, 1.0))(lambda x: x + 0)
    for shown in (7, 8, 9, 13):
        more = rf"\n +\.\.\. and {shown - 8} more\n" if shown > 8 else r"\n +got is 2"
        rows = rf"is wrong in {shown} of 20:(\n.*){{{min(shown, 8) + 1}}}{more}"
        with pytest.raises(WrongGradientError, match=rows):
            check_gradients(partly, np.linspace(shown - 19.5, shown - 0.5, 20))


@pytest.mark.parametrize("noise", [1e-9, 1e-6, 1e-3, np.array([1e-3, 0.0])])
def test_the_error_of_a_difference_counts_the_noise_of_what_it_is_taken_of(noise: Any) -> None:
    """Whatever the noise is: values that are off by so much, either way, lie within the error."""
    for f, truth in ((lambda t: 3 * t, 3.0), (np.sin, 1.0), (lambda t: np.exp(-t), -1.0)):
        exact = adaptive_difference(f, noise)
        noisy = adaptive_difference(lambda t, f=f: f(t) + noise * np.sign(np.sin(1e9 * t)), noise)
        for slope in (exact, noisy):
            assert np.all(np.abs(slope.value - truth) <= slope.error)
            assert np.all(slope.error >= noise / STEP)
            assert np.all(slope.rounding >= noise / STEP)


@pytest.mark.parametrize("step", [STEP, -STEP])
def test_the_error_of_a_one_sided_difference_counts_rounding(step: float) -> None:
    """On either side of a kink, also where it is all that there is: the function is a line there."""
    for offset in (0.1, 1e3, 1e9):
        slope = one_sided_difference(lambda t, offset=offset: offset + abs(t) / 3, step)
        assert abs(slope.value - np.sign(step) / 3) <= slope.rounding <= slope.error


def test_functions_are_checked_as_in_training() -> None:
    """Also by values alone: what depends on the mode has one gradient."""
    check_gradients(lambda x: np.sum(x**2 if is_training() else x), X[0], order=1)


def test_a_lost_gradient_is_told() -> None:
    with pytest.raises(WrongGradientError, match=r"(?s)x\[1\] +0 .*got is zero: does the function leave"):
        check_gradients(lambda x: np.sum(x.detach() ** 2), X[0])
    with pytest.raises(WrongGradientError, match="got is zero"):
        check_gradients(lambda x: float(x.item()) ** 2, 3.0)


class Net(Module):
    def __init__(self) -> None:
        self.layers = [nn.LazyLinear(4), nn.Linear(4, 2)]

    def forward(self, x: Any) -> Any:
        return self.layers[1](np.tanh(self.layers[0](x)))

    def loss(self, y_hat: Any, y: Any) -> Any:
        return ((y_hat - y) ** 2).mean()


def test_inputs_are_named_as_the_user_knows_them() -> None:
    def wrong_for(values: Any) -> Callable[..., Any]:
        """A function whose gradient is lost for values near these."""
        return lambda x: x.detach() if np.allclose(x.numpy(), values, atol=0.1) else x

    lost = wrong_for(5.0)
    cases: list[tuple[Callable[..., Any], tuple[Any, ...], str]] = [
        (lambda weight, bias: weight * lost(bias), (2.0, 5.0), "bias (shape ())"),
        (lambda p: p["w"] * lost(p["b"][0]), ({"w": 2.0, "b": [5.0]},), "p['b'][0] (shape ())"),
        (lambda *args: args[0] * lost(args[1]), (2.0, 5.0), "arg1 (shape ())"),
        (lambda a, n, b: a * lost(b) * n, (2.0, 3, 5.0), "b (shape ())"),
    ]
    for f, inputs, name in cases:
        with pytest.raises(WrongGradientError, match=re.escape(f"with respect to {name} is wrong")):
            check_gradients(f, *inputs)


def test_the_inputs_of_a_module_are_named_as_in_its_forward() -> None:
    class Lost(Module):
        def forward(self, x: Any, y: Any) -> Any:
            return x * y.detach()

    with pytest.raises(WrongGradientError, match=r"of Lost with respect to y \(shape \(\)\) is wrong"):
        check_gradients(Lost(), tensor(1.5), tensor(2.0))
    assert names_of_arguments(min, 2) == ["arg0", "arg1"]  # of which Python tells no signature


def test_parameters_are_named_as_in_the_module() -> None:
    net = Net()

    def f(model: Any, x: Any) -> Any:
        return np.sum(model.layers[1].bias.detach() * x) + np.sum(model(x))

    with pytest.raises(WrongGradientError, match=r"with respect to layers\.1\.bias \(shape \(2,\)\)"):
        check_gradients(f, net, np.array([[1.0, 2.0]]))


# ---- what it works for ------------------------------------------------------------------------------------


class Pair(NamedTuple):
    x: Any
    y: Any


RIGHT: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "several arrays": (lambda a, b, c: a @ b + c, (X, X.T.copy(), 0.5)),
    "several results": (lambda a, b: {"sum": a + b, "parts": [a * b, (np.sin(a),)]}, (X, X[0])),
    "a dict": (lambda p: np.sum(p["w"] * p["b"][0]) + p["b"][1], ({"w": X, "b": [X[0], 1.5], "name": "p"},)),
    "a named tuple": (lambda pair: pair.x * pair.y, (Pair(2.0, X),)),
    "whole numbers": (np.take, (X, [0, 2, 0], 1)),
    "empty": (lambda x, y: np.sum(x) + y, (np.zeros((2, 0)), 1.0)),
    "nothing but an empty input": (lambda x: np.max(x, initial=0.5), (np.zeros(0),)),
    "beside what is missing": (lambda x: np.nanmean(x) * np.nanvar(x), (np.array([1.0, np.nan, 2.0]),)),
    "beside what is infinite": (lambda x: 1 / x, (np.array([np.inf, 1.0, -np.inf]),)),
    "an empty result": (lambda x, y: x * y, (np.zeros((2, 0)), np.zeros((2, 1)))),
    "results that are not numbers": (lambda x: [x, np.argmax(x), 3, "text"], (X,)),
    "tensors": (np.logaddexp, (asarray(X), tensor(2.0))),
    "not analytic": (lambda x: np.abs(x) * np.maximum(x, 0.1) + np.real(x) ** 2, (X,)),
    "not for complex numbers": (lambda x: np.arctan2(x, 2.0), (X,)),
    "a gradient inside": (lambda x: func.grad(lambda x: np.sum(x**3))(x), (X,)),
    "near the edge of the domain": (np.log, (np.array([1e-3, 1e-6, 1e-9]),)),
    "near a kink": (lambda x: np.maximum(x, 0) ** 2, (np.array([1e-3, -1e-3]),)),
    "large": (np.sin, (np.array([1e3, -1e6]),)),
    "a large constant": (lambda x: x**2 + 1e8, (np.array([1.0, -0.5]),)),
    "linear": (lambda x: 3 * x, (X,)),
    "constant in the end": (lambda x: x - x, (X,)),
    "constant up to rounding": (lambda x: np.sin(x) ** 2 + np.cos(x) ** 2, (X,)),
    "no curvature at zero": (lambda x: x**3, (np.zeros(2),)),
    "fast": (lambda x: np.sin(1000 * x), (X,)),
    "steep": (lambda x: np.exp(30 * x), (X,)),
    "of very different size": (lambda x, y: x * 1e8 + y * 1e-8, (X, X)),
    "a little noise": (lambda x: x + 1e-12 * np.sin(1e17 * x.detach()), (X,)),
    "in single precision": (lambda x: x**2, (X.astype(np.float32),)),
    "in extended precision": (lambda x: x**2, (X.astype(np.longdouble),)),
    "transposed memory": (lambda x: x @ x, (np.arange(4.0).reshape(2, 2).T,)),
}


@pytest.mark.parametrize(("function", "inputs"), RIGHT.values(), ids=RIGHT)
def test_what_is_right_passes(function: Any, inputs: Any) -> None:
    check_gradients(function, *inputs)


@examples(20)
@given(
    arrays(st.just((3,)), 1e-3, 2),
    st.sampled_from(
        [
            lambda x: by_two_ways(x[:1]),
            lambda x: x[0] * np.var((x * x)[[0, 0, 0]]),
            lambda x: x**3 / x**2 - x,
            lambda x: np.log(1 + x**2) - np.log(2 + 2 * x**2),
            lambda x: 0.5 + 0.01 * np.tanh(x[0]) - (0.5 + 0.01 * np.std(0.4 + 0.01 * np.tanh(x), mean=0.85)),
        ]
    ),
)
def test_rounding_is_no_fault_where_terms_cancel(x: Any, f: Any) -> None:
    check_gradients(f, x)


def test_inputs_are_left_as_they_are() -> None:
    x = tensor(X)
    x.attach_grad()
    check_gradients(lambda x, y: x * y, x, y := X.copy())
    assert x.is_leaf
    assert not np.any(x.grad)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(y, X)
    assert y.flags.writeable
    x *= 2


@pytest.mark.parametrize("way", ["module", "method", "input"])
def test_the_parameters_of_a_module(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net, y = Net(), np.ones((2, 2))
    calls: dict[str, tuple[Any, ...]] = {
        "module": (net, X),
        "method": (net.training_step, (X, y)),
        "input": (lambda model: model.loss(model(X), y), net),
    }
    check_gradients(*calls[way])
    before = net.state_dict()
    assert list(before) == ["layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"]
    for gone in before:  # the gradient of each parameter is looked at
        parameter = net.named_parameters()[gone]
        forward = lambda x, p=parameter: Net.forward(net, x) + np.sum(p.detach() ** 2)  # noqa: E731
        monkeypatch.setattr(net, "forward", forward)
        with pytest.raises(WrongGradientError, match=re.escape(gone)):
            check_gradients(*calls[way])
    for name, parameter in net.named_parameters().items():
        np.testing.assert_array_equal(parameter, before[name])
        assert not np.any(parameter.grad)
        parameter += 1  # its array can be written again


def test_parameters_of_single_precision_are_checked_in_double() -> None:
    layer = nn.Linear(3, 2)
    for parameter in layer.parameters():
        parameter.array = parameter.array.astype(np.float32)
        parameter.attach_grad()
    check_gradients(layer, X)
    assert {p.dtype for p in layer.parameters()} == {np.dtype(np.float32)}


def test_frozen_parameters_are_constants() -> None:
    layer = nn.Linear(3, 2)
    layer.parameters()[1].attach_grad("null")
    check_gradients(layer, X)


@pytest.mark.parametrize("wrong", [0, 77, 399])
def test_large_inputs_are_checked_by_samples_and_along_a_direction(wrong: int) -> None:
    factor = np.where(np.arange(400) == wrong, 1.01, 1).reshape(20, 20)
    planted = differentiable(lambda g, y, x: g * factor)(lambda x: x + 0)
    right = differentiable(lambda g, y, x: g)(lambda x: x + 0)
    big = np.linspace(1, 2, 400).reshape(20, 20)
    with pytest.raises(WrongGradientError, match=r"is wrong in 1 of (6|400):\n.*\n *(all of x|x\[)"):
        check_gradients(planted, big, elements=5)
    check_gradients(right, big, elements=5, order=1)


def test_a_wrong_element_is_found_among_those_that_are_chosen() -> None:
    planted = differentiable(lambda g, y, x: g * 2)(lambda x: x + 0)
    with pytest.raises(WrongGradientError, match=r"is wrong in 6 of 6:\n.*\n *all of x .*\n *x\[\d+\] "):
        check_gradients(planted, np.linspace(1, 2, 400), elements=5)


def test_the_user_may_vouch_for_a_function_being_analytic() -> None:
    """No differences are taken then, which are in the way where the function wiggles."""
    check_gradients(lambda x: np.sin(1e9 * x), X, analytic=True, order=1)
    with pytest.raises(WrongGradientError):
        check_gradients(lambda x: x * np.abs(x), X, analytic=True, order=1)
    with pytest.raises(TypeError):
        check_gradients(lambda x: np.arctan2(x, 2.0), X, analytic=True)


def test_a_tolerance_is_relative_to_the_jacobian() -> None:
    planted = differentiable(lambda g, y, x: g * y * (1 + 1e-5))(np.exp)
    for scale in (1e-100, 1.0, 1e100):
        check_gradients(lambda x, s=scale: s * planted(x), X, rtol=1e-4, order=1)
        with pytest.raises(WrongGradientError):
            check_gradients(lambda x, s=scale: s * planted(x), X, rtol=1e-6, order=1)


def test_a_tiny_gradient_beside_a_large_value_is_compared_as_far_as_it_goes() -> None:
    square = differentiable(lambda g, y, x: g * 2 * x)(lambda x: np.abs(x) ** 2)
    wrong = differentiable(lambda g, y, x: g * -2 * x)(lambda x: np.abs(x) ** 2)
    with pytest.raises(NoTruthError, match="its values are too large beside their changes"):
        check_gradients(lambda x: square(x) + 1e12, 1.0)
    check_gradients(lambda x: square(x) + 1e12, 1.0, strict=False)
    with pytest.raises(WrongGradientError):
        check_gradients(lambda x: wrong(x) + 1e12, 1.0, strict=False)


def test_a_wrong_rule_that_cannot_be_differentiated_itself_is_found() -> None:
    for factor in (2, 3):
        square = differentiable(lambda g, y, x, factor=factor: factor * g * np.asarray(x))(lambda x: x**2)
        with contextlib.nullcontext() if factor == 2 else pytest.raises(WrongGradientError):
            check_gradients(square, X, order=1)


# ---- what cannot be checked -------------------------------------------------------------------------------

NO_TRUTH: dict[str, tuple[Callable[..., Any], tuple[Any, ...], str]] = {
    "a kink": (
        np.fabs,
        (0.0,),
        r"np\.fabs has a kink at x: its derivative is -1\.\d+ to the left and 1\.\d+ to",
    ),
    "the kink of relu": (
        lambda x: np.where(x > 0, x, 0),
        (np.array([1.0, 0.0]),),
        r"has a kink at x\[1\]: its derivative is -?0 to the left and 1\.\d+ to the right of it",
    ),
    "a kink in the gradient": (
        lambda x: np.where(x > 0, x**2, 0),
        (0.0,),
        r"the gradient of .*<lambda> has a kink at x: its derivative is -?0 to the left and .* to the right",
    ),
    "a kink at a hair's breadth": (lambda x: np.abs(x) + x, (1e-15,), r"kink at x: .* to the left"),
    "a jump": (lambda x: np.floor(x) * x, (1.0,), r"no derivative with respect to x that could be found: "),
    "the edge of the domain": (lambda x: x * np.sqrt(x), (0.0,), r"could be found: nan with an error of inf"),
    "a value that is not finite": (lambda x: x * np.inf, (1.0,), r"<lambda> is not finite at these inputs"),
    "too large a constant": (lambda x: np.abs(x) ** 2 + 1e13, (1.0,), r"could be found: .* with an error of"),
    "noise": (
        lambda x: x + 1e-3 * np.sin(1e17 * x.detach()),
        (0.7,),
        r"or there is noise, or its values are",
    ),
}


@pytest.mark.parametrize(("function", "inputs", "message"), NO_TRUTH.values(), ids=NO_TRUTH)
def test_where_there_is_no_truth(function: Any, inputs: Any, message: str) -> None:
    with pytest.raises(NoTruthError, match=message):
        check_gradients(function, *inputs)


def test_what_is_no_check_at_all() -> None:
    with pytest.raises(ValueError, match="order must be 1 or more, not 0"):
        check_gradients(np.exp, X, order=0)
    with pytest.raises(
        ValueError, match=r"np\.exp got nothing to differentiate with respect to: no floating"
    ):
        check_gradients(np.exp, np.arange(3))
    with pytest.raises(ValueError, match=r"<lambda> returned no floating number: there is nothing to"):
        check_gradients(lambda x: np.argmax(x), X)
    rng = np.random.default_rng(0)
    with pytest.raises(
        ValueError, match=r"<lambda> is not a function of its inputs: two calls gave different"
    ):
        check_gradients(lambda x: x * rng.normal(), X)
    with pytest.raises(ComplexLeafError):
        check_gradients(np.exp, np.ones(2, complex))


def test_an_error_of_the_function_passes_through_and_parameters_come_back() -> None:
    layer = nn.Linear(3, 2)
    arrays = [p.array for p in layer.parameters()]

    def fails(x: Any) -> Any:
        x.sort()
        return layer(x)

    with pytest.raises(AttributeError, match="sort"):
        check_gradients(lambda model, x: fails(x), layer, X)
    assert all(p.array is array for p, array in zip(layer.parameters(), arrays, strict=True))


# ---- strategies -------------------------------------------------------------------------------------------


@given(st.data())
def test_arrays_are_as_asked_for(data: st.DataObject) -> None:
    low = data.draw(st.integers(-5, 3))
    high = data.draw(st.integers(low + 1, 5))
    dtype = data.draw(st.sampled_from([np.float16, np.float32, np.float64]))
    array = data.draw(arrays(shapes(min_side=0, max_dims=2), low, high, dtype=dtype))
    assert (array.dtype, array.ndim < 3) == (dtype, True)
    assert np.all((low <= array) & (array <= high))


@given(shapes(), st.sampled_from([0.05, 0.25]), st.data())
def test_gaps_keep_elements_apart_and_off_zero(shape: Any, gap: float, data: st.DataObject) -> None:
    array = data.draw(arrays(shape, -2, 2, gap))
    values = np.sort(array, axis=None)
    assert array.shape == shape
    assert np.all(np.diff(values) >= gap * (1 - 1e-9))
    assert np.min(np.abs(values)) >= gap / 2 * (1 - 1e-9)
    assert values[0] >= -2
    assert values[-1] <= max(2, -2 + gap * array.size)


LIES: dict[str, Callable[[Any], bool]] = {
    "in Fortran order": lambda a: a.flags.f_contiguous and not a.flags.c_contiguous,
    "backwards": lambda a: min(a.strides) < 0,
    "with steps": lambda a: a.strides[-1] == 16,
    "empty": lambda a: a.size == 0,
    "of no dimensions": lambda a: a.ndim == 0,
}


@pytest.mark.parametrize("lies", LIES.values(), ids=LIES)
def test_memory_layouts_are_drawn(lies: Callable[[Any], bool]) -> None:
    search = settings(max_examples=1000, database=None, phases=[Phase.generate])
    find(
        arrays(shapes(min_side=0)),
        lambda a: lies(a) if a.ndim else lies is LIES["of no dimensions"],
        settings=search,
    )


@given(tensors(attached=True, dtype=np.float32), tensors())
def test_tensors(attached: Tensor, constant: Tensor) -> None:
    assert attached.is_leaf
    assert attached.dtype == np.float32
    assert constant.grad is None


@given(broadcastable(3, max_dims=2, min_side=0))
def test_broadcastable(three: tuple[Tensor, ...]) -> None:
    assert len(three) == 3
    assert len(np.broadcast_shapes(*(t.shape for t in three))) <= 2


@examples(40)
@given(expression_graphs())
def test_a_printed_program_computes_the_same(program: Program) -> None:
    script: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(repr(program), script)
    for name, array in program.leaves.items():
        np.testing.assert_array_equal(script[name].array, array, strict=True)
        assert script[name].array.strides == array.strides
    assert printed.getvalue() == "".join(f"{script[name].grad}\n" for name in program.leaves)
    for got, expected in zip(script["heads"], program(*program.arguments), strict=True):
        np.testing.assert_array_equal(got.array, expected)


def test_a_program_shrinks_to_few_steps() -> None:
    search = settings(max_examples=1000, database=None, phases=[Phase.generate, Phase.shrink])
    found = find(
        expression_graphs(),
        lambda program: any("np.sort(" in step for step in program.steps),
        settings=search,
        random=Random(0),  # some searches end before the last step is gone
    )
    assert re.fullmatch(r"t\d = np\.sort\([a-c], axis=-1\)", "\n".join(found.steps))


@examples(20)
@given(
    expression_graphs(
        ["np.split({a}, 1, axis=-1)", "np.sum({a} + {b}, axis=0)"], 2, 3, 1, imports=["import math"]
    )
)
def test_the_parts_of_programs_can_be_chosen(program: Program) -> None:
    assert 1 <= len(program.leaves) <= 2
    assert len(program.steps) <= 3
    assert len(program.heads) == 1
    assert "import math" in repr(program)
    assert all(
        re.fullmatch(r"t\d = (np\.split\(.*\)|\(?np\.sum\(.*\)( / \d+)?)", step) for step in program.steps
    )


def test_every_operation_is_drawn() -> None:
    class AllDrawn(Exception):  # noqa: N818
        pass

    missing = {re.sub(r"\\{[ab]\\}", r"\\w+", re.escape(operation)) for operation in OPERATIONS}

    @settings(max_examples=500, database=None, phases=[Phase.generate], derandomize=True)
    @given(expression_graphs())
    def collect(program: Program) -> None:
        steps = "\n".join(program.steps)
        missing.difference_update([pattern for pattern in missing if re.search(pattern, steps)])
        if not missing:
            raise AllDrawn

    with contextlib.suppress(AllDrawn):
        collect()
    assert missing == set()
