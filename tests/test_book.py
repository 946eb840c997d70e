"""Programs in the vocabulary of the book's MXNet tab, with nothing but their import lines changed."""

import json
import random
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy
import pytest

import tinygrad_lr as d2l
import tinygrad_lr as np
import tinygrad_lr as npx
from tinygrad_lr import autograd, book, gluon, init
from tinygrad_lr.gluon import nn

npx.set_np()


DATA = Path(__file__).parent / "data"
MXNETS = json.loads((DATA / "mxnet.json").read_text("utf-8"))["values"]
OURS = runpy.run_path(str(DATA / "record_mxnet.py"))["evaluated"](
    {"np": np, "npx": npx, "autograd": autograd, "gluon": gluon}
)


@pytest.mark.parametrize("expression", MXNETS)
def test_expressions_have_the_values_that_mxnet_gave_them(expression: str) -> None:
    expected, found = numpy.asarray(MXNETS[expression]), numpy.asarray(OURS[expression])
    assert found.shape == expected.shape
    assert found.dtype.kind == expected.dtype.kind
    numpy.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)  # MXNet computed in float32


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """What a program adds to a class is taken away again, and figures are closed."""
    classes = (d2l.Module, d2l.Classifier, d2l.DataModule, d2l.SyntheticRegressionData, d2l.Trainer)
    before = [dict(vars(cls)) for cls in classes]
    numpy.random.seed(0)
    random.seed(0)
    yield
    for cls, attributes in zip(classes, before, strict=True):
        for name, value in list(vars(cls).items()):
            if name not in attributes:
                delattr(cls, name)
            elif value is not attributes[name]:
                setattr(cls, name, attributes[name])


class Blobs(d2l.DataModule):
    """Instead of images: four classes of points around centers, in the shape of tiny images."""

    def __init__(self, batch_size: int = 25) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.centers = 3 * np.random.randn(4, 6)
        self.y = np.array([i % 4 for i in range(200)])
        self.X = (self.centers[self.y] + np.random.randn(200, 6)).reshape(200, 1, 2, 3)

    def get_dataloader(self, train: bool) -> Any:
        rows = slice(0, 150) if train else slice(150, None)
        return self.get_tensorloader((self.X, self.y), train, rows)


def accuracy(model: Any, data: Blobs) -> float:
    return float(model.accuracy(model(data.X), data.y))


# ---- linear regression ------------------------------------------------------------------------------------


def test_a_generator_of_minibatches_and_then_a_loader(capsys: pytest.CaptureFixture[str]) -> None:
    data = d2l.SyntheticRegressionData(w=d2l.tensor([2, -3.4]), b=4.2)

    @d2l.add_to_class(d2l.SyntheticRegressionData)
    def get_dataloader(self: Any, train: bool) -> Any:
        indices = list(range(self.num_train) if train else range(self.num_train, self.n))
        if train:
            random.shuffle(indices)
        for i in range(0, len(indices), self.batch_size):
            batch_indices = d2l.tensor(indices[i : i + self.batch_size])
            yield self.X[batch_indices], self.y[batch_indices]

    X, y = next(iter(data.train_dataloader()))
    print("X shape:", X.shape, "\ny shape:", y.shape)

    @d2l.add_to_class(d2l.SyntheticRegressionData)
    def get_dataloader(self: Any, train: bool) -> Any:  # noqa: F811
        i = slice(0, self.num_train) if train else slice(self.num_train, None)
        return self.get_tensorloader((self.X, self.y), train, i)

    X, y = next(iter(data.train_dataloader()))
    print("X shape:", X.shape, "\ny shape:", y.shape)
    assert capsys.readouterr().out == "X shape: (32, 2) \ny shape: (32, 1)\n" * 2
    assert len(data.train_dataloader()) == 32


