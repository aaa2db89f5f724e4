"""What is computed in one go while somebody waits, beside the least work that it stands on.

    python benchmarks/pure_functions.py [--json FILE]

A film's codes beside copying its values; the order of 1,000 classes beside sorting each row of their matrix; the network of
1,000 layers as SVG beside joining its text.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from figures import Figure, report

from mloscope.adaptors.interface import Layer
from mloscope.app.films import encoding
from mloscope.app.runs.tiles import map_tiles
from mloscope.app.statistics.class_order.seriation import seriate, similarity_of
from mloscope.components.network_graph import svg

ROUNDS = 7


def milliseconds(work: Callable[[], object], beside: Callable[[], object]) -> tuple[float, float]:
    """Medians of both, measured in turn."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for each, kept in zip((work, beside), times, strict=True):
            began = time.perf_counter()
            each()
            kept.append((time.perf_counter() - began) * 1e3)
    return statistics.median(times[0]), statistics.median(times[1])


def film() -> tuple[Callable[[], object], Callable[[], object]]:
    values = np.random.default_rng(0).normal(size=(100, 27, 27, 256)).astype(np.float32)
    views = [map_tiles(each)[..., None] for each in values]
    return lambda: encoding.quantise(range(100), views), values.copy


def classes() -> tuple[Callable[[], object], Callable[[], object]]:
    counts = np.random.default_rng(0).poisson(0.05, size=(1000, 1001))
    similarity = similarity_of(counts)
    return lambda: seriate(similarity_of(counts)), lambda: np.sort(similarity, axis=1)


def network() -> tuple[Callable[[], object], Callable[[], object]]:
    layers = [Layer(f"n{i}", "convolution", (f"n{i - 1}",) if i else (), None) for i in range(1000)]
    text = svg(layers).split("<")
    return lambda: svg(layers), lambda: "<".join(text)


def main() -> None:
    figures = []
    for what, made in (("film codes", film), ("class order", classes), ("SVG", network)):
        ours, least = milliseconds(*made())
        figures += [
            Figure(f"{what}", ours, "ms"),
            Figure(f"{what}: the least work", least, "ms"),
            Figure(f"{what}: ratio", ours / least, "times"),
        ]
    report("Pure functions", figures)


if __name__ == "__main__":
    main()
