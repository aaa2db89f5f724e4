/**
 * The one owner of the view besides time: `view`, mirrored to the hash and to the Store "view".
 *
 *     hash ──load, back, forward──► view ◄── clicks, controls
 *                                    ├── a selection: one pushState        (back undoes it)
 *                                    ├── a moment of training: replaceState (when it settles; playing writes nothing)
 *                                    └── dcc.Store "view", 60 ms later     (callbacks)
 *
 * Path and search say which page, run and corpus: `view.visit` goes to others, and the view goes along. Only the hash is ever
 * replaced: Dash's router looks at path and search, so none of that asks the server for anything.
 * app/web/dash/view_state.py says which keys there are.
 */
import { searchOf } from "mloscope/base/addresses.mjs";
import { carried, firstLayer } from "mloscope/base/carrying.mjs";
import { notice, takeBackNotice } from "mloscope/base/notices.mjs";
import { grouped } from "mloscope/base/numbers.mjs";
import { pageData } from "mloscope/base/page_data.mjs";
import { subject } from "mloscope/base/subject.mjs";
import { time } from "mloscope/base/time_bus.mjs";

const STORE_DELAY_MS = 60;
const subscribers = new Set();
/** @type {any | null} complete once anybody asked for it */
let shown = null;
/** @type {number | undefined} */
let storeTimer;
let isOpen = false;
/** @type {string | null} the address's search that the subject was opened for; while it is another one, the hash is another's */
let openedSearch = null;
/** @type {any} the subject that was left for another one, with the view */
let left = null;
/** @type {string | null} what was said of it on arrival */
let said = null;

/** The schema's fields; the step, which belongs to the time bus, is among them. @returns {any[]} */
const schema = () => pageData("view-schema");
const limits = () => pageData("limits");

const fieldsOfView = () => schema().filter((field) => field.key !== "step");
const isAway = () => openedSearch !== null && location.search !== openedSearch;
const ofALayer = () => fieldsOfView().filter(({ of }) => of && of.includes("layer"));
const defaults = () => Object.fromEntries(fieldsOfView().map((field) => [field.key, field.default]));

/** Numbers of a selection such as "0-15,40", in order, each once. Throws an Error with a sentence. */
function parseUnits(text) {
  const units = new Set();
  let total = 0;
  for (const part of String(text)
    .split(",")
    .map((piece) => piece.trim())
    .filter(Boolean)) {
    const match = /^(\d{1,7})(?:\s*-\s*(\d{1,7}))?$/.exec(part);
    if (!match) throw new Error(`"${part}" is not a number or a range of numbers; "0-15,40" would be right.`);
    const first = Number(match[1]);
    const last = Number(match[2] || match[1]);
    if (last < first) throw new Error(`The range "${part}" runs backwards; "${last}-${first}" would be right.`);
    if (last > limits().unit || last - first > limits().range) throw new Error(`The range "${part}" is larger than any layer.`);
    total += last - first + 1;
    if (total > limits().unit) throw new Error("The selection names more than any layer has.");
    for (let unit = first; unit <= last; unit += 1) units.add(unit);
  }
  return [...units];
}

/** The shortest text that parseUnits reads back as these units. */
function formatUnits(units) {
  const parts = [];
  for (const unit of units) {
    const last = parts[parts.length - 1];
    if (last && unit === last[1] + 1) last[1] = unit;
    else parts.push([unit, unit]);
  }
  return parts.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(",");
}

/** A value checked and brought to its one form. Throws an Error with a sentence. */
function checked(field, value) {
  if (value === null || value === undefined) return field.default;
  const text = String(value);
  if (field.kind === "number") {
    if (!/^\d{1,15}$/.test(text)) throw new Error(`${field.key}="${text}" is not a whole number of 0 or more.`);
    return Number(text);
  }
  if (field.kind === "choice") {
    if (!field.choices.includes(text)) throw new Error(`${field.key}="${text}" is not one of ${field.choices.join(", ")}.`);
    return text;
  }
  if (field.kind === "flag") {
    if (/^(1|true|yes)$/.test(text)) return true;
    if (/^(0|false|no)$/.test(text)) return false;
    throw new Error(`${field.key}="${text}" is neither yes nor no.`);
  }
  if (field.kind === "units") {
    try {
      return formatUnits(parseUnits(text));
    } catch (error) {
      throw new Error(`${field.key}: ${error.message}`);
    }
  }
  if (text.length > (field.longest || limits().text) || /[\u0000-\u001f\u007f]/.test(text))
    throw new Error(`${field.key} is too long or not printable.`);
  return text;
}

/** Percent-encoding of what would end or change a hash entry, and nothing more. */
function encoded(value) {
  const text = value === true ? "yes" : value === false ? "no" : String(value);
  return encodeURIComponent(text).replace(/%(2C|2F|3A|40|24|3B|3F)/gi, (code) => decodeURIComponent(code));
}

