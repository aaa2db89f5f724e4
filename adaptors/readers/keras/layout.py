"""Which layers of a Keras network give maps with the channels first.

A layer that has ``data_format`` says so itself; layers that leave the axes where they are pass on what they get; an input
is what the first layers behind it that say so take it for. What is shown is channels last throughout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mloscope.adaptors.readers.keras.shapes import KINDS, PASSING, Shape

if TYPE_CHECKING:
    from mloscope.adaptors.readers.keras.architecture import Node

FLATTENED = ("channel", "row", "column")
_FEW_CHANNELS = (1, 3, 4)
_MERGING = ("add", "multiply", "concatenate")


def mark_channels_first(nodes: Mapping[str, Node]) -> None:
    """Sets ``channels_first`` of the nodes whose output is a map of channel, row and column, and ``flattened`` of those
    that have such a map as a vector."""
    consumers: dict[str, list[Node]] = {}
    for node in nodes.values():
        for name in node.inputs:
            consumers.setdefault(name, []).append(node)
    for node in nodes.values():
        taken = [nodes[name] for name in node.inputs]
        if node.source_class == "InputLayer":
            node.channels_first = len(node.shape or ()) == 3 and _is_taken_so(node, consumers)
        elif "data_format" in node.config and node.source_class != "Flatten":
            spatial = node.shape is None or len(node.shape) >= 3
            node.channels_first = node.config["data_format"] == "channels_first" and spatial
        elif passes(node):
            node.channels_first = any(each.channels_first for each in taken)
        node.takes_flattened = taken[0].flattened if taken else None
        if node.source_class == "Flatten" and node.config.get("data_format") != "channels_first":
            node.flattened = FLATTENED if any(each.channels_first for each in taken) else None
        elif passes(node) and taken:
            node.flattened = taken[0].flattened


def passes(node: Node) -> bool:
    """Whether the layer leaves the axes of what it takes where they are."""
    return node.source_class in PASSING or KINDS.get(node.source_class) in _MERGING


def _is_taken_so(node: Node, consumers: Mapping[str, Sequence[Node]]) -> bool:
    said, seen, later = set(), {node.name}, list(consumers.get(node.name, ()))
    while later:
        each = later.pop()
        if each.name in seen:
            continue
        seen.add(each.name)
        if each.config.get("data_format") in ("channels_first", "channels_last") and each.source_class != "Flatten":
            said.add(each.config["data_format"])
        elif passes(each):
            later += consumers.get(each.name, ())
    if said:
        return "channels_first" in said
    return node.shape is not None and node.shape[0] in _FEW_CHANNELS and node.shape[-1] not in _FEW_CHANNELS


def channels_last(shape: Shape | None) -> Shape | None:
    """The shape of a map with its channels moved to the end."""
    return shape if shape is None or len(shape) < 2 else (*shape[1:], shape[0])
