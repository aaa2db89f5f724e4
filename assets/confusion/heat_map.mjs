/**
 * Plotly's part of the confusion matrix: axes with names, zoom and pan, colour bar, export; its values follow when time settles.
 */
import { context2d } from "mloscope/base/canvas.mjs";
import { chartScripts } from "mloscope/base/chart_scripts.mjs";
import { element, token, write } from "mloscope/base/dom.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { view } from "mloscope/base/view.mjs";
import { TEXT_UP_TO, colourBar, heatMapValues } from "mloscope/confusion/heat_map_values.mjs";
import { confusion } from "mloscope/confusion/state.mjs";

const SAVE_SVG = {
  name: "svg",
  title: "Download plot as an SVG",
  icon: { width: 24, height: 24, path: "M5 3h14a2 2 0 0 1 2 2v14a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2zm7 14 5-6h-3V6h-4v5H7z" },
  click: (graph) => window.Plotly.downloadImage(graph, { format: "svg", filename: "confusion" }),
};
export const RATES_PX = 152; // right of the plot area: recall and precision
const BOTTOM_PX = 52; // colour bar
const LABEL_PX = 12; // room that a row's name takes
const LONGEST_LABEL = 22; // characters
const FONT_PX = 11;
const SETTLE_LARGE_MS = 250; // a large heat map is drawn when the hand has rested for a while
const LARGE = 200 * 200;

export class HeatMap {
  /** @type {any} what is being dragged just now, as Plotly tells it */ passing = null;
  /** @type {number | undefined} */ drawnArrangement;
  /** @type {boolean} whether names below columns are slanted */ slant = false;
  /** @type {string | undefined} */ labelled;
  /** @type {number | undefined} */ settling;
  /** @type {{step: any, key: string} | null} what Plotly shows */ plotted = null;

  /**
   * @param {HTMLElement} stage
   * @param {{light: any, dark: any}} figures Plotly's {data, layout} by theme
   * @param {{steps: any[], draw: () => void, later: () => void, scale: () => {ceiling: number}}} owner draws over the plot area
   */
  constructor(stage, figures, owner) {
    this.stage = stage;
    this.figures = figures;
    this.owner = owner;
    this.model = confusion;
    this.settledIndex = time.index;
    /** @type {any} */
    this.gd = element("div", { class: "confusion-plot" });
    stage.prepend(this.gd);
    this.resizes = new ResizeObserver(() => this.resize());
    this.resizes.observe(stage);
    this.themes = new MutationObserver(() => this.replot());
    this.themes.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    this.missing = element("p", { class: "chart-missing" });
    stage.append(this.missing);
    this.stop = chartScripts.subscribe(() => this.begin());
    this.begin();
  }

  destroy() {
    this.resizes.disconnect();
    this.themes.disconnect();
    clearTimeout(this.settling);
    this.stop();
    if (this.isPlotted) window.Plotly.purge(this.gd);
  }

  /** Whether Plotly has drawn: axes and their ranges are known. */
  get isPlotted() {
    return Boolean(this.gd.on);
  }

  /** The theme's name in `figures`. */
  get theme() {
    return document.documentElement.dataset.theme === "dark" ? "dark" : "light";
  }

  /** Something of the model or the view has changed. @param {string[]} changed keys of the view */
  change(changed) {
    if (!this.isPlotted) this.begin();
    else if (this.drawnArrangement !== this.model.arrangement) this.replot();
    else if (changed.includes("area")) this.showArea();
    if (this.isPlotted) this.settle(this.settledIndex < 0 ? time.index : this.settledIndex);
  }

  /** Draw, once there is everything that it takes; say so where it is Plotly that is missing. */
  begin() {
    write(this.missing, window.Plotly ? "" : chartScripts.sentence);
    if (this.isPlotted || !window.Plotly || !this.model.classes || !this.stage.clientWidth) return;
    this.missing.remove();
    this.plot(window.Plotly.newPlot);
    this.gd.on("plotly_relayout", () => this.afterZoom());
    this.gd.on("plotly_relayouting", (event) => {
      this.passing = event;
      this.owner.later();
    });
    this.gd.on("plotly_afterplot", () => this.owner.draw());
  }

