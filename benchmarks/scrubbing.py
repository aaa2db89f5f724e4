"""Dragging and playing through a 100-checkpoint run in headless Chromium, beside a Dash app that draws with px.imshow.

    python benchmarks/scrubbing.py [--json FILE]

The dashboard is the real one, over a run, images and a model service made of arrays, in a process of its own; so is the
Dash app. Both lie open in one browser and take turns. A frame counts as painted in the first MessageChannel task after
an animation frame in which the canvas names the wanted step (Dash: the first animation frame after plotly_afterplot of
another picture). Both are timed from the pointer event of a real mouse move over their slider, Dash also from the mere
change of its slider's value by a script.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import random
import shutil
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import in_page
from array_run import ArrayRun, ArrayService
from figures import Figure, report

STEPS = tuple(range(0, 10_000, 100))
ROUNDS, MOVES, CALLBACKS = 5, 40, 10
PLAYED, PLAY_S = 4, 4.0
BROWSER = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
FILTERS, MAPS = (11, 11, 3, 96), (27, 27, 256)
CASES = (("filters", "parameters", "layer=conv1"), ("maps", "features", "layer=conv2"))
PANE = {"width": "720px", "height": "560px"}
"""About the room that the dashboard gives its film in a window of 1440 x 900."""


# ------------------------------------------------------------------------------------------------- what is shown


def filters(step: int) -> np.ndarray:
    """float32 (row, column, channel, unit): waves that grow out of noise."""
    row, column, unit = np.mgrid[-1:1:11j, -1:1:11j, 0:96]
    bell = np.exp(-2 * (row**2 + column**2))
    wave = np.stack(
        [np.sin(5 * (row * np.cos(unit) + column * np.sin(unit)) + phase) * bell for phase in range(3)],
        axis=2,
    )
    noise = np.random.default_rng(step).normal(0, 0.3, FILTERS)
    learnt = step / (step + 2000)
    return (noise * (1.1 - learnt) + wave * learnt).astype(np.float32)


def maps(step: int) -> np.ndarray:
    """float32 (row, column, unit), not negative: what rectified feature maps look like."""
    row, column, unit = np.mgrid[0:27, 0:27, 0:256]
    return np.maximum(np.sin(row * 0.02 * unit + step / 900) * np.cos(column * 0.017 * unit - step / 1300), 0).astype(
        np.float32
    )


def run() -> ArrayRun:
    """Two convolutions and a classifier."""
    from mloscope.adaptors.interface import Layer, Parameter

    axes = ("row", "column", "channel", "unit")
    layers = (
        Layer("image", "input", (), (227, 227, 3)),
        Layer("conv1", "convolution", ("image",), (55, 55, 96), (Parameter("kernel", FILTERS, axes),)),
        Layer("conv2", "convolution", ("conv1",), MAPS, (Parameter("kernel", (5, 5, 96, 256), axes),)),
        Layer("classes", "dense", ("conv2",), (10,), (), {"activation": "softmax"}, "Dense"),
    )
    return ArrayRun(STEPS, layers, parameters)


def parameters(step: int, layer: Any) -> dict[str, np.ndarray]:
    if layer.name == "conv1":
        return {"kernel": filters(step)}
    if layer.name == "conv2":
        return {"kernel": np.full((5, 5, 96, 256), step, np.float32)}
    return {}


OUTPUTS = {
    "conv1": lambda step: np.full((55, 55, 96), step, np.float32),
    "conv2": maps,
    "classes": lambda step: np.full(10, 0.1, np.float32),
}


def serve_dashboard(listener: socket.socket, images: Path) -> None:
    import uvicorn

    from mloscope.adaptors.registry import open_corpus
    from mloscope.app.cache.memory_store import MemoryStore
    from mloscope.app.cache.result_cache import ResultCache
    from mloscope.app.process.settings import Settings
    from mloscope.app.web.server import create_app
    from mloscope.app.web.services import Services
    from mloscope.app.workspace.connected import ConnectedCorpus, ConnectedRun
    from mloscope.app.workspace.workspace import Workspace

    workspace = Workspace(
        [ConnectedRun("arrays", Path("arrays"), run())],
        [ConnectedCorpus("noise", images, open_corpus(images))],
    )
    services = Services.of(workspace, ResultCache(MemoryStore(256 << 20)), ArrayService(OUTPUTS))
    app = create_app(services, Settings.from_environment({}))
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


def serve_dash(listener: socket.socket) -> None:
    """What one would write without thinking: a slider, and a callback on the server that returns px.imshow."""
    import logging

    import plotly.express as px
    from dash import Dash, Input, Output, dcc, html
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    pictures: dict[str, list[np.ndarray]] = {"filters": [], "maps": []}
    span = max(float(np.abs(filters(step)).max()) for step in STEPS[::10])
    # Coloured beforehand: Plotly draws a picture several times as quickly as a heat map of so many values.
    colours = np.stack([np.linspace(68, 253, 256), np.linspace(1, 231, 256), np.linspace(84, 37, 256)], -1).astype(
        np.uint8
    )
    for step in STEPS:
        tiles = np.clip((filters(step) / span + 1) * 127.5, 0, 255).astype(np.uint8)
        pictures["filters"].append(mosaic(tiles.transpose(3, 0, 1, 2), 12))
        pictures["maps"].append(colours[mosaic(np.rint(maps(step) * 255).astype(np.uint8).transpose(2, 0, 1), 16)])
    app = Dash("px-imshow")
    app.layout = html.Div(
        [
            dcc.Slider(0, len(STEPS) - 1, 1, id=f"{name}-step", value=0, marks=None, updatemode="drag")
            for name in pictures
        ]
        + [dcc.Graph(id=f"{name}-picture", style=PANE) for name in pictures]
    )
    for name in pictures:

        @app.callback(Output(f"{name}-picture", "figure"), Input(f"{name}-step", "value"))
        def draw(index: int, name: str = name) -> Any:
            return px.imshow(pictures[name][index]).update_layout(meta=index)

    make_server("127.0.0.1", 0, app.server, threaded=True, fd=listener.fileno()).serve_forever()


def mosaic(tiles: np.ndarray, across: int) -> np.ndarray:
    """Tiles (unit, row, column, ...) side by side, ``across`` in each row of tiles, without gaps."""
    units, rows, columns, *rest = tiles.shape
    grid = tiles.reshape(units // across, across, rows, columns, *rest).swapaxes(1, 2)
    return np.ascontiguousarray(grid.reshape(units // across * rows, across * columns, *rest))


@contextmanager
def served(target: Any, *arguments: Any) -> Iterator[str]:
    """The address at which another process serves."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    process = multiprocessing.get_context("spawn").Process(target=target, args=(listener, *arguments), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        process.terminate()
        process.join(10)
        listener.close()


