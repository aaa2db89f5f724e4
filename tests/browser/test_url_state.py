"""assets/base/view.mjs: the view, the hash and the history; app/web/dash/view_state.py is the oracle."""

from __future__ import annotations

import pytest

from mloscope.app.runs.unit_selection import format_units, parse_units
from mloscope.app.web.dash.page import view_schema
from mloscope.app.web.dash.pages import OURS

SCHEMA = view_schema(OURS)

pytestmark = pytest.mark.browser


def hash_of(stage) -> str:
    return stage.js("() => location.hash")


def settle(stage) -> None:
    stage.page.wait_for_timeout(200)


def notices(stage) -> list[str]:
    return stage.page.locator("#notices .notice span").all_inner_texts()


def test_without_a_hash_the_last_checkpoint_and_the_first_layer_with_parameters(stage):
    stage.show()
    assert stage.js("() => [time.step, view.get().layer]") == [1200, "conv1"]
    assert hash_of(stage) == "#step=1200&layer=conv1"


def test_a_hash_is_taken_up_and_written_back_unchanged(stage):
    text = "#step=300&layer=conv2&unit=3&units=0-7,12&image=test-42&mode=features&colour=magma&range=unit"
    stage.show(hash=text)
    assert hash_of(stage) == text
    assert stage.js("() => time.step") == 300
    view = stage.js("() => view.get()")
    assert {key: view[key] for key in ("layer", "unit", "units", "image", "mode", "colour", "range")} == {
        "layer": "conv2", "unit": 3, "units": "0-7,12", "image": "test-42", "mode": "features",
        "colour": "magma", "range": "unit",
    }  # fmt: skip
    assert notices(stage) == []


VIEWS = [
    {"layer": "block1/conv 2&a=b", "image": "x~1.2-3", "units": "5,3,0-2"},
    {"layer": "100% größe#?", "symmetric": "no", "zoom": "8", "unit": 12},
    {"layer": "a+b", "fold": "one,two", "layout": "matrix", "channels": "0-3"},
]


@pytest.mark.parametrize("values", VIEWS)
def test_what_is_written_is_read_back_here_and_in_python(bare, values):
    text = bare.js("values => view.format({...view.get(), layer: '', ...values}, 300)", values)
    back = bare.js("text => view.parse(text)", text)
    assert back["problems"] == []
    assert back["step"] == 300
    assert {key: back["view"][key] for key in values} == values
    in_python, problems = SCHEMA.parse(text)
    assert problems == []
    assert in_python == {**back["view"], "step": 300}


@pytest.mark.parametrize("values", VIEWS)
def test_what_python_writes_is_read_here(bare, values):
    text = SCHEMA.format({**SCHEMA.defaults(), **values, "step": 20})
    back = bare.js("text => view.parse(text)", text)
    assert (back["step"], back["problems"]) == (20, [])
    assert {key: back["view"][key] for key in values} == values


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("mode=upside", "mode"),
        ("unit=-3", "unit"),
        ("units=9-2", "runs backwards"),
        ("wibble=1", "wibble"),
        ("layer=%E0%A4%A", "percent-encoded"),
        ("step=abc", "step"),
    ],
)
def test_nonsense_in_a_hash_is_said_and_left_out(bare, entry, said):
    read = bare.js("text => view.parse(text)", f"#{entry}")
    assert [said in text for text in read["problems"]] == [True]
    assert (read["view"], read["step"]) == (bare.js("view.get()"), None)


def test_nonsense_in_the_address_and_what_the_run_has_not_is_said_and_left_out(stage):
    for entries, words in (
        ("step=7&layer=conv9", ["no checkpoint of step 7", 'no layer "conv9"']),
        ("mode=upside&step=abc&unit=-3", ["upside", "step", "unit"]),
    ):
        stage.show(hash=f"#{entries}")
        for said in words:
            assert any(said in text for text in notices(stage)), said
        assert hash_of(stage) == "#step=1200&layer=conv1"
        stage.page.goto("about:blank")


def test_a_notice_is_said_once_and_can_be_dismissed(stage):
    stage.show()
    stage.js("() => { notice('Twice.'); notice('Twice.'); }")
    assert notices(stage) == ["Twice."]
    stage.page.click("#notices button")
    assert notices(stage) == []


def test_a_selection_is_one_entry_of_history_and_back_undoes_it(stage):
    stage.show()
    before = stage.js("() => history.length")
    stage.view(layer="conv2", unit=5)
    stage.view(unit=5)
    assert stage.js("() => history.length") == before + 1
    assert hash_of(stage) == "#step=1200&layer=conv2&unit=5"
    stage.page.go_back()
    stage.wait("() => view.get().layer === 'conv1'")
    assert hash_of(stage) == "#step=1200&layer=conv1"
    stage.page.go_forward()
    stage.wait("() => view.get().unit === 5")


def test_back_brings_the_step_back_too(stage):
    stage.show()
    stage.js("() => time.requestStep(100)")
    settle(stage)
    stage.view(layer="rgb")
    stage.js("() => time.requestStep(500)")
    settle(stage)
    assert hash_of(stage) == "#step=500&layer=rgb"
    stage.page.go_back()
    stage.wait("() => time.step === 100")


