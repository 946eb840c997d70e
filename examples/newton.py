"""Newton's method: linear regression in one step, with the Hessian by automatic differentiation.

Gradient descent knows the slope of the loss; Newton's method also knows its curvature, the Hessian H, and
goes where the slope would be zero if the curvature did not change: w - H^-1 g (Boyd and Vandenberghe, Convex
Optimization, section 9.5). The squared error of a linear model is a quadratic, whose curvature does not
change: one step, from anywhere, ends at the minimum. Run it:

    python examples/newton.py
"""

import numpy as np

import tinygrad_lr as d2l
from tinygrad_lr.func import grad, hessian

data = d2l.SyntheticRegressionData(w=[2, -3.4], b=4.2, seed=0)
X, y = data.X.numpy(), data.y.numpy()[:, 0]
A = np.column_stack([X, np.ones(len(X))])  # the bias is the weight of a feature that is always 1


def loss(w):
    return np.mean((A @ w - y) ** 2) / 2


w = np.array([100.0, -100.0, 100.0])  # anywhere
print(f"before:        {w}, loss {loss(w):.3g}")
w = w - np.linalg.solve(hessian(loss)(w), grad(loss)(w))
print(f"after a step:  {w}, loss {loss(w):.3g}")
print(f"least squares: {np.linalg.lstsq(A, y)[0]}")


# Where the curvature changes, Newton's method takes several steps, and the last ones double the digits that
# are right. Here is logistic regression, which has no closed form.
labels = (y > 4).astype(float)


def cross_entropy(w):
    z = A @ w
    return np.mean(np.logaddexp(0, z) - labels * z) + 1e-3 * np.sum(w**2)


w = np.zeros(3)
for step in range(1, 8):
    w = w - np.linalg.solve(hessian(cross_entropy)(w), grad(cross_entropy)(w))
    print(f"step {step}: |gradient| = {np.linalg.norm(grad(cross_entropy)(w)):.1e}")
