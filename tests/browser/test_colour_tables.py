"""assets/films/colour_tables.mjs: the tables of components/colour_tables.py, as they arrive."""

from __future__ import annotations

import numpy as np
import pytest

from mloscope.components.colour_tables import NAMES, colour_table, is_diverging

pytestmark = pytest.mark.browser


def test_tables_arrive_as_they_are(bare):
    assert bare.js("() => colours.names") == list(NAMES)
    for name in NAMES:
        np.testing.assert_array_equal(bare.table(name), colour_table(name))
        assert bare.js("name => colours.isDiverging(name)", name) == is_diverging(name)
    words = np.array(bare.js("() => [...colours.pixels('magma')]"), np.uint32).view(np.uint8).reshape(256, 4)
    np.testing.assert_array_equal(words[:, :3], colour_table("magma"))
    assert (words[:, 3] == 255).all()


def test_a_table_that_does_not_exist_is_refused_in_words(bare):
    said = bare.js("() => { try { colours.table('jet'); } catch (error) { return error.message; } }")
    assert "jet" in said
    assert "viridis" in said
