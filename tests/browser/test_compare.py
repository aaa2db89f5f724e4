"""The compare page's scripts in a browser: what the three canvases show, how B follows, and what is said where nothing can be."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from basis_record import basis, unnamed
from statistics_server import CLASSES

pytestmark = pytest.mark.browser

STEPS = (0, 1, 2, 5, 10, 20, 50, 100, 150, 200, 250, 300, 350, 400, 450, 500, 600, 700, 800, 900, 1000, 1200)
GOOD = [step for step in STEPS if step != 450]
LAST = STEPS[-1]
NAMES = ("conv1", "conv2", "rgb", "pool", "sick", "dense")


def overview(other: str, pairs: str = "") -> dict:
    """What GET runs/demo/comparison/{other} would answer. In another run conv2 is called second, dense has no partner, and no
    accuracy is known; its share of training is that of A's half."""
    same = other == "demo"
    partners = {name: name for name in NAMES} if same else {**{n: n for n in NAMES}, "conv2": "second", "dense": None}
    by_hand = dict(entry.split(":") for entry in pairs.split(",") if entry)
    found = []
    for a, b in partners.items():
        if a in by_hand:
            found.append({"a": a, "b": by_hand[a] or None, "how": "hand", "agrees": a == by_hand[a]})
        else:
            found.append({"a": a, "b": b, "how": "name" if a == b else "kind" if b else "none", "agrees": a == b})
    count = len(STEPS)
    nothing = {
        "indices": [None] * count,
        "problem": f'The run "{other}" has neither statistics nor a metric with its accuracy.',
    }
    return {
        "run": "demo", "other": other, "pairs": found, "problems": [], "alignment": "step" if same else "share",
        "accuracies": {"a": [step / 2000 for step in STEPS], "b": [step / 2000 if same else None for step in STEPS]},
        "alignments": {
            "step": {"indices": list(range(count)), "problem": None},
            "epoch": {"indices": [None, *range(1, count)], "problem": None},
            "share": {"indices": [index // 2 for index in range(count)], "problem": None},
            "accuracy": nothing,
        },
    }  # fmt: skip


class Compare:
    """The stage with a comparison on it."""

    def __init__(self, stage) -> None:
        self.stage, self.page = stage, stage.page
        self.asked: list[str] = []
        self.of_b: dict = {}
        """What B as a subject has instead of A's."""
        stage.page.route("**/api/v1/runs/demo/comparison/**", self.answer)

    def answer(self, route) -> None:
        address = route.request.url.split("/comparison/")[1]
        self.asked.append(address)
        other, _, query = address.partition("?")
        if other == "removed":
            body = {"error": {"kind": "not-found", "message": 'There is no run "removed"; connected: demo.'}}
            route.fulfill(status=404, json=body)
            return
        pairs = dict(part.split("=") for part in query.split("&") if part).get("pairs", "").replace("%3A", ":")
        found = overview(other, pairs)
        subject = self.page.evaluate("stageSubject")
        layers = [
            {**known, "name": "second" if other != "demo" and known["name"] == "conv2" else known["name"]}
            for known in subject["layers"]
        ]
        route.fulfill(json={**found, "subject": {**subject, "run": other, "layers": layers, **self.of_b}})

    def show(self, hash: str = "", parts: str = "Comparison:compare", ready: bool = True) -> Compare:
        self.stage.show(parts, hash=f"#{hash}" if hash else "")
        self.page.add_style_tag(content=".for-Comparison { grid-column: 1 / -1; height: 640px; display: grid }")
        self.stage.wait("() => compare.overview || compare.problem")
        if ready:
            self.ready()
        return self

    def ready(self, *sides: str) -> None:
        for side in sides or ("a", "b"):
            self.page.wait_for_selector(
                f'.compare-film-{side} canvas.film-canvas[data-state="ready"]', state="attached", timeout=8000
            )

    def loaded(self) -> None:
        """Until all films are complete and every pair was gone through."""
        self.ready("a", "b", "pair")
        self.stage.wait(
            "() => [...document.querySelectorAll('.compare-film .film-status')].every((s) => !/loaded|compared/.test(s.textContent))"
        )

    def text(self, selector: str) -> str:
        return self.page.locator(selector).first.text_content()

    def message(self, side: str) -> str:
        return self.text(f".compare-film-{side} .film-message")

    def step(self, side: str) -> int:
        return int(self.page.get_attribute(f".compare-film-{side} canvas.film-canvas", "data-step"))

    def pixels(self, side: str) -> np.ndarray:
        """uint8 (row, column, 4) of a side's canvas."""
        width, height, data = self.page.evaluate(
            """side => { const c = document.querySelector(`.compare-film-${side} canvas.film-canvas`);
            const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
            let text = ''; for (const byte of d) text += String.fromCharCode(byte);
            return [c.width, c.height, btoa(text)]; }""",
            side,
        )
        return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)

    def geometry(self, side: str = "pair") -> dict:
        return json.loads(self.page.get_attribute(f".compare-film-{side} canvas.film-canvas", "data-geometry"))

    def tiles(self, side: str = "pair") -> np.ndarray:
        """uint8 (place, row, column, 4): one pixel a value, places in reading order."""
        g, pixels = self.geometry(side), self.pixels(side)
        step_x, step_y, head = g["stepX"], g["stepY"], g["head"]
        return np.array([
            pixels[y : y + g["rows"] * g["magnifyY"] : g["magnifyY"], x : x + g["columns"] * g["magnifyX"] : g["magnifyX"]]
            for y in range(head, g["down"] * step_y + head, step_y)
            for x in range(0, g["across"] * step_x, step_x)
        ])  # fmt: skip

    def settle(self) -> dict:
        """The Store that callbacks read, once it is of the step now."""
        self.stage.wait("() => stores['compare-settled'] && stores['compare-settled'].step === compare.step()")
        return self.stage.js("stores['compare-settled']")


@pytest.fixture
def compare(stage) -> Compare:
    return Compare(stage)


def read_off(stage, layer: str, step: int, show: str = "parameters") -> np.ndarray:
    """float64 (unit, channel, row, column, component): the values that the film's codes stand for."""
    frame = stage.server.frame(show, layer, "kernel" if show == "parameters" else "", "", step)
    codes = frame.codes.astype(float)
    low, high = (np.asarray(frame.unit_ranges, float)[:, i].reshape(-1, 1, 1, 1, 1) for i in (0, 1))
    values = low + (codes - 3) / 252 * (high - low)
    values[frame.codes == 0], values[frame.codes == 1], values[frame.codes == 2] = np.nan, -np.inf, np.inf
    return values


# -------------------------------------------------------------------------------------------------------- three canvases


def test_a_minus_b_is_the_difference_of_both_films_zero_in_the_middle(compare: Compare, stage) -> None:
    compare.show("layer=conv2").loaded()
    assert (compare.step("a"), compare.step("b"), compare.step("pair")) == (LAST, 0, LAST)
    first = read_off(stage, "conv2", 0)
    apart = {step: read_off(stage, "conv2", step) - first for step in GOOD}
    most = max(np.abs(values).max() for values in apart.values())
    expected = (apart[LAST] / most + 1) / 2 * 255
    table = stage.table("blue-red")
    shown = compare.tiles()[..., :3].reshape(16, 6, 5, 5, 3)
    distance = np.abs(shown[..., None, :].astype(int) - table.astype(int)).sum(-1).argmin(-1) - expected[..., 0]
    assert np.abs(distance).max() <= 1.5
    ends = stage.js("[...document.querySelectorAll('.compare-film-pair .film-tick')].map((t) => t.textContent)")
    assert ends[1] == "0"
    assert ends[0] == ends[2].replace(ends[2], f"−{ends[2]}")
    assert float(ends[2]) == pytest.approx(most, rel=0.01)
    legend = compare.text(".compare-film-pair .film-rule")
    assert "±0.2" in legend
    assert "same scale for A and B" in compare.text(".compare-film-a .film-rule")


def test_another_moment_of_b_fixes_the_scale_anew(compare: Compare, stage) -> None:
    compare.show("layer=conv2").loaded()
    stage.view(**{"b-step": 10})
    apart = [np.abs(read_off(stage, "conv2", step) - read_off(stage, "conv2", 10)).max() for step in GOOD]
    stage.wait(
        """wanted => { const pair = document.querySelector('.compare-film-pair');
        const most = Number(pair.querySelector('.film-tick-hi').textContent);
        const { textContent } = pair.querySelector('.film-rule');
        return Math.abs(most - wanted) < 0.01 * wanted && textContent.includes('one scale for all steps'); }""",
        float(max(apart)),
    )
    assert "so far" not in compare.text(".compare-film-pair .film-rule")


def test_until_all_pairs_are_gone_through_the_scale_is_the_steps_own(compare: Compare, stage) -> None:
    stage.server.held = set(STEPS[-4:])
    compare.show("layer=conv2&step=100", ready=False)
    compare.ready("pair")
    assert "range of this step" in compare.text(".compare-film-pair .film-rule")
    stage.server.release()
    stage.wait(
        "() => document.querySelector('.compare-film-pair .film-rule').textContent.includes('one scale for all steps')"
    )


def test_both_sides_have_one_scale(compare: Compare, stage) -> None:
    compare.show("layer=conv1&b-layer=conv2&range=step&compare-mode=side")
    ticks = [
        stage.js(f"[...document.querySelectorAll('.compare-film-{side} .film-tick')].map((t) => t.textContent)")
        for side in "ab"
    ]
    assert ticks[0] == ticks[1]
    reach = max(np.abs(read_off(stage, "conv1", LAST)).max(), np.abs(read_off(stage, "conv2", 0)).max())
    assert float(ticks[0][2]) == pytest.approx(reach, rel=0.01)


def test_what_is_no_number_on_either_side_is_hatched(compare: Compare, stage) -> None:
    compare.show("layer=sick").loaded()
    apart = read_off(stage, "sick", LAST) - read_off(stage, "sick", 0)
    alpha = compare.tiles()[..., 3].reshape(4, 9, 9)
    np.testing.assert_array_equal(alpha == 0, ~np.isfinite(apart[:, 0, ..., 0]))


def test_of_three_colours_the_one_that_differs_most(compare: Compare, stage) -> None:
    compare.show("layer=rgb").loaded()
    apart = (read_off(stage, "rgb", LAST) - read_off(stage, "rgb", 0))[:, 0]
    most = np.take_along_axis(apart, np.abs(apart).argmax(-1)[..., None], -1)[..., 0]
    reach = max(np.abs(read_off(stage, "rgb", step) - read_off(stage, "rgb", 0)).max() for step in GOOD)
    table = stage.table("blue-red").astype(int)
    shown = compare.tiles()[:96, ..., :3].astype(int)
    place = np.abs(shown[..., None, :] - table).sum(-1).argmin(-1)
    close = np.abs(place - (most / reach + 1) / 2 * 255) <= 1.5
    # Where two colours differ by the same amount in opposite directions either may win.
    assert close.mean() > 0.995


def test_the_ratio_of_norms_counts_doublings(compare: Compare, stage) -> None:
    compare.show("layer=conv2&compare-mode=ratio&unit=3").loaded()
    norms = [np.sqrt((read_off(stage, "conv2", step)[..., 0] ** 2).sum(axis=(2, 3))) for step in (LAST, 0)]
    expected = np.log2(norms[0] / norms[1])
    first = np.sqrt((read_off(stage, "conv2", 0)[..., 0] ** 2).sum(axis=(2, 3)))
    reach = max(
        np.abs(np.log2(np.sqrt((read_off(stage, "conv2", s)[..., 0] ** 2).sum(axis=(2, 3))) / first)).max()
        for s in GOOD
    )
    table = stage.table("blue-red").astype(int)
    shown = compare.tiles()[:, 0, 0, :3].astype(int).reshape(16, 6, 3)
    place = np.abs(shown[:, :, None] - table).sum(-1).argmin(-1)
    assert np.abs(place - (expected / reach + 1) / 2 * 255).max() <= 1.5
    assert stage.js("document.querySelector('.compare-film-pair .film-tick-middle').textContent") == "1×"
    assert "×" in compare.text(".compare-film-pair .film-tick-hi")


def test_the_wipe_shows_a_left_of_the_divider_and_b_right_of_it(compare: Compare, stage) -> None:
    compare.show("layer=conv1&compare-mode=wipe&compare-wipe=40")
    compare.ready("pair")
    g = compare.geometry()
    mixed = compare.pixels("pair")
    # A and B are out of sight and laid out for their own room; the same colours come from the wipe's own ends.
    divider = compare.page.get_by_role("slider", name="Divider")
    divider.focus()
    divider.press("End")
    all_a = compare.pixels("pair")
    divider.press("Home")
    all_b = compare.pixels("pair")
    cut = round(0.4 * mixed.shape[1])
    np.testing.assert_array_equal(mixed[:, :cut], all_a[:, :cut])
    np.testing.assert_array_equal(mixed[:, cut:], all_b[:, cut:])
    assert (all_a != all_b).any()
    assert g["rows"] == 5
    box = compare.page.locator(".compare-film-pair .film-plate").bounding_box()
    compare.page.mouse.move(box["x"], box["y"] + 60)
    compare.page.mouse.down()
    compare.page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 60, steps=4)
    compare.page.mouse.up()
    assert divider.get_attribute("aria-valuenow") == "70"
    stage.wait("() => location.hash.includes('compare-wipe=70')")


