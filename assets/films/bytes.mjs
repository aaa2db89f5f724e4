/**
 * The bytes of a film, "MLF1", as written by app/films/encoding.py. `filmBytes`.
 *
 * Code 0 is NaN, 1 minus infinity, 2 plus infinity; 3..255 stand for lo + (code - 3) / 252 * (hi - lo), with lo and hi the
 * unit's range at that step.
 */
import { checkLength, openContainer } from "mloscope/base/container.mjs";
import { filmFigures } from "mloscope/films/figures.mjs";

const FIRST_CODE = 3;
const CODE_STEPS = 252;

export const filmBytes = {
  FIRST_CODE,
  CODE_STEPS,

  /**
   * Read film bytes, without copying them.
   * @param {ArrayBuffer} buffer
   * @returns {{steps: number[], shape: number[], frame: ((a: number) => any)}} `frame(i)` is the i-th step's {codes:
   *   Uint8Array (unit, channel, row, column, component), unitRanges: Float32Array (unit, 2), layerRange: Float32Array (2), figures}
   * @throws {Error} with a sentence where the bytes are not a film
   */
  parse(buffer) {
    const { header, start } = openContainer(buffer, "MLF1", "a film");
    const { steps, shape, figures = [] } = header;
    const [units] = shape;
    const frameSize = shape.reduce((product, size) => product * size, 1);
    const layerStart = start + steps.length * units * 8;
    const codesStart = layerStart + steps.length * 8;
    const expected = codesStart + steps.length * frameSize;
    checkLength(buffer, expected, "a film");
    return {
      steps,
      shape,
      frame: (position) => ({
        codes: new Uint8Array(buffer, codesStart + position * frameSize, frameSize),
        unitRanges: new Float32Array(buffer, start + position * units * 8, units * 2),
        layerRange: new Float32Array(buffer, layerStart + position * 8, 2),
        figures: figures[position] || {},
      }),
    };
  },

  /**
   * Whether a frame has values that are not finite numbers, but for units without a picture. Cheap enough for every frame that arrives.
   * @param {{codes: Uint8Array, layerRange: Float32Array, unitRanges: Float32Array, figures?: any}} frame
   * @returns {"all" | "some" | ""}
   */
  unsound(frame) {
    const { codes, layerRange, unitRanges } = frame;
    const units = unitRanges.length / 2;
    const without = filmFigures.without(frame);
    if (without.size === units && units) return "";
    if (Number.isNaN(layerRange[0])) return "all";
    const size = codes.length / units;
    const looked = without.size ? codes.filter((_, at) => !without.has(Math.floor(at / size))) : codes;
    return [0, 1, 2].some((code) => looked.includes(code)) ? "some" : "";
  },

  /**
   * The number that a code stands for.
   * @param {number} code 0..255
   * @param {number} lo the unit's least finite value
   * @param {number} hi the unit's greatest finite value
   * @returns {{value: number, error: number}} `error`: by how much it may be off, 0 where it is exact
   */
  value(code, lo, hi) {
    if (code < FIRST_CODE) return { value: [NaN, -Infinity, Infinity][code], error: 0 };
    return { value: lo + ((code - FIRST_CODE) / CODE_STEPS) * (hi - lo), error: (hi - lo) / (2 * CODE_STEPS) };
  },
};
