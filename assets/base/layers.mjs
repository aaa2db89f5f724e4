/** Layers as the subject describes them. */

/**
 * How many units and channels a layer has, of what is drawn of it.
 * @param {any} layer of the subject
 * @param {string} parameter name of the array that is shown; the first where there is none of this name
 * @returns {{unit: number, channel: number}}
 */
export function extents(layer, parameter) {
  const shown = layer.parameters.find(({ name }) => name === parameter) || layer.parameters[0];
  if (!shown) return extentsOfMaps(layer);
  const along = (axis) => shown.axes.reduce((size, name, place) => (name === axis ? size * shown.shape[place] : size), 1);
  // As app/runs/tiles.py numbers units: where no axis is of units, channels are.
  if (!shown.axes.includes("unit")) return { unit: along("channel") * along("multiplier"), channel: 1 };
  return { unit: along("unit") * along("multiplier"), channel: along("channel") };
}

/** The same of its feature maps; 0 units where that is not known. @param {any} layer @returns {{unit: number, channel: number}} */
export const extentsOfMaps = (layer) => ({ unit: (layer.output_shape || []).at(-1) || 0, channel: 1 });
