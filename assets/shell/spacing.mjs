/**
 * Where checkpoints lie along the timeline: `spacing`. Evenly, each as far from the next as all others, or truly, as far as their steps
 * are apart. The choice is the browser's own and kept for the next visit.
 */
import { kept } from "mloscope/base/kept.mjs";
import { time } from "mloscope/base/time_bus.mjs";

const NAME = "mloscope-spacing";
/** @type {Record<string, string>} */
export const SPACINGS = { even: "even steps", true: "true steps" };

/** @type {Set<() => void>} */
const listeners = new Set();
let kind = kept.get(NAME) === "true" ? "true" : "even";

const stepAt = (index) => time.checkpoints[index].step;

/** The position, with fractions, at which a step lies between the checkpoints. */
function positionOf(step) {
  let [low, high] = [0, time.count - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (stepAt(middle) <= step) low = middle;
    else high = middle;
  }
  const gap = stepAt(high) - stepAt(low);
  return low + (gap ? Math.min(1, Math.max(0, (step - stepAt(low)) / gap)) : 0);
}

/** The slider's value: a position where steps are even, a step where they are true. */
const valueOf = (index) => (kind === "even" || index < 0 ? Math.max(0, index) : stepAt(index));

/** The slider's lowest and highest value. */
const ends = () => [valueOf(0), valueOf(time.count - 1)];

/** A value of the slider as a share of its length, 0..1. */
function share(value) {
  const [first, last] = ends();
  return last > first ? (value - first) / (last - first) : 0;
}

export const spacing = {
  valueOf,
  ends: () => (time.count ? ends() : [0, 0]),

  /** @returns {string} a key of SPACINGS */
  get kind() {
    return kind;
  },

  /** @param {string} wanted a key of SPACINGS */
  choose(wanted) {
    if (wanted === kind || !SPACINGS[wanted]) return;
    kind = wanted;
    kept.set(NAME, kind);
    for (const listener of [...listeners]) listener();
  },

  /** @param {() => void} listener @returns {() => void} stops listening */
  onChange(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },

  /** @param {number} index @returns {number} where a checkpoint lies, 0..1 */
  shareOf: (index) => share(valueOf(index)),

  /** @param {number} step @returns {number} where a step lies, 0..1, also between checkpoints */
  shareOfStep: (step) => share(kind === "even" ? positionOf(step) : step),

  /** @param {number} value of the slider @returns {number} the position of the checkpoint nearest to it */
  indexAt(value) {
    if (kind === "even") return Math.round(value);
    const below = Math.floor(positionOf(value));
    const above = Math.min(below + 1, time.count - 1);
    return stepAt(above) - value < value - stepAt(below) ? above : below;
  },
};
