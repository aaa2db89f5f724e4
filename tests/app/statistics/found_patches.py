"""Top patches of a small run, as a computation leaves them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mloscope.app.statistics.patches.asked import AskedPatches
from mloscope.app.statistics.patches.search import PatchSearch
from mloscope.app.statistics.patches.store import PatchStore


def keep_patches(bench: Any, layer: str, maps: Mapping[int, np.ndarray], count: int = 4) -> None:
    """Search these maps of the test images, by step, and keep what is found."""
    statistics, asked = bench.services.statistics, AskedPatches((layer,), count)
    store = PatchStore(statistics.store.folder)
    keys = {state.step: state.key for state in statistics.of("lenet").steps}
    for step, values in maps.items():
        search = PatchSearch(asked.layers, count)
        search.see({layer: values}, np.ones(len(values), bool))
        store.write(str(keys[step]), asked, (0, len(values)), search.found())
        store.finish(str(keys[step]), asked, [(0, len(values))])
