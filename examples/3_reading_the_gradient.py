# %% [markdown]
# # Reading the gradient
#
# You will be able to print the gradient of a model as NumPy code, read it line by line, and derive the same
# lines on paper.

# %%
import numpy as np

from tinygrad_lr import compile
from tinygrad_lr.func import grad, value_and_grad

# %% [markdown]
# ## Linear regression
#
# The model is three lines. `value_and_grad` makes a function that returns the loss and its gradient;
# `compile` notes every call of NumPy's that it makes, simplifies them, and prints them.

# %%
rng = np.random.default_rng(0)
X, y, w = rng.normal(size=(8, 2)), rng.normal(size=8), np.array([0.5, -1.0])


def loss(w, X, y):
    error = X @ w - y
    return np.mean(error**2) / 2


step = compile(value_and_grad(loss))
value, gradient = step(w, X, y)
print(step.source)

# %% [markdown]
# ## The same on paper
#
# Write $e = Xw - y$ and $L = \frac{1}{2n} \sum_i e_i^2$. Two steps of the chain rule, from the end to the
# beginning:
#
# $$\frac{\partial L}{\partial e_i} = \frac{e_i}{n}, \qquad
#   \frac{\partial e_i}{\partial w_j} = X_{ij}, \qquad\text{so}\qquad
#   \frac{\partial L}{\partial w_j} = \frac1n \sum_i X_{ij} e_i, \qquad \nabla L = \frac1n X^\top e.$$
#
# That is the line of `grad_w` above, where $1/n = 0.125$. The transpose is not a trick to remember: it is
# the sum over the rows, over all ways from $w_j$ to $L$.

# %%
by_hand = X.T @ (X @ w - y) / len(y)
print(gradient, by_hand, np.allclose(gradient, by_hand))

# %% [markdown]
# The code needs nothing of this package. It can be pasted into any program:

# %%
pasted = {}
exec(step.source, pasted)
print(pasted["loss"](w, X, y)[1])

# %% [markdown]
# ## Logistic regression
#
# The loss is $\log(1 + e^z) - yz$ for the score $z$ and a label $y$ of 0 or 1. On paper its derivative is
# $\sigma(z) - y$, with $\sigma(z) = 1 / (1 + e^{-z})$: again an error, predicted probability minus label.
# Find it in the code. (For large scores write `np.logaddexp(0, z)`: `np.exp(z)` overflows at 710. Its
# gradient has to avoid the same, and is longer to read.)

# %%
labels = (y > 0).astype(float)


def cross_entropy(w, X, labels):
    z = X @ w
    return np.mean(np.log(1 + np.exp(z)) - labels * z)


classify = compile(value_and_grad(cross_entropy))
_, gradient = classify(w, X, labels)
print(classify.source)
print(np.allclose(gradient, X.T @ (1 / (1 + np.exp(-X @ w)) - labels) / len(y)))

# %% [markdown]
# ## Exercises
#
# Write your answers in the first cell, then run both.
#
# 1. The penalty $\frac{\lambda}{2} |w|^2$ is added to the loss, with $\lambda = 0.1$. What is added to the
#    gradient at $w = (0.5, -1)$? (Paper first.)
# 2. Weighted least squares: $L = \frac{1}{2n} \sum_i c_i e_i^2$. Write the gradient as a function of `w, X,
#    y, c`.
# 3. Absolute errors: $L = \frac1n \sum_i |e_i|$. Write the gradient as a function of `w, X, y`.

# %%
answers = {1: ..., 2: ..., 3: ...}

# %%
c = rng.uniform(1, 2, size=8)
checks = {
    1: lambda a: np.allclose(a, grad(lambda w: 0.1 / 2 * np.sum(w**2))(w)),
    2: lambda a: np.allclose(a(w, X, y, c), grad(lambda w: np.mean(c * (X @ w - y) ** 2) / 2)(w)),
    3: lambda a: np.allclose(a(w, X, y), grad(lambda w: np.mean(np.abs(X @ w - y)))(w)),
}
for number, check in checks.items():
    a = answers[number]
    print(number, "not answered yet" if a is ... else "right" if check(a) else "not yet right")

# %% [markdown]
# <details><summary>Answers</summary>
#
# ```python
# answers = {
#     1: [0.05, -0.1],
#     2: lambda w, X, y, c: X.T @ (c * (X @ w - y)) / len(y),
#     3: lambda w, X, y: X.T @ np.sign(X @ w - y) / len(y),
# }
# ```
#
# </details>
