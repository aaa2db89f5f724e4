/** Curves over the amounts of a sweep, drawn anew at each step of time: `Lines`. */
import { element } from "mloscope/base/dom.mjs";
import { rounded, typeset } from "mloscope/base/numbers.mjs";

const EDGES = { left: 38, right: 92, top: 8, bottom: 30 };
const HEIGHT = 190;
const LABEL_PX = 13; // labels at line ends keep this far apart

export class Lines {
  /** @param {string} label for screen readers */
  constructor(label) {
    this.svg = element("svg:svg", { class: "lab-lines", role: "img", "aria-label": label, height: HEIGHT });
  }

  /**
   * @param {number[]} amounts
   * @param {string} unit of the amounts
   * @param {{name: string, colour: string, values: number[]}[]} curves a value per amount; NaN where there is none
   * @param {number} top the largest value of the axis, which begins at 0
   * @param {number} neutral the amount that changes nothing
   */
  draw(amounts, unit, curves, top, neutral) {
    const width = this.svg.clientWidth || 320;
    const [first, last] = [amounts[0], amounts[amounts.length - 1]];
    const x = (amount) => EDGES.left + ((amount - first) / (last - first)) * (width - EDGES.left - EDGES.right);
    const y = (value) => HEIGHT - EDGES.bottom - (value / (top || 1)) * (HEIGHT - EDGES.top - EDGES.bottom);
    const parts = [...axes(x, y, { first, last, unit, top, neutral, width })];
    for (const { name, colour, values } of curves) {
      parts.push(
        element("svg:path", { d: pathOf(amounts, values, x, y), stroke: colour, class: "lab-line" }, [element("svg:title", {}, [name])]),
      );
    }
    parts.push(...endLabels(curves, y, width - EDGES.right + 6));
    this.svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.svg.replaceChildren(...parts);
  }
}

const text = (words, attributes) => element("svg:text", attributes, [words]);

function axes(x, y, { first, last, unit, top, neutral, width }) {
  const right = width - EDGES.right;
  const ticks = [first, neutral, last].filter((amount, place, all) => amount >= first && amount <= last && all.indexOf(amount) === place);
  return [
    element("svg:path", { d: `M${EDGES.left},${y(top)}V${y(0)}H${right}`, class: "lab-axis" }),
    element("svg:path", { d: `M${x(neutral)},${y(top)}V${y(0)}`, class: "lab-neutral" }),
    text("0", { x: EDGES.left - 6, y: y(0) + 4, "text-anchor": "end" }),
    text(typeset(rounded(top)), { x: EDGES.left - 6, y: y(top) + 9, "text-anchor": "end" }),
    ...ticks.map((amount) => text(`${typeset(String(amount))} ${unit}`, { x: x(amount), y: y(0) + 16, "text-anchor": "middle" })),
  ];
}

function pathOf(amounts, values, x, y) {
  let open = false;
  return values
    .map((value, place) => {
      if (!Number.isFinite(value)) {
        open = false;
        return "";
      }
      const command = `${open ? "L" : "M"}${x(amounts[place]).toFixed(1)},${y(value).toFixed(1)}`;
      open = true;
      return command;
    })
    .join("");
}

/** Names at the ends of the curves, pushed apart where they would lie on one another. */
function endLabels(curves, y, left) {
  const ends = curves
    .map(({ name, colour, values }) => ({ name, colour, at: y(values.findLast(Number.isFinite) ?? NaN) }))
    .filter(({ at }) => Number.isFinite(at))
    .sort((a, b) => a.at - b.at);
  ends.forEach((end, place) => place && (end.at = Math.max(end.at, ends[place - 1].at + LABEL_PX)));
  const over = ends.length ? ends[ends.length - 1].at - (HEIGHT - EDGES.bottom + 6) : 0;
  return ends.map(({ name, colour, at }) =>
    text(name.length > 14 ? `${name.slice(0, 6)}…${name.slice(-6)}` : name, {
      x: left,
      y: at - Math.max(0, over) + 4,
      fill: colour,
      class: "lab-end",
    }),
  );
}
