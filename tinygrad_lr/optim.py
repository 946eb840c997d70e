"""Optimizers: what a step does with the gradients; and schedules of their learning rates.

They write into the parameters in place, and into arrays that they keep from step to step: a step makes no new
ones.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Any

import numpy as np

from .errors import TraceError
from .hyperparameters import HyperParameters, missing_method
from .scope import MODE, TRACER, TRACING
from .tensor import Tensor

Parameters = Iterable[Tensor] | Mapping[str, Tensor]


class Optimizer(HyperParameters):
    """What optimizers share: the parameters, and the arrays that belong to each of them.

    Parameters
    ----------
    params : attached tensors, as `Module.parameters()` gives them, or a dict of them.
    lr : the learning rate; it may be changed between steps.
    weight_decay : how much of a parameter is added to its gradient, as a penalty weight_decay / 2 * |param|^2
        in the loss would do. One number, or one for each of the parameters.

    Raises TypeError for something else than attached tensors, and ValueError if there are none, or for
    hyperparameters out of their range.
    """

    lr: float
    rescale: float = 1.0  #: what every gradient is multiplied by first
    arrays: tuple[str, ...] = ()  #: names of those that a step depends on

    def __init__(self, params: Parameters, lr: float, weight_decay: float | Sequence[float]) -> None:
        name = type(self).__name__
        if isinstance(params, Tensor):
            raise TypeError(f"{name} takes a list of parameters, not a tensor. Write {name}([w, b], lr).")
        self.params = listed(params)
        if not self.params:
            raise ValueError(
                f"{name} got no parameters. Make them attributes of the model, and call attach_grad() on "
                "each."
            )
        for position, param in enumerate(self.params):
            if getattr(param, "grad", None) is None:
                raise TypeError(
                    f"params[{position}] has no gradient. Make it a Tensor and call attach_grad() on it."
                )
        number = len(self.params)
        self.decays = tuple(weight_decay) if isinstance(weight_decay, Sequence) else (weight_decay,) * number
        if len(self.decays) != number or not all(decay >= 0 for decay in self.decays):
            raise ValueError(
                f"weight_decay must be 0 or more, or a list of such numbers for {number} parameters, "
                f"not {weight_decay}"
            )
        if not lr >= 0:
            raise ValueError(f"lr must be 0 or more, not {lr}")
        self.lr, self.steps = lr, 0
        self.state: list[dict[str, Any]] = [{} for _ in self.params]  # arrays by name, for each parameter
        self._scratch: list[dict[str, Any]] = [{} for _ in self.params]

    def step(self, _: Any = 1) -> None:
        """Take one step; its argument is the book's batch size, which a mean loss has divided by already."""
        if MODE.get() & TRACING:
            self._trace_step(TRACER.get())
            return
        self.steps += 1
        for i, (param, decay) in enumerate(zip(self.params, self.decays, strict=True)):
            scratch = zeros(self._scratch[i], "scratch", param)
            own = zeros(self._scratch[i], "gradient", param) if decay or self.rescale != 1 else None
            self._change(param, param.array, param.grad.array, decay, self.state[i], scratch, own)

    def _trace_step(self, tracer: Any) -> None:
        """Take a step in a function that is being compiled.

        Its code is to ask for the learning rate and the number of the step at each call, and to be written
        again when something else has changed; so for this time these two are tensors.
        """
        plain = (int, float, str, tuple)
        fixed = [name for name, value in vars(self).items() if isinstance(value, plain)]
        tracer.keep(partial(attrgetter("rescale", *sorted({*fixed} - {"lr", "steps"})), self))
        before = self.lr, self.steps

        def count() -> tuple[Any, Any]:
            self.steps += 1
            return np.float64(self.lr), np.float64(self.steps)

        tracer.undo_by(partial(setattr, self, "steps", before[1]))
        lr, steps = tracer.ask(count, ("lr", "t"))
        try:
            for param, decay, arrays in zip(self.params, self.decays, self.state, strict=True):
                self.lr, self.steps = lr.astype(param.dtype), steps
                state = {name: tracer.state(zeros(arrays, name, param), name, param) for name in self.arrays}
                self._change(param, param, param.grad, decay, state, None, None)
        finally:
            self.lr, self.steps = before[0], before[1] + 1

    def _change(self, param: Tensor, value: Any, grad: Any, decay: float, *arrays: Any) -> None:
        """Change a parameter, `arrays` being its state, one to compute in, and one for its gradient."""
        state, scratch, own = arrays
        if decay or self.rescale != 1:
            grad = np.multiply(grad, self.rescale, out=own)
            grad = np.add(grad, np.multiply(value, decay, out=scratch), out=own)
        self.update(param, grad, state, scratch)

    def update(self, param: Tensor, grad: Any, state: dict[str, Any], scratch: Any) -> None:
        """Change a parameter; the gradient is not to be written.

        The gradient and what `zeros` gives of the state are arrays, and `scratch` is one to compute in. While
        a function is compiled, they are tensors, as are `self.lr` and `self.steps`, and `scratch` is None: so
        write `a *= b` for an array of the state, and `np.multiply(a, b, out=scratch)` for other results.

        Raises NotImplementedError where no subclass has written it.
        """
        change = "nothing, and changes the parameter: param -= self.lr * grad"
        raise missing_method(self, "update(self, param, grad, state, scratch)", change)

    def zero_grad(self) -> None:
        """Set the gradients to zero, for parameters whose `grad_req` is "add"."""
        for param in self.params:
            param.grad[...] = 0

    def state_dict(self) -> dict[str, Any]:
        """What the next steps depend on, beside parameters, gradients and hyperparameters.

        >>> from tinygrad_lr import tensor
        >>> from tinygrad_lr.optim import SGD
        >>> x = tensor(4.0)
        >>> x.attach_grad()
        >>> sgd = SGD([x], lr=0.1, momentum=0.9)
        >>> sgd.step()
        >>> sgd.state_dict()
        {'lr': 0.1, 'steps': 1, '0.velocity': array(0.)}
        """
        kept = self.state if self.steps else []
        arrays = {f"{i}.{name}": a.copy() for i, state in enumerate(kept) for name, a in state.items()}
        return {"lr": self.lr, "steps": self.steps, **arrays}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state_dict` of an optimizer of the same kind and with the same parameters.

        Raises ValueError if it is of another one; nothing is changed then.
        """
        arrays = {name: np.asarray(value) for name, value in state.items() if name not in ("lr", "steps")}
        expected = {f"{i}.{name}": p.shape for i, p in enumerate(self.params) for name in self.arrays}
        if {name: array.shape for name, array in arrays.items()} != (expected if state.get("steps") else {}):
            raise ValueError(
                f"this state is not of this {type(self).__name__}, which has {describe(expected)}; it has "
                f"{describe({name: array.shape for name, array in arrays.items()})}"
            )
        if state["steps"] < 0:
            raise ValueError(f"this state says that {state['steps']} steps were taken")
        self.lr, self.steps = state["lr"], state["steps"]
        for i, (param, kept) in enumerate(zip(self.params, self.state, strict=True)):
            for name in self.arrays:  # the same arrays, which compiled functions know
                zeros(kept, name, param)[...] = arrays.get(f"{i}.{name}", 0)


def listed(params: Parameters) -> list[Tensor]:
    """Parameters as a list, which may be the values of a dict: Gluon's `collect_params()` makes one."""
    return list(params.values() if isinstance(params, Mapping) else params)


def describe(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} of shape {shape}" for name, shape in shapes.items()) or "no arrays"


def zeros(arrays: dict[str, Any], name: str, param: Tensor) -> Any:
    """The array of that name, at first zeros of a parameter's shape."""
    if name not in arrays:
        arrays[name] = np.zeros_like(param.array)
    return arrays[name]


class SGD(Optimizer):
    """Minibatch stochastic gradient descent: every parameter goes `lr` times its gradient downhill.

    With `momentum` it goes along a velocity v instead (Polyak 1964; in the form of PyTorch's `SGD`):

        v = momentum * v + gradient,  param = param - lr * v

    and with `nesterov`, along `gradient + momentum * v` (Sutskever et al., On the importance of
    initialization and momentum in deep learning, 2013).

    `params`, `lr`, `weight_decay` and errors are those of `Optimizer`.

    >>> from tinygrad_lr import record, tensor
    >>> from tinygrad_lr.optim import SGD
    >>> x = tensor(4.0)
    >>> x.attach_grad()
    >>> with record():
    ...     y = x**2
    >>> y.backward()
    >>> SGD([x], lr=0.1).step()
    >>> x
    tensor(3.2)
    """

    momentum: float
    nesterov: bool

    def __init__(
        self,
        params: Parameters,
        lr: float,
        momentum: float = 0,
        nesterov: bool = False,
        weight_decay: float | Sequence[float] = 0,
    ) -> None:
        super().__init__(params, lr, weight_decay)
        self.save_hyperparameters(ignore=["params"])
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must be at least 0 and below 1, not {momentum}")
        if nesterov and not momentum:
            raise ValueError("nesterov needs a momentum: write SGD(params, lr, momentum=0.9, nesterov=True)")
        self.arrays = ("velocity",) if momentum else ()

    def update(self, param: Tensor, grad: Any, state: dict[str, Any], scratch: Any) -> None:
        if not self.momentum:
            param -= np.multiply(grad, self.lr, out=scratch)
            return
        velocity = zeros(state, "velocity", param)
        velocity *= self.momentum
        velocity += grad
        if self.nesterov:
            param -= np.multiply(grad, self.lr, out=scratch)
        along = self.lr * (self.momentum if self.nesterov else 1)
        param -= np.multiply(velocity, along, out=scratch)


class Adam(Optimizer):
    """Steps along a running mean of the gradient, divided by the root of a running mean of its square (Kingma
    and Ba, Adam: a method for stochastic optimization, 2015, algorithm 1):

        m = b1 * m + (1 - b1) * gradient
        v = b2 * v + (1 - b2) * gradient^2
        param = param - lr * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)   in step t

    Parameters
    ----------
    betas : b1 and b2.
    eps : keeps the divisor from zero.

    The others and the errors are those of `Optimizer`.

    >>> from tinygrad_lr import tensor
    >>> from tinygrad_lr.optim import Adam
    >>> x = tensor(4.0)
    >>> x.attach_grad()
    >>> x.grad = 100.0
    >>> Adam([x], lr=0.1).step()
    >>> x
    tensor(3.9)
    """

    betas: tuple[float, float]
    eps: float
    arrays = ("mean", "square")

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float | Sequence[float] = 0,
    ) -> None:
        super().__init__(params, lr, weight_decay)
        self.save_hyperparameters(ignore=["params"])
        if not (len(betas) == 2 and all(0 <= beta < 1 for beta in betas) and eps >= 0):
            raise ValueError(
                f"betas must be at least 0 and below 1, and eps 0 or more, not {betas} and {eps}"
            )

    def update(self, param: Tensor, grad: Any, state: dict[str, Any], scratch: Any) -> None:
        (b1, b2), t = self.betas, self.steps
        mean, square = zeros(state, "mean", param), zeros(state, "square", param)
        mean *= b1
        mean += np.multiply(grad, 1 - b1, out=scratch)
        square *= b2
        square += np.multiply(np.square(grad, out=scratch), 1 - b2, out=scratch)
        divisor = np.divide(np.sqrt(square, out=scratch), like((1 - b2**t) ** 0.5, param), out=scratch)
        change = np.divide(mean, np.add(divisor, self.eps, out=scratch), out=scratch)
        param -= np.multiply(change, self.lr / like(1 - b1**t, param), out=scratch)


def like(number: Any, param: Tensor) -> Any:
    """A number that takes no other dtype than a parameter's into what it is part of, as Python's do not."""
    return number.astype(param.dtype) if isinstance(number, Tensor) else number


# ---- schedules --------------------------------------------------------------------------------------------


class Schedule(HyperParameters):
    """A learning rate that changes by the epoch. The Trainer steps it at the end of each one if
    `configure_optimizers` returns it beside its optimizer:

        return optimizer, StepLR(optimizer, step_size=10)

    Attributes
    ----------
    base_lr : the learning rate of the optimizer at the start.
    epoch : number of steps done.

    A subclass says what the learning rate of an epoch is:

    >>> from tinygrad_lr import optim, tensor
    >>> class Inverse(optim.Schedule):
    ...     def lr_at(self, epoch):
    ...         return self.base_lr / (1 + epoch)
    >>> x = tensor(4.0)
    >>> x.attach_grad()
    >>> optimizer = optim.SGD([x], lr=0.6)
    >>> schedule = Inverse(optimizer)
    >>> schedule.step()
    >>> optimizer.lr
    0.3
    """

    def __init__(self, optimizer: Any) -> None:
        self.optimizer, self.base_lr, self.epoch = optimizer, optimizer.lr, 0

    def lr_at(self, epoch: int) -> float:
        """The learning rate of an epoch, from 0.

        Raises NotImplementedError where no subclass has written it.
        """
        raise missing_method(self, "lr_at(self, epoch)", "the learning rate: self.base_lr / (1 + epoch)")

    def step(self) -> None:
        """Give the optimizer the learning rate of the next epoch.

        Raises TraceError in a function that is being compiled, whose later calls would not do it.
        """
        if MODE.get() & TRACING:
            raise TraceError(
                f"{type(self).__name__}.step() within a function that is compiled would be done once only. "
                "Call it outside: the compiled step takes the learning rate that the optimizer has."
            )
        self.epoch += 1
        self.optimizer.lr = self.lr_at(self.epoch)

    def state_dict(self) -> dict[str, Any]:
        """What the learning rates of the next epochs depend on."""
        return {"epoch": self.epoch, "base_lr": self.base_lr}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state_dict`."""
        self.epoch, self.base_lr = state["epoch"], state["base_lr"]


class StepLR(Schedule):
    """The learning rate times `gamma` after every `step_size` epochs.

    Raises ValueError for a `step_size` below 1.

    >>> from tinygrad_lr import tensor
    >>> from tinygrad_lr.optim import SGD, StepLR
    >>> x = tensor(4.0)
    >>> x.attach_grad()
    >>> schedule = StepLR(SGD([x], lr=0.8), step_size=2, gamma=0.5)
    >>> [schedule.lr_at(epoch) for epoch in range(5)]
    [0.8, 0.8, 0.4, 0.4, 0.2]
    """

    step_size: int
    gamma: float

    def __init__(self, optimizer: Any, step_size: int, gamma: float = 0.1) -> None:
        super().__init__(optimizer)
        self.save_hyperparameters(ignore=["optimizer"])
        if step_size < 1:
            raise ValueError(f"step_size must be at least 1 epoch, not {step_size}")

    def lr_at(self, epoch: int) -> float:
        return float(self.base_lr * self.gamma ** (epoch // self.step_size))


class CosineAnnealingLR(Schedule):
    """The learning rate falls along half a cosine to `eta_min`, in `T_max` epochs (Loshchilov and Hutter,
    SGDR, 2017, equation 5).

    Raises ValueError for a `T_max` below 1.

    >>> from tinygrad_lr import tensor
    >>> from tinygrad_lr.optim import SGD, CosineAnnealingLR
    >>> x = tensor(4.0)
    >>> x.attach_grad()
    >>> schedule = CosineAnnealingLR(SGD([x], lr=1.0), T_max=4)
    >>> [round(schedule.lr_at(epoch), 3) for epoch in range(5)]
    [1.0, 0.854, 0.5, 0.146, 0.0]
    """

    T_max: int
    eta_min: float

    def __init__(self, optimizer: Any, T_max: int, eta_min: float = 0) -> None:
        super().__init__(optimizer)
        self.save_hyperparameters(ignore=["optimizer"])
        if T_max < 1:
            raise ValueError(f"T_max must be at least 1 epoch, not {T_max}")

    def lr_at(self, epoch: int) -> float:
        part = (1 + math.cos(math.pi * epoch / self.T_max)) / 2
        return float(self.eta_min + (self.base_lr - self.eta_min) * part)
