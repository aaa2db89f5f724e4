/**
 * Confusion matrices of both sides and their difference: the component ComparisonConfusion.
 *
 *     statistics of A at the time bus's step ─┐
 *     statistics of B at compare's  ─┼──► three canvases, every frame, without a request
 *                                             └── a cell, when all rests ──► who moved into it and out of it
 *
 * A and B share one scale, from 0 to the images of the largest class, so that it does not move with time; A − B has zero in
 * the middle and says that its ends are those of this moment.
 */
import { api } from "mloscope/base/addresses.mjs";
import { component, element, oncePerFrame, placeBeside, write } from "mloscope/base/dom.mjs";
import { fetchJson } from "mloscope/base/http.mjs";
import { keyTable } from "mloscope/base/keys.mjs";
import { grouped, percent, typeset } from "mloscope/base/numbers.mjs";
import { haveSameOutputs, onOpen, subject } from "mloscope/base/subject.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { view } from "mloscope/base/view.mjs";
import { CountMatrix, dense, signed } from "mloscope/compare/count_matrix.mjs";
import { compare } from "mloscope/compare/state.mjs";
import { ImageList } from "mloscope/images/list.mjs";
import { statistics } from "mloscope/statistics/statistics.mjs";

const MOVED_SHOWN = 24;
const REST_MS = 150;
const NOT_COMPARABLE =
  "The outputs of the two networks do not stand for the same classes in the same order, so their confusion matrices cannot be compared. The line above, on what the numbers rest on, lists the class of each output.";
const SIDES = [["a", "A"], ["b", "B"], ["pair", "A − B"]]; // prettier-ignore

const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
const cellKeys = keyTable("Confusion of two runs", [
  { keys: Object.keys(MOVES), does: "the cell beside", act: ({ panel, side }, { key }) => panel.moveCursor(side, MOVES[key]) },
  { keys: ["Enter"], does: "select the cell", act: ({ panel }) => (panel.cursor ? panel.select(panel.cursor) : false) },
  { keys: ["Escape"], does: "leave the cells", act: ({ panel }) => void (panel.cursor = null) },
]);

/** A difference of shares: "+1.2 points". */
const points = (share) => `${share > 0 ? "+" : ""}${typeset((share * 100).toFixed(1))} points`;

class Confusion {
  later = oncePerFrame(() => this.draw());
  /** @type {any} */ now;
  /** @type {any} */ cursor;
  /** @type {any} */ resting;
  /** @type {any} */ asked;
  /** @type {any} statistics of a side */ A;
  /** @type {any} */ B;

  constructor(root) {
    this.root = root;
    this.over = this.cursor = null;
    this.matrices = Object.fromEntries(SIDES.map(([side, title]) => [side, new CountMatrix(this, side, title)]));
    this.row = element(
      "div",
      { class: "compare-matrices" },
      Object.values(this.matrices).map(({ node }) => node),
    );
    this.tip = element("div", { class: "film-tip", "aria-hidden": "true", hidden: true });
    this.live = element("p", { class: "film-live", "aria-live": "polite" });
    this.moved = element("section", { class: "compare-moved", "aria-label": "Images that moved" });
    this.movedLists = [movedList("into", "B"), movedList("out_of", "A")];
    root.append(this.row, this.moved, this.tip, this.live);
    this.resizes = new ResizeObserver(() => this.later());
    this.resizes.observe(this.row);
    this.themes = new MutationObserver(() => this.later());
    this.themes.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    this.leaveA = this.leaveB = () => {};
    this.undo = [
      time.subscribe(() => this.draw()),
      time.onSettled(() => this.rest()),
      view.subscribe(() => this.follow()),
      compare.subscribe(() => this.follow()),
      onOpen(() => this.follow()),
      () => this.resizes.disconnect(),
      () => this.themes.disconnect(),
      () => this.leaveA(),
      () => this.leaveB(),
      () => clearTimeout(this.resting),
      ...this.movedLists.map(
        ({ list }) =>
          () =>
            list.destroy(),
      ),
    ];
    this.follow();
  }

  destroy() {
    this.later.cancel();
    for (const undo of this.undo) undo();
    this.root.replaceChildren();
  }

  get isShown() {
    return view.get()["compare-show"] === "confusion";
  }

