/**
 * Colour tables: 256 colours each, computed, perceptually even, safe for the common kinds of colour blindness.
 *
 * viridis and magma (Smith and van der Walt), cividis (Nuñez, Anderton and Renslow, doi:10.1371/journal.pone.0199239) pass
 * through a few of their published colours; between them the way is straight in Oklab (Björn Ottosson), whose distances
 * follow the eye. The diverging tables are drawn in Oklab itself: lightness falls evenly, and by the same amount on both
 * sides, from a near-white middle, so that equal distances from zero look equally strong.
 *
 * NaN and infinities have no colour; assets/films/draw.mjs leaves them open for a hatch.
 */

const SIZE = 256;

const STOPS = {
  viridis: "440154 482878 3e4989 31688e 26828e 1f9e89 35b779 6ece58 b5de2b fde725",
  magma: "000004 180f3d 440f76 721f81 9e2f7f cd4071 f1605d fd9668 feca8d fcfdbf",
  cividis: "00224e 123570 3b496c 575d6d 707173 8a8678 a59c74 c3b369 e1cc55 fee838",
};
/** Hues in degrees of Oklab's circle, at the negative and the positive end. */
const DIVERGING = {
  "blue-red": { negative: 254, positive: 32 },
  "purple-green": { negative: 314, positive: 150 },
};
const MIDDLE_LIGHTNESS = 0.975;
const END_LIGHTNESS = 0.36;
const MOST_CHROMA = 0.165;
const tables = new Map();
const words = new Map();

const linear = (byte) => (byte / 255 <= 0.04045 ? byte / 255 / 12.92 : ((byte / 255 + 0.055) / 1.055) ** 2.4);
const gamma = (light) => (light <= 0.0031308 ? 12.92 * light : 1.055 * light ** (1 / 2.4) - 0.055);

/** Luminance 0..1 of a CIE lightness 0..100: greys are even in this older measure, which knows black better. */
const luminance = (lightness) => (lightness > 8 ? ((lightness + 16) / 116) ** 3 : lightness / 903.3);

function oklabOf(red, green, blue) {
  const [r, g, b] = [linear(red), linear(green), linear(blue)];
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

/** sRGB 0..1, not clipped: outside that interval the colour cannot be shown. @param {number[]} colour @returns {number[]} */
function srgbOf([lightness, a, b]) {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    gamma(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
    gamma(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
    gamma(-0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s),
  ];
}

function throughStops(text) {
  const stops = text.split(" ").map((hex) => oklabOf(...[0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16))));
  return (share) => {
    const place = share * (stops.length - 1);
    const before = Math.min(Math.floor(place), stops.length - 2);
    return stops[before].map((value, axis) => value + (stops[before + 1][axis] - value) * (place - before));
  };
}

function diverging({ negative, positive }) {
  return (share) => {
    const away = Math.abs(share - 0.5) * 2;
    const hue = ((share < 0.5 ? negative : positive) * Math.PI) / 180;
    const lightness = MIDDLE_LIGHTNESS + (END_LIGHTNESS - MIDDLE_LIGHTNESS) * away;
    // Colour grows quickly out of the neutral middle and fades a little where it gets dark.
    let chroma = MOST_CHROMA * Math.sin(Math.min(1, away * 1.12) * Math.PI * 0.62) ** 0.9;
    const colour = () => [lightness, chroma * Math.cos(hue), chroma * Math.sin(hue)];
    while (chroma > 0 && srgbOf(colour()).some((channel) => channel < 0 || channel > 1)) chroma -= 0.002;
    return colour();
  };
}

function wayThrough(name) {
  if (name === "grey") return (share) => [Math.cbrt(luminance(share * 100)), 0, 0];
  if (DIVERGING[name]) return diverging(DIVERGING[name]);
  if (STOPS[name]) return throughStops(STOPS[name]);
  throw new Error(`There is no colour table "${name}"; there are ${colours.names.join(", ")}.`);
}

export const colours = {
  names: ["viridis", "cividis", "magma", "grey", ...Object.keys(DIVERGING)],

  /** @param {string} name @returns {boolean} whether the table has a middle that stands for zero */
  isDiverging: (name) => name in DIVERGING,

  /**
   * @param {string} name one of `names`
   * @returns {Uint8Array} 256 colours of red, green, blue
   */
  table(name) {
    if (!tables.has(name)) {
      const way = wayThrough(name);
      const table = new Uint8Array(SIZE * 3);
      for (let place = 0; place < SIZE; place += 1) {
        srgbOf(way(place / (SIZE - 1))).forEach((channel, axis) => {
          table[place * 3 + axis] = Math.round(Math.min(1, Math.max(0, channel)) * 255);
        });
      }
      tables.set(name, table);
    }
    return tables.get(name);
  },

  /**
   * The same for writing pixels: one opaque RGBA pixel a colour, in the byte order of ImageData.
   * @param {string} name
   * @returns {Uint32Array} of length 256
   */
  pixels(name) {
    if (!words.has(name)) {
      const table = colours.table(name);
      const bytes = new Uint8ClampedArray(SIZE * 4).fill(255);
      for (let place = 0; place < SIZE; place += 1) bytes.set(table.subarray(place * 3, place * 3 + 3), place * 4);
      words.set(name, new Uint32Array(bytes.buffer));
    }
    return words.get(name);
  },
};
