"""The engine's promises, one by one: what is recorded, what backward does, what raises an error."""

import _thread
import asyncio
import concurrent.futures
import contextlib
import contextvars
import copy
import gc
import inspect
import itertools
import math
import operator
import pickle
import queue
import re
import sys
import threading
import tracemalloc
import warnings
import weakref
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.sparse
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import search
from search import examples
from tinygrad_lr import (
    Tensor,
    asarray,
    autograd,
    constant,
    derivative,
    detect_anomaly,
    differentiable,
    errors,
    is_recording,
    is_training,
    pause,
    predict_mode,
    record,
    tensor,
    train_mode,
)
from tinygrad_lr.calls import unwrapped
from tinygrad_lr.derivatives import DERIVATIVES, Derivative
from tinygrad_lr.derivatives.table import TARGETS, adds_into, writes
from tinygrad_lr.errors import (
    AnomalyError,
    AutogradError,
    GraphFreedError,
    InPlaceError,
    LostGradientError,
    LostInWriteError,
    ModifiedError,
    NoDerivativeError,
    NoRuleError,
    NothingAttachedError,
    NotRecordedError,
    OptionError,
    UnreachedError,
)
from tinygrad_lr.nn import Parameter
from tinygrad_lr.tape import WRITES as CLOCK


def leaf(data: Any, dtype: Any = None, grad_req: str = "write") -> Tensor:
    made = tensor(data, dtype)
    made.attach_grad(grad_req)
    return made


def same(got: Any, expected: Any) -> None:
    np.testing.assert_array_equal(got.array if isinstance(got, Tensor) else got, expected)


# ---- leaves -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 3)])
def test_grad_starts_as_zeros_of_shape_and_dtype(dtype: Any, shape: tuple[int, ...]) -> None:
    x = leaf(np.ones(shape), dtype)
    assert (x.grad.shape, x.grad.dtype) == (shape, dtype)
    same(x.grad, np.zeros(shape))
    assert x.is_leaf


@pytest.mark.parametrize(
    "data",
    [
        1,
        [1, 2],
        [True],
        [np.uint8(3)],
        np.array([0.5, None]),
        np.array(["1"]),
        *(np.zeros(2, t) for t in ("m8[s]", "M8[s]")),
    ],
)
def test_attaching_a_tensor_without_fractions_says_to_cast(data: Any) -> None:
    with pytest.raises(TypeError, match=r"floating dtype.*astype\(float\)"):
        leaf(data)


@pytest.mark.parametrize("dtype", [np.complex64, complex, np.clongdouble])
def test_attaching_a_complex_tensor_says_to_split_it(dtype: Any) -> None:
    with pytest.raises(errors.ComplexLeafError, match=r"complex.*two tensors"):
        leaf([1j], dtype)


@pytest.mark.parametrize("grad_req", ["sum", "", "ad", "Write", None])
def test_unknown_grad_req(grad_req: Any) -> None:
    with pytest.raises(ValueError, match=f'"write", "add" or "null", not {grad_req!r}'):
        leaf(1.0, grad_req=grad_req)


def test_grad_req_write_replaces_and_add_adds() -> None:
    written, added = leaf(3.0), leaf(3.0, grad_req="add")
    for _ in range(3):
        with record():
            y = written * added
        y.backward()
    same(written.grad, 3)
    same(added.grad, 9)


def test_an_empty_leaf_gets_a_gradient_like_any_other() -> None:
    x = leaf(np.zeros((0, 2)))
    before = x.grad
    with record():
        y = (x**3).sum()
    y.backward(create_graph=True)
    assert x.grad is not before
    assert x.grad.shape == (0, 2)
    assert x.grad.node is not None


@pytest.mark.parametrize("scope", [contextlib.nullcontext, record])
def test_a_sum_of_gradients_is_recorded_only_with_create_graph(scope: Any) -> None:
    x = leaf(3.0, grad_req="add")
    with record():
        y, z = x**2, x**3
    with scope():
        y.backward(create_graph=True)
        assert x.grad.node is not None
        z.backward(create_graph=True)
        same(autograd.grad(x.grad, x, retain_graph=True), 2 + 18)
        y.backward()
        assert x.grad.node is None
    same(x.grad, 6 + 27 + 6)


def test_what_was_left_out_is_known_behind_a_thousand_calls() -> None:
    """Also where they go on with the last of several results: Python's stack is not endless."""
    x = leaf([4.0, 0.0])
    with record():
        y = np.sqrt(x)
        for _ in range(1_000):
            y = np.divmod(y, 10.0)[1]
        loss = np.where([True, False], y, 0.0).sum()
    with np.errstate(divide="ignore"):
        loss.backward()
    same(x.grad, [0.25, 0])


@pytest.mark.parametrize("number", [1, 2, 6, 7, 30])
def test_lists_of_leaves_are_all_that_is_recorded(number: int) -> None:
    """The places of inputs, counted from the other end, are not taken for those of calls."""
    leaves = [leaf(float(i)) for i in range(number)]
    with record():
        y = np.stack(leaves)
    slopes = autograd.grad(y, leaves, np.arange(1.0, number + 1), create_graph=True)
    assert [g.item() for g in slopes] == [*range(1, number + 1)]
    y.backward(np.arange(1.0, number + 1))
    assert [x.grad.item() for x in leaves] == [*range(1, number + 1)]


def test_what_a_sweep_is_told_by_position() -> None:
    x = leaf([2.0])
    with record():
        y = x**3
    for kept, create in ((True, False), (False, True)):
        (g,) = autograd.grad([y], [x], [np.array([5.0])], kept, create)
        same(g, [60])
        assert (g.node is not None) == create
    for sweep in (lambda *args: autograd.backward([y], [args[0]], *args[1:]), y.backward):
        for kept, create in ((True, False), (False, True)):
            sweep(np.array([5.0]), kept or create, create)
            same(x.grad, [60])
            assert (x.grad.node is not None) == create
    y.backward(np.array([5.0]), False, False)
    with pytest.raises(GraphFreedError):
        y.backward()


@pytest.mark.parametrize("order", ["C", "F", "A", "K"])
def test_what_is_flat_is_a_copy(order: Any) -> None:
    """However it lies in memory; ravel and reshape share it where NumPy's do."""
    for a in (np.ones((2, 3)), np.ones((2, 3), order="F"), np.ones((2, 3))[:, ::-1], np.ones(3), np.ones(())):
        x = tensor(0)
        x.array = a
        assert not np.may_share_memory(x.flatten(order).array, a)
        assert np.may_share_memory(x.ravel(order).array, a) == np.may_share_memory(a.ravel(order), a)
        np.testing.assert_array_equal(x.flatten(order).array, a.flatten(order))


def test_options_of_the_methods_of_ufuncs() -> None:
    x, w = leaf([1.0, 2.0]), np.array([0.1, 3.0])
    with record():
        y = np.multiply.outer(x, w, dtype=np.float32)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y.array, np.multiply.outer(x.array, w, dtype=np.float32))
    into = np.zeros((2, 2))
    np.multiply.outer(tensor([1.0, 2.0]), w, out=into)
    np.testing.assert_array_equal(into, np.multiply.outer([1.0, 2.0], w))
    with record(), pytest.raises(LostInWriteError, match=r"that depends on `x` .* into an array"):
        np.multiply.outer(x, w, out=into)


class OwnList(list[Any]):
    pass


class Pair(NamedTuple):
    first: Any
    second: Any


KEYS: list[Callable[[Any], Any]] = [
    *(lambda i: i, lambda i: (i,), lambda i: (i, None), lambda i: (..., i)),
    *(lambda i: Pair(None, i), lambda i: Pair(i, None)),
    *(
        lambda i: [*np.atleast_1d(i)],
        lambda i: OwnList(np.atleast_1d(i)),
        lambda i: (np.atleast_1d(i).tolist(),),
    ),
    *(lambda i: (None, OwnList(np.atleast_1d(i))), lambda i: Pair(..., np.atleast_1d(i).tolist())),
]
ENDS: list[Callable[[Any], Any]] = [
    *(lambda i: slice(i, 2), lambda i: slice(i), lambda i: slice(0, i), lambda i: slice(i, None, 2)),
    *(lambda i: slice(None, None, i), lambda i: slice(1, 3, i), lambda i: slice(0, i, i)),
    *(lambda i: (slice(i, 2), None), lambda i: (None, slice(i)), lambda i: Pair(..., slice(1, None, i))),
]


@pytest.mark.parametrize("index", [np.array(1), np.array([1]), np.array([False, True, False])], ids=str)
@pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
@pytest.mark.parametrize("view", [lambda i: i, lambda i: i[...], lambda i: i.view(np.memmap)], ids=range(3))
def test_an_index_is_kept_as_it_was(index: Any, key: Any, view: Any) -> None:
    x, index = leaf([1.0, 2.0, 4.0]), index.copy()
    given = key(view(index))
    with record():
        y = np.sum(x[given] * x[1])
    index[...] = 0
    for part in [given, *given] if isinstance(given, tuple) else [given]:
        if isinstance(part, list):
            part[:] = [0]
    y.backward()
    same(x.grad, [0, 4, 0])


@pytest.mark.parametrize("key", ENDS, ids=range(len(ENDS)))
def test_the_ends_of_a_slice_are_kept_as_they_were(key: Any) -> None:
    x, index = leaf([1.0, 2.0, 4.0]), np.array(1)
    with record():
        y = np.sum(x[key(index)] * 3)
    index[...] = 2
    y.backward()
    expected = np.zeros(3)
    expected[key(1)] = 3
    same(x.grad, expected)


def test_each_node_is_another() -> None:
    """Of leaves, also of those that were attached and dropped, and of results."""
    leaves = [leaf(1.0) for _ in range(3)]
    nodes = [x.node for x in leaves]
    leaves[0].drop_grad()
    leaves[0].attach_grad()
    leaves.append(leaf(1.0))
    nodes += [x.node for x in leaves if x.node not in nodes]
    with record():
        nodes += [(x * 2).node for x in leaves]
    assert None not in nodes
    assert len(set(nodes)) == len(nodes) >= 8


def test_each_sweep_has_a_number_of_its_own() -> None:
    x = leaf(3.0)
    with record():
        y = x**3
        first, second = (autograd.grad(y, x, create_graph=True) for _ in range(2))
    assert 0 == y.sweep < first.sweep < second.sweep


def test_what_fits_a_gradient_to_its_tensor_belongs_to_the_sweep_that_made_it() -> None:
    x = leaf([3.0, 4.0])
    with record():
        y = np.sum(x)  # whose gradient is one number, spread over x
        g = autograd.grad(y * y, x, create_graph=True)
    calls = [g]
    while calls:
        made = calls.pop()
        assert made.sweep in (g.sweep, 0)
        if made.sweep and made.origin is not None:
            calls += [a for a in made.origin.arguments if isinstance(a, Tensor)]
    assert g.origin is not None
    assert {a.sweep for a in g.origin.arguments if isinstance(a, Tensor)} == {g.sweep}


def test_what_was_dropped_stays_dropped_in_the_graph() -> None:
    with record():
        h = leaf(3.0) * 2
        h.attach_grad()
        h.drop_grad()
        y = h * 2
    assert y.origin is not None
    assert y.origin.arguments[0].grad is None


MADE: dict[str, Callable[[Any], Any]] = {
    "call": lambda x: np.sum(x, axis=None),
    "operator": lambda x: 2 * x,
    "first": lambda x: np.split(x, 2)[0],
    "second": lambda x: np.split(x, 2)[1],
    "gradient": lambda x: autograd.grad(x**3, x, create_graph=True),
    "constant": lambda x: np.floor(x),
}


@pytest.mark.parametrize("name", MADE)
def test_a_tensor_comes_from_where_it_came_from_whatever_is_attached(name: str) -> None:
    x = leaf([1.0, 2.0])
    with record():
        y = MADE[name](x)

    def facts() -> Any:
        origin = y.origin
        return y.node, y.part, y.sweep, y.is_leaf, origin and (origin.function, repr(origin))

    before = facts()
    assert before[1] == {"first": 0, "second": 1}.get(name)
    assert (before[2] > 0) == (name == "gradient")
    assert not before[3]
    assert (before[4] is None) == (name == "constant")
    if name != "constant":
        for grad_req in ("write", "null", "add"):
            y.attach_grad(grad_req)
            assert facts() == before
        y.drop_grad()
    else:
        y.attach_grad()
        assert y.is_leaf
        y.drop_grad()
    assert facts() == before
    x.drop_grad()
    assert (x.node, x.part, x.sweep, x.is_leaf, x.origin) == (None, None, 0, False, None)


def test_what_was_attached_is_so_in_the_graph() -> None:
    x = leaf(3.0)
    with record():
        h = x * 2
        h.attach_grad()
        y = h * x
    y.backward(retain_graph=True)
    assert y.origin is not None
    for argument, t in zip(y.origin.arguments, (h, x), strict=True):
        assert argument.grad is not None
        assert argument.grad.array is t.grad.array


@pytest.mark.parametrize("sweep", [Tensor.backward, lambda y, **options: autograd.grad(y, [y], **options)])
def test_calls_after_a_backward_are_on_another_tape(sweep: Any) -> None:
    """The one that was freed has gaps, and is to go."""
    x = leaf(3.0)
    with record():
        y = x * 2
        sweep(y)
        z = x * 2
        sweep(z, retain_graph=True)
        assert y.node[0] != z.node[0] == (x * 2).node[0]


@pytest.mark.parametrize("retain", [False, True])
def test_a_write_is_noticed_whether_or_not_the_graph_is_kept(retain: bool) -> None:
    x, factor = leaf(3.0), tensor([2.0])
    with record():
        y = x * factor
    factor += 1
    with pytest.raises(ModifiedError):
        y.backward(retain_graph=retain)


@pytest.mark.parametrize("dtype", [None, np.float32])
def test_the_array_of_a_tensor_is_no_way_around_it(dtype: Any) -> None:
    assert not np.asarray(tensor([1.0], np.float32), dtype).flags.writeable


def test_what_two_leaves_get_is_not_one_array() -> None:
    x, z = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    with record():
        y = (x + z) * np.array([5.0, 6.0])
    of_x, of_z = autograd.grad(y, [x, z])
    of_x += 1
    same(of_z, [5, 6])


def test_grad_req_null_detaches_a_leaf() -> None:
    x = leaf(3.0)
    x.attach_grad("null")
    with record():
        y = x * 2
    assert (x.is_leaf, y.node) == (False, None)


def test_grad_req_null_stores_nothing() -> None:
    x, silent = leaf(3.0), leaf(4.0, grad_req="null")
    with record():
        y = x * silent
    y.backward()
    same(x.grad, 4)
    same(silent.grad, 0)


def test_attaching_again_starts_anew() -> None:
    x = leaf(3.0)
    with record():
        (x * x).backward()
    x.attach_grad("add")
    same(x.grad, 0)
    with record():
        (x * x).backward()
    same(x.grad, 6)


def test_drop_grad_undoes_attach_grad() -> None:
    x, w = leaf(3.0), leaf(2.0)
    x.drop_grad()
    assert x.grad is None
    with pytest.raises(AttributeError, match="no gradient to set"):
        x.grad = 1.0
    assert not x.is_leaf
    with record():
        y = x * w
        assert (x * 2).node is None
    y.backward()
    same(w.grad, 3)


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_gradient_that_was_read_stays_as_it_was(create_graph: bool) -> None:
    """Also where the next one is added to it."""
    for grad_req in ("write", "add"):
        x = leaf([1.0, 2.0], grad_req=grad_req)
        read = []
        for _ in range(3):
            read.append((x.grad, x.grad.array, x.grad.array.copy()))
            with record():
                y = x * [3.0, 4.0]
            y.backward(create_graph=create_graph)
        for gradient, array, values in read:
            assert gradient.array is array
            same(array, values)


def test_gradients_are_fresh_arrays() -> None:
    """Clipping one gradient in place must not clip another."""
    a, b = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    with record():
        y = a + b
    head = np.array([5.0, 6.0])
    y.backward(head)
    a.grad[:] = 0
    same(b.grad, [5, 6])
    same(head, [5, 6])
    before = b.grad
    with record():
        (a + b).backward()
    same(before, [5, 6])
    same(b.grad, [1, 1])


@pytest.mark.parametrize("shape", [(), (1,), (2,)])
def test_a_gradient_can_be_changed_in_place(shape: tuple[int, ...]) -> None:
    x = leaf(np.full(shape, 3.0))
    with record():
        y = x * x
    y.backward()
    x.grad *= 2
    same(x.grad, np.full(shape, 12.0))
    x.grad[...] = 1
    same(x.grad, np.ones(shape))
    same(x, np.full(shape, 3.0))


def test_setting_a_gradient() -> None:
    x = leaf([1.0, 2.0], np.float32)
    given = np.array([3, 4])
    x.grad = given
    same(x.grad, [3, 4])
    assert x.grad.dtype == np.float32
    given = np.array([3, 4], np.float32)
    x.grad = given
    assert not np.shares_memory(x.grad.array, given)
    for shape in ((3,), (1,), (), (1, 2)):
        with pytest.raises(ValueError, match=rf"{re.escape(str(shape))} for `x` \(shape \(2,\)"):
            x.grad = np.ones(shape)
    with pytest.raises(AttributeError, match=r"no gradient to set; call attach_grad\(\)"):
        tensor([1.0]).grad = np.ones(1)


def test_a_gradient_that_is_set_keeps_its_own_graph() -> None:
    x, w = leaf(2.0), leaf(3.0)
    with record():
        x.grad = w * w
    x.grad.backward()
    same(w.grad, 6)


# ---- attach on an intermediate ----------------------------------------------------------------------------


def test_dropping_a_gradient_after_recording() -> None:
    """The others still get theirs."""
    x, w = leaf(2.0), leaf(3.0)
    with record():
        y = x * w
    x.drop_grad()
    y.backward(create_graph=True)
    same(w.grad, 2)
    assert x.grad is None


def test_attach_on_an_intermediate_keeps_the_graph() -> None:
    x = leaf(3.0)
    with record():
        y = x * x
        y.attach_grad()
        z = y * y
    z.backward()
    same(y.grad, 18)
    same(x.grad, 108)
    assert not y.is_leaf


def test_attach_on_an_intermediate_after_its_use_and_across_blocks() -> None:
    x = leaf(3.0)
    with record():
        y = x * x
    with record():
        z = y * y + y
    y.attach_grad("add")
    z.backward(retain_graph=True)
    z.backward()
    same(y.grad, 2 * 19)
    same(x.grad, 19 * 6)


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("number", range(4))
def test_attach_on_one_of_several_results(number: int, create_graph: bool) -> None:
    x = leaf(np.arange(8.0))
    with record():
        parts = np.split(2 * x, 4)
        parts[number].attach_grad()
        y = np.sum(
            np.concatenate([part for i, part in enumerate(parts) if i != 2 or number == 2] + parts) ** 2
        )
    y.backward(create_graph=create_graph)
    same(parts[number].grad, 4 * parts[number].array)
    same(x.grad, np.where((np.arange(8) // 2 == 2) & (number != 2), 8, 16) * np.arange(8.0))


def test_attach_on_an_intermediate_with_null_and_drop() -> None:
    x = leaf(3.0)
    with record():
        y = x * x
        y.attach_grad("null")
        z = y * y
    z.backward(retain_graph=True)
    same(y.grad, 0)
    y.attach_grad()
    y.drop_grad()
    z.backward()
    assert y.grad is None
    same(x.grad, 108)


def test_dropping_the_gradient_of_one_result_leaves_those_of_the_others() -> None:
    x = leaf(3.0)
    with record():
        y = x * x
        z = y * x
    for t in (y, z):
        t.attach_grad()
    for _ in range(2):
        y.drop_grad()
    z.backward(retain_graph=True)
    assert y.grad is None
    same(z.grad, 1)
    y.attach_grad()
    y.attach_grad("add")  # anew
    z.drop_grad()
    for times in (1, 2):
        z.backward(retain_graph=True)
        assert z.grad is None
        same(y.grad, 3 * times)


def test_a_head_can_have_a_gradient_itself() -> None:
    x = leaf([1.0, 2.0])
    with record():
        y = x * 3
    y.attach_grad()
    y.backward(np.array([5.0, 6.0]))
    same(y.grad, [5, 6])
    x.backward()
    same(x.grad, [1, 1])


# ---- recording --------------------------------------------------------------------------------------------


def test_nothing_is_recorded_outside_record_or_from_constants() -> None:
    x, c = leaf([1.0]), tensor([1.0])
    outside = x * 2
    with record():
        constant = c * 2
        tracked = x * c
        with pause():
            paused = x * 2
    assert (outside.node, constant.node, paused.node) == (None, None, None)
    assert (outside.origin, constant.origin, paused.origin) == (None, None, None)
    assert tracked.origin is not None
    assert tracked.origin.function is np.multiply


SCOPES: dict[
    Callable[[], Any], tuple[bool | None, bool | None]
] = {  # recording and training inside; None: as before
    record: (True, True),
    lambda: record(train_mode=False): (True, False),
    pause: (False, False),
    lambda: pause(train_mode=True): (False, True),
    train_mode: (None, True),
    predict_mode: (None, False),
    detect_anomaly: (None, None),
}


@examples(50)
@given(st.lists(st.sampled_from(list(SCOPES)), max_size=6), st.booleans())
def test_scopes_nest_and_are_restored(scopes: list[Any], fails: bool) -> None:
    def enter(rest: list[Any], state: tuple[bool, bool]) -> None:
        assert (is_recording(), is_training()) == state
        try:
            if rest:
                recording, training = SCOPES[rest[0]]
                inside = (
                    state[0] if recording is None else recording,
                    state[1] if training is None else training,
                )
                with rest[0]():
                    enter(rest[1:], inside)
            elif fails:
                raise KeyError
        finally:
            assert (is_recording(), is_training()) == state

    with contextlib.suppress(KeyError):
        enter(scopes, (False, False))
    assert (is_recording(), is_training()) == (False, False)


@pytest.mark.parametrize("scopes", [*itertools.product(SCOPES, repeat=2)], ids=range(len(SCOPES) ** 2))
def test_each_scope_within_each_other(scopes: Any) -> None:
    states = [(False, False)]
    with contextlib.ExitStack() as stack:
        for scope in scopes:
            states.append(
                tuple(old if new is None else new for old, new in zip(states[-1], SCOPES[scope], strict=True))
            )
            stack.enter_context(scope())
            assert (is_recording(), is_training()) == states[-1]
    assert (is_recording(), is_training()) == (False, False)


@pytest.mark.parametrize("training", [np.True_, np.False_, 1, 0])
def test_a_mode_is_any_truth_value(training: Any) -> None:
    for scope, recording in ((record, True), (pause, False)):
        for mode in (scope(training), scope(train_mode=training)):
            with train_mode(), mode:
                assert (is_recording(), is_training()) == (recording, bool(training))


def test_all_names_of_autograd_are_exported() -> None:
    public = {name for name, value in vars(autograd).items() if callable(value) and not name.startswith("_")}
    assert set(autograd.__all__) == public


def test_one_scope_may_be_entered_several_times() -> None:
    """Each time what it found is put back, also where it is within itself."""
    for scope, inside in (
        (record(), (True, True)),
        (pause(), (False, False)),
        (predict_mode(), (True, False)),
    ):
        for _ in range(2):
            with record():
                with scope:
                    assert (is_recording(), is_training()) == inside
                    with record(), pause(train_mode=True), scope, scope:
                        assert is_training() == inside[1]
                    assert (is_recording(), is_training()) == inside
                assert (is_recording(), is_training()) == (True, True)
            assert (is_recording(), is_training()) == (False, False)


@pytest.mark.parametrize("first_out", [0, 1])
def test_one_scope_may_be_entered_in_several_threads_and_tasks_at_once(first_out: int) -> None:
    """Each puts back what it found itself, whoever leaves first."""
    scope = pause(train_mode=True)

    async def turns() -> list[tuple[bool, bool]]:
        states, left = [], [asyncio.Event(), asyncio.Event()]

        async def task(number: int) -> None:
            around = record if number else predict_mode
            with around():
                with scope:
                    await asyncio.sleep(0)  # the other one enters
                    states.append((is_recording(), is_training()))
                    if number != first_out:
                        await left[first_out].wait()
                left[number].set()
                states.append((is_recording(), is_training()))
            assert (is_recording(), is_training()) == (False, False)

        await asyncio.gather(task(0), task(1))
        return states

    states = asyncio.run(turns())
    assert states.count((False, True)) == 2
    assert {(True, True), (False, False)} <= set(states)

    barrier = threading.Barrier(2)

    def work(number: int) -> None:
        with (record, predict_mode)[number]():
            with scope:
                barrier.wait()
                if number != first_out:
                    barrier.wait()
            assert (is_recording(), is_training()) == (number == 0, number == 0)
            if number == first_out:
                barrier.wait()
        assert (is_recording(), is_training()) == (False, False)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(2), timeout=60))


def in_thread(work: Callable[[], Any]) -> Any:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join()
    return results[0]


def test_recording_is_local_to_the_thread() -> None:
    with record():
        assert in_thread(is_recording) is False

    def starts_recording() -> bool:
        record().__enter__()
        return is_recording()

    assert in_thread(starts_recording) is True
    assert not is_recording()


def test_recording_is_local_to_the_task() -> None:
    """Two tasks take turns inside their own scopes, and get their own gradients."""

    async def train(x: Tensor, scope: Any, factor: float) -> list[bool]:
        seen = []
        with scope:
            y = x * factor
            for _ in range(5):
                seen.append(is_recording())
                await asyncio.sleep(0)
                y = y * x
        if is_recording():
            y.backward()
        return seen

    async def both() -> Any:
        x, z = leaf(2.0), leaf(3.0)
        seen = await asyncio.gather(train(x, record(), 1.0), train(z, pause(), 1.0))
        assert not is_recording()

        async def differentiate(v: Tensor) -> None:
            with record():
                y = v
                for _ in range(3):
                    await asyncio.sleep(0)
                    y = y * v
            y.backward()

        await asyncio.gather(differentiate(x), differentiate(z))
        return seen, x.grad, z.grad

    seen, one, other = asyncio.run(both())
    assert seen == [[True] * 5, [False] * 5]
    same(one, 4 * 2**3)
    same(other, 4 * 3**3)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (np.exp, "np.exp"),
        (np.multiply.outer, "np.multiply.outer"),
        (scipy.special.xlogy.outer, "scipy.special.xlogy.outer"),
        (np.linalg.norm, "np.linalg.norm"),
        (scipy.special.erf, "scipy.special.erf"),
        (scipy.special.logsumexp, "scipy.special.logsumexp"),
        (operator.getitem, "indexing"),
        (operator.setitem, "setitem"),
        (math.sin, "math.sin"),
    ],
)
def test_functions_are_named_as_they_are_written(function: Any, name: str) -> None:
    assert errors.name_of(function) == name


