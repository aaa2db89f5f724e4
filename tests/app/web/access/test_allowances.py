"""Token buckets, and what an evaluation costs whom."""

from __future__ import annotations

import pytest

from mloscope.app.errors import TooManyRequests
from mloscope.app.process.request_context import CALLER, NOBODY, Caller
from mloscope.app.web.access import allowances
from mloscope.app.web.access.allowances import Allowance, EvaluationCharge


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_so_many_at_once_then_as_they_come(clock: Clock) -> None:
    allowance = Allowance(2.0, 3.0, clock)
    assert [allowance.take("anna") for _ in range(3)] == [0, 0, 0]
    assert allowance.take("anna") == pytest.approx(0.5)
    assert allowance.take("bob") == 0
    clock.now += 0.5
    assert allowance.take("anna") == 0
    assert allowance.take("anna") > 0
    clock.now += 1000
    assert [allowance.take("anna") for _ in range(4)] == [0, 0, 0, pytest.approx(0.5)]


def test_a_refusal_costs_nothing(clock: Clock) -> None:
    allowance = Allowance(1.0, 1.0, clock)
    allowance.take("anna")
    for _ in range(50):
        assert allowance.take("anna") == pytest.approx(1.0)


def test_more_than_a_bucket_holds_is_taken_and_paid_for_afterwards(clock: Clock) -> None:
    allowance = Allowance(10.0, 20.0, clock)
    assert allowance.take("anna", 50) == 0
    assert allowance.take("anna", 50) == pytest.approx(3.1)
    clock.now += 3.2
    assert allowance.take("anna", 50) == 0


def test_buckets_do_not_fill_the_memory(clock: Clock) -> None:
    allowance = Allowance(1.0, 1.0, clock)
    for number in range(allowances.MOST_BUCKETS + 500):
        allowance.take(str(number))
    assert allowance.take(str(allowances.MOST_BUCKETS + 499)) > 0
    assert allowance.take("0") == 0, "the bucket that was emptied first should be forgotten, and so be full again"


def test_a_user_has_a_share_wherever_they_sit_and_a_stranger_by_address(clock: Clock) -> None:
    counted: list[int] = []
    charge = EvaluationCharge(60, counted.append, clock)
    at_home = Caller("anna", "viewer", "session", "10.0.0.1")
    on_the_train = Caller("anna", "viewer", "session", "10.9.9.9")
    stranger, other = Caller("", "editor", "open", "10.0.0.2"), Caller("", "editor", "open", "10.0.0.3")
    for caller, allowed in ((at_home, True), (on_the_train, False), (stranger, True), (stranger, False), (other, True)):
        before = CALLER.set(caller)
        try:
            if allowed:
                charge(60)
            else:
                with pytest.raises(TooManyRequests, match="60 evaluations a minute") as refusal:
                    charge(60)
                assert refusal.value.retry_after_s == pytest.approx(1.0)
        finally:
            CALLER.reset(before)
    assert counted == [60, 60, 60]


@pytest.mark.parametrize(
    "caller", [NOBODY, Caller("", "editor", "open", "127.0.0.1"), Caller("", "editor", "open", "::1")]
)
def test_whoever_sits_at_the_machine_has_no_limit(caller: Caller, clock: Clock) -> None:
    charge = EvaluationCharge(1, clock=clock)
    before = CALLER.set(caller)
    for _ in range(100):
        charge(1000)
    CALLER.reset(before)


def test_0_means_any_number(clock: Clock) -> None:
    charge = EvaluationCharge(0, clock=clock)
    before = CALLER.set(Caller("anna", "viewer", "token", "10.0.0.1"))
    for _ in range(100):
        charge(10_000)
    CALLER.reset(before)
