"""Which of a folder's ``.prototxt`` files describes the network of its snapshots.

Networks often share the names of their layers, so sizes decide first: how many of the snapshot's arrays a description has
a place of that size for. Then names: a description made to be used (a deploy file) before one for training, then the one
whose name has most in common with the snapshot's. Where two that contradict each other fit equally well, that is said.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mloscope.adaptors.interface import AdaptorError
from mloscope.adaptors.readers.caffe.layers import settings_of
from mloscope.adaptors.readers.caffe.protobuf import CaffeLayer, CaffeNet, read_prototxt
from mloscope.adaptors.readers.caffe.snapshots import Shapes, stem

MOST_DESCRIPTIONS = 100
_WORDS_OF_ALL = {"deploy", "train", "val", "test", "iter", "solver", "net", "model", "caffemodel", "prototxt", ""}


@dataclass(frozen=True)
class _Candidate:
    net: CaffeNet
    misfits: int
    """Arrays of the snapshot for which it has no place of their size, and layers of its own without arrays."""
    is_sized: bool
    kinship: int
    """How much its name has in common with the snapshot's."""

    @property
    def fitness(self) -> tuple[int, bool, int]:
        return self.misfits, not self.is_sized, -self.kinship


def descriptions(folder: Path, snapshot: Path, stored: Shapes, problems: list[str]) -> list[CaffeNet]:
    """The networks described in the folder that have layers of the snapshot's, the likeliest first. Solvers are passed
    over; what cannot be read and what is doubtful is added to ``problems``."""
    found = []
    paths = sorted(folder.glob("*.prototxt"))
    if len(paths) > MOST_DESCRIPTIONS:
        problems.append(
            f"{folder} holds {len(paths)} .prototxt files, of which the first {MOST_DESCRIPTIONS} are read."
        )
    for path in paths[:MOST_DESCRIPTIONS]:
        try:
            net = read_prototxt(path)
        except AdaptorError as error:
            if "solver" not in path.name:
                problems.append(f"{path.name} is passed over: {error}")
            continue
        names = {layer.name for layer in net.layers}
        if names and (names & stored.keys() or not stored):
            sized = bool(net.inputs) or any(layer.type == "Input" for layer in net.layers)
            found.append(_Candidate(net, _misfits(net, stored), sized, _kinship(path, snapshot)))
    found.sort(key=lambda each: (*each.fitness, each.net.path.name))
    problems += _doubts(found, snapshot)
    return [each.net for each in found]


def _misfits(net: CaffeNet, stored: Shapes) -> int:
    layers = {layer.name: layer for layer in net.layers}
    absent = len(stored.keys() - layers.keys())
    return absent + sum(not _fits(layer, stored.get(name, ())) for name, layer in layers.items())


def _fits(layer: CaffeLayer, shapes: Sequence[tuple[int, ...]]) -> bool:
    """Whether the layer would have made arrays of these sizes, as far as it says by itself."""
    if layer.type not in ("Convolution", "InnerProduct"):
        return True
    if not shapes:
        return False
    is_dense = layer.type == "InnerProduct"
    settings = layer.parameters("inner_product_param" if is_dense else "convolution_param")
    sizes = [size for size in shapes[0] if size != 1] if is_dense else list(shapes[0])
    if settings.num_output not in (*sizes, 1):
        return False
    if is_dense or len(sizes) != 4:
        return True
    rows = settings.kernel_h if settings.HasField("kernel_h") else next(iter(settings.kernel_size), sizes[2])
    columns = settings.kernel_w if settings.HasField("kernel_w") else ([*settings.kernel_size] or [sizes[3]])[-1]
    return (settings.num_output, rows, columns) == (sizes[0], *sizes[2:])


def _kinship(path: Path, snapshot: Path) -> int:
    """How many letters of words the two names share, such as ``det1`` of det1.prototxt and det1.caffemodel."""
    own, other = (_words(name) for name in (path.stem, stem(snapshot.name) or snapshot.stem))
    return sum(map(len, own & other))


def _words(name: str) -> set[str]:
    return set(re.split(r"[^a-z0-9]+", name.lower())) - _WORDS_OF_ALL


def _doubts(found: Sequence[_Candidate], snapshot: Path) -> list[str]:
    """A sentence where others fit as well as the first, and say otherwise."""
    if not found:
        return []
    first = found[0]
    others = [each.net.path.name for each in found[1:] if each.misfits == first.misfits and each.kinship == first.kinship
              and _contradict(each.net, first.net)]  # fmt: skip
    doubts = []
    if others:
        doubts.append(
            f"{first.net.path.name} is used as the network of {snapshot.name}, though {', '.join(others)} would fit it "
            "as well and describes another one; --architecture FILE says which it is."
        )
    if first.misfits:
        doubts.append(f"No .prototxt fits all arrays of {snapshot.name}; {first.net.path.name} fits most of them.")
    return doubts


def _contradict(one: CaffeNet, other: CaffeNet) -> bool:
    """Whether layers of the same name compute something else."""
    layers = {layer.name: layer for layer in one.layers}
    return any(
        layers[layer.name].type == layer.type and settings_of(layers[layer.name]) != settings_of(layer)
        for layer in other.layers
        if layer.name in layers
    )