@pytest.mark.parametrize(
    "module", ["Numbers", "numpy_like", "own.numpy", "__main__", "_own.part", "own._part", "zoo"]
)
def test_functions_of_others_are_named_by_their_public_modules(module: str) -> None:
    def double(x: Any) -> Any:
        return 2 * x

    double.__module__ = module
    public = [part for part in module.split(".") if part[0] != "_"]
    assert errors.name_of(double) == ".".join([*public, "double"])


def test_errors_name_a_ufunc_made_of_a_python_function() -> None:
    def cube(x: float) -> float:
        return x**3

    with record(), pytest.raises(NoDerivativeError, match=r"^cube \(vectorized\) has no derivative"):
        np.frompyfunc(cube, 1, 1)(leaf([1.0, 2.0]))


def test_scipy_is_not_imported_for_those_who_do_not_use_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("scipy.special", "tinygrad_lr.derivatives.special"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    x = leaf([1.0, 2.0])
    with record(), pytest.raises(NoDerivativeError, match=r"np\.packbits has no derivative"):
        np.packbits(x)
    with record(), pytest.raises(LostGradientError, match=r"Call NumPy's functions on the tensor itself"):
        np.asarray(x)
    assert not {"scipy.special", "tinygrad_lr.derivatives.special"} & sys.modules.keys()


@pytest.mark.parametrize("place", [0, 1])
def test_only_one_of_two_results_is_put_somewhere(place: int) -> None:
    x, target = tensor([1.75, -2.5]), leaf([0.0, 0.0])
    with record():
        y = (target * target).sum()
    out: Any = [None, None]
    out[place] = target
    results = np.modf(x, out=tuple(out))
    assert results[place] is target
    assert type(results) is tuple
    assert all(isinstance(result, Tensor) for result in results)
    np.testing.assert_array_equal(results, np.modf(x.array))
    np.testing.assert_array_equal(np.floor(x, out=(None,)), np.floor(x.array))
    with pytest.raises(ModifiedError, match=r"np\.multiply .* was changed in place"):  # the write was noted
        y.backward()


def test_threads_record_and_sweep_at_once() -> None:
    """Each on its own data and all on one shared parameter, in lockstep."""
    w = leaf([1.0, 2.0, 3.0])
    barrier = threading.Barrier(4, timeout=60)
    gradients: dict[int, Any] = {}

    def work(k: int) -> None:
        x = leaf(np.full(3, float(k)))
        for _ in range(20):
            with record():
                y = w * x
                barrier.wait()
                loss = (y * y).sum()
            barrier.wait()
            gradients[k] = autograd.grad(loss, [w, x])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k in range(4):
        same(gradients[k][0], 2.0 * np.array([1, 2, 3]) * k**2)
        same(gradients[k][1], 2.0 * np.array([1, 4, 9]) * k)


def test_each_scope_has_a_tape_of_its_own() -> None:
    """Whatever other threads do meanwhile; and so has a thread in the context of another."""
    x = leaf(3.0)

    def square() -> Tensor:
        with record():
            return x * x

    def in_context(work: Callable[[], Any]) -> Any:
        context = contextvars.copy_context()
        return in_thread(lambda: context.run(work))

    with record():
        made = [x * 1, in_thread(square), x * 2]
        made += in_context(lambda: [x * 3, x * 4, square(), x * 5, in_context(lambda: x * 6), x * 7])
        made += [x * 8, square(), x * 9]
    numbers = [y.node[0] for y in made if y.node]
    tapes = {number: i for i, number in enumerate(dict.fromkeys(numbers))}
    assert [tapes[number] for number in numbers] == [0, 1, 0, 2, 2, 3, 2, 4, 2, 0, 5, 6]


def test_a_thread_in_the_context_of_another_goes_on_with_what_its_own_scopes_made() -> None:
    """On a tape that is newer than theirs, and that it then stays on."""
    x = leaf(3.0)

    def work() -> list[Tensor]:
        y = x * 3
        with record():
            z = x * x
        return [y, z, y * z, np.add(y, z), y * 2]

    with record():
        context = contextvars.copy_context()
        y, z, product, total, after = in_thread(lambda: context.run(work))
    assert y.node[0] < z.node[0] < product.node[0] == total.node[0] == after.node[0]
    autograd.backward([product, total, after])  # of 3x³, 3x + x² and 6x
    same(x.grad, 81 + 9 + 6)


def test_threads_that_take_turns_in_one_context_write_on_tapes_of_their_own() -> None:
    x = leaf(3.0)
    with record():
        context = contextvars.copy_context()
    with concurrent.futures.ThreadPoolExecutor(1) as one, concurrent.futures.ThreadPoolExecutor(1) as other:
        ys = [pool.submit(context.run, lambda: x * 2).result() for pool in (one, other, one, other)]
    for before, after in itertools.pairwise(ys):
        assert before.tape is not after.tape
    for y in ys:
        y.backward()
        same(x.grad, 2)


def test_a_graph_goes_from_thread_to_thread() -> None:
    x = leaf(3.0)

    def double(v: Tensor) -> Tensor:
        with record():
            return v * v

    y = in_thread(lambda: double(x))
    with record():
        z = y * x
        u = in_thread(lambda: double(z))
        total = u * z + y
    in_thread(lambda: total.backward())  # x**9 + x**2
    same(x.grad, 9 * 3**8 + 6)


@pytest.mark.parametrize("join", [np.stack, np.concatenate, lambda parts: np.stack([parts[0], [*parts[1]]])])
def test_parts_from_another_thread_are_put_together(join: Any) -> None:
    x = leaf([3.0, 4.0])

    def cube(v: Tensor) -> Tensor:
        with record():
            return v**3

    with record():
        y = x * x
        joined = join([y, in_thread(lambda: cube(x))])
        total = (joined**2).sum()
    total.backward()  # of x**4 + x**6
    same(x.grad, 4 * x.array**3 + 6 * x.array**5)


def test_a_graph_spans_several_blocks() -> None:
    x = leaf(2.0)
    with record():
        y = x * x
    with record():
        z = y * x
        with pause():
            constant = y * x
        with record(train_mode=False):
            total = z * constant + y
    total.backward()
    same(x.grad, 3 * 4 * 8 + 4)


def test_state_carried_through_many_blocks() -> None:
    """A tape that reads an older tape that reads an older one ...: swept and freed without recursion."""
    x = leaf(1.0)
    state: Tensor = x
    for _ in range(5_000):
        with record():
            state = state + x
    state.backward()
    same(x.grad, 5_001)
    del state


def test_heads_of_many_blocks_are_swept_in_the_order_of_their_tapes() -> None:
    """Each tape is swept once, when all that read it have been; finding the next takes no search."""
    x, heads = leaf(1.0), []
    for i in range(3_000):
        with record():
            heads.append((heads[-2] if i % 3 == 2 else x) * 1)
    autograd.backward(heads)
    same(x.grad, 3_000)


def block(f: Callable[..., Any], *args: Any) -> Any:
    with record():
        return f(*args)


def test_what_arrives_from_several_blocks_is_added_up_for_each_leaf_alone() -> None:
    """The younger block passes one array on to both of them; and no digit is lost on the way."""
    x, w, c = leaf([1.0, 2.0]), leaf([3.0, 4.0]), np.array([5.0, 6.0])
    older, younger = block(lambda: x * c), block(lambda: (x + w) * c)
    of_x, of_w = autograd.grad([older, younger], [x, w])
    same(of_x, 2 * c)
    same(of_w, c)
    x, fine = leaf([1.0], np.float32), np.array([0.75 * 2**-24])  # of which two are more than half a digit
    heads = [block(lambda f=f: x * f) for f in (fine, np.ones(1, np.float32), fine)]
    same(autograd.grad(heads, x), np.array([1 + 2**-23], np.float32))


SELECTING: list[Callable[[Any], Any]] = [
    lambda y: y[1:].sum(),
    lambda y: np.where([False, True], y, 0).sum(),
    lambda y: np.split(y, 2)[1].sum(),
    lambda y: np.max(y + np.zeros((3, 2))) * 1.0,
]


@pytest.mark.parametrize("attached", [False, True])
@pytest.mark.parametrize("between", [False, True])
@pytest.mark.parametrize("users", [*itertools.product(SELECTING, repeat=2)], ids=range(len(SELECTING) ** 2))
def test_what_is_left_out_by_all_later_blocks(users: Any, between: bool, attached: bool) -> None:
    """Of a root, or of what another block made of it; until one of them uses all of it."""
    x = leaf([0.0, 4.0])
    root = block(np.sqrt, x)
    y = block(lambda: root * 1.0) if between else root
    if attached:
        root.attach_grad()
        y.attach_grad()
    heads = [block(user, y) for user in users]
    with np.errstate(divide="ignore"):
        autograd.backward(heads, retain_graph=True)
        same(x.grad, [0, 0.5])
        if attached:
            same(root.grad, [0, 2])
        for whole in (lambda: y * 3, lambda: y[...] * 3):
            with np.errstate(invalid="ignore"):
                autograd.backward([*heads, block(whole)], retain_graph=True)
            same(x.grad, [np.inf, 1.25])


@pytest.mark.parametrize("select", SELECTING, ids=range(len(SELECTING)))
def test_what_a_later_block_leaves_out_is_used_by_its_own(select: Any) -> None:
    x = leaf([0.0, 4.0])
    with record():
        y = np.sqrt(x) * 1.0
        z = y * 3
    with np.errstate(divide="ignore"):
        autograd.backward([z, block(select, y)])
    same(x.grad, [np.inf, 1])


@pytest.mark.usefixtures("no_collector")
def test_a_thread_in_the_context_of_another_keeps_no_tape() -> None:
    """It never leaves the scope that it records in, whatever scopes it has left by an exception."""
    refs = []

    def fail() -> None:
        with record():
            raise ArithmeticError

    def run() -> None:
        x = leaf([1.0, 2.0])
        with record():
            y = x * 2
            z = workers.submit(contextvars.copy_context().run, lambda: np.sum(y * x + x)).result()
        z.backward(retain_graph=True)
        same(x.grad, [5, 9])
        refs.extend([weakref.ref(x), weakref.ref(y)])

    with concurrent.futures.ThreadPoolExecutor(1) as workers:
        with pytest.raises(ArithmeticError):
            workers.submit(fail).result()
        run()
        workers.submit(int).result()  # past the end of the first job
        assert [ref() for ref in refs] == [None, None]


def test_exception_inside_record_leaves_a_usable_engine() -> None:
    x = leaf(2.0)
    with pytest.raises(ValueError, match="matmul"), record():
        _ = (x * 2) @ x
    with record():
        y = x * x
    y.backward()
    same(x.grad, 4)


# ---- backward ---------------------------------------------------------------------------------------------


def test_a_head_of_any_shape_gets_ones() -> None:
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    with record():
        y = x * x
    y.backward()
    same(x.grad, [[2, 4], [6, 8]])


@pytest.mark.parametrize(
    "head", [np.array([3, 4]), [3.0, 4.0], tensor([3.0, 4.0]), np.float32([3, 4])], ids=type
)
def test_a_head_gradient_of_any_kind(head: Any) -> None:
    x = leaf([1.0, 2.0], np.float32)
    with record():
        y = x * x
    y.backward(head)
    same(x.grad, [6, 16])
    assert x.grad.dtype == np.float32


@pytest.mark.parametrize("dtype", [bool, int, np.float16, np.float64])
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_head_gradient_of_any_dtype(dtype: Any, create_graph: bool) -> None:
    """It is taken in the head's own, also where gradients of other ones are added to it in place."""
    x = leaf([1.0, 2.0, 3.0])
    with record():
        y = -x
        z = (y[1:] * 1e6).sum()
        head = y[[0, 1]]
    autograd.backward([head, z], [tensor([1, 0]).astype(dtype), None], create_graph=create_graph)
    same(x.grad, [-1, -1e6, -1e6])


@pytest.mark.parametrize(
    "head",
    [
        None,
        [1, 2],
        np.ones(2, int),
        np.ones(2),
        *(tensor([1, 2], dtype) for dtype in (bool, np.float16, float)),
    ],
    ids=range(7),
)
@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("other", [np.float32, np.float64])
def test_rules_get_gradients_in_the_dtype_of_the_results(head: Any, other: Any, create_graph: bool) -> None:
    """Whatever the head gradient's is, and also in place of a result that nothing was made of."""
    dtypes = []

    def rule(g: Any, y: Any, a: Any) -> Any:
        dtypes.extend(part.dtype for part in g)
        return g[0] + g[1]

    both = differentiable(rule)(lambda a: (a, a.astype(other)))
    x = leaf([1.0, 2.0], np.float32)
    with record():
        y, _ = both(x * 1)
    y.backward(head, create_graph=create_graph)
    assert dtypes == [np.float32, other]


def test_gradients_of_several_dtypes_from_rules_add_up() -> None:
    """To as many digits as the widest of them has."""
    whole = differentiable(lambda g, y, a: np.ones(2, int))(lambda a: a * 1)
    single = differentiable(lambda g, y, a: np.ones(2, np.float32))(lambda a: a * 1)
    for narrow, fine in ((whole, 0.75), (single, 1e-9)):
        for swap in (False, True):
            x = leaf([1.0, 2.0])
            with record():
                y = x * 1
                parts = [y[:] * fine, narrow(y[:]), narrow(y), y * (3 * fine)]
                z = sum(parts[::-1] if swap else parts)
            z.backward()
            np.testing.assert_allclose(x.grad.array, 2 + 4 * fine, rtol=1e-15)
        for narrow_last in (False, True):
            x = leaf([1.0, 2.0])
            with record():
                y = x * 1
                z = y[:] * fine + narrow(y[:]) if narrow_last else narrow(y[:]) + y[:] * fine
            z.backward()
            np.testing.assert_allclose(x.grad.array, 1 + fine, rtol=1e-15)


@pytest.mark.parametrize("head", [1.0, np.ones(3), np.ones((1, 2)), np.ones((2, 1))], ids=np.shape)
def test_a_head_gradient_of_another_shape(head: Any) -> None:
    x = leaf([1.0, 2.0])
    with record():
        y = x * x
    with pytest.raises(ValueError, match=re.escape(f"shape {np.shape(head)}")) as caught:
        y.backward(head)
    assert "`y` (shape (2,)" in str(caught.value)
    y.backward()  # nothing was freed


def test_several_heads() -> None:
    x = leaf([1.0, 2.0])
    with record():
        a = x * x
        b = a.sum() * 3
    autograd.backward([a, b, a], [np.array([1.0, 2.0]), None, None])
    same(x.grad, np.array([1 + 3 + 1, 2 + 3 + 1]) * [2, 4])
    for head_grads in ([None], [None] * 3, np.ones(2)):
        with pytest.raises(ValueError, match="2 heads need a list of 2"):
            autograd.backward([a, b], head_grads)
    with pytest.raises(TypeError, match="head must be a Tensor, not float"):
        autograd.backward([a, 3.0], [None, None])


@pytest.mark.parametrize("later", [lambda y: y[0], lambda y: 2 * y, lambda y: y.sum(), lambda y: y])
@pytest.mark.parametrize("swapped", [False, True])
def test_the_gradient_of_a_head_that_another_depends_on_stays_as_it_is(later: Any, swapped: bool) -> None:
    x, given = leaf([1.0, 2.0]), np.array([1.0, 10.0])
    with record():
        y = x * 3
        z = later(y)
    turn = slice(None, None, -1 if swapped else 1)
    slope = leaf(y.array)
    with record():
        total = later(slope).sum()
    total.backward()
    expected = 3 * (given + slope.grad.array)
    for head in (given, tensor(given)):
        autograd.backward([y, z][turn], [head, None][turn], retain_graph=True)
        same(x.grad, expected)
        same(head, [1.0, 10.0])


def test_a_head_gradient_of_another_dtype_is_differentiated_as_well() -> None:
    x, head = leaf([1.0, 2.0]), leaf(np.array([3.0, 4.0], np.float32))
    with record():
        y = x * x
    slope = autograd.grad(y, x, head, create_graph=True)
    same(slope, [6, 16])
    calls, sweeps = [slope], set()
    while calls:
        made = calls.pop()
        sweeps.add(made.sweep)
        calls += [a for a in made.origin.arguments if isinstance(a, Tensor)] if made.origin else []
    assert sweeps == {0, slope.sweep}  # the cast belongs to it
    of_head = autograd.grad(slope, head)
    assert of_head.dtype == np.float32
    same(of_head, np.array([2, 4], np.float32))


def test_the_graph_can_be_kept() -> None:
    x = leaf(3.0)
    with record():
        y = x * x
    y.backward(retain_graph=True)
    y.backward(retain_graph=True)
    y.backward()
    same(x.grad, 6)
    with pytest.raises(GraphFreedError):
        y.backward()


def test_a_gradient_of_a_gradient_through_backward() -> None:
    x = leaf(3.0)
    with record():
        y = x**4
    y.backward(create_graph=True)
    slope = x.grad
    same(slope, 4 * 27)
    slope.backward(create_graph=True)
    curvature = x.grad
    same(curvature, 12 * 9)
    curvature.backward()
    same(x.grad, 24 * 3)


def test_added_gradients_can_be_differentiated_too() -> None:
    x = leaf(2.0, grad_req="add")
    for _ in range(2):
        with record():
            y = x**3
        y.backward(create_graph=True)
    total = x.grad
    same(total, 24)
    x.attach_grad()
    total.backward()
    same(x.grad, 24)


def test_derivatives_of_every_order() -> None:
    x = leaf(0.5)
    with record():
        y = np.exp(2 * x)
        for k in range(1, 7):
            y = autograd.grad(y, x, create_graph=True)
            np.testing.assert_allclose(y.array, 2**k * np.exp(1.0), rtol=1e-13)


def test_backward_inside_record() -> None:
    x = leaf(3.0)
    with record():
        y = x * x
        y.backward()
        assert x.grad.node is None
        z = x * x * x
        z.backward()
    same(x.grad, 27)


def test_a_branch_that_meets_the_freed_part_says_so() -> None:
    x = leaf(3.0)
    with record():
        shared = x * x
        a, b = shared * 2, shared * 3
    a.backward()
    with pytest.raises(GraphFreedError, match=r"already freed.*retain_graph=True"):
        b.backward()
    same(x.grad, 12)  # nothing was stored by the one that failed


def test_many_uses_of_one_tensor_cost_no_more_than_the_graph_has_calls() -> None:
    x = leaf(1.0)
    with record():
        y: Tensor = x
        for _ in range(60):
            y = y + y
    y.backward()
    same(x.grad, 2.0**60)


def test_independent_parts_of_a_graph_are_not_swept() -> None:
    """A branch with an infinite derivative that the head does not depend on."""
    x = leaf([0.0, 1.0])
    with record():
        unused = np.sqrt(x)
        y = x * 2
    y.backward()
    same(x.grad, [2, 2])
    assert unused.node is not None


# ---- the three errors -------------------------------------------------------------------------------------


def test_computed_outside_record() -> None:
    x = leaf([1.0])
    y = x * 2
    with pytest.raises(
        NotRecordedError, match=r"`y` \(shape \(1,\), dtype float64\).*outside record\(\).*with record"
    ):
        y.backward()
    with record(), pause():
        z = x * 2
    with pytest.raises(NotRecordedError, match=r"pause\(\)"):
        z.backward()


def test_nothing_attached() -> None:
    c = tensor([1.0])
    with record():
        y = c * 2
    asked = tensor(1.0)
    asked.attach_grad("null")
    dropped = leaf(1.0)
    dropped.drop_grad()
    silent = leaf(1.0)
    silent.attach_grad("null")
    made = [asked, dropped, silent, tensor(c), tensor(c, np.float32), tensor(1.0), asarray([1.0])]
    for head in (y, c, y.detach(), *made):
        with pytest.raises(
            NothingAttachedError, match=r"no tensor with an attached gradient.*attach_grad\(\)"
        ):
            head.backward()


@pytest.mark.parametrize("sweep", [Tensor.backward, autograd.backward, lambda y: autograd.backward([y])])
def test_already_freed(sweep: Any) -> None:
    x = leaf([1.0])
    with record():
        y = x * 2
    sweep(y)
    assert x.grad.node is None  # nothing is recorded of it
    for scope, create_graph in itertools.product((contextlib.nullcontext, detect_anomaly), (False, True)):
        with scope(), pytest.raises(GraphFreedError, match=r"already freed.*retain_graph=True"):
            y.backward(create_graph=create_graph)
    assert not issubclass(GraphFreedError, NotRecordedError | NothingAttachedError)
    assert y.origin is None


def test_no_part_of_a_freed_call_has_an_origin() -> None:
    x = leaf([1.0, 2.0])
    with record():
        a, b = np.split(x * 2, 2)
    assert a.origin is not None
    assert b.origin is not None
    a.backward()
    assert (a.origin, b.origin) == (None, None)


def test_plain_numbers_and_copies_are_to_be_had_wherever_nothing_is_recorded() -> None:
    """Inside record() they say what they are, and what to write instead."""
    x = leaf(2.0)
    with record():
        y = x * 3
    ways: list[tuple[Any, str]] = [
        (lambda t: float(t), r"float\(\) or a function of math.*np\.sin, not math\.sin"),
        (lambda t: int(t), r"int\(\).*np\.floor or np\.trunc"),
        (lambda t: complex(t), r"complex\(\).*real tensors"),
        (lambda t: np.asarray(t), r"np\.asarray.*NumPy's functions on the tensor itself"),
        (lambda t: tensor(t), r"tensor\(\) .*Use x\.copy\(\)"),
        (lambda t: copy.copy(t), r"copying or pickling.*Write x\.copy\(\)"),
    ]
    for way, message in ways:
        for scope in (contextlib.nullcontext, train_mode, predict_mode, detect_anomaly):
            with scope():
                assert way(y) == 6
                assert np.unique(y).array == np.fft.fft(y[None]).array == 6  # which have no derivative
        with record():
            with pause(train_mode=True):
                assert way(y) == 6
            with pytest.raises(LostGradientError, match="(?s)" + message):
                way(y)
    into = np.zeros(())
    with train_mode():
        np.copyto(into, y)
        y += 1
    assert (into, y.item()) == (6, 7)


def test_errors_name_the_variable_or_the_attribute() -> None:
    model = SimpleNamespace(weight=tensor([1.0, 2.0]))
    with pytest.raises(NothingAttachedError, match=r"`model\.weight` \(shape \(2,\), dtype float64\)"):
        model.weight.backward()

    class Settings:
        weight = tensor([1.0, 2.0])

    with pytest.raises(NothingAttachedError, match=r"`Settings\.weight` \(shape \(2,\)"):
        Settings.weight.backward()
    module: dict[str, Any] = {"net": model}
    exec("def run():\n    net.weight.backward()", module)
    with pytest.raises(NothingAttachedError, match=r"`net\.weight` \(shape"):
        module["run"]()

    def deep(n: int, *given: Tensor) -> None:
        deep(n - 1, *given) if n else given[0].backward()

    with pytest.raises(NothingAttachedError, match=r"`model\.weight` \(shape"):
        deep(9, model.weight)
    module["shared"] = model.weight
    exec("def run(own):\n    own.backward()", module)
    with pytest.raises(NothingAttachedError, match=r"`own` \(shape"):
        module["run"](model.weight)
    prompt = ModuleType("builtins")  # where Python's prompt keeps the latest result
    prompt._ = tensor(1.0)  # type: ignore[attr-defined]
    for unnamed in (lambda: tensor(1.0), lambda: prompt._):
        with pytest.raises(NothingAttachedError, match=r"^a tensor of shape \(\), dtype float64"):
            unnamed().backward()


def test_the_place_of_an_error_is_outside_of_this_package_only() -> None:
    """A package beside it may have a longer name, as the one that draws has; what it compiles is its own."""
    own = errors.PACKAGE
    files = f"{own[:-1]}_viz{own[-1]}x.py", f"{own}tape.py", "<compiled step>"
    names = {file: {"place": errors.place} for file in files}
    places = []
    for file, scope in names.items():
        exec(compile("def f():\n    return place()", file, "exec"), scope)
        places.append(scope["f"]())
    assert places[0] == f'file "{next(iter(names))}", line 2'
    assert all(f'file "{__file__}"' in place for place in places[1:])


# ---- autograd.grad ----------------------------------------------------------------------------------------


def test_grad_returns_and_stores_nothing() -> None:
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    with record():
        y = x * w
    one = autograd.grad(y, x, retain_graph=True)
    several = autograd.grad([y], [x, w], [np.array([2.0, 3.0])])
    assert isinstance(one, Tensor)
    assert isinstance(several, list)
    same(one, [3, 4])
    same(several[0], [6, 12])
    same(several[1], [2, 6])
    same(x.grad, [0, 0])
    same(w.grad, [0, 0])
    assert one.node is None


@pytest.mark.parametrize("attached", [False, True])
def test_grad_with_respect_to_intermediates_and_the_head(attached: bool) -> None:
    x = leaf(3.0)
    with record():
        y = x * x
        if attached:
            y.attach_grad()
        z = y * x
        gradients = autograd.grad(z, [y, x, z, y])
    assert [float(g) for g in gradients] == [3, 27, 1, 3]
    assert y.grad == 0 if attached else y.grad is None
    gradients[0][...] = 0
    same(gradients[3], 3)
    same(autograd.grad(x, x), 1)


def test_grad_with_respect_to_what_was_computed_in_several_blocks() -> None:
    """And to leaves, whatever becomes of their own gradients."""
    x = leaf(3.0, grad_req="add")
    with record():
        y = x * x
    with record():
        z = y * x
    with record():
        u = z * y * x
    slopes = {y: 2 * 81, z: 27, x: 6 * 3**5, u: 1}  # of u = x**6
    for variables in itertools.permutations(slopes):
        made = autograd.grad(u, variables, retain_graph=True)
        assert [g.item() for g in made] == [slopes[v] for v in variables]
    same(x.grad, 0)


def test_a_change_of_a_number_is_found() -> None:
    x, c = leaf(3.0), tensor(2.0)
    for t in (x, c):
        with record():
            y = x * c
        t -= 1
        with pytest.raises(ModifiedError):
            y.backward()


def test_grad_keeps_the_graph_only_if_asked() -> None:
    x = leaf(3.0)
    with record():
        y = x * x
    same(autograd.grad(y, x, retain_graph=True), 6)
    same(autograd.grad(y, x, create_graph=True), 6)
    same(autograd.grad(y, x), 6)
    with pytest.raises(GraphFreedError):
        autograd.grad(y, x)


def test_grad_inside_record_can_be_used_further() -> None:
    """A gradient penalty."""
    x, w = leaf([1.0, 2.0]), leaf([0.5, -1.0])
    with record():
        y = (w * x * x).sum()
        slope = autograd.grad(y, x, create_graph=True)
        loss = y + (slope * slope).sum()
    loss.backward()
    same(w.grad, x.array**2 + 8 * w.array * x.array**2)
    same(x.grad, 2 * w.array * x.array + 8 * w.array**2 * x.array)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3)])
