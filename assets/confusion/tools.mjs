/**
 * Controls above the confusion matrix and the numbers beside it: the components ConfusionTools (shading, order, split, class
 * search) and ConfusionAccuracy (exact counts at the step that is shown).
 */
import { fill, labelled, segments, select } from "mloscope/base/controls.mjs";
import { component, element, hit, write } from "mloscope/base/dom.mjs";
import { grouped, percent } from "mloscope/base/numbers.mjs";
import { subject } from "mloscope/base/subject.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { view } from "mloscope/base/view.mjs";
import { confusionCounts } from "mloscope/confusion/counts.mjs";
import { confusion } from "mloscope/confusion/state.mjs";
import { whatIs } from "mloscope/shell/glossary.mjs";

const MOST_MATCHES = 12;
// ------------------------------------------------------------------------------------------------------- controls

class Tools {
  /** @type {ReturnType<typeof segments>} */ shades;
  /** @type {HTMLInputElement} */ diagonal;
  /** @type {HTMLSelectElement} */ order;
  /** @type {HTMLSelectElement} */ split;
  /** @type {HTMLLabelElement} */ splitTool;
  /** @type {HTMLInputElement} */ text;
  /** @type {HTMLUListElement} */ matches;
  /** @type {HTMLDivElement} */ find;
  /** @type {HTMLButtonElement} */ whole;
  /** @type {any} */ splitNames;
  /** @type {any} */ found;
  /** @type {any} */ chosen;

  constructor(root) {
    this.root = root;
    this.model = confusion;
    this.build();
    const outside = (event) => !this.find.contains(event.target) && this.close();
    document.addEventListener("pointerdown", outside);
    this.undo = [this.model.follow(() => this.show()), () => document.removeEventListener("pointerdown", outside)];
  }

  destroy() {
    for (const undo of this.undo) undo();
    this.root.replaceChildren();
  }

  build() {
    this.shades = segments("What the shading follows", view.choices("shade"), (value) => view.set({ shade: value }));
    this.diagonal = element("input", { type: "checkbox" });
    this.diagonal.addEventListener("change", () => view.set({ diagonal: this.diagonal.checked ? "off" : "all" }));
    const called = (title) => ({ class: "tool-select", "aria-label": title, title });
    this.order = select(called("Order of rows and columns"), view.choices("order"), (value) => view.set({ order: value }));
    this.split = select(called("The split whose images are counted"), [], (value) => view.set({ split: value }));
    this.splitTool = labelled("split", this.split);
    this.text = element("input", {
      type: "search", class: "form-select confusion-search", placeholder: "find a class", autocomplete: "off", spellcheck: "false",
      role: "combobox", "aria-expanded": "false", "aria-autocomplete": "list", "aria-label": "Find a class", title: "Show a class among its neighbours",
    }); // prettier-ignore
    this.matches = element("ul", { class: "confusion-matches", role: "listbox", hidden: true });
    this.find = element("div", { class: "confusion-find" }, [this.text, this.matches]);
    this.whole = element("button", { type: "button", class: "bar-button", hidden: true, title: "Show all classes again" }, ["all classes"]);
    this.whole.addEventListener("click", () => view.set({ area: "" }));
    const errors = element("label", { class: "confusion-check", title: "Leave the diagonal out of the shading, so that errors stand out" }, [
      this.diagonal, "errors only",
    ]); // prettier-ignore
    this.root.append(this.shades.node, errors, labelled("order", this.order), this.splitTool, this.find, this.whole);
    this.text.addEventListener("input", () => this.search());
    this.text.addEventListener("focus", () => this.search());
    this.text.addEventListener("keydown", (event) => this.key(event));
    this.matches.addEventListener("click", (event) => {
      const option = hit(event, "[data-class]");
      if (option) this.go(Number(option.dataset.class));
    });
  }

  show() {
    const viewNow = view.get();
    const { statistics, classes } = this.model;
    this.shades.show(viewNow.shade);
    this.diagonal.checked = viewNow.diagonal === "off";
    this.order.value = viewNow.order;
    this.whole.hidden = !viewNow.area;
    this.find.hidden = classes < 2;
    const { splits, split = statistics.split } = statistics.overview || {};
    const names = splits ? Object.keys(splits) : (subject && subject.splits) || []; // where there is no overview, another split may have one
    this.splitTool.hidden = names.length < 2;
    const said = names.join("\n");
    if (said !== this.splitNames) {
      this.splitNames = said;
      fill(this.split, names);
    }
    this.split.value = split;
  }

