"""The tests that every network backend passes, ours and strangers'. Subclass, give the fixture, and run pytest.

    class TestMyBackend(BackendConformance):
        backend = MyBackend

        @pytest.fixture
        def run(self, tmp_path):           # an opened run of yours, with at least two checkpoints that differ
            return MyRun.open(write_my_run(tmp_path), RunOptions())

Needs pytest, which a backend's users do not. Skipped where the backend's framework is not installed.
"""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
from typing import Any, ClassVar

import numpy as np
import pytest

from mloscope.adaptors.conformance import HEAVY
from mloscope.adaptors.interface import Checkpoint, EvaluableRun, RunAdaptor
from mloscope.app.errors import MloscopeError, NotPossible
from mloscope.app.model_service.backends import RULES, Differentiates, LoadedBackends, StacksWeights
from mloscope.app.model_service.class_probabilities import SOFTMAX
from mloscope.app.model_service.evaluator import Evaluator
from mloscope.app.model_service.wire import RunSpec

_IMPORT = "import importlib, json, sys; importlib.import_module(sys.argv[1]); print(json.dumps(list(sys.modules)))"
_FREE_LENGTH = 12
"""Rows or columns of the images, where the network takes any."""
_ALONE_OR_TOGETHER: dict[str, float] = {"rtol": 1e-4, "atol": 1e-5}
"""Frameworks sum in another order in another batch."""
_SMALL = 1e-3
"""A change of the image that leaves most rectified units on their side of nought."""


