"""Where a layer of the run lies in a file whose layers have other names.

Keras numbers the names that it generates on (``dense``, ``dense_1``) for as long as a process runs, so files of one run may
call one layer by different names. A file with a configuration tells by its own layers, one for one. In files of weights alone
arrays are matched by order, as Keras' ``load_weights`` does, unless every name is there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import h5py

from mloscope.adaptors.readers.keras.architecture import Node
from mloscope.adaptors.readers.keras.arrays import own_group, parameter_names, stated_name, weight_names


def counterparts(nodes: Sequence[Node], others: Sequence[Node]) -> dict[str, Node]:
    """The same layers of two descriptions of one network: the name in the first, the node of the second."""
    return {node.name: other for node, other in zip(nodes, others, strict=True)}


def by_order(file: h5py.File, nodes: Sequence[Node], order: Sequence[str]) -> dict[str, Node]:
    """Each of the network's layers as the file, which has weights alone, calls it. ``order`` has the names of the outermost
    layers as the configuration lists them."""
    if is_older(file):
        return _by_order_in_older_layout(file.get("model_weights", file), nodes, order)
    return _by_order_in_newer_layout(file, nodes)


def is_older(file: h5py.File) -> bool:
    """Whether the file has Keras 2's layout of weights."""
    return "model_weights" in file or "layer_names" in file.attrs


def is_called_so(file: h5py.File, node: Node) -> bool:
    """Whether the group that class and order lead to states the layer's name, or none."""
    return _stated(file, node) in (None, node.path[-1])


def names_in(file: h5py.File, nodes: Sequence[Node]) -> tuple[str, ...]:
    """What the file calls its layers, those of nested models with their variables: equal for files that are matched alike.
    Empty in the newer layout, where each layer says it itself."""
    if not is_older(file):
        return ()
    root = file.get("model_weights", file)
    listed = weight_names(root, "layer_names")
    nested = dict.fromkeys(node.path[0] for node in nodes if len(node.path) > 1)
    # Where a nested model is called otherwise too, every group tells.
    groups = nested if all(name in root for name in nested) else [name for name in listed if name in root]
    return (*listed, *(name for group in groups for name in weight_names(root[group])))


def _by_order_in_newer_layout(file: h5py.File, nodes: Sequence[Node]) -> dict[str, Node]:
    """Groups are named after classes and their order, so only what they state themselves is to be believed less."""
    stated = {node.name: _stated(file, node) for node in nodes}
    said = {name for name in stated.values() if name}
    if all(node.path[-1] in said for node in nodes if stated[node.name]):
        return {}
    return {
        node.name: dataclasses.replace(node, path=(*node.path[:-1], stated[node.name] or node.path[-1]))
        for node in nodes
    }


def _stated(file: h5py.File, node: Node) -> str | None:
    group = own_group(file, node.store) if node.store else None
    return None if group is None else stated_name(group)


def _by_order_in_older_layout(root: h5py.Group, nodes: Sequence[Node], order: Sequence[str]) -> dict[str, Node]:
    held = [name for name in weight_names(root, "layer_names") if name in root and weight_names(root[name])]
    tops = _with_parameters(nodes, order)
    renamed: dict[str, str] = {}
    if not set(tops) <= set(held):
        if len(tops) != len(held):
            return {}
        renamed = dict(zip(tops, held, strict=True))
    found: dict[str, Node] = {}
    for top in tops:
        group = renamed.get(top, top)
        inner = [node for node in nodes if node.path[0] == top]
        for node, path in _inner(root[group], inner).items():
            found[node] = dataclasses.replace(next(n for n in inner if n.name == node), path=(group, *path))
    return found


def _with_parameters(nodes: Sequence[Node], order: Sequence[str]) -> list[str]:
    """The outermost layers that have arrays, in the configuration's order."""
    having = {
        node.path[0] for node in nodes if parameter_names(node.source_class, node.config) or node.parameter_shapes
    }
    listed = [name for name in order if name in having]
    return listed + [name for name in dict.fromkeys(node.path[0] for node in nodes) if name in having - set(listed)]


def _inner(group: h5py.Group, nodes: Sequence[Node]) -> Mapping[str, tuple[str, ...]]:
    """The paths within the group of a nested model's layers; the layer itself where it is none."""
    if len(nodes) == 1 and len(nodes[0].path) == 1:
        return {nodes[0].name: ()}
    inner = [node for node in nodes if parameter_names(node.source_class, node.config)]
    places = list(dict.fromkeys(tuple(name.split("/")[:-1]) for name in weight_names(group)))
    if {node.path[-1] for node in inner} <= {place[-1] for place in places if place}:
        return {node.name: node.path[1:] for node in nodes}
    if len(inner) != len(places):
        return {node.name: node.path[1:] for node in nodes}
    return {node.name: place for node, place in zip(inner, places, strict=True)}
