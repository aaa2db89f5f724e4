"""The maps are Keras' own, whatever the way they were computed; one trace per architecture."""

from __future__ import annotations

import resource
from typing import Any

import numpy as np
import pytest
from framework import keras, needs_tensorflow, tensorflow
from small_networks import NETWORKS, MemoryRun, set_weights

from mloscope.adaptors.interface import Refused
from mloscope.app import errors
from mloscope.app.model_service.backends import LoadedBackends
from mloscope.app.model_service.backends.keras import KerasBackend
from mloscope.app.model_service.class_probabilities import AS_GIVEN, LOGIT_OF_CLASS_1, PROBABILITY_OF_CLASS_1, SOFTMAX
from mloscope.app.model_service.evaluator import Evaluator
from mloscope.app.model_service.wire import RunSpec

pytestmark = [needs_tensorflow, pytest.mark.filterwarnings("ignore:The structure of `inputs`")]

SPEC = RunSpec("memory", "memory")


def evaluator(run: Any, weights_budget_bytes: int = 1 << 30, **settings: Any) -> Evaluator:
    """``settings``: those of :class:`KerasBackend`."""
    return evaluator_with(KerasBackend(**settings), run, weights_budget_bytes)


def evaluator_with(backend: KerasBackend, run: Any, weights_budget_bytes: int = 1 << 30) -> Evaluator:
    backends = LoadedBackends(loaded=[backend])
    return Evaluator(backends, weights_budget_bytes=weights_budget_bytes, open_run=lambda *_: run)


def image_for(run: MemoryRun, seed: int = 0) -> np.ndarray:
    shape = [length or 20 for length in run.model.input_shape[1:]]
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


def keras_maps(run: MemoryRun, step: int, image: np.ndarray) -> dict[str, np.ndarray]:
    """What Keras' own sub-models make of the image, nested and shared layers included."""
    set_weights(run.model, run.arrays[step])
    maps: dict[str, np.ndarray] = {}
    collect(run.model, image[None], "", maps)
    return {name: values[0] for name, values in maps.items()}


def collect(model: keras.Model, batch: np.ndarray, around: str, maps: dict[str, np.ndarray]) -> None:
    graph = keras.Model(model.inputs, model.outputs)
    ours = {id(node) for nodes in graph._nodes_by_depth.values() for node in nodes}
    named = [
        (around + layer.name + (f":{number}" if number else ""), layer, node)
        for layer in model.layers
        for number, node in enumerate(node for node in layer._inbound_nodes if id(node) in ours)
    ]
    inner = [(name, layer, node) for name, layer, node in named if isinstance(layer, keras.Model)]
    wanted = [node.outputs[0] for _, _, node in named] + [node.input_tensors[0] for _, _, node in inner]
    found = [np.asarray(values) for values in keras.Model(model.inputs, wanted)(batch, training=False)]
    maps.update((name, values) for (name, _, _), values in zip(named, found, strict=False))
    for (name, layer, _), before in zip(inner, found[len(named) :], strict=True):
        collect(layer, before, f"{name}/", maps)


@pytest.mark.parametrize("architecture", NETWORKS)
def test_every_map_is_keras_own(architecture: str) -> None:
    """Steps one after the other, and several at once."""
    run = MemoryRun(architecture)
    image, steps = image_for(run), [0, 10, 40]
    expected = [keras_maps(run, step, image) for step in steps]
    for vectorise_below_s, traces in ((0.0, 1), (1_000.0, 2)):
        engine = evaluator(run, vectorise_below_s=vectorise_below_s)
        layers = list(engine.describe(SPEC)["layers"])
        maps = engine.evaluate(SPEC, steps, layers, image)
        assert maps.failed == {}
        for row, of_step in enumerate(expected):
            assert set(of_step) <= set(layers)
            for name, values in of_step.items():
                assert maps[name].dtype == np.float32
                np.testing.assert_allclose(maps[name][row], values, rtol=1e-5, atol=1e-5, err_msg=name)
        assert engine.status()["networks"][0]["traces"] == traces


