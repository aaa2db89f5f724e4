/**
 * What the colours of a film mean: a bar, the numbers at its ends, the rule in words. `filmLegend`.
 */
import { context2d } from "mloscope/base/canvas.mjs";
import { element } from "mloscope/base/dom.mjs";
import { grouped, rounded } from "mloscope/base/numbers.mjs";
import { colours } from "mloscope/films/colour_tables.mjs";
import { filmSpan } from "mloscope/films/span.mjs";

const MOST_LISTED = 3;
const FLAT = 0.02; // of the scale: five of its 256 colours

const RULES = {
  fixed: "one scale for all steps",
  step: "range of this step",
  unit: "each unit's own range at this step",
};

/** The middle of a scale, to a thousandth of its length: −0.00018 between −1 and 1 would say nothing more than 0. */
function middleOf(/** @type {number[]} */ [lo, hi]) {
  const grain = (hi - lo) / 1000;
  return grain > 0 ? Math.round((lo + hi) / 2 / grain) * grain : lo;
}

const listed = (steps) =>
  steps.length > MOST_LISTED ? `${steps.length} steps` : `step${steps.length > 1 ? "s" : ""} ${steps.map(grouped).join(", ")}`;

function ruleInWords(rule, soFar, times, leftOut) {
  if (rule !== "fixed") return RULES[rule];
  if (times) return RULES.step;
  return [RULES.fixed, soFar, leftOut && leftOut.length ? `without ${listed(leftOut)}, which exploded` : ""].filter(Boolean).join(", ");
}

/** What would be overlooked otherwise: values that exploded, and a picture that is flat because the scale is not its own. */
function warningOf(rule, times, filled) {
  if (times) return `Exploded: the largest value is ${filmSpan.inWords(times)}.`;
  if (rule !== "fixed" || !(filled < FLAT)) return "";
  return `Looks flat: these values fill ${rounded(100 * filled)}\u202f% of the scale; range “per step” shows them.`;
}

/** A legend below a canvas. Cheap to `show` every frame: it writes only what changed. */
class Legend {
  /** @param {HTMLElement} place filled with the legend */
  constructor(place) {
    this.bar = element("canvas", { class: "film-bar", width: 256, height: 1, "aria-hidden": "true" });
    this.ticks = ["lo", "middle", "hi"].map((end) => element("span", { class: `film-tick film-tick-${end}` }));
    this.warning = element("strong", { class: "film-warning" });
    this.text = document.createTextNode("");
    this.words = element("span", { class: "film-rule" }, [this.warning, this.text]);
    const scale = element("div", { class: "film-scale" }, [this.bar, ...this.ticks]);
    place.append(scale, this.words);
    /** @type {string | null} */
    this.table = null;
    this.said = "";
  }

  /**
   * @param {object} about
   * @param {string} about.table the colour table
   * @param {boolean} about.coloured red, green and blue stand for three channels
   * @param {"fixed"|"step"|"unit"} about.rule
   * @param {boolean} about.symmetric
   * @param {number[] | null} about.ends numbers at the ends; null where there are none, or where they differ from unit to unit
   * @param {number | null} about.unit the unit that `ends` are of, where the rule is "unit"
   * @param {boolean} about.known whether anything came yet
   * @param {string} about.soFar how much of a fixed range is known, "" where all of it is
   * @param {number} [about.times] how many times the median step's the values shown are, where they exploded; else 0
   * @param {number[]} [about.leftOut] the steps that a fixed range leaves out because they exploded
   * @param {number} [about.filled] which share of a fixed scale the values shown fill
   * @param {(a: number) => string} [about.format] a number at an end, in words
   * @param {string[]} [about.more] further sentences
   * @param {string} [about.precision] what the values may be off by
   */
  show({ table, coloured, rule, symmetric, ends, unit, soFar, times, leftOut, filled, known, format, more, precision }) {
    if (table !== this.table) {
      this.table = table;
      const image = new ImageData(256, 1);
      new Uint32Array(image.data.buffer).set(colours.pixels(table));
      context2d(this.bar).putImageData(image, 0, 0);
    }
    const number = format || rounded;
    const own = rule === "unit" && !ends;
    const lo = ends ? number(ends[0]) : own ? (symmetric ? "−most" : "least") : "–";
    const hi = ends ? number(ends[1]) : own ? "most" : "–";
    const middle = symmetric ? number(0) : ends ? number(middleOf(ends)) : "";
    const words = [
      coloured ? "red, green, blue: the three input channels" : "",
      ruleInWords(rule, soFar, times, leftOut),
      rule === "unit" && ends ? `numbers: unit ${unit}` : "",
      symmetric ? `centred on ${number(0)}` : "",
      known && !ends && !own ? "no finite value" : "",
      ...(more || []),
      precision || "displayed values are accurate to about ±0.2\u202f% of each unit's range",
    ].filter(Boolean);
    const warning = warningOf(rule, times, filled);
    const said = [lo, middle, hi, warning, ...words].join("\n");
    if (said === this.said) return;
    this.said = said;
    [lo, middle, hi].forEach((text, place) => (this.ticks[place].textContent = text));
    this.warning.textContent = warning;
    this.text.data = (warning && " · ") + words.join(" · ");
  }
}

export const filmLegend = { Legend };