@pytest.mark.parametrize("inside", [False, True])
def test_a_gradient_that_broadcasts_keeps_its_graph(shape: tuple[int, ...], inside: bool) -> None:
    x, scale = leaf(np.ones(shape)), leaf(2.0)
    with record():
        y = x.sum() * scale  # whose gradient by x is one number for all elements
        if inside:
            slope = autograd.grad(y, x, create_graph=True)
    if not inside:
        slope = autograd.grad(y, x, create_graph=True)
    with record():
        total = (slope * slope).sum()
    total.backward()
    same(slope, np.full(shape, 2.0))
    same(scale.grad, 4 * x.size)


def test_grad_without_create_graph_is_a_constant_inside_record() -> None:
    x = leaf(2.0)
    with record():
        slope = autograd.grad(x**3, x)
        y = x * slope
    y.backward()
    same(x.grad, 12)


def test_unreached_variables_are_named() -> None:
    x, w = leaf([1.0]), leaf([1.0, 2.0])
    with record():
        y = x * 2
        other = w * 2
    with pytest.raises(UnreachedError, match=r"variables\[1\], `w` \(shape \(2,\), dtype float64\)"):
        autograd.grad(y, [x, w], retain_graph=True)
    with pytest.raises(UnreachedError, match=r"variables\[0\], `other`"):
        autograd.grad(y, other, retain_graph=True)
    constant = tensor([1.0])
    with pytest.raises(UnreachedError, match=r"`constant`.*attach"):
        autograd.grad(y, constant, retain_graph=True)
    same(autograd.grad(y, x), 2)
    same(x.grad, 0)


def test_no_gradient_by_a_tensor_for_which_none_is_asked() -> None:
    x, silent = leaf([1.0, 2.0]), leaf(3.0, grad_req="null")
    with record():
        y = x * silent
    for variables in (silent, [x, silent]):
        with pytest.raises(UnreachedError, match=r"`silent` .*is a constant: attach it first"):
            autograd.grad(y, variables)
    same(autograd.grad(y, x), [3, 3])


def test_heads_may_be_in_a_tuple_or_none_at_all() -> None:
    x = leaf([1.0, 2.0])
    with record():
        y, z = 2 * x, 3 * x
    autograd.backward((y, z), retain_graph=True)
    same(x.grad, [5, 5])
    for head_grads in ((None, [1.0, 10.0]), [None, (1.0, 10.0)]):
        autograd.backward((y, z), head_grads, retain_graph=True)
        same(x.grad, [5, 32])
    for heads in ([], ()):
        autograd.backward(heads)
        same(x.grad, [5, 32])
        with pytest.raises(UnreachedError):
            autograd.grad(heads, x)
        with pytest.raises(ValueError, match="0 heads need a list of 0"):
            autograd.backward(heads, [None])


def test_grad_of_something_else_than_a_tensor() -> None:
    x = leaf(1.0)
    with pytest.raises(TypeError, match="head must be a Tensor, not float"):
        autograd.grad(3.0, x)


def test_two_calls_of_grad_may_ask_for_the_same_tensor_at_once() -> None:
    """As in two threads; here one is made by a rule of what the other differentiates."""
    inner: list[Tensor | None] = []

    def rule(g: Any, y: Any, a: Any) -> Any:
        if not inner:
            inner.append(None)  # begun
            inner[0] = autograd.grad(z, x2, retain_graph=True)
        return g * 3

    tripled = differentiable(rule)(lambda a: a * 3)
    x = leaf(2.0)
    with record():
        x2 = x * x
        z = tripled(x2)
    same(autograd.grad(z, x2, retain_graph=True), 3)
    same(inner[0], 3)


def test_a_failed_grad_leaves_no_listener_behind() -> None:
    x = leaf(3.0)
    with record():
        y = x * x
        unreached = y * 2
        z = y * 3
    with pytest.raises(UnreachedError):
        autograd.grad(z, [y, unreached], retain_graph=True)
    z.backward()
    assert y.grad is None
    same(x.grad, 18)


# ---- in place ---------------------------------------------------------------------------------------------

IN_PLACE = {
    operator.iadd: "+",
    operator.isub: "-",
    operator.imul: "*",
    operator.itruediv: "/",
    operator.ifloordiv: "//",
    operator.imod: "%",
    operator.ipow: "**",
    operator.imatmul: "@",
}
in_place = pytest.mark.parametrize("change", IN_PLACE, ids=lambda f: f.__name__)


@in_place
@pytest.mark.parametrize(
    "other", [np.array([[1.0, 2.0], [0.5, 3.0]]), tensor([[1.0, 2.0], [0.5, 3.0]])], ids=type
)
def test_in_place_outside_record_writes_the_same_buffer(change: Any, other: Any) -> None:
    data = np.array([[1.5, 2.5], [3.5, 4.5]])
    x = asarray(data)
    x.attach_grad("add")
    before, attachment = x, x.grad
    expected = change(data.copy(), np.asarray(other))
    x = change(x, other)
    assert x is before
    assert x.array is data
    assert x.grad is attachment
    assert x.is_leaf
    same(data, expected)
    with record():
        y = (x * x).sum()
    y.backward()
    same(x.grad, 2 * expected)


@in_place
@pytest.mark.parametrize("scope", [contextlib.nullcontext, record])
@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_in_place_with_whatever_an_array_takes(change: Any, scope: Any) -> None:
    rows = [[1.0, 2.0], [0.5, 3.0]]
    for other in (
        rows,
        (*rows,),
        np.matrix(rows),
        np.ma.masked_array(rows),
        [tensor(row) for row in rows],
        2,
    ):
        data = np.array([[1.5, 2.5], [3.5, 4.5]])
        x = asarray(data.copy())
        array = x.array
        try:
            expected = change(data, unwrapped(other) if isinstance(other, list) else other)
        except ValueError:  # a matrix product with a number
            with scope(), pytest.raises(ValueError, match="matmul"):
                change(x, other)
            continue
        with scope():
            assert change(x, other) is x
        assert x.array is array
        same(x, expected)


@in_place
def test_in_place_inside_record_says_what_to_write(change: Any) -> None:
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    with record():
        y = x * 2
        for target in (x, y):
            with pytest.raises(InPlaceError, match=re.escape(f"`x = x {IN_PLACE[change]} ...`")) as caught:
                change(target, np.eye(2))
            assert f"`{'x' if target is x else 'y'}`" in str(caught.value)
    same(x, [[1, 2], [3, 4]])
    y.backward()
    same(x.grad, np.full((2, 2), 2))


@in_place
def test_in_place_on_a_constant_inside_record(change: Any) -> None:
    x = leaf(np.eye(2))
    constant = tensor([[1.5, 2.5], [3.5, 4.5]])
    expected = change(constant.array.copy(), np.eye(2) + 1)
    with record():
        constant = change(constant, np.eye(2) + 1)
        y = x * constant
        same(constant, expected)
        with pytest.raises(LostGradientError, match="would lose its gradient"):
            change(constant, x)
    y.backward()
    same(x.grad, expected)


def test_setitem() -> None:
    data = np.zeros((2, 3))
    x = asarray(data)
    x.attach_grad()
    x[0] = 1
    x[x == 0] = 2
    x[tensor([1]), tensor([2])] = tensor([5.0])
    same(data, [[1, 1, 1], [2, 2, 5]])
    constant = tensor([1.0, 2.0])
    with record():
        with pytest.raises(InPlaceError, match=r"`x`.*np\.where"):
            x[0] = 3
        with pytest.raises(LostGradientError, match=r"`constant`.*np\.where"):
            constant[0] = x[0, 0]
        constant[0] = 7
    same(constant, [7, 2])
    with record(), pause():
        x[0] = 3
        constant[1] = x[0, 0]
    same(x, [[3, 3, 3], [2, 2, 5]])
    same(constant, [7, 3])


def test_the_training_step_of_the_book() -> None:
    w, x = leaf([1.0, -1.0], np.float32), np.float32([[1, 2], [3, 4]])
    data = w.array
    for _ in range(3):
        with record():
            loss = ((x @ w) ** 2).mean()
        loss.backward()
        expected = w.array - np.float32(0.1) * (x.T @ (x @ w.array))
        w -= 0.1 * w.grad
        np.testing.assert_allclose(w.array, expected, rtol=1e-6)
    assert w.array is data
    assert (w.dtype, w.grad.dtype, loss.dtype) == (np.float32,) * 3


def test_in_place_on_a_result_of_no_dimensions() -> None:
    """NumPy hands those out as immutable scalars."""
    total = tensor([1.0, 2.0]).sum()
    kept = total
    total += 1
    total[...] = total * 2
    assert total is kept
    same(total, 8)
    total.fill(3)
    same(total, 3)
    for dtype in (bool, np.int8, np.uint64, np.float16, np.float32, np.longdouble, complex):
        total = tensor([0, 1]).astype(dtype)[1]
        kept = total
        total *= total
        total[()] = total == 0
        np.add(total, total, out=total)
        assert total is kept
        assert total.dtype == dtype
        same(total, 0)


def test_a_change_of_a_result_of_no_dimensions_is_found() -> None:
    """Though the scalar itself cannot change."""
    x = leaf([1.0, 2.0])
    with record():
        y = x.sum()
    y *= 5
    with record():
        z = y * y
    with pytest.raises(ModifiedError, match=r"the result of np.sum"):
        z.backward()


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_change_of_a_leaf_that_was_a_scalar(create_graph: bool) -> None:
    """The gradient is that of the value that was recorded."""
    x = tensor([1.0, 2.0]).sum()
    x.attach_grad()
    with record():
        y = x * x
    x -= 1
    y.backward(create_graph=create_graph)
    slope = x.grad
    same(slope, 6)
    if create_graph:
        slope.backward()
        same(x.grad, 2)


def test_in_place_keeps_shape_and_dtype() -> None:
    x = tensor([1.0, 2.0], np.float32)
    x += np.float64(1)
    assert x.dtype == np.float32
    with pytest.raises(ValueError, match="broadcast"):
        x += np.ones((3, 2))
    integers = tensor([1, 2])
    with pytest.raises(TypeError, match="same_kind"):
        integers += 0.5
    same(integers, [1, 2])


