"""What may stand before every address, and what may not."""

from __future__ import annotations

import pytest

from mloscope.app.process.url_prefix import URL_PREFIX, announced, inside, mounted, parse, without


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("/tools/mloscope", "/tools/mloscope"),
        ("/tools/mloscope/", "/tools/mloscope"),
        ("/user/anna@lab.org/proxy/8050", "/user/anna@lab.org/proxy/8050"),
        ("/user/anna%40lab/x", "/user/anna%40lab/x"),
        ("/", ""),
        ("", ""),
    ],
)
def test_a_prefix_is_a_path(text: str, prefix: str) -> None:
    assert parse(text) == prefix


HOSTILE = (
    "tools", "//evil.example", "/\\evil.example", "/a//b", "/a/../b", "/./a", "/a b", "/a\nSet-Cookie: x", "/a;b", '/a"onload="x', "/<b>",
    "/a?b", "/a#b", "/a'b", "/a&b", "/%22", "/%0d%0aX", "/%2f%2fevil", "/%5cevil", "/%zz", "/%", "/ü", "https://evil.example", "/a, /b",
    "/" + "a" * 300, "/api", "/api/x", "/assets/x", "/_dash-layout", "/login", "/confusion/x",
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="/tools/mloscope"):
        parse(text)
    assert announced(text) is None


def test_a_path_comes_with_the_prefix_or_without_it() -> None:
    assert without("/t/m", "/t/m/api/v1/runs") == "/api/v1/runs"
    assert without("/t/m", "/api/v1/runs") == "/api/v1/runs"
    assert without("/t/m", "/t/m") == without("/t/m", "/t/m/") == "/"
    assert without("/t/m", "/t/mother") == "/t/mother"
    assert without("/a%40b", "/a@b/status") == without("/a%40b", "/a%40b/status") == "/status"
    assert without("", "/status") == "/status"


def test_addresses_of_ours_are_mounted_and_those_of_others_are_not() -> None:
    before = URL_PREFIX.set("/t/m")
    try:
        assert mounted("/status") == "/t/m/status"
        assert [mounted(other) for other in ("//evil", "https://x/", "status", "#a")] == [
            "//evil",
            "https://x/",
            "status",
            "#a",
        ]
        assert inside("/t/m/confusion") == inside("/confusion") == "/confusion"
    finally:
        URL_PREFIX.reset(before)
