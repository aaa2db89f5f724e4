/**
 * The panels beside a comparison: which is shown, the pairing of layers (ComparisonLayers), paired bars of the
 * selected image's class probabilities (ComparisonPredictions).
 */
import { api } from "mloscope/base/addresses.mjs";
import { onChart } from "mloscope/base/charts.mjs";
import { component, element, hit, write } from "mloscope/base/dom.mjs";
import { percent } from "mloscope/base/numbers.mjs";
import { onOpen, outputOf, subject, whyNoPredictions } from "mloscope/base/subject.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { view } from "mloscope/base/view.mjs";
import { compare } from "mloscope/compare/state.mjs";
import { PredictionCourse } from "mloscope/images/prediction_course.mjs";
import { imageRecords } from "mloscope/images/records.mjs";

const MOST_ROWS = 12;
const LIKELIEST = 8;
const HOW = { hand: "by hand", name: "name", "kind and shape": "kind, shape", kind: "kind, order", none: "" };

// -------------------------------------------------------------------------------------------------------- panels

function showPanels() {
  const viewNow = view.get();
  for (const page of document.querySelectorAll(".compare")) page.dataset.show = viewNow["compare-show"];
  for (const panel of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-compare-panel]")))
    panel.hidden = panel.dataset.comparePanel !== viewNow["compare-panel"];
  for (const button of document.querySelectorAll(".compare [data-view]")) {
    button.setAttribute("aria-pressed", viewNow[String(button.dataset.view)] === button.dataset.value);
  }
  for (const button of document.querySelectorAll(".compare [data-toggle]")) {
    button.setAttribute("aria-pressed", listed(button.dataset.toggle).includes(button.dataset.value));
  }
}

const listed = (key) => view.get()[key].split(",").filter(Boolean);

/** Put a name into a list of the view, or take it out. */
function toggle(key, name) {
  const names = listed(key);
  const next = names.includes(name) ? names.filter((other) => other !== name) : [...names, name];
  view.set({ [key]: next.join(",") });
}

document.addEventListener("click", (event) => {
  const button = hit(event, ".compare [data-view], .compare [data-toggle]");
  if (!button) return;
  if (button.dataset.toggle) toggle(button.dataset.toggle, button.dataset.value);
  else view.set({ [String(button.dataset.view)]: button.dataset.value });
});

/** A click on a unit's point or bar selects the unit. */
onChart(".compare .js-plotly-plot", (plot) =>
  plot.on("plotly_click", ({ points }) => {
    const unit = points[0] && points[0].customdata;
    if (Number.isInteger(unit)) view.set({ unit });
  }),
);

// -------------------------------------------------------------------------------------------------------- layers

class Layers {
  constructor(root) {
    this.root = root;
    this.said = "";
    this.undo = [compare.subscribe(() => this.show()), view.subscribe(() => this.show())];
    this.show();
  }

  destroy() {
    for (const undo of this.undo) undo();
    this.root.replaceChildren();
  }

  show() {
    showPanels();
    const { overview } = compare;
    const { layer } = view.get();
    const text = JSON.stringify([overview && overview.pairs, overview && overview.other, compare.problem, layer]);
    if (text === this.said) return;
    this.said = text;
    if (!overview) {
      this.root.replaceChildren(element("p", { class: "quiet-text" }, [compare.problem || "loading"]));
      return;
    }
    const alone = overview.pairs.filter(({ a }) => a === null).map(({ b }) => b);
    const rows = overview.pairs.filter(({ a }) => a !== null).map((pair) => this.row(pair, layer));
    const head = ["A", "B", "paired by"].map((name) => element("th", { scope: "col" }, [name]));
    this.root.replaceChildren(
      element("p", { class: "quiet-text" }, [
        `Layers of ${overview.run} and of ${overview.other}. Another partner can be chosen for each.`,
      ]),
      element("table", { class: "compare-pairs" }, [element("thead", {}, [element("tr", {}, head)]), element("tbody", {}, rows)]),
      element("p", { class: "quiet-text" }, [alone.length ? `Without a partner in ${overview.run}: ${alone.join(", ")}.` : ""]),
    );
  }

