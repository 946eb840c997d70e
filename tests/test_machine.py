"""Whatever a user does, in whatever order: the right gradient, or one of the errors that are named for it.

Hypothesis plays a user who computes, enters and leaves scopes (also by an exception), attaches and drops,
writes in place, and differentiates, in three threads. Beside each tensor goes a `Node` of a naive model, that
knows no tape: it carries along the whole Jacobian with respect to every tensor that went into a value, found
by complex steps. What happens must be what the model says. A failure is printed as the shortest sequence of
steps found.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

import tinygrad_lr as tg
from search import examples
from tinygrad_lr import Tensor, autograd, errors

# ---- the model --------------------------------------------------------------------------------------------


class Node:
    """What the model knows of a tensor."""

    moment, freed = 0, "no"  # when it was recorded, and whether a sweep has freed that: "no", "maybe", "yes"
    grad: Any = None
    req = ""

    def __init__(self, value: Any, state: str = "constant", arguments: Sequence[Any] = ()) -> None:
        self.value, self.state = value, state  # "constant", "outside" of record(), "leaf" or "recorded"
        self.arrays = [value, *arguments]  # that the gradient is computed from
        self.slopes: dict[Node, Any] = {self: np.eye(np.size(value))}  # with respect to all it was made from

    @property
    def tracked(self) -> bool:
        return self.state in ("leaf", "recorded")


def owner(array: Any) -> Any:
    while isinstance(getattr(array, "base", None), np.ndarray):
        array = array.base
    return id(array)


def jacobian(f: Callable[..., Any], arrays: list[Any], k: int) -> Any:
    columns = []
    for i in np.ndindex(np.shape(arrays[k])):
        moved = [np.array(a, complex) for a in arrays]
        moved[k][i] += 1e-30j
        columns.append(np.ravel(f(*moved)).imag / 1e-30)
    return np.stack(columns, axis=1)


class Model:
    """Forward mode, all Jacobians kept, and a clock that says when which array was last written."""

    def __init__(self) -> None:
        self.clock, self.written = 0, dict[int, int]()

    def call(self, f: Callable[..., Any], arguments: Sequence[Node], recording: bool) -> Node:
        arrays = [node.value for node in arguments]
        tracked = recording and any(node.tracked for node in arguments)
        node = Node(f(*arrays), "recorded" if tracked else "constant" if recording else "outside", arrays)
        for k, argument in enumerate(arguments):
            if tracked and argument.tracked:
                along = jacobian(f, arrays, k)
                for source, slope in argument.slopes.items():
                    node.slopes[source] = node.slopes.get(source, 0) + along @ slope
        node.moment = self.clock
        return node

    def write(self, node: Node, value: Any) -> None:
        if isinstance(node.value, np.generic):  # which nothing can be written into
            node.value = node.arrays[0] = np.array(node.value)
        self.clock += 1
        self.written[owner(node.value)] = self.clock
        node.value[...] = value

    def obstacles(self, heads: Sequence[Node]) -> tuple[set[Any], set[Any]]:
        """The errors one of which a sweep must end with, and those with which it may."""
        for head in heads:
            if not head.tracked:
                outside = head.state == "outside"
                return {errors.NotRecordedError if outside else errors.NothingAttachedError}, set()
        calls = [node for head in heads for node in head.slopes if node.state == "recorded"]
        stale = any(self.written.get(owner(a), 0) > node.moment for node in calls for a in node.arrays)
        must = {errors.GraphFreedError for node in calls if node.freed == "yes"}
        may = {errors.GraphFreedError for node in calls if node.freed == "maybe"}
        return must, may | {errors.ModifiedError for _ in range(stale)}

    def gradients(self, heads: Sequence[Node], head_grads: Sequence[Any]) -> dict[Node, Any]:
        found: dict[Node, Any] = {}
        for head, gradient in zip(heads, head_grads, strict=True):
            for source, slope in head.slopes.items():
                found[source] = found.get(source, 0) + np.ravel(gradient) @ slope
        return {source: np.reshape(g, np.shape(source.value)) for source, g in found.items()}

    def free(self, heads: Sequence[Node], freed: str) -> None:
        for node in (node for head in heads for node in head.slopes):
            node.freed = node.freed if node.freed == "yes" else freed


# ---- what can be done -------------------------------------------------------------------------------------

OPERATIONS: dict[str, Callable[..., Any]] = {
    "a + b": lambda a, b: a + b,
    "a * b": lambda a, b: a * b,
    "b - a": lambda a, b: b - a,
    "a / (2 + b * b)": lambda a, b: a / (2 + b * b),
    "np.sin(a)": lambda a: np.sin(a),
    "np.exp(-a * a)": lambda a: np.exp(-a * a),
    "np.sum(a * b)": lambda a, b: np.sum(a * b),
    "np.sum(a)": lambda a: np.sum(a),
    "np.flip(a)": lambda a: np.flip(a),
    "np.stack": lambda a: np.ravel(np.stack([a, 2 * a]))[:2],
    "a, unchanged": lambda a: +a,
}
SCOPES: dict[str, tuple[Callable[[], Any], bool | None, bool | None]] = {
    "record()": (tg.record, True, True),
    "record(train_mode=False)": (lambda: tg.record(train_mode=False), True, False),
    "pause()": (tg.pause, False, False),
    "pause(train_mode=True)": (lambda: tg.pause(train_mode=True), False, True),
    "train_mode()": (tg.train_mode, None, True),
    "predict_mode()": (tg.predict_mode, None, False),
    "detect_anomaly()": (tg.detect_anomaly, None, None),
}
WRITES: dict[str, Callable[[Any, Any], Any]] = {
    "x -= v": lambda x, v: x.__isub__(v),
    "x *= v": lambda x, v: x.__imul__(v),
    "x[...] = v": lambda x, v: x.__setitem__(..., v),
    "np.copyto(x, v)": np.copyto,
}
WRITTEN: dict[str, Callable[[Any, Any], Any]] = {"x -= v": np.subtract, "x *= v": np.multiply}

Pair = tuple[Tensor, Node]
made: Any = Bundle("made")  # not computed
computed: Any = Bundle("computed")
tensors = made | computed
threads = st.sampled_from([0, 0, 1, 2])
often = st.sampled_from([True, True, False])
positions = st.integers(0, 99)
values = st.floats(-2, 2).map(lambda x: round(x, 3))


def ones(heads: Sequence[Node]) -> list[Any]:
    return [np.ones(np.shape(head.value)) for head in heads]


class Machine(RuleBasedStateMachine):
    """The engine and the model, side by side."""

    @initialize(target=made, number=st.integers(1, 3))
    def begin(self, number: int) -> Any:
        self.model, self.pairs = Model(), list[Pair]()
        self.workers = [ThreadPoolExecutor(1) for _ in range(2)]
        self.scopes: list[list[Any]] = [[] for _ in range(3)]
        self.modes: list[list[tuple[bool, bool]]] = [[(False, False)] for _ in range(3)]
        return multiple(*(self.make([0.5 + i, -1.25], attached=True) for i in range(number)))

    def teardown(self) -> None:
        for thread, scopes in enumerate(self.scopes):
            while scopes:
                self.leave(thread, 1, False)
        for worker in self.workers:
            worker.shutdown()

    def on(self, thread: int, step: Callable[[], Any]) -> Any:
        return self.workers[thread - 1].submit(step).result() if thread else step()

    def recording(self, thread: int) -> bool:
        return self.modes[thread][-1][0]

    def add(self, tensor: Tensor, node: Node) -> Pair:
        self.pairs.append((tensor, node))
        return tensor, node

    def raises(
        self, thread: int, step: Callable[[], Any], must: set[Any], may: set[Any] = frozenset()
    ) -> Any:  # type: ignore[assignment]
        """What a step returns; None if it ended with an error that it may or must end with."""
        try:
            result = self.on(thread, step)
        except (*must, *may):
            return None
        assert not must, f"no error, where one of {must} was due"
        return result

    # ---- scopes

    @rule(thread=threads, name=st.sampled_from(list(SCOPES)))
    def enter(self, thread: int, name: str) -> None:
        make, recording, training = SCOPES[name]
        scope, mode = make(), self.modes[thread][-1]
        self.on(thread, scope.__enter__)
        self.scopes[thread].append(scope)
        new = (mode[0] if recording is None else recording, mode[1] if training is None else training)
        self.modes[thread].append(new)

    @rule(thread=threads, number=st.integers(1, 3), failing=st.booleans())
    def leave(self, thread: int, number: int, failing: bool) -> None:
        error = ValueError("on purpose")
        for _ in range(min(number, len(self.scopes[thread]))):
            scope = self.scopes[thread].pop()
            facts = (ValueError, error, None) if failing else (None, None, None)
            swallowed = self.on(thread, lambda s=scope, f=facts: s.__exit__(*f))
            self.modes[thread].pop()
            assert not swallowed

    # ---- tensors

    @rule(target=made, data=st.lists(values, min_size=2, max_size=2) | values, attached=often)
    def make(self, data: Any, attached: bool) -> Pair:
        pair = self.add(tg.tensor(data), Node(np.array(data)))
        if attached:
            self.attach(pair, "write")
        return pair

    @rule(pair=tensors, req=st.sampled_from(["write", "add", "null"]))
    def attach(self, pair: Pair, req: str) -> None:
        tensor, node = pair
        tensor.attach_grad(req)
        node.grad, node.req = np.zeros(np.shape(node.value)), req
        if node.state != "recorded" and req != "null":
            node.state = "leaf"
        elif node.state == "leaf":
            node.state = "constant"

    @rule(pair=tensors)
    def drop(self, pair: Pair) -> None:
        tensor, node = pair
        tensor.drop_grad()
        node.grad, node.req = None, ""
        node.state = "constant" if node.state == "leaf" else node.state

    @rule(target=computed, name=st.sampled_from(list(OPERATIONS)), a=tensors, b=tensors, thread=threads)
    def compute(self, name: str, a: Pair, b: Pair, thread: int) -> Any:
        f = OPERATIONS[name]
        pairs = [a, b][: f.__code__.co_argcount]
        if not np.all(np.abs(f(*(node.value for _, node in pairs))) < 1e3):
            return multiple()
        result = self.on(thread, lambda: f(*(tensor for tensor, _ in pairs)))
        return self.add(result, self.model.call(f, [node for _, node in pairs], self.recording(thread)))

    @rule(
        target=computed,
        steps=st.lists(
            st.tuples(st.sampled_from(list(OPERATIONS)), st.integers(0, 5), st.integers(0, 5)),
            min_size=1,
            max_size=5,
        ),
        start=st.lists(tensors, min_size=1, max_size=3),
        thread=threads,
        backward=often,
    )
    def compute_in_a_block(
        self, steps: list[tuple[str, int, int]], start: list[Pair], thread: int, backward: bool
    ) -> Any:
        """Several steps within a `with record():` of their own, each of what there is by then."""
        self.enter(thread, "record()")
        pairs = list(start)
        for name, i, j in steps:
            result = self.compute(name, pairs[i % len(pairs)], pairs[j % len(pairs)], thread)
            pairs += [result] if isinstance(result, tuple) else []
        self.leave(thread, 1, False)
        if backward:
            self.backward([0], None, len(pairs), retain_graph=True, create_graph=False, thread=thread)
        return multiple(*pairs[len(start) :])

    @rule(target=made, pair=tensors)
    def detach(self, pair: Pair) -> Pair:
        return self.add(pair[0].detach(), Node(pair[1].value))

    @rule(pair=tensors, thread=threads)
    def turn_into_a_plain_array(self, pair: Pair, thread: int) -> None:
        tensor, node = pair
        lost = {errors.LostGradientError} if node.tracked and self.recording(thread) else set()
        array = self.raises(thread, lambda: np.asarray(tensor), lost)
        assert array is None or np.array_equal(array, node.value)

    @rule(pair=tensors, value=tensors | values, name=st.sampled_from(list(WRITES)), thread=threads)
    def write(self, pair: Pair, value: Any, name: str, thread: int) -> None:
        (tensor, node), (v, plain) = pair, value if isinstance(value, tuple) else (value, Node(value))
        new = WRITTEN.get(name, lambda x, v: v)(node.value, plain.value)
        if np.ndim(plain.value) > np.ndim(node.value) or not np.all(np.abs(new) < 1e3):
            return
        must = set[Any]()
        if self.recording(thread) and (node.tracked or plain.tracked):
            must = {errors.InPlaceError if node.tracked else errors.LostInWriteError}
        self.raises(thread, lambda: WRITES[name](tensor, v), must)
        if not must:
            self.model.write(node, new)

    @rule(pair=tensors, thread=threads)
    def descend(self, pair: Pair, thread: int) -> None:
        if pair[1].grad is not None:
            step = 0.1 * pair[0].grad.numpy()  # right but for rounding
            self.write(pair, self.add(tg.tensor(step), Node(step)), "x -= v", thread)

    # ---- gradients

    @rule(
        among=st.lists(positions, max_size=3),
        other=st.none() | tensors,
        seed=st.none() | positions,
        retain_graph=often,
        create_graph=st.booleans(),
        thread=threads,
    )
    def backward(
        self,
        among: list[int],
        other: Pair | None,
        seed: int | None,
        retain_graph: bool,
        create_graph: bool,
        thread: int,
    ) -> None:
        pairs, heads, given = self.heads(among, other, seed)
        must, may = self.model.obstacles(heads)
        step = lambda: [autograd.backward([t for t, _ in pairs], given, retain_graph, create_graph)]  # noqa: E731
        done = self.raises(thread, step, must, may)
        if done:
            for node, gradient in self.model.gradients(heads, given or ones(heads)).items():
                if node.req in ("write", "add"):
                    node.grad = gradient + (node.grad if node.req == "add" else 0)
        self.swept(heads, retain_graph or create_graph, bool(done))

    @rule(
        among=st.lists(positions, min_size=1, max_size=2),
        seed=st.none() | positions,
        wanted=tensors,
        position=positions,
        retain_graph=often,
        thread=threads,
    )
    def grad(
        self,
        among: list[int],
        seed: int | None,
        wanted: Pair,
        position: int,
        retain_graph: bool,
        thread: int,
    ) -> None:
        """With respect to some tensor that the heads were made from, or to any tensor."""
        pairs, heads, given = self.heads(among, None, seed)
        sources = [pair for pair in self.pairs if any(pair[1] in head.slopes for head in heads)]
        tensor, node = [*sources, wanted][position % (len(sources) + 1)]
        must, may = self.model.obstacles(heads)
        if not node.tracked:
            must, may = {errors.UnreachedError}, set()
        elif not must and not any(node in head.slopes for head in heads):
            must = {errors.UnreachedError}
        step = lambda: autograd.grad([t for t, _ in pairs], tensor, given, retain_graph)  # noqa: E731
        found = self.raises(thread, step, must, may)
        if found is not None:
            self.check_close(found, self.model.gradients(heads, given or ones(heads))[node])
        self.swept(heads, retain_graph, found is not None)

    def swept(self, heads: list[Node], retain_graph: bool, done: bool) -> None:
        if not retain_graph and all(head.tracked for head in heads):
            self.model.free(heads, "yes" if done else "maybe")
        self.check_gradients()

    def heads(
        self, among: list[int], other: Pair | None, seed: int | None
    ) -> tuple[list[Pair], list[Node], list[Any] | None]:
        """Some tensors that were recorded, and another one; and their head gradients."""
        recorded = [pair for pair in self.pairs if pair[1].state == "recorded"] or self.pairs
        pairs = [recorded[-1 - i % len(recorded)] for i in among] + ([other] if other else [])
        pairs = pairs or recorded[-1:]
        heads = [node for _, node in pairs]
        if seed is None:
            return pairs, heads, None
        rng = np.random.default_rng(seed)
        return pairs, heads, [rng.uniform(-2, 2, np.shape(head.value)) for head in heads]

    # ---- what always holds

    @invariant()
    def modes_are_those_of_the_scopes(self) -> None:
        for thread, modes in enumerate(getattr(self, "modes", [])):
            assert self.on(thread, lambda: (tg.is_recording(), tg.is_training())) == modes[-1]

    @invariant()
    def values_and_attachments_agree(self) -> None:
        for tensor, node in getattr(self, "pairs", []):
            assert np.array_equal(tensor.array, node.value)
            assert tensor.is_leaf == (node.state == "leaf")
            assert (tensor.node is not None) == node.tracked
            assert (tensor.grad is None) == (node.grad is None)

    def check_gradients(self) -> None:
        """Of all tensors: right, and each an array of its own."""
        attached = [(tensor, node) for tensor, node in self.pairs if node.grad is not None]
        for tensor, node in attached:
            self.check_close(tensor.grad, node.grad)
        arrays = [tensor.grad.array for tensor, _ in attached]
        for i, array in enumerate(arrays):
            others = [*arrays[:i], *(tensor.array for tensor, _ in self.pairs)]
            assert not any(np.shares_memory(array, other) for other in others)

    @staticmethod
    def check_close(found: Tensor, expected: Any) -> None:
        assert (found.shape, found.dtype) == (np.shape(expected), np.dtype(float))
        np.testing.assert_allclose(found.array, expected, rtol=1e-9, atol=1e-9)


class TestMachine(Machine.TestCase):  # type: ignore[misc,name-defined]
    settings = examples(60, stateful_step_count=40)
