"""Layers, losses and models: values, gradients to second order, what they are made of, and every error."""

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_lr as d2l
from search import examples
from tinygrad_lr import (
    MLP,
    SGD,
    Classifier,
    DataModule,
    LinearRegression,
    LinearRegressionScratch,
    Module,
    SoftmaxRegression,
    SyntheticRegressionData,
    Tensor,
    Trainer,
    WeightDecayScratch,
    autograd,
    init,
    nn,
    npx,
)

RECORDED = json.loads((Path(__file__).parent / "data" / "torch.json").read_text("utf-8"))
seeds = st.integers(0, 2**31)
moderate = st.lists(st.floats(-30, 30), min_size=1, max_size=5)


def attached(value: Any, dtype: Any = float) -> Tensor:
    tensor = d2l.tensor(value, dtype)
    tensor.attach_grad()
    return tensor


def gradient(function: Any, value: Any) -> Any:
    """The gradient of the sum of a function's values."""
    x = attached(value)
    with d2l.record():
        y = function(x)
    y.backward()
    return x.grad.numpy()


def second(function: Any, value: Any) -> Any:
    """The gradient of the sum of the gradient."""
    x = attached(value)
    with d2l.record():
        slope = autograd.grad(function(x).sum(), x, create_graph=True)
    slope.backward()
    return x.grad.numpy()


# ---- functions --------------------------------------------------------------------------------------------


@examples(25)
@given(moderate)
def test_sigmoid_and_softplus_and_their_derivatives(values: list[float]) -> None:
    x = np.array(values)
    s = 1 / (1 + np.exp(-x))
    close: Any = {"rtol": 1e-11, "atol": 1e-300}
    np.testing.assert_allclose(npx.sigmoid(x), s, **close)
    np.testing.assert_allclose(npx.softplus(x), np.log1p(np.exp(x)), **close)
    np.testing.assert_allclose(gradient(npx.softplus, x), s, **close)
    slope = 1 / ((1 + np.exp(-x)) * (1 + np.exp(x)))
    np.testing.assert_allclose(gradient(npx.sigmoid, x), slope, **close)
    np.testing.assert_allclose(second(npx.softplus, x), slope, **close)
    np.testing.assert_allclose(second(npx.sigmoid, x), -slope * np.tanh(x / 2), rtol=1e-9, atol=1e-15)


@examples(25)
@given(moderate)
def test_relu_and_its_derivatives(values: list[float]) -> None:
    x = np.array([*values, 0.0, -0.0])
    np.testing.assert_array_equal(npx.relu(x), np.where(x > 0, x, 0))
    np.testing.assert_array_equal(gradient(npx.relu, x), x > 0)
    assert (second(lambda t: npx.relu(t) ** 2 / 2, x) == (x > 0)).all()


@examples(25)
@given(seeds, st.sampled_from([0, 1, -1]))
def test_softmax_and_its_derivatives(seed: int, axis: int) -> None:
    draw = np.random.default_rng(seed)
    X, direction = draw.normal(0, 3, (3, 4)), draw.normal(size=(3, 4))
    power = np.exp(X)
    y = power / power.sum(axis, keepdims=True)
    np.testing.assert_allclose(npx.softmax(X, axis=axis), y, rtol=1e-12)
    np.testing.assert_allclose(npx.log_softmax(X, axis=axis), np.log(y), rtol=1e-11, atol=1e-14)
    # the Jacobian is diag(y) - y y^T along the axis
    expected = y * (direction - (y * direction).sum(axis, keepdims=True))
    found = gradient(lambda x: npx.softmax(x, axis=axis) * direction, X)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-14)
    expected = direction - y * direction.sum(axis, keepdims=True)
    found = gradient(lambda x: npx.log_softmax(x, axis=axis) * direction, X)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-14)
    composed = second(lambda x: np.log(npx.softmax(x, axis=axis)) * direction, X)
    np.testing.assert_allclose(
        second(lambda x: npx.log_softmax(x, axis=axis) * direction, X), composed, rtol=1e-7, atol=1e-11
    )


