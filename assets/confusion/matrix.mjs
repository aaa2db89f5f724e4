/**
 * The confusion matrix: the component ConfusionMatrix.
 *
 *     figure (components/figures/confusion_heat_map.py) ──► Plotly: axes, zoom, pan, colour bar, export; values when time settles
 *     time bus ──every frame──► counts from memory ──► a canvas laid exactly over Plotly's plot area, in Plotly's own colours
 *
 * Plotly takes 80 ms and more to draw; the canvas takes one or two. The canvas covers the heat map, so that what is seen is always the step
 * wanted: data-state is ready, pending or missing, and data-step is the step whose counts are on it (absent while pending).
 */
import { element, grouped, mounted } from "mloscope/base/dom.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { view } from "mloscope/base/view.mjs";
import { confusionCounts } from "mloscope/confusion/counts.mjs";
import { confusionDraw } from "mloscope/confusion/draw.mjs";
import { ConfusionPointer } from "mloscope/confusion/pointer.mjs";
import { confusion } from "mloscope/confusion/state.mjs";

const SAVE_SVG = {
  name: "svg",
  title: "Download plot as an SVG",
  icon: { width: 24, height: 24, path: "M5 3h14a2 2 0 0 1 2 2v14a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2zm7 14 5-6h-3V6h-4v5H7z" },
  click: (graph) => window.Plotly.downloadImage(graph, { format: "svg", filename: "confusion" }),
};
const RECALL_PX = 84; // right of the plot area
const BAR_PX = 12; // a bar of recall is no higher
const BOTTOM_PX = 52; // colour bar
const TEXT_UP_TO = 40; // rows and columns in view for counts in the cells
const LABEL_PX = 12; // room that a row's name takes
const LONGEST_LABEL = 22; // characters
const FONT_PX = 11;
const SETTLE_LARGE_MS = 250; // a large heat map is drawn when the hand has rested for a while
const LARGE = 200 * 200;
const AROUND = 10; // classes before and after one that is searched for
const LOOK_FOR_PLOTLY_MS = 50;

class Matrix {
  /**
   * @param {HTMLElement} root
   * @param {{light: Object, dark: Object}} figures Plotly's {data, layout} by theme
   */
  constructor(root, figures) {
    Object.assign(this, { root, figures });
    this.model = confusion;
    this.palettes = {};
    this.plotted = null; // what Plotly's heat map shows
    this.settledIndex = time.index;
    this.build();
    this.resizes = new ResizeObserver(() => this.resize());
    this.resizes.observe(this.stage);
    this.themes = new MutationObserver(() => this.replot());
    this.themes.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    this.undo = [
      this.model.follow((model, changed) => this.change(changed)),
      time.subscribe(() => this.draw()),
      time.onSettled((index) => this.settle(index)),
      time.addGate(
        (index) => this.gate(index),
        () => this.waitingFor(),
      ),
      () => this.resizes.disconnect(),
      () => this.themes.disconnect(),
      () => cancelAnimationFrame(this.pending),
      () => clearTimeout(this.settling),
      () => clearInterval(this.looking),
      () => this.gd.on && window.Plotly.purge(this.gd),
    ];
    this.looking = setInterval(() => this.begin(), LOOK_FOR_PLOTLY_MS);
    this.begin();
  }

  destroy() {
    this.pointer.destroy();
    for (const undo of this.undo) undo();
    this.root.replaceChildren();
  }

