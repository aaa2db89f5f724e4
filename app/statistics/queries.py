"""What pages and the REST API ask of statistics: which steps have any, and what is in them.

    question ──► which corpus and split ──► identity: key of the step's plane ──► store: the plane, or a sentence

Every method is synchronous and thread-safe, computes nothing that needs a network, takes names as addresses have them
(``corpus`` None: the run's own; ``split`` None: "test" where there is one, else the last) and raises
:class:`mloscope.app.errors.MloscopeError` with a sentence. Positions count within the split.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from mloscope.adaptors.interface import ASSUMED, CorpusAdaptor
from mloscope.app.errors import BadRequest, Conflict, MloscopeError, NotFound, Unavailable
from mloscope.app.evaluation.preprocessing import BY_DEFAULT
from mloscope.app.images import pictures
from mloscope.app.statistics import measures
from mloscope.app.statistics.class_order import hierarchy, seriation
from mloscope.app.statistics.clusters import answers
from mloscope.app.statistics.clusters.store import Clustering, find_clustering
from mloscope.app.statistics.export import Table
from mloscope.app.statistics.identity import Identity
from mloscope.app.statistics.stored.step_statistics import FULL, StepStatistics
from mloscope.app.statistics.stored.store import StatisticsStore
from mloscope.app.workspace.workspace import Workspace

CHUNK_BYTES = 1 << 20
"""A chunk has as many steps as fit in, and at least one."""
STEPS_OF_ROWS = 8
"""Steps whose cluster rows come in one chunk, and whose images' pictures in one sheet."""
SHEET_EDGE_PX, SHEET_ACROSS = 32, 32
ORDERS = ("confident", "unsure", "position")
RULES = ("given", "name", "similarity", "group")
MOST_MOVES = 2000
_REMEMBERED = 64
_RATES = ("accuracy", "top_5_accuracy", "loss", "calibration_error", "not_predicted", "labelled")


class Jobs(Protocol):
    """What computes statistics in the background, see :mod:`mloscope.app.statistics.computing.jobs`."""

    def state(self, run: str, corpus: str, split: str) -> dict[str, Any]:
        """``{"state", "done", "of", "rate", "seconds_left", "step", "message"}``"""
        ...

    def act(self, action: str, run: str, corpus: str, split: str) -> dict[str, Any]:
        """``start``, ``pause``, ``resume`` or ``cancel``; the state afterwards."""
        ...


@dataclass(frozen=True)
class StepState:
    """What there is of one step."""

    step: int
    state: str
    """``ready``, ``unfinished`` (some images are measured) or ``missing``"""
    key: str | None
    source: str | None
    """``evaluated`` or ``imported``; None where it is not ready"""
    problem: str | None
    """Why it cannot be had; None where nothing is known to be wrong."""
    done: int
    """Images measured."""
    plane: StepStatistics | None

    def json(self) -> dict[str, Any]:
        rates = self.plane.rates if self.plane is not None else {}
        return {
            "step": self.step,
            "state": self.state,
            "key": self.key,
            "source": self.source,
            "problem": self.problem,
            "images_done": self.done,
            **{name: rates.get(name) for name in _RATES},
        }


@dataclass(frozen=True)
class Subject:
    """A run over one split of one corpus."""

    run: str
    corpus: str
    split: str
    positions: range
    """Of the split's images within the corpus."""
    adaptor: CorpusAdaptor


@dataclass(frozen=True)
class Overview:
    """A subject and what there is of its steps, in the order of time."""

    subject: Subject
    splits: Mapping[str, int]
    class_names: tuple[str, ...]
    steps: tuple[StepState, ...]
    command: str
    """The line to type that computes what is missing."""
    fit: Clustering | None

    @property
    def ready(self) -> dict[int, StepStatistics]:
        return {state.step: state.plane for state in self.steps if state.plane is not None}


@dataclass(frozen=True)
class Page:
    """Some images of many."""

    total: int
    images: list[dict[str, Any]]


