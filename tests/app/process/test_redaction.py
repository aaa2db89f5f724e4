"""Secrets in whatever form somebody writes them."""

from __future__ import annotations

import json
from html import escape
from urllib.parse import quote, quote_plus

import pytest

from mloscope.app.process.redaction import REDACTED, Redaction, without_credentials

SECRETS = ["swordfish", "sw0rd/fi+sh==", "a b'c\"d\\e", "naïve schlüssel", "tab\there", "%41%42cd", "two\nlines"]
WRITINGS = {
    "plain": str,
    "repr": repr,
    "ascii": ascii,
    "bytes": lambda secret: repr(secret.encode()),
    "bytes in latin-1": lambda secret: repr(secret.encode("latin-1")),
    "in a list": lambda secret: repr([("x-token", secret.encode())]),
    "beside a quotation mark": lambda secret: repr(f'it\'s "{secret}"'),
    "JSON": json.dumps,
    "JSON as UTF-8": lambda secret: json.dumps(secret, ensure_ascii=False),
    "JSON of a repr": lambda secret: json.dumps(f"Invalid header value {secret.encode()!r}"),
    "JSON of JSON": lambda secret: json.dumps(json.dumps(secret), ensure_ascii=False),
    "address": quote,
    "address, all of it": lambda secret: quote(secret, safe=""),
    "address in small letters": lambda secret: (
        quote(secret, safe="").replace("%2F", "%2f").replace("%3D", "%3d").replace("%2B", "%2b")
    ),
    "form": quote_plus,
    "HTML": escape,
}


@pytest.mark.parametrize("writing", WRITINGS)
@pytest.mark.parametrize("secret", SECRETS)
def test_nothing_of_a_secret_is_left(secret: str, writing: str) -> None:
    written = WRITINGS[writing](secret)
    redacted = Redaction([secret])(f"before {written} after")
    assert REDACTED in redacted
    for piece in ("sword", "fish", "fi+sh", "schl", "b'c", "here", "41", "lines"):
        assert piece not in redacted


def test_white_space_around_a_secret_is_not_part_of_it() -> None:
    redaction = Redaction(["  swordfish\n"])
    assert redaction("Invalid header value b'swordfish\\n'") == "Invalid header value b'***\\n'"
    assert redaction("swordfish") == "***"


def test_a_password_of_an_address_is_redacted_as_it_is_meant_and_as_it_is_written() -> None:
    redaction = Redaction(["p%40ss%2Fword"])
    assert "word" not in redaction("redis://:p%40ss%2Fword@cache, that is p@ss/word")


def test_a_secret_that_is_part_of_another_leaves_nothing_of_it() -> None:
    assert Redaction(["horse", "horse battery"])("horse battery") == "***"


def test_what_is_no_secret_stays() -> None:
    assert Redaction([])("everything") == "everything"
    assert Redaction(["", " ", "abc"])("abc abc") == "abc abc", "too short: words would be full of holes"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("redis://:swordfish@cache:6379/0", "redis://:***@cache:6379/0"),
        ("redis://anna:sword@fish:x/y@cache", "redis://:***@cache"),
        ("rds:swordfish@cache", "rds:***@cache"),
        ("http://a:swordfish@gpu:8060,http://b:sword/fish@gpu2", "http://:***@gpu:8060,http://:***@gpu2"),
        ("cache:6379", "cache:6379"),
        ("http://gpu:8060", "http://gpu:8060"),
    ],
)
def test_an_address_is_shown_without_credentials(address: str, shown: str) -> None:
    assert without_credentials(address) == shown