  build() {
    this.gd = element("div", { class: "confusion-plot" });
    this.canvas = element("canvas", { class: "confusion-canvas", "aria-hidden": "true" });
    this.recall = element("canvas", { class: "confusion-recall", "aria-hidden": "true" });
    this.recallTitle = element("div", { class: "confusion-recall-title", "aria-hidden": "true" }, ["recall"]);
    this.outline = element("div", { class: "confusion-outline", hidden: true });
    this.hovered = element("div", { class: "confusion-outline confusion-outline-hover", hidden: true });
    this.frame = element("div", { class: "confusion-frame" }, [this.hovered, this.outline]);
    this.message = element("p", { class: "confusion-message", role: "status", hidden: true });
    this.status = element("p", { class: "confusion-status", role: "status" });
    this.live = element("p", { class: "only-for-screen-readers", "aria-live": "polite" });
    this.stage = element(
      "div",
      {
        class: "confusion-stage",
        tabindex: 0,
        role: "application",
        "aria-roledescription": "confusion matrix",
        "aria-label": "Confusion matrix: rows are true classes, columns predicted ones. Arrows move the selected cell, Enter opens it.",
        "data-own-keys": true,
      },
      [this.gd, this.canvas, this.recall, this.recallTitle, this.frame, this.message],
    );
    this.root.append(this.stage, this.status, this.live);
    this.pointer = new ConfusionPointer(this);
  }

  // ------------------------------------------------------------------------------------------------------- Plotly

  /** Plotly comes with the page's first chart. */
  begin() {
    if (this.gd.on || !window.Plotly || !this.model.classes || !this.stage.clientWidth) return;
    clearInterval(this.looking);
    this.plot(window.Plotly.newPlot);
    this.gd.on("plotly_relayout", () => this.afterZoom());
    this.gd.on("plotly_relayouting", (event) => {
      this.passing = event;
      this.later();
    });
    this.gd.on("plotly_afterplot", () => this.draw());
  }

  plot(how) {
    const { layout, config } = this.arrangement();
    this.plotted = null;
    how(this.gd, [this.trace()], layout, config);
    this.drawnArrangement = this.model.arrangement;
    this.settle(this.settledIndex);
    this.draw();
  }

  replot() {
    if (this.gd.on) this.plot(window.Plotly.react);
    else this.begin();
  }

  /** Layout for the classes, the labels and the room there are. */
  arrangement() {
    const { model, stage } = this;
    const theme = document.documentElement.dataset.theme === "dark" ? "dark" : "light";
    const figure = structuredClone(this.figures[theme]);
    const width = stage.clientWidth;
    const height = stage.clientHeight;
    const longest = longestLabel(model.names);
    const left = Math.min(150, longest + 30);
    const slant = (width - left - RECALL_PX) / model.columns < longest + 6 || model.columns > 14;
    const top = slant ? Math.min(120, Math.round(longest * 0.72) + 40) : 48;
    this.slant = slant;
    const range = this.wantedRange();
    const layout = {
      ...figure.layout,
      width,
      height,
      margin: { l: left, r: RECALL_PX, t: top, b: BOTTOM_PX },
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
      name = (place) => short(model.groups.find((group) => place < group.first + group.count).name);
    } else {
      const every = Math.max(1, Math.ceil(shown / most));
      for (let place = first; place <= last; place += every) places.push(place);
    }
    const angle = axis === "x" ? { tickangle: this.slant ? -45 : 0 } : {};
    return { tickvals: places, ticktext: places.map(name), ...angle };
  }

  trace() {
    const theme = document.documentElement.dataset.theme === "dark" ? "dark" : "light";
    const trace = structuredClone(this.figures[theme].data[0]);
    const gap = this.model.columns <= TEXT_UP_TO ? 1 : 0;
    const empty = Array.from({ length: this.model.classes }, () => new Float32Array(this.model.columns));
    return { ...trace, z: empty, xgap: gap, ygap: gap, textfont: { size: FONT_PX } };
  }

