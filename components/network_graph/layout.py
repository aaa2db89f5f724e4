"""Placing the nodes left to right.

The longest way from input to output is a straight line; shorter branches and skip edges are stacked above and below it, the
shortest nearest. Edges change height only in the gap before the next column, so that they cross neither nodes nor text.

    Ways (columns, main way, strands) ──► Heights (rows) ──► _Columns (left edges, gaps) ──► boxes, edges, labels, frames
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mloscope.components.network_graph.blocks import Node
from mloscope.components.network_graph.heights import Heights
from mloscope.components.network_graph.plan import (
    CURVE,
    FRAME_PAD,
    LABEL_GAP,
    MARGIN,
    MAX_TEXT_WIDTH,
    MERGE_SIZE,
    NODE_HEIGHT,
    SLIM_WIDTH,
    Box,
    Edge,
    Frame,
    Layout,
    ShapeLabel,
)
from mloscope.components.network_graph.strands import Ways
from mloscope.components.network_graph.texts import (
    DETAIL_SIZE,
    NAME_SIZE,
    SHAPE_SIZE,
    SLIM_SIZE,
    cut_middle,
    node_style,
    node_text,
    shape_text,
    text_width,
)


def layout(nodes: Sequence[Node]) -> Layout:
    """Return where everything stands."""
    ways = Ways.of(nodes)
    cards = [_card(node) for node in nodes]
    heights = Heights(ways, [card.height for card in cards])
    rows = _rows(ways, heights)
    shapes = _shape_labels(ways)
    columns = _columns(ways, cards, rows, heights, shapes)
    top, bottom = _ends(cards, rows, heights)
    shift = MARGIN - top
    boxes = _boxes(ways, cards, rows, columns, shift)
    edges = _edges(ways, boxes, rows, columns, shift)
    labels = _labels(ways, boxes, columns, shapes)
    frames = _frames(ways, heights, columns, shift)
    return Layout(boxes, edges, labels, frames, columns.total_width, bottom + shift + MARGIN)


# ------------------------------------------------------------------------------------------------------------- nodes


@dataclass(frozen=True)
class _Card:
    """A node's style, what is written on it, cut to fit, and its size."""

    style: str
    name: str
    detail: str
    count: str
    width: float
    height: float


def _card(node: Node) -> _Card:
    style = node_style(node)
    name, detail, count = node_text(node)
    room, size = (NODE_HEIGHT - 6, SLIM_SIZE) if style == "slim" else (MAX_TEXT_WIDTH, NAME_SIZE)
    name = cut_middle(name, room, size, bold=style != "slim")
    detail = cut_middle(detail, room, DETAIL_SIZE)
    if style == "slim":
        width: float = SLIM_WIDTH
    elif style == "merge":
        width = MERGE_SIZE
    else:
        # A block's first line leaves room for the mark that opens it.
        head = text_width(name, NAME_SIZE, True) + (16 if style == "block" else 0)
        width = max(44.0, head, text_width(detail, DETAIL_SIZE)) + 18
    return _Card(style, name, detail, count, width, float(MERGE_SIZE if style == "merge" else NODE_HEIGHT))


@dataclass(frozen=True)
class _Rows:
    """The height of each node's middle, and of each long edge by its ends; the main way is 0."""

    nodes: tuple[float, ...]
    lanes: Mapping[tuple[int, int], float]

    def lane(self, source: int, target: int) -> float:
        """Where the edge runs between its bends."""
        return self.lanes.get((source, target), self.nodes[source])


def _rows(ways: Ways, heights: Heights) -> _Rows:
    placed = list(zip(ways.strands, heights.strands, strict=True))
    of_node = {node: middle for strand, middle in placed for node in strand.nodes}
    lanes = {strand.edge: middle for strand, middle in placed if strand.edge}
    return _Rows(tuple(of_node.get(i, 0.0) for i in range(len(ways.nodes))), lanes)


