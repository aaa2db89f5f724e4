"""The network as a picture: layers folded into blocks, laid out left to right, drawn as one SVG.

:func:`fold` decides what is shown, :func:`layout` where it stands, :func:`svg` how it looks. All three are
pure: the same layers give the same picture, byte for byte.
"""

from __future__ import annotations

import heapq
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from xml.sax.saxutils import escape

from mloscope.adaptors.interface import Layer

FOLD_ABOVE = 40
"""Networks of at most this many layers are shown whole."""

SLIM_KINDS = {
    "activation": "act",
    "normalisation": "norm",
    "dropout": "dropout",
    "padding": "pad",
    "cropping": "crop",
    "flatten": "flatten",
    "reshape": "reshape",
    "preprocessing": "prep",
}
MERGE_KINDS = ("add", "multiply", "concatenate")
FAMILIES = {
    "convolution": "convolution",
    "depthwise convolution": "convolution",
    "transposed convolution": "convolution",
    "separable convolution": "convolution",
    "dense": "dense",
    "max pooling": "pooling",
    "average pooling": "pooling",
    "global pooling": "pooling",
    "upsampling": "pooling",
    "normalisation": "helper",
    "activation": "helper",
    "dropout": "helper",
    "padding": "helper",
    "cropping": "helper",
    "flatten": "helper",
    "reshape": "helper",
    "preprocessing": "helper",
    "add": "merge",
    "multiply": "merge",
    "concatenate": "merge",
    "input": "end",
}
SHORT_KINDS = {
    "convolution": "conv",
    "depthwise convolution": "depthwise",
    "transposed convolution": "transposed conv",
    "separable convolution": "separable conv",
    "max pooling": "max pool",
    "average pooling": "avg pool",
    "global pooling": "global pool",
}


# ---------------------------------------------------------------------------------------------- the fold tree


@dataclass(frozen=True)
class Block:
    """A stretch of the network that can be shown as one node."""

    id: str
    """Unique within the network, of letters, digits, ``_``, ``.`` and ``-`` only, whatever is open."""
    label: str
    kind: str
    """What it is, in words: ``residual block``, ``inception block``, ``3 × dense block``."""
    children: tuple[Block | Layer, ...]

    @property
    def layers(self) -> tuple[Layer, ...]:
        return tuple(_leaves(self.children))

    @property
    def parameter_count(self) -> int:
        return sum(layer.parameter_count for layer in self.layers)

    @property
    def repeats(self) -> int:
        """How many like blocks stand behind this one; 1 where it is a single block."""
        return len(self.children) if all(isinstance(child, Block) for child in self.children) else 1


@dataclass(frozen=True)
class Node:
    """One thing that is shown: a layer, or a folded block."""

    content: Layer | Block
    inputs: tuple[int, ...]
    """Positions, within the answer of :func:`fold`, of the nodes this one takes its input from, in order."""
    after: tuple[int, ...]
    """Positions of nodes of an unconnected part of the network; this one is only drawn to their right."""
    inside: tuple[Block, ...]
    """The open blocks this node belongs to, outermost first."""

    @property
    def layers(self) -> tuple[Layer, ...]:
        return self.content.layers if isinstance(self.content, Block) else (self.content,)

    @property
    def output_shape(self) -> tuple[int | None, ...] | None:
        return self.layers[-1].output_shape


def _leaves(children: Iterable[Block | Layer]) -> Iterator[Layer]:
    for child in children:
        if isinstance(child, Block):
            yield from _leaves(child.children)
        else:
            yield child


@dataclass(frozen=True)
class _Graph:
    """The layers in topological order, their edges as positions, unconnected parts strung together."""

    layers: tuple[Layer, ...]
    inputs: tuple[tuple[int, ...], ...]
    after: tuple[tuple[int, ...], ...]
    followers: tuple[tuple[int, ...], ...]
    """Who consumes a layer; for the ends of an unconnected part, the layers strung after it."""

    def before(self, position: int) -> tuple[int, ...]:
        return self.inputs[position] + self.after[position]


def _graph(layers: Sequence[Layer]) -> _Graph:
    """Edges to layers that do not exist and edges that close a cycle are left out: a broken file still
    gives a picture."""
    place = {layer.name: i for i, layer in enumerate(layers)}
    wanted = [
        tuple(dict.fromkeys(place[name] for name in layer.inputs if name in place and place[name] != i))
        for i, layer in enumerate(layers)
    ]
    part = list(range(len(layers)))

    def root(i: int) -> int:
        while part[i] != i:
            part[i] = part[part[i]]
            i = part[i]
        return i

    for i, sources in enumerate(wanted):
        for source in sources:
            a, b = root(i), root(source)
            part[max(a, b)] = min(a, b)
    targets: list[list[int]] = [[] for _ in layers]
    for i, sources in enumerate(wanted):
        for source in sources:
            targets[source].append(i)

    open_inputs = [len(sources) for sources in wanted]
    ready = [(root(i), i) for i in range(len(layers)) if not open_inputs[i]]
    heapq.heapify(ready)
    untaken = sorted((root(i), i) for i in range(len(layers)))
    untaken.reverse()
    order: list[int] = []
    taken = [False] * len(layers)
    while len(order) < len(layers):
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
                heapq.heappush(ready, (root(target), target))

    new = {old: position for position, old in enumerate(order)}
    inputs = [tuple(new[s] for s in wanted[old] if new[s] < position) for position, old in enumerate(order)]
    followers: list[list[int]] = [[] for _ in order]
    for i, sources in enumerate(inputs):
        for source in sources:
            followers[source].append(i)
    after: list[tuple[int, ...]] = [() for _ in order]
    start = 0
    for i in range(1, len(order)):
        if root(order[i]) == root(order[i - 1]):
            continue
        ends = tuple(j for j in range(start, i) if not followers[j])
        roots = [i]
        for j in range(i + 1, len(order)):
            if root(order[j]) != root(order[i]):
                break
            if not inputs[j]:
                roots.append(j)
        for j in roots:
            after[j] = ends if j == i else ends[-1:]
        for end in ends:
            followers[end].extend(roots if end == ends[-1] else roots[:1])
        start = i
    return _Graph(tuple(layers[old] for old in order), tuple(inputs), tuple(after), tuple(map(tuple, followers)))