def test_blinking_takes_turns_and_says_whose_turn_it_is(compare: Compare, stage) -> None:
    compare.show("layer=conv1&compare-mode=blink")
    compare.ready("pair")
    seen = {}
    for _ in range(60):
        before, pixels = compare.text(".compare-film-pair .film-lead"), compare.pixels("pair")
        if compare.text(".compare-film-pair .film-lead") == before:  # no turn ended in between
            seen.setdefault(before, pixels)
        if len(seen) == 2:
            break
        stage.page.wait_for_timeout(100)
    assert set(seen) == {"blink: A", "blink: B"}
    assert (seen["blink: A"] != seen["blink: B"]).any()


# ------------------------------------------------------------------------------------------------------ looked at together


def test_dragging_time_asks_for_nothing_and_one_run_is_loaded_once(compare: Compare, stage) -> None:
    compare.show("layer=conv2&compare-follow=lag&compare-lag=2").loaded()
    assert stage.server.count("/film?") == 1
    before, asked = len(stage.server.log), len(compare.asked)
    for step in (1000, 700, 20, 5, 1200):
        stage.js("step => time.requestStep(step)", step)
        stage.wait("step => document.querySelector('.compare-film-pair canvas').dataset.step === String(step)", step)
        assert compare.step("b") == STEPS[STEPS.index(step) - 2]
    assert (len(stage.server.log), len(compare.asked)) == (before, asked)


