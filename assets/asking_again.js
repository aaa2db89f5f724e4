/**
 * Asking again where nobody answered: a worker that was killed in the middle, a server that restarts, a network that blinked.
 * `mloscope.askAgain`, and what Dash's callbacks ask.
 *
 * Only for questions that change nothing, as those of our callbacks: whoever asks twice gets the same answer.
 */
(() => {
  "use strict";
  const mloscope = (window.mloscope = window.mloscope || {});
  const CALLBACKS = "/_dash-update-component";
  const CALLBACK_PAUSES_MS = [250, 1000, 2000, 4000, 4000];
  const NOBODY_BEHIND_THE_PROXY = new Set([502, 504]);

  /**
   * @param {function(): Promise<Response>} ask
   * @param {number[]} pausesMs before each of the tries after the first
   * @param {AbortSignal} [signal] that the asker holds
   * @returns {Promise<Response>} of the first try that was answered; as the last one ended where none was
   */
  mloscope.askAgain = async (ask, pausesMs, signal) => {
    for (const pauseMs of pausesMs) {
      try {
        const answer = await ask();
        if (!NOBODY_BEHIND_THE_PROXY.has(answer.status)) return answer;
      } catch (cause) {
        if (cause.name === "AbortError") throw cause;
      }
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      if (signal) signal.throwIfAborted();
    }
    return ask();
  };

  // Dash gives up at once, and what it could not bring up to date would go on looking like what is asked for.
  const fetchOnce = window.fetch.bind(window);
  window.fetch = async (resource, options) => {
    const ask = () => fetchOnce(resource, options);
    if (typeof resource !== "string" || !resource.split("?")[0].endsWith(CALLBACKS)) return ask();
    try {
      return await mloscope.askAgain(ask, CALLBACK_PAUSES_MS, options && options.signal);
    } catch (cause) {
      if (cause.name !== "AbortError") {
        mloscope.notice("The server does not answer, so charts and tables may be those of an earlier moment; reload the page.");
      }
      throw cause;
    }
  };
})();