  search() {
    const words = this.text.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const { model } = this;
    const found = [];
    for (let number = 0; words.length && number < model.classes && found.length < MOST_MATCHES; number += 1) {
      const name = model.name(number).toLowerCase();
      if (words.every((word) => name.includes(word))) found.push(number);
    }
    this.found = found;
    this.chosen = 0;
    const empty = words.length && !found.length;
    this.matches.replaceChildren(
      ...found.map((number) => element("li", { role: "option", "data-class": number }, [model.name(number)])),
      ...(empty ? [element("li", { class: "quiet-text" }, ["There is no such class."])] : []),
    );
    this.matches.hidden = !words.length;
    this.text.setAttribute("aria-expanded", String(!this.matches.hidden));
    this.mark();
  }

  mark() {
    [...this.matches.children].forEach((option, at) => option.setAttribute("aria-selected", at === this.chosen));
  }

  key(event) {
    if (event.key === "Escape") this.close();
    else if (event.key === "Enter" && this.found && this.found.length) this.go(this.found[this.chosen]);
    else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && this.found && this.found.length) {
      this.chosen = (this.chosen + (event.key === "ArrowDown" ? 1 : this.found.length - 1)) % this.found.length;
      this.mark();
    } else return;
    event.preventDefault();
  }

  go(number) {
    this.text.value = this.model.name(number);
    this.close();
    if (this.model.matrix) this.model.matrix.showClass(number);
  }

  close() {
    this.matches.hidden = true;
    this.text.setAttribute("aria-expanded", "false");
  }
}

// -------------------------------------------------------------------------------------------------------- numbers

class Accuracy {
  constructor(root) {
    this.root = root;
    this.model = confusion;
    this.share = element("strong", { class: "confusion-accuracy-share" });
    this.count = element("span", { class: "confusion-accuracy-count" });
    this.others = element("p", { class: "quiet-text confusion-accuracy-others" });
    root.append(
      element("h2", { class: "panel-title" }, ["Accuracy"]),
      element("p", { class: "confusion-accuracy-line" }, [this.share, this.count]),
      element("div", { class: "confusion-accuracy-words" }, [this.others, whatIs("calibration error")]),
    );
    this.undo = [this.model.follow(() => this.draw()), time.subscribe(() => this.draw())];
  }

  destroy() {
    for (const undo of this.undo) undo();
    this.root.replaceChildren();
  }

  draw() {
    const { statistics } = this.model;
    const step = statistics && statistics.peek(time.index);
    if (!step) {
      write(this.share, "–");
      write(this.count, (statistics && statistics.reason(time.index)) || "");
      write(this.others, "");
      this.root.removeAttribute("data-step");
      return;
    }
    const { correct, total } = confusionCounts.sums(step);
    write(this.share, total ? percent(correct / total, 2) : "–");
    write(this.count, `${grouped(correct)} of ${grouped(total)} images`);
    const entry = statistics.entry(time.index) || {};
    const number = (value, words) => (Number.isFinite(value) ? words(value) : null);
    write(
      this.others,
      [
        this.model.classes > 5 ? number(entry.top_5_accuracy, (value) => `top 5: ${percent(value, 2)}`) : null,
        number(entry.loss, (value) => `loss ${value.toPrecision(4)}`),
        number(entry.calibration_error, (value) => `calibration error ${percent(value, 2)}`),
        entry.not_predicted ? `${grouped(entry.not_predicted)} not predicted` : null,
        entry.source === "imported" ? "imported predictions" : null,
        this.model.uncounted(step),
      ]
        .filter(Boolean)
        .join(" · "),
    );
    this.root.dataset.step = time.step;
    this.root.dataset.correct = correct;
  }
}

/** The React components behind components/browser_parts.py. */
export const ConfusionTools = component("confusion-tools toolbar", Tools);
export const ConfusionAccuracy = component("confusion-accuracy", Accuracy);
