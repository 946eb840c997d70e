"""Draw how a Tensor was computed: its graph in Graphviz's DOT language, and pictures of that."""

from __future__ import annotations

import html
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

from tinygrad_lr import Tensor
from tinygrad_lr.errors import GraphFreedError, NotRecordedError
from tinygrad_lr.module import Module

from .dot import THEMES, write
from .flow import flow
from .layout import LayoutError, render
from .markup import fitted
from .plan import Plan
from .reading import read, scopes_of

__all__ = ["Drawing", "draw_graph"]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture of a graph. It shows itself in Jupyter, as the text of its DOT where nothing can lay it out.

    Attributes
    ----------
    dot : the graph in Graphviz's DOT language, the same for the same program.
    title : what is drawn, in one sentence: the picture's alternative text.
    theme : "auto", "light" or "dark".
    ids : the `id`, in the SVG, of the node that stands for a value, by the value's `reading.key`.

    >>> from tinygrad_lr import record, tensor
    >>> x = tensor(2.0)
    >>> x.attach_grad()
    >>> with record():
    ...     y = x * x
    >>> drawing = draw_graph(y)
    >>> drawing.title
    'Computation graph of y: 1 operation from x'
    >>> drawing.dot.startswith("digraph")
    True
    """

    dot: str = field(repr=False)
    title: str
    theme: str = field(default="auto", repr=False)
    ids: Mapping[Hashable, str] = field(default_factory=dict, repr=False)

    def svg(self, *, time_limit: float = 20.0) -> str:
        """The picture as SVG; with the theme "auto" it is dark where the reader's system is.

        Raises :class:`~tinygrad_lr_viz.layout.LayoutError` if no Graphviz is here, or if the layout takes
        longer than `time_limit` seconds.
        """
        picture = render(self.dot, "svg", time_limit=time_limit).decode()
        start = picture.index("<svg ")  # what stands before is not needed, and would not fit into a page
        end = picture.index(">", start) + 1
        # Graphviz has the title in it already; screen readers look for it on the picture as a whole
        opening = f'<svg class="tinygrad-lr" role="img" aria-label="{html.escape(self.title)}" '
        return opening + picture[start + 5 : end] + self._style() + picture[end:]

    def _style(self) -> str:
        """The colours of the DOT as CSS variables: a page may set them on `svg.tinygrad-lr`."""
        if self.theme != "auto":
            return ""
        rules = "".join(
            f'.tinygrad-lr [{what}="{colour}"]{{{what}:var(--{name})}}'
            for name, colour in THEMES["light"].items()
            for what in ("fill", "stroke")
        )
        return f"\n<style>{_css('.tinygrad-lr', 'auto')}{rules}</style>"

    def html(self, *, time_limit: float = 20.0) -> str:
        """The picture on a page of its own, which needs no other file; raises as :meth:`svg` does."""
        return PAGE.substitute(
            title=html.escape(self.title),
            scheme="light dark" if self.theme == "auto" else self.theme,
            colours=_css(":root", self.theme),
            picture=self.svg(time_limit=time_limit),
        )

    def save(self, path: str | Path, *, time_limit: float = 20.0) -> None:
        """Write the picture to ``path``; the suffix says what: ``.svg .png .pdf .dot .html``.

        Raises ValueError for another suffix, and :class:`~tinygrad_lr_viz.layout.LayoutError` when no
        renderer here makes that format, or not within `time_limit` seconds; nothing is written then.
        """
        suffix = Path(path).suffix.lower()
        if suffix == ".dot":
            picture = self.dot.encode()
        elif suffix == ".svg":
            picture = self.svg(time_limit=time_limit).encode()
        elif suffix == ".html":
            picture = self.html(time_limit=time_limit).encode()
        elif suffix in (".png", ".pdf"):
            picture = render(self.dot, suffix[1:], time_limit=time_limit)
        else:
            raise ValueError(f"{str(path)!r}: name the picture .svg, .png, .pdf, .dot or .html")
        Path(path).write_bytes(picture)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        try:
            return {"image/svg+xml": fitted(self.svg()), "text/plain": repr(self)}
        except LayoutError as error:
            return {"text/plain": f"{error}\n\n{self.dot}"}


def _css(selector: str, theme: str) -> str:
    """CSS that sets the colours of a theme as variables."""
    light, dark = (
        ";".join(f"--{name}:{colour}" for name, colour in colours.items()) for colours in THEMES.values()
    )
    rule = f"{selector}{{{dark if theme == 'dark' else light}}}"
    return rule + (f"@media (prefers-color-scheme:dark){{{selector}{{{dark}}}}}" if theme == "auto" else "")


PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="$scheme">
<title>$title</title>
<style>
$colours
body { margin: 1rem; background: var(--paper); color: var(--ink);
  font: 16px/1.4 Helvetica, Arial, sans-serif }
figure { margin: 0; overflow-x: auto }
@media print { svg { max-width: 100%; height: auto } }
figcaption { margin-bottom: 1rem }
</style>
<figure>
<figcaption>$title</figcaption>
$picture
</figure>
</html>
""")


