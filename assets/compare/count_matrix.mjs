/** One matrix of confusion counts, or of their difference, on a canvas. */
import { cleared, isDark } from "mloscope/base/canvas.mjs";
import { element, token, write } from "mloscope/base/dom.mjs";
import { grouped, typeset } from "mloscope/base/numbers.mjs";
import { view } from "mloscope/base/view.mjs";
import { colours } from "mloscope/films/colour_tables.mjs";

const NUMBER_PX = 22; // cells at least this large hold their number
const LABEL_PX = 64;
const TOP_PX = 18;

/**
 * @typedef {object} Picture
 * @property {Float64Array} values by row
 * @property {number} classes
 * @property {number} columns of `values`: the classes, and images that are not predicted
 * @property {number} shown columns that are drawn; the last one only where it is not empty
 * @property {number[]} span values at the ends of the colour table
 * @property {string} table the colour table
 * @property {boolean} [centred] whether the values are differences
 */

/** One matrix on a canvas. */
export class CountMatrix {
  /** @type {any} */ place;
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
    const column = Math.floor((event.clientX - box.left - LABEL_PX) / place.cell);
    const row = Math.floor((event.clientY - box.top - TOP_PX) / place.cell);
    return column >= 0 && row >= 0 && row < place.classes && column < place.columns ? { actual: row, predicted: column } : null;
  }

  /**
   * @param {Picture | null} picture null where there is nothing to draw
   * @param {string[]} names of the classes
   * @param {number | null} step
   * @param {"ready" | "pending" | "missing"} state
   * @param {string} said in place of the picture
   * @param {string} legend
   */
  draw(picture, names, step, state, said, legend) {
    const { canvas } = this;
    canvas.dataset.state = state;
    if (state === "ready") canvas.dataset.step = String(step);
    else canvas.removeAttribute("data-step");
    this.message.hidden = !said;
    write(this.message, said);
    write(this.legend, legend);
    canvas.hidden = !picture;
    if (!picture) return;
    const { classes, shown } = picture;
    const room = [this.stage.clientWidth - LABEL_PX - 4, this.stage.clientHeight - TOP_PX - 4];
    const cell = Math.max(1, Math.floor(Math.min(room[0] / shown, room[1] / classes)));
    this.place = { cell, classes, columns: shown };
    const [width, height] = [LABEL_PX + cell * shown + 1, TOP_PX + cell * classes + 1];
    Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
    const context = cleared(canvas, width, height);
    context.font = `11px ${token("--font")}`;
    context.textBaseline = "middle";
    drawCells(context, picture, cell);
    drawNames(context, picture, cell, names);
    this.drawFrames(context);
  }

  /** Frames around the cells that are selected, under the keys' cursor and under the pointer. */
  drawFrames(context) {
    const { owner, place } = this;
    const frame = (mark, line, dash) => {
      if (!mark || mark.actual >= place.classes || mark.predicted >= place.columns) return;
      context.strokeStyle = line;
      context.lineWidth = 2;
      context.setLineDash(dash);
      context.strokeRect(LABEL_PX + mark.predicted * place.cell - 0.5, TOP_PX + mark.actual * place.cell - 0.5, place.cell, place.cell);
    };
    frame(owner.selected(), token("--accent"), []);
    frame(owner.cursor, token("--text"), [3, 2]);
    frame(owner.over, token("--text"), []);
  }
}

/** @param {CanvasRenderingContext2D} context @param {Picture} picture @param {number} cell pixels of its edge */
function drawCells(context, picture, cell) {
  const { classes, columns, values, shown, centred } = picture;
  const table = colours.table(picture.table);
  const [lo, hi] = picture.span;
  const without = view.get().diagonal === "off";
  const edge = cell > 3 ? cell - 1 : cell;
  for (let row = 0; row < classes; row += 1) {
    for (let column = 0; column < shown; column += 1) {
      const value = values[row * columns + column];
      const shade = without && row === column && !centred ? 0 : hi > lo ? Math.round(((value - lo) / (hi - lo)) * 255) : 128;
      const at = 3 * Math.min(255, Math.max(0, shade));
      context.fillStyle = `rgb(${table[at]},${table[at + 1]},${table[at + 2]})`;
      const [x, y] = [LABEL_PX + column * cell, TOP_PX + row * cell];
      context.fillRect(x, y, edge, edge);
      if (cell < NUMBER_PX || !value) continue;
      context.fillStyle = isDark([...table.subarray(at, at + 3)]) ? "#ffffff" : "#16191f";
      context.textAlign = "center";
      context.fillText(signed(value, centred), x + cell / 2, y + cell / 2, cell - 2);
    }
  }
}

/** Names of rows and columns, as many as have room. */
function drawNames(context, { classes, shown }, cell, names) {
  context.fillStyle = token("--text-quiet");
  const every = Math.max(1, Math.ceil(13 / cell));
  for (let index = 0; index < classes; index += every) {
    context.textAlign = "right";
    context.fillText(short(names[index] ?? index, 9), LABEL_PX - 5, TOP_PX + (index + 0.5) * cell);
  }
  const across = Math.max(1, Math.ceil(34 / cell));
  for (let index = 0; index < shown; index += across) {
    context.textAlign = "center";
    context.fillText(short(index === classes ? "none" : (names[index] ?? index), 5), LABEL_PX + (index + 0.5) * cell, TOP_PX / 2);
  }
}

const short = (text, most) => (String(text).length > most ? `${String(text).slice(0, most - 1)}…` : String(text));
export const signed = (value, isDifference) => (isDifference && value > 0 ? `+${grouped(value)}` : typeset(grouped(value)));

/** A sparse matrix as numbers by row; a last column where some images were not predicted. */
export function dense({ cells, counts, images, classes }) {
  const columns = classes + 1;
  let shown = classes;
  const values = new Float64Array(classes * columns);
  const rows = new Float64Array(classes);
  for (let at = 0; at < cells.length; at += 1) {
    values[cells[at]] = counts[at];
    rows[Math.floor(cells[at] / columns)] += counts[at];
    if (cells[at] % columns === classes) shown = columns;
  }
  return { values, classes, columns, shown, images, largest: rows.reduce((most, count) => Math.max(most, count), 0) };
}
