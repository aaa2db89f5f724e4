"""The maps are Keras' own, whatever the way they were computed; one trace per architecture; the budget is
kept."""

from __future__ import annotations

import dataclasses
import itertools
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed", exc_type=ImportError)

import keras
from small_networks import NETWORKS, MemoryRun, set_weights

from mloscope.adaptors.interface import Checkpoint, Refused, RunOptions
from mloscope.app import errors
from mloscope.app.model_service.backends.keras import Evaluator, configure_devices
from mloscope.app.model_service.class_probabilities import AS_GIVEN, LOGIT_OF_CLASS_1, PROBABILITY_OF_CLASS_1, SOFTMAX
from mloscope.app.model_service.wire import RunSpec
from mloscope.app.model_service.work_queue import Stopped

pytestmark = pytest.mark.filterwarnings("ignore:The structure of `inputs`")

SPEC = RunSpec("memory", "memory")


def evaluator(run: Any, **settings: Any) -> Evaluator:
    return Evaluator(open_run=lambda _path, _options, _format: run, **settings)


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
    for layer in model.layers:
        inner = isinstance(layer, keras.Model)
        graph = keras.Model(model.inputs, model.outputs)
        ours = {id(node) for nodes in graph._nodes_by_depth.values() for node in nodes}
        nodes = [node for node in layer._inbound_nodes if id(node) in ours]
        for number, node in enumerate(nodes):
            name = around + layer.name + (f":{number}" if number else "")
            maps[name] = np.asarray(keras.Model(model.inputs, node.outputs[0])(batch, training=False))
            if inner:
                before = np.asarray(keras.Model(model.inputs, node.input_tensors[0])(batch, training=False))
                collect(layer, before, f"{name}/", maps)


@pytest.mark.parametrize("architecture", NETWORKS)
@pytest.mark.parametrize("vectorise_below_s", [0.0, 1_000.0], ids=["loop", "vectorised"])
def test_every_map_is_keras_own(architecture: str, vectorise_below_s: float) -> None:
    run = MemoryRun(architecture)
    engine = evaluator(run, vectorise_below_s=vectorise_below_s)
    image = image_for(run)
    layers = list(engine.describe(SPEC)["layers"])
    maps = engine.evaluate(SPEC, [0, 10, 40], layers, image)
    assert maps.failed == {}
    for row, step in enumerate([0, 10, 40]):
        expected = keras_maps(run, step, image)
        assert set(expected) <= set(layers)
        for name, values in expected.items():
            assert maps[name].dtype == np.float32
            np.testing.assert_allclose(maps[name][row], values, rtol=1e-5, atol=1e-5, err_msg=name)
    assert engine.status()["networks"][0]["traces"] == (1 if vectorise_below_s == 0 else 2)


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


def test_the_order_and_number_of_steps_are_those_asked_for() -> None:
    run = MemoryRun("lenet")
    image = image_for(run)
    for vectorise_below_s in (0.0, 1_000.0):
        engine = evaluator(run, vectorise_below_s=vectorise_below_s)
        forwards = engine.evaluate(SPEC, [0, 10, 20, 30], ["conv1"], image)
        backwards = engine.evaluate(SPEC, [30, 0], ["conv1"], image)
        assert backwards.steps == (30, 0)
        np.testing.assert_allclose(backwards["conv1"], forwards["conv1"][[3, 0]], rtol=1e-5, atol=1e-6)
        assert np.abs(forwards["conv1"][0] - forwards["conv1"][1]).max() > 0.1


def test_blocks_bounded_by_memory_give_the_same() -> None:
    run = MemoryRun("lenet", steps=7)
    image, steps = image_for(run), list(range(0, 70, 10))
    whole = evaluator(run, vectorise_below_s=1_000.0).evaluate(SPEC, steps, ["conv2", "output"], image)
    parts = evaluator(run, vectorise_below_s=1_000.0, block_bytes=1_200_000)
    divided = parts.evaluate(SPEC, steps, ["conv2", "output"], image)
    network = next(iter(parts._networks.values()))
    assert 1 < network.block < 7
    for layer in ("conv2", "output"):
        np.testing.assert_allclose(divided[layer], whole[layer], rtol=1e-5, atol=1e-6)


