"""Drawing a Tensor's graph: what is drawn, how it is named, and that any name and any size can be drawn."""

import contextlib
import gc
import io
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from search import examples
from tinygrad_lr import Tensor, autograd, differentiable, record, tensor
from tinygrad_lr.errors import GraphFreedError, NotRecordedError
from tinygrad_lr.module import Module
from tinygrad_lr_viz import dot, graph
from tinygrad_lr_viz.flow import flow
from tinygrad_lr_viz.graph import Drawing, draw_graph
from tinygrad_lr_viz.layout import LayoutError
from tinygrad_lr_viz.reading import find_names, read

SVG = "{http://www.w3.org/2000/svg}"
NASTY = (
    'say "w" \\N \\back\\',
    "{a|b}<p> x",
    "</script><b>bold</b>",
    "<b>html</b>",
    "&lt;&amp;&#39;",
    "line\nbreak\ttab",
    "\u202eoverride",
    "مرحبا بالعالم",
    "重み行列",
    "🎉 emoji",
    "x" * 10_000,
    "->:;[]#//%s $HOME",
    "trailing\\",
)


def attached(values: Any) -> Tensor:
    t = tensor(np.array(values, float))
    t.attach_grad()
    return t


def nodes(drawing: Drawing) -> dict[str, str]:
    """The nodes of the graph by name, each with its attributes; the legend's are left out."""
    body = drawing.dot.split("subgraph legend")[0]
    return dict(
        re.findall(r'^  (?:subgraph \w+ \{ )*"((?:\\.|[^"\\])*)" \[(id=.*)\](?: \})*$', body, re.MULTILINE)
    )


def edges(drawing: Drawing, back: bool = False) -> list[tuple[str, str]]:
    """The edges along which values flow, or those along which gradients flow back."""
    name = r'"((?:\\.|[^"\\])*)"'
    lines = drawing.dot.split("subgraph legend")[0].splitlines()
    found = [
        (re.match(rf"  {name} -> {name}", line), "class=gradient" in line)
        for line in lines
        if "dashed" not in line
    ]
    return [(edge[1], edge[2]) for edge, gradient in found if edge and gradient == back]


