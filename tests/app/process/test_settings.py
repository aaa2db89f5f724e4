"""Settings: one table, read from variables, refused with a sentence."""

from __future__ import annotations

import sys
from dataclasses import fields
from ipaddress import ip_network

import pytest

from mloscope.app.errors import BadRequest
from mloscope.app.process.settings import TABLE, Settings, as_markdown, cache_folder_of, parse_bytes


def test_without_variables_the_defaults_hold() -> None:
    assert Settings.from_environment({}) == Settings()
    assert Settings.from_environment({"MLOSCOPE_PORT": "", "HOME": "/", "PORT": "1"}) == Settings()


def test_every_setting_can_be_set() -> None:
    examples = {
        "host": ("0.0.0.0", "0.0.0.0"),
        "port": ("0", 0),
        "url_prefix": ("/tools/mloscope/", "/tools/mloscope"),
        "workspace": ("lab.toml", "lab.toml"),
        "redis_url": ("redis://cache:6379/2", "redis://cache:6379/2"),
        "cache_budget_bytes": ("1 GiB", 1 << 30),
        "cache_folder": ("/var/cache/mloscope", "/var/cache/mloscope"),
        "film_chunk_bytes": ("500000", 500_000),
        "model_service_url": ("http://gpu:8060", "http://gpu:8060"),
        "model_service_token": ("secret", "secret"),
        "model_service_timeout_s": ("2.5", 2.5),
        "weights_budget_bytes": ("64M", 64 << 20),
        "dask_address": ("tcp://scheduler:8786", "tcp://scheduler:8786"),
        "watch_runs": ("/runs", "/runs"),
        "watch_corpora": ("/corpora", "/corpora"),
        "connect_folders": ("/data/runs:/scratch", ("/data/runs", "/scratch")),
        "unprotected": ("yes", True),
        "users_file": ("/etc/mloscope/users.json", "/etc/mloscope/users.json"),
        "session_s": ("3600", 3600.0),
        "allowed_hosts": ("Scope.lab.org, .example.org", ("scope.lab.org", ".example.org")),
        "frame_ancestors": ("http://localhost:*, https://lab.org", ("http://localhost:*", "https://lab.org")),
        "trusted_proxies": ("172.18.0.2,fd00::/64", (ip_network("172.18.0.2/32"), ip_network("fd00::/64"))),
        "proxy_user_header": ("X-Forwarded-User", "x-forwarded-user"),
        "evaluations_a_minute": ("0", 0),
        "body_limit_bytes": ("1M", 1 << 20),
        "callback_limit_bytes": ("500000", 500_000),
        "log_format": ("JSON", "json"),
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
        ("MLOSCOPE_URL_PREFIX", "tools", '"/tools/mloscope"'),
        ("MLOSCOPE_URL_PREFIX", "//evil.example", '"/tools/mloscope"'),
        ("MLOSCOPE_URL_PREFIX", "/api", "an address of this server"),
        ("MLOSCOPE_PORT", "-1", "a whole number from 0 to 65535"),
        ("MLOSCOPE_CACHE_BUDGET_BYTES", "a lot", '"256M"'),
        ("MLOSCOPE_REDIS_URL", "cache:6379", "redis://"),
        ("MLOSCOPE_REDIS_URL", "redis://", "redis://"),
        ("MLOSCOPE_MODEL_SERVICE_URL", "gpu:8060", "http:// or https://"),
        ("MLOSCOPE_MODEL_SERVICE_TIMEOUT_S", "0", "above 0"),
        ("MLOSCOPE_MODEL_SERVICE_TIMEOUT_S", "inf", "above 0"),
        ("MLOSCOPE_MODEL_SERVICE_TIMEOUT_S", "nan", "above 0"),
        ("MLOSCOPE_UNPROTECTED", "perhaps", "yes or no"),
        ("MLOSCOPE_TRUSTED_PROXIES", "nginx", '"172.18.0.2"'),
        ("MLOSCOPE_TRUSTED_PROXIES", "0.0.0.0/0", "a network of all addresses"),
        ("MLOSCOPE_PROXY_USER_HEADER", "X User", '"X-Forwarded-User"'),
        ("MLOSCOPE_EVALUATIONS_A_MINUTE", "-1", "a whole number from 0"),
        ("MLOSCOPE_LOG_FORMAT", "xml", "text or json"),
        ("MLOSCOPE_LOG_LEVEL", "chatty", "debug, info, warning or error"),
    ],
)
def test_a_wrong_value_is_named_with_what_would_be_right(variable: str, text: str, right: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        Settings.from_environment({variable: text})
    assert str(refusal.value).startswith(f'{variable} is "{text}"; it must be ')
    assert right in str(refusal.value)


def test_a_password_in_a_wrong_address_is_not_repeated() -> None:
    with pytest.raises(BadRequest) as refusal:
        Settings.from_environment({"MLOSCOPE_REDIS_URL": "rds://:swordfish@cache:6379"})
    assert "swordfish" not in str(refusal.value)
    assert "rds://:***@cache:6379" in str(refusal.value)
    with pytest.raises(BadRequest) as refusal:
        Settings.from_environment({"MLOSCOPE_REDIS_URL": "rds://:sword@fi:sh/x@cache:6379"})
    assert not any(piece in str(refusal.value) for piece in ("sword", "fi:", "sh/x"))


@pytest.mark.parametrize("around", ["{}\n", "{}\r\n", " {} ", "\t{}", "\n{}\n\n"])
def test_white_space_around_a_value_is_not_part_of_it(around: str) -> None:
    found = Settings.from_environment(
        {
            "MLOSCOPE_MODEL_SERVICE_TOKEN": around.format("swordfish"),
            "MLOSCOPE_REDIS_URL": around.format("redis://:horse@cache"),
            "MLOSCOPE_HOST": around.format("::1"),
        }
    )
    assert found.model_service_token == "swordfish"
    assert found.redis_url == "redis://:horse@cache"
    assert found.host == "::1"
    assert Settings.from_environment({"MLOSCOPE_MODEL_SERVICE_TOKEN": around.format("")}) == Settings()


@pytest.mark.parametrize(
    "secret", ["sword\nfish", "sword\tfish", "sword\x00fish", "schlüssel\u200bfish", "sword\x7ffish"]
)
def test_a_secret_that_no_header_can_hold_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        Settings.from_environment({"MLOSCOPE_MODEL_SERVICE_TOKEN": secret})
    assert str(refusal.value).startswith("MLOSCOPE_MODEL_SERVICE_TOKEN")
    assert "ASCII" in str(refusal.value)
    assert "fish" not in str(refusal.value)


def test_secrets_are_the_token_and_the_passwords_of_addresses() -> None:
    settings = Settings(
        model_service_token="swordfish",
        redis_url="rediss://anna:horse@cache",
        model_service_url="http://gpu:8060,https://a:battery@gpu2",
    )
    assert set(settings.secrets) == {"swordfish", "horse", "battery"}
    assert Settings().secrets == ()


@pytest.mark.parametrize("text", ["tcp://10.96.12.7:8050", "udp://[fd00::1]:53", "tcp://mloscope.default.svc:8050"])
def test_the_port_that_kubernetes_says_of_a_service_of_this_name_is_not_ours(text: str) -> None:
    of_kubernetes = {
        "MLOSCOPE_PORT": text, "MLOSCOPE_SERVICE_HOST": "10.96.12.7", "MLOSCOPE_SERVICE_PORT": "8050",
        "MLOSCOPE_PORT_8050_TCP": text, "MLOSCOPE_REDIS_PORT": text, "MLOSCOPE_MODEL_SERVICE_PORT": text,
    }  # fmt: skip
    assert Settings.from_environment(of_kubernetes) == Settings()


def test_what_is_said_otherwise_is_not_read() -> None:
    assert Settings.from_environment({"MLOSCOPE_PORT": "80x"}, but={"port"}) == Settings()
    with pytest.raises(BadRequest):
        Settings.from_environment({"MLOSCOPE_PORT": "80x"}, but={"host"})


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


def test_the_cache_folder_is_the_one_named_else_the_users(tmp_path) -> None:
    assert cache_folder_of(Settings(cache_folder=str(tmp_path / "here")), {"MLOSCOPE_HOME": "/x"}) == tmp_path / "here"
    assert cache_folder_of(Settings(), {"MLOSCOPE_HOME": str(tmp_path)}) == tmp_path
    if sys.platform == "linux":
        assert cache_folder_of(Settings(), {"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "mloscope"
    assert Settings.from_environment({"MLOSCOPE_CACHE_FOLDER": "/y"}).cache_folder == "/y"
