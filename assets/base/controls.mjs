/** Selects and rows of buttons, the same on all pages. */
import { button, element } from "mloscope/base/dom.mjs";

/**
 * A select.
 * @param {Record<string, any>} attributes
 * @param {(string | string[])[]} options as of `fill`
 * @param {(value: string) => void} use called with the value that is chosen
 * @returns {HTMLSelectElement}
 */
export const select = (attributes, options, use) => {
  const { class: className = "", ...others } = attributes;
  const node = element("select", { class: `form-select ${className}`.trim(), ...others });
  fill(node, options);
  node.addEventListener("change", () => use(node.value));
  return node;
};

/**
 * Replace the options of a select.
 * @param {HTMLSelectElement} node
 * @param {(string | string[])[]} options a value and its text each; a value that is its own text may stand alone
 */
export const fill = (node, options) => {
  const pairs = options.map((option) => (typeof option === "string" ? [option, option] : option));
  node.replaceChildren(...pairs.map(([value, text]) => element("option", { value }, [text])));
};

/** A control under its name. @param {string} name @param {Element} control @param {string} [title] */
export const labelled = (name, control, title) => element("label", { class: "tool", title }, [element("span", {}, [name]), control]);

/**
 * A row of buttons of which one is pressed.
 * @param {string} label for screen readers
 * @param {string[][]} options value, text and help each
 * @param {(value: string) => void} use called with the value of the button that is clicked
 * @returns {{node: HTMLElement, buttons: HTMLButtonElement[], show: (value: string) => void}} `show` presses a button
 */
export const segments = (label, options, use) => {
  const buttons = options.map(([value, text, help]) => {
    const node = button("segment", text, help || text, () => use(value));
    node.dataset.value = value;
    return node;
  });
  const show = (value) => buttons.forEach((node) => node.setAttribute("aria-pressed", String(node.dataset.value === value)));
  return { node: element("div", { class: "segments", role: "group", "aria-label": label }, buttons), buttons, show };
};
