"""docs/adding_a_statistic.md, taken at its word: its files become a package outside the tree, and the statistic is there in REST,
export and chart, with no network evaluated."""

from __future__ import annotations

import csv
import io
import os
import re
import shlex
import subprocess
import sys
import tomllib
from importlib.metadata import PathDistribution
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from mloscope.adaptors.entry_points import STATISTICS
from mloscope.app.cache.memory_store import MemoryStore
from mloscope.app.cache.result_cache import ResultCache
from mloscope.app.statistics.queries import Statistics
from mloscope.app.statistics.standard import OURS
from mloscope.app.statistics.stored.store import StatisticsStore
from mloscope.app.statistics.table import StatisticTable
from mloscope.app.statistics.values import course
from mloscope.app.web.rest.api import add_rest
from mloscope.app.web.services import Services
from mloscope.app.workspace.entries import CorpusEntry, RunEntry
from mloscope.app.workspace.workspace import Workspace
from mloscope.components.figures.statistic_course import statistic_course

PAGE = Path(__file__).parents[2] / "docs" / "adding_a_statistic.md"
STEPS, IMAGES, CLASSES = (0, 5, 20), 40, 10


def fenced(text: str) -> dict[str, str]:
    """The page's blocks by the name in their first line, ``# file: NAME``."""
    return dict(re.findall(r"^```\w+\n# file: (\S+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page's package as pip would install it: files, and a dist-info with the entry points of its pyproject.toml."""
    folder = tmp_path / "package"
    folder.mkdir()
    for name, text in fenced(PAGE.read_text()).items():
        (folder / name).write_text(text)
    about = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    info = folder / f"{about['name']}-{about['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {about['name']}\nVersion: {about['version']}\n")
    lines = [
        f"[{group}]\n" + "\n".join(f"{n} = {v}" for n, v in points.items())
        for group, points in about["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "macro_f1", raising=False)  # of the test before
    return folder


@pytest.fixture
def predictions() -> dict[int, np.ndarray]:
    """float32 (image, class) of each step; image 3 is not predicted at step 5."""
    random = np.random.default_rng(2)
    found = {step: random.dirichlet(np.full(CLASSES, 0.4), IMAGES).astype(np.float32) for step in STEPS}
    found[5][3] = np.nan
    return found


@pytest.fixture
def run(tmp_path: Path, keras_folder: Any, predictions: dict[int, np.ndarray]) -> Path:
    """A folder with a run, its images, and statistics of each checkpoint in a store of its own."""
    keras_folder(tmp_path / "run", STEPS)
    labels = np.arange(IMAGES) % CLASSES
    np.savez(tmp_path / "images.npz", x_test=np.zeros((IMAGES, 8, 8), np.uint8), y_test=labels)
    statistics = opened(tmp_path)
    of = statistics.of("run")
    for checkpoint in of.opened_run.checkpoints:
        key = statistics.identity.step("run", checkpoint, "images", "test")
        unfinished = statistics.store.begin(key, {"images": IMAGES, "classes": CLASSES}, labels)
        unfinished.write(0, IMAGES, predictions[checkpoint.step])
        unfinished.finish()
    return tmp_path


def opened(folder: Path, table: StatisticTable | None = None) -> Statistics:
    workspace = Workspace.connect([RunEntry(folder / "run", "run")], [CorpusEntry(folder / "images.npz", "images")])
    return Statistics(workspace, StatisticsStore(folder / "cache"), table=table)


def expected(probabilities: np.ndarray) -> float:
    """Macro F1 class by class, as its textbook says."""
    actual = np.arange(IMAGES) % CLASSES
    predicted = np.where(np.isnan(probabilities[:, 0]), -1, np.nan_to_num(probabilities).argmax(axis=1))
    scores = []
    for number in range(CLASSES):
        right = np.count_nonzero((actual == number) & (predicted == number))
        wrong = np.count_nonzero((actual == number) != (predicted == number))
        scores.append(2 * right / (2 * right + wrong))
    return float(np.mean(scores))


class NothingIsEvaluated:
    """A model service that must not be asked."""

    def evaluate(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("a derived statistic evaluated the network")


def installed(project: Path) -> StatisticTable:
    points = PathDistribution(next(project.glob("*.dist-info"))).entry_points.select(group=STATISTICS.name)
    return StatisticTable(OURS, points)


def test_one_file_and_its_registration_are_the_package() -> None:
    assert set(fenced(PAGE.read_text())) == {"macro_f1.py", "pyproject.toml", "test_macro_f1.py"}


def test_rest_and_chart_show_it_without_an_evaluation(project: Path, run: Path, predictions: Any) -> None:
    statistics = opened(run, installed(project))
    services = Services.of(
        statistics.workspace, ResultCache(MemoryStore(1 << 20)), NothingIsEvaluated(), statistics=statistics
    )
    server = FastAPI()
    add_rest(server, services)
    client = TestClient(server)
    listed = client.get("/api/v1/statistics").json()
    assert listed["problems"] == []
    assert [each["package"] for each in listed["statistics"] if each["name"] == "macro_f1"] == ["macro-f1"]
    told = client.get("/api/v1/runs/run/statistics/values/macro_f1").json()
    wanted = [expected(predictions[step]) for step in STEPS]
    assert told["steps"] == list(STEPS)
    assert [row[0] for row in told["values"]] == pytest.approx(wanted)
    found = course(statistics.of("run"), "macro_f1")
    figure = statistic_course(
        found.at([*STEPS, 30]), found.names, ["0", "5", "20", "30"],
        title=found.statistic.title, unit=found.statistic.unit, theme="light",
    )  # fmt: skip
    assert figure.data[0].name == "macro F1"
    np.testing.assert_allclose(figure.data[0].y, [*wanted, np.nan])
    assert sorted(path.name for path in (run / "cache" / "statistics" / "derived").iterdir()) == ["macro_f1-1"]


def python(project: Path, *arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "PYTHONPATH": str(project), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment}
    return subprocess.run([sys.executable, *arguments], cwd=cwd, env=variables, capture_output=True, text=True)


def test_the_page_s_command_exports_it(project: Path, run: Path, predictions: Any) -> None:
    (command,) = re.findall(r"^```sh\n(.*?)\n```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    words = shlex.split(command)
    code = (
        "import sys\nfrom mloscope.app.commands.cli import main\nstatus = main(sys.argv[1:])\n"
        "assert 'keras' not in sys.modules\nsys.exit(status)"
    )
    answer = python(project, "-c", code, *words[1:], cwd=run, MLOSCOPE_CACHE_FOLDER=str(run / "cache"))
    assert answer.returncode == 0, answer.stderr
    rows = list(csv.DictReader(io.StringIO(answer.stdout)))
    assert [int(row["step"]) for row in rows] == list(STEPS)
    assert [float(row["macro_f1"]) for row in rows] == pytest.approx([expected(predictions[step]) for step in STEPS])


def test_the_page_s_own_test_passes(project: Path) -> None:
    answer = python(project, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_macro_f1.py", cwd=project)
    assert answer.returncode == 0, answer.stdout
    assert "7 passed" in answer.stdout


def test_a_package_that_cannot_be_loaded_costs_no_other(project: Path) -> None:
    (project / "macro_f1.py").write_text("import missing_package\n")
    table = installed(project)
    assert [statistic.name for statistic in table] == [statistic.name for statistic in OURS]
    assert "missing_package" in table.problems["macro_f1"]


def test_a_name_that_is_taken_is_said(project: Path) -> None:
    file = project / "macro_f1.py"
    file.write_text(file.read_text().replace('name="macro_f1"', 'name="accuracy"'))
    table = installed(project)
    assert table.named("accuracy").package == "mloscope"
    assert "accuracy" in table.problems["macro_f1"]


def test_the_table_of_statistics_in_the_documentation_is_the_code_s() -> None:
    text = (PAGE.parent / "statistics.md").read_text()
    table = text.split("| name | of | unit | what it means |\n|---|---|---|---|\n")[1].split("\n\n")[0]
    assert table.splitlines() == [
        f"| `{each.name}` | {each.scope}, from {each.made_of} | {each.unit or '–'} | {each.help} |" for each in OURS
    ]
