"""Pictures of what units see: made once, whatever fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from mloscope.app.errors import NotPossible
from mloscope.app.evaluation.pictures import PictureQuestion
from mloscope.app.model_service.pictures.picture import Picture

CONV = "block/conv1"


def asked(
    bench: Any, steps: list[int], layer: str = CONV, image: str = "test-0", **options: Any
) -> Mapping[int, Picture | str]:
    run = bench.services.workspace.opened_run("lenet")
    image_of = bench.services.workspace.network_input(run, "noise", image)
    question = PictureQuestion(run.layer(layer), "deconvolution", {"units": [0, 2], **options}, image_of, 2)
    checkpoints = [run.checkpoint(step) for step in steps]
    found = list(bench.services.pictures.at(run, checkpoints, question, run.fingerprints(checkpoints).known))
    assert [step for step, _picture in found] == steps
    return dict(found)


def test_only_what_is_not_known_is_made(bench: Any) -> None:
    first = asked(bench, [10, 0])
    assert bench.service.calls == [((10, 0), ("deconvolution", CONV), 0)]
    again = asked(bench, [0, 10, 20])
    assert bench.service.calls[1:] == [((20,), ("deconvolution", CONV), 0)]
    for step in (0, 10):
        np.testing.assert_array_equal(first[step].values, again[step].values)
        assert again[step].figures == {"activation": [1.0, 1.0]}
    assert np.abs(again[0].values - again[10].values).max() > 0
    for another in ({"of": "map"}, {"layer": "conv2"}, {"image": "test-1"}):
        asked(bench, [0], **another)
    assert len(bench.service.calls) == 5
    bench.run.versions[10] += 1
    asked(bench, [0, 10])
    assert bench.service.calls[5:] == [((10,), ("deconvolution", CONV), 0)]


def test_a_step_that_fails_does_not_fail_the_others_and_is_tried_again(bench: Any) -> None:
    bench.service.failing = {10}
    found = asked(bench, [0, 10, 20])
    assert found[10] == "Step 10 does not fit the network."
    assert isinstance(found[0], Picture)
    bench.service.failing = set()
    assert isinstance(asked(bench, [0, 10, 20])[10], Picture)
    assert len(bench.service.calls) == 2


def test_a_file_that_changed_meanwhile_is_not_kept_as_the_one_before(bench: Any) -> None:
    def change() -> None:
        bench.run.versions[0] += 1

    make = bench.service.pictures
    bench.service.pictures = lambda *question, **more: (change(), make(*question, **more))[1]
    assert isinstance(asked(bench, [0])[0], str)


def test_a_layer_that_cannot_be_evaluated_has_none(bench: Any) -> None:
    with pytest.raises(NotPossible, match="--trust"):
        asked(bench, [0], layer="lambda")


def test_where_each_picture_begins_with_the_one_before_the_past_is_made_too(bench: Any) -> None:
    run = bench.services.workspace.opened_run("lenet")
    image = bench.services.workspace.network_input(run, "noise", "test-0")
    question = PictureQuestion(run.layer(CONV), "stimulus", {"units": [0]}, image, 1, is_chained=True)
    given: dict[int, Any] = {}
    make = bench.service.pictures

    def remember(spec: Any, steps: Any, method: str, asked: Any, before: Any = None, priority: int = 0) -> Any:
        given[steps[0]] = before
        return make(spec, steps, method, asked, before, priority)

    bench.service.pictures = remember

    def at(*steps: int) -> dict[int, Picture | str]:
        checkpoints = [run.checkpoint(step) for step in steps]
        return dict(bench.services.pictures.at(run, checkpoints, question, run.fingerprints(checkpoints).known))

    found = at(50)
    assert [call[0] for call in bench.service.calls] == [(0, 10, 20, 30), (40, 50)]
    assert given[0] is None
    np.testing.assert_array_equal(given[40], at(30)[30].values)
    np.testing.assert_array_equal(found[50].values, at(50)[50].values)
    assert len(bench.service.calls) == 2
    assert isinstance(at(0, 60)[60], Picture)
    assert [call[0] for call in bench.service.calls[2:]] == [(60,)]
    np.testing.assert_array_equal(given[60], found[50].values)
    bench.run.versions[20] += 1
    at(10, 30)
    assert [call[0] for call in bench.service.calls[3:]] == [(20, 30)]
