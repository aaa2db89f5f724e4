/**
 * Keys: what they do, and whose they are. Every handler is made of a table (`keyTable`), and the key map shows all tables (`keyTables`),
 * so that it cannot say anything else than what happens.
 *
 *     text fields, selects, sliders       every key is theirs
 *     , and .                             always time's elsewhere
 *     Space, arrows, Home, End            time's; a grid, a graph, a button that was reached by Tab comes first
 *
 * A click moves the focus and never the keys: whoever has clicked a filter still plays with Space.
 */

/** @typedef {{keys: string[], does: string, act: (owner: any, event: any) => (boolean | void)}} KeyRow */

const WIDGETS =
  "[data-own-keys],[role=listbox],[role=combobox],[role=menu],[role=grid],[role=tree],[role=tablist],[role=slider],[role=radiogroup]";
const PRESSED = "button, a, summary, [role=button], input[type=checkbox], input[type=radio]";
const NOT_TYPED_INTO = new Set(["button", "checkbox", "color", "file", "radio", "reset", "submit"]);
const ALWAYS_TIME = new Set([",", "."]);
const LABELS = {
  " ": "Space",
  ArrowLeft: "←",
  ArrowRight: "→",
  ArrowUp: "↑",
  ArrowDown: "↓",
  Escape: "Esc",
  PageUp: "Page ↑",
  PageDown: "Page ↓",
};

/** @type {{place: string, rows: KeyRow[], isGeneral: boolean}[]} */
export const keyTables = [];
let byPointer = false; // how the focus moves just now
let hasKeys = false; // whether what has the focus has its keys as well

document.addEventListener("pointerdown", () => ((byPointer = true), (hasKeys = false)), true);
document.addEventListener("keydown", (event) => event.key === "Tab" && (byPointer = false), true);
document.addEventListener("focusin", () => (hasKeys = !byPointer), true);

/**
 * Make a handler of keys, and have the key map show them.
 * @param {string} place where the keys work, as the key map says it
 * @param {KeyRow[]} rows `keys` as events name them, "Shift+ArrowLeft" and "Ctrl+wheel" included; `act` returns false where the key means
 *   nothing just now
 * @param {boolean} [isGeneral] whether they work on every page: the key map begins with them
 * @returns {(owner: any, event: KeyboardEvent | WheelEvent) => boolean} whether the key meant something; its default is prevented then
 */
export const keyTable = (place, rows, isGeneral = false) => {
  keyTables.push({ place, rows, isGeneral });
  const acts = new Map(rows.flatMap(({ keys, act }) => keys.map((key) => [key, act])));
  return (owner, event) => {
    const act = namesOf(event)
      .map((name) => acts.get(name))
      .find(Boolean);
    if (!act || act(owner, event) === false) return false;
    event.preventDefault();
    return true;
  };
};

/** What tables may call an event; the first that one has is meant. */
function namesOf(event) {
  const isWheel = event.type === "wheel";
  if (event.altKey || (!isWheel && (event.ctrlKey || event.metaKey))) return [];
  if (isWheel) return [event.ctrlKey || event.metaKey ? "Ctrl+wheel" : "wheel"];
  return event.shiftKey ? [`Shift+${event.key}`, event.key] : [event.key];
}

/** @param {string} key as tables name it @returns {string} as it stands on keyboards */
export const keyLabel = (key) => {
  const parts = key.split("+").filter(Boolean);
  return parts.length ? parts.map((part) => LABELS[part] || part).join(" + ") : key;
};

/**
 * Whose a key is.
 * @param {KeyboardEvent} event
 * @param {Element} slider of time, whose keys are time's
 * @returns {"time" | "focus" | "focus first"} "focus first": of what has the focus, and time's where that has no use for it
 */
export const whose = (event, slider) => {
  const target = event.target instanceof Element ? event.target : document.body;
  if (target === slider) return "time";
  if (isTypedInto(target)) return "focus";
  if (ALWAYS_TIME.has(event.key) || !hasKeys) return "time";
  if (target.matches("input[type=radio]") || (event.key === " " && target.closest(PRESSED))) return "focus";
  return target.closest(WIDGETS) ? "focus first" : "time";
};

/** Whether somebody writes or chooses there: text fields, selects, sliders. */
function isTypedInto(target) {
  if (target.closest("textarea, select, [contenteditable]")) return true;
  return target.matches("input") && !NOT_TYPED_INTO.has(target.type);
}
