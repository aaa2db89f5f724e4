"""What pages ask of statistics, against the arrays that the statistics were made of."""

from __future__ import annotations

import csv
import io
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mloscope.adaptors.interface import Preprocessing, RunOptions
from mloscope.app.errors import BadRequest, Conflict, NotFound, NotPossible, Unavailable
from mloscope.app.statistics import export
from mloscope.app.statistics.clusters.clustering import cluster_run
from mloscope.app.statistics.queries import Statistics, growth, pairs
from mloscope.app.statistics.stored.store import StatisticsStore
from mloscope.app.workspace.connected import ConnectedCorpus, ConnectedRun
from mloscope.app.workspace.workspace import Workspace

STEPS = (0, 100, 200)


@pytest.fixture
def bench(make_bench: Any, tmp_path: Path) -> Any:
    return make_bench(cache_folder=tmp_path / "cache")


@pytest.fixture
def statistics(bench: Any) -> Statistics:
    return bench.observatory.statistics


@pytest.fixture
def made(bench: Any, measure: Any) -> dict[int, np.ndarray]:
    """Probabilities of the test images at STEPS; images 4 and 7 are NaN."""
    return measure(bench, STEPS, lost=(4, 7))


@pytest.fixture
def actual(bench: Any) -> np.ndarray:
    return bench.corpus.labels[40:]


def predicted(probabilities: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(probabilities[:, 0]), 10, np.nan_to_num(probabilities).argmax(axis=1))


# ------------------------------------------------------------------------------------------------ overview


def test_the_overview_says_what_is_ready(statistics: Statistics, made: Any, measure: Any, bench: Any) -> None:
    measure(bench, [50], split="training")
    overview = statistics.overview("lenet")
    assert (overview.subject.corpus, overview.subject.split, overview.splits) == (
        "noise",
        "test",
        {"training": 40, "test": 20},
    )
    assert [state.step for state in overview.steps if state.state == "ready"] == list(STEPS)
    assert [state.step for state in overview.steps] == list(range(0, 400, 10))
    assert {state.source for state in overview.steps} == {"evaluated", None}
    ready = overview.steps[0].json()
    assert ready["accuracy"] == np.mean(predicted(made[0]) == bench.corpus.labels[40:])
    assert (ready["not_predicted"], ready["images_done"], ready["problem"]) == (2, 20, None)
    assert overview.class_names == ("Bird", "cat", *map(str, range(2, 10)))
    assert [
        state.step for state in statistics.overview("lenet", "noise", "training").steps if state.state == "ready"
    ] == [50]


def test_unfinished_and_broken_steps_are_told_from_missing_ones(
    make_bench: Any, array_run: Any, tmp_path: Path
) -> None:
    bench = make_bench(run=array_run(steps=(1, 2, 3), broken=(2,)), cache_folder=tmp_path)
    statistics = bench.observatory.statistics
    key = statistics.identity.plane("lenet", bench.observatory.checkpoint("lenet", 3), "noise", "test")
    statistics.store.begin(key, {"images": 20, "classes": 10}).write(0, 5, np.full((5, 10), 0.1, np.float32))
    one, two, three = statistics.overview("lenet").steps
    assert (one.state, one.problem) == ("missing", None)
    assert (two.state, two.problem) == ("missing", "The file is cut off.")
    assert (three.state, three.done, three.key) == ("unfinished", 5, key)
    with pytest.raises(NotFound, match=r"step 3 .* are not finished; this computes them: mloscope statistics arrays"):
        statistics.plane("lenet", 3)
    with pytest.raises(NotFound, match=r"Step 2 has no statistics: The file is cut off"):
        statistics.plane("lenet", 2)


def test_a_retrained_checkpoint_has_no_statistics(statistics: Statistics, made: Any, bench: Any) -> None:
    assert statistics.plane("lenet", 100)
    bench.run.versions[100] += 1
    with pytest.raises(NotFound, match="do not exist yet"):
        statistics.plane("lenet", 100)
    assert list(statistics.overview("lenet").ready) == [0, 200]


