"""Keeps results that are costly to compute: bytes by key, in this process's memory or in Redis.

    caller ──► ResultCache ── hit ──────────────────────────────────────────────► bytes
                  │ miss
                  ├─ another thread computes it ── wait for its future ────────────► the same bytes, or its error
                  ├─ another process computes it (its lease is in Redis) ── poll ──► the same bytes
                  └─ compute ── store ── resolve the futures ── give up the lease ► bytes

Keys are content (fingerprints, digests, code versions), so that nothing is ever invalidated. The store is a
convenience: one that fails is treated as empty, which costs time and never an answer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from typing import Any, Self

from mloscope.app.cache.memory_store import MemoryStore
from mloscope.app.cache.store import Store
from mloscope.app.errors import TooManyRequests


class ResultCache:
    """``get_or_compute`` over a store: each key is computed once, however many threads and processes ask for
    it.

    An error of ``compute`` goes to everybody who waits in this process and is not kept; another process then
    computes by itself. ``compute`` must not ask the cache for the very keys it is computing.
    """

    def __init__(self, store: Store, *, poll_s: float = 0.01, sleep: Callable[[float], None] = time.sleep) -> None:
        """``poll_s``: how often to look for a value that another process is computing (slower while it takes
        long)."""
        self.store = store
        self._poll_s = poll_s
        self._sleep = sleep
        self._lock = threading.Lock()
        self._in_flight: dict[str, Future[bytes]] = {}
        self.counts = {"hits": 0, "joined": 0, "misses": 0}
        """Keys that were there; that another thread was computing; that had to be computed here."""

    @classmethod
    def from_settings(cls, redis_url: str | None, budget_bytes: int) -> Self:
        """Redis where an URL is given, else this process's memory up to ``budget_bytes``."""
        if not redis_url:
            return cls(MemoryStore(budget_bytes))
        from mloscope.app.cache.redis_store import RedisStore  # importing redis takes as long as a dozen of our modules

        return cls(RedisStore(redis_url))

    def status(self) -> dict[str, Any]:
        """What the store says of itself, and :attr:`counts`; JSON-able."""
        about = self.store.status()  # may ask Redis, which nobody else is to wait for
        with self._lock:
            return {**about, **self.counts}

    def kept(self, keys: Sequence[str]) -> dict[str, bytes]:
        """What is there of the keys, by key; nothing is computed and nothing is waited for."""
        found = self.store.get_many(keys)
        with self._lock:
            self.counts["hits"] += len(found)
        return found

    def has_all(self, keys: Sequence[str]) -> bool:
        """Whether what the keys name is all there."""
        return self.store.has_all(keys)

    def get_or_compute(self, key: str, compute: Callable[[], bytes]) -> bytes:
        """The bytes kept under the key, else what ``compute`` returns."""
        return self.get_or_compute_many([key], lambda _missing: {key: compute()})[key]

    def get_or_compute_many(
        self, keys: Sequence[str], compute: Callable[[Sequence[str]], Mapping[str, bytes]]
    ) -> dict[str, bytes]:
        """The bytes of every key. ``compute`` gets the keys that nobody has and nobody is computing (at least
        one, in the order given); it is called again where another process gave up on its share.

        ``compute`` may leave a key out of its answer: then it is absent from this answer too, nothing is kept
        of it, and each thread that was waiting for it asks its own ``compute``. It may return more than it
        was asked for; that is kept as well."""
        answer: dict[str, bytes] = {}
        remaining = list(dict.fromkeys(keys))
        while remaining:
            own: dict[str, Future[bytes]] = {}
            others: dict[str, Future[bytes]] = {}
            with self._lock:
                for key in remaining:
                    if key in self._in_flight:
                        others[key] = self._in_flight[key]
                    else:
                        own[key] = self._in_flight[key] = Future()
                self.counts["joined"] += len(others)
            if own:
                try:
                    answer.update(self._fetch_or_compute(list(own), own, compute))
                finally:
                    self._leave(own)
            remaining = []
            for key, future in others.items():
                try:
                    answer[key] = future.result()
                except CancelledError:  # whoever was at it got no value and no error: ask for ourselves
                    remaining.append(key)
        return {key: answer[key] for key in dict.fromkeys(keys) if key in answer}

    def _leave(self, own: Mapping[str, Future[bytes]]) -> None:
        with self._lock:
            for key in own:
                del self._in_flight[key]
        for future in own.values():
            future.cancel()  # no effect on those that have their result

    def _fetch_or_compute(
        self,
        keys: list[str],
        futures: Mapping[str, Future[bytes]],
        compute: Callable[[Sequence[str]], Mapping[str, bytes]],
    ) -> dict[str, bytes]:
        answer: dict[str, bytes] = {}

        def found(values: Mapping[str, bytes]) -> None:
            for key, value in values.items():
                if key in futures and key not in answer:
                    answer[key] = value
                    futures[key].set_result(value)

        found(self.store.get_many(keys))
        with self._lock:
            self.counts["hits"] += len(answer)
        waiting = [key for key in keys if key not in answer]
        pause_s = self._poll_s
        while waiting:
            granted = self.store.claim(waiting)
            claimed = [key for key in waiting if key in granted]
            if claimed:
                try:
                    # Between our look and our claim another process may have finished.
                    found(self.store.get_many(claimed))
                    missing = [key for key in claimed if key not in answer]
                    if missing:
                        found(self._compute(missing, futures, compute))
                finally:
                    self.store.release(claimed)
                waiting = [key for key in waiting if key not in granted]
                pause_s = self._poll_s
            if waiting:
                self._sleep(pause_s)
                pause_s = min(pause_s * 1.5, 10 * self._poll_s)
                found(self.store.get_many(waiting))
                waiting = [key for key in waiting if key not in answer]
        return answer

    def _compute(
        self,
        missing: Sequence[str],
        futures: Mapping[str, Future[bytes]],
        compute: Callable[[Sequence[str]], Mapping[str, bytes]],
    ) -> Mapping[str, bytes]:
        with self._lock:
            self.counts["misses"] += len(missing)
        try:
            computed = compute(missing)
        except TooManyRequests:  # the caller's own affair: those who wait ask for themselves
            raise
        except Exception as error:
            for key in missing:
                futures[key].set_exception(error)
            raise
        self.store.set_many(computed)
        return computed
