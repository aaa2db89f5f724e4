/**
 * Side B of a comparison: which run, moment, layer, array and units it shows. `compare`.
 *
 *     subject + view (b-run, corpus, compare-pairs) ──one request──► overview: B as a subject, pairs, alignments
 *     time bus (A's index) ──rule and alignment, here──► B's index         every animation frame, without a request
 *                                   └── 120 ms of rest ──► Store "compare-settled"
 *
 * Side A is what every other page shows: subject, the view, the time bus.
 */
import { api } from "mloscope/base/addresses.mjs";
import { oncePerFrame } from "mloscope/base/dom.mjs";
import { fetchJson } from "mloscope/base/http.mjs";
import { notice } from "mloscope/base/notices.mjs";
import { stepName } from "mloscope/base/numbers.mjs";
import { Retry, isTemporary } from "mloscope/base/retry.mjs";
import { onOpen, subject } from "mloscope/base/subject.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { view } from "mloscope/base/view.mjs";

const SETTLE_MS = 120;
const retry = new Retry();
const listeners = new Set();
const onlookers = new Set(); // who hears of B without making anything be asked
let users = 0;
let undo = [];
/** @type {any} */
let overview = null;
/** @type {any} */
let overviewKey = null;
/** @type {any} */
let problem = null;
/** @type {any} */
let abort = null;
/** @type {any} */
let held = null; // B's index while its own slider is being dragged
/** @type {any} */
let settleTimer = null;
let said = "";
/** @type {any} */
let table = null; // B's position for each of A's, until something but time changes
let version = 0; // counts such changes

function wantedOverview() {
  if (!subject || !subject.run) return null;
  const now = view.get();
  const query = { corpus: subject.corpus, split: now.split, pairs: now["compare-pairs"] };
  return api(["runs", subject.run, "comparison", now["b-run"] || subject.run], query);
}

/** Ask for what is known of both runs, where that is another question than the last one. */
async function read() {
  const key = wantedOverview();
  if (key === overviewKey) return;
  forget();
  overviewKey = key;
  if (key === null) return;
  const reading = (abort = new AbortController());
  try {
    const answer = await fetchJson(key, reading.signal);
    if (key !== overviewKey) return;
    overview = { ...answer, indexOf: new Map(answer.subject.checkpoints.map(({ step }, index) => [step, index])) };
    retry.succeeded();
    for (const sentence of answer.problems) notice(sentence);
  } catch (error) {
    if (error.name === "AbortError" || key !== overviewKey) return;
    problem = error.message;
    if (isTemporary(error)) retry.later(again);
  }
  changed();
}

function again() {
  overviewKey = null;
  read();
}

function forget() {
  retry.cancel();
  if (abort) abort.abort();
  abort = overview = problem = overviewKey = held = null;
}

const tellAll = oncePerFrame(() => {
  for (const listener of [...listeners, ...onlookers]) listener();
});

/** Tell all listeners, at most once per frame; and, when all rests, the Store. */
function changed() {
  table = null;
  version += 1;
  settleSoon();
  tellAll();
}

function settleSoon() {
  clearTimeout(settleTimer);
  settleTimer = setTimeout(settle, SETTLE_MS);
}

function settle() {
  if (!users || time.playing || held !== null || (!overview && !problem)) return;
  const settled = {
    run: compare.run, step: compare.step(), label: compare.label(), layer: compare.layer().name, parameter: compare.parameter(),
    units: view.get()["b-units"] || view.get().units, align: compare.align, reason: compare.reason(), problem,
  }; // prettier-ignore
  const text = JSON.stringify([settled, time.step]);
  if (text === said) return;
  said = text;
  if (window.dash_clientside && window.dash_clientside.set_props) window.dash_clientside.set_props("compare-settled", { data: settled });
}

const checkpoints = () => (overview ? overview.subject.checkpoints : []);

/** B's position where it stands by itself; the wanted step, or the nearest. */
function standing() {
  if (held !== null) return held;
  const list = checkpoints();
  const step = view.get()["b-step"];
  if (!list.length) return null;
  if (step === null) {
    const whole = list.findIndex((checkpoint) => !checkpoint.problem);
    return compare.isSameRun ? Math.max(0, whole) : list.length - 1;
  }
  if (overview.indexOf.has(step)) return overview.indexOf.get(step);
  return list.reduce((best, checkpoint, index) => (Math.abs(checkpoint.step - step) < Math.abs(list[best].step - step) ? index : best), 0);
}

