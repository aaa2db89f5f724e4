"""Trying other preprocessings and orders of classes: which are tried, what is measured, what is warned of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mloscope.adaptors.interface import Layer, Preprocessing, RunOptions
from mloscope.app.errors import NotPossible
from mloscope.app.evaluation.basis import Basis
from mloscope.app.evaluation.check import CURRENT, alternatives, check
from mloscope.app.workspace.connected import ConnectedCorpus, ConnectedRun
from mloscope.app.workspace.workspace import Workspace

NAMES = ("Bird", "cat")
PIXELS = np.random.default_rng(3).integers(0, 256, (40, 6, 6, 3), np.uint8)
LABELS = np.arange(40) % 2


@pytest.fixture
def basis(array_run: Any, array_corpus: Any) -> Any:
    """``basis(names=..., outputs=..., options=...)``: the record of a network of so many classes."""

    def make(names: tuple[str, ...] = NAMES, outputs: int = 2, options: RunOptions = RunOptions()) -> Basis:  # noqa: B008
        layers = (
            Layer("image", "input", (), (6, 6, 3)),
            Layer("classes", "dense", ("image",), (outputs,), (), {"activation": "softmax"}),
        )
        run = array_run(layers=layers)
        run.class_names = names
        return Workspace(
            [ConnectedRun("run", Path("run"), run, options)],
            [ConnectedCorpus("images", Path("images"), array_corpus())],
        ).basis("run")

    return make


def prepare(how: Preprocessing) -> np.ndarray:
    if how.mean == "corpus":
        raise NotPossible("There is no training split.")
    pixels = PIXELS[..., ::-1] if how.channel_order == "bgr" else PIXELS
    return pixels * np.float32(how.scale) - np.float32(how.mean or 0)


def network(scale: float, turned: bool = False) -> Any:
    """Right about every image that is prepared with this scale in RGB, else it always says class 0."""

    def probabilities(images: np.ndarray) -> np.ndarray:
        as_wanted = np.allclose(images, PIXELS * np.float32(scale), rtol=1e-4)
        predicted = LABELS ^ turned if as_wanted else np.zeros(40, int)
        return np.eye(2, dtype=np.float32)[predicted]

    return probabilities


def test_what_is_in_force_comes_first_and_nothing_is_tried_twice() -> None:
    tried = list(alternatives(Preprocessing(1 / 255), channels=3, corpus=True))
    assert tried[0] == (CURRENT, Preprocessing(1 / 255))
    ways = {(round(how.scale, 6), how.mean, how.channel_order) for _, how in tried}
    assert len(ways) == len(tried)
    assert (1.0, None, "rgb") in ways
    assert (round(1 / 255, 6), None, "bgr") in ways
    assert (round(1 / 127.5, 6), (1.0,), "rgb") in ways
    assert (1.0, (103.939, 116.779, 123.68), "bgr") in ways
    assert not any(how.mean == "corpus" for _, how in alternatives(Preprocessing(), 3, corpus=False))


def test_grey_networks_have_no_order_of_colours() -> None:
    assert {how.channel_order for _, how in alternatives(Preprocessing(), channels=1, corpus=True)} == {"rgb"}


def test_the_order_of_colours_is_tried_with_an_unusual_scale_too() -> None:
    tried = dict(alternatives(Preprocessing(0.25, (3.0,)), channels=3, corpus=False))
    assert tried["current, but BGR"] == Preprocessing(0.25, (3.0,), "bgr")


def test_a_better_scale_is_found_and_warned_of(basis: Any) -> None:
    found = check(basis(), 20, LABELS, prepare, network(1.0))
    assert (found.step, found.images) == (20, 40)
    first, best = found.alternatives[:2]
    assert (first.name, first.accuracy) == (CURRENT, 0.5)
    assert (best.name, best.accuracy) == ("0..255, RGB", 1.0)
    assert len(found.warnings) == 1
    assert "--scale 1 " in found.warnings[0]
    assert found.best_order is None


def test_what_fits_is_left_in_peace(basis: Any) -> None:
    found = check(basis(), 20, LABELS, prepare, network(1 / 255))
    assert found.alternatives[0].accuracy == 1.0
    assert (found.warnings, found.best_order) == ((), None)


def test_classes_in_another_order_are_found(basis: Any) -> None:
    found = check(basis(), 20, LABELS, prepare, network(1 / 255, turned=True))
    assert found.alternatives[0].accuracy == 0.0
    assert (found.best_order, found.best_order_accuracy) == ((1, 0), 1.0)
    assert any("order" in sentence for sentence in found.warnings)


def test_unmatched_classes_get_their_best_assignment(basis: Any) -> None:
    def probabilities(images: np.ndarray) -> np.ndarray:
        return np.eye(5, dtype=np.float32)[np.where(LABELS == 0, 3, 1)]

    found = check(basis(names=(), outputs=5), 20, LABELS, prepare, probabilities)
    assert found.alternatives[0].accuracy is None
    assert (found.best_order, found.best_order_accuracy) == ((None, 1, None, 0, None), 1.0)
    assert any("--classes" in sentence for sentence in found.warnings)


def test_what_cannot_be_tried_says_why_and_the_rest_is(basis: Any) -> None:
    found = check(basis(), 20, LABELS, prepare, network(1 / 255))
    failed = [each for each in found.alternatives if each.problem]
    assert {each.accuracy for each in failed} == {None}
    assert all("training split" in str(each.problem) for each in failed)
    assert found.json()["alternatives"][-1]["problem"]


def test_nan_predicts_nothing(basis: Any) -> None:
    found = check(basis(), 20, LABELS, prepare, lambda images: np.full((40, 2), np.nan, np.float32))
    assert found.alternatives[0].accuracy == 0.0
    assert found.best_order is None


def test_without_labels_or_classes_there_is_nothing_to_check(basis: Any) -> None:
    with pytest.raises(NotPossible, match="labelled"):
        check(basis(), 20, np.full(40, -1), prepare, network(1.0))
    with pytest.raises(NotPossible, match="nothing to check"):
        check(basis(options=RunOptions(output="nowhere")), 20, LABELS, prepare, network(1.0))
