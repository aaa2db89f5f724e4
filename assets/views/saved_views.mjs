/** Saved views on the server (app/web/rest/views.py): `savedViews`. */
import { api, mountedAt } from "mloscope/base/addresses.mjs";
import { fetchJson, sendChange } from "mloscope/base/http.mjs";
import { view } from "mloscope/base/view.mjs";

/**
 * @typedef {{id: string, name: string, note: string, address: string, author: string, saved: string, run: string | null,
 *   corpus: string | null, problem: string | null}} SavedView
 */

export const savedViews = {
  /** @returns {Promise<SavedView[]>} the latest first */
  list: async () => (await fetchJson(api(["views"]))).views,

  /** @param {{name: string, note: string, address: string}} values */
  save: (values) => sendChange("POST", api(["views"]), values),

  /** @param {string} id @param {{name?: string, note?: string}} values */
  change: (id, values) => sendChange("PATCH", api(["views", id]), values),

  /** @param {string} id */
  remove: (id) => sendChange("DELETE", api(["views", id])),

  /** The address of what is shown now, as the server keeps it: below wherever the application is mounted. */
  here: () => view.address().slice(mountedAt("").length - 1),

  /** @param {SavedView} saved @returns {string} its address in this browser, without the host */
  addressOf: (saved) => mountedAt(saved.address),

  /** @param {SavedView} saved @param {string} text @returns {boolean} whether it contains all words of the text */
  matches({ name, note, author, address }, text) {
    const all = [name, note, author, address].join(" ").toLowerCase();
    return text.toLowerCase().split(/\s+/).filter(Boolean).every((word) => all.includes(word)); // prettier-ignore
  },
};
