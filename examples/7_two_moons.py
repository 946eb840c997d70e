# %% [markdown]
# # Two moons: logistic regression and a small perceptron
#
# You will be able to train a classifier, see what a linear one cannot do, and what one hidden layer
# changes.

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinygrad_lr as d2l
from tinygrad_lr.models import MLP, SoftmaxRegression

# %% [markdown]
# ## The data
#
# Two half circles, one of them turned over and moved, with noise:

# %%
rng = np.random.default_rng(0)
angle, label = rng.uniform(0, np.pi, size=600), np.arange(600) % 2
points = np.column_stack([np.cos(angle), np.sin(angle)])
points[label == 1] = [1.0, 0.4] - points[label == 1]
points += 0.15 * rng.normal(size=points.shape)


class Moons(d2l.DataModule):
    def __init__(self):
        super().__init__()
        self.batch_size, self.seed = 32, 0

    def get_dataloader(self, train):
        return self.get_tensorloader((points, label), train, slice(0, 400) if train else slice(400, None))


# %% [markdown]
# ## Training
#
# Both models give two scores for a point, one for each class; softmax makes probabilities of them, and the
# loss is the cross-entropy: minus the logarithm of the probability of the right class. `SoftmaxRegression`
# is a linear layer, for two classes the same as logistic regression. `MLP` has a hidden layer of rectified
# linear units before it.

# %%
np.random.seed(0)
linear, perceptron = SoftmaxRegression(num_outputs=2, lr=0.3), MLP(num_outputs=2, num_hiddens=16, lr=0.3)
for model in (linear, perceptron):
    trainer = d2l.Trainer(max_epochs=60, progress=False)
    trainer.fit(model, Moons())
    with d2l.predict_mode():
        hits = model.accuracy(model(d2l.tensor(points[400:])), d2l.tensor(label[400:]))
    losses = trainer.history["val"]
    print(f"{type(model).__name__:18} validation loss {losses[-1][1]:.3f}, accuracy {hits.item():.3f}")

# %% [markdown]
# ## What they learned
#
# The boundary of a linear classifier is a straight line, however long it is trained. Each hidden unit adds
# a bend.

# %%
across, up = np.meshgrid(np.linspace(-1.5, 2.5, 120), np.linspace(-1.2, 1.6, 90))
grid = np.column_stack([across.ravel(), up.ravel()])
figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
for axis, model in zip(axes, (linear, perceptron), strict=True):
    probability = d2l.softmax(model(d2l.tensor(grid))).numpy()[:, 1].reshape(across.shape)
    axis.contourf(across, up, probability, levels=[0, 0.25, 0.5, 0.75, 1], cmap="cividis", alpha=0.6)
    axis.scatter(*points[label == 0].T, s=7, color="#00204d", marker="o")
    axis.scatter(*points[label == 1].T, s=9, color="#7a5c00", marker="^")
    axis.set_title(type(model).__name__)
plt.show()

# %% [markdown]
# ## Exercises
#
# Write your answers in the first cell, then run both.
#
# 1. How many parameters does the perceptron have? (Paper first: weights and biases of both layers.)
# 2. A model that knows nothing gives both classes the same score. What is its cross-entropy?
# 3. The scores of a point are $(1, 3)$ and its class is 0. What is the derivative of its loss with respect
#    to the first score? (On paper it is the probability of class 0, minus one.)

# %%
answers = {1: ..., 2: ..., 3: ...}

# %%
scores = d2l.tensor([[1.0, 3.0]])
scores.attach_grad()
with d2l.record():
    loss = perceptron.loss(scores, d2l.tensor([0]))
loss.backward()
checks = {
    1: lambda a: a == sum(p.size for p in perceptron.parameters()),
    2: lambda a: np.isclose(a, perceptron.loss(d2l.zeros((1, 2)), d2l.tensor([0])).item(), rtol=1e-3),
    3: lambda a: np.isclose(a, scores.grad[0, 0].item(), rtol=1e-3),
}
for number, check in checks.items():
    a = answers[number]
    print(number, "not answered yet" if a is ... else "right" if check(a) else "not yet right")

# %% [markdown]
# <details><summary>Answers</summary>
#
# ```python
# answers = {1: 2 * 16 + 16 + 16 * 2 + 2, 2: np.log(2), 3: np.exp(1) / (np.exp(1) + np.exp(3)) - 1}
# ```
#
# </details>
