"""Logging of the web process and the model service: lines for a terminal, or one JSON object a line for a log collector.

    {"time": "2026-11-23T23:10:00.123Z", "level": "info", "logger": "mloscope.requests", "message": "GET /api/v1/runs 200",
     "request_id": "4f1c...", "user": "anna", "method": "GET", "path": "/api/v1/runs", "status": 200, "seconds": 0.004}

Secrets are redacted from whatever is logged, tracebacks included. The last warnings and errors are kept for the status page.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
import os
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from mloscope.app.process.redaction import Redaction
from mloscope.app.process.request_context import CALLER, REQUEST_ID

EXTRA = "mloscope"
"""``logger.info(..., extra={EXTRA: {...}})`` gives a JSON line these members too."""
_CHATTY = ("httpx", "urllib3", "werkzeug")


class _Text(logging.Formatter):
    """A formatter that leaves no secret in what it returns."""

    def __init__(self, form: str, redaction: Redaction) -> None:
        super().__init__(form)
        self._redaction = redaction

    def format(self, record: logging.LogRecord) -> str:
        return self._redaction(super().format(record))


class _Json(_Text):
    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if REQUEST_ID.get():
            line["request_id"] = REQUEST_ID.get()
        if CALLER.get().name:
            line["user"] = CALLER.get().name
        line |= getattr(record, EXTRA, {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return self._redaction(json.dumps(line, ensure_ascii=False, default=str))


@dataclass(frozen=True)
class LoggedWarning:
    """A warning or an error that was logged; no traceback."""

    time: datetime.datetime
    level: str
    message: str
    request_id: str


class RecentWarnings(logging.Handler):
    """Keeps the last of them, the newest first; with those of other processes that share the folder."""

    def __init__(self, count: int = 50, redaction: Redaction | None = None, shared_folder: str | None = None) -> None:
        super().__init__(logging.WARNING)
        self._folder = Path(shared_folder) if shared_folder else None
        self._kept: deque[LoggedWarning] = deque(maxlen=count)
        self._keeping = threading.Lock()
        self.setFormatter(_Text("%(message)s", redaction or Redaction()))

    def emit(self, record: logging.LogRecord) -> None:
        # The first line: the formatter puts a traceback below it.
        message, *_ = self.format(record).splitlines() or [""]
        if record.exc_info and record.exc_info[1] is not None:
            message += f": {type(record.exc_info[1]).__name__}"
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        with self._keeping:
            self._kept.appendleft(LoggedWarning(moment, record.levelname.lower(), message[:500], REQUEST_ID.get()))
            if self._folder is not None:
                self._tell_the_others(self._folder)

    def __call__(self) -> tuple[LoggedWarning, ...]:
        with self._keeping:
            kept = list(self._kept)
        if self._folder is not None:
            kept += self._told_by_others(self._folder)
        return tuple(sorted(kept, key=lambda warning: warning.time, reverse=True)[: self._kept.maxlen])

    def _tell_the_others(self, folder: Path) -> None:
        lines = [
            (warning.time.timestamp(), warning.level, warning.message, warning.request_id) for warning in self._kept
        ]
        new = folder / f"recent-warnings-{os.getpid()}.new"
        with contextlib.suppress(OSError):  # to log that would come here again
            new.write_text(json.dumps(lines))
            new.replace(folder / f"recent-warnings-{os.getpid()}.json")

    @staticmethod
    def _told_by_others(folder: Path) -> list[LoggedWarning]:
        told = []
        for file in folder.glob("recent-warnings-*.json"):
            if file.name != f"recent-warnings-{os.getpid()}.json":
                with contextlib.suppress(OSError, ValueError):
                    told += [
                        LoggedWarning(datetime.datetime.fromtimestamp(moment, datetime.UTC), *words)
                        for moment, *words in json.loads(file.read_text())
                    ]
        return told


def configure(
    level: str,
    form: str = "text",
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
    shared_folder: str | None = None,
) -> RecentWarnings:
    """Log to ``stream`` (standard error) from ``level`` on, as ``form``: ``text`` or ``json``. Replaces what was set before.
    ``shared_folder``: where the processes of one server tell each other of their recent_warnings."""
    redaction = Redaction(secrets)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        _Json("", redaction) if form == "json" else _Text("%(levelname)s %(name)s: %(message)s", redaction)
    )
    recent_warnings = RecentWarnings(redaction=redaction, shared_folder=shared_folder)
    logging.basicConfig(level=level.upper(), handlers=[handler, recent_warnings], force=True)
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)
    return recent_warnings


def resident_bytes() -> int | None:
    """Memory of this process; None where the system does not say."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None
