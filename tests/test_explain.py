"""The explanation of a gradient: its lines run, its numbers are the engine's, and no name can break it."""

import html
import itertools
import re
import warnings
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_lr
from compositions import programs, run, shapes
from domains import DOMAINS
from search import examples
from tinygrad_lr import Tensor, autograd, differentiable, record, tensor
from tinygrad_lr.calls import tensors_in
from tinygrad_lr.derivatives import DERIVATIVES
from tinygrad_lr.errors import GraphFreedError, NothingAttachedError, NotRecordedError
from tinygrad_lr_viz import Explanation, differences, explain, graph, layout
from tinygrad_lr_viz.explanation import MAX_OPERATIONS
from tinygrad_lr_viz.reading import read
from tinygrad_lr_viz.walk import last_part


def leaf(values: Any, dtype: Any = float) -> Tensor:
    t = tensor(np.asarray(values, dtype))
    t.attach_grad()
    return t


def recorded(function: Callable[..., Tensor], *arguments: Any) -> Tensor:
    with record():
        return function(*arguments)


def lines(explanation: Explanation, phase: str = "backward") -> list[str]:
    return [line for step in explanation._walk.steps if step.phase == phase for line in step.lines]


def notes(explanation: Explanation) -> str:
    return " ".join(note for step in explanation._walk.steps for note in step.notes)


def verdicts(explanation: Explanation) -> list[str]:
    return [check.verdict for check in explanation._walk.checks]


def assert_lines_lead_to_the_gradients(head: Tensor, names: dict[str, Any], out_grad: Any = None) -> None:
    """Run the lines with nothing but NumPy and what is given; compare with the engine."""
    walk = explain(head, out_grad, names=names, max_operations=1000)._walk
    given = [step.name for step in walk.steps if step.phase == "given"]
    sources = last_part(read(head), 1000).sources.values()
    arrays = [getattr(value, "array", value) for value in sources]
    scope: dict[str, Any] = dict(zip(given, arrays, strict=True))
    scope |= {"np": np, "scipy": scipy, "tinygrad_lr": tinygrad_lr, "out_grad": out_grad}
    if any("<array of shape" in line for step in walk.steps for line in step.lines):
        return  # a large constant of the rule's own, such as indices, is not written out
    for step in walk.steps:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec("\n".join(step.lines), scope)
        if step.lines == (f"{step.name} = 1.0",):
            scope[step.name] = np.float64(1)  # which some lines ask for its dtype
    np.testing.assert_allclose(scope[walk.head], head.numpy(), rtol=1e-12)
    leaves = {name: value for name, value in names.items() if isinstance(value, Tensor)}
    for name, gradient in walk.leaves:
        expected = autograd.grad(head, leaves[name], out_grad, retain_graph=True)
        np.testing.assert_allclose(scope[gradient], expected.array, rtol=1e-7, atol=1e-10)
        assert np.shape(scope[gradient]) == expected.shape


