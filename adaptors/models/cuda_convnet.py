"""Training runs of cuda-convnet 1 and 2: folders of files called after epoch and batch, or one of them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from mloscope.adaptors.files.run_folder import Notes, read_notes
from mloscope.adaptors.interface import ASSUMED, Checkpoint, Layer, Preprocessing, RunOptions, Unreadable
from mloscope.adaptors.networks.translated_run import CheckpointFiles, TranslatedRun
from mloscope.adaptors.readers.cuda_convnet.files import NAME, State, is_run_file, read_state
from mloscope.adaptors.readers.cuda_convnet.layers import arrays_of, nodes_of
from mloscope.adaptors.readers.cuda_convnet.training_record import batches_meta_beside, curves, step_factor


class CudaConvnetRun(TranslatedRun):
    """A run that cuda-convnet saved. Its steps are epoch and batch in one number: 150.5 is 1500005."""

    format: ClassVar[str] = "cuda-convnet"
    description: ClassVar[str] = "folders of cuda-convnet's <epoch>.<batch> files, plain, gzip or ZIP"

    @classmethod
    def can_open(cls, path: Path) -> bool:
        if not path.is_dir():
            return is_run_file(path)
        try:
            with os.scandir(path) as entries:
                first = next((entry.name for entry in entries if NAME.fullmatch(entry.name)), None)
        except OSError:
            return False
        return first is not None and is_run_file(path / first)

    @classmethod
    def open(cls, path: Path, options: RunOptions) -> Self:
        folder = path if path.is_dir() else path.parent
        names = os.listdir(folder) if path.is_dir() else [path.name]
        files, state = _files(folder, names).reference(read_state)
        return cls(files, state, read_notes(folder), options)

    def __init__(self, files: CheckpointFiles, state: State, notes: Notes, options: RunOptions) -> None:
        nodes = nodes_of(state)
        output = next((node for node in nodes if node.is_output), nodes[-1])
        outputs = output.layer.output_shape or (0,)
        mean, class_names, problems = batches_meta_beside(files.folder, outputs[-1] or 0)
        # Every data provider of cuda-convnet's own subtracts the mean image of its training set.
        usual = Preprocessing(mean=mean or "corpus", mean_from=ASSUMED if mean is None else "batches.meta")
        super().__init__(
            files,
            nodes,
            notes.preprocessing or usual,
            notes.class_names or class_names,
            (*notes.problems, *problems),
        )
        self._curves = curves(state, step_factor(each.name for each in files.checkpoints))

    def _arrays(self, path: Path, layers: Sequence[Layer]) -> Mapping[str, Mapping[str, np.ndarray]]:
        return arrays_of(read_state(path), layers)

    def metrics(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        return dict(self._curves)


def _files(folder: Path, names: Sequence[str]) -> CheckpointFiles:
    places = sorted((int(found[1]), int(found[2]), name) for name in names if (found := NAME.fullmatch(name)))
    if not places:
        raise Unreadable(f"{folder} holds no files called <epoch>.<batch>, as cuda-convnet calls them.")
    factor = step_factor(name for _, _, name in places)
    found: dict[int, Checkpoint] = {}
    for epoch, batch, name in places:
        empty = f"{name} is empty." if os.path.getsize(folder / name) == 0 else None
        found[epoch * factor + batch] = Checkpoint(epoch * factor + batch, name, f"{epoch}.{batch}", problem=empty)
    return CheckpointFiles(folder, tuple(found.values()))
