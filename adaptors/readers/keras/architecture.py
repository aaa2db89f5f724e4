"""A Keras model's configuration (of Keras 2 or 3, Sequential or Functional) as a flat graph of layers,
without Keras.

Models inside models are flattened: the layer ``conv`` of the nested model ``encoder`` is ``encoder/conv``,
edges go straight through, and nested input layers vanish. A layer that is called several times is one node,
for it has its parameters once: its inputs are those of its first call and then those of further calls, as far
as the graph stays free of cycles; its output shape is that of the first call.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import h5py

from mloscope.adaptors.interface import Layer, Parameter, Sight
from mloscope.adaptors.readers.keras import op_layers as keras_op_layers
from mloscope.adaptors.readers.keras.arrays import axes_of, group_name, layer_datasets, parameter_names, weight_names
from mloscope.adaptors.readers.keras.layout import channels_last, mark_channels_first
from mloscope.adaptors.readers.keras.legacy_arrays import Stored
from mloscope.adaptors.readers.keras.legacy_config import BACKEND, WRITTEN_AS
from mloscope.adaptors.readers.keras.operations import operands_of
from mloscope.adaptors.readers.keras.operators import (
    OperatorCall,
    is_operator,
    operands_of_call,
    operator_call,
    operator_function,
    operator_shape,
)
from mloscope.adaptors.readers.keras.quantised import own_parameters
from mloscope.adaptors.readers.keras.shapes import KINDS, Shape, output_shape, parameter_shapes
from mloscope.adaptors.readers.keras.sights import sights_of, sights_of_operator

_NESTED = {"Functional", "Sequential", "Model"}
# Says nothing about what the layer computes, differs between savings of one model, or is said elsewhere.
NOT_HYPERPARAMETERS = {
    "name",
    "layers",
    "input_layers",
    "output_layers",
    "batch_input_shape",
    "batch_shape",
    "build_input_shape",
    "sparse",
    "ragged",
    "optional",
    "function",
    "module",
    "function_type",
    "output_shape_module",
    "output_shape_type",
    "quantization_config",
    BACKEND,
    WRITTEN_AS,
}


@dataclass
class Node:
    """One layer, as far as the configuration tells."""

    path: tuple[str, ...]
    """Its name, after the names of the models around it."""
    source_class: str
    config: Mapping[str, Any]
    store: str
    """Its group in the newer layout of weights."""
    inputs: list[str] = field(default_factory=list)
    operands: list[Any] | None = None
    """Of an operation on tensors and constants its arguments, see :func:`operands_of`."""
    shape: Shape | None = None
    parameter_shapes: Mapping[str, Shape] = field(default_factory=dict)
    channels_first: bool = False
    """Whether its output is a map of channel, row and column."""
    takes_flattened: tuple[str, ...] | None = None
    """The same of its input."""
    flattened: tuple[str, ...] | None = None
    """In which order the axes of a map lie in its output, where that is such a map as a vector, channels first."""
    operator: OperatorCall | None = None
    """What it computes where it is a TensorFlow operator."""
    sights: tuple[Sight, ...] = ()
    """See :attr:`Layer.sights`."""

    @property
    def name(self) -> str:
        return "/".join(self.path)

    def datasets(self, file: h5py.File) -> dict[str, Stored]:
        return layer_datasets(file, self.path, self.store, self.source_class, self.config)

    def layer(self, file: h5py.File | None, stored_as: Node | None = None) -> Layer:
        """The layer with the parameters that the file has for it (where it calls the layer otherwise: for ``stored_as``),
        or else those that the configuration implies."""
        stored = (stored_as or self).datasets(file) if file is not None else {}
        shapes = own_parameters(
            self.source_class, {name: dataset.shape for name, dataset in stored.items()}, self.parameter_shapes
        ) or {
            name: tuple(size or 0 for size in self.parameter_shapes[name])
            for name in parameter_names(self.source_class, self.config)
            if name in self.parameter_shapes
        }
        problem = None
        if self.source_class == "Lambda":
            problem = f"{self.name} is a Lambda layer: evaluating it would run code that came with the file."
        if is_operator({"class_name": self.source_class}) and self.operator is None:
            function = operator_function({"config": self.config})
            problem = f"{self.name} cannot be evaluated: the TensorFlow function {function} is not translated here."
        return Layer(
            name=self.name,
            kind=KINDS.get(self.source_class, group_name(self.source_class).replace("_", " ")),
            inputs=tuple(self.inputs),
            output_shape=self.shape_channels_last,
            parameters=tuple(self._parameter(name, tuple(shape)) for name, shape in shapes.items()),
            hyperparameters=self._hyperparameters,
            source_class=self.source_class,
            problem=problem,
            sights=self.sights,
        )

    @property
    def shape_channels_last(self) -> Shape | None:
        return channels_last(self.shape) if self.channels_first else self.shape

    @property
    def _hyperparameters(self) -> dict[str, Any]:
        settings = {key: plain(value) for key, value in self.config.items() if key not in NOT_HYPERPARAMETERS}
        if self.operands is not None:
            if "function" in self.config or self.operator is not None:
                settings["function"] = plain(self.config.get("function") or self.operator.function)
            settings["operands"] = self.operands
        return settings

    def _parameter(self, name: str, shape: tuple[int, ...]) -> Parameter:
        axes = axes_of(self.source_class, name, len(shape))
        if self.takes_flattened is not None and self.source_class == "Dense":
            return Parameter(name, shape, axes, self.takes_flattened)
        return Parameter(name, shape, axes)


def nodes_of(config: Mapping[str, Any]) -> list[Node]:
    """The layers of a model's configuration in topological order."""
    graph = _Graph()
    graph.add_model(config, (), "", None)
    mark_channels_first(graph.nodes)
    for node in graph.nodes.values():
        node.sights = _sights(node, [graph.nodes[name] for name in node.inputs])
    return list(graph.nodes.values())


