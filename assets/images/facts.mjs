/** An image enlarged, with its name, class, split and id: `ImageFacts`. */
import { element } from "mloscope/base/dom.mjs";
import { imageRecords } from "mloscope/images/records.mjs";

const EDGE = 256;

export class ImageFacts {
  /** @type {string | null} */ #shown = null;

  constructor() {
    this.picture = element("img", { class: "images-selected-picture", alt: "" });
    this.picture.addEventListener("error", () => this.node.classList.add("images-broken"));
    this.facts = element("div", { class: "images-facts" });
    this.node = element("div", { class: "images-selected", hidden: true }, [this.picture, this.facts]);
  }

  /**
   * @param {string | null} corpus
   * @param {string | null} image null hides it
   * @returns {Promise<any | null>} the image's record; null where there is none, and where another image is shown meanwhile
   */
  async show(corpus, image) {
    const shown = corpus && image ? `${corpus} ${image}` : null;
    this.#shown = shown;
    this.node.hidden = !shown;
    if (!corpus || !image) return null;
    this.node.classList.remove("images-broken");
    this.picture.src = imageRecords.picture(corpus, image, EDGE);
    this.#tell(image);
    try {
      const record = await imageRecords.record(corpus, image);
      if (shown !== this.#shown) return null;
      if (!record) this.#tell(image, `The corpus ${corpus} has no image of this id.`);
      else this.#tell(record.name, record.class_name, `${record.split} · ${record.id}`);
      return record;
    } catch (error) {
      if (shown === this.#shown) this.#tell(image, error.message);
      return null;
    }
  }

  /** @param {string} name @param {string} [className] or what is wrong @param {string} [place] where it stands; none where it does not */
  #tell(name, className = "", place = "") {
    const truth = [className, ...(className && place ? [" ", element("span", { class: "true-mark" }, ["true"])] : [])];
    this.picture.alt = name;
    this.facts.replaceChildren(
      element("strong", {}, [name]),
      ...(className ? [element("span", {}, truth)] : []),
      ...(place ? [element("span", {}, [place])] : []),
    );
  }
}