  resize() {
    if (!this.gd.on) this.begin();
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
    this.draw();
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

  /** Show a class among its neighbours, and select its cell on the diagonal. */
  showClass(number) {
    const { model } = this;
    const around = (place, count) => [Math.max(0, place - AROUND), Math.min(count - 1, place + AROUND)];
    model.select(number, number);
    if (model.classes > TEXT_UP_TO) {
      this.goTo(around(model.place[number], model.classes), around(model.columnPlace[number], model.columns));
    }
    this.stage.focus({ preventScroll: true });
  }

  /** Larger or smaller around the selected cell, or the middle. */
  zoomBy(factor) {
    const { model } = this;
    const { x, y } = this.ranges();
    const cell = model.cell();
    const along = ([from, to], centre, count) => {
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

  /** Time has come to rest: Plotly's own heat map follows, for its export and its colour bar. */
  settle(index) {
    this.settledIndex = index;
    clearTimeout(this.settling);
    const large = this.model.classes * this.model.columns > LARGE;
    if (large) this.settling = setTimeout(() => this.setValues(), SETTLE_LARGE_MS);
    else this.setValues();
    this.announce();
  }

  setValues() {
    const { statistics } = this.model;
    const step = statistics && statistics.step(this.settledIndex);
    if (!this.gd.on || !step || step.classes !== this.model.classes) return;
    const { shade, diagonal } = view.get();
    const { ceiling } = this.scale();
    const key = JSON.stringify([shade, diagonal, ceiling, this.model.arrangement]);
    if (this.plotted && this.plotted.step === step && this.plotted.key === key) return;
    this.plotted = { step, key };
    const { z, text } = this.values(step, shade, diagonal, ceiling);
    const { tickvals, ticktext, title } = this.colourBar(shade, diagonal, ceiling);
    const labelled = this.model.columns <= TEXT_UP_TO;
    window.Plotly.restyle(this.gd, {
      z: [z], text: labelled ? [text] : null, texttemplate: labelled ? "%{text}" : "",
      "colorbar.tickmode": "array", "colorbar.tickvals": [tickvals], "colorbar.ticktext": [ticktext], "colorbar.title.text": title,
    }); // prettier-ignore
  }

  /** What Plotly draws: shading in 0..1, NaN where there is no number, rows from the top; and the texts of the cells. */
  values(step, shade, diagonal, ceiling) {
    const { model } = this;
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
      if (labelled) text[row][column] = textOf(step.counts[at], value, shade);
    }
    return { z, text };
  }

  colourBar(shade, diagonal, ceiling) {
    const { shading } = confusionDraw;
    const shares = shade !== "count";
    const written = (value) => (shares ? `${Number((value * 100).toPrecision(3))} %` : grouped(value));
    const saturates = diagonal === "off" && this.steps.some((step) => confusionCounts.mostConfused(step, shade) > ceiling);
    const ticks = [[0, written(0)]];
    const candidates = [];
    for (let power = shares ? -4 : 0; power <= 9; power += 1) for (const digit of [1, 2, 5]) candidates.push(digit * 10 ** power);
    for (const value of candidates.filter((candidate) => candidate < ceiling)) {
      const place = shading(value, ceiling);
      if (place - ticks.at(-1)[0] > 0.14 && place < 0.85) ticks.push([place, written(value)]);
    }
    ticks.push([1, `${saturates ? "≥ " : ""}${written(ceiling)}`]);
    const of = { count: "images", row: "share of the true class's images", column: "share of the images taken for the class" }[shade];
    return {
      tickvals: ticks.map(([place]) => place),
      ticktext: ticks.map(([, words]) => words),
      title: diagonal === "off" ? `${of}; the diagonal is left out` : of,
    };
  }

  // ------------------------------------------------------------------------------------------------------- canvas

  change(changed) {
    this.steps = this.model.steps();
    this.scaleKey = null;
    if (!this.gd.on) this.begin();
    else if (this.drawnArrangement !== this.model.arrangement) this.replot();
    else if (changed.includes("area")) this.showArea();
    if (this.gd.on) this.settle(this.settledIndex < 0 ? time.index : this.settledIndex);
    this.later();
  }

  /** The address names another area than Plotly shows (Back, or a link). */
  showArea() {
    const wanted = this.wantedRange();
    const shown = this.ranges();
    const off = [0, 1].some((end) => Math.abs(wanted.x[end] - shown.x[end]) > 0.5 || Math.abs(wanted.y[end] - shown.y[end]) > 0.5);
    if (off) window.Plotly.relayout(this.gd, { "xaxis.range": wanted.x, "yaxis.range": wanted.y });
  }

  later() {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = 0;
      this.draw();
    });
  }