/**
 * Read a hash.
 * @param {string} hash with or without "#"
 * @returns {{view: any, step: number | null, problems: string[]}} complete with defaults; a sentence for each bad entry
 */
function parse(hash) {
  /** @type {{view: any, step: number | null, problems: string[]}} */
  const found = { view: defaults(), step: null, problems: [] };
  for (const entry of hash.replace(/^#/, "").split("&").filter(Boolean)) {
    const cut = entry.indexOf("=");
    const key = cut < 0 ? entry : entry.slice(0, cut);
    const field = schema().find((candidate) => candidate.key === key);
    if (!field) {
      found.problems.push(`The address has an entry "${key.slice(0, 40)}" that means nothing here; it is left out.`);
      continue;
    }
    try {
      const value = checked(field, decodeURIComponent(cut < 0 ? "" : entry.slice(cut + 1)));
      if (key === "step") found.step = value;
      else found.view[key] = value;
    } catch (error) {
      const why = error instanceof URIError ? `${key} is not percent-encoded as it should be.` : error.message;
      found.problems.push(`${why} The default is used.`);
    }
  }
  return found;
}

/**
 * Write a hash: one readable key=value each, defaults left out.
 * @param {any} wanted a view
 * @param {number | null} step
 * @returns {string} with "#"
 */
function format(wanted, step) {
  const parts = schema()
    .map((field) => [field, field.key === "step" ? step : wanted[field.key]])
    .filter(([field, value]) => value !== null && value !== undefined && value !== field.default)
    .map(([field, value]) => `${field.key}=${encoded(value)}`);
  return `#${parts.join("&")}`;
}

/** The step that an address names: while a run is gone there is none, and the address keeps the one for when it is there again. */
const stepOfAddress = () => (time.step === null ? parse(location.hash).step : time.step);

function writeHash(how) {
  if (isAway()) return;
  const hash = format(view.get(), stepOfAddress());
  if (hash === location.hash) return;
  history[how === "push" ? "pushState" : "replaceState"](history.state, "", hash);
}

function mirror() {
  clearTimeout(storeTimer);
  storeTimer = setTimeout(() => {
    if (!window.dash_clientside || !window.dash_clientside.set_props) return;
    window.dash_clientside.set_props("view", { data: { ...shown } });
  }, STORE_DELAY_MS);
}

/** Take over a whole view; returns the keys that changed. */
function apply(next) {
  const changed = Object.keys(next).filter((key) => next[key] !== (shown || {})[key]);
  if (!changed.length) return changed;
  shown = next;
  mirror();
  for (const subscriber of [...subscribers]) subscriber({ ...shown }, changed);
  return changed;
}

/** What the subject has to say about a view: layers that are not there, and the layer to begin with. */
function settledOnSubject(found, subject) {
  const names = subject.layers.map((layer) => layer.name);
  const first = firstLayer(subject);
  if (!names.length || names.includes(found.view.layer)) return found;
  if (found.view.layer) {
    found.problems.push(`The run ${subject.run} has no layer "${found.view.layer}"; ${first.name} is shown.`);
    for (const field of ofALayer()) found.view[field.key] = field.default;
  }
  found.view.layer = first.name;
  return found;
}

/** Back and forward, or an address typed: what the hash says is what is shown. */
function readBack() {
  if (!isOpen || isAway()) return;
  if (location.hash.length < 2) {
    writeHash("replace"); // another page of the application: the view goes with it
    return;
  }
  const found = settledOnSubject(parse(location.hash), subject);
  found.problems.forEach(notice);
  apply(found.view);
  if (found.step !== null && found.step !== time.step && time.count) goTo(found.step);
  writeHash("replace");
}

function goTo(step) {
  time.pause();
  const reached = time.requestStep(step);
  if (reached !== step) notice(`There is no checkpoint of step ${grouped(step)}; the nearest, ${grouped(Number(reached))}, is shown.`);
}

export const view = {
  parse,
  format,
  parseUnits,
  formatUnits,

  /** @returns {any[]} the schema of the view */
  fields: schema,

  /** @param {string} key @returns {string[][]} value, text and help of each choice of a field */
  choices(key) {
    const { choices, texts } = schema().find((field) => field.key === key);
    return choices.map((value, place) => [value, ...texts[place]]);
  },

  /** @returns {any} the view, complete, by key */
  get() {
    if (!shown) shown = defaults();
    return { ...shown };
  },

  /**
   * Change the view. Selecting another layer puts what belonged to the old one (unit, units, channels, parameter) back to
   * its default, unless it is set in the same call. A wrong value is left out, and said.
   * @param {any} partial values by key; null stands for the default
   * @param {{history?: "push" | "replace"}} [options] "push" (the default) for what Back should undo
   */
  set(partial, options = {}) {
    const next = view.get();
    if ("layer" in partial && partial.layer !== next.layer) {
      for (const field of ofALayer()) next[field.key] = field.default;
    }
    for (const [key, value] of Object.entries(partial)) {
      const field = fieldsOfView().find((candidate) => candidate.key === key);
      try {
        if (!field) throw new Error(`The view has nothing called "${key}".`);
        next[key] = checked(field, value);
      } catch (error) {
        notice(error.message);
      }
    }
    if (!apply(next).length || !isOpen) return;
    if (options.history !== "replace") forgetSaid();
    writeHash(options.history || "push");
  },

  /**
   * The address of exactly this view, without the host: it names run and corpus.
   * @param {string} [path] of another page
   * @param {{run: string, corpus: string | null}} [about] another run or corpus
   * @param {any} [changes] other values by key, such as the view has them
   */
  address(path = location.pathname, about = subject, changes = {}) {
    const search = about ? searchOf(about.run, about.corpus) : location.search;
    return `${path}${search}${isOpen ? format({ ...view.get(), ...changes }, stepOfAddress()) : location.hash}`;
  },

  /**
   * Go to another page, run or corpus, with all of the view that still means something there. Back comes home.
   * @param {{path?: string, run?: string, corpus?: string | null}} where what is left out stays
   */
  visit({ path = location.pathname, run, corpus }) {
    const about = subject && { run: run === undefined ? subject.run : run, corpus: corpus === undefined ? subject.corpus : corpus };
    const address = view.address(path, about || undefined);
    view.go(address, about && (about.run !== subject.run || about.corpus !== subject.corpus) ? subject : null);
  },

  /**
   * Go to an address of a page here, such as that of a saved view: what it says is what is shown.
   * @param {string} address path, search and hash
   * @param {any} [leaving] the subject whose view goes along instead
   */
  go(address, leaving = null) {
    if (address === location.pathname + location.search + location.hash) return;
    forgetSaid();
    if (leaving) time.pause();
    left = leaving;
    history.pushState({}, "", address);
    window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
  },

  /**
   * @param {(a: any, b: string[]) => void} subscriber called with (view, keys that changed)
   * @returns {() => void} stops listening
   */
  subscribe(subscriber) {
    subscribers.add(subscriber);
    return () => subscribers.delete(subscriber);
  },

  /**
   * Begin with a subject: the view of the hash, and the hash's step or the last checkpoint; where somebody left another subject
   * for this one, what still means something. Called by openSubject.
   * @param {any} subject
   * @param {boolean} [isNew] false where the subject is the same as before, perhaps under another address
   */
  open(subject, isNew = true) {
    const wasAway = isAway();
    openedSearch = location.search;
    if (!isNew) {
      left = null;
      if (wasAway) readBack();
      return;
    }
    forgetSaid();
    const found = left ? arrival(subject) : typed(subject);
    left = null;
    view.get();
    isOpen = true;
    apply(found.view);
    mirror();
    found.problems.forEach(notice);
    time.open(subject.checkpoints, found.step);
    writeHash("replace");
  },
};

/** The view of the hash, and what of it the subject does not have. */
function typed(subject) {
  const found = settledOnSubject(parse(location.hash), subject);
  const none = !subject.checkpoints.length; // which is said already
  const known = found.step === null || none || subject.checkpoints.some((checkpoint) => checkpoint.step === found.step);
  if (!known)
    found.problems.push(`The run ${subject.run} has no checkpoint of step ${grouped(Number(found.step))}; the last one is shown.`);
  return found;
}

/** The view that was left, as far as it means something for the subject; what does not is said in one notice. */
function arrival(subject) {
  const found = carried(view.get(), time.index, left, subject, schema());
  if (found.said.length) said = [subject.run === left.run ? subject.corpus : subject.run, found.said.join(" ")].join(": ");
  return { view: found.view, step: found.step, problems: said ? [said] : [] };
}

function forgetSaid() {
  if (said) takeBackNotice(said);
  said = null;
}

/** A link that names no run, such as one of another package's page, stays with the one that is shown. */
function stay() {
  if (!openedSearch || new URLSearchParams(location.search).has("run")) return;
  history.replaceState(history.state, "", location.pathname + openedSearch + location.search.replace(/^\?/, "&") + location.hash);
}

time.onSettled(() => isOpen && writeHash("replace"));
window.addEventListener("popstate", () => {
  left = null;
  readBack();
});
window.addEventListener("hashchange", readBack);
// Dash's links change the path without a popstate; they leave no hash behind. This is heard before Dash's router hears it.
window.addEventListener("_dashprivate_pushstate", () => {
  stay();
  setTimeout(readBack, 0);
});
