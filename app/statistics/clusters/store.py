"""Clusters and coordinates of images as they are stored. Needs nothing but NumPy.

    <store>/clusters/<key>/      one step: assignment, distance, order, centres, flows, about (sizes, states, purity)
    <store>/projections/<key>/   a map over all steps: codes-<number of the step>.npy, and what its kind keeps beside them
    <store>/fits/<series>.json   which of these belong to a run's steps, as they were clustered last

:mod:`mloscope.app.statistics.clusters.clustering` computes them. A clustering counts only for steps whose statistics are
still those that it was computed from; the others have no clusters until they are clustered again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mloscope.app.errors import NotFound
from mloscope.app.process.whole_files import write_file
from mloscope.app.statistics.clusters.map_kinds import MAP_KINDS, PCA
from mloscope.app.statistics.stored.files import read_complete
from mloscope.app.statistics.stored.store import StatisticsStore

CODE_VERSION = "clusters 1"
"""Part of every key; raise it whenever the same probabilities give other clusters."""
MAJORITY = 3
"""How many of a cluster's most frequent classes are recorded."""
NO_COORDINATE = -32768


class StepClusters:
    """The clusters of one step. Arrays are memory-mapped, read-only; images are in the order of the split.

    ``assignment`` int16 (image,), -1 for an image that was not predicted; ``distance`` float32 (image,) to the centre of
    its cluster, NaN for such an image; ``order`` int32 (image with a cluster,): positions sorted by cluster, then
    distance, then position; ``centres`` float32 (cluster, class): the mean of the cluster's images, for an empty one the
    centre where it is looked for next; ``flows`` int64 (flow, 3): cluster at the fitted step before, cluster now,
    images; -1 stands for no cluster; empty for the first step.
    """

    def __init__(self, folder: Path, about: dict[str, Any]) -> None:
        self.folder = folder
        self.about = about
        self.k: int = about["k"]
        self.sizes = np.asarray(about["sizes"], np.int64)

    def __getattr__(self, name: str) -> np.ndarray:
        if name not in ("assignment", "distance", "order", "centres", "flows"):
            raise AttributeError(name)
        try:
            array = np.load(self.folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise NotFound(
                f"The clusters in {self.folder} were removed or damaged while they were read: {error}."
            ) from error
        self.__dict__[name] = array
        return array

    @property
    def key(self) -> str:
        return self.folder.name

    @cached_property
    def _offsets(self) -> np.ndarray:
        return np.concatenate([[0], np.cumsum(self.sizes)])

    def members(self, cluster: int) -> np.ndarray:
        """int32: positions of the cluster's images, the nearest to its centre first. Raises :class:`NotFound` if
        there is no such cluster."""
        if not 0 <= cluster < self.k:
            raise NotFound(f"There is no cluster {cluster}; clusters go from 0 to {self.k - 1}.")
        return self.order[self._offsets[cluster] : self._offsets[cluster + 1]]


@dataclass(frozen=True)
class Clustering:
    """The clusters of a run's steps over one split, computed with one ``k`` and ``seed``."""

    store: StatisticsStore
    k: int
    seed: int
    sources: Mapping[int, str]
    """Step -> key of the statistics that it was computed from; ascending."""
    clusters: Mapping[int, str]
    """Step -> key of its :class:`StepClusters`."""
    maps: Mapping[str, str]
    """Kind of map (:data:`.map_kinds.MAP_KINDS`) -> key of the one over just these steps; those that were computed."""
    _opened: dict[int, StepClusters] = field(default_factory=dict, repr=False, compare=False)
    _about_maps: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def steps(self) -> list[int]:
        return list(self.clusters)

    def step(self, step: int) -> StepClusters:
        """The clusters of a step. Raises :class:`NotFound` if it has none, or if they were removed."""
        if step in self._opened:
            return self._opened[step]
        key = self.clusters.get(step)
        about = read_complete(self.store.folder / "clusters" / key) if key else None
        if key is None or about is None:
            raise NotFound(f"Step {step} has no clusters; they are made when its statistics are complete.")
        return self._opened.setdefault(step, StepClusters(self.store.folder / "clusters" / key, about))

    def before(self, step: int) -> int | None:
        """The clustered step before this one, to which its flows refer."""
        return max((other for other in self.clusters if other < step), default=None)

    def after(self, step: int) -> int | None:
        """The clustered step after this one."""
        return min((other for other in self.clusters if other > step), default=None)

    def map_about(self, kind: str = PCA.name) -> dict[str, Any]:
        """``x`` and ``y``: [lo, hi] of the codes over all steps; and the facts of its kind. Raises :class:`NotFound`."""
        if kind not in self._about_maps:
            key = self.maps.get(kind)
            about = read_complete(self.store.folder / "projections" / key) if key else None
            if about is None:
                raise NotFound(f"The map of images of the kind {kind} has not been computed.")
            self._about_maps[kind] = about
        return self._about_maps[kind]

    def coordinates(self, step: int, kind: str = PCA.name) -> np.ndarray:
        """int16 (image, 2): lo + (code + 32767) / 65534 * (hi - lo) with lo and hi of :meth:`map_about`;
        NO_COORDINATE for an image without a place. Raises :class:`NotFound`."""
        about = self.map_about(kind)
        source = self.sources.get(step)
        if source not in about["planes"]:
            raise NotFound(f"Step {step} has no place on the map; it gets one when its clusters are made.")
        path = self.store.folder / "projections" / self.maps[kind] / f"codes-{about['planes'].index(source)}.npy"
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise NotFound(f"The map in {path.parent} was removed or damaged while it was read: {error}.") from error


def find_clustering(store: StatisticsStore, series: str, keys: Mapping[int, str]) -> Clustering | None:
    """The last clustering of a series (:meth:`mloscope.app.statistics.identity.Identity.series`), as far as it was computed
    from the present statistics (``keys``: step -> key); None if no step of it was."""
    try:
        noted = json.loads((store.folder / "fits" / f"{series}.json").read_text())
        made = {int(step): (str(source), str(clusters)) for step, source, clusters in noted["steps"]}
        k, seed = int(noted["k"]), int(noted["seed"])
        maps = (
            noted["maps"] if "maps" in noted else {PCA.name: noted["projection"]}
        )  # as it was noted before other kinds
        maps = {kind: str(key) for kind, key in maps.items() if kind in MAP_KINDS}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    current = {
        step: both
        for step, both in sorted(made.items())
        if keys.get(step) == both[0] and os.path.exists(store.folder / "clusters" / both[1] / "about.json")
    }
    if not current:
        return None
    return Clustering(
        store,
        k,
        seed,
        {step: source for step, (source, _) in current.items()},
        {step: clusters for step, (_, clusters) in current.items()},
        maps,
    )


def record_clustering(store: StatisticsStore, series: str, clustering: Clustering) -> None:
    """Make this the clustering that :func:`find_clustering` finds."""
    steps = [[step, clustering.sources[step], key] for step, key in clustering.clusters.items()]
    noted = {"k": clustering.k, "seed": clustering.seed, "maps": dict(clustering.maps), "steps": steps}
    write_file(store.folder / "fits" / f"{series}.json", json.dumps(noted).encode())


def digest(*parts: Any) -> str:
    """The key of what is computed from these parts."""
    return hashlib.sha256(json.dumps([CODE_VERSION, *parts]).encode()).hexdigest()
