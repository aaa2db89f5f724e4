"""What exists of a run's steps, and what is said if it does not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measured import STEPS, predicted

from mloscope.app.errors import NotFound, Unavailable
from mloscope.app.statistics.queries import Statistics
from mloscope.app.statistics.stored.store import StatisticsStore
from mloscope.app.workspace.workspace import Workspace


def test_the_overview_says_what_is_ready(statistics: Statistics, made: Any, measure: Any, bench: Any) -> None:
    measure(bench, [50], split="training")
    of = statistics.of("lenet")
    assert (of.corpus, of.split, of.splits) == (
        "noise",
        "test",
        {"training": 40, "test": 20},
    )
    assert [state.step for state in of.steps if state.state == "ready"] == list(STEPS)
    assert [state.step for state in of.steps] == list(range(0, 400, 10))
    assert {state.source for state in of.steps} == {"evaluated", None}
    ready = of.steps[0].json()
    assert ready["accuracy"] == np.mean(predicted(made[0]) == bench.corpus.labels[40:])
    assert (ready["not_predicted"], ready["images_done"], ready["problem"]) == (2, 20, None)
    assert of.class_names == ("Bird", "cat", *map(str, range(2, 10)))
    assert [state.step for state in statistics.of("lenet", "noise", "training").steps if state.state == "ready"] == [50]


def test_unfinished_and_broken_steps_are_told_from_missing_ones(
    make_bench: Any, array_run: Any, tmp_path: Path
) -> None:
    bench = make_bench(run=array_run(steps=(1, 2, 3), broken=(2,)), cache_folder=tmp_path)
    statistics = bench.services.statistics
    key = statistics.identity.step("lenet", bench.opened.checkpoint(3), "noise", "test")
    statistics.store.begin(key, {"images": 20, "classes": 10}).write(0, 5, np.full((5, 10), 0.1, np.float32))
    one, two, three = statistics.of("lenet").steps
    assert (one.state, one.problem) == ("missing", None)
    assert (two.state, two.problem) == ("missing", "The file is cut off.")
    assert (three.state, three.done, three.key) == ("unfinished", 5, key)
    with pytest.raises(NotFound, match=r"step 3 .* are not finished; this computes them: mloscope statistics arrays"):
        statistics.of("lenet").step(3)
    with pytest.raises(NotFound, match=r"Step 2 has no statistics: The file is cut off"):
        statistics.of("lenet").step(2)


def test_a_retrained_checkpoint_has_no_statistics(statistics: Statistics, made: Any, bench: Any) -> None:
    assert statistics.of("lenet").step(100)
    bench.run.versions[100] += 1
    with pytest.raises(NotFound, match="do not exist yet"):
        statistics.of("lenet").step(100)
    assert list(statistics.of("lenet").ready) == [0, 200]


def test_imports_stand_where_nothing_was_evaluated(statistics: Statistics, made: Any, bench: Any) -> None:
    store, imported = statistics.store, np.full((20, 10), 0.1, np.float32)
    plane = store.begin("imported", {"images": 20, "classes": 10}, bench.corpus.labels[40:])
    plane.write(0, 20, imported)
    plane.finish()
    series = statistics.identity.series("lenet", "noise", "test")
    for step in (100, 110, 111):  # 100 is evaluated as well, of 111 there is no checkpoint
        store.record_import(series, step, "imported")
    sources = {state.step: state.source for state in statistics.of("lenet").steps if state.state == "ready"}
    assert sources == {0: "evaluated", 100: "evaluated", 110: "imported", 111: "imported", 200: "evaluated"}
    assert statistics.of("lenet").step(111).key == "imported"
    store.remove("planes", "imported")
    assert list(statistics.of("lenet").ready) == list(STEPS)


def test_what_is_not_there_is_said(statistics: Statistics) -> None:
    with pytest.raises(NotFound, match='no split "x"; it has: training, test'):
        statistics.of("lenet", split="x")
    with pytest.raises(NotFound, match='no corpus "x"'):
        statistics.of("lenet", corpus="x")
    with pytest.raises(NotFound, match="no checkpoint of step 5; its steps go from 0 to 390"):
        statistics.of("lenet").step(5)
    alone = Statistics(Workspace(statistics.workspace.runs), StatisticsStore(None))
    for ask in (alone.of, lambda run: alone.of_image(run, "x")):
        with pytest.raises(NotFound, match="no corpus is connected"):
            ask("lenet")


class OneJob:
    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def state(self, run: str, corpus: str, split: str) -> dict[str, Any]:
        self.asked.append((run, corpus, split))
        return {"state": "running", "done": 3, "of": 9}

    def act(
        self,
        action: str,
        run: str,
        corpus: str,
        split: str,
        maps: Sequence[str] = (),
        step: int | None = None,
        patches: bool = False,
    ) -> dict[str, Any]:
        self.asked.append((action, run, corpus, split, step))
        return {"state": "paused"}


def test_jobs_are_asked_by_full_names(statistics: Statistics) -> None:
    assert statistics.of("lenet").job() == {"state": "none"}
    with pytest.raises(Unavailable, match="type: mloscope statistics arrays"):
        statistics.of("lenet").act("start")
    statistics.jobs = OneJob()
    assert statistics.of("lenet").job()["done"] == 3
    assert statistics.of("lenet", split="training").act("pause", step=20) == {"state": "paused"}
    assert statistics.jobs.asked == [("lenet", "noise", "test"), ("pause", "lenet", "noise", "training", 20)]
