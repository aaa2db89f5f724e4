"""What the adaptors have in common whose networks are translated: files of arrays by layer, and nodes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar

import numpy as np

from mloscope.adaptors.fingerprint import file_fingerprint
from mloscope.adaptors.installation import how_to_add
from mloscope.adaptors.interface import (
    AdaptorError,
    Checkpoint,
    DependencyMissing,
    Layer,
    Parameter,
    Preprocessing,
    Unknown,
    Unreadable,
)
from mloscope.adaptors.networks.network import Node, input_shape_of, outputs_of

if TYPE_CHECKING:
    import keras

Found = TypeVar("Found")


@dataclass(frozen=True)
class CheckpointFiles:
    """A folder with one file a checkpoint."""

    folder: Path
    checkpoints: tuple[Checkpoint, ...]

    def path(self, checkpoint: Checkpoint) -> Path:
        """The checkpoint's file. Raises Unknown."""
        if all(known.name != checkpoint.name for known in self.checkpoints):
            raise Unknown(f"The run {self.folder} has no checkpoint {checkpoint.name}.")
        return self.folder / checkpoint.name

    def reference(self, read: Callable[[Path], Found]) -> tuple[CheckpointFiles, Found]:
        """What ``read`` makes of the last checkpoint that it can read; those it cannot get a problem. Raises
        the error of the last one where it can read none."""
        problems: dict[str, str] = {}
        failure: AdaptorError = Unreadable(f"{self.folder} holds no checkpoint that can be read.")
        for checkpoint in reversed(self.checkpoints):
            if checkpoint.problem:
                continue
            try:
                found = read(self.folder / checkpoint.name)
            except AdaptorError as error:
                failure = error if not problems else failure
                problems[checkpoint.name] = str(error)
            else:
                checked = [
                    dataclasses.replace(each, problem=each.problem or problems.get(each.name))
                    for each in self.checkpoints
                ]
                return CheckpointFiles(self.folder, tuple(checked)), found
        raise failure


class TranslatedRun:
    """A run whose network is known as nodes. Safe to use from several threads: after opening, nothing in it
    changes. Adaptors give ``_arrays``."""

    backend: ClassVar[str] = "keras"

    def __init__(
        self,
        files: CheckpointFiles,
        nodes: Sequence[Node],
        preprocessing: Preprocessing | None,
        class_names: Sequence[str] = (),
        problems: Iterable[str] = (),
    ) -> None:
        self._files = files
        self._nodes = tuple(nodes)
        self._layers = {node.layer.name: node.layer for node in nodes}
        self._preprocessing = preprocessing
        self._class_names = tuple(class_names)
        unsupported = (layer.problem for layer in self._layers.values() if layer.problem)
        self._problems = (*problems, *unsupported)

    def _arrays(self, path: Path, layers: Sequence[Layer]) -> Mapping[str, Mapping[str, np.ndarray]]:
        """The arrays of these layers in a checkpoint's file, by layer and parameter, in the order of their
        parameters' axes; in shapes with as many values."""
        raise NotImplementedError

    @property
    def preprocessing(self) -> Preprocessing | None:
        return self._preprocessing

    @property
    def input_shape(self) -> tuple[int | None, int | None, int] | None:
        return input_shape_of(self._nodes)

    @property
    def class_names(self) -> tuple[str, ...]:
        return self._class_names

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        return self._files.checkpoints

    def layers(self) -> tuple[Layer, ...]:
        return tuple(self._layers.values())

    def outputs(self) -> tuple[str, ...]:
        return outputs_of(self._nodes)

    def parameters(self, checkpoint: Checkpoint, layer: Layer) -> dict[str, np.ndarray]:
        if layer.name not in self._layers:
            raise Unknown(f"The run {self._files.folder} has no layer {layer.name}.")
        return self._read(checkpoint, [self._layers[layer.name]])[layer.name]

    def weights(self, checkpoint: Checkpoint) -> dict[str, np.ndarray]:
        by_layer = self._read(checkpoint, list(self._layers.values()))
        return {f"{layer}/{name}": array for layer, arrays in by_layer.items() for name, array in arrays.items()}

    def _read(self, checkpoint: Checkpoint, layers: Sequence[Layer]) -> dict[str, dict[str, np.ndarray]]:
        path = self._files.path(checkpoint)
        wanted = [layer for layer in layers if layer.parameters]
        found = self._arrays(path, wanted) if wanted else {}
        return {
            layer.name: {
                each.name: shaped(found.get(layer.name, {}).get(each.name), each, f"{path}: {layer.name}")
                for each in layer.parameters
            }
            for layer in layers
        }

    def keras_model(self) -> keras.Model:
        try:
            from mloscope.adaptors.networks.translated_layers import build_model
        except ImportError as error:
            raise DependencyMissing(f"Evaluating a network needs TensorFlow: {how_to_add('evaluate')}") from error
        return build_model(self._nodes, str(self._files.folder))

    def fingerprint(self, checkpoint: Checkpoint) -> str:
        return file_fingerprint(self._files.path(checkpoint))

    def problems(self) -> tuple[str, ...]:
        return self._problems


def shaped(array: np.ndarray | None, parameter: Parameter, where: str) -> np.ndarray:
    """The array in the parameter's shape. Raises Unreadable where it is missing, or of another network."""
    if array is None:
        raise Unreadable(f"{where}/{parameter.name} is not in the file.")
    if array.size != parameter.size or array.dtype.kind not in "fiub":
        raise Unreadable(
            f"{where}/{parameter.name} has the shape {array.shape} of {array.dtype}, where the run's network "
            f"has {parameter.shape}."
        )
    return array.reshape(parameter.shape)