@pytest.fixture
def _quick_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The layout of pictures takes a second each, and is tested elsewhere."""
    monkeypatch.setattr(graph, "render", lambda *_, **__: b'<svg xmlns="http://www.w3.org/2000/svg"></svg>')


# ---- the lines --------------------------------------------------------------------------------------------


@examples(50)
@given(programs, shapes, st.integers(0, 2**16))
def test_the_lines_of_random_programs_run_and_lead_to_the_gradients(program, shape, seed):
    x = leaf(np.random.default_rng(seed).normal(size=shape))
    assert_lines_lead_to_the_gradients(recorded(run, program, x), {"x": x})


PRIVATE = {"_zeta", "psi", "polygamma"}  # SciPy has no public name for the function in their derivatives
FUNCTIONS = [
    function
    for function, row in DERIVATIVES.items()
    if row.rules
    and function in DOMAINS
    and DOMAINS[function].call is None
    and function.__name__ not in PRIVATE
]


@examples(60)
@given(st.sampled_from(FUNCTIONS), st.data())
def test_the_lines_of_every_function_run_and_lead_to_the_gradients(function, data):
    call = data.draw(DOMAINS[function].calls)
    leaves: list[Tensor] = []

    def attached(value: Any) -> Any:
        if isinstance(value, list):
            return [attached(part) for part in value]
        if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
            return value
        leaves.append(leaf(value, value.dtype))
        return leaves[-1]

    rules = DERIVATIVES[function].rules
    arguments = [
        attached(value) if i < len(rules) and callable(rules[i]) else value
        for i, value in enumerate(call.arguments)
    ]
    if isinstance(arguments[0], np.ndarray):
        arguments[0] = tensor(arguments[0])  # np.full_like looks at its first argument only
    with record(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = function(*arguments, **call.options)
        weighted = [np.sum(r * np.cos(np.arange(r.size).reshape(r.shape))) for r in tensors_in([result])]
        y = sum(weighted, tensor(0.0))
    if y.node is not None:
        assert_lines_lead_to_the_gradients(y, {f"x{i}": x for i, x in enumerate(leaves)})


def test_lines_speak_in_the_names_of_the_program() -> None:
    rng = np.random.default_rng(0)
    X, y, w, b = rng.normal(size=(4, 2)), rng.normal(size=(4, 1)), leaf(np.zeros((2, 1))), leaf([0.0])
    with record():
        y_hat = X @ w + b
        loss = np.mean((y_hat - y) ** 2 / 2)
    explanation = explain(loss)
    assert explanation.title == "The chain rule for loss: 6 operations from w, b"
    assert lines(explanation, "forward") == [
        "v1 = X @ w",
        "y_hat = v1 + b",
        "v2 = y_hat - y",
        "v3 = v2**2",
        "v4 = v3 / 2",
        "loss = np.mean(v4)",
    ]
    assert lines(explanation) == [
        "grad_loss = 1.0",
        "grad_v4 = np.broadcast_to(grad_loss * 0.25, (4, 1))",
        "grad_v3 = grad_v4 / 2",
        "grad_v2 = grad_v3 * (2 * v2)",
        "grad_y_hat = grad_v2",
        "grad_v1 = grad_y_hat",
        "grad_b = np.sum(grad_y_hat, axis=0)",
        "grad_w = X.T @ grad_v1",
    ]
    assert "b of shape (1,) was broadcast to (4, 1): its gradient is summed." in notes(explanation)
    assert verdicts(explanation) == ["they agree", "they agree"]


def test_gradients_that_add_up_are_counted() -> None:
    x = leaf(3.0)
    y = recorded(lambda x: x * x + x, x)
    explanation = explain(y)
    assert lines(explanation)[2:] == [
        "grad_x = grad_y",
        "grad_x = grad_x + grad_v1 * x",
        "grad_x = grad_x + grad_v1 * x",
    ]
    assert [step.numbers for step in explanation._walk.steps[-3:]] == ["1", "4", "7"]
    assert "x is used 3 times: this is the first of 3 gradients that add up." in notes(explanation)
    assert "Gradient 3 of 3 for x, added to what has come so far; that is all of them." in notes(explanation)


def test_invented_names_keep_off_those_of_the_program() -> None:
    data1, v1 = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    loss = recorded(lambda: np.sum(np.array([5.0, 6.0]) * data1 * v1))
    assert lines(explain(loss), "forward") == ["v2 = data2 * data1", "v3 = v2 * v1", "loss = np.sum(v3)"]


def test_indexing_is_written_as_numpy_does_it() -> None:
    x = leaf([1.0, 2.0, 3.0])
    y = recorded(lambda x: np.sum(x[1:] * x[[0, 0]]), x)
    assert lines(explain(y))[4:] == [
        "grad_x = np.zeros((3,))",
        "np.add.at(grad_x, [0, 0], grad_v2)",
        "_1 = np.zeros((3,))",
        "_1[1:] = grad_v1",
        "grad_x = grad_x + _1",
    ]


def test_attributes_keep_their_names() -> None:
    model = tinygrad_lr.LinearRegressionScratch(2, 0.1)
    loss = recorded(lambda: model.loss(model(np.ones((3, 2))), np.zeros((3, 1))))
    found = lines(explain(loss))
    assert any(line.startswith("grad_model_w = ") for line in found)
    assert "v1 = data1 @ model.w" in lines(explain(loss), "forward")


def test_function_of_ones_own_and_rules_that_ask_for_arrays() -> None:
    @differentiable(lambda g, y, x: g * np.asarray(x) * 2)
    def squared(x: Any) -> Any:
        return x * x

    x = leaf([1.0, 2.0])
    y = recorded(lambda x: np.sum(squared(x)), x)
    explanation = explain(y)
    assert lines(explanation, "forward")[0] == "v1 = test_explain.squared(x)"
    assert lines(explanation)[-1] == "grad_x = grad_v1 * np.array([1.0, 2.0]) * 2"
    assert verdicts(explanation) == ["they agree"]


def test_rules_of_ones_own_may_use_their_arrays_as_sequences_and_numbers() -> None:
    def of_largest(g: Any, y: Any, x: Any) -> Any:
        first, second = x
        slopes = [1.0, 0.0] if first > second else [0.0, 1.0]
        return float(g) * 2 * [first, second][np.argmax(x)] * np.array(slopes)

    largest_squared = differentiable(of_largest)(lambda x: np.max(x) ** 2)
    x = leaf([1.0, 3.0])
    explanation = explain(recorded(largest_squared, x), names={"x": x})
    assert lines(explanation)[-1] == "grad_x = 2.0 * x[1] * np.array([0.0, 1.0])"
    assert verdicts(explanation) == ["they agree"]


def test_a_rule_may_make_an_array_of_its_own() -> None:
    @differentiable(lambda g, y, x: np.zeros(x.shape))
    def held(x: Any) -> Any:
        return np.copy(x)

    x = leaf([1.0, 3.0])
    y = recorded(lambda x: np.sum(x * held(x)), x)
    assert lines(explain(y))[-1] == "grad_x = grad_x + np.array([0.0, 0.0])"
    assert verdicts(explain(y)) == ["they differ"]  # differences do not know that it was held


@pytest.mark.parametrize(
    ("line", "function", "values"),
    [
        ("grad_x = grad_v1.T", differentiable(lambda g, y, x: g.T)(np.transpose), [[1.0], [2.0]]),
        ("grad_x = grad_v1 * x", differentiable(lambda g, y, x: g * x**1)(np.copy), [1.0, 2.0]),
        ("v1 = np.copy(x)", lambda x: x.copy(), [1.0, 2.0]),
        ("grad_x = grad_v1 * x**1.0", lambda x: scipy.special.boxcox(x, 2), [1.0, 2.0]),
        (
            "grad_x = np.where(np.invert(np.isnan(x)), grad_v1, 0)",
            np.nansum,
            [1.0, 2.0],
        ),
        ("_1 = np.linalg.eigh(x, 'L')", np.linalg.eigvalsh, [[2.0, 1.0], [1.0, 3.0]]),
        (
            "grad_x = grad_v1 * np.zeros((0,), np.float64)",
            differentiable(lambda g, y, x: g * np.ones(x.shape))(np.copy),
            [],
        ),
        ("v1 = np.maximum(x, -np.inf)", lambda x: np.maximum(x, -np.inf), [1.0, 2.0]),
        ("v1 = -x", lambda x: -x, [1.0, 2.0]),
        ("v1 = x[..., 1:]", lambda x: x[..., 1:], [1.0, 2.0]),
        (
            "grad_x = np.sum(grad_v1, axis=1, keepdims=True)",
            lambda x: x + np.ones((2, 3)),
            [[1.0], [2.0]],
        ),
    ],
)
def test_lines_of_rules(line: str, function: Callable[..., Any], values: Any) -> None:
    x = leaf(values)
    y = recorded(lambda x: np.sum(function(x)), x)
    assert_lines_lead_to_the_gradients(y, {"x": x})
    explanation = explain(y)
    assert line in [*lines(explanation, "forward"), *lines(explanation)]


def test_one_of_several_results() -> None:
    x = leaf([1.0, 2.0, 3.0, 4.0])
    y = recorded(lambda x: np.sum(np.split(x, 2)[1] ** 2), x)
    assert_lines_lead_to_the_gradients(y, {"x": x})


def test_lists_may_hold_constants() -> None:
    x = leaf([1.0, 2.0])
    y = recorded(lambda x: np.sum(np.concatenate([np.ones(1), x]) * np.arange(3.0)), x)
    assert_lines_lead_to_the_gradients(y, {"x": x})


def test_the_gradient_of_a_gradient_of_a_slice() -> None:
    def slope(x: Any) -> Any:
        return np.sum(autograd.grad(np.sum(x[1:] ** 3), x, create_graph=True))

    x = leaf([1.0, 2.0, 3.0])
    y = recorded(slope, x)
    assert_lines_lead_to_the_gradients(y, {"x": x})
    assert any("scatter(v4, np.s_[1:], (3,))" in line for line in lines(explain(y), "forward"))


def test_elements_left_out_stay_without_gradient() -> None:
    x = leaf([0.0, 4.0])
    y = recorded(lambda x: np.sum(np.where(x.array > 0, np.sqrt(x), 2 * x)), x)
    explanation = explain(y)
    (check,) = explanation._walk.checks
    np.testing.assert_allclose(check.gradient, [2, 0.25])
    assert lines(explanation)[-2:] == [
        "grad_x = grad_v2 * 2",
        "grad_x = grad_x + np.where(grad_v1 != 0, grad_v1 / (2 * v1), 0)",
    ]


# ---- the numbers ------------------------------------------------------------------------------------------


def test_nothing_is_changed() -> None:
    x = leaf([1.0, 2.0])
    y = recorded(lambda x: np.sum(x * x), x)
    explain(y)
    np.testing.assert_array_equal(x.grad.array, [0, 0])
    y.backward()
    np.testing.assert_array_equal(x.grad.array, [2, 4])


@pytest.mark.usefixtures("_quick_pictures")
def test_numbers_stay_those_of_the_explanation() -> None:
    x = leaf([1.0, 2.0])
    y = recorded(lambda x: np.sum(x * x), x)
    explanation = explain(y)
    before = explanation.text(), explanation.html()
    y.backward()
    x -= x.grad
    assert (explanation.text(), explanation.html()) == before


def test_an_explanation_names_nothing_itself() -> None:
    x = leaf([1.0, 2.0])
    y = recorded(lambda x: np.sum(x * x), x)
    explanation = explain(y)
    assert explain(y).text() == explanation.text()


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_narrow_dtypes_are_checked_in_float64(dtype: Any) -> None:
    x = leaf([1.5, -2.0], dtype)
    y = recorded(lambda x: np.mean(np.tanh(x) ** 2), x)
    assert verdicts(explain(y)) == ["they agree"]
    cast = recorded(lambda x: np.mean(np.tanh(x.astype(dtype)) ** 2), x)
    assert verdicts(explain(cast)) == ["they agree"]


def test_head_of_several_elements_and_its_own_gradient() -> None:
    x = leaf([1.0, 2.0])
    y = recorded(lambda x: x * x, x)
    explanation = explain(y)
    assert lines(explanation)[0] == "grad_y = np.ones((2,))"
    assert "y is more than one number" in notes(explanation)
    np.testing.assert_array_equal(explanation._walk.checks[0].gradient, [2, 4])
    assert_lines_lead_to_the_gradients(y, {"x": x}, np.array([1.0, -3.0]))
    assert verdicts(explain(y, [1.0, -3.0])) == ["they agree"]


@pytest.mark.usefixtures("_quick_pictures")
def test_head_that_is_a_leaf() -> None:
    x = leaf(2.0)
    explanation = explain(x)
    assert lines(explanation) == ["grad_x = 1.0"]
    assert verdicts(explanation) == ["they agree"]
    assert "x = 2" in explanation.text()
    assert "Forward: the values" not in explanation.html()


def test_arrays_that_are_not_numpys_are_not_computed() -> None:
    array = pytest.importorskip("dask.array", reason="NOT TESTED WITH DASK: pip install dask")
    X, w = tinygrad_lr.asarray(array.ones((6, 2), chunks=(3, 2))), leaf([1.0, 2.0])
    explanation = explain(recorded(lambda: np.mean((X @ w) ** 2)))
    assert lines(explanation)[-1] == "grad_w = X.T @ grad_v1"
    assert "dask Array, not computed here  # shape (6,)" in explanation.text()
    assert verdicts(explanation) == ["not checked: not all of its arrays are NumPy's"]


def test_large_leaves_are_checked_along_one_direction() -> None:
    w = leaf(np.linspace(-1, 1, 50))
    loss = recorded(lambda w: np.sum(np.sin(w)), w)
    (check,) = explain(loss)._walk.checks
    assert check.verdict == "they agree"
    assert check.difference == pytest.approx(check.along, rel=1e-8)
    assert "along a random direction" in explain(loss).text()


def test_large_arrays_are_summed_up() -> None:
    w = leaf(np.arange(40.0))
    steps = explain(recorded(lambda w: np.mean(w * 3.0), w))._walk.steps
    assert steps[0].numbers.endswith("38. 39.]\nin all: 0 … 39")
    assert steps[-1].numbers.endswith("0.075]\nin all: 0.075")
    cube = leaf(np.arange(64.0).reshape(4, 4, 4))
    assert explain(recorded(np.sum, cube))._walk.steps[0].numbers == "0 … 63"


def test_small_values_are_moved_by_less() -> None:
    x = leaf(1e-9)
    assert verdicts(explain(recorded(np.log, x))) == ["they agree"]


def test_finite_differences_tell_a_kink_from_a_wrong_rule() -> None:
    x = leaf([0.0, 1.0])
    at_kink = recorded(lambda x: np.sum(3 * np.clip(x, 0, None)), x)
    assert verdicts(explain(at_kink)) == ["at a kink, with slopes of 0 and 3 on its two sides"]

    @differentiable(lambda g, y, x: 3 * g)
    def wrong(x: Any) -> Any:
        return 2 * x

    assert verdicts(explain(recorded(lambda x: np.sum(wrong(x)), x))) == ["they differ"]


def test_values_that_are_not_finite_nearby() -> None:
    assert verdicts(explain(recorded(np.sqrt, leaf(0.0)))) == [
        "not checked: the values are not finite nearby"
    ]


def test_a_rule_that_asks_for_the_kind_of_array_is_found() -> None:
    @differentiable(lambda g, y, x: g if isinstance(x, np.ndarray) else 2 * g)
    def fickle(x: Any) -> Any:
        return x + 0

    x = leaf([1.0, 2.0])
    y = recorded(lambda x: np.sum(fickle(x)), x)
    with pytest.raises(RuntimeError, match=r"another gradient of y with respect to x .* Write plain NumPy"):
        explain(y)


# ---- large graphs -----------------------------------------------------------------------------------------


def chain(length: int) -> tuple[Tensor, Tensor]:
    x = leaf([1.0, 2.0])
    with record():
        y = x
        for _ in range(length):
            y = np.sin(y) + x
        return x, np.sum(y)


def test_a_long_chain_is_explained_as_far_as_a_reader_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    x, head = chain(2000)
    explanation = explain(head)
    assert f"the last {MAX_OPERATIONS} of 4,001 operations" in explanation.text()
    assert "explain(…, max_operations=400)" in explanation.text()
    assert len(lines(explanation, "forward")) == MAX_OPERATIONS
    expected = autograd.grad(head, x, retain_graph=True).array
    np.testing.assert_array_equal(explanation._walk.checks[0].gradient, expected)
    assert verdicts(explanation) == ["they agree"]
    monkeypatch.setattr(differences, "COST", 1e6)
    assert verdicts(explain(head)) == ["not checked: recomputing would take too long"]


def test_many_leaves_are_counted() -> None:
    leaves = [leaf(float(i)) for i in range(30)]
    text = explain(recorded(lambda: sum(leaves[1:], leaves[0] * 1))).text()
    assert "… and 10 more parameters" in text
    assert text.splitlines()[0].endswith(" and 22 more")


@pytest.mark.usefixtures("_quick_pictures")
def test_page_is_under_100_kB_beside_the_picture() -> None:
    _, head = chain(30)
    names = {"a" * 40: head}
    explanation = explain(head, names=names)
    page = explanation.html()
    picture = explanation._drawing.svg()
    assert len(page.encode()) - len(picture.encode()) < 100_000
    assert len(lines(explanation, "forward")) == MAX_OPERATIONS


# ---- names ------------------------------------------------------------------------------------------------


class Elements(HTMLParser):
    """The names of the elements of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.names.append(tag)
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