def test_imports_stand_where_nothing_was_evaluated(statistics: Statistics, made: Any, bench: Any) -> None:
    store, imported = statistics.store, np.full((20, 10), 0.1, np.float32)
    plane = store.begin("imported", {"images": 20, "classes": 10}, bench.corpus.labels[40:])
    plane.write(0, 20, imported)
    plane.finish()
    series = statistics.identity.series("lenet", "noise", "test")
    for step in (100, 110, 111):  # 100 is evaluated as well, of 111 there is no checkpoint
        store.record_import(series, step, "imported")
    sources = {state.step: state.source for state in statistics.overview("lenet").steps if state.state == "ready"}
    assert sources == {0: "evaluated", 100: "evaluated", 110: "imported", 111: "imported", 200: "evaluated"}
    assert statistics.plane("lenet", 111).key == "imported"
    store.remove("planes", "imported")
    assert list(statistics.overview("lenet").ready) == list(STEPS)


def test_what_is_not_there_is_said(statistics: Statistics) -> None:
    with pytest.raises(NotFound, match='no split "x"; it has: training, test'):
        statistics.overview("lenet", split="x")
    with pytest.raises(NotFound, match='no corpus "x"'):
        statistics.overview("lenet", corpus="x")
    with pytest.raises(NotFound, match="no checkpoint of step 5; its steps go from 0 to 390"):
        statistics.plane("lenet", 5)
    alone = Statistics(Workspace(statistics.workspace.runs), StatisticsStore(None))
    for ask in (alone.overview, lambda run: alone.trajectory(run, "x")):
        with pytest.raises(NotFound, match="no corpus is connected"):
            ask("lenet")


def test_the_command_says_all_that_decides_the_key(array_run: Any, array_corpus: Any) -> None:
    options = RunOptions("epoch-([0-9]+)", "nets:lenet", Preprocessing(0.5, (1.0, 2.0, 3.0), "bgr"), trust=True)
    workspace = Workspace(
        [ConnectedRun("r", Path("my runs/a"), array_run(), options, asked_format="keras")],
        [ConnectedCorpus("c", Path("data"), array_corpus(), asked_format="npz")],
    )
    statistics = Statistics(workspace, StatisticsStore(None))
    assert statistics.command(statistics.subject("r")) == (
        "mloscope statistics 'my runs/a' --images data --split test --images-format npz --format keras "
        "--step-pattern 'epoch-([0-9]+)' --architecture nets:lenet --trust --scale 0.5 --mean=1.0,2.0,3.0 "
        "--channel-order bgr"
    )


# --------------------------------------------------------------------------------------------------- chunks


def parsed(data: bytes) -> tuple[dict[str, Any], list[tuple[np.ndarray, np.ndarray]]]:
    magic, length = struct.unpack_from("<4sI", data)
    assert magic == b"MLC1"
    assert (8 + length) % 8 == 0
    header, place, steps = json.loads(data[8 : 8 + length]), 8 + length, []
    for cells in header["cells"]:
        numbers = np.frombuffer(data, "<u4", cells, place)
        counts = np.frombuffer(data, "<u4", cells, place + 4 * cells)
        steps.append((numbers, counts))
        place += 8 * cells
    assert place == len(data)
    return header, steps


def test_a_chunk_holds_the_counts(statistics: Statistics, made: Any, actual: np.ndarray) -> None:
    overview = statistics.overview("lenet")
    ((steps, digest),) = statistics.confusion_chunks(overview)
    header, found = parsed(statistics.confusion_bytes(overview, steps, digest))
    assert header == {"steps": list(STEPS), "classes": 10, "cells": [len(n) for n, _ in found], "images": [20] * 3}
    for step, (numbers, counts) in zip(steps, found, strict=True):
        expected, times = np.unique(actual * 11 + predicted(made[step]), return_counts=True)
        np.testing.assert_array_equal(numbers, expected)
        np.testing.assert_array_equal(counts, times)


def test_chunks_are_of_bounded_size(make_bench: Any, measure: Any, array_corpus: Any, tmp_path: Path) -> None:
    bench = make_bench(corpus=array_corpus(training=0, test=60_000), cache_folder=tmp_path)
    measure(bench, [0, 10, 20], classes=5)
    statistics = bench.observatory.statistics
    overview = statistics.overview("lenet")
    for plane in overview.ready.values():  # pretend that there are more cells: 480 kB a step, two steps fit
        plane.about["arrays"]["cells"][2][0] = 60_000
    assert [steps for steps, _ in statistics.confusion_chunks(overview)] == [[0, 10], [20]]