_DIMENSIONED = re.compile(r"(conv|pool|pooling|padding|cropping|sampling|dropout|transpose|convolution)[123]d$", re.I)


def _stems(name: str) -> list[str]:
    """The beginnings of a name that end in a number, shortest first: ``conv2``, ``conv2_block1`` of
    ``conv2_block1_out``. ``conv2d`` is no number."""
    found = []
    for match in re.finditer(r"[^_/.\-]+", name):
        token = match.group()
        if any(c.isdigit() for c in token) and not _DIMENSIONED.search(token):
            found.append(name[: match.end()])
    return found


def _has_stem(name: str, stem: str) -> bool:
    return name == stem or (name.startswith(stem) and name[len(stem)] in "_/.-")


@dataclass(frozen=True)
class _Piece:
    """A contiguous stretch of the network's topological order that hangs on one thread at both ends."""

    positions: tuple[int, ...]
    branching: bool = False
    stem: str = ""
    folded: bool = False


def _threads(graph: _Graph) -> list[_Piece]:
    """The network cut wherever everything passes through one layer: single layers, and branching
    stretches up to and with the layer where the branches meet again."""
    count = len(graph.layers)
    jumps = [0] * (count + 1)

    def jump(first: int, last: int) -> None:
        if first <= last:
            jumps[first] += 1
            jumps[last + 1] -= 1

    for i in range(count):
        for source in graph.before(i):
            jump(source + 1, i - 1)
        if not graph.before(i):
            jump(0, i - 1)
        if not graph.followers[i]:
            jump(i + 1, count - 1)
    pieces: list[_Piece] = []
    interior: list[int] = []
    over = 0
    for i in range(count):
        over += jumps[i]
        if over > 0:
            interior.append(i)
        elif interior:
            pieces.append(_Piece((*interior, i), branching=True))
            interior = []
        else:
            pieces.append(_Piece((i,)))
    if interior:
        pieces.append(_Piece(tuple(interior), branching=True))
    return pieces


def _chains(graph: _Graph, positions: Sequence[int]) -> list[_Piece]:
    """A tangle with no thread in it (U-Net, NASNet), taken apart into its straight stretches."""
    within = set(positions)
    pieces: list[_Piece] = []
    seen: set[int] = set()
    for position in positions:
        if position in seen:
            continue
        chain = [position]
        while len(graph.followers[chain[-1]]) == 1:
            following = graph.followers[chain[-1]][0]
            if following not in within or len(graph.before(following)) != 1:
                break
            chain.append(following)
        seen.update(chain)
        if len(chain) >= 3:
            pieces.append(_Piece(tuple(chain), folded=True))
        else:
            pieces.extend(_Piece((i,)) for i in chain)
    return pieces


def _named(graph: _Graph, pieces: list[_Piece]) -> list[_Piece]:
    """Neighbouring pieces whose names say that they belong together, put together."""

    def shared(piece: _Piece) -> str:
        counts = Counter(stem for i in piece.positions for stem in _stems(graph.layers[i].name))
        enough = [stem for stem, count in counts.items() if count >= 0.6 * len(piece.positions)]
        return max(enough, key=lambda stem: (len(stem), stem), default="")

    stems = {shared(piece) for piece in pieces if piece.branching} - {""}

    def stem_of(piece: _Piece) -> str:
        if piece.folded:
            return ""
        if piece.branching:
            return shared(piece)
        own = _stems(graph.layers[piece.positions[0]].name)
        return next((stem for stem in reversed(own) if stem in stems), own[0] if own else "")

    joined: list[_Piece] = []
    for piece in pieces:
        stem = stem_of(piece)
        previous = joined[-1] if joined else None
        if stem and previous and previous.stem == stem:
            joined[-1] = _Piece(previous.positions + piece.positions, previous.branching or piece.branching, stem)
        else:
            joined.append(_Piece(piece.positions, piece.branching, stem, piece.folded))

    alike = Counter(_signature(graph, piece.positions) for piece in joined if not piece.branching)
    found: list[_Piece] = []
    for piece in joined:
        kinds = [graph.layers[i].kind for i in piece.positions]
        if piece.branching:
            fold_it = len(piece.positions) >= 3
        else:
            unlike = alike[_signature(graph, piece.positions)] < 2 and len(kinds) < 6
            fold_it = len(kinds) >= 3 and not unlike and any(kind not in SLIM_KINDS for kind in kinds)
        previous = found[-1] if found else None
        if piece.folded or fold_it:
            leading = ()
            if previous and not previous.folded and graph.layers[previous.positions[0]].kind == "padding":
                leading = found.pop().positions
            found.append(_Piece(leading + piece.positions, piece.branching, piece.stem, True))
        elif kinds == ["activation"] and previous and previous.folded and previous.branching:
            found[-1] = _Piece(previous.positions + piece.positions, True, previous.stem, True)
        else:
            found.extend(_Piece((i,)) for i in piece.positions)
    return found


