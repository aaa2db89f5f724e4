"""Which worker gets which slice next."""

from __future__ import annotations

from mloscope.app.statistics.computing.order import Order
from mloscope.app.statistics.computing.plan import PlannedStep


def planned(*steps: int) -> list[PlannedStep]:
    return [PlannedStep(step, str(step), str(step)) for step in steps]


def test_workers_keep_to_the_slices_they_have_prepared() -> None:
    spans = [(start, start + 10) for start in range(0, 40, 10)]
    order = Order([(step, spans) for step in planned(0, 1, 2)], group=1, kept_slices=10)
    taken: dict[str, set] = {"a": set(), "b": set()}
    for _ in range(6):
        for worker in taken:
            _, span = order.take(worker)
            taken[worker].add(span)
    assert taken["a"].isdisjoint(taken["b"])
    assert order.take("a") is None
    assert not order


def test_a_worker_without_own_work_helps() -> None:
    spans = [(0, 10), (10, 20)]
    order = Order([(step, spans) for step in planned(0, 1)], group=1, kept_slices=10)
    assert [order.take("a")[1] for _ in range(3)] == [(0, 10), (10, 20), (0, 10)]
    assert order.next_slice("b") == (10, 20)
    step, span = order.take("b")
    assert (step.step, span) == (1, (10, 20))
    order.put_back(step, span)
    assert order.take("a") == (step, span)


def test_a_group_goes_slice_by_slice_and_loses_dropped_steps() -> None:
    spans = [(0, 10), (10, 20)]
    order = Order([(step, spans) for step in planned(0, 1, 2, 3)], group=3, kept_slices=1)
    assert [(s.step, span[0]) for s, span in (order.take("a"), order.take("a"))] == [(0, 0), (1, 0)]
    order.drop(2)
    rest = []
    while taken := order.take("a"):
        rest.append((taken[0].step, taken[1][0]))
    assert rest == [(0, 10), (1, 10), (3, 10), (3, 0)]
