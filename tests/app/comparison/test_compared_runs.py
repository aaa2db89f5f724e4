"""app/comparison/compared_runs.py over two runs made of arrays: what belongs together, exact arrays, and every refusal a sentence."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mloscope.adaptors.interface import Layer, Parameter
from mloscope.app.cache.memory_store import MemoryStore
from mloscope.app.cache.result_cache import ResultCache
from mloscope.app.comparison.compared_runs import Shown, Side
from mloscope.app.errors import BadRequest, NotFound, NotPossible
from mloscope.app.statistics.queries import Statistics
from mloscope.app.statistics.stored.store import StatisticsStore
from mloscope.app.web.services import Services
from mloscope.app.workspace.connected import ConnectedCorpus, ConnectedRun
from mloscope.app.workspace.workspace import Workspace

PARAMETERS = Shown()


@pytest.fixture
def two(bench: Any, array_run: Any, tmp_path: Path) -> Any:
    """The bench with a second run, ``wider``: other steps, a second convolution of another shape and name."""
    layers = list(bench.run.layers())
    layers[2] = Layer(
        "conv_two", "convolution", ("block/conv1",), (2, 2, 50),
        (Parameter("kernel", (3, 3, 4, 50), ("row", "column", "channel", "unit")),),
    )  # fmt: skip
    wider = array_run(steps=range(0, 4000, 1000), layers=tuple(layers), torn=(2000,))
    workspace = Workspace(
        [
            ConnectedRun("lenet", Path("arrays"), bench.run),
            ConnectedRun("wider", Path("arrays"), wider, corpus="other"),
            ConnectedRun("lost", Path("gone"), None, problem="gone does not exist.", asked_format="keras"),
        ],
        [ConnectedCorpus("noise", Path("noise"), bench.corpus), ConnectedCorpus("other", Path("other"), bench.corpus)],
    )
    statistics = Statistics(workspace, StatisticsStore(tmp_path))
    bench.services = Services.of(workspace, ResultCache(MemoryStore(1 << 24)), bench.service, statistics=statistics)
    bench.wider = wider
    bench.compared = bench.services.comparison
    return bench


def kernel(bench: Any, run: Any, step: int, layer: str) -> np.ndarray:
    parameter = next(p for known in run.layers() if known.name == layer for p in known.parameters if p.name == "kernel")
    return run.values(step, layer, parameter)


# ---------------------------------------------------------------------------------------------------------- overview


def test_one_question_brings_all_that_the_browser_needs(two: Any) -> None:
    found = two.compared.overview("lenet", "wider", "noise")
    json.dumps(found)
    pairs = {pair["a"]: pair for pair in found["pairs"]}
    assert (pairs["conv2"]["b"], pairs["conv2"]["how"], pairs["conv2"]["agrees"]) == ("conv_two", "kind", False)
    assert (pairs["dense"]["b"], pairs["dense"]["how"], pairs["dense"]["agrees"]) == ("dense", "name", True)
    assert found["alignments"]["share"]["indices"][0] == 0
    assert found["alignments"]["share"]["indices"][-1] == 3
    assert found["alignments"]["step"]["indices"][-1] == 0  # 390 is nearer to 0 than to 1000
    assert found["alignments"]["accuracy"]["problem"]
    assert found["problems"] == [
        'Both sides are shown the images of "noise", although "wider" belongs to "other": only the same image can be compared.'
    ]


def test_pairs_by_hand_and_what_they_name_that_is_not_there(two: Any) -> None:
    found = two.compared.overview("lenet", "wider", "other", pairs="conv2:,block/conv1:conv_two,gone:dense,dense:never")
    pairs = {pair["a"]: pair["b"] for pair in found["pairs"]}
    assert (pairs["conv2"], pairs["block/conv1"], pairs["dense"]) == (None, "conv_two", "dense")
    assert [problem.split(": ")[0] for problem in found["problems"]] == [
        'The pair "gone:dense" is left out', 'The pair "dense:never" is left out'
    ]  # fmt: skip


def test_runs_that_are_not_there(two: Any) -> None:
    with pytest.raises(NotFound, match='no run "removed"'):
        two.compared.overview("lenet", "removed")
    with pytest.raises(NotPossible, match="could not be opened"):
        two.compared.overview("lenet", "lost")
    with pytest.raises(BadRequest, match="pairs no layers"):
        two.compared.overview("lenet", "wider", pairs="conv2")


def test_a_run_removed_while_both_are_looked_at_is_said_to_be_gone(two: Any) -> None:
    sides = Side("lenet", 20, "block/conv1"), Side("wider", 1000, "block/conv1")
    assert two.compared.overview("lenet", "wider")["pairs"]
    two.compared.both(*sides, PARAMETERS)
    workspace = two.services.workspace
    gone = replace(workspace.run("wider"), adaptor=None, problem='The run "wider" is gone: arrays was removed.')
    others = [gone if run.name == "wider" else run for run in workspace.runs]
    workspace.replace(others, list(workspace.corpora))
    for ask in (
        lambda: two.compared.overview("lenet", "wider"),
        lambda: two.compared.both(*sides, PARAMETERS),
        lambda: two.compared.changes(*sides, PARAMETERS),
    ):
        with pytest.raises(NotPossible, match='The run "wider" is gone'):
            ask()
    assert two.compared.overview("lenet", "lenet")["pairs"], "the other run is there still"


def test_nearest_accuracy_is_that_of_the_statistics(two: Any, measure: Any) -> None:
    measure(two, [0, 200, 390])
    found = two.compared.overview("lenet", "lenet", "noise")["alignments"]["accuracy"]
    known = [index for index in found["indices"] if index is not None]
    assert found["problem"] is None
    assert known[:2] == [0, 20]
    assert len(known) == 3  # the others are not measured


def test_nearest_accuracy_is_that_of_a_log_where_there_are_no_statistics(two: Any, tmp_path: Path) -> None:
    class Logged(type(two.run)):
        def metrics(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
            steps = np.array([0, 100, 200])
            return {
                "training error": (steps, np.array([0.9, 0.5, 0.1])),
                "test error": (steps, np.array([0.9, 0.6, 0.3])),
            }

    workspace = Workspace([ConnectedRun("logged", tmp_path, Logged())])
    compared = Services.of(workspace, ResultCache(MemoryStore(1 << 20))).comparison
    accuracy = compared.accuracy(workspace.opened_run("logged"))
    assert (accuracy[0], accuracy[100], accuracy[190], accuracy[390]) == pytest.approx((0.1, 0.4, 0.4, 0.7))
    assert compared.overview("logged", "logged")["alignments"]["accuracy"]["problem"] is None


# ------------------------------------------------------------------------------------------------------------ arrays


def test_units_are_those_of_the_files(two: Any) -> None:
    a, b = kernel(two, two.run, 20, "block/conv1"), kernel(two, two.wider, 1000, "block/conv1")
    found = two.compared.both(Side("lenet", 20, "block/conv1"), Side("wider", 1000, "block/conv1"), PARAMETERS)
    for tiles, array in zip(found, (a, b), strict=True):
        np.testing.assert_array_equal(tiles, array.transpose(3, 2, 0, 1))
    changes = two.compared.changes(Side("lenet", 20, "block/conv1"), Side("wider", 1000, "block/conv1"), PARAMETERS)
    flat = [array.transpose(3, 0, 1, 2).reshape(4, -1).astype(np.float64) for array in (a, b)]
    assert changes.norm_a == pytest.approx(np.linalg.norm(flat[0], axis=1))
    assert changes.change == pytest.approx(np.linalg.norm(flat[0] - flat[1], axis=1) / np.linalg.norm(flat[1], axis=1))
    whole = two.compared.whole(Side("lenet", 20, "block/conv1"), Side("wider", 1000, "block/conv1"), PARAMETERS)
    assert whole.norm_b[0] == pytest.approx(np.linalg.norm(flat[1]))


def test_chosen_units_in_their_order(two: Any) -> None:
    side = Side("lenet", 20, "conv2", units=(7, 3))
    found = two.compared.tiles(side, PARAMETERS)
    np.testing.assert_array_equal(found, two.compared.tiles(replace(side, units=None), PARAMETERS)[[7, 3]])
    with pytest.raises(NotFound, match="has no unit 40; its units are 0 to 39"):
        two.compared.tiles(replace(side, units=(40,)), PARAMETERS)


def test_feature_maps_of_the_same_image(two: Any) -> None:
    shown = Shown("test-3", "noise")
    found = two.compared.both(Side("lenet", 20, "block/conv1"), Side("lenet", 0, "block/conv1"), shown)
    image = two.network_input(43)
    expected = two.service.expected((4, 4, 4), 20, "block/conv1", image)
    np.testing.assert_array_equal(found[0][:, 0], expected.transpose(2, 0, 1))


def test_differences_are_offered_only_where_shapes_agree(two: Any) -> None:
    with pytest.raises(
        NotPossible, match=r'"conv2" of "lenet" .40 units of 4 × 3 × 3. and "conv_two" of "wider" .50 units'
    ):
        two.compared.changes(Side("lenet", 20, "conv2"), Side("wider", 0, "conv_two"), PARAMETERS)
    chosen = two.compared.both(
        Side("lenet", 20, "conv2", units=(0, 1)), Side("wider", 0, "conv_two", units=(48, 49)), PARAMETERS
    )
    assert chosen[0].shape == chosen[1].shape == (2, 4, 3, 3)


def test_a_checkpoint_that_cannot_be_read_is_said(two: Any) -> None:
    with pytest.raises(NotPossible, match=r"2000\.npz ends in the middle"):
        two.compared.changes(Side("lenet", 20, "dense"), Side("wider", 2000, "dense"), PARAMETERS)
    with pytest.raises(NotFound, match="no checkpoint of step 7"):
        two.compared.changes(Side("lenet", 20, "dense"), Side("wider", 7, "dense"), PARAMETERS)


def test_the_archive_holds_both_arrays_and_says_what_they_are(two: Any) -> None:
    a, b = Side("lenet", 20, "dense"), Side("wider", 1000, "dense")
    archive = np.load(io.BytesIO(two.compared.arrays_npz(a, b, PARAMETERS)), allow_pickle=False)
    np.testing.assert_array_equal(archive["difference"], archive["a"] - archive["b"])
    about = json.loads(str(archive["about"]))
    assert (about["b"]["run"], about["b"]["step"], about["axes"][0]) == ("wider", 1000, "unit")
    other = np.load(
        io.BytesIO(two.compared.arrays_npz(Side("lenet", 20, "conv2"), Side("wider", 0, "conv_two"), PARAMETERS))
    )
    assert sorted(other) == ["a", "about", "b"]


# --------------------------------------------------------------------------------------------------------- confusion


def test_who_moved_and_what_the_other_side_took_them_for(two: Any, measure: Any) -> None:
    made = measure(two, [0, 200], lost=(4,))
    predicted = {step: np.where(np.isnan(powers[:, 0]), -1, powers.argmax(axis=1)) for step, powers in made.items()}
    actual = two.corpus.labels[40:60]
    found = two.compared.moved(("lenet", 200), ("lenet", 0), (1, 1), "noise", "test", 2)
    expected = np.flatnonzero((actual == 1) & (predicted[200] == 1) & (predicted[0] != 1))
    assert found["into"]["total"] == len(expected) > 2
    assert [image["position"] for image in found["into"]["images"]] == expected[:2].tolist()
    assert [image["elsewhere"] for image in found["into"]["images"]] == predicted[0][expected[:2]].tolist()
    _, rows = two.compared.confusion_rows(("lenet", 200), ("lenet", 0), "noise", "test")
    assert sum(row[2] for row in rows) == sum(row[3] for row in rows) == len(actual)
    assert all(row[4] == row[2] - row[3] for row in rows)
    assert any(row[1] == 10 for row in rows)  # the lost image is in no predicted class
    with pytest.raises(NotFound, match="no cell 10, 3"):
        two.compared.moved(("lenet", 200), ("lenet", 0), (10, 3), "noise", "test", 2)


def test_statistics_on_one_side_only_are_said_with_the_command(two: Any, measure: Any) -> None:
    measure(two, [200])
    with pytest.raises(NotFound, match="mloscope statistics"):
        two.compared.moved(("lenet", 200), ("wider", 0), (1, 1), "noise", "test", 2)


def test_curves_of_both_runs_with_the_accuracy_of_statistics(two: Any, measure: Any) -> None:
    measure(two, [0, 200])
    curves = two.compared.curves(("lenet", "wider", "lenet"), "noise")
    assert list(curves) == ["lenet", "wider"]
    accuracy = next(curve for curve in curves["lenet"] if curve.name == "test accuracy")
    assert accuracy.x.tolist() == [0, 200]
    assert accuracy.along("epoch").tolist() == [0, 2]
    assert curves["wider"] == []
