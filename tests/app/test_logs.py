"""Logging: as JSON, without secrets, and what the status page keeps of it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator

import pytest

from mloscope.app import logs
from mloscope.app.request_context import ASKER, REQUEST_ID, Asker


@pytest.fixture
def configured() -> Iterator[Callable[..., tuple[io.StringIO, logs.Troubles]]]:
    """Configures the root logger with a stream of the test's own; puts it back afterwards."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers.clear()

    def configure(*arguments: object, **options: object) -> tuple[io.StringIO, logs.Troubles]:
        stream = io.StringIO()
        return stream, logs.configure(*arguments, stream=stream, **options)  # type: ignore[arg-type]

    yield configure
    root.handlers[:] = before
    root.setLevel(level)


def test_json_is_one_object_a_line_with_whom_and_which_request(
    configured: Callable[..., tuple[io.StringIO, logs.Troubles]],
) -> None:
    stream, _ = configured("info", "json")
    number = REQUEST_ID.set("0123456789abcdef")
    asking = ASKER.set(Asker("anna", "viewer", "token", "10.0.0.1"))
    logging.getLogger("mloscope.requests").info("two\nlines %d", 7, extra={logs.EXTRA: {"status": 200, "path": "/ü"}})
    ASKER.reset(asking)
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
    configured: Callable[..., tuple[io.StringIO, logs.Troubles]], form: str
) -> None:
    stream, troubles = configured("info", form, ["swordfish", "x"])
    logging.warning("redis://:swordfish@cache")
    logging.warning("given %s", {"token": "swordfish"})
    try:
        raise RuntimeError("swordfish")
    except RuntimeError:
        logging.exception("broken by swordfish")
    assert "swordfish" not in stream.getvalue()
    assert stream.getvalue().count("***") >= 4
    assert "RuntimeError" in stream.getvalue()
    assert "swordfish" not in str(troubles())


def test_the_last_troubles_are_kept_the_newest_first_and_without_tracebacks(
    configured: Callable[..., tuple[io.StringIO, logs.Troubles]],
) -> None:
    _, troubles = configured("error")
    logging.info("nothing much")
    for number in range(60):
        logging.error("number %d", number)
    try:
        raise ValueError("in private")
    except ValueError:
        logging.exception("torn")
    kept = troubles()
    assert len(kept) == 50
    assert [trouble.message for trouble in kept[:2]] == ["torn: ValueError", "number 59"]
    assert "in private" not in str(kept)
    assert kept[0].level == "error"


def test_the_level_holds(configured: Callable[..., tuple[io.StringIO, logs.Troubles]]) -> None:
    stream, _ = configured("warning")
    logging.info("quiet")
    logging.getLogger("urllib3").info("chatty")
    logging.warning("loud")
    assert stream.getvalue() == "WARNING root: loud\n"


def test_memory_is_a_sensible_number() -> None:
    memory = logs.resident_bytes()
    assert memory is None or 1 << 23 < memory < 1 << 36
