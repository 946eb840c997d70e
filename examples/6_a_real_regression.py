# %% [markdown]
# # A real regression, from a CSV file to a prediction
#
# You will be able to take a table from a file to a prediction: train on it, check the result against the
# closed form, and read in the residuals what the model has missed, which no single number tells.

# %%
from pathlib import Path

import numpy as np

import tinygrad_lr as d2l
from tinygrad_lr.closed_form import Standardisation, least_squares, r_squared
from tinygrad_lr.func import grad
from tinygrad_lr.tables import read_table
from tinygrad_lr_viz import fit_plot

# %% [markdown]
# ## The data
#
# In the 1850s Ernst Engel asked what poor and rich families spend on food: 235 Belgian households, in
# francs a year. The rows are shuffled, and a fifth of them is kept for validation: nothing is learned from
# those, not even a mean.

# %%
folder = Path("examples/data") if Path("examples/data").exists() else Path("data")
table = read_table(folder / "engel.csv")
X, y = table.select(["income"]).values, table.column("foodexp")
print(len(table.lines), "households, incomes from", X.min().round(), "to", X.max().round())

order = np.random.default_rng(0).permutation(len(y))
training, validation = order[47:], order[:47]

# %% [markdown]
# ## Training
#
# An income of 1000 francs as it is would make the loss a narrow valley, on whose walls gradient descent
# swings or diverges ([notebook 5](5_loss_surfaces.ipynb)). So the model learns from standardised columns,
# with mean 0 and variance 1, and what it has learned is turned back into francs.

# %%
X_scale, y_scale = Standardisation.fit(X[training]), Standardisation.fit(y[training])


class Households(d2l.DataModule):
    def __init__(self):
        super().__init__()
        self.batch_size, self.seed = 32, 0

    def get_dataloader(self, train):
        columns = X_scale.apply(X), y_scale.apply(y)[:, None]
        return self.get_tensorloader(columns, train, training if train else validation)


np.random.seed(0)
model = d2l.LinearRegressionScratch(num_inputs=1, lr=0.03)
d2l.Trainer(max_epochs=100, progress=False).fit(model, Households())
w, b = X_scale.to_data_units(model.w.numpy()[:, 0], model.b.item(), y_scale)

# %% [markdown]
# Beside it the closed form, least squares, which needs no steps and no standardisation. R² is the share of
# the variance that is explained.

# %%
exact_w, exact_b = least_squares(X[training], y[training])
for name, slope, start in [("learned", w, b), ("least squares", exact_w, exact_b)]:
    share = [r_squared(y[rows], X[rows] @ slope + start) for rows in (training, validation)]
    print(f"{name:14} food = {start:.1f} + {slope.item():.4f} income   R² {share[0]:.3f}, {share[1]:.3f}")

# %% [markdown]
# The two agree, and R² looks fine. Is the model any good?
#
# ## What the residuals must be
#
# A residual is what was observed minus what was predicted, $r_i = y_i - (w x_i + b)$. The derivatives of
# the loss $\frac{1}{2n} \sum r_i^2$ are
#
# $$\frac{\partial L}{\partial w} = -\frac1n \sum_i r_i x_i, \qquad
#   \frac{\partial L}{\partial b} = -\frac1n \sum_i r_i,$$
#
# and at the optimum both are zero. That is all that least squares does: it takes away whatever of the
# residuals a straight line could still explain. Their mean is zero, and so is their correlation with the
# feature, *whatever the data look like*:

# %%
Z, t = X_scale.apply(X[training])[:, 0], y_scale.apply(y[training])


def loss(p):
    return np.mean((t - (p[0] * Z + p[1])) ** 2) / 2


optimum = np.append(*least_squares(Z[:, None], t))
residuals = t - (optimum[0] * Z + optimum[1])
print("gradient at the optimum:", np.abs(grad(loss)(optimum)).max() < 1e-12)
print("mean and correlation are zero:", abs(residuals.mean()) < 1e-12, abs(np.mean(residuals * Z)) < 1e-12)

# %% [markdown]
# ## What they should not be
#
# So no number of this kind says whether the line was the right model. A picture does. On the right there
# should be nothing to see: a level band of the same width everywhere.

# %%
fit_plot(X[training], y[training], w, b.item(), ["income"], "foodexp")