  row(pair, selected) {
    const names = compare.subject.layers.map(({ name }) => name);
    const select = element("select", { class: "form-select compare-pair-select", "aria-label": `Partner of ${pair.a}` }, [
      element("option", { value: "" }, ["no partner"]),
      ...names.map((name) => element("option", { value: name }, [name])),
    ]);
    select.value = pair.b || "";
    select.addEventListener("change", () => compare.pair(pair.a, select.value || null));
    const name = element("button", { type: "button", class: "compare-layer", title: "Show this layer" }, [pair.a]);
    name.addEventListener("click", () => view.set({ layer: pair.a }));
    const how = [HOW[pair.how] ?? pair.how, pair.b && !pair.agrees ? "other shape" : ""].filter(Boolean).join(" · ");
    const cell = element("td", { class: pair.b && pair.agrees ? "" : "compare-apart" }, [how || (pair.b ? "" : "no partner")]);
    if (pair.how === "hand") {
      const back = element("button", { type: "button", class: "compare-save", title: "Pair it again as it is found" }, ["×"]);
      back.addEventListener("click", () => compare.pair(pair.a, undefined));
      cell.append(back);
    }
    return element("tr", { class: pair.a === selected ? "compare-selected" : "" }, [
      element("td", {}, [name]),
      element("td", {}, [select]),
      cell,
    ]);
  }
}

// --------------------------------------------------------------------------------------------------- predictions

class Predictions {
  /** @type {any} */ empty;
  /** @type {any} */ image;

  constructor(root) {
    this.root = root;
    this.rows = [];
    this.label = null; // the image's class in the corpus
    this.list = element("ul", { class: "compare-bars" });
    this.key = element("p", { class: "compare-bars-key", "aria-hidden": "true" }, [
      element("span", { class: "compare-swatch compare-swatch-a" }), "A", element("span", { class: "compare-swatch compare-swatch-b" }), "B",
    ]); // prettier-ignore
    this.message = element("p", { class: "quiet-text", role: "status" });
    root.append(this.key, this.list, this.message);
    this.a = new PredictionCourse(() => this.draw());
    this.b = new PredictionCourse(() => this.draw());
    this.undo = [
      compare.subscribe(() => this.ask()),
      view.subscribe(() => this.ask()),
      time.subscribe(() => this.draw()),
      onOpen((_, isNew) => {
        if (isNew) [this.a, this.b].forEach((course) => course.close());
        this.ask();
      }),
      () => [this.a, this.b].forEach((course) => course.close()),
    ];
    this.ask();
  }

  destroy() {
    for (const undo of this.undo) undo();
    this.root.replaceChildren();
  }

  /** Ask for both runs' predictions of the image, while the panel is open. */
  ask() {
    const viewNow = view.get();
    const { image } = viewNow;
    const open = viewNow["compare-panel"] === "image";
    this.empty = !subject
      ? ""
      : !subject.corpus
        ? "No images are connected. Start mloscope with --images PATH."
        : image
          ? null
          : "Choose an image.";
    const address = (run) => api(["runs", run, "predictions", image], { corpus: subject.corpus, stream: "true" });
    const may = open && this.empty === null;
    const possible = (side) => side && whyNoPredictions(side) === null;
    this.a.open(may && possible(subject) ? address(subject.run) : null, time.step);
    this.b.open(may && possible(compare.subject) ? address(compare.run) : null, compare.step());
    if (may && image !== this.image) {
      this.image = image;
      this.label = null;
      imageRecords.record(subject.corpus, image).then((record) => {
        if (record && this.image === image) this.label = record.label;
        this.draw();
      }, () => {}); // prettier-ignore
    }
    this.draw();
  }

  sentence(letter, course, side, step) {
    if (!side) return null;
    const why = whyNoPredictions(side);
    if (why) return `${letter}: ${why}`;
    if (step === null) return `${letter}: ${compare.reason() || "no checkpoint here."}`;
    if (course.probabilities.has(step)) return null;
    return `${letter}: ${course.reasons.get(step) || course.error || "evaluating"}`;
  }

