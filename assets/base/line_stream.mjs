/** An answer that comes as lines of JSON while the server works on it, and is asked for again where it broke off: `LineStream`. */
import { readLines } from "mloscope/base/http.mjs";
import { Retry, hungUp, isTemporary } from "mloscope/base/retry.mjs";

const AGAIN_MS = 2000;

/** One address at a time. Those that extend it keep what comes: `take` and `forget` are theirs. */
export class LineStream {
  /** Address of the stream, null where nothing is asked for. @type {string | null | undefined} */ address;
  /** Why a step is missing. @type {Map<number, string>} */ reasons = new Map();
  /** Why the stream ended early. @type {string | null} */ error = null;
  /** Whether all came. */ isDone = false;
  /** @type {AbortController | null} */ #abort = null;
  #retry = new Retry();

  /** @param {() => void} onChange called when anything came */
  constructor(onChange) {
    this.onChange = onChange;
  }

  /** Keep a line. @param {any} line */
  take(line) {
    throw new Error(`${this.constructor.name} keeps no line, got one with ${Object.keys(line)}.`);
  }

  /** Forget what was kept. */
  forget() {}

  /** Forget everything, and ask for nothing. */
  close() {
    this.#retry.cancel();
    if (this.#abort) this.#abort.abort();
    this.#abort = this.error = this.address = null;
    this.isDone = false;
    this.reasons = new Map();
    this.forget();
  }

  /**
   * Ask for another address.
   * @param {string | null} address of the stream; the one that is open goes on undisturbed
   * @param {number | null} near the step to begin with
   */
  open(address, near) {
    if (address === this.address) return;
    this.close();
    this.address = address;
    if (address) this.#read(near === null ? address : `${address}${address.includes("?") ? "&" : "?"}near=${near}`);
  }

  async #read(url) {
    const abort = (this.#abort = new AbortController());
    try {
      await readLines(url, abort.signal, (line) => {
        if (abort.signal.aborted) return;
        if (line.error) throw Object.assign(new Error(line.error.message), { kind: line.error.kind });
        this.#keep(line);
      });
      if (!this.isDone) throw hungUp("The server stopped in the middle of an answer.");
    } catch (error) {
      if (abort.signal.aborted) return;
      abort.abort();
      this.error = error.message;
      if (isTemporary(error)) this.#retry.later(() => this.#read(url), AGAIN_MS);
      this.onChange();
    }
  }

  #keep(line) {
    this.error = null;
    if (line.missing) this.reasons.set(line.missing.step, line.missing.reason);
    if (line.done) this.isDone = true;
    this.take(line);
    this.#retry.succeeded();
    this.onChange();
  }
}
