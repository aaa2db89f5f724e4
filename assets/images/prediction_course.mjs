/** Class probabilities of one image at every step, in one stream: `PredictionCourse`. */
import { LineStream } from "mloscope/base/line_stream.mjs";

export class PredictionCourse extends LineStream {
  /** Numbers by class, null where one is not finite; by step. @type {Map<number, (number | null)[]>} */ probabilities = new Map();
  /** What the numbers are, "output" where they are not probabilities. @type {string} */ kind = "";

  forget() {
    this.kind = "";
    this.probabilities = new Map();
  }

  /** How many steps came or are known to be missing. */
  get came() {
    return this.probabilities.size + this.reasons.size;
  }

  take(line) {
    if (line.steps) line.steps.forEach((step, place) => this.probabilities.set(step, line.probabilities[place]));
    if (line.kind) this.kind = line.kind;
  }
}
