"""Graphs that reshape, as TensorFlow 1 wrote them, against what TensorFlow itself computes; and what is said of the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mloscope.adaptors.interface import RunOptions
from mloscope.adaptors.models.tensorflow import TensorFlowRun
from mloscope.adaptors.networks.network import Unsupported
from mloscope.adaptors.readers.tensorflow.graph.shapes import BATCH, sample_shape

IMAGES = np.random.default_rng(3).random((4, 6, 5, 3), np.float32)
Build = Callable[[Any, Any], None]


@pytest.fixture(scope="session")
def tensorflow(keras: Any) -> Any:
    return pytest.importorskip("tensorflow")


@pytest.fixture
def saved(tensorflow: Any, tmp_path: Path) -> Callable[..., tuple[TensorFlowRun, dict[str, np.ndarray]]]:
    """``saved(build, names, batch)``: the run of the graph that ``build(tf, image)`` makes, and its tensors."""

    def save(
        build: Build, names: tuple[str, ...] = (), batch: int | None = None, images: np.ndarray = IMAGES
    ) -> tuple[TensorFlowRun, dict[str, np.ndarray]]:
        tf, v1 = tensorflow, tensorflow.compat.v1
        with tf.Graph().as_default() as graph, v1.Session() as session:
            v1.set_random_seed(1)
            image = v1.placeholder(tf.float32, (batch, *images.shape[1:]), name="image")
            build(tf, image)
            session.run(v1.global_variables_initializer())
            v1.train.Saver().save(session, str(tmp_path / "model.ckpt"), 1)
            values = session.run([graph.get_tensor_by_name(f"{name}:0") for name in names], {image: images})
        return TensorFlowRun.open(tmp_path, RunOptions()), dict(zip(names, values, strict=True))

    return save


def variable(tf: Any, name: str, *shape: int) -> Any:
    return tf.compat.v1.get_variable(name, shape, initializer=tf.compat.v1.random_normal_initializer(stddev=0.4))


def convolution(tf: Any, x: Any, name: str, side: int, units: int) -> Any:
    kernel = variable(tf, f"{name}/weights", side, side, int(x.shape[-1]), units)
    x = tf.nn.conv2d(x, kernel, 1, "VALID", name=f"{name}/Conv2D")
    return tf.nn.bias_add(x, variable(tf, f"{name}/biases", units), name=f"{name}/BiasAdd")


def dense(tf: Any, x: Any, name: str, inputs: int, units: int) -> Any:
    return tf.matmul(x, variable(tf, f"{name}/weights", inputs, units), name=name)


def assert_computes(run: Any, expected: dict[str, np.ndarray], feature_maps: Any, images: np.ndarray = IMAGES) -> None:
    maps = feature_maps(run, run.checkpoints()[0], images)
    for name, values in expected.items():
        np.testing.assert_allclose(maps[name], values, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("batch", [None, 4])
@pytest.mark.parametrize("where", ["shape", "constant"])
def test_flatten_of_tensorflow_1(saved: Any, feature_maps: Any, batch: int | None, where: str) -> None:
    def build(tf: Any, image: Any) -> None:
        x = tf.nn.relu(convolution(tf, image, "conv", 3, 4))
        shape = tf.shape(x) if where == "shape" or batch is None else tf.constant([batch, 4, 3, 4])
        first = tf.strided_slice(shape, [0], [1], [1], shrink_axis_mask=1)
        x = tf.reshape(x, tf.stack([first, -1]), name="flat")
        tf.nn.softmax(dense(tf, x, "fc", 48, 5), name="prob")

    run, expected = saved(build, ("flat", "fc", "prob"), batch)
    assert_computes(run, expected, feature_maps)


def test_flatten_by_a_product_of_sizes(saved: Any, feature_maps: Any) -> None:
    """As ``slim.flatten`` of TensorFlow 1.0 to 1.2 wrote it."""

    def build(tf: Any, image: Any) -> None:
        x = convolution(tf, image, "conv", 3, 4)
        shape = tf.shape(x)
        images, rest = tf.slice(shape, [0], [1]), tf.slice(shape, [1], [3])
        size = tf.expand_dims(tf.reduce_prod(rest), 0)
        dense(tf, tf.reshape(x, tf.concat([images, size], 0)), "fc", 48, 5)

    run, expected = saved(build, ("fc",))
    assert_computes(run, expected, feature_maps)


def test_softmax_of_a_map_as_up_to_tensorflow_1_4(saved: Any, feature_maps: Any) -> None:
    def build(tf: Any, image: Any) -> None:
        x = tf.nn.relu(convolution(tf, image, "conv", 3, 6))
        scores = convolution(tf, x, "cls", 1, 2)
        shape = tf.shape(scores)
        last = tf.slice(shape, tf.stack([tf.rank(scores) - 1]), [1])
        probabilities = tf.nn.softmax(tf.reshape(scores, tf.concat([[-1], last], 0)), name="softmax")
        tf.reshape(probabilities, shape, name="cls_prob")
        tf.squeeze(tf.reduce_mean(convolution(tf, x, "marks", 1, 10), [1, 2], keepdims=True), [1, 2], name="marks_out")

    run, expected = saved(build, ("cls_prob", "marks_out"))
    assert expected["cls_prob"].shape == (4, 4, 3, 2)
    assert_computes(run, {"softmax": expected["cls_prob"], "marks_out": expected["marks_out"]}, feature_maps)
    taken = {name for layer in run.layers() for name in layer.inputs}
    assert {layer.name for layer in run.layers()} - taken == {"softmax", "marks_out"}


@pytest.mark.parametrize("shape", [(5,), (1, 5)])
def test_a_bias_of_one_row(saved: Any, feature_maps: Any, shape: tuple[int, ...]) -> None:
    def build(tf: Any, image: Any) -> None:
        x = dense(tf, tf.reshape(image, [-1, 90]), "fc", 90, 5) + variable(tf, "fc/b", *shape)
        tf.nn.softmax(x, name="prob")

    run, expected = saved(build, ("prob",))
    assert_computes(run, expected, feature_maps)


def test_a_map_keeps_its_order_however_it_is_reshaped(saved: Any, feature_maps: Any) -> None:
    def build(tf: Any, image: Any) -> None:
        tf.reshape(convolution(tf, image, "conv", 3, 2), [-1, 3, 4, 2], name="turned")

    run, expected = saved(build, ("turned",))
    assert_computes(run, expected, feature_maps)


def test_flattened_maps_are_joined_as_vectors(saved: Any, feature_maps: Any) -> None:
    def build(tf: Any, image: Any) -> None:
        parts = [tf.reshape(convolution(tf, image, name, 3, 2), [-1, 24]) for name in ("a", "b")]
        dense(tf, tf.concat(parts, -1), "fc", 48, 3)

    run, expected = saved(build, ("fc",))
    assert_computes(run, expected, feature_maps)


def test_a_bias_stays_apart_where_something_else_takes_the_sum_without(saved: Any, feature_maps: Any) -> None:
    def build(tf: Any, image: Any) -> None:
        kernel = variable(tf, "conv/weights", 3, 3, 3, 2)
        x = tf.nn.conv2d(image, kernel, 1, "VALID", name="conv")
        y = tf.nn.bias_add(x, variable(tf, "conv/biases", 2), name="biased")
        tf.concat([tf.nn.relu(x), tf.nn.relu(y)], 3, name="both")

    run, expected = saved(build, ("both",))
    assert_computes(run, expected, feature_maps)


def test_images_may_be_vectors_that_the_graph_makes_maps_of(saved: Any, feature_maps: Any) -> None:
    def build(tf: Any, image: Any) -> None:
        x = tf.reshape(image * 2.0, [-1, 6, 5, 3])
        dense(tf, tf.reshape(convolution(tf, x, "conv", 3, 4), [-1, 48]), "fc", 48, 5)

    run, expected = saved(build, ("fc",), images=IMAGES.reshape(4, -1))
    assert run.input_shape == (6, 5, 3)
    assert_computes(run, expected, feature_maps)


def test_an_end_that_is_left_out_is_said_and_losses_are_not(saved: Any) -> None:
    def build(tf: Any, image: Any) -> None:
        v1 = tf.compat.v1
        labels = v1.placeholder(tf.float32, (None, 5), name="labels")
        x = tf.reshape(tf.nn.relu(convolution(tf, image, "conv", 3, 4)), [-1, 48])
        v1.summary.scalar("sparsity", tf.nn.zero_fraction(x))
        scores = tf.nn.softmax(dense(tf, x, "fc", 48, 5))
        loss = -tf.reduce_sum(labels * v1.log(tf.clip_by_value(scores, 1e-9, 1.0), name="log"))
        tf.argmax(scores, 1)
        strange = tf.cumsum(dense(tf, x, "marks", 48, 10), 1, name="strange")
        tf.identity(tf.nn.relu(strange), name="landmarks")
        v1.train.GradientDescentOptimizer(0.1).minimize(loss)

    run, _ = saved(build)
    problems = [layer.name for layer in run.layers() if layer.problem]
    assert problems == ["strange"]
    assert any("strange" in sentence and "Cumsum" in sentence for sentence in run.problems())
    assert not [word for word in ("log", "Equal", "ArgMax", "clip") if any(word in each for each in run.problems())]


def test_an_end_of_plain_arithmetic_is_kept(saved: Any, feature_maps: Any) -> None:
    def build(tf: Any, image: Any) -> None:
        x = tf.reshape(convolution(tf, image, "conv", 3, 4), [-1, 48])
        tf.nn.softmax(dense(tf, x, "fc", 48, 5))
        tf.multiply(dense(tf, x, "box", 48, 4), 16.0, name="pixels")

    run, expected = saved(build, ("pixels",))
    assert_computes(run, expected, feature_maps)


@pytest.mark.parametrize(
    ("wanted", "batch", "found"),
    [
        ([BATCH, -1], None, (24,)),
        ([BATCH, None], None, (24,)),
        ([-1, 24], None, (24,)),
        ([None, 6, 4], None, (6, 4)),
        ([8, -1], 8, (24,)),
        ([8, -1], None, (24,)),
        ([-1, 2], None, None),  # places among the images
    ],
)
def test_shapes_of_samples(wanted: list[Any], batch: int | None, found: Any) -> None:
    assert sample_shape(wanted, (3, 4, 2), batch) == found


@pytest.mark.parametrize(
    ("wanted", "batch"), [([None, -1], None), ([32, -1], 8), ([-1, 3], None), ([BATCH, 7], None), (None, None)]
)
def test_shapes_that_are_not_known_or_mix_images(wanted: Any, batch: int | None) -> None:
    with pytest.raises(Unsupported):
        sample_shape(wanted, (3, 4, 2), batch)
