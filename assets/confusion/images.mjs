/**
 * Images behind a number, requested page by page: `ConfusionImages`. A click on one selects it everywhere, and opens its card.
 */
import { percent } from "mloscope/base/numbers.mjs";
import { view } from "mloscope/base/view.mjs";
import { confusion } from "mloscope/confusion/state.mjs";
import { ImagePages } from "mloscope/images/pages.mjs";

const PAGE = 60;

export class ConfusionImages {
  /** @type {AbortController | null} */ abort = null;
  /** @type {any} */ asked = null;
  total = 0;

  /**
   * @param {HTMLElement} root
   * @param {string | null} [offsetKey] key of the view that holds how many images come before the page shown; null: it is forgotten
   */
  constructor(root, offsetKey = null) {
    this.root = root;
    this.offsetKey = offsetKey;
    this.pages = new ImagePages(PAGE, "images", (direction) => this.turn(direction));
    root.append(this.pages.bar, this.pages.list.node, this.pages.message);
    this.leave = view.subscribe((_, changed) => {
      if (this.asked && changed.includes(String(offsetKey))) this.open(this.offsetWithin(this.total));
    });
  }

  destroy() {
    this.forget();
    this.leave();
    this.pages.destroy();
  }

  /** Nothing is shown any more, and nothing is waited for. */
  forget() {
    if (this.abort) this.abort.abort();
    this.abort = null;
    this.asked = null;
    this.total = 0;
    this.pages.clear();
    this.root.removeAttribute("data-shows");
    this.root.removeAttribute("data-total");
  }

  /** Empty places for images that are still to be requested (time moves). @param {number} count */
  hold(count) {
    this.forget();
    this.pages.hold(count);
  }

  /**
   * @param {string} shows what is shown, in one word; kept as data-shows
   * @param {number} expected how many there should be
   * @param {(a: number, b: number, c: AbortSignal) => Promise<{total: number, images: any[]}>} ask for (offset, limit)
   */
  show(shows, expected, ask) {
    if (this.asked && this.asked.shows === shows) return;
    this.hold(expected);
    this.asked = { shows, ask, offset: this.offsetWithin(expected) };
    this.fetch();
  }

  /** Where the page that the view asks for begins; the last page where there are fewer images. */
  offsetWithin(total) {
    const wanted = (this.offsetKey && view.get()[this.offsetKey]) || 0;
    const last = Math.floor(Math.max(0, total - 1) / PAGE) * PAGE;
    return Math.min(last, Math.floor(wanted / PAGE) * PAGE);
  }

  turn(direction) {
    const offset = Math.max(0, this.asked.offset + direction * PAGE);
    if (this.offsetKey) view.set({ [this.offsetKey]: offset });
    else this.open(offset);
  }

  open(offset) {
    if (this.asked.offset === offset) return;
    this.asked.offset = offset;
    this.fetch();
  }

  async fetch() {
    const { asked } = this;
    if (this.abort) this.abort.abort();
    const abort = (this.abort = new AbortController());
    try {
      const found = await asked.ask(asked.offset, PAGE, abort.signal);
      if (abort.signal.aborted || asked !== this.asked) return;
      this.fill(found);
    } catch (error) {
      if (error.name === "AbortError" || abort.signal.aborted) return;
      this.pages.clear(error.message);
    }
  }

  fill({ total, images }) {
    const { asked } = this;
    this.total = total;
    this.root.dataset.shows = asked.shows;
    this.root.dataset.total = String(total);
    this.pages.show(confusion.statistics.corpus, images.map(inWords), asked.offset, total);
  }

  /** The first image, or the selected one, takes the keys. */
  focus() {
    return this.pages.list.focus();
  }
}

/** @returns {import("mloscope/images/list.mjs").Shown} */
function inWords({ id, name, class_name: actual, predicted_name: predicted, probability }) {
  const sure = Number.isFinite(probability) ? percent(probability, 0) : "";
  const words = [name, actual && `true class ${actual}`, predicted && `predicted as ${predicted} ${sure}`];
  return { id, name, title: words.filter(Boolean).join(", "), caption: sure };
}
