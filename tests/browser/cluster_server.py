"""The clusters that the fake server of conftest.py speaks about, and where images lie on the map: drawn once per step."""

from __future__ import annotations

import hashlib
import io
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

NONE = 65535
NO_COORDINATE = -32768
EDGE, ACROSS = 32, 32


ROWS: dict[tuple[int, ...], dict[tuple[int | None, ...], dict]] = {}
"""What was worked out before, by what it depends on: clusters are the same in most tests."""


@dataclass
class FakeClusters:
    """Twelve clusters of which number 10 loses its images at step 200 and number 11 has none before step 100."""

    images: int = 2000
    classes: int = 10
    k: int = 12
    steps: tuple[int, ...] = ()
    """Those that have clusters; all that are ready where it is empty."""
    unpredicted: tuple[int, ...] = (7,)
    """Positions that have no prediction, cluster or place at the first step."""
    chunk_steps: int = 8
    map_steps: int = 5
    generation: int = 1
    neighbours: bool = False
    """Whether the map by t-SNE was computed: that of components, mirrored."""
    held: set[int] = field(default_factory=set)
    """Points of chunks with one of these steps are not answered while they stand here."""

    def __post_init__(self) -> None:
        self.assignment = lru_cache(None)(self._assignment)
        self.codes = lru_cache(None)(self._codes)
        self._rows = ROWS.setdefault((self.images, self.classes, self.k, self.generation), {})

    @property
    def labels(self) -> np.ndarray:
        labels = np.arange(self.images) % self.classes
        labels[5] = -1
        return labels

    def _assignment(self, step: int) -> np.ndarray:
        """int (image,), -1 for none."""
        rng = np.random.default_rng(step + self.generation)
        found = np.arange(self.images) % self.k
        wanders = rng.random(self.images) < 0.1
        found[wanders] = rng.integers(self.k, size=wanders.sum())
        if step < 100:
            found[found == 11] = 1
        if step >= 200:
            found[found == 10] = 0
        if step == 0:
            found[list(self.unpredicted)] = -1
        return found

    def _codes(self, step: int) -> np.ndarray:
        """int16 (image, 2)"""
        rng = np.random.default_rng(1000 + step)
        learnt = step / (step + 150)
        angle = np.arange(self.images) % self.classes / self.classes * 2 * np.pi
        away = 30_000 * learnt * np.stack([np.cos(angle), np.sin(angle)], 1)
        codes = np.clip(away + rng.normal(size=(self.images, 2)) * 1200, -32767, 32767).astype(np.int16)
        if step == 0:
            codes[list(self.unpredicted)] = NO_COORDINATE
        return codes

    def predicted(self, step: int) -> np.ndarray:
        return np.where(self.assignment(step) < 0, NONE, np.maximum(self.labels, 0))

    def nearest(self, step: int, cluster: int) -> list[int]:
        return np.flatnonzero(self.assignment(step) == cluster)[: 4 + cluster].tolist()

    def flow(self, before: int, now: int, cluster: int, *, forward: bool) -> list[list[int]]:
        old, new = self.assignment(before), self.assignment(now)
        others = new[old == cluster] if forward else old[new == cluster]
        found, counts = np.unique(others, return_counts=True)
        return sorted(([int(c), int(n)] for c, n in zip(found, counts, strict=True)), key=lambda row: -row[1])

    def rows(self, step: int, steps: list[int]) -> dict:
        at = steps.index(step)
        before = steps[at - 1] if at else None
        after = steps[at + 1] if at + 1 < len(steps) else None
        if (step, before, after) not in self._rows:
            self._rows[step, before, after] = self._made_rows(step, before, after)
        return self._rows[step, before, after]

    def _made_rows(self, step: int, before: int | None, after: int | None) -> dict:
        clusters = []
        for cluster in range(self.k):
            chosen = self.assignment(step) == cluster
            size = int(chosen.sum())
            was = before is not None and bool((self.assignment(before) == cluster).any())
            state = ("alive" if was or before is None else "born") if size else "died" if was else "empty"
            known = self.labels[chosen & (self.labels >= 0)]
            found, counts = np.unique(known, return_counts=True)
            most = sorted(zip(counts.tolist(), found.tolist(), strict=True), key=lambda row: (-row[0], row[1]))
            means = np.bincount(known, minlength=self.classes) / max(1, len(known))
            clusters.append(
                {
                    "cluster": cluster, "size": size, "state": state, "purity": most[0][0] / len(known) if most else None,
                    "majority": [[label, count] for count, label in most[:3]],
                    "mean": [[c, round(float(p), 4)] for c, p in enumerate(means)] if size else [],
                    "nearest": self.nearest(step, cluster),
                    "from": self.flow(before, step, cluster, forward=False) if before is not None else [],
                    "to": self.flow(step, after, cluster, forward=True) if after is not None else [],
                }
            )  # fmt: skip
        return {"step": step, "before": before, "after": after, "refit": False, "inertia": 1.0, "clusters": clusters}

    def shown(self, steps: list[int], all_steps: list[int]) -> list[int]:
        rows = [self.rows(step, all_steps) for step in steps]
        return sorted({p for step in rows for cluster in step["clusters"] for p in cluster["nearest"]})

    def grey(self, position: int) -> int:
        """Of an image's picture, which is all of one grey."""
        return position * 37 % 200 + 28

    def sheet(self, positions: list[int]) -> bytes:
        from PIL import Image

        whole = Image.new("RGB", (ACROSS * EDGE, -(-len(positions) // ACROSS) * EDGE))
        for place, position in enumerate(positions):
            corner = (place % ACROSS * EDGE, place // ACROSS * EDGE)
            whole.paste((self.grey(position),) * 3, (*corner, corner[0] + EDGE, corner[1] + EDGE))
        file = io.BytesIO()
        whole.save(file, "PNG")
        return file.getvalue()

    def mlp1(self, steps: list[int], kind: str = "pca") -> bytes:
        """Points as the contract lays them out."""
        header = {
            "steps": steps, "images": self.images, "x": [-1.0, 1.0], "y": [-0.5, 0.5], "explained": [0.4, 0.25],
            "note": "PCA of everything.", "clusters": self.k,
        }  # fmt: skip
        text = json.dumps(header).encode()
        text += b" " * (-(8 + len(text)) % 8)
        body = b""
        for step in steps:
            codes = self.codes(step) * (-1 if kind == "tsne" else 1)
            body += codes[:, 0].astype("<i2").tobytes() + codes[:, 1].astype("<i2").tobytes()
            body += self.assignment(step).astype("<i2").tobytes() + self.predicted(step).astype("<u2").tobytes()
        return b"MLP1" + struct.pack("<I", len(text)) + text + body

    def digest(self, steps: list[int]) -> str:
        return hashlib.sha256(f"{self.generation} {steps}".encode()).hexdigest()[:16]

    def overview(self, ready: list[int]) -> dict:
        """What the overview of the statistics says of clusters."""
        steps = self.fitted(ready)
        if not steps:
            return {"points": [], "clusters": None}

        def cut(what: str, size: int) -> list[dict]:
            parts = [steps[at : at + size] for at in range(0, len(steps), size)]
            return [{"steps": part, "address": self.address(what, part)} for part in parts]

        keys = [f"{self.generation}-{step}" for step in steps]
        points = cut("points", self.map_steps)
        others = [{**chunk, "address": chunk["address"] + "&map=tsne"} for chunk in points] if self.neighbours else []
        maps = [
            {"kind": "pca", "label": "PCA", "key": "map", "expected_seconds": None, "points": points},
            {
                "kind": "tsne",
                "label": "t-SNE",
                "key": "other" if others else None,
                "expected_seconds": 75.0,
                "points": others,
            },
        ]
        rows = {"map": "map", "maps": maps, "rows": cut("cluster_rows", self.chunk_steps)}
        return {
            "points": points,
            "clusters": {"k": self.k, "seed": 0, "steps": steps, "keys": keys, **rows},
        }

    def fitted(self, ready: list[int]) -> list[int]:
        return [step for step in ready if not self.steps or step in self.steps]

    def address(self, what: str, steps: list[int]) -> str:
        return f"/api/v1/runs/demo/statistics/{what}?steps={','.join(map(str, steps))}&digest={self.digest(steps)}"


def routes(current: Callable[[], FakeClusters | None], all_steps: Callable[[], list[int]]) -> list:
    """Starlette's routes."""
    import asyncio

    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    def asked(request) -> list[int]:
        return [int(step) for step in request.query_params["steps"].split(",")]

    def stale(request) -> bool:
        return request.query_params["digest"] != current().digest(asked(request))

    def refusal(status: int, message: str):
        return JSONResponse({"error": {"kind": "refused", "message": message}}, status_code=status)

    async def points(request):
        if stale(request):
            return refusal(409, "These statistics were computed anew.")
        while set(asked(request)) & current().held:
            await asyncio.sleep(0.01)
        return Response(
            current().mlp1(asked(request), request.query_params.get("map", "pca")),
            media_type="application/octet-stream",
        )

    async def rows(request):
        if stale(request):
            return refusal(409, "These statistics were computed anew.")
        clusters, steps = current(), asked(request)
        fitted = clusters.fitted(all_steps())
        pictures = {"address": clusters.address("cluster_pictures", steps), "edge": EDGE, "across": ACROSS}
        return JSONResponse({"steps": [clusters.rows(step, fitted) for step in steps], "pictures": pictures})

    async def pictures(request):
        clusters = current()
        shown = clusters.shown(asked(request), clusters.fitted(all_steps()))
        return Response(clusters.sheet(shown), media_type="image/png")

    async def image_ids(request):
        clusters = current()
        ids = [f"test-{position}" for position in range(clusters.images)]
        return JSONResponse({"ids": ids, "labels": clusters.labels.tolist()})

    async def members(request):
        clusters, step, cluster = current(), int(request.path_params["step"]), int(request.path_params["cluster"])
        if step not in clusters.fitted(all_steps()):
            return refusal(404, f"Step {step} has no clusters; they are made when its statistics are complete.")
        found = np.flatnonzero(clusters.assignment(step) == cluster)
        offset, limit = int(request.query_params.get("offset", 0)), int(request.query_params.get("limit", 60))
        images = [
            {
                "id": f"test-{position}", "name": f"test {position}", "label": int(clusters.labels[position]),
                "class_name": "seven", "predicted": 1, "predicted_name": "one", "distance": 0.001 * place,
            }
            for place, position in enumerate(found.tolist())
        ]  # fmt: skip
        return JSONResponse({"total": len(images), "images": images[offset : offset + limit]})

    run = "/api/v1/runs/{run}"
    return [
        Route(f"{run}/statistics/points", points),
        Route(f"{run}/statistics/cluster_rows", rows),
        Route(f"{run}/statistics/cluster_pictures", pictures),
        Route(f"{run}/statistics/image_ids", image_ids),
        Route(f"{run}/checkpoints/{{step}}/clusters/{{cluster}}", members),
    ]
