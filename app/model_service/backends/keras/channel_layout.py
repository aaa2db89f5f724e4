"""Networks whose maps have the channels first, given and shown channels last.

The network stays as it is, so flattening and every argument that names an axis mean what they meant. Images are turned on
the way in, maps on the way out. Convolutions run channels last, because TensorFlow has no others on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf


def channels_last(value: Any) -> Any:
    """A batch of maps (image, channel, row, column) as (image, row, column, channel); other ranks alike."""
    rank = len(value.shape)
    return tf.transpose(value, [0, *range(2, rank), 1]) if rank > 2 else value


def channels_first(value: Any) -> Any:
    """The other way round."""
    rank = len(value.shape)
    return tf.transpose(value, [0, rank - 1, *range(1, rank - 1)]) if rank > 2 else value


@contextmanager
def runnable_convolutions(model: keras.Model) -> Iterator[None]:
    """Within it, convolutions of channels-first maps run on any device."""
    turned = [layer for layer in model._flatten_layers() if _is_convolution_of_channels_first(layer)]
    try:
        for layer in turned:
            layer.call = _turned(layer, layer.call)
        yield
    finally:
        for layer in turned:
            del layer.call


def _is_convolution_of_channels_first(layer: Any) -> bool:
    convolves = hasattr(layer, "kernel_size") and hasattr(layer, "filters") and hasattr(layer, "convolution_op")
    transposes = isinstance(
        layer, keras.layers.Conv1DTranspose | keras.layers.Conv2DTranspose | keras.layers.Conv3DTranspose
    )
    return (convolves or transposes) and layer.data_format == "channels_first"


def _turned(layer: Any, call: Callable[..., Any]) -> Callable[..., Any]:
    def run(inputs: Any) -> Any:
        layer.data_format = "channels_last"
        try:
            return channels_first(call(channels_last(inputs)))
        finally:
            layer.data_format = "channels_first"

    return run
