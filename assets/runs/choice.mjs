/**
 * The choice of runs beside their curves, which is the legend too: the component RunChoice. Chosen runs come first, in their order and
 * colours; a search finds others among hundreds.
 */
import { component, element, hit, write } from "mloscope/base/dom.mjs";
import { onOpen } from "mloscope/base/subject.mjs";
import { view } from "mloscope/base/view.mjs";
import { inNames, namesIn } from "mloscope/runs/addresses.mjs";
import { middleEllipsis } from "mloscope/runs/rows.mjs";

const MOST_OTHERS = 50;

class RunChoice {
  /** @param {HTMLElement} root @param {{colours: string[]}} props */
  constructor(root, { colours }) {
    this.root = root;
    this.colours = colours;
    this.runs = [];
    this.titles = {};
    this.search = element("input", {
      type: "search",
      class: "tool-input metrics-search",
      placeholder: "find a run",
      "aria-label": "Find a run",
    });
    this.search.addEventListener("input", () => this.draw());
    this.list = element("ul", { class: "metrics-runs" });
    this.list.addEventListener("change", (event) => this.toggle(event));
    this.more = element("p", { class: "quiet-text" });
    root.append(
      this.search,
      this.list,
      this.more,
      element("p", { class: "quiet-text" }, ["Line: training; dashed: validation; dotted: test."]),
    );
    this.undo = [onOpen((subject) => this.open(subject)), view.subscribe((_, changed) => changed.includes("runs-chosen") && this.draw())];
  }

  destroy() {
    for (const stop of this.undo) stop();
    this.root.replaceChildren();
  }

  open(subject) {
    this.runs = subject.runs;
    this.titles = (subject.titles || {}).runs || {};
    this.current = subject.run;
    this.draw();
  }

  /** The runs that are drawn: those chosen, else those that are compared. */
  chosen() {
    const now = view.get();
    const names = namesIn(now["runs-chosen"]);
    return names.length ? names : [...new Set([this.current, now["b-run"] || this.current])];
  }

  draw() {
    const chosen = this.chosen().filter((name) => this.runs.includes(name));
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const title = (name) => this.titles[name] || name;
    const fits = (name) => words.every((word) => `${name} ${title(name)}`.toLowerCase().includes(word));
    const others = this.runs.filter((name) => !chosen.includes(name) && fits(name));
    const focused = this.list.contains(document.activeElement) ? /** @type {HTMLInputElement} */ (document.activeElement).value : "";
    this.list.replaceChildren(
      ...chosen.map((name, number) => this.line(name, title(name), this.colours[number % this.colours.length])),
      ...others.slice(0, MOST_OTHERS).map((name) => this.line(name, title(name), null)),
    );
    const again = this.list.querySelector(`input[value="${CSS.escape(focused)}"]`);
    if (focused && again instanceof HTMLElement) again.focus();
    write(this.more, others.length > MOST_OTHERS ? `${others.length - MOST_OTHERS} more; search for them.` : "");
  }

  line(name, title, colour) {
    const box = element("input", { type: "checkbox", value: name });
    box.checked = colour !== null;
    const swatch = element("span", { class: "metrics-swatch", style: colour && `background: ${colour}`, "aria-hidden": "true" });
    return element("li", {}, [element("label", {}, [box, swatch, middleEllipsis(title)])]);
  }

  toggle(event) {
    const box = /** @type {HTMLInputElement} */ (event.target);
    const names = this.chosen();
    view.set({ "runs-chosen": inNames(box.checked ? [...names, box.value] : names.filter((name) => name !== box.value)) });
  }
}

const RunChoiceComponent = component("metrics-choice", RunChoice);
export { RunChoiceComponent as RunChoice };

// Buttons of metrics come from the server (app/web/dash/pages/metrics.py); what they say is one entry of the view.
document.addEventListener("click", (event) => {
  const button = hit(event, "[data-metric]");
  if (!button) return;
  const shown = [...document.querySelectorAll("[data-metric][aria-pressed=true]")].map(
    (each) => /** @type {HTMLElement} */ (each).dataset.metric,
  );
  const metric = button.dataset.metric;
  const names = shown.includes(metric) ? shown.filter((name) => name !== metric) : [...shown, metric];
  view.set({ metrics: names.join(",") });
});
