"""Configurations of Keras 1 (2015 to early 2017) and the CuDNN layers of Keras 2, in the words of Keras 2.

Converted before the graph is read: classes (``Convolution2D``), settings (``nb_filter``, ``border_mode``, ``dim_ordering``),
``Merge`` by its mode. A layer that was converted says what it was under :data:`WRITTEN_AS`, for its arrays lie otherwise too
(``keras_legacy_arrays.py``). A setting or class without a counterpart stays as it is, so that building the network refuses
it by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mloscope.adaptors.interface import Unreadable

WRITTEN_AS = "written_as"
"""The key of a layer's setting with the class that the file has for it."""
BACKEND = "written_by_backend"
"""The key of a layer's setting with the backend that the configuration names, where it does."""

_CLASSES = {
    **{f"Convolution{rank}D": f"Conv{rank}D" for rank in (1, 2, 3)},
    **{f"AtrousConvolution{rank}D": f"Conv{rank}D" for rank in (1, 2)},
    "SeparableConvolution2D": "SeparableConv2D",
    "Deconvolution2D": "Conv2DTranspose",
    "TimeDistributedDense": "Dense",
}
_CUDNN = {"CuDNNLSTM": "LSTM", "CuDNNGRU": "GRU"}
_MERGES = {
    **{"sum": "Add", "mul": "Multiply", "concat": "Concatenate", "ave": "Average", "max": "Maximum"},
    **{"dot": "Dot", "cos": "Dot"},
}
_UNITED = {
    "kernel_size": (("nb_row", "nb_col"), ("kernel_dim1", "kernel_dim2", "kernel_dim3")),
}
_OF_ALL = {
    **{"border_mode": "padding", "bias": "use_bias", "init": "kernel_initializer", "inner_init": "recurrent_initializer"},
    **{"inner_activation": "recurrent_activation", "dropout_W": "dropout", "dropout_U": "recurrent_dropout"},
    **{f"{old}_{kind}": f"{new}_{kind}" for old, new in (("W", "kernel"), ("U", "recurrent"), ("b", "bias"))
       for kind in ("regularizer", "constraint")},
    **{f"{part}_init": f"{part}_initializer" for part in ("beta", "gamma", "depthwise", "pointwise")},
}  # fmt: skip
_OF_CONVOLUTIONS = {
    **{"nb_filter": "filters", "filter_length": "kernel_size", "subsample": "strides", "subsample_length": "strides"},
    "atrous_rate": "dilation_rate",
}
_OF_POOLING = {"pool_length": "pool_size", "stride": "strides"}
_RECURRENT = ("LSTM", "GRU", "SimpleRNN", "ConvLSTM2D")
_FORMATS = {"th": "channels_first", "tf": "channels_last"}
# Says nothing about what a layer computes.
_DROPPED = {"weights", "consume_less", "forget_bias_init", "input_dim", "input_length", "create_input_layer"}
# No layer of Keras 2 has any of these.
_MARKS = {"nb_filter", "border_mode", "dim_ordering", "W_regularizer", "W_constraint", "inner_activation", "inner_init"}
_BATCH_STATISTICS = {1: "1 (statistics of every image)", 2: "2 (statistics of every batch)"}


