/** A small curve over all steps with a cursor that follows the time bus; a click goes to a step: `Spark`. */
import { element } from "mloscope/base/dom.mjs";
import { grouped } from "mloscope/base/numbers.mjs";
import { time } from "mloscope/base/time_bus.mjs";

const WIDTH = 300;
const HEIGHT = 46;
const INSET = 3;
const MARK = 4; // height of a mark above or below the foot

export class Spark {
  /** @type {(number | null)[]} */ #values = [];
  #most = 1;

  constructor() {
    const line = (name) => element("svg:path", { class: `spark-${name}` });
    this.line = line("line");
    this.marks = { right: line("right"), wrong: line("wrong") };
    this.cursor = element("svg:line", { class: "spark-cursor", y1: 0, y2: HEIGHT });
    this.dot = element("svg:circle", { class: "spark-dot", r: 2.5 });
    this.drawing = element("svg:svg", { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" }, [
      this.marks.right, this.marks.wrong, this.line, this.cursor, this.dot,
    ]); // prettier-ignore
    this.ends = element("div", { class: "spark-ends" }, [element("span", {}), element("span", {})]);
    this.node = element("div", {}, [this.drawing, this.ends]);
    this.drawing.addEventListener("click", (event) => {
      const box = this.drawing.getBoundingClientRect();
      const inset = (INSET / WIDTH) * box.width;
      time.request(((event.clientX - box.left - inset) / (box.width - 2 * inset)) * (time.count - 1));
    });
  }

  /**
   * Draw what is known.
   * @param {(number | null)[]} values by checkpoint; the curve is broken where there is none
   * @param {number} most the value at the top
   * @param {string} label for those who hear the page
   * @param {(("right" | "wrong" | null)[])} [marks] by checkpoint: a mark above the foot for right, one below it for wrong
   */
  draw(values, most, label, marks = []) {
    this.#values = values;
    this.#most = most;
    this.drawing.setAttribute("aria-label", label);
    this.foot = marks.length ? HEIGHT - 2 * MARK - 2 : HEIGHT - INSET;
    let path = "";
    values.forEach((value, index) => {
      if (value === null) return;
      const isFirst = index === 0 || values[index - 1] === null;
      path += `${isFirst ? "M" : "L"}${this.#x(index).toFixed(2)} ${this.#y(value).toFixed(2)}`;
      if (isFirst && (values[index + 1] ?? null) === null) path += "h0.01"; // alone: a dot
    });
    this.line.setAttribute("d", path);
    for (const [kind, node] of Object.entries(this.marks)) node.setAttribute("d", this.#pathOf(marks, kind));
    const { checkpoints } = time;
    const isKnown = values.some((value) => value !== null) || marks.some(Boolean);
    [...this.ends.children].forEach((node, place) => {
      node.textContent = isKnown ? `step ${grouped(checkpoints.at(-place).step)}` : "";
    });
  }

  /** Follow time. */
  move() {
    const x = this.#x(time.index);
    const value = this.#values[time.index] ?? null;
    this.cursor.setAttribute("x1", String(x));
    this.cursor.setAttribute("x2", String(x));
    this.dot.setAttribute("cx", String(x));
    this.dot.setAttribute("cy", String(value === null ? -10 : this.#y(value)));
  }

  #pathOf(marks, kind) {
    const width = Math.max(1, (WIDTH - 2 * INSET) / Math.max(1, marks.length) - 0.5);
    const top = HEIGHT - 2 * MARK + (kind === "wrong" ? MARK : 0);
    return marks
      .map((mark, index) => (mark === kind ? `M${(this.#x(index) - width / 2).toFixed(2)} ${top}h${width.toFixed(2)}v${MARK}h-${width.toFixed(2)}z` : ""))
      .join(""); // prettier-ignore
  }

  #x(index) {
    return INSET + (index / Math.max(1, time.count - 1)) * (WIDTH - 2 * INSET);
  }

  #y(value) {
    const foot = /** @type {number} */ (this.foot ?? HEIGHT - INSET);
    return foot - (value / this.#most) * (foot - INSET);
  }
}
