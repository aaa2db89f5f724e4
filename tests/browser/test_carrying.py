"""assets/base/carrying.mjs: what of a view still means something for another run or corpus."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.browser

CARRY = """([view_, index, changes]) => {
  const { checkpoints, layers, run, corpus } = stageSubject;
  const from = { checkpoints, layers, run, corpus };
  const position = index < 0 ? checkpoints.length + index : index;
  return carried({ ...view.get(), ...view_ }, position, from, { ...from, ...changes }, view.fields());
}"""
LAST = -1
SELECTIONS = {"cluster": 3, "lasso": "5:1,2", "actual": 4, "predicted": 9, "fold": "block-1", "since": 300}


def steps(*numbers: int) -> list[dict[str, Any]]:
    return [{"step": number, "label": None, "epoch": None, "problem": None} for number in numbers]


@pytest.fixture
def carry(stage, subject):
    """Carry these values of the view, at the position among the checkpoints, to the stage's subject with changes."""
    return lambda view, index, **changes: stage.js(CARRY, [view, index, changes])


@pytest.fixture
def subject(stage) -> dict[str, Any]:
    """The run that is left."""
    stage.show()
    return stage.js("() => stageSubject")


def test_what_every_run_has_is_kept_and_nothing_is_said(carry, subject):
    shown = {"image": "test-42", "mode": "features", "range": "step", "colour": "magma", "compare-mode": "blink"}
    there = carry({"layer": "conv2", "unit": 7, "units": "0-7", "parameter": "kernel", **shown}, 3, run="other")
    assert {key: there["view"][key] for key in shown} == shown
    assert [there["view"][key] for key in ("layer", "unit", "units", "parameter")] == ["conv2", 7, "0-7", "kernel"]
    assert there["step"] == subject["checkpoints"][3]["step"]
    assert there["said"] == []


def test_another_run_has_other_steps_and_the_share_of_training_is_kept_and_said(carry, subject):
    index = next(i for i, checkpoint in enumerate(subject["checkpoints"]) if checkpoint["step"] == 300)
    there = carry({"layer": "conv1"}, index, run="other", checkpoints=steps(0, 9, 19, 27, 40))
    assert there["step"] == 9  # 300 of 1200, and 9 of 40 is the nearest to a quarter
    assert len(there["said"]) == 1
    assert all(number in there["said"][0] for number in ("300", "9"))
    at_the_end = carry({"layer": "conv1"}, LAST, run="other", checkpoints=steps(0, 9, 40))
    assert (at_the_end["step"], at_the_end["said"]) == (40, [])


def test_a_layer_that_is_not_there_takes_what_belongs_to_it_along(carry, subject):
    there = carry(
        {"layer": "rgb", "unit": 90, "units": "3,5", "colour": "grey"}, LAST, run="other", layers=subject["layers"][:2]
    )
    assert [there["view"][key] for key in ("layer", "unit", "units", "colour")] == ["conv1", 0, "", "grey"]
    assert "rgb" in there["said"][0]
    smaller = [
        {
            **subject["layers"][2],
            "parameters": [{"name": "kernel", "shape": [3, 3, 3, 8], "axes": ["row", "column", "channel", "unit"]}],
        }
    ]
    narrower = carry({"layer": "rgb", "unit": 90, "units": "3,5", "channels": "0-5"}, LAST, run="other", layers=smaller)
    assert [narrower["view"][key] for key in ("layer", "unit", "units", "channels")] == ["rgb", 0, "3,5", ""]


def test_selections_of_a_run_or_a_corpus_stay_behind_and_are_named_in_one_sentence(carry, subject):
    of_run = carry({"layer": "conv1", **SELECTIONS}, LAST, run="other")
    assert {key: of_run["view"][key] for key in SELECTIONS} == {**SELECTIONS, "cluster": None, "lasso": ""}
    assert len(of_run["said"]) == 1
    assert "cluster" in of_run["said"][0]
    of_corpus = carry({"layer": "conv1", "split": "training", **SELECTIONS}, LAST, corpus="other", splits=["test"])
    assert [of_corpus["view"][key] for key in ("actual", "predicted", "split", "since")] == [None, None, "", 300]
    others = carry(
        {"layer": "conv1", "since": 300, "fold": "block-1"},
        LAST,
        run="other",
        layers=subject["layers"][:1],
        checkpoints=steps(7),
    )
    assert [others["view"][key] for key in ("since", "fold")] == [None, ""]


def test_side_b_stays_where_it_names_its_own_run(carry, subject):
    b = {"b-step": 300, "b-layer": "conv2"}
    elsewhere = {"run": "other", "layers": subject["layers"][:1], "checkpoints": steps(0, 7)}
    own = carry({"layer": "conv1", "b-run": "third", **b}, LAST, **elsewhere)
    assert {key: own["view"][key] for key in b} == b
    same = carry({"layer": "conv1", **b}, LAST, **elsewhere)
    assert [same["view"][key] for key in b] == [None, ""]
