/** Sentences to the user, in #notices. Those that stay while something is so: standing_notice.mjs. */
import { element } from "mloscope/base/dom.mjs";

const NOTICES_SHOWN = 4;

/**
 * Say something to the user, in #notices, until it is dismissed. The same sentence is not said twice at a time.
 * @param {string} text a full sentence
 */
export const notice = (text) => {
  const place = document.getElementById("notices");
  if (!place) {
    // Scripts run before Dash has laid out the page.
    if (document.readyState !== "complete" || window.dash_clientside) setTimeout(() => notice(text), 100);
    return;
  }
  if ([...place.children].some((child) => child.getAttribute("data-text") === text)) return;
  const dismiss = element("button", { type: "button", class: "notice-close", title: "Dismiss this message", "aria-label": "Dismiss" }, [
    "×",
  ]);
  const item = element("p", { class: "notice", "data-text": text }, [element("span", {}, [text]), dismiss]);
  dismiss.addEventListener("click", () => item.remove());
  place.append(item);
  const passing = [...place.children].filter((child) => !child.classList.contains("notice-standing"));
  for (const old of passing.slice(0, -NOTICES_SHOWN)) old.remove();
};

/**
 * What was said is no longer so.
 * @param {string} text how the sentence begins
 */
export const takeBackNotice = (text) => {
  for (const item of document.querySelectorAll("#notices .notice"))
    if (String(item.getAttribute("data-text")).startsWith(text)) item.remove();
};
