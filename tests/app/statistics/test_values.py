"""Any statistic over time: the table, what is kept, and what other packages add."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from measured import STEPS, predicted

from mloscope.app.errors import BadRequest, NotFound, NotPossible
from mloscope.app.statistics import values
from mloscope.app.statistics.queries import Statistics
from mloscope.app.statistics.standard import OURS
from mloscope.app.statistics.table import Statistic, StatisticTable


class Counted:
    """A statistic's ``compute`` that counts its calls."""

    def __init__(self, result: Any) -> None:
        self.calls, self._result = 0, result

    def __call__(self, material: Any) -> Any:
        self.calls += 1
        return self._result(material)


def with_statistic(
    statistics: Statistics, compute: Any, scope: str = "checkpoint", made_of: str = "probabilities", version: int = 1
) -> Statistics:
    """The same statistics, with one more in the table: ``mine``."""
    mine = Statistic("mine", "A number.", "", scope, made_of, version, compute)
    return Statistics(statistics.workspace, statistics.store, table=StatisticTable((*OURS, mine)))


def test_a_number_per_checkpoint(statistics: Statistics, made: Any, actual: np.ndarray) -> None:
    found = values.course(statistics.of("lenet"), "accuracy")
    assert (found.steps, found.items, found.values.shape) == (STEPS, ("",), (3, 1))
    assert found.values[:, 0].tolist() == [np.mean(predicted(made[step]) == actual) for step in STEPS]
    at = found.at([0, 10, 200])[:, 0]
    assert np.isnan(at).tolist() == [False, True, False]
    assert at[2] == found.values[2, 0]


def test_a_number_per_class_is_named(statistics: Statistics, made: Any, actual: np.ndarray) -> None:
    found = values.course(statistics.of("lenet"), "recall")
    assert (found.items[:2], found.names[:3]) == (("0", "1"), ("Bird", "cat", "2"))
    assert found.values[0, 1] == np.mean(predicted(made[0])[actual == 1] == 1)
    assert np.isnan(found.values[:, 2:]).all(), "there is no image of these classes"
    one = values.course(statistics.of("lenet"), "recall", steps=[200], items=["1"])
    assert (one.steps, one.items, one.values.tolist()) == ((200,), ("1",), [[found.values[2, 1]]])


def test_cells_are_those_of_any_step(statistics: Statistics, made: Any, actual: np.ndarray) -> None:
    found = values.course(statistics.of("lenet"), "confusion")
    assert list(found.items) == sorted(found.items, key=lambda item: [int(part) for part in item.split(":")])
    for row, step in enumerate(STEPS):
        for item, count in zip(found.items, found.values[row], strict=True):
            a, p = map(int, item.split(":"))
            images = np.count_nonzero((actual == a) & (predicted(made[step]) == p))
            assert count == images or (np.isnan(count) and images == 0)
    assert found.names[found.items.index("0:10")] == "Bird as not predicted"
    none = values.course(statistics.of("lenet"), "confusion", items=["5:5"])
    assert np.isnan(none.values).all()


@pytest.mark.parametrize("item", ["", "x", "0:99", "0:x"])
def test_what_is_no_cell_is_not_found(statistics: Statistics, made: Any, item: str) -> None:
    with pytest.raises(NotFound, match="0:1"):
        values.course(statistics.of("lenet"), "confusion", items=[item])


def test_no_steps_have_no_items(statistics: Statistics, made: Any) -> None:
    for split, items in (("test", ["x"]), ("training", [""]), ("training", None)):
        found = values.course(statistics.of("lenet", split=split), "recall", steps=[], items=items)
        assert (found.steps, found.items, found.names, found.values.shape) == ((), (), (), (0, 0))


def test_a_number_per_image(statistics: Statistics, made: Any) -> None:
    found = values.course(statistics.of("lenet"), "confidence", items=["test-3", "test-4"])
    assert found.values[:, 0].tolist() == [float(made[step][3].max()) for step in STEPS]
    assert np.isnan(found.values[:, 1]).all()
    with pytest.raises(NotFound, match="test-99"):
        values.course(statistics.of("lenet"), "confidence", items=["test-99"])


def test_numbers_per_cluster(clustered: Statistics) -> None:
    found = values.course(clustered.of("lenet"), "cluster_size")
    assert (found.names, found.values.sum(axis=1).tolist()) == (("cluster 0", "cluster 1", "cluster 2"), [20, 20, 20])
    assert values.course(clustered.of("lenet"), "cluster").values.shape == (3, 20)
    with pytest.raises(NotFound, match="Step 10"):
        values.course(clustered.of("lenet"), "cluster_size", steps=[10])


def test_clusters_that_are_not_there_are_said(statistics: Statistics, made: Any) -> None:
    with pytest.raises(NotFound, match="no clusters yet; this computes them"):
        values.course(statistics.of("lenet"), "cluster_size")


