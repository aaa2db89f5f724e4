"""app/web/dash/javascript_modules.py: every module is found by its name, under an address that changes with its content."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mloscope.app.process.url_prefix import URL_PREFIX
from mloscope.app.web.dash.javascript_modules import JavascriptModules

ASSETS = Path(__file__).resolve().parents[4] / "assets"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "base").mkdir()
    (tmp_path / "main.mjs").write_text('import "mloscope/base/one.mjs";')
    (tmp_path / "base" / "one.mjs").write_text("export const one = 1;")
    (tmp_path / "base" / "one.css").write_text("a {}")
    return tmp_path


def imports(folder: Path) -> dict[str, str]:
    return json.loads(JavascriptModules(folder).import_map())["imports"]


def test_modules_are_named_by_their_path(folder: Path) -> None:
    found = imports(folder)
    assert list(found) == ["mloscope/base/one.mjs", "mloscope/main.mjs"]
    assert re.fullmatch(r"/assets/base/one\.mjs\?m=[0-9a-f]{16}", found["mloscope/base/one.mjs"])


def test_an_address_changes_with_the_content_and_with_nothing_else(folder: Path) -> None:
    before = imports(folder)
    (folder / "base" / "one.mjs").write_text("export const one = 2;")
    after = imports(folder)
    assert after["mloscope/base/one.mjs"] != before["mloscope/base/one.mjs"]
    assert after["mloscope/main.mjs"] == before["mloscope/main.mjs"]


def test_addresses_lie_below_the_prefix_of_the_request(folder: Path) -> None:
    token = URL_PREFIX.set("/tools/mloscope")
    try:
        head = JavascriptModules(folder).head()
    finally:
        URL_PREFIX.reset(token)
    assert head.count('href="/tools/mloscope/assets/') == head.count('": "/tools/mloscope/assets/') == 2


def test_every_module_that_ours_import_exists() -> None:
    known = imports(ASSETS)
    named = {
        name
        for path in ASSETS.rglob("*.mjs")
        for name in re.findall(
            r'^(?:import|export|\}).* from "([^"]+)"|^import "([^"]+)"', path.read_text(), re.MULTILINE
        )
    }
    assert {one or other for one, other in named} <= set(known)
