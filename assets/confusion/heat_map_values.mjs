/** What Plotly's heat map of confusion counts shows: shadings, texts of the cells, the colour bar. Pure functions. */
import { grouped } from "mloscope/base/numbers.mjs";
import { confusionCounts } from "mloscope/confusion/counts.mjs";
import { confusionDraw } from "mloscope/confusion/draw.mjs";

export const TEXT_UP_TO = 40; // rows and columns in view for counts in the cells

/** What Plotly draws: shading in 0..1, NaN where there is no number, rows from the top; and the texts of the cells. */
export function heatMapValues(model, step, shade, diagonal, ceiling) {
  const sums = confusionCounts.sums(step);
  const measure = confusionCounts.measure(step, shade);
  const z = [];
  for (const actual of model.order) {
    const row = new Float32Array(model.columns);
    if (shade === "row" && !sums.rows[actual]) row.fill(NaN);
    if (shade === "column") model.columnOrder.forEach((predicted, at) => sums.columns[predicted] || (row[at] = NaN));
    if (diagonal === "off") row[model.columnPlace[actual]] = NaN;
    z.push(row);
  }
  const labelled = model.columns <= TEXT_UP_TO;
  const text = labelled ? [...model.order].map(() => Array(model.columns).fill("0")) : null;
  for (let at = 0; at < step.cells.length; at += 1) {
    const actual = Math.floor(step.cells[at] / (step.classes + 1));
    const predicted = step.cells[at] - actual * (step.classes + 1);
    const [row, column] = [model.place[actual], model.columnPlace[predicted]];
    if (column < 0) continue;
    const value = measure(step.counts[at], actual, predicted);
    if (diagonal !== "off" || actual !== predicted) z[row][column] = confusionDraw.shading(value, ceiling);
    if (text) text[row][column] = textOf(step.counts[at], value, shade);
  }
  return { z, text };
}

/** The colour bar's ticks and title. `steps`: the counts that the end of the scale is made from. */
export function colourBar(steps, shade, diagonal, ceiling) {
  const { shading } = confusionDraw;
  const shares = shade !== "count";
  const written = (value) => (shares ? `${Number((value * 100).toPrecision(3))}\u202f%` : grouped(value));
  const saturates = diagonal === "off" && steps.some((step) => confusionCounts.mostConfused(step, shade) > ceiling);
  /** @type {[number, string][]} */
  const ticks = [[0, written(0)]];
  const candidates = [];
  for (let power = shares ? -4 : 0; power <= 9; power += 1) for (const digit of [1, 2, 5]) candidates.push(digit * 10 ** power);
  for (const value of candidates.filter((candidate) => candidate < ceiling)) {
    const place = shading(value, ceiling);
    if (place - ticks[ticks.length - 1][0] > 0.14 && place < 0.85) ticks.push([place, written(value)]);
  }
  ticks.push([1, `${saturates ? "≥ " : ""}${written(ceiling)}`]);
  const of = { count: "images", row: "share of the true class's images", column: "share of the images predicted as the class" }[shade];
  return {
    tickvals: ticks.map(([place]) => place),
    ticktext: ticks.map(([, words]) => words),
    title: diagonal === "off" ? `${of}; the diagonal is left out` : of,
  };
}

/** What stands in a cell. */
export const textOf = (count, value, shade) => {
  if (shade === "count") return grouped(count);
  const percent = value * 100;
  if (count === 0) return "0";
  return percent >= 99.95 ? percent.toFixed(0) : percent < 0.1 ? percent.toFixed(2) : percent.toFixed(1);
};
