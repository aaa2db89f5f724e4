from __future__ import annotations

from pathlib import Path

import pytest

from mloscope.adaptors import registry
from mloscope.adaptors.interface import NothingFits


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("cifar-10-python.tar.gz", "unpack the archive"),
        ("images.ZIP", "unpack the archive"),
        ("train_32x32.mat", "numpy.savez"),
        ("x_train.npy", "numpy.savez"),
        ("train.tfrecord", "export the pictures"),
        ("cat.png", "give the folder"),
        ("inside/a.mat", "numpy.savez"),
    ],
)
def test_what_can_be_done_about_another_format_is_said(tmp_path: Path, name: str, said: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(bytes(100))
    with pytest.raises(NothingFits, match=said):
        registry.open_corpus(path if path.parent == tmp_path else path.parent)


def test_where_nothing_can_be_said_nothing_is(tmp_path: Path) -> None:
    with pytest.raises(NothingFits) as refusal:
        registry.open_corpus(tmp_path)
    assert "not read as images" not in str(refusal.value)
