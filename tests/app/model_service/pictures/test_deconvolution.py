"""Which activations are projected, and what is said of them; the network is NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from array_backend import SHAPE, ArrayRun, DifferentiatingNetwork

from mloscope.app.errors import BadRequest, NotPossible
from mloscope.app.model_service.pictures.deconvolution import VARIANTS, deconvolution
from mloscope.app.model_service.pictures.picture import SILENT, Asked, DifferentiableNetwork, Picture

IMAGE = np.random.default_rng(0).normal(0, 1, SHAPE).astype(np.float32)


def picture(layer: str, image: np.ndarray = IMAGE, weights: Any = None, **options: Any) -> Picture:
    weights = weights or ArrayRun().arrays[0]
    asked = Asked(layer, {"method": "gradient", "of": "strongest", "units": [0, 1], **options}, image)
    return deconvolution(DifferentiableNetwork(DifferentiatingNetwork(), weights), asked)


def test_the_strongest_activation_of_each_unit_is_projected_to_where_it_is() -> None:
    weights = ArrayRun().arrays[0]
    factor = float(weights["scaled/factor"][0])
    found = picture("scaled", weights=weights)
    assert found.values.shape == (*SHAPE, 2)
    for unit in range(2):
        of_unit = IMAGE[..., unit] * factor
        row, column = np.unravel_index(of_unit.argmax(), of_unit.shape)
        expected = np.zeros(SHAPE, np.float32)
        expected[row, column, unit] = factor
        np.testing.assert_array_equal(found.values[..., unit], expected)
        assert found.figures["activation"][unit] == pytest.approx(of_unit.max())


def test_a_deconvolution_begins_with_the_activation() -> None:
    gradient, projected = (picture("output", method=method, units=[2]) for method in ("gradient", "deconvolution"))
    (activation,) = gradient.figures["activation"]
    np.testing.assert_allclose(projected.values, gradient.values * activation, rtol=1e-5)


@pytest.mark.parametrize(
    ("of", "places"), [("map", np.ones(SHAPE[:2], bool)), ([2, 4], np.arange(20).reshape(4, 5) == 14)]
)
def test_a_whole_map_and_a_position(of: Any, places: np.ndarray) -> None:
    weights = ArrayRun().arrays[0]
    found = picture("scaled", weights=weights, of=of, units=[1])
    np.testing.assert_array_equal(found.values[..., 1, 0], places * weights["scaled/factor"])
    assert not found.values[..., 0, 0].any()


def test_gradient_times_input_explains_what_is_linear() -> None:
    found = picture("output", method="gradient-input", units=[0, 1, 2])
    np.testing.assert_allclose(found.values.sum((0, 1, 2)), found.figures["activation"], rtol=1e-4)


def test_a_unit_that_nothing_excites_is_called_silent() -> None:
    image = IMAGE.copy()
    image[..., 1] = 0
    found = picture("scaled", image, method="deconvolution")
    assert found.figures["activation"][1] == SILENT
    assert found.figures["activation"][0] > 0


@pytest.mark.parametrize("method", VARIANTS)
def test_of_a_layer_without_finite_numbers_there_is_no_picture(method: str) -> None:
    weights = {name: array * np.nan for name, array in ArrayRun().arrays[0].items()}
    with pytest.raises(NotPossible, match="scaled"):
        picture("scaled", weights=weights, method=method)


def test_a_position_outside_the_map_is_refused() -> None:
    for of in ([4, 0], [0, 5], [1]):
        with pytest.raises(BadRequest, match="4 rows and 5 columns"):
            picture("scaled", of=of)
