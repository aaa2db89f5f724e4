"""The image rebuilt from what a layer knows of it; Mahendran and Vedaldi, Understanding deep image representations by inverting them, 2015.

Among images in the range of the original, one is sought whose features at the layer are those of the original, and which is smooth
where the features do not say otherwise:

    |features(x) - features(image)|^2 / |features(image)|^2 + smoothness * total variation(x), beta = 2

by Adam (Kingma and Ba, 2015), which needs no step size of each layer's own.
"""

from __future__ import annotations

import numpy as np

from mloscope.app.errors import NotPossible
from mloscope.app.model_service.pictures.picture import Asked, DifferentiableNetwork, Picture, check_finite

_FIRST_STEP, _LAST_STEP = 0.08, 0.002
"""How far the first and the last iteration go, as a share of the image's range."""
_NOISE = 0.05
"""Of the image that is begun with, around the middle of the range, as a share of it."""
_KEPT, _KEPT_OF_SQUARES, _LEAST = 0.9, 0.99, 1e-12
"""Adam's."""


def inversion(network: DifferentiableNetwork, asked: Asked, before: Picture | None = None) -> Picture:
    """Options: ``iterations``, ``smoothness``, ``seed``. One picture, of no unit in particular."""
    image = asked.image
    target = network.output(image[np.newaxis], asked.layer)
    check_finite(target, asked.layer)
    square = float((target.astype(np.float64) ** 2).sum())
    if not square > 0:
        raise NotPossible(f"{asked.layer} gives nothing but zeros for this image, so nothing can be rebuilt from it.")
    low, high = float(image.min()), float(image.max())
    span = max(high - low, 1e-6)
    if before is None:
        noise = np.random.default_rng(asked.options["seed"]).normal(size=image.shape)
        found = ((low + high) / 2 + _NOISE * span * noise).astype(np.float32)[np.newaxis]
    else:
        found = np.moveaxis(before.values, -1, 0)
    found = np.clip(found, low, high)
    mean, mean_square = np.zeros(found.shape), np.zeros(found.shape)
    weight = asked.options["smoothness"] / (span**2 * image.size)
    seeds, scale = -2 / square * target, 2 / square
    for iteration, share in enumerate(np.geomspace(_FIRST_STEP, _LAST_STEP, asked.options["iterations"]), start=1):
        _output, gradient = network.backward(found, asked.layer, seeds, scale=scale)
        gradient = gradient.astype(np.float64) + weight * _roughness_gradient(found)
        mean += (1 - _KEPT) * (gradient - mean)
        mean_square += (1 - _KEPT_OF_SQUARES) * (gradient**2 - mean_square)
        step = (mean / (1 - _KEPT**iteration)) / (
            np.sqrt(mean_square / (1 - _KEPT_OF_SQUARES**iteration)) + _LEAST / span
        )
        found = np.clip(found - share * span * step, low, high).astype(np.float32)
    reached = network.output(found, asked.layer).astype(np.float64)
    distance = float(np.sqrt(((reached - target) ** 2).sum() / square))
    figures = {"feature distance": [distance], "PSNR in dB": [_psnr(found[0], image, span)]}
    return Picture(np.moveaxis(found, 0, -1), figures)


def _roughness_gradient(images: np.ndarray) -> np.ndarray:
    """Of the sum of squares of differences between neighbours, float64 (image, row, column, channel)."""
    gradient = np.zeros(images.shape)
    for axis in (1, 2):
        differences = np.diff(images.astype(np.float64), axis=axis)
        ends: list[tuple[int, int]] = [(0, 0)] * images.ndim
        for side, sign in (((1, 0), 2.0), ((0, 1), -2.0)):
            ends[axis] = side
            gradient += sign * np.pad(differences, ends)
    return gradient


def _psnr(found: np.ndarray, image: np.ndarray, span: float) -> float:
    """Peak signal to noise ratio, in dB; the peak is the image's range. 100 at most."""
    error = float(((found.astype(np.float64) - image) ** 2).mean())
    return min(100.0, float(10 * np.log10(span**2 / max(error, 1e-30))))
