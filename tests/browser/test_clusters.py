"""assets/clusters/rows.mjs, clusters/images.mjs, clusters/point_map.mjs, clusters/points.mjs: rows, map and lists are those of the step."""

from __future__ import annotations

import numpy as np
import pytest
from cluster_server import NO_COORDINATE, FakeClusters
from statistics_server import STEPS

from mloscope.components.theme import CATEGORIES, CLUSTERS

pytestmark = pytest.mark.browser

PARTS = ("ClusterRows:rows", "PointMap:map:pixels", "ClusterImages:images")
DATA = "clusters.of(statistics.open(subject, view.get().split))"
WITH_STATISTICS = tuple(step for step in STEPS if step != 450)


@pytest.fixture
def clusters(stage) -> FakeClusters:
    """Statistics and clusters of every step that can be read."""
    made = FakeClusters()
    stage.server.statistics = stage.server.new_statistics(ready=set(WITH_STATISTICS), clusters=made)
    return made


def show(stage, hash: str = "", parts: tuple[str, ...] = PARTS) -> None:
    stage.show(*parts, hash=hash)
    stage.wait(f"() => subject && {DATA}.isLoaded && {DATA}.rowChunks.loaded > 0")


def go(stage, step: int, state: str = "ready") -> None:
    stage.js("step => time.requestStep(step)", step)
    stage.page.wait_for_selector(f'#rows[data-step="{step}"][data-state="{state}"]')
    stage.page.wait_for_selector(f'.points-canvas[data-step="{step}"][data-state="{state}"]')


def rows(stage) -> list[dict]:
    return stage.js(
        """() => [...document.querySelectorAll('.cluster-row')].map((row) => ({
          cluster: Number(row.dataset.cluster), state: row.dataset.state,
          name: row.querySelector('.cluster-name').textContent, purity: row.querySelector('.cluster-purity').textContent,
          size: row.querySelector('.cluster-size').textContent, others: row.querySelector('.cluster-others').textContent,
          fill: row.querySelector('path').getAttribute('fill'), shape: row.querySelector('path').getAttribute('d'),
        }))"""
    )


def pixel(stage, x: float, y: float) -> list[int]:
    """Red, green, blue, alpha of the map at a place in CSS pixels."""
    return stage.js(
        """([x, y]) => { const c = document.querySelector('.points-canvas'); const ratio = c.width / c.clientWidth;
        return [...c.getContext('2d').getImageData(Math.round(x * ratio), Math.round(y * ratio), 1, 1).data]; }""",
        [x, y],
    )


def spot(stage, clusters: FakeClusters, step: int, position: int) -> tuple[float, float]:
    """Where an image lies on the stage, in CSS pixels, worked out anew: x from -1 to 1, y from -0.5 to 0.5, margins of 14."""
    width, height = stage.js(
        "() => { const s = document.querySelector('.points-stage'); return [s.clientWidth, s.clientHeight]; }"
    )
    scale = min((width - 28) / 2, (height - 28) / 1)
    x, y = (clusters.codes(step)[position].astype(float) + 32767) / 65534
    return (width - 2 * scale) / 2 + x * 2 * scale, (height - scale) / 2 + (1 - y) * scale


# ------------------------------------------------------------------------------------------------------------ rows


def test_rows_are_those_of_the_step(stage, clusters):
    show(stage)
    for step in (1200, 0, 100):
        go(stage, step)
        expected = clusters.rows(step, list(WITH_STATISTICS))["clusters"]
        for row, wanted in zip(rows(stage), expected, strict=True):
            assert row["cluster"] == wanted["cluster"]
            assert row["state"] == wanted["state"]
            assert row["size"].replace("\u202f", "") == str(wanted["size"])
            if wanted["size"]:
                label, _ = wanted["majority"][0]
                assert row["name"] == stage.js("n => subject.classNames[n]", label)
                assert int(row["purity"].removesuffix("\u202f%")) == pytest.approx(wanted["purity"] * 100, abs=0.51)


