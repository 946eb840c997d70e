"""Write the plan of a drawing in Graphviz's DOT language."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np

from tinygrad_lr import Tensor
from tinygrad_lr.derivatives import DERIVATIVES
from tinygrad_lr.tensor import Origin

from .flow import Flow
from .folding import Repeat
from .plan import EARLIER, SHOWN, Carried, Frame, Operand, Plan, Result, Source, Unit
from .reading import ARGUMENT, LINE, NAME, call_text, gradient, key, short, summary

# Okabe and Ito's colours, which stay apart for colour-blind readers (https://jfly.uni-koeln.de/color/)
FORWARD, BACKWARD, PARAMETER = "#0072b2", "#d55e00", "#e69f00"
COLOURS = {"forward": FORWARD, "backward": BACKWARD, "parameter": PARAMETER}
THEMES = {
    "light": {"ink": "#222222", "paper": "#ffffff", "neutral": "#767676", **COLOURS},
    "dark": {"ink": "#eeeeee", "paper": "#161616", "neutral": "#a9a9a9", **COLOURS, "forward": "#56b4e9"},
}
ON_PARAMETER = "#222221"  # text on that colour is dark in both themes: one off the ink, to be told from it
FONT = 'fontname="Helvetica,Arial,sans-serif"'

# the kinds of nodes differ in their outlines too
SHAPES = {
    "parameter": f'shape=box, style="rounded,filled", fillcolor="{PARAMETER}", penwidth=2.2, '
    f'fontcolor="{ON_PARAMETER}"',
    "data": "shape=box, style=dashed",
    "freed": "shape=box, style=dotted",
    "fold": "shape=box3d",
    "carried": "shape=box, peripheries=2",
    "operation": "shape=Mrecord",
    "backward": f'shape=record, penwidth=1.6, color="{BACKWARD}"',
}

STUB = 6  # uses, beyond which a leaf is drawn again at each: one node with many edges is slow to lay out
WIDEST = 4  # times as wide as others is the edge of the largest gradient, one less for each factor of 3


def write(plan: Plan, flow: Flow, **options: Any) -> tuple[str, str, dict[Hashable, str]]:
    """The DOT, the drawing's title, and the ids of the nodes by the keys of the values they stand for."""
    writer = _Writer(plan, flow, **options)
    return writer.write(), writer.title(), writer.ids


# ---- words ------------------------------------------------------------------------------------------------


def quoted(text: str, special: str = "") -> str:
    """A text as a quoted string of DOT that means nothing but itself, whatever is in it."""
    text = text.replace("\\", "\\\\").replace("&", "&amp;").replace('"', '\\"')
    for character in special:
        text = text.replace(character, f"\\{character}")
    return text


def _width(lines: Iterable[str]) -> float:
    """Inches that the widest of the lines takes at most, at 12 points.

    Graphviz would measure it by the metrics of Helvetica, and knows none for most scripts; the browser may
    then use a wider font, and the text would stick out of its box.
    """

    def ems(character: str) -> float:
        if unicodedata.combining(character):
            return 0.0
        if unicodedata.east_asian_width(character) in "WF":
            return 1.05
        return 0.4 if character in " .,()[]:-|il" else 1.0 if character in "mwMW@%…" else 0.66

    return max(sum(map(ems, line)) for line in lines) * 12 / 72 + 0.25


def counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _undone(origin: Origin, value: Any, result: Any) -> str:
    """What is said at the edge of an operand that was broadcast: along what its gradient is summed."""
    shape, full = value.shape, result.shape
    if origin.function is np.matmul and min(len(shape), len(full)) >= 2:
        shape, full = shape[:-2], full[:-2]  # only these axes are
    elif not (DERIVATIVES[origin.function].elementwise or origin.function in (np.where, np.clip)):
        return ""
    new = len(full) - len(shape)
    axes = [str(axis) for axis, n in enumerate(full) if axis < new or shape[axis - new] != n]
    return (
        f"broadcast: gradient\\nsummed over {'axes' if axes[1:] else 'axis'} {', '.join(axes)}"
        if axes
        else ""
    )


# ---- lines ------------------------------------------------------------------------------------------------


