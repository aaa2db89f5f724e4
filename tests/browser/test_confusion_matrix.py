"""assets/confusion/*.mjs on a stage: the matrix, its cells, pairs and changes, against counts that NumPy makes."""

from __future__ import annotations

import math
import re
import time

import numpy as np
import pytest
from statistics_server import BROKEN, CLASSES, STEPS

from mloscope.components.figures.confusion_heat_map import shade_scale

PARTS = (
    "ConfusionTools",
    "ConfusionMatrix",
    "ConfusionAccuracy",
    "ConfusionPairs",
    "ConfusionCell",
    "ConfusionChanges",
)
MANY = tuple(f"{'abcdefghijklmnopqrstuvwxyz'[n * 7 % 26]} class {n}" for n in range(300))
READY = """() => { const s = confusion.statistics; const c = document.querySelector('.confusion-canvas');
  return s && s.total > 0 && s.loaded === s.total && c && c.dataset.state === 'ready'; }"""


@pytest.fixture
def show(stage):
    def open_page(hash: str = "", **changes: object):
        stage.server.statistics = stage.server.new_statistics(**changes)
        stage.show(*PARTS, hash=hash)
        stage.wait(READY)
        return stage

    return open_page


def go_to(stage, step: int, state: str = "ready") -> None:
    stage.js("step => time.requestStep(step)", step)
    stage.page.wait_for_selector(f'.confusion-canvas[data-state="{state}"][data-step="{step}"]')


def colours(stage) -> np.ndarray:
    """uint8 (row, column, 3): a pixel near the corner of each cell in view, where no digit is."""
    found = stage.js(
        """() => { const m = confusion.matrix; const g = m.geometry(); const ratio = m.painting.canvas.width / g.width;
        const context = m.painting.canvas.getContext('2d'); const rows = [];
        for (let r = g.firstRow; r <= g.lastRow; r += 1) { const row = [];
          for (let c = g.firstColumn; c <= g.lastColumn; c += 1) {
            const x = Math.round((g.columnEdge(c) + 3) * ratio); const y = Math.round((g.rowEdge(r) + 3) * ratio);
            row.push([...context.getImageData(x, y, 1, 1).data]); }
          rows.push(row); }
        return rows; }"""
    )
    return np.array(found)


