/**
 * The curve behind the timeline: the run's loss or accuracy, as it was recorded or as statistics know it. Requested once for each run
 * and corpus; while time moves only its value is written.
 */
import { api } from "mloscope/base/addresses.mjs";
import { element } from "mloscope/base/dom.mjs";
import { fetchJson } from "mloscope/base/http.mjs";
import { rounded } from "mloscope/base/numbers.mjs";
import { onOpen, subject } from "mloscope/base/subject.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { filmSpan } from "mloscope/films/span.mjs";
import { spacing } from "mloscope/shell/spacing.mjs";
import { thumbAt } from "mloscope/shell/time_rail.mjs";

const TOP_PX = 2;
const BOTTOM_PX = 22; // of the room of the slider, above the ticks

const isNumber = (value) => value !== null && Number.isFinite(value);

export class TrainingCurve {
  /** @type {{name: string | null, source: string | null, steps: number[], values: (number | null)[]} | null} */ curve = null;
  /** @type {number[] | null} lowest and highest value, without those that exploded */ span = null;
  #stop = () => {};
  #asked = new AbortController();

  /** @param {() => void} onChange what is known of the curve is other than before */
  constructor(onChange) {
    this.onChange = onChange;
    this.root = element("svg:svg", { class: "timeline-curve", "aria-hidden": "true", height: 24 });
    this.#stop = onOpen((opened, isNew) => {
      if (isNew) this.#ask(opened);
    });
  }

  destroy() {
    this.#stop();
    this.#asked.abort();
  }

  async #ask(opened) {
    this.#asked.abort();
    this.#asked = new AbortController();
    this.#take(null);
    try {
      const address = api(["runs", opened.run, "training-curve"], { corpus: opened.corpus });
      const found = await fetchJson(address, this.#asked.signal);
      if (subject === opened) this.#take(found.name === null ? null : found);
    } catch {
      // without a curve the timeline does all that it does; why the server refuses, others say
    }
  }

  #take(curve) {
    this.curve = curve;
    const known = curve ? curve.values.filter(isNumber).map((value, place) => [place, [value, value]]) : [];
    this.span = filmSpan.of(/** @type {any} */ (known)).span;
    this.draw();
    this.onChange();
  }

  /** When curve, checkpoints, spacing or width change; a value that is not finite breaks the line, one that exploded leaves the top. */
  draw() {
    const { width } = this.root.getBoundingClientRect();
    if (!this.curve || !this.span || !width || time.count < 2) {
      this.root.replaceChildren();
      return;
    }
    const [low, high] = this.span;
    const height = (value) => {
      const share = high > low ? (value - low) / (high - low) : 0.5;
      return BOTTOM_PX - Math.min(1.2, Math.max(-0.2, share)) * (BOTTOM_PX - TOP_PX);
    };
    /** @type {string[][]} */
    const pieces = [[]];
    this.curve.steps.forEach((step, place) => {
      const value = /** @type {any} */ (this.curve).values[place];
      if (isNumber(value))
        pieces[pieces.length - 1].push(`${thumbAt(spacing.shareOfStep(step), width).toFixed(1)} ${height(value).toFixed(1)}`);
      else pieces.push([]);
    });
    const lines = pieces.filter((points) => points.length);
    const area = (points) => `M${points[0].split(" ")[0]} ${BOTTOM_PX}L${points.join("L")}V${BOTTOM_PX}Z`;
    this.root.replaceChildren(
      element("svg:path", { class: "timeline-curve-area", d: lines.map(area).join("") }),
      element("svg:path", { class: "timeline-curve-line", d: lines.map((points) => `M${points.join("L")}`).join("") }),
    );
  }

  /** The last recorded value not after a step; null where none is finite. @param {number} step */
  valueAt(step) {
    const { steps, values } = /** @type {any} */ (this.curve);
    let [low, high] = [0, steps.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (steps[middle] <= step) low = middle + 1;
      else high = middle;
    }
    return values[Math.max(0, low - 1)];
  }

  /** @param {number | null} step @returns {string} name and value; empty where there is no curve */
  inWords(step) {
    if (!this.curve || !this.span || step === null) return "";
    const value = this.valueAt(step);
    return `${this.curve.name} ${isNumber(value) ? rounded(value) : "not finite"}`;
  }

  /** @returns {string} name, range and where it comes from */
  about() {
    if (!this.curve || !this.span) return "";
    const { name, source } = this.curve;
    const [low, high] = this.span.map((end) => rounded(end));
    return `The line behind the slider: ${name}, from ${low} to ${high} (${source})`;
  }
}
