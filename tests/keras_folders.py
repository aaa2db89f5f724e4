"""Runs as Keras 3 leaves them, made without Keras."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np


def save_keras_folder(folder: Path, steps: Sequence[int] = (0, 5, 20), damaged: Sequence[int] = ()) -> Path:
    """A folder as Keras 3 leaves it, made without Keras: ``step_<n>.weights.h5`` beside a ``model.json`` of a
    network with one convolution and one dense layer. Files of ``damaged`` steps end early."""
    folder.mkdir()
    layers = [
        ("InputLayer", {"batch_shape": [None, 8, 8, 1], "name": "image"}),
        ("Conv2D", {"name": "conv", "filters": 4, "kernel_size": [3, 3], "strides": [1, 1], "padding": "same",
                    "activation": "relu", "use_bias": True}),
        ("Flatten", {"name": "flatten"}),
        ("Dense", {"name": "classes", "units": 10, "activation": "softmax", "use_bias": True}),
    ]  # fmt: skip
    config = {
        "class_name": "Sequential",
        "config": {"name": "small", "layers": [{"class_name": c, "config": s} for c, s in layers]},
    }
    (folder / "model.json").write_text(json.dumps(config))
    random = np.random.default_rng(5)
    for step in steps:
        path = folder / f"step_{step:04d}.weights.h5"
        with h5py.File(path, "w") as file:
            for group, name, shapes in (
                ("conv2d", "conv", [(3, 3, 1, 4), (4,)]),
                ("dense", "classes", [(256, 10), (10,)]),
            ):
                variables = file.create_group(f"layers/{group}/vars")
                variables.attrs["name"] = name
                for number, shape in enumerate(shapes):
                    variables[str(number)] = random.normal(size=shape).astype(np.float32)
        if step in damaged:
            path.write_bytes(path.read_bytes()[:3000])
    return folder