def test_readers_at_many_steps_do_not_fill_the_budget_with_copies_of_the_same_weights() -> None:
    run = MemoryRun("lenet", steps=7)
    image, steps = image_for(run), list(range(0, 70, 10))
    engine = evaluator(run, vectorise_below_s=1_000.0)
    sets = [list(chosen) for size in (2, 3, 4) for chosen in itertools.combinations(steps, size)]
    whole = engine.evaluate(SPEC, steps, ["conv2"], image)["conv2"]
    for chosen in sets:
        maps = engine.evaluate(SPEC, chosen, ["conv2"], image)["conv2"]
        np.testing.assert_allclose(maps, whole[[step // 10 for step in chosen]], rtol=1e-5, atol=1e-6)
    checkpoint_bytes = sum(values.nbytes for values in run.arrays[0].values())
    assert len(sets) > 80
    assert len(engine.weights) <= len(steps) + 16
    assert engine.weights.used_bytes <= (len(steps) + 16 * 4) * checkpoint_bytes * 1.01


def test_one_trace_whatever_layers_steps_and_images_are_asked_for() -> None:
    run = MemoryRun("resnet")
    engine = evaluator(run, vectorise_below_s=1_000.0)
    for size in (8, 11, 16):
        image = np.ones((size, size + 1, 3), np.float32)
        for layers in (["stem"], ["block0_add", "output"], ["output", "block0_add"], ["pool"]):
            for steps in ([0], [10, 20], [0, 10, 20, 30]):
                assert engine.evaluate(SPEC, steps, layers, image)[layers[0]].shape[0] == len(steps)
    assert engine.status()["networks"][0]["traces"] == 2  # one of them stacked
    assert run.models_built == 1


def test_runs_of_one_architecture_share_its_trace_and_not_its_weights() -> None:
    first, second = MemoryRun("lenet"), MemoryRun("lenet")
    second.arrays[0] = {name: values * 2 for name, values in first.arrays[0].items()}
    runs = {"first": first, "second": second}
    engine = Evaluator(open_run=lambda path, _options, _format: runs[path.name])
    image = image_for(first)
    one = engine.evaluate(RunSpec("first", "memory"), [0], ["conv1"], image)["conv1"]
    two = engine.evaluate(RunSpec("second", "memory"), [0], ["conv1"], image)["conv1"]
    np.testing.assert_allclose(two, 2 * one, rtol=1e-5)
    assert [network["traces"] for network in engine.status()["networks"]] == [1]


def test_slow_networks_are_not_stacked() -> None:
    ticks = iter(range(1_000))
    engine = evaluator(MemoryRun("lenet"), clock=lambda: next(ticks) * 0.1)
    engine.evaluate(SPEC, [0, 10, 20], ["conv1"], np.ones((28, 28, 1), np.float32))
    assert engine.status()["networks"][0]["traces"] == 1
    assert engine.status()["networks"][0]["forward_s"] == pytest.approx(0.1)


# ------------------------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize("vectorise_below_s", [0.0, 1_000.0], ids=["loop", "vectorised"])
def test_a_checkpoint_that_cannot_be_read_fails_alone(vectorise_below_s: float) -> None:
    run = MemoryRun("lenet")
    run.broken[10] = "step-10.keras is cut short: 12 of 40 bytes."
    del run.arrays[20]["conv2/bias"]
    run.arrays[30]["dense1/kernel"] = np.zeros((3, 4), np.float32)
    image = image_for(run)
    maps = evaluator(run, vectorise_below_s=vectorise_below_s).evaluate(SPEC, [0, 10, 20, 30, 40, 99], ["conv1"], image)
    assert maps.failed[20].startswith("step-20.keras holds no bias of the layer conv2")
    assert {step: sentence for step, sentence in maps.failed.items() if step != 20} == {
        10: "step-10.keras is cut short: 12 of 40 bytes.",
        30: "The kernel of the layer dense1 has the shape (3, 4) in step-30.keras; the network needs (400, 120).",
        99: "The run memory has no checkpoint at step 99.",
    }
    assert np.isnan(maps["conv1"][[1, 2, 3, 5]]).all()
    for row, step in ((0, 0), (4, 40)):
        np.testing.assert_allclose(maps["conv1"][row], keras_maps(run, step, image)["conv1"], rtol=1e-5, atol=1e-5)


def test_a_checkpoint_known_to_be_broken_is_not_read() -> None:
    class Known(MemoryRun):
        def checkpoints(self) -> tuple[Checkpoint, ...]:
            return tuple(dataclasses.replace(each, problem="It is empty.") for each in super().checkpoints())

    run = Known("lenet")
    maps = evaluator(run).evaluate(SPEC, [0, 10], ["output"], image_for(run))
    assert maps.failed == {0: "It is empty.", 10: "It is empty."}
    assert maps["output"].shape == (2, 10)
    assert run.reads == []


def test_a_checkpoint_that_changes_while_it_is_read_is_not_believed() -> None:
    class Changing(MemoryRun):
        def fingerprint(self, checkpoint: Checkpoint) -> str:
            return f"{len(self.reads)}"

    run = Changing("lenet")
    maps = evaluator(run).evaluate(SPEC, [0], ["output"], image_for(run))
    assert "changed while it was read" in maps.failed[0]


def test_an_adaptor_that_breaks_costs_a_step_and_no_traceback() -> None:
    class Careless(MemoryRun):
        def weights(self, checkpoint: Checkpoint) -> dict[str, np.ndarray]:
            if checkpoint.step == 0:
                raise KeyError("vars")
            return super().weights(checkpoint)

    run = Careless("lenet")
    maps = evaluator(run).evaluate(SPEC, [0, 10], ["output"], image_for(run))
    assert maps.failed == {0: "step-0.keras cannot be read: 'vars'"}
    assert not np.isnan(maps["output"][1]).any()


def test_weights_that_are_not_numbers_are_shown_as_such() -> None:
    run = MemoryRun("lenet")
    run.arrays[0]["conv1/kernel"] = np.full_like(run.arrays[0]["conv1/kernel"], np.nan)
    maps = evaluator(run).evaluate(SPEC, [0, 10], ["output"], image_for(run))
    assert maps.failed == {}
    assert np.isnan(maps["output"][0]).all()
    assert np.isfinite(maps["output"][1]).all()


def test_a_layer_that_does_not_exist_is_not_found() -> None:
    run = MemoryRun("lenet")
    with pytest.raises(errors.NotFound, match=r"no layer conv9.*conv1, pool1"):
        evaluator(run).evaluate(SPEC, [0], ["conv9"], image_for(run))


def test_an_image_of_another_shape_is_a_bad_request() -> None:
    with pytest.raises(errors.BadRequest, match=r"\(28, 28, 3\).*takes \(28, 28, 1\)"):
        evaluator(MemoryRun("lenet")).evaluate(SPEC, [0], ["conv1"], np.zeros((28, 28, 3), np.float32))


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


def test_a_run_without_a_network_is_not_possible() -> None:
    class WeightsOnly:
        format = "arrays"

        def checkpoints(self) -> tuple[Checkpoint, ...]:
            return ()

    with pytest.raises(errors.NotPossible, match="opened as arrays, which tells weights but no network"):
        evaluator(WeightsOnly()).describe(SPEC)


def test_new_checkpoints_of_a_training_run_are_found() -> None:
    runs = [MemoryRun("lenet", steps=2), MemoryRun("lenet", steps=3)]
    opened: list[MemoryRun] = []

    def open_run(_path: Path, _options: RunOptions, _format: str) -> Any:
        opened.append(runs[min(len(opened), 1)])
        return opened[-1]

    engine = Evaluator(open_run=open_run)
    image = image_for(runs[0])
    assert engine.evaluate(SPEC, [0, 10], ["output"], image).failed == {}
    assert len(opened) == 1
    assert engine.evaluate(SPEC, [0, 20], ["output"], image).failed == {}
    assert len(opened) == 2
    assert sum(run.models_built for run in runs) == 1


def test_work_nobody_wants_stops_between_checkpoints() -> None:
    run = MemoryRun("lenet")
    asked = iter([False, False, True])
    with pytest.raises(Stopped):
        evaluator(run).evaluate(SPEC, [0, 10, 20, 30, 40], ["conv1"], image_for(run), stop=lambda: next(asked))
    assert run.reads == [0, 10]


# --------------------------------------------------------------------------------------------------- memory


def test_weights_are_kept_within_their_budget() -> None:
    run = MemoryRun("lenet", steps=8)
    checkpoint_bytes = sum(values.nbytes for values in run.arrays[0].values())
    engine = evaluator(run, weights_budget_bytes=int(3.5 * checkpoint_bytes), vectorise_below_s=0.0)
    image = image_for(run)
    for step in (0, 10, 20, 0, 30, 0, 10):
        engine.evaluate(SPEC, [step], ["output"], image)
        assert engine.weights.used_bytes <= engine.weights.budget_bytes
    assert run.reads == [0, 10, 20, 30, 10]  # 0 was used in between and stayed
    assert engine.status()["weights_bytes"] == pytest.approx(3 * checkpoint_bytes, rel=0.01)


def test_weights_larger_than_the_budget_are_used_and_not_kept() -> None:
    run = MemoryRun("lenet")
    engine = evaluator(run, weights_budget_bytes=1_000, vectorise_below_s=1_000.0)
    maps = engine.evaluate(SPEC, [0, 10], ["output"], image_for(run))
    np.testing.assert_allclose(maps["output"].sum(axis=1), 1, rtol=1e-5)
    assert engine.weights.used_bytes == 0


def test_swapping_checkpoints_does_not_grow_the_process() -> None:
    run = MemoryRun("lenet", steps=20)
    engine = evaluator(run, weights_budget_bytes=1_000_000)  # four of them: nearly every swap reads anew
    image = image_for(run)

    def swap(times: int) -> None:
        for n in range(times):
            engine.evaluate(SPEC, [n % 20 * 10], ["conv1", "output"], image)

    swap(40)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    swap(200)
    assert len(run.reads) > 200
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10_000  # KiB


def test_the_device_is_named() -> None:
    assert evaluator(MemoryRun("lenet"), device="a GPU").status()["device"] == "a GPU"
    assert configure_devices() != ""


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


def test_weights_are_swapped_and_a_broken_step_says_why() -> None:
    run = MemoryRun("lenet")
    run.broken[10] = "step-10.keras is cut off."
    engine, images = evaluator(run), np.stack([image_for(run, seed) for seed in range(3)])
    first, last = (engine.probabilities(SPEC, step, images, "output", AS_GIVEN) for step in (0, 40))
    assert np.abs(first - last).max() > 0.01
    assert run.models_built == 1
    with pytest.raises(errors.MloscopeError, match=r"step-10.keras is cut off"):
        engine.probabilities(SPEC, 10, images, "output", AS_GIVEN)
    with pytest.raises(errors.NotFound, match="no checkpoint at step 11"):
        engine.probabilities(SPEC, 11, images, "output", AS_GIVEN)
    with pytest.raises(errors.BadRequest, match="shape"):
        engine.probabilities(SPEC, 0, images[:, :5], "output", AS_GIVEN)


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
