"""In what order the slices of a job are handed to workers."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import MutableMapping, Sequence

from cachetools import LRUCache

from mloscope.app.statistics.computing.plan import PlannedStep
from mloscope.app.statistics.computing.tasks import Span


class Order:
    """Which task a worker gets next."""

    def __init__(self, missing: Sequence[tuple[PlannedStep, Sequence[Span]]], group: int, kept_slices: int) -> None:
        """``group``: how many checkpoints share each slice before the next slice is taken. ``kept_slices``: how many prepared
        slices a worker keeps."""
        self._group = group
        self._kept_slices = max(1, kept_slices)
        self._groups: deque[OrderedDict[Span, deque[PlannedStep]]] = deque()
        self._append(missing)
        self._prepared: dict[str, MutableMapping[Span, None]] = {}

    def _append(self, missing: Sequence[tuple[PlannedStep, Sequence[Span]]]) -> None:
        for first in range(0, len(missing), self._group):
            slices: OrderedDict[Span, deque[PlannedStep]] = OrderedDict()
            for planned, spans in missing[first : first + self._group]:
                for span in spans:
                    slices.setdefault(span, deque()).append(planned)
            self._groups.append(OrderedDict(sorted(slices.items())))

    def __bool__(self) -> bool:
        return any(self._groups)

    def begin_with(self, step: int) -> None:
        """Rearrange what is left: the checkpoint nearest to ``step`` by itself, then its neighbours outward."""
        left: dict[int, tuple[PlannedStep, list[Span]]] = {}
        for group in self._groups:
            for span, waiting in group.items():
                for planned in waiting:
                    left.setdefault(planned.step, (planned, []))[1].append(span)
        if not left:
            return
        steps = sorted(left)
        nearest = min(range(len(steps)), key=lambda place: abs(steps[place] - step))
        outward = sorted(range(len(steps)), key=lambda place: abs(place - nearest))
        missing = [left[steps[place]] for place in outward]
        self._groups.clear()
        self._append(missing[:1])
        self._append(missing[1:])

    def take(self, worker: str) -> tuple[PlannedStep, Span] | None:
        """The next task of a worker; None if there are no more."""
        span = self.next_slice(worker)
        if span is None:
            return None
        group = self._groups[0]
        planned = group[span].popleft()
        if not group[span]:
            del group[span]
        self._prepared.setdefault(worker, LRUCache(self._kept_slices))[span] = None
        return planned, span

    def next_slice(self, worker: str) -> Span | None:
        """The slice that :meth:`take` would choose: one that the worker has prepared, else one that no other worker has, else
        the first."""
        while self._groups and not self._groups[0]:
            self._groups.popleft()
        if not self._groups:
            return None
        own = self._prepared.get(worker, {})
        others = {span for name, spans in self._prepared.items() if name != worker for span in spans}
        best = None
        for span in self._groups[0]:
            if span in own:
                return span
            if best is None and span not in others:
                best = span
        return best or next(iter(self._groups[0]))

    def put_back(self, planned: PlannedStep, span: Span) -> None:
        """Return a task that was not done; it is the first to be taken."""
        if not self._groups:
            self._groups.append(OrderedDict())
        self._groups[0].setdefault(span, deque()).appendleft(planned)

    def drop(self, step: int) -> None:
        """Forget all tasks of a checkpoint."""
        for group in self._groups:
            for span in list(group):
                group[span] = deque(planned for planned in group[span] if planned.step != step)
                if not group[span]:
                    del group[span]

    def forget(self, worker: str) -> None:
        """Forget which slices a lost worker had prepared."""
        self._prepared.pop(worker, None)
