/**
 * From a frame's codes to pixels: layout of the tiles, ranges, colour look-up, drawing. Pure functions, `filmDraw`.
 *
 * The canvas has one pixel per value (small tiles are drawn larger by whole numbers, so that the one-pixel gaps do not crowd
 * them) and is scaled by CSS without smoothing. Values that are not finite numbers stay transparent: the hatch behind shows through.
 */
import { filmBars } from "mloscope/films/bars.mjs";
import { filmBytes } from "mloscope/films/bytes.mjs";

const SMALLEST_TILE = 8; // pixels; smaller tiles are magnified to about this
const MOST_STRETCH = 24; // of a matrix's rows or columns
const COMFORTABLE_LOSS = 0.08; // how much room a whole-numbered scale may waste

export const filmDraw = {
  /**
   * Where the tiles of a film lie.
   * @param {{units: number[], channels: number[], rows: number, columns: number, components: number}} header
   * @param {number} boxWidth room on screen, in CSS pixels
   * @param {number} boxHeight
   * @param {{head?: number, across?: number | null}} [how] `head`: canvas pixels above each tile, for its label; `across`:
   *   tiles in a row, where that is not free
   * @returns {any} `across` and `down` tiles; `grid` (rows are units, columns are channels); `magnifyX` and `magnifyY` canvas
   *   pixels a value; `gap`; `head`; `stepX` and `stepY` from tile to tile; `width` and `height` of the canvas; counts of the header
   */
  layout(header, boxWidth, boxHeight, { head = 0, across: given = null } = {}) {
    const units = header.units.length;
    const channels = header.channels.length;
    const { rows, columns, components } = header;
    const matrix = rows === 1 && columns > 1; // one row a unit, rows close together
    const [magnifyX, magnifyY] = matrix
      ? stretched(units, columns, boxWidth / boxHeight)
      : Array(2).fill(Math.max(1, Math.ceil(SMALLEST_TILE / Math.min(rows, columns))));
    const gap = matrix ? 0 : 1;
    const stepX = columns * magnifyX + gap;
    const stepY = rows * magnifyY + gap + head;
    const grid = channels > 1;
    const free = () => given || bestWrap(units, stepX, stepY, gap, boxWidth, boxHeight);
    const across = grid ? channels : matrix ? 1 : free();
    const down = grid ? units : Math.ceil(units / across);
    return {
      grid, matrix, across, down, magnifyX, magnifyY, gap, head, stepX, stepY, units, channels, rows, columns, components,
      width: Math.max(1, across * stepX - gap),
      height: Math.max(1, down * stepY - gap),
    }; // prettier-ignore
  },

  /**
   * CSS pixels per canvas pixel, as large as the box allows; a whole number of device pixels where that wastes little.
   * @returns {number}
   */
  fit(layout, boxWidth, boxHeight, devicePixels = 1) {
    const scale = Math.min(boxWidth / layout.width, boxHeight / layout.height);
    const whole = Math.floor(scale * devicePixels) / devicePixels;
    return whole >= 1 && whole >= scale * (1 - COMFORTABLE_LOSS) ? whole : Math.max(scale, 0.05);
  },

  /**
   * What lies under a point of the canvas.
   * @param {any} layout
   * @param {number} x canvas pixels
   * @param {number} y
   * @returns {null | {unit: number, channel: number, row: number, column: number}} positions within the film; null in a gap
   */
  at(layout, x, y) {
    if (layout.bars) return filmBars.at(layout, x, y);
    const across = Math.floor(x / layout.stepX);
    const down = Math.floor(y / layout.stepY);
    const column = Math.floor((x - across * layout.stepX) / layout.magnifyX);
    const row = Math.floor((y - down * layout.stepY - layout.head) / layout.magnifyY);
    const unit = layout.grid ? down : down * layout.across + across;
    const channel = layout.grid ? across : 0;
    const inside = x >= 0 && y >= 0 && across < layout.across && unit < layout.units;
    return inside && column < layout.columns && row >= 0 && row < layout.rows ? { unit, channel, row, column } : null;
  },

  /** @returns {{x: number, y: number, width: number, height: number}} a unit's place on the canvas, all its channels */
  place(layout, unit) {
    if (layout.bars) return filmBars.place(layout, unit);
    const down = layout.grid ? unit : Math.floor(unit / layout.across);
    const across = layout.grid ? 0 : unit % layout.across;
    return {
      x: across * layout.stepX,
      y: down * layout.stepY + layout.head,
      width: layout.grid ? layout.width : layout.stepX - layout.gap,
      height: layout.stepY - layout.gap - layout.head,
    };
  },

  /** Position of the first of component, row, column of a unit's channel within a frame's codes. */
  offset: (layout, unit, channel) => (unit * layout.channels + channel) * layout.rows * layout.columns * layout.components,

  /**
   * The ends of the colour scale.
   * @param {number[] | null} span [lo, hi]; null or NaN where no value is finite
   * @param {boolean} symmetric widen it to be the same on both sides of zero
   * @returns {number[] | null}
   */
  ends(span, symmetric) {
    if (!span || !(span[0] <= span[1])) return null;
    if (!symmetric) return [span[0], span[1]];
    const most = Math.max(Math.abs(span[0]), Math.abs(span[1]));
    return [-most, most];
  },

  /**
   * Fill a look-up table from codes to pixels for one unit.
   * @param {Uint32Array} table of length 256, written; 0 (transparent) for the codes that are not finite numbers
   * @param {Uint32Array} pixels the colour table
   * @param {number} lo the unit's range, to which the codes refer
   * @param {number} hi
   * @param {number[] | null} ends of the colour scale; everything is in its middle where they are one number
   */
  fillTable(table, pixels, lo, hi, ends) {
    table[0] = table[1] = table[2] = 0;
    if (!ends) {
      table.fill(0);
      return;
    }
    const length = ends[1] - ends[0];
    // Infinities would come out of numbers near the end of float32 and of a scale of no length.
    const slope = length > 0 ? ((hi - lo) / filmBytes.CODE_STEPS / length) * 255 : 0;
    const start = length > 0 ? ((lo - ends[0]) / length) * 255 + 0.5 : 128;
    for (let code = 3; code < 256; code += 1) {
      const place = start + (code - 3) * slope;
      table[code] = pixels[place < 0 ? 0 : place > 255 ? 255 : place | 0];
    }
  },

  /**
   * Draw a frame.
   * @param {Uint32Array} target the canvas's pixels, width x height; gaps are left as they are
   * @param {any} layout
   * @param {{codes: Uint8Array, unitRanges: Float32Array}} frame
   * @param {Uint32Array} pixels the colour table (greys where components is 3)
   * @param {(a: number) => number[] | null} endsOf the ends of the scale for a unit
   */
  draw(target, layout, frame, pixels, endsOf) {
    if (layout.bars) {
      filmBars.draw(target, layout, filmBars.valueIn(frame), pixels, endsOf);
      return;
    }
    const { fillTable, offset } = filmDraw;
    const { codes, unitRanges } = frame;
    const paint = layout.components === 3 ? paintColoured : paintTile;
    for (let unit = 0; unit < layout.units; unit += 1) {
      fillTable(TABLE, pixels, unitRanges[unit * 2], unitRanges[unit * 2 + 1], endsOf(unit));
      const { x, y } = filmDraw.place(layout, unit);
      for (let channel = 0; channel < layout.channels; channel += 1) {
        paint(target, layout, codes, offset(layout, unit, channel), x + channel * layout.stepX, y);
      }
    }
  },
};

