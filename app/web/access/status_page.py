"""/status: what is cached, what runs, what failed, as one page that works without Dash.

``parts(seen)`` is HTML by the name of the part; ``assets/doors.js`` asks for the page again every few seconds and takes over the
parts that have changed, so that nothing flickers and what is being read or copied stays.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from mloscope.app.process.logs import Trouble

REFRESH_S = 10
_PASSING = ("starting", "restarting")
_LOOKS = {"paused": "waiting", "cancelled": "waiting", "failed": "bad", "starting": "waiting"}


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
    """Everything that the page tells of one moment."""

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


def parts(seen: Seen) -> dict[str, str]:
    """HTML by the name of the part, in their order; the first is the summary."""
    return {
        "summary": f'<h1 class="door-summary">{escape(summary(seen))}</h1>',
        "looked": f'<p class="door-quiet">As of {_time(seen.at)}, and again every {REFRESH_S} seconds.</p>',
        "cache": _section("Cache", _cache_facts(seen)),
        "service": _section("Model service", _service_facts(seen)),
        "statistics": _section("Statistics", _statistics_facts(seen)),
        "process": _section("Web process", _process_facts(seen)),
        "jobs": _jobs_table(seen.jobs),
        "connected": _connected_table(seen.connected),
        "troubles": _troubles_table(seen),
    }


def body(made: Mapping[str, str]) -> str:
    """The page's main part of :func:`parts`."""
    facts = ("cache", "service", "statistics", "process")
    html = {name: f'<div data-part="{name}">{part}</div>' for name, part in made.items()}
    # Read out when it changes; the others are for those who look.
    html["summary"] = html["summary"].replace("<div ", '<div role="status" ', 1)
    columns = "".join(html.pop(name) for name in facts)
    above = html.pop("summary") + html.pop("looked")
    return f'{above}<div class="door-columns">{columns}</div>{"".join(html.values())}'


def summary(seen: Seen) -> str:
    """What is wrong just now, in one sentence."""
    service = seen.vitals["model_service"]["state"]
    wrong = []
    if not seen.vitals["cache"].get("available"):
        wrong.append("the cache does not answer")
    if service not in ("ready", "not installed"):
        wrong.append(f"the model service is {service}")
    if seen.cluster is not None and not seen.cluster["available"]:
        wrong.append("the Dask scheduler does not answer")
    elif seen.cluster is not None and seen.cluster.get("workers") == 0:
        wrong.append("the Dask cluster has no workers")
    failed = sum(said["state"] == "failed" for _, said in seen.jobs)
    if failed:
        wrong.append(f"{_counted(failed, 'computation')} of statistics failed")
    broken = sum(bool(each.problem or each.broken) for each in seen.connected)
    if broken:
        wrong.append(f"{broken} of the runs and corpora {'has' if broken == 1 else 'have'} a problem")
    if not wrong:
        return "All is well."
    sentence = wrong[0] if len(wrong) == 1 else f"{', '.join(wrong[:-1])}, and {wrong[-1]}"
    return f"{sentence[0].upper()}{sentence[1:]}."


# -------------------------------------------------------------------------------------------------------- facts


def _cache_facts(seen: Seen) -> Iterable[tuple[str, str]]:
    cache = seen.vitals["cache"]
    yield "kept in", "Redis" if cache.get("kind") == "redis" else "memory of this process"
    yield "state", _state("answers", "good") if cache.get("available") else _state("does not answer", "bad")
    if cache.get("problem") and seen.in_detail:
        yield "", f'<span class="door-bad">{escape(str(cache["problem"]))}</span>'
    used = cache.get("used_bytes", cache.get("memory_bytes"))
    limit = cache.get("budget_bytes", cache.get("memory_limit_bytes"))
    if used is not None:
        yield "used", f"{as_bytes(used)} of {as_bytes(limit)}{_meter(used / limit)}" if limit else as_bytes(used)
    kept = cache.get("entries", cache.get("keys"))
    if kept is not None:
        yield "results", f"{kept:,}"
    if cache.get("evicted"):
        yield "let go", f"{cache['evicted']:,}, for lack of room"
    looked_up = cache.get("store_hits", 0) + cache.get("store_misses", 0)
    if looked_up:
        yield (
            "found",
            f"{cache['store_hits']:,} of {looked_up:,} ({cache['store_hits'] / looked_up:.0%}), by all processes",
        )
    asked = sum(cache.get(word, 0) for word in ("hits", "joined", "misses"))
    if asked:
        here = " here" if looked_up else ""
        yield f"found{here}", f"{cache['hits']:,} of {asked:,} ({cache['hits'] / asked:.0%})"
        yield f"computed{here}", f"{cache['misses']:,}"
        yield f"shared{here}", f"{cache['joined']:,} while others computed them"