HOSTILE = [
    "</script><b>",
    "<img src=x onerror=alert(1)>",
    "\"' onload='alert(1)",
    "{x}|<y>${z}$title",
    "two\nlines\t\r",
    "-->",
    "]]>",
    "משקל",
    "وزن",
    "重み",
    "\u202eabc",
    "\x00\x07",
    "🐧",
    "x" * 10_000,
    "lambda",
    "np",
    "1",
    "a.b.class",
    "²",
]


@examples(40)
@given(st.lists(st.sampled_from(HOSTILE) | st.text(min_size=1), min_size=2, max_size=2, unique=True))
def test_names_mean_nothing_but_themselves(names):
    plain, x = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    y = recorded(lambda: np.sum(plain * x))
    chosen = dict(zip(names, (x, y), strict=True))
    chosen = {name: value for name, value in chosen.items() if name.strip()}
    explanation = explain(y, names={"plain": plain, **chosen})
    for line in [*lines(explanation, "forward"), *lines(explanation)]:
        compile(line, "line", "exec")
        assert len(line) < 200
    assert explanation.text().isprintable() or set(explanation.text()) - {"\n"} == {
        c for c in explanation.text() if c.isprintable()
    }
    explanation = explain(y, names={"plain": plain})
    assert verdicts(explanation) == ["they agree", "they agree"]