# ------------------------------------------------------------------------------------------------- in the browser

PROBE = """() => {
  window.painted = (isThere) => new Promise((resolve) => {
    const channel = new MessageChannel();
    const look = () => requestAnimationFrame(() => channel.port2.postMessage(0));
    channel.port1.onmessage = () => (isThere() ? resolve(performance.now()) : look());
    look();
  });
}"""

WATCH_SLIDER = """(show) => {
  const slider = document.getElementById("time-slider");
  window.drawn = () => document.querySelector(`[data-show="${show}"] canvas.film-canvas`).dataset;
  window.times = [];
  let moved = 0;
  let waiting = null;
  window.addEventListener("pointermove", (event) => (moved = event.timeStamp), true);
  slider.addEventListener("input", () => {
    const from = moved;
    const step = String(time.checkpoints[slider.value].step);
    waiting = painted(() => drawn().state === "ready" && drawn().step === step).then((at) => times.push(at - from));
  });
  // Until the move to this position has come and been painted.
  window.arrived = async (index) => {
    while (Number(slider.value) !== index) await new Promise((resolve) => setTimeout(resolve, 2));
    await waiting;
  };
}"""

DASH_WATCH = """() => {
  let moved = 0;
  window.addEventListener("pointermove", (event) => (moved = event.timeStamp), true);
  // To be called before the move; `result` is then how long it took until another picture than now was painted.
  window.arm = (name) => {
    const plot = document.querySelector(`#${name}-picture .js-plotly-plot`);
    const before = plot.layout.meta;
    window.result = new Promise((resolve) => {
      const after = () => {
        if (plot.layout.meta === before) return;
        plot.removeListener("plotly_afterplot", after);
        resolve(painted(() => true).then((at) => at - moved));
      };
      plot.on("plotly_afterplot", after);
    });
  };
}"""