def test_born_died_and_empty_clusters_say_so(stage, clusters):
    show(stage)
    go(stage, 50)
    assert (rows(stage)[11]["state"], rows(stage)[11]["name"]) == ("empty", "empty")
    go(stage, 100)
    assert rows(stage)[11]["state"] == "born"
    assert rows(stage)[11]["others"].startswith("new")
    assert "1 new cluster" in stage.page.inner_text(".cluster-about")
    go(stage, 200)
    assert (rows(stage)[10]["state"], rows(stage)[10]["name"], rows(stage)[10]["size"]) == ("died", "gone", "0")
    go(stage, 250)
    assert rows(stage)[10]["state"] == "empty"


def test_place_colour_and_shape_stay_and_no_two_clusters_look_the_same(stage, clusters):
    show(stage)
    go(stage, 0)
    first = [(row["cluster"], row["fill"], row["shape"]) for row in rows(stage)]
    go(stage, 1200)
    assert [(row["cluster"], row["fill"], row["shape"]) for row in rows(stage)] == first
    assert len({look for _, *look in map(list, first) for look in [tuple(look)]}) == clusters.k


def test_moving_through_time_asks_for_nothing(stage, clusters):
    show(stage)
    stage.quiet()
    stage.js("() => time.hold()")
    stage.server.log.clear()
    for step in WITH_STATISTICS:
        go(stage, step)
    assert stage.server.log == []


def test_pictures_are_those_of_the_nearest_images(stage, clusters):
    show(stage)
    go(stage, 300)
    greys = stage.js(
        """() => { const c = document.querySelectorAll('.cluster-pictures')[4]; const ratio = devicePixelRatio;
        const at = (place) => c.getContext('2d').getImageData((place * 35 + 18) * ratio, 18 * ratio, 1, 1).data[0];
        return [0, 1].map(at); }"""
    )
    assert greys == [clusters.grey(position) for position in clusters.nearest(300, 4)[:2]]


def test_a_click_on_a_picture_selects_the_image_everywhere(stage, clusters):
    show(stage)
    go(stage, 300)
    stage.page.locator(".cluster-pictures").nth(4).click(position={"x": 35 + 18, "y": 18})
    assert stage.js("() => view.get().image") == f"test-{clusters.nearest(300, 4)[1]}"


def test_rows_are_put_in_order_when_time_has_settled_and_not_before(stage, clusters):
    show(stage, hash="#cluster-order=size")
    go(stage, 300)
    stage.wait(
        """() => { const sizes = [...document.querySelectorAll(".cluster-size")].map((n) => Number(n.textContent.replace(/\\s/g, "")));
        return sizes.length > 1 && sizes.every((size, place) => !place || size <= sizes[place - 1]); }"""
    )
    order = [row["cluster"] for row in rows(stage)]
    stage.js("() => time.hold()")
    go(stage, 0)
    stage.page.wait_for_timeout(250)
    assert [row["cluster"] for row in rows(stage)] == order
    stage.js("() => time.release()")
    stage.wait("() => document.querySelector('.cluster-row:last-child').dataset.cluster === '11'")
    stage.page.select_option(".cluster-tools select", "place")
    assert [row["cluster"] for row in rows(stage)] == list(range(12))
    assert "cluster-order" not in stage.js("() => location.hash")


def test_a_step_without_statistics_says_why_and_shows_no_numbers(stage, clusters):
    show(stage)
    go(stage, 450, "missing")
    assert "cut short" in stage.page.inner_text("#rows .cluster-message")
    assert "cut short" in stage.page.inner_text(".points-message")
    assert all(row["size"] == "" for row in rows(stage))


def test_statistics_without_clusters_are_told_from_none(stage):
    stage.server.statistics = stage.server.new_statistics(ready=set(WITH_STATISTICS))
    stage.show(*PARTS)
    stage.page.wait_for_selector('#rows[data-state="missing"]')
    assert "not clustered" in stage.page.inner_text("#rows .cluster-message")
    assert stage.page.locator(".cluster-row").count() == 0


