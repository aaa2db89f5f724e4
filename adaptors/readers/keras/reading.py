"""The arrays of some layers of one checkpoint of a Keras run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mloscope.adaptors.interface import Checkpoint, Layer
from mloscope.adaptors.readers.keras import files
from mloscope.adaptors.readers.keras.checkpoints import Survey
from mloscope.adaptors.readers.keras.places import Places
from mloscope.adaptors.readers.keras.quantised import read_parameters


def read_layers(
    found: Survey, places: Places, checkpoint: Checkpoint, layers: Sequence[Layer]
) -> dict[str, dict[str, np.ndarray]]:
    """Return each layer's arrays by name: from their remembered places where the file is the same, else through HDF5, which
    remembers them. Raises what :meth:`Survey.check` and the readers of the file raise."""
    path, names = found.path(checkpoint), [layer.name for layer in layers]
    found.check(checkpoint)
    if (known := places.read(path, names)) is not None:
        return known
    read: dict[str, dict[str, np.ndarray]] = {}
    with files.opened_in_window(path) as (file, window), places.noted(path, window) as note:
        nodes = found.nodes_in(checkpoint, file, names)
        for layer in layers:
            # To look for what a layer without parameters may have takes longer than to read one that has some.
            datasets = nodes[layer.name].datasets(file) if layer.parameters else {}
            read[layer.name] = read_parameters(file, nodes[layer.name], datasets, layer, path)
            note(layer.name, datasets, read[layer.name])
    return read
