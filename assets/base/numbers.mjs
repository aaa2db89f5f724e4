/** How numbers are written for people, the same on all pages. components/numbers.py is the counterpart for what the server writes. */

const SPACE = "\u202f"; // narrow, and no line breaks at it

/**
 * A whole number with narrow spaces between thousands: 1\u202f200.
 * @param {number} number
 * @returns {string}
 */
export const grouped = (number) => String(number).replace(/\B(?<!\.\d*)(?=(\d{3})+(?!\d))/g, SPACE);

/**
 * How many there are of something: "1 image", "60\u202f000 images".
 * @param {number} number
 * @param {string} noun in the singular
 * @returns {string}
 */
export const counted = (number, noun) => `${grouped(number)} ${noun}${number === 1 ? "" : "s"}`;

/** A size of a file: "1.3 MB", "48 kB". @param {number} bytes */
export const megabytes = (bytes) => (bytes < 1e5 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

/**
 * A share as "93.1\u202f%".
 * @param {number} share 0..1; "NaN" where it is not a number
 * @param {number} [decimals]
 * @returns {string}
 */
export const percent = (share, decimals = 1) => (Number.isFinite(share) ? `${(share * 100).toFixed(decimals)}${SPACE}%` : "NaN");

/**
 * A part of a whole as "93.1\u202f%": 100 % and 0 % only where they are exact.
 * @param {number} part
 * @param {number} whole
 * @returns {string} an en dash where the whole is empty
 */
export const percentOf = (part, whole) => {
  if (!whole) return "–";
  const share = part / whole;
  if (part === whole || part === 0) return percent(share, 0);
  return percent(Math.min(0.9999, Math.max(0.0001, share)), share < 0.001 || share > 0.999 ? 2 : 1);
};

/**
 * A step as people write it: its label, or the number in groups.
 * @param {{step: number, label?: string | null}} checkpoint
 * @returns {string}
 */
export const stepName = ({ step, label }) => (label && label !== String(step) ? label : grouped(step));

/**
 * A reason, of the step that it is about: "Step 135 has not been evaluated yet."
 * @param {number} step
 * @param {string | null} reason a sentence; where it begins with "It", the step takes its place
 */
export const ofStep = (step, reason) =>
  /^It /.test(reason || "") ? `Step ${grouped(step)}${String(reason).slice(2)}` : `Step ${grouped(step)}: ${reason}`;

/** A number's text with a true minus sign, and "e5" for "e+5". @param {string} text */
export const typeset = (text) => text.replace("e+", "e").replace(/-/g, "−");

/**
 * A number for a scale: three significant digits.
 * @param {number} value
 * @returns {string}
 */
export const rounded = (value) => {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  const plain = size === 0 || (size >= 1e-3 && size < 1e5);
  return typeset(plain ? grouped(Number(value.toPrecision(3))) : value.toExponential(1));
};

/**
 * A value read off a film, with its possible error: "≈ 0.1234 ± 0.0003"; without where it is exact.
 * @param {number} value
 * @param {number} error
 * @returns {string}
 */
export const reading = (value, error) => {
  if (!Number.isFinite(value)) return rounded(value);
  if (!(error > 0)) return typeset(String(Number(value.toPrecision(7))));
  const decimals = -Math.floor(Math.log10(error));
  if (decimals >= 0 && decimals <= 7 && Math.abs(value) < 1e6) {
    return `≈ ${typeset(value.toFixed(decimals))} ± ${error.toFixed(decimals)}`;
  }
  const digits = Math.max(0, Math.min(4, decimals + Math.floor(Math.log10(Math.abs(value) || error))));
  return `≈ ${typeset(value.toExponential(digits))} ± ${typeset(error.toExponential(0))}`;
};

/** About how long, for people: "40 s", "12 min", "1.5 h". @param {number} seconds @returns {string} */
export function duration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
