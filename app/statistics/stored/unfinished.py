"""Statistics of one checkpoint in the making: slices of measured images, and how they are joined."""

from __future__ import annotations

import json
import os
import re
import time
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mloscope.app.errors import BadRequest, Conflict
from mloscope.app.process.whole_files import temporary
from mloscope.app.statistics import measures
from mloscope.app.statistics.stored.files import NpyFile, save_array
from mloscope.app.statistics.stored.step_statistics import FULL, OF_IMAGES, TOP, StepStatistics

if TYPE_CHECKING:
    from mloscope.app.statistics.stored.store import StatisticsStore

FULL_VALUES = 10_000_000
"""Up to this many values (images x classes) all probabilities are kept; beyond, the measures.TOP_CLASSES largest."""
_SLICE = re.compile(r"slice-(\d+)-(\d+)\.npz")

Span = tuple[int, int]
"""Images start up to stop - 1."""


class UnfinishedStep:
    """Statistics that one process or several write slice by slice; see :meth:`StatisticsStore.begin`."""

    def __init__(
        self, store: StatisticsStore, key: str, about: Mapping[str, Any], actual: np.ndarray | None = None
    ) -> None:
        self.key = key
        self.images, self.classes = int(about["images"]), int(about["classes"])
        self.form = about.get("form") or (FULL if self.images * self.classes <= FULL_VALUES else TOP)
        if self.form not in (FULL, TOP):
            raise BadRequest(f'The form must be "{FULL}" or "{TOP}", got "{self.form}".')
        self._about = dict(about)
        self._store = store
        self._folder = store.folder / "unfinished" / key
        self._actual = self._checked(np.full(self.images, -1, np.int32) if actual is None else actual)

    def _checked(self, actual: np.ndarray) -> np.ndarray:
        actual = np.asarray(actual).astype(np.int32)
        if actual.shape != (self.images,):
            raise ValueError(f"labels of shape {actual.shape} for {self.images} images")
        if self.images and actual.max() >= self.classes:
            position = int(actual.argmax())
            raise Conflict(
                f"Image {position} has the class {actual[position]}, but the network has {self.classes} outputs, "
                f"0 to {self.classes - 1}; run and corpus do not belong together."
            )
        return np.maximum(actual, -1)

    def missing(self, slices: Iterable[Span]) -> list[Span]:
        """The slices that are not measured yet; none if the step is complete."""
        if self._store.find(self.key) is not None:
            return []
        have = np.zeros(self.images, bool)
        for start, stop in slices_in(self._folder):
            have[start:stop] = True
        return [(start, stop) for start, stop in slices if not have[start:stop].all()]

    def write(self, start: int, stop: int, probabilities: np.ndarray) -> None:
        """Measure images ``start`` up to ``stop`` and keep the measures. ``probabilities``: float32 (image, class), 0..1;
        rows that are not finite count as not predicted."""
        if probabilities.shape != (stop - start, self.classes) or not 0 <= start < stop <= self.images:
            raise ValueError(f"{probabilities.shape} for images {start} to {stop} and {self.classes} classes")
        values = np.ascontiguousarray(probabilities, np.float32)
        found = measures.measure_images(values, self._actual[start:stop])
        arrays = {name: getattr(found, name) for name in OF_IMAGES if name != "actual"}
        if self.form == FULL:
            arrays["probabilities"] = values
        else:
            arrays["top_classes"] = found.top_classes
            arrays["top_probabilities"] = found.top_probabilities.astype(np.float16)
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._slice_path((start, stop))
        made = temporary(path)
        try:
            with open(made, "wb") as file:
                np.savez(file, **arrays)
            os.replace(made, path)
        except FileNotFoundError:
            if self._store.find(self.key) is None:  # else another process finished the step and removed the folder
                raise
        finally:
            made.unlink(missing_ok=True)

    def finish(self, more: Mapping[str, Any] | None = None) -> StepStatistics:
        """Join the slices; ``more`` is added to ``about.json`` (``seconds``). Raises :class:`Conflict` if slices are
        missing."""
        if self._store.find(self.key) is None:
            try:
                self._store.publish("planes", self.key, lambda folder: self._fill(folder, more or {}))
            except Conflict:
                if self._store.find(self.key) is None:  # else another process was first, and removed the slices
                    raise
        self._store.remove("unfinished", self.key)
        step = self._store.find(self.key)
        if step is None:
            raise Conflict(f"The statistics {self.key} were removed at the moment they were finished; start again.")
        return step

    def _fill(self, folder: Path, more: Mapping[str, Any]) -> dict[str, Any]:
        """Write all files of the finished step; the content of ``about.json``."""
        layouts, images = self._join(folder)
        cells, order = measures.confusion(images["actual"], images["predicted"], self.classes)
        summary = measures.summarise(
            images["actual"],
            images["predicted"],
            images["confidence"],
            measures.losses(images["true_probability"]),
            images["in_top_5"],
            cells,
            self.classes,
        )
        for name, values in (("cells", cells), ("order", order)):
            layouts[name] = save_array(folder / f"{name}.npy", values)
        (folder / "summary.json").write_text(json.dumps(summary))
        return {
            **self._about,
            **more,
            "images": self.images,
            "classes": self.classes,
            "form": self.form,
            "created": self._about.get("created") or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "arrays": layouts,
            # the rates of a whole series are read at once, and summary.json is long when there are many classes
            "rates": {name: value for name, value in summary.items() if not isinstance(value, list)},
        }

    def _join(self, folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Write the slices one after the other into a file per array; the layout of each file, and the arrays of
        OF_IMAGES."""
        tiles = self._all_tiles()
        files = {
            name: NpyFile(folder / f"{name}.npy", kind, (self.images, *shape))
            for name, (kind, shape) in self._kinds().items()
        }
        whole: dict[str, list[np.ndarray]] = {name: [] for name in OF_IMAGES}
        try:
            for (start, stop), source in tiles:
                arrays = self._slice(source)
                arrays["actual"] = self._actual[source[0] : source[1]]
                for name, file in files.items():
                    values = arrays[name][start - source[0] : stop - source[0]]
                    file.append(values)
                    if name in whole:
                        whole[name].append(values)
        finally:
            for file in files.values():
                file.close()
        images = {
            name: np.concatenate(parts) if parts else np.empty(0, OF_IMAGES[name]) for name, parts in whole.items()
        }
        return {name: file.layout for name, file in files.items()}, images

    def _all_tiles(self) -> list[tuple[Span, Span]]:
        """Pieces that cover every image once, each with the slice that holds it. Raises :class:`Conflict` if some image is
        not measured."""
        present = slices_in(self._folder)
        tiles = tiling(present)
        if (tiles[-1][1] if tiles else 0) != self.images:
            covered = sum(stop - start for start, stop in tiles)
            raise Conflict(f"Only {covered} of {self.images} images are measured; the statistics are not finished.")
        return [(tile, next(s for s in present if s[0] <= tile[0] and tile[1] <= s[1])) for tile in tiles]

    def _kinds(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """By array: type on disk, and shape of an image's row."""
        kinds: dict[str, tuple[str, tuple[int, ...]]] = {name: (kind, ()) for name, kind in OF_IMAGES.items()}
        if self.form == FULL:
            return kinds | {"probabilities": ("<f4", (self.classes,))}
        count = min(self.classes, measures.TOP_CLASSES)
        class_kind = "<u2" if self.classes <= 1 << 16 else "<u4"
        return kinds | {"top_classes": (class_kind, (count,)), "top_probabilities": ("<f2", (count,))}

    def _slice_path(self, span: Span) -> Path:
        return self._folder / f"slice-{span[0]}-{span[1]}.npz"

    def _slice(self, span: Span) -> dict[str, np.ndarray]:
        path = self._slice_path(span)
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return dict(arrays)
        except FileNotFoundError:
            raise Conflict(f"The measured images in {path} were removed meanwhile; start again.") from None
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            path.unlink(missing_ok=True)  # so that they are measured again
            raise Conflict(
                f"The measured images in {path} were damaged and have been removed; start again: {error}."
            ) from error


def slices_in(folder: Path) -> list[Span]:
    """The slices present in the folder of an unfinished step, by start."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return sorted((int(m[1]), int(m[2])) for m in map(_SLICE.fullmatch, names) if m)


def tiling(slices: Sequence[Span]) -> list[Span]:
    """The images that slices cover, each once, as pieces that lie within one slice; slices by start."""
    pieces: list[Span] = []
    reached = 0
    for start, stop in slices:
        if stop > reached:
            pieces.append((max(start, reached), stop))
            reached = stop
    return pieces
