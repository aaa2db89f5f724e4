"""What a Keras configuration tells of operations on tensors and constants, as Keras' functional arithmetic leaves them
(``x / 127.5 - 1`` and the like), and of the losses a model was compiled with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mloscope.adaptors.readers.keras.references import is_reference

_MOST_NUMBERS = 4096
_NOT_OPERANDS = {"name", "training", "mask", "dtype", "out_type", "data_format"}


def operands_of(entry: Mapping[str, Any]) -> list[Any] | None:
    """The arguments of an operation's first call in order: None for a tensor, else the constant, nested lists of numbers for
    arrays. None where the entry is no call with arguments of its own.

    Keras 3 writes ``{"args": [...], "kwargs": {...}}``; Keras 2 ``[["layer", 0, 0, {"y": 127.5}]]``."""
    calls = entry.get("inbound_nodes") or []
    call = calls[0] if isinstance(calls, Sequence) and calls else None
    if isinstance(call, Mapping):
        keywords = call.get("kwargs")
        positional = call.get("args")
        arguments = list(positional) if isinstance(positional, Sequence) else []
    elif isinstance(call, list):
        first = call if call and isinstance(call[0], str) else call[0] if call and isinstance(call[0], list) else []
        if not first or not isinstance(first[0], str):
            return None
        arguments = [first[:3]]
        keywords = first[3] if len(first) > 3 else {}
    else:
        return None
    keywords = keywords if isinstance(keywords, Mapping) else {}
    arguments += [value for key, value in keywords.items() if key not in _NOT_OPERANDS]
    return [_operand(value) for value in arguments]


def _operand(value: Any) -> Any:
    if _is_tensor(value):
        return None
    if isinstance(value, Mapping) and value.get("class_name") in ("__tensor__", "__numpy__"):
        held = value.get("config")
        return _constant(held.get("value") if isinstance(held, Mapping) else None)
    if isinstance(value, list):
        return None if value and all(_is_tensor(item) for item in value) else _constant(value)
    return value


def _constant(value: Any) -> Any:
    """The value; a sentence in its place where it is too long to be a layer's setting."""
    try:
        size = np.size(value)
    except ValueError:  # lists of unequal lengths, such as slices
        return value
    return value if size <= _MOST_NUMBERS else f"{size} numbers"


def _is_tensor(value: Any) -> bool:
    if isinstance(value, Mapping):
        return value.get("class_name") == "__keras_tensor__"
    return is_reference(value)


# ------------------------------------------------------------------------------------------------------ losses


def losses_of(compiled: Any, outputs: Sequence[str]) -> dict[str, str]:
    """By name of an output layer, the loss of a ``compile_config`` (Keras 3) or ``training_config`` (Keras 2); empty where
    there is none that can be understood."""
    loss = compiled.get("loss") if isinstance(compiled, Mapping) else None
    if loss is None or not outputs:
        return {}
    if isinstance(loss, Mapping) and "class_name" not in loss:
        known = {output.rpartition("/")[2]: output for output in outputs}
        named = {known[name]: _name(each) for name, each in loss.items() if name in known}
    elif isinstance(loss, list):
        named = {output: _name(each) for output, each in zip(outputs, loss, strict=False)}
    else:
        named = dict.fromkeys(outputs, _name(loss))
    return {output: name for output, name in named.items() if name}


def _name(loss: Any) -> str:
    if isinstance(loss, str):
        return loss
    if isinstance(loss, Mapping):
        settings = loss.get("config")
        name = loss.get("class_name")
        if name == "function" and isinstance(settings, str):
            return settings
        if isinstance(settings, Mapping) and name == "LossFunctionWrapper":
            return _name(settings.get("fn")) or str(settings.get("name", ""))
        return str(name or "")
    return ""


def parsed_training_config(value: Any) -> Any:
    """The attribute ``training_config`` of an ``.h5`` file; None where it is no JSON."""
    try:
        return json.loads(value) if isinstance(value, str | bytes) else None
    except (ValueError, RecursionError):
        return None
