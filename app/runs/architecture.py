"""A run's architecture: its layers by name, and a digest that is part of keys in the cache."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

from mloscope.adaptors.interface import Layer, RunAdaptor, RunOptions
from mloscope.app.cache.content_keys import digest


class Architecture(NamedTuple):
    layers: tuple[Layer, ...]
    """In topological order."""
    by_name: Mapping[str, Layer]
    digest: str


class KnownArchitecture:
    """Remembers the architecture for as long as the adaptor gives the same layers. Thread-safe."""

    def __init__(self) -> None:
        self._known: Architecture | None = None

    def of(self, adaptor: RunAdaptor, options: RunOptions) -> Architecture:
        """The architecture. Raises what the adaptor raises."""
        layers, known = adaptor.layers(), self._known
        if known is None or known.layers is not layers:
            known = self._known = Architecture(
                layers, {layer.name: layer for layer in layers}, _digest(adaptor, options)
            )
        return known


def _digest(adaptor: RunAdaptor, options: RunOptions) -> str:
    described = [
        [layer.name, layer.kind, layer.inputs, layer.output_shape, dict(layer.hyperparameters)]
        for layer in adaptor.layers()
    ]
    text = json.dumps(described, default=repr)
    return digest(adaptor.format, str(options.architecture), str(options.custom_objects), text)
