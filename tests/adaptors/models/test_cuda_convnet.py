"""Runs of cuda-convnet: real ones against the errors recorded in them, made ones against its formulas."""

from __future__ import annotations

import gzip
import io
import math
import os
import pickle
import sys
import types
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mloscope.adaptors.conformance import RunConformance
from mloscope.adaptors.interface import (
    AdaptorError,
    HasMetrics,
    Preprocessing,
    Refused,
    RunOptions,
    Unreadable,
)
from mloscope.adaptors.models.cuda_convnet import CudaConvnetRun
from mloscope.adaptors.readers.cuda_convnet.files import read_meta

DOCUMENTED = ("dropout_5sets", "ourdropout", "no_dropout")


# ------------------------------------------------------------------------------------------------ a made run


def layer(name: str, kind: str, inputs: list[int], outputs: int, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "inputs": inputs, "outputs": outputs, **more}


def network(random: np.random.Generator) -> list[dict[str, Any]]:
    """Every kind of layer with weights or a window, in a net small enough to compute with loops."""

    def numbers(*shape: int) -> np.ndarray:
        return random.normal(0, 0.3, shape).astype(np.float32)

    window = {"channels": 8, "sizeX": 3, "stride": 2, "start": -1, "imgSize": 9}
    conv = {
        "channels": [4],
        "filterSize": [3],
        "padding": [-1],
        "stride": [2],
        "groups": [2],
        "imgSize": [18],
        "modulesX": 9,
        "filters": 8,
        "randSparse": [False],
    }
    local = {
        "channels": [8],
        "filterSize": [2],
        "padding": [0],
        "stride": [1],
        "groups": [2],
        "imgSize": [5],
        "modulesX": 4,
        "filters": 6,
    }
    return [
        {"name": "data", "type": "data", "outputs": 4 * 18 * 18, "dataIdx": 0},
        {"name": "labels", "type": "data", "outputs": 1, "dataIdx": 1},
        layer(
            "conv",
            "conv",
            [0],
            8 * 81,
            weights=[numbers(2 * 9, 8)],
            biases=numbers(8 * 81, 1),
            sharedBiases=False,
            inputLayers=[{"name": "labels"}],  # stale, as in real files
            **conv,
        ),
        layer("conv_neuron", "neuron", [2], 8 * 81, neuron={"type": "tanh", "params": {"a": 1.7, "b": 0.6}}),
        layer("norm", "cmrnorm", [3], 8 * 81, size=4, pow=0.75, scale=0.3, channels=8, imgSize=9),
        layer("space", "rnorm", [4], 8 * 81, size=3, pow=0.5, scale=0.2, channels=8, imgSize=9),
        layer("largest", "pool", [5], 8 * 25, pool="max", outputsX=5, **window),
        layer("mean", "pool", [5], 8 * 25, pool="avg", outputsX=5, **window),
        layer("sum", "eltsum", [6, 7], 8 * 25, coeffs=[0.5, 2.0]),
        layer(
            "local",
            "local",
            [8],
            6 * 16,
            weights=[numbers(16 * 4 * 4, 6)],
            biases=numbers(6 * 16, 1),
            **local,
        ),
        layer(
            "fc",
            "fcdropo",
            [9, 8],
            7,
            weights=[numbers(96, 7), numbers(200, 7)],
            biases=numbers(1, 7),
            rate=0.5,
            dropout=0.2,
        ),
        layer("probs", "softmax", [10], 7),
        layer("logprob", "cost.logreg", [1, 11], 0, coeff=1.0),
    ]


def window_of(values: np.ndarray, y: int, x: int, size: int) -> np.ndarray:
    """What of a window of a map (channel, row, column) lies on it."""
    return values[:, max(0, y) : max(0, y + size), max(0, x) : max(0, x + size)]