def test_what_is_computed_is_kept_under_its_version(statistics: Statistics, made: Any) -> None:
    compute = Counted(lambda step: float(step.confidence[0]))
    first = values.course(with_statistic(statistics, compute).of("lenet"), "mine").values
    again = values.course(with_statistic(statistics, compute).of("lenet"), "mine").values
    assert compute.calls == 3
    assert again.tobytes() == first.tobytes()
    values.course(with_statistic(statistics, compute, version=2).of("lenet"), "mine")
    assert compute.calls == 6
    for path in (statistics.store.folder / "derived" / "mine-2").iterdir():
        path.write_bytes(path.read_bytes()[:50])  # as after a power cut
    values.course(with_statistic(statistics, compute, version=2).of("lenet"), "mine")
    assert compute.calls == 9


def test_what_is_kept_follows_the_content(statistics: Statistics, made: Any, bench: Any, measure: Any) -> None:
    compute = Counted(lambda step: float(step.margin[0]))
    values.course(with_statistic(statistics, compute).of("lenet"), "mine")
    bench.run.versions[100] += 1
    assert values.course(with_statistic(statistics, compute).of("lenet"), "mine").steps == (0, 200)
    measure(bench, [100])
    values.course(with_statistic(statistics, compute).of("lenet"), "mine")
    assert compute.calls == 4


def test_statistics_of_weights_read_one_layer(statistics: Statistics, bench: Any) -> None:
    compute = Counted(lambda weights: [array.size for array in weights.arrays.values()])
    of = with_statistic(statistics, compute, "unit", "weights").of("lenet")
    found = values.course(of, "mine", steps=[0, 10], layer="block/conv1")
    assert (found.items, found.names, found.values.tolist()) == (("0", "1"), ("unit 0", "unit 1"), [[108, 4]] * 2)
    assert {layer for _, layer in bench.run.reads} == {"block/conv1"}
    read = len(bench.run.reads)
    values.course(of, "mine", steps=[0, 10], layer="block/conv1")
    assert len(bench.run.reads) == read, "what is kept needs no file of the run"
    assert compute.calls == 2
    with pytest.raises(BadRequest, match="layer=conv1"):
        values.course(of, "mine")
    with pytest.raises(NotFound, match="gone"):
        values.course(of, "mine", layer="gone")


@pytest.mark.parametrize(
    ("compute", "scope", "said"),
    [
        (lambda step: 1 / 0, "checkpoint", 'The statistic "mine" of the package mloscope failed: ZeroDivisionError'),
        (lambda step: [1, 2], "checkpoint", "shape"),
        (lambda step: np.zeros(3), "class", "shape"),
        (lambda step: np.zeros((10, 2)), "class", "shape"),
    ],
)
def test_a_statistic_that_fails_is_a_sentence(
    statistics: Statistics, made: Any, compute: Any, scope: str, said: str
) -> None:
    with pytest.raises(NotPossible, match=said):
        values.course(with_statistic(statistics, compute, scope).of("lenet"), "mine")


def test_too_many_values_are_refused(statistics: Statistics, made: Any) -> None:
    assert values.course(statistics.of("lenet"), "confidence", steps=[0, 100], most_values=50).values.shape == (2, 20)
    with pytest.raises(BadRequest, match="more than 50 values"):
        values.course(statistics.of("lenet"), "confidence", most_values=50)


def test_unknown_names_and_steps(statistics: Statistics, made: Any) -> None:
    of = statistics.of("lenet")
    with pytest.raises(NotFound, match="accuracy, top_5_accuracy"):
        values.course(of, "nothing")
    with pytest.raises(NotFound, match=r"step 10 .* do not exist yet"):
        values.course(of, "accuracy", steps=[0, 10])
    with pytest.raises(NotFound, match='no item "77"'):
        values.course(of, "recall", items=["77"])


@pytest.mark.parametrize(
    "scope_and_columns",
    [
        ("accuracy", ["step", "accuracy"]),
        ("recall", ["step", "class", "class_name", "recall"]),
        ("confusion", ["step", "actual", "predicted", "confusion"]),
        ("confidence", ["step", "image", "confidence"]),
    ],
)
def test_tables_have_a_row_per_step_and_item(statistics: Statistics, made: Any, scope_and_columns: Any) -> None:
    name, columns = scope_and_columns
    found = values.course(statistics.of("lenet"), name)
    table = found.table()
    assert list(table) == columns
    assert {len(column) for column in table.values()} == {len(found.steps) * len(found.items)}


def test_every_statistic_of_ours_has_values(clustered: Statistics) -> None:
    of = clustered.of("lenet")
    for statistic in OURS:
        found = values.course(of, statistic.name, layer="block/conv1")
        assert len(found.steps) >= 3, statistic.name
        assert np.isfinite(found.values).any(), statistic.name