class _Writer:
    """The DOT of a plan, line by line in the order of the computation."""

    def __init__(
        self,
        plan: Plan,
        flow: Flow,
        *,
        values: bool,
        gradients: bool,
        direction: str,
        theme: str,
        legend: bool,
        note: str,
    ) -> None:
        self.plan, self.graph, self.names, self.flow = plan, plan.graph, plan.named.names, flow
        self.values, self.gradients, self.direction, self.legend = values, gradients, direction, legend
        self.colours, self.note = THEMES["dark" if theme == "dark" else "light"], note
        self.largest = max((size for size in flow.values() if math.isfinite(size)), default=0.0)
        self.lines: list[str] = []
        self.returning: list[tuple[Unit, str]] = []  # what is carried, and the node that takes it up
        self.nodes: dict[Any, str] = {}  # the DOT's name of each unit and operand that has been written
        self.node_ids: dict[str, str] = {}  # by the DOT's names
        self.ids: dict[Hashable, str] = {}
        self.clusters: dict[Frame, int] = {}
        self.kinds: set[str] = set()
        self.uses = Counter(key(v) for number in plan.numbers for v in self.graph.inputs[plan.keys[number]])

    def write(self) -> str:
        plan = self.plan
        if any(unit == EARLIER for unit in plan.units.values()):
            self._earlier()
        if not plan.numbers:
            self._leaf(Source(self.graph.head.node, self.graph.head.node, 1), ())
        for number in plan.numbers:
            unit = plan.units[number]
            if unit == number:
                self._operation(number)
            elif isinstance(unit, tuple):
                self._in_module(number, unit)
        ink, paper, neutral, forward = (self.colours[n] for n in ("ink", "paper", "neutral", "forward"))
        side = "s" if self.direction == "LR" else "e"
        ports = f"tailport={side}, headport={side}"  # away from the nodes between, and from other edges
        # the font may be wider than Graphviz expects: blanks keep the ends of lines from being cut off
        note = "".join(f"{quoted(line)}{' ' * (len(line) // 3)}\\l" for line in self.note.splitlines())
        lines = [
            f'digraph "{quoted(self.title())}" {{',
            f'rankdir={self.direction}; ordering=in; bgcolor="{paper}"; nodesep=0.25; ranksep=0.6; pad=0.15',
            f'{FONT}; fontsize=11; fontcolor="{neutral}"; pencolor="{neutral}"; labeljust=l',
            f'node [{FONT}, fontsize=12, fontcolor="{ink}", color="{ink}"]',
            f'node [style=filled, fillcolor="{paper}"]',
            f'edge [{FONT}, fontsize=10, fontcolor="{neutral}", color="{forward}"]',
            "edge [arrowsize=0.7, penwidth=1.3]",
            *self.lines,
            *(
                f'"{quoted(node)}" -> "{quoted(self.nodes[Result(unit)])}" [style=dashed, dir=back, {ports}]'
                for unit, node in self.returning
            ),
            *(self._legend() if self.legend else []),
            *([f'label="{note}"; labelloc=b'] if note else []),
        ]
        return "\n  ".join(lines) + "\n}\n"

    def title(self) -> str:
        """What is drawn, in one sentence."""
        nodes: list[Any] = [
            v.node for v in self.graph.sources.values() if isinstance(v, Tensor) and v.is_leaf
        ]
        leaves = [short(self.names.get(place, "a parameter"), NAME) for place in sorted(nodes)]
        name = short(self.names.get(self.graph.head.node, "a tensor"), NAME)
        shown = ", ".join([*leaves[:SHOWN], *["…"] * (len(leaves) > SHOWN)])
        drawn = f", drawn as {counted(len(self.node_ids), 'node')}" * (len(self.node_ids) < self.plan.size)
        operations = counted(len(self.graph.origins), "operation")
        return f"Computation graph of {name}: {operations} from {shown}{drawn}"

    # ---- nodes --------------------------------------------------------------------------------------------

    def _add(
        self, kind: str, name: str, lines: list[str], frame: Frame, call: str = "", classes: str = ""
    ) -> str:
        """Write a node and return the name that it has in the DOT, which no other node has."""
        number, unique = 1, name
        while unique in self.node_ids:
            number += 1
            unique = f"{name} {number}"
        self.node_ids[unique] = f"n{len(self.node_ids) + 1}"
        self.kinds.add(kind)
        label = "\\n".join(quoted(line, "{}|<>" if call else "") for line in lines)
        if call:
            label = f"{quoted(call, '{}|<>')}|{label}"
            label = f"{{{label}}}" if self.direction == "TB" else label
        classes = " ".join(filter(None, ["operation" if kind == "backward" else "", kind, classes]))
        width = _width([call, *lines])
        self._line(
            f'"{quoted(unique)}" [id={self.node_ids[unique]}, class="{classes}", {SHAPES[kind]}, '
            f'label="{label}", width={width:.2f}]',
            frame,
        )
        return unique

    def _line(self, line: str, frame: Frame) -> None:
        """Write a line inside of its frames."""
        opened = ""
        for depth in range(1, len(frame) + 1):
            if frame[:depth] not in self.clusters:
                self.clusters[frame[:depth]] = len(self.clusters) + 1
                label, style = self._frame_style(frame[depth - 1])
                start = f"{opened}subgraph cluster_{self.clusters[frame[:depth]]} {{ "
                label = quoted(label) + " " * (len(label) // 3)  # the font may be wider than Graphviz expects
                self.lines.append(f'{start}label="{label}\\l"; {style}{" }" * depth}')
            opened += f"subgraph cluster_{self.clusters[frame[:depth]]} {{ "
        self.lines.append(f"{opened}{line}{' }' * len(frame)}")

    def _frame_style(self, part: Any) -> tuple[str, str]:
        if isinstance(part, Repeat):
            label = f"\N{MULTIPLICATION SIGN} {part.count:,}, the last is shown"
            return label, 'class=repeat; style="rounded,bold"'
        kind, name = part
        if kind == "sweep":
            label = f"backward{f' {name}' if len(self.plan.sweeps) > 1 else ''}, with create_graph"
            return label, f'class=sweep; style=dashed; pencolor="{BACKWARD}"'
        return self._module_name(name), 'class=module; style="rounded"'

    def _module_name(self, name: str) -> str:
        """The attribute path of a Module, and its class."""
        kind = type(self.plan.named.modules[name]).__name__
        return short(kind if name == "self" else f"{name}: {kind}", 2 * LINE)

    def _facts(self, value: Any) -> list[str]:
        """Shape, values and gradient of a Tensor or an array, a line each."""
        array = value.array if isinstance(value, Tensor) else value
        lines = [str(tuple(array.shape))]
        if self.values and (words := summary(array)):
            lines.append(words)
        if self.gradients and isinstance(value, Tensor) and value.attachment is not None:
            lines.append(gradient(value))
        return [short(line) for line in lines]

    def _operation(self, number: int) -> None:
        """Write an operation together with its result, after what it reads."""
        place, frame = self.plan.keys[number], self.plan.frames[number]
        sources = [
            (i, value, operand, self._node(operand, frame, number))
            for i, value, operand in self.plan.operands(number)
        ]
        result, origin = self.graph.tensors[place], self.graph.origins[place]
        call, lines = call_text(origin, self.names), self._facts(result)
        if result.part is not None:
            call = short(f"{call}[{result.part}]")
        name = call
        if place in self.names:
            name = short(self.names[place], NAME)
            lines.insert(0, name)
        target = self._add("backward" if result.sweep else "operation", name, lines, frame, call)
        self.nodes[Result(number)] = target
        self.ids[place] = self.node_ids[target]
        numbered = self._number_at(place)
        for i, value, operand, source in sources:
            label = _undone(origin, value, result) if isinstance(value, Tensor) and self.gradients else ""
            if isinstance(operand, Result) and operand.different > 1:
                label = f"each of {operand.different:,}"
            attributes = [f'{numbered}="{i + 1}", labeldistance=1.6'] if numbered and sources[1:] else []
            attributes.append(f'id="{self.node_ids[target]}-{i + 1}"')
            self._edge(source, target, value, label, attributes, self.flow.get((place, i)))

    def _number_at(self, place: Hashable) -> str:
        """Where to number the edges of an operation if only their order says which input is which, else "".

        They are drawn in order, but not always: words at an edge, or a crowd, can make Graphviz leave it.
        """
        places = {key(value) for value in self.graph.inputs[place]}
        if len(places - self.names.keys()) < 2 or self.graph.origins[place].function in (np.add, np.multiply):
            return ""
        return "headlabel" if len(places) <= 6 else "taillabel"  # where they do not lie over each other

    def _node(self, operand: Operand, frame: Frame, reader: int) -> str:
        """The DOT's name of what an edge comes from; it is written now if it has not been."""
        if isinstance(operand, Result):
            return self.nodes[Result(operand.unit)]
        if isinstance(operand, Source) and operand in self.nodes and self.uses[operand.key] > STUB:
            return self._stub(operand, frame, reader)
        if operand not in self.nodes:
            if isinstance(operand, Source):
                self._leaf(operand, frame)
            elif isinstance(operand, Carried):
                self._carried(operand, reader)
            else:
                words = [f"… {operand.more:,} more"]
                self.nodes[operand] = self._add("fold", words[0], words, ())
        return self.nodes[operand]

    def _leaf(self, source: Source, frame: Frame) -> None:
        """Write what was not computed here: a parameter, data, or the result of a part that was freed."""
        value = self.graph.sources[source.key]
        kind, name = self._called(source)
        lines = [name, *self._facts(value)]
        if source.different > 1:
            lines = [name, str(tuple(value.shape)), f"{source.different:,} different ones"]
        node = self._add(kind, name, lines, self.plan.frame_of_source(source, frame))
        self.nodes[source] = node
        self.ids.setdefault(source.key, self.node_ids[node])

    def _called(self, source: Source) -> tuple[str, str]:
        """The kind and the name of a leaf."""
        value, kind, unnamed = self.graph.sources[source.key], "data", "data"
        if isinstance(value, Tensor):
            kind, unnamed = ("parameter", "parameter") if value.is_leaf else ("freed", "freed by backward()")
        names = [self.names.get(place) for place in (source.first, source.key)]
        if source.different > 1:
            known = [short(name, ARGUMENT) for name in names if name is not None]
            return kind, " … ".join(known) if len(known) == 2 else f"{unnamed}, another each time"
        return kind, short(names[1] or unnamed, NAME)

    def _stub(self, source: Source, frame: Frame, reader: int) -> str:
        """Write a leaf that is used often again, by its name alone, once for each operation that reads it."""
        place = (source, reader)
        if place not in self.nodes:
            kind, name = self._called(source)
            self.nodes[place] = self._add(kind, name, [name], frame, classes=f"stub {self.ids[source.key]}")
        return self.nodes[place]

    def _carried(self, operand: Carried, reader: int) -> None:
        """Write what passes from one repetition to a later one, with where it comes from at first."""
        frame = self.plan.frames[reader]
        frame = frame[: frame.index(operand.repeat) + 1]
        first = self._node(operand.first, frame[:-1], reader)
        value: Any = self.graph.tensors.get(operand.key)
        value = self.graph.sources[operand.key] if value is None else value
        name = short(self.names.get(self.plan.keys[operand.number], "a result"), NAME)
        lag = "" if operand.lag == 1 else f", {operand.lag} back"
        lines = [f"carried: {name}{lag}", str(tuple(value.shape))]
        if self.values and (words := summary(value.array if isinstance(value, Tensor) else value)):
            lines.append(short(f"first {words}"))
        node = self._add("carried", lines[0], lines, frame)
        self.nodes[operand] = node
        self._edge(first, node, value, "", [], None)
        self.returning.append((operand.unit, node))

    def _in_module(self, number: int, unit: Frame) -> None:
        """Write what an operation in a collapsed Module reads from outside of it, and that Module's node."""
        box = self.nodes.get(Result(unit)) or self._module(unit)
        for _, value, operand in self.plan.operands(number):
            while isinstance(operand, Carried) and operand.repeat not in unit:
                operand = operand.first
            own = isinstance(operand, Source) and unit[-1][1] in self.plan.named.owners.get(operand.key, ())
            if own or (isinstance(operand, Result) and operand.unit == unit):
                continue
            source = self._node(operand, unit[:-1], number)
            if (source, box) not in self.nodes:
                self.nodes[source, box] = ""
                self._edge(source, box, value, "", [], None)

    def _module(self, unit: Frame) -> str:
        """Write a Module as one node, with its parameters."""
        plan, name = self.plan, unit[-1][1]
        inside = [number for number in plan.numbers if plan.units[number] == unit]
        leaves = [
            f"{short(self.names[place], NAME)} {tuple(value.shape)}"
            for place, value in self.graph.sources.items()
            if isinstance(value, Tensor) and value.is_leaf and name in plan.named.owners.get(place, ())
        ]
        lines = [
            self._module_name(name),
            counted(sum(map(plan.weight, inside)), "operation"),
            *leaves[:SHOWN],
            *([f"and {counted(len(leaves) - SHOWN, 'parameter')} more"] if len(leaves) > SHOWN else []),
        ]
        node = self.nodes[Result(unit)] = self._add("fold", lines[0], lines, unit[:-1])
        self.ids |= {plan.keys[number]: self.node_ids[node] for number in inside}
        return node

    def _earlier(self) -> None:
        """Write the one node that stands for all operations before those that are drawn."""
        plan = self.plan
        inside = [number for number in plan.numbers if plan.units[number] == EARLIER]
        values = (value for number in inside for value in self.graph.inputs[plan.keys[number]])
        leaves = {v.node: v for v in values if isinstance(v, Tensor) and v.node in self.graph.sources}
        shown = [Source(place, place, 1) for place in list(leaves)[:SHOWN]]
        sources = [self._node(source, (), inside[0]) for source in shown]
        lines = [
            f"… {sum(map(plan.weight, inside)):,} earlier operations",
            *([f"from {len(leaves) - SHOWN:,} more parameters"] if len(leaves) > SHOWN else []),
            "folded here; to draw them all:",
            f"draw_graph(…, max_nodes={plan.size})",
        ]
        node = self.nodes[Result(EARLIER)] = self._add("fold", lines[0], lines, ())
        self.ids |= {plan.keys[number]: self.node_ids[node] for number in inside}
        for source, place in zip(sources, leaves, strict=False):
            self._edge(source, node, leaves[place], "", [], None)

    # ---- edges --------------------------------------------------------------------------------------------

    def _edge(
        self, source: str, target: str, value: Any, label: str, attributes: list[str], size: float | None
    ) -> None:
        """Write an edge, and beside it, if it reads a Tensor, that of a gradient of the given size."""
        line = f'"{quoted(source)}" -> "{quoted(target)}"'
        back = self.gradients and isinstance(value, Tensor)
        if label:  # blanks keep it off the edge: the font may be wider than Graphviz expects
            words = "\\n".join(f"      {part}      " for part in label.split("\\n"))
            label = f'label="{words}\\n "'
        forward = [*attributes, label] if label and not back else attributes
        self.lines.append(f"{line} [{', '.join(forward)}]" if forward else line)
        if back:
            self.lines.append(f"{line} [{', '.join(filter(None, [*self._back(size), label]))}]")

    def _back(self, size: float | None) -> list[str]:
        """How the way back is drawn: the wider, the larger the gradient."""
        look = ["class=gradient", "dir=back", f'color="{BACKWARD}"']
        if size is None or not self.largest:
            return look
        if size == 0:
            return [*look, "arrowtail=odot"]
        if not math.isfinite(size):
            return [*look, 'taillabel="  NaN or inf  "']
        width = max(1, WIDEST - round(math.log(self.largest / size, 3)))
        return [*look, f"penwidth={1.3 * width:.1f}", f"arrowsize={0.6 + 0.1 * width:.1f}"]

    # ---- the legend ---------------------------------------------------------------------------------------

    def _legend(self) -> list[str]:
        """A small graph of one node of each kind.

        It has no frame and no words at its edges: with either, Graphviz keeps less to `ordering=in`.
        """
        neutral = self.colours["neutral"]
        back = "gradients flow back" if self.gradients else "what is learned"
        result = "operation|its result" if self.direction == "LR" else "{operation|its result}"
        lines = [
            "subgraph legend {",
            f'  node [fontsize=10, fontcolor="{neutral}", color="{neutral}", height=0.3]',
            f'  "legend: data" [label="data\\nvalues flow forward", {SHAPES["data"]}, width=1.7]',
            f'  "legend: parameter" [label="parameter\\n{back}", {SHAPES["parameter"]}, width=1.7]',
            f'  "legend: operation" [label="{result}", {SHAPES["operation"]}, width=1.1]',
            '  "legend: data" -> "legend: operation"',
            '  "legend: parameter" -> "legend: operation"',
        ]
        if self.gradients:
            lines.append(f'  "legend: parameter" -> "legend: operation" [{", ".join(self._back(None))}]')
        more = {
            "backward": "computed by backward",
            "carried": "from the repetition before",
            "fold": "many operations",
        }
        lines += [
            f'  "legend: {kind}" [label="{words}", {SHAPES[kind]}, width={_width([words]) * 10 / 12:.2f}]'
            for kind, words in more.items()
            if kind in self.kinds
        ]
        if self.flow:
            words = "the wider an edge,\\nthe larger its gradient"
            lines.append(f'  "legend: width" [shape=none, width=1.8, label="{words}"]')
        return [*lines, "}"]
