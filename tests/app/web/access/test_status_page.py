"""What the status page tells of a moment."""

from __future__ import annotations

import datetime
import re
from dataclasses import replace
from typing import Any

import pytest

from mloscope.app.process.logs import LoggedWarning
from mloscope.app.process.request_context import CALLER
from mloscope.app.web.access.status_page import Connected, Seen
from mloscope.app.web.templates import render
from mloscope.app.web.templates.filters import as_bytes

NOW = datetime.datetime(2026, 11, 23, 14, 5, 12, tzinfo=datetime.UTC)
MEMORY = {"kind": "memory", "available": True, "entries": 7, "used_bytes": 1 << 20, "budget_bytes": 4 << 20}
COUNTS = {"hits": 30, "joined": 1, "misses": 9}
READY = {"state": "ready", "problem": None}
WELL = Seen(
    at=NOW,
    vitals={"cache": {**MEMORY, **COUNTS}, "model_service": READY},
    jobs=(),
    cluster=None,
    kept={"planes": 41, "bytes": 6_500_000, "more": False, "free_bytes": 31 << 30},
    connected=(Connected("run", "lenet", "keras", "41 checkpoints"), Connected("corpus", "digits", "npz", "5 images")),
    recent_warnings=(),
    began=NOW - datetime.timedelta(hours=3),
    process=(("process", "4711"),),
    in_detail=True,
)


def with_vitals(**vitals: Any) -> Seen:
    return replace(WELL, vitals={**WELL.vitals, **vitals})


def drawn(seen: Seen) -> str:
    """The page, as somebody sees it who has not signed in."""
    return render("status.html", theme_script="", seen=seen, refresh_s=10, caller=CALLER.get(), token="")


def parts(seen: Seen) -> dict[str, str]:
    """HTML by the name of the part, as far as the next one."""
    _, *found = re.split(r'<div[^>]* data-part="(\w+)">', drawn(seen))
    return dict(zip(found[::2], found[1::2], strict=True))


def words(html: str) -> str:
    return " ".join(re.sub("<[^>]*>", " ", html).split())


def test_all_is_well() -> None:
    assert WELL.summary == "All is well."
    said = {name: words(part) for name, part in parts(WELL).items()}
    assert said["looked"] == "As of 2026-11-23 14:05:12 UTC , and again every 10 seconds."
    assert "used 1.0 MiB of 4.0 MiB results 7 found 30 of 40 (75 %) computed 9" in said["cache"]
    assert said["statistics"].endswith("kept on disk 41 checkpoints measured, 6.2 MiB free on disk 31 GiB")
    assert "since 2026-11-23 11:05:12 UTC , 3 h ago process 4711" in said["process"]
    assert said["recent_warnings"] == "Recent problems Nothing, since 2026-11-23 11:05:12 UTC ."


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (with_vitals(cache={"kind": "redis", "available": False}), "The cache does not answer."),
        (with_vitals(model_service={"state": "starting"}), "The model service is starting."),
        (with_vitals(model_service={"state": "not installed"}), "All is well."),
        (replace(WELL, cluster={"address": "tcp://a:1", "available": False}), "The Dask scheduler does not answer."),
        (
            replace(
                WELL,
                cluster={"address": "a", "available": True, "workers": 0, "threads": 0, "tasks": 0, "processing": 0},
            ),
            "The Dask cluster has no workers.",
        ),
        (replace(WELL, jobs=[(("a", "b", "c"), {"state": "failed"})] * 2), "2 computations of statistics failed."),
        (
            replace(
                WELL, connected=[Connected("run", "a", "", "", "Torn.")], jobs=[(("a", "b", "c"), {"state": "failed"})]
            ),
            "1 computation of statistics failed, and 1 of the runs and corpora has a problem.",
        ),
    ],
)
def test_what_is_wrong_is_one_sentence(seen: Seen, said: str) -> None:
    assert seen.summary == said
    assert said in parts(seen)["summary"]


