"""The workspace file: what it names, and how a wrong one is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from mloscope.adaptors.interface import Preprocessing, RunOptions
from mloscope.app.errors import BadRequest, NotFound
from mloscope.app.workspace.entries import CorpusEntry, RunEntry
from mloscope.app.workspace.workspace_file import read_workspace_file


def written(folder: Path, text: str) -> Path:
    path = folder / "mloscope.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_names_runs_and_corpora(tmp_path: Path) -> None:
    runs, corpora = read_workspace_file(
        written(
            tmp_path,
            """
            [runs.lenet]
            path = "runs/lenet"
            format = "keras"
            corpus = "digits"
            step_pattern = "epoch-([0-9]+)"
            architecture = "model.json"
            trust = true
            preprocessing = { scale = 0.5, mean = [1, 2.5, 3], channel_order = "bgr" }
            [runs.other]
            path = "/elsewhere"
            architecture = "networks.lenet:build"
            preprocessing = { mean = "mean.npy" }
            [runs.third]
            path = "x"
            preprocessing.mean = "corpus"
            [corpora.digits]
            path = "../digits"
            """,
        )
    )
    assert corpora == (CorpusEntry(tmp_path / "../digits", "digits", None),)
    assert runs[0] == RunEntry(
        tmp_path / "runs/lenet",
        "lenet",
        "keras",
        "digits",
        RunOptions(
            step_pattern="epoch-([0-9]+)",
            architecture=str(tmp_path / "model.json"),
            preprocessing=Preprocessing(0.5, (1.0, 2.5, 3.0), "bgr"),
            trust=True,
        ),
    )
    assert runs[1].path == Path("/elsewhere")
    assert runs[1].options.architecture == "networks.lenet:build"
    assert runs[1].options.preprocessing == Preprocessing(1.0, str(tmp_path / "mean.npy"))
    assert runs[2].options.preprocessing == Preprocessing(1.0, "corpus")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("runs = ", "is not TOML"),
        ("[jobs.a]\npath='x'", 'there is no key "jobs"; the keys are runs, corpora'),
        ("runs = 3", "the top of the file: runs = 3 has the wrong type; it must be a table"),
        ("[runs.a]\npath='x'\nclasses=3", "[runs.a]: classes = 3 has the wrong type; it must be text or a list"),
        ("[runs.a]\npath='x'\nclasses=['b','b']", "[runs.a]: classes: "),
        ("[runs.a]\npath='x'\npreprocessing=3", "[runs.a]: preprocessing = 3 has the wrong type; it must be a table"),
        ("[runs.a]\npath='x'\npreprocessing={mean=true}", "[runs.a.preprocessing]: mean = True has the wrong type"),
        ("[corpora.a]\nhierarchy='y'", '[corpora.a]: the key "path" is missing'),
        ("[runs]\nlenet = 'x'", "[runs.lenet]: it must be a table"),
        ("[runs.a]\nformat='keras'", '[runs.a]: the key "path" is missing'),
        ("[runs.a]\npath='x'\nsteps='y'", 'there is no key "steps"; the keys are path, format, corpus'),
        ("[runs.a]\npath=3", "path = 3 has the wrong type; it must be text"),
        ("[runs.a]\npath='x'\ntrust=1", "trust = 1 has the wrong type; it must be true or false"),
        (
            "[runs.a]\npath='x'\npreprocessing={scale=true}",
            "scale = True has the wrong type; it must be a number",
        ),
        ("[runs.a]\npath='x'\npreprocessing={scale=0}", "scale must be a non-zero number"),
        (
            "[runs.a]\npath='x'\npreprocessing={mean=[1,2]}",
            "got 2: [1, 2]",
        ),
        ("[runs.a]\npath='x'\npreprocessing={mean=['a']}", "mean must be numbers"),
        ("[runs.a]\npath='x'\npreprocessing={channel_order='gbr'}", 'got "gbr"'),
        (
            "[runs.a]\npath='x'\npreprocessing={std=1}",
            'there is no key "std"; the keys are scale, mean, channel_order',
        ),
        ("[runs.a]\npath='x'\nstep_pattern='('", "is not a regular expression"),
        ("[runs.a]\npath='x'\nstep_pattern='[0-9]+'", "has no group"),
        ("[runs.a]\npath='x'\ncorpus='b'\n[corpora.c]\npath='y'", "is not a corpus of this file; it has: c"),
        ("[runs.'a b']\npath='x'", '"a-b" could be'),
    ],
)
def test_a_wrong_file_is_refused_by_key_and_value(tmp_path: Path, text: str, sentence: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(BadRequest) as refusal:
        read_workspace_file(path)
    assert sentence in str(refusal.value)
    assert str(path) in str(refusal.value)
    assert str(refusal.value).endswith(".")


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"mloscope\.toml does not exist"):
        read_workspace_file(tmp_path / "mloscope.toml")
