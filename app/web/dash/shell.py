"""The shell: what stays while pages come and go. Top bar, what numbers rest on, notices, the page, the timeline, and their stores.

    URL search ──► describe_subject ──► Store "subject" ──► assets: mloscope.open ──► time bus, view
    time bus  ──(when settled)──► Store "settled-time" ──► every page's callbacks
    view      ──(when changed)──► Store "view"         ──► every page's callbacks

The settled time and the view are each written by one script and by nothing else; callbacks only take them as inputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import parse_qs

import dash
import dash_bootstrap_components as dbc
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html
from pydantic import AfterValidator, BaseModel, ConfigDict

from mloscope.app.process.request_context import CALLER, Caller
from mloscope.app.process.url_prefix import mounted
from mloscope.app.web.dash import ids, page_data
from mloscope.app.web.dash.page import Page
from mloscope.app.web.dash.threaded_callbacks import threaded
from mloscope.app.web.subject import subject
from mloscope.app.web.templates import THEME_SCRIPT
from mloscope.components.browser_parts import BasisLine, ImageCard, KeyMap, RunPicker, SavedViews, TimeSlider

if TYPE_CHECKING:
    from mloscope.app.web.services import Services

_INDEX = """<!DOCTYPE html>
<html lang="en">
<head>
{%metas%}
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{%title%}</title>
<script>THEME_SCRIPT</script>
PAGE_DATA{%favicon%}
{%css%}
</head>
<body>
{%app_entry%}
{%config%}{%scripts%}{%renderer%}
</body>
</html>
"""

# ------------------------------------------------------------------------------------------------ what stores hold


class _Stored(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class _Checkpoint(_Stored):
    step: int
    label: str


class _Subject(_Stored):
    run: str | None
    corpus: str | None
    runs: list[str]
    checkpoints: list[_Checkpoint]


class _SettledTime(_Stored):
    step: int | None


def _path(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError("the path of a page must begin with /")
    return path


HELD: Mapping[str, Any] = {
    "_pages_location.pathname": Annotated[str, AfterValidator(_path)] | None,
    "_pages_location.search": str | None,
    f"{ids.SUBJECT}.data": _Subject | None,
    f"{ids.CONNECTIONS}.data": object,
    f"{ids.SETTLED_TIME}.data": _SettledTime | None,
    f"{ids.THEME}.data": Literal["light", "dark"] | None,
}
"""Types of what the shell holds for callbacks; what the store "view" holds, the pages' fields say."""


# ------------------------------------------------------------------------------------------------------------- layout


def index(pages: Sequence[Page]) -> str:
    """Return the document that every page is shown in."""
    return _INDEX.replace("THEME_SCRIPT", THEME_SCRIPT).replace("PAGE_DATA", page_data.scripts(pages))


def layout(pages: Sequence[Page]) -> html.Div:
    return html.Div(
        [
            dcc.Store(id=ids.SUBJECT),
            dcc.Store(id=ids.CONNECTIONS),
            dcc.Store(id=ids.SETTLED_TIME),
            dcc.Store(id=ids.VIEW),
            dcc.Store(id=ids.THEME),
            html.A("Skip to the picture", href="#page", className="skip-link"),
            html.A("Skip to the time slider", href=f"#{ids.TIME_SLIDER}", className="skip-link"),
            _top_bar(pages),
            html.Div(BasisLine(id=ids.BASIS, editor=CALLER.get().role == "editor"), className="shell-basis"),
            html.Div(id=ids.NOTICES, role="status", className="shell-notices"),
            html.Main(dash.page_container, id="page", className="shell-page"),
            html.Section(TimeSlider(id=ids.TIMELINE), className="shell-timeline", **{"aria-label": "Time"}),
            ImageCard(id=ids.IMAGE_CARD),
            _key_map(),
        ],
        className="shell",
    )


