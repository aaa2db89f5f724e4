"""One kernel from a ResNet-50-sized TensorFlow checkpoint: our reader, TensorFlow's, and the raw bytes.

    python benchmarks/tensor_bundle.py [--json FILE]

The checkpoint is made with Keras in a temporary folder. TensorFlow's figure is that of a fresh process, with
its import, as somebody has it who looks at one kernel; ours too. Then, within one process, a first reading, which
parses the index, and a repeated one, beside the raw bytes of the same place. Everybody finds the files in the
system's cache, and every reading of ours makes the tensor's checksum.
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

from mloscope.adaptors.readers.tensorflow import tensor_bundle
from mloscope.adaptors.readers.tensorflow.tensor_bundle import open_bundle

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
from mloscope.adaptors.readers.tensorflow.tensor_bundle import open_bundle
open_bundle(Path(sys.argv[1])).read(sys.argv[2])
print(time.perf_counter() - started)
"""


def in_a_process(code: str, *arguments: str) -> float:
    answer = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return float(answer.stdout.split()[-1])


def in_turn(*works: Callable[[], object], times: int = 30) -> list[float]:
    """The median seconds of each, all called one after the other so that a busy moment is everybody's."""
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(times):
        for work, own in zip(works, taken, strict=True):
            started = time.perf_counter()
            work()
            own.append(time.perf_counter() - started)
    return [statistics.median(own) for own in taken]


def measure(prefix: Path) -> list[Figure]:
    bundle = open_bundle(prefix)
    key, entry = next((key, each) for key, each in bundle.entries.items() if each.shape == KERNEL_SHAPE)
    theirs = min(in_a_process(_THEIRS, str(prefix), key) for _ in range(3))
    fresh = min(in_a_process(_OURS, str(prefix), key) for _ in range(3))

    def raw() -> bytes:
        with open(bundle.data_files()[entry.shard], "rb", buffering=0) as file:
            file.seek(entry.offset)
            return file.read(entry.size)

    def first() -> np.ndarray:
        tensor_bundle.forget()
        return open_bundle(prefix).read(key)

    def again() -> np.ndarray:
        return open_bundle(prefix).read(key)

    def parsed() -> None:
        tensor_bundle.forget()
        open_bundle(prefix)

    assert raw() == first().tobytes() == again().tobytes()
    # Whatever comes after parsing finds the index parsed.
    bytes_alone, first_read, index_alone, repeated = in_turn(raw, first, parsed, again)
    numbers = [key for key, each in bundle.entries.items() if each.is_number]
    (everything,) = in_turn(lambda: [bundle.read(each) for each in numbers], times=5)
    size = sum(bundle.entries[each].size for each in numbers)
    return [
        Figure("fresh process, quicker than load_checkpoint by", theirs / fresh, "times", ">=", 20),
        Figure("first reading, index parsed, against the raw bytes", first_read / bytes_alone, "times", "<=", 2),
        Figure("repeated reading against the raw bytes", repeated / bytes_alone, "times", "<=", 2),
        Figure("load_checkpoint in a fresh process", theirs * 1e3, "ms"),
        Figure("ours in a fresh process", fresh * 1e3, "ms"),
        Figure("first reading, index parsed", first_read * 1e3, "ms"),
        Figure("repeated reading", repeated * 1e3, "ms"),
        Figure(f"the raw bytes ({np.prod(KERNEL_SHAPE) * 4 / 1e6:.1f} MB)", bytes_alone * 1e3, "ms"),
        Figure(f"parsing the index ({len(bundle.entries)} keys)", index_alone * 1e3, "ms"),
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
