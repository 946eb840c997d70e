"""Drawing a Tensor's graph: what is drawn, how it is named, and that any name and any size can be drawn."""

import re
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

from tinygrad_lr import Tensor, autograd, record, tensor
from tinygrad_lr.errors import GraphFreedError, NotRecordedError
from tinygrad_lr_viz import dot, graph
from tinygrad_lr_viz.graph import Drawing, draw_graph
from tinygrad_lr_viz.layout import LayoutError

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


def edges(drawing: Drawing) -> list[tuple[str, str]]:
    body = drawing.dot.split("subgraph legend")[0]
    name = r'"((?:\\.|[^"\\])*)"'
    return re.findall(rf"^  {name} -> {name}", body, re.MULTILINE)


def step() -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of a training step of linear regression, and what it was computed from."""
    w, b = attached([[2.0], [-3.4]]), attached([0.5])
    X, y = tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]), tensor(np.ones((4, 1)))
    with record():
        loss = ((X @ w + b - y) ** 2 / 2).mean()
    return loss, {"w": w, "b": b, "X": X, "y": y}


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
    lines = draw_graph(y).dot.splitlines()
    assert any('"x" -> "y"' in line and "dir=both" in line for line in lines)
    assert any('"data" -> "y"' in line and "dir=both" not in line for line in lines)


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
        assert [source for source, target in drawn if target == name] == expected[name]
    assert len(drawn) == 2 * len(reached & expected.keys())
    order = list(nodes(drawing))
    assert set(order) == reached
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


@settings(max_examples=200)
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


def test_a_chain_of_100_000_operations_is_one_repeated() -> None:
    x = attached([1.0, 2.0])
    with record():
        y = x
        for _ in range(100_000):
            y = y * 1.0
    drawing = draw_graph(y)
    assert edges(drawing) == [
        ("x", "carried: y"),
        ("carried: y", "y"),
        ("y", "carried: y"),
    ]
    assert "\N{MULTIPLICATION SIGN} 100,000, the last is shown" in drawing.dot
    assert "Folded, as all 100,001 nodes are more than max_nodes=500." in drawing.dot
    assert "draw_graph(…, fold=False, max_nodes=100001)" in drawing.dot
    assert drawing.title == "Computation graph of y: 100,000 operations from x, drawn as 3 nodes"


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
    loss, names = steps(40_000)
    drawing = draw_graph(loss, names=names)
    assert drawing.title == "Computation graph of loss: 240,004 operations from w, lr, drawn as 15 nodes"
    assert drawing.dot.count("the last is shown") == 1
    assert "\N{MULTIPLICATION SIGN} 40,000, the last is shown" in drawing.dot
    carried = [name for name in nodes(drawing) if name.startswith("carried")]
    assert len(carried) == 1
    assert ("w", carried[0]) in edges(drawing)
    assert [target for source, target in edges(drawing) if source == carried[0]] == [
        "multiply(·, x)",
        "subtract",
    ]
    assert "constraint=false" in next(
        line
        for line in drawing.dot.splitlines()
        if line.endswith(f'-> "{carried[0]}" [style=dashed, constraint=false]')
    )


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
        for layer in layers:
            h = np.tanh(h @ layer)
    del layer
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
    drawing = draw_graph(y)
    assert max(Counter(source for source, _ in edges(drawing)).values()) <= 2
    assert sum(r"(1,)\n1\ngrad" in text for text in nodes(drawing).values()) == 1  # the others are stubs
    assert "</svg>" in drawing.svg()  # within render's time limit


# ---- pictures ---------------------------------------------------------------------------------------------


def test_the_picture_can_be_read_on_dark_pages_and_by_screen_readers() -> None:
    loss, names = step()
    drawing = draw_graph(loss, names=names)
    root = ElementTree.fromstring(drawing.svg())
    assert root.get("role") == "img"
    assert root.get("aria-label") == drawing.title == next(root.iter(f"{SVG}title")).text


def test_operands_are_laid_out_in_their_order() -> None:
    leaves = {f"x{i}": attached([float(i)]) for i in range(5)}
    with record():
        y: Any = np.concatenate([np.exp(leaf) for leaf in leaves.values()])
    picture = draw_graph(y, names=leaves, direction="TB").svg()
    places = {n: float(x) for x, n in re.findall(r'<text[^>]* x="([-\d.]+)"[^>]*>exp\((x\d)\)<', picture)}
    assert sorted(places, key=places.__getitem__) == list(leaves)


@pytest.mark.parametrize("direction", ["LR", "TB"])
def test_text_stays_in_its_box_in_wider_fonts_too(direction: str) -> None:
    """Each node is as wide as its text in DejaVu Sans, the widest font that browsers fall back to."""
    font = FontProperties(family="DejaVu Sans", size=12)
    loss, names = step()
    names["Wide Model Weights: MMWW"] = names.pop("w")
    root = ElementTree.fromstring(draw_graph(loss, names=names, direction=direction).svg())
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


def test_save_writes_what_the_suffix_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loss, names = step()
    drawing = draw_graph(loss, names=names)
    drawing.save(tmp_path / "graph.svg")
    assert (tmp_path / "graph.svg").read_text("utf-8") == drawing.svg()
    drawing.save(str(tmp_path / "graph.DOT"))
    assert (tmp_path / "graph.DOT").read_text("utf-8") == drawing.dot
    monkeypatch.setattr(graph, "render", lambda dot, format, time_limit: f"{format} {time_limit}".encode())
    for format in ("png", "pdf"):
        drawing.save(tmp_path / f"graph.{format}", time_limit=7)
        assert (tmp_path / f"graph.{format}").read_text() == f"{format} 7"


def test_save_says_which_formats_there_are(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"graph\.jpg'?: name the picture \.svg, \.png, \.pdf, \.dot or "):
        draw_graph(step()[0]).save(tmp_path / "graph.jpg")
    assert not list(tmp_path.iterdir())


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
