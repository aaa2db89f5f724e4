/** Canvases and colours as bytes. */

/**
 * The drawing context of a canvas.
 * @param {HTMLCanvasElement} canvas that has no other context
 * @returns {CanvasRenderingContext2D}
 */
export const context2d = (canvas) => /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));

/**
 * Empty a canvas, and give it a size.
 * @param {HTMLCanvasElement} canvas
 * @param {number} width in CSS pixels
 * @param {number} height
 * @returns {CanvasRenderingContext2D} that draws in CSS pixels
 */
export const cleared = (canvas, width, height) => {
  const ratio = window.devicePixelRatio || 1;
  const [across, down] = [Math.round(width * ratio), Math.round(height * ratio)];
  const context = context2d(canvas);
  if (canvas.width !== across || canvas.height !== down) {
    Object.assign(canvas, { width: across, height: down });
  } else {
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, across, down);
  }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
};

/** Red, green and blue, 0..255, of "#rrggbb". @param {string} hex @returns {number[]} */
export const rgbOf = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

/** An opaque pixel in the byte order of ImageData. @param {number[]} rgb @returns {number} */
export const pixel = ([red, green, blue]) => ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;

/** Whether text on a colour has to be light. @param {number[]} rgb */
export const isDark = ([red, green, blue]) => 0.299 * red + 0.587 * green + 0.114 * blue < 140;
