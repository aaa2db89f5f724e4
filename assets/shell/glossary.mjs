/**
 * The "?" beside a word of the trade: `whatIs` makes one, components/glossary.py another and the table of meanings. A click, Enter or Space
 * opens the explanation; Escape, another click or leaving it closes it.
 */
import { element, hit } from "mloscope/base/dom.mjs";
import { pageData } from "mloscope/base/page_data.mjs";

const AWAY_PX = 6;
/** @type {HTMLElement | null} */
let opener = null;
const note = element("div", { class: "what-is-note", role: "status", hidden: true });

/**
 * @param {string} word of the glossary
 * @returns {HTMLButtonElement}
 */
export const whatIs = (word) =>
  element("button", { type: "button", class: "what-is", "data-word": word, "aria-label": `What is ${word}?`, "aria-expanded": "false" }, [
    "?",
  ]);

function close() {
  if (opener) opener.setAttribute("aria-expanded", "false");
  opener = null;
  note.hidden = true;
}

function open(button) {
  const word = button.dataset.word;
  close();
  opener = button;
  button.setAttribute("aria-expanded", "true");
  if (!note.isConnected) document.body.append(note);
  note.replaceChildren(element("strong", {}, [word]), `: ${pageData("glossary")[word]}.`);
  note.hidden = false;
  const { left, top, bottom } = button.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = note;
  const isBelow = bottom + AWAY_PX + height < innerHeight;
  note.style.left = `${Math.max(AWAY_PX, Math.min(left, innerWidth - width - AWAY_PX))}px`;
  note.style.top = `${isBelow ? bottom + AWAY_PX : top - AWAY_PX - height}px`;
}

document.addEventListener("click", (event) => {
  const button = hit(event, ".what-is");
  if (button && button !== opener) open(button);
  else if (!hit(event, ".what-is-note")) close();
});
document.addEventListener("keydown", ({ key }) => key === "Escape" && close());
document.addEventListener("focusin", ({ target }) => target !== opener && close());
document.addEventListener("scroll", close, true);