def test_a_fit_that_is_made_anew_replaces_the_old_one(stage, clusters):
    show(stage)
    go(stage, 300)
    before = [row["size"] for row in rows(stage)]
    anew = FakeClusters(generation=9)
    stage.server.statistics.clusters = anew
    stage.js(f"() => {DATA}.statistics.reread()")
    expected = [str(row["size"]) for row in anew.rows(300, list(WITH_STATISTICS))["clusters"]]
    stage.wait(
        "wanted => [...document.querySelectorAll('.cluster-size')].map((n) => n.textContent).join() === wanted",
        ",".join(expected),
    )
    assert expected != before


# --------------------------------------------------------------------------------------------- a cluster's images


def test_a_click_lists_the_clusters_images_in_pages_and_is_in_the_address(stage, clusters):
    show(stage)
    go(stage, 300)
    stage.page.locator('.cluster-row[data-cluster="4"]').locator(".cluster-name").click()
    members = np.flatnonzero(clusters.assignment(300) == 4).tolist()
    stage.page.wait_for_selector(".cluster-part[data-step='300'] .image-tile")
    listed = stage.page.locator(".cluster-part[data-step] .image-tile").evaluate_all(
        "tiles => tiles.map((t) => t.dataset.id)"
    )
    assert listed == [f"test-{position}" for position in members[:48]]
    assert "cluster=4" in stage.js("() => location.hash")
    stage.page.get_by_role("button", name="Next page of images of the cluster").click()
    stage.wait(
        "first => document.querySelector('.cluster-part[data-step] .image-tile').dataset.id === first",
        f"test-{members[48]}",
    )
    assert "cluster-offset=48" in stage.js("() => location.hash")
    assert stage.page.locator(".image-pages-bar:visible").inner_text().startswith(f"49–96 of {len(members)}")
    stage.page.locator(".cluster-part[data-step] .image-tile").first.click()
    assert stage.js("() => view.get().image") == f"test-{members[48]}"


def test_where_images_came_from_and_go_to_is_told_at_every_step_without_asking(stage, clusters):
    show(stage, hash="#cluster=4&step=300")
    stage.page.wait_for_selector(".cluster-part[data-step='300']")
    stage.page.wait_for_load_state("networkidle")  # thumbnails of the page that was asked for at step 300
    stage.js("() => time.hold()")
    stage.server.log.clear()
    go(stage, 200)
    told = stage.page.locator(".cluster-told").all_inner_texts()
    expected = clusters.rows(200, list(WITH_STATISTICS))["clusters"][4]
    for text, side, step in ((told[0], "from", 150), (told[1], "to", 250)):
        stayed = dict(map(tuple, expected[side])).get(4, 0)
        other, count = next(row for row in expected[side] if row[0] != 4)
        assert text.startswith(f"{stayed} ")
        assert f"step {step}" in text
        moved = "came from" if side == "from" else "will move to"
        assert f"; {count} {moved} cluster {other}" in text.replace("\n", "")
    assert stage.server.log == []
    assert stage.page.locator(".cluster-part[data-step]").get_attribute("data-state") == "pending"


def test_keys_move_between_clusters_and_select(stage, clusters):
    show(stage)
    go(stage, 300)
    stage.page.locator('.cluster-row[data-cluster="0"]').focus()
    stage.page.keyboard.press("ArrowDown")
    stage.page.keyboard.press("ArrowDown")
    stage.page.keyboard.press("Enter")
    assert stage.js("() => view.get().cluster") == 2
    assert stage.js("() => time.step") == 300
    stage.page.keyboard.press("Enter")
    assert stage.js("() => view.get().cluster") is None


# ---------------------------------------------------------------------------------------------------------- the map


def colour_of(kind: str, number: int) -> list[int]:
    palette = CLUSTERS if kind == "cluster" else CATEGORIES
    return [int(palette[number % 10][at : at + 2], 16) for at in (1, 3, 5)]


def lonely(clusters: FakeClusters, step: int) -> int:
    """Position of an image that has no other near it on the map: what is under it is itself."""
    codes = clusters.codes(step).astype(float) * [2, 1]
    for position in np.argsort(-np.abs(codes).sum(axis=1)):
        away = np.abs(codes - codes[position]).max(axis=1)
        away[position] = np.inf
        if away.min() > 2500 and np.abs(codes[position] / [2, 1]).max() < 32_000:
            return int(position)
    raise AssertionError("every image has a neighbour")


