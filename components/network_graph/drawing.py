"""The network as one SVG."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from xml.sax.saxutils import escape

from mloscope.adaptors.interface import Layer
from mloscope.components.network_graph.blocks import Block, Node
from mloscope.components.network_graph.fold import fold
from mloscope.components.network_graph.kinds import family
from mloscope.components.network_graph.layout import layout
from mloscope.components.network_graph.plan import Box, Frame, Layout
from mloscope.components.network_graph.texts import DETAIL_SIZE, SHAPE_SIZE, shape_text, text_width
from mloscope.components.network_graph.words import describe, describe_block
from mloscope.components.numbers import grouped

_STYLE = """
.graph-svg{--graph-ink:var(--text,#16191f);--graph-quiet:var(--text-quiet,#565e6c);--graph-rule:var(--line,#d9dde4);\
--graph-paper:var(--surface,#fff);--graph-raised:var(--surface-raised,#f6f7f9);\
--graph-mark:var(--accent,#0b62c4);\
--graph-warn:var(--warn,#8a5a00);font-family:var(--font,Inter,"Segoe UI",system-ui,"DejaVu Sans",sans-serif)}
@media (prefers-color-scheme:dark){\
.graph-svg{--graph-ink:var(--text,#eceff4);--graph-quiet:var(--text-quiet,#a2abba);\
--graph-rule:var(--line,#303640);--graph-paper:var(--surface,#14171c);--graph-raised:var(--surface-raised,#1c2027);\
--graph-mark:var(--accent,#6cb0ff);--graph-warn:var(--warn,#e6b45c)}}
.graph-ground{fill:var(--graph-paper)}
.graph-svg text{fill:var(--graph-ink);font-variant-numeric:tabular-nums}
.graph-name{font-size:12px;font-weight:600}
.graph-svg .graph-detail{font-size:11px;fill:var(--graph-quiet)}
.graph-svg .graph-shape{font-size:10.5px;fill:var(--graph-quiet)}
.graph-slim-name{font-size:10.5px}
.graph-edge{fill:none;stroke:var(--graph-quiet);stroke-opacity:.55;stroke-width:1.4}
.graph-frame{fill:var(--graph-quiet);fill-opacity:.07;stroke:var(--graph-quiet);stroke-opacity:.28}
.graph-paper{fill:var(--graph-paper)}
.graph-body{fill:var(--graph-family);fill-opacity:.13;stroke:var(--graph-family);stroke-opacity:.75}
.graph-stack{fill:var(--graph-raised);stroke:var(--graph-quiet);stroke-opacity:.55}
.graph-block .graph-body{fill:var(--graph-raised);fill-opacity:1;stroke:var(--graph-quiet)}
.graph-strip{fill:var(--graph-family)}
.graph-sign{fill:none;stroke:var(--graph-ink);stroke-width:1.6;stroke-linecap:round}
.graph-sign-fill{fill:var(--graph-ink)}
.graph-handle-ground{fill:transparent}
.graph-node,.graph-handle{cursor:pointer;outline:none}
.graph-ring{fill:none;stroke:none;stroke-width:2.5}
.graph-selected .graph-ring{stroke:var(--graph-mark)}
.graph-holds-selected .graph-ring{stroke:var(--graph-mark);stroke-dasharray:5 4}
.graph-node:hover .graph-body,.graph-handle:hover .graph-handle-ground{stroke-opacity:1;fill-opacity:.24}
.graph-block:hover .graph-body{fill:var(--graph-rule);fill-opacity:1}
.graph-handle:hover .graph-handle-ground{fill:var(--graph-quiet)}
.graph-node:focus-visible .graph-ring{stroke:var(--graph-ink);stroke-dasharray:none}
.graph-handle:focus-visible .graph-handle-ground{stroke:var(--graph-ink);stroke-width:2}
.graph-warning path{fill:var(--graph-warn)}
.graph-svg .graph-warning text{fill:var(--graph-paper);font-size:9px;font-weight:700}
.graph-family-convolution{--graph-family:#3a7fb5}
.graph-family-dense{--graph-family:#a85f9e}
.graph-family-pooling{--graph-family:#23936f}
.graph-family-merge{--graph-family:#c98a12}
.graph-family-helper{--graph-family:#8b93a1}
.graph-family-end{--graph-family:#5c6575}
.graph-family-other{--graph-family:#5c6575}
"""

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _xml(text: str) -> str:
    """Text as XML character data or attribute value; characters that XML cannot hold become U+FFFD."""
    entities = {'"': "&quot;", "'": "&#39;", "\n": "&#10;", "\t": "&#9;", "\r": "&#13;"}
    return escape(_FORBIDDEN.sub("\ufffd", text), entities)


def _shown(text: str) -> str:
    """Text as it is drawn: control and direction characters become visible."""
    return _xml("".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cf", "Cs") else c for c in text))


def svg(layers: Sequence[Layer], *, selected: str | None = None, expanded: Collection[str] = frozenset()) -> str:
    """Return the network as an SVG document of its own, which also serves as a part of a page.

    ``selected`` is a layer's name, ``expanded`` the ids of the blocks that are open; names that do not
    exist are ignored. Nodes are ``g.graph-node`` with ``data-layer`` or ``data-block`` (then
    ``data-members`` is the JSON list of its layers' names), in the order of the network; ``data-main``
    marks the longest way. Headers of open blocks are ``g.graph-handle`` with ``data-block``. Every one
    has a ``title`` that tells what it is. Colours are the page's custom properties where it has them.
    """
    nodes = fold(layers, expanded)
    plan = layout(nodes)
    width, height = round(plan.width + 0.5), round(plan.height + 0.5)
    parameters = sum(layer.parameter_count for layer in layers)
    summary = f"Network of {len(layers)} layers with {grouped(parameters)} parameters"
    parts = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="graph-svg" role="group" aria-label="{summary}"'
        f' viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f"<title>{summary}</title><style>{_STYLE.replace('<', '')}</style>"
        f'<rect class="graph-ground" width="{width}" height="{height}"/><g class="graph-world">',
        *_ground(plan),
        *map(_handle, plan.frames),
        *(_node(node, box, selected) for node, box in zip(nodes, plan.boxes, strict=True)),
        "</g></svg>",
    )
    return "".join(parts)


def _ground(plan: Layout) -> Iterator[str]:
    """Yield what lies under the nodes: frames, edges, shapes."""
    for frame in plan.frames:
        yield (
            f'<rect class="graph-frame" data-block="{frame.block.id}" x="{frame.x:.1f}" y="{frame.y:.1f}"'
            f' width="{frame.width:.1f}" height="{frame.height:.1f}" rx="7"/>'
        )
    for edge in plan.edges:
        yield f'<path class="graph-edge" d="{edge.path}"/>'
    for label in plan.labels:
        if label.ends:
            box = plan.boxes[label.node]
            end = label.x + max(text_width(line, SHAPE_SIZE) for line in label.lines) + 4
            yield f'<path class="graph-edge" d="M{box.right:.1f} {box.middle:.1f}H{end:.1f}"/>'
        lines = "".join(
            f'<tspan x="{label.x:.1f}" y="{label.y + dy:.1f}">{line}</tspan>'
            for line, dy in zip(label.lines, (-5, 13), strict=False)
        )
        yield f'<text class="graph-shape">{lines}</text>'


def _handle(frame: Frame) -> str:
    width = min(frame.width - 4, 26 + text_width(frame.label, DETAIL_SIZE))
    label = _xml(frame.block.label)
    return (
        f'<g class="graph-handle" role="button" tabindex="-1" aria-expanded="true"'
        f' data-block="{frame.block.id}"'
        f' aria-label="Close {label}, {len(frame.block.layers)} layers"'
        f' transform="translate({frame.x + 2:.1f} {frame.y + 2:.1f})">'
        f"<title>{_xml(describe_block(frame.block))}\nClick to close the block.</title>"
        f'<rect class="graph-handle-ground" width="{width:.1f}" height="17" rx="5"/>'
        f'<path class="graph-sign" d="M7 8.5h7"/>'
        f'<text class="graph-detail" x="20" y="12.5">{_shown(frame.label)}</text></g>'
    )


def _node(node: Node, box: Box, selected: str | None) -> str:
    content = node.content
    problem = any(layer.problem for layer in node.layers)
    main = ' data-main="true"' if box.main else ""
    place = f'transform="translate({box.x:.1f} {box.y:.1f})"'
    warning = (
        f'<g class="graph-warning" transform="translate({box.width - 8:.1f} -6)">'
        '<path d="M7 0L14 13H0Z"/><text x="7" y="11.5" text-anchor="middle">!</text></g>'
        if problem
        else ""
    )
    ring = (
        f'<rect class="graph-ring" x="-3.5" y="-3.5" width="{box.width + 7:.1f}"'
        f' height="{box.height + 7:.1f}" rx="{18.5 if box.style == "merge" else 8.5}"/>'
    )
    if isinstance(content, Block):
        holds = any(layer.name == selected for layer in content.layers)
        members = _xml(json.dumps([layer.name for layer in content.layers], ensure_ascii=False))
        label = f"{content.label}, {content.kind}, {len(content.layers)} layers, closed"
        return (
            f'<g class="graph-node graph-block{" graph-holds-selected" if holds else ""}" role="button"'
            f' tabindex="-1" aria-expanded="false" aria-label="{_xml(label)}" data-block="{content.id}"'
            f' data-members="{members}"{main} {place}>'
            f"<title>{_xml(describe_block(content))}\nClick to open the block.</title>"
            f"{_block_body(content, box)}{ring}{warning}</g>"
        )
    chosen = content.name == selected
    label = ", ".join(filter(None, (content.name, content.kind, shape_text(content.output_shape), content.problem)))
    return (
        f'<g class="graph-node graph-{box.style} graph-family-{family(content.kind)}'
        f'{" graph-selected" if chosen else ""}" role="button" tabindex="-1"'
        f' aria-pressed="{str(chosen).lower()}" aria-label="{_xml(label)}" data-layer="{_xml(content.name)}"'
        f"{main} {place}>"
        f"<title>{_xml(describe(content))}</title>{_layer_body(content, box)}{ring}{warning}</g>"
    )


def _layer_body(layer: Layer, box: Box) -> str:
    if box.style == "merge":
        radius = box.width / 2
        body = "".join(
            f'<circle class="graph-{c}" cx="{radius}" cy="{radius}" r="{radius}"/>' for c in ("paper", "body")
        )
        signs = {
            "add": '<path class="graph-sign" d="M15 9v12M9 15h12"/>',
            "multiply": '<path class="graph-sign" d="M10.8 10.8l8.4 8.4M19.2 10.8l-8.4 8.4"/>',
            "concatenate": '<path class="graph-sign" d="M9.5 10h11M9.5 15h11M9.5 20h11"/>',
        }
        return body + signs[layer.kind]
    body = "".join(
        f'<rect class="graph-{c}" width="{box.width:.1f}" height="{box.height:.1f}" rx="5"/>' for c in ("paper", "body")
    )
    if box.style == "slim":
        x = box.width / 2 + 3.7
        text = f'transform="translate({x:.1f} {box.height / 2:.1f}) rotate(-90)" text-anchor="middle"'
        return f'{body}<text class="graph-slim-name" {text}>{_shown(box.name)}</text>'
    return (
        f'{body}<text class="graph-name" x="9" y="23.5">{_shown(box.name)}</text>'
        f'<text class="graph-detail" x="9" y="40">{_shown(box.detail)}</text>'
    )


def _block_body(block: Block, box: Box) -> str:
    """A card, or a stack of them, with a strip that shows which kinds of layer are in it, in their order."""
    stack = "".join(
        f'<rect class="graph-stack" x="{k * 3}" y="{-k * 3}" width="{box.width:.1f}" height="{box.height}" rx="5"/>'
        for k in ((2, 1) if block.repeats > 2 else (1,) if block.repeats > 1 else ())
    )
    one = block.children[0] if block.repeats > 1 else block
    inner = one.layers if isinstance(one, Block) else (one,)
    families = [family(layer.kind) for layer in inner if layer.kind != "padding"] or ["other"]
    step = (box.width - 16) / len(families)
    strip = "".join(
        f'<rect class="graph-strip graph-family-{name}" x="{8 + i * step:.1f}" y="48"'
        f' width="{max(step - 1, 0.6):.1f}" height="2.5"/>'
        for i, name in enumerate(families)
    )
    x = box.width - 15
    return (
        f'{stack}<rect class="graph-paper" width="{box.width:.1f}" height="{box.height}" rx="5"/>'
        f'<rect class="graph-body" width="{box.width:.1f}" height="{box.height}" rx="5"/>'
        f'<text class="graph-name" x="9" y="17">{_shown(box.name)}</text>'
        f'<text class="graph-detail" x="9" y="30.5">{_shown(box.detail)}</text>'
        f'<text class="graph-detail" x="9" y="43.5">{_shown(box.size)}</text>{strip}'
        f'<path class="graph-sign" d="M{x:.1f} 12.5h7m-3.5 -3.5v7"/>'
    )
