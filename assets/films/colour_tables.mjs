/**
 * Colour tables of 256 colours each: `colours`. components/colour_tables.py computes them.
 *
 * NaN and infinities have no colour; assets/films/draw.mjs leaves them open for a hatch.
 */
import { pageData } from "mloscope/base/page_data.mjs";

const SIZE = 256;
/** @type {Map<string, Uint8Array>} */
const tables = new Map();
/** @type {Map<string, Uint32Array>} */
const words = new Map();

const known = () => pageData("colour-tables");

function read(name) {
  if (!known()[name]) throw new Error(`There is no colour table "${name}"; there are ${colours.names.join(", ")}.`);
  return Uint8Array.from(window.atob(known()[name].rgb), (letter) => letter.charCodeAt(0));
}

/** An opaque RGBA pixel per colour. */
function toPixels(table) {
  const bytes = new Uint8ClampedArray(SIZE * 4).fill(255);
  for (let place = 0; place < SIZE; place += 1) bytes.set(table.subarray(place * 3, place * 3 + 3), place * 4);
  return new Uint32Array(bytes.buffer);
}

function kept(store, name, make) {
  if (!store.has(name)) store.set(name, make());
  return store.get(name);
}

export const colours = {
  get names() {
    return Object.keys(known());
  },

  /** @param {string} name @returns {boolean} whether the table has a middle that stands for zero */
  isDiverging: (name) => Boolean(known()[name] && known()[name].diverging),

  /**
   * @param {string} name one of `names`
   * @returns {Uint8Array} 256 colours of red, green, blue
   */
  table: (name) => kept(tables, name, () => read(name)),

  /**
   * The same for writing pixels, in the byte order of ImageData.
   * @param {string} name
   * @returns {Uint32Array} of length 256
   */
  pixels: (name) => kept(words, name, () => toPixels(colours.table(name))),
};
