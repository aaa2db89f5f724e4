"""Parts of the view: a chart is drawn again when a field that it shows changes, and not otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import in_page
import pytest

pytestmark = pytest.mark.browser
HEAT_MAP, MAP, COURSE = "unit-heat-map.figure", "unit-map.figure", "prediction-course.figure"
MAP_RIDGES, WEIGHT_RIDGES = "map-histograms.figure", "weight-histograms.figure"


def rest(page: Any) -> None:
    """Wait until nothing is asked any more, for several times what a view takes to reach its store."""
    seen = -1
    while seen != len(page.asked):
        seen = len(page.asked)
        page.wait_for_timeout(250)


def change(page: Any, *until: str, **fields: Any) -> set[str]:
    """Change the view and return the outputs asked for: all of ``until``, and what follows."""
    rest(page)
    page.asked.clear()
    in_page.evaluate(page, "fields => view.set(fields)", fields)
    for _ in range(1000):
        if set(until) <= set(page.asked):
            break
        page.wait_for_timeout(20)
    rest(page)
    return set(page.asked)


def test_a_chart_is_drawn_again_only_for_what_it_shows(bench: Any, in_browser: Callable[..., Any]) -> None:
    page = in_browser(bench, "/#layer=block/conv1&image=test-0")
    page.wait_for_function("() => document.querySelector('#unit-heat-map .js-plotly-plot')?.data?.length")
    assert change(page, COURSE, MAP, MAP_RIDGES, image="test-1") == {COURSE, MAP, MAP_RIDGES}
    of_unit = change(page, HEAT_MAP, MAP, unit=2)
    assert {HEAT_MAP, MAP} <= of_unit
    assert {COURSE, MAP_RIDGES, WEIGHT_RIDGES}.isdisjoint(of_unit)
    ridges = change(page, MAP_RIDGES, WEIGHT_RIDGES, **{"histogram-of": "unit"})
    assert ridges == {MAP_RIDGES, WEIGHT_RIDGES}
    assert HEAT_MAP in change(page, HEAT_MAP, mode="parameters")
    assert change(page, COURSE, image="test-2") == {COURSE}
    assert page.problems == []


@pytest.mark.slow
def test_a_search_for_images_draws_no_chart_of_a_comparison_again(bench: Any, in_browser: Callable[..., Any]) -> None:
    page = in_browser(bench, "/compare#layer=block/conv1&image=test-0")
    page.wait_for_function("() => document.querySelector('#compare-scatter .js-plotly-plot')?.data?.length")
    assert "compare-scatter.figure" in change(page, "compare-scatter.figure", unit=2)
    assert change(page, images="search=cat") == set()
    assert page.problems == []