def _top_bar(pages: Sequence[Page]) -> html.Header:
    return html.Header(
        [
            html.A(
                [html.Span(className="brand-mark"), "ML-o-scope"],
                href=mounted("/"),
                className="brand",
                **{"data-page": "brand"},
                title="ML-o-scope: a time-lapse microscope for neural networks",
            ),
            RunPicker(id=ids.RUN_CHOICE),
            _bar_choice(ids.CORPUS_CHOICE, "Corpus", "The images that are shown to the network"),
            html.Nav(
                [
                    html.A(
                        page.label,
                        href=mounted(page.path),
                        className="nav-link",
                        title=page.help,
                        **{"data-page": page.name, "data-title": page.title},
                    )
                    for page in pages
                ],
                **{"aria-label": "Pages"},
            ),
            html.Div(className="bar-space"),
            html.Button("Share", id=ids.SHARE, className="bar-button", title="Copy the address of exactly this view"),
            SavedViews(id=ids.SAVED_VIEWS, editor=CALLER.get().role == "editor"),
            _user_menu(CALLER.get()),
            html.Button("Theme", id=ids.THEME_SWITCH, className="bar-button", title="Light or dark"),
            html.Button(
                "?", id=ids.HELP, className="bar-button", title="Keyboard map (?)", **{"aria-label": "Keyboard map"}
            ),
        ],
        className="top-bar",
    )


def _user_menu(caller: Caller) -> html.Details | html.A:
    """Return what one may do with one's own sign-in, and Status; the latter alone where nobody signs in."""
    status = html.A(
        "Status",
        href=mounted("/status"),
        className="bar-button bar-link",
        title="What is cached, what runs, what failed, and who is signed in",
    )
    if not caller.name:
        return status
    entries: list[Any] = [html.P(f"Signed in as {caller.name}, {caller.role}", className="quiet-text"), status]
    if caller.via == "session":
        sign_out = html.Button("Sign out", type="submit", className="bar-button")
        entries.append(html.Form(sign_out, method="post", action=mounted("/logout")))
    return html.Details(
        [
            html.Summary(caller.name, className="bar-button bar-link", title=f"Signed in as {caller.name}"),
            html.Div(entries, className="user-menu-body"),
        ],
        className="user-menu",
    )


def _bar_choice(control_id: str, label: str, tip: str) -> html.Label:
    return html.Label(
        [html.Span(label, className="only-for-screen-readers"), dbc.Select(id=control_id, class_name="bar-select")],
        title=tip,
        className="bar-choice",
    )


def _key_map() -> dbc.Modal:
    header = dbc.ModalHeader(dbc.ModalTitle("Keyboard", id="key-map-title"))
    return dbc.Modal(
        [header, dbc.ModalBody(KeyMap(id="keys"))], id=ids.KEY_MAP, labelledby="key-map-title", centered=True
    )


def subject_of(services: Services, search: str | None) -> dict[str, Any]:
    """What a page needs to know of its run and corpus. ``search`` is the location's, e.g. ``?run=mnist&corpus=digits``.

    An unknown name is said in ``problem``; the first run or corpus takes its place, so that there is always something to see.
    """
    asked = {key: values[-1] for key, values in parse_qs((search or "").lstrip("?")).items()}
    return subject(services.workspace, services.evaluations, asked.get("run"), asked.get("corpus"))


def bind(app: Dash, services: Services) -> None:
    @threaded(app, Output(ids.SUBJECT, "data"), Input("_pages_location", "search"), Input(ids.CONNECTIONS, "data"))
    def describe_subject(search: str | None, _seen: dict | None) -> dict[str, Any]:
        return subject_of(services, search)

    def browser(function: str, *args: Any, **kwargs: Any) -> None:
        app.clientside_callback(ClientsideFunction("mloscope", function), *args, **kwargs)

    browser(
        "openSubject",
        Output(ids.CORPUS_CHOICE, "options"), Output(ids.CORPUS_CHOICE, "value"), Output(ids.CORPUS_CHOICE, "style"),
        Input(ids.SUBJECT, "data"),
    )  # fmt: skip
    browser(
        "goToCorpus",
        Input(ids.CORPUS_CHOICE, "value"),
        State(ids.SUBJECT, "data"),
        prevent_initial_call=True,
    )
    browser("theme", Output(ids.THEME, "data"), Input(ids.THEME_SWITCH, "n_clicks"))
    browser("share", Output(ids.SHARE, "children"), Input(ids.SHARE, "n_clicks"), prevent_initial_call=True)
    browser("markPage", Input("_pages_store", "data"))
    browser("keyMap", Output(ids.KEY_MAP, "is_open"), Input(ids.HELP, "n_clicks"), prevent_initial_call=True)
