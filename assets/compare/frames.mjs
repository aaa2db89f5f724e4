/**
 * Two frames made one: difference, ratio of norms, blink, wipe. Pure functions of two frames of the same shape.
 * `compareFrames`.
 *
 * A frame here has what a film's frame has (unitRanges, layerRange) and draws itself: draw(target, layout, frame, pixels,
 * endsOf), readings(at, unit). Values come from the films' codes: a difference is exact to ± half a code step of A plus half
 * a code step of B.
 */
import { reading } from "mloscope/base/numbers.mjs";
import { filmBars } from "mloscope/films/bars.mjs";
import { filmBytes } from "mloscope/films/bytes.mjs";
import { filmDraw } from "mloscope/films/draw.mjs";

const { max, min, abs, sqrt, log2 } = Math;
const FINE_BITS = 15;
const FINE = 2 ** FINE_BITS;
const MOST_WHOLE = 200; // code steps per code; 255 times as much, this finely, is still a whole number of 32 bits
const tableA = new Float64Array(256);
const tableB = new Float64Array(256);

/** The numbers that a unit's codes stand for; NaN, -∞ and ∞ are themselves. */
function fillValues(table, lo, hi) {
  const { FIRST_CODE, CODE_STEPS } = filmBytes;
  table[0] = NaN;
  table[1] = -Infinity;
  table[2] = Infinity;
  for (let code = FIRST_CODE; code < 256; code += 1) table[code] = lo + ((code - FIRST_CODE) / CODE_STEPS) * (hi - lo);
}

/** Fill both tables with what a unit's codes stand for. */
function fillTables(a, b, unit) {
  fillValues(tableA, a.unitRanges[unit * 2], a.unitRanges[unit * 2 + 1]);
  fillValues(tableB, b.unitRanges[unit * 2], b.unitRanges[unit * 2 + 1]);
}

/** Least and greatest finite value of each unit and of all of them; NaN, and an empty range, where there is none. */
class Ranges {
  constructor(units) {
    this.unitRanges = new Float32Array(units * 2).fill(NaN);
    this.layerRange = new Float32Array([Infinity, -Infinity]);
  }

  /** Take a unit's values, those from one position up to another. */
  measure(unit, valueAt, from, to) {
    let lo = Infinity;
    let hi = -Infinity;
    for (let at = from; at < to; at += 1) {
      const value = valueAt(at);
      if (value < lo && value > -Infinity) lo = value;
      if (value > hi && value < Infinity) hi = value;
    }
    if (!(lo <= hi)) return;
    this.unitRanges.set([lo, hi], unit * 2);
    const { unitRanges, layerRange } = this;
    layerRange[0] = min(layerRange[0], unitRanges[unit * 2]);
    layerRange[1] = max(layerRange[1], unitRanges[unit * 2 + 1]);
  }
}

/** Paint values, one per pixel; values that are not finite stay transparent. */
function drawValues(values, target, layout, pixels, endsOf) {
  const { place, offset } = filmDraw;
  const { rows, columns, components, magnifyX, magnifyY, width } = layout;
  for (let unit = 0; unit < layout.units; unit += 1) {
    const ends = endsOf(unit);
    const length = ends ? ends[1] - ends[0] : 0;
    const slope = length > 0 ? 255 / length : 0;
    const start = length > 0 ? 0.5 - ends[0] * slope : 128;
    const { x, y } = place(layout, unit);
    for (let channel = 0; channel < layout.channels; channel += 1) {
      let from = offset(layout, unit, channel);
      let line = y * width + x + channel * layout.stepX;
      for (let row = 0; row < rows; row += 1, line += width * magnifyY) {
        for (let column = 0, at = line; column < columns; column += 1, from += components) {
          const value = values[from];
          const shade = start + value * slope;
          const pixel = shade !== shade || !ends || value - value !== 0 ? 0 : pixels[shade < 0 ? 0 : shade > 255 ? 255 : shade | 0];
          for (let copy = 0; copy < magnifyX; copy += 1) target[at++] = pixel;
        }
        for (let copy = 1; copy < magnifyY; copy += 1) target.copyWithin(line + copy * width, line, line + columns * magnifyX);
      }
    }
  }
}

function rangesOfDifference(a, b, units, size) {
  const ranges = new Ranges(units);
  const difference = (at) => tableA[a.codes[at]] - tableB[b.codes[at]];
  for (let unit = 0; unit < units; unit += 1) {
    fillTables(a, b, unit);
    ranges.measure(unit, difference, unit * size, (unit + 1) * size);
  }
  return ranges;
}

