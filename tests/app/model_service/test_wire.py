from __future__ import annotations

import json

import numpy as np
import pytest

from mloscope.adaptors.interface import Preprocessing, RunOptions
from mloscope.app.errors import BadRequest
from mloscope.app.model_service.wire import (
    Evaluation,
    RunSpec,
    pack,
    pack_evaluation,
    unpack,
    unpack_evaluation,
)

SPECS = [
    RunSpec("/runs/lenet ü", "keras"),
    RunSpec(
        "runs/old",
        "keras",
        RunOptions(r"(\d+)", "model.json", Preprocessing(1 / 255, (0.1, 0.2, 0.3), "bgr", True), trust=True),
    ),
    RunSpec("runs/cifar", "keras", RunOptions(preprocessing=Preprocessing(mean="corpus"))),
]


@pytest.mark.parametrize("spec", SPECS)
def test_a_run_is_the_same_after_its_way_through_json(spec: RunSpec) -> None:
    returned = RunSpec.from_json(json.loads(json.dumps(spec.to_json())))
    assert returned == spec
    assert returned.key == spec.key


def test_runs_opened_differently_have_different_keys() -> None:
    assert len({spec.key for spec in SPECS}) == len(SPECS)
    assert SPECS[0].key != RunSpec("/runs/lenet ü", "keras", RunOptions(trust=True)).key


@pytest.mark.parametrize("value", [None, [], {}, {"path": "a", "format": "b"}, {"path": "a", "options": {"x": 1}}])
def test_what_is_no_run_is_a_bad_request(value: object) -> None:
    with pytest.raises(BadRequest, match="path, format and options"):
        RunSpec.from_json(value)


def test_arrays_survive_exactly_and_lie_aligned() -> None:
    arrays = [
        np.array([[np.nan, np.inf, -np.inf, -0.0]], np.float32),
        np.zeros((0, 3), np.float32),
        np.arange(24, dtype=np.float32).reshape(2, 3, 4)[:, ::-1],  # not contiguous
        np.float32(5).reshape(()),
    ]
    for padding in range(9):
        head, returned = unpack(pack({"note": "x" * padding}, arrays))
        assert head == {"note": "x" * padding}
        for given, got in zip(arrays, returned, strict=True):
            assert got.dtype == np.float32
            assert got.shape == given.shape
            assert got.tobytes() == given.tobytes()
            assert not got.flags.writeable
    message = pack({"a": 1}, arrays)
    assert (8 + int.from_bytes(message[4:8], "little")) % 8 == 0


def test_an_evaluation_keeps_its_steps_and_failures() -> None:
    given = Evaluation({"conv1": np.ones((2, 3), np.float32)}, [30, 5], {5: "It is broken."})
    returned = unpack_evaluation(pack_evaluation(given))
    assert returned.steps == (30, 5)
    assert returned.failed == {5: "It is broken."}
    np.testing.assert_array_equal(returned["conv1"], given["conv1"])


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"GIF89a..........",
        pack({}, [np.ones(3)])[:-1],
        pack({}, [np.ones(3)]) + b"more",
        b"MLW1\xff\xff\xff\x7f{}",
        b"MLW1\x08\x00\x00\x00nonsense",
        b'MLW1\x10\x00\x00\x00{"arrays":[[-1]]}'[:24],
        b"MLW1\x02\x00\x00\x00[]",
    ],
)
def test_what_is_no_message_is_a_bad_request(message: bytes) -> None:
    with pytest.raises(BadRequest):
        unpack(message)
