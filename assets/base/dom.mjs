/** Elements made by hand, and React components whose inside is made of them. */

const AWAY_PX = 14; // of what stands beside the pointer

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
 * Replace a text where it differs; cheap enough for every frame.
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
 * Follow a link within this page, unless the user asks for another tab.
 * @param {MouseEvent} event
 * @param {() => void} go
 */
export const follow = (event, go) => {
  if (event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go();
};

/**
 * The value of a custom property of assets/theme.css.
 * @param {string} name such as "--text"
 * @param {Element} [of] the element it is read at
 * @returns {string}
 */
export const token = (name, of = document.documentElement) => getComputedStyle(of).getPropertyValue(name).trim();

/**
 * Make a function that calls `act` in the next animation frame, once however often it is called before that.
 * @param {() => void} act
 * @returns {(() => void) & {cancel: () => void}} `cancel` drops the pending call
 */
export const oncePerFrame = (act) => {
  let pending = 0;
  const run = () => {
    pending = 0;
    act();
  };
  const later = () => {
    pending = pending || requestAnimationFrame(run);
  };
  const cancel = () => {
    cancelAnimationFrame(pending);
    pending = 0;
  };
  return Object.assign(later, { cancel });
};

/**
 * Place a fixed element beside the pointer, on the side where it is wholly visible.
 * @param {HTMLElement} node that is shown
 * @param {{x: number, y: number}} pointer in CSS pixels of the window
 */
export const placeBeside = (node, { x, y }) => {
  const { offsetWidth: width, offsetHeight: height } = node;
  const left = x + AWAY_PX + width < innerWidth ? x + AWAY_PX : Math.max(0, x - AWAY_PX - width);
  const top = y + AWAY_PX + height < innerHeight ? y + AWAY_PX : Math.max(0, y - AWAY_PX - height);
  node.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
};

/**
 * Make a React component of a class that fills an element by hand.
 * @param {string} className of the root element
 * @param {new (root: HTMLElement, props: any) => {destroy: () => void}} Part made once per element
 * @returns {(props: any) => any} of the component's properties, of which `id` goes to the root element
 */
export const component = (className, Part) => {
  const mount = (root, props) => {
    const part = new Part(root, props);
    return () => part.destroy();
  };
  return (props) => {
    const { createElement, useEffect, useRef } = window.React;
    const root = useRef(null);
    useEffect(() => mount(root.current, props), []);
    return createElement("div", { id: props.id, className, ref: root });
  };
};
