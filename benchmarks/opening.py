"""Opening runs of 1,000 small checkpoint files, and translating Caffe's networks into Keras models.

    python benchmarks/opening.py [--json FILE]

Keras makes one small network in a process of its own; its files are copied 1,000 times under names of their own, and so
is a real snapshot of Caffe (``MLOSCOPE_REAL_DATA``, default ../shared/real; without it Caffe's figures are left out). The
first page is everything from opening the run to the answers that a browser asks for first: the page, the run's subject,
its checkpoints and its layers, all in this process, whose modules are loaded. How many files were opened is counted by
the kernel (inotify), not by us. The system's cache is warm.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from figures import Figure, report
from starlette.testclient import TestClient

from mloscope.app.cache.memory_store import MemoryStore
from mloscope.app.cache.result_cache import ResultCache
from mloscope.app.process.settings import Settings
from mloscope.app.web.server import create_app
from mloscope.app.web.services import Services
from mloscope.app.web.subject import subject as subject_of
from mloscope.app.workspace.entries import RunEntry
from mloscope.app.workspace.workspace import Workspace

COUNT, TIMES = 1000, 3
REAL_DATA = Path(os.environ.get("MLOSCOPE_REAL_DATA", Path(__file__).parents[1] / "../shared/real"))
CAFFE = (("cifar10_full", "cifar10_full.prototxt"), ("lenet_mnist_mixed", "lenet.prototxt"))
_MAKE = """
import sys, keras, tensorflow as tf
folder = sys.argv[1]
layers = keras.layers
model = keras.Sequential([
    keras.Input((28, 28, 1)), layers.Conv2D(8, 5, activation="relu"), layers.MaxPooling2D(),
    layers.Conv2D(16, 3, activation="relu"), layers.Flatten(), layers.Dense(10, activation="softmax"),
])
model.compile("adam", "sparse_categorical_crossentropy")
model.train_on_batch(tf.zeros((1, 28, 28, 1)), tf.zeros((1,)))
for suffix in (".keras", ".h5", ".weights.h5"):
    (model.save_weights if "weights" in suffix else model.save)(f"{folder}/model{suffix}")
open(f"{folder}/model.json", "w").write(model.to_json())
tf.train.Checkpoint(model=model).write(f"{folder}/model.ckpt")
"""
_TRANSLATE = """
import sys, time, statistics
from pathlib import Path
from mloscope.adaptors.registry import open_run
import keras
times = []
for turn in range(6):
    run = open_run(Path(sys.argv[1]))
    begun = time.perf_counter()
    run.keras_model()
    times.append(time.perf_counter() - begun)
print(times[0], statistics.median(times[1:]))
"""
_IN_OPEN, _IS_FOLDER = 0x20, 0x40000000


@contextmanager
def openings(folder: Path) -> Iterator[list[str]]:
    """The names of the files of the folder that anybody opened, some more than once; filled at the end. Linux only."""
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_NONBLOCK)
    if watch < 0 or libc.inotify_add_watch(watch, os.fsencode(folder), _IN_OPEN) < 0:
        raise OSError(ctypes.get_errno(), "inotify")
    names: list[str] = []
    try:
        yield names
        while True:
            try:
                events = os.read(watch, 1 << 16)
            except BlockingIOError:
                break
            place = 0
            while place < len(events):
                _, mask, _, length = struct.unpack_from("iIII", events, place)
                if not mask & _IS_FOLDER:
                    names.append(events[place + 16 : place + 16 + length].rstrip(b"\0").decode())
                place += 16 + length
    finally:
        os.close(watch)


def listing_s(folder: Path) -> float:
    """Seconds for listing the folder with every file's size."""
    begun = time.perf_counter()
    with os.scandir(folder) as entries:
        for entry in entries:
            entry.stat()
    return time.perf_counter() - begun


