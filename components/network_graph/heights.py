"""The height of everything: strands and open blocks stacked above and below the main way, each as close as there is room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mloscope.components.network_graph.plan import FRAME_HEADER
from mloscope.components.network_graph.strands import Strand, Ways

_LABEL_REACH = 20.0
"""The room of a node covers the shape that is written beside it."""


@dataclass(frozen=True)
class FrameRows:
    """Where an open block lies: first and last column, top and bottom."""

    first: int
    last: int
    top: float
    bottom: float

    def holds(self, other: FrameRows) -> bool:
        return (
            self.first <= other.first
            and other.last <= self.last
            and self.top < other.top
            and other.bottom < self.bottom
        )


class Heights:
    """``strands``: the height of each strand's middle line, the main way being 0; ``frames``: of each open block, by its id."""

    def __init__(self, ways: Ways, node_heights: Sequence[float]) -> None:
        self._ways, self._node_heights = ways, node_heights
        self._above, self._below = [0.0] * ways.columns, [0.0] * ways.columns
        for i in ways.main:
            reach = max(node_heights[i] / 2, _LABEL_REACH)
            self._take(ways.ranks[i], -reach, reach)
        self.strands = [0.0] * len(ways.strands)
        self.frames: dict[str, FrameRows] = {}
        for job in self._jobs():
            if isinstance(job, int):
                self._place_strand(job, ways.strands[job])
            else:
                self._place_frame(*job)

    def _jobs(self) -> list[int | tuple[str, int, int]]:
        """Shortest first, so that the long ones arch over them; a frame comes after what is as long as itself."""
        ranks = self._ways.ranks
        members: dict[str, list[int]] = {}
        for i, node in enumerate(self._ways.nodes):
            for block in node.inside:
                members.setdefault(block.id, []).append(ranks[i])
        jobs: list[tuple[int, int, int, int | tuple[str, int, int]]] = [
            (strand.last - strand.first, 0, k, k) for k, strand in enumerate(self._ways.strands)
        ]
        for k, (name, columns) in enumerate(members.items()):
            first, last = min(columns), max(columns)
            jobs.append((last - first, 1, len(members) - k, (name, first, last)))
        return [job for *_, job in sorted(jobs, key=lambda entry: entry[:3])]

    def _place_frame(self, name: str, first: int, last: int) -> None:
        top = min(self._above[first : last + 1]) - FRAME_HEADER - 5
        bottom = max(self._below[first : last + 1]) + 7
        self.frames[name] = FrameRows(first, last, top, bottom)
        self._above[first : last + 1] = [top] * (last + 1 - first)
        self._below[first : last + 1] = [bottom] * (last + 1 - first)

    def _place_strand(self, number: int, strand: Strand) -> None:
        if not 0 <= strand.first <= strand.last:
            return
        reach = dict.fromkeys(range(strand.first, strand.last + 1), 4.0)
        for i in strand.nodes:
            reach[self._ways.ranks[i]] = max(self._node_heights[i] / 2, _LABEL_REACH)
        up = min(self._above[c] - room for c, room in reach.items()) - 8
        down = max(self._below[c] + room for c, room in reach.items()) + 8
        # Skip edges are drawn above, where one looks for them, unless that is far out.
        middle = up if -up <= down + (24 if strand.edge else 0) else down
        self.strands[number] = middle
        for c, room in reach.items():
            self._take(c, middle - room, middle + room)

    def _take(self, column: int, top: float, bottom: float) -> None:
        self._above[column] = min(self._above[column], top)
        self._below[column] = max(self._below[column], bottom)

    def nesting(self) -> dict[str, int]:
        """Return 2 for frames that hold another one, 1 for the others: frames are drawn so many pads wide."""
        return {
            name: 1 + any(rows.holds(other) for key, other in self.frames.items() if key != name)
            for name, rows in self.frames.items()
        }
