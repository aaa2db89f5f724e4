/** What lists of pairs and of changes have in common: the step to compare with, and names that are long. */
import { fill, select } from "mloscope/base/controls.mjs";
import { element } from "mloscope/base/dom.mjs";
import { grouped } from "mloscope/base/numbers.mjs";
import { view } from "mloscope/base/view.mjs";

const LONG_NAME = 12; // characters; 280 pixels hold two of them and a number

/** A step to compare with: a select of all steps that are ready. Said in words by `before`. */
export class Since {
  /** @type {any} */ said;

  constructor(place, before) {
    const title = "The step to compare with";
    const use = (value) => view.set({ since: value === "" ? null : Number(value) });
    this.select = select({ class: "confusion-since", title, "aria-label": title }, [], use);
    this.label = element("label", { class: "confusion-since-label" }, [before, this.select]);
    place.append(this.label);
  }

  show(statistics) {
    const { since } = view.get();
    const steps = statistics.readySteps;
    const said = JSON.stringify(steps);
    if (said !== this.said) {
      this.said = said;
      fill(this.select, [["", "the step before"], ...steps.map((step) => [String(step), `step ${grouped(step)}`])]);
    }
    const value = since === null || !steps.includes(since) ? "" : String(since);
    if (this.select.value !== value) this.select.value = value;
  }
}

/** Long names stand below each other, not beside. */
export function markLong(root, names) {
  root.classList.toggle(
    "confusion-long",
    names.some((name) => name.length > LONG_NAME),
  );
}
