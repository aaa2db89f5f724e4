/**
 * What is known of images: `imageRecords`. Pages of a search, and one image by its id, each requested once.
 */
import { api } from "mloscope/base/addresses.mjs";
import { fetchJson } from "mloscope/base/http.mjs";

const PAGE = 60;
const known = new Map(); // "corpus id" -> promise of a record

/** One search: its pages come as they are asked for. */
class Search {
  /** @type {string} */
  corpus;
  /** @type {any} */
  query;
  /** @type {() => void} */
  onChange;
  /**
   * @param {string} corpus
   * @param {Record<string, string>} query words as the API takes them
   * @param {() => void} onChange called when a page or a refusal came
   * @param {{run: string, step: number} | null} [judge] whose predictions order and choose the images, at one step
   */
  constructor(corpus, query, onChange, judge = null) {
    Object.assign(this, { corpus, query, onChange });
    this.judge = judge;
    /** @type {any} what the order rests on, as the API has it; null where on nothing */
    this.restsOn = null;
    this.pages = new Map();
    this.total = null;
    this.error = null;
    this.abort = new AbortController();
  }

  /** @param {number} position @returns {any | null} the record at this place of the answer; null until its page came */
  at(position) {
    const page = Math.floor(position / PAGE);
    if (!this.pages.has(page)) this.fetch(page);
    const records = this.pages.get(page);
    return (records && records[position % PAGE]) || null;
  }

  /**
   * Where an image stands; its page comes along.
   * @param {string} id
   * @returns {Promise<number>} -1 where it does not match
   */
  async placeOf(id) {
    const place = (page) => (this.pages.get(page) || []).findIndex((record) => record.id === id);
    const known = () => [...this.pages.keys()].find((page) => place(page) >= 0);
    if (known() === undefined) await this.ask({ at: id });
    const page = known();
    return page === undefined ? -1 : page * PAGE + place(page);
  }

  fetch(page) {
    this.pages.set(page, null);
    return this.ask({ offset: page * PAGE });
  }

  async ask(which) {
    const { judge, corpus } = this;
    const words = { ...this.query, ...which, limit: PAGE };
    const url = judge
      ? api(["runs", judge.run, "checkpoints", String(judge.step), "images", "search"], { ...words, corpus })
      : api(["corpora", corpus, "images"], words);
    try {
      const answer = await fetchJson(url, this.abort.signal);
      this.total = answer.total;
      this.error = null;
      this.pages.set(Math.floor(answer.offset / PAGE), answer.images);
      this.restsOn = answer.rests_on || null;
      // Statistics describe images by outputs of the network, not by classes of the corpus.
      if (!judge) for (const record of answer.images) imageRecords.remember(corpus, record);
    } catch (error) {
      // Where no image has the id that is sought, the card of the selected image says so; the others are here all the same.
      if (error.name === "AbortError" || ("at" in which && error.status === 404)) return;
      this.error = error.message;
    }
    this.onChange();
  }

  /** The search is no longer shown. */
  close() {
    this.onChange = () => {};
    this.abort.abort();
  }
}

export const imageRecords = {
  Search,

  /**
   * Keep a record that came with something else, so that it need not be requested.
   * @param {string} corpus
   * @param {any} record
   */
  remember: (corpus, record) => known.set(`${corpus} ${record.id}`, Promise.resolve(record)),

  /**
   * @param {string} corpus
   * @param {string} id
   * @returns {Promise<any | null>} {id, name, label, class_name, split, metadata}; null where there is no such image
   */
  record(corpus, id) {
    const key = `${corpus} ${id}`;
    if (!known.has(key)) {
      const url = api(["corpora", corpus, "images"], { search: id, limit: PAGE });
      const found = fetchJson(url).then(({ images }) => images.find((record) => record.id === id) || null);
      found.catch(() => known.delete(key));
      known.set(key, found);
    }
    return known.get(key);
  },

  /**
   * @param {string} corpus
   * @param {string} id
   * @param {number} edge longer side in pixels, at most
   * @returns {string} address of the picture
   */
  picture: (corpus, id, edge) => api(["corpora", corpus, "images", `${id}.png`], { edge }),
};
