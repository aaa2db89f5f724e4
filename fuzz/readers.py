"""The readers, and the files that are damaged for each of them.

Files are real ones (``MLOSCOPE_REAL_DATA``, default ``../shared/real``), the smallest of each kind. Where no real file of
a kind is to be had, one is made out of the real content of another: Keras's ``.weights.h5`` is what a real ``.keras`` file
holds, a SavedModel wraps a real ``.meta`` graph, ``.npz`` and pictures hold real digits and CIFAR-10's pixels.
"""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import sys
import types
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image, features

from fuzz.containers import Bare, BundleIndex, Container, Gzip, Png, Records, ZipMember
from mloscope.adaptors.readers.cuda_convnet.files import read_meta, read_state

PICTURES = 60
_CIFAR10_IN_PICKLE = b"T\x00\xc0\xd4\x01"  # a string of Python 2 with 10,000 pictures' bytes


@dataclass(frozen=True)
class Seed:
    """A readable run or corpus, one file of which is damaged."""

    target: str
    """The file that is damaged."""
    files: Mapping[str, bytes]
    """All of them, the damaged one as it was."""
    opened: str = ""
    """What of them is opened; empty: their folder."""
    container: Container = field(default_factory=Bare)

    def __repr__(self) -> str:
        return f"{self.target} in {type(self.container).__name__}"


@dataclass(frozen=True)
class Reader:
    name: str
    kind: str
    """``run``, ``corpus``, or ``metrics``: what lies beside a run of any format."""
    format: str
    seeds: Callable[[Path], list[Seed]]
    """Of the folder of real files."""


def readers() -> list[Reader]:
    return [
        Reader("keras", "run", "keras", _keras),
        Reader("caffe", "run", "caffe", _caffe),
        Reader("cuda-convnet", "run", "cuda-convnet", _cuda_convnet),
        Reader("decaf", "run", "decaf", _decaf),
        Reader("tensorflow", "run", "tensorflow", _tensorflow),
        Reader("metric-files", "metrics", "metric-files", _metric_files),
        Reader("mnist-idx", "corpus", "mnist-idx", _mnist_idx),
        Reader("cifar10", "corpus", "cifar10", _cifar10),
        Reader("npz", "corpus", "npz", _npz),
        Reader("image-folder", "corpus", "image-folder", _image_folder),
    ]


def _keras(real: Path) -> list[Seed]:
    archive = (real / "keras/single/cifar10_cnn_a.keras").read_bytes()
    legacy = (real / "keras/resnet20_cifar10/cifar10_ResNet20v1_model.001.h5").read_bytes()
    with zipfile.ZipFile(io.BytesIO(archive)) as members:
        weights, config = members.read("model.weights.h5"), members.read("config.json")
    alone = {"epoch_1.weights.h5": weights}
    beside = {**alone, "model.json": config}
    notes = {
        "checkpoints.json": b'[{"file": "epoch_1.weights.h5", "step": 100, "epoch": 0.7}]',
        "mloscope_run.json": b'{"class_names": ["cat", "dog"], "preprocessing": {"scale": 0.00392, "mean": [0.5, 0.5, 0.5],'
        b' "channel_order": "rgb"}}',
    }
    packed = {"epoch_1.weights.h5": _packed(weights), "model.json": config}
    return [
        Seed("epoch_1.weights.h5", packed),
        Seed("epoch_1.keras", {"epoch_1.keras": archive}),
        Seed("epoch_1.keras", {"epoch_1.keras": archive}, container=ZipMember("config.json")),
        Seed("epoch_1.keras", {"epoch_1.keras": archive}, container=ZipMember("model.weights.h5")),
        Seed("epoch_1.weights.h5", alone),
        Seed("epoch_1.weights.h5", beside),
        Seed("model.json", beside),
        Seed("checkpoints.json", {**beside, **notes}),
        Seed("mloscope_run.json", {**beside, **notes}),
        Seed("model.001.h5", {"model.001.h5": legacy}, opened="model.001.h5"),
    ]


