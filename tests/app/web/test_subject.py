"""What the browser is told of a run and a corpus."""

from __future__ import annotations

from typing import Any


def test_a_subject_holds_all_that_the_browser_needs(bench: Any) -> None:
    subject = bench.subject()
    assert (subject["run"], subject["corpus"]) == ("lenet", "noise")
    assert subject["runs"] == ["lenet", "lost"]
    assert subject["classNames"] == list(bench.run.class_names)
    assert subject["basis"] == bench.services.workspace.basis("lenet").json()
    assert subject["checkpoints"][1] == {
        "step": 10,
        "label": "10",
        "name": "10.npz",
        "epoch": 0.1,
        "problem": None,
    }
    assert [layer["name"] for layer in subject["layers"]] == [layer.name for layer in bench.run.layers()]
    assert subject["layers"][1]["parameter_count"] == 112
    assert subject["evaluation"] == {"possible": True, "state": "ready", "message": None, "passing": False}
    assert subject["preprocessing"]["assumed"] is True
    assert any("notes.txt" in problem for problem in subject["problems"])
    assert not any("gone does not exist" in problem for problem in subject["problems"]), "stands in the table of runs"


def test_an_unknown_subject_is_said_and_replaced(bench: Any) -> None:
    subject = bench.subject("vgg", "birds")
    assert (subject["run"], subject["corpus"]) == ("lenet", "noise")
    assert any('no run "vgg"' in problem for problem in subject["problems"])
    assert any('no corpus "birds"' in problem for problem in subject["problems"])
    lost = bench.subject("lost")
    assert (lost["run"], lost["layers"]) == ("lost", [])
    assert "gone does not exist." in lost["problems"]