def _cells(graph: _Graph, pieces: list[_Piece]) -> list[_Piece]:
    """Every layer that computes, with the helpers that follow it: convolution, normalisation, activation."""
    found: list[_Piece] = []
    for piece in pieces:
        previous = found[-1] if found else None
        helper = not piece.folded and graph.layers[piece.positions[0]].kind in SLIM_KINDS
        joins = (
            helper
            and previous is not None
            and not previous.branching
            and graph.inputs[piece.positions[0]] == previous.positions[-1:]
            and graph.followers[previous.positions[-1]] == piece.positions
            and FAMILIES.get(graph.layers[previous.positions[0]].kind) in ("convolution", "dense")
            and not previous.stem
        )
        if joins and previous:
            found[-1] = _Piece(previous.positions + piece.positions, folded=True)
        else:
            found.append(piece)
    return found


def _signature(graph: _Graph, positions: Sequence[int], shapes: bool = False) -> tuple[object, ...]:
    """Equal for stretches built alike: the kinds and how they are wired, without padding. With ``shapes``
    also the size of every map, and how many units leave (except where blocks grow by concatenation)."""
    place: dict[int, int] = {}
    rows: list[object] = []
    for i in positions:
        layer = graph.layers[i]
        sources = tuple(sorted(place.get(source, -1) for source in graph.inputs[i]))
        if layer.kind == "padding":
            place[i] = sources[0] if sources else -1
            continue
        place[i] = len(rows)
        rows.append((layer.kind, sources, layer.output_shape[:-1] if shapes and layer.output_shape else None))
    last = graph.layers[positions[-1]]
    if shapes and last.kind != "concatenate" and last.output_shape:
        rows.append(last.output_shape[-1])
    return tuple(rows)


def _composed(graph: _Graph, pieces: list[_Piece], singles: bool) -> list[_Piece]:
    """Straight stretches that come again and again in the same order (depthwise, pointwise, depthwise
    ...), each round of them as one piece."""
    marks = [
        None if piece.branching or not (piece.folded or singles) else _signature(graph, piece.positions)
        for piece in pieces
    ]

    def rounds_at(start: int, period: int) -> int:
        pattern = marks[start : start + period]
        if None in pattern or len(pattern) < period or len(set(pattern)) == 1:
            return 0
        rounds = 1
        while marks[start + rounds * period : start + (rounds + 1) * period] == pattern:
            rounds += 1
        return rounds

    found: list[_Piece] = []
    i = 0
    while i < len(pieces):
        covered, period = max((rounds_at(i, period) * period, -period) for period in (2, 3, 4))
        period = -period
        # A network's first layers often look like the end of a round: one that starts later wins a draw.
        if covered < 2 * period or rounds_at(i + 1, period) * period >= covered:
            covered = 0
        rounds = covered // period
        if not rounds:
            found.append(pieces[i])
            i += 1
        for _ in range(rounds):
            positions = tuple(p for piece in pieces[i : i + period] for p in piece.positions)
            found.append(_Piece(positions, folded=True))
            i += period
    return found


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
    return _tree(_graph(layers))


def _tree(graph: _Graph) -> tuple[Block | Layer, ...]:
    if len(graph.layers) <= FOLD_ABOVE:
        return graph.layers
    pieces: list[_Piece] = []
    for piece in _threads(graph):
        tangle = piece.branching and len(piece.positions) > 64
        pieces.extend(_chains(graph, piece.positions) if tangle else [piece])
    pieces = _named(graph, pieces)
    rows = _rows(graph, _composed(graph, pieces, singles=False), crowded=False)
    if len(rows) > FOLD_ABOVE:
        rows = _rows(graph, _composed(graph, _cells(graph, pieces), singles=True), crowded=True)
    return rows


def _rows(graph: _Graph, pieces: Sequence[_Piece], crowded: bool) -> tuple[Block | Layer, ...]:
    """The pieces as layers and blocks, rows of like blocks as one; where it is ``crowded`` rows of like
    layers too."""
    names = _Names()
    shown: list[Block | Layer] = []
    alike: list[tuple[object, ...] | None] = []
    for piece in pieces:
        members = tuple(graph.layers[i] for i in piece.positions)
        if not piece.folded:
            shown.extend(members)
            plain = crowded and members[0].kind not in {*SLIM_KINDS, "input"}
            alike.append(_signature(graph, piece.positions, shapes=True) if plain else None)
            continue
        within = set(piece.positions)
        inner = [all(source in within for source in graph.inputs[i]) for i in piece.positions]
        kind = _kind(members, inner)
        merge = next((layer for layer in reversed(members) if layer.kind in MERGE_KINDS), None)
        if piece.stem:
            label = piece.stem
        elif piece.branching and merge and not _automatic(merge):
            label = merge.name
        else:
            label = names.numbered(kind)
        shown.append(Block(names.unique(label), label, kind, members))
        alike.append(_signature(graph, piece.positions, shapes=True))

    rows: list[Block | Layer] = []
    i = 0
    while i < len(shown):
        end = i + 1
        while end < len(shown) and alike[i] is not None and alike[end] == alike[i]:
            end += 1
        first, last = shown[i], shown[end - 1]
        if isinstance(first, Block) and isinstance(last, Block) and end - i >= 2:
            label = _range_label(first.label, last.label)
            rows.append(Block(names.unique(label), label, f"{end - i} × {first.kind}", tuple(shown[i:end])))
        elif isinstance(first, Layer) and isinstance(last, Layer) and end - i >= 3:
            label = _range_label(first.name, last.name)
            rows.append(Block(names.unique(label), label, f"{end - i} × {first.kind}", tuple(shown[i:end])))
        else:
            rows.extend(shown[i:end])
        i = end
    return tuple(rows)


