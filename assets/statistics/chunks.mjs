/**
 * Data of every step in immutable chunks: `StatisticsChunks`. Confusion counts and points on the map come this way.
 *
 *     overview ──name(chunks, keys)──► wanted ──fetch, nearest to the current step first──► values by step
 *
 * A value belongs to a step's key (the content it was computed from). Another key for the step, and the value is gone at once: what
 * is drawn is never older than what the overview says.
 */
import { mountedAt } from "mloscope/base/addresses.mjs";
import { fetchBytes } from "mloscope/base/http.mjs";
import { NearestFirst, distance } from "mloscope/base/nearest_first.mjs";
import { Retry, isTemporary } from "mloscope/base/retry.mjs";
import { time } from "mloscope/base/time_bus.mjs";

const REFUSALS = 3; // of one address, though overviews name it; then it is said to be lost

export class StatisticsChunks {
  /** @type {any} */ budgetBytes;
  /** @type {any} */ isWatched;
  /** @type {any} */ onChange;
  /** @type {any} */ onStale;
  /** @type {any} */ parse;

  /**
   * @param {{parse: ((a: ArrayBuffer) => {step: number, value: any}[]), onChange: (() => void), onStale: (() => void), isWatched: (() => boolean), budgetBytes: number}} how `onStale` is called where the server does
   *   not know an address any more (404, 409): the overview has to be read again. Nothing is fetched while nobody watches.
   */
  constructor({ parse, onChange, onStale, isWatched, budgetBytes }) {
    Object.assign(this, { parse, onChange, onStale, isWatched, budgetBytes });
    this.keys = new Map(); // step -> key of what it was computed from
    this.chunkOf = new Map(); // step -> chunk: {address, steps, keys, state: wanted, coming, waiting, here, let-go, lost}
    this.chunks = [];
    this.values = new Map(); // step -> {value, buffer}
    this.reasons = new Map(); // step -> sentence
    this.heldBytes = 0;
    this.queue = new NearestFirst({
      clock: time,
      pieces: () => this.chunks,
      isWatched: () => this.asked && isWatched(),
      fetch: (chunk) => this.fetchChunk(chunk),
      onChange: () => onChange(),
    });
    this.retry = new Retry();
    this.asked = false; // a value has been requested: only then is anything fetched
    this.error = null;
  }

  /**
   * What there is now.
   * @param {{steps: number[], address: string}[]} list
   * @param {Map<number, string>} keys by step
   */
  name(list, keys) {
    for (const step of [...this.values.keys()]) if (keys.get(step) !== this.keys.get(step)) this.drop(step);
    this.keys = keys;
    const old = new Map(this.chunks.map((chunk) => [chunk.address, chunk]));
    this.chunks = list.map(({ steps, address }) => {
      const held = old.get(address);
      const known = held && steps.every((step) => held.keys.get(step) === keys.get(step)) ? held : null;
      if (known && (known.state !== "lost" || known.refused >= REFUSALS)) return known;
      const refused = known ? known.refused : 0;
      return { address, steps, keys: new Map(steps.map((step) => [step, keys.get(step)])), state: "wanted", refused };
    });
    this.chunkOf = new Map(this.chunks.flatMap((chunk) => chunk.steps.map((step) => [step, chunk])));
    this.reasons.clear();
    for (const chunk of this.chunks) {
      if (chunk.state === "lost") this.explain(chunk, chunk.sentence);
      // Chunks may be cut in another way than before; what has come already need not come again.
      if (chunk.state === "wanted" && chunk.steps.every((step) => this.values.has(step))) chunk.state = "here";
      else if (chunk.state === "here" && !chunk.steps.every((step) => this.values.has(step))) chunk.state = "wanted";
    }
    this.queue.fetchMore();
  }

  /**
   * @param {number} step
   * @returns {any | null} the step's value; null where it has not come (it is fetched then, if there is one)
   */
  value(step) {
    this.asked = true;
    const held = this.values.get(step);
    if (held) return held.value;
    this.queue.want(this.chunkOf.get(step));
    return null;
  }

  /** @returns {any | null} the step's value where it is here; asks for nothing */
  peek(step) {
    const held = this.values.get(step);
    return held ? held.value : null;
  }

  /** @returns {string | null} why the step's value is not available */
  reason(step) {
    return this.reasons.get(step) || null;
  }

  /** How many steps' values are here, and how many there are. */
  get loaded() {
    return this.values.size;
  }

  get total() {
    return this.chunkOf.size;
  }

  async fetchChunk(chunk) {
    try {
      this.place(chunk, await fetchBytes(mountedAt(chunk.address)));
      this.error = null;
      this.retry.succeeded();
    } catch (error) {
      this.lose(chunk, error);
    }
  }

  place(chunk, buffer) {
    chunk.state = "here";
    const fresh = new Map();
    for (const { step, value } of this.parse(buffer)) {
      if (this.keys.has(step) && this.keys.get(step) === chunk.keys.get(step)) fresh.set(step, { value, buffer });
    }
    for (const [step, held] of fresh) {
      this.drop(step);
      this.values.set(step, held);
    }
    if (fresh.size) this.heldBytes += buffer.byteLength;
    this.keepBudget();
  }

  lose(chunk, error) {
    if ((error.status === 404 || error.status === 409) && (chunk.refused += 1) < REFUSALS) {
      chunk.state = "lost"; // until an overview names it again
      this.onStale();
    } else if (isTemporary(error)) {
      this.error = error.message;
      chunk.state = "waiting";
      this.retry.later(() => this.resume());
    } else {
      chunk.state = "lost";
      this.explain(chunk, error.message);
    }
  }

  /** Fetch again what failed for a temporary reason. */
  resume() {
    for (const chunk of this.chunks) if (chunk.state === "waiting") chunk.state = "wanted";
    this.queue.fetchMore();
  }

  explain(chunk, sentence) {
    chunk.sentence = sentence;
    for (const step of chunk.steps) this.reasons.set(step, sentence);
  }

  drop(step) {
    const held = this.values.get(step);
    if (!held) return;
    this.values.delete(step);
    if (![...this.values.values()].some(({ buffer }) => buffer === held.buffer)) this.heldBytes -= held.buffer.byteLength;
  }

  /** What is farthest from the current step goes first; the current one never. */
  keepBudget() {
    while (this.heldBytes > this.budgetBytes && this.values.size > 1) {
      const farthest = [...this.values.keys()].reduce((far, step) => (distance([step], time) > distance([far], time) ? step : far));
      const { buffer } = this.values.get(farthest);
      const steps = [...this.values].filter(([, held]) => held.buffer === buffer).map(([step]) => step);
      if (steps.includes(time.step)) return;
      steps.forEach((step) => this.drop(step));
      for (const step of steps) if (this.chunkOf.has(step)) this.chunkOf.get(step).state = "let-go";
    }
  }
}
