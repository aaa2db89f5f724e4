"""Runs of decaf: files made after decaf's source, computed by its formulas; lists of cuda-convnet's layers from
cuda-convnet's real files."""

from __future__ import annotations

import os
import pickle
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mloscope.adaptors import registry
from mloscope.adaptors.conformance import RunConformance
from mloscope.adaptors.interface import AdaptorError, Preprocessing, Refused, RunOptions, Unreadable
from mloscope.adaptors.models.cuda_convnet import CudaConvnetRun
from mloscope.adaptors.models.decaf import DecafRun
from mloscope.adaptors.readers.cuda_convnet.files import read_state
from mloscope.adaptors.readers.mean_image import read_mean_image

CLASSES = 5

# ---------------------------------------------------------------------------------- files made after the source


class Blob:
    """Pickles as its data and filler, as ``decaf._blob.Blob`` does."""

    def __init__(self, data: np.ndarray | None = None, filler: Any = None) -> None:
        self.data, self.filler = data, filler

    def __getstate__(self) -> Any:
        return self.data, self.filler

    def __setstate__(self, state: Any) -> None:
        raise AssertionError("this class must not be used")


class _Plain:
    def __init__(self, **state: Any) -> None:
        self.__dict__.update(state)

    def __setstate__(self, state: Any) -> None:
        raise AssertionError("this class must not be used")


_MODULES = {
    "Blob": "decaf._blob",
    "ConvolutionLayer": "decaf.layers.convolution",
    "GroupConvolutionLayer": "decaf.layers.group_convolution",
    "InnerProductLayer": "decaf.layers.innerproduct",
    "PoolingLayer": "decaf.layers.pooling",
    "ReLULayer": "decaf.layers.relu",
    "DropoutLayer": "decaf.layers.dropout",
    "FlattenLayer": "decaf.layers.flatten",
    "SoftmaxLayer": "decaf.layers.softmax",
    "LocalResponseNormalizeLayer": "decaf.layers.normalize",
    "MeanNormalizeLayer": "decaf.layers.normalize",
    "L2Regularizer": "decaf.layers.regularization",
    "GaussianFiller": "decaf.layers.fillers",
}


@pytest.fixture
def decaf(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """Classes that pickle under the names of decaf's; reading them back as they are fails."""
    made = {}
    for name, module in _MODULES.items():
        parts = module.split(".")
        for end in range(1, len(parts) + 1):
            path = ".".join(parts[:end])
            if path not in sys.modules:
                monkeypatch.setitem(sys.modules, path, types.ModuleType(path))
        base = Blob if name == "Blob" else _Plain
        made[name] = type(name, (base,), {"__module__": module, "__qualname__": name})
        setattr(sys.modules[module], name, made[name])
    return types.SimpleNamespace(**made)


def saved_net(decaf: Any, seed: int) -> list[Any]:
    """What ``Net.save`` pickles: every kind of layer that is computed, with and without bias."""
    random = np.random.default_rng(seed)

    def blob(*shape: int) -> Any:
        return decaf.Blob(random.normal(0, 0.3, shape).astype(np.float32), decaf.GaussianFiller(spec={"std": 0.1}))

    def layer(kind: str, name: str, **more: Any) -> Any:
        spec = {key.lstrip("_"): value for key, value in more.items() if isinstance(value, int | float | str)}
        state = {"spec": {"name": name, **spec}, "name": name, "freeze": False, "_param": [], **more}
        return getattr(decaf, kind)(**state)

    def convolution(name: str, size: int, stride: int, pad: int, channels: int, units: int, bias: bool) -> Any:
        kernels = blob(size * size * channels, units)
        own = {"_bias": blob(units)} if bias else {}
        return layer(
            "ConvolutionLayer", name, _kernels=kernels, _num_kernels=units, _ksize=size, _stride=stride,
            _pad_size=pad, _has_bias=bias, _padded=decaf.Blob(), _col=decaf.Blob(), _mode="same",
            _reg=decaf.L2Regularizer(_weight=0.1), **own,
        )  # fmt: skip

    group = layer(
        "GroupConvolutionLayer",
        "conv2",
        _group=2,
        _conv_layers=[convolution("conv2_sub", 3, 1, 0, 3, 4, True) for _ in range(2)],
    )
    layers = {
        "conv1": (convolution("conv1", 3, 1, 1, 3, 6, False), ["data"], ["conv1_out"]),
        "relu1": (layer("ReLULayer", "relu1"), ["conv1_out"], ["relu1_out"]),
        "pool1": (layer("PoolingLayer", "pool1", _psize=3, _stride=2, _mode="max"), ["relu1_out"], ["pool1_out"]),
        "norm1": (
            layer("LocalResponseNormalizeLayer", "norm1", _k=1.5, _alpha=0.4, _beta=0.75, _size=3),
            ["pool1_out"],
            ["norm1_out"],
        ),
        "conv2": (group, ["norm1_out"], ["conv2_out"]),
        "pool2": (layer("PoolingLayer", "pool2", _psize=3, _stride=2, _mode="ave"), ["conv2_out"], ["pool2_out"]),
        "flatten": (layer("FlattenLayer", "flatten"), ["pool2_out"], ["flat"]),
        "drop": (layer("DropoutLayer", "drop", ratio=0.5, _mask=decaf.Blob()), ["flat"], ["dropped"]),
        "fc": (
            layer(
                "InnerProductLayer", "fc", _weight=blob(2 * 2 * 8, CLASSES), _bias=blob(CLASSES), _num_output=CLASSES
            ),
            ["dropped"],
            ["fc_out"],
        ),
        "prob": (layer("SoftmaxLayer", "prob"), ["fc_out"], ["prob_out"]),
    }
    names = list(layers)
    random.shuffle(names)  # decaf writes a dictionary of Python 2, in no order
    return ["net", {name: layers[name] for name in names}]


def write(path: Path, content: Any) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=2))
    return path


