"""One suite for both stores, then what only Redis can get wrong. Redis is a real server on a free port."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from mloscope.app.cache.memory_store import MemoryStore
from mloscope.app.cache.redis_store import RedisStore
from mloscope.app.cache.result_cache import ResultCache
from mloscope.app.cache.store import Store

REDIS_SERVER = shutil.which("redis-server")
needs_redis = pytest.mark.skipif(REDIS_SERVER is None, reason="no redis-server on the PATH (apt: redis-server)")


class RedisServer:
    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self.start()

    def start(self) -> None:
        assert REDIS_SERVER is not None
        self._process = subprocess.Popen(
            [
                REDIS_SERVER,
                "--port",
                str(self.port),
                "--save",
                "",
                "--appendonly",
                "no",
                "--bind",
                "127.0.0.1",
            ],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
        )
        client = redis.Redis(port=self.port)
        for _attempt in range(200):
            try:
                client.ping()
                break
            except redis.ConnectionError:
                time.sleep(0.02)
        else:
            raise AssertionError("redis-server did not come up within 4 s")
        client.close()

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)


@pytest.fixture(scope="module")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that the test may kill."""
    server = RedisServer(tmp_path)
    yield server
    server.resume()
    server.kill()


@pytest.fixture(params=["memory", pytest.param("redis", marks=needs_redis)])
def store(request: pytest.FixtureRequest) -> Store:
    if request.param == "memory":
        return MemoryStore(budget_bytes=10_000_000)
    server: RedisServer = request.getfixturevalue("shared_redis")
    redis.Redis(port=server.port).flushall()
    return RedisStore(server.url)


class Counting:
    """A computation that counts how often each key was computed; it may be held until the test lets it go."""

    def __init__(self, delay_s: float = 0.0) -> None:
        self.calls: list[tuple[str, ...]] = []
        self._delay_s = delay_s
        self._lock = threading.Lock()

    def __call__(self, missing: Sequence[str]) -> Mapping[str, bytes]:
        with self._lock:
            self.calls.append(tuple(missing))
        time.sleep(self._delay_s)
        return {key: b"value of " + key.encode() for key in missing}

    @property
    def keys(self) -> list[str]:
        return sorted(key for call in self.calls for key in call)


# ---------------------------------------------------------------------------------------------- both stores


def test_a_store_gives_back_what_it_was_given_and_says_nothing_of_the_rest(store: Store) -> None:
    values = {f"key/{n} ü": bytes([n % 256]) * n for n in range(40)}  # the empty value is a value
    store.set_many(values)
    assert store.get_many([*values, "never set"]) == values
    assert store.get_many([]) == {}
    store.set_many({"key/1 ü": b"replaced"})
    assert store.get_many(["key/1 ü"]) == {"key/1 ü": b"replaced"}


def test_a_store_says_whether_all_are_there(store: Store) -> None:
    store.set_many({f"there {n}": b"" for n in range(40)})
    assert store.has_all([f"there {n}" for n in range(40)])
    assert store.has_all([])
    assert not store.has_all(["there 1", "not there"])


def test_what_is_kept_is_told_without_computing_it(store: Store) -> None:
    cache = ResultCache(store)
    cache.get_or_compute("a", lambda: b"1")
    assert cache.kept(["a", "b"]) == {"a": b"1"}
    assert (cache.has_all(["a"]), cache.has_all(["a", "b"])) == (True, False)
    assert cache.counts == {"hits": 1, "joined": 0, "misses": 1}


def test_a_large_value_survives(store: Store) -> None:
    value = bytes(range(256)) * 20_000
    store.set_many({"large": value, "small": b"s"})
    assert store.get_many(["large", "small"]) == {"large": value, "small": b"s"}


def test_the_second_question_is_answered_from_the_store(store: Store) -> None:
    cache, compute = ResultCache(store), Counting()
    for _again in range(3):
        assert cache.get_or_compute("a", lambda: compute(["a"])["a"]) == b"value of a"
    assert compute.keys == ["a"]


def test_only_what_is_missing_is_computed_in_the_order_asked(store: Store) -> None:
    cache, compute = ResultCache(store), Counting()
    cache.get_or_compute_many(["b"], compute)
    answer = cache.get_or_compute_many(["c", "b", "a", "c"], compute)
    assert list(answer) == ["c", "b", "a"]
    assert answer["b"] == b"value of b"
    assert compute.calls == [("b",), ("c", "a")]


def test_many_threads_that_ask_for_one_key_compute_it_once(store: Store) -> None:
    cache, compute = ResultCache(store), Counting(delay_s=0.1)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _n: cache.get_or_compute_many(["a"], compute)["a"], range(16)))
    assert set(answers) == {b"value of a"}
    assert compute.keys == ["a"]


