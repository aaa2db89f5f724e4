/** Plotly's charts, which come when Dash draws them: `onChart`, and a line over a chart that moves without a redraw. */
import { element } from "mloscope/base/dom.mjs";

const LOOK_EVERY_MS = 100;
/** @type {{selector: string, act: (plot: any) => void, seen: WeakSet<Element>}[]} */
const rules = [];

/**
 * Do something with each chart once it is drawn, also with those that come later.
 * @param {string} selector of Plotly's element
 * @param {(plot: any) => void} act
 * @returns {() => void} stops looking for more
 */
export const onChart = (selector, act) => {
  const rule = { selector, act, seen: new WeakSet() };
  rules.push(rule);
  look();
  return () => rules.splice(rules.indexOf(rule), 1);
};

function look() {
  for (const { selector, act, seen } of [...rules]) {
    for (const plot of /** @type {NodeListOf<any>} */ (document.querySelectorAll(selector))) {
      if (!plot.on || seen.has(plot)) continue;
      seen.add(plot);
      act(plot);
    }
  }
}

/** A line of its own over a chart. @param {Element} place around the chart @param {string} className */
export const lineOver = (place, className) => {
  const selector = `.${className.split(" ").join(".")}`;
  const known = /** @type {HTMLElement | null} */ (place.querySelector(selector));
  if (known) return known;
  const line = element("div", { class: className, "aria-hidden": "true" });
  place.append(line);
  return line;
};

/** Whether a place is in view; a log axis has none for 0. */
function isOn(axis, at) {
  const [low, high] = axis.range.map((end) => axis.r2l(end)).sort((a, b) => a - b);
  const place = axis.d2l(at);
  return Number.isFinite(place) && place >= low && place <= high;
}

/**
 * Move a line over a chart.
 * @param {HTMLElement} line
 * @param {any} plot Plotly's chart; the line is hidden where it has no usable axis
 * @param {number | null | undefined} at on the x axis; null or undefined where it has no place there
 * @returns {boolean} whether the line is shown
 */
export const moveLine = (line, plot, at) => {
  const layout = plot && plot._fullLayout;
  const axis = layout && layout.xaxis;
  const isPlaced = at !== null && at !== undefined && axis && axis.visible && plot.data && plot.data.length;
  const isInside = isPlaced && isOn(axis, at);
  line.hidden = !isInside;
  if (!isInside) return false;
  line.style.transform = `translateX(${axis._offset + axis.d2p(at)}px)`;
  line.style.top = `${layout._size.t}px`;
  line.style.height = `${layout._size.h}px`;
  return true;
};

setInterval(look, LOOK_EVERY_MS);
