"""`check_gradients`: the engine's gradients against truths that do not know the engine."""

import inspect
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np

from tinygrad_lr.errors import name_of
from tinygrad_lr.scope import pause, record
from tinygrad_lr.tape import ENTRY, LEAVES
from tinygrad_lr.tensor import Tensor, asarray, gradients_at, with_gradients

from .truths import EPS, STEP, STEPS, Slope, adaptive_difference, complex_step, one_sided_difference, resolved

Arrays = list[Any]
Function = Callable[[list[Tensor]], list[Any]]  # of the variables; gives its floating results
SHOWN = 8  # elements in a message


class WrongGradientError(AssertionError):
    """A gradient that is not the derivative; the message shows where, and by how much."""


class NoTruthError(ValueError):
    """There is no derivative to compare with: a kink, a jump, the edge of the domain, noise."""


def check_gradients(
    f: Callable[..., Any],
    *inputs: Any,
    order: int = 2,
    analytic: bool | None = None,
    rtol: float = 1e-9,
    elements: int = 100,
    strict: bool = True,
    seed: int = 0,
) -> None:
    """Raise unless the gradients of f that the engine computes are its derivatives.

    Parameters
    ----------
    f : a function of Tensors that computes with NumPy and returns a Tensor of any shape, or a nesting of
        them. It must give the same result every time. If it is a Module, or a method of one, the gradients
        with respect to its parameters are checked too.
    inputs : what f is called with. The gradient is checked with respect to all floating arrays, Tensors and
        Python floats among them, also inside dicts, lists and tuples, and to the parameters of Modules. All
        else is passed on as it is. The check computes in float64 at least, on arrays that cannot be written.
    order : 2 checks the gradient, and by the same means the gradient of the gradient, also with respect to
        the head gradient. 1 is quicker, 3 goes further.
    analytic : whether f also computes with complex numbers, and is analytic: then the truth is the complex
        step, exact to rounding. By default this is tried, and believed where central differences agree.
    rtol : what the difference may be, beside the error of the truth: relative to the size of the Jacobian,
        Σⱼ |hⱼ ∂fⱼ/∂xᵢ| for the element xᵢ under the head gradient h. So it is as sharp for an element whose
        gradient is tiny.
    elements : of inputs that have more, so many are chosen at random to be checked one by one; all of them
        are then checked together, along a random direction. NaN and infinite elements are left out.
    strict : whether there must be a truth of three digits for every element. False is for gradients that are
        tiny beside the values of a function that is not analytic, so that rounding takes digits from the
        differences: these are then compared as far as they go.
    seed : of the random head gradients, elements and directions.

    Raises
    ------
    WrongGradientError : names the input and the elements, with what the engine got, what was expected, and
        the error of the latter.
    NoTruthError : f has no derivative there (a kink, a jump, the edge of its domain, noise), or none that
        could be found to three digits. But a kink passes if the gradient there is the mean of the slopes to
        both sides, as that of np.maximum(x, 0) is: so are the differences that it is compared with.
    ValueError : there is nothing to check, or f is not a function of its inputs.

    >>> import numpy as np
    >>> from tinygrad_lr import differentiable
    >>> check_gradients(lambda x, y: x / (1 + y**2), np.array([0.5, -1.5]), 0.25)
    >>> @differentiable(lambda g, y, x: g * np.sin(x))
    ... def cosine(x):
    ...     return np.cos(x)
    >>> try:  # doctest: +ELLIPSIS
    ...     check_gradients(cosine, np.array([0.5, -1.5]))
    ... except WrongGradientError as error:
    ...     print(error)
    the gradient of tinygrad_lr.testing.gradients.cosine with respect to x (shape (2,)) is wrong in 2 of 2:
        element              got        expected  error
           x[0]  -0.666276268528  0.666276268528  ...
           x[1]   -1.05448990523   1.05448990523  ...
        got is -1 times what is expected
    """
    if order < 1:
        raise ValueError(f"order must be 1 or more, not {order}")
    variables = Variables(f, inputs)
    function: Function = variables.call
    points = variables.arrays
    try:
        for level in range(1, order + 1):
            check = Check(variables, function, points, level, np.random.default_rng([seed, level]))
            check.analytic = analytic if level == 1 else False
            check.run(rtol, elements, strict)
            function, points = gradient_of(function, len(points)), points + check.heads
    finally:
        variables.restore()