def step() -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of a training step of linear regression, and what it was computed from."""
    w, b = attached([[2.0], [-3.4]]), attached([0.5])
    X, y = tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]), tensor(np.ones((4, 1)))
    with record():
        loss = ((X @ w + b - y) ** 2 / 2).mean()
    return loss, {"w": w, "b": b, "X": X, "y": y}


@pytest.fixture(scope="module")
def rendered() -> tuple[Drawing, str]:
    """The drawing of a training step and its SVG: laying out takes a second, so that it is done once."""
    loss, names = step()
    names["Wide Model Weights: MMWW"] = names.pop("w")
    drawing = draw_graph(loss, names=names)
    return drawing, drawing.svg()


# ---- what is drawn ----------------------------------------------------------------------------------------


def test_a_training_step() -> None:
    loss, names = step()
    drawing = draw_graph(loss, names=names)
    assert drawing.title == "Computation graph of loss: 6 operations from w, b"
    assert edges(drawing) == [
        ("X", "matmul(X, w)"),
        ("w", "matmul(X, w)"),
        ("matmul(X, w)", "add(·, b)"),
        ("b", "add(·, b)"),
        ("add(·, b)", "subtract(·, y)"),
        ("y", "subtract(·, y)"),
        ("subtract(·, y)", "power(·, 2)"),
        ("power(·, 2)", "divide(·, 2)"),
        ("divide(·, 2)", "loss"),
    ]
    label = r"w\n(2, 1)\n2, -3.4\ngrad -"
    assert f'label="{label}"' in nodes(drawing)["w"]
    assert r'label="mean|loss\n()\n' in nodes(drawing)["loss"]


def test_kinds_differ_in_more_than_colour() -> None:
    loss, names = step()
    colourless = {
        name: re.sub('[a-z]*color="[^"]*"', "", text)
        for name, text in nodes(draw_graph(loss, names=names)).items()
    }
    outline = {
        name: re.sub(r"^id=\w+, class=\"\w+\", |,? (label|width)=.*", "", text)
        for name, text in colourless.items()
    }
    assert outline["X"] == outline["y"]
    assert outline["w"] == outline["b"]
    assert len({outline["X"], outline["w"], outline["loss"]}) == 3


def test_gradients_are_a_dash_until_backward_has_stored_one() -> None:
    x, unused = attached([1.0, 2.0]), attached(5.0)
    with record():
        y = (x * x).sum() + 0.0 * unused
    assert r"\ngrad -" in nodes(draw_graph(y))["x"]
    y.backward(retain_graph=True)
    drawn = nodes(draw_graph(y))
    assert r"\ngrad 2, 4" in drawn["x"]
    assert r"\ngrad 0" in drawn["unused"]  # a gradient that is zero is not none
    given = attached(1.0)
    given.grad = 3.0
    with record():
        assert r"\ngrad 3" in nodes(draw_graph(given * 2))["given"]
    hidden = draw_graph(y, gradients=False)
    assert "grad" not in hidden.dot
    assert dot.BACKWARD not in hidden.dot


def test_an_attached_intermediate_shows_its_gradient() -> None:
    x = attached(3.0)
    with record():
        middle = x * 2
        middle.attach_grad()
        y = middle * middle
    y.backward(retain_graph=True)
    assert r"middle\n()\n6\ngrad 12" in nodes(draw_graph(y))["middle"]


def test_gradients_flow_only_where_they_are_needed() -> None:
    x, data = attached([1.0]), tensor([2.0])
    with record():
        y = x * data
    drawing = draw_graph(y)
    assert edges(drawing) == [("x", "y"), ("data", "y")]
    assert edges(drawing, back=True) == [("x", "y")]


def test_where_broadcasting_is_undone() -> None:
    loss, names = step()
    marked = [line for line in draw_graph(loss, names=names).dot.splitlines() if "broadcast" in line]
    assert len(marked) == 1
    assert marked[0].startswith('  "b" -> "add(·, b)"')


@pytest.mark.parametrize(
    ("shown", "compute"),
    [
        ("x[1:3]", lambda x: x[1:3]),
        ("x[::2]", lambda x: x[::2]),
        ("x[..., None, 0]", lambda x: x[..., None, 0]),
        ("x[[0, 2]]", lambda x: x[[0, 2]]),
        ("x[·]", lambda x: x[np.array([0, 2])]),
        ("power(x, 3)", lambda x: x**3),
        ("subtract(2, x)", lambda x: 2 - x),
        ("divide(x, 0.3333)", lambda x: x / (1 / 3)),
        ("sum(x, axis=0, keepdims=True)", lambda x: x.sum(axis=0, keepdims=True)),
        ("reshape(x, (1, 4))", lambda x: x.reshape(1, 4)),
        ("astype(x, float32)", lambda x: x.astype(np.float32)),
        ("concatenate([x, x])", lambda x: np.concatenate([x, x])),
        ("sum(x, 0, float32)", lambda x: np.sum(x, 0, np.float32)),
        ("exp(x)", np.exp),
        ("add.reduce(x, axis=0)", lambda x: np.add.reduce(x, axis=0)),
        ("split(x, 2)[1]", lambda x: np.split(x, 2)[1]),
        ("linalg.norm(x, 1)", lambda x: np.linalg.norm(x, 1)),
    ],
)
def test_operations_read_like_the_call(shown: str, compute: Any) -> None:
    x = attached([1.0, 2.0, 3.0, 4.0])
    with record():
        result = compute(x)
    assert f'label="{shown}|' in nodes(draw_graph(result))["result"]


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (3.14159, r"()\n3.142"),
        ([], r"(0,)\nempty"),
        ([1.0, -2.5], r"(2,)\n1, -2.5"),
        ([1.0, -2.5, 4.0, 9.0], r"(4,)\n-2.5 … 9"),
        ([1.0, 1.0, 1.0, 1.0], r"(4,)\nall 1"),
        ([1024.0, 0.1234567], r"(2,)\n1024, 0.123"),
        ([-1e6, 999_999.9], r"(2,)\n-1e+06, 1000000"),
        ([1.0, np.nan, np.nan, np.inf], r"(4,)\n2 NaN, 1 inf of 4"),
    ],
)
def test_values(values: Any, shown: str) -> None:
    x = attached(values)
    assert shown in draw_graph(x).dot
    assert shown.split(r"\n")[1] not in nodes(draw_graph(x, values=False))["x"]


def test_data_of_other_types() -> None:
    x = attached([1.0, 2.0, 3.0, 4.0])
    mask, index = np.array([True, False, True, True]), np.arange(4)
    with record():
        y: Any = np.where(mask, x, 0.0)[index]
    drawn = nodes(draw_graph(y))
    assert "False … True" in drawn["mask"]
    assert "0 … 3" in drawn["index"]


def test_texts_are_shown_where_they_are_few() -> None:
    labelled = differentiable(lambda g, y, x, labels: g)(lambda x, labels: x * 1)
    x = attached([1.0, 2.0])
    with record():
        y = labelled(labelled(x, np.array(["a", "b"])), np.array(["a", "b", "c", "d"]))
    drawn = nodes(draw_graph(y))
    assert r'label="data\n(2,)\na, b"' in drawn["data"]
    assert r'label="data\n(4,)"' in drawn["data 2"]


def test_the_garbage_collector_stays_as_it_is() -> None:
    assert gc.isenabled()
    loss, names = steps(10)
    for collecting in (True, False):
        if not collecting:
            gc.disable()
        try:
            draw_graph(loss, names=names, fold=True)
            assert gc.isenabled() == collecting
        finally:
            gc.enable()


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99), st.booleans()), min_size=1, max_size=12))
def test_edges_are_the_operands_in_order_each_time(program: list[tuple[int, int, bool]]) -> None:
    """Of a random program: every operation has an edge per operand, in order, and is drawn after them."""
    pool = [attached([1.0]), attached([2.0])]
    expected: dict[str, list[str]] = {}
    names: dict[str, Any] = {"t0": pool[0], "t1": pool[1]}
    with record():
        for i, j, subtract in program:
            i, j = i % len(pool), j % len(pool)
            pool.append(pool[i] - pool[j] if subtract else pool[i] * pool[j])
            names[f"t{len(pool) - 1}"] = pool[-1]
            expected[f"t{len(pool) - 1}"] = [f"t{i}", f"t{j}"]
    head = f"t{len(pool) - 1}"
    drawing = draw_graph(pool[-1], names=names)
    reached, todo = set[str](), [head]
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            todo += expected.get(name, [])
    drawn = edges(drawing)
    for name in reached & expected.keys():
        sources = [source for source, target in drawn if target == name]
        assert [source.split()[0] for source in sources] == expected[name]  # "t0 3": t0, drawn again
    assert len(drawn) == 2 * len(reached & expected.keys())
    order = list(nodes(drawing))
    assert {name.split()[0] for name in order} == reached
    assert all(order.index(source) < order.index(target) for source, target in drawn)


def test_unnamed_operands_are_numbered() -> None:
    x = attached([2.0])
    with record():
        y: Any = np.exp(x) / np.sin(x)
        z: Any = np.exp(x) + np.sin(x)
    assert re.findall(r'"(\w+)\(x\)" -> "y" .*headlabel="(\d)"', draw_graph(y).dot) == [
        ("exp", "1"),
        ("sin", "2"),
    ]
    assert "headlabel" not in draw_graph(z).dot  # a sum does not need it
    with record():
        many: Any = np.concatenate([x * i for i in range(9)])
    assert re.findall(r'taillabel="(\d)"', draw_graph(many).dot) == list("123456789")


def test_the_same_program_gives_the_same_dot() -> None:
    def program() -> str:
        loss, names = step()
        loss.backward(retain_graph=True)
        return draw_graph(loss, names=names, direction="TB").dot

    assert program() == program()


def test_the_same_program_gives_the_same_dot_in_another_process() -> None:
    program = """
