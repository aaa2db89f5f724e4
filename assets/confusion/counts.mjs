/**
 * What follows from the confusion counts of one step: sums, recall, shares, pairs, growth. Pure functions, `confusionCounts`.
 *
 * A step's counts are {cells, counts, images, classes} as assets/confusion/bytes.mjs reads them: `cells` ascending,
 * actual * (classes + 1) + predicted, predicted == classes standing for "not predicted".
 */

const sumsOf = new WeakMap(); // a step's counts never change
const mostOf = new WeakMap();

export const confusionCounts = {
  /**
   * @param {any} step
   * @param {number} actual
   * @param {number} predicted
   * @returns {number} images of class `actual` that are taken for class `predicted`
   */
  count(step, actual, predicted) {
    const wanted = actual * (step.classes + 1) + predicted;
    let low = 0;
    let high = step.cells.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (step.cells[middle] < wanted) low = middle + 1;
      else high = middle;
    }
    return step.cells[low] === wanted ? step.counts[low] : 0;
  },

  /**
   * @param {any} step
   * @returns {{rows: Float64Array, columns: Float64Array, diagonal: Float64Array, total: number, correct: number}} `rows`: images of
   *   each class; `columns`: images taken for each class, the last one for none; `diagonal`: images recognised
   */
  sums(step) {
    if (sumsOf.has(step)) return sumsOf.get(step);
    const { classes } = step;
    const sums = {
      rows: new Float64Array(classes),
      columns: new Float64Array(classes + 1),
      diagonal: new Float64Array(classes),
      total: 0,
      correct: 0,
    };
    for (let at = 0; at < step.cells.length; at += 1) {
      const actual = Math.floor(step.cells[at] / (classes + 1));
      const predicted = step.cells[at] - actual * (classes + 1);
      const count = step.counts[at];
      sums.rows[actual] += count;
      sums.columns[predicted] += count;
      sums.total += count;
      if (actual === predicted) {
        sums.diagonal[actual] += count;
        sums.correct += count;
      }
    }
    sumsOf.set(step, sums);
    return sums;
  },

  /**
   * What a cell's shading follows.
   * @param {"count"|"row"|"column"} shade images; share of the row's images; share of the column's
   * @returns {(a: number, b: number, c: number) => number} from (count, actual, predicted); NaN where the row or column is empty
   */
  measure(step, shade) {
    const { rows, columns } = confusionCounts.sums(step);
    if (shade === "row") return (count, actual) => count / rows[actual];
    if (shade === "column") return (count, actual, predicted) => count / columns[predicted];
    return (count) => count;
  },

  /** The largest value off the diagonal of what the shading follows; 0 where nothing is confused. */
  mostConfused(step, shade) {
    if (!mostOf.has(step)) mostOf.set(step, {});
    const known = mostOf.get(step);
    if (shade in known) return known[shade];
    const measure = confusionCounts.measure(step, shade);
    let most = 0;
    for (let at = 0; at < step.cells.length; at += 1) {
      const actual = Math.floor(step.cells[at] / (step.classes + 1));
      const predicted = step.cells[at] - actual * (step.classes + 1);
      if (actual !== predicted) most = Math.max(most, measure(step.counts[at], actual, predicted));
    }
    known[shade] = most;
    return most;
  },

  /**
   * The upper end of the shading, the same at every step. With the diagonal: a whole class, or all of a row or column. Without: half
   * of the steps stay below it, so that the time when everything is taken for one class does not make all that follows pale.
   * @param {any[]} steps all that are here
   * @returns {number} above 0
   */
  ceiling(steps, shade, diagonal) {
    if (diagonal === "all" && shade !== "count") return 1;
    const ends =
      diagonal === "all"
        ? steps.map((step) => confusionCounts.sums(step).rows.reduce((most, sum) => Math.max(most, sum), 0))
        : steps.map((step) => confusionCounts.mostConfused(step, shade)).sort((a, b) => a - b);
    const end = diagonal === "all" ? Math.max(0, ...ends) : ends[Math.floor(ends.length / 2)];
    return end > 0 ? end : 1;
  },

  /**
   * The cells off the diagonal with the largest counts, largest first; of equals the first in reading order.
   * @param {any} step
   * @param {number} limit
   * @returns {{actual: number, predicted: number, count: number}[]}
   */
  mostConfusedPairs(step, limit) {
    const best = new Best(limit);
    const { cells, classes } = step;
    for (let at = 0; at < cells.length; at += 1) {
      if (step.counts[at] <= best.least) continue;
      const actual = Math.floor(cells[at] / (classes + 1));
      if (cells[at] !== actual * (classes + 2)) best.take(step.counts[at], cells[at]);
    }
    return best.list.map(([count, cell]) => ({ ...place(cell, classes), count }));
  },

  /**
   * The cells off the diagonal that have grown most between two steps.
   * @param {any} from
   * @param {any} to
   * @param {number} limit
   * @returns {{actual: number, predicted: number, before: number, count: number}[]} `count` at `to`, more than `before` at `from`
   */
  fastestGrowing(from, to, limit) {
    const best = new Best(limit);
    const { cells, classes } = to;
    for (let at = 0, old = 0; at < cells.length; at += 1) {
      while (old < from.cells.length && from.cells[old] < cells[at]) old += 1;
      const growth = to.counts[at] - (from.cells[old] === cells[at] ? from.counts[old] : 0);
      if (growth <= best.least) continue;
      const actual = Math.floor(cells[at] / (classes + 1));
      if (cells[at] !== actual * (classes + 2)) best.take(growth, cells[at]);
    }
    return best.list.map(([, cell]) => {
      const { actual, predicted } = place(cell, classes);
      return {
        actual,
        predicted,
        before: confusionCounts.count(from, actual, predicted),
        count: confusionCounts.count(to, actual, predicted),
      };
    });
  },
};

const place = (cell, classes) => {
  const actual = Math.floor(cell / (classes + 1));
  return { actual, predicted: cell - actual * (classes + 1) };
};

/** The `limit` largest positive values, kept in order. */
class Best {
  constructor(limit) {
    this.limit = limit;
    this.list = []; // [value, cell], largest first
    this.least = 0; // only what is larger is worth taking
  }

  take(value, cell) {
    let at = this.list.length;
    while (at > 0 && this.list[at - 1][0] < value) at -= 1;
    this.list.splice(at, 0, [value, cell]);
    if (this.list.length > this.limit) this.list.pop();
    if (this.list.length === this.limit) this.least = this.list[this.limit - 1][0];
  }
}
