"""Fifty browsers at once: sessions over HTTP and real pages in Chromium that scrub different images, all on this machine.

    python benchmarks/load.py [--json FILE] [--seconds 300] [--sessions 47] [--pages 3] [--rest 1 3]

What serves is what a team has (team.py): Redis, a model service, two web workers, users who sign in. What asks are sessions
that ask as a browser does (browsers.py) and Chromium. Somebody who scrubs draws the slider through the run for one to three
seconds, which asks for nothing, and looks for one to three seconds at what there is then: so time settles every four seconds in each
browser, twelve times a second in all, and after four times another image is chosen, with about a dozen requests at once. That is the
pace of fifty people who do nothing else and never stop to think; ``--rest`` makes it another.

A request counts as cached where what it asks for was computed before, for whomever: the film and predictions of an image that
somebody chose, a layer's details at a step. All that is measured begins when every browser is open. Memory grows from the
second minute to the last (of shorter measurements: from the second fifth to the last), medians of samples every few seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import in_page
from browsers import DRAG_S, SCRUBS_AN_IMAGE, drive
from figures import Figure, command_line, report
from team import CHECKPOINTS, LAYERS, Data, Team, make_data, serving
from web_process import processor_s

BENCHMARK = "fifty browsers that scrub different images"
IMAGES = 100
WORKERS = 2
SAMPLE_EVERY_S = 5.0
MOVES_A_SECOND = 10
"""Of Chromium's pointer: a run of 41 checkpoints in four seconds."""
CHROMIUM = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
_OPEN_WITHIN_S = 300


# ------------------------------------------------------------------------------------------------- Chromium


class Pages:
    """Pages in Chromium, each with a user of its own, in a thread."""

    def __init__(self, team: Team, passwords: Mapping[str, str], rest_s: tuple[float, float]) -> None:
        self.errors: list[str] = []
        self.settled = 0
        self.images = 0
        self.pids: list[int] = []
        self._team, self._passwords, self._rest_s = team, dict(passwords), rest_s
        self._open = threading.Event()
        self._begin = threading.Event()
        self._ends_s = 0.0
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def open(self) -> None:
        self._thread.start()
        while not self._open.wait(1):
            if not self._thread.is_alive():
                raise RuntimeError(f"Chromium's pages did not open: {self.errors}")
        self.pids = [pid for pid in _below(os.getpid()) if "chrom" in _name(pid)]

    def scrub(self, ends_s: float) -> None:
        self._ends_s = ends_s
        self._begin.set()

    def wait(self) -> None:
        self._thread.join(60)

    async def _run(self) -> None:
        from playwright.async_api import async_playwright

        path = "/usr/bin/chromium" if os.path.exists("/usr/bin/chromium") else None
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=path, args=CHROMIUM)
            pages = [await self._opened(browser, name, password) for name, password in self._passwords.items()]
            self._open.set()
            await asyncio.get_running_loop().run_in_executor(None, self._begin.wait)
            await asyncio.gather(*(self._scrubbed(page, number) for number, page in enumerate(pages)))
            await browser.close()

    async def _opened(self, browser: Any, name: str, password: str) -> Any:
        context = await browser.new_context(viewport={"width": 1440, "height": 900})
        page = await context.new_page()
        page.on("console", lambda said: said.type in ("error", "warning") and self._wrong(f"{name}: {said.text}"))
        page.on("pageerror", lambda error: self._wrong(f"{name}: {error}"))
        page.on(
            "response", lambda answer: answer.status >= 400 and self._wrong(f"{name}: {answer.status} {answer.url}")
        )
        # Chromium says "aborted" of streams that the page hung up, or had read to their end.
        page.on(
            "requestfailed",
            lambda request: (
                "ERR_ABORTED" in str(request.failure) or self._wrong(f"{name}: {request.url} {request.failure}")
            ),
        )
        await page.goto(f"{self._team.address}/login")
        await page.fill("input[name=name]", name)
        await page.fill("input[name=password]", password)
        await page.get_by_role("button").click()
        await self._all_there(page)
        return page

    async def _all_there(self, page: Any) -> None:
        await page.wait_for_function(
            """() => [...document.querySelectorAll("canvas.film-canvas")].length === 2
                && [...document.querySelectorAll("canvas.film-canvas")].every((canvas) => canvas.dataset.state === "ready")
                && document.querySelector("[data-step] .predictions-row")""",
            timeout=60_000,
        )

    async def _scrubbed(self, page: Any, number: int) -> None:
        choose, layer = random.Random(1000 + number), LAYERS[number % len(LAYERS)]
        box = await page.locator("#time-slider").bounding_box()

        async def move(index: int) -> None:
            x = box["x"] + 8 + (box["width"] - 16) * index / (CHECKPOINTS - 1)
            await page.mouse.move(x, box["y"] + box["height"] / 2)

        while time.monotonic() < self._ends_s:
            await in_page.evaluate(page, f'view.set({{layer: "{layer}", image: "test-{choose.randrange(IMAGES)}"}})')
            self.images += 1
            for _ in range(SCRUBS_AN_IMAGE):
                await asyncio.sleep(choose.uniform(*self._rest_s))
                index = choose.randrange(CHECKPOINTS)
                ends_s = time.monotonic() + choose.uniform(*DRAG_S)
                await move(index)
                await page.mouse.down()
                while time.monotonic() < ends_s:
                    index = max(0, min(CHECKPOINTS - 1, index + choose.choice((-1, 1, 2))))
                    await move(index)
                    await asyncio.sleep(1 / MOVES_A_SECOND)
                await page.mouse.up()
                self.settled += 1
                if time.monotonic() >= self._ends_s:
                    break
        try:
            await self._all_there(page)
            notices = await page.locator("#notices").inner_text()
            if notices.strip():
                self._wrong(f"page {number} says: {notices}")
        except Exception as error:
            self._wrong(f"page {number} did not come to rest: {error}")

    def _wrong(self, sentence: str) -> None:
        self.errors.append(f"Chromium, {sentence}")