def test_layers_of_nested_and_shared_models_have_the_names_of_runs() -> None:
    described = evaluator(MemoryRun("nested")).describe(SPEC)
    assert {
        "image",
        "conv",
        "block",
        "block/inner",
        "block/inner/conv",
        "block/relu",
        "pool",
        "output",
    } <= set(described["layers"])
    assert described["layers"]["block/inner/conv"] == [8, 8, 4]
    assert described["output_layer"] == "output"
    assert described["input_shape"] == [16, 16, 3]
    described = evaluator(MemoryRun("shared")).describe(SPEC)
    assert {"shared", "shared:1", "shared:2", "twin", "twin:1", "twin/mix", "twin:1/mix"} <= set(described["layers"])
    assert evaluator(MemoryRun("resnet")).describe(SPEC)["input_shape"] == [None, None, 3]


def test_blocks_bounded_by_memory_give_the_same() -> None:
    run = MemoryRun("lenet", steps=7)
    image, steps = image_for(run), list(range(0, 70, 10))
    backend = KerasBackend(vectorise_below_s=1_000.0, block_bytes=1_200_000)
    network = backend.open(run, "memory")
    weights = network.weights(run.arrays[0], run.checkpoints()[0])
    assert 1 < network.sets_at_once(image[None], weights) < 7
    divided = evaluator_with(backend, run).evaluate(SPEC, steps, ["conv2", "output"], image)
    assert divided.failed == {}
    whole = keras.Model(run.model.inputs, [run.model.get_layer(name).output for name in ("conv2", "output")])
    for row, step in enumerate(steps):
        set_weights(run.model, run.arrays[step])
        for layer, expected in zip(("conv2", "output"), whole(image[None]), strict=True):
            np.testing.assert_allclose(divided[layer][row], np.asarray(expected)[0], rtol=1e-5, atol=1e-6)


def test_one_trace_whatever_layers_steps_and_images_are_asked_for() -> None:
    run = MemoryRun("resnet")
    engine = evaluator(run, vectorise_below_s=1_000.0)
    for size, layers, steps in (
        (8, ["stem"], [0]),
        (11, ["block0_add", "output"], [10, 20]),
        (16, ["output", "block0_add"], [0, 10, 20, 30]),
        (16, ["pool"], [10]),
        (8, ["pool"], [20, 30]),
        (11, ["output"], [0, 10, 20]),
    ):
        found = engine.evaluate(SPEC, steps, layers, np.ones((size, size + 1, 3), np.float32))
        assert found[layers[0]].shape[0] == len(steps)
    assert engine.status()["networks"][0]["traces"] == 2  # one of them stacked
    assert run.models_built == 1


def test_runs_of_one_architecture_share_its_trace_and_not_its_weights() -> None:
    first, second = MemoryRun("lenet"), MemoryRun("lenet")
    second.arrays[0] = {name: values * 2 for name, values in first.arrays[0].items()}
    runs = {"first": first, "second": second}
    engine = Evaluator(LoadedBackends(loaded=[KerasBackend()]), open_run=lambda path, *_: runs[path.name])
    image = image_for(first)
    one, two = (engine.evaluate(RunSpec(name, "memory"), [0], ["conv1"], image)["conv1"] for name in runs)
    np.testing.assert_allclose(two, 2 * one, rtol=1e-5)
    assert [network["traces"] for network in engine.status()["networks"]] == [1]


def test_slow_networks_are_not_stacked() -> None:
    ticks = iter(range(1_000))
    engine = evaluator(MemoryRun("lenet"), clock=lambda: next(ticks) * 0.1)
    engine.evaluate(SPEC, [0, 10, 20], ["conv1"], np.ones((28, 28, 1), np.float32))
    assert engine.status()["networks"][0]["traces"] == 1
    assert engine.status()["networks"][0]["forward_s"] == pytest.approx(0.1)


# ------------------------------------------------------------------------------------------- what goes wrong


