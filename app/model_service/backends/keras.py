"""Evaluates networks with TensorFlow and Keras; the only module of ours that imports them.

    RunSpec ──► adaptor ──► Keras model ── traced once ──► every layer's output of (image, *weights)
                   │                                          │ pruned to the layers asked for: no retrace
                   └─ weights(checkpoint) ──► TensorCache ────┴──► maps

There is one trace per architecture, because weights are arguments of the traced function; swapping a
checkpoint costs nothing once its tensors are resident. Pruning copies the part of the graph that leads to the
layers asked for, without running Keras again; it is as quick to run as a function traced for these layers
alone (measured: LeNet 0.66 against 0.71 ms, ResNet-50 70 against 70). A pruned function is wrapped in a
``tf.function``, because calling it directly formats every argument (20 ms).

Small networks spend their time on dispatch, not on arithmetic: there, several checkpoints are stacked and
evaluated at once by ``tf.vectorized_map`` (6 times quicker than a loop for a LeNet), also traced once, for
any number of checkpoints.

Keras offers no public way to walk a functional model's graph, so the walk uses ``_nodes_by_depth`` as Keras'
own ``Function._run_through_graph`` does.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mloscope.adaptors import registry
from mloscope.adaptors.interface import (
    AdaptorError,
    Checkpoint,
    EvaluableRun,
    KeepsChannelsFirst,
    RunAdaptor,
    RunOptions,
)
from mloscope.app import errors
from mloscope.app.model_service.backends import channel_layout
from mloscope.app.model_service.backends.weight_matching import (
    Place,
    is_nested_model,
    matched,
    places_of,
    statistics_of_variables,
)
from mloscope.app.model_service.class_probabilities import as_probabilities
from mloscope.app.model_service.wire import Evaluation, RunSpec
from mloscope.app.model_service.work_queue import Stopped

logger = logging.getLogger(__name__)

_Key = tuple[str, str, str]
"""Architecture, run, checkpoint fingerprint."""
OpenRun = Callable[[Path, RunOptions, str], RunAdaptor]

_MOST_RUNS = 16
_MOST_NETWORKS = 4
_MOST_FUNCTIONS = 64
_MOST_STACKED = 64
_MOST_STACKS = 16
"""Sets of checkpoints that are kept stacked: each is a second copy of their weights, and readers at other steps ask for other sets."""
_FIRST_PARTS_SHOWN = 12


def configure_devices(gpu_memory_bytes: int | None = None) -> str:
    """Prepare the GPUs, where there are any, and name the device used. To be called before anything else
    runs.

    Without a cap TensorFlow takes GPU memory as it needs it, instead of all at once; with one it never takes
    more."""
    gpus = tf.config.list_physical_devices("GPU")
    # TensorFloat-32 keeps 10 bits of a number; maps shown with their exact values need all 23.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    for gpu in gpus:
        if gpu_memory_bytes is None:
            tf.config.experimental.set_memory_growth(gpu, True)
        else:
            megabytes = max(1, gpu_memory_bytes // 2**20)
            tf.config.set_logical_device_configuration(
                gpu, [tf.config.LogicalDeviceConfiguration(memory_limit=megabytes)]
            )
    if not gpus:
        return "CPU"
    return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", gpus[0].name))


class TensorCache:
    """Lists of tensors by key, the most recently used ones, within a budget of bytes. Used by one thread."""

    def __init__(self, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        self.used_bytes = 0
        self._entries: OrderedDict[Any, tuple[list[tf.Tensor], int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Any) -> list[tf.Tensor] | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: Any, tensors: list[tf.Tensor]) -> None:
        """Keep the tensors, unless they alone are over the budget. The key must be new."""
        size = sum(tensor.dtype.size * int(np.prod(tensor.shape, dtype=np.int64)) for tensor in tensors)
        if size > self.budget_bytes:
            return
        while self.used_bytes + size > self.budget_bytes:
            _key, (_dropped, dropped_bytes) = self._entries.popitem(last=False)
            self.used_bytes -= dropped_bytes
        self._entries[key] = (tensors, size)
        self.used_bytes += size

    def drop(self, key: Any) -> None:
        """Let go of the key's tensors, if they are there."""
        _dropped, dropped_bytes = self._entries.pop(key, ([], 0))
        self.used_bytes -= dropped_bytes


