/** Layers as the subject describes them. */

/**
 * How many units and channels a layer has, of what is drawn of it.
 * @param {any} layer of the subject
 * @param {string} parameter name of the array that is shown; the first where there is none of this name
 * @returns {{unit: number, channel: number}}
 */
export function extents(layer, parameter) {
  const shown = layer.parameters.find(({ name }) => name === parameter) || layer.parameters[0];
  if (!shown) return { unit: (layer.output_shape || []).at(-1) || 0, channel: 1 };
  const along = (axis) => shown.axes.reduce((size, name, place) => (name === axis ? size * shown.shape[place] : size), 1);
  return { unit: along("unit") * along("multiplier"), channel: along("channel") };
}
