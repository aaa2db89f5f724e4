"""The confusion page of 10 and of 1,000 classes at 100 checkpoints, in headless Chromium.

    python benchmarks/confusion.py [--json FILE]

The dashboard is the real one, over a run of arrays and a statistics store, in a process of its own. Of the 1,000 classes' checkpoints ten
differ and take turns; the browser and the server treat them as 100. A step counts as painted in the first MessageChannel task after
an animation frame in which the canvas names it, and is timed from the pointer event of a real mouse over the slider. Images of a cell
are timed from the pointer event over the cell until all thumbnails on the card are decoded.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import statistics
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import in_page
from figures import Figure, report
from scrubbing import BROWSER, PROBE, STEPS, ArrayRun, ArrayService, served

ROUNDS, MOVES, CELLS, ASKED = 4, 30, 25, 40
CASES = {"10 classes": ("ten", 10, 10_000, 100, 16), "1,000 classes": ("thousand", 1000, 50_000, 10, 50)}
"""Name of run and corpus, classes, images, checkpoints that differ, asked milliseconds for a step."""
FIRST_VIEW = {"10 classes": (), "1,000 classes": ("<=", 500)}
SLICE = 5000

WATCH = """() => {
  const slider = document.getElementById("time-slider");
  const canvas = document.querySelector(".confusion-canvas");
  window.times = [];
  let moved = 0;
  let waiting = null;
  window.addEventListener("pointermove", (event) => (moved = event.timeStamp), true);
  slider.addEventListener("input", () => {
    const from = moved;
    const step = String(time.checkpoints[slider.value].step);
    waiting = painted(() => canvas.dataset.state === "ready" && canvas.dataset.step === step).then((at) => times.push(at - from));
  });
  window.arrived = async (index) => {
    while (Number(slider.value) !== index) await new Promise((resolve) => setTimeout(resolve, 2));
    await waiting;
  };
  // From the pointer's arrival over a cell to the last thumbnail on the card; noted here, for whoever asks later.
  const card = document.querySelector(".confusion-card");
  const seen = new Map();
  setInterval(() => {
    const [cell] = [(card.dataset.sampled || "").split(",").slice(0, 2).join()];
    const images = [...card.querySelectorAll("img")];
    if (cell && !seen.has(cell) && images.length && images.every((image) => image.complete)) seen.set(cell, performance.now() - moved);
  }, 1);
  window.sampled = async (cell) => {
    while (!seen.has(cell)) await new Promise((resolve) => setTimeout(resolve, 5));
    return seen.get(cell);
  };
}"""


def probabilities(rng: np.random.Generator, actual: np.ndarray, classes: int, learnt: float) -> np.ndarray:
    """float32 (image, class): the more is learnt, the more often the class itself, else one near it, is the likeliest."""
    scores = rng.random((len(actual), classes), np.float32)
    near = (actual + rng.geometric(0.2, len(actual))) % classes
    anything = rng.integers(0, classes, len(actual))
    likeliest = np.where(
        rng.random(len(actual)) < learnt, np.where(rng.random(len(actual)) < learnt, actual, near), anything
    )
    scores[np.arange(len(actual)), likeliest] += classes * rng.random(len(actual), np.float32) + 1
    return scores / scores.sum(1, keepdims=True)


def fill(cache: Path, corpora: dict[str, Path]) -> None:
    """Statistics of both runs, recorded as imports of every checkpoint."""
    from mloscope.app.statistics.identity import Identity
    from mloscope.app.statistics.stored.store import StatisticsStore

    store, identity = StatisticsStore(cache), Identity(workspace_of(corpora))
    for run, classes, images, different, _ in CASES.values():
        rng = np.random.default_rng(classes)
        actual = np.arange(images, dtype=np.int32) % classes
        series = identity.series(run, run, "test")
        for number in range(different):
            plane = store.begin(f"{classes:032x}{number:032x}", {"images": images, "classes": classes}, actual)
            for start in range(0, images, SLICE):
                stop = min(images, start + SLICE)
                plane.write(
                    start, stop, probabilities(rng, actual[start:stop], classes, 0.05 + 0.85 * number / different)
                )
            plane.finish()
        for index, step in enumerate(STEPS):
            number = index * different // len(STEPS) if different == len(STEPS) else index % different
            store.record_import(series, step, f"{classes:032x}{number:032x}")


def workspace_of(corpora: dict[str, Path]) -> Any:
    from mloscope.adaptors.registry import open_corpus
    from mloscope.app.workspace.connected import ConnectedCorpus, ConnectedRun
    from mloscope.app.workspace.workspace import Workspace

    return Workspace(
        [ConnectedRun(name, Path(name), ArrayRun()) for name in corpora],
        [ConnectedCorpus(name, path, open_corpus(path)) for name, path in corpora.items()],
    )


def services_of(cache: Path, corpora: dict[str, Path]) -> Any:
    from mloscope.app.cache.memory_store import MemoryStore
    from mloscope.app.cache.result_cache import ResultCache
    from mloscope.app.statistics.queries import Statistics
    from mloscope.app.statistics.stored.store import StatisticsStore
    from mloscope.app.web.services import Services

    workspace = workspace_of(corpora)
    kept = Statistics(workspace, StatisticsStore(cache))
    return Services.of(workspace, ResultCache(MemoryStore(64 << 20)), ArrayService(), statistics=kept)


def serve(listener: socket.socket, cache: Path, corpora: dict[str, Path]) -> None:
    import uvicorn

    from mloscope.app.process.settings import Settings
    from mloscope.app.web.server import create_app

    app = create_app(services_of(cache, corpora), Settings.from_environment({}))
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


def first_view_ms(address: str, run: str) -> tuple[float, dict[str, Any]]:
    """What the server takes to answer all that the first picture needs: overview and the last step's chunk of counts. Also the overview."""
    begin = time.perf_counter()
    overview = json.loads(read(f"{address}/api/v1/runs/{run}/statistics?corpus={run}"))
    chunk = next(chunk for chunk in overview["confusions"] if STEPS[-1] in chunk["steps"])
    read(address + chunk["address"])
    return (time.perf_counter() - begin) * 1000, overview


