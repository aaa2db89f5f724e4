/**
 * The confusion matrix: the component ConfusionMatrix.
 *
 *     figure (components/figures/confusion_heat_map.py) ──► Plotly: axes, zoom, pan, colour bar, export; values when time settles
 *     time bus ──every frame──► counts from memory ──► a canvas laid exactly over Plotly's plot area, in Plotly's own colours
 *
 * Plotly takes 80 ms and more to draw; the canvas takes one or two. The canvas covers the heat map, so that what is seen is always the step
 * wanted: data-state is ready, pending or missing, and data-step is the step whose counts are on it (absent while pending).
 */
import { component, element, oncePerFrame, write } from "mloscope/base/dom.mjs";
import { keyTable } from "mloscope/base/keys.mjs";
import { ofStep } from "mloscope/base/numbers.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { view } from "mloscope/base/view.mjs";
import { confusionCounts } from "mloscope/confusion/counts.mjs";
import { HeatMap } from "mloscope/confusion/heat_map.mjs";
import { TEXT_UP_TO } from "mloscope/confusion/heat_map_values.mjs";
import { Painting } from "mloscope/confusion/painting.mjs";
import { ConfusionPointer } from "mloscope/confusion/pointer.mjs";
import { confusion } from "mloscope/confusion/state.mjs";

const AROUND = 10; // classes before and after one that is searched for

const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Home: [0, -Infinity], End: [0, Infinity] };
const ARROWS = Object.keys(MOVES).filter((key) => key.startsWith("Arrow"));
const matrixKeys = keyTable("Confusion matrix", [
  { keys: ARROWS, does: "the cell beside", act: (matrix, { key }) => matrix.moveCell(MOVES[key]) },
  { keys: ARROWS.map((key) => `Shift+${key}`), does: "ten cells on", act: (matrix, { key }) => matrix.moveCell(MOVES[key], 10) },
  { keys: ["Home", "End"], does: "first or last cell of the row", act: (matrix, { key }) => matrix.moveCell(MOVES[key]) },
  {
    keys: ["Enter"],
    does: "to the images of the cell",
    act: ({ model }) => Boolean(model.cell()) && window.dispatchEvent(new CustomEvent("mloscope-open-cell")),
  },
  { keys: ["Escape"], does: "select no cell", act: () => view.set({ actual: null, predicted: null, "cell-offset": 0 }) },
  { keys: ["+", "=", "-"], does: "zoom in or out", act: ({ heatMap }, { key }) => heatMap.zoomBy(key === "-" ? 0.5 : 2) },
]);

class Matrix {
  /** @type {any[]} counts of all steps that are here */ steps = [];
  /** @type {string | null} what the ceiling was made from */ scaleKey = null;
  ceiling = 1;
  later = oncePerFrame(() => this.draw());
  /** @type {number | undefined} */ announcing;
  /** @type {any} where positions lie on screen */ g = null;

