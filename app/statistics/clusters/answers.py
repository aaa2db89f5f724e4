"""What pages show of clusters: the rows of a step, and where images lie on the map."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mloscope.app.statistics.clusters.store import Clustering
from mloscope.app.statistics.stored.step_statistics import StepStatistics

NEAREST = 12
"""How many images a cluster's row shows."""
BARS = 24
"""How many classes' mean probabilities a cluster's row shows: all if there are no more, else the largest."""


def rows_of_step(clustering: Clustering, step: int) -> dict[str, Any]:
    """All that the rows of one step show, as JSON.

    ``{"step", "before": step | null, "after": step | null, "refit": bool, "inertia", "clusters": [{"cluster", "size",
    "state": "alive"|"born"|"died"|"empty", "purity": 0..1 | null, "majority": [[class, count], ...], "mean": [[class,
    probability], ...], "nearest": [positions within the split], "from": [[cluster, count], ...], "to": [...]}]}``.
    ``mean`` is in the order of classes where all are given (no more than BARS), else the largest first; ``from`` and
    ``to`` have the largest first, -1 stands for images without a cluster.
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
    return [[int(number), round(float(mean[number]), 4)] for number in shown]


def _by_cluster(flows: np.ndarray, key: int, other: int) -> dict[int, list[list[int]]]:
    found: dict[int, list[list[int]]] = {}
    for row in sorted(np.asarray(flows).tolist(), key=lambda row: (-row[2], row[other])):
        found.setdefault(row[key], []).append([row[other], row[2]])
    return found


def points_bytes(clustering: Clustering, steps: Sequence[int], planes: Mapping[int, StepStatistics]) -> bytes:
    """Where the images lie on the map at some steps, as "MLP1", little-endian:

    ``b"MLP1"``, uint32 length H of the header, which is padded with spaces to make 8 + H a multiple of 8; JSON ``{"steps",
    "images", "x": [lo, hi], "y": [lo, hi], "explained": [..], "clusters": k}``; then for every step int16 x (image), int16
    y (image), uint16 cluster (image; NO_CLUSTER: none), uint16 predicted class (image; 65535: none, or beyond 65534).
    """
    about = clustering.map_about
    images = planes[steps[0]].images
    header = json.dumps(
        {
            "steps": list(steps),
            "images": images,
            "x": about["x"],
            "y": about["y"],
            "explained": about["explained"],
            "clusters": clustering.k,
        }
    ).encode()
    header += b" " * (-(8 + len(header)) % 8)
    parts = [b"MLP1", len(header).to_bytes(4, "little"), header]
    for step in steps:
        codes = np.asarray(clustering.coordinates(step))
        predicted = planes[step].predicted
        parts += [
            codes[:, 0].astype("<i2").tobytes(),
            codes[:, 1].astype("<i2").tobytes(),
            np.asarray(clustering.step(step).assignment).astype("<u2").tobytes(),  # -1 becomes 65535
            np.where((predicted < 0) | (predicted > 65534), 65535, predicted).astype("<u2").tobytes(),
        ]
    return b"".join(parts)