def test_concise_linear_regression(capsys: pytest.CaptureFixture[str]) -> None:
    class LinearRegression(d2l.Module):
        def __init__(self, lr: float) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.net = nn.Dense(1)
            self.net.initialize(init.Normal(sigma=0.01))

        lr: float

        def forward(self, X: Any) -> Any:
            return self.net(X)

        def loss(self, y_hat: Any, y: Any) -> Any:
            fn = gluon.loss.L2Loss()
            return fn(y_hat, y).mean()

        def configure_optimizers(self) -> Any:
            return gluon.Trainer(self.collect_params(), "sgd", {"learning_rate": self.lr})

        def get_w_b(self) -> Any:
            return (self.net.weight.data(), self.net.bias.data())

    model = LinearRegression(lr=0.03)
    data = d2l.SyntheticRegressionData(w=d2l.tensor([2, -3.4]), b=4.2)
    trainer = d2l.Trainer(max_epochs=10)
    trainer.fit(model, data)
    w, b = model.get_w_b()
    print(f"error in estimating w: {data.w - d2l.reshape(w, data.w.shape)}")
    print(f"error in estimating b: {data.b - b}")
    first, second = capsys.readouterr().out.splitlines()
    errors = [*first.split("[")[1].rstrip("]").split(), second.split("[")[1].rstrip("]")]
    assert len(errors) == 3
    assert all(abs(float(error)) < 0.01 for error in errors)


class Scarce(d2l.DataModule):
    """Few examples with many features."""

    def __init__(self, num_train: int, num_val: int, num_inputs: int, batch_size: int) -> None:
        self.save_hyperparameters()
        n = num_train + num_val
        self.X = d2l.randn(n, num_inputs)
        noise = d2l.randn(n, 1) * 0.01
        w, b = d2l.ones((num_inputs, 1)) * 0.01, 0.05
        self.y = d2l.matmul(self.X, w) + b + noise

    num_train: int

    def get_dataloader(self, train: bool) -> Any:
        i = slice(0, self.num_train) if train else slice(self.num_train, None)
        return self.get_tensorloader([self.X, self.y], train, i)


def test_weight_decay_by_hand_and_by_the_optimizer() -> None:
    data, trainer = Scarce(20, 100, 200, batch_size=5), d2l.Trainer(max_epochs=10)

    def l2_penalty(w: Any) -> Any:
        return d2l.reduce_sum(w**2) / 2

    def train_scratch(lambd: float) -> tuple[float, float]:
        model = d2l.WeightDecayScratch(num_inputs=200, lambd=lambd, lr=0.01)
        model.board.yscale = "log"
        trainer.fit(model, data)
        return float(l2_penalty(model.w)), trainer.history["train"][-1][1]

    class WeightDecay(d2l.LinearRegression):
        def __init__(self, wd: float, lr: float) -> None:
            super().__init__(lr)
            self.save_hyperparameters()
            self.wd = wd

        def configure_optimizers(self) -> Any:
            self.collect_params(".*bias").setattr("wd_mult", 0)
            return gluon.Trainer(self.collect_params(), "sgd", {"learning_rate": self.lr, "wd": self.wd})

    free, decayed = train_scratch(0), train_scratch(3)
    assert free[0] > 5 * decayed[0]  # the norm of the weights
    assert free[1] < decayed[1]  # the training error: it overfits
    model = WeightDecay(wd=3, lr=0.01)
    trainer.fit(model, data)
    assert float(l2_penalty(model.get_w_b()[0])) < 0.5 * free[0]
    assert trainer.optim.optimizer.decays == (3, 0)


# ---- classification ---------------------------------------------------------------------------------------


