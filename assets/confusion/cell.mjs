/**
 * The selected cell: the component ConfusionCell. Its count at this step, at every step as a sparkline, and all of its images.
 */
import { labelled } from "mloscope/base/controls.mjs";
import { component, element, write } from "mloscope/base/dom.mjs";
import { grouped, ofStep } from "mloscope/base/numbers.mjs";
import { Spark } from "mloscope/base/spark.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { view } from "mloscope/base/view.mjs";
import { confusionCounts } from "mloscope/confusion/counts.mjs";
import { ConfusionImages } from "mloscope/confusion/images.mjs";
import { confusion } from "mloscope/confusion/state.mjs";
import { pageChoice } from "mloscope/images/pages.mjs";

class Cell {
  /** @type {HTMLParagraphElement} */ hint;
  /** @type {HTMLHeadingElement} */ title;
  /** @type {HTMLParagraphElement} */ sentence;
  spark = new Spark();
  /** @type {HTMLSelectElement} */ order;
  /** @type {any} */ images;
  /** @type {HTMLDivElement} */ body;
  /** @type {any} */ count;
  /** @type {any} */ shown;
  /** @type {any} */ asking;

  constructor(root) {
    this.root = root;
    this.model = confusion;
    this.build();
    const open = () => this.images.focus() || (this.wantsFocus = true);
    window.addEventListener("mloscope-open-cell", open);
    this.undo = [
      this.model.follow((model, changed) => this.change(changed)),
      view.subscribe((view, changed) => changed.includes("cell-order") && this.change(["cell-order"])),
      time.subscribe(() => this.move()),
      time.onSettled(() => this.settle()),
      () => window.removeEventListener("mloscope-open-cell", open),
      () => clearTimeout(this.asking),
    ];
  }

  destroy() {
    this.images.destroy();
    for (const undo of this.undo) undo();
    this.root.replaceChildren();
  }

  build() {
    this.hint = element("p", { class: "quiet-text confusion-hint" }, [
      "Point at a cell for a sample of its images. Click it, or use the arrow keys and Enter, for all of them.",
    ]);
    this.title = element("h2", { class: "panel-title confusion-cell-title" });
    this.sentence = element("p", { class: "confusion-cell-sentence" });
    this.order = pageChoice("cell-order", "Order of the images", "cell-offset");
    const place = element("div", { class: "confusion-cell-images" });
    this.images = new ConfusionImages(place, "cell-offset");
    this.body = element("div", {}, [
      this.sentence,
      element("h3", { class: "panel-subtitle" }, ["its count over all steps"]),
      this.spark.node, element("div", { class: "confusion-orders" }, [labelled("order", this.order)]), place,
    ]); // prettier-ignore
    this.root.append(this.title, this.hint, this.body);
  }

  change(changed) {
    this.order.value = view.get()["cell-order"];
    this.drawCourse();
    this.move();
    if (changed.includes("actual") || changed.includes("predicted")) this.images.forget();
    this.settle();
  }

  get cell() {
    return this.model.cell();
  }

  /** Count at every step that is here; broken where there is none. */
  drawCourse() {
    const { cell, model } = this;
    if (!cell) return;
    const course = time.checkpoints.map((_, index) => {
      const step = model.statistics.peek(index);
      return step ? confusionCounts.count(step, cell.actual, cell.predicted) : null;
    });
    const known = course.filter((count) => count !== null);
    const [least, most] = [Math.min(...known), Math.max(...known)];
    const label = known.length ? `Between ${grouped(least)} and ${grouped(most)} images over ${known.length} steps` : "";
    this.spark.draw(course, Math.max(1, most), label);
  }

  /** Every frame: the sentence, the cursor. */
  move() {
    const { cell, model } = this;
    this.hint.hidden = Boolean(cell);
    this.body.hidden = !cell;
    write(
      this.title,
      !cell
        ? "Cell"
        : cell.actual === cell.predicted
          ? model.name(cell.actual)
          : `${model.name(cell.actual)} → ${model.name(cell.predicted)}`,
    );
    if (!cell) {
      this.root.removeAttribute("data-step");
      return;
    }
    const step = model.statistics.peek(time.index);
    const reason = model.statistics.reason(time.index);
    write(this.sentence, step ? model.sentence(step, cell.actual, cell.predicted, time.step) : reason ? ofStep(time.step, reason) : "…");
    this.count = step ? confusionCounts.count(step, cell.actual, cell.predicted) : 0;
    this.root.dataset.step = time.step;
    this.root.dataset.count = this.count;
    this.spark.move();
    if (this.shown !== time.index) {
      this.shown = time.index;
      this.images.hold(this.count);
    }
  }

  /** Time rests: the images. */
  settle() {
    clearTimeout(this.asking);
    this.asking = setTimeout(() => this.ask(), 40); // arrow keys held down ask for the last cell only
  }

  ask() {
    const { cell, model } = this;
    const { index, playing, step: atStep } = time;
    const step = cell && model.statistics.peek(index);
    if (!cell || !step || playing) {
      this.images.forget();
      return;
    }
    const order = view.get()["cell-order"];
    const shows = `${cell.actual},${cell.predicted}@${atStep}/${order}/${(model.statistics.entry(index) || {}).key}`;
    this.images.show(shows, this.count, async (offset, limit, signal) => {
      const found = await model.cellImages(index, cell.actual, cell.predicted, { order, offset, limit }, signal);
      if (this.wantsFocus) setTimeout(() => this.images.focus(), 0);
      this.wantsFocus = false;
      return found;
    });
  }
}

/** The React component behind components/browser_parts.py. */
export const ConfusionCell = component("confusion-cell", Cell);