def first_page_s(folder: Path, expected: int) -> tuple[float, float]:
    """Seconds, and seconds of processor time, which a busy machine does not lengthen as much."""
    begun, processor = time.perf_counter(), time.process_time()
    workspace = Workspace.connect([RunEntry(folder, "run")])
    services = Services.of(workspace, ResultCache(MemoryStore(1 << 20)))
    with TestClient(create_app(services, Settings())) as client:
        page = client.get("/")
        subject = subject_of(services.workspace, services.evaluations, "run")
        checkpoints = client.get("/api/v1/runs/run/checkpoints").json()["checkpoints"]
        layers = client.get("/api/v1/runs/run/layers").json()["layers"]
    elapsed_s, processor_s = time.perf_counter() - begun, time.process_time() - processor
    assert page.status_code == 200, page.status_code
    assert layers, folder
    assert len(checkpoints) == len(subject["checkpoints"]) == expected, (len(checkpoints), workspace.runs[0].problem)
    assert not any(checkpoint["problem"] for checkpoint in checkpoints)
    return elapsed_s, processor_s


def opening(name: str, folder: Path, count: int) -> list[Figure]:
    with openings(folder) as opened:
        times = [first_page_s(folder, count)]
    times += [first_page_s(folder, count) for _ in range(TIMES - 1)]
    listing = statistics.median(listing_s(folder) for _ in range(TIMES))
    return [
        Figure(
            f"{name}: first page beyond listing the folder, slowest",
            max(elapsed for elapsed, _ in times) - listing,
            "s",
            "<=",
            1,
        ),
        Figure(f"{name}: processor time of that, slowest", max(processor for _, processor in times), "s"),
        Figure(f"{name}: listing the folder", listing, "s"),
        Figure(f"{name}: different files opened", len(set(opened)), "of 1000", "<=", COUNT / 10),
    ]


def make_runs(folder: Path) -> dict[str, Path]:
    """A folder for each format, with ``COUNT`` checkpoints."""
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run([sys.executable, "-c", _MAKE, folder], check=True, env=quiet, capture_output=True)
    suffixes = {
        ".keras": (".keras",),
        ".h5": (".h5",),
        ".weights.h5": (".weights.h5",),
        "TensorFlow": (".ckpt.index", ".ckpt.data-00000-of-00001"),
    }
    sources = {name: [(folder / f"model{suffix}", suffix) for suffix in known] for name, known in suffixes.items()}
    beside = {".weights.h5": folder / "model.json"}
    caffe = REAL_DATA / "caffe" / "lenet_mnist_mixed"
    if caffe.is_dir():
        sources[".caffemodel"] = [(caffe / "lenet_iter_10000.caffemodel", ".caffemodel")]
        beside[".caffemodel"] = caffe / "lenet.prototxt"
    runs = {}
    for name, files in sources.items():
        runs[name] = folder / f"run{name}"
        runs[name].mkdir()
        if name in beside:
            shutil.copy(beside[name], runs[name])
        for source, suffix in files:
            content = source.read_bytes()
            for step in range(COUNT):
                (runs[name] / f"step-{step:04}{suffix}").write_bytes(content)
    return runs


def translating() -> list[Figure]:
    """Each in a process of its own, Keras loaded: its first network, and the median of the next five."""
    figures = []
    for name, _ in CAFFE:
        folder = REAL_DATA / "caffe" / name
        if folder.is_dir():
            quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
            answer = subprocess.run(
                [sys.executable, "-c", _TRANSLATE, folder], check=True, env=quiet, capture_output=True, text=True
            )
            first, later = (float(number) * 1e3 for number in answer.stdout.split()[-2:])
            figures += [
                Figure(f"translating {name} into Keras, a process's first", first, "ms", "<=", 100),
                Figure(f"translating {name} into Keras, later ones", later, "ms", "<=", 100),
            ]
    return figures


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        runs = make_runs(Path(folder))
        warm = Path(folder, "warm")
        warm.mkdir()
        shutil.copy(Path(folder, "model.keras"), warm / "model-1.keras")
        first_page_s(warm, 1)  # what is imported on the way
        figures = [figure for name, run in runs.items() for figure in opening(name, run, COUNT)]
    return [*figures, *translating()]


if __name__ == "__main__":
    report("opening runs of 1,000 checkpoints", measure())
