/**
 * From confusion counts to pixels. Pure functions, `confusionDraw`.
 *
 * A picture is first a code per pixel, so that where cells are smaller than pixels the largest of them is seen, never one by chance:
 * 0 gap between cells, 1 no number (a share of nothing), 2 the diagonal left out, 3..255 shading from 0 to the scale's end.
 */
import { pixel, rgbOf } from "mloscope/base/canvas.mjs";
import { confusionCounts } from "mloscope/confusion/counts.mjs";

const [GAP, NO_NUMBER, LEFT_OUT, LOWEST, HIGHEST] = [0, 1, 2, 3, 255];
const ROOM_FOR_GAPS_PX = 7; // cells smaller than this touch

export const confusionDraw = {
  LOWEST,

  /** Shading goes with the square root: small counts beside large ones are what one looks for. @returns {number} 0..1 */
  shading: (value, ceiling) => Math.sqrt(Math.min(1, Math.max(0, value / ceiling))),

  /** The code of a value that is a number. */
  code: (value, ceiling) => LOWEST + Math.round(confusionDraw.shading(value, ceiling) * (HIGHEST - LOWEST)),

  /**
   * A colour for every code.
   * @param {[number, string][]} scale Plotly's colour scale, colours as "#rrggbb", straight in sRGB between its stops
   * @param {{gap: string, leftOut: string}} colours as "#rrggbb"
   * @returns {Uint32Array} of length 256, opaque RGBA in the byte order of ImageData; NO_NUMBER is transparent
   */
  palette(scale, colours) {
    const palette = new Uint32Array(256);
    const stops = scale.map(([place, colour]) => /** @type {[number, number[]]} */ ([place, rgbOf(colour)]));
    for (let code = LOWEST; code <= HIGHEST; code += 1) {
      const share = (code - LOWEST) / (HIGHEST - LOWEST);
      let next = stops.findIndex(([place]) => place >= share);
      if (next < 1) next = 1;
      const [[start, from], [end, to]] = [stops[next - 1], stops[next]];
      palette[code] = pixel(from.map((value, axis) => Math.round(value + ((to[axis] - value) * (share - start)) / (end - start))));
    }
    palette[GAP] = pixel(rgbOf(colours.gap));
    palette[LEFT_OUT] = pixel(rgbOf(colours.leftOut));
    return palette;
  },

  /**
   * Where rows or columns lie.
   * @param {number} first position in the order that is in view
   * @param {number} last
   * @param {(a: number) => number} edge device pixel, not rounded, where a position begins
   * @returns {{first: number, last: number, from: Int32Array, to: Int32Array, size: number}} pixels [from, to) of each position,
   *   at least one each; `size` before rounding
   */
  strip(first, last, edge) {
    const from = new Int32Array(Math.max(0, last - first + 1));
    const to = new Int32Array(from.length);
    const size = from.length ? edge(first + 1) - edge(first) : 0;
    const gap = size >= ROOM_FOR_GAPS_PX ? 1 : 0;
    for (let at = 0; at < from.length; at += 1) {
      from[at] = Math.round(edge(first + at));
      to[at] = Math.max(from[at] + 1, Math.round(edge(first + at + 1)) - gap);
    }
    return { first, last, from, to, size };
  },

  /**
   * Fill a picture's codes.
   * @param {Uint8Array} codes (row, column) of width x height, written
   * @param {number} width
   * @param {number} height
   * @param {{step: any, shade: "count" | "row" | "column", diagonal: ("all"|"off"), ceiling: number, rowPlace: Int32Array, columnPlace: Int32Array, rowOrder: Int32Array, columnOrder: Int32Array, rows: any, columns: any}} picture `rows` and `columns` are strips; places:
   *   position of each class; orders: class at each position
   */
  paint(codes, width, height, picture) {
    const { step, shade, diagonal, ceiling, rowPlace, columnPlace, rowOrder, columnOrder, rows, columns } = picture;
    const box = { codes, width, height, rows, columns };
    const touching = rows.size < ROOM_FOR_GAPS_PX || columns.size < ROOM_FOR_GAPS_PX;
    codes.fill(touching ? LOWEST : GAP);
    if (!touching) {
      for (let row = 0; row < rows.from.length; row += 1) {
        for (let column = 0; column < columns.from.length; column += 1) fill(box, row, row + 1, column, column + 1, LOWEST);
      }
    }
    const sums = confusionCounts.sums(step);
    const across = columns.from.length;
    const down = rows.from.length;
    if (shade === "row") {
      for (let row = 0; row < down; row += 1) if (!sums.rows[rowOrder[rows.first + row]]) fillLine(box, row, true, touching);
    } else if (shade === "column") {
      for (let column = 0; column < across; column += 1) {
        if (!sums.columns[columnOrder[columns.first + column]]) fillLine(box, column, false, touching);
      }
    }
    const measure = confusionCounts.measure(step, shade);
    const { cells, counts, classes } = step;
    for (let at = 0; at < cells.length; at += 1) {
      const actual = Math.floor(cells[at] / (classes + 1));
      const predicted = cells[at] - actual * (classes + 1);
      const row = rowPlace[actual] - rows.first;
      const column = columnPlace[predicted] - columns.first;
      if (row < 0 || row >= down || column < 0 || column >= across) continue;
      if (actual === predicted && diagonal === "off") continue;
      raise(box, row, column, confusionDraw.code(measure(counts[at], actual, predicted), ceiling));
    }
    if (diagonal !== "off") return;
    for (let row = 0; row < down; row += 1) {
      const column = columnPlace[rowOrder[rows.first + row]] - columns.first;
      if (column >= 0 && column < across) leaveOut(box, row, column);
    }
  },
};