def test_overlapping_sets_compute_each_key_once(store: Store) -> None:
    cache, compute = ResultCache(store), Counting(delay_s=0.05)
    barrier = threading.Barrier(8)

    def ask(first: int) -> dict[str, bytes]:
        keys = [f"k{n:02}" for n in range(first, first + 10)]
        barrier.wait()
        answer = cache.get_or_compute_many(keys, compute)
        assert list(answer) == keys
        return answer

    with ThreadPoolExecutor(8) as pool:
        for answer in pool.map(ask, range(0, 24, 3)):
            assert all(value == b"value of " + key.encode() for key, value in answer.items())
    assert compute.keys == sorted({f"k{n:02}" for first in range(0, 24, 3) for n in range(first, first + 10)})


def test_an_error_reaches_everybody_who_waits_and_is_not_kept(store: Store) -> None:
    cache = ResultCache(store)
    started, go_on = threading.Event(), threading.Event()
    calls = []

    def fail() -> bytes:
        calls.append(1)
        started.set()
        go_on.wait(5)
        raise ValueError("conv1 has no kernel")

    def ask() -> str:
        with pytest.raises(ValueError, match="conv1 has no kernel"):
            cache.get_or_compute("a", fail)
        return "told"

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(ask)
        assert started.wait(5)
        others = [pool.submit(ask) for _n in range(3)]
        while len(cache._in_flight) != 1 or not all(other.running() for other in others):
            time.sleep(0.005)
        time.sleep(0.05)  # were the three not waiting by now, they would compute, and the count would tell
        go_on.set()
        assert [each.result(5) for each in (first, *others)] == ["told"] * 4
    assert len(calls) == 1
    assert cache.get_or_compute("a", lambda: b"well now") == b"well now"


def test_a_key_left_out_is_absent_and_each_waiter_asks_for_itself(store: Store) -> None:
    cache = ResultCache(store)
    reasons: list[str] = []
    started = threading.Event()

    def ask(who: str) -> dict[str, bytes]:
        def compute(missing: Sequence[str]) -> Mapping[str, bytes]:
            started.set()
            time.sleep(0.1)
            reasons.append(who)
            return {key: b"ok" for key in missing if key != "broken"}

        return cache.get_or_compute_many(["good", "broken"], compute)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask, "first")
        assert started.wait(5)
        second = pool.submit(ask, "second")
        assert first.result(5) == second.result(5) == {"good": b"ok"}
    assert reasons == ["first", "second"]


def test_what_is_computed_beyond_the_question_is_kept(store: Store) -> None:
    cache, compute = ResultCache(store), Counting()
    assert cache.get_or_compute_many(["map"], lambda _m: {"map": b"m", "class": b"c"}) == {"map": b"m"}
    assert cache.get_or_compute_many(["class"], compute) == {"class": b"c"}
    assert compute.calls == []


def test_an_interrupted_computation_leaves_nobody_waiting(store: Store) -> None:
    cache = ResultCache(store)

    def interrupted() -> bytes:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.get_or_compute("a", interrupted)
    assert cache.get_or_compute("a", lambda: b"now") == b"now"


# ---------------------------------------------------------------------------------------------------- memory


def test_memory_keeps_its_budget_and_drops_the_least_recently_used() -> None:
    store = MemoryStore(budget_bytes=10_000)
    for n in range(100):
        store.set_many({f"{n:03}": bytes(1_000)})
        store.get_many(["000"])  # used all the time
        assert store.status()["used_bytes"] <= 10_000
    kept = [n for n in range(100) if store.get_many([f"{n:03}"])]
    assert kept == [0, *range(100 - len(kept) + 1, 100)]
    assert len(kept) == 7  # 1,253 bytes each: key and bookkeeping count


def test_memory_of_tiny_values_is_bounded_by_their_bookkeeping() -> None:
    store = MemoryStore(budget_bytes=100_000)
    store.set_many({f"{n}": b"" for n in range(10_000)})
    assert store.status()["entries"] < 400


def test_memory_does_not_empty_itself_for_a_value_that_cannot_fit() -> None:
    store = MemoryStore(budget_bytes=5_000)
    store.set_many({"small": b"s"})
    store.set_many({"huge": bytes(6_000)})
    assert store.get_many(["small", "huge"]) == {"small": b"s"}
    store.set_many({"small": bytes(6_000)})  # the old value is not the key's any more
    assert store.get_many(["small"]) == {}
    assert store.status()["used_bytes"] == 0


def test_a_negative_budget_is_refused() -> None:
    with pytest.raises(ValueError, match="-1 bytes"):
        MemoryStore(-1)


