# %% [markdown]
# # An engine in sixty lines
#
# You will be able to build reverse-mode automatic differentiation from nothing: first a value that
# remembers where it came from, then the table of derivatives, then the way back. At the end the small
# engine and the real one compute the same gradients.

# %%
import itertools

import numpy as np

from tinygrad_lr import record, tensor
from tinygrad_lr.func import grad

# %% [markdown]
# ## 1. A value that remembers where it came from
#
# NumPy asks its arguments before it computes: an object with the methods `__array_ufunc__` and
# `__array_function__` is handed the call itself. So there is no need to write `exp` or `sin` a second time.
# `Node` lets NumPy compute, and keeps the function and the arguments. The mix-in turns operators into such
# calls: `a * b` into `np.multiply(a, b)`.

# %%
count = itertools.count()


class Node(np.lib.mixins.NDArrayOperatorsMixin):
    def __init__(self, value, function=None, arguments=(), options=None):
        self.value, self.function, self.arguments = np.asarray(value, float), function, arguments
        self.options, self.number = options or {}, next(count)
        self.shape, self.ndim = self.value.shape, self.value.ndim

    def __array_ufunc__(self, function, method, *arguments, **options):
        nodes = [a if isinstance(a, Node) else Node(a) for a in arguments]
        return Node(function(*(n.value for n in nodes), **options), function, nodes, options)

    def __array_function__(self, function, types, arguments, options):
        return self.__array_ufunc__(function, "__call__", *arguments, **options)


x = Node(2.0)
y = x * np.exp(x)
print(y.value, "is", y.function.__name__, "of", [a.value.item() for a in y.arguments])

# %% [markdown]
# ## 2. The table of derivatives
#
# A row is a function and one rule for each argument. `g` is the gradient that arrives at the output `y`;
# the rule passes it on to its argument.

# %%
# fmt: off
RULES = {
    np.add:       [lambda g, y, a, b: g,            lambda g, y, a, b: g],
    np.subtract:  [lambda g, y, a, b: g,            lambda g, y, a, b: -g],
    np.multiply:  [lambda g, y, a, b: g * b,        lambda g, y, a, b: g * a],
    np.divide:    [lambda g, y, a, b: g / b,        lambda g, y, a, b: -g * y / b],
    np.matmul:    [lambda g, y, a, b: g @ np.transpose(b), lambda g, y, a, b: np.transpose(a) @ g],
    np.negative:  [lambda g, y, x: -g],
    np.exp:       [lambda g, y, x: g * y],
    np.sin:       [lambda g, y, x: g * np.cos(x)],
    np.cos:       [lambda g, y, x: -g * np.sin(x)],
    np.transpose: [lambda g, y, x: np.transpose(g)],
    np.sum:       [lambda g, y, x, **options: g * np.ones(x.shape)],
}
# fmt: on

# %% [markdown]
# ## 3. The way back
#
# Arguments are made before results. So in the order of the numbers, from the last one down, a node's turn
# comes when all that used it has passed its gradient on: gradients that arrive on several ways are added
# before they go on.
#
# NumPy stretches a small argument over a large one (broadcasting). Each of its copies receives a gradient,
# and these belong to the one value: `fitted` adds them up.


# %%
def fitted(gradient, shape):
    while gradient.ndim > len(shape):
        gradient = np.sum(gradient, axis=0)
    for axis, size in enumerate(shape):
        if size == 1 and gradient.shape[axis] != 1:
            gradient = np.sum(gradient, axis=axis, keepdims=True)
    return gradient


def gradients(head, variables):
    waiting, received = {head.number: head}, {head.number: Node(np.ones(head.shape))}
    while waiting:
        node = waiting.pop(max(waiting))
        for rule, argument in zip(RULES.get(node.function, []), node.arguments, strict=False):
            made = fitted(rule(received[node.number], node, *node.arguments, **node.options), argument.shape)
            before = received.get(argument.number)
            received[argument.number] = made if before is None else before + made
            waiting[argument.number] = argument
    return [received[v.number] for v in variables]


(slope,) = gradients(y, [x])
print("d/dx x e^x at 2 =", slope.value, "and by hand (1 + x) e^x =", 3 * np.exp(2))

# %% [markdown]
# That is all: about sixty lines. And since rules are made of NumPy's functions and were given `Node`s, the
# gradient is a `Node` itself. It remembers where it came from, so it can be differentiated again:

# %%
(second,) = gradients(slope, [x])
print("second derivative:", second.value, "and by hand (2 + x) e^x =", 4 * np.exp(2))

# %% [markdown]
# ## 4. The same with the real one
#
# The gradient of a squared error, in both:

# %%
rng = np.random.default_rng(0)
X, y = rng.normal(size=(50, 3)), rng.normal(size=(50, 1))


def loss(w, b):
    error = X @ w + b - y
    return np.sum(error * error) / 100


w, b = np.zeros((3, 1)), np.zeros(1)

small_w, small_b = Node(w), Node(b)
small = gradients(loss(small_w, small_b), [small_w, small_b])

real_w, real_b = tensor(w), tensor(b)
real_w.attach_grad()
real_b.attach_grad()
with record():
    value = loss(real_w, real_b)
value.backward()

print(np.allclose(small[0].value, real_w.grad), np.allclose(small[1].value, real_b.grad))

# %% [markdown]
# The real engine is the same idea. It adds: several hundred rows; arrays instead of nodes for the rules
# unless you ask for second derivatives, for speed; a flat tape in place of nodes that point to each other,
# so that a million calls are no problem; and an error wherever a gradient would be wrong or lost. Read it
# in this order: `tinygrad_lr/tape.py`, `sweep.py`, `tensor.py`.

# %% [markdown]
# ## Exercises
#
# Write your answers in the first cell, then run both.
#
# 1. What is the derivative of $x \sin x$ at $x = \pi$? (Paper first.)
# 2. `RULES` has no `np.tanh`. Write its row, a list with one rule.
# 3. $\tanh$ three times in a row: what is the second derivative of `np.tanh(np.tanh(np.tanh(x)))` at $x =
#    0.5$? Use the small engine with your row, to six digits.

# %%
answers = {1: ..., 2: ..., 3: ...}


# %%
def right_row(row):
    RULES[np.tanh] = row
    x = Node(0.7)
    return np.isclose(gradients(np.tanh(x), [x])[0].value, 1 - np.tanh(0.7) ** 2)


checks = {
    1: lambda a: np.isclose(a, grad(lambda x: x * np.sin(x))(np.pi)),
    2: right_row,
    3: lambda a: np.isclose(a, grad(grad(lambda x: np.tanh(np.tanh(np.tanh(x)))))(0.5), rtol=1e-5),
}
for number, check in checks.items():
    a = answers[number]
    print(number, "not answered yet" if a is ... else "right" if check(a) else "not yet right")

# %% [markdown]
# <details><summary>Answers</summary>
#
# ```python
# answers = {1: -np.pi, 2: [lambda g, y, x: g * (1 - y * y)]}
# RULES[np.tanh] = answers[2]
# x = Node(0.5)
# (slope,) = gradients(np.tanh(np.tanh(np.tanh(x))), [x])
# answers[3] = gradients(slope, [x])[0].value
# ```
#
# </details>
