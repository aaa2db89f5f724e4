"""Every command ends with the same status for the same reason: 2 where what was typed cannot be meant, 1 where what is there
cannot be used. See docs/concepts.md."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mloscope.app.commands import cli

COMMANDS = ("inspect", "statistics", "check", "serve", "film")


def foreign(folder: Path) -> None:
    (folder / "epoch_1.pth").write_bytes(b"PK\x03\x04")


def empty(folder: Path) -> None:
    pass


def broken(folder: Path) -> None:
    (folder / "net_iter_1.caffemodel").write_bytes(b"\xff" * 100)


def absent(folder: Path) -> None:
    folder.rmdir()


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("what", "status"), [(foreign, 2), (empty, 2), (absent, 2), (broken, 1)])
def test_one_status_for_one_reason(
    command: str, what: Callable[[Path], None], status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    what(folder)
    images = tmp_path / "images.npz"
    np.savez(images, x=np.zeros((2, 4, 4), np.uint8), y=np.zeros(2, np.int64))
    over_images = ["--images", str(images)]
    more = {
        "serve": ["--port", "0", "--no-browser"],
        "statistics": over_images,
        "check": over_images,
        "film": ["--layer", "x", "--to", str(tmp_path / "x.gif")],
    }.get(command, [])
    try:
        code: object = cli.main([command, str(folder), *more])
    except SystemExit as stopped:
        code = stopped.code
    said = capsys.readouterr().err
    assert code == status, said
    assert "Traceback" not in said


def test_the_documentation_has_every_status() -> None:
    page = (Path(__file__).parents[3] / "docs" / "concepts.md").read_text()
    for status in (0, 1, 2, 130, 143):
        assert f"\n| {status} | " in page
