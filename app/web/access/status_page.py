"""What /status shows: what is cached, what runs, what failed. ``templates/status.html`` draws it, without Dash.

``assets/access/status_page.mjs`` loads the page again every few seconds and replaces the parts that have changed, so that
nothing flickers and what is being read or copied stays.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mloscope.app.process.logs import Trouble
from mloscope.app.web.templates.filters import counted

REFRESH_S = 10


@dataclass(frozen=True)
class Connected:
    """A run or a corpus."""

    kind: str
    name: str
    format: str
    holds: str
    problem: str | None = None
    gone: bool = False
    broken: Sequence[tuple[str, str]] = ()
    """Name and problem of each checkpoint that cannot be read."""
    title: str = ""
    """What people call it, where that is not its name."""


@dataclass(frozen=True)
class Seen:
    """Everything the page shows, at one moment."""

    at: datetime.datetime
    vitals: Mapping[str, Mapping[str, Any]]
    """See :meth:`Observatory.vitals`."""
    jobs: Sequence[tuple[tuple[str, str, str], Mapping[str, Any]]]
    """Run, corpus and split, and :meth:`StatisticsJobs.state`."""
    cluster: Mapping[str, Any] | None
    """See :class:`DaskCluster`; None where this machine computes statistics."""
    kept: Mapping[str, Any]
    """See :meth:`KeptStatistics.look`."""
    connected: Sequence[Connected]
    troubles: Sequence[Trouble]
    began: datetime.datetime
    process: Sequence[tuple[str, str]]
    """Words and text."""
    in_detail: bool
    """Whether addresses and what was logged may be read, which may name people and other machines."""

    @property
    def summary(self) -> str:
        """What is wrong just now, in one sentence."""
        wrong = list(self._what_is_wrong())
        if not wrong:
            return "All is well."
        sentence = wrong[0] if len(wrong) == 1 else f"{', '.join(wrong[:-1])}, and {wrong[-1]}"
        return f"{sentence[0].upper()}{sentence[1:]}."

    def _what_is_wrong(self) -> Iterator[str]:
        service = self.vitals["model_service"]["state"]
        if not self.vitals["cache"].get("available"):
            yield "the cache does not answer"
        if service not in ("ready", "not installed"):
            yield f"the model service is {service}"
        if self.cluster is not None and not self.cluster["available"]:
            yield "the Dask scheduler does not answer"
        elif self.cluster is not None and self.cluster.get("workers") == 0:
            yield "the Dask cluster has no workers"
        failed = sum(job["state"] == "failed" for _, job in self.jobs)
        if failed:
            yield f"{counted(failed, 'computation')} of statistics failed"
        broken = sum(bool(each.problem or each.broken) for each in self.connected)
        if broken:
            yield f"{broken} of the runs and corpora {'has' if broken == 1 else 'have'} a problem"

    @property
    def troubles_per_level(self) -> Mapping[str, int]:
        return Counter(trouble.level for trouble in self.troubles)

    @property
    def distinct_troubles(self) -> Sequence[tuple[Trouble, int]]:
        """The last of those with the same words, and how many came before it."""
        same: dict[tuple[str, str], list[Trouble]] = {}
        for trouble in self.troubles:
            same.setdefault((trouble.level, trouble.message), []).append(trouble)
        return [(last, len(before)) for last, *before in same.values()]
