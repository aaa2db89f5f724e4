/**
 * What stands beside the units of a frame, as app/films/kinds tells it: of each unit a number, a word instead of it, or nothing.
 * `filmFigures`.
 */
import { rounded } from "mloscope/base/numbers.mjs";
import { inWords } from "mloscope/films/selections.mjs";

/** @typedef {{figures?: Record<string, (number | string | null)[]>} | null} Frame */

export const filmFigures = {
  /** "activation 3.2" @param {Frame} frame @param {number} place of the unit in the film @returns {string[]} */
  ofUnit(frame, place) {
    const said = Object.entries((frame && frame.figures) || {}).map(([name, ofUnits]) => [name, ofUnits[place]]);
    return said
      .filter(([, value]) => value !== null && value !== undefined)
      .map(([name, value]) => `${name} ${typeof value === "number" ? rounded(value) : value}`);
  },

  /**
   * What a legend says: the figures of the selected unit, and of which units there is a word instead of a picture: "silent: units 3, 7".
   * @param {Frame} frame
   * @param {{units: number[], unit_total: number}} header
   * @param {number} selected place of the selected unit, negative where it is not among them
   * @returns {string[]}
   */
  sentences(frame, header, selected) {
    const isAlone = header.unit_total === 1;
    const said = filmFigures.ofUnit(frame, isAlone ? 0 : selected).join(", ");
    const ofSelected = said ? [isAlone ? said : `unit ${header.units[selected]}: ${said}`] : [];
    if (isAlone) return ofSelected;
    /** @type {Map<string, number[]>} */
    const units = new Map();
    for (const ofUnits of Object.values((frame && frame.figures) || {})) {
      ofUnits.forEach((value, place) => {
        if (typeof value === "string") units.set(value, [...(units.get(value) || []), header.units[place]]);
      });
    }
    return [...ofSelected, ...[...units].map(([word, of]) => `${word}: ${of.length === 1 ? "unit" : "units"} ${inWords(of)}`)];
  },

  /** Places of units of which there is a word instead of a picture. @param {Frame} frame @returns {Set<number>} */
  without(frame) {
    const all = Object.values((frame && frame.figures) || {});
    return new Set(all.flatMap((ofUnits) => ofUnits.flatMap((value, place) => (typeof value === "string" ? [place] : []))));
  },
};
