"""Orders and choices of images, against NumPy sorts of the probabilities that the statistics were made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from measured import predicted

from mloscope.app.errors import BadRequest
from mloscope.app.images.image_query import ImageQuery
from mloscope.app.statistics import images
from mloscope.app.statistics.image_orders import JUDGED, ORDERS
from mloscope.app.statistics.queries import Statistics

STEP = 100


def numbers(probabilities: np.ndarray, actual: np.ndarray) -> dict[str, np.ndarray]:
    """Of each order what it sorts by, the lowest first."""
    every = np.arange(len(actual))
    true = probabilities[every, actual]
    others = probabilities.copy()
    others[every, actual] = -1
    margin = true - others.max(1)
    return {
        "confident": -probabilities.max(1),
        "unsure": probabilities.max(1),
        "loss": np.log(true),
        "margin": margin,
        "close": abs(margin),
        "position": every,
    }


def listed(of: Any, **query: str) -> list[int]:
    page = images.all_images(of, STEP).narrowed(ImageQuery(**query)).page(0, 1000)
    return [image["position"] for image in page.images]


def test_every_order_is_that_of_its_numbers(
    statistics: Statistics, bench: Any, measure: Any, actual: np.ndarray
) -> None:
    probabilities = measure(bench, [STEP])[STEP]
    by = numbers(probabilities, actual)
    assert by.keys() == ORDERS.keys()
    of = statistics.of("lenet")
    for order, values in by.items():
        assert listed(of, order=order) == np.argsort(values, kind="stable").tolist(), order


def test_right_and_wrong_part_the_images(statistics: Statistics, bench: Any, measure: Any, actual: np.ndarray) -> None:
    is_right = predicted(measure(bench, [STEP])[STEP]) == actual
    of = statistics.of("lenet")
    assert listed(of, judged="right") == np.flatnonzero(is_right).tolist()
    assert listed(of, judged="wrong") == np.flatnonzero(~is_right).tolist()
    assert 0 < is_right.sum() < len(actual)
    assert set(JUDGED) == {"right", "wrong"}


def test_an_order_holds_within_what_is_searched_for(statistics: Statistics, bench: Any, measure: Any) -> None:
    measure(bench, [STEP])
    of = statistics.of("lenet")
    among = set(listed(of, text="test-1"))
    assert 1 < len(among) < 20
    assert listed(of, text="test-1", order="loss") == [p for p in listed(of, order="loss") if p in among]


def test_the_page_of_an_image_is_where_it_stands_in_the_order(statistics: Statistics, bench: Any, measure: Any) -> None:
    measure(bench, [STEP])
    of = statistics.of("lenet")
    ordered = images.all_images(of, STEP).narrowed(ImageQuery(order="loss"))
    for position in listed(of, order="loss"):
        offset = ordered.page_of(position, limit=7)
        assert position in [image["position"] for image in ordered.page(offset, 7).images]


@pytest.mark.parametrize("wrong", [{"order": "size"}, {"judged": "maybe"}])
def test_what_is_no_order_is_refused(statistics: Statistics, bench: Any, measure: Any, wrong: dict[str, str]) -> None:
    measure(bench, [STEP])
    with pytest.raises(BadRequest, match=next(iter(wrong))):
        listed(statistics.of("lenet"), **wrong)