def test_hovering_tells_both_values_and_outlines_the_unit_everywhere(compare: Compare, stage) -> None:
    compare.show("layer=conv1").loaded()
    box = compare.page.locator(".compare-film-b canvas.film-canvas").bounding_box()
    g = compare.geometry("b")
    scale = box["height"] / (g["down"] * g["stepY"] - g["gap"])
    compare.page.mouse.move(box["x"] + scale / 2, box["y"] + (g["head"] + 0.5) * scale)
    tip = compare.page.locator(".compare-film-b .film-tip")
    lines = [line.text_content() for line in tip.locator("b").all()]
    a, b = (read_off(stage, "conv1", step)[0, 0, 0, 0, 0] for step in (LAST, 0))
    numbers = [float(line.replace("−", "-").split("≈ ")[1].split(" ±")[0]) for line in lines]
    assert [line.split(" ")[0] for line in lines] == ["A", "B", "A"]
    assert numbers == pytest.approx([a, b, a - b], abs=2e-3)
    marks = compare.page.locator(".film-mark-hover:visible")
    assert marks.count() == 3


def test_selecting_in_b_selects_the_partner_of_its_unit(compare: Compare, stage) -> None:
    compare.show("layer=conv1&b-units=3-5&units=0-2", ready=False)
    stage.server.steps = STEPS
    compare.ready()
    stage.js("view.set({unit: 1})")
    assert stage.js("compare.viewOfB().units") == "3-5"
    assert stage.js("view.get().unit") == 1


