/** One matrix of confusion counts, or of their difference, on a canvas; in the colours, shading and numbers of the Confusion page. */
import { cleared, isDark } from "mloscope/base/canvas.mjs";
import { element, token, write } from "mloscope/base/dom.mjs";
import { grouped, typeset } from "mloscope/base/numbers.mjs";
import { pageData } from "mloscope/base/page_data.mjs";
import { view } from "mloscope/base/view.mjs";
import { confusionDraw } from "mloscope/confusion/draw.mjs";
import { colours } from "mloscope/films/colour_tables.mjs";

const ROOM_FOR_NUMBERS = { across: 20, down: 13 }; // pixels of a cell that holds its number
const NAME_PX = 13; // height of a name
const LONGEST_PX = 110; // of a name beside the matrix
const TITLE_PX = 16;
const SLANT = -Math.PI / 4;

/**
 * @typedef {object} Picture
 * @property {Float64Array} values by row
 * @property {number} classes
 * @property {number} columns of `values`: the classes, and images that are not predicted
 * @property {number} shown columns that are drawn; the last one only where it is not empty
 * @property {number} most the value at the end of the shading
 * @property {boolean} [centred] whether the values are differences: blue below 0, red above
 */

/** @typedef {{left: number, top: number, across: number, down: number, classes: number, columns: number, isSlanted: boolean}} Place */

/** One matrix on a canvas. */
export class CountMatrix {
  /** @type {Place | null} */ place = null;
  /** @type {any} */ owner;
  /** @type {any} */ side;

  constructor(owner, side, title) {
    Object.assign(this, { owner, side });
    this.title = element("span", { class: "film-title" }, [title]);
    this.canvas = element("canvas", { class: "compare-matrix-canvas", "data-state": "pending" });
    this.stage = element(
      "div",
      {
        class: "compare-matrix-stage",
        tabindex: 0,
        role: "application",
        "data-own-keys": true,
        "aria-label": `${title}: confusion matrix; arrow keys move, Enter selects`,
      },
      [this.canvas],
    );
    this.message = element("p", { class: "compare-matrix-message", role: "status", hidden: true });
    this.legend = element("p", { class: "quiet-text" });
    this.node = element("div", { class: "compare-matrix", "data-side": side }, [
      element("div", { class: "film-head" }, [this.title]),
      element("div", { class: "compare-matrix-box" }, [this.stage, this.message]),
      this.legend,
    ]);
    this.canvas.addEventListener("pointermove", (event) => owner.hover(this.at(event), event));
    this.canvas.addEventListener("pointerleave", () => owner.hover(null));
    this.canvas.addEventListener("click", (event) => owner.select(this.at(event)));
    this.stage.addEventListener("keydown", (event) => owner.key(event));
  }

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    const { place } = this;
    if (!place) return null;
    const column = Math.floor((event.clientX - box.left - place.left) / place.across);
    const row = Math.floor((event.clientY - box.top - place.top) / place.down);
    return column >= 0 && row >= 0 && row < place.classes && column < place.columns ? { actual: row, predicted: column } : null;
  }

  /**
   * @param {Picture | null} picture null where there is nothing to draw
   * @param {string[]} names of the classes
   * @param {number | null} step
   * @param {"ready" | "pending" | "missing"} state
   * @param {string} said in place of the picture
   * @param {string} legend
   * @param {string} heading which side, at which step, and its accuracy
   */
  draw(picture, names, step, state, said, legend, heading) {
    const { canvas } = this;
    write(this.title, heading);
    canvas.dataset.state = state;
    if (state === "ready") canvas.dataset.step = String(step);
    else canvas.removeAttribute("data-step");
    this.message.hidden = !said;
    write(this.message, said);
    write(this.legend, legend);
    canvas.hidden = !picture;
    if (!picture) return;
    const { clientWidth: width, clientHeight: height } = this.stage;
    Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
    const context = cleared(canvas, width, height);
    context.textBaseline = "middle";
    context.font = `11px ${token("--font")}`;
    const texts = Array.from({ length: picture.shown }, (_, at) => (at === picture.classes ? "not predicted" : String(names[at] ?? at)));
    const place = (this.place = placeOf(context, picture, texts, width, height));
    canvas.dataset.geometry = JSON.stringify(place);
    drawNames(context, picture, place, texts);
    drawCells(context, picture, place);
    this.drawFrames(context, place);
  }

  /** Frames around the cells that are selected, under the keys' cursor and under the pointer. */
  drawFrames(context, place) {
    const { owner } = this;
    const frame = (mark, line, dash) => {
      if (!mark || mark.actual >= place.classes || mark.predicted >= place.columns) return;
      context.strokeStyle = line;
      context.lineWidth = 2;
      context.setLineDash(dash);
      const { left, top, across, down } = place;
      context.strokeRect(left + mark.predicted * across - 0.5, top + mark.actual * down - 0.5, across, down);
    };
    frame(owner.selected(), token("--accent"), []);
    frame(owner.cursor, token("--text"), [3, 2]);
    frame(owner.over, token("--text"), []);
  }
}

