"""Keeps results that are costly to compute: bytes by key, in this process's memory or in Redis.

    caller ──► ResultCache ── hit ──────────────────────────────────────────────► bytes
                  │ miss
                  ├─ another thread is at it ── wait for its future ────────────► the same bytes, or its error
                  ├─ another process is at it (its claim is in Redis) ── poll ──► the same bytes
                  └─ compute ── store ── resolve the futures ── give up the claim ► bytes

Keys are content (fingerprints, digests, code versions), so that nothing is ever invalidated. The store is a
convenience: one that fails is treated as empty, which costs time and never an answer.
"""

from __future__ import annotations

import itertools
import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from typing import Any, Protocol, Self, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from mloscope.app.errors import TooManyRequests

logger = logging.getLogger(__name__)


class Store(Protocol):
    """Where results are kept. Every method is thread-safe and none raises because the store is unwell."""

    def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """The values that are there, by key; what is not there is absent."""
        ...

    def has_all(self, keys: Sequence[str]) -> bool:
        """Whether all the values are there; it counts as using them."""
        ...

    def set_many(self, values: Mapping[str, bytes]) -> None:
        """Keep the values, as far as there is room."""
        ...

    def claim(self, keys: Sequence[str]) -> frozenset[str]:
        """Those of the keys that this process may now compute; the others are being computed by another
        process.

        A store that no other process sees, or that cannot be reached, grants all."""
        ...

    def release(self, keys: Sequence[str]) -> None:
        """Give up claims, after the values were set or the computation failed."""
        ...

    def status(self) -> dict[str, Any]:
        """JSON-able: ``kind``, ``available`` and what the kind of store knows of itself."""
        ...


# ----------------------------------------------------------------------------------------------------- memory

_ENTRY_OVERHEAD_BYTES = 250
"""What an entry costs beyond the bytes of its key and value: two object headers, a dictionary slot and its
links."""


class MemoryStore:
    """The most recently used values of this process, within a budget of bytes, keys and bookkeeping
    counted."""

    def __init__(self, budget_bytes: int) -> None:
        if budget_bytes < 0:
            raise ValueError(f"The budget of a memory store is {budget_bytes} bytes; it must not be negative.")
        self.budget_bytes = budget_bytes
        self._values: OrderedDict[str, bytes] = OrderedDict()
        self._used_bytes = 0
        self._lock = threading.Lock()

    @staticmethod
    def _cost(key: str, value: bytes) -> int:
        return len(key) + len(value) + _ENTRY_OVERHEAD_BYTES

    def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        with self._lock:
            found = {key: self._values[key] for key in keys if key in self._values}
            for key in found:
                self._values.move_to_end(key)
        return found

    def has_all(self, keys: Sequence[str]) -> bool:
        return len(self.get_many(keys)) == len(set(keys))

    def set_many(self, values: Mapping[str, bytes]) -> None:
        with self._lock:
            for key, value in values.items():
                replaced = self._values.pop(key, None)
                if replaced is not None:
                    self._used_bytes -= self._cost(key, replaced)
                cost = self._cost(key, value)
                if cost > self.budget_bytes:
                    continue  # it would push everything else out and still not fit
                self._values[key] = bytes(value)
                self._used_bytes += cost
                while self._used_bytes > self.budget_bytes:
                    oldest, dropped = self._values.popitem(last=False)
                    self._used_bytes -= self._cost(oldest, dropped)

    def claim(self, keys: Sequence[str]) -> frozenset[str]:
        return frozenset(keys)

    def release(self, keys: Sequence[str]) -> None:
        pass

    def status(self) -> dict[str, Any]:
        with self._lock:
            return {
                "kind": "memory",
                "available": True,
                "entries": len(self._values),
                "used_bytes": self._used_bytes,
                "budget_bytes": self.budget_bytes,
            }


# ------------------------------------------------------------------------------------------------------ Redis

