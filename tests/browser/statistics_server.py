"""The statistics that the fake server of conftest.py speaks about: made here, from predictions that are drawn once per step."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from cluster_server import FakeClusters
from cluster_server import routes as cluster_routes

STEPS = (0, 1, 2, 5, 10, 20, 50, 100, 150, 200, 250, 300, 350, 400, 450, 500, 600, 700, 800, 900, 1000, 1200)
BROKEN = 450
CLASSES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
NOT_PREDICTED = -1


@dataclass
class FakeStatistics:
    """A classifier that learns: at first everything is taken for class 3, then for what is near, then for what it is."""

    steps: tuple[int, ...]
    missing: dict[int, str]
    names: tuple[str, ...]
    images: int = 2000
    unpredicted: int = 0
    """How many images have no prediction at the first step."""
    known: bool = True
    """Whether outputs of the network stand for the classes of the images."""
    ready: set[int] = field(default_factory=set)
    command: str = "mloscope statistics demo --images digits"
    job: dict | None = None
    posted: list[tuple[str | None, ...]] = field(default_factory=list)
    """Actions of the job route, each with its X-Mloscope header and the maps asked for."""
    first: list[int | None] = field(default_factory=list)
    """The step that each of them begins with."""
    chunk_steps: int = 6
    generation: int = 1
    """Part of every key: another one means that everything was computed anew."""
    groups: tuple[tuple[str, tuple[int, ...]], ...] | None = None
    clusters: FakeClusters | None = None
    """See cluster_server.py; None where none were made."""
    failure: dict | None = None
    """What the overview answers instead, as {"status", "message"}."""

    def __post_init__(self) -> None:
        self._predictions: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}

    @property
    def classes(self) -> int:
        return len(self.names)

    def predictions(self, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """actual int (image,), predicted int (image,; -1: not predicted), confidence float (image,)."""
        if step not in self._predictions:
            position = np.arange(self.images)
            rng = np.random.default_rng(step * 1000 + self.generation)
            actual = position % self.classes
            learnt = step / (step + 150)
            near = (actual + 1 + rng.geometric(0.5, self.images) % 3) % self.classes
            predicted = np.where(rng.random(self.images) < 0.92 * learnt, actual, near)
            predicted = np.where(rng.random(self.images) < (1 - learnt) ** 2, 3 % self.classes, predicted)
            confidence = rng.uniform(1 / self.classes, 1, self.images)
            if step == self.steps[0]:
                predicted[: self.unpredicted] = NOT_PREDICTED
            self._predictions[step] = actual, predicted, confidence
        return self._predictions[step]

    def matrix(self, step: int) -> np.ndarray:
        """int (actual, predicted + 1 for none): the oracle of the tests."""
        actual, predicted, _ = self.predictions(step)
        columns = np.where(predicted < 0, self.classes, predicted)
        counts = np.zeros((self.classes, self.classes + 1), int)
        np.add.at(counts, (actual, columns), int(self.known))
        return counts

    def key(self, step: int) -> str:
        return hashlib.sha256(f"{self.generation} {step} {self.images} {self.classes}".encode()).hexdigest()

    def ready_steps(self) -> list[int]:
        return [step for step in self.steps if step in self.ready]

    def chunks(self) -> list[dict]:
        ready = self.ready_steps()
        cut = [ready[at : at + self.chunk_steps] for at in range(0, len(ready), self.chunk_steps)]
        return [{"steps": steps, "address": self.address(steps)} for steps in cut]

    def address(self, steps: list[int]) -> str:
        return f"/api/v1/runs/demo/statistics/confusions?steps={','.join(map(str, steps))}&digest={self.digest(steps)}"

    def digest(self, steps: list[int]) -> str:
        return hashlib.sha256(" ".join(map(self.key, steps)).encode()).hexdigest()[:16]

    def overview(self) -> dict:
        def entry(step: int) -> dict:
            if step not in self.ready:
                state = "unfinished" if self.job and self.job.get("step") == step else "missing"
                return {
                    "step": step,
                    "state": state,
                    "key": None,
                    "problem": self.missing.get(step),
                    "not_predicted": None,
                }
            counts = self.matrix(step)
            return {
                "step": step, "state": "ready", "key": self.key(step), "source": "evaluated", "problem": None,
                "accuracy": float(np.trace(counts) / self.images), "top_5_accuracy": 0.9, "loss": 1.25,
                "calibration_error": 0.03, "not_predicted": int(counts[:, -1].sum()),
            }  # fmt: skip

        return {
            "corpus": "digits", "split": "test", "splits": {"training": 50_000, "test": self.images}, "images": self.images,
            "class_names": list(self.names), "command": self.command, "job": self.job,
            "steps": [entry(step) for step in self.steps], "confusions": self.chunks(),
            **(self.clusters.overview(self.ready_steps()) if self.clusters else {"points": [], "clusters": None}),
        }  # fmt: skip

    def mlc1(self, steps: list[int]) -> bytes:
        """Confusion bytes as the contract lays them out."""
        body, sizes = b"", []
        for step in steps:
            counts = self.matrix(step).ravel()
            cells = np.flatnonzero(counts)
            sizes.append(len(cells))
            body += cells.astype("<u4").tobytes() + counts[cells].astype("<u4").tobytes()
        header = {
            "steps": steps,
            "classes": self.classes,
            "cells": sizes,
            "images": [self.images * self.known] * len(steps),
        }
        text = json.dumps(header).encode()
        text += b" " * (-(8 + len(text)) % 8)
        return b"MLC1" + struct.pack("<I", len(text)) + text + body

    def record(self, position: int, step: int) -> dict:
        actual, predicted, confidence = (values[position] for values in self.predictions(step))
        known = predicted >= 0
        return {
            "id": f"test-{position}", "name": f"test {position}", "label": int(actual), "class_name": self.names[actual],
            "probability": round(float(confidence), 4) if known else None, "predicted": int(predicted) if known else None,
            "predicted_name": self.names[predicted] if known else None,
        }  # fmt: skip

    def listed(self, step: int, order: str, judged: str) -> list[int]:
        """Positions of images; of the orders it knows those by confidence."""
        labels, taken, confidence = self.predictions(step)
        positions = np.flatnonzero((labels == taken) == (judged == "right")) if judged else np.arange(self.images)
        signs = {"confident": -1, "unsure": 1}
        return positions[np.argsort(signs.get(order, 0) * confidence[positions], kind="stable")].tolist()

    def trajectory(self, position: int) -> dict:
        """Of one image, the predicted class with its confidence, the others sharing the rest."""
        steps = self.ready_steps()
        actual, predicted, confidence = zip(
            *([values[position] for values in self.predictions(step)] for step in steps), strict=True
        )
        rows = [
            [
                float(sure) if number == taken else (1 - float(sure)) / (self.classes - 1)
                for number in range(self.classes)
            ]
            for taken, sure in zip(predicted, confidence, strict=True)
        ]
        return {
            "steps": steps, "label": int(actual[0]) if self.known else None, "predicted": [int(p) for p in predicted],
            "true_probability": [row[actual[0]] for row in rows], "classes": None, "probabilities": rows, "form": "full",
        }  # fmt: skip

    def cell(self, step: int, actual: int, predicted: int, order: str) -> list[int]:
        labels, taken, confidence = self.predictions(step)
        wanted = NOT_PREDICTED if predicted == self.classes else predicted
        positions = np.flatnonzero((labels == actual) & (taken == wanted))
        if order != "position":
            sign = -1 if order == "confident" else 1
            positions = positions[np.argsort(sign * confidence[positions], kind="stable")]
        return positions.tolist()

    def moved(self, old: int, new: int, query: dict[str, str]) -> tuple[list[dict], list[int]]:
        labels, before, _ = self.predictions(old)
        after = self.predictions(new)[1]
        before, after = (np.where(p < 0, self.classes, p) for p in (before, after))
        wanted = (before != after) & self.known
        for name, values in (("actual", labels), ("before", before), ("after", after)):
            if name in query:
                wanted &= values == int(query[name])
        positions = np.flatnonzero(wanted)
        rows = np.stack([labels[positions], before[positions], after[positions]], 1)
        kinds, counts = np.unique(rows, axis=0, return_counts=True)
        best = np.argsort(-counts, kind="stable")[:200]
        moves = [
            {"actual": int(a), "from": int(f), "to": int(t), "count": int(n)}
            for (a, f, t), n in zip(kinds[best], counts[best], strict=True)
        ]
        return moves, positions.tolist()


def routes(current: Callable[[], FakeStatistics]) -> list:
    """Starlette's routes; ``current()`` gives the statistics of the moment: a test may have its own."""
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    def refusal(status: int, message: str):
        return JSONResponse({"error": {"kind": "refused", "message": message}}, status_code=status)

    async def overview(request):
        if current().failure:
            return refusal(current().failure["status"], current().failure["message"])
        return JSONResponse(current().overview())

    async def confusions(request):
        steps = [int(step) for step in request.query_params["steps"].split(",")]
        if request.query_params["digest"] != current().digest(steps):
            return refusal(409, "These statistics were computed anew.")
        return Response(
            current().mlc1(steps), media_type="application/octet-stream", headers={"Cache-Control": "immutable"}
        )

    async def cell(request):
        at = {name: int(request.path_params[name]) for name in ("step", "actual", "predicted")}
        query = request.query_params
        found = current().cell(at["step"], at["actual"], at["predicted"], query.get("order", "confident"))
        offset, limit = int(query.get("offset", 0)), int(query.get("limit", 60))
        page = [current().record(position, at["step"]) for position in found[offset : offset + limit]]
        return JSONResponse({"total": len(found), "images": page})

    async def moves(request):
        query = dict(request.query_params)
        found, positions = current().moved(int(query["from"]), int(query["to"]), query)
        offset, limit = int(query.get("offset", 0)), int(query.get("limit", 60))
        page = [current().record(position, int(query["to"])) for position in positions[offset : offset + limit]]
        return JSONResponse({"moves": found, "kinds": len(found), "total": len(positions), "images": page})

    async def trajectory(request):
        position = int(request.path_params["image"].split("-")[-1])
        return JSONResponse(current().trajectory(position))

    async def listed(request):
        step, query = int(request.path_params["step"]), request.query_params
        if step not in current().ready:
            return refusal(404, f"Step {step} has not been evaluated yet.")
        found = current().listed(step, query.get("order", ""), query.get("judged", ""))
        offset, limit = int(query.get("offset", 0)), int(query.get("limit", 60))
        if "at" in query:
            offset = found.index(int(query["at"].split("-")[-1])) // limit * limit
        page = [current().record(position, step) for position in found[offset : offset + limit]]
        rests_on = {"step": step, "split": "test", "key": current().key(step)}
        return JSONResponse({"total": len(found), "offset": offset, "images": page, "rests_on": rests_on})

    async def class_order(request):
        rule = request.query_params["rule"]
        if rule == "similarity":
            return JSONResponse({"order": list(range(current().classes))[::-1], "groups": None})
        if current().groups is None:
            return refusal(404, "The classes are in no groups: there is no hierarchy file.")
        order = [number for _, members in current().groups for number in members]
        firsts = np.cumsum([0, *(len(members) for _, members in current().groups)]).tolist()
        groups = [
            {"name": name, "first": first, "count": len(members)}
            for (name, members), first in zip(current().groups, firsts, strict=False)
        ]
        return JSONResponse({"order": order, "groups": groups})

    async def job(request):
        order = await request.json()
        action = order["action"]
        current().posted.append((action, request.headers.get("x-mloscope"), *order["maps"]))
        current().first.append(order["step"])
        states = {
            "start": "running",
            "reorder": "running",
            "pause": "paused",
            "resume": "running",
            "cancel": "cancelled",
        }
        current().job = {
            "state": states[action], "done": 3, "of": 12, "rate": 8123.4, "seconds_left": 75, "step": 1200, "message": None,
        }  # fmt: skip
        return JSONResponse(current().job)

    run = "/api/v1/runs/{run}"
    return [
        Route(f"{run}/statistics", overview),
        Route(f"{run}/statistics/confusions", confusions),
        Route(f"{run}/statistics/moves", moves),
        Route(f"{run}/statistics/class_order", class_order),
        Route(f"{run}/images/{{image}}/trajectory", trajectory),
        Route(f"{run}/checkpoints/{{step}}/images/search", listed),
        Route(f"{run}/statistics/job", job, methods=["POST"]),
        Route(f"{run}/checkpoints/{{step}}/confusion/{{actual}}/{{predicted}}", cell),
        *cluster_routes(lambda: current().clusters, lambda: current().ready_steps()),
    ]
