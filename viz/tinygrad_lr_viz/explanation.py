"""Explain a gradient: the chain rule, one step at a time, as a page for the browser and as text."""

from __future__ import annotations

import base64
import hashlib
import textwrap
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_lr import Tensor, autograd

from .differences import AGREE, Check
from .dot import write
from .graph import Drawing
from .layout import LayoutError
from .markup import SIZE, asset, escaped, filled
from .plan import Plan
from .reading import read, scopes_of
from .walk import Names, Step, Walk, last_part, leaves_of, numbers, walk

__all__ = ["Explanation", "explain"]

#: operations that are walked through unless `max_operations` says otherwise: what fits into 100 KB, and what
#: a reader has the patience for
MAX_OPERATIONS = 40
PHASES = {
    "given": "What is given",
    "forward": "Forward: the values",
    "backward": "Backward: the gradients",
}
LEAVES = 20  # in the table at the end


@dataclass(frozen=True, slots=True)
class Explanation:
    """The chain rule at work in one program. It shows itself in Jupyter, and `print` writes it as text.

    Attributes
    ----------
    title : what is explained, in one sentence.

    >>> from tinygrad_lr import record, tensor
    >>> x = tensor(2.0)
    >>> x.attach_grad()
    >>> with record():
    ...     y = x * x
    >>> print(explain(y).title)
    The chain rule for y: 1 operation from x
    """

    title: str
    _walk: Walk
    _drawing: Drawing
    _theme: str

    def text(self) -> str:
        """All steps for a terminal, as lines of at most some 100 characters."""
        return "\n".join(_text(self))

    __str__ = text

    def __repr__(self) -> str:
        return f"Explanation(title={self.title!r})"

    def html(self) -> str:
        """The page: one file that needs nothing else, neither network nor library, nor JavaScript to be read.

        Where no Graphviz can lay out the picture the page says so in its place, and how to mend it.
        """
        return _html(self)

    def save(self, path: str | Path) -> None:
        """Write the page to `path`, or the text if that ends in ``.txt``.

        Raises ValueError for another suffix than ``.html`` and ``.txt``.
        """
        suffix = Path(path).suffix.lower()
        if suffix not in (".html", ".txt"):
            raise ValueError(f"{str(path)!r}: name the explanation .html or .txt")
        text = self.html() if suffix == ".html" else f"{self.text()}\n"
        Path(path).write_text(text, encoding="utf-8", newline="\n")

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        frame = (
            f'<iframe title="{escape(self.title)}" srcdoc="{escape(self.html())}" sandbox="allow-scripts" '
            'style="width: 100%; height: 46rem; border: 1px solid #767676" loading="lazy"></iframe>'
        )
        return {"text/html": frame, "text/plain": self.text()}


def explain(
    head: Tensor,
    out_grad: Any = None,
    *,
    names: Mapping[str, Any] | None = None,
    max_operations: int = MAX_OPERATIONS,
    direction: str = "TB",
    theme: str = "auto",
) -> Explanation:
    """Explain, step by step, how ``head.backward()`` comes to its gradients.

    The steps go forward through the values and backward through the gradients. Each is the line of NumPy
    that computes it, in the program's own names, with its numbers. Finite differences are put beside the
    gradients at the end. Nothing is changed by it: no ``.grad`` is written, and the graph stays.

    Call it before ``backward()``, or after ``backward(retain_graph=True)``.

    Parameters
    ----------
    head : the tensor whose gradients are explained, usually a loss; of any shape.
    out_grad : its own gradient, in its shape; ones by default, as for ``backward``.
    names : names that go before those of the caller's variables: ``{"w": w}``, with Tensors or arrays.
    max_operations : of a longer computation, only so many operations, the last ones, are walked through; the
        gradients at the end are those of the whole.
    direction : of the picture, ``"TB"`` from top to bottom or ``"LR"`` from left to right.
    theme : ``"auto"`` follows the reader's system; ``"light"`` and ``"dark"`` do not.

    Raises TypeError if ``head`` is not a Tensor or ``names`` not names of Tensors and arrays; ValueError for
    another theme or direction, for ``max_operations`` below 1 and for an ``out_grad`` of another shape; and
    what ``backward`` raises if there is no graph, or none any more.

    >>> from tinygrad_lr import record, tensor
    >>> w = tensor([2.0, -3.0])
    >>> w.attach_grad()
    >>> with record():
    ...     loss = (w * w).sum()
    >>> explanation = explain(loss)
    >>> explanation
    Explanation(title='The chain rule for loss: 2 operations from w')
    >>> "grad_w = grad_w + grad_v1 * w" in explanation.text()
    True
    """
    if not isinstance(head, Tensor):
        raise TypeError(f"explain explains the gradients of a Tensor, not of {type(head).__name__}")
    if max_operations < 1:
        raise ValueError(f"max_operations must be 1 or more, not {max_operations!r}")
    for name, value in (names or {}).items():
        if not (isinstance(name, str) and name.strip() and hasattr(value, "shape")):
            raise TypeError(
                f'names must be like {{"w": w}}, a Tensor or an array for each, not {name!r}: {value!r}'
            )
    if direction not in ("LR", "TB"):
        raise ValueError(f'direction must be "LR" (left to right) or "TB" (top to bottom), not {direction!r}')
    if theme not in ("auto", "light", "dark"):
        raise ValueError(f'theme must be "auto", "light" or "dark", not {theme!r}')
    if head.node is None:
        autograd.grad(head, [])  # raises the error that says why
    graph = read(head)
    part, scopes = last_part(graph, max_operations), scopes_of(names, 1)
    called = Names(leaves_of(graph), part, scopes)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the program has had its warnings, or will get them from backward()
        steps = walk(graph, out_grad, part, called)
    plan = Plan(part, [called.shown, *scopes], None, (), False, 2 * len(part.tensors) + len(part.sources))
    looks: dict[str, Any] = {"direction": direction, "theme": theme, "legend": False, "note": ""}
    dot, _, ids = write(plan, {}, values=True, gradients=False, **looks)
    leaves = [name for name, _ in steps.leaves]
    more = f" and {len(leaves) - 8} more" if len(leaves) > 8 else ""
    count = f"{steps.operations:,} operation{'s' * (steps.operations != 1)}"
    title = f"The chain rule for {steps.head}: {count} from {', '.join(leaves[:8])}{more}"
    picture = title.replace("The chain rule for", "Computation graph of")
    return Explanation(title, steps, Drawing(dot, picture, theme, ids), theme)


