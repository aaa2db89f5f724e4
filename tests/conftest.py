"""What tests of several folders share: one browser, since Playwright starts only once in a process; a folder of their own
in place of the user's cache; and which tests stay together where two processes share the work (``make test``)."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for in_page: tests are imported by path, their neighbours are not

TOGETHER = ("tests/end_to_end/", "tests/hostile/")
"""Folders whose tests share what takes long to make: one process has all of them."""
BROWSERS = ("chromium-headless-shell", "chromium")
"""The first one found is used. The shell has no windows, and takes a fifth of the time for a page."""


def pytest_configure(config: pytest.Config) -> None:
    """No test sees the servers and statistics of whoever runs it, nor those of tests in another process."""
    folder = tempfile.mkdtemp(prefix="mloscope-tests-")
    os.environ["MLOSCOPE_HOME"] = folder
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with tests in the browser go last: Playwright's event loop stays in the main thread until the session ends,
    and ``asyncio.run`` refuses to work beside it. What is longest comes first among them, lest one process work on it alone
    at the end."""
    in_browser = {_together(item.nodeid) for item in items if _uses_browser(item)}

    def place(item: pytest.Item) -> tuple[bool, bool, bool]:
        together = _together(item.nodeid)
        return together in in_browser, together not in TOGETHER, _uses_browser(item)

    items.sort(key=place)


def _uses_browser(item: pytest.Item) -> bool:
    return "chromium" in getattr(item, "fixturenames", ())


def _together(nodeid: str) -> str:
    """What one process does alone: the tests of a file, or of a folder."""
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
            args=["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()


@pytest.fixture
def keras_folder() -> Callable[..., Path]:
    """:func:`keras_folders.save_keras_folder`"""
    from keras_folders import save_keras_folder

    return save_keras_folder
