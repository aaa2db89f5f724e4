"""The first difference between two networks, as people read it."""

from __future__ import annotations

import pytest

from mloscope.adaptors.networks.differences import first_difference

RUN = {"conv1/kernel": (3, 3, 1, 8), "dense/bias": (10,)}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({**RUN, "conv1/kernel": (3, 3, 3, 8)}, ["conv1/kernel", "(3, 3, 3, 8) in it", "(3, 3, 1, 8) in the run"]),
        ({**RUN, "dense/kernel": (5, 10)}, ["dense/kernel is in it and not in the run"]),
        ({"conv1/kernel": (3, 3, 1, 8)}, ["dense/bias is not in it"]),
        ({"a": (1,)}, ["a is in it"]),
    ],
)
def test_the_first_name_that_differs_is_told(found: dict[str, tuple[int, ...]], said: list[str]) -> None:
    clause = first_difference(found.items(), RUN.items())
    assert all(word in clause for word in said), clause
