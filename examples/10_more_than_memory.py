# %% [markdown]
# # More data than memory, with Dask
#
# You will be able to train a model on data that no machine holds at once, to say when it is read and what is
# computed where, and to choose the size of its chunks.
#
# It needs `pip install 'tinygrad_lr[cluster]'`.

# %%
import tempfile
import tracemalloc

import dask
import numpy as np
import pyarrow
import pyarrow.parquet
from scipy.optimize import minimize

from tinygrad_lr import DataModule, Trainer, asarray, record
from tinygrad_lr.closed_form import Standardisation, least_squares, r_squared
from tinygrad_lr.cluster import connect, read_parquet
from tinygrad_lr.func import value_and_grad
from tinygrad_lr.lazy import compute
from tinygrad_lr.linear import LinearRegressionScratch
from tinygrad_lr_viz import draw_graph

# %% [markdown]
# ## Data, in files
#
# Eight Parquet files, written one after the other, so that there is never more than one in memory. They
# are small here, for the notebook to be quick; nothing below knows that.

# %%
true_w, true_b = np.array([2.0, -3.4, 0.5]), 4.2
folder = tempfile.TemporaryDirectory()
for i in range(8):
    rng = np.random.default_rng(i)
    X = rng.normal(loc=[10, 0, -5], scale=[3, 1, 20], size=(50_000, 3))
    y = X @ true_w + true_b + rng.normal(size=50_000)
    columns = {"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "y": y}
    pyarrow.parquet.write_table(pyarrow.table(columns), f"{folder.name}/{i:02}.parquet")

table, places = read_parquet(folder.name)
X, y = table.select(["a", "b", "c"]).values, table.column("y")[:, np.newaxis]
print(X)
print(f"{X.nbytes + y.nbytes:,} bytes in {len(places)} chunks")

# %% [markdown]
# `X` is a Dask array: it knows its shape and how to get its eight chunks, a row group of a file each. Of the
# files only their ends have been read, which say what is in them.
#
# ## A step is a recipe
#
# A `Tensor` may hold a Dask array. What is done to it is written down, not done, and that goes for the
# gradient as well: its rules are NumPy functions, and Dask answers those with recipes.

# %%
model = LinearRegressionScratch(3, lr=0.1, sigma=0)
with record():
    loss = model.loss(model(asarray(X)), asarray(y))
loss.backward(retain_graph=True)  # for the picture below
print("loss:         ", loss.array)
print("gradient of w:", model.w.grad.array)

# %% [markdown]
# The graph is the one that you know. Values that nobody has computed are shown as shapes:

# %%
draw_graph(loss)

# %% [markdown]
# Now the numbers, all of them in one go: every file is read once, and its rows are gone when their part of
# the sums is known. How much memory does that take? NumPy tells `tracemalloc` of what it allocates: a few
# chunks at a time, with what is made of them. That does not grow with the number of files.

# %%
tracemalloc.start()
with dask.config.set(scheduler="sync"):  # one chunk after the other
    compute([loss, model.w.grad, model.b.grad])
peak = tracemalloc.get_traced_memory()[1]
tracemalloc.stop()
print("loss", loss.item().__round__(3), "gradient of w", model.w.grad.numpy().ravel().round(3))
print(f"less than half of the data in memory at any time: {peak < (X.nbytes + y.nbytes) / 2}")

# %% [markdown]
# ## Training
#
# Nothing is new: a `DataModule`, a model, a `Trainer`. The minibatches are whole chunks, in another order in
# every epoch, and each step asks Dask once, for the loss and the gradients together. The parameters stay
# here, in NumPy arrays.
#
# Here the cluster is two threads of this process. `connect(workers=8)` starts eight processes, and
# `connect("tcp://address:8786")` uses a cluster of any size. The program stays the same.


# %%
class Files(DataModule):
    def __init__(self, X, y):
        super().__init__()
        self.X, self.y, self.batch_size, self.seed = X, y, 100_000, 0

    def get_dataloader(self, train):
        rows = slice(0, 350_000) if train else slice(350_000, None)
        return self.get_tensorloader((self.X, self.y), train, rows)


with connect(workers=2, processes=False):
    scale = Standardisation.fit(X)  # means and deviations, summed over the chunks: one pass
    data = Files(scale.apply(X), y)
    model = LinearRegressionScratch(3, lr=0.3, sigma=0)
    trainer = Trainer(max_epochs=3)
    trainer.fit(model, data)
    w, b = scale.to_data_units(model.w.numpy(), model.b.numpy())
    best_w, best_b = least_squares(X, y)  # from X'X and X'y, summed over the chunks
    share = r_squared(y, X @ w + b)

print("learned:      ", w.ravel().round(3), b.round(2))
print("least squares:", best_w.ravel().round(3), best_b.round(2))
print("the truth:    ", true_w, true_b, f"  R² of what was learned: {share:.4f}")

# %% [markdown]
# The sums are added in the order of the chunks, not in that in which workers happen to finish. So the result
# is the same to the last bit, however many workers there are:

# %%
again = LinearRegressionScratch(3, lr=0.3, sigma=0)
with dask.config.set(scheduler="sync"):
    Trainer(max_epochs=3).fit(again, data)
print(np.array_equal(again.w.numpy(), model.w.numpy()))

# %% [markdown]
# ## Optimizers from elsewhere
#
# SciPy's L-BFGS wants a function that returns the loss and its gradient. `value_and_grad` makes it, of
# Dask arrays too, and `dask.compute` computes both at once:

# %%
Z = scale.apply(X)


def squared_error(parameters):
    w, b = parameters[:-1], parameters[-1]
    return np.mean((Z @ w + b - y[:, 0]) ** 2) / 2


def both(parameters):
    (result,) = dask.compute(value_and_grad(squared_error)(parameters), scheduler="sync")
    return result


fit = minimize(both, np.zeros(4), jac=True, method="L-BFGS-B")
w, b = scale.to_data_units(fit.x[:-1], fit.x[-1])
print(f"{fit.nfev} times through the data: {w.round(3)} {b.round(2)}")
folder.cleanup()

# %% [markdown]
# ## How large a chunk?
#
# Each chunk costs about ten tasks in a step, and the scheduler takes a millisecond or less for each of them:
# NumPy should need many times as long for its work. And each worker needs memory for a few chunks at a time.
# From 16 MB to a few hundred is right. [Measured](../docs/cluster.md), with what limits a cluster of hundreds
# of workers.
#
# ## Exercises
#
# Write your answers in the first cell, then run both.
#
# 1. A table has $10^9$ rows of 12 columns of float64s. Into how many chunks of 96 MB does it go?
# 2. With a `batch_size` of 100,000 rows, how many times does an epoch of the training above ask Dask to
#    compute something? (350,000 rows for training in chunks of 50,000; validation asks, too.)
# 3. The mean of 8 numbers is 3, that of 24 others is 7. What is the mean of all? (So do chunks add up.)

# %%
answers = {1: ..., 2: ..., 3: ...}

# %%
chunk_rows = 96_000_000 // (12 * 8)
checks = {
    1: lambda a: a == 10**9 / chunk_rows,
    2: lambda a: a == trainer.num_train_batches + trainer.num_val_batches,
    3: lambda a: a == np.mean([3] * 8 + [7] * 24),
}
for number, check in checks.items():
    a = answers[number]
    print(number, "not answered yet" if a is ... else "right" if check(a) else "not yet right")

# %% [markdown]
# <details><summary>Answers</summary>
#
# ```python
# answers = {1: 10**9 * 12 * 8 / 96e6, 2: 4 + 1, 3: (8 * 3 + 24 * 7) / 32}
# ```
#
# </details>