def test_page_with_hostile_names_has_the_elements_of_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "_commands", lambda *_: {})  # pictures have tests of their own
    x, c = leaf([1.0, 2.0]), np.array([3.0, 4.0])
    y = recorded(lambda: np.sum(c * x))
    plain = Elements(explain(y, names={"x": x, "c": c, "y": y}).html())
    for one, other in itertools.pairwise(HOSTILE):
        page = Elements(explain(y, names={one: x, other: c}).html())
        assert [name for name in page.names if name != "bdi"] == plain.names


def test_right_to_left_names_keep_the_order_of_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "_commands", lambda *_: {})
    a, b = leaf(1.0), leaf(2.0)
    y = recorded(lambda: a * b)
    assert "<bdi>משקל</bdi> * <bdi>وزن</bdi>" in explain(y, names={"משקל": a, "وزن": b}).html()


# ---- what it is shown as ----------------------------------------------------------------------------------


def small() -> Explanation:
    x = leaf([1.0, 2.0])
    return explain(recorded(lambda x: np.sum(x * x), x), names={"x": x})


@pytest.mark.usefixtures("_quick_pictures")
def test_it_is_saved_as_a_page_or_as_text(tmp_path: Path) -> None:
    explanation = small()
    explanation.save(tmp_path / "a.html")
    explanation.save(tmp_path / "a.txt")
    assert (tmp_path / "a.html").read_text("utf-8") == explanation.html()
    assert (tmp_path / "a.txt").read_text("utf-8") == explanation.text() + "\n" == f"{explanation}\n"
    with pytest.raises(ValueError, match=r"a\.pdf': name the explanation \.html or \.txt"):
        explanation.save(tmp_path / "a.pdf")


