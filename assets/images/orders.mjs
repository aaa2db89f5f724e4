/** The selects that order and choose images by what the network predicts of them at a step: `OrderChoices`. */
import { select } from "mloscope/base/controls.mjs";
import { element } from "mloscope/base/dom.mjs";
import { pageData } from "mloscope/base/page_data.mjs";

/** Words of a query whose answer rests on a run and a step. */
const WORDS = ["order", "judged"];
const LABELS = { order: "Order of the images", judged: "Right and wrong predictions" };
const ALL = { order: "by number", judged: "right and wrong" };

/** @param {Record<string, string>} query words as the API takes them */
export const isJudged = (query) => WORDS.some((word) => query[word]);
/** @param {string} word of a query */
export const isOrderWord = (word) => WORDS.includes(word);

/** What is said of a query's order and choice: " · wrong only, highest loss". @param {Record<string, string>} query */
export const orderTitle = (query) => {
  const titles = WORDS.map((word) => (pageData("image-orders")[word].find(([value]) => value === query[word]) || [])[1]);
  return titles.filter(Boolean).reverse().join(", ");
};

export class OrderChoices {
  /** @param {(words: Record<string, string>) => void} use called with the word that is chosen */
  constructor(use) {
    const orders = pageData("image-orders");
    this.selects = WORDS.map((word) => {
      const options = [["", ALL[word]], ...orders[word].filter(([value]) => value !== "position")];
      const node = select({ class: "images-choice", "aria-label": LABELS[word] }, options, (value) => use({ [word]: value }));
      [...node.options].forEach((option, place) => (option.title = options[place][2] || ""));
      return node;
    });
    this.node = element("div", { class: "images-choices images-orders" }, this.selects);
  }

  /** @param {Record<string, string>} query */
  show(query) {
    WORDS.forEach((word, place) => (this.selects[place].value = query[word] || ""));
  }
}
