"""Devices, pipes, sockets and files of holes, under every name that a reader looks for: each is refused or left alone, in a
moment and in little memory."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from target_server import write_run

from mloscope.adaptors.files.crc32c import masked_crc32c

pytestmark = pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs /dev/zero, pipes and SEEK_HOLE")

TERABYTE = 1 << 40


def _socket(path: Path) -> None:
    folder = os.getcwd()
    os.chdir(path.parent)  # the name of a socket may not be long
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
    finally:
        os.chdir(folder)


def _holes(path: Path, head: bytes = b"") -> None:
    with open(path, "wb") as file:
        file.write(head)
        file.truncate(TERABYTE)


HAZARDS: dict[str, Callable[[Path], Any]] = {
    "device": lambda path: path.symlink_to("/dev/zero"),
    "pipe": os.mkfifo,
    "socket": _socket,
    "holes": _holes,
}
HEADS = {
    ".npy": b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 200), }".ljust(117) + b"\n",
    ".5": b"\x80\x02", ".decaf": b"\x80\x02]q\x01decaf.", ".meta": b"\x80\x02", "batches.meta": b"\x80\x02",
    "data_batch_1": b"\x80\x02", ".h5": b"\x89HDF\r\n\x1a\n", ".keras": b"PK\x03\x04", ".npz": b"PK\x03\x04",
    "-ubyte": b"\x00\x00\x08\x01\xff\xff\xff\xff", "-ubyte.gz": b"\x1f\x8b", ".png": b"\x89PNG\r\n\x1a\n", ".json": b"[",
    ".csv": b"step,loss\n", ".jsonl": b"[",
}  # fmt: skip
"""What some of the files of holes begin with, so that they are taken for what they are called."""

NAMES = {
    "keras": (
        "checkpoints.json", "mloscope_run.json", "mean.npy", "log.csv", "training_log.csv", "events.out.tfevents.1.host",
        "model.json", "architecture.json", "config.json", "metadata.json", "a.keras", "a_30.keras", "step_0030.weights.h5", "a_30.h5",
    ),
    "tensorflow": (
        "checkpoint", "model-30.index", "model-30.meta", "model-30.data-00000-of-00001", "model-10.data-00000-of-00001",
        "model-10.meta", "saved_model.pb", "keras_metadata.pb", "fingerprint.pb",
    ),
    "caffe": (
        "deploy.prototxt", "train_val.prototxt", "solver.prototxt", "net_iter_30.caffemodel", "net_iter_30.caffemodel.h5",
        "mean.binaryproto", "net_iter_30.solverstate",
    ),
    "nothing": (
        "1.5", "batches.meta", "net.decaf", "net.meta", "net_10.decafnet",
        "train-images-idx3-ubyte", "train-labels-idx1-ubyte", "train-images-idx3-ubyte.gz", "t10k-images.idx3-ubyte",
        "data_batch_1", "data_batch_1.bin", "test_batch.bin", "batches.meta.txt", "images.npz", "x_train.npy", "picture.png",
        "picture.jpg", "classes.txt", "labels.csv",
        "hierarchy.json", "hierarchy.txt", "wordnet.is_a.txt", "words.txt", "mloscope.toml", "predictions.csv",
        "predictions.parquet", "dynamics_epoch_1.jsonl", "demo.json",
    ),
}  # fmt: skip
"""By the kind of folder in which somebody looks for them."""


def _caffe(folder: Path) -> None:
    folder.mkdir()
    (folder / "deploy.prototxt").write_text(
        'input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8\n'
        'layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 2 } }\n'
    )
    with h5py.File(folder / "net_iter_10.caffemodel.h5", "w") as file:
        file["data/fc/0"], file["data/fc/1"] = np.ones((2, 192), "f4"), np.zeros(2, "f4")


def _varint(value: int) -> bytes:
    low = bytes([value & 127 | (128 if value > 127 else 0)])
    return low + _varint(value >> 7) if value > 127 else low


def _tensorflow(folder: Path) -> None:
    """A bundle of one tensor, in the form of a sorted table."""
    folder.mkdir()
    values = np.arange(4, dtype="<f4").tobytes()
    head = b"\x08\x01\x1a\x02\x08\x01"
    shape = b"\x12\x04\x12\x02\x08\x04"
    entry = b"\x08\x01" + shape + b"\x28" + _varint(len(values)) + b"\x35" + masked_crc32c(values).to_bytes(4, "little")

    def block(items: list[tuple[bytes, bytes]]) -> bytes:
        rows = b"".join(b"\0" + _varint(len(key)) + _varint(len(value)) + key + value for key, value in items)
        content = rows + bytes(4) + (1).to_bytes(4, "little")
        return content + b"\0" + masked_crc32c(content + b"\0").to_bytes(4, "little")

    data = block([(b"", head), (b"dense/kernel", entry)])
    place = _varint(0) + _varint(len(data) - 5)
    middle = block([])
    index = block([(b"dense/kernel", place)])
    table = data + middle + index
    handles = _varint(len(data)) + _varint(len(middle) - 5) + _varint(len(data) + len(middle)) + _varint(len(index) - 5)
    magic = 0xDB4775248B80FB57.to_bytes(8, "little")
    (folder / "model-10.index").write_bytes(table + handles.ljust(40, b"\0") + magic)
    (folder / "model-10.data-00000-of-00001").write_bytes(values)


def _keras(folder: Path) -> None:
    write_run(folder, 1)
    (folder / "mloscope_run.json").write_text(json.dumps({"preprocessing": {"mean": "mean.npy"}}))


HOSTS: dict[str, Callable[[Path], None]] = {
    "nothing": lambda folder: folder.mkdir(), "keras": _keras, "caffe": _caffe, "tensorflow": _tensorflow,
}  # fmt: skip


def cases(root: Path, hazard: str) -> Iterator[tuple[str, Path]]:
    """Each name in a folder of its kind, alone in a folder, and by itself; and all of them in one folder of each kind."""
    every = [name for names in NAMES.values() for name in names]

    def put(name: str, folder: Path) -> None:
        head = next((HEADS[end] for end in sorted(HEADS, key=len, reverse=True) if name.endswith(end)), b"")
        (folder / name).unlink(missing_ok=True)
        HAZARDS[hazard](folder / name) if hazard != "holes" else _holes(folder / name, head)

    for host, write in HOSTS.items():
        for name in NAMES[host]:
            write(root / f"{host} {name}")
            put(name, root / f"{host} {name}")
            yield f"{hazard}: {name} in {host}", root / f"{host} {name}"
        write(root / host)
        for name in every:
            put(name, root / host)
        yield f"{hazard}: all in {host}", root / host
    for name in every:
        alone = root / f"alone {name}"
        alone.mkdir()
        put(name, alone)
        yield f"{hazard}: {name} alone", alone
        yield f"{hazard}: {name} itself", alone / name


@pytest.fixture(scope="module")
def reports_of_all(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What one process says of every case."""
    known = [case for hazard in HAZARDS for case in cases(tmp_path_factory.mktemp(hazard), hazard)]
    process = subprocess.run(
        [sys.executable, Path(__file__).with_name("looking_at_everything.py")],
        input=json.dumps([(name, str(path)) for name, path in known]), capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    reports = [json.loads(line) for line in process.stdout.splitlines()]
    assert len(reports) == len(known), f"ended at {known[len(reports)][0]}: {process.stderr[-1000:]}"
    return reports


@pytest.mark.timeout(300)
@pytest.mark.parametrize("hazard", HAZARDS)
def test_no_reader_waits_for_it_or_reads_it_whole(reports_of_all: list[dict[str, Any]], hazard: str) -> None:
    reports = [each for each in reports_of_all if each["name"].startswith(f"{hazard}: ")]
    assert reports
    assert [(each["name"], each["fault"]) for each in reports if each["fault"]] == []
    assert [(each["name"], each["grown_mib"]) for each in reports if each["grown_mib"] > 200] == []
    silent = [
        each["name"] for each in reports
        if each["name"].partition(" in ")[2] == "keras" and any(n in each["name"] for n in ("mean.npy", "checkpoints.json", "mloscope_run"))
        and not any("regular" in sentence or "holes" in sentence or "bytes" in sentence for sentence in each["said"])
    ]  # fmt: skip
    assert silent == [], "what was left out is told"
