"""Names of a network's classes: lists, files of names, and what is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mloscope.app.errors import BadRequest, NotFound, NotPossible
from mloscope.app.evaluation.named_outputs import NamedOutputs, NamedOutputsStore, checked_names, read_class_names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("cat\ndog\n", ("cat", "dog")),
        ("\ufeffcat\r\n grey dog \n\n", ("cat", "grey dog")),
        ('["cat", "dog"]', ("cat", "dog")),
        ('{"cat": 1, "dog": 0}', ("dog", "cat")),
        ('{"0": ["n02124075", "cat"], "1": ["n02085620", "dog"]}', ("cat", "dog")),
        ('{"1": "dog", "0": "cat"}', ("cat", "dog")),
        ('{"0": ["n2", "crane"], "1": ["n3", "crane"]}', ("crane (n2)", "crane (n3)")),
    ],
)
def test_names_are_read_as_people_keep_them(tmp_path: Path, text: str, names: tuple[str, ...]) -> None:
    path = tmp_path / "labels.txt"
    path.write_text(text)
    assert read_class_names(path) == names


@pytest.mark.parametrize(
    "data", [b"cat\n\ndog\n", b"cat\ncat\n", b"[1, 2]", b'{"cat": 0, "dog": 2}', b"[", b"\xff\xfe\x00", b'{"a": {}}']
)
def test_what_is_no_list_of_names_is_refused_with_the_file(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(data)
    with pytest.raises(BadRequest, match=r"labels\.txt"):
        read_class_names(path)


def test_only_files_are_read(tmp_path: Path) -> None:
    for nothing in (tmp_path / "absent", tmp_path, Path("/dev/zero")):
        with pytest.raises(NotFound):
            read_class_names(nothing)


@pytest.mark.parametrize("names", ["cat", None, [1], ["cat", "cat"], [""], ["x" * 1000], ["x"] * 100_001])
def test_names_are_distinct_texts(names: Any) -> None:
    with pytest.raises(BadRequest):
        checked_names(names)


def test_what_is_settled_is_kept_by_path_for_everybody(tmp_path: Path) -> None:
    here, there = NamedOutputsStore(tmp_path / "cache"), NamedOutputsStore(tmp_path / "cache")
    settled = NamedOutputs("head", ("cat", "dog"))
    assert here.find(Path("run")) is None
    here.save(Path("run"), settled)
    assert there.find(Path("run")) == settled
    assert there.find(Path("other")) is None
    there.save(Path("run"), None)
    assert here.find(Path("run")) is None


def test_what_was_damaged_counts_as_not_settled(tmp_path: Path) -> None:
    store = NamedOutputsStore(tmp_path)
    store.save(Path("run"), NamedOutputs("head"))
    (file,) = (tmp_path / "outputs").iterdir()
    for text in ("{", json.dumps({"output": "head"}), json.dumps({"output": None, "classes": ["a", "a"]})):
        file.write_text(text)
        assert NamedOutputsStore(tmp_path).find(Path("run")) is None


def test_without_a_folder_nothing_can_be_settled() -> None:
    store = NamedOutputsStore(None)
    assert store.find(Path("run")) is None
    store.save(Path("run"), None)
    with pytest.raises(NotPossible):
        store.save(Path("run"), NamedOutputs("head"))
