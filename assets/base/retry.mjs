/** When something that failed for a temporary reason is requested again: `isTemporary`, `Retry`. */

/** Before each try after the first; the last one repeats. */
export const PAUSES_MS = [1000, 2000, 4000, 8000];
const TEMPORARY = new Set(["unavailable", "unreachable", "hung-up"]);

/** Whether retrying later may succeed. @param {any} error as fetchAnswer throws it */
export const isTemporary = (error) => TEMPORARY.has(error.kind);

/** A connection that broke within an answer, as an error that is temporary. @param {string} sentence */
export const hungUp = (sentence) => Object.assign(new Error(sentence), { kind: "hung-up" });

/** The retries of one request: each waits longer than the one before. */
export class Retry {
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  #failures = 0;

  /**
   * Try again later.
   * @param {() => void} act
   * @param {number} [longestMs] where a request costs nobody anything, it may come sooner
   */
  later(act, longestMs = Infinity) {
    clearTimeout(this.#timer);
    const pauseMs = PAUSES_MS[Math.min(this.#failures, PAUSES_MS.length - 1)];
    this.#failures += 1;
    this.#timer = setTimeout(act, Math.min(pauseMs, longestMs));
  }

  /** It succeeded: the next failure begins with the shortest pause. */
  succeeded() {
    this.#failures = 0;
  }

  /** Drop the retry that waits. */
  cancel() {
    clearTimeout(this.#timer);
  }
}
