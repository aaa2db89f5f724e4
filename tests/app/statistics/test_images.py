"""Single images, followed over all steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measured import STEPS

from mloscope.app.errors import NotFound
from mloscope.app.statistics.images import trajectory
from mloscope.app.statistics.queries import Statistics


def followed(statistics: Statistics, image: str) -> dict[str, Any]:
    of, position = statistics.of_image("lenet", image)
    return trajectory(of.ready, position)


def test_ids_are_in_the_order_of_the_split(statistics: Statistics) -> None:
    assert statistics.of("lenet").image_ids() == [f"test-{number}" for number in range(20)]
    assert statistics.of("lenet", split="training").image_ids()[39] == "training-39"


@pytest.mark.parametrize("form", ["full", "top-20"])
def test_a_trajectory_is_the_images_row_at_every_step(make_bench: Any, measure: Any, tmp_path: Path, form: str) -> None:
    bench = make_bench(cache_folder=tmp_path)
    made = measure(bench, STEPS, form=form, lost=(4,), classes=30)
    statistics = bench.services.statistics
    found = followed(statistics, "test-3")
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
    assert followed(statistics, "test-4")["predicted"] == [None] * 3
    assert followed(statistics, "test-4")["true_probability"] == [None] * 3


def test_a_trajectory_of_steps_kept_in_both_forms_names_all_classes(
    bench: Any, statistics: Statistics, measure: Any
) -> None:
    measure(bench, [0], classes=30)
    measure(bench, [10], classes=30, form="top-20")
    found = followed(statistics, "test-0")
    assert found["form"] == "top-20"
    assert found["classes"][0] == list(range(30))
    assert [len(row) for row in found["probabilities"]] == [30, 20]


def test_a_trajectory_takes_the_images_own_split(statistics: Statistics, bench: Any, measure: Any, made: Any) -> None:
    measure(bench, [0], split="training")
    assert followed(statistics, "training-2")["steps"] == [0]
    with pytest.raises(NotFound, match='"training-2" is not in the split "test"'):
        statistics.of_image("lenet", "training-2", split="test")