def test_scrolled_and_zoomed_together(compare: Compare, stage) -> None:
    compare.show("layer=conv2&zoom=8").loaded()
    stage.js(
        "() => { const s = document.querySelector('.compare-film-a .film-stage'); s.scrollTop = s.scrollHeight / 4; }"
    )
    stage.wait(
        "() => ['b', 'pair'].every((side) => document.querySelector(`.compare-film-${side} .film-stage`).scrollTop > 10)"
    )
    tops = stage.js(
        "['a', 'b', 'pair'].map((side) => document.querySelector(`.compare-film-${side} .film-stage`).scrollTop)"
    )
    assert max(tops) - min(tops) <= 2
    compare.page.locator(".compare-film-a").get_by_role("button", name="Smaller").click()
    readouts = compare.page.locator(".film-zoom-readout").all_text_contents()
    assert readouts == ["4×"] * 3


# ------------------------------------------------------------------------------------------------------------ B's moment


FOLLOWING = [
    ("", LAST, 0),
    ("b-step=20", LAST, 20),
    ("compare-follow=lag&compare-lag=3", 100, 10),
    ("compare-follow=same", 300, 300),
    ("b-run=other&compare-align=step", 300, 300),
    ("b-run=other&compare-align=share", 1200, 250),
    ("b-run=other&compare-align=share&compare-follow=lag", 1200, 200),
    ("b-run=other&compare-follow=fixed", 300, LAST),
]


def test_how_b_follows(compare: Compare, stage) -> None:
    (first, at, _), *_ = FOLLOWING
    compare.show(f"layer=conv1&{first}&step={at}")
    for hash, at, expected in FOLLOWING:
        stage.js("hash => { location.hash = hash; }", f"layer=conv1&{hash}&step={at}")
        stage.wait(
            """([at, expected]) => time.step === at && compare.overview && compare.step() === expected
            && document.querySelector('.compare-film-b canvas').dataset.step === String(expected)""",
            [at, expected],
        )
        assert compare.settle()["step"] == expected, hash
        assert compare.text(".compare-step >> nth=1").startswith(f"step {expected}".replace("1200", "1\u202f200"))