def _caffe(real: Path) -> list[Seed]:
    first = _folder(real / "caffe/cifar10_full", "cifar10_full_iter_10000.caffemodel", "cifar10_full.prototxt")
    second = _folder(real / "caffe/lenet_mnist_mixed", "lenet_iter_10000.caffemodel", "lenet.prototxt")
    hdf5 = _folder(real / "caffe/cifar10_quick_hdf5", "cifar10_quick_iter_5000.caffemodel.h5", "cifar10_quick.prototxt")
    mean, _ = read_meta(real / "cuda_convnet/cifar-10-batches.meta")
    assert mean is not None
    values = mean.astype("<f4").tobytes()
    sizes = b"\x08\x01\x10\x03\x18\x20\x20\x20"  # num, channels, height, width
    with_mean = {**first, "mean.binaryproto": sizes + b"\x2a\x80\x60" + values}
    return [
        *(Seed(name, first) for name in first),
        Seed("cifar10_full_iter_10000.caffemodel", dict(list(first.items())[:1])),
        *(Seed(name, second) for name in second),
        *(Seed(name, hdf5) for name in hdf5),
        Seed("mean.binaryproto", with_mean),
    ]


def _cuda_convnet(real: Path) -> list[Seed]:
    path = real / "cuda_convnet/no_dropout/ConvNet/150.2"
    meta = {"batches.meta": (real / "cuda_convnet/cifar-10-batches.meta").read_bytes()}
    content = path.read_bytes()
    own = Gzip() if content[:2] == b"\x1f\x8b" else ZipMember("data") if content[:2] == b"PK" else Bare()
    plain = own.payload(content)
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr(zipfile.ZipInfo("data"), plain)
    gzipped = gzip.compress(plain, 1, mtime=0)
    return [
        Seed("150.2", {"150.2": plain, **meta}),
        Seed("150.2", {"150.2": plain}, opened="150.2"),
        Seed("150.2", {"150.2": gzipped, **meta}),
        Seed("150.2", {"150.2": gzipped, **meta}, container=Gzip()),
        Seed("150.2", {"150.2": zipped.getvalue(), **meta}),
        Seed("150.2", {"150.2": zipped.getvalue(), **meta}, container=ZipMember("data")),
        Seed("batches.meta", {"150.2": plain, **meta}),
    ]


def _decaf(real: Path) -> list[Seed]:
    layers = list(read_state(real / "cuda_convnet/no_dropout/ConvNet/150.2").layers)
    inert = {"imagenet.decaf.epoch1": _pickled_plainly(layers)}
    saved = {"net.decafnet.epoch1": _saved_net(layers)}
    meta = {"net.decafnet.epoch1.meta": (real / "cuda_convnet/cifar-10-batches.meta").read_bytes()}
    return [
        Seed("imagenet.decaf.epoch1", inert),
        Seed("net.decafnet.epoch1", saved),
        Seed("net.decafnet.epoch1", {**saved, **meta}, opened="net.decafnet.epoch1"),
        Seed("net.decafnet.epoch1.meta", {**saved, **meta}),
    ]


def _tensorflow(real: Path) -> list[Seed]:
    objects = _folder(
        real / "tensorflow/mnist_cnn_tf2",
        "cp-0001.ckpt.index",
        "cp-0001.ckpt.data-00000-of-00001",
        "checkpoint",
    )
    names = _folder(
        real / "tensorflow/pnet_tf1", "PNet-2.index", "PNet-2.data-00000-of-00001", "PNet-2.meta", "checkpoint"
    )
    graph = names["PNet-2.meta"]
    saved = {
        "saved_model.pb": b"\x08\x01\x12" + _length(len(graph)) + graph,
        "variables/variables.index": objects["cp-0001.ckpt.index"],
        "variables/variables.data-00000-of-00001": objects["cp-0001.ckpt.data-00000-of-00001"],
        "keras_metadata.pb": _keras_metadata(),
    }
    configured = {name: content for name, content in objects.items() if name != "checkpoint"}
    configured["model.json"] = json.dumps({"class_name": "Sequential", "config": _digits_network()}).encode()
    return [
        Seed("cp-0001.ckpt.index", objects),
        Seed("cp-0001.ckpt.index", objects, container=BundleIndex()),
        Seed("cp-0001.ckpt.data-00000-of-00001", objects),
        Seed("checkpoint", objects),
        Seed("PNet-2.index", names, container=BundleIndex()),
        Seed("PNet-2.meta", names),
        Seed("PNet-2.data-00000-of-00001", names, opened="PNet-2.index"),
        Seed("saved_model.pb", saved),
        Seed("keras_metadata.pb", saved),
        Seed("variables/variables.index", saved, container=BundleIndex()),
        Seed("model.json", configured),
    ]


