"""Dragging time on the compare page in headless Chromium: both sides and their difference, 2 x 256 maps of 27x27.

    python benchmarks/comparison.py [--json FILE]

The page is the real one, over two runs of 100 checkpoints made of arrays, in a process of its own. A move counts as painted
when all three canvases name the wanted step, in the first MessageChannel task after an animation frame; it is timed from the
pointer event of a real mouse move over the slider. B goes along with A (the same step of the other run), so that two films
and the difference of both change with every move.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import in_page
from figures import Figure, report
from scrubbing import BROWSER, PROBE, STEPS, ArrayRun, maps, served

ROUNDS, MOVES = 5, 40
VIEW = "#compare-show=features&compare-mode=difference&b-run=others&layer=conv2&image=all-0"


class TwoRuns:
    """Stands for the model service: the second run is some way ahead of the first."""

    def evaluate(
        self, spec: Any, steps: Sequence[int], layers: Sequence[str], image: np.ndarray, priority: int = 0
    ) -> Any:
        from mloscope.app.model_service.client import Evaluation

        ahead = 700 if spec.path.endswith("others") else 0
        outputs = {
            "conv1": lambda step: np.full((55, 55, 96), step, np.float32),
            "conv2": lambda step: maps(step + ahead),
            "classes": lambda step: np.full(10, 0.1, np.float32),
        }
        return Evaluation({name: np.stack([outputs[name](step) for step in steps]) for name in layers}, steps, {})


def serve_comparison(listener: socket.socket, images: Path) -> None:
    import uvicorn

    from mloscope.adaptors.registry import open_corpus
    from mloscope.app.cache.memory_store import MemoryStore
    from mloscope.app.cache.result_cache import ResultCache
    from mloscope.app.process.settings import Settings
    from mloscope.app.web.server import create_app
    from mloscope.app.web.services import Services
    from mloscope.app.workspace.connected import ConnectedCorpus, ConnectedRun
    from mloscope.app.workspace.workspace import Workspace

    class Ahead(ArrayRun):
        def fingerprint(self, checkpoint: Any) -> str:
            return f"ahead{checkpoint.step:x}"

    workspace = Workspace(
        [ConnectedRun("arrays", Path("arrays"), ArrayRun()), ConnectedRun("others", Path("others"), Ahead())],
        [ConnectedCorpus("noise", images, open_corpus(images))],
    )
    services = Services.of(workspace, ResultCache(MemoryStore(512 << 20)), TwoRuns())
    app = create_app(services, Settings.from_environment({}))
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


WATCH = """() => {
  const slider = document.getElementById("time-slider");
  const canvases = [...document.querySelectorAll(".compare-film canvas.film-canvas")];
  const shown = (step) => canvases.every(({ dataset }) => dataset.state === "ready" && dataset.step === step);
  window.times = [];
  let moved = 0;
  let waiting = null;
  window.addEventListener("pointermove", (event) => (moved = event.timeStamp), true);
  slider.addEventListener("input", () => {
    const from = moved;
    const step = String(time.checkpoints[slider.value].step);
    waiting = painted(() => shown(step)).then((at) => times.push(at - from));
  });
  // Until the move to this position has come and been painted on all three.
  window.arrived = async (index) => {
    while (Number(slider.value) !== index) await new Promise((resolve) => setTimeout(resolve, 2));
    await waiting;
  };
}"""

LOADED = """() => {
  const films = [...document.querySelectorAll(".compare-film")];
  return films.length === 3 && films.every((film) => film.querySelector("canvas.film-canvas[data-state=ready]")
    && !/loaded|compared/.test(film.querySelector(".film-status").textContent));
}"""


def drag(page: Any, moves: int, pause: random.Random) -> list[float]:
    """Milliseconds from pointer to paint of each move."""
    box = page.locator("#time-slider").bounding_box()
    at = lambda index: box["x"] + 8 + (box["width"] - 16) * index / (len(STEPS) - 1)  # noqa: E731
    middle, index = box["y"] + box["height"] / 2, 50
    page.mouse.move(at(index), middle)
    page.mouse.down()
    page.wait_for_timeout(200)
    page.evaluate("() => { times.length = 0; }")
    direction = 1
    for _ in range(moves):
        direction = 1 if index < 4 else -1 if index > len(STEPS) - 5 else direction
        index += direction * pause.randint(1, 3)
        page.mouse.move(at(index), middle)
        page.evaluate("index => arrived(index)", index)
        time.sleep(pause.uniform(0.005, 0.03))
    page.wait_for_timeout(300)
    times = page.evaluate("() => times")
    return times


def measure() -> list[Figure]:
    from playwright.sync_api import sync_playwright

    pause = random.Random(3)
    chromium = "/usr/bin/chromium" if os.path.exists("/usr/bin/chromium") else shutil.which("chromium")
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "noise.npz"
        pixels = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), np.uint8)
        np.savez(images, images=pixels, labels=np.arange(20) % 10)
        with (
            served(serve_comparison, images) as address,
            sync_playwright() as playwright,
            playwright.chromium.launch(executable_path=chromium, args=BROWSER) as browser,
        ):
            page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
            requests: list[str] = []
            page.on("request", lambda request: requests.append(request.url))
            page.goto(f"{address}/compare{VIEW}")
            in_page.evaluate(page, PROBE)
            in_page.wait(page, LOADED, timeout_s=180)
            page.wait_for_timeout(2000)  # charts beside it
            in_page.evaluate(page, WATCH)
            drag(page, 5, pause)
            page.mouse.up()
            page.wait_for_timeout(1500)
            times: list[float] = []
            requested: list[str] = []
            for _ in range(ROUNDS):
                requests.clear()
                times += drag(page, MOVES, pause)
                requested += requests
                page.mouse.up()
                page.wait_for_timeout(1500)
        for url in requested:
            print(f"requested while dragging: {url}", file=sys.stderr)
    return [
        Figure("both sides and the difference: pointer move to painted, median", statistics.median(times), "ms", "<=", 16),
        Figure("both sides and the difference: pointer move to painted, 95th percentile", float(np.percentile(times, 95)), "ms"),
        Figure("moves measured", len(times), ""),
        Figure("requests while dragging", len(requested), "", "<=", 0),
    ]  # fmt: skip


if __name__ == "__main__":
    report("comparison", measure())