def test_a_point_has_the_colour_of_what_was_chosen_and_moves_with_time(stage, clusters):
    show(stage, hash="#point-colour=cluster")
    for step in (100, 500):
        go(stage, step)
        position = lonely(clusters, step)
        numbers = {
            "cluster": clusters.assignment(step), "class": clusters.labels, "prediction": clusters.predicted(step),
        }  # fmt: skip
        for kind, number in numbers.items():
            stage.view(**{"point-colour": kind})
            *colour, alpha = pixel(stage, *spot(stage, clusters, step, position))
            assert alpha > 0, kind
            assert colour == pytest.approx(colour_of(kind, int(number[position])), abs=2), kind
        stage.view(**{"point-colour": "cluster"})


def test_a_selected_cluster_stands_out(stage, clusters):
    step = 300
    show(stage, hash=f"#step={step}")
    go(stage, step)
    position = lonely(clusters, step)
    cluster = int(clusters.assignment(step)[position])
    place = spot(stage, clusters, step, position)
    plain = pixel(stage, *place)[3]
    stage.view(cluster=cluster)
    assert pixel(stage, *place)[3] == 255
    stage.view(cluster=(cluster + 1) % 10)
    assert 0 < pixel(stage, *place)[3] < plain


def test_an_image_without_prediction_is_not_on_the_map(stage, clusters):
    show(stage)
    go(stage, 0)
    (position,) = clusters.unpredicted
    assert clusters.codes(0)[position][0] == NO_COORDINATE
    stage.view(image=f"test-{position}")
    assert stage.page.get_attribute(".points-ring", "visibility") == "hidden"
    go(stage, 100)
    assert stage.page.get_attribute(".points-ring", "visibility") == "visible"


def test_a_click_on_a_point_selects_its_image_and_the_pointer_says_which(stage, clusters):
    step = 300
    show(stage, hash=f"#step={step}")
    go(stage, step)
    position = lonely(clusters, step)
    x, y = spot(stage, clusters, step, position)
    canvas = stage.page.locator(".points-canvas")
    canvas.hover(position={"x": x + 2, "y": y})
    stage.page.wait_for_selector(".points-tip:visible")
    told = stage.page.inner_text(".points-tip")
    assert f"test-{position}" in told
    assert f"cluster {clusters.assignment(step)[position]}" in told
    canvas.click(position={"x": x + 2, "y": y})
    assert stage.js("() => view.get().image") == f"test-{position}"
    ring = stage.js(
        "() => { const r = document.querySelector('.points-ring'); return [r.getAttribute('cx'), r.getAttribute('cy')].map(Number); }"
    )
    assert ring == pytest.approx([x, y], abs=0.5)


def test_a_lasso_lists_the_images_within_it_and_follows_them_through_time(stage, clusters):
    step = 1200
    show(stage, hash=f"#step={step}")
    go(stage, step)
    stage.page.locator(".points-canvas").scroll_into_view_if_needed()
    box = stage.page.locator(".points-canvas").bounding_box()
    x, y = spot(stage, clusters, step, 0)
    corners = [(x - 60, y - 60), (x + 60, y - 60), (x + 60, y + 60), (x - 60, y + 60)]
    stage.page.mouse.move(box["x"] + corners[0][0], box["y"] + corners[0][1])
    stage.page.mouse.down()
    for corner in corners[1:]:
        stage.page.mouse.move(box["x"] + corner[0], box["y"] + corner[1], steps=4)
    stage.page.mouse.up()
    stage.page.wait_for_selector(".cluster-part:visible .image-tile")
    within = [
        p for p in range(clusters.images)
        if np.abs(np.subtract(spot_of(stage, clusters, step, p), (x, y))).max() < 58
    ]  # fmt: skip
    caught = set(stage.js(f"() => {DATA}.lassoed(view.get().lasso).positions"))
    assert set(within) <= caught
    assert len(caught) < len(within) * 1.2
    title = stage.page.inner_text(".cluster-title:visible")
    assert title.startswith(f"{len(caught)} selected images at step 1")
    hash = stage.js("() => location.hash")
    assert "lasso=1200:" in hash
    go(stage, 100)
    assert stage.page.inner_text(".cluster-title:visible") == title
    assert stage.page.get_attribute(".points-lasso", "d") == ""
    stage.page.locator(".image-tile:visible").nth(1).click()
    assert stage.js("() => view.get().image") == f"test-{sorted(caught)[1]}"
    stage.page.locator(".points-canvas").press("Escape")
    assert "lasso" not in stage.js("() => location.hash")
    stage.page.wait_for_selector(".image-tile", state="hidden")


