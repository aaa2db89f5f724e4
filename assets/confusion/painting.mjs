/** The counts of one step on canvases that lie exactly over Plotly's plot area and beside it: one or two milliseconds a frame. */
import { context2d, isDark } from "mloscope/base/canvas.mjs";
import { element, token } from "mloscope/base/dom.mjs";
import { view } from "mloscope/base/view.mjs";
import { confusionCounts } from "mloscope/confusion/counts.mjs";
import { confusionDraw } from "mloscope/confusion/draw.mjs";
import { RATES_PX } from "mloscope/confusion/heat_map.mjs";
import { TEXT_UP_TO, textOf } from "mloscope/confusion/heat_map_values.mjs";
import { confusion } from "mloscope/confusion/state.mjs";
import { whatIs } from "mloscope/shell/glossary.mjs";

const BAR_PX = 12; // a bar of recall is no higher
const NUMBER_PX = 36; // room of a percentage
const RATES_NUMBERS_PX = 2 * NUMBER_PX + 8; // of recall, and of precision

export class Painting {
  /** @type {any} where positions lie, by Plotly's axes */ g = null;
  ceiling = 1;
  codes = new Uint8Array(0);
  image = new ImageData(1, 1);
  words = new Uint32Array(this.image.data.buffer);
  /** @type {Record<string, any>} by theme */ palettes = {};

  /** @param {{light: any, dark: any}} figures Plotly's, by theme: their colours are the canvas's */
  constructor(figures) {
    this.figures = figures;
    this.model = confusion;
    this.canvas = element("canvas", { class: "confusion-canvas", "aria-hidden": "true" });
    this.recall = element("canvas", { class: "confusion-recall", "aria-hidden": "true" });
    this.recallTitle = element("div", { class: "confusion-recall-title" }, [
      element("span", {}, ["recall", whatIs("recall")]),
      element("span", {}, ["precision", whatIs("precision")]),
    ]);
  }

  /** The canvases lie exactly over Plotly's plot area, and beside it. */
  fit(g, frame) {
    this.g = g;
    const { left, top, width, height } = g;
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
    place(frame, left, top, width, height);
    place(this.recall, left + width + 10, top, RATES_PX - 14, height);
    place(this.recallTitle, left + width + 10, top - 20, RATES_PX - 14, 16);
  }

  colours() {
    const theme = document.documentElement.dataset.theme === "dark" ? "dark" : "light";
    if (!this.palettes[theme]) {
      const colour = (name) => token(`--${name}`);
      const { colorscale } = this.figures[theme].data[0];
      this.palettes[theme] = {
        pixels: confusionDraw.palette(colorscale, { gap: colour("surface"), leftOut: colour("surface") }),
        text: colour("text"), quiet: colour("text-quiet"), accent: colour("accent"), line: colour("line"), font: colour("font"),
        sunken: colour("surface-sunken"),
      }; // prettier-ignore
    }
    return this.palettes[theme];
  }

  /** @param {any} step @param {number} ceiling the end of the shading */
  paint(step, ceiling) {
    this.ceiling = ceiling;
    const { model, g, canvas } = this;
    const { width, height } = canvas;
    const ratio = width / g.width;
    const { shade, diagonal } = view.get();
    const { pixels } = this.colours();
    if (this.codes.length !== width * height) this.codes = new Uint8Array(width * height);
    if (this.image.width !== width || this.image.height !== height) {
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
    const context = context2d(canvas);
    context.putImageData(this.image, 0, 0);
    const small = columns.from.length <= TEXT_UP_TO && rows.from.length <= TEXT_UP_TO;
    if (small && g.acrossPx >= 20 && g.downPx >= 13) this.writeCounts(context, ratio, step, confusionCounts.sums(step));
    if (model.groups) this.lines(context, ratio);
    this.drawRecall(step, rows, ratio);
  }

  /** Counts, or shares, in the cells. */
  writeCounts(context, ratio, step, sums) {
    const { model, g } = this;
    const { shade, diagonal } = view.get();
    const { ceiling } = this;
    const { pixels, quiet, text, font } = this.colours();
    const measure = confusionCounts.measure(step, shade);
    const size = Math.max(10, Math.min(14, g.acrossPx / 4, g.downPx * 0.6));
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
        const onDark = leftOut ? dark : isDark(parts(pixels[confusionDraw.code(value, ceiling)]));
        context.fillStyle = count === 0 || leftOut ? quiet : onDark === dark ? text : dark ? "#0d0f13" : "#ffffff";
        context.fillText(textOf(count, value, shade), ((g.columnEdge(column) + g.columnEdge(column + 1)) / 2) * ratio, y);
      }
    }
  }

  /** Where groups meet. */
  lines(context, ratio) {
    const { g } = this;
    context.fillStyle = this.colours().quiet;
    context.globalAlpha = 0.5;
    for (const { first } of this.model.groups || []) {
      if (first > g.firstColumn && first <= g.lastColumn)
        context.fillRect(Math.round(g.columnEdge(first) * ratio), 0, 1, this.canvas.height);
      if (first > g.firstRow && first <= g.lastRow) context.fillRect(0, Math.round(g.rowEdge(first) * ratio), this.canvas.width, 1);
    }
    context.globalAlpha = 1;
  }

  /** For each row in view, how many of the class's images are recognised (a bar), and of those predicted as the class how many are of it. */
  drawRecall(step, rows, ratio) {
    const { model, g } = this;
    const context = context2d(this.recall);
    const { width, height } = this.recall;
    const { accent, text, quiet, sunken, font } = this.colours();
    const sums = confusionCounts.sums(step);
    const numbers = g.downPx >= 13;
    const room = numbers ? width - RATES_NUMBERS_PX * ratio : width;
    this.recallTitle.classList.toggle("confusion-without-numbers", !numbers);
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
      const write = (of, right) => {
        context.fillStyle = of ? text : quiet;
        context.fillText(of ? ((sums.diagonal[actual] / of) * 100).toFixed(1) : "–", right, from + length / 2);
      };
      write(sums.rows[actual], room + NUMBER_PX * ratio);
      write(sums.columns[actual], width);
    }
  }

  clear(state) {
    const context = context2d(this.canvas);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context2d(this.recall).clearRect(0, 0, this.recall.width, this.recall.height);
    this.canvas.classList.toggle("confusion-hatched", state === "missing");
  }
}

/** Red, green and blue of a pixel. */
const parts = (pixel) => [pixel & 255, (pixel >> 8) & 255, (pixel >> 16) & 255];
