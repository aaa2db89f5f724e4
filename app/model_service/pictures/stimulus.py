"""The image that excites a unit most, sought by following the gradient from the one that excited it a checkpoint before.

``norm``: under the norm of a real image; Le et al., Building high-level features using large scale unsupervised learning, 2012.
``regularised``: within the image's range too, with small shifts at random, and with longer steps for coarse detail, as natural images
have more of it; Olah et al., Feature visualization, 2017. ``phase``: with the magnitudes of the real image's spectrum fixed, so that
only phases are sought; Fel et al., Unlocking feature visualization for deeper networks, 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mloscope.app.model_service.pictures.picture import SILENT, Asked, DifferentiableNetwork, Picture, check_finite

VARIANTS = ("norm", "regularised", "phase")
MEAN, CENTRE = "mean", "centre"
_FIRST_STEP, _LAST_STEP = 0.2, 0.01
"""How far the first and the last iteration go, as a share of the image's norm."""
_SHIFT = 1 / 16
"""The farthest shift, as a share of the image's shorter side."""


def stimulus(network: DifferentiableNetwork, asked: Asked, before: Picture | None = None) -> Picture:
    """Options: ``method``, one of :data:`VARIANTS`; ``of``: ``mean`` of the map or its ``centre``; ``units``; ``iterations``; ``seed``.

    ``asked.image`` is the real image whose norm, range and spectrum count."""
    units = list(asked.options["units"])
    real = network.output(asked.image[np.newaxis], asked.layer)[0]
    check_finite(real, asked.layer)
    values = np.empty((*asked.image.shape, len(units)), np.float32)
    said: list[float | str | None] = []
    for part in network.in_batches(len(units)):
        seeds = _seeds(real.shape, units[part], asked.options["of"])
        ascent = _Ascent(network, asked, seeds)
        start = ascent.start(units[part]) if before is None else np.moveaxis(before.values[..., part], -1, 0)
        images = ascent.from_here(ascent.projected(start))
        values[..., part] = np.moveaxis(images, 0, -1)
        reached = (network.output(images, asked.layer) * seeds).reshape(len(seeds), -1).sum(axis=1)
        said += [float(value) if is_moved else SILENT for value, is_moved in zip(reached, ascent.moved, strict=True)]
    of_real = (real * _seeds(real.shape, units, asked.options["of"])).reshape(len(units), -1).sum(axis=1)
    return Picture(values, {"activation": said, "the image's": [float(value) for value in of_real]})


def _seeds(shape: tuple[int, ...], units: list[int], of: str) -> np.ndarray:
    seeds = np.zeros((len(units), *shape), np.float32)
    centre = tuple(length // 2 for length in shape[:-1])
    for seed, unit in zip(seeds, units, strict=True):
        if of == CENTRE:
            seed[(*centre, unit)] = 1
        else:
            seed[..., unit] = 1 / np.prod(shape[:-1])
    return seeds


@dataclass
class _Ascent:
    """Images of several units on their way up. ``moved`` says which ever had a gradient."""

    network: DifferentiableNetwork
    asked: Asked
    seeds: np.ndarray

    def __post_init__(self) -> None:
        image = self.asked.image
        self.moved = np.zeros(len(self.seeds), bool)
        self.norm = max(float(np.linalg.norm(image)), 1e-6)
        self.low, self.high = float(image.min()), float(image.max())
        self.spectrum = np.abs(np.fft.rfft2(image, axes=(0, 1)))
        rows, columns = image.shape[:2]
        frequency = np.hypot(np.fft.fftfreq(rows)[:, np.newaxis], np.fft.rfftfreq(columns)[np.newaxis])
        self.preference = (1 / np.maximum(frequency, 1 / max(rows, columns)) ** 2)[..., np.newaxis]
        """By how much coarse detail is preferred to fine."""

    def start(self, units: list[int]) -> np.ndarray:
        """Noise, the same for each unit whichever others are asked for."""
        noise = [
            np.random.default_rng([self.asked.options["seed"], unit]).normal(size=self.asked.image.shape)
            for unit in units
        ]
        return np.array(noise, np.float32)

    def from_here(self, images: np.ndarray) -> np.ndarray:
        count, random = self.asked.options["iterations"], np.random.default_rng(self.asked.options["seed"])
        is_plain = self.asked.options["method"] == "norm"
        most = max(1, round(_SHIFT * min(self.asked.image.shape[:2])))
        for share in np.linspace(_FIRST_STEP, _LAST_STEP, count):
            by = (0, 0) if is_plain else tuple(int(each) for each in random.integers(-most, most + 1, 2))
            shifted = np.roll(images, by, axis=(1, 2))
            _output, gradient = self.network.backward(shifted, self.asked.layer, self.seeds)
            gradient = np.roll(gradient, tuple(-each for each in by), axis=(1, 2))
            length = _norms(gradient)
            self.moved |= length.ravel() > 0
            direction = gradient if is_plain else self._smoothed(gradient)
            step = share * self.norm * direction / np.maximum(_norms(direction), 1e-30)
            images = self.projected(images + np.where(length > 0, step, 0))
        return images

    def projected(self, images: Any) -> np.ndarray:
        """The nearest images that are allowed."""
        method = self.asked.options["method"]
        if method == "phase":
            found = np.fft.rfft2(images, axes=(1, 2))
            found = self.spectrum * np.exp(1j * np.angle(found))
            return np.fft.irfft2(found, self.asked.image.shape[:2], axes=(1, 2)).astype(np.float32)
        images = images * (self.norm / np.maximum(_norms(images), 1e-30))
        if method == "regularised":
            images = np.clip(images, self.low, self.high)
        return np.asarray(images, np.float32)

    def _smoothed(self, gradient: np.ndarray) -> np.ndarray:
        found = np.fft.rfft2(gradient, axes=(1, 2)) * self.preference
        return np.fft.irfft2(found, gradient.shape[1:3], axes=(1, 2)).astype(np.float32)


def _norms(images: np.ndarray) -> np.ndarray:
    """(image, 1, 1, 1)"""
    return np.sqrt((images.astype(np.float64) ** 2).sum(axis=(1, 2, 3), keepdims=True))
