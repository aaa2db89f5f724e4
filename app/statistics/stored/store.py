"""Statistics on disk: folders of ``.npy`` and JSON files, complete or absent.

    <folder>/planes/<key>/                        one checkpoint over one split, see :class:`StepStatistics`
    <folder>/clusters/<key>/, projections/<key>/  computed from those, see :mod:`mloscope.app.statistics.clusters.clustering`
    <folder>/patches/<key>/<layer>.npz            top patches of units, see :mod:`mloscope.app.statistics.patches.store`
    <folder>/derived/<statistic>/<key>.npy        values of other statistics, see :mod:`mloscope.app.statistics.values`
    <folder>/imports/<series key>/<step>.json     which statistics of a step were computed elsewhere
    <folder>/unfinished/<key>/slice-<start>-<stop>.npz     measures of some images of a step in the making

Everything is written under a temporary name and renamed, so that a process that is killed loses at most the work in
hand, and several processes may read and write one store at once: of two that finish the same step, the first one's
files stay and both continue with them. A folder whose files do not have the sizes listed in ``about.json`` counts as absent.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

import numpy as np
from cachetools import LRUCache

from mloscope.app.errors import Conflict
from mloscope.app.process.whole_files import temporary, write_file
from mloscope.app.statistics.stored.files import move_aside, read_complete
from mloscope.app.statistics.stored.step_statistics import StepStatistics
from mloscope.app.statistics.stored.unfinished import UnfinishedStep, slices_in, tiling

logger = logging.getLogger(__name__)

_STALE_S = 24 * 3600
"""Temporary folders of this age were left by a process that was killed."""
_LEFT = ("*/*.tmp", "unfinished/*/*.tmp", "derived/*/*.tmp", "patches/*/*.tmp", "unfinished-patches/*/*.tmp")
_MOST_OPENED = 4096


class StatisticsStore:
    """See the module's docstring. Thread-safe. ``folder`` is the cache folder; its subfolder ``statistics`` is created by
    the first write. None: a store that is empty and cannot be written."""

    def __init__(self, folder: str | Path | None) -> None:
        self.folder = Path(folder if folder is not None else os.devnull).expanduser() / "statistics"
        self._lock = threading.Lock()
        self._opened: MutableMapping[str, tuple[tuple[int, int], StepStatistics]] = LRUCache(_MOST_OPENED)
        self._swept = False

    # -------------------------------------------------------------------------------------- statistics of a step

    def find(self, key: str) -> StepStatistics | None:
        """The complete statistics of this key, or None."""
        folder = self.folder / "planes" / key
        try:
            state = os.stat(folder / "about.json")
        except OSError:
            with self._lock:
                self._opened.pop(key, None)
            return None
        stamp = (state.st_mtime_ns, state.st_ino)
        with self._lock:
            known = self._opened.get(key)
        if known is None or known[0] != stamp:
            about = read_complete(folder)
            if about is None:
                return None
            known = (stamp, StepStatistics(folder, about))
            with self._lock:
                self._opened[key] = known
        return known[1]

    def begin(self, key: str, about: Mapping[str, Any], actual: np.ndarray | None = None) -> UnfinishedStep:
        """Statistics to be written slice by slice, by one process or several; what others have written of them is kept.

        ``about`` holds ``images`` and ``classes``, and whatever else is to stand in ``about.json``; its ``form``
        ("full" or "top-20") decides which probabilities are kept, default: by size. ``actual``: int (image,), -1 where
        not known; default: all -1. Raises :class:`Conflict` for a label that is not a class of the network.
        """
        self._sweep()
        return UnfinishedStep(self, key, about, actual)

    def covered(self, key: str) -> int:
        """How many images of unfinished statistics are measured."""
        return sum(stop - start for start, stop in tiling(slices_in(self.folder / "unfinished" / key)))

    # -------------------------------------------------------------------------- any complete folder, imports

    def publish(self, kind: str, key: str, fill: Callable[[Path], dict[str, Any]]) -> Path:
        """Make ``<folder>/<kind>/<key>`` appear as a whole: ``fill(folder)`` writes its files into an empty folder and
        returns the content of ``about.json``. A complete folder that exists already stays, and is returned."""
        target = self.folder / kind / key
        if read_complete(target) is not None:
            return target
        made = temporary(target)
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
                        shutil.rmtree(move_aside(target), ignore_errors=True)
            raise Conflict(f"The folder {target} cannot be replaced; remove it by hand.")
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def remove(self, kind: str, key: str) -> None:
        """Make a folder disappear as a whole; does nothing if there is none."""
        target = self.folder / kind / key
        if target.exists():
            shutil.rmtree(move_aside(target), ignore_errors=True)

    def record_import(self, series: str, step: int, key: str, notes: Mapping[str, Any] | None = None) -> None:
        """Record that the statistics of this key were computed elsewhere and belong to the step of a series (see
        :class:`mloscope.app.statistics.identity.Identity`), with some ``notes`` (``label``, ``source``)."""
        path = self.folder / "imports" / series / f"{int(step)}.json"
        write_file(path, json.dumps({**(notes or {}), "plane": key}, ensure_ascii=False).encode())

    def imports(self, series: str) -> dict[int, dict[str, Any]]:
        """By step, ascending: what :meth:`record_import` recorded, the key of the statistics under ``plane``. Statistics
        that were removed since are left out."""
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
        """Remove, once per process, what killed processes left."""
        if self._swept:
            return
        self._swept = True
        for path in [path for pattern in _LEFT for path in self.folder.glob(pattern)]:
            try:
                if time.time() - path.stat().st_mtime > _STALE_S:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            except OSError:
                logger.warning("%s was left by a process that was killed and cannot be removed", path)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    return str(value)
