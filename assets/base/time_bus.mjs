/**
 * The one owner of the step: `time`.
 *
 *     slider, keys, clicks ──request──► index ──(once per animation frame)──► canvases, bars, cursors
 *                                         └──(120 ms of rest, or pause)──► Store "settled-time", step in the hash
 *
 * Nothing here makes a request. Playing shows every checkpoint in turn, at most one per animation frame, and waits where a
 * gate says that a frame has not come yet.
 */

const SETTLE_MS = 120;
const EARLY_MS = 2; // animation frames jitter; one that comes this much early still counts as on time

const browserClock = {
  now: () => performance.now(),
  requestFrame: (callback) => requestAnimationFrame(callback),
  after: (delayMs, callback) => setTimeout(callback, delayMs),
  cancel: (timer) => clearTimeout(timer),
};

/**
 * A time bus. One exists as `time`; tests make their own with a clock of their own.
 * @param {{now: function(): number, requestFrame: function(function): void,
 *          after: function(number, function): *, cancel: function(*): void}} clock times in milliseconds
 */
export const makeTimeBus = (clock = browserClock) => {
  let checkpoints = [];
  let indexByStep = new Map();
  let index = -1;
  let announced = null; // index last told to subscribers
  let framePending = false;
  let settleTimer = null;
  let settledIndex = null;
  let held = false;
  let playing = false;
  let dueMs = 0;
  let speed = 10;
  let loop = false;
  let waiting = null;
  const subscribers = new Set();
  const settledSubscribers = new Set();
  const playSubscribers = new Set();
  const gates = new Map();

  function askForFrame() {
    if (framePending) return;
    framePending = true;
    clock.requestFrame(onFrame);
  }

  function onFrame() {
    framePending = false;
    if (playing && index === announced) advance(clock.now()); // never past one that was not shown
    if (index !== announced) {
      announced = index;
      for (const subscriber of [...subscribers]) subscriber(index, bus.step);
    }
    if (playing) askForFrame();
  }

  function advance(nowMs) {
    if (nowMs < dueMs - EARLY_MS) return;
    const atEnd = index >= checkpoints.length - 1;
    if (atEnd && !loop) {
      bus.pause();
      return;
    }
    const next = atEnd ? 0 : index + 1;
    const shut = shutGate(next);
    if (shut !== null) {
      setWaiting(shut);
      return;
    }
    setWaiting(null);
    index = next;
    // Keep the beat over late frames, but never make up for more than one.
    dueMs = Math.max(dueMs + 1000 / speed, nowMs - 1000 / speed);
  }

  /** The sentence of the first gate that has not got this checkpoint's frame yet, or null. */
  function shutGate(wanted) {
    for (const [gate, describe] of gates) {
      if (gate(wanted) === false) return (describe && describe(wanted)) || "waiting for frames";
    }
    return null;
  }

  function setWaiting(sentence) {
    if (sentence === waiting) return;
    waiting = sentence;
    tellPlay();
  }

  function tellPlay() {
    for (const subscriber of [...playSubscribers]) subscriber(bus);
  }

  function settleSoon(delayMs) {
    clock.cancel(settleTimer);
    settleTimer = clock.after(delayMs, settle);
  }

  function settle() {
    clock.cancel(settleTimer);
    if (playing || held || index < 0 || index === settledIndex) return;
    settledIndex = index;
    for (const subscriber of [...settledSubscribers]) subscriber(index, bus.step);
  }

  const bus = {
    /**
     * Take up a run's checkpoints. Subscribers hear of the first index on the next animation frame; it settles at once.
     * @param {{step: number, label: ?string, epoch: ?number, problem: ?string}[]} list sorted by step
     * @param {?number} [step] where to stand; the last checkpoint where there is no such step
     */
    open(list, step = null) {
      bus.pause();
      checkpoints = list;
      indexByStep = new Map(list.map((checkpoint, position) => [checkpoint.step, position]));
      index = indexByStep.has(step) ? indexByStep.get(step) : list.length - 1;
      announced = null;
      settledIndex = null;
      if (index < 0) return;
      askForFrame();
      tellPlay();
      settle();
    },
    /** Position of the current checkpoint, 0..count-1; -1 where nothing is open. */
    get index() {
      return index;
    },
    /** Step of the current checkpoint, null where nothing is open. */
    get step() {
      return index < 0 ? null : checkpoints[index].step;
    },
    get count() {
      return checkpoints.length;
    },
    get checkpoints() {
      return checkpoints;
    },
    /** The current checkpoint as the REST API gives it, null where nothing is open. */
    get checkpoint() {
      return checkpoints[index] || null;
    },
    /**
     * Go to a position; clamped to what there is. Drawn on the next animation frame.
     * @param {number} wanted
     */
    request(wanted) {
      if (!Number.isFinite(wanted) || !checkpoints.length) return;
      const next = Math.min(Math.max(Math.round(wanted), 0), checkpoints.length - 1);
      if (next === index) return;
      index = next;
      askForFrame();
      if (!playing) settleSoon(SETTLE_MS);
    },
    /**
     * Go to a step, or to the nearest one where a checkpoint of this step does not exist.
     * @param {number} step
     * @returns {?number} the step gone to, null where nothing is open
     */
    requestStep(step) {
      if (!Number.isFinite(step) || !checkpoints.length) return null;
      let nearest = 0;
      checkpoints.forEach((checkpoint, position) => {
        if (Math.abs(checkpoint.step - step) < Math.abs(checkpoints[nearest].step - step)) nearest = position;
      });
      bus.request(indexByStep.has(step) ? indexByStep.get(step) : nearest);
      return bus.step;
    },
    /** @param {number} step @returns {number} its position, -1 where there is no such checkpoint */
    indexOf(step) {
      return indexByStep.has(step) ? indexByStep.get(step) : -1;
    },
    /**
     * @param {function(number, number): void} subscriber called with (index, step) at most once per animation frame
     * @returns {function(): void} stops listening
     */
    subscribe(subscriber) {
      subscribers.add(subscriber);
      return () => subscribers.delete(subscriber);
    },
    /**
     * @param {function(number, number): void} subscriber called with (index, step) when the hand rests; never while playing
     * @returns {function(): void} stops listening
     */
    onSettled(subscriber) {
      settledSubscribers.add(subscriber);
      return () => settledSubscribers.delete(subscriber);
    },
    /**
     * @param {function(Object): void} subscriber called with the bus when playing, waiting, speed, loop or the
     *   checkpoints change
     * @returns {function(): void} stops listening
     */
    onPlayChange(subscriber) {
      playSubscribers.add(subscriber);
      return () => playSubscribers.delete(subscriber);
    },
    /** Play from here; from the start where this is the end. */
    play() {
      if (playing || checkpoints.length < 2) return;
      clock.cancel(settleTimer);
      playing = true;
      if (index >= checkpoints.length - 1) index = 0;
      dueMs = clock.now() + 1000 / speed;
      tellPlay();
      askForFrame();
    },
    /** A hand has taken hold of time (the slider is being dragged): until release() nothing settles, so nothing is asked. */
    hold() {
      held = true;
      clock.cancel(settleTimer);
    },

    get held() {
      return held;
    },

    /** The hand has let go; the step settles at once. */
    release() {
      if (!held) return;
      held = false;
      settle();
    },

    /** Stop playing; the step settles at once. */
    pause() {
      if (!playing) return;
      playing = false;
      waiting = null;
      tellPlay();
      settle();
    },
    get playing() {
      return playing;
    },
    /** A sentence that says what playing waits for, null while it does not. */
    get waiting() {
      return waiting;
    },
    /** Checkpoints per second while playing; every one is shown, so the screen's own rate is the limit. */
    get speed() {
      return speed;
    },
    set speed(framesPerSecond) {
      if (!(framesPerSecond > 0)) return;
      speed = framesPerSecond;
      dueMs = clock.now() + 1000 / speed;
      tellPlay();
    },
    get loop() {
      return loop;
    },
    set loop(wanted) {
      loop = Boolean(wanted);
      tellPlay();
    },
    /**
     * Let playing wait for frames.
     * @param {function(number): (boolean|string)} gate for an index: true (the frame is here), false (it will come), or
     *   "missing" (it will never come: go on)
     * @param {function(number): string} [describe] the sentence to show while this gate is shut
     * @returns {function(): void} removes the gate
     */
    addGate(gate, describe) {
      gates.set(gate, describe);
      return () => gates.delete(gate);
    },
  };
  return bus;
};

export const time = makeTimeBus();

time.onSettled((index, step) => {
  if (window.dash_clientside && window.dash_clientside.set_props) {
    window.dash_clientside.set_props("settled-time", { data: { step, index } });
  }
});
