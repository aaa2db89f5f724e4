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

/**
 * Choose images by the pointer (and by Enter and Space, where what stands for them is a button).
 * @param {HTMLElement} node around what stands for images
 * @param {(event: MouseEvent) => string | null | undefined} idOf the image that an event hit
 */
export const choosable = (node, idOf) => {
  const bind = (type, use) =>
    node.addEventListener(type, (event) => {
      const id = idOf(/** @type {MouseEvent} */ (event));
      if (id) use(id);
    });
  bind("click", choose);
  bind("dblclick", openInNetwork);
};
