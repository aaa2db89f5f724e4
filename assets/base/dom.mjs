/** Elements made by hand, and React components whose inside is made of them. */

/**
 * Make an element.
 * @param {string} tag an HTML tag, or "svg:" and an SVG tag
 * @param {Object<string, string|number|boolean|null>} attributes null and false are left out
 * @param {(Node|string)[]} [children]
 * @returns {Element}
 */
export const element = (tag, attributes, children = []) => {
  const node = tag.startsWith("svg:") ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4)) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false && value !== undefined) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
};

/**
 * Render a React component whose inside is drawn by hand; to be called from the component, every time with the same mount.
 * @param {string} className of the root element
 * @param {function(HTMLElement, Object): function(): void} mount called once with the root element and the properties;
 *   returns the function that undoes it
 * @param {Object} props `id` goes to the root element
 * @returns {Object} a React element
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
