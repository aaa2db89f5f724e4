"""Files for the adaptors' tests: real ones where they are at hand, and generated ones."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.register_assert_rewrite("mloscope.adaptors.conformance")

REAL_DATA = Path(os.environ.get("MLOSCOPE_REAL_DATA", Path(__file__).parents[2] / "../shared/real"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real snapshots; skips where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"no real snapshots at {REAL_DATA}; set MLOSCOPE_REAL_DATA")
    return REAL_DATA


@pytest.fixture(scope="session")
def keras() -> Any:
    """The keras module, loaded once; skips where TensorFlow is not installed."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    pytest.importorskip("tensorflow", reason="needs TensorFlow: make test installs it")
    return pytest.importorskip("keras")


_opened: set[Path] = set()
_listening: list[bool] = []
_hooks: list[Any] = []


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if _listening and event == "open" and isinstance(arguments[0], str | os.PathLike):
        _opened.add(Path(arguments[0]))


@pytest.fixture
def opened() -> Iterator[set[Path]]:
    """The files that Python opened since the test began; HDF5's own openings are not among them."""
    if _hear not in _hooks:
        _hooks.append(_hear)
        sys.addaudithook(_hear)  # for good: there is no way to take one off
    _opened.clear()
    _listening.append(True)
    yield _opened
    _listening.clear()


@dataclass
class Saved:
    """One network saved at two steps in each format."""

    model: Any
    folders: dict[str, Path]
    """By ``keras``, ``h5``, ``weights``."""
    weights: dict[int, list[np.ndarray]]
    """``model.get_weights()`` by step."""


@pytest.fixture(scope="session")
def saved(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """A network with every kind of layer that gives readers trouble: nested models of both sorts, a layer
    called twice, depthwise, separable and transposed convolutions, normalisations with parts switched off, a
    random state."""
    keras.utils.set_random_seed(1)
    model = branching_network(keras)
    model.compile("adam", "mse")
    # One step, so that the files hold an optimizer's variables too.
    model.train_on_batch(np.ones((2, 16, 16, 3), np.float32), np.ones((2, 3), np.float32))
    root = tmp_path_factory.mktemp("saved")
    folders = {name: root / name for name in ("keras", "h5", "weights")}
    for folder in folders.values():
        folder.mkdir()
    (folders["weights"] / "model.json").write_text(model.to_json())
    weights = {}
    for step in (9, 10):
        rng = np.random.default_rng(step)
        model.set_weights([rng.random(array.shape).astype(array.dtype) for array in model.get_weights()])
        weights[step] = model.get_weights()
        model.save(folders["keras"] / f"epoch_{step}.keras")
        model.save(folders["h5"] / f"epoch_{step}.h5")
        model.save_weights(folders["weights"] / f"epoch_{step}.weights.h5")
    return Saved(model, folders, weights)


def branching_network(keras: Any) -> Any:
    layers = keras.layers
    inner_input = keras.Input((8, 8, 4))
    convolved = layers.Conv2D(6, 3, padding="same", name="conv")(inner_input)
    depthwise = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=1, name="depthwise")(convolved)
    inner = keras.Model(inner_input, layers.Add(name="sum")([convolved, depthwise]), name="inner")
    head = keras.Sequential([layers.Dense(7, name="conv"), layers.LayerNormalization(name="norm")], name="head")
    image = keras.Input((16, 16, 3), name="image")
    now = layers.Rescaling(1 / 255)(image)
    now = layers.Normalization(name="standard")(now)
    now = layers.SeparableConv2D(4, 3, strides=2, padding="same", name="separable")(now)
    block = inner(now)
    shared = layers.Conv2D(6, 1, use_bias=False, name="shared")
    now = layers.Concatenate(name="both")([shared(block), shared(layers.ReLU(name="relu")(block))])
    now = layers.BatchNormalization(scale=False, name="unscaled")(now)
    now = layers.BatchNormalization(name="scaled")(now)
    now = layers.PReLU(shared_axes=[1, 2], name="prelu")(now)
    now = layers.Conv2DTranspose(5, 3, strides=2, name="transposed")(now)
    now = layers.Dropout(0.5, seed=1, name="dropout")(now)
    now = head(layers.GlobalAveragePooling2D(name="pool")(now))
    return keras.Model(image, layers.Dense(3, activation="softmax", name="out")(now), name="branching")


CACHE = Path(os.environ.get("MLOSCOPE_TEST_DATA", Path.home() / ".cache" / "mloscope-test-data"))


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
    """``feature_maps(run, checkpoint, images)``: every layer's output by name, (image, ...). The network of the last run
    is kept, for building one takes longest."""
    kept: list[Any] = [None, None, None]

    def evaluate(run: Any, checkpoint: Any, images: np.ndarray) -> dict[str, np.ndarray]:
        if kept[0] is not run:
            model = run.keras_model()
            kept[:] = run, model, keras.Model(model.input, [layer.output for layer in model.layers])
        _, model, maps = kept
        loaded(run, checkpoint, model)
        return {layer.name: np.asarray(out) for layer, out in zip(model.layers, maps(images), strict=True)}

    return evaluate