def _sights(node: Node, inputs: Sequence[Node]) -> tuple[Sight, ...]:
    shapes = [each.shape_channels_last for each in inputs]
    if node.operator is not None:
        return sights_of_operator(node.operator.function, shapes, node.shape_channels_last)
    first = {"data_format": "channels_first"} if node.channels_first else {}
    return sights_of(node.source_class, {**node.config, **first}, shapes, node.shape_channels_last)


def outputs_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the layers whose values a model's configuration declares as its outputs, in its order: a
    Functional model's ``output_layers``, a Sequential's last layer."""
    return tuple(dict.fromkeys(_Graph().add_model(config, (), "", None)))


def outermost_layers(config: Mapping[str, Any]) -> list[str]:
    """The names of the model's own layers, nested models among them, as the configuration lists them."""
    return [_name(entry) for entry in _entries(config)]


def nodes_from_weights(file: h5py.File) -> list[Node]:
    """What a file of weights alone tells of its network: layers with parameters, in the file's order, without
    edges."""
    if "model_weights" in file or "layer_names" in file.attrs:
        root = file.get("model_weights", file)
        listed = [name for name in weight_names(root, "layer_names") if name in root] or list(root)
        nodes = [Node((name,), "", {}, name) for name in listed if len(root[name])]
        for node in nodes:
            found = node.datasets(file)
            rank = len(found["kernel"].shape) if "kernel" in found else 0
            node.source_class = {4: "Conv2D", 2: "Dense"}.get(rank, "BatchNormalization" if "gamma" in found else "")
        return nodes
    return list(_stored_layers(file, (), ""))


def _stored_layers(group: h5py.Group, path: tuple[str, ...], store: str) -> Iterator[Node]:
    classes = {group_name(name): name for name in KINDS}
    for key, item in (group.get("layers") or group.get("_layer_checkpoint_dependencies") or {}).items():
        variables = item.get("vars")
        name = str(variables.attrs.get("name", key)) if variables is not None else key
        if "layers" in item:
            yield from _stored_layers(item, (*path, name), f"{store}layers/{key}/")
        elif variables is not None and len(variables):
            source_class = classes.get(re.sub(r"_\d+$", "", key), "")
            yield Node((*path, name), source_class, {}, f"{store}layers/{key}")


