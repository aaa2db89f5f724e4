"""The web process as ``mloscope serve`` runs it, on a port of this machine, over real files; only the network's evaluation is
made up, and jobs start nothing.

    <root>/lab/        the workspace: runs/digits, runs/other, corpora/pictures
    <root>/cache/      statistics
    <root>/secrets/    what nobody may read: every file holds SECRET; <root>/lab/secret.txt as well, which no run and no corpus has
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dash
import h5py
import numpy as np
from PIL import Image
from raw_http import RawClient

SECRET = "swordfish-4711"
PASSWORD = "correct horse"
STEPS = (0, 10, 20, 30)
DAMAGED_STEP = 30
LAYERS = (
    ("InputLayer", {"batch_shape": [None, 8, 8, 3], "name": "image"}),
    ("Conv2D", {"name": "block/conv", "filters": 4, "kernel_size": [3, 3], "strides": [1, 1], "padding": "same",
                "activation": "relu", "use_bias": True}),
    ("Flatten", {"name": "flatten"}),
    ("Dense", {"name": "classes", "units": 3, "activation": "softmax", "use_bias": True}),
)  # fmt: skip
SHAPES = {"image": (8, 8, 3), "block/conv": (8, 8, 4), "flatten": (256,), "classes": (3,)}
CLASSES = ("ant", "bee", "größe & <b>cat")
RUNS = ("digits", "other")
CORPUS = "pictures"


class Faults(logging.Handler):
    """Errors that were logged: each is a fault, for what visitors do wrong is none."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(logging.Formatter().format(record))


class MadeUpService:
    """Evaluates by a formula and counts what it is asked."""

    def __init__(self) -> None:
        self.evaluated = 0

    def evaluate(
        self, spec: Any, steps: Sequence[int], layers: Sequence[str], image: np.ndarray, priority: int = 0
    ) -> Any:
        from mloscope.app.model_service.client import Evaluation

        self.evaluated += len(steps)
        arrays = {}
        for layer in layers:
            places = np.arange(np.prod(SHAPES[layer]))
            rows = [np.sin(places * (len(layer) + 1) + step + float(image.sum())) for step in steps]
            values = np.array(rows, np.float32)
            if layer == "classes":
                values = np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)
            arrays[layer] = values.reshape(len(steps), *SHAPES[layer])
        return Evaluation(arrays, steps, {})

    def pictures(
        self,
        spec: Any,
        steps: Sequence[int],
        method: str,
        asked: Any,
        before: np.ndarray | None = None,
        priority: int = 0,
    ) -> Any:
        from mloscope.app.model_service.client import Pictures

        self.evaluated += len(steps)
        units = len(asked.options.get("units", (0,)))
        values = np.ones((len(steps), *asked.image.shape, units), np.float32)
        return Pictures(tuple(steps), values, {step: {"activation": [1.0] * units} for step in steps}, {})


@dataclass
class CountedJobs:
    """Takes every order and starts nothing."""

    orders: Counter[tuple[str, ...]] = field(default_factory=Counter)

    def state(self, run: str, corpus: str, split: str) -> dict[str, Any]:
        return {"state": "none", "notices": []}

    def act(self, action: str, run: str, corpus: str, split: str, *_more: Any) -> dict[str, Any]:
        self.orders[action, run, corpus, split] += 1
        return self.state(run, corpus, split)

    def subjects(self) -> tuple[tuple[str, str, str], ...]:
        return ()


@dataclass
class TargetServer:
    root: Path
    port: int
    services: Any
    users: Any
    service: MadeUpService
    jobs: CountedJobs
    faults: Faults
    callbacks: dict[str, Any]
    """Dash's, by their outputs."""
    document: dict[str, Any]
    """The OpenAPI document."""
    _tokens: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def headers(self, role: str | None) -> dict[str, str]:
        """What somebody of a role sends: ``editor``, ``viewer``, or None for nobody."""
        if role is None:
            return {}
        if role not in self._tokens:
            self._tokens[role] = self.users.add_token(role, role)
        return {"Authorization": f"Bearer {self._tokens[role]}"}

    @contextlib.contextmanager
    def visitor(self, role: str | None = "editor", **headers: str) -> Iterator[RawClient]:
        client = RawClient(self.port, {**self.headers(role), **headers})
        try:
            yield client
        finally:
            client.close()


