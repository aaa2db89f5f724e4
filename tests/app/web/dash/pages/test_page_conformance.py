"""The suite of pages: a page with scripts and styles passes it and runs in the browser, and what breaks a promise fails it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dash import Input, Output, html

from mloscope.app.web.dash import ids
from mloscope.app.web.dash.page import Page, Store
from mloscope.app.web.dash.page_conformance import PageConformance
from mloscope.app.web.dash.pages import OURS
from mloscope.app.web.dash.threaded_callbacks import threaded
from mloscope.app.web.dash.view_state import Field


def bind(app: Any, services: Any) -> None:
    threaded(app, Output("bell", "title"), Input("bell-said", "data"), Input(ids.THEME, "data"))(lambda *told: None)


BELL = Page(
    name="bell",
    path="/bell",
    label="Bell",
    title="Bell",
    help="a bell",
    layout=lambda: html.Div("ding", id="bell"),
    bind=bind,
    fields=(Field("tone", "choice", "low", "how it sounds", ("low", "high")),),
    stores=(Store("bell-said", int),),
    assets=Path(__file__).parent / "bell",
)


class TestBell(PageConformance):
    page = BELL


def fails(page: Page, test: str, *arguments: Any) -> None:
    suite = type("Suite", (PageConformance,), {"page": page})()
    with pytest.raises((AssertionError, ValueError)):
        getattr(suite, test)(*arguments)


def test_broken_promises_fail() -> None:
    fails(replace(BELL, path="/confusion"), "test_it_can_stand_beside_our_pages")
    fails(replace(BELL, path="bell"), "test_it_can_stand_beside_our_pages")
    wrong = (
        Field("Tone", "text", "", "x"),
        Field("tone", "flag", "", "x"),
        Field("tone", "choice", "mid", "x", ("low",)),
    )
    for field in (*wrong, Field("tone", "number", "low", "x"), Field("tone", "text", "", "")):
        fails(replace(BELL, fields=(field,)), "test_fields_have_defaults_that_an_address_can_hold")


@pytest.mark.browser
def test_scripts_run_before_the_page_and_a_broken_one_costs_only_itself(
    bench: Any, in_browser: Callable[..., Any]
) -> None:
    broken = replace(
        BELL,
        name="broken",
        path="/broken",
        stores=(),
        bind=lambda *_: None,
        assets=Path(__file__).parent / "broken_bell",
    )
    page = in_browser(bench, "/bell#tone=high", (*OURS, BELL, broken))
    page.wait_for_selector("#bell")
    assert page.get_attribute("html", "data-bell") == "both"  # what is drawn by default
    assert page.evaluate("() => getComputedStyle(document.getElementById('bell')).color") == "rgb(1, 2, 3)"
    (problem,) = page.problems
    assert "this bell is broken" in problem