def _ends(cards: Sequence[_Card], rows: _Rows, heights: Heights) -> tuple[float, float]:
    """Return the highest and the lowest point of all."""
    frames, lanes = heights.frames.values(), rows.lanes.values()
    tops = [y - card.height / 2 for y, card in zip(rows.nodes, cards, strict=True)]
    bottoms = [y + card.height / 2 for y, card in zip(rows.nodes, cards, strict=True)]
    top = min([*tops, *(frame.top for frame in frames), *(lane - 4 for lane in lanes)], default=0.0)
    bottom = max([*bottoms, *(frame.bottom for frame in frames), *(lane + 4 for lane in lanes)], default=0.0)
    return top, bottom


# ----------------------------------------------------------------------------------------------------------- columns


@dataclass(frozen=True)
class _Columns:
    """Left edges and widths of the columns, the gaps after them, and how many pads of frames open and close in them."""

    left: tuple[float, ...]
    width: tuple[float, ...]
    gaps: tuple[float, ...]
    opening: tuple[int, ...]
    closing: tuple[int, ...]
    total_width: float

    def opening_after(self, column: int) -> int:
        return self.opening[column + 1] if column + 1 < len(self.width) else 0

    def bend(self, column: int) -> float:
        """Where edges in the gap after the column begin to change height."""
        end = self.left[column] + self.width[column] + self.gaps[column]
        return end - CURVE - FRAME_PAD * self.opening_after(column)


def _columns(
    ways: Ways, cards: Sequence[_Card], rows: _Rows, heights: Heights, shapes: Mapping[int, tuple[str, ...]]
) -> _Columns:
    count = ways.columns
    opening, closing = [0] * (count + 1), [0] * (count + 1)
    for frame, nest in zip(heights.frames.values(), heights.nesting().values(), strict=True):
        opening[frame.first] = max(opening[frame.first], nest)
        closing[frame.last] = max(closing[frame.last], nest)
    opening[count] = 0
    gaps = _gaps(ways, cards, rows, shapes, opening, closing)
    width = [0.0] * count
    for card, rank in zip(cards, ways.ranks, strict=True):
        width[rank] = max(width[rank], card.width)
    left = []
    at: float = MARGIN + FRAME_PAD * (opening[0] if count else 0)
    for c in range(count):
        left.append(at)
        at += width[c] + gaps[c]
    total = (at if count else 0) + (0 if shapes else MARGIN)
    return _Columns(tuple(left), tuple(width), tuple(gaps), tuple(opening), tuple(closing), total)


def _gaps(
    ways: Ways,
    cards: Sequence[_Card],
    rows: _Rows,
    shapes: Mapping[int, tuple[str, ...]],
    opening: Sequence[int],
    closing: Sequence[int],
) -> list[float]:
    """Return the room after each column: for bends, for frames that end and begin, for shapes."""
    ranks, count = ways.ranks, ways.columns
    bends, slim = [False] * (count + 1), [True] * count + [False]
    for i, node in enumerate(ways.nodes):
        slim[ranks[i]] &= cards[i].style == "slim"
        for source in node.inputs:
            bends[ranks[source]] |= rows.lane(source, i) != rows.nodes[source]
            bends[ranks[i] - 1] |= rows.lane(source, i) != rows.nodes[i]
    gaps = []
    for c in range(count):
        gap = CURVE + 6 if bends[c] else 10.0
        gap += FRAME_PAD * (closing[c] + opening[c + 1])
        gaps.append(gap if bends[c] or slim[c + 1] else gap + 12)
    for i, lines in shapes.items():
        c = ranks[i]
        need = max(text_width(line, SHAPE_SIZE) for line in lines) + LABEL_GAP + 4 + FRAME_PAD * closing[c]
        need += (CURVE if bends[c] else 8) + FRAME_PAD * opening[c + 1]
        gaps[c] = max(gaps[c], need)
    return gaps


# ---------------------------------------------------------------------------------------------------- what is placed


