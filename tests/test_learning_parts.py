"""The parts of learning: parameters, hyperparameters, optimizer, board, progress bar, and every error."""

import importlib
import io
import re
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_lr as d2l
from tinygrad_lr import (
    SGD,
    DataModule,
    EarlyStopping,
    HyperParameters,
    LinearRegressionScratch,
    Module,
    ProgressBoard,
    SyntheticRegressionData,
    Tensor,
    Trainer,
)
from tinygrad_lr import board as board_module
from tinygrad_lr.data import TensorLoader


def attached(value: Any = 0.0, grad_req: str = "write") -> Tensor:
    tensor = d2l.tensor(value, dtype=float)
    tensor.attach_grad(grad_req)
    return tensor


def small_run(**options: Any) -> tuple[LinearRegressionScratch, Trainer]:
    model, trainer = LinearRegressionScratch(2, lr=0.03), Trainer(3, **options)
    trainer.fit(model, SyntheticRegressionData([2, -3.4], 4.2, num_train=64, num_val=32))
    return model, trainer


# ---- save_hyperparameters and add_to_class ----------------------------------------------------------------


class Base(HyperParameters):
    def __init__(
        self, width: int, /, depth: int = 2, *rest: int, lr: float, _hidden: int = 0, **more: int
    ) -> None:
        unrelated = width + depth  # a local variable is no hyperparameter
        self.save_hyperparameters()
        assert unrelated


class Derived(Base):
    def __init__(self, name: str, data: Any = None) -> None:
        super().__init__(8, lr=0.1)
        self.save_hyperparameters(ignore=["data"])


def test_all_kinds_of_arguments_are_saved() -> None:
    expected = {"width": 1, "depth": 3, "lr": 0.5, "rest": (4, 5), "more": {"extra": 6}}
    base: Any = Base(1, 3, 4, 5, lr=0.5, extra=6)
    assert base.hparams == expected
    assert {name: getattr(base, name) for name in expected} == expected
    assert not hasattr(base, "_hidden")
    assert not hasattr(base, "unrelated")


def test_a_derived_class_adds_its_own_hyperparameters() -> None:
    derived: Any = Derived("net", data=[1])
    assert derived.hparams == {"width": 8, "depth": 2, "lr": 0.1, "rest": (), "more": {}, "name": "net"}
    assert not hasattr(derived, "data")
    other: Any = Derived("other")
    assert (derived.name, other.hparams["name"]) == ("net", "other")


def test_save_hyperparameters_in_other_places() -> None:
    class Odd(HyperParameters):
        def __init__(this, a: int, b: int) -> None:  # noqa: N805
            this.save_hyperparameters(ignore="a")

        def configure(self, c: int) -> None:
            self.save_hyperparameters()

        def wrong(self) -> None:
            def helper(x: int) -> None:
                self.save_hyperparameters()

            helper(1)

    odd = Odd(1, 2)
    odd.configure(3)
    assert odd.hparams == {"b": 2, "c": 3}
    message = r"call it in a method of Odd, such as __init__, as self\.save_hyperparameters\(\)"
    with pytest.raises(RuntimeError, match=message):
        odd.wrong()
    with pytest.raises(RuntimeError, match=message):
        odd.save_hyperparameters()


def test_add_to_class_takes_methods_and_properties() -> None:
    class Target:
        x = 3

    target = Target()

    @d2l.add_to_class(Target)
    def double(self: Target) -> int:
        return 2 * self.x

    def square(self: Target) -> int:
        return self.x**2

    d2l.add_to_class(Target)(property(square))
    assert (target.double(), target.square) == (6, 9)  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match=r"not an object of type Target: write @add_to_class\(Target\)"):
        d2l.add_to_class(target)  # type: ignore[arg-type]


# ---- parameters -------------------------------------------------------------------------------------------

