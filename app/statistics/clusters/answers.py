"""What pages show of clusters: the rows of a step and the pictures in them, the images of a cluster, and where images lie
on the map."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mloscope.app.errors import MloscopeError
from mloscope.app.images import pictures
from mloscope.app.process import binary_container
from mloscope.app.statistics import chunks
from mloscope.app.statistics.clusters.lasso import Lasso
from mloscope.app.statistics.clusters.map_kinds import MAP_KINDS, PCA
from mloscope.app.statistics.clusters.store import Clustering
from mloscope.app.statistics.images import ImageSet
from mloscope.app.statistics.run_statistics import RunStatistics
from mloscope.app.statistics.stored.step_statistics import StepStatistics

NEAREST = 12
"""How many images a cluster's row shows."""
STEPS_OF_ROWS = 8
"""How many steps' rows come in one chunk, and their images' pictures in one sheet."""
SHEET_EDGE_PX, SHEET_ACROSS = 32, 32
BARS = 24
"""How many classes' mean probabilities a cluster's row shows: all if there are no more, else the largest."""


# --------------------------------------------------------------------------------------------------------- a step


def clusters(of: RunStatistics, step: int) -> dict[str, Any]:
    """The clusters of a step, JSON-able: what :func:`rows_of_step` says, with image ids for positions."""
    clustering = of.clustered()
    rows = rows_of_step(clustering, step)
    for row in rows["clusters"]:
        row["nearest"] = [of.opened_corpus.record(of.positions[p]).id for p in row["nearest"]]
        row["majority"] = [{"class": majority, "count": count} for majority, count in row["majority"]]
        for side in ("from", "to"):
            row[side] = [{"cluster": cluster, "count": count} for cluster, count in row[side]]
    return {"k": clustering.k, "seed": clustering.seed, **rows, "class_names": of.class_names}


def cluster_members(of: RunStatistics, step: int, cluster: int) -> ImageSet:
    """Return the images of a cluster, the nearest to its centre first, each with its ``distance``."""
    found = of.clustered().step(step)
    return ImageSet(of, of.ready[step], np.asarray(found.members(cluster)), {"distance": found.distance})


def rows_of_step(clustering: Clustering, step: int) -> dict[str, Any]:
    """Everything that the rows of one step show, as JSON.

    ``{"step", "before": step | null, "after": step | null, "refit": bool, "inertia", "clusters": [{"cluster", "size",
    "state": "alive"|"born"|"died"|"empty", "purity": 0..1 | null, "majority": [[class, count], ...], "mean": [[class,
    probability], ...], "nearest": [positions within the split], "from": [[cluster, count], ...], "to": [...]}]}``.
    ``mean`` is in the order of classes if all are given (no more than BARS), else the largest first; ``from`` and
    ``to`` have the largest first; -1 stands for images without a cluster.
    """
    here = clustering.step(step)
    before, after = clustering.before(step), clustering.after(step)
    following = clustering.step(after) if after is not None else None
    # A step between the two may have had clusters when they were made, and have none any more.
    if before is not None and here.about["before"] != clustering.clusters[before]:
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
    return [[int(shown_class), round(float(mean[shown_class]), 4)] for shown_class in shown]


def _by_cluster(flows: np.ndarray, key: int, other: int) -> dict[int, list[list[int]]]:
    found: dict[int, list[list[int]]] = {}
    for row in sorted(np.asarray(flows).tolist(), key=lambda row: (-row[2], row[other])):
        found.setdefault(row[key], []).append([row[other], row[2]])
    return found


# -------------------------------------------------------------------------------------------------- rows of all steps


def row_chunks(of: RunStatistics) -> chunks.Chunks:
    """How the rows of the clustered steps are cut; nothing if there are none yet."""
    clustering = of.clustering
    if clustering is None:
        return []
    size = chunks.CHUNK_BYTES // STEPS_OF_ROWS
    return chunks.cut([(step, _row_key(clustering, step), size, clustering.k) for step in clustering.steps])


