"""Data that Python and JavaScript share is written in Python, and nowhere in assets/ again."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import mloscope.assets
from mloscope.app.web.dash.page_data import page_data, scripts
from mloscope.app.web.dash.pages import OURS
from mloscope.components.colour_tables import NAMES, colour_table
from mloscope.components.theme import CATEGORIES, CLUSTERS

MODULES = sorted(Path(mloscope.assets.__path__[0]).rglob("*.mjs"))
CHOICES = {
    field["key"]: field["choices"] for field in page_data(OURS)["view-schema"] if len(field.get("choices", ())) > 2
}


def code(path: Path) -> str:
    return re.sub(r"/\*.*?\*/|//.*", "", path.read_text(), flags=re.DOTALL)


def test_the_page_has_all_of_it() -> None:
    found = re.findall(r'<script id="([\w-]+)" type="application/json">(.*?)</script>\n', scripts(OURS))
    assert {name: json.loads(text) for name, text in found} == json.loads(json.dumps(page_data(OURS)))


def test_each_choice_has_a_text() -> None:
    for field in page_data(OURS)["view-schema"]:
        if field["kind"] == "choice":
            assert len(field["texts"]) == len(field["choices"]), field["key"]
            assert all(text for (text, _), value in zip(field["texts"], field["choices"], strict=True) if value), field[
                "key"
            ]


@pytest.mark.parametrize("key", CHOICES)
def test_no_module_lists_the_choices_of_a_field(key: str) -> None:
    values = [value for value in CHOICES[key] if value != "auto"]
    for path in MODULES:
        listed = re.findall(r"\[[^][]*(?:\[[^][]*\][^][]*)*\]", code(path))
        assert not [text for text in listed if all(f'"{value}"' in text for value in values)], path


def test_no_module_has_a_limit_or_a_colour_of_ours() -> None:
    numbers = [str(value) for value in page_data(OURS)["limits"].values() if value >= 10_000]
    ends = [colour_table(name)[place].tobytes().hex() for name in NAMES for place in (0, 255) if name != "grey"]
    categories = [colour.removeprefix("#") for colour in (*CATEGORIES, *CLUSTERS)]
    for path in MODULES:
        written = code(path).lower().replace("_", "")
        assert not [each for each in (*ends, *categories) if each in written], path
        assert not [each for each in numbers if re.search(rf"(?<![\d.]){each}(?![\d.])", written)], path
