"""Tags and groups that people give runs, kept in the cache folder for everybody who uses it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mloscope.app.errors import BadRequest
from mloscope.app.process.kept_beside_paths import KeptBesidePaths

MOST_TAGS = 30
LONGEST = 60


@dataclass(frozen=True)
class RunLabels:
    """What people say of one run."""

    tags: tuple[str, ...] = ()
    """Each once, in alphabetical order."""
    group: str = ""
    """The group it belongs to, "" for none."""

    @classmethod
    def of(cls, tags: Sequence[str], group: str = "") -> RunLabels:
        """Raises :class:`BadRequest` for too many, overlong or unprintable ones, and for tags with a comma."""
        stripped = sorted({tag.strip() for tag in tags} - {""}, key=str.casefold)
        if len(stripped) > MOST_TAGS:
            raise BadRequest(f"{len(stripped)} tags were given; a run can have at most {MOST_TAGS}.")
        for word, what in (*((tag, "tag") for tag in stripped), (group.strip(), "group")):
            if len(word) > LONGEST or not word.isprintable():
                raise BadRequest(f'The {what} "{word[:LONGEST]}" must be printable text of at most {LONGEST} letters.')
            if what == "tag" and "," in word:
                raise BadRequest(f'The tag "{word}" has a comma, which separates tags.')
        return cls(tuple(stripped), group.strip())


NONE = RunLabels()


class RunLabelsStore:
    """Labels by the run's path. Thread-safe; without a folder nothing is kept."""

    def __init__(self, folder: str | Path | None) -> None:
        self._kept = KeptBesidePaths(Path(folder) / "labels" if folder is not None else None, _parsed)

    def find(self, run: Path) -> RunLabels:
        return self._kept.find(run) or NONE

    def save(self, run: Path, labels: RunLabels) -> None:
        """Raises :class:`mloscope.app.errors.NotPossible` without a folder, and :class:`mloscope.app.errors.Unavailable` if
        it cannot be written at the moment."""
        document = {"run": str(run), "tags": list(labels.tags), "group": labels.group}
        self._kept.save(run, document if labels != NONE else None)


def _parsed(document: Any) -> RunLabels:
    try:
        return RunLabels.of(document["tags"], document["group"])
    except BadRequest as error:
        raise ValueError(str(error)) from error