@pytest.mark.parametrize("case", FOLLOWING[2::3])
def test_how_b_follows_where_a_link_says_so(compare: Compare, stage, case: tuple[str, int, int]) -> None:
    hash, at, expected = case
    compare.show(f"layer=conv1&{hash}&step={at}")
    assert compare.step("b") == expected
    assert compare.settle()["step"] == expected


@pytest.mark.parametrize(
    ("hash", "sentence"),
    [
        ("compare-follow=lag&compare-lag=5&step=2", "There is no checkpoint 5 before this one."),
        pytest.param("b-run=other&compare-align=accuracy", "neither statistics nor a metric", marks=pytest.mark.slow),
        pytest.param("b-run=other&compare-align=epoch&step=0", "epoch is not known", marks=pytest.mark.slow),
        ("b-run=other&layer=dense", "dense has no partner in other"),
        ("b-run=removed", 'There is no run "removed"'),
    ],
)
def test_what_b_cannot_show_is_said_where_b_would_be(compare: Compare, stage, hash: str, sentence: str) -> None:
    compare.show(
        f"layer=conv1&{hash}".replace("layer=conv1&b-run=other&layer=dense", "b-run=other&layer=dense"), ready=False
    )
    stage.wait("part => document.querySelector('.compare-film-b .film-message').textContent.includes(part)", sentence)
    stage.wait("() => document.querySelector('.compare-film-a canvas').dataset.state === 'ready'")
    stage.wait("() => document.querySelector('.compare-film-pair canvas').dataset.state !== 'ready'")


def test_a_broken_checkpoint_on_one_side(compare: Compare, stage) -> None:
    compare.show("layer=conv1&b-step=450", ready=False)
    compare.ready("a")
    stage.wait("() => document.querySelector('.compare-film-b canvas').dataset.state === 'missing'")
    assert "cut short" in compare.message("b")
    stage.wait("() => document.querySelector('.compare-film-pair .film-message').textContent.includes('cut short')")


def test_differences_need_the_same_shape(compare: Compare, stage) -> None:
    compare.show("layer=conv1&b-layer=conv2")
    stage.wait("() => document.querySelector('.compare-film-pair .film-message').textContent.includes('same shape')")
    said = compare.message("pair")
    assert "A has 6 units of 1 × 5 × 5" in said
    assert "B 16 units of 6 × 5 × 5" in said


def test_b_s_own_slider_moves_b_alone_and_goes_to_the_address(compare: Compare, stage) -> None:
    compare.show("layer=conv1&compare-follow=free&b-step=0").loaded()
    slider = compare.page.get_by_role("slider", name="Moment of side B")
    slider.focus()
    for _ in range(3):
        slider.press("ArrowRight")
    stage.wait("() => document.querySelector('.compare-film-b canvas').dataset.step === '5'")
    assert compare.step("a") == LAST
    stage.wait("() => location.hash.includes('b-step=5')")


def test_settled_only_when_the_hand_rests(compare: Compare, stage) -> None:
    compare.show("layer=conv1&compare-follow=same").settle()
    writes = "storeWrites.filter((id) => id === 'compare-settled').length"
    before = stage.js(writes)
    stage.js("time.hold()")
    for step in (1000, 500, 100):
        stage.js("step => time.requestStep(step)", step)
        stage.page.wait_for_timeout(200)
    assert stage.js(writes) == before
    stage.js("time.release()")
    assert compare.settle()["step"] == 100


# ---------------------------------------------------------------------------------------------------- controls and panels


def test_controls_write_the_view_and_show_it(compare: Compare, stage) -> None:
    compare.show("layer=conv1")
    page = compare.page
    page.get_by_role("button", name="Side by side").click()
    page.locator("#compare-b-layer").select_option("conv2")
    page.locator("#compare-follow").select_option("lag")
    page.locator("#compare-lag").fill("4")
    page.locator("#compare-lag").press("Enter")
    stage.wait("() => location.hash.includes('compare-lag=4')")
    for part in ("compare-mode=side", "b-layer=conv2", "compare-follow=lag"):
        assert part in stage.js("location.hash")
    assert page.get_by_role("button", name="Side by side").get_attribute("aria-pressed") == "true"
    assert not page.locator(".compare-film-pair").is_visible()
    page.locator("#compare-lag").fill("some")
    page.locator("#compare-lag").press("Enter")
    assert "not a whole number" in compare.text("#notices")
    page.locator("#compare-b-layer").select_option("")
    assert "b-layer" not in stage.js("location.hash")
    page.go_back()
    stage.wait("() => location.hash.includes('b-layer=conv2')")
    assert page.locator("#compare-b-layer").input_value() == "conv2"


