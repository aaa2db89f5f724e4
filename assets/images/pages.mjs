/** Images behind a number, a page at a time, and the buttons that turn pages: `ImagePages`. */
import { select } from "mloscope/base/controls.mjs";
import { button, element, write } from "mloscope/base/dom.mjs";
import { counted, grouped } from "mloscope/base/numbers.mjs";
import { view } from "mloscope/base/view.mjs";
import { ImageList } from "mloscope/images/list.mjs";

/** @typedef {import("mloscope/images/list.mjs").Shown} Shown */

export class ImagePages {
  /**
   * @param {number} size images per page
   * @param {string} label of the list, in the plural
   * @param {(direction: -1 | 1) => void} turn
   */
  constructor(size, label, turn) {
    this.size = size;
    this.where = element("span", { class: "image-pages-where", role: "status" });
    this.previous = button("tool-button", "‹", `Previous page of ${label}`, () => turn(-1));
    this.next = button("tool-button", "›", `Next page of ${label}`, () => turn(1));
    this.bar = element("div", { class: "image-pages-bar", hidden: true }, [this.where, this.previous, this.next]);
    this.list = new ImageList("image-page", label);
    this.message = element("p", { class: "quiet-text", role: "status", hidden: true });
  }

  destroy() {
    this.list.destroy();
  }

  /** Show nothing, and why. @param {string} [message] */
  clear(message = "") {
    this.list.clear();
    this.bar.hidden = true;
    this.#say(message);
  }

  /**
   * Show a page.
   * @param {string | null} corpus null where it has no pictures
   * @param {Shown[]} images
   * @param {number} first position of the first
   * @param {number} total of all pages
   * @param {string} [none] shown where there are none
   */
  show(corpus, images, first, total, none = "") {
    const isOne = total <= this.size;
    const last = first + images.length;
    this.list.show(corpus, images, { first, total });
    this.bar.hidden = total === 0;
    write(this.where, isOne ? counted(total, "image") : `${grouped(first + 1)}–${grouped(last)} of ${grouped(total)} images`);
    this.previous.hidden = this.next.hidden = isOne;
    this.previous.disabled = first === 0;
    this.next.disabled = last >= total;
    this.#say(total ? "" : none);
  }

  /** Show empty places for images that are still to be requested, so that nothing jumps and nothing old is shown. @param {number} count */
  hold(count) {
    this.clear();
    this.bar.hidden = count === 0;
    write(this.where, "");
    this.previous.disabled = this.next.disabled = true;
    const places = Array.from({ length: Math.min(count, this.size) }, () => element("span", { class: "image-awaited" }));
    this.list.node.replaceChildren(...places);
  }

  #say(message) {
    write(this.message, message);
    this.message.hidden = !message;
  }
}

/**
 * A select for the order of images, or for which of them are shown; another choice begins at the first page.
 * @param {string} key of the view
 * @param {string} label
 * @param {string} offsetKey of the view: how many images come before the page
 */
export const pageChoice = (key, label, offsetKey) =>
  select({ "aria-label": label }, view.choices(key), (value) => view.set({ [key]: value, [offsetKey]: null }));
