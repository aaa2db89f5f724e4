"""Receptive fields against brute force: one pixel after the other is made bright, and whatever changes has seen it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from framework import keras, layers, needs_tensorflow

from mloscope.adaptors.interface import SAME_PLACE, Layer, Parameter, Sight
from mloscope.adaptors.networks import network
from mloscope.adaptors.networks.network import NetworkBuilder, Window
from mloscope.adaptors.readers.keras.architecture import nodes_of
from mloscope.app.runs.receptive_fields import ReceptiveFields, receptive_fields

IMAGE = (13, 10)


def _chain(*stack: Any) -> Any:
    return keras.Sequential([keras.Input((*IMAGE, 1), name="image"), *stack])


def _strides_and_paddings() -> Any:
    return _chain(
        layers.Conv2D(2, (3, 2), strides=(2, 1), padding="same", activation="relu", name="same"),
        layers.MaxPooling2D(3, strides=2, padding="same", name="pool"),
        layers.Conv2D(2, 2, name="valid"),
        layers.GlobalAveragePooling2D(name="global"),
        layers.Dense(3, name="dense"),
    )


def _dilation_and_margins() -> Any:
    return _chain(
        layers.ZeroPadding2D(((2, 0), (0, 1)), name="padded"),
        layers.Conv2D(2, 3, dilation_rate=2, padding="same", name="dilated"),
        layers.AveragePooling2D((2, 3), name="pool"),
        layers.Cropping2D(((1, 1), (0, 1)), name="cropped"),
        layers.Flatten(name="flat"),
    )


def _larger() -> Any:
    return _chain(
        layers.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2, name="depthwise"),
        layers.Conv2DTranspose(2, 3, strides=2, padding="same", name="transposed"),
        layers.Conv2DTranspose(2, 2, strides=3, name="spread"),
        layers.SeparableConv2D(2, 3, strides=3, padding="same", name="separable"),
        layers.UpSampling2D((2, 3), name="repeated"),
        layers.UpSampling2D(2, interpolation="bilinear", name="blended"),
    )


def _branches() -> Any:
    """A long way and a short one, and weights for channels that look at everything."""
    image = keras.Input((*IMAGE, 1), name="image")
    hidden = layers.Conv2D(2, 3, padding="same", name="stem")(image)
    inside = layers.Conv2D(2, 3, padding="same", activation="relu", name="inner")(hidden)
    wide = layers.Conv2D(2, (1, 5), padding="same", name="wide")(hidden)
    joined = layers.Concatenate(name="joined")([inside, wide])
    added = layers.Add(name="added")([layers.Conv2D(4, 1, name="mixed")(joined), joined])
    normal = layers.BatchNormalization(name="normal")(added)
    means = layers.GlobalAveragePooling2D(keepdims=True, name="means")(normal)
    scaled = layers.Multiply(name="scaled")([added, means])
    return keras.Model(image, layers.Conv2D(1, 2, strides=2, name="end")(layers.Dense(2, name="places")(scaled)))


def _bright_everywhere(model: Any) -> Any:
    """Weights all positive, so that a brighter pixel makes everything larger that sees it."""
    random = np.random.default_rng(1)
    model.set_weights([random.uniform(0.5, 1, weights.shape).astype(np.float32) for weights in model.get_weights()])
    return model


def _seen(model: Any) -> dict[str, np.ndarray]:
    """By layer, bool (row, column of the map, row, column of the image): whether any unit there changes with the pixel."""
    pixels = int(np.prod(IMAGE))
    images = 1 + np.concatenate([np.zeros((1, pixels)), 1e3 * np.eye(pixels)]).reshape(-1, *IMAGE, 1)
    names = [layer.name for layer in model.layers]
    outputs = keras.Model(model.inputs, [layer.output for layer in model.layers])([images.astype(np.float32)])
    return {name: _changed(np.asarray(maps)) for name, maps in zip(names, outputs, strict=True)}


def _changed(maps: np.ndarray) -> np.ndarray:
    maps = maps.reshape(len(maps), 1, 1, -1) if maps.ndim == 2 else maps
    changed = (np.abs(maps[1:] - maps[:1]) > 1e-5 * np.abs(maps[:1])).any(axis=-1)
    return np.moveaxis(changed, 0, -1).reshape(*maps.shape[1:3], *IMAGE)


def _compare(name: str, fields: ReceptiveFields, seen: np.ndarray) -> None:
    places = {(row, column) for row in range(seen.shape[0]) for column in range(seen.shape[1])}
    assert len(fields.rows) * len(fields.columns) == len(places) or len(fields.rows) == 1
    for row, column in places:
        rows, columns = np.nonzero(seen[row, column].any(axis=1))[0], np.nonzero(seen[row, column].any(axis=0))[0]
        top, left, bottom, right = fields.box(row, column)
        if len(rows):
            assert (top, left, bottom, right) == (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1), (
                name,
                row,
                column,
            )
        else:
            assert bottom == top or right == left, (name, row, column)


@needs_tensorflow
@pytest.mark.parametrize("build", [_strides_and_paddings, _dilation_and_margins, _larger, _branches])
def test_keras_layers_see_what_changes_them(build: Callable[[], Any]) -> None:
    model = _bright_everywhere(build())
    described = [node.layer(None) for node in nodes_of(json.loads(model.to_json()))]
    fields = receptive_fields(described, IMAGE)
    for name, seen in _seen(model).items():
        _compare(name, fields[name], seen)


def _translated() -> list[network.Node]:
    """As Caffe has them: pools that hang over the edge, two kernels of groups, normalisation among neighbours."""
    builder, image = NetworkBuilder("test"), (*IMAGE, 1)
    builder.add(Layer("image", "input", (), None), network.Input(), image)
    layer = Layer("conv", "convolution", ("image",), None, _parameters("kernel", (2, 1, 3, 3)))
    window = Window((3, 3), (2, 2), (-1, -1), (7, 5))
    builder.add(layer, network.Convolution((image,), (window,), (1,)), (7, 5, 2))
    pool = network.Pooling((7, 5, 2), Window((3, 3), (2, 2), (0, 0), (4, 3)), largest=True)
    builder.add(Layer("pool", "max pooling", ("conv",), None), pool, (4, 3, 2))
    near = network.LocalNormalisation((4, 3, 2), False, 2, 1e-4, 1.0)
    builder.add(Layer("near", "normalisation", ("pool",), None), near, (4, 3, 2))
    builder.add(Layer("part", "slice", ("pool",), None), network.Part(0, 1, 3), (2, 3, 2))
    builder.add(Layer("joined", "concatenate", ("part", "part"), None), network.Concatenation(2), (2, 3, 4))
    return builder.nodes


def _parameters(name: str, shape: tuple[int, ...]) -> Any:
    return (Parameter(name, shape, ("unit", "channel", "row", "column")),)


@needs_tensorflow
def test_translated_layers_see_what_changes_them() -> None:
    from mloscope.adaptors.networks.translated_layers import build_model

    nodes = _translated()
    model = _bright_everywhere(build_model(nodes, "test"))
    fields, seen = receptive_fields([node.layer for node in nodes], IMAGE), _seen(model)
    for name in ("conv", "pool", "near", "part", "joined"):
        _compare(name, fields[name], seen[name])


def test_a_dense_layer_sees_what_its_inputs_see_and_an_unknown_one_all() -> None:
    image = Layer("image", "input", (), (8, 8, 1))
    corner = Layer("corner", "cropping", ("image",), (2, 3, 1), sights=(Sight(start=(1, 2)),))
    dense = Layer("dense", "dense", ("corner",), (4,))
    after = Layer("after", "activation", ("dense",), (4,), sights=(SAME_PLACE,))
    alone = Layer("alone", "dense", (), (4,))
    fields = receptive_fields([image, corner, dense, after, alone], (8, 8))
    assert fields["dense"].box(0, 0) == fields["after"].box(0, 0) == (1, 2, 3, 5)
    assert fields["alone"].box(0, 0) == (0, 0, 8, 8)
    assert fields["corner"].size == (1, 1)


def test_places_in_the_padding_see_nothing() -> None:
    image = Layer("image", "input", (), (2, 2, 1))
    padded = Layer("padded", "padding", ("image",), (4, 4, 1), sights=(Sight(start=(-1, -1)),))
    assert receptive_fields([image, padded], (2, 2))["padded"].rows.tolist() == [[0, 0], [0, 1], [1, 2], [0, 0]]
