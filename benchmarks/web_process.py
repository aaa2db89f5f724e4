"""The web process: how soon it answers, how much memory it holds, and what reading one layer costs beside bare h5py.

    python benchmarks/web_process.py [--json FILE]

``mloscope serve`` runs as a user starts it, on a Keras run and a ResNet-50 that a process of its own makes here. Its
memory is read from /proc, without its child, the model service. For reading, both ways begin with no file open and take
turns; the operating system's cache is warm for both.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from figures import Figure, report

STARTS, ROUNDS = 5, 40
LAYERS = (
    "conv1_conv",
    "conv3_block1_2_conv",
    "conv4_block6_2_conv",
    "conv5_block3_3_conv",
    "conv1_bn",
    "predictions",
)

MAKE_RUNS = """
import sys, keras, numpy as np
small, resnet, images = sys.argv[1:]
layers = keras.layers
model = keras.Sequential([
    keras.Input((28, 28, 1)),
    layers.Conv2D(16, 5, activation="relu", name="conv1"), layers.MaxPooling2D(name="pool1"),
    layers.Conv2D(32, 3, activation="relu", name="conv2"), layers.Flatten(name="flatten"),
    layers.Dense(10, activation="softmax", name="classes"),
])
generator = np.random.default_rng(0)
for step in range(0, 1000, 100):
    model.set_weights([generator.normal(0, 0.1, array.shape) for array in model.get_weights()])
    model.save(f"{small}/step-{step:04}.keras")
keras.applications.ResNet50(weights=None).save(f"{resnet}/resnet50-0001.h5")
pixels = generator.integers(0, 256, (100, 28, 28), dtype=np.uint8)
np.savez(images, images=pixels, labels=np.arange(100) % 10)
"""


@contextmanager
def serving(run: Path, images: Path) -> Iterator[tuple[subprocess.Popen[bytes], str, float]]:
    """The process, its address, and how many seconds passed from its start to its first page."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mloscope.app.commands.cli", "serve", str(run), "--images", str(images)]
    started = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--port", str(port), "--no-browser"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=run.parent, start_new_session=True,
    )  # fmt: skip
    try:
        while True:
            try:
                with urllib.request.urlopen(f"{address}/", timeout=30) as answer:
                    answer.read()
                break
            except (URLError, ConnectionError):
                if process.poll() is not None or time.perf_counter() - started > 60:
                    raise RuntimeError(f"mloscope serve did not answer; it ended with {process.returncode}.") from None
                time.sleep(0.01)
        yield process, address, time.perf_counter() - started
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()