def test_softmax_regression_from_scratch_with_the_books_own_base_class() -> None:
    class Classifier(d2l.Module):
        def validation_step(self, batch: Any) -> None:
            Y_hat = self(*batch[:-1])
            self.plot("loss", self.loss(Y_hat, batch[-1]), train=False)
            self.plot("acc", self.accuracy(Y_hat, batch[-1]), train=False)

        def accuracy(self, Y_hat: Any, Y: Any, averaged: bool = True) -> Any:
            Y_hat = d2l.reshape(Y_hat, (-1, Y_hat.shape[-1]))
            preds = d2l.astype(d2l.argmax(Y_hat, axis=1), Y.dtype)
            compare = d2l.astype(preds == d2l.reshape(Y, -1), d2l.float32)
            return d2l.reduce_mean(compare) if averaged else compare

    @d2l.add_to_class(d2l.Module)
    def get_scratch_params(self: Any) -> Any:
        params = []
        for attr in dir(self):
            a = getattr(self, attr)
            if isinstance(a, np.ndarray):
                params.append(a)
            if isinstance(a, d2l.Module):
                params.extend(a.get_scratch_params())
        return params

    @d2l.add_to_class(d2l.Module)
    def parameters(self: Any) -> Any:
        params = self.collect_params()
        is_dict = isinstance(params, gluon.parameter.ParameterDict)
        return params if is_dict and len(params.keys()) else self.get_scratch_params()

    @d2l.add_to_class(d2l.Module)
    def configure_optimizers(self: Any) -> Any:
        params = self.parameters()
        if isinstance(params, list):
            return d2l.SGD(params, self.lr)
        return gluon.Trainer(params, "sgd", {"learning_rate": self.lr})

    def softmax(X: Any) -> Any:
        X_exp = d2l.exp(X)
        partition = d2l.reduce_sum(X_exp, 1, keepdims=True)
        return X_exp / partition

    def cross_entropy(y_hat: Any, y: Any) -> Any:
        return -d2l.reduce_mean(d2l.log(y_hat[list(range(len(y_hat))), y]))

    y, y_hat = d2l.tensor([0, 2]), d2l.tensor([[0.1, 0.3, 0.6], [0.3, 0.2, 0.5]])
    assert y_hat[[0, 1], y].tolist() == [0.1, 0.5]
    assert float(cross_entropy(y_hat, y)) == pytest.approx(1.49786614)

    class SoftmaxRegressionScratch(Classifier):
        def __init__(self, num_inputs: int, num_outputs: int, lr: float, sigma: float = 0.01) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.W = np.random.normal(0, sigma, (num_inputs, num_outputs))
            self.b = np.zeros(num_outputs)
            self.W.attach_grad()
            self.b.attach_grad()

        def collect_params(self) -> Any:
            return [self.W, self.b]

        def forward(self, X: Any) -> Any:
            X = d2l.reshape(X, (-1, self.W.shape[0]))
            return softmax(d2l.matmul(X, self.W) + self.b)

        def loss(self, y_hat: Any, y: Any) -> Any:
            return cross_entropy(y_hat, y)

    data = Blobs()
    model = SoftmaxRegressionScratch(num_inputs=6, num_outputs=4, lr=0.1)
    d2l.Trainer(max_epochs=10).fit(model, data)
    assert accuracy(model, data) > 0.95


def test_a_multilayer_perceptron_from_scratch_and_concise() -> None:
    class MLPScratch(d2l.Classifier):
        def __init__(self, num_inputs: int, num_outputs: int, num_hiddens: int, lr: float) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.W1 = np.random.randn(num_inputs, num_hiddens) * 0.1
            self.b1 = np.zeros(num_hiddens)
            self.W2 = np.random.randn(num_hiddens, num_outputs) * 0.1
            self.b2 = np.zeros(num_outputs)
            for param in self.get_scratch_params():
                param.attach_grad()

        num_inputs: int

        def forward(self, X: Any) -> Any:
            X = d2l.reshape(X, (-1, self.num_inputs))
            H = np.maximum(d2l.matmul(X, self.W1) + self.b1, 0)
            return d2l.matmul(H, self.W2) + self.b2

    class MLP(d2l.Classifier):
        def __init__(self, num_outputs: int, num_hiddens: int, lr: float) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.net = nn.Sequential()
            self.net.add(nn.Dense(num_hiddens, activation="relu"), nn.Dense(num_outputs))
            self.net.initialize()

    data, trainer = Blobs(), d2l.Trainer(max_epochs=15)
    for model in (
        MLPScratch(num_inputs=6, num_outputs=4, num_hiddens=16, lr=0.1),
        MLP(num_outputs=4, num_hiddens=16, lr=0.1),
        d2l.MLP(num_outputs=4, num_hiddens=16, lr=0.1),
        d2l.SoftmaxRegression(num_outputs=4, lr=0.1),
    ):
        trainer.fit(model, data)
        assert accuracy(model, data) > 0.95
        assert trainer.history["val"][-1][1] < 0.3


