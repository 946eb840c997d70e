"""The explanation's page in a real browser: walked with keys and clicks, in both themes, and without scripts.

It takes Chromium (Debian's package `chromium`) and Playwright (`pip install playwright`, no download).
"""

import functools
import json
import re
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from test_explain import HOSTILE, leaf
from tinygrad_lr import Tensor, autograd, record
from tinygrad_lr_viz import explain, graph
from tinygrad_lr_viz.index import index_page

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if BROWSER is None:
        pytest.skip("NOT TESTED IN A BROWSER: no Chromium is here; apt-get install chromium")
    api = pytest.importorskip(
        "playwright.sync_api", reason="NOT TESTED IN A BROWSER: no Playwright; pip install playwright"
    )
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER)
        yield browser
        browser.close()


class Visit:
    """A page opened from its file, offline, that must neither complain nor ask for anything else."""

    def __init__(self, browser: Any, file: Path, *, allowed: Collection[str] = (), **options: Any) -> None:
        self.allowed = {file.as_uri(), "about:srcdoc", *allowed}
        self.context = browser.new_context(offline=True, **options)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.as_uri())

    def __enter__(self) -> Any:
        return self.page

    def __exit__(self, *_: object) -> None:
        assert self.complaints == []
        assert {url.split("#")[0] for url in self.requests} <= self.allowed
        self.context.close()


def regression() -> tuple[Tensor, dict[str, Any]]:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(4, 2)), rng.normal(size=(4, 1))
    w, b = leaf(rng.normal(size=(2, 1))), leaf([0.5])
    with record():
        y_hat = X @ w + b
        residual = y_hat - y
        loss = np.mean(residual * residual)
    return loss, {"X": X, "y": y, "w": w, "b": b, "y_hat": y_hat, "residual": residual, "loss": loss}


@pytest.fixture(scope="module", autouse=True)
def _layouts_only_once() -> Iterator[None]:
    """They take a second each, and the pages here show the same few pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graph, "render", functools.cache(graph.render))
        yield


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    loss, names = regression()
    path = tmp_path_factory.mktemp("page") / "explanation.html"
    explain(loss, names=names).save(path)
    return path


def state(page: Any) -> dict[str, Any]:
    """What a reader finds on the page now."""
    found: dict[str, Any] = page.evaluate(
        """() => {
            const texts = (selector) => [...document.querySelectorAll(selector)].map((e) => e.textContent);
            const ids = (selector) => [...document.querySelectorAll(selector)].map((e) => e.id);
            return {
                code: texts(".current > a > code"),
                shown: [...document.querySelectorAll(".detail")].filter((e) => e.offsetParent).length,
                lit: ids("#picture .lit"),
                future: ids("#picture .node.future"),
                reached: ids("#picture .node.reached"),
                live: document.getElementById("live").textContent,
                count: document.getElementById("count").textContent,
                slider: Number(document.getElementById("slider").value),
                result: document.getElementById("result").classList.contains("current"),
            };
        }"""
    )
    return found


def shown_gradients(page: Any) -> dict[str, Any]:
    """The numbers of the table at the end."""
    rows = page.locator("#result tbody tr").all()
    parsed = {}
    for row in rows:
        name, text = row.locator("th code").inner_text(), row.locator("td pre").first.inner_text()
        parsed[name] = np.array(json.loads(re.sub(r"(?<=[\d.])\s+(?=[-\d])", ", ", tidy(text))))
    return parsed


def tidy(text: str) -> str:
    """NumPy's way of printing an array as JSON."""
    text = re.sub(r"(\d)\.(?=[\s\]])", r"\1.0", text)
    return re.sub(r"\]\s*\[", "], [", text)


@pytest.mark.parametrize(("scheme", "by"), [("light", "keys"), ("dark", "clicks")])
def test_the_walk_to_the_end(browser: Any, page_file: Path, scheme: str, by: str) -> None:
    with Visit(browser, page_file, color_scheme=scheme) as page:
        assert state(page)["count"] == "the start"
        seen = []
        for number in range(1, 20):
            if by == "keys":
                page.keyboard.press("ArrowRight")
            else:
                page.get_by_role("button", name="Next").click()
            now = state(page)
            if now["result"]:
                break
            seen.append(now)
            assert now["count"] == f"step {number} of 13"
            assert now["slider"] == number
            assert now["shown"] == len(now["code"]) == 1
            assert now["code"][0] in now["live"]
        assert now["count"] == "the end"
        gradients = shown_gradients(page)
    assert len(seen) == 13  # five operations; backward the head and seven edges
    codes = [s["code"][0] for s in seen]
    assert codes[:2] == ["v1 = X @ w", "y_hat = v1 + b"]
    assert codes[-2:] == ["grad_b = np.sum(grad_y_hat, axis=0)", "grad_w = X.T @ grad_v1"]
    assert [len(s["future"]) for s in seen] == [4, 3, 2, 1, *[0] * 9]
    assert [len(s["reached"]) for s in seen] == [*[0] * 5, 1, 2, 3, 3, 4, 5, 6, 7]
    edges = [[i for i in s["lit"] if "-" in i] for s in seen]
    assert [len(lit) for lit in edges] == [2, 2, 2, 2, 1, 0, *[1] * 7]
    loss, names = regression()
    for name, shown in gradients.items():
        expected = autograd.grad(loss, names[name], retain_graph=True).array
        np.testing.assert_allclose(shown, expected, atol=1e-5)
    assert gradients.keys() == {"w", "b"}


