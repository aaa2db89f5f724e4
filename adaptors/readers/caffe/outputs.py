"""Which layers of a Caffe network are its outputs.

A network for training says it by its losses: what a loss takes beside the labels. One for use says it as Caffe itself
takes it: by the blobs that no layer takes (``Net::output_blobs``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mloscope.adaptors.readers.caffe.protobuf import CaffeLayer

Tops = Mapping[str, str | None]
"""The layer that last wrote each blob, by the blob's name; None for labels and what is made of them."""
# They look at what the network gives, and give nothing that anyone asks the network for.
_LOOKING_ON = {"Accuracy", "ArgMax", "HDF5Output"}


@dataclass(frozen=True)
class _Loss:
    layer: str
    labels: tuple[str, ...]
    weight: float


class Outputs:
    """Follows a network, layer by layer."""

    def __init__(self) -> None:
        self._open: dict[str, str | None] = {}
        self._losses: list[_Loss] = []

    def follow(self, layer: CaffeLayer, before: Tops, after: Tops) -> None:
        """Take the next layer into account: what wrote the blobs ``before`` it and ``after`` it."""
        bottoms, tops = list(layer.message.bottom), list(layer.message.top) or [layer.name]
        if layer.type.endswith("Loss"):
            shown = after.get(tops[0]) if layer.type == "SoftmaxWithLoss" else None
            taken = shown or next((name for each in bottoms if (name := before.get(each)) is not None), None)
            weights = list(layer.message.loss_weight) or [1.0]
            if taken is not None:
                self._losses.append(_Loss(taken, tuple(bottoms[1:]), float(weights[0])))
        elif layer.type not in _LOOKING_ON:
            for each in bottoms:
                self._open.pop(each, None)
            self._open.update({each: after.get(each) for each in tops})

    def names(self) -> list[str]:
        """The outputs. A loss that weighs less than another one for the same labels is an auxiliary classifier's."""
        if self._losses:
            heaviest = {
                loss.labels: max(other.weight for other in self._losses if other.labels == loss.labels)
                for loss in self._losses
            }
            return [loss.layer for loss in self._losses if loss.weight == heaviest[loss.labels]]
        return [name for name in self._open.values() if name is not None]
