/**
 * Units that a rule has put first: what is said of it, the score of each, and the way back. `ranking`.
 *
 * The view says which rule it was (units-by); scores are known to the page that asked for them.
 */
import { hit } from "mloscope/base/dom.mjs";
import { view } from "mloscope/base/view.mjs";

const CHIP = "unit-rule-shown"; // as in main_display_layout.py
/** @type {{rule: string, units: string, layer: string, scores: Map<number, number>} | null} */
let last = null;
let before = "";

/** The words of the select that rules are chosen from. */
function wordsOf(rule) {
  const option = document.querySelector(`#unit-rule option[value="${rule}"]`);
  return option ? String(option.textContent) : rule;
}

export const ranking = {
  /** Show the units that a rule has found. @param {{rule: string, units: string, unit: number, scores: [number, number][]}} chosen */
  take({ rule, units, unit, scores }) {
    const now = view.get();
    if (!now["units-by"]) before = now.units;
    last = { rule, units, layer: now.layer, scores: new Map(scores) };
    view.set({ units, unit, "units-by": rule });
  },

  /** What the rule found of a unit, in words; "" where nothing is known of it. */
  scoreOf(unit) {
    const now = view.get();
    if (!last || last.rule !== now["units-by"] || last.layer !== now.layer || !last.scores.has(unit)) return "";
    return `${wordsOf(last.rule)}: ${Number(/** @type {number} */ (last.scores.get(unit)).toPrecision(4))}`;
  },

  /** Say by which rule the units stand that are shown, and offer the way back. */
  show() {
    const chip = document.getElementById(CHIP);
    if (!chip) return;
    const rule = view.get()["units-by"];
    chip.hidden = !rule || !view.get().units;
    if (!chip.hidden) chip.textContent = `Sorted by: ${wordsOf(rule)} ×`;
  },
};

document.addEventListener("click", (event) => {
  if (hit(event, `#${CHIP}`)) view.set({ units: before, "units-by": "" });
});