def test_arrays_that_do_not_fit_are_named() -> None:
    run = MemoryRun("lenet")
    del run.arrays[20]["conv2/bias"]
    run.arrays[30]["dense1/kernel"] = np.zeros((3, 4), np.float32)
    maps = evaluator(run).evaluate(SPEC, [0, 20, 30], ["conv1"], image_for(run))
    assert maps.failed[20].startswith("step-20.keras holds no bias of the layer conv2")
    assert (
        "kernel of the layer dense1 has the shape (3, 4) in step-30.keras; the network needs (400, 120)"
        in maps.failed[30]
    )


def test_weights_that_are_not_numbers_are_shown_as_such() -> None:
    run = MemoryRun("lenet")
    run.arrays[0]["conv1/kernel"] = np.full_like(run.arrays[0]["conv1/kernel"], np.nan)
    maps = evaluator(run).evaluate(SPEC, [0, 10], ["output"], image_for(run))
    assert maps.failed == {}
    assert np.isnan(maps["output"][0]).all()
    assert np.isfinite(maps["output"][1]).all()


def test_a_network_of_vectors_takes_an_image_of_as_many_pixels() -> None:
    run = MemoryRun("lenet")
    run.model = keras.Sequential([keras.Input((12,)), keras.layers.Dense(3, name="output")])
    run.arrays = {0: {"output/kernel": np.ones((12, 3), np.float32), "output/bias": np.zeros(3, np.float32)}}
    maps = evaluator(run).evaluate(SPEC, [0], ["output"], np.full((2, 2, 3), 0.5, np.float32))
    np.testing.assert_allclose(maps["output"], [[6, 6, 6]])


def test_what_keras_or_the_adaptor_refuses_is_said_each_time() -> None:
    class Lambda(MemoryRun):
        def keras_model(self) -> keras.Model:
            self.models_built += 1
            raise Refused("The layer odd in model.keras is a Lambda layer. Use --trust.")

    class Strange(MemoryRun):
        def keras_model(self) -> keras.Model:
            raise TypeError("unexpected keyword argument 'ragged'\nand more")

    run = Lambda("lenet")
    engine = evaluator(run)
    for _again in range(2):
        with pytest.raises(errors.NotPossible, match=r"Lambda layer\. Use --trust"):
            engine.describe(SPEC)
    assert run.models_built == 1
    with pytest.raises(errors.NotPossible, match=r"Keras 3.* cannot run the network of memory: .*'ragged'$"):
        evaluator(Strange("lenet")).describe(SPEC)


def test_where_keras_says_where_and_why_both_are_told() -> None:
    class Undefined(MemoryRun):
        def keras_model(self) -> keras.Model:
            raise TypeError(
                "Exception encountered when calling Conv2D.call().\n\n\x1b[1mNo uint8 here\x1b[0m\n\nArguments"
            )

    with pytest.raises(errors.NotPossible, match=r"Conv2D\.call\(\): No uint8 here$"):
        evaluator(Undefined("lenet")).describe(SPEC)


def test_a_model_without_a_graph_or_with_two_inputs_is_not_possible() -> None:
    class Subclassed(keras.Model):
        def call(self, batch: Any) -> Any:
            return batch

    run = MemoryRun("lenet")
    run.model = Subclassed()
    with pytest.raises(errors.NotPossible, match="Subclassed without a graph"):
        evaluator(run).describe(SPEC)
    one, two = keras.Input((3,)), keras.Input((3,))
    run.model = keras.Model([one, two], keras.layers.Add()([one, two]))
    with pytest.raises(errors.NotPossible, match="takes 2 inputs"):
        evaluator(run).describe(SPEC)


# --------------------------------------------------------------------------------------------------- memory