def fold(layers: Sequence[Layer], expanded: Collection[str] = ()) -> tuple[Node, ...]:
    """What is shown of the network when the blocks with ids in ``expanded`` are open, in topological order.

    Every layer is in exactly one node. Ids that name no block are ignored."""
    graph = _graph(layers)
    contents: list[Block | Layer] = []
    inside: list[tuple[Block, ...]] = []

    def show(children: Iterable[Block | Layer], around: tuple[Block, ...]) -> None:
        for child in children:
            if isinstance(child, Block) and child.id in expanded:
                show(child.children, (*around, child))
            else:
                contents.append(child)
                inside.append(around)

    show(_tree(graph), ())
    place = {layer.name: i for i, layer in enumerate(graph.layers)}
    owner = [0] * len(graph.layers)
    for node, content in enumerate(contents):
        for layer in content.layers if isinstance(content, Block) else (content,):
            owner[place[layer.name]] = node
    inputs: list[dict[int, None]] = [{} for _ in contents]
    after: list[dict[int, None]] = [{} for _ in contents]
    for i, node in enumerate(owner):
        inputs[node].update((owner[source], None) for source in graph.inputs[i] if owner[source] != node)
        after[node].update((owner[source], None) for source in graph.after[i] if owner[source] != node)

    waiting = [len({*inputs[i], *after[i]}) for i in range(len(contents))]
    following: list[list[int]] = [[] for _ in contents]
    for i in range(len(contents)):
        for source in dict.fromkeys((*inputs[i], *after[i])):
            following[source].append(i)
    ready = [i for i in range(len(contents)) if not waiting[i]]
    order: list[int] = []
    while ready:
        order.append(heapq.heappop(ready))
        for target in following[order[-1]]:
            waiting[target] -= 1
            if not waiting[target]:
                heapq.heappush(ready, target)
    new = {old: position for position, old in enumerate(order)}
    return tuple(
        Node(
            contents[old],
            tuple(new[source] for source in inputs[old]),
            tuple(new[source] for source in after[old]),
            inside[old],
        )
        for old in order
    )


# ----------------------------------------------------------------------------------------------------- layout

NODE_HEIGHT = 54
SLIM_WIDTH = 20
MERGE_SIZE = 30
NAME_SIZE, DETAIL_SIZE, SHAPE_SIZE, SLIM_SIZE = 12.0, 11.0, 10.5, 10.5
MAX_TEXT_WIDTH = 122
CURVE = 30
"""How much room an edge takes to change its height."""
MARGIN = 14
FRAME_PAD = 7
LABEL_GAP = 8
FRAME_HEADER = 19

# Advance widths of DejaVu Sans, the widest of the theme's faces: characters 32 to 126, in hundredths of
# an em.
_WIDTHS = (
    "32 40 46 84 64 95 78 27 39 39 50 84 32 36 32 34 64 64 64 64 64 64 64 64 64 64 34 34 84 84 84 53 "
    "100 68 69 70 77 63 58 77 75 29 29 66 56 86 75 79 60 79 69 63 61 73 68 99 69 61 69 39 34 39 84 50 "
    "50 61 63 55 63 62 35 63 63 28 28 58 28 97 63 61 63 63 41 52 39 63 59 82 59 59 52 64 34 64 84"
)
_ADVANCE = {32 + i: int(width) / 100 for i, width in enumerate(_WIDTHS.split())}


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Pixels the text takes at most in any of the theme's faces."""
    ems = 0.0
    for character in text:
        if ord(character) in _ADVANCE:
            ems += _ADVANCE[ord(character)]
        elif unicodedata.combining(character):
            continue
        else:
            ems += 1.05
    return ems * size * (1.13 if bold else 1.0)


def cut_middle(text: str, width: float, size: float, bold: bool = False) -> str:
    """The text, or its beginning and end around an ellipsis where it is wider than ``width`` pixels."""
    if text_width(text, size, bold) <= width:
        return text
    low, high = 0, len(text) - 1
    while low < high:
        kept = (low + high + 1) // 2
        if text_width(_cut(text, kept), size, bold) <= width:
            low = kept
        else:
            high = kept - 1
    return _cut(text, low)


def _cut(text: str, kept: int) -> str:
    tail = kept // 2
    return f"{text[: kept - tail]}…{text[len(text) - tail :] if tail else ''}"


def shape_text(shape: tuple[int | None, ...] | None) -> str:
    """``28×28×6``; a size that is not fixed is ``?``; empty where the shape is not known."""
    return "×".join("?" if size is None else str(size) for size in shape or ())


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


def _style(node: Node) -> str:
    if isinstance(node.content, Block):
        return "block"
    if node.content.kind in SLIM_KINDS:
        return "slim"
    return "merge" if node.content.kind in MERGE_KINDS else "full"