def test_settings_choose_the_store() -> None:
    assert ResultCache.from_settings(None, 1_000).store.status()["budget_bytes"] == 1_000
    assert ResultCache.from_settings("redis://127.0.0.1:1/0", 1_000).store.status()["kind"] == "redis"


# ----------------------------------------------------------------------------------------------------- Redis


@needs_redis
def test_a_redis_killed_in_the_middle_costs_time_and_no_answer(own_redis: RedisServer) -> None:
    store = RedisStore(own_redis.url)
    cache, compute = ResultCache(store), Counting(delay_s=0.001)
    stop = threading.Event()
    slowest_s = [0.0] * 4
    answered = [0] * 4

    def keep_asking(worker: int) -> None:
        while not stop.is_set():
            keys = [f"{worker}-{answered[worker] % 7}", "everybody's"]
            started = time.monotonic()
            assert cache.get_or_compute_many(keys, compute) == {k: b"value of " + k.encode() for k in keys}
            slowest_s[worker] = max(slowest_s[worker], time.monotonic() - started)
            answered[worker] += 1

    with ThreadPoolExecutor(4) as pool:
        workers = [pool.submit(keep_asking, n) for n in range(4)]
        time.sleep(0.3)
        own_redis.kill()
        time.sleep(0.5)
        while_down = list(answered)
        assert store.status()["available"] is False
        time.sleep(0.2)
        assert all(now > before for now, before in zip(answered, while_down, strict=True))
        own_redis.start()
        deadline = time.monotonic() + 6
        while not store.status()["available"] and time.monotonic() < deadline:
            time.sleep(0.02)
        assert store.status()["available"] is True
        time.sleep(0.1)
        computed = len(compute.calls)
        time.sleep(0.2)
        stop.set()
        for worker in workers:
            worker.result(10)
    assert len(compute.calls) - computed <= 28  # hits again, but for what a new process had not seen yet
    assert max(slowest_s) < 2.5


@needs_redis
def test_while_redis_is_away_requests_do_not_wait_for_it(own_redis: RedisServer) -> None:
    now = [1_000.0]
    store = RedisStore(own_redis.url, clock=lambda: now[0], operation_timeout_s=0.2)
    store.set_many({"a": b"1"})
    own_redis.pause()  # accepts connections and says nothing: the slowest way of being away
    started = time.monotonic()
    assert store.get_many(["a"]) == {}
    first_s = time.monotonic() - started
    started = time.monotonic()
    for _n in range(1_000):
        assert store.get_many(["a"]) == {}
        assert store.claim(["a"]) == {"a"}
    assert time.monotonic() - started < first_s  # 2,000 questions cost less than the one that found out
    own_redis.resume()
    assert store.get_many(["a"]) == {}
    now[0] += 0.11
    assert store.get_many(["a"]) == {"a": b"1"}


