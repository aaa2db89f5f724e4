"""A stage for the scripts in assets/: a page without Dash, a server that speaks the REST contract, Chromium.

The server's films are made here, by an encoder of its own (:func:`mlf1`), so that the tests do not take
app/films/encoding.py's word for what the bytes mean. ``stage.server`` counts requests, holds back chunks, and
forgets them, as a test asks.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import struct
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import in_page
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported by path, their neighbours are not
from basis_record import basis
from statistics_server import BROKEN, CLASSES, STEPS, FakeStatistics
from statistics_server import routes as statistics_routes

ROOT = Path(__file__).resolve().parents[2]
IMAGES = 60_000


# ----------------------------------------------------------------------------------------------- films


@dataclass(frozen=True)
class Picture:
    """What one film shows: its shape, and values by step."""

    units: int
    channels: int
    rows: int
    columns: int
    components: int = 1
    poison: bool = False
    """Some values are NaN or infinite."""

    def values(self, key: str, step: int) -> np.ndarray:
        """float32 (unit, channel, row, column, component), the same for the same key and step."""
        seed = zlib.crc32(f"{key} {step}".encode())
        shape = (self.units, self.channels, self.rows, self.columns, self.components)
        noise = np.random.default_rng(seed).normal(size=shape)
        rows, columns = np.mgrid[-1 : 1 : self.rows * 1j, -1 : 1 : self.columns * 1j]
        unit = np.arange(self.units)[:, None, None, None, None]
        wave = np.sin(rows * (unit % 5 + 1) + columns * (unit % 7))[..., :, :, None] if self.rows > 1 else 0
        bell = np.exp(-(rows**2 + columns**2) * 2)[:, :, None]
        channel = np.arange(self.channels)[None, :, None, None, None]
        component = np.arange(self.components)
        angle = unit * 0.7 + channel * 1.9
        carrier = np.sin((rows[:, :, None] * np.cos(angle) + columns[:, :, None] * np.sin(angle)) * 5 + component)
        learnt = step / (step + 200)
        values = noise * (1.1 - learnt) * 0.3 + carrier * bell * learnt * (1 + 0.2 * (unit % 3)) + 0 * np.sum(wave)
        values = values.astype(np.float32) * 0.2
        if self.poison:
            values[0, 0, 0, 0] = np.nan
            values[1, 0, 0, 1] = np.inf
            values[2] = np.nan
        return values


PICTURES = {
    ("parameters", "rgb", "kernel"): Picture(96, 1, 11, 11, 3),
    ("parameters", "conv1", "kernel"): Picture(6, 1, 5, 5),
    ("parameters", "conv1", "bias"): Picture(6, 1, 1, 1),
    ("parameters", "conv2", "kernel"): Picture(16, 6, 5, 5),
    ("parameters", "sick", "kernel"): Picture(4, 1, 9, 9, poison=True),
    ("parameters", "dense", "kernel"): Picture(10, 1, 1, 84),
    ("features", "rgb", ""): Picture(96, 1, 8, 8),
    ("features", "conv1", ""): Picture(6, 1, 24, 24),
    ("features", "conv2", ""): Picture(16, 1, 8, 8),
    ("features", "pool", ""): Picture(256, 1, 27, 27),
    ("features", "dense", ""): Picture(10, 1, 1, 1),
}


def layer(name: str, kind: str, *shapes: tuple[str, tuple[int, ...]]) -> dict:
    axes = {4: ("row", "column", "channel", "unit"), 2: ("channel", "unit"), 1: ("unit",)}
    parameters = [{"name": n, "shape": list(s), "axes": list(axes[len(s)])} for n, s in shapes]
    return {
        "name": name, "kind": kind, "inputs": [], "output_shape": [8, 8, 16], "parameters": parameters,
        "parameter_count": 0, "hyperparameters": {}, "source_class": "", "problem": None,
    }  # fmt: skip


LAYERS = [
    layer("conv1", "convolution", ("kernel", (5, 5, 1, 6)), ("bias", (6,))),
    layer("conv2", "convolution", ("kernel", (5, 5, 6, 16))),
    layer("rgb", "convolution", ("kernel", (11, 11, 3, 96))),
    layer("pool", "max pooling"),
    layer("sick", "convolution", ("kernel", (9, 9, 1, 4))),
    layer("dense", "dense", ("kernel", (84, 10))),
]

SUBJECT = {
    "run": "demo",
    "corpus": "digits",
    "checkpoints": [
        {
            "step": step,
            "label": None,
            "epoch": step / 100,
            "problem": "ckpt-450.keras is cut short after 1,024 bytes." if step == BROKEN else None,
        }
        for step in STEPS
    ],
    "classNames": list(CLASSES),
    "basis": basis(),
    "layers": LAYERS,
    "evaluation": {"possible": True, "message": None},
}


@dataclass(frozen=True)
class Quantised:
    """One step of a film, as bytes."""

    codes: np.ndarray
    unit_ranges: np.ndarray
    layer_range: np.ndarray


def quantised(values: np.ndarray) -> Quantised:
    """Codes of (unit, channel, row, column, component), as the contract says, written for clarity alone."""
    ranges = np.full((len(values), 2), np.nan, np.float32)
    codes = np.zeros(values.shape, np.uint8)
    for unit, tile in enumerate(values):
        finite = tile[np.isfinite(tile)]
        if finite.size:
            ranges[unit] = finite.min(), finite.max()
        low, high = ranges[unit].astype(np.float64)
        share = np.zeros(tile.shape) if low == high else (tile.astype(np.float64) - low) / (high - low)
        with np.errstate(invalid="ignore"):
            codes[unit] = np.where(np.isfinite(tile), 3 + np.rint(share * 252), 0).astype(np.uint8)
        codes[unit][np.isneginf(tile)] = 1
        codes[unit][np.isposinf(tile)] = 2
    known = ranges[np.isfinite(ranges[:, 0])] if np.isfinite(ranges).any() else np.full((1, 2), np.nan)
    joint = np.array([known[:, 0].min(), known[:, 1].max()], np.float32)
    return Quantised(codes, ranges, joint)


def mlf1(steps: list[int], frames: list[Quantised]) -> bytes:
    """Film bytes as the contract lays them out."""
    header = json.dumps({"steps": steps, "shape": list(frames[0].codes.shape)}).encode()
    header += b" " * (-(8 + len(header)) % 8)
    ranges = b"".join(frame.unit_ranges.astype("<f4").tobytes() for frame in frames)
    layers = b"".join(frame.layer_range.astype("<f4").tobytes() for frame in frames)
    codes = b"".join(frame.codes.tobytes() for frame in frames)
    return b"MLF1" + struct.pack("<I", len(header)) + header + ranges + layers + codes


# ---------------------------------------------------------------------------------------------- server


@dataclass
class FakeServer:
    """Speaks the REST contract about the run above. What a test may turn:"""

    steps: tuple[int, ...] = STEPS
    chunk_steps: int = 4
    held: set[int] = field(default_factory=set)
    """Chunks with one of these steps are not answered until :meth:`release`."""
    evict_once: bool = False
    """Each chunk is 404 until the manifest was asked for a second time."""
    refusals: list[dict] = field(default_factory=list)
    """Manifests that end with this error, one each, before one succeeds."""
    keeps_nothing: bool = False
    """Its cache is away: no chunk is ever there, and frames are made when they are asked for."""
    slow_manifest_s: float = 0
    missing: dict[int, str] = field(default_factory=lambda: {BROKEN: "ckpt-450.keras is cut short after 1,024 bytes."})
    factors: dict[int, float] = field(default_factory=dict)
    """Steps whose values are this many times what they would be."""
    training_curve: dict | None = None
    """The curve behind the timeline; none by default."""
    log: list[str] = field(default_factory=list)
    base: str = ""

    def __post_init__(self) -> None:
        self._chunks: dict[str, bytes] = {}
        self._frames: dict[tuple, Quantised] = {}
        self._open = threading.Event()
        self.statistics = self.new_statistics()

    def new_statistics(self, **changes: object) -> FakeStatistics:
        """Statistics of every step but the broken one, over 2,000 images of the ten classes."""
        made = FakeStatistics(STEPS, {BROKEN: "ckpt-450.keras is cut short after 1,024 bytes."}, CLASSES)
        made.ready = set(STEPS) - {BROKEN}
        for name, value in changes.items():
            setattr(made, name, value)
        return made

    def reset(self) -> None:
        self.statistics = self.new_statistics()
        self.steps, self.chunk_steps, self.held, self.evict_once, self.refusals = STEPS, 4, set(), False, []
        self.slow_manifest_s, self.keeps_nothing, self.factors, self.training_curve = 0, False, {}, None
        self.missing = {BROKEN: "ckpt-450.keras is cut short after 1,024 bytes."}
        self.log.clear()
        self._open.clear()

    def release(self) -> None:
        self.held = set()

    def count(self, part: str) -> int:
        return sum(part in line for line in self.log)

    def frame(self, show: str, layer_name: str, parameter: str, image: str, step: int) -> Quantised:
        """What the film holds at a step: the tests' oracle."""
        factor = self.factors.get(step, 1)
        key = (show, layer_name, parameter, image, step, factor)
        if key not in self._frames:
            picture = PICTURES[show, layer_name, parameter if show == "parameters" else ""]
            values = picture.values(f"{show} {layer_name} {parameter} {image}", step)
            self._frames[key] = quantised(values * factor)
        return self._frames[key]

    def manifest(self, layer_name: str, query: dict[str, str]) -> Iterator[dict]:
        show = query["show"]
        parameter = (query.get("parameter") or "kernel") if show == "parameters" else ""
        image = query.get("image", "")
        picture = PICTURES[show, layer_name, parameter]
        yield {
            "film": {
                "show": show, "layer": layer_name, "parameter": parameter,
                "units": list(range(picture.units)),
                "channels": list(range(picture.channels)), "unit_total": picture.units,
                "channel_total": picture.channels, "rows": picture.rows, "columns": picture.columns,
                "components": picture.components, "steps": list(self.steps),
            }
        }  # fmt: skip
        near = int(query.get("near") or self.steps[-1])
        whole = [step for step in self.steps if step not in self.missing]
        groups = [whole[at : at + self.chunk_steps] for at in range(0, len(whole), self.chunk_steps)]
        groups.sort(key=lambda group: min(abs(step - near) for step in group))
        if self.refusals:
            yield {"error": self.refusals.pop(0)}
            return
        for done, group in enumerate(groups):
            data = mlf1(group, [self.frame(show, layer_name, parameter, image, step) for step in group])
            digest = hashlib.sha256(data).hexdigest()[:24]
            self._chunks[digest] = data
            yield {"progress": {"done": done * self.chunk_steps, "of": len(whole), "doing": "evaluating"}}
            yield {"chunk": {"address": f"/api/v1/films/{digest}", "steps": group, "bytes": len(data)}}
        for step, reason in self.missing.items():
            yield {"missing": {"step": step, "reason": reason}}
        yield {"done": True}

    def app(self):
        from starlette.applications import Starlette
        from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
        from starlette.routing import Mount, Route
        from starlette.staticfiles import StaticFiles

        async def film(request):
            query = dict(request.query_params)

            async def lines():
                for number, line in enumerate(self.manifest(request.path_params["layer"], query)):
                    if number == 1 and self.slow_manifest_s:
                        await asyncio.sleep(self.slow_manifest_s)
                    yield json.dumps(line) + "\n"

            return StreamingResponse(lines(), media_type="application/x-ndjson")

        async def chunk(request):
            data = self._chunks.get(request.path_params["digest"])
            manifests = self.count("/film?")
            if data is None or self.keeps_nothing or (self.evict_once and manifests < 2):
                body = {"error": {"kind": "not-found", "message": "This film is not held any more."}}
                return JSONResponse(body, status_code=404)
            (length,) = struct.unpack_from("<I", data, 4)
            steps = set(json.loads(data[8 : 8 + length])["steps"])
            while steps & self.held:
                await asyncio.sleep(0.01)
            return Response(data, media_type="application/octet-stream", headers={"Cache-Control": "immutable"})

        async def frames(request):
            query = request.query_params
            if not self.keeps_nothing:
                return JSONResponse({"error": {"kind": "not-found", "message": "No such run."}}, status_code=404)
            steps = [int(step) for step in query["steps"].split(",")]
            show, image = query["show"], query.get("image", "")
            parameter = (query.get("parameter") or "kernel") if show == "parameters" else ""
            layer_name = request.path_params["layer"]
            data = mlf1(steps, [self.frame(show, layer_name, parameter, image, step) for step in steps])
            return Response(data, media_type="application/octet-stream")

        async def training_curve(request):
            return JSONResponse(self.training_curve or {"name": None, "source": None, "steps": [], "values": []})

        async def predictions(request):
            async def lines():
                for step in self.steps:
                    if step in self.missing:
                        yield json.dumps({"missing": {"step": step, "reason": self.missing[step]}}) + "\n"
                    else:
                        row = self.probabilities(request.path_params["image"], step)
                        yield json.dumps({"steps": [step], "probabilities": [row], "kind": "output"}) + "\n"
                yield json.dumps({"done": True}) + "\n"

            return StreamingResponse(lines(), media_type="application/x-ndjson")

        async def corpus(request):
            splits = {"training": 50_000, "test": 10_000}
            return JSONResponse(
                {
                    "name": "digits",
                    "size": IMAGES,
                    "class_names": list(CLASSES),
                    "splits": splits,
                    "problems": [],
                    "facets": [
                        {"name": "label", "title": "Class", "values": list(CLASSES)},
                        {"name": "split", "title": "Split", "values": list(splits)},
                        {"name": "pen", "title": "Pen", "values": ["thin", "thick"]},
                    ],
                }
            )

        async def images(request):
            query = request.query_params
            wanted = [
                position
                for position in range(IMAGES)
                if (not query.get("split") or self.record(position)["split"] == query["split"])
                and (not query.get("label") or CLASSES[position % 10] == query["label"])
                and (not query.get("pen") or ["thin", "thick"][position % 2] == query["pen"])
                and all(word in self.words(position) for word in query.get("search", "").lower().split())
            ]
            if query.get("random"):
                wanted = np.random.default_rng(int(query["random"])).permutation(wanted).tolist()
            offset, limit = int(query.get("offset", 0)), int(query.get("limit", 60))
            if "at" in query:
                if query["at"] not in {self.record(position)["id"] for position in range(IMAGES)}:
                    return JSONResponse({"error": {"kind": "not-found", "message": "no such image"}}, status_code=404)
                offset = (
                    next((n for n, p in enumerate(wanted) if self.record(p)["id"] == query["at"]), 0) // limit * limit
                )
            page = [self.record(position) for position in wanted[offset : offset + limit]]
            return JSONResponse({"images": page, "total": len(wanted), "offset": offset})

        async def image(request):
            from PIL import Image

            name = request.path_params["image"]
            if name == "test-3":
                return JSONResponse({"error": {"kind": "not-possible", "message": "broken"}}, status_code=422)
            rng = np.random.default_rng(zlib.crc32(name.encode()))
            data = io.BytesIO()
            Image.fromarray(rng.integers(0, 255, (7, 7), np.uint8)).resize((28, 28)).save(data, "PNG")
            return Response(data.getvalue(), media_type="image/png")

        async def page(request):
            return HTMLResponse(stage_page(request.query_params.get("parts", "")))

        async def logged(scope, receive, send):
            if scope["type"] == "http" and scope["path"].startswith("/api"):
                self.log.append(f"{scope['path']}?{scope['query_string'].decode()}")
            await inner(scope, receive, send)

        import dash

        async def plotly(request):
            from plotly.offline import get_plotlyjs

            return Response(get_plotlyjs(), media_type="text/javascript", headers={"Cache-Control": "max-age=3600"})

        inner = Starlette(
            routes=[
                *statistics_routes(lambda: self.statistics),
                Route("/plotly.js", plotly),
                Route("/", page),
                Route("/other", page),
                Route("/api/v1/runs/{run}/layers/{layer:path}/film", film),
                Route("/api/v1/runs/{run}/layers/{layer:path}/frames", frames),
                Route("/api/v1/runs/{run}/predictions/{image}", predictions),
                Route("/api/v1/runs/{run}/training-curve", training_curve),
                Route("/api/v1/films/{digest}", chunk),
                Route("/api/v1/corpora/{corpus}/images/{image}.png", image),
                Route("/api/v1/corpora/{corpus}/images", images),
                Route("/api/v1/corpora/{corpus}", corpus),
                Mount("/deps", StaticFiles(directory=Path(dash.__file__).parent / "deps")),
                Mount("/assets", StaticFiles(directory=ROOT / "assets")),
            ]
        )
        return logged

    def probabilities(self, image: str, step: int) -> list[float]:
        """What the network makes of an image: the longer it learns, the surer of the right class."""
        scores = np.random.default_rng(zlib.crc32(f"{image}{step}".encode())).normal(size=10)
        scores[int(image.split("-")[-1]) % 10] += step / 150
        return (np.exp(scores) / np.exp(scores).sum()).tolist()

    @staticmethod
    def record(position: int) -> dict:
        training = position < 50_000
        number = position if training else position - 50_000
        split = "training" if training else "test"
        return {
            "id": f"{split}-{number}", "name": f"{split} {number}", "label": position % 10,
            "class_name": CLASSES[position % 10], "split": split, "metadata": {},
        }  # fmt: skip

    def words(self, position: int) -> str:
        record = self.record(position)
        return f"{record['name']} {record['id']} {record['class_name']}"


