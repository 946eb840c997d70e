"""Functions that make gradients of functions: arrays in, arrays out.

>>> import numpy as np
>>> from tinygrad_lr.func import grad
>>> grad(lambda x: np.sum(x**3))(np.array([1.0, 2.0]))
array([ 3., 12.])

What is differentiated with respect to may be an array, a number, a `Module`, which stands for the dict of its
parameters, or any nesting of dicts, lists and tuples of them. The derivative comes in the same form. A
function that does not depend on it has the derivative zero; a parameter frozen with `grad_req="null"` counts
as a constant, on which nothing depends.

The results can be differentiated again: `grad(grad(f))`. Where a Tensor goes in, and inside `record()`,
Tensors come out.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .batching import each
from .calls import unwrapped
from .scope import MODE, RECORDING, TRACING, record
from .tensor import Tensor, asarray, gradients_at, with_gradients

Function = Callable[..., Any]
Argnums = int | np.integer[Any] | Sequence[int | np.integer[Any]]


class Traced:
    """A call of a function that was recorded, and what it is to be differentiated with respect to.

    Attributes
    ----------
    value : what the function returned: a Tensor, an array, or a nesting of them.
    variables : the arguments to differentiate with respect to, with a Tensor in place of each array.
    """

    def __init__(
        self, f: Function, args: Sequence[Any], options: dict[str, Any], argnums: Argnums, copy: bool = False
    ) -> None:
        self.name = getattr(f, "__name__", str(f))
        several = [argnums] if isinstance(argnums, (int, np.integer)) else argnums
        for i in several:
            if not -len(args) <= i < len(args):
                raise IndexError(f"argnums={i}, but {self.name} was given {len(args)} arguments by position")
        positions = [range(len(args))[i] for i in several]
        # tensors in, tensors out; and what is recorded stays recorded, what is traced traced
        self.value: Any
        remembered = MODE.get() & (RECORDING | TRACING)
        self.tensors = bool(remembered) or any(isinstance(leaf, Tensor) for leaf in _leaves(list(args)))
        with record():
            chosen = {i: _map(lambda leaf: _variable(leaf, copy), args[i]) for i in positions}
            self.value = f(*(chosen.get(i, arg) for i, arg in enumerate(args)), **options)
        parameters = [_map(_parameters, chosen[i]) for i in positions]
        self.variables: Any = tuple(parameters) if several is argnums else parameters[0]

    def pull(self, head: Any, v: Any) -> Any:
        """The gradient of the sum of v * head, in the form of the variables; head is the value or a part."""
        variables = list(_leaves(self.variables))
        pairs: list[tuple[Any, Any]] = []
        _map(lambda *pair: pairs.append(pair), head, _map(lambda _: None, head) if v is None else v)
        tensors = self.tensors or any(isinstance(one, Tensor) for _, one in pairs)
        pairs = [pair for pair in pairs if isinstance(pair[0], Tensor) and pair[0].tape is not None]
        gradients: list[Any] = [None] * len(variables)
        if pairs:
            heads = with_gradients([head for head, _ in pairs], [one for _, one in pairs])
            gradients = list(gradients_at(variables, heads, True, tensors))
        made = [
            np.zeros_like(variable) if gradient is None else gradient
            for variable, gradient in zip(variables, gradients, strict=True)
        ]
        return _map(lambda _: self.out(made.pop(0), tensors), self.variables)

    def pull_each(self, head: Any) -> Any:
        """The gradients of all elements of head, stacked, in the form of the variables.

        All at once if it is known of every function how it takes a stack of arguments; else one by one.
        """
        head_array = np.asarray(self.out(head, False))
        count, variables = head_array.size, list(_leaves(self.variables))
        if not count:
            return _map(lambda v: self.out(np.zeros_like(v, shape=(0, *v.shape))), self.variables)
        if count > 1 and all(isinstance(v.array, np.ndarray) for v in variables):
            made = each(lambda one: list(_leaves(self.pull(head, one))), head_array, not self.tensors)
            if made is not None:
                return _map(lambda _: self.out(made.pop(0)), self.variables)
        heads = np.reshape(np.eye(count), (count, *head_array.shape))
        rows = [self.pull(head, one) for one in heads]
        return _map(lambda *parts: np.stack(parts), *rows)

    def out(self, result: Any, tensors: bool | None = None) -> Any:
        """A result as the caller wants it: as a Tensor if one went in, else as an array."""
        keep = self.tensors if tensors is None else tensors
        return result.array if isinstance(result, Tensor) and not keep else result


def _variable(leaf: Any, copy: bool) -> Any:
    """A tensor to differentiate with respect to."""
    if hasattr(leaf, "named_parameters"):
        return leaf
    if isinstance(leaf, Tensor) and leaf.tape is not None:
        return np.positive(leaf)  # in a derivative of a derivative: a place of its own in the outer graph
    array = asarray(unwrapped(leaf)).array
    variable = asarray(array.copy() if copy else array, float if array.dtype.kind in "biu" else None)
    variable.attach_grad()
    return variable


def _parameters(leaf: Any) -> Any:
    """What a module stands for; anything else for itself."""
    return leaf.named_parameters() if hasattr(leaf, "named_parameters") else leaf


def _map(function: Function, *trees: Any) -> Any:
    """The same nesting of dicts, lists and tuples with the function of each leaf, or of one of each tree.

    Raises ValueError if one of the others, which is a vector then, has not the form of the first.
    """
    first = trees[0]
    for other in trees[1:] if isinstance(first, (dict, list, tuple)) else ():
        if _form(other) != _form(first):
            raise ValueError(f"a vector in the form of {_form(other)}, for {_form(first)}")
    if isinstance(first, dict):
        return {key: _map(function, *(tree[key] for tree in trees)) for key in first}
    if isinstance(first, (list, tuple)):
        parts = [_map(function, *parts) for parts in zip(*trees, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    return function(*trees)


def _form(tree: Any) -> str:
    """What the parts of a nesting can be paired by."""
    if isinstance(tree, dict):
        return f"a dict of {', '.join(sorted(map(repr, tree)))}"
    return f"a list or tuple of {len(tree)}" if isinstance(tree, (list, tuple)) else "an array"


def _leaves(tree: Any) -> Iterator[Any]:
    if isinstance(tree, (dict, list, tuple)):
        for part in tree.values() if isinstance(tree, dict) else tree:
            yield from _leaves(part)
    else:
        yield tree


def _pulled(f: Function, args: Any, vector: Any) -> Any:
    """The transposed Jacobian of f times a vector in the form of its value."""
    call = Traced(f, (args,), {}, 0)

    def check(of_part: Any, part: Any) -> None:
        if np.shape(part) != np.shape(call.out(of_part, False)):
            raise ValueError(f"a vector of shape {np.shape(part)} for an argument of shape {of_part.shape}")

    _map(check, call.value, vector)
    return call.pull(call.value, vector)


def _of_one_number(f: Function, args: Sequence[Any], options: dict[str, Any], argnums: Argnums) -> Traced:
    """A call whose value is one number."""
    call = Traced(f, args, options, argnums)
    nesting = isinstance(call.value, (dict, list, tuple))
    if nesting or getattr(call.value, "shape", ()) != ():
        what = "is a nesting" if nesting else f"has shape {call.value.shape}"
        raise ValueError(
            f"a gradient is that of one number, but the value of {call.name} {what}. Sum it, or use "
            "jacobian, vjp or elementwise_grad."
        )
    return call


def value_and_grad(f: Function, argnums: Argnums = 0) -> Function:
    """A function that returns the value of f, a number, and its gradient.

    Parameters
    ----------
    f : a function of arrays that computes with NumPy; returns one number.
    argnums : the position of the argument to differentiate with respect to, or several of them; then the
        gradient is a tuple.

    The gradient has the form of the argument, its shape and its dtype. The function that is returned raises
    ValueError where the value of f is not one number, IndexError where there is no such argument, and the
    engine's errors (`tinygrad_lr.errors`) where a gradient would be lost.

    >>> import numpy as np
    >>> value, gradient = value_and_grad(lambda w, x: np.dot(w, x))(np.ones(2), np.array([3.0, 4.0]))
    >>> print(value, gradient)
    7.0 [3. 4.]
    """

    @functools.wraps(f)
    def value_and_gradient(*args: Any, **options: Any) -> tuple[Any, Any]:
        call = _of_one_number(f, args, options, argnums)
        return call.out(call.value), call.pull(call.value, None)

    return value_and_gradient


def grad(f: Function, argnums: Argnums = 0) -> Function:
    """A function that returns the gradient of f, whose value is one number.

    Arguments, form of the gradient and errors are those of `value_and_grad`.

    >>> import numpy as np
    >>> grad(lambda p: p["a"] * p["b"] ** 2)({"a": 2.0, "b": 3.0})
    {'a': np.float64(9.0), 'b': np.float64(12.0)}
    >>> print(grad(grad(np.sin))(np.pi / 2))
    -1.0
    """

    @functools.wraps(f)
    def gradient(*args: Any, **options: Any) -> Any:
        call = _of_one_number(f, args, options, argnums)
        return call.pull(call.value, None)

    return gradient


def elementwise_grad(f: Function, argnums: Argnums = 0) -> Function:
    """The derivative of a function that works element by element, in every element at once.

    It is the gradient of the sum, so it has the argument's shape. Of a function that does not work element by
    element it is not the derivative. Arguments and errors are those of `value_and_grad`.

    >>> import numpy as np
    >>> elementwise_grad(np.square)(np.array([1.0, 2.0, 3.0]))
    array([2., 4., 6.])
    """

    @functools.wraps(f)
    def gradient(*args: Any, **options: Any) -> Any:
        call = Traced(f, args, options, argnums)
        return call.pull(call.value, None)

    return gradient


def vjp(f: Function, *args: Any) -> tuple[Any, Function]:
    """The value of f, and the function v -> vᵀJ, J being its Jacobian with respect to all arguments.

    Returns (value, pullback). `pullback(v)` is a tuple with a gradient for each argument. It raises
    ValueError unless v has the form of the value, and the shapes of what depends on the arguments.

    >>> import numpy as np
    >>> value, pullback = vjp(lambda A, x: A @ x, np.eye(2), np.array([1.0, 2.0]))
    >>> pullback(np.array([1.0, 0.0]))
    (array([[1., 2.],
           [0., 0.]]), array([1., 0.]))
    """
    call = Traced(f, args, {}, range(len(args)), copy=True)  # the pullback may be called later
    value = _map(lambda part: part.copy() if isinstance(part, Tensor) else part, call.value)
    return _map(call.out, value), lambda v: call.pull(call.value, v)


def jvp(f: Function, args: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """The value of f, and its derivative Jt along the tangents, one for each argument and in its form.

    vᵀJ is linear in v, and its derivative with respect to v, along t, is Jt: so two reverse sweeps make one
    forward derivative (Townsend, "A new trick for calculating Jacobian vector products", 2017).

    Raises ValueError unless there is a tangent for each argument, in its shape.

    >>> import numpy as np
    >>> value, slope = jvp(np.sin, [np.array([0.0, np.pi])], [np.array([1.0, 1.0])])
    >>> print(slope)
    [ 1. -1.]
    """
    if len(args) != len(tangents):
        raise ValueError(f"{len(args)} arguments need {len(args)} tangents, not {len(tangents)}")
    value, pullback = vjp(f, *args)
    return value, _pulled(pullback, _map(np.zeros_like, value), tuple(tangents))


def jacobian(f: Function, argnums: Argnums = 0) -> Function:
    """A function that returns the derivative of every element of f's value.

    Of a value of shape s with respect to an array of shape t it has the shape s + t.

    >>> import numpy as np
    >>> jacobian(lambda x: np.array([[1.0, 2.0], [3.0, 4.0]]) @ x)(np.zeros(2))
    array([[1., 2.],
           [3., 4.]])
    """

    @functools.wraps(f)
    def derivative(*args: Any, **options: Any) -> Any:
        call = Traced(f, args, options, argnums)

        def of_part(value: Any) -> Any:
            shape = np.shape(call.out(value))
            return _map(lambda rows: np.reshape(rows, shape + rows.shape[1:]), call.pull_each(value))

        return _map(of_part, call.value)

    return derivative


def hessian(f: Function, argnums: int = 0) -> Function:
    """A function that returns the second derivatives of f, whose value is one number.

    With respect to an array of shape t it has the shape t + t. For dicts, lists and tuples,
    `hessian(f)(p)[a][b]` holds the derivatives with respect to p[a] and p[b].

    >>> import numpy as np
    >>> hessian(lambda x: x[0] ** 2 * x[1])(np.array([3.0, 5.0]))
    array([[10.,  6.],
           [ 6.,  0.]])
    """

    return jacobian(grad(f, argnums), argnums)


def hvp(f: Function, args: Any, vector: Any) -> Any:
    """The Hessian of f, whose value is one number, times a vector in the form of the argument.

    It is the derivative of the gradient along the vector, by a sweep through both (Pearlmutter, "Fast exact
    multiplication by the Hessian", 1994): the Hessian itself is never made, and the cost is about that of two
    gradients. Errors are those of `value_and_grad`, and ValueError for a vector of another shape.

    >>> import numpy as np
    >>> hvp(lambda x: np.sum(x**3), np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    array([ 6., 12.])
    """
    return _pulled(grad(f), args, vector)
