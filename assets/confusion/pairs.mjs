/**
 * Lists of cells beside the matrix: the component ConfusionPairs (the most confused pairs, the fastest growing ones) and
 * ConfusionChanges (what changed between two steps). The pairs follow the slider; the changes come when time settles.
 */
import { element, grouped, mounted } from "mloscope/base/dom.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { view } from "mloscope/base/view.mjs";
import { confusionCounts } from "mloscope/confusion/counts.mjs";
import { ConfusionImages } from "mloscope/confusion/images.mjs";
import { confusion } from "mloscope/confusion/state.mjs";

const PAIRS = 12;
const MOST_PAIRS = 200;
const MOVES = 12;
const LONG_NAME = 12; // characters; 280 pixels hold two of them and a number

/** A step to compare with: a select of all steps that are ready. Said in words by `before`. */
class Since {
  constructor(place, before) {
    this.select = element("select", {
      class: "form-select confusion-since",
      title: "The step to compare with",
      "aria-label": "The step to compare with",
    });
    this.label = element("label", { class: "confusion-since-label" }, [before, this.select]);
    this.select.addEventListener("change", () => view.set({ since: this.select.value === "" ? null : Number(this.select.value) }));
    place.append(this.label);
  }

  show(statistics) {
    const { since } = view.get();
    const steps = statistics.readySteps;
    const said = JSON.stringify(steps);
    if (said !== this.said) {
      this.said = said;
      this.select.replaceChildren(
        element("option", { value: "" }, ["the step before"]),
        ...steps.map((step) => element("option", { value: step }, [`step ${grouped(step)}`])),
      );
    }
    const value = since === null || !steps.includes(since) ? "" : String(since);
    if (this.select.value !== value) this.select.value = value;
  }
}

// --------------------------------------------------------------------------------------------------------- pairs

