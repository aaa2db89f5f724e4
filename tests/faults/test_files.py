"""Files that change under the reader, and a disk that is full. Each test is a row of docs/faults.md."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from team import IMAGES, STEPS, WELL_WITHIN_S, Team, pixels, predicted, until, weights

from mloscope.app.films.encoding import Film

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(400)]

VERSIONS = (2, 20)
"""Seeds of the two networks that step 2 is, in turns."""


# ------------------------------------------------------------------- a checkpoint that is rewritten while it is read


@pytest.fixture(scope="module")
def rewritten_team(subjects: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """A team whose run may be written to."""
    own = tmp_path_factory.mktemp("rewritten")
    shutil.copytree(subjects, own / "subjects")
    with Team(own / "subjects", own, services=1) as team:
        yield team


@pytest.fixture(scope="module")
def versions(rewritten_team: Team) -> dict[int, bytes]:
    """What the file of step 2 holds, by version."""
    import keras

    path = rewritten_team.subjects / "run" / "step-2.keras"
    model = keras.saving.load_model(path)
    found = {}
    for version in VERSIONS:
        model.set_weights(weights(version))
        model.save(path.with_name("made.keras"))
        found[version] = path.with_name("made.keras").read_bytes()
        path.with_name("made.keras").unlink()
    return found


def replaced_at_once(path: Path, content: bytes) -> None:
    made = path.with_name("writing")
    made.write_bytes(content)
    os.replace(made, path)


def written_in_place(path: Path, content: bytes) -> None:
    """As most programs save: the file is empty first, and then grows."""
    with open(path, "wb", buffering=0) as file:
        for start in range(0, len(content), 4096):
            file.write(content[start : start + 4096])
            time.sleep(0.0005)


class Rewriter(threading.Thread):
    """Writes the versions of step 2 in turns until the end of ``with``."""

    def __init__(self, path: Path, versions: dict[int, bytes], write: Callable[[Path, bytes], None]) -> None:
        super().__init__(daemon=True)
        self.path, self.versions, self.write = path, versions, write
        self.ending = threading.Event()
        self.last = VERSIONS[0]
        self.count = 0

    def run(self) -> None:
        pauses = np.random.default_rng(1)
        while not self.ending.wait(float(pauses.uniform(0, 0.15))):
            self.last = VERSIONS[self.count % 2]
            self.write(self.path, self.versions[self.last])
            self.count += 1

    def __enter__(self) -> Rewriter:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        self.join()


def the_version(value: np.ndarray, of: Callable[[int], np.ndarray], tolerance: float) -> int:
    """Which version a value is; a failure where it is none of them, or a mixture."""
    fitting = [v for v in VERSIONS if value.shape == of(v).shape and np.allclose(value, of(v), atol=tolerance)]
    assert len(fitting) == 1, "an answer is one version or the other"
    return fitting[0]


@pytest.mark.parametrize("write", [replaced_at_once, written_in_place])
def test_a_checkpoint_is_rewritten_while_it_is_read(
    rewritten_team: Team,
    versions: dict[int, bytes],
    measured: Callable[..., None],
    write: Callable[[Path, bytes], None],
):
    team = rewritten_team
    kinds = {0: "refused", **{version: f"version {version}" for version in VERSIONS}}
    answers: dict[str, list[str]] = {"arrays": [], "predictions": [], "films": []}
    by_tag: dict[str, bytes] = {}
    sentences: set[str] = set()

    def refused(body: bytes) -> int:
        sentence = json.loads(body)["error"]["message"]
        sentences.add(re.sub(r"/\S+/", "", sentence)[:90])
        assert "step-2.keras" in sentence or "step 2" in sentence, sentence
        return 0

    def array() -> int:
        status, headers, body = team.ask("/api/v1/runs/small/checkpoints/2/layers/conv/parameters?parameter=kernel")
        if status != 200:
            assert status in (409, 422), body
            return refused(body)
        assert by_tag.setdefault(headers["etag"], body) == body, "a tag stands for one content"
        return the_version(np.load(io.BytesIO(body)), lambda version: weights(version)[0], 0)

    def prediction(image: int) -> int:
        answer = team.predictions(image)
        if answer.problem is not None:
            sentences.add(re.sub(r"/\S+/", "", answer.problem)[:90])
            return 0
        for step in (1, 3):
            np.testing.assert_allclose(answer.steps[step], predicted(step, image), atol=1e-5)
        return the_version(np.array(answer.steps[2]), lambda version: predicted(version, image), 1e-5)

    def film() -> int:
        _, _, body = team.ask("/api/v1/runs/small/layers/conv/film")
        lines = [json.loads(line) for line in body.splitlines()]
        assert lines[-1] == {"done": True}, lines[-1]
        for line in lines:
            if "missing" in line:
                assert line["missing"]["step"] == 2
                sentences.add(re.sub(r"/\S+/", "", line["missing"]["reason"])[:90])
                return 0
        chunk = next(line["chunk"] for line in lines if 2 in line.get("chunk", {}).get("steps", ()))
        status, _, content = team.ask(chunk["address"])
        assert status == 200, content
        frame = Film.from_bytes(content).values()[chunk["steps"].index(2), :, :, :, :, 0]
        return the_version(frame, lambda version: weights(version)[0].transpose(3, 2, 0, 1), 0.01)

    path = team.subjects / "run" / "step-2.keras"
    images = [team.unseen_image() for _ in range(4)]
    with Rewriter(path, versions, write) as rewriter:
        ends = time.monotonic() + 15
        while time.monotonic() < ends:
            answers["arrays"].append(kinds[array()])
            answers["films"].append(kinds[film()])
            answers["predictions"].append(kinds[prediction(images[len(answers["predictions"]) % 4])])
            answers["predictions"].append(kinds[prediction(team.unseen_image())])
    gone = time.monotonic()
    last = rewriter.last
    until(
        lambda: {array(), film(), *(prediction(n) for n in images)} == {last},
        "the last version everywhere",
        WELL_WITHIN_S,
    )
    assert rewriter.count > 30
    for what, given in answers.items():
        assert {kinds[v] for v in VERSIONS} <= set(given), f"both versions were seen in {what}"
    measured(
        f"a checkpoint rewritten while it is read, {write.__name__.replace('_', ' ')}",
        well_s=time.monotonic() - gone, rewritten=rewriter.count, sentences=sorted(sentences),
        answers={what: {kind: given.count(kind) for kind in sorted(set(given))} for what, given in answers.items()},
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------- a full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that holds the statistics of one checkpoint and not those of three."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_the_disk_is_full_while_statistics_are_written(
    subjects: Path, small_disk: Path, tmp_path: Path, measured: Callable[..., None]
):
    pytest.importorskip("distributed", reason="needs Dask: make test installs it")
    environment = {"MLOSCOPE_CACHE_FOLDER": str(small_disk)}
    with Team(subjects, tmp_path, services=1, environment=environment) as team:
        state = job(team, "start")
        until(lambda: job(team)["state"] not in ("starting", "running"), "the computation ends", 180)
        state = job(team)
        assert state["state"] == "failed"
        assert "No space left on device" in state["message"], state
        sentence = state["message"]
        ready = statistics_of(team)
        finished = [step for step, is_ready in ready.items() if is_ready]
        assert 0 < len(finished) < len(STEPS), "the disk was too large or too small for this test"
        for step in finished:
            check_statistics(team, step)
        assert team.is_well(), "everything else goes on"

        subprocess.run(["mount", "-o", "remount,size=100m", str(small_disk)], check=True)
        gone = time.monotonic()
        kept = {path: path.stat().st_mtime_ns for path in (small_disk / "statistics" / "planes").glob("*/about.json")}
        assert len(kept) == len(finished)
        job(team, "start")
        began_s = time.monotonic() - gone
        until(lambda: job(team)["state"] == "done", "the computation goes on to its end", 180)
        assert all(statistics_of(team).values())
        for step in STEPS:
            check_statistics(team, step)
        assert {path: path.stat().st_mtime_ns for path in kept} == kept, "what was finished was kept"
        assert not list((small_disk / "statistics").glob("**/*.tmp")), "nothing half-written is left"
        measured("the disk full while statistics are written", well_s=began_s, sentence=sentence, kept=len(finished))


def job(team: Team, action: str | None = None) -> Any:
    path = "/api/v1/runs/small/statistics/job?corpus=noise&split=test"
    if action is None:
        return team.json(path)
    body = {"action": action, "corpus": "noise", "split": "test"}
    status, _, answer = team.ask("/api/v1/runs/small/statistics/job", method="POST", body=body)
    assert status in (200, 202), answer
    return json.loads(answer)


def statistics_of(team: Team) -> dict[int, bool]:
    """By step, whether its statistics are there."""
    overview = team.json("/api/v1/runs/small/statistics?corpus=noise&split=test")
    return {step["step"]: step["state"] == "ready" for step in overview["steps"]}


def check_statistics(team: Team, step: int) -> None:
    """The confusion matrix against one worked out without TensorFlow."""
    cells = team.json(f"/api/v1/runs/small/checkpoints/{step}/confusion?corpus=noise&split=test")["cells"]
    expected = np.zeros((3, 3), int)
    np.add.at(expected, (np.arange(IMAGES) % 3, predicted_classes(step)), 1)
    found = np.zeros((3, 3), int)
    for actual, prediction, count in cells:
        found[actual, prediction] = count
    assert abs(found - expected).sum() <= 2, "but for an image that stands between two classes"


def predicted_classes(step: int) -> np.ndarray:
    """int (image,)"""
    kernel, bias, dense, dense_bias = weights(step)
    windows = np.lib.stride_tricks.sliding_window_view(pixels()[..., 0] / 255.0, (3, 3), axis=(1, 2))
    maps = np.maximum(np.einsum("nrcij,iju->nrcu", windows, kernel[:, :, 0]) + bias, 0)
    return (maps.reshape(len(maps), -1) @ dense + dense_bias).argmax(axis=1)
