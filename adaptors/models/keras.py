"""Keras training runs: folders of files that Keras saved, or with one for each epoch, or one file; see ``readers/keras/checkpoints.py``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from mloscope.adaptors.fingerprint import file_fingerprint
from mloscope.adaptors.interface import Checkpoint, Layer, Preprocessing, RunOptions, Unknown
from mloscope.adaptors.readers.keras import files as keras_files
from mloscope.adaptors.readers.keras.architecture import outputs_of
from mloscope.adaptors.readers.keras.checkpoints import Survey, survey
from mloscope.adaptors.readers.keras.listing import holds_checkpoints
from mloscope.adaptors.readers.keras.operations import losses_of
from mloscope.adaptors.readers.keras.places import Places
from mloscope.adaptors.readers.keras.reading import read_layers

if TYPE_CHECKING:
    import keras


class KerasRun:
    """A run that Keras saved. Safe to use from several threads: after opening, nothing in it changes but what is remembered of its
    files."""

    format: ClassVar[str] = "keras"
    description: ClassVar[str] = "folders of .keras, .h5 or .weights.h5 files"
    backend: ClassVar[str] = "keras"

    @classmethod
    def can_open(cls, path: Path) -> bool:
        return holds_checkpoints(path)

    @classmethod
    def open(cls, path: Path, options: RunOptions) -> Self:
        return cls(survey(path, options), options)

    def __init__(self, found: Survey, options: RunOptions, places: Places | None = None) -> None:
        self._found, self._options = found, options
        self._places = places or Places()
        self._nodes = {node.name: node for node in found.nodes}
        with keras_files.opened(found.reference) as file:
            stored = found.nodes_in(found.reference_checkpoint, file, list(self._nodes))
            self._layers = tuple(node.layer(file, stored[node.name]) for node in found.nodes)

    @property
    def preprocessing(self) -> Preprocessing | None:
        return self._found.notes.preprocessing

    @property
    def input_shape(self) -> tuple[int | None, int | None, int] | None:
        shapes = (layer.output_shape for layer in self._layers if layer.kind == "input")
        return next(((*shape[:2], shape[2]) for shape in shapes if shape and len(shape) == 3 and shape[2]), None)

    @property
    def class_names(self) -> tuple[str, ...]:
        return self._found.notes.class_names

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        return self._found.checkpoints

    def layers(self) -> tuple[Layer, ...]:
        return self._layers

    def outputs(self) -> tuple[str, ...]:
        return outputs_of(self._found.config) if self._found.config is not None else ()

    def losses(self) -> dict[str, str]:
        return losses_of(keras_files.compile_config(self._found.config, self._found.reference), self.outputs())

    def channels_first(self) -> frozenset[str]:
        return frozenset(node.name for node in self._found.nodes if node.channels_first)

    def parameters(self, checkpoint: Checkpoint, layer: Layer) -> dict[str, np.ndarray]:
        if layer.name not in self._nodes:
            raise Unknown(f"The run {self._found.folder} has no layer {layer.name}.")
        return read_layers(self._found, self._places, checkpoint, [layer])[layer.name]

    def weights(self, checkpoint: Checkpoint) -> dict[str, np.ndarray]:
        by_layer = read_layers(self._found, self._places, checkpoint, self._layers)
        return {f"{layer}/{name}": array for layer, arrays in by_layer.items() for name, array in arrays.items()}

    def keras_model(self) -> keras.Model:
        return self._found.model(self._options)

    def fingerprint(self, checkpoint: Checkpoint) -> str:
        return "-".join(file_fingerprint(each) for each in keras_files.files_of(self._found.path(checkpoint)))

    def problems(self) -> tuple[str, ...]:
        return self._found.problems