# ---- words ------------------------------------------------------------------------------------------------


def _about(walk: Walk) -> str:
    head, (leaf, gradient) = walk.head, walk.leaves[0]
    return (
        "Forward, every line computes a value from those before it. Backward, the lines are gone through "
        f"from last to first, and each passes the gradient of {head} on to what it was computed from. "
        f"{gradient} stands for the gradient of {head} with respect to {leaf}, and has the shape of {leaf}."
    )


def _limit(walk: Walk) -> str:
    if walk.walked == walk.operations:
        return ""
    return (
        f"These are the last {walk.walked:,} of {walk.operations:,} operations. "
        "What they read of earlier ones is dotted. The gradients at the end are those of all. "
        f"To go through more: explain(…, max_operations={min(walk.operations, 10 * walk.walked)})."
    )


def _difference(check: Check) -> str:
    if check.difference is None:
        return ""
    if check.along is None:
        return numbers(check.difference, 5, 40)
    return f"{check.difference:.8g}\nalong a random direction;\nthe chain rule: {check.along:.8g}"


def _more_leaves(walk: Walk) -> str:
    hidden = len(walk.checks) - LEAVES
    return f"… and {hidden:,} more parameters" if hidden > 0 else ""


def _notes(step: Step) -> tuple[str, ...]:
    return (*([f"back through {step.through}"] if step.through else []), *step.notes)


ABOUT_CHECKS = (
    "Finite differences move a parameter a little to either side and recompute: (f(w + h) − f(w − h)) / 2h. "  # noqa: RUF001
    "They know nothing of the chain rule."
)


# ---- text -------------------------------------------------------------------------------------------------


def _text(explanation: Explanation) -> Iterator[str]:
    walk = explanation._walk
    yield from (explanation.title, "=" * min(len(explanation.title), 100), "", *_wrapped(_about(walk)))
    if limit := _limit(walk):
        yield from ("", *_wrapped(limit))
    number = 0
    for phase, heading in PHASES.items():
        steps = [step for step in walk.steps if step.phase == phase]
        if steps:
            yield from ("", heading, "-" * len(heading))
        for step in steps:
            if step.lines:
                number += 1
                yield f"{number:>3}. {step.lines[0]}"
                yield from (f"     {line}" for line in step.lines[1:])
                yield from (f"     # {line}" for note in _notes(step) for line in _wrapped(note, 90))
                yield from _indented("", step.numbers, 9, f"  # shape {step.shape}" if step.shape else "")
            else:
                end = f"  # {step.notes[0]}, shape {step.shape}"
                yield from _indented(f"{step.name} = ", step.numbers, 5, end)
    yield from ("", "Gradients", "---------", *_wrapped(ABOUT_CHECKS), "")
    for (name, _), check in list(zip(walk.leaves, walk.checks, strict=True))[:LEAVES]:
        yield from _indented(f"gradient of {name}: ", numbers(check.gradient, 5, 40), 5)
        if check.difference is not None:
            yield from _indented("finite differences: ", _difference(check), 9)
        yield f"         {check.verdict}"
    if hidden := _more_leaves(walk):
        yield f"     {hidden}"


