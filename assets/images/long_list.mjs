/** A list of any number of images, of which only the rows in sight are in the document: `LongImageList`. */
import { element, oncePerFrame } from "mloscope/base/dom.mjs";
import { ImageList, fillTile } from "mloscope/images/list.mjs";

const TILE_PX = 48; // at least
const GAP_PX = 8;
const SPARE_ROWS = 1; // above and below what is in sight
const MOST_TILES = 96;
const TALLEST_PX = 16e6; // browsers stop soon after

export class LongImageList extends ImageList {
  /** @type {string} of the images */ corpus = "";
  #across = 1;
  #size = 0;
  #later = oncePerFrame(() => this.render());

  /**
   * @param {string} className
   * @param {string} label
   * @param {(id: string) => void} use called with an image that is clicked
   * @param {(position: number) => import("mloscope/images/list.mjs").Shown | null} imageAt null while it is on its way: `render` when it has come
   */
  constructor(className, label, use, imageAt) {
    super(className, label, use, () => {});
    this.imageAt = imageAt;
    this.window = element("div", { class: "images-window" });
    this.spacer = element("div", { class: "images-spacer" }, [this.window]);
    this.node.append(this.spacer);
    this.node.addEventListener("scroll", () => this.#later(), { passive: true });
    const resizes = new ResizeObserver(() => this.render());
    resizes.observe(this.node);
    const leave = this.destroy;
    this.destroy = () => {
      leave();
      resizes.disconnect();
      this.#later.cancel();
    };
  }

  get across() {
    return this.#across;
  }

  get scrollsItself() {
    return true;
  }

  /** Whether tiles have a size: the list is visible. */
  get isLaidOut() {
    return this.#size > 0;
  }

  get #step() {
    return this.#size + GAP_PX;
  }

  clear() {
    this.window.replaceChildren();
    this.tiles.clear();
  }

  /** Begin at the first image of another search. @param {string} corpus */
  restart(corpus) {
    this.corpus = corpus;
    this.count = this.focused = this.node.scrollTop = 0;
    this.clear();
  }

  /** Put the tiles in sight into the document, and take the others out. */
  render() {
    const width = this.node.clientWidth;
    if (!width) return;
    this.#across = Math.max(1, Math.floor((width + GAP_PX) / (TILE_PX + GAP_PX)));
    this.#size = Math.floor((width + GAP_PX) / this.#across) - GAP_PX;
    const rows = Math.ceil(this.count / this.#across);
    this.spacer.style.height = `${Math.min(TALLEST_PX, Math.max(0, rows * this.#step - GAP_PX))}px`;
    const from = Math.max(0, Math.floor(this.node.scrollTop / this.#step) - SPARE_ROWS);
    const inSight = Math.ceil(this.node.clientHeight / this.#step) + 1 + 2 * SPARE_ROWS;
    const first = from * this.#across;
    const last = Math.min(this.count, first + Math.min(inSight * this.#across, MOST_TILES));
    for (const [position, tile] of this.tiles) {
      if (position >= first && position < last) continue;
      tile.remove();
      this.tiles.delete(position);
    }
    for (let position = first; position < last; position += 1) this.#place(position);
    this.mark();
  }

  #place(position) {
    const tile = this.tile(position, { place: this.window });
    const [column, row] = [position % this.#across, Math.floor(position / this.#across)];
    tile.style.transform = `translate(${column * this.#step}px, ${row * this.#step}px)`;
    tile.style.width = tile.style.height = `${this.#size}px`;
    const image = this.imageAt(position);
    if (image && tile.dataset.id !== image.id) fillTile(tile, this.corpus, image);
  }

  reach(position) {
    this.bringIntoSight(position);
    this.focus();
  }

  bringIntoSight(position) {
    this.focused = position;
    const { node } = this;
    const top = Math.floor(position / this.#across) * this.#step;
    if (top < node.scrollTop) node.scrollTop = top;
    else if (top + this.#size > node.scrollTop + node.clientHeight) node.scrollTop = top + this.#size - node.clientHeight;
    this.render();
  }
}
