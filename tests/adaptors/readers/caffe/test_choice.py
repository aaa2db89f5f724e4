"""Which .prototxt of several is the network of the snapshots, and what is said where that is doubtful."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mloscope.adaptors.interface import RunOptions
from mloscope.adaptors.models.caffe import CaffeRun
from tests.adaptors.models.test_caffe import Net, caffemodel, numbers


def net(units: int, kernel: int = 3, pooling: str = "MAX") -> Net:
    """Networks whose layers have the same names; what the last has to take depends on all sizes."""
    made = Net(3, 8, 8)
    places = (8 - kernel + 1) // 2
    made.add("conv1", "Convolution", "data", f"convolution_param {{ num_output: {units} kernel_size: {kernel} }}", "",
             numbers(units, 3, kernel, kernel), numbers(units))  # fmt: skip
    made.add("pool", "Pooling", "conv1", f"pooling_param {{ pool: {pooling} kernel_size: 2 stride: 2 }}")
    made.add("fc", "InnerProduct", "pool", "inner_product_param { num_output: 5 }", "",
             numbers(5, units * places**2), np.zeros(5, np.float32))  # fmt: skip
    return made.add("prob", "Softmax", "fc")


def write(folder: Path, snapshot: str, of: Net, **described: Net) -> CaffeRun:
    folder.mkdir(exist_ok=True)
    for name, each in described.items():
        (folder / f"{name}.prototxt").write_text(each.text)
    (folder / f"{snapshot}.caffemodel").write_bytes(caffemodel(of.stored))
    return CaffeRun.open(folder, RunOptions())


def pooling(run: CaffeRun) -> str:
    return next(layer.kind for layer in run.layers() if layer.name == "pool")


@pytest.mark.parametrize("units", [4, 6])
def test_sizes_decide(tmp_path: Path, units: int) -> None:
    with_more = net(units)
    with_more.stored.append(("auxiliary", "InnerProduct", [numbers(2, 9)]))
    run = write(tmp_path, "some_iter_1", with_more, a=net(4), b=net(6))
    assert run.layers()[1].output_shape == (6, 6, units)
    assert not any(layer.problem for layer in run.layers())
    assert any("fits most" in sentence for sentence in run.problems())  # what is left has no place in it


def test_sizes_of_kernels_decide(tmp_path: Path) -> None:
    run = write(tmp_path, "some_iter_1", net(4, kernel=5), a=net(4, kernel=3), b=net(4, kernel=5))
    assert run.layers()[1].output_shape == (4, 4, 4)
    assert not any(layer.problem for layer in run.layers())
    assert run.problems() == ()


def test_then_the_name_of_the_snapshot_decides(tmp_path: Path) -> None:
    run = write(tmp_path, "det2_iter_1", net(4), det1=net(4), det2_deploy=net(4, pooling="AVE"))
    assert pooling(run) == "average pooling"
    assert run.problems() == ()


def test_what_stays_doubtful_is_said(tmp_path: Path) -> None:
    run = write(tmp_path, "weights_iter_1", net(4), first=net(4), second=net(4, pooling="AVE"))
    assert pooling(run) == "max pooling"
    (sentence,) = run.problems()
    assert "first.prototxt" in sentence
    assert "second.prototxt" in sentence
    # Two that say the same of what they share are no reason for doubt.
    assert write(tmp_path / "other", "weights_iter_1", net(4), first=net(4), second=net(4)).problems() == ()


def test_the_first_difference_of_another_network_is_named(tmp_path: Path) -> None:
    write(tmp_path, "net_iter_1", net(4), net=net(4))
    write(tmp_path, "net_iter_2", net(4))
    run = write(tmp_path, "net_iter_3", net(6))
    problems = [each.problem for each in run.checkpoints()]
    assert problems[:2] == [None, None]
    assert "conv1" in str(problems[2])


def test_several_mean_images_are_said(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.binaryproto").write_bytes(b"")
    run = write(tmp_path, "net_iter_1", net(4), net=net(4))
    assert any("a.binaryproto, b.binaryproto" in sentence for sentence in run.problems())
