/**
 * The picture of the lab: the component LabPicture. It is moved, turned, covered and painted by hand; a picture of one's own is dropped,
 * pasted or chosen.
 *
 *     hand on the picture ──► changes in the view ──► the picture, drawn by the server
 *                              └── while the hand is down the address is replaced, at its end it is one act that Back undoes
 */
import { api } from "mloscope/base/addresses.mjs";
import { segments } from "mloscope/base/controls.mjs";
import { button, component, element, write } from "mloscope/base/dom.mjs";
import { fetchAnswer } from "mloscope/base/http.mjs";
import { onOpen, subject } from "mloscope/base/subject.mjs";
import { view } from "mloscope/base/view.mjs";
import {
  IMAGE_KEYS,
  applied,
  apply,
  changed,
  hold,
  leftOut,
  letGo,
  pictureAddress,
  setChange,
  unchanged,
  valuesOf,
} from "mloscope/lab/image.mjs";

const LARGEST_MB = 10;
const MOST_POINTS = 400;

/** What the hand does on the picture: (start, now, both in per cent of the picture, numbers at the start, picture) -> numbers. */
const TOOLS = {
  shift: {
    title: "Move",
    help: "Drag the picture",
    of: (from, to, [right, down], { width, height }) =>
      [right + ((to.x - from.x) / 100) * width, down + ((to.y - from.y) / 100) * height].map(Math.round),
  },
  rotate: {
    title: "Turn",
    help: "Drag around the centre",
    of: (from, to, [angle], { width, height }) => {
      const turned = ((direction(to, width, height) - direction(from, width, height)) * 180) / Math.PI;
      return [Math.round(((angle + turned + 540) % 360) - 180)];
    },
  },
  scale: {
    title: "Size",
    help: "Drag away from the centre or towards it",
    of: (from, to, [factor], { width, height }) => {
      const grown =
        Math.hypot((to.x - 50) * width, (to.y - 50) * height) / Math.max(1, Math.hypot((from.x - 50) * width, (from.y - 50) * height));
      return [Math.min(10, Math.max(0.1, Number((factor * grown).toFixed(2))))];
    },
  },
  occlude: { title: "Cover", help: "Drag a rectangle that is covered with grey", of: (from, to) => box(from, to) },
  crop: { title: "Crop", help: "Drag the rectangle that is enlarged", of: (from, to) => box(from, to) },
  brush: {
    title: "Brush",
    help: "Paint with grey",
    of: (_, to, numbers) => [...numbers, Math.round(to.x), Math.round(to.y)].slice(0, 1 + 2 * MOST_POINTS),
  },
};

const direction = ({ x, y }, width, height) => Math.atan2((y - 50) * height, (x - 50) * width);

const box = (from, to) => {
  const [left, right] = [from.x, to.x].sort((a, b) => a - b).map(Math.round);
  const [top, bottom] = [from.y, to.y].sort((a, b) => a - b).map(Math.round);
  return [left, top, Math.max(1, right - left), Math.max(1, bottom - top)];
};

class Picture {
  /** @type {HTMLImageElement} */ image;
  /** @type {HTMLImageElement} */ original;
  /** @type {HTMLElement} */ before;
  /** @type {HTMLParagraphElement} */ message;
  /** @type {HTMLDivElement} */ stage;
  /** @type {any} */ tools;
  /** @type {HTMLInputElement} */ file;
  /** @type {HTMLButtonElement} */ own;
  /** @type {HTMLButtonElement} */ back;
  /** @type {HTMLButtonElement} */ reset;
  tool = "shift";
  /** @type {{from: {x: number, y: number}, values: number[], before: string} | null} */ hand = null;
  /** @type {string | null} */ shown = null;
  /** @type {string | null} the address that is asked for once the last has come */ wanted = null;
  isLoading = false;

  constructor(root) {
    this.root = root;
    this.build();
    this.onPaste = (event) => this.takeFiles(event.clipboardData && event.clipboardData.files);
    document.addEventListener("paste", this.onPaste);
    this.undo = [
      view.subscribe((_, keys) => keys.some((key) => IMAGE_KEYS.includes(key)) && this.show()),
      onOpen(() => this.show()),
      () => document.removeEventListener("paste", this.onPaste),
    ];
    this.show();
  }

  destroy() {
    for (const undo of this.undo) undo();
    this.root.replaceChildren();
  }

