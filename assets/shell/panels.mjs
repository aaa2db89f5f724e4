/**
 * Panels that fold and are resized: `panels`. What was chosen is the browser's own and kept for the
 * next visit; one style sheet holds all of it from before the page is drawn, so nothing jumps.
 *
 * An element with `data-panel="name"` is a panel: folded, all of it is hidden but its Fold or what is of class "panel-head"; one of class
 * "panel-column" gives its whole width away. Its size is the custom property `--panel-name`, which style sheets use where they please.
 */
import { kept } from "mloscope/base/kept.mjs";

const NAME = "mloscope-panels";
const PLAIN_NAME = /^[a-z][a-z0-9-]*$/;

/** @type {Map<string, {size?: number, folded?: boolean}>} */
const states = new Map(readKept());
/** @type {Set<() => void>} */
const listeners = new Set();
const sheet = new window.CSSStyleSheet();
document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
applyAll();

/** What was kept, without what cannot be. @returns {[string, {size?: number, folded?: boolean}][]} */
function readKept() {
  try {
    return Object.entries(JSON.parse(kept.get(NAME) || "{}")).flatMap(([name, { size, folded }]) =>
      PLAIN_NAME.test(name) ? [[name, { size: Number.isFinite(size) ? size : undefined, folded: folded === true }]] : [],
    );
  } catch {
    return []; // another version's
  }
}

function applyAll() {
  const rules = [...states].flatMap(([name, { size, folded }]) => [
    size === undefined ? "" : `:root { --panel-${name}: ${Math.round(size)}px; }`,
    folded ? `:root { --panel-${name}: auto; }` : "",
    folded ? `[data-panel="${name}"]:not(.panel-column) > :not(.fold, .panel-edge, .panel-head) { display: none !important; }` : "",
    folded
      ? `@media (min-width: 1181px) { :root:has(.panel-column[data-panel="${name}"]) { --panel-${name}: 0px; } [data-panel="${name}"].panel-column { visibility: hidden; } }`
      : "",
  ]);
  sheet.replaceSync(rules.join("\n"));
}

export const panels = {
  /** @param {string} name @returns {{size?: number, folded?: boolean}} size in pixels, undefined where the page decides */
  of: (name) => states.get(name) || {},

  /** @param {string} name @param {{size?: number, folded?: boolean}} changes */
  set(name, changes) {
    states.set(name, { ...states.get(name), ...changes });
    kept.set(NAME, JSON.stringify(Object.fromEntries(states)));
    applyAll();
    for (const listener of [...listeners]) listener();
  },

  /** @param {() => void} listener @returns {() => void} stops listening */
  onChange(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
};
