"""Which layers of a Caffe network are its outputs: those that losses take, else the blobs that no layer takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mloscope.adaptors.interface import DeclaresOutputs, RunOptions
from mloscope.adaptors.models.caffe import CaffeRun
from tests.adaptors.models.test_caffe import Net, numbers


def body(*heads: tuple[str, int]) -> Net:
    net = Net(3, 8, 8)
    net.add("conv", "Convolution", "data", "convolution_param { num_output: 4 kernel_size: 8 }", "",
            numbers(4, 3, 8, 8), numbers(4))  # fmt: skip
    net.add("relu", "ReLU", "conv", "", "conv")
    for name, units in heads:
        net.add(name, "InnerProduct", "conv", f"inner_product_param {{ num_output: {units} }}", "",
                numbers(units, 4), np.zeros(units, np.float32))  # fmt: skip
    return net


def outputs(net: Net, folder: Path) -> Any:
    run = CaffeRun.open(net.write(folder), RunOptions())
    assert isinstance(run, DeclaresOutputs)
    return run.outputs()


def test_blobs_that_nobody_takes_are_outputs_in_their_order(tmp_path: Path) -> None:
    net = body(("classes", 2), ("marks", 10))
    net.add("prob", "Softmax", "classes")
    net.add("best", "ArgMax", "prob")
    net.add("quiet", "Silence", "conv", "", "nothing")
    assert outputs(net, tmp_path) == ("marks", "prob")


def test_layers_in_place_are_the_output(tmp_path: Path) -> None:
    net = body(("marks", 10)).add("bounded", "Sigmoid", "marks", "", "marks")
    assert outputs(net, tmp_path) == ("bounded",)


def test_losses_tell_the_outputs_of_a_network_for_training(tmp_path: Path) -> None:
    net = body(("classes", 2), ("box", 4), ("unused", 3))
    net.text += 'layer { name: "labels" type: "Data" top: "label" top: "roi" }\n'
    net.text = net.text.replace('top: "data"', 'top: "data" top: "label" top: "roi"')
    net.add("accuracy", "Accuracy", "classes label")
    net.add("loss", "SoftmaxWithLoss", "classes label")
    net.add("box_loss", "EuclideanLoss", "box roi", "loss_weight: 0.5")
    assert outputs(net, tmp_path) == ("box", "loss")


def test_an_auxiliary_classifier_is_no_output(tmp_path: Path) -> None:
    net = body(("side", 5), ("main", 5))
    net.text = net.text.replace('top: "data"', 'top: "data" top: "label"')
    net.add("main_loss", "SoftmaxWithLoss", "main label")
    net.add("side_loss", "SoftmaxWithLoss", "side label", "loss_weight: 0.3")
    assert outputs(net, tmp_path) == ("main_loss",)