def test_layers_are_paired_by_hand_and_back(compare: Compare, stage) -> None:
    stage.page.set_viewport_size({"width": 1280, "height": 1400})
    compare.show("b-run=other&layer=conv1", parts="Comparison:compare,ComparisonLayers:layers")
    row = compare.page.locator("tr", has=compare.page.get_by_role("button", name="dense"))
    assert "no partner" in row.text_content()
    row.locator("select").select_option("dense")
    stage.wait("() => location.hash.includes('compare-pairs=dense:dense')")
    stage.wait("() => compare.overview && compare.overview.pairs.find(({ a }) => a === 'dense').how === 'hand'")
    compare.page.get_by_title("Pair it again as it is found").click()
    stage.wait("() => compare.overview && compare.overview.pairs.find(({ a }) => a === 'dense').how === 'none'")
    assert "compare-pairs" not in stage.js("location.hash")


def test_paired_bars_of_the_selected_image(compare: Compare, stage) -> None:
    compare.show("layer=conv1&image=test-3&compare-panel=image", parts="Comparison:compare,ComparisonPredictions:bars")
    stage.wait(
        "() => document.querySelectorAll('.compare-bar-row').length === 10 "
        "&& !document.querySelector('.compare-predictions .quiet-text').textContent"
    )
    rows = compare.page.locator(".compare-bar-row").all()
    shown = [[text.text_content() for text in row.locator(".compare-bar-text").all()] for row in rows]
    for side, step in enumerate((LAST, 0)):
        expected = [f"{100 * p:.1f}\u202f%" for p in stage.server.probabilities("test-3", step)]
        assert [pair[side] for pair in shown] == expected
    assert compare.page.locator(".compare-true .compare-bar-name").text_content() == "three"
    stage.js("time.requestStep(450)")
    stage.wait("() => document.querySelector('.compare-predictions .quiet-text').textContent.includes('cut short')")


def bars(compare: Compare) -> dict[str, list[str]]:
    """What is written for A and B, by name of the row."""
    compare.show(
        "b-run=other&compare-align=step&layer=conv1&image=test-3&compare-panel=image",
        parts="Comparison:compare,ComparisonPredictions:bars",
    )
    compare.stage.wait(
        "() => document.querySelectorAll('.compare-bar-row').length >= 8 "
        "&& !document.querySelector('.compare-predictions .quiet-text').textContent"
    )
    return {
        row.locator(".compare-bar-name").text_content(): row.locator(".compare-bar-text").all_text_contents()
        for row in compare.page.locator(".compare-bar-row").all()
    }


def test_outputs_of_two_networks_are_paired_by_the_class_they_stand_for(compare: Compare, stage) -> None:
    backwards = CLASSES[::-1]
    compare.of_b = {"classNames": list(backwards), "basis": basis(backwards, range(9, -1, -1))}
    shown = bars(compare)
    a, b = stage.server.probabilities("test-3", LAST), stage.server.probabilities("test-3", LAST)[::-1]
    assert shown == {name: [f"{100 * p:.1f}\u202f%" for p in (a[n], b[n])] for n, name in enumerate(CLASSES)}
    assert compare.page.locator(".compare-true .compare-bar-name").all_text_contents() == ["three"]


def test_outputs_that_stand_for_nothing_known_are_rows_of_their_own(compare: Compare, stage) -> None:
    compare.of_b = unnamed(10)
    shown = bars(compare)
    assert set(shown) <= {*CLASSES, *compare.of_b["classNames"]}
    assert {name: [text == "–" for text in texts] for name, texts in shown.items()} == {
        name: [name not in CLASSES, name in CLASSES] for name in shown
    }
    assert compare.page.locator(".compare-true .compare-bar-name").all_text_contents() == ["three"]


def test_pictures_to_keep_hold_the_canvases_and_their_words(compare: Compare, stage) -> None:
    compare.show("layer=conv1").loaded()
    drawing = stage.js("compareExport.drawing(document.querySelector('#compare'))")
    assert drawing["films"] == 3
    assert drawing["svg"].count("<image") == 6
    assert "A − B" in drawing["svg"]
    with compare.page.expect_download() as download:
        compare.page.locator("[data-save=png]").click()
    assert download.value.suggested_filename == "demo-1200-demo-0-conv1.png"
    assert "a_step=1200&b_step=0&a_layer=conv1&b_layer=conv1" in stage.js("compare.exportUrl('arrays.npz')")


