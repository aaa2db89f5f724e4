"""Folding: which layers are shown alone, and which together as blocks that can be opened."""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

from mloscope.adaptors.interface import Layer
from mloscope.components.network_graph.blocks import Block, Node
from mloscope.components.network_graph.kinds import MERGE_KINDS, SLIM_KINDS
from mloscope.components.network_graph.layer_graph import LayerGraph
from mloscope.components.network_graph.pieces import Piece, cells, chains, composed, named, signature, threads

FOLD_ABOVE = 40
"""Networks of at most this many layers are shown whole."""


def _kind(layers: Sequence[Layer], inner_inputs: Sequence[bool]) -> str:
    """What a block is called; ``inner_inputs`` tells of every layer whether all it takes comes from
    within."""
    kinds = [layer.kind for layer in layers]
    deep = "depthwise convolution" in kinds or "separable convolution" in kinds
    if "add" in kinds:
        return "inverted residual block" if "depthwise convolution" in kinds else "residual block"
    if "concatenate" in kinds:
        past = any(k == "concatenate" and not inner for k, inner in zip(kinds, inner_inputs, strict=True))
        return "dense block" if past else "inception block"
    if deep:
        return "separable block"
    computing = {kind for kind in kinds if kind not in SLIM_KINDS}
    return f"{computing.pop()} block" if len(computing) == 1 else "block"


def _automatic(layer: Layer) -> bool:
    """Whether the name is one that a framework gave: ``add_3``, ``tf.concat_1``."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", layer.source_class).lower()
    bases = {snake, layer.kind.replace(" ", "_"), "add", "concat", "concatenate", "multiply", "mul", "merge"}
    return re.sub(r"_?\d*$", "", layer.name.lower().rsplit(".", 1)[-1]) in bases


def _range_label(first: str, last: str) -> str:
    """``conv2_block2`` and ``conv2_block3`` as ``conv2_block2–3``."""
    common = 0
    for a, b in zip(first, last, strict=False):
        if a != b:
            break
        common += 1
    while common and first[common - 1].isdigit():
        common -= 1
    return f"{first}–{last[common:]}" if common and last[common:] else f"{first} – {last}"


class _Names:
    """Gives blocks their labels and ids, in the order of the network."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.used: set[str] = set()

    def numbered(self, kind: str) -> str:
        self.counts[kind] += 1
        return f"{kind.replace(' block', '') or 'block'} {self.counts[kind]}"

    def unique(self, label: str) -> str:
        plain = re.sub(r"[^A-Za-z0-9_.]+", "-", label).strip("-") or "block"
        found, again = plain, 2
        while found in self.used:
            found, again = f"{plain}.{again}", again + 1
        self.used.add(found)
        return found


def tree(layers: Sequence[Layer]) -> tuple[Block | Layer, ...]:
    """The network in topological order with everything folded that can be, at most two levels deep: rows
    of like blocks, blocks, layers. A network of at most :data:`FOLD_ABOVE` layers has no blocks."""
    return _tree(LayerGraph.of(layers))


def _tree(graph: LayerGraph) -> tuple[Block | Layer, ...]:
    if len(graph.layers) <= FOLD_ABOVE:
        return graph.layers
    pieces: list[Piece] = []
    for piece in threads(graph):
        tangle = piece.branching and len(piece.positions) > 64
        pieces.extend(chains(graph, piece.positions) if tangle else [piece])
    pieces = named(graph, pieces)
    rows = _rows(graph, composed(graph, pieces, singles=False), crowded=False)
    if len(rows) > FOLD_ABOVE:
        rows = _rows(graph, composed(graph, cells(graph, pieces), singles=True), crowded=True)
    return rows


def _rows(graph: LayerGraph, pieces: Sequence[Piece], crowded: bool) -> tuple[Block | Layer, ...]:
    """Return the pieces as layers and blocks, rows of like blocks as one; where it is ``crowded`` rows of like layers too."""
    names = _Names()
    shown: list[Block | Layer] = []
    alike: list[tuple[object, ...] | None] = []
    """A signature for what may become a row with its neighbours."""
    for piece in pieces:
        members = tuple(graph.layers[i] for i in piece.positions)
        if piece.folded:
            kind, label = _kind_and_label(graph, piece, members, names)
            shown.append(Block(names.unique(label), label, kind, members))
            alike.append(signature(graph, piece.positions, shapes=True))
        else:
            shown.extend(members)
            plain = crowded and members[0].kind not in {*SLIM_KINDS, "input"}
            alike.append(signature(graph, piece.positions, shapes=True) if plain else None)
    return tuple(_joined(shown, alike, names))