  /** Open the statistics of both sides while they are looked at. */
  follow() {
    this.root.hidden = !this.isShown;
    const open = this.isShown && subject;
    const { split } = view.get();
    const watch = (side, wanted) => {
      if (this[side] === wanted) return;
      const leave = this[`leave${side}`];
      this[side] = wanted;
      this[`leave${side}`] = wanted ? wanted.subscribe(() => this.later()) : () => {};
      leave();
    };
    watch("A", open ? statistics.open(subject, split) : null);
    watch("B", open && compare.overview ? statistics.open({ run: compare.run, corpus: subject.corpus }, split) : null);
    this.later();
    this.rest();
  }

  /**
   * Counts of a side now.
   * @returns {any} {values, classes, columns, images, step}; or {said}
   */
  side(shared, step, run) {
    if (!shared) return { said: compare.problem || "loading" };
    if (step === null) return { said: compare.reason() || "There is no checkpoint here." };
    const found = shared.confusions.value(step);
    if (found) return { ...dense(found), step };
    if (!shared.overview) return { said: shared.error || "loading" };
    const entry = shared.entries.get(step);
    if (entry && entry.state === "ready") return { said: shared.confusions.reason(step) || shared.confusions.error || "loading" };
    const why = entry && entry.problem ? entry.problem : `Step ${grouped(step)} of ${run} has not been evaluated yet.`;
    return { said: `${why} ${shared.overview.command}` };
  }

  draw() {
    if (!this.isShown || !subject) return;
    const a = this.side(this.A, time.step, subject.run);
    const b = this.side(this.B, compare.step(), compare.run);
    const most = Math.max(a.values ? a.largest : 0, b.values ? b.largest : 0);
    const names = (shared, side) => (shared && shared.overview && shared.overview.class_names) || (side && side.classNames) || [];
    const shown = Math.max(a.shown || 0, b.shown || 0);
    a.shown = b.shown = shown;
    const legend = `image counts from 0 to ${grouped(most)}, the size of the largest class; same scale for A and B`;
    for (const [key, side, shared, of, run] of [
      ["a", a, this.A, subject, subject.run],
      ["b", b, this.B, compare.subject, compare.run],
    ]) {
      const picture = side.values ? { ...side, most } : null;
      this.matrices[key].draw(
        picture,
        names(shared, of),
        side.step,
        side.values ? "ready" : side.said === "loading" ? "pending" : "missing",
        side.said || "",
        picture ? legend : "",
        [`${key.toUpperCase()} · ${run}`, picture && `step ${grouped(side.step)}`, picture && `accuracy ${percent(side.accuracy)}`]
          .filter(Boolean)
          .join(" · "),
      );
    }
    this.drawDifference(a, b, names(this.A, subject), time.step);
    this.matrices.pair.node.hidden = view.get()["compare-mode"] === "side";
    this.now = { a, b };
  }

  drawDifference(a, b, names, step) {
    const { pair } = this.matrices;
    if (!a.values || !b.values) {
      const waits = a.said === "loading" || b.said === "loading";
      pair.draw(
        null,
        names,
        null,
        waits ? "pending" : "missing",
        waits ? "loading" : "A − B needs both sides to be evaluated.",
        "",
        "A − B",
      );
      return;
    }
    if (!this.isComparable) {
      pair.draw(null, names, null, "missing", NOT_COMPARABLE, "", "A − B");
      return;
    }
    if (a.classes !== b.classes || a.images !== b.images) {
      const why =
        a.classes !== b.classes
          ? `A has ${a.classes} classes, B ${b.classes}`
          : `A was evaluated on ${grouped(a.images)} images, B on ${grouped(b.images)}`;
      pair.draw(null, names, null, "missing", `A − B needs both sides evaluated on the same images and classes: ${why}.`, "", "A − B");
      return;
    }
    const values = a.values.map((value, at) => value - b.values[at]);
    const most = values.reduce((reach, value) => Math.max(reach, Math.abs(value)), 0);
    pair.draw(
      { ...a, values, most, centred: true },
      names,
      step,
      "ready",
      "",
      `difference in image counts (A − B), scaled to ±${grouped(most)} at this step; red: more in A; blue: fewer`,
      `A − B · accuracy ${points(a.accuracy - b.accuracy)}`,
    );
  }

  /** Whether a cell of A and the same cell of B are about the same classes. */
  get isComparable() {
    return !compare.subject || compare.isSameRun || haveSameOutputs(subject, compare.subject);
  }

  // ------------------------------------------------------------------------------------------------ pointer and keys

  selected() {
    const { actual, predicted } = view.get();
    return actual === null || predicted === null || !this.isComparable ? null : { actual, predicted };
  }

