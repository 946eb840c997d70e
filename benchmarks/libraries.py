"""A problem, a number and its gradient, as each library would be used for it.

Those that are not installed are left out by name: `INSTALLED` has the others.
"""

import importlib.util
from collections.abc import Callable, Sequence
from importlib import import_module
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np


class Problem(NamedTuple):
    """A number that depends on parameters and on data, and what is to be done with its gradient.

    Attributes
    ----------
    loss : `loss(np, *params, *data)`, with a library's functions in place of NumPy's.
    params, data : arrays.
    lr : the step that is taken against the gradient; None to have the gradient returned.
    """

    loss: Callable[..., Any]
    params: Sequence[Any]
    data: Sequence[Any]
    lr: float | None = None

    @property
    def own_params(self) -> list[Any]:
        return [np.array(p) for p in self.params]


def tinygrad_lr_step(problem: Problem) -> Callable[..., Any]:
    """The step as a user of this project writes it."""
    from tinygrad_lr import asarray, record

    params = [asarray(p) for p in problem.own_params]
    for p in params:
        p.attach_grad()
    loss, lr = problem.loss, problem.lr

    def step(*data: Any) -> Any:
        with record():
            value = loss(np, *params, *data)
        value.backward()
        if lr is None:
            return value, *(p.grad for p in params)
        for p in params:
            p -= lr * p.grad
        return value, *params

    return step


def eager(problem: Problem) -> Callable[[], Any]:
    from tinygrad_lr import asarray

    step, data = tinygrad_lr_step(problem), [asarray(a) for a in problem.data]
    return lambda: step(*data)


def compiled(problem: Problem) -> Callable[[], Any]:
    from tinygrad_lr import asarray, compile
    from tinygrad_lr.func import value_and_grad

    data = problem.data
    if problem.lr is None:
        params = problem.own_params
        gradients = compile(value_and_grad(lambda p, *data: problem.loss(np, *p, *data)))

        def run() -> Any:
            value, made = gradients(params, *data)
            return value, *made

        return run
    data = [asarray(a) for a in data]
    step = compile(tinygrad_lr_step(problem))
    return lambda: step(*data)


def torch_eager(problem: Problem) -> Callable[[], Any]:
    torch: Any = import_module("torch")

    torch.set_num_threads(1)
    params = [torch.tensor(p, requires_grad=True) for p in problem.params]
    data = [torch.from_numpy(a) for a in problem.data]
    loss, lr = problem.loss, problem.lr

    def step() -> Any:
        for p in params:
            p.grad = None
        value = loss(torch, *params, *data)
        value.backward()
        if lr is None:
            return value, *(p.grad for p in params)
        with torch.no_grad():
            for p in params:
                p -= lr * p.grad
        return value, *params

    return step


def torch_compiled(problem: Problem) -> Callable[[], Any]:
    torch: Any = import_module("torch")

    compiled = torch.compile(problem.loss)
    return torch_eager(problem._replace(loss=lambda _, *args: compiled(torch, *args)))


def jax(problem: Problem) -> Callable[[], Any]:
    jax: Any = import_module("jax")
    jnp: Any = import_module("jax.numpy")
    jax.config.update("jax_enable_x64", True)
    params, data = [jnp.array(p) for p in problem.params], [jnp.asarray(a) for a in problem.data]
    gradient = jax.value_and_grad(lambda params, *data: problem.loss(jnp, *params, *data))
    lr = problem.lr

    def function(params: Any, *data: Any) -> Any:
        value, made = gradient(params, *data)
        return value, made if lr is None else [p - lr * g for p, g in zip(params, made, strict=True)]

    step = jax.jit(function)

    def run() -> Any:
        nonlocal params
        value, made = step(params, *data)
        if lr is not None:
            params = made
        return jax.block_until_ready((value, *made))

    return run


