/**
 * A film with one number per unit (outputs of a dense layer, a bias) as bars from zero, in columns read downwards. `filmBars`.
 *
 * Pure functions. A layout of bars has `bars: true` and one canvas pixel per CSS pixel; `order`, where it is set, says which
 * unit stands at each place.
 */

const LEAST_ROW_PX = 12;
const MOST_ROW_PX = 26;
const LEAST_BAR_PX = 44;
const GAP_PX = 2;
const COLUMN_GAP_PX = 12;
const CHARACTER_PX = 6.4;
const MOST_LABEL_PX = 96;

/** Room for the longest of the labels. */
const labelRoom = (labels) => Math.min(MOST_LABEL_PX, Math.ceil(Math.max(...labels.map((label) => label.length)) * CHARACTER_PX) + 8);

export const filmBars = {
  /** Whether a film has one number per unit. */
  fits: ({ units, channels, rows, columns, components, isNorms = false }) =>
    !isNorms && units.length > 1 && channels.length * rows * columns * components === 1,

  /**
   * @param {any} header of the film
   * @param {{width: number, height: number}} room CSS pixels
   * @param {string[]} labels one per unit
   */
  layout(header, { width, height }, labels) {
    const units = header.units.length;
    const labelX = labelRoom(labels);
    const most = Math.max(1, Math.floor((width + COLUMN_GAP_PX) / (labelX + LEAST_BAR_PX + COLUMN_GAP_PX)));
    const wanted = Math.max(1, Math.ceil((units * LEAST_ROW_PX * 1.4) / height));
    const down = Math.ceil(units / Math.min(most, wanted));
    const across = Math.ceil(units / down);
    const stepY = Math.max(LEAST_ROW_PX, Math.min(MOST_ROW_PX, Math.floor(height / down)));
    const stepX = Math.floor((width + COLUMN_GAP_PX) / across);
    return {
      bars: true, grid: false, matrix: false, across, down, units, channels: 1, rows: 1, columns: 1, components: 1,
      labelX, magnifyX: stepX - COLUMN_GAP_PX - labelX, magnifyY: stepY - GAP_PX, gap: GAP_PX, head: 0, stepX, stepY,
      width: across * stepX - COLUMN_GAP_PX, height: down * stepY - GAP_PX, scale: 1, order: null, places: null,
    }; // prettier-ignore
  },

  /** The unit under a point of the canvas, as filmDraw.at tells it. */
  at(layout, x, y) {
    const across = Math.floor(x / layout.stepX);
    const down = Math.floor(y / layout.stepY);
    const place = across * layout.down + down;
    if (x < 0 || y < 0 || across >= layout.across || down >= layout.down || place >= layout.units) return null;
    return { unit: layout.order ? layout.order[place] : place, channel: 0, row: 0, column: 0 };
  },

  /** A unit's row, its label included. */
  place(layout, unit) {
    const place = layout.places ? layout.places[unit] : unit;
    return {
      x: Math.floor(place / layout.down) * layout.stepX,
      y: (place % layout.down) * layout.stepY,
      width: layout.labelX + layout.magnifyX,
      height: layout.magnifyY,
    };
  },

  /** The unit that an arrow key leads to. */
  next(layout, unit, across, down) {
    const place = (layout.places ? layout.places[unit] : unit) + down + across * layout.down;
    if (place < 0 || place >= layout.units) return unit;
    return layout.order ? layout.order[place] : place;
  },

  /**
   * Let the greatest value stand first; NaN last.
   * @param {any} layout written
   * @param {(unit: number) => number} valueOf
   * @returns {boolean} whether the order is another one than before
   */
  sort(layout, valueOf) {
    const worth = (unit) => (Number.isNaN(valueOf(unit)) ? -Infinity : valueOf(unit));
    const order = [...Array(layout.units).keys()].sort((a, b) => worth(b) - worth(a) || a - b);
    if (layout.order && order.every((unit, place) => unit === layout.order[place])) return false;
    layout.order = order;
    layout.places = new Int32Array(layout.units);
    order.forEach((unit, place) => (layout.places[unit] = place));
    return true;
  },

  /** The number of a unit in a frame of such a film: its range is of one value. */
  valueIn:
    ({ codes, unitRanges }) =>
    (unit) =>
      codes[unit] < 3 ? [NaN, -Infinity, Infinity][codes[unit]] : unitRanges[unit * 2],

  /**
   * Draw a bar per unit from zero; where there is no number the canvas stays open.
   * @param {Uint32Array} target
   * @param {any} layout with `ground`, the pixel behind the bars
   * @param {(unit: number) => number} valueOf
   * @param {Uint32Array} pixels the colour table
   * @param {(unit: number) => number[] | null} endsOf
   */
  draw(target, layout, valueOf, pixels, endsOf) {
    for (let unit = 0; unit < layout.units; unit += 1) {
      const value = valueOf(unit);
      const ends = endsOf(unit);
      const { x, y } = filmBars.place(layout, unit);
      const bar = Number.isNaN(value) || !ends ? null : extent(value, ends, layout.magnifyX);
      paint(target, layout, x + layout.labelX, y, bar, bar ? shade(value, ends, pixels) : 0);
    }
  },
};

/** Where a bar begins and ends, in pixels of a row that reaches from the lower end of the scale, or zero, to the upper. */
function extent(value, ends, length) {
  const [lo, hi] = [Math.min(ends[0], 0), Math.max(ends[1], 0)];
  const along = (number) => (hi > lo ? Math.round((Math.min(hi, Math.max(lo, number)) - lo) / (hi - lo) * length) : 0); // prettier-ignore
  const [zero, at] = [along(0), along(value)];
  return zero === at ? [Math.max(0, zero - 1), Math.max(1, zero)] : [Math.min(zero, at), Math.max(zero, at)];
}

function shade(value, ends, pixels) {
  const length = ends[1] - ends[0];
  const place = length > 0 ? ((value - ends[0]) / length) * 255 + 0.5 : 128;
  return pixels[place < 0 ? 0 : place > 255 ? 255 : place | 0];
}

/** One row: `bar` [from, to] in `pixel`, the rest the ground; all open where there is no bar. */
function paint(target, { width, magnifyX, magnifyY, ground }, x, y, bar, pixel) {
  const line = y * width + x;
  target.fill(bar ? ground : 0, line, line + magnifyX);
  if (bar) target.fill(pixel, line + bar[0], line + bar[1]);
  for (let copy = 1; copy < magnifyY; copy += 1) target.copyWithin(line + copy * width, line, line + magnifyX);
}
