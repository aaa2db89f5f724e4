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


def steps_in_order(order: Order) -> list[int]:
    taken = []
    while found := order.take("a"):
        taken.append(found[0].step)
    return list(dict.fromkeys(taken))


def test_what_is_looked_at_comes_first_and_its_neighbours_follow() -> None:
    spans = [(0, 10), (10, 20)]
    order = Order([(step, spans) for step in planned(0, 10, 20, 30, 1000)], group=8, kept_slices=10)
    order.begin_with(22)
    assert [order.take("a")[0].step for _ in range(2)] == [20, 20], "alone, or it would wait for the whole group"
    order.begin_with(900)
    assert steps_in_order(order) == [1000, 30, 10, 0]
    order.begin_with(0)
    assert not order


def test_a_rearranged_order_has_the_same_tasks() -> None:
    spans = [(start, start + 10) for start in range(0, 40, 10)]
    order = Order([(step, spans) for step in planned(*range(20))], group=8, kept_slices=1)
    first = order.take("a")
    order.begin_with(7)
    tasks = [first]
    while found := order.take("a"):
        tasks.append(found)
    assert sorted((step.step, span) for step, span in tasks) == [(step, span) for step in range(20) for span in spans]