def autograd(problem: Problem) -> Callable[[], Any]:
    anp: Any = import_module("autograd.numpy")
    gradients = import_module("autograd").value_and_grad(
        lambda params: problem.loss(anp, *params, *problem.data)
    )
    params, lr = problem.own_params, problem.lr

    def step() -> Any:
        value, made = gradients(params)
        if lr is None:
            return value, *made
        for p, g in zip(params, made, strict=True):
            p -= lr * g
        return value, *params

    return step


def mygrad(problem: Problem) -> Callable[[], Any]:
    mg: Any = import_module("mygrad")
    params = [mg.tensor(p) for p in problem.own_params]
    loss, data, lr = problem.loss, problem.data, problem.lr

    def step() -> Any:
        value = loss(mg, *params, *data)
        value.backward()
        if lr is None:
            return value, *(p.grad for p in params)
        for p in params:
            p.data -= lr * p.grad
        return value, *params

    return step


def smallpebble(problem: Problem) -> Callable[[], Any]:
    """Its variables lack @, numbers as operands, squares and mean."""
    sp: Any = import_module("smallpebble")

    def constant(a: Any) -> Any:
        return sp.Variable(np.asarray(a))

    sp.Variable.__matmul__ = sp.matmul
    sp.Variable.__pow__ = lambda a, _: sp.mul(a, a)
    sp.Variable.__truediv__ = lambda a, b: sp.mul(a, constant(a.array.dtype.type(1 / b)))
    namespace = SimpleNamespace(sum=sp.sum, mean=lambda a: sp.sum(a) / a.array.size)
    params = [sp.Variable(p) for p in problem.own_params]
    data = [sp.Variable(a) for a in problem.data]
    loss, lr = problem.loss, problem.lr

    def step() -> Any:
        value = loss(namespace, *params, *data)
        made = sp.get_gradients(value)
        if lr is None:
            return value.array, *(made[p] for p in params)
        for p in params:
            p.array -= lr * made[p]
        return value.array, *(p.array for p in params)

    return step


def micrograd(problem: Problem) -> Callable[[], Any]:
    """Its scalars, as the elements of NumPy's arrays of objects."""
    Value: Any = import_module("micrograd.engine").Value

    def scalars(a: Any, kind: Callable[[float], Any] = Value) -> Any:
        made = np.empty(np.shape(a), object)
        made.reshape(-1)[:] = [kind(x) for x in np.ravel(a).tolist()]
        return made

    namespace = SimpleNamespace(
        __name__="micrograd",
        relu=np.vectorize(lambda v: v.relu(), otypes=[object]),
        sum=np.sum,
        mean=lambda a: np.sum(a) * (1 / a.size),
    )
    params = [scalars(p) for p in problem.params]
    data = [scalars(a, float) for a in problem.data]
    leaves = [v for p in params for v in p.reshape(-1)]

    def step() -> Any:
        for v in leaves:
            v.grad = 0
        value = np.ravel(problem.loss(namespace, *params, *data))[0]
        value.backward()
        if problem.lr is not None:
            for v in leaves:
                v.data -= problem.lr * v.grad
        wanted = "grad" if problem.lr is None else "data"
        return value.data, *([getattr(v, wanted) for v in p.reshape(-1)] for p in params)

    return step


MODULES = {
    "PyTorch eager": "torch",
    "PyTorch compiled": "torch",
    "JAX jit": "jax",
    "HIPS autograd": "autograd",
    "MyGrad": "mygrad",
    "SmallPebble": "smallpebble",
    "micrograd": "micrograd",
}
INSTALLED = {name for name, module in MODULES.items() if importlib.util.find_spec(module)}
PROGRAMS: dict[str, Callable[[Problem], Callable[[], Any]]] = {
    "eager": eager,
    "compiled": compiled,
    "PyTorch eager": torch_eager,
    "PyTorch compiled": torch_compiled,
    "JAX jit": jax,
    "HIPS autograd": autograd,
    "MyGrad": mygrad,
    "SmallPebble": smallpebble,
    "micrograd": micrograd,
}
