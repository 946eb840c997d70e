# %% [markdown]
# # An operation of your own, and proof that it is right
#
# You will be able to add an operation with its derivative, to test it for all arguments rather than for
# three, and to test a layer in the same way.

# %%
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_lr import autograd, differentiable, nn, record, tensor
from tinygrad_lr.func import grad
from tinygrad_lr.testing import WrongGradientError, check_gradients

quick = settings(max_examples=40, derandomize=True, deadline=None, database=None)

# %% [markdown]
# ## The operation
#
# Lambert's $W(x)$ solves $W e^W = x$. It has no formula; Newton's method finds it. Its derivative follows
# from the equation: differentiate both sides, $(1 + W) e^W \, dW = dx$. That is the rule; `g` is the
# gradient that arrives. How the value was computed does not matter to it.


# %%
@differentiable(lambda g, y, x: g * np.exp(-y) / (1 + y))
def lambert(x):
    w = np.log1p(x)  # for x >= 0: a start above the solution
    for _ in range(20):
        w = w - (w - x * np.exp(-w)) / (1 + w)
    return w


x = tensor([0.0, 1.0, np.e])
x.attach_grad()
with record():
    y = lambert(x)
    slope = autograd.grad(y, x, create_graph=True)
slope.backward()
print("W  ", y)
print("W' ", slope)
print("W''", x.grad)

# %% [markdown]
# ## Properties instead of examples
#
# What must hold for *every* argument? Hypothesis looks for one that breaks it, and makes it as simple as it
# can. First the value: the equation itself.

# %%
positive = st.floats(0, 1e3)


@quick
@given(positive)
def test_value(x):
    w = lambert(x)
    assert np.isclose(w * np.exp(w), x, atol=1e-12)


test_value()

# %% [markdown]
# Then the derivative, against a truth that does not know the rule: a central difference. Once a rule is
# right, and made of functions that have rules, so is the second derivative; it is tested all the same, and
# by the same property.


# %%
def slope_of(f, x, step=1e-4):
    return (f(x + step) - f(x - step)) / (2 * step)


@quick
@given(st.floats(0.1, 50))
def test_derivative(x):
    assert np.isclose(grad(lambert)(x), slope_of(lambert, x), rtol=1e-5)
    assert np.isclose(grad(grad(lambert))(x), slope_of(grad(lambert), x), rtol=1e-5)


test_derivative()
print("passed")

# %% [markdown]
# ## A test that cannot fail proves nothing
#
# So plant a fault: a rule that forgets the $1 +$. The same property has to find it.


# %%
@differentiable(lambda g, y, x: g * np.exp(-y) / y)
def faulty(x):
    return lambert(x)


@quick
@given(st.floats(0.1, 50))
def test_faulty(x):
    assert np.isclose(grad(faulty)(x), slope_of(lambert, x), rtol=1e-5)


try:
    test_faulty()
except AssertionError as error:
    print("found:", *error.__notes__[:1])

# %% [markdown]
# `check_gradients` is all of this in one call: it compares the derivatives with truths that do not know the
# engine, to second order, in random directions.

# %%
check_gradients(lambert, 2.0)
try:
    check_gradients(faulty, 2.0)
except WrongGradientError as error:
    print(str(error).splitlines()[0])

# %% [markdown]
# ## A layer
#
# The gradient of a whole layer in one number: along a random direction $t$, the slope of the loss is the
# product of its gradient with $t$. The truth is again a difference. Shapes are drawn as well: that is where
# layers go wrong.


# %%
@quick
@given(rows=st.integers(1, 4), inputs=st.integers(1, 4), outputs=st.integers(1, 4), seed=st.integers(0, 999))
def test_layer(rows, inputs, outputs, seed):
    rng = np.random.default_rng(seed)
    layer, X = nn.Linear(inputs, outputs), rng.normal(size=(rows, inputs))
    W, b = rng.normal(size=layer.weight.shape), rng.normal(size=layer.bias.shape)
    head, t = rng.normal(size=(rows, outputs)), rng.normal(size=W.shape)

    layer.weight[...], layer.bias[...] = W, b
    with record():
        y = layer(tensor(X))
    assert y.shape == (rows, outputs)
    assert np.allclose(y, X @ W.T + b, rtol=1e-4, atol=1e-4)
    y.backward(head)
    along = slope_of(lambda s: np.sum((X @ (W + s * t).T + b) * head), 0.0)
    assert np.isclose(np.sum(layer.weight.grad.numpy() * t), along, rtol=1e-3, atol=1e-3)
    assert np.allclose(layer.bias.grad, head.sum(0), rtol=1e-4, atol=1e-4)


test_layer()
print("passed")

# %% [markdown]
# ## Exercises
#
# Write your answers in the first cell, then run both.
#
# 1. What is $W'(0)$? (Paper first.)
# 2. The *softsign* is $x / (1 + |x|)$, its derivative $1 / (1 + |x|)^2$. Write its rule, a function of `g,
#    y, x`.
# 3. Write the third derivative $W'''$ as a function of `x`, with `grad`.

# %%
answers = {1: ..., 2: ..., 3: ...}


# %%
def right_rule(rule):
    softsign = differentiable(rule)(lambda x: x / (1 + np.abs(x)))
    return all(np.isclose(grad(softsign)(x), slope_of(softsign, x), rtol=1e-5) for x in (-2.0, 0.5, 3.0))


checks = {
    1: lambda a: np.isclose(a, grad(lambert)(0.0)),
    2: right_rule,
    3: lambda a: np.isclose(a(2.0), slope_of(grad(grad(lambert)), 2.0), rtol=1e-5),
}
for number, check in checks.items():
    a = answers[number]
    print(number, "not answered yet" if a is ... else "right" if check(a) else "not yet right")

# %% [markdown]
# <details><summary>Answers</summary>
#
# ```python
# answers = {
#     1: 1.0,
#     2: lambda g, y, x: g / (1 + np.abs(x)) ** 2,
#     3: grad(grad(grad(lambert))),
# }
# ```
#
# </details>
