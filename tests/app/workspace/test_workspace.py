"""The workspace: what is connected, and images searched."""

from __future__ import annotations

import time
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from mloscope.adaptors.interface import ImageRecord, RunOptions, Unreadable
from mloscope.app.errors import BadRequest, NotFound, NotPossible
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
        workspace.search("bad")
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


# ------------------------------------------------------------------------------------------------ searching


@pytest.fixture
def images(array_corpus: Any) -> Workspace:
    return Workspace([], [ConnectedCorpus("noise", Path("noise"), array_corpus())])


def test_every_word_must_match_name_id_or_class(images: Workspace) -> None:
    assert images.search("noise", "TEST 1").positions == (41, *range(50, 60))
    assert images.search("noise", "test-1").total == 11
    assert images.search("noise", "training bird 3").positions == (30, 32, 34, 36, 38)
    assert images.search("noise", "dog").total == 0
    assert images.search("noise", "bird " * 1000).total == images.search("noise", "bird").total
    with pytest.raises(BadRequest, match="40 words; 32 are the most"):
        images.search("noise", " ".join(map(str, range(40))))


def test_label_split_and_pages(images: Workspace) -> None:
    found = images.search("noise", split="test", label="cat", offset=2, limit=3)
    assert (found.positions, found.total) == ((45, 47, 49), 10)
    assert images.search("noise", label=1) == images.search("noise", label="1") == images.search("noise", label="cat")
    with pytest.raises(NotFound, match='no split "validation"; it has: training, test'):
        images.search("noise", split="validation")
    with pytest.raises(NotFound, match='no class "dog"; it has: Bird, cat'):
        images.search("noise", label="dog")
    for number in (2, "2", "9" * 5000):
        with pytest.raises(NotFound, match="no class"):
            images.search("noise", label=number)


def test_random_is_the_same_for_a_seed_and_pages_meet(images: Workspace) -> None:
    whole = images.search("noise", seed=7, limit=60).positions
    assert sorted(whole) == list(range(60))
    assert whole != tuple(range(60))
    pages = [images.search("noise", seed=7, offset=offset, limit=25).positions for offset in (0, 25, 50)]
    assert sum(pages, ()) == whole
    assert images.search("noise", seed=8, limit=60).positions != whole
    assert images.search("noise", seed=-3, limit=60).total == 60


class ManyImages:
    """60,000 names and nothing else."""

    format = "names"
    class_names = tuple(f"class {number}" for number in range(100))
    splits = MappingProxyType({"training": range(60_000)})
    labels = np.arange(60_000) % 100

    def __len__(self) -> int:
        return 60_000

    def names(self) -> list[str]:
        return [f"IMG_{number:05}.JPEG" for number in range(60_000)]

    def record(self, position: int) -> ImageRecord:
        return ImageRecord(f"training-{position}", f"IMG_{position:05}.JPEG", position % 100, "training")


def test_60_000_images_are_searched_without_lag() -> None:
    workspace = Workspace([], [ConnectedCorpus("many", Path("many"), ManyImages())])  # type: ignore[arg-type]
    assert workspace.search("many", "img_00042").positions == (42,)
    began = time.process_time()
    for _ in range(5):
        assert workspace.search("many", "class jpeg 99", seed=1).total > 600
    assert (time.process_time() - began) / 5 < 0.1  # 0.01 s where this was written
