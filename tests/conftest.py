"""What tests of several folders share: one browser, since Playwright starts only once in a process."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever uses the browser goes last: Playwright's event loop stays in the main thread until the session ends,
    and ``asyncio.run`` refuses to work beside it."""
    items.sort(key=lambda item: "chromium" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def chromium():
    """Headless Chromium: the system's where there is one, else Playwright's own."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make test does it")
    system = Path("/usr/bin/chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(system) if system.exists() else None,
            args=["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()
