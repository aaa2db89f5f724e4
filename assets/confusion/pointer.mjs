/**
 * What the pointer and the keys do on the confusion matrix: `ConfusionPointer`. Over a cell, a card says what is in it and shows a
 * sample of its images at once; a click selects it. Plotly's own dragging (zoom, pan) goes on undisturbed.
 */
import { element, placeBeside } from "mloscope/base/dom.mjs";
import { counted, grouped, percentOf } from "mloscope/base/numbers.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { confusionCounts } from "mloscope/confusion/counts.mjs";
import { imageRecords } from "mloscope/images/records.mjs";

const CLICK_PX = 4;
const REST_MS = 40; // a pointer that crosses cells faster than this is on its way elsewhere, and asks for nothing until it rests
const SAMPLE = 6; // as many as a browser fetches at a time: all are seen at once
const EDGE = 64;

export class ConfusionPointer {
  /** @type {HTMLElement} */ title;
  /** @type {HTMLSpanElement} */ fact;
  /** @type {HTMLDivElement} */ sample;
  /** @type {HTMLSpanElement} */ more;
  /** @type {HTMLDivElement} */ card;
  /** @type {any} */ at;
  /** @type {any} */ entered;
  /** @type {any} */ timer;
  /** @type {any} */ count;
  /** @type {any} */ abort;
  /** @type {any} */ pressed;

  constructor(matrix) {
    this.matrix = matrix;
    this.cell = null; // {row, column} under the pointer
    this.settled = true;
    this.build();
    const { stage } = matrix;
    const listen = (target, type, act, options) => {
      target.addEventListener(type, act, options);
      return () => target.removeEventListener(type, act, options);
    };
    this.undo = [
      listen(stage, "pointermove", (event) => this.move(event), { passive: true }),
      listen(stage, "pointerleave", () => this.leave()),
      listen(stage, "pointerdown", (event) => this.down(event), true),
      listen(window, "pointerup", (event) => this.up(event), true),
      listen(stage, "keydown", (event) => {
        if (event.target === stage && matrix.key(event)) event.preventDefault();
      }),
      time.subscribe(() => this.stale()),
      time.onSettled(() => this.rest()),
      () => clearTimeout(this.timer),
      () => this.card.remove(),
    ];
  }

  destroy() {
    for (const undo of this.undo) undo();
  }

  build() {
    this.title = element("strong", { class: "confusion-card-title" });
    this.fact = element("span", { class: "confusion-card-fact" });
    this.sample = element("div", { class: "confusion-card-sample" });
    this.more = element("span", { class: "confusion-card-fact" });
    this.card = element("div", { class: "confusion-card", hidden: true }, [this.title, this.fact, this.sample, this.more]);
    document.body.append(this.card);
  }

  move(event) {
    const box = this.matrix.stage.getBoundingClientRect();
    this.at = { x: event.clientX, y: event.clientY };
    const cell = event.buttons ? null : this.matrix.cellAt(event.clientX - box.left, event.clientY - box.top);
    const same = cell && this.cell && cell.row === this.cell.row && cell.column === this.cell.column;
    if (!same) this.enter(cell);
    else this.place();
  }

  enter(cell) {
    this.cell = cell;
    this.matrix.outlineCells();
    this.follow();
    this.stale();
    clearTimeout(this.timer);
    const now = performance.now();
    const hurries = now - (this.entered ?? -Infinity) < REST_MS;
    this.entered = now;
    if (cell && hurries) this.timer = setTimeout(() => this.rest(), REST_MS);
    else if (cell) this.rest();
  }

  leave() {
    if (this.cell) this.enter(null);
  }

  /** Words of the card, for the step that is drawn. */
  follow() {
    const { model } = this.matrix;
    const step = this.cell && model.statistics && model.statistics.peek(time.index);
    this.card.hidden = !step;
    if (!step) return;
    const actual = model.order[this.cell.row];
    const predicted = model.columnOrder[this.cell.column];
    const { rows, columns } = confusionCounts.sums(step);
    this.count = confusionCounts.count(step, actual, predicted);
    this.title.textContent = actual === predicted ? model.name(actual) : `${model.name(actual)} → ${model.name(predicted)}`;
    const images = counted(this.count, "image");
    this.fact.textContent = `${images} · ${percentOf(this.count, rows[actual])} of the true class · ${percentOf(this.count, columns[predicted])} of the column`;
    this.card.dataset.cell = `${actual},${predicted}`;
    this.place();
  }

  place() {
    if (!this.card.hidden && this.at) placeBeside(this.card, this.at);
  }

  /** The images on the card are those of another cell or step: they go at once. */
  stale() {
    if (this.abort) this.abort.abort();
    this.abort = null;
    this.card.removeAttribute("data-sampled");
    this.sample.replaceChildren();
    this.more.textContent = "";
  }

  /** Pointer and time rest: a sample of the images. */
  async rest() {
    const { model } = this.matrix;
    const { cell } = this;
    if (!cell || !model.statistics || !model.statistics.peek(time.index) || time.playing) return;
    const actual = model.order[cell.row];
    const predicted = model.columnOrder[cell.column];
    if (!this.count || this.card.dataset.sampled === `${actual},${predicted},${time.step}`) return;
    const { index } = time;
    this.stale();
    const abort = (this.abort = new AbortController());
    try {
      const found = await model.cellImages(index, actual, predicted, { order: "confident", limit: SAMPLE }, abort.signal);
      if (abort.signal.aborted || cell !== this.cell || index !== time.index) return;
      this.card.dataset.sampled = `${actual},${predicted},${time.step}`;
      const { corpus } = model.statistics;
      this.sample.replaceChildren(
        ...found.images.slice(0, SAMPLE).map((image) => {
          const src = corpus ? imageRecords.picture(corpus, image.id, EDGE) : null;
          return src ? element("img", { src, alt: image.name }) : element("span", {}, [image.name]);
        }),
      );
      const others = found.total - found.images.length;
      this.more.textContent = others > 0 ? `and ${grouped(others)} more: click` : "";
    } catch (error) {
      if (error.name === "AbortError" || abort.signal.aborted) return;
      this.more.textContent = error.message;
    }
    this.place();
  }

  down(event) {
    this.pressed = event.button === 0 ? { x: event.clientX, y: event.clientY } : null;
    if (this.cell) this.enter(null);
  }

  up(event) {
    const { pressed } = this;
    this.pressed = null;
    if (!pressed || Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y) > CLICK_PX) return;
    const box = this.matrix.stage.getBoundingClientRect();
    const cell = this.matrix.cellAt(event.clientX - box.left, event.clientY - box.top);
    if (!cell) return;
    const { model } = this.matrix;
    model.select(model.order[cell.row], model.columnOrder[cell.column]);
    this.matrix.announce();
  }
}
