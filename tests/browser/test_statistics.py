"""assets/statistics/statistics.mjs, statistics/chunks.mjs, confusion/bytes.mjs: what is loaded, when, and when it is let go."""

from __future__ import annotations

import numpy as np
import pytest
from statistics_server import BROKEN, STEPS

LAST = len(STEPS) - 1


@pytest.fixture
def followed(stage):
    """A page that follows the statistics and asks for the counts."""
    stage.show()
    stage.js("() => { window.followed = null; statistics.follow((s) => { followed = s; s.step(time.index); }); }")
    return stage


def loaded(stage) -> None:
    stage.wait("() => followed.total > 0 && followed.loaded === followed.total")


def counts(stage, index: int) -> np.ndarray:
    """int (actual, predicted and none) of a step as the browser has it."""
    step = stage.js(
        "i => { const s = followed.step(i); return { cells: [...s.cells], counts: [...s.counts], classes: s.classes }; }",
        index,
    )
    matrix = np.zeros((step["classes"], step["classes"] + 1), int)
    matrix.ravel()[step["cells"]] = step["counts"]
    return matrix


def test_counts_of_every_step_are_those_the_server_has(followed):
    loaded(followed)
    for index, step in enumerate(STEPS):
        if step != BROKEN:
            assert (counts(followed, index) == followed.server.statistics.matrix(step)).all()


def test_a_step_without_statistics_says_why(followed):
    loaded(followed)
    broken = STEPS.index(BROKEN)
    assert followed.js("i => [followed.state(i), followed.reason(i)]", broken) == [
        "missing",
        "ckpt-450.keras is cut short after 1,024 bytes.",
    ]
    assert followed.js("i => [followed.state(i), followed.reason(i)]", LAST) == ["ready", None]


def test_once_loaded_time_moves_without_a_request(followed):
    followed.server.statistics.ready = set(STEPS)
    followed.js("followed.reread()")
    followed.wait(f"() => followed.loaded === {len(STEPS)} && !followed.reading && !followed.confusions.queue.coming")
    asked = len(followed.server.log)
    for index in range(len(STEPS)):
        followed.js("i => { time.request(i); return followed.step(i) !== null; }", index)
    followed.page.wait_for_timeout(300)
    assert followed.server.log[asked:] == []


def test_the_chunk_nearest_to_the_current_step_comes_first(stage):
    stage.show(hash="#step=100")
    stage.js("() => { statistics.follow((s) => { window.followed = s; s.step(time.index); }); }")
    loaded(stage)
    first = next(line for line in stage.server.log if "/confusions" in line)
    assert "100" in first.split("steps=")[1].split("&")[0].replace("%2C", ",").split(",")


def test_statistics_computed_anew_replace_the_old_ones(followed):
    loaded(followed)
    old = counts(followed, LAST)
    followed.server.statistics = followed.server.new_statistics(generation=2)
    followed.js("followed.reread()")
    loaded(followed)
    assert (counts(followed, LAST) != old).any()
    assert (counts(followed, LAST) == followed.server.statistics.matrix(STEPS[-1])).all()


def test_an_address_that_the_server_does_not_know_any_more_leads_to_a_new_overview(stage):
    stage.show()
    stage.js("() => { statistics.follow((s) => { window.followed = s; }); }")
    stage.wait("() => followed.total > 0 && !followed.reading")
    assert (
        stage.server.count("/confusions") == 0
    )  # the overview that the page has names chunks of the first generation only
    stage.server.statistics = stage.server.new_statistics(generation=3)
    stage.js("followed.step(time.index)")
    loaded(stage)
    assert (counts(stage, LAST) == stage.server.statistics.matrix(STEPS[-1])).all()


def test_steps_that_become_ready_come_without_the_others_coming_again(followed):
    followed.server.statistics = followed.server.new_statistics(ready=set(STEPS[:6]))
    followed.js("followed.reread()")
    followed.wait("() => followed.total === 6 && followed.loaded === 6")
    before = followed.server.count("/confusions")
    followed.server.statistics = followed.server.new_statistics(ready=set(STEPS[:9]))
    followed.js("followed.reread()")
    followed.wait("() => followed.loaded === 9")
    assert followed.server.count("/confusions") == before + 1


def test_a_chunk_whose_steps_were_not_all_known_is_asked_for_again_when_they_are(followed):
    followed.wait("() => followed.total > 0")
    followed.js(
        """last => {
          const { confusions, keys } = { confusions: followed.overview.confusions, keys: followed.keys };
          const parts = {
            parse: confusionBytes.parse, onChange: () => {}, onStale: () => {}, isWatched: () => true, budgetBytes: 1e9,
          };
          window.chunks = new StatisticsChunks(parts);
          window.tellAll = () => chunks.name(confusions, keys);
          const fewer = new Map(keys);
          fewer.delete(last);
          chunks.name(confusions, fewer);
          chunks.value(last);
        }""",
        STEPS[-1],
    )
    followed.wait("() => chunks.chunks.every(({ state }) => state === 'here') && !chunks.queue.coming")
    assert followed.js("step => [chunks.loaded - chunks.total, chunks.peek(step)]", STEPS[-1]) == [-1, None]
    followed.js("tellAll()")
    followed.wait("() => chunks.loaded === chunks.total")
    assert followed.js("step => chunks.peek(step) !== null", STEPS[-1])


def test_over_the_budget_the_farthest_are_let_go_and_come_back_when_asked_for(stage):
    stage.show()
    stage.js("statistics.budgetBytes = 100")  # no more than the chunk of the current step
    stage.js("() => { statistics.follow((s) => { window.followed = s; s.step(time.index); }); }")
    stage.wait("() => followed.total > 0 && followed.loaded > 0 && followed.confusions.queue.coming === 0")
    assert stage.js("i => [followed.peek(i) !== null, followed.peek(0)]", LAST) == [True, None]
    stage.js("time.request(0)")
    stage.js("followed.step(0)")
    stage.wait("() => followed.peek(0) !== null")


def test_a_job_is_watched_until_it_ends(followed):
    statistics = followed.server.statistics
    statistics.job = {
        "state": "running",
        "done": 1,
        "of": 4,
        "rate": 100.0,
        "seconds_left": 5,
        "step": 5,
        "message": None,
    }
    followed.js("followed.reread()")
    followed.wait("() => followed.overview.job && followed.overview.job.done === 1")
    statistics.job = {**statistics.job, "state": "done", "done": 4}
    followed.wait("() => followed.overview.job.state === 'done'")


def test_bytes_that_are_no_counts_are_said_to_be_none(bare):
    said = bare.js(
        "() => { try { confusionBytes.parse(new ArrayBuffer(16)); } catch (error) { return error.message; } }"
    )
    assert "confusion counts" in said
    assert "MLC1" in said
