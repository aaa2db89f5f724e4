"""The Dask workers that evaluate: those of a cluster that someone runs, or our own on this machine.

Anyone who can reach a Dask scheduler can run code as its user. Nobody else can reach ours: one thread of this process uses
no network at all, and several processes talk on the loopback address over TLS, with a key that is made for them and kept in
memory only. Dask starts an HTTP server beside every scheduler and worker; here each keeps to the loopback address and has
no pages.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mloscope.adaptors.installation import how_to_add
from mloscope.app.errors import Unavailable

_NO_PAGES = {"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []}
_LOOPBACK_ONLY = "127.0.0.1:0"
_LOOK_EVERY_S = 2.0


def without_tls() -> str:
    """The message if several processes could not be kept from strangers."""
    return (
        "Several processes need the package cryptography, which is not installed here; without --processes one thread of this "
        f"process evaluates. Install it with: {how_to_add('statistics')}"
    )


@contextlib.contextmanager
def connected(address: str | None = None, processes: int = 0, timeout_s: float = 10) -> Iterator[Any]:
    """A ``distributed.Client``: of the cluster at the address, else of workers of our own, in ``processes`` processes, or
    (0) in a thread of this one. Raises :class:`Unavailable` if Dask is missing or the cluster does not answer."""
    try:
        import dask
        from distributed import Client
    except ImportError as error:
        raise Unavailable(
            f"Statistics need Dask, which cannot be loaded ({error}): {how_to_add('statistics')}"
        ) from error
    for chatty in ("distributed", "distributed.core", "distributed.worker", "distributed.scheduler"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    with contextlib.ExitStack() as stack:
        # Workers hold no results, so Dask has nothing to spill, and must not stop them when TensorFlow takes its memory.
        stack.enter_context(dask.config.set({"distributed.worker.profile.enabled": False}))
        cluster = address if address is not None else stack.enter_context(_own_workers(processes))
        try:
            client = stack.enter_context(Client(cluster, set_as_default=False, timeout=timeout_s))
        except (OSError, TimeoutError, ValueError) as error:
            raise Unavailable(
                f"No Dask scheduler answers at {address} ({error}); --dask takes an address such as tcp://host:8786."
            ) from error
        yield client


@contextlib.contextmanager
def _own_workers(processes: int) -> Iterator[Any]:
    """A cluster on this machine that nobody else can reach."""
    import dask
    from distributed import Nanny, Scheduler, Security, SpecCluster, Worker

    options: dict[str, Any] = {"protocol": "inproc://", "security": Security(require_encryption=False)}
    if processes:
        try:
            options = {"protocol": "tls://", "security": Security.temporary(), "host": "127.0.0.1", "port": 0}
        except ImportError as error:
            raise Unavailable(without_tls()) from error
    options |= {"dashboard": False, "dashboard_address": _LOOPBACK_ONLY}
    worker = {
        "cls": Nanny if processes else Worker,
        "options": {**options, "nthreads": 1, "memory_limit": 0, "silence_logs": logging.ERROR},
    }
    # Dask passes the configuration of this process on to those that it starts.
    with (
        dask.config.set(_NO_PAGES),
        SpecCluster(
            workers=dict.fromkeys(range(max(1, processes)), worker),
            scheduler={"cls": Scheduler, "options": options},
            security=options["security"],
            silence_logs=logging.ERROR,
        ) as cluster,
    ):
        yield cluster


class FoundWorkers:
    """Which workers of a client's cluster may be given tasks: those that offer the resource ``GPU`` if there are any, else
    all. Asked for again every two seconds."""

    def __init__(self, client: Any, clock: Callable[[], float]) -> None:
        self._client, self._clock = client, clock
        self._looked_s = -float("inf")
        self.known: Sequence[str] = ()
        self.resources: dict[str, int] | None = None
        """What a task on them must ask for."""

    def addresses(self) -> Sequence[str]:
        now = self._clock()
        if now - self._looked_s >= _LOOK_EVERY_S or not self.known:
            self._looked_s = now
            found = self._client.scheduler_info(n_workers=-1)["workers"]
            with_gpu = [
                address for address, worker in found.items() if (worker.get("resources") or {}).get("GPU", 0) >= 1
            ]
            self.resources = {"GPU": 1} if with_gpu else None
            self.known = sorted(with_gpu or found)
        return self.known

    def look_again(self) -> None:
        """Do not trust what is known: a worker has just failed."""
        self._looked_s = -float("inf")
