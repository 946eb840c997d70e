# %% [markdown]
# # Loss surfaces: why training is fast, slow, or diverges
#
# You will be able to see the learning rate and the conditioning of a problem in the path that gradient
# descent takes, to mend a bad path by standardisation, and to reach the end of it in one step of Newton's
# method.

# %%
import numpy as np

from tinygrad_lr.closed_form import Standardisation
from tinygrad_lr.func import grad, hessian
from tinygrad_lr_viz.plots import loss_surface

rng = np.random.default_rng(0)
x = rng.uniform(1, 4, size=100)  # a feature in its own units: not around zero
y = 2 * x + 1 + 0.3 * rng.normal(size=100)


def loss_of(x, y):
    """The loss as a function of the weight and the bias."""
    A = np.column_stack([x, np.ones(len(x))])
    return lambda p: np.mean((A @ p - y) ** 2) / 2


def descent(loss, lr, steps):
    """The path of gradient descent from zero: one row for each point."""
    path = [np.zeros(2)]
    for _ in range(steps):
        path.append(path[-1] - lr * grad(loss)(path[-1]))
    return np.array(path)


loss = loss_of(x, y)

# %% [markdown]
# ## The learning rate
#
# The loss is a quadratic. Along the axes of its elliptic contours it is a parabola each, and the curvatures
# are the eigenvalues of the Hessian. A step of gradient descent multiplies the distance to the optimum
# along each axis by $1 - \eta\lambda$: it shrinks as long as $\eta < 2 / \lambda_{\max}$, and near that it
# jumps from one side of the valley to the other.

# %%
curvatures = np.linalg.eigvalsh(hessian(loss)(np.zeros(2)))
limit = 2 / curvatures[-1]
print(f"curvatures {curvatures.round(3)}: gradient descent diverges above a learning rate of {limit:.3f}")
for factor in (0.3, 0.95, 1.05):
    print(f"{factor} of the limit: loss after 40 steps {loss(descent(loss, factor * limit, 40)[-1]):.3g}")

# %%
loss_surface(x, y, descent(loss, 0.95 * limit, 40))

# %% [markdown]
# Across the valley it swings, along the valley it creeps. A smaller rate stops the swinging, not the
# creeping:

# %%
loss_surface(x, y, descent(loss, 0.3 * limit, 40))

# %% [markdown]
# ## Conditioning, and standardisation
#
# How narrow the valley is, is the condition number $\lambda_{\max} / \lambda_{\min}$. It comes from the
# data: as `x` is always positive, a larger weight and a smaller bias nearly cancel. Standardised, with mean
# 0 and variance 1, the feature and the constant 1 have nothing in common: the contours are circles, and the
# way is straight.

# %%
z = Standardisation.fit(x).apply(x)
standard = loss_of(z, y)
print("condition number:", np.linalg.cond(hessian(loss)(np.zeros(2))).round(1))
print("standardised:    ", np.linalg.cond(hessian(standard)(np.zeros(2))).round(1))
path = descent(standard, 0.5, 20)
best = np.linalg.lstsq(np.column_stack([z, np.ones(len(z))]), y)[0]
print(f"loss after 20 steps: {standard(path[-1]):.6f}, at best {standard(best):.6f}")

# %%
loss_surface(z, y, path)

# %% [markdown]
# ## Newton's method
#
# Newton's method divides by the curvature, in every direction by its own. On a quadratic it needs one step,
# without any standardisation:

# %%
start = np.zeros(2)
newton = start - np.linalg.solve(hessian(loss)(start), grad(loss)(start))
print(newton, "and least squares", np.polyfit(x, y, 1))
loss_surface(x, y, [start, newton])

# %% [markdown]
# ## Exercises
#
# Write your answers in the first cell, then run both.
#
# 1. The loss is $L(w) = (w_1^2 + 25 w_2^2) / 2$. Above which learning rate does gradient descent diverge?
#    (Paper first.)
# 2. What is its condition number?
# 3. With which learning rate does gradient descent on the *standardised* problem above arrive in one step?

# %%
answers = {1: ..., 2: ..., 3: ...}

# %%
curvature = hessian(lambda w: (w[0] ** 2 + 25 * w[1] ** 2) / 2)(np.zeros(2))
checks = {
    1: lambda a: np.isclose(a, 2 / np.linalg.eigvalsh(curvature)[-1]),
    2: lambda a: np.isclose(a, np.linalg.cond(curvature)),
    3: lambda a: np.allclose(descent(standard, a, 1)[-1], best),
}
for number, check in checks.items():
    a = answers[number]
    print(number, "not answered yet" if a is ... else "right" if check(a) else "not yet right")

# %% [markdown]
# <details><summary>Answers</summary>
#
# The curvatures are 1 and 25. Standardised, both are 1, and $1 - \eta\lambda = 0$ for $\eta = 1$.
#
# ```python
# answers = {1: 2 / 25, 2: 25, 3: 1.0}
# ```
#
# </details>