/** One tile, a pixel per value, in whole numbers: maps are drawn so, hundreds of them in a frame. */
function paintPlain(codesA, codesB, from, target, line, { rows, columns, width }, pixels, perA, perB, start) {
  const [stepA, stepB, first] = [perA, perB, start].map((number) => Math.round(number * FINE));
  let at = from;
  for (let row = 0, to = line; row < rows; row += 1, to += width - columns) {
    for (const end = to + columns; to < end; to += 1, at += 1) {
      const a = codesA[at];
      const b = codesB[at];
      const shade = (a * stepA - b * stepB + first) >> FINE_BITS;
      target[to] = a < 3 || b < 3 ? 0 : pixels[shade < 0 ? 0 : shade > 255 ? 255 : shade];
    }
  }
}

/** Paint A − B straight from the codes: a place on the scale is linear in both. Values that are not finite stay transparent. */
function drawDifference(a, b, target, layout, pixels, endsOf) {
  if (layout.bars) {
    const [ofA, ofB] = [a, b].map(filmBars.valueIn);
    filmBars.draw(target, layout, (unit) => ofA(unit) - ofB(unit), pixels, endsOf);
    return;
  }
  const { FIRST_CODE, CODE_STEPS } = filmBytes;
  const { rows, columns, components, magnifyX, magnifyY, width } = layout;
  const [codesA, codesB] = [a.codes, b.codes];
  for (let unit = 0; unit < layout.units; unit += 1) {
    const ends = endsOf(unit);
    const [lowA, highA, lowB, highB] = [
      a.unitRanges[unit * 2],
      a.unitRanges[unit * 2 + 1],
      b.unitRanges[unit * 2],
      b.unitRanges[unit * 2 + 1],
    ];
    const scale = ends && ends[1] > ends[0] ? 255 / (ends[1] - ends[0]) : 0;
    const perA = ((highA - lowA) / CODE_STEPS) * scale;
    const perB = ((highB - lowB) / CODE_STEPS) * scale;
    const start = scale > 0 ? (lowA - lowB - ends[0]) * scale + 0.5 - FIRST_CODE * (perA - perB) : 128;
    const { x, y } = filmDraw.place(layout, unit);
    const plain = components === 1 && magnifyX === 1 && magnifyY === 1 && abs(perA) + abs(perB) + abs(start / 256) < MOST_WHOLE;
    for (let channel = 0; channel < layout.channels; channel += 1) {
      let at = filmDraw.offset(layout, unit, channel);
      let line = y * width + x + channel * layout.stepX;
      if (plain) {
        paintPlain(codesA, codesB, at, target, line, layout, pixels, perA, perB, start);
        continue;
      }
      for (let row = 0; row < rows; row += 1, line += width * magnifyY) {
        for (let column = 0, to = line; column < columns; column += 1, at += components) {
          let shade = codesA[at] < FIRST_CODE || codesB[at] < FIRST_CODE ? NaN : codesA[at] * perA - codesB[at] * perB + start;
          // Of three colours the one that differs most: a difference has one scale, not three.
          for (let next = 1; next < components; next += 1) {
            const other =
              codesA[at + next] < FIRST_CODE || codesB[at + next] < FIRST_CODE
                ? NaN
                : codesA[at + next] * perA - codesB[at + next] * perB + start;
            if (!(abs(other - 128) <= abs(shade - 128))) shade = other;
          }
          const pixel = shade >= 0 ? pixels[shade < 255 ? shade | 0 : 255] : shade < 0 ? pixels[0] : 0;
          if (magnifyX === 1) target[to++] = pixel;
          else for (let copy = 0; copy < magnifyX; copy += 1) target[to++] = pixel;
        }
        for (let copy = 1; copy < magnifyY; copy += 1) target.copyWithin(line + copy * width, line, line + columns * magnifyX);
      }
    }
  }
}

/** Half a code step of a unit: by how much its values may be off. */
const errorOf = (frame, unit) => {
  const error = (frame.unitRanges[unit * 2 + 1] - frame.unitRanges[unit * 2]) / (2 * filmBytes.CODE_STEPS);
  return error > 0 ? error : 0;
};

