"""docker-compose.yml for real: images are built, a team's worth of containers is started, and the parts are asked, cut and killed.

Takes minutes, so only `make test-compose` runs it, and only where a Docker engine answers. Where no image registry is reached,
stand-ins for the two base images must be there first. MLOSCOPE_BUILD_NETWORK=host builds where the bridge reaches nothing.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import urllib3

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 240.0

pytestmark = [pytest.mark.compose, pytest.mark.slow]


def _program(name: str) -> str | None:
    debians = Path("/usr/bin") / name
    return str(debians) if debians.exists() else shutil.which(name)


def _reason_to_skip() -> str | None:
    if os.environ.get("MLOSCOPE_TEST_COMPOSE") != "1":
        return "takes minutes: only make test-compose runs it"
    docker, compose = _program("docker"), _program("docker-compose")
    if docker is None or compose is None:
        return "docker and docker-compose are not both installed"
    if subprocess.run([docker, "info"], capture_output=True).returncode != 0:
        return "no Docker engine answers"
    return None


def _until(true: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """What ``true()`` gives as soon as it is not falsy; a failure naming ``what`` after so many seconds."""
    ends = time.monotonic() + patience_s
    while True:
        try:
            found = true()
        except (urllib3.exceptions.HTTPError, OSError):
            found = None
        if found:
            return found
        if time.monotonic() > ends:
            pytest.fail(f"{what}: not within {patience_s:g} s")
        time.sleep(0.5)


class Team:
    """The composition as it runs."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.project = f"mloscope-test-{secrets.token_hex(4)}"
        self.token = ""
        self.environment = {
            **os.environ,
            "MLOSCOPE_RUNS": str(folder / "runs"),
            "MLOSCOPE_CORPORA": str(folder / "corpora"),
            "MLOSCOPE_PUBLISH": f"127.0.0.1:{port}",
            "MLOSCOPE_REDIS_PASSWORD": secrets.token_hex(8),
            "MLOSCOPE_MODEL_SERVICE_TOKEN": secrets.token_hex(8),
        }
        self._http = urllib3.PoolManager(retries=False, timeout=60)

    def compose(self, *arguments: str, patience_s: float = 1500) -> str:
        done = subprocess.run(
            [str(_program("docker-compose")), "--project-name", self.project, *arguments],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=patience_s,
        )  # fmt: skip
        assert done.returncode == 0, (
            f"docker-compose {' '.join(arguments)}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        )
        return done.stdout

    def docker(self, *arguments: str) -> str:
        return subprocess.run(
            [str(_program("docker")), *arguments], capture_output=True, text=True, timeout=60, check=True
        ).stdout

    def containers(self, service: str) -> list[str]:
        return self.compose("ps", "-q", service).split()

    def ask(self, path: str, *, token: str | None = None, method: str = "GET", body: Any = None) -> tuple[int, Any]:
        headers = {"authorization": f"Bearer {self.token if token is None else token}", "x-mloscope": "1"}
        answer = self._http.request(
            method, f"http://127.0.0.1:{self.port}{path}", headers=headers, json=body, redirect=False
        )
        return answer.status, json.loads(answer.data) if "json" in answer.headers.get(
            "content-type", ""
        ) else answer.data

    def api(self, path: str) -> Any:
        status, answer = self.ask(f"/api/v1/{path}")
        assert status == 200, (path, status, answer)
        return answer


def _train(folder: Path) -> None:
    """Three moments of a very small network, and nothing learnt."""
    import keras

    folder.mkdir()
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(4, 3, activation="relu", name="conv"),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation="softmax", name="classes"),
        ]
    )
    for step in (1, 2, 3):
        keras.utils.set_random_seed(step)
        for variable in model.trainable_variables:
            variable.assign(np.random.default_rng(step).normal(size=variable.shape))
        model.save(folder / f"step-{step}.keras")


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    reason = _reason_to_skip()
    if reason:
        pytest.skip(reason)
    pytest.importorskip("keras")
    folder = tmp_path_factory.mktemp("team")
    for name in ("runs", "corpora"):
        (folder / name).mkdir()
    _train(folder / "runs" / "small")
    generator = np.random.default_rng(0)
    np.savez(
        folder / "corpora" / "noise.npz",
        x_test=generator.integers(0, 256, (200, 8, 8, 1), np.uint8), y_test=generator.integers(0, 3, 200),
    )  # fmt: skip
    subprocess.run(["chmod", "-R", "a+rX", str(folder)], check=True)
    for parent in (folder, *folder.parents):
        if parent != Path("/") and parent.stat().st_uid == os.getuid() and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)  # the containers' user is somebody else
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    team = Team(folder, port)
    try:
        team.compose("build")
        made = team.compose(
            "run", "--rm", "--no-deps", "-T", "web", "mloscope", "token", "add", "test", "--role", "editor"
        )
        team.token = re.search(r"mloscope_\S+", made)[0]  # type: ignore[index]
        team.compose("up", "-d")
        _until(lambda: team.ask("/readyz")[0] == 200, "the web process is ready")
        yield team
    finally:
        team.compose("logs", "--no-color", "--tail", "40")
        team.compose("down", "--volumes", "--timeout", "5")


