"""Our kinds of films keep the promises that strangers' kinds make, and the table says what is wrong."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint

import pytest

from mloscope.app.errors import BadRequest
from mloscope.app.films.conformance import FilmKindConformance
from mloscope.app.films.kinds import film_kinds, kind_of, options_of, table_of
from mloscope.app.films.kinds.feature_maps import FeatureMapFilms
from mloscope.app.films.kinds.parameters import Parameters


class TestParameters(FilmKindConformance):
    kind = Parameters


class TestFeatureMaps(FilmKindConformance):
    kind = FeatureMapFilms


def test_ours_come_first_and_are_found_by_name() -> None:
    assert list(film_kinds())[:2] == ["parameters", "features"]
    assert kind_of("features").needs_image
    with pytest.raises(BadRequest, match="weights"):
        kind_of("weights")


def test_options_have_defaults_and_only_their_choices() -> None:
    kind = Parameters()
    assert options_of(kind, {}) == {"parameter": "", "layout": "tiles"}
    assert options_of(kind, {"layout": "matrix", "unknown": "x"}) == {"parameter": "", "layout": "matrix"}
    with pytest.raises(BadRequest, match="layout"):
        options_of(kind, {"layout": "rows"})


def test_two_of_one_name_are_refused() -> None:
    point = EntryPoint("parameters", "mloscope.app.films.kinds.parameters:Parameters", "mloscope.film_kinds")
    assert list(table_of([point])) == ["parameters"]
    with pytest.raises(ValueError, match="unique"):
        table_of([point, point])


def broken() -> None:
    raise RuntimeError("no kind today")


class Unfinished:
    name = "unfinished"

    def open(self) -> None:
        """It has nothing else."""


class Namesake(Parameters):
    """Another package's, under a name that is taken."""


@pytest.mark.parametrize(
    "value", ["no_such_package.kinds:Kind", "{here}:broken", "{here}:Unfinished", "{here}:Namesake"]
)
def test_a_kind_of_another_package_that_does_not_work_costs_only_itself(
    value: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "strangers_kinds", sys.modules[__name__])
    ours = EntryPoint("parameters", "mloscope.app.films.kinds.parameters:Parameters", "mloscope.film_kinds")
    theirs = EntryPoint("theirs", value.format(here="strangers_kinds"), "mloscope.film_kinds")
    table = table_of([theirs, ours])
    assert list(table) == ["parameters"]
    assert type(table["parameters"]) is Parameters
    assert "left out" in caplog.text
