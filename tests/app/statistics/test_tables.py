"""Tables hold what the answers say."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from mloscope.app.statistics import confusion, export, tables
from mloscope.app.statistics.queries import Statistics


def rows(table: export.Table) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(export.encode(table, "csv").decode(), newline="")))


def test_tables_say_what_the_answers_say(clustered: Statistics, bench: Any, measure: Any) -> None:
    measure(bench, [10], lost=(3,))
    of = clustered.of("lenet")
    steps = rows(tables.steps_table(of))
    assert [row["step"] for row in steps if row["state"] == "ready"] == ["0", "10", "100", "200"]
    assert steps[0]["accuracy"] == str(clustered.of("lenet").step(0).summary["accuracy"])
    cells = rows(tables.confusion_table(of, 10))
    assert sum(int(row["count"]) for row in cells) == 20
    assert [row["actual_name"] for row in cells if row["predicted"] == ""] == ["cat"]
    classes = rows(tables.classes_table(of, 10))
    assert [row["class_name"] for row in classes][:3] == ["Bird", "cat", "2"]
    assert [row["support"] for row in classes][:3] == ["10", "10", "0"]
    images = rows(tables.images_table(of, 10))
    assert len(images) == 20
    assert (images[3]["id"], images[3]["actual"], images[3]["predicted"], images[3]["loss"]) == ("test-3", "1", "", "")
    assert float(images[0]["confidence"]) == pytest.approx(clustered.of("lenet").step(10).confidence[0])
    moves = rows(tables.moves_table(of, 10, 100))
    assert sum(int(row["count"]) for row in moves) == confusion.moves(of, 10, 100)["total"]
    assert [row["from"] for row in moves].count("") == 1
    groups = rows(tables.clusters_table(of, 100))
    assert sum(int(row["size"]) for row in groups) == 20
    members = rows(tables.members_table(of, 100))
    assert [row["cluster"] for row in members].count("0") == int(groups[0]["size"])
