"""What runs and corpora are called in addresses: the same for ever."""

from __future__ import annotations

from itertools import islice, permutations
from pathlib import Path

import pytest

from mloscope.app.errors import NotFound
from mloscope.app.workspace.connected import ConnectedRun
from mloscope.app.workspace.names import (
    LONGEST,
    address_name,
    is_generic,
    names_of_entries,
    names_of_paths,
    own_name,
    title_of,
    unique_name,
    url_safe,
)
from mloscope.app.workspace.workspace import Workspace

LONG = "resnet50-imagenet-bs1024-augment-randaugment-ema0.9999-cosine-seed1-lr0.1"


@pytest.mark.parametrize("name", ["lenet", "LeNet_5.2", "b-1", "a" * LONGEST, "0"])
def test_plain_names_stay_as_they_are(name: str) -> None:
    assert address_name(name) == name


@pytest.mark.parametrize(
    "name", ["实验一", "эксперимент 2", "b 1", "b+1", LONG, "-x", "x.", "größe", "a/b", "..", "", "\udcff", "unnamed "]
)
def test_what_was_changed_or_cut_says_so_by_a_hash(name: str) -> None:
    found = address_name(name)
    assert found == address_name(name) == url_safe(found)
    assert found != url_safe(name)
    assert len(found) <= LONGEST


@pytest.mark.parametrize(
    ("name", "address", "suggestion"),
    [
        ("b 1", "b-1-dc67949b", "b-1"),
        ("größe", "groe-d353a267", "groe"),
        ("-x.", "x-ada5282c", "x"),
        ("实验一", "unnamed-2dac6e5b", "unnamed"),
        (LONG, "resnet50-imagenet-bs1024-augment-randaugment-ema0.9-fa28651a", LONG[:60]),
        ("a" * 50 + "-b" * 6, "a" * 50 + "-36a17a95", "a" * 50 + "-b" * 5),
    ],
)
def test_addresses_that_were_once_given_stay(name: str, address: str, suggestion: str) -> None:
    assert (address_name(name), url_safe(name)) == (address, suggestion)


def test_different_names_stay_different() -> None:
    names = [
        "实验一",
        "学习",
        "训练1",
        "实验1",
        LONG,
        LONG + "1",
        LONG + "5",
        "b-1",
        "b 1",
        "b+1",
        "b_1",
        "ü",
        "u",
        "",
        "unnamed",
        "A",
        "a",
    ]
    assert len({address_name(name) for name in names}) == len(names)


def test_an_accent_is_one_however_it_is_written() -> None:
    assert address_name("gr\u00f6\u00dfe") == address_name("gro\u0308\u00dfe")


def test_entries_of_a_folder_have_one_name_each_in_any_order(tmp_path: Path) -> None:
    for name in ("a.npz", "a.h5", "b.npz", "c.d"):
        (tmp_path / name).touch()
    for name in ("a", "c.e", "学习"):
        (tmp_path / name).mkdir()
    orders = islice(permutations(sorted(tmp_path.iterdir())), None, None, 97)
    found = [names_of_entries(order) for order in orders]
    assert all(each == found[0] for each in found)
    names = {entry.name: name for entry, name in found[0].items()}
    assert len(set(names.values())) == 7
    assert (names["b.npz"], names["c.d"], names["c.e"]) == ("b", "c", "c.e")
    assert "a" not in names.values(), "three would have it"
    assert names_of_entries([tmp_path / "b.npz"], {"b"})[tmp_path / "b.npz"] != "b"


def test_paths_have_one_name_each_in_any_order() -> None:
    paths = [
        Path(path) for path in ("/x/exp1/checkpoints", "/x/exp2/checkpoints", "/x/exp1/run", "/y/exp1/run", "/z/lenet")
    ]
    found = [dict(zip(order, names_of_paths(order), strict=True)) for order in permutations(paths)]
    assert all(each == found[0] for each in found)
    names = found[0]
    assert names[paths[0]] == ("exp1-checkpoints", "exp1/checkpoints")
    assert names[paths[1]] == ("exp2-checkpoints", "exp2/checkpoints")
    assert names[paths[4]] == ("lenet", "lenet")
    assert len({name for name, _ in names.values()}) == len(paths)


def test_a_generic_folder_is_named_by_the_one_around_it_also_alone() -> None:
    assert names_of_paths([Path("/x/exp1/checkpoints")]) == [("exp1-checkpoints", "exp1/checkpoints")]
    assert names_of_paths([Path("/x/Weights")]) == [("x-Weights", "x/Weights")]
    assert names_of_paths([Path("/checkpoints")]) == [("checkpoints", "checkpoints")]
    assert names_of_paths([Path("/")]) == [("root", "root")]
    assert [is_generic(Path(path)) for path in ("/x/ckpt", "/ckpt", "/x/run")] == [True, False, False]


def test_the_names_own_part_is_without_a_files_extension(tmp_path: Path) -> None:
    (tmp_path / "a.h5").touch()
    (tmp_path / "b.h5").mkdir()
    assert [own_name(tmp_path / name) for name in ("a.h5", "b.h5", "c.h5", "d")] == ["a", "b.h5", "c.h5", "d"]
    assert own_name(tmp_path / "c.h5", "c") == "c"


def test_names_that_are_taken_are_left_alone() -> None:
    (name, title), (other, _) = names_of_paths([Path("/x/lenet"), Path("/x/lenet")], ["lenet"])
    assert (name, title) == ("x-lenet", "x/lenet")
    assert other == "x-lenet-2"
    assert names_of_paths([Path("/x/lenet")], ["lenet"]) == [(name, title)], "alone as well"
    ((name, title),) = names_of_paths([Path("/x/lenet")], ["lenet", "x-lenet"])
    assert (name, title) == ("lenet-544b7fe5", "x/lenet")
    assert names_of_paths([Path("/x/lenet")], ["lenet", "x-lenet", name]) == [(f"{name}-2", title)]
    assert names_of_paths([Path("/lenet")], ["lenet"])[0][1] == "lenet"


def test_numbers_tell_apart_what_nothing_else_does() -> None:
    taken = {"a", "a-2", "a-3"}
    assert [unique_name(name, taken) for name in ("a", "a", "b", "b")] == ["a-4", "a-5", "b", "b-2"]
    assert taken >= {"a-4", "a-5", "b", "b-2"}


def test_a_title_is_text_that_can_be_shown() -> None:
    assert title_of("实验 一") == "实验 一"
    assert title_of("a\udcff\n\x1b[2Jb") == "a\ufffd\ufffd\ufffd[2Jb"


def test_a_link_with_a_folders_own_name_still_works() -> None:
    def run(name: str, title: str) -> ConnectedRun:
        return ConnectedRun(name, Path("/nowhere"), None, problem="torn", title=title)

    workspace = Workspace(
        [run("exp1-checkpoints", "exp1/checkpoints"), run("lenet", "lenet"), run("unnamed-12345678", "实验一")]
    )
    assert workspace.run("checkpoints").name == "exp1-checkpoints"
    assert workspace.run("实验一").name == "unnamed-12345678"
    ambiguous = Workspace([run("exp1-checkpoints", "exp1/checkpoints"), run("exp2-checkpoints", "exp2/checkpoints")])
    with pytest.raises(NotFound):
        ambiguous.run("checkpoints")
