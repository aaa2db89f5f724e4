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
 * A time bus. One exists as `time`; tests make their own, with a clock of their own.
 */
export class TimeBus {
  #clock;
  /** @type {any[]} */
  #checkpoints = [];
  #indexByStep = new Map();
  #index = -1;
  /** @type {number | null} */
  #announced = null; // index last told to subscribers
  #framePending = false;
  /** @type {any} */
  #settleTimer = null;
  /** @type {number | null} */
  #settledIndex = null;
  #held = false;
  #playing = false;
  #dueMs = 0;
  #speed = 10;
  #loop = false;
  /** @type {string | null} */
  #waiting = null;
  #subscribers = new Set();
  #settledSubscribers = new Set();
  #playSubscribers = new Set();
  #gates = new Map();

  /**
   * @param {{now: () => number, requestFrame: (callback: () => void) => void, after: (delayMs: number, callback: () => void) => any,
   *          cancel: (timer: any) => void}} [clock] times in milliseconds
   */
  constructor(clock = browserClock) {
    this.#clock = clock;
  }

  /**
   * Take up a run's checkpoints. Subscribers hear of the first index on the next animation frame; it settles at once.
   * @param {{step: number, label: string | null, epoch: number | null, problem: string | null}[]} list sorted by step
   * @param {number | null} [step] where to stand; the last checkpoint where there is no such step
   */
  open(list, step = null) {
    this.pause();
    this.#checkpoints = list;
    this.#indexByStep = new Map(list.map((checkpoint, position) => [checkpoint.step, position]));
    this.#index = this.#indexByStep.has(step) ? this.#indexByStep.get(step) : list.length - 1;
    this.#announced = null;
    this.#settledIndex = null;
    if (this.#index < 0) return;
    this.#askForFrame();
    this.#tellPlay();
    this.#settle();
  }

  /** Position of the current checkpoint, 0..count-1; -1 where nothing is open. */
  get index() {
    return this.#index;
  }

  /** Step of the current checkpoint, null where nothing is open. */
  get step() {
    return this.#index < 0 ? null : this.#checkpoints[this.#index].step;
  }

  get count() {
    return this.#checkpoints.length;
  }

  get checkpoints() {
    return this.#checkpoints;
  }

  /** The current checkpoint as the REST API gives it, null where nothing is open. */
  get checkpoint() {
    return this.#checkpoints[this.#index] || null;
  }

  /**
   * Go to a position; clamped to what there is. Drawn on the next animation frame.
   * @param {number} wanted
   */
  request(wanted) {
    if (!Number.isFinite(wanted) || !this.#checkpoints.length) return;
    const next = Math.min(Math.max(Math.round(wanted), 0), this.#checkpoints.length - 1);
    if (next === this.#index) return;
    this.#index = next;
    this.#askForFrame();
    if (!this.#playing) this.#settleSoon(SETTLE_MS);
  }

  /**
   * Go to a step, or to the nearest one where a checkpoint of this step does not exist.
   * @param {number} step
   * @returns {number | null} the step gone to, null where nothing is open
   */
  requestStep(step) {
    if (!Number.isFinite(step) || !this.#checkpoints.length) return null;
    let nearest = 0;
    this.#checkpoints.forEach((checkpoint, position) => {
      if (Math.abs(checkpoint.step - step) < Math.abs(this.#checkpoints[nearest].step - step)) nearest = position;
    });
    this.request(this.#indexByStep.has(step) ? this.#indexByStep.get(step) : nearest);
    return this.step;
  }

  /** @param {number} step @returns {number} its position, -1 where there is no such checkpoint */
  indexOf(step) {
    return this.#indexByStep.has(step) ? this.#indexByStep.get(step) : -1;
  }

  /**
   * @param {(index: number, step: number) => void} subscriber called with (index, step) at most once per animation frame
   * @returns {() => void} stops listening
   */
  subscribe(subscriber) {
    this.#subscribers.add(subscriber);
    return () => this.#subscribers.delete(subscriber);
  }

  /**
   * @param {(index: number, step: number) => void} subscriber called with (index, step) when the hand rests; never while playing
   * @returns {() => void} stops listening
   */
  onSettled(subscriber) {
    this.#settledSubscribers.add(subscriber);
    return () => this.#settledSubscribers.delete(subscriber);
  }

  /**
   * @param {(bus: TimeBus) => void} subscriber called with the bus when playing, waiting, speed, loop or the
   *   checkpoints change
   * @returns {() => void} stops listening
   */
  onPlayChange(subscriber) {
    this.#playSubscribers.add(subscriber);
    return () => this.#playSubscribers.delete(subscriber);
  }

  /** Play from here; from the start where this is the end. */
  play() {
    if (this.#playing || this.#checkpoints.length < 2) return;
    this.#clock.cancel(this.#settleTimer);
    this.#playing = true;
    if (this.#index >= this.#checkpoints.length - 1) this.#index = 0;
    this.#dueMs = this.#clock.now() + 1000 / this.#speed;
    this.#tellPlay();
    this.#askForFrame();
  }

  /** A hand has taken hold of time (the slider is being dragged): until release() nothing settles, so nothing is asked. */
  hold() {
    this.#held = true;
    this.#clock.cancel(this.#settleTimer);
  }

  get held() {
    return this.#held;
  }

  /** The hand has let go; the step settles at once. */
  release() {
    if (!this.#held) return;
    this.#held = false;
    this.#settle();
  }

  /** Stop playing; the step settles at once. */
  pause() {
    if (!this.#playing) return;
    this.#playing = false;
    this.#waiting = null;
    this.#tellPlay();
    this.#settle();
  }

  get playing() {
    return this.#playing;
  }

  /** A sentence that says what playing waits for, null while it does not. */
  get waiting() {
    return this.#waiting;
  }

  /** Checkpoints per second while playing; every one is shown, so the screen's own rate is the limit. */
  get speed() {
    return this.#speed;
  }

  set speed(framesPerSecond) {
    if (!(framesPerSecond > 0)) return;
    this.#speed = framesPerSecond;
    this.#dueMs = this.#clock.now() + 1000 / this.#speed;
    this.#tellPlay();
  }

  get loop() {
    return this.#loop;
  }

  set loop(wanted) {
    this.#loop = Boolean(wanted);
    this.#tellPlay();
  }

  /**
   * Let playing wait for frames.
   * @param {(index: number) => boolean | string} gate for an index: true (the frame is here), false (it will come), or
   *   "missing" (it will never come: go on)
   * @param {(index: number) => string} [describe] the sentence to show while this gate is shut
   * @returns {() => void} removes the gate
   */
  addGate(gate, describe) {
    this.#gates.set(gate, describe);
    return () => this.#gates.delete(gate);
  }

  // ---- what moves time

  #askForFrame() {
    if (this.#framePending) return;
    this.#framePending = true;
    this.#clock.requestFrame(() => this.#onFrame());
  }

  #onFrame() {
    this.#framePending = false;
    if (this.#playing && this.#index === this.#announced) this.#advance(this.#clock.now()); // never past one that was not shown
    if (this.#index !== this.#announced) {
      this.#announced = this.#index;
      for (const subscriber of [...this.#subscribers]) subscriber(this.#index, this.step);
    }
    if (this.#playing) this.#askForFrame();
  }

  #advance(nowMs) {
    if (nowMs < this.#dueMs - EARLY_MS) return;
    const atEnd = this.#index >= this.#checkpoints.length - 1;
    if (atEnd && !this.#loop) {
      this.pause();
      return;
    }
    const next = atEnd ? 0 : this.#index + 1;
    const shut = this.#shutGate(next);
    if (shut !== null) {
      this.#setWaiting(shut);
      return;
    }
    this.#setWaiting(null);
    this.#index = next;
    // Keep the beat over late frames, but never make up for more than one.
    this.#dueMs = Math.max(this.#dueMs + 1000 / this.#speed, nowMs - 1000 / this.#speed);
  }

  /** The sentence of the first gate that has not got this checkpoint's frame yet, or null. */
  #shutGate(wanted) {
    for (const [gate, describe] of this.#gates) {
      if (gate(wanted) === false) return (describe && describe(wanted)) || "waiting for frames";
    }
    return null;
  }

  #setWaiting(sentence) {
    if (sentence === this.#waiting) return;
    this.#waiting = sentence;
    this.#tellPlay();
  }

  #tellPlay() {
    for (const subscriber of [...this.#playSubscribers]) subscriber(this);
  }

  #settleSoon(delayMs) {
    this.#clock.cancel(this.#settleTimer);
    this.#settleTimer = this.#clock.after(delayMs, () => this.#settle());
  }

  #settle() {
    this.#clock.cancel(this.#settleTimer);
    if (this.#playing || this.#held || this.#index < 0 || this.#index === this.#settledIndex) return;
    this.#settledIndex = this.#index;
    for (const subscriber of [...this.#settledSubscribers]) subscriber(this.#index, this.step);
  }
}

export const time = new TimeBus();

time.onSettled((index, step) => {
  if (window.dash_clientside && window.dash_clientside.set_props) {
    window.dash_clientside.set_props("settled-time", { data: { step, index } });
  }
});
