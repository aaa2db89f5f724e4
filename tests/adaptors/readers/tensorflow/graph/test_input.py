"""What a graph of TensorFlow 1 says of the pixels that it takes, and what of it is not computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mloscope.adaptors.interface import RunOptions
from mloscope.adaptors.models.tensorflow import TensorFlowRun

PIXELS = np.random.default_rng(3).integers(0, 256, (4, 6, 5, 3))


@pytest.fixture(scope="session")
def tensorflow(keras: Any) -> Any:
    return pytest.importorskip("tensorflow")


@pytest.fixture
def saved(tensorflow: Any, tmp_path: Path) -> Callable[..., tuple[TensorFlowRun, np.ndarray]]:
    """``saved(before, dtype)``: a run whose graph does this to the images first, and what its convolution gives."""

    def save(before: Callable[[Any, Any], Any], dtype: str = "float32") -> tuple[TensorFlowRun, np.ndarray]:
        tf, v1 = tensorflow, tensorflow.compat.v1
        with tf.Graph().as_default(), v1.Session() as session:
            image = v1.placeholder(dtype, (None, 6, 5, 3), name="image")
            kernel = v1.get_variable("conv/weights", initializer=np.full((3, 3, 3, 2), 0.1, np.float32))
            out = tf.nn.conv2d(before(tf, image), kernel, 1, "VALID", name="conv/Conv2D")
            session.run(v1.global_variables_initializer())
            v1.train.Saver().save(session, str(tmp_path / "model.ckpt"), 1)
            values = session.run(out, {image: PIXELS})
        return TensorFlowRun.open(tmp_path, RunOptions()), values

    return save


MEAN = np.array([123.68, 116.78, 103.94], np.float32)


@pytest.mark.parametrize(
    ("before", "dtype", "scale"),
    [
        (lambda tf, x: tf.cast(x, tf.float32) * (1 / 255), "uint8", 1.0),
        (lambda tf, x: tf.cast(x, tf.float32), "uint8", 1.0),
        (lambda tf, x: x / 255.0, "float32", 1.0),
        (lambda tf, x: (x - 127.5) / 128.0, "float32", 1.0),
        (lambda tf, x: x - MEAN, "float32", 1.0),
        (lambda tf, x: (x - 0.5) * 2.0, "float32", 1 / 255),
        (lambda tf, x: (x - MEAN / 255) / np.array([0.229, 0.224, 0.225], np.float32), "float32", 1 / 255),
    ],
)
def test_the_graph_says_what_pixels_it_takes(
    saved: Any, feature_maps: Any, before: Any, dtype: str, scale: float
) -> None:
    run, expected = saved(before, dtype)
    assert run.preprocessing.scale == scale
    assert run.preprocessing.scale_from == "model.ckpt-1.meta"
    assert not any(layer.problem for layer in run.layers())
    maps = feature_maps(run, run.checkpoints()[0], PIXELS.astype(np.float32))
    np.testing.assert_allclose(maps["conv"], expected, rtol=1e-4, atol=1e-4)


def test_where_the_graph_says_nothing_nothing_is_claimed(saved: Any) -> None:
    run, _ = saved(lambda tf, x: x)
    assert run.preprocessing is None
    assert run.problems() == ()


def test_steps_that_are_not_computed_are_said(saved: Any) -> None:
    run, _ = saved(lambda tf, x: tf.image.per_image_standardization(x))
    assert run.preprocessing is None
    assert any("begins with what" in sentence for sentence in run.problems())


def test_what_may_come_before_the_first_layer_is_computed(saved: Any, feature_maps: Any) -> None:
    run, expected = saved(lambda tf, x: tf.nn.max_pool2d(x, 2, 1, "SAME"))
    assert run.problems() == ()
    maps = feature_maps(run, run.checkpoints()[0], PIXELS.astype(np.float32))
    np.testing.assert_allclose(maps["conv"], expected, rtol=1e-4)
