"""Which layers are searched for top patches."""

from __future__ import annotations

import pytest

from mloscope.adaptors.interface import Layer
from mloscope.app.errors import NotFound, NotPossible
from mloscope.app.statistics.patches.asked import MAPS_BYTES, AskedPatches, asked_patches, batch_that_fits

LAYERS = (
    Layer("image", "input", (), (64, 64, 3)),
    Layer("large", "convolution", ("image",), (64, 64, 64)),
    Layer("relu", "activation", ("large",), (64, 64, 64)),
    Layer("small", "convolution", ("relu",), (8, 8, 64)),
    Layer("free", "convolution", ("relu",), (None, None, 64)),
    Layer("classes", "dense", ("small",), (10,)),
    Layer("broken", "dense", ("small",), (10,), problem="It is broken."),
)


def test_by_default_convolutions_and_dense_layers_as_far_as_memory_allows() -> None:
    assert asked_patches(LAYERS, (), 9, batch=8).layers == ("large", "small", "classes")
    too_many = MAPS_BYTES // (4 * 64 * 64 * 64) + 1
    assert asked_patches(LAYERS, (), 9, batch=too_many).layers == ("small", "classes")


def test_named_layers_are_taken_as_they_are() -> None:
    assert asked_patches(LAYERS, ["relu", "classes", "relu"], 4, batch=8).layers == ("relu", "classes")
    with pytest.raises(NotFound, match="nowhere"):
        asked_patches(LAYERS, ["nowhere"], 9, batch=8)
    with pytest.raises(NotPossible, match="broken"):
        asked_patches(LAYERS, ["broken"], 9, batch=8)


def test_batches_become_smaller_where_maps_are_large() -> None:
    assert batch_that_fits(LAYERS, AskedPatches(("classes",)), 250) == 250
    assert batch_that_fits(LAYERS, AskedPatches(("large", "relu")), 250) == MAPS_BYTES // (2 * 4 * 64 * 64 * 64)
