"""assets/base/numbers.mjs."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser


def test_numbers_are_written_as_by_the_server(bare):
    from mloscope.components.numbers import grouped

    numbers = [0, 999, 1000, 70000, 1234567]
    assert bare.js("numbers => numbers.map(grouped)", numbers) == [grouped(number) for number in numbers]
    assert bare.js("() => grouped(1234.56789)") == "1\u202f234.56789"


def test_all_and_none_are_said_only_where_they_are_exact(bare):
    parts = [[0, 10], [10, 10], [1, 1_000_000], [999_999, 1_000_000], [1, 3], [1, 0]]
    said = ["0\u202f%", "100\u202f%", "0.01\u202f%", "99.99\u202f%", "33.3\u202f%", "–"]
    assert bare.js("parts => parts.map(([part, whole]) => percentOf(part, whole))", parts) == said