def _service_facts(seen: Seen) -> Iterable[tuple[str, str]]:
    service = seen.vitals["model_service"]
    yield "state", _service_state(service)
    if service.get("problem") and seen.in_detail:
        yield "", escape(str(service["problem"]))
    for number, each in enumerate(service.get("services") or (), 1):
        said = [] if each.get("waiting") is None else [f"{each['waiting']:,} waiting"]
        said += [] if each.get("memory_bytes") is None else [as_bytes(each["memory_bytes"])]
        yield f"service {number}", _service_state(each) + "".join(f", {words}" for words in said)
        if seen.in_detail:
            yield "", f'<span class="door-mono">{escape(str(each["address"]))}</span>'
    if service.get("services"):
        return
    if service.get("device"):
        yield "device", escape(str(service["device"]))
    for word, key, what in (
        ("waiting", "waiting", "question"),
        ("answered", "answered", "question"),
        ("evaluated", "checkpoints_evaluated", "checkpoint"),
    ):
        if service.get(key) is not None:
            yield word, _counted(service[key], what)
    if service.get("weights_budget_bytes"):
        share = service["weights_bytes"] / service["weights_budget_bytes"]
        yield (
            "weights",
            f"{as_bytes(service['weights_bytes'])} of {as_bytes(service['weights_budget_bytes'])}{_meter(share)}",
        )
    if service.get("memory_bytes"):
        yield "memory", as_bytes(service["memory_bytes"])


def _statistics_facts(seen: Seen) -> Iterable[tuple[str, str]]:
    cluster, kept = seen.cluster, seen.kept
    yield "computed by", "this machine" if cluster is None else "a Dask cluster"
    if cluster is not None:
        yield "scheduler", _state("answers", "good") if cluster["available"] else _state("does not answer", "bad")
        if seen.in_detail:
            yield "", f'<span class="door-mono">{escape(cluster["address"])}</span>'
        if cluster.get("workers") is not None:
            threads = _counted(cluster["threads"], "thread")
            workers = f"{cluster['workers']:,}, with {threads}" if cluster["workers"] else _state("none", "bad")
            yield "workers", workers
            yield "tasks", f"{cluster['processing']:,} in work, {cluster['tasks']:,} known"
    more = "more than " if kept["more"] else ""
    yield "kept on disk", f"{_counted(kept['planes'], 'checkpoint')} measured, {more}{as_bytes(kept['bytes'])}"
    if kept["free_bytes"] is not None:
        short = kept["free_bytes"] < 1 << 30
        yield "free on disk", _state(as_bytes(kept["free_bytes"]), "bad") if short else as_bytes(kept["free_bytes"])


def _process_facts(seen: Seen) -> Iterable[tuple[str, str]]:
    yield "since", f"{_time(seen.began)}, {_duration((seen.at - seen.began).total_seconds())} ago"
    for word, text in seen.process:
        yield word, escape(text)


# ------------------------------------------------------------------------------------------------------- tables


def _jobs_table(jobs: Sequence[tuple[tuple[str, str, str], Mapping[str, Any]]]) -> str:
    rows = []
    for (run, corpus, split), said in jobs:
        share = said["done"] / said["of"] if said.get("done") is not None and said.get("of") else None
        far = "" if share is None else f"{share:.0%}{_meter(share)}"
        left = f"{_duration(said['seconds_left'])} left" if said.get("seconds_left") else ""
        state = _state(said["state"], _LOOKS.get(said["state"], "good"))
        rows.append(
            (state, escape(run), escape(f"{corpus}, {split}"), far, left, escape(str(said.get("message") or "")))
        )
    columns = (
        ("state", ""),
        ("run", "name"),
        ("images", ""),
        ("done", "share"),
        ("time", "name"),
        ("what it says", "wide"),
    )
    return _titled("What runs", _table("What runs", columns, rows), "No statistics were started here.")


