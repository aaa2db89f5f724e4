"""assets/base/chart_scripts.mjs: what draws charts comes after the film, in order, and again where it did not come."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser

LOADED = """async ({ failures, retry }) => {
  const told = [];
  let left = failures;
  let film;
  const first = () => new Promise((resolve) => { film = () => { told.push("film"); resolve(); }; });
  const load = async (address) => {
    told.push(address);
    if (address === "b" && (left -= 1) >= 0) throw new Error("cut short");
  };
  const scripts = new ChartScripts({ addresses: () => ["a", "b"], load, first, pausesMs: retry ? [60_000] : [1, 2] });
  const states = [];
  const all = new Promise((resolve) => {
    scripts.subscribe(() => {
      states.push(scripts.state);
      if (scripts.state === "failed" && retry) setTimeout(() => scripts.retry());
      if (scripts.ready) resolve();
    });
  });
  scripts.subscribe(() => {}); // whoever comes second waits with the first
  told.push(scripts.state);
  film();
  await all;
  return { told, states };
}"""


def test_the_film_comes_first_and_then_every_file_in_order(stage):
    stage.show()
    loaded = stage.js(LOADED, {"failures": 0, "retry": False})
    assert loaded == {"told": ["loading", "film", "a", "b"], "states": ["loading", "ready"]}


def test_a_file_that_did_not_come_is_asked_for_again_until_it_does(stage):
    stage.show()
    loaded = stage.js(LOADED, {"failures": 3, "retry": False})
    assert loaded["told"] == ["loading", "film", "a", "b", "b", "b", "b"]
    assert loaded["states"] == ["loading", "failed", "failed", "failed", "ready"]


def test_somebody_who_does_not_want_to_wait_tries_at_once(stage):
    stage.show()
    loaded = stage.js(LOADED, {"failures": 1, "retry": True})
    assert loaded["states"] == ["loading", "failed", "ready"]


def test_a_film_with_nothing_to_show_is_no_reason_not_to_wait_for_the_others(stage):
    stage.show()
    awaited = stage.js(
        "(all) => all.map(isFilmAwaited)", [["pending", "missing"], ["missing", "missing"], ["ready", "pending"], []]
    )
    assert awaited == [True, False, False, False]