const TABLE = new Uint32Array(256);

/** Canvas pixels per value of a matrix, across and down, that bring it near the shape of its box. */
function stretched(units, columns, boxAspect) {
  const aspect = columns / units / boxAspect;
  const stretch = (factor) => Math.min(MOST_STRETCH, Math.max(1, Math.round(factor)));
  return [stretch(1 / aspect), stretch(aspect)];
}

/** Tiles a row that let the picture be largest; of equals, the one with the fewest empty places. */
function bestWrap(count, stepX, stepY, gap, boxWidth, boxHeight) {
  let best = 1;
  let bestScale = 0;
  for (let across = 1; across <= count; across += 1) {
    const down = Math.ceil(count / across);
    const empty = across * down - count;
    const scale = Math.min(boxWidth / (across * stepX - gap), boxHeight / (down * stepY - gap));
    const worth = scale * (1 - (0.15 * empty) / count);
    if (worth > bestScale * 1.0001) [best, bestScale] = [across, worth];
  }
  return best;
}

function paintTile(target, { rows, columns, magnifyX, magnifyY, width }, codes, from, x, y) {
  let code = from;
  let line = y * width + x;
  for (let row = 0; row < rows; row += 1, line += width * magnifyY) {
    for (let column = 0, at = line; column < columns; column += 1) {
      const pixel = TABLE[codes[code++]];
      for (let copy = 0; copy < magnifyX; copy += 1) target[at++] = pixel;
    }
    repeatLine(target, line, columns * magnifyX, width, magnifyY);
  }
}

/** Three codes per value: each is its own channel of the picture; the table holds greys, so any byte of it will do. */
function paintColoured(target, { rows, columns, magnifyX, magnifyY, width }, codes, from, x, y) {
  let code = from;
  let line = y * width + x;
  for (let row = 0; row < rows; row += 1, line += width * magnifyY) {
    for (let column = 0, at = line; column < columns; column += 1) {
      const red = TABLE[codes[code++]];
      const green = TABLE[codes[code++]];
      const blue = TABLE[codes[code++]];
      const whole = red && green && blue;
      const pixel = whole ? (red & 0xff) | (green & 0xff00) | (blue & 0xff0000) | 0xff000000 : 0;
      for (let copy = 0; copy < magnifyX; copy += 1) target[at++] = pixel;
    }
    repeatLine(target, line, columns * magnifyX, width, magnifyY);
  }
}

function repeatLine(target, line, length, width, times) {
  for (let copy = 1; copy < times; copy += 1) target.copyWithin(line + copy * width, line, line + length);
}
