/** What of the map of images is in view: its middle, from 0 to 1 across and up, and how often it is magnified. */

export const MOST_ZOOM = 64;

/** @typedef {{x: number, y: number, zoom: number}} Lens */
/** @typedef {{x: number, y: number, width: number, height: number}} Box in CSS pixels of the stage */

/** @type {Lens} */
export const WHOLE = { x: 0.5, y: 0.5, zoom: 1 };

export const within = (value, least, most) => Math.min(most, Math.max(least, value));

/** The nearest lens that there may be. @param {Lens} wanted @returns {Lens} */
export const allowed = ({ x, y, zoom }) =>
  zoom > 1 ? { x: within(x, 0, 1), y: within(y, 0, 1), zoom: Math.min(zoom, MOST_ZOOM) } : { ...WHOLE };

/** @param {string} text "0.25,0.5,4", as the address has it @returns {Lens} the whole map where it says nothing else */
export function lensOf(text) {
  const [x, y, zoom] = (text || "").split(",").map(Number);
  return zoom > 1 && x >= 0 && x <= 1 && y >= 0 && y <= 1 ? { x, y, zoom: Math.min(zoom, MOST_ZOOM) } : { ...WHOLE };
}

/** @param {Lens} lens @returns {string} that lensOf reads back; "" for the whole map */
export const textOf = ({ x, y, zoom }) => (zoom > 1 ? [x, y, zoom].map((number) => String(Number(number.toFixed(4)))).join(",") : "");
