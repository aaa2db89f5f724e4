"""Where a Keras layer's arrays lie in a checkpoint, what they are called, and what their axes mean.

Keras has two layouts. The older, of full-model ``.h5`` files and Keras 2's weights: a group per top-level
layer, with the variables' paths in its ``weight_names``. The newer, of ``.weights.h5`` and ``.keras``: groups
named after classes, in the order of the configuration (``conv2d``, ``conv2d_1``), with variables only
numbered: ``layers/conv2d_1/vars/0``. Sources: ``keras/src/legacy/saving/legacy_h5_format.py`` and
``keras/src/saving/saving_lib.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import h5py

from mloscope.adaptors.readers.keras.legacy_arrays import Stored, converted, name_in_keras_1, names_of_a_layer
from mloscope.adaptors.readers.keras.quantised import stored_names

_KERNEL = ("kernel", "bias")
_SEPARABLE = ("depthwise_kernel", "pointwise_kernel", "bias")
_CELL = ("kernel", "recurrent_kernel", "bias")
_NAMES: dict[str, tuple[str, ...]] = {
    "Conv1D": _KERNEL,
    "Conv2D": _KERNEL,
    "Conv3D": _KERNEL,
    "Conv2DTranspose": _KERNEL,
    "DepthwiseConv2D": _KERNEL,
    "Conv1DTranspose": _KERNEL,
    "Conv3DTranspose": _KERNEL,
    "DepthwiseConv1D": _KERNEL,
    "SeparableConv1D": _SEPARABLE,
    "SeparableConv2D": _SEPARABLE,
    "Dense": _KERNEL,
    "EinsumDense": _KERNEL,
    "BatchNormalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "LayerNormalization": ("gamma", "beta"),
    "GroupNormalization": ("gamma", "beta"),
    "RMSNormalization": ("scale",),
    "SpectralNormalization": ("kernel", "vector_u"),
    "PReLU": ("alpha",),
    "Normalization": ("mean", "variance", "count"),
    "Embedding": ("embeddings",),
}
_RECURRENT = {"SimpleRNN", "LSTM", "GRU", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"}
HOLDING_LAYERS = _RECURRENT | {"RNN", "Bidirectional", "MultiHeadAttention"}
"""Classes that have all their variables in layers within them."""
_SWITCHES = {"bias": "use_bias", "gamma": "scale", "beta": "center"}
# Counters and random states are stored beside the arrays a layer computes with; nobody wants to look at them.
_NOT_PARAMETERS = {"count", "seed_generator_state", "adapt_mean", "adapt_variance"}


def parameter_names(source_class: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    """A layer's variables in Keras's order, those switched off (``use_bias``, ``scale``, ``center``) left
    out. Empty for classes that are not known."""
    if source_class == "Normalization" and config.get("mean") is not None:
        return ()  # they are settings, not variables
    return tuple(
        name
        for name in _NAMES.get(source_class, ())
        if name not in _SWITCHES or config.get(_SWITCHES[name]) is not False
    )


def axes_of(source_class: str, name: str, rank: int) -> tuple[str, ...]:
    """What each axis of a parameter means, in the words of :class:`mloscope.adaptors.interface.Parameter`."""
    if rank == 3 and "Conv1D" in source_class and name.endswith("kernel"):
        if "depthwise" in name or source_class == "DepthwiseConv1D":
            return ("row", "channel", "multiplier")
        return ("row", "unit", "channel") if source_class == "Conv1DTranspose" else ("row", "channel", "unit")
    if name == "depthwise_kernel" or (source_class == "DepthwiseConv2D" and name == "kernel"):
        known: tuple[str, ...] = ("row", "column", "channel", "multiplier")
    elif source_class == "Conv2DTranspose" and name == "kernel":
        known = ("row", "column", "unit", "channel")
    elif source_class in ("PReLU", "LayerNormalization"):
        known = ("row", "column", "unit")[-rank:] if rank else ()
    else:
        known = ("depth", "row", "column", "channel", "unit")[-rank:] if rank else ()
        if rank == 3:
            known = ("row", "channel", "unit")
    return known if len(known) == rank else tuple(f"axis {number}" for number in range(rank))


def layer_datasets(
    file: h5py.File, path: tuple[str, ...], store: str, source_class: str, config: Mapping[str, Any]
) -> dict[str, Stored]:
    """One layer's datasets by parameter name, or what stands for them; empty where the file has none for it.

    ``path`` is the layer's name, the names of the models around it first; ``store`` its group in the newer
    layout, as its class and order give it.
    """
    older = file.get("model_weights") if "model_weights" in file else file if "layer_names" in file.attrs else None
    if older is not None:
        found = _in_older_layout(older, path, source_class, config)
    else:
        found = _in_newer_layout(file, path, store, source_class, config)
    found = {name: dataset for name, dataset in found.items() if name.split("/")[-1] not in _NOT_PARAMETERS}
    return converted(file, found, source_class, config)


def _in_older_layout(
    root: h5py.Group, path: tuple[str, ...], source_class: str, config: Mapping[str, Any]
) -> dict[str, h5py.Dataset]:
    group = root.get(path[0])
    if group is None and len(path) > 1 and path[-1] in root:  # Keras 1 lists a Sequential's layers where it lies
        group, path = root[path[-1]], path[-1:]
    if group is None:
        return {}
    stored = [(name, _parts(name)) for name in weight_names(group)]
    if of_keras_1 := _as_keras_1_names_them(group, stored, path[-1], source_class, config):
        return of_keras_1
    if len(path) > 1:
        # A nested model's variables share one group; its inner layers' names stand in their paths, those of
        # the models between only sometimes. What fits best by the end of the path is the layer's.
        fits = {name: _agreement(parts[:-1], path) for name, parts in stored}
        best = max(fits.values(), default=0)
        stored = [(name, parts) for name, parts in stored if best and fits[name] == best]
    expected = parameter_names(source_class, config)
    names = [_own_name(parts[-1], source_class) for _, parts in stored]
    if len(set(names)) != len(names):
        names = ["/".join(_after(path[-1], parts)) for _, parts in stored]
    if len(set(names)) != len(names):
        names = ["/".join(parts[1:]) or parts[-1] for _, parts in stored]
    if len(names) == len(expected) and not set(names) & set(expected):
        names = list(expected)
    return {name: group[stored_name] for name, (stored_name, _) in zip(names, stored, strict=True)}


def _as_keras_1_names_them(
    group: h5py.Group,
    stored: Sequence[tuple[str, list[str]]],
    layer: str,
    source_class: str,
    config: Mapping[str, Any],
) -> dict[str, h5py.Dataset]:
    """The layer's datasets where each has its name before its own, ``dense_1_W``; empty where one has not."""
    found = {}
    for before, (around, class_name) in names_of_a_layer(layer, source_class, config).items():
        for name, parts in stored:
            own = name_in_keras_1(parts[-1], before, class_name)
            if own is not None:
                found[f"{around}{own}"] = group[name]
    return found


