"""Clusters fitted, and 60,000 images moving on the map of /clusters, in headless Chromium.

    python benchmarks/clusters.py [--json FILE]

Fitting is timed on probabilities that were made up: of a network that learns, with images that waver. Share of images that keep
their cluster: from one step to the next. The page is the real one over twenty steps of 60,000 such images; once it has loaded, time
is moved one checkpoint in every other animation frame, with pixels written by hand (what the page does where no graphics
processor draws) and with WebGL (which SwiftShader computes here). A frame counts when both canvas and rows name the step
that was wanted.
"""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import in_page
from figures import Figure, report
from scrubbing import BROWSER, ArrayRun, ArrayService, served

IMAGES, CLASSES = 60_000, 10
STEPS = tuple(range(0, 2000, 100))
FRAMES = 120

SCRUB = """async ([frames, count]) => {
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const rows = document.querySelector(".clusters").dataset;
  const map = document.querySelector(".points-canvas").dataset;
  const times = [];
  let wrong = 0;
  let last = await frame();
  for (let n = 0; n < frames; n += 1) {
    const turn = n % (2 * count - 2);
    time.request(turn < count ? turn : 2 * count - 2 - turn);
    await frame();
    const now = await frame();
    const step = String(time.step);
    if (rows.step !== step || map.step !== step || rows.state !== "ready" || map.state !== "ready") wrong += 1;
    times.push((now - last) / 2);
    last = now;
  }
  return { times, wrong };
}"""

DRAW = """async ([frames, count]) => {
  // What it takes to draw one frame, to the end: reading a pixel back waits for the drawing.
  const canvas = document.querySelector(".points-canvas");
  const times = [];
  for (let n = 0; n < frames; n += 1) {
    time.request(n % count);
    const gl = canvas.getContext("webgl2");
    await new Promise((resolve) => requestAnimationFrame(resolve));
    const from = performance.now();
    document.documentElement.dataset.theme = n % 2 ? "dark" : "light"; // draws map and rows again
    await Promise.resolve();
    if (gl) gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
    times.push(performance.now() - from);
  }
  return times;
}"""