def stage_page(parts: str) -> str:
    """A page with some of the components and no Dash."""
    from mloscope.app.web.dash import page_data
    from mloscope.app.web.dash.pages import OURS

    assets = ROOT / "assets"
    styles = sorted(path.name for path in assets.glob("*.css"))
    mounts = json.dumps([part.split(":") for part in filter(None, parts.split(","))])
    return f"""<!doctype html><html data-theme="light"><head><meta charset="utf-8">
{in_page.APART}
{"".join(f'<link rel="stylesheet" href="/assets/{name}">' for name in styles)}
<style>
  body {{ margin: 0; padding: 16px; background: var(--surface); height: auto; }}
  #stage {{ display: grid; gap: 24px; grid-template-columns: repeat(auto-fit, minmax(500px, 1fr)); }}
  #stage > .for-film {{ height: 560px; }}
  #stage > .for-TimeSlider {{ grid-column: 1 / -1; }}
  #stage > .for-ConfusionMatrix {{ height: 700px; }}
  #stage > .for-ConfusionMatrix > .confusion-matrix {{ height: 100%; }}
  #stage > .for-ClusterRows {{ grid-column: 1 / -1; }}
  #stage > .for-ImageGrid, #stage > .for-PredictionBars {{ width: 232px; }}
</style></head><body>
<div id="notices" role="status"></div><main id="stage"></main>
{page_data.scripts(OURS)}
<script src="/deps/react@18.3.1.min.js"></script><script src="/deps/react-dom@18.3.1.min.js"></script>
<script>
  window.stores = {{}};
  window.storeWrites = [];
  const set_props = (id, props) => {{ stores[id] = props.data; storeWrites.push(id); }};
  window.dash_clientside = {{ set_props }};
  window.stageSubject = {json.dumps(SUBJECT)};
</script>
{'<script src="/plotly.js"></script>' if "Confusion" in parts else ""}
<script type="module">
  import "mloscope/main.mjs";
  const figures = {figures(parts)};
  window.roots = [];
  for (const [type, id, show] of {mounts}) {{
    const place = document.createElement("div");
    place.className = type === "FilmCanvas" ? "for-film" : `for-${{type}}`;
    document.getElementById("stage").append(place);
    const root = ReactDOM.createRoot(place);
    const properties = {{ id: id || type, show, kind: show, needs: show, editor: show === "editor", figures }};
    root.render(React.createElement(mloscope[type], properties));
    roots.push(root);
  }}
</script></body></html>"""


