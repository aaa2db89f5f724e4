"""The chart beside the confusion matrix: accuracy and recall of each class over all checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mloscope.app.web.dash.pages.confusion import Confusion

VIEW = {"split": "", "actual": 1}
SUBJECT = {
    "run": "lenet",
    "corpus": "noise",
    "checkpoints": [{"step": step, "label": str(step)} for step in (0, 10, 20)],
}


@pytest.fixture
def bench(make_bench: Any, tmp_path: Path) -> Any:
    return make_bench(cache_folder=tmp_path)


def test_the_chart_has_recall_of_each_class_and_accuracy(bench: Any, measure: Any) -> None:
    made = measure(bench, [0, 20])
    figure = Confusion(bench.services).draw_course(SUBJECT, VIEW, None, "light")
    assert [trace.name for trace in figure.data][:2] == ["recall of Bird", "recall of cat"]
    assert (len(figure.data), figure.data[-1].name) == (11, "accuracy")
    actual = bench.corpus.labels[40:]
    right = {step: made[step].argmax(axis=1) == actual for step in made}
    np.testing.assert_array_equal(figure.data[-1].y, [right[0].mean(), np.nan, right[20].mean()])
    np.testing.assert_array_equal(
        figure.data[1].y, [right[0][actual == 1].mean(), np.nan, right[20][actual == 1].mean()]
    )
    assert np.isnan(figure.data[5].y).all(), "a class without images has no recall"


def test_what_is_not_there_is_said_in_the_chart(bench: Any) -> None:
    page = Confusion(bench.services)
    empty = page.draw_course(SUBJECT, VIEW, None, "dark")
    assert "Not evaluated" in empty.layout.annotations[0].text
    lost = page.draw_course({**SUBJECT, "corpus": "nowhere"}, VIEW, None, "dark")
    assert "gone" in lost.layout.annotations[0].text
