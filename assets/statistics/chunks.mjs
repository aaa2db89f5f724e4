/**
 * Data of every step in immutable chunks: `StatisticsChunks`. Confusion counts and points on the map come this way.
 *
 *     overview ──name(chunks, keys)──► wanted ──fetch, nearest to the current step first──► values by step
 *
 * A value belongs to a step's key (the content it was computed from). Another key for the step, and the value is gone at once: what
 * is drawn is never older than what the overview says.
 */
import { mountedAt } from "mloscope/base/addresses.mjs";
import { fetchAnswer } from "mloscope/base/http.mjs";
import { time } from "mloscope/base/time_bus.mjs";

const CHUNKS_AT_ONCE = 3;
const REFUSALS = 3; // of one address, though overviews name it; then it is said to be lost
const RETRY_MS = [1000, 2000, 4000, 8000];
const WORTH_A_RETRY = new Set(["unavailable", "unreachable"]);

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
    this.chunkOf = new Map(); // step -> chunk: {address, steps, keys, state: wanted, coming, here, let-go, lost}
    this.chunks = [];
    this.values = new Map(); // step -> {value, buffer}
    this.reasons = new Map(); // step -> sentence
    this.heldBytes = 0;
    this.fetching = 0;
    this.attempts = 0;
    this.asked = false; // somebody has asked for a value: only then is anything fetched
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
    this.fetchMore();
  }

  /**
   * @param {number} step
   * @returns {any | null} the step's value; null where it has not come (it is fetched then, if there is one)
   */
  value(step) {
    this.asked = true;
    const held = this.values.get(step);
    if (held) return held.value;
    const chunk = this.chunkOf.get(step);
    if (chunk && chunk.state === "let-go") chunk.state = "wanted";
    if (chunk && chunk.state === "wanted") this.fetchMore();
    return null;
  }

  /** @returns {any | null} the step's value where it is here; asks for nothing */
  peek(step) {
    const held = this.values.get(step);
    return held ? held.value : null;
  }

  /** @returns {string | null} why the step's value cannot be had */
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

  fetchMore() {
    if (!this.asked || !this.isWatched()) return;
    while (this.fetching < CHUNKS_AT_ONCE) {
      const wanted = this.chunks.filter((chunk) => chunk.state === "wanted");
      if (!wanted.length) return;
      this.fetchChunk(wanted.reduce((best, chunk) => (distance(chunk.steps) < distance(best.steps) ? chunk : best)));
    }
  }

  async fetchChunk(chunk) {
    chunk.state = "coming";
    this.fetching += 1;
    try {
      const answer = await fetchAnswer(mountedAt(chunk.address));
      this.place(chunk, await answer.arrayBuffer());
      this.error = null;
      this.attempts = 0;
    } catch (error) {
      this.lose(chunk, error);
    }
    this.fetching -= 1;
    this.fetchMore();
    this.onChange();
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
    } else if (WORTH_A_RETRY.has(error.kind) || error instanceof TypeError) {
      this.error = error instanceof TypeError ? "The server stopped in the middle of an answer." : error.message;
      const delayMs = RETRY_MS[Math.min(this.attempts, RETRY_MS.length - 1)];
      this.attempts += 1;
      setTimeout(() => {
        if (chunk.state !== "coming") return;
        chunk.state = "wanted";
        this.fetchMore();
      }, delayMs);
    } else {
      chunk.state = "lost";
      this.explain(chunk, error.message);
    }
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
      const farthest = [...this.values.keys()].reduce((far, step) => (distance([step]) > distance([far]) ? step : far));
      const { buffer } = this.values.get(farthest);
      const steps = [...this.values].filter(([, held]) => held.buffer === buffer).map(([step]) => step);
      if (steps.includes(time.step)) return;
      steps.forEach((step) => this.drop(step));
      for (const step of steps) if (this.chunkOf.has(step)) this.chunkOf.get(step).state = "let-go";
    }
  }
}

/** How many checkpoints the nearest of some steps is away from the current one. */
function distance(steps) {
  const here = time.index;
  return Math.min(...steps.map((step) => Math.abs(time.indexOf(step) - here)));
}
