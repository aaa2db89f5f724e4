"""What a TensorFlow checkpoint's keys are: which layer's variables, which optimizer's slots, in which order.

Checkpoints of objects (TensorFlow 2) hold the tree of the objects that were saved, ``TrackableObjectGraph``,
under the key ``_CHECKPOINTABLE_OBJECT_GRAPH``; it gives every variable's own name and the order of the
layers. In checkpoints of names (TensorFlow 1) the keys are the names; their order is that in which the
``.meta`` graph beside them declares them, or else natural. Sources:
``tensorflow/core/protobuf/trackable_object_graph.proto``, ``meta_graph.proto``.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mloscope.adaptors.files.protobuf_wire import Message
from mloscope.adaptors.interface import Layer, Parameter
from mloscope.adaptors.readers.keras.arrays import axes_of
from mloscope.adaptors.readers.keras.shapes import KINDS
from mloscope.adaptors.readers.tensorflow.tensor_bundle import Bundle, Entry

OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
# What optimizers call their slots, and what people call them.
_SLOT_WORDS = {
    "m": "momentum",
    "v": "velocity",
    "Momentum": "momentum",
    "Adam": "momentum",
    "Adam_1": "velocity",
    "vhat": "largest velocity",
    "velocity_hat": "largest velocity",
    "RMSProp": "mean square",
    "RMSProp_1": "momentum",
    "rms": "mean square",
    "Adagrad": "accumulator",
    "Adadelta": "accumulator",
    "Adadelta_1": "accumulated update",
    "Ftrl": "accumulator",
    "Ftrl_1": "linear",
    "ExponentialMovingAverage": "moving average",
    "adam_m": "momentum",
    "adam_v": "velocity",
}
_NOT_PARAMETERS = re.compile(
    r"(^|/)(keras_api|metrics|loss_tracker|_?seed_generators?|seed_generator_state|save_counter|global_step|"
    r"beta1_power|beta2_power|count)(/|$)"
)
_FIRST, _LAST = (
    re.compile(r"^(input|stem|conv_?0)"),
    re.compile(r"(fc|dense|logits|predictions|softmax|output|classifier|head)"),
)
_NORMALISATION = {"gamma", "beta", "moving_mean", "moving_variance"}


@dataclass(frozen=True)
class Variable:
    """One tensor of a checkpoint that belongs to a layer."""

    key: str
    layer: str
    name: str
    """Within the layer."""
    entry: Entry
    slot: str = ""
    """What an optimizer remembers in it; :attr:`layer` and :attr:`name` are then those of the variable that
    it is about."""


def variables_of(bundle: Bundle, declared: Sequence[str] = ()) -> list[Variable]:
    """The variables of layers, layer by layer in the network's order as far as the files tell it, each
    followed by its slots. Counters, metrics and an optimizer's settings are left out.

    ``declared``: names of variables in the order of a ``.meta`` graph.
    """
    if OBJECT_GRAPH in bundle.entries:
        graph = Message(b"".join(bundle.read_strings(OBJECT_GRAPH)[:1]), str(bundle.path))
        found = _of_objects(list(graph.messages(1)), bundle.entries)
    else:
        found = _of_names(bundle.entries, declared)
    by_layer: dict[str, list[Variable]] = {}
    for variable in _without_outermost_name(found):
        by_layer.setdefault(variable.layer, []).append(variable)
    return [variable for layer in by_layer.values() for variable in _slots_last(layer)]


def _without_outermost_name(variables: list[Variable]) -> list[Variable]:
    """What all layers' names begin with is the model's name, and tells nothing."""
    parts = [variable.layer.split("/") for variable in variables]
    depth = 0
    while parts and len({tuple(each[: depth + 1]) for each in parts}) == 1 < min(map(len, parts)) - depth:
        depth += 1
    return [
        dataclasses.replace(variable, layer="/".join(each[depth:]))
        for variable, each in zip(variables, parts, strict=True)
    ]


def _slots_last(variables: list[Variable]) -> list[Variable]:
    """Parameters first, then the slots in the same order, each only once."""
    unique: dict[tuple[str, str], Variable] = {}
    for variable in variables:
        unique.setdefault((variable.slot, variable.name), variable)
    names = [variable.name for variable in unique.values() if not variable.slot]
    slots = list(dict.fromkeys(variable.slot for variable in unique.values()))
    order = {name: place for place, name in enumerate(names)}
    return sorted(
        unique.values(),
        key=lambda each: (slots.index(each.slot) if each.slot else -1, order.get(each.name, 0)),
    )


# ------------------------------------------------------------------------------------- checkpoints of objects


def _of_objects(nodes: list[Message], entries: Mapping[str, Entry]) -> list[Variable]:
    names: dict[int, tuple[str, str, str]] = {}  # by node: its name, its key, its path in the tree
    slots: list[tuple[int, str, int]] = []
    paths = dict(_walk(nodes))
    # In the order of the walk; slots are not in the tree, so they come after it.
    for number in [*paths, *(number for number in range(len(nodes)) if number not in paths)]:
        for attribute in nodes[number].messages(2):
            key = attribute.text(3)
            if key in entries and entries[key].is_number:
                names[number] = (re.sub(r":\d+$", "", attribute.text(2)), key, paths.get(number, ""))
        slots += [(slot.number(1), slot.text(2), slot.number(3)) for slot in nodes[number].messages(3)]
    slot_nodes = {number for _, _, number in slots}
    owned = {
        number: (name, key, path)
        for number, (name, key, path) in names.items()
        if number in paths and number not in slot_nodes and not _is_aside(path, name, entries[key])
    }
    placed = _named(owned, entries)
    variables = {
        number: Variable(owned[number][1], layer, name, entries[owned[number][1]])
        for number, (layer, name) in placed.items()
    }
    found = list(variables.values())
    for original, slot, number in slots:
        if original in variables and number in names:
            about, key = variables[original], names[number][1]
            found.append(Variable(key, about.layer, about.name, entries[key], _SLOT_WORDS.get(slot, slot)))
    return found + _slots_by_name(variables, names, entries)


def _slots_by_name(
    variables: Mapping[int, Variable], names: Mapping[int, tuple[str, str, str]], entries: Mapping[str, Entry]
) -> list[Variable]:
    """The slots of optimizers that keep them as variables of their own, told by their names:
    ``Adam/m/conv/kernel`` (Keras 2.11 and later) and ``adam/model_conv_kernel_momentum`` (Keras 3)."""
    whole = {names[number][0]: variable for number, variable in variables.items()}
    flat = {name.replace("/", "_"): variable for name, variable in whole.items()}
    found = []
    for number, (name, key, path) in names.items():
        if number in variables or "optimizer" not in path:
            continue
        rest = name.partition("/")[2]
        slot, _, about = rest.partition("/")
        of = whole.get(about)
        if of is None:
            about = rest
            while about and of is None:
                about = about.rpartition("_")[0]
                of = flat.get(about)
            slot = rest[len(about) + 1 :]
        if of is not None and entries[key].shape == of.entry.shape:
            found.append(Variable(key, of.layer, of.name, entries[key], _SLOT_WORDS.get(slot, slot)))
    return found


def _walk(nodes: list[Message]) -> Iterator[tuple[int, str]]:
    """Every object once, depth first in the order they were saved, with its path; what belongs to an
    optimizer comes last, for optimizers hold the network's variables too."""
    if not nodes:
        return
    seen: set[int] = set()
    later: list[tuple[int, str]] = [(0, "")]
    while later:
        stack, later = [later[0]], later[1:]
        while stack:
            number, path = stack.pop()
            if number in seen or number >= len(nodes):
                continue
            seen.add(number)
            yield number, path
            children = [(child.number(1), child.text(2)) for child in nodes[number].messages(1)]
            for child, name in reversed(children):
                place = (child, f"{path}/{name}".lstrip("/"))
                if "optimizer" in name:
                    later.append(place)
                else:
                    stack.append(place)