def in_words_of_keras_2(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration, converted where Keras 1 wrote it or a CuDNN layer is in it. Raises Unreadable for a model that
    begins with several others."""
    of_keras_1 = is_of_keras_1(config)
    backend = str(config.get("backend") or "")
    if not of_keras_1 and not any(entry.get("class_name") in _CUDNN for entry in _all_layers(config)):
        return dict(config)
    return _Converting(of_keras_1, backend, _default_format(config)).model(config)


def is_of_keras_1(config: Mapping[str, Any]) -> bool:
    """Whether Keras 1 wrote it, as it says itself or, where it does not, its settings do."""
    version = re.match(r"\d+", str(config.get("keras_version") or ""))
    if version:
        return int(version[0]) < 2
    return any(_MARKS & set(_settings(entry)) for entry in _all_layers(config))


class _Converting:
    def __init__(self, of_keras_1: bool, backend: str, data_format: str) -> None:
        self.of_keras_1, self.backend, self.data_format = of_keras_1, backend, data_format

    def model(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        held = entry.get("config")
        if isinstance(held, list):
            return {**entry, "config": [self.layer(each) for each in held]}
        if isinstance(held, Mapping) and isinstance(held.get("layers"), list):
            return {**entry, "config": {**held, "layers": [self.layer(each) for each in held["layers"]]}}
        return dict(entry)

    def layer(self, entry: Any) -> Any:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("config"), Mapping | list):
            return entry
        written, held = str(entry.get("class_name", "")), entry["config"]
        if written == "Merge" and "layers" in held:
            raise Unreadable(
                f"The layer {held.get('name') or 'Merge'} joins several models of one input each; a network that begins "
                "so is not read. Save it as a Functional model."
            )
        if isinstance(held, list) or isinstance(held.get("layers"), list):
            return self.model(entry)
        settings = {key: self.layer(each) if key == "layer" else each for key, each in held.items()}
        if written in _CUDNN:
            return self._made(entry, written, _CUDNN[written], _cudnn(written, settings))
        if not self.of_keras_1:
            return {**entry, "config": settings}
        class_name = _CLASSES.get(written, written)
        if written == "Merge":
            class_name = _merging(settings)
        else:
            settings = _renamed(class_name, settings)
            self._place_channels(class_name, settings)
            _settle(class_name, settings)
        return self._made(entry, written, class_name, settings)

    def _made(
        self, entry: Mapping[str, Any], written: str, class_name: str, settings: Mapping[str, Any]
    ) -> dict[str, Any]:
        marked = {**settings, WRITTEN_AS: written, **({BACKEND: self.backend} if self.backend else {})}
        return {**entry, "class_name": class_name, "config": marked}

    def _place_channels(self, class_name: str, settings: dict[str, Any]) -> None:
        order = settings.pop("dim_ordering", None)
        if (
            class_name.endswith("3D")
            or (class_name.endswith("2D") and "data_format" not in settings)
            or class_name == "Conv2DTranspose"
        ):
            settings["data_format"] = _FORMATS.get(str(order), self.data_format)


def _renamed(class_name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    names = dict(_OF_ALL)
    if class_name.startswith(("Conv", "SeparableConv", "LocallyConnected")):
        names |= _OF_CONVOLUTIONS
    if class_name in ("Dense", *_RECURRENT):
        names["output_dim"] = "units"
    if class_name.endswith("Pooling1D"):
        names |= _OF_POOLING
    if "Dropout" in class_name:
        names["p"] = "rate"
    if class_name == "UpSampling1D":
        names["length"] = "size"
    if class_name == "Embedding":
        names["init"] = "embeddings_initializer"
    kept = _DROPPED - {"input_dim"} if class_name == "Embedding" else _DROPPED
    made = {names.get(key, key): value for key, value in settings.items() if key not in kept}
    for key, groups in _UNITED.items():
        for group in groups:
            if all(name in made for name in group):
                made[key] = [made.pop(name) for name in group]
    return made


def _settle(class_name: str, settings: dict[str, Any]) -> None:
    """Makes a layer's values those of Keras 2."""
    if class_name == "BatchNormalization":
        mode = settings.pop("mode", 0)
        if mode != 0:
            settings["mode"] = _BATCH_STATISTICS.get(mode, str(mode))
    if class_name == "ZeroPadding2D":
        settings["padding"] = _margins(settings.get("padding"))
    if class_name == "InputLayer" and "input_dtype" in settings:
        settings.setdefault("dtype", settings.pop("input_dtype"))
    if class_name == "Embedding":
        settings.pop("dropout", None)  # of words, in training


def _margins(padding: Any) -> Any:
    if isinstance(padding, Mapping):
        padding = [padding.get(f"{side}_pad", 0) for side in ("top", "bottom", "left", "right")]
    return [padding[:2], padding[2:]] if isinstance(padding, list) and len(padding) == 4 else padding


def _merging(settings: dict[str, Any]) -> str:
    """The class of a layer that merges in this mode, whose settings stay; ``Merge`` where the mode is code."""
    mode = settings.get("mode")
    class_name = _MERGES.get(mode) if isinstance(mode, str) and settings.get("mode_type", "raw") == "raw" else None
    if class_name is None:
        return "Merge"
    given = {"axis": settings.get("concat_axis", -1)} if class_name == "Concatenate" else {}
    if class_name == "Dot":
        axes = settings.get("dot_axes", -1)
        given = {"axes": axes, "normalize": mode == "cos"}
    name = {key: settings[key] for key in ("name", "trainable") if key in settings}
    settings.clear()
    settings.update({**name, **given})
    return class_name


def _cudnn(written: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a CuDNN layer computes, which has no settings for it."""
    given = {**settings, "activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True}
    return {**given, "reset_after": True} if written == "CuDNNGRU" else given


def _default_format(config: Mapping[str, Any]) -> str:
    """The order of axes of layers that do not say it, after the others, else after the input's shape."""
    settings = [_settings(entry) for entry in _all_layers(config)]
    orders = {each["dim_ordering"] for each in settings if each.get("dim_ordering") in _FORMATS}
    if len(orders) == 1:
        return _FORMATS[orders.pop()]
    shapes = [each["batch_input_shape"] for each in settings if isinstance(each.get("batch_input_shape"), list)]
    first = shapes[0] if shapes else []
    is_first = len(first) == 4 and first[1] in (1, 3, 4) and first[3] not in (1, 3, 4)
    return "channels_first" if is_first else "channels_last"


def _settings(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    held = entry.get("config")
    return held if isinstance(held, Mapping) else {}


def _all_layers(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every layer, those in models and wrappers too."""
    held = config.get("config")
    entries: Sequence[Any] = held if isinstance(held, list) else _settings(config).get("layers") or []
    entries = [*entries, _settings(config).get("layer")] if isinstance(entries, list) else []
    for entry in entries:
        if isinstance(entry, Mapping):
            yield entry
            yield from _all_layers(entry)


# --------------------------------------------------------------------------------------------------- what is said


def remarks_on(config: Mapping[str, Any], backend: str | None) -> list[str]:
    """Sentences about what was converted; ``backend`` is the one that the file of the weights names."""
    layers = list(_all_layers(config))
    classes = {(str(_settings(each)[WRITTEN_AS]), str(each.get("class_name"))) for each in layers
               if WRITTEN_AS in _settings(each)}  # fmt: skip
    renamed = ", ".join(f"{old} as {new}" for old, new in sorted(classes) if old != new)
    if not classes:
        return _on_backend(layers, backend) if backend == "theano" else []
    if all(old in _CUDNN for old, _ in classes):
        return [f"Layers that only CuDNN computes are read as others: {renamed}, their kernels and biases rearranged."]
    said = [f"Keras {config.get('keras_version') or '1'} wrote the network, which is read in the words of Keras 2"
            f"{': ' + renamed if renamed else ''}."]  # fmt: skip
    if any(new == "BatchNormalization" for _, new in classes):
        said.append("What Keras 1 calls running_std is read as the variance, which it contains.")
    return said + _on_backend(layers, backend)


def _on_backend(layers: Sequence[Mapping[str, Any]], backend: str | None) -> list[str]:
    wide = [each for each in layers if _is_wide(each)]
    if not wide:
        return []
    known = backend or str(_settings(wide[0]).get(BACKEND, ""))
    if not known:
        return [
            "Nothing says whether Theano or TensorFlow trained the network, so its kernels are taken as TensorFlow's, as "
            "Keras 2 does. If it was Theano, they are turned by half a turn: say so with the attribute backend = theano "
            "in the .h5 file, or with \"backend\": \"theano\" in model.json."
        ]  # fmt: skip
    if known != "theano":
        return []
    said = ["Theano trained the network: its kernels are turned by half a turn, as Keras 2 does."]
    uneven = [str(_settings(each).get("name")) for each in wide if _pads_otherwise(_settings(each))]
    if uneven:
        said.append(
            f"Theano pads {', '.join(uneven[:4])}{' and others' if len(uneven) > 4 else ''} otherwise than TensorFlow "
            "where a stride or an even width does not come out even: values may differ there."
        )
    return said


def _is_wide(entry: Mapping[str, Any]) -> bool:
    sizes = _settings(entry).get("kernel_size")
    sizes = sizes if isinstance(sizes, list) else [sizes]
    return str(entry.get("class_name")).startswith("Conv") and any(isinstance(size, int) and size > 1 for size in sizes)


def _pads_otherwise(settings: Mapping[str, Any]) -> bool:
    def numbers(key: str) -> list[int]:
        value = settings.get(key)
        return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, int)]

    odd_strides = any(stride > 1 for stride in numbers("strides"))
    return settings.get("padding") == "same" and (odd_strides or any(size % 2 == 0 for size in numbers("kernel_size")))
