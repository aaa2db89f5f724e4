"""docker-compose.yml for real: images are built, a team's worth of containers is started, and the parts are asked, cut and killed.

Takes minutes, so only `make test-compose` runs it, and only where a Docker engine answers. Where no image registry is reached,
stand-ins for the two base images must be there first. MLOSCOPE_BUILD_NETWORK=host builds where the bridge reaches nothing.
What can be seen without an engine, test_compose_file.py sees.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import urllib3

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 240.0
WELL_AGAIN_S = 10.0
"""How long after its cause is gone a fault may be felt."""
SERVICES = ("redis", "model-service", "web", "scheduler", "statistics-worker")
OURS = SERVICES[1:]
MOST_ABOVE_BASE_MB = {"mloscope-web": 460, "mloscope-model-service": 1300}
PYTHON_IMAGE = "python:3.11-slim-bookworm"

pytestmark = [pytest.mark.compose, pytest.mark.slow]


def _program(name: str) -> str | None:
    debians = Path("/usr/bin") / name
    return str(debians) if debians.exists() else shutil.which(name)


def _compose() -> list[str] | None:
    """Docker's plugin where it is installed, else docker-compose 1.29."""
    docker, old = _program("docker"), _program("docker-compose")
    if docker and subprocess.run([docker, "compose", "version"], capture_output=True).returncode == 0:
        return [docker, "compose"]
    return [old] if docker and old else None


