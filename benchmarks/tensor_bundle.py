"""One kernel from a ResNet-50-sized TensorFlow checkpoint: our reader, TensorFlow's, and the raw bytes.

    python benchmarks/tensor_bundle.py [--json FILE]

The checkpoint is made with Keras in a temporary folder. TensorFlow's figure is that of a fresh process, with
its import, as somebody has it who looks at one kernel; ours too, and once more in a process that has parsed
the index.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from figures import Figure, report

from mloscope.adaptors.models import tensor_bundle
from mloscope.adaptors.models.tensor_bundle import open_bundle

KERNEL_SHAPE = (3, 3, 512, 512)
_MAKE = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, tensorflow as tf
tf.train.Checkpoint(keras.applications.ResNet50(weights=None)).write(sys.argv[1])
"""
_THEIRS = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import time; started = time.perf_counter()
import tensorflow as tf
tf.train.load_checkpoint(sys.argv[1]).get_tensor(sys.argv[2])
print(time.perf_counter() - started)
"""
_OURS = """
import sys, time; started = time.perf_counter()
from pathlib import Path
from mloscope.adaptors.models.tensor_bundle import open_bundle
open_bundle(Path(sys.argv[1])).read(sys.argv[2])
print(time.perf_counter() - started)
"""


def in_a_process(code: str, *arguments: str) -> float:
    answer = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return float(answer.stdout.split()[-1])


def quickest(work: Callable[[], object], times: int = 30) -> float:
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def measure(prefix: Path) -> list[Figure]:
    bundle = open_bundle(prefix)
    key, entry = next((key, each) for key, each in bundle.entries.items() if each.shape == KERNEL_SHAPE)
    theirs = min(in_a_process(_THEIRS, str(prefix), key) for _ in range(3))
    fresh = min(in_a_process(_OURS, str(prefix), key) for _ in range(3))

    def raw() -> bytes:
        with open(bundle.data_files()[entry.shard], "rb", buffering=0) as file:
            file.seek(entry.offset)
            return file.read(entry.size)

    def parsed() -> None:
        tensor_bundle.forget()
        open_bundle(prefix)

    assert raw() == bundle.read(key).tobytes()
    bytes_alone = quickest(raw)
    known = quickest(lambda: open_bundle(prefix).read(key))
    checked = []
    for _ in range(10):
        fresh_bundle = tensor_bundle.Bundle(prefix, bundle.path.read_bytes())
        checked.append(quickest(lambda: fresh_bundle.read(key), 1))  # noqa: B023 (called at once)
    everything = quickest(lambda: [bundle.read(key) for key, each in bundle.entries.items() if each.is_number], 5)
    size = sum(each.size for each in bundle.entries.values())
    return [
        Figure("fresh process, quicker than load_checkpoint by", theirs / fresh, "times", ">=", 20),
        Figure("index known, as long as reading the raw bytes", known / bytes_alone, "times", "<=", 3),
        Figure("load_checkpoint in a fresh process", theirs * 1e3, "ms"),
        Figure("ours in a fresh process", fresh * 1e3, "ms"),
        Figure("ours with the index known, checksum made", statistics.median(checked) * 1e3, "ms"),
        Figure("ours with the index known, checksum known", known * 1e3, "ms"),
        Figure(f"the raw bytes ({np.prod(KERNEL_SHAPE) * 4 / 1e6:.1f} MB)", bytes_alone * 1e3, "ms"),
        Figure(f"parsing the index ({len(bundle.entries)} keys)", quickest(parsed) * 1e3, "ms"),
        Figure(f"every tensor ({size / 1e6:.0f} MB)", everything * 1e3, "ms"),
    ]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        prefix = Path(folder) / "resnet50"
        subprocess.run([sys.executable, "-c", _MAKE, str(prefix)], check=True, capture_output=True, env=os.environ)
        figures = measure(prefix)
    report("One kernel from a ResNet-50-sized TensorFlow checkpoint", figures)


if __name__ == "__main__":
    main()
