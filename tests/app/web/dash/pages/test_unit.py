"""The unit page: its charts, and what they say where nothing has been computed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mloscope.app.web.dash.pages.unit import Unit

sys.path.append(str(Path(__file__).parents[3] / "statistics"))  # tests are imported by path, their neighbours are not
from found_patches import keep_patches

VIEW = {"layer": "block/conv1", "unit": 2, "split": ""}


@pytest.fixture
def bench(make_bench: Any, tmp_path: Path) -> Any:
    return make_bench(cache_folder=tmp_path)


def subject(*steps: int) -> dict:
    return {"run": "lenet", "corpus": "noise", "checkpoints": [{"step": step, "label": str(step)} for step in steps]}


def test_norm_and_change_are_those_of_the_units_weights(bench: Any) -> None:
    steps = [checkpoint.step for checkpoint in bench.opened.checkpoints]
    figure = Unit(bench.services).draw_weights(subject(*steps), VIEW, "light")
    layer = bench.opened.layer("block/conv1")
    weights = [bench.run.parameters(bench.opened.checkpoint(step), layer)["kernel"][..., 2] for step in steps[:2]]
    norm, change = figure.data
    assert norm.y[0] == pytest.approx(np.linalg.norm(weights[0]), rel=1e-6)
    assert change.y[1] == pytest.approx(np.linalg.norm(weights[1] - weights[0]), rel=1e-6)
    assert np.isnan(change.y[0])


def test_activation_and_the_share_of_excited_images_where_they_were_found(bench: Any) -> None:
    page, about = Unit(bench.services), subject(0, 10, 20)
    assert "Not computed yet" in str(page.draw_mean(about, VIEW, None, "dark"))
    maps = np.random.default_rng(1).normal(size=(20, 4, 4, 4)).astype(np.float32)
    maps[5:, ..., 2] -= 9
    keep_patches(bench, "block/conv1", {10: maps})
    (mean,) = page.draw_mean(about, VIEW, None, "dark").data
    (excited,) = page.draw_excited(about, VIEW, None, "dark").data
    assert mean.y[1] == pytest.approx(maps[..., 2].mean(), rel=1e-5)
    assert excited.y[1] == 5 / 20
    assert np.isnan([mean.y[0], mean.y[2], excited.y[0]]).all()
    assert "units 0 to 3" in str(page.draw_mean(about, {**VIEW, "unit": 4}, None, "dark"))
