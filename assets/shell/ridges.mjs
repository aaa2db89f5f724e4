/**
 * Ridgelines follow the time bus: the ridge of the current step is marked, and its numbers are written below, every frame and without
 * asking Plotly to draw. Where not every step has a ridge, the one before is marked.
 *
 * A chart takes part if it lies in an element of class "ridges"; components/figures/ridgeline.py says what is in its layout's meta.
 */
import { onChart } from "mloscope/base/charts.mjs";
import { write } from "mloscope/base/dom.mjs";
import { time } from "mloscope/base/time_bus.mjs";

function show(place) {
  const plot = place.querySelector(".js-plotly-plot");
  const { ridges = [], said = [] } = (plot && plot.layout && plot.layout.meta) || {};
  let marked = -1;
  for (let ridge = 0; ridge < ridges.length && ridges[ridge] <= time.index; ridge += 1) marked = ridge;
  place.querySelectorAll(".scatterlayer > .trace").forEach((trace, ridge) => trace.classList.toggle("is-now", ridge === marked));
  place.dataset.marked = marked < 0 ? "" : time.checkpoints[ridges[marked]]?.step;
  write(place.querySelector(".ridges-said"), said[time.index]);
}

onChart(".ridges .js-plotly-plot", (plot) => {
  const place = plot.closest(".ridges");
  plot.on("plotly_afterplot", () => show(place));
  show(place);
});
time.subscribe(() => document.querySelectorAll(".ridges").forEach(show));
