"""Several model services: spread over, left out, taken back; and a client that asks them over real sockets."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from mloscope.app import errors
from mloscope.app.model_service.client import ModelServiceClient
from mloscope.app.model_service.service_addresses import ServiceAddresses


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def three(clock: Clock) -> ServiceAddresses:
    return ServiceAddresses(
        "http://model-service:8060", resolve=lambda host, port: ["10.0.0.1", "10.0.0.2", "10.0.0.3"], clock=clock
    )


def test_requests_at_the_same_time_go_to_different_services():
    services = three(Clock())
    with ExitStack() as stack:
        lent = [stack.enter_context(services.lent("run")).url for _ in range(6)]
    assert sorted(lent) == sorted(2 * [f"http://10.0.0.{n}:8060" for n in (1, 2, 3)])


def test_one_after_the_other_the_same_key_stays_with_one_service_and_keys_are_spread():
    services = three(Clock())

    def of(key: str) -> str:
        with services.lent(key) as address:
            return address.url

    assert {of("a run") for _ in range(10)} == {of("a run")}
    assert len({of(f"run {number}") for number in range(50)}) == 3


def test_one_that_fails_is_left_out_longer_each_time_and_taken_back():
    clock = Clock()
    services = three(clock)
    with services.lent("run") as first:
        services.failed(first)
    with services.lent("run") as second:
        assert second.url != first.url
    clock.now = 0.6
    with services.lent("run") as again:
        assert again.url == first.url
        services.failed(again)
    clock.now = 1.5  # the second time it is left out for a whole second
    with services.lent("run") as other:
        assert other.url != first.url
    clock.now = 1.7
    with services.lent("run") as again:
        assert again.url == first.url
        services.answered(again)
        services.failed(again)
    clock.now = 2.3  # well in between, so it begins with half a second once more
    with services.lent("run") as again:
        assert again.url == first.url


def test_it_is_never_left_out_for_more_than_eight_seconds():
    clock = Clock()
    services = ServiceAddresses("http://one:8060", resolve=lambda host, port: ["10.0.0.1"], clock=clock)
    (only,) = services.known()
    for _ in range(50):
        services.failed(only)
    with services.lent("run") as address:
        assert address == only, "where there is no other, it is asked nevertheless"
    assert services._health[only.url].left_out_until == 8.0


def test_names_are_looked_up_anew_and_a_name_server_away_takes_nothing_away():
    clock, answers = Clock(), [["10.0.0.1"], [], ["10.0.0.1", "10.0.0.9"]]
    services = ServiceAddresses("http://model-service:8060", resolve=lambda host, port: answers.pop(0), clock=clock)
    seen = []
    for clock.now in (0, 6, 12):
        seen.append([address.url for address in services.known()])
    assert seen == [
        ["http://10.0.0.1:8060"],
        ["http://10.0.0.1:8060"],
        ["http://10.0.0.1:8060", "http://10.0.0.9:8060"],
    ]


def test_a_name_with_a_certificate_is_asked_by_its_name():
    services = ServiceAddresses("https://gpu.lab.org/models", resolve=lambda host, port: ["10.0.0.1"])
    assert [address.url for address in services.known()] == ["https://gpu.lab.org/models"]


@contextmanager
def service(
    answer: bytes | None,
    hangs: threading.Event | None = None,
    seconds: float = 0,
    asked: list[str] | None = None,
) -> Iterator[str]:
    """A service that says ``answer`` to everything, or hangs up in the middle where it is None.

    It takes ``seconds`` for everything but /healthz, and says nothing at all before the event where ``hangs`` is one.
    ``asked`` gets the paths."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if asked is not None:
                asked.append(self.path)
            if hangs is not None:
                hangs.wait(30)
            if self.path != "/healthz":
                time.sleep(seconds)
            if answer is None:
                self.send_response(200)
                self.send_header("content-length", "1000")
                self.end_headers()
                self.wfile.write(b"{")
                return
            self.send_response(200)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_a_service_that_hangs_up_or_is_not_there_costs_no_answer():
    with service(json.dumps({"state": "ready"}).encode()) as well, service(None) as sick:
        client = ModelServiceClient(f"{sick}, http://127.0.0.1:9, {well}", token="t", timeout_s=5)
        for _ in range(5):
            assert client.status() == {"state": "ready"}


def test_what_two_services_died_of_is_not_asked_of_a_third():
    asked: list[str] = []
    with ExitStack() as stack:
        urls = [stack.enter_context(service(None, asked=asked)) for _ in range(4)]
        with pytest.raises(errors.Unavailable, match="stopped in the middle"):
            ModelServiceClient(", ".join(urls), token="t", timeout_s=5).status()
    assert len(asked) == 2


def test_what_a_service_that_hangs_was_asked_is_asked_of_another():
    lives_again = threading.Event()
    with service(json.dumps({"state": "ready"}).encode()) as well, service(b"{}", hangs=lives_again) as hung:
        client = ModelServiceClient(f"{hung}, {well}", token="t", timeout_s=60, look_every_s=0.02)
        try:
            began = time.monotonic()
            assert [client.status() for _ in range(5)] == [{"state": "ready"}] * 5
            with pytest.raises(errors.Unavailable, match="does not answer"):
                ModelServiceClient(hung, token="t", timeout_s=60, look_every_s=0.02).status()
            assert time.monotonic() - began < 15
        finally:
            lives_again.set()


def test_one_that_only_takes_long_is_waited_for():
    with service(json.dumps({"state": "ready"}).encode(), seconds=0.5) as slow:
        client = ModelServiceClient(slow, token="t", timeout_s=60, look_every_s=0.05)
        assert client.status() == {"state": "ready"}


def test_each_of_several_services_says_how_it_is():
    with service(json.dumps({"state": "ready", "waiting": 3}).encode()) as well, service(None) as sick:
        client = ModelServiceClient(f"{well}, http://127.0.0.1:9, {sick}", token="t", timeout_s=5)
        assert client.services(2.0) == [
            {"state": "ready", "waiting": 3, "address": well},
            {"state": "does not answer", "address": "http://127.0.0.1:9"},
            {"state": "does not answer", "address": sick},
        ]
        assert ModelServiceClient(well, token="t").services() == [], "one alone says it under its own name"


def test_where_none_answers_the_sentence_names_them():
    with pytest.raises(errors.Unavailable, match=r"http://127\.0\.0\.1:9 does not answer"):
        ModelServiceClient("http://127.0.0.1:9", token="t", timeout_s=5).status()
    with service(None) as sick, pytest.raises(errors.Unavailable, match="stopped in the middle"):
        ModelServiceClient(sick, token="t", timeout_s=5).status()
