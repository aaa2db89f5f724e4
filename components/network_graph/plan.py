"""Where everything stands: what the layout decides and the drawing draws. All in pixels."""

from __future__ import annotations

from dataclasses import dataclass

from mloscope.components.network_graph.blocks import Block

NODE_HEIGHT = 54
SLIM_WIDTH = 20
MERGE_SIZE = 30
MAX_TEXT_WIDTH = 122
CURVE = 30
"""How much room an edge takes to change its height."""
MARGIN = 14
FRAME_PAD = 7
LABEL_GAP = 8
FRAME_HEADER = 19


@dataclass(frozen=True)
class Box:
    """Where a node stands."""

    x: float
    """Left edge."""
    y: float
    """Top edge."""
    width: float
    height: float
    style: str
    """``full``, ``slim``, ``merge`` or ``block``."""
    name: str
    """The first line of text, cut to fit."""
    detail: str
    """The second."""
    size: str
    """The third, on blocks: how many layers."""
    main: bool
    """On the longest way from input to output."""

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


@dataclass(frozen=True)
class Edge:
    source: int
    target: int
    path: str
    """SVG path data, from the source's right edge to the target's left."""


@dataclass(frozen=True)
class ShapeLabel:
    node: int
    x: float
    """Left edge."""
    y: float
    """The edge the label belongs to, which runs between its two lines."""
    lines: tuple[str, ...]
    """``28×28`` above the edge and ``×6`` below it, or one line above."""
    ends: bool
    """The node has no consumer: the label stands at the end of a stub."""


@dataclass(frozen=True)
class Frame:
    """An open block: the ground behind its nodes, with the header that closes it."""

    block: Block
    x: float
    y: float
    width: float
    height: float
    label: str


@dataclass(frozen=True)
class Layout:
    """All coordinates in pixels, from the top left corner of the picture."""

    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    labels: tuple[ShapeLabel, ...]
    frames: tuple[Frame, ...]
    width: float
    height: float