_SPOTS: dict = {}


def spot_of(stage, clusters: FakeClusters, step: int, position: int) -> tuple[float, float]:
    """As :func:`spot`, the stage asked for its size once."""
    if stage not in _SPOTS:
        _SPOTS[stage] = stage.js(
            "() => { const s = document.querySelector('.points-stage'); return [s.clientWidth, s.clientHeight]; }"
        )
    width, height = _SPOTS[stage]
    scale = min((width - 28) / 2, height - 28)
    x, y = (clusters.codes(step)[position].astype(float) + 32767) / 65534
    return (width - 2 * scale) / 2 + x * 2 * scale, (height - scale) / 2 + (1 - y) * scale


def test_a_lasso_in_the_address_is_there_again_and_a_wrong_one_is_none(stage, clusters):
    show(stage, hash="#step=300&lasso=300:0,0;999,0;999,999;0,999")
    stage.page.wait_for_selector(".image-tile:visible")
    assert stage.page.inner_text(".cluster-title:visible") == "2\u202f000 selected images at step 300"
    assert stage.js("() => clusters.outline('300:1,2')") is None
    assert stage.js("() => clusters.outline('300:1,2;3,4;5,x')") is None


def middle(stage) -> tuple[float, float]:
    width, height = stage.js(
        "() => { const s = document.querySelector('.points-stage'); return [s.clientWidth, s.clientHeight]; }"
    )
    return width / 2, height / 2


def ring(stage) -> tuple[float, float]:
    """Where the selected image is marked, in CSS pixels of the stage."""
    return stage.js(
        "() => ['cx', 'cy'].map((name) => Number(document.querySelector('.points-ring').getAttribute(name)))"
    )


def test_keys_magnify_and_move_the_map_and_the_address_keeps_it(stage, clusters):
    position = lonely(clusters, 300)
    show(stage, hash=f"#step=300&image=test-{position}")
    go(stage, 300)
    (x, y), (across, down) = spot(stage, clusters, 300, position), middle(stage)
    assert ring(stage) == pytest.approx((x, y), abs=0.5)
    canvas = stage.page.locator(".points-canvas")
    canvas.press("ArrowRight")
    assert ring(stage) == pytest.approx((x, y), abs=0.5), "of the whole map there is nothing to move"
    canvas.press("+")
    canvas.press("+")
    larger = (across + (x - across) * 2.25, down + (y - down) * 2.25)
    assert ring(stage) == pytest.approx(larger, abs=1)
    canvas.press("ArrowRight")
    canvas.press("ArrowUp")
    moved = (larger[0] - 0.2 * across, larger[1] + 0.2 * down)
    assert ring(stage) == pytest.approx(moved, abs=1)
    stage.wait("() => location.hash.includes('map-area=')")
    address = stage.js("() => location.hash")
    show(stage, hash=address)
    go(stage, 300)
    assert ring(stage) == pytest.approx(moved, abs=1.5)
    stage.page.locator(".points-canvas").press("0")
    assert ring(stage) == pytest.approx((x, y), abs=0.5)
    stage.wait("() => !location.hash.includes('map-area')")


