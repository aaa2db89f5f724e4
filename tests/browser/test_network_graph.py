"""The network graph in Chromium: the real scripts on a page of their own, served with the real pictures."""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import dash
import in_page
import pytest

from mloscope import assets
from mloscope.adaptors.interface import Layer
from mloscope.app.web.dash import page_data
from mloscope.app.web.dash.pages import OURS
from mloscope.components import network_graph

sys.path.insert(0, str(Path(__file__).parents[1] / "components"))
import network_examples as examples

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.browser

ASSETS = Path(assets.__file__).parent
REACT = sorted((Path(dash.__file__).parent / "deps").glob("react*@18*.min.js"), key=lambda path: len(path.name))
RUNS = {
    "lenet": examples.lenet(),
    "resnet50": examples.resnet50(),
    "inception": examples.inception(1),
    "mobilenet": examples.mobilenet_v2(),
    "hostile": (
        *examples.lenet()[:2],
        Layer("<img src=x onerror=window.broken=1>", "dense", ("conv1",), (3,)),
    ),
}


def page_of(run: str) -> str:
    layers = [{"name": layer.name, "parameters": [], "parameter_count": layer.parameter_count} for layer in RUNS[run]]
    subject = {"run": run, "corpus": None, "checkpoints": [{"step": 0}], "layers": layers, "evaluation": {}}
    told = json.dumps(subject).replace("<", "\\u003c")
    scripts = "".join(f'<script src="/{path.name}"></script>' for path in REACT)
    return f"""<!doctype html><html data-theme="light"><head><meta charset="utf-8"><title>graph</title>
{in_page.APART}
<link rel="stylesheet" href="/theme.css"><link rel="stylesheet" href="/network_graph.css">
<style>body {{ margin: 0; background: var(--surface) }}</style></head><body>
{page_data.scripts(OURS)}
<div id="notices"></div><div id="place"></div><button id="after">after</button>{scripts}<script type="module">
import {{ openSubject }} from "mloscope/base/subject.mjs";
import "mloscope/main.mjs";
window.keysThatGotOut = [];
document.addEventListener("keydown", (event) => window.keysThatGotOut.push(event.key));
openSubject({told});
const graph = React.createElement(mloscope.NetworkGraph, {{ id: "network" }});
ReactDOM.createRoot(document.getElementById("place")).render(graph);
</script></body></html>"""


class Server(ThreadingHTTPServer):
    """Serves the page, the assets and the pictures; counts what is asked for; refuses on request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.refusing = False


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        name = url.path.rsplit("/", 1)[-1]
        if name == "graph.svg":
            self.server.asked.append(self.path)
            if self.server.refusing:
                error = {"error": {"kind": "Unavailable", "message": "The run is being read."}}
                self.answer(503, "application/json", json.dumps(error))
                return
            run = unquote(url.path.split("/")[-2])
            expanded = parse_qs(url.query).get("expanded", [""])[0].split(",")
            self.answer(200, "image/svg+xml", network_graph.svg(RUNS[run], expanded=expanded))
        elif url.path.startswith("/page/"):
            self.answer(200, "text/html", page_of(name))
        elif name.endswith(".mjs"):
            self.answer(200, "text/javascript", ASSETS.joinpath(url.path.removeprefix("/assets/")).read_text("utf-8"))
        else:
            folders = (ASSETS, *(path.parent for path in REACT))
            found = next((f / name for f in folders if name and (f / name).is_file()), None)
            kind = "text/css" if name.endswith(".css") else "text/javascript"
            self.answer(200 if found else 404, kind, found.read_text("utf-8") if found else "")

    def answer(self, status: int, kind: str, text: str) -> None:
        body = text.encode("utf-8")
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """The tests' output stays quiet."""


@pytest.fixture(scope="module")
def server():
    with Server() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def visit(server, open_page):
    """Open the page of a run and wait for its network."""
    errors: list[str] = []
    pages = []

    def note(error: object) -> None:
        errors.append(str(error))

    def go(run: str, fragment: str = "") -> sync_api.Page:
        page = open_page(viewport={"width": 1440, "height": 500}, reduced_motion="reduce")
        pages.append(page)
        page.on("pageerror", note)
        server.asked.clear()
        page.goto(f"http://127.0.0.1:{server.server_port}/page/{run}{fragment}")
        ready(page)
        return page

    yield go
    for page in pages:
        page.remove_listener("pageerror", note)
    assert errors == []