def rows(of: RunStatistics, steps: Sequence[int], digest: str) -> list[dict[str, Any]]:
    """The rows of some steps, see :func:`rows_of_step`. Raises as :func:`chunks.current`."""
    clustering = of.clustered()
    for step in steps:
        clustering.step(step)
    chunks.current(of, steps, digest, lambda step: _row_key(clustering, step))
    return [rows_of_step(clustering, step) for step in steps]


def row_pictures(of: RunStatistics, steps: Sequence[int], digest: str) -> bytes:
    """One WebP picture of all images that the rows of some steps show, in ascending order of their positions, SHEET_ACROSS
    in a line, each SHEET_EDGE_PX square with the rest beside a longer image's sides left transparent. An image that
    cannot be read leaves its place empty."""
    found = rows(of, steps, digest)
    shown = sorted({image for step in found for cluster in step["clusters"] for image in cluster["nearest"]})

    def pixels(position: int) -> np.ndarray | None:
        try:
            return of.opened_corpus.pixels(of.positions[position])
        except MloscopeError:
            return None

    return pictures.sheet((pixels(position) for position in shown), len(shown), SHEET_EDGE_PX, SHEET_ACROSS)


def _row_key(clustering: Clustering, step: int) -> str:
    around = (clustering.before(step), step, clustering.after(step))
    return " ".join(clustering.clusters[other] for other in around if other is not None)


# --------------------------------------------------------------------------------------------------- places on the map


def lassoed_images(of: RunStatistics, lasso: Lasso, kind: str = PCA.name) -> ImageSet:
    """Return the images whose places on a map at the lasso's step lie within it, in the order of the split. Raises
    :class:`NotFound` where the step has no map."""
    codes = np.asarray(of.clustered().coordinates(lasso.step, kind))
    return ImageSet(of, of.ready[lasso.step], np.flatnonzero(lasso.contains(codes)))


def point_chunks(of: RunStatistics, kind: str = PCA.name) -> chunks.Chunks:
    """How the places on a map are cut; nothing if there is no such map yet."""
    clustering = of.clustering
    if clustering is None or kind not in clustering.maps:
        return []
    return chunks.cut(
        [
            (step, _point_key(clustering, step, kind), 8 * of.ready[step].images, clustering.k)
            for step in clustering.steps
        ]
    )


def points(of: RunStatistics, steps: Sequence[int], digest: str, kind: str = PCA.name) -> bytes:
    """Where images lie on a map at some steps, see :func:`points_bytes`. Raises as :func:`chunks.current`."""
    clustering = of.clustered()
    for step in steps:
        clustering.step(step)
    chunks.current(of, steps, digest, lambda step: _point_key(clustering, step, kind))
    return points_bytes(clustering, steps, of.ready, kind)


def points_bytes(
    clustering: Clustering, steps: Sequence[int], statistics: Mapping[int, StepStatistics], kind: str = PCA.name
) -> bytes:
    """Where images lie on a map at some steps, a :mod:`binary_container` of the kind "MLP1" with the header ``{"steps",
    "images", "x": [lo, hi], "y": [lo, hi], "explained": [..] | null, "note", "clusters": k}``; then for every step int16 x (image), int16 y
    (image), uint16 cluster (image; 65535: none), uint16 predicted class (image; 65535: none, or beyond 65534).
    """
    about = clustering.map_about(kind)
    header = {
        "steps": list(steps),
        "images": statistics[steps[0]].images,
        "x": about["x"],
        "y": about["y"],
        "explained": about.get("explained"),
        "note": MAP_KINDS[kind].note(about),
        "clusters": clustering.k,
    }
    arrays: list[np.ndarray] = []
    for step in steps:
        codes = np.asarray(clustering.coordinates(step, kind))
        predicted = statistics[step].predicted
        arrays += [
            codes[:, 0].astype("<i2"),
            codes[:, 1].astype("<i2"),
            np.asarray(clustering.step(step).assignment).astype("<u2"),  # -1 becomes 65535
            np.where((predicted < 0) | (predicted > 65534), 65535, predicted).astype("<u2"),
        ]
    return binary_container.pack(b"MLP1", header, arrays)


def _point_key(clustering: Clustering, step: int, kind: str) -> str:
    return f"{clustering.sources[step]} {clustering.clusters[step]} {clustering.maps.get(kind)}"
