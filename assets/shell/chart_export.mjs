/**
 * Charts to keep: what the menu of components/chart.py does. `chartExport`.
 *
 * The picture is as large as the chart on the screen and has the page's ground, where the chart on the page has none.
 */
import { element, hit, token } from "mloscope/base/dom.mjs";
import { time } from "mloscope/base/time_bus.mjs";

const PIXELS = { png: 2, svg: 1 }; // for each on the screen

/** "Class probabilities over all steps" as "class-probabilities-over-all-steps". */
const fileName = (words) => words.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 80); // prettier-ignore

/**
 * @param {any} graph of Plotly
 * @param {"png"|"svg"} format
 * @returns {Promise<string>} a data URL
 */
function picture(graph, format) {
  const ground = token("--surface");
  const layout = { ...graph.layout, paper_bgcolor: ground, plot_bgcolor: ground };
  const { width, height } = graph.getBoundingClientRect();
  const size = { width: Math.round(width), height: Math.round(height) };
  return window.Plotly.toImage({ data: graph.data, layout }, { format, scale: PIXELS[format], ...size });
}

async function save(button) {
  const frame = button.closest(".chart");
  const graph = frame.querySelector(".js-plotly-plot");
  if (!graph || !window.Plotly) return;
  const { step } = time;
  const words = [frame.getAttribute("aria-label"), step === null ? "" : `step ${step}`].join(" ");
  const format = button.dataset.chartFormat;
  const link = element("a", { href: await picture(graph, format), download: `${fileName(words)}.${format}` });
  document.body.append(link);
  link.click();
  link.remove();
}

document.addEventListener("click", (event) => {
  const button = hit(event, "[data-chart-format]");
  if (button) save(button);
  for (const menu of document.querySelectorAll("details.chart-export[open]"))
    if (button || !menu.contains(/** @type {Node} */ (event.target))) menu.removeAttribute("open");
});
export const chartExport = { picture };