def test_an_outdated_address_is_refused(statistics: Statistics, made: Any, bench: Any) -> None:
    overview = statistics.overview("lenet")
    ((steps, digest),) = statistics.confusion_chunks(overview)
    with pytest.raises(Conflict, match="changed since"):
        statistics.confusion_bytes(overview, steps[:2], digest)
    with pytest.raises(NotFound, match="Step 10 has no statistics"):
        statistics.confusion_bytes(overview, [0, 10], digest)
    with pytest.raises(BadRequest, match="steps = nothing"):
        statistics.confusion_bytes(overview, [], digest)
    bench.run.versions[100] += 1
    with pytest.raises(NotFound, match="Step 100"):
        statistics.confusion_bytes(statistics.overview("lenet"), steps, digest)


# --------------------------------------------------------------------------------------------------- images


def test_every_cell_at_every_step_has_as_many_images_as_its_count(
    statistics: Statistics, made: Any, actual: np.ndarray
) -> None:
    overview = statistics.overview("lenet")
    ((steps, digest),) = statistics.confusion_chunks(overview)
    _, found = parsed(statistics.confusion_bytes(overview, steps, digest))
    for step, (numbers, counts) in zip(steps, found, strict=True):
        by_number = dict(zip(numbers.tolist(), counts.tolist(), strict=True))
        seen = []
        for a in range(10):
            for p in range(11):
                page = statistics.cell_images("lenet", step, a, p)
                assert page.total == len(page.images) == by_number.get(a * 11 + p, 0)
                for image in page.images:
                    assert (actual[image["position"]], predicted(made[step])[image["position"]]) == (a, p)
                    assert image["id"] == f"test-{image['position']}"
                    assert image["predicted"] == (p if p < 10 else None)
                    seen.append(image["position"])
        assert sorted(seen) == list(range(20))


def test_images_of_a_cell_are_paged_in_three_orders(statistics: Statistics, bench: Any, measure: Any) -> None:
    made = measure(bench, [300])[300]
    a, p = 1, int(np.bincount(predicted(made)[1::2]).argmax())
    everything = statistics.cell_images("lenet", 300, a, p, order="position")
    assert everything.total > 3
    positions = [image["position"] for image in everything.images]
    assert positions == sorted(positions)
    assert [image["probability"] for image in everything.images] == [float(made[i].max()) for i in positions]
    surest = sorted(positions, key=lambda i: -made[i].max())
    for order, expected in (("confident", surest), ("unsure", surest[::-1])):
        pages = [statistics.cell_images("lenet", 300, a, p, order=order, offset=o, limit=2) for o in range(0, 20, 2)]
        assert [image["position"] for page in pages for image in page.images] == expected
        assert {page.total for page in pages} == {everything.total}
    with pytest.raises(BadRequest, match="confident, unsure, position"):
        statistics.cell_images("lenet", 300, a, p, order="size")


def test_ids_are_in_the_order_of_the_split(statistics: Statistics) -> None:
    assert statistics.image_ids("lenet") == [f"test-{number}" for number in range(20)]
    assert statistics.image_ids("lenet", split="training")[39] == "training-39"


@pytest.mark.parametrize("form", ["full", "top-20"])
def test_a_trajectory_is_the_images_row_at_every_step(make_bench: Any, measure: Any, tmp_path: Path, form: str) -> None:
    bench = make_bench(cache_folder=tmp_path)
    made = measure(bench, STEPS, form=form, lost=(4,), classes=30)
    statistics = bench.observatory.statistics
    found = statistics.trajectory("lenet", "test-3")
    assert (found["steps"], found["label"], found["form"]) == (list(STEPS), 1, form)
    assert found["predicted"] == [int(made[step][3].argmax()) for step in STEPS]
    assert found["true_probability"] == [float(made[step][3, 1]) for step in STEPS]
    if form == "full":
        assert found["classes"] is None
        np.testing.assert_array_equal(np.float32(found["probabilities"]), [made[step][3] for step in STEPS])
    else:
        for step, classes, probabilities in zip(STEPS, found["classes"], found["probabilities"], strict=True):
            np.testing.assert_array_equal(classes, np.argsort(-made[step][3], kind="stable")[:20])
            np.testing.assert_array_equal(np.float32(probabilities), made[step][3][classes].astype(np.float16))
    assert statistics.trajectory("lenet", "test-4")["predicted"] == [None] * 3
    assert statistics.trajectory("lenet", "test-4")["true_probability"] == [None] * 3


def test_a_trajectory_of_steps_kept_in_both_forms_names_all_classes(
    bench: Any, statistics: Statistics, measure: Any
) -> None:
    measure(bench, [0], classes=30)
    measure(bench, [10], classes=30, form="top-20")
    found = statistics.trajectory("lenet", "test-0")
    assert found["form"] == "top-20"
    assert found["classes"][0] == list(range(30))
    assert [len(row) for row in found["probabilities"]] == [30, 20]


