"""A checkpoint's variables as the parameters of a Keras configuration's layers.

Matched by the layers' names where all of them fit, else, as TensorFlow restores, by their order; shapes are
checked either way.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from mloscope.adaptors.interface import Layer, Unreadable
from mloscope.adaptors.readers.keras.architecture import Node, layers_in
from mloscope.adaptors.readers.keras.arrays import HOLDING_LAYERS, parameter_names
from mloscope.adaptors.readers.keras.legacy_config import WRITTEN_AS
from mloscope.adaptors.readers.tensorflow.variables import Variable, parameter

# What TensorFlow 1, Keras 2 and today's Keras call the same thing.
_TODAY = {"weights": "kernel", "W": "kernel", "w": "kernel", "biases": "bias", "b": "bias", "alphas": "alpha"}
_DEPTHWISE = {"depthwise_kernel": "kernel", "depthwise_weights": "kernel"}

Held = Mapping[str, Mapping[str, Variable]]
"""Variables by layer and name."""
Pairs = Sequence[tuple[Node, Mapping[str, Variable]]]
Places = dict[tuple[str, str], str]


def matched(
    config: Mapping[str, Any], nodes: Sequence[Node], variables: Sequence[Variable], source: str
) -> tuple[tuple[Layer, ...], Places]:
    """The configuration's layers, and the checkpoint's key of each parameter by layer and parameter name.
    Raises Unreadable where the checkpoint is not of this network, naming the first layer that does not
    fit."""
    held: dict[str, dict[str, Variable]] = {}
    slots: dict[tuple[str, str], list[Variable]] = {}
    for variable in variables:
        if variable.slot:
            slots.setdefault((variable.layer, variable.name), []).append(variable)
        else:
            held.setdefault(variable.layer, {})[variable.name] = variable
    held = _with_inner_layers(held, nodes)
    order = {name: place for place, (name, _) in enumerate(layers_in(config))}
    weighty = [
        node
        for node in nodes
        if parameter_names(node.source_class, node.config) or node.source_class in HOLDING_LAYERS or node.name in held
    ]
    weighty.sort(key=lambda node: order.get(node.name, -1))
    misfit = f"it has {len(weighty)} layers with parameters and they have {len(held)}"
    for pairs in (_by_name(weighty, held), _by_order(weighty, held)):
        try:
            found = {node.name: _parameters(node, group) for node, group in pairs}
        except Unreadable as error:
            misfit = str(error)
            continue
        if len(found) == len(weighty):
            return _layers(nodes, found, slots)
    raise Unreadable(f"The network of {source} is not that of the checkpoints: {misfit}.")


def _with_inner_layers(
    held: Mapping[str, dict[str, Variable]], nodes: Sequence[Node]
) -> dict[str, dict[str, Variable]]:
    """What lies within a layer, a wrapper's layer or a recurrent layer's cell, belongs to it: ``cell/kernel``; without the
    inner names where the variables' own tell them apart."""
    names = {node.name for node in nodes} | {node.path[-1] for node in nodes}
    owners: dict[str, dict[str, Variable]] = {}
    for layer, group in held.items():
        parts = layer.split("/")
        ends = [end for end in range(len(parts), 0, -1) if {"/".join(parts[:end]), parts[end - 1]} & names]
        end = ends[0] if ends else len(parts)
        within = "/".join(parts[end:])
        owner = owners.setdefault("/".join(parts[:end]), {})
        owner.update({f"{within}/{name}".lstrip("/"): variable for name, variable in group.items()})
    for layer, group in owners.items():
        short = [name.rpartition("/")[2] for name in group]
        if len(set(short)) == len(short):
            owners[layer] = dict(zip(short, group.values(), strict=True))
    return owners


def _by_name(nodes: Sequence[Node], held: Held) -> Pairs:
    """Empty unless every layer has a group of variables of its own, by its whole name or by its last part."""
    pairs = []
    for node in nodes:
        for name in (node.name, node.path[-1]):
            fits = [group for group in held if group == name or group.endswith(f"/{name}")]
            if name in fits or len(fits) == 1:
                pairs.append((node, held[name if name in fits else fits[0]]))
                break
    groups = {id(group) for _, group in pairs}
    return pairs if len(pairs) == len(groups) == len(nodes) else []


def _by_order(nodes: Sequence[Node], held: Held) -> Pairs:
    return list(zip(nodes, held.values(), strict=True)) if len(nodes) == len(held) else []


def _parameters(node: Node, group: Mapping[str, Variable]) -> dict[str, Variable]:
    """The variables by Keras's names, in its order. Raises Unreadable where they do not fit."""
    if str(node.config.get(WRITTEN_AS)).startswith("CuDNN"):
        raise Unreadable(
            f"its layer {node.name} is a {node.config[WRITTEN_AS]}, whose arrays are read from .h5 files alone"
        )
    expected = tuple(name for name in parameter_names(node.source_class, node.config) if name != "count")
    renamed = {}
    for name, variable in group.items():
        today = _TODAY.get(name, name)
        if node.source_class == "DepthwiseConv2D":
            today = _DEPTHWISE.get(today, today)
        renamed[today] = variable
    if set(expected) <= set(renamed):
        whole = expected and node.source_class != "SpectralNormalization"  # which holds its layer's bias too
        rest = [name for name in renamed if name not in expected and not whole]
        renamed = {name: renamed[name] for name in (*expected, *rest)}
    elif len(expected) == len(group):
        renamed = dict(zip(expected, group.values(), strict=True))
    else:
        raise Unreadable(f"its layer {node.name} has {', '.join(expected)} where they have {', '.join(group)}")
    for name, variable in renamed.items():
        shape = node.parameter_shapes.get(name)
        if shape is not None and None not in shape and shape != variable.entry.shape:
            raise Unreadable(
                f"{node.name}/{name} has the shape {shape} there and {variable.entry.shape} here "
                f"({variable.layer}/{variable.name})"
            )
    return renamed


def _layers(
    nodes: Sequence[Node],
    found: Mapping[str, Mapping[str, Variable]],
    slots: Mapping[tuple[str, str], Sequence[Variable]],
) -> tuple[tuple[Layer, ...], Places]:
    layers, places = [], {}
    for node in nodes:
        parameters = []
        own = found.get(node.name, {})
        of_slots = [(n, slot) for n, v in own.items() for slot in slots.get((v.layer, v.name), ())]
        for name, variable in (*own.items(), *of_slots):
            described = parameter(variable, node.source_class, name)
            parameters.append(described)
            places[node.name, described.name] = variable.key
        layers.append(dataclasses.replace(node.layer(None), parameters=tuple(parameters)))
    return tuple(layers), places
