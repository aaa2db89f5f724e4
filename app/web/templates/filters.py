"""How templates write values: sizes, durations, counts, prose."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

from mloscope.components.numbers import grouped, percent


def as_bytes(count: float) -> str:
    unit = "bytes"
    for larger in ("KiB", "MiB", "GiB"):
        if count < 1024:
            break
        count, unit = count / 1024, larger
    return f"{count:.1f} {unit}" if unit != "bytes" and count < 10 else f"{grouped(count)} {unit}"


def duration(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def counted(count: int, what: str) -> str:
    """``1 question``, ``1 234 questions``."""
    return f"{grouped(count)} {what}{'s' * (count != 1)}"


def of(count: int, total: int) -> str:
    """``30 of 40 (75 %)``."""
    return f"{grouped(count)} of {grouped(total)} ({percent(count / total)})"


def prose(text: str) -> Markup:
    """Text with ``code`` and `code` marked."""
    return Markup(re.sub(r"``(.+?)``|`(.+?)`", lambda found: f"<code>{found[1] or found[2]}</code>", str(escape(text))))


def marked_path(path: str) -> Markup:
    """A route's path with its variables marked, and places where a line may break."""
    marked = re.sub(r"\{(\w+)\}", r"<var>\1</var>", str(escape(path)))
    return Markup(re.sub(r"(?<!<)/", "/<wbr>", marked))


ALL = {
    "as_bytes": as_bytes,
    "counted": counted,
    "duration": duration,
    "marked_path": marked_path,
    "of": of,
    "percent": percent,
    "prose": prose,
    "grouped": grouped,
}