WRITES: dict[str, Callable[[Any], Any]] = {
    "t += 1": lambda t: operator.iadd(t, 1),
    "t += t": lambda t: operator.iadd(t, t),
    "t -= 1": lambda t: operator.isub(t, 1),
    "t /= 2": lambda t: operator.itruediv(t, 2),
    "t //= 0.05": lambda t: operator.ifloordiv(t, 0.05),
    "t %= 0.07": lambda t: operator.imod(t, 0.07),
    "t **= 2": lambda t: operator.ipow(t, 2),
    "t @= ones": lambda t: operator.imatmul(t, np.ones((2, 2))),
    "t[0] = 9": lambda t: t.__setitem__(0, 9),
    "t.fill(9)": lambda t: t.fill(9),
    "view": lambda t: operator.imul(t[1:], 3),
    "element": lambda t: operator.imul(t[1, 1, None], 3),
    "transposed": lambda t: operator.iadd(t.T, 1),
    "reshaped": lambda t: t.reshape(-1).__setitem__(0, 9),
    "view of a view": lambda t: t[0][::-1].__setitem__(0, 9),
    "detached": lambda t: operator.iadd(t.detach(), 1),
    "np.add": lambda t: np.add(t, 1, out=t),
    "np.add, tuple": lambda t: np.add(t, 1, out=(t,)),
    "np.add, position": lambda t: np.add(t, 1, t),
    "np.clip": lambda t: np.clip(t, 0, 0.15, out=t),
    "np.dot": lambda t: np.dot(np.ones((2, 2)), np.ones((2, 2)), out=t),
    "np.dot, position": lambda t: np.dot(tensor(np.ones((2, 2))), np.ones((2, 2)), t),
    "np.sum": lambda t: np.sum(np.ones((2, 2)), axis=0, out=t[0]),
    "np.sum, position": lambda t: np.sum(tensor(np.ones((2, 2))), 0, None, t[0]),
    "np.copyto": lambda t: np.copyto(t, 0),
    "np.copyto, keywords": lambda t: np.copyto(dst=t, src=0),
    "np.put": lambda t: np.put(t, [0], 9),
    "np.place": lambda t: np.place(t, np.eye(2, dtype=bool), [9]),
    "np.putmask": lambda t: np.putmask(t, np.eye(2, dtype=bool), 9),
    "np.fill_diagonal": lambda t: np.fill_diagonal(t, 9),
    "np.put_along_axis": lambda t: np.put_along_axis(t, np.zeros((1, 2), int), 9, 0),
    "np.put, keywords": lambda t: np.put(a=t, ind=[0], v=9),
    "np.place, keywords": lambda t: np.place(arr=t, mask=np.eye(2, dtype=bool), vals=[9]),
    "np.fill_diagonal, keywords": lambda t: np.fill_diagonal(a=t, val=9),
    "np.put_along_axis, keywords": lambda t: np.put_along_axis(
        arr=t, indices=np.zeros((1, 2), int), values=9, axis=0
    ),
    "np.add.at": lambda t: np.add.at(t, (0, 0), 9),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("which", ["leaf", "constant", "result"])
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_change_between_record_and_backward_is_found(write: Any, which: str, create_graph: bool) -> None:
    x, c = leaf([[0.5, 0.6], [0.7, 0.8]]), tensor([[0.1, 0.2], [0.3, 0.4]])
    with record():
        y = np.exp(x * c)
    target = {"leaf": x, "constant": c, "result": y}[which]
    before = target.array.copy()
    write(target)
    assert not np.array_equal(before, target.array)
    with pytest.raises(ModifiedError, match=r"changed in place.*after\s+it was recorded.*`x = x - step`"):
        y.backward(create_graph=create_graph)
    same(x.grad, np.zeros((2, 2)))
    with record():
        again = np.exp(x * c)
    again.backward()
    np.testing.assert_allclose(x.grad.array, c.array * np.exp(x.array * c.array))


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_writing_a_tracked_tensor_inside_record_raises(write: Any) -> None:
    x = leaf([[0.5, 0.6], [0.7, 0.8]])
    before = x.array.copy()
    with record():
        y = x * 2
        if write is WRITES["detached"]:  # a constant may be written, but it is found out
            write(x)
            with pytest.raises(ModifiedError):
                y.backward()
            return
        with pytest.raises((InPlaceError, LostGradientError)):
            write(x)
    same(x, before)
    y.backward()


def test_changes_of_other_tensors_do_not_matter() -> None:
    x, c, other = leaf([1.0, 2.0]), tensor([3.0, 4.0]), tensor([5.0, 6.0])
    c += 1
    x -= 1
    with record():
        y = x * c
        other += 1
        copied = c.copy()
        copied[0] = 9
    other[0] = 3
    y.backward()
    same(x.grad, [4, 5])


def test_a_change_between_two_uses_is_found() -> None:
    x, c = leaf([1.0, 2.0]), tensor([3.0, 4.0])
    with record():
        y = x * c
        c += 1
        z = y * c
    with pytest.raises(ModifiedError, match=r"argument 1 of np\.multiply \(shape \(2,\)\)"):
        z.backward()


@pytest.mark.parametrize(
    "view",
    [
        lambda c: np.broadcast_to(c[::2], (3, 2)),
        lambda c: np.lib.stride_tricks.sliding_window_view(c, 2),
        lambda c: asarray(np.lib.stride_tricks.as_strided(c.array, (3, 2), (8, 8))),
        lambda c: asarray(np.lib.stride_tricks.as_strided(c.array[...], (3, 2), (8, 8))),
        lambda c: asarray(np.asarray(c.array.view(np.memmap))[None, :2]),
    ],
)
def test_a_change_through_a_view_made_before_recording_is_found(view: Any) -> None:
    c = tensor(np.arange(4.0))
    x, seen = leaf(np.ones((3, 2))), view(c)
    with record():
        y = x * seen
    c[0] = 7
    with pytest.raises(ModifiedError):
        y.backward()


@pytest.mark.parametrize("number", [0, 1, 7])
def test_a_change_to_one_array_of_a_list_is_found(number: int) -> None:
    a, others = leaf([1.0]), [tensor([2.0]) for _ in range(8)]
    with record():
        y = np.concatenate([a, *others])
    others[number] += 1
    with pytest.raises(ModifiedError):
        y.backward()


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_change_to_one_array_of_nested_lists_is_found(number: int) -> None:
    """Also where only another list has a gradient."""
    a, others = leaf([1.0]), [tensor([2.0]) for _ in range(3)]
    with record():
        y = np.block([[[a], [others[0]]], [[others[1]], [others[2]]]])
    changed = others[number]
    changed += 1
    with pytest.raises(ModifiedError):
        y.backward()


HOWS: dict[str, Callable[[Any], Any]] = {
    "attached": lambda y: (y.attach_grad(), y.sum())[1],
    "behind a selection": lambda y: y[:1].sum(),
    "behind several results": lambda y: np.split(y, 2)[0],
    "behind a list": lambda y: np.concatenate([y, y]),
    "before another block": lambda y: carried_on(y),
    "before a written number": lambda y: written_after(y.sum()),
}


def carried_on(y: Any) -> Any:
    with record():
        return y * 3


def written_after(y: Any) -> Any:
    constant = tensor(3.0)
    constant += 1
    return y * constant


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("scope", [contextlib.nullcontext, detect_anomaly])
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_change_is_found_wherever_the_call_is(how: str, scope: Any, create_graph: bool) -> None:
    x, c = leaf([1.0, 2.0]), tensor([3.0, 4.0])
    with scope():
        with record():
            y = x * c
            z = HOWS[how](y)
        c -= 1
        with pytest.raises(ModifiedError, match=r"argument 1 of np\.multiply"):
            z.backward(create_graph=create_graph)


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_change_of_what_a_gradient_was_made_of_is_found(create_graph: bool) -> None:
    x, head = leaf([1.0, 2.0]), tensor([3.0, 4.0])
    with record():
        y = x**2
    slope = autograd.grad(y, x, head, create_graph=True)
    head -= 1
    with pytest.raises(ModifiedError, match=r"argument \d of np\.multiply"):
        slope.backward(create_graph=create_graph)


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_a_change_to_one_of_many_arguments_is_found(number: int) -> None:
    """Whichever it is; the rule may read it or not."""
    x, given = leaf([1.0, 2.0, 3.0]), [tensor(a) for a in ([0.5, 0.5], [1.0, 3.0], [5.0, 6.0], 0.0)]
    with record():
        y = np.interp(given[0] * x[0], *given[1:])
    changed = given[number]
    changed -= 0.125
    with pytest.raises(ModifiedError, match=r"np\.(multiply|interp) .* was changed in place"):
        y.backward()


@pytest.mark.parametrize("number", [0, 1, 5])
def test_a_change_to_one_of_many_results_is_found(number: int) -> None:
    x = leaf([1.0, 2.0])
    with record():
        grids = np.meshgrid(*[x] * 6)
        y = np.sum(grids[3])
    changed = grids[number]
    changed *= 2
    with pytest.raises(ModifiedError):
        y.backward()


def test_a_change_to_a_result_that_no_gradient_reaches_is_found() -> None:
    """The rule of one result may read the others."""
    x = leaf([[2.0, 1.0], [1.0, 3.0]])
    with record():
        values, vectors = np.linalg.eigh(x)
    vectors *= 2
    with pytest.raises(ModifiedError, match=r"the result of np\.linalg\.eigh"):
        values.backward()


def test_memory_that_is_not_an_array_s_own_can_be_written() -> None:
    x = asarray(np.asarray(SimpleNamespace(__array_interface__=np.zeros(2).__array_interface__)))
    y = asarray(np.frombuffer(bytearray(16)))
    x += 1
    y += 1
    same(y, [1, 1])


def test_an_array_that_is_freed_and_made_again_is_not_taken_for_the_old_one() -> None:
    """A new array can get the address of an old one that was written."""
    x = leaf([1.0, 2.0])
    for _ in range(50):
        old = tensor([1.0, 2.0])
        old += 1
        with record():
            y = x * tensor([3.0, 4.0])
        del old
        y.backward()
        same(x.grad, [3, 4])


def test_a_plain_array_is_a_copy_only_if_it_has_to_be() -> None:
    x = tensor([1.0, 2.0])
    assert np.shares_memory(np.asarray(x, float), x.array)
    assert not np.shares_memory(np.array(x), x.array)
    assert np.shares_memory(np.asarray(x, copy=False), x.array)
    assert not any(np.asarray(x, **copy).flags.writeable for copy in ({}, {"copy": None}, {"copy": False}))
    assert not np.shares_memory(np.asarray(x, float, copy=True), x.array)
    for kind in (np.asarray, np.array):
        with pytest.raises(ValueError, match="copy"):  # as of an array
            kind(x, np.float32, copy=False)
    for dtype in (np.float16, np.float32, np.float64):  # whatever NumPy makes of what it gets
        assert {x.astype(own).__array__(dtype).dtype for own in "efdi"} == {np.dtype(dtype)}


def test_numpy_is_a_read_only_view() -> None:
    x = leaf([1.0, 2.0])
    view = x.numpy()
    assert np.shares_memory(view, x.array)
    assert np.shares_memory(x.asnumpy(), x.array)
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 3
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(x)[0] = 3
    x -= 1
    same(view, [0, 1])
    own = np.array(x)
    own[0] = 9
    same(x, [0, 1])


# ---- no silent loss ---------------------------------------------------------------------------------------

LOSSES: dict[str, Callable[[Tensor], Any]] = {
    "np.asarray": np.asarray,
    "np.array": np.array,
    "np.array, dtype": lambda t: np.array(t, np.float32),
    "np.array of a list": lambda t: np.array([t, t]),
    "np.array of nested lists": lambda t: np.array([[t], [1.0]]),
    "array of objects": lambda t: np.array([t, None], dtype=object),
    "np.float64": np.float64,
    "float": float,
    "int": int,
    "complex": complex,
    "math.sin": math.sin,
    "math.isfinite": math.isfinite,
    "np.full": lambda t: np.full(3, t),
    "np.sum of a list": lambda t: np.sum([t, t]),
    "np.random": lambda t: np.random.normal(t, 1),
    "tensor": tensor,
    "tensor of a list": lambda t: tensor([t, 1.0]),
    "asarray of a list": lambda t: asarray([t, t]),
    "out=": lambda t: np.add(t, 1, out=np.zeros(())),
    "out= a constant": lambda t: np.add(t, 1, out=tensor(0.0)),
    "out= by position": lambda t: np.dot(t, 2.0, tensor(0.0)),
    "array +=": lambda t: operator.iadd(np.zeros(3), t),
    "constant +=": lambda t: operator.iadd(tensor(np.zeros(3)), t),
    "constant[0] =": lambda t: tensor(np.zeros(3)).__setitem__(0, t),
    "constant[:2] = a list": lambda t: tensor(np.zeros(3)).__setitem__(slice(2), [1.0, t]),
    "np.copyto": lambda t: np.copyto(np.zeros(3), t),
    "np.copyto a constant": lambda t: np.copyto(tensor(np.zeros(3)), t),
    "np.copyto by keywords": lambda t: np.copyto(dst=tensor(np.zeros(3)), src=t),
    "np.put a constant": lambda t: np.put(tensor(np.zeros(3)), [0], t),
    "np.add.at a constant": lambda t: np.add.at(tensor(np.zeros(3)), [0], t),
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "pickle": pickle.dumps,
}


@pytest.mark.parametrize("lose", LOSSES.values(), ids=LOSSES)
def test_no_gradient_is_lost_behind_the_users_back(lose: Any) -> None:
    x = leaf(0.5)
    with record():
        y = x * 2
        with pytest.raises((LostGradientError, NoDerivativeError)):
            lose(y)
    y.backward()
    same(x.grad, 2)


@pytest.mark.parametrize("lose", LOSSES.values(), ids=LOSSES)
def test_what_would_lose_a_gradient_is_allowed_where_there_is_none(lose: Any) -> None:
    x = leaf(0.5)
    with record():
        y = x * 2
        lose(y.detach())
        with pause():
            lose(y)
    lose(y)
    lose(tensor(0.5))


@pytest.mark.parametrize("kind", [np.matrix, np.ma.masked_array])
@pytest.mark.parametrize("f", [np.multiply, operator.mul, lambda x, m: m * x, lambda x, m: np.stack([x, m])])
@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_arrays_with_operators_of_their_own_are_refused(kind: Any, f: Any) -> None:
    """`*` is another function for them than for arrays."""
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    with record(), pytest.raises((TypeError, LostGradientError), match=r"pass np.asarray\(|np.asarray would"):
        f(x, kind([[1.0, 2.0], [3.0, 4.0]]))


@pytest.mark.parametrize("f", [np.multiply, operator.mul, lambda x, m: m * x, lambda x, m: np.stack([x, m])])
def test_arrays_of_a_subclass_take_part(f: Any, tmp_path: Path) -> None:
    """Such as one in a file, that has the operators of all arrays; and what is written into it is noticed."""
    m = np.memmap(tmp_path / "m", float, "w+", shape=(2, 3))
    m[...] = [[1, 2, 3], [4, 5, 6]]
    x = leaf([[2.0, 3.0], [4.0, 5.0]])
    for view in (m[:, :2], m[:, 1:][:, ::-1][::-1]):
        with record():
            y = f(x, view)
        y.backward(retain_graph=True)
        same(x.grad, view if y.ndim == 2 else 1)
        constant = asarray(m)
        constant += 1
        with pytest.raises(ModifiedError):
            y.backward()


@pytest.mark.parametrize("f", [operator.mul, operator.matmul, lambda x, s: s * x, lambda x, s: s @ x])
def test_a_sparse_matrix_does_not_lose_a_gradient(f: Any) -> None:
    sparse = scipy.sparse.csr_matrix([[1.0, 2.0], [3.0, 4.0]])
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    with record(), pytest.raises(LostGradientError):
        f(x, sparse)
    same(f(x.detach(), sparse), f(x.array, sparse))


def test_an_element_of_an_array_cannot_be_a_tracked_tensor() -> None:
    """NumPy turns the error into its own, and keeps ours as the cause."""
    x, array = leaf(0.5), np.zeros(2)
    with record(), pytest.raises((LostGradientError, ValueError)):
        array[0] = x
    same(array, [0, 0])


def test_the_error_names_the_tensor_and_the_mend() -> None:
    weight = leaf([1.0])
    with record():
        with pytest.raises(LostGradientError, match=r"`weight`.*x\.detach\(\), x\.numpy\(\) or x\.item\(\)"):
            np.asarray(weight)
        with pytest.raises(LostGradientError, match=r"np\.sin, not math\.sin"):
            math.sin(weight[0])
        with pytest.raises(LostGradientError, match=r"np\.stack"):
            np.array([weight, weight])


@pytest.mark.parametrize(
    ("function", "instead"),
    [
        (np.unique, r"Index the tensor with what np\.unique\(x\.detach\(\), return_index=True\) returns\.$"),
        (np.histogram_bin_edges, r"Counts jump: pass x\.detach\(\), or write np\.bincount"),
        (np.sort_complex, r"It makes complex numbers, and only real ones have derivatives here\.$"),
        *[
            (f, r"complex numbers.*: write its sums of products with np\.cos and np\.sin\.$")
            for f in (np.fft.fft, np.fft.rfft, np.fft.ihfft, np.fft.ifft2, np.fft.irfftn)
        ],
    ],
)
def test_a_function_without_a_row_says_what_to_write_instead(function: Any, instead: str) -> None:
    x = leaf([[0.5, 0.25]])
    with record(), pytest.raises(NoDerivativeError, match=r"^np\.\S+ has no derivative.*`x`.* " + instead):
        function(x)


def test_the_sums_of_products_that_are_the_fourier_transform() -> None:
    """What the error says to write is the same."""
    x = np.random.default_rng(0).normal(size=5)
    angles = 2 * np.pi * np.outer(np.arange(5), np.arange(5)) / 5
    same_to_rounding = np.cos(angles) @ x - 1j * np.sin(angles) @ x
    np.testing.assert_allclose(np.fft.fft(x), same_to_rounding, atol=1e-12)


@pytest.mark.parametrize(
    ("tell", "told"),
    [
        (np.array2string, "[0.5  0.25]"),
        (np.array_repr, "array([0.5 , 0.25])"),
        (np.array_str, "[0.5  0.25]"),
        (np.common_type, np.float64),
        (np.min_scalar_type, np.dtype(float)),
        (lambda x: np.can_cast(x, int), False),
        (lambda x: np.shares_memory(x, x.detach()[1:]), True),
        (lambda x: np.may_share_memory(x, np.zeros(2)), False),
    ],
)
def test_what_only_tells_of_a_tensor_needs_no_gradient(tell: Any, told: Any) -> None:
    with record():
        assert tell(leaf([0.5, 0.25])) == told


def test_tensors_are_saved_as_arrays_are(tmp_path: Path) -> None:
    x = leaf([0.5, 0.25])
    with record():
        np.save(tmp_path / "x.npy", x)
        np.savetxt(tmp_path / "x.txt", x)
        np.savez(tmp_path / "x.npz", x=x)
        np.savez_compressed(tmp_path / "small.npz", x=x)
    for read in (
        np.load(tmp_path / "x.npy"),
        np.loadtxt(tmp_path / "x.txt"),
        np.load(tmp_path / "x.npz")["x"],
        np.load(tmp_path / "small.npz")["x"],
    ):
        np.testing.assert_array_equal(read, x.array)


@pytest.mark.parametrize("ufunc", [np.logical_and, np.logical_or, np.logical_xor])
def test_methods_of_logical_functions_are_constants(ufunc: Any) -> None:
    x = leaf([1.0, 0.0, 2.0])
    for method in (ufunc.reduce, ufunc.accumulate, lambda x: ufunc.outer(x, [0.0, 1.0])):
        with record():
            y = method(x)
        assert y.node is None
        np.testing.assert_array_equal(y.array, method(x.array))


def test_constants_may_be_written_anywhere() -> None:
    x, into = leaf([0.5, np.inf]), np.zeros(2, int)
    with record():
        assert np.isfinite(x, into) is into
        np.testing.assert_array_equal(into, [1, 0])
        with pytest.raises(LostInWriteError, match=r"writing a value that depends on `x`"):
            np.exp(x, np.zeros(2))
        with pytest.raises(
            InPlaceError, match=r"`x` \(shape \(2,\), dtype float64\) is being differentiated"
        ):
            np.floor(x, out=x)


@pytest.mark.parametrize(
    "write",
    [
        lambda x, out: np.median(x, out=out),
        lambda x, out: np.median(x, None, out),
        lambda x, out: np.nanmedian(x, out=out),
        lambda x, out: np.quantile(x, 0.5, out=out),
        lambda x, out: np.percentile(x, 50, None, out),
        lambda x, out: np.nanquantile(x, 0.5, out=out),
        lambda x, out: np.nanpercentile(x, 50, out=out),
        lambda x, out: np.sum(x, None, None, out),
        lambda x, out: np.add.reduce(x, out=out),
        lambda x, out: np.mean(x, out=(out,)[0]),
        lambda x, out: np.add.reduceat(x, [0], out=np.reshape(out, 1)),
        lambda x, out: np.maximum.reduceat(x, [0], 0, None, np.reshape(out, 1)),
    ],
)
def test_functions_that_may_write_into_their_argument_write_into_out_as_others(write: Any) -> None:
    x, out = leaf([3.0, 1.0]), np.zeros(())
    with record(), pytest.raises(LostInWriteError, match=r"writing a value that depends on `x`"):
        write(x, out)
    same(out, 0)
    write(x, out)
    assert out in (2, 3, 4)


def test_attributes_that_a_tensor_has_not() -> None:
    x = tensor([1.0, 2.0])
    for array in (x.array, np.ones((2, 3), np.float32), np.ones(3, np.clongdouble), np.ones((), bool)):
        assert (tensor(array).nbytes, tensor(array).itemsize) == (array.nbytes, array.itemsize)
    assert not hasattr(Tensor, "__getattr__")  # with which Python looks for each attribute in a slower way
    for name, message in {
        "sort": r"a Tensor has no attribute 'sort': write np\.sort\(x, \.\.\.\)$",
        "tobytes": r"a Tensor has no attribute 'tobytes': write x\.numpy\(\)\.tobytes$",
        "strides": r"a Tensor has no attribute 'strides': write x\.numpy\(\)\.strides$",
        "flat": r"a Tensor has no attribute 'flat': write x\.ravel\(\)$",
        "byteswap": r"a Tensor has no attribute 'byteswap': write x\.numpy\(\)\.byteswap$",
        "detech": r"'Tensor' object has no attribute 'detech'",
        "__array_struct__": r"'Tensor' object has no attribute '__array_struct__'",
    }.items():
        with pytest.raises(AttributeError, match=message) as caught:
            getattr(x, name)
        assert (caught.value.name, caught.value.obj is x) == (name, True)  # for "Did you mean: 'detach'?"


def test_a_cast_can_be_refused() -> None:
    x = leaf([1.0, 2.5])
    with pytest.raises(TypeError, match="Cannot cast"):
        x.astype(np.float32, casting="safe")
    with record():
        y = x.astype(np.float32, casting="same_kind")
    y.backward()
    np.testing.assert_array_equal(x.grad.array, [1, 1])


@pytest.mark.parametrize("wanted", [np.float16, np.float32, np.float64])
def test_a_cast_without_a_copy_is_a_cast(wanted: Any) -> None:
    x = leaf(np.ones(2, np.float32))
    y = x.astype(wanted, copy=False)
    assert y.dtype == wanted
    assert (y is x) == (wanted is np.float32)


def test_spans_of_time_are_no_numbers_to_differentiate() -> None:
    x, spans = leaf([1.0, 2.0]), np.array([3, 4], "m8[s]")
    with record():
        products = [x * spans, spans * x, x * spans[0], spans[0] * x]
    for y in products:
        with pytest.raises(NothingAttachedError):
            y.backward()


@pytest.mark.parametrize(
    "function",
    [
        np.hypot.reduce,
        lambda t: np.hypot.accumulate(t),
    ],
)
def test_a_function_without_a_row_raises_when_recorded(function: Any) -> None:
    x = leaf([0.5, 0.25])
    with record():
        with pytest.raises(
            NoDerivativeError, match=r"`[xt]` \(shape \(2,\).*derivative\(function, rule\).*x\.detach\(\)"
        ):
            function(x)
        function(x.detach())
        function(tensor([0.5]))
    got, expected = function(x), function(x.array)
    for a, b in zip(*([got], [expected]) if isinstance(got, Tensor) else (got, expected), strict=True):
        assert isinstance(a, Tensor)
        same(a, b)


def test_lists_in_lists_are_arrays_with_tensors_in_them() -> None:
    x, y = leaf(0.5), leaf([2.0, 3.0])
    with record():
        of_numbers = y * [[x, 1.0], (2 * x, x)]
        of_rows = np.subtract([[y, [1.0, 2.0]], [(x, x), y]], of_numbers)
        total = np.sum(of_numbers * of_rows)
    total.backward()
    same(of_numbers, [[1, 3], [2, 1.5]])
    same(of_rows, [[[1, 0], [-1, 0.5]], [[-0.5, -2.5], [0, 1.5]]])
    same(x.grad, -22)
    same(y.grad, [-2.75, -4.5])


def test_a_gradient_with_its_graph_keeps_the_graph() -> None:
    """Whatever `retain_graph` says."""

    def cube(x: Any) -> Any:
        with record():
            return (x * x) * x

    x = leaf(3.0)
    slope = autograd.grad(cube(x), x, retain_graph=False, create_graph=True)
    same(autograd.grad(slope, x), 18)
    cube(x).backward(retain_graph=False, create_graph=True)
    same(x.grad, 27)
    same(autograd.grad(x.grad, x), 18)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (np.corrcoef, "x"),
        (partial(np.polyadd, a2=[1.0, 2.0]), "a1"),
        (partial(np.apply_along_axis, np.sum, 0), "arr"),
        (partial(np.apply_over_axes, np.sum, axes=0), "a"),
        (partial(np.piecewise, condlist=[[True, False]], funclist=[np.negative, np.square]), "x"),
    ],
    ids=["corrcoef", "polyadd", "apply_along_axis", "apply_over_axes", "piecewise"],
)
def test_a_function_of_others_is_differentiated_with_its_arguments_by_name(function: Any, name: str) -> None:
    x = leaf([0.5, 0.25])
    with record():
        y = np.sum(function(**{name: 2 * x}))
    y.backward()


@pytest.mark.parametrize(
    "function", [np.exp, np.square, np.multiply, np.power, np.maximum, np.arctan2, np.floor]
)
@pytest.mark.parametrize(
    "options",
    [{"dtype": np.float64}, {"casting": "same_kind"}, {"order": "F"}, {"subok": False}, {"signature": "d"}],
    ids=lambda options: next(iter(options)),
)
def test_options_of_ufuncs_leave_the_gradient_as_it_is(function: Any, options: Any) -> None:
    """Also of its own gradient, and of a gradient that a selection left something out of."""
    if "signature" in options:
        options = {"signature": (np.float64,) * function.nargs}
    x, y = (leaf(np.array(a, np.float32)) for a in ([0.5, 2.0], [1.5, 0.25]))
    arguments = (x, y)[: function.nin]
    made = []
    for extra in ({}, options):
        with record():
            z = function(*arguments, **extra) + x
            kept = np.sum(z) + np.sum(np.where([True, False], z, 0))
            slope = autograd.grad(kept, x, create_graph=True)
            total = np.sum(slope * x) + 0 * kept
        total.backward()
        made.append([slope.array, x.grad.array, y.grad.array])
    for one, other in zip(*made, strict=True):
        assert other.dtype == np.float32
        np.testing.assert_allclose(one, other, rtol=1e-5)


