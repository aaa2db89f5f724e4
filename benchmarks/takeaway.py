"""What is taken away: a film as MP4, and a view as one HTML file, opened from a disk and scrubbed in headless Chromium.

    python benchmarks/takeaway.py [--json FILE]

The film has 41 steps of 32 maps of 28 x 28, its frames in the cache, as after it was looked at. The file is opened anew for each round;
it counts as open when both films are drawn. Then the slider is moved in each animation frame, as a hand does, and counted is how
often a frame came in which the canvas shows the wanted step.
"""

from __future__ import annotations

import io
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from array_run import ArrayRun, ArrayService
from figures import Figure, report

STEPS = tuple(range(0, 4100, 100))
ROUNDS = 5
BROWSER = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
OPENED = """() => Promise.all(["parameters", "features"].map((kind) => new Promise((opened) => {
  const look = () => document.querySelector(`#${kind}-canvas canvas[data-state=ready]`) ? opened() : setTimeout(look, 5);
  look();
}))).then(() => performance.now())"""
IDLE = """async () => {
  const began = performance.now();
  for (let count = 0; count < 60; count += 1) await new Promise(requestAnimationFrame);
  return 60 / ((performance.now() - began) / 1000);
}"""
SCRUBBED = """async () => {
  const range = document.getElementById("time-slider");
  const canvas = document.querySelector("#features-canvas canvas");
  const frame = () => new Promise(requestAnimationFrame);
  const began = performance.now();
  let shown = 0;
  for (let move = 0; move < 120; move += 1) {
    range.value = String(move % (Number(range.max) + 1));
    range.dispatchEvent(new Event("input", { bubbles: true }));
    const before = canvas.dataset.step;
    await frame();
    await new Promise((painted) => { const channel = new MessageChannel(); channel.port1.onmessage = painted; channel.port2.postMessage(0); });
    shown += canvas.dataset.step !== before;
  }
  return { frames: 120 / ((performance.now() - began) / 1000), shown: shown / 120 };
}"""  # noqa: E501


def run() -> ArrayRun:
    """A convolution of 32 units and a classifier."""
    from mloscope.adaptors.interface import Layer, Parameter

    axes = ("row", "column", "channel", "unit")
    layers = (
        Layer("image", "input", (), (28, 28, 1)),
        Layer("conv", "convolution", ("image",), (28, 28, 32), (Parameter("kernel", (5, 5, 1, 32), axes),)),
        Layer("classes", "dense", ("conv",), (10,), (), {"activation": "softmax"}, "Dense"),
    )
    return ArrayRun(
        STEPS, layers, lambda step, layer: {each.name: noise(step, each.shape) for each in layer.parameters}
    )


def noise(step: int, shape: Sequence[int]) -> np.ndarray:
    return np.random.default_rng(step).normal(size=shape).astype(np.float32)


OUTPUTS = {"conv": lambda step: noise(step, (28, 28, 32)), "classes": lambda step: np.full(10, 0.1, np.float32)}


def server(images: Path) -> Any:
    """The REST API over the run, as a client of it."""
    from fastapi import FastAPI
    from starlette.testclient import TestClient

    from mloscope.adaptors.registry import open_corpus
    from mloscope.app.cache.memory_store import MemoryStore
    from mloscope.app.cache.result_cache import ResultCache
    from mloscope.app.web.rest.api import add_rest
    from mloscope.app.web.services import Services
    from mloscope.app.workspace.connected import ConnectedCorpus, ConnectedRun
    from mloscope.app.workspace.workspace import Workspace

    workspace = Workspace(
        [ConnectedRun("arrays", Path("arrays"), run())], [ConnectedCorpus("noise", images, open_corpus(images))]
    )
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    add_rest(app, Services.of(workspace, ResultCache(MemoryStore(256 << 20)), ArrayService(OUTPUTS)))
    return TestClient(app)


def seconds_of_film(client: Any) -> list[float]:
    """How long an MP4 takes, again and again."""
    import av

    address = "/api/v1/runs/arrays/layers/conv/film.mp4?show=features&image=test-0"
    client.get(address)
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        answer = client.get(address)
        taken.append(time.perf_counter() - began)
    with av.open(io.BytesIO(answer.content)) as film:
        assert sum(1 for _ in film.decode(video=0)) == len(STEPS)
    return taken


def in_a_browser(file: Path) -> tuple[list[float], list[float], list[dict[str, float]]]:
    """Seconds from asking for the file until both films are drawn, frames of the idle page per second, and how scrubbing went."""
    from playwright.sync_api import sync_playwright

    opened, idle, scrubbed = [], [], []
    with sync_playwright() as playwright:
        program = shutil.which("chromium-headless-shell") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=program, args=BROWSER)
        for _ in range(ROUNDS):
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(file.as_uri(), wait_until="commit")
            opened.append(page.evaluate(OPENED) / 1000)
            idle.append(page.evaluate(IDLE))
            scrubbed.append(page.evaluate(SCRUBBED))
            page.close()
        browser.close()
    return opened, idle, scrubbed


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "images.npz"
        np.savez(images, x_test=np.zeros((2, 28, 28), np.uint8), y_test=np.zeros(2, np.int64))
        client = server(images)
        films = seconds_of_film(client)
        page = client.get(
            "/api/v1/runs/arrays/layers/conv/page.html", params={"image": "test-0", "hash": "layer=conv&image=test-0"}
        )
        assert page.status_code == 200, page.text
        file = Path(folder) / "view.html"
        file.write_bytes(page.content)
        opened, idle, scrubbed = in_a_browser(file)
    moved = [each["frames"] / bare for each, bare in zip(scrubbed, idle, strict=True)]
    figures = [
        Figure("film of 41 steps of 32 units as MP4", statistics.median(films), "s", "<=", 2.0),
        Figure("one-file page, size", len(page.content) / 1e6, "MB"),
        Figure("one-file page, opened", statistics.median(opened), "s", "<=", 1.0),
        Figure("frames of the page at rest", statistics.median(idle), "/s"),
        Figure("frames while scrubbing, as a share of those at rest", statistics.median(moved), "", ">=", 0.95),
        Figure("moves shown in their frame", statistics.median(each["shown"] for each in scrubbed), "", ">=", 0.95),
    ]
    report("take-away", figures)


if __name__ == "__main__":
    main()