def write_run(folder: Path, seed: int, damaged: Sequence[int] = ()) -> None:
    """A folder as Keras 3 leaves it, with a log of the training; files of ``damaged`` steps end early."""
    folder.mkdir(parents=True)
    layers = [{"class_name": kind, "config": config} for kind, config in LAYERS]
    (folder / "model.json").write_text(
        json.dumps({"class_name": "Sequential", "config": {"name": "small", "layers": layers}})
    )
    (folder / "log.csv").write_text("epoch,loss,accuracy\n0,2.5,0.1\n1,1.5,0.4\n2,nan,0.5\n")
    random = np.random.default_rng(seed)
    for step in STEPS:
        path = folder / f"step_{step:04d}.weights.h5"
        with h5py.File(path, "w") as file:
            for group, name, shapes in (
                ("conv2d", "block/conv", [(3, 3, 3, 4), (4,)]),
                ("dense", "classes", [(256, 3), (3,)]),
            ):
                variables = file.create_group(f"layers/{group}/vars")
                variables.attrs["name"] = name
                for number, shape in enumerate(shapes):
                    variables[str(number)] = random.normal(size=shape).astype(np.float32)
        if step in damaged:
            path.write_bytes(path.read_bytes()[:3000])


def write_pictures(folder: Path) -> None:
    """Pictures in splits and classes, 2 to train and 4 to test for each class, one of them broken."""
    random = np.random.default_rng(3)
    for split, count in (("train", 2), ("test", 4)):
        for name in CLASSES:
            place = folder / split / name
            place.mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 256, (9, 8, 3), np.uint8)
                Image.fromarray(pixels).save(place / f"no {number}%41.png")
    (folder / "test" / CLASSES[0] / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")


def write_secrets(root: Path) -> None:
    """Files that nothing in the workspace names, each of a kind that a reader would read, and each with SECRET in it."""
    folder = root / "secrets"
    folder.mkdir()
    for path in (folder / "passwd", folder / ".env", root / "lab" / "secret.txt", root / "lab" / "runs" / "secret.txt"):
        path.write_text(f"root:{SECRET}\n")
    (folder / "secret.json").write_text(json.dumps({SECRET: [SECRET]}))
    (folder / "secret.csv").write_text(f"step,{SECRET}\n1,2\n")
    with h5py.File(folder / "step_0099.weights.h5", "w") as file:
        file.attrs[SECRET] = SECRET
    Image.fromarray(np.full((8, 8), 7, np.uint8)).save(folder / "secret.png")


def write_users(path: Path) -> Any:
    """Anna, an editor, and Vera, a viewer, with hashes that are quick to check."""
    from mloscope.app.accounts.users import UserFile

    users = UserFile(path)
    users.put_user("anna", None, "editor")
    users.put_user("vera", None, "viewer")
    contents = json.loads(path.read_text())
    for name, user in contents["users"].items():
        hashed = hashlib.scrypt(PASSWORD.encode(), salt=name.encode(), n=16, r=1, p=1, dklen=32)
        user["password"] = ":".join(
            ("scrypt:16:1:1", *(base64.b64encode(part).decode() for part in (name.encode(), hashed)))
        )
    path.write_text(json.dumps(contents))
    return UserFile(path)


def write_statistics(statistics: Any, corpus: Any) -> None:
    """Of three steps of both runs over the test split, with clusters and a map."""
    from mloscope.app.statistics.clusters.clustering import cluster_run

    positions, classes = corpus.splits["test"], len(corpus.class_names)
    actual = np.asarray(corpus.labels)[positions.start : positions.stop]
    for run in RUNS:
        checkpoints = statistics.workspace.opened_run(run).checkpoints
        for checkpoint in checkpoints:
            if checkpoint.step == DAMAGED_STEP:
                continue
            random = np.random.default_rng([checkpoint.step, len(run)])
            powers = np.exp(random.normal(size=(len(positions), classes))).astype(np.float32)
            powers /= powers.sum(axis=1, keepdims=True)
            key = statistics.identity.step(run, checkpoint, CORPUS, "test")
            plane = statistics.store.begin(key, {"images": len(positions), "classes": classes}, actual)
            plane.write(0, len(positions), powers)
            plane.finish()
        series = statistics.identity.series(run, CORPUS, "test")
        cluster_run(statistics.store, series, list(statistics.of(run).ready.items()), 2)


@contextlib.contextmanager
def served(root: Path, prepare: Callable[[Path], None] = lambda _root: None, **settings: Any) -> Iterator[TargetServer]:
    """Everything under the folder, served to editors and viewers. ``prepare(root)`` may add to it before it is opened."""
    from mloscope.app.cache.memory_store import MemoryStore
    from mloscope.app.cache.result_cache import ResultCache
    from mloscope.app.process.settings import Settings
    from mloscope.app.serving.serving import _server_config
    from mloscope.app.statistics.queries import Statistics
    from mloscope.app.statistics.stored.store import StatisticsStore
    from mloscope.app.web.access.allowances import EvaluationCharge
    from mloscope.app.web.access.prometheus import Metrics
    from mloscope.app.web.server import create_guarded_app
    from mloscope.app.web.services import Services
    from mloscope.app.workspace.entries import CorpusEntry, RunEntry
    from mloscope.app.workspace.run_labels import RunLabelsStore
    from mloscope.app.workspace.saved_views import SavedViews
    from mloscope.app.workspace.workspace import Workspace

    lab = root / "lab"
    for number, name in enumerate(RUNS):
        write_run(lab / "runs" / name, number, damaged=(DAMAGED_STEP,))
    write_pictures(lab / "corpora" / CORPUS)
    write_secrets(root)
    prepare(root)
    chosen = replace(
        Settings(users_file=str(root / "users.json"), cache_folder=str(root / "cache"), evaluations_a_minute=0),
        **settings,
    )
    users = write_users(root / "users.json")
    workspace = Workspace.connect(
        [*(RunEntry(lab / "runs" / name, name) for name in RUNS), RunEntry(lab / "runs" / "lost", "lost")],
        [CorpusEntry(lab / "corpora" / CORPUS, CORPUS), CorpusEntry(lab / "corpora" / "lost", "lost")],
    )
    workspace.saved_views, workspace.labels = SavedViews(root / "cache"), RunLabelsStore(root / "cache")
    service, jobs = MadeUpService(), CountedJobs()
    statistics = Statistics(workspace, StatisticsStore(root / "cache"), jobs)
    write_statistics(statistics, workspace.opened_corpus(CORPUS).adaptor)
    metrics = Metrics(lambda: services.vitals())
    services = Services.of(
        workspace,
        ResultCache(MemoryStore(1 << 26)),
        service,
        charge=EvaluationCharge(chosen.evaluations_a_minute, metrics.evaluated),
        statistics=statistics,
    )
    application = create_guarded_app(services, chosen, metrics)
    callbacks = dash.get_app().callback_map
    faults = Faults()
    logging.getLogger().addHandler(faults)
    try:
        with listening(_server_config(application, chosen)) as port:
            found = TargetServer(root, port, services, users, service, jobs, faults, callbacks, {})
            with found.visitor() as editor:
                found.document = editor.ask("/api/openapi.json").json()
            yield found
    finally:
        logging.getLogger().removeHandler(faults)


@contextlib.contextmanager
def listening(config: Any) -> Iterator[int]:
    """The server of a uvicorn configuration on a free port of this machine, in a thread; gives the port."""
    import uvicorn

    config.host, config.port = "127.0.0.1", 0
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="target", daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server does not start"
        time.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)