def masked_out(x: Any, mask: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's own, of elements that nobody computed
        return np.exp(x, where=np.array(mask))


def test_an_option_or_argument_without_a_rule_raises_when_recorded() -> None:
    x, low = leaf([0.5, 0.25]), leaf(0.3)

    @differentiable(lambda g, y, a, b=0, c=0, d=0, axis=None: g, None, ...)
    def first(
        a: Any, b: Any, c: Any = 0, d: Any = 0, axis: Any = None, order: Any = None, where: Any = True
    ) -> Any:
        return a + 0 * b + 0 * c

    with record():
        with pytest.raises(OptionError, match=r"first has .*called with order=. Leave it away"):
            first(x, 1, order=True)
        for options in ({"order": 1, "where": 1}, {"axis": 0, "order": 1}, {"order": 1, "axis": 0}):
            with pytest.raises(OptionError, match=r"first has .*called with order=. Leave it away"):
                first(x, 1, **options)
        with pytest.raises(NothingAttachedError):
            first(x.detach(), low, axis=1).backward()  # of which the rule is None
        for c in (low, 2 * low):
            for call in (lambda c=c: first(x, 1, c), lambda c=c: first(x, b=1, c=c)):
                with pytest.raises(NoRuleError, match=r"first has .*with respect to its argument (2|c)"):
                    call()
            for last in (c, [c], ((1.0, c),)):
                with pytest.raises(NoRuleError, match=r"first .*argument 3"):
                    first(x, 1, 0, last)
        for mask in ([True, False], np.ones((2, 2), bool)):  # by which x is broadcast
            with pytest.raises(OptionError, match=r"np\.exp .*where=. Write np\.where"):
                masked_out(x, mask)
        np.exp(x, where=True)  # the default: nothing is left out
        with pytest.raises((AutogradError, TypeError)):
            np.reshape(x, (low, 2))
        y = first(x, low, axis=0)  # None says: constant in it
    y.backward()
    same(x.grad, 1)
    same(low.grad, 0)


def test_what_leaves_the_graph_explicitly_is_allowed() -> None:
    x = leaf([3.0])
    with record():
        y = x * 2
        assert y.item() == 6
        assert y.numpy().tolist() == y.tolist() == [6]
        assert y.detach().node is None
        assert np.shares_memory(y.detach().array, y.array)
        assert bool(y > 5)
        if y > 5 and not y.sum() < 0:
            y = y * y.detach()
    y.backward()
    same(x.grad, 12)


def test_complex_numbers_are_refused_rather_than_wrong() -> None:
    x = leaf([1.0, 2.0])
    with record():
        for function in (lambda t: t * 1j, lambda t: np.multiply(1j, t), lambda t: t.astype(complex)):
            with pytest.raises((AutogradError, TypeError), match="complex"):
                function(x)
        with pytest.raises(errors.ComplexResultError, match="only real numbers"):
            np.linalg.lstsq(x[:, None], np.array([1j, 2.0]))  # whose residuals are real
    same(x * 1j, [1j, 2j])


# ---- constants --------------------------------------------------------------------------------------------

CONSTANTS: list[Callable[[Any], Any]] = [
    *(
        lambda t, f=f: f(t, 1)
        for f in (np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal)
    ),
    *(np.sign, np.floor, np.ceil, np.trunc, np.rint, np.round, np.isfinite, np.isnan, np.isinf, np.signbit),
    *(np.argmax, np.argmin, np.all, np.any, np.count_nonzero, np.zeros_like, np.ones_like),
    lambda t: t // 1,
    lambda t: t.astype(int),
    lambda t: np.frexp(t)[1],
    lambda t: np.logical_and(t > 0, t < 1),
    lambda t: ~(t > 0) | (t < 1) & (t > 2) ^ (t == 1),
    lambda t: np.piecewise(t, [t > 0], [1.0, 2.0]),
    lambda t: np.where(t, 1.0, 2.0),
    lambda t: np.apply_along_axis(np.sign, 0, t),
]


@pytest.mark.parametrize("function", CONSTANTS)
def test_piecewise_constant_functions_are_constants(function: Any) -> None:
    x = leaf([0.5, -1.5, 1.0])
    with record():
        constant = function(x)
        y = x * constant
    of_array = function(x.array)
    if isinstance(of_array, int):  # NumPy 2.0 counts in numbers of Python's
        assert type(constant) is int
    else:
        assert isinstance(constant, Tensor)
        assert isinstance(constant.array, (np.ndarray, np.generic))
        assert constant.node is None
        with pytest.raises(NothingAttachedError):
            constant.backward()
    same(constant, of_array)
    y.backward()
    same(x.grad, np.broadcast_to(function(x.array), 3).astype(float))


def test_facts_of_an_array_are_plain() -> None:
    x = leaf(np.ones((2, 3)))
    with record():
        assert (np.shape(x), np.ndim(x), np.size(x)) == ((2, 3), 2, 6)
        assert (x.shape, x.ndim, x.size, x.dtype, len(x)) == ((2, 3), 2, 6, float, 2)
        assert np.result_type(x, np.float32) is np.dtype(float)


def test_selecting_by_a_mask_or_an_argmax() -> None:
    x = leaf([3.0, 1.0, 4.0])
    with record():
        y = x[x > 2].sum() + x[np.argmax(x)] + x[tensor([0, 0])].sum()
    y.backward()
    same(x.grad, [3, 0, 2])


# ---- detect_anomaly ---------------------------------------------------------------------------------------


def line() -> int:
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


def test_detect_anomaly_names_the_operation_and_the_line() -> None:
    x = leaf([0.0, 4.0])
    with detect_anomaly(), record():
        y = x * 2
        root, here = np.sqrt(y), line()
        z = (root * 3).sum()
        with (
            np.errstate(divide="ignore"),
            pytest.raises(AnomalyError, match=r"np\.sqrt.*infinite in 1 of 2 elements") as caught,
        ):
            z.backward()
    assert f'file "{__file__}", line {here}' in str(caught.value)
    same(x.grad, [0, 0])


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("train", [False, True])
def test_detect_anomaly_stays_on_in_every_other_scope(scope: Any, train: bool) -> None:
    with detect_anomaly(), scope():
        x = leaf(0.0)
        with (
            record(train_mode=train),
            np.errstate(divide="ignore"),
            pytest.raises(AnomalyError, match=r"np\.sqrt, called at file"),
        ):
            np.sqrt(x).backward()


def test_packages_whose_names_begin_alike_are_not_this_one() -> None:
    """Their lines are the caller's."""
    file = f"{Path(errors.__file__).parent}_and_more/app.py"
    x, space = leaf(0.0), {"np": np}
    exec(compile("def root(x):\n    return np.sqrt(x)", file, "exec"), space)
    with np.errstate(divide="ignore"), detect_anomaly(), record(), pytest.raises(AnomalyError) as caught:
        space["root"](x).backward()  # type: ignore[operator]
    assert f'file "{file}", line 2' in str(caught.value)


def test_detect_anomaly_lets_gradients_of_several_shapes_pass() -> None:
    x, w = leaf([1.0, 2.0]), leaf([[3.0]])
    with detect_anomaly(), record():
        y = np.concatenate([x, w], axis=None)
        y.backward()
    same(x.grad, [1, 1])
    same(w.grad, [[1]])


@pytest.mark.parametrize(
    "operation",
    [
        lambda x: 1 / x,
        lambda x: x**0.5,
        lambda x: x / x,
        lambda x: np.ones(2) / x,
        lambda x: x.__rtruediv__(2),
        lambda x: divmod(1.0, x)[1],
    ],
)
def test_detect_anomaly_names_the_line_of_operators(operation: Any) -> None:
    x = leaf([0.0, 4.0])
    with np.errstate(divide="ignore", invalid="ignore"), detect_anomaly(), record():
        y = operation(x)
        with pytest.raises(AnomalyError, match=r"np\.(divide|power|divmod)") as caught:
            y.backward()
    assert f'file "{__file__}", line {operation.__code__.co_firstlineno}' in str(caught.value)


def test_detect_anomaly_tells_nan_from_infinite() -> None:
    x = leaf([0.0])
    with detect_anomaly(), record():
        y = np.sqrt(x) * 0
        with (
            np.errstate(invalid="ignore"),
            pytest.raises(
                AnomalyError, match=r"np\.sqrt.*NaN in 1 of 1.*0 met an infinite.*np\.where\(x > 0, x"
            ),
        ):
            y.backward()


def test_detect_anomaly_counts_the_elements_of_the_gradient() -> None:
    x = leaf([0.0, np.inf, 2.0, 1.0])
    with detect_anomaly(), record(), np.errstate(invalid="ignore"):
        y = np.prod(x)
        with pytest.raises(AnomalyError, match=r"np\.prod.*is NaN in \d of 4 elements"):
            y.backward()


@pytest.mark.parametrize("dtype", ["e", "f", "d"])
def test_detect_anomaly_takes_large_numbers_for_finite(dtype: str) -> None:
    x = leaf(np.ones(3, dtype))
    with detect_anomaly(), record():
        y = x * np.full(3, np.finfo(dtype).max)
        y.backward()
    same(x.grad, np.full(3, np.finfo(dtype).max))


def test_detect_anomaly_knows_only_of_elementwise_functions_what_an_element_met() -> None:
    x = leaf([1.0, 2.0])
    with detect_anomaly(), record():
        y = np.flip(x)
        with pytest.raises(AnomalyError, match=r"np\.flip.*is NaN in 1 of 2") as caught:
            y.backward(np.array([np.nan, 0.0]))
    assert "met an infinite" not in str(caught.value)


@pytest.mark.parametrize(
    ("at", "head", "met"),
    [
        ([0.0, 4.0], [0.0, 1.0], True),
        ([-1.0, 0.0], [1.0, 0.0], True),
        ([-1.0, 4.0], [1.0, 0.0], False),  # the root was NaN already
        ([-1.0, 4.0], [-1.0, 0.0], False),
        ([-1.0, 4.0], 1.0, False),
        ([-1.0, 4.0], 0.0, True),
        ([0.0, 4.0], [1.0, 0.0], False),  # infinite
    ],
)
@pytest.mark.parametrize("selected", [False, True])
def test_detect_anomaly_blames_a_gradient_of_zero_only_where_it_made_nan(
    at: list[float], head: Any, met: bool, selected: bool
) -> None:
    """Also of what a selection has left something out of."""
    x = leaf(at)
    with np.errstate(all="ignore"), detect_anomaly(), record():
        y = np.sqrt(np.concatenate([x, x])[1::-1][::-1] * 1 if selected else x)
        y = y[...] if selected else y
        y = y.sum() if isinstance(head, float) else y
        with pytest.raises(AnomalyError, match=r"np\.sqrt.* in [12] of 2 .*output shape \(2,\)") as caught:
            y.backward(head)
    assert ("met an infinite" in str(caught.value)) == met


HEADS_WITH_NAN: dict[str, Callable[[Any, Any], Any]] = {
    "concatenate": lambda x, w: np.concatenate([x, w]),
    "concatenate behind a constant": lambda x, w: np.concatenate([[1.0, 2.0], x, w])[2:],
    "block": lambda x, w: np.block([[x], [w, 1.0]]),
    "split": lambda x, w: np.split(x, [1])[0],
    "modf": lambda x, w: np.modf(x)[0],
    "eigh": lambda x, w: np.linalg.eigh(np.outer(x, x) + np.diag([1.0, 2.0]))[0],
    "lstsq": lambda x, w: np.linalg.lstsq(np.eye(2), x)[0],
}


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("name", HEADS_WITH_NAN)
def test_detect_anomaly_names_a_call_of_or_with_several_arrays(name: str, create_graph: bool) -> None:
    """They may have several shapes."""
    x, w = leaf([0.5, 2.0]), leaf([3.0])
    with detect_anomaly(), record():
        y, here = HEADS_WITH_NAN[name](x, w), HEADS_WITH_NAN[name].__code__.co_firstlineno
        head = np.zeros(y.shape)
        head.flat[0] = np.nan
        with pytest.raises(AnomalyError, match=r"is NaN in \d of \d elements") as caught:
            y.backward(head, create_graph=create_graph)
    assert f'file "{__file__}", line {here}' in str(caught.value)


def test_detect_anomaly_does_not_ask_what_constants_get() -> None:
    x, head = leaf([0.5]), np.array([[np.inf, 1.0], [np.nan, 1.0]])
    with detect_anomaly(), record():
        y = np.block([[np.ones(1), x], [1.0, x]])
        y.backward(head)
    same(x.grad, 2)


@pytest.mark.parametrize(
    "step",
    [
        lambda x: np.sqrt(x * 1)[:1],
        lambda x: np.where([True, False], np.sqrt(x * 1), 0),
        lambda x: np.sqrt(x) + x,
        lambda x: x + np.sqrt(x),
    ],
)
def test_detect_anomaly_names_what_made_it_behind_a_selection_and_beside_others(step: Any) -> None:
    x = leaf([0.0, 4.0])
    with detect_anomaly(), record(), np.errstate(divide="ignore"):
        y = step(x)
        with pytest.raises(AnomalyError, match=r"np\.sqrt.*infinite in 1 of 2"):
            y.backward()


def test_detect_anomaly_blames_no_gradient_of_zero_beside_what_is_summed() -> None:
    x, w = tensor([np.nan, 5.0]), leaf([1.0])
    with detect_anomaly(), record():
        y = w * x
        with pytest.raises(AnomalyError, match=r"np\.multiply.* is NaN in 1 of 1") as caught:
            y.backward(np.array([1.0, 0.0]))
    assert "met an infinite" not in str(caught.value)


def test_detect_anomaly_around_backward_only_asks_for_more() -> None:
    x = leaf([0.0])
    with record():
        y = np.sqrt(x)
    with (
        detect_anomaly(),
        np.errstate(divide="ignore"),
        pytest.raises(AnomalyError, match=r"detect_anomaly\(\) too"),
    ):
        y.backward()


def test_detect_anomaly_inside_record_tells_the_line_as_well() -> None:
    """Also where the scope outside has recorded before: calls from then on are on a tape of their own."""
    x = leaf([0.0])
    with record():
        y = x * 1
        with detect_anomaly(), np.errstate(divide="ignore"):
            z = np.sqrt(y)
            with pytest.raises(AnomalyError, match=r"np\.sqrt, called at"):
                z.backward()


def test_detect_anomaly_changes_nothing_else() -> None:
    x = leaf([1.0, 4.0])
    with detect_anomaly(), record():
        y = np.sqrt(x)
        y.backward(create_graph=True)
    same(x.grad, [0.5, 0.25])
    with record(), np.errstate(divide="ignore"):
        np.sqrt(leaf(0.0)).backward()  # not asked to detect anything


# ---- depth, memory, garbage -------------------------------------------------------------------------------


def test_a_long_chain_is_recorded_swept_and_freed_without_recursion() -> None:
    x = leaf(1.0)
    with record():
        y: Tensor = x
        for _ in range(60_000):
            y = y + 1.0
    y.backward(retain_graph=True)
    same(x.grad, 1)
    y.backward()
    del y
    with record():
        y = x
        for _ in range(30_000):
            y = y * 1.0
    del y  # freed without a sweep


def test_a_long_chain_to_second_order() -> None:
    x = leaf(1.0)
    with record():
        y = x * x
        for _ in range(5_000):
            y = y * 1.0
    slope = autograd.grad(y, x, create_graph=True)
    same(autograd.grad(slope, x), 2)


@pytest.fixture
def no_collector() -> Iterator[None]:
    """What is freed in such a test is freed by reference counting."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.usefixtures("no_collector")
def test_backward_frees_the_graph_as_it_goes() -> None:
    """The arrays are gone although the loss and the data are still there."""
    x = leaf(np.ones(10))
    with record():
        a = np.exp(x)
        b = a * 2
        loss = b.sum()
    arrays = [weakref.ref(t.array) for t in (a, b)]
    del a, b
    assert all(ref() is not None for ref in arrays)
    loss.backward()
    assert [ref() for ref in arrays] == [None, None]
    same(loss, 20 * np.e)


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("attached", [False, True])
@pytest.mark.parametrize(
    "step",
    [
        lambda a: np.concatenate([a, 2 * a]),
        lambda a: np.block([[a], [2 * a]]),
        lambda a: np.split(a, 2)[1],
        lambda a: np.modf(a)[0],
        lambda a: np.average(np.ones(10), weights=a),
        lambda a: np.where(a > 0, a, 0),
        lambda a: a[1:] * a[:-1],
    ],
)
def test_backward_frees_what_every_kind_of_call_has_kept(step: Any, attached: bool) -> None:
    x = leaf(np.ones(10))
    with record():
        a = np.exp(x)
        loss = np.sum(step(a) * 1.0)
    if attached:
        a.attach_grad()
    ref = weakref.ref(a.array)
    del a
    assert ref() is not None
    loss.backward()
    assert ref() is None


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize(("count", "reached"), [(1, 0), (2, 0), (2, 1), (4, 0), (4, 2), (4, 3)])
def test_backward_frees_all_results_of_a_call(count: int, reached: int) -> None:
    """Also those that no gradient has reached."""
    x = leaf(np.ones(8))
    with record():
        parts = np.split(x * 1.0, count)
        loss = np.sum(parts[reached])
    refs = [weakref.ref(part.array) for part in parts]
    del parts
    assert all(ref() is not None for ref in refs)
    loss.backward()
    assert all(ref() is None for ref in refs)


@pytest.mark.usefixtures("no_collector")
def test_an_array_that_was_written_dies_with_its_tensor() -> None:
    """The clock of writes keeps neither it nor its number, which another array may have later."""
    known = len(CLOCK.last)
    x = tensor([1.0, 2.0])
    x -= 1
    x[0] = 5
    ref = weakref.ref(x.array)
    assert len(CLOCK.last) == known + 1
    del x
    assert ref() is None
    assert len(CLOCK.last) == known


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("inner", SCOPES)
@pytest.mark.parametrize("fails", [False, True])
def test_a_tape_ends_with_its_scope(inner: Any, fails: bool) -> None:
    """Nothing remembers it for a scope that may never come, whatever other scopes were within."""
    x = leaf([1.0, 2.0])
    ref = weakref.ref(x)
    with record():
        with contextlib.suppress(KeyError), inner():
            y = x * 2
            if fails:
                raise KeyError
        y = x * 2
    del x, y
    assert ref() is None


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("how", ["dropped", "exception", "grad", "create_graph", "retain", "in record"])
def test_a_graph_dies_with_its_last_tensor(how: str) -> None:
    refs: list[Any] = []

    def run() -> None:
        x = leaf(np.ones(10))
        with contextlib.suppress(KeyError), record():
            a = np.exp(x)
            b = a * 2
            refs.extend(weakref.ref(t.array) for t in (x, a, b))
            loss = b.sum()
            if how == "exception":
                raise KeyError
            if how == "in record":
                loss.backward()
        if how == "grad":
            autograd.grad(loss, x)
        if how == "create_graph":
            autograd.grad(loss, x, create_graph=True)
        if how == "retain":
            loss.backward(retain_graph=True)

    run()
    assert [ref() for ref in refs] == [None] * 3


@pytest.mark.usefixtures("no_collector")
def test_tensors_that_are_not_used_die_inside_record_too_after_backward() -> None:
    x = leaf(np.ones(10))
    with record():
        refs = []
        for _ in range(3):
            a = x * 2
            refs.append(weakref.ref(a.array))
            a.sum().backward()
        del a
        assert [ref() for ref in refs] == [None] * 3


def test_a_training_step_leaves_nothing_to_the_collector(no_collector: None) -> None:
    w, b = leaf(np.ones((3, 1))), leaf(np.zeros(1))
    data, target = np.ones((4, 3)), tensor(np.ones((4, 1)))
    gc.collect()
    for _ in range(3):
        with record():
            hidden = np.maximum(data @ w + b, 0)
            hidden.attach_grad()
            loss = ((np.concatenate([hidden, target]) - 1) ** 2).mean()
            penalty = autograd.grad(loss, w, retain_graph=True)
        loss.backward()
        with pause():
            w -= 0.1 * w.grad
            b -= 0.1 * (b.grad + penalty.sum())
    del loss, hidden, penalty
    assert gc.collect() == 0


# ---- tensors as objects -----------------------------------------------------------------------------------


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
def test_copies_keep_values_and_attachment_and_share_nothing(duplicate: Any) -> None:
    x = leaf([1.0, 2.0], np.float32, "add")
    twin = duplicate(x)
    assert twin.dtype == np.float32
    assert twin.is_leaf
    for times in (1, 2):
        with record():
            y = (x * x).sum() + (twin * 3).sum()
        y.backward()
        same(x.grad, [2 * times, 4 * times])
        same(twin.grad, [3 * times, 3 * times])
    twin += 1
    same(x, [1, 2])
    constant = duplicate(tensor([1, 2]))
    assert constant.grad is None
    same(constant, [1, 2])
    weight = Parameter(np.ones(2))
    weight.wd_mult = 0.5
    weight.attach_grad("add")
    assert duplicate(weight).attachment.grad_req == "add"
    assert (type(twin), type(duplicate(weight)), duplicate(weight).wd_mult) == (Tensor, Parameter, 0.5)


def test_tensors_are_hashed_by_identity() -> None:
    a, b = tensor([1.0]), tensor([1.0])
    assert len({a, b, a}) == 2
    assert {a: "a", b: "b"}[b] == "b"


def test_iteration_and_len() -> None:
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    with record():
        first, second = x
        y = (first * second).sum()
    y.backward()
    same(x.grad, [[3, 4], [1, 2]])
    assert len(x) == 2
    with pytest.raises(TypeError, match="0-d"):
        len(tensor(1.0))
    with pytest.raises(TypeError, match="0-d"):
        iter(tensor(1.0))


def test_truth_value() -> None:
    assert tensor(1.0)
    assert not tensor([0])
    with pytest.raises(ValueError, match="ambiguous"):
        bool(tensor([1.0, 2.0]))


def test_numbers() -> None:
    assert [10, 20, 30][tensor(1)] == 20
    assert list(range(tensor(3))) == [0, 1, 2]
    assert (float(tensor([2.5])[0]), int(tensor(2.5)), complex(tensor(2.5))) == (2.5, 2, 2.5 + 0j)
    with pytest.raises(TypeError):
        [10, 20][tensor(1.0)]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (1.5, "tensor(1.5)"),
        (3, "tensor(3)"),
        ([1.0, 2.0], "tensor([1., 2.])"),
        ([], "tensor([], dtype=float64)"),
        (np.float32([1.5]), "tensor([1.5], dtype=float32)"),
        ([[1.0, 2.0], [3.0, 4.0]], "tensor([[1., 2.],\n        [3., 4.]])"),
    ],
    ids=str,
)
def test_printing(data: Any, text: str) -> None:
    assert repr(tensor(data)) == text
    assert str(tensor(data)) == str(np.array(data))


@pytest.mark.parametrize("shape", [(2, 2, 2), (2, 1, 3, 1), (1, 40), (3, 0)])
def test_the_lines_of_a_printed_tensor_are_those_of_an_array(shape: tuple[int, ...]) -> None:
    a = np.arange(float(np.prod(shape))).reshape(shape)
    text = f"tensor({np.array2string(a, separator=', ', prefix='tensor(')}"
    assert repr(tensor(a)).startswith(text)


def test_a_result_of_no_dimensions_prints_as_a_tensor() -> None:
    total = leaf([1.0, 2.0]).sum()
    assert (repr(total), f"{total:.2f}", f"{total}") == ("tensor(3.)", "3.00", "3.0")


def test_gradients_compare_with_numpy_testing() -> None:
    x = leaf([1.0, 2.0])
    with record():
        y = x * x
    y.backward()
    np.testing.assert_array_equal(x.grad, [2, 4])
    np.testing.assert_allclose(x.grad, [2, 4])
    assert np.allclose(x.grad, [2, 4])
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(x.grad, [2, 5])


def test_tensor_copies_and_asarray_shares() -> None:
    data = np.zeros(2)
    assert not np.shares_memory(tensor(data).array, data)
    assert asarray(data).array is data
    x = leaf([1.0])
    assert asarray(x) is asarray(x, float) is x
    weight = Parameter(np.ones(2))
    assert asarray(weight) is asarray(weight, float) is weight
    assert tensor(x).node is None
    assert asarray(x, np.float32).dtype == tensor(x, np.float32).dtype == np.float32
    with record():
        asarray(x, np.float32).backward([3.0])
    same(x.grad, [3])


@pytest.mark.parametrize("make", [tensor, asarray])
@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_what_is_in_a_tensor_is_a_plain_array(make: Any) -> None:
    """Whatever it is made of."""
    for data in (
        np.matrix([[1.0, 2.0]]),
        np.ma.masked_array([1.0, 2.0], [False, True]),
        np.array([1.0, 2.0]).view(type("Own", (np.ndarray,), {})),
        np.float32(1.5),
        (1, 2),
        range(3),
    ):
        for dtype in (None, np.float32, int):
            made = make(data, dtype)
            assert type(made.array) is np.ndarray
            np.testing.assert_array_equal(made.array, np.array(data, dtype), strict=True)
            assert made.node is None
    data = np.arange(2.0)
    assert np.shares_memory(make(data, float).array, data) == (make is asarray)


def test_a_detached_tensor_is_another() -> None:
    """So that what is attached to the one is not to the other."""
    for x in (tensor([1.0, 2.0]), leaf([1.0, 2.0]), Parameter(np.array([1.0, 2.0]))):
        grad = x.grad
        y = x.detach()
        y.attach_grad()
        assert y is not x
        assert y.array is x.array
        assert x.grad is grad
        assert type(y) is Tensor


# ---- rows with several results, and rows of a user's own --------------------------------------------------


@pytest.fixture
def modf(monkeypatch: pytest.MonkeyPatch) -> None:
    """np.modf: fractional and whole part."""
    monkeypatch.setitem(DERIVATIVES, np.modf, Derivative(np.modf, (lambda g, y, x: g[0] + 0 * g[1],)))


@pytest.mark.usefixtures("modf")
def test_several_results() -> None:
    x = leaf([1.25, 2.5])
    with record():
        fraction, whole = np.modf(x)
        both = fraction * fraction + whole
    slope = autograd.grad(both, x, create_graph=True)
    same(slope, [0.5, 1])
    same(autograd.grad(slope, x, retain_graph=True), [2, 2])
    same(autograd.grad(fraction, x, retain_graph=True), [1, 1])
    same(autograd.grad(whole, x), [0, 0])


@pytest.mark.usefixtures("modf")
def test_one_of_several_results_freed() -> None:
    x = leaf([1.25, 2.5])
    with record():
        fraction, whole = np.modf(x)
    fraction.backward()
    same(x.grad, [1, 1])
    with pytest.raises(GraphFreedError):
        whole.backward()


def test_results_in_a_named_tuple(monkeypatch: pytest.MonkeyPatch) -> None:
    def rule(g: Any, y: Any, a: Any) -> Any:
        return np.expand_dims(g[1], (-1, -2)) * np.matrix_transpose(np.linalg.inv(a))

    monkeypatch.setitem(DERIVATIVES, np.linalg.slogdet, Derivative(np.linalg.slogdet, (rule,)))
    matrix = np.array([[2.0, 1.0], [0.0, 4.0]])
    x = leaf(matrix)
    with record():
        result = np.linalg.slogdet(x)
        y = result.logabsdet * 3
    y.backward()
    np.testing.assert_allclose(x.grad.array, 3 * np.linalg.inv(matrix).T)


def test_a_function_of_ones_own() -> None:
    @differentiable(lambda g, y, x, slope=0.1: g * np.where(x > 0, 1, slope), None)
    def leaky(x: Any, slope: float = 0.1) -> Any:
        assert isinstance(x, np.ndarray)
        return np.where(x > 0, x, slope * x)

    x = leaf([-1.0, 2.0])
    with record():
        y = leaky(x, slope=0.5) + leaky(x=x)
    y.backward()
    same(x.grad, [0.6, 2])
    assert isinstance(leaky(np.array([1.0])), np.ndarray)
    del DERIVATIVES[leaky]


def test_a_function_of_ones_own_behind_a_selection() -> None:
    """Nothing is known of where its rule moves elements: it gets the gradient, zeros and all."""
    own = differentiable(lambda g, y, x: np.sum(g, 0) / (2 * np.sqrt(x)))(
        lambda x: np.stack([np.sqrt(x)] * 3)
    )
    x = leaf([0.0, 4.0])
    with record():
        y = own(x)[:2]
    with np.errstate(divide="ignore"):
        y.backward()
    same(x.grad, [np.inf, 0.5])
    del DERIVATIVES[own]


@pytest.mark.parametrize("kind", ["twice", b"twice", range(1, 3), [1, 2]], ids=str)
def test_a_text_is_no_list_of_numbers(kind: Any) -> None:
    """Whatever else there is among the arguments; a list is one."""
    given = []

    @differentiable(..., lambda g, y, kind, x: 2 * g)
    def own(kind: Any, x: Any) -> Any:
        given.append(kind)
        return 2 * x

    x = leaf(1.0)
    with record():
        y = np.sum(own(kind, [x, 2.0]) + own(kind=kind, x=[3.0, x]))
    y.backward()
    same(x.grad, 4)
    of_text = isinstance(kind, (str, bytes))
    assert [type(value) for value in given] == [type(kind) if of_text else np.ndarray] * 2
    del DERIVATIVES[own]


def test_a_function_of_ones_own_that_has_no_derivative() -> None:
    """Its arguments have names all the same."""

    @differentiable(None)
    def steps(x: Any, n: int = 1) -> Any:
        return np.floor(x * n)

    x = leaf([0.5, 1.75])
    with record():
        y = steps(x, n=2) * x
        z = steps(n=2, x=x) * x
    autograd.backward([y, z])
    same(x.grad, [2, 6])
    del DERIVATIVES[steps]


def test_a_function_of_no_module_is_named_as_it_is() -> None:
    space: dict[str, Any] = {}
    exec("def of_arrays(x): return asarray(x) + 0", {"asarray": np.asarray}, space)
    plain = space["of_arrays"]
    plain.__module__ = None
    assert errors.name_of(plain) == "of_arrays"
    own = differentiable(lambda g, y, x: g)(plain)
    with record(), pytest.raises(LostGradientError, match=r"^of_arrays .*what `differentiable` returned"):
        plain(leaf([1.0]))
    del DERIVATIVES[own]


def test_a_plain_function_is_not_made_differentiable_by_being_constant() -> None:
    def of_arrays(x: Any) -> Any:
        return np.floor(np.asarray(x))

    constant(of_arrays)
    with (
        record(),
        pytest.raises(LostGradientError, match=r"np\.asarray .*Call NumPy's functions"),
    ):
        of_arrays(leaf([1.0]))
    del DERIVATIVES[of_arrays]


def test_what_writes_into_its_argument_does_so_with_another_rule_too() -> None:
    @differentiable(lambda g, y, x, copy=True: g)
    def doubled(x: Any, copy: bool = True) -> Any:
        return np.multiply(x, 2, out=None if copy else x)

    x = leaf([1.0, 3.0])
    try:
        writes("x", doubled, when=lambda x, copy=True: not copy)
        derivative(doubled, lambda g, y, x, copy=True: 2 * g)
        with record():
            y = doubled(x)
            with pytest.raises(InPlaceError, match="cannot be changed in place inside"):
                doubled(x, copy=False)
        y.backward()
    finally:
        del DERIVATIVES[doubled], TARGETS[doubled]
    same(x.grad, [2, 2])


def test_a_rule_in_place_of_one_that_adds_a_part_in_place() -> None:
    """What added the gradient of a part to that of the whole went with the old rule."""

    @differentiable(lambda g, y, x: np.concatenate([g, np.zeros(len(x) - 1)]))
    def first(x: Any) -> Any:
        return x[:1]

    def into(total: Any, g: Any, y: Any, x: Any) -> None:
        total[:1] += g

    try:
        adds_into(first, into)
        derivative(first, lambda g, y, x: np.concatenate([10 * g, np.zeros(len(x) - 1)]))
        x = leaf([1.0, 3.0])
        with record():
            y = first(x) + first(x) + first(x)
        y.backward()
    finally:
        del DERIVATIVES[first]
    same(x.grad, [30, 0])


def test_what_is_declared_last_counts() -> None:
    """A rule, another in its place, none at all, and one again; also for calls of functions known before."""
    own = differentiable(lambda g, y, x: 2 * g)(lambda x: np.array(x))

    def slope() -> Any:
        x = leaf([1.0, -2.0])
        with record():
            y = own(x)
        return None if y.node is None else autograd.grad(y, x).array.tolist()

    try:
        assert slope() == [2, 2]
        derivative(own, lambda g, y, x: 3 * g)
        assert slope() == [3, 3]
        constant(own)
        assert slope() is None
        constant(own)
        derivative(own, lambda g, y, x: g * x)
        assert slope() == [1, -2]
    finally:
        del DERIVATIVES[own]


@pytest.mark.parametrize(
    ("rule", "error", "message"),
    [
        (lambda g, y, x: None, TypeError, "np.cbrt returned None instead of a gradient"),
        (
            lambda g, y, x: np.ones(3),
            ValueError,
            r"np.cbrt returned a gradient of shape \(3,\) for .* shape \(2,\)",
        ),
        (lambda g, y, x: np.ones(0), ValueError, r"returned a gradient of shape \(0,\) for"),
    ],
)
def test_wrong_rules_are_told(monkeypatch: pytest.MonkeyPatch, rule: Any, error: Any, message: str) -> None:
    monkeypatch.setitem(DERIVATIVES, np.cbrt, Derivative(np.cbrt, (rule,)))
    x = leaf([1.0, 8.0])
    with record():
        y = np.cbrt(x)
    with pytest.raises(error, match=message):
        y.backward()


def test_a_rule_may_return_what_broadcasts_with_its_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    """More axes and elements are summed; any other shape is an error, also beside nothing."""
    shapes = [shape for ndim in range(3) for shape in itertools.product((0, 1, 3), repeat=ndim)]
    more = [*shapes, *itertools.product((1, 3), repeat=3)]
    for shape, returned in itertools.product(shapes, more):
        rules = (lambda g, y, x, returned=returned: np.ones(returned),)
        monkeypatch.setitem(DERIVATIVES, np.cbrt, Derivative(np.cbrt, rules))
        x = leaf(np.ones(shape))
        with record():
            y = np.cbrt(x)
        try:
            np.broadcast_shapes(shape, returned)
        except ValueError:
            with pytest.raises(
                ValueError, match=re.escape(f"shape {returned} for an argument of shape {shape}")
            ):
                y.backward()
        else:
            y.backward()
            own = (1,) * (len(returned) - len(shape)) + shape[max(len(shape) - len(returned), 0) :]
            same(x.grad, np.full(shape, math.prod(n for n, m in zip(returned, own, strict=True) if m == 1)))


@search.examples(30)
@given(hnp.mutually_broadcastable_shapes(num_shapes=2, min_side=0, max_side=3), st.sets(st.integers(0, 2)))
@example(hnp.BroadcastableShapes(((1, 3), (0, 3)), (0, 3)), {0})
def test_a_gradient_may_be_smaller_than_what_it_belongs_to(pair: Any, axes: set[int]) -> None:
    """As that of a sum is: then broadcast operands get what they would of all of it."""
    a, b = (leaf(np.ones(shape)) for shape in pair.input_shapes)
    with record():
        y = a + b
        total = np.sum(y, axis=tuple(axis for axis in axes if axis < y.ndim), keepdims=True)
        weights = 1.0 + np.arange(total.size).reshape(total.shape)
        loss = np.sum(total * weights)
    expected = autograd.grad(y, [a, b], np.broadcast_to(weights, y.shape), retain_graph=True)
    for got, whole in zip(autograd.grad(loss, [a, b]), expected, strict=True):
        same(got, whole)


def test_a_rule_may_return_a_gradient_of_fewer_axes() -> None:
    halved = differentiable(lambda g, y, x: np.full(y.shape[1:], 0.5))(lambda x: x / 2)
    a, b = leaf(np.ones((4, 2, 3))), leaf(np.ones(3))
    with record():
        y = halved(a + b)
    y.backward()
    same(a.grad, 0.5)
    same(b.grad, 4)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("number", [7, 7.0])
def test_a_rule_may_return_a_number(monkeypatch: pytest.MonkeyPatch, number: Any, dtype: Any) -> None:
    """It arrives at the calls before in the dtype of what it is the gradient of."""
    arrived: list[Any] = []
    heard = Derivative(np.fabs, (lambda g, y, x: (arrived.append(g.dtype), g)[1],))
    monkeypatch.setitem(DERIVATIVES, np.fabs, heard)
    monkeypatch.setitem(DERIVATIVES, np.cbrt, Derivative(np.cbrt, (lambda g, y, x: number,)))
    x = leaf(np.array([1.0, 8.0], dtype))
    with record():
        y = np.cbrt(np.fabs(x))
    y.backward()
    same(x.grad, [7, 7])
    assert arrived == [dtype]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("made", [np.float16, np.float32, np.float64])
def test_a_gradient_has_the_dtype_of_its_tensor_whatever_a_rule_makes(dtype: Any, made: Any) -> None:
    x = leaf(np.array([1.0, 2.0], dtype))
    with record():
        y = differentiable(lambda g, y, x: np.full(2, 3, made))(lambda x: x)(x)
    y.backward()
    same(x.grad, np.array([3, 3], dtype))
    assert x.grad.dtype == dtype


# ---- origins ----------------------------------------------------------------------------------------------


def test_origin_and_node() -> None:
    x, c = leaf([1.0]), tensor([2.0])
    with record():
        y = np.sum(x * c, axis=0)
        z = np.concatenate([x, c])
    assert y.origin is not None
    (product,) = y.origin.arguments
    assert (y.origin.function, y.origin.options) == (np.sum, {"axis": 0})
    assert product.origin.function is np.multiply
    assert product.origin.arguments[0] is x
    assert product.origin.arguments[1] is c.array
    assert z.origin is not None
    assert z.origin.arguments[0][0] is x
    assert x.origin is None
    assert y.origin.arguments[0].node == product.node
    assert len({x.node, y.node, z.node, product.node}) == 4
    assert c.node is None
    assert (x.part, y.part, c.part) == (None, None, None)
    with record():
        total = np.sum(x, axis=None, dtype=float)
    assert total.origin is not None
    assert total.origin.options == {"axis": None, "dtype": float}
    w = leaf([3.0])
    with record():
        mean = np.average(x, weights=w, axis=0)
    assert mean.origin is not None
    assert mean.origin.arguments[0] is x
    assert mean.origin.options["weights"] is w
    assert mean.origin.options["axis"] == 0


# ---- what a selection leaves out --------------------------------------------------------------------------


SELECTIONS: dict[str, tuple[Callable[[Any], Any], list[float], list[float]]] = {
    "where": (lambda x: np.where(x > 0, np.sqrt(x), 2 * x), [0.0, 4.0], [2, 0.25]),
    "where, deep": (lambda x: np.where(x > 0, (1 - np.sqrt(x))[None][0], 2 * x), [0.0, 4.0], [2, -0.25]),
    "where, reduced": (lambda x: np.where(True, x, np.log(x).sum()), [0.0, 4.0], [1, 1]),
    "where, broadcast": (lambda x: np.where(np.array([[True], [True]]), x, np.log(x)), [0.0, 4.0], [2, 2]),
    "overflow": (lambda x: np.where(x < 9, np.exp(x), x), [0.0, 1000.0], [1, 1]),
    "index": (lambda x: np.sqrt(x)[1:], [0.0, 4.0], [0, 0.25]),
    "indices": (lambda x: np.sqrt(x)[[1, 1]], [0.0, 4.0], [0, 0.5]),
    "mask": (lambda x: np.log(x)[x > 0], [0.0, 4.0], [0, 0.25]),
    "maximum": (lambda x: np.maximum(1, np.sqrt(x)), [0.0, 4.0], [0, 0.25]),
    "max": (lambda x: np.max(np.sqrt(x)), [0.0, 4.0], [0, 0.25]),
    "clip": (lambda x: np.clip(np.sqrt(x), 1, 3), [0.0, 4.0], [0, 0.25]),
    "concatenate": (lambda x: np.concatenate([np.sqrt(x), x])[1:], [0.0, 4.0], [1, 1.25]),
    "where=": (lambda x: np.sum(np.sqrt(x), where=np.array([False, True])), [0.0, 4.0], [0, 0.25]),
    **{
        f"where of {name}, by position": (
            lambda x, f=f: f(np.sqrt(x), None, None, None, False, 0.0, np.array([False, True])),
            [0.0, 4.0],
            [0, 0.25],
        )
        for name, f in {"sum": np.sum, "add.reduce": np.add.reduce}.items()
    },
    "split": (lambda x: np.split(np.sqrt(x), 2)[1], [0.0, 4.0], [0, 0.25]),
    "block": (lambda x: np.block([[np.sqrt(x)], [x]])[:, 1:], [0.0, 4.0], [0, 1.25]),
    "rows": (lambda x: sum(r * r for r in list(np.sqrt(x))[1:]), [0.0, 4.0], [0, 1]),
    "nan_to_num": (lambda x: np.nan_to_num(np.log(x), neginf=0), [0.0, 4.0], [0, 0.25]),
    **{
        name: (lambda x, f=f: f(np.sqrt(x)), [0.0, 4.0], [0, 0.25])
        for name, f in {
            "repeat": lambda y: np.repeat(y, [0, 1]),
            "delete": lambda y: np.delete(y, 0),
            "resize": lambda y: np.resize(np.flip(y), 1),
            "trim_zeros": np.trim_zeros,
            "tril": lambda y: np.tril(np.outer([1.0, 1.0], np.flip(y)), -1),
            "triu": lambda y: np.triu(np.outer([1.0, 1.0], y), 1),
            "diag": lambda y: np.diag(np.outer([1.0, 1.0], y), 1),
            "diagonal": lambda y: np.diagonal(np.outer([1.0, 1.0], y), 1),
            "linalg.diagonal": lambda y: np.linalg.diagonal(np.outer([1.0, 1.0], y), offset=1),
            "trace": lambda y: np.trace(np.outer([1.0, 1.0], y), 1),
            "linalg.trace": lambda y: np.linalg.trace(np.outer([1.0, 1.0], y), offset=1),
            "take": lambda y: np.take(y, [1]),
            "take_along_axis": lambda y: np.take_along_axis(y, np.array([1]), 0),
            "compress": lambda y: np.compress([False, True], y),
            "extract": lambda y: np.extract([False, True], y),
            "choose": lambda y: np.choose([1, 0], [y, [7.0, 7.0]]),
            "select": lambda y: np.select([[False, True]], [y]),
            "minimum": lambda y: -np.minimum(-y, -1),
            "fmax": lambda y: np.fmax(y, 1),
            "fmin": lambda y: -np.fmin(-y, -1),
            "amax": np.amax,
            "nanmax": np.nanmax,
            "min": lambda y: -np.min(-y),
            "amin": lambda y: -np.amin(-y),
            "nanmin": lambda y: -np.nanmin(-y),
            "maximum.reduce": np.maximum.reduce,
            "minimum.reduce": lambda y: -np.minimum.reduce(-y),
            "fmax.reduce": np.fmax.reduce,
            "fmin.reduce": lambda y: -np.fmin.reduce(-y),
            "maximum.accumulate": lambda y: np.maximum.accumulate(np.flip(y))[1:],
            "fmax.accumulate": lambda y: np.fmax.accumulate(np.flip(y))[1:],
            "minimum.accumulate": lambda y: -np.minimum.accumulate(np.flip(-y))[1:],
            "fmin.accumulate": lambda y: -np.fmin.accumulate(np.flip(-y))[1:],
            "maximum.outer": lambda y: np.maximum.outer(y, [1.0]),
            "minimum.outer": lambda y: -np.minimum.outer([-1.0], -y),
            "fmax.outer": lambda y: np.fmax.outer(y, [1.0]),
            "fmin.outer": lambda y: -np.fmin.outer([-1.0], -y),
        }.items()
    },
}


@pytest.mark.parametrize("name", SELECTIONS)
def test_what_a_selection_leaves_out_has_the_gradient_zero(name: str) -> None:
    """Also where the derivative of what was left out is infinite; to second order as well."""
    function, point, expected = SELECTIONS[name]
    x = leaf(point)
    with np.errstate(divide="ignore", over="ignore"):
        with record():
            y = function(x)
        y.backward(retain_graph=True)
        same(x.grad, expected)
        with record():
            first = autograd.grad(y, x, create_graph=True)
            total = (first * first).sum() + 0 * x.sum()
        same(first, expected)
        assert np.all(np.isfinite(autograd.grad(total, x).array))


#: what neither changes t, of two numbers, nor the sum of its gradient; some append other uses to a list
REPEATED: dict[str, Callable[[Any, list[Any]], Any]] = {
    "moved": lambda t, _: np.abs(-t),
    "elementwise": lambda t, _: t * 1.0,
    "broadcast": lambda t, _: np.sum(t + np.zeros((1, 2), t.dtype), 0),
    "sum of many": lambda t, _: np.sum(t + np.zeros((16, 1), t.dtype), 0) / 16,
    "mean of many": lambda t, _: 16 * np.mean(np.concatenate([t[None], np.zeros((15, 2), t.dtype)]), 0),
    "used twice": lambda t, _: t / 2 + t / 2,
    "product": lambda t, _: np.sqrt(t * t + 1e-30) * 0.5 + t * 0.5,
    "several results": lambda t, _: np.modf(t)[0],
    "part of a part": lambda t, _: t[::-1][::-1],
    "and another part": lambda t, parts: (t[:], parts.append(t[1:]))[0],
    "split": lambda t, _: np.concatenate(np.split(t, 2)),
    "block": lambda t, _: np.block([t[:1], t[1:]]),
}


@pytest.mark.parametrize("name", REPEATED)
@pytest.mark.parametrize("levels", [1, 300])
def test_what_a_selection_leaves_out_is_followed_through_a_long_chain(name: str, levels: int) -> None:
    """Without recursion, and without numbers that overflow or vanish on the way."""
    x, parts = leaf(np.array([0, 0.25], np.float32)), []
    with record():
        y: Any = np.sqrt(x)
        for _ in range(levels):
            y = REPEATED[name](y, parts)
        left_out = np.where([False, True], y, 0).sum()
        left_out = left_out + sum([np.where(True, part, 0).sum() for part in parts])
        used = np.sum(np.where([True, False], y, 0) * [0, 1])
    left_out.backward(retain_graph=True)
    np.testing.assert_allclose(x.grad.array, [0, 1 + len(parts)], rtol=1e-5)
    with np.errstate(invalid="ignore"):
        used.backward()
    assert np.isnan(x.grad.array[0])  # 0 * inf


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.sqrt(x) ** 2,
        lambda x: np.where(x >= 0, np.sqrt(x) ** 2, x),
        lambda x: np.sqrt(x)[0] * np.zeros(1),
        lambda x: np.sqrt(x) - np.sqrt(x)[::-1][::-1],
        lambda x: np.where(x > 0, np.sqrt(x), x) + np.sqrt(x) * 0,
    ],
)
def test_a_zero_that_was_computed_is_no_selection(function: Any) -> None:
    """0 * inf is NaN where the element was used."""
    x = leaf([0.0])
    with record():
        y = function(x)
    with np.errstate(divide="ignore", invalid="ignore"):
        y.backward()
    assert np.isnan(x.grad.item())


@pytest.mark.parametrize("turn", [1, -1])
@pytest.mark.parametrize(
    "pick",
    [
        lambda y, i: np.where(np.arange(2) == i, y, 0),
        lambda y, i: y[i:][:1],
        lambda y, i: np.take(y, [i]),
        lambda y, i: np.compress(np.arange(2) == i, y),
    ],
)
def test_what_one_of_two_selections_takes_is_used(pick: Any, turn: int) -> None:
    """Whichever comes first."""
    x = leaf([0.0, 4.0])
    with record(), np.errstate(divide="ignore"):
        y = np.sqrt(x)
        z = sum(pick(y, i).sum() for i in [0, 1][::turn])
        z.backward()
    same(x.grad, [np.inf, 0.25])


def test_what_is_added_up_in_place_belongs_to_nothing_else() -> None:
    """The gradient of a sum goes to both terms; what is taken of one of them does not reach the other."""
    x, c = leaf([1.0, 2.0, 4.0]), np.array([3.0, 5.0, 7.0])
    with record():
        u, v = 2 * x, 10 * x
        part = u[1:]
        y = ((u + v) * c).sum() + 100 * part.sum()
    y.backward()
    same(x.grad, 12 * c + np.array([0, 200, 200]))


def test_what_is_added_up_in_place_keeps_its_digits() -> None:
    """A gradient of float64 is not added to one of float32 in place: twice 3/4 of half a digit is a digit."""
    x, c = leaf(np.ones(2, np.float32)), np.array([0.75 * 2**-24])
    with record():
        parts = [x[:1] * c, x[:1] * c, x[:1].astype(np.float64)]
        y = sum(part.sum() for part in parts)
    y.backward()
    assert x.grad.dtype == np.float32
    same(x.grad, np.array([1 + 2**-23, 0], np.float32))


def test_a_gradient_that_is_one_number_keeps_its_digits() -> None:
    """Where it is summed over a broadcast axis: what is left of two that cancel is less than a digit."""
    x, many = leaf(np.ones(2, np.float32)), np.zeros((2, 2))
    with record():
        y = (x * 1 + many).sum() * (1 + 2**-30) - (x * 1 + many).sum()
        z = x * 1
        y = y + (z + many).sum() * (1 + 2**-30) - (z + many).sum()
    y.backward()
    same(x.grad, np.full(2, 2**-28, np.float32))


@pytest.mark.parametrize("f", [np.multiply, operator.mul, lambda x, o: o * x, lambda x, o: np.multiply(o, x)])
def test_what_can_be_made_an_array_is_one(f: Any) -> None:
    class Column:
        """As those of data frames; it knows nothing else of NumPy."""

        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return np.array([3.0, 4.0], dtype)

    x = leaf([1.0, 2.0])
    with record():
        y = f(x, Column())
    y.backward()
    same(x.grad, [3, 4])


def test_what_was_dropped_is_a_constant_from_then_on() -> None:
    x = leaf(3.0)
    with record():
        y = x * 2
        x.drop_grad()
        assert (x * 2).node is (np.add(x, 1)).node is None
    assert y.node is not None


LISTS_AMONG_ARRAYS: dict[str, Callable[[Any], Any]] = {
    "concatenate": lambda x: np.concatenate([x, [1.0, 2.0], (x[0], 3.0)]),
    "stack": lambda x: np.stack([[1.0, x[1]], x, range(2)]),
    "vstack": lambda x: np.vstack([x, [[1.0, 2.0], x]]),
    "choose": lambda x: np.choose([0, 1], [x, [x[0], 3.0]]),
    "select": lambda x: np.select([[True, False], [False, True]], [x, [x[0], x[0]]]),
}


@pytest.mark.parametrize("name", LISTS_AMONG_ARRAYS)
def test_lists_of_numbers_and_tensors_among_arrays(name: str) -> None:
    """They have the gradients that arrays of the same have."""
    function = LISTS_AMONG_ARRAYS[name]
    x = leaf([0.5, 2.0])
    with record():
        y = function(x)
        head = 1.0 + np.arange(y.size).reshape(y.shape)
    slope = autograd.grad(y, x, head)
    same(y, function(x.array))
    for i, unit in enumerate(np.eye(2)):
        same(slope[i], np.sum(head * (function(x.array + unit) - function(x.array))))


@pytest.mark.parametrize("factor", [1, 2])
@pytest.mark.parametrize("whole", [False, True])
def test_the_gradient_of_indexing_is_added_up_in_place(factor: int, whole: bool) -> None:
    """Rows taken one by one cost no more memory than the whole, of a leaf as of what is computed from it."""
    x = leaf(np.ones((400, 100)))
    with record():
        y = x if factor == 1 else factor * x
        total = tensor(0.0)
        for row in y:
            total = total + row[0]
        total = total + y.sum() if whole else total
    tracemalloc.start()
    total.backward()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * x.array.nbytes
    same(x.grad, factor * ((np.arange(100) == 0) + whole * np.ones((400, 1))))


# ---- several results, arguments by name, and writes that functions do by themselves -----------------------


def test_whole_numbers_among_several_results_are_constants() -> None:
    x = leaf([3.0, 0.75])
    with record():
        mantissa, exponent = np.frexp(x)
        solution, _, rank, _ = np.linalg.lstsq(np.eye(2), x)
    assert exponent.node is rank.node is None
    assert exponent.tolist() == [2, 0]
    assert mantissa.node is not None
    same(autograd.grad(solution, x, np.array([1.0, 2.0])), [1, 2])


def test_an_argument_that_is_differentiated_by_name_only() -> None:
    """Also if there are more arguments than rules by position."""

    def scaled(a: Any, times: Any = 1, *, scale: Any = 1) -> Any:
        return a * times * scale

    scaled = differentiable(
        lambda g, y, a, times=1, *, scale=1: g * (times * scale),
        scale=lambda g, y, a, times=1, *, scale=1: np.sum(g * a * times),
    )(scaled)
    x, s = leaf([1.0, 2.0]), leaf(3.0)
    with record():
        y = scaled(x, 5, scale=s)
        z = scaled(np.ones(2), 5, scale=s)
    y.backward()
    same(x.grad, 15)
    same(s.grad, 15)
    same(autograd.grad(z, s), 10)
    for scale in ((2.0, 3.0), [2.0, 3.0]):  # of which a rule gets an array
        with record():
            y = scaled(x, 5, scale=scale)
        y.backward()
        same(x.grad, [10, 15])


@pytest.mark.parametrize("rule", [None, ..., "see elsewhere", lambda g, y, x, n, scale: 0])
@pytest.mark.parametrize("between", [None, ..., "see elsewhere"])
@pytest.mark.parametrize("kind", [tuple, list, np.array])
def test_rules_get_an_array_of_each_list_that_is_one(kind: Any, between: Any, rule: Any) -> None:
    """Also of a tuple of numbers, where no tensor may stand; not of what steers a call."""
    got: list[Any] = []

    def of_first(g: Any, y: Any, x: Any, n: Any, scale: Any) -> Any:
        got[:] = n, scale
        return g

    function = differentiable(of_first, between, rule)(lambda x, n, scale: x + 0)
    x = leaf([1.0, 2.0])
    try:
        with record():
            y = function(x, kind([5.0, 6.0]), kind([2.0, 3.0]))
        y.backward()
    finally:
        del DERIVATIVES[function]
    for argument, has_rule, expected in zip(got, (between, rule), ([5, 6], [2, 3]), strict=True):
        assert isinstance(argument, np.ndarray if has_rule or kind is np.array else kind)
        np.testing.assert_array_equal(argument, expected)


def test_functions_without_a_derivative_name_the_tensor_however_it_is_given() -> None:
    x = leaf([2.0, 1.0])
    c = tensor([2.0, 3.0])
    for call in (
        *(lambda: np.unique(x), lambda: np.unique(ar=x), lambda: np.setdiff1d(x.array, ar2=x)),
        *(lambda: np.setdiff1d(c, x), lambda: np.setdiff1d(x, c), lambda: np.setdiff1d(ar2=x, ar1=c)),
    ):
        with record(), pytest.raises(NoDerivativeError, match="`x`"):
            call()


def test_operators_whose_function_is_declared_constant(monkeypatch: pytest.MonkeyPatch) -> None:
    row = DERIVATIVES[np.remainder]
    for slot in ("rules", "usual", "known", "named_rules"):
        monkeypatch.setattr(row, slot, getattr(row, slot))
    x = leaf([2.5, 4.0])
    constant(np.remainder)
    try:
        for operation in (lambda x: x + x % 2, lambda x: x + np.remainder(x, 2), lambda x: x + 5.0 % x):
            with record():
                y = operation(x)
            y.backward()
            same(x.grad, [1, 1])
    finally:
        DERIVATIVES[np.remainder] = row


def test_lists_of_tensors_in_functions_made_differentiable() -> None:
    @differentiable(lambda g, y, arrays, scale=1.0: [scale * g] * len(arrays))
    def added(arrays: Any, scale: float = 1.0) -> Any:
        return scale * sum(np.asarray(a) for a in arrays)

    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    for arrays in ([x, w], (np.ones(2), x, w), [w, x, x.array]):
        with record():
            y = added(arrays, 3.0)
        y.backward()
        same(x.grad, [3, 3])
        same(w.grad, [3, 3])
    same(added([np.ones(2), np.ones(2)]), [2, 2])


def test_what_was_computed_is_not_copied_out_of_its_graph() -> None:
    x = leaf([1.0, 2.0])
    with record():
        y = 2 * x
        y.attach_grad()
        for lose in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(LostGradientError, match=r"copying or pickling.*x\.copy\(\)"):
                lose(y)
            lose(x)  # a leaf has no graph
    assert copy.deepcopy(y).grad.shape == (2,)


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x)), asarray]
)
def test_copies_of_constants_are_constants(duplicate: Any) -> None:
    with pytest.raises(NothingAttachedError):
        duplicate(tensor([1.0, 2.0])).backward(np.ones(2))


def test_the_graph_is_kept_if_it_is_said() -> None:
    x = leaf(3.0)
    for kept, options in (
        (False, {}),
        (False, {"retain_graph": False}),
        (False, {"retain_graph": None}),
        (True, {"retain_graph": True}),
        (True, {"create_graph": True}),
        (True, {"create_graph": True, "retain_graph": False}),
    ):
        with record():
            y = x**2
        autograd.grad(y, x, **options)
        if kept:
            same(autograd.grad(y, x), 6)
        with pytest.raises(GraphFreedError):
            autograd.grad(y, x)


def test_an_attachment_outlives_a_wrong_one() -> None:
    x = leaf(3.0, grad_req="add")
    with record():
        y = x**2
    y.backward()
    with pytest.raises(ValueError, match="grad_req"):
        x.attach_grad("replace")
    same(x.grad, 6)
    with record():
        y = x**2
    y.backward()
    same(x.grad, 12)


def test_functions_of_scipy_are_told_from_those_of_numpy_with_their_names() -> None:
    special = pytest.importorskip("scipy.special", reason="SciPy is not installed: its names are NOT tested")
    for name in ("cbrt", "exp2", "expm1", "log1p", "sinc", "exp10", "erf"):
        of_scipy, of_numpy = getattr(special, name), getattr(np, name, None)
        assert errors.name_of(of_scipy) == ("np." if of_scipy is of_numpy else "scipy.special.") + name
        assert of_numpy is None or errors.name_of(of_numpy) == f"np.{name}"


BASES: dict[type[Exception], tuple[type[Exception], ...]] = {
    errors.NotFloatingError: (AutogradError, TypeError),
    errors.ComplexLeafError: (AutogradError, TypeError),
    errors.NoRuleError: (errors.NoDerivativeError,),
    errors.OptionError: (errors.NoDerivativeError,),
    errors.ComplexResultError: (errors.NoDerivativeError,),
    errors.UnknownShapeError: (AutogradError, ValueError),
    errors.LostInWriteError: (errors.LostGradientError,),
}


def test_what_errors_are() -> None:
    """What is caught by another name stays so."""
    for name, error in vars(errors).items():
        if isinstance(error, type) and issubclass(error, AutogradError) and error is not AutogradError:
            assert error.__bases__ == BASES.get(error, (AutogradError,)), name


def test_errors_of_ones_own_tell_what_they_are_given() -> None:
    """Also without a docstring, as all are under `python -OO`; and they can be copied and pickled."""

    class OwnError(GraphFreedError):
        pass

    assert str(OwnError("as it is, {x}")) == "as it is, {x}"
    assert str(OwnError(tensor="x")) == "{'tensor': 'x'}"
    x = leaf([1.0])
    with pytest.raises(NotRecordedError) as caught:
        (x * 2).backward()
    for duplicate in (copy.copy(caught.value), pickle.loads(pickle.dumps(caught.value))):
        assert type(duplicate) is NotRecordedError
        assert str(duplicate) == str(caught.value)


THROUGH: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "sum of sums": lambda a, b: (a + b) + (b + a),
    "reshape": lambda a, b: np.reshape(a, (2, 1)) + np.reshape(b, (2, 1)),
    "transpose": lambda a, b: a.T + b.T,
    "logaddexp": np.logaddexp,
    "maximum": np.maximum,
    "where": lambda a, b: np.where(True, a, b) + np.where(False, a, b),
    "stack": lambda a, b: np.stack([a, b]),
    "concatenate": lambda a, b: np.concatenate([a, b]),
    "split": lambda a, b: sum(np.split(np.concatenate([a, b]), 2)),
    "parts": lambda a, b: a[:] + b[...],
    "casts": lambda a, b: a.astype(float) + np.copy(b),
}


@pytest.mark.parametrize("name", THROUGH)
def test_gradients_that_a_rule_passes_on_are_shared_by_no_two(name: str) -> None:
    """Whether it was made here, or given, or belongs to what is attached on the way."""
    for factor, create_graph in itertools.product((2.0, np.array([2.0, 3.0]), None), (False, True)):
        a, b = leaf([1.0, 2.0]), leaf([3.0, 5.0])
        with record():
            y = THROUGH[name](a, b)
            if name not in ("stack", "concatenate"):
                y.attach_grad()
            z = y if factor is None else np.sum(y * np.resize(factor, y.shape))
        head = np.ones(z.shape)
        z.backward(head, create_graph=create_graph)
        arrays = [head, *(t.grad.array for t in (a, b, y) if t.grad is not None)]
        for one, other in itertools.combinations(arrays, 2):
            assert not np.shares_memory(one, other)


OPERATORS: list[Callable[..., Any]] = [
    *(operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, divmod),
    *(
        operator.pow,
        operator.matmul,
        operator.and_,
        operator.or_,
        operator.xor,
        operator.lshift,
        operator.rshift,
    ),
    *(operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne),
    *(lambda a, _, f=f: f(a) for f in (abs, operator.neg, operator.pos, operator.invert)),
]


@pytest.mark.parametrize("function", OPERATORS, ids=range(len(OPERATORS)))
def test_operators_give_what_those_of_arrays_give(function: Any) -> None:
    """Values, dtypes and errors, for tensors that are not attached, in and out of `record()`."""
    dtypes = (bool, np.int8, np.uint8, np.int64, np.float16, np.float32, float, complex)
    for dtype, which in itertools.product(dtypes, range(3)):
        a, b = np.array([1, 2, 3]).astype(dtype), np.array([2, 1, 2]).astype(dtype)
        other: Any = (b, 2, 2.5)[which]
        for x, y in ((a, other), (other, a), (a, a)):
            if not isinstance(x, np.ndarray) and function in OPERATORS[-4:]:
                continue
            given = [tensor(v) if isinstance(v, np.ndarray) else v for v in (x, y)]
            given = given[:1] * 2 if x is y else given
            for scope in (record, pause):
                try:
                    expected = function(x, y)
                except (TypeError, ValueError) as error:
                    with scope(), pytest.raises(type(error)):
                        function(*given)
                    continue
                with scope():
                    made = function(*given)
                for got, value in zip(
                    *(v if isinstance(v, tuple) else (v,) for v in (made, expected)), strict=True
                ):
                    assert isinstance(got, Tensor)
                    np.testing.assert_array_equal(got.array, value, strict=True)


OPTIONS_WITHOUT_A_RULE: dict[str, Callable[[Any, Any], Any]] = {
    "base of logspace": lambda x, t: np.logspace(x, 2.0, base=t),
    "ddof of var": lambda x, t: np.var(x, ddof=t),
    "period of unwrap": lambda x, t: np.unwrap(x, period=t),
    "discont of unwrap": lambda x, t: np.unwrap(x, discont=t),
    "discont of unwrap, by position": lambda x, t: np.unwrap(x, t),
}


@pytest.mark.parametrize("call", OPTIONS_WITHOUT_A_RULE.values(), ids=OPTIONS_WITHOUT_A_RULE)
def test_no_gradient_is_lost_in_an_option(call: Any) -> None:
    with record(), pytest.raises(NoRuleError, match="with respect to its argument"):
        call(leaf([1.0, 9.0]), leaf(0.5))


@pytest.mark.parametrize("given", [(1.0, 2.0), [1.0, 2.0], [leaf(1.0), 2.0], (1, 2)], ids=repr)
@pytest.mark.parametrize("rules", [(1, 1, 1), (1, None, 1)], ids=repr)
def test_functions_and_rules_get_arrays_for_lists(given: Any, rules: Any) -> None:
    """Where a gradient flows back; by position or by name, also behind what has none."""
    seen = []

    def slope(g: Any, y: Any, a: Any, b: Any, c: Any = 0) -> Any:
        seen.append((type(a), type(c)))
        return g

    @differentiable(*[rule and slope for rule in rules])
    def first(a: Any, b: Any, c: Any = 0) -> Any:
        seen.append((type(a), type(c)))
        return a + 0.0 * np.sum(c)

    x = leaf([1.0, 2.0])
    for call in (lambda: first(x, 1, given), lambda: first(x, 1, c=given), lambda: first(c=given, b=1, a=x)):
        with record():
            y = call()
        y.backward()
        same(x.grad, [1, 1])
    assert set(seen) == {(np.ndarray, np.ndarray)}
    del DERIVATIVES[first]


def test_lists_of_tensors_for_arguments_by_name_only() -> None:
    x, m = leaf([1.0, 2.0]), leaf(1.25)
    with record():
        y = np.var(x, mean=[m])
    y.backward()
    same(x.grad, [-0.25, 0.75])
    same(m.grad, -0.5)


@pytest.mark.parametrize(
    "write",
    [
        lambda x: np.median(x, overwrite_input=True),
        lambda x: np.nan_to_num(x, copy=False),
        lambda x: np.nan_to_num(x, False),
        lambda x: np.nan_to_num(x, 0),
        lambda x: np.nan_to_num(x, copy=np.False_),
        lambda x: np.percentile(x, 50, overwrite_input=True),
        lambda x: np.nanquantile(x, 0.5, overwrite_input=True),
        lambda x: np.nanpercentile(x, 50, None, None, True),
        lambda x: np.nanmedian(x, None, None, True),
        lambda x: np.quantile(x, 0.5, None, None, True),
        lambda x: np.round(x, 1, x),
        lambda x: np.fix(x, x),
        lambda x: np.add.reduce(np.ones((3, 3)), 0, None, x),
        lambda x: np.sum(np.ones((3, 3)), 0, out=x),
        lambda x: np.put(x, [0], 9.0),
        lambda x: np.add.at(x, [0], 9.0),
    ],
)
@pytest.mark.filterwarnings("ignore:All-NaN", "ignore:numpy.fix is deprecated")  # since NumPy 2.5
def test_functions_that_write_into_their_argument_when_told_to(write: Any) -> None:
    """What they return is what NumPy returns: what was written, or nothing, or a result beside it."""
    x = leaf([3.0, np.nan, 1.0])
    with record(), pytest.raises(InPlaceError, match="cannot be changed in place inside"):
        write(x)
    with record():
        y = x * x
    array = x.array.copy()
    result, expected = write(x), write(array)
    assert (result is None) == (expected is None)
    assert (result is x) == (expected is array)
    np.testing.assert_array_equal(unwrapped(result), expected, strict=True)
    np.testing.assert_array_equal(x.array, array)
    with pytest.raises(ModifiedError):
        y.backward()


@pytest.mark.parametrize(
    "other", [Fraction(1, 2), 2j, np.complex64(1), np.array([1j, 2]), np.array([Fraction(1, 2), 2])]
)
def test_operators_with_numbers_that_are_not_real_floats(other: Any) -> None:
    """As NumPy's outside `record()`; inside they have no derivatives."""
    x = leaf([1.0, 2.0])
    for part in (..., 0):
        for operation in (lambda p: p * other, lambda p: other * p, lambda p: p + other, lambda p: other - p):
            same(operation(x[part]), operation(x.array[part]))
            with record(), pytest.raises(errors.ComplexResultError, match="only real numbers"):
                operation(x[part])


@pytest.mark.parametrize("write", [np.add.at, lambda a, i, v: np.add(a[i], v, out=a[i])], ids=["at", "out="])
def test_a_tensor_that_is_written_into_an_array(write: Any) -> None:
    """The array is no tensor, but the write is noticed, as it is one of a tensor's."""
    x, array = leaf([1.0, 2.0]), np.array([3.0, 4.0])
    with record():
        y = x * array
    write(array, slice(0, 1), tensor(5.0))
    same(tensor(array), [8, 4])
    with pytest.raises(ModifiedError):
        y.backward()


@pytest.mark.parametrize("order", ["C", "F", "A", "K"])
def test_copies_lie_in_memory_as_those_of_numpy(order: Any) -> None:
    for a in (np.ones((2, 3)), np.ones((2, 3), order="F"), np.ones((4, 6)).T[::2], np.ones((3, 2))[::-1]):
        x = tensor(0)
        x.array = a
        for made, expected in ((x.copy(order), np.copy(a, order)), (x.copy(), np.copy(a))):
            assert made.array.strides == expected.strides
            assert not np.may_share_memory(made.array, a)


@pytest.mark.parametrize(
    "head", [np.array([1j, 1]), [1j, 1], tensor(np.array([1j, 1])), np.array([1 + 0j, 1])], ids=str
)
def test_a_head_gradient_is_real(head: Any) -> None:
    x = leaf([1.0, 2.0])
    with record():
        y = x * 2
    with pytest.raises(TypeError, match=r"the head gradient is complex; `y` .* needs real numbers"):
        y.backward(head)
    y.backward([3, 4])
    same(x.grad, [6, 8])


@pytest.mark.parametrize("scope", [contextlib.nullcontext, record], ids=["no scope", "record()"])
def test_the_array_that_is_given_for_a_result_is_the_result(scope: Any) -> None:
    """As NumPy has it: the very array or tensor, also if what is computed is of tensors."""
    x = tensor([1.0, 2.0])
    for target in (np.zeros(2), tensor([0.0, 0.0])):
        with scope():
            assert np.add(x, 1, out=target) is target
            assert np.add(x, 1, target) is target
            assert np.cumsum(x, out=target) is target
            assert np.clip(x, 0, 1, out=target) is target
            assert np.modf(x, out=(target, None))[0] is target
        same(tensor(unwrapped(target)), [0, 0])


def test_a_result_that_is_attached_and_one_number_is_not_written_unnoticed() -> None:
    x = leaf(0.5)
    for change in (lambda y: y.__iadd__(1), lambda y: y.__setitem__((), 3.0), lambda y: np.add(y, 1, out=y)):
        with record():
            y = np.exp(x)
            y.attach_grad()
            z = y * 2 * y
        change(y)
        with pytest.raises(ModifiedError):
            z.backward()


@pytest.mark.parametrize("axis", [[], [0], [-1], [0, 1]])
@pytest.mark.parametrize("name", ["sum", "prod", "mean", "var", "std", "max", "min", "squeeze"])
def test_axes_of_methods_may_be_a_list(name: str, axis: list[int]) -> None:
    """As MXNet's; an empty one is no axis, not all of them."""
    data = np.array([[[2.0, 3.0]]]) if name == "squeeze" and axis != [-1] else np.array([[[2.0], [3.0]]])
    same(getattr(tensor(data), name)(axis=axis), getattr(np, name)(data, axis=tuple(axis)))


CALLS_OF_ALL_WAYS: dict[str, Any] = {
    "a function": np.exp,
    "a method": lambda x: x.sum(),
    "an operator": lambda x: x * 2,
    "an operator without a rule beside": lambda x: x + (x > 0),
    "an index": lambda x: x[0],
    "several results": lambda x: np.split(x, 2)[0],
    "a list": lambda x: np.stack([x, x]),
    "a list of one": lambda x: np.stack([x]),
    "a result beside one that is written": lambda x: np.modf(x, out=(np.ones(2), None))[1],
    "an argument that may be overwritten": lambda x: np.median(x, overwrite_input=True),
    "an option": lambda x: np.prod(x * 0 + 1, initial=x[0]),
    "composed": lambda x: np.corrcoef(x, x**2)[0],
}


@pytest.mark.parametrize("name", CALLS_OF_ALL_WAYS)
@pytest.mark.parametrize("scope", [contextlib.nullcontext, record, pause])
def test_what_is_computed_from_a_parameter_is_none(name: str, scope: Any) -> None:
    parameter = Parameter(np.array([1.0, 2.0]))
    writes = name in ("a result beside one that is written", "an argument that may be overwritten")
    with scope():
        if scope is record and writes:
            with pytest.raises(AutogradError):
                CALLS_OF_ALL_WAYS[name](parameter)
            return
        y = CALLS_OF_ALL_WAYS[name](parameter)
    assert type(y) is Tensor
    assert y.grad is None


@pytest.mark.parametrize("name", CALLS_OF_ALL_WAYS)
def test_why_there_is_no_gradient(name: str) -> None:
    """It was not recorded, or nothing that it is made of is attached."""
    call = CALLS_OF_ALL_WAYS[name]
    with pytest.raises(NotRecordedError):
        call(leaf([1.0, 2.0])).sum().backward()
    with record(), pause():
        y = call(leaf([1.0, 2.0]))
    with pytest.raises(NotRecordedError):
        y.backward()
    with record():
        y = call(tensor([1.0, 2.0]))
    with pytest.raises(NothingAttachedError):
        y.backward()


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.apply_along_axis(lambda row: 3.0, 0, x),
        lambda x: np.apply_along_axis(lambda row: row.numpy() * 2, 0, x),
        lambda x: np.apply_along_axis(lambda row: row > 1, 0, x),
        np.floor,
        lambda x: x.astype(int),
        lambda x: np.split(x > 1, 2)[0],
        lambda x: np.frexp(x)[1],
        lambda x: x.detach() * 2,
    ],
)
def test_a_constant_of_what_is_attached_says_that_nothing_is(function: Any) -> None:
    with record():
        y = function(leaf([1.0, 2.0]))
    assert isinstance(y, Tensor)
    with pytest.raises(NothingAttachedError):
        y.backward()


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("scope", [train_mode, predict_mode])
def test_rules_see_the_mode_around_backward(scope: Any, create_graph: bool) -> None:
    modes = []

    def rule(g: Any, y: Any, a: Any) -> Any:
        modes.append((is_recording(), is_training()))
        return g

    x = leaf([1.0])
    with record():
        y = differentiable(rule)(lambda a: a * 1)(x)
    for sweep in (y.backward, lambda **options: autograd.grad(y, x, **options)):
        with scope():
            sweep(retain_graph=True, create_graph=create_graph)
            assert (is_recording(), is_training()) == (False, scope is train_mode)
    assert modes == [(create_graph, scope is train_mode)] * 2


