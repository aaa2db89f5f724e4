/**
 * Both moments on the training chart of a comparison: a line for A, a broken one for B, moved every frame; a click moves time.
 *
 * The chart's layout.meta says what its x axis is (step, epoch, share) and, for share, each run's last recorded step.
 */
import { lineOver, moveLine, onChart } from "mloscope/base/charts.mjs";
import { subject } from "mloscope/base/subject.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { compare } from "mloscope/compare/state.mjs";

const CHART = "#compare-training .js-plotly-plot";

/** Where a checkpoint stands on the chart's axis; null where it has no place there. */
function placeOf(checkpoint, run, meta) {
  if (!checkpoint) return null;
  if (meta.x === "epoch") return checkpoint.epoch;
  if (meta.x === "step") return checkpoint.step;
  return meta.ends[run] > 0 ? checkpoint.step / meta.ends[run] : null;
}

function move() {
  const plot = /** @type {any} */ (document.querySelector(CHART));
  const meta = plot && plot.layout && plot.layout.meta;
  if (!meta) return;
  const index = compare.index;
  const places = {
    a: placeOf(time.checkpoint, subject.run, meta),
    b: index === null || !compare.subject ? null : placeOf(compare.subject.checkpoints[index], compare.run, meta),
  };
  for (const [side, place] of Object.entries(places)) {
    const line = lineOver(plot.closest(".compare-chart"), `compare-cursor compare-cursor-${side}`);
    if (moveLine(line, plot, place)) line.dataset.step = side === "a" ? time.step : compare.step();
  }
}

/** The checkpoint of A that is nearest to a place on the axis. */
function goTo(x, meta) {
  let best = -1;
  let least = Infinity;
  time.checkpoints.forEach((checkpoint, index) => {
    const place = placeOf(checkpoint, subject.run, meta);
    if (place === null || place === undefined || Math.abs(place - x) >= least) return;
    [best, least] = [index, Math.abs(place - x)];
  });
  if (best >= 0) time.request(best);
}

onChart(CHART, (plot) => {
  plot.on("plotly_afterplot", move);
  // Anywhere in the chart, not only on a line's point.
  plot.addEventListener("click", (event) => {
    const { xaxis, _size: size } = plot._fullLayout;
    const box = plot.getBoundingClientRect();
    const x = event.clientX - box.left - xaxis._offset;
    const y = event.clientY - box.top - size.t;
    const { meta } = plot.layout;
    if (meta && x >= 0 && x <= size.w && y >= 0 && y <= size.h) goTo(xaxis.p2l(x), meta);
  });
  move();
});

/** Called by the component of the page, while it is there. @returns {() => void} stops */
export const followTraining = () => {
  const undo = [time.subscribe(move), compare.subscribe(move)];
  return () => undo.forEach((stop) => stop());
};
