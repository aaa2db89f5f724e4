/**
 * The images of the corpus: the component ImageGrid. Search, facets (class, split, and what the corpus adds), a shuffled order,
 * thumbnails, and the selected image with what became of it. Of 60,000 images only the rows in sight are in the document.
 *
 *     address ──read──► query (one object) ──write──► controls, address, GET .../images?search=&label=&split=&random=
 */
import { api } from "mloscope/base/addresses.mjs";
import { button, component, element, hit, oncePerFrame } from "mloscope/base/dom.mjs";
import { fetchJson } from "mloscope/base/http.mjs";
import { keyTable } from "mloscope/base/keys.mjs";
import { notice } from "mloscope/base/notices.mjs";
import { counted, grouped } from "mloscope/base/numbers.mjs";
import { onOpen, subject } from "mloscope/base/subject.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { view } from "mloscope/base/view.mjs";
import { FacetChoices, OF_EVERY_CORPUS } from "mloscope/images/facet_choices.mjs";
import { ImageFacts } from "mloscope/images/facts.mjs";
import { imageRecords } from "mloscope/images/records.mjs";
import { OrderChoices, isJudged, isOrderWord, orderTitle } from "mloscope/images/orders.mjs";
import { ImageStory } from "mloscope/images/story.mjs";

const TILE_PX = 48; // at least
const GAP_PX = 8;
const SPARE_ROWS = 1; // above and below what is in sight
const MOST_TILES = 96;
const THUMBNAIL_EDGE = 64;
const TYPING_MS = 150;
const TALLEST_PX = 16e6; // browsers stop soon after
const MOVES = { ArrowLeft: () => -1, ArrowRight: () => 1, ArrowUp: ({ across }) => -across, ArrowDown: ({ across }) => across };
const gridKeys = keyTable("Image grid", [
  { keys: Object.keys(MOVES), does: "the image beside", act: (grid, { key }) => grid.move(grid.focus + MOVES[key](grid)) },
  { keys: ["Home", "End"], does: "first or last image", act: (grid, { key }) => grid.move(key === "Home" ? 0 : grid.search.total - 1) },
  { keys: ["Enter", " "], does: "select the image", act: (grid) => grid.select(grid.focus) },
]);

class Grid {
  /** @type {HTMLInputElement} */ text;
  /** @type {any} */ random;
  /** @type {any} */ order;
  /** @type {FacetChoices} */ facets;
  /** @type {OrderChoices} */ orders;
  /** @type {HTMLSpanElement} */ total;
  selected = new ImageFacts();
  /** @type {ImageStory} */ story;
  /** @type {HTMLDivElement} */ window;
  /** @type {HTMLDivElement} */ spacer;
  /** @type {HTMLDivElement} */ scroller;
  /** @type {HTMLParagraphElement} */ message;
  /** @type {any} */ typing;
  hasTyped = false;
  /** @type {any} */ corpus;
  later = oncePerFrame(() => this.render());
  /** @type {any} */ across;
  /** @type {string | null} the image that is selected here just now, and is in sight */ chosenHere = null;
  /** @type {any} */ size;

  constructor(root) {
    this.root = root;
    this.tiles = new Map(); // position -> button
    this.focus = 0; // position of the one tile that Tab reaches
    /** @type {any} */
    this.search = null;
    this.query = {}; // words as the API takes them, by name
    this.build();
    this.resizes = new ResizeObserver(() => this.render());
    this.resizes.observe(this.scroller);
    this.undo = [
      onOpen((subject, isNew) => isNew && this.open(subject)),
      view.subscribe((view, changed) => changed.includes("image") && this.followSelected(view.image)),
      view.subscribe((view, changed) => changed.includes("images") && this.follow(view.images)),
      time.onSettled(() => this.orderAgain()),
      () => this.resizes.disconnect(),
      () => this.later.cancel(),
      () => this.search && this.search.close(),
      () => clearTimeout(this.typing),
      () => this.story.destroy(),
    ];
  }