@pytest.mark.parametrize("create_graph", [False, True])
def test_anomalies_of_gradients_that_are_recorded_too(create_graph: bool) -> None:
    x, w = leaf([0.0, 1.0]), leaf([2.0, 1.0])
    with record(), np.errstate(divide="ignore"), detect_anomaly():
        y = w * np.sqrt(x)
        with pytest.raises(AnomalyError, match=r"np\.sqrt"):
            y.backward(create_graph=create_graph)


def test_copies_of_attached_tensors_are_leaves_of_their_own() -> None:
    """With nothing recorded in common."""
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    made = [x, w, copy.copy(x), copy.copy(w), copy.deepcopy(x), pickle.loads(pickle.dumps(w))]
    assert len({id(t.attachment) for t in made}) == len(made)
    with record():
        y = sum((k + 1.0) * t for k, t in enumerate(made))
    y.backward()
    for k, t in enumerate(made):
        same(t.grad, [k + 1.0, k + 1.0])
    nodes = [t.node for t in made]
    assert all(one != other for one, other in itertools.combinations(nodes, 2))
    for grad_req in ("write", "add", "null"):
        x.attach_grad(grad_req)
        x.grad = [5.0, 7.0]
        for made_of_it in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
            assert made_of_it.attachment.grad_req == grad_req
            same(made_of_it.grad, [5, 7])
            assert not np.may_share_memory(made_of_it.grad.array, x.grad.array)