/** Rows [row, rowEnd) and columns [column, columnEnd) of cells, all pixels of them. */
function fill({ codes, width, height, rows, columns }, row, rowEnd, column, columnEnd, code) {
  const left = Math.max(0, columns.from[column]);
  const right = Math.min(width, columns.to[columnEnd - 1]);
  const top = Math.max(0, rows.from[row]);
  const bottom = Math.min(height, rows.to[rowEnd - 1]);
  for (let y = top; y < bottom; y += 1) if (right > left) codes.fill(code, y * width + left, y * width + right);
}

function fillLine(box, position, isRow, touching) {
  const across = box.columns.from.length;
  const down = box.rows.from.length;
  if (touching) {
    if (isRow) fill(box, position, position + 1, 0, across, NO_NUMBER);
    else fill(box, 0, down, position, position + 1, NO_NUMBER);
    return;
  }
  for (let other = 0; other < (isRow ? across : down); other += 1) {
    if (isRow) fill(box, position, position + 1, other, other + 1, NO_NUMBER);
    else fill(box, other, other + 1, position, position + 1, NO_NUMBER);
  }
}

/** Pixels of a cell, where they are not stronger already. */
function raise({ codes, width, height, rows, columns }, row, column, code) {
  const left = Math.max(0, columns.from[column]);
  const right = Math.min(width, columns.to[column]);
  const bottom = Math.min(height, rows.to[row]);
  for (let y = Math.max(0, rows.from[row]); y < bottom; y += 1) {
    for (let at = y * width + left; at < y * width + right; at += 1) if (codes[at] < code) codes[at] = code;
  }
}

function leaveOut({ codes, width, height, rows, columns }, row, column) {
  const left = Math.max(0, columns.from[column]);
  const right = Math.min(width, columns.to[column]);
  const bottom = Math.min(height, rows.to[row]);
  for (let y = Math.max(0, rows.from[row]); y < bottom; y += 1) {
    for (let at = y * width + left; at < y * width + right; at += 1) if (codes[at] <= LOWEST) codes[at] = LEFT_OUT;
  }
}