def layers_in(config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every layer's and nested model's configuration by name, however deep, as the file has it."""
    for entry in _entries(config):
        name = str(entry.get("name") or _settings(entry).get("name") or "")
        yield name, entry
        if "layers" in _settings(entry):
            for inner, inner_entry in layers_in(entry):
                yield f"{name}/{inner}", inner_entry


def _settings(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    settings = entry.get("config")
    return {"layers": settings} if isinstance(settings, list) else settings or {}  # Sequential of old: a list


def _entries(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [entry for entry in _settings(config).get("layers", []) if isinstance(entry, Mapping)]


Outputs = list[str]
Reference = tuple[str, int, int]


class _Graph:
    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self._order: dict[str, int] = {}

    def add_model(self, config: Mapping[str, Any], path: tuple[str, ...], store: str, feeds: Outputs | None) -> Outputs:
        """Adds the model's layers (``feeds`` None: it is the outermost); returns the nodes whose output is
        the model's."""
        settings = _settings(config)
        used: dict[str, int] = {}
        stores = []
        for entry in _entries(config):
            group = group_name(str(entry.get("class_name", "")))
            number = used[group] = used.get(group, -1) + 1
            stores.append(f"{store}layers/{group}" + (f"_{number}" if number else ""))
        if config.get("class_name") == "Sequential" or "input_layers" not in settings:
            return self._add_chain(config, path, stores, feeds)
        return self._add_functional(config, path, stores, feeds)

    def _add_chain(
        self, config: Mapping[str, Any], path: tuple[str, ...], stores: list[str], feeds: Outputs | None
    ) -> Outputs:
        current = list(feeds or ())
        for number, (entry, store) in enumerate(zip(_entries(config), stores, strict=True)):
            settings = _settings(entry)
            is_input = entry.get("class_name") == "InputLayer"
            if is_input and feeds is not None:
                continue
            if number == 0 and feeds is None and not is_input:
                shape = settings.get("batch_input_shape") or _settings(config).get("build_input_shape")
                given: dict[str, Any] = {"batch_shape": shape}
                if "dtype" in settings:
                    given["dtype"] = _dtype_of_input(settings["dtype"])
                first = Node((*path, "input"), "InputLayer", given, "")
                current = [self._add(first, [], None)]
            current = self._add_call(entry, (*path, _name(entry)), store, current, None)
        return current

    def _add_functional(
        self, config: Mapping[str, Any], path: tuple[str, ...], stores: list[str], feeds: Outputs | None
    ) -> Outputs:
        settings = _settings(config)
        entries = {_name(entry): (entry, store) for entry, store in zip(_entries(config), stores, strict=True)}
        calls: list[tuple[str, int, list[Reference]]] = []
        hints: dict[Reference, Shape] = {}
        for name, (entry, _) in entries.items():
            nodes = entry.get("inbound_nodes") or [[]]
            calls += [(name, number, _references(node, hints)) for number, node in enumerate(nodes)]
        outputs: dict[tuple[str, int], Outputs] = {}
        if feeds is not None:
            names = [reference[0] for reference in _boundary(settings.get("input_layers"))]
            outputs = {(name, 0): [feed] for name, feed in zip(names, feeds, strict=False)}
        while calls:
            ready = [call for call in calls if all(ref[:2] in outputs for ref in call[2])]
            # Nothing ready: the file refers to what it does not have. Shown without those edges rather than
            # not at all.
            for name, number, references in ready or calls[:1]:
                calls.remove((name, number, references))
                if (name, number) not in outputs:
                    given = [_output(outputs, ref) for ref in references if ref[:2] in outputs]
                    entry, store = entries[name]
                    outputs[name, number] = self._add_call(
                        entry, (*path, name), store, given, hints.get((name, number, 0))
                    )
        ends = [reference for reference in _boundary(settings.get("output_layers")) if reference[:2] in outputs]
        return [_output(outputs, reference) for reference in ends]

    def _add_call(
        self,
        entry: Mapping[str, Any],
        path: tuple[str, ...],
        store: str,
        inputs: list[str],
        hint: Shape | None,
    ) -> Outputs:
        if entry.get("class_name") in _NESTED and "layers" in _settings(entry):
            return self.add_model(entry, path, f"{store}/", inputs) or inputs
        class_name = str(entry.get("class_name", "")).rpartition(">")[2]  # "package>Class" where it is registered
        node = Node(path, class_name.removesuffix("V1"), _settings(entry), store)
        if node.source_class not in KINDS or str(entry.get("module", "")).startswith("keras.src.ops"):
            node.operands = operands_of(entry)
        if is_operator(entry):
            node.operator = operator_call(entry)
            if node.source_class == keras_op_layers.CLASS:
                node.config = keras_op_layers.essence(node.config)
                node.operands = operands_of_call(node.operator) if node.operator is not None else None
        return [self._add(node, inputs, hint)]

    def _add(self, node: Node, inputs: list[str], hint: Shape | None) -> str:
        known = self.nodes.get(node.name)
        if known is not None and known.store == node.store:  # called again
            earlier = self._order[node.name]
            known.inputs += [name for name in inputs if name not in known.inputs and self._order[name] < earlier]
            return node.name
        while node.name in self.nodes:  # "a/b" may be both a layer's own name and a nested one's
            node.path = (*node.path[:-1], node.path[-1] + "_")
        shapes = [self.nodes[name].shape for name in inputs]
        if node.source_class == "InputLayer":
            shape = node.config.get("batch_shape") or node.config.get("batch_input_shape")
            node.shape = _without_batch(shape)
        else:
            node.shape = output_shape(node.source_class, node.config, shapes) or hint
            if node.operator is not None:
                node.shape = operator_shape(node.operator, shapes)
            node.parameter_shapes = parameter_shapes(node.source_class, node.config, shapes)
        node.inputs = list(dict.fromkeys(inputs))
        self._order[node.name] = len(self.nodes)
        self.nodes[node.name] = node
        return node.name


def _name(entry: Mapping[str, Any]) -> str:
    return str(entry.get("name") or _settings(entry).get("name") or group_name(str(entry.get("class_name", ""))))


def _dtype_of_input(policy: Any) -> Any:
    """What a Sequential saved without an input layer takes: its first layer's dtype, which may be a policy."""
    name = plain(policy)
    return name.removeprefix("mixed_") if isinstance(name, str) else name


def _without_batch(shape: Any) -> Shape | None:
    if isinstance(shape, list) and shape and all(isinstance(part, list) for part in shape):
        shape = shape[0]
    if not isinstance(shape, list | tuple) or not shape:
        return None
    whole = all(size is None or (isinstance(size, int) and not isinstance(size, bool)) for size in shape[1:])
    return tuple(shape[1:]) if whole else None


def _output(outputs: Mapping[tuple[str, int], Outputs], reference: Reference) -> str:
    found = outputs[reference[:2]]
    return found[min(reference[2], len(found) - 1)]


def _boundary(value: Any) -> list[Reference]:
    """``input_layers`` and ``output_layers``: one reference, a list or a dict of them."""
    if isinstance(value, Mapping):
        return [reference for item in value.values() for reference in _boundary(item)]
    if not isinstance(value, list):
        return []
    if len(value) >= 3 and isinstance(value[0], str) and isinstance(value[1], int):
        return [(value[0], value[1], value[2])]
    return [reference for item in value for reference in _boundary(item)]


def _references(value: Any, hints: dict[Reference, Shape]) -> list[Reference]:
    """The tensors one call takes, in order; the shapes that Keras 3 writes beside them go into ``hints``."""
    if isinstance(value, Mapping):
        if value.get("class_name") == "__keras_tensor__":
            name, node, tensor = value["config"]["keras_history"]
            hint = _without_batch(value["config"].get("shape"))
            if hint is not None:
                hints[name, node, tensor] = hint
            return [(name, node, tensor)]
        return [reference for item in value.values() for reference in _references(item, hints)]
    if not isinstance(value, list):
        return []
    if len(value) in (3, 4) and isinstance(value[0], str) and isinstance(value[1], int) and isinstance(value[2], int):
        rest = value[3] if len(value) == 4 else {}
        return [] if value[1] < 0 else [(value[0], value[1], value[2]), *_references(rest, hints)]
    return [reference for item in value for reference in _references(item, hints)]


def plain(value: Any) -> Any:
    """Keras 3 wraps initializers and the like in module, class, config and registered name: the class and
    what is set."""
    if isinstance(value, Mapping):
        if "class_name" in value and isinstance(value.get("config"), Mapping):
            if value["class_name"] == "DTypePolicy":
                return value["config"].get("name")
            settings = {key: plain(item) for key, item in value["config"].items() if item is not None}
            return {"class_name": value["class_name"], **settings} if settings else value["class_name"]
        return {str(key): plain(item) for key, item in value.items() if key != "shared_object_id"}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
