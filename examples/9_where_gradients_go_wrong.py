# %% [markdown]
# # Where gradients go wrong
#
# You will be able to recognise the classic ways to a wrong or lost gradient, and the error that says so. A
# gradient that is wrong does not look wrong; so this engine stops instead, and says what to write.

# %%
import math
import re
from contextlib import contextmanager

import numpy as np

from tinygrad_lr import autograd, detect_anomaly, record, tensor


@contextmanager
def told():
    """Print what the engine says."""
    try:
        yield
    except Exception as error:
        print(type(error).__name__ + ":", re.sub('"/.*/', '"', str(error)))  # files without their folders


def leaf(values):
    x = tensor(values)
    x.attach_grad()
    return x


# %% [markdown]
# ## Forgotten: to record, to attach, to keep the graph

# %%
w = leaf([1.0, 2.0])
loss = np.sum(w**2)  # not inside record()
with told():
    loss.backward()

# %%
plain = tensor([1.0, 2.0])
with record():
    loss = np.sum(plain**2)
with told():
    loss.backward()

# %%
with record():
    loss = np.sum(w**2)
loss.backward()
with told():
    loss.backward()  # the first one freed the graph on its way

# %% [markdown]
# `w = w - lr * w.grad` is the classic one: after it `w` is a new tensor, without a gradient. `w -= ...`
# writes into the old one.

# %%
moved = w - 0.1 * w.grad
with record():
    loss = np.sum(moved**2)
with told():
    loss.backward()

# %% [markdown]
# ## In-place writes
#
# The derivative of $x^2$ needs $x$ as it was. Written over, it is gone:

# %%
x = leaf([1.0, 2.0])
with record():
    y = np.sum(x**2)
x += 10
with told():
    y.backward()

# %%
with told(), record():
    x += 1

# %%
buffer = np.zeros(2)
with told(), record():
    buffer[:] = x * 2  # an array cannot remember where its elements came from

# %% [markdown]
# ## Out of the graph, without noticing
#
# `math.sin` makes a float of its argument, and a float has no past:

# %%
angle = leaf(0.5)
with told(), record():
    math.sin(angle)
with record():
    y = np.sin(angle)
y.backward()
print("with np.sin:", angle.grad, "=", math.cos(0.5))

# %% [markdown]
# ## Kinks
#
# Where a function has a corner it has no derivative; any slope between those of the two sides is a
# subgradient, and descent works with each. A choice has to be made, and to be known:

# %%
for name, f, values in [
    ("abs at 0", np.abs, [0.0]),
    ("maximum(x, 0) at 0", lambda x: np.maximum(x, 0), [0.0]),
    ("max with a tie", np.max, [3.0, 3.0, 1.0]),
    ("norm at 0", np.linalg.norm, [0.0, 0.0]),
    ("clip at its bound", lambda x: np.clip(x, 0, 1), [1.0]),
]:
    x = leaf(values)
    with record():
        y = f(x)
    y.backward()
    print(f"{name:20} {x.grad}")

# %% [markdown]
# ## NaN behind a choice
#
# `np.where(x > 0, np.sqrt(x), 0)` never shows the root of a negative number. But in most engines its
# gradient is NaN: on the way back, a gradient of 0 arrives at the root, is multiplied with its infinite or
# undefined slope, and $0 \cdot \infty$ is NaN. Here the sweep knows which elements `where` left out, and
# they stay 0:

# %%
x = leaf([-1.0, 0.0, 4.0])
with record(), np.errstate(invalid="ignore"):
    y = np.sum(np.where(x > 0, np.sqrt(x), 0))
y.backward()
print(x.grad)

# %% [markdown]
# A product does not select. `0 * log(0)` is NaN in the value already; `detect_anomaly()` finds where a bad
# derivative comes from first, with the line that called the operation:

# %%
p = leaf([0.0, 0.5])
with told(), detect_anomaly(), np.errstate(all="ignore"):
    with record():
        entropy = -np.sum(p * np.log(p))
    entropy.backward()
with record(), np.errstate(all="ignore"):
    safe = np.where(p > 0, p, 1)  # the mend: choose before the logarithm
    entropy = -np.sum(safe * np.log(safe))
entropy.backward()
print("chosen before:", p.grad)

# %% [markdown]
# ## A variable that nothing depends on

# %%
a, b = leaf(1.0), leaf(2.0)
with record():
    y = a * 3
with told():
    autograd.grad(y, [a, b])

# %% [markdown]
# ## Exercises
#
# Write your answers in the first cell, then run both.
#
# 1. What is the gradient of `np.max(x)` at $x = (5, 5, 5, 5)$ here? (Four numbers.)
# 2. `x` has the gradient (2, 4) stored in `x.grad` by a `backward`. The same computation is recorded and
#    swept once more, with `attach_grad()` as above. What is `x.grad` then? And with `attach_grad("add")`?
#    Answer with both, as `[[., .], [., .]]`.
# 3. Mend `np.where(x == 0, 1, np.sin(x) / x)`, so that no value is ever computed by dividing by zero: write
#    a function of `x` that is right at 0 as well, without any `errstate`.

# %%
answers = {1: ..., 2: ..., 3: ...}


# %%
def gradient(f, values, request="write", times=1):
    x = tensor(values)
    x.attach_grad(request)
    for _ in range(times):
        with record():
            y = np.sum(f(x))
        y.backward()
    return x.grad.numpy()


def right_sinc(f):
    with np.errstate(all="raise"):
        slopes = gradient(f, [0.0, 1.0])
    return np.allclose(f(np.array([0.0, 1.0])), [1, np.sin(1)]) and np.allclose(
        slopes, [0, np.cos(1) - np.sin(1)]
    )


squares = [gradient(np.square, [1.0, 2.0], request, 2) for request in ("write", "add")]
checks = {
    1: lambda a: np.allclose(a, gradient(np.max, [5.0] * 4)),
    2: lambda a: np.allclose(a, squares),
    3: right_sinc,
}
for number, check in checks.items():
    a = answers[number]
    print(number, "not answered yet" if a is ... else "right" if check(a) else "not yet right")

# %% [markdown]
# <details><summary>Answers</summary>
#
# ```python
# def sinc(x):
#     safe = np.where(x == 0, 1.0, x)
#     return np.where(x == 0, 1.0, np.sin(safe) / safe)
#
#
# answers = {1: [0.25] * 4, 2: [[2, 4], [4, 8]], 3: sinc}
# ```
#
# </details>