def _below(pid: int) -> list[int]:
    """The processes that the process and its children have started."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in map(int, task.read_text().split()):
                found += [child, *_below(child)]
        except OSError:
            continue
    return found


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return ""


def _used_s(pids: Sequence[int]) -> float:
    used = 0.0
    for pid in pids:
        try:
            used += processor_s(pid)
        except OSError:
            continue  # it has ended
    return used


# --------------------------------------------------------------------------------------------------- memory


def grown(samples: Sequence[tuple[float, Mapping[str, float]]], seconds: float) -> list[Figure]:
    """Growth of each process from the second minute to the last, in percent."""
    window = min(60.0, seconds / 5)
    figures = []
    for name in sorted(samples[0][1].keys() & samples[-1][1].keys()):
        second = [held[name] for at, held in samples if window <= at < 2 * window and name in held]
        last = [held[name] for at, held in samples if at >= seconds - window and name in held]
        before, after = statistics.median(second), statistics.median(last)
        word = name.rsplit(" ", 1)[0]
        figures += [
            Figure(f"{word}: memory at the end", after, "MB"),
            Figure(f"{word}: growth of memory", 100 * (after - before) / before, "%", "<=", 5),
        ]
    return figures


# --------------------------------------------------------------------------------------------------- figures


def requests_figures(seen: Mapping[str, Any], began_s: float, seconds: float) -> list[Figure]:
    samples = [sample for sample in seen["samples"] if sample["began_s"] >= began_s]
    times: dict[str, list[float]] = defaultdict(list)
    new = []
    for sample in samples:
        if sample["cached"]:
            times[sample["kind"]].append(sample["seconds"] * 1e3)
        else:
            new.append(sample["seconds"] * 1e3)
    everything = [each for kind in times.values() for each in kind]
    p50, p95, p99 = (float(each) for each in np.percentile(everything, (50, 95, 99)))
    figures = [
        Figure("requests a second", len(samples) / seconds, "/s"),
        Figure("of them cached", 100 * len(everything) / len(samples), "%"),
        Figure("cached requests: p50", p50, "ms"),
        Figure("cached requests: p95", p95, "ms", "<=", 50),
        Figure("cached requests: p99", p99, "ms"),
    ]
    minute = min(60.0, seconds / 5)
    later = [
        1e3 * sample["seconds"] for sample in samples if sample["cached"] and sample["began_s"] >= began_s + minute
    ]
    figures.append(Figure(f"cached requests after {minute:g} s: p95", float(np.percentile(later, 95)), "ms"))
    figures += [
        Figure(f"cached {kind}: p95 of {len(each):,}", float(np.percentile(each, 95)), "ms")
        for kind, each in sorted(times.items())
    ]
    late_ms = 1e3 * float(np.percentile(seen["late_s"], 95))
    figures.append(Figure("how late the driver itself is: p95", late_ms, "ms"))
    if new:
        figures.append(Figure(f"new requests: p95 of {len(new):,}", float(np.percentile(new, 95)), "ms"))
    return figures


def measure(options: argparse.Namespace, data: Data, team: Team) -> list[Figure]:
    names = list(data.passwords)
    passwords = {name: data.passwords[name] for name in names[: options.sessions]}
    pipe, other_end = multiprocessing.Pipe()
    rest_s = tuple(options.rest)
    driver = multiprocessing.get_context("spawn").Process(
        target=drive, args=(other_end, team.address, passwords, LAYERS, rest_s), daemon=True
    )
    pages = Pages(team, {name: data.passwords[name] for name in names[options.sessions :]}, rest_s)
    driver.start()
    other_end.close()  # so that the end of the driver is noticed
    try:
        if not pipe.poll(_OPEN_WITHIN_S):
            raise RuntimeError(f"The sessions did not open within {_OPEN_WITHIN_S} s.")
        opened = pipe.recv()
        if not isinstance(opened, int):
            raise RuntimeError(f"A session did not open: {opened['errors']}")
        pages.open()
        time.sleep(3)
        assert driver.pid is not None
        began_s = time.monotonic()
        used, driver_s, chromium_s = team.processor_s(), processor_s(driver.pid), _used_s(pages.pids)
        pipe.send(began_s + options.seconds)
        pages.scrub(began_s + options.seconds)
        held = []
        while (at := time.monotonic() - began_s) < options.seconds:
            held.append((at, team.memory_mb()))
            time.sleep(min(SAMPLE_EVERY_S, options.seconds / 20))
        shares = {name: after - used[name] for name, after in team.processor_s().items()}
        shares |= {"driver": processor_s(driver.pid) - driver_s, "Chromium": _used_s(pages.pids) - chromium_s}
        if not pipe.poll(60):
            raise RuntimeError("The sessions did not end.")
        seen = pipe.recv()
        pages.wait()
    finally:
        driver.terminate()
        driver.join(10)
    errors = [*seen["errors"], *pages.errors]
    errors += (f"{name} did not live to the end" for name in held[0][1] if name not in held[-1][1])
    for error, count in Counter(errors).most_common(20):
        print(f"{count} times: {error}", file=sys.stderr)
    settled = sum(sample["kind"] == "callback details" for sample in seen["samples"] if sample["began_s"] >= began_s)
    return [
        Figure("sessions over HTTP", options.sessions, ""),
        Figure("pages in Chromium", options.pages, ""),
        Figure("measured for", options.seconds, "s"),
        Figure("errors", len(errors), "", "<=", 0),
        Figure("times that time settled, a browser and second",
               (settled + pages.settled) / (options.sessions + options.pages) / options.seconds, "/s"),
        *requests_figures(seen, began_s, options.seconds),
        *grown(held, options.seconds),
        *(Figure(f"processor: {name}", 100 * used_s / options.seconds, "% of a core") for name, used_s in shares.items()),
        Figure("cores", os.cpu_count() or 1, ""),
    ]  # fmt: skip


def main() -> None:
    parser = command_line(BENCHMARK)
    parser.add_argument("--seconds", type=float, default=300.0, help="how long to measure (default: %(default)g)")
    parser.add_argument("--sessions", type=int, default=47, help="sessions over HTTP (default: %(default)d)")
    parser.add_argument("--pages", type=int, default=3, help="pages in Chromium (default: %(default)d)")
    parser.add_argument(
        "--rest", type=float, nargs=2, default=(1.0, 3.0), metavar="S", help="rest between drags, least and most"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        data = make_data(Path(name), IMAGES, options.sessions + options.pages)
        with serving(data, WORKERS, MLOSCOPE_TRUSTED_PROXIES="127.0.0.1") as team:
            figures = measure(options, data, team)
    report(BENCHMARK, figures, parser)


if __name__ == "__main__":
    main()
