/**
 * Where everything of a film lies on screen: tiles or bars, their labels, the scale. `arrangement`. Pure functions.
 *
 * `labels` of a layout says where units are named: beside the rows and above the columns ("grid"), beside the rows ("rows"),
 * above each tile ("heads"), or beside each bar ("bars").
 */
import { filmBars } from "mloscope/films/bars.mjs";
import { filmDraw } from "mloscope/films/draw.mjs";

export const ROW_HEADER_PX = 34; // as in film.css
export const COLUMN_HEADER_PX = 18;
const NAMED_ROW_HEADER_PX = 96;
const OUTLINE_PX = 8; // room around the tiles for the outline of a selected one; as in film.css
export const HEAD_PX = 13; // a label above a tile
const LEAST_LABELLED_PX = 26; // smaller tiles are labelled by rows

const LEAST_PX = 40;

/** The room that is left beside labels. */
const inside = ({ width, height }, across, down) => ({
  width: Math.max(LEAST_PX, width - across - OUTLINE_PX),
  height: Math.max(LEAST_PX, height - down - OUTLINE_PX),
});

/** CSS pixels per canvas pixel: what was asked for, or as large as the room allows. */
function scaleOf(layout, { width, height }, { zoom, devicePixels }) {
  const fixed = Number(zoom) / Math.min(layout.magnifyX, layout.magnifyY);
  return fixed > 0 ? fixed : filmDraw.fit(layout, width, height, devicePixels);
}

/** Tiles whose labels stand beside the rows. */
function byRows(header, room, how, labels, across, down) {
  const box = inside(room, across, down);
  const layout = filmDraw.layout(header, box.width, box.height, { across: how.across });
  return { ...layout, labels, rowHeader: across, scale: scaleOf(layout, box, how) };
}

/**
 * @param {any} header of the film
 * @param {{width: number, height: number}} room CSS pixels
 * @param {{zoom: string, names: string[], across?: number | null, devicePixels: number}} how `names`: labels of the units;
 *   `across`: how many tiles stand in a row where that is not free
 */
export function arrangement(header, room, how) {
  const named = how.names.some((name) => /[^\d]/.test(name));
  if (filmBars.fits(header)) return { ...filmBars.layout(header, inside(room, 0, 0), how.names), labels: "bars" };
  if (header.channels.length > 1) return byRows(header, room, how, "grid", named ? NAMED_ROW_HEADER_PX : ROW_HEADER_PX, COLUMN_HEADER_PX);
  if (header.rows === 1 && header.columns > 1) return byRows(header, room, how, "rows", named ? NAMED_ROW_HEADER_PX : ROW_HEADER_PX, 0);
  const box = inside(room, 0, 0);
  let layout = filmDraw.layout(header, box.width, box.height, { across: how.across });
  let scale = scaleOf(layout, box, how);
  for (let turn = 0; turn < 2; turn += 1) {
    if (Math.min(layout.stepX, layout.rows * layout.magnifyY) * scale < LEAST_LABELLED_PX)
      return byRows(header, room, how, "rows", ROW_HEADER_PX, 0);
    const head = Math.ceil(HEAD_PX / scale);
    layout = filmDraw.layout(header, box.width, box.height, { head, across: how.across });
    scale = scaleOf(layout, box, how);
  }
  return { ...layout, labels: "heads", rowHeader: 0, scale };
}
