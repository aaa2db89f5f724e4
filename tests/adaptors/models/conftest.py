"""Evaluating a run's Keras model, and the images its figures were measured on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

CACHE = Path(os.environ.get("MLOSCOPE_TEST_DATA", Path.home() / ".cache" / "mloscope-test-data"))
Evaluate = Callable[..., Any]


@pytest.fixture(scope="session")
def cifar10() -> Callable[[str], tuple[np.ndarray, np.ndarray]]:
    """Images float32 (image, row, column, channel), 0..255, and labels of a batch; skips where it is not."""

    def batch(name: str) -> tuple[np.ndarray, np.ndarray]:
        path = CACHE / "cifar-10-batches-bin" / f"{name}.bin"
        if not path.is_file():
            pytest.skip(f"CIFAR-10 is not in {CACHE}; shared/tools/get-datasets cifar10 fetches it")
        records = np.fromfile(path, np.uint8).reshape(-1, 3073)
        images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        return images.astype(np.float32), records[:, 0]

    return batch


@pytest.fixture(scope="session")
def loaded(keras: Any) -> Callable[..., Any]:
    """``loaded(run, checkpoint)``: the run's Keras model with the checkpoint's weights, matched by name."""

    def load(run: Any, checkpoint: Any, model: Any = None) -> Any:
        model = model or run.keras_model()
        weights = run.weights(checkpoint)
        for layer in model.layers:
            for variable in layer.weights:
                variable.assign(weights[f"{layer.name}/{variable.name}"])
        return model

    return load


@pytest.fixture(scope="session")
def feature_maps(keras: Any, loaded: Callable[..., Any]) -> Callable[..., dict[str, np.ndarray]]:
    """``feature_maps(run, checkpoint, images)``: every layer's output by name, (image, ...)."""

    def evaluate(run: Any, checkpoint: Any, images: np.ndarray) -> dict[str, np.ndarray]:
        model = loaded(run, checkpoint)
        outputs = keras.Model(model.input, [layer.output for layer in model.layers])(images)
        return {layer.name: np.asarray(out) for layer, out in zip(model.layers, outputs, strict=True)}

    return evaluate