def _wrapped(text: str, width: int = 100) -> list[str]:
    return textwrap.wrap(text, width)


def _indented(label: str, text: str, indent: int, end: str = "") -> Iterator[str]:
    first, *rest = text.splitlines()
    yield f"{' ' * indent}{label}{first}{'' if rest else end}"
    for i, line in enumerate(rest, start=1):
        yield f"{' ' * (indent + len(label))}{line}{end if i == len(rest) else ''}"


# ---- the page ---------------------------------------------------------------------------------------------


def _html(explanation: Explanation) -> str:
    walk, drawing = explanation._walk, explanation._drawing
    try:
        picture = drawing.svg()
    except LayoutError as error:
        picture = f'<p class="missing">The picture of the graph is missing: {escaped(str(error))}</p>'
    script = asset("explanation.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    sections, done = [], 0
    for phase, heading in PHASES.items():
        steps = [step for step in walk.steps if step.phase == phase]
        if phase == "given":
            tag, opening = "ul", '<ul class="given">'
            items = [_given(step, drawing.ids) for step in steps]
        else:
            tag, opening = "ol", f'<ol start="{done + 1}">'
            items = [_item(step, number, drawing.ids) for number, step in enumerate(steps, done + 1)]
            done += len(steps)
        if items:
            body = "\n".join([f"<h2>{heading}</h2>", opening, *items, f"</{tag}>"])
            sections.append(f'<section class="phase">\n{body}\n</section>')
    limit = _limit(walk)
    size = SIZE.search(picture)
    return filled(
        "explanation.html",
        theme=explanation._theme,
        title=escaped(explanation.title),
        digest=digest,
        style=asset("theme.css") + asset("explanation.css"),
        script=script,
        about=escaped(_about(walk)),
        limit=f'<p class="limit">{escaped(limit)}</p>' if limit else "",
        picture=picture,
        least=f"{float(size[1]) / 2:.0f}pt" if size else "0pt",
        steps="\n".join(sections),
        about_checks=escaped(ABOUT_CHECKS),
        checks="\n".join(map(_row, walk.leaves[:LEAVES], walk.checks)),
        hidden_leaves=f"<p>{escaped(hidden)}</p>" if (hidden := _more_leaves(walk)) else "",
        head=escaped(walk.head),
    )


def _data(step: Step, ids: Mapping[Any, str]) -> str:
    """What the script needs to light a step in the picture and to say what it reads."""
    node, at = ids.get(step.node, ""), ids.get(step.at, "")
    edges = [f"{at}-{edge}" for edge in step.edges if at]
    facts = {
        "name": step.name,
        "node": node,
        "lit": " ".join(dict.fromkeys([*edges, node, at])).strip(),
        "uses": " ".join(step.uses),
    }
    return "".join(f' data-{key}="{escape(value)}"' for key, value in facts.items() if value)


def _shape(step: Step) -> str:
    return f'<span class="shape">{step.shape}</span>' if step.shape else ""


def _numbers(step: Step) -> str:
    return f'<pre class="numbers">{escaped(step.numbers)}</pre>'


def _given(step: Step, ids: Mapping[Any, str]) -> str:
    return (
        f'<li class="given"{_data(step, ids)}><code>{escaped(step.name)}</code> {_shape(step)} '
        f"<p>{step.notes[0]}</p>{_numbers(step)}</li>"
    )


def _item(step: Step, number: int, ids: Mapping[Any, str]) -> str:
    code = escaped("\n".join(step.lines))
    through = f"<p>back through <code>{escaped(step.through)}</code></p>" if step.through else ""
    notes = "".join(f"<p>{escaped(note)}</p>" for note in step.notes)
    return (
        f'<li class="step {step.phase}" id="s{number}"{_data(step, ids)}>'
        f'<a href="#s{number}"><code>{code}</code> {_shape(step)}</a>'
        f'<div class="detail">{through}{notes}{_numbers(step)}</div></li>'
    )


def _row(leaf: tuple[str, str], check: Check) -> str:
    kind = "agrees" if check.verdict == AGREE else "doubt"
    return (
        f'<tr class="{kind}"><th scope="row"><code>{escaped(leaf[0])}</code>'
        f'<p class="verdict">{escaped(check.verdict)}</p></th>'
        f"<td><pre>{escaped(numbers(check.gradient, 5, 40))}</pre></td>"
        f"<td><pre>{escaped(_difference(check))}</pre></td></tr>"
    )