import numpy as np
from tinygrad_lr import autograd, record, tensor
from tinygrad_lr_viz.graph import draw_graph
w, other = tensor(np.ones((3, 1))), {name: np.arange(3.0) * i for i, name in enumerate("abcdef")}
w.attach_grad()
with record():
    y = sum((np.tanh(value @ w) * value).sum() for value in other.values())
    slope = autograd.grad(y, w, create_graph=True)
    for _ in range(300):
        y = y * np.sin(y) + slope.sum()
y.backward(retain_graph=True)
print(draw_graph(y).dot)
"""
    path = os.pathsep.join(str(Path(__file__).parent.parent / folder) for folder in (".", "viz"))
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    other = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", program],
        env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    ).stdout
    with contextlib.redirect_stdout(io.StringIO()) as here:
        exec(program, {"__name__": "__main__"})
    assert other == here.getvalue()
    assert "digraph" in other


def test_options_change_the_drawing() -> None:
    loss, names = step()
    assert "rankdir=LR" in draw_graph(loss, names=names).dot
    assert "rankdir=TB" in draw_graph(loss, names=names, direction="TB").dot
    assert "legend" not in draw_graph(loss, names=names, legend=False).dot


def test_a_leaf_alone() -> None:
    w = attached([1.0])
    drawing = draw_graph(w)
    assert list(nodes(drawing)) == ["w"]
    assert drawing.title == "Computation graph of w: 0 operations from w"


def test_a_part_that_was_freed() -> None:
    x = attached(2.0)
    with record():
        shared = x * x
        loss = shared * 3
        other = shared * 5
    loss.backward()
    assert "style=dotted" in nodes(draw_graph(other))["shared"]


# ---- names ------------------------------------------------------------------------------------------------


def test_names_of_the_callers_variables_and_arrays() -> None:
    weight, raw = attached([[1.0], [2.0]]), np.array([[3.0, 4.0]])
    wrapped = tensor([[5.0]])
    with record():
        result: Any = raw @ weight + wrapped
    assert set(nodes(draw_graph(result))) == {"weight", "raw", "wrapped", "matmul(raw, weight)", "result"}


def test_names_of_attributes_and_items() -> None:
    model = SimpleNamespace(w=attached([1.0]), layers=[SimpleNamespace(b=attached([2.0]))])
    options = {"scale": attached([3.0])}
    with record():
        y = model.w * options["scale"] + model.layers[0].b
    drawn = set(nodes(draw_graph(y)))
    assert {"model.w", "model.layers[0].b", "options['scale']"} <= drawn


def test_self_is_left_out_of_names() -> None:
    class Model:
        def __init__(self) -> None:
            self.w = attached([1.0])

        def draw(self) -> Drawing:
            with record():
                y = self.w * 2
            return draw_graph(y)

    assert set(nodes(Model().draw())) == {"w", "y"}


def test_given_names_go_first_and_nobody_needs_one() -> None:
    loss, tensors = step()
    named = nodes(draw_graph(loss, names={"weights": tensors["w"], "inputs": tensors["X"].array}))
    assert {"weights", "inputs"} <= set(named)
    assert "w" not in named
    x = attached([1.0])
    hidden: list[Any] = []
    with record():
        hidden.append(np.multiply(np.ones(1), x))
    del x
    drawn = set(nodes(draw_graph(hidden.pop())))
    assert drawn == {"data", "parameter", "multiply"}


def test_variables_that_hold_themselves_or_very_much_end_the_search() -> None:
    loop: list[Any] = []
    loop.append(loop)
    many = [list(range(100)) for _ in range(1000)]
    x = attached([1.0])
    assert list(nodes(draw_graph(x))) == ["x"]
    assert len(loop) == 1
    assert len(many) == 1000


def test_equal_names_stay_apart() -> None:
    x = attached([1.0])
    with record():
        y: Any = np.exp(np.exp(np.exp(x)))
    assert edges(draw_graph(y)) == [("x", "exp(x)"), ("exp(x)", "exp"), ("exp", "y")]
    with record():
        y = x * np.ones(1) * np.ones(1)
    assert set(nodes(draw_graph(y))) == {"x", "data", "multiply(x, ·)", "data 2", "y"}


def test_copies_of_whole_numbers_and_masks_are_found_by_what_is_in_them() -> None:
    mask, rows, other = np.array([True, False]), np.array([1, 0]), np.array([0, 0])
    wanted: dict[Any, Any] = {1: mask.copy(), 2: rows.copy(), 3: np.array([1.0, 2.0])}
    scope = {"other": other, "floats": np.array([1.0, 2.0]), "mask": mask, "rows": rows}
    assert find_names(wanted, [scope]).names == {1: "mask", 2: "rows"}


def test_any_name_is_drawn_as_it_is_and_runs_nothing() -> None:
    tensors = [attached([float(i), 1.0]) for i in range(len(NASTY))]
    names: dict[str, Any] = dict(zip(NASTY, tensors, strict=True))
    with record():
        parts = [t * t for t in tensors]
        total: Any = np.concatenate(parts)
    names["he|re{<\\"] = total
    root = ElementTree.fromstring(draw_graph(total, names=names).svg())
    texts = {text.text for text in root.iter(f"{SVG}text")}
    for name in (*NASTY[:5], *NASTY[7:10], *NASTY[11:], "he|re{<\\"):
        assert name in texts
    assert {r"line\nbreak\ttab", r"\u202eoverride", "x" * 23 + "…"} <= texts
    assert not [
        e
        for e in root.iter()
        if e.tag.removeprefix(SVG)
        not in ("svg", "style", "g", "title", "text", "path", "polygon", "polyline")
    ]
    assert len(list(root.iter(f"{SVG}style"))) == 1
    titles = {title.text for title in root.iter(f"{SVG}title")}
    assert "</script><b>bold</b>" in titles
    assert root.get("role") == "img"
    assert str(root.get("aria-label")).startswith("Computation graph of he|re{<\\: 14 operations")


@examples(100)
@given(st.text(min_size=1, max_size=60).filter(str.strip))
def test_any_name_gives_well_formed_dot(name: str) -> None:
    x = attached([1.0])
    with record():
        y = x * x
    dot = draw_graph(y, names={name: x}).dot
    assert dot.isascii() or dot.encode()  # no lone surrogate
    without_strings = re.sub(r'"(?:\\.|[^"\\])*"', "S", dot)
    reference = re.sub(r'"(?:\\.|[^"\\])*"', "S", draw_graph(y, names={"x": x}).dot)
    strip = str.maketrans("", "", "0123456789.")
    assert without_strings.translate(strip) == reference.translate(strip)


# ---- size -------------------------------------------------------------------------------------------------


def test_a_chain_of_20_000_operations_is_one_repeated() -> None:
    x = attached([1.0, 2.0])
    with record():
        y = x
        for _ in range(20_000):
            y = y * 1.0
    drawing = draw_graph(y)
    assert edges(drawing) == [("x", "carried: y"), ("carried: y", "y")]
    assert '"carried: y" -> "y" [style=dashed, dir=back,' in drawing.dot  # what it carries on
    assert "\N{MULTIPLICATION SIGN} 20,000, the last is shown" in drawing.dot
    assert "Folded, as all 20,001 nodes are more than max_nodes=500." in drawing.dot
    assert "draw_graph(…, fold=False, max_nodes=20001)" in drawing.dot
    assert drawing.title == "Computation graph of y: 20,000 operations from x, drawn as 3 nodes"


def steps(n: int) -> tuple[Tensor, dict[str, Any]]:
    """The loss after n steps that are part of the graph, so that it can be differentiated by lr."""
    w, lr = attached([1.0]), attached([0.01])
    x, t = np.array([0.5]), np.array([0.3])
    names: dict[str, Any] = {"w": w, "lr": lr, "x": x, "t": t}
    with record():
        for _ in range(n):
            e = w * x - t
            w = w - lr * (2 * e * x)
        loss = ((w * x - t) ** 2).sum()
    return loss, names


def test_a_loop_is_drawn_once_with_what_it_carries() -> None:
    loss, names = steps(1_000)
    drawing = draw_graph(loss, names=names)
    assert drawing.title == "Computation graph of loss: 6,004 operations from w, lr, drawn as 15 nodes"
    assert drawing.dot.count("the last is shown") == 1
    assert "\N{MULTIPLICATION SIGN} 1,000, the last is shown" in drawing.dot
    carried = [name for name in nodes(drawing) if name.startswith("carried")]
    assert len(carried) == 1
    assert ("w", carried[0]) in edges(drawing)
    assert [target for source, target in edges(drawing) if source == carried[0]] == [
        "multiply(·, x)",
        "subtract",
    ]
    assert drawing.dot.count(f'"{carried[0]}" -> "subtract" [style=dashed, dir=back,') == 1


def test_what_a_loop_begins_with_is_shown_unless_values_are_not() -> None:
    loss, names = steps(10)
    shown = nodes(draw_graph(loss, names=names, fold=True))
    bare = nodes(draw_graph(loss, names=names, fold=True, values=False))
    (name,) = (name for name in shown if name.startswith("carried"))
    assert rf"{name}\n(1,)\nfirst 1" in shown[name]
    assert rf'{name}\n(1,)"' in bare[name]


@pytest.mark.parametrize("n", [10, 40])
def test_folding_can_be_asked_for_and_forbidden(n: int) -> None:
    loss, names = steps(n)
    assert draw_graph(loss, names=names, fold=True).title.endswith("drawn as 15 nodes")
    whole = draw_graph(loss, names=names, fold=False, max_nodes=250)
    assert "the last is shown" not in whole.dot
    assert len(nodes(whole)) >= 6 * n
    assert "Folded" not in draw_graph(loss, names=names, fold=True).dot


def test_layers_of_different_parameters_are_one_repeated() -> None:
    layers = [attached(np.eye(2)) for _ in range(300)]
    h: Any = tensor(np.ones((1, 2)))
    with record():
        for i in range(300):
            h = np.tanh(h @ layers[i])
    drawing = draw_graph(h)
    assert r"layers[0] … layers[299]\n(2, 2)\n300 different ones" in drawing.dot
    assert len(nodes(drawing)) == 5


def test_results_of_every_repetition_come_along_one_edge() -> None:
    x = attached([1.0])
    results = []
    with record():
        y = x
        for _ in range(600):
            y = y * 0.9
            results.append(y)
        total: Any = np.stack(results)
    del results, y
    drawing = draw_graph(total)
    assert edges(drawing).count(("multiply(·, 0.9)", "total")) == 1
    assert "each of 600" in drawing.dot


def test_the_gradient_of_a_loop_folds_as_the_loop_does() -> None:
    layers = [attached(np.eye(2)) for _ in range(300)]
    h: Any = tensor(np.ones((1, 2)))
    with record():
        for layer in layers:
            h = np.tanh(h @ layer)
        slopes = autograd.grad(h.sum(), layers, create_graph=True)
        total: Any = sum((slope**2).sum() for slope in slopes)
    drawing = draw_graph(total)
    assert len(nodes(drawing)) < 40
    assert drawing.dot.count("the last is shown") >= 3  # forward, backward, the sum


def of_no_pattern(n: int) -> Tensor:
    """A result of many operations among which nothing is repeated."""
    random = np.random.default_rng(0)
    pool: list[Any] = [attached([1.0])]
    with record():
        for i in range(n):
            a, b = random.integers(max(0, i - 5), i + 1, 2)
            pool.append([np.exp, np.sin, np.cos][random.integers(3)](pool[a]) * pool[b])
    return pool[-1]


def test_of_what_does_not_fold_the_nearest_part_is_drawn() -> None:
    head = of_no_pattern(700)
    drawing = draw_graph(head)
    drawn = nodes(drawing)
    assert len(drawn) < 40
    size = int(re.findall(r"all ([\d,]+) nodes", drawing.dot)[0].replace(",", ""))
    fold = next(text for text in drawn.values() if "earlier operations" in text)
    assert rf"folded here; to draw them all:\ndraw_graph(…, max_nodes={size})" in fold
    count = re.search(r"… ([\d,]+) earlier", fold)
    assert count is not None
    shown = sum('class="operation"' in text for text in drawn.values())
    repeated = [int(n) for n in re.findall("\N{MULTIPLICATION SIGN} (\\d+),", drawing.dot)]
    assert repeated or int(count[1].replace(",", "")) + shown == size - 1
    assert len(nodes(draw_graph(head, max_nodes=size))) == size


def test_what_is_folded_and_what_is_not() -> None:
    x = attached([1.0])
    with record():
        y = x
        for _ in range(9):
            y = y + 1.0
    assert len(nodes(draw_graph(y, max_nodes=10))) == 10
    small = draw_graph(y, max_nodes=4, fold=False)
    assert len(nodes(small)) == 5  # three operations, what the first of them reads, the leaf
    assert edges(small)[0] == ("x", "… 6 earlier operations")
    assert nodes(draw_graph(y, max_nodes=0))


def test_of_many_leaves_in_the_folded_part_most_are_counted() -> None:
    leaves = [attached([1.0]) for _ in range(600)]
    with record():
        y = leaves[0]
        for leaf in leaves[1:]:
            y = y + leaf
    drawing = draw_graph(y, fold=False)
    assert len(nodes(drawing)) < 60
    assert "more parameters" in drawing.dot


def test_of_many_leaves_of_one_call_most_are_counted() -> None:
    leaves = [attached([float(i)]) for i in range(3000)]
    with record():
        y: Any = np.concatenate(leaves)
    drawing = draw_graph(y)
    assert len(nodes(drawing)) == 10
    assert "… 2,992 more" in nodes(drawing)


def test_an_18_fold_diamond_is_18_operations() -> None:
    x = attached([1.0])
    with record():
        y = x
        for _ in range(18):
            y = y + y
    drawing = draw_graph(y)
    assert len(nodes(drawing)) == 19
    assert set(Counter(edges(drawing)).values()) == {2}


def test_a_leaf_used_often_is_drawn_at_each_use_so_that_layout_stays_quick() -> None:
    x = attached([1.0])
    with record():
        y = x
        for _ in range(300):
            y = y * x
        y = y * (x * x)
    drawing = draw_graph(y)
    assert max(Counter(source for source, _ in edges(drawing)).values()) <= 2
    assert sum(r"(1,)\n1\ngrad" in text for text in nodes(drawing).values()) == 1  # the others are stubs
    assert "</svg>" in drawing.svg()  # within render's time limit


# ---- Modules ----------------------------------------------------------------------------------------------


class Layer(Module):
    def __init__(self, n: int, m: int) -> None:
        self.w, self.b = attached(np.ones((n, m))), attached(np.zeros(m))

    def forward(self, X: Any) -> Any:
        return X @ self.w + self.b


class Network(Module):
    def __init__(self) -> None:
        self.first, self.rest = Layer(2, 3), [Layer(3, 3), Layer(3, 1)]

    def forward(self, X: Any) -> Any:
        for layer in self.rest:
            X = layer(np.tanh(self.first(X) if layer is self.rest[0] else X))
        return X

    def draw(self, X: Any) -> Drawing:
        with record():
            y = self(X)
        return draw_graph(y)


def frames(drawing: Drawing) -> dict[str, list[str]]:
    """The labels of the frames around each node, the outermost first."""
    labels = dict(re.findall(r'subgraph (cluster_\d+) \{ label="(.*?) *\\l"', drawing.dot))
    lines = re.findall(r'^  ((?:subgraph \w+ \{ )*)"((?:\\.|[^"\\])*)" \[id', drawing.dot, re.MULTILINE)
    return {name: [labels[frame] for frame in re.findall(r"cluster_\d+", start)] for start, name in lines}


def network() -> tuple[Network, Tensor, np.ndarray[Any, Any]]:
    model, X = Network(), np.ones((5, 2))
    with record():
        loss = ((model(X) - 1.0) ** 2).mean()
    return model, loss, X


def test_modules_are_frames() -> None:
    model, loss, X = network()
    around = frames(draw_graph(loss))
    outer, first = "model: Network", "model.first: Layer"
    assert around["model.first.w"] == around["matmul(X, …first.w)"] == [outer, first]
    assert around["tanh"] == [outer]  # between two layers
    assert around["add(·, …rest[1].b)"] == [outer, "model.rest[1]: Layer"]
    assert around["X"] == around["loss"] == around["subtract(·, 1)"] == []
    assert len(model.parameters()) == 6
    assert X.shape == (5, 2)


def test_a_module_that_draws_itself_is_called_by_its_class() -> None:
    around = frames(Network().draw(np.ones((5, 2))))
    assert around["first.w"] == ["Network", "first: Layer"]


def test_depth_says_how_many_levels_are_opened() -> None:
    model, loss, X = network()
    assert X.shape == (5, 2)
    assert len(model.parameters()) == 6
    closed = draw_graph(loss, depth=0)
    assert edges(closed) == [
        ("X", "model: Network"),
        ("model: Network", "subtract(·, 1)"),
        ("subtract(·, 1)", "power(·, 2)"),
        ("power(·, 2)", "loss"),
    ]
    assert r"model: Network\n8 operations\n" in nodes(closed)["model: Network"]
    assert r"\nmodel.rest[0].w (3, 3)\n" in nodes(closed)["model: Network"]
    half = draw_graph(loss, depth=1)
    assert frames(half)["model.first: Layer"] == ["model: Network"]
    assert ("model.first: Layer", "tanh") in edges(half)
    assert "model.first.w" not in nodes(half)
    assert len(nodes(draw_graph(loss, depth=2))) == len(nodes(draw_graph(loss)))


def test_chosen_modules_are_collapsed() -> None:
    model, loss, X = network()
    assert X.shape == (5, 2)
    drawn = nodes(draw_graph(loss, collapse=[model.first, *model.rest[1:]]))
    assert {"model.first: Layer", "model.rest[1]: Layer", "model.rest[0].w"} <= set(drawn)
    assert "model.first.w" not in drawn
    with pytest.raises(TypeError, match=r"collapse must hold Modules, not str: \[model.encoder\]"):
        draw_graph(loss, collapse=["first"])  # type: ignore[list-item]
    with pytest.raises(
        ValueError, match=r"depth must be 0 \(each Module one node\) or more, or None, not -1"
    ):
        draw_graph(loss, depth=-1)


def test_a_collapsed_module_in_a_loop_has_no_carried_value_of_its_own() -> None:
    model, state = Layer(2, 2), tensor(np.ones((1, 2)))
    with record():
        for _ in range(50):
            state = np.tanh(model(state))
    drawing = draw_graph(state, fold=True, depth=0)
    assert len(model.parameters()) == 2
    assert set(nodes(drawing)) == {"data", "model: Layer", "state", "carried: state"}


class Stacked(Module):
    def __init__(self) -> None:
        self.layers = [Layer(2, 2) for _ in range(12)]

    def forward(self, X: Any) -> Any:
        for layer in self.layers:
            X = layer(np.tanh(X))
        return X


class Parallel(Module):
    def __init__(self) -> None:
        self.layers = [Layer(2, 2) for _ in range(2)]

    def forward(self, X: Any) -> Any:
        return np.concatenate([layer(X) for layer in self.layers])


@pytest.mark.parametrize("kind", [Stacked, Parallel])
def test_a_collapsed_module_reads_what_comes_from_outside_once(kind: type[Module]) -> None:
    model, x = kind(), attached([[1.0, 2.0]])
    with record():
        y: Any = model(np.exp(x))
    drawn = edges(draw_graph(y, fold=True, depth=0))
    assert drawn[:2] == [("x", "exp(x)"), ("exp(x)", f"model: {kind.__name__}")]
    assert {source for source, _ in drawn[2:]} <= {f"model: {kind.__name__}"}


def test_parameters_stand_in_their_module_also_where_others_read_them() -> None:
    one, two = Layer(2, 2), Layer(2, 2)
    with record():
        y: Any = one.w * two.w
    assert frames(draw_graph(y)) == {"one.w": ["one: Layer"], "two.w": ["two: Layer"], "y": []}
    assert frames(draw_graph(y, depth=0)) == {"one.w": [], "two.w": [], "y": []}
    assert len(one.parameters()) == len(two.parameters()) == 2


# ---- second order -----------------------------------------------------------------------------------------


def test_what_backward_computed_is_framed_and_of_another_shape() -> None:
    x = attached([1.0, 2.0])
    with record():
        y: Any = np.sin(x) * x
        slope = autograd.grad(y, x, create_graph=True)
        total = (slope * slope).sum() + y.sum()
    drawing = draw_graph(total)
    around, drawn = frames(drawing), nodes(drawing)
    backward = [name for name, labels in around.items() if labels == ["backward, with create_graph"]]
    assert "cos(x)" in backward
    assert not {"x", "y", "sin(x)", "total"} & set(backward)
    assert all("shape=record" in drawn[name] and "operation backward" in drawn[name] for name in backward)
    assert all("shape=Mrecord" in drawn[name] for name in ("y", "sin(x)", "total"))
    assert "computed by backward" in drawing.dot


def test_sweeps_are_numbered_in_the_order_of_the_program() -> None:
    def third(x: Tensor) -> str:
        with record():
            y: Any = np.exp(np.sin(x))
            for _ in range(2):
                y = autograd.grad(y, x, create_graph=True)
        return draw_graph(y, names={"x": x}).dot

    dots = {third(attached([0.5])) for _ in range(2)}
    assert len(dots) == 1  # though the engine's own numbers go on
    assert "backward 1, with create_graph" in dots.pop()


# ---- how much flows ---------------------------------------------------------------------------------------


def test_edges_are_wider_where_more_gradient_flows() -> None:
    a, b, c, u = (attached([value]) for value in (1.0, 2.0, 3.0, 4.0))
    with record():
        y = (1.0 * a + 0.1 * b + 1e-9 * c + 0.0 * u).sum()
    assert 'd55e00", penwidth' not in draw_graph(y).dot  # nothing has flowed yet
    y.backward(retain_graph=True)
    lines = [line for line in draw_graph(y).dot.splitlines() if "class=gradient" in line]
    looks = {name: next(line for line in lines if line.startswith(f'  "{name}" ->')) for name in "abcu"}
    widths = {name: re.findall(r"penwidth=([\d.]+)", look) for name, look in looks.items()}
    assert widths == {"a": ["5.2"], "b": ["2.6"], "c": ["1.3"], "u": []}
    assert "arrowtail=odot" in looks["u"]
    assert "the wider an edge" in draw_graph(y).dot
    assert "the wider an edge" not in draw_graph(y, gradients=False).dot


def test_the_width_is_that_of_the_gradient_along_the_edge() -> None:
    """Checked against the gradients of copies, one for each edge."""
    x = attached([0.5, -2.0])
    with record():
        y = (x * np.exp(x) + x[::-1] * x.sum()).sum()
    y.backward(retain_graph=True)
    sizes = flow(read(y))
    copies = [attached([0.5, -2.0]) for _ in range(4)]
    with record():
        z = (copies[0] * np.exp(copies[1]) + copies[2][::-1] * copies[3].sum()).sum()
    z.backward()
    expected = sorted(float(np.linalg.norm(copy.grad.numpy())) for copy in copies)
    graph = read(y)
    found = sorted(
        sizes[place, i]
        for place, values in graph.inputs.items()
        for i, value in enumerate(values)
        if value is x
    )
    np.testing.assert_allclose(found, expected)


def test_the_width_of_a_node_is_that_of_its_characters() -> None:
    """Those that are put over others take no room, and those of East Asia take more."""
    x = attached(1.0)
    with record():
        y = 2 * x
    widths = []
    for name in ("e" * 12, "e\u0301" * 12, "重" * 12):
        drawn = nodes(draw_graph(y, names={name: x}))[name]
        widths.append(float(re.findall(r" width=([\d.]+)", drawn)[0]))
    assert widths[0] == widths[1] == round(12 * 0.66 / 6 + 0.25, 2)
    assert widths[2] == round(12 * 1.05 / 6 + 0.25, 2)


def test_of_a_list_each_array_has_its_own_width() -> None:
    a, b = attached([1.0, 2.0]), attached([3.0])
    with record():
        y: Any = (np.concatenate([2 * a, np.ones(1), b]) * np.array([1.0, 2.0, 9.0, 4.0])).sum()
    graph = read(y)
    (place,) = (place for place, origin in graph.origins.items() if origin.function is np.concatenate)
    found = {i: size for (reader, i), size in flow(graph).items() if reader == place}
    assert found == pytest.approx({0: np.sqrt(1 + 4), 2: 4})


def test_a_gradient_that_is_not_finite_is_said_to_be() -> None:
    x = attached([0.0])
    with record(), np.errstate(all="ignore"):
        y = (np.log(x) * 2.0).sum()
    with np.errstate(all="ignore"):
        y.backward(retain_graph=True)
    assert 'taillabel="  NaN or inf  "' in draw_graph(y).dot


def test_after_a_parameter_was_changed_edges_are_plain() -> None:
    w = attached([1.0, 2.0])
    with record():
        y = (w * w).sum()
    y.backward(retain_graph=True)
    w -= 0.1 * w.grad
    assert 'd55e00", penwidth' not in draw_graph(y).dot
    assert ("w", "multiply(w, w)") in edges(draw_graph(y))


# ---- pictures ---------------------------------------------------------------------------------------------


def test_the_picture_can_be_read_by_screen_readers(rendered: tuple[Drawing, str]) -> None:
    drawing, svg = rendered
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "img"
    assert root.get("aria-label") == drawing.title == next(root.iter(f"{SVG}title")).text


def test_operands_are_laid_out_in_their_order() -> None:
    leaves = {f"x{i}": attached([float(i)]) for i in range(5)}
    with record():
        y: Any = np.concatenate([np.exp(leaf) for leaf in leaves.values()])
    picture = draw_graph(y, names=leaves, direction="TB").svg()
    places = {n: float(x) for x, n in re.findall(r'<text[^>]* x="([-\d.]+)"[^>]*>exp\((x\d)\)<', picture)}
    assert sorted(places, key=places.__getitem__) == list(leaves)


def test_text_stays_in_its_box_in_wider_fonts_too(rendered: tuple[Drawing, str]) -> None:
    """Each node is as wide as its text in DejaVu Sans, the widest font that browsers fall back to."""
    font = FontProperties(family="DejaVu Sans", size=12)
    root = ElementTree.fromstring(rendered[1])
    checked = 0
    for group in root.iter(f"{SVG}g"):
        if not str(group.get("class")).startswith("node"):
            continue
        shape = next(e for e in group.iter() if e.tag in (f"{SVG}path", f"{SVG}polygon"))
        xs = [float(x) for x in re.findall(r"(-?[\d.]+),", shape.get("d") or shape.get("points") or "")]
        for text in group.iter(f"{SVG}text"):
            size = float(text.get("font-size") or 0)
            width = TextPath((0, 0), text.text or "", prop=font).get_extents().width * size / 12
            assert width < max(xs) - min(xs), text.text
            checked += 1
    assert checked > 30


def test_nodes_and_edges_have_ids_and_kinds() -> None:
    loss, names = step()
    drawing = draw_graph(loss, names=names)
    assert f'id={drawing.ids[names["w"].node]}, class="parameter"' in nodes(drawing)["w"]
    assert f'id={drawing.ids[id(names["X"].array)]}, class="data"' in nodes(drawing)["X"]
    head, first = drawing.ids[loss.node], drawing.ids[next(iter(read(loss).origins))]
    assert f'id={head}, class="operation"' in nodes(drawing)["loss"]
    assert re.search(rf'-> "loss" \[id="{head}-1"\]', drawing.dot)
    assert re.search(rf'"X" -> "matmul\(X, w\)" \[id="{first}-1"\]', drawing.dot)
    assert re.search(rf'"w" -> "matmul\(X, w\)" \[id="{first}-2"\]', drawing.dot)


def test_stubs_are_known_by_the_id_of_their_leaf() -> None:
    x = attached([1.0])
    with record():
        y = x
        for _ in range(10):
            y = y * x
    drawing = draw_graph(y)
    assert f'class="parameter stub {drawing.ids[x.node]}"' in drawing.dot


@pytest.mark.usefixtures("quick")
def test_themes() -> None:
    loss, names = step()
    light, dark, auto = (draw_graph(loss, names=names, theme=theme) for theme in ("light", "dark", "auto"))
    assert light.dot == auto.dot != dark.dot
    assert "prefers-color-scheme" in auto.svg()
    assert "<style" not in light.svg()
    with pytest.raises(ValueError, match='theme must be "auto", "light" or "dark", not \'night\''):
        draw_graph(loss, theme="night")


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb, as WCAG 2.2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    low, high = sorted([luminance(a), luminance(b)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", dot.THEMES)
def test_text_and_lines_can_be_told_from_the_paper(theme: str) -> None:
    """WCAG 2.2 asks for a contrast of 4.5 for text and of 3 for lines."""
    colours = dot.THEMES[theme]
    paper = colours["paper"]
    assert contrast(colours["ink"], paper) > 7
    assert contrast(colours["neutral"], paper) > 4.5
    assert contrast(colours["forward"], paper) > 3
    assert contrast(colours["backward"], paper) > 3
    assert contrast(dot.ON_PARAMETER, colours["parameter"]) > 4.5


@pytest.mark.usefixtures("quick")
def test_a_page_of_its_own_needs_nothing_else(tmp_path: Path) -> None:
    x = attached([1.0])
    with record():
        y = x * 2
    draw_graph(y, names={"</title><script>alert(1)</script>": x}, theme="dark").save(tmp_path / "graph.html")
    page = (tmp_path / "graph.html").read_text("utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "<script" not in page
    assert "http" not in page
    assert "&lt;/title&gt;&lt;script" in page
    assert "--paper:#161616" in page


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A renderer that is quick, and draws nothing but what it was asked for."""

    def render(dot: str, format: str, time_limit: float) -> bytes:
        return f'<?xml version="1.0"?><svg width="1pt"><text>{format} {time_limit}</text></svg>'.encode()

    monkeypatch.setattr(graph, "render", render)


