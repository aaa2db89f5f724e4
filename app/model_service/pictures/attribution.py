"""Where in an image a score comes from: a class's, the difference of two, or a unit's.

``gradient``: Simonyan et al., 2014. ``smoothgrad``: its mean over noisy images; Smilkov et al., 2017. ``integrated``: integrated gradients,
Sundararajan et al., 2017. ``grad-cam``: Selvaraju et al., 2017, at the layer asked for. ``occlusion``: Zeiler and Fergus, 2014.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mloscope.app.errors import NotPossible
from mloscope.app.model_service.pictures.picture import Asked, DifferentiableNetwork, Picture, check_finite

FLAT = "no gradient"
"""What stands instead of a score that no pixel changes, as a saturated probability's."""
_BLUR = 0.1
"""Of the image's shorter side, the standard deviation of a blurred baseline."""


@dataclass(frozen=True)
class Score:
    """A weighted sum of a layer's units, of maps their mean."""

    network: DifferentiableNetwork
    layer: str
    weights: Sequence[Sequence[float]]
    """(unit, weight) each."""

    def of(self, images: np.ndarray) -> np.ndarray:
        """float64 (image,)"""
        found = [
            self._summed(self.network.output(images[part], self.layer)) for part in self.network.in_batches(len(images))
        ]
        return np.concatenate(found)

    def gradients(self, images: np.ndarray) -> np.ndarray:
        """With respect to the images, float32 of their shape."""
        found = []
        for part in self.network.in_batches(len(images)):
            seeds = self._seeds(images[part])
            found.append(self.network.backward(images[part], self.layer, seeds)[1])
        return np.concatenate(found)

    def gradient_at(self, image: np.ndarray, layer: str) -> np.ndarray:
        """With respect to what another layer makes of the image, float32 of that layer's shape."""
        seeds = self._seeds(image[np.newaxis])
        return self.network.backward(image[np.newaxis], self.layer, seeds, with_respect_to=layer)[1][0]

    def _seeds(self, images: np.ndarray) -> np.ndarray:
        output = self.network.output(images[:1], self.layer)
        seeds = np.zeros((len(images), *output.shape[1:]), np.float32)
        for unit, weight in self.weights:
            seeds[..., int(unit)] = weight / np.prod(output.shape[1:-1])
        return seeds

    def _summed(self, output: np.ndarray) -> np.ndarray:
        of_units = output.reshape(len(output), -1, output.shape[-1]).mean(axis=1, dtype=np.float64)
        return sum((weight * of_units[:, int(unit)] for unit, weight in self.weights), np.zeros(len(output)))


def attribution(network: DifferentiableNetwork, asked: Asked, _before: Picture | None = None) -> Picture:
    """Options: ``method``, one of :data:`VARIANTS`; ``target``: a layer and (unit, weight) of each that is summed; and those that the
    method's function reads. ``asked.beside``: the baseline; where there is none, it is the blurred image."""
    layer, weights = asked.options["target"]
    score = Score(network, layer, weights)
    reached = score.of(asked.image[np.newaxis])
    check_finite(reached, layer)
    values, more = _METHODS[asked.options["method"]](score, asked)
    said: dict[str, list[float | str | None]] = {"score": [float(reached[0]) if values.any() else FLAT]}
    return Picture(values.astype(np.float32)[..., np.newaxis], said | {name: [value] for name, value in more.items()})


# ------------------------------------------------------------------------------------------------------- methods


def _gradient(score: Score, asked: Asked) -> tuple[np.ndarray, dict[str, float]]:
    return score.gradients(asked.image[np.newaxis])[0], {}


def _smoothgrad(score: Score, asked: Asked) -> tuple[np.ndarray, dict[str, float]]:
    """``samples``; ``noise``: its standard deviation as a share of the image's range; ``seed``."""
    random = np.random.default_rng(asked.options["seed"])
    deviation = asked.options["noise"] * np.ptp(asked.image)
    noise = random.normal(0, deviation, (asked.options["samples"], *asked.image.shape)).astype(np.float32)
    return score.gradients(asked.image + noise).mean(axis=0), {}


def _integrated(score: Score, asked: Asked) -> tuple[np.ndarray, dict[str, float]]:
    """``points``: how many, on the straight way from the baseline to the image."""
    baseline = baseline_of(asked)
    shares, parts = points_on_the_way(score, asked.image, baseline, asked.options["points"])
    values = integrated_gradients(score, asked.image, baseline, shares, parts)
    ends = score.of(np.stack([baseline, asked.image]))
    rise = ends[1] - ends[0]
    gap = abs(values.sum(dtype=np.float64) - rise) / abs(rise) if rise else 0.0
    return values, {"baseline's score": float(ends[0]), "completeness gap (%)": float(100 * gap)}


def _grad_cam(score: Score, asked: Asked) -> tuple[np.ndarray, dict[str, float]]:
    return resized(grad_cam(score, asked.image, asked.layer), asked.image.shape[:2])[..., np.newaxis], {}