  inWords({ actual, predicted }) {
    const shared = this.A || this.B;
    const names = (shared && shared.overview && shared.overview.class_names) || [];
    const name = (index) => names[index] ?? `class ${index}`;
    const value = (side) =>
      side && side.values && actual < side.classes && predicted < side.columns ? side.values[actual * side.columns + predicted] : null;
    const { a, b } = this.now || {};
    const counts = [value(a), value(b)];
    const lines = counts.map((count, at) => `${"AB"[at]} ${count === null ? "–" : count}`);
    if (!counts.includes(null)) lines.push(`A − B ${signed(counts[0] - counts[1], true)}`);
    const where = predicted === (a && a.classes) ? "not predicted" : `predicted ${name(predicted)}`;
    return { lines, where: `actual ${name(actual)} · ${where}` };
  }

  hover(found, /** @type {MouseEvent | null} */ event = null) {
    const place = this.isComparable ? found : null;
    this.over = place;
    this.tip.hidden = !place;
    if (place && event) {
      const { lines, where } = this.inWords(place);
      this.tip.replaceChildren(...lines.map((text) => element("b", {}, [text])), element("span", {}, [where]));
      placeBeside(this.tip, { x: event.clientX, y: event.clientY });
    }
    this.later();
  }

  select(place) {
    if (place && this.isComparable) view.set(place);
  }

  key(event) {
    const side = this.now && (this.now.a.values ? this.now.a : this.now.b);
    if (side && side.values && this.isComparable && cellKeys({ panel: this, side }, event)) this.later();
  }

  /** The cell beside the one of the keyboard; the selected one first. */
  moveCursor(side, [down, across]) {
    const from = this.cursor || this.selected() || { actual: 0, predicted: 0 };
    const by = this.cursor ? { down, across } : { down: 0, across: 0 };
    const clamp = (value, most) => Math.min(Math.max(value, 0), most - 1);
    this.cursor = { actual: clamp(from.actual + by.down, side.classes), predicted: clamp(from.predicted + by.across, side.shown) };
    const { lines, where } = this.inWords(this.cursor);
    this.live.textContent = `${where}: ${lines.join(", ")}`;
  }

  // ------------------------------------------------------------------------------------------------------ who moved

  rest() {
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.ask(), REST_MS);
  }

  async ask() {
    const cell = this.selected();
    const step = compare.step();
    if (!this.isShown || !subject || time.playing) return;
    if (!this.isComparable) {
      this.asked = null;
      this.moved.replaceChildren();
      return;
    }
    if (!cell || step === null || !this.now || !this.now.a.values || !this.now.b.values) {
      this.asked = null;
      this.moved.replaceChildren(
        element("p", { class: "quiet-text" }, [cell ? "" : "Select a cell to see which images moved into or out of it."]),
      );
      return;
    }
    const query = { a_step: time.step, b_step: step, corpus: subject.corpus, split: view.get().split, limit: MOVED_SHOWN };
    const url = api(["runs", subject.run, "comparison", compare.run, "confusion", cell.actual, cell.predicted], query);
    if (url === this.asked) return;
    this.asked = url;
    try {
      const answer = await fetchJson(url);
      if (url === this.asked) this.showMoved(answer, cell);
    } catch (error) {
      if (url === this.asked) this.moved.replaceChildren(element("p", { class: "warning-text" }, [error.message]));
    }
  }

  showMoved(answer, cell) {
    for (const { words, list, key, side } of this.movedLists) {
      const { total, images } = answer[key];
      const more = total > images.length ? `, ${images.length} shown` : "";
      write(words, `${total} ${key === "into" ? "in this cell at A, not at B" : "in this cell at B, not at A"}${more}`);
      const before = ({ elsewhere_name: name }) => `${side} predicted ${name ?? "nothing"}`;
      list.show(
        subject.corpus,
        images.map((image) => ({ ...image, title: `${image.name}; ${before(image)}` })),
      );
    }
    const title = element("h3", { class: "panel-subtitle" }, [this.inWords(cell).where]);
    this.moved.replaceChildren(title, ...this.movedLists.map(({ node }) => node));
  }
}

/** Images that a cell has at one side only. @param {"into" | "out_of"} key of the API @param {string} side at which they are elsewhere */
function movedList(key, side) {
  const words = element("p", { class: "quiet-text" });
  const list = new ImageList("compare-thumbnails", `Images that moved ${key.replace("_", " ")} the cell`);
  return { key, side, words, list, node: element("div", { class: "compare-moved-list" }, [words, list.node]) };
}

export const ComparisonConfusion = component("compare-confusion", Confusion);
