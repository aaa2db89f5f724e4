"""Top patches of a Keras network, computed as the command computes them, against a search of all its maps with NumPy."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(
    str(Path(__file__).parents[2] / "model_service")
)  # tests are imported by path, their neighbours are not
from brute_force import by_brute_force, listed
from framework import keras, layers, needs_tensorflow

from mloscope.adaptors.interface import RunOptions
from mloscope.app.commands import cli
from mloscope.app.statistics.patches.course import patch_course
from mloscope.app.statistics.queries import Statistics
from mloscope.app.statistics.run_statistics import RunStatistics
from mloscope.app.statistics.stored.store import StatisticsStore
from mloscope.app.workspace.entries import CorpusEntry, RunEntry, make_preprocessing
from mloscope.app.workspace.workspace import Workspace

IMAGES = 2000


@needs_tensorflow
def test_every_unit_has_the_patches_of_a_search_of_all_maps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="needs Dask: make test installs it")
    monkeypatch.setenv("MLOSCOPE_CACHE_FOLDER", str(tmp_path))
    random = np.random.default_rng(2)
    pixels = random.integers(0, 256, (IMAGES, 12, 12, 3), np.uint8)
    np.savez(tmp_path / "images.npz", x_test=pixels, y_test=random.integers(0, 4, IMAGES))
    model = keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            layers.Conv2D(5, 3, strides=2, padding="same", activation="relu", name="conv"),
            layers.Flatten(),
            layers.Dense(4, activation="softmax", name="classes"),
        ]
    )
    model.set_weights([random.normal(0, 0.2, array.shape) for array in model.get_weights()])
    (tmp_path / "run").mkdir()
    model.save(tmp_path / "run" / "step_7.keras")
    words = ["statistics", str(tmp_path / "run"), "--images", str(tmp_path / "images.npz"), "--top-patches"]
    assert cli.main([*words, "--clusters", "0", "--scale", repr(1 / 255)]) == 0
    inputs = pixels.astype(np.float32) * np.float32(1 / 255)
    for name in ("conv", "classes"):
        (found,) = patch_course(statistics_of(tmp_path), name).found
        outputs = keras.Model(model.inputs, model.get_layer(name).output)
        maps = np.concatenate([np.asarray(outputs(inputs[at : at + 250])) for at in range(0, IMAGES, 250)])
        for unit, (ours, wanted) in enumerate(zip(listed(found), by_brute_force(maps), strict=True)):
            assert [value for *_, value in ours] == pytest.approx([value for *_, value in wanted], rel=1e-5), unit
            for image, row, column, value in ours:  # what is equal but for rounding may stand in another order
                seen = maps[image].reshape(-1, 1, maps.shape[-1]) if maps.ndim == 2 else maps[image]
                assert value == pytest.approx(float(seen[row, column, unit]), rel=1e-5)
                assert value == pytest.approx(float(seen[..., unit].max()), rel=1e-5)


def statistics_of(folder: Path) -> RunStatistics:
    options = RunOptions(preprocessing=make_preprocessing(1 / 255, None, None))
    workspace = Workspace.connect(
        [RunEntry(folder / "run", "run", options=options)], [CorpusEntry(folder / "images.npz", "images")]
    )
    return Statistics(workspace, StatisticsStore(folder)).of("run")
