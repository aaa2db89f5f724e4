"""README and docs/ against the code: tables, links, commands, examples."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from mloscope.app.commands import cli
from mloscope.app.web.dash.page import view_schema
from mloscope.app.web.dash.pages import OURS
from mloscope.app.workspace.workspace_file import read_workspace_file

SCHEMA = view_schema(OURS)

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
CONCEPTS = (ROOT / "docs" / "concepts.md").read_text()
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands(text: str) -> list[list[str]]:
    """The words of each line of the text's blocks of commands, fenced without a language or as sh."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = [line for language, block in blocks if language in ("", "sh") for line in block.splitlines()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def anchors(text: str) -> set[str]:
    """Of every heading, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_table_of_view_keys_is_the_code_s() -> None:
    table = CONCEPTS.split("<!-- view fields")[1].split("| key | meaning | values |\n|---|---|---|\n")[1]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.split("\n\n")[0].splitlines()]
    assert rows == [[f"`{field.key}`", field.help, ", ".join(field.choices) or field.kind] for field in SCHEMA.fields]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path) if path else document
        assert file.exists(), f"{document.name} links to {target}"
        if anchor:
            assert anchor in anchors(file.read_text()), f"{document.name} links to {target}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_that_is_named_exists(document: Path) -> None:
    for name in re.findall(r"`((?:adaptors|app|components|assets|tests|docs)/[\w./]+)`", document.read_text()):
        assert (ROOT / name).exists(), f"{document.name} names {name}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_test_that_is_named_exists(document: Path) -> None:
    """By its whole path, which the test above looks for; only the examples of the page itself have a bare name."""
    text = document.read_text()
    own = set(re.findall(r"^# file: (\S+)", text, flags=re.MULTILINE))
    for name in re.findall(r"[\w./-]*\btest_\w+\.py", text):
        assert name in own or (ROOT / name).is_file(), f"{document.name} names {name}"


def test_the_readme_s_commands_exist(capsys: pytest.CaptureFixture[str]) -> None:
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    said = commands(README)
    assert ["make", "demo"] in said
    assert ["make", "test"] in said
    for program, *words in said:
        if program == "make":
            assert set(words) <= set(targets)
        elif program == "mloscope":
            with pytest.raises(SystemExit) as exit_:
                cli.main([words[0], "--help"])
            assert exit_.value.code == 0
            listed = capsys.readouterr().out
            for flag in (word for word in words if word.startswith("--")):
                assert flag in listed, f"mloscope {words[0]} has no {flag}"
        else:
            assert program == "pip"


def test_the_readme_s_workspace_file_is_read(tmp_path: Path) -> None:
    example = re.search(r"```toml\n(.*?)```", README, re.DOTALL)
    assert example
    (tmp_path / "mloscope.toml").write_text(example[1])
    (run,), (corpus,) = read_workspace_file(tmp_path / "mloscope.toml")
    assert (run.name, run.corpus, corpus.name) == ("baseline", "cifar", "cifar")
    assert run.options.preprocessing is not None
    assert run.options.preprocessing.mean == "corpus"


def test_the_extras_that_are_named_exist() -> None:
    extras = re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text().split("optional-dependencies]")[1], re.M)
    for document in DOCUMENTS:
        for extra in re.findall(r"`\[(\w+)\]`", document.read_text()):
            assert extra in extras, f"{document.name} names [{extra}]"


def test_every_page_is_mentioned() -> None:
    pages = CONCEPTS.split("## Pages\n")[1].split("\n## ")[0]
    for page in OURS:
        module = page.bind.__module__.rpartition(".")[2]
        assert re.search(rf"- \*\*{page.label}\*\*, at `{page.path}` \(`app/web/dash/pages/{module}\.py`\)", pages), (
            page.name
        )
