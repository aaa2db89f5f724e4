/**
 * Films: one thing at every checkpoint. `films`.
 *
 *     manifest (NDJSON, nearest step first) ──addresses──► chunks (immutable, MLF1) ──► frames by step
 *
 * One film is shared by all who open it. A film that is not shown is not read any further, but what has come stays, within
 * a budget of bytes, for when it is opened again.
 */
import { time } from "mloscope/base/time_bus.mjs";
import { SharedFilm, keepBudget, store, tellAny } from "mloscope/films/shared_film.mjs";
import { filmSpan } from "mloscope/films/span.mjs";

/** Whether a film waits for nothing at a step of the time bus; another run's film has steps of its own. */
function waitsForNothing(film, step) {
  if (!film.clock.stepAt) return film.has(step);
  const own = film.clock.stepAt(time.indexOf(step));
  return own === null || film.has(own);
}

/** A handle on a film that is open. */
class Film {
  constructor(shared) {
    this.shared = shared;
    this.listeners = new Set();
  }

  /** The manifest's first line ({show, layer, units, channels, rows, columns, ...}), null until it came. */
  get header() {
    return this.shared.header;
  }

  /** All steps of the run, [] until the manifest came. */
  get steps() {
    return this.shared.header ? this.shared.header.steps : [];
  }

  /** A sentence, null where nothing is wrong. */
  get error() {
    return this.shared.error;
  }

  /** {done, of, doing} while the server computes, else null. */
  get progress() {
    return this.shared.progress;
  }

  /** How many checkpoints came or are known to be missing. */
  get loaded() {
    return this.shared.loaded;
  }

  get total() {
    return this.shared.total;
  }

  /**
   * @param {number} step
   * @returns {null | {codes: Uint8Array, unitRanges: Float32Array, layerRange: Float32Array}} null where it has not come
   */
  frame(step) {
    const chunk = this.shared.chunkOf.get(step);
    if (chunk) chunk.used = store.uses += 1;
    if (chunk && chunk.state === "let-go") this.shared.queue.want(chunk);
    return this.shared.frames.get(step) || null;
  }

  /** @param {number} step @returns {string | null} why there is nothing at this step, null where there is or may be */
  missing(step) {
    return this.shared.reasons.get(step) || null;
  }

  /** Range over time and exploded steps, as filmSpan.of returns them; computed again when a frame arrives. */
  overTime() {
    const shared = this.shared;
    if (!shared.over) shared.over = filmSpan.of(shared.layerRanges);
    return shared.over;
  }

  /** @returns {number[] | null} [lo, hi] of the whole layer over the steps that came and did not explode; null where nothing is finite */
  range() {
    return this.overTime().span;
  }

  /** @returns {Map} of the steps that came and exploded: how many times the median step's their values are */
  exploded() {
    return this.overTime().exploded;
  }

  /** Of how many steps `range` knows. */
  get ranged() {
    return this.shared.layerRanges.size;
  }

  /** @param {() => void} listener called when anything came @returns {() => void} stops listening */
  subscribe(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Close the handle. The manifest is aborted when the last one closes. */
  close() {
    this.listeners.clear();
    if (!this.shared.viewers.delete(this) || this.shared.viewers.size) return;
    this.shared.stop();
    if (!this.shared.frames.size) store.films.delete(this.shared.key);
    tellAny();
  }
}

export const films = {
  /**
   * Open a film. Two who open the same address, whatever step it is `near`, share one.
   * @param {string} url of the film route
   * @param {{index: number, indexOf: (step: number) => number, stepAt?: (index: number) => number | null}} [clock] where time
   *   stands in the film's run; `stepAt`, where that is another run than the time bus's: its step at an index of the bus
   * @returns {Film}
   */
  open(url, clock = time) {
    const key = url.replace(/([?&])near=[^&]*&?/, "$1").replace(/[?&]$/, "");
    const shared = store.films.get(key) || new SharedFilm(key, clock);
    store.films.set(key, shared);
    const film = new Film(shared);
    shared.url = url;
    shared.viewers.add(film);
    shared.read();
    tellAny();
    return film;
  },

  /** Let go of every film: the files behind them may be others now. Those in view live on until they are closed. */
  forget() {
    for (const shared of store.films.values()) {
      shared.detached = true;
      for (const chunk of shared.chunks.values()) chunk.held = 0;
    }
    store.films.clear();
    store.heldBytes = 0;
  },

  /**
   * How far the films in view are.
   * @returns {{count: number, has: ((a: number) => boolean), error: string | null}} `has(step)`: no film waits for the step
   */
  inView() {
    const open = [...store.films.values()].filter((shared) => shared.viewers.size);
    return {
      count: open.length,
      has: (step) => open.every((shared) => waitsForNothing(shared, step)),
      error: open.map((shared) => shared.error).find(Boolean) || null,
    };
  },

  /**
   * Steps of the time bus at which something is the matter with what a film in view shows.
   * @returns {Map<number, "exploded" | "all" | "some">} exploded, or all or some of its values are no finite numbers
   */
  troubled() {
    const own = [...store.films.values()].filter((shared) => shared.viewers.size && !shared.clock.stepAt);
    const found = new Map();
    for (const shared of own) {
      for (const [step, which] of shared.unsound) if (which === "all" || !found.has(step)) found.set(step, which);
      for (const step of [...shared.viewers][0].exploded().keys()) found.set(step, "exploded");
    }
    return found;
  },

  /** @param {() => void} listener called, at most once per frame, when any film changed @returns {() => void} */
  onChange(listener) {
    store.listeners.add(listener);
    return () => store.listeners.delete(listener);
  },

  /** Bytes of frames held, and how many may be. */
  get heldBytes() {
    return store.heldBytes;
  },
  get budgetBytes() {
    return store.budgetBytes;
  },
  set budgetBytes(bytes) {
    store.budgetBytes = bytes;
    keepBudget();
  },
};
