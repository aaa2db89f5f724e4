"""The columns of the nodes, the longest way through them, and what runs beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from mloscope.components.network_graph.blocks import Node


@dataclass(frozen=True)
class Strand:
    """Nodes, or one long edge, that run side by side with the main way, on one height."""

    nodes: tuple[int, ...]
    edge: tuple[int, int] | None
    first: int
    """First and last column that the strand takes up."""
    last: int


@dataclass(frozen=True)
class Ways:
    """How the nodes hang together, left to right."""

    nodes: tuple[Node, ...]
    before: tuple[tuple[int, ...], ...]
    following: tuple[tuple[int, ...], ...]
    ranks: tuple[int, ...]
    """The column of each node."""
    main: tuple[int, ...]
    """The longest way from input to output."""
    strands: tuple[Strand, ...]

    @property
    def columns(self) -> int:
        return max(self.ranks, default=-1) + 1

    @classmethod
    def of(cls, nodes: Sequence[Node]) -> Ways:
        before = tuple(tuple(dict.fromkeys((*node.inputs, *node.after))) for node in nodes)
        targets: list[list[int]] = [[] for _ in nodes]
        for i, sources in enumerate(before):
            for source in sources:
                targets[source].append(i)
        following = tuple(map(tuple, targets))
        ranks = _ranks(before, following)
        main = _main_way(nodes, before, ranks)
        strands = _strands(nodes, following, ranks, main)
        return cls(tuple(nodes), before, following, tuple(ranks), tuple(main), tuple(strands))


def _ranks(before: Sequence[Sequence[int]], following: Sequence[Sequence[int]]) -> list[int]:
    """Return columns: as far left as inputs allow; what takes nothing stands next to its consumer."""
    ranks = [0] * len(before)
    for i, sources in enumerate(before):
        ranks[i] = max((ranks[source] + 1 for source in sources), default=0)
    for i, sources in enumerate(before):
        if not sources and following[i]:
            ranks[i] = min(ranks[target] for target in following[i]) - 1
    return ranks


def _main_way(nodes: Sequence[Node], before: Sequence[Sequence[int]], ranks: Sequence[int]) -> list[int]:
    """Return the longest way; of several, the one with the most parameters."""
    if not nodes:
        return []
    way = [max(range(len(nodes)), key=lambda i: (ranks[i], i))]
    while before[way[-1]]:
        sources = before[way[-1]]
        way.append(max(sources, key=lambda s: (ranks[s], sum(layer.parameter_count for layer in nodes[s].layers), -s)))
    way.reverse()
    return way


def _strands(
    nodes: Sequence[Node], following: Sequence[Sequence[int]], ranks: Sequence[int], main: Sequence[int]
) -> list[Strand]:
    """Return what runs beside the main way: runs of nodes, then edges that pass a column."""
    placed = set(main)
    onward: dict[int, int] = dict(pairwise(main))
    depth = [0] * len(nodes)
    for i in reversed(range(len(nodes))):
        depth[i] = max((depth[target] + 1 for target in following[i]), default=0)
    strands: list[Strand] = []
    for start in range(len(nodes)):
        if start in placed:
            continue
        run = [start]
        placed.add(start)
        while free := [target for target in following[run[-1]] if target not in placed]:
            onward[run[-1]] = max(free, key=lambda t: (depth[t], -t))
            run.append(onward[run[-1]])
            placed.add(run[-1])
        last = ranks[run[-1]]
        if following[run[-1]]:
            onward[run[-1]] = max(following[run[-1]], key=lambda t: (ranks[t], -t))
            last = max(last, ranks[onward[run[-1]]] - 1)
        strands.append(Strand(tuple(run), None, ranks[start], last))
    for i, node in enumerate(nodes):
        for source in node.inputs:
            if ranks[i] - ranks[source] > 1 and onward.get(source) != i:
                strands.append(Strand((), (source, i), ranks[source] + 1, ranks[i] - 1))
    return strands