class Variables:
    """What f is differentiated with respect to: arrays among its inputs, and parameters of Modules."""

    def __init__(self, f: Callable[..., Any], inputs: Sequence[Any]) -> None:
        self.f, self.name = f, name_of(f).lstrip(".") if hasattr(f, "__name__") else type(f).__name__
        self.inputs = dict(zip(names_of_arguments(f, len(inputs)), inputs, strict=True))
        owner = getattr(f, "__self__", f)
        modules: dict[int, Any] = {id(m): m for m in (owner, *inputs) if hasattr(m, "named_parameters")}
        if modules:
            with pause(train_mode=True):
                f(*inputs)  # layers that learn their shapes from the first input do so now
        parameters = {
            id(p): (name, p)
            for m in modules.values()
            for name, p in m.named_parameters().items()
            if p.is_leaf
        }
        found = [pair for name, value in self.inputs.items() for pair in leaves(value, name)]
        self.paths = [path for path, _ in found]
        self.parameters = [p for _, p in parameters.values()]
        self.originals = [p.array for p in self.parameters]
        self.names = [*self.paths, *(name for name, _ in parameters.values())]
        self.arrays = [frozen(wide(a)) for a in (*(leaf for _, leaf in found), *self.originals)]
        if not self.arrays:
            raise ValueError(
                f"{self.name} got nothing to differentiate with respect to: no floating array, no Python "
                "float and no Module with parameters. Whole numbers count as constants: write x.astype(float)"
            )

    def tensors(self, arrays: Arrays) -> list[Tensor]:
        """A Tensor for each array; for a parameter itself, which takes the array over."""
        first, last = len(self.paths), len(self.names)
        for parameter, array in zip(self.parameters, arrays[first:last], strict=True):
            parameter.array = array
        return [*map(asarray, arrays[:first]), *self.parameters, *map(asarray, arrays[last:])]

    def call(self, tensors: list[Tensor]) -> list[Any]:
        """The floating results of f."""
        new = dict(zip(self.paths, tensors, strict=False))
        result = self.f(*(rebuilt(value, name, new) for name, value in self.inputs.items()))
        return [value for _, value in leaves(result, "")]

    def restore(self) -> None:
        """Give the parameters their own arrays back."""
        for parameter, array in zip(self.parameters, self.originals, strict=True):
            parameter.array = array


def recorded(function: Function, variables: list[Tensor], heads: Sequence[Any]) -> list[tuple[Tensor, Any]]:
    """The results of a function that depend on the variables, each with its head gradient."""
    for variable in variables:
        if variable.tape is None:
            variable.attach_grad()
    with record():
        results = function(variables)
    pairs = [(y, h) for y, h in zip(results, heads, strict=True) if getattr(y, "tape", None) is not None]
    for y, _ in pairs:
        frozen(y.array)
    return with_gradients([y for y, _ in pairs], [h for _, h in pairs])


def swept(function: Function, variables: list[Tensor], heads: Sequence[Any], create_graph: bool) -> list[Any]:
    """The engine's gradients of <heads, function>; zeros where it sees no dependence."""
    made = gradients_at(variables, recorded(function, variables, heads), True, create_graph)
    return [asarray(np.zeros(v.shape)) if g is None else g for v, g in zip(variables, made, strict=True)]


def terms(heads: list[tuple[Tensor, Any]]) -> float:
    """The size of all that the sum of some heads, each times its head gradient, is made of.

    A number v that was computed on the way to y has the part v ∂y/∂v in it: so much of a relative error of v
    arrives in y (S. Linnainmaa, "Taylor expansion of the accumulated rounding error", BIT 16, 1976). So EPS
    times the sum of these parts, without their signs, is what rounding does to y, also where they cancel.
    """
    tapes: list[Any] = list({y.tape: None for y, _ in heads})
    for tape in tapes:
        tapes += {t.tape for t in tape.sources if t.tape is not LEAVES}.difference(tapes)
    places = [Tensor(tape[i].value, tape, i) for tape in tapes for i in range(0, len(tape.calls), ENTRY)]
    places = [t for t in places if is_floating(t.array)]
    places += {t: None for tape in tapes for t in tape.sources if t.tape is LEAVES}
    with np.errstate(all="ignore"):
        flows = gradients_at(places, heads, True, False)
        parts = flat([np.abs(t * g.array) for t, g in zip(places, flows, strict=True) if g is not None])
    return float(np.sum(parts, where=np.isfinite(parts)))


