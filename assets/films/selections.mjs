/** Selections of units and channels: which of them there are in a layer, and what is said of the others. */
import { view } from "mloscope/base/view.mjs";

/**
 * A selection without what is not there.
 * @param {string} text as the view has it
 * @param {number} total how many there are; 0 where that is not known
 * @returns {{text: string, ignored: number[]}} text: "" (all) where nothing of the selection is there
 */
export function within(text, total) {
  const numbers = text ? view.parseUnits(text) : [];
  const ignored = total ? numbers.filter((number) => number >= total) : [];
  return { text: ignored.length ? view.formatUnits(numbers.filter((number) => number < total)) : text, ignored };
}

/** A selection for people: "0–31, 40" instead of "0-31,40". @param {number[]} numbers */
export const inWords = (numbers) => view.formatUnits(numbers).replace(/-/g, "–").replace(/,/g, ", ");

/** "conv2 has units 0–15; 16–999 are ignored." */
export function ignoredInWords(layer, what, ignored, total) {
  if (!ignored.length) return "";
  const known = total > 1 ? `${what} 0–${total - 1}` : `only ${what.replace(/s$/, "")} 0`;
  return `${layer} has ${known}; ${inWords(ignored)} ${ignored.length === 1 ? "is" : "are"} ignored.`;
}