def read(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:
        return answer.read()


def course_ms(cache: Path, corpora: dict[str, Path], run: str) -> float:
    """The chart of accuracy and recall, as its callback makes it the first time."""
    from mloscope.app.web.dash.pages.confusion import Confusion

    checkpoints = [{"step": step, "label": str(step)} for step in STEPS]
    page = Confusion(services_of(cache, corpora))
    begin = time.perf_counter()
    page.draw_course(
        {"run": run, "corpus": run, "checkpoints": checkpoints}, {"split": "", "actual": None}, None, "light"
    )
    return (time.perf_counter() - begin) * 1000


class ConfusionPage:
    """The page with all counts loaded."""

    def __init__(self, browser: Any, address: str, run: str) -> None:
        self.page = browser.new_context(viewport={"width": 1440, "height": 900}, bypass_csp=True).new_page()
        self.requests: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(f"{address}/confusion?run={run}&corpus={run}")
        in_page.evaluate(self.page, PROBE)
        in_page.wait(
            self.page,
            """() => { const s = confusion.statistics;
                return s && s.total === 100 && s.loaded === 100 && document.querySelector(".confusion-canvas[data-state=ready]"); }""",
            timeout_s=120,
        )
        self.page.wait_for_timeout(3000)
        in_page.evaluate(self.page, WATCH)

    def drag(self, moves: int, pause: random.Random) -> tuple[list[float], list[str]]:
        """Milliseconds from pointer to paint of each move, and what was requested while the pointer was down."""
        box = self.page.locator("#time-slider").bounding_box()
        at = lambda index: box["x"] + 8 + (box["width"] - 16) * index / (len(STEPS) - 1)  # noqa: E731
        middle, index = box["y"] + box["height"] / 2, 50
        self.page.mouse.move(at(index), middle)
        self.page.mouse.down()
        self.page.wait_for_timeout(300)
        self.page.evaluate("() => { times.length = 0; }")
        self.requests.clear()
        direction = 1
        for _ in range(moves):
            direction = 1 if index < 4 else -1 if index > len(STEPS) - 5 else direction
            index += direction * pause.randint(1, 3)
            self.page.mouse.move(at(index), middle)
            self.page.evaluate("index => arrived(index)", index)
            time.sleep(pause.uniform(0.005, 0.03))
        self.page.wait_for_timeout(300)
        requested = list(self.requests)
        times = self.page.evaluate("() => times")
        self.page.mouse.up()
        self.page.wait_for_timeout(600)
        return times, requested

    def settle(self) -> None:
        in_page.evaluate(self.page, "() => time.requestStep(time.checkpoints.at(-1).step)")
        self.page.wait_for_timeout(1500)

    def sample(self, classes: int, pause: random.Random) -> float:
        """Milliseconds until the images of a cell that has some are seen."""
        cell = in_page.evaluate(
            self.page,
            """([start]) => { const { matrix, statistics, order, columnOrder } = confusion; const g = matrix.geometry();
            const step = statistics.step(time.index); const at = Math.floor(start * step.cells.length);
            const actual = Math.floor(step.cells[at] / (step.classes + 1)), predicted = step.cells[at] % (step.classes + 1);
            const box = matrix.stage.getBoundingClientRect();
            return { name: `${actual},${predicted}`, x: box.x + g.left + (confusion.columnPlace[predicted] + 0.5) * g.acrossPx,
                     y: box.y + g.top + (confusion.place[actual] + 0.5) * g.downPx }; }""",
            [pause.random()],
        )
        self.page.mouse.move(5, 5)
        self.page.wait_for_timeout(300)  # the images of the cell before have come
        self.page.mouse.move(cell["x"], cell["y"])
        # Where cells are smaller than a pixel, the mouse may lie over a neighbour.
        over = self.page.wait_for_function(
            "() => document.querySelector('.confusion-card:not([hidden])')?.dataset.cell"
        ).json_value()
        has = self.page.evaluate("() => !document.querySelector('.confusion-card-fact').textContent.startsWith('0 ')")
        return self.page.evaluate("cell => sampled(cell)", over) if has else float("nan")


def measure() -> list[Figure]:
    from playwright.sync_api import sync_playwright

    pause = random.Random(3)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        cache, corpora = Path(folder) / "cache", {}
        for run, classes, images, _, _ in CASES.values():
            corpora[run] = Path(folder) / f"{run}.npz"
            pixels = np.random.default_rng(0).integers(0, 256, (images, 16, 16, 3), np.uint8)
            np.savez(corpora[run], x_test=pixels, y_test=np.arange(images) % classes)
        fill(cache, corpora)
        chromium = "/usr/bin/chromium" if os.path.exists("/usr/bin/chromium") else shutil.which("chromium")
        with (
            served(serve, cache, corpora) as address,
            sync_playwright() as playwright,
            playwright.chromium.launch(executable_path=chromium, args=BROWSER) as browser,
        ):
            read(f"{address}/api/v1/runs")
            for name, (run, classes, _, _, asked_ms) in CASES.items():
                first, overview = first_view_ms(address, run)
                course = course_ms(cache, corpora, run)
                cells = [(pause.randrange(classes), pause.randrange(classes)) for _ in range(ASKED // 2)]
                cells += [(number, number) for number, _ in cells]
                answers = []
                for actual, predicted in cells:
                    begin = time.perf_counter()
                    read(
                        f"{address}/api/v1/runs/{run}/checkpoints/{STEPS[-1]}/confusion/{actual}/{predicted}?corpus={run}&limit=12"
                    )
                    answers.append((time.perf_counter() - begin) * 1000)
                page = ConfusionPage(browser, address, run)
                page.drag(5, pause)
                dragged: list[float] = []
                requested: list[str] = []
                for _ in range(ROUNDS):
                    times, urls = page.drag(MOVES, pause)
                    dragged += times
                    requested += urls
                for url in requested:
                    print(f"requested while dragging: {url}", file=sys.stderr)
                page.settle()
                seen = [page.sample(classes, pause) for _ in range(CELLS)]
                seen = [value for value in seen if value == value]
                page.page.context.close()
                chunks = sum(len(read(address + chunk["address"])) for chunk in overview["confusions"])
                figures += [
                    Figure(
                        f"{name}: pointer move to painted, median", statistics.median(dragged), "ms", "<=", asked_ms
                    ),
                    Figure(
                        f"{name}: pointer move to painted, 95th percentile", float(np.percentile(dragged, 95)), "ms"
                    ),
                    Figure(f"{name}: moves measured", len(dragged), ""),
                    Figure(f"{name}: requests while dragging", len(requested), "", "<=", 0),
                    Figure(f"{name}: first view, server's answers (overview, counts)", first, "ms", *FIRST_VIEW[name]),
                    Figure(f"{name}: chart of accuracy and recall, first time", course, "ms"),
                    Figure(
                        f"{name}: pointer over a cell to its images seen, median",
                        statistics.median(seen),
                        "ms",
                        "<=",
                        100,
                    ),
                    Figure(
                        f"{name}: images of a cell asked of the server, median",
                        statistics.median(answers),
                        "ms",
                        "<=",
                        100,
                    ),
                    Figure(f"{name}: cells pointed at", len(seen), ""),
                    Figure(f"{name}: counts of all checkpoints", chunks / 2**20, "MB"),
                ]
    return figures


if __name__ == "__main__":
    report("confusion matrix", measure())
