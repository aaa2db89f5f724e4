"""Our kinds of films keep the promises that strangers' kinds make, and the table says what is wrong."""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib.metadata import EntryPoint
from typing import Any, ClassVar

import numpy as np
import pytest

from mloscope.app.errors import BadRequest, MloscopeError
from mloscope.app.films.conformance import FilmKindConformance
from mloscope.app.films.kinds import film_kinds, kind_of, options_of, table_of
from mloscope.app.films.kinds.attribution import Attribution
from mloscope.app.films.kinds.deconvolution import Deconvolution
from mloscope.app.films.kinds.feature_maps import FeatureMapFilms
from mloscope.app.films.kinds.parameters import Parameters
from mloscope.app.films.kinds.stimulus import Stimulus


class TestParameters(FilmKindConformance):
    kind = Parameters


class TestFeatureMaps(FilmKindConformance):
    kind = FeatureMapFilms


class TestDeconvolution(FilmKindConformance):
    kind = Deconvolution

    def test_only_the_units_that_are_shown_are_asked_for(self) -> None:
        footage, run = self.footage(units=(3, 1)), self.question().run
        readable = run.checkpoints[:1]
        (frame,) = footage.frames(readable, run.fingerprints(readable).known)
        assert [bool(np.isfinite(unit).all()) for unit in frame.values] == [False, True, False, True, False]
        assert frame.figures == {"activation": [None, 1, None, 0, None]}
        assert footage.content != self.footage(units=(1,)).content

    @pytest.mark.parametrize("of", ["4,0", "everything", "1,2,3"])
    def test_what_is_no_activation_of_the_map_is_refused(self, of: str) -> None:
        question = self.question()
        with pytest.raises(BadRequest, match=r"of must|position"):
            self.kind().open(replace(question, options={**question.options, "of": of}), self.sources)

    def test_a_silent_unit_has_no_picture_and_its_word_comes_with_the_film(self) -> None:
        made = self.service.pictures

        def silent(*asked: Any, **more: Any) -> Any:
            found = made(*asked, **more)
            return replace(
                found, figures={step: {"activation": [1.5, "silent", 2.0, 3.0, 4.0]} for step in found.steps}
            )

        self.service.pictures = silent
        film = next(self.shown(self.manifest()))
        assert film.figures[0] == {"activation": [1.5, "silent", 2.0, 3.0, 4.0]}
        assert np.isnan(film.values()[:, 1]).all()
        assert np.isfinite(film.values()[:, 0]).all()


class TestAttribution(FilmKindConformance):
    kind = Attribution
    options: ClassVar[dict[str, str]] = {"target": "unit 2"}

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"target": "unit 5"}, "units 0 to 4"),
            ({"target": "unit 2", "method": "smoothgrad", "samples": "many"}, "samples"),
            ({"target": "unit 2", "method": "integrated", "points": "0"}, "points"),
            ({"target": "unit 2", "method": "occlusion", "patch": "7"}, "patch"),
            ({"target": "unit 2", "method": "integrated", "baseline": "mean"}, "training split"),
            ({"target": ""}, "no class to explain"),
        ],
    )
    def test_what_cannot_be_explained_is_refused(self, given: dict[str, str], words: str) -> None:
        question = replace(self.question(), options=options_of(self.kind(), given))
        with pytest.raises(MloscopeError, match=words):
            self.kind().open(question, self.sources)

    def test_only_options_that_the_method_reads_decide_a_picture(self) -> None:
        def content(**options: str) -> str:
            question = replace(self.question(), options=options_of(self.kind(), {"target": "unit 2", **options}))
            return str(self.kind().open(question, self.sources).content)

        assert content() == content(points="9", baseline="blurred", patch="2")
        assert content(method="integrated") != content(method="integrated", points="9")
        assert content(method="integrated") != content(method="integrated", baseline="blurred")
        assert content(method="occlusion") == content(method="occlusion", patch="1", stride="1")
        assert content() != content(target="unit 1")


class TestStimulus(FilmKindConformance):
    kind = Stimulus

    def test_the_film_is_made_in_the_order_of_time(self) -> None:
        steps = [step for film in self.shown(self.manifest(near=30)) for step in film.steps]
        assert steps == sorted(steps)


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
