"""What is measured: for each workload its programs by name, hand-written NumPy first."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .libraries import INSTALLED, MODULES, PROGRAMS, Problem
from .measure import Program

rng = np.random.default_rng(0)


class Workload(NamedTuple):
    """Programs that do the same.

    Attributes
    ----------
    title : for the table.
    make : makes the programs, by name; the first of them is the measure of all.
    limits : the ratios to reach, by name.
    tolerance : of the results, relative to their size.
    """

    title: str
    make: Callable[[], dict[str, Program]]
    limits: dict[str, float]
    tolerance: float = 1e-6
    clock: Callable[[], float] = time.process_time
    rounds: int = 15


def programs(problem: Problem, peers: str, **by_hand: Program) -> dict[str, Program]:
    """The programs written by hand, and those of this project and of the peers that are installed."""
    names = ["eager", "compiled", *(name for name in peers.split(", ") if name in INSTALLED)]
    named = {{"numpy": "NumPy", "preallocated": "NumPy preallocated"}[k]: p for k, p in by_hand.items()}
    return {**named, **{name: PROGRAMS[name](problem) for name in names}}


ALL = "PyTorch eager, JAX jit, HIPS autograd, MyGrad, SmallPebble, micrograd"


# ---- the chapter's step -----------------------------------------------------------------------------------


def squared_error(np: Any, w: Any, b: Any, X: Any, y: Any) -> Any:
    r = X @ w + b - y
    return np.mean(r**2 / 2)


def chapter(dtype: Any) -> dict[str, Program]:
    X = rng.normal(size=(32, 2)).astype(dtype)
    y = (X @ np.array([[2], [-3.4]]) + 4.2).astype(dtype)
    lr = 0.03
    problem = Problem(squared_error, [np.zeros((2, 1), dtype), np.zeros(1, dtype)], [X, y], lr)

    def by_hand(w: Any, b: Any) -> Program:
        n = dtype(len(X))

        def step() -> Any:
            nonlocal w, b
            r = X @ w + b - y
            loss = np.mean(r**2 / 2)
            g = r / n
            w -= lr * (X.T @ g)
            b -= lr * g.sum(axis=0)
            return loss, w, b

        return step

    def preallocated(w: Any, b: Any) -> Program:
        r, gw, gb, XT = np.empty_like(y), np.empty_like(w), np.empty_like(b), X.T
        half, share, dot = dtype(0.5 / len(X)), dtype(lr / len(X)), np.dot
        column, total, subtract, add = r[:, 0], np.add.reduce, np.subtract, np.add
        multiply = np.multiply

        def step() -> Any:
            dot(X, w, r)
            add(r, b[0], r)
            subtract(r, y, r)
            loss = column.dot(column) * half
            multiply(r, share, r)
            dot(XT, r, gw)
            subtract(w, gw, w)
            total(r, 0, None, gb)
            subtract(b, gb, b)
            return loss, w, b

        return step

    return programs(
        problem, ALL, numpy=by_hand(*problem.own_params), preallocated=preallocated(*problem.own_params)
    )


# ---- a chain ----------------------------------------------------------------------------------------------


def alternating(np: Any, x: Any) -> Any:
    y = x
    for _ in range(500):
        y = y * x
        y = y + x
    return np.sum(y)


def chain() -> dict[str, Program]:
    start = np.array([0.5])

    def by_hand() -> Any:
        x = y = start
        factors = []
        for _ in range(500):
            factors.append(y)
            y = y * x
            y = y + x
        g, total = np.ones(1), np.zeros(1)
        while factors:
            total = total + g
            total = total + g * factors.pop()
            g = g * x
        return np.sum(y), total + g

    def preallocated() -> Program:
        kept = [np.empty(1) for _ in range(501)]
        y, g, spare, total, sum_ = (np.empty(1) for _ in range(5))
        multiply, add = np.multiply, np.add
        pairs = list(pairwise(kept))
        backwards = kept[-2::-1]

        def run() -> Any:
            x, gradient, product = start, g, spare
            kept[0][:] = x
            for a, b in pairs:
                multiply(a, x, y)
                add(y, x, b)
            gradient.fill(1)
            total.fill(0)
            for a in backwards:  # NumPy is slower where a result of one element is one of the operands
                add(total, gradient, sum_)
                multiply(gradient, a, product)
                add(sum_, product, total)
                multiply(gradient, x, product)
                gradient, product = product, gradient
            return add.reduce(kept[-1]), total + gradient

        return run

    # SmallPebble and micrograd reach Python's limit of recursion
    peers = "PyTorch eager, JAX jit, HIPS autograd, MyGrad"
    return programs(Problem(alternating, [start], []), peers, numpy=by_hand, preallocated=preallocated())


# ---- networks ---------------------------------------------------------------------------------------------


#: where each library keeps its functions of neural networks; HIPS autograd and micrograd have none
NETWORKS = {
    "numpy": "tinygrad_lr.npx",
    "torch": "torch.nn.functional",
    "jax.numpy": "jax.nn",
    "mygrad": "mygrad.nnet.activations",
}


@cache
def own(library: str, *names: str) -> Any:
    """A library's own function, under the first of some names that it knows; None if it has none."""
    module = import_module(NETWORKS[library]) if library in NETWORKS else None
    return next((getattr(module, name) for name in names if hasattr(module, name)), None)


