/** A sweep as it comes from the server: `Swept`. Everything is kept by amount and checkpoint, so that moving time asks for nothing. */
import { LineStream } from "mloscope/base/line_stream.mjs";

export class Swept extends LineStream {
  /** The first line: amounts, layers, class; null until it came. @type {any} */ head = null;
  /** Values of (amount, checkpoint): NaN where there is none. @type {Float32Array} */ probabilities = new Float32Array();
  /** The same per layer. @type {Float32Array[]} */ distances = [];
  /** The largest distance of each layer. @type {number[]} */ largest = [];
  came = 0;
  /** @type {Map<number, number>} */ #place = new Map();

  forget() {
    this.head = null;
    this.came = 0;
  }

  /**
   * Ask for another sweep.
   * @param {string | null} address the one that is open goes on undisturbed
   * @param {number[]} steps of the checkpoints, in order
   * @param {number | null} near the step to begin with
   */
  follow(address, steps, near) {
    if (address !== this.address) this.#place = new Map(steps.map((step, place) => [step, place]));
    this.open(address, near);
  }

  get steps() {
    return this.#place.size;
  }

  take(line) {
    if (line.sweep) this.#begin(line.sweep);
    if (line.steps) this.#fill(line);
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
