"""Settings: one table, read from variables, refused with a sentence."""

from __future__ import annotations

from dataclasses import fields

import pytest

from mloscope.app.errors import BadRequest
from mloscope.app.settings import TABLE, Settings, as_markdown, parse_bytes


def test_without_variables_the_defaults_hold() -> None:
    assert Settings.from_environment({}) == Settings()
    assert Settings.from_environment({"MLOSCOPE_PORT": "", "HOME": "/", "PORT": "1"}) == Settings()


def test_every_setting_can_be_set() -> None:
    examples = {
        "host": ("0.0.0.0", "0.0.0.0"),
        "port": ("0", 0),
        "workspace": ("lab.toml", "lab.toml"),
        "redis_url": ("redis://cache:6379/2", "redis://cache:6379/2"),
        "cache_budget_bytes": ("1 GiB", 1 << 30),
        "film_chunk_bytes": ("500000", 500_000),
        "model_service_url": ("http://gpu:8060", "http://gpu:8060"),
        "model_service_token": ("secret", "secret"),
        "model_service_timeout_s": ("2.5", 2.5),
        "weights_budget_bytes": ("64M", 64 << 20),
        "log_level": ("WARNING", "warning"),
    }
    assert [setting.name for setting in TABLE] == [field.name for field in fields(Settings)] == list(examples)
    found = Settings.from_environment({f"MLOSCOPE_{name.upper()}": text for name, (text, _) in examples.items()})
    assert vars(found) == {name: value for name, (_, value) in examples.items()}


@pytest.mark.parametrize(
    ("variable", "text", "right"),
    [
        ("MLOSCOPE_PORT", "80x", "a whole number from 0 to 65535"),
        ("MLOSCOPE_PORT", "65536", "a whole number from 0 to 65535"),
        ("MLOSCOPE_PORT", "-1", "a whole number from 0 to 65535"),
        ("MLOSCOPE_CACHE_BUDGET_BYTES", "a lot", '"256M"'),
        ("MLOSCOPE_REDIS_URL", "cache:6379", "redis://"),
        ("MLOSCOPE_REDIS_URL", "redis://", "redis://"),
        ("MLOSCOPE_MODEL_SERVICE_URL", "gpu:8060", "http:// or https://"),
        ("MLOSCOPE_MODEL_SERVICE_TIMEOUT_S", "0", "above 0"),
        ("MLOSCOPE_MODEL_SERVICE_TIMEOUT_S", "inf", "above 0"),
        ("MLOSCOPE_MODEL_SERVICE_TIMEOUT_S", "nan", "above 0"),
        ("MLOSCOPE_LOG_LEVEL", "chatty", "debug, info, warning or error"),
    ],
)
def test_a_wrong_value_is_named_with_what_would_be_right(variable: str, text: str, right: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        Settings.from_environment({variable: text})
    assert str(refusal.value).startswith(f'{variable} is "{text}"; it must be ')
    assert right in str(refusal.value)


def test_sizes_have_units() -> None:
    assert [parse_bytes(text) for text in ("7", "1k", "1.5 KiB", "2MB", "3 g", "1T")] == [
        7,
        1024,
        1536,
        2 << 20,
        3 << 30,
        1 << 40,
    ]
    for wrong in ("", "-1", "1 X", "1e6", "M"):
        with pytest.raises(ValueError, match="a number of bytes"):
            parse_bytes(wrong)


def test_the_documentation_is_the_table() -> None:
    lines = as_markdown().splitlines()
    assert len(lines) == 2 + len(TABLE)
    for setting, line in zip(TABLE, lines[2:], strict=True):
        assert line.startswith(f"| `{setting.variable}` |")
        assert setting.help in line
        assert setting.help.endswith(".")