# ------------------------------------------------------------------------------------------------ the graph


def _graph_of(model: keras.Model) -> Any:
    """The functional graph of a model; a Sequential's layers are put into one. None where the model has no
    graph."""
    if isinstance(model, keras.Sequential):
        return keras.Model(model.inputs, model.outputs) if model.built else None
    return model if hasattr(model, "_nodes_by_depth") else None


def _node_names(graph: Any, around: str) -> dict[int, str]:
    """The name of every node by identity: the layer's for the first, ``name:1`` and on where the layer is
    shared."""
    ours = {id(node) for nodes in graph._nodes_by_depth.values() for node in nodes}
    names = {}
    for operation in graph.operations:
        used = [node for node in operation._inbound_nodes if id(node) in ours]
        for position, node in enumerate(used):
            names[id(node)] = f"{around}{operation.name}" + (f":{position}" if position else "")
    return names


def _layer_outputs(model: keras.Model, values: Sequence[Any], around: str, found: dict[str, Any]) -> list[Any]:
    """Runs the model, node by node, on its inputs' ``values``; puts every node's output into ``found`` by
    name."""
    graph = _graph_of(model)
    names = _node_names(graph, around)
    known = {id(tensor): value for tensor, value in zip(graph.inputs, values, strict=True)}
    if isinstance(model, keras.Sequential):
        found[f"{around}input"] = values[0]  # what runs call the input of a Sequential saved without an input layer
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            operation, name = node.operation, names[id(node)]
            if node.is_input:
                found[name] = known[id(node.outputs[0])]
                continue
            arguments, keywords = node.arguments.fill_in(known)
            if is_nested_model(operation):
                results = _layer_outputs(operation, tf.nest.flatten(arguments), f"{name}/", found)
            else:
                if "training" in inspect.signature(operation.call).parameters:
                    keywords["training"] = False
                results = tf.nest.flatten(operation(*arguments, **keywords))
            for tensor, value in zip(node.outputs, results, strict=True):
                known[id(tensor)] = value
            if len(results) == 1:
                found[name] = results[0]
    return [known[id(tensor)] for tensor in graph.outputs]