def processor_s(pid: int) -> float:
    """Seconds of processor time that the process, without its children, has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """Megabytes (10^6 bytes) that the process holds in memory."""
    return int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) * 1024 / 1e6


def memory(run: Path, images: Path) -> list[Figure]:
    """After a browser has opened the page with parameters and feature maps, and both films have come."""
    from playwright.sync_api import sync_playwright

    chromium = "/usr/bin/chromium" if os.path.exists("/usr/bin/chromium") else None
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with (
        serving(run, images) as (process, address, _),
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium, args=arguments) as browser,
    ):
        at_start = resident_mb(process.pid)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{address}/#layer=conv2&mode=both")
        for show in ("parameters", "features"):
            place = f'[data-show=\\"{show}\\"]'
            page.wait_for_function(
                f"""() => document.querySelector("{place} canvas.film-canvas[data-state=ready]")
                    && !document.querySelector("{place} .film-status").textContent.includes("loaded")""",
                timeout=90_000,
            )
        page.wait_for_timeout(3000)  # charts of image and unit
        loaded = resident_mb(process.pid)
        mapped = Path(f"/proc/{process.pid}/maps").read_text()
    libraries = sum("tensorflow" in line for line in mapped.splitlines())
    return [
        Figure("memory of the web process at its first answer", at_start, "MB"),
        Figure("memory of the web process with page and films loaded", loaded, "MB", "<=", 150),
        Figure("files of TensorFlow mapped by the web process", libraries, "", "<=", 0),
    ]


def layer_readers(run: Path) -> dict[str, Callable[[str], list[np.ndarray]]]:
    """Ways of reading a layer's arrays: by h5py alone, through the program as if each time were the first, and again."""
    from mloscope.adaptors.interface import RunOptions
    from mloscope.adaptors.models.keras import KerasRun
    from mloscope.adaptors.readers.keras.checkpoints import survey
    from mloscope.adaptors.readers.keras.places import Places
    from mloscope.app.workspace.connected import ConnectedRun
    from mloscope.app.workspace.workspace import Workspace

    file = next(run.glob("*.h5"))
    places: dict[str, list[str]] = {}
    with h5py.File(file) as opened:
        opened["model_weights"].visititems(
            lambda name, item: places.setdefault(name.split("/")[0], []).append(f"model_weights/{name}")
            if isinstance(item, h5py.Dataset) else None
        )  # fmt: skip

    def bare(layer: str) -> list[np.ndarray]:
        with h5py.File(file) as opened:
            return [opened[place][()] for place in places[layer]]

    def through_the_program(clock_ns: int) -> Callable[[str], list[np.ndarray]]:
        adaptor = KerasRun(survey(run, RunOptions()), RunOptions(), Places(lambda: clock_ns))
        workspace = Workspace([ConnectedRun("resnet", run, adaptor)], [])

        def read(layer: str) -> list[np.ndarray]:
            opened_run = workspace.opened_run("resnet")
            return list(opened_run.read(opened_run.checkpoints[0], opened_run.layer(layer)).values())

        return read

    # Places are remembered of files that have not been changed for long: by the first clock no file has, by the second all.
    return {"bare h5py": bare, "first": through_the_program(0), "again": through_the_program(time.time_ns() + 10**12)}


def reading(run: Path) -> list[Figure]:
    """One layer's arrays through the program, and by h5py alone."""
    readers = layer_readers(run)
    figures = []
    for layer in LAYERS:
        times: dict[str, list[float]] = {way: [] for way in readers}
        for number in range(ROUNDS + 2):
            sums = set()
            for way, read in readers.items():
                begun = time.perf_counter()
                arrays = read(layer)
                elapsed_s = time.perf_counter() - begun
                sums.add(float(sum(array.sum(dtype=np.float64) for array in arrays)))
                del arrays
                if number >= 2:
                    times[way].append(elapsed_s)
            assert max(sums) - min(sums) <= 1e-6 * abs(max(sums)), layer  # the order of adding up differs
        figures += [
            Figure(f"ResNet-50 .h5, {layer}: {way}", statistics.median(times[way]) * 1e3, "ms") for way in times
        ]
        for way, asked in (("first", ()), ("again", ("<=", 1.5))):
            ratio = statistics.median(o / b for b, o in zip(times["bare h5py"], times[way], strict=True))
            figures.append(Figure(f"ResNet-50 .h5, {layer}: {way} against bare h5py", ratio, "times", *asked))
    return figures


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        small, resnet, images = Path(folder, "small"), Path(folder, "resnet"), Path(folder, "images.npz")
        small.mkdir()
        resnet.mkdir()
        quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
        subprocess.run([sys.executable, "-c", MAKE_RUNS, small, resnet, images], check=True, env=quiet)
        figures = reading(resnet)
        seconds, processor = [], []
        for _ in range(STARTS):
            with serving(small, images) as (process, _address, elapsed_s):
                seconds.append(elapsed_s)
                processor.append(processor_s(process.pid))
        return [
            Figure(
                "start of mloscope serve to its first page, median",
                statistics.median(seconds),
                "s",
                "<=",
                1.0,
            ),
            Figure("start of mloscope serve to its first page, quickest", min(seconds), "s"),
            Figure("processor time until then, median", statistics.median(processor), "s"),
            *memory(small, images),
            *figures,
        ]


if __name__ == "__main__":
    report("web process", measure())