def _occlusion(score: Score, asked: Asked) -> tuple[np.ndarray, dict[str, float]]:
    """``patch`` and ``stride``, in pixels."""
    drops, counts = occlusion(score, asked.image, baseline_of(asked), asked.options["patch"], asked.options["stride"])
    return (drops / np.maximum(counts, 1))[..., np.newaxis], {}


_METHODS: dict[str, Callable[[Score, Asked], tuple[np.ndarray, dict[str, float]]]] = {
    "gradient": _gradient,
    "smoothgrad": _smoothgrad,
    "integrated": _integrated,
    "grad-cam": _grad_cam,
    "occlusion": _occlusion,
}
VARIANTS = tuple(_METHODS)


def points_on_the_way(
    score: Score, image: np.ndarray, baseline: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the way from the baseline to the image, and the part of the way that each stands for, in whose middle it lies.

    Half of the points are spread evenly, half by how much the score changes: a saturated score changes in a few places only."""
    ends = np.linspace(0, 1, count + 1)
    changes = np.abs(np.diff(score.of(_between(baseline, image, ends))))
    even = np.full(count, 1 / count)
    density = (even + changes / changes.sum()) / 2 if changes.sum() > 0 else even
    borders = np.interp(ends, np.concatenate([[0], density.cumsum()]), ends)
    return (borders[1:] + borders[:-1]) / 2, np.diff(borders)


def integrated_gradients(
    score: Score, image: np.ndarray, baseline: np.ndarray, shares: np.ndarray, parts: np.ndarray
) -> np.ndarray:
    """The gradients at these shares of the way from the baseline to the image, each times its part of the way."""
    total = np.zeros(image.shape, np.float64)
    for piece in score.network.in_batches(len(shares)):
        gradients = score.gradients(_between(baseline, image, shares[piece]))
        total += np.tensordot(parts[piece], gradients.astype(np.float64), 1)
    return (image - baseline) * total


def _between(baseline: np.ndarray, image: np.ndarray, shares: np.ndarray) -> np.ndarray:
    return baseline + shares[:, np.newaxis, np.newaxis, np.newaxis].astype(np.float32) * (image - baseline)


def grad_cam(score: Score, image: np.ndarray, layer: str) -> np.ndarray:
    """float32 (row, column) of the layer: the positive part of its maps, each times its mean gradient, summed."""
    maps = score.network.output(image[np.newaxis], layer)[0]
    if maps.ndim != 3:
        raise NotPossible(f"Grad-CAM needs a layer with maps of rows and columns; {layer} gives {maps.shape}.")
    return np.maximum(maps @ score.gradient_at(image, layer).mean(axis=(0, 1)), 0)


def occlusion(
    score: Score, image: np.ndarray, fill: np.ndarray, patch: int, stride: int
) -> tuple[np.ndarray, np.ndarray]:
    """(row, column): by how much the score drops, summed over the patches that cover a place; and how many do. The last patches reach
    the edges, whatever the stride."""
    rows, columns = (_begins(size, patch, stride) for size in image.shape[:2])
    places = [(slice(row, row + patch), slice(column, column + patch)) for row in rows for column in columns]
    whole = float(score.of(image[np.newaxis])[0])
    drops, counts = np.zeros(image.shape[:2]), np.zeros(image.shape[:2])
    for part in score.network.in_batches(len(places)):
        covered = np.repeat(image[np.newaxis], len(places[part]), axis=0)
        for each, place in zip(covered, places[part], strict=True):
            each[place] = fill[place]
        for place, found in zip(places[part], score.of(covered), strict=True):
            drops[place] += whole - found
            counts[place] += 1
    return drops, counts


def _begins(size: int, patch: int, stride: int) -> list[int]:
    last = max(0, size - patch)
    return sorted({*range(0, last + 1, stride), last})


# ------------------------------------------------------------------------------------------------------ pictures


def baseline_of(asked: Asked) -> np.ndarray:
    """The one given, else the image without its detail."""
    return asked.beside if asked.beside is not None else blurred(asked.image, _BLUR * min(asked.image.shape[:2]))


def blurred(image: np.ndarray, deviation: float) -> np.ndarray:
    """By a Gaussian; edges are continued."""
    reach = max(1, round(3 * deviation))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(deviation, 1e-6)) ** 2)
    weights /= weights.sum()
    for axis in (0, 1):
        around: Any = [(reach, reach) if each == axis else (0, 0) for each in range(3)]
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(image, around, mode="edge"), 2 * reach + 1, axis)
        image = windows @ weights
    return image.astype(np.float32)


def resized(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(row, column) in another size, bilinear."""
    for axis, length in enumerate(shape[:2]):
        own = values.shape[axis]
        at = np.clip((np.arange(length) + 0.5) * own / length - 0.5, 0, own - 1)
        low = np.floor(at).astype(int)
        share = np.expand_dims(at - low, 1 - axis)
        values = values.take(low, axis) * (1 - share) + values.take(np.minimum(low + 1, own - 1), axis) * share
    return values
