"""Mean images as Caffe (``.binaryproto``), cuda-convnet and decaf (``.meta``) keep them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from mloscope.adaptors.interface import NothingThere, Unreadable
from mloscope.adaptors.readers.caffe.protobuf import read_blob_file
from mloscope.adaptors.readers.cuda_convnet.files import read_meta


def is_mean_image(path: Path) -> bool:
    """Whether the file is named as one of these."""
    return path.suffix in (".binaryproto", ".meta")


def read_mean_image(path: Path, shape: tuple[int, int, int], scale: float = 1.0) -> np.ndarray:
    """float32 in the shape of the network's input, (row, column, channel), and in its units: the files are in
    those of pixels, 0..255, and are scaled. Of a mean larger than the input the middle is taken, as both
    frameworks do with their images. Raises NothingThere and Unreadable.
    """
    if not path.is_file():
        raise NothingThere(f"The mean image {path} does not exist.")
    mean = read_blob_file(path) if path.suffix == ".binaryproto" else read_meta(path)[0]
    if mean is None:
        raise Unreadable(f"{path} holds no mean image (data_mean).")
    top, left, found = 0, 0, _as_map(mean, shape[2])
    if found is not None:
        top, left = ((have - want) // 2 for have, want in zip(found.shape, shape[:2], strict=False))
    if found is None or min(top, left) < 0:
        raise Unreadable(
            f"{path} holds a mean of shape {mean.shape} (channel, row, column), which does not fit the "
            f"network's input {shape} (row, column, channel)."
        )
    with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinity stay what they are
        return found[top : top + shape[0], left : left + shape[1]] * np.float32(scale)


def _as_map(mean: np.ndarray, channels: int) -> np.ndarray | None:
    """(row, column, channel) of values in the order channel, row, column; square where they do not say."""
    rows, columns = mean.shape[-2:] if mean.ndim >= 3 else (0, 0)
    if rows * columns * channels != mean.size:
        rows = columns = math.isqrt(mean.size // channels)
    if not mean.size or rows * columns * channels != mean.size:
        return None
    return mean.reshape(channels, rows, columns).transpose(1, 2, 0).astype(np.float32)
