# %% [markdown]
# # Linear regression: from scratch, and in two lines
#
# You will be able to write a model, its loss, its optimizer and its training loop by hand, know what each
# line does, and then say the same in two lines, with the same result to the last digits.

# %%
import numpy as np

import tinygrad_lr as d2l
from tinygrad_lr import autograd
from tinygrad_lr.closed_form import least_squares

# %% [markdown]
# ## The data
#
# A thousand training and a thousand validation examples, $y = Xw + b + \text{noise}$, with parameters that
# we know:

# %%
true_w, true_b = [2.0, -3.4], 4.2


def fresh_data():
    return d2l.SyntheticRegressionData(w=true_w, b=true_b, batch_size=32, seed=0)


data = fresh_data()
print(data.X.shape, data.y.shape)

# %% [markdown]
# ## From scratch
#
# The parameters start small and random. The prediction is one matrix product; the bias is broadcast over
# the rows. The loss is half the squared error, averaged. Each step goes against the gradient. `-=` writes
# into the parameter itself, which is allowed here: nothing is being recorded outside the `with` block.

# %%
np.random.seed(1)
w, b, lr = d2l.normal(0, 0.01, (2, 1)), d2l.zeros(1), 0.03
w.attach_grad()
b.attach_grad()

loader = data.train_dataloader()
for epoch in range(5):
    for X, y in loader:
        with autograd.record():
            loss = np.mean((X @ w + b - y) ** 2 / 2)
        loss.backward()
        for parameter in (w, b):
            parameter -= lr * parameter.grad
    print(f"epoch {epoch + 1}: loss of the last minibatch {loss.item():.2g}")

print("w:", w.numpy().ravel(), " b:", b.numpy())

# %% [markdown]
# ## In two lines
#
# `LinearRegression` is a layer, a loss and SGD. Its loss is the mean squared error without the half, so its
# gradient is twice as large and half the learning rate makes the same steps. (The two random weights and
# the order of the minibatches are the same as above, as the seeds are.)

# %%
np.random.seed(1)
model = d2l.LinearRegression(lr=0.015)
d2l.Trainer(max_epochs=5, progress=False).fit(model, fresh_data())

# %% [markdown]
# Side by side, with the truth and with least squares, which needs no steps at all:

# %%
net_w, net_b = model.get_w_b()
n = data.num_train
exact_w, exact_b = least_squares(data.X.numpy()[:n], data.y.numpy()[:n])
for name, found_w, found_b in [
    ("truth", true_w, true_b),
    ("from scratch", w, b),
    ("two lines", net_w, net_b),
    ("least squares", exact_w, exact_b),
]:
    print(f"{name:15}", np.ravel(np.asarray(found_w)).round(5), np.ravel(np.asarray(found_b)).round(5))
print("same result:", np.allclose(w.numpy().T, net_w, atol=1e-6) and np.allclose(b, net_b, atol=1e-6))

# %% [markdown]
# ## Exercises
#
# Write your answers in the first cell, then run both.
#
# 1. One example: $x = 3$, $y = 5$, and the model is $\hat y = wx$ with $w = 1$. What is the derivative of
#    $(\hat y - y)^2 / 2$ with respect to $w$? (Paper first.)
# 2. And what is $w$ after one step of SGD with a learning rate of 0.1?
# 3. How many steps does the training above make in one epoch?

# %%
answers = {1: ..., 2: ..., 3: ...}

# %%
v = d2l.tensor(1.0)
v.attach_grad()
with autograd.record():
    half_square = (v * 3 - 5) ** 2 / 2
half_square.backward()
checks = {
    1: lambda a: np.isclose(a, v.grad.item()),
    2: lambda a: np.isclose(a, (v - 0.1 * v.grad).item()),
    3: lambda a: a == len(loader),
}
for number, check in checks.items():
    a = answers[number]
    print(number, "not answered yet" if a is ... else "right" if check(a) else "not yet right")

# %% [markdown]
# <details><summary>Answers</summary>
#
# The error is $3 - 5 = -2$, and the derivative $-2 \cdot 3$. 1000 examples in minibatches of 32 are 31 full
# ones and one of 8.
#
# ```python
# answers = {1: -6.0, 2: 1.6, 3: 32}
# ```
#
# </details>
