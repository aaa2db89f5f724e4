"""Mean images as the frameworks keep them: ``.npy``, Caffe's ``.binaryproto``, cuda-convnet's
``batches.meta``."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from mloscope.adaptors.interface import NothingThere, Unreadable
from mloscope.adaptors.models.caffe_protobuf import read_blob_file
from mloscope.adaptors.models.cuda_convnet_files import read_meta


def read_mean_image(path: Path, shape: tuple[int, int, int], scale: float = 1.0) -> np.ndarray:
    """float32, to be subtracted from a network's input of this shape, (row, column, channel).

    A ``.npy`` is in the network's units already, and of any shape that spreads over the input's. The others
    are in the units of pixels, 0..255, and are scaled; of one that is larger than the input the middle is
    taken, as both frameworks do with their images. Raises NothingThere and Unreadable.
    """
    if not path.is_file():
        raise NothingThere(f"The mean image {path} does not exist.")
    if path.suffix == ".npy":
        return _spread(_npy(path), path, shape)
    mean = read_blob_file(path) if path.suffix == ".binaryproto" else read_meta(path)[0]
    if mean is None:
        raise Unreadable(f"{path} holds no mean image (data_mean).")
    return _spread(_middle(_as_map(mean, path, shape), shape) * np.float32(scale), path, shape)


def _npy(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise Unreadable(f"{path} is no .npy file of numbers: {error}.") from error


def _as_map(mean: np.ndarray, path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """(row, column, channel) of values in the order channel, row, column; square where they do not say."""
    channels = shape[2]
    long = [size for size in mean.shape if size != 1]
    rows, columns = long[-2:] if len(long) >= 2 and math.prod(long[-2:]) * channels == mean.size else (0, 0)
    if not rows:
        rows = columns = math.isqrt(mean.size // channels)
    if rows * columns * channels != mean.size:
        raise Unreadable(f"{path} holds a mean of shape {mean.shape}, the network's input is {shape}.")
    return mean.reshape(channels, rows, columns).transpose(1, 2, 0).astype(np.float32)


def _middle(mean: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    top, left = ((have - want) // 2 for have, want in zip(mean.shape[:2], shape[:2], strict=True))
    if min(top, left) < 0:
        return mean
    return mean[top : top + shape[0], left : left + shape[1]]


def _spread(mean: np.ndarray, path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    try:
        if mean.dtype.kind not in "fiu":
            raise ValueError
        np.broadcast_to(mean, shape)
    except ValueError:
        raise Unreadable(
            f"{path} holds a mean of shape {mean.shape} and type {mean.dtype}, which does not fit the "
            f"network's input {shape} (row, column, channel)."
        ) from None
    return mean.astype(np.float32)