def expected(layers: list[dict[str, Any]], image: np.ndarray) -> dict[str, np.ndarray]:
    """The outputs of :func:`network`, maps as (channel, row, column), by the formulas of cuda-convnet."""
    by_name = {each["name"]: each for each in layers}
    out: dict[str, np.ndarray] = {}
    conv = by_name["conv"]
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1)))
    kernel, bias = conv["weights"][0].reshape(2, 3, 3, 8), conv["biases"].reshape(8, 9, 9)
    out["conv"] = np.zeros((8, 9, 9))
    for unit in range(8):
        first = 2 * (unit // 4)  # of the channels of the unit's group
        for y in range(9):
            for x in range(9):
                seen = padded[first : first + 2, 2 * y : 2 * y + 3, 2 * x : 2 * x + 3]
                out["conv"][unit, y, x] = (seen * kernel[..., unit]).sum() + bias[unit, y, x]
    out["conv_neuron"] = 1.7 * np.tanh(0.6 * out["conv"])
    values = out["conv_neuron"]
    sums = [np.sum(values[max(0, c - 2) : c + 2] ** 2, axis=0) for c in range(8)]
    out["norm"] = values * (1 + 0.3 * np.array(sums)) ** -0.75
    values = out["norm"]
    sums = [[(window_of(values, y - 1, x - 1, 3) ** 2).sum(axis=(1, 2)) for x in range(9)] for y in range(9)]
    out["space"] = values * (1 + 0.2 * np.array(sums).transpose(2, 0, 1)) ** -0.5
    places = [[window_of(out["space"], 2 * y - 1, 2 * x - 1, 3) for x in range(5)] for y in range(5)]
    for name, rule in (("largest", np.max), ("mean", np.mean)):
        rows = [[rule(place, axis=(1, 2)) for place in row] for row in places]
        out[name] = np.array(rows).transpose(2, 0, 1)
    out["sum"] = 0.5 * out["largest"] + 2.0 * out["mean"]
    local = by_name["local"]
    kernel, bias = local["weights"][0].reshape(4, 4, 4, 2, 2, 6), local["biases"].reshape(6, 4, 4)
    out["local"] = np.zeros((6, 4, 4))
    for unit in range(6):
        first = 4 * (unit // 3)
        for y in range(4):
            for x in range(4):
                seen = out["sum"][first : first + 4, y : y + 2, x : x + 2]
                out["local"][unit, y, x] = (seen * kernel[y, x, ..., unit]).sum() + bias[unit, y, x]
    fc = by_name["fc"]
    total = sum(out[name].ravel() @ w for name, w in zip(("local", "sum"), fc["weights"], strict=True))
    out["fc"] = 0.5 * 0.8 * (total + fc["biases"][0])
    powers = np.exp(out["fc"] - out["fc"].max())
    out["probs"] = powers / powers.sum()
    return out


def state_of(layers: Any, epoch: int, batch: int) -> dict[str, Any]:
    done = 3 * (epoch - 1) + batch
    return {
        "model_state": {
            "epoch": epoch,
            "batchnum": batch,
            "layers": layers,
            "train_outputs": [({"logprob": [2.0 / each, 0.9 / each]}, 100) for each in range(1, done + 1)],
            "test_outputs": [({"logprob": [3.0 / each, 0.95 / each]}, 100) for each in range(2, done + 1, 2)],
        }
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four checkpoints of a run, in the order of their names as text: 10.2, 9.1, 9.10, 9.3."""
    made = tmp_path / "ConvNet__2012-01-31_10.11.12"
    made.mkdir()
    for epoch, batch in ((9, 1), (9, 3), (9, 10), (10, 2)):
        content = state_of(network(np.random.default_rng([epoch, batch])), epoch, batch)
        data = pickle.dumps(content, protocol=2)
        if batch == 3:
            data = gzip.compress(data)
        if batch == 10:
            packed = io.BytesIO()
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("data", data)
            data = packed.getvalue()
        (made / f"{epoch}.{batch}").write_bytes(data)
    return made


class TestMadeRun(RunConformance):
    adaptor = CudaConvnetRun

    @pytest.fixture
    def path(self, folder: Path) -> Path:
        return folder


class TestRealRun(RunConformance):
    adaptor = CudaConvnetRun

    @pytest.fixture
    def path(self, real_data: Path) -> Path:
        return real_data / "cuda_convnet" / "dropout_5sets" / "ConvNet"


def test_steps_sort_as_epoch_and_batch(folder: Path) -> None:
    checkpoints = CudaConvnetRun.open(folder, RunOptions()).checkpoints()
    assert [each.label for each in checkpoints] == ["9.1", "9.3", "9.10", "10.2"]
    assert [each.step for each in checkpoints] == [90001, 90003, 90010, 100002]


def test_layers_follow_inputs_and_leave_out_labels_and_costs(folder: Path) -> None:
    layers = {each.name: each for each in CudaConvnetRun.open(folder, RunOptions()).layers()}
    assert "labels" not in layers
    assert "logprob" not in layers
    assert layers["conv"].inputs == ("data",)
    assert layers["conv"].parameters[0].axes == ("channel", "row", "column", "unit")
    assert layers["conv"].parameters[1].axes == ("unit", "row", "column")
    assert layers["local"].parameters[0].shape == (4, 4, 4, 2, 2, 6)
    assert [each.name for each in layers["fc"].parameters] == ["kernel_0", "kernel_1", "bias"]
    assert layers["data"].output_shape == (18, 18, 4)
    assert not any(each.problem for each in layers.values())


def test_every_layer_computes_what_cuda_convnet_does(folder: Path, feature_maps: Any) -> None:
    run = CudaConvnetRun.open(folder, RunOptions())
    image = np.random.default_rng(5).normal(size=(4, 18, 18)).astype(np.float32)
    for checkpoint in run.checkpoints():
        epoch, batch = (int(part) for part in checkpoint.label.split("."))
        layers = network(np.random.default_rng([epoch, batch]))
        maps = feature_maps(run, checkpoint, image.transpose(1, 2, 0)[None])
        for name, values in expected(layers, image).items():
            ours = maps[name][0]
            ours = ours.transpose(2, 0, 1) if ours.ndim == 3 else ours
            np.testing.assert_allclose(ours, values, rtol=1e-4, atol=1e-5, err_msg=name)


def test_the_model_service_evaluates_it_as_it_is(folder: Path, feature_maps: Any) -> None:
    from mloscope.app.model_service.backends import LoadedBackends
    from mloscope.app.model_service.backends.keras import KerasBackend
    from mloscope.app.model_service.evaluator import Evaluator
    from mloscope.app.model_service.wire import RunSpec

    run = CudaConvnetRun.open(folder, RunOptions())
    image = np.random.default_rng(2).normal(size=run.layers()[0].output_shape).astype(np.float32)
    steps = [each.step for each in run.checkpoints()]
    names = [each.name for each in run.layers()]
    expected = [feature_maps(run, checkpoint, image[None]) for checkpoint in run.checkpoints()]
    for vectorise_below_s in (0.0, 100.0):  # one checkpoint at a time; all at once
        evaluator = Evaluator(LoadedBackends(loaded=[KerasBackend(vectorise_below_s=vectorise_below_s)]))
        found = evaluator.evaluate(RunSpec(str(folder), "cuda-convnet"), steps, names, image)
        assert not found.failed
        for place, maps in enumerate(expected):
            for name, values in maps.items():
                np.testing.assert_allclose(found[name][place], values[0], rtol=1e-4, atol=1e-5, err_msg=name)


def test_blocked_normalisation_over_channels(tmp_path: Path, feature_maps: Any) -> None:
    layers = [
        {"name": "data", "type": "data", "outputs": 7 * 4},
        layer("n", "cmrnorm", [0], 28, size=3, pow=0.75, scale=0.5, channels=7, imgSize=2, blocked=1, minDiv=2.0),
    ]
    run = saved(tmp_path, state_of(layers, 1, 1))
    image = np.random.default_rng(5).normal(size=(7, 2, 2)).astype(np.float32)
    ours = feature_maps(run, run.checkpoints()[0], image.transpose(1, 2, 0)[None])["n"][0]
    sums = np.array([np.sum(image[c // 3 * 3 : c // 3 * 3 + 3] ** 2, axis=0) for c in range(7)])
    np.testing.assert_allclose(ours.transpose(2, 0, 1), image * (2 + 0.5 * sums) ** -0.75, rtol=1e-4)


@pytest.mark.parametrize(
    ("neuron", "formula"),
    [
        ({"type": "relu", "params": {}}, lambda x: np.maximum(x, 0)),
        ({"type": "abs", "params": {}}, np.abs),
        ({"type": "logistic", "params": {}}, lambda x: 1 / (1 + np.exp(-x))),
        ({"type": "linear", "params": {"a": 2.0, "b": -1.0}}, lambda x: 2 * x - 1),
        ({"type": "brelu", "params": {"a": 0.5}}, lambda x: np.clip(x, 0, 0.5)),
        ({"type": "softrelu", "params": {}}, lambda x: np.log1p(np.exp(x))),
        ({"type": "square", "params": {}}, np.square),
        ({"type": "abstanh", "params": {"a": 1.5, "b": 0.5}}, lambda x: 1.5 * np.abs(np.tanh(0.5 * x))),
        ({"type": "ident", "params": {}}, lambda x: x),
    ],
)
def test_neurons(tmp_path: Path, neuron: dict[str, Any], formula: Callable[..., Any], feature_maps: Any) -> None:
    layers = [{"name": "data", "type": "data", "outputs": 16}, layer("n", "neuron", [0], 16, neuron=neuron)]
    run = saved(tmp_path, state_of(layers, 1, 1))
    image = np.random.default_rng(5).normal(size=(1, 4, 4, 1)).astype(np.float32)
    ours = feature_maps(run, run.checkpoints()[0], image)["n"]
    np.testing.assert_allclose(ours, formula(image.astype(np.float64)), rtol=1e-5, atol=1e-6)


def saved(tmp_path: Path, content: Any) -> CudaConvnetRun:
    (tmp_path / "1.1").write_bytes(pickle.dumps(content, protocol=2))
    return CudaConvnetRun.open(tmp_path, RunOptions())


def test_a_layer_that_is_not_supported_is_named_and_evaluation_goes_up_to_it(tmp_path: Path, feature_maps: Any) -> None:
    layers = network(np.random.default_rng(1))
    layers[7]["type"] = "nailbed"
    run = saved(tmp_path, state_of(layers, 1, 1))
    shown = {each.name: each for each in run.layers()}
    assert "type nailbed" in str(shown["mean"].problem)
    assert "output of mean" in str(shown["sum"].problem)
    assert shown["largest"].problem is None
    assert any("nailbed" in problem for problem in run.problems())
    checkpoint = run.checkpoints()[0]
    assert set(run.parameters(checkpoint, shown["fc"])) == {"kernel_0", "kernel_1", "bias"}
    maps = feature_maps(run, checkpoint, np.zeros((1, 18, 18, 4), np.float32))
    assert "largest" in maps
    assert "mean" not in maps


def test_cuda_convnet_2_keeps_its_layers_by_name(tmp_path: Path, feature_maps: Any) -> None:
    layers = network(np.random.default_rng([9, 1]))
    names = [each["name"] for each in layers]
    for number, each in enumerate(layers):
        each.update(id=number, inputs=[names[place] for place in each.get("inputs", [])])
    mixed = {each["name"]: each for each in sorted(layers, key=lambda each: each["name"])}
    run = saved(tmp_path, state_of(mixed, 1, 1))
    assert [each.name for each in run.layers()] == [n for n in names if n not in ("labels", "logprob")]
    image = np.random.default_rng(5).normal(size=(4, 18, 18)).astype(np.float32)
    maps = feature_maps(run, run.checkpoints()[0], image.transpose(1, 2, 0)[None])
    np.testing.assert_allclose(maps["probs"][0], expected(layers, image)["probs"], rtol=1e-4)


def test_curves_lie_on_the_time_axis(folder: Path) -> None:
    (folder / "9.10").unlink()
    run = CudaConvnetRun.open(folder, RunOptions())
    assert isinstance(run, HasMetrics)
    curves = run.metrics()
    steps, values = curves["training logprob"]
    assert steps[[0, 1, 2, 3, -1]].tolist() == [10001, 10002, 10003, 20001, 100002]
    assert values[[0, -1]].tolist() == [2.0, 2.0 / 29]
    steps, values = curves["test logprob error"]
    assert steps[[0, 1, 2]].tolist() == [10002, 20001, 20003]
    assert len(steps) == len(values) == 14


def test_curves_without_a_place_are_left_out(tmp_path: Path) -> None:
    content = state_of(network(np.random.default_rng(1)), 4, 2)
    content["model_state"]["train_outputs"].pop()
    content["model_state"]["batchnum"] = 17
    (tmp_path / "4.2").write_bytes(pickle.dumps(content, protocol=2))
    steps = CudaConvnetRun.open(tmp_path, RunOptions()).metrics().get("training logprob", ([], []))[0]
    assert all(step <= 40017 for step in steps)


def test_the_mean_beside_is_found(folder: Path) -> None:
    meta = {
        "data_mean": np.full((4 * 18 * 18, 1), 7.5, np.float32),
        "label_names": [f"c{i}" for i in range(7)],
    }
    assert CudaConvnetRun.open(folder, RunOptions()).preprocessing == Preprocessing(mean="corpus")
    assert CudaConvnetRun.open(folder, RunOptions()).preprocessing.assumed
    path = folder.parent / "batches.meta"
    path.write_bytes(pickle.dumps(meta, protocol=2))
    run = CudaConvnetRun.open(folder, RunOptions())
    assert run.preprocessing == Preprocessing(mean=str(path))
    assert run.class_names == tuple(f"c{i}" for i in range(7))
    said = Preprocessing(scale=2.0)
    assert CudaConvnetRun.open(folder, RunOptions(preprocessing=said)).preprocessing == run.preprocessing
    meta["label_names"].append("one more")
    path.write_bytes(pickle.dumps(meta, protocol=2))
    run = CudaConvnetRun.open(folder, RunOptions())
    assert run.class_names == ()
    assert "8 classes" in run.problems()[0]


# ------------------------------------------------------------------------------------------- what is refused


class Attack:
    def __reduce__(self) -> Any:
        return os.system, ("touch attacked",)


def test_a_pickle_that_asks_for_anything_else_is_refused_by_name(tmp_path: Path) -> None:
    content = {**state_of(network(np.random.default_rng(1)), 1, 1), "op": Attack()}
    with pytest.raises(Refused, match=rf"1\.1.*{os.system.__module__}\.system"):
        saved(tmp_path, content)
    assert not Path("attacked").exists()


def test_everything_of_options_is_inert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("options")

    class Option:
        def __setstate__(self, state: Any) -> None:
            raise AssertionError("this class must not be used")

    class OptionsParser(Option):
        pass

    for made in (Option, OptionsParser):
        made.__module__, made.__qualname__ = "options", made.__name__
        setattr(module, made.__name__, made)
    monkeypatch.setitem(sys.modules, "options", module)
    option, parser = Option(), OptionsParser()
    vars(option).update(value=[1, 2, 3, 4])
    vars(parser).update(options={"train_batch_range": option})
    content = {**state_of(network(np.random.default_rng(1)), 1, 3), "op": parser}
    steps, _ = saved(tmp_path, content).metrics()["training logprob"]
    assert steps.tolist() == [10001, 10002, 10003]


def test_bombs_are_refused(tmp_path: Path) -> None:
    (tmp_path / "1.1").write_bytes(b"\x80\x02}r\xff\xff\xff\x7f.")  # a memo of two thousand million places
    with pytest.raises(Refused, match="parts"):
        CudaConvnetRun.open(tmp_path, RunOptions())
    (tmp_path / "1.1").write_bytes(gzip.compress(b"\x80\x02" + bytes(200 * 1024 * 1024)))
    with pytest.raises(Refused, match="unpack"):
        CudaConvnetRun.open(tmp_path, RunOptions())


def test_broken_files_are_told_apart_from_whole_ones(folder: Path) -> None:
    whole = (folder / "10.2").read_bytes()
    for cut in (3, 40, 500, len(whole) // 2, len(whole) - 1):
        (folder / "10.2").write_bytes(whole[:cut])
        run = CudaConvnetRun.open(folder, RunOptions())
        assert [bool(each.problem) for each in run.checkpoints()] == [False, False, False, True]
        assert "10.2" in str(run.checkpoints()[-1].problem)
    (folder / "10.2").write_bytes(b"")
    assert "empty" in str(CudaConvnetRun.open(folder, RunOptions()).checkpoints()[-1].problem)
    with pytest.raises(Unreadable):
        CudaConvnetRun.open(folder / "10.2", RunOptions())


def test_damaged_files_never_do_worse_than_an_error(folder: Path) -> None:
    data = bytearray((folder / "9.1").read_bytes())
    random = np.random.default_rng(3)
    messages = []
    for _ in range(150):
        damaged = bytearray(data)
        for place in random.integers(0, len(data), 4):
            damaged[place] = random.integers(0, 256)
        (folder / "9.1").write_bytes(damaged)
        try:
            run = CudaConvnetRun.open(folder / "9.1", RunOptions())
            run.weights(run.checkpoints()[0])
        except AdaptorError as error:
            messages.append(str(error))
    assert messages
    assert all("9.1" in message for message in messages)


# ---------------------------------------------------------------------------------------------- real figures


def real_run(real_data: Path, name: str) -> CudaConvnetRun:
    return CudaConvnetRun.open(real_data / "cuda_convnet" / name / "ConvNet", RunOptions())


def errors(
    real_data: Path, name: str, batch: tuple[np.ndarray, np.ndarray], loaded: Any, most: int
) -> list[tuple[float, float]]:
    """Of each checkpoint, the error on the first images, and the one its file records of all 10,000."""
    run = real_run(real_data, name)
    mean, _ = read_meta(real_data / "cuda_convnet" / "cifar-10-batches.meta")
    assert mean is not None
    images = batch[0][:most] - mean.reshape(3, 32, 32).transpose(1, 2, 0)
    found, model = [], None
    steps, recorded = run.metrics()["test logprob error"]
    for checkpoint in run.checkpoints():
        model = loaded(run, checkpoint, model)
        answers = model.predict(images, batch_size=500, verbose=0).argmax(axis=1)
        at = np.flatnonzero(steps == checkpoint.step)
        assert len(at) == 1
        found.append((float(np.mean(answers != batch[1][:most])), float(recorded[at[0]])))
    return found


@pytest.mark.real_data
@pytest.mark.parametrize("name", DOCUMENTED)
def test_errors_are_about_those_recorded(real_data: Path, cifar10: Any, loaded: Any, name: str) -> None:
    batch = cifar10("data_batch_5" if name == "no_dropout" else "test_batch")
    for error, recorded in errors(real_data, name, batch, loaded, 400):
        assert abs(error - recorded) < 4 * math.sqrt(0.25 / 400)
        assert error < 0.35  # what follows inputLayers is wrong six times in ten


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize("name", DOCUMENTED)
def test_errors_are_those_recorded(real_data: Path, cifar10: Any, loaded: Any, name: str) -> None:
    batch = cifar10("data_batch_5" if name == "no_dropout" else "test_batch")
    for error, recorded in errors(real_data, name, batch, loaded, 10_000):
        assert f"{error:.4f}" == f"{recorded:.4f}"


@pytest.mark.real_data
def test_a_run_of_a_hundred_classes_opens(real_data: Path) -> None:
    run = CudaConvnetRun.open(real_data / "cuda_convnet" / "cifar100", RunOptions())
    assert run.layers()[-1].output_shape == (100,)
    assert run.input_shape == (32, 32, 3)
    assert run.metrics()["test logprob error"][1][-1] == pytest.approx(0.7087)


def test_what_the_cost_takes_is_the_output(folder: Path, tmp_path: Path) -> None:
    assert CudaConvnetRun.open(folder, RunOptions()).outputs() == ("probs",)
    layers = network(np.random.default_rng(0))
    # A second head, computed after the first: nothing takes it either.
    layers.insert(12, layer("box", "fc", [8], 4, weights=[np.zeros((200, 4), np.float32)],
                            biases=np.zeros((1, 4), np.float32)))  # fmt: skip
    other = tmp_path / "other"
    other.mkdir()
    (other / "1.1").write_bytes(pickle.dumps(state_of(layers, 1, 1), protocol=2))
    run = CudaConvnetRun.open(other, RunOptions())
    assert run.layers()[-1].name == "box"
    assert run.outputs() == ("probs",)
    # Class names go by the output, not by what comes last.
    names = [f"class {place}" for place in range(7)]
    (other / "batches.meta").write_bytes(pickle.dumps({"label_names": names}, protocol=2))
    assert CudaConvnetRun.open(other, RunOptions()).class_names == tuple(names)