def relu(np: Any, a: Any) -> Any:
    function = own(np.__name__, "relu")
    if function is None:
        return np.relu(a) if np.__name__ == "micrograd" else np.maximum(a, 0)
    return function(a)


def log_softmax(np: Any, z: Any) -> Any:
    function = own(np.__name__, "log_softmax", "logsoftmax")
    if function is None:
        z = z - np.max(z, axis=1, keepdims=True)
        return z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))
    return function(z, 1)


def cross_entropy(np: Any, W1: Any, b1: Any, W2: Any, b2: Any, X: Any, onehot: Any) -> Any:
    z = relu(np, X @ W1 + b1) @ W2 + b2
    if np.__name__ == "torch":  # PyTorch has all of it in one
        return np.nn.functional.cross_entropy(z, onehot)
    return -np.mean(np.sum(log_softmax(np, z) * onehot, axis=1))


def classifier() -> dict[str, Program]:
    sizes, n = [784, 256, 10], 128
    X = rng.random((n, 784), np.float32)
    onehot = np.eye(10, dtype=np.float32)[rng.integers(10, size=n)]
    params = []
    for a, b in pairwise(sizes):
        params += [
            rng.normal(0, 1 / np.sqrt(a), (a, b)).astype(np.float32),
            rng.normal(0, 0.1, b).astype(np.float32),
        ]
    lr = 0.01
    problem = Problem(cross_entropy, params, [X, onehot], lr)

    def by_hand(W1: Any, b1: Any, W2: Any, b2: Any) -> Program:
        def step() -> Any:
            h = np.maximum(X @ W1 + b1, 0)
            z = h @ W2 + b2
            z = z - z.max(axis=1, keepdims=True)
            e = np.exp(z)
            total = e.sum(axis=1, keepdims=True)
            loss = np.mean(np.log(total[:, 0]) - (z * onehot).sum(axis=1))
            g = (e / total - onehot) / n
            gh = (g @ W2.T) * (h > 0)
            for p, gradient in ((W2, h.T @ g), (b2, g.sum(axis=0)), (W1, X.T @ gh), (b1, gh.sum(axis=0))):
                p -= lr * gradient
            return loss, W1, b1, W2, b2

        return step

    peers = "PyTorch eager, JAX jit, HIPS autograd, MyGrad"
    return programs(problem, peers, numpy=by_hand(*problem.own_params))


def hinge(np: Any, *given: Any) -> Any:
    *params, X, y = given
    h = X
    for i in range(0, len(params), 2):
        h = h @ params[i] + params[i + 1]
        h = relu(np, h) if i + 2 < len(params) else h
    penalty = sum([np.sum(p * p) for p in params[1:]], np.sum(params[0] * params[0]))
    return np.mean(relu(np, 1 - y * h)) + 1e-4 * penalty