class Network:
    """One architecture, traced. Its weights are arguments; it holds none of its own beyond what no checkpoint
    saves."""

    def __init__(
        self,
        model: keras.Model,
        where: str,
        digest: str,
        *,
        vectorise_below_s: float,
        block_bytes: int,
        channels_first: frozenset[str] = frozenset(),
        turns_image: bool = False,
    ) -> None:
        """Raises NotPossible where the model has no graph of layers, or does not take one image."""
        graph = _graph_of(model)
        if graph is None:
            raise errors.NotPossible(
                f"The network of {where} is a {type(model).__name__} without a graph of layers, "
                "so its feature maps cannot be reached."
            )
        if len(graph.inputs) != 1 or not graph.outputs:
            raise errors.NotPossible(
                f"The network of {where} takes {len(graph.inputs)} inputs and has {len(graph.outputs)} outputs; it "
                "can be evaluated where it takes one image and has at least one output."
            )
        self.where = where
        self.digest = digest
        shape = tuple(graph.inputs[0].shape[1:])
        self._channels_first = channels_first
        self._turns_image = turns_image and len(shape) == 3
        self.input_shape: tuple[int | None, ...] = (*shape[1:], shape[0]) if self._turns_image else shape
        self.traces = 0
        self.forward_s: float | None = None
        self._model = model
        self._input_type = graph.inputs[0].dtype
        self._vectorise_below_s = vectorise_below_s
        self._block_bytes = block_bytes
        self._functions: OrderedDict[tuple[bool, tuple[str, ...]], Any] = OrderedDict()
        self._name_variables(model)
        self._weight_specs = [tf.TensorSpec(variable.shape, variable.dtype) for variable in self._variables]
        self._image_spec = tf.TensorSpec((None, *self.input_shape), tf.float32)
        self._single = self._traced(self._run_once, [self._image_spec, *self._weight_specs])
        self._stacked: Any = None
        self._vectorises = True
        outputs = self._single.structured_outputs
        self.layers = {name: tuple(output.shape[1:]) for name, output in outputs.items()}
        names = _node_names(graph, "")
        history = graph.outputs[0]._keras_history
        self.output_layer = names[id(history.operation._inbound_nodes[history.node_index])]
        lengths = [int(np.prod([length or 1 for length in shape])) for shape in self.layers.values()]
        self._checkpoint_bytes = 4 * (2 * sum(lengths) + sum(int(np.prod(spec.shape)) for spec in self._weight_specs))

    def _name_variables(self, model: keras.Model) -> None:
        self._places = places_of(model)
        filled = {id(place.variable) for place in self._places}
        # Seeds and counters: no file of weights has them, and inference uses none.
        rest = [variable for variable in model.variables if id(variable) not in filled]
        self._variables: list[Any] = [*(place.variable for place in self._places), *rest]
        self._fillings = [tf.identity(tf.convert_to_tensor(variable.value)) for variable in rest]
        self._sources: tuple[Mapping[str, tuple[int, ...]], dict[str, str]] = ({}, {})

    def _traced(self, function: Callable[..., dict[str, Any]], signature: list[tf.TensorSpec]) -> Any:
        self.traces += 1
        return tf.compat.v1.wrap_function(function, signature)

    def _run_once(self, image: Any, *weights: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        state = list(zip(self._variables, weights, strict=True))
        given = tf.cast(channel_layout.channels_first(image) if self._turns_image else image, self._input_type)
        with (
            keras.StatelessScope(state_mapping=state),
            statistics_of_variables(self._model),
            channel_layout.runnable_convolutions(self._model),
        ):
            _layer_outputs(self._model, [given], "", found)
        for name, value in found.items():
            turned = name.partition(":")[0] in self._channels_first or (self._turns_image and value is given)
            found[name] = tf.cast(channel_layout.channels_last(value) if turned else value, tf.float32)
        return found

    def _run_stacked(self, image: Any, *stacks: Any) -> dict[str, Any]:
        return tf.vectorized_map(lambda weights: self._run_once(image, *weights), list(stacks))

    def _function(self, layers: Sequence[str], stacked: bool) -> Callable[..., dict[str, Any]]:
        key = (stacked, tuple(sorted(layers)))
        if key in self._functions:
            self._functions.move_to_end(key)
            return self._functions[key]
        signature = [self._image_spec, *self._weight_specs]
        whole = self._single
        if stacked:
            signature[1:] = [tf.TensorSpec((None, *spec.shape), spec.dtype) for spec in self._weight_specs]
            if self._stacked is None:
                self._stacked = self._traced(self._run_stacked, signature)
            whole = self._stacked
        pruned = whole.prune(whole.inputs, {name: whole.structured_outputs[name] for name in key[1]})
        wrapped = tf.function(lambda *inputs: pruned(*inputs), input_signature=signature)
        function = self._functions[key] = wrapped.get_concrete_function()
        while len(self._functions) > _MOST_FUNCTIONS:
            self._functions.popitem(last=False)
        return function

    def fit(self, image: np.ndarray) -> tf.Tensor:
        """The image, (row, column, channel), as the network's batch of one. Raises BadRequest where it does
        not fit."""
        return tf.constant(self.fitted(image[np.newaxis]))

    def fitted(self, images: np.ndarray) -> np.ndarray:
        """Images, (image, row, column, channel), as the network takes them, float32; no copy where they are
        that. Raises BadRequest where they do not fit."""
        wanted = self.input_shape
        shape: tuple[int, ...] = images.shape[1:]
        if len(wanted) != 3 and None not in wanted and np.prod(shape) == np.prod(wanted):
            shape = wanted  # type: ignore[assignment]  # a network that takes the pixels as one vector
        if len(shape) != len(wanted) or any(w not in (None, s) for w, s in zip(wanted, shape, strict=True)):
            raise errors.BadRequest(
                f"The image has the shape {images.shape[1:]}; this network takes {wanted} (row, column, channel)."
            )
        return np.asarray(images, np.float32).reshape(len(images), *shape)

    def tensors(self, arrays: Mapping[str, np.ndarray], checkpoint: Checkpoint) -> list[tf.Tensor]:
        """A checkpoint's arrays as the network's arguments. Raises NotPossible, naming layer and
        parameter."""
        shapes = {name: np.shape(array) for name, array in arrays.items()}
        if self._sources[0] != shapes:  # checkpoints of one run are alike
            self._sources = shapes, matched(self._places, arrays)
        sources, tensors = self._sources[1], []
        for place in self._places:
            if place.name not in sources:
                raise errors.NotPossible(_lacking(place, shapes, checkpoint))
            array = np.asarray(arrays[sources[place.name]])
            if array.shape != place.shape:
                raise errors.NotPossible(
                    f"The {place.own_name} of the layer {place.layer} has the shape {array.shape} in "
                    f"{checkpoint.name}; the network needs {place.shape}."
                )
            # A bare tf.constant keeps 1.75 times the memory.
            dtype = tf.as_dtype(place.variable.dtype).as_numpy_dtype
            tensors.append(tf.identity(tf.constant(array.astype(dtype, copy=False))))
        return [*tensors, *self._fillings]

    @property
    def block(self) -> int:
        """How many checkpoints to evaluate at once; 1 where a loop is as quick, or vectorising did not
        work."""
        if not self._vectorises or self.forward_s is None or self.forward_s >= self._vectorise_below_s:
            return 1
        return max(1, min(self._block_bytes // self._checkpoint_bytes, _MOST_STACKED))

    def measure(self, image: tf.Tensor, weights: list[tf.Tensor], clock: Callable[[], float]) -> None:
        """Find out how long one forward pass to the output takes, once."""
        if self.forward_s is None:
            function = self._function([self.output_layer], stacked=False)
            times = []
            for _run in range(4):
                started = clock()
                np.asarray(function(image, *weights)[self.output_layer])
                times.append(clock() - started)
            self.forward_s = min(times[1:])

    def one(self, image: tf.Tensor, weights: list[tf.Tensor], layers: Sequence[str]) -> dict[str, np.ndarray]:
        """Layer -> float32 (...output shape), views into TensorFlow's memory."""
        outputs = self._function(layers, stacked=False)(image, *weights)
        return {name: np.asarray(output)[0] for name, output in outputs.items()}

    def batch(self, images: np.ndarray, weights: list[tf.Tensor], layer: str) -> np.ndarray:
        """One layer's output for many images as :meth:`fitted` gives them: float32 (image, ...output shape)."""
        return np.asarray(self._function([layer], stacked=False)(tf.constant(images), *weights)[layer])

    def several(self, image: tf.Tensor, stacks: list[tf.Tensor], layers: Sequence[str]) -> dict[str, np.ndarray] | None:
        """Layer -> float32 (checkpoint, ...output shape); None where TensorFlow cannot vectorise this
        network."""
        try:
            outputs = self._function(layers, stacked=True)(image, *stacks)
            return {name: np.asarray(output)[:, 0] for name, output in outputs.items()}
        except tf.errors.ResourceExhaustedError:
            raise
        except (ValueError, TypeError, NotImplementedError, tf.errors.OpError) as error:
            logger.warning("%s is evaluated one checkpoint at a time: %s", self.where, _first_line(error))
            self._vectorises = False
            return None


# ------------------------------------------------------------------------------------------------- evaluation


@dataclass
class _OpenRun:
    adaptor: RunAdaptor
    checkpoints: Mapping[int, Checkpoint]
    network: Network | None = None
    refusal: errors.MloscopeError | None = None


class Evaluator:
    """Opens runs and evaluates their checkpoints. Used by one thread; only :meth:`status` may be called from
    others."""

    def __init__(
        self,
        *,
        weights_budget_bytes: int = 1 << 30,
        vectorise_below_s: float = 0.005,
        block_bytes: int = 256 << 20,
        device: str = "CPU",
        open_run: OpenRun = registry.open_run,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """``vectorise_below_s``: networks with a quicker forward pass are evaluated at several checkpoints at
        once, as many as ``block_bytes`` hold the weights and maps of."""
        self.weights = TensorCache(weights_budget_bytes)
        self._vectorise_below_s = vectorise_below_s
        self._block_bytes = block_bytes
        self._device = device
        self._open_run = open_run
        self._clock = clock
        self._stacks: OrderedDict[tuple[_Key, ...], None] = OrderedDict()
        self._runs: OrderedDict[str, _OpenRun] = OrderedDict()
        self._networks: OrderedDict[str, Network] = OrderedDict()
        self._evaluated = 0

    def describe(self, spec: RunSpec) -> dict[str, Any]:
        """``output_layer``, ``layers`` (name -> shape without the batch axis) and ``input_shape``,
        JSON-able."""
        network = self._network(self._run(spec), spec)
        return {
            "output_layer": network.output_layer,
            "layers": {name: list(shape) for name, shape in network.layers.items()},
            "input_shape": list(network.input_shape),
        }

    def evaluate(
        self,
        spec: RunSpec,
        steps: Sequence[int],
        layers: Sequence[str],
        image: np.ndarray,
        stop: Callable[[], bool] = lambda: False,
    ) -> Evaluation:
        """What the layers make of the image, float32 (row, column, channel), at each step.

        ``stop`` is asked between checkpoints; where it says True, Stopped is raised. A step that cannot be
        evaluated is in ``.failed``. Raises BadRequest, NotFound, NotPossible, Unavailable."""
        run = self._run(spec, steps)
        network = self._network(run, spec)
        for layer in layers:
            if layer not in network.layers:
                raise errors.NotFound(
                    f"The network of {spec.path} has no layer {layer} that can be evaluated; there are: "
                    f"{_some(network.layers)}."
                )
        try:
            return self._evaluate(spec, run, network, steps, list(dict.fromkeys(layers)), network.fit(image), stop)
        except tf.errors.ResourceExhaustedError as error:
            raise errors.Unavailable(
                f"There is not enough memory on {self._device} to evaluate {spec.path}."
            ) from error
        except tf.errors.OpError as error:
            raise errors.NotPossible(
                f"TensorFlow cannot evaluate the network of {spec.path}: {_first_line(error)}"
            ) from error

    def output_size(self, spec: RunSpec, layer: str) -> int:
        """How many values a layer gives per image. Raises as :meth:`probabilities`."""
        network = self._with_output(spec, self._run(spec), layer)
        shape = network.layers[layer]
        if None in shape or sum(length > 1 for length in shape) > 1:
            raise errors.NotPossible(
                f"The output {layer} of {spec.path} has the shape {shape} per image; class probabilities are one vector."
            )
        return int(np.prod(shape))

    def probabilities(
        self, spec: RunSpec, step: int, images: np.ndarray, output: str, rule: str, batch: int = 250
    ) -> np.ndarray:
        """Class probabilities of many images at one step, float32 (image, class): what the layer ``output`` gives, by one of
        :data:`mloscope.app.model_service.class_probabilities.RULES`.

        ``images``: float32 (image, row, column, channel), preprocessed, at least one; ``batch`` of them are
        evaluated at once, fewer where the device has no memory for so many. Raises BadRequest, NotFound,
        NotPossible, Unavailable.
        """
        run = self._run(spec, (step,))
        network = self._with_output(spec, run, output)
        fitted = network.fitted(images)
        try:
            _key, weights = self._weights(spec, run, network, step)
        except AdaptorError as error:
            raise errors.from_adaptor(error) from error
        pieces = list(self._in_batches(spec, network, fitted, weights, output, batch))
        self._evaluated += 1
        return as_probabilities(rule, np.concatenate([piece.reshape(len(piece), -1) for piece in pieces]))[0]

    def _with_output(self, spec: RunSpec, run: _OpenRun, output: str) -> Network:
        """The network, which has this layer."""
        network = self._network(run, spec)
        if output not in network.layers:
            known = {layer.name: layer for layer in run.adaptor.layers()}
            problem = known[output].problem if output in known else None
            raise errors.NotPossible(
                f"The output layer {output} of {spec.path} cannot be evaluated: "
                f"{problem or 'the network that was built has no such layer.'}"
            )
        return network

    def _in_batches(
        self, spec: RunSpec, network: Network, images: np.ndarray, weights: list[tf.Tensor], layer: str, batch: int
    ) -> Iterator[np.ndarray]:
        position = 0
        while position < len(images):
            try:
                values = network.batch(images[position : position + batch], weights, layer)
            except tf.errors.ResourceExhaustedError as error:
                if batch == 1:
                    raise errors.Unavailable(
                        f"There is not enough memory on {self._device} to evaluate {spec.path}."
                    ) from error
                batch //= 2
                continue
            except tf.errors.OpError as error:
                raise errors.NotPossible(
                    f"TensorFlow cannot evaluate the network of {spec.path}: {_first_line(error)}"
                ) from error
            yield values
            position += len(values)

    def status(self) -> dict[str, Any]:
        """``device``, versions, what is kept and what was done; JSON-able."""
        return {
            "device": self._device,
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "weights_bytes": self.weights.used_bytes,
            "weights_budget_bytes": self.weights.budget_bytes,
            "networks": [
                {"run": network.where, "traces": network.traces, "forward_s": network.forward_s}
                for network in list(self._networks.values())
            ],
            "checkpoints_evaluated": self._evaluated,
        }

    def _run(self, spec: RunSpec, steps: Sequence[int] = ()) -> _OpenRun:
        run = self._runs.get(spec.key)
        if run is None or any(step not in run.checkpoints for step in steps):  # training may still be saving
            try:
                adaptor = self._open_run(Path(spec.path), spec.options, spec.format)
                checkpoints = {checkpoint.step: checkpoint for checkpoint in adaptor.checkpoints()}
            except AdaptorError as error:
                raise errors.from_adaptor(error) from error
            if run is None:
                run = self._runs[spec.key] = _OpenRun(adaptor, checkpoints)
            else:
                if adaptor.layers() != run.adaptor.layers():  # somebody trains another network into the same folder
                    run.network = run.refusal = None
                run.adaptor, run.checkpoints = adaptor, checkpoints
        self._runs.move_to_end(spec.key)
        while len(self._runs) > _MOST_RUNS:
            self._runs.popitem(last=False)
        return run

    def _network(self, run: _OpenRun, spec: RunSpec) -> Network:
        if run.refusal is None and run.network is None:
            try:
                run.network = self._traced(run.adaptor, spec)
            except AdaptorError as error:
                run.refusal = errors.from_adaptor(error)
            except errors.MloscopeError as error:
                run.refusal = error
            except Exception as error:  # Keras raises whatever a foreign architecture makes it
                logger.exception("Keras refused the network of %s", spec.path)
                run.refusal = errors.NotPossible(
                    f"Keras {keras.__version__} cannot run the network of {spec.path}: {_first_line(error)}"
                )
        if run.refusal is not None:
            raise type(run.refusal)(str(run.refusal))
        assert run.network is not None
        return run.network

    def _traced(self, adaptor: RunAdaptor, spec: RunSpec) -> Network:
        if not isinstance(adaptor, EvaluableRun):
            raise errors.NotPossible(
                f"{spec.path} was opened as {adaptor.format}, which tells weights but no network to evaluate."
            )
        model = adaptor.keras_model()
        first = adaptor.channels_first() if isinstance(adaptor, KeepsChannelsFirst) else frozenset()
        turns_image = any(layer.kind == "input" and layer.name in first for layer in adaptor.layers())
        key = _architecture_digest(model)
        network = self._networks.get(key)
        if network is None:
            network = self._networks[key] = Network(
                model,
                spec.path,
                key,
                vectorise_below_s=self._vectorise_below_s,
                block_bytes=self._block_bytes,
                channels_first=first,
                turns_image=turns_image,
            )
            while len(self._networks) > _MOST_NETWORKS:
                self._networks.popitem(last=False)
        return network

    def _evaluate(
        self,
        spec: RunSpec,
        run: _OpenRun,
        network: Network,
        steps: Sequence[int],
        layers: list[str],
        image: tf.Tensor,
        stop: Callable[[], bool],
    ) -> Evaluation:
        arrays: dict[str, np.ndarray] = {}
        failed: dict[int, str] = {}

        def keep(rows: list[int], maps: Mapping[str, np.ndarray]) -> None:
            for layer, values in maps.items():
                if len(rows) == len(steps):
                    arrays[layer] = values
                    continue
                if layer not in arrays:
                    arrays[layer] = np.full((len(steps), *values.shape[1:]), np.nan, np.float32)
                arrays[layer][rows] = values

        position = 0
        while position < len(steps):
            ready: list[tuple[int, _Key, list[tf.Tensor]]] = []
            while position < len(steps) and len(ready) < network.block:
                if stop():
                    raise Stopped
                step = steps[position]
                try:
                    ready.append((position, *self._weights(spec, run, network, step)))
                    if len(steps) > 1:
                        network.measure(image, ready[-1][2], self._clock)
                except (AdaptorError, errors.MloscopeError) as error:
                    failed[step] = str(error)
                position += 1
            if not ready or not layers:
                continue
            maps = None
            if len(ready) > 1:
                maps = network.several(image, self._stack([(key, each) for _row, key, each in ready]), layers)
            if maps is not None:
                keep([row for row, _key, _each in ready], maps)
            else:
                for row, _key, each in ready:
                    one = network.one(image, each, layers)
                    keep([row], {layer: values[None] for layer, values in one.items()})
            self._evaluated += len(ready)
        for layer in layers:
            if layer not in arrays:  # no step could be evaluated
                arrays[layer] = np.full(
                    (len(steps), *(length or 0 for length in network.layers[layer])), np.nan, np.float32
                )
        return Evaluation({layer: arrays[layer] for layer in layers}, steps, failed)

    def _weights(self, spec: RunSpec, run: _OpenRun, network: Network, step: int) -> tuple[_Key, list[tf.Tensor]]:
        checkpoint = run.checkpoints.get(step)
        if checkpoint is None:
            raise errors.NotFound(f"The run {spec.path} has no checkpoint at step {step}.")
        if checkpoint.problem:
            raise errors.NotPossible(checkpoint.problem)
        fingerprint = run.adaptor.fingerprint(checkpoint)
        key = (network.digest, spec.key, fingerprint)
        tensors = self.weights.get(key)
        if tensors is None:
            assert isinstance(run.adaptor, EvaluableRun)
            try:
                arrays = run.adaptor.weights(checkpoint)
            except (AdaptorError, MemoryError):
                raise
            except Exception as error:  # one bad file, or one bad adaptor, costs its own step only
                logger.exception("The adaptor %s failed on %s", run.adaptor.format, checkpoint.name)
                raise errors.NotPossible(f"{checkpoint.name} cannot be read: {_first_line(error)}") from error
            if run.adaptor.fingerprint(checkpoint) != fingerprint:
                raise errors.Conflict(f"{checkpoint.name} was changed while it was read; ask again.")
            tensors = network.tensors(arrays, checkpoint)
            self.weights.put(key, tensors)
        return key, tensors

    def _stack(self, checkpoints: list[tuple[_Key, list[tf.Tensor]]]) -> list[tf.Tensor]:
        key = tuple(key for key, _tensors in checkpoints)
        stacks = self.weights.get(key)
        if stacks is None:
            stacks = [tf.stack(tensors) for tensors in zip(*(each for _key, each in checkpoints), strict=True)]
            self.weights.put(key, stacks)
        self._stacks[key] = None
        self._stacks.move_to_end(key)
        if len(self._stacks) > _MOST_STACKS:
            oldest, _nothing = self._stacks.popitem(last=False)
            self.weights.drop(oldest)
        return stacks


def _architecture_digest(model: keras.Model) -> str:
    return hashlib.sha256(model.to_json().encode()).hexdigest()


def _lacking(place: Place, shapes: Mapping[str, tuple[int, ...]], checkpoint: Checkpoint) -> str:
    held = [f"{name} {shape}" for name, shape in shapes.items() if name.startswith(f"{place.layer}/")]
    return (
        f"{checkpoint.name} holds no {place.own_name} of the layer {place.layer}, which the network needs with the "
        f"shape {place.shape}; of this layer it holds {', '.join(held) or 'nothing'}."
    )


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", str(error)).splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].startswith("Exception encountered when calling "):  # Keras says where, then why
        return f"{lines[0].rstrip('.')}: {lines[1]}"[:300]
    return lines[0][:300] if lines else type(error).__name__


def _some(names: Mapping[str, Any]) -> str:
    shown = list(names)[:_FIRST_PARTS_SHOWN]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