def figures(parts: str) -> str:
    """Plotly's part of the confusion matrix, as JSON."""
    if "ConfusionMatrix" not in parts:
        return "null"
    from mloscope.components.figures.confusion_heat_map import confusion_heat_map

    return json.dumps({theme: confusion_heat_map(theme).to_plotly_json() for theme in ("light", "dark")})


# -------------------------------------------------------------------------------------------- fixtures


@pytest.fixture(scope="session")
def fake_server() -> Iterator[FakeServer]:
    import uvicorn

    server = FakeServer()
    config = uvicorn.Config(server.app(), host="127.0.0.1", port=0, log_level="warning", lifespan="off")
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    server.base = f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}"
    yield server
    running.should_exit = True
    running.force_exit = True
    thread.join(5)


class Stage:
    """A page with components on it, and the questions that tests ask."""

    def __init__(self, page, server: FakeServer) -> None:
        self.page, self.server = page, server
        self.errors: list[str] = []
        page.on("pageerror", self._note)

    def _note(self, error: object) -> None:
        self.errors.append(str(error))

    def close(self) -> None:
        """Hear no more of the page, and complain of what was heard."""
        self.page.remove_listener("pageerror", self._note)
        assert self.errors == []

    def show(self, *parts: str, hash: str = "", subject: dict | None = None) -> Stage:
        """Open a page with these components ("FilmCanvas:canvas:parameters") and a subject."""
        self.page.goto(f"{self.server.base}/?parts={','.join(parts)}{hash}")
        self.open(subject)
        return self

    def open(self, changes: dict | None = None) -> None:
        in_page.evaluate(self.page, "changes => openSubject({ ...stageSubject, ...changes })", changes or {})

    def js(self, expression: str, argument: object = None):
        return in_page.evaluate(self.page, expression, argument)

    def wait(self, expression: str, argument: object = None) -> None:
        in_page.wait(self.page, expression, argument, timeout_s=20)

    def quiet(self) -> None:
        """Wait until the server has not been asked for anything for a while."""
        asked = -1
        while asked != len(self.server.log):
            asked = len(self.server.log)
            self.page.wait_for_timeout(150)

    def view(self, **values: object) -> None:
        in_page.evaluate(self.page, "values => view.set(values)", values)

    def go_to(self, step: int, canvas: str = "canvas") -> None:
        """Go to a step and wait until the canvas shows it."""
        in_page.evaluate(self.page, "step => time.requestStep(step)", step)
        self.ready(step, canvas)

    def ready(self, step: int, canvas: str = "canvas") -> None:
        self.page.wait_for_selector(
            f'#{canvas} canvas.film-canvas[data-state="ready"][data-step="{step}"]', timeout=8000
        )

    def loaded(self) -> None:
        """Wait until everything in view has come."""
        self.wait(
            "() => { const all = films.inView(); "
            "return all.count > 0 && time.checkpoints.every(({step}) => all.has(step)); }"
        )

    def pixels(self, canvas: str = "canvas") -> np.ndarray:
        """uint8 (row, column, 4) of the film's canvas."""
        width, height, data = self.page.evaluate(
            """id => { const c = document.querySelector(`#${id} canvas.film-canvas`);
            const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
            let text = ''; for (const byte of d) text += String.fromCharCode(byte);
            return [c.width, c.height, btoa(text)]; }""",
            canvas,
        )
        import base64

        return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)

    def tiles(self, canvas: str = "canvas") -> np.ndarray:
        """uint8 (place, row, column, 4): one pixel a value, places in reading order."""
        g = json.loads(self.page.get_attribute(f"#{canvas} canvas.film-canvas", "data-geometry"))
        pixels = self.pixels(canvas)
        step_x, step_y, head = g["stepX"], g["stepY"], g["head"]
        return np.array(
            [
                pixels[
                    y : y + g["rows"] * g["magnifyY"] : g["magnifyY"],
                    x : x + g["columns"] * g["magnifyX"] : g["magnifyX"],
                ]
                for y in range(head, g["down"] * step_y + head, step_y)
                for x in range(0, g["across"] * step_x, step_x)
            ]
        )

    def table(self, name: str) -> np.ndarray:
        """uint8 (256, 3)"""
        return np.array(in_page.evaluate(self.page, "name => [...colours.table(name)]", name), np.uint8).reshape(256, 3)


@pytest.fixture
def stage(open_page: Callable[..., Any], fake_server: FakeServer) -> Iterator[Stage]:
    fake_server.reset()
    stage = Stage(open_page(), fake_server)
    yield stage
    fake_server.release()
    stage.close()


@pytest.fixture(scope="session")
def bare_page(tabs: Any, fake_server: FakeServer) -> Any:
    page = tabs.new({"viewport": {"width": 1280, "height": 800}}).page
    page.goto(f"{fake_server.base}/")
    return page


@pytest.fixture
def bare(bare_page: Any, fake_server: FakeServer) -> Iterator[Stage]:
    """A stage without components and subject, one for all tests that only call functions and leave nothing behind."""
    stage = Stage(bare_page, fake_server)
    yield stage
    stage.close()


@pytest.fixture(scope="session")
def picture_values() -> Callable[[str, str, str, int], np.ndarray]:
    """The exact values that a film was made from: (show, layer, parameter, step) -> float32."""
    return lambda show, name, parameter, step: PICTURES[show, name, parameter].values(
        f"{show} {name} {parameter} ", step
    )