  build() {
    this.image = element("img", { class: "lab-image", alt: "", draggable: "false" });
    this.original = element("img", { class: "lab-original", alt: "The unchanged image" });
    this.before = element("figure", { class: "lab-before" }, [this.original, element("figcaption", {}, ["unchanged"])]);
    this.message = element("p", { class: "lab-message", role: "status", hidden: true });
    this.stage = element("div", { class: "lab-stage" }, [this.image]);
    this.stage.addEventListener("pointerdown", (event) => this.begin(event));
    this.stage.addEventListener("pointermove", (event) => this.move(event));
    this.stage.addEventListener("pointerup", () => this.end());
    this.stage.addEventListener("pointercancel", () => this.end());
    this.image.addEventListener("load", () => this.loaded());
    this.image.addEventListener("error", () => this.failed());
    this.tools = segments(
      "What the hand does",
      Object.entries(TOOLS).map(([name, { title, help }]) => [name, title, help]),
      (name) => {
        this.tool = name;
        this.tools.show(name);
      },
    );
    this.tools.show(this.tool);
    this.file = element("input", { type: "file", accept: "image/*", class: "lab-file", "aria-label": "A picture of your own" });
    this.file.addEventListener("change", () => this.takeFiles(this.file.files));
    this.own = button("images-button", "Own picture …", "Choose a picture of your own; you can also drop or paste one", () =>
      this.file.click(),
    );
    this.back = button("images-button", "Corpus image", "The selected image of the corpus again", () => view.set({ own: "" }));
    this.reset = button("images-button", "Unchanged", "Take all changes back", () => apply([]));
    this.root.append(
      element("div", { class: "lab-stages" }, [this.stage, this.before]),
      this.message,
      this.tools.node,
      element("div", { class: "lab-buttons" }, [this.own, this.file, this.back, this.reset]),
    );
    for (const kind of ["dragover", "drop"]) this.root.addEventListener(kind, (event) => event.preventDefault());
    this.root.addEventListener("drop", (event) => this.takeFiles(event.dataTransfer && event.dataTransfer.files));
  }

  // ---------------------------------------------------------------------------------------------------- what is shown

  show() {
    const image = changed();
    const address = pictureAddress(image);
    this.back.hidden = !view.get().own;
    this.reset.hidden = !applied().length;
    this.stage.hidden = !address;
    this.before.toggleAttribute("data-same", !address || image === unchanged()); // it keeps its room: a hand may be moving the picture
    this.say(this.words(address));
    if (!address) return;
    const before = pictureAddress(unchanged());
    if (this.original.getAttribute("src") !== before) this.original.src = before || "";
    this.image.alt = applied().length ? "The changed image" : "The image";
    this.wanted = address;
    this.load();
  }

  /** What is to be said of the picture. */
  words(address) {
    const unknown = leftOut();
    if (unknown.length) return `No image takes ${unknown.map((part) => `"${part}"`).join(", ")}; it is left out.`;
    if (address) return "";
    return subject && !subject.corpus
      ? "Drop, paste or choose a picture."
      : "Select an image below, or drop, paste or choose one of your own.";
  }

  /** One picture at a time: while a hand moves, what lies between is left out. */
  load() {
    if (this.isLoading || this.wanted === null || this.wanted === this.shown) return;
    this.isLoading = true;
    this.shown = this.wanted;
    this.image.src = this.wanted;
  }

  loaded() {
    this.isLoading = false;
    this.root.dataset.shown = changed();
    this.load();
  }

  /** Ask for the reason, which a picture does not bring. */
  async failed() {
    this.isLoading = false;
    const address = this.shown;
    this.shown = null;
    try {
      await fetchAnswer(address || "");
    } catch (error) {
      if (pictureAddress(changed()) === address) this.say(error.message);
      else this.load();
    }
  }

  say(text) {
    write(this.message, text);
    this.message.hidden = !text;
  }

  // --------------------------------------------------------------------------------------------------------- the hand

  /** Where the pointer is, in per cent of the picture. */
  at(event) {
    const { left, top, width, height } = this.image.getBoundingClientRect();
    const within = (share) => Math.min(100, Math.max(0, share * 100));
    return { x: within((event.clientX - left) / width), y: within((event.clientY - top) / height) };
  }

  begin(event) {
    if (event.button || !this.image.naturalWidth) return;
    event.preventDefault();
    this.stage.setPointerCapture(event.pointerId);
    const values = this.tool === "brush" ? [valuesOf("brush")[0]] : valuesOf(this.tool);
    this.hand = { from: this.at(event), values, before: view.get().change };
    hold();
    if (this.tool === "brush") apply([...applied(), { name: "brush", values }], { history: "replace" });
    if (this.tool === "brush") this.move(event);
  }

  move(event) {
    if (!this.hand) return;
    const { width, height } = { width: this.image.naturalWidth, height: this.image.naturalHeight };
    const values = TOOLS[this.tool].of(this.hand.from, this.at(event), this.hand.values, { width, height });
    if (this.tool === "brush") this.hand.values = values;
    setChange(this.tool, values, { history: "replace" });
  }

  end() {
    if (!this.hand) return;
    letGo(this.hand.before);
    this.hand = null;
  }

  // ---------------------------------------------------------------------------------------------- pictures of one's own

  async takeFiles(files) {
    const list = [...(files || [])];
    this.file.value = ""; // so that the same file can be chosen again
    if (!list.length) return;
    const file = list.find(({ type }) => type.startsWith("image/") || !type);
    if (!file) return this.say("This is not a picture.");
    if (file.size > LARGEST_MB << 20)
      return this.say(`The picture has ${(file.size / 1e6).toFixed(1)} MB; at most ${LARGEST_MB} MiB are taken.`);
    this.say("Reading the picture …");
    try {
      const answer = await fetchAnswer(api(["own-images"]), undefined, {
        method: "POST",
        headers: { "Content-Type": file.type || "image/*", "X-Mloscope": "1" },
        body: file,
      });
      const { image } = await answer.json();
      view.set({ own: image, change: "" });
      this.show();
    } catch (error) {
      this.say(error.message);
    }
  }
}

/** The React component behind components/browser_parts.py. */
export const LabPicture = component("lab-picture", Picture);
