"""Finding repeats: whatever is found says the truth about the program, and loops are found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from search import examples
from tinygrad_lr import Tensor, autograd, record, tensor
from tinygrad_lr_viz.folding import Program, Repeat
from tinygrad_lr_viz.plan import Carried, Plan, Result, Source
from tinygrad_lr_viz.reading import Graph, key, read

# A program is a list of operations (which function, which of the latest results it reads) and of loops
Body = list[Any]
operations = st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
programs: st.SearchStrategy[Body] = st.recursive(
    st.lists(operations, min_size=1, max_size=4),
    lambda inner: st.lists(operations | st.tuples(st.integers(1, 6), inner), min_size=1, max_size=4),
    max_leaves=4,
)


FUNCTIONS: list[Callable[[Any, Any], Any]] = [
    lambda x, y: x * y,
    lambda x, y: x - y,
    lambda x, y: np.sin(x),
    lambda x, y: 0.5 * x,
]


def attached(value: float) -> Tensor:
    t = tensor(np.array([value]))
    t.attach_grad()
    return t


def run(body: Body, results: list[Any]) -> None:
    for step in body:
        if len(step) == 2:
            for _ in range(step[0]):
                run(step[1], results)
        else:
            f, a, b = step
            x, y = results[-1 - a % len(results)], results[-1 - b % len(results)]
            results.append(FUNCTIONS[f](x, y))


def recorded(body: Body, last: bool = False) -> Graph:
    """The graph of everything that a program computes, or of what its last result needs."""
    results: list[Any] = [attached(0.5), attached(0.7)]
    with record(), np.errstate(all="ignore"):
        run(body, results)
        head: Any = results[-1] if last else np.stack(results)
    return read(head)


def repeats_of(program: Program) -> list[Repeat]:
    found, todo = [], list(program.repeats)
    while todo:
        found.append(todo.pop())
        todo += found[-1].inner
    return found


@examples(100)
@given(programs)
@example(
    [(3, [(3, 3, 0), *[(0, 0, 0)] * 3]), (3, [(3, 3, 0), (0, 0, 0), (0, 0, 0), (0, 0, 1)])]
)  # they overlap
def test_what_is_drawn_stands_for_every_operation_once(body: Body) -> None:
    program = Program(recorded(body), True)
    drawn = list(program.drawn())
    assert drawn == sorted(set(drawn))
    assert {program.representative(number) for number in range(len(program.keys))} == set(drawn)
    total = 0
    for number in drawn:
        count = 1
        for repeat in program.around(number):
            count *= repeat.count
        total += count
        assert program.representative(number) == number
    assert total == len(program.keys)


@examples(100)
@given(programs)
def test_each_repetition_does_what_is_drawn(body: Body) -> None:
    """The same function, and operands from the same places; the first ones may have them from elsewhere."""
    graph = recorded(body)
    program = Program(graph, True)

    def operands(number: int) -> list[int | None]:
        return [program.numbers.get(key(value)) for value in graph.inputs[program.keys[number]]]

    for repeat in repeats_of(program):
        assert repeat.count >= 3
        for number in range(repeat.start, repeat.stop - repeat.period):
            later = number + repeat.period
            assert graph.origins[program.keys[number]][0] is graph.origins[program.keys[later]][0]
            pairs = list(zip(operands(number), operands(later), strict=True))
            for before, after in pairs:
                if repeat.turn(number) and repeat.turn(later) < repeat.count - 1 and after is not None:
                    beyond = operands(later + repeat.period)[pairs.index((before, after))]
                    assert before is not None
                    assert beyond is not None
                    assert beyond - after == after - before


@examples(50)
@given(programs)
@example([(3, [(0, 0, 0)]), (0, 2, 1), (3, [(0, 1, 2), (0, 0, 3)])])  # a loop reads one turn of another
def test_operands_are_drawn_from_where_they_are_read(body: Body) -> None:
    plan = Plan(recorded(body, last=True), [], None, (), True, 10**6)
    for number in plan.numbers:
        for _, value, operand in plan.operands(number):
            source = plan.program.numbers.get(key(value))
            if source is None:
                assert isinstance(operand, Source)
                assert operand.key == key(value)
                continue
            assert isinstance(operand, (Result, Carried))
            assert operand.unit == plan.program.representative(source)
            if isinstance(operand, Carried):
                repeat = operand.repeat
                assert repeat.turn(number) - repeat.turn(source) == operand.lag > 0


@examples(100)
@given(
    st.integers(10, 30),
    st.lists(operations, min_size=1, max_size=8)
    | st.lists(st.tuples(st.just(2), st.integers(0, 3), st.just(0)), min_size=4, max_size=8),
)
@example(10, [(2, 0, 0), (2, 0, 0), (2, 0, 0), (2, 1, 0), (2, 2, 0)])  # loops within cover as much
@example(10, [(0, 2, 0), (0, 2, 1), (0, 2, 2), (0, 2, 1)])
def test_a_loop_is_found(n: int, body: Body) -> None:
    """Also one of a single function, in which much repeats within a repetition."""
    program = Program(recorded([(n, body)]), True)
    outside = 1 + 3 * len(body)  # what the first repetitions do differently, and the stack
    assert len(list(program.drawn())) <= outside + len(body)


def scaled(x: Any, n: int) -> Any:
    for _ in range(n):
        x = x * 0.9
    return x


def nested(x: Any) -> Any:
    for _ in range(7):
        x = np.exp(scaled(x, 50)) - 1.0
    return x


def with_momentum(x: Any) -> Any:
    velocity: Any = 0.0 * x
    for _ in range(40):
        velocity = 0.9 * velocity + 0.1 * x
        x = x - velocity
    return x


def fibonacci(x: Any) -> Any:
    a, b = x, x * 1.0
    for _ in range(40):
        a, b = b, a + b
    return b


def constant_of_the_loop(x: Any) -> Any:
    c, y = np.exp(x), x
    for _ in range(40):
        y = c * y
    return y


def differentiated(x: Any) -> Any:
    y = x
    for _ in range(40):
        y = np.sin(y)
    return autograd.grad(y, x, create_graph=True)


@pytest.mark.parametrize(
    ("compute", "drawn", "counts"),
    [
        (lambda x: scaled(x, 100), 1, [100]),
        (nested, 3, [7, 50]),
        (with_momentum, 5, [40]),
        (fibonacci, 2, [40]),
        (constant_of_the_loop, 2, [40]),
        (differentiated, 8, [38, 39]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_kinds_of_loops(compute: Callable[[Any], Any], drawn: int, counts: list[int]) -> None:
    x = attached(0.5)
    with record():
        y = compute(x)
    program = Program(read(y), True)
    assert len(list(program.drawn())) == drawn
    assert [
        repeat.count for repeat in sorted(repeats_of(program), key=lambda repeat: -repeat.period)
    ] == counts


def test_nothing_is_folded_unless_asked_for() -> None:
    x = attached(0.5)
    with record():
        y = scaled(x, 10)
    program = Program(read(y), False)
    assert program.repeats == []
    assert list(program.drawn()) == list(range(10))


def test_very_many_operations_of_no_pattern_take_no_longer_than_they_should() -> None:
    """The work is limited by a count of operations looked at, so that it is the same on every machine."""
    random = np.random.default_rng(0)
    pool: list[Any] = [attached(0.5)]
    with record():
        for i in range(3000):
            a, b = random.integers(max(0, i - 5), i + 1, 2)
            pool.append([np.sin, np.cos, np.tanh][random.integers(3)](pool[a]) * pool[b])
    graph = read(pool[-1])
    looked_at = 0
    program = Program(graph, False)
    best = Program._best

    def counting(self: Program, start: int, stop: int) -> list[Repeat]:
        nonlocal looked_at
        looked_at += stop - start
        return best(self, start, stop)

    program._describe(graph)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Program, "_best", counting)
        program._find(0, len(program.keys))
    assert looked_at <= 32 * (len(program.keys) + 1000)