# A claim that would last longer than any does is left from before Redis' clock was set back; its holder, if it lives,
# only loses that nobody else computes the same.
_CLAIM = """
local lasts = tonumber(ARGV[2])
if redis.call('pttl', KEYS[1]) > 2 * lasts then redis.call('del', KEYS[1]) end
return redis.call('set', KEYS[1], ARGV[1], 'NX', 'PX', lasts)
"""
_OWN_CLAIM = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call({}) else return 0 end"
_RELEASE_OWN_CLAIM = _OWN_CLAIM.format("'del', KEYS[1]")
_RENEW_OWN_CLAIM = _OWN_CLAIM.format("'pexpire', KEYS[1], ARGV[2]")
_KEYS_A_READ = 16
_BYTES_A_WRITE = 8 * 2**20
_Answer = TypeVar("_Answer")


class RedisStore:
    """Values in a Redis that several processes share. Set ``maxmemory-policy allkeys-lru`` there; values need
    no TTL.

    While Redis is away the store is empty: one caller at a time tries again, after 0.1 s at first and 5 s at
    most, and nobody else waits. It comes back by itself.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "mloscope:1:",
        ttl_s: float | None = None,
        claim_s: float = 3.0,
        connect_timeout_s: float = 0.2,
        operation_timeout_s: float = 2.0,
        first_backoff_s: float = 0.1,
        longest_backoff_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``url``: ``redis://[user:password@]host:port/database``, ``rediss://`` or ``unix://``. ``claim_s``:
        how long others wait for a process that claimed a key and died; claims of one that lives are renewed,
        however long it computes. Connects at first use. Raises ValueError for another URL."""
        self._redis = redis.Redis.from_url(
            url,
            socket_connect_timeout=connect_timeout_s,
            socket_timeout=operation_timeout_s,
            # One retry at once: a pooled connection that a restarted Redis no longer knows is not a failure.
            retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        )
        self._prefix = prefix
        self._ttl_ms = None if ttl_s is None else max(1, int(ttl_s * 1000))
        self._claim_ms = max(1, int(claim_s * 1000))
        self._holder = secrets.token_hex(8).encode()
        self._claims: set[str] = set()
        self._renewer: threading.Thread | None = None
        self._clock = clock
        self._first_backoff_s = first_backoff_s
        self._longest_backoff_s = longest_backoff_s
        self._lock = threading.Lock()
        self._backoff_s = 0.0  # 0 while Redis is well
        self._retry_at = 0.0
        self._problem: str | None = None
        self._write_refusal_told = False

    def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        def read() -> dict[str, bytes]:
            # All questions at once, for each wait for an answer is a wait for this process's turn as well.
            pipeline = self._redis.pipeline(transaction=False)
            for start in range(0, len(keys), _KEYS_A_READ):
                pipeline.mget([self._prefix + key for key in keys[start : start + _KEYS_A_READ]])
            values = itertools.chain.from_iterable(pipeline.execute())
            return {key: value for key, value in zip(keys, values, strict=True) if value is not None}

        return self._ask(read, {}) if keys else {}

    def has_all(self, keys: Sequence[str]) -> bool:
        def touch() -> bool:
            return self._redis.touch(*(self._prefix + key for key in keys)) == len(keys)

        return self._ask(touch, False) if keys else True

    def set_many(self, values: Mapping[str, bytes]) -> None:
        def write() -> None:
            for some in self._portions(values):
                pipeline = self._redis.pipeline(transaction=False)
                for key, value in some.items():
                    pipeline.set(self._prefix + key, value, px=self._ttl_ms)
                try:
                    pipeline.execute()
                except redis.ResponseError as error:  # full, or a read-only replica: reading still works
                    if not self._write_refusal_told:
                        self._write_refusal_told = True
                        logger.warning("Redis keeps no new results: %s. What is computed is not shared.", error)
                    return

        if values:
            self._ask(write, None)

    @staticmethod
    def _portions(values: Mapping[str, bytes]) -> list[dict[str, bytes]]:
        portions: list[dict[str, bytes]] = [{}]
        room = _BYTES_A_WRITE
        for key, value in values.items():
            if portions[-1] and len(value) > room:
                portions.append({})
                room = _BYTES_A_WRITE
            portions[-1][key] = value
            room -= len(value)
        return portions

    def claim(self, keys: Sequence[str]) -> frozenset[str]:
        def set_claims() -> frozenset[str]:
            pipeline = self._redis.pipeline(transaction=False)
            for key in keys:
                pipeline.eval(_CLAIM, 1, self._claim_key(key), self._holder, self._claim_ms)
            # What a full Redis refuses, others can claim no more than we: it is granted.
            answers = pipeline.execute(raise_on_error=False)
            return frozenset(key for key, won in zip(keys, answers, strict=True) if won)

        granted = self._ask(set_claims, frozenset(keys)) if keys else frozenset()
        if granted:
            with self._lock:
                self._claims |= granted
                if self._renewer is None:
                    self._renewer = threading.Thread(target=self._renew_claims, name="claims in Redis", daemon=True)
                    self._renewer.start()
        return granted

    def _renew_claims(self) -> None:
        """As long as there are any."""
        while True:
            time.sleep(self._claim_ms / 3000)
            with self._lock:
                held = tuple(self._claims)
                if not held:
                    self._renewer = None
                    return
            self._ask_of_own_claims(held, _RENEW_OWN_CLAIM, self._claim_ms)

    def release(self, keys: Sequence[str]) -> None:
        if keys:
            with self._lock:
                self._claims.difference_update(keys)
            self._ask_of_own_claims(keys, _RELEASE_OWN_CLAIM)

    def _ask_of_own_claims(self, keys: Sequence[str], script: str, *arguments: int) -> None:
        def run() -> None:
            pipeline = self._redis.pipeline(transaction=False)
            for key in keys:
                pipeline.eval(script, 1, self._claim_key(key), self._holder, *arguments)
            pipeline.execute()

        self._ask(run, None)

    def status(self) -> dict[str, Any]:
        """Also ``keys``, ``memory_bytes``, ``memory_limit_bytes`` (0: none), ``evicted``, ``store_hits`` and ``store_misses``
        of Redis as a whole, where it tells; asks it now, so ``available`` is of now."""

        def ask() -> dict[str, Any]:
            try:
                said: dict[str, Any] = self._redis.info("memory") | self._redis.info("stats")
                return {"keys": self._redis.dbsize()} | {
                    ours: said[theirs]
                    for ours, theirs in (
                        ("memory_bytes", "used_memory"),
                        ("memory_limit_bytes", "maxmemory"),
                        ("evicted", "evicted_keys"),
                        ("store_hits", "keyspace_hits"),
                        ("store_misses", "keyspace_misses"),
                    )
                    if theirs in said
                }
            except redis.ResponseError:  # a user who may read and write, but not this
                return {}

        told: dict[str, Any] = self._ask(ask, {})
        with self._lock:
            about = {"kind": "redis", "available": self._problem is None, "problem": self._problem}
        return about | told

    def _claim_key(self, key: str) -> str:
        return f"{self._prefix}claim:{key}"

    def _ask(self, operation: Callable[[], _Answer], when_away: _Answer) -> _Answer:
        """The operation's answer, or ``when_away`` where Redis fails or is known to be away."""
        with self._lock:
            if self._backoff_s:
                if self._clock() < self._retry_at:
                    return when_away
                self._retry_at = self._clock() + self._longest_backoff_s  # the others do not wait for this attempt
        try:
            answer = operation()
        except (redis.RedisError, OSError) as error:
            with self._lock:
                if not self._backoff_s:
                    logger.warning("Redis does not answer (%s); results are computed anew until it does.", error)
                self._backoff_s = min(self._longest_backoff_s, self._backoff_s * 2 or self._first_backoff_s)
                self._retry_at = self._clock() + self._backoff_s
                self._problem = f"Redis does not answer: {error}"
            return when_away
        with self._lock:
            if self._backoff_s:
                logger.info("Redis answers again.")
            self._backoff_s, self._problem = 0.0, None
        return answer


# ------------------------------------------------------------------------------------------------------ cache


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
        return cls(RedisStore(redis_url) if redis_url else MemoryStore(budget_bytes))

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