def _setting(layer: Layer, *names: str) -> object:
    return next((layer.hyperparameters[n] for n in names if layer.hyperparameters.get(n) is not None), None)


def _by(value: object) -> str:
    """``5×5`` of 5, (5,) or [5, 5]."""
    if isinstance(value, bool) or not isinstance(value, (int, list, tuple)):
        return ""
    sizes = [value, value] if isinstance(value, int) else list(value)
    if not sizes or not all(isinstance(size, int) for size in sizes):
        return ""
    return "×".join(map(str, sizes if len(sizes) > 1 else sizes * 2))


def _kernel(layer: Layer) -> str:
    told = _by(_setting(layer, "kernel_size", "pool_size", "kernel_shape", "kernel", "ksize", "filterSize", "size"))
    if told:
        return told
    for parameter in layer.parameters:
        sizes = [s for s, a in zip(parameter.shape, parameter.axes, strict=False) if a in ("row", "column")]
        if sizes:
            return "×".join(map(str, sizes))
    return ""


def _detail(layer: Layer) -> str:
    """A layer in half a line: ``conv 5×5, 32``, ``max pool 3×3 /2``, ``dense, 10``."""
    words = SHORT_KINDS.get(layer.kind, layer.kind)
    family = FAMILIES.get(layer.kind)
    if family in ("convolution", "pooling") and layer.kind != "global pooling":
        words = " ".join(filter(None, (words, _kernel(layer))))
        stride = _by(_setting(layer, "strides", "stride")).split("×")
        if stride[0] not in ("", "1"):
            words += f" /{stride[0] if len(set(stride)) == 1 else '×'.join(stride)}"
    if family in ("convolution", "dense") and layer.output_shape and layer.output_shape[-1] is not None:
        words += f", {layer.output_shape[-1]}"
    return words


def _slim_text(layer: Layer) -> str:
    if layer.kind == "activation":
        function = _setting(layer, "activation", "function")
        named = function if isinstance(function, str) else layer.source_class
        if named and named.lower() != "activation":
            return named.lower()
    return SLIM_KINDS[layer.kind]


def _text(node: Node) -> tuple[str, str, str]:
    """What is written on a node, uncut."""
    content = node.content
    if isinstance(content, Block):
        return content.label, content.kind.removesuffix(" block"), f"{len(content.layers)} layers"
    if content.kind in SLIM_KINDS:
        return _slim_text(content), "", ""
    if content.kind in MERGE_KINDS:
        return "", "", ""
    name = content.name
    # Within an open block its own name need not be said again.
    if node.inside and _has_stem(name, node.inside[-1].label):
        name = name[len(node.inside[-1].label) + 1 :] or name
    return name, _detail(content), ""


def _ranks(nodes: Sequence[Node], before: Sequence[tuple[int, ...]], following: Sequence[list[int]]) -> list[int]:
    """The column of every node: as far left as its inputs allow; what takes nothing stands next to its
    consumer."""
    ranks = [0] * len(nodes)
    for i, sources in enumerate(before):
        ranks[i] = max((ranks[source] + 1 for source in sources), default=0)
    for i, sources in enumerate(before):
        if not sources and following[i]:
            ranks[i] = min(ranks[target] for target in following[i]) - 1
    return ranks


@dataclass(frozen=True)
class _Strand:
    """Nodes, or one long edge, that run side by side with the main way, on one height."""

    nodes: tuple[int, ...]
    edge: tuple[int, int] | None
    first: int
    """First and last column that the strand takes up."""
    last: int


def _strands(
    nodes: Sequence[Node],
    ranks: Sequence[int],
    before: Sequence[tuple[int, ...]],
    following: Sequence[list[int]],
) -> tuple[list[int], list[_Strand]]:
    """The main way, and everything beside it."""
    main: list[int] = []
    if nodes:
        main = [max(range(len(nodes)), key=lambda i: (ranks[i], i))]
        while before[main[-1]]:
            at = main[-1]
            main.append(max(before[at], key=lambda s: (ranks[s], sum(x.parameter_count for x in nodes[s].layers), -s)))
    main.reverse()
    placed = set(main)
    onward: dict[int, int] = dict(pairwise(main))
    depth = [0] * len(nodes)
    for i in reversed(range(len(nodes))):
        depth[i] = max((depth[target] + 1 for target in following[i]), default=0)
    strands: list[_Strand] = []
    for start in range(len(nodes)):
        if start in placed:
            continue
        run = [start]
        placed.add(start)
        while True:
            free = [target for target in following[run[-1]] if target not in placed]
            if not free:
                break
            onward[run[-1]] = max(free, key=lambda t: (depth[t], -t))
            run.append(onward[run[-1]])
            placed.add(run[-1])
        last = ranks[run[-1]]
        if following[run[-1]]:
            onward[run[-1]] = max(following[run[-1]], key=lambda t: (ranks[t], -t))
            last = max(last, ranks[onward[run[-1]]] - 1)
        strands.append(_Strand(tuple(run), None, ranks[start], last))
    for i, node in enumerate(nodes):
        for source in node.inputs:
            if ranks[i] - ranks[source] > 1 and onward.get(source) != i:
                strands.append(_Strand((), (source, i), ranks[source] + 1, ranks[i] - 1))
    return main, strands


