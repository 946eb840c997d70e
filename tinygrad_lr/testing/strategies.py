"""Hypothesis strategies: tensors, tensors that broadcast, and whole programs, for tests of one's own code.

A property-based test says what holds for all inputs, and Hypothesis looks for one for which it does not. Say
you wrote a layer, its formula simplified on paper:

>>> import numpy as np
>>> from hypothesis import given, settings
>>> from tinygrad_lr import differentiable
>>> from tinygrad_lr.testing import check_gradients
>>> from tinygrad_lr.testing.strategies import broadcastable, tensors
>>> @differentiable(lambda g, y, x: g * (y + (1 - y) / (1 + np.exp(-x))))
... def swish(x):
...     return x / (1 + np.exp(-x))

Whatever the shape and the memory layout, its gradient must be its derivative, to second order:

>>> @settings(max_examples=20)  # without this, 100 are drawn
... @given(tensors())
... def test_gradient_of_swish(x):
...     check_gradients(swish, x)
>>> test_gradient_of_swish()

And it must do what it does to one number to each of many:

>>> @given(broadcastable(2))
... def test_swish_is_elementwise(pair):
...     a, b = pair
...     np.testing.assert_allclose(swish(a + 0 * b), swish(a) + 0 * b, atol=1e-12)
>>> test_swish_is_elementwise()

The tests are plain pytest tests; a failing one is shrunk to small shapes and printed.
"""

import inspect
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_lr.tensor import Tensor, asarray

Shape = tuple[int, ...]
seeds = st.integers(0, 2**32 - 1)


def shapes(
    min_dims: int = 0, max_dims: int = 3, min_side: int = 1, max_side: int = 3
) -> st.SearchStrategy[Shape]:
    """Shapes of few and short axes; also of empty arrays with `min_side=0`.

    >>> from hypothesis import given
    >>> @given(shapes(min_dims=2))
    ... def test_transpose(shape):
    ...     assert np.zeros(shape).T.shape == shape[::-1]
    >>> test_transpose()
    """
    return hnp.array_shapes(min_dims=min_dims, max_dims=max_dims, min_side=min_side, max_side=max_side)


@st.composite
def arrays(
    draw: st.DrawFn,
    shape: Shape | st.SearchStrategy[Shape] | None = None,
    low: float = -2.0,
    high: float = 2.0,
    gap: float = 0.0,
    dtype: Any = np.float64,
    layouts: bool = True,
) -> Any:
    """Arrays of numbers with three decimals, from `low` to `high`.

    Parameters
    ----------
    shape : a shape, or a strategy for shapes; `shapes()` by default.
    gap : the least distance of any two elements, and twice the least distance from zero, so that functions
        with kinks at ties or at zero have a derivative. More elements than fit in go on beyond `high`.
    layouts : whether they also lie in memory in other ways than NumPy's usual one: in Fortran order,
        backwards, as every other element of a larger array.

    >>> from hypothesis import given
    >>> @given(arrays(shape=(4,), low=0, high=1, gap=0.1))
    ... def test_no_ties(x):
    ...     assert np.diff(np.sort(x)).min() > 0.09
    >>> test_no_ties()
    """
    if not isinstance(shape, tuple):
        shape = draw(shapes() if shape is None else shape)
    rng, size = np.random.default_rng(draw(seeds)), math.prod(shape)
    values = np.round(rng.uniform(low, high, size), 3)
    if gap:
        fit = max(size, int((high - low) / gap))
        values = (np.ceil(low / gap - 0.5) + 0.5 + rng.permutation(fit)[:size]) * gap
    array = np.reshape(values, shape).astype(dtype)
    if not layouts or not shape:
        return array
    stored, _, view = LAYOUTS[draw(st.sampled_from(list(LAYOUTS)))]
    return view(stored(array))


#: the ways to lie in memory: what is stored, as which view of that, in words of NumPy and as a function
LAYOUTS: dict[str, tuple[Callable[[Any], Any], str, Callable[[Any], Any]]] = {
    "usual": (lambda a: a, "{}", lambda a: a),
    "Fortran": (lambda a: np.ascontiguousarray(a.T), "{}.T", lambda a: a.T),
    "backwards": (lambda a: np.ascontiguousarray(np.flip(a)), "np.flip({})", np.flip),
    "stepped": (lambda a: np.repeat(a, 2, axis=-1), "{}[..., ::2]", lambda a: a[..., ::2]),
}


