/**
 * What of a view still means something for another run or corpus: `carried`. What the values of a field belong to stands in the
 * schema (app/web/dash/view_state.py: Field.of); the step and the layer are looked for in the other run.
 */
import { extents } from "mloscope/base/layers.mjs";

/**
 * @typedef {{run: string, corpus: string | null, layers: any[], checkpoints: any[], [more: string]: any}} Opened
 * @typedef {{view: any, step: number | null, said: string[]}} Carried the view there, its step, and a sentence for each thing that is
 *   another one there
 */

/**
 * @param {any} view complete
 * @param {number} index position among the checkpoints of `from`; -1 where it has none
 * @param {Opened} from
 * @param {Opened} to
 * @param {any[]} fields the schema
 * @returns {Carried}
 */
export function carried(view, index, from, to, fields) {
  const moment = stepThere(index, from, to);
  const layer = layerThere(view.layer, to);
  const now = { ...view, layer: layer.name };
  const lost = [];
  for (const field of fields) {
    if (field.key === "step" || now[field.key] === field.default || isKept(field, now, layer.said !== null, from, to)) continue;
    now[field.key] = field.default;
    if (field.lost) lost.push(field.lost);
  }
  const left = lost.length ? `Not kept: ${lost.join(", ")}.` : null;
  return { view: now, step: moment.step, said: [moment.said, layer.said, left].filter((sentence) => sentence !== null) };
}

/**
 * The same step, or the same share of training where the other run has no such checkpoint.
 * @returns {{step: number | null, said: string | null}}
 */
function stepThere(index, from, to) {
  const here = from.checkpoints[index];
  if (!here || !to.checkpoints.length) return { step: null, said: null };
  if (hasStep(to, here.step)) return { step: here.step, said: null };
  const last = to.checkpoints.at(-1).step;
  if (index === from.checkpoints.length - 1) return { step: last, said: null }; // the end is the end
  const share = here.step / (from.checkpoints.at(-1).step || 1);
  const far = ({ step }) => Math.abs(step / (last || 1) - share);
  const nearest = to.checkpoints.reduce((best, checkpoint) => (far(checkpoint) < far(best) ? checkpoint : best));
  return {
    step: nearest.step,
    said: `There is no step ${named(here)} here; step ${named(nearest)}, at about the same share of training, is shown.`,
  };
}

const named = ({ step, label }) => label || step;
const hasStep = (subject, step) => subject.checkpoints.some((checkpoint) => checkpoint.step === step);

/** @returns {{name: string, said: string | null}} */
function layerThere(name, to) {
  if (!to.layers.length || to.layers.some((layer) => layer.name === name)) return { name, said: null };
  const first = firstLayer(to);
  return { name: first.name, said: name ? `There is no layer ${name} here; ${first.name} is shown.` : null };
}

/**
 * The layer to begin with: the first that has parameters.
 * @param {{layers: any[]}} subject with layers
 */
export const firstLayer = ({ layers }) => layers.find((layer) => layer.parameters && layer.parameters.length) || layers[0];

const namesOf = ({ layers }) => layers.map(({ name }) => name).join("\n");

/** Whether a value belongs to what both have, and still fits. */
function isKept(field, now, isOtherLayer, from, to) {
  if (field.unless && now[field.unless]) return true;
  const value = now[field.key];
  const kept = {
    run: () => from.run === to.run,
    corpus: () => from.corpus === to.corpus,
    network: () => namesOf(from) === namesOf(to),
    step: () => hasStep(to, value),
    split: () => !to.splits || to.splits.includes(value),
    layer: () => !isOtherLayer && fitsLayer(field.key, value, now, to),
  };
  return (field.of || []).every((owner) => kept[owner]());
}

/** Whether a layer of this name has the array, the units and the channels. */
function fitsLayer(key, value, now, to) {
  const layer = to.layers.find(({ name }) => name === now.layer);
  if (!layer) return !to.layers.length;
  if (key === "parameter") return layer.parameters.some(({ name }) => name === value);
  const { unit, channel } = extents(layer, now.parameter);
  const numbers = String(value).match(/\d+/g) || [];
  return Math.max(...numbers.map(Number)) < (key === "channels" ? channel : unit);
}
