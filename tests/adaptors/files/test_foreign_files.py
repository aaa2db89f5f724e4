"""Files that no adaptor reads are called what they are, and what can be done is said."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import pytest

from mloscope.adaptors import registry
from mloscope.adaptors.files.foreign_files import counted, kind_of
from mloscope.adaptors.interface import NothingFits


def zipped() -> bytes:
    """As ``torch.save`` begins."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    return packed.getvalue()


def write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("resnet.pth", zipped(), "PyTorch file"),
        ("best.pt", b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", "PyTorch file"),
        ("model_best.pth.tar", zipped(), "PyTorch file"),
        ("pytorch_model.bin", zipped(), "PyTorch file"),
        ("epoch=3-step=100.ckpt", zipped(), "PyTorch Lightning checkpoint"),
        (
            "model.ckpt",
            b"table" * 10 + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb",
            "TensorFlow checkpoint of the first format",
        ),
        ("weights.safetensors", b"\x08\0\0\0\0\0\0\0{}", "safetensors file"),
        ("net.onnx", b"\x08\x07", "ONNX network"),
        ("net.tflite", b"\x1c\0\0\0TFL3", "TensorFlow Lite network"),
        ("history.pkl", pickle.dumps({}), "pickle"),
        ("weights.bin", pickle.dumps({}), "pickle"),
        ("svm.joblib", pickle.dumps({}), "joblib file"),
    ],
)
def test_a_file_is_named_and_its_owner_told_what_to_do(tmp_path: Path, name: str, content: bytes, kind: str) -> None:
    path = write(tmp_path, name, content)
    found = kind_of(path)
    assert found is not None
    assert found.name == kind
    with pytest.raises(NothingFits) as refusal:
        registry.open_run(path)
    assert f"It is a {kind} of {len(content):,} bytes. {found.instead}" in str(refusal.value)
    assert "x80" not in str(refusal.value)


def test_a_folder_of_them_is_counted_by_kind(tmp_path: Path) -> None:
    for step in range(7):
        write(tmp_path, f"epoch_{step}.pth", zipped())
    for step in range(2):
        write(tmp_path, f"last-v{step}.ckpt", zipped())
    write(tmp_path, "log.csv", b"1,2")
    assert counted(sorted(tmp_path.iterdir()))[0] == [
        "7 PyTorch files (.pth)", "2 PyTorch Lightning checkpoints (.ckpt)", "1 .csv"
    ]  # fmt: skip
    with pytest.raises(NothingFits, match=r"It holds 7 PyTorch files \(\.pth\), 2 PyTorch Lightning") as refusal:
        registry.open_run(tmp_path)
    assert "Rebuild the network in Keras" in str(refusal.value)


def test_what_is_not_known_is_not_guessed(tmp_path: Path) -> None:
    assert kind_of(write(tmp_path, "notes.txt", b"hello")) is None
    assert kind_of(write(tmp_path, "data.bin", b"\0" * 40)) is None
    assert kind_of(tmp_path / "absent.ckpt") is None