def _boxes(ways: Ways, cards: Sequence[_Card], rows: _Rows, columns: _Columns, shift: float) -> tuple[Box, ...]:
    main = set(ways.main)
    return tuple(
        Box(
            columns.left[rank] + (columns.width[rank] - card.width) / 2,
            y - card.height / 2 + shift,
            card.width,
            card.height,
            card.style,
            card.name,
            card.detail,
            card.count,
            i in main,
        )
        for i, (card, rank, y) in enumerate(zip(cards, ways.ranks, rows.nodes, strict=True))
    )


def _edges(ways: Ways, boxes: Sequence[Box], rows: _Rows, columns: _Columns, shift: float) -> tuple[Edge, ...]:
    edges = []
    for i, node in enumerate(ways.nodes):
        for source in node.inputs:
            a, b = boxes[source], boxes[i]
            lane = rows.lanes.get((source, i), a.middle - shift) + shift
            path = [f"M{a.right:.1f} {a.middle:.1f}"]
            if lane != a.middle:
                path.append(_curve(columns.bend(ways.ranks[source]), a.middle, lane))
            if lane != b.middle:
                path.append(_curve(columns.bend(ways.ranks[i] - 1), lane, b.middle))
            path.append(f"H{b.x:.1f}")
            edges.append(Edge(source, i, "".join(path)))
    return tuple(edges)


def _curve(x: float, start: float, end: float) -> str:
    half = CURVE / 2
    return f"H{x:.1f}C{x + half:.1f} {start:.1f} {x + half:.1f} {end:.1f} {x + CURVE:.1f} {end:.1f}"


def _labels(
    ways: Ways, boxes: Sequence[Box], columns: _Columns, shapes: Mapping[int, tuple[str, ...]]
) -> tuple[ShapeLabel, ...]:
    labels = []
    for i, lines in shapes.items():
        c = ways.ranks[i]
        x = boxes[i].right + LABEL_GAP
        if columns.closing[c]:  # not across the frame's edge
            x = columns.left[c] + columns.width[c] + LABEL_GAP + FRAME_PAD * columns.closing[c]
        ends = not any(i in ways.nodes[target].inputs for target in ways.following[i])
        labels.append(ShapeLabel(i, x, boxes[i].middle, lines, ends))
    return tuple(labels)


def _frames(ways: Ways, heights: Heights, columns: _Columns, shift: float) -> tuple[Frame, ...]:
    """Return the frames, those that hold others first."""
    nests = heights.nesting()
    blocks = {block.id: block for node in ways.nodes for block in node.inside}
    frames = []
    for name, rows in sorted(heights.frames.items(), key=lambda row: -nests[row[0]]):
        x = columns.left[rows.first] - FRAME_PAD * nests[name]
        width = columns.left[rows.last] + columns.width[rows.last] + FRAME_PAD * nests[name] - x
        block = blocks[name]
        heading = f"{block.label}, {block.kind}"
        if text_width(heading, DETAIL_SIZE) > width - 28:
            heading = cut_middle(block.label, width - 28, DETAIL_SIZE)
        frames.append(Frame(block, x, rows.top + shift, width, rows.bottom - rows.top, heading))
    return tuple(frames)


def _shape_labels(ways: Ways) -> dict[int, tuple[str, ...]]:
    """Return where an output shape is written: where it is not the one that came in, behind the helpers that do not change
    it, and at the network's end. A rim of padding is not worth a label."""
    nodes, following = ways.nodes, ways.following
    texts = [shape_text(node.output_shape) for node in nodes]
    wanted: dict[int, tuple[str, ...]] = {}
    for i, node in enumerate(nodes):
        changed = texts[i] and texts[i] != (texts[node.inputs[0]] if node.inputs else "")
        changed = changed and node.layers[-1].kind != "padding"
        at = i
        while changed and len(following[at]) == 1:
            (after,) = following[at]
            if node_style(nodes[after]) != "slim" or nodes[after].inputs != (at,) or texts[after] != texts[at]:
                break
            at = after
        if texts[i] and (changed or not following[i]):
            shape = node.output_shape or ()
            wanted[at] = (shape_text(shape[:-1]), "×" + shape_text(shape[-1:])) if len(shape) > 1 else (texts[i],)
    return wanted