def test_runs_and_corpora_of_the_folders_are_there(team: Team):
    assert [run["name"] for run in team.api("runs")["runs"]] == ["small"]
    assert [corpus["name"] for corpus in team.api("corpora")["corpora"]] == ["noise"]


def test_nobody_comes_in_without_a_token(team: Team):
    status, answer = team.ask("/api/v1/runs", token="mloscope_wrong")
    assert status == 401
    assert "error" in answer


def _predictions(team: Team, image: str) -> Any:
    status, answer = team.ask(f"/api/v1/runs/small/predictions/{image}?corpus=noise")
    return answer if status == 200 and not answer["missing"] else None


def test_the_model_service_evaluates_every_checkpoint(team: Team):
    image = team.api("corpora/noise/images?limit=1")["images"][0]["id"]
    answer = _until(lambda: _predictions(team, image), "predictions of an image")
    assert answer["steps"] == [1, 2, 3]
    assert np.sum(answer["probabilities"], axis=1) == pytest.approx([1, 1, 1], abs=1e-5)


def test_a_run_that_is_added_while_it_is_up_appears_and_one_that_is_removed_says_so(team: Team):
    shutil.copytree(team.folder / "runs" / "small", team.folder / "runs" / "later")
    _until(lambda: "later" in [run["name"] for run in team.api("runs")["runs"]], "the added run", 30)
    shutil.rmtree(team.folder / "runs" / "later")

    def gone() -> bool:
        problems = {run["name"]: run["problem"] for run in team.api("runs")["runs"]}
        return "is gone" in str(problems.get("later"))

    _until(gone, "the removed run says that it is gone", 30)


def test_of_two_model_services_one_may_die(team: Team):
    team.compose("up", "-d", "--no-recreate", "--scale", "model-service=2")
    first, second = _until(
        lambda: len(found := team.containers("model-service")) == 2 and found, "a second model service"
    )
    images = [record["id"] for record in team.api("corpora/noise/images?limit=40")["images"]]
    team.docker("kill", first)
    for image in images[10:30]:
        _until(lambda image=image: _predictions(team, image), "predictions with one service dead", 20)
    assert second in team.containers("model-service")


def test_without_redis_answers_go_on_and_with_it_again_too(team: Team):
    (redis,) = team.containers("redis")
    images = [record["id"] for record in team.api("corpora/noise/images?limit=60")["images"]]
    team.docker("pause", redis)
    try:
        _until(lambda: _predictions(team, images[40]), "predictions while Redis hangs", 30)
    finally:
        team.docker("unpause", redis)
    _until(lambda: _predictions(team, images[41]), "predictions after Redis is back", 10)


def test_statistics_are_computed_by_the_workers_and_kept(team: Team):
    body = {"action": "start", "corpus": "noise", "split": "test"}
    status, answer = team.ask("/api/v1/runs/small/statistics/job", method="POST", body=body)
    assert status in (200, 202), answer

    def ready() -> bool:
        overview = team.api("runs/small/statistics?corpus=noise&split=test")
        return all(step["state"] == "ready" for step in overview["steps"])

    _until(ready, "statistics of every checkpoint", 180)
    cells = team.api("runs/small/checkpoints/3/confusion?corpus=noise&split=test")["cells"]
    assert sum(count for _actual, _predicted, count in cells) == 200


def test_only_the_web_process_can_be_reached_from_outside(team: Team):
    for service in ("redis", "model-service", "scheduler", "statistics-worker"):
        for container in team.containers(service):
            about = json.loads(team.docker("inspect", container))[0]
            assert not any((about["NetworkSettings"]["Ports"] or {}).values()), service
            networks = about["NetworkSettings"]["Networks"]
            assert [name.rpartition("_")[2] for name in networks] == ["inside"], service
    inside = json.loads(team.docker("network", "inspect", f"{team.project}_inside"))[0]
    assert inside["Internal"] is True


def test_redis_wants_its_password_and_keeps_to_its_memory(team: Team):
    (redis,) = team.containers("redis")
    refused = subprocess.run(
        [str(_program("docker")), "exec", "-e", "REDISCLI_AUTH=", redis, "redis-cli", "ping"],
        capture_output=True,
        text=True,
    )
    assert "NOAUTH" in refused.stdout + refused.stderr
    assert "allkeys-lru" in team.docker("exec", redis, "redis-cli", "config", "get", "maxmemory-policy")


def test_containers_run_as_nobody_special_on_a_file_system_they_cannot_write(team: Team):
    for service in ("web", "model-service", "scheduler", "statistics-worker"):
        container = team.containers(service)[0]
        about = json.loads(team.docker("inspect", container))[0]
        assert about["HostConfig"]["ReadonlyRootfs"] is True, service
        assert about["Config"]["User"] == "mloscope", service
        assert about["HostConfig"]["CapDrop"] == ["ALL"], service
        written = subprocess.run(
            [str(_program("docker")), "exec", container, "sh", "-c", "touch /opt/mloscope/x || touch /runs/x"],
            capture_output=True,
        )
        assert written.returncode != 0, service


def test_the_web_image_has_no_tensorflow(team: Team):
    found = subprocess.run(
        [str(_program("docker")), "exec", team.containers("web")[0], "python", "-c", "import tensorflow"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert "ModuleNotFoundError" in found.stderr