def _kind_and_label(graph: LayerGraph, piece: Piece, members: Sequence[Layer], names: _Names) -> tuple[str, str]:
    within = set(piece.positions)
    kind = _kind(members, [all(source in within for source in graph.inputs[i]) for i in piece.positions])
    if piece.stem:
        return kind, piece.stem
    merge = next((layer for layer in reversed(members) if layer.kind in MERGE_KINDS), None)
    if piece.branching and merge and not _automatic(merge):
        return kind, merge.name
    return kind, names.numbered(kind)


def _joined(
    shown: Sequence[Block | Layer], alike: Sequence[tuple[object, ...] | None], names: _Names
) -> Iterator[Block | Layer]:
    """Yield what is shown, at least two like blocks or three like layers in a row as one block."""
    i = 0
    while i < len(shown):
        end = i + 1
        while end < len(shown) and alike[i] is not None and alike[end] == alike[i]:
            end += 1
        first, last = shown[i], shown[end - 1]
        if end - i >= (2 if isinstance(first, Block) else 3) and type(first) is type(last):
            label = _range_label(*(each.label if isinstance(each, Block) else each.name for each in (first, last)))
            yield Block(names.unique(label), label, f"{end - i} × {first.kind}", tuple(shown[i:end]))
        else:
            yield from shown[i:end]
        i = end


def fold(layers: Sequence[Layer], expanded: Collection[str] = ()) -> tuple[Node, ...]:
    """Return what is shown of the network when the blocks with ids in ``expanded`` are open, in topological order.

    Each layer is in exactly one node. Ids of no block are ignored.
    """
    graph = LayerGraph.of(layers)
    shown = list(_unfolded(_tree(graph), expanded, ()))
    place = {layer.name: i for i, layer in enumerate(graph.layers)}
    owner = [0] * len(graph.layers)
    for node, (content, _) in enumerate(shown):
        for layer in content.layers if isinstance(content, Block) else (content,):
            owner[place[layer.name]] = node
    inputs: list[dict[int, None]] = [{} for _ in shown]
    after: list[dict[int, None]] = [{} for _ in shown]
    for i, node in enumerate(owner):
        inputs[node].update((owner[source], None) for source in graph.inputs[i] if owner[source] != node)
        after[node].update((owner[source], None) for source in graph.after[i] if owner[source] != node)
    order = _order([dict.fromkeys((*taken, *strung)) for taken, strung in zip(inputs, after, strict=True)])
    new = {old: position for position, old in enumerate(order)}
    return tuple(
        Node(
            shown[old][0],
            tuple(new[source] for source in inputs[old]),
            tuple(new[source] for source in after[old]),
            shown[old][1],
        )
        for old in order
    )


def _unfolded(
    children: Iterable[Block | Layer], expanded: Collection[str], around: tuple[Block, ...]
) -> Iterator[tuple[Block | Layer, tuple[Block, ...]]]:
    """Yield what stands in the picture, each with the open blocks around it."""
    for child in children:
        if isinstance(child, Block) and child.id in expanded:
            yield from _unfolded(child.children, expanded, (*around, child))
        else:
            yield child, around


def _order(sources: Sequence[Collection[int]]) -> list[int]:
    """Return nodes in topological order, and else as they are."""
    waiting = [len(taken) for taken in sources]
    following: list[list[int]] = [[] for _ in sources]
    for i, taken in enumerate(sources):
        for source in taken:
            following[source].append(i)
    ready = [i for i, count in enumerate(waiting) if not count]
    order: list[int] = []
    while ready:
        order.append(heapq.heappop(ready))
        for target in following[order[-1]]:
            waiting[target] -= 1
            if not waiting[target]:
                heapq.heappush(ready, target)
    return order
