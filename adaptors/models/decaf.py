"""Networks of decaf, Caffe's forerunner: what its ``Net.save`` wrote, and its ImageNet model, which is a list
of cuda-convnet's layers.

A checkpoint is a file whose name holds ``decaf``, or one of a folder's that begins as these pickles do; its
step is read off the names, see ``checkpoint_steps.py``. A ``.meta`` of the same name, or the only one beside, gives class
names and the mean image.

No file that decaf itself saved could be had. ``Net.save`` files were tested on ones made after decaf's source
(``base.py``, ``_blob.py``, ``layers/``), the lists of layers on cuda-convnet's real files.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from mloscope.adaptors.files.run_folder import checkpoints_of, read_notes, shortened
from mloscope.adaptors.interface import ASSUMED, Layer, Preprocessing, RunOptions, Unreadable
from mloscope.adaptors.networks.network import NetworkBuilder, Node
from mloscope.adaptors.networks.translated_run import CheckpointFiles, TranslatedRun
from mloscope.adaptors.readers.cuda_convnet import layers as cuda_convnet_layers
from mloscope.adaptors.readers.cuda_convnet.files import State
from mloscope.adaptors.readers.decaf.files import SavedNet, is_net, meta_beside, places, read_content, some_of_each_kind
from mloscope.adaptors.readers.decaf.layers import arrays_of_layer, nodes_of_net


class DecafRun(TranslatedRun):
    """A run of files that decaf saved."""

    format: ClassVar[str] = "decaf"
    description: ClassVar[str] = "decaf's Net.save files and its lists of cuda-convnet layers"

    @classmethod
    def can_open(cls, path: Path) -> bool:
        return any(is_net(place) for place in some_of_each_kind(places(path)))

    @classmethod
    def open(cls, path: Path, options: RunOptions) -> Self:
        folder = path if path.is_dir() else path.parent
        names = sorted(place.name for place in places(path) if not path.is_dir() or is_net(place))
        if not names:
            raise Unreadable(f"{path} holds no file that decaf saved.")
        notes = read_notes(folder)
        found, left_out = checkpoints_of(names, names, notes, options.step_pattern)
        if not found:
            raise Unreadable(f"{path}: none of its {len(names)} files of decaf has a place in time. {left_out[0]}")
        files, nodes = CheckpointFiles(folder, tuple(found)).reference(_nodes)
        mean, class_names, problems = meta_beside(folder, names[0])
        usual = None if mean is None else Preprocessing(mean=mean, mean_from=os.path.basename(mean))
        if mean is None and nodes and nodes[0].layer.source_class == "data":
            # Lists of cuda-convnet's layers: its data providers subtract the mean image of the training set.
            usual = Preprocessing(mean="corpus", mean_from=ASSUMED)
        said = notes.preprocessing or usual
        return cls(
            files, nodes, said, notes.class_names or class_names, (*notes.problems, *shortened(left_out), *problems)
        )

    def _arrays(self, path: Path, layers: Sequence[Layer]) -> Mapping[str, Mapping[str, np.ndarray]]:
        content = read_content(path)
        if not isinstance(content, SavedNet):
            return cuda_convnet_layers.arrays_of(_state(path, content), layers)
        free = NetworkBuilder("").free_name
        return {free(entry.name): arrays_of_layer(entry.layer) for entry in content.entries}


def _nodes(path: Path) -> list[Node]:
    content = read_content(path)
    if isinstance(content, SavedNet):
        return nodes_of_net(content)
    return cuda_convnet_layers.nodes_of(_state(path, content))


def _state(path: Path, layers: tuple) -> State:
    return State(path, layers, epoch=0, batch=0, train_outputs=[], test_outputs=[], options={})