def _metric_files(real: Path) -> list[Seed]:
    accuracies = (0.6854, 0.7491, 0.769, 0.7765, 0.7828, 0.7889, 0.7942, 0.8178, 0.8211)  # real ones, of ORIGIN.md
    lines = [f"{epoch},{value},{1 - value:.4f},1e-3\n" for epoch, value in enumerate(accuracies)]
    table = {"training.csv": ("epoch,accuracy,val_loss,learning_rate\n" + "".join(lines)).encode()}
    events = b"".join(
        _record(b"\x09" + bytes(8) + bytes((0x10, step)) + _field(5, _summary(value, as_tensor)))
        for as_tensor in (False, True)
        for step, value in enumerate(accuracies)
    )
    board = {"logs/train/events.out.tfevents.1700000000.host": Records().sealed(events, b"")}
    return [
        *(Seed(name, table) for name in table),
        *(Seed(name, board) for name in board),
        *(Seed(name, board, container=Records()) for name in board),
    ]


def _mnist_idx(real: Path) -> list[Seed]:
    folder = real / "mnist_idx"
    whole = _folder(folder, "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")
    images, labels = (gzip.decompress(content) for content in whole.values())
    few = {
        "t10k-images-idx3-ubyte": images[:4] + struct.pack(">I", PICTURES) + images[8 : 16 + 784 * PICTURES],
        "t10k-labels-idx1-ubyte": labels[:4] + struct.pack(">I", PICTURES) + labels[8 : 8 + PICTURES],
    }
    packed = {f"{name}.gz": gzip.compress(content, 1, mtime=0) for name, content in few.items()}
    return [
        *(Seed(name, few) for name in few),
        *(Seed(name, packed, container=Gzip()) for name in packed),
        *(Seed(name, packed) for name in packed),
        *(Seed(name, whole) for name in whole),
    ]


def _cifar10(real: Path) -> list[Seed]:
    pixels = _cifar10_pixels(real)
    labels = [number % 10 for number in range(PICTURES)]
    names = b"airplane automobile bird cat deer dog frog horse ship truck".split()
    records = np.hstack([np.array(labels, np.uint8)[:, np.newaxis], pixels]).tobytes()
    binary = {"data_batch_1.bin": records, "test_batch.bin": records, "batches.meta.txt": b"\n".join(names) + b"\n"}
    batch = {
        b"data": pixels,
        b"labels": labels,
        b"filenames": [b"picture_%d.png" % number for number in range(PICTURES)],
    }
    python = {
        "data_batch_1": pickle.dumps({key.decode(): value for key, value in batch.items()}, 4),
        "test_batch": pickle.dumps(batch, 2),
        "batches.meta": pickle.dumps({"label_names": [name.decode() for name in names]}, 2),
    }
    truncated = (real / "broken/cifar10_test_batch_truncated").read_bytes()
    return [
        *(Seed(name, binary) for name in binary),
        *(Seed(name, python) for name in python),
        *(Seed(name, python) for name in python),
        Seed("test_batch", {"test_batch": truncated}),
    ]


