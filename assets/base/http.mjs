/** Requests to the REST API, with refusals turned into sentences. */
import { api } from "mloscope/base/addresses.mjs";
import { askAgain, askSignedIn, awaitServer } from "mloscope/base/asking_again.mjs";
import { hungUp } from "mloscope/base/retry.mjs";

const AT_ONCE_MS = [250, 1000]; // pauses before the caller hears of a failure

/**
 * Fetch JSON; a refusal becomes an Error whose message is the server's own sentence and whose `kind` is the server's.
 * @param {string} url
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export const fetchJson = async (url, signal) => {
  const answer = await fetchAnswer(url, signal);
  return answer.json();
};

/**
 * Fetch, with refusals and a server that cannot be reached turned into sentences.
 * @param {string} url
 * @param {AbortSignal} [signal]
 * @param {any} [options] of fetch: method, headers, body
 * @returns {Promise<Response>} rejects with an Error that has `kind` ("unreachable" where nobody answered) and `status`. What only
 *   reads waits while nobody is signed in
 */
export const fetchAnswer = async (url, signal, options = {}) => {
  const ask = () => fetch(url, { ...options, signal });
  let answer;
  try {
    answer = await (options.method ? ask() : askSignedIn(() => askAgain(ask, AT_ONCE_MS, signal), signal));
  } catch (cause) {
    if (cause.name === "AbortError") throw cause;
    awaitServer();
    throw Object.assign(new Error("The server cannot be reached. Is it still running?"), { kind: "unreachable", status: 0 });
  }
  if (answer.ok) return answer;
  if (answer.status === 401) {
    // A request that changes something is not repeated; the notice stays until the user has signed in.
    askSignedIn(() => fetch(api(["runs"]))).catch(() => {});
    throw Object.assign(new Error("You have been signed out; sign in again."), { kind: "not-signed-in", status: 401 });
  }
  /** @type {{message: string, kind: string} | null} */
  let said = null;
  try {
    said = (await answer.json()).error;
  } catch {
    said = null; // an answer that is not ours, e.g. a proxy's page
  }
  const message = (said && said.message) || `The server answered ${answer.status} to ${url.split("?")[0]}.`;
  throw Object.assign(new Error(message), { kind: (said && said.kind) || "error", status: answer.status });
};

/**
 * Send a change to the server, marked as coming from a page of ours.
 * @param {string} method
 * @param {string} url
 * @param {any} [body] sent as JSON; undefined: none
 * @returns {Promise<Response>} rejects as fetchAnswer does
 */
export const sendChange = (method, url, body) =>
  fetchAnswer(url, undefined, {
    method,
    headers: { "Content-Type": "application/json", "X-Mloscope": "1" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });

/**
 * Fetch bytes.
 * @param {string} url
 * @returns {Promise<ArrayBuffer>} rejects as fetchAnswer does, and with `kind` "hung-up" where the connection broke
 */
export const fetchBytes = async (url) => {
  const answer = await fetchAnswer(url);
  return whole(answer.arrayBuffer());
};

/** What a body gives; a connection that broke within it becomes an error that is temporary. */
async function whole(reading) {
  try {
    return await reading;
  } catch (cause) {
    throw cause instanceof TypeError ? hungUp("The server stopped in the middle of an answer.") : cause;
  }
}

/**
 * Read newline-delimited JSON as it arrives.
 * @param {string} url
 * @param {AbortSignal} signal
 * @param {(a: any) => void} onLine called once per line, in order
 * @returns {Promise<void>} resolves when the server closes the stream; rejects as fetchBytes does
 */
export const readLines = async (url, signal, onLine) => {
  const answer = await fetchAnswer(url, signal);
  const reader = /** @type {ReadableStream<Uint8Array>} */ (answer.body).getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await whole(reader.read());
    if (done) break;
    const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
    rest = lines.pop() || "";
    for (const line of lines) if (line.trim()) onLine(JSON.parse(line));
  }
  if (rest.trim()) onLine(JSON.parse(rest));
};
