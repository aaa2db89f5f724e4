/**
 * A picker of runs: a button with the chosen one's name, and a list with a search for hundreds of them. It is the component RunPicker in
 * the top bar, and chooses side B of a comparison.
 *
 *     subject.runs ──search──► options        GET run-table, whenever the list opens ──► state and metric beside each name
 */
import { api, mountedAt } from "mloscope/base/addresses.mjs";
import { component, element, hit, write } from "mloscope/base/dom.mjs";
import { fetchJson } from "mloscope/base/http.mjs";
import { onOpen, subject } from "mloscope/base/subject.mjs";
import { view } from "mloscope/base/view.mjs";
import { columnsOf, defaultColumns, shownValue } from "mloscope/runs/columns.mjs";
import { middleEllipsis } from "mloscope/runs/rows.mjs";

/** @typedef {import("mloscope/runs/columns.mjs").Row} Row */

const MOST = 60; // in the list at once; a search finds the others
const MOVES = { ArrowDown: 1, ArrowUp: -1 };

export class Picker {
  /** @type {string[]} names as they stand in the list */ found = [];
  /** @type {Map<string, Row>} */ rows = new Map();
  /** @type {(row: Row) => string} */ metric = () => "";
  at = 0;

  /**
   * @param {HTMLElement} root with an id
   * @param {{label: string, chosen: () => string, choose: (name: string) => void, first?: string[][]}} of first: names that are no runs,
   *   with their titles, before all others
   */
  constructor(root, { label, chosen, choose, first = [] }) {
    this.root = root;
    this.label = label;
    this.chosen = chosen;
    this.choose = choose;
    this.first = first;
    root.classList.add("picker");
    const list = `${root.id}-list`;
    this.button = element("button", {
      type: "button",
      class: "form-select picker-button",
      "aria-haspopup": "listbox",
      "aria-expanded": "false",
    });
    this.search = element("input", {
      type: "search", class: "tool-input picker-search", placeholder: "find a run", autocomplete: "off", spellcheck: "false", role: "combobox",
      "aria-label": `${label}: find a run`, "aria-expanded": "true", "aria-controls": list, "aria-autocomplete": "list",
    }); // prettier-ignore
    this.list = element("ul", { class: "picker-list", role: "listbox", id: list, "aria-label": label });
    this.more = element("span", { class: "quiet-text" });
    const all = element("a", { href: mountedAt("/runs"), "data-page": "runs" }, ["All runs: sort, tag, compare …"]);
    this.body = element("div", { class: "picker-body", hidden: true }, [
      this.search,
      this.list,
      element("div", { class: "picker-foot" }, [this.more, all]),
    ]);
    root.append(this.button, this.body);
    this.button.addEventListener("click", () => (this.body.hidden ? this.open() : this.close()));
    this.search.addEventListener("input", () => this.fill());
    this.search.addEventListener("keydown", (event) => this.key(event));
    this.list.addEventListener("click", (event) => this.take(hit(event, "[data-run]")));
    all.addEventListener("click", () => this.close());
    root.addEventListener("focusout", ({ relatedTarget }) => {
      if (relatedTarget instanceof Node && !root.contains(relatedTarget)) this.close();
    });
    this.outside = (event) => !root.contains(event.target) && this.close();
    document.addEventListener("pointerdown", this.outside);
  }

  destroy() {
    document.removeEventListener("pointerdown", this.outside);
    this.root.replaceChildren();
  }

  /** The button says what is chosen now. */
  show() {
    const title = this.title(this.chosen());
    if (this.button.title === title) return;
    this.button.title = title;
    this.button.setAttribute("aria-label", `${this.label}: ${title}`);
    this.button.replaceChildren(middleEllipsis(title));
  }

  title(name) {
    const [, title] = this.first.find(([known]) => known === name) || [];
    return title || ((subject && subject.titles) || { runs: {} }).runs[name] || name;
  }

  open() {
    this.body.hidden = false;
    this.button.setAttribute("aria-expanded", "true");
    this.search.value = "";
    this.fill();
    this.search.focus();
    this.read();
  }

  close() {
    this.body.hidden = true;
    this.button.setAttribute("aria-expanded", "false");
  }

  /** What more there is to say of runs. Without an answer their names do. */
  async read() {
    try {
      const { runs } = await fetchJson(api(["run-table"]));
      const columns = columnsOf(runs);
      const usual = defaultColumns(runs, columns);
      const metrics = columns.filter(({ kind, key }) => kind === "metric" && usual.includes(key));
      const column = metrics.find(({ key }) => /acc/i.test(key)) || metrics[0];
      this.rows = new Map(runs.map((row) => [row.name, row]));
      this.metric = (row) => (column && column.value(row) !== null ? `${column.title} ${shownValue(column, column.value(row))}` : "");
    } catch {
      return;
    }
    if (!this.body.hidden) this.fill();
  }

  fill() {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (name) => words.every((word) => `${name} ${this.title(name)}`.toLowerCase().includes(word));
    const names = [...this.first.map(([name]) => name), ...((subject && subject.runs) || [])].filter(fits);
    this.found = names.slice(0, MOST);
    const chosen = this.chosen();
    this.at = Math.max(0, words.length ? 0 : this.found.indexOf(chosen));
    this.list.replaceChildren(...this.found.map((name, at) => this.option(name, at, name === chosen)));
    const more = names.length - this.found.length;
    write(this.more, names.length ? (more ? `${more} more; search for them` : "") : "There is no such run.");
    this.mark();
  }

  option(name, at, isChosen) {
    const row = this.rows.get(name);
    const about = row ? [row.state === "ready" ? "" : row.state, this.metric(row)].filter(Boolean).join(" · ") : "";
    return element("li", { role: "option", id: `${this.root.id}-${at}`, "data-run": name, "data-chosen": isChosen, "data-state": row && row.state }, [
      middleEllipsis(this.title(name)),
      element("span", { class: "picker-about" }, [about]),
    ]); // prettier-ignore
  }

  mark() {
    [...this.list.children].forEach((option, at) => option.setAttribute("aria-selected", String(at === this.at)));
    const option = this.list.children[this.at];
    if (option) this.search.setAttribute("aria-activedescendant", option.id);
    else this.search.removeAttribute("aria-activedescendant");
    if (option) option.scrollIntoView({ block: "nearest" });
  }

  key(event) {
    const { key } = event;
    if (key === "Escape") {
      this.close();
      this.button.focus();
    } else if (key === "Enter") this.take(this.list.children[this.at]);
    else if (key in MOVES && this.found.length) {
      this.at = (this.at + MOVES[key] + this.found.length) % this.found.length;
      this.mark();
    } else return;
    event.preventDefault();
  }

  /** @param {any} option */
  take(option) {
    if (!option) return;
    this.close();
    this.button.focus();
    if (option.dataset.run !== this.chosen()) this.choose(option.dataset.run);
  }
}

/** The run that the page shows. */
class ShownRun {
  constructor(root) {
    this.picker = new Picker(root, {
      label: "Run",
      chosen: () => (subject ? subject.run : ""),
      choose: (run) => view.visit({ run, corpus: subject.corpus }),
    });
    this.stop = onOpen(() => this.picker.show());
  }

  destroy() {
    this.stop();
    this.picker.destroy();
  }
}

/** The React component behind components/browser_parts.py. */
export const RunPicker = component("bar-choice", ShownRun);
