/** A checkpoint of the time bus in words. */
import { stepName } from "mloscope/base/numbers.mjs";

/** @param {any} value @returns {boolean} */
export const isKnown = (value) => value !== null && value !== undefined;

/** @param {number} epoch @returns {string} with two decimals at most */
export const shortEpoch = (epoch) => String(Number(Number(epoch).toFixed(2)));

/** @param {any} checkpoint @returns {string} its step and epoch, and what is the matter with it */
export const inWords = (checkpoint) =>
  `step ${stepName(checkpoint)}` +
  (isKnown(checkpoint.epoch) ? `, epoch ${shortEpoch(checkpoint.epoch)}` : "") +
  (checkpoint.problem ? `, cannot be read: ${checkpoint.problem}` : "");