  draw() {
    if (view.get()["compare-panel"] !== "image") return;
    const step = compare.step();
    const pair = [this.a.probabilities.get(time.step), step === null ? undefined : this.b.probabilities.get(step)];
    const said =
      this.empty ??
      [this.sentence("A", this.a, subject, time.step), this.sentence("B", this.b, compare.subject, step)].filter(Boolean).join(" ");
    write(this.message, said);
    this.root.dataset.step = time.step;
    this.root.dataset.bStep = step;
    this.fill(this.empty === null ? pair : [undefined, undefined]);
  }

  fill(/** @type {any[]} */ [a, b]) {
    const sides = [subject, compare.subject];
    const value = (row, index) => (row && Number.isFinite(row[index]) ? row[index] : -1);
    const likelier = ({ outputs: [i, j] }) => Math.max(value(a, i), value(b, j));
    const all = pairedOutputs(sides, [a ? a.length : 0, b ? b.length : 0]);
    const right = sides.map((side) => outputOf(side, this.label));
    const isTrue = ({ outputs }) => outputs.some((output, side) => output !== null && output === right[side]);
    let shown = all;
    if (all.length > MOST_ROWS) {
      const likeliest = new Set([...all].sort((x, y) => likelier(y) - likelier(x)).slice(0, LIKELIEST));
      shown = all.filter((pair) => likeliest.has(pair) || isTrue(pair));
    }
    while (this.rows.length < shown.length) this.addRow();
    while (this.rows.length > shown.length) this.rows.pop().row.remove();
    const best = [a, b].map((row) => (row && row.every(Number.isFinite) ? row.indexOf(Math.max(...row)) : -1));
    shown.forEach((pair, place) => {
      const { row, name, bars, texts } = this.rows[place];
      write(name, pair.name);
      [a, b].forEach((numbers, side) => {
        const output = pair.outputs[side];
        const number = numbers && output !== null && output < numbers.length ? numbers[output] : undefined;
        bars[side].style.transform = `scaleX(${Number.isFinite(number) ? Math.min(1, Math.max(0, number)) : 0})`;
        const text = number === undefined ? "–" : percent(number);
        write(texts[side], text);
        texts[side].classList.toggle("compare-best", output !== null && best[side] === output);
      });
      row.classList.toggle("compare-true", isTrue(pair));
      row.title = isTrue(pair) ? `${pair.name}, the true class` : pair.name;
    });
  }

  addRow() {
    const bars = ["a", "b"].map((side) => element("span", { class: `compare-bar-${side}` }));
    const texts = ["a", "b"].map(() => element("span", { class: "compare-bar-text" }));
    const name = element("span", { class: "compare-bar-name" });
    const row = element("li", { class: "compare-bar-row" }, [
      name,
      ...[0, 1].flatMap((side) => [element("span", { class: "compare-track" }, [bars[side]]), texts[side]]),
    ]);
    this.rows.push({ row, name, bars, texts });
    this.list.append(row);
  }
}

/**
 * Outputs of two networks that stand for the same: the same class of the corpus, else the same name; each of the others alone.
 * @param {(any | null)[]} sides two subjects @param {number[]} counts how many outputs each has
 * @returns {any[]} in A's order, then what only B has
 */
function pairedOutputs(sides, counts) {
  const [ofA, ofB] = sides.map((side, at) => [...Array(counts[at]).keys()].map((output) => standsFor(side, output)));
  const left = new Map(ofB.map(({ key }, output) => [key, output]));
  const pairs = ofA.map(({ key, name }, output) => {
    const partner = left.has(key) ? left.get(key) : null;
    left.delete(key);
    return { name, outputs: [output, partner] };
  });
  return [...pairs, ...[...left.values()].map((output) => ({ name: ofB[output].name, outputs: [null, output] }))];
}

/** What an output is called, and what it has in common with an output of another network that stands for the same. */
function standsFor(side, output) {
  const name = (side && side.classNames && side.classNames[output]) || `output ${output}`;
  const label = side && side.basis ? (side.basis.classes.corpus_classes[output] ?? null) : null;
  return { name, key: label === null ? `name ${name}` : `class ${label}` };
}

export const ComparisonLayers = component("compare-layers", Layers);
export const ComparisonPredictions = component("compare-predictions", Predictions);