@st.composite
def tensors(
    draw: st.DrawFn,
    shape: Shape | st.SearchStrategy[Shape] | None = None,
    low: float = -2.0,
    high: float = 2.0,
    gap: float = 0.0,
    dtype: Any = np.float64,
    layouts: bool = True,
    attached: bool = False,
) -> Tensor:
    """Tensors of what `arrays` draws, with `attached` ready for `backward`.

    >>> from hypothesis import given
    >>> from tinygrad_lr import record
    >>> @given(tensors(shape=(2, 3), gap=0.1, attached=True))
    ... def test_sum(x):
    ...     with record():
    ...         y = np.sum(np.abs(x))
    ...     y.backward()
    ...     assert np.array_equal(x.grad, np.sign(x))
    >>> test_sum()
    """
    tensor = asarray(draw(arrays(shape, low, high, gap, dtype, layouts)))
    if attached:
        tensor.attach_grad()
    return tensor


@st.composite
def broadcastable(
    draw: st.DrawFn,
    /,
    number: int = 2,
    max_dims: int = 3,
    min_side: int = 1,
    max_side: int = 3,
    **options: Any,
) -> tuple[Tensor, ...]:
    """So many tensors whose shapes broadcast together; the options are those of `tensors`.

    >>> from hypothesis import given
    >>> @given(broadcastable(3, dtype=np.float32))
    ... def test_add(three):
    ...     a, b, c = three
    ...     assert (a + b + c).shape == np.broadcast_shapes(a.shape, b.shape, c.shape)
    >>> test_add()
    """
    # with the shape of the largest drawn first: else nearly all would be of one element, or of one row
    base = draw(hnp.array_shapes(min_dims=0, max_dims=max_dims, min_side=max(min_side, 1), max_side=max_side))
    drawn = hnp.mutually_broadcastable_shapes(
        num_shapes=number, base_shape=base, max_dims=max_dims, min_side=min_side, max_side=max_side
    )
    return tuple(draw(tensors(shape, **options)) for shape in draw(drawn).input_shapes)


# ---- programs ---------------------------------------------------------------------------------------------

#: what a program is made of: one step each, of earlier results {a} and {b}; smooth where {a} and {b} are
#: generic, and of moderate size
OPERATIONS = (
    "{a} + {b}",
    "{a} - 0.5 * {b}",
    "{a} * {b}",
    "{a} / (1.5 + np.tanh({b}))",
    "(2 + np.sin({a})) ** np.tanh({b})",
    "-{a}",
    "np.sin({a}) * np.cos({b})",
    "np.exp(-np.square({a}))",
    "np.log(2 + np.cos({a})) - np.arctan({b})",
    "np.sqrt(1 + {a} * {a})",
    "np.hypot({a}, 1 + np.abs({b}))",
    "np.logaddexp({a}, {b})",
    "np.maximum({a}, {b})",
    "np.minimum({a}, 0.3)",
    "np.where({a} > {b}, {a}, 2 * {b})",
    "np.clip({a}, -0.77, 0.91)",
    "np.sum({a} * {b}, axis=0)",
    "np.sum({a}, axis=-1, keepdims=True) + {b}",
    "np.mean({a}) + {b}",
    "np.var({a}) * {b}",
    "np.max({a}, axis=-1)",
    "np.prod({a}, axis=0)",
    "np.cumsum({a}, axis=-1)",
    "np.linalg.norm(1 + np.square({a})) + {b}",
    "{a} @ np.swapaxes({b}, -1, -2)",
    "np.transpose({a}) @ {a}",
    "np.dot({a}, np.transpose({b}))",
    "np.outer({a}, {b})",
    "np.einsum('...i,...i->...', {a}, {b})",
    "np.concatenate([np.ravel({a}), np.ravel({b}), np.ravel({a})])",
    "np.stack([{a}, {a} * {b}], axis=-1)",
    "np.split({a}, [1])[0]",
    "{a}[..., ::-1]",
    "{a}[0] - {a}[-1]",
    "{a}[..., None] * {b}",
    "np.ravel({a})[[0, -1, 0]]",
    "{a}[np.arange(len({a})) % 2 == 0]",
    "np.take({a}, [0, 0], axis=-1)",
    "np.reshape({a}, -1)",
    "np.transpose({a})",
    "np.broadcast_to({a}, (2, *np.shape({a})))",
    "np.expand_dims({a}, 0)",
    "np.squeeze({a})",
    "np.roll({a}, 1)",
    "np.tile({a}, 2)",
    "np.sort({a}, axis=-1)",
    "np.tril(np.outer({a}, {b}))",
)


