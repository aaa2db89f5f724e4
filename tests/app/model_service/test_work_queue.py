from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from mloscope.app.errors import Unavailable
from mloscope.app.model_service.work_queue import Stopped, WorkQueue


class Recording:
    """Work that notes when it was done, and may be held in the middle."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.began = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, name: str, held: bool = False) -> Callable[[Callable[[], bool]], bytes]:
        def work(stop: Callable[[], bool]) -> bytes:
            if held:
                self.began.set()
                assert self.go_on.wait(5)
            if stop():
                raise Stopped
            self.done.append(name)
            return name.encode()

        return work


def run_to_the_end(queue: WorkQueue) -> threading.Thread:
    thread = threading.Thread(target=queue.run, daemon=True)
    thread.start()
    return thread


def test_urgent_first_then_the_newest() -> None:
    queue, record = WorkQueue(), Recording()
    jobs = [
        queue.join(name, priority, record(name))
        for name, priority in (("old", 0), ("late", 2), ("soon", 1), ("new", 0), ("sooner", 1))
    ]
    assert queue.waiting == 5
    run_to_the_end(queue)
    assert [job.answer.result(5) for job in jobs] == [b"old", b"late", b"soon", b"new", b"sooner"]
    assert record.done == ["new", "old", "sooner", "soon", "late"]
    assert queue.counts["answered"] == 5


def test_asking_again_for_the_same_makes_it_as_urgent_as_the_most_urgent() -> None:
    queue, record = WorkQueue(), Recording()
    last = queue.join("a", 2, record("a"))
    queue.join("b", 1, record("b"))
    assert queue.join("a", 0, record("never")) is last
    run_to_the_end(queue)
    assert last.answer.result(5) == b"a"
    assert record.done[0] == "a"
    assert queue.counts["coalesced"] == 1


def test_what_nobody_waits_for_is_not_begun() -> None:
    queue, record = WorkQueue(), Recording()
    given_up, wanted = queue.join("a", 0, record("a")), queue.join("b", 0, record("b"))
    half_wanted = queue.join("c", 0, record("c"))
    queue.join("c", 0, record("c"))
    queue.leave(given_up)
    queue.leave(half_wanted)
    run_to_the_end(queue)
    assert wanted.answer.result(5) == b"b"
    assert half_wanted.answer.result(5) == b"c"
    assert sorted(record.done) == ["b", "c"]
    assert queue.counts["dropped"] == 1


def test_what_nobody_waits_for_any_more_stops_unless_somebody_else_joined() -> None:
    queue, record = WorkQueue(), Recording()
    job = queue.join("a", 0, record("a", held=True))
    run_to_the_end(queue)
    assert record.began.wait(5)
    queue.leave(job)
    again = queue.join("a", 0, record("a again"))  # the running one may stop any moment: this is another
    assert again is not job
    record.go_on.set()
    assert again.answer.result(5) == b"a again"
    with pytest.raises(Unavailable):
        job.answer.result(5)
    assert queue.counts == {"answered": 1, "coalesced": 0, "dropped": 0, "stopped": 1}

    record.began.clear()
    record.go_on.clear()
    job = queue.join("b", 0, record("b", held=True))
    assert record.began.wait(5)
    assert queue.join("b", 0, record("never")) is job
    queue.leave(job)
    record.go_on.set()
    assert job.answer.result(5) == b"b"


def test_an_error_reaches_all_who_wait_and_the_queue_goes_on() -> None:
    queue, record = WorkQueue(), Recording()

    def fail(_stop: Callable[[], bool]) -> bytes:
        raise ValueError("broken")

    job = queue.join("a", 0, fail)
    other = queue.join("b", 1, record("b"))
    run_to_the_end(queue)
    with pytest.raises(ValueError, match="broken"):
        job.answer.result(5)
    assert other.answer.result(5) == b"b"
    assert queue.join("a", 0, record("a")).answer.result(5) == b"a"


def test_a_closed_queue_leaves_nobody_waiting() -> None:
    queue, record = WorkQueue(), Recording()
    job = queue.join("a", 0, record("a"))
    queue.close()
    run_to_the_end(queue).join(5)
    with pytest.raises(Unavailable, match="stopping"):
        job.answer.result(5)
    with pytest.raises(Unavailable, match="stopping"):
        queue.join("b", 0, record("b"))
