"""The description of a Keras network that lies beside its checkpoints or that the options name, and what of any description
is checked."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mloscope.adaptors.files.regular_files import read_regular
from mloscope.adaptors.interface import NothingThere, RunOptions, Unreadable
from mloscope.adaptors.readers.keras import files as keras_files
from mloscope.adaptors.readers.keras import quantised as keras_quantised
from mloscope.adaptors.readers.keras.architecture import Node, nodes_of

FUNCTION_TIMEOUT_S = 300
# Runs in a process of its own: what the user's function imports must not end up in ours.
_ASK_FUNCTION = (
    "import importlib, os, sys; sys.path.insert(0, os.getcwd()); module, _, name = "
    "sys.argv[1].partition(':');"
    "print('\\n' + getattr(importlib.import_module(module), name)().to_json())"
)


def named_file(folder: Path, options: RunOptions) -> Path | None:
    """The file that the options name as the architecture, in the run's folder or here; None where it is none."""
    places = [folder / options.architecture, Path(options.architecture)] if options.architecture else []
    return next((place for place in places if place.is_file()), None)


def given_architecture(folder: Path, options: RunOptions, beside: Path | None) -> tuple[Mapping[str, Any], str]:
    """The configuration and where it was read: what the options name, else the file ``beside``. Raises NothingThere
    and Unreadable."""
    named = options.architecture
    if named is None:
        assert beside is not None
        return _configuration_in(beside), beside.name
    path = named_file(folder, options)
    if path is not None:
        return _configuration_in(path), str(path)
    if ":" not in named:
        raise NothingThere(f"The architecture {named} is neither a file here or in {folder}, nor module:function.")
    asked = subprocess.run(
        [sys.executable, "-c", _ASK_FUNCTION, named],
        capture_output=True,
        text=True,
        timeout=FUNCTION_TIMEOUT_S,
        check=False,
    )
    if asked.returncode:
        reason = (asked.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise Unreadable(f"The function {named} gave no Keras model: {reason}")
    return keras_files.parse_config(asked.stdout.strip().splitlines()[-1].encode(), Path(named)), named


def _configuration_in(path: Path) -> Mapping[str, Any]:
    if path.name.lower().endswith(".json"):
        try:
            data = read_regular(path, keras_files.LARGEST_CONFIG_BYTES)
        except OSError as error:
            raise Unreadable(f"{path} cannot be read as a model's configuration: {error.strerror or error}.") from error
        return keras_files.parse_config(data, path)
    data = keras_files.config_bytes(path)
    if data is None:
        raise Unreadable(f"{path} holds no model's configuration.")
    return keras_files.parse_config(data, path)


def refuse_unknown_quantisation(nodes: Sequence[Node], source: str) -> None:
    """Raises Unreadable where a layer is quantised in a way that is not read."""
    reason = keras_quantised.refusal([(node.name, node.source_class, node.config) for node in nodes])
    if reason is not None:
        raise Unreadable(f"{source} cannot be read: {reason}.")


def parsed_nodes(config: Mapping[str, Any], source: str) -> list[Node]:
    """The configuration's layers. Raises Unreadable where it is none, or has none."""
    try:
        nodes = nodes_of(config)
        json.dumps([dict(node.config) for node in nodes])
    except (AttributeError, LookupError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise Unreadable(f"{source}: the model's configuration cannot be understood ({error!r}).") from error
    if not nodes:
        raise Unreadable(
            f"{source} describes no layers; a model that is a class of its own is stored without them. "
            "Save it as a Functional or Sequential model."
        )
    return nodes
