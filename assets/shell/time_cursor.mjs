/**
 * The time bus's cursor on Plotly charts: a line over the chart, moved every frame without asking Plotly to draw.
 *
 * A chart takes part if it lies in an element of class "time-cursor". Its x values are checkpoints' positions
 * (components/figures/time_axis.py), or its layout's meta.places has where each checkpoint lies (components/figures/metric_curves.py).
 */
import { lineOver, moveLine, onChart } from "mloscope/base/charts.mjs";
import { time } from "mloscope/base/time_bus.mjs";

/** Move the line of one place; it is there, hidden, before the chart is. */
function move(place) {
  const line = lineOver(place, "time-cursor-line");
  const plot = place.querySelector(".js-plotly-plot");
  const at = plot && time.index >= 0 ? placeOf(plot, time.index) : null;
  if (moveLine(line, plot, at)) line.dataset.step = time.step;
}

/** Where a checkpoint lies on the chart's axis; null where it has no place there. */
function placeOf(plot, index) {
  const { places } = plot.layout?.meta || {};
  return places ? (places[index] ?? null) : index;
}

/** The checkpoint that lies nearest to a place. */
function nearest(plot, x) {
  let best = 0;
  let least = Infinity;
  for (let index = 0; index < time.count; index += 1) {
    const at = placeOf(plot, index);
    if (at !== null && Math.abs(at - x) < least) [best, least] = [index, Math.abs(at - x)];
  }
  return best;
}

onChart(".time-cursor .js-plotly-plot", (plot) => {
  const place = plot.closest(".time-cursor");
  plot.on("plotly_afterplot", () => move(place));
  plot.on("plotly_click", (event) => time.request(nearest(plot, event.points[0].x)));
  move(place);
});
time.subscribe(() => document.querySelectorAll(".time-cursor").forEach(move));
