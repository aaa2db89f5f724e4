"""The networks of ``.meta`` graphs, against what TensorFlow itself computes with them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mloscope.adaptors.conformance import RunConformance
from mloscope.adaptors.interface import DeclaresOutputs, EvaluableRun, RunOptions
from mloscope.adaptors.models.tensorflow import TensorFlowRun

STEPS = (3, 20)


@pytest.fixture(scope="session")
def tensorflow(keras: Any) -> Any:
    return pytest.importorskip("tensorflow")


def network(tf: Any, image: Any) -> dict[str, Any]:
    """Every operation that is known, as TensorFlow 1 wrote them; the output of each layer by its name."""
    v1, random = tf.compat.v1, np.random.default_rng(4)
    out: dict[str, Any] = {}

    def variable(name: str, *shape: int) -> Any:
        values = random.normal(0, 0.4, shape).astype(np.float32)
        return v1.get_variable(name, initializer=np.abs(values) + 0.5 if "variance" in name else values)

    x = (tf.cast(image, tf.float32) - 0.5) * 2.0
    with v1.variable_scope("first"):
        kernel = variable("weights", 5, 5, 3, 6)
        x = tf.nn.bias_add(tf.nn.conv2d(x, kernel, [1, 2, 2, 1], "SAME"), variable("biases", 6))
        out["first"] = x
        x = tf.nn.relu(x) + variable("alphas", 6) * (x - tf.abs(x)) * 0.5
        out["first/prelu"] = x
    x = out["pool1"] = tf.nn.max_pool2d(x, 3, 2, "SAME", name="pool1")
    x = out["norm1"] = tf.nn.local_response_normalization(x, 2, 1.5, 0.3, 0.75, name="norm1")
    with v1.variable_scope("separable"):
        x = tf.nn.depthwise_conv2d(x, variable("depthwise_weights", 3, 3, 6, 2), [1, 1, 1, 1], "SAME")
        out["separable"] = x
    with v1.variable_scope("bn"):
        moments = [variable(f"moving_{name}", 12) for name in ("mean", "variance")]
        scale, shift = variable("gamma", 12), variable("beta", 12)
        x, *_ = v1.nn.fused_batch_norm(x, scale, shift, *moments, epsilon=0.01, is_training=False)
        out["bn/scale"] = x
    x = tf.nn.relu6(x)
    with v1.variable_scope("dilated"):
        # No gradient of it: TensorFlow has none for CPUs without oneDNN.
        side = tf.stop_gradient(tf.nn.conv2d(x, variable("weights", 3, 3, 12, 12), 1, "SAME", dilations=2))
    x = out["joined"] = tf.concat([tf.nn.tanh(side) + x, tf.nn.sigmoid(side)], 3, name="joined")
    x = out["pool2"] = tf.nn.avg_pool2d(x, 2, 2, "SAME", name="pool2")
    x = tf.reshape(x, [-1, 2 * 2 * 24])
    with v1.variable_scope("fc"):
        x = tf.nn.bias_add(tf.matmul(x, variable("weights", 96, 7)), variable("biases", 7))
        out["fc"] = x
        # As tf.nn.dropout of TensorFlow 1 wrote it, with the share that is kept fed from outside.
        keep = v1.placeholder_with_default(np.float32(0.5), ())
        x = x / keep * tf.floor(keep + tf.random.uniform(tf.shape(x)))
    with v1.variable_scope("logits"):
        x = out["logits"] = tf.matmul(x, variable("weights", 7, 4)) + variable("biases", 4)
    out["probabilities"] = tf.nn.softmax(x, name="probabilities")
    return out


@pytest.fixture(scope="session")
def graphs(tensorflow: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training run of :func:`network` with ``.meta`` graphs, gradients, momentum and a loss."""
    tf, v1, folder = tensorflow, tensorflow.compat.v1, tmp_path_factory.mktemp("graphs")
    with tf.Graph().as_default(), v1.Session() as session:
        image = v1.placeholder(tf.float32, (None, 16, 16, 3), name="image")
        label = v1.placeholder(tf.int32, (None,), name="label")
        out = network(tf, image)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(label, out["logits"]))
        loss += 1e-4 * sum(tf.nn.l2_loss(each) for each in v1.trainable_variables())
        tf.equal(tf.argmax(out["probabilities"], 1), tf.cast(label, tf.int64))
        step = v1.train.MomentumOptimizer(0.01, 0.9).minimize(loss, v1.train.get_or_create_global_step())
        session.run(v1.global_variables_initializer())
        saver = v1.train.Saver()
        random = np.random.default_rng(0)
        for number in STEPS:
            images = random.random((8, 16, 16, 3), np.float32)
            session.run(step, {image: images, label: np.arange(8) % 4})
            saver.save(session, str(folder / "model.ckpt"), number)
    return folder


def computed_by_tensorflow(tf: Any, prefix: Path, fetches: list[str], feeds: dict[str, Any]) -> list[np.ndarray]:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        saver = tf.compat.v1.train.import_meta_graph(f"{prefix}.meta")
        saver.restore(session, str(prefix))
        return session.run(fetches, feeds)