def _is_aside(path: str, name: str, entry: Entry) -> bool:
    """Whether it is no parameter of the network: a metric, a counter, a random state, or the optimizer's."""
    is_optimizers = "optimizer" in path and "trainable_variables/" not in path
    is_counter = not entry.shape and "/" not in name
    return bool(is_optimizers or is_counter or _NOT_PARAMETERS.search(path) or _NOT_PARAMETERS.search(name))


def _named(owned: Mapping[int, tuple[str, str, str]], entries: Mapping[str, Entry]) -> dict[int, tuple[str, str]]:
    """Layer and name of each variable: from its own name where that tells every two apart, else from its
    path."""
    by_name: dict[tuple[str, str], tuple[int, Entry]] = {}
    placed: dict[int, tuple[str, str]] = {}
    for number, (name, key, _) in owned.items():
        layer, _, last = name.rpartition("/")
        known = by_name.get((layer, last))
        if known and _same_content(known[1], entries[key]):
            continue  # Keras 3's exports hold every variable twice
        if known or not layer:
            break
        by_name[layer, last] = (number, entries[key])
        placed[number] = (layer, last)
    else:
        return placed
    return {number: _by_path(path) for number, (_, _, path) in owned.items()}


def _same_content(first: Entry, second: Entry) -> bool:
    return (first.shape, first.dtype_number, first.crc) == (second.shape, second.dtype_number, second.crc)


