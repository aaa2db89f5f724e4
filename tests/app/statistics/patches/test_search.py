"""The k best images of each unit, against a sort of everything."""

from __future__ import annotations

import numpy as np
import pytest
from brute_force import COUNT, by_brute_force, listed

from mloscope.app.statistics.patches.search import FIELDS, PatchSearch, TopPatches, joined


def searched(maps: np.ndarray, batches: int, first: int = 0) -> TopPatches:
    search = PatchSearch(["layer"], COUNT, first)
    for batch in np.array_split(maps, batches):
        search.see({"layer": batch}, np.ones(len(batch), bool))
    return search.found()["layer"]


def made_up(kind: str, images: int = 61) -> np.ndarray:
    random = np.random.default_rng(3)
    maps = random.normal(size=(images, 12) if kind == "dense" else (images, 4, 5, 12)).astype(np.float32)
    if kind == "ties":
        maps = np.round(maps)
    if kind == "rectified":
        maps = np.maximum(maps - 2, 0)
        maps[..., 3] = 0
    if kind == "not finite":
        maps[::4, 1, 2, 5] = np.nan
        maps[1::4, 0, 0, 6] = np.inf
        maps[..., 7] = np.nan
    return maps


@pytest.mark.parametrize("kind", ["dense", "any", "ties", "rectified", "not finite"])
@pytest.mark.parametrize("batches", [1, 4, 40])
def test_it_is_what_a_sort_of_everything_gives(kind: str, batches: int) -> None:
    maps = made_up(kind)
    assert listed(searched(maps, batches)) == by_brute_force(maps)


def test_slices_join_to_the_same_however_they_were_cut() -> None:
    maps = made_up("ties")
    whole = searched(maps, 1)
    parts = joined([searched(maps[:5], 1), searched(maps[5:40], 2, 5), searched(maps[40:], 3, 40)])
    for name in FIELDS[:-1]:
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))
    np.testing.assert_allclose(parts.mean, whole.mean)


def test_how_often_and_how_much_a_unit_is_excited() -> None:
    maps = made_up("rectified")
    found = searched(maps, 4)
    np.testing.assert_array_equal(found.excited, (maps.max(axis=(1, 2)) > 0).sum(axis=0))
    np.testing.assert_allclose(found.mean, maps.mean(axis=(0, 1, 2)), rtol=1e-5)
    assert np.nonzero(found.is_dead)[0].tolist() == [3]
    poisoned = searched(made_up("not finite"), 4)
    assert (poisoned.counted[7], poisoned.is_dead[7]) == (0, False)
    assert np.isnan(poisoned.mean[7])
    assert (poisoned.images[7] == -1).all()


def test_images_that_cannot_be_read_do_not_count() -> None:
    maps = made_up("any", 4)
    search = PatchSearch(["layer"], COUNT)
    search.see({"layer": maps}, np.array([True, False, True, True]))
    found = search.found()["layer"]
    assert set(found.images.ravel().tolist()) == {-1, 0, 2, 3}
    assert (found.counted == 3).all()
