"""/status: what is cached, what runs, what failed. ``templates/status.html`` draws it, without Dash.

``assets/access/status_page.mjs`` loads the page again every few seconds and replaces the parts that have changed, so that
nothing flickers and what is being read or copied stays.
"""

from __future__ import annotations

import datetime
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from mloscope.app.errors import MloscopeError
from mloscope.app.process.logs import LoggedWarning, resident_bytes
from mloscope.app.process.request_context import CALLER
from mloscope.app.statistics.disk_usage import DaskCluster, KeptStatistics
from mloscope.app.web.access.authentication import Origin
from mloscope.app.web.access.health import Health
from mloscope.app.web.access.own_page import CSRF_SCOPE_KEY, NO_STORE, Handler, require_get
from mloscope.app.web.access.prometheus import Metrics
from mloscope.app.web.services import Services
from mloscope.app.web.templates import render
from mloscope.app.web.templates.filters import as_bytes, counted
from mloscope.components.numbers import grouped

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
    """See :meth:`Services.vitals`."""
    jobs: Sequence[tuple[tuple[str, str, str], Mapping[str, Any]]]
    """Run, corpus and split, and :meth:`StatisticsJobs.state`."""
    cluster: Mapping[str, Any] | None
    """See :class:`DaskCluster`; None where this machine computes statistics."""
    kept: Mapping[str, Any]
    """See :meth:`KeptStatistics.look`."""
    connected: Sequence[Connected]
    recent_warnings: Sequence[LoggedWarning]
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
        return Counter(warning.level for warning in self.recent_warnings)

    @property
    def distinct_warnings(self) -> Sequence[tuple[LoggedWarning, int]]:
        """The last of those with the same words, and how many came before it."""
        same: dict[tuple[str, str], list[LoggedWarning]] = {}
        for warning in self.recent_warnings:
            same.setdefault((warning.level, warning.message), []).append(warning)
        return [(last, len(before)) for last, *before in same.values()]


class StatusPage:
    """The page, by path."""

    def __init__(
        self,
        services: Services,
        health: Health,
        metrics: Metrics,
        recent_warnings: Callable[[], Iterable[LoggedWarning]] = tuple,
        dask_address: str | None = None,
    ) -> None:
        """``recent_warnings``: the last warnings and errors that were logged, the newest first. ``dask_address``: of the cluster that
        computes statistics; None: this machine does."""
        self._services = services
        self._health = health
        self._metrics = metrics
        self._recent_warnings = recent_warnings
        self._began = datetime.datetime.now(datetime.UTC)
        self._cluster = DaskCluster(dask_address) if dask_address else None
        self.routes: Mapping[str, Handler] = {"/status": self._status}

    async def _status(self, request: Request, origin: Origin) -> Response:
        require_get(request)
        vitals = await self._health.vitals()
        seen = await anyio.to_thread.run_sync(self._seen, vitals)
        page = render(
            "status.html",
            seen=seen,
            refresh_s=REFRESH_S,
            caller=CALLER.get(),
            token=request.scope[CSRF_SCOPE_KEY],
        )
        return HTMLResponse(page, headers=NO_STORE)

    @cached_property
    def _kept(self) -> KeptStatistics:
        return KeptStatistics(self._services.statistics.store.folder)

    def _seen(self, vitals: Mapping[str, Mapping[str, Any]]) -> Seen:
        caller = CALLER.get()
        return Seen(
            at=datetime.datetime.now(datetime.UTC),
            vitals=vitals,
            jobs=self._jobs(),
            cluster=self._cluster.look() if self._cluster is not None else None,
            kept=self._kept.look(),
            connected=list(self._connected()),
            recent_warnings=list(self._recent_warnings()),
            began=self._began,
            process=list(self._process_facts()),
            in_detail=caller.is_owner or (caller.role == "editor" and caller.via != "open"),
        )

    def _connected(self) -> Iterable[Connected]:
        for run in self._services.workspace.runs:
            holds, problem, broken = "", run.problem, []
            if run.adaptor is not None:
                try:
                    checkpoints = self._services.workspace.opened_run(run.name).checkpoints
                    broken = [(each.name, each.problem) for each in checkpoints if each.problem]
                    holds = f"{grouped(len(checkpoints))} checkpoints"
                except MloscopeError as error:
                    problem = str(error)
            yield Connected("run", run.name, run.format or "", holds, problem, run.gone, broken, run.title)
        for corpus in self._services.workspace.corpora:
            holds = f"{grouped(len(corpus.adaptor))} images" if corpus.adaptor is not None else ""
            yield Connected(
                "corpus", corpus.name, corpus.format or "", holds, corpus.problem, corpus.gone, title=corpus.title
            )

    def _jobs(self) -> list[tuple[tuple[str, str, str], Mapping[str, Any]]]:
        """Computations of statistics: run, corpus and split, and how far they are."""
        jobs, workspace = self._services.statistics.jobs, self._services.workspace
        if jobs is None:
            return []
        runs, corpora = {run.name for run in workspace.runs}, {corpus.name for corpus in workspace.corpora}
        # Another server of this machine may keep its statistics in the same folder.
        ours = [subject for subject in jobs.subjects() if subject[0] in runs and subject[1] in corpora]
        return [(subject, jobs.state(*subject)) for subject in ours]

    def _process_facts(self) -> Iterable[tuple[str, str]]:
        memory = resident_bytes()
        if memory is not None:
            yield "memory", as_bytes(memory)
        others = self._metrics.processes()
        yield "process", f"{os.getpid()}, one of {others} that share the work" if others > 1 else str(os.getpid())
        yield "evaluations", f"{grouped(self._metrics.evaluations)} asked for"
