/**
 * The top patches of the selected unit at all steps: `topPatches`, shared by all parts of the unit page.
 *
 *     overview (which layers have any) ──► the unit's patches ──► at(step), without a request
 *        └── read again while a job runs, until the layer has them
 */
import { fetchJson } from "mloscope/base/http.mjs";
import { isTemporary, Retry } from "mloscope/base/retry.mjs";
import { view } from "mloscope/base/view.mjs";
import { statistics } from "mloscope/statistics/statistics.mjs";

/**
 * @typedef {{image: string, position: number, row: number, column: number, value: number, box: number[] | null, since: number}} Patch
 * @typedef {{step: number, state: string, mean: number | null, excited: number | null, overlap: number | null, patches: Patch[]}} AtStep
 */

const AT_WORK = new Set(["starting", "running"]);

class UnitPatchesOfView {
  /** @type {any} */ statistics = null;
  /** @type {any} what the overview says; null until it came */ overview = null;
  /** @type {any} the unit's patches; null until they came, or where there are none */ found = null;
  /** @type {string | null} */ error = null;
  /** @type {Set<() => void>} */ listeners = new Set();
  /** @type {Map<number, AtStep>} */ #steps = new Map();
  #key = "";
  #asked = 0;
  #wasAtWork = false;
  #retry = new Retry();
  /** @type {(() => void)[]} */ #undo = [];

  /** @param {() => void} listener called when anything came @returns {() => void} stops listening */
  follow(listener) {
    this.listeners.add(listener);
    if (this.listeners.size === 1) this.#begin();
    listener();
    return () => {
      this.listeners.delete(listener);
      if (!this.listeners.size) this.#end();
    };
  }

  /** @param {number | null} step @returns {AtStep | null} */
  at(step) {
    return (step !== null && this.#steps.get(step)) || null;
  }

  /** Of the selected layer in the overview; null where it has no patches. */
  get layer() {
    const { layer } = view.get();
    return (this.overview && this.overview.layers.find((each) => each.layer === layer)) || null;
  }

  /** The computation, as the overview of the statistics has it; null where the server computes nothing. */
  get job() {
    return (this.statistics && this.statistics.overview && this.statistics.overview.job) || null;
  }

  get isAtWork() {
    return Boolean(this.job && AT_WORK.has(this.job.state));
  }

  #begin() {
    this.#key = "";
    this.#undo = [
      statistics.follow((now) => this.#hear(now)),
      view.subscribe((_, changed) => ["layer", "unit"].some((key) => changed.includes(key)) && this.#look()),
    ];
  }

  #end() {
    this.#undo.forEach((undoOne) => undoOne());
    this.#retry.cancel();
    this.#asked += 1;
  }

  #hear(now) {
    const isOther = now !== this.statistics;
    const hasEnded = this.#wasAtWork && !this.isAtWork;
    this.statistics = now;
    this.#wasAtWork = this.isAtWork;
    if (isOther || hasEnded || this.isAtWork) this.#look(true);
    else this.#tell();
  }

  /** @param {boolean} [isAnew] whether there may be more than before */
  #look(isAnew = false) {
    const { layer, unit } = view.get();
    const { run, corpus, split } = this.statistics || {};
    const key = JSON.stringify([run, corpus, split, layer, unit]);
    if (!run || !layer || (key === this.#key && !isAnew)) return;
    if (key !== this.#key) this.#forget();
    this.#key = key;
    this.#read(layer, unit);
  }

  #forget() {
    this.found = this.error = null;
    this.#steps = new Map();
    this.#tell();
  }

  async #read(layer, unit) {
    const asked = ++this.#asked;
    try {
      const overview = await fetchJson(this.statistics.address(["statistics", "patches"]));
      if (asked !== this.#asked) return;
      this.overview = overview;
      const has = this.layer;
      const found =
        has && unit < has.units ? await fetchJson(this.statistics.address(["layers", layer, "units", String(unit), "patches"])) : null;
      if (asked !== this.#asked) return;
      this.found = found;
      this.#steps = new Map(found ? found.steps.map((entry) => [entry.step, entry]) : []);
      this.error = null;
      this.#retry.succeeded();
    } catch (error) {
      if (asked !== this.#asked) return;
      this.error = error.message;
      if (isTemporary(error)) this.#retry.later(() => this.#look(true));
    }
    this.#tell();
  }

  /** Compute what is lacking, with top patches. @returns {Promise<void>} rejects with the server's sentence */
  compute() {
    return this.statistics.job("start", [], true);
  }

  #tell() {
    for (const listener of [...this.listeners]) listener();
  }
}

export const topPatches = new UnitPatchesOfView();