class Pairs {
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
    this.kinds = element("div", { class: "segments", role: "radiogroup", "aria-label": "Which pairs of classes" });
    const kind = (growing, text, title) => {
      const button = element("button", { type: "button", class: "confusion-segment", role: "radio", title }, [text]);
      button.addEventListener("click", () => {
        view.set({ pairs: growing ? "growing" : "confused" }, { history: "replace" });
      });
      this.kinds.append(button);
      return button;
    };
    this.buttons = [
      kind(false, "most confused", "Pairs of classes with the most confused images at this step"),
      kind(true, "growing", "Pairs of classes whose confused images have grown most in number"),
    ];
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
      const row = event.target.closest("[data-cell]");
      if (!row) return;
      const [actual, predicted] = row.dataset.cell.split(",").map(Number);
      this.model.select(actual, predicted);
      const { matrix } = this.model;
      if (matrix && matrix.gd.on) matrix.reveal(this.model.place[actual], this.model.columnPlace[predicted]);
    });
    this.root.append(this.kinds, this.place, this.list, this.none, this.more);
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
    this.buttons.forEach((button, at) => button.setAttribute("aria-checked", (at === 1) === this.growing));
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
    while (list.children.length > pairs.length) list.lastElementChild.remove();
    while (list.children.length < pairs.length) list.append(pairRow());
    const most = pairs.length ? size(pairs[0]) : 1;
    const cell = model.cell();
    pairs.forEach((pair, at) => {
      const row = list.children[at];
      const { button, from, to, number, bar } = row.parts;
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

/** Long names stand below each other, not beside. */
function markLong(root, names) {
  root.classList.toggle(
    "confusion-long",
    names.some((name) => name.length > LONG_NAME),
  );
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
  row.parts = parts;
  return row;
}

// ------------------------------------------------------------------------------------------------------- changes

class Changes {
  constructor(root) {
    this.root = root;
    this.model = confusion;
    this.chosen = null; // the move whose images are shown
    this.build();
    this.undo = [
      this.model.follow((model, changed) => this.change(changed)),
      time.subscribe(() => this.stale()),
      time.onSettled(() => this.settle()),
      () => clearTimeout(this.asking),
    ];
  }

  destroy() {
    if (this.abort) this.abort.abort();
    this.images.destroy();
    for (const undo of this.undo) undo();
    this.root.replaceChildren();
  }

  build() {
    const place = element("div", {});
    this.since = new Since(place, "What changed since ");
    this.sentence = element("p", { class: "confusion-cell-sentence", role: "status" });
    this.list = element("ol", { class: "confusion-pairs-list" });
    this.more = element("button", { type: "button", class: "confusion-more", hidden: true }, []);
    this.rest = element("p", { class: "quiet-text", hidden: true });
    this.more.addEventListener("click", () => {
      this.limit = Infinity;
      this.fill();
    });
    const images = element("div", { class: "confusion-cell-images" });
    this.images = new ConfusionImages(images);
    this.root.append(place, this.sentence, this.list, this.more, this.rest, images);
    this.list.addEventListener("click", (event) => {
      const row = event.target.closest("[data-move]");
      if (row) this.choose(this.answer.moves[Number(row.dataset.move)]);
    });
  }

  change(changed) {
    const { statistics } = this.model;
    if (!statistics.overview) return;
    markLong(this.root, this.model.names);
    this.since.show(statistics);
    if (changed.includes("since")) this.stale();
    this.settle();
  }

  /** Time moves: what is listed belongs to another step. */
  stale() {
    const key = this.key();
    if (key === this.shown) return;
    this.shown = null;
    this.answer = null;
    this.chosen = null;
    if (this.abort) this.abort.abort();
    this.list.replaceChildren();
    this.more.hidden = this.rest.hidden = true;
    this.images.forget();
    write(this.sentence, "…");
    this.root.removeAttribute("data-shows");
  }

  key() {
    const { statistics } = this.model;
    const since = this.model.sinceIndex();
    if (!statistics || since === null) return null;
    const { index } = time;
    const key = (at) => (statistics.entry(at) || {}).key;
    return `${since}>${index} ${key(since)} ${key(index)}`;
  }

  settle() {
    clearTimeout(this.asking);
    this.asking = setTimeout(() => this.ask(), 60);
  }

  async ask() {
    const { model } = this;
    const { statistics } = model;
    if (time.playing || !statistics || !statistics.overview) return;
    const since = model.sinceIndex();
    const key = this.key();
    const problem = this.cannot(since);
    if (problem !== null) {
      this.stale();
      this.shown = key;
      write(this.sentence, problem);
      return;
    }
    if (key === this.shown && this.answer) {
      if (!this.isWhole) this.fill();
      return;
    }
    this.stale();
    const [from, to] = [time.checkpoints[since].step, time.step];
    if (this.abort) this.abort.abort();
    const abort = (this.abort = new AbortController());
    try {
      const url = statistics.address(["statistics", "moves"], { from, to, limit: 1 });
      const answer = await model.asked(url, key, abort.signal);
      if (abort.signal.aborted || key !== this.key()) return;
      Object.assign(this, { answer, shown: key, limit: MOVES, steps: [from, to] });
      this.root.dataset.shows = `${from}>${to}`;
      this.fill();
    } catch (error) {
      if (error.name !== "AbortError" && !abort.signal.aborted) write(this.sentence, error.message);
    }
  }

  cannot(since) {
    const { statistics } = this.model;
    if (since === null) return "There is no step before this one.";
    if (since === time.index) return "That is the step that is shown; choose another one.";
    for (const index of [since, time.index]) {
      const entry = statistics.entry(index);
      if (!entry || entry.state !== "ready") return `Step ${grouped(time.checkpoints[index].step)}: ${statistics.reason(index)}`;
    }
    return null;
  }

  fill() {
    const { answer, model } = this;
    const [from, to] = this.steps;
    const grouped = model.number;
    const counts = [from, to].map((step) => model.statistics.peek(time.indexOf(step)));
    this.isWhole = Boolean(counts[0] && counts[1]); // else again when they have come
    let gain = "";
    if (counts[0] && counts[1]) {
      const correct = counts.map((step) => confusionCounts.sums(step).correct);
      const more = correct[1] - correct[0];
      gain = more === 0 ? " As many are right as before." : ` ${grouped(Math.abs(more))} ${more > 0 ? "more" : "fewer"} are right.`;
    }
    const moved = answer.total;
    write(
      this.sentence,
      moved ? `${grouped(moved)} ${moved === 1 ? "image is" : "images are"} taken for another class at step ${grouped(to)} than at step ${grouped(from)}.${gain}`
        : counts[1] && !counts[1].images ? model.uncounted(counts[1]) || "There are no images with classes."
        : `Every image ${counts[1] && model.uncounted(counts[1]) ? "that counts " : ""}is taken for the same class at step ${grouped(to)} as at step ${grouped(from)}.`,
    ); // prettier-ignore
    const moves = answer.moves.slice(0, this.limit);
    this.list.replaceChildren(...moves.map((move, at) => this.row(move, at)));
    this.more.hidden = answer.moves.length <= this.limit;
    write(this.more, `show all ${grouped(answer.moves.length)} moves`);
    this.rest.hidden = !this.more.hidden || answer.kinds <= answer.moves.length;
    write(
      this.rest,
      `These are the ${grouped(answer.moves.length)} most frequent of ${grouped(answer.kinds)} moves; the exported table has all.`,
    );
  }

  row(move, at) {
    const { model } = this;
    const grouped = model.number;
    const kind = move.to === move.actual ? "confusion-good" : move.from === move.actual ? "confusion-bad" : "";
    const title = `${grouped(move.count)} ${move.count === 1 ? "image" : "images"} of ${model.name(move.actual)}: taken for ${model.name(move.from)} before, for ${model.name(move.to)} now`;
    const button = element("button", { type: "button", class: `confusion-pair confusion-move ${kind}`, "data-move": at, title }, [
      element("span", { class: "confusion-move-class" }, [model.name(move.actual)]),
      element("span", { class: "confusion-pair-name" }, [model.name(move.from)]),
      element("span", { class: "confusion-pair-arrow" }, ["→"]),
      element("span", { class: "confusion-pair-name" }, [model.name(move.to)]),
      element("span", { class: "confusion-pair-number" }, [grouped(move.count)]),
    ]);
    return element("li", {}, [button]);
  }

  choose(move) {
    const { model } = this;
    const key = this.shown;
    for (const row of this.list.querySelectorAll("[data-move]")) {
      if (this.answer.moves[Number(row.dataset.move)] === move) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    }
    const [from, to] = this.steps;
    this.images.show(`${key}/${move.actual},${move.from},${move.to}`, move.count, (offset, limit, signal) => {
      const query = { from, to, actual: move.actual, before: move.from, after: move.to, offset, limit };
      return model.asked(model.statistics.address(["statistics", "moves"], query), key, signal);
    });
  }
}

function write(node, text) {
  if (node.textContent !== (text || "")) node.textContent = text || "";
}

/**
 * The React components behind components/browser_parts.py.
 * @param {{id: string}} props
 */
export const ConfusionPairs = (props) => mounted("confusion-pairs", mountPairs, props);
export const ConfusionChanges = (props) => mounted("confusion-changes", mountChanges, props);

function mountPairs(root) {
  const pairs = new Pairs(root);
  return () => pairs.destroy();
}

function mountChanges(root) {
  const changes = new Changes(root);
  return () => changes.destroy();
}
