"""Logging: as JSON, without secrets, and what the status page keeps of it."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mloscope.app.process import logs
from mloscope.app.process.request_context import CALLER, REQUEST_ID, Caller


@pytest.fixture
def configured() -> Iterator[Callable[..., tuple[io.StringIO, logs.RecentWarnings]]]:
    """Configures the root logger with a stream of the test's own; puts it back afterwards."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers.clear()

    def configure(*arguments: object, **options: object) -> tuple[io.StringIO, logs.RecentWarnings]:
        stream = io.StringIO()
        return stream, logs.configure(*arguments, stream=stream, **options)  # type: ignore[arg-type]

    yield configure
    root.handlers[:] = before
    root.setLevel(level)


def test_json_is_one_object_a_line_with_whom_and_which_request(
    configured: Callable[..., tuple[io.StringIO, logs.RecentWarnings]],
) -> None:
    stream, _ = configured("info", "json")
    number = REQUEST_ID.set("0123456789abcdef")
    asking = CALLER.set(Caller("anna", "viewer", "token", "10.0.0.1"))
    logging.getLogger("mloscope.requests").info("two\nlines %d", 7, extra={logs.EXTRA: {"status": 200, "path": "/ü"}})
    CALLER.reset(asking)
    REQUEST_ID.reset(number)
    logging.getLogger("x").info("alone")
    first, second = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert first.pop("time").endswith("Z")
    assert first == {
        "level": "info", "logger": "mloscope.requests", "message": "two\nlines 7", "request_id": "0123456789abcdef",
        "user": "anna", "status": 200, "path": "/ü",
    }  # fmt: skip
    assert set(second) == {"time", "level", "logger", "message"}


@pytest.mark.parametrize("form", ["text", "json"])
def test_secrets_are_blotted_out_of_messages_arguments_and_tracebacks(
    configured: Callable[..., tuple[io.StringIO, logs.RecentWarnings]], form: str
) -> None:
    stream, recent_warnings = configured("info", form, ["swordfish", "x"])
    logging.warning("redis://:swordfish@cache")
    logging.warning("given %s", {"token": "swordfish"})
    try:
        raise RuntimeError("swordfish")
    except RuntimeError:
        logging.exception("broken by swordfish")
    assert "swordfish" not in stream.getvalue()
    assert stream.getvalue().count("***") >= 4
    assert "RuntimeError" in stream.getvalue()
    assert "swordfish" not in str(recent_warnings())


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_secret_in_the_words_of_a_library_is_redacted(
    configured: Callable[..., tuple[io.StringIO, logs.RecentWarnings]], form: str
) -> None:
    stream, recent_warnings = configured("info", form, ["sEcr3t/of the service\n"])
    try:
        raise ValueError(f"Invalid header value {b'sEcr3t/of the service' + bytes([10])!r}")
    except ValueError:
        logging.exception(
            "given %s",
            {"x-token": "sEcr3t/of the service\n"},
            extra={logs.EXTRA: {"path": "/sEcr3t%2Fof%20the%20service"}},
        )
    assert "sEcr3t" not in stream.getvalue()
    assert "sEcr3t" not in str(recent_warnings())


def test_the_last_troubles_are_kept_the_newest_first_and_without_tracebacks(
    configured: Callable[..., tuple[io.StringIO, logs.RecentWarnings]],
) -> None:
    _, recent_warnings = configured("error")
    logging.info("nothing much")
    for number in range(60):
        logging.error("number %d", number)
    try:
        raise ValueError("in private")
    except ValueError:
        logging.exception("torn")
    kept = recent_warnings()
    assert len(kept) == 50
    assert [warning.message for warning in kept[:2]] == ["torn: ValueError", "number 59"]
    assert "in private" not in str(kept)
    assert kept[0].level == "error"


def test_the_level_holds(configured: Callable[..., tuple[io.StringIO, logs.RecentWarnings]]) -> None:
    stream, _ = configured("warning")
    logging.info("quiet")
    logging.getLogger("urllib3").info("chatty")
    logging.warning("loud")
    assert stream.getvalue() == "WARNING root: loud\n"


def test_memory_is_a_sensible_number() -> None:
    memory = logs.resident_bytes()
    assert memory is None or 1 << 23 < memory < 1 << 36


def test_processes_of_one_server_tell_each_other_of_their_troubles(tmp_path: Path) -> None:
    """One in a process of its own, which has ended since: why, is what somebody wants to know."""
    code = (
        "import sys\nfrom mloscope.app.process import logs\nimport logging\n"
        f"logs.configure('info', secrets=('hidden words',), shared_folder={str(tmp_path)!r})\n"
        "logging.getLogger('x').error('of another process, with hidden words')"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stderr=subprocess.DEVNULL)
    recent_warnings = logs.RecentWarnings(count=2, shared_folder=str(tmp_path))
    alone = logs.RecentWarnings(count=2)
    for words in ("first", "second"):
        record = logging.LogRecord("x", logging.WARNING, "", 0, words, (), None)
        recent_warnings.emit(record)
        alone.emit(record)
    assert [warning.message for warning in recent_warnings()] == ["second", "first"]
    assert [warning.message for warning in alone()] == ["second", "first"]
    others = logs.RecentWarnings(count=3, shared_folder=str(tmp_path))
    assert "of another process, with ***" in [warning.message for warning in others()]


def test_troubles_that_cannot_be_shared_are_kept_all_the_same(tmp_path: Path) -> None:
    recent_warnings = logs.RecentWarnings(shared_folder=str(tmp_path / "nowhere"))
    recent_warnings.emit(logging.LogRecord("x", logging.WARNING, "", 0, "here", (), None))
    (tmp_path / "recent-warnings-1.json").write_text("[[")
    assert [warning.message for warning in recent_warnings()] == ["here"]
    assert logs.RecentWarnings(shared_folder=str(tmp_path))() == ()
