"""Who asks, and by which number."""

from __future__ import annotations

import re

import pytest

from mloscope.app.process.request_context import NOBODY, Caller, request_id_from


@pytest.mark.parametrize("header", ["0123456789abcdef", "proxy-1.2_3", "a" * 64])
def test_a_harmless_number_is_kept(header: str) -> None:
    assert request_id_from(header) == header


@pytest.mark.parametrize(
    "header", ["", "short", "a" * 65, "-leading", "with space", "<script>x", "new\nline0", "é" * 9]
)
def test_any_other_becomes_a_new_one(header: str) -> None:
    one, other = request_id_from(header), request_id_from(header)
    assert re.fullmatch(r"[0-9a-f]{16}", one)
    assert one != other


def test_the_owner_sits_at_the_machine_and_told_nobody_who_they_are() -> None:
    assert NOBODY.is_owner
    assert Caller("", "editor", "open", "::1").is_owner
    assert not Caller("", "editor", "open", "10.0.0.1").is_owner
    assert not Caller("", "editor", "open", "no address").is_owner
    assert not Caller("anna", "editor", "session", "127.0.0.1").is_owner


def test_shares_are_by_name_and_else_by_address() -> None:
    assert Caller("anna", "viewer", "token", "10.0.0.1").key == Caller("anna", "viewer", "token", "10.0.0.2").key
    assert Caller("", "editor", "open", "10.0.0.1").key != Caller("", "editor", "open", "10.0.0.2").key
