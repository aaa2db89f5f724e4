"""Mean images of Caffe and cuda-convnet, brought to the network's input."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from mloscope.adaptors.interface import NothingThere, Unreadable
from mloscope.adaptors.readers.mean_image import is_mean_image, read_mean_image

MEAN = np.arange(3 * 8 * 6, dtype=np.float32).reshape(3, 8, 6)


def binaryproto(path: Path, mean: np.ndarray) -> Path:
    """One array with the four sizes of Caffe's first encoding, each below 128."""
    data = mean.astype("<f4").tobytes()
    length = bytes([len(data) & 127 | 128, len(data) >> 7])
    sizes = b"".join(bytes([(place + 1) << 3, size]) for place, size in enumerate((1, *mean.shape)))
    path.write_bytes(sizes + b"\x2a" + length + data)
    return path


def test_caffes_mean_is_turned_scaled_and_cropped(tmp_path: Path) -> None:
    path = binaryproto(tmp_path / "mean.binaryproto", MEAN)
    turned = MEAN.transpose(1, 2, 0)
    assert np.array_equal(read_mean_image(path, (8, 6, 3)), turned)
    assert np.array_equal(read_mean_image(path, (8, 6, 3), 0.5), turned * 0.5)
    assert np.array_equal(read_mean_image(path, (4, 5, 3)), turned[2:6, 0:5])


def test_cuda_convnets_mean_is_square(tmp_path: Path) -> None:
    mean = np.arange(3 * 6 * 6, dtype=np.float64).reshape(3, 6, 6)
    path = tmp_path / "cifar-10-batches.meta"
    path.write_bytes(pickle.dumps({"data_mean": mean.reshape(-1, 1)}, protocol=2))
    found = read_mean_image(path, (6, 6, 3))
    assert found.dtype == np.float32
    assert np.array_equal(found, mean.transpose(1, 2, 0))


def test_what_does_not_fit_is_said(tmp_path: Path) -> None:
    path = binaryproto(tmp_path / "mean.binaryproto", MEAN)
    for shape in ((9, 6, 3), (8, 6, 5), (13, 6, 1)):
        with pytest.raises(Unreadable, match=r"mean\.binaryproto.*does not fit"):
            read_mean_image(path, shape)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(Unreadable, match="cut off"):
        read_mean_image(path, (8, 6, 3))
    with pytest.raises(NothingThere):
        read_mean_image(tmp_path / "absent.binaryproto", (8, 6, 3))
    (tmp_path / "batches.meta").write_bytes(pickle.dumps({"label_names": []}, protocol=2))
    with pytest.raises(Unreadable, match="data_mean"):
        read_mean_image(tmp_path / "batches.meta", (8, 6, 3))


def test_names() -> None:
    assert is_mean_image(Path("x/mean.binaryproto"))
    assert is_mean_image(Path("x/batches.meta"))
    assert not is_mean_image(Path("x/mean.npy"))
