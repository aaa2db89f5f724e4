"""User settings for a network's output: its layer and the names of its classes.

Settled in ``mloscope.toml`` or on the command line (a list, or a file of names), or on a page and through REST. The latter
is kept in the cache folder, a small file for each run, read by every web worker and command that uses the folder.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mloscope.app.errors import BadRequest, NotFound
from mloscope.app.process.kept_beside_paths import KeptBesidePaths

MOST_CLASSES = 100_000
LONGEST_NAME = 500
_LONGEST_FILE_BYTES = 16 << 20


@dataclass(frozen=True)
class NamedOutputs:
    """The settings of one run. Empty parts are not set."""

    output: str | None = None
    """The layer that tells classes."""
    classes: tuple[str, ...] = ()
    """A name for each class, in the order of the network's outputs."""

    @property
    def version(self) -> str:
        """Changes with the settings; the same in every process."""
        return hashlib.sha256(json.dumps([self.output, self.classes]).encode()).hexdigest()[:12]


class NamedOutputsStore:
    """Settings made on pages and through REST, by the run's path. Thread-safe; without a folder nothing is saved."""

    def __init__(self, folder: str | Path | None) -> None:
        self._kept = KeptBesidePaths(Path(folder) / "outputs" if folder is not None else None, _parsed)

    def find(self, run: Path) -> NamedOutputs | None:
        """Return the settings of the run at this path."""
        return self._kept.find(run)

    def save(self, run: Path, settled: NamedOutputs | None) -> None:
        """Save the settings; None removes them. Raises :class:`NotPossible` without a folder, and :class:`Unavailable`
        if it cannot be written at the moment."""
        document = {"run": str(run), "output": settled.output, "classes": list(settled.classes)} if settled else None
        self._kept.save(run, document)


def _parsed(document: Any) -> NamedOutputs:
    try:
        return NamedOutputs(document["output"], checked_names(document["classes"]))
    except BadRequest as error:
        raise ValueError(str(error)) from error


def checked_names(names: Any) -> tuple[str, ...]:
    """Return a list of class names. Raises :class:`BadRequest` for anything else and for empty, duplicate and overlong
    names."""
    if not isinstance(names, Sequence) or isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise BadRequest("Class names must be a list of texts, one per output of the network, in its order.")
    if len(names) > MOST_CLASSES:
        raise BadRequest(f"{len(names):,} class names were given; at most {MOST_CLASSES:,} are allowed.")
    stripped = tuple(name.strip() for name in names)
    seen: dict[str, int] = {}
    for number, name in enumerate(stripped):
        if not name or len(name) > LONGEST_NAME:
            raise BadRequest(
                f"Class name {number} is {'empty' if not name else 'too long'}; each needs 1 to {LONGEST_NAME} letters."
            )
        if name in seen:
            raise BadRequest(f'"{name}" names the outputs {seen[name]} and {number}; each needs a name of its own.')
        seen[name] = number
    return stripped


def read_class_names(path: Path) -> tuple[str, ...]:
    """Read class names from a file: one name per line; a JSON list; or a JSON object of numbers and names in either
    direction, as in Keras' ``class_indices`` and ``imagenet_class_index.json``. Raises :class:`NotFound` or
    :class:`BadRequest`."""
    try:
        if not path.is_file():
            raise NotFound(f"The file of class names {path} does not exist.")
        with open(path, "rb") as file:
            data = file.read(_LONGEST_FILE_BYTES + 1)
    except OSError as error:
        raise BadRequest(f"The class names {path} cannot be read: {error.strerror or error}.") from error
    if len(data) > _LONGEST_FILE_BYTES:
        raise BadRequest(
            f"The class names {path} are larger than {_LONGEST_FILE_BYTES >> 20} MiB; expected a list of names."
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadRequest(f"The class names {path} are not UTF-8 text.") from None
    if text.lstrip()[:1] not in ("{", "["):
        lines = [line.strip() for line in text.splitlines()]
        while lines and not lines[-1]:
            lines.pop()
        names: Any = lines
    else:
        try:
            names = _from_json(json.loads(text))
        except (ValueError, RecursionError, KeyError, TypeError, IndexError):
            raise BadRequest(
                f"{path} is not a list of class names; expected one name per line, a JSON list, or a JSON object of numbers "
                "and names."
            ) from None
    try:
        return checked_names(names)
    except BadRequest as error:
        raise BadRequest(f"In {path}: {error}") from None


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return value
    by_number: dict[int, Any] = {}
    for key, item in value.items():
        number, name = (int(key), item) if str(key).isdecimal() else (item, key)
        by_number[int(number)] = name
    names = [by_number[number] for number in range(len(by_number))]
    plain = [name[-1] if isinstance(name, list) else name for name in names]  # ["n01440764", "tench"]
    often = Counter(plain)
    # ImageNet has two cranes and two maillots, distinguished by their WordNet numbers.
    return [
        f"{short} ({name[0]})" if isinstance(name, list) and often[short] > 1 else short
        for name, short in zip(names, plain, strict=True)
    ]
