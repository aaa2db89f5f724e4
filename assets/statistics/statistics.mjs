/**
 * Statistics of a run over a corpus, as far as they are computed: `statistics`.
 *
 *     overview (which steps are ready, of what content, the job) ──► chunks of confusion counts ──► step(index)
 *        └── read again every 2 s while a job runs, now and then while steps are missing, and whenever reread() is called
 *
 * All who open the same run, corpus and split share one object. It reads nothing without subscribers.
 */
import { api } from "mloscope/base/addresses.mjs";
import { fetchJson, sendChange } from "mloscope/base/http.mjs";
import { Retry } from "mloscope/base/retry.mjs";
import { onOpen, subject } from "mloscope/base/subject.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { view } from "mloscope/base/view.mjs";
import { confusionBytes } from "mloscope/confusion/bytes.mjs";
import { StatisticsChunks } from "mloscope/statistics/chunks.mjs";

const JOB_MS = 2000;
const MISSING_MS = 8000; // a terminal may be computing them
const AT_WORK = new Set(["starting", "running"]);
const sharedByKey = new Map();

class Statistics {
  /** @type {any} */ corpus;
  /** @type {any} */ run;
  /** @type {any} */ split;

  constructor(run, corpus, split) {
    Object.assign(this, { run, corpus, split });
    /** The overview as the REST API gives it (GET runs/{run}/statistics); null until it came. */
    this.overview = null;
    /** A sentence where the overview is not available, else null. */
    this.error = null;
    this.entries = new Map(); // step -> entry of the overview
    this.listeners = new Set();
    this.reading = null;
    this.readAgain = false;
    this.timer = null;
    this.retry = new Retry();
    this.confusions = new StatisticsChunks({
      parse: confusionBytes.parse,
      onChange: () => this.tell(),
      onStale: () => this.reread(),
      isWatched: () => this.isWatched,
      budgetBytes: statistics.budgetBytes,
    });
  }

  /** Whether anyone subscribes. */
  get isWatched() {
    return this.listeners.size > 0;
  }

  /** The address of a statistics route of this run, e.g. address(["checkpoints", 12, "confusion"], {limit: 5}). */
  address(segments, query = {}) {
    return api(["runs", this.run, ...segments], { corpus: this.corpus, split: this.split, ...query });
  }

  /**
   * Confusion counts of a checkpoint.
   * @param {number} index position on the time bus
   * @returns {null | {cells: Uint32Array, counts: Uint32Array, images: number, classes: number}} `cells` ascending,
   *   actual * (classes + 1) + predicted, predicted == classes meaning not predicted; null where they are not here
   */
  step(index) {
    const checkpoint = time.checkpoints[index];
    return checkpoint ? this.confusions.value(checkpoint.step) : null;
  }

  /** @param {number} index @returns {any | null} as step(), but nothing is fetched for it */
  peek(index) {
    const checkpoint = time.checkpoints[index];
    return checkpoint ? this.confusions.peek(checkpoint.step) : null;
  }

  /** @param {number} index @returns {"ready"|"pending"|"missing"} */
  state(index) {
    if (this.step(index)) return "ready";
    return this.reason(index) === null ? "pending" : "missing";
  }

  /** @param {number} index @returns {string | null} why the checkpoint has no statistics; null where they are here or may come */
  reason(index) {
    if (!this.overview) return this.error;
    const checkpoint = time.checkpoints[index];
    if (!checkpoint) return "There is no checkpoint at this step.";
    const entry = this.entries.get(checkpoint.step);
    if (entry && entry.state === "ready") return this.confusions.reason(checkpoint.step) || this.confusions.error;
    if (entry && entry.problem) return entry.problem;
    if (checkpoint.problem) return checkpoint.problem;
    if (entry && entry.state === "unfinished") return "Its evaluation is not finished.";
    return "It has not been evaluated yet.";
  }

  /** @param {number} index @returns {any | null} the overview's entry of a checkpoint: step, state, key, accuracy, loss, ... */
  entry(index) {
    const checkpoint = time.checkpoints[index];
    return (checkpoint && this.entries.get(checkpoint.step)) || null;
  }

  /** How many steps' counts are here, and how many are ready on the server. */
  get loaded() {
    return this.confusions.loaded;
  }

  get total() {
    return this.confusions.total;
  }

  /** What each ready step's statistics were computed from: step -> key. */
  get keys() {
    return new Map([...this.entries.values()].filter(({ state }) => state === "ready").map(({ step, key }) => [step, key]));
  }