DASH_STEP = """async ([name, index]) => {
  arm(name);
  const from = performance.now();
  let at = 0;
  const done = result.then(() => (at = performance.now()));
  dash_clientside.set_props(`${name}-step`, { value: index });
  await done;
  return at - from;
}"""

PLAY = """(ms) => new Promise((resolve) => {
  const shown = [];
  const begin = performance.now();
  // One sample for every animation frame: what the canvas holds is what that frame paints.
  const look = (now) => {
    if (drawn().state === "ready") shown.push([now, time.indexOf(Number(drawn().step))]);
    if (now - begin < ms) requestAnimationFrame(look);
    else resolve(shown);
  };
  requestAnimationFrame(look);
})"""


@dataclass
class Played:
    """What was seen while playing."""

    share: float
    """Checkpoints shown of those gone through, in percent."""
    rate: float
    """Checkpoints a second."""
    display: float
    """Animation frames per second of the browser on this machine, under its current load."""


class Film:
    """The dashboard in a page of its own, with one film loaded."""

    def __init__(self, browser: Any, address: str, show: str, view: str) -> None:
        self.page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        self.requests: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(f"{address}/#mode={show}&{view}")
        in_page.evaluate(self.page, PROBE)
        place = f'[data-show=\\"{show}\\"]'
        self.page.wait_for_function(
            f"""() => document.querySelector("{place} canvas.film-canvas[data-state=ready]")
                && !document.querySelector("{place} .film-status").textContent.includes("loaded")""",
            timeout=90_000,
        )
        self.page.wait_for_timeout(2000)  # charts and thumbnails beside it
        in_page.evaluate(self.page, WATCH_SLIDER, show)

    def drag(self, moves: int, pause: random.Random) -> tuple[list[float], list[str]]:
        """Milliseconds from pointer to paint of each move, and what was requested while the pointer was down."""
        box = self.page.locator("#time-slider").bounding_box()
        at = lambda index: box["x"] + 8 + (box["width"] - 16) * index / (len(STEPS) - 1)  # noqa: E731
        middle, index = box["y"] + box["height"] / 2, 50
        self.page.mouse.move(at(index), middle)
        self.page.mouse.down()
        self.page.wait_for_timeout(200)
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
        self.page.wait_for_timeout(400)
        return times, requested

    def play(self) -> list[Played]:
        self.page.get_by_label("Speed").select_option("60")
        if in_page.evaluate(self.page, "() => !time.loop"):
            self.page.get_by_label("Start again at the end").click()
        self.page.get_by_role("button", name="Play", exact=True).click()
        self.page.wait_for_timeout(500)
        stretches = []
        for _ in range(PLAYED):
            shown = in_page.evaluate(self.page, PLAY, PLAY_S * 1000)
            pairs = list(itertools.pairwise(shown))
            moves = [(after - before) % len(STEPS) for (_, before), (_, after) in pairs]
            seen, elapsed_s = sum(move > 0 for move in moves), (shown[-1][0] - shown[0][0]) / 1000
            stretches.append(Played(100 * seen / sum(moves), seen / elapsed_s, len(pairs) / elapsed_s))
        self.page.get_by_role("button", name="Pause", exact=True).click()
        return stretches