/** B's position for every position of A. */
function positions() {
  const { follow, isSameRun } = compare;
  const all = [...Array(time.count).keys()];
  if (follow === "fixed" || follow === "free") return all.fill(standing());
  const { indices } = overview.alignments[compare.align];
  const aligned = all.map((index) => (isSameRun ? index : (indices[index] ?? null)));
  if (follow === "same") return aligned;
  const lag = view.get()["compare-lag"];
  return aligned.map((index) => (index === null || index < lag ? null : index - lag));
}

export const compare = {
  /** Everything known of the two runs (GET runs/{run}/comparison/{other}); null until it came. */
  get overview() {
    return overview;
  },
  /** A sentence where B is not available, else null. */
  get problem() {
    return problem;
  },
  get run() {
    return view.get()["b-run"] || (subject ? subject.run : null);
  },
  get isSameRun() {
    return Boolean(subject) && compare.run === subject.run;
  },
  /** B as a subject: run, checkpoints, layers, classNames, basis, evaluation; null until it came. */
  get subject() {
    return overview ? overview.subject : null;
  },
  /** What the same point of another run is: "step", "epoch", "share" or "accuracy". */
  get align() {
    const by = view.get()["compare-align"];
    return by !== "auto" ? by : (overview && overview.alignment) || "step";
  },
  /**
   * @param {"a" | "b"} side
   * @returns {number | null} the side's accuracy at its moment now, 0..1; null where it is not known
   */
  accuracy(side) {
    const index = side === "a" ? time.index : compare.index;
    const known = (overview && overview.accuracies && overview.accuracies[side]) || [];
    return index === null || index < 0 ? null : (known[index] ?? null);
  },
  /** Sides none of whose accuracies is known. @returns {("a" | "b")[]} */
  withoutAccuracy() {
    const { accuracies } = overview || {};
    const sides = /** @type {("a" | "b")[]} */ (["a", "b"]);
    return accuracies ? sides.filter((side) => accuracies[side].every((known) => known === null)) : [];
  },
  /** Ask for what is known of both runs again. */
  reread: () => again(),

  /** How B's moment follows: "fixed", "lag", "same" or "free". */
  get follow() {
    const rule = view.get()["compare-follow"];
    return rule !== "auto" ? rule : compare.isSameRun ? "fixed" : "same";
  },

  /**
   * B's position for a position of A.
   * @param {number} index among A's checkpoints
   * @returns {number | null} among B's; null where there is none, and `reason` says why
   */
  indexAt(index) {
    if (!overview || index < 0) return null;
    table = table || positions();
    return table[index] ?? null;
  },
  /** Another number whenever the answers of `indexAt` may have changed. */
  get version() {
    return version;
  },
  /** B's position now. */
  get index() {
    return compare.indexAt(time.index);
  },
  indexOf: (step) => (overview && overview.indexOf.has(step) ? overview.indexOf.get(step) : -1),
  /** B's step at a position of A, null where there is none. */
  stepAt(index) {
    const own = compare.indexAt(index);
    return own === null ? null : checkpoints()[own].step;
  },
  /** B's step now, null where there is none. */
  step: () => compare.stepAt(time.index),
  /** B's step now as people write it. */
  label() {
    const own = compare.index;
    return own === null ? "" : stepName(checkpoints()[own]);
  },
  /** Why there is no step of B now; null where there is one. */
  reason() {
    if (problem) return problem;
    if (!overview || compare.index !== null) return null;
    if (compare.follow === "lag") {
      const lag = view.get()["compare-lag"];
      return `There is no checkpoint ${lag} before this one.`;
    }
    const by = compare.align;
    return (
      overview.alignments[by].problem ||
      `This checkpoint's ${by === "share" ? "share of training" : by} is not known, so it has no counterpart.`
    );
  },

  /** The partner of A's layer: {name, how: "hand"|"name"|..., agrees}; name null where it has none. */
  layer() {
    const own = view.get()["b-layer"];
    if (own) return { name: own, how: "chosen", agrees: false };
    const pair = overview && overview.pairs.find(({ a }) => a === view.get().layer);
    return pair ? { name: pair.b, how: pair.how, agrees: pair.agrees } : { name: null, how: "none", agrees: false };
  },
  /** B's array: chosen, or of A's name, or of A's axes, or the first; "" where there is none. */
  parameter() {
    const find = (subject, name) => (subject ? subject.layers.find((layer) => layer.name === name) : null);
    const theirs = find(compare.subject, compare.layer().name);
    const ours = find(subject, view.get().layer);
    if (!theirs || !theirs.parameters.length) return "";
    const named = (name) => theirs.parameters.find((parameter) => parameter.name === name);
    const wanted = ours && (ours.parameters.find(({ name }) => name === view.get().parameter) || ours.parameters[0]);
    const alike = wanted && theirs.parameters.find(({ axes }) => axes.join() === wanted.axes.join());
    return (named(view.get()["b-parameter"]) || (wanted && named(wanted.name)) || alike || theirs.parameters[0]).name;
  },
  /** The view as side B has it. */
  viewOfB() {
    const now = view.get();
    const layer = compare.layer().name || "";
    const theirs = compare.subject && compare.subject.layers.find(({ name }) => name === layer);
    const array = compare.parameter();
    // Said as A says it, the same array of the same run is the same film, held once.
    const isFirst = theirs && theirs.parameters.length && theirs.parameters[0].name === array;
    return { ...now, layer, parameter: isFirst && now.parameter !== array ? "" : array, units: now["b-units"] || now.units };
  },

  /** Address of what is compared now, as a file or table; null where one side is missing. */
  exportUrl(what, /** @type {string | null} */ format = null) {
    const now = view.get();
    const layer = compare.layer().name;
    if (!subject || !overview || !layer || compare.step() === null || time.step === null) return null;
    const features = now["compare-show"] === "features";
    return api(["runs", subject.run, "comparison", compare.run, what], {
      a_step: time.step, b_step: compare.step(), a_layer: now.layer, b_layer: layer, a_parameter: features ? null : now.parameter,
      b_parameter: features ? null : compare.parameter(), a_units: now.units, b_units: now["b-units"] || now.units,
      image: features ? now.image : null, corpus: subject.corpus, format,
    }); // prettier-ignore
  },

  /** Address of both confusion matrices as a table; null where one side is missing. */
  confusionUrl() {
    if (!subject || compare.step() === null) return null;
    const query = { a_step: time.step, b_step: compare.step(), corpus: subject.corpus, split: view.get().split };
    return api(["runs", subject.run, "comparison", compare.run, "confusion"], query);
  },

  /** B's own slider is under a hand: draw, ask for nothing. */
  hold(index) {
    held = Math.min(Math.max(index, 0), checkpoints().length - 1);
    changed();
  },
  /** The hand has let go: the step goes to the view. */
  release() {
    if (held === null) return;
    const { step } = checkpoints()[held];
    held = null;
    view.set({ "b-step": step }, { history: "replace" });
    changed();
  },

  /** Pairs made by hand, from the view, by A's layer; "" for no partner. */
  pairsByHand() {
    const plain = (text) => text.replace(/%2C/g, ",").replace(/%3A/g, ":").replace(/%25/g, "%");
    return new Map(
      view
        .get()
        ["compare-pairs"].split(",")
        .filter(Boolean)
        .map((entry) => entry.split(":").map(plain)),
    );
  },
  /** Pair a layer of A with one of B (null: with none; undefined: as it is found). */
  pair(a, b) {
    const coded = (text) => text.replace(/%/g, "%25").replace(/:/g, "%3A").replace(/,/g, "%2C");
    const pairs = compare.pairsByHand();
    if (b === undefined) pairs.delete(a);
    else pairs.set(a, b || "");
    view.set({ "compare-pairs": [...pairs].map((names) => names.map(coded).join(":")).join(",") });
  },

  /**
   * @param {() => void} listener called when B as a subject came, changed or went, by what others have asked
   * @returns {() => void} stops listening
   */
  onSubject(listener) {
    onlookers.add(listener);
    return () => onlookers.delete(listener);
  },

  /**
   * @param {() => void} listener called, at most once per frame, when B or what is known of it changed; not when the
   *   time bus moves
   * @returns {() => void} stops listening
   */
  subscribe(listener) {
    listeners.add(listener);
    users += 1;
    if (users === 1) begin();
    return () => {
      listeners.delete(listener);
      users -= 1;
      if (!users) end();
    };
  },
};

function begin() {
  said = "";
  undo = [
    onOpen((_, isNew) => {
      if (isNew) forget();
      read();
      changed();
    }),
    view.subscribe(() => {
      read();
      changed();
    }),
    time.onSettled(settleSoon), // never while the slider is being dragged
  ];
}

function end() {
  for (const stop of undo) stop();
  clearTimeout(settleTimer);
  forget();
  for (const onlooker of [...onlookers]) onlooker();
}
