"""What Prometheus reads at /metrics.

    mloscope_requests_total{method, route, status}      mloscope_request_seconds{route}       mloscope_requests_in_flight
    mloscope_evaluations_total                          mloscope_refusals_total{kind}         mloscope_sign_ins_total{outcome}
    mloscope_cache_{hits,joined,misses}_total           mloscope_cache_available              mloscope_cache_bytes
    mloscope_model_service_ready                        mloscope_model_services_ready
    mloscope_model_service_{queue, evaluations_total, memory_bytes, weights_bytes}{service}
    mloscope_web_processes                              mloscope_web_memory_bytes         process_... (of one alone)

Where several web processes share an address, whichever is asked answers for all. They count in files of the folder that
``PROMETHEUS_MULTIPROC_DIR`` names, which ``mloscope serve --workers`` sets by itself; otherwise it must be an empty one.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from mloscope.app.process.logs import resident_bytes

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120)
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Set before prometheus_client is imported."""
_WEIGH_EVERY_S = 2.0


class Metrics:
    """Counts of one application. Thread-safe."""

    def __init__(
        self,
        vitals: Callable[[], Mapping[str, Mapping[str, Any]]],
        cache_counts: Callable[[], Mapping[str, int]] = dict,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``vitals``: see :meth:`Services.vitals`. ``cache_counts``: this process's :attr:`ResultCache.counts`."""
        self.evaluations = 0
        """How many :meth:`evaluated` has counted in this process."""
        self._cache_counts = cache_counts
        self._clock = clock
        self._lock = threading.Lock()
        self._told: dict[str, int] = {}
        self._weighed = float("-inf")
        own = CollectorRegistry()
        self._count_requests(own)
        self._measure_processes(own)
        self._registry = own
        if os.environ.get(SHARED_FOLDER):
            self._registry = CollectorRegistry()
            MultiProcessCollector(self._registry)
        else:  # one process's counters would jump with whichever answers
            ProcessCollector(registry=self._registry)
        self._registry.register(_Vitals(vitals))
        self._look()

    def _count_requests(self, own: CollectorRegistry) -> None:
        self._requests = Counter("mloscope_requests", "Requests answered.", ("method", "route", "status"), registry=own)
        self._seconds = Histogram(
            "mloscope_request_seconds", "From the request to the end of its answer.", ("route",),
            buckets=_SECONDS, registry=own,
        )  # fmt: skip
        self._in_flight = Gauge(
            "mloscope_requests_in_flight", "Requests being answered.", registry=own, multiprocess_mode="livesum"
        )
        self._evaluations = Counter(
            "mloscope_evaluations", "Checkpoints that the model service was asked to evaluate.", registry=own
        )
        self._refusals = Counter(
            "mloscope_refusals", "Requests refused before they reached the application.", ("kind",), registry=own
        )
        self._sign_ins = Counter("mloscope_sign_ins", "Passwords tried.", ("outcome",), registry=own)
        self._cache = {
            what: Counter(f"mloscope_cache_{what}", meaning, registry=own)
            for what, meaning in (
                ("hits", "Results that were in the cache."),
                ("joined", "Results that another request was computing already."),
                ("misses", "Results that had to be computed."),
            )
        }

    def _measure_processes(self, own: CollectorRegistry) -> None:
        self._memory = Gauge(
            "mloscope_web_memory_bytes", "Resident memory of the web processes, all together.",
            registry=own, multiprocess_mode="livesum",
        )  # fmt: skip
        processes = Gauge(
            "mloscope_web_processes", "Web processes that live.", registry=own, multiprocess_mode="livesum"
        )
        processes.set(1)

    def began(self) -> None:
        self._in_flight.inc()

    def ended(self, method: str, route: str, status: int, seconds: float) -> None:
        """``route``: the pattern of the address, of which there are few; never the address."""
        self._in_flight.dec()
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)
        self._look()

    def _look(self) -> None:
        """Write down what the cache has counted and what this process weighs, for others cannot ask it."""
        with self._lock:
            counts = dict(self._cache_counts())
            grown = {what: counts.get(what, 0) - self._told.get(what, 0) for what in self._cache}
            self._told = counts
            weigh = self._clock() - self._weighed >= _WEIGH_EVERY_S
            if weigh:
                self._weighed = self._clock()
        for what, count in grown.items():
            if count:
                self._cache[what].inc(count)
        if weigh:
            self._memory.set(resident_bytes() or 0)

    def evaluated(self, count: int) -> None:
        self.evaluations += count
        self._evaluations.inc(count)

    def refused(self, kind: str) -> None:
        self._refusals.labels(kind).inc()

    def signed_in(self, outcome: str) -> None:
        self._sign_ins.labels(outcome).inc()

    def processes(self) -> int:
        """How many web processes count together, this one included."""
        folder = os.environ.get(SHARED_FOLDER)
        return max(1, len(list(Path(folder).glob("gauge_livesum_*.db")))) if folder else 1

    def exposition(self) -> bytes:
        """In Prometheus' text format. Asks the model services, so it may take a second."""
        self._look()
        return generate_latest(self._registry)


class _Vitals(Collector):
    """What the cache and the model service say when asked."""

    def __init__(self, vitals: Callable[[], Mapping[str, Mapping[str, Any]]]) -> None:
        self._vitals = vitals

    def describe(self) -> tuple[()]:
        return ()  # or the registry would ask them when this is registered

    def collect(self) -> Iterator[Metric]:
        vitals = self._vitals()
        cache, service = vitals["cache"], vitals["model_service"]
        yield _gauge("mloscope_cache_available", "1 while the cache answers.", float(bool(cache.get("available"))))
        for key, name, meaning in (
            ("used_bytes", "mloscope_cache_bytes", "Memory that results take in this process."),
            ("entries", "mloscope_cache_entries", "Results kept in this process."),
        ):
            if cache.get(key) is not None:
                yield _gauge(name, meaning, cache[key])
        ready = float(service["state"] == "ready")
        yield _gauge("mloscope_model_service_ready", "1 while networks can be evaluated.", ready)
        services = service.get("services") or [service]
        well = sum(one["state"] == "ready" for one in services)
        yield _gauge("mloscope_model_services_ready", "Model services that can evaluate networks.", well)
        for key, name, meaning in (
            ("waiting", "mloscope_model_service_queue", "Questions that wait for a model service."),
            ("memory_bytes", "mloscope_model_service_memory_bytes", "Resident memory of a model service."),
            ("weights_bytes", "mloscope_model_service_weights_bytes", "Weights that a model service keeps."),
        ):
            yield _of_each(GaugeMetricFamily(name, meaning, labels=["service"]), services, key)
        evaluations = CounterMetricFamily(
            "mloscope_model_service_evaluations", "Checkpoints that a model service has evaluated.", labels=["service"]
        )
        yield _of_each(evaluations, services, "checkpoints_evaluated")


def _of_each(family: Metric, services: Sequence[Mapping[str, Any]], key: str) -> Metric:
    """A sample for every service that tells; of one that is alone, whose address says nothing, the label is empty."""
    for one in services:
        if one.get(key) is not None:
            family.add_metric([one.get("address", "")], one[key])
    return family


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, meaning, value)