def draw_graph(
    head: Tensor,
    *,
    names: Mapping[str, Any] | None = None,
    values: bool = True,
    gradients: bool = True,
    depth: int | None = None,
    collapse: Iterable[Module] = (),
    fold: bool | None = None,
    max_nodes: int = 500,
    direction: str = "LR",
    theme: str = "auto",
    legend: bool = True,
) -> Drawing:
    """Draw how ``head`` was computed, and along which of its edges ``backward`` passes gradients.

    Tensors have the names of the caller's variables (``w``) or of attributes of objects in them
    (``model.w``, or ``w`` for ``self.w``); what belongs to a Module stands in a frame. What a backward with
    ``create_graph`` computed is framed and drawn in another shape. The graph has to be there still: draw
    before ``backward()``, or after ``backward(retain_graph=True)``, which also shows the gradients: the
    larger the gradient of ``head`` that is passed back (its Euclidean norm), the wider is its edge.

    Parameters
    ----------
    head : the tensor whose graph is drawn; of any shape.
    names : names that go before all others: ``{"w": w}``, with Tensors or with arrays as values.
    values : show the number in a tensor of one element, and all, or the range and mean, of a larger one.
    gradients : show the attached tensors' gradients, "grad -" while there is none, and where they flow.
    depth : how many levels of Modules are opened: with 0 each outermost Module is one node; None opens all.
    collapse : Modules that are drawn as one node each.
    fold : draw what is repeated once, with how often it is and which values it carries from one repetition to
        the next. None does it for graphs of more than ``max_nodes`` nodes.
    max_nodes : of a graph that takes more nodes, even folded, the part nearest to the head is drawn; one node
        stands for everything before it, and says so.
    direction : ``"LR"`` draws from left to right, ``"TB"`` from top to bottom.
    theme : ``"light"``, ``"dark"``, or ``"auto"``: as the reader's system is set, in SVG and HTML.
    legend : explain the kinds of nodes and edges in a corner.

    Raises TypeError if ``head`` is not a Tensor, ``names`` not names of Tensors and arrays, or ``collapse``
    not Modules; ValueError for another direction, theme or depth; NotRecordedError and GraphFreedError if
    there is no graph, or none any more.

    >>> from tinygrad_lr import record, tensor
    >>> w = tensor([2.0, -3.4])
    >>> w.attach_grad()
    >>> with record():
    ...     loss = (w * w).sum()
    >>> drawing = draw_graph(loss)
    >>> drawing
    Drawing(title='Computation graph of loss: 2 operations from w')
    >>> drawing.dot.count('"w" -> "multiply(w, w)" [id=')  # beside each is an edge for the gradient
    2
    """
    collapse = list(collapse)
    if not isinstance(head, Tensor):
        raise TypeError(f"draw_graph draws the graph of a Tensor, not of {type(head).__name__}")
    if direction not in ("LR", "TB"):
        raise ValueError(f'direction must be "LR" (left to right) or "TB" (top to bottom), not {direction!r}')
    if theme not in ("auto", "light", "dark"):
        raise ValueError(f'theme must be "auto", "light" or "dark", not {theme!r}')
    if depth is not None and depth < 0:
        raise ValueError(f"depth must be 0 (each Module one node) or more, or None, not {depth}")
    for module in collapse:
        if not isinstance(module, Module):
            raise TypeError(f"collapse must hold Modules, not {type(module).__name__}: [model.encoder]")
    for name, value in (names or {}).items():
        if not (isinstance(name, str) and name.strip() and hasattr(value, "shape")):
            raise TypeError(
                f'names must be like {{"w": w}}, a Tensor or an array for each, not {name!r}: {value!r}'
            )
    if head.node is None:
        raise NotRecordedError(
            "there is no graph to draw: this tensor was computed outside record(), or from nothing with an "
            "attached gradient. Call w.attach_grad() and compute it inside `with record():`."
        )
    if head.origin is None and not head.is_leaf:
        raise GraphFreedError(
            "there is no graph to draw any more: backward() has freed it. Draw before backward(), or call "
            "backward(retain_graph=True)."
        )
    graph = read(head)
    plan = Plan(graph, scopes_of(names, 1), depth, collapse, fold, max_nodes)
    note = ""
    if fold is None and plan.size > max_nodes:
        note = (
            f"Folded, as all {plan.size:,} nodes are more than max_nodes={max_nodes}.\n"
            f"To draw them all: draw_graph(…, fold=False, max_nodes={plan.size})"
        )
    attachments = (getattr(value, "attachment", None) for value in graph.sources.values())
    written = any(attachment is not None and attachment.written for attachment in attachments)
    dot, title, ids = write(
        plan,
        flow(graph) if gradients and written and plan.size <= max_nodes else {},
        values=values,
        gradients=gradients,
        direction=direction,
        theme=theme,
        legend=legend,
        note=note,
    )
    return Drawing(dot, title, theme, ids)
