/**
 * The images of the corpus: the component ImageGrid. Search, facets (class, split, and what the corpus adds), a shuffled order,
 * thumbnails, and the selected image with what became of it. Of 60,000 images only the rows in sight are in the document.
 *
 *     address ──read──► query (one object) ──write──► controls, address, GET .../images?search=&label=&split=&random=
 */
import { api } from "mloscope/base/addresses.mjs";
import { button, component, element } from "mloscope/base/dom.mjs";
import { fetchJson } from "mloscope/base/http.mjs";
import { notice } from "mloscope/base/notices.mjs";
import { counted, grouped } from "mloscope/base/numbers.mjs";
import { onOpen, subject } from "mloscope/base/subject.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { view } from "mloscope/base/view.mjs";
import { FacetChoices, OF_EVERY_CORPUS } from "mloscope/images/facet_choices.mjs";
import { ImageFacts } from "mloscope/images/facts.mjs";
import { LongImageList } from "mloscope/images/long_list.mjs";
import { imageRecords } from "mloscope/images/records.mjs";
import { OrderChoices, isJudged, isOrderWord, orderTitle } from "mloscope/images/orders.mjs";
import { ImageStory } from "mloscope/images/story.mjs";

const TYPING_MS = 150;

class Grid {
  /** @type {HTMLInputElement} */ text;
  /** @type {any} */ random;
  /** @type {any} */ order;
  /** @type {FacetChoices} */ facets;
  /** @type {OrderChoices} */ orders;
  /** @type {HTMLSpanElement} */ total;
  selected = new ImageFacts();
  /** @type {ImageStory} */ story;
  /** @type {LongImageList} */ list;
  /** @type {HTMLParagraphElement} */ message;
  /** @type {any} */ typing;
  hasTyped = false;
  /** @type {any} */ corpus;
  /** @type {string | null} the image that is selected here just now, and is in sight */ chosenHere = null;

  constructor(root) {
    this.root = root;
    /** @type {any} */
    this.search = null;
    this.query = {}; // words as the API takes them, by name
    this.build();
    this.undo = [
      onOpen((subject, isNew) => isNew && this.open(subject)),
      view.subscribe((view, changed) => changed.includes("image") && this.followSelected(view.image)),
      view.subscribe((view, changed) => changed.includes("images") && this.follow(view.images)),
      time.onSettled(() => this.orderAgain()),
      () => this.list.destroy(),
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
    this.list = new LongImageList(
      "images-scroller",
      "Images",
      (id) => this.select(id),
      (position) => this.imageAt(position),
    );
    this.message = element("p", { class: "images-message", hidden: true });
    this.root.append(
      this.selected.node,
      story,
      this.text,
      this.facets.node,
      this.orders.node,
      element("div", { class: "images-line" }, [this.total, this.order, this.random]),
      this.list.node,
      this.message,
    );
    this.text.addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.type(), TYPING_MS);
    });
    this.text.addEventListener("focus", () => (this.hasTyped = false));
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
    this.list.restart(this.corpus);
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

  // -------------------------------------------------------------------------------------------------------- list

  /** Show what has come of the search. */
  render() {
    const { search } = this;
    if (!search || search.total === null) {
      if (search && search.error) this.say(search.error);
      return;
    }
    this.total.textContent = totalOf(search);
    this.say(search.error || (search.total ? "" : nothingFound(search.query)));
    this.list.count = search.total;
    this.list.render();
  }

  imageAt(position) {
    const record = this.search.at(position);
    return record && { id: record.id, title: [record.name, record.class_name].filter(Boolean).join(", ") };
  }

  select(image) {
    this.chosenHere = image;
    view.set({ image });
  }

  /** Bring the selected image into sight, wherever it stands. */
  async seek() {
    const { search } = this;
    const { image } = view.get();
    if (!image || !search) return;
    const position = await search.placeOf(image);
    if (position >= 0 && search === this.search && image === view.get().image && this.list.isLaidOut) this.list.bringIntoSight(position);
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
    this.story.show(this.corpus ? image : null);
    const record = await this.selected.show(this.corpus, image);
    if (record) this.story.show(record.id, record.split);
  }

  say(text) {
    this.message.textContent = text || "";
    this.message.hidden = !text;
    this.list.node.hidden = Boolean(text);
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