def ready(page) -> None:
    page.wait_for_selector('.graph-stage[data-state="ready"] .graph-node', state="attached")
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def node(page, layer: str):
    return page.locator(f'.graph-node[data-layer="{layer}"]')


def block(page, name: str):
    return page.locator(f'.graph-node[data-block="{name}"]')


def handle(page, name: str):
    return page.locator(f'.graph-handle[data-block="{name}"]')


def view(page) -> dict:
    return in_page.evaluate(page, "view.get()")


def transform(page) -> list[float]:
    """x, y and scale of the picture."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page.evaluate(
        "document.querySelector('.graph-world').getAttribute('transform').match(/-?[\\d.]+/g).map(Number)"
    )


def test_the_whole_of_a_small_network_is_shown_and_its_texts_are_where_they_were_measured(visit):
    page = visit("lenet")
    stage = page.locator(".graph-stage").bounding_box()
    for name in ("input", "probabilities"):
        box = node(page, name).bounding_box()
        assert stage["x"] <= box["x"]
        assert box["x"] + box["width"] <= stage["x"] + stage["width"]
        assert stage["y"] <= box["y"]
    # Text that is wider than was thought would run out of its node.
    wide = page.evaluate("""[...document.querySelectorAll('.graph-full')].filter((node) => {
        const room = node.querySelector('.graph-body').getBBox();
        const boxes = [...node.querySelectorAll('text')].map((text) => text.getBBox());
        const ends = boxes.map((box) => box.x + box.width);
        return Math.max(...ends) > room.width - 2;
    }).map((node) => node.dataset.layer)""")
    assert wide == []
    assert "10 layers" in page.locator(".graph-summary").inner_text()


def test_the_strip_is_as_high_as_its_network_and_the_whole_of_it_fits(visit):
    heights = {}
    for run in ("lenet", "inception"):
        page = visit(run, "#fold=")
        page.set_viewport_size({"width": 1440, "height": 900})
        ready(page)
        page.locator(".graph-button", has_text="Fit").click()
        transform(page)
        stage, world = (page.locator(name).bounding_box() for name in (".graph-stage", ".graph-world"))
        for start, extent in (("x", "width"), ("y", "height")):
            assert stage[start] <= world[start]
            assert world[start] + world[extent] <= stage[start] + stage[extent]
        heights[run] = page.locator(".graph").bounding_box()["height"]
    assert heights["lenet"] < heights["inception"] <= 0.35 * 900


@pytest.mark.parametrize("run", ["mobilenet", pytest.param("resnet50", marks=pytest.mark.slow)])
def test_no_texts_overlap_as_drawn(visit, run):
    page = visit(run)
    in_page.evaluate(page, "view.set({fold: view.get().fold + 'conv2_block1,conv3_block2-4,block_1,block_2'})")
    page.wait_for_selector(".graph-handle", state="attached")
    ready(page)
    assert (
        page.evaluate("""(() => {
        const texts = [...document.querySelectorAll('.graph-world text')];
        const boxes = texts.map((text) => [text.textContent, text.getBoundingClientRect()]);
        const hits = [];
        boxes.forEach(([a, p], i) => boxes.slice(i + 1).forEach(([b, q]) => {
            const beside = p.left >= q.right - 1 || q.left >= p.right - 1;
            const above = p.top >= q.bottom - 3 || q.top >= p.bottom - 3;
            if (!beside && !above) hits.push([a, b]);
        }));
        return hits;
    })()""")
        == []
    )


def test_a_click_selects_without_a_request(visit, server):
    page = visit("lenet")
    before = len(server.asked)
    node(page, "conv2").click()
    assert view(page)["layer"] == "conv2"
    assert view(page)["unit"] == 0
    assert page.locator(".graph-selected").get_attribute("data-layer") == "conv2"
    assert node(page, "conv2").get_attribute("aria-pressed") == "true"
    assert page.locator(".graph-select").input_value() == "conv2"
    assert len(server.asked) == before
    page.go_back()
    page.wait_for_selector('.graph-selected[data-layer="input"]', state="attached")


def test_hovering_tells_at_once(visit):
    page = visit("lenet")
    tip = page.locator(".graph-tip")
    assert tip.is_hidden()
    node(page, "conv2").hover()
    assert tip.is_visible()
    assert "2\u202f416 parameters: kernel 5×5×6×16" in tip.inner_text()
    assert "output 8×8×16" in tip.inner_text()
    assert page.locator(".graph-svg title").count() == 0
    page.mouse.move(5, 300)
    assert tip.is_hidden()


def test_blocks_open_by_a_click_stay_in_place_and_close_by_their_header(visit, server):
    page = visit("resnet50")
    page.mouse.move(700, 100)
    page.mouse.wheel(0, 200)
    transform(page)
    left = block(page, "conv2_block1").bounding_box()["x"]
    block(page, "conv2_block1").click()
    node(page, "conv2_block1_2_conv").wait_for(state="attached")
    ready(page)
    assert view(page)["fold"] == "conv2_block1"
    assert page.locator(".graph-frame").bounding_box()["x"] == pytest.approx(left, abs=6)  # a frame has no ring
    page.wait_for_timeout(400)
    handle(page, "conv2_block1").click()
    block(page, "conv2_block1").wait_for(state="attached")
    assert view(page)["fold"] == ""
    asked = len(server.asked)
    page.wait_for_timeout(400)
    block(page, "conv2_block1").click()
    node(page, "conv2_block1_2_conv").wait_for(state="attached")
    assert len(server.asked) == asked  # the picture was kept


def test_a_double_click_opens_once_and_on_the_ground_closes(visit):
    page = visit("resnet50")
    block(page, "conv2_block1").dblclick()
    node(page, "conv2_block1_2_conv").wait_for(state="attached")
    ready(page)
    page.wait_for_timeout(800)
    assert view(page)["fold"] == "conv2_block1"
    box = page.locator(".graph-frame").bounding_box()
    page.mouse.dblclick(box["x"] + 300, box["y"] + 8)
    block(page, "conv2_block1").wait_for(state="attached")
    assert view(page)["fold"] == ""


def test_the_block_that_holds_the_selected_layer_is_marked(visit):
    page = visit("resnet50", "#layer=conv4_block3_2_conv")
    marked = page.locator(".graph-holds-selected")
    assert marked.get_attribute("data-block") == "conv4_block2-6"
    box = marked.bounding_box()
    assert box["x"] > 0
    assert box["x"] + box["width"] < 1440


def test_going_to_a_layer_opens_what_it_is_in(visit):
    page = visit("resnet50")
    page.locator(".graph-select").select_option("conv4_block3_2_conv")
    node(page, "conv4_block3_2_conv").wait_for(state="attached")
    ready(page)
    assert view(page)["layer"] == "conv4_block3_2_conv"
    assert view(page)["fold"] == "conv4_block2-6,conv4_block3"
    assert page.locator(".graph-selected").get_attribute("data-layer") == "conv4_block3_2_conv"
    box = node(page, "conv4_block3_2_conv").bounding_box()
    assert 0 < box["x"] < 1440
    page.locator(".graph-select").select_option("conv2_block1_2_conv")
    node(page, "conv2_block1_2_conv").wait_for(state="attached")
    ready(page)
    assert view(page)["fold"] == "conv2_block1", "what was opened for the other layer is closed"
    page.go_back()
    in_page.wait(page, "() => view.get().layer === 'conv4_block3_2_conv'")


def test_blocks_within_a_block_that_is_closed_are_open_no_more(visit):
    page = visit("resnet50", "#fold=conv4_block2-6,conv4_block3,nowhere")
    ready(page)
    in_page.wait(page, "() => view.get().fold === 'conv4_block2-6,conv4_block3'")
    in_page.evaluate(page, "() => view.set({ fold: 'conv4_block3' })")
    in_page.wait(page, "() => view.get().fold === ''")


def test_dragging_pans_and_does_not_select(visit):
    page = visit("resnet50")
    x, *_ = transform(page)
    box = node(page, "conv1_conv").bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] - 80, box["y"] + 20, steps=5)
    page.mouse.up()
    assert transform(page)[0] == pytest.approx(x - 100, abs=1)
    assert view(page)["layer"] == "input_layer"
    page.mouse.move(700, 100)
    page.mouse.wheel(0, 120)
    assert transform(page)[0] == pytest.approx(x - 220, abs=1)
    page.mouse.wheel(0, -9999)
    assert transform(page)[0] == 0  # the network cannot be lost


def test_the_wheel_with_control_and_the_buttons_zoom(visit):
    page = visit("resnet50")
    scale = transform(page)[2]
    target = block(page, "conv2_block1")
    before = target.bounding_box()
    page.mouse.move(before["x"], before["y"] + before["height"] / 2)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -60)
    page.keyboard.up("Control")
    assert transform(page)[2] > scale * 1.2
    assert target.bounding_box()["x"] == pytest.approx(before["x"], abs=6)  # the point under the pointer stays
    page.get_by_role("button", name="Zoom out").click()
    page.get_by_role("button", name="Fit").click()
    transform(page)
    box = node(page, "predictions").bounding_box()
    assert box["x"] + box["width"] <= 1440


def test_the_keyboard_walks_selects_opens_and_keeps_its_keys(visit):
    page = visit("resnet50")
    page.locator(".graph-select").focus()
    for _ in range(4):
        page.keyboard.press("Tab")
    focused = "[document.activeElement.dataset.layer, document.activeElement.dataset.block]"
    assert page.evaluate(focused) == ["input_layer", None]
    page.evaluate("window.keysThatGotOut.length = 0")
    for key in ("ArrowRight", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    assert view(page)["layer"] == "conv1_conv"
    assert page.locator(".graph-tip").is_visible()
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(focused)[0] == "conv1_pad"
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    assert page.evaluate(focused)[1] == "conv2_block1"
    page.keyboard.press("Enter")
    node(page, "conv2_block1_1_conv").wait_for(state="attached")
    ready(page)
    assert page.evaluate(focused)[1] == "conv2_block1"  # its header now
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    assert page.evaluate(focused)[0] is not None
    page.keyboard.press("Escape")
    block(page, "conv2_block1").wait_for(state="attached")
    assert page.evaluate("window.keysThatGotOut") == []
    assert page.locator('.graph-svg [tabindex="0"]').count() == 1


def test_a_refusal_is_said_and_can_be_tried_again(visit, server):
    page = visit("resnet50")
    server.refusing = True
    try:
        block(page, "conv3_block1").click()
        message = page.locator(".graph-message")
        message.wait_for()
        assert "The run is being read." in message.inner_text()
        assert block(page, "conv3_block1").count() == 1  # the network is still there
    finally:
        server.refusing = False
    page.get_by_role("button", name="Try again").click()
    node(page, "conv3_block1_1_conv").wait_for(state="attached")
    assert message.is_hidden()


def test_names_are_text_in_the_page_too(visit):
    page = visit("hostile")
    page.locator(".graph-node").nth(2).click()
    page.locator(".graph-node").nth(2).hover()
    assert view(page)["layer"] == "<img src=x onerror=window.broken=1>"
    assert page.locator("img").count() == 0
    assert page.evaluate("window.broken") is None


def test_panning_resnet50_wholly_open_keeps_sixty_frames(visit):
    page = visit("resnet50")
    names = ",".join(found.id for found in network_graph.tree(RUNS["resnet50"]) if hasattr(found, "id"))
    in_page.evaluate(page, "(fold) => view.set({ fold })", names)
    page.wait_for_selector(".graph-handle", state="attached")
    ready(page)
    median_ms = page.evaluate("""new Promise((done) => {
        const stage = document.querySelector('.graph-stage');
        const box = stage.getBoundingClientRect();
        const spent = [];
        const step = () => {
            const before = performance.now();
            const where = { clientX: box.left + 500, clientY: box.top + 60, bubbles: true, cancelable: true };
            stage.dispatchEvent(new WheelEvent('wheel', { ...where, deltaY: 20, ctrlKey: spent.length % 10 === 9 }));
            spent.push(performance.now() - before);
            if (spent.length < 60) requestAnimationFrame(step);
            else done(spent.sort((a, b) => a - b)[30]);
        };
        requestAnimationFrame(step);
    })""")
    assert median_ms < 4  # of script, out of a frame's 16.7, on any machine
