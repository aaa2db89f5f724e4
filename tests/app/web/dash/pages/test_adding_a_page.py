"""docs/adding_a_page.md, taken at its word: its files become a package outside the tree, its suite passes, and its page opens in
the browser: a link with its field of the view restores it, and the time slider moves its cursor."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import in_page
import pytest

from mloscope.app.web.dash.pages import OURS, installed_pages

ROOT = Path(__file__).parents[5]
PAGE = ROOT / "docs" / "adding_a_page.md"
sys.path.insert(0, str(ROOT / "tests" / "docs"))  # tests are imported by path, their neighbours are not
STEPS = (0, 100, 200, 390)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    from installed_package import fenced, installed

    assert set(fenced(PAGE.read_text())) == {"mypages/course.py", "pyproject.toml", "test_mypages.py"}
    folder = tmp_path / "site"
    folder.mkdir()
    return installed(PAGE, folder)


def test_the_page_s_own_suite_passes(project: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(project), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mypages.py"]
    answer = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout
    assert "6 passed, 1 skipped" in answer.stdout  # it brings no scripts and styles


@pytest.mark.browser
def test_it_opens_with_its_link_and_follows_the_time_slider(
    project: Path,
    make_bench: Callable[..., Any],
    measure: Callable[..., Any],
    in_browser: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(project))
    pages = installed_pages()
    assert [page.name for page in pages] == [*(page.name for page in OURS), "course"]
    bench = make_bench(cache_folder=tmp_path / "cache")
    measure(bench, STEPS)
    page = in_browser(bench, "/course?run=lenet#step=100&statistic=loss", pages)
    page.wait_for_selector('[data-view="statistic"]')
    drawn = "() => document.querySelector('#mypages-chart .js-plotly-plot')?.data?.[0]?.name"
    page.wait_for_function(f"() => ({drawn})() === 'loss'")
    assert page.input_value('[data-view="statistic"]') == "loss"
    cursor = page.locator(".time-cursor .time-cursor-line")
    page.wait_for_selector('.time-cursor-line[data-step="100"]')
    left = cursor.bounding_box()["x"]
    in_page.evaluate(page, "() => time.requestStep(390)")
    page.wait_for_selector('.time-cursor-line[data-step="390"]')
    assert cursor.bounding_box()["x"] > left
    page.select_option('[data-view="statistic"]', "weight_norm")
    page.wait_for_function(f"() => ({drawn})() ?.startsWith('weight norm')")
    assert "statistic=weight_norm" in page.url
    page.go_back()
    page.wait_for_function(f"() => ({drawn})() === 'loss'")
    assert page.problems == []
