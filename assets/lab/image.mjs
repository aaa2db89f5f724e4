/**
 * The image of the lab: somebody's own or the selected one of the corpus, and the changes that follow its id. app/images/changes.py
 * says what there is and how it is written: `test-3~shift=4,0~noise=20,1`.
 */
import { api } from "mloscope/base/addresses.mjs";
import { pageData } from "mloscope/base/page_data.mjs";
import { subject } from "mloscope/base/subject.mjs";
import { view } from "mloscope/base/view.mjs";

/**
 * @typedef {{name: string, low: number, high: number, default: number, unit: string}} ChangeNumber
 * @typedef {{name: string, title: string, help: string, numbers: ChangeNumber[], is_stroke: boolean}} Change
 * @typedef {{name: string, values: number[]}} Applied a change with its numbers
 */

/** Fields of the view that say which image is looked at. */
export const IMAGE_KEYS = ["image", "own", "change"];

/** @returns {Change[]} every change that an image takes */
export const changes = () => pageData("image-changes");

/** @param {string} name @returns {Change} */
export const changeOf = (name) => /** @type {Change} */ (changes().find((change) => change.name === name));

/** The id of the image without changes; empty where there is none. @returns {string} */
export const unchanged = () => view.get().own || view.get().image || "";

/** The changes as the address has them, one by one. @returns {string[]} */
const parts = () => (view.get().change || "").split("~").filter(Boolean);

/** @param {string} part @returns {boolean} whether it is a change that an image takes */
const isKnown = (part) => /^[a-z]+=-?[\d.]+(,-?[\d.]+)*$/.test(part) && Boolean(changeOf(part.split("=")[0]));

/** Changes in the address that mean nothing and are left out. @returns {string[]} */
export const leftOut = () => parts().filter((part) => !isKnown(part));

/** The image with its changes, as addresses name it; empty where there is none. @returns {string} */
export const changed = () => (unchanged() ? [unchanged(), ...parts().filter(isKnown)].join("~") : "");

/** @type {string | null} what the image was when a hand took hold of it */
let held = null;

/** The image that networks are asked about: the changed one, and while a hand moves it what it was before. @returns {string} */
export const asked = () => held ?? changed();

/** A hand takes hold of the image. */
export const hold = () => {
  held = changed();
};

/** The hand lets go: what it did becomes one act, which Back undoes. @param {string} before the changes when it took hold */
export const letGo = (before) => {
  const { change } = view.get();
  if (change !== before) view.set({ change: before }, { history: "replace" });
  held = null;
  view.set({ change });
};

/** @returns {Applied[]} the changes in the order in which they are made */
export const applied = () =>
  parts()
    .filter(isKnown)
    .map((part) => part.split("="))
    .map(([name, numbers]) => ({ name, values: withDefaults(name, numbers.split(",").map(Number)) }));

/** @param {string} name @param {number[]} values @returns {number[]} */
function withDefaults(name, values) {
  const { numbers } = changeOf(name);
  return [...values, ...numbers.slice(values.length).map((number) => number.default)];
}

/**
 * Make these the changes of the image.
 * @param {Applied[]} list those whose numbers all are what changes nothing stay, so that their controls do
 * @param {{history?: "push" | "replace"}} [options] of view.set
 */
export const apply = (list, options) =>
  view.set(
    { change: list.map(({ name, values }) => `${name}=${values.map((value) => Number(value.toFixed(2))).join(",")}`).join("~") },
    options,
  );

/**
 * Set the last change of a kind, or add one.
 * @param {string} name
 * @param {number[]} values
 * @param {{history?: "push" | "replace"}} [options] of view.set
 */
export const setChange = (name, values, options) => {
  const list = applied();
  const last = list.map((each) => each.name).lastIndexOf(name);
  if (last < 0) list.push({ name, values });
  else list[last] = { name, values };
  apply(list, options);
};

/** The numbers of the last change of a kind; what changes nothing where there is none. @param {string} name @returns {number[]} */
export const valuesOf = (name) => {
  const found = applied().findLast((each) => each.name === name);
  return found ? found.values : changeOf(name).numbers.map((number) => number.default);
};

/** Where a picture of the image can be had. @param {string} image @returns {string | null} */
export const pictureAddress = (image) => {
  if (!image) return null;
  if (/^own-[0-9a-f]{32}(~|$)/.test(image)) return api(["own-images", `${image}.png`]);
  return subject && subject.corpus ? api(["corpora", subject.corpus, "images", `${image}.png`]) : null;
};