def _in_newer_layout(
    file: h5py.File, path: tuple[str, ...], store: str, source_class: str, config: Mapping[str, Any]
) -> dict[str, h5py.Dataset]:
    group = _stored_group(file, store, path[-1])
    if group is None:
        return {}
    variables = list(_variables(group))
    own_types = [dataset.dtype.kind for _, keys, _, dataset in variables if not keys]
    found: dict[str, h5py.Dataset] = {}
    for around, keys, number, dataset in variables:
        names = _names_within(source_class, config, keys)
        if not keys:
            names = stored_names(source_class, names, own_types)
        own = names[number] if number < len(names) else f"variable_{number}"
        if source_class == "SpectralNormalization" and keys and own in found:
            continue  # it holds its layer's kernel a second time
        found["/".join([*around, own])] = dataset
    short = [name.rpartition("/")[2] for name in found]
    return dict(zip(short, found.values(), strict=True)) if len(set(short)) == len(short) else found


def _names_within(source_class: str, config: Mapping[str, Any], keys: tuple[str, ...]) -> tuple[str, ...]:
    """What the variables are called of the layer that lies within another under the attributes ``keys``; empty
    where it is not known."""
    if not keys:
        return parameter_names(source_class, config)
    if source_class in _RECURRENT and keys == ("cell",):
        return _CELL if config.get("use_bias") is not False else _CELL[:2]
    wrapped = config.get("layer")
    if keys[0] in ("layer", "forward_layer", "backward_layer") and isinstance(wrapped, Mapping):
        inner = wrapped.get("config")
        return _names_within(str(wrapped.get("class_name")), inner if isinstance(inner, Mapping) else {}, keys[1:])
    # Attention is made of dense layers; what other layers hold within themselves has no known names.
    return _KERNEL if source_class.endswith("Attention") else ()


