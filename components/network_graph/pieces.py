"""The network cut into pieces that may fold: stretches between two threads, named groups, cells, rounds of a pattern."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mloscope.components.network_graph.kinds import FAMILIES, SLIM_KINDS
from mloscope.components.network_graph.layer_graph import LayerGraph

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


def has_stem(name: str, stem: str) -> bool:
    return name == stem or (name.startswith(stem) and name[len(stem)] in "_/.-")


@dataclass(frozen=True)
class Piece:
    """A contiguous stretch of the network's topological order that hangs on one thread at both ends."""

    positions: tuple[int, ...]
    branching: bool = False
    stem: str = ""
    folded: bool = False


def threads(graph: LayerGraph) -> list[Piece]:
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
    pieces: list[Piece] = []
    interior: list[int] = []
    over = 0
    for i in range(count):
        over += jumps[i]
        if over > 0:
            interior.append(i)
        elif interior:
            pieces.append(Piece((*interior, i), branching=True))
            interior = []
        else:
            pieces.append(Piece((i,)))
    if interior:
        pieces.append(Piece(tuple(interior), branching=True))
    return pieces


def chains(graph: LayerGraph, positions: Sequence[int]) -> list[Piece]:
    """A tangle with no thread in it (U-Net, NASNet), taken apart into its straight stretches."""
    within = set(positions)
    pieces: list[Piece] = []
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
            pieces.append(Piece(tuple(chain), folded=True))
        else:
            pieces.extend(Piece((i,)) for i in chain)
    return pieces


def named(graph: LayerGraph, pieces: list[Piece]) -> list[Piece]:
    """Neighbouring pieces whose names say that they belong together, put together."""

    def shared(piece: Piece) -> str:
        counts = Counter(stem for i in piece.positions for stem in _stems(graph.layers[i].name))
        enough = [stem for stem, count in counts.items() if count >= 0.6 * len(piece.positions)]
        return max(enough, key=lambda stem: (len(stem), stem), default="")

    stems = {shared(piece) for piece in pieces if piece.branching} - {""}

    def stem_of(piece: Piece) -> str:
        if piece.folded:
            return ""
        if piece.branching:
            return shared(piece)
        own = _stems(graph.layers[piece.positions[0]].name)
        return next((stem for stem in reversed(own) if stem in stems), own[0] if own else "")

    joined: list[Piece] = []
    for piece in pieces:
        stem = stem_of(piece)
        previous = joined[-1] if joined else None
        if stem and previous and previous.stem == stem:
            joined[-1] = Piece(previous.positions + piece.positions, previous.branching or piece.branching, stem)
        else:
            joined.append(Piece(piece.positions, piece.branching, stem, piece.folded))

    alike = Counter(signature(graph, piece.positions) for piece in joined if not piece.branching)
    found: list[Piece] = []
    for piece in joined:
        kinds = [graph.layers[i].kind for i in piece.positions]
        if piece.branching:
            fold_it = len(piece.positions) >= 3
        else:
            unlike = alike[signature(graph, piece.positions)] < 2 and len(kinds) < 6
            fold_it = len(kinds) >= 3 and not unlike and any(kind not in SLIM_KINDS for kind in kinds)
        previous = found[-1] if found else None
        if piece.folded or fold_it:
            leading = ()
            if previous and not previous.folded and graph.layers[previous.positions[0]].kind == "padding":
                leading = found.pop().positions
            found.append(Piece(leading + piece.positions, piece.branching, piece.stem, True))
        elif kinds == ["activation"] and previous and previous.folded and previous.branching:
            found[-1] = Piece(previous.positions + piece.positions, True, previous.stem, True)
        else:
            found.extend(Piece((i,)) for i in piece.positions)
    return found


def cells(graph: LayerGraph, pieces: list[Piece]) -> list[Piece]:
    """Every layer that computes, with the helpers that follow it: convolution, normalisation, activation."""
    found: list[Piece] = []
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
            found[-1] = Piece(previous.positions + piece.positions, folded=True)
        else:
            found.append(piece)
    return found


def signature(graph: LayerGraph, positions: Sequence[int], shapes: bool = False) -> tuple[object, ...]:
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


def composed(graph: LayerGraph, pieces: list[Piece], singles: bool) -> list[Piece]:
    """Straight stretches that come again and again in the same order (depthwise, pointwise, depthwise
    ...), each round of them as one piece."""
    marks = [
        None if piece.branching or not (piece.folded or singles) else signature(graph, piece.positions)
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

    found: list[Piece] = []
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
            found.append(Piece(positions, folded=True))
            i += period
    return found
