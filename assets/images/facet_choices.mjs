/** The selects that choose images by facet: class, split, and what the corpus adds: `FacetChoices`. */
import { fill } from "mloscope/base/controls.mjs";
import { element } from "mloscope/base/dom.mjs";

/** @typedef {{name: string, title: string, values: string[]}} Facet */

/** @type {Facet[]} so that nothing jumps before the corpus says which facets there are */
export const OF_EVERY_CORPUS = [
  { name: "label", title: "Class", values: [] },
  { name: "split", title: "Split", values: [] },
];

/** Classes may be named by their number too. */
const known = ({ name, values }, value) => values.includes(value) || (name === "label" && /^\d+$/.test(value));

export class FacetChoices {
  /** @type {Map<string, HTMLSelectElement>} */ #selects = new Map();
  /** @type {Facet[]} */ #facets = [];

  /** @param {(words: Record<string, string>) => void} use called with the word that is chosen */
  constructor(use) {
    this.use = use;
    this.node = element("div", { class: "images-choices" });
  }

  /** A select for each facet; those that were there stay the same elements. @param {Facet[]} facets @param {Record<string, string>} query */
  offer(facets, query) {
    this.#facets = facets;
    for (const { name, title, values } of facets) {
      const word = title.toLowerCase();
      const select =
        this.#selects.get(name) || element("select", { class: "images-choice", title: `Only images of this ${word}`, "aria-label": title });
      if (!this.#selects.has(name)) select.addEventListener("change", () => this.use({ [name]: select.value }));
      this.#selects.set(name, select);
      fill(select, [["", `every ${word}`], ...values]);
      select.value = values.includes(query[name]) ? query[name] : "";
      select.hidden = values.length < 2;
    }
    for (const name of this.#selects.keys()) if (!facets.some((facet) => facet.name === name)) this.#selects.delete(name);
    this.node.replaceChildren(...this.#selects.values());
  }

  /** @param {Record<string, string>} query */
  show(query) {
    for (const [name, select] of this.#selects) select.value = query[name] || "";
  }

  /** @param {string[]} names words of a query @param {Record<string, string>} query @returns {string[]} those whose value no facet has */
  unknown(names, query) {
    return names.filter((name) => {
      const facet = this.#facets.find((candidate) => candidate.name === name);
      return query[name] && !(facet && known(facet, query[name]));
    });
  }
}