def test_redis_tells_of_itself_where_it_can() -> None:
    cache = {
        "kind": "redis", "available": True, "keys": 51234, "memory_bytes": 1 << 30, "memory_limit_bytes": 2 << 30,
        "evicted": 12, "store_hits": 900, "store_misses": 100, **COUNTS,
    }  # fmt: skip
    said = words(parts(with_vitals(cache=cache))["cache"])
    assert (
        "used 1.0 GiB of 2.0 GiB results 51 234 evicted 12 to make room found 900 of 1 000 (90 %), by all processes"
        in said
    )
    assert "found here 30 of 40 (75 %)" in said
    assert "used" not in words(parts(with_vitals(cache={"kind": "redis", "available": True}))["cache"])


def test_each_model_service_has_its_state() -> None:
    services = [
        {"address": "http://10.0.0.5:8060", "state": "ready", "waiting": 3, "memory_bytes": 1 << 30},
        {"address": "http://10.0.0.6:8060", "state": "does not answer"},
    ]
    seen = with_vitals(model_service={**READY, "services": services})
    said = words(parts(seen)["service"])
    assert (
        "service 1 ready , 3 waiting, 1.0 GiB http://10.0.0.5:8060 service 2 does not answer http://10.0.0.6:8060"
        in said
    )
    assert "10.0.0" not in parts(replace(seen, in_detail=False))["service"]


def test_addresses_and_reasons_are_not_for_everybody() -> None:
    seen = replace(
        with_vitals(
            cache={"kind": "redis", "available": False, "problem": "Error connecting to redis:6379."},
            model_service={"state": "unreachable", "problem": "http://gpu:8060 does not answer."},
        ),
        cluster={"address": "tcp://scheduler:8786", "available": False},
    )
    assert all(secret in drawn(seen) for secret in ("redis:6379", "gpu:8060", "scheduler:8786"))
    hidden = drawn(replace(seen, in_detail=False))
    assert not any(secret in hidden for secret in ("redis:6379", "gpu:8060", "scheduler:8786"))
    assert seen.summary in hidden


def test_checkpoints_that_cannot_be_read_are_listed_up_to_fifty() -> None:
    broken = [(f"step_{n}.keras", f"<b>{n}</b> is cut short.") for n in range(60)]
    table = parts(replace(WELL, connected=[Connected("run", "lenet", "keras", "99 checkpoints", broken=broken)]))[
        "connected"
    ]
    assert "60 checkpoints cannot be read" in table
    assert table.count("is cut short") == 50
    assert "and 10 more" in table
    assert "<b>" not in table
    assert "&lt;b&gt;7&lt;/b&gt; is cut short." in table


def test_what_failed_again_and_again_is_one_row() -> None:
    def warning(ago_s: int, message: str, request: str = "") -> LoggedWarning:
        return LoggedWarning(NOW - datetime.timedelta(seconds=ago_s), "warning", message, request)

    table = parts(
        replace(
            WELL,
            recent_warnings=[warning(1, "Redis is away"), warning(2, "Other", "4f1c"), warning(3, "Redis is away")],
        )
    )["recent_warnings"]
    assert table.count("Redis is away") == 1
    assert "14:05:11 UTC</time> and 1 times before" in table
    assert "4f1c" in table


def test_tables_have_names_and_columns_have_titles() -> None:
    html = drawn(
        replace(
            WELL, jobs=[(("a", "b", "c"), {"state": "done"})], recent_warnings=[LoggedWarning(NOW, "error", "x", "")]
        )
    )
    assert html.count("<table") == html.count('role="region" aria-label="') == 3
    assert re.search("<th[^>]*></th>", html) is None
    assert html.count("<th ") == html.count('<th scope="col"')
    assert html.count("<h1") == 1


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 bytes"), (1023, "1\u202f023 bytes"), (1024, "1.0 KiB"), (64 << 20, "64 MiB"), (3 << 40, "3\u202f072 GiB")],
)
def test_bytes_in_words(count: int, said: str) -> None:
    assert as_bytes(count) == said
