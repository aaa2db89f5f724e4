"""Whether two Keras configurations describe one network, and where they first differ.

Names that Keras generates (``conv2d_3``) do not count: a model that is built again in one process gets others. Nor does what
training changes, or what two kinds of files word differently.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from mloscope.adaptors.readers.keras.architecture import NOT_HYPERPARAMETERS, Node, nodes_of, plain
from mloscope.adaptors.readers.keras.arrays import group_name
from mloscope.adaptors.readers.keras.legacy_config import WRITTEN_AS

# Two kinds of files word these differently for one network, or training changes them on the way.
_NOT_ARCHITECTURE = NOT_HYPERPARAMETERS | {
    "trainable",
    "dtype",
    "seed",
    "axis",
    "registered_name",
    "rate",
    "groups",
    "output_padding",
    "fused",
    "renorm",
    "renorm_clipping",
    "renorm_momentum",
    "synchronized",
    "rms_scaling",
    "build_config",
    "shared_object_id",
}
_MODELS = re.compile(r"(functional|sequential|model)(_[0-9]+)?")
_INPUTS = re.compile(r"(.*_)?(input|input_layer|keras_tensor)(_[0-9]+)?")


def architecture_digest(nodes: Sequence[Node]) -> str:
    """Equal for the same network, whichever kind of file it comes from and whatever of it is frozen."""
    essence = json.dumps([_essence(node, _places(nodes)) for node in nodes], sort_keys=True)
    return hashlib.blake2b(essence.encode(), digest_size=16).hexdigest()


def first_difference(nodes: Sequence[Node], expected: Sequence[Node]) -> str:
    """The first thing in which the network of ``nodes`` differs from the expected one, as a clause after "holds another
    network than the run:"."""
    places, expected_places = _places(nodes), _places(expected)
    for ours, theirs in zip_longest(nodes, expected):
        if ours is None:
            return f"it ends before {_called(theirs)}, which the run's network has"
        if theirs is None:
            return f"it goes on with {_called(ours)}, where the run's network ends"
        (name, kind, inputs, shape, settings) = _essence(ours, places)
        (their_name, their_kind, their_inputs, their_shape, their_settings) = _essence(theirs, expected_places)
        if kind != their_kind or name != their_name:
            return f"it has {_called(ours)} where the run's network has {_called(theirs)}"
        for key in sorted(settings.keys() | their_settings.keys()):
            if settings.get(key) != their_settings.get(key):
                values = (_short(settings.get(key)), _short(their_settings.get(key)))
                return f"its layer {ours.name} has {key} = {values[0]} where the run's {theirs.name} has {values[1]}"
        if inputs != their_inputs:
            return (
                f"its layer {ours.name} takes {' and '.join(ours.inputs) or 'nothing'} where the run's {theirs.name} takes "
                f"{' and '.join(theirs.inputs) or 'nothing'}"
            )
        if shape != their_shape:
            return f"its layer {ours.name} gives {ours.shape} where the run's {theirs.name} gives {theirs.shape}"
    return "its layers are in another order"


def _places(nodes: Sequence[Node]) -> dict[str, int]:
    return {node.name: place for place, node in enumerate(nodes)}


def _essence(node: Node, places: Mapping[str, int]) -> tuple[Any, ...]:
    inputs = [places.get(name, -1) for name in node.inputs]
    settings = _settings(node.config)
    if node.operands is not None:  # x / 127.5 and x / 255 are two networks
        settings["operands"] = node.operands
    return _neutral_name(node), node.source_class, inputs, list(node.shape or ()), settings


def _neutral_name(node: Node) -> str:
    """The layer's name, with what Keras generates replaced by what it generates it from."""
    *around, own = node.path
    base = re.sub(r"_[0-9]+$", "", own)
    generated = group_name(node.source_class.rpartition(">")[2])
    before = str(node.config.get(WRITTEN_AS, "")).lower()
    is_operator = node.source_class.endswith(("OpLambda", "OpLayer"))
    if node.source_class == "InputLayer":
        own = "input" if _INPUTS.fullmatch(own) else own
    elif base.replace("_", "") in {each.replace("_", "") for each in (generated, before)} or is_operator:
        own = base if is_operator else generated
    return "/".join([*(_MODELS.sub(lambda found: found[1], name) for name in around), own])


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    return {str(key): _neutral(value) for key, value in config.items() if _matters(str(key))}


def _matters(key: str) -> bool:
    return key not in _NOT_ARCHITECTURE and not key.endswith(("_initializer", "_regularizer", "_constraint"))


def _neutral(value: Any) -> Any:
    """A setting without what does not matter in the layers that a wrapper holds; a model within counts as its network."""
    if isinstance(value, Mapping):
        held = value.get("config")
        if isinstance(held, Mapping) and "layers" in held:
            return architecture_digest(nodes_of(value))
        if "class_name" in value and isinstance(held, Mapping) and "name" in held:  # a layer
            return {"class_name": value["class_name"], **_settings(held)}
        return plain(value)
    if isinstance(value, list | tuple):
        return [_neutral(item) for item in value]
    return value


def _called(node: Node) -> str:
    return f"{node.name} ({node.source_class})"


def _short(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."
