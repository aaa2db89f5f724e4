/**
 * The columns of the table of runs: what every run has, then settings and metrics that any of them has.
 *
 *     rows ──columnsOf──► {key, title, kind, value(row)} ──► header, cells, sorting, filtering
 */
import { grouped as inGroups } from "mloscope/base/numbers.mjs";

/**
 * @typedef {{
 *   name: string, title: string, path: string, format: string | null, state: string, problem: string | null, prepared: boolean,
 *   checkpoints: number, broken_checkpoints: number, first_step: string | null, last_step: string | null, changed: number | null,
 *   tags: string[], group: string, settings: Record<string, any>,
 *   metrics: Record<string, {last: number | null, lowest: number | null, highest: number | null}>,
 * }} Row
 * @typedef {{key: string, title: string, kind: "of every run" | "setting" | "metric", value: (row: Row) => any, help?: string}} Column
 */

const STATES = ["live", "new", "ready", "opening", "broken"];
const LAST = "The last recorded value";
const IS_LOSS = /loss|error|cost|perplexity/i;
const MEASURED_ON_OTHERS = /^(test|validation) /;
const DEFAULT_METRICS = 3;
const DEFAULT_SETTINGS = 3;

/** @type {Column[]} */
const OF_EVERY_RUN = [
  { key: "state", title: "State", kind: "of every run", value: (row) => row.state },
  {
    key: "checkpoints",
    title: "Checkpoints",
    kind: "of every run",
    value: (row) => (row.prepared && !row.problem ? row.checkpoints : null),
  },
  { key: "last step", title: "Last step", kind: "of every run", value: (row) => asNumber(row.last_step) },
  { key: "changed", title: "Last change", kind: "of every run", value: (row) => row.changed },
  { key: "tags", title: "Tags", kind: "of every run", value: (row) => row.tags.join(", ") || null },
  { key: "group", title: "Group", kind: "of every run", value: (row) => row.group || null },
  { key: "format", title: "Format", kind: "of every run", value: (row) => row.format },
];

/** @type {Column} */
export const NAME = { key: "name", title: "Run", kind: "of every run", value: (row) => row.title };

/**
 * @param {Row[]} rows
 * @returns {Column[]} all that any run has, without its name
 */
export const columnsOf = (rows) => [
  ...OF_EVERY_RUN,
  ...namesIn(rows, "settings").map((name) => ({
    key: name,
    title: name,
    kind: /** @type {const} */ ("setting"),
    value: (row) => row.settings[name] ?? null,
  })),
  ...namesIn(rows, "metrics").flatMap(metricColumns),
];

/** @returns {Column[]} */
function metricColumns(name) {
  const best = IS_LOSS.test(name) ? "lowest" : "highest";
  const end = (which) => (row) => (row.metrics[name] ? row.metrics[name][which] : null);
  return [
    { key: name, title: name, kind: "metric", value: end("last"), help: LAST },
    { key: `${name} (${best})`, title: `${name} (${best})`, kind: "metric", value: end(best), help: `The ${best} recorded value` },
  ];
}

/** Names of settings or metrics, those that most runs have first. */
function namesIn(rows, what) {
  const counts = new Map();
  for (const row of rows) for (const name of Object.keys(row[what])) counts.set(name, (counts.get(name) || 0) + 1);
  return [...counts].sort(([a, m], [b, n]) => n - m || a.localeCompare(b)).map(([name]) => name);
}

/**
 * Which columns are shown where nobody chose: what every run has and somebody used, settings in which runs differ, metrics that
 * most runs have.
 * @param {Row[]} rows
 * @param {Column[]} columns
 * @returns {string[]} keys
 */
export const defaultColumns = (rows, columns) => {
  const varies = ({ value }) => new Set(rows.map(value).filter((found) => found !== null)).size > 1;
  const used = ({ value }) => rows.some((row) => value(row) !== null);
  const plain = columns.filter((column) => column.kind === "of every run" && used(column) && (column.key !== "format" || varies(column)));
  const settings = columns.filter((column) => column.kind === "setting" && varies(column)).slice(0, DEFAULT_SETTINGS);
  const last = columns.filter((column) => column.kind === "metric" && column.help === LAST);
  const rank = ({ key }) => (MEASURED_ON_OTHERS.test(key) ? 0 : 1);
  const metrics = last.sort((a, b) => rank(a) - rank(b)).slice(0, DEFAULT_METRICS);
  return [...plain, ...settings, ...metrics].map(({ key }) => key);
};

/** Whether a column's values are written as numbers, at the right of their cells. @param {Row[]} rows @param {Column} column */
export const isOfNumbers = (rows, column) => column.key !== "changed" && rows.some((row) => typeof column.value(row) === "number");

/**
 * Rows in the order of a column; rows without a value come last in both directions, and rows that are alike keep their order.
 * @param {Row[]} rows
 * @param {Column | undefined} column
 * @param {boolean} isDown
 * @returns {Row[]}
 */
export const sorted = (rows, column, isDown) => {
  if (!column) return rows;
  const rank = column.key === "state" ? (row) => STATES.indexOf(row.state) : column.value;
  const sign = isDown ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [x, y] = [rank(a), rank(b)];
    if (x === null || y === null) return Number(x === null) - Number(y === null);
    return (
      sign * (typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y), undefined, { numeric: true }))
    );
  });
};

/**
 * Rows by what they have in a column, in order of appearance.
 * @param {Row[]} rows
 * @param {Column | undefined} column
 * @returns {[string, Row[]][]} one group without a name where there is no column
 */
export const grouped = (rows, column) => {
  if (!column) return [["", rows]];
  /** @type {Map<string, Row[]>} */
  const groups = new Map();
  for (const row of rows) {
    const value = column.value(row);
    const name = value === null ? `no ${column.title.toLowerCase()}` : `${column.title.toLowerCase()}: ${shownValue(column, value)}`;
    groups.set(name, [...(groups.get(name) || []), row]);
  }
  return [...groups];
};

/**
 * A value as a cell shows it.
 * @param {Column} column
 * @param {any} value
 * @param {number} [nowMs]
 * @returns {string}
 */
export const shownValue = (column, value, nowMs = Date.now()) => {
  if (value === null || value === undefined) return "";
  if (column.key === "changed") return ago(nowMs / 1000 - value);
  if (typeof value !== "number") return String(value);
  return Number.isInteger(value) ? inGroups(value) : String(Number(value.toPrecision(4)));
};

const AGES = [
  [60, "s"],
  [3600, "min"],
  [172800, "h"],
  [86400 * 60, "days"],
];

/** @param {number} seconds since */
export const ago = (seconds) => {
  if (seconds < 5) return "just now";
  const units = [1, 60, 3600, 86400];
  const at = AGES.findIndex(([most]) => seconds < Number(most));
  if (at < 0) return new Date(Date.now() - seconds * 1000).toISOString().slice(0, 10);
  return `${Math.floor(seconds / units[at])} ${AGES[at][1]} ago`;
};

const asNumber = (text) => (text !== null && text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text);
