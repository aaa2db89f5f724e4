"""Training runs of Caffe: folders of ``.caffemodel`` or ``.caffemodel.h5`` snapshots, or one of them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from mloscope.adaptors.files.run_folder import Notes, checkpoints_of, read_notes, shortened
from mloscope.adaptors.interface import Layer, RunOptions, Unreadable
from mloscope.adaptors.networks.translated_run import CheckpointFiles, TranslatedRun
from mloscope.adaptors.readers.caffe.architecture import Architecture, find_architecture
from mloscope.adaptors.readers.caffe.layers import stored_names
from mloscope.adaptors.readers.caffe.snapshots import compared, read_arrays, stem


class CaffeRun(TranslatedRun):
    """A run that Caffe saved. Its network is that of a .prototxt, else the one in the snapshots."""

    format: ClassVar[str] = "caffe"
    description: ClassVar[str] = "folders of Caffe's .caffemodel or .caffemodel.h5 snapshots"

    @classmethod
    def can_open(cls, path: Path) -> bool:
        try:
            if path.is_dir():
                with os.scandir(path) as entries:
                    return any(stem(entry.name) is not None and entry.is_file() for entry in entries)
            return stem(path.name) is not None and path.is_file()
        except OSError:
            return False

    @classmethod
    def open(cls, path: Path, options: RunOptions) -> Self:
        folder = path if path.is_dir() else path.parent
        names = sorted(os.listdir(folder)) if path.is_dir() else [path.name]
        stems = {name: short for name in names if (short := stem(name)) is not None}
        notes = read_notes(folder)
        found, left_out = checkpoints_of(list(stems), list(stems.values()), notes, options.step_pattern)
        if not found:
            raise Unreadable(f"{path}: none of its snapshots has a place on the time axis. {' '.join(left_out[:1])}")
        files, reference, stored = compared(CheckpointFiles(folder, tuple(found)))
        architecture = find_architecture(folder, reference, stored, options)
        return cls(files, architecture, notes, options, shortened(left_out))

    def __init__(
        self,
        files: CheckpointFiles,
        architecture: Architecture,
        notes: Notes,
        options: RunOptions,
        left_out: Sequence[str],
    ) -> None:
        preprocessing = notes.preprocessing or architecture.preprocessing
        problems = (*notes.problems, *left_out, *architecture.problems)
        super().__init__(files, architecture.nodes, preprocessing, notes.class_names, problems)
        self._names = stored_names(architecture.nodes)

    def _arrays(self, path: Path, layers: Sequence[Layer]) -> Mapping[str, Mapping[str, np.ndarray]]:
        stored = read_arrays(path, [self._names[layer.name] for layer in layers])
        return {
            layer.name: dict(
                zip(
                    (each.name for each in layer.parameters),
                    stored.get(self._names[layer.name], ()),
                    strict=False,
                )
            )
            for layer in layers
        }
