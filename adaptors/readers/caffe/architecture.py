"""What network the snapshots of a Caffe run are of, and what is done to its images.

A run's network stands in a ``.prototxt``; where there is none, in the snapshots themselves, for Caffe writes
into each the network that it trained. What it did to the images, only the layer of data tells, which deploy
files have not: so that is looked for in the snapshot too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mloscope.adaptors.interface import ASSUMED, AdaptorError, NothingThere, Preprocessing, RunOptions, Unreadable
from mloscope.adaptors.networks.network import Node, input_shape_of
from mloscope.adaptors.readers.caffe.choice import descriptions
from mloscope.adaptors.readers.caffe.layers import DATA_TYPES, nodes_of
from mloscope.adaptors.readers.caffe.protobuf import CaffeNet, read_blob_file, read_caffemodel, read_prototxt
from mloscope.adaptors.readers.caffe.snapshots import Shapes

_USUAL_SIDES = (28, 32, 224, 227, 256, 24, 27, 36, 40, 48, 64, 96, 128, 299, 300, 321)
_LARGEST_SIDE = 512


@dataclass(frozen=True)
class Architecture:
    nodes: tuple[Node, ...]
    preprocessing: Preprocessing | None
    problems: tuple[str, ...]


def find_architecture(folder: Path, snapshot: Path, stored: Shapes, options: RunOptions) -> Architecture:
    """The network whose arrays the snapshot holds. Raises NothingThere (a named architecture is not there)
    and Unreadable (there is none, or it has mistakes)."""
    problems: list[str] = []
    own = None if snapshot.name.lower().endswith(".h5") else read_caffemodel(snapshot)
    if options.architecture:
        nets = [(read_prototxt(_named(folder, options.architecture)), "TEST")]
    else:
        nets = [(net, "TEST") for net in descriptions(folder, snapshot, stored, problems)]
        if own is not None and any(layer.message.bottom for layer in own.layers):
            nets.append((own, "TRAIN"))
    if not nets:
        raise Unreadable(
            f"{folder} holds no .prototxt that describes the network of {snapshot.name}. Put it beside the "
            "snapshots, or name it (--architecture FILE)."
        )
    failure: Unreadable | None = None
    for net, phase in nets:
        try:
            nodes, doubts = _sized(net, phase, stored, folder)
        except Unreadable as error:
            failure = failure or error
            problems.append(f"{error} The network is taken from elsewhere.")
        else:
            problems += [*doubts, *_means_left_out(folder)]
            sources = [net, *([own] if own is not None else [])]
            how = _preprocessing(sources, folder, input_shape_of(nodes))
            return Architecture(tuple(nodes), how, tuple(problems))
    assert failure is not None
    raise failure


def _named(folder: Path, name: str) -> Path:
    found = next((place for place in (folder / name, Path(name)) if place.is_file()), None)
    if found is None:
        raise NothingThere(f"The architecture {name} is a file neither here nor in {folder}.")
    return found


# ------------------------------------------------------------------------------------- the size of the input


def _sized(net: CaffeNet, phase: str, stored: Shapes, folder: Path) -> tuple[list[Node], list[str]]:
    """The network's nodes; where it does not say the size of its images, of the first size that all its dense
    layers fit, and a sentence saying so."""
    if net.inputs or any(layer.type == "Input" for layer in net.layers):
        return nodes_of(net, phase, stored, None), []
    channels = _input_channels(net, stored)
    stated = [size for size in (_crop(net), _mean_size(folder, channels)) if size]
    others = [(side, side) for side in (*_USUAL_SIDES, *range(1, _LARGEST_SIDE + 1))]
    best: list[Node] | None = None
    for rows, columns in (*stated, *others):
        nodes = nodes_of(net, phase, stored, (rows, columns, channels))
        if not any(node.layer.kind == "dense" and node.layer.problem for node in nodes):
            known = (rows, columns) in stated
            text = f"{net.path.name} does not say the size of its images; {rows} by {columns} fits its layers."
            return nodes, [] if known else [text]
        best = best or nodes
    assert best is not None
    return best, [f"{net.path.name} does not say the size of its images, and none was found that fits its layers."]


def _input_channels(net: CaffeNet, stored: Shapes) -> int:
    for layer in net.layers:
        shapes = stored.get(layer.name, ())
        if layer.type == "Convolution" and shapes and len(shapes[0]) == 4:
            return shapes[0][1] * max(1, layer.parameters("convolution_param").group)
        if layer.type == "InnerProduct" and shapes:
            values = shapes[0][-1]
            return 3 if values % 3 == 0 and math.isqrt(values // 3) ** 2 * 3 == values else 1
    return 3


def _crop(net: CaffeNet) -> tuple[int, int] | None:
    for layer in net.layers:
        if layer.type in DATA_TYPES:
            size = layer.parameters("transform_param").crop_size or layer.parameters("data_param").crop_size
            if size:
                return size, size
    return None


def _mean_size(folder: Path, channels: int) -> tuple[int, int] | None:
    path = _only_mean(folder)
    try:
        shape = read_blob_file(path).shape if path else ()
    except AdaptorError:
        return None
    return (shape[-2], shape[-1]) if len(shape) >= 3 and shape[-3] == channels else None


# --------------------------------------------------------------------------------------------- preprocessing


def _preprocessing(
    nets: Sequence[CaffeNet], folder: Path, shape: tuple[int | None, int | None, int] | None
) -> Preprocessing | None:
    """What the first network with a layer of data says. No file tells the order of colours: it is Caffe's
    usual one, blue first, but for CIFAR-10, whose converter keeps red first."""
    said = next((found for net in nets if (found := _said(net))), None)
    mean_file = _only_mean(folder)
    colour = shape is not None and shape[2] == 3
    if said is None:
        if mean_file is None:
            return None
        return Preprocessing(
            mean=str(mean_file),
            channel_order="bgr" if colour else "rgb",
            scale_from=ASSUMED,
            mean_from=mean_file.name,
            channel_order_from=ASSUMED if colour else "",
        )
    mean: tuple[float, ...] | str | None = None
    mean_from = ""
    scale = float(said["scale"])  # type: ignore[arg-type]
    values, named = said["values"], str(said["mean_file"])
    if values:
        mean = tuple(float(value) * scale for value in values)  # type: ignore[attr-defined]
    elif named:
        beside = folder / named.replace("\\", "/").rpartition("/")[2]
        found = beside if beside.is_file() else mean_file
        mean = str(found) if found else "corpus"  # it is the mean of the training images
        mean_from = found.name if found else ASSUMED
    is_cifar = "cifar" in f"{said['source']} {named}".lower()
    order = "bgr" if colour and not is_cifar else "rgb"
    return Preprocessing(scale, mean, order, mean_from=mean_from, channel_order_from=ASSUMED if colour else "")


def _said(net: CaffeNet) -> Mapping[str, object] | None:
    for layer in net.layers:
        if layer.type in DATA_TYPES - {"Input", "DummyData"}:
            transform, data = layer.parameters("transform_param"), layer.parameters("data_param")
            # Before 2014 the transformation stood among the settings of the data.
            scale = transform.scale if transform.HasField("scale") else data.scale
            return {
                "scale": scale,
                "values": list(transform.mean_value),
                "mean_file": transform.mean_file or data.mean_file,
                "source": data.source,
            }
    return None


def _only_mean(folder: Path) -> Path | None:
    found = sorted(folder.glob("*.binaryproto"))
    return found[0] if len(found) == 1 else None


def _means_left_out(folder: Path) -> list[str]:
    found = sorted(path.name for path in folder.glob("*.binaryproto"))
    if len(found) < 2:
        return []
    return [
        f"{', '.join(found[:5])} may each be the mean image, and nothing says which, but for the one that a .prototxt names; "
        "--mean FILE says it."
    ]
