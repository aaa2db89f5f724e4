"""Counts, cells, moves and pairs, against the probabilities that they were computed from."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measured import STEPS, predicted

from mloscope.app.errors import BadRequest, Conflict, NotFound
from mloscope.app.images.image_query import ImageQuery
from mloscope.app.statistics import confusion
from mloscope.app.statistics.confusion import growth, pairs
from mloscope.app.statistics.queries import Statistics


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
    of = statistics.of("lenet")
    ((steps, digest),) = confusion.count_chunks(of)
    header, found = parsed(confusion.count_bytes(of, steps, digest))
    assert header == {"steps": list(STEPS), "classes": 10, "cells": [len(n) for n, _ in found], "images": [20] * 3}
    for step, (numbers, counts) in zip(steps, found, strict=True):
        expected, times = np.unique(actual * 11 + predicted(made[step]), return_counts=True)
        np.testing.assert_array_equal(numbers, expected)
        np.testing.assert_array_equal(counts, times)


def test_chunks_are_of_bounded_size(make_bench: Any, measure: Any, array_corpus: Any, tmp_path: Path) -> None:
    bench = make_bench(corpus=array_corpus(training=0, test=60_000), cache_folder=tmp_path)
    measure(bench, [0, 10, 20], classes=5)
    statistics = bench.services.statistics
    of = statistics.of("lenet")
    for plane in of.ready.values():  # pretend that there are more cells: 480 kB a step, two steps fit
        plane.about["arrays"]["cells"][2][0] = 60_000
    assert [steps for steps, _ in confusion.count_chunks(of)] == [[0, 10], [20]]


def test_an_outdated_address_is_refused(statistics: Statistics, made: Any, bench: Any) -> None:
    of = statistics.of("lenet")
    ((steps, digest),) = confusion.count_chunks(of)
    with pytest.raises(Conflict, match="changed since"):
        confusion.count_bytes(of, steps[:2], digest)
    with pytest.raises(NotFound, match="Step 10 has no statistics"):
        confusion.count_bytes(of, [0, 10], digest)
    with pytest.raises(BadRequest, match="steps = nothing"):
        confusion.count_bytes(of, [], digest)
    bench.run.versions[100] += 1
    with pytest.raises(NotFound, match="Step 100"):
        confusion.count_bytes(statistics.of("lenet"), steps, digest)


def test_every_cell_at_every_step_has_as_many_images_as_its_count(
    statistics: Statistics, made: Any, actual: np.ndarray
) -> None:
    of = statistics.of("lenet")
    ((steps, digest),) = confusion.count_chunks(of)
    _, found = parsed(confusion.count_bytes(of, steps, digest))
    for step, (numbers, counts) in zip(steps, found, strict=True):
        by_number = dict(zip(numbers.tolist(), counts.tolist(), strict=True))
        seen = []
        for a in range(10):
            for p in range(11):
                page = confusion.cell_images(of, step, a, p).page()
                assert page.total == len(page.images) == by_number.get(a * 11 + p, 0)
                for image in page.images:
                    assert (actual[image["position"]], predicted(made[step])[image["position"]]) == (a, p)
                    assert image["id"] == f"test-{image['position']}"
                    assert image["predicted"] == (p if p < 10 else None)
                    seen.append(image["position"])
        assert sorted(seen) == list(range(20))


def test_images_of_a_cell_are_paged_in_order(statistics: Statistics, bench: Any, measure: Any) -> None:
    of = statistics.of("lenet")
    made = measure(bench, [300])[300]
    a, p = 1, int(np.bincount(predicted(made)[1::2]).argmax())
    cell = confusion.cell_images(of, 300, a, p)
    everything = cell.page()
    assert everything.total > 3
    positions = [image["position"] for image in everything.images]
    assert positions == sorted(positions)
    assert [image["probability"] for image in everything.images] == [float(made[i].max()) for i in positions]
    surest = sorted(positions, key=lambda i: -made[i].max())
    for order, expected in (("confident", surest), ("unsure", surest[::-1])):
        pages = [cell.narrowed(ImageQuery(order=order)).page(o, 2) for o in range(0, 20, 2)]
        assert [image["position"] for page in pages for image in page.images] == expected
        assert {page.total for page in pages} == {everything.total}
    with pytest.raises(BadRequest, match="confident, unsure, loss"):
        cell.narrowed(ImageQuery(order="size"))


def test_moves_are_counted_and_their_images_found(statistics: Statistics, made: Any, actual: np.ndarray) -> None:
    of = statistics.of("lenet")
    was, now = predicted(made[0]), predicted(made[200])
    moving = np.flatnonzero(was != now)
    found = confusion.moves(of, 0, 200, limit=1000)
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
    one = confusion.moves(of, 0, 200, actual=1, before=int(was[moving[0]]), after=int(now[moving[0]]))
    assert one["total"] == np.count_nonzero((actual == 1) & (was == was[moving[0]]) & (now == now[moving[0]]))
    assert confusion.moves(of, 100, 100)["total"] == 0
    page = confusion.moves(of, 0, 200, offset=1, limit=2)
    assert [image["position"] for image in page["images"]] == moving[1:3].tolist()


def test_images_that_were_not_predicted_move_too(statistics: Statistics, bench: Any, measure: Any) -> None:
    of = statistics.of("lenet")
    measure(bench, [0], lost=(4,))
    measure(bench, [10])
    move = next(image for image in confusion.moves(of, 0, 10)["images"] if image["position"] == 4)
    assert (move["before"], move["before_name"]) == (None, None)
    assert any(m["from"] == 10 for m in confusion.moves(of, 0, 10)["moves"])


def test_steps_of_different_classes_have_no_moves(statistics: Statistics, bench: Any, measure: Any) -> None:
    measure(bench, [0])
    measure(bench, [10], classes=5)
    of = statistics.of("lenet")
    with pytest.raises(Conflict, match="cannot be compared one by one"):
        confusion.moves(of, 0, 10)
    chunks = confusion.count_chunks(of)
    assert [steps for steps, _ in chunks] == [[0], [10]]
    assert [parsed(confusion.count_bytes(of, *chunk))[0]["classes"] for chunk in chunks] == [10, 5]


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
    of = statistics.of("lenet")
    row = confusion.most_confused(of, 0)[0]
    now = predicted(made[0])
    assert row["count"] == np.count_nonzero((actual == row["actual"]) & (now == row["predicted"]))
    assert row["share"] == row["count"] / 10
    grown = confusion.fastest_growing(of, 200, 0)[0]
    before = np.count_nonzero((actual == grown["actual"]) & (predicted(made[200]) == grown["predicted"]))
    assert (grown["before"], grown["growth"]) == (before, grown["count"] - before)
