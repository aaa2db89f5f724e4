"""What the result cache saves: the film of a new image, all feature maps of a layer at 41 checkpoints, asked for twice.

Both times the whole way as a view has it (question, cache, model service over HTTP, quantising, bytes of every chunk), in memory and,
where redis-server is installed, in Redis. The images' arrays come from an ``.npz`` in a temporary folder.
"""

from __future__ import annotations

import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from evaluation import save_run
from figures import Figure, report

from mloscope.app.cache.result_cache import ResultCache
from mloscope.app.films.kinds import FilmQuestion
from mloscope.app.model_service.client import ModelServiceClient
from mloscope.app.model_service.supervisor import ModelServiceProcess
from mloscope.app.web.services import Services
from mloscope.app.workspace.entries import CorpusEntry, RunEntry
from mloscope.app.workspace.workspace import Workspace

IMAGES = 15
WARM_UP = 3
BUDGET_BYTES = 256 << 20


def film_ms(services: Services, image: str) -> float:
    """One film from the question to the bytes of its last chunk, in milliseconds."""
    start = time.perf_counter()
    run = services.workspace.opened_run("run")
    question = FilmQuestion(run, run.layer("conv2"), "features", image=image, corpus="images")
    for lines in services.films.manifest(question):
        for line in lines:
            if "chunk" in line:
                services.films.chunk(line["chunk"]["address"].rsplit("/", 1)[-1])
    return (time.perf_counter() - start) * 1000


def medians(services: Services) -> tuple[float, float]:
    """Milliseconds of the first asking and of the second, medians over the images."""
    names = [f"test-{number}" for number in range(IMAGES)]
    pairs = [(film_ms(services, name), film_ms(services, name)) for name in names][WARM_UP:]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "run").mkdir()
        save_run(folder / "run")
        pixels = np.random.default_rng(0).integers(0, 256, (IMAGES, 28, 28), np.uint8)
        np.savez(folder / "images.npz", x_test=pixels, y_test=np.arange(IMAGES) % 10)
        workspace = Workspace.connect([RunEntry(folder / "run", "run")], [CorpusEntry(folder / "images.npz", "images")])
        service = ModelServiceProcess()
        service.start()
        redis = None
        figures = []
        try:
            while service.state != "ready":
                time.sleep(0.05)
            client = ModelServiceClient(service)
            caches = {"memory": ResultCache.from_settings(None, BUDGET_BYTES)}
            if shutil.which("redis-server"):
                with socket.create_server(("127.0.0.1", 0)) as free:
                    port = free.getsockname()[1]
                redis = subprocess.Popen(
                    ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""],
                    stdout=subprocess.DEVNULL,
                )
                time.sleep(0.5)
                caches["Redis"] = ResultCache.from_settings(f"redis://127.0.0.1:{port}/0", BUDGET_BYTES)
            for place, cache in caches.items():
                first, again = medians(Services.of(workspace, cache, client))
                figures += [
                    Figure(f"{place}: a new image", first, "ms"),
                    Figure(f"{place}: the same again", again, "ms"),
                    Figure(f"{place}: how many times quicker", first / again, "times", ">=", 10),
                ]
        finally:
            service.stop()
            if redis:
                redis.terminate()
                redis.wait()
    report("the film of an image through 41 checkpoints, first and from the cache", figures)


if __name__ == "__main__":
    main()
