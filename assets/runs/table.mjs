/**
 * The table of runs: the component RunTable. Rows come from the server prepared; searching, sorting, grouping and choosing happen
 * here and stand in the address.
 *
 *     GET run-table ──► rows ──search──► sort ──► group ──► bodies.    ↑ ↓ move along the names, Space chooses, Enter opens
 */
import { api, mountedAt } from "mloscope/base/addresses.mjs";
import { button, component, element, follow, hit, write } from "mloscope/base/dom.mjs";
import { fetchJson } from "mloscope/base/http.mjs";
import { keyTable } from "mloscope/base/keys.mjs";
import { counted } from "mloscope/base/numbers.mjs";
import { view } from "mloscope/base/view.mjs";
import { actionsFor } from "mloscope/runs/actions.mjs";
import { addressOf, inNames, namesIn } from "mloscope/runs/addresses.mjs";
import { NAME, columnsOf, defaultColumns, grouped, isOfNumbers, sorted } from "mloscope/runs/columns.mjs";
import { connectPanel } from "mloscope/runs/connect.mjs";
import { readQuery } from "mloscope/runs/query.mjs";
import { Lines } from "mloscope/runs/rows.mjs";

const ASK_EVERY_MS = 5000;
const ASK_SOON_MS = 300;
const MOST_GROUPS = 20;
const FIELDS = ["runs-search", "runs-sort", "runs-columns", "runs-group", "runs-chosen"];

const tableKeys = keyTable("Table of runs", [
  { keys: ["ArrowUp", "ArrowDown", "Home", "End"], does: "another run", act: ({ table, name }, { key }) => table.move(name, key) },
  { keys: [" "], does: "choose the run", act: ({ table }) => table.choose(/** @type {string} */ (table.focusedRun()), false) },
  { keys: ["Shift+ "], does: "choose all runs up to this one", act: ({ table }) => table.choose(table.focusedRun(), true) },
]);

class RunTable {
  /** @type {HTMLInputElement} */ search;
  /** @type {HTMLSelectElement} */ group;
  /** @type {HTMLElement} */ count;
  /** @type {HTMLElement} */ problems;
  /** @type {HTMLElement} */ chooser;
  /** @type {HTMLTableElement} */ table;
  /** @type {HTMLElement} */ actions;
  /** @type {import("mloscope/runs/columns.mjs").Row[]} */ rows = [];
  /** @type {import("mloscope/runs/columns.mjs").Column[]} */ columns = [];
  /** @type {string[]} names of the runs in the order shown */ shown = [];
  /** @type {string | null} */ last = null; // the one chosen last: Shift chooses from there
  lines = new Lines();
  /** @type {number | undefined} */ timer;

  /** @param {HTMLElement} root @param {{editor?: boolean}} props */
  constructor(root, { editor = false }) {
    this.root = root;
    this.editor = editor;
    this.build();
    this.stop = view.subscribe((_, changed) => changed.some((key) => FIELDS.includes(key)) && this.draw());
    this.ask();
  }

  destroy() {
    this.stop();
    clearTimeout(this.timer);
    this.root.replaceChildren();
  }

  build() {
    this.search = element("input", {
      type: "search", class: "tool-input runs-search", placeholder: "name, tag:x, accuracy>0.9, changed<2d", "aria-label": "Search runs",
      title: 'Words in name, tag, group, format; -word for without; column:text; column>number; "column with spaces"<1; changed<2d',
    }); // prettier-ignore
    this.search.addEventListener("input", () => view.set({ "runs-search": this.search.value }, { history: "replace" }));
    this.group = element("select", { class: "form-select tool-select" });
    this.group.addEventListener("change", () => view.set({ "runs-group": this.group.value }));
    this.count = element("span", { class: "quiet-text", role: "status" });
    this.problems = element("p", { class: "warning-text", role: "status" });
    this.chooser = element("div", { class: "runs-columns" });
    this.chooser.addEventListener("change", (event) => this.chooseColumn(/** @type {HTMLInputElement} */ (event.target)));
    this.table = element("table", { class: "runs-table", "data-own-keys": true });
    this.table.addEventListener("click", (event) => this.click(event));
    this.table.addEventListener("keydown", (event) => {
      const name = hit(event, ".runs-name");
      if (name && tableKeys({ table: this, name }, event)) event.stopPropagation(); // the timeline listens as well
    });
    for (const event of ["pointerover", "focusin"]) this.table.addEventListener(event, showAddress);
    this.actions = element("div", { class: "runs-actions", role: "toolbar", "aria-label": "With the chosen runs" });
    this.root.append(
      element("div", { class: "toolbar" }, [
        element("h2", { class: "runs-title" }, ["Runs"]), this.search,
        element("label", { class: "tool" }, [element("span", {}, ["Group by"]), this.group]),
        element("details", { class: "runs-menu" }, [element("summary", { class: "bar-button" }, ["Columns"]), this.chooser]),
        this.count, element("span", { class: "bar-space" }), connectPanel(this.editor, () => this.ask()),
      ]), // prettier-ignore
      this.problems,
      this.actions,
      element("div", { class: "runs-scroll", tabindex: 0, role: "region", "aria-label": "Table of runs" }, [this.table]),
    );
  }

