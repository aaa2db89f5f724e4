"""Keras training runs: folders of ``.keras``, ``.h5`` (Keras 2 and 3) or ``.weights.h5`` files, or one such file.

Steps come from the file names (``run_folder.py`` says how, and what the folder may tell about itself). Files of weights alone
take their architecture from ``model.json`` or an unnumbered ``.keras`` file beside them, or from ``options.architecture``.
"""

from __future__ import annotations

import os
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import h5py
import numpy as np

from mloscope.adaptors.fingerprint import file_fingerprint
from mloscope.adaptors.interface import (
    Checkpoint,
    Layer,
    Preprocessing,
    Refused,
    RunOptions,
    Unknown,
    Unreadable,
)
from mloscope.adaptors.models import keras_building, keras_files
from mloscope.adaptors.models.keras_architecture import Node
from mloscope.adaptors.models.keras_checkpoints import Survey, survey

if TYPE_CHECKING:
    import keras


class KerasRun:
    """A run that Keras saved. Safe to use from several threads: after opening, nothing in it changes."""

    format: ClassVar[str] = "keras"
    description: ClassVar[str] = "folders of .keras, .h5 or .weights.h5 files"

    @classmethod
    def can_open(cls, path: Path) -> bool:
        if not path.is_dir():
            return path.is_file() and keras_files.is_checkpoint_name(path.name)
        with os.scandir(path) as entries:  # a folder of a million pictures is not listed to the end
            return any(keras_files.is_checkpoint_name(entry.name) for entry in islice(entries, 100_000))

    @classmethod
    def open(cls, path: Path, options: RunOptions) -> Self:
        return cls(survey(path, options), options)

    def __init__(self, found: Survey, options: RunOptions) -> None:
        self._found, self._options = found, options
        self._nodes = {node.name: node for node in found.nodes}
        with keras_files.opened(found.reference) as file:
            self._layers = tuple(node.layer(file) for node in found.nodes)

    @property
    def preprocessing(self) -> Preprocessing | None:
        return self._options.preprocessing or self._found.notes.preprocessing

    @cached_property
    def input_shape(self) -> tuple[int | None, int | None, int] | None:
        shape = next((layer.output_shape for layer in self._layers if layer.kind == "input"), None)
        is_image = shape is not None and len(shape) == 3 and shape[2] is not None
        return shape if is_image else None  # type: ignore[return-value]

    @property
    def class_names(self) -> tuple[str, ...]:
        return self._found.notes.class_names

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        return self._found.checkpoints

    def layers(self) -> tuple[Layer, ...]:
        return self._layers

    def parameters(self, checkpoint: Checkpoint, layer: Layer) -> dict[str, np.ndarray]:
        path = self._path(checkpoint)
        node = self._node(layer)
        with keras_files.opened(path) as file:
            return _arrays(file, node, layer, path)

    def weights(self, checkpoint: Checkpoint) -> dict[str, np.ndarray]:
        path = self._path(checkpoint)
        with keras_files.opened(path) as file:
            return {
                f"{layer.name}/{name}": array
                for layer in self._layers
                for name, array in _arrays(file, self._node(layer), layer, path).items()
            }

    def keras_model(self) -> keras.Model:
        if self._found.config is None:
            raise Refused(self._found.problems[-1])
        model = keras_building.build_model(self._found.config, self._found.source, self._options.trust)
        keras_building.set_constants(model, self.weights(self._found.reference_checkpoint))
        return model

    def fingerprint(self, checkpoint: Checkpoint) -> str:
        path = self._path(checkpoint)
        try:
            return file_fingerprint(path)
        except OSError as error:
            raise Unreadable(f"{path} cannot be read: {error.strerror or error}.") from error

    def problems(self) -> tuple[str, ...]:
        return self._found.problems

    def _path(self, checkpoint: Checkpoint) -> Path:
        if not any(known.name == checkpoint.name for known in self._found.checkpoints):
            raise Unknown(f"The run {self._found.folder} has no checkpoint {checkpoint.name}.")
        return self._found.folder / checkpoint.name

    def _node(self, layer: Layer) -> Node:
        if layer.name not in self._nodes:
            raise Unknown(f"The run {self._found.folder} has no layer {layer.name}.")
        return self._nodes[layer.name]


def _arrays(file: h5py.File, node: Node, layer: Layer, path: Path) -> dict[str, np.ndarray]:
    datasets = node.datasets(file) if layer.parameters else {}
    for parameter in layer.parameters:
        shape = datasets[parameter.name].shape if parameter.name in datasets else None
        if shape != parameter.shape:
            held = "nothing" if shape is None else f"the shape {shape}"
            raise Unreadable(
                f"{path} has {held} for {layer.name}/{parameter.name} where the run's network has {parameter.shape}."
            )
    return {
        parameter.name: keras_files.read(file, datasets[parameter.name], path)
        for parameter in layer.parameters
    }
