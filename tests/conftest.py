"""What tests of several folders share: one browser and its tabs, since Playwright starts only once in a process; a folder of
their own in place of the user's cache; and which tests stay together where two processes share the work (``make test``)."""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))  # for in_page: tests are imported by path, their neighbours are not

TOGETHER = ("tests/end_to_end/", "tests/hostile/")
"""Folders whose tests share what takes long to make: one process has all of them."""
WITH_TENSORFLOW = (
    "tests/adaptors/",
    "tests/app/commands/test_commands_and_basis.py",
    "tests/app/demo/test_training.py",
    "tests/app/model_service/",
)
"""Where tests import TensorFlow, which takes 5 s and 500 MB: one process has all of them."""
NO_HINTS = "try { localStorage.setItem('mloscope-hints', '3'); } catch { /* a page without storage */ }"
"""Whoever tests has been here before: assets/shell/hints.mjs."""
BROWSERS = ("chromium-headless-shell", "chromium")
"""The first one found is used. The shell has no windows, and takes a fifth of the time for a page."""
CHROMIUM = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    # A tab has one process for all of its documents, though our pages ask for another each time (Cross-Origin-Opener-Policy):
    # a document costs half of what it costs in a process that has compiled nothing yet.
    "--process-per-site",
)

# The same examples every time; make test-all names the other profile.
for name, examples in {"few": 10, "many": 200}.items():
    settings.register_profile(name, deadline=None, derandomize=True, max_examples=examples)
settings.load_profile("few")


def pytest_configure(config: pytest.Config) -> None:
    """No test sees the servers and statistics of whoever runs it, nor those of tests in another process."""
    folder = tempfile.mkdtemp(prefix="mloscope-tests-")
    os.environ["MLOSCOPE_HOME"] = folder
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def pytest_sessionfinish() -> None:
    """Collect garbage now: pytest does it once more after a worker has reported its end, and execnet interrupts (SIGINT) a
    worker that takes more than 5 s from there."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with tests in the browser go last: Playwright's event loop stays in the main thread until the session ends,
    and ``asyncio.run`` refuses to work beside it. What is longest comes first among them, lest one process work on it alone
    at the end."""
    in_browser = Counter(_together(item.nodeid) for item in items if _uses_browser(item))

    def place(item: pytest.Item) -> tuple[bool, bool, int, bool]:
        together = _together(item.nodeid)
        return together in in_browser, together not in TOGETHER, -in_browser[together], _uses_browser(item)

    items.sort(key=place)


def _uses_browser(item: pytest.Item) -> bool:
    return "chromium" in getattr(item, "fixturenames", ())


def _together(nodeid: str) -> str:
    """What one process does alone: the tests of a file, of a folder, or all with TensorFlow."""
    if nodeid.startswith(WITH_TENSORFLOW):
        return "TensorFlow"
    return next((folder for folder in TOGETHER if nodeid.startswith(folder)), nodeid.split("::")[0])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where there are several processes, each takes the next file or folder in the order above."""
    from xdist.scheduler import LoadScopeScheduling

    class InOrder(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _together(nodeid)

    config.option.loadscopereorder = False
    return InOrder(config, log)


@pytest.fixture(scope="session")
def chromium():
    """Headless Chromium: the system's where there is one, else Playwright's own."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make test does it")
    system = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=system,
            args=list(CHROMIUM),
        )
        yield browser
        browser.close()


@pytest.fixture
def keras_folder() -> Callable[..., Path]:
    """:func:`keras_folders.save_keras_folder`"""
    from keras_folders import save_keras_folder

    return save_keras_folder


@dataclass
class Tab:
    """A page alone in its context, and a session of DevTools on it."""

    page: Any
    session: Any
    options: dict[str, Any]
    """Of the context."""

    def empty(self) -> None:
        """Leave nothing of a test to the next one: other pages, routes, mouse, cookies, storage, history. What
        the browser has cached stays, as it stays with users."""
        for other in self.page.context.pages:
            if other is not self.page:
                other.close()
        self.page.unroute_all(behavior="ignoreErrors")
        address = urlsplit(self.page.url)
        self.page.goto("about:blank")
        self.page.mouse.move(0, 0)
        self.page.set_viewport_size(self.options["viewport"])
        self.page.context.clear_cookies()
        origin = f"{address.scheme}://{address.netloc}"
        self.session.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"})
        self.session.send("Page.resetNavigationHistory")


class Tabs:
    """Pages that serve one test after another, for the first document of a page costs three times as much as the next one:
    a process is started, and Plotly compiled."""

    def __init__(self, browser: Any) -> None:
        self._browser = browser
        self._kept: list[Tab] = []

    def take(self, options: dict[str, Any]) -> Tab:
        """One whose context has these options; nobody else has it until it is put back."""
        for tab in self._kept:
            if tab.options == options:
                self._kept.remove(tab)
                return tab
        return self.new(options)

    def new(self, options: dict[str, Any]) -> Tab:
        context = self._browser.new_context(**options)
        context.add_init_script(NO_HINTS)
        page = context.new_page()
        return Tab(page, context.new_cdp_session(page), options)

    def put_back(self, tab: Tab) -> None:
        if not tab.page.is_closed():
            tab.empty()
            self._kept.append(tab)


@pytest.fixture(scope="session")
def tabs(chromium: Any) -> Tabs:
    return Tabs(chromium)


@pytest.fixture
def open_page(tabs: Tabs, request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """``open_page(**options)``: an empty page in a context with these options. What a test marked ``own_page`` is given is
    new, and thrown away afterwards, as is whatever a failed test had."""
    own = request.node.get_closest_marker("own_page") is not None
    failed_before = request.session.testsfailed
    taken: list[Tab] = []

    def build(**options: Any) -> Any:
        options = {"viewport": {"width": 1280, "height": 800}, **options}
        taken.append(tabs.new(options) if own else tabs.take(options))
        return taken[-1].page

    yield build
    for tab in taken:
        if own or request.session.testsfailed > failed_before:
            tab.page.context.close()
        else:
            tabs.put_back(tab)
