/** What orders and chooses images by what the network predicts of them at a step: `OrderChoices`. */
import { segments, select } from "mloscope/base/controls.mjs";
import { element } from "mloscope/base/dom.mjs";
import { pageData } from "mloscope/base/page_data.mjs";
import { whatIs } from "mloscope/shell/glossary.mjs";

/** Words of a query whose answer rests on a run and a step. */
const WORDS = ["order", "judged"];

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
    const { order, judged } = pageData("image-orders");
    const orders = [["", "by number"], ...order.filter(([value]) => value !== "position")];
    this.order = select({ class: "images-choice", "aria-label": "Order of the images" }, orders, (value) => use({ order: value }));
    [...this.order.options].forEach((option, place) => (option.title = orders[place][2] || ""));
    this.judged = segments("Right and wrong predictions", [["", "all"], ...judged], (value) => use({ judged: value }));
    this.node = element("div", { class: "images-choices images-orders" }, [this.order, whatIs("margin"), this.judged.node]);
  }

  /** @param {Record<string, string>} query */
  show({ order = "", judged = "" }) {
    this.order.value = order;
    this.judged.show(judged);
  }
}