/** Where the cells lie: they fill what the names leave. @returns {Place} */
function placeOf(context, { classes, shown }, texts, width, height) {
  const longest = Math.max(...texts.map((text) => context.measureText(text).width));
  const left = Math.min(LONGEST_PX, longest) + NAME_PX + 8; // and the name of the axis
  const across = Math.max(1, (width - left - 1) / shown);
  const isSlanted = longest + 6 > across;
  const top = TITLE_PX + (isSlanted ? Math.min(LONGEST_PX, longest) * 0.71 + NAME_PX : NAME_PX + 4);
  return { left, top, across, down: Math.max(1, (height - top - 1) / classes), classes, columns: shown, isSlanted };
}

const paletteOf = () =>
  confusionDraw.palette(pageData("confusion-shades")[document.documentElement.dataset.theme === "dark" ? "dark" : "light"], {
    gap: token("--surface"),
    leftOut: token("--surface"),
  });

/** What colour a value has, as red, green and blue. @param {Picture} picture @returns {(value: number) => number[]} */
function shadingOf({ most, centred }) {
  if (centred) {
    const table = colours.table("blue-red");
    return (value) => {
      const at = 3 * Math.round(((value / (most || 1) + 1) / 2) * 255);
      return [...table.subarray(at, at + 3)];
    };
  }
  const palette = paletteOf();
  return (value) => {
    const pixel = palette[confusionDraw.code(value, most || 1)];
    return [pixel & 255, (pixel >> 8) & 255, (pixel >> 16) & 255];
  };
}

/** @param {CanvasRenderingContext2D} context @param {Picture} picture @param {Place} place */
function drawCells(context, picture, { left, top, across, down }) {
  const { classes, columns, values, shown, centred } = picture;
  const shade = shadingOf(picture);
  const without = view.get().diagonal === "off" && !centred;
  const gap = across > 7 && down > 7 ? 1 : 0;
  const hasNumbers = across >= ROOM_FOR_NUMBERS.across && down >= ROOM_FOR_NUMBERS.down;
  const [quiet, surface] = [token("--text-quiet"), token("--surface")];
  context.font = `${Math.max(10, Math.min(14, across / 3.5, down * 0.6))}px ${token("--font")}`;
  context.textAlign = "center";
  for (let row = 0; row < classes; row += 1) {
    for (let column = 0; column < shown; column += 1) {
      const value = values[row * columns + column];
      const leftOut = without && row === column;
      const colour = shade(value);
      context.fillStyle = leftOut ? surface : `rgb(${colour})`;
      const [x, y] = [left + column * across, top + row * down];
      context.fillRect(x, y, across - gap, down - gap);
      if (!hasNumbers) continue;
      const lightest = isDark(colour) ? "#ffffff" : "#16191f";
      context.fillStyle = leftOut || (!value && !centred) ? quiet : lightest;
      context.fillText(signed(value, centred), x + across / 2, y + down / 2, across - 2);
    }
  }
}

/** Names of the axes, of rows and columns, as many as have room. */
function drawNames(context, { classes, shown }, { left, top, across, down, isSlanted }, texts) {
  context.fillStyle = token("--text-quiet");
  const rotated = (x, y, angle, text, align) => {
    context.save();
    context.translate(x, y);
    context.rotate(angle);
    context.textAlign = align;
    context.fillText(text, 0, 0, LONGEST_PX);
    context.restore();
  };
  rotated(6, top + (classes * down) / 2, -Math.PI / 2, "true class", "center");
  rotated(left + (shown * across) / 2, TITLE_PX / 2, 0, "predicted class", "center");
  const every = Math.max(1, Math.ceil(NAME_PX / down));
  for (let row = 0; row < classes; row += every) rotated(left - 5, top + (row + 0.5) * down, 0, texts[row], "right");
  const everyColumn = Math.max(1, Math.ceil(NAME_PX / across));
  for (let column = 0; column < shown; column += everyColumn) {
    const x = left + (column + 0.5) * across;
    if (isSlanted) rotated(x, top - 5, SLANT, texts[column], "left");
    else rotated(x, top - NAME_PX / 2 - 2, 0, texts[column], "center");
  }
}

export const signed = (value, isDifference) => (isDifference && value > 0 ? `+${grouped(value)}` : typeset(grouped(value)));

/** A sparse matrix as numbers by row; a last column where some images were not predicted. */
export function dense({ cells, counts, images, classes }) {
  const columns = classes + 1;
  let shown = classes;
  let correct = 0;
  const values = new Float64Array(classes * columns);
  const rows = new Float64Array(classes);
  for (let at = 0; at < cells.length; at += 1) {
    values[cells[at]] = counts[at];
    rows[Math.floor(cells[at] / columns)] += counts[at];
    if (cells[at] % columns === classes) shown = columns;
    if (cells[at] % columns === Math.floor(cells[at] / columns)) correct += counts[at];
  }
  return {
    values,
    classes,
    columns,
    shown,
    images,
    accuracy: images ? correct / images : NaN,
    largest: rows.reduce((most, count) => Math.max(most, count), 0),
  };
}