def test_a_trajectory_takes_the_images_own_split(statistics: Statistics, bench: Any, measure: Any, made: Any) -> None:
    measure(bench, [0], split="training")
    assert statistics.trajectory("lenet", "training-2")["steps"] == [0]
    with pytest.raises(NotFound, match='"training-2" is not in the split "test"'):
        statistics.trajectory("lenet", "training-2", split="test")


# ---------------------------------------------------------------------------------------- changes and orders


def test_moves_are_counted_and_their_images_found(statistics: Statistics, made: Any, actual: np.ndarray) -> None:
    was, now = predicted(made[0]), predicted(made[200])
    moving = np.flatnonzero(was != now)
    found = statistics.moves("lenet", 0, 200, limit=1000)
    assert found["total"] == len(moving) == sum(move["count"] for move in found["moves"])
    assert [image["position"] for image in found["images"]] == moving.tolist()
    counted = {(m["actual"], m["from"], m["to"]): m["count"] for m in found["moves"]}
    for (a, f, t), count in counted.items():
        assert count == np.count_nonzero((actual == a) & (was == f) & (now == t)) > 0
    counts = [move["count"] for move in found["moves"]]
    assert counts == sorted(counts, reverse=True)
    assert found["kinds"] == len(counted)
    first = found["images"][0]
    assert (first["before"], first["predicted"]) == (was[moving[0]], now[moving[0]])
    one = statistics.moves("lenet", 0, 200, actual=1, before=int(was[moving[0]]), after=int(now[moving[0]]))
    assert one["total"] == np.count_nonzero((actual == 1) & (was == was[moving[0]]) & (now == now[moving[0]]))
    assert statistics.moves("lenet", 100, 100)["total"] == 0
    page = statistics.moves("lenet", 0, 200, offset=1, limit=2)
    assert [image["position"] for image in page["images"]] == moving[1:3].tolist()


def test_images_that_were_not_predicted_move_too(statistics: Statistics, bench: Any, measure: Any) -> None:
    measure(bench, [0], lost=(4,))
    measure(bench, [10])
    move = next(image for image in statistics.moves("lenet", 0, 10)["images"] if image["position"] == 4)
    assert (move["before"], move["before_name"]) == (None, None)
    assert any(m["from"] == 10 for m in statistics.moves("lenet", 0, 10)["moves"])


def test_steps_of_different_classes_have_no_moves(statistics: Statistics, bench: Any, measure: Any) -> None:
    measure(bench, [0])
    measure(bench, [10], classes=5)
    with pytest.raises(Conflict, match="cannot be compared one by one"):
        statistics.moves("lenet", 0, 10)
    overview = statistics.overview("lenet")
    chunks = statistics.confusion_chunks(overview)
    assert [steps for steps, _ in chunks] == [[0], [10]]
    assert [parsed(statistics.confusion_bytes(overview, *chunk))[0]["classes"] for chunk in chunks] == [10, 5]


def test_the_most_confused_pairs() -> None:
    cells = np.array([[0, 0, 90], [0, 1, 5], [0, 2, 7], [1, 0, 7], [1, 1, 3], [2, 3, 50]])
    assert pairs(cells, 3, 10).tolist() == [[0, 2, 7], [1, 0, 7], [0, 1, 5]]
    assert pairs(cells, 3, 1).tolist() == [[0, 2, 7]]


def test_the_fastest_growing_pairs() -> None:
    old = np.array([[0, 0, 90], [0, 1, 5], [1, 0, 7], [2, 1, 1]])
    new = np.array([[0, 0, 99], [0, 1, 9], [0, 2, 6], [1, 0, 3], [2, 1, 1], [2, 3, 50]])
    assert growth(old, new, 3, 10).tolist() == [[0, 2, 6, 6], [0, 1, 9, 4]]
    assert growth(old[:0], new, 3, 1).tolist() == [[0, 1, 9, 9]]
    assert growth(old, new[:0], 3, 1).tolist() == []


