/** What changed between two steps: the component ConfusionChanges. It comes when time settles. */
import { component, element, hit, write } from "mloscope/base/dom.mjs";
import { counted, grouped, ofStep } from "mloscope/base/numbers.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { confusionCounts } from "mloscope/confusion/counts.mjs";
import { ConfusionImages } from "mloscope/confusion/images.mjs";
import { Since, markLong } from "mloscope/confusion/since.mjs";
import { confusion } from "mloscope/confusion/state.mjs";

const MOVES = 12;

class Changes {
  /** @type {any} */ since;
  /** @type {HTMLParagraphElement} */ sentence;
  /** @type {HTMLDivElement} */ head;
  /** @type {HTMLOListElement} */ list;
  /** @type {HTMLButtonElement} */ more;
  /** @type {HTMLParagraphElement} */ rest;
  /** @type {any} */ limit;
  /** @type {any} */ images;
  /** @type {any} */ shown;
  /** @type {any} */ answer;
  /** @type {any} */ asking;
  /** @type {any} */ abort;
  /** @type {any} */ isWhole;
  /** @type {any} */ steps;
  /** @type {any} */ to;

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
    this.head = element("div", { class: "confusion-pair confusion-move-head", "aria-hidden": "true", hidden: true }, [
      element("span", { class: "confusion-move-class" }, ["true class"]),
      element("span", { class: "confusion-pair-name" }, ["before"]),
      element("span", { class: "confusion-pair-arrow" }, ["→"]),
      element("span", { class: "confusion-pair-name" }, ["now"]),
      element("span", { class: "confusion-pair-number" }, ["images"]),
    ]);
    this.list = element("ol", { class: "confusion-pairs-list" });
    this.more = element("button", { type: "button", class: "confusion-more", hidden: true }, []);
    this.rest = element("p", { class: "quiet-text", hidden: true });
    this.more.addEventListener("click", () => {
      this.limit = Infinity;
      this.fill();
    });
    const images = element("div", { class: "confusion-cell-images" });
    this.images = new ConfusionImages(images);
    this.root.append(place, this.sentence, this.head, this.list, this.more, this.rest, images);
    this.list.addEventListener("click", (event) => {
      const row = hit(event, "[data-move]");
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
    this.head.hidden = this.more.hidden = this.rest.hidden = true;
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
    const [from, to] = [time.checkpoints[Number(since)].step, time.step];
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
    if (since === time.index) return "This is the current step; choose another one.";
    for (const index of [since, time.index]) {
      const entry = statistics.entry(index);
      if (!entry || entry.state !== "ready") return ofStep(time.checkpoints[index].step, statistics.reason(index));
    }
    return null;
  }

  fill() {
    const { answer, model } = this;
    const [from, to] = this.steps;
    const counts = [from, to].map((step) => model.statistics.peek(time.indexOf(step)));
    this.isWhole = Boolean(counts[0] && counts[1]); // else again when they have come
    write(this.sentence, answer.total ? moved(answer.total, from, to, gain(counts)) : this.nothingMoved(from, to, counts[1]));
    const moves = answer.moves.slice(0, this.limit);
    this.list.replaceChildren(...moves.map((move, at) => this.row(move, at)));
    this.head.hidden = !moves.length;
    this.more.hidden = answer.moves.length <= this.limit;
    write(this.more, `show all ${grouped(answer.moves.length)} changes`);
    this.rest.hidden = !this.more.hidden || answer.kinds <= answer.moves.length;
    write(
      this.rest,
      `These are the ${grouped(answer.moves.length)} most frequent of ${grouped(answer.kinds)} changes; the exported table has all.`,
    );
  }

  nothingMoved(from, to, counts) {
    if (counts && !counts.images) return this.model.uncounted(counts) || "There are no images with classes.";
    const which = counts && this.model.uncounted(counts) ? "No prediction that counts" : "No prediction";
    return `${which} changed between steps ${grouped(from)} and ${grouped(to)}.`;
  }

  row(move, at) {
    const { model } = this;
    const [sign, kind] = verdict(move);
    const title = `${counted(move.count, "image")} of ${model.name(move.actual)}: predicted as ${model.name(move.from)} before, as ${model.name(move.to)} now${kind && `, ${kind}`}`;
    const button = element(
      "button",
      { type: "button", class: `confusion-pair confusion-move ${kind && `confusion-${kind}`}`, "data-move": at, title },
      [
        element("span", { class: "confusion-move-class" }, [model.name(move.actual)]),
        element("span", { class: "confusion-pair-name" }, [model.name(move.from)]),
        element("span", { class: "confusion-pair-arrow" }, ["→"]),
        element("span", { class: "confusion-pair-name" }, [model.name(move.to)]),
        element("span", { class: "confusion-pair-number" }, [
          sign && element("span", { "aria-hidden": "true" }, [sign]),
          grouped(move.count),
        ]),
      ],
    );
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

/** What a change is for the image's class, as a sign and a word: colour alone says it to nobody. */
function verdict({ actual, from, to }) {
  if (to === actual) return ["▲", "better"];
  return from === actual ? ["▼", "worse"] : ["", ""];
}

/** The React component behind components/browser_parts.py. */
export const ConfusionChanges = component("confusion-changes", Changes);

function moved(count, from, to, gained) {
  return `${counted(count, "prediction")} changed between steps ${grouped(from)} and ${grouped(to)}${gained}.`;
}

/** How many more or fewer images are correct; "" until the counts of both steps came. */
function gain(counts) {
  if (!counts[0] || !counts[1]) return "";
  const [before, now] = counts.map((step) => confusionCounts.sums(step).correct);
  if (before === now) return "; as many are correct as before";
  return `; ${grouped(Math.abs(now - before))} ${now > before ? "more" : "fewer"} are correct`;
}
