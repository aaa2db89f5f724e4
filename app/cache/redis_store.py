"""Results in a Redis that several processes share, and leases on what one of them is computing."""

from __future__ import annotations

import itertools
import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

logger = logging.getLogger(__name__)

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
                    logger.warning("Redis does not answer (%s); results are computed again until it does.", error)
                self._backoff_s = min(self._longest_backoff_s, self._backoff_s * 2 or self._first_backoff_s)
                self._retry_at = self._clock() + self._backoff_s
                self._problem = f"Redis does not answer: {error}"
            return when_away
        with self._lock:
            if self._backoff_s:
                logger.info("Redis answers again.")
            self._backoff_s, self._problem = 0.0, None
        return answer