def gradient_of(function: Function, number: int) -> Function:
    """The gradients of a function of so many variables, as a function of these and the head gradients."""

    def gradients(tensors: list[Tensor]) -> list[Any]:
        heads = tensors[number:]
        return swept(function, tensors[:number], heads, any(h.tape is not None for h in heads))

    return gradients


class Probe(NamedTuple):
    """The true derivative in one direction: of one element, or of all elements of a variable together."""

    label: str
    direction: Any  # of the shape of the variable
    along: Callable[[Any], Any]  # the results of the function, so far in this direction
    parts: Any  # of what is expected, one from each result of the function
    expected: float
    error: float  # of what is expected
    exact: bool  # whether no difference was taken

    @property
    def size(self) -> Any:
        return np.sum(np.abs(self.parts))

    @property
    def unit(self) -> Any:
        return np.max(np.abs(self.direction))

    def by(self, gradient: Any) -> Any:
        """The same derivative by a gradient."""
        there = self.direction != 0
        return np.sum(gradient[there] * self.direction[there]) / self.unit


class Check:
    """The comparison for one function: f itself, or a gradient of it."""

    def __init__(
        self,
        variables: Variables,
        function: Function,
        points: Arrays,
        level: int,
        rng: np.random.Generator,
    ) -> None:
        self.variables, self.function, self.points, self.rng = variables, function, points, rng
        self.of = "the gradient of " * (level - 1) + variables.name
        more = range(len(points) - len(variables.names))
        self.names = [*variables.names, *(f"head_gradient_{i}" for i in more)]
        results = self.results(points)
        value = flat(results)
        if not np.array_equal(value, flat(self.results(points)), equal_nan=True):
            raise ValueError(
                f"{self.of} is not a function of its inputs: two calls gave different results. Let it make "
                "its random numbers from the same seed at every call"
            )
        if not results:
            raise ValueError(f"{self.of} returned no floating number: there is nothing to differentiate")
        if not np.all(np.isfinite(value)):
            raise NoTruthError(f"{self.of} is not finite at these inputs")
        shapes = [np.shape(y) for y in results]
        self.heads = [frozen(rng.uniform(0.5, 1.5, s) * rng.choice([-1.0, 1.0], s)) for s in shapes]
        self.weights = flat(self.heads)
        self.analytic: bool | None = None  # whether complex steps are right; None if that is to be found out

    def results(self, arrays: Arrays) -> list[Any]:
        """The function without recording it; a gradient records by itself."""
        with pause(train_mode=True):
            return self.function(self.variables.tensors(arrays))

    def gradients(self, points: Arrays) -> Arrays:
        """What the engine says, of the second of two calls in one sweep.

        The first one has heads of zeros: where a rule keeps a buffer and returns it each time, they overwrite
        the gradients of the second.
        """
        number = len(points)

        def twice(tensors: list[Tensor]) -> list[Any]:
            return self.function(tensors[:number]) + self.function(tensors[number:])

        tensors = [*self.variables.tensors(points), *self.variables.tensors(points)]
        heads = [*(np.zeros_like(h) for h in self.heads), *self.heads]
        return [g.array for g in swept(twice, tensors, heads, False)[number:]]

    def run(self, rtol: float, elements: int, strict: bool) -> None:
        """Raise if a gradient is wrong."""
        truths = [list(self.truths(k, elements)) for k in range(len(self.points))]
        for k, (gradient, probes) in enumerate(zip(self.gradients(self.points), truths, strict=True)):
            largest = max((p.size for p in probes), default=0.0)
            with np.errstate(invalid="ignore"):  # of gradients that are infinite
                wrong = [p for p in probes if self.is_wrong(k, p, gradient, largest, rtol, strict)]
            if wrong:
                raise WrongGradientError(self.report(k, wrong, gradient, len(probes)))

    def truths(self, k: int, elements: int) -> Iterator[Probe]:
        """The derivatives with respect to one variable."""
        for label, direction in self.directions(k, elements):

            def along(t: Any, direction: Any = direction) -> Any:
                x = np.where(direction == 0, self.points[k], self.points[k] + t * direction)
                return flat(self.results([*self.points[:k], frozen(x), *self.points[k + 1 :]]))

            slope, exact = self.slope(along)
            parts, errors = (part * self.weights / np.max(np.abs(direction)) for part in slope[:2])
            p = Probe(label, direction, along, parts, np.sum(parts), np.sum(np.abs(errors)), exact)
            if not np.isfinite(p.error):
                self.raise_no_truth(p)
            yield p

    def is_wrong(self, k: int, p: Probe, gradient: Any, largest: float, rtol: float, strict: bool) -> bool:
        """Whether a gradient differs from a truth by more than what rounding leaves of both.

        Raises NoTruthError if the truth says nothing about it.
        """
        got = p.by(gradient)
        # along a random direction the terms may cancel: then their own size counts
        bound = rtol * max(p.size, p.by(np.abs(gradient) * np.sign(p.direction)))
        sharp = 1e-3 * max(abs(got), largest)
        if p.error <= sharp and abs(got - p.expected) <= bound + p.error < np.inf:
            return False
        noise = self.rounding_of_gradient(k, p)
        if not p.exact:
            p = self.with_rounding(p, max(sharp, noise))
        if not abs(got - p.expected) <= bound + p.error + noise < np.inf:
            return True
        if strict and p.error > sharp and abs(got) > noise:
            self.raise_no_truth(p)
        return False

    def with_rounding(self, p: Probe, sharp: float) -> Probe:
        """A truth whose error allows for terms that cancel in the function."""
        here, nearby = p.along(0.0), [p.along(sign * STEP / n) for sign in (-1, 1) for n in (1, 2, 4)]
        changing = np.where(np.any(nearby != here, axis=0), self.weights, 0)
        heads = recorded(self.function, self.variables.tensors(self.points), split(changing, self.heads))
        noise = 16 * EPS * terms(heads)
        self.check_for_kink(p, noise)
        slope = adaptive_difference(lambda t: np.sum(p.along(t) * self.weights), noise)
        p = p._replace(expected=slope.value / p.unit, error=slope.error / p.unit)
        if not p.error <= max(sharp, 64 * slope.rounding / p.unit):
            self.raise_no_truth(p)
        return p

    def rounding_of_gradient(self, k: int, p: Probe) -> float:
        """What rounding leaves of the engine's gradient in one direction, where terms cancel in it."""
        heads = [p.direction / p.unit if i == k else np.zeros_like(x) for i, x in enumerate(self.points)]
        function, points = gradient_of(self.function, len(self.points)), [*self.points, *self.heads]
        try:
            return 64 * EPS * terms(recorded(function, self.variables.tensors(points), heads))
        except Exception:  # of whatever kind: a rule that cannot be differentiated has no known terms
            return 0.0

    def raise_no_truth(self, p: Probe) -> NoReturn:
        raise NoTruthError(
            f"{self.of} has no derivative with respect to {p.label} that could be found: {p.expected:.6g} "
            f"with an error of {p.error:.2g}. A kink, a jump or the edge of its domain is near, or there is "
            "noise, or its values are too large beside their changes"
        )

    def directions(self, k: int, elements: int) -> Iterator[tuple[str, Any]]:
        """Where to move a variable: the name of a direction, and what is added; NaN and infinity stay."""
        x, name = self.points[k], self.names[k]
        finite = np.isfinite(x)
        # powers of 2: exact to multiply with
        scale = np.where(finite, 2.0 ** np.ceil(np.log2(np.maximum(np.abs(x), 1))), 0)
        chosen = np.flatnonzero(finite)
        if chosen.size > elements:
            yield f"all of {name}", scale * self.rng.uniform(-1, 1, x.shape)
            chosen = np.sort(self.rng.choice(chosen, elements, replace=False))
        for i in chosen:
            index = [int(n) for n in np.unravel_index(i, x.shape)]
            one = np.reshape(np.arange(x.size) == i, x.shape)
            yield f"{name}{index}" if index else name, scale * one

    def slope(self, along: Callable[[Any], Any]) -> tuple[Slope, bool]:
        """The truth, and whether it is a complex step: if f is analytic, or if differences say the same."""
        if self.analytic:
            return complex_step(along), True
        slope = adaptive_difference(along)
        if self.analytic is None and np.all(resolved(slope)):
            try:
                with np.errstate(all="ignore"), warnings.catch_warnings():
                    warnings.simplefilter("error", np.exceptions.ComplexWarning)
                    exact = complex_step(along) if np.iscomplexobj(along(1j * STEP)) else None
            except Exception:  # of whatever kind: f does not compute with complex numbers
                exact = None
            if exact and np.all(np.abs(exact.value - slope.value) + exact.error <= slope.error):
                return exact, True
            self.analytic = False
        return slope, False

    def check_for_kink(self, p: Probe, noise: float) -> None:
        """Raise NoTruthError if the derivatives to either side differ."""
        step = STEPS[2]
        with np.errstate(all="ignore"):
            left, right = (one_sided_difference(p.along, sign * step) for sign in (-1, 1))
        low, high = (np.sum(side.value * self.weights) / p.unit for side in (left, right))
        error = np.sum((left.error + right.error) * np.abs(self.weights)) / p.unit + 8 * noise / step
        if abs(low - high) > 10 * error:
            raise NoTruthError(
                f"{self.of} has a kink at {p.label}: its derivative is {low:.6g} to the left and {high:.6g} "
                "to the right of it. Check it beside the kink"
            )

    def report(self, k: int, wrong: list[Probe], gradient: Any, number: int) -> str:
        got = [p.by(gradient) for p in wrong]
        rows = [("element", "got", "expected", "error")]
        rows += [
            (p.label, f"{value:.12g}", f"{p.expected:.12g}", f"{p.error:.0e}" if p.error > 1e-99 else "0")
            for p, value in zip(wrong[:SHOWN], got, strict=False)
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            f"the gradient of {self.of} with respect to {self.names[k]} (shape {self.points[k].shape}) "
            f"is wrong in {len(wrong)} of {number}:",
            *("  ".join(text.rjust(w) for text, w in zip(row, widths, strict=True)) for row in rows),
        ]
        if len(wrong) > SHOWN:
            lines.append(f"... and {len(wrong) - SHOWN} more")
        ratios = [value / p.expected if p.expected else np.nan for p, value in zip(wrong, got, strict=True)]
        if not np.any(got):
            lines.append("got is zero: does the function leave the graph, by .detach(), .numpy() or pause()?")
        elif np.all(np.isfinite(ratios)) and np.ptp(ratios) <= 1e-6 * abs(ratios[0]):
            lines.append(f"got is {ratios[0]:.6g} times what is expected")
        return "\n    ".join(lines)


