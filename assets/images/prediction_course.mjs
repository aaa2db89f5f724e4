/** Class probabilities of one image at every step, in one stream: `PredictionCourse`. */
import { readLines } from "mloscope/base/http.mjs";
import { Retry, hungUp, isTemporary } from "mloscope/base/retry.mjs";

export class PredictionCourse {
  /** Address of the stream, null where nothing is asked for. @type {string | null | undefined} */ address;
  /** Numbers by class, null where one is not finite; by step. @type {Map<number, (number | null)[]>} */ probabilities = new Map();
  /** Why a step is missing. @type {Map<number, string>} */ reasons = new Map();
  /** What the numbers are, "output" where they are not probabilities. @type {string} */ kind = "";
  /** Why the stream ended early. @type {string | null} */ error = null;
  /** @type {AbortController | null} */ #abort = null;
  #retry = new Retry();

  /** @param {() => void} onChange called when anything came */
  constructor(onChange) {
    this.onChange = onChange;
  }

  /** Forget everything, and ask for nothing. */
  close() {
    this.#retry.cancel();
    if (this.#abort) this.#abort.abort();
    this.#abort = this.error = null;
    this.address = null;
    this.kind = "";
    this.probabilities = new Map();
    this.reasons = new Map();
  }

  /**
   * Ask for another image or run.
   * @param {string | null} address of the stream; the one that is open goes on undisturbed
   * @param {number | null} near the step to begin with
   */
  open(address, near) {
    if (address === this.address) return;
    this.close();
    this.address = address;
    if (address) this.#read(near === null ? address : `${address}&near=${near}`);
  }

  /** How many steps came or are known to be missing. */
  get came() {
    return this.probabilities.size + this.reasons.size;
  }

  async #read(url) {
    const abort = (this.#abort = new AbortController());
    let ended = false;
    try {
      await readLines(url, abort.signal, (line) => {
        if (abort.signal.aborted) return;
        ended = ended || Boolean(line.done);
        if (line.error) throw Object.assign(new Error(line.error.message), { kind: line.error.kind });
        this.#take(line);
      });
      if (!ended) throw hungUp("The server stopped in the middle of an answer.");
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
    if (line.steps) line.steps.forEach((step, place) => this.probabilities.set(step, line.probabilities[place]));
    if (line.missing) this.reasons.set(line.missing.step, line.missing.reason);
    if (line.kind) this.kind = line.kind;
    this.#retry.succeeded();
    this.onChange();
  }
}
