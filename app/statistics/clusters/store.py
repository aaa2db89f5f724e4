"""Clusters and coordinates of images as they are stored, and what pages ask of them. Needs NumPy alone.

    <store>/clusters/<key>/      one step: assignment, distance, order, centres, flows, about (sizes, states, purity)
    <store>/projections/<key>/   all steps: axes, mean, codes-<number of the step>.npy
    <store>/fits/<series>.json   which of these belong to a run's steps, as they were fitted last

:mod:`mloscope.app.statistics.clusters.clustering` makes them. A fit counts only for steps whose plane is still the one that it was
made of; the others have no clusters until they are fitted again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mloscope.app.errors import NotFound
from mloscope.app.statistics.stored.store import Plane, StatisticsStore, read_complete, write_file

NEAREST = 12
"""Images that a cluster's row shows."""
MAJORITY = 3
"""Most frequent classes that are named of a cluster."""
BARS = 24
"""Classes whose mean probability a cluster's row shows: all where there are no more, else the largest."""
NO_COORDINATE = -32768
NO_CLUSTER = 65535


class StepClusters:
    """The clusters of one step. Arrays are memory-mapped, read-only; images are in the order of the split.

    ``assignment`` int16 (image,), -1 for an image that was not predicted; ``distance`` float32 (image,) to the centre of
    its cluster, NaN for such an image; ``order`` int32 (image with a cluster,): positions sorted by cluster, then
    distance, then position; ``centres`` float32 (cluster, class): the mean of the cluster's images, for an empty one the
    centre that it would be looked for at next; ``flows`` int64 (flow, 3): cluster at the fitted step before, cluster now,
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
            ) from (error)
        self.__dict__[name] = array
        return array

    @property
    def key(self) -> str:
        return self.folder.name

    @cached_property
    def _offsets(self) -> np.ndarray:
        return np.concatenate([[0], np.cumsum(self.sizes)])

    def members(self, cluster: int) -> np.ndarray:
        """int32: positions of the cluster's images, the nearest to its centre first. Raises :class:`NotFound` for a
        number that is none."""
        if not 0 <= cluster < self.k:
            raise NotFound(f"There is no cluster {cluster}; clusters go from 0 to {self.k - 1}.")
        return self.order[self._offsets[cluster] : self._offsets[cluster + 1]]


@dataclass(frozen=True)
class Fit:
    """The clusters of a run's steps over one split, made with one ``k`` and ``seed``."""

    store: StatisticsStore
    k: int
    seed: int
    planes: Mapping[int, str]
    """Step -> key of the plane it was made of; ascending."""
    clusters: Mapping[int, str]
    """Step -> key of its :class:`StepClusters`."""
    projection: str | None
    """Key of the projection over just these steps."""

    @property
    def steps(self) -> list[int]:
        return list(self.clusters)

    def step(self, step: int) -> StepClusters:
        """Raises :class:`NotFound` where the step has none, or where they were removed."""
        key = self.clusters.get(step)
        about = read_complete(self.store.folder / "clusters" / key) if key else None
        if key is None or about is None:
            raise NotFound(f"Step {step} has no clusters; they are made when its statistics are complete.")
        return StepClusters(self.store.folder / "clusters" / key, about)

    def before(self, step: int) -> int | None:
        """The fitted step that comes before, to which the flows of ``step`` refer."""
        return max((other for other in self.clusters if other < step), default=None)

    def after(self, step: int) -> int | None:
        return min((other for other in self.clusters if other > step), default=None)

    @cached_property
    def map_about(self) -> dict[str, Any]:
        """``x`` and ``y``: [lo, hi] of the codes over all steps; ``explained``: the share of variance of each axis."""
        about = read_complete(self.store.folder / "projections" / self.projection) if self.projection else None
        if about is None:
            raise NotFound("The map of images is not made; it is when the clusters are.")
        return about

    def coordinates(self, step: int) -> np.ndarray:
        """int16 (image, 2): lo + (code + 32767) / 65534 * (hi - lo) with lo and hi of :attr:`map_about`;
        NO_COORDINATE for an image that was not predicted. Raises :class:`NotFound`."""
        about = self.map_about
        plane = self.planes.get(step)
        if plane not in about["planes"]:
            raise NotFound(f"Step {step} has no place on the map; it gets one when its clusters are made.")
        assert self.projection is not None
        path = self.store.folder / "projections" / self.projection / f"codes-{about['planes'].index(plane)}.npy"
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise NotFound(f"The map in {path.parent} was removed or damaged while it was read: {error}.") from error