def layout(nodes: Sequence[Node]) -> Layout:
    """Place the nodes left to right.

    The longest way from input to output is a straight line; shorter branches and skip edges are stacked
    above and below it, the shortest nearest, each as close as what is already there allows. Edges change
    height only in the gap before the next column, so that they cross neither nodes nor text."""
    before = [tuple(dict.fromkeys((*node.inputs, *node.after))) for node in nodes]
    following: list[list[int]] = [[] for _ in nodes]
    for i, sources in enumerate(before):
        for source in sources:
            following[source].append(i)
    ranks = _ranks(nodes, before, following)
    columns = max(ranks, default=-1) + 1
    main, strands = _strands(nodes, ranks, before, following)

    styles = [_style(node) for node in nodes]
    heights = [float(MERGE_SIZE if style == "merge" else NODE_HEIGHT) for style in styles]
    texts: list[tuple[str, str, str]] = []
    widths: list[float] = []
    for node, style in zip(nodes, styles, strict=True):
        name, detail, count = _text(node)
        room = NODE_HEIGHT - 6 if style == "slim" else MAX_TEXT_WIDTH
        size = SLIM_SIZE if style == "slim" else NAME_SIZE
        cut = cut_middle(name, room, size, bold=style != "slim")
        cut_detail = cut_middle(detail, room, DETAIL_SIZE)
        texts.append((cut, cut_detail, count))
        if style == "slim":
            widths.append(SLIM_WIDTH)
        elif style == "merge":
            widths.append(MERGE_SIZE)
        else:
            # A block's first line leaves room for the mark that opens it.
            head = text_width(cut, NAME_SIZE, True) + (16 if style == "block" else 0)
            widths.append(max(44.0, head, text_width(cut_detail, DETAIL_SIZE)) + 18)

    middle, frame_rows = _heights(nodes, ranks, columns, main, strands, styles, heights)
    height_of = {node: middle[k] for k, strand in enumerate(strands) for node in strand.nodes}
    lane_of = {strand.edge: middle[k] for k, strand in enumerate(strands) if strand.edge}
    y = [height_of.get(i, 0.0) for i in range(len(nodes))]

    shapes = _shape_labels(nodes, following)
    opening = [0] * (columns + 1)
    closing = [0] * (columns + 1)
    for (first, last, *_), nest in zip(frame_rows.values(), _nesting(frame_rows), strict=True):
        opening[first] = max(opening[first], nest)
        closing[last] = max(closing[last], nest)
    bends = [False] * (columns + 1)
    for i, node in enumerate(nodes):
        for source in node.inputs:
            lane = lane_of.get((source, i), y[source])
            bends[ranks[source]] |= lane != y[source]
            bends[ranks[i] - 1] |= lane != y[i]
    gaps = [10.0] * (columns + 1)
    for c in range(columns):
        if bends[c]:
            gaps[c] = CURVE + 6
        gaps[c] += FRAME_PAD * (closing[c] + opening[c + 1] if c + 1 < columns else closing[c])
    helper = [True] * (columns + 1)
    for i, style in enumerate(styles):
        helper[ranks[i]] &= style == "slim"
    for c in range(columns):
        if not bends[c] and not (c + 1 < columns and helper[c + 1]):
            gaps[c] += 12
    for i, lines in shapes.items():
        c = ranks[i]
        need = max(text_width(line, SHAPE_SIZE) for line in lines) + LABEL_GAP + 4 + FRAME_PAD * closing[c]
        need += (CURVE if bends[c] else 8) + (FRAME_PAD * opening[c + 1] if c + 1 < columns else 0)
        gaps[c] = max(gaps[c], need)

    column_width = [0.0] * columns
    for i, rank in enumerate(ranks):
        column_width[rank] = max(column_width[rank], widths[i])
    left = [0.0] * (columns + 1)
    at = MARGIN + FRAME_PAD * (opening[0] if columns else 0)
    for c in range(columns):
        left[c] = at
        at += column_width[c] + gaps[c]
    total_width = (at if columns else 0) + (0 if shapes else MARGIN)

    tops = [y[i] - heights[i] / 2 for i in range(len(nodes))]
    bottoms = [y[i] + heights[i] / 2 for i in range(len(nodes))]
    lanes = list(lane_of.values())
    top = min([*tops, *(row[2] for row in frame_rows.values()), *(lane - 4 for lane in lanes)], default=0.0)
    bottom = max([*bottoms, *(row[3] for row in frame_rows.values()), *(lane + 4 for lane in lanes)], default=0.0)
    shift = MARGIN - top

    boxes = []
    in_main = set(main)
    for i in range(len(nodes)):
        x = left[ranks[i]] + (column_width[ranks[i]] - widths[i]) / 2
        boxes.append(Box(x, tops[i] + shift, widths[i], heights[i], styles[i], *texts[i], i in in_main))

    def bend(c: int) -> float:
        """Where edges in the gap after column ``c`` begin to change height."""
        return left[c] + column_width[c] + gaps[c] - CURVE - (FRAME_PAD * opening[c + 1] if c + 1 < columns else 0)

    edges = []
    for i, node in enumerate(nodes):
        for source in node.inputs:
            a, b = boxes[source], boxes[i]
            lane = lane_of.get((source, i), a.middle - shift) + shift
            path = [f"M{a.right:.1f} {a.middle:.1f}"]
            if lane != a.middle:
                path.append(_curve(bend(ranks[source]), a.middle, lane))
            if lane != b.middle:
                path.append(_curve(bend(ranks[i] - 1), lane, b.middle))
            path.append(f"H{b.x:.1f}")
            edges.append(Edge(source, i, "".join(path)))
    labels = []
    for i, lines in shapes.items():
        x = boxes[i].right + LABEL_GAP
        if closing[ranks[i]]:  # not across the frame's edge
            x = left[ranks[i]] + column_width[ranks[i]] + LABEL_GAP + FRAME_PAD * closing[ranks[i]]
        ends = not any(i in nodes[t].inputs for t in following[i])
        labels.append(ShapeLabel(i, x, boxes[i].middle, lines, ends))
    frames = []
    nests = dict(zip(frame_rows, _nesting(frame_rows), strict=True))
    blocks = {block.id: block for node in nodes for block in node.inside}
    for name, (first, last, frame_top, frame_bottom) in sorted(frame_rows.items(), key=lambda row: -nests[row[0]]):
        x = left[first] - FRAME_PAD * nests[name]
        width = left[last] + column_width[last] + FRAME_PAD * nests[name] - x
        block = blocks[name]
        heading = f"{block.label}, {block.kind}"
        if text_width(heading, DETAIL_SIZE) > width - 28:
            heading = cut_middle(block.label, width - 28, DETAIL_SIZE)
        frames.append(Frame(block, x, frame_top + shift, width, frame_bottom - frame_top, heading))
    return Layout(tuple(boxes), tuple(edges), tuple(labels), tuple(frames), total_width, bottom + shift + MARGIN)


