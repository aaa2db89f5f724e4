"""components/glossary.py: words mean on pages what they mean in the documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from mloscope.components.glossary import WORDS, explained

CONCEPTS = (Path(__file__).parents[2] / "docs" / "concepts.md").read_text()


@pytest.mark.parametrize("word", WORDS)
def test_a_word_means_the_same_in_the_documentation(word):
    assert f"| {word} | {WORDS[word]} |" in CONCEPTS


def test_only_words_of_the_table_have_a_question_mark():
    assert explained("norm").to_plotly_json()["props"]["data-word"] == "norm"
    with pytest.raises(KeyError, match="has no"):
        explained("norms")
