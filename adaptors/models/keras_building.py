"""A Keras model from its configuration, built by today's Keras and never running code that came with the
file."""

from __future__ import annotations

import copy
import importlib
import inspect
import os
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mloscope.adaptors.installation import how_to_add
from mloscope.adaptors.interface import AdaptorError, DependencyMissing, Refused, Unreadable
from mloscope.adaptors.models.keras_architecture import layers_in

if TYPE_CHECKING:
    import keras
    import numpy as np

_OWN_MODULES = ("keras", "builtins")


def build_model(config: Mapping[str, Any], source: str, function: str | None, trust: bool) -> keras.Model:
    """The model with fresh weights, not compiled: what the user's ``module:function`` gives, else what the
    configuration describes. Raises Refused (a Lambda, or a class from outside Keras,
    unless ``trust``), DependencyMissing (no Keras) and Unreadable (Keras cannot build it)."""
    if function is None and not trust:
        refuse_code(config, source)
    try:
        import keras
    except ImportError as error:
        raise DependencyMissing(f"Evaluating a Keras network needs TensorFlow: {how_to_add('evaluate')}") from error
    if function is not None:
        return _called(function)
    try:
        today = modernised(config, keras) if _is_of_keras_2(config) else _uncompiled(config)
        return keras.saving.deserialize_keras_object(today, safe_mode=not trust)
    except AdaptorError:
        raise
    except Exception as error:  # whatever a foreign configuration makes Keras raise
        reason = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
        raise Unreadable(f"{source}: Keras {keras.__version__} cannot build this network: {reason}") from error


def _called(named: str) -> keras.Model:
    """The model that the user's ``module:function`` gives; modules of the current folder are found too."""
    module, _, function = named.partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        return getattr(importlib.import_module(module), function)()
    except Exception as error:  # the user's own code
        raise Unreadable(f"The function {named} gave no Keras model: {error!r}") from error
    finally:
        sys.path.remove(os.getcwd())


def set_constants(model: keras.Model, weights: Mapping[str, np.ndarray]) -> None:
    """Gives the Normalization layers of the model their mean and variance, which Keras computes with as
    constants rather than as variables; they are fixed before training, so any checkpoint has them."""
    import keras

    for name, layer in _named_layers(model, ""):
        if isinstance(layer, keras.layers.Normalization) and f"{name}/mean" in weights:
            layer.load_own_variables({"0": weights[f"{name}/mean"], "1": weights[f"{name}/variance"], "2": 0})


def _named_layers(model: keras.Model, around: str) -> Iterator[tuple[str, Any]]:
    for layer in model.layers:
        yield f"{around}{layer.name}", layer
        if hasattr(layer, "layers"):
            yield from _named_layers(layer, f"{around}{layer.name}/")


def refuse_code(config: Mapping[str, Any], source: str) -> None:
    """Raises Refused, naming the layer, where building the model would run code from the file or from outside
    Keras."""
    for name, entry in layers_in(config):
        if entry.get("class_name") == "Lambda":
            raise Refused(
                f"The layer {name} in {source} is a Lambda layer, which holds code that evaluating the "
                "network would run. "
                "It is refused unless you trust the file (--trust)."
            )
        # A nested model's own layers come by themselves, under their own names.
        shallow = {
            key: value
            for key, value in (entry.get("config") or {}).items()
            if isinstance(entry.get("config"), Mapping) and key != "layers"
        }
        for found in _objects({**entry, "config": shallow}):
            module = found.get("module") or "keras"
            if found.get("class_name") == "__lambda__" or str(module).split(".")[0] not in _OWN_MODULES:
                raise Refused(
                    f"The layer {name} in {source} needs {module}.{found.get('class_name')}, which is not "
                    "part of Keras; loading "
                    "it would run that code. It is refused unless you trust the file (--trust)."
                )


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        if "class_name" in value:
            yield value
        for item in value.values():
            yield from _objects(item)
    elif isinstance(value, list):
        for item in value:
            yield from _objects(item)


def _is_of_keras_2(config: Mapping[str, Any]) -> bool:
    """Keras 3 names a module with every object it writes, except in the legacy ``.h5`` format."""
    return "module" not in config and "registered_name" not in config


def _uncompiled(config: Mapping[str, Any]) -> dict[str, Any]:
    # Evaluating needs no optimizer, and a custom loss must not keep a network from being looked at.
    # Keras takes apart the dictionary it is given, hence the copy.
    return copy.deepcopy({key: value for key, value in config.items() if key != "compile_config"})


def modernised(config: Mapping[str, Any], keras: Any) -> dict[str, Any]:
    """A configuration of Keras 2, or of a legacy ``.h5``, as today's Keras takes it.

    Initializers, regularizers and constraints go, for they only matter in training and their names have
    changed; so does every argument that the layer's class no longer takes.
    """
    entry: dict[str, Any] = copy.deepcopy(dict(config))
    settings = entry.get("config")
    if isinstance(settings, list):
        settings = {"layers": settings}
    settings = dict(settings or {})
    if "layers" in settings:
        first = settings["layers"][0] if settings["layers"] else {}
        shape = (first.get("config") or {}).get("batch_input_shape") or settings.get("build_input_shape")
        settings["layers"] = [modernised(layer, keras) for layer in settings["layers"]]
        functional = "input_layers" in settings
        if not functional and shape and first.get("class_name") != "InputLayer":
            settings["layers"].insert(
                0,
                _object("InputLayer", {"batch_shape": shape, "name": f"{settings.get('name', 'model')}_input"}),
            )
        settings.pop("build_input_shape", None)
        _renumber_sequentials(settings)
        return {**entry, **_object("Functional" if functional else "Sequential", settings)}
    class_name = str(entry.get("class_name", "")).removesuffix("V1")
    shape = settings.pop("batch_input_shape", None)
    if class_name == "InputLayer" and shape is not None:
        settings["batch_shape"] = shape
    if class_name == "BatchNormalization" and isinstance(settings.get("axis"), list):
        settings["axis"] = settings["axis"][0]
    known = getattr(keras.layers, class_name, None)
    if known is not None:
        taken = set(inspect.signature(known.__init__).parameters) | {"name", "dtype", "trainable"}
        settings = {
            key: value
            for key, value in settings.items()
            if key in taken and not key.endswith(("_initializer", "_regularizer", "_constraint"))
        }
    return {**entry, **_object(class_name, settings)}


def _renumber_sequentials(settings: dict[str, Any]) -> None:
    """Keras 2 counts a nested Sequential's own making as its first call, today's Keras does not."""
    sequentials = {
        entry.get("name") or entry["config"].get("name")
        for entry in settings["layers"]
        if entry.get("class_name") == "Sequential"
    }
    references = [
        reference
        for value in (
            *(entry.get("inbound_nodes") for entry in settings["layers"]),
            settings.get("output_layers"),
        )
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


def _object(class_name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    modules = {"Functional": "keras.src.models.functional", "Sequential": "keras"}  # as Keras 3 writes them
    return {
        "module": modules.get(class_name, "keras.layers"),
        "class_name": class_name,
        "config": dict(settings),
        "registered_name": None,
    }