def test_pairs_of_a_run(statistics: Statistics, made: Any, actual: np.ndarray) -> None:
    row = statistics.most_confused("lenet", 0)[0]
    now = predicted(made[0])
    assert row["count"] == np.count_nonzero((actual == row["actual"]) & (now == row["predicted"]))
    assert row["share"] == row["count"] / 10
    grown = statistics.fastest_growing("lenet", 200, 0)[0]
    before = np.count_nonzero((actual == grown["actual"]) & (predicted(made[200]) == grown["predicted"]))
    assert (grown["before"], grown["growth"]) == (before, grown["count"] - before)


def test_orders_of_classes(statistics: Statistics, made: Any, bench: Any, tmp_path: Path) -> None:
    assert statistics.class_order("lenet") == {"order": list(range(10)), "groups": None}
    assert statistics.class_order("lenet", "name")["order"] == [2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert sorted(statistics.class_order("lenet", "similarity", 0)["order"]) == list(range(10))
    assert statistics.class_order("lenet", "similarity") == statistics.class_order("lenet", "similarity", 200)
    with pytest.raises(BadRequest, match="given, name, similarity, group"):
        statistics.class_order("lenet", "size")
    with pytest.raises(NotFound, match=r"no groups of classes: put hierarchy\.json"):
        statistics.class_order("lenet", "group")


def test_similarity_needs_statistics(statistics: Statistics) -> None:
    with pytest.raises(NotFound, match="No step has statistics yet; this computes them: mloscope statistics"):
        statistics.class_order("lenet", "similarity")


def test_groups_come_from_the_file_that_the_workspace_names(array_run: Any, array_corpus: Any, tmp_path: Path) -> None:
    path = tmp_path / "groups.json"
    path.write_text('{"pets": ["cat"], "wild": ["Bird"]}')

    def ask(file: Path) -> dict[str, Any]:
        workspace = Workspace(
            [ConnectedRun("lenet", Path("arrays"), array_run())],
            [ConnectedCorpus("noise", Path("noise"), array_corpus(), hierarchy=file)],
        )
        return Statistics(workspace, StatisticsStore(None)).class_order("lenet", "group")

    assert ask(path) == {
        "order": [1, 0, *range(2, 10)],
        "groups": [
            {"name": "pets", "first": 0, "count": 1},
            {"name": "wild", "first": 1, "count": 1},
            {"name": "others", "first": 2, "count": 8},
        ],
    }
    with pytest.raises(NotFound, match=r"gone\.json of the corpus .* does not exist"):
        ask(tmp_path / "gone.json")


def test_groups_of_the_corpuss_classes_are_given_as_the_outputs_that_stand_for_them(
    array_run: Any, array_corpus: Any, tmp_path: Path
) -> None:
    path = tmp_path / "groups.json"
    path.write_text('{"pets": [1], "wild": [0]}')  # numbers of the corpus's classes: Bird, cat

    def ask(*names: str) -> dict[str, Any]:
        run = array_run()
        run.class_names = (*names, *map(str, range(2, 10)))
        workspace = Workspace(
            [ConnectedRun("lenet", Path("arrays"), run)],
            [ConnectedCorpus("noise", Path("noise"), array_corpus(), hierarchy=path)],
        )
        return Statistics(workspace, StatisticsStore(None)).class_order("lenet", "group")

    assert ask("Bird", "cat")["order"] == [1, 0, *range(2, 10)]
    assert ask("cat", "Bird")["order"] == list(range(10))
    assert [group["count"] for group in ask("cat", "dog")["groups"]] == [1, 9]
    with pytest.raises(NotPossible, match="No output"):
        ask("fish", "dog")


# ---------------------------------------------------------------------------------------- clusters, tables, jobs


@pytest.fixture
def clustered(statistics: Statistics, bench: Any, measure: Callable[..., Any]) -> Statistics:
    measure(bench, STEPS)
    planes = list(statistics.overview("lenet").ready.items())
    cluster_run(statistics.store, statistics.identity.series("lenet", "noise", "test"), planes, k=3)
    return statistics


def test_clusters_are_told_with_ids(clustered: Statistics) -> None:
    found = clustered.clusters("lenet", 100)
    assert (found["k"], found["step"], found["before"], found["after"]) == (3, 100, 0, 200)
    assert sum(row["size"] for row in found["clusters"]) == 20
    for row in found["clusters"]:
        page = clustered.cluster_members("lenet", 100, row["cluster"])
        assert page.total == len(page.images) == row["size"]
        assert row["nearest"] == [image["id"] for image in page.images][: len(row["nearest"])]
        distances = [image["distance"] for image in page.images]
        assert distances == sorted(distances)
        classes = [image["label"] for image in page.images]
        assert row["majority"][0]["count"] == max(map(classes.count, classes))
        assert sum(flow["count"] for flow in row["from"]) == row["size"]
        assert sum(flow["count"] for flow in row["to"]) == row["size"]
    with pytest.raises(NotFound, match="no cluster 3"):
        clustered.cluster_members("lenet", 100, 3)
    with pytest.raises(NotFound, match="Step 110"):
        clustered.clusters("lenet", 110)


def test_points_are_told_in_chunks(clustered: Statistics) -> None:
    overview = clustered.overview("lenet")
    ((steps, digest),) = clustered.point_chunks(overview)
    data = clustered.points_bytes(overview, steps, digest)
    length = int.from_bytes(data[4:8], "little")
    header = json.loads(data[8 : 8 + length])
    assert data[:4] == b"MLP1"
    assert (header["steps"], header["images"], header["clusters"]) == (list(STEPS), 20, 3)
    assert len(data) == 8 + length + 3 * 20 * 8
    last = np.frombuffer(data, "<u2", 20, len(data) - 40)
    np.testing.assert_array_equal(last, clustered.plane("lenet", 200).predicted)
    with pytest.raises(Conflict):
        clustered.points_bytes(overview, steps[:1], digest)


def test_without_clusters_the_command_is_said(statistics: Statistics, made: Any) -> None:
    overview = statistics.overview("lenet")
    assert statistics.point_chunks(overview) == []
    for ask in (
        lambda: statistics.points_bytes(overview, [0], "x"),
        lambda: statistics.clusters("lenet", 0),
        lambda: statistics.cluster_members("lenet", 0, 0),
    ):
        with pytest.raises(NotFound, match="There are no clusters yet; this computes them: mloscope statistics"):
            ask()


def rows(table: export.Table) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(export.encode(table, "csv").decode(), newline="")))


