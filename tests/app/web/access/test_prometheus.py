"""What Prometheus reads."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.multiprocess import mark_process_dead
from prometheus_client.parser import text_string_to_metric_families

from mloscope.app.web.access.prometheus import Metrics


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(found: dict[Any, float], name: str, **labels: str) -> float:
    return found[name, tuple(sorted(labels.items()))]


def test_requests_cache_evaluations_and_refusals_are_counted(house: Callable[..., Any]) -> None:
    home = house()
    program = home.with_token("viewer")
    address = "/api/v1/runs/lenet/predictions/test-0"
    program.get(address)
    program.get(address)
    for name in ("vgg", "alexnet", "no-such-run"):
        program.get(f"/api/v1/runs/{name}")
    home.visitor().get("/api/v1/runs")
    home.visitor().request("BREW", "/nowhere")
    answer = program.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = samples(answer.text)
    route = "/api/v1/runs/{run}/predictions/{image}"
    assert of(found, "mloscope_requests_total", method="GET", route=route, status="200") == 2
    assert of(found, "mloscope_requests_total", method="GET", route="/api/v1/runs/{run}", status="404") == 3
    assert of(found, "mloscope_requests_total", method="GET", route="refused", status="401") == 1
    assert of(found, "mloscope_requests_total", method="other", route="refused", status="401") == 1
    assert of(found, "mloscope_refusals_total", kind="not-signed-in") == 2
    assert of(found, "mloscope_request_seconds_count", route=route) == 2
    assert of(found, "mloscope_evaluations_total") == 40
    assert of(found, "mloscope_cache_misses_total") == 41  # and all of them together
    assert of(found, "mloscope_cache_hits_total") == 1
    assert of(found, "mloscope_cache_available") == 1
    assert of(found, "mloscope_cache_bytes") > 0
    assert of(found, "mloscope_model_service_ready") == 1
    assert of(found, "mloscope_requests_in_flight") == 1
    if sys.platform == "linux":
        assert of(found, "process_resident_memory_bytes") > 1e7


def test_addresses_do_not_become_series(house: Callable[..., Any]) -> None:
    home = house(people=False)
    visitor = home.visitor()
    for number in range(30):
        visitor.get(f"/nowhere-{number}")
        visitor.get(f"/assets/none-{number}.js")
        visitor.get(f"/api/v1/none-{number}")
    routes = {dict(labels).get("route") for name, labels in samples(visitor.get("/metrics").text) if "requests" in name}
    assert len(routes) < 8, routes


def test_what_the_model_service_says_is_shown() -> None:
    vitals = {
        "cache": {"available": False},
        "model_service": {"state": "starting", "waiting": 3, "memory_bytes": 5, "weights_bytes": 7, "checkpoints_evaluated": 9},
    }  # fmt: skip
    found = samples(Metrics(lambda: vitals).exposition().decode())
    assert of(found, "mloscope_cache_available") == 0
    assert of(found, "mloscope_model_service_ready") == 0
    assert of(found, "mloscope_model_service_queue", service="") == 3
    assert of(found, "mloscope_model_service_memory_bytes", service="") == 5
    assert of(found, "mloscope_model_service_weights_bytes", service="") == 7
    assert of(found, "mloscope_model_service_evaluations_total", service="") == 9
    assert of(found, "mloscope_cache_hits_total") == 0


def test_of_several_model_services_each_is_shown() -> None:
    first = {"address": "http://10.0.0.2:8060", "state": "ready", "waiting": 3, "checkpoints_evaluated": 9}
    second = {"address": "http://10.0.0.3:8060", "state": "ready", "waiting": 0, "checkpoints_evaluated": 4}
    dead = {"address": "http://10.0.0.4:8060", "state": "does not answer"}
    vitals = {"cache": {}, "model_service": {**second, "services": [first, second, dead]}}
    found = samples(Metrics(lambda: vitals).exposition().decode())
    assert of(found, "mloscope_model_service_ready") == 1
    assert of(found, "mloscope_model_services_ready") == 2
    for service in (first, second):
        name = service["address"]
        assert of(found, "mloscope_model_service_queue", service=name) == service["waiting"]
        assert of(found, "mloscope_model_service_evaluations_total", service=name) == service["checkpoints_evaluated"]
    assert not [labels for _, labels in found if ("service", dead["address"]) in labels]


def test_what_the_cache_counts_is_counted_once() -> None:
    counts = {"hits": 3, "joined": 0, "misses": 2}
    metrics = Metrics(lambda: {"cache": {}, "model_service": {"state": "ready"}}, lambda: counts)
    metrics.began()
    counts["hits"] += 4
    metrics.ended("GET", "/", 200, 0.1)
    for _ in range(2):
        found = samples(metrics.exposition().decode())
        assert of(found, "mloscope_cache_hits_total") == 7
        assert of(found, "mloscope_cache_joined_total") == 0
        assert of(found, "mloscope_cache_misses_total") == 2


@pytest.mark.skipif(os.name != "posix", reason="several processes on one address are POSIX's")
def test_several_processes_are_counted_together(tmp_path: Path) -> None:
    code = (
        "from mloscope.app.web.access.prometheus import Metrics\n"
        "counts = {'hits': 4, 'joined': 1, 'misses': 2}\n"
        "metrics = Metrics(lambda: {'cache': {}, 'model_service': {'state': 'ready'}}, lambda: counts)\n"
        "metrics.began(); metrics.ended('GET', '/', 200, 0.1); metrics.evaluated(5); metrics.began()\n"
        "print(metrics.exposition().decode())"
    )
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    pids = []
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", code], env=environment, text=True, stdout=subprocess.PIPE)
        pids.append(process.pid)
        said, _nothing = process.communicate(timeout=60)
        assert process.returncode == 0
    found = samples(said)
    assert of(found, "mloscope_requests_total", method="GET", route="/", status="200") == 2
    assert of(found, "mloscope_request_seconds_count", route="/") == 2
    assert of(found, "mloscope_evaluations_total") == 10
    assert of(found, "mloscope_cache_hits_total") == 8
    assert of(found, "mloscope_cache_joined_total") == 2
    assert of(found, "mloscope_cache_misses_total") == 4
    assert of(found, "mloscope_model_service_ready") == 1
    assert of(found, "mloscope_requests_in_flight") == 2
    assert of(found, "mloscope_web_processes") == 2
    assert of(found, "mloscope_web_memory_bytes") > 2e7 or sys.platform != "linux"
    assert not [name for name, _labels in found if name.startswith("process_")]
    mark_process_dead(pids[0], str(tmp_path))
    said = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True, timeout=60)
    found = samples(said)
    assert of(found, "mloscope_web_processes") == of(found, "mloscope_requests_in_flight") == 2
    assert of(found, "mloscope_cache_hits_total") == 12
