"""A configuration that Keras 2 wrote, or any Keras into a legacy ``.h5`` file, as today's Keras takes it.

Initializers, regularizers and constraints go, for they only matter in training. Settings that are called otherwise
today are renamed; what Keras computes otherwise today is replaced (:mod:`keras_operators`). A setting that today's
layer does not take goes only where it says nothing, or nothing about what the layer computes: anything else is an
error, for without it the network would be another one.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mloscope.adaptors.interface import Unreadable
from mloscope.adaptors.readers.keras.arrays import group_name
from mloscope.adaptors.readers.keras.files import plain_lists
from mloscope.adaptors.readers.keras.legacy_config import BACKEND, WRITTEN_AS
from mloscope.adaptors.readers.keras.operators import is_operator, operator_call, operator_function
from mloscope.adaptors.readers.keras.references import is_reference
from mloscope.adaptors.readers.keras.shapes import KINDS

TRAINING_ONLY = ("_initializer", "_regularizer", "_constraint")
OF_KERAS_2 = "of_keras_2"
"""What stands behind the name of a function that Keras 3 computes otherwise."""

_TODAY = {"SyncBatchNormalization": "BatchNormalization", "ThresholdedReLU": "ReLU"}
_SETTINGS = {
    "LeakyReLU": {"alpha": "negative_slope"},
    "ThresholdedReLU": {"theta": "threshold"},
    "InputLayer": {"batch_input_shape": "batch_shape"},
}
# Settings of layers of Keras 2 that say nothing about what the layer computes from its input and its weights.
_WITHOUT_EFFECT = {
    *("batch_input_shape", "input_shape", "input_dtype", "input_dim", "input_length", "sparse", "ragged"),
    *("fused", "renorm", "renorm_clipping", "renorm_momentum", "virtual_batch_size", "adjustment", "implementation"),
    *("noise_shape", "seed", "autocast", "query_shape", "key_shape", "value_shape", "shared_object_id", "filters"),
    *("build_input_shape", "expects_training_arg", "num_constants", "experimental_run_tf_function", "optional"),
    *(BACKEND, WRITTEN_AS),
}
_WRAPPED = ("layer", "backward_layer", "cell")
_ACTIVATIONS = ("activation", "recurrent_activation")
_CHANGED_FUNCTIONS = {"hard_sigmoid"}
_MODULES = {"Functional": "keras.src.models.functional", "Sequential": "keras"}  # as Keras 3 writes them


def modernised(
    config: Mapping[str, Any], keras: Any, source: str, older: bool, custom: Mapping[str, Any]
) -> dict[str, Any]:
    """The configuration of the model. ``older``: a Keras before 3 wrote it, so it means what that computed; ``custom``:
    the user's own classes by name, whose layers are left as they are. Raises Unreadable, naming the layer."""
    return _Modernising(keras, source, older, custom).model(config)