def _by_path(path: str) -> tuple[str, str]:
    layer, _, name = path.rpartition("/")
    return layer or "variables", name.lstrip("_") or name


# --------------------------------------------------------------------------------------- checkpoints of names


def _of_names(entries: Mapping[str, Entry], declared: Sequence[str]) -> list[Variable]:
    numbers = {key: entry for key, entry in entries.items() if entry.is_number}
    places = {name: place for place, name in enumerate(declared)}
    found, slots = [], []
    for key, entry in numbers.items():
        about, slot = _slot(key, numbers)
        if about is not None:
            layer, name = _split(about)
            slots.append(Variable(key, layer, name, entry, _SLOT_WORDS.get(slot, slot)))
        elif not _NOT_PARAMETERS.search(key) and (entry.shape or "/" in key) and not _stray_slot(key):
            layer, name = _split(key)
            found.append(Variable(key, layer, name, entry))
    if all(variable.key in places for variable in found):
        found.sort(key=lambda variable: places[variable.key])
    else:
        found.sort(key=lambda variable: (_plausible(variable.layer), _rank_of_name(variable.name)))
    return found + slots


def _split(key: str) -> tuple[str, str]:
    layer, _, name = key.rpartition("/")
    return layer or key, name


def _slot(key: str, entries: Mapping[str, Entry]) -> tuple[str | None, str]:
    """The variable that a slot is about, and the slot's name; None where the key is no slot."""
    about, _, slot = key.rpartition("/")
    while about:
        if about in entries and (slot in _SLOT_WORDS or entries[about].shape == entries[key].shape):
            return about, slot
        if slot not in _SLOT_WORDS:
            break
        about = about.partition("/")[2]  # optimizers put the scope they were made in before the name
    return None, ""


def _stray_slot(key: str) -> bool:
    """A slot whose variable is not in the checkpoint, as in some that were cut down."""
    slot = key.rpartition("/")[2]
    return slot in _SLOT_WORDS and len(slot) > 1


def _plausible(layer: str) -> tuple[bool, bool, tuple[tuple[int, int, str], ...]]:
    """Orders layers by name as networks tend to go: numbers as numbers, stems first, classifiers last."""
    last = layer.rpartition("/")[2].lower()
    parts = re.findall(r"\d+|\D+", layer)
    natural = tuple((0, int(part[:18]), "") if part.isdigit() else (1, 0, part) for part in parts)
    return bool(_LAST.search(last)), not _FIRST.search(last), natural


def _rank_of_name(name: str) -> tuple[int, str]:
    order = (
        "kernel",
        "weights",
        "W",
        "w",
        "depthwise_weights",
        "pointwise_weights",
        "bias",
        "biases",
        "b",
        "gamma",
        "beta",
    )
    return (order.index(name) if name in order else len(order)), name


# -------------------------------------------------------------------------------------------------- as layers


def layers_from(variables: Sequence[Variable]) -> tuple[Layer, ...]:
    """Layers as far as names and shapes tell them, without edges."""
    by_layer: dict[str, list[Variable]] = {}
    for variable in variables:
        by_layer.setdefault(variable.layer, []).append(variable)
    layers = []
    for name, held in by_layer.items():
        source_class = _class_of(name, held)
        layers.append(
            Layer(
                name=name,
                kind=KINDS.get(source_class, "variables"),
                inputs=(),
                output_shape=None,
                parameters=tuple(parameter(variable, source_class) for variable in held),
            )
        )
    return tuple(layers)


def parameter(variable: Variable, source_class: str, name: str | None = None) -> Parameter:
    """The variable as its layer's parameter, called ``name`` where its layer calls it otherwise."""
    own = name or variable.name
    axes = axes_of(source_class, own, len(variable.entry.shape))
    called = f"{own} {variable.slot}" if variable.slot else own
    return Parameter(called, variable.entry.shape, axes, slot=variable.slot)


def _class_of(layer: str, variables: Sequence[Variable]) -> str:
    names = {variable.name for variable in variables}
    ranks = {len(variable.entry.shape) for variable in variables}
    if "depthwise_kernel" in names and "pointwise_kernel" in names:
        return "SeparableConv2D"
    if 4 in ranks:
        return "DepthwiseConv2D" if "depthwise" in "/".join((layer, *names)).lower() else "Conv2D"
    if names & _NORMALISATION:
        return "BatchNormalization"
    if "embeddings" in names:
        return "Embedding"
    return {2: "Dense", 3: "Conv1D", 5: "Conv3D"}.get(max(ranks), "")
