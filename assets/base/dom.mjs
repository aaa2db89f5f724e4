/** Elements made by hand, and React components whose inside is made of them. */

/**
 * @template Tag
 * @typedef {Tag extends keyof HTMLElementTagNameMap ? HTMLElementTagNameMap[Tag]
 *   : Tag extends `svg:${infer Name extends keyof SVGElementTagNameMap}` ? SVGElementTagNameMap[Name] : never} Made
 */

/**
 * Make an element.
 * @template {keyof HTMLElementTagNameMap | `svg:${keyof SVGElementTagNameMap}`} Tag
 * @param {Tag} tag an HTML tag, or "svg:" and an SVG tag
 * @param {Record<string, string | number | boolean | null | undefined>} attributes null, undefined and false are left out
 * @param {(Node | string)[]} [children]
 * @returns {Made<Tag>}
 */
export const element = (tag, attributes, children = []) => {
  const node = tag.startsWith("svg:") ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4)) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false && value !== undefined) node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children);
  return /** @type {any} */ (node);
};

/**
 * A button that does something.
 * @param {string} className
 * @param {string | Node} face its text or icon
 * @param {string} title shown under the pointer; a screen reader says it where the face is not a word
 * @param {(event: MouseEvent) => void} act
 * @returns {HTMLButtonElement}
 */
export const button = (className, face, title, act) => {
  const isWord = typeof face === "string" && /[a-z]/i.test(face);
  const spoken = isWord ? null : title.replace(/ \(.*/, "");
  const node = element("button", { type: "button", class: className, title, "aria-label": spoken }, [face]);
  node.addEventListener("click", act);
  return node;
};

/**
 * Write a text where another one stands; cheap enough for every frame.
 * @param {Element} node
 * @param {string | null | undefined} text
 */
export const write = (node, text) => {
  if (node.textContent !== (text || "")) node.textContent = text || "";
};

/**
 * What an event hit: the nearest element around its target that fits.
 * @param {Event} event
 * @param {string} selector
 * @returns {HTMLElement | null}
 */
export const hit = (event, selector) => (event.target instanceof Element ? event.target.closest(selector) : null);

/**
 * What draws on a canvas.
 * @param {HTMLCanvasElement} canvas that has no other context
 * @returns {CanvasRenderingContext2D}
 */
export const context2d = (canvas) => /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));

/**
 * Render a React component whose inside is drawn by hand; to be called from the component, every time with the same mount.
 * @param {string} className of the root element
 * @param {(root: HTMLElement, props: any) => (() => void)} mount called once with the root element and the properties;
 *   returns the function that undoes it
 * @param {any} props `id` goes to the root element
 * @returns {any} a React element
 */
export const mounted = (className, mount, props) => {
  const { createElement, useEffect, useRef } = window.React;
  const root = useRef(null);
  useEffect(() => mount(root.current, props), []);
  return createElement("div", { id: props.id, className, ref: root });
};

/**
 * A whole number with thin spaces between thousands: 1\u2009200.
 * @param {number} number
 * @returns {string}
 */
export const grouped = (number) => String(number).replace(/\B(?=(\d{3})+(?!\d))/g, "\u2009");
