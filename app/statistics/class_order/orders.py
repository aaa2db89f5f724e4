"""Orders of the classes for the axes of a confusion matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from mloscope.app.errors import BadRequest, NotFound
from mloscope.app.statistics import measures
from mloscope.app.statistics.class_order import hierarchy
from mloscope.app.statistics.run_statistics import RunStatistics
from mloscope.app.statistics.stored.step_statistics import StepStatistics

RULES = ("given", "name", "similarity", "group")


def class_order(of: RunStatistics, rule: str = "given", step: int | None = None) -> dict[str, Any]:
    """Classes in an order: ``order``, numbers of all classes; ``groups``, by "group" only, dicts of ``name``, ``first``
    (place in the order), ``count``; else None.

    ``given``: by number; ``name``; ``similarity``: classes that are confused at the step (default: the last that is
    ready) side by side; ``group``: as a hierarchy file says, see :mod:`mloscope.app.statistics.class_order.hierarchy`.
    """
    if rule not in RULES:
        raise BadRequest(f'rule must be one of {", ".join(RULES)}, got "{rule}".')
    if rule == "similarity":
        found = of.step(of.last() if step is None else step)
        return {"order": of.remembered(("similarity", found.key), lambda: _by_similarity(found)), "groups": None}
    names = of.class_names
    if rule == "name":
        return {"order": sorted(range(len(names)), key=lambda c: (names[c].casefold(), c)), "groups": None}
    if rule == "given":
        return {"order": list(range(len(names))), "groups": None}
    groups = groups_of(of)
    order = [number for group in groups for number in group.classes]
    firsts = np.cumsum([0, *(len(group.classes) for group in groups)]).tolist()
    listed = [
        {"name": group.name, "first": first, "count": len(group.classes)}
        for group, first in zip(groups, firsts, strict=False)
    ]
    return {"order": order, "groups": listed}


def groups_of(of: RunStatistics) -> tuple[hierarchy.Group, ...]:
    """The corpus's groups of classes, as outputs of the run's network. Raises :class:`NotFound` if no file says them."""
    corpus = of.opened_corpus.connected
    path = hierarchy.find(corpus.path, corpus.hierarchy)
    if path is None:
        raise NotFound(
            f'The corpus "{of.corpus}" has no groups of classes: put {hierarchy.FILE_NAMES[0]} with '
            f'{{"group": ["class", ...]}} into its folder, or name a file with hierarchy = "..." in mloscope.toml.'
        )
    try:
        stamp = path.stat().st_mtime_ns
    except OSError:
        raise NotFound(f'The hierarchy {path} of the corpus "{of.corpus}" does not exist.') from None
    names = of.class_names
    known = of.opened_run.basis(of.corpus).classes.corpus_classes
    of_corpus = tuple(of.opened_corpus.adaptor.class_names)
    if not of_corpus:
        return of.remembered(("groups", str(path), stamp, names), lambda: hierarchy.read(path, names))

    def outputs() -> tuple[hierarchy.Group, ...]:
        return hierarchy.of_outputs(hierarchy.read(path, of_corpus), known, len(names))

    return of.remembered(("groups", str(path), stamp, of_corpus, known, len(names)), outputs)


def _by_similarity(step: StepStatistics) -> list[int]:
    from mloscope.app.statistics.class_order import seriation  # SciPy, which a server need not load to start

    counts = measures.dense(np.asarray(step.cells), step.classes)
    return seriation.seriate(seriation.similarity_of(counts)).tolist()
