"""Feature maps: evaluated once, whatever fails."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mloscope.adaptors.interface import Preprocessing, RunOptions
from mloscope.app.cache.memory_store import MemoryStore
from mloscope.app.errors import MloscopeError

CONV = "block/conv1"


def test_only_what_is_not_known_is_evaluated_and_predictions_come_along(bench: Any) -> None:
    found = bench.feature_maps([0, 10], CONV, "test-0")
    image = bench.network_input(40)
    np.testing.assert_array_equal(found.maps[10], bench.service.expected((4, 4, 4), 10, CONV, image))
    assert bench.service.calls == [((0, 10), (CONV, "classes"), 0)]
    bench.feature_maps([0, 10, 20], CONV, "test-0")
    assert bench.service.calls[1:] == [((20,), (CONV, "classes"), 0)]
    bench.predictions([0, 10, 20], "test-0")
    assert len(bench.service.calls) == 2
    bench.feature_maps([0], "dense", "test-0")
    assert bench.service.calls[2:] == [((0,), ("dense",), 0)]
    bench.run.versions[10] += 1
    bench.feature_maps([0, 10], CONV, "test-0")
    assert bench.service.calls[3:] == [((10,), (CONV, "classes"), 0)]


def test_another_preprocessing_is_another_question(make_bench: Any) -> None:
    store = MemoryStore(1 << 26)
    calls = []
    for scale in (1 / 255, 1.0, 1.0):
        bench = make_bench(store=store, options=RunOptions(preprocessing=Preprocessing(scale=scale)))
        bench.feature_maps([0], CONV, "test-0")
        calls.append(len(bench.service.calls))
    assert calls == [1, 1, 0]


def test_a_step_that_fails_does_not_fail_the_others_and_is_tried_again(make_bench: Any, array_run: Any) -> None:
    bench = make_bench(run=array_run(steps=range(4), broken=[0]))
    bench.service.failing = {2}
    found = bench.feature_maps(range(4), CONV, "test-0")
    assert list(found.maps) == [1, 3]
    assert found.missing == {0: "The file is cut off.", 2: "Step 2 does not fit the network."}
    bench.service.failing = set()
    assert list(bench.feature_maps(range(4), CONV, "test-0").maps) == [1, 2, 3]
    assert bench.service.evaluated[(1, CONV)] == 1


def test_what_cannot_be_evaluated_is_said(bench: Any) -> None:
    for ask, words in (
        (lambda: bench.feature_maps([0], CONV, "test-99"), "test-99"),
        (lambda: bench.feature_maps([0], CONV, ""), "image=ID"),
        (lambda: bench.feature_maps([0], "lambda", "test-0"), "--trust"),
        (lambda: bench.feature_maps([5], CONV, "test-0"), "step 5"),
    ):
        with pytest.raises(MloscopeError, match=words):
            ask()
