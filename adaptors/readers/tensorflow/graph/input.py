"""What images a TensorFlow 1 graph takes, as far as it says so itself: by the type of its placeholder, or by what it does to
the values first."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from mloscope.adaptors.interface import Preprocessing
from mloscope.adaptors.networks import network
from mloscope.adaptors.networks.network import Node

_SOURCES = re.compile(r"^Placeholder|Dequeue|Iterator|Batch|^Unbatch|^ParseExample|^Const$")
_INTEGERS = {3, 4, 5, 6, 9, 17, 22, 23}
"""``DataType`` of ``tensorflow/core/framework/types.proto``."""


def wanted_pixels(nodes: Sequence[Node], dtype: int, source: str) -> Preprocessing | None:
    """What has to be done to pixels, 0 to 255, before the graph takes them; None where it does not say. ``dtype``: of the
    tensor with the images; ``source``: the graph's file.

    A graph that takes whole numbers takes pixels. So does one that first divides by much or takes away much: no such step
    makes sense of values from 0 to 1. One that first does something else of the kind, such as ``(x - 0.5) * 2``, takes
    values from 0 to 1."""
    if dtype in _INTEGERS:
        return Preprocessing(scale_from=source)
    factor, shift, steps = 1.0, 0.0, 0
    for node in _steps(nodes):
        if isinstance(node.operation, network.ChannelConstants):
            first, second = float(np.mean(node.operation.scale)), float(np.mean(node.operation.shift))
        elif isinstance(node.operation, network.Activation) and len(node.operation.arguments) == 2:
            first, second = node.operation.arguments
        else:
            continue
        factor, shift, steps = factor * first, shift * first + second, steps + 1
    if not steps or not factor:
        return None
    takes_pixels = abs(factor) <= 0.1 or abs(shift / factor) > 2
    return Preprocessing(scale=1.0 if takes_pixels else 1 / 255, scale_from=source)


def _steps(nodes: Sequence[Node]) -> list[Node]:
    """What the graph does to the image before anything else takes it."""
    found: list[Node] = []
    name = next((node.layer.name for node in nodes if isinstance(node.operation, network.Input)), "")
    while True:
        takers = [node for node in nodes if name in node.layer.inputs]
        if len(takers) != 1 or takers[0].layer.kind not in ("preprocessing", "flatten", "reshape"):
            return found
        found.append(takers[0])
        name = takers[0].layer.name


def left_out_before(name: str, kind: str, source: str) -> str | None:
    """A sentence where the images do not come from outside the graph, but from steps in it that are not computed."""
    if _SOURCES.search(kind):
        return None
    return (
        f"{source}: the network begins with what {name} gives ({kind}); what the graph does to images up to there is not "
        "done, so they have to be given as they are there (--scale and --mean say how)."
    )
