/**
 * Links to pages (`a[data-page]`) lead there with run, corpus and view: a click changes the page in place, and what is copied, opened
 * in another tab or dragged away says the same. Skip links move the focus and leave the address alone.
 */
import { follow, hit } from "mloscope/base/dom.mjs";
import { view } from "mloscope/base/view.mjs";

const LINK = "a[data-page]";
/** What a user may do with a link before its address matters. */
const BEFORE_USE = ["pointerover", "pointerdown", "focusin", "contextmenu"];

const pathOf = (link) => new URL(link.href).pathname;

for (const type of BEFORE_USE) {
  document.addEventListener(type, (event) => {
    const link = /** @type {HTMLAnchorElement | null} */ (hit(event, LINK));
    if (link) link.href = view.address(pathOf(link));
  });
}

document.addEventListener("click", (event) => {
  const skip = /** @type {HTMLAnchorElement | null} */ (hit(event, "a.skip-link"));
  if (skip) {
    event.preventDefault();
    reach(skip.hash.slice(1));
  }
  const link = hit(event, LINK);
  if (link) follow(event, () => view.visit({ path: pathOf(link) }));
});

function reach(id) {
  const place = document.getElementById(id);
  if (!place) return;
  if (place.tabIndex < 0) place.tabIndex = -1; // a region takes the focus, but Tab does not stop there
  place.focus();
}