# -------------------------------------------------------------------------------------------------------------- confusion


def matrices(compare: Compare, hash: str = "") -> Compare:
    compare.page.route("**/comparison/demo/confusion/**", lambda route: route.fulfill(json=moved(route.request.url)))
    compare.show(f"compare-show=confusion&{hash}", parts="Comparison:compare,ComparisonConfusion:matrices", ready=False)
    compare.page.add_style_tag(content="#matrices { height: 600px } .for-ComparisonConfusion { grid-column: 1 / -1 }")
    return compare


def moved(url: str) -> dict:
    image = {"id": "test-7", "name": "test 7", "elsewhere": 3, "elsewhere_name": "three"}
    return {"into": {"total": 40, "images": [image]}, "out_of": {"total": 0, "images": []}, "url": url}


def tell(compare: Compare, side: str, actual: int, predicted: int) -> list[str]:
    """What is said of a cell that the pointer is over."""
    place = compare.page.evaluate(
        """([side, row, column]) => { const c = document.querySelector(`.compare-matrix[data-side=${side}] canvas`);
        c.scrollIntoView({ block: "center" }); const g = JSON.parse(c.dataset.geometry); const box = c.getBoundingClientRect();
        return [box.x + g.left + (column + 0.5) * g.across, box.y + g.top + (row + 0.5) * g.down]; }""",
        [side, actual, predicted],
    )
    compare.page.mouse.move(*place)
    tip = compare.page.locator(".compare-confusion .film-tip")
    tip.wait_for(state="visible")
    # What the pointer is over is shown in the next frame.
    compare.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return [line.text_content() for line in tip.locator("b").all()]


def matrix_ready(stage, *sides: str) -> None:
    for side in sides:
        stage.wait(
            "side => document.querySelector(`.compare-matrix[data-side=${side}] canvas`).dataset.state === 'ready'",
            side,
        )


def test_confusion_of_both_sides_and_the_difference(compare: Compare, stage) -> None:
    matrices(compare, "b-step=20")
    matrix_ready(stage, "a", "b", "pair")
    a, b = stage.server.statistics.matrix(LAST), stage.server.statistics.matrix(20)
    for cell in ((4, 4), (2, 7)):
        apart = int(a[cell] - b[cell])
        sign = f"+{apart}" if apart > 0 else str(apart).replace("-", "−")
        assert tell(compare, "a", *cell) == [f"A {a[cell]}", f"B {b[cell]}", f"A − B {sign}"]
    reach = np.abs(a - b)[:, :10].max()
    legends = compare.page.locator(".compare-matrix > .quiet-text").all_text_contents()
    assert "from 0 to 200" in legends[0]
    assert legends[0] == legends[1]
    assert f"±{reach}" in legends[2]
    shares = [100 * np.trace(counts) / counts.sum() for counts in (a, b)]
    heads = compare.page.locator(".compare-matrix .film-title").all_text_contents()
    assert heads[:2] == [
        f"A · demo · step 1\u202f200 · accuracy {shares[0]:.1f}\u202f%",
        f"B · demo · step 20 · accuracy {shares[1]:.1f}\u202f%",
    ]
    assert heads[2] == f"A − B · accuracy +{shares[0] - shares[1]:.1f} points"
    asked = len(stage.server.log)
    stage.js("time.requestStep(1000)")
    stage.wait("() => document.querySelector('.compare-matrix[data-side=pair] canvas').dataset.step === '1000'")
    assert tell(compare, "a", 4, 4)[0] == f"A {stage.server.statistics.matrix(1000)[4, 4]}"
    assert not any("confusions" in line for line in stage.server.log[asked:])


def test_confusion_of_classes_in_different_orders_is_not_compared(compare: Compare, stage) -> None:
    compare.of_b = {"basis": basis(CLASSES, [1, 0, *range(2, 10)])}
    compare.show(
        "b-run=other&compare-show=confusion&actual=4&predicted=4", parts="Comparison:compare,ComparisonConfusion:matrices",
        ready=False,
    )  # fmt: skip
    compare.page.add_style_tag(content="#matrices { height: 600px } .for-ComparisonConfusion { grid-column: 1 / -1 }")
    matrix_ready(stage, "a", "b")
    assert (
        "cannot be compared"
        in compare.page.locator(".compare-matrix[data-side=pair] .compare-matrix-message").text_content()
    )
    compare.page.locator(".compare-matrix[data-side=a] canvas").hover()
    assert not compare.page.locator(".compare-confusion .film-tip").is_visible()
    stage.page.wait_for_timeout(300)
    assert not any("/confusion/" in address for address in compare.asked)