class Program:
    """Steps that compute some heads from some leaves.

    Called with arrays, Tensors or whatever takes NumPy's functions, it returns the list of heads. Printed it
    is a program that can be pasted and run.

    Attributes
    ----------
    leaves : for each leaf its name and its array.
    steps : lines of Python.
    heads : the names of the results that count.

    >>> program = Program({"a": "np.array([1.0, 2.0])"}, ["b = a * a", "c = np.sum(b)"], heads=["c"])
    >>> program(np.array([3.0, 4.0]))
    [np.float64(25.0)]
    """

    def __init__(
        self, leaves: dict[str, str], steps: Sequence[str], heads: Sequence[str], imports: Sequence[str] = ()
    ) -> None:
        self.imports = ("import numpy as np", *imports)
        self.sources, self.steps, self.heads = leaves, tuple(steps), tuple(heads)
        self._names: dict[str, Any] = {}
        exec("\n".join(self.imports), self._names)
        self.leaves = {name: eval(source, self._names) for name, source in leaves.items()}
        self._code = compile("\n".join(steps), "<program>", "exec")
        kind = inspect.Parameter.POSITIONAL_ONLY
        self.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in leaves])

    @property
    def arguments(self) -> list[Any]:
        """The arrays of the leaves."""
        return list(self.leaves.values())

    def results(self, *leaves: Any) -> dict[str, Any]:
        """All names of the program and their values, from leaves like `arguments`."""
        names = {**self._names, **dict(zip(self.leaves, leaves, strict=True))}
        exec(self._code, names)
        return names

    def __call__(self, *leaves: Any) -> list[Any]:
        names = self.results(*leaves)
        return [eval(head, names) for head in self.heads]

    def __repr__(self) -> str:
        heads = ", ".join(self.heads)
        return "\n".join(
            [
                "",
                *self.imports,
                "from tinygrad_lr import asarray, autograd, record",
                "",
                *(f"{name} = asarray({source})" for name, source in self.sources.items()),
                *(f"{name}.attach_grad()" for name in self.sources),
                "with record():",
                *(f"    {step}" for step in self.steps),
                f"    heads = [{heads}]",
                "autograd.backward(heads)",
                *(f"print({name}.grad)" for name in self.sources),
                "",
            ]
        )


@st.composite
def expression_graphs(
    draw: st.DrawFn,
    operations: Sequence[str] | st.SearchStrategy[str] = OPERATIONS,
    max_leaves: int = 3,
    max_steps: int = 8,
    max_heads: int = 2,
    max_size: int = 40,
    imports: Sequence[str] = (),
) -> Program:
    """Programs in which results are used once, several times or never, are broadcast, indexed, reduced.

    Parameters
    ----------
    operations : templates of Python expressions, of earlier results {a} and {b}; or a strategy for them.
        Where the results do not suit a template, the step is left out.
    max_leaves, max_steps, max_heads : how many there are at most.
    max_size : of the result of a step.
    imports : lines that import what the operations use beside `np`.

    >>> from hypothesis import given, settings
    >>> from tinygrad_lr.testing import check_gradients
    >>> @settings(max_examples=5)
    ... @given(expression_graphs(["np.sinc({a})", "{a} * {b}", "np.mean({a})"]))
    ... def test_sinc_among_others(program):
    ...     check_gradients(program, *program.arguments)
    >>> test_sinc_among_others()
    """
    templates = operations if isinstance(operations, st.SearchStrategy) else st.sampled_from(operations)
    drawn = hnp.mutually_broadcastable_shapes(
        num_shapes=draw(st.integers(1, max_leaves)), max_dims=3, min_side=1, max_side=3
    )
    leaves, rng = {}, np.random.default_rng(draw(seeds))
    for name, shape in zip("abcdefgh", draw(drawn).input_shapes, strict=False):
        stored, source, _ = LAYOUTS[draw(st.sampled_from(list(LAYOUTS))) if shape else "usual"]
        array = stored(np.round(rng.uniform(-2, 2, shape), 3))
        leaves[name] = source.format(f"np.array({array.tolist()})")
    steps, operands = list[str](), list(leaves)
    program = Program(leaves, steps, operands, imports)
    names = program.results(*program.arguments)
    for number in range(draw(st.integers(1, max_steps))):
        a, b = (draw(st.sampled_from(operands)) for _ in "ab")
        name, expression = f"t{number}", draw(templates).format(a=a, b=b)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                result = eval(expression, names)
            except Exception:  # of whatever kind: the operands do not suit the template
                continue
        several = isinstance(result, (list, tuple))
        parts = {f"{name}[{i}]": part for i, part in enumerate(result)} if several else {name: result}
        parts = {part: y for part, y in parts.items() if np.asarray(y).dtype.kind == "f" and np.size(y)}
        largest = np.max([np.max(np.abs(y)) for y in parts.values()], initial=0.0)
        if not parts or sum(map(np.size, parts.values())) > max_size or not largest < 1e3:
            continue
        if largest > 4 and not several:
            expression = f"({expression}) / {2 ** math.ceil(math.log2(largest / 4))}"
            result = eval(expression, names)
        names[name] = result
        steps.append(f"{name} = {expression}")
        operands += parts
    others = st.lists(st.sampled_from(operands), max_size=max_heads - 1)
    return Program(leaves, steps, [operands[-1], *draw(others)], imports)
