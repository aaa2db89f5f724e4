"""The web process: one ASGI application of Dash pages and the REST API. Never imports TensorFlow; a test holds it to that."""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
from collections.abc import Callable, Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from dash import Dash
from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from mloscope.app.accounts.users import users_of_server
from mloscope.app.web.access.authentication import Authentication
from mloscope.app.web.access.browser_policy import script_hash
from mloscope.app.web.access.gate import ICON, AccessGate
from mloscope.app.web.access.health import Health
from mloscope.app.web.access.prometheus import Metrics
from mloscope.app.web.access.sign_in import LOGIN_SCRIPT, SignIn
from mloscope.app.web.access.status_page import StatusPage
from mloscope.app.web.compressed_assets import CompressedAssets
from mloscope.app.web.compression import Compression
from mloscope.app.web.dash import shell
from mloscope.app.web.dash.dash_pages import bind_pages, register_pages
from mloscope.app.web.dash.dash_requests import DashRequests, checks_of
from mloscope.app.web.dash.javascript_modules import BUNDLED, JavascriptModules
from mloscope.app.web.dash.mounted_index import mount_index
from mloscope.app.web.dash.page import Page
from mloscope.app.web.dash.pages import installed_pages
from mloscope.app.web.rest.api import add_rest
from mloscope.app.web.subject import first_shown
from mloscope.app.web.templates import THEME_SCRIPT

if TYPE_CHECKING:
    from mloscope.app.process.logs import LoggedWarning
    from mloscope.app.process.settings import Settings
    from mloscope.app.web.templates import THEME_SCRIPT
from mloscope.app.web.services import Services


def create_app(
    services: Services,
    settings: Settings,
    pages: Sequence[Page] | None = None,
    assets_folder: Path | None = None,
) -> FastAPI:
    """Dashboard at ``/``, REST under ``/api/v1``, its documentation at ``/api/docs``. ``pages``: default is the table of them.
    ``assets_folder``: where compressed assets are kept; None: nowhere."""
    pages = installed_pages() if pages is None else pages
    server = FastAPI(title="ML-o-scope", docs_url=None, redoc_url=None, openapi_url=None)
    add_rest(server, services)
    assets = str(files("mloscope.assets"))
    folders = {page.name: page.assets for page in pages if page.assets is not None}
    for name, folder in folders.items():
        server.mount(f"/assets/pages/{name}", StaticFiles(directory=folder))
    modules = JavascriptModules(Path(assets), folders)
    server.add_route(f"{BUNDLED}/{{path:path}}", modules.bundled, include_in_schema=False)
    app = Dash(
        "mloscope.app",
        server=server,
        use_pages=True,
        pages_folder="",
        assets_folder=assets,
        assets_ignore=r".*\.(py|mjs|css)",
        index_string=shell.index(pages),
        title="ML-o-scope",
        update_title=None,
        suppress_callback_exceptions=True,
        serve_locally=True,
        add_log_handler=False,
    )
    # Dash's page would try to open a socket even where no callback uses one; ours all go over HTTP.
    app.backend.websocket_capability = False
    register_pages(pages)
    app.layout = functools.partial(shell.layout, pages)
    app.renderer = modules.start_dash()
    mount_index(app, modules, ICON, functools.partial(first_shown, services.workspace))
    shell.bind(app, services)
    bind_pages(app, pages, services)
    _prepare(app)
    server.add_middleware(DashRequests, dash_app=app, checks=checks_of(pages), paths=[page.path for page in pages])
    server.add_middleware(Compression, assets=CompressedAssets(assets_folder))
    # Asked each time, for Dash adds scripts of its own with the first request.
    server.state.inline_script_hashes = lambda: (
        *map(script_hash, (THEME_SCRIPT, LOGIN_SCRIPT, modules.import_map())),
        *app.csp_hashes(),
    )
    return server


def _prepare(app: Dash) -> None:
    """What Dash (4.4, on FastAPI) puts off until the first request for "/" or one of its own routes: without it the first
    page that anybody opens, if it is another than "/", would come without scripts and styles."""
    for hook in app.backend._before_request_funcs:
        prepared = hook()
        if inspect.iscoroutine(prepared):
            with contextlib.suppress(StopIteration):
                prepared.send(None)  # it awaits nothing; a loop may be running here already


def create_guarded_app(
    services: Services,
    settings: Settings,
    metrics: Metrics,
    recent_warnings: Callable[[], Iterable[LoggedWarning]] = tuple,
    assets_folder: Path | None = None,
) -> AccessGate:
    """Return :func:`create_app` behind its access gate, as ``mloscope serve`` serves it."""
    application = create_app(services, settings, assets_folder=assets_folder)
    authentication = Authentication(settings, users_of_server(settings, os.environ))
    health = Health(services.vitals, metrics)
    own_pages = {
        **SignIn(authentication, metrics, settings.session_s).routes,
        **health.routes,
        **StatusPage(services, health, metrics, recent_warnings, settings.dask_address).routes,
    }
    return AccessGate(application, settings, authentication, own_pages, metrics, application.state.inline_script_hashes)