def test_dropout_from_scratch_and_concise() -> None:
    def dropout_layer(X: Any, dropout: float) -> Any:
        if dropout == 1:
            return np.zeros_like(X)
        mask = np.random.uniform(0, 1, X.shape) > dropout
        return mask.astype(np.float32) * X / (1.0 - dropout)

    X = np.arange(16).reshape(2, 8)
    assert (dropout_layer(X, 0) == X).all()
    assert (dropout_layer(X, 1) == 0).all()

    class DropoutMLPScratch(d2l.Classifier):
        def __init__(self, num_outputs: int, num_hiddens: int, dropout: float, lr: float) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.lin1 = nn.Dense(num_hiddens, activation="relu")
            self.lin2 = nn.Dense(num_outputs)
            self.initialize()

        dropout: float

        def forward(self, X: Any) -> Any:
            H = self.lin1(X)
            if autograd.is_training():
                H = dropout_layer(H, self.dropout)
            return self.lin2(H)

    class DropoutMLP(d2l.Classifier):
        def __init__(self, num_outputs: int, num_hiddens: int, dropout: float, lr: float) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.net = nn.Sequential()
            self.net.add(nn.Dense(num_hiddens, activation="relu"), nn.Dropout(dropout), nn.Dense(num_outputs))
            self.net.initialize()

    data = Blobs()
    for cls in (DropoutMLPScratch, DropoutMLP):
        model = cls(num_outputs=4, num_hiddens=32, dropout=0.3, lr=0.1)
        d2l.Trainer(max_epochs=15).fit(model, data)
        assert accuracy(model, data) > 0.95
        assert (model(data.X) == model(data.X)).all()  # prediction drops nothing


# ---- Gluon ------------------------------------------------------------------------------------------------


def test_gluons_trainer_divides_by_the_batch_size_and_takes_its_hyperparameters() -> None:
    X, y = np.random.randn(8, 3), np.random.randn(8, 1)
    for name, options in (
        ("sgd", {"learning_rate": 0.1, "momentum": 0.5, "wd": 0.2}),
        ("adam", {"learning_rate": 0.1, "beta1": 0.5, "beta2": 0.9, "epsilon": 1e-3}),
    ):
        numpy.random.seed(0)
        summed, averaged = nn.Dense(1, in_units=3), nn.Dense(1, in_units=3)
        averaged.load_state_dict(summed.state_dict())
        assert summed.weight.shape == (1, 3)
        trainers = [gluon.Trainer(net.collect_params(), name, options) for net in (summed, averaged)]
        for _ in range(3):
            for net, trainer in zip((summed, averaged), trainers, strict=True):
                with autograd.record():
                    loss = gluon.loss.L2Loss()(net(X), y)
                    loss = loss.mean() if net is averaged else loss
                loss.backward()
                trainer.step(1 if net is averaged else 8)
        numpy.testing.assert_allclose(summed.weight.numpy(), averaged.weight.numpy(), rtol=1e-12)
        trainers[0].set_learning_rate(0.5)
        assert trainers[0].learning_rate == 0.5
        trainers[1].load_state_dict(trainers[0].state_dict())
        assert trainers[1].learning_rate == 0.5


