"""Optimizers from SciPy: all they need is a function that returns a value and its gradient.

A logistic growth curve is fitted to noisy data by BFGS, and the book's multilayer perceptron by L-BFGS. Run
it (it needs SciPy):

    python examples/scipy_minimize.py
"""

import numpy as np
from scipy.optimize import minimize

import tinygrad_lr as d2l
from tinygrad_lr.func import value_and_grad

rng = np.random.default_rng(0)

# A curve with three parameters: the limit, the rate of growth, and when half of the limit is reached.
time = np.linspace(0, 10, 40)
true = np.array([3.0, 1.2, 4.0])


def growth(b, t):
    return b[0] / (1 + np.exp(-b[1] * (t - b[2])))


observed = growth(true, time) + 0.05 * rng.standard_normal(40)


def squared_error(b):
    return np.sum((growth(b, time) - observed) ** 2)


# `jac=True` says that the function returns the gradient, too. SciPy's arrays go in, SciPy gets arrays out.
fit = minimize(value_and_grad(squared_error), x0=[1.0, 1.0, 1.0], jac=True, method="BFGS")
print(f"curve: {np.round(fit.x, 2)} in {fit.nit} steps, and the truth is {true}")


# A model has its parameters in several tensors, and SciPy wants one vector: a few lines go to and fro.
X = rng.uniform(-1, 1, (200, 2))
y = (X[:, 0] * X[:, 1] > 0).astype(int)  # the sign of a product: no straight line separates it
np.random.seed(0)
model = d2l.MLP(num_outputs=2, num_hiddens=8, lr=0.1)
model(d2l.tensor(X))  # a lazy layer learns its shape from its first call


def flat(arrays):
    return np.concatenate([np.ravel(array) for array in arrays.values()])


def loss(vector):
    ends = np.cumsum([p.size for p in model.parameters()])[:-1]
    for parameter, values in zip(model.parameters(), np.split(vector, ends), strict=True):
        parameter[...] = values.reshape(parameter.shape)
    value, gradients = value_and_grad(lambda m: m.loss(m(d2l.tensor(X)), d2l.tensor(y)))(model)
    return value, flat(gradients)


fit = minimize(loss, flat(model.state_dict()), jac=True, method="L-BFGS-B", options={"maxiter": 60})
accuracy = model.accuracy(model(d2l.tensor(X)), d2l.tensor(y)).item()
print(
    f"perceptron: cross-entropy {fit.fun:.3f} after {fit.nit} steps, {accuracy:.0%} of the classes are right"
)