def test_extreme_values_neither_overflow_nor_lose_digits() -> None:
    x = np.array([-1e4, -800.0, -40.0, 0.0, 40.0, 800.0, 1e4])
    np.testing.assert_allclose(npx.sigmoid(x), [0, 0, np.exp(-40.0), 0.5, 1, 1, 1], rtol=1e-15)
    assert gradient(npx.sigmoid, x).tolist() == pytest.approx(
        [0, 0, np.exp(-40.0), 0.25, np.exp(-40.0), 0, 0]
    )
    assert npx.softplus(x)[[0, -1]].tolist() == [0, 1e4]
    assert npx.softmax(x).tolist() == [0] * 6 + [1]
    assert npx.log_softmax(x).tolist() == (x - 1e4).tolist()
    assert np.isfinite(gradient(npx.log_softmax, x)).all()


@pytest.mark.parametrize("function", [npx.relu, npx.sigmoid, npx.softplus, npx.softmax, npx.log_softmax])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_functions_keep_dtypes(function: Any, dtype: Any) -> None:
    x = attached([[-1.0, 2.0]], dtype)
    assert function(np.zeros((1, 2), dtype)).dtype == dtype
    with d2l.record():
        y = function(x)
    y.backward()
    assert y.dtype == x.grad.dtype == dtype


@examples(25)
@given(seeds, st.integers(-3, 2))
def test_pick_takes_one_element_of_each_row(seed: int, axis: int) -> None:
    draw = np.random.default_rng(seed)
    X = draw.normal(size=(2, 3, 4))
    index = draw.integers(0, X.shape[axis], np.delete(X.shape, axis))
    mask = np.moveaxis(npx.one_hot(index, X.shape[axis]), -1, axis)
    expected = (X * mask).sum(axis)
    np.testing.assert_array_equal(npx.pick(X, index, axis=axis), expected)
    np.testing.assert_array_equal(
        npx.pick(d2l.tensor(X), d2l.tensor(index.astype(float)), axis).numpy(), expected
    )
    np.testing.assert_array_equal(gradient(lambda x: npx.pick(x, index, axis), X), mask)


def test_numpy_semantics_are_always_on() -> None:
    npx.set_np()
    npx.reset_np()
    assert d2l.relu is npx.relu


# ---- layers -----------------------------------------------------------------------------------------------


@examples(25)
@given(seeds, st.booleans(), st.sampled_from([(), (4,), (2, 3)]))
def test_linear_is_an_affine_map(seed: int, bias: bool, batch: tuple[int, ...]) -> None:
    np.random.seed(seed % 2**32)
    layer = nn.Linear(3, 2, bias=bias)
    X = np.random.normal(size=(*batch, 3))
    W, b = layer.weight.numpy(), layer.bias.numpy() if layer.bias is not None else 0
    np.testing.assert_allclose(layer(d2l.tensor(X)).numpy(), X @ W.T + b, rtol=1e-12)
    assert (W.shape, np.abs(W).max() <= 1 / np.sqrt(3)) == ((2, 3), True)
    assert len(layer.parameters()) == 1 + bias
    with d2l.record():
        y = layer(d2l.tensor(X)).sum()
    y.backward()
    np.testing.assert_allclose(
        layer.weight.grad.numpy(), np.tile(X.reshape(-1, 3).sum(0), (2, 1)), rtol=1e-12
    )