def test_variables_may_come_in_any_form() -> None:
    """A list of gradients for all but a single tensor."""
    x, w, unused = leaf([1.0, 2.0]), leaf([3.0, 4.0]), leaf([5.0])
    with record():
        y = x * w
    weight = Parameter(np.array([3.0, 4.0]))
    with record():
        slope = autograd.grad(weight * weight, weight)  # as of any tensor
    assert isinstance(slope, Tensor)
    same(slope, [6, 8])
    for one in ([x], (x,)):
        (gradient,) = gradients = autograd.grad(y, one, retain_graph=True)
        assert type(gradients) is list
        same(gradient, w.array)
    for form in ((x, w), [x, w], {"x": x, "w": w}.values(), (t for t in (x, w)), iter([x, w])):
        gradients = autograd.grad(y, form, retain_graph=True)
        assert isinstance(gradients, list)
        for got, expected in zip(gradients, (w, x), strict=True):
            same(got, expected.array)
    for place in range(3):
        variables = [x, w]
        variables.insert(place, unused)
        with pytest.raises(UnreachedError, match=rf"variables\[{place}\], `unused`"):
            autograd.grad(y, variables, retain_graph=True)


def test_a_gradient_that_is_set_is_real() -> None:
    x = leaf([1.0, 2.0])
    x.grad = [3, 4]
    same(x.grad, [3, 4])
    with pytest.raises(TypeError, match=r"Cannot cast .*complex128"):
        x.grad = [1j, 2.0]
    same(x.grad, [3, 4])


