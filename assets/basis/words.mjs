/**
 * What numbers rest on, in words: `basisWords`. Made of the record that GET runs/{run}/basis answers with, and that a
 * subject carries as `basis`.
 */
import { grouped } from "mloscope/base/numbers.mjs";

const ASSUMED = "assumed";
const KINDS = [
  { kind: "warning", icon: "▲", heading: "Warnings", word: (number) => (number === 1 ? "warning" : "warnings") },
  { kind: ASSUMED, icon: "◆", heading: "Assumed", word: () => "assumed" },
  { kind: "left out", icon: "○", heading: "Left out", word: () => "left out" },
  { kind: "note", icon: "·", heading: "Notes", word: () => "" },
];
const WHOLES = [255, 256, 127.5, 128];
const RULES_IN_SHORT = {
  output: "as given",
  "softmax of the output": "softmax",
  "1 - p and p of the one output": "1 − p and p",
  "1 - p and p, p = sigmoid of the one output": "sigmoid",
  "the output where its rows are probabilities, else their softmax": "as given or softmax",
};
const NAMED_BY = { saved: "what was saved here", option: "an option" };

const number = (value) => String(Number(value.toPrecision(4)));
const list = (values) => values.map(number).join(", ");
const sourced = (text, source) => (source ? `${text} (${source})` : text);
const divisor = (scale) => WHOLES.find((whole) => Math.abs(scale * whole - 1) < 1e-9);

function scaleInShort(scale) {
  if (scale === 1) return "as they are";
  return divisor(scale) ? `÷${divisor(scale)}` : `×${number(scale)}`;
}

function scaleInFull(scale) {
  if (scale === 1) return "taken as they are";
  return divisor(scale) ? `divided by ${divisor(scale)}` : `multiplied by ${number(scale)}`;
}

/** A mean for people, without the path that leads to its file. */
function meanInFull(mean) {
  if (Array.isArray(mean)) return list(mean);
  return mean === "corpus" ? "the mean image of the corpus's training split" : String(mean).replace(/\\/g, "/").split("/").pop();
}

function pixels({ preprocessing: how }) {
  const mean = how.mean === null ? "" : " − mean";
  return `Pixels ${scaleInShort(how.scale)}${mean}${how.assumed ? ` (${ASSUMED})` : ""}`;
}

function output({ output: { layer, rule } }) {
  return rule === null ? "no class probabilities" : `Output ${layer}, ${RULES_IN_SHORT[rule] ?? rule}`;
}

function classes({ corpus, classes: { count, matched_by: how }, output: { rule } }) {
  if (rule === null) return "";
  if (!corpus) return `${count} classes`;
  return how === "not matched" ? `${count} outputs, not matched with the corpus` : `${count} classes by ${how}`;
}

function entering({ shape, dtype, range }) {
  const size = shape ? shape.map((length) => length ?? "?").join(" × ") : "";
  return [range ? `${number(range[0])} to ${number(range[1])}` : "", dtype || "", size].filter(Boolean).join(", ");
}

function inClasses({ corpus, classes: { count, named_by: by, matched_by: how } }) {
  const named = by ? `named by ${NAMED_BY[by] ?? by}` : "nobody named them";
  const matched = how === "not matched" ? "not matched with the corpus's" : `matched with the corpus's by ${how}`;
  return [count, named, corpus ? matched : ""].filter(Boolean).join(", ");
}

export const basisWords = {
  KINDS,

  /** The record in one short line. @param {any} record @returns {string} */
  line: (record) => [pixels(record), output(record), classes(record)].filter(Boolean).join(" · "),

  /**
   * What has to be seen without opening anything: warnings, with the first one's beginning; how much is assumed or left out.
   * @param {any} record
   * @returns {{kind: string, icon: string, number: number, words: string}[]}
   */
  flags(record) {
    return KINDS.flatMap(({ kind, icon, word }) => {
      const found = record.notices.filter((notice) => notice.kind === kind);
      if (!found.length || kind === "note") return [];
      const first = kind === "warning" ? `: ${found[0].sentence.split(/[:;.,](?:\s|$)/)[0]}` : "";
      return [{ kind, icon, number: found.length, words: word(found.length) + first }];
    });
  },

  /**
   * The record as rows under headings.
   * @param {any} record
   * @returns {{heading: string, rows: [string, string][]}[]}
   */
  rows(record) {
    const { preprocessing: how, input, output: of } = record;
    const isColour = !input.shape || input.shape[2] === 3;
    const refused = of.rule === null;
    return [
      {
        heading: "Pixels",
        rows: [
          ["0 to 255", sourced(scaleInFull(how.scale), how.scale_from)],
          how.mean === null ? null : ["Mean", sourced(`${meanInFull(how.mean)}, subtracted`, how.mean_from)],
          isColour ? ["Colours", sourced(how.channel_order.toUpperCase(), how.channel_order_from)] : null,
          how.own_layers.length ? ["The network's own", how.own_layers.join(", ")] : null,
          ["The network takes", entering(input) || "not known"],
        ],
      },
      { heading: "Images fitted", rows: input.fitted.map((sentence) => ["", sentence]) },
      {
        heading: "Output",
        rows: [
          of.layer ? ["Layer", sourced(of.layer, of.from)] : null,
          refused
            ? ["Probabilities", `none. ${of.refusal}`]
            : ["Probabilities", of.rule === "output" ? "its values, as they are" : of.rule],
          of.others.length ? ["Others", of.others.join(", ")] : null,
        ],
      },
      { heading: "Classes", rows: refused ? [] : [["Outputs", inClasses(record)]] },
      {
        heading: "Checkpoints left out",
        rows: record.checkpoints_left_out.map(({ step, name, reason }) => [`Step ${grouped(step)}`, `${name}: ${reason}`]),
      },
    ]
      .map(({ heading, rows }) => ({ heading, rows: rows.filter(Boolean) }))
      .filter(({ rows }) => rows.length);
  },
};
