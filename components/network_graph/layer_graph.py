"""The layers as a graph without cycles: an order, edges as positions in it, unconnected parts strung together."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from mloscope.adaptors.interface import Layer


@dataclass(frozen=True)
class LayerGraph:
    """The layers in topological order, part after part."""

    layers: tuple[Layer, ...]
    inputs: tuple[tuple[int, ...], ...]
    after: tuple[tuple[int, ...], ...]
    """For the beginnings of an unconnected part, the ends of the part before it; else empty."""
    followers: tuple[tuple[int, ...], ...]
    """Who consumes a layer; for the ends of an unconnected part, the layers strung after it."""

    @classmethod
    def of(cls, layers: Sequence[Layer]) -> LayerGraph:
        """Edges to layers that do not exist and edges that close a cycle are left out: a broken file still gives a picture."""
        sources = _edges(layers)
        part = _parts(sources)
        order = _order(sources, part)
        new = {old: position for position, old in enumerate(order)}
        inputs = [tuple(new[s] for s in sources[old] if new[s] < position) for position, old in enumerate(order)]
        followers = _targets(inputs)
        after = _strung(inputs, followers, [part[old] for old in order])
        return cls(tuple(layers[old] for old in order), tuple(inputs), tuple(after), tuple(map(tuple, followers)))

    def before(self, position: int) -> tuple[int, ...]:
        return self.inputs[position] + self.after[position]


def _edges(layers: Sequence[Layer]) -> list[tuple[int, ...]]:
    """Return the positions that each layer takes its inputs from."""
    place = {layer.name: i for i, layer in enumerate(layers)}
    return [
        tuple(dict.fromkeys(place[name] for name in layer.inputs if name in place and place[name] != i))
        for i, layer in enumerate(layers)
    ]


def _targets(sources: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return the edges the other way round."""
    targets: list[list[int]] = [[] for _ in sources]
    for i, taken in enumerate(sources):
        for source in taken:
            targets[source].append(i)
    return targets


def _parts(sources: Sequence[Sequence[int]]) -> list[int]:
    """Return the first layer of the connected part that each layer belongs to (union-find)."""
    part = list(range(len(sources)))

    def root(i: int) -> int:
        while part[i] != i:
            part[i] = part[part[i]]
            i = part[i]
        return i

    for i, taken in enumerate(sources):
        for source in taken:
            a, b = root(i), root(source)
            part[max(a, b)] = min(a, b)
    return [root(i) for i in range(len(sources))]


def _order(sources: Sequence[Sequence[int]], part: Sequence[int]) -> list[int]:
    """Return the layers in topological order, part after part, and else as given."""
    targets = _targets(sources)
    open_inputs = [len(taken) for taken in sources]
    ready = [(part[i], i) for i in range(len(sources)) if not open_inputs[i]]
    heapq.heapify(ready)
    untaken = sorted((part[i], i) for i in range(len(sources)))
    untaken.reverse()
    order: list[int] = []
    taken = [False] * len(sources)
    while len(order) < len(sources):
        while untaken and taken[untaken[-1][1]]:
            untaken.pop()
        # Nothing of the first unfinished part is ready: only a cycle does that; its first layer breaks it.
        stuck = not ready or ready[0][0] > untaken[-1][0]
        i = untaken.pop()[1] if stuck else heapq.heappop(ready)[1]
        if taken[i]:
            continue
        taken[i] = True
        order.append(i)
        for target in targets[i]:
            open_inputs[target] -= 1
            if not open_inputs[target] and not taken[target]:
                heapq.heappush(ready, (part[target], target))
    return order


def _strung(inputs: Sequence[Sequence[int]], followers: list[list[int]], part: Sequence[int]) -> list[tuple[int, ...]]:
    """Return what each layer comes after without taking it as input, and add that to ``followers``: where a part of the
    network begins, the ends of the part before it."""
    after: list[tuple[int, ...]] = [() for _ in inputs]
    start = 0
    for i in range(1, len(inputs)):
        if part[i] == part[i - 1]:
            continue
        ends = tuple(j for j in range(start, i) if not followers[j])
        roots = [i]
        for j in range(i + 1, len(inputs)):
            if part[j] != part[i]:
                break
            if not inputs[j]:
                roots.append(j)
        for j in roots:
            after[j] = ends if j == i else ends[-1:]
        for end in ends:
            followers[end].extend(roots if end == ends[-1] else roots[:1])
        start = i
    return after
