"""Statistics on disk: folders of ``.npy`` and JSON files, complete or absent.

    <folder>/planes/<key>/                        one checkpoint over one split, see :class:`Plane`
    <folder>/clusters/<key>/, projections/<key>/  what is made of planes, see :mod:`mloscope.app.statistics.clusters.clustering`
    <folder>/imports/<series key>/<step>.json     which plane holds what was computed elsewhere for a step
    <folder>/unfinished/<key>/slice-<start>-<stop>.npz     measures of some images of a plane in the making

Everything is written under a temporary name and renamed, so that a process that is killed loses at most what it had
in hand, and several processes may read and write one store at once: of two that finish the same plane the first one's
stays, and both go on with it. A folder whose files have not the sizes that its ``about.json`` lists counts as absent.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import secrets
import shutil
import threading
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mloscope.app.errors import BadRequest, Conflict, NotFound
from mloscope.app.statistics import measures

logger = logging.getLogger(__name__)

FULL_VALUES = 10_000_000
"""Up to so many values, images x classes, all probabilities are kept; beyond, the measures.TOP_CLASSES largest."""
FULL, TOP = "full", f"top-{measures.TOP_CLASSES}"
_STALE_S = 24 * 3600
"""Temporary folders of this age were left by a process that was killed."""
_SLICE = re.compile(r"slice-(\d+)-(\d+)\.npz")
_OF_IMAGES = {
    "actual": "<i4",
    "predicted": "<i4",
    "confidence": "<f4",
    "true_probability": "<f4",
    "margin": "<f4",
    "in_top_5": "|b1",
}
"""Arrays by image that every plane has, as :class:`measures.ImageMeasures` describes them."""


class StatisticsStore:
    """See the module's docstring. Thread-safe. ``folder`` is the cache folder, in which ``statistics`` is made when first
    written to; None: nothing is there and nothing can be written."""

    def __init__(self, folder: str | Path | None) -> None:
        self.folder = Path(folder if folder is not None else os.devnull).expanduser() / "statistics"
        self._lock = threading.Lock()
        self._opened: dict[str, tuple[tuple[int, int], Plane]] = {}
        self._swept = False

    # ------------------------------------------------------------------------------------------- planes

    def find(self, key: str) -> Plane | None:
        """The complete plane of this key, None where there is none."""
        folder = self.folder / "planes" / key
        try:
            state = os.stat(folder / "about.json")
        except OSError:
            self._opened.pop(key, None)
            return None
        stamp = (state.st_mtime_ns, state.st_ino)
        known = self._opened.get(key)
        if known is None or known[0] != stamp:
            about = read_complete(folder)
            if about is None:
                return None
            with self._lock:
                while len(self._opened) > 4096:
                    self._opened.pop(next(iter(self._opened)))
                known = self._opened[key] = (stamp, Plane(folder, about))
        return known[1]

    def begin(self, key: str, about: Mapping[str, Any], actual: np.ndarray | None = None) -> UnfinishedPlane:
        """A plane to be made slice by slice, by one process or several; what others have written of it is there.

        ``about`` holds ``images`` and ``classes``, and whatever else is to stand in the plane's ``about.json``;
        ``form`` ("full" or "top-20") decides what is kept, default: by size. ``actual``: int (image,), -1 where not
        known; all -1 where it is not given. Raises :class:`Conflict` where a label is no class of the network.
        """
        self._sweep()
        return UnfinishedPlane(self, key, about, actual)

    def covered(self, key: str) -> int:
        """How many images of an unfinished plane are measured."""
        return sum(stop - start for start, stop in _tiling(_slices(self.folder / "unfinished" / key)))

    # -------------------------------------------------------------------------- any complete folder, imports

    def publish(self, kind: str, key: str, fill: Callable[[Path], dict[str, Any]]) -> Path:
        """Make ``<folder>/<kind>/<key>`` appear as a whole: ``fill(folder)`` writes its files into an empty one and
        returns what ``about.json`` shall say. A complete one that is there already stays, and is returned."""
        target = self.folder / kind / key
        if read_complete(target) is not None:
            return target
        made = target.with_name(f"{key}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
        made.mkdir(parents=True)
        try:
            about = dict(fill(made))
            about["bytes"] = {path.name: path.stat().st_size for path in sorted(made.iterdir())}
            (made / "about.json").write_text(json.dumps(about, ensure_ascii=False, indent=1, default=_plain))
            for _ in range(8):
                try:
                    os.rename(made, target)
                    return target
                except OSError:
                    if read_complete(target) is not None:  # another process was first
                        return target
                    if target.exists():  # torn, as after a power cut
                        shutil.rmtree(_moved_aside(target), ignore_errors=True)
            raise Conflict(f"The folder {target} cannot be replaced; remove it by hand.")
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def remove(self, kind: str, key: str) -> None:
        """Make a folder disappear as a whole; nothing where there is none."""
        target = self.folder / kind / key
        if target.exists():
            shutil.rmtree(_moved_aside(target), ignore_errors=True)

    def record_import(self, series: str, step: int, plane: str, said: Mapping[str, Any] | None = None) -> None:
        """Note that the plane of this key holds what was computed elsewhere for the step of a series (see
        :class:`mloscope.app.statistics.identity.Identity`); ``said`` goes with it (``label``, ``source``)."""
        path = self.folder / "imports" / series / f"{int(step)}.json"
        write_file(path, json.dumps({**(said or {}), "plane": plane}, ensure_ascii=False).encode())

    def imports(self, series: str) -> dict[int, dict[str, Any]]:
        """By step, ascending: what :meth:`record_import` noted, the plane's key under ``plane``; only of planes that
        are there."""
        found = {}
        try:
            names = os.listdir(self.folder / "imports" / series)
        except OSError:
            return {}
        for name in names:
            if not re.fullmatch(r"-?\d+\.json", name):
                continue
            try:
                noted = json.loads((self.folder / "imports" / series / name).read_text())
                key = str(noted["plane"])
            except (OSError, ValueError, KeyError, TypeError):
                continue
            if self.find(key) is not None:
                found[int(name.removesuffix(".json"))] = noted
        return dict(sorted(found.items()))

    def _sweep(self) -> None:
        """Remove, once a process, what killed ones left."""
        if self._swept:
            return
        self._swept = True
        for path in [*self.folder.glob("*/*.tmp"), *self.folder.glob("unfinished/*/*.tmp")]:
            try:
                if time.time() - path.stat().st_mtime > _STALE_S:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            except OSError:
                logger.warning("%s was left by a process that was killed and cannot be removed", path)


class Plane:
    """What one checkpoint makes of the images of a split, read from files as far as it is asked for.

    Arrays are memory-mapped, read-only, and by image in the order of the split: ``actual`` (int32, -1 not known),
    ``predicted`` (int32, -1 not predicted), ``confidence``, ``true_probability``, ``margin`` (float32), ``in_top_5``
    (bool), ``order`` (int32: positions by cell); ``cells`` is int64 (cell, 3). See
    :mod:`mloscope.app.statistics.measures`, where each is made.
    """

    def __init__(self, folder: Path, about: dict[str, Any]) -> None:
        self.folder = folder
        self.about = about
        self.images: int = about["images"]
        self.classes: int = about["classes"]
        self.form: str = about["form"]
        self._arrays: dict[str, np.ndarray] = {}
        self._places: dict[str, tuple[str, int, np.dtype[Any], int, tuple[int, ...]]] = {}

    @property
    def key(self) -> str:
        return self.folder.name

    def __getattr__(self, name: str) -> np.ndarray:
        if name in _OF_IMAGES or name in ("order", "cells"):
            return self.array(name)
        raise AttributeError(name)

    @property
    def loss(self) -> np.ndarray:
        """float32 (image,), made of ``true_probability``: a file of it would be a twentieth of all."""
        return measures.losses(self.true_probability)

    def array(self, name: str) -> np.ndarray:
        """The array in ``<name>.npy``, memory-mapped. Raises :class:`NotFound` where its file was removed."""
        array = self._arrays.get(name)
        if array is None:
            try:
                array = np.load(self.folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError) as error:
                raise self._gone(error) from error
            self._arrays[name] = array
        return array

    @cached_property
    def summary(self) -> dict[str, Any]:
        """What :func:`measures.summarise` gives."""
        try:
            return json.loads((self.folder / "summary.json").read_text())
        except (OSError, ValueError) as error:
            raise self._gone(error) from error

    @property
    def rates(self) -> dict[str, Any]:
        """The summary's single numbers: ``images``, ``labelled``, ``not_predicted``, ``accuracy``, ``top_5_accuracy``,
        ``loss``, ``calibration_error``."""
        return self.about["rates"]

    @property
    def cell_count(self) -> int:
        """How many cells hold any image."""
        return self._layout("cells")[2][0]

    @cached_property
    def _offsets(self) -> np.ndarray:
        return np.concatenate([[0], np.cumsum(self.cells[:, 2])])

    @cached_property
    def cell_numbers(self) -> np.ndarray:
        """int64 (cell,), ascending: actual * (classes + 1) + predicted."""
        return self.cells[:, 0] * (self.classes + 1) + self.cells[:, 1]

    def cell(self, actual: int, predicted: int) -> np.ndarray:
        """int32, ascending: positions of the images of class ``actual`` predicted as ``predicted`` (== classes: not
        predicted). Raises :class:`NotFound` for classes that there are not."""
        if not (0 <= actual < self.classes and 0 <= predicted <= self.classes):
            raise NotFound(
                f"There is no cell of actual {actual} and predicted {predicted}; classes go from 0 to "
                f"{self.classes - 1}, and {self.classes} as the prediction stands for none."
            )
        number = actual * (self.classes + 1) + predicted
        index = int(np.searchsorted(self.cell_numbers, number))
        if index == len(self.cell_numbers) or self.cell_numbers[index] != number:
            return np.empty(0, np.int32)
        return self.order[self._offsets[index] : self._offsets[index + 1]]

    def probabilities(
        self, positions: np.ndarray | Sequence[int] | None = None
    ) -> tuple[np.ndarray | None, np.ndarray]:
        """Classes, int64 (image, k), the most probable first, and their probabilities, float32 (image, k); the form
        "full" has None and all probabilities, (image, class). Of the images at these positions, or of all."""
        chosen: Any = slice(None) if positions is None else np.asarray(positions, np.int64)
        if self.form == FULL:
            return None, np.asarray(self.array("probabilities")[chosen], np.float32)
        classes = self.array("top_classes")[chosen].astype(np.int64)
        return classes, self.array("top_probabilities")[chosen].astype(np.float32)

    def row(self, position: int, names: Sequence[str]) -> list[np.ndarray]:
        """What the arrays of these names hold of one image, read with no page around it (a cold memory map would read
        far more than a row)."""
        return [self._row_of(name, position) for name in names]

    def _row_of(self, name: str, position: int) -> np.ndarray:
        place = self._places.get(name)
        if place is None:
            offset, kind, shape = self._layout(name)
            count = int(np.prod(shape[1:], dtype=np.int64))
            place = self._places[name] = (f"{self.folder}/{name}.npy", offset, kind, count, shape[1:])
        path, offset, kind, count, rest = place
        size = count * kind.itemsize
        try:
            file = os.open(path, os.O_RDONLY)
            try:
                data = os.pread(file, size, offset + position * size)
            finally:
                os.close(file)
            return np.frombuffer(data, kind, count).reshape(rest)
        except (OSError, ValueError) as error:
            raise self._gone(error) from error

    def _layout(self, name: str) -> tuple[int, np.dtype[Any], tuple[int, ...]]:
        """Where the values of an array begin in its file, in bytes; their type; the array's shape."""
        offset, kind, shape = self.about["arrays"][name]
        return offset, np.dtype(kind), tuple(shape)

    def _gone(self, error: Exception) -> NotFound:
        return NotFound(f"The statistics in {self.folder} were removed or damaged while they were read: {error}.")


