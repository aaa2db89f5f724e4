"""The table of pages: ours, then other packages', and what cannot be shown is left out with a warning."""

from __future__ import annotations

import logging
import sys
import types
from collections.abc import Callable
from importlib.metadata import EntryPoint
from typing import Any

import pytest
from dash import html

from mloscope.adaptors.entry_points import PAGES
from mloscope.app.web.dash.page import Page, Store, ViewPart, view_schema
from mloscope.app.web.dash.pages import OURS, installed_pages
from mloscope.app.web.dash.view_state import SPLIT, Field


def page(**changes: Any) -> Page:
    known = {"name": "course", "path": "/course", "label": "Course", "title": "Course", "help": "a course"}
    return Page(**{**known, "layout": html.Div, "bind": lambda app, services: None, **changes})


@pytest.fixture
def point(monkeypatch: pytest.MonkeyPatch) -> Callable[..., EntryPoint]:
    """``point(name, value)``: an entry point of a package that is not ours, which gives the value."""

    def make(name: str, value: Any) -> EntryPoint:
        module = types.ModuleType(f"theirs_{name}")
        module.PAGE = value
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return EntryPoint(name, f"{module.__name__}:PAGE", PAGES.name)

    return make


def test_ours_come_first_and_others_by_the_name_of_their_entry_point(point: Callable[..., EntryPoint]) -> None:
    zebra, ant = page(name="z", path="/z"), page(name="a", path="/a")
    assert installed_pages([point("zebra", zebra), point("ant", ant)]) == (*OURS, ant, zebra)


def test_pages_share_fields_of_the_view_in_the_order_of_pages() -> None:
    own = Field("statistic", "choice", "loss", "which is drawn", ("loss", "accuracy"))
    keys = [field.key for field in view_schema([*OURS, page(fields=(SPLIT, own))]).fields]
    assert keys == [*(field.key for field in view_schema(OURS).fields), "statistic"]


@pytest.mark.parametrize(
    ("value", "noun"),
    [
        ("not a page", "bind"),
        (types.SimpleNamespace(bind=print), "SimpleNamespace"),
        (page(name="confusion"), 'name "confusion"'),
        (page(path="/compare"), 'path "/compare"'),
        (page(stores=(Store("clusters-ready"),)), "clusters-ready"),
        (page(stores=(ViewPart("image-view", ("image",)),)), "image-view"),
        (page(fields=(Field("split", "number", 0, "another split"),)), '"split"'),
    ],
)
def test_a_page_that_collides_is_left_out(
    point: Callable[..., EntryPoint], caplog: pytest.LogCaptureFixture, value: Any, noun: str
) -> None:
    good = page(name="good", path="/good")
    with caplog.at_level(logging.WARNING):
        assert installed_pages([point("bad", value), point("good", good)]) == (*OURS, good)
    (record,) = caplog.records
    assert "bad" in record.getMessage()
    assert noun in record.getMessage()


def test_a_page_that_cannot_be_imported_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert installed_pages([EntryPoint("gone", "no_such_package_here:PAGE", PAGES.name)]) == OURS
    assert "no_such_package_here" in caplog.text
