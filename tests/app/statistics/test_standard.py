"""The statistics that come with ML-o-scope pass the suite that other packages' inherit."""

from __future__ import annotations

import pytest

from mloscope.app.statistics.conformance import StatisticConformance
from mloscope.app.statistics.standard import OURS
from mloscope.app.statistics.table import Statistic


class TestOurs(StatisticConformance):
    @pytest.fixture(autouse=True, params=OURS, ids=lambda statistic: statistic.name)
    def _one(self, request: pytest.FixtureRequest) -> None:
        self.statistic = request.param


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": "Macro F1"}, "Macro F1"),
        ({"scope": "unit"}, "unit"),
        ({"made_of": "activations"}, "activations"),
        ({"unit": "%"}, "%"),
    ],
)
def test_a_statistic_that_cannot_be_is_refused_when_it_is_made(wrong: dict[str, str], said: str) -> None:
    right = {
        "name": "f1", "help": "F1.", "unit": "share", "scope": "checkpoint", "made_of": "probabilities",
        "version": 1, "compute": len,
    }  # fmt: skip
    assert Statistic(**right).title == "f1"
    with pytest.raises(ValueError, match=f'got "{said}"'):
        Statistic(**{**right, **wrong})