class Statistics:
    """See the module's docstring. ``jobs`` is None where nothing can compute here; ``program`` is the first word of the line
    to type that computes."""

    def __init__(
        self, workspace: Workspace, store: StatisticsStore, jobs: Jobs | None = None, program: str = "mloscope"
    ) -> None:
        self.workspace = workspace
        self.store = store
        self.jobs = jobs
        self.program = program
        self.identity = Identity(workspace)
        self._lock = threading.Lock()
        self._known: OrderedDict[Any, Any] = OrderedDict()

    def _once(self, key: Any, compute: Callable[[], Any]) -> Any:
        """What ``compute`` gives, remembered under what it was made of."""
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        value = compute()
        with self._lock:
            self._known[key] = value
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return value

    # ------------------------------------------------------------------------------------------ what there is

    def subject(self, run: str, corpus: str | None = None, split: str | None = None) -> Subject:
        """Names filled in and checked."""
        corpus = corpus or self.workspace.opened_run(run).corpus
        if corpus is None:
            raise NotFound("Statistics are made of images, and no corpus is connected; name one with --images.")
        images = self.workspace.opened_corpus(corpus)
        splits = images.adaptor.splits
        if not splits:
            raise NotFound(f'The corpus "{corpus}" has no images.')
        chosen = split or ("test" if "test" in splits else list(splits)[-1])
        return Subject(run, corpus, chosen, images.split(chosen), images.adaptor)

    def overview(self, run: str, corpus: str | None = None, split: str | None = None) -> Overview:
        """Which steps have statistics. Reads file names and short files only."""
        subject = self.subject(run, corpus, split)
        imported = self.store.imports(self.identity.series(run, subject.corpus, subject.split))
        checkpoints = self.workspace.opened_run(run).checkpoints
        states = {checkpoint.step: self._state(subject, checkpoint, imported) for checkpoint in checkpoints}
        for step in imported:
            if step not in states:
                states[step] = self._imported(step, imported) or StepState(step, "missing", None, None, None, 0, None)
        steps = tuple(states[step] for step in sorted(states))
        classes = max((state.plane.classes for state in steps if state.plane is not None), default=0)
        planes = {state.step: state.key for state in steps if state.plane is not None and state.key is not None}
        series = self.identity.series(run, subject.corpus, subject.split)
        return Overview(
            subject,
            {name: len(positions) for name, positions in subject.adaptor.splits.items()},
            self.class_names(run, subject.corpus, classes),
            steps,
            self.command(subject),
            find_clustering(self.store, series, planes) if planes else None,
        )

    def _state(self, subject: Subject, checkpoint: Any, imported: Mapping[int, Mapping[str, Any]]) -> StepState:
        found = None
        if checkpoint.step in imported:
            found = self._imported(checkpoint.step, imported)
        problem = checkpoint.problem
        if problem is None:
            try:
                key = self.identity.plane(subject.run, checkpoint, subject.corpus, subject.split)
            except MloscopeError as error:
                problem = str(error)
            else:
                plane = self.store.find(key)
                if plane is not None:
                    return StepState(checkpoint.step, "ready", key, "evaluated", None, plane.images, plane)
                if found is None:
                    done = self.store.covered(key)
                    return StepState(checkpoint.step, "unfinished" if done else "missing", key, None, None, done, None)
        return found or StepState(checkpoint.step, "missing", None, None, problem, 0, None)

    def _imported(self, step: int, imported: Mapping[int, Mapping[str, Any]]) -> StepState | None:
        key = str(imported[step]["plane"])
        plane = self.store.find(key)
        return StepState(step, "ready", key, "imported", None, plane.images, plane) if plane is not None else None

    def class_names(self, run: str, corpus: str | None, classes: int = 0) -> tuple[str, ...]:
        """Names of the classes, at least ``classes`` of them; those without a name are called by their number."""
        names = self.workspace.class_names(run, corpus)
        return names + tuple(str(number) for number in range(len(names), classes))

    def command(self, subject: Subject) -> str:
        """The line that computes what is missing, to be pasted into a shell."""
        run, corpus = self.workspace.run(subject.run), self.workspace.corpus(subject.corpus)
        words = [self.program, "statistics", str(run.path), "--images", str(corpus.path), "--split", subject.split]
        if corpus.asked_format:
            words += ["--images-format", corpus.asked_format]
        options = run.options
        if run.asked_format:
            words += ["--format", run.asked_format]
        if options.step_pattern:
            words += ["--step-pattern", options.step_pattern]
        if options.architecture:
            words += ["--architecture", options.architecture]
        if options.output:
            words += ["--output", options.output]
        if options.class_names:
            words += ["--classes", json.dumps(list(options.class_names), ensure_ascii=False)]
        if options.custom_objects:
            words += ["--custom-objects", options.custom_objects]
        if options.trust:
            words += ["--trust"]
        how = options.preprocessing
        if how is not None:
            if how.scale_from != ASSUMED:
                words += ["--scale", repr(how.scale)]
            if how.mean is not None:
                words += [
                    "--mean=" + (how.mean if isinstance(how.mean, str) else ",".join(repr(value) for value in how.mean))
                ]
            if how.channel_order_from != BY_DEFAULT:
                words += ["--channel-order", how.channel_order]
        return shlex.join(words)

    def plane(self, run: str, step: int, corpus: str | None = None, split: str | None = None) -> StepStatistics:
        """The complete statistics of a step. Raises :class:`NotFound` saying which command makes them."""
        return self._plane(self.subject(run, corpus, split), step)

    def _plane(self, subject: Subject, step: int) -> StepStatistics:
        run = self.workspace.opened_run(subject.run)
        imported = self.store.imports(self.identity.series(subject.run, subject.corpus, subject.split))
        if step in imported and step not in run.steps:
            state = self._imported(step, imported) or StepState(step, "missing", None, None, None, 0, None)
        else:
            state = self._state(subject, run.checkpoint(step), imported)
        if state.plane is not None:
            return state.plane
        if state.problem:
            raise NotFound(f"Step {step} has no statistics: {state.problem}")
        how = "are not finished" if state.state == "unfinished" else "do not exist yet"
        raise NotFound(
            f'The statistics of step {step} over the split "{subject.split}" of the corpus "{subject.corpus}" {how}; '
            f"this computes them: {self.command(subject)}"
        )

    # --------------------------------------------------------------------------------------------- chunks

    def confusion_chunks(self, overview: Overview) -> list[tuple[list[int], str]]:
        """How the confusion counts of the ready steps are cut: steps and a digest of what they were computed from."""
        planes = overview.ready
        return _cut([(step, plane.key, 8 * plane.cell_count, plane.classes) for step, plane in planes.items()])

    def confusion_bytes(self, overview: Overview, steps: Sequence[int], digest: str) -> bytes:
        """Confusion counts of some steps as "MLC1", little-endian:

        ``b"MLC1"``, uint32 length H of the header, which is padded with spaces to make 8 + H a multiple of 8; JSON
        ``{"steps": [..], "classes": C, "cells": [n of each step], "images": [labelled images of each step]}``; then for
        every step n uint32 cell numbers actual * (C + 1) + predicted, ascending (predicted == C: not predicted), and n
        uint32 counts. Raises :class:`NotFound` for a step that is not ready, :class:`Conflict` where the digest is not
        that of what there is now.
        """
        planes = self._current(overview, steps, digest, lambda step: overview.ready[step].key)
        header = {
            "steps": list(steps),
            "classes": planes[0].classes,
            "cells": [plane.cell_count for plane in planes],
            "images": [plane.rates["labelled"] for plane in planes],
        }
        parts = [_head(b"MLC1", header)]
        for plane in planes:
            parts += [plane.cell_numbers.astype("<u4").tobytes(), plane.cells[:, 2].astype("<u4").tobytes()]
        return b"".join(parts)

    def point_chunks(self, overview: Overview) -> list[tuple[list[int], str]]:
        """As :meth:`confusion_chunks`, for places on the map; nothing where there is no map yet."""
        fit, planes = overview.fit, overview.ready
        if fit is None or fit.projection is None:
            return []
        return _cut([(step, self._point_key(fit, step), 8 * planes[step].images, fit.k) for step in fit.steps])

    def points_bytes(self, overview: Overview, steps: Sequence[int], digest: str) -> bytes:
        """Where images lie at some steps, as :func:`mloscope.app.statistics.clusters.answers.points_bytes` says. Raises
        as :meth:`confusion_bytes`."""
        fit = self._fit(overview)
        for step in steps:
            fit.step(step)
        self._current(overview, steps, digest, lambda step: self._point_key(fit, step))
        return answers.points_bytes(fit, steps, overview.ready)

    def row_chunks(self, overview: Overview) -> list[tuple[list[int], str]]:
        """As :meth:`confusion_chunks`, for the rows of clusters; nothing where there are none yet."""
        fit = overview.fit
        if fit is None:
            return []
        return _cut([(step, self._row_key(fit, step), CHUNK_BYTES // STEPS_OF_ROWS, fit.k) for step in fit.steps])

    def rows_of_clusters(self, overview: Overview, steps: Sequence[int], digest: str) -> list[dict[str, Any]]:
        """What the rows of some steps show, see :func:`mloscope.app.statistics.clusters.answers.rows_of_step`. Raises as
        :meth:`confusion_bytes`."""
        fit = self._fit(overview)
        for step in steps:
            fit.step(step)
        self._current(overview, steps, digest, lambda step: self._row_key(fit, step))
        return [answers.rows_of_step(fit, step) for step in steps]

    def cluster_pictures(self, overview: Overview, steps: Sequence[int], digest: str) -> bytes:
        """One WebP picture of all images that the rows of some steps show, in ascending order of their positions,
        SHEET_ACROSS in a line, each SHEET_EDGE_PX square with what is around a longer one's sides left transparent. An
        image that cannot be read leaves its place empty."""
        rows = self.rows_of_clusters(overview, steps, digest)
        shown = sorted({image for step in rows for cluster in step["clusters"] for image in cluster["nearest"]})
        subject = overview.subject
        corpus = self.workspace.opened_corpus(subject.corpus)

        def pixels(position: int) -> np.ndarray | None:
            try:
                return corpus.pixels(subject.positions[position])
            except MloscopeError:
                return None

        return pictures.sheet((pixels(position) for position in shown), len(shown), SHEET_EDGE_PX, SHEET_ACROSS)

    @staticmethod
    def _row_key(fit: Clustering, step: int) -> str:
        around = [fit.clusters[other] for other in (fit.before(step), step, fit.after(step)) if other is not None]
        return " ".join(around)

    @staticmethod
    def _point_key(fit: Clustering, step: int) -> str:
        return f"{fit.sources[step]} {fit.clusters[step]} {fit.projection}"

    def _current(
        self, overview: Overview, steps: Sequence[int], digest: str, key_of: Callable[[int], str]
    ) -> list[StepStatistics]:
        if not steps:
            raise BadRequest("steps = nothing: it must name steps, such as 0,100,200.")
        planes = overview.ready
        for step in steps:
            if step not in planes:
                raise NotFound(f"Step {step} has no statistics; the overview says which have.")
        if digest != _digest_of([(step, key_of(step)) for step in steps]):
            raise Conflict("The statistics changed since this address was made; the overview has the new one.")
        return [planes[step] for step in steps]

    # ------------------------------------------------------------------------------------------------ images

    def cell_images(
        self,
        run: str,
        step: int,
        actual: int,
        predicted: int,
        corpus: str | None = None,
        split: str | None = None,
        order: str = "confident",
        offset: int = 0,
        limit: int = 60,
    ) -> Page:
        """Images of one cell; ``predicted`` equal to the number of classes: those not predicted. ``order`` is one of
        ORDERS: the surest first, the least sure first, or as in the split."""
        subject = self.subject(run, corpus, split)
        plane = self._plane(subject, step)
        positions = np.asarray(plane.cell(actual, predicted))
        if order not in ORDERS:
            raise BadRequest(f'order = "{order}" does not exist; it is {", ".join(ORDERS)}.')
        if order != "position":
            confidence = plane.confidence[positions]
            positions = positions[np.argsort(-confidence if order == "confident" else confidence, kind="stable")]
        chosen = positions[offset : offset + limit]
        return Page(len(positions), self.describe(subject, chosen, plane))

    def describe(
        self, subject: Subject, positions: Sequence[int] | np.ndarray, plane: StepStatistics
    ) -> list[dict[str, Any]]:
        """Of each image: id, name, position, label, class_name, probability (of what is predicted), predicted,
        predicted_name, true_probability; None for what there is not."""
        names = self.class_names(subject.run, subject.corpus, plane.classes)
        chosen = np.asarray(positions, np.int64)
        confidence, true = plane.confidence[chosen].tolist(), plane.true_probability[chosen].tolist()
        predicted, actual = plane.predicted[chosen].tolist(), plane.actual[chosen].tolist()
        images = []
        for i, position in enumerate(chosen.tolist()):
            record = subject.adaptor.record(subject.positions[position])
            images.append(
                {
                    "id": record.id,
                    "name": record.name,
                    "position": position,
                    "label": actual[i] if actual[i] >= 0 else None,
                    "class_name": names[actual[i]] if actual[i] >= 0 else None,
                    "probability": _number(confidence[i]),
                    "predicted": predicted[i] if predicted[i] >= 0 else None,
                    "predicted_name": names[predicted[i]] if predicted[i] >= 0 else None,
                    "true_probability": _number(true[i]),
                }
            )
        return images

    def image_ids(self, run: str, corpus: str | None = None, split: str | None = None) -> list[str]:
        """Ids by position within the split."""
        subject = self.subject(run, corpus, split)
        key = ("ids", self.identity.corpus(subject.corpus), subject.split)
        return self._once(key, lambda: [subject.adaptor.record(position).id for position in subject.positions])

    def image_labels(self, run: str, corpus: str | None = None, split: str | None = None) -> np.ndarray:
        """Class numbers by position within the split, -1 where not known."""
        subject = self.subject(run, corpus, split)
        own = np.asarray(subject.adaptor.labels)[subject.positions.start : subject.positions.stop]
        labels = self.workspace.basis(subject.run, subject.corpus).classes.outputs_of(own)
        return np.maximum(labels.astype(np.int64), -1)

    def trajectory(self, run: str, image: str, corpus: str | None = None, split: str | None = None) -> dict[str, Any]:
        """What one image was held for at every ready step, JSON-able.

        ``steps``; ``predicted`` (class or None); ``true_probability``; ``label``; ``form``: "full" where ``probabilities``
        has every class and ``classes`` is None, else "top-20": ``classes`` tells whose they are. ``split`` None: the
        image's own.
        """
        corpus = corpus or self.workspace.corpus_of(run)
        if corpus is None:
            raise NotFound("Statistics are made of images, and no corpus is connected; name one with --images.")
        images = self.workspace.opened_corpus(corpus)
        place = images.position(image)
        if split is None:
            splits = images.adaptor.splits
            split = next((name for name, positions in splits.items() if place in positions), None)
        subject = self.subject(run, corpus, split)
        if place not in subject.positions:
            raise NotFound(f'The image "{image}" is not in the split "{subject.split}" of the corpus "{corpus}".')
        planes = self.overview(run, corpus, subject.split).ready
        return trajectory(planes, place - subject.positions.start)

    # ----------------------------------------------------------------------------------- what changed, pairs

    def moves(
        self,
        run: str,
        from_step: int,
        to_step: int,
        corpus: str | None = None,
        split: str | None = None,
        actual: int | None = None,
        before: int | None = None,
        after: int | None = None,
        offset: int = 0,
        limit: int = 60,
    ) -> dict[str, Any]:
        """Labelled images that are predicted otherwise at one step than at another, of one class, from one prediction or
        to one where these are said.

        ``moves``: at most MOST_MOVES of [actual, from, to, count], the most frequent first, as dicts; ``kinds``: how many
        there are; ``total``: how many images; ``images``: a page of them, by position, described as of ``to_step``,
        ``before`` and ``before_name`` what they were predicted as. "Not predicted" is the number of classes.
        """
        subject = self.subject(run, corpus, split)
        old, new = self._plane(subject, from_step), self._plane(subject, to_step)
        found, counts, positions = moved(old, new, actual, before, after)
        images = self.describe(subject, positions[offset : offset + limit], new)
        names = self.class_names(run, subject.corpus, new.classes)
        was = old.predicted[positions[offset : offset + limit]].tolist()
        for image, prediction in zip(images, was, strict=True):
            image["before"] = prediction if prediction >= 0 else None
            image["before_name"] = names[prediction] if prediction >= 0 else None
        rows = [
            {"actual": a, "from": f, "to": t, "count": n}
            for (a, f, t), n in zip(found[:MOST_MOVES].tolist(), counts[:MOST_MOVES].tolist(), strict=True)
        ]
        return {"moves": rows, "kinds": len(found), "total": len(positions), "images": images}

    def most_confused(
        self, run: str, step: int, corpus: str | None = None, split: str | None = None, limit: int = 50
    ) -> list[dict[str, Any]]:
        """Pairs of different classes by how many images of the one are taken for the other, most first: ``actual``,
        ``predicted``, ``count``, ``share`` of the class's images."""
        plane = self.plane(run, step, corpus, split)
        support = np.bincount(plane.cells[:, 0], plane.cells[:, 2], plane.classes).tolist()
        return [
            {"actual": a, "predicted": p, "count": n, "share": n / support[a]}
            for a, p, n in pairs(plane.cells, plane.classes, limit).tolist()
        ]

    def fastest_growing(
        self,
        run: str,
        from_step: int,
        to_step: int,
        corpus: str | None = None,
        split: str | None = None,
        limit: int = 50,
    ) -> list[dict[str, Any]]:
        """Pairs of different classes whose count grew between two steps, by how much: ``actual``, ``predicted``,
        ``count`` (at ``to_step``), ``before``, ``growth``."""
        subject = self.subject(run, corpus, split)
        old, new = self._plane(subject, from_step), self._plane(subject, to_step)
        return [
            {"actual": a, "predicted": p, "count": n, "before": n - g, "growth": g}
            for a, p, n, g in growth(old.cells, new.cells, new.classes, limit).tolist()
        ]

    def class_order(
        self,
        run: str,
        rule: str = "given",
        step: int | None = None,
        corpus: str | None = None,
        split: str | None = None,
    ) -> dict[str, Any]:
        """Classes in an order: ``order``, numbers of all classes; ``groups``, by "group" only, dicts of ``name``,
        ``first`` (place in the order), ``count``; else None.

        ``given``: by number; ``name``; ``similarity``: what is confused at the step (default: the last that is ready) near
        each other; ``group``: as a hierarchy file says, see :mod:`mloscope.app.statistics.class_order.hierarchy`.
        """
        subject = self.subject(run, corpus, split)
        if rule not in RULES:
            raise BadRequest(f'rule = "{rule}" does not exist; it is {", ".join(RULES)}.')
        if rule == "similarity":
            if step is None:
                ready = self.overview(run, subject.corpus, subject.split).ready
                if not ready:
                    raise NotFound(f"No step has statistics yet; this computes them: {self.command(subject)}")
                step = max(ready)
            plane = self._plane(subject, step)
            return {"order": self._once(("similarity", plane.key), lambda: _by_similarity(plane)), "groups": None}
        names = self._all_class_names(subject)
        if rule == "name":
            return {"order": sorted(range(len(names)), key=lambda c: (names[c].casefold(), c)), "groups": None}
        if rule == "given":
            return {"order": list(range(len(names))), "groups": None}
        groups = self.groups(subject)
        order = [number for group in groups for number in group.classes]
        firsts = np.cumsum([0, *(len(group.classes) for group in groups)]).tolist()
        listed = [
            {"name": group.name, "first": first, "count": len(group.classes)}
            for group, first in zip(groups, firsts, strict=False)
        ]
        return {"order": order, "groups": listed}

    def _all_class_names(self, subject: Subject) -> tuple[str, ...]:
        planes = self.overview(subject.run, subject.corpus, subject.split).ready.values()
        return self.class_names(subject.run, subject.corpus, max((plane.classes for plane in planes), default=0))

    def groups(self, subject: Subject) -> tuple[hierarchy.Group, ...]:
        """The corpus's groups of classes, as outputs of the run's network. Raises :class:`NotFound` where no file says them."""
        corpus = self.workspace.corpus(subject.corpus)
        path = hierarchy.find(corpus.path, corpus.hierarchy)
        if path is None:
            raise NotFound(
                f'The corpus "{subject.corpus}" has no groups of classes: put {hierarchy.FILE_NAMES[0]} with '
                f'{{"group": ["class", ...]}} into its folder, or name a file with hierarchy = "..." in mloscope.toml.'
            )
        try:
            stamp = path.stat().st_mtime_ns
        except OSError:
            raise NotFound(f'The hierarchy {path} of the corpus "{subject.corpus}" does not exist.') from None
        names = self._all_class_names(subject)
        known = self.workspace.basis(subject.run, subject.corpus).classes.corpus_classes
        of_corpus = tuple(corpus.adaptor.class_names) if corpus.adaptor is not None else ()
        if not of_corpus:
            return self._once(("groups", str(path), stamp, names), lambda: hierarchy.read(path, names))

        def outputs() -> tuple[hierarchy.Group, ...]:
            return hierarchy.of_outputs(hierarchy.read(path, of_corpus), known, len(names))

        return self._once(("groups", str(path), stamp, of_corpus, known, len(names)), outputs)

    # ---------------------------------------------------------------------------------------------- clusters

    def _fit(self, overview: Overview) -> Clustering:
        if overview.fit is None:
            raise NotFound(f"There are no clusters yet; this computes them: {overview.command}")
        return overview.fit

    def clusters(self, run: str, step: int, corpus: str | None = None, split: str | None = None) -> dict[str, Any]:
        """The clusters of a step, JSON-able: what :func:`answers.rows_of_step` says, with ids for positions."""
        overview = self.overview(run, corpus, split)
        fit = self._fit(overview)
        rows = answers.rows_of_step(fit, step)
        subject = overview.subject
        for row in rows["clusters"]:
            row["nearest"] = [subject.adaptor.record(subject.positions[p]).id for p in row["nearest"]]
            row["majority"] = [{"class": number, "count": count} for number, count in row["majority"]]
            for side in ("from", "to"):
                row[side] = [{"cluster": cluster, "count": count} for cluster, count in row[side]]
        return {"k": fit.k, "seed": fit.seed, **rows, "class_names": overview.class_names}

    def cluster_members(
        self,
        run: str,
        step: int,
        cluster: int,
        corpus: str | None = None,
        split: str | None = None,
        offset: int = 0,
        limit: int = 60,
    ) -> Page:
        """Images of a cluster, the nearest to its centre first, each with its ``distance``."""
        overview = self.overview(run, corpus, split)
        found = self._fit(overview).step(step)
        members = np.asarray(found.members(cluster))
        chosen = members[offset : offset + limit]
        images = self.describe(overview.subject, chosen, overview.ready[step])
        for image, distance in zip(images, found.distance[chosen].tolist(), strict=True):
            image["distance"] = _number(distance)
        return Page(len(members), images)

    # ------------------------------------------------------------------------------------------------- tables

    def steps_table(self, overview: Overview) -> Table:
        """A row a step: its state and rates."""
        rows = [state.json() for state in overview.steps]
        return {name: [row[name] for row in rows] for name in rows[0]} if rows else {"step": []}

    def confusion_table(self, subject: Subject, step: int) -> Table:
        """A row a cell that holds any image; an empty ``predicted`` stands for not predicted."""
        plane = self._plane(subject, step)
        names = self.class_names(subject.run, subject.corpus, plane.classes)
        actual, predicted, count = plane.cells.T
        chosen = [number if number < plane.classes else None for number in predicted.tolist()]
        return {
            "actual": actual,
            "actual_name": [names[number] for number in actual.tolist()],
            "predicted": chosen,
            "predicted_name": [None if number is None else names[number] for number in chosen],
            "count": count,
        }

    def classes_table(self, subject: Subject, step: int) -> Table:
        """A row a class: precision, recall, support."""
        plane = self._plane(subject, step)
        names = self.class_names(subject.run, subject.corpus, plane.classes)[: plane.classes]
        summary = plane.summary
        return {
            "class": np.arange(plane.classes),
            "class_name": list(names),
            "precision": summary["precision"],
            "recall": summary["recall"],
            "support": summary["support"],
        }

    def images_table(self, subject: Subject, step: int) -> Table:
        """A row an image: what it is held for and how surely."""
        plane = self._plane(subject, step)
        ids = self.image_ids(subject.run, subject.corpus, subject.split)
        return {
            "id": ids,
            "actual": [None if number < 0 else number for number in plane.actual.tolist()],
            "predicted": [None if number < 0 else number for number in plane.predicted.tolist()],
            "confidence": np.asarray(plane.confidence),
            "true_probability": np.asarray(plane.true_probability),
            "loss": np.asarray(plane.loss),
            "margin": np.asarray(plane.margin),
            "in_top_5": np.asarray(plane.in_top_5),
        }

    def moves_table(self, subject: Subject, from_step: int, to_step: int) -> Table:
        """A row for each way images moved between two steps; an empty class stands for not predicted."""
        old, new = self._plane(subject, from_step), self._plane(subject, to_step)
        found, counts, _ = moved(old, new)
        names = self.class_names(subject.run, subject.corpus, new.classes)
        columns: dict[str, Any] = {}
        for place, name in enumerate(("actual", "from", "to")):
            numbers = [number if number < new.classes else None for number in found[:, place].tolist()]
            columns[name] = numbers
            columns[f"{name}_name"] = [None if number is None else names[number] for number in numbers]
        return {**columns, "count": counts}

    def clusters_table(self, subject: Subject, step: int) -> Table:
        """A row a cluster."""
        rows = self.clusters(subject.run, step, subject.corpus, subject.split)["clusters"]
        table: dict[str, Any] = {name: [row[name] for row in rows] for name in ("cluster", "size", "state", "purity")}
        for column, name in (("majority_class", "class"), ("majority_count", "count")):
            table[column] = [row["majority"][0][name] if row["majority"] else None for row in rows]
        return table

    def members_table(self, subject: Subject, step: int) -> Table:
        """A row an image: its cluster and how far it is from the cluster's centre."""
        overview = self.overview(subject.run, subject.corpus, subject.split)
        found = self._fit(overview).step(step)
        return {
            "id": self.image_ids(subject.run, subject.corpus, subject.split),
            "cluster": [None if number < 0 else number for number in np.asarray(found.assignment).tolist()],
            "distance": np.asarray(found.distance),
        }

    # --------------------------------------------------------------------------------------------------- jobs

    def job(self, run: str, corpus: str | None = None, split: str | None = None) -> dict[str, Any]:
        """How far the computation is; state ``none`` where there is none."""
        subject = self.subject(run, corpus, split)
        if self.jobs is None:
            return {"state": "none"}
        return self.jobs.state(subject.run, subject.corpus, subject.split)

    def act(self, action: str, run: str, corpus: str | None = None, split: str | None = None) -> dict[str, Any]:
        """``start``, ``pause``, ``resume`` or ``cancel`` the computation; its state afterwards."""
        subject = self.subject(run, corpus, split)
        if self.jobs is None:
            raise Unavailable(f"Statistics cannot be computed by this server; type: {self.command(subject)}")
        return self.jobs.act(action, subject.run, subject.corpus, subject.split)


# ------------------------------------------------------------------------------------------------ on planes alone


def trajectory(planes: Mapping[int, StepStatistics], position: int) -> dict[str, Any]:
    """See :meth:`Statistics.trajectory`; ``planes`` by step. Reads one row of each."""
    full = all(plane.form == FULL for plane in planes.values())
    predicted, true, classes, probabilities, label = [], [], [], [], None
    for plane in planes.values():
        names = ("probabilities",) if plane.form == FULL else ("top_probabilities", "top_classes")
        chosen, true_probability, row, *whose = plane.row(position, ("predicted", "true_probability", *names))
        predicted.append(int(chosen) if chosen >= 0 else None)
        true.append(_number(float(true_probability)))
        probabilities.append([_number(value) for value in row.tolist()])
        classes.append(whose[0].tolist() if whose else list(range(plane.classes)) if not full else None)
    if planes:
        (actual,) = next(iter(planes.values())).row(position, ("actual",))  # the same at all steps
        label = int(actual) if actual >= 0 else None
    return {
        "steps": list(planes),
        "label": label,
        "predicted": predicted,
        "true_probability": true,
        "classes": None if full else classes,
        "probabilities": probabilities,
        "form": FULL if full else next(plane.form for plane in planes.values() if plane.form != FULL),
    }


def moved(
    old: StepStatistics,
    new: StepStatistics,
    actual: int | None = None,
    before: int | None = None,
    after: int | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labelled images predicted otherwise in ``new`` than in ``old``: kinds, int64 (kind, 3): actual, from, to ("not
    predicted" is the number of classes), by their counts falling, then ascending; counts, int64 (kind,); positions, int64,
    ascending. Of one class, from one prediction or to one where these are said."""
    if old.images != new.images or old.classes != new.classes:
        raise Conflict(
            f"{old.images} images of {old.classes} classes and {new.images} images of {new.classes} classes "
            "cannot be compared one by one."
        )
    classes = new.classes
    was = np.where(old.predicted < 0, classes, old.predicted).astype(np.int64)
    now = np.where(new.predicted < 0, classes, new.predicted).astype(np.int64)
    truth = np.asarray(new.actual, np.int64)
    chosen = (was != now) & (truth >= 0)
    for wanted, values in ((actual, truth), (before, was), (after, now)):
        if wanted is not None:
            chosen &= values == wanted
    positions = np.flatnonzero(chosen)
    codes = (truth[positions] * (classes + 1) + was[positions]) * (classes + 1) + now[positions]
    found, counts = np.unique(codes, return_counts=True)
    by_count = np.argsort(-counts, kind="stable")
    found = found[by_count]
    kinds = np.stack(
        [found // (classes + 1) ** 2, found // (classes + 1) % (classes + 1), found % (classes + 1)], axis=1
    )
    return kinds, counts[by_count], positions


def pairs(cells: np.ndarray, classes: int, limit: int) -> np.ndarray:
    """int64 (pair, 3): actual, predicted, count of the ``limit`` largest cells off the diagonal; ties ascending. Images
    that are not predicted are in none."""
    off = cells[(cells[:, 0] != cells[:, 1]) & (cells[:, 1] < classes)]
    return off[np.argsort(-off[:, 2], kind="stable")[:limit]]


def growth(old: np.ndarray, new: np.ndarray, classes: int, limit: int) -> np.ndarray:
    """int64 (pair, 4): actual, predicted, count, growth of the cells off the diagonal that grew most from ``old`` to
    ``new``; ties ascending."""
    numbers = new[:, 0] * (classes + 1) + new[:, 1]
    known = old[:, 0] * (classes + 1) + old[:, 1]
    before = np.zeros(len(new), np.int64)
    if len(old):
        places = np.minimum(np.searchsorted(known, numbers), len(known) - 1)
        same = known[places] == numbers
        before[same] = old[places[same], 2]
    grown = np.column_stack([new, new[:, 2] - before])
    grown = grown[(grown[:, 0] != grown[:, 1]) & (grown[:, 1] < classes) & (grown[:, 3] > 0)]
    return grown[np.argsort(-grown[:, 3], kind="stable")[:limit]]


def _by_similarity(plane: StepStatistics) -> list[int]:
    counts = measures.dense(np.asarray(plane.cells), plane.classes)
    return seriation.seriate(seriation.similarity_of(counts)).tolist()


def _cut(steps: Sequence[tuple[int, str, int, int]]) -> list[tuple[list[int], str]]:
    """Consecutive (step, key, bytes, kind) in chunks of one kind and of at most CHUNK_BYTES: steps and digest of each."""
    chunks: list[list[tuple[int, str]]] = []
    size, before = 0, None
    for step, key, length, kind in steps:
        if not chunks or size + length > CHUNK_BYTES or kind != before:
            chunks.append([])
            size, before = 0, kind
        chunks[-1].append((step, key))
        size += length
    return [([step for step, _ in chunk], _digest_of(chunk)) for chunk in chunks]


def _digest_of(chunk: Sequence[tuple[int, str]]) -> str:
    return hashlib.blake2b(json.dumps(chunk).encode(), digest_size=16).hexdigest()


def _head(magic: bytes, header: Mapping[str, Any]) -> bytes:
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % 8)
    return magic + len(text).to_bytes(4, "little") + text


def _number(value: float) -> float | None:
    return value if value == value else None
