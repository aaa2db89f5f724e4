"""assets/base/time_bus.mjs, with a clock that the tests turn by hand."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser

CLOCK = """() => {
  window.now = 0;
  window.frames = [];
  window.timers = [];
  window.bus = new TimeBus({
    now: () => now,
    requestFrame: (callback) => frames.push(callback),
    after: (delay, callback) => {
      const timer = { at: now + delay, callback };
      timers.push(timer);
      return timer;
    },
    cancel: (timer) => { timers = timers.filter((other) => other !== timer); },
  });
  window.heard = [];
  window.settled = [];
  bus.subscribe((index, step) => heard.push([index, step]));
  bus.onSettled((index, step) => settled.push(step));
  // One animation frame, this much later, and the timers due until then.
  window.frame = (ms = 16.67) => {
    now += ms;
    for (const timer of timers.filter((one) => one.at <= now)) {
      timers = timers.filter((one) => one !== timer);
      timer.callback();
    }
    const due = frames;
    frames = [];
    for (const callback of due) callback();
  };
  bus.open([0, 10, 20, 50, 100].map((step) => ({ step })));
}"""


@pytest.fixture
def bus(bare):
    bare.js(CLOCK)
    return bare


def test_opens_at_the_last_checkpoint_and_settles_at_once(bus):
    assert bus.js("() => [bus.index, bus.step, bus.count, settled]") == [4, 100, 5, [100]]


def test_opens_at_a_step_that_exists_else_at_the_last(bus):
    assert bus.js("() => { bus.open([{step: 1}, {step: 2}, {step: 3}], 2); return bus.step; }") == 2
    assert bus.js("() => { bus.open([{step: 1}, {step: 2}, {step: 3}], 7); return bus.step; }") == 3


def test_requests_within_a_frame_are_heard_once(bus):
    heard = bus.js(
        """() => { frame(); heard = [];
        bus.request(1); bus.request(2); bus.request(3); frame(); return heard; }"""
    )
    assert heard == [[3, 50]]


@pytest.mark.parametrize(("wanted", "index"), [(-5, 0), (99, 4), (1.4, 1)])
def test_requests_are_clamped_and_rounded(bus, wanted, index):
    assert bus.js("wanted => { bus.request(wanted); return bus.index; }", wanted) == index


def test_a_request_that_is_no_number_changes_nothing(bus):
    assert bus.js("() => { bus.request(2); bus.request(NaN); bus.request(undefined); return bus.index; }") == 2


def test_a_step_that_does_not_exist_leads_to_the_nearest(bus):
    assert bus.js("() => [bus.requestStep(20), bus.requestStep(44), bus.requestStep(-1)]") == [20, 50, 0]


def test_settles_when_the_hand_has_rested_for_120_ms(bus):
    settled = bus.js(
        """() => { settled = []; const seen = [];
        bus.request(1); frame(100); bus.request(2); frame(100); seen.push([...settled]); frame(30);
        seen.push([...settled]); return seen; }"""
    )
    assert settled == [[], [20]]


def test_plays_every_checkpoint_in_turn_and_stops_at_the_end(bus):
    played = bus.js(
        """() => { bus.request(0); frame(); frame(130); heard = []; settled = []; bus.speed = 60; bus.play();
        const during = []; for (let i = 0; i < 12; i += 1) { frame(); during.push(settled.length); }
        return [heard.map(([index]) => index), bus.playing, settled, Math.max(...during.slice(0, 3))]; }"""
    )
    assert played == [[1, 2, 3, 4], False, [100], 0]


def test_playing_at_sixty_shows_one_checkpoint_a_frame(bus):
    heard = bus.js(
        """() => { bus.open(Array.from({length: 200}, (_, step) => ({step})), 0); frame(); heard = [];
        bus.speed = 60; bus.play(); for (let i = 0; i < 60; i += 1) frame(16.67 + (i % 3 - 1) * 0.8);
        return heard.map(([index]) => index); }"""
    )
    assert heard == list(range(1, len(heard) + 1))
    assert len(heard) >= 58


def test_speed_is_checkpoints_a_second(bus):
    heard = bus.js(
        """() => { bus.open(Array.from({length: 200}, (_, step) => ({step})), 0); frame(); heard = [];
        bus.speed = 10; bus.play();
        for (let i = 0; i < 120; i += 1) frame(1000 / 60); return heard.length; }"""
    )
    assert heard in (19, 20)


def test_a_slow_screen_never_skips_a_checkpoint(bus):
    heard = bus.js(
        """() => { bus.open(Array.from({length: 50}, (_, step) => ({step})), 0); frame(); heard = [];
        bus.speed = 60; bus.play(); for (let i = 0; i < 10; i += 1) frame(90);
        return heard.map(([index]) => index); }"""
    )
    assert heard == list(range(1, 11))


def test_play_at_the_end_begins_again_and_loop_goes_round(bus):
    heard = bus.js(
        """() => { bus.request(4); frame(); heard = []; bus.loop = true; bus.speed = 60; bus.play();
        for (let i = 0; i < 8; i += 1) frame(); const seen = heard.map(([index]) => index); bus.pause();
        return seen; }"""
    )
    assert heard[:7] == [0, 1, 2, 3, 4, 0, 1]


def test_playing_waits_for_a_gate_and_says_so(bus):
    seen = bus.js(
        """() => { bus.request(0); frame(); let open = 1; const said = [];
        bus.addGate((index) => index <= open, () => 'waiting for frames: 2 of 5 loaded');
        bus.onPlayChange(() => said.push(bus.waiting));
        bus.speed = 60; bus.play(); for (let i = 0; i < 9; i += 1) frame();
        const stuck = [bus.index, bus.playing, bus.waiting]; open = 4; for (let i = 0; i < 9; i += 1) frame();
        return [stuck, bus.index, bus.waiting, said.includes('waiting for frames: 2 of 5 loaded')]; }"""
    )
    assert seen == [[1, True, "waiting for frames: 2 of 5 loaded"], 4, None, True]


def test_playing_goes_over_what_is_missing_and_forgets_removed_gates(bus):
    index = bus.js(
        """() => { bus.request(0); frame(); const remove = bus.addGate(() => false);
        bus.addGate(() => 'missing');
        bus.speed = 60; bus.play(); for (let i = 0; i < 5; i += 1) frame(); const stuck = bus.index; remove();
        for (let i = 0; i < 9; i += 1) frame(); return [stuck, bus.index]; }"""
    )
    assert index == [0, 4]


def test_pausing_settles_at_once(bus):
    settled = bus.js(
        """() => { bus.request(0); frame(); settled = []; bus.speed = 60;
        bus.play(); frame(); frame(); bus.pause();
        return [bus.step, settled]; }"""
    )
    assert settled == [20, [20]]


def test_the_settled_time_goes_to_the_store(stage):
    stage.show()
    stage.js("() => time.requestStep(300)")
    stage.wait("() => stores['settled-time'].step === 300")
    assert stage.js("() => stores['settled-time']") == {"step": 300, "index": 11}


def test_nothing_settles_while_a_hand_holds_the_slider(bus):
    said = bus.js(
        """() => {
          settled = [];
          bus.hold(); bus.request(1); frame(); frame(1000);
          const held = [...settled];
          bus.release();
          return [held, settled, heard.at(-1)];
        }"""
    )
    assert said == [[], [10], [1, 10]]
