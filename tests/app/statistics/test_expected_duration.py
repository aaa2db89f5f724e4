"""How long statistics are expected to take, before they are computed."""

from __future__ import annotations

import pytest

from mloscope.adaptors.interface import Layer, Parameter
from mloscope.app.statistics.expected_duration import expected_seconds, products

CONVOLUTION = Layer(
    "conv", "convolution", (), (24, 24, 6),
    (
        Parameter("kernel", (5, 5, 1, 6), ("row", "column", "channel", "unit")),
        Parameter("bias", (6,), ("unit",)),
    ),
)  # fmt: skip
DENSE = Layer("dense", "dense", ("conv",), (10,), (Parameter("kernel", (84, 10), ("channel", "unit")),))


def test_a_kernel_counts_once_per_place_of_its_map() -> None:
    assert products([CONVOLUTION, DENSE]) == 24 * 24 * 150 + 840


def test_more_images_and_larger_networks_take_longer_and_what_was_measured_counts_more() -> None:
    small = expected_seconds([DENSE], 41_000, 41)
    assert 3 < small < 5
    assert expected_seconds([CONVOLUTION, DENSE], 41_000_000, 41) > 60 > expected_seconds([DENSE], 41_000_000, 41)
    assert expected_seconds([DENSE], 41_000, 41, rate=410) == pytest.approx(100 + small, abs=1)
