/** The body of the table of runs: a row for each, and for each group a line above its rows. */
import { element, write } from "mloscope/base/dom.mjs";
import { addressOf } from "mloscope/runs/addresses.mjs";
import { ago, shownValue } from "mloscope/runs/columns.mjs";

/** @typedef {import("mloscope/runs/columns.mjs").Row} Row */
/** @typedef {import("mloscope/runs/columns.mjs").Column} Column */

const TAIL_LETTERS = 14;
const STATES = {
  live: "Its files still change",
  new: "Found in the last 24 hours",
  ready: "Complete, as far as its files tell",
  opening: "It is being opened",
  broken: "It cannot be shown",
};

/**
 * A name that loses letters in its middle where room is short: what tells runs of a sweep apart stands at the end.
 * @param {string} text
 * @returns {HTMLElement}
 */
export const middleEllipsis = (text) => {
  const cut = text.length > TAIL_LETTERS * 1.5 ? text.length - TAIL_LETTERS : text.length;
  return element("span", { class: "middle", title: text }, [
    element("span", { class: "middle-head" }, [text.slice(0, cut)]),
    element("span", { class: "middle-tail" }, [text.slice(cut)]),
  ]);
};

/** Lines of the table by run. A line stays as it is until its run, the columns or the choice change, so that searching moves lines only. */
export class Lines {
  /** @type {Map<string, {row: Row, about: string, node: HTMLTableRowElement}>} */ known = new Map();

  /**
   * @param {[string, Row[]][]} groups
   * @param {Column[]} columns
   * @param {Set<string>} chosen names of runs
   * @returns {HTMLTableSectionElement[]} a body for each group
   */
  bodies(groups, columns, chosen) {
    const keys = columns.map(({ key }) => key).join("\n");
    return groups.map(([name, rows]) =>
      element("tbody", {}, [
        ...(name ? [element("tr", { class: "runs-group" }, [groupHead(name, rows.length, columns.length + 2)])] : []),
        ...rows.map((row) => this.line(row, columns, keys, chosen.has(row.name))),
      ]),
    );
  }

  line(row, columns, keys, isChosen) {
    const about = `${isChosen}\n${keys}`;
    const before = this.known.get(row.name);
    if (before && before.row === row && before.about === about) return before.node;
    const node = line(row, columns, isChosen);
    this.known.set(row.name, { row, about, node });
    return node;
  }

  /** How long ago things were, as time goes on. */
  showAges() {
    for (const { node } of this.known.values()) {
      const place = node.querySelector("[data-changed]");
      if (place instanceof HTMLElement) write(place, ago(Date.now() / 1000 - Number(place.dataset.changed)));
    }
  }
}

const groupHead = (name, count, span) =>
  element("th", { scope: "rowgroup", colspan: span }, [name, element("span", { class: "quiet-text" }, [` ${count}`])]);

/** @param {Row} row */
function line(row, columns, isChosen) {
  const box = element("input", { type: "checkbox", tabindex: -1, "aria-label": `Choose ${row.title}` });
  box.checked = isChosen;
  const canOpen = row.state !== "broken" && row.state !== "opening";
  const name = element(canOpen ? "a" : "span", { class: "runs-name", tabindex: -1, href: canOpen && addressOf("/", row.name) }, [
    middleEllipsis(row.title),
  ]);
  return element("tr", { "data-run": row.name, "data-state": row.state, "data-chosen": isChosen }, [
    element("td", { class: "runs-choice" }, [box]),
    element("th", { scope: "row" }, [name, ...(row.problem ? [whyBroken(row.problem)] : [])]),
    ...columns.map((column) => cell(row, column)),
  ]);
}

/** The sentence that says why, and what more there is to say when it is opened. */
function whyBroken(problem) {
  const [, first, rest] = /** @type {RegExpExecArray} */ (/^(.*?[.:!?])(?:\s+([^]*))?$/.exec(problem) || [problem, problem, ""]);
  if (!rest) return element("div", { class: "runs-problem" }, [first]);
  return element("details", { class: "runs-problem" }, [element("summary", {}, [first]), rest]);
}

function cell(row, column) {
  const value = column.value(row);
  const text = shownValue(column, value);
  if (column.key === "state") return element("td", {}, [element("span", { class: "runs-state", title: STATES[row.state] }, [text])]);
  if (column.key === "tags")
    return element("td", {}, [
      element(
        "span",
        { class: "runs-tags" },
        row.tags.map((tag) => element("span", { class: "runs-tag" }, [tag])),
      ),
    ]);
  if (column.key === "changed" && value !== null)
    return element("td", { "data-changed": value, title: new Date(value * 1000).toLocaleString() }, [text]);
  const spoiled = column.key === "checkpoints" && row.broken_checkpoints ? ` (${row.broken_checkpoints} broken)` : "";
  const isNumber = typeof value === "number";
  return element("td", { class: isNumber ? "runs-number" : null, title: isNumber ? String(value) : text }, [text + spoiled]);
}
