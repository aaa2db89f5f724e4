"""What excites a unit in an image, projected back to its pixels.

``deconvolution``: Zeiler and Fergus, Visualizing and understanding convolutional networks, 2014: transposed filters, the max pools'
own switches, and signals rectified on their way. ``guided``: Springenberg et al., Striving for simplicity, 2015: units pass on only
where they were positive, too. Both begin with the activation. ``gradient`` (Simonyan et al., 2014) begins with 1.
"""

from __future__ import annotations

import numpy as np

from mloscope.app.errors import BadRequest
from mloscope.app.model_service.backends import Rule
from mloscope.app.model_service.pictures.picture import SILENT, Asked, DifferentiableNetwork, Picture, check_finite

_RULES: dict[str, Rule] = {
    "deconvolution": "deconvolution",
    "guided": "guided",
    "gradient": "gradient",
    "gradient-input": "gradient",
}
VARIANTS = tuple(_RULES)
STRONGEST, WHOLE_MAP = "strongest", "map"


def deconvolution(network: DifferentiableNetwork, asked: Asked, _before: Picture | None = None) -> Picture:
    """Options: ``method``, one of :data:`VARIANTS`; ``of``: ``strongest``, ``map`` or [row, column]; ``units``: their numbers."""
    variant, units = asked.options["method"], list(asked.options["units"])
    activation = network.output(asked.image[np.newaxis], asked.layer)[0]
    check_finite(activation, asked.layer)
    places = activation.reshape(-1, activation.shape[-1])
    chosen = _chosen(activation.shape, places, asked.options["of"], asked.layer)
    begins_with_1 = _RULES[variant] == "gradient"
    values = np.empty((*asked.image.shape, len(units)), np.float32)
    for part in network.in_batches(len(units)):
        seeds = np.zeros((len(units[part]), *places.shape), np.float32)
        for seed, unit in zip(seeds, units[part], strict=True):
            seed[chosen[unit], unit] = 1 if begins_with_1 else places[chosen[unit], unit]
        seeds = seeds.reshape(len(seeds), *activation.shape)
        _output, signal = network.backward(asked.image[np.newaxis], asked.layer, seeds, rule=_RULES[variant])
        values[..., part] = np.moveaxis(signal, 0, -1)
    if variant == "gradient-input":
        values *= asked.image[..., np.newaxis]
    return Picture(
        values, {"activation": [_said(places[chosen[unit], unit], values[..., at]) for at, unit in enumerate(units)]}
    )


def _chosen(shape: tuple[int, ...], places: np.ndarray, of: str | list[int], layer: str) -> list[np.ndarray]:
    """Of each unit, the places whose activation is projected."""
    if of == WHOLE_MAP:
        return [np.arange(len(places))] * places.shape[1]
    if of == STRONGEST:
        return [np.array([place]) for place in np.where(np.isnan(places), -np.inf, places).argmax(axis=0)]
    extent = (1, 1, *shape[:-1])[-2:]
    if len(of) != 2 or not all(0 <= at < length for at, length in zip(of, extent, strict=True)):
        raise BadRequest(f"{layer} has maps of {extent[0]} rows and {extent[1]} columns; got the position {of}.")
    return [np.array([int(of[0]) * extent[1] + int(of[1])])] * places.shape[1]


def _said(activations: np.ndarray, picture: np.ndarray) -> float | str | None:
    """The unit's activation, the largest of several."""
    strongest = float(activations.max())
    if not np.isfinite(strongest):
        return None
    return strongest if picture.any() else SILENT
