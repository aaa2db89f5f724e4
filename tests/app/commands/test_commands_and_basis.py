"""No command that tells numbers of a network can be without what they rest on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mloscope.app.commands import cli

WITH_NUMBERS = {"serve", "inspect", "check", "statistics", "demo", "film"}
"""``serve`` is looked at in test_cli.py; ``demo`` shows its run as ``serve`` does."""
WITHOUT = {"connect", "disconnect", "user", "token", "adaptors"}


@pytest.fixture
def subject(tmp_path: Path, keras_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """A run and a corpus of a few images, as words of a command line; statistics go into a folder of the test's own."""
    monkeypatch.setenv("MLOSCOPE_CACHE_FOLDER", str(tmp_path / "cache"))
    random = np.random.default_rng(0)
    np.savez(tmp_path / "images.npz", x_test=random.integers(0, 256, (30, 8, 8), np.uint8), y_test=np.arange(30) % 10)
    return str(keras_folder(tmp_path / "run", (0, 20))), str(tmp_path / "images.npz")


def test_every_command_is_known_to_tell_numbers_or_not(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    listed = set(re.findall(r"^    ([a-z]+)\b", capsys.readouterr().out, re.MULTILINE))
    assert listed == WITH_NUMBERS | WITHOUT


def says_what_it_rests_on(text: str) -> bool:
    return all(word in text for word in ("Pixels: ", "Output: ", "Classes: ", "Assumed: Pixels are divided by 255"))


def test_inspect_says_it(subject: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    run, images = subject
    assert cli.main(["inspect", run, "--images", images, "--quick"]) == 0
    assert says_what_it_rests_on(capsys.readouterr().out)
    assert cli.main(["inspect", run, "--images", images, "--quick", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["run"]["basis"]["preprocessing"]["scale_from"] == "assumed"


def test_statistics_and_check_say_it(subject: tuple[str, str], tmp_path: Path, capfd: Any) -> None:
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed: make test installs it")
    pytest.importorskip("distributed", reason="Dask is not installed: make test installs it")
    run, images = subject
    words = [run, "--images", images]
    assert cli.main(["statistics", *words, "--clusters", "0"]) == 0
    assert says_what_it_rests_on(capfd.readouterr().err)
    assert cli.main(["statistics", *words, "--clusters", "0", "--json"]) == 0
    last = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert last["basis"]["output"]["rule"]
    assert any("divided by 255" in sentence for sentence in last["notices"])
    assert cli.main(["statistics", "export", *words]) == 0
    told = capfd.readouterr()
    assert says_what_it_rests_on(told.err)
    assert told.out.startswith("step,")

    assert cli.main(["check", *words, "--json", "--sample", "10"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert (found["images"], found["step"], found["basis"]["corpus"]) == (10, 20, "corpus")
    assert found["alternatives"][0]["name"] == "current"
    assert cli.main(["check", *words, "--sample", "10"]) == 0
    assert says_what_it_rests_on(capfd.readouterr().out)


def test_a_film_of_feature_maps_says_it(subject: tuple[str, str], tmp_path: Path, capsys: Any) -> None:
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed: make test installs it")
    run, images = subject
    shown = ["--show", "features", "--images", images, "--image", "test-0"]
    assert cli.main(["film", run, "--layer", "conv", *shown, "--to", str(tmp_path / "maps.zip")]) == 0
    assert says_what_it_rests_on(capsys.readouterr().err)
    assert (tmp_path / "maps.zip").read_bytes().startswith(b"PK")


def test_imports_say_how_classes_were_matched(subject: tuple[str, str], tmp_path: Path, capsys: Any) -> None:
    run, images = subject
    np.save(tmp_path / "step_20.npy", np.full((30, 10), 0.1, np.float32))
    assert (
        cli.main(["statistics", "import", run, "--images", images, str(tmp_path / "step_20.npy"), "--clusters", "0"])
        == 0
    )
    assert "matched with the corpus's by position" in capsys.readouterr().out
