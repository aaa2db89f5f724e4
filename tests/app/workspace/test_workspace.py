"""The workspace: what is connected, and images searched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mloscope.adaptors.interface import RunOptions, Unreadable
from mloscope.app.errors import NotFound, NotPossible
from mloscope.app.workspace.connected import ConnectedCorpus, ConnectedRun
from mloscope.app.workspace.entries import CorpusEntry, RunEntry
from mloscope.app.workspace.names import url_safe
from mloscope.app.workspace.workspace import Workspace

# ----------------------------------------------------------------------------------------------- connecting


def test_names_come_from_folders_and_are_unique_and_safe(array_run: Any, array_corpus: Any, tmp_path: Path) -> None:
    archive = tmp_path / "digits.npz"
    archive.touch()
    workspace = Workspace.connect(
        [
            RunEntry(Path("a/Größe 7!")),
            RunEntry(Path("b/Größe 7!")),
            RunEntry(Path("x"), name="Groe-7-2"),
            RunEntry(Path("c/Große 7")),
        ],
        [CorpusEntry(archive)],
        open_run=lambda *_: array_run(),
        open_corpus=lambda *_: array_corpus(),
    )
    names = [run.name for run in workspace.runs]
    assert len(set(names)) == 4
    assert names[2] == "Groe-7-2"
    assert all(name == url_safe(name) for name in names)
    assert [run.title for run in workspace.runs] == ["a/Größe 7!", "b/Größe 7!", "", "Große 7"]
    assert workspace.corpora[0].name == "digits"


def test_what_cannot_be_opened_stays_with_its_problem(array_run: Any, array_corpus: Any) -> None:
    def open_run(path: Path, options: RunOptions, format: str | None) -> Any:
        if path.name == "bad":
            raise Unreadable("bad is torn.")
        return array_run()

    def open_corpus(path: Path, format: str | None) -> Any:
        if path.name == "bad":
            raise Unreadable("bad is torn too.")
        return array_corpus()

    workspace = Workspace.connect(
        [RunEntry(Path("bad"), format="keras"), RunEntry(Path("good"))],
        [CorpusEntry(Path("bad")), CorpusEntry(Path("good"))],
        open_run=open_run,
        open_corpus=open_corpus,
    )
    assert [(run.name, run.problem, run.format) for run in workspace.runs] == [
        ("bad", "bad is torn.", "keras"),
        ("good", None, "arrays"),
    ]
    with pytest.raises(NotPossible, match='"bad" could not be opened: bad is torn'):
        workspace.opened_run("bad")
    with pytest.raises(NotPossible, match='"bad" could not be opened: bad is torn too'):
        workspace.image_index("bad")
    with pytest.raises(NotFound, match="connected: bad, good"):
        workspace.run("lenet")
    assert workspace.corpus_of("good") == "good"


def test_a_run_has_its_own_corpus_or_the_first(array_run: Any, array_corpus: Any) -> None:
    corpora = [ConnectedCorpus(name, Path(name), array_corpus()) for name in ("one", "two")]
    runs = [
        ConnectedRun("plain", Path("p"), array_run()),
        ConnectedRun("own", Path("o"), array_run(), corpus="two"),
    ]
    workspace = Workspace(runs, corpora)
    assert workspace.corpus_of("plain") == "one"
    assert workspace.corpus_of("own") == "two"
    assert workspace.class_names("plain")[:2] == ("Bird", "cat")
    assert Workspace(runs).corpus_of("plain") is None
    assert Workspace(runs).class_names("plain") == array_run.class_names
