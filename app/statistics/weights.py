"""A layer's arrays at a checkpoint, as statistics of weights are given them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mloscope.adaptors.interface import Layer


@dataclass(frozen=True)
class LayerWeights:
    """The arrays of one layer, read from the run's files."""

    layer: Layer
    arrays: Mapping[str, np.ndarray]
    """By parameter, as stored."""
