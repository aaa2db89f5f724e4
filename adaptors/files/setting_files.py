"""Read how a run was trained from the small files that training programs leave in its folder: ``hparams.yaml``,
``args.json``, ``config.toml``, ``solver.prototxt`` and the like. Read without raising: problems become sentences.

Tables within tables become dotted names, such as ``optimizer.lr``. Of YAML and of Caffe's solvers only lines ``name: value``
without indentation are read. Lists and long texts are left out, and so is a ``config.json`` that describes a Keras network.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mloscope.adaptors.files.regular_files import read_regular

Setting = str | int | float | bool

NAMES = ("hparams", "hyperparameters", "params", "args", "config", "settings", "options", "solver")
ENDINGS = (".json", ".toml", ".yaml", ".yml", ".prototxt")
LARGEST_BYTES = 1 << 20
MOST_SETTINGS = 200
LONGEST_VALUE = 200
_DEEPEST = 3
_LINE = re.compile(r"([A-Za-z_][\w.-]*)\s*:\s*([^#{\[\n]+?)\s*(?:#.*)?$")


def read_setting_files(run: Path) -> tuple[dict[str, Setting], tuple[str, ...]]:
    """Return settings by name, and a sentence for each damaged file. ``run`` is the run's folder; a run that is a single
    file has none. Of two files that say something of one name, the first of :data:`NAMES` is right."""
    found: dict[str, Setting] = {}
    problems: list[str] = []
    for path in (run / f"{name}{ending}" for name in NAMES for ending in ENDINGS):
        try:
            if not path.is_file():
                continue
            for name, value in _settings(path.suffix, read_regular(path, LARGEST_BYTES).decode("utf-8-sig")):
                if len(found) < MOST_SETTINGS:
                    found.setdefault(name, value)
        except (OSError, ValueError, RecursionError) as error:
            reason = str(getattr(error, "strerror", None) or error).rstrip(".")
            problems.append(f"{path.name} is ignored, because it cannot be read: {reason}.")
    return found, tuple(problems)


def _settings(ending: str, text: str) -> Iterator[tuple[str, Setting]]:
    if ending in (".json", ".toml"):
        document = json.loads(text) if ending == ".json" else tomllib.loads(text)
        if isinstance(document, Mapping) and not {"class_name", "config"} <= document.keys():
            yield from _flat(document, "", _DEEPEST)
        return
    for line in text.splitlines():
        if match := _LINE.match(line):
            yield match[1], _scalar(match[2])


def _flat(table: Mapping[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, Setting]]:
    for name, value in table.items():
        if isinstance(value, Mapping) and depth > 1:
            yield from _flat(value, f"{prefix}{name}.", depth - 1)
        elif isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= LONGEST_VALUE):
            yield f"{prefix}{name}"[:LONGEST_VALUE], value


def _scalar(text: str) -> Setting:
    if text[:1] in "\"'" and text[-1:] == text[:1] and len(text) > 1:
        return text[1:-1]
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text[:LONGEST_VALUE]
