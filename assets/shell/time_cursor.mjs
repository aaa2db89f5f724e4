/**
 * The time bus's cursor on Plotly charts: a line over the chart, moved every frame without asking Plotly to draw.
 *
 * A chart takes part if it lies in an element of class "time-cursor". Its x values are checkpoints' positions
 * (components/figures/time_axis.py), or its layout's meta.places has where each checkpoint lies (components/figures/metric_curves.py).
 */
import { element } from "mloscope/base/dom.mjs";
import { time } from "mloscope/base/time_bus.mjs";

const LOOK_FOR_CHARTS_MS = 400;

function cursorOf(place) {
  let cursor = place.querySelector(":scope > .time-cursor-line");
  if (!cursor) {
    cursor = element("div", { class: "time-cursor-line", "aria-hidden": "true" });
    place.append(cursor);
  }
  return cursor;
}

/** Where a checkpoint lies on the chart's axis; null where it has no place there. */
function placeOf(plot, index) {
  const { places } = plot.layout?.meta || {};
  return places ? (places[index] ?? null) : index;
}

/** Whether a place is in view; a log axis has none for 0. */
function isOn(axis, at) {
  const [low, high] = axis.range.map((end) => axis.r2l(end));
  const place = axis.d2l(at);
  return Number.isFinite(place) && place >= low && place <= high;
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

function move(place, index) {
  const plot = place.querySelector(".js-plotly-plot");
  const layout = plot && plot._fullLayout;
  const axis = layout && layout.xaxis;
  const cursor = cursorOf(place);
  const at = index >= 0 && plot ? placeOf(plot, index) : null;
  const usable = axis && axis.visible && plot.data && plot.data.length && at !== null && isOn(axis, at);
  cursor.hidden = !usable;
  if (plot && plot.on && !plot.dataset.timeCursor) {
    plot.dataset.timeCursor = "on";
    plot.on("plotly_afterplot", () => move(place, time.index));
    plot.on("plotly_click", (event) => time.request(nearest(plot, event.points[0].x)));
  }
  if (!usable) return;
  const x = axis._offset + axis.d2p(at);
  cursor.style.transform = `translateX(${x}px)`;
  cursor.style.top = `${layout._size.t}px`;
  cursor.style.height = `${layout._size.h}px`;
  cursor.dataset.step = time.step;
}

const places = () => document.querySelectorAll(".time-cursor");
const isNew = (place) => place.querySelector(".js-plotly-plot:not([data-time-cursor])");

time.subscribe((index) => places().forEach((place) => move(place, index)));
// Charts come when their page does; from then on they tell us themselves when they have drawn.
setInterval(() => [...places()].filter(isNew).forEach((place) => move(place, time.index)), LOOK_FOR_CHARTS_MS);
