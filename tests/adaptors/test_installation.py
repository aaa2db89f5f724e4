"""Which line is shown where something is missing: one for each way to be installed."""

from __future__ import annotations

import re
import shlex
import sys
from importlib import metadata
from pathlib import Path

import pytest

from mloscope.adaptors.installation import Installation, how_to_add, program, required_by

REQUIRES = (
    "numpy>=2.0",
    'tensorflow-cpu>=2.18; (sys_platform == "nowhere") and extra == "evaluate"',
    'tensorflow>=2.18; (sys_platform != "nowhere") and extra == "evaluate"',
    'tensorflow[and-cuda]>=2.18; extra == "gpu"',
    'dask>=2025.1; extra == "jobs"',
    'mloscope[evaluate,jobs]; extra == "statistics"',
)


def installed(**what: object) -> Installation:
    return Installation("/venv/bin/python", requires=REQUIRES, **what)


def source(folder: Path, editable: bool) -> dict[str, object]:
    (folder / "pyproject.toml").touch()
    return {"url": folder.as_uri(), "dir_info": {"editable": True} if editable else {}}


def test_an_editable_installation_names_its_source_folder(tmp_path: Path) -> None:
    line = installed(came_from=source(tmp_path, True)).how_to_add("statistics")

    assert shlex.split(line) == ["/venv/bin/python", "-m", "pip", "install", "--editable", f"{tmp_path}[statistics]"]


def test_an_installed_source_folder_is_named_while_it_is_there(tmp_path: Path) -> None:
    here = installed(came_from=source(tmp_path, False))
    assert shlex.split(here.how_to_add("jobs"))[-2:] == ["install", f"{tmp_path}[jobs]"]

    (tmp_path / "pyproject.toml").unlink()
    assert shlex.split(here.how_to_add("jobs"))[-2:] == ["install", "dask>=2025.1"]


def test_folders_with_spaces_and_dollars_survive_the_shell(tmp_path: Path) -> None:
    folder = tmp_path / "my $work"
    folder.mkdir()
    line = Installation("/my venv/bin/python", came_from=source(folder, True)).how_to_add("jobs")

    assert shlex.split(line)[0] == "/my venv/bin/python"
    assert shlex.split(line)[-1] == f"{folder}[jobs]"
    assert "'" in line


def test_a_wheel_is_named_while_it_is_there(tmp_path: Path) -> None:
    wheel = tmp_path / "mloscope-1-py3-none-any.whl"
    wheel.touch()
    here = installed(came_from={"url": wheel.as_uri(), "archive_info": {}})
    assert shlex.split(here.how_to_add("jobs"))[-1] == f"mloscope[jobs] @ {wheel.as_uri()}"

    wheel.unlink()
    assert set(shlex.split(here.how_to_add("statistics"))[4:]) == {"dask>=2025.1", "tensorflow>=2.18"}


def test_a_repository_is_named_with_its_commit() -> None:
    came_from = {"url": "https://git.example/m.git", "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}}

    assert shlex.split(installed(came_from=came_from).how_to_add("gpu"))[-1] == (
        "mloscope[gpu] @ git+https://git.example/m.git@c0ffee"
    )


def test_where_nothing_is_known_what_is_required_is_named() -> None:
    """The package is on no index; what it requires is."""
    line = installed().how_to_add("statistics")

    assert "mloscope" not in line
    assert set(shlex.split(line)[4:]) == {"dask>=2025.1", "tensorflow>=2.18"}
    assert required_by("gpu", REQUIRES) == ["tensorflow[and-cuda]>=2.18"]
    assert required_by("nothing", REQUIRES) == []


@pytest.mark.parametrize(
    ("tools", "line"),
    [
        (
            {"has_pip": False, "others": {"uv": "/bin/uv", "pip": "/bin/pip"}},
            "uv pip install --python /venv/bin/python",
        ),
        ({"has_pip": False, "others": {"uv": None, "pip": "/bin/pip3"}}, "/bin/pip3 --python /venv/bin/python install"),
        (
            {"has_pip": False, "has_ensurepip": True},
            "/venv/bin/python -m ensurepip && /venv/bin/python -m pip install",
        ),
        ({"externally_managed": True}, "/venv/bin/python -m pip install --break-system-packages"),
    ],
)
def test_without_pip_another_installer_takes_its_place(tools: dict[str, object], line: str) -> None:
    assert installed(**tools).how_to_install("x") == f"{line} x"


def test_without_any_installer_there_is_no_line_that_could_fail() -> None:
    assert re.match(r"there is no pip .*; with one, install .*dask", installed(has_pip=False).how_to_add("jobs"))


def test_inside_our_own_image_nothing_is_installed() -> None:
    said = installed(image="web").how_to_add("evaluate")

    assert "pip" not in said
    assert "docker compose up" in said


def test_the_installation_that_runs_is_recognised() -> None:
    at_hand = Installation.at_hand()

    assert at_hand.python == sys.executable
    assert at_hand.requires == tuple(metadata.distribution("mloscope").requires)
    assert at_hand.image is None
    assert "statistics]" in how_to_add("statistics") or "dask" in how_to_add("statistics")


def test_a_command_to_type_begins_with_this_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ours = tmp_path / "ours" / "mloscope"
    other = tmp_path / "other" / "mloscope"
    for script in (ours, other):
        script.parent.mkdir()
        script.touch(0o755)
    monkeypatch.setattr(sys, "executable", str(ours.with_name("python")))

    monkeypatch.setenv("PATH", str(ours.parent))
    assert program() == "mloscope"
    monkeypatch.setenv("PATH", str(other.parent))
    assert program() == str(ours)
    monkeypatch.setenv("PATH", "")
    assert program() == str(ours)
    ours.unlink()
    assert program() == "mloscope"


def test_no_other_place_says_how_something_is_installed() -> None:
    """A line of its own would be wrong for one installation or the other; in documents it begins in the source folder."""
    root = Path(__file__).parents[2]
    sources = [
        path
        for folder in ("adaptors", "app", "components", "assets")
        for path in (root / folder).rglob("*")
        if path.suffix in (".py", ".js", ".mjs") and path.name != "installation.py"
    ]
    documents = [root / "README.md", *(root / "docs").glob("*.md")]

    assert len(sources) > 100
    assert [path.name for path in sources if "pip install" in path.read_text(encoding="utf-8")] == []
    assert [path.name for path in documents if "mloscope[" in path.read_text(encoding="utf-8")] == []