@pytest.mark.usefixtures("_quick_pictures")
def test_page_asks_for_nothing_else() -> None:
    page = small().html()
    assert "default-src 'none'" in page
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!#)|url\((?!#)|@import""", page.split("<svg")[0])
    assert page.count("<script>") == page.count("</script>") == 1
    assert page.startswith("<!DOCTYPE html>")


@pytest.mark.usefixtures("_quick_pictures")
def test_jupyter_gets_a_frame_and_a_terminal_the_text() -> None:
    explanation = small()
    bundle = explanation._repr_mimebundle_()
    match = re.fullmatch(r'<iframe title="[^"]+" srcdoc="([^"]*)".*</iframe>', bundle["text/html"], re.DOTALL)
    assert match
    assert html.unescape(match[1]) == explanation.html()
    assert bundle["text/plain"] == explanation.text()


def test_without_a_picture_the_page_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "_commands", lambda *_: {})
    page = small().html()
    assert "The picture of the graph is missing: no Graphviz is here" in page
    assert "pip install &#x27;tinygrad_lr[viz]&#x27;" in page
    assert "grad_x = grad_x + grad_v1 * x" in page


@pytest.mark.usefixtures("_quick_pictures")
def test_the_same_program_gives_the_same_page() -> None:
    assert small().html() == small().html()


