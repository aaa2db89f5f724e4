/**
 * What the parts of the confusion page share: `confusion`. Statistics, order of the classes, the selected cell, the step to
 * compare with; each part draws itself from this and the time bus.
 *
 *     statistics + view (order, actual, predicted, since) ──► model ──► matrix, cell, pairs, changes
 */
import { fetchJson } from "mloscope/base/http.mjs";
import { counted, grouped, percentOf } from "mloscope/base/numbers.mjs";
import { isTemporary } from "mloscope/base/retry.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { view } from "mloscope/base/view.mjs";
import { confusionCounts } from "mloscope/confusion/counts.mjs";
import { statistics } from "mloscope/statistics/statistics.mjs";

const listeners = new Set();
const orders = new Map(); // address -> {order, groups} | {problem} | null while it is coming
const KEYS = ["order", "actual", "predicted", "since", "shade", "diagonal", "split", "area", "pairs"];
/** @type {any} */
let leave = null;
/** @type {any} */
let told = null;
let tellings = 0;
/** @type {any} */
let arranged = null; // what the order was made from

export const confusion = {
  /** Statistics object (assets/statistics/statistics.mjs); null before a subject is open. */
  statistics: /** @type {any} */ (null),
  names: /** @type {string[]} */ ([]),
  classes: 0,
  /** Columns of the matrix: the classes and, where some image has no prediction at some step, one more. */
  columns: 0,
  /** Int32Array: class at each position of the rows; of the columns, where the last may be "not predicted". */
  order: new Int32Array(0),
  columnOrder: new Int32Array(0),
  /** Int32Array: position of each class; of the columns. -1 where a column is not shown. */
  place: new Int32Array(0),
  columnPlace: new Int32Array(0),
  /** [{name, first, count}] where the classes are ordered by group, else null. */
  groups: /** @type {{name: string, first: number, count: number}[] | null} */ (null),
  /** A sentence where the wanted order is not available. */
  orderProblem: /** @type {string | null} */ (null),
  /** The ConfusionMatrix on the page, null where there is none. */
  matrix: /** @type {any} */ (null),
  /** Counts up whenever order or columns change. */
  arrangement: 0,

  /**
   * @param {(a: any, b: string[]) => void} listener called at once, and with (model, view keys that changed) when anything did
   * @returns {() => void} stops following
   */
  follow(listener) {
    listeners.add(listener);
    if (!leave) begin();
    else if (confusion.statistics) listener(confusion, []);
    return () => {
      listeners.delete(listener);
      if (!listeners.size && leave) {
        leave();
        leave = null;
        told = null; // the store goes with the page
      }
    };
  },

  name: (number) => (number >= confusion.classes ? "not predicted" : (confusion.names[number] ?? `class ${number}`)),

  /**
   * @param {{images: number}} step
   * @returns {string | null} said where the classes of images are unknown to the network: they are neither right nor wrong, and count nowhere
   */
  uncounted({ images }) {
    const { overview } = confusion.statistics;
    const left = overview ? overview.images - images : 0;
    if (left <= 0) return null;
    if (!images) return "No output of the network stands for a class of these images, so predictions cannot be judged right or wrong.";
    return `${grouped(left)} not counted: no output stands for ${left === 1 ? "its class" : "their classes"}`;
  },

  /** @returns {null | {actual: number, predicted: number}} the selected cell, null where none is */
  cell() {
    const { actual, predicted } = view.get();
    const is = actual !== null && predicted !== null && actual < confusion.classes && predicted < confusion.columns;
    return is ? { actual, predicted } : null;
  },

  /** @param {number} actual @param {number} predicted @param {"push" | "replace"} [history] */
  select(actual, predicted, history = "push") {
    view.set({ actual, predicted, "cell-offset": 0 }, { history });
  },

  /** The step that changes are counted from: the view's, or the ready checkpoint before `index`. @returns {number | null} its index */
  sinceIndex(index = time.index) {
    const { since } = view.get();
    if (since !== null && time.indexOf(since) >= 0) return time.indexOf(since);
    const { statistics } = confusion;
    for (let before = index - 1; before >= 0; before -= 1) {
      const entry = statistics && statistics.entry(before);
      if (entry && entry.state === "ready") return before;
    }
    return null;
  },

  /** Counts of all steps that are here, in order. */
  steps() {
    const { statistics } = confusion;
    return statistics ? time.checkpoints.map((_, index) => statistics.peek(index)).filter(Boolean) : [];
  },

  /** State what a cell's count means. */
  sentence(step, actual, predicted, atStep) {
    const count = confusionCounts.count(step, actual, predicted);
    const of = confusionCounts.sums(step).rows[actual];
    const share = of ? ` (${percentOf(count, of)})` : "";
    const whole = `${grouped(count)} of ${counted(of, "image")} of class “${confusion.name(actual)}”${share}`;
    const verb = of === 1 || count === 1 ? "is" : "are";
    const unpredicted = predicted >= confusion.classes;
    const rest =
      actual === predicted ? "predicted correctly" : unpredicted ? "not predicted" : `predicted as “${confusion.name(predicted)}”`;
    return `At step ${grouped(atStep)}, ${whole} ${verb} ${rest}.`;
  },

  /** Images of a cell, requested once as long as its content is the same. @returns {Promise<{total: number, images: any[]}>} */
  cellImages(index, actual, predicted, query, signal) {
    const { statistics } = confusion;
    const { step } = time.checkpoints[index];
    const url = statistics.address(["checkpoints", step, "confusion", actual, predicted], query);
    return confusion.asked(url, (statistics.entry(index) || {}).key, signal);
  },

  /** JSON of an address that means the same as long as `key` is the same. */
  async asked(url, key, signal) {
    const known = `${key} ${url}`;
    if (answers.has(known)) return answers.get(known);
    const answer = await fetchJson(url, signal);
    answers.set(known, answer);
    if (answers.size > MOST_ANSWERS) answers.delete(answers.keys().next().value);
    return answer;
  },
};