def _npz(real: Path) -> list[Seed]:
    images = gzip.decompress((real / "mnist_idx/t10k-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((real / "mnist_idx/t10k-labels-idx1-ubyte.gz").read_bytes())
    digits = np.frombuffer(images[16 : 16 + 784 * PICTURES], np.uint8).reshape(-1, 28, 28)
    numbers = np.frombuffer(labels[8 : 8 + PICTURES], np.uint8)
    plain, packed = io.BytesIO(), io.BytesIO()
    words = np.array([f"digit {number}" for number in range(10)])
    np.savez(plain, x_train=digits, y_train=numbers, x_test=digits[:9] / 255, y_test=np.eye(10)[numbers[:9]])
    np.savez_compressed(packed, images=digits[..., np.newaxis], labels=words[numbers], class_names=words)
    first, second = {"mnist.npz": plain.getvalue()}, {"mnist.npz": packed.getvalue()}
    inside = [(first, "x_train"), (first, "y_test"), (second, "images"), (second, "labels"), (second, "class_names")]
    return [
        *(Seed("mnist.npz", files, "mnist.npz") for files in (first, second)),
        *(Seed("mnist.npz", files, "mnist.npz", ZipMember(f"{name}.npy")) for files, name in inside),
    ]


def _image_folder(real: Path) -> list[Seed]:
    pixels = _cifar10_pixels(real).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    large = Image.fromarray(np.hstack(pixels[:4]))
    written = {
        "cat/1.png": _picture(large, "PNG"),
        "cat/2.png": _picture(large.quantize(16), "PNG"),
        "cat/3.png": _picture(Image.fromarray(pixels[0, ..., 0].astype(np.uint16) * 257), "PNG"),
        "cat/4.png": _picture(large.convert("RGBA"), "PNG"),
        "dog/1.jpg": _picture(large, "JPEG"),
        "dog/2.jpg": _picture(large, "JPEG", progressive=True),
        "dog/3.jpg": _picture(large.convert("CMYK"), "JPEG"),
        "fox/1.webp": _picture(large, "WEBP"),
        "fox/2.webp": _picture(large, "WEBP", lossless=True),
        "fox/1.bmp": _picture(large, "BMP"),
        "fox/2.bmp": _picture(large.quantize(16), "BMP"),
        "fox/1.gif": _picture(large.quantize(16), "GIF", save_all=True, append_images=[large.rotate(180).quantize(16)]),
        "fox/1.tif": _picture(large, "TIFF"),
        "fox/2.tif": _picture(large, "TIFF", compression="tiff_lzw"),
        "fox/3.tif": _picture(large, "TIFF", compression="jpeg"),
        "fox/1.ppm": _picture(large, "PPM"),
        **({"fox/1.avif": _picture(large, "AVIF")} if features.check("avif") else {}),
    }
    return [
        *(Seed(name, {name: content}) for name, content in written.items()),
        *(Seed(name, {name: content}, container=Png()) for name, content in written.items() if name.endswith(".png")),
    ]


# ------------------------------------------------------------------------------------------------ made of real content


def _folder(folder: Path, *names: str) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in names}


def _cifar10_pixels(real: Path) -> np.ndarray:
    """Return uint8 (image, 3072) from a batch of which half can be read."""
    content = (real / "broken/cifar10_test_batch_truncated").read_bytes()
    start = content.index(_CIFAR10_IN_PICKLE) + len(_CIFAR10_IN_PICKLE)
    return np.frombuffer(content[start : start + PICTURES * 3072], np.uint8).reshape(PICTURES, 3072)


def _picture(image: Image.Image, format: str, **how: Any) -> bytes:
    made = io.BytesIO()
    image.save(made, format, **how)
    return made.getvalue()


def _packed(content: bytes) -> bytes:
    """Rewrite the HDF5 file as ``h5repack`` does: chunked, shuffled, compressed, with checksums."""
    made = io.BytesIO()
    with h5py.File(io.BytesIO(content), "r") as file, h5py.File(made, "w") as packed:

        def pack(name: str, item: Any) -> None:
            if not isinstance(item, h5py.Dataset):
                packed.require_group(name)
            elif item.shape:
                packed.create_dataset(name, data=item[()], compression=1, shuffle=True, fletcher32=True)
            else:
                packed.create_dataset(name, data=item[()])
            packed[name].attrs.update(item.attrs)

        file.visititems(pack)
    return made.getvalue()


def _pickled_plainly(layers: list[Any]) -> bytes:
    """Return the layers without stand-ins for custom classes."""

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return np.array(value)
        if isinstance(value, Mapping):
            return {str(key): plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(plain(item) for item in value)
        return value if isinstance(value, int | float | str | bytes | None) else None

    return pickle.dumps(plain(layers), 3)  # as compact as Python 2's strings, which Python 3 cannot write


class _OfDecaf:
    def __init__(self, state: Any) -> None:
        self._state = state

    def __getstate__(self) -> Any:
        return self._state


def _saved_net(layers: list[Any]) -> bytes:
    """Write what decaf's ``Net.save`` writes, with the real first kernels of a cuda-convnet network."""
    first = next(layer for layer in layers if layer.get("type") == "conv")
    kernels = np.array(first["weights"][0], np.float32)
    units = kernels.shape[1]
    size = round((len(kernels) / 3) ** 0.5)
    modules: dict[str, tuple[str, ...]] = {
        "decaf": (),
        "decaf._blob": ("Blob",),
        "decaf.layers": (),
        "decaf.layers.convolution": ("ConvolutionLayer",),
        "decaf.layers.relu": ("ReLULayer",),
        "decaf.layers.pooling": ("PoolingLayer",),
        "decaf.layers.normalize": ("LocalResponseNormalizeLayer",),
        "decaf.layers.flatten": ("FlattenLayer",),
    }
    before = dict(sys.modules)
    made: dict[str, Callable[[Any], Any]] = {}
    try:
        for path, names in modules.items():
            module = sys.modules[path] = types.ModuleType(path)
            for name in names:
                made[name] = type(name, (_OfDecaf,), {"__module__": path, "__qualname__": name})
                setattr(module, name, made[name])

        def layer(kind: str, name: str, **more: Any) -> Any:
            return made[kind]({"spec": {"name": name}, "name": name, "freeze": False, "_param": [], **more})

        convolution = layer(
            "ConvolutionLayer", "conv1", _kernels=made["Blob"]((kernels, None)), _num_kernels=units, _ksize=size, _stride=1,
            _pad_size=size // 2, _has_bias=True, _mode="same", _bias=made["Blob"]((np.zeros(units, np.float32), None)),
        )  # fmt: skip
        net = {
            "conv1": (convolution, ["data"], ["conv1_out"]),
            "relu1": (layer("ReLULayer", "relu1"), ["conv1_out"], ["relu1_out"]),
            "pool1": (layer("PoolingLayer", "pool1", _psize=3, _stride=2, _mode="max"), ["relu1_out"], ["pool1_out"]),
            "norm1": (
                layer("LocalResponseNormalizeLayer", "norm1", _k=1.5, _alpha=0.4, _beta=0.75, _size=3),
                ["pool1_out"],
                ["norm1_out"],
            ),
            "flat": (layer("FlattenLayer", "flat"), ["norm1_out"], ["flat_out"]),
        }
        return pickle.dumps(["net", net], 3)
    finally:
        for path in set(sys.modules) - set(before):
            if path.startswith("decaf"):
                del sys.modules[path]


def _digits_network() -> dict[str, Any]:
    """Return the network of ``mnist_cnn_tf2`` as a Keras configuration."""

    def layer(kind: str, **config: Any) -> dict[str, Any]:
        return {"class_name": kind, "config": config}

    convolution = {"kernel_size": [3, 3], "activation": "relu", "padding": "valid", "strides": [1, 1]}
    pooling = {"pool_size": [2, 2], "strides": [2, 2], "padding": "valid"}
    return {
        "name": "sequential",
        "layers": [
            layer("InputLayer", name="image", batch_shape=[None, 28, 28, 1]),
            layer("Conv2D", name="conv2d", filters=32, **convolution),
            layer("MaxPooling2D", name="max_pooling2d", **pooling),
            layer("Conv2D", name="conv2d_1", filters=64, **convolution),
            layer("MaxPooling2D", name="max_pooling2d_1", **pooling),
            layer("Conv2D", name="conv2d_2", filters=64, **convolution),
            layer("Flatten", name="flatten"),
            layer("Dropout", name="dropout", rate=0.5),
            layer("Dense", name="dense", units=10, activation="softmax"),
        ],
    }


def _keras_metadata() -> bytes:
    """Return ``SavedMetadata`` with one node, the root, that has the network's configuration."""
    metadata = json.dumps({"class_name": "Sequential", "config": _digits_network()}).encode()
    node = b"\x1a\x04root" + b"\x2a" + _length(len(metadata)) + metadata
    return b"\x0a" + _length(len(node)) + node


def _summary(value: float, as_tensor: bool) -> bytes:
    """Return a ``Summary`` of one number, as TensorFlow 1 or 2 writes it."""
    number = struct.pack("<f", value)
    if as_tensor:
        plugin = _field(9, _field(1, _field(1, b"scalars")))
        return _field(
            1, _field(1, b"epoch_accuracy") + plugin + _field(8, b"\x08\x01" + _field(2, b"") + _field(4, number))
        )
    return _field(1, _field(1, b"accuracy") + b"\x15" + number)


def _record(content: bytes) -> bytes:
    """Return a record without its checksums."""
    return len(content).to_bytes(8, "little") + bytes(4) + content + bytes(4)


def _field(number: int, content: bytes) -> bytes:
    return bytes((number << 3 | 2,)) + _length(len(content)) + content


def _length(number: int) -> bytes:
    coded = bytearray()
    while number > 0x7F:
        coded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*coded, number))
