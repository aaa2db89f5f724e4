"""``mloscope film``: where its file cannot be written, it says so before anything is read or drawn."""

from __future__ import annotations

from pathlib import Path

import pytest

from mloscope.app.commands import cli


@pytest.mark.parametrize(("place", "said"), [("absent/film.gif", "no folder"), ("taken.gif", "is a folder")])
def test_a_place_that_cannot_be_written_is_said_first(
    place: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken.gif").mkdir()
    no_run = tmp_path / "no run"
    assert cli.main(["film", str(no_run), "--layer", "conv", "--to", str(tmp_path / place)]) != 0
    error = capsys.readouterr().err
    assert said in error
    assert no_run.name not in error, "it is looked at later"