def test_moving_through_time_replaces_and_playing_writes_nothing(stage):
    stage.show()
    stage.js(
        """() => { window.writes = []; for (const how of ['pushState', 'replaceState']) {
        const real = history[how];
        history[how] = function (...all) { writes.push(how); return real.apply(this, all); }; } }"""
    )
    before = stage.js("() => history.length")
    stage.js("() => { time.request(0); time.speed = 60; time.play(); }")
    stage.wait("() => time.index > 10")
    assert stage.js("() => writes") == []
    stage.wait("() => !time.playing")
    assert stage.js("() => writes") in ([], ["replaceState"])
    stage.js("() => time.requestStep(20)")
    settle(stage)
    assert set(stage.js("() => writes")) == {"replaceState"}
    assert stage.js("() => history.length") == before
    assert hash_of(stage).startswith("#step=20&")


def test_an_address_typed_by_hand_is_taken_up(stage):
    stage.show()
    stage.js("() => { location.hash = '#step=250&layer=rgb&colour=grey'; }")
    stage.wait("() => time.step === 250")
    assert stage.js("() => [view.get().layer, view.get().colour]") == ["rgb", "grey"]


def test_another_page_of_the_application_keeps_the_view(stage):
    stage.show(hash="#step=250&layer=rgb")
    stage.js(
        """() => { history.pushState({}, '', '/other');
        dispatchEvent(new CustomEvent('_dashprivate_pushstate')); }"""
    )
    stage.wait("() => location.hash === '#step=250&layer=rgb'")
    assert stage.js("() => location.pathname") == "/other"


def test_the_view_goes_along_to_another_run_and_what_it_lacks_is_said_until_the_next_choice(stage):
    stage.show(hash="#step=300&layer=rgb&image=test-7&colour=magma")
    stage.js("() => view.visit({ run: 'other' })")
    assert stage.js("() => new URLSearchParams(location.search).get('run')") == "other"
    stage.js("() => time.requestStep(500)")
    settle(stage)
    assert "step=300" in hash_of(stage), (
        "the run that is still shown writes nothing into the address of the one to come"
    )
    stage.open({"run": "other", "layers": stage.js("() => stageSubject.layers.slice(0, 2)")})
    assert hash_of(stage) == "#step=500&layer=conv1&image=test-7&colour=magma"
    assert ["rgb" in text for text in notices(stage)] == [True]
    stage.view(layer="conv2")
    assert notices(stage) == []
    stage.page.go_back()
    stage.page.go_back()
    stage.wait("() => !location.search.includes('other')")
    stage.open()
    assert hash_of(stage) == "#step=300&layer=rgb&image=test-7&colour=magma"
    assert notices(stage) == []


def test_an_address_of_this_view_names_run_and_corpus_also_where_the_page_does_not(stage):
    stage.show(hash="#step=250&layer=rgb")
    assert stage.js("() => view.address('/confusion')") == "/confusion?run=demo&corpus=digits#step=250&layer=rgb"
    stage.js("() => view.go('/other?run=demo&corpus=digits#step=20&layer=conv2')")
    stage.open()
    stage.wait("() => time.step === 20 && view.get().layer === 'conv2'")


@pytest.mark.parametrize(
    ("page", "shown", "title"),
    [
        ("{layer}", {"layer": "conv$&2", "step": "2000", "run": "resnet20"}, "conv$&2 @ 2000 · resnet20 – ML-o-scope"),
        ("Confusion", {"layer": "conv2", "step": "2000", "run": "lenet"}, "Confusion @ 2000 · lenet – ML-o-scope"),
        ("{layer}", {"layer": "", "step": "", "run": ""}, "Network – ML-o-scope"),
    ],
)
def test_titles_name_what_is_shown_when_and_of_which_run(stage, page, shown, title):
    stage.show()
    assert stage.js("([page, shown]) => titleOf(page, shown)", [page, shown]) == title


def test_another_layer_forgets_what_belonged_to_the_old_one(stage):
    stage.show(hash="#layer=conv1&unit=3&units=0-3&parameter=bias&colour=magma")
    stage.view(layer="conv2")
    view = stage.js("() => view.get()")
    assert (view["unit"], view["units"], view["parameter"], view["colour"]) == (0, "", "", "magma")


def test_a_wrong_value_is_said_and_changes_nothing(stage):
    stage.show()
    stage.view(mode="sideways", unit=2)
    assert stage.js("() => [view.get().mode, view.get().unit]") == ["both", 2]
    assert any("sideways" in text for text in notices(stage))


def test_the_view_goes_to_the_store_once_for_several_changes(stage):
    stage.show()
    stage.page.wait_for_timeout(150)
    stage.js("() => { storeWrites.length = 0; for (let u = 1; u < 6; u += 1) view.set({unit: u}); }")
    stage.page.wait_for_timeout(150)
    assert stage.js("() => storeWrites.filter((id) => id === 'view').length") == 1
    assert stage.js("() => stores.view.unit") == 5


def test_opening_the_same_subject_again_keeps_step_and_view(stage):
    stage.show()
    stage.js("() => time.requestStep(50)")
    stage.view(layer="rgb")
    stage.open({"evaluation": {"possible": False, "message": "Not now."}})
    assert stage.js("() => [time.step, view.get().layer]") == [50, "rgb"]


@pytest.mark.parametrize(
    ("text", "units"), [("0-3,7", [0, 1, 2, 3, 7]), ("", []), ("4, 4,2", [4, 2]), (" 1 - 2 ", [1, 2])]
)
def test_units_are_read_as_python_reads_them(bare, text, units):
    assert bare.js("text => view.parseUnits(text)", text) == units
    assert tuple(units) == parse_units(text)
    assert bare.js("units => view.formatUnits(units)", units) == format_units(units)