def moons() -> dict[str, Program]:
    angles = np.linspace(0, np.pi, 50)
    upper, lower = (np.cos(angles), np.sin(angles)), (1 - np.cos(angles), 0.5 - np.sin(angles))
    X = np.concatenate([np.stack(upper, 1), np.stack(lower, 1)]) + 0.1 * rng.normal(size=(100, 2))
    y = np.repeat([[-1.0], [1.0]], 50, axis=0)
    sizes = [2, 16, 16, 1]
    params = []
    for a, b in pairwise(sizes):
        params += [rng.uniform(-1, 1, (a, b)), np.zeros(b)]
    lr = 0.1
    problem = Problem(hinge, params, [X, y], lr)

    def by_hand(*params: Any) -> Program:
        W1, b1, W2, b2, W3, b3 = params

        def step() -> Any:
            h1 = np.maximum(X @ W1 + b1, 0)
            h2 = np.maximum(h1 @ W2 + b2, 0)
            margins = np.maximum(1 - y * (h2 @ W3 + b3), 0)
            loss = np.mean(margins) + 1e-4 * sum(np.sum(p * p) for p in params)
            g3 = -y * (margins > 0) / len(X)
            g2 = (g3 @ W3.T) * (h2 > 0)
            g1 = (g2 @ W2.T) * (h1 > 0)
            made = (X.T @ g1, g1.sum(0), h1.T @ g2, g2.sum(0), h2.T @ g3, g3.sum(0))
            for p, g in zip(params, made, strict=True):
                p -= lr * (g + 2e-4 * p)
            return loss, *params

        return step

    peers = "PyTorch eager, JAX jit, HIPS autograd, MyGrad, micrograd"
    return programs(problem, peers, numpy=by_hand(*problem.own_params))


# ---- large arrays -----------------------------------------------------------------------------------------


def full_batch(n: int, d: int, dtype: Any) -> dict[str, Program]:
    X = rng.standard_normal((n, d), np.float32).astype(dtype, copy=False)
    w, b = np.ones((d, 1), dtype), np.zeros(1, dtype)
    y = X @ np.linspace(-1, 1, d, dtype=dtype)[:, None]

    def by_hand() -> Any:
        r = X @ w + b - y
        g = r / dtype(n)
        return np.mean(r * r / 2), X.T @ g, g.sum(axis=0)

    return programs(Problem(squared_error, [w, b], [X, y]), "PyTorch eager, JAX jit", numpy=by_hand)


def mean_of_chain(np: Any, w: Any, b: Any, x: Any) -> Any:
    return np.mean(np.tanh(x * w + b) * np.exp(-x * x))


def elementwise() -> dict[str, Program]:
    x = rng.normal(size=1_000_000)
    w, b = np.array(0.7), np.array(-0.2)

    def by_hand() -> Any:
        t = np.tanh(x * w + b)
        e = np.exp(-x * x)
        g = (1 - t * t) * e / len(x)
        return np.mean(t * e), np.sum(g * x), np.sum(g)

    def preallocated() -> Program:
        t, e, g = np.empty_like(x), np.empty_like(x), np.empty_like(x)

        def run() -> Any:
            np.multiply(x, w, out=t)
            np.add(t, b, out=t)
            np.tanh(t, out=t)
            np.multiply(x, x, out=e)
            np.negative(e, out=e)
            np.exp(e, out=e)
            value = np.dot(t, e) / len(x)
            np.multiply(t, t, out=g)
            np.subtract(1, g, out=g)
            np.multiply(g, e, out=g)
            return value, np.dot(g, x) / len(x), np.add.reduce(g) / len(x)

        return run

    peers = "PyTorch eager, PyTorch compiled, JAX jit"
    problem = Problem(mean_of_chain, [w, b], [x])
    return programs(problem, peers, numpy=by_hand, preallocated=preallocated())


# ---- second derivatives -----------------------------------------------------------------------------------