@pytest.mark.usefixtures("quick")
def test_save_writes_what_the_suffix_says(tmp_path: Path) -> None:
    drawing = draw_graph(step()[0])
    for name in ("a.svg", "a.DOT", "a.html", "a.png", "a.pdf"):
        drawing.save(str(tmp_path / name), time_limit=7)
    written = {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()}
    assert written["a.svg"] == drawing.svg(time_limit=7)
    assert written["a.svg"].startswith("<svg ")
    assert written["a.svg"].endswith("<text>svg 7</text></svg>")
    assert written["a.DOT"] == drawing.dot
    assert written["a.html"] == drawing.html(time_limit=7)
    assert "<text>svg 7</text>" in written["a.html"]
    assert "<text>png 7</text>" in written["a.png"]
    assert "<text>pdf 7</text>" in written["a.pdf"]


def test_save_says_which_formats_there_are(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"graph\.jpg'?: name the picture \.svg, \.png, \.pdf, \.dot or "):
        draw_graph(step()[0]).save(tmp_path / "graph.jpg")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("quick")
def test_jupyter_gets_the_picture_or_the_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    drawing = draw_graph(step()[0])
    bundle = drawing._repr_mimebundle_()
    assert bundle["image/svg+xml"] == drawing.svg()
    assert bundle["text/plain"] == repr(drawing)

    def fail(dot: str, format: str, time_limit: float) -> bytes:
        raise LayoutError("no Graphviz is here")

    monkeypatch.setattr(graph, "render", fail)
    assert drawing._repr_mimebundle_() == {"text/plain": f"no Graphviz is here\n\n{drawing.dot}"}
    with pytest.raises(LayoutError, match="no Graphviz is here"):
        drawing.save(tmp_path / "graph.svg")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("width", "fitting"), [(700, 700), (900, 720), (2000, 1200)])
