"""A Plotly chart in its frame, with the buttons that keep it as a picture."""

from __future__ import annotations

from dash import dcc, html

from mloscope.components.browser_parts import Chart

FORMATS = ("png", "svg")
_NOTHING = {
    "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "xaxis": {"visible": False}, "yaxis": {"visible": False},
}  # fmt: skip


def chart(graph_id: str, label: str, height_px: int, *, cursor: bool = False, class_name: str = "") -> html.Div:
    """An empty chart that a callback fills; it keeps its room meanwhile, so that nothing jumps. Plotly comes after the films; until it
    has, assets/shell/chart.mjs says so in the chart's place.

    label: what it shows, in words, for screen readers and as the name of a saved picture.
    cursor: whether its axis is time, and assets/shell/time_cursor.mjs draws the moment on it.
    A menu above it, which shows under pointer and focus, keeps it as a picture; assets/shell/chart_export.mjs does what it says.
    """
    height = f"{height_px}px"
    classes = ["chart", "time-cursor" if cursor else "", class_name]
    return html.Div(
        [
            Chart(
                graph=graph_id,
                height=height,
                children=dcc.Graph(
                    id=graph_id,
                    figure={"layout": _NOTHING},
                    responsive=True,
                    config={"displayModeBar": False},
                    style={"height": height},
                ),
            ),
            _menu(graph_id, label),
        ],
        className=" ".join(filter(None, classes)),
        role="figure",
        **{"aria-label": label},
    )  # fmt: skip


def _menu(graph_id: str, label: str) -> html.Details:
    buttons = [
        html.Button(
            kind.upper(), className="chart-export-button", title=f"{label}: save as {kind.upper()}",
            **{"data-chart": graph_id, "data-chart-format": kind, "aria-label": f"{label}: save as {kind.upper()}"},
        )
        for kind in FORMATS
    ]  # fmt: skip
    summary = html.Summary("⋯", title="Save as a picture", **{"aria-label": f"{label}: save as a picture"})
    return html.Details([summary, html.Div(buttons, className="chart-export-menu")], className="chart-export")