def second_order(whole: bool) -> dict[str, Program]:
    n, d = 1000, 50
    X, y, w, v = rng.normal(size=(n, d)), rng.normal(size=n), rng.normal(size=d), rng.normal(size=d)

    def loss(np: Any, w: Any) -> Any:
        r = X @ w - y
        return np.mean(r * r) / 2

    from tinygrad_lr import compile, func

    made: dict[str, Program] = {}
    if whole:
        made["NumPy"] = lambda: X.T @ X / n
        hessian = func.hessian(lambda w: loss(np, w))
        compiled = compile(hessian)
        made |= {"eager": lambda: hessian(w), "compiled": lambda: compiled(w)}
    else:
        made["NumPy"] = lambda: X.T @ (X @ v) / n
        made["eager"] = lambda: func.hvp(lambda w: loss(np, w), w, v)
        product = compile(lambda w, v: func.hvp(lambda w: loss(np, w), w, v))
        made["compiled"] = lambda: product(w, v)
    if "PyTorch eager" in INSTALLED:
        torch: Any = import_module("torch")
        Xt, yt, wt, vt = map(torch.from_numpy, (X, y, w, v))

        def loss_torch(w: Any) -> Any:
            r = Xt @ w - yt
            return torch.mean(r * r) / 2

        made["PyTorch eager"] = (
            (lambda: torch.autograd.functional.hessian(loss_torch, wt))
            if whole
            else (lambda: torch.autograd.functional.hvp(loss_torch, wt, vt)[1])
        )
    if "JAX jit" in INSTALLED:
        jax: Any = import_module("jax")
        jnp: Any = import_module("jax.numpy")
        jax.config.update("jax_enable_x64", True)
        Xj, yj, wj, vj = map(jnp.asarray, (X, y, w, v))
        gradient = jax.grad(lambda w, X, y: jnp.mean((X @ w - y) ** 2) / 2)
        forward = jax.jit(
            jax.jacfwd(gradient)
            if whole
            else lambda w, X, y, v: jax.jvp(lambda w: gradient(w, X, y), [w], [v])[1]
        )
        rest = (Xj, yj) if whole else (Xj, yj, vj)
        made["JAX jit"] = lambda: jax.block_until_ready(forward(wj, *rest))
    return made


# ---- whole runs -------------------------------------------------------------------------------------------


def trainer() -> dict[str, Program]:
    from tinygrad_lr import LinearRegressionScratch, SyntheticRegressionData, Trainer, record

    def quiet() -> LinearRegressionScratch:
        model = LinearRegressionScratch(2, lr=0.03)
        model.plot_train_per_epoch = model.plot_valid_per_epoch = 0
        return model

    data = SyntheticRegressionData(w=[2, -3.4], b=4.2, num_val=0, seed=0)

    def bare() -> Any:
        np.random.seed(0)
        model = quiet()
        loader = data.train_dataloader()
        for _ in range(10):
            for X, y in loader:
                with record():
                    loss = model.loss(model(X), y)
                loss.backward()
                for p in (model.w, model.b):
                    p -= model.lr * p.grad
        return model.w.numpy(), model.b.numpy()

    def fit(**options: Any) -> Program:
        def run() -> Any:
            np.random.seed(0)
            model = quiet()
            Trainer(max_epochs=10, **options).fit(model, data)
            return model.w.numpy(), model.b.numpy()

        return run

    return {"bare loop": bare, "eager": fit(), "compiled": fit(compile=True)}


SCRIPTS = {
    "NumPy": """
import numpy as np
rng = np.random.default_rng(0)
X = rng.standard_normal((2000, 2))
y = X @ np.array([[2.0], [-3.4]]) + 4.2 + 0.01 * rng.standard_normal((2000, 1))
w, b, n = 0.01 * rng.standard_normal((2, 1)), np.zeros(1), 1000
losses = []
for epoch in range(3):
    order = rng.permutation(n)
    for start in range(0, n, 32):
        rows = order[start : start + 32]
        r = X[rows] @ w + b - y[rows]
        losses.append(float(np.mean(r**2 / 2)))
        w -= 0.03 * (X[rows].T @ (r / len(r)))
        b -= 0.03 * (r / len(r)).sum(axis=0)
    losses.append(float(np.mean((X[n:] @ w + b - y[n:]) ** 2 / 2)))
""",
    "eager": """
from tinygrad_lr import LinearRegressionScratch, SyntheticRegressionData, Trainer
model = LinearRegressionScratch(2, lr=0.03)
model.plot_train_per_epoch = model.plot_valid_per_epoch = 0
Trainer(max_epochs=3).fit(model, SyntheticRegressionData(w=[2, -3.4], b=4.2, seed=0))
w, b = model.w.numpy(), model.b.numpy()
""",
    "compiled": """
from tinygrad_lr import LinearRegressionScratch, SyntheticRegressionData, Trainer
model = LinearRegressionScratch(2, lr=0.03)
model.plot_train_per_epoch = model.plot_valid_per_epoch = 0
Trainer(max_epochs=3, compile=True).fit(model, SyntheticRegressionData(w=[2, -3.4], b=4.2, seed=0))
w, b = model.w.numpy(), model.b.numpy()
""",
    "HIPS autograd": """
import autograd.numpy as np
from autograd import value_and_grad
import numpy
rng = numpy.random.default_rng(0)
X = rng.standard_normal((2000, 2))
y = X @ np.array([[2.0], [-3.4]]) + 4.2 + 0.01 * rng.standard_normal((2000, 1))
params, n = [0.01 * rng.standard_normal((2, 1)), np.zeros(1)], 1000
step = value_and_grad(lambda p, X, y: np.mean((X @ p[0] + p[1] - y) ** 2 / 2))
for epoch in range(3):
    order = rng.permutation(n)
    for start in range(0, n, 32):
        rows = order[start : start + 32]
        loss, gradients = step(params, X[rows], y[rows])
        for p, g in zip(params, gradients):
            p -= 0.03 * g
w, b = params
""",
    "PyTorch eager": """
import torch
torch.set_num_threads(1)
torch.manual_seed(0)
X = torch.randn(2000, 2)
y = X @ torch.tensor([[2.0], [-3.4]]) + 4.2 + 0.01 * torch.randn(2000, 1)
w, b, n = (0.01 * torch.randn(2, 1)).requires_grad_(), torch.zeros(1, requires_grad=True), 1000
for epoch in range(3):
    order = torch.randperm(n)
    for start in range(0, n, 32):
        rows = order[start : start + 32]
        loss = ((X[rows] @ w + b - y[rows]) ** 2 / 2).mean()
        loss.backward()
        with torch.no_grad():
            for p in (w, b):
                p -= 0.03 * p.grad
                p.grad = None
w, b = w.detach().numpy(), b.detach().numpy()
""",
}