def test_the_wheel_magnifies_around_the_pointer_and_shift_moves(stage, clusters):
    position = lonely(clusters, 300)
    show(stage, hash=f"#step=300&image=test-{position}")
    go(stage, 300)
    canvas = stage.page.locator(".points-canvas")
    canvas.scroll_into_view_if_needed()
    x, y = spot(stage, clusters, 300, position)
    box = canvas.bounding_box()
    stage.page.mouse.move(box["x"] + x, box["y"] + y)
    stage.page.mouse.wheel(0, -600)
    stage.wait("() => location.hash.includes('map-area=')")
    here = ring(stage)
    assert here == pytest.approx((x, y), abs=2.5), "what lies under the pointer, which has whole pixels, stays there"
    assert float(stage.js("() => view.get()['map-area']").split(",")[2]) == pytest.approx(np.exp(0.9), abs=0.01)
    stage.page.keyboard.down("Shift")
    stage.page.mouse.down()
    stage.page.mouse.move(box["x"] + x - 30, box["y"] + y + 20, steps=3)
    stage.page.mouse.up()
    stage.page.keyboard.up("Shift")
    assert ring(stage) == pytest.approx((here[0] - 30, here[1] + 20), abs=1)
    assert stage.js("() => view.get().lasso") == "", "moving is no lasso"


def test_what_is_in_view_can_be_chosen_without_a_mouse(stage, clusters):
    show(stage, hash="#step=300&map-area=0.25,0.5,3")
    go(stage, 300)
    height = stage.js("() => document.querySelector('.points-stage').offsetTop")
    (across, down), codes = middle(stage), (clusters.codes(300).astype(float) + 32767) / 65534
    scale = min((2 * across - 28) / 2, 2 * down - 28)
    x = across + (codes[:, 0] - 0.25) * 2 * scale * 3
    y = down - (codes[:, 1] - 0.5) * scale * 3
    known = clusters.codes(300)[:, 0] != NO_COORDINATE
    inside = known & (x > 3) & (x < 2 * across - 3) & (y > 3) & (y < 2 * down - 3)
    outside = ~known | (x < -3) | (x > 2 * across + 3) | (y < -3) | (y > 2 * down + 3)
    stage.page.locator(".points-canvas").press("l")
    stage.page.wait_for_selector(".cluster-part:visible .image-tile")
    caught = set(stage.js(f"() => {DATA}.lassoed(view.get().lasso).positions"))
    assert 0 < inside.sum() < known.sum()
    assert set(np.flatnonzero(inside)) <= caught
    assert not caught & set(np.flatnonzero(outside))
    assert stage.js("() => document.querySelector('.points-stage').offsetTop") == height, "nothing jumps"
    stage.page.get_by_role("button", name="Forget the line drawn").or_(
        stage.page.get_by_text("Clear selection")
    ).first.click()
    assert stage.js("() => view.get().lasso") == ""
    assert stage.page.get_by_text("Clear selection").is_disabled()


def test_a_map_that_was_not_computed_is_offered_and_then_shown(stage, clusters):
    show(stage, hash="#step=300")
    go(stage, 300)
    stage.server.statistics.job = {"state": "none"}
    stage.js(f"() => {DATA}.statistics.reread()")
    page = stage.page
    page.get_by_label("Kind of map").select_option("tsne")
    offer = page.locator(".points-lacking")
    offer.get_by_text("75 s").wait_for()
    assert stage.js("() => view.get().map") == "tsne"
    offer.get_by_role("button", name="Compute").click()
    offer.get_by_text("running").wait_for()
    assert stage.server.statistics.posted == [("start", "1", "tsne")]
    assert not offer.get_by_role("button", name="Compute").is_visible()
    clusters.neighbours = True
    stage.server.statistics.job = {"state": "done"}
    stage.js(f"() => {DATA}.statistics.reread()")
    page.wait_for_selector('.points-canvas[data-state="ready"]')
    offer.wait_for(state="hidden")
    assert stage.js(f"() => [...{DATA}.points(time.index).x]") == (-clusters.codes(300)[:, 0]).tolist()


def test_another_kind_of_map_keeps_no_line_and_no_part_of_the_other(stage, clusters):
    clusters.neighbours = True
    show(stage, hash="#step=300&map-area=0.25,0.5,3&lasso=300:0,0;500,0;500,999;0,999")
    stage.page.get_by_label("Kind of map").select_option("tsne")
    assert stage.js("() => { const v = view.get(); return [v.map, v.lasso, v['map-area']]; }") == ["tsne", "", ""]