def _reason_to_skip() -> str | None:
    if os.environ.get("MLOSCOPE_TEST_COMPOSE") != "1":
        return "takes minutes: only make test-compose runs it"
    if _compose() is None:
        return "docker and its compose are not both installed"
    if subprocess.run([str(_program("docker")), "info"], capture_output=True).returncode != 0:
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
        self.states: dict[str, str] = {}
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
            [*(_compose() or ()), "--project-name", self.project, *arguments],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=patience_s,
        )  # fmt: skip
        assert done.returncode == 0, f"compose {' '.join(arguments)}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def docker(self, *arguments: str) -> str:
        return subprocess.run(
            [str(_program("docker")), *arguments], capture_output=True, text=True, timeout=60, check=True
        ).stdout

    def containers(self, service: str) -> list[str]:
        """Of the service, those that were not killed."""
        wanted = [f"label=com.docker.compose.project={self.project}", f"label=com.docker.compose.service={service}"]
        wanted += [f"status={status}" for status in ("running", "paused", "restarting")]
        return self.docker("ps", "-aq", *(word for each in wanted for word in ("--filter", each))).split()

    def scale(self, service: str, count: int) -> list[str]:
        """So many containers of it; those of others are left as they are."""
        self.compose("up", "-d", "--no-recreate", "--no-deps", "--scale", f"{service}={count}", service)
        return list(_until(lambda: len(found := self.containers(service)) == count and found, f"{count} of {service}"))

    def container(self, service: str) -> dict[str, Any]:
        """What Docker says of the service's first container."""
        return dict(json.loads(self.docker("inspect", self.containers(service)[0]))[0])

    def inside(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run it in the service's first container, as whoever the service runs as."""
        return subprocess.run(
            [str(_program("docker")), "exec", self.containers(service)[0], *command],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    def logs(self, service: str) -> str:
        return self.compose("logs", "--no-color", service)

    def metric(self, name: str) -> float:
        """The sum over its labels."""
        _status, text = self.ask("/metrics")
        found = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text.decode(), re.MULTILINE)
        return sum(map(float, found))

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
        team.compose("build", "web", "model-service")  # the others are of the same image
        made = team.compose(
            "run", "--rm", "--no-deps", "-T", "web", "mloscope", "token", "add", "test", "--role", "editor"
        )
        team.token = re.search(r"mloscope_\S+", made)[0]  # type: ignore[index]
        team.compose("up", "-d")
        _until(lambda: team.ask("/readyz")[0] == 200, "the web process is ready")
        yield team
    finally:
        print(team.compose("logs", "--no-color", "--tail", "40"))
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
        return "was removed" in str(problems.get("later"))

    _until(gone, "the removed run is shown as removed", 30)


def _images(team: Team, first: int, count: int) -> list[str]:
    """Ids of images; each test takes others, so that no answer is in the cache."""
    found = team.api(f"corpora/noise/images?offset={first}&limit={count}")["images"]
    return [image["id"] for image in found]


def _well_again(team: Team, image: str, what: str) -> None:
    """Within :data:`WELL_AGAIN_S` from now. ``image`` was never asked for."""
    began = time.monotonic()
    _until(lambda: _predictions(team, image), what, WELL_AGAIN_S)
    print(f"{what}: {time.monotonic() - began:.1f} s")


def test_every_service_is_healthy(team: Team):
    def healthy() -> bool:
        team.states = {service: team.container(service)["State"]["Health"]["Status"] for service in SERVICES}
        return set(team.states.values()) == {"healthy"}

    _until(healthy, "all services healthy", 90)


def test_the_same_question_of_ten_browsers_costs_one_evaluation(team: Team):
    image = _images(team, 1, 1)[0]
    browsers: dict[str, list[urllib3.HTTPConnectionPool]] = {}
    headers = {"authorization": f"Bearer {team.token}"}
    for _ in range(200):  # which of the processes that listen takes a connection is a matter of chance
        browser = urllib3.HTTPConnectionPool("127.0.0.1", team.port, maxsize=1, retries=False, timeout=60)
        page = browser.request("GET", "/status", headers=headers).data.decode()
        process = re.search(r"\bprocess\s+(\d+)", re.sub(r"<[^>]*>", " ", page))
        assert process, "/status says which process answered"
        browsers.setdefault(process[1], []).append(browser)
        if len(browsers) == 2 and all(len(each) >= 5 for each in browsers.values()):
            break
    assert len(browsers) == 2, "two processes answer"
    ten = [browser for each in browsers.values() for browser in each[:5]]
    assert len(ten) == 10
    before = team.metric("mloscope_model_service_evaluations_total")
    together = threading.Barrier(len(ten))

    def ask(browser: urllib3.HTTPConnectionPool) -> tuple[int, bytes]:
        together.wait(30)
        answer = browser.request("GET", f"/api/v1/runs/small/predictions/{image}?corpus=noise", headers=headers)
        return answer.status, answer.data

    with ThreadPoolExecutor(len(ten)) as pool:
        answers = set(pool.map(ask, ten))
    assert [status for status, _ in answers] == [200], "all ten have the same answer"
    assert team.metric("mloscope_model_service_evaluations_total") - before == 3, "three checkpoints, each once"


def test_a_request_has_one_number_in_all_logs(team: Team):
    number = secrets.token_hex(8)
    image = _images(team, 2, 1)[0]
    headers = {"authorization": f"Bearer {team.token}", "x-request-id": number}
    address = f"http://127.0.0.1:{team.port}/api/v1/runs/small/predictions/{image}?corpus=noise"
    assert urllib3.request("GET", address, headers=headers).headers["x-request-id"] == number
    for service, path in (("web", f"/api/v1/runs/small/predictions/{image}"), ("model-service", "/evaluate")):
        lines = [line.partition("{") for line in team.logs(service).splitlines() if number in line]
        assert path in [json.loads(brace + line).get("path") for _name, brace, line in lines], service


def test_pages_find_all_that_they_load(team: Team, chromium: Any):
    """Scripts, styles, charts, callbacks: so nothing was left out of the image that a browser asks for."""
    context = chromium.new_context(extra_http_headers={"authorization": f"Bearer {team.token}"})
    page, refused = context.new_page(), []
    page.on("response", lambda answer: answer.status >= 400 and refused.append((answer.status, answer.url)))
    try:
        for path, chart in (("/", "canvas"), ("/compare", ".js-plotly-plot .main-svg"), ("/confusion", "h1, h2")):
            page.goto(f"http://127.0.0.1:{team.port}{path}")
            page.locator(chart).first.wait_for(timeout=30_000, state="attached")
    finally:
        context.close()
    assert refused == []


def test_a_web_process_that_is_killed_comes_back(team: Team):
    # "spawn" and "main" apart, or it would find itself.
    list_processes = (
        "from pathlib import Path; commands = Path('/proc').glob('[0-9]*/cmdline'); "
        "print(*[path.parent.name for path in commands if b'spawn_' + b'main' in path.read_bytes()])"
    )

    def workers() -> set[str]:
        return set(team.inside("web", "python", "-c", list_processes).stdout.split())

    before = workers()
    assert len(before) == 2
    (image,) = _images(team, 3, 1)
    assert team.inside("web", "sh", "-c", f"kill -9 {min(before)}").returncode == 0
    _well_again(team, image, "one of two web processes was killed")
    _until(lambda: len(workers() - before) == 1, "another web process in its place", WELL_AGAIN_S)


def test_the_whole_web_service_comes_back(team: Team):
    (image,), container = _images(team, 4, 1), team.containers("web")
    starts = team.container("web")["RestartCount"]
    team.inside("web", "sh", "-c", "kill -9 $(cut -d' ' -f1 /proc/1/task/1/children)")  # what init started
    _until(lambda: team.container("web")["RestartCount"] == starts + 1, "Docker starts it again", 30)
    _well_again(team, image, "the web service was killed")
    assert team.containers("web") == container


def test_a_model_service_that_hangs_is_well_when_it_goes_on(team: Team):
    hangs, asked, after = _images(team, 5, 3)
    (service,) = team.containers("model-service")
    team.docker("pause", service)
    try:
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(team.ask, f"/api/v1/runs/small/predictions/{hangs}?corpus=noise")
            _until(lambda: team.ask("/readyz")[0] == 503, "it is said that the model service does not answer", 30)
            assert team.api("runs/small")["name"] == "small", "what needs no evaluation goes on"
            status, said = answer.result(60)
        assert (status, "model service" in said["error"]["message"]) == (503, True), said
    finally:
        team.docker("unpause", service)
    _well_again(team, asked, "the model service hung")
    assert _predictions(team, after)


def test_a_network_that_is_cut_is_well_when_it_is_whole(team: Team):
    cut, asked = _images(team, 8, 2)
    (service,) = team.containers("model-service")
    network = f"{team.project}_inside"
    team.docker("network", "disconnect", network, service)
    try:
        _until(lambda: team.ask("/readyz")[0] == 503, "it is said that the model service does not answer", 30)
        status, said = team.ask(f"/api/v1/runs/small/predictions/{cut}?corpus=noise")
        assert (status, "model service" in said["error"]["message"]) == (503, True), said
    finally:
        team.docker("network", "connect", "--alias", "model-service", network, service)
    _well_again(team, asked, "the network was cut")


def test_redis_that_comes_back_empty_costs_nothing_but_time(team: Team):
    before, after = _images(team, 10, 2)
    known = _until(lambda: _predictions(team, before), "predictions")
    starts = team.container("redis")["RestartCount"]
    team.inside("redis", "redis-cli", "shutdown", "nosave")
    _until(lambda: team.container("redis")["RestartCount"] == starts + 1, "Docker starts Redis again", 30)
    _well_again(team, after, "Redis came back empty")
    assert _predictions(team, before)["probabilities"] == known["probabilities"]


def test_of_two_model_services_one_may_die(team: Team):
    first, second = team.scale("model-service", 2)
    team.docker("kill", first)
    for image in _images(team, 20, 20):
        _until(lambda image=image: _predictions(team, image), "predictions with one service dead", 20)
    assert second in team.containers("model-service")


def test_without_redis_answers_go_on_and_with_it_again_too(team: Team):
    (redis,) = team.containers("redis")
    meanwhile, after = _images(team, 40, 2)
    team.docker("pause", redis)
    try:
        _until(lambda: _predictions(team, meanwhile), "predictions while Redis hangs", 30)
    finally:
        team.docker("unpause", redis)
    _well_again(team, after, "Redis hung")


def test_statistics_are_computed_by_the_workers_and_kept(team: Team):
    team.scale("statistics-worker", 2)
    count_workers = (
        "import re, urllib.request; print(sum(map(float, re.findall(r'^dask_scheduler_workers\\{.*\\} (.*)$', "
        "urllib.request.urlopen('http://127.0.0.1:8787/metrics').read().decode(), re.M))))"
    )
    _until(lambda: float(team.inside("scheduler", "python", "-c", count_workers).stdout or 0) == 2, "two workers", 60)
    body = {"action": "start", "corpus": "noise", "split": "test"}
    status, answer = team.ask("/api/v1/runs/small/statistics/job", method="POST", body=body)
    assert status in (200, 202), answer
    team.docker("kill", team.containers("statistics-worker")[0])

    def ready() -> bool:
        overview = team.api("runs/small/statistics?corpus=noise&split=test")
        return all(step["state"] == "ready" for step in overview["steps"])

    _until(ready, "statistics of every checkpoint", 180)
    cells = team.api("runs/small/checkpoints/3/confusion?corpus=noise&split=test")["cells"]
    assert sum(count for _actual, _predicted, count in cells) == 200
    status, table = team.ask("/api/v1/runs/small/statistics?corpus=noise&split=test&format=parquet")
    assert (status, table[:4]) == (200, b"PAR1")


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
    settings = team.docker("exec", redis, "redis-cli", "config", "get", "maxmemory*").split()
    assert settings[settings.index("maxmemory-policy") + 1] == "allkeys-lru"
    assert settings[settings.index("maxmemory") + 1] == str(2 << 30)


def test_containers_run_as_nobody_special_on_a_file_system_they_cannot_write(team: Team):
    for service in SERVICES:
        about = team.container(service)
        host, user = about["HostConfig"], about["Config"]["User"]
        assert (user, host["CapDrop"]) == ("redis" if service == "redis" else "mloscope", ["ALL"]), service
        assert "no-new-privileges:true" in host["SecurityOpt"]
        assert host["ReadonlyRootfs"] is True
        could_write = "for place in /opt /runs /usr/bin / /tmp; do touch $place/x 2>/dev/null && echo $place; done; "
        said = team.inside(service, "sh", "-c", could_write + "df --output=size /tmp").stdout.split()
        assert said == ["/tmp", "1K-blocks", str(256 << 10)], service


def test_no_container_takes_the_machine_from_others(team: Team):
    for service in SERVICES:
        host = team.container(service)["HostConfig"]
        assert 0 < host["PidsLimit"] <= 2048, service
        assert host["Init"] is True, service
        assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "5"}}, service
        assert host["RestartPolicy"]["Name"] == "unless-stopped", service
        if service != "redis":  # which keeps to its maxmemory
            assert 0 < host["Memory"] <= 8 << 30, service


def test_the_images_hold_what_is_needed_and_no_more(team: Team):
    base_mb = int(team.docker("image", "inspect", "--format", "{{.Size}}", PYTHON_IMAGE)) / 1e6
    for image, most_mb in MOST_ABOVE_BASE_MB.items():
        size_mb = int(team.docker("image", "inspect", "--format", "{{.Size}}", image)) / 1e6
        print(f"{image}: {size_mb:.0f} MB, {size_mb - base_mb:.0f} MB of them above {PYTHON_IMAGE}")
        assert size_mb - base_mb <= most_mb, image
    for service in ("web", "model-service"):
        find = "import importlib.util, sys; print(*filter(importlib.util.find_spec, sys.argv[1:]))"
        names = ("pip", "setuptools", "pandas", "numpy", "tensorflow", "dash")
        found = team.inside(service, "python", "-c", find, *names).stdout.split()
        assert found == ["numpy", "dash" if service == "web" else "tensorflow"]