def colour_of(share: float) -> np.ndarray:
    """What Plotly makes of a shading of 0..1."""
    scale = shade_scale("light")
    places = [place for place, _ in scale]
    stops = np.array([[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for _, colour in scale])
    return np.array([np.interp(share, places, stops[:, axis]) for axis in range(3)])


def assert_shaded(stage, values: np.ndarray, top: float) -> None:
    """The canvas shows these values (NaN: anything), at once or as soon as the page has caught up."""
    expected = np.array([[colour_of(math.sqrt(np.minimum(1, value / top))) for value in row] for row in values])
    deadline = time.monotonic() + 5
    while True:
        drawn = colours(stage)[: len(values), : values.shape[1], :3]
        wrong = np.argwhere(np.abs(drawn - expected).max(axis=2) > 2)
        if not len(wrong) or time.monotonic() > deadline:
            break
        stage.page.wait_for_timeout(20)
    assert [
        (*place, values[tuple(place)], drawn[tuple(place)], expected[tuple(place)]) for place in wrong.tolist()
    ] == []


def box(stage) -> dict:
    return stage.page.locator(".confusion-canvas").bounding_box()


def over(stage, row: int, column: int, rows: int = 10, columns: int = 10) -> tuple[float, float]:
    """Where a cell lies on the page, all being in view."""
    b = box(stage)
    return b["x"] + b["width"] * (column + 0.5) / columns, b["y"] + b["height"] * (row + 0.5) / rows


# ------------------------------------------------------------------------------------------------------------- matrix


def test_the_canvas_lies_exactly_where_plotly_s_axes_say(show):
    stage = show()
    axes = stage.js(
        """() => { const gd = document.querySelector('.confusion-plot'); const { xaxis, yaxis } = gd._fullLayout;
        const g = confusion.matrix.geometry();
        const at = gd.getBoundingClientRect();
        return { x: at.x + xaxis._offset, y: at.y + yaxis._offset, width: xaxis._length, height: yaxis._length,
                 edges: [0, 3, 10].map((p) => [xaxis.l2p(p - 0.5), yaxis.l2p(p - 0.5)]),
                 ours: [0, 3, 10].map((p) => [g.columnEdge(p), g.rowEdge(p)]) }; }"""
    )
    b = box(stage)
    assert [b[k] for k in ("x", "y", "width", "height")] == pytest.approx(
        [axes[k] for k in ("x", "y", "width", "height")], abs=0.6
    )
    assert np.array(axes["ours"]) == pytest.approx(np.array(axes["edges"]), abs=0.01)


def test_cells_are_shaded_by_their_counts_at_every_step(show):
    stage = show()
    for step in (STEPS[0], 100, STEPS[-1]):
        go_to(stage, step)
        matrix = stage.server.statistics.matrix(step)[:, :-1]
        assert_shaded(stage, matrix, top=200)


def test_plotly_s_own_heat_map_follows_when_time_settles(show):
    stage = show()
    go_to(stage, 100)
    matrix = stage.server.statistics.matrix(100)[:, :-1]
    stage.wait(
        """wanted => { const { z } = document.querySelector('.confusion-plot').data[0];
        return wanted.every((row, r) => row.every((v, c) => Math.abs(z[r][c] - v) < 1e-6)); }""",
        np.sqrt(matrix / 200).tolist(),
    )


def test_shares_of_a_row_and_of_a_column(show):
    stage = show("#shade=row")
    matrix = stage.server.statistics.matrix(STEPS[-1])[:, :-1]
    assert_shaded(stage, matrix / matrix.sum(1, keepdims=True), top=1)
    stage.page.get_by_role("button", name="by column").click()
    stage.wait("() => location.hash.includes('shade=column')")
    assert_shaded(stage, matrix / matrix.sum(0), top=1)


def test_a_share_of_nothing_is_no_colour(show):
    stage = show("#shade=column&step=0", unpredicted=0)
    go_to(stage, 0)
    matrix = stage.server.statistics.matrix(0)
    never = np.flatnonzero(matrix.sum(0)[:-1] == 0)
    assert len(never)
    assert (colours(stage)[:, never, 3] == 0).all(), "the hatch behind is not seen"


def test_without_the_diagonal_errors_stand_out(show):
    stage = show()
    stage.page.get_by_label("errors only").check()
    stage.wait("() => location.hash.includes('diagonal=off')")
    statistics = stage.server.statistics
    most = sorted(
        (m := statistics.matrix(s)[:, :-1].copy(), np.fill_diagonal(m, 0), m.max())[2] for s in statistics.ready_steps()
    )
    matrix = statistics.matrix(STEPS[-1])[:, :-1].copy()
    np.fill_diagonal(matrix, 0)
    assert_shaded(stage, np.where(matrix, matrix, np.nan), top=most[len(most) // 2])
    assert (colours(stage)[np.eye(10, dtype=bool)][:, :3] == 255).all()


def test_dragging_shows_every_step_and_asks_for_nothing(show):
    stage = show(ready=set(STEPS))
    stage.quiet()
    asked = len(stage.server.log)
    shown = stage.js(
        """async () => { const shown = []; time.hold();
        for (let i = 0; i < time.count; i += 1) { time.request(i);
          await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
          shown.push([document.querySelector('.confusion-canvas').dataset.step,
            document.querySelector('.confusion-accuracy').dataset.correct]); }
        return shown; }"""
    )
    expected = [[str(step), str(int(np.trace(stage.server.statistics.matrix(step))))] for step in STEPS]
    assert shown == expected
    assert stage.server.log[asked:] == []


def test_a_step_without_statistics_is_hatched_and_says_why(show):
    stage = show()
    go_to(stage, BROKEN, "missing")
    assert "ckpt-450.keras is cut short" in stage.page.locator(".confusion-message").inner_text()
    assert not np.array(
        stage.js(
            "() => [...document.querySelector('.confusion-canvas').getContext('2d').getImageData(0, 0, 50, 50).data]"
        )
    ).any()
    assert stage.page.locator(".confusion-accuracy-share").inner_text() == "–"
    go_to(stage, 500)
    assert not stage.page.locator(".confusion-message").is_visible()


def test_not_predicted_is_a_column_only_where_something_was_not_predicted(show):
    stage = show()
    assert stage.js("confusion.columns") == 10
    stage = show(unpredicted=7)
    assert stage.js("[confusion.columns, confusion.name(10)]") == [11, "not predicted"]
    go_to(stage, 0)
    matrix = stage.server.statistics.matrix(0)
    assert matrix[:, -1].sum() == 7
    assert_shaded(stage, matrix, top=200)


def test_accuracy_is_exact(show):
    stage = show()
    correct = int(np.trace(stage.server.statistics.matrix(STEPS[-1])))
    assert stage.page.locator(".confusion-accuracy-share").inner_text() == f"{correct / 20:.2f}\u202f%"
    assert (
        stage.page.locator(".confusion-accuracy-count").inner_text().replace("\u202f", "")
        == f"{correct} of 2000 images"
    )


# -------------------------------------------------------------------------------------------------------------- order


def test_orders_by_name_similarity_and_group(show):
    stage = show(groups=(("odd", (1, 3, 5, 7, 9)), ("even", (0, 2, 4, 6, 8))))
    matrix = stage.server.statistics.matrix(STEPS[-1])[:, :-1]
    by_name = np.argsort(CLASSES)
    for order, classes in (
        ("name", by_name),
        ("similarity", np.arange(10)[::-1]),
        ("group", np.array([1, 3, 5, 7, 9, 0, 2, 4, 6, 8])),
    ):
        stage.view(order=order)
        stage.wait("wanted => [...confusion.order].join() === wanted", ",".join(map(str, classes)))
        if order != "group":  # there a line between groups crosses the corners
            assert_shaded(stage, matrix[np.ix_(classes, classes)], top=200)
    assert stage.js("confusion.groups.map((g) => g.name)") == ["odd", "even"]


def test_an_order_that_cannot_be_had_says_why(show):
    stage = show("#order=group")
    stage.wait("() => document.querySelector('.confusion-status').textContent.includes('no hierarchy file')")
    assert stage.js("[...confusion.order]") == list(range(10))


# ------------------------------------------------------------------------------------------------------ pointer, keys


def test_pointing_at_a_cell_shows_a_sample_of_its_images_at_once(show):
    stage = show()
    row, column = 3, 3
    x, y = over(stage, row, column)
    stage.page.mouse.move(x, y)
    stage.page.wait_for_selector('.confusion-card[data-sampled^="3,3,"] img')
    statistics = stage.server.statistics
    expected = statistics.cell(STEPS[-1], row, column, "confident")
    card = stage.page.locator(".confusion-card")
    sources = card.locator("img").evaluate_all("images => images.map((image) => image.src)")
    assert [source.split("/")[-1].split(".")[0] for source in sources] == [
        f"test-{position}" for position in expected[:6]
    ]
    assert f"{len(expected)} images" in card.inner_text()
    assert f"and {len(expected) - 6} more" in card.inner_text()
    stage.page.mouse.move(5, 5)
    assert not card.is_visible()


def test_a_click_lists_all_images_of_the_cell_page_by_page(show):
    stage = show()
    stage.page.mouse.click(*over(stage, 5, 5))
    stage.page.wait_for_selector(".confusion-cell-images[data-total]")
    statistics = stage.server.statistics
    expected = statistics.cell(STEPS[-1], 5, 5, "confident")
    assert len(expected) > 120
    assert stage.js("[view.get().actual, view.get().predicted]") == [5, 5]
    tiles = stage.page.locator(".confusion-cell .image-tile")
    seen = []
    for _ in range(-(-len(expected) // 60)):
        seen += tiles.evaluate_all("tiles => tiles.map((tile) => tile.dataset.id)")
        if len(seen) < len(expected):
            first = seen[-60]
            stage.page.locator(".confusion-cell").get_by_role("button", name="Next page of images").click()
            stage.wait("first => document.querySelector('.confusion-cell .image-tile')?.dataset.id !== first", first)
    assert seen == [f"test-{position}" for position in expected]
    total = stage.page.locator(".confusion-cell-images").first.get_attribute("data-total")
    assert int(total) == len(expected) == statistics.matrix(STEPS[-1])[5, 5]
    stage.page.get_by_label("Order of the images").select_option("unsure")
    unsure = statistics.cell(STEPS[-1], 5, 5, "unsure")
    stage.wait("id => document.querySelector('.confusion-cell .image-tile')?.dataset.id === id", f"test-{unsure[0]}")
    tiles.nth(1).click()
    assert stage.js("view.get().image") == f"test-{unsure[1]}"
    assert tiles.nth(1).get_attribute("aria-selected") == "true"


def test_the_page_of_a_cell_s_images_is_in_the_address(show):
    stage = show("#actual=5&predicted=5&cell-offset=60")
    expected = stage.server.statistics.cell(STEPS[-1], 5, 5, "confident")
    first = "() => document.querySelector('.confusion-cell .image-tile')?.dataset.id"
    stage.wait(f"id => ({first})() === id", f"test-{expected[60]}")
    stage.page.locator(".confusion-cell").get_by_role("button", name="Next page of images").click()
    stage.wait(f"id => ({first})() === id", f"test-{expected[120]}")
    assert "cell-offset=120" in stage.js("() => location.hash")
    stage.page.get_by_label("Order of the images").select_option("unsure")
    stage.wait(f"id => ({first})() === id", f"test-{stage.server.statistics.cell(STEPS[-1], 5, 5, 'unsure')[0]}")
    assert "cell-offset" not in stage.js("() => location.hash"), "another order begins at its first page"


def test_a_page_beyond_the_last_is_the_last(show):
    stage = show("#actual=5&predicted=5&cell-offset=999999")
    expected = stage.server.statistics.cell(STEPS[-1], 5, 5, "confident")
    last = (len(expected) - 1) // 60 * 60
    stage.wait(
        "id => document.querySelector('.confusion-cell .image-tile')?.dataset.id === id",
        f"test-{expected[last]}",
    )


def test_images_of_another_step_are_never_left_standing(show):
    stage = show("#actual=5&predicted=5")
    stage.page.wait_for_selector(".confusion-cell-images[data-total]")
    stage.js("() => { time.hold(); time.requestStep(100); }")
    stage.page.wait_for_selector('.confusion-canvas[data-step="100"]')
    assert stage.page.locator(".confusion-cell .image-tile").count() == 0
    stage.js("time.release()")
    count = int(stage.server.statistics.matrix(100)[5, 5])
    stage.page.wait_for_selector(f'.confusion-cell-images[data-total="{count}"]')


def test_arrows_move_the_selected_cell_and_enter_opens_it(show):
    stage = show()
    stage.page.locator(".confusion-stage").focus()
    stage.page.keyboard.press("ArrowDown")
    stage.page.keyboard.press("ArrowDown")
    stage.page.keyboard.press("ArrowRight")
    assert stage.js("confusion.cell()") == {"actual": 1, "predicted": 1}
    count = int(stage.server.statistics.matrix(STEPS[-1])[1, 1])
    stage.wait(
        "(count) => document.querySelector('.confusion-matrix [aria-live]').textContent.includes(count)", str(count)
    )
    said = stage.page.locator(".confusion-matrix [aria-live]").inner_text().replace("\u202f", "")
    assert re.findall(r"\d+(?:\.\d+)?", said) == ["1200", str(count), "200", f"{count / 2:.1f}"]
    assert "“one”" in said
    stage.page.wait_for_selector(".confusion-cell-images[data-total]")
    stage.page.keyboard.press("Enter")
    stage.wait("() => document.activeElement.classList.contains('image-tile')")
    index = stage.js("time.index")
    stage.page.keyboard.press("ArrowRight")
    assert stage.js("time.index") == index, "the arrows moved time"


def test_a_cell_s_own_history_is_its_count_at_every_step(show):
    stage = show("#actual=2&predicted=3")
    stage.wait("() => document.querySelector('.spark-line').getAttribute('d')")
    course = [None if step == BROKEN else int(stage.server.statistics.matrix(step)[2, 3]) for step in STEPS]
    points = stage.js(
        """() => [...document.querySelector('.spark-line').getAttribute('d')
        .matchAll(/[ML]([\\d.]+) ([\\d.]+)/g)].map((m) => [+m[1], +m[2]])"""
    )
    known = [(index, count) for index, count in enumerate(course) if count is not None]
    assert len(points) == len(known)
    for (x, y), (index, count) in zip(points, known, strict=True):
        assert x == pytest.approx(3 + index / 21 * 294, abs=0.01)
        assert y == pytest.approx(43 - count / max(c for _, c in known) * 40, abs=0.01)
    assert stage.page.locator(".spark-line").get_attribute("d").count("M") == 2, "the broken checkpoint is bridged"


# ------------------------------------------------------------------------------------------------------ pairs, changes


def pairs(stage) -> list[tuple[str, int]]:
    return [
        (cell, int(number.replace("+", "").replace("\u202f", "")))
        for cell, number in stage.js(
            "() => [...document.querySelectorAll('.confusion-pairs .confusion-pair')].map((p) => [p.dataset.cell, p.lastChild.textContent])"
        )
    ]


def test_the_most_confused_pairs_follow_the_slider(show):
    stage = show()
    for step in (100, STEPS[-1]):
        go_to(stage, step)
        off = stage.server.statistics.matrix(step)
        np.fill_diagonal(off, 0)
        best = sorted(zip(-off.ravel(), range(off.size), strict=True))[:12]
        assert pairs(stage) == [(f"{cell // 11},{cell % 11}", -count) for count, cell in best]
    stage.page.locator(".confusion-pairs .confusion-pair").first.click()
    assert stage.js("(({ actual, predicted }) => `${actual},${predicted}`)(confusion.cell())") == pairs(stage)[0][0]


def test_the_fastest_growing_pairs_since_a_chosen_step(show):
    stage = show("#since=100")
    stage.page.get_by_role("button", name="growing").click()
    grown = stage.server.statistics.matrix(STEPS[-1]) - stage.server.statistics.matrix(100)
    np.fill_diagonal(grown, 0)
    best = sorted((-count, cell) for cell, count in enumerate(grown.ravel()) if count > 0)[:12]
    assert pairs(stage) == [(f"{cell // 11},{cell % 11}", -count) for count, cell in best]
    address = stage.js("() => location.hash")
    assert "pairs=growing" in address
    stage = show(address)
    assert pairs(stage) == [(f"{cell // 11},{cell % 11}", -count) for count, cell in best]


def test_of_images_whose_classes_no_output_stands_for_nothing_is_called_right_wrong_or_unchanged(show):
    stage = show("#since=100", known=False)
    stage.page.wait_for_selector('.confusion-changes[data-shows="100>1200"]')
    sentence = (
        "No output of the network stands for a class of these images, so predictions cannot be judged right or wrong."
    )
    stage.page.wait_for_selector(f".confusion-changes :text('{sentence}')")
    stage.page.wait_for_selector(f".confusion-accuracy :text('{sentence}')")
    said = stage.page.locator("#stage").inner_text()
    assert said.count(sentence) == 3
    assert "Every image" not in said
    assert "Nothing is confused" not in said


def test_what_changed_lists_the_moves_and_shows_their_images(show):
    stage = show("#since=100")
    stage.page.wait_for_selector('.confusion-changes[data-shows="100>1200"]')
    moves, positions = stage.server.statistics.moved(100, 1200, {})
    said = stage.page.locator(".confusion-changes .confusion-cell-sentence").inner_text().replace("\u202f", "")
    assert said.startswith(f"{len(positions)} predictions changed between steps 100 and 1200")
    rows = stage.page.locator(".confusion-changes .confusion-move")
    assert rows.count() == 12
    numbers = rows.evaluate_all("rows => rows.map((row) => Number(row.lastChild.lastChild.textContent))")
    assert numbers == [move["count"] for move in moves[:12]]
    signs = rows.evaluate_all("rows => rows.map((row) => row.lastChild.textContent.replace(/[0-9]/g, ''))")
    assert signs == [{move["to"]: "▲", move["from"]: "▼"}.get(move["actual"], "") for move in moves[:12]]
    assert stage.page.locator(".confusion-move-head").is_visible()
    rows.nth(1).click()
    move = moves[1]
    query = {"actual": move["actual"], "before": move["from"], "after": move["to"]}
    _, expected = stage.server.statistics.moved(100, 1200, query)
    stage.page.wait_for_selector(".confusion-changes .confusion-cell-images[data-total]")
    ids = stage.page.locator(".confusion-changes .image-tile").evaluate_all(
        "tiles => tiles.map((tile) => tile.dataset.id)"
    )
    assert ids == [f"test-{position}" for position in expected][:60]
    more = stage.page.locator(".confusion-changes .confusion-more")
    assert more.inner_text().replace("\u202f", "") == f"show all {len(moves)} changes"
    more.click()
    assert rows.count() == len(moves)
    go_to(stage, 1000)
    stage.page.wait_for_selector('.confusion-changes[data-shows="100>1000"]')


# -------------------------------------------------------------------------------------------------------- many classes


def test_many_classes_a_single_cell_is_never_lost_between_pixels(show):
    stage = show(names=MANY, images=6000)
    matrix = stage.server.statistics.matrix(STEPS[-1])[:, :-1]
    drawn = stage.js(
        """() => { const m = confusion.matrix; const g = m.geometry(); const ratio = m.painting.canvas.width / g.width;
        const { data, width } = m.painting.canvas.getContext('2d').getImageData(0, 0, m.painting.canvas.width, m.painting.canvas.height);
        const empty = m.painting.colours().pixels[3]; const words = new Uint32Array(data.buffer); const lost = [];
        const step = m.model.statistics.peek(time.index);
        step.cells.forEach((cell) => { const r = Math.floor(cell / 301), c = cell % 301;
          const x = Math.round(g.columnEdge(c) * ratio), y = Math.round(g.rowEdge(r) * ratio);
          if (words[y * width + x] === empty) lost.push([r, c]); });
        return [step.cells.length, lost]; }"""
    )
    assert drawn == [np.count_nonzero(matrix), []]


def test_a_class_that_is_searched_for_is_shown_among_its_neighbours(show):
    stage = show(names=MANY, images=6000)
    stage.page.get_by_role("combobox", name="Find a class").fill("class 123")
    stage.page.get_by_role("option", name="class 123").click()
    stage.wait("() => view.get().area === '113-133,113-133'")
    assert stage.js("confusion.cell()") == {"actual": 123, "predicted": 123}
    stage.wait("() => { const g = confusion.matrix.geometry(); return g.firstRow === 113 && g.lastColumn === 133; }")
    stage.wait("() => document.querySelector('.confusion-plot .ytick text')?.textContent.includes('class 113')")
    stage.page.get_by_role("button", name="all classes").click()
    stage.wait("() => confusion.matrix.geometry().lastRow === 299")


def test_an_area_in_the_address_is_what_is_shown(show):
    stage = show("#area=10-19,40-59", names=MANY, images=6000)
    g = stage.js("confusion.matrix.geometry()")
    assert [g[key] for key in ("firstRow", "lastRow", "firstColumn", "lastColumn")] == [10, 19, 40, 59]
    stage.page.locator(".confusion-stage").focus()
    stage.page.keyboard.press("+")
    stage.wait("() => { const g = confusion.matrix.geometry(); return g.lastColumn - g.firstColumn === 9; }")


def test_a_box_drawn_in_the_matrix_zooms_into_it(show):
    stage = show(names=MANY, images=6000)
    b = box(stage)
    stage.page.mouse.move(b["x"] + b["width"] * 0.25, b["y"] + b["height"] * 0.25)
    stage.page.mouse.down()
    stage.page.mouse.move(b["x"] + b["width"] * 0.5, b["y"] + b["height"] * 0.5, steps=4)
    stage.page.mouse.up()
    stage.wait("() => /^7\\d-1[45]\\d,7\\d-1[45]\\d$/.test(view.get().area)")
    assert stage.js("confusion.cell()") is None, "drawing a box selected a cell"
