"""The table of runs: search, sort, group, tag; choose one to open, two to compare, several for their curves.

The browser draws it from the REST route ``run-table`` (assets/runs/*.mjs); no callback takes part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dash import Dash, html

from mloscope.app.process.request_context import CALLER
from mloscope.app.web.dash.page import Page
from mloscope.app.web.dash.view_state import CHOSEN_RUNS, Field
from mloscope.components.browser_parts import RunTable

if TYPE_CHECKING:
    from mloscope.app.web.services import Services

RUN_TABLE = "run-table"


def layout() -> html.Div:
    return html.Div(RunTable(id=RUN_TABLE, editor=CALLER.get().role == "editor"), className="runs-page")


def bind(_app: Dash, _services: Services) -> None:
    """Nothing to bind: the table asks the REST API."""


PAGE = Page(
    name="runs",
    path="/runs",
    label="Runs",
    title="Runs",
    help="All runs: search, sort and tag them; choose some to compare",
    layout=layout,
    bind=bind,
    fields=(
        CHOSEN_RUNS,
        Field("runs-search", "text", "", "the table of runs: words and conditions such as tag:x or accuracy>0.9"),
        Field("runs-sort", "text", "", "its order: a column and :up or :down; as connected where absent"),
        Field(
            "runs-columns", "text", "", "its columns, separated by commas; a choice of them where absent", longest=8000
        ),
        Field("runs-group", "text", "", "the column that its rows are grouped by; none where absent"),
    ),
)