# %% [markdown]
# It is a fan. Rich households differ by hundreds of francs, poor ones by tens, and one rich household pulls
# at the line with all its weight. The model says "so many francs more or less" for all of them, and that is
# wrong:

# %%
francs = y[training] - (X[training] @ exact_w + exact_b)
for name, rows in zip(["poor", "middle", "rich"], np.array_split(np.argsort(X[training, 0]), 3), strict=True):
    print(f"{name:7} residuals of {francs[rows].std():4.0f} francs")

# %% [markdown]
# ## The mend
#
# If households differ by a *share* of what they spend, their logarithms differ by the same everywhere. The
# same code on other columns:

# %%
log_income, log_food = np.log(X), np.log(y)
log_w, log_b = least_squares(log_income[training], log_food[training])
fit_plot(log_income[training], log_food[training], log_w, log_b.item(), ["log income"], "log foodexp")

# %% [markdown]
# A band. And the coefficient has a meaning now: one per cent more income goes with 0.85 per cent more food.
# It is less than one: *the poorer a family, the larger the share of its income that goes to food*. That is
# Engel's law.
#
# ## The prediction
#
# The spread of the residuals is the same everywhere, so it says how far a prediction may be off: a factor
# of $e^{\pm 2s}$ should hold about 19 of 20 households. The validation rows were kept for this question.

# %%
spread = np.std(log_food[training] - (log_income[training] @ log_w + log_b))
off = np.abs(log_food[validation] - (log_income[validation] @ log_w + log_b))
print(f"{np.mean(off < 2 * spread):.0%} of the validation rows are within the band")
for new in (500, 1000, 2000):
    guess = np.exp(log_w.item() * np.log(new) + log_b)
    low, high = guess * np.exp([-2 * spread, 2 * spread])
    print(f"an income of {new:4}: {guess:4.0f} francs for food, {low:.0f} to {high:.0f} ({guess / new:.0%})")

# %% [markdown]
# In a terminal `tinygrad-lr fit examples/data/engel.csv --target foodexp` does the first half of this page,
# and `tinygrad-lr predict` writes predictions for the rows of another file.

# %% [markdown]
# ## Exercises
#
# Write your answers in the first cell, then run both.
#
# 1. A model without a feature, $\hat y = b$. Which $b$ makes the loss on the numbers 1, 2, 3, 10 smallest?
#    (Paper first: at the optimum the residuals have the mean zero.)
# 2. By which factor does spending on food grow when the income doubles, says the second model?
# 3. `penguins.csv` has `bill_depth_mm`, `flipper_length_mm` and `body_mass_g`. Give the coefficient of the
#    bill's depth in two regressions of the mass: alone, and together with the flipper's length. (Does a
#    penguin with a deeper bill weigh more, or less?)

# %%
penguins = read_table(folder / "penguins.csv")
mass = penguins.column("body_mass_g")
answers = {1: ..., 2: ..., 3: ...}

# %%
depth, both = penguins.select(["bill_depth_mm"]), penguins.select(["bill_depth_mm", "flipper_length_mm"])
slopes = [np.linalg.lstsq(np.c_[t.values, np.ones(len(mass))], mass)[0][0] for t in (depth, both)]
checks = {
    1: lambda a: abs(grad(lambda b: np.mean((np.array([1.0, 2, 3, 10]) - b) ** 2) / 2)(float(a))) < 1e-9,
    2: lambda a: np.isclose(a, np.exp(log_w * np.log(2)).item(), rtol=1e-3),
    3: lambda a: np.allclose(a, slopes, rtol=1e-3),
}
for number, check in checks.items():
    a = answers[number]
    print(number, "not answered yet" if a is ... else "right" if check(a) else "not yet right")

# %% [markdown]
# <details><summary>Answers</summary>
#
# A deeper bill goes with less weight among all penguins, as the heaviest species has flat bills, and with
# more weight among penguins of equal flippers. A coefficient is a statement about the columns beside it.
#
# ```python
# answers = {1: 4, 2: 2**log_w.item()}
# alone, _ = least_squares(penguins.select(["bill_depth_mm"]).values, mass)
# together, _ = least_squares(penguins.select(["bill_depth_mm", "flipper_length_mm"]).values, mass)
# answers[3] = [alone[0], together[0]]
# ```
#
# </details>