class TestRunWithGraph(RunConformance):
    adaptor = TensorFlowRun

    @pytest.fixture
    def path(self, graphs: Path) -> Path:
        return graphs


def test_every_layer_computes_what_tensorflow_does(tensorflow: Any, graphs: Path, feature_maps: Any) -> None:
    run = TensorFlowRun.open(graphs, RunOptions())
    assert isinstance(run, EvaluableRun)
    assert not any(layer.problem for layer in run.layers())
    assert run.input_shape == (16, 16, 3)
    tensors = {
        "first": "first/BiasAdd:0",
        "first/prelu": "first/add:0",
        "pool1": "pool1:0",
        "norm1": "norm1:0",
        "separable": "separable/depthwise:0",
        "bn/scale": "bn/FusedBatchNormV3:0",
        "joined": "joined:0",
        "pool2": "pool2:0",
        "fc": "fc/BiasAdd:0",
    }
    images = np.random.default_rng(1).random((2, 16, 16, 3), np.float32)
    for checkpoint in run.checkpoints():
        prefix = graphs / checkpoint.name.removesuffix(".index")
        fetches = [*tensors.values(), "probabilities:0"]
        # Dropout keeps everything where the share that is kept is 1.
        given = {"image:0": images, "fc/PlaceholderWithDefault:0": 1.0}
        expected = computed_by_tensorflow(tensorflow, prefix, fetches, given)
        maps = feature_maps(run, checkpoint, images)
        for name, values in zip([*tensors, "probabilities"], expected, strict=True):
            np.testing.assert_allclose(maps[name], values, rtol=1e-4, atol=1e-5, err_msg=name)


def test_the_graph_is_shown_as_layers(graphs: Path) -> None:
    layers = {layer.name: layer for layer in TensorFlowRun.open(graphs, RunOptions()).layers()}
    assert layers["first"].kind == "convolution"
    assert [each.name for each in layers["first"].parameters] == [
        "weights", "biases", "weights momentum", "biases momentum"
    ]  # fmt: skip
    assert [each.name for each in layers["first/prelu"].parameters] == ["slope", "slope momentum"]
    assert layers["first/prelu"].inputs == ("first",)
    assert [layer.kind for layer in layers.values()][:3] == ["input", "preprocessing", "preprocessing"]
    assert layers["separable"].kind == "depthwise convolution"
    assert layers["first"].hyperparameters == {"strides": [1, 2, 2, 1], "dilations": [1, 1, 1, 1],
                                               "padding": "SAME", "data_format": "NHWC"}  # fmt: skip
    assert "dropout" in {layer.kind for layer in layers.values()}
    taken = {name for layer in layers.values() for name in layer.inputs}
    assert [name for name in layers if name not in taken] == ["probabilities"]


@pytest.mark.real_data
def test_a_real_training_graph_evaluates_as_tensorflow_does(
    tensorflow: Any, real_data: Path, feature_maps: Any
) -> None:
    folder = real_data / "tensorflow/pnet_tf1"
    run = TensorFlowRun.open(folder, RunOptions())
    assert isinstance(run, EvaluableRun)
    assert run.input_shape == (12, 12, 3)
    names = ["conv1", "pool1/MaxPool", "conv2", "conv3", "conv4_1"]
    tensors = [f"{name}/BiasAdd:0" if name.startswith("conv") else f"{name}:0" for name in names]
    tensors += ["cls_prob:0", "bbox_pred:0", "landmark_pred:0", "conv3/add:0"]
    names += ["cls_prob", "bbox_pred", "landmark_pred", "conv3/prelu"]
    images = np.random.default_rng(2).uniform(-1, 1, (414, 12, 12, 3)).astype(np.float32)
    for checkpoint in (run.checkpoints()[0], run.checkpoints()[-1]):
        # The graph changes colours at random before the first layer: the images go in behind that.
        feeds = {"adjust_saturation/Identity:0": images}
        prefix = folder / checkpoint.name.removesuffix(".index")
        expected = computed_by_tensorflow(tensorflow, prefix, tensors, feeds)
        maps = feature_maps(run, checkpoint, images)
        for name, values in zip(names, expected, strict=True):
            np.testing.assert_allclose(maps[name], values, rtol=1e-4, atol=1e-5, err_msg=name)


def test_the_model_service_evaluates_it(graphs: Path, feature_maps: Any) -> None:
    from mloscope.app.model_service.evaluator import evaluator_in_this_process
    from mloscope.app.model_service.wire import RunSpec

    run = TensorFlowRun.open(graphs, RunOptions())
    image = np.random.default_rng(1).random((16, 16, 3), np.float32)
    evaluator = evaluator_in_this_process(run)
    spec = RunSpec(str(graphs), "tensorflow")
    assert evaluator.describe(spec)["output_layer"] == "probabilities"
    found = evaluator.evaluate(spec, list(STEPS), ["first", "probabilities"], image)
    assert not found.failed
    for place, checkpoint in enumerate(run.checkpoints()):
        maps = feature_maps(run, checkpoint, image[None])
        for name in ("first", "probabilities"):
            np.testing.assert_allclose(found[name][place], maps[name][0], rtol=1e-4, atol=1e-5)