@pytest.mark.parametrize("recording", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_a_lazy_layer_learns_shape_and_dtype_from_its_first_call(recording: bool, dtype: Any) -> None:
    layer = nn.LazyLinear(2)
    weight, bias = layer.parameters()
    sgd = SGD(layer.parameters(), lr=0.5)  # has the parameters already
    X = d2l.tensor(np.ones((4, 3), dtype))
    if not recording:
        layer(X)
    with d2l.record():
        loss = (layer(X) ** 2).sum()
    loss.backward()
    assert [layer.weight, layer.bias] == [weight, bias]
    assert (weight.shape, weight.dtype) == ((2, 3), np.float32 if dtype is np.float32 else np.float64)
    assert bias.dtype == weight.dtype
    before = weight.numpy().copy()
    sgd.step()
    np.testing.assert_array_equal(weight.numpy(), before - weight.dtype.type(0.5) * weight.grad.numpy())
    assert (weight.grad.numpy() != 0).all()
    assert nn.LazyLinear(2, dtype=np.float32)(X).dtype == (np.float64 if dtype is not np.float32 else dtype)


def test_layers_in_a_row() -> None:
    np.random.seed(0)
    net = nn.Sequential(nn.Flatten(), nn.LazyLinear(4), nn.Tanh(), np.abs)
    net.add(nn.Linear(4, 2), nn.Sigmoid())
    X = d2l.tensor(np.random.normal(size=(5, 2, 3)))
    first, last = net[1], net[4]
    hidden = np.abs(np.tanh(first(X.reshape(5, 6)).numpy()))
    expected = 1 / (1 + np.exp(-(hidden @ last.weight.numpy().T + last.bias.numpy())))
    np.testing.assert_allclose(net(X).numpy(), expected, rtol=1e-12)
    assert (len(net), list(net)[2]) == (6, net[2])
    assert list(net.named_parameters()) == ["1.weight", "1.bias", "4.weight", "4.bias"]
    assert net.modules() == [net, *(layer for layer in net if isinstance(layer, Module))]
    assert net(d2l.tensor(np.zeros((0, 2, 3)))).shape == (0, 2)


@examples(25)
@given(seeds, st.floats(0, 1))
def test_dropout_drops_in_training_only(seed: int, p: float) -> None:
    layer, same = nn.Dropout(p, seed), nn.Dropout(p, seed)
    X = np.ones((20, 20), np.float32)
    assert layer(X) is X
    with d2l.record():
        first, again = layer(d2l.tensor(X)), layer(d2l.tensor(X))
        with d2l.predict_mode():
            assert layer(X) is X
    with d2l.train_mode():
        np.testing.assert_array_equal(same(d2l.tensor(X)).numpy(), first.numpy())
    if p > 0:
        kept = first.numpy() != 0
        assert first.dtype == np.float32
        np.testing.assert_allclose(first.numpy()[kept], 1 / (1 - p) if p < 1 else 1, rtol=1e-6)
        assert abs(kept.mean() - (1 - p)) < 0.2
        assert p > 0.99 or p < 0.01 or (first.numpy() != again.numpy()).any()


def test_dropped_elements_have_no_gradient() -> None:
    layer = nn.Dropout(0.5, seed=0)
    x = attached(np.ones(50))
    with d2l.record():
        y = layer(x)
    y.backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.numpy())
    assert set(y.tolist()) == {0.0, 2.0}


def test_dropout_takes_its_seed_from_numpys() -> None:
    def draw() -> list[float]:
        np.random.seed(5)
        with d2l.train_mode():
            values: list[float] = nn.Dropout()(d2l.tensor(np.ones(40))).tolist()
        return values

    assert draw() == draw()


@pytest.mark.parametrize(
    ("initializer", "check"),
    [
        (init.Constant(0.5), lambda w: (w == 0.5).all()),
        (init.Zero(), lambda w: (w == 0).all()),
        (init.One(), lambda w: (w == 1).all()),
        (init.Normal(0.1), lambda w: 0.09 < w.std() < 0.11),
        (init.Uniform(0.2), lambda w: 0.19 < abs(w).max() <= 0.2),
        (init.Xavier(), lambda w: abs(w.var() - 2 / 200) < 1e-3),
        (lambda shape: np.arange(100), lambda w: (w == np.arange(100)).all()),
    ],
)
def test_weights_are_drawn_as_was_asked_for(initializer: Any, check: Any) -> None:
    X = d2l.tensor(np.ones((1, 100)))
    made, reset = nn.LazyLinear(100, init=initializer), nn.LazyLinear(100)
    nn.Sequential(reset).reset_parameters(initializer)  # before it knows its shape
    known = nn.Linear(100, 100)
    known.reset_parameters(initializer)
    for lazy in (made, reset):
        lazy(X)
    for layer in (nn.Linear(100, 100, init=initializer), made, reset, known):
        assert layer.weight.shape == (100, 100)
        assert check(layer.weight.numpy())
        assert layer.bias is not None
        assert (layer.bias.numpy() == 0).all()


def test_numpys_seed_reproduces_the_weights() -> None:
    def weights() -> Any:
        np.random.seed(3)
        return nn.Linear(4, 5).state_dict()

    np.testing.assert_equal(weights(), weights())


# ---- what a model is made of ------------------------------------------------------------------------------


