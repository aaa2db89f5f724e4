"""Whether a network can be evaluated just now, and why not."""

from __future__ import annotations

from typing import Any

import pytest

from mloscope.app.errors import NotPossible, Unavailable

CONV = "block/conv1"


@pytest.mark.parametrize(
    ("state", "possible", "temporary"),
    [
        ("ready", True, False),
        ("starting", False, True),
        ("restarting", False, True),
        ("stopped", False, False),
        ("not installed", False, False),
    ],
)
def test_evaluation_follows_the_service(make_bench: Any, state: str, possible: bool, temporary: bool) -> None:
    found = make_bench(service_state=lambda: (state, None)).available
    assert (found.possible, found.temporary, found.state) == (possible, temporary, state)
    assert (found.message is None) == possible


def test_without_a_service_that_is_said(make_bench: Any) -> None:
    bench = make_bench(service=False)
    assert "model service" in bench.available.message
    with pytest.raises(Unavailable, match="model service"):
        bench.feature_maps([0], CONV, "test-0")
    with pytest.raises(Unavailable, match="model service"):
        bench.film(bench.question(CONV, "features", image="test-0"))


def test_a_run_of_weights_only_says_that_it_cannot_be_evaluated(make_bench: Any, array_run: Any) -> None:
    class WeightsOnly(array_run):
        def __getattribute__(self, name: str) -> Any:
            if name in ("backend", "weights"):
                raise AttributeError(name)
            return super().__getattribute__(name)

    bench = make_bench(run=WeightsOnly())
    found = bench.available
    assert (found.possible, found.state) == (False, "impossible")
    with pytest.raises(NotPossible, match=r"lenet.*weights"):
        bench.predictions([0], "test-0")