def test_reshape_without_a_shape() -> None:
    for x in (tensor([[2.5]]), np.array([[2.5]])):
        with pytest.raises(TypeError):
            x.reshape()


def test_numbers_of_tensors_with_one_element() -> None:
    x = tensor([[2.5]])
    assert float(x) == 2.5
    assert int(x) == 2
    assert complex(x) == 2.5
    for number in (float, int, complex):
        for size in (0, 2):
            with pytest.raises((TypeError, ValueError)):
                number(tensor(np.ones(size)))
    assert [10, 20, 30][tensor(1)] == 20
    with pytest.raises(TypeError):
        _ = [10, 20][tensor([1])]


#: what is asked of a tensor and, of an array, what the answer is
QUESTIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "float": (float, lambda a: float(a.item())),
    "int": (int, lambda a: int(a.item())),
    "complex": (complex, lambda a: complex(a.item())),
    **{
        name: (ask, ask)
        for name, ask in {
            "bool": bool,
            "index": operator.index,
            "str": str,
            "format": format,
            "digits": lambda t: f"{t:.3e}",
            "item": lambda t: t.item(),
            "last item": lambda t: t.item(-1),
            "item by its place": lambda t: t.item(*[n - 1 for n in t.shape]),
            "list": lambda t: t.tolist(),
            "contains": lambda t: 1 in t,
            "contains one of several": lambda t: np.arange(3) in t,
        }.items()
    },
}


@pytest.mark.parametrize("name", QUESTIONS)
@search.examples(25)
@given(
    st.sampled_from([bool, np.int64, np.uint64, np.float32, float, complex]).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))
    )
)
@example(np.array(2.75))
@example(np.array(2**53 + 1))
@example(np.array([1 + 2j]))
@example(np.array([[1.0, 2.0, 3.0]]))
@example(np.ones((2, 3)))
def test_what_python_asks_of_a_tensor_is_answered_as_by_its_array(name: str, array: Any) -> None:
    """Values, types and errors; a number may be asked of one element, whatever its shape."""
    ask, ask_array = QUESTIONS[name]
    for x in (tensor(array), tensor(array)[()]):  # the latter of no dimensions has a scalar inside
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy's own
            try:
                expected = ask_array(np.asarray(x.array))
            except Exception as error:
                with pytest.raises(type(error)):
                    ask(x)
                continue
            made = ask(x)
        assert type(made) is type(expected)
        np.testing.assert_array_equal(made, expected)
        if isinstance(made, list):
            assert repr(made) == repr(expected)


def test_what_an_array_has_a_tensor_has() -> None:
    x = tensor([1.0, -2.0, 3.0])
    numbers = [*range(-4, 5), *map(tensor, range(-4, 5))]
    assert [int(number) for number in numbers if number in x] == [-2, 1, 3] * 2
    with record():
        assert [leaf(1.0)] in leaf([1.0, 2.0])
    same(round(tensor([1.26]), 1), [1.3])
    same(round(tensor([1.26, -2.6])), [1, -3])
    assert x.sweep == 0
    quotient, rest = divmod(x, 2)
    same(quotient, [0, -1, 1])
    same(rest, [1, 0, 1])
    same(divmod(5, tensor(3.0))[1], 2)
    same(tensor([1, 2]) << 2, [4, 8])
    same(x.clip(max=1), [1, -2, 1])
    same(x.real, x.array)
    same(x.imag, 0)
    assert x.astype(float, copy=False) is x
    x.fill(4)
    same(x, [4, 4, 4])


@pytest.mark.parametrize("part", [slice(None), slice(None, None, -1), slice(0, 2)])
def test_a_plain_index_array_may_be_changed_afterwards(part: slice) -> None:
    """What steers a call is kept as it was; also if it is a view."""
    x = leaf([1.0, 2.0, 3.0])
    index, mask = np.array([0, 2])[part], np.array([[True, False, True]])[0, ...]
    with record():
        y = x[index].sum() + np.where(mask, x, 0).sum() + np.take(x, index).sum()
    index[:] = 1
    mask[:] = False
    y.backward()
    same(x.grad, [3, 0, 3])


def test_only_what_steers_a_call_is_copied() -> None:
    """Not the data beside it, however large; nor a tensor, a change of which is noticed."""
    data, index, x = np.arange(5.0), np.array([1]), leaf([7.0])
    with record():
        origins = [np.insert(data, place, x).origin for place in (index, asarray(index))]
    for origin, copied in zip(origins, (True, False), strict=True):
        assert origin is not None
        assert origin.arguments[0] is data
        assert (origin.arguments[1] is index) != copied
        same(origin.arguments[1], [1])


@pytest.mark.parametrize(
    "key",
    [
        lambda index: index.tolist(),
        lambda index: (index.tolist(), [0, 1]),
        lambda index: [index, index],
        lambda index: (index, 0),
        lambda index: (slice(None), index),
        lambda index: (index.tolist(), None, 1),
    ],
)
def test_an_index_array_inside_an_index_may_be_changed_afterwards(key: Any) -> None:
    """A list, too, and what is in one."""
    array, index = np.arange(9.0).reshape(3, 3), np.array([2, 0])
    x, changing = leaf(array), key(index)
    as_it_was = copy.deepcopy(changing)
    with record():
        y = x[changing] * 1
    index[0] = 1
    for part in changing if isinstance(changing, tuple) else [changing]:
        if isinstance(part, list):
            part[0] = 1
    y.backward()
    expected = np.zeros((3, 3))
    np.add.at(expected, as_it_was, 1)
    same(x.grad, expected)


@pytest.mark.parametrize("counter", [tensor, np.array])
@pytest.mark.parametrize("key", [lambda i: slice(i, i + 1), lambda i: (slice(i, None), None)])
def test_the_ends_of_a_slice_may_be_changed_afterwards(counter: Any, key: Any) -> None:
    x, i = leaf([1.0, 2.0, 3.0]), counter(0)
    total: Any = 0
    with record():
        for _ in range(3):
            total = total + x[key(i)].sum()
            i += 1
    total.backward()
    same(x.grad, [1, 1, 1] if isinstance(key(0), slice) else [1, 2, 3])


def test_what_one_user_leaves_out_another_uses() -> None:
    """Also where the two stand on tapes of their own, as the forward and the backward computation do."""
    a, h = leaf([[1.0, 2.0]]), leaf([0.5, 0.7])
    with record():
        y = np.prod(np.exp(a), axis=0)
        g = autograd.grad(y, a, h, create_graph=True)
        s = np.sum(g)
    same(autograd.grad(s, a), h.array * np.exp(a.array))


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("whole", [np.sum, lambda y: np.sum(y * y), lambda y: y[:].sum()])
def test_what_only_one_of_two_users_leaves_out_is_used(whole: Any, swap: bool) -> None:
    x = leaf([0.0, 4.0])
    with record():
        y = np.sqrt(x)
        users = [whole, lambda y: y[1:].sum()]
        total = sum(user(y) for user in (users[::-1] if swap else users))
    with np.errstate(divide="ignore", invalid="ignore"):
        total.backward()
    assert not np.isfinite(x.grad.array[0])
    assert np.isfinite(x.grad.array[1])


@pytest.mark.parametrize(
    "step",
    [
        lambda z: z[:],
        lambda z: np.where([True, False], z, 0),
        lambda z: np.concatenate(np.split(z, 2)),
        lambda z: np.broadcast_arrays(z, 1.0)[0],
    ],
)
@pytest.mark.parametrize("at_once", [False, True])
def test_selections_may_follow_one_another_endlessly(step: Any, at_once: bool) -> None:
    """Also where each result has another, short way to the head, by calls made at once or in the end."""
    x = leaf([4.0, 0.0])
    with record():
        states = [np.sqrt(x)]
        total: Any = states[0][0] if at_once else 0
        for _ in range(400):
            states.append(step(states[-1]))
            if at_once:
                total = total + states[-1][0]
        for state in () if at_once else states:
            total = total + state[0]
    with np.errstate(divide="ignore"):
        total.backward()
    same(x.grad, [401 / 4, 0])


@pytest.mark.parametrize("key", [((0, 0, 1),), [0, 0, 1], (np.array([0, 0, 1]),), range(1)])
def test_gradients_of_indices_that_repeat_add_up_each_time(key: Any) -> None:
    x, c = (
        leaf([1.0, 2.0, 3.0]),
        np.array([1.0, 10.0, 100.0])[: len(key[0] if isinstance(key, tuple) else key)],
    )
    with record():
        y = (x[key] * c).sum() + (x[key] * c).sum()
    y.backward()
    same(x.grad, [22, 200, 0] if len(c) > 1 else [2, 0, 0])


def test_arrays_that_functions_write_into_for_us_are_noticed() -> None:
    x, c, buffer = leaf([1.0, 2.0]), tensor([1.0, 1.0]), np.zeros(2)
    with record():
        np.multiply(c, 2, out=buffer)
        y = np.sum(x * buffer)
        np.multiply(c, 3, out=buffer)
    with pytest.raises(ModifiedError, match=r"argument 1 of np.multiply .* was changed in place"):
        y.backward()


def test_a_named_tuple_as_an_index() -> None:
    class Point(NamedTuple):
        row: int
        column: int

    x = leaf([[1.0, 2.0]])
    with record():
        y = x[Point(0, 1)] * 3
    y.backward()
    same(x.grad, [[0, 3]])


def test_changes_of_options_are_found_or_have_no_effect() -> None:
    x, w = leaf([1.0, 2.0]), leaf([1.0, 3.0])
    mask = np.array([True, False])
    with record():
        y = np.average(x, weights=w)
        z = np.sum(x, where=mask)
    mask[:] = True
    same(autograd.grad(z, x), [1, 0])
    w -= 0.5
    with pytest.raises(ModifiedError, match=r"argument weights of np.average"):
        y.backward()
    for name, call in {"where": np.sum, "weights": np.average}.items():
        constant = tensor([True, False] if name == "where" else [1.0, 3.0])
        with record():
            y = call(x, **{name: constant})
        constant[...] = 1
        with pytest.raises(ModifiedError, match=rf"argument {name} of np"):
            y.backward()


def test_a_number_that_is_indexed_several_times() -> None:
    x = leaf(2.0)
    with record():
        y = x[()] * x[...] * x[None][0] * (x + 1) * x[()]
    y.backward()
    same(x.grad, 4 * 2**3 * 3 + 2**4)


@pytest.mark.parametrize("joined", [np.concatenate, np.hstack, np.stack, lambda rows: np.block(rows)])
def test_a_list_may_be_long(joined: Any) -> None:
    """Longer than any call has arguments."""
    rows, weights = [leaf([float(i)]) for i in range(200)], np.arange(200.0)
    with record():
        y = np.sum(weights * np.ravel(joined(rows)))
    y.backward()
    same(np.concatenate([row.grad for row in rows]), weights)


# ---- what one does not think of ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "function",
    [
        *(
            lambda x: x + 0,
            lambda x: 0 + x,
            lambda x: x - 0,
            lambda x: x * 1,
            lambda x: 1 * x,
            lambda x: x / 1,
        ),
        *(lambda x: x**1, lambda x: +x, lambda x: x + False, lambda x: x @ np.eye(2)),
    ],
)
@pytest.mark.parametrize("scope", [record, pause])
def test_what_changes_nothing_makes_an_array_of_its_own(function: Any, scope: Any) -> None:
    x = tensor([1.0, 2.0])
    with scope():
        assert not np.may_share_memory(function(x).array, x.array)


def test_numbers_of_python_are_cut_off_as_python_does() -> None:
    assert [int(tensor(v)) for v in (-1.5, 1.5, -0.0)] == [-1, 1, 0]
    assert not tensor([1.0]).asnumpy().flags.writeable
    assert repr(np.sum(tensor([1.0, 2.0], dtype=np.float32))) == "tensor(3., dtype=float32)"
    assert tensor(np.ones(2, ">f8")).dtype == np.dtype(">f8")
    with pytest.raises(AttributeError, match="requires_gard"):
        tensor([1.0]).requires_gard = True  # type: ignore[attr-defined]


@pytest.mark.parametrize("number", [int, float, complex])
def test_a_number_of_a_leaf_loses_its_gradient_too(number: Any) -> None:
    x = leaf(1.5)
    with record(), pytest.raises(LostGradientError):
        number(x)
    assert number(x) == number(1.5)


def test_lists_of_tensors_are_written_into_a_tensor() -> None:
    made = tensor([0.0, 0.0])
    assert np.concatenate([tensor([1.0]), tensor([2.0])], out=made) is made
    same(made, [1, 2])


def test_options_of_a_call_of_what_another_thread_has_computed() -> None:
    x = leaf([[1.0, 2.0], [3.0, 4.0]])

    def compute() -> Any:
        with record():
            return x * 3

    with record():
        _ = x * 2
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            y = pool.submit(compute).result()
        z = np.sum(np.sum(y, axis=0) * np.array([1.0, 10.0]))
    z.backward()
    same(x.grad, [[3, 30], [3, 30]])


def test_one_array_twice_among_the_results() -> None:
    def twice(x: Any) -> Any:
        y = np.multiply(x, 1)
        return y, y

    x = leaf([1.0, 2.0])
    with record():
        one, other = differentiable(lambda g, y, x: g[0] + 10 * g[1])(twice)(x)
        total = np.sum(one) + np.sum(2 * other)
    total.backward()
    same(x.grad, [21, 21])


@pytest.mark.filterwarnings("ignore:'where' used without 'out'")
def test_an_unknown_option_beside_a_known_one() -> None:
    x = leaf([1.0, 2.0])
    with record(), pytest.raises(errors.OptionError, match="where="):
        np.exp(x, where=np.array([True, False]), dtype=float)


def test_what_the_second_argument_loses_is_noticed() -> None:
    x, made = leaf([1.0, 2.0]), np.zeros(1)
    with record(), pytest.raises(errors.LostInWriteError, match="`x`"):
        np.compress([True, False], x, out=made)


@pytest.mark.parametrize("mode", [train_mode, predict_mode])
def test_training_alone_does_not_record(mode: Any) -> None:
    x = leaf([1.0, 2.0])
    with mode():
        y = np.sum(np.exp(x))
    assert y.node is None
    with pytest.raises(NotRecordedError):
        y.backward()


def test_what_a_list_was_made_of_is_forgotten_without_the_garbage_collector() -> None:
    x = leaf(np.ones(10))
    gc.collect()
    gc.disable()
    try:
        with record():
            y = x * 2
            z = np.concatenate([y, y])
        array = weakref.ref(y.array)
        del y, z
        assert array() is None
    finally:
        gc.enable()


def test_selections_beside_other_uses() -> None:
    x, v = leaf([1.0, 2.0]), leaf([3.0, -4.0])
    with record():
        u = x * 1.0
        y = (u * 2 + np.maximum(v, 0) + np.maximum(u, 0)).sum()
    y.backward()
    same(x.grad, [3, 3])
    same(v.grad, [1, 0])


def test_an_attached_step_before_what_is_left_out() -> None:
    x = leaf([0.0, 1.0])
    with record():
        y = np.sqrt(x)
        y.attach_grad()
        z = np.where([False, True], y, 0.0).sum()
    z.backward()
    same(x.grad, [0, 0.5])
    same(y.grad, [0, 1])


def test_a_selection_of_what_was_freed() -> None:
    x = leaf([1.0, 2.0])
    with record():
        y = np.exp(x)
        z = y.sum()
    z.backward()
    with record():
        chosen = np.where([True, False], y, 0).sum()
    with pytest.raises(GraphFreedError):
        chosen.backward()


def test_a_rule_may_return_a_tuple_for_a_list_and_a_number_for_an_array() -> None:
    a, b = leaf([1.0]), leaf([2.0])
    weighted = differentiable(lambda g, y, arrays: (g * 2, g * 3))(
        lambda arrays: arrays[0] * 2 + arrays[1] * 3
    )
    with record():
        y = weighted([a * 1.0, b]).sum()
    y.backward()
    same(a.grad, [2])
    same(b.grad, [3])
    with record():
        y = differentiable(lambda g, y, x: 0.0)(lambda x: x * 0)(a).sum()
    y.backward()
    same(a.grad, [0])


def test_functions_are_left_to_an_operand_with_the_protocol_of_ufuncs() -> None:
    class Foreign:
        def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> str:
            return f"{ufunc.__name__} of mine"

        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return np.ones(2)

    assert np.add(tensor([1.0, 2.0]), Foreign()) == "add of mine"


def test_a_scope_ends_with_its_generator() -> None:
    def recording() -> Iterator[None]:
        with record():
            yield

    generator = recording()
    next(generator)
    generator.close()  # type: ignore[attr-defined]
    assert not is_recording()


def test_a_parameter_is_a_tensor_and_a_buffer_is_copied() -> None:
    parameter = Parameter(np.ones(2))
    assert asarray(parameter) is parameter
    buffer = memoryview(bytearray(16)).cast("d")
    x = tensor(buffer)
    buffer[0] = 9.0
    same(x, [0, 0])


def test_heads_that_have_no_graph_are_named_as_such() -> None:
    x = leaf([1.0, 2.0])
    outside = x.sum()
    with record():
        y = np.exp(x * x)
        with pytest.raises(NotRecordedError):
            outside.backward()
        with pytest.raises(NothingAttachedError):
            autograd.backward([y, tensor(2.0)])
    y.backward()
    with pytest.raises(NotRecordedError):
        x.grad.backward()


def test_what_a_sweep_records_has_its_number() -> None:
    x = leaf(2.0)
    with record():
        y = np.exp(x * x)
    slope = autograd.grad(y, x, create_graph=True)
    assert [a.sweep for a in slope.origin.arguments if isinstance(a, Tensor)] == [slope.sweep]
    assert slope.sweep > 0


def test_a_tensor_is_named_by_its_own_variable_among_many() -> None:
    space: dict[str, Any] = {f"v{i}": i for i in range(60)}
    space |= {"tensor": tensor, "np": np}
    exec("one = tensor([1])\nother = one.detach()", space)
    with pytest.raises(errors.NotFloatingError, match=r"^`other`"):
        exec("other.attach_grad()", space)


def test_a_tensor_is_named_in_the_outermost_frame() -> None:
    """Of a thread that Python starts without a frame of its own."""
    messages: queue.SimpleQueue[str] = queue.SimpleQueue()

    def attach() -> None:
        alone = tensor([1])
        try:
            alone.attach_grad()
        except TypeError as error:
            messages.put(str(error))

    _thread.start_new_thread(attach, ())
    assert messages.get(timeout=60).startswith("`alone`")


def test_a_copied_context_has_no_tape_of_its_own_in_another_thread() -> None:
    x = leaf(np.ones(10))
    with record():
        context = contextvars.copy_context()

    def compute() -> bool:
        _ = np.multiply(x, 2)
        with record():
            y = np.exp(np.positive(x))
        made = weakref.ref(y.array)
        del y
        return made() is None

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert pool.submit(context.run, compute).result()


def test_every_attached_step_of_a_tape_gets_its_gradient() -> None:
    x = leaf([1.0, 2.0])
    steps = []
    with record():
        y = x * 2
        for _ in range(3):
            y.attach_grad()
            steps.append(y)
            y = y * 3
    y.backward()
    for step, slope in zip((x, *steps), (54, 27, 9, 3), strict=True):
        same(step.grad, [slope, slope])


@pytest.mark.parametrize("scope", [record, pause])
def test_a_function_of_ones_own_is_given_arrays(scope: Any) -> None:
    given: list[type] = []
    function = differentiable(lambda g, y, x, c: g)(lambda x, c: given.append(type(x)) or x + c)
    with scope():
        for x in (tensor([1.0, 2.0]), leaf([1.0, 2.0])):
            same(function(x, tensor(1.0)), [2, 3])
    assert given == [np.ndarray, np.ndarray]