def probabilities(images: int, classes: int, share: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """float32 (image, class) of a network that has learnt ``share`` of what it can, and the labels."""
    own = np.random.default_rng(seed)
    labels = own.integers(classes, size=images)
    scores = own.normal(size=(images, classes)).astype(np.float32) * 1.2
    scores += np.random.default_rng([seed, int(share * 1000)]).normal(size=scores.shape).astype(np.float32) * 0.3
    scores[np.arange(images), labels] += 6 * share
    scores *= 0.2 + share
    np.exp(scores, out=scores)
    return scores / scores.sum(axis=1, keepdims=True), labels


def fitting() -> list[Figure]:
    from mloscope.app.statistics.clusters.clustering import default_clusters
    from mloscope.app.statistics.clusters.image_map import map_run
    from mloscope.app.statistics.clusters.kmeans import cluster_step
    from mloscope.app.statistics.clusters.map_kinds import PCA
    from mloscope.app.statistics.clusters.points import points_of
    from mloscope.app.statistics.stored.store import StatisticsStore

    figures = []
    folder = Path(tempfile.mkdtemp(prefix="mloscope-clusters-"))
    try:
        store = StatisticsStore(folder)
        for images, classes in ((10_000, 10), (50_000, 10), (50_000, 1000)):
            before, times, kept = None, [], []
            k = default_clusters(classes)
            for number, share in enumerate((0.1, 0.4, 0.6, 0.8)):
                found, labels = probabilities(images, classes, share)
                unfinished = store.begin(f"{images}-{classes}-{number}", {"images": images, "classes": classes}, labels)
                unfinished.write(0, images, found)
                plane = unfinished.finish()
                start = time.perf_counter()
                now = cluster_step(points_of(plane), np.asarray(plane.predicted) >= 0, k, 0, before)
                times.append(time.perf_counter() - start)
                if before is not None:
                    kept.append(float((now.assignment == before.assignment).mean()))
                before = now
            name = f"{images:,} x {classes:,} ({plane.form}), {k} clusters"
            planes = [store.find(f"{images}-{classes}-{number}") for number in range(4)]
            start = time.perf_counter()
            map_run(store, PCA, planes)
            project = (time.perf_counter() - start) / len(planes)
            figures += [
                Figure(f"{name}: first step", times[0], "s"),
                Figure(f"{name}: a later step, median", statistics.median(times[1:]), "s"),
                Figure(f"{name}: map, each step", project, "s"),
                Figure(f"{name}: images that keep their cluster, last two steps", kept[-1] * 100, "%"),
            ]
    finally:
        shutil.rmtree(folder)
    return figures


class TenClasses(ArrayRun):
    def __init__(self) -> None:
        super().__init__()
        self._checkpoints = tuple(c for c in self._checkpoints if c.step in STEPS)


def serve(listener: socket.socket, images: Path, cache: Path) -> None:
    import uvicorn

    from mloscope.adaptors.registry import open_corpus
    from mloscope.app.cache.memory_store import MemoryStore
    from mloscope.app.cache.result_cache import ResultCache
    from mloscope.app.process.settings import Settings
    from mloscope.app.statistics.clusters.clustering import cluster_run
    from mloscope.app.statistics.queries import Statistics
    from mloscope.app.statistics.stored.store import StatisticsStore
    from mloscope.app.web.server import create_app
    from mloscope.app.web.services import Services
    from mloscope.app.workspace.connected import ConnectedCorpus, ConnectedRun
    from mloscope.app.workspace.workspace import Workspace

    workspace = Workspace(
        [ConnectedRun("arrays", Path("arrays"), TenClasses())], [ConnectedCorpus("noise", images, open_corpus(images))]
    )
    answers = Statistics(workspace, StatisticsStore(cache))
    split = answers.of("arrays").split
    planes = []
    for number, checkpoint in enumerate(workspace.opened_run("arrays").checkpoints):
        found, labels = probabilities(IMAGES, CLASSES, number / len(STEPS))
        key = answers.identity.step("arrays", checkpoint, "noise", split)
        unfinished = answers.store.begin(key, {"images": IMAGES, "classes": CLASSES}, labels)
        unfinished.write(0, IMAGES, found)
        planes.append((checkpoint.step, unfinished.finish()))
    cluster_run(answers.store, answers.identity.series("arrays", "noise", split), planes)
    services = Services.of(workspace, ResultCache(MemoryStore(64 << 20)), ArrayService(), statistics=answers)
    app = create_app(services, Settings.from_environment({}))
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


def moving(browser: Any, address: str, kind: str) -> list[Figure]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, bypass_csp=True)
    page = context.new_page()
    if kind == "webgl":  # the page itself would do without where no graphics processor draws
        page.add_init_script(
            "const get = WebGL2RenderingContext.prototype.getExtension;"
            "WebGL2RenderingContext.prototype.getExtension = function (name) {"
            " return name === 'WEBGL_debug_renderer_info' ? null : get.call(this, name); };"
        )
    requests: list[str] = []
    page.goto(f"{address}/clusters")
    in_page.wait(
        page,
        """(count) => {
          const map = document.querySelector(".points-canvas");
          if (!map || map.dataset.state !== "ready") return false;
          const data = clusters.of(statistics.open(subject, view.get().split));
          return data.isLoaded && data.rowChunks.loaded === count;
        }""",
        len(STEPS),
        timeout_s=180,
    )
    drawn = page.get_attribute(".points-canvas", "data-renderer")
    assert drawn == kind, f"the map is drawn with {drawn}"
    page.wait_for_timeout(2000)  # charts and pictures
    page.on("request", lambda request: requests.append(request.url))
    in_page.evaluate(page, "time.hold()")  # as a hand does that drags the slider
    seen = in_page.evaluate(page, SCRUB, [FRAMES, len(STEPS)])
    asked = len(requests)
    drawing = in_page.evaluate(page, DRAW, [40, len(STEPS)])
    context.close()
    times = sorted(seen["times"])
    many = f"{IMAGES:,} images, {kind}"
    # Pixels are what people without a graphics processor get; WebGL is here computed by the processor and is told without bound.
    bound = (">=", 30.0) if kind == "pixels" else ("", None)
    return [
        Figure(f"{many}: frames a second, median", 1000 / statistics.median(times), "fps", *bound),
        Figure(f"{many}: frame, 95th percentile", times[int(len(times) * 0.95)], "ms"),
        Figure(f"{many}: drawing map and rows, median", statistics.median(drawing), "ms"),
        Figure(f"{many}: frames of another step than wanted", seen["wrong"], "", "<=", 0),
        Figure(f"{many}: requests while time moves", asked, "", "<=", 0),
    ]


def main() -> None:
    from playwright.sync_api import sync_playwright

    figures = fitting()
    folder = Path(tempfile.mkdtemp(prefix="mloscope-clusters-"))
    images = folder / "images.npz"
    pixels = np.random.default_rng(0).integers(0, 255, (IMAGES, 8, 8), np.uint8)
    np.savez(images, images=pixels, labels=probabilities(IMAGES, CLASSES, 0)[1])
    try:
        with served(serve, images, folder) as address, sync_playwright() as playwright:
            wait_for(address)
            browser = playwright.chromium.launch(
                executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"),
                args=[*(a for a in BROWSER if a != "--disable-gpu"), "--enable-unsafe-swiftshader"],
            )
            for kind in ("pixels", "webgl"):
                figures += moving(browser, address, kind)
            browser.close()
    finally:
        shutil.rmtree(folder)
    report("clusters", figures)


def wait_for(address: str, seconds: float = 180) -> None:
    from urllib.request import urlopen

    for attempt in itertools.count():
        try:
            urlopen(f"{address}/api/v1/runs", timeout=5).close()
            return
        except OSError:
            if attempt > seconds * 5:
                raise
            time.sleep(0.2)


if __name__ == "__main__":
    main()
