/**
 * How a cluster or class is distinguished wherever it is drawn: a colour, a shape and its number. `marks`.
 *
 * There are ten colours that go with every colour blindness (components/theme.py); the shape changes with every ten, and the
 * number stands beside it.
 */
import { rgbOf } from "mloscope/base/canvas.mjs";
import { element } from "mloscope/base/dom.mjs";
import { pageData } from "mloscope/base/page_data.mjs";

// In a square from 0 to 10.
const SHAPES = [
  "M5 0.5a4.5 4.5 0 1 0 0.01 0z",
  "M1 1h8v8h-8z",
  "M5 0.4l4.9 8.8h-9.8z",
  "M5 0l5 5l-5 5l-5 -5z",
  "M3.4 0.5h3.2v2.9h2.9v3.2h-2.9v2.9h-3.2v-2.9h-2.9v-3.2h2.9z",
  "M5 9.6l-4.9 -8.8h9.8z",
];

export const marks = {
  /** @returns {string[]} */
  get colours() {
    return pageData("categories");
  },
  /** How many can be told apart by colour and shape. */
  get count() {
    return marks.colours.length * SHAPES.length;
  },

  /** @param {number} number of a cluster or class @returns {string} a colour */
  colour: (number) => marks.colours[number % marks.colours.length],

  /**
   * @param {number} number
   * @param {number} [size] pixels
   * @returns {SVGElement} its shape in its colour
   */
  mark(number, size = 10) {
    const shape = SHAPES[Math.floor(number / marks.colours.length) % SHAPES.length];
    const path = element("svg:path", { d: shape, fill: marks.colour(number) });
    return element("svg:svg", { class: "cluster-mark", viewBox: "0 0 10 10", width: size, height: size, "aria-hidden": "true" }, [path]);
  },

  /** @returns {number[][]} red, green, blue, 0..255, of each colour in turn */
  rgb: () => marks.colours.map(rgbOf),
};