def test_swapping_checkpoints_does_not_grow_the_process() -> None:
    run = MemoryRun("lenet", steps=20)
    engine = evaluator(run, weights_budget_bytes=1_000_000)  # four of them: nearly every swap reads again
    image = image_for(run)

    def swap(times: int) -> None:
        for n in range(times):
            engine.evaluate(SPEC, [n % 20 * 10], ["conv1", "output"], image)

    swap(20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    swap(120)
    assert len(run.reads) > 120
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10_000  # KiB


def test_the_device_is_named_and_the_versions_are_told() -> None:
    backend = KerasBackend.load()
    assert backend.device != ""
    assert backend.versions == {"tensorflow": tensorflow.__version__, "keras": keras.__version__}
    assert KerasBackend.missing() is None


@pytest.mark.parametrize("architecture", NETWORKS)
def test_probabilities_of_many_images_are_keras_own(architecture: str) -> None:
    run = MemoryRun(architecture)
    images = np.stack([image_for(run, seed) for seed in range(11)])
    engine = evaluator(run)
    output = engine.describe(SPEC)["output_layer"]
    rule = SOFTMAX if architecture == "nested" else AS_GIVEN
    for step in (0, 20):
        found = engine.probabilities(SPEC, step, images, output, rule, batch=4)
        assert found.shape == (11, engine.output_size(SPEC, output))
        set_weights(run.model, run.arrays[step])
        expected = np.asarray(run.model(images, training=False))
        if architecture == "nested":  # ends in logits
            expected = np.exp(expected) / np.exp(expected).sum(axis=1, keepdims=True)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
        again = engine.probabilities(SPEC, step, images, output, rule, batch=4)
        np.testing.assert_array_equal(again, found)
    assert engine.status()["networks"][0]["traces"] == 1
    assert run.reads == [0, 20]


def test_weights_of_nan_give_probabilities_of_nan() -> None:
    run = MemoryRun("lenet")
    run.arrays[10] = {name: array * np.nan for name, array in run.arrays[10].items()}
    images = np.stack([image_for(run, seed) for seed in range(3)])
    assert np.isnan(evaluator(run).probabilities(SPEC, 10, images, "output", AS_GIVEN)).all()


def one_output(activation: str) -> MemoryRun:
    run = MemoryRun("lenet", steps=0)
    run.model = keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(1, activation=activation, name="output")]
    )
    run.arrays = {0: {"output/kernel": np.ones((16, 1), np.float32), "output/bias": np.zeros(1, np.float32)}}
    return run


def test_one_output_is_two_classes_by_its_probability_or_its_logit() -> None:
    images = np.random.default_rng(0).normal(size=(5, 4, 4, 1)).astype(np.float32)
    expected = 1 / (1 + np.exp(-images.reshape(5, 16).sum(axis=1)))
    for activation, rule in (("sigmoid", PROBABILITY_OF_CLASS_1), ("linear", LOGIT_OF_CLASS_1)):
        found = evaluator(one_output(activation)).probabilities(SPEC, 0, images, "output", rule)
        np.testing.assert_allclose(found, np.stack([1 - expected, expected], axis=1), rtol=1e-4, atol=1e-6)


def test_each_of_several_heads_can_be_the_output() -> None:
    image = keras.Input((4, 4, 1), name="image")
    flat = keras.layers.Flatten(name="flat")(image)
    heads = [keras.layers.Dense(size, "softmax", name=f"head{size}")(flat) for size in (2, 3)]
    run = MemoryRun("lenet", steps=0)
    run.model = keras.Model(image, heads)
    run.arrays = {
        0: {
            f"head{size}/{name}": np.full(shape, 0.1, np.float32)
            for size in (2, 3)
            for name, shape in (("kernel", (16, size)), ("bias", (size,)))
        }
    }
    engine, images = evaluator(run), np.ones((2, 4, 4, 1), np.float32)
    for size in (2, 3):
        found = engine.probabilities(SPEC, 0, images, f"head{size}", AS_GIVEN)
        np.testing.assert_allclose(found, np.full((2, size), 1 / size), rtol=1e-6)
    with pytest.raises(errors.NotPossible, match="head4"):
        engine.probabilities(SPEC, 0, images, "head4", AS_GIVEN)


def test_a_network_that_gives_pictures_tells_no_classes() -> None:
    run = MemoryRun("lenet", steps=0)
    run.model = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Conv2D(2, 3, name="output")])
    run.arrays = {0: {"output/kernel": np.ones((3, 3, 1, 2), np.float32), "output/bias": np.zeros(2, np.float32)}}
    with pytest.raises(errors.NotPossible, match=r"\(4, 4, 2\) per image"):
        evaluator(run).output_size(SPEC, "output")