const MOST_ANSWERS = 200;
const ASK_AGAIN_MS = 3000;
const answers = new Map();

function begin() {
  const undo = [
    statistics.follow((statistics) => {
      confusion.statistics = statistics;
      arrange();
      tell([]);
    }),
    view.subscribe((view, changed) => {
      const ours = changed.filter((key) => KEYS.includes(key));
      if (!ours.length || !confusion.statistics) return;
      if (ours.includes("order")) arrange();
      tell(ours);
    }),
  ];
  leave = () => undo.forEach((undoOne) => undoOne());
}

function tell(changed) {
  tellReady();
  for (const listener of [...listeners]) listener(confusion, changed);
}

/** Charts that the server draws hear of what is ready through the Store "statistics-ready". */
function tellReady() {
  const { statistics } = confusion;
  if (!document.getElementById("confusion-page") || !statistics.overview) return;
  const ready = `${statistics.address([])} ${[...statistics.keys.values()].join(" ")}`;
  if (ready === told) return;
  told = ready;
  window.dash_clientside.set_props("statistics-ready", { data: { told: (tellings += 1) } });
}

function arrange() {
  const { statistics } = confusion;
  const { overview } = statistics;
  if (!overview) return;
  const names = overview.class_names;
  const unpredicted = overview.steps.some(({ not_predicted: count }) => count > 0);
  const { order, groups, problem, key } = wantedOrder(names);
  confusion.orderProblem = problem || null;
  const wanted = JSON.stringify([statistics.run, statistics.corpus, statistics.split, names.length, names, unpredicted, key]);
  if (wanted === arranged || !order) return;
  arranged = wanted;
  confusion.names = names;
  confusion.classes = names.length;
  confusion.columns = names.length + (unpredicted ? 1 : 0);
  confusion.order = Int32Array.from(order);
  confusion.columnOrder = Int32Array.from(unpredicted ? [...order, names.length] : order);
  confusion.place = inverse(confusion.order, names.length);
  confusion.columnPlace = inverse(confusion.columnOrder, names.length + 1);
  confusion.groups = groups || null;
  confusion.arrangement += 1;
}

/** The order that the view asks for; the one given until the server's has come, and where it is not available. */
function wantedOrder(names) {
  const rule = view.get().order;
  const given = names.map((_, number) => number);
  if (rule === "given") return { order: given, key: "given" };
  if (rule === "name") {
    const compare = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" }).compare;
    return { order: given.sort((a, b) => compare(names[a], names[b]) || a - b), key: "name" };
  }
  // One order for all of time, so that nothing moves but the counts: the last step's.
  const step = confusion.statistics.readySteps.at(-1);
  if (step === undefined) return { order: given, key: "given" };
  const address = confusion.statistics.address(["statistics", "class_order"], { rule, step });
  const key = `${address} ${confusion.statistics.keys.get(step)}`;
  if (!orders.has(key)) askForOrder(key, address);
  const known = orders.get(key);
  if (known === null) return { order: arranged ? null : given, key: arranged ? "coming" : "given" };
  if (known.problem) return { order: given, key: "given", problem: known.problem };
  return { order: known.order, groups: known.groups, key };
}

async function askForOrder(key, address) {
  orders.set(key, null);
  try {
    orders.set(key, await fetchJson(address));
  } catch (error) {
    orders.set(key, { problem: error.message });
    if (isTemporary(error)) setTimeout(() => orders.delete(key), ASK_AGAIN_MS);
  }
  if (!confusion.statistics) return;
  arrange();
  tell(["order"]);
}

function inverse(order, length) {
  const place = new Int32Array(length).fill(-1);
  order.forEach((number, position) => {
    place[number] = position;
  });
  return place;
}