def test_jupyter_gets_no_wider_picture_than_it_shows(
    width: int, fitting: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as it can be read: at less than 0.6 of its size it could not."""
    monkeypatch.setattr(Drawing, "svg", lambda _: f'<svg width="{width}.00pt" height="100.00pt">')
    shown = Drawing("", "a graph")._repr_mimebundle_()["image/svg+xml"]
    assert shown == f'<svg width="{fitting}pt" height="{100 * fitting / width:.0f}pt">'


# ---- errors -----------------------------------------------------------------------------------------------


def test_errors_say_what_to_write() -> None:
    x, array = attached(1.0), np.ones(2)
    with pytest.raises(TypeError, match="draws the graph of a Tensor, not of ndarray"):
        draw_graph(array)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"direction must be \"LR\" .* not 'RL'"):
        draw_graph(x, direction="RL")
    for names in ({"x": 3}, {3: x}, {" ": x}):
        with pytest.raises(TypeError, match=r'names must be like \{"w": w\}'):
            draw_graph(x, names=names)  # type: ignore[arg-type]
    with pytest.raises(
        NotRecordedError, match=r"outside record\(\).* Call w\.attach_grad\(\) and compute it inside"
    ):
        draw_graph(x * 2)
    with record():
        y = x * 2
    y.backward()
    with pytest.raises(
        GraphFreedError, match=r"Draw before backward\(\), or call backward\(retain_graph=True\)"
    ):
        draw_graph(y)
