/**
 * How a class and a cluster are distinguished wherever they are drawn: `marks`. A colour means one thing: classes and clusters have
 * ten each that the other has not (components/theme.py). A cluster's shape changes with every ten, and its number stands beside it.
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
  /** @param {"class" | "prediction" | "cluster"} kind @returns {string[]} the colours of its numbers, in turn */
  colours: (kind) => pageData(kind === "cluster" ? "cluster-colours" : "categories"),

  /** @param {"class" | "prediction" | "cluster"} kind @param {number} number @returns {string} */
  colour: (kind, number) => marks.colours(kind)[number % marks.colours(kind).length],

  /**
   * @param {number} cluster
   * @param {number} [size] pixels
   * @returns {SVGElement} its shape in its colour
   */
  mark(cluster, size = 10) {
    const shape = SHAPES[Math.floor(cluster / marks.colours("cluster").length) % SHAPES.length];
    const path = element("svg:path", { d: shape, fill: marks.colour("cluster", cluster) });
    return element("svg:svg", { class: "cluster-mark", viewBox: "0 0 10 10", width: size, height: size, "aria-hidden": "true" }, [path]);
  },

  /** @param {"class" | "prediction" | "cluster"} kind @returns {number[][]} red, green, blue, 0..255, of each colour in turn */
  rgb: (kind) => marks.colours(kind).map(rgbOf),
};
