/** Addresses of other pages for chosen runs: the view goes with them. */
import { mountedAt } from "mloscope/base/addresses.mjs";
import { subject } from "mloscope/base/subject.mjs";
import { view } from "mloscope/base/view.mjs";

/** A list of names in one entry of the view: commas between them, percent-encoding of commas in them. */
export const namesIn = (text) =>
  text
    .split(",")
    .filter(Boolean)
    .map((name) => {
      try {
        return decodeURIComponent(name);
      } catch {
        return name; // typed by hand
      }
    });

/** The inverse of namesIn. */
export const inNames = (names) => names.map((name) => name.replaceAll("%", "%25").replaceAll(",", "%2C")).join(",");

/**
 * @param {string} path of the page, such as "/compare"
 * @param {string | null} run null: the one that is open
 * @param {any} [changes] of the view
 * @returns {string} of this view there; of another run's, without what belongs to this one
 */
export const addressOf = (path, run, changes = {}) => {
  const isOther = run !== null && (!subject || run !== subject.run);
  const search = new URLSearchParams(location.search);
  const shown = run || (subject && subject.run);
  if (shown) search.set("run", shown);
  if (subject && subject.corpus) search.set("corpus", subject.corpus);
  const step = isOther ? null : new URLSearchParams(location.hash.slice(1)).get("step");
  const hash = view.format({ ...view.get(), ...(isOther ? { layer: "" } : {}), ...changes }, step === null ? null : Number(step));
  return `${mountedAt(path)}?${search}${hash.length > 1 ? hash : ""}`;
};
