"""The main display's callbacks as plain functions over stores' contents: what they answer, and that what cannot
be answered is a sentence."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from dash import no_update

from mloscope.app.films.kinds import film_kinds
from mloscope.app.runs.unit_selection import parse_units
from mloscope.app.runs.units import unit_ranking, unit_values_over_time
from mloscope.app.web.dash import shell
from mloscope.app.web.dash.dash_pages import laid_out
from mloscope.app.web.dash.page import view_schema
from mloscope.app.web.dash.pages import OURS
from mloscope.app.web.dash.pages import main_display_layout as parts
from mloscope.app.web.dash.pages.main_display import PAGE, Main
from mloscope.app.web.dash.pages.main_display_histograms import LayerHistograms

SCHEMA = view_schema(OURS)

NOW = {"step": 20, "index": 2}


def view_of(**changes: Any) -> dict[str, Any]:
    return {**SCHEMA.defaults(), "layer": "block/conv1", "image": "test-0", **changes}


@pytest.fixture
def here(bench: Any) -> Main:
    return Main(bench.services)


@pytest.fixture
def subject(bench: Any) -> dict[str, Any]:
    return shell.subject_of(bench.services, "?run=lenet&corpus=noise")


def words(children: Any) -> str:
    """All that components say, in one line."""
    if isinstance(children, list | tuple):
        return " ".join(filter(None, map(words, children)))
    if hasattr(children, "children"):
        return words(children.children)
    return "" if children is None else str(children)


def said(figure: Any) -> str:
    """The sentence of a figure that shows nothing else."""
    assert isinstance(figure, go.Figure)
    assert not figure.data
    return str(figure.layout.annotations[0].text).replace("<br>", " ")


# ------------------------------------------------------------------------------------------------- layout


def test_the_layout_holds_every_control_once() -> None:
    text = json.dumps(laid_out(PAGE), default=lambda part: part.to_plotly_json())
    for name in (
        parts.NETWORK, parts.IMAGES, parts.PREDICTIONS, parts.PREDICTION_COURSE, *map(parts.canvas_of, film_kinds()),
        parts.LAYER_DETAILS, parts.UNIT_HEAT_MAP, parts.UNIT_MAP, parts.UNIT_COURSE, parts.MODE, parts.PARAMETER, parts.COLOUR, parts.RANGE,
        parts.SYMMETRIC, parts.LAYOUT, parts.UNITS, parts.UNIT_RULE, parts.PREVIOUS_UNITS, parts.NEXT_UNITS, parts.CHANNELS,
        parts.PREVIOUS_CHANNELS, parts.NEXT_CHANNELS, parts.CHOSEN_UNITS, parts.TRAINING,
        parts.TRAINING_COURSE, parts.TRAINING_PROBLEMS,
    ):  # fmt: skip
        assert text.count(f'"id": "{name}"') == 1, name


def test_training_is_drawn_where_it_was_recorded_and_hidden_elsewhere(make_bench: Any, array_run: Any) -> None:
    run = array_run()
    steps = np.array([0, 1, 39])
    run.metrics = lambda: {f"{split} loss": (steps, np.array([3.0, 2.0, 1.0])) for split in ("training", "test")}
    here = Main(make_bench(run=run).services)
    subject = shell.subject_of(here.services, "?run=lenet&corpus=noise")
    figure, told, hidden = here.draw_training(subject, "dark")
    assert (told, hidden) == ("", False)
    assert [trace.name for trace in figure.data] == ["training", "test"]
    assert max(figure.data[0].x) <= len(subject["checkpoints"]) - 1
    run.metrics = dict
    figure, told, hidden = Main(make_bench(run=run).services).draw_training(subject, "dark")
    assert (said(figure), told, hidden) == ("Nothing was recorded.", "", True)
    run.metrics = lambda: {}["loss"]
    figure, told, hidden = Main(make_bench(run=run).services).draw_training(subject, "dark")
    assert "KeyError" in told
    assert not hidden
    assert here.draw_training(None, "dark") == (no_update,) * 3
    assert here.draw_training({**subject, "run": "lost"}, "dark") == (no_update, "", True)


def test_the_modes_are_those_of_the_view() -> None:
    (mode,) = (field for field in SCHEMA.fields if field.key == "mode")
    assert parts.layout()[parts.MODE].name, "without a name each radio button is a Tab stop of its own"
    assert [value for value, _ in parts.MODES] == list(mode.choices)


# ------------------------------------------------------------------------------------------- empty stores


@pytest.mark.parametrize(
    ("has_subject", "view"),
    [(False, view_of()), (True, None), (True, view_of(layer=""))],
    ids=["no subject", "no view", "no layer"],
)
def test_nothing_happens_until_the_browser_has_opened_a_run(
    here: Main, subject: dict[str, Any], has_subject: bool, view: Any
) -> None:
    shown = subject if has_subject else None
    assert here.show_layer(shown, view, NOW) is no_update
    assert here.enlarge_unit(shown, view, NOW, "light") is no_update
    assert here.draw_course(shown, view, "light") is no_update
    assert here.choose_units("largest-norm", shown, view, NOW) is no_update
    if not (shown and view):  # it asks for no layer
        assert here.draw_classes(shown, view, "light") is no_update


def test_nothing_happens_before_time_or_theme_is_known(here: Main, subject: dict[str, Any]) -> None:
    assert here.show_layer(subject, view_of(), None) is no_update
    assert here.enlarge_unit(subject, view_of(), None, "light") is no_update
    assert here.enlarge_unit(subject, view_of(), NOW, None) is no_update
    assert here.draw_course(subject, view_of(), None) is no_update
    assert here.draw_classes(subject, view_of(), None) is no_update
    assert here.choose_units("", subject, view_of(), NOW) is no_update
    assert here.choose_units("largest-norm", subject, view_of(), None) is no_update


# ------------------------------------------------------------------------------------------------- answers


def test_layer_and_statistics_are_told(here: Main, subject: dict[str, Any]) -> None:
    told = words(here.show_layer(subject, view_of(unit=2), NOW))
    assert "block/conv1" in told
    assert "convolution" in told
    assert "kernel" in told
    assert "bias" in told


def test_a_layer_without_parameters_says_so(here: Main, subject: dict[str, Any]) -> None:
    assert "This layer has no parameters." in words(here.show_layer(subject, view_of(layer="flatten"), NOW))


def finite(values: Any) -> list[float]:
    array = np.asarray(values, dtype=float)
    return sorted(array[np.isfinite(array)].tolist())


def test_the_enlarged_unit_is_the_stored_weights(here: Main, subject: dict[str, Any], bench: Any) -> None:
    figure = go.Figure(here.enlarge_unit(subject, view_of(layer="conv2", unit=3, mode="parameters"), NOW, "light"))
    stored = bench.parameters(20, "conv2")["kernel"]
    assert finite(figure.data[0].z) == sorted(stored[..., 3].ravel().tolist())
    assert figure.data[0].zmax == pytest.approx(np.abs(stored).max())
    assert figure.data[0].zmin == -figure.data[0].zmax


def test_the_scale_is_as_the_view_wants_it(here: Main, subject: dict[str, Any], bench: Any) -> None:
    view = view_of(layer="conv2", mode="parameters", symmetric="no")
    trace = go.Figure(here.enlarge_unit(subject, view, NOW, "dark")).data[0]
    stored = bench.parameters(20, "conv2")["kernel"]
    assert (trace.zmin, trace.zmax) == pytest.approx((stored.min(), stored.max()))


def test_where_maps_are_drawn_the_units_map_is_enlarged(here: Main, subject: dict[str, Any], bench: Any) -> None:
    for mode in ("features", "both"):
        figure = go.Figure(here.enlarge_map(subject, view_of(unit=1, mode=mode), NOW, "light"))
    maps = bench.feature_maps([20], "block/conv1", "test-0").maps[20]
    assert finite(figure.data[0].z) == sorted(maps[..., 1].ravel().tolist())


def test_the_course_runs_over_every_checkpoint(here: Main, subject: dict[str, Any], bench: Any) -> None:
    figure = go.Figure(here.draw_course(subject, view_of(parameter="bias", unit=1), "light"))
    course = unit_values_over_time(bench.services.cache, bench.opened, "block/conv1", "bias", 1).values
    assert course.shape == (40, 1)
    drawn = [finite(trace.y) for trace in figure.data if trace.y is not None and len(trace.y)]
    assert finite(course) in drawn


def test_the_classes_run_over_every_checkpoint(here: Main, subject: dict[str, Any]) -> None:
    figure = go.Figure(here.draw_classes(subject, view_of(), "light"))
    assert max(len(trace.y) for trace in figure.data if trace.y is not None) == 40


@pytest.mark.parametrize("rule", [rule for rule, _ in parts.RULES])
def test_every_rule_chooses_units(here: Main, subject: dict[str, Any], bench: Any, rule: str) -> None:
    chosen = here.choose_units(rule, subject, view_of(layer="conv2"), NOW)
    units = parse_units(chosen["units"])
    ranking = unit_ranking(
        bench.opened,
        20,
        "conv2",
        rule,
        count=16,
        feature_map=lambda: bench.feature_maps([20], "conv2", "test-0").maps[20],
    )
    assert units == ranking.units
    assert len(units) == parts.UNITS_CHOSEN_BY_RULE
    assert chosen["unit"] == units[0]
    assert (chosen["rule"], dict(chosen["scores"])) == (rule, dict(zip(ranking.units, ranking.values, strict=True)))


# ---------------------------------------------------------------------------------- sentences, not failures


def test_an_unknown_run_is_a_sentence_everywhere(here: Main, subject: dict[str, Any]) -> None:
    lost = {**subject, "run": "vgg"}
    sentence = 'There is no run "vgg"; connected: lenet, lost.'
    assert sentence in words(here.show_layer(lost, view_of(), NOW))
    assert said(here.enlarge_unit(lost, view_of(), NOW, "light")) == sentence
    assert said(here.draw_course(lost, view_of(), "light")) == sentence
    assert said(here.draw_classes(lost, view_of(), "light")) == sentence
    assert here.choose_units("largest-norm", lost, view_of(), NOW) == {"problem": sentence}


def test_a_missing_layer_is_a_sentence_everywhere(here: Main, subject: dict[str, Any]) -> None:
    view = view_of(layer="conv9")
    assert 'no layer "conv9"' in words(here.show_layer(subject, view, NOW))
    assert 'no layer "conv9"' in said(here.enlarge_unit(subject, view, NOW, "light"))
    assert 'no layer "conv9"' in said(here.draw_course(subject, view, "light"))
    assert 'no layer "conv9"' in here.choose_units("largest-norm", subject, view, NOW)["problem"]


def test_a_step_that_does_not_exist_is_a_sentence(here: Main, subject: dict[str, Any]) -> None:
    time = {"step": 25, "index": 2}
    assert "no checkpoint of step 25" in words(here.show_layer(subject, view_of(), time))
    assert "no checkpoint of step 25" in said(here.enlarge_unit(subject, view_of(), time, "light"))


@pytest.fixture
def damaged(make_bench: Any, array_run: Any) -> Any:
    return make_bench(run=array_run(broken=[20], torn=[30]))


@pytest.mark.parametrize(
    ("step", "sentence"), [(20, "The file is cut off."), (30, "30.npz ends in the middle of block/conv1.")]
)
def test_a_broken_checkpoint_is_a_sentence(damaged: Any, step: int, sentence: str) -> None:
    here, subject = Main(damaged.services), shell.subject_of(damaged.services, "")
    time = {"step": step, "index": step // 10}
    told = words(here.show_layer(subject, view_of(), time))
    assert sentence in told
    assert "convolution" in told, "what is known without the file is told all the same"
    assert said(here.enlarge_unit(subject, view_of(), time, "light")) == sentence
    assert here.choose_units("largest-norm", subject, view_of(), time) == {"problem": sentence}


def test_broken_checkpoints_leave_a_gap_in_the_course(damaged: Any) -> None:
    here, subject = Main(damaged.services), shell.subject_of(damaged.services, "")
    figure = go.Figure(here.draw_course(subject, view_of(parameter="bias"), "light"))
    lengths = {len(finite(trace.y)) for trace in figure.data if trace.y is not None and len(trace.y) == 40}
    assert lengths == {38}


def test_a_unit_that_the_layer_has_not_is_a_sentence(here: Main, subject: dict[str, Any]) -> None:
    assert "99" in said(here.enlarge_unit(subject, view_of(unit=99), NOW, "light"))
    assert "99" in said(here.draw_course(subject, view_of(unit=99), "light"))
    assert words(here.show_layer(subject, view_of(unit=99), NOW))


def test_without_an_image_the_classes_ask_for_one(here: Main, subject: dict[str, Any]) -> None:
    assert said(here.draw_classes(subject, view_of(image=""), "light")) == "Choose an image."
    assert here.choose_units("most-active", subject, view_of(image=""), NOW)["problem"].startswith(
        "The rule most-active needs an image"
    )


def test_without_an_image_there_is_no_map_to_enlarge(here: Main, subject: dict[str, Any]) -> None:
    figure = go.Figure(here.enlarge_map(subject, view_of(image="", mode="features"), NOW, "light"))
    assert said(figure) == "Choose an image."


def test_what_the_mode_does_not_draw_is_not_enlarged(here: Main, subject: dict[str, Any]) -> None:
    assert here.enlarge_unit(subject, view_of(mode="features"), NOW, "light") is no_update
    assert here.enlarge_map(subject, view_of(mode="parameters"), NOW, "light") is no_update


def test_an_unknown_image_is_a_sentence(here: Main, subject: dict[str, Any]) -> None:
    view = view_of(image="test-99", mode="features")
    assert 'no image "test-99"' in said(here.enlarge_map(subject, view, NOW, "light"))
    assert 'no image "test-99"' in said(here.draw_classes(subject, view, "light"))


def test_a_service_that_is_away_is_a_sentence(here: Main, subject: dict[str, Any], bench: Any) -> None:
    bench.service.down = True
    assert "is being restarted" in said(here.draw_classes(subject, view_of(), "light"))
    assert "is being restarted" in said(here.enlarge_map(subject, view_of(mode="features"), NOW, "light"))
    assert isinstance(
        go.Figure(here.enlarge_unit(subject, view_of(mode="parameters"), NOW, "light")).data[0], go.Heatmap
    )


def test_sentences_cannot_smuggle_in_markup(here: Main, subject: dict[str, Any]) -> None:
    figure = go.Figure(here.enlarge_unit(subject, view_of(layer="<b>conv</b>"), NOW, "light"))
    assert "<b>" not in figure.layout.annotations[0].text


# ----------------------------------------------------------------------------------------------- histograms


def test_histograms_have_a_ridge_per_step_or_a_sentence(bench: Any, subject: dict[str, Any]) -> None:
    here = LayerHistograms(bench.services)
    known = len(subject["checkpoints"])
    weights = here.draw_weights(subject, view_of(), "light")
    assert len(weights["layout"]["meta"]["said"]) == known
    kernel = bench.run.values(20, "block/conv1", bench.run.layers()[1].parameters[0])
    assert sum(weights["data"][2]["customdata"]) == kernel.size
    unit = here.draw_weights(subject, view_of(unit=1, **{"histogram-of": "unit"}), "light")
    assert sum(unit["data"][2]["customdata"]) == kernel[..., 1].size
    maps = here.draw_maps(subject, view_of(**{"histogram-heights": "log"}), "light")
    assert sum(maps["data"][2]["customdata"]) == 4 * 4 * 4
    assert "no unit 99" in said(here.draw_maps(subject, view_of(unit=99, **{"histogram-of": "unit"}), "light"))
    assert "image" in said(here.draw_maps(subject, view_of(image=""), "light"))
    assert "no layer" in said(here.draw_weights(subject, view_of(layer="nowhere"), "light"))
    assert here.draw_weights(subject, view_of(layer=""), "light") is no_update