class _Modernising:
    def __init__(self, keras: Any, source: str, older: bool, custom: Mapping[str, Any]) -> None:
        self.keras, self.source, self.older, self.custom = keras, source, older, custom
        exported = {name: item for name, item in vars(keras.layers).items() if isinstance(item, type)}
        self._classes = {item.__name__: name for name, item in exported.items()} | {name: name for name in exported}

    def model(self, config: Mapping[str, Any]) -> dict[str, Any]:
        settings = plain_lists(config.get("config"))
        settings = {"layers": settings} if isinstance(settings, list) else dict(settings)
        functional = "input_layers" in settings
        entries = settings["layers"]
        if functional:
            settings["layers"] = [self._with_nodes(entry) for entry in entries]
            _renumber_sequentials(settings)
        else:
            settings["layers"] = [*self._input_of_chain(entries, settings), *map(self.layer, entries)]
        taken = {"name", "trainable", "layers", "input_layers", "output_layers"}
        settings = {key: value for key, value in settings.items() if key in taken}
        settings.setdefault("name", str(config.get("name") or "model"))
        settings["name"] = name_of_today(settings["name"])
        return _object("Functional" if functional else "Sequential", settings)

    def _input_of_chain(self, entries: list[Any], settings: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The input layer of a Sequential that was saved without one."""
        first = entries[0] if entries else {}
        own = _settings(first)
        shape = own.get("batch_input_shape") or settings.get("build_input_shape")
        while not shape and "layers" in own:  # a Sequential whose first layer is a model
            first = own["layers"][0] if own["layers"] else {}
            own = _settings(first)
            shape = own.get("batch_input_shape") or own.get("batch_shape")
        if not shape or entries[0].get("class_name") == "InputLayer":
            return []
        given = {"batch_shape": shape, "name": f"{name_of_today(str(settings.get('name', 'model')))}_input"}
        dtype = _dtype(own.get("dtype"))
        if isinstance(dtype, str):
            given["dtype"] = dtype.removeprefix("mixed_")
        return [_object("InputLayer", given)]

    def _with_nodes(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """A layer of a Functional model, with what it is called on."""
        name = str(entry.get("name") or _settings(entry).get("name"))
        nodes = entry.get("inbound_nodes") or []
        if is_operator(entry):
            made, nodes = self._operator(entry, name)
        else:
            made, nodes = self.layer(entry), [_node(node) for node in nodes]
        made["config"]["name"] = made["name"] = name_of_today(name)
        return {**made, "inbound_nodes": nodes}

    def layer(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        settings = _settings(entry)
        if "layers" in settings:
            made = self.model(entry)
            return made
        written = str(entry.get("class_name", ""))
        name = str(entry.get("name") or settings.get("name") or group_name(written))
        if written in self.custom or str(entry.get("registered_name")) in self.custom:
            return {**entry, "module": entry.get("module"), "registered_name": entry.get("registered_name") or written}
        class_name = self._class_of(written, name)
        settings = {_SETTINGS.get(written, {}).get(key, key): value for key, value in settings.items()}
        if class_name == "GRU" and self.older:
            settings.setdefault("reset_after", False)  # the only way there was
        if class_name == "BatchNormalization" and isinstance(settings.get("axis"), list):
            settings["axis"] = settings["axis"][0]
        for key in _WRAPPED:
            if isinstance(settings.get(key), Mapping):
                settings[key] = self.layer(settings[key])
        if isinstance(settings.get("cells"), list):
            settings["cells"] = [self.layer(cell) for cell in settings["cells"]]
        if isinstance(settings.get("cell"), list):
            settings["cell"] = [self.layer(cell) for cell in settings["cell"]]
        for key in _ACTIVATIONS:
            if key in settings:
                settings[key] = self._activation(settings[key])
        if "dtype" in settings:
            settings["dtype"] = _dtype(settings["dtype"])
        if "name" in settings:
            settings["name"] = name_of_today(str(settings["name"]))
        return _object(class_name, self._taken(class_name, name, settings))

    def _class_of(self, written: str, name: str) -> str:
        found = written.rpartition(">")[2]
        for known in (found, _TODAY.get(found), found.removesuffix("V1"), found.removesuffix("V2")):
            if known in self._classes:
                return self._classes[known]
        raise Unreadable(
            f"{self.source}: the layer {name} is a {written}, which Keras {self.keras.__version__} does not have. "
            "Where it is a class of your own, name the module with its code (--custom-objects module)."
        )

    def _taken(self, class_name: str, name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
        taken = {"name", "dtype", "trainable"}
        for each in getattr(self.keras.layers, class_name).__mro__:
            if "__init__" in vars(each):
                parameters = inspect.signature(each.__init__).parameters
                taken |= set(parameters)
                if "kwargs" not in parameters:
                    break
        without_effect = KINDS.get(class_name) == "dropout" or class_name.startswith("Random")
        kept = {}
        for key, value in settings.items():
            if key.endswith(TRAINING_ONLY):
                continue
            if key in taken:
                kept[key] = value
            elif not (without_effect or key in _WITHOUT_EFFECT or _says_nothing(value)):
                raise Unreadable(
                    f"{self.source}: the layer {name} ({class_name}) has the setting {key} = {str(value)[:80]}, which "
                    f"Keras {self.keras.__version__} does not know; without it the layer would compute something else."
                )
        return kept

    def _activation(self, value: Any) -> Any:
        if isinstance(value, Mapping) and value.get("class_name") == "function":
            value = value.get("config")
        if isinstance(value, Mapping) and str(value.get("class_name")) in self._classes:
            return self.layer(value)
        if isinstance(value, str) and value in self.custom:
            return _function(value)
        if isinstance(value, str):
            value = value.removesuffix("_v2")
            if self.older and value in _CHANGED_FUNCTIONS:
                return _function(f"{value}_{OF_KERAS_2}")
        return value

    def _operator(self, entry: Mapping[str, Any], name: str) -> tuple[dict[str, Any], list[Any]]:
        """The layer that computes a TensorFlow operator, and what it is called on."""
        call = operator_call(entry)
        if call is None:
            raise Unreadable(
                f"{self.source}: the layer {name} computes the TensorFlow function {operator_function(entry)}, which "
                "is not translated here."
            )
        settings = {"function": call.function, "first": call.first, "keywords": call.keywords}
        made = _object("Operator", settings) | {"module": None, "registered_name": "mloscope>Operator"}
        tensors = [[name_of_today(reference[0]), *reference[1:], {}] for reference in call.tensors]
        return made, [tensors]


def _says_nothing(value: Any) -> bool:
    return value is None or value is False or (value is not True and value in (1, "", [], {}))


def name_of_today(name: str) -> str:
    """Keras 3 allows no slash in the name of a layer; see ``keras_building``, which gives it back."""
    return name.replace("/", ".")


def old_names(config: Mapping[str, Any]) -> Iterator[str]:
    """The names of layers and models, however deep, that have a slash."""
    for key, value in config.items() if isinstance(config, Mapping) else ():
        if key == "name" and isinstance(value, str) and "/" in value:
            yield value
        elif isinstance(value, Mapping):
            yield from old_names(value)
        elif isinstance(value, list):
            for item in value:
                yield from old_names(item) if isinstance(item, Mapping) else ()


def _settings(entry: Mapping[str, Any]) -> dict[str, Any]:
    settings = entry.get("config")
    return {"layers": settings} if isinstance(settings, list) else dict(settings or {})


def _dtype(value: Any) -> Any:
    """A policy as Keras 2 writes it, by its name."""
    if isinstance(value, Mapping) and isinstance(value.get("config"), Mapping):
        return value["config"].get("name", "float32")
    return value


def _node(node: Any) -> Any:
    """One call of a layer. Where it has arguments beyond its inputs, tensors may be among them, and only the newer way
    of writing has words for those."""
    if isinstance(node, Mapping):
        return {key: _mapped(value, _renamed_history) for key, value in node.items()}
    given = [node] if is_reference(node) else list(node)
    keywords: dict[str, Any] = {}
    for reference in given:
        if is_reference(reference) and len(reference) > 3 and isinstance(reference[3], Mapping):
            keywords |= {key: value for key, value in reference[3].items() if key not in ("training", "mask", "name")}
    first = [_tensor(reference) for reference in given if is_reference(reference)]
    if not keywords:
        return [[name_of_today(reference[0]), reference[1], reference[2], {}] for reference in given]
    keywords = {key: _mapped(value, lambda item: _tensor(item) if is_reference(item) else None)
                for key, value in keywords.items()}  # fmt: skip
    return {"args": [first[0] if len(first) == 1 else first], "kwargs": keywords}


def _mapped(value: Any, replaced: Callable[[Any], Any]) -> Any:
    new = replaced(value)
    if new is not None:
        return new
    if isinstance(value, Mapping):
        return {key: _mapped(item, replaced) for key, item in value.items()}
    return [_mapped(item, replaced) for item in value] if isinstance(value, list) else value


def _renamed_history(value: Any) -> Any:
    if isinstance(value, Mapping) and value.get("class_name") == "__keras_tensor__":
        settings = dict(value["config"])
        name, *place = settings["keras_history"]
        return {**value, "config": {**settings, "keras_history": [name_of_today(name), *place]}}
    return None


def _tensor(reference: list[Any]) -> dict[str, Any]:
    history = [name_of_today(reference[0]), reference[1], reference[2]]
    # Keras looks at nothing but the history.
    return {
        "class_name": "__keras_tensor__",
        "config": {"shape": [None], "dtype": "float32", "keras_history": history},
    }


def _renumber_sequentials(settings: dict[str, Any]) -> None:
    """Keras 2 counts a nested Sequential's own making as its first call, today's Keras does not; and names are
    today's."""
    sequentials = {entry["name"] for entry in settings["layers"] if entry.get("class_name") == "Sequential"}
    boundaries = [settings.get("input_layers"), settings.get("output_layers")]
    for reference in _references(boundaries):
        reference[0] = name_of_today(reference[0])
    references = [
        reference
        for value in (*(entry.get("inbound_nodes") for entry in settings["layers"]), *boundaries)
        for reference in _references(value)
        if reference[0] in sequentials
    ]
    for name in sequentials:
        own = [reference for reference in references if reference[0] == name]
        if own and min(reference[1] for reference in own) > 0:
            for reference in own:
                reference[1] -= 1


def _references(value: Any) -> Iterator[list[Any]]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        if len(value) >= 3 and isinstance(value[0], str) and isinstance(value[1], int):
            yield value
        for item in value:
            yield from _references(item)


def _function(name: str) -> dict[str, Any]:
    return {"module": "builtins", "class_name": "function", "config": name, "registered_name": name}


def _object(class_name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "module": _MODULES.get(class_name, "keras.layers"),
        "class_name": class_name,
        "config": dict(settings),
        "registered_name": None,
    }
