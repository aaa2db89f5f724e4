"""One architecture in TensorFlow: traced once, its weights arguments.

Swapping a checkpoint costs nothing once its tensors are resident, because weights are arguments of the traced function.
Pruning copies the part of the graph that leads to the layers asked for, without running Keras again; it is as quick to run
as a function traced for these layers alone (measured: LeNet 0.66 against 0.71 ms, ResNet-50 70 against 70). A pruned
function is wrapped in a ``tf.function``, because calling it directly formats every argument (20 ms).

Small networks spend their time on dispatch, not on arithmetic: there, several checkpoints are stacked and evaluated at once
by ``tf.vectorized_map`` (6 times quicker than a loop for a LeNet), also traced once, for any number of checkpoints.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from cachetools import LRUCache

from mloscope.adaptors.interface import Checkpoint
from mloscope.app.errors import NotPossible, lines_of
from mloscope.app.model_service.backends import Rule
from mloscope.app.model_service.backends.keras import channel_layout
from mloscope.app.model_service.backends.keras.backward_rules import passed_back, rules_apply
from mloscope.app.model_service.backends.keras.graph import graph_of, layer_outputs, output_name
from mloscope.app.model_service.backends.keras.weight_matching import (
    Place,
    matched,
    places_of,
    statistics_of_variables,
)

logger = logging.getLogger(__name__)

_MOST_FUNCTIONS = 64
_MOST_STACKED = 64


@dataclass(frozen=True, eq=False)
class Tensors:
    """One checkpoint's weights, or those of several stacked, in the order of the network's variables."""

    values: list[tf.Tensor]

    @property
    def nbytes(self) -> int:
        return sum(tensor.dtype.size * int(np.prod(tensor.shape, dtype=np.int64)) for tensor in self.values)


class KerasNetwork:
    """A Keras model, traced. It holds no weights of its own beyond what no checkpoint saves."""

    def __init__(
        self,
        model: keras.Model,
        where: str,
        digest: str,
        *,
        vectorise_below_s: float,
        block_bytes: int,
        clock: Callable[[], float],
        channels_first: frozenset[str] = frozenset(),
        turns_image: bool = False,
    ) -> None:
        """Raises NotPossible where the model has no graph of layers, or does not take one image."""
        graph = _graph_that_takes_one_image(model, where)
        self.where, self.digest = where, digest
        shape = tuple(graph.inputs[0].shape[1:])
        self._channels_first = channels_first
        self._turns_image = turns_image and len(shape) == 3
        self.input_shape: tuple[int | None, ...] = (*shape[1:], shape[0]) if self._turns_image else shape
        self._traces = 0
        self._forward_s: float | None = None
        self._model = model
        self._input_type = graph.inputs[0].dtype
        self._vectorise_below_s, self._block_bytes, self._clock = vectorise_below_s, block_bytes, clock
        self._functions: LRUCache[tuple[bool, tuple[str, ...]], Any] = LRUCache(_MOST_FUNCTIONS)
        self._backwards: LRUCache[tuple[str, str | None, Rule], Any] = LRUCache(_MOST_FUNCTIONS)
        self._computed: dict[str, Any] = {}
        self._name_variables(model)
        self._weight_specs = [tf.TensorSpec(variable.shape, variable.dtype) for variable in self._variables]
        self._image_spec = tf.TensorSpec((None, *self.input_shape), tf.float32)
        self._single = self._traced(self._run_once, [self._image_spec, *self._weight_specs])
        self._traced_layers = self._computed
        """What the traced layers give, by name, before channels are turned."""
        self._stacked: Any = None
        self._vectorises = True
        outputs = self._single.structured_outputs
        self.layers: Mapping[str, tuple[int | None, ...]] = {
            name: tuple(output.shape[1:]) for name, output in outputs.items()
        }
        self.output_layer = output_name(graph)
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

    # ------------------------------------------------------------------------------------------- what it answers

    def weights(self, arrays: Mapping[str, np.ndarray], checkpoint: Checkpoint) -> Tensors:
        shapes = {name: np.shape(array) for name, array in arrays.items()}
        if self._sources[0] != shapes:  # checkpoints of one run are alike
            self._sources = shapes, matched(self._places, arrays)
        with _memory_errors():
            tensors = [self._tensor(place, arrays, shapes, checkpoint) for place in self._places]
        return Tensors([*tensors, *self._fillings])

    def _tensor(
        self,
        place: Place,
        arrays: Mapping[str, np.ndarray],
        shapes: Mapping[str, tuple[int, ...]],
        checkpoint: Checkpoint,
    ) -> tf.Tensor:
        source = self._sources[1].get(place.name)
        if source is None:
            raise NotPossible(_lacking(place, shapes, checkpoint))
        array = np.asarray(arrays[source])
        if array.shape != place.shape:
            raise NotPossible(
                f"The {place.own_name} of the layer {place.layer} has the shape {array.shape} in "
                f"{checkpoint.name}; the network needs {place.shape}."
            )
        dtype = tf.as_dtype(place.variable.dtype).as_numpy_dtype
        return tf.identity(
            tf.constant(array.astype(dtype, copy=False))
        )  # a bare tf.constant keeps 1.75 times the memory

    def outputs(self, images: np.ndarray, weights: Tensors, layers: Sequence[str]) -> dict[str, np.ndarray]:
        with _memory_errors():
            outputs = self._function(layers, stacked=False)(tf.constant(images), *weights.values)
            return {name: np.asarray(output) for name, output in outputs.items()}

    def backward(
        self,
        images: np.ndarray,
        weights: Tensors,
        layer: str,
        seeds: np.ndarray,
        *,
        scale: float = 0.0,
        with_respect_to: str | None = None,
        rule: Rule = "gradient",
    ) -> tuple[np.ndarray, np.ndarray]:
        with _memory_errors():
            function = self._backward(layer, with_respect_to, rule)
            answer = function(tf.constant(images), tf.constant(seeds), tf.constant(scale, tf.float32), *weights.values)
            return np.asarray(answer["output"]), np.asarray(answer["signal"])

    def status(self) -> dict[str, Any]:
        """``traces``: how often it was traced; ``forward_s``: seconds per forward pass, None where not yet measured."""
        return {"traces": self._traces, "forward_s": self._forward_s}

    # ----------------------------------------------------------------------------------------- several checkpoints

    def sets_at_once(self, images: np.ndarray, weights: Tensors) -> int:
        if self._forward_s is None:
            with _memory_errors():
                self._forward_s = self._measured(tf.constant(images), weights)
        if not self._vectorises or self._forward_s >= self._vectorise_below_s:
            return 1
        return max(1, min(self._block_bytes // self._checkpoint_bytes, _MOST_STACKED))

    def stacked(self, sets: Sequence[Tensors]) -> Tensors:
        with _memory_errors():
            return Tensors([tf.stack(tensors) for tensors in zip(*(each.values for each in sets), strict=True)])

    def outputs_of_stack(
        self, images: np.ndarray, stack: Tensors, layers: Sequence[str]
    ) -> dict[str, np.ndarray] | None:
        try:
            with _memory_errors():
                outputs = self._function(layers, stacked=True)(tf.constant(images), *stack.values)
                return {name: np.asarray(output) for name, output in outputs.items()}
        except (ValueError, TypeError, NotImplementedError, tf.errors.OpError) as error:
            logger.warning("%s is evaluated one checkpoint at a time: %s", self.where, lines_of(error)[0])
            self._vectorises = False
            return None

    def _measured(self, images: tf.Tensor, weights: Tensors) -> float:
        """Seconds per forward pass to the output."""
        function = self._function([self.output_layer], stacked=False)
        times = []
        for _run in range(4):
            started = self._clock()
            np.asarray(function(images, *weights.values)[self.output_layer])
            times.append(self._clock() - started)
        return min(times[1:])

    # ----------------------------------------------------------------------------------------------------- tracing

    def _traced(self, function: Callable[..., dict[str, Any]], signature: list[tf.TensorSpec]) -> Any:
        self._traces += 1
        return tf.compat.v1.wrap_function(function, signature)

    def _run_once(self, image: Any, *weights: Any) -> dict[str, Any]:
        found = self._computed = {}
        state = list(zip(self._variables, weights, strict=True))
        given = tf.cast(channel_layout.channels_first(image) if self._turns_image else image, self._input_type)
        with (
            keras.StatelessScope(state_mapping=state),
            statistics_of_variables(self._model),
            channel_layout.runnable_convolutions(self._model),
            rules_apply(),
        ):
            layer_outputs(self._model, [given], "", found)
        return {name: self._shown(name, value, is_image=value is given) for name, value in found.items()}

    def _shown(self, name: str, value: Any, is_image: bool = False) -> Any:
        """What a layer gives, or a gradient with respect to it, channels last."""
        turned = name.partition(":")[0] in self._channels_first or (self._turns_image and is_image)
        return tf.cast(channel_layout.channels_last(value) if turned else value, tf.float32)

    def _run_stacked(self, image: Any, *stacks: Any) -> dict[str, Any]:
        return tf.vectorized_map(lambda weights: self._run_once(image, *weights), list(stacks))

    def _function(self, layers: Sequence[str], stacked: bool) -> Callable[..., dict[str, Any]]:
        key = (stacked, tuple(sorted(layers)))
        if key in self._functions:
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
        return function

    def _backward(self, layer: str, with_respect_to: str | None, rule: Rule) -> Callable[..., dict[str, Any]]:
        key = (layer, with_respect_to, rule)
        if key in self._backwards:
            return self._backwards[key]
        whole = self._single
        output = whole.structured_outputs[layer]
        with whole.graph.as_default():
            seeds = tf.compat.v1.placeholder(tf.float32, output.shape)
            scale = tf.compat.v1.placeholder(tf.float32, ())
            to = whole.inputs[0] if with_respect_to is None else self._traced_layers[with_respect_to]
            signal = passed_back(output, seeds + scale * output, to, rule)
            if signal is None:
                where = "the image" if with_respect_to is None else with_respect_to
                raise NotPossible(
                    f"No gradient of {layer} reaches {where} in the network of {self.where}: {where} does not lead to it, or an "
                    "operation between them cannot be differentiated."
                )
            shown = tf.cast(signal, tf.float32) if with_respect_to is None else self._shown(with_respect_to, signal)
        pruned = whole.prune([*whole.inputs, seeds, scale], {"output": output, "signal": shown})

        def run(images: Any, seeds: Any, scale: Any, *weights: Any) -> dict[str, Any]:
            count = tf.maximum(tf.shape(images)[0], tf.shape(seeds)[0])
            several = tf.broadcast_to(images, tf.concat([[count], tf.shape(images)[1:]], 0))
            return pruned(several, *weights, seeds, scale)

        signature = [self._image_spec, tf.TensorSpec(output.shape, tf.float32), tf.TensorSpec((), tf.float32)]
        function = tf.function(run, input_signature=[*signature, *self._weight_specs]).get_concrete_function()
        self._backwards[key] = function
        return function


def architecture_digest(model: keras.Model) -> str:
    """Equal for models of one configuration."""
    return hashlib.sha256(model.to_json().encode()).hexdigest()


def _graph_that_takes_one_image(model: keras.Model, where: str) -> Any:
    graph = graph_of(model)
    if graph is None:
        raise NotPossible(
            f"The network of {where} is a {type(model).__name__} without a graph of layers, "
            "so its feature maps cannot be reached."
        )
    if len(graph.inputs) != 1 or not graph.outputs:
        raise NotPossible(
            f"The network of {where} takes {len(graph.inputs)} inputs and has {len(graph.outputs)} outputs; it "
            "can be evaluated where it takes one image and has at least one output."
        )
    return graph


def _lacking(place: Place, shapes: Mapping[str, tuple[int, ...]], checkpoint: Checkpoint) -> str:
    held = [f"{name} {shape}" for name, shape in shapes.items() if name.startswith(f"{place.layer}/")]
    return (
        f"{checkpoint.name} holds no {place.own_name} of the layer {place.layer}, which the network needs with the "
        f"shape {place.shape}; of this layer it holds {', '.join(held) or 'nothing'}."
    )


@contextmanager
def _memory_errors() -> Iterator[None]:
    """TensorFlow's word for a device without enough memory, as Python's."""
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise MemoryError(str(error)) from error
