"""Processes that are killed, hang, fill up and come back, while somebody asks. Each test is a row of docs/faults.md."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from team import WELL_WITHIN_S, Team, Witness, children, until

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(400)]


def stays_well(
    team: Team,
    measured: Callable[..., None],
    name: str,
    cause: Callable[[], contextlib.AbstractContextManager[None]],
    lasting_s: float,
    allowed: str | None = None,
    well: Callable[[Team], bool] = Team.is_well,
) -> Witness:
    """Let a fault happen for so long, and see what a witness was told meanwhile and how soon all was well again.

    ``allowed``: a pattern that all refusals match; None: nothing may be refused at all."""
    with Witness(team) as witness:
        time.sleep(1.0)
        with cause():
            time.sleep(lasting_s)
        gone = time.monotonic()
        well_s = until(lambda: well(team), f"all is well again after: {name}", WELL_WITHIN_S)
        time.sleep(2.0)
    assert witness.wrong == []
    assert len(witness.answers) > 20, "the witness was asking all the while"
    if allowed is None:
        assert witness.problems == set()
    else:
        assert [problem for problem in witness.problems if not re.search(allowed, problem)] == []
    last_refusal_s = witness.last_refusal_after(gone)
    assert last_refusal_s <= WELL_WITHIN_S
    measured(name, well_s=max(well_s, last_refusal_s), slowest_s=witness.slowest_s, refusals=sorted(witness.problems))
    return witness


def test_redis_killed_and_started_again_empty(team: Team, measured: Callable[..., None]):
    image = team.unseen_image()
    chunk = film_chunk(team)
    assert team.ask(chunk)[0] == 200

    @contextlib.contextmanager
    def killed() -> Iterator[None]:
        team.redis.kill()
        yield
        team.redis.start()

    stays_well(team, measured, "Redis killed, and started again empty", killed, 4, well=Team.caches)

    # A film's piece that Redis has forgotten is said to be gone, and asking for the film brings the same piece back.
    status, _, body = team.ask(chunk)
    if status != 200:
        assert status == 404
        assert b"request its manifest again" in body
    assert film_chunk(team) == chunk
    assert team.ask(chunk)[0] == 200
    assert team.is_right(team.predictions(image))


def film_chunk(team: Team) -> str:
    """The address of a piece of the film of filters."""
    _, _, lines = team.ask("/api/v1/runs/small/layers/conv/film")
    return re.search(rb'"address":"([^"]+)"', lines)[1].decode()  # type: ignore[index]


def test_redis_hangs(team: Team, measured: Callable[..., None]):
    witness = stays_well(team, measured, "Redis hangs", team.redis.paused, 6, well=Team.caches)
    assert witness.slowest_s < 10


@pytest.mark.parametrize("policy", ["allkeys-lru", "noeviction"])
def test_redis_is_full(team: Team, measured: Callable[..., None], policy: str):
    client = redis.Redis.from_url(team.redis_url)
    usual = client.config_get("maxmemory", "maxmemory-policy")

    @contextlib.contextmanager
    def full() -> Iterator[None]:
        used = int(client.info("memory")["used_memory"])
        client.config_set("maxmemory-policy", policy, "maxmemory", used)
        yield
        for name, value in usual.items():
            client.config_set(name, value)

    stays_well(team, measured, f"Redis full ({policy})", full, 4, well=Team.caches)


def test_one_of_two_model_services_is_killed_in_the_middle(team: Team, measured: Callable[..., None]):
    first = team.services[0]

    @contextlib.contextmanager
    def killed() -> Iterator[None]:
        with first.paused():
            time.sleep(0.5)  # by now it has questions that it will never answer
            first.kill()
        yield
        first.start()
        until(first.is_up, "the model service listens again", 60)

    stays_well(team, measured, "one of two model services killed in the middle", killed, 3)


def test_all_model_services_are_killed_in_the_middle(team: Team, measured: Callable[..., None]):
    loading_s = []

    @contextlib.contextmanager
    def killed() -> Iterator[None]:
        for service in team.services:
            service.signal(signal.SIGSTOP)
        time.sleep(0.5)
        for service in team.services:
            service.kill()
        yield
        for service in team.services:
            service.start()
        # Loading TensorFlow is not ours to make quicker; the cause is gone when they have it.
        loading_s.append(
            until(lambda: all(service.is_ready() for service in team.services), "TensorFlow is loaded", 90)
        )

    stays_well(
        team, measured, "all model services killed in the middle", killed, 3,
        allowed=r"^The model service at http\S+, http\S+ does not answer\.$|stopped in the middle of this; ask again\.$",
    )  # fmt: skip
    measured("all model services killed: loading TensorFlow anew", seconds=loading_s[0])


def test_one_of_two_model_services_hangs(team: Team, measured: Callable[..., None]):
    witness = stays_well(team, measured, "one of two model services hangs", team.services[1].paused, 16)
    assert witness.slowest_s < 25


def test_all_model_services_hang(team: Team, measured: Callable[..., None]):
    @contextlib.contextmanager
    def all_paused() -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for service in team.services:
                stack.enter_context(service.paused())
            yield

    stays_well(team, measured, "all model services hang", all_paused, 20, allowed=r"does not answer\.$")


def test_model_services_run_out_of_memory(team: Team, measured: Callable[..., None]):
    question = "/api/v1/runs/wide/predictions/test-{}?corpus=noise"
    refused: list[tuple[int, bytes]] = []

    @contextlib.contextmanager
    def no_memory() -> Iterator[None]:
        """What they are asked needs half a gigabyte, and they may have 100 MB more than they have."""
        usual = {}
        for service in team.services:
            assert service.process is not None
            pages = int(Path(f"/proc/{service.process.pid}/statm").read_text().split()[0])
            usual[service] = resource.prlimit(service.process.pid, resource.RLIMIT_AS)
            bound = pages * os.sysconf("SC_PAGE_SIZE") + (100 << 20)
            resource.prlimit(service.process.pid, resource.RLIMIT_AS, (bound, usual[service][1]))
        for image in (1, 2):
            status, _, body = team.ask(question.format(image))
            refused.append((status, body))
        yield
        for service, limits in usual.items():
            if service.process.poll() is None:
                resource.prlimit(service.process.pid, resource.RLIMIT_AS, limits)
            else:
                service.start()
        until(lambda: all(service.is_ready() for service in team.services), "TensorFlow is loaded", 90)

    stays_well(
        team, measured, "model services out of memory", no_memory, 3,
        allowed=r"not enough memory|does not answer|stopped in the middle",
    )  # fmt: skip
    sentences = [json.loads(body).get("error", {}).get("message") or json.loads(body)["missing"] for _, body in refused]
    measured("model services out of memory: what was asked for it", answers=sentences)
    assert all(status in (200, 503) and body for status, body in refused)
    assert team.ask(question.format(3))[0] == 200


def test_a_web_worker_is_killed(team: Team, measured: Callable[..., None]):
    @contextlib.contextmanager
    def killed() -> Iterator[None]:
        os.kill(team.worker_pids()[0], signal.SIGKILL)
        yield

    stays_well(team, measured, "a web worker killed", killed, 0, allowed=r"^nobody answered")


def test_a_web_worker_killed_while_it_computes_leaves_no_lock_behind(team: Team, measured: Callable[..., None]):
    image = team.unseen_image()
    holders = set(team.worker_pids())
    with contextlib.ExitStack() as stack:
        for service in team.services:
            stack.enter_context(service.paused())
        asked = threading.Thread(target=team.predictions, args=(image,), daemon=True)
        asked.start()
        client = redis.Redis.from_url(team.redis_url)
        until(lambda: client.keys("mloscope:1:claim:*"), "somebody claims what is asked for", 10)
        for pid in holders:  # whichever of them it was
            os.kill(pid, signal.SIGKILL)
    gone = time.monotonic()
    until(lambda: team.is_right(team.predictions(image)), "the same is answered", WELL_WITHIN_S)
    measured("all web workers killed in the middle", well_s=time.monotonic() - gone)
    assert holders.isdisjoint(pid for pid, _ in children(team.web.process.pid))  # type: ignore[union-attr]
