"""Groups of classes from files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mloscope.app.errors import NotPossible
from mloscope.app.statistics.class_order.hierarchy import Group, find, read

NAMES = ("cat", "dog", "car", "lorry", "n01 robin")


def written(folder: Path, text: str, name: str = "hierarchy.json") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_groups_of_names_and_numbers(tmp_path: Path) -> None:
    path = written(tmp_path, json.dumps({"vehicles": ["lorry", 2], "animals": ["dog", "cat", "n01"], "empty": []}))
    assert read(path, NAMES) == (Group("vehicles", (3, 2)), Group("animals", (1, 0, 4)))


def test_classes_left_out_are_others(tmp_path: Path) -> None:
    assert read(written(tmp_path, '{"animals": ["cat"]}'), NAMES)[1] == Group("others", (1, 2, 3, 4))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"a": ["cow"]}', "\"a\" has 'cow'"),
        ('{"a": [5]}', '"a" has 5'),
        ('{"a": [true]}', '"a" has True'),
        ('{"a": "cat"}', '"a" must be a list'),
        ('{"a": ["cat"], "b": [0]}', 'the class cat is in "a" and in "b"'),
        ('["cat"]', "must be an object of groups"),
        ("{", "JSON"),
        ("{}", "names none of the 5 classes"),
        ("", "names none of the 5 classes"),
        ("animal cat x", "Line 1 .* has 3 words"),
        ("dog cat\ncat dog", "among its own descendants"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(NotPossible, match=sentence):
        read(written(tmp_path, text), NAMES)


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "gone", tmp_path / "binary", tmp_path):
        with pytest.raises(NotPossible, match="cannot be read"):
            read(path, NAMES)


def test_wordnet_is_cut_at_about_the_root_of_the_classes(tmp_path: Path) -> None:
    lines = ["entity living # a comment", "entity thing", "", "thing vehicle"]
    names = []
    for parent, kind, count in (("living", "dog", 9), ("living", "bird", 4), ("vehicle", "car", 3)):
        lines.append(f"{parent} {kind}")
        for number in range(count):
            names.append(f"{kind}{number}")
            lines.append(f"{kind} {kind}{number}")
    (tmp_path / "words.txt").write_text("dog\tdog, domestic dog\nvehicle\tvehicle\nfaulty line\n")
    groups = read(written(tmp_path, "\n".join(lines), "wordnet.is_a.txt"), names)
    # Root of 16 is 4: everything, then living and thing, then dog, bird, thing, then dog, the largest, falls apart.
    assert [group.name for group in groups[-2:]] == ["bird", "thing"]
    assert sorted(number for group in groups for number in group.classes) == list(range(16))
    assert groups[-1].classes == (13, 14, 15)


def test_a_class_above_others_is_a_group_of_its_own(tmp_path: Path) -> None:
    path = written(tmp_path, "animal cat\ncat lion\ncat tiger\nanimal dog\n", "hierarchy.txt")
    groups = read(path, ("cat", "lion", "tiger", "dog"))
    assert [(group.name, group.classes) for group in groups] == [("cat", (0, 1, 2)), ("dog", (3,))]
    groups = read(path, ("cat", "lion", "tiger", "dog", "a", "b", "c", "d", "e"))
    assert groups[-1] == Group("others", (4, 5, 6, 7, 8))


def test_it_is_found_beside_the_corpus(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "digits.npz").touch()
    assert find(tmp_path / "images") is None
    beside = written(tmp_path, "{}")
    within = written(tmp_path / "images", "{}", "wordnet.is_a.txt")
    assert find(tmp_path / "images") == within
    assert find(tmp_path / "digits.npz") == beside
    assert find(tmp_path / "digits.npz", tmp_path / "other.json") == tmp_path / "other.json"
