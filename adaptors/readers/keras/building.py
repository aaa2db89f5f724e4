"""A Keras model from its configuration, built by today's Keras and never running code that came with the
file."""

from __future__ import annotations

import copy
import functools
import importlib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mloscope.adaptors.installation import how_to_add
from mloscope.adaptors.interface import AdaptorError, DependencyMissing, Refused, Unreadable
from mloscope.adaptors.readers.keras.architecture import layers_in
from mloscope.adaptors.readers.keras.modernising import TRAINING_ONLY, modernised, name_of_today, old_names

if TYPE_CHECKING:
    import keras

_OWN_MODULES = ("keras", "tf_keras", "builtins")


def build_model(
    config: Mapping[str, Any], source: str, function: str | None, trust: bool, custom_objects: str | None = None
) -> keras.Model:
    """The model with fresh weights, not compiled: what the user's ``module:function`` gives, else what the
    configuration describes, with the classes and functions of the user's module ``custom_objects``. Raises Refused (a
    Lambda, or a class from neither Keras nor that module, unless ``trust``), DependencyMissing (no Keras) and
    Unreadable (Keras cannot build it)."""
    if function is None and custom_objects is None and not trust:
        refuse_code(config, source)
    try:
        import keras
    except ImportError as error:
        raise DependencyMissing(f"Evaluating a Keras network needs TensorFlow: {how_to_add('evaluate')}") from error
    custom = objects_of(custom_objects) if custom_objects is not None else {}
    if function is not None:
        return _called(function)
    if not trust:
        refuse_code(config, source, custom)
    from mloscope.adaptors.readers.keras.operators import functions_of_keras_2, operator_layer

    ours = {"mloscope>Operator": operator_layer(), **functions_of_keras_2()}
    version = config.get("keras_version")
    try:
        today = (
            _without_training(config, custom)
            if _is_modern(config)
            else modernised(config, keras, source, _is_older(config), custom)
        )
        model = keras.saving.deserialize_keras_object(today, custom_objects={**custom, **ours}, safe_mode=not trust)
    except AdaptorError:
        raise
    except Exception as error:  # whatever a foreign configuration makes Keras raise
        written = f", which Keras {version} wrote" if version else ""
        raise Unreadable(
            f"{source}: Keras {keras.__version__} cannot build this network{written}: {cause_of(error)}"
        ) from error
    _give_names_back(model, config)
    return model


_BOLD = re.compile(r"\x1b\[[0-9;]*m")


def cause_of(error: BaseException) -> str:
    """The last line of what Keras says, where the cause stands; a configuration or the arguments of a call that it quotes are
    left out, and so is what makes it bold on a terminal."""
    said = _BOLD.sub("", str(error).partition("Arguments received by ")[0] or str(error))
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    words = lines[-1].removeprefix("Exception encountered: ")
    for quoted in ("Full object config:", "config={"):
        if words.find(quoted) > 0:
            words = words[: words.find(quoted)]
    return words.strip()[:500]


def _give_names_back(model: keras.Model, config: Mapping[str, Any]) -> None:
    """Names with a slash: Keras 3 makes no layer with one, and no scope."""
    import keras

    names = {name_of_today(name): name for name in old_names(config)}
    for layer in model._flatten_layers() if names else ():
        if layer.name in names:
            layer._open_name_scope = functools.partial(keras.name_scope, layer.name)
            layer.name = names[layer.name]


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


def objects_of(module: str) -> dict[str, Any]:
    """The classes and functions of the user's module by name, and all that importing it registers with Keras; modules
    of the current folder are found too."""
    import keras

    sys.path.insert(0, os.getcwd())
    try:
        imported = importlib.import_module(module)
    except Exception as error:  # the user's own code
        raise Unreadable(f"The module of custom objects {module} cannot be imported: {error!r}") from error
    finally:
        sys.path.remove(os.getcwd())
    own = {
        name: value
        for name, value in vars(imported).items()
        if callable(value) and not name.startswith("_") and getattr(value, "__module__", "").split(".")[0] != "keras"
    }
    return {**own, **keras.saving.get_custom_objects()}


def refuse_code(config: Mapping[str, Any], source: str, custom: Mapping[str, Any] | None = None) -> None:
    """Raises Refused, naming the layer, where building the model would run code from the file, or from outside
    Keras and ``custom``."""
    for name, entry in layers_in(config):
        if entry.get("class_name") == "Lambda":
            raise Refused(
                f"The layer {name} in {source} is a Lambda layer, which holds code that evaluating the "
                "network would run. "
                "It is refused unless you trust the file (--trust)."
            )
        # A nested model's own layers come by themselves, under their own names; what matters in training alone is
        # not built.
        shallow = {
            key: value
            for key, value in (entry.get("config") or {}).items()
            if isinstance(entry.get("config"), Mapping) and key != "layers" and not key.endswith(TRAINING_ONLY)
        }
        for found in _objects({**entry, "config": shallow}):
            if _is_code(found) and not _given(found, custom or {}):
                raise Refused(
                    f"The layer {name} in {source} needs {_called_in(found)}, which is not part of Keras. Name the "
                    "module that defines it (--custom-objects module), which is then imported."
                )


def _is_code(found: Mapping[str, Any]) -> bool:
    module = str(found.get("module") or "keras")
    if found.get("class_name") == "function":
        return ">" in str(found.get("config")) or not (module == "builtins" or module.split(".")[0] in _OWN_MODULES)
    return found.get("class_name") == "__lambda__" or module.split(".")[0] not in _OWN_MODULES


def _given(found: Mapping[str, Any], custom: Mapping[str, Any]) -> bool:
    if found.get("class_name") == "function":
        return found.get("config") in custom
    return found.get("registered_name") in custom or found.get("class_name") in custom


def _called_in(found: Mapping[str, Any]) -> str:
    if found.get("class_name") == "function":
        return f"the function {found.get('module')}.{found.get('config')}".replace(" builtins.", " ")
    return f"{found.get('module')}.{found.get('class_name')}"


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        if "class_name" in value:
            yield value
        for item in value.values():
            yield from _objects(item)
    elif isinstance(value, list):
        for item in value:
            yield from _objects(item)


def _is_modern(config: Mapping[str, Any]) -> bool:
    """Whether Keras 3 wrote it in a form that it reads itself: with a module for every object."""
    return "module" in config and not _is_older(config)


def _is_older(config: Mapping[str, Any]) -> bool:
    """Whether a Keras before 3 wrote it. Where the file does not say, an input layer does."""
    version = re.match(r"\d+", str(config.get("keras_version") or ""))
    if version:
        return int(version[0]) < 3
    settings = [entry.get("config") for _, entry in layers_in(config)]
    if any(isinstance(each, Mapping) and "batch_input_shape" in each for each in settings):
        return True
    return "module" not in config and not any(isinstance(each, Mapping) and "batch_shape" in each for each in settings)


def _without_training(config: Mapping[str, Any], custom: Mapping[str, Any]) -> dict[str, Any]:
    """Evaluating needs no optimizer and no initializer, and a custom one must not keep a network from being looked
    at. A class of the user's own keeps all its settings: it may need them. Keras takes apart the dictionary it is
    given, hence the copy."""
    today = copy.deepcopy(
        {key: value for key, value in config.items() if key not in ("compile_config", "keras_version")}
    )
    for _, entry in layers_in(today):
        settings = entry.get("config")
        if isinstance(settings, dict) and not _is_code(entry) and not _given(entry, custom):
            for key in [key for key in settings if key.endswith(TRAINING_ONLY)]:
                del settings[key]
    return today