class Tree(Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(2, 1)
        self.many = [attached(1.0), {"inner": nn.Linear(1, 1, bias=False)}]
        self.constant = d2l.tensor(1.0)
        self.again = self.first


def test_states_are_copies_by_name_and_continue() -> None:
    tree, other = Tree(), Tree()
    state = tree.state_dict()
    assert list(state) == ["first.weight", "first.bias", "many.0", "many.1.inner.weight"]
    parameters = other.parameters()
    other.load_state_dict({name: state[name] for name in reversed(state)})
    np.testing.assert_equal(other.state_dict(), state)
    assert all(a is b for a, b in zip(other.parameters(), parameters, strict=True))
    tree.first.weight += 1
    other.first.weight -= 1
    assert (state["first.weight"] != tree.first.weight.numpy()).all()
    assert (state["first.weight"] != other.first.weight.numpy()).all()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_a_copied_layer_has_parameters_of_its_own(copied: Any) -> None:
    layer = nn.Linear(2, 1)
    layer.bias.wd_mult = 0.5  # type: ignore[union-attr]
    twin = copied(layer)
    np.testing.assert_equal(twin.state_dict(), layer.state_dict())
    assert twin.bias.data().wd_mult == 0.5
    twin.weight += 1
    assert (twin.weight != layer.weight).all()
    with pytest.raises(AttributeError):
        twin.weight.wd_mul = 0


def test_states_take_the_parameters_dtype_and_lists_and_tensors() -> None:
    layer = nn.Linear(2, 1, dtype=np.float32)
    layer.load_state_dict({"weight": [[1, 2]], "bias": d2l.tensor([0.5])})
    assert layer(d2l.tensor([[1.0, 1.0]], np.float32)).tolist() == [[3.5]]
    assert layer.weight.dtype == np.float32


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_lazy_layer_takes_its_shape_and_dtype_from_a_state(dtype: Any) -> None:
    layer, lazy = nn.Linear(3, 2, dtype=dtype), nn.LazyLinear(2)
    assert [p.size for p in lazy.parameters()] == [0, 0]
    lazy.load_state_dict(layer.state_dict())
    assert [p.dtype for p in lazy.parameters()] == [dtype, dtype]
    X = d2l.tensor(np.ones((4, 3), dtype))
    np.testing.assert_array_equal(lazy(X).numpy(), layer(X).numpy())
    with d2l.record():
        loss = lazy(X).sum()
    loss.backward()
    assert lazy.weight.grad.tolist() == [[4.0] * 3] * 2


def test_every_wrong_entry_is_named_and_nothing_is_changed() -> None:
    tree = Tree()
    before = tree.state_dict()
    with pytest.raises(ValueError, match="this state is not of this Tree: ") as caught:
        tree.load_state_dict(
            {
                "first.weight": np.ones((1, 3)),
                "first.bias": ["a"],
                "many.0": np.float32(7),
                "many.1.weight": np.ones((1, 1)),
            }
        )
    for part in (
        "many.1.inner.weight is missing",
        "many.1.weight is unexpected",
        "first.weight has shape (1, 3) instead of (1, 2)",
        "first.bias has dtype <U1",
    ):
        assert part in str(caught.value)
    assert "many.0" not in str(caught.value)
    np.testing.assert_equal(tree.state_dict(), before)


def test_a_model_is_printed_with_shapes_and_counts() -> None:
    class Net(Classifier):
        def __init__(self, width: int, name: str, data: Any) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.net = nn.Sequential(nn.LazyLinear(width), nn.ReLU())
            self.heads = [nn.Linear(width, 1, bias=False)]
            self.scale = attached(1.0)
            self.constant = d2l.tensor(2.0)
            self.itself = self

    net = Net(1000, "big", data=[1, 2])
    assert repr(net) == (
        "Net(width=1000, name='big'): 1,001 parameters\n"
        "  net: Sequential()\n"
        "    0: LazyLinear(num_outputs=1000)\n"
        "      weight: (1000, 0)\n"
        "      bias: (0,)\n"
        "    1: ReLU()\n"
        "  heads.0: Linear(num_inputs=1000, num_outputs=1): 1,000 parameters\n"
        "    weight: (1, 1000)\n"
        "  scale: ()"
    )
    net.net(d2l.tensor(np.ones((1, 2))))
    assert repr(net).splitlines()[0] == "Net(width=1000, name='big'): 4,001 parameters"
    assert repr(Module()) == "Module()"


@pytest.mark.parametrize("module", [nn.Linear(1, 1), nn.Sequential(), Tree(), LinearRegression(0.1)])
def test_a_typo_is_an_attribute_error(module: Module) -> None:
    with pytest.raises(AttributeError, match="'wieght'"):
        getattr(module, "wieght")  # noqa: B009
    with pytest.raises(AttributeError, match="'Liner'"):
        getattr(nn, "Liner")  # noqa: B009


# ---- losses -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", RECORDED["losses"].values(), ids=RECORDED["losses"])
def test_losses_and_their_gradients_are_pytorchs(entry: dict[str, Any]) -> None:
    y_hat = attached(entry["y_hat"])
    with d2l.record():
        loss = getattr(nn, entry["class"])(**entry["options"])(y_hat, d2l.tensor(entry["y"]))
    loss.backward()
    assert loss.item() == pytest.approx(entry["value"], rel=1e-14)
    np.testing.assert_allclose(y_hat.grad.numpy(), entry["grad"], rtol=1e-13, atol=1e-17)


LOSSES: list[Any] = [
    nn.MSELoss,
    nn.L1Loss,
    nn.HuberLoss,
    lambda reduction: nn.HuberLoss(0.3, reduction),
    nn.BCEWithLogitsLoss,
    nn.CrossEntropyLoss,
]


@pytest.mark.parametrize("make", LOSSES)
@examples(25)
@given(seed=seeds)
def test_reductions(make: Any, seed: int) -> None:
    draw = np.random.default_rng(seed)
    y_hat, y = draw.normal(size=(3, 4)), draw.random((3, 4))
    each = make(reduction="none")(y_hat, y).numpy()
    assert each.shape == ((3,) if make is nn.CrossEntropyLoss else (3, 4))
    assert make(reduction="sum")(y_hat, y).item() == pytest.approx(each.sum())
    assert make(reduction="mean")(y_hat, y).item() == pytest.approx(each.mean())
    x = attached(y_hat)
    with d2l.record():
        loss = make(reduction="mean")(x, y)
    loss.backward()
    step = 1e-6
    for i in np.ndindex(3, 4):
        shifted = [y_hat.copy(), y_hat.copy()]
        shifted[0][i] += step
        shifted[1][i] -= step
        high, low = (make(reduction="mean")(values, y).item() for values in shifted)
        assert x.grad.numpy()[i] == pytest.approx((high - low) / (2 * step), abs=1e-5)


def test_kinks_of_losses() -> None:
    zero, y = np.zeros(3), np.array([0.0, 1.0, -1.0])
    assert gradient(lambda x: nn.L1Loss("sum")(x, y), zero).tolist() == [0, -1, 1]
    assert gradient(lambda x: nn.HuberLoss(1.0, "sum")(x, y), zero).tolist() == [0, -1, 1]
    assert second(lambda x: nn.HuberLoss(2.0, "sum")(x, y), zero).tolist() == [1, 1, 1]
    assert second(lambda x: nn.HuberLoss(0.5, "sum")(x, y), zero).tolist() == [1, 0, 0]
    assert gradient(lambda x: nn.BCEWithLogitsLoss("sum")(x, np.array([0.0, 1.0, 0.5])), zero).tolist() == [
        0.5,
        -0.5,
        0,
    ]
    assert second(lambda x: nn.BCEWithLogitsLoss("sum")(x, y), zero).tolist() == [0.25] * 3


def test_losses_from_logits_are_stable() -> None:
    logits = np.array([[1e4, 0.0, -1e4]])
    for label, loss in ((0, 0), (1, 1e4), (2, 2e4)):
        assert nn.CrossEntropyLoss()(logits, np.array([label])).item() == loss
        slope = gradient(lambda x, label=label: nn.CrossEntropyLoss()(x, np.array([label])), logits)
        assert slope.tolist() == [[1 - (label == 0), -(label == 1), -(label == 2)]]
    assert nn.BCEWithLogitsLoss("none")(logits, np.array([[1, 1, 1]])).tolist() == [[0, np.log(2), 1e4]]
    assert nn.BCEWithLogitsLoss("none")(logits, np.array([[0, 0, 0]])).tolist() == [[1e4, np.log(2), 0]]


@examples(25)
@given(seeds)
def test_classes_are_probabilities_of_one(seed: int) -> None:
    draw = np.random.default_rng(seed)
    logits, classes = draw.normal(size=(5, 3)), draw.integers(0, 3, 5)
    loss = nn.CrossEntropyLoss("none")
    expected = loss(logits, npx.one_hot(classes, 3)).numpy()
    np.testing.assert_allclose(loss(logits, classes).numpy(), expected, rtol=1e-14)
    np.testing.assert_allclose(loss(logits, classes.astype(float)).numpy(), expected, rtol=1e-14)


# ---- models -----------------------------------------------------------------------------------------------


class Given(DataModule):
    """The same examples for training and validation, all in one minibatch or in minibatches of a size."""

    def __init__(self, X: Any, y: Any, batch_size: int | None = None) -> None:
        super().__init__()
        self.X, self.y, self.seed, self.batch_size = X, y, 0, batch_size or len(X)

    def get_dataloader(self, train: bool) -> Any:
        return self.get_tensorloader((self.X, self.y), train)


def test_two_lines_learn_what_the_chapter_learns() -> None:
    np.random.seed(1)
    data = SyntheticRegressionData([2, -3.4], 4.2, num_train=200, num_val=20, seed=3)
    concise, scratch = LinearRegression(lr=0.03), LinearRegressionScratch(2, lr=0.06)  # of half the error
    w = np.random.normal(0, 0.01, (1, 2))
    concise.net.load_state_dict({"weight": w, "bias": np.zeros(1)})
    scratch.w[:] = w.T
    for model in (concise, scratch):
        Trainer(12).fit(model, data)
    learned, bias = concise.get_w_b()
    np.testing.assert_allclose(learned.numpy().T, scratch.w.numpy(), rtol=1e-10)
    np.testing.assert_allclose(bias.numpy(), scratch.b.numpy(), rtol=1e-10)
    np.testing.assert_allclose(learned.numpy(), [[2, -3.4]], atol=0.05)


def test_a_model_with_a_learning_rate_is_trained_by_sgd() -> None:
    optimizer = LinearRegression(lr=0.25).configure_optimizers()
    assert isinstance(optimizer, SGD)
    assert (optimizer.lr, len(optimizer.params)) == (0.25, 2)


@examples(5)
@given(seeds, st.sampled_from([0.0, 0.5, 3.0]))
def test_weight_decay_learns_the_ridge_solution(seed: int, lambd: float) -> None:
    draw = np.random.default_rng(seed)
    X, y = draw.normal(size=(30, 2)), draw.normal(size=(30, 1))
    np.random.seed(0)
    model = WeightDecayScratch(2, lambd, lr=0.2)
    Trainer(400, progress=False).fit(model, Given(X, y))
    A = np.hstack([X, np.ones((30, 1))])
    expected = np.linalg.solve(A.T @ A / 30 + lambd * np.diag([1, 1, 0]), A.T @ y / 30)
    np.testing.assert_allclose(np.vstack([model.w.numpy(), model.b.numpy()]), expected, atol=1e-8)


def test_softmax_regression_separates_what_can_be_separated() -> None:
    np.random.seed(0)
    centers = np.array([[0, 4], [4, 0], [-4, -4]])
    labels = np.arange(90) % 3
    X = (centers[labels] + np.random.normal(size=(90, 2))).reshape(90, 2, 1)
    model = SoftmaxRegression(num_outputs=3, lr=0.5)
    trainer = Trainer(20)
    trainer.fit(model, Given(X, labels, 30))
    assert model.accuracy(model(d2l.tensor(X)), labels).item() > 0.98
    assert list(model.board.data) == ["train_loss", "val_loss", "val_acc"]
    assert [p.y for p in model.board.data["val_acc"]][-1] > 0.98
    assert [mean for _, mean in trainer.history["val"]][-1] < 0.2  # of the loss, not of the accuracy
    probabilities = npx.softmax(model(d2l.tensor(X))).numpy()
    np.testing.assert_allclose(probabilities.sum(1), 1)


def test_a_multilayer_perceptron_learns_exclusive_or() -> None:
    np.random.seed(2)
    X, y = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    model = MLP(num_outputs=2, num_hiddens=8, lr=0.5)
    Trainer(400, progress=False).fit(model, Given(X, y))
    assert model.accuracy(model(d2l.tensor(X)), y).item() == 1
    assert model.loss(model(d2l.tensor(X)), y, averaged=False).shape == (4,)


def test_accuracy() -> None:
    scores, classes = d2l.tensor([[0.1, 0.9], [0.8, 0.2], [0.4, 0.6]]), d2l.tensor([1.0, 1.0, 1.0])
    assert Classifier().accuracy(scores, classes, averaged=False).tolist() == [1, 0, 1]
    assert Classifier().accuracy(scores, classes).item() == pytest.approx(2 / 3)


# ---- errors -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.Linear(0, 1), ValueError, "Linear needs at least one input, not 0"),
        (lambda: nn.Linear(1, 0), ValueError, "Linear needs at least one output, not 0"),
        (lambda: nn.LazyLinear(0), ValueError, "LazyLinear needs at least one output, not 0"),
        (
            lambda: nn.Linear(2, 3)(d2l.tensor(np.ones((5, 4)))),
            ValueError,
            "Linear has a weight of shape (3, 2): it takes inputs of shape (..., 2), not (5, 4)",
        ),
        (
            lambda: nn.LazyLinear(3)(d2l.tensor(1.0)),
            ValueError,
            "LazyLinear has a weight of shape (3, 0): it takes inputs of shape (..., 0), not ()",
        ),
        (
            lambda: nn.Sequential([np.exp]),  # type: ignore[arg-type]
            TypeError,
            f"a layer must be callable, but got {[np.exp]!r}. "
            "Write Sequential(first, second), without a list.",
        ),
        (lambda: nn.Dropout(1.5), ValueError, "a probability is between 0 and 1, but p=1.5"),
        (
            lambda: nn.MSELoss("average"),
            ValueError,
            'reduction must be "mean", "sum" or "none", not \'average\'',
        ),
        (lambda: nn.HuberLoss(0), ValueError, "delta must be positive, not 0"),
        (
            lambda: nn.MSELoss()(np.ones((3, 1)), np.ones(3)),
            ValueError,
            "MSELoss: the predictions have shape (3, 1), but y has (3,). "
            "Make y a column: y = y.reshape(-1, 1)",
        ),
        (
            lambda: nn.CrossEntropyLoss()(np.ones((3, 2)), np.ones((3, 1))),
            ValueError,
            "CrossEntropyLoss: the predictions have shape (3, 2), but y has (3, 1). It takes logits of shape "
            "(n, classes), and the class of each example, shape (n,): y = y.reshape(-1), or the probability "
            "of each class, shape (n, classes).",
        ),
        (
            lambda: nn.CrossEntropyLoss()(np.ones((2, 3)), np.array([0, 3])),
            ValueError,
            "classes must be whole numbers from 0 to 2, but they go from 0 to 3. "
            "Is the number of outputs right?",
        ),
        (
            lambda: npx.one_hot(np.array([-1]), 3),
            ValueError,
            "classes must be whole numbers from 0 to 2, but they go from -1 to -1. "
            "Is the number of outputs right?",
        ),
        (
            lambda: npx.pick(np.ones((1, 3)), np.array([0.5])),
            ValueError,
            "classes must be whole numbers from 0 to 2, not float64 fractions",
        ),
    ],
)
def test_errors_say_what_to_write(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (
            lambda: nn.Loss()(1.0, 2.0),
            "Loss has no method elements. Write `def elements(self, y_hat, y):` in the class, or after "
            "@add_to_class(Loss); it returns the loss of each element: (y_hat - y) ** 2.",
        ),
        (
            lambda: init.Initializer()((1, 2)),
            "Initializer has no method __call__. Write `def __call__(self, shape):` in the class, or after "
            "@add_to_class(Initializer); it returns an array of that shape: np.zeros(shape).",
        ),
    ],
)
def test_what_a_loss_and_an_initializer_have_to_say_themselves(use: Any, message: str) -> None:
    with pytest.raises(NotImplementedError) as caught:
        use()
    assert str(caught.value) == message


def test_a_lazy_layer_without_a_bias() -> None:
    layer = nn.LazyLinear(2, bias=False)
    assert layer(np.ones((4, 3))).shape == (4, 2)
    assert [p.shape for p in layer.parameters()] == [(2, 3)]