@pytest.mark.usefixtures("_quick_pictures")
@pytest.mark.parametrize("theme", ["auto", "light", "dark"])
def test_theme_is_that_of_the_page(theme: str) -> None:
    x = leaf(1.0)
    page = explain(recorded(np.exp, x), theme=theme).html()
    assert f'<html lang="en" data-theme="{theme}">' in page


# ---- errors -----------------------------------------------------------------------------------------------


def test_errors_say_what_to_write_instead() -> None:
    x = leaf([1.0, 2.0])
    y = recorded(lambda x: np.sum(x * x), x)
    with pytest.raises(TypeError, match="explain explains the gradients of a Tensor, not of ndarray"):
        explain(y.array.reshape(1))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match='theme must be "auto", "light" or "dark", not \'blue\''):
        explain(y, theme="blue")
    with pytest.raises(ValueError, match="max_operations must be 1 or more, not 0"):
        explain(y, max_operations=0)
    with pytest.raises(ValueError, match="direction must be"):
        explain(y, direction="up")
    with pytest.raises(ValueError, match="head gradient"):
        explain(y, [1.0, 2.0])
    with pytest.raises(TypeError, match="names must be"):
        explain(y, names={"": x})
    with pytest.raises(NotRecordedError):
        explain(x.detach() * 2)
    with record(), pytest.raises(NothingAttachedError):
        explain(tensor(1.0) * 2)
    y.backward()
    with pytest.raises(GraphFreedError):
        explain(y)