class ImshowPage:
    """The Dash app in a page of its own."""

    def __init__(self, browser: Any, address: str) -> None:
        self.page = browser.new_context(viewport={"width": 1440, "height": 1400}).new_page()
        self.page.goto(address)
        in_page.evaluate(self.page, PROBE)
        in_page.evaluate(self.page, DASH_WATCH)

    def ready(self, name: str) -> None:
        self.page.wait_for_selector(f"#{name}-picture .js-plotly-plot .main-svg", timeout=60_000)
        self.page.wait_for_timeout(500)
        for index in (1, 2):
            in_page.evaluate(self.page, DASH_STEP, [name, index])

    def set_steps(self, name: str, count: int, pause: random.Random) -> list[float]:
        """Milliseconds from the change of the slider's value to paint."""
        times = []
        for number in range(count):
            times.append(in_page.evaluate(self.page, DASH_STEP, [name, 5 + 7 * number]))
            time.sleep(pause.uniform(0.005, 0.03))
        return times

    def drag(self, name: str, count: int, pause: random.Random) -> list[float]:
        """Milliseconds from pointer to paint, through dcc.Slider."""
        box = self.page.locator(f"#{name}-step .dash-slider-root").bounding_box()
        at = lambda index: box["x"] + 10 + (box["width"] - 20) * index / (len(STEPS) - 1)  # noqa: E731
        middle = box["y"] + box["height"] / 2
        self.page.mouse.move(at(0), middle)
        self.page.mouse.down()
        self.page.wait_for_timeout(600)
        times = []
        for number in range(count):
            self.page.evaluate("name => arm(name)", name)
            self.page.mouse.move(at(5 + 7 * number), middle)
            times.append(self.page.evaluate("() => result"))
            time.sleep(pause.uniform(0.005, 0.03))
        self.page.mouse.up()
        self.page.wait_for_timeout(600)
        return times


def measure() -> list[Figure]:
    from playwright.sync_api import sync_playwright

    pause = random.Random(3)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "noise.npz"
        pixels = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), np.uint8)
        np.savez(images, images=pixels, labels=np.arange(20) % 10)
        chromium = "/usr/bin/chromium" if os.path.exists("/usr/bin/chromium") else shutil.which("chromium")
        with (
            served(serve_dashboard, images) as ours,
            served(serve_dash) as dash,
            sync_playwright() as playwright,
            playwright.chromium.launch(executable_path=chromium, args=BROWSER) as browser,
        ):
            imshow = ImshowPage(browser, dash)
            for name, show, view in CASES:
                imshow.ready(name)
                film = Film(browser, ours, show, view)
                film.drag(5, pause)
                dragged: list[float] = []
                theirs: list[float] = []
                theirs_set: list[float] = []
                requested: list[str] = []
                for _ in range(ROUNDS):
                    times, urls = film.drag(MOVES, pause)
                    dragged += times
                    requested += urls
                    theirs += imshow.drag(name, CALLBACKS, pause)
                    theirs_set += imshow.set_steps(name, CALLBACKS, pause)
                played = film.play()
                film.page.context.close()
                for url in requested:
                    print(f"requested while dragging: {url}", file=sys.stderr)
                median, of_imshow = statistics.median(dragged), statistics.median(theirs)
                figures += [
                    Figure(f"{name}: pointer move to painted, median", median, "ms", "<=", 16),
                    Figure(
                        f"{name}: pointer move to painted, 95th percentile",
                        float(np.percentile(dragged, 95)),
                        "ms",
                    ),
                    Figure(f"{name}: moves measured", len(dragged), ""),
                    Figure(f"{name}: pointer move to painted, callback with px.imshow, median", of_imshow, "ms"),
                    Figure(
                        f"{name}: px.imshow, without the slider's own part, median",
                        statistics.median(theirs_set),
                        "ms",
                    ),
                    Figure(f"{name}: px.imshow takes", of_imshow / median, "times as long", ">=", 10),
                    Figure(
                        f"{name}: px.imshow takes, without its slider's part",
                        statistics.median(theirs_set) / median,
                        "times as long",
                    ),
                    Figure(f"{name}: requests while dragging", len(requested), "", "<=", 0),
                    Figure(
                        f"{name}: checkpoints shown while playing",
                        min(p.share for p in played),
                        "%",
                        ">=",
                        100,
                    ),
                    Figure(
                        f"{name}: checkpoints a second while playing, median",
                        statistics.median(p.rate for p in played),
                        "/s",
                        ">=",
                        58,
                    ),
                    Figure(
                        f"{name}: checkpoints a second while playing, best stretch",
                        max(p.rate for p in played),
                        "/s",
                    ),
                    Figure(
                        f"{name}: checkpoints for each animation frame while playing",
                        statistics.median(p.rate / p.display for p in played),
                        "",
                    ),
                ]
    return figures


if __name__ == "__main__":
    report("scrubbing", measure())