def children_time() -> float:
    """CPU seconds of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def processes() -> dict[str, Program]:
    root = str(Path(__file__).parent.parent)
    # with bytecode, as an installed package has it
    environment = os.environ | {
        "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / "benchmarks_bytecode")
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def program(script: str) -> Program:
        script += (
            "\nassert abs(w[0, 0] - 2) < 0.3 and abs(w[1, 0] + 3.4) < 0.4 and abs(b[0] - 4.2) < 0.4, (w, b)"
        )
        run = [sys.executable, "-c", script]
        return lambda: subprocess.run(run, cwd=root, env=environment, check=True).returncode

    return {name: program(s) for name, s in SCRIPTS.items() if name not in MODULES or name in INSTALLED}


WORKLOADS = {
    "step64": Workload(
        "one SGD step of the chapter, batch 32, float64",
        lambda: chapter(np.float64),
        {"eager": 1.6, "compiled": 0.32},
    ),
    "step32": Workload(
        "one SGD step of the chapter, batch 32, float32",
        lambda: chapter(np.float32),
        {"eager": 1.6, "compiled": 0.32},
        1e-4,
    ),
    "chain": Workload("chain of 1000 adds and muls, shape (1,)", chain, {"eager": 1.9, "compiled": 0.7}),
    "mlp": Workload(
        "MLP 784-256-10, batch 128, float32", classifier, {"eager": 1.08, "compiled": 0.95}, 1e-3
    ),
    "moons": Workload("two-moons MLP 2-16-16-1, one epoch", moons, {"eager": 1.7, "compiled": 0.4}),
    "rows": Workload(
        "gradient of 1,000,000 x 100, float64",
        lambda: full_batch(1_000_000, 100, np.float64),
        {"eager": 1.05, "compiled": 1.0},
    ),
    "columns": Workload(
        "gradient of 100,000 x 1000, float32",
        lambda: full_batch(100_000, 1000, np.float32),
        {"eager": 1.05, "compiled": 1.0},
        2e-2,
    ),
    "elements": Workload(
        "mean(tanh(xw + b) exp(-x²)), a million", elementwise, {"eager": 1.5, "compiled": 0.5}
    ),
    "hvp": Workload(
        "Hessian-vector product, 50 features", lambda: second_order(False), {"eager": 6, "compiled": 2}
    ),
    "hessian": Workload("Hessian, 50 features", lambda: second_order(True), {"eager": 20, "compiled": 2}),
    "trainer": Workload("Trainer.fit over a bare loop", trainer, {"eager": 1.2, "compiled": 1.2}),
    "process": Workload(
        "the chapter's run as a process",
        processes,
        {"eager": 1.1, "compiled": 1.2},
        clock=children_time,
        rounds=7,
    ),
}
