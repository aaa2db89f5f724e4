"""The clusters page over a run that really trained, of which one checkpoint is cut."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser

DATA = "clusters.of(statistics.open(subject, view.get().split))"


def opened(display, hash: str = "", anew: bool = False):
    (display.open if anew else display.show)(f"#{hash}" if hash else "", search="clusters?run=damaged")
    display.wait(f"() => document.querySelector('.cluster-row') && {DATA}.isLoaded")
    return display.page


def go(display, step: int, state: str = "ready") -> None:
    display.js("step => time.requestStep(step)", step)
    display.wait(
        """([step, state]) => ['#cluster-rows', '.points-canvas'].every((part) => {
          const { dataset } = document.querySelector(part);
          return dataset.step === String(step) && dataset.state === state;
        })""",
        [step, state],
    )


def rest(display, path: str) -> dict:
    return display.page.request.get(f"{display.address}/api/v1/runs/damaged/{path}").json()


def test_rows_and_members_agree_at_every_step(dashboard, display):
    opened(display)
    not_predicted = {entry["step"]: entry["not_predicted"] for entry in rest(display, "statistics")["steps"]}
    for step in dashboard.steps:
        if step == dashboard.cut_step:
            continue
        go(display, step)
        sizes = display.js(
            "() => [...document.querySelectorAll('.cluster-size')].map((n) => Number(n.textContent.replace(/\\s/g, '')))"
        )
        states = display.js("() => [...document.querySelectorAll('.cluster-row')].map((n) => n.dataset.state)")
        said = rest(display, f"checkpoints/{step}/clusters")["clusters"]
        assert sizes == [cluster["size"] for cluster in said]
        assert states == [cluster["state"] for cluster in said]
        assert sum(sizes) == 200 - not_predicted[step]
        for cluster in said[:3]:
            members = rest(display, f"checkpoints/{step}/clusters/{cluster['cluster']}?limit=500")
            assert members["total"] == cluster["size"] == len(members["images"])
            assert [image["id"] for image in members["images"][: len(cluster["nearest"])]] == cluster["nearest"]


def test_the_cut_checkpoint_says_why_it_has_nothing(dashboard, display):
    page = opened(display)
    go(display, dashboard.cut_step, "missing")
    assert "cut" in page.inner_text("#cluster-rows .cluster-message") or page.inner_text(
        "#cluster-rows .cluster-message"
    )
    assert page.is_visible(".points-message")


def test_dragging_asks_for_nothing_and_a_link_brings_everything_back(dashboard, display, another_display):
    last = dashboard.steps[-1]
    page = opened(display, f"step={last}", anew=True)  # its network has to be idle
    go(display, last)
    page.locator(".cluster-row .cluster-name").first.click()
    display.wait("() => document.querySelector('.cluster-part[data-state=ready] .image-tile')")
    page.locator(".cluster-part[data-state=ready] .image-tile").first.click()
    page.get_by_label("Colour of the points").select_option("cluster")
    # The chosen cluster is drawn strongly, which is the last thing that the server is asked for.
    display.wait(
        "() => document.querySelector('#cluster-course .js-plotly-plot')?.data?.some(({ line }) => line.width > 2)"
    )
    display.wait_quiet()
    display.js("time.hold()")
    display.requests.clear()
    for step in (s for s in dashboard.steps if s != dashboard.cut_step):
        go(display, step)
    assert display.requests == []
    go(display, last)
    display.js("time.release()")
    wanted = display.js("() => [view.get().cluster, view.get().image, view.get()['point-colour']]")
    link = display.js("() => location.hash")
    opened(another_display, link.removeprefix("#"))
    go(another_display, last)
    assert another_display.js("() => [view.get().cluster, view.get().image, view.get()['point-colour']]") == wanted
    assert wanted[0] is not None
    another_display.wait(
        "() => document.querySelector('.cluster-part[data-state=ready] .image-tile[aria-selected=true]')"
    )


def test_images_without_statistics_say_so_and_how_to_get_them(dashboard, display):
    display.open("#split=training", search="clusters?run=mnist")
    display.wait("() => document.querySelector('#statistics-state')?.dataset.state === 'empty'")
    page = display.page
    assert "mnist has not been evaluated" in page.inner_text("#statistics-state")
    assert "mloscope statistics " in page.inner_text("#statistics-state code")
    assert "--split training" in page.inner_text("#statistics-state code")
    assert page.locator(".cluster-row:visible").count() == 0
    assert page.is_visible('.cluster-tools label:has-text("images") select'), "another split can be chosen"