  /** Rows from the server, soon again while some are not prepared. */
  async ask() {
    clearTimeout(this.timer);
    let pause = ASK_EVERY_MS;
    if (!document.hidden) {
      try {
        const { runs, prepared } = await fetchJson(api(["run-table"]));
        if (!prepared) pause = ASK_SOON_MS;
        this.take(runs);
      } catch (error) {
        if (!this.rows.length) write(this.count, error.message);
      }
    }
    if (this.root.isConnected) this.timer = setTimeout(() => this.ask(), pause);
  }

  take(rows) {
    const before = new Map(this.rows.map((row) => [row.name, [row, JSON.stringify(row)]]));
    const kept = rows.map((row) => {
      const [old, text] = before.get(row.name) || [];
      return text === JSON.stringify(row) ? old : row;
    });
    const isSame = kept.length === this.rows.length && kept.every((row, at) => row === this.rows[at]);
    this.lines.showAges();
    if (isSame) return; // what the user is editing stays as it is
    this.rows = kept;
    this.columns = columnsOf(kept);
    this.draw();
  }

  // ------------------------------------------------------------------------------------------------------ shown

  column(key) {
    return key === NAME.key ? NAME : this.columns.find((column) => column.key === key);
  }

  shownColumns() {
    const keys = namesIn(view.get()["runs-columns"]);
    const shown = keys.length ? keys : defaultColumns(this.rows, this.columns);
    return this.columns.filter(({ key }) => shown.includes(key));
  }

  draw() {
    const now = view.get();
    if (document.activeElement !== this.search) this.search.value = now["runs-search"];
    const { matches, problems } = readQuery(now["runs-search"], [NAME, ...this.columns]);
    const found = this.rows.filter(matches);
    const [key, direction] = sortOf(now["runs-sort"]);
    const groups = grouped(sorted(found, this.column(key), direction === "down"), this.column(now["runs-group"]));
    const chosen = new Set(namesIn(now["runs-chosen"]));
    const columns = this.shownColumns();
    this.shown = groups.flatMap(([, rows]) => rows.map(({ name }) => name));
    const focused = this.focusedRun();
    this.table.replaceChildren(this.head(columns, key, direction, chosen), ...this.lines.bodies(groups, columns, chosen));
    this.giveStop(focused);
    write(
      this.count,
      found.length === this.rows.length ? counted(found.length, "run") : `${found.length} of ${counted(this.rows.length, "run")}`,
    );
    write(this.problems, problems.join(" "));
    this.drawChoices(columns, now["runs-group"]);
    this.drawActions(chosen);
  }

  /** Only where the chosen runs have changed, since the user may be typing a tag. */
  drawActions(chosen) {
    const rows = this.rows.filter(({ name }) => chosen.has(name));
    const about = JSON.stringify(rows.map(({ name, tags, group, state }) => [name, tags, group, state]));
    if (this.actions.dataset.about === about) return;
    this.actions.dataset.about = about;
    this.actions.replaceChildren(...actionsFor(rows, this.editor, () => this.ask(), this.rows));
  }

  head(columns, key, direction, chosen) {
    const all = element("input", { type: "checkbox", "aria-label": "Choose all runs shown", class: "runs-all" });
    all.checked = this.shown.length > 0 && this.shown.every((name) => chosen.has(name));
    const heads = [NAME, ...columns].map((column) => {
      const sort = column.key !== key ? "none" : direction === "down" ? "descending" : "ascending";
      const sign = { none: "", ascending: " ↑", descending: " ↓" }[sort];
      const act = button("runs-sort", column.title + sign, `${column.help || column.title}: sort`, () =>
        view.set({ "runs-sort": next(column.key, sort) }),
      );
      return element("th", { scope: "col", "aria-sort": sort, class: isOfNumbers(this.rows, column) ? "runs-number" : null }, [act]);
    });
    return element("thead", {}, [element("tr", {}, [element("th", { scope: "col", class: "runs-choice" }, [all]), ...heads])]);
  }