def test_gluons_losses_have_one_number_for_each_example() -> None:
    y_hat, y = np.array([[0.5, -2.0], [1.0, 3.0]]), np.array([[0.0, 0.0], [1.0, 1.0]])
    loss = gluon.loss
    for fn, expected in (
        (loss.L2Loss(), [1.0625, 1.0]),
        (loss.L1Loss(), [1.25, 1.0]),
        (loss.HuberLoss(), [(0.125 + 1.5) / 2, 1.5 / 2]),
        (loss.HuberLoss(rho=2), [(0.0625 + 1) / 2, 1 / 2]),
        (loss.SigmoidBCELoss(), None),
    ):
        values = fn(y_hat, y)
        assert values.shape == (2,)
        assert expected is None or values.tolist() == pytest.approx(expected)
    classes = np.array([1.0, 0.0])
    assert loss.SoftmaxCELoss()(y_hat, classes).tolist() == pytest.approx(
        [-numpy.log(numpy.exp(-2) / (numpy.exp(0.5) + numpy.exp(-2))), numpy.log(1 + numpy.exp(2))]
    )
    assert loss.L2Loss()(np.ones((2, 1)), np.zeros(2)).shape == (2,)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: gluon.Trainer([], "rmsprop"),
            ValueError,
            'the optimizer must be "sgd" or "adam", not \'rmsprop\'',
        ),
        (lambda: gluon.Trainer([], "sgd", {"rho": 1}), TypeError, "sgd has no hyperparameter rho"),
        (
            lambda: nn.Dense(1, activation="swish"),
            ValueError,
            "activation must be one of None, 'relu', 'sigmoid', 'tanh', 'softrelu', not 'swish'",
        ),
    ],
)
def test_errors_of_gluon(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message


@pytest.mark.parametrize("shuffle", [False, True])
def test_gluons_loader_has_every_example_once(shuffle: bool) -> None:
    X, y = np.arange(14).reshape(7, 2), np.arange(7)
    dataset = gluon.data.ArrayDataset(X, y)
    loader = gluon.data.DataLoader(dataset, batch_size=3, shuffle=shuffle, num_workers=4)
    batches = list(loader)
    assert [len(rows) for rows, _ in batches] == [3, 3, 1]
    assert len(loader) == 3
    labels = np.concatenate([labels for _, labels in batches])
    assert sorted(labels.tolist()) == y.tolist()
    assert (labels.tolist() == y.tolist()) is not shuffle
    rows = np.concatenate([rows for rows, _ in batches])
    assert (rows == X[labels.astype(int)]).all()
    assert len(gluon.data.ArrayDataset(X)) == 7
    assert gluon.data.ArrayDataset(X)[2].tolist() == [4.0, 5.0]


def test_parameters_may_be_gluons_dict() -> None:
    class Own(d2l.nn_Module, d2l.HyperParameters):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Dense(1)

        def parameters(self) -> Any:
            return self.collect_params()

        def loss(self, y_hat: Any, y: Any) -> Any:
            return ((y_hat - y) ** 2).mean()

        def configure_optimizers(self) -> Any:
            return gluon.Trainer(self.parameters(), "sgd", {"learning_rate": 0.03})

    model, data = Own(), d2l.SyntheticRegressionData(w=d2l.tensor([2, -3.4]), b=4.2)
    d2l.Trainer(max_epochs=3, gradient_clip_val=5).fit(model, data)
    assert model.net.weight.numpy() == pytest.approx(numpy.array([[2, -3.4]]), abs=0.1)
    assert repr(model).splitlines()[0] == "Own(): 3 parameters"


def test_scratch_parameters_are_all_tensors() -> None:
    model = d2l.Module()
    model.w, model.layer = np.ones(2), nn.Dense(1, in_units=2)  # type: ignore[attr-defined]
    assert model.get_scratch_params() == [model.w, *model.layer.parameters()]  # type: ignore[attr-defined]
    assert list(model.collect_params()) == ["layer.weight", "layer.bias"]


# ---- plots ------------------------------------------------------------------------------------------------


@pytest.fixture
def plt() -> Iterator[Any]:
    matplotlib = pytest.importorskip("matplotlib", reason="plots need the extra viz")
    matplotlib.use("Agg")
    with matplotlib.rc_context():
        yield d2l.plt
        d2l.plt.close("all")


def drawn(plt: Any) -> list[tuple[list[float], list[float]]]:
    return [(list(line.get_xdata()), list(line.get_ydata())) for line in plt.gca().lines]


def test_a_function_and_its_derivative_are_plotted(plt: Any) -> None:
    x = np.arange(-8.0, 8.0, 0.1)
    x.attach_grad()
    with autograd.record():
        y = npx.relu(x)
    d2l.plot(x, y, "x", "relu(x)", figsize=(5, 2.5))
    assert drawn(plt) == [(x.tolist(), y.tolist())]
    assert (plt.gca().get_xlabel(), plt.gca().get_ylabel()) == ("x", "relu(x)")
    assert plt.gcf().get_size_inches().tolist() == [5, 2.5]
    y.backward()
    d2l.plot(x, [x.grad, [2 * value for value in x]], "x", legend=["grad of relu", "twice"], xlim=[-1, 1])
    assert drawn(plt) == [(x.tolist(), x.grad.tolist()), (x.tolist(), (2 * x).tolist())]
    assert [text.get_text() for text in plt.gca().get_legend().get_texts()] == ["grad of relu", "twice"]
    assert plt.gca().get_xlim() == (-1, 1)


def test_one_line_for_each_x_and_lines_over_their_indices(plt: Any) -> None:
    results = [10.0, 6.0, 3.6]
    d2l.plot([np.arange(3.0), results], [[1, 2, 3], [x**2 for x in results]], fmts=["-", "-o"], yscale="log")
    assert drawn(plt) == [([0, 1, 2], [1, 2, 3]), (results, [x**2 for x in results])]
    assert plt.gca().get_yscale() == "log"
    d2l.plot(np.array([3.0, 4.0]))
    assert drawn(plt) == [([0, 1], [3, 4])]
    d2l.plot([[1.0, 2.0], np.ones(3)])
    assert drawn(plt) == [([0, 1], [1, 2]), ([0, 1, 2], [1, 1, 1])]
    _, axes = plt.subplots()
    d2l.plot([1, 2], [3, 4], axes=axes)
    assert axes.lines[0].get_ydata().tolist() == [3, 4]
    with pytest.raises(ValueError, match="2 lines of x but 3 of y: give one x for all, or one for each y"):
        d2l.plot([[1, 2], [3, 4]], [[1, 2]] * 3)


def test_plots_of_a_notebook_are_svg(plt: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    formats: list[str] = []
    monkeypatch.setattr(book, "notebook", lambda: object())
    monkeypatch.setattr(
        book, "import_module", lambda name: SimpleNamespace(set_matplotlib_formats=formats.append)
    )
    d2l.set_figsize((4, 3))
    assert formats == ["svg"]
    assert plt.rcParams["figure.figsize"] == [4, 3]


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ModuleNotFoundError, match=r"plots need matplotlib: pip install 'tinygrad_lr\[viz\]'"):
        d2l.plot([1, 2])
    with pytest.raises(AttributeError, match="has no attribute 'pyplot'"):
        getattr(book, "pyplot")  # noqa: B009


def test_a_timer_adds_up() -> None:
    timer = d2l.Timer()
    times = [timer.stop(), timer.stop()]
    timer.start()
    assert timer.times == times
    assert times[1] >= times[0] >= 0
    assert (timer.sum(), timer.avg()) == (sum(times), sum(times) / 2)
    assert timer.cumsum() == pytest.approx([times[0], sum(times)])
