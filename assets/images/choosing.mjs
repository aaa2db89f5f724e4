/** Choosing an image behind a number: its card opens; a double click opens the main display with it. The same on all pages. */
import { mountedAt } from "mloscope/base/addresses.mjs";
import { view } from "mloscope/base/view.mjs";

/** Select an image, and open its card. @param {string} image */
export const choose = (image) => view.set({ image, card: "open" });

/** Show an image on the main display. @param {string} image */
export const openInNetwork = (image) => {
  view.set({ image });
  view.visit({ path: mountedAt("/") });
};
