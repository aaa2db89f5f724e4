"""A line around images: read from an address, and what lies within it."""

from __future__ import annotations

import numpy as np
import pytest

from mloscope.app.errors import BadRequest
from mloscope.app.statistics.clusters.lasso import Lasso
from mloscope.app.statistics.clusters.store import NO_COORDINATE


def within(lasso: str, *places: tuple[int, int]) -> list[bool]:
    """Whether places lie within; as corners, from 0 to 999."""
    codes = np.rint(np.array(places) / 999 * 65534 - 32767).astype(np.int16)
    return Lasso.parse(lasso).contains(codes).tolist()


def test_a_line_is_a_step_and_corners() -> None:
    assert Lasso.parse("200:0,0;999,0;500,999") == Lasso(200, ((0, 0), (999, 0), (500, 999)))


@pytest.mark.parametrize(
    "wrong", ["", "200", "200:0,0;9,9", "200:0,0;9,9;1000,0", "-1:0,0;9,0;9,9", "200:0,0;9,0;9,9;", "٢:0,0;9,0;9,9"]
)
def test_what_is_no_line_is_refused(wrong: str) -> None:
    with pytest.raises(BadRequest, match="lasso"):
        Lasso.parse(wrong)


def test_a_line_has_at_most_100_corners() -> None:
    Lasso.parse("0:" + ";".join(["1,1"] * 100))
    with pytest.raises(BadRequest, match="101"):
        Lasso.parse("0:" + ";".join(["1,1"] * 101))


def test_places_within_a_triangle() -> None:
    triangle = "0:100,100;900,100;500,900"
    assert within(triangle, (500, 500), (120, 105), (490, 870)) == [True, True, True]
    assert within(triangle, (500, 50), (500, 950), (150, 500), (850, 500), (950, 300)) == [False] * 5


def test_the_inside_of_a_bay_is_outside_and_so_is_what_is_enclosed_twice() -> None:
    bay = "0:0,0;900,0;900,900;600,900;600,300;300,300;300,900;0,900"
    assert within(bay, (450, 600), (150, 600), (750, 600), (450, 150)) == [False, True, True, True]
    twice = "0:0,0;900,0;900,900;0,900;0,0;300,300;600,300;600,600;300,600;300,300"
    assert within(twice, (450, 450), (100, 450)) == [False, True]


def test_images_without_a_place_are_never_within() -> None:
    codes = np.array([[NO_COORDINATE, NO_COORDINATE], [NO_COORDINATE, 0], [-32767, 0]], np.int16)
    assert Lasso.parse("0:0,0;999,0;999,999;0,999").contains(codes).tolist() == [False, False, True]


def test_a_line_around_the_whole_map_holds_the_images_on_its_border() -> None:
    corners = np.array([[-32767, -32767], [32767, -32767], [32767, 32767], [-32767, 32767]], np.int16)
    assert Lasso.parse("0:0,0;999,0;999,999;0,999").contains(corners).all()