def test_an_operation_that_is_not_known_is_named_and_evaluation_goes_up_to_it(
    tensorflow: Any, tmp_path: Path, feature_maps: Any
) -> None:
    tf, v1 = tensorflow, tensorflow.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        image = v1.placeholder(tf.float32, (None, 8, 8, 3))
        x = tf.nn.conv2d(image, v1.get_variable("a/weights", (3, 3, 3, 4)), 1, "SAME", name="a/Conv2D")
        x = tf.nn.relu(tf.cumsum(x, 1, name="strange"))
        tf.nn.conv2d(x, v1.get_variable("b/weights", (3, 3, 4, 5)), 1, "SAME", name="b/Conv2D")
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, str(tmp_path / "model.ckpt"), 1)
    run = TensorFlowRun.open(tmp_path, RunOptions())
    layers = {layer.name: layer for layer in run.layers()}
    assert "strange cannot be evaluated: it is a Cumsum" in " ".join(run.problems())
    assert "output of Relu" in str(layers["b"].problem)
    assert layers["b"].parameters[0].axes == ("row", "column", "channel", "unit")
    assert run.parameters(run.checkpoints()[0], layers["b"])["weights"].shape == (3, 3, 4, 5)
    maps = feature_maps(run, run.checkpoints()[0], np.zeros((1, 8, 8, 3), np.float32))
    assert set(maps) == {"input", "a"}


def test_a_graph_that_cannot_be_read_costs_the_evaluation_only(graphs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(graphs, folder)
    for path in folder.glob("*.meta"):
        path.write_bytes(path.read_bytes()[:-1000])
    run = TensorFlowRun.open(folder, RunOptions())
    assert not isinstance(run, EvaluableRun)
    assert ".meta is damaged" in " ".join(run.problems())
    assert {"first", "fc", "logits"} <= {layer.name for layer in run.layers()}


def two_heads(tf: Any) -> tuple[Any, Any, Any]:
    """The image, class scores, and four numbers of a regression that nothing else takes."""
    v1 = tf.compat.v1
    image = v1.placeholder(tf.float32, (None, 8, 8, 3), name="image")
    x = tf.reshape(tf.nn.relu(tf.nn.conv2d(image, v1.get_variable("conv/weights", (8, 8, 3, 6)), 1, "VALID")), [-1, 6])
    scores = tf.nn.bias_add(tf.matmul(x, v1.get_variable("scores/weights", (6, 5))), v1.get_variable("scores/b", (5,)))
    box = tf.matmul(x, v1.get_variable("box/weights", (6, 4)))
    return image, scores, box


def test_the_loss_tells_the_output(tensorflow: Any, tmp_path: Path, graphs: Path) -> None:
    tf, v1 = tensorflow, tensorflow.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        _, scores, _ = two_heads(tf)
        labels = v1.placeholder(tf.float32, (None, 5))
        v1.nn.softmax_cross_entropy_with_logits_v2(labels, scores)
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, str(tmp_path / "model.ckpt"), 1)
    run = TensorFlowRun.open(tmp_path, RunOptions())
    assert isinstance(run, DeclaresOutputs)
    assert run.outputs() == ("scores",)
    # Where the graph makes probabilities of what the loss takes, they are the output.
    assert TensorFlowRun.open(graphs, RunOptions()).outputs() == ("probabilities",)


def test_a_saved_model_of_tensorflow_1_is_evaluated_up_to_what_its_signature_names(
    tensorflow: Any, tmp_path: Path, feature_maps: Any
) -> None:
    tf, v1 = tensorflow, tensorflow.compat.v1
    images = np.random.default_rng(1).random((3, 8, 8, 3), np.float32)
    with tf.Graph().as_default(), v1.Session() as session:
        image, scores, box = two_heads(tf)
        served = tf.multiply(tf.nn.sigmoid(scores), 2.0, name="served")
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(tmp_path / "export"), {"image": image}, {"scores": served})
        expected = session.run([served, box], {image: images})
    run = TensorFlowRun.open(tmp_path / "export", RunOptions())
    assert isinstance(run, EvaluableRun)
    assert run.outputs() == ("served",)
    maps = feature_maps(run, run.checkpoints()[0], images)
    np.testing.assert_allclose(maps["served"], expected[0], rtol=1e-5)
    np.testing.assert_allclose(maps["box"], expected[1], rtol=1e-5, atol=1e-6)


def test_nothing_is_called_an_output_where_nothing_says_so(tensorflow: Any, tmp_path: Path) -> None:
    tf, v1 = tensorflow, tensorflow.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        two_heads(tf)
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, str(tmp_path / "model.ckpt"), 1)
    assert TensorFlowRun.open(tmp_path, RunOptions()).outputs() == ()
