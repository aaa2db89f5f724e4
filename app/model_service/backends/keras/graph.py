"""A Keras model's graph of layers, walked node by node.

Keras offers no public way to walk a functional model's graph, so the walk uses ``_nodes_by_depth`` as Keras' own
``Function._run_through_graph`` does.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from mloscope.app.model_service.backends.keras.backward_rules import passed_by
from mloscope.app.model_service.backends.keras.weight_matching import is_nested_model


def graph_of(model: keras.Model) -> Any:
    """The functional graph of a model; a Sequential's layers are put into one. None where the model has no graph."""
    if isinstance(model, keras.Sequential):
        return keras.Model(model.inputs, model.outputs) if model.built else None
    return model if hasattr(model, "_nodes_by_depth") else None


def output_name(graph: Any) -> str:
    """The name of the node that gives the graph's first output."""
    history = graph.outputs[0]._keras_history
    return _node_names(graph, "")[id(history.operation._inbound_nodes[history.node_index])]


def layer_outputs(model: keras.Model, values: Sequence[Any], around: str, found: dict[str, Any]) -> list[Any]:
    """Run the model, node by node, on its inputs' ``values``; put every node's output into ``found`` by name."""
    graph = graph_of(model)
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
                results = layer_outputs(operation, tf.nest.flatten(arguments), f"{name}/", found)
            else:
                if "training" in inspect.signature(operation.call).parameters:
                    keywords["training"] = False
                results = tf.nest.flatten(operation(*arguments, **keywords))
                if getattr(operation, "normalises_neighbours", False):
                    results = [passed_by(results[0], tf.nest.flatten(arguments)[0])]
            for tensor, value in zip(node.outputs, results, strict=True):
                known[id(tensor)] = value
            if len(results) == 1:
                found[name] = results[0]
    return [known[id(tensor)] for tensor in graph.outputs]


def _node_names(graph: Any, around: str) -> dict[int, str]:
    """The name of every node by identity: the layer's for the first, ``name:1`` and on where the layer is shared."""
    ours = {id(node) for nodes in graph._nodes_by_depth.values() for node in nodes}
    names = {}
    for operation in graph.operations:
        used = [node for node in operation._inbound_nodes if id(node) in ours]
        for position, node in enumerate(used):
            names[id(node)] = f"{around}{operation.name}" + (f":{position}" if position else "")
    return names
