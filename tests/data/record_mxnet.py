"""Writes mxnet.json, what MXNet computes for expressions of the book's vocabulary (MXNet needs NumPy 1.23):

python tests/data/record_mxnet.py tests/data/mxnet.json
"""

import json
import sys
from typing import Any

SETUP = """
x = np.array([[0.5, -1.25, 2.0], [3.0, 0.25, -0.75]])
y = np.array([[1.0, 0.0, 2.5], [-1.0, 1.0, 0.5]])
hit = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
classes = np.array([2, 0])
written = np.arange(6).reshape(2, 3)
written[0, 1:] = 7
written += y

def slope(f, x):
    x.attach_grad()
    with autograd.record():
        z = f(x)
    z.backward()
    return x.grad
"""

EXPRESSIONS = """
np.arange(5)
np.arange(2, 9, 3)
np.arange(-1.0, 1.0, 0.25)
np.zeros((2, 3))
np.ones(4)
np.eye(3)
np.linspace(0, 1, 5)
np.zeros_like(x)
written
x + y
x - 2
3 / x
x ** 2
abs(x) ** 0.5
x == y
x < y
x[1]
x[:, -1]
x[0, 1:]
x[x > 0]
x[[0, 1], classes.astype('int32')]
x.reshape(3, 2)
x.reshape(-1)
x.T
x.sum()
x.sum(axis=[0, 1])
x.sum(axis=1, keepdims=True)
x.mean(axis=0)
x.max()
x.argmax(axis=1)
x.cumsum(axis=0)
x / x.sum(axis=1, keepdims=True)
np.dot(x, y.T)
np.dot(x[0], y[0])
np.concatenate([x, y], axis=1)
np.stack([x, y])
np.linalg.norm(x)
np.abs(x).sum()
np.exp(x)
np.maximum(x, 0)
np.where(x > y, x, y)
np.power(x, np.arange(3).reshape(1, -1))
np.expand_dims(x, 0)
x.clip(0, 1)
x.astype('int32')
x.item(2)
float(x.sum())
len(x)
x.size
npx.relu(x)
npx.sigmoid(x)
npx.softmax(x)
npx.log_softmax(x)
npx.softmax(x, axis=0)
npx.pick(x, classes)
npx.one_hot(classes, 3)
slope(lambda x: 2 * np.dot(x, x), np.arange(4))
slope(lambda x: x * x, x.copy())
slope(lambda x: x.detach() * x, x.copy())
slope(lambda x: npx.relu(x) * np.tanh(x), x.copy())
slope(lambda x: np.log(npx.softmax(x)).sum(), x.copy())
gluon.loss.L1Loss()(x, y)
gluon.loss.L2Loss()(x, y)
gluon.loss.SoftmaxCrossEntropyLoss()(x, classes)
gluon.loss.SigmoidBCELoss()(x, hit)
slope(lambda x: gluon.loss.SoftmaxCrossEntropyLoss()(x, classes), x.copy())
slope(lambda x: gluon.loss.SigmoidBCELoss()(x, hit), x.copy())
"""


def evaluated(names: dict[str, Any]) -> dict[str, Any]:
    """The values of the expressions as nested lists, where `np`, `npx`, `autograd` and `gluon` are given."""
    exec(SETUP, names)
    values = {line: eval(line, names) for line in EXPRESSIONS.strip().splitlines()}
    return {line: value.tolist() if hasattr(value, "tolist") else value for line, value in values.items()}


if __name__ == "__main__":
    import mxnet
    from mxnet import autograd, gluon, np, npx

    npx.set_np()
    recorded = evaluated({"np": np, "npx": npx, "autograd": autograd, "gluon": gluon})
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        result = {"source": f"MXNet {mxnet.__version__}, CPU, float32", "values": recorded}
        json.dump(result, file, separators=(",", ":"))
        file.write("\n")
