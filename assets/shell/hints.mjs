/**
 * Three hints for somebody's first visit: `hints`. One at a time, each closed for good; "Don't show hints" closes them all. The browser
 * keeps how far they have come.
 */
import { button, element } from "mloscope/base/dom.mjs";
import { kept } from "mloscope/base/kept.mjs";
import { onOpen } from "mloscope/base/subject.mjs";

const KEPT = "mloscope-hints"; // how many are closed
const HINTS = [
  "Drag the time slider, or press Space to play: everything on the page shows the same moment of training.",
  "Click a layer of the network, then one of its tiles or an image: the panels beside show what was clicked, at every step.",
  "? lists all keys, Share copies the address of exactly this view, and Back undoes the last choice.",
];

export const hints = {
  /**
   * Show the first hint that was not closed yet.
   * @param {HTMLElement} place
   */
  show(place) {
    const at = Number(kept.get(KEPT)) || 0;
    if (at >= HINTS.length) return;
    const card = element("aside", { class: "hint", "aria-label": "Hint" });
    const close = (count) => {
      kept.set(KEPT, String(count));
      card.remove();
      if (kept.get(KEPT) === String(count)) hints.show(place); // where nothing is kept, one hint is enough
    };
    card.append(
      element("p", {}, [HINTS[at]]),
      element("div", { class: "hint-foot" }, [
        element("span", { class: "quiet-text" }, [`${at + 1} of ${HINTS.length}`]),
        button("bar-button", "Don't show hints", "No hints from now on", () => close(HINTS.length)),
        button("tool-chip", "Got it", "Close this hint for good", () => close(at + 1)),
      ]),
    );
    place.append(card);
  },
};

const stop = onOpen(() => {
  const shell = /** @type {HTMLElement | null} */ (document.querySelector(".shell"));
  if (!shell || shell.querySelector(".hint")) return;
  hints.show(shell);
  setTimeout(() => stop(), 0);
});