  /**
   * @param {HTMLElement} root
   * @param {{figures: {light: any, dark: any}}} props Plotly's {data, layout} by theme
   */
  constructor(root, { figures }) {
    this.root = root;
    this.model = confusion;
    this.painting = new Painting(figures);
    this.outline = element("div", { class: "confusion-outline", hidden: true });
    this.hovered = element("div", { class: "confusion-outline confusion-outline-hover", hidden: true });
    this.frame = element("div", { class: "confusion-frame" }, [this.hovered, this.outline]);
    this.message = element("p", { class: "confusion-message", role: "status", hidden: true });
    this.status = element("p", { class: "confusion-status", role: "status" });
    this.live = element("p", { class: "only-for-screen-readers", "aria-live": "polite" });
    const { canvas, recall, recallTitle } = this.painting;
    this.canvas = canvas;
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
      [canvas, recall, recallTitle, this.frame, this.message],
    );
    root.append(this.stage, this.status, this.live);
    this.pointer = new ConfusionPointer(this);
    /** @type {HeatMap} */
    this.heatMap = new HeatMap(this.stage, figures, this);
    confusion.matrix = this;
    this.undo = [
      this.model.follow((model, changed) => this.change(changed)),
      time.subscribe(() => this.draw()),
      time.onSettled((index) => {
        this.heatMap.settle(index);
        this.announce();
      }),
      time.addGate(
        (index) => this.gate(index),
        () => this.waitingFor(),
      ),
      () => this.later.cancel(),
      () => this.heatMap.destroy(),
    ];
  }

  destroy() {
    confusion.matrix = null;
    this.pointer.destroy();
    for (const undo of this.undo) undo();
    this.root.replaceChildren();
  }

  get isPlotted() {
    return Boolean(this.heatMap) && this.heatMap.isPlotted;
  }

  /** Where positions lie on screen, in CSS pixels of the stage; by Plotly's axes. */
  geometry() {
    return this.heatMap.geometry();
  }

  /** Pan so far that a cell is in view. @param {number} row @param {number} column positions */
  reveal(row, column) {
    if (this.isPlotted) this.heatMap.reveal(row, column);
  }

  draw() {
    const { model, painting } = this;
    if (!this.isPlotted || !this.heatMap.gd._fullLayout || !model.statistics) return;
    const step = model.statistics.step(time.index);
    const state = step && step.classes !== model.classes ? "pending" : model.statistics.state(time.index);
    this.g = this.geometry();
    painting.fit(this.g, this.frame);
    if (state === "ready") painting.paint(step, this.scale().ceiling);
    else painting.clear(state);
    this.outlineCells();
    this.tell(state);
    this.pointer.follow();
  }

  change(changed) {
    this.steps = this.model.steps();
    this.scaleKey = null;
    this.heatMap.change(changed);
    this.announce();
    this.later();
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

  /** @returns {null | {row: number, column: number}} the cell under a point of the stage */
  cellAt(x, y) {
    if (!this.isPlotted) return null;
    const g = this.geometry();
    if (x < g.left || y < g.top || x >= g.left + g.width || y >= g.top + g.height) return null;
    const ranges = this.heatMap.ranges();
    const column = Math.round((x - g.left) / g.acrossPx + ranges.x[0]);
    const row = Math.round((y - g.top) / g.downPx + ranges.y[1]);
    return row < 0 || column < 0 || row >= this.model.classes || column >= this.model.columns ? null : { row, column };
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
    const words = state === "missing" ? ofStep(time.step, reason) : state === "pending" ? "loading" : "";
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

  /** Show a class among its neighbours, and select its cell on the diagonal. */
  showClass(number) {
    const { model } = this;
    const around = (place, count) => [Math.max(0, place - AROUND), Math.min(count - 1, place + AROUND)];
    model.select(number, number);
    if (model.classes > TEXT_UP_TO) {
      this.heatMap.goTo(around(model.place[number], model.classes), around(model.columnPlace[number], model.columns));
    }
    this.stage.focus({ preventScroll: true });
  }

  /** @returns {boolean} whether the key meant something here */
  key(event) {
    return this.isPlotted && matrixKeys(this, event);
  }

  /** Another cell: so many rows and columns on. */
  moveCell([down, across], far = 1) {
    const { model } = this;
    const cell = model.cell();
    let row = cell ? model.place[cell.actual] : Math.max(0, this.g.firstRow);
    let column = cell ? model.columnPlace[cell.predicted] : Math.max(0, this.g.firstColumn);
    if (cell) {
      row = Math.min(model.classes - 1, Math.max(0, row + down * far));
      column = Math.min(model.columns - 1, Math.max(0, column + across * far));
    }
    model.select(model.order[row], model.columnOrder[column], "replace");
    this.heatMap.reveal(row, column);
    this.announce();
  }
}

/**
 * The React component behind components/browser_parts.py.
 * @param {{id: string, figures: {light: any, dark: any}}} props
 */
export const ConfusionMatrix = component("confusion-matrix", Matrix);