def _curve(x: float, start: float, end: float) -> str:
    half = CURVE / 2
    return f"H{x:.1f}C{x + half:.1f} {start:.1f} {x + half:.1f} {end:.1f} {x + CURVE:.1f} {end:.1f}"


def _heights(
    nodes: Sequence[Node],
    ranks: Sequence[int],
    columns: int,
    main: Sequence[int],
    strands: Sequence[_Strand],
    styles: Sequence[str],
    heights: Sequence[float],
) -> tuple[list[float], dict[str, tuple[int, int, float, float]]]:
    """The height of every strand's middle line, the main way being 0, and for every open block its first
    and last column, top and bottom."""
    above, below = [0.0] * columns, [0.0] * columns
    for i in main:
        # The room of a node covers the shape that is written beside it.
        reach = max(heights[i] / 2, 20.0)
        above[ranks[i]] = min(above[ranks[i]], -reach)
        below[ranks[i]] = max(below[ranks[i]], reach)
    members: dict[str, list[int]] = {}
    for i, node in enumerate(nodes):
        for block in node.inside:
            members.setdefault(block.id, []).append(i)
    spans = {name: (min(ranks[i] for i in inner), max(ranks[i] for i in inner)) for name, inner in members.items()}
    # Shortest first, so that the long ones arch over them; a frame comes after what is as long as itself.
    jobs: list[tuple[int, int, int, int | str]] = [
        (strand.last - strand.first, 0, k, k) for k, strand in enumerate(strands)
    ]
    jobs += [(last - first, 1, len(members) - k, name) for k, (name, (first, last)) in enumerate(spans.items())]
    middle = [0.0] * len(strands)
    frames: dict[str, tuple[int, int, float, float]] = {}
    for _, _, _, job in sorted(jobs, key=lambda entry: entry[:3]):
        if isinstance(job, str):
            first, last = spans[job]
            top = min(above[first : last + 1]) - FRAME_HEADER - 5
            bottom = max(below[first : last + 1]) + 7
            frames[job] = (first, last, top, bottom)
            above[first : last + 1] = [top] * (last + 1 - first)
            below[first : last + 1] = [bottom] * (last + 1 - first)
            continue
        strand = strands[job]
        if not 0 <= strand.first <= strand.last:
            continue
        reach = [4.0] * (strand.last - strand.first + 1)
        for i in strand.nodes:
            reach[ranks[i] - strand.first] = max(heights[i] / 2, 20.0)
        span = range(strand.first, strand.last + 1)
        up = min(above[c] - reach[c - strand.first] for c in span) - 8
        down = max(below[c] + reach[c - strand.first] for c in span) + 8
        # Skip edges are drawn above, where one looks for them, unless that is far out.
        middle[job] = up if -up <= down + (24 if strand.edge else 0) else down
        for c in span:
            above[c] = min(above[c], middle[job] - reach[c - strand.first])
            below[c] = max(below[c], middle[job] + reach[c - strand.first])
    return middle, frames


def _nesting(frames: dict[str, tuple[int, int, float, float]]) -> list[int]:
    """How many frames stand within each, itself counted."""
    rows = list(frames.values())
    depth = []
    for i, (first, last, top, bottom) in enumerate(rows):
        inner = [
            r for k, r in enumerate(rows) if k != i and first <= r[0] and r[1] <= last and top < r[2] and r[3] < bottom
        ]
        depth.append(1 + (1 if inner else 0))
    return depth


def _shape_labels(nodes: Sequence[Node], following: Sequence[list[int]]) -> dict[int, tuple[str, ...]]:
    """Where an output shape is written: where it is not the one that came in, behind the helpers that do
    not change it, and at the network's end. A rim of padding is not worth a label."""
    texts = [shape_text(node.output_shape) for node in nodes]
    wanted: dict[int, tuple[str, ...]] = {}
    for i, node in enumerate(nodes):
        changed = texts[i] and texts[i] != (texts[node.inputs[0]] if node.inputs else "")
        changed = changed and node.layers[-1].kind != "padding"
        at = i
        while changed and len(following[at]) == 1:
            (after,) = following[at]
            if _style(nodes[after]) != "slim" or nodes[after].inputs != (at,) or texts[after] != texts[at]:
                break
            at = after
        if texts[i] and (changed or not following[i]):
            shape = node.output_shape or ()
            wanted[at] = (shape_text(shape[:-1]), "×" + shape_text(shape[-1:])) if len(shape) > 1 else (texts[i],)
    return wanted


