/** Since when an image has been predicted right or wrong. Pure functions of what it was predicted as at each step. */
import { grouped } from "mloscope/base/numbers.mjs";

/**
 * What GET runs/{run}/images/{image}/trajectory answers; `predicted` null: no class.
 * @typedef {{steps: number[], label: number | null, predicted: (number | null)[], true_probability: (number | null)[],
 *   classes: number[][] | null, probabilities: (number | null)[][]}} Trajectory
 */

/**
 * @typedef {object} Verdict of one checkpoint
 * @property {"right" | "wrong" | "unjudged"} is "unjudged" where no output stands for the image's class
 * @property {number | null} predicted
 */

/**
 * What the trajectory says of each checkpoint.
 * @param {Trajectory} trajectory
 * @param {{step: number}[]} checkpoints
 * @returns {(Verdict | null)[]} null where the checkpoint has not been evaluated
 */
export function verdicts({ steps, label, predicted }, checkpoints) {
  const places = new Map(steps.map((step, place) => [step, place]));
  return checkpoints.map(({ step }) => {
    const place = places.get(step);
    if (place === undefined) return null;
    return { is: label === null ? "unjudged" : predicted[place] === label ? "right" : "wrong", predicted: predicted[place] };
  });
}

/**
 * The unbroken stretch of checkpoints around one that are like it.
 * @param {(Verdict | null)[]} all
 * @param {number} index of a checkpoint that has been evaluated
 * @param {(verdict: Verdict) => any} of what they have in common
 * @returns {{first: number, last: number}}
 */
export function stretch(all, index, of) {
  const wanted = of(/** @type {Verdict} */ (all[index]));
  const isLike = (verdict) => Boolean(verdict) && of(verdict) === wanted;
  let first = index;
  let last = index;
  while (isLike(all[first - 1])) first -= 1;
  while (isLike(all[last + 1])) last += 1;
  return { first, last };
}

/**
 * Since when and until when, in a sentence or two: "Wrong since step 434, as “cat” since step 500."
 * @param {(Verdict | null)[]} all
 * @param {{step: number}[]} checkpoints
 * @param {number} index
 * @param {(output: number | null) => string} nameOf
 * @returns {string} empty where the checkpoint has not been evaluated
 */
export function sinceWhen(all, checkpoints, index, nameOf) {
  const now = all[index];
  if (!now) return "";
  const step = (at) => grouped(checkpoints[at].step);
  const same = stretch(all, index, ({ predicted }) => predicted);
  const judged = stretch(all, index, ({ is }) => is);
  const taken = `as ${now.predicted === null ? "nothing" : `“${nameOf(now.predicted)}”`}`;
  if (now.is === "unjudged") return `Predicted ${taken} ${during(same, all, step)}.${unknown(same, all, step)}`;
  const isOther = same.first !== judged.first || same.last !== judged.last;
  const more = now.is === "wrong" ? `, ${taken}${isOther ? ` ${during(same, all, step)}` : ""}` : "";
  return `${now.is === "right" ? "Right" : "Wrong"} ${during(judged, all, step)}${more}.${unknown(judged, all, step)}`;
}

/** The words of a stretch. */
function during({ first, last }, all, step) {
  if (all[last + 1] === undefined && first > 0) return `since step ${step(first)}`;
  if (all[last + 1] === undefined) return "at every step";
  if (first === last) return `at step ${step(first)} only`;
  return first === 0 ? `from the first step to step ${step(last)}` : `from step ${step(first)} to step ${step(last)}`;
}

/** What is not known of the ends of a stretch. */
function unknown({ first, last }, all, step) {
  const gaps = [first - 1, last + 1].filter((at) => all[at] === null);
  if (!gaps.length) return "";
  return ` Step${gaps.length > 1 ? "s" : ""} ${gaps.map(step).join(" and ")} ${gaps.length > 1 ? "have" : "has"} not been evaluated.`;
}

/**
 * The likeliest classes at a step, and the true one.
 * @param {Trajectory} trajectory
 * @param {number} step
 * @param {number} count
 * @returns {{output: number, probability: number}[] | null} the likeliest first; null where the step has not been evaluated
 */
export function likeliest({ steps, label, classes, probabilities, true_probability: ofTrue }, step, count) {
  const place = steps.indexOf(step);
  if (place < 0) return null;
  const all = probabilities[place].map((probability, at) => ({
    output: classes ? classes[place][at] : at,
    probability: probability ?? NaN,
  }));
  const size = ({ probability }) => (Number.isNaN(probability) ? -1 : probability);
  const found = all.sort((a, b) => size(b) - size(a) || a.output - b.output).slice(0, count);
  if (label !== null && !found.some(({ output }) => output === label)) found.push({ output: label, probability: ofTrue[place] ?? NaN });
  return found;
}