@pytest.fixture
def folder(decaf: Any, tmp_path: Path) -> Path:
    made = tmp_path / "run"
    made.mkdir()
    for step in (9, 10):
        write(made / f"net.decafnet.epoch{step}", saved_net(decaf, step))
    return made


def convolved(image: np.ndarray, kernels: np.ndarray, bias: Any, size: int, pad: int) -> np.ndarray:
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))
    side = padded.shape[0] - size + 1
    patches = [[padded[y : y + size, x : x + size].ravel() @ kernels + bias for x in range(side)] for y in range(side)]
    return np.array(patches)


def pooled(image: np.ndarray, rule: Callable[..., Any]) -> np.ndarray:
    count = -((3 - image.shape[0]) // 2) + 1
    places = [[image[2 * y : 2 * y + 3, 2 * x : 2 * x + 3] for x in range(count)] for y in range(count)]
    return np.array([[rule(place, axis=(0, 1)) for place in row] for row in places])


def expected(content: list[Any], image: np.ndarray) -> dict[str, np.ndarray]:
    """The outputs of :func:`saved_net`, by the formulas of decaf's layers."""
    layers = {name: entry[0] for name, entry in content[1].items()}
    out = {"conv1": convolved(image, layers["conv1"]._kernels.data, 0, 3, 1)}
    out["relu1"] = np.maximum(out["conv1"], 0)
    out["pool1"] = pooled(out["relu1"], np.max)
    squares = np.pad(out["pool1"] ** 2, ((0, 0), (0, 0), (1, 1)))
    sums = sum(squares[..., offset : offset + 6] for offset in range(3))
    out["norm1"] = out["pool1"] * (1.5 + 0.4 / 3 * sums) ** -0.75
    halves = zip((out["norm1"][..., :3], out["norm1"][..., 3:]), layers["conv2"]._conv_layers, strict=True)
    out["conv2"] = np.concatenate([convolved(x, c._kernels.data, c._bias.data, 3, 0) for x, c in halves], axis=-1)
    out["pool2"] = pooled(out["conv2"], np.mean)
    out["fc"] = out["pool2"].ravel() @ layers["fc"]._weight.data + layers["fc"]._bias.data
    powers = np.exp(out["fc"] - out["fc"].max())
    out["prob"] = powers / powers.sum()
    return out


class TestSavedNets(RunConformance):
    adaptor = DecafRun

    @pytest.fixture
    def path(self, folder: Path) -> Path:
        return folder


def test_every_layer_computes_what_decaf_does(decaf: Any, folder: Path, feature_maps: Any) -> None:
    # The size of the images is not in the file: it follows from what the dense layer takes.
    run = DecafRun.open(folder, RunOptions())
    assert [each.step for each in run.checkpoints()] == [9, 10]
    side = run.input_shape[0]
    assert run.input_shape == (side, side, 3)
    image = np.random.default_rng(1).normal(size=(side, side, 3)).astype(np.float32)
    for checkpoint in run.checkpoints():
        maps = feature_maps(run, checkpoint, image[None])
        for name, values in expected(saved_net(decaf, checkpoint.step), image).items():
            np.testing.assert_allclose(maps[name][0], values, rtol=1e-4, atol=1e-5, err_msg=name)


def test_arrays_are_those_of_the_file(decaf: Any, folder: Path) -> None:
    run = DecafRun.open(folder, RunOptions())
    layers = {layer.name: layer for layer in run.layers()}
    held = {name: entry[0] for name, entry in saved_net(decaf, 9)[1].items()}
    checkpoint = run.checkpoints()[0]
    kernel = run.parameters(checkpoint, layers["conv1"])["kernel"]
    assert layers["conv1"].parameters[0].axes == ("row", "column", "channel", "unit")
    assert np.array_equal(kernel.reshape(27, 6), held["conv1"]._kernels.data)
    kernel = run.parameters(checkpoint, layers["conv2"])["kernel"]
    assert np.array_equal(kernel[..., 4:].reshape(27, 4), held["conv2"]._conv_layers[1]._kernels.data)
    assert np.array_equal(run.parameters(checkpoint, layers["fc"])["kernel"], held["fc"]._weight.data)
    assert layers["fc"].parameters[0].flattened == ("row", "column", "channel")


def test_layers_are_put_in_order_and_named_as_they_were(folder: Path) -> None:
    layers = DecafRun.open(folder, RunOptions()).layers()
    assert layers[0].kind == "input"
    assert [layer.name for layer in layers[1:]] == [
        "conv1", "relu1", "pool1", "norm1", "conv2", "pool2", "flatten", "drop", "fc", "prob"
    ]  # fmt: skip
    assert layers[5].hyperparameters["group"] == 2
    assert not any(layer.problem for layer in layers)


def test_a_layer_that_is_not_supported_is_named(decaf: Any, tmp_path: Path, feature_maps: Any) -> None:
    content = saved_net(decaf, 1)
    content[1]["prob"] = (decaf.MeanNormalizeLayer(spec={}, name="prob"), *content[1]["prob"][1:])
    run = DecafRun.open(write(tmp_path / "net.decaf", content), RunOptions())
    assert "prob cannot be evaluated: it is a MeanNormalizeLayer" in " ".join(run.problems())
    image = np.zeros((1, *run.input_shape), np.float32)
    assert "fc" in feature_maps(run, run.checkpoints()[0], image)


def test_without_a_dense_layer_the_size_of_the_images_is_not_known(decaf: Any, tmp_path: Path) -> None:
    content = saved_net(decaf, 1)
    for name in ("flatten", "drop", "fc", "prob"):
        del content[1][name]
    run = DecafRun.open(write(tmp_path / "net.decaf", content), RunOptions())
    assert run.input_shape is None
    assert "does not say how large its images are" in run.problems()[0]
    assert run.parameters(run.checkpoints()[0], run.layers()[1])["kernel"].shape == (3, 3, 3, 6)
    with pytest.raises(Unreadable, match="no layer that can be evaluated"):
        run.keras_model()


# ------------------------------------------------------------------------------- lists of cuda-convnet's layers


def _ordinary(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return np.array(value)
    if isinstance(value, dict):
        return {key: _ordinary(item) for key, item in value.items()}
    return [_ordinary(item) for item in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def model_file(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real run's layers as decaf's ImageNet model has them, with its ``.meta``."""
    source = real_data / "cuda_convnet" / "no_dropout" / "ConvNet" / "150.2"
    layers = [_ordinary(layer) for layer in read_state(source).layers]
    mean = np.arange(3 * 40 * 40, dtype=np.float32).reshape(-1, 1)
    folder = tmp_path_factory.mktemp("cifar")
    write(folder / "cifar.decafnet.meta", {"data_mean": mean, "label_names": [f"c{i}" for i in range(10)]})
    return write(folder / "cifar.decafnet.epoch150", layers)


@pytest.mark.real_data
class TestLayersOfCudaConvnet(RunConformance):
    adaptor = DecafRun

    @pytest.fixture
    def path(self, model_file: Path) -> Path:
        return model_file


@pytest.mark.real_data
def test_layers_of_cuda_convnet_are_the_same_run(model_file: Path, real_data: Path, feature_maps: Any) -> None:
    run = registry.open_run(model_file.parent)
    same = CudaConvnetRun.open(real_data / "cuda_convnet" / "no_dropout" / "ConvNet", RunOptions())
    assert run.format == "decaf"
    assert run.checkpoints()[0].step == 150
    assert run.layers() == same.layers()
    assert run.class_names == tuple(f"c{i}" for i in range(10))
    assert run.preprocessing == Preprocessing(mean=str(model_file.parent / "cifar.decafnet.meta"))
    image = np.random.default_rng(1).normal(size=(1, *run.input_shape)).astype(np.float32)
    ours, theirs = (feature_maps(each, each.checkpoints()[0], image) for each in (run, same))
    for name, values in theirs.items():
        assert np.array_equal(ours[name], values), name


@pytest.mark.real_data
def test_of_the_mean_image_the_middle_is_taken(model_file: Path) -> None:
    mean = read_mean_image(model_file.with_name("cifar.decafnet.meta"), (32, 32, 3))
    whole = np.arange(3 * 40 * 40).reshape(3, 40, 40).transpose(1, 2, 0)
    assert np.array_equal(mean, whole[4:36, 4:36])


# ------------------------------------------------------------------------------------------- what is refused


class Attack:
    def __reduce__(self) -> Any:
        return os.system, ("touch attacked",)


def test_a_pickle_that_asks_for_anything_else_is_refused_by_name(decaf: Any, tmp_path: Path) -> None:
    content = saved_net(decaf, 1)
    content[1]["fc"][0].spec["reg"] = Attack()
    path = write(tmp_path / "net.decaf", content)
    with pytest.raises(Refused, match=rf"net\.decaf.*{os.system.__module__}\.system"):
        DecafRun.open(path, RunOptions())
    assert not Path("attacked").exists()


def test_broken_files_are_said_to_be_broken(folder: Path) -> None:
    path = folder / "net.decafnet.epoch10"
    whole = path.read_bytes()
    for cut in (600, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        run = DecafRun.open(folder, RunOptions())
        assert [bool(each.problem) for each in run.checkpoints()] == [False, True]


@pytest.mark.parametrize("content", [[], [1, 2], ["net", {"a": 1}], [{"x": 1}], ["net", {"a": (1, 2, 3)}]])
def test_what_is_no_network_is_refused_in_a_sentence(tmp_path: Path, content: Any) -> None:
    with pytest.raises(AdaptorError, match=r"net\.decaf"):
        DecafRun.open(write(tmp_path / "net.decaf", content), RunOptions())


def test_a_folder_of_somebody_elses_files_is_not_opened_file_by_file(tmp_path: Path, opened: set[Path]) -> None:
    for step in range(300):
        (tmp_path / f"cp-{step:04}.ckpt.index").write_bytes(b"\x80\x02]no")
    opened.clear()
    assert not DecafRun.can_open(tmp_path)
    assert len({path for path in opened if path.parent == tmp_path}) < 20


def test_what_no_layer_needs_is_the_output(decaf: Any, folder: Path, tmp_path: Path) -> None:
    assert DecafRun.open(folder, RunOptions()).outputs() == ("prob",)
    name, layers = saved_net(decaf, 3)
    layers["another"] = (decaf.ReLULayer(spec={"name": "another"}), ["fc_out"], ["another_out"])
    other = tmp_path / "other"
    other.mkdir()
    write(other / "net.decafnet.epoch3", [name, layers])
    assert set(DecafRun.open(other, RunOptions()).outputs()) == {"prob", "another"}
