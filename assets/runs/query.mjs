/**
 * The search of the table of runs: words and conditions, all of which must be so.
 *
 *     lenet -old             in name, tags, group or format; and not
 *     tag:baseline           a column contains
 *     accuracy>0.9 lr<=1e-3  numbers; a part of a column's name is enough
 *     "test loss"<0.5        names with spaces
 *     changed<2d             younger than: s, min, h, d, w
 */

/** @typedef {import("mloscope/runs/columns.mjs").Row} Row */
/** @typedef {import("mloscope/runs/columns.mjs").Column} Column */
/** @typedef {(row: Row) => boolean} Condition */

const TOKEN = /(-?)(?:"([^"]*)"|([^\s"<>=!:]+))(?:(<=|>=|!=|[<>=:])(?:"([^"]*)"|(\S*)))?/g;
const SECONDS = { s: 1, min: 60, m: 60, h: 3600, d: 86400, w: 604800 };
const COMPARED = {
  "<": (a, b) => a < b,
  "<=": (a, b) => a <= b,
  ">": (a, b) => a > b,
  ">=": (a, b) => a >= b,
  "=": (a, b) => a === b,
  ":": (a, b) => a === b,
  "!=": (a, b) => a !== b,
};

/**
 * @param {string} text
 * @param {Column[]} columns
 * @param {number} [nowMs]
 * @returns {{matches: Condition, problems: string[]}} problems: sentences about conditions that are left out
 */
export const readQuery = (text, columns, nowMs = Date.now()) => {
  /** @type {Condition[]} */
  const conditions = [];
  /** @type {string[]} */
  const problems = [];
  for (const [whole, minus, quoted, plain, operator, quotedValue, value] of text.matchAll(TOKEN)) {
    const word = quoted ?? plain;
    const wanted = quotedValue ?? value ?? "";
    if (operator && !wanted) continue; // still being typed
    const condition = operator ? compared(word, operator, wanted, columns, nowMs) : contains(word);
    if (typeof condition === "string") problems.push(`${condition}: "${whole}" is left out.`);
    else conditions.push(minus ? (row) => !condition(row) : condition);
  }
  return { matches: (row) => conditions.every((condition) => condition(row)), problems };
};

function contains(word) {
  const wanted = word.toLowerCase();
  return (row) =>
    [row.title, row.name, row.group, row.format || "", row.state, ...row.tags].some((text) => text.toLowerCase().includes(wanted));
}

/** @returns {Condition | string} why there is none */
function compared(word, operator, wanted, columns, nowMs) {
  const chosen = columnsCalled(word, columns);
  if (!chosen.length) return `No run has "${word}"`;
  const number = asNumber(wanted, chosen, nowMs);
  if (/[<>]/.test(operator) && number === null) return `"${wanted}" is not a number`;
  const isAge = chosen[0].key === "changed" && /[a-z]$/.test(wanted);
  const compare = COMPARED[isAge ? operator.replace(/[<>]/, (sign) => (sign === "<" ? ">" : "<")) : operator];
  const holds = (value) => {
    if (value === null) return operator === "!=";
    if (typeof value === "number") return number !== null && compare(value, number);
    const [a, b] = [String(value).toLowerCase(), wanted.toLowerCase()];
    return operator === ":" ? a.includes(b) : /[<>]/.test(operator) ? false : compare(a, b);
  };
  return operator === "!="
    ? (row) => chosen.every(({ value }) => holds(value(row)))
    : (row) => chosen.some(({ value }) => holds(value(row)));
}

/** Those of exactly this name, else those whose names contain it; "tag" is "tags". */
function columnsCalled(word, columns) {
  const wanted = word.toLowerCase();
  const called = columns.filter(({ key }) => key.toLowerCase() === wanted);
  return called.length ? called : columns.filter(({ key }) => key.toLowerCase().includes(wanted));
}

function asNumber(text, chosen, nowMs) {
  const age = /^(\d+(?:\.\d+)?)(s|min|m|h|d|w)$/.exec(text);
  if (age && chosen[0].key === "changed") return nowMs / 1000 - Number(age[1]) * SECONDS[age[2]];
  return text !== "" && Number.isFinite(Number(text)) ? Number(text) : null;
}
