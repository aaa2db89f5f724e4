/**
 * A list of images that one chooses by the pointer or the keys: `ImageList`. The same in the grid, behind a cell, in a cluster and on
 * Compare; pictures, names, selection and keys are here, the layout is the style sheet's.
 */
import { element, hit } from "mloscope/base/dom.mjs";
import { keyTable } from "mloscope/base/keys.mjs";
import { view } from "mloscope/base/view.mjs";
import { choose, openInNetwork } from "mloscope/images/choosing.mjs";
import { imageRecords } from "mloscope/images/records.mjs";

/**
 * @typedef {object} Shown an image of a list
 * @property {string} id
 * @property {string} title what is said of it
 * @property {string} [name] shown where there is no picture
 * @property {string} [caption] below its picture
 */

const EDGE = 64; // pixels of a picture
const MOVES = {
  ArrowLeft: () => -1,
  ArrowRight: () => 1,
  ArrowUp: (/** @type {ImageList} */ { across }) => -across,
  ArrowDown: (/** @type {ImageList} */ { across }) => across,
};
const imageKeys = keyTable("Images", [
  { keys: Object.keys(MOVES), does: "the image beside", act: (list, { key }) => list.move(list.focused + MOVES[key](list)) },
  { keys: ["Home", "End"], does: "first or last image", act: (list, { key }) => list.move(key === "Home" ? 0 : list.count - 1) },
  { keys: ["Enter", " "], does: "select the image", act: (list) => list.choose(list.focused) },
]);

/**
 * Put an image into a tile.
 * @param {HTMLElement} tile
 * @param {string | null} corpus null: there are no pictures
 * @param {Shown} image
 */
export function fillTile(tile, corpus, image) {
  const { id, title, name = id, caption } = image;
  tile.dataset.id = id;
  tile.title = title;
  tile.setAttribute("aria-label", title);
  tile.classList.remove("images-broken");
  tile.replaceChildren(corpus ? pictureOf(tile, corpus, id) : element("span", { class: "image-name" }, [name]));
  if (caption) tile.append(element("span", { class: "image-caption" }, [caption]));
}

function pictureOf(tile, corpus, id) {
  const picture = element("img", { alt: "", draggable: "false", decoding: "async" });
  picture.addEventListener("error", () => tile.classList.add("images-broken"));
  picture.src = imageRecords.picture(corpus, id, EDGE);
  return picture;
}

export class ImageList {
  /** @type {Map<number, HTMLElement>} those in the document, by position */
  tiles = new Map();
  /** How many images the keys go through. */
  count = 0;
  /** Position of the one tile that Tab reaches. */
  focused = 0;

  /**
   * @param {string} className
   * @param {string} label
   * @param {(id: string) => void} use called with an image that is clicked
   * @param {(id: string) => void} open called with one that is clicked twice
   */
  constructor(className, label, use = choose, open = openInNetwork) {
    this.use = use;
    this.node = element("div", { class: className, role: "listbox", "aria-label": label, "data-own-keys": true });
    this.node.addEventListener("keydown", (event) => this.count && imageKeys(this, event));
    const position = (event) => Number(hit(event, ".image-tile")?.dataset.position ?? NaN);
    this.node.addEventListener("click", (event) => this.choose(position(event)));
    this.node.addEventListener("dblclick", (event) => {
      const id = this.tiles.get(position(event))?.dataset.id;
      if (id) open(id);
    });
    this.destroy = view.subscribe((_, changed) => changed.includes("image") && this.mark());
  }

  /** Tiles per row, as they are laid out. */
  get across() {
    const tiles = [...this.tiles.values()];
    return tiles.filter((tile) => tile.offsetTop === tiles[0].offsetTop).length;
  }

  /**
   * Replace all images.
   * @param {string | null} corpus
   * @param {Shown[]} images
   * @param {{first?: number, total?: number}} [place] where they stand among all
   */
  show(corpus, images, { first = 0, total = images.length } = {}) {
    this.clear();
    this.count = images.length;
    images.forEach((image, position) => fillTile(this.tile(position, { first, total }), corpus, image));
    const selected = images.findIndex(({ id }) => id === view.get().image);
    this.focused = Math.max(0, selected);
    this.mark();
  }

  clear() {
    this.node.replaceChildren();
    this.tiles.clear();
    this.count = 0;
  }

  /** The tile at a position; made where there is none. */
  tile(position, { first = 0, total = this.count, place = this.node } = {}) {
    let tile = this.tiles.get(position);
    if (!tile) {
      tile = element("div", { class: "image-tile", role: "option", tabindex: -1, "data-position": position });
      this.tiles.set(position, tile);
      place.append(tile);
    }
    tile.setAttribute("aria-posinset", String(first + position + 1));
    tile.setAttribute("aria-setsize", String(total));
    return tile;
  }

  /** Which tile is selected, and which Tab reaches. */
  mark() {
    const { image } = view.get();
    const reachable = this.tiles.has(this.focused) ? this.focused : Math.min(...this.tiles.keys());
    for (const [position, tile] of this.tiles) {
      tile.setAttribute("aria-selected", String(tile.dataset.id === image));
      tile.tabIndex = position === reachable ? 0 : -1;
    }
  }

  choose(position) {
    const id = this.tiles.get(position)?.dataset.id;
    if (!id) return;
    this.focused = position;
    this.use(id);
    this.mark();
  }

  /** Move the focus to another image; nothing where there is none. */
  move(position) {
    if (position >= 0 && position < this.count) this.reach(position);
  }

  reach(position) {
    this.focused = position;
    this.mark();
    this.focus();
  }

  /** Focus the image that Tab reaches. @returns {boolean} whether there is one */
  focus() {
    const tile = this.tiles.get(this.focused);
    if (tile) tile.focus({ preventScroll: this.scrollsItself });
    return Boolean(tile);
  }

  get scrollsItself() {
    return false;
  }
}
