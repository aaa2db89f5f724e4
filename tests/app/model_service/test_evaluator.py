"""What is the same for every network backend: steps, failures, batches and memory. The backend is NumPy."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from array_backend import (
    CLASSES,
    SHAPE,
    ArrayBackend,
    ArrayNetwork,
    ArrayRun,
    DifferentiatingNetwork,
    StackingNetwork,
    evaluator,
)

from mloscope.adaptors.interface import Checkpoint, Refused, RunOptions
from mloscope.app import errors
from mloscope.app.model_service.backends import BackendMissing, LoadedBackends
from mloscope.app.model_service.class_probabilities import AS_GIVEN, SIGMOID, SOFTMAX, softmax
from mloscope.app.model_service.evaluator import Evaluator, Watch
from mloscope.app.model_service.pictures.picture import Asked
from mloscope.app.model_service.wire import RunSpec
from mloscope.app.model_service.work_queue import Stopped

SPEC = RunSpec("memory", "arrays")
IMAGE = np.random.default_rng(0).normal(0, 1, SHAPE).astype(np.float32)
IMAGES = np.random.default_rng(1).normal(0, 1, (11, *SHAPE)).astype(np.float32)


def test_a_network_is_described() -> None:
    assert evaluator(ArrayRun()).describe(SPEC) == {
        "output_layer": "output",
        "layers": {"scaled": list(SHAPE), "output": [CLASSES]},
        "input_shape": list(SHAPE),
    }


@pytest.mark.parametrize("network", [ArrayNetwork, StackingNetwork], ids=["one by one", "stacked"])
def test_the_order_and_number_of_steps_are_those_asked_for(network: type[ArrayNetwork]) -> None:
    run = ArrayRun()
    engine = evaluator(run, network())
    for steps in ([0, 10, 20, 30], [30, 0], [20], [10, 10, 40], []):
        maps = engine.evaluate(SPEC, steps, ["output", "scaled"], IMAGE)
        assert list(maps) == ["output", "scaled"]
        assert maps.steps == tuple(steps)
        for layer, values in maps.items():
            assert values.shape == (len(steps), *ArrayNetwork.layers[layer])
            assert values.dtype == np.float32
            for row, step in enumerate(steps):
                np.testing.assert_array_equal(values[row], run.expected(step, IMAGE[None], layer)[0])


def test_as_many_checkpoints_as_the_network_takes_are_evaluated_at_once() -> None:
    network = StackingNetwork()
    engine = evaluator(ArrayRun(steps=8), network)
    engine.evaluate(SPEC, list(range(0, 80, 10)), ["scaled"], IMAGE)
    assert network.stacks == [3, 3, 2]
    engine.evaluate(SPEC, [0], ["scaled"], IMAGE)
    assert network.stacks == [3, 3, 2]


def test_where_stacking_fails_each_checkpoint_is_evaluated_by_itself() -> None:
    network, run = StackingNetwork(at_once=4), ArrayRun(steps=8)
    maps = evaluator(run, network).evaluate(SPEC, list(range(0, 80, 10)), ["scaled"], IMAGE)
    assert network.stacks == [4]
    assert len(network.batches) == 8
    np.testing.assert_array_equal(maps["scaled"][7], run.expected(70, IMAGE[None], "scaled")[0])


# ------------------------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize("network", [ArrayNetwork, StackingNetwork], ids=["one by one", "stacked"])
def test_a_checkpoint_that_cannot_be_read_fails_alone(network: type[ArrayNetwork]) -> None:
    run = ArrayRun()
    run.broken[10] = "step-10.npz is cut short: 12 of 40 bytes."
    run.arrays[20] = {}
    maps = evaluator(run, network()).evaluate(SPEC, [0, 10, 20, 40, 99], ["scaled"], IMAGE)
    assert maps.failed == {
        10: "step-10.npz is cut short: 12 of 40 bytes.",
        20: "step-20.npz holds no kernel of the layer output.",
        99: "The run memory has no checkpoint at step 99.",
    }
    assert np.isnan(maps["scaled"][[1, 2, 4]]).all()
    for row, step in ((0, 0), (3, 40)):
        np.testing.assert_array_equal(maps["scaled"][row], run.expected(step, IMAGE[None], "scaled")[0])


def test_a_checkpoint_known_to_be_broken_is_not_read() -> None:
    class Known(ArrayRun):
        def checkpoints(self) -> tuple[Checkpoint, ...]:
            return tuple(dataclasses.replace(each, problem="It is empty.") for each in super().checkpoints())

    run = Known()
    maps = evaluator(run).evaluate(SPEC, [0, 10], ["output"], IMAGE)
    assert maps.failed == {0: "It is empty.", 10: "It is empty."}
    assert maps["output"].shape == (2, CLASSES)
    assert np.isnan(maps["output"]).all()
    assert run.reads == []


def test_a_checkpoint_that_changes_while_it_is_read_is_not_believed() -> None:
    class Changing(ArrayRun):
        def fingerprint(self, checkpoint: Checkpoint) -> str:
            return f"{len(self.reads)}"

    assert "changed while" in evaluator(Changing()).evaluate(SPEC, [0], ["output"], IMAGE).failed[0]


def test_an_adaptor_that_breaks_costs_a_step_and_no_traceback() -> None:
    class Careless(ArrayRun):
        def weights(self, checkpoint: Checkpoint) -> dict[str, np.ndarray]:
            if checkpoint.step == 0:
                raise KeyError("vars")
            return super().weights(checkpoint)

    maps = evaluator(Careless()).evaluate(SPEC, [0, 10], ["output"], IMAGE)
    assert maps.failed == {0: "step-0.npz cannot be read: 'vars'"}
    assert np.isfinite(maps["output"][1]).all()


def test_a_layer_that_does_not_exist_is_not_found() -> None:
    with pytest.raises(errors.NotFound, match=r"no layer conv9.*scaled, output"):
        evaluator(ArrayRun()).evaluate(SPEC, [0], ["conv9"], IMAGE)


def test_an_image_of_another_shape_is_a_bad_request() -> None:
    engine = evaluator(ArrayRun())
    for wrong in (IMAGE[:3], IMAGE[..., :1], IMAGE.transpose(1, 0, 2)):
        with pytest.raises(errors.BadRequest, match=r"takes \(4, 5, 2\)"):
            engine.evaluate(SPEC, [0], ["output"], wrong)
    with pytest.raises(errors.BadRequest, match="shape"):
        engine.probabilities(SPEC, 0, IMAGES[:, :3], "output", AS_GIVEN)


def test_a_network_of_vectors_takes_an_image_of_as_many_pixels() -> None:
    run, network = ArrayRun(), ArrayNetwork(input_shape=(40,))
    maps = evaluator(run, network).evaluate(SPEC, [0], ["output"], IMAGE.reshape(2, 20, 1))
    np.testing.assert_array_equal(maps["output"], run.expected(0, IMAGE[None], "output"))
    with pytest.raises(errors.BadRequest, match=r"takes \(40,\)"):
        evaluator(run, network).evaluate(SPEC, [0], ["output"], IMAGE[:2])


def test_free_lengths_take_any_image() -> None:
    network = ArrayNetwork(input_shape=(None, None, 2))
    maps = evaluator(ArrayRun(), network).evaluate(SPEC, [0], ["output"], IMAGE.reshape(2, 10, 2))
    assert maps["output"].shape == (1, CLASSES)


def test_what_the_adaptor_refuses_is_said_each_time_and_asked_once() -> None:
    for refusal, kind, said in (
        (Refused("It holds code. Use --trust."), errors.NotPossible, "Use --trust"),
        (errors.NotPossible("It takes two images."), errors.NotPossible, "two images"),
        (
            TypeError("no 'ragged'\nand more"),
            errors.NotPossible,
            r"NumPy cannot run the network of memory: no 'ragged'$",
        ),
    ):
        backend = ArrayBackend()
        backend.refusal = refusal
        engine = Evaluator(LoadedBackends(loaded=[backend]), open_run=lambda *_: ArrayRun())
        for _again in range(2):
            with pytest.raises(kind, match=said):
                engine.describe(SPEC)
        assert backend.opened == ["memory"]


def test_a_run_without_a_network_or_an_installed_backend_is_not_possible() -> None:
    class WeightsOnly:
        format = "weights"

        def checkpoints(self) -> tuple[Checkpoint, ...]:
            return ()

    class Elsewhere(ArrayRun):
        backend = "elsewhere"

    with pytest.raises(errors.NotPossible, match="opened as weights, which tells weights but no network"):
        evaluator(WeightsOnly()).describe(SPEC)
    with pytest.raises(BackendMissing, match='"elsewhere"'):
        evaluator(Elsewhere()).describe(SPEC)


def test_what_a_backend_raises_while_it_computes_is_a_sentence_about_the_run() -> None:
    network = ArrayNetwork(failure=ValueError("\x1b[1mno such thing\x1b[0m\nat line 3"))
    engine = evaluator(ArrayRun(), network)
    with pytest.raises(errors.NotPossible, match=r"^NumPy cannot evaluate the network of memory: no such thing$"):
        engine.evaluate(SPEC, [0], ["output"], IMAGE)
    with pytest.raises(errors.NotPossible, match="no such thing"):
        engine.probabilities(SPEC, 0, IMAGES, "output", AS_GIVEN)


def test_new_checkpoints_of_a_training_run_are_found() -> None:
    runs, opened = [ArrayRun(steps=2), ArrayRun(steps=3)], []

    def open_run(_path: Path, _options: RunOptions, _format: str) -> Any:
        opened.append(runs[min(len(opened), 1)])
        return opened[-1]

    backend = ArrayBackend()
    engine = Evaluator(LoadedBackends(loaded=[backend]), open_run=open_run)
    for steps, times in (([0, 10], 1), ([0, 20], 2), ([0, 20], 2)):
        assert engine.evaluate(SPEC, steps, ["output"], IMAGE).failed == {}
        assert len(opened) == times
    assert backend.opened == ["memory"]


def test_another_network_trained_into_the_same_folder_is_built_again() -> None:
    class Other(ArrayRun):
        def layers(self) -> Any:
            return super().layers()[:1]

    runs, backend = [ArrayRun(steps=2), Other(steps=3)], ArrayBackend()
    engine = Evaluator(LoadedBackends(loaded=[backend]), open_run=lambda *_: runs.pop(0))
    for steps in ([10], [20]):
        assert engine.evaluate(SPEC, steps, ["output"], IMAGE).failed == {}
    assert backend.opened == ["memory", "memory"]


def test_work_nobody_wants_stops_between_checkpoints() -> None:
    run, asked = ArrayRun(), iter([False, False, True])
    with pytest.raises(Stopped):
        evaluator(run).evaluate(SPEC, [0, 10, 20, 30], ["output"], IMAGE, stop=lambda: next(asked))
    assert run.reads == [0, 10]


# --------------------------------------------------------------------------------------------------- memory


def test_weights_are_kept_within_their_budget() -> None:
    run = ArrayRun(steps=8)
    one = sum(values.nbytes for values in run.arrays[0].values())
    engine = evaluator(run, weights_budget_bytes=int(3.5 * one))
    for step in (0, 10, 20, 0, 30, 0, 10):
        engine.evaluate(SPEC, [step], ["output"], IMAGE)
        status = engine.status()
        assert status["weights_bytes"] <= status["weights_budget_bytes"] == int(3.5 * one)
    assert run.reads == [0, 10, 20, 30, 10]  # 0 was used in between and stayed
    assert engine.status()["weights_bytes"] == 3 * one


def test_weights_larger_than_the_budget_are_used_and_not_kept() -> None:
    run = ArrayRun()
    engine = evaluator(run, StackingNetwork(), weights_budget_bytes=100)
    for _again in range(2):
        assert np.isfinite(engine.evaluate(SPEC, [0, 10], ["output"], IMAGE)["output"]).all()
    assert run.reads == [0, 10, 0, 10]
    assert engine.status()["weights_bytes"] == 0


def test_readers_at_many_steps_do_not_fill_the_budget_with_copies_of_the_same_weights() -> None:
    run, network = ArrayRun(steps=7), StackingNetwork(at_once=7)
    steps, engine = list(range(0, 70, 10)), evaluator(run, network)
    sets = [list(chosen) for size in (2, 3, 4) for chosen in itertools.combinations(steps, size)]
    for chosen in sets:
        engine.evaluate(SPEC, chosen, ["output"], IMAGE)
    assert network.stacks_made == len(sets) > 80
    one = sum(values.nbytes for values in run.arrays[0].values())
    assert 7 * one < engine.status()["weights_bytes"] <= (7 + 16 * 4) * one
    engine.evaluate(SPEC, sets[-1], ["output"], IMAGE)
    assert network.stacks_made == len(sets)  # the last ones are kept
    assert len(run.reads) == 7


def test_batches_are_halved_where_memory_is_short() -> None:
    run, network = ArrayRun(), ArrayNetwork(holds_images=3)
    found = evaluator(run, network).probabilities(SPEC, 10, IMAGES, "output", AS_GIVEN, batch=8)
    np.testing.assert_allclose(found, run.expected(10, IMAGES, "output"), rtol=1e-5)
    assert network.batches == [8, 4, 2, 2, 2, 2, 2, 1]
    with pytest.raises(errors.Unavailable, match="memory on a slide rule"):
        evaluator(run, ArrayNetwork(holds_images=0)).probabilities(SPEC, 10, IMAGES, "output", AS_GIVEN, batch=8)
    with pytest.raises(errors.Unavailable, match="memory on a slide rule"):
        evaluator(run, ArrayNetwork(holds_images=0)).evaluate(SPEC, [0], ["output"], IMAGE)


# ------------------------------------------------------------------------------------------------ many images


def test_probabilities_of_many_images_follow_the_rule() -> None:
    run = ArrayRun()
    engine = evaluator(run)
    logits = run.expected(20, IMAGES, "output")
    for rule, expected in ((AS_GIVEN, logits), (SOFTMAX, softmax(logits)), (SIGMOID, 1 / (1 + np.exp(-logits)))):
        found = engine.probabilities(SPEC, 20, IMAGES, "output", rule, batch=4)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert run.reads == [20]
    assert engine.status()["checkpoints_evaluated"] == 3


def test_who_watches_sees_the_maps_of_every_image_once_and_in_order() -> None:
    run, network, seen = ArrayRun(), ArrayNetwork(holds_images=3), []
    watch = Watch(("scaled",), lambda maps: seen.append(maps["scaled"].copy()))
    found = evaluator(run, network).probabilities(SPEC, 10, IMAGES, "output", AS_GIVEN, batch=4, watch=watch)
    np.testing.assert_allclose(found, run.expected(10, IMAGES, "output"), rtol=1e-5)
    np.testing.assert_allclose(np.concatenate(seen), run.expected(10, IMAGES, "scaled"), rtol=1e-5)
    with pytest.raises(errors.NotPossible, match="conv9"):
        evaluator(run).probabilities(SPEC, 10, IMAGES, "output", AS_GIVEN, watch=Watch(("conv9",), seen.append))


def test_a_step_that_cannot_be_read_says_why() -> None:
    run = ArrayRun()
    run.broken[10] = "step-10.npz is cut off."
    engine = evaluator(run)
    with pytest.raises(errors.NotPossible, match=r"step-10.npz is cut off"):
        engine.probabilities(SPEC, 10, IMAGES, "output", AS_GIVEN)
    with pytest.raises(errors.NotFound, match="no checkpoint at step 11"):
        engine.probabilities(SPEC, 11, IMAGES, "output", AS_GIVEN)


def test_only_a_layer_that_is_one_vector_can_be_the_output() -> None:
    engine = evaluator(ArrayRun())
    assert engine.output_size(SPEC, "output") == CLASSES
    with pytest.raises(errors.NotPossible, match=r"\(4, 5, 2\) per image"):
        engine.output_size(SPEC, "scaled")
    with pytest.raises(errors.NotPossible, match=r"odd.*It is odd"):
        engine.output_size(SPEC, "odd")
    with pytest.raises(errors.NotPossible, match="no such layer"):
        engine.probabilities(SPEC, 0, IMAGES, "conv9", AS_GIVEN)


def test_the_status_tells_device_versions_and_networks() -> None:
    engine = evaluator(ArrayRun())
    assert engine.status()["networks"] == []
    for path in ("memory", "another"):
        engine.evaluate(RunSpec(path, "arrays"), [0], ["output"], IMAGE)
    status = engine.status()
    assert status["device"] == "a slide rule"
    assert status["numpy"] == np.__version__
    assert status["networks"] == [{"run": "memory", "questions": 2}]  # one network, though two runs have it


GRADIENTS = Asked("output", {"method": "gradient", "of": "map", "units": [2, 0]}, IMAGE)


def test_pictures_are_made_step_by_step_and_one_that_fails_costs_itself_alone() -> None:
    run = ArrayRun()
    run.broken[20] = "It ends in the middle."
    run.arrays[30] = {name: array * np.nan for name, array in run.arrays[30].items()}
    made = evaluator(run, DifferentiatingNetwork()).pictures(SPEC, [10, 20, 30, 50, 0], "deconvolution", GRADIENTS)
    assert made.steps == (10, 20, 30, 50, 0)
    assert set(made.failed) == {20, 30, 50}
    assert set(made.figures) == {10, 0}
    for row, step in ((0, 10), (4, 0)):
        expected = run.arrays[step]["output/kernel"][:, [2, 0]].reshape(*SHAPE, 2)
        np.testing.assert_allclose(made.values[row], expected)
    assert np.isnan(made.values[1:4]).all()


def test_pictures_that_cannot_be_made_are_refused() -> None:
    engine = evaluator(ArrayRun(), DifferentiatingNetwork())
    with pytest.raises(errors.NotFound, match="sketch"):
        engine.pictures(SPEC, [0], "sketch", GRADIENTS)
    with pytest.raises(errors.NotFound, match="no layer conv9"):
        engine.pictures(SPEC, [0], "deconvolution", dataclasses.replace(GRADIENTS, layer="conv9"))
    with pytest.raises(errors.BadRequest, match="takes"):
        engine.pictures(SPEC, [0], "deconvolution", dataclasses.replace(GRADIENTS, image=IMAGE[1:]))
    with pytest.raises(errors.NotPossible, match="passes nothing back"):
        evaluator(ArrayRun()).pictures(SPEC, [0], "deconvolution", GRADIENTS)


def test_pictures_stop_between_calls_of_the_network() -> None:
    network = DifferentiatingNetwork()
    answers = iter([False, False, True])
    with pytest.raises(Stopped):
        evaluator(ArrayRun(), network).pictures(SPEC, [0, 10], "deconvolution", GRADIENTS, stop=lambda: next(answers))
    assert len(network.batches) == 1
    assert not network.backwards