  /** The end of the shading over all steps that are here. */
  scale() {
    const { shade, diagonal } = view.get();
    const key = `${shade} ${diagonal} ${this.steps.length}`;
    if (this.scaleKey !== key) {
      this.scaleKey = key;
      this.ceiling = confusionCounts.ceiling(this.steps, shade, diagonal);
    }
    return { ceiling: this.ceiling };
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

  /** @returns {?{row: number, column: number}} the cell under a point of the stage */
  cellAt(x, y) {
    if (!this.gd.on) return null;
    const g = this.geometry();
    if (x < g.left || y < g.top || x >= g.left + g.width || y >= g.top + g.height) return null;
    const ranges = this.ranges();
    const column = Math.round((x - g.left) / g.acrossPx + ranges.x[0]);
    const row = Math.round((y - g.top) / g.downPx + ranges.y[1]);
    return row < 0 || column < 0 || row >= this.model.classes || column >= this.model.columns ? null : { row, column };
  }

  draw() {
    const { model, gd } = this;
    if (!gd.on || !gd._fullLayout || !model.statistics) return;
    const step = model.statistics.step(time.index);
    const state = step && step.classes !== model.classes ? "pending" : model.statistics.state(time.index);
    this.g = this.geometry();
    this.fit();
    if (state === "ready") this.paint(step);
    else this.clear(state);
    this.outlineCells();
    this.tell(state);
    this.pointer.follow();
  }

  /** The canvases lie exactly over Plotly's plot area, and beside it. */
  fit() {
    const { left, top, width, height } = this.g;
    const ratio = window.devicePixelRatio || 1;
    const place = (node, x, y, w, h) => {
      const css = `left:${x}px;top:${y}px;width:${w}px;height:${h}px`;
      if (node.style.cssText !== css && node.dataset.place !== css) {
        node.style.cssText = css;
        node.dataset.place = css;
      }
      if (!(node instanceof HTMLCanvasElement)) return;
      const [pixelsX, pixelsY] = [Math.max(1, Math.round(w * ratio)), Math.max(1, Math.round(h * ratio))];
      if (node.width !== pixelsX) node.width = pixelsX;
      if (node.height !== pixelsY) node.height = pixelsY;
    };
    place(this.canvas, left, top, width, height);
    place(this.frame, left, top, width, height);
    place(this.recall, left + width + 10, top, RECALL_PX - 14, height);
    place(this.recallTitle, left + width + 10, top - 20, RECALL_PX - 14, 16);
  }

  colours() {
    const theme = document.documentElement.dataset.theme === "dark" ? "dark" : "light";
    if (!this.palettes[theme]) {
      const style = getComputedStyle(document.documentElement);
      const colour = (name) => style.getPropertyValue(`--${name}`).trim();
      const { colorscale } = this.figures[theme].data[0];
      this.palettes[theme] = {
        pixels: confusionDraw.palette(colorscale, { gap: colour("surface"), leftOut: colour("surface") }),
        text: colour("text"), quiet: colour("text-quiet"), accent: colour("accent"), line: colour("line"), font: colour("font"),
        sunken: colour("surface-sunken"),
      }; // prettier-ignore
    }
    return this.palettes[theme];
  }

  paint(step) {
    const { model, g, canvas } = this;
    const { width, height } = canvas;
    const ratio = width / g.width;
    const { shade, diagonal } = view.get();
    const { ceiling } = this.scale();
    const { pixels } = this.colours();
    if (!this.codes || this.codes.length !== width * height) {
      this.codes = new Uint8Array(width * height);
      this.image = new ImageData(width, height);
      this.words = new Uint32Array(this.image.data.buffer);
    } else if (this.image.width !== width) {
      this.image = new ImageData(width, height);
      this.words = new Uint32Array(this.image.data.buffer);
    }
    const columns = confusionDraw.strip(g.firstColumn, g.lastColumn, (place) => g.columnEdge(place) * ratio);
    const rows = confusionDraw.strip(g.firstRow, g.lastRow, (place) => g.rowEdge(place) * ratio);
    confusionDraw.paint(this.codes, width, height, {
      step, shade, diagonal, ceiling, rows, columns, rowPlace: model.place, columnPlace: model.columnPlace,
      rowOrder: model.order, columnOrder: model.columnOrder,
    }); // prettier-ignore
    const { codes, words } = this;
    for (let at = 0; at < codes.length; at += 1) words[at] = pixels[codes[at]];
    const context = canvas.getContext("2d");
    context.putImageData(this.image, 0, 0);
    const small = columns.from.length <= TEXT_UP_TO && rows.from.length <= TEXT_UP_TO;
    if (small && g.acrossPx >= 20 && g.downPx >= 13) this.write(context, ratio, step, confusionCounts.sums(step));
    if (model.groups) this.lines(context, ratio);
    this.drawRecall(step, rows, ratio);
  }

  /** Counts, or shares, in the cells. */
  write(context, ratio, step, sums) {
    const { model, g } = this;
    const { shade, diagonal } = view.get();
    const { ceiling } = this.scale();
    const { pixels, quiet, text, font } = this.colours();
    const measure = confusionCounts.measure(step, shade);
    const size = Math.max(9, Math.min(14, g.acrossPx / 4, g.downPx * 0.6));
    context.font = `${size * ratio}px ${font}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    const dark = document.documentElement.dataset.theme === "dark";
    for (let row = g.firstRow; row <= g.lastRow; row += 1) {
      const actual = model.order[row];
      const y = ((g.rowEdge(row) + g.rowEdge(row + 1)) / 2) * ratio;
      for (let column = g.firstColumn; column <= g.lastColumn; column += 1) {
        const predicted = model.columnOrder[column];
        const count = confusionCounts.count(step, actual, predicted);
        const none = (shade === "row" && !sums.rows[actual]) || (shade === "column" && !sums.columns[predicted]);
        if (none) continue;
        const value = measure(count, actual, predicted);
        const leftOut = diagonal === "off" && actual === predicted;
        const onDark = leftOut ? dark : confusionDraw.isDark(pixels[confusionDraw.code(value, ceiling)]);
        context.fillStyle = count === 0 || leftOut ? quiet : onDark === dark ? text : dark ? "#0d0f13" : "#ffffff";
        context.globalAlpha = count === 0 ? 0.6 : 1;
        context.fillText(textOf(count, value, shade), ((g.columnEdge(column) + g.columnEdge(column + 1)) / 2) * ratio, y);
      }
    }
    context.globalAlpha = 1;
  }

  /** Where groups meet. */
  lines(context, ratio) {
    const { g } = this;
    context.fillStyle = this.colours().quiet;
    context.globalAlpha = 0.5;
    for (const { first } of this.model.groups) {
      if (first > g.firstColumn && first <= g.lastColumn)
        context.fillRect(Math.round(g.columnEdge(first) * ratio), 0, 1, this.canvas.height);
      if (first > g.firstRow && first <= g.lastRow) context.fillRect(0, Math.round(g.rowEdge(first) * ratio), this.canvas.width, 1);
    }
    context.globalAlpha = 1;
  }

  /** A bar for each row in view: how many of the class's images are recognised. */
  drawRecall(step, rows, ratio) {
    const { model, g } = this;
    const context = this.recall.getContext("2d");
    const { width, height } = this.recall;
    const { accent, text, quiet, sunken, font } = this.colours();
    const sums = confusionCounts.sums(step);
    const numbers = g.downPx >= 13;
    const room = numbers ? width - 34 * ratio : width;
    context.clearRect(0, 0, width, height);
    context.font = `${11 * ratio}px ${font}`;
    context.textAlign = "right";
    context.textBaseline = "middle";
    const cell = model.cell();
    for (let at = 0; at < rows.from.length; at += 1) {
      const actual = model.order[rows.first + at];
      const from = rows.from[at];
      const length = rows.to[at] - from;
      const inset = numbers ? Math.max(0, (length - BAR_PX * ratio) / 2) : 0;
      if (sums.rows[actual]) {
        context.fillStyle = sunken;
        context.fillRect(0, from + inset, room, length - 2 * inset);
        context.fillStyle = accent;
        context.globalAlpha = cell && cell.actual !== actual && numbers ? 0.55 : 1;
        context.fillRect(0, from + inset, (room * sums.diagonal[actual]) / sums.rows[actual], length - 2 * inset);
        context.globalAlpha = 1;
      }
      if (!numbers) continue;
      context.fillStyle = sums.rows[actual] ? text : quiet;
      const share = (sums.diagonal[actual] / sums.rows[actual]) * 100;
      context.fillText(sums.rows[actual] ? share.toFixed(share >= 99.95 ? 0 : 1) : "–", width, from + length / 2);
    }
  }

  clear(state) {
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.recall.getContext("2d").clearRect(0, 0, this.recall.width, this.recall.height);
    this.canvas.classList.toggle("confusion-hatched", state === "missing");
  }

  outlineCells() {
    const { model, g } = this;
    const cell = model.cell();
    this.outlineOne(this.outline, cell && { row: model.place[cell.actual], column: model.columnPlace[cell.predicted] });
    this.outlineOne(this.hovered, this.pointer.cell);
    this.frame.classList.toggle("confusion-small", g.acrossPx < 6 || g.downPx < 6);
  }

  outlineOne(node, cell) {
    const { g } = this;
    const shown = cell && cell.row >= g.firstRow && cell.row <= g.lastRow && cell.column >= g.firstColumn && cell.column <= g.lastColumn;
    node.hidden = !shown;
    if (!shown) return;
    const width = Math.max(7, g.acrossPx);
    const height = Math.max(7, g.downPx);
    const x = g.columnEdge(cell.column) + (g.acrossPx - width) / 2;
    const y = g.rowEdge(cell.row) + (g.downPx - height) / 2;
    node.style.transform = `translate(${x}px, ${y}px)`;
    node.style.width = `${width}px`;
    node.style.height = `${height}px`;
  }

  tell(state) {
    const { model } = this;
    for (const node of [this.canvas, this.root]) {
      if (node.dataset.state !== state) node.dataset.state = state;
      if (state === "pending") node.removeAttribute("data-step");
      else if (node.dataset.step !== String(time.step)) node.dataset.step = time.step;
    }
    if (state === "ready") this.canvas.classList.remove("confusion-hatched");
    const reason = model.statistics.reason(time.index);
    const words = state === "missing" ? `Step ${grouped(time.step)}: ${reason}` : state === "pending" ? "loading" : "";
    write(this.message, words);
    this.message.hidden = !words;
    const { loaded, total, error } = model.statistics;
    const coming = loaded < total ? `${loaded} of ${total} steps loaded` : "";
    write(this.status, [model.orderProblem, coming, state === "ready" ? error : ""].filter(Boolean).join(" · "));
  }

  /** The selected cell in a sentence, for those who hear the page; when things have come to rest. */
  announce() {
    clearTimeout(this.announcing);
    this.announcing = setTimeout(() => {
      const cell = this.model.cell();
      const step = this.model.statistics && this.model.statistics.peek(time.index);
      if (!cell || !step) return;
      write(this.live, confusion.sentence(step, cell.actual, cell.predicted, time.step));
    }, 200);
  }

  /** Playing never outruns what is here. */
  gate(index) {
    const { statistics } = this.model;
    if (!statistics || (!statistics.overview && !statistics.error)) return true;
    const state = statistics.state(index);
    return state === "pending" ? false : state === "missing" ? "missing" : true;
  }

  waitingFor() {
    const { loaded, total } = this.model.statistics;
    return `waiting for statistics: ${loaded} of ${total} steps loaded`;
  }

  // --------------------------------------------------------------------------------------------------------- keys

  /** @returns {boolean} whether the key meant something here */
  key(event) {
    const { model } = this;
    if (!this.gd.on || event.ctrlKey || event.metaKey || event.altKey) return false;
    if (event.key === "+" || event.key === "=" || event.key === "-") {
      this.zoomBy(event.key === "-" ? 0.5 : 2);
      return true;
    }
    if (event.key === "Escape") {
      model.select(null, null);
      return true;
    }
    const cell = model.cell();
    if (event.key === "Enter" || event.key === " ") {
      if (cell && event.key === "Enter") window.dispatchEvent(new CustomEvent("mloscope-open-cell"));
      return Boolean(cell) && event.key === "Enter";
    }
    const large = event.shiftKey ? 10 : 1;
    const [down, across] = { ArrowUp: [-large, 0], ArrowDown: [large, 0], ArrowLeft: [0, -large], ArrowRight: [0, large] }[event.key] || [
      0, 0,
    ];
    const ends = event.key === "Home" || event.key === "End";
    if (!down && !across && !ends) return false;
    const last = { row: model.classes - 1, column: model.columns - 1 };
    let row = cell ? model.place[cell.actual] : Math.max(0, this.g.firstRow);
    let column = cell ? model.columnPlace[cell.predicted] : Math.max(0, this.g.firstColumn);
    if (cell) {
      row = Math.min(last.row, Math.max(0, row + down));
      column = ends ? (event.key === "Home" ? 0 : last.column) : Math.min(last.column, Math.max(0, column + across));
    }
    model.select(model.order[row], model.columnOrder[column], "replace");
    this.reveal(row, column);
    this.announce();
    return true;
  }
}

/** The first and last position of which something is in view; a cell reaches half a position to both sides. */
const firstOf = (from) => Math.max(0, Math.floor(from + 0.5));
const lastOf = (to, count) => Math.min(count - 1, Math.ceil(to + 0.5) - 1);

const textOf = (count, value, shade) => {
  if (shade === "count") return grouped(count);
  const percent = value * 100;
  if (count === 0) return "0";
  return percent >= 99.95 ? percent.toFixed(0) : percent < 0.1 ? percent.toFixed(2) : percent.toFixed(1);
};

const short = (name) => (name.length > LONGEST_LABEL ? `${name.slice(0, LONGEST_LABEL - 1)}…` : name);

/** Width in CSS pixels of the widest name along an axis. */
function longestLabel(names) {
  const context = document.createElement("canvas").getContext("2d");
  context.font = `${FONT_PX}px ${getComputedStyle(document.documentElement).getPropertyValue("--font")}`;
  return names.reduce((widest, name) => Math.max(widest, context.measureText(short(name)).width), 0);
}

function write(node, text) {
  if (node.textContent !== (text || "")) node.textContent = text || "";
}

/**
 * The React component behind components/browser_parts.py.
 * @param {{id: string, figures: {light: Object, dark: Object}}} props
 */
export const ConfusionMatrix = (props) => mounted("confusion-matrix", mount, props);

function mount(root, { figures }) {
  const matrix = new Matrix(root, figures);
  confusion.matrix = matrix;
  return () => {
    confusion.matrix = null;
    matrix.destroy();
  };
}
