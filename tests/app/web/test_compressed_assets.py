"""app/web/compressed_assets.py: compressed once per folder, kept by content, and shared by processes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import brotli
import pytest

from mloscope.app.web.compressed_assets import CompressedAssets, smallest

BODY = b"export const answer = 42;"


def made(assets: CompressedAssets, digest: str = "d", body: bytes = BODY) -> bytes:
    """What it is in the end."""
    until = time.monotonic() + 10
    while (found := assets.find(digest, body)) is None:
        assert time.monotonic() < until
        time.sleep(0.005)
    return found


@pytest.fixture
def counting() -> tuple[list[bytes], Callable[[bytes], bytes]]:
    asked: list[bytes] = []

    def compress(body: bytes) -> bytes:
        asked.append(body)
        return brotli.compress(body)

    return asked, compress


def test_it_is_compressed_once_and_there_after_the_next_start(tmp_path: Path, counting: tuple) -> None:
    asked, compress = counting
    first = CompressedAssets(tmp_path / "assets", compress)
    assert first.find("d", BODY) is None, "nobody waits"
    assert brotli.decompress(made(first)) == BODY
    assert brotli.decompress(CompressedAssets(tmp_path / "assets", compress).find("d", BODY) or b"") == BODY
    assert asked == [BODY]
    assert [path.name for path in (tmp_path / "assets").iterdir()] == ["d.br"]


def test_what_another_process_works_on_is_left_to_it_unless_it_was_killed(tmp_path: Path, counting: tuple) -> None:
    asked, compress = counting
    claim = tmp_path / "d.claim"
    claim.touch()
    assets = CompressedAssets(tmp_path, compress)
    assert assets.find("d", BODY) is None
    assert brotli.decompress(made(assets, "other", b"other")) == b"other", "made after the first was left alone"
    assert asked == [b"other"]
    os.utime(claim, (0, 0))
    assert brotli.decompress(made(assets)) == BODY
    assert not claim.exists()


def test_what_nobody_has_asked_for_in_months_is_removed(tmp_path: Path) -> None:
    for name, age_days in (("old", 90), ("used", 10)):
        (tmp_path / f"{name}.br").write_bytes(brotli.compress(BODY))
        os.utime(tmp_path / f"{name}.br", (time.time() - age_days * 86400,) * 2)
    made(CompressedAssets(tmp_path))
    assert {path.name for path in tmp_path.glob("*.br")} == {"used.br", "d.br"}


def test_without_a_folder_or_where_it_cannot_be_written_there_is_nothing(tmp_path: Path) -> None:
    assert CompressedAssets(None).find("d", BODY) is None
    (tmp_path / "file").touch()
    assets = CompressedAssets(tmp_path / "file" / "assets")
    assert {assets.find(f"d{number}", BODY) for number in range(500)} == {None}


def test_what_is_large_is_compressed_outside_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b"0123456789abcdef" * (1 << 17)
    assert brotli.decompress(smallest(body)) == body
    monkeypatch.setattr("sys.executable", "/bin/false")
    assert brotli.decompress(smallest(BODY)) == BODY
    with pytest.raises(OSError, match="ended with 1"):
        smallest(body)