def test_a_redis_that_never_was_is_an_empty_store_with_growing_backoff(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        now = [0.0]
        store = RedisStore(f"redis://127.0.0.1:{nobody_listens.getsockname()[1]}/0", clock=lambda: now[0])
        cache = ResultCache(store)
        assert cache.get_or_compute("a", lambda: b"1") == b"1"
        waits = []
        for _attempt in range(9):
            waits.append(round(store._retry_at - now[0], 6))
            now[0] = store._retry_at
            assert store.get_many(["a"]) == {}
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
    assert "does not answer" in store.status()["problem"]
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 1


@needs_redis
def test_a_full_redis_is_read_and_not_written(own_redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    store = RedisStore(own_redis.url)
    store.set_many({"a": b"1"})
    redis.Redis(port=own_redis.port).config_set("maxmemory", "1")
    store.set_many({"b": b"2"})
    store.set_many({"c": b"3"})
    assert store.get_many(["a", "b"]) == {"a": b"1"}
    assert ResultCache(store).get_or_compute_many(["a", "d"], Counting()) == {"a": b"1", "d": b"value of d"}
    assert store.status()["available"] is True
    assert len([record for record in caplog.records if "keeps no new results" in record.message]) == 1


@needs_redis
def test_redis_says_how_much_it_holds_and_of_what(own_redis: RedisServer) -> None:
    store = RedisStore(own_redis.url)
    store.set_many({"a": b"1" * 1000, "b": b"2"})
    store.get_many(["a", "b", "c"])
    status = store.status()
    assert (status["available"], status["keys"], status["store_hits"], status["store_misses"]) == (True, 2, 2, 1)
    assert (status["memory_limit_bytes"], status["evicted"]) == (0, 0)
    assert status["memory_bytes"] > 1000
    own_redis.kill()
    assert store.status()["available"] is False


@needs_redis
def test_values_expire_only_where_a_time_to_live_is_set(shared_redis: RedisServer) -> None:
    RedisStore(shared_redis.url, ttl_s=100, prefix="ttl:").set_many({"a": b"1"})
    RedisStore(shared_redis.url, prefix="for ever:").set_many({"a": b"1"})
    client = redis.Redis(port=shared_redis.port)
    assert 90 < client.ttl("ttl:a") <= 100
    assert client.ttl("for ever:a") == -1


@needs_redis
def test_a_claim_is_exclusive_and_only_its_holder_gives_it_up(shared_redis: RedisServer) -> None:
    one, other = (RedisStore(shared_redis.url, prefix="claims:") for _n in range(2))
    assert one.claim(["a", "b"]) == {"a", "b"}
    assert other.claim(["a", "b", "c"]) == {"c"}
    other.release(["a", "b", "c"])
    assert other.claim(["a"]) == frozenset()
    one.release(["a"])
    assert other.claim(["a", "b"]) == {"a"}


@needs_redis
def test_a_claim_lasts_as_long_as_its_holder_computes(shared_redis: RedisServer) -> None:
    one, other = (ResultCache(RedisStore(shared_redis.url, prefix="long:", claim_s=0.3)) for _n in range(2))
    compute = Counting(delay_s=1.2)
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(cache.get_or_compute_many, ["a"], compute) for cache in (one, other)]
        assert [answer.result(10) for answer in answers] == [{"a": b"value of a"}] * 2
    assert compute.calls == [("a",)]
    assert not redis.Redis(port=shared_redis.port).exists("long:claim:a")


_DIES_WITH_A_CLAIM = """
import os, signal, sys
from mloscope.app.cache.redis_store import RedisStore
assert RedisStore(sys.argv[1], prefix="dead:", claim_s=0.9).claim(["a"]) == {"a"}
os.kill(os.getpid(), signal.SIGKILL)
"""


@needs_redis
def test_a_claim_whose_holder_died_costs_its_expiry_at_most(shared_redis: RedisServer) -> None:
    cache = ResultCache(RedisStore(shared_redis.url, prefix="dead:"))
    died = subprocess.run([sys.executable, "-c", _DIES_WITH_A_CLAIM, shared_redis.url])
    assert died.returncode == -signal.SIGKILL
    started = time.monotonic()
    assert cache.get_or_compute("a", lambda: b"after all") == b"after all"
    assert 0.2 < time.monotonic() - started < 2


@needs_redis
def test_waiting_for_another_process_ends_when_redis_dies(own_redis: RedisServer) -> None:
    assert RedisStore(own_redis.url).claim(["a"]) == {"a"}
    cache = ResultCache(RedisStore(own_redis.url))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(cache.get_or_compute, "a", lambda: b"computed here")
        time.sleep(0.2)
        assert not answer.done()
        own_redis.kill()
        assert answer.result(2) == b"computed here"


@needs_redis
def test_a_claim_from_before_the_clock_was_set_back_holds_nobody_up(shared_redis: RedisServer) -> None:
    redis.Redis(port=shared_redis.port).set("clock:claim:a", "somebody who died", px=86_400_000)
    started = time.monotonic()
    cache = ResultCache(RedisStore(shared_redis.url, prefix="clock:"))
    assert cache.get_or_compute("a", lambda: b"at once") == b"at once"
    assert time.monotonic() - started < 1
    assert not redis.Redis(port=shared_redis.port).exists("clock:claim:a")


_OTHER_PROCESS = """
import sys, time
from mloscope.app.cache.redis_store import RedisStore
from mloscope.app.cache.result_cache import ResultCache
def compute(missing):
    time.sleep(0.3)
    return {key: b"value of " + key.encode() for key in missing}
counted = []
def counting(missing):
    counted.extend(missing)
    return compute(missing)
cache = ResultCache(RedisStore(sys.argv[1], prefix="processes:"))
print("ready", flush=True)
sys.stdin.readline()
keys = sys.argv[2].split(",")
assert cache.get_or_compute_many(keys, counting) == {key: b"value of " + key.encode() for key in keys}
print(",".join(counted), flush=True)
"""


@needs_redis
def test_two_processes_on_one_redis_compute_each_key_once(shared_redis: RedisServer) -> None:
    def start(keys: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", _OTHER_PROCESS, shared_redis.url, keys],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    processes = [start("a,b,c,d"), start("c,d,e"), start("e,a")]

    def line(process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        return process.stdout.readline().strip()

    assert [line(process) for process in processes] == ["ready"] * 3

    def finish(process: subprocess.Popen[str]) -> str:
        return process.communicate("go\n", 20)[0]

    with ThreadPoolExecutor(3) as pool:
        outputs = list(pool.map(finish, processes))
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sorted(key for output in outputs for key in output.strip().split(",") if key) == list("abcde")
