"""Opening the demo in headless Chromium: bytes, requests and time to the first film and the first chart, cold, warm and on a slow line.

    python benchmarks/page_load.py [--json FILE] [--address URL]

Cold is a browser that has never been there, warm the same browser once more, slow a cold one at 1 Mbit/s with 200 ms (by Chromium's
own throttling). Without ``--address`` the demo of ``demo-runs`` is served, and made before where it is not there yet. The server has
answered the page once before anything is measured, and compressed its scripts as well as it can, which it does once per cache folder.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from figures import Figure, command_line, report

ROUNDS = 5
SLOW = {"offline": False, "latency": 200, "downloadThroughput": 1e6 / 8, "uploadThroughput": 1e6 / 8}
BROWSER = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
READY_WITHIN_S, LOADED_WITHIN_S, REST_MS = 900, 180, 2000
COMPRESSED_WITHIN_S, COMPRESSED_BYTES = 180, 1.2e6
WATCH = """(() => {
  window.seen = {};
  const first = { film: "canvas.film-canvas[data-state=ready]", chart: ".js-plotly-plot .main-svg" };
  const look = () => {
    for (const [name, selector] of Object.entries(first)) {
      if (!seen[name] && document.querySelector(selector)) seen[name] = performance.now();
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})()"""


@dataclass
class Load:
    """One page load: milliseconds since navigation, and what went over the wire."""

    film_ms: float
    chart_ms: float
    requests: int
    bytes: int


@contextmanager
def demo() -> Iterator[str]:
    """The address at which the demo is served."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("mloscope")), "demo", "--folder", "demo-runs", "--no-browser"]
    process = subprocess.Popen([*command, "--port", str(port)], stdout=sys.stderr)
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + READY_WITHIN_S
        while not _is_ready(address):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit("The demo did not start.")
            time.sleep(0.5)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def _is_ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/readyz", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def wait_until_compressed(address: str) -> None:
    """Wait for the largest script, which is compressed last; after a while measure what there is."""
    with urllib.request.urlopen(address) as answer:
        plotly = re.search(r'"(/[^"]*plotly[^"]*\.min\.js)"', answer.read().decode())
    until = time.monotonic() + COMPRESSED_WITHIN_S
    while plotly and time.monotonic() < until:
        asked = urllib.request.Request(address + plotly[1], headers={"Accept-Encoding": "br"})
        with urllib.request.urlopen(asked) as answer:
            if int(answer.headers["Content-Length"]) < COMPRESSED_BYTES:
                return
        time.sleep(1)
    print("The server has not compressed its scripts well yet.", file=sys.stderr)


def load(context: Any, address: str, slow: bool = False) -> Load:
    """Open the page and wait until a film, a chart and then nothing more has come."""
    page = context.new_page()
    page.add_init_script(WATCH)
    wire = context.new_cdp_session(page)
    wire.send("Network.enable")
    if slow:
        wire.send("Network.emulateNetworkConditions", SLOW)
    requests: list[str] = []
    received: list[float] = []
    wire.on("Network.requestWillBeSent", lambda event: requests.append(event["request"]["url"]))
    wire.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    page.goto(address, wait_until="commit", timeout=LOADED_WITHIN_S * 1000)
    until = time.monotonic() + LOADED_WITHIN_S
    while len(page.evaluate("seen")) < 2 and time.monotonic() < until:
        page.wait_for_timeout(100)
    page.wait_for_timeout(REST_MS)
    seen = page.evaluate("seen")
    page.close()
    never = LOADED_WITHIN_S * 1000
    return Load(seen.get("film", never), seen.get("chart", never), len(requests), int(sum(received)))


def measure(address: str) -> list[Figure]:
    from playwright.sync_api import sync_playwright

    chromium = "/usr/bin/chromium" if os.path.exists("/usr/bin/chromium") else shutil.which("chromium")
    cold: list[Load] = []
    warm: list[Load] = []
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium, args=BROWSER) as browser,
    ):

        def visitor() -> Any:
            return browser.new_context(viewport={"width": 1440, "height": 900})

        with visitor() as context:
            load(context, address)
        wait_until_compressed(address)
        for _ in range(ROUNDS):
            with visitor() as context:
                cold.append(load(context, address))
                warm.append(load(context, address))
        with visitor() as context:
            slow = load(context, address, slow=True)
    film = {
        name: statistics.median(each.film_ms for each in loads) / 1000
        for name, loads in (("cold", cold), ("warm", warm))
    }
    return [
        Figure("cold: received", statistics.median(each.bytes for each in cold) / 1e6, "MB", "<=", 2.0),
        Figure("cold: requests", statistics.median(each.requests for each in cold), ""),
        Figure("cold: first film, median", film["cold"], "s", "<=", 1.5),
        Figure("cold: first film, best", min(each.film_ms for each in cold) / 1000, "s"),
        Figure("cold: first chart, median", statistics.median(each.chart_ms for each in cold) / 1000, "s"),
        Figure("warm: received", statistics.median(each.bytes for each in warm) / 1e6, "MB"),
        Figure("warm: first film, median", film["warm"], "s", "<=", 1.0),
        Figure("warm: first film, best", min(each.film_ms for each in warm) / 1000, "s"),
        Figure("1 Mbit/s, 200 ms: first film", slow.film_ms / 1000, "s", "<=", 15),
        Figure("1 Mbit/s, 200 ms: first chart", slow.chart_ms / 1000, "s"),
        Figure("1 Mbit/s, 200 ms: chart after the film", (slow.chart_ms - slow.film_ms) / 1000, "s", ">=", 0),
        Figure("1 Mbit/s, 200 ms: requests for one of a cold load", slow.requests / cold[0].requests, "", "<=", 1.5),
    ]


def main() -> None:
    parser = command_line("page load")
    parser.add_argument("--address", help="measure the dashboard that is served there")
    given = parser.parse_args().address
    if given:
        figures = measure(given)
    else:
        with demo() as address:
            figures = measure(address)
    report("page load", figures, parser)


if __name__ == "__main__":
    main()
