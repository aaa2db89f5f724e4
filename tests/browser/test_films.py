"""assets/films/films.mjs and films/bytes.mjs: reading, sharing, letting go and coming back."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.browser

URL = "/api/v1/runs/demo/layers/{layer}/film?show=parameters&near={near}"


@pytest.fixture
def films(stage):
    """A page with a subject and no component: films are opened by the tests."""
    stage.show()
    stage.js(
        """() => { window.openFilm = (url) => { window.film = films.open(url); window.told = 0;
        film.subscribe(() => { told += 1; }); };
        window.whole = () => film.total > 0 && film.loaded === film.total; }"""
    )
    return stage


def start(stage, layer="conv1", near=1200) -> None:
    stage.js("url => openFilm(url)", URL.format(layer=layer, near=near))


def test_frames_are_what_was_encoded(films):
    start(films, "conv2")
    films.wait("() => whole()")
    for step in (0, 200, 1200):
        got = films.js(
            """step => { const f = film.frame(step);
            return [[...f.codes], [...f.unitRanges], [...f.layerRange]]; }""",
            step,
        )
        frame = films.server.frame("parameters", "conv2", "kernel", "", step)
        np.testing.assert_array_equal(got[0], frame.codes.ravel())
        np.testing.assert_array_equal(np.float32(got[1]), frame.unit_ranges.ravel())
        np.testing.assert_array_equal(np.float32(got[2]), frame.layer_range)


def test_the_range_is_that_of_all_steps_that_came(films):
    start(films)
    films.wait("() => whole()")
    frames = [
        films.server.frame("parameters", "conv1", "kernel", "", step) for step in films.server.steps if step != 450
    ]
    wanted = [min(f.layer_range[0] for f in frames), max(f.layer_range[1] for f in frames)]
    assert films.js("() => film.range()") == pytest.approx([float(end) for end in wanted])
    assert films.js("() => [film.ranged, film.loaded, film.total]") == [21, 22, 22]
    assert films.js("() => [film.missing(450), film.missing(500)]") == [
        "ckpt-450.keras is cut short after 1,024 bytes.",
        None,
    ]


@pytest.mark.parametrize(
    ("reaches", "span", "exploded"),
    [
        ([1, 2, 3], [-3, 3], {}),
        ([1, 2, 2001], [-2, 2], {2: 1000.5}),
        ([1, 2, 2000], [-2000, 2000], {}),  # a thousand times is the most that training may do
        ([1, 2001], [-2001, 2001], {}),  # of two, nobody knows which is the odd one
        ([0, 0, 0, 0, 5], [-5, 5], {}),  # biases begin at zero
        ([float("nan"), 1, 1, 1e9, 1e12], [-1, 1], {3: 1e9, 4: 1e12}),
        ([], None, {}),
        ([float("nan")] * 3, None, {}),
    ],
)
def test_exploded_steps_are_left_out_of_the_range_over_time(bare, reaches, span, exploded):
    found = bare.js(
        """reaches => { const { span, exploded } = filmSpan.of(reaches.map((r, i) => [i, [-r, r]]));
        return { span, exploded: [...exploded] }; }""",
        reaches,
    )
    assert found["span"] == span
    assert dict(map(tuple, found["exploded"])) == exploded


def test_chunks_nearest_the_current_step_come_first(films):
    films.js("() => time.requestStep(200)")
    films.server.held = {200, 0, 1200}
    start(films, near=200)
    films.wait("() => film.total > 0")
    films.page.wait_for_timeout(300)
    chunks = [line for line in films.server.log if "/films/" in line]
    assert len(chunks) >= 3
    assert films.js("() => film.frame(200)") is None
    films.server.release()
    films.wait("() => whole()")


def test_a_forgotten_chunk_is_asked_for_by_one_more_manifest(films):
    films.server.evict_once = True
    start(films)
    films.wait("() => whole()")
    assert films.server.count("/film?") == 2
    assert films.js("() => film.error") is None
    assert films.js("() => film.frame(1200).codes.length") == 150


def test_without_the_server_s_cache_frames_are_asked_for_by_their_steps(films):
    films.server.keeps_nothing = True
    start(films)
    films.wait("() => whole()")
    assert films.server.count("/film?") == 1
    assert films.server.count("/frames?") == films.server.count("/films/") > 1
    codes = np.array(films.js("() => [...film.frame(1200).codes]"), np.uint8)
    expected = films.server.frame("parameters", "conv1", "kernel", "", 1200).codes
    np.testing.assert_array_equal(codes, expected.ravel())


def test_a_service_that_restarts_is_waited_for_and_the_film_completed(films):
    sentence = "The model service stopped; it is being restarted."
    films.server.refusals = [{"kind": "unavailable", "message": sentence}]
    start(films)
    films.wait("() => film.error !== null")
    assert films.js("() => film.error") == sentence
    films.wait("() => whole()")
    assert films.js("() => film.error") is None


def test_what_is_not_possible_is_not_asked_again(films):
    films.server.refusals = [{"kind": "not-possible", "message": "The layer has no kernel."}] * 9
    start(films)
    films.wait("() => film.error !== null")
    films.page.wait_for_timeout(1500)  # what may be asked again is, after less
    assert films.server.count("/film?") == 1


def test_closing_hangs_up_and_fetches_nothing_more(films):
    films.server.slow_manifest_s = 0.4
    start(films)
    films.wait("() => film.total > 0")
    films.js("() => film.close()")
    films.page.wait_for_timeout(600)
    assert films.server.count("/films/") == 0
    assert films.js("() => films.inView().count") == 0


def test_films_nobody_looks_at_are_let_go_first(films):
    start(films, "conv1")
    films.wait("() => whole()")
    films.js("() => film.close()")
    start(films, "rgb")
    films.wait("() => whole()")
    held = films.js("() => films.heldBytes")
    films.js("held => { films.budgetBytes = held - 1; }", held)
    assert films.js("() => films.heldBytes") < held
    assert films.js("() => film.loaded") == 22


def test_over_the_budget_the_farthest_frames_go_and_come_back_when_asked_for(films):
    start(films, "rgb")
    films.wait("() => whole()")
    films.js("() => { films.budgetBytes = films.heldBytes / 2; }")
    assert films.js("() => [film.frame(1200) !== null, film.loaded < film.total]") == [True, True]
    assert films.js("() => film.range()") is not None
    films.js("() => time.requestStep(0)")
    films.wait("() => film.frame(0) !== null")
    assert films.js("() => films.heldBytes <= films.budgetBytes")


def test_spoilt_bytes_are_refused_in_words(films):
    start(films)
    films.wait("() => whole()")
    for spoil, said in (
        ("bytes.slice(0, 4)", "MLF1"),
        ("new Uint8Array([80, 75, 3, 4, ...bytes.slice(4)])", "MLF1"),
        ("bytes.slice(0, bytes.length - 1)", "as its header says"),
    ):
        message = films.js(
            f"""async () => {{ const [chunk] = film.shared.chunks.values();
            const bytes = new Uint8Array(await (await fetch(chunk.address)).arrayBuffer());
            try {{ filmBytes.parse(new Uint8Array({spoil}).buffer); }}
            catch (error) {{ return error.message; }} }}"""
        )
        assert said in message, spoil


@pytest.mark.parametrize(
    ("code", "value"),
    [
        (0, "NaN"),
        (1, "−∞"),
        (2, "∞"),
        (3, "≈ −1.000 ± 0.006"),
        (255, "≈ 2.000 ± 0.006"),
        (129, "≈ 0.500 ± 0.006"),
    ],
)
def test_codes_are_read_as_the_contract_says(bare, code, value):
    said = bare.js(
        """code => { const { value, error } = filmBytes.value(code, -1, 2);
        return reading(value, error); }""",
        code,
    )
    assert said == value
