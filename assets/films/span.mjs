/**
 * The range that a film's values have over time, and the steps whose values exploded. `filmSpan`.
 *
 * One exploded step would set the scale of all the others, and every one of them would look empty. Such steps are
 * left out of the range over time; they are shown in their own range, and everybody who uses this says so.
 */
import { rounded } from "mloscope/base/numbers.mjs";
import { pageData } from "mloscope/base/page_data.mjs";

/** The largest absolute value of a range [lo, hi]; NaN where nothing is finite. */
const reachOf = (range) => (range && range[0] <= range[1] ? Math.max(Math.abs(range[0]), Math.abs(range[1])) : NaN);

export const filmSpan = {
  reachOf,

  /**
   * @param {Iterable<[any, number[]]>} ranges what a step goes by, and [lo, hi] of its finite values (NaN, or lo > hi, where none is)
   * @returns {{span: number[] | null, exploded: Map}} `span`: [lo, hi] over the steps that did not explode, null where no
   *   value is finite; `exploded`: by step, how many times the median step's its largest absolute value is
   */
  of(ranges) {
    const known = [...ranges].map(([step, range]) => [step, range, reachOf(range)]).filter(([, , reach]) => reach >= 0);
    const reaches = known.map(([, , reach]) => reach).filter((reach) => reach > 0).sort((a, b) => a - b); // prettier-ignore
    const { explodedTimes, explodedLeastSteps } = pageData("limits"); // components/exploded_steps.py
    const median = reaches.length < explodedLeastSteps ? Infinity : reaches[(reaches.length - 1) >> 1];
    const exploded = new Map();
    /** @type {number[] | null} */
    let span = null;
    for (const [step, [lo, hi], reach] of known) {
      if (reach > explodedTimes * median) exploded.set(step, reach / median);
      else span = span ? [Math.min(span[0], lo), Math.max(span[1], hi)] : [lo, hi];
    }
    return { span, exploded };
  },

  /**
   * What is shown that exploded, and the steps left out of the range over time for it.
   * @param {Array[]} films [exploded steps of a film, its step that is shown]
   * @returns {{times: number, leftOut: number[]}} times: 0 where nothing shown exploded
   */
  explosions: (films) => ({
    times: Math.max(0, ...films.map(([exploded, step]) => exploded.get(step) || 0)),
    leftOut: [...new Set(films.flatMap(([exploded]) => [...exploded.keys()]))].sort((a, b) => a - b),
  }),

  /** Which share of a scale values fill, about zero where it is symmetric; 1 where nothing can be said: no values, or all are one. */
  shareOf(span, ends) {
    const length = ends[1] - ends[0];
    return span && span[0] < span[1] && length > 0 ? (span[1] - span[0]) / length : 1;
  },

  /** "4.9e10 times the median step's" */
  inWords: (times) => `${rounded(times)} times the median step's`,
};