# ---------------------------------------------------------------------------------------------------- drawing

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


def family(kind: str) -> str:
    """The colour family of a layer kind: ``convolution``, ``dense``, ``pooling``, ``merge``, ``helper``
    (activation, normalisation ...), ``end`` or ``other``."""
    return FAMILIES.get(kind, "other")


def _brief(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return "×".join(map(str, value)) if value and all(isinstance(v, int) for v in value) else json.dumps(value)
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value, default=str)


_DULL = re.compile(r"(initializer|regularizer|constraint|data_format|dtype|trainable|^name$|build_config)")


def describe(layer: Layer) -> str:
    """What is known of a layer, a line each: name, kind, output shape, parameters, settings, problem."""
    lines = [layer.name]
    source = f" ({layer.source_class})" if layer.source_class else ""
    lines.append(f"{layer.kind}{source}")
    if layer.output_shape is not None:
        lines.append(f"output {shape_text(layer.output_shape) or 'a single number'}")
    if layer.parameters:
        arrays = ", ".join(f"{p.name} {shape_text(p.shape)}".strip() for p in layer.parameters)
        lines.append(f"{layer.parameter_count:,} parameters: {arrays}")
    else:
        lines.append("no parameters")
    settings = [
        f"{key} {text if len(text) <= 40 else text[:39] + '…'}"
        for key, value in layer.hyperparameters.items()
        if value is not None and not _DULL.search(key)
        for text in (_brief(value),)
    ]
    if settings:
        lines.append(", ".join(settings[:12]) + (", …" if len(settings) > 12 else ""))
    if layer.problem:
        lines.append(f"⚠ {layer.problem}")
    return "\n".join(lines)


def describe_block(block: Block) -> str:
    """What a block holds, a line each: label, kind, output shape, parameters, its layers' names, problems."""
    layers = block.layers
    lines = [block.label, f"{block.kind}, {len(layers)} layers"]
    if layers[-1].output_shape is not None:
        lines.append(f"output {shape_text(layers[-1].output_shape)}")
    lines.append(f"{block.parameter_count:,} parameters")
    children = [child.label if isinstance(child, Block) else child.name for child in block.children]
    lines.append(", ".join(children[:14]) + (f" and {len(children) - 14} more" if len(children) > 14 else ""))
    problems = [f"⚠ {layer.name}: {layer.problem}" for layer in layers if layer.problem]
    lines.extend(problems[:3])
    if len(problems) > 3:
        lines.append(f"⚠ and {len(problems) - 3} more layers with a problem")
    return "\n".join(lines)


def svg(layers: Sequence[Layer], *, selected: str | None = None, expanded: Collection[str] = frozenset()) -> str:
    """The network as an SVG document of its own, which also serves as a part of a page.

    ``selected`` is a layer's name, ``expanded`` the ids of the blocks that are open; names that do not
    exist are ignored. Nodes are ``g.graph-node`` with ``data-layer`` or ``data-block`` (then
    ``data-members`` is the JSON list of its layers' names), in the order of the network; ``data-main``
    marks the longest way. Headers of open blocks are ``g.graph-handle`` with ``data-block``. Every one
    has a ``title`` that tells what it is. Colours are the page's custom properties where it has them."""
    nodes = fold(layers, expanded)
    plan = layout(nodes)
    width, height = round(plan.width + 0.5), round(plan.height + 0.5)
    parameters = sum(layer.parameter_count for layer in layers)
    summary = f"Network of {len(layers)} layers with {parameters:,} parameters"
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="graph-svg" role="group" aria-label="{summary}"'
        f' viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f"<title>{summary}</title><style>{_STYLE.replace('<', '')}</style>"
        f'<rect class="graph-ground" width="{width}" height="{height}"/><g class="graph-world">'
    ]
    for frame in plan.frames:
        out.append(
            f'<rect class="graph-frame" data-block="{frame.block.id}" x="{frame.x:.1f}" y="{frame.y:.1f}"'
            f' width="{frame.width:.1f}" height="{frame.height:.1f}" rx="7"/>'
        )
    for edge in plan.edges:
        out.append(f'<path class="graph-edge" d="{edge.path}"/>')
    for label in plan.labels:
        if label.ends:
            box = plan.boxes[label.node]
            end = label.x + max(text_width(line, SHAPE_SIZE) for line in label.lines) + 4
            out.append(f'<path class="graph-edge" d="M{box.right:.1f} {box.middle:.1f}H{end:.1f}"/>')
        out.append(
            '<text class="graph-shape">'
            + "".join(
                f'<tspan x="{label.x:.1f}" y="{label.y + dy:.1f}">{line}</tspan>'
                for line, dy in zip(label.lines, (-5, 13), strict=False)
            )
            + "</text>"
        )
    for frame in plan.frames:
        out.append(_handle(frame))
    for node, box in zip(nodes, plan.boxes, strict=True):
        out.append(_node(node, box, selected))
    out.append("</g></svg>")
    return "".join(out)


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
