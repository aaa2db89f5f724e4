/** A bar per class with its probability; the predicted and the true one are said: `ProbabilityRows`. */
import { element, write } from "mloscope/base/dom.mjs";
import { percent } from "mloscope/base/numbers.mjs";

/** @typedef {{name: string, probability: number, isPredicted: boolean, isTrue: boolean}} Row */

export class ProbabilityRows {
  /** @type {any[]} */ #rows = [];

  constructor() {
    this.list = element("ul", { class: "predictions-list" });
  }

  get count() {
    return this.#rows.length;
  }

  /** @param {Row[]} rows `probability` NaN where the network gives none @param {boolean} isJudged whether a true class is known */
  show(rows, isJudged) {
    this.list.toggleAttribute("data-judged", isJudged);
    while (this.#rows.length < rows.length) this.#add();
    while (this.#rows.length > rows.length) this.#rows.pop().row.remove();
    rows.forEach((row, place) => fill(this.#rows[place], row));
  }

  /** Keep the rows and empty them, so that nothing jumps; never with another step's numbers. */
  empty() {
    for (const parts of this.#rows) {
      fill(parts, { name: parts.name.textContent, probability: null, isPredicted: false, isTrue: false });
    }
  }

  #add() {
    const parts = {
      name: element("span", { class: "predictions-name" }),
      mark: element("span", { class: "true-mark" }, ["true"]),
      bar: element("span", { class: "predictions-bar" }),
      text: element("span", { class: "predictions-text" }),
      row: element("li", { class: "predictions-row" }),
    };
    parts.row.append(
      element("span", { class: "predictions-label" }, [parts.name, parts.mark]),
      element("span", { class: "predictions-track" }, [parts.bar]),
      parts.text,
    );
    this.#rows.push(parts);
    this.list.append(parts.row);
  }
}

function fill({ row, name, mark, bar, text }, { name: label, probability, isPredicted, isTrue }) {
  const isNumber = Number.isFinite(probability);
  write(name, label);
  mark.hidden = !isTrue;
  bar.style.transform = `scaleX(${isNumber ? Math.min(1, Math.max(0, probability)) : 0})`;
  write(text, probability === null ? "" : percent(probability));
  row.classList.toggle("predictions-predicted", isPredicted);
  row.classList.toggle("predictions-true", isTrue);
  const title = `${label}${isPredicted ? ", predicted" : ""}${isTrue ? ", the true class" : ""}`;
  if (row.title !== title) row.title = title;
}
