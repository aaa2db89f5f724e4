/**
 * A notice that stands as long as what it says is so: `standingNotice`.
 */
import { element, follow } from "mloscope/base/dom.mjs";

const LOOK_EVERY_MS = 100;
const PATIENCE_MS = 3000; // until Dash has laid out the page; where it cannot, the notice stands alone
const wanted = new Map(); // key -> {text, action}
const began = performance.now();

/**
 * Say something, or take it back. One notice for each key; the same again changes nothing.
 * @param {string} key
 * @param {string | null} text a full sentence; null where it is no longer so
 * @param {null | {text: string, href: string, onClick: (() => void)}} [action] a link behind the sentence; a click that opens no other
 *   tab calls onClick
 */
export const standingNotice = (key, text, action = null) => {
  if (text === null) wanted.delete(key);
  else wanted.set(key, { text, action });
  draw(key);
};

function draw(key) {
  const old = [...document.querySelectorAll(".notice-standing")].find((item) => item.getAttribute("data-key") === key);
  const notice = wanted.get(key);
  if (!notice) {
    if (old) old.remove();
    return;
  }
  const place = placeOfNotices();
  if (!place) {
    setTimeout(() => draw(key), LOOK_EVERY_MS);
    return;
  }
  const told = `${notice.text} ${notice.action ? notice.action.href : ""}`;
  if (old && old.getAttribute("data-told") === told && old.parentNode === place) return;
  if (old) old.remove();
  place.prepend(made(key, notice, told));
}

function placeOfNotices() {
  const place = document.getElementById("notices");
  if (place || performance.now() - began < PATIENCE_MS) return place;
  let alone = document.getElementById("notices-alone");
  if (!alone) {
    alone = element("div", { id: "notices-alone", role: "status", class: "shell-notices" });
    document.body.prepend(alone);
  }
  return alone;
}

function made(key, { text, action }, told) {
  const words = element("span", {}, [text]);
  if (action) {
    const link = element("a", { href: action.href, class: "notice-action" }, [action.text]);
    link.addEventListener("click", (event) => follow(event, action.onClick));
    words.append(" ", link);
  }
  return element("p", { class: "notice notice-standing", "data-key": key, "data-text": text, "data-told": told }, [words]);
}
