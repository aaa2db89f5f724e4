/** Copying to the clipboard. */
import { write } from "mloscope/base/dom.mjs";

export const COPIED_MS = 1800; // how long a button says that it is done

/** Copy a text. @param {string} text @returns {Promise<boolean>} false over plain http, where it must be copied by hand */
export const copied = async (text) => {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    return false;
  }
  return true;
};

/** Say "Copied" on a button for a while. @param {Element} button @param {string} word its own @returns {number} of the timer */
export const sayCopied = (button, word) => {
  write(button, "Copied");
  return setTimeout(() => write(button, word), COPIED_MS);
};
