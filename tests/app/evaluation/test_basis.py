"""The record of what numbers rest on: what it says, and that whoever shows numbers shows it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mloscope.adaptors.interface import ASSUMED, Layer, Preprocessing, RunOptions
from mloscope.app.evaluation.basis import Basis
from mloscope.app.evaluation.named_outputs import NamedOutputs, NamedOutputsStore
from mloscope.app.evaluation.notices import IS_ASSUMED, LEFT_OUT, NOTE, WARNING
from mloscope.app.workspace.connected import ConnectedCorpus, ConnectedRun
from mloscope.app.workspace.entries import make_preprocessing
from mloscope.app.workspace.workspace import Workspace

IMAGE = Layer("image", "input", (), (6, 6, 3))
CLASSES = Layer("classes", "dense", ("image",), (2,), hyperparameters={"activation": "softmax"})
RESCALED = (
    IMAGE,
    Layer("rescale", "preprocessing", ("image",), (6, 6, 3), (), {"scale": 1 / 255, "offset": 0.0}, "Rescaling"),
    replace(CLASSES, inputs=("rescale",)),
)


@pytest.fixture
def basis(array_run: Any, array_corpus: Any) -> Any:
    """``basis(layers=..., options=..., corpus=..., names=...)``: the record of such a run over a corpus of noise."""

    def make(
        layers: tuple[Layer, ...] = (IMAGE, CLASSES),
        options: RunOptions = RunOptions(),  # noqa: B008 - frozen
        corpus: Any = None,
        names: tuple[str, ...] = (),
        store: NamedOutputsStore | None = None,
        **run: Any,
    ) -> Basis:
        made = array_run(layers=layers, **run)
        made.class_names = names
        workspace = Workspace(
            [ConnectedRun("run", Path("run"), made, options)],
            [ConnectedCorpus("images", Path("images"), corpus or array_corpus())],
            store,
        )
        return workspace.basis("run", "images")

    return make


def kinds(record: Basis, word: str) -> set[str]:
    return {notice.kind for notice in record.notices if word in notice.sentence}


def test_where_nobody_says_anything_everything_is_said_to_be_assumed(basis: Any) -> None:
    record = basis()
    assert record.preprocessing.scale == 1 / 255
    assert record.preprocessing.scale_from == ASSUMED
    assert record.input_range == (0.0, pytest.approx(1.0))
    assert kinds(record, "divided by 255") == {IS_ASSUMED}
    assert kinds(record, "by position") == {IS_ASSUMED}
    assert kinds(record, "notes.txt") == {LEFT_OUT}


def test_what_the_network_does_itself_is_not_done_twice(basis: Any) -> None:
    record = basis(RESCALED)
    assert (record.preprocessing.scale, record.preprocessing.assumed) == (1.0, False)
    assert "rescale" in record.preprocessing.scale_from
    assert record.input_range == (0.0, 255.0)
    assert kinds(record, "preprocesses") == {NOTE}


@pytest.mark.parametrize("dtype", ["uint8", "int32"])
def test_an_integer_input_takes_pixels_as_they_are(basis: Any, dtype: str) -> None:
    record = basis((replace(IMAGE, hyperparameters={"dtype": dtype}), CLASSES))
    assert (record.preprocessing.scale, record.preprocessing.assumed, record.input_dtype) == (1.0, False, dtype)


def test_the_users_word_counts_and_a_second_scaling_is_warned_of(basis: Any) -> None:
    record = basis(RESCALED, RunOptions(preprocessing=Preprocessing(1 / 255)))
    assert (record.preprocessing.scale, record.preprocessing.scale_from) == (1 / 255, "option")
    assert kinds(record, "twice") == {WARNING}


def test_an_option_about_something_else_leaves_the_scale_to_the_network(basis: Any) -> None:
    record = basis(RESCALED, RunOptions(preprocessing=make_preprocessing(channel_order="bgr")))
    assert (record.preprocessing.scale, record.preprocessing.channel_order) == (1.0, "bgr")
    assert record.preprocessing.channel_order_from == "option"
    plain = basis(options=RunOptions(preprocessing=make_preprocessing(mean="corpus")))
    assert (plain.preprocessing.scale, plain.preprocessing.scale_from) == (1.0, ASSUMED)


def test_files_say_and_are_named(basis: Any) -> None:
    said = Preprocessing(0.5, "corpus", "bgr", mean_from=ASSUMED)
    record = basis(preprocessing=said)
    assert (record.preprocessing.scale_from, record.preprocessing.mean_from) == ("the run's files", ASSUMED)
    assert record.input_range is None
    assert kinds(record, "mean") == {IS_ASSUMED}


def test_checkpoints_that_cannot_be_read_are_listed_with_their_reason(basis: Any) -> None:
    record = basis(steps=range(20), broken=range(8))
    assert len(record.left_out) == 8
    assert kinds(record, "3 more checkpoints") == {LEFT_OUT}
    assert record.json()["checkpoints_left_out"][0] == {"step": 0, "name": "0.npz", "reason": "The file is cut off."}


def test_images_are_fitted_and_that_is_said(basis: Any, array_corpus: Any) -> None:
    small = basis(corpus=array_corpus(shape=(28, 28, 1)))
    assert kinds(small, "resized") == {NOTE}
    assert any("resized" in sentence for sentence in small.json()["input"]["fitted"])
    assert kinds(basis(corpus=array_corpus(shape=(28, 28, 1))), "Grey images") == {NOTE}
    assert kinds(basis(), "resized") == set()


def test_outputs_of_other_classes_get_no_names_and_no_rates(basis: Any) -> None:
    record = basis((IMAGE, replace(CLASSES, output_shape=(7,))))
    assert record.classes.names[0] == "output 0"
    assert kinds(record, "not matched") == {WARNING}
    assert record.classes.outputs_of(np.array([0, 1])).tolist() == [-1, -1]


def test_what_was_settled_comes_before_options_and_files(basis: Any, tmp_path: Path) -> None:
    store = NamedOutputsStore(tmp_path)
    options = RunOptions(class_names=("Bird", "cat"))
    assert basis(names=("x", "y"), options=options).names_from == "option"
    assert basis(names=("x", "y"), store=store).names_from == "the run's files"
    store.save(Path("run"), NamedOutputs(None, ("cat", "Bird")))
    record = basis(names=("x", "y"), options=options, store=store)
    assert (record.names_from, record.classes.corpus_classes) == ("saved", (1, 0))
    NamedOutputsStore(tmp_path).save(Path("run"), None)
    assert basis(names=("x", "y"), store=store).names_from == "the run's files"


def test_json_and_lines_say_the_same(basis: Any) -> None:
    record = basis(steps=range(5), broken=[2])
    told = json.loads(json.dumps(record.json(), allow_nan=False))
    lines = record.lines()
    assert [line.partition(":")[0] for line in lines[:3]] == ["Pixels", "Output", "Classes"]
    assert lines[3:] == [f"{each['kind'].capitalize()}: {each['sentence']}" for each in told["notices"]]
    assert [each["kind"] for each in told["notices"]] == sorted(
        (each["kind"] for each in told["notices"]), key=(WARNING, IS_ASSUMED, LEFT_OUT, NOTE).index
    )


def test_a_run_without_a_corpus_has_a_record_too(array_run: Any) -> None:
    workspace = Workspace([ConnectedRun("run", Path("run"), array_run())])
    record = workspace.basis("run")
    assert (record.corpus, record.json()["corpus"]) == (None, None)


def test_the_record_is_made_once_for_the_same_files(array_run: Any, array_corpus: Any) -> None:
    workspace = Workspace(
        [ConnectedRun("run", Path("run"), array_run())], [ConnectedCorpus("images", Path("images"), array_corpus())]
    )
    first = workspace.basis("run")
    assert workspace.basis("run", "images") is first
    workspace.replace([ConnectedRun("run", Path("run"), array_run(steps=range(3)))], workspace.corpora)
    assert workspace.basis("run") is not first


def test_what_an_option_leaves_open_the_files_still_say(basis: Any) -> None:
    files = Preprocessing(1.0, (100.0, 110.0, 120.0), "bgr")
    scaled = basis(
        preprocessing=files, options=RunOptions(preprocessing=make_preprocessing(scale=1 / 255))
    ).preprocessing
    assert (scaled.scale, scaled.scale_from) == (1 / 255, "option")
    assert scaled.mean == pytest.approx((100 / 255, 110 / 255, 120 / 255))
    assert (scaled.mean_from, scaled.channel_order, scaled.channel_order_from) == (
        "the run's files", "bgr", "the run's files",
    )  # fmt: skip
    meant = basis(preprocessing=files, options=RunOptions(preprocessing=make_preprocessing(mean=0.0))).preprocessing
    assert (meant.scale, meant.mean, meant.channel_order) == (1.0, (0.0,), "bgr")
    ordered = basis(preprocessing=files, options=RunOptions(preprocessing=make_preprocessing(channel_order="rgb")))
    assert ordered.preprocessing == Preprocessing(1.0, (100.0, 110.0, 120.0), "rgb")


def test_names_of_another_number_of_classes_name_nothing_and_are_warned_of(basis: Any) -> None:
    record = basis(options=RunOptions(class_names=("cat", "dog", "bird")))
    assert record.names_from is None
    assert kinds(record, "names 3 classes") == {WARNING}