  destroy() {
    for (const undo of this.undo) undo();
    this.root.replaceChildren();
  }

  build() {
    this.text = element("input", {
      class: "images-search", type: "search", placeholder: "search name or class, label:7", autocomplete: "off", spellcheck: "false",
      title: "Words that name, id or class must all have; label:7 asks for exactly that class", "aria-label": "Search images",
    }); // prettier-ignore
    this.facets = new FacetChoices((words) => this.change(words));
    this.facets.offer(OF_EVERY_CORPUS, this.query);
    this.random = button("images-button", "random", "Show them in a random order; again for another", () => this.shuffle());
    this.order = button("images-button", "in order", "Show them in their own order again", () => this.shuffle(null));
    this.order.hidden = true;
    this.orders = new OrderChoices((words) => this.change(words));
    this.total = element("span", { class: "images-total", role: "status" });
    const story = element("div", { class: "story" });
    this.story = new ImageStory(story, { isListed: false }); // the likeliest classes stand below the grid
    this.window = element("div", { class: "images-window" });
    this.spacer = element("div", { class: "images-spacer" }, [this.window]);
    this.scroller = element("div", { class: "images-scroller", role: "listbox", "aria-label": "Images", "data-own-keys": true }, [
      this.spacer,
    ]);
    this.message = element("p", { class: "images-message", hidden: true });
    this.root.append(
      this.selected.node,
      story,
      this.text,
      this.facets.node,
      this.orders.node,
      element("div", { class: "images-line" }, [this.total, this.order, this.random]),
      this.scroller,
      this.message,
    );
    this.text.addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.type(), TYPING_MS);
    });
    this.text.addEventListener("focus", () => (this.hasTyped = false));
    this.scroller.addEventListener("scroll", () => this.later(), { passive: true });
    this.scroller.addEventListener("keydown", (event) => this.search && this.search.total && gridKeys(this, event));
    this.scroller.addEventListener("click", (event) => {
      const tile = hit(event, ".images-tile");
      if (tile) this.select(Number(tile.dataset.position));
    });
  }

  async open(subject) {
    const before = this.corpus;
    this.corpus = subject.corpus;
    this.root.classList.toggle("images-none", !this.corpus);
    this.showSelected();
    if (!this.corpus) {
      this.say("No images are connected. Start mloscope with --images PATH to choose one.");
      return;
    }
    const { corpus } = this;
    if (before !== corpus) this.facets.offer(OF_EVERY_CORPUS, this.query); // values of the corpus, not of the network: they come below
    if (before === undefined) this.query = readQuery(view.get().images);
    this.ask("replace");
    this.seek();
    try {
      const about = await fetchJson(api(["corpora", corpus]));
      if (corpus !== this.corpus) return;
      this.facets.offer(about.facets, this.query);
      this.leaveOut();
      if (before && before !== corpus) await this.leaveImage(corpus);
      if (!view.get().image) await this.selectFirst(corpus, "test" in about.splits ? "test" : "");
    } catch (error) {
      this.say(error.message);
    }
  }

  /** An image of another corpus means nothing where this one has none of its id. */
  async leaveImage(corpus) {
    const { image } = view.get();
    if (!image || (await imageRecords.record(corpus, image)) || corpus !== this.corpus || image !== view.get().image) return;
    notice(`${corpus} has no image ${image}; its first one is shown.`);
    view.set({ image: null }, { history: "replace" });
  }

  /** Select an image where none is selected yet. */
  async selectFirst(corpus, split) {
    const answer = await fetchJson(api(["corpora", corpus, "images"], { split, limit: 1 }));
    const [first] = answer.images;
    if (first && corpus === this.corpus && !view.get().image) {
      imageRecords.remember(corpus, first);
      this.chosenHere = first.id;
      view.set({ image: first.id }, { history: "replace" });
    }
  }

  /** @param {number | null} [seed] null for the corpus's own order */
  shuffle(seed = 1 + Math.floor(Math.random() * 2 ** 31)) {
    this.change({ random: seed === null ? "" : String(seed) });
  }

  /** Ask again without values that the corpus does not have, as after a change of corpus. */
  leaveOut() {
    const names = Object.keys(this.query).filter((name) => name !== "search" && name !== "random" && !isOrderWord(name));
    const gone = this.facets.unknown(names, this.query);
    if (!gone.length) return;
    notice(`${this.corpus} has no images of ${gone.map((name) => `${name} ${this.query[name]}`).join(", ")}; these are of all.`);
    this.change(Object.fromEntries(gone.map((name) => [name, ""])), "replace");
  }

  type() {
    this.change({ search: this.text.value.trim() }, this.hasTyped ? "replace" : "push"); // one search, one step back
    this.hasTyped = true;
  }

  change(words, history = "push") {
    this.query = { ...this.query, ...words };
    this.ask(history);
  }

  /** Back, forward, or a link to other images. */
  follow(address) {
    if (address === writeQuery(this.query)) return;
    this.query = readQuery(address);
    this.ask("replace");
  }

  ask(history) {
    if (!this.corpus) return;
    clearTimeout(this.typing);
    if (this.search) this.search.close();
    const { query } = this;
    view.set({ images: writeQuery(query) }, { history });
    if (this.text.value.trim() !== (query.search || "")) this.text.value = query.search || "";
    this.facets.show(query);
    this.orders.show(query);
    this.search = new imageRecords.Search(this.corpus, query, () => this.render(), this.judge(query));
    this.order.hidden = !query.random;
    this.focus = 0;
    this.scroller.scrollTop = 0;
    this.clear();
    this.search.at(0);
  }

  /** Whose predictions order and choose the images. */
  judge(query) {
    return isJudged(query) && subject && time.step !== null ? { run: subject.run, step: time.step } : null;
  }

  /** Time rests at another step, where the network predicts otherwise. */
  orderAgain() {
    const { search } = this;
    if (search && search.judge && search.judge.step !== time.step) this.ask("replace");
  }

  // ------------------------------------------------------------------------------------------------------- tiles

  clear() {
    this.window.replaceChildren();
    this.tiles.clear();
  }

  /** Put the tiles in sight into the document, and take the others out. */
  render() {
    const { search } = this;
    if (!search || search.total === null) {
      if (search && search.error) this.say(search.error);
      return;
    }
    this.total.textContent = totalOf(search);
    this.say(search.error || (search.total ? "" : nothingFound(search.query)));
    const width = this.scroller.clientWidth;
    if (!width) return;
    this.across = Math.max(1, Math.floor((width + GAP_PX) / (TILE_PX + GAP_PX)));
    this.size = Math.floor((width + GAP_PX) / this.across) - GAP_PX;
    const step = this.size + GAP_PX;
    const rows = Math.ceil(search.total / this.across);
    this.spacer.style.height = `${Math.min(TALLEST_PX, Math.max(0, rows * step - GAP_PX))}px`;
    const from = Math.max(0, Math.floor(this.scroller.scrollTop / step) - SPARE_ROWS);
    const inSight = Math.ceil(this.scroller.clientHeight / step) + 1 + 2 * SPARE_ROWS;
    const first = from * this.across;
    const last = Math.min(search.total, first + Math.min(inSight * this.across, MOST_TILES));
    for (const [position, tile] of this.tiles) {
      if (position >= first && position < last) continue;
      tile.remove();
      this.tiles.delete(position);
    }
    for (let position = first; position < last; position += 1) this.place(position, step);
    this.mark();
  }

  place(position, step) {
    let tile = this.tiles.get(position);
    if (!tile) {
      tile = element("div", { class: "images-tile", role: "option", "data-position": position });
      this.tiles.set(position, tile);
      this.window.append(tile);
    }
    tile.setAttribute("aria-posinset", position + 1);
    tile.setAttribute("aria-setsize", this.search.total);
    tile.style.transform = `translate(${(position % this.across) * step}px, ${Math.floor(position / this.across) * step}px)`;
    tile.style.width = tile.style.height = `${this.size}px`;
    const record = this.search.at(position);
    if (!record || tile.dataset.id === record.id) return;
    tile.dataset.id = record.id;
    const name = [record.name, record.class_name].filter(Boolean).join(", ");
    tile.title = name;
    tile.setAttribute("aria-label", name);
    const picture = element("img", { alt: "", draggable: "false", decoding: "async" });
    picture.addEventListener("error", () => tile.classList.add("images-broken"));
    picture.src = imageRecords.picture(this.corpus, record.id, THUMBNAIL_EDGE);
    tile.replaceChildren(picture);
  }

  /** Which tile is selected, and which Tab reaches. */
  mark() {
    const { image } = view.get();
    const reachable = this.tiles.has(this.focus) ? this.focus : Math.min(...this.tiles.keys());
    for (const [position, tile] of this.tiles) {
      tile.setAttribute("aria-selected", tile.dataset.id === image);
      tile.tabIndex = position === reachable ? 0 : -1;
    }
  }

  select(position) {
    const record = this.search.at(position);
    this.focus = position;
    if (!record) return;
    this.chosenHere = record.id;
    view.set({ image: record.id });
    this.mark();
  }

  /** Go to another image of the grid. */
  move(to) {
    if (to >= 0 && to < this.search.total) this.reach(to);
  }

  reach(position) {
    this.bringIntoSight(position);
    const tile = this.tiles.get(position);
    if (tile) tile.focus({ preventScroll: true });
  }

  /** Bring the selected image into sight, wherever it stands. */
  async seek() {
    const { search } = this;
    const { image } = view.get();
    if (!image || !search) return;
    const position = await search.placeOf(image);
    if (position >= 0 && search === this.search && image === view.get().image && this.size) this.bringIntoSight(position);
  }

  bringIntoSight(position) {
    this.focus = position;
    const step = this.size + GAP_PX;
    const top = Math.floor(position / this.across) * step;
    const { scroller } = this;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (top + this.size > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = top + this.size - scroller.clientHeight;
    this.render();
  }

  // ---------------------------------------------------------------------------------------------------- selected

  /** Another image is selected; one that was chosen elsewhere is sought. */
  followSelected(image) {
    this.showSelected();
    if (image !== this.chosenHere) this.seek();
    this.chosenHere = null;
  }

  async showSelected() {
    const { image } = view.get();
    this.mark();
    this.story.show(this.corpus ? image : null);
    const record = await this.selected.show(this.corpus, image);
    if (record) this.story.show(record.id, record.split);
  }

  say(text) {
    this.message.textContent = text || "";
    this.message.hidden = !text;
    this.scroller.hidden = Boolean(text);
  }
}

/** @param {string} address words as the API takes them, "search=7&split=test"; empty for all images in their own order */
const readQuery = (address) => Object.fromEntries(new URLSearchParams(address));

const writeQuery = (query) => new URLSearchParams(Object.entries(query).filter(([, value]) => value)).toString();

/** How many there are; where their order rests on predictions, of which step and split. */
function totalOf({ total, query, restsOn }) {
  const all = counted(total, "image");
  return restsOn ? `${all} of ${restsOn.split} at step ${grouped(restsOn.step)}: ${orderTitle(query)}` : all;
}

function nothingFound(query) {
  const { search, label, split, ...more } = query;
  const others = { ...more, random: "", order: "", judged: query.judged && `predicted ${query.judged}` };
  const among = [label && `of class ${label}`, split && `in ${split}`, ...Object.values(others)].filter(Boolean).join(" ");
  return search ? `No image${among && ` ${among}`} has "${search}" in its name, id or class.` : `There is no image ${among}.`;
}

/** The React component behind components/browser_parts.py. */
export const ImageGrid = component("images", Grid);