def test_keys_buttons_slider_and_links_go_to_the_same_steps(browser: Any, page_file: Path) -> None:
    with Visit(browser, page_file) as page:
        for key, count in (("End", "the end"), ("ArrowLeft", "step 13 of 13"), ("Home", "the start")):
            page.keyboard.press(key)
            assert state(page)["count"] == count
        page.keyboard.press("ArrowLeft")
        assert state(page)["count"] == "the start"
        slider = page.get_by_role("slider", name="Step")
        slider.focus()
        page.keyboard.press("ArrowRight")
        assert state(page)["count"] == "step 1 of 13"
        assert slider.get_attribute("aria-valuetext") == "Step 1 of 13, forward: v1 = X @ w"
        slider.fill("7")
        assert state(page)["code"] == ["grad_v2 = np.broadcast_to(grad_loss * 0.25, (4, 1))"]
        page.locator("#s10 a").click()
        assert state(page)["count"] == "step 10 of 13"
        page.keyboard.press("Control+ArrowRight")  # the browser's own
        assert state(page)["count"] == "step 10 of 13"
        for name, count in (("End", "the end"), ("Back", "step 13 of 13"), ("Start", "the start")):
            page.get_by_role("button", name=name, exact=True).click()
            assert state(page)["count"] == count
        assert page.get_by_role("button", name="Back").get_attribute("aria-disabled") == "true"
        page.goto(page.url + "#s4")
        page.reload()
        assert state(page)["count"] == "step 4 of 13"


def test_cards_of_nodes_show_value_and_gradient_so_far(browser: Any, page_file: Path) -> None:
    with Visit(browser, page_file) as page:
        card = page.locator("#card")
        node = page.locator("#picture .node", has_text="y_hat").first
        page.keyboard.press("ArrowRight")
        node.hover()
        assert "y_hat = v1 + b" in card.inner_text()
        assert "not computed yet" in card.inner_text()
        page.mouse.move(1270, 890)
        assert card.is_hidden()
        page.keyboard.press("End")
        node.focus()
        assert "grad_y_hat so far:" in card.inner_text()
        assert node.get_attribute("aria-label") == card.inner_text()
        page.keyboard.press("Escape")
        assert card.is_hidden()
        data = page.locator("#picture .node", has_text="X").first
        data.focus()
        assert "gets no gradient" in card.inner_text()
        page.keyboard.press("Escape")
        box = data.bounding_box()
        assert box
        page.mouse.move(box["x"] + 8, box["y"] + 8)  # beside its words, where it is not filled
        assert card.is_visible()
        nodes = page.locator("#picture .node").all()
        assert all(node.get_attribute("tabindex") == "0" for node in nodes)


def test_what_a_screen_reader_is_told(browser: Any, page_file: Path) -> None:
    with Visit(browser, page_file) as page:
        for _ in range(2):
            page.keyboard.press("ArrowRight")
        tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    parts = [
        (part["role"]["value"], part["name"]["value"], {p["name"] for p in part.get("properties", [])}, part)
        for part in tree
        if not part["ignored"] and "name" in part
    ]
    named = {(role, name) for role, name, _, _ in parts}
    assert ("group", "Computation graph of loss: 5 operations from w, b") in named
    assert ("image", "add(v1, b), y_hat, (4, 1), -2.74 … 1.67") in named
    assert {"X, (4, 2), -0.536 … 1.3", "b, (1,), 0.5"} <= {name for role, name in named if role == "image"}
    assert not [name for _, name in named if "->" in name]  # the edges' names say nothing
    assert all(name.strip() for _, name, told, _ in parts if "focusable" in told)
    assert {("button", "Next "), ("slider", "Step"), ("heading", "Forward: the values")} <= named
    assert {("rowheader", "w they agree"), ("columnheader", "finite differences")} <= named
    by_id = {part["nodeId"]: part for part in tree}
    (live,) = [
        part
        for part in tree
        if {"name": "live", "value": {"type": "token", "value": "polite"}} in part.get("properties", [])
    ]
    announced = by_id[live["childIds"][0]]["name"]["value"]
    assert announced.startswith("Step 2 of 13, forward: y_hat = v1 + b. b of shape (1,) is broadcast")


def test_without_scripts_everything_is_there_to_read(browser: Any, page_file: Path) -> None:
    with Visit(browser, page_file, java_script_enabled=False) as page:
        text = page.locator("body").inner_text()
        for line in ("y_hat = v1 + b", "grad_w = X.T @ grad_v1", "its gradient is summed", "they agree"):
            assert line in text
        assert page.locator("#picture svg").is_visible()
        assert page.locator(".detail").count() == 13
        assert all(detail.is_visible() for detail in page.locator(".detail").all())
        assert not page.locator("#controls").is_visible()


