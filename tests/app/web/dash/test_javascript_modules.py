"""app/web/dash/javascript_modules.py: every module is found by its name, under an address that changes with its content."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from mloscope.app.process.url_prefix import URL_PREFIX
from mloscope.app.web.dash.javascript_modules import BUNDLED, JavascriptModules

OURS = "mloscope/"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "base").mkdir()
    (tmp_path / "main.mjs").write_text('import { one } from "mloscope/base/one.mjs";\nwindow.one = one;\n')
    (tmp_path / "base" / "one.mjs").write_text("export const one = 1;\n")
    (tmp_path / "one.css").write_text("a {}")
    return tmp_path


@pytest.fixture
def page(tmp_path: Path) -> Path:
    page = tmp_path / "page"
    page.mkdir()
    (page / "main.mjs").write_text('import { one } from "mloscope/base/one.mjs";')
    (page / "other.mjs").write_text("")
    return page


def imports(modules: JavascriptModules) -> dict[str, str]:
    return json.loads(modules.import_map())["imports"]


@pytest.fixture
def client(folder: Path) -> Iterator[TestClient]:
    app = Starlette()
    app.add_route(f"{BUNDLED}/{{path:path}}", JavascriptModules(folder).bundled)
    with TestClient(app) as client:
        yield client


def test_one_place_holds_all_modules_of_ours(folder: Path, client: TestClient) -> None:
    place = imports(JavascriptModules(folder))[OURS]
    whole, one, styles = (client.get(place + name) for name in ("main.mjs", "base/one.mjs", "styles.css"))
    assert 'modules["mloscope/base/one.mjs"] = { one: one };' in whole.text
    assert 'from "mloscope/main.mjs"' in one.text
    assert styles.text == "a {}"
    assert [each.headers["content-type"].partition(";")[0] for each in (whole, one, styles)] == [
        "text/javascript", "text/javascript", "text/css",
    ]  # fmt: skip
    assert all("immutable" in each.headers["cache-control"] for each in (whole, one, styles))


@pytest.mark.parametrize("name", ["gone.mjs", "../page/main.mjs", ""])
def test_what_no_module_imports_is_not_there(folder: Path, client: TestClient, name: str) -> None:
    assert client.get(imports(JavascriptModules(folder))[OURS] + name).status_code == 404


def test_another_versions_place_is_not_there(client: TestClient) -> None:
    assert client.get(f"{BUNDLED}/{'0' * 16}/main.mjs").status_code == 404


@pytest.mark.parametrize("file", ["base/one.mjs", "one.css"])
def test_the_place_changes_with_the_content(folder: Path, file: str) -> None:
    before = imports(JavascriptModules(folder))
    assert imports(JavascriptModules(folder)) == before
    (folder / file).write_text("export const one = 2;\n")
    assert imports(JavascriptModules(folder)) != before


def test_modules_of_another_packages_page_are_named_one_by_one(folder: Path, page: Path) -> None:
    found = imports(JavascriptModules(folder, {"theirs": page}))
    assert list(found) == [OURS, "mloscope/pages/theirs/main.mjs", "mloscope/pages/theirs/other.mjs"]
    assert re.fullmatch(r"/assets/pages/theirs/main\.mjs\?m=[0-9a-f]{16}", found["mloscope/pages/theirs/main.mjs"])
    (page / "other.mjs").write_text("export const two = 2;")
    after = imports(JavascriptModules(folder, {"theirs": page}))
    assert {name for name in found if found[name] != after[name]} == {"mloscope/pages/theirs/other.mjs"}


def test_addresses_lie_below_the_prefix_of_the_request(folder: Path, page: Path) -> None:
    token = URL_PREFIX.set("/tools/mloscope")
    try:
        head = JavascriptModules(folder, {"theirs": page}).head()
    finally:
        URL_PREFIX.reset(token)
    assert head.count('href="/tools/mloscope/assets/') == head.count('": "/tools/mloscope/assets/') == 3