def _connected_table(connected: Sequence[Connected]) -> str:
    rows = []
    for each in connected:
        state = _state(
            "gone" if each.gone else "has a problem" if each.problem else "fine", "bad" if each.problem else "good"
        )
        said = escape(each.problem or "")
        if each.broken:
            state = _state("partly", "waiting")
            items = "".join(f"<li>{escape(name)}: {escape(problem)}</li>" for name, problem in each.broken[:50])
            more = f"<li>and {len(each.broken) - 50:,} more</li>" if len(each.broken) > 50 else ""
            said = (
                f'<details data-key="{escape(each.name)}"><summary>{_counted(len(each.broken), "checkpoint")} cannot be read'
                f"</summary><ul>{items}{more}</ul></details>"
            )
        called = escape(each.name)
        if each.title not in ("", each.name):
            called = f'{escape(each.title)}<br><span class="door-quiet">{called}</span>'
        rows.append((state, each.kind, called, escape(each.format), each.holds, said))
    columns = (
        ("state", "name"),
        ("kind", ""),
        ("name", "name"),
        ("format", ""),
        ("holds", "number"),
        ("problem", "wide"),
    )
    return _titled("Runs and corpora", _table("Runs and corpora", columns, rows), "None are connected.")


def _troubles_table(seen: Seen) -> str:
    since = f"since {_time(seen.began)}"
    if not seen.troubles:
        return _titled("What failed", "", f"Nothing, {since}.")
    if not seen.in_detail:
        counts = Counter(trouble.level for trouble in seen.troubles)
        said = " and ".join(_counted(count, level) for level, count in counts.items())
        words = f"{said}, the last at {_time(seen.troubles[0].time)}. Editors see what was logged."
        return _titled("What failed", "", words)
    alike: dict[tuple[str, str], list[Trouble]] = {}
    for trouble in seen.troubles:
        alike.setdefault((trouble.level, trouble.message), []).append(trouble)
    rows = [
        (
            _state(level, "bad" if level in ("error", "critical") else "waiting"),
            _time(same[0].time) + (f" and {len(same) - 1:,} times before" if len(same) > 1 else ""),
            escape(message),
            f'<span class="door-mono">{escape(same[0].request_id)}</span>',
        )
        for (level, message), same in alike.items()
    ]
    columns = (("kind", "name"), ("last", "name"), ("what", "wide"), ("request", "name"))
    return _titled("What failed", _table("What failed", columns, rows), "")


# --------------------------------------------------------------------------------------------------------- HTML


def _section(title: str, facts: Iterable[tuple[str, str]]) -> str:
    """``facts``: words and HTML; what has no word goes with the one before."""
    rows = "".join((f"<dt>{escape(word)}</dt>" if word else "") + f"<dd>{value}</dd>" for word, value in facts)
    return f'<section><h2>{title}</h2><dl class="door-facts">{rows}</dl></section>'


def _titled(title: str, table: str, otherwise: str) -> str:
    quiet = f'<p class="door-quiet">{otherwise}</p>'
    return f"<section><h2>{title}</h2>{table or quiet}</section>"


def _table(label: str, columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]]) -> str:
    """``columns``: title and kind; ``rows``: HTML. Nothing where there are no rows."""
    if not rows:
        return ""
    head = "".join(f'<th scope="col" class="door-{kind}">{title}</th>' for title, kind in columns)
    lines = "".join(
        "<tr>"
        + "".join(f'<td class="door-{kind}">{cell}</td>' for (_, kind), cell in zip(columns, row, strict=True))
        + "</tr>"
        for row in rows
    )
    # It can be moved sideways where it is too wide, by keyboard too.
    return (
        f'<div class="door-scroll" tabindex="0" role="region" aria-label="{label}"><table class="door-table">'
        f"<thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def _state(words: str, look: str) -> str:
    return f'<span class="door-state" data-state="{look}">{escape(words)}</span>'


def _service_state(service: Mapping[str, Any]) -> str:
    state = service["state"]
    return _state(state, "good" if state == "ready" else "waiting" if state in (*_PASSING, "not installed") else "bad")


def _meter(share: float) -> str:
    return f'<span class="door-meter"><span style="width: {100 * min(1.0, share):.1f}%"></span></span>'


def _time(moment: datetime.datetime) -> str:
    """In UTC; the page's script says it in the reader's own time."""
    moment = moment.astimezone(datetime.UTC)
    return f'<time datetime="{moment:%Y-%m-%dT%H:%M:%SZ}">{moment:%Y-%m-%d %H:%M:%S} UTC</time>'


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"


def as_bytes(count: float) -> str:
    unit = "bytes"
    for larger in ("KiB", "MiB", "GiB"):
        if count < 1024:
            break
        count, unit = count / 1024, larger
    return f"{count:,.1f} {unit}" if unit != "bytes" and count < 10 else f"{count:,.0f} {unit}"


def _duration(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
