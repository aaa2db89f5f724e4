"""Finding adaptors and choosing among them; strangers' adaptors are made of real entry points."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any, ClassVar

import pytest

from mloscope.adaptors import registry
from mloscope.adaptors.entry_points import CORPORA, RUNS, Registered
from mloscope.adaptors.interface import (
    AdaptorError,
    DependencyMissing,
    NothingFits,
    NothingThere,
    RunOptions,
    Unreadable,
)


def stranger(name: str, *, takes: bool = True, fails: Exception | None = None) -> Registered:
    """An adaptor that opens as its own name, or fails."""

    class Stranger:
        format: ClassVar[str] = name
        description: ClassVar[str] = f"files of {name}"

        @classmethod
        def can_open(cls, path: Path) -> bool:
            return takes

        @classmethod
        def open(cls, path: Path, options: RunOptions | None = None) -> Any:
            if fails:
                raise fails
            return name

    return Registered(name, "strangers", Stranger)


def test_ours_are_registered_and_importable() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    for group, found in (
        (RUNS.name, registry.run_adaptors()),
        (CORPORA.name, registry.corpus_adaptors()),
    ):
        ours = {adaptor.name: adaptor for adaptor in found if adaptor.package == "mloscope"}
        assert sorted(ours) == sorted(project["entry-points"][group]), "pip install -e . --no-deps again"
        assert list(ours) == sorted(ours)
        for name, adaptor in ours.items():
            assert adaptor.problem is None
            assert adaptor.implementation.format == name


def test_an_adaptor_is_one_file_under_100_lines() -> None:
    for adaptor in (*registry.run_adaptors(), *registry.corpus_adaptors()):
        source = Path(sys.modules[adaptor.implementation.__module__].__file__)
        assert len(source.read_text().splitlines()) < 100, source


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(NothingThere, match=f"{tmp_path}/absent does not exist"):
        registry.open_run(tmp_path / "absent")
    with pytest.raises(NothingThere):
        registry.open_corpus(tmp_path / "absent", format="npz")


def test_nothing_fits_says_what_is_there_and_who_looked(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt", "c.csv", "Makefile"):
        (tmp_path / name).write_text("x")
    (tmp_path / "sub").mkdir()
    with pytest.raises(NothingFits) as refusal:
        registry.open_run(tmp_path)
    message = str(refusal.value)
    assert "2 .txt, 1 .csv, 1 no extension, 1 folder" in message.replace(
        "1 no extension, 1 .csv", "1 .csv, 1 no extension"
    )
    assert "keras (folders of .keras, .h5 or .weights.h5 files" in message


def test_nothing_fits_in_an_empty_folder_and_a_foreign_file(tmp_path: Path) -> None:
    with pytest.raises(NothingFits, match="It is an empty folder"):
        registry.open_corpus(tmp_path)
    (tmp_path / "a.doc").write_bytes(b"\xd0\xcf\x11\xe0 and more")
    with pytest.raises(NothingFits, match="file of 13 bytes that begins with"):
        registry.open_run(tmp_path / "a.doc")


def test_a_folder_in_it_that_would_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "run_1").mkdir()
    (tmp_path / "run_1" / "net_iter_1.caffemodel").write_bytes(b"")
    (tmp_path / "notes").mkdir()
    with pytest.raises(NothingFits, match=r"run_1 in it looks like a run"):
        registry.open_run(tmp_path)


def test_an_unknown_format_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(NothingFits, match=r"no corpus format 'tiff'; installed are: .*cifar10, .*npz"):
        registry.open_corpus(tmp_path, format="tiff")


def test_one_that_fails_gives_way_to_the_next(tmp_path: Path) -> None:
    adaptors = [
        stranger("a", fails=Unreadable("a is broken.")),
        stranger("b", fails=ZeroDivisionError("b has a bug")),
        stranger("c", takes=False),
        stranger("d"),
        stranger("e"),
    ]
    assert registry.open_run(tmp_path, adaptors=adaptors) == "d"
    assert registry.open_corpus(tmp_path, adaptors=adaptors) == "d"


def test_one_that_the_user_chose_does_not_give_way(tmp_path: Path) -> None:
    adaptors = [stranger("a", fails=Unreadable("a is broken.")), stranger("d")]
    with pytest.raises(Unreadable, match=r"a is broken\."):
        registry.open_run(tmp_path, format="a", adaptors=adaptors)


def test_where_all_fail_every_reason_is_told(tmp_path: Path) -> None:
    adaptors = [stranger("a", fails=Unreadable("a is broken.")), stranger("b", fails=ValueError("odd"))]
    with pytest.raises(AdaptorError, match=r"a is broken\. The adaptor b failed on .*odd"):
        registry.open_run(tmp_path, adaptors=adaptors)


def test_a_known_adaptor_that_cannot_be_imported_is_named(tmp_path: Path) -> None:
    known = [Registered("needs", "strangers", None, "The adaptor needs of strangers needs the package nowhere.")]
    with pytest.raises(DependencyMissing, match="the package nowhere"):
        registry.open_run(tmp_path, format="needs", adaptors=known)
    with pytest.raises(NothingFits, match="the package nowhere"):
        registry.open_run(tmp_path, adaptors=known)
