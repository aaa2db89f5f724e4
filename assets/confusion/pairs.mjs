/** The most confused pairs of classes and the fastest growing ones, beside the matrix: the component ConfusionPairs. They follow the slider. */
import { segments } from "mloscope/base/controls.mjs";
import { component, element, hit, write } from "mloscope/base/dom.mjs";
import { grouped } from "mloscope/base/numbers.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { view } from "mloscope/base/view.mjs";
import { confusionCounts } from "mloscope/confusion/counts.mjs";
import { Since, markLong } from "mloscope/confusion/since.mjs";
import { confusion } from "mloscope/confusion/state.mjs";

const PAIRS = 12;
const MOST_PAIRS = 200;

class Pairs {
  /** @type {ReturnType<typeof segments>} */ kinds;
  /** @type {HTMLDivElement} */ place;
  /** @type {any} */ since;
  /** @type {HTMLOListElement} */ list;
  /** @type {HTMLParagraphElement} */ none;
  /** @type {HTMLButtonElement} */ more;

  constructor(root) {
    this.root = root;
    this.model = confusion;
    this.limit = PAIRS;
    this.build();
    this.undo = [this.model.follow((model) => this.change(model)), time.subscribe(() => this.draw())];
  }

  destroy() {
    for (const undo of this.undo) undo();
    this.root.replaceChildren();
  }

  build() {
    this.kinds = segments("Which pairs of classes", view.choices("pairs"), (value) => view.set({ pairs: value }));
    this.place = element("div", {});
    this.since = new Since(this.place, "since ");
    this.list = element("ol", { class: "confusion-pairs-list" });
    this.none = element("p", { class: "quiet-text", hidden: true });
    this.more = element("button", { type: "button", class: "confusion-more" }, ["show more"]);
    this.more.addEventListener("click", () => {
      this.limit = Math.min(MOST_PAIRS, this.limit * 4);
      this.draw();
    });
    this.list.addEventListener("click", (event) => {
      const row = hit(event, "[data-cell]");
      if (!row) return;
      const [actual, predicted] = String(row.dataset.cell).split(",").map(Number);
      this.model.select(actual, predicted);
      const { matrix } = this.model;
      if (matrix) matrix.reveal(this.model.place[actual], this.model.columnPlace[predicted]);
    });
    this.root.append(this.kinds.node, this.place, this.list, this.none, this.more);
  }

  get growing() {
    return view.get().pairs === "growing";
  }

  change(model) {
    markLong(this.root, model.names);
    this.draw();
  }

  draw() {
    const { model } = this;
    const { statistics } = model;
    if (!statistics || !statistics.overview) return;
    this.kinds.show(view.get().pairs);
    this.place.hidden = !this.growing;
    const step = statistics.peek(time.index);
    const sinceIndex = model.sinceIndex();
    const earlier = this.growing && sinceIndex !== null ? statistics.step(sinceIndex) : null;
    if (this.growing) this.since.show(statistics);
    let pairs = [];
    let none = "";
    if (!step) none = statistics.reason(time.index) || "…";
    else if (!this.growing) pairs = confusionCounts.mostConfusedPairs(step, this.limit);
    else if (sinceIndex === null) none = "There is no step before this one.";
    else if (!earlier) none = statistics.reason(sinceIndex) || "…";
    else pairs = confusionCounts.fastestGrowing(earlier, step, this.limit);
    if (step && !pairs.length && !none) none = this.nothing(step);
    this.fill(pairs);
    write(this.none, none);
    this.none.hidden = !none;
    this.more.hidden = pairs.length < this.limit || this.limit >= MOST_PAIRS;
    if (step) this.root.dataset.step = time.step;
    else this.root.removeAttribute("data-step");
  }

  nothing(step) {
    if (!step.images) return this.model.uncounted(step) || "There are no images with classes.";
    return this.growing ? "No pair has grown." : "Nothing is confused.";
  }

  /** Rows are kept and rewritten: this runs on every frame. */
  fill(pairs) {
    const { list, model } = this;
    while (list.children.length > pairs.length) list.children[list.children.length - 1].remove();
    while (list.children.length < pairs.length) list.append(pairRow());
    const most = pairs.length ? size(pairs[0]) : 1;
    const cell = model.cell();
    pairs.forEach((pair, at) => {
      const row = list.children[at];
      const { button, from, to, number, bar } = /** @type {any} */ (row).parts;
      const key = `${pair.actual},${pair.predicted}`;
      if (button.dataset.cell !== key) button.dataset.cell = key;
      write(from, model.name(pair.actual));
      write(to, model.name(pair.predicted));
      write(number, pair.before === undefined ? grouped(pair.count) : `+${grouped(pair.count - pair.before)}`);
      bar.style.transform = `scaleX(${size(pair) / most})`;
      const title = pair.before === undefined ? "" : `from ${grouped(pair.before)} to ${grouped(pair.count)} images`;
      if (button.title !== title) button.title = title;
      const selected = cell && cell.actual === pair.actual && cell.predicted === pair.predicted ? "true" : null;
      if (button.getAttribute("aria-current") !== selected) {
        if (selected) button.setAttribute("aria-current", selected);
        else button.removeAttribute("aria-current");
      }
    });
  }
}

const size = (pair) => (pair.before === undefined ? pair.count : pair.count - pair.before);

function pairRow() {
  const parts = {
    bar: element("span", { class: "confusion-pair-bar", "aria-hidden": "true" }),
    from: element("span", { class: "confusion-pair-name" }),
    to: element("span", { class: "confusion-pair-name" }),
    number: element("span", { class: "confusion-pair-number" }),
  };
  const arrow = element("span", { class: "confusion-pair-arrow" }, ["→"]);
  parts.button = element("button", { type: "button", class: "confusion-pair" }, [parts.bar, parts.from, arrow, parts.to, parts.number]);
  const row = element("li", {}, [parts.button]);
  return Object.assign(row, { parts });
}

/** The React component behind components/browser_parts.py. */
export const ConfusionPairs = component("confusion-pairs", Pairs);