  /** What can be grouped by and shown; only where that has changed, since the user may have it open. */
  drawChoices(shown, groupedBy) {
    const keys = JSON.stringify([this.columns.map(({ key }) => key), shown.map(({ key }) => key), groupedBy]);
    if (this.chooser.dataset.keys === keys) return;
    this.chooser.dataset.keys = keys;
    const few = this.columns.filter((column) => new Set(this.rows.map(column.value)).size <= MOST_GROUPS && column.kind !== "metric");
    this.group.replaceChildren(
      element("option", { value: "" }, ["nothing"]),
      ...few.map(({ key, title }) => element("option", { value: key, selected: key === groupedBy }, [title])),
    );
    const box = (column) => {
      const input = element("input", { type: "checkbox", value: column.key });
      input.checked = shown.includes(column);
      return element("label", {}, [input, column.title]);
    };
    this.chooser.replaceChildren(...this.columns.map(box));
  }

  // ------------------------------------------------------------------------------------------------------- done

  chooseColumn(input) {
    const keys = this.shownColumns().map(({ key }) => key);
    view.set({ "runs-columns": inNames(input.checked ? [...keys, input.value] : keys.filter((key) => key !== input.value)) });
  }

  click(event) {
    const link = hit(event, "a.runs-name");
    if (link) follow(event, () => view.visit({ path: mountedAt("/"), run: link.closest("tr")?.dataset.run }));
    const box = hit(event, "input[type=checkbox]");
    if (!box) return;
    const name = box.closest("tr")?.dataset.run;
    if (name) this.choose(name, event.shiftKey);
    else this.chooseAll(/** @type {HTMLInputElement} */ (box).checked);
  }

  /** Choose a run or no longer; from the one chosen last to this one with Shift. */
  choose(name, isRange = false) {
    const chosen = new Set(namesIn(view.get()["runs-chosen"]));
    const isNow = !chosen.has(name);
    const [from, to] = [this.last && isRange ? this.shown.indexOf(this.last) : -1, this.shown.indexOf(name)];
    const several = from < 0 ? [name] : this.shown.slice(Math.min(from, to), Math.max(from, to) + 1);
    for (const each of several) chosen[isNow ? "add" : "delete"](each);
    this.last = name;
    view.set({ "runs-chosen": inNames([...chosen]) }, { history: "replace" });
  }

  chooseAll(isNow) {
    const others = namesIn(view.get()["runs-chosen"]).filter((name) => !this.shown.includes(name));
    view.set({ "runs-chosen": inNames(isNow ? [...others, ...this.shown] : others) }, { history: "replace" });
  }

  // ------------------------------------------------------------------------------------------------------- keys

  names() {
    return /** @type {HTMLElement[]} */ ([...this.table.querySelectorAll(".runs-name")]);
  }

  focusedRun() {
    const row = document.activeElement instanceof HTMLElement && document.activeElement.closest(".runs-table tr");
    return row instanceof HTMLElement ? row.dataset.run : undefined;
  }

  /** One of the names is a stop of the Tab key: that of the run that had the focus, else the first. */
  giveStop(focused) {
    const names = this.names();
    const held = names.find((name) => name.closest("tr")?.dataset.run === focused);
    const stop = held || names[0];
    if (stop) stop.tabIndex = 0;
    if (held) held.focus();
  }

  /** Focus another run's name. @param {HTMLElement} name that has the focus @param {string} key */
  move(name, key) {
    const names = this.names();
    const at = names.indexOf(name);
    const to = names[{ ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: names.length - 1 }[key]];
    if (!to) return false;
    name.tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
    return true;
  }
}

/** A link goes to what is looked at now, which may have changed since it was drawn. */
function showAddress(event) {
  const link = hit(event, "a.runs-name");
  if (link) link.setAttribute("href", addressOf("/", link.closest("tr")?.dataset.run || null));
}

/** Key and direction, as "checkpoints:down" has them; a column's key may have a colon itself. */
function sortOf(text) {
  const cut = text.lastIndexOf(":");
  return cut < 0 ? [text, "up"] : [text.slice(0, cut), text.slice(cut + 1)];
}

/** What a click on a head sorts by: up, down, and then as the server has them. */
const next = (key, sort) => (sort === "none" ? `${key}:up` : sort === "ascending" ? `${key}:down` : "");

/**
 * The React component behind components/browser_parts.py.
 * @param {{id: string, editor?: boolean}} props
 */
const RunTableComponent = component("runs", RunTable);
export { RunTableComponent as RunTable };