def test_tables_say_what_the_answers_say(clustered: Statistics, bench: Any, measure: Any) -> None:
    measure(bench, [10], lost=(3,))
    overview = clustered.overview("lenet")
    subject = overview.subject
    steps = rows(clustered.steps_table(overview))
    assert [row["step"] for row in steps if row["state"] == "ready"] == ["0", "10", "100", "200"]
    assert steps[0]["accuracy"] == str(clustered.plane("lenet", 0).summary["accuracy"])
    cells = rows(clustered.confusion_table(subject, 10))
    assert sum(int(row["count"]) for row in cells) == 20
    assert [row["actual_name"] for row in cells if row["predicted"] == ""] == ["cat"]
    classes = rows(clustered.classes_table(subject, 10))
    assert [row["class_name"] for row in classes][:3] == ["Bird", "cat", "2"]
    assert [row["support"] for row in classes][:3] == ["10", "10", "0"]
    images = rows(clustered.images_table(subject, 10))
    assert len(images) == 20
    assert (images[3]["id"], images[3]["actual"], images[3]["predicted"], images[3]["loss"]) == ("test-3", "1", "", "")
    assert float(images[0]["confidence"]) == pytest.approx(clustered.plane("lenet", 10).confidence[0])
    moves = rows(clustered.moves_table(subject, 10, 100))
    assert sum(int(row["count"]) for row in moves) == clustered.moves("lenet", 10, 100)["total"]
    assert [row["from"] for row in moves].count("") == 1
    groups = rows(clustered.clusters_table(subject, 100))
    assert sum(int(row["size"]) for row in groups) == 20
    members = rows(clustered.members_table(subject, 100))
    assert [row["cluster"] for row in members].count("0") == int(groups[0]["size"])


class OneJob:
    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def state(self, run: str, corpus: str, split: str) -> dict[str, Any]:
        self.asked.append((run, corpus, split))
        return {"state": "running", "done": 3, "of": 9}

    def act(self, action: str, run: str, corpus: str, split: str) -> dict[str, Any]:
        self.asked.append((action, run, corpus, split))
        return {"state": "paused"}


def test_jobs_are_asked_by_full_names(statistics: Statistics) -> None:
    assert statistics.job("lenet") == {"state": "none"}
    with pytest.raises(Unavailable, match="type: mloscope statistics arrays"):
        statistics.act("start", "lenet")
    statistics.jobs = OneJob()
    assert statistics.job("lenet")["done"] == 3
    assert statistics.act("pause", "lenet", split="training") == {"state": "paused"}
    assert statistics.jobs.asked == [("lenet", "noise", "test"), ("pause", "lenet", "noise", "training")]
