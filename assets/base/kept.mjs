/**
 * What the browser keeps for the next visit: `kept`. A browser may refuse to keep anything, and then nothing is kept.
 */

export const kept = {
  /** @param {string} name @returns {string | null} */
  get(name) {
    try {
      return window.localStorage.getItem(name);
    } catch {
      return null;
    }
  },

  /** @param {string} name @param {string} value */
  set(name, value) {
    try {
      window.localStorage.setItem(name, value);
    } catch {
      // for this visit it holds all the same
    }
  },
};
