/**
 * Images behind a number, page by page: `ConfusionImages`. A click on one selects it everywhere, and opens its card.
 */
import { button, element, hit } from "mloscope/base/dom.mjs";
import { keyTable } from "mloscope/base/keys.mjs";
import { counted, grouped, percent } from "mloscope/base/numbers.mjs";
import { view } from "mloscope/base/view.mjs";
import { confusion } from "mloscope/confusion/state.mjs";
import { choosable } from "mloscope/images/choosing.mjs";
import { imageRecords } from "mloscope/images/records.mjs";

const PAGE = 60;
const EDGE = 64;

const MOVES = {
  ArrowLeft: (at) => at - 1,
  ArrowRight: (at) => at + 1,
  ArrowUp: (at, across) => at - across,
  ArrowDown: (at, across) => at + across,
  Home: () => 0,
  End: (_at, _across, last) => last,
};
const imageKeys = keyTable("Images of a cell or a cluster", [
  { keys: Object.keys(MOVES), does: "another image", act: (images, { key }) => images.move(MOVES[key]) },
]);

export class ConfusionImages {
  /** @type {HTMLDivElement} */ list;
  /** @type {any} */ previous;
  /** @type {any} */ next;
  /** @type {HTMLSpanElement} */ where;
  /** @type {HTMLDivElement} */ pages;
  /** @type {HTMLParagraphElement} */ message;
  /** @type {any} */ abort;
  /** @type {any} */ total;

  /**
   * @param {HTMLElement} root
   * @param {string | null} [offsetKey] key of the view that holds how many images come before the page shown; null: it is forgotten
   */
  constructor(root, offsetKey = null) {
    this.root = root;
    this.offsetKey = offsetKey;
    /** @type {any} */
    this.asked = null;
    this.build();
    this.undo = [
      view.subscribe((view, changed) => {
        if (changed.includes("image")) this.mark();
        if (this.asked && changed.includes(String(offsetKey))) this.open(this.offsetWithin(this.total));
      }),
    ];
  }

  destroy() {
    this.forget();
    for (const undo of this.undo) undo();
  }

  build() {
    this.list = element("div", { class: "confusion-images", role: "listbox", "aria-label": "Images", "data-own-keys": true });
    this.previous = button("tool-button", "‹", "Previous page of images", () => this.turn(-1));
    this.next = button("tool-button", "›", "Next page of images", () => this.turn(1));
    this.where = element("span", { class: "confusion-where", role: "status" });
    this.pages = element("div", { class: "confusion-pages" }, [this.where, this.previous, this.next]);
    this.message = element("p", { class: "quiet-text", role: "status" });
    this.root.append(this.pages, this.list, this.message);
    choosable(this.list, (event) => hit(event, ".confusion-image")?.dataset.id);
    this.list.addEventListener("keydown", (event) => imageKeys(this, event));
    this.pages.hidden = true;
  }

  /** Nothing is shown any more, and nothing is waited for. */
  forget() {
    if (this.abort) this.abort.abort();
    this.abort = null;
    this.asked = null;
    this.total = 0;
    this.list.replaceChildren();
    this.pages.hidden = true;
    this.message.textContent = "";
    this.root.removeAttribute("data-shows");
    this.root.removeAttribute("data-total");
  }

  /**
   * Empty places for images that are still to be asked for (time moves), so that nothing jumps and nothing old is shown.
   * @param {number} count
   */
  hold(count) {
    this.forget();
    this.pages.hidden = count === 0;
    this.where.textContent = "";
    this.previous.disabled = this.next.disabled = true;
    const shown = Math.min(count, PAGE);
    this.list.replaceChildren(...Array.from({ length: shown }, () => element("span", { class: "confusion-image confusion-awaited" })));
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
      this.list.replaceChildren();
      this.message.textContent = error.message;
    }
  }

  fill({ total, images }) {
    const { asked } = this;
    this.total = total;
    this.root.dataset.shows = asked.shows;
    this.root.dataset.total = total;
    this.message.textContent = "";
    this.list.replaceChildren(...images.map((image) => this.tile(image)));
    const last = asked.offset + images.length;
    this.pages.hidden = total === 0;
    this.where.textContent =
      total <= PAGE ? counted(total, "image") : `${grouped(asked.offset + 1)}–${grouped(last)} of ${grouped(total)} images`;
    this.previous.hidden = this.next.hidden = total <= PAGE;
    this.previous.disabled = asked.offset === 0;
    this.next.disabled = last >= total;
    this.mark();
  }

  tile(image) {
    const { corpus } = confusion.statistics;
    const sure = Number.isFinite(image.probability) ? percent(image.probability, 0) : "";
    const words = [
      image.name,
      image.class_name && `true class ${image.class_name}`,
      image.predicted_name && `predicted as ${image.predicted_name} ${sure}`,
    ];
    const title = words.filter(Boolean).join(", ");
    const tile = element("button", {
      type: "button",
      class: "confusion-image",
      role: "option",
      title,
      "aria-label": title,
      "data-id": image.id,
      tabindex: -1,
    });
    if (corpus) {
      const picture = element("img", { alt: "", draggable: "false", decoding: "async", src: imageRecords.picture(corpus, image.id, EDGE) });
      picture.addEventListener("error", () => tile.classList.add("images-broken"));
      tile.append(picture);
    } else {
      tile.append(element("span", { class: "confusion-image-name" }, [image.name]));
    }
    if (sure) tile.append(element("span", { class: "confusion-sure" }, [sure]));
    return tile;
  }

  /** Which is selected, and which Tab reaches. */
  mark() {
    const { image } = view.get();
    const tiles = [...this.list.querySelectorAll("button.confusion-image")];
    for (const tile of tiles) tile.setAttribute("aria-selected", tile.dataset.id === image);
    const reachable = tiles.find((tile) => tile.dataset.id === image) || tiles[0];
    for (const tile of tiles) tile.tabIndex = tile === reachable ? 0 : -1;
  }

  /** The first image, or the selected one, takes the keys. */
  focus() {
    const tile = this.list.querySelector('[tabindex="0"]');
    if (tile) tile.focus();
    return Boolean(tile);
  }

  /** Focus another tile. @param {(at: number, across: number, last: number) => number} to which, from where the focus is */
  move(to) {
    const tiles = /** @type {HTMLElement[]} */ ([...this.list.querySelectorAll("button.confusion-image")]);
    const at = tiles.findIndex((tile) => tile === document.activeElement);
    if (at < 0) return false;
    const across = tiles.filter((tile) => tile.offsetTop === tiles[0].offsetTop).length;
    const tile = tiles[to(at, across, tiles.length - 1)];
    if (tile) tile.focus();
    return true;
  }
}
