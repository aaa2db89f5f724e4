"""docs/settings.md says what the code does: its table is the code's, its example is read, its flags exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from mloscope.adaptors.interface import Preprocessing, RunOptions
from mloscope.app.commands import cli
from mloscope.app.errors import BadRequest
from mloscope.app.process import settings
from mloscope.app.workspace.entries import CorpusEntry, RunEntry
from mloscope.app.workspace.workspace_file import read_workspace_file

PAGE = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()


def section(title: str) -> str:
    return PAGE.split(f"## {title}\n")[1].split("\n## ")[0]


def help_of(command: str, capsys: pytest.CaptureFixture[str]) -> set[str]:
    """The long flags that ``mloscope COMMAND --help`` lists."""
    with pytest.raises(SystemExit):
        cli.main([command, "--help"])
    return set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", capsys.readouterr().out, re.MULTILINE))


def test_the_table_is_what_the_code_generates() -> None:
    generated = re.search(r"<!-- settings: begin -->\n\n(.*?)\n<!-- settings: end -->", PAGE, re.DOTALL)
    assert generated
    assert generated[1] == settings.as_markdown(), "paste app.settings.as_markdown() between the markers"


def test_the_example_is_read_as_its_comments_say(tmp_path: Path) -> None:
    example = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert example
    file = tmp_path / "mloscope.toml"
    file.write_text(example[1])
    runs, corpora = read_workspace_file(file)
    assert runs == (
        RunEntry(
            tmp_path / "runs/baseline",
            "baseline",
            "keras",
            "cifar",
            RunOptions(
                step_pattern="epoch-([0-9]+)",
                architecture=str(tmp_path / "runs/baseline/model.json"),
                preprocessing=Preprocessing(1 / 255, (0.5, 0.5, 0.5), "rgb"),
                class_names=("cat", "dog"),
                custom_objects="my_layers",
                output="predictions",
            ),
        ),
        RunEntry(tmp_path / "runs/wider", "wider", options=RunOptions(preprocessing=Preprocessing(1.0, "corpus"))),
    )
    assert corpora == (
        CorpusEntry(tmp_path / "data/cifar-10-batches-bin", "cifar", "cifar10", tmp_path / "data/groups.json"),
        CorpusEntry(Path("~/pictures/holiday").expanduser(), "holiday"),
    )


def test_every_key_that_is_read_stands_in_the_table_and_in_the_example(tmp_path: Path) -> None:
    listed: dict[str, set[str]] = {}
    for key, owners in re.findall(r"^\| `(\w+)` \| ([\w, ]+) \|", section("mloscope.toml"), re.MULTILINE):
        for owner in owners.split(", "):
            listed.setdefault(owner, set()).add(key)
    wrong = {
        "runs": '[runs.a]\npath = "a"\nno-such-key = 1',
        "corpora": '[corpora.a]\npath = "a"\nno-such-key = 1',
        "preprocessing": '[runs.a]\npath = "a"\npreprocessing = { no-such-key = 1 }',
    }
    for owner, text in wrong.items():
        (tmp_path / "mloscope.toml").write_text(text)
        with pytest.raises(BadRequest) as refusal:
            read_workspace_file(tmp_path / "mloscope.toml")
        known = str(refusal.value).split("the keys are ")[1].rstrip(".").split(", ")
        assert set(known) == listed[owner]
    example = tomllib.loads(re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)[1])  # type: ignore[index]
    assert set(example["runs"]["baseline"]) == listed["runs"]
    assert set(example["runs"]["baseline"]["preprocessing"]) == listed["preprocessing"]
    assert set(example["corpora"]["cifar"]) == listed["corpora"]


def test_the_flags_of_serve_are_all_there_and_no_others(capsys: pytest.CaptureFixture[str]) -> None:
    table = section("Flags of `mloscope serve`")
    assert set(re.findall(r"^\| `(--[a-z-]+)", table, re.MULTILINE)) == help_of("serve", capsys)


@pytest.mark.parametrize("command", ["inspect", "check", "demo", "adaptors"])
def test_the_other_commands_have_the_flags_that_the_page_gives_them(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    of_runs = {
        "--format", "--step-pattern", "--architecture", "--custom-objects", "--trust", "--scale", "--mean",
        "--channel-order", "--output", "--classes",
    }  # fmt: skip
    of_images = {"--images", "--images-format"}
    of_address = {"--host", "--port", "--url-prefix", "--unprotected", "--no-browser"}
    said = {
        "inspect": {"--json", "--quick", *of_images, *of_runs},
        "check": {"--json", "--split", "--sample", *of_images, *of_runs},
        "demo": {"--images", "--epochs", "--folder", "--train-only", *of_address},
        "adaptors": {"--json"},
    }[command]
    assert help_of(command, capsys) - {"--help"} == said
    words = section("Flags of `mloscope serve`")
    assert said - of_runs - of_address <= set(re.findall(r"`(--[a-z-]+)`", words))


def test_connect_and_disconnect_have_the_flags_that_the_page_gives_them(capsys: pytest.CaptureFixture[str]) -> None:
    words = set(re.findall(r"`(--[a-z-]+)", section("While it is up")))
    assert words == help_of("connect", capsys) - {"--help"}
    assert help_of("disconnect", capsys) == {"--help", "--as-corpus", "--port", "--watched"}
