/** A sweep as it comes from the server: `Swept`. Everything is kept by amount and checkpoint, so that moving time asks for nothing. */
import { readLines } from "mloscope/base/http.mjs";
import { Retry, hungUp, isTemporary } from "mloscope/base/retry.mjs";

export class Swept {
  /** @type {string | null} */ address = null;
  /** The first line: amounts, layers, class; null until it came. @type {any} */ head = null;
  /** Why the stream ended early. @type {string | null} */ error = null;
  isDone = false;
  /** Values of (amount, checkpoint): NaN where there is none. @type {Float32Array} */ probabilities = new Float32Array();
  /** The same per layer. @type {Float32Array[]} */ distances = [];
  /** The largest distance of each layer. @type {number[]} */ largest = [];
  /** @type {Map<number, string>} why a step is missing */ reasons = new Map();
  came = 0;
  #retry = new Retry();
  /** @type {AbortController | null} */ #abort = null;
  /** @type {Map<number, number>} */ #place = new Map();

  /** @param {() => void} onChange called when anything came */
  constructor(onChange) {
    this.onChange = onChange;
  }

  close() {
    this.#retry.cancel();
    if (this.#abort) this.#abort.abort();
    this.#abort = this.address = this.head = this.error = null;
    this.isDone = false;
    this.came = 0;
    this.reasons = new Map();
  }

  /**
   * Ask for another sweep; the one that is open goes on undisturbed.
   * @param {string | null} address
   * @param {number[]} steps of the checkpoints, in order
   * @param {number | null} near the step to begin with
   */
  open(address, steps, near) {
    if (address === this.address) return;
    this.close();
    this.address = address;
    this.#place = new Map(steps.map((step, place) => [step, place]));
    if (address) this.#read(near === null ? address : `${address}&near=${near}`);
  }

  get steps() {
    return this.#place.size;
  }

  async #read(url) {
    const abort = (this.#abort = new AbortController());
    try {
      await readLines(url, abort.signal, (line) => {
        if (abort.signal.aborted) return;
        if (line.error) throw Object.assign(new Error(line.error.message), { kind: line.error.kind });
        this.#take(line);
      });
      if (!this.isDone) throw hungUp("The server stopped in the middle of an answer.");
    } catch (error) {
      if (abort.signal.aborted) return;
      abort.abort();
      this.error = error.message;
      if (isTemporary(error)) this.#retry.later(() => this.#read(url), 2000);
      this.onChange();
    }
  }

  #take(line) {
    this.error = null;
    if (line.sweep) this.#begin(line.sweep);
    if (line.missing) this.reasons.set(line.missing.step, line.missing.reason);
    if (line.steps) this.#fill(line);
    if (line.done) this.isDone = true;
    this.#retry.succeeded();
    this.onChange();
  }

  #begin(head) {
    const cells = () => new Float32Array(head.amounts.length * this.steps).fill(NaN);
    this.head = head;
    this.came = 0;
    this.probabilities = cells();
    this.distances = head.layers.map(cells);
    this.largest = head.layers.map(() => 0);
  }

  #fill({ amount, steps, distances, probabilities }) {
    this.came += steps.length;
    steps.forEach((step, row) => {
      const cell = amount * this.steps + (this.#place.get(step) ?? 0);
      if (probabilities) this.probabilities[cell] = probabilities[row] ?? NaN;
      distances[row].forEach((distance, layer) => {
        this.distances[layer][cell] = distance ?? NaN;
        if (distance > this.largest[layer]) this.largest[layer] = distance;
      });
    });
  }
}