class BackendConformance:
    """The promises of :class:`mloscope.app.model_service.backends.NetworkBackend`, ``Network``, ``StacksWeights`` and
    ``Differentiates``."""

    backend: ClassVar[Any]

    @pytest.fixture
    def run(self) -> Any:
        """A run that the backend evaluates, opened."""
        raise NotImplementedError("Give the conformance suite a fixture `run` with a run that your backend evaluates.")

    @pytest.fixture
    def loaded(self) -> Any:
        """The backend, loaded once for all tests."""
        reason = self.backend.missing()
        if reason is not None:
            pytest.skip(reason)
        return _loaded(self.backend)

    @pytest.fixture
    def network(self, loaded: Any, run: Any) -> Any:
        return loaded.open(run, "the run")

    @pytest.fixture
    def checkpoints(self, run: Any) -> list[Checkpoint]:
        return [checkpoint for checkpoint in run.checkpoints() if not checkpoint.problem]

    @pytest.fixture
    def images(self, network: Any) -> np.ndarray:
        shape = [length or _FREE_LENGTH for length in network.input_shape]
        return np.random.default_rng(0).random((5, *shape)).astype(np.float32)

    # ------------------------------------------------------------------------------------------- the backend

    def test_says_what_it_is(self) -> None:
        assert re.fullmatch(r"[a-z0-9][a-z0-9-]*", self.backend.name), "name is what a run's backend says"
        assert self.backend.title
        assert self.backend.loading_s >= 0
        reason = self.backend.missing()
        assert reason is None or reason.strip()

    def test_importing_it_stays_light(self) -> None:
        command = [sys.executable, "-c", _IMPORT, self.backend.__module__]
        answer = subprocess.run(command, capture_output=True, text=True, check=True)
        assert not set(HEAVY) & set(json.loads(answer.stdout.splitlines()[-1])), "import the framework in load"

    def test_tells_device_and_versions(self, loaded: Any) -> None:
        assert isinstance(loaded.device, str)
        assert loaded.device
        assert loaded.versions, "numbers depend on at least one package"
        assert json.loads(json.dumps(dict(loaded.versions))) == dict(loaded.versions)

    def test_the_run_names_it(self, run: Any) -> None:
        assert isinstance(run, RunAdaptor)
        assert isinstance(run, EvaluableRun)
        assert run.backend == self.backend.name

    # ------------------------------------------------------------------------------------------- the network

    def test_layers_are_those_of_the_run(self, run: Any, network: Any) -> None:
        assert network.output_layer in network.layers
        for layer in run.layers():
            if layer.parameters and not layer.problem:
                assert layer.name in network.layers, f"{layer.name} has parameters and no problem"
            if layer.output_shape is not None and layer.name in network.layers:
                assert tuple(network.layers[layer.name]) == tuple(layer.output_shape)
        if run.input_shape is not None and len(network.input_shape) == 3:
            assert tuple(network.input_shape) == tuple(run.input_shape)
        json.dumps(dict(network.status()))

    def test_the_same_run_has_the_same_digest(self, loaded: Any, run: Any, network: Any) -> None:
        assert isinstance(network.digest, str)
        assert loaded.open(run, "the run again").digest == network.digest

    def test_outputs_are_as_described(self, run: Any, network: Any, checkpoints: Any, images: np.ndarray) -> None:
        before = images.copy()
        outputs = network.outputs(images, _weights(run, network, checkpoints[0]), list(network.layers))
        assert set(outputs) == set(network.layers)
        for name, values in outputs.items():
            assert isinstance(values, np.ndarray)
            assert values.dtype == np.float32
            assert len(values) == len(images)
            shape = zip(values.shape[1:], network.layers[name], strict=True)
            assert all(length == declared or declared is None for length, declared in shape), name
        np.testing.assert_array_equal(images, before)

    def test_a_layer_is_the_same_alone_and_beside_others(
        self, run: Any, network: Any, checkpoints: Any, images: np.ndarray
    ) -> None:
        weights = _weights(run, network, checkpoints[0])
        together = network.outputs(images, weights, list(network.layers))
        for name in network.layers:
            (alone,) = network.outputs(images, weights, [name]).values()
            np.testing.assert_allclose(alone, together[name], **_ALONE_OR_TOGETHER)

    def test_an_image_is_the_same_alone_and_beside_others(
        self, run: Any, network: Any, checkpoints: Any, images: np.ndarray
    ) -> None:
        weights, name = _weights(run, network, checkpoints[0]), network.output_layer
        together = network.outputs(images, weights, [name])[name]
        for row in range(len(images)):
            alone = network.outputs(images[row : row + 1], weights, [name])[name]
            np.testing.assert_allclose(alone[0], together[row], **_ALONE_OR_TOGETHER)

    def test_checkpoints_do_not_disturb_each_other(
        self, run: Any, network: Any, checkpoints: Any, images: np.ndarray
    ) -> None:
        assert len(checkpoints) > 1, "give the suite a run of at least two checkpoints"
        first, last = (_weights(run, network, each) for each in (checkpoints[0], checkpoints[-1]))
        name = network.output_layer
        once, other, again = (network.outputs(images, each, [name])[name].copy() for each in (first, last, first))
        np.testing.assert_array_equal(once, again)
        assert np.abs(once - other).max() > 0, "give the suite checkpoints that differ"

    def test_weights_tell_what_they_take(self, run: Any, network: Any, checkpoints: Any) -> None:
        weights = _weights(run, network, checkpoints[0])
        values = sum(array.size for array in run.weights(checkpoints[0]).values())
        assert weights.nbytes >= values, "at least a byte per value"

    def test_arrays_that_do_not_fit_are_named(self, run: Any, network: Any, checkpoints: Any) -> None:
        checkpoint, arrays = checkpoints[0], run.weights(checkpoints[0])
        name = max(arrays, key=lambda name: arrays[name].size)
        for wrong in (
            {key: array for key, array in arrays.items() if key != name},
            {**arrays, name: np.zeros((*arrays[name].shape, 2), np.float32)},
        ):
            with pytest.raises(NotPossible) as refusal:
                network.weights(wrong, checkpoint)
            for word in (checkpoint.name, *name.rsplit("/", 1)):
                assert word in str(refusal.value), "name the checkpoint, the layer and the parameter"

    def test_weights_of_nan_are_shown_as_such(
        self, run: Any, network: Any, checkpoints: Any, images: np.ndarray
    ) -> None:
        arrays = {name: np.full_like(array, np.nan) for name, array in run.weights(checkpoints[0]).items()}
        outputs = network.outputs(images, network.weights(arrays, checkpoints[0]), [network.output_layer])
        assert np.isnan(outputs[network.output_layer]).all()

    def test_several_sets_of_weights_at_once_are_the_same(
        self, run: Any, network: Any, checkpoints: Any, images: np.ndarray
    ) -> None:
        if not isinstance(network, StacksWeights):
            pytest.skip("this backend takes one set of weights at a time")
        sets = [_weights(run, network, checkpoint) for checkpoint in checkpoints]
        assert network.sets_at_once(images[:1], sets[0]) >= 1
        stack, layers = network.stacked(sets), list(network.layers)
        assert stack.nbytes >= sum(each.nbytes for each in sets)
        outputs = network.outputs_of_stack(images[:1], stack, layers)
        if outputs is None:
            assert network.sets_at_once(images[:1], sets[0]) == 1
            return
        for row, weights in enumerate(sets):
            for name, values in network.outputs(images[:1], weights, layers).items():
                np.testing.assert_allclose(outputs[name][row], values, **_ALONE_OR_TOGETHER)

    def test_the_gradient_is_what_small_changes_of_the_image_say(
        self, run: Any, network: Any, checkpoints: Any, images: np.ndarray
    ) -> None:
        weights, name = self._differentiable(run, network, checkpoints), network.output_layer
        random = np.random.default_rng(1)
        output = network.outputs(images, weights, [name])[name]
        seeds = random.normal(size=output.shape).astype(np.float32)
        found, gradient = network.backward(images, weights, name, seeds, scale=0.5)
        np.testing.assert_allclose(found, output, **_ALONE_OR_TOGETHER)
        assert gradient.dtype == np.float32
        assert gradient.shape == images.shape
        change = (_SMALL * random.normal(size=images.shape)).astype(np.float32)
        after, before = (network.outputs(images + by, weights, [name])[name] for by in (change, -change))
        rise = _objective(seeds, 0.5, after) - _objective(seeds, 0.5, before)
        np.testing.assert_allclose(2 * (gradient * change).sum(), rise, rtol=0.1, atol=1e-4 * np.abs(rise).max() + 1e-5)

    def test_a_layer_passes_what_it_is_given_back_to_itself(
        self, run: Any, network: Any, checkpoints: Any, images: np.ndarray
    ) -> None:
        weights, name = self._differentiable(run, network, checkpoints), network.output_layer
        output = network.outputs(images, weights, [name])[name]
        _output, signal = network.backward(
            images, weights, name, -2 * output, scale=2.0, with_respect_to=name, rule="gradient"
        )
        np.testing.assert_allclose(signal, 0 * output, atol=1e-3 * np.abs(output).max())

    @pytest.mark.parametrize("rule", RULES)
    def test_one_image_serves_all_seeds(
        self, run: Any, network: Any, checkpoints: Any, images: np.ndarray, rule: Any
    ) -> None:
        weights, name = self._differentiable(run, network, checkpoints), network.output_layer
        shape = network.outputs(images[:1], weights, [name])[name].shape[1:]
        seeds = np.random.default_rng(2).normal(size=(3, *shape)).astype(np.float32)
        _output, together = network.backward(images[:1], weights, name, seeds, rule=rule)
        assert together.shape == (3, *images.shape[1:])
        for row in range(3):
            _output, alone = network.backward(images[:1], weights, name, seeds[row : row + 1], rule=rule)
            np.testing.assert_allclose(together[row], alone[0], **_ALONE_OR_TOGETHER)

    @staticmethod
    def _differentiable(run: Any, network: Any, checkpoints: Any) -> Any:
        """The first checkpoint's weights, where the network differentiates."""
        if not isinstance(network, Differentiates):
            pytest.skip("this backend does not differentiate")
        return _weights(run, network, checkpoints[0])

    # ----------------------------------------------------------------------------------- through the evaluator

    def test_the_evaluator_answers_with_it(self, loaded: Any, run: Any, network: Any, images: np.ndarray) -> None:
        engine = Evaluator(LoadedBackends(loaded=[loaded]), open_run=lambda *_: run)
        spec, name = RunSpec("the run", run.format), network.output_layer
        steps = [checkpoint.step for checkpoint in run.checkpoints() if not checkpoint.problem]
        assert engine.describe(spec)["output_layer"] == name
        maps = engine.evaluate(spec, [*steps, max(steps) + 1], [name], images[0])
        assert set(maps.failed) == {max(steps) + 1}, "a checkpoint that is not there fails alone"
        assert maps[name].shape[0] == len(steps) + 1
        if sum(length != 1 for length in network.layers[name]) <= 1:
            found = engine.probabilities(spec, steps[0], images, name, SOFTMAX, batch=2)
            np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-4)
        with pytest.raises(MloscopeError):
            engine.evaluate(spec, steps, ["no layer of this name"], images[0])


def _objective(seeds: np.ndarray, scale: float, output: np.ndarray) -> float:
    """What :meth:`Differentiates.backward` gives the gradient of, of all images."""
    values = output.astype(np.float64)
    return float((seeds * values + scale / 2 * values * values).sum())


@functools.cache
def _loaded(backend: Any) -> Any:
    return backend.load()


def _weights(run: Any, network: Any, checkpoint: Checkpoint) -> Any:
    return network.weights(run.weights(checkpoint), checkpoint)