class UnfinishedPlane:
    """A plane in the making, see :meth:`StatisticsStore.begin`."""

    def __init__(
        self, store: StatisticsStore, key: str, about: Mapping[str, Any], actual: np.ndarray | None = None
    ) -> None:
        self.key = key
        self.images, self.classes = int(about["images"]), int(about["classes"])
        self.form = about.get("form") or (FULL if self.images * self.classes <= FULL_VALUES else TOP)
        if self.form not in (FULL, TOP):
            raise BadRequest(f'The form "{self.form}" does not exist; it is "{FULL}" or "{TOP}".')
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

    def missing(self, slices: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Those of the slices (start, stop) that are not measured yet; none where the plane is complete."""
        if self._store.find(self.key) is not None:
            return []
        have = np.zeros(self.images, bool)
        for start, stop in _slices(self._folder):
            have[start:stop] = True
        return [(start, stop) for start, stop in slices if not have[start:stop].all()]

    def write(self, start: int, stop: int, probabilities: np.ndarray) -> None:
        """Measure images ``start`` up to ``stop`` and keep what a plane keeps of them. ``probabilities``: float32
        (image, class), 0..1; rows that are not finite count as not predicted."""
        if probabilities.shape != (stop - start, self.classes) or not 0 <= start < stop <= self.images:
            raise ValueError(f"{probabilities.shape} for images {start} to {stop} and {self.classes} classes")
        values = np.ascontiguousarray(probabilities, np.float32)
        found = measures.measure_images(values, self._actual[start:stop])
        arrays = {name: getattr(found, name) for name in _OF_IMAGES if name != "actual"}
        if self.form == FULL:
            arrays["probabilities"] = values
        else:
            arrays["top_classes"] = found.top_classes
            arrays["top_probabilities"] = found.top_probabilities.astype(np.float16)
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"slice-{start}-{stop}.npz"
        made = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
        try:
            with open(made, "wb") as file:
                np.savez(file, **arrays)
            os.replace(made, path)
        except FileNotFoundError:
            if self._store.find(self.key) is None:  # else another process finished the plane and tidied up
                raise
        finally:
            made.unlink(missing_ok=True)

    def finish(self, more: Mapping[str, Any] | None = None) -> Plane:
        """Join the slices to the plane; ``more`` is added to what it says of itself (``seconds``). Raises
        :class:`Conflict` where slices are missing."""
        if self._store.find(self.key) is None:
            try:
                self._store.publish("planes", self.key, lambda folder: self._fill(folder, more or {}))
            except Conflict:
                if self._store.find(self.key) is None:  # else another process was first, and tidied up
                    raise
        self._store.remove("unfinished", self.key)
        plane = self._store.find(self.key)
        if plane is None:
            raise Conflict(f"The statistics {self.key} were removed at the moment they were finished; start again.")
        return plane

    def _fill(self, folder: Path, more: Mapping[str, Any]) -> dict[str, Any]:
        present = _slices(self._folder)
        tiles = _tiling(present)
        if (tiles[-1][1] if tiles else 0) != self.images:
            covered = sum(stop - start for start, stop in tiles)
            raise Conflict(f"Only {covered} of {self.images} images are measured; the statistics are not finished.")
        kinds: dict[str, tuple[str, tuple[int, ...]]] = {name: (kind, ()) for name, kind in _OF_IMAGES.items()}
        if self.form == FULL:
            kinds["probabilities"] = ("<f4", (self.classes,))
        else:
            count = min(self.classes, measures.TOP_CLASSES)
            kinds["top_classes"] = ("<u2" if self.classes <= 1 << 16 else "<u4", (count,))
            kinds["top_probabilities"] = ("<f2", (count,))
        files = {
            name: _NpyFile(folder / f"{name}.npy", kind, (self.images, *shape)) for name, (kind, shape) in kinds.items()
        }
        whole: dict[str, list[np.ndarray]] = {name: [] for name in _OF_IMAGES}
        try:
            for start, stop in tiles:
                source = next((a, b) for a, b in present if a <= start and stop <= b)
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
        joined = {
            name: np.concatenate(parts) if parts else np.empty(0, _OF_IMAGES[name]) for name, parts in whole.items()
        }
        cells, order = measures.confusion(joined["actual"], joined["predicted"], self.classes)
        summary = measures.summarise(
            joined["actual"],
            joined["predicted"],
            joined["confidence"],
            measures.losses(joined["true_probability"]),
            joined["in_top_5"],
            cells,
            self.classes,
        )
        for name, values in (("cells", cells), ("order", order)):
            files[name] = _NpyFile(folder / f"{name}.npy", values.dtype.str, values.shape)
            files[name].append(values)
            files[name].close()
        (folder / "summary.json").write_text(json.dumps(summary))
        return {
            **self._about,
            **more,
            "images": self.images,
            "classes": self.classes,
            "form": self.form,
            "created": self._about.get("created") or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "arrays": {name: file.layout for name, file in files.items()},
            # the numbers of a whole series are asked for at once, and summary.json is long where classes are many
            "rates": {name: value for name, value in summary.items() if not isinstance(value, list)},
        }

    def _slice(self, span: tuple[int, int]) -> dict[str, np.ndarray]:
        path = self._folder / f"slice-{span[0]}-{span[1]}.npz"
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return dict(arrays)
        except FileNotFoundError:
            raise Conflict(f"The measured images in {path} were removed meanwhile; start again.") from None
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            path.unlink(missing_ok=True)  # so that they are measured again
            raise Conflict(
                f"The measured images in {path} were damaged and are removed; start again: {error}."
            ) from error


class _NpyFile:
    """An ``.npy`` file that is written from its first row to its last."""

    def __init__(self, path: Path, kind: str, shape: tuple[int, ...]) -> None:
        self._file = open(path, "wb")  # noqa: SIM115 - closed by close()
        np.lib.format.write_array_header_1_0(
            self._file, {"descr": kind, "fortran_order": False, "shape": tuple(int(n) for n in shape)}
        )
        self.layout: tuple[int, str, tuple[int, ...]] = (self._file.tell(), kind, shape)

    def append(self, rows: np.ndarray) -> None:
        self._file.write(np.ascontiguousarray(rows, self.layout[1]).data)

    def close(self) -> None:
        self._file.close()


# ---------------------------------------------------------------------------------------------------- files


def unwritable(error: OSError) -> str:
    """What to say where something of the store could not be written."""
    where = f"{error.filename}: " if error.filename else ""
    return (
        f"The statistics cannot be written: {where}{error.strerror or error}. What is finished stays, and starting again goes on "
        "from there."
    )


def save_array(path: Path, array: np.ndarray) -> None:
    """What :func:`numpy.save` writes. That one says of a full disk "40000 requested and 7136 written" and no more."""
    file = _NpyFile(path, array.dtype.str, array.shape)
    try:
        file.append(array)
    finally:
        file.close()


def read_complete(folder: Path) -> dict[str, Any] | None:
    """What ``about.json`` says, where the folder is there with all its files in their sizes; else None."""
    try:
        about = json.loads((folder / "about.json").read_text())
        if all(os.stat(folder / name).st_size == size for name, size in about["bytes"].items()):
            return about
        logger.warning("the statistics in %s are damaged and count as absent", folder)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        logger.warning("the statistics in %s cannot be read and count as absent", folder, exc_info=True)
    return None


def _slices(folder: Path) -> list[tuple[int, int]]:
    """(start, stop) of the slices present, by start."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return sorted((int(m[1]), int(m[2])) for m in map(_SLICE.fullmatch, names) if m)


def _tiling(slices: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The images that slices cover, each once, as pieces that lie within one slice; slices by start."""
    pieces: list[tuple[int, int]] = []
    reached = 0
    for start, stop in slices:
        if stop > reached:
            pieces.append((max(start, reached), stop))
            reached = stop
    return pieces


def _moved_aside(path: Path) -> Path:
    """A new name for a folder that is to be removed, so that it disappears at once."""
    aside = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    with contextlib.suppress(FileNotFoundError):  # another process was first
        os.rename(path, aside)
    return aside


def write_file(path: Path, data: bytes) -> None:
    """Write a file so that it is there as a whole or as it was before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        made.write_bytes(data)
        os.replace(made, path)
    finally:
        made.unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    return str(value)
