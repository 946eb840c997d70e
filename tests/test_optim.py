"""Optimizers and schedules: step by step those of PyTorch, in place, and without new arrays."""

import json
import runpy
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_lr as d2l
from search import examples
from tinygrad_lr import SGD, Adam, CosineAnnealingLR, StepLR, Tensor, optim

DATA = Path(__file__).parent / "data"
RECORDED = json.loads((DATA / "torch.json").read_text("utf-8"))


def attached(value: Any, dtype: Any = float) -> Tensor:
    tensor = d2l.tensor(value, dtype)
    tensor.attach_grad()
    return tensor


def same_steps(entry: dict[str, Any]) -> None:
    """That our optimizer takes the steps that PyTorch's took."""
    w, b = map(attached, entry["start"])
    optimizer = getattr(optim, entry["class"])([w, b], **entry["options"])
    target = np.arange(6.0).reshape(3, 2) / 3
    for expected in entry["steps"]:
        with d2l.record():
            loss = ((w - target) ** 2 * (1 + w**2)).sum() + (b**4 - b).sum()
        loss.backward()
        optimizer.step()
        np.testing.assert_allclose(w.numpy(), expected[0], rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(b.numpy(), expected[1], rtol=1e-13)


def same_rates(entry: dict[str, Any]) -> None:
    optimizer = SGD([attached(0.0)], lr=entry["lr"])
    schedule = getattr(optim, entry["class"])(optimizer, **entry["options"])
    for expected in entry["lrs"]:
        assert optimizer.lr == pytest.approx(expected, rel=1e-14)
        schedule.step()


@pytest.mark.parametrize("name", RECORDED["optimizers"])
def test_every_step_is_pytorchs(name: str) -> None:
    same_steps(RECORDED["optimizers"][name])


@pytest.mark.parametrize("name", RECORDED["schedules"])
def test_every_learning_rate_is_pytorchs(name: str) -> None:
    same_rates(RECORDED["schedules"][name])


def test_the_installed_pytorch_agrees() -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed: only compared with what it once computed")
    live = runpy.run_path(str(DATA / "record_torch.py"))["recorded"]()
    for entry in live["optimizers"].values():
        same_steps(entry)
    for entry in live["schedules"].values():
        same_rates(entry)


# ---- properties -------------------------------------------------------------------------------------------


def rescaled(optimizer: Any) -> Any:
    """As Gluon's trainer does it, by the size of the batch."""
    optimizer.rescale = 0.5
    return optimizer


MAKERS: dict[str, Any] = {
    "sgd": lambda params, lr: SGD(params, lr),
    "momentum": lambda params, lr: SGD(params, lr, momentum=0.9),
    "nesterov": lambda params, lr: SGD(params, lr, momentum=0.9, nesterov=True, weight_decay=0.1),
    "rescaled": lambda params, lr: rescaled(SGD(params, lr)),
    "adam": lambda params, lr: Adam(params, lr),
    "adam-decay": lambda params, lr: Adam(params, lr, weight_decay=0.1),
}
makers = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


@makers
def test_steps_write_in_place_and_make_no_arrays(make: Any) -> None:
    w, b = attached(np.ones((1000, 100))), attached(np.ones(7))
    arrays = w.array, b.array
    w.grad[:], b.grad[:] = 0.5, -0.5
    gradients = w.grad.numpy().copy(), b.grad.numpy().copy()
    optimizer = make([w, b], 0.1)
    optimizer.step()  # makes what it keeps
    tracemalloc.start()
    try:
        for _ in range(3):
            optimizer.step()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < w.array.nbytes / 10
    assert w.array is arrays[0]
    assert b.array is arrays[1]
    assert (w.numpy() < 1).all()
    assert (b.numpy() > 1).all()
    np.testing.assert_array_equal(w.grad.numpy(), gradients[0])
    np.testing.assert_array_equal(b.grad.numpy(), gradients[1])


@makers
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_dtypes_stay(make: Any, dtype: Any) -> None:
    w, b = attached(np.ones((3, 2)), dtype), attached(1.0, dtype)
    w.grad, b.grad = np.full((3, 2), 0.25), 0.25
    optimizer = make([w, b], np.float64(0.125))
    for _ in range(2):
        optimizer.step()
    assert w.dtype == b.dtype == dtype
    assert isinstance(b.array, np.ndarray)
    for name, value in optimizer.state_dict().items():
        assert name in ("lr", "steps") or value.dtype == dtype
    assert w.numpy()[0, 0] == b.item() < 1


@makers
@examples(25)
@given(seed=st.integers(0, 2**31), stop=st.integers(0, 4))
def test_a_state_continues_bit_for_bit(make: Any, seed: int, stop: int) -> None:
    draw = np.random.default_rng(seed)
    gradients = draw.normal(size=(6, 3))

    def steps(x: Tensor, optimizer: Any, some: Any) -> None:
        for gradient in some:
            x.grad[:] = gradient
            optimizer.step()

    whole, first = attached(np.ones(3)), attached(np.ones(3))
    optimizer, stopped = make([whole], 0.1), make([first], 0.1)
    steps(whole, optimizer, gradients)
    steps(first, stopped, gradients[:stop])
    stopped.lr = optimizer.lr = 0.1
    second = attached(first.numpy())
    resumed = make([second], 0.7)  # of another learning rate: the state has its own
    state = stopped.state_dict()
    resumed.load_state_dict(state)
    steps(first, stopped, gradients[stop:])  # does not touch the state
    steps(second, resumed, gradients[stop:])
    assert second.tolist() == first.tolist() == whole.tolist()


@makers
def test_a_state_is_that_of_its_time(make: Any) -> None:
    """Later steps change neither the one that was asked for nor the one that was loaded; and the first one is
    that of an optimizer that has done nothing."""
    x, y = attached(np.ones(3)), attached(np.ones(3))
    x.grad = y.grad = np.array([0.5, -1.0, 2.0])
    optimizer, other = make([x], 0.1), make([y], 0.1)
    first = optimizer.state_dict()
    optimizer.step()
    after_one = x.numpy().copy()
    state = optimizer.state_dict()
    kept = {name: np.copy(value) for name, value in state.items()}
    other.load_state_dict(state)
    for each in (optimizer, other):
        each.step()
    np.testing.assert_equal(state, kept)
    optimizer.load_state_dict(first)
    x[:] = 1.0
    optimizer.step()
    np.testing.assert_array_equal(x.numpy(), after_one)


def test_weight_decay_of_each_parameter() -> None:
    w, b = attached([2.0]), attached([2.0])
    SGD([w, b], lr=0.5, weight_decay=[0.25, 0]).step()
    assert (w.item(), b.item()) == (1.75, 2.0)


@examples(25)
@given(st.floats(1e-3, 10), st.floats(0, 5), st.floats(-100, 100).filter(lambda x: abs(x) > 1e-3))
def test_weight_decay_is_a_penalty_in_the_loss(lr: float, decay: float, start: float) -> None:
    x, penalised = attached(start), attached(start)
    for parameter, decay_in_loss in ((x, 0.0), (penalised, decay)):
        with d2l.record():
            loss = (parameter - 3) ** 2 + decay_in_loss / 2 * parameter**2
        loss.backward()
    SGD([x], lr, weight_decay=decay).step()
    SGD([penalised], lr).step()
    np.testing.assert_allclose(x.numpy(), penalised.numpy(), rtol=1e-12, atol=1e-12 * abs(start))


@examples(25)
@given(st.floats(1e-3, 1e3), st.sampled_from([1, -1]))
def test_the_first_step_of_adam_has_the_length_of_the_learning_rate(size: float, sign: int) -> None:
    x = attached(0.0)
    x.grad = sign * size
    Adam([x], lr=0.25, eps=0).step()
    assert x.item() == pytest.approx(-0.25 * sign, rel=1e-12)


def test_schedules_continue_from_their_state() -> None:
    for make in (
        lambda optimizer: StepLR(optimizer, 2, 0.5),
        lambda optimizer: CosineAnnealingLR(optimizer, 9, 0.1),
    ):
        whole, second = SGD([attached(0.0)], lr=0.8), SGD([attached(0.0)], lr=0.3)
        schedule, resumed = make(whole), make(second)
        for _ in range(3):
            schedule.step()
        resumed.load_state_dict(schedule.state_dict())
        schedule.step()
        resumed.step()
        assert whole.lr == second.lr


# ---- errors -----------------------------------------------------------------------------------------------


def stepped(**options: Any) -> dict[str, Any]:
    sgd = SGD([attached([1.0, 2.0])], 0.1, **options)
    sgd.step()
    return sgd.state_dict()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda x: Adam(x),
            TypeError,
            "Adam takes a list of parameters, not a tensor. Write Adam([w, b], lr).",
        ),
        (lambda x: SGD([x], -1), ValueError, "lr must be 0 or more, not -1"),
        (lambda x: SGD([x], float("nan")), ValueError, "lr must be 0 or more, not nan"),
        (
            lambda x: SGD([x], 1, weight_decay=[1, 2]),
            ValueError,
            "weight_decay must be 0 or more, or a list of such numbers for 1 parameters, not [1, 2]",
        ),
        (
            lambda x: Adam([x], weight_decay=-1),
            ValueError,
            "weight_decay must be 0 or more, or a list of such numbers for 1 parameters, not -1",
        ),
        (
            lambda x: SGD([x], 1, momentum=1),
            ValueError,
            "momentum must be at least 0 and below 1, not 1",
        ),
        (
            lambda x: SGD([x], 1, nesterov=True),
            ValueError,
            "nesterov needs a momentum: write SGD(params, lr, momentum=0.9, nesterov=True)",
        ),
        (
            lambda x: Adam([x], betas=(0.9, 1)),
            ValueError,
            "betas must be at least 0 and below 1, and eps 0 or more, not (0.9, 1) and 1e-08",
        ),
        (
            lambda x: SGD([x], 1).load_state_dict(stepped(momentum=0.5)),
            ValueError,
            "this state is not of this SGD, which has no arrays; it has 0.velocity of shape (2,)",
        ),
        (
            lambda x: SGD([x], 1, momentum=0.5).load_state_dict(stepped()),
            ValueError,
            "this state is not of this SGD, which has 0.velocity of shape (); it has no arrays",
        ),
        (
            lambda x: SGD([x], 1, momentum=0.5).load_state_dict(stepped(momentum=0.5)),
            ValueError,
            "this state is not of this SGD, which has 0.velocity of shape (); "
            "it has 0.velocity of shape (2,)",
        ),
        (lambda x: StepLR(SGD([x], 1), 0), ValueError, "step_size must be at least 1 epoch, not 0"),
        (lambda x: CosineAnnealingLR(SGD([x], 1), 0), ValueError, "T_max must be at least 1 epoch, not 0"),
    ],
)
def test_errors_say_what_to_write(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        make(attached(1.0))
    assert str(caught.value) == message


def test_a_step_inside_record_is_an_error() -> None:
    x = attached(1.0)
    with d2l.record(), pytest.raises(d2l.errors.InPlaceError):
        SGD([x], 1).step()


def test_what_an_optimizer_and_a_schedule_have_to_say_themselves() -> None:
    class Still(optim.Optimizer):
        pass

    class Unknown(optim.Schedule):
        pass

    x = d2l.tensor([1.0])
    x.attach_grad()
    optimizer = Still([x], lr=0.1, weight_decay=0.0)
    x.grad = [1.0]
    with pytest.raises(NotImplementedError) as caught:
        optimizer.step()
    assert str(caught.value) == (
        "Still has no method update. Write `def update(self, param, grad, state, scratch):` in the class, or "
        "after @add_to_class(Still); it returns nothing, and changes the parameter: param -= self.lr * grad."
    )
    with pytest.raises(NotImplementedError) as caught:
        Unknown(optimizer).step()
    assert str(caught.value) == (
        "Unknown has no method lr_at. Write `def lr_at(self, epoch):` in the class, or after "
        "@add_to_class(Unknown); it returns the learning rate: self.base_lr / (1 + epoch)."
    )
