"""TensorFlow training runs: checkpoints of objects (TensorFlow 2) and of names (TensorFlow 1), SavedModels,
and folders of several of them, as ``tf.train.CheckpointManager`` and ``tf.keras.callbacks.ModelCheckpoint``
leave them. Everything is read without TensorFlow.

A checkpoint is its ``.index`` file (``tensorflow_listing.py``); its step is read off the prefix (``checkpoint_steps.py``),
or off a SavedModel's folder. A layer's name is that of its variables; their order is the saved objects', the ``.meta`` graph's, or
one that names suggest. What an optimizer remembers (``.OPTIMIZER_SLOT``, ``*/Momentum``, ``*/Adam`` ...) is
shown beside the parameter that it is about, as ``kernel momentum``, and is no parameter of the network
(``Parameter.slot``).

With a Keras configuration (``model.json`` or a ``.keras`` file beside the checkpoints, inside a SavedModel,
or named in the options as a file or module:function), or with a ``.meta`` graph or a SavedModel of TensorFlow 1, there is
a graph of layers and the network can be evaluated; without, ``problems()`` says what it needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from mloscope.adaptors.fingerprint import file_fingerprint
from mloscope.adaptors.interface import Checkpoint, Layer, Preprocessing, RunOptions, Unknown
from mloscope.adaptors.readers.keras import architecture as keras_architecture
from mloscope.adaptors.readers.tensorflow.checkpoints import Survey, survey
from mloscope.adaptors.readers.tensorflow.listing import holds_checkpoints

if TYPE_CHECKING:
    import keras


class TensorFlowRun:
    """A run that TensorFlow saved. Safe to use from several threads: after opening, nothing in it changes."""

    format: ClassVar[str] = "tensorflow"
    description: ClassVar[str] = "TensorFlow checkpoints (.index and .data files) and SavedModels"

    @classmethod
    def can_open(cls, path: Path) -> bool:
        return holds_checkpoints(path)

    @classmethod
    def open(cls, path: Path, options: RunOptions) -> Self:
        found = survey(path, options)
        return (EvaluableTensorFlowRun if found.config or found.graph else cls)(found, options)  # type: ignore[return-value]

    def __init__(self, found: Survey, options: RunOptions) -> None:
        self._found, self._options = found, options
        self._layers = {layer.name: layer for layer in found.layers}

    @property
    def preprocessing(self) -> Preprocessing | None:
        return self._found.preprocessing

    @property
    def input_shape(self) -> tuple[int | None, int | None, int] | None:
        shapes = (layer.output_shape for layer in self._found.layers if layer.kind == "input")
        return next(((*shape[:2], shape[2]) for shape in shapes if shape and len(shape) == 3 and shape[2]), None)

    @property
    def class_names(self) -> tuple[str, ...]:
        return self._found.notes.class_names

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        return self._found.checkpoints

    def layers(self) -> tuple[Layer, ...]:
        return self._found.layers

    def parameters(self, checkpoint: Checkpoint, layer: Layer) -> dict[str, np.ndarray]:
        if layer.name not in self._layers:
            raise Unknown(f"The run {self._found.folder} has no layer {layer.name}.")
        return self._found.read(checkpoint, self._layers[layer.name])

    def fingerprint(self, checkpoint: Checkpoint) -> str:
        return file_fingerprint(self._found.index(checkpoint))

    def problems(self) -> tuple[str, ...]:
        return self._found.problems


class EvaluableTensorFlowRun(TensorFlowRun):
    """One whose network's configuration or graph is known."""

    backend: ClassVar[str] = "keras"

    def outputs(self) -> tuple[str, ...]:
        return self._found.outputs()

    def channels_first(self) -> frozenset[str]:
        nodes = keras_architecture.nodes_of(self._found.config) if self._found.config is not None else ()
        return frozenset(node.name for node in nodes if node.channels_first)

    def keras_model(self) -> keras.Model:
        return self._found.model(self._options)

    def weights(self, checkpoint: Checkpoint) -> dict[str, np.ndarray]:
        found = ((layer.name, self._found.read(checkpoint, layer, slots=False)) for layer in self._found.layers)
        return {f"{layer}/{name}": array for layer, arrays in found for name, array in arrays.items()}
