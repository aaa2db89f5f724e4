/** What is looked at: one run, one corpus, and what is known of them. Everything in the browser starts from `openSubject`. */

import { pageData } from "mloscope/base/page_data.mjs";

/**
 * @typedef {{
 *   run: string, corpus: string | null, runs: string[], corpora: string[], classNames: string[],
 *   checkpoints: any[], layers: any[], basis: any | null,
 *   evaluation: {possible: boolean, passing?: boolean, message: string | null}, [more: string]: any,
 * }} Subject
 */

/** @type {Set<(subject: Subject, isNew: boolean) => void>} */
const openListeners = new Set();
/** @type {string | null} */
let openedKey = null;

/**
 * What is open; null before anything is.
 * @type {any}
 */
export let subject = null;

/**
 * Take up a run and a corpus. Called whenever the Store "subject" changes; the same subject again (a service that became
 * ready, say) keeps step and view. `classNames` are those of the network's outputs, in its order; `basis` is what its numbers
 * rest on, as the REST API has it.
 * @param {Subject | null} next
 */
export const openSubject = (next) => {
  if (!next || !next.run) return;
  const key = JSON.stringify([next.run, next.corpus, next.checkpoints, next.basis]);
  const isNew = key !== openedKey;
  openedKey = key;
  subject = next;
  for (const listener of [...openListeners]) listener(next, isNew);
};

/**
 * The output of the subject's network that stands for a class of its corpus: labels of images are classes of the corpus, rows
 * of probabilities are outputs of the network, and only the server knows which of them belong together.
 * @param {Subject | null} subject
 * @param {number | null} label the class of the corpus, as an image's record has it
 * @returns {number | null} null where no output stands for it: nothing is right or wrong about the image then
 */
export const outputOf = (subject, label) => {
  const output = label !== null && Number.isInteger(label) && label >= 0 ? correspondence(subject).indexOf(label) : -1;
  return output < 0 ? null : output;
};

/**
 * Whether the outputs of two networks, taken in their own order, stand for the same classes.
 * @param {Subject | null} a
 * @param {Subject | null} b
 * @returns {boolean}
 */
export const haveSameOutputs = (a, b) => {
  const named = (subject) => (subject && subject.basis ? subject.basis.classes.names : []);
  const labels = [a, b].map(correspondence);
  return String(labels[0]) === String(labels[1]) && (labels[0].some((label) => label !== null) || String(named(a)) === String(named(b)));
};

/**
 * @param {Subject | null} subject
 * @returns {string | null} why the network of the subject predicts nothing of images; null where it does
 */
export const whyNoPredictions = (subject) => {
  const { possible = false, message = null } = (subject && subject.evaluation) || {};
  const refusal = subject && subject.basis ? subject.basis.output.refusal : null;
  return refusal || (possible ? null : message || "This run's network cannot be evaluated.");
};

/**
 * What the units of a layer stand for: the names of the network's outputs, where the layer gives them or leads straight to
 * the one that does.
 * @param {Subject | null} subject
 * @param {string} layer
 * @param {number} count how many units it has
 * @returns {string[] | null}
 */
export const namesOfUnits = (subject, layer, count) => {
  const names = (subject && subject.classNames) || [];
  if (!subject || !subject.basis || names.length !== count) return null;
  const byName = new Map(subject.layers.map((known) => [known.name, known]));
  const handsOn = pageData("hands-units-on");
  let known = byName.get(subject.basis.output.layer);
  while (known && known.name !== layer && handsOn.includes(known.kind) && known.inputs.length === 1) known = byName.get(known.inputs[0]);
  return known && known.name === layer ? names.map((name, number) => (name === `output ${number}` ? String(number) : name)) : null;
};

/** The subject that comes next is another one, even if nothing of it looks different: its files may be others. */
export const openAnew = () => {
  openedKey = null;
};

/**
 * @param {(subject: Subject, isNew: boolean) => void} listener called with (subject, whether it is another one than before); at
 *   once where a subject is open
 * @returns {() => void} stops listening
 */
export const onOpen = (listener) => {
  openListeners.add(listener);
  if (subject) listener(subject, true);
  return () => openListeners.delete(listener);
};

/** For every output of the network the class of the corpus that it stands for, or null. */
const correspondence = (subject) => (subject && subject.basis && subject.basis.classes.corpus_classes) || [];