def find_fit(store: StatisticsStore, series: str, planes: Mapping[int, str]) -> Fit | None:
    """The last fit of a series (:meth:`mloscope.app.statistics.identity.Identity.series`), as far as it was made of the
    planes that there are now (step -> key); None where nothing of it is."""
    try:
        noted = json.loads((store.folder / "fits" / f"{series}.json").read_text())
        made = {int(step): (str(plane), str(cluster)) for step, plane, cluster in noted["steps"]}
        k, seed, projection = int(noted["k"]), int(noted["seed"]), noted["projection"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    current = {
        step: both
        for step, both in sorted(made.items())
        if planes.get(step) == both[0] and os.path.exists(store.folder / "clusters" / both[1] / "about.json")
    }
    if not current:
        return None
    return Fit(
        store,
        k,
        seed,
        {s: plane for s, (plane, _) in current.items()},
        {s: c for s, (_, c) in current.items()},
        projection,
    )


def note_fit(store: StatisticsStore, series: str, fit: Fit) -> None:
    """Make this the fit that :func:`find_fit` finds."""
    steps = [[step, fit.planes[step], key] for step, key in fit.clusters.items()]
    noted = {"k": fit.k, "seed": fit.seed, "projection": fit.projection, "steps": steps}
    write_file(store.folder / "fits" / f"{series}.json", json.dumps(noted).encode())


# --------------------------------------------------------------------------------------------------------- for pages


def rows_of_step(fit: Fit, step: int) -> dict[str, Any]:
    """All that the rows of one step show, as JSON.

    ``{"step", "before": step | null, "after": step | null, "refit": bool, "inertia", "clusters": [{"cluster", "size",
    "state": "alive"|"born"|"died"|"empty", "purity": 0..1 | null, "majority": [[class, count], ...], "mean": [[class,
    probability], ...], "nearest": [positions within the split], "from": [[cluster, count], ...], "to": [...]}]}``.
    ``mean`` is in the order of classes where all are given (no more than BARS), else the largest first; ``from`` and
    ``to`` have the largest first, -1 stands for images without a cluster.
    """
    here = fit.step(step)
    before, after = fit.before(step), fit.after(step)
    following = fit.step(after) if after is not None else None
    # A step between the two may have had clusters when they were made, and have none any more.
    if before is not None and here.about["before"] != fit.clusters[before]:
        before = None
    if following is not None and following.about["before"] != here.key:
        after = following = None
    sources = _by_cluster(here.flows, 1, 0) if before is not None else {}
    targets = _by_cluster(following.flows, 0, 1) if following is not None else {}
    about, centres = here.about, np.asarray(here.centres)
    clusters = []
    for cluster in range(here.k):
        alive = bool(here.sizes[cluster])
        clusters.append(
            {
                "cluster": cluster,
                "size": int(here.sizes[cluster]),
                "state": about["states"][cluster],
                "purity": about["purity"][cluster],
                "majority": about["majority"][cluster],
                "mean": _bars(centres[cluster]) if alive else [],
                "nearest": here.members(cluster)[:NEAREST].tolist(),
                "from": sources.get(cluster, []),
                "to": targets.get(cluster, []),
            }
        )
    return {
        "step": step,
        "before": before,
        "after": after,
        "refit": about["refit"],
        "inertia": about["inertia"],
        "clusters": clusters,
    }


def _bars(mean: np.ndarray) -> list[list[float]]:
    classes = range(len(mean))
    shown: Iterable[int] = classes if len(mean) <= BARS else np.argsort(-mean, kind="stable")[:BARS].tolist()
    return [[int(number), round(float(mean[number]), 4)] for number in shown]


def _by_cluster(flows: np.ndarray, key: int, other: int) -> dict[int, list[list[int]]]:
    found: dict[int, list[list[int]]] = {}
    for row in sorted(np.asarray(flows).tolist(), key=lambda row: (-row[2], row[other])):
        found.setdefault(row[key], []).append([row[other], row[2]])
    return found


def points_bytes(fit: Fit, steps: Sequence[int], planes: Mapping[int, Plane]) -> bytes:
    """Where the images lie on the map at some steps, as "MLP1", little-endian:

    ``b"MLP1"``, uint32 length H of the header, which is padded with spaces to make 8 + H a multiple of 8; JSON ``{"steps",
    "images", "x": [lo, hi], "y": [lo, hi], "explained": [..], "clusters": k}``; then for every step int16 x (image), int16
    y (image), uint16 cluster (image; NO_CLUSTER: none), uint16 predicted class (image; 65535: none, or beyond 65534).
    """
    about = fit.map_about
    images = planes[steps[0]].images
    header = json.dumps(
        {
            "steps": list(steps),
            "images": images,
            "x": about["x"],
            "y": about["y"],
            "explained": about["explained"],
            "clusters": fit.k,
        }
    ).encode()
    header += b" " * (-(8 + len(header)) % 8)
    parts = [b"MLP1", len(header).to_bytes(4, "little"), header]
    for step in steps:
        codes = np.asarray(fit.coordinates(step))
        predicted = planes[step].predicted
        parts += [
            codes[:, 0].astype("<i2").tobytes(),
            codes[:, 1].astype("<i2").tobytes(),
            np.asarray(fit.step(step).assignment).astype("<u2").tobytes(),  # -1 becomes 65535
            np.where((predicted < 0) | (predicted > 65534), 65535, predicted).astype("<u2").tobytes(),
        ]
    return b"".join(parts)