  plot(how) {
    const { layout, config } = this.arrangement();
    this.plotted = null;
    how(this.gd, [this.trace()], layout, config);
    this.drawnArrangement = this.model.arrangement;
    this.settle(this.settledIndex);
    this.owner.draw();
  }

  replot() {
    if (this.isPlotted) this.plot(window.Plotly.react);
    else this.begin();
  }

  /** Layout for the classes, the labels and the room there are. */
  arrangement() {
    const { model, stage } = this;
    const figure = structuredClone(this.figures[this.theme]);
    const width = stage.clientWidth;
    const height = stage.clientHeight;
    const longest = longestLabel(model.names);
    const left = Math.min(150, longest + 30);
    const slant = (width - left - RATES_PX) / model.columns < longest + 6 || model.columns > 14;
    const top = slant ? Math.min(120, Math.round(longest * 0.72) + 40) : 48;
    this.slant = slant;
    const range = this.wantedRange();
    const layout = {
      ...figure.layout,
      width,
      height,
      margin: { l: left, r: RATES_PX, t: top, b: BOTTOM_PX },
      xaxis: { ...figure.layout.xaxis, ...this.ticks("x", range.x), range: range.x, minallowed: -0.5, maxallowed: model.columns - 0.5 },
      yaxis: { ...figure.layout.yaxis, ...this.ticks("y", range.y), range: range.y, minallowed: -0.5, maxallowed: model.classes - 0.5 },
    };
    const config = {
      scrollZoom: model.classes > TEXT_UP_TO,
      displaylogo: false,
      displayModeBar: true,
      modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "sendChartToCloud", "toggleSpikelines"],
      toImageButtonOptions: { filename: "confusion", scale: 2 },
      modeBarButtonsToAdd: [SAVE_SVG],
      doubleClick: "reset",
    };
    return { layout, config };
  }

  wantedRange() {
    const { model } = this;
    const all = [0, model.classes - 1, 0, model.columns - 1];
    const match = /^(\d+)-(\d+),(\d+)-(\d+)$/.exec(view.get().area || "");
    const [top, bottom, left, right] = match ? match.slice(1).map(Number) : all;
    const fits = top <= bottom && left <= right && bottom < model.classes && right < model.columns;
    const [t, b, l, r] = fits ? [top, bottom, left, right] : all;
    return { x: [l - 0.5, r + 0.5], y: [b + 0.5, t - 0.5] };
  }

  /** Names along an axis as far as there is room; names of groups where the classes are grouped and many. */
  ticks(axis, range) {
    const { model, stage } = this;
    const order = axis === "x" ? model.columnOrder : model.order;
    const first = Math.max(0, Math.ceil(Math.min(...range)));
    const last = Math.min(order.length - 1, Math.floor(Math.max(...range)));
    const room = axis === "x" ? stage.clientWidth - 250 : stage.clientHeight - 150;
    const most = Math.max(2, Math.floor(room / (axis === "x" ? LABEL_PX + 3 : LABEL_PX)));
    const shown = last - first + 1;
    const places = [];
    let name = (place) => short(model.name(order[place]));
    if (model.groups && shown > most) {
      for (const group of model.groups) {
        const middle = group.first + (group.count - 1) / 2;
        if (middle >= first && middle <= last && (!places.length || middle - places.at(-1) >= shown / most)) places.push(middle);
      }
      const { groups } = model;
      name = (place) => short((groups.find((group) => place < group.first + group.count) || { name: "" }).name);
    } else {
      const every = Math.max(1, Math.ceil(shown / most));
      for (let place = first; place <= last; place += every) places.push(place);
    }
    const angle = axis === "x" ? { tickangle: this.slant ? -45 : 0 } : {};
    return { tickvals: places, ticktext: places.map(name), ...angle };
  }

  trace() {
    const trace = structuredClone(this.figures[this.theme].data[0]);
    const gap = this.model.columns <= TEXT_UP_TO ? 1 : 0;
    const empty = Array.from({ length: this.model.classes }, () => new Float32Array(this.model.columns));
    return { ...trace, z: empty, xgap: gap, ygap: gap, textfont: { size: FONT_PX } };
  }

  resize() {
    if (!this.isPlotted) this.begin();
    else if (this.stage.clientWidth !== this.gd._fullLayout.width || this.stage.clientHeight !== this.gd._fullLayout.height) this.replot();
  }

  /** Somebody has zoomed or panned in Plotly: names along the axes, and the address. */
  afterZoom() {
    this.passing = null;
    const { x, y } = this.ranges();
    const { classes, columns } = this.model;
    const [left, right] = [Math.max(0, Math.round(x[0] + 0.5)), Math.min(columns - 1, Math.round(x[1] - 0.5))];
    const [top, bottom] = [Math.max(0, Math.round(y[1] + 0.5)), Math.min(classes - 1, Math.round(y[0] - 0.5))];
    const whole = left === 0 && top === 0 && right === columns - 1 && bottom === classes - 1;
    view.set({ area: whole ? "" : `${top}-${bottom},${left}-${right}` }, { history: "replace" });
    this.label();
    this.owner.draw();
  }

  label() {
    const { x, y } = this.ranges();
    const across = this.ticks("x", x);
    const down = this.ticks("y", y);
    const said = JSON.stringify([across, down]);
    if (said === this.labelled) return;
    this.labelled = said;
    window.Plotly.relayout(this.gd, {
      "xaxis.tickvals": across.tickvals, "xaxis.ticktext": across.ticktext,
      "yaxis.tickvals": down.tickvals, "yaxis.ticktext": down.ticktext,
    }); // prettier-ignore
  }

  /** Plotly's ranges, also while something is being dragged. y runs from the bottom to the top. */
  ranges() {
    const { xaxis, yaxis } = this.gd._fullLayout;
    const passing = (axis, end) => this.passing && this.passing[`${axis}.range[${end}]`];
    const range = (axis, name) => [passing(name, 0) ?? axis.range[0], passing(name, 1) ?? axis.range[1]].map(Number);
    return { x: range(xaxis, "xaxis"), y: range(yaxis, "yaxis") };
  }

  /** The address names another area than Plotly shows (Back, or a link). */
  showArea() {
    const wanted = this.wantedRange();
    const shown = this.ranges();
    const off = [0, 1].some((end) => Math.abs(wanted.x[end] - shown.x[end]) > 0.5 || Math.abs(wanted.y[end] - shown.y[end]) > 0.5);
    if (off) window.Plotly.relayout(this.gd, { "xaxis.range": wanted.x, "yaxis.range": wanted.y });
  }

  /**
   * Show some positions.
   * @param {number[]} rows [first, last]
   * @param {number[]} columns [first, last]
   */
  goTo(rows, columns) {
    window.Plotly.relayout(this.gd, {
      "xaxis.range": [columns[0] - 0.5, columns[1] + 0.5], "yaxis.range": [rows[1] + 0.5, rows[0] - 0.5],
    }); // prettier-ignore
  }

  /** Larger or smaller around the selected cell, or the middle. */
  zoomBy(factor) {
    const { model } = this;
    const { x, y } = this.ranges();
    const cell = model.cell();
    const along = (/** @type {number[]} */ [from, to], centre, count) => {
      const length = Math.min(count, Math.max(3, Math.round((to - from) / factor)));
      const first = Math.max(0, Math.min(count - length, Math.round(centre - length / 2)));
      return [first, first + length - 1];
    };
    const centreX = cell ? model.columnPlace[cell.predicted] : (x[0] + x[1]) / 2;
    const centreY = cell ? model.place[cell.actual] : (y[0] + y[1]) / 2;
    this.goTo(along([y[1], y[0]], centreY, model.classes), along(x, centreX, model.columns));
  }

  /** Pan so far that a cell is in view. */
  reveal(row, column) {
    const { x, y } = this.ranges();
    const moved = (from, to, place, count) => {
      const length = Math.min(count, Math.round(to - from));
      if (place >= from && place <= to) return null;
      const first = Math.max(0, Math.min(count - length, place < from ? place : place - length + 1));
      return [first, first + length - 1];
    };
    const columns = moved(x[0], x[1], column, this.model.columns);
    const rows = moved(y[1], y[0], row, this.model.classes);
    const now = (from, to) => [Math.round(from + 0.5), Math.round(to - 0.5)];
    if (rows || columns) this.goTo(rows || now(y[1], y[0]), columns || now(x[0], x[1]));
  }

  /** Where positions lie on screen, in CSS pixels of the stage; by Plotly's axes. */
  geometry() {
    const { xaxis, yaxis } = this.gd._fullLayout;
    const { x, y } = this.ranges();
    const acrossPx = xaxis._length / (x[1] - x[0]);
    const downPx = yaxis._length / (y[0] - y[1]);
    return {
      left: xaxis._offset, top: yaxis._offset, width: xaxis._length, height: yaxis._length, acrossPx, downPx,
      columnEdge: (position) => (position - 0.5 - x[0]) * acrossPx,
      rowEdge: (position) => (position - 0.5 - y[1]) * downPx,
      firstColumn: firstOf(x[0]), lastColumn: lastOf(x[1], this.model.columns),
      firstRow: firstOf(y[1]), lastRow: lastOf(y[0], this.model.classes),
    }; // prettier-ignore
  }

  /** Time has come to rest: Plotly's own heat map follows, for its export and its colour bar. */
  settle(index) {
    this.settledIndex = index;
    clearTimeout(this.settling);
    const large = this.model.classes * this.model.columns > LARGE;
    if (large) this.settling = setTimeout(() => this.setValues(), SETTLE_LARGE_MS);
    else this.setValues();
  }

  setValues() {
    const { statistics } = this.model;
    const step = statistics && statistics.step(this.settledIndex);
    if (!this.isPlotted || !step || step.classes !== this.model.classes) return;
    const { shade, diagonal } = view.get();
    const { ceiling } = this.owner.scale();
    const key = JSON.stringify([shade, diagonal, ceiling, this.model.arrangement]);
    if (this.plotted && this.plotted.step === step && this.plotted.key === key) return;
    this.plotted = { step, key };
    const { z, text } = heatMapValues(this.model, step, shade, diagonal, ceiling);
    const { tickvals, ticktext, title } = colourBar(this.owner.steps, shade, diagonal, ceiling);
    const labelled = this.model.columns <= TEXT_UP_TO;
    window.Plotly.restyle(this.gd, {
      z: [z], text: labelled ? [text] : null, texttemplate: labelled ? "%{text}" : "",
      "colorbar.tickmode": "array", "colorbar.tickvals": [tickvals], "colorbar.ticktext": [ticktext], "colorbar.title.text": title,
    }); // prettier-ignore
  }
}

/** The first and last position of which something is in view; a cell reaches half a position to both sides. */
const firstOf = (from) => Math.max(0, Math.floor(from + 0.5));
const lastOf = (to, count) => Math.min(count - 1, Math.ceil(to + 0.5) - 1);

const short = (name) => (name.length > LONGEST_LABEL ? `${name.slice(0, LONGEST_LABEL - 1)}…` : name);

/** Width in CSS pixels of the widest name along an axis. */
function longestLabel(names) {
  const context = context2d(element("canvas", {}));
  context.font = `${FONT_PX}px ${token("--font")}`;
  return names.reduce((widest, name) => Math.max(widest, context.measureText(short(name)).width), 0);
}