def test_statistics_on_one_side_only_are_said_with_the_command(compare: Compare, stage) -> None:
    stage.server.statistics.ready -= {20}
    matrices(compare, "b-step=20")
    matrix_ready(stage, "a")
    said = compare.page.locator(".compare-matrix-message")
    stage.wait(
        "() => document.querySelectorAll('.compare-matrix-message')[1].textContent.includes('not been evaluated yet')"
    )
    assert stage.server.statistics.command in said.nth(1).text_content()
    assert "both sides" in said.nth(2).text_content()


def test_a_cell_tells_who_moved_into_it_and_out_of_it(compare: Compare, stage) -> None:
    matrices(compare, "b-step=20")
    matrix_ready(stage, "a", "b")
    compare.page.locator(".compare-matrix-stage").first.focus()
    compare.page.keyboard.press("ArrowDown")
    for _ in range(2):
        compare.page.keyboard.press("ArrowRight")
    compare.page.keyboard.press("Enter")
    stage.wait("() => location.hash.includes('actual=0&predicted=2')")
    stage.wait("() => document.querySelector('.compare-moved').textContent.includes('40 in this cell at A, not at B')")
    thumbnail = compare.page.locator(".compare-thumbnails .image-tile")
    assert "B predicted three" in thumbnail.get_attribute("title")
    thumbnail.click()
    stage.wait("() => location.hash.includes('image=test-7')")


def test_headings_say_run_step_and_accuracy_first(compare: Compare, stage) -> None:
    compare.show("layer=conv1")
    heads = [[compare.text(f".compare-film-{side} .film-{part}") for part in ("lead", "moment")] for side in "ab"]
    assert heads == [["A · demo", "step 1\u202f200 · accuracy 0.600"], ["B · demo", "step 0 · accuracy 0.000"]]


def test_runs_that_count_differently_are_aligned_by_share_unless_told(compare: Compare, stage) -> None:
    compare.show("layer=conv1&b-run=other")
    assert compare.step("b") == STEPS[STEPS.index(LAST) // 2]
    assert compare.text('#compare-align [aria-pressed="true"]') == "share of training"


def test_another_alignment_is_one_click_and_the_best_is_chosen_by_choosing_no_other(compare: Compare, stage) -> None:
    compare.show("layer=conv1&b-run=other")
    for name, address in (("accuracy", "accuracy"), ("share of training", "auto")):
        compare.page.get_by_role("button", name=name, exact=True).click()
        assert stage.js("view.get()['compare-align']") == address


def test_sides_have_a_scale_each_where_that_is_asked_for(compare: Compare, stage) -> None:
    def ends(side: str) -> str:
        return compare.text(f".compare-film-{side} .film-tick-hi")

    compare.show("layer=conv1&b-run=other&compare-mode=side&range=step")
    assert ends("a") == ends("b")
    compare.page.get_by_role("button", name="Own scales").click()
    stage.wait(
        """() => { const [a, b] = ["a", "b"].map((side) =>
        document.querySelector(`.compare-film-${side} .film-tick-hi`).textContent); return a !== b; }"""
    )


def test_a_blink_stands_still_where_motion_is_unwelcome_and_is_turned_by_hand(compare: Compare, stage) -> None:
    compare.show("layer=conv1&compare-mode=blink")
    compare.ready("pair")
    stage.js("turns.isPaused") or compare.page.get_by_role("button", name="Pause").click()
    before = compare.text(".compare-film-pair .film-lead")
    other = "B" if before.endswith("A") else "A"
    compare.page.get_by_role("button", name=f"Show {other}").click()
    stage.wait(f"() => document.querySelector('.compare-film-pair .film-lead').textContent === 'blink: {other}'")
    compare.page.get_by_role("button", name="Go on").click()
    stage.wait(f"() => document.querySelector('.compare-film-pair .film-lead').textContent !== 'blink: {other}'")


def test_where_accuracy_is_missing_its_computation_is_offered(compare: Compare, stage) -> None:
    compare.show("layer=conv1&b-run=other&compare-align=accuracy", ready=False)
    compare.page.locator(".tool-chip", has_text="Evaluate now").click()
    stage.wait("() => [...document.querySelectorAll('.tool-chip')].some((chip) => chip.textContent === 'Evaluating …')")
    assert [action for action, *_ in stage.server.statistics.posted] == ["start"]