  /** Steps that are ready on the server, in order. */
  get readySteps() {
    return [...this.keys.keys()];
  }

  /**
   * @param {() => void} listener called when anything came
   * @returns {() => void} stops listening
   */
  subscribe(listener) {
    this.listeners.add(listener);
    if (this.listeners.size === 1) this.reread();
    return () => {
      this.listeners.delete(listener);
      if (!this.isWatched) this.dropTimers();
    };
  }

  /** Read the overview again, now. */
  reread() {
    this.dropTimers();
    if (this.reading)
      this.readAgain = true; // what is on its way may be older than the reason for asking
    else this.reading = this.read();
    return this.reading;
  }

  async read() {
    try {
      this.take(await fetchJson(this.address(["statistics"])));
      this.retry.succeeded();
    } catch (error) {
      this.error = error.message;
      if (error.status && error.status !== 503) this.overview = null; // refused: what was known is so no more
    }
    this.reading = null;
    this.tell();
    if (this.readAgain) {
      this.readAgain = false;
      this.reread();
    } else {
      this.readLater();
    }
  }

  take(overview) {
    this.error = null;
    this.overview = overview;
    this.entries = new Map(overview.steps.map((entry) => [entry.step, entry]));
    this.confusions.name(overview.confusions, this.keys);
  }

  readLater() {
    this.dropTimers();
    if (!this.isWatched) return;
    /** @type {number | null} */
    let delayMs = null;
    const again = () => (this.isAtRest() ? this.reread() : this.readLater());
    if (this.error) {
      this.retry.later(again);
      return;
    }
    if (this.overview.job && AT_WORK.has(this.overview.job.state)) {
      delayMs = JOB_MS;
    } else if (this.overview.steps.some(({ state }) => state !== "ready")) {
      delayMs = MISSING_MS;
    }
    if (delayMs !== null) this.timer = setTimeout(again, delayMs);
  }

  dropTimers() {
    clearTimeout(this.timer || undefined);
    this.retry.cancel();
  }

  /** Request nothing while time moves or the page is hidden. */
  isAtRest() {
    return !time.playing && !document.hidden;
  }

  /**
   * Start, pause, resume, cancel or reorder the job that computes what is missing: the step on the screen comes first.
   * @param {"start"|"pause"|"resume"|"cancel"|"reorder"} action
   * @param {string[]} [maps] kinds of map to compute besides
   * @param {boolean} [patches] whether top patches of units are to be found too
   * @returns {Promise<void>} rejects with the server's sentence
   */
  async job(action, maps = [], patches = false) {
    const { corpus, split } = this.overview || this;
    await sendChange("POST", api(["runs", this.run, "statistics", "job"]), { action, corpus, split, maps, patches, step: time.step });
    if (action !== "reorder") await this.reread();
  }

  tell() {
    for (const listener of [...this.listeners]) listener();
  }
}

export const statistics = {
  /** How many bytes of confusion counts are kept of one run, corpus and split. */
  budgetBytes: 256 * 2 ** 20,

  /**
   * @param {{run: string, corpus: string | null}} subject
   * @param {string | null} [split] the server's choice where absent: "test" where there is one, else the last
   * @returns {Statistics} the same object for the same run, corpus and split
   */
  open(subject, split = "") {
    const key = JSON.stringify([subject.run, subject.corpus, split || ""]);
    if (!sharedByKey.has(key)) {
      for (const [other, shared] of sharedByKey) if (!shared.isWatched) sharedByKey.delete(other);
      sharedByKey.set(key, new Statistics(subject.run, subject.corpus, split || ""));
    }
    return sharedByKey.get(key);
  },

  /**
   * Follow the statistics of what the page is about: the subject, and the view's split.
   * @param {(a: Statistics) => void} listener called at once where a subject is open, when another run, corpus or split is
   *   chosen, and when anything came
   * @returns {() => void} stops following
   */
  follow(listener) {
    /** @type {Statistics | null} */
    let shared = null;
    let leave = () => {};
    const choose = (isNew) => {
      if (!subject) return;
      const next = statistics.open(subject, view.get().split);
      if (next !== shared) {
        const old = leave;
        shared = next;
        leave = next.subscribe(() => listener(next));
        old();
      } else if (isNew) {
        next.reread();
      }
      listener(next);
    };
    const undo = [
      onOpen((subject, isNew) => choose(isNew)),
      view.subscribe((view, changed) => changed.includes("split") && choose(false)),
      () => leave(),
    ];
    return () => undo.forEach((undoOne) => undoOne());
  },
};