def test_pictures_lie_at_their_points_and_move_with_time_without_a_request(stage, clusters):
    show(stage, hash="#step=300&map-marks=pictures")
    go(stage, 300)
    stage.wait("() => document.querySelectorAll('.points-pictures img').length > 5")
    where = """() => [...document.querySelectorAll('.points-pictures img:not([hidden])')].map((img) => {
        const at = img.style.transform.match(/[-0-9.]+/g).map(Number);
        return [Number(img.src.match(/test-([0-9]+)/)[1]), at[0] + 14, at[1] + 14]; })"""
    squares = set()
    for position, x, y in stage.js(where):
        assert (x, y) == pytest.approx(spot(stage, clusters, 300, position), abs=0.6)
        squares.add((int(x // 44), int(y // 44)))
    assert len(squares) >= len(stage.js(where)) - 2, "one for each square; rounding may put two on a border"
    shown = {position for position, _, _ in stage.js(where)}
    asked = []
    stage.page.on("request", lambda request: asked.append(request.url))
    stage.js("() => { time.hold(); time.requestStep(200); }")
    stage.page.wait_for_selector('.points-canvas[data-step="200"]')
    moved = stage.js(where)
    assert {position for position, _, _ in moved} == shown
    for position, x, y in moved:
        assert (x, y) == pytest.approx(spot(stage, clusters, 200, position), abs=0.6)
    assert asked == []


def test_a_wrong_part_of_the_map_in_the_address_is_the_whole_map(stage, clusters):
    position = lonely(clusters, 300)
    show(stage, hash=f"#step=300&image=test-{position}&map-area=1,2")
    go(stage, 300)
    whole = spot(stage, clusters, 300, position)
    assert ring(stage) == pytest.approx(whole, abs=0.5)
    for text in ("0.5,0.5,0.5", "2,0.5,4", "x,y,z", "0.5,0.5,NaN"):
        stage.view(**{"map-area": "0.5,0.5,4"})
        assert ring(stage) != pytest.approx(whole, abs=0.5)
        stage.js("hash => { location.hash = hash; }", f"#step=300&image=test-{position}&map-area={text}")
        stage.wait("text => view.get()['map-area'] === text", text)
        assert ring(stage) == pytest.approx(whole, abs=0.5), text


def test_webgl_and_pixels_put_points_in_the_same_places(stage, clusters):
    show(stage, hash="#step=500", parts=("ClusterRows:rows", "PointMap:map:webgl"))
    go(stage, 500)
    canvas = stage.page.locator(".points-canvas")
    if canvas.get_attribute("data-renderer") != "webgl":
        pytest.skip("this browser has no WebGL, not even one that the processor computes")
    for position in (lonely(clusters, 500), int(np.flatnonzero(clusters.labels == 3)[7])):
        place = spot(stage, clusters, 500, position)
        alpha = stage.js(
            """([x, y]) => { const c = document.querySelector('.points-canvas'); const gl = c.getContext('webgl2');
            const ratio = c.width / c.clientWidth; const found = new Uint8Array(4);
            gl.readPixels(Math.round(x * ratio), c.height - 1 - Math.round(y * ratio), 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, found);
            return found[3]; }""",
            list(place),
        )
        assert alpha > 100


def test_playing_waits_for_the_map(stage, clusters):
    clusters.held = {0, 1, 2, 5, 10}
    stage.show(*PARTS)
    stage.page.wait_for_selector('.points-canvas[data-state="ready"]')
    stage.js("() => { time.request(8); time.request(0); }")
    stage.page.wait_for_selector('.points-canvas[data-state="pending"][data-step="0"]')
    assert stage.page.is_visible(".points-message")
    stage.js("() => time.play()")
    stage.wait("() => time.waiting === 'waiting for the map'")
    clusters.held = set()
    stage.wait("() => time.index > 3")
    stage.js("() => time.pause()")