def is_floating(value: Any) -> bool:
    return getattr(getattr(value, "dtype", None), "kind", "i") == "f"


def flat(values: Sequence[Any]) -> Any:
    """All elements of some tensors or arrays, in a row."""
    arrays = [np.ravel(v.array if isinstance(v, Tensor) else v) for v in values]
    return np.concatenate([*arrays, np.zeros(0)])


def split(values: Any, like: Sequence[Any]) -> Arrays:
    """The opposite of `flat`: arrays of the shapes of others."""
    parts = np.split(values, np.cumsum([np.size(a) for a in like])[:-1])
    return [np.reshape(part, np.shape(a)) for part, a in zip(parts, like, strict=True)]


def frozen(array: Any) -> Any:
    """An array that cannot be written any more."""
    if isinstance(array, np.ndarray):
        array.flags.writeable = False
    return array


def wide(value: Any) -> Any:
    """A copy as an array of float64, or of a dtype that is wider still."""
    value = value.array if isinstance(value, Tensor) else value
    return np.array(value, np.result_type(np.asarray(value).dtype, np.float64))


def names_of_arguments(f: Callable[..., Any], number: int) -> list[str]:
    """What f calls its arguments, or arg0, arg1, ..."""
    try:
        parameters = list(inspect.signature(getattr(f, "forward", f)).parameters.values())
    except (TypeError, ValueError):  # built-in functions need not have one
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [names[i] if i < len(names) else f"arg{i}" for i in range(number)]


def leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The floating (or complex) Tensors, arrays and numbers in a nesting of dicts, lists and tuples."""
    if isinstance(value, (dict, list, tuple)):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(part, f"{path}[{key!r}]")
    elif getattr(getattr(value, "dtype", None), "kind", "i") in "fc" or isinstance(value, (float, complex)):
        yield path, value


def rebuilt(value: Any, path: str, new: dict[str, Any]) -> Any:
    """The same nesting with other leaves at some paths."""
    if isinstance(value, dict):
        return {key: rebuilt(part, f"{path}[{key!r}]", new) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        parts = [rebuilt(part, f"{path}[{i!r}]", new) for i, part in enumerate(value)]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return new.get(path, value)
