"""Orders of classes, by number, name, similarity and group."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mloscope.app.errors import BadRequest, NotFound, NotPossible
from mloscope.app.statistics.class_order.orders import class_order
from mloscope.app.statistics.queries import Statistics
from mloscope.app.statistics.stored.store import StatisticsStore
from mloscope.app.workspace.connected import ConnectedCorpus, ConnectedRun
from mloscope.app.workspace.workspace import Workspace


def test_orders_of_classes(statistics: Statistics, made: Any, bench: Any, tmp_path: Path) -> None:
    of = statistics.of("lenet")
    assert class_order(of) == {"order": list(range(10)), "groups": None}
    assert class_order(of, "name")["order"] == [2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert sorted(class_order(of, "similarity", 0)["order"]) == list(range(10))
    assert class_order(of, "similarity") == class_order(of, "similarity", 200)
    with pytest.raises(BadRequest, match="given, name, similarity, group"):
        class_order(of, "size")
    with pytest.raises(NotFound, match=r"no groups of classes: put hierarchy\.json"):
        class_order(of, "group")


def test_similarity_needs_statistics(statistics: Statistics) -> None:
    of = statistics.of("lenet")
    with pytest.raises(NotFound, match="No step has statistics yet; this computes them: mloscope statistics"):
        class_order(of, "similarity")


def test_groups_come_from_the_file_that_the_workspace_names(array_run: Any, array_corpus: Any, tmp_path: Path) -> None:
    path = tmp_path / "groups.json"
    path.write_text('{"pets": ["cat"], "wild": ["Bird"]}')

    def ask(file: Path) -> dict[str, Any]:
        workspace = Workspace(
            [ConnectedRun("lenet", Path("arrays"), array_run())],
            [ConnectedCorpus("noise", Path("noise"), array_corpus(), hierarchy=file)],
        )
        return class_order(Statistics(workspace, StatisticsStore(None)).of("lenet"), "group")

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
        return class_order(Statistics(workspace, StatisticsStore(None)).of("lenet"), "group")

    assert ask("Bird", "cat")["order"] == [1, 0, *range(2, 10)]
    assert ask("cat", "Bird")["order"] == list(range(10))
    assert [group["count"] for group in ask("cat", "dog")["groups"]] == [1, 9]
    with pytest.raises(NotPossible, match="No output"):
        ask("fish", "dog")