def _stored_group(file: h5py.File, store: str, name: str) -> h5py.Group | None:
    parent = _container(file, store)
    if parent is None:
        return None
    group = parent.get(store.rpartition("/")[2])
    if group is not None and stated_name(group) in (None, name):
        return group
    # The class-given order did not lead to the layer: the file's own word for it decides.
    return next((other for other in parent.values() if stated_name(other) == name), group)


def own_group(file: h5py.File, store: str) -> h5py.Group | None:
    """The group of the newer layout that class and order lead to, whatever it states itself."""
    parent = _container(file, store)
    return None if parent is None else parent.get(store.rpartition("/")[2])


def _container(file: h5py.File, store: str) -> h5py.Group | None:
    parent: h5py.Group = file
    for container in store.split("/")[:-1]:
        following = parent.get(container)
        if following is None and container == "layers":
            following = parent.get("_layer_checkpoint_dependencies")  # TensorFlow 2.12 to 2.15
        if following is None:
            return None
        parent = following
    return parent


def stated_name(group: h5py.Group) -> str | None:
    """The layer's name as the newer layout has it beside its variables; None where it does not."""
    variables = group.get("vars") if not isinstance(group, h5py.Dataset) else None
    return None if variables is None else variables.attrs.get("name")


def _variables(
    group: h5py.Group, around: tuple[str, ...] = (), keys: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...], int, h5py.Dataset]]:
    """The numbered variables of a layer and then of the layers within it (attention, wrappers), in number
    order: names of the layers around each, as what they are held, its number."""
    for key in sorted(group, key=lambda key: (key != "vars", not key.isdigit(), int(key) if key.isdigit() else 0, key)):
        item = group[key]
        if isinstance(item, h5py.Dataset) and key.isdigit():
            yield around, keys, int(key), item
        elif not isinstance(item, h5py.Dataset) and key != "seed_generator":
            if key == "vars":
                yield from _variables(item, around, keys)
            else:
                yield from _variables(item, (*around, stated_name(item) or key), (*keys, key))


def weight_names(group: h5py.Group, attribute: str = "weight_names") -> list[str]:
    """The ``weight_names`` attribute of a layer's group, or ``layer_names`` of the root. Keras splits it into numbered
    pieces where it is longer than 64 KiB."""
    attributes = group.attrs
    pieces = [attributes[attribute]] if attribute in attributes else []
    whole = bool(pieces)
    while not whole and f"{attribute}{len(pieces)}" in attributes:
        pieces.append(attributes[f"{attribute}{len(pieces)}"])
    return [name.decode() if isinstance(name, bytes) else str(name) for piece in pieces for name in piece]


def _parts(weight_name: str) -> list[str]:
    return re.sub(r":\d+$", "", weight_name).split("/")


def _after(layer: str, parts: list[str]) -> list[str]:
    """What follows the layer's own name in a variable's path; all of it where that is not in it."""
    place = max((place for place, part in enumerate(parts[:-1]) if part == layer), default=-1)
    return parts[place + 1 :]


def _own_name(name: str, source_class: str) -> str:
    # Keras 2 called a depthwise layer's kernel by a longer name than Keras 3 does.
    return "kernel" if source_class == "DepthwiseConv2D" and name == "depthwise_kernel" else name


def _agreement(parts: list[str], path: tuple[str, ...]) -> int:
    """How many names at the end of the layer's path stand, in order, at the end of the variable's."""
    count = 0
    for part, name in zip(reversed(parts), reversed(path), strict=False):
        if part != name:
            break
        count += 1
    return count


def group_name(source_class: str) -> str:
    """What the newer layout makes of a class's name: ``SeparableConv2D`` is stored under
    ``separable_conv2d``."""
    name = re.sub(r"\W+", "", source_class)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
