"""A layer's arrays at a checkpoint, as statistics of weights are given them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mloscope.adaptors.interface import Layer
from mloscope.app.errors import NotPossible
from mloscope.app.runs.parameters import parameter_of
from mloscope.app.runs.tiles import by_unit


@dataclass(frozen=True)
class LayerWeights:
    """The arrays of one layer, read from the run's files."""

    layer: Layer
    arrays: Mapping[str, np.ndarray]
    """By parameter, as stored."""

    def units(self) -> np.ndarray:
        """float (unit, value): the layer's first array, a row per unit. Raises :class:`NotPossible` for a layer without
        parameters, or a checkpoint without that array."""
        first = parameter_of(self.layer)
        array = self.arrays.get(first.name)
        if array is None or array.shape != tuple(first.shape):
            raise NotPossible(f'The checkpoint has no array "{first.name}" of the layer "{self.layer.name}".')
        return by_unit(array, first.axes).rows
