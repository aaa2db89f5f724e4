/** What a film shows, in words. */
import { inWords } from "mloscope/films/selections.mjs";

const numbered = (word, numbers, total) =>
  numbers.length === total ? `${total} ${word}${total === 1 ? "" : "s"}` : `${word}s ${inWords(numbers)} of ${total}`;

/** "conv2 · kernel · 16 units · 6 channels · 5 × 5" @param {any} header of the film @param {string} kind what it is a film of */
export function filmTitle(header, kind) {
  const row = header.rows === 1 && header.columns > 1;
  const size = row ? `${header.columns} values each` : header.columns > 1 ? `${header.rows} × ${header.columns}` : "";
  return [
    header.layer,
    header.parameter || kind,
    numbered("unit", header.units, header.unit_total),
    header.channels.length > 1 || header.channel_total > 1 ? numbered("channel", header.channels, header.channel_total) : "",
    header.components === 3 ? `${size} × RGB` : size,
  ].filter(Boolean).join(" · "); // prettier-ignore
}
