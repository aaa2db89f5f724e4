/**
 * Requests that are repeated until they are answered: those of our own scripts (`askAgain`, `askSignedIn`) and of Dash.
 *
 *     answer ──► ours and good ──────────────────────► whoever asked
 *            ├─► nobody answered, 502, 503, 504, 429 ─► asked again until it is; said after some seconds, and `onBack` after it
 *            ├─► 401 ─────────────────────────────────► said with a link; asked again, so that the page goes on by itself
 *            └─► refused in any other way ────────────► said until the same question is answered; Dash goes on without
 *
 * Only for requests that change nothing, such as those of callbacks: asked twice, they give the same answer. There is one notice for
 * all of it, and it goes when everything it stands for is solved. What a callback has not been answered for is greyed out meanwhile.
 */
import { mountedAt } from "mloscope/base/addresses.mjs";
import { broughtAnswer } from "mloscope/base/brought_answers.mjs";
import { PAUSES_MS } from "mloscope/base/retry.mjs";
import { standingNotice } from "mloscope/base/standing_notice.mjs";

const OF_DASH = /\/_dash-(update-component|layout|dependencies)$/;
const NOBODY_BEHIND_THE_PROXY = new Set([502, 503, 504]);
const DASH_PAUSES_MS = [250, ...PAUSES_MS];
const TOLD_AFTER = 3; // tries without an answer: a server that restarts is nothing to speak of
const SIGN_IN_PAUSE_MS = 5000;
const LONGEST_PAUSE_MS = 60_000;
const NOTICE = "answers";
const SIGNED_OUT = "signed-out";
const UNREACHABLE = "unreachable";
const REFUSED = "refused";
const SENTENCES = {
  [SIGNED_OUT]: "You have been signed out; what is shown may be out of date.",
  [UNREACHABLE]: "Connection lost; charts and tables may be out of date. Reconnecting …",
};
const ADVICE = {
  403: "A proxy in front of the server refused this page's request (403).",
  413: "This page's request is larger than the proxy in front of the server allows (413; nginx: client_max_body_size).",
};
const troubles = new Map(); // question -> {kind, text}
const newest = new Map(); // output of a callback -> number of its last question
/** @type {Set<() => void>} */
const backListeners = new Set();
/** @type {Set<() => void>} */
const waiting = new Set(); // ends the pauses of those who wait for the server
let asked = 0;
let isWatched = false; // whether somebody asks already whether the server is there

/**
 * @param {() => Promise<Response>} ask
 * @param {number[]} pausesMs before each of the tries after the first
 * @param {AbortSignal} [signal] that the asker holds
 * @returns {Promise<Response>} of the first try that was answered; as the last one ended where none was
 */
export const askAgain = async (ask, pausesMs, signal) => {
  for (const pauseMs of pausesMs) {
    try {
      const answer = await ask();
      if (answer.status !== 502 && answer.status !== 504) return answer;
    } catch (cause) {
      if (cause.name === "AbortError") throw cause;
    }
    await pause(pauseMs);
    if (signal) signal.throwIfAborted();
  }
  return ask();
};

/**
 * Ask; where the user is signed out, say so, and ask again until they have signed in.
 * @param {() => Promise<Response>} ask
 * @param {AbortSignal} [signal] that the asker holds
 * @returns {Promise<Response>} never of status 401
 */
export const askSignedIn = async (ask, signal) => {
  const question = Symbol("question");
  try {
    for (;;) {
      const answer = await ask();
      if (answer.status !== 401) return answer;
      tell(question, { kind: SIGNED_OUT });
      await pause(SIGN_IN_PAUSE_MS, true);
      if (signal) signal.throwIfAborted();
    }
  } finally {
    solve(question);
  }
};

/**
 * @param {() => void} listener called when the server answers again after the page has said that it does not
 * @returns {() => void} stops listening
 */
export const onBack = (listener) => {
  backListeners.add(listener);
  return () => backListeners.delete(listener);
};

/** Nobody answered one of our own questions: where the server is away, say so, and ask until it is there. */
export const awaitServer = async () => {
  if (isWatched) return;
  isWatched = true;
  const question = Symbol("is the server there");
  for (let tries = 0; await isAway(); tries += 1) {
    tell(question, { kind: UNREACHABLE });
    await pause(PAUSES_MS[Math.min(tries, 2)]);
  }
  isWatched = false;
  solve(question);
};

async function isAway() {
  try {
    return NOBODY_BEHIND_THE_PROXY.has((await fetchOnce(mountedAt("/healthz"), { cache: "no-store" })).status);
  } catch {
    return true;
  }
}

const fetchOnce = window.fetch.bind(window);
window.fetch = (resource, options) => {
  if (typeof resource !== "string" || !OF_DASH.test(resource.split("?")[0])) return fetchOnce(resource, options);
  const brought = broughtAnswer(resource);
  if (brought) return Promise.resolve(brought);
  const headers = new Headers(options && options.headers);
  headers.set("X-Mloscope", "1"); // Dash's own header needs a cookie, which a browser may not keep
  return askForDash(() => fetchOnce(resource, { ...options, headers }), outputOf(options) || resource, options && options.signal);
};

