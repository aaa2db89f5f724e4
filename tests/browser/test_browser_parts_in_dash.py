"""components/browser_parts.py in a real Dash application: scripts are found, stores and callbacks hear."""

from __future__ import annotations

import threading
from pathlib import Path

import in_page
import pytest

from mloscope.app.web.dash import page_data
from mloscope.app.web.dash.pages import OURS
from mloscope.components import browser_parts

pytestmark = pytest.mark.browser
ASSETS = Path(__file__).resolve().parents[2] / "assets"
HEAD = f"{in_page.APART}</head>"
DATA = f"{page_data.scripts(OURS)}</body>"


@pytest.fixture
def application():
    """The address of a Dash application with the parts on its page and one callback."""
    import dash
    from werkzeug.serving import make_server

    app = dash.Dash(__name__, assets_folder=str(ASSETS), assets_ignore=r".*\.mjs")
    app.renderer = 'import("mloscope/main.mjs").then(() => { var renderer = new DashRenderer(); });'
    app.index_string = app.index_string.replace("</head>", HEAD).replace("</body>", DATA)
    app.layout = dash.html.Div(
        [
            dash.dcc.Store(id="settled-time"),
            dash.dcc.Store(id="view"),
            dash.html.Div(id="notices"),
            dash.html.Span(id="echo"),
            browser_parts.TimeSlider(id="timeline"),
            browser_parts.FilmCanvas(id="parameters", show="parameters"),
            browser_parts.ImageGrid(id="images"),
            browser_parts.PredictionBars(id="predictions"),
        ]
    )

    @app.callback(dash.Output("echo", "children"), dash.Input("settled-time", "data"), dash.Input("view", "data"))
    def echo(time, view):
        return f"step {time['step']}, unit {view['unit']}" if time and view else "nothing yet"

    server = make_server("127.0.0.1", 0, app.server, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


def test_dash_draws_the_parts_and_hears_of_time_and_view(chromium, application):
    page = chromium.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(application)
    page.wait_for_selector("#timeline #time-slider")
    for part in ("parameters", "images", "predictions"):
        page.wait_for_selector(f"#{part} > *", state="attached")
    in_page.evaluate(
        page,
        """() => openSubject({ run: "r", corpus: null, classNames: [], layers: [],
        checkpoints: [1, 2, 3].map((step) => ({ step })), evaluation: { possible: false, message: "no" } })""",
    )
    page.wait_for_selector("text=step 3, unit 0")
    page.fill(".timeline-jump", "2")
    page.press(".timeline-jump", "Enter")
    page.wait_for_selector("text=step 2, unit 0")
    in_page.evaluate(page, "() => view.set({ unit: 5 })")
    page.wait_for_selector("text=step 2, unit 5")
    page.close()
    assert errors == []