export const compareFrames = {
  errorOf,

  /**
   * The largest |A − B| of finite values.
   * @param {any} a frame
   * @param {any} b frame of the same shape
   * @returns {number} 0 where nothing is finite
   */
  largest(a, b) {
    const units = a.unitRanges.length / 2;
    const size = a.codes.length / units;
    let most = 0;
    for (let unit = 0; unit < units; unit += 1) {
      fillTables(a, b, unit);
      for (let at = unit * size; at < (unit + 1) * size; at += 1) {
        const apart = abs(tableA[a.codes[at]] - tableB[b.codes[at]]);
        if (apart > most && apart < Infinity) most = apart;
      }
    }
    return most;
  },

  /**
   * A − B. Its ranges are computed on demand.
   * @param {any} a frame
   * @param {any} b frame of the same shape
   * @param {number} [components] 3 where red, green and blue lie beside each other
   */
  difference(a, b, components = 1) {
    const units = a.unitRanges.length / 2;
    const size = a.codes.length / units;
    /** @type {any} */
    let ranges = null;
    const measured = () => (ranges = ranges || rangesOfDifference(a, b, units, size));
    const valueAt = (at, unit) => {
      const { value } = filmBytes;
      const [from, to] = [a, b].map(({ codes, unitRanges }) => value(codes[at], unitRanges[unit * 2], unitRanges[unit * 2 + 1]).value);
      return from - to;
    };
    return {
      codes: a.codes,
      get unitRanges() {
        return measured().unitRanges;
      },
      get layerRange() {
        return measured().layerRange;
      },
      draw: (target, layout, frame, pixels, endsOf) => drawDifference(a, b, target, layout, pixels, endsOf),
      readings: (at, unit) =>
        [...Array(components).keys()].map((next) => reading(valueAt(at + next, unit), errorOf(a, unit) + errorOf(b, unit))),
    };
  },

  /**
   * log₂ of the norms' ratio, a value for each tile: 1 where A's is twice B's.
   * @param {any} a frame
   * @param {any} b frame of the same shape
   * @param {number} tiles how many
   */
  ratio(a, b, tiles) {
    const units = a.unitRanges.length / 2;
    const size = a.codes.length / tiles;
    const perUnit = tiles / units;
    const values = new Float32Array(tiles);
    const ranges = new Ranges(units);
    for (let unit = 0; unit < units; unit += 1) {
      fillTables(a, b, unit);
      for (let tile = unit * perUnit; tile < (unit + 1) * perUnit; tile += 1) {
        let sumA = 0;
        let sumB = 0;
        for (let at = tile * size; at < (tile + 1) * size; at += 1) {
          sumA += tableA[a.codes[at]] ** 2;
          sumB += tableB[b.codes[at]] ** 2;
        }
        values[tile] = log2(sqrt(sumA) / sqrt(sumB));
      }
      ranges.measure(unit, (tile) => values[tile], unit * perUnit, (unit + 1) * perUnit);
    }
    return {
      codes: new Uint8Array(tiles), unitRanges: ranges.unitRanges, layerRange: ranges.layerRange, values,
      draw: (target, layout, frame, pixels, endsOf) => drawValues(values, target, layout, pixels, endsOf),
      readings: (at) => [compareFrames.times(values[at])],
    }; // prettier-ignore
  },

  /** log₂ of a ratio in words: "2×", "1/4×". */
  times(power) {
    if (Number.isNaN(power)) return "no ratio: a norm is 0 or no number";
    if (!Number.isFinite(power)) return power > 0 ? "∞×: B is 0" : "0×: A is 0";
    const factor = 2 ** abs(power);
    const text = Number(factor.toPrecision(3)) >= 1000 ? factor.toExponential(1).replace("e+", "e") : String(Number(factor.toPrecision(3)));
    return text === "1" ? "1×" : power > 0 ? `${text}×` : `1/${text}×`;
  },

  /**
   * A left of a divider, B right of it.
   * @param {any} a frame
   * @param {any} b frame of the same shape
   * @param {() => number} share where the divider stands, 0..1 of the width
   * @param {Uint32Array} room as large as the canvas, written
   */
  wipe(a, b, share, room) {
    return {
      codes: a.codes, unitRanges: a.unitRanges, layerRange: a.layerRange,
      draw(target, layout, frame, pixels, endsOf) {
        filmDraw.draw(target, layout, a, pixels, endsOf);
        room.set(target); // the gaps, too
        filmDraw.draw(room, layout, b, pixels, endsOf);
        const { width, height } = layout;
        const cut = Math.round(min(1, max(0, share())) * width);
        for (let line = 0; line < height; line += 1) {
          target.set(room.subarray(line * width + cut, (line + 1) * width), line * width + cut);
        }
      },
    }; // prettier-ignore
  },

  /** Union of two [lo, hi], either of which may be null or NaN. */
  union(first, second) {
    const known = [first, second].filter((range) => range && range[0] <= range[1]);
    if (!known.length) return null;
    return [min(...known.map((range) => range[0])), max(...known.map((range) => range[1]))];
  },
};