/** Which parts of the page a callback is asked for. */
function outputOf(options) {
  const found = /"output":"((?:[^"\\]|\\.)*)"/.exec((options && typeof options.body === "string" && options.body) || "");
  return found && found[1];
}

async function askForDash(ask, question, signal) {
  const number = (asked += 1);
  newest.set(question, number);
  for (let tries = 0; ; tries += 1) {
    const { answer, trouble } = await attempt(ask);
    // Something else was asked of the same part meanwhile; that is what it will show.
    if (tries && newest.get(question) !== number) return new Response(null, { status: 204 });
    markOutdated(question, Boolean(trouble));
    if (!trouble) solve(question);
    else if (trouble.kind !== UNREACHABLE || tries >= TOLD_AFTER) tell(question, trouble);
    if (!trouble || trouble.kind === REFUSED) return answer;
    await pause(trouble.pauseMs || DASH_PAUSES_MS[Math.min(tries, DASH_PAUSES_MS.length - 1)], trouble.kind === SIGNED_OUT);
    if (signal) signal.throwIfAborted();
  }
}

/** Grey out what a callback has not been answered for, and no longer. @param {string} outputs as Dash writes them */
function markOutdated(outputs, isOutdated) {
  for (const output of outputs.split("...")) {
    const part = document.getElementById(output.replace(/^\.\.|\.\.$/g, "").replace(/\.[^.]*$/, ""));
    const place = part && (part.closest(".chart") || part);
    if (place) place.toggleAttribute("data-outdated", isOutdated);
  }
}

async function attempt(ask) {
  try {
    const answer = await ask();
    return { answer, trouble: await troubleOf(answer) };
  } catch (cause) {
    if (cause.name === "AbortError") throw cause;
    return { trouble: { kind: UNREACHABLE } };
  }
}

/** What is wrong with an answer; null where nothing is. */
async function troubleOf(answer) {
  const isPage = (answer.headers.get("content-type") || "").startsWith("text/html");
  if (answer.ok && !isPage) return null; // Dash says of no answer what it is
  if (answer.status === 401) return { kind: SIGNED_OUT, pauseMs: SIGN_IN_PAUSE_MS };
  if (NOBODY_BEHIND_THE_PROXY.has(answer.status)) return { kind: UNREACHABLE };
  if (answer.ok) return { kind: REFUSED, text: "A proxy in front of the server answered in its place.", reload: true };
  const text = (await sentenceOf(answer)) || ADVICE[answer.status] || `The server answered ${answer.status} to this page's request.`;
  if (answer.status === 429) {
    const waitMs = 1000 * Number(answer.headers.get("retry-after") || 5);
    return { kind: "busy", text, pauseMs: Math.min(Math.max(waitMs, 1000), LONGEST_PAUSE_MS) };
  }
  return { kind: REFUSED, text, reload: answer.status !== 413 };
}

/** The server's own sentence, if it is one of ours. */
async function sentenceOf(answer) {
  try {
    return (await answer.clone().json()).error.message;
  } catch {
    return null;
  }
}

/** Wait; not while the page is hidden, and no longer than until the user returns to it. */
function pause(ms, untilSeen = false) {
  return new Promise((/** @type {(value?: any) => void} */ resolve) => {
    const done = () => {
      if (untilSeen && document.hidden) return;
      clearTimeout(timer);
      waiting.delete(done);
      for (const event of ["focus", "online"]) window.removeEventListener(event, done);
      document.removeEventListener("visibilitychange", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    if (!untilSeen) waiting.add(done);
    if (!untilSeen) return;
    for (const event of ["focus", "online"]) window.addEventListener(event, done);
    document.addEventListener("visibilitychange", done);
  });
}

// ---- what is told

function tell(question, trouble) {
  troubles.set(question, trouble);
  show();
}

function solve(question) {
  const trouble = troubles.get(question);
  if (!troubles.delete(question)) return;
  if (trouble.kind !== REFUSED) fetchBrokenPictures();
  show();
  if (trouble.kind === UNREACHABLE) comeBack();
}

/** One question was answered: those that wait ask at once. When all are, whoever listens fetches anew. */
function comeBack() {
  for (const done of [...waiting]) done();
  if ([...troubles.values()].some(({ kind }) => kind === UNREACHABLE)) return;
  for (const listener of [...backListeners]) listener();
}

function show() {
  const all = [...troubles.values()];
  const worst = [SIGNED_OUT, UNREACHABLE].map((kind) => all.find((trouble) => trouble.kind === kind)).find(Boolean) || all.at(-1);
  if (!worst) standingNotice(NOTICE, null);
  else standingNotice(NOTICE, SENTENCES[worst.kind] || worst.text, actionFor(worst));
}

function actionFor({ kind, reload }) {
  const again = { onClick: () => window.location.reload() };
  if (kind === SIGNED_OUT) {
    const { pathname, search, hash } = window.location;
    return { ...again, text: "Sign in again", href: mountedAt(`/login?next=${encodeURIComponent(pathname + search + hash)}`) };
  }
  return reload ? { ...again, text: "Reload the page", href: window.location.href } : null;
}

/** Pictures that failed meanwhile are not requested again by themselves. */
function fetchBrokenPictures() {
  for (const picture of document.images) {
    const source = picture.getAttribute("src");
    if (source && picture.complete && !picture.naturalWidth) picture.setAttribute("src", source);
  }
}
