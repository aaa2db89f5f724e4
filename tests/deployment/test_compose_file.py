"""What docker-compose.yml, Dockerfile and the example of a proxy say, read and not run: test_compose.py and test_tls_proxy.py run them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mloscope.app.process.settings import TABLE

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
PAGE = (ROOT / "docs" / "deployment.md").read_text()
NOT_FOR_A_TEAM = {
    "MLOSCOPE_HOST": "web listens on all addresses of its container",
    "MLOSCOPE_PORT": "MLOSCOPE_PUBLISH says which port of the machine",
    "MLOSCOPE_WORKSPACE": "runs and corpora are those of the watched folders",
    "MLOSCOPE_CACHE_BUDGET_BYTES": "MLOSCOPE_REDIS_MEMORY, for results are in Redis",
    "MLOSCOPE_WEIGHTS_BUDGET_BYTES": "given to the model service",
}


def parsed_by(command: tuple[str, ...], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """``config``, which needs no engine, with no ``.env`` of whoever works here."""
    (folder / "nothing.env").touch()
    without_ours = {name: value for name, value in os.environ.items() if not name.startswith("MLOSCOPE_")}
    return subprocess.run(
        [*command, "--env-file", str(folder / "nothing.env"), "-f", str(ROOT / "docker-compose.yml"), "--profile", "gpu", "config"],
        capture_output=True, text=True, timeout=60, env={**without_ours, **environment},
    )  # fmt: skip


def has_v2() -> bool:
    docker = shutil.which("docker")
    return docker is not None and subprocess.run([docker, "compose", "version"], capture_output=True).returncode == 0


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(
            ("docker-compose",),
            marks=pytest.mark.skipif(shutil.which("docker-compose") is None, reason="no docker-compose on the PATH"),
        ),
        pytest.param(
            ("docker", "compose"), marks=pytest.mark.skipif(not has_v2(), reason="docker has no plugin compose")
        ),
    ],
    ids=" ".join,
)
def test_both_composes_read_the_file_and_want_the_secrets(command: tuple[str, ...], tmp_path: Path) -> None:
    refused = parsed_by(command, tmp_path)
    assert refused.returncode != 0
    assert "see docs/deployment.md" in refused.stderr
    done = parsed_by(command, tmp_path, MLOSCOPE_REDIS_PASSWORD="a", MLOSCOPE_MODEL_SERVICE_TOKEN="b")
    assert done.returncode == 0, done.stderr
    assert set(yaml.safe_load(done.stdout)["services"]) == set(SERVICES)


def test_only_web_has_a_port_and_a_way_out() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["web"]
    assert SERVICES["web"]["ports"] == ["${MLOSCOPE_PUBLISH:-127.0.0.1:8050}:8050"]
    assert [name for name, service in SERVICES.items() if "outside" in service["networks"]] == ["web"]
    assert yaml.safe_load(COMPOSE)["networks"]["inside"] == {"internal": True}
    assert not any(key in service for service in SERVICES.values() for key in ("network_mode", "privileged", "cap_add"))


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_hardened_and_bounded(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    assert service["init"] is True
    assert service["pids_limit"] <= 2048
    assert service["tmpfs"] == ["/tmp:size=256m,mode=1777"]
    assert set(service["logging"]["options"]) == {"max-size", "max-file"}
    assert ("--maxmemory" in service["command"]) if name == "redis" else service["mem_limit"]
    assert not service.get("healthcheck", {}).get("disable")
    for mount in service.get("volumes", ()):
        assert mount.endswith(":ro") or mount.startswith(("cache:", "users:")), mount


def test_the_gpu_profile_reserves_nvidia_devices_and_caps_their_memory() -> None:
    service = SERVICES["model-service-gpu"]
    assert service["profiles"] == ["gpu"]
    assert [name for name, each in SERVICES.items() if "profiles" in each] == ["model-service-gpu"]
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    command = service["command"]
    assert command[command.index("--gpu-memory-bytes") + 1] == "${MLOSCOPE_GPU_MEMORY_BYTES:-8589934592}"
    assert service["networks"]["inside"]["aliases"] == ["model-service"]
    assert service["build"]["args"]["EVALUATE"] == "gpu"


def test_redis_has_a_password_a_ceiling_and_forgets_what_is_longest_unused() -> None:
    command = SERVICES["redis"]["command"]
    said = dict(zip(command[::2], command[1::2], strict=True))
    assert said["--requirepass"].startswith("${MLOSCOPE_REDIS_PASSWORD:?")
    assert said["--maxmemory"] == "${MLOSCOPE_REDIS_MEMORY:-2gb}"
    assert said["--maxmemory-policy"] == "allkeys-lru"
    assert (said["--save"], said["--appendonly"]) == ("", "no")


def test_every_setting_reaches_the_web_process() -> None:
    given = SERVICES["web"]["environment"]
    settings = {setting.variable for setting in TABLE}
    assert settings - set(given) == set(NOT_FOR_A_TEAM)
    assert set(given) <= settings
    for variable in ("MLOSCOPE_SESSION_S", "MLOSCOPE_ALLOWED_HOSTS"):
        assert given[variable] == f"${{{variable}:-}}"
    for value in given.values():
        if found := re.fullmatch(r"\$\{(MLOSCOPE_\w+):-\w*\}", value):
            assert given[found[1]] == value


def test_every_variable_of_the_file_is_documented() -> None:
    """The settings in docs/settings.md (tests/docs/test_settings_page.py), the others here."""
    table = set(re.findall(r"^\| (`MLOSCOPE_\w+`(?:, `MLOSCOPE_\w+`)*) \|", PAGE, re.MULTILINE))
    listed = {name for cell in table for name in re.findall(r"MLOSCOPE_\w+", cell)}
    used = set(re.findall(r"\$\{(MLOSCOPE_\w+)", COMPOSE))
    assert used - {setting.variable for setting in TABLE} <= listed | {"MLOSCOPE_REDIS_PASSWORD"}
    assert listed <= used, "documented, and nothing reads it"


def test_the_defaults_of_the_page_are_the_file_s() -> None:
    rows = re.findall(r"^\| `(MLOSCOPE_\w+)` \| `([^`]+)` \|", PAGE, re.MULTILINE)
    assert len(rows) >= 8
    for variable, default in rows:
        assert f"${{{variable}:-{default}}}" in COMPOSE, variable


def test_images_are_named_with_their_version() -> None:
    named = re.findall(r"^ARG \w+_IMAGE=(\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert len(named) == 1
    named += re.findall(r"\$\{MLOSCOPE_\w+_IMAGE:-([^}]+)\}", COMPOSE)
    assert all("build" in service or service["image"].startswith("${MLOSCOPE_") for service in SERVICES.values())
    for image in named:
        assert re.fullmatch(r"[\w./-]+:\d[\w.-]*", image), image
        assert image in PAGE, "docs/deployment.md says how to name it by its digest"


def test_the_page_s_example_of_a_proxy_is_the_file() -> None:
    example = re.search(r"```nginx\n(.*?)```", PAGE, re.DOTALL)
    assert example
    assert example[1] == (ROOT / "deploy" / "nginx.conf").read_text()


def test_nginx_takes_as_much_and_waits_as_long_as_the_web_process() -> None:
    said = dict(re.findall(r"^ +(\w+) +(\S+);", (ROOT / "deploy" / "nginx.conf").read_text(), re.MULTILINE))
    defaults = {setting.variable: setting.default for setting in TABLE}
    assert int(said["client_max_body_size"].removesuffix("m")) << 20 == defaults["MLOSCOPE_BODY_LIMIT_BYTES"]
    assert float(said["proxy_read_timeout"].removesuffix("s")) > defaults["MLOSCOPE_MODEL_SERVICE_TIMEOUT_S"]


@pytest.mark.skipif(shutil.which("make") is None, reason="no make on the PATH")
def test_secrets_are_made_once_and_for_nobody_else(tmp_path: Path) -> None:
    command = ["make", "-f", str(ROOT / "Makefile"), "compose-secrets"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    made = (tmp_path / ".env").read_text()
    assert re.fullmatch(
        r"MLOSCOPE_MODEL_SERVICE_TOKEN=([0-9a-f]{48})\nMLOSCOPE_REDIS_PASSWORD=(?!\1)[0-9a-f]{48}\n", made
    )
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0
    again = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "nothing is changed" in again.stdout
    assert (tmp_path / ".env").read_text() == made
