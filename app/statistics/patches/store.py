"""Top patches on disk, beside the statistics of the checkpoint that they belong to.

    <store>/patches/<key of the step>/<digest>-<count>.npz                     a layer, complete
    <store>/unfinished-patches/<key of the step>/<digest>-<start>-<stop>.npz   some images, all layers that were asked for

A file of a layer holds the arrays of :class:`TopPatches` and ``about``: JSON with
``format``, ``layer``, ``count`` and how many ``of`` images were looked at. The digest is of the format and the layer or layers; a
damaged file counts as absent.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mloscope.app.errors import Conflict
from mloscope.app.process.whole_files import write_file
from mloscope.app.statistics.patches.asked import AskedPatches
from mloscope.app.statistics.patches.search import FIELDS, TopPatches, joined

logger = logging.getLogger(__name__)

FORMAT = "top patches 1"
"""Raise it whenever the files, or the numbers in them, mean something else."""
_DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)

Span = tuple[int, int]
"""Images start up to stop - 1."""


@dataclass(frozen=True)
class PatchStore:
    """``folder``: of a :class:`mloscope.app.statistics.stored.store.StatisticsStore`. Safe to use from several threads and
    processes."""

    folder: Path

    def find(self, key: str, layer: str) -> TopPatches | None:
        """Those of a layer at the step of this key, of the highest count that there is; None where they are not complete."""
        counts = self._counts(key, layer)
        return _read(self._path(key, layer, max(counts)), "") if counts else None

    def count(self, key: str, layer: str) -> int:
        """The highest count that there is; 0 where there are none."""
        return max(self._counts(key, layer), default=0)

    def _counts(self, key: str, layer: str) -> list[int]:
        found = (self.folder / "patches" / key).glob(f"{_digest(layer)}-*.npz")
        return [int(path.stem.rpartition("-")[2]) for path in found]

    def has(self, key: str, layer: str, count: int) -> bool:
        """Whether there are at least so many per unit."""
        return self.count(key, layer) >= count

    def lacking(self, key: str, asked: AskedPatches) -> AskedPatches:
        """What of this is not complete."""
        return AskedPatches(
            tuple(layer for layer in asked.layers if not self.has(key, layer, asked.count)), asked.count
        )

    def missing(self, key: str, asked: AskedPatches, spans: Sequence[Span]) -> list[Span]:
        """The slices in which the layers asked for have not been searched yet."""
        return [] if not asked.layers else [span for span in spans if not self._slice(key, asked, span).exists()]

    def write(self, key: str, asked: AskedPatches, span: Span, found: Mapping[str, TopPatches]) -> None:
        """Keep what was found in a slice."""
        arrays = {
            f"{place}-{name}": array
            for place, layer in enumerate(asked.layers)
            for name, array in _arrays(found[layer]).items()
        }
        write_file(self._slice(key, asked, span), _npz(arrays))

    def finish(self, key: str, asked: AskedPatches, spans: Sequence[Span]) -> None:
        """Join the slices, one file per layer. Raises :class:`Conflict` where a slice is missing or damaged, so that it is
        searched again."""
        for place, layer in enumerate(asked.layers):
            if self.has(key, layer, asked.count):
                continue  # another process was first
            parts = []
            for span in spans:
                part = _read(self._slice(key, asked, span), f"{place}-")
                if part is None:
                    self._slice(key, asked, span).unlink(missing_ok=True)
                    raise Conflict(f"The patches found in images {span[0]} to {span[1] - 1} are lost; start again.")
                parts.append(part)
            about = {"format": FORMAT, "layer": layer, "count": asked.count, "of": spans[-1][1] if spans else 0}
            arrays = _arrays(joined(parts)) | {"about": np.array(json.dumps(about, ensure_ascii=False))}
            write_file(self._path(key, layer, asked.count), _npz(arrays))
        for span in spans:
            self._slice(key, asked, span).unlink(missing_ok=True)

    def _path(self, key: str, layer: str, count: int) -> Path:
        return self.folder / "patches" / key / f"{_digest(layer)}-{count}.npz"

    def _slice(self, key: str, asked: AskedPatches, span: Span) -> Path:
        name = f"{_digest(*asked.layers)}-{asked.count}-{span[0]}-{span[1]}.npz"
        return self.folder / "unfinished-patches" / key / name


def _digest(*layers: str) -> str:
    return hashlib.sha256(json.dumps([FORMAT, *layers]).encode()).hexdigest()[:32]


def _arrays(found: TopPatches) -> dict[str, np.ndarray]:
    return {name: getattr(found, name) for name in FIELDS}


def _npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]  # whose other keyword is a bool
    return content.getvalue()


def _read(path: Path, prefix: str) -> TopPatches | None:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return TopPatches(*(arrays[f"{prefix}{name}"] for name in FIELDS))
    except FileNotFoundError:
        return None
    except _DAMAGED:
        logger.warning("the patches in %s cannot be read and count as absent", path, exc_info=True)
        return None