def test_printed_everything_is_there_too(browser: Any, page_file: Path) -> None:
    with Visit(browser, page_file) as page:
        page.keyboard.press("ArrowRight")
        page.emulate_media(media="print")
        assert state(page)["shown"] == 13
        assert not page.locator("#controls").is_visible()
        assert page.pdf().startswith(b"%PDF")


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_cut_off(browser: Any, page_file: Path, width: int) -> None:
    with Visit(browser, page_file, viewport={"width": width, "height": 800}) as page:
        for _ in range(15):
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            page.keyboard.press("ArrowRight")
            hidden = page.evaluate(
                """() => {
                    const frame = document.getElementById("picture").getBoundingClientRect();
                    return [...document.querySelectorAll("#picture .lit")]
                        .map((part) => part.getBoundingClientRect())
                        .filter((box) => box.top < frame.top - 5 || box.bottom > frame.bottom + 5).length;
                }"""
            )
            assert hidden == 0 or width == 360  # a small window may be lower than two nodes are
            step = page.locator(".step.current > a")
            if step.count():
                box = step.bounding_box()
                assert box
                assert 0 <= box["y"] <= 800 - box["height"]


def test_theme_follows_the_system_unless_it_is_given(browser: Any, page_file: Path, tmp_path: Path) -> None:
    def colours(file: Path, scheme: str) -> Any:
        with Visit(browser, file, color_scheme=scheme) as page:
            return page.evaluate(
                """() => [getComputedStyle(document.body).backgroundColor,
                          getComputedStyle(document.querySelector("#picture text")).fill]"""
            )

    assert colours(page_file, "light") == ["rgb(255, 255, 255)", "rgb(34, 34, 34)"]
    assert colours(page_file, "dark") == ["rgb(22, 22, 22)", "rgb(238, 238, 238)"]
    loss, names = regression()
    assert explain(loss, names=names, theme="dark")._drawing.theme == "dark"
    page = page_file.read_text("utf-8").replace('data-theme="auto"', 'data-theme="dark"')
    (tmp_path / "dark.html").write_text(page, encoding="utf-8")
    assert colours(tmp_path / "dark.html", "light")[0] == colours(page_file, "dark")[0]


def test_jupyter_shows_it_in_a_frame(browser: Any, page_file: Path, tmp_path: Path) -> None:
    loss, names = regression()
    notebook = tmp_path / "notebook.html"
    notebook.write_text(explain(loss, names=names)._repr_mimebundle_()["text/html"], encoding="utf-8")
    with Visit(browser, notebook) as page:
        frame = page.frame_locator("iframe")
        frame.get_by_role("button", name="Next").click()
        page.keyboard.press("ArrowRight")
        assert frame.locator(".current code").first.inner_text() == "y_hat = v1 + b"
        frame.locator("#s3 a").click()
        assert frame.locator("#count").inner_text() == "step 3 of 13"


def test_index_shows_pictures_and_explanation(browser: Any, page_file: Path, tmp_path: Path) -> None:
    picture = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>'
    )
    (tmp_path / "a b#.svg").write_text(picture)
    shutil.copy(page_file, tmp_path / "explanation.html")
    files = {"a b#.svg": "a <picture>", "explanation.html": "the chain rule"}
    page = index_page("A run", "of <this>", "1 < 2", files, {})
    (tmp_path / "index.html").write_text(page, encoding="utf-8")
    allowed = {(tmp_path / name).as_uri() for name in files}
    with Visit(browser, tmp_path / "index.html", allowed=allowed) as page:
        assert page.evaluate("[...document.images].map((image) => image.naturalWidth)") == [9]
        frame = page.frame_locator("iframe")
        frame.get_by_role("button", name="Next").click()
        assert frame.locator("#count").inner_text() == "step 1 of 13"
        assert page.locator("h1 + p").inner_text() == "of <this>"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_hostile_names_run_nothing(browser: Any, tmp_path: Path) -> None:
    names = {name: leaf([1.0, 2.0]) for name in HOSTILE if name.strip()}
    values = list(names.values())
    with record():
        total = values[0] * 2.0
        for value in values[1:]:
            total = total + value
        head = np.sum(total)
    explain(head, names=names).save(tmp_path / "page.html")
    with Visit(browser, tmp_path / "page.html") as page:
        page.keyboard.press("End")
        assert page.locator("#result th[scope=row]").count() == len(names)
        assert page.evaluate("document.scripts.length") == 1
        assert page.locator("#picture .node").count() > len(names)
        # a wide picture can be scrolled, and is, to what is lit
        for _ in range(len(names)):
            page.keyboard.press("ArrowLeft")
            assert page.evaluate(
                """() => {
                    const frame = document.getElementById("picture").getBoundingClientRect();
                    return [...document.querySelectorAll("#picture .edge.lit")]
                        .map((edge) => edge.getBoundingClientRect())
                        .every((box) => box.right > frame.left && box.left < frame.right);
                }"""
            )
        text = page.locator("#picture .node text").first
        assert text.evaluate("(t) => t.getBoundingClientRect().height") > 7
        assert page.evaluate("document.querySelectorAll('#picture ~ *, main b, main img').length") == 1