trees = st.recursive(
    st.sampled_from(["parameter", "constant", "number"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
        | st.dictionaries(st.sampled_from("uvw"), inner, max_size=3).map(lambda d: SimpleNamespace(**d))
    ),
    max_leaves=12,
)


@given(trees)
def test_parameters_are_found_in_order_wherever_they_are(tree: Any) -> None:
    expected: dict[str, Tensor] = {}

    def build(tree: Any, name: str) -> Any:
        if tree == "parameter":
            return expected.setdefault(name, attached(len(expected)))
        if isinstance(tree, (list, tuple)):
            return type(tree)(build(part, f"{name}.{i}") for i, part in enumerate(tree))
        if isinstance(tree, dict):
            return {key: build(part, f"{name}.{key}") for key, part in tree.items()}
        if isinstance(tree, SimpleNamespace):
            module = Module()
            for key, part in vars(tree).items():
                setattr(module, key, build(part, f"{name}.{key}"))
            return module
        return d2l.tensor(1.0) if tree == "constant" else 7

    model = Module()
    model.root = build(tree, "root")  # type: ignore[attr-defined]
    found = model.named_parameters()
    assert list(found) == list(expected)
    assert all(found[name] is expected[name] for name in expected)
    assert list(map(id, model.parameters())) == list(map(id, expected.values()))


def test_a_parameter_is_listed_once() -> None:
    class Tied(Module):
        def __init__(self, head: Tensor) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.again = [head, self]
            self.frozen = attached(1.0, "null")

    head = attached()
    tied = Tied(head)
    tied.trainer = Trainer(1)  # has a model and tensors of its own
    tied.trainer.model = Module()
    tied.trainer.model.stranger = attached()  # type: ignore[attr-defined]
    assert list(tied.named_parameters()) == ["head", "frozen"]
    assert tied.parameters()[0] is head


# ---- Module -----------------------------------------------------------------------------------------------


class Scale(Module):
    """Forgets super().__init__()."""

    def __init__(self) -> None:
        self.factor = attached(1.0)

    def forward(self, x: Tensor, power: int = 1) -> Tensor:
        return self.factor * x**power

    def loss(self, y_hat: Tensor, y: Tensor) -> Tensor:
        return ((y_hat - y) ** 2).mean()

    def configure_optimizers(self) -> SGD:
        return SGD(self.parameters(), lr=0.1)


class Pairs(DataModule):
    """Forgets super().__init__() too; y = 2x in minibatches that are a plain list."""

    def get_dataloader(self, train: bool) -> Any:
        return [(d2l.tensor([x]), d2l.tensor([2 * x])) for x in (1.0, -1.0, 2.0)]


def test_super_init_may_be_forgotten() -> None:
    model, trainer = Scale(), Trainer(20)
    trainer.fit(model, Pairs())
    assert model.factor.item() == pytest.approx(2)
    assert len(model.board.data["train_loss"]) == 20 * 3  # at most one point per minibatch
    assert len(model.board.data["val_loss"]) == 20


def test_forward_takes_what_the_call_is_given() -> None:
    assert Scale()(d2l.tensor(3.0), power=2).item() == 9
    model = Module()
    model.net = lambda x, y: x + y
    assert model(1, 2) == 3


def test_a_step_by_hand_needs_no_trainer() -> None:
    model = Scale()
    with d2l.record():
        loss = model.training_step((d2l.tensor([1.0]), d2l.tensor([2.0])))
    loss.backward()
    assert model.factor.grad.item() == -2
    model.validation_step((d2l.tensor([1.0]), d2l.tensor([2.0])))
    assert model.board.data == {}


def test_how_often_is_plotted() -> None:
    class Busy(LinearRegressionScratch):
        plot_train_per_epoch = 4

        def training_step(self, batch: Any) -> Any:
            loss = super().training_step(batch)
            self.plot("weight", self.w[0, 0], train=True)
            self.plot("constant", 5, train=True)
            return loss

    busy = Busy(2, lr=0.03)
    busy.plot_train_per_epoch, busy.plot_valid_per_epoch = 4, 0
    trainer = Trainer(3)
    trainer.fit(busy, SyntheticRegressionData([2, -3.4], 4.2, num_train=32 * 8, num_val=32, seed=0))
    assert {name: len(line) for name, line in busy.board.data.items()} == {
        "train_loss": 12,
        "train_weight": 12,
        "train_constant": 12,
    }
    assert [p.x for p in busy.board.data["train_loss"][:4]] == [0.5 / 8, 2.5 / 8, 4.5 / 8, 6.5 / 8]
    assert {p.y for p in busy.board.data["train_constant"]} == {5}
    assert [x for x, _ in trainer.history["train"]] == [1, 2, 3]  # of the losses, not of all that was plotted
    assert trainer.history["train"][-1][1] > trainer.history["val"][-1][1] > 0
    assert (busy.board.xlabel, busy.board.xlim) == ("epoch", [0, 3])


def test_a_loss_for_each_example_counts_with_its_mean() -> None:
    class PerExample(Scale):
        def loss(self, y_hat: Tensor, y: Tensor) -> Tensor:
            return (y_hat - y) ** 2

    class One(DataModule):
        def get_dataloader(self, train: bool) -> Any:
            return [(d2l.tensor([1.0, 3.0]), d2l.tensor([0.0, 0.0]))] if train else None

    trainer = Trainer(1)
    trainer.fit(PerExample(), One())
    assert trainer.history == {"train": [(1, 5.0)], "val": []}


# ---- SGD --------------------------------------------------------------------------------------------------


def test_sgd_goes_downhill_in_place() -> None:
    w, b = attached([[1.0], [2.0]]), attached(3.0)
    arrays = w.array, b.array
    w.grad[:], b.grad[...] = 10.0, -1.0
    sgd = SGD(iter([w, b]), lr=0.5)
    sgd.step()
    assert (w.tolist(), b.item()) == ([[-4.0], [-3.0]], 3.5)
    assert (w.array, b.array) == arrays
    sgd.zero_grad()
    assert (w.grad.tolist(), b.grad.item()) == ([[0.0], [0.0]], 0)


# ---- the board --------------------------------------------------------------------------------------------


@given(st.lists(st.floats(-1e6, 1e6), max_size=30), st.integers(1, 6))
def test_a_point_is_the_mean_of_every_n(ys: list[float], n: int) -> None:
    board = ProgressBoard()
    for x, y in enumerate(ys):
        board.draw(
            x, [y, np.float64(y), np.array([y]), d2l.tensor(y), d2l.tensor([[y]])][x % 5], "y", every_n=n
        )
    expected = [(np.mean(range(i, i + n)), np.mean(ys[i : i + n])) for i in range(0, len(ys) // n * n, n)]
    line = board.data.get("y", [])
    np.testing.assert_allclose(np.array(line).reshape(-1, 2), np.array(expected).reshape(-1, 2), atol=1e-9)


class Notebook:
    """What IPython does, as far as the board knows it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown: list[list[str]] = []  # for each display its pictures
        self.hooks: list[Any] = []
        shell = SimpleNamespace(kernel=object(), events=self)
        display = SimpleNamespace(SVG=str, display=self._display)
        fake = SimpleNamespace(get_ipython=lambda: shell, display=display, version_info=(9, 0))
        monkeypatch.setitem(sys.modules, "IPython", fake)

    def _display(self, picture: str, display_id: bool) -> Any:
        assert display_id
        self.shown.append([picture])
        return SimpleNamespace(update=self.shown[-1].append)

    def register(self, event: str, hook: Any) -> None:
        assert event == "post_run_cell"
        self.hooks.append(hook)

    def unregister(self, event: str, hook: Any) -> None:
        self.hooks.remove(hook)

    def end_cell(self) -> None:
        for hook in list(self.hooks):
            hook(object())


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Notebook:
    pytest.importorskip("matplotlib", reason="the live plot needs the extra viz")
    return Notebook(monkeypatch)


def test_a_notebook_sees_the_last_points(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_module, "START", 0)
    monkeypatch.setattr(board_module, "PAUSE", 1e9)
    board = ProgressBoard("x")
    for x in range(5):
        board.draw(x, x**2, "first label")
    board.draw(0, 1, "second label")
    (pictures,) = notebook.shown
    assert len(pictures) == 1  # the other points came too soon
    notebook.end_cell()
    assert len(notebook.shown) == 1
    assert len(pictures) == 2  # in the same place
    assert "<svg" in pictures[1]
    assert notebook.hooks == []
    notebook.end_cell()
    assert len(pictures) == 2
    board.draw(9, 9, "first label")
    board.clear()  # what comes next is another picture, but this one is completed first
    assert len(pictures) == 3
    board.draw(1, 1, "other")
    assert [len(pictures) for pictures in notebook.shown] == [3, 1]
    assert "first label" not in notebook.shown[1][0]
    assert len(notebook.hooks) == 1


def test_what_is_shown_is_not_shown_again_at_the_end_of_the_cell(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board_module, "START", 0)
    ProgressBoard().draw(1, 2, "line")
    notebook.end_cell()
    assert [len(pictures) for pictures in notebook.shown] == [1]
    assert notebook.hooks == []


def test_a_notebook_sees_every_point_if_there_is_time(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(board_module, "PAUSE", 0)
    monkeypatch.setattr(board_module, "START", 0)
    monkeypatch.setattr(board_module, "SHARE", 0)
    monkeypatch.setattr(ProgressBoard, "svg", lambda board: f"{len(board.data)} lines")
    model, trainer = small_run()
    assert [len(pictures) for pictures in notebook.shown] == [6 + 3]
    trainer.fit(model, SyntheticRegressionData([2, -3.4], 4.2, num_train=64, num_val=32))
    assert [len(pictures) for pictures in notebook.shown] == [9, 9]  # each run has its own
    assert len(model.board.data["train_loss"]) == 6
    assert "matplotlib.pyplot" not in vars(board_module)
    assert capfd.readouterr() == ("", "")


def test_the_board_can_be_switched_off(notebook: Notebook) -> None:
    model = LinearRegressionScratch(2, lr=0.03)
    model.board.display = False
    Trainer(1).fit(model, SyntheticRegressionData([2, -3.4], 4.2))
    assert notebook.shown == []
    assert model.board.data["train_loss"]


def test_the_picture_is_what_was_asked_for() -> None:
    figures = pytest.importorskip("matplotlib.figure", reason="the picture needs the extra viz")
    board = ProgressBoard(
        "steps", "loss", [0, 10], [1, 100], "linear", "log", [":"], ["red", "blue"], figsize=(6, 4)
    )
    for label in ("a", "b", "c"):
        board.draw(1, 10, label)
    board.svg()
    assert "<svg" in board.svg()  # drawing twice adds nothing
    (axes,) = board.fig.axes
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_yscale()) == ("steps", "loss", "log")
    assert (axes.get_xlim(), axes.get_ylim(), tuple(board.fig.get_size_inches())) == (
        (0, 10),
        (1, 100),
        (6, 4),
    )
    assert [(line.get_linestyle(), line.get_color()) for line in axes.lines] == [
        (":", "red"),
        (":", "blue"),
        (":", "red"),
    ]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b", "c"]
    axes = figures.Figure().subplots()
    ProgressBoard(axes=axes, ylabel="mine").svg()
    assert axes.get_ylabel() == "mine"


def test_outside_a_notebook_matplotlib_is_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # importing it would fail
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    model, _ = small_run()
    assert len(model.board.data["train_loss"]) == 6
    ipython = SimpleNamespace(get_ipython=lambda: SimpleNamespace())  # IPython in a terminal has no kernel
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    small_run()
    with pytest.raises(
        ModuleNotFoundError, match=r"pip install 'tinygrad_lr\[viz\]', or .*board.display = False"
    ):
        model.board.svg()


# ---- the progress bar -------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def open_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """To be called in the test itself: pytest sets stderr between a fixture and its test."""
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setenv("COLUMNS", "80")
    return terminal


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tqdm", reason="the progress bar needs the extra viz")
    terminal = open_terminal(monkeypatch)
    _, trainer = small_run()
    line = terminal.getvalue().split("\r")[-1]
    assert line.startswith("epoch 3/3 |##")
    (_, train), (_, val) = trainer.history["train"][-1], trainer.history["val"][-1]
    assert re.search(f", train loss {train:.3g}, val loss {val:.3g}, [0-9.]+[kM]? rows/s\n$", line)
    assert all(len(text) <= 80 for text in terminal.getvalue().rstrip().split("\r"))


def test_a_bar_goes_on_where_the_run_does(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tqdm", reason="the progress bar needs the extra viz")
    terminal = open_terminal(monkeypatch)
    trainer = Trainer(4)
    data = SyntheticRegressionData([2, -3.4], 4.2, num_train=64, num_val=0)
    trainer.fit(LinearRegressionScratch(2, lr=0.03), data, first_epoch=2)
    first, *_, last = terminal.getvalue().strip("\r").split("\r")
    begun, done = first.split("|")[1], last.split("|")[1]
    assert abs(begun.count("#") - len(begun) / 2) <= 1
    assert set(done) == {"#"}
    assert "epoch 4/4" in last
    assert "val" not in last


def test_a_bar_is_closed_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tqdm", reason="the progress bar needs the extra viz")
    terminal = open_terminal(monkeypatch)
    with pytest.raises(d2l.DivergenceError):
        Trainer(100).fit(LinearRegressionScratch(2, lr=1e9), SyntheticRegressionData([2, -3.4], 4.2))
    assert terminal.getvalue().endswith("\n")


def test_where_there_is_no_bar(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    piped, terminal = sys.stderr, open_terminal(monkeypatch)
    small_run(progress=False)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "tqdm", None)
        small_run()
    assert terminal.getvalue() == ""
    monkeypatch.setattr(sys, "stderr", piped)
    small_run()
    assert capfd.readouterr() == ("", "")


def test_importing_the_parts_imports_nothing_heavy() -> None:
    for name in ("board", "data", "hyperparameters", "linear", "module", "optim", "trainer"):
        module = importlib.import_module(f"tinygrad_lr.{name}")
        assert not {"matplotlib", "tqdm", "IPython"} & set(vars(module))


# ---- errors -----------------------------------------------------------------------------------------------


class Silent(Scale):
    """Each method that lacks its return can be switched on."""

    def __init__(self, *without: str) -> None:
        super().__init__()
        for name in without:
            setattr(self, name, lambda *_: None)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (
            lambda m: m(1),
            "Empty has no method forward. Write `def forward(self, X):` in the class, or after "
            "@add_to_class(Empty); it returns the predictions.",
        ),
        (
            lambda m: m.loss(1, 2),
            "Empty has no method loss. Write `def loss(self, y_hat, y):` in the class, or after "
            "@add_to_class(Empty); it returns the mean loss of the minibatch.",
        ),
        (
            lambda m: Trainer(1).fit(m, Pairs()),
            "Empty has no method configure_optimizers. Write `def configure_optimizers(self):` in the class, "
            "or after @add_to_class(Empty); it returns an optimizer: SGD(self.parameters(), self.lr).",
        ),
        (
            lambda m: Trainer(1).fit(m, type("NoData", (DataModule,), {})()),
            "NoData has no method get_dataloader. Write `def get_dataloader(self, train):` in the class, or "
            "after @add_to_class(NoData); it returns minibatches: self.get_tensorloader((X, y), train).",
        ),
    ],
)
def test_a_missing_method_is_named(use: Any, message: str) -> None:
    class Empty(Module):
        pass

    with pytest.raises(NotImplementedError) as caught:
        use(Empty())
    assert str(caught.value) == message


@pytest.mark.parametrize("name", ["forward", "loss", "training_step"])
def test_a_missing_return_is_named(name: str) -> None:
    with pytest.raises(TypeError, match=rf"^Silent\.{name} returned None\. Does it lack its `return`\?$"):
        Trainer(1).fit(Silent(name), Pairs())
    assert not d2l.is_recording()


@pytest.mark.parametrize("optimizer", [None, [1]])
def test_an_optimizer_without_step_is_refused(optimizer: Any) -> None:
    model = Scale()
    model.configure_optimizers = lambda: optimizer  # type: ignore[method-assign]
    with pytest.raises(TypeError) as caught:
        Trainer(1).fit(model, Pairs())
    assert str(caught.value) == (
        f"Scale.configure_optimizers returned {optimizer!r}, which has no method step. "
        "Write `return SGD(self.parameters(), self.lr)`."
    )


def loaders(train: Any, val: Any) -> DataModule:
    data = Pairs()
    data.train_dataloader, data.val_dataloader = lambda: train, lambda: val  # type: ignore[method-assign]
    return data


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: SGD(attached(), 0.1),
            TypeError,
            "SGD takes a list of parameters, not a tensor. Write SGD([w, b], lr).",
        ),
        (
            lambda: SGD([], 0.1),
            ValueError,
            "SGD got no parameters. Make them attributes of the model, and call attach_grad() on each.",
        ),
        (
            lambda: SGD([attached(), d2l.tensor(1.0)], 0.1),
            TypeError,
            "params[1] has no gradient. Make it a Tensor and call attach_grad() on it.",
        ),
        (
            lambda: SGD([np.ones(2)], 0.1),  # type: ignore[list-item]
            TypeError,
            "params[0] has no gradient. Make it a Tensor and call attach_grad() on it.",
        ),
        (
            lambda: TensorLoader([np.ones(3), np.ones(2)], 2),
            ValueError,
            "the tensors need one row per example each, but their lengths are [3, 2]",
        ),
        (lambda: TensorLoader([], 2), ValueError, "a loader needs at least one example, but there is none"),
        (
            lambda: TensorLoader([np.ones(0)], 2),
            ValueError,
            "a loader needs at least one example, but there is none",
        ),
        (lambda: TensorLoader([np.ones(3)], 0), ValueError, "batch_size must be at least 1, not 0"),
        (
            lambda: LinearRegressionScratch(2, 0.1).loss(np.ones((3, 1)), np.ones(3)),
            ValueError,
            "the predictions have shape (3, 1), but y has (3,). Make y a column: y = y.reshape(-1, 1)",
        ),
        (lambda: Trainer(-1), ValueError, "max_epochs must be a whole number, 0 or more, not -1"),
        (lambda: Trainer(1.5), ValueError, "max_epochs must be a whole number, 0 or more, not 1.5"),  # type: ignore[arg-type]
        (
            lambda: Trainer(1, num_gpus=1),
            ValueError,
            "num_gpus=1, but NumPy computes on the CPU: leave num_gpus away",
        ),
        (
            lambda: Trainer(1, callbacks=[Scale(), print][1:]),
            TypeError,
            "callbacks[0] has none of the methods on_fit_start, on_step_end, on_epoch_end, on_fit_end",
        ),
        (
            lambda: Trainer(1, callbacks=[EarlyStopping]),
            TypeError,
            "callbacks[0] is a class; write EarlyStopping(...)",
        ),
        (
            lambda: Trainer(1, gradient_clip_val=-1),
            ValueError,
            "gradient_clip_val must be 0 or more, not -1",
        ),
        (lambda: Trainer(1).fit(Scale(), Pairs(), -1), ValueError, "first_epoch must be 0 or more, not -1"),
        (
            lambda: Trainer(1).fit(Scale(), loaders([], None)),
            ValueError,
            "Pairs.train_dataloader() has no minibatch to train on",
        ),
        (
            lambda: Trainer(1).fit(Scale(), loaders(iter([1]), None)),
            TypeError,
            "Pairs.train_dataloader() returned an object of type list_iterator, which has no len(). Return "
            "something to go through once per epoch: a list of minibatches, or "
            "self.get_tensorloader((X, y), train).",
        ),
        (
            lambda: Trainer(1).fit(Scale(), loaders(None, None)),
            TypeError,
            "Pairs.train_dataloader() returned an object of type NoneType, which has no len(). Return "
            "something to go through once per epoch: a list of minibatches, or "
            "self.get_tensorloader((X, y), train).",
        ),
        (
            lambda: Trainer(1).fit(Scale(), loaders([1], iter([1]))),
            TypeError,
            "Pairs.val_dataloader() returned an object of type list_iterator, which has no len(). Return "
            "something to go through once per epoch: a list of minibatches, or "
            "self.get_tensorloader((X, y), train).",
        ),
    ],
)
def test_errors_say_what_to_write(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message
