"""Identify files that no adaptor reads, and say what to do with them instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mloscope.adaptors.files.regular_files import open_regular

_REBUILD = (
    "Rebuild the network in Keras and save its weights once per checkpoint, or write an adaptor for them: "
    "docs/adding_an_adaptor.md has one for an .npz of arrays per checkpoint."
)
_ONE_MOMENT = (
    "They hold a network as it is used, without its training; give the checkpoints that it was exported from, or write an "
    "adaptor (docs/adding_an_adaptor.md)."
)
_HEAD_BYTES = 16
_TENSORFLOW_TABLE = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"


@dataclass(frozen=True)
class Kind:
    """A kind of file; ``instead`` says what its owner can do."""

    name: str
    instead: str


_PYTORCH = Kind(
    "PyTorch file",
    f"PyTorch's files are pickles of its own objects, which are not read: reading may run code. {_REBUILD}",
)
_LIGHTNING = Kind("PyTorch Lightning checkpoint", _PYTORCH.instead)
_PICKLE = Kind("pickle", f"Pickles are not read, for reading one may run code from it. {_REBUILD}")
_JOBLIB = Kind("joblib file", f"Files of joblib are pickles, which are not read: reading may run code. {_REBUILD}")
_SAFETENSORS = Kind("safetensors file", f"They hold arrays without a network, and no adaptor reads them. {_REBUILD}")
_FIRST_FORMAT = Kind(
    "TensorFlow checkpoint of the first format",
    "TensorFlow replaced that format in 2016; restore them with tf.train.Saver and save them again (write_version=V2).",
)
_FROZEN = Kind("TensorFlow graph", f"A graph alone is not a checkpoint. {_ONE_MOMENT}")
_KINDS: dict[str, Kind] = {
    **dict.fromkeys((".pth", ".pt", ".pth.tar"), _PYTORCH),
    **dict.fromkeys((".pkl", ".pickle", ".p"), _PICKLE),
    ".joblib": _JOBLIB,
    ".safetensors": _SAFETENSORS,
    ".onnx": Kind("ONNX network", _ONE_MOMENT),
    ".tflite": Kind("TensorFlow Lite network", _ONE_MOMENT),
    ".mlmodel": Kind("Core ML network", _ONE_MOMENT),
    ".pb": _FROZEN,
    ".engine": Kind("TensorRT network", _ONE_MOMENT),
    **dict.fromkeys((".pdparams", ".pdopt"), Kind("PaddlePaddle file", _REBUILD)),
    ".params": Kind("MXNet file", _REBUILD),
    ".msgpack": Kind("Flax file", _REBUILD),
    ".t7": Kind("Torch 7 file", _REBUILD),
    ".gguf": Kind("GGUF file of a language model", "ML-o-scope looks at networks that take images."),
}


def kind_of(path: Path, look: bool = True) -> Kind | None:
    """Return the kind of the file, by its name and, if the name is ambiguous, its first bytes; None if unknown.

    ``look``: whether the file is opened."""
    suffix = ".pth.tar" if path.name.lower().endswith(".pth.tar") else path.suffix.lower()
    if suffix in (".ckpt", ".bin", ".model", ""):
        return _by_content(path, suffix) if look else None
    return _KINDS.get(suffix)


def _by_content(path: Path, suffix: str) -> Kind | None:
    try:
        with open_regular(path) as file:
            head = file.read(_HEAD_BYTES)
            file.seek(0, 2)
            file.seek(max(0, file.tell() - len(_TENSORFLOW_TABLE)))
            tail = file.read()
    except OSError:
        return None
    if tail == _TENSORFLOW_TABLE:
        return _FIRST_FORMAT
    if head[:2] == b"PK" or head[:4] == b"\x80\x02\x8a\x0a":  # a ZIP of a pickle and arrays; PyTorch's first format
        return _LIGHTNING if suffix == ".ckpt" else _PYTORCH if suffix == ".bin" else None
    if head[4:8] == b"TFL3":
        return _KINDS[".tflite"]
    return _PICKLE if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05" else None


def counted(paths: Iterable[Path], most: int = 8) -> tuple[list[str], list[Kind]]:
    """Count the files of each kind, commonest first, such as ``7 PyTorch files (.pth)`` or ``2 .csv``; also return the
    kinds. If an extension is ambiguous, one file with it is opened."""
    by_suffix: Counter[str] = Counter()
    examples: dict[str, Path] = {}
    for path in paths:
        suffix = path.suffix.lower()
        by_suffix[suffix] += 1
        examples.setdefault(suffix, path)
    words, kinds = [], []
    for suffix, number in by_suffix.most_common(most):
        kind = kind_of(examples[suffix])
        if kind is not None:
            kinds.append(kind)
            plural = "" if number == 1 else "s"
            of = kind.name.partition(" of ")
            named = f"{of[0]}{plural}{of[1]}{of[2]}"
            words.append(f"{number} {named} ({suffix})" if suffix else f"{number} {named}")
        else:
            words.append(f"{number} {suffix or 'no extension'}")
    rest = sum(by_suffix.values()) - sum(number for _, number in by_suffix.most_common(most))
    return [*words, *([f"{rest} others"] if rest else [])], list(dict.fromkeys(kinds))
